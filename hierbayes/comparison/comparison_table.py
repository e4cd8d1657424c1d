"""The table of a comparison: each fit's numbers of each parameter, what differs, and why."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import log_prior_variables
from hierbayes.comparison.why import MONTE_CARLO_ERRORS, Evidence, Kind, why
from hierbayes.gaussian.products import covariance_shape
from hierbayes.naming.addresses import Addresses, posterior_addresses
from hierbayes.options import IntervalKind
from hierbayes.results.chains import chain_statistics, credible_interval
from hierbayes.results.comparison import ComparedFit, likelihood_fits, posterior_fits
from hierbayes.results.density import density_mode
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.posterior_parameters import family_names
from hierbayes.results.residual_estimate import ResidualQuantity
from hierbayes.results.tidy import estimated_rows

# An sd this small against sigma, or a correlation this near to 1, is lme4's boundary.
BOUNDARY = 1e-4
MOST_COLUMNS = 2  # of random effects, up to which the exact likelihood is found in a moment
BOUNDS: dict[str, tuple[float, float]] = {
    "fixed": (-np.inf, np.inf),
    "sd": (0.0, np.inf),
    "sigma": (0.0, np.inf),
    "cor": (-1.0, 1.0),
    "icc": (0.0, 1.0),
    "family": (-np.inf, np.inf),
}
SIGNED = ("fixed", "cor")  # kinds whose sign is a question


@record
class Row:
    """One parameter: its name and kind, and the levels of its grouping factor (0 without one)."""

    name: str
    kind: Kind
    n_levels: int = 0


@record
class PosteriorNumbers:
    """Numbers of a posterior, arrays over the parameters; ``converged`` is of the whole fit."""

    mean: FloatArray
    median: FloatArray
    mode: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    prob_positive: FloatArray
    mcse: FloatArray
    r_hat: FloatArray
    prior_pull: FloatArray
    converged: bool


@record
class LikelihoodNumbers:
    """Numbers of a REML or ML fit, arrays over the parameters."""

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray


def comparison_table(
    fits: Sequence[ComparedFit[Fit]], *, level: float, kind: IntervalKind
) -> pd.DataFrame:
    """Return one row a parameter; the columns are those of ``Comparison.to_frame``."""
    rows = parameter_rows(fits[0].fit)
    likelihood = {
        own.prefix: likelihood_numbers(own.fit, rows, level) for own in likelihood_fits(fits)
    }
    posterior = {
        own.prefix: posterior_numbers(own.fit, rows, level, kind) for own in posterior_fits(fits)
    }
    columns: dict[str, Any] = {"effect": [row.kind for row in rows]}
    for prefix, numbers in likelihood.items():
        for name in ("estimate", "se", "low", "high", "p_value"):
            columns[f"{prefix}_{name}"] = getattr(numbers, name)
    reference = list(likelihood.values())[-1:]
    for prefix, draws in posterior.items():
        for name in ("mean", "median", "mode", "sd", "low", "high", "prob_positive"):
            columns[f"{prefix}_{name}"] = getattr(draws, name)
        if reference:
            (at,) = reference
            with_se = at.se > 0
            unit = np.where(with_se, at.se, draws.sd)
            columns[f"{prefix}_shift"] = (draws.median - at.estimate) / unit
            columns[f"{prefix}_shift_unit"] = np.where(with_se, "SE", "sd")
            columns[f"{prefix}_width_ratio"] = (draws.high - draws.low) / (at.high - at.low)
        columns[f"{prefix}_prior_pull"] = draws.prior_pull
    columns["why"] = _reasons(rows, likelihood_fits(fits), likelihood, posterior)
    return pd.DataFrame(columns, index=pd.Index([row.name for row in rows], name="parameter"))


def parameter_rows(fit: Fit) -> list[Row]:
    """Parameters in the order of ``tidy()``, then the ICC of a model that has just one.

    Residuals that are correlated or of unequal variance have the sd of the reference, those of
    other strata or coefficients of log sds, and correlations.
    """
    design, residual = fit.design, fit.residual_quantities
    has_sigma = fit.varcorr().has_residual and not residual
    kinds: list[tuple[Kind, int]] = [("fixed", 0)] * len(fit.coef_names)
    for term, own in zip(design.terms, covariance_shape(design).structures, strict=True):
        q, J = len(term.columns), int(design.factors[term.factor].levels.size)
        if own is not None:
            kinds += [("sd" if is_scale else "cor", J) for is_scale in own.is_scale]
            continue
        kinds += [("sd", J)] * q
        kinds += [("cor", J)] * (q * (q - 1) // 2)
    kinds += [("sigma", 0)] * has_sigma
    labels = row_addresses(fit).labels
    kinds += [("family", 0)] * len(_further(fit))
    n_series = _n_series(fit)
    for kind in map(_residual_kind, residual):
        kinds.append((kind, n_series if kind == "cor" else 0))
    if _has_icc(fit):
        kinds.append(("icc", int(design.factors[0].levels.size)))
    return [
        Row(name=name, kind=kind, n_levels=J) for name, (kind, J) in zip(labels, kinds, strict=True)
    ]


def _n_series(fit: Fit) -> int:
    """Return the number of series of visits, whose correlations' prior favours small ones; else 0.

    Nothing is known of how many groups say that of others.
    """
    series = fit.design.residual
    if series is None or series.word != "us" or not fit.spec.has_residual_structure:
        return 0
    found = fit.spec.residuals.series
    return 0 if found is None else int(found.labels.size)


def _residual_kind(own: ResidualQuantity) -> Kind:
    if own.is_sd:
        return "sigma"
    return "family" if own.group == "Residual" else "cor"


def row_addresses(fit: Fit) -> Addresses:
    """Return the way from a text to a row of the table."""
    residual = fit.residual_quantities
    addresses = posterior_addresses(
        fit.design,
        fit.kept.tolist(),
        has_sigma=fit.varcorr().has_residual and not residual,
        family=_further(fit),
    )
    if residual:
        return Addresses([*addresses.spellings, *((own.parameter,) for own in residual)])
    if not _has_icc(fit):
        return addresses
    return Addresses([*addresses.spellings, (f"ICC({fit.design.factors[0].name})",)])


def _further(fit: Fit) -> tuple[str, ...]:
    if fit.residual_quantities:  # which have them
        return ()
    if isinstance(fit, PosteriorFit):
        return family_names(fit.draws)
    return tuple(fit.further_parameters)


def _has_icc(fit: Fit) -> bool:
    gaussian = fit.varcorr().has_residual and fit.response_family.is_linear
    if fit.residual_quantities:  # hb.icc says which residual variance it takes
        return False
    return gaussian and [f.columns for f in fit.design.factors] == [("(Intercept)",)]


def likelihood_numbers(fit: LikelihoodFit, rows: Sequence[Row], level: float) -> LikelihoodNumbers:
    """Estimates, standard errors and Wald intervals; NaN where there are none."""
    tidy = estimated_rows(fit, fit.tidy(level=level))
    names = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
    values = [tidy[name].to_numpy(dtype=np.float64) for name in names]
    if rows and rows[-1].kind == "icc":
        sd, sigma = values[0][-2], values[0][-1]
        icc = sd**2 / (sd**2 + sigma**2)
        values = [np.append(v, icc if i == 0 else np.nan) for i, v in enumerate(values)]
    return LikelihoodNumbers(
        estimate=values[0], se=values[1], low=values[2], high=values[3], p_value=values[4]
    )


def posterior_numbers(
    fit: PosteriorFit, rows: Sequence[Row], level: float, kind: IntervalKind
) -> PosteriorNumbers:
    """Summaries of the draws of every parameter."""
    residual = fit.residual_quantities
    parts, most = [part.draws for part in fit.parameters()], len(rows) - len(residual)
    draws = np.concatenate(parts, axis=2)[:, :, :most]
    if residual:
        own = np.stack([q.values.reshape(draws.shape[:2]) for q in residual], axis=2)
        draws = np.concatenate([draws, own], axis=2)
    if rows and rows[-1].kind == "icc":
        square = draws[:, :, -2:] ** 2
        icc = square[:, :, :1] / square.sum(axis=2, keepdims=True)
        draws = np.concatenate([draws, icc], axis=2)
    flat = draws.reshape(fit.n_draws, -1)
    statistics = chain_statistics(draws)
    interval = credible_interval(flat, level, kind)
    signed = np.array([row.kind in SIGNED for row in rows])
    modes = [
        density_mode(x, lower=BOUNDS[row.kind][0], upper=BOUNDS[row.kind][1])
        for x, row in zip(flat.T, rows, strict=True)
    ]
    return PosteriorNumbers(
        mean=flat.mean(axis=0),
        median=np.median(flat, axis=0),
        mode=np.array(modes),
        sd=flat.std(axis=0, ddof=1),
        low=interval.low,
        high=interval.high,
        prob_positive=np.where(signed, (flat > 0).mean(axis=0), np.nan),
        mcse=statistics.mcse_mean,
        r_hat=statistics.r_hat,
        prior_pull=prior_pull(fit, flat),
        converged=fit.converged,
    )


def prior_pull(fit: PosteriorFit, flat: FloatArray) -> FloatArray:
    """Posterior sds by which the means of draws (S, P) move when the prior counts twice.

    To first order: with the prior to the power 1 + a the mean moves by a Cov(x, log prior), and
    the power is doubled at log 2 in the logarithm.

    Source: Kallioinen, Paananen, Buerkner & Vehtari (2024), Statistics and Computing 34:57
    (power-scaling sensitivity).
    """
    total: FloatArray = np.zeros(fit.draws.beta.shape[:2])
    parts = [(fit.draws, fit.design, fit.priors)]
    for name, own in fit.draws.formulas.items():
        parts.append((own, fit.design.of(name), fit.priors.formulas[name]))
    for part in parts:
        for value in log_prior_variables(*part).values():
            total = total + value.reshape(*total.shape, -1).sum(axis=2)
    log_prior = total.ravel()
    centred = flat - flat.mean(axis=0)
    sd = centred.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = centred.T @ (log_prior - log_prior.mean()) / log_prior.size / sd
    return np.asarray(math.log(2) * pull)


def _reasons(
    rows: Sequence[Row],
    fits: Sequence[ComparedFit[LikelihoodFit]],
    likelihood: dict[str, LikelihoodNumbers],
    posterior: dict[str, PosteriorNumbers],
) -> list[str]:
    """Why-sentences of the last likelihood fit (REML where there is one) and the first posterior.

    Between posteriors alone, of the first against the second.
    """
    if not fits:
        first, second = list(posterior.values())[:2]
        return [_between(first, second, i) for i in range(len(rows))]
    reference = fits[-1]
    others = [own for own in fits[:-1] if own.fit.method == "ml"]
    at = likelihood[reference.prefix]
    ml = likelihood[others[0].prefix] if others else None
    draws = next(iter(posterior.values()), None)
    name = "REML" if reference.fit.method == "reml" else "ML"
    lost = _undetermined(reference.fit, rows, at.estimate)
    shifts = _of_approximation(reference.fit)
    out = []
    for i, row in enumerate(rows):
        measured: dict[str, Any] = {}
        if draws is not None:
            fields = ("mean", "median", "mode", "sd", "low", "high", "mcse", "r_hat", "prior_pull")
            measured = {field: float(getattr(draws, field)[i]) for field in fields}
            measured["converged"] = draws.converged
            width = at.high[i] - at.low[i]
            measured["width_ratio"] = float((draws.high[i] - draws.low[i]) / width)
        found = Evidence(
            kind=row.kind,
            name=name,
            reference=float(at.estimate[i]),
            reference_se=float(at.se[i]),
            ml=math.nan if ml is None else float(ml.estimate[i]),
            ml_se=math.nan if ml is None else float(ml.se[i]),
            on_boundary=_on_boundary(reference.fit, row, float(at.estimate[i])),
            model_on_boundary=reference.fit.is_singular,
            reference_converged=reference.fit.converged,
            undetermined=bool(lost[i]),
            approximation=shifts.get(row.name, math.nan),
            n_levels=row.n_levels,
            has_posterior=draws is not None,
            **measured,
        )
        out.append(why(found))
    return out


def _undetermined(fit: LikelihoodFit, rows: Sequence[Row], estimates: FloatArray) -> list[bool]:
    """Whether the data do not determine the parameter of each row, or its standard error."""
    if not fit.undetermined_parameters.any():
        return [False] * len(rows)
    lost = np.isnan(fit.std_errors).tolist()
    for term in fit.varcorr().terms:
        unknown = term.undetermined
        assert unknown is not None  # of a likelihood fit
        if term.parameters:
            lost += [False] * len(term.parameters)
            continue
        lost += np.diag(unknown).tolist()
        lost += [unknown[i, j] for j in range(len(unknown)) for i in range(j + 1, len(unknown))]
    more = len(rows) - len(lost)  # sigma, and the ICC
    return [*lost, *np.isnan(estimates[len(rows) - more :]).tolist()]


def _of_approximation(fit: LikelihoodFit) -> dict[str, float]:
    """How far each parameter is from the exact likelihood's, in SEs, where that is soon known.

    With several grouping factors it takes draws of the effects, and is left to who asks for it.
    """
    if not isinstance(fit, GeneralisedFit) or len(fit.design.factors) != 1:
        return {}
    if len(fit.design.factors[0].columns) > MOST_COLUMNS:
        return {}
    pairs = zip(interval_parameters(fit), fit.laplace_error.shifts, strict=True)
    return {spelling: float(shift) for own, shift in pairs for spelling in own.spellings}


def _on_boundary(fit: LikelihoodFit, row: Row, estimate: float) -> bool:
    if not fit.is_singular or (math.isnan(estimate) and fit.undetermined_parameters.any()):
        return False
    if row.kind == "sd":
        return estimate <= BOUNDARY * fit.sigma
    if row.kind == "icc":
        return estimate <= BOUNDARY**2
    return row.kind == "cor" and not abs(estimate) < 1 - BOUNDARY


def _between(a: PosteriorNumbers, b: PosteriorNumbers, i: int) -> str:
    """Say how two posteriors of one model differ in a parameter."""
    if not (a.converged and b.converged):
        return "sampler not converged: sample longer before comparing"
    gap = float(b.mean[i] - a.mean[i])
    if abs(gap) <= MONTE_CARLO_ERRORS * math.hypot(a.mcse[i], b.mcse[i]):
        return "agree within Monte-Carlo error"
    shift = gap / float(a.sd[i])
    side = "above" if shift > 0 else "below"
    return f"the second posterior's mean is {abs(shift):.2f} sd {side} the first's"
