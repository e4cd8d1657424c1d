"""Confidence intervals under lme4's names, by three methods; credible ones of a posterior."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.gaussian.products import covariance_shape
from hierbayes.intervals.determined_part import UNDETERMINED, without_interval
from hierbayes.intervals.profile import (
    LIMIT_STEPS,
    checked_fit,
    chosen_parameters,
    profiled,
)
from hierbayes.intervals.residual_limits import residual_limits
from hierbayes.intervals.wald import NO_WALD, unbounded_limits, wald_limits
from hierbayes.options import BootstrapInterval, BootstrapKind, ConfintMethod, check_option
from hierbayes.results.bootstrap_result import BootstrapResult
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_addresses,
    interval_parameters,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tidy import check_level
from hierbayes.specification.fitted_values import unknown_fitted_sds
from hierbayes.wording import shown

# REML has no likelihood to profile over fixed effects; the corner of the table says what is beside
# what, wherever it is printed.
REML_CAPTION = "REML estimates, ML limits"


@checked_call("hb.confint")
def confint(
    fit: Fit,
    method: ConfintMethod | None = None,
    level: float = 0.95,
    *,
    nsim: int = 500,
    random_seed: Any = None,
    parameters: Any = None,
    kind: BootstrapKind = "parametric",
    interval: BootstrapInterval = "percentile",
    n_jobs: int = 1,
) -> ResultTable:
    """Confidence intervals of sds, correlations, sigma, parameters of a family, fixed effects.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        A posterior gives its equal-tailed credible intervals and takes no ``method``.
    method : {"wald", "profile", "bootstrap"}, optional
        "wald" (when not given): estimate plus or minus normal quantiles of standard errors, fixed
        effects only. "profile": where the likelihood falls off, for every parameter, one-sided at
        the end of a parameter's range; of a REML fit it is the likelihood too, as in lme4, and the
        corner of the printed table says so: "REML estimates, ML limits" (the columns' name).
        "bootstrap": quantiles of the estimates from ``nsim`` data sets drawn anew.
    level : float
    nsim, random_seed, kind, interval, n_jobs
        Of the bootstrap: number of data sets; seed; {"parametric", "residual", "cases"} what is
        drawn; {"percentile", "basic", "bca"} how limits are read; processes. See ``hb.bootstrap``.
    parameters : str or list of str, optional
        Names to keep, or lme4's ``"theta_"`` and ``"beta_"``; all when not given.

    Returns
    -------
    pandas.DataFrame
        Index lme4's names, columns ``estimate lower upper``; estimates are those of the fit, sds
        in response units per unit of their column. A limit that does not exist is NaN;
        ``.attrs["reasons"]`` says why, ``.attrs["method"]``, ``["level"]`` and ``["details"]``
        what the limits are.

    Raises
    ------
    OptionError
        If an option is none of those above, ``level`` is not between 0 and 1, a name is not a
        parameter, or ``fit`` is not a fit.

    Notes
    -----
    Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> print(hb.confint(fit, method="profile").round(2))
    REML estimates, ML limits     estimate   lower   upper
    sd_(Intercept)|Subject           24.74   14.38   37.72
    cor_Days.(Intercept)|Subject      0.07   -0.48    0.69
    sd_Days|Subject                   5.92    3.80    8.75
    sigma                            25.59   22.90   28.86
    (Intercept)                     251.41  237.68  265.13
    Days                             10.47    7.36   13.58
    """
    check_level(level)
    if isinstance(fit, PosteriorFit):
        if method is not None:
            raise OptionError(
                f"method={shown(method)}: a posterior's intervals come from its draws; leave "
                "method out."
            )
        return _credible(fit, level, parameters)
    _check_not_a_parameter(fit, method)
    method = check_option("method", "wald" if method is None else method, ConfintMethod)
    check_option("kind", kind, BootstrapKind)
    check_option("interval", interval, BootstrapInterval)
    fit = checked_fit(fit, "confint")
    chosen = chosen_parameters(fit, parameters)
    if method != "wald" and fit.spec.has_fitted_sds:
        raise unknown_fitted_sds(f"confint(method={method!r})")
    if method == "profile":
        return _profiled(fit, chosen, level)
    if method == "bootstrap":
        from hierbayes.intervals.bootstrap import bootstrap

        found = bootstrap(fit, nsim=nsim, random_seed=random_seed, kind=kind, n_jobs=n_jobs)
        return _bootstrapped(fit, found, chosen, level, interval)
    return _wald(fit, chosen, level)


def _wald(fit: LikelihoodFit, chosen: Sequence[IntervalParameter], level: float) -> ResultTable:
    fixed, free = wald_limits(fit, level), unbounded_limits(fit, level)
    if isinstance(fit, LinearFit) and fit.residual is not None:
        free |= residual_limits(fit, level)
    nothing = np.full(2, np.nan)
    limits = [fixed[p.row] if p.kind == "fixed" else free.get(p.name, nothing) for p in chosen]
    return _table(
        chosen,
        _estimates(fit, chosen),
        np.array(limits),
        method="wald",
        level=level,
        details="estimate plus or minus normal quantiles of standard errors",
        reasons={p.name: NO_WALD for p in chosen if p.kind != "fixed" and p.name not in free}
        | _lost(fit, chosen),
    )


def _profiled(
    fit: LinearFit | GeneralisedFit, chosen: Sequence[IntervalParameter], level: float
) -> ResultTable:
    found = profiled(fit, chosen, level=level, steps=LIMIT_STEPS)
    has_shape = fit.theta.size or bool(fit.residual_names)
    caption = REML_CAPTION if fit.method == "reml" and has_shape else None
    details = "signed root of the change of the ML deviance at the normal quantiles"
    return _table(
        chosen,
        _estimates(fit, chosen),
        found.limits,
        method="profile",
        level=level,
        details=" ".join([f"{details}.", *(str(finding) for finding in found.findings)]),
        reasons=found.reasons,
        caption=caption,
    )


def _bootstrapped(
    fit: LikelihoodFit,
    found: BootstrapResult,
    chosen: Sequence[IntervalParameter],
    level: float,
    interval: BootstrapInterval,
) -> ResultTable:
    rows = found.confint(level, interval).loc[[p.name for p in chosen]]
    limits = rows[["lower", "upper"]].to_numpy()
    missing = np.isnan(limits).any(axis=1)
    why = (
        "the estimate is at the end of its range or all replicates are on one side of it, where "
        "the correction does not exist"
        if interval == "bca"
        else "no replicate has a value"
    )
    refits = f"{found.n_failed} refits failed and {found.n_boundary} are on the boundary"
    return _table(
        chosen,
        rows["estimate"].to_numpy(),
        limits,
        method="bootstrap",
        level=level,
        details=f"{interval} limits of {found.nsim} {found.kind} replicates; {refits}",
        reasons={p.name: why for p, lacks in zip(chosen, missing, strict=True) if lacks}
        | _lost(fit, chosen),
    )


def _lost(fit: LikelihoodFit, chosen: Sequence[IntervalParameter]) -> dict[str, str]:
    """Reasons for parameters that the data do not determine."""
    known = interval_parameters(fit)
    lost = without_interval(fit)
    return {p.name: UNDETERMINED for p in chosen if lost[known.index(p)]}


def _check_not_a_parameter(fit: Fit, method: Any) -> None:
    """Say that what stands in the place of the method is R's ``parm`` or the level."""
    if isinstance(method, str) and isinstance(fit, LikelihoodFit):
        if interval_addresses(interval_parameters(fit)).find(method):
            raise OptionError(
                f"method={method!r} is the name of a parameter; write parameters={method!r}."
            )
    elif isinstance(method, float):
        raise OptionError(f"method={method:g} is a number; write level={method:g}.")


def _credible(fit: PosteriorFit, level: float, parameters: Any) -> ResultTable:
    """Equal-tailed credible intervals of the draws, under lme4's names."""
    chosen, columns = [], []
    for parameter in chosen_parameters(fit, parameters):
        chosen.append(parameter)
        columns.append(np.ravel(_draws_of(fit, parameter)))
    values = np.column_stack(columns)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return _table(
        chosen,
        values.mean(axis=0),
        np.quantile(values, tails, axis=0).T,
        method="posterior",
        level=level,
        details="equal-tailed credible intervals of the posterior; estimates are its means",
        reasons={},
    )


def _draws_of(fit: PosteriorFit, parameter: IntervalParameter) -> FloatArray:
    draws = fit.draws
    if parameter.kind == "fixed":
        return np.asarray(draws.beta[:, :, parameter.row])
    if parameter.kind == "sigma":
        return np.asarray(draws.sigma)
    if parameter.kind == "residual":
        return fit.residual_draws[fit.residual_names[parameter.row]]
    term = fit.design.terms[parameter.term]
    name = fit.design.factors[term.factor].name
    if parameter.place >= 0:
        return _of_structure(fit, parameter)
    row, column = term.columns[parameter.row], term.columns[parameter.column]
    if parameter.kind == "sd":
        return np.asarray(draws.sd[name][:, :, row])
    return np.asarray(draws.corr[name][:, :, row, column])


def _of_structure(fit: PosteriorFit, parameter: IntervalParameter) -> FloatArray:
    """Draws (C, D) of a parameter of a term's structure, from sds and correlations."""
    shape = covariance_shape(fit.design)
    (factor, at), own = shape.blocks[parameter.term], shape.structures[parameter.term]
    assert own is not None
    name = fit.design.factors[factor].name
    sd, corr = fit.draws.sd[name][..., at[1]], fit.draws.corr[name][(..., *at)]
    covariance = sd[..., :, None] * corr * sd[..., None, :]
    found = own.nearest(covariance.reshape(-1, *corr.shape[2:]))[:, parameter.place]
    return np.asarray(found.reshape(sd.shape[:2]))


def _estimates(fit: LikelihoodFit, chosen: Sequence[IntervalParameter]) -> FloatArray:
    """Estimates of the fit itself."""
    names = [p.name for p in interval_parameters(fit)]
    return fit.interval_estimates[[names.index(p.name) for p in chosen]]


def _table(
    chosen: Sequence[IntervalParameter],
    estimates: FloatArray,
    limits: FloatArray,
    *,
    method: str,
    level: float,
    details: str,
    reasons: Mapping[str, str],
    caption: str | None = None,
) -> ResultTable:
    columns = {"estimate": estimates, "lower": limits[:, 0], "upper": limits[:, 1]}
    known = {
        "method": method,
        "level": float(level),
        "details": details,
        "reasons": dict(reasons),
    }
    table = result_table(columns, "confint", index=[p.name for p in chosen], attrs=known)
    table.columns.name = caption
    return table
