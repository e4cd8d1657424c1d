"""Bootstrap of a likelihood fit: estimates from data sets drawn anew.

Three ways to draw: responses from the model (parametric), from the fit's own modes and residuals
(residual), or levels of the top grouping factor (cases). The responses of the first two are fitted
together in one batched search (``likelihood/refits.py``; one after the other where residuals have a
structure, ``residual_refits.py``); what the third draws are cross-products, or with such a
structure rows, which are fitted anew.
Generalised fits are those of ``generalised_bootstrap.py``.

Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, chapters 2 and 3; van der
Leeden, Meijer & Busing (2008), Handbook of Multilevel Analysis, chapter 11.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.calls import checked_call
from hierbayes.design.design import Design
from hierbayes.errors import DataError, OptionError
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern.related import check_unrelated
from hierbayes.intervals.determined_part import without_interval
from hierbayes.intervals.generalised_bootstrap import (
    BOUNDS,
    GeneralisedBootstrap,
    generalised_bootstrap,
)
from hierbayes.intervals.level_samples import LevelSamples
from hierbayes.intervals.linear_refitter import LinearRefitter
from hierbayes.intervals.replicates import checked_count, checked_jobs, run_parts
from hierbayes.intervals.resampling import ResponseDraws
from hierbayes.intervals.residual_profile import residual_ends
from hierbayes.intervals.statistics import UNUSUAL, Replicates, Statistic, named_numbers
from hierbayes.likelihood.fitting import at_theta, at_theta_and_phi
from hierbayes.likelihood.fitting import fit as fit_again
from hierbayes.likelihood.lmm import LmmFit, fit_lmm
from hierbayes.likelihood.refits import Refits
from hierbayes.linalg.rank import has_lost_directions
from hierbayes.options import BootstrapKind, check_option
from hierbayes.results.bootstrap_result import BootstrapResult
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    interval_parameters,
    parameter_values,
)
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit

MOST_JACKKNIFE = 1000  # fits for the acceleration of BCa intervals, which needs no more


@checked_call("hb.bootstrap")
def bootstrap(
    fit: LikelihoodFit,
    statistic: Statistic | None = None,
    nsim: int = 500,
    random_seed: Any = None,
    n_jobs: int = 1,
    *,
    kind: BootstrapKind = "parametric",
    progress: bool | None = None,
) -> BootstrapResult:
    """Draw data sets like the one a model was fitted to, and fit the model to each.

    Parameters
    ----------
    fit : LikelihoodFit
    statistic : callable, optional
        Takes a fit, returns a number, a dict or a Series of numbers. When not given: sds,
        correlations, sigma and fixed effects, under lme4's names.
    nsim : int
        Number of replicates.
    random_seed : int, Generator or SeedSequence
        The same seed gives the same numbers, for any ``n_jobs``.
    n_jobs : int
        Processes (joblib's, so ``joblib.parallel_config`` reaches a cluster). One is enough
        unless a statistic, or a fit, takes long.
    kind : {"parametric", "residual", "cases"}
        "parametric" draws new random effects and residuals from the model. "residual" draws the
        fit's conditional modes and residuals with replacement, rescaled to the estimated
        variances: their distributions need not be normal. "cases" draws levels of the top
        grouping factor with replacement, with all their rows: even the form of the model need not
        be right, but there have to be many levels. A generalised fit has the first: its responses
        are drawn from the family, given new random effects. Of residuals that are correlated or of
        unequal variance "residual" draws normalised ones and correlates them, and without random
        effects "cases" draws series.
    progress : bool, optional
        Show a bar when it takes over two seconds; unless said, where somebody watches.

    Returns
    -------
    BootstrapResult
        Prints as a table; ``.to_frame()`` and ``.confint(level, interval)``.

    Raises
    ------
    NotSupportedError
        For ``kind="cases"`` with crossed factors, and another kind than "parametric" of a
        generalised fit.
    OptionError
        For a wrong argument, or a statistic that does not return numbers.

    Notes
    -----
    Source: Carpenter, Goldstein & Rasbash (2003), J. R. Stat. Soc. C 52:431-443; van der Leeden,
    Meijer & Busing (2008), Handbook of Multilevel Analysis, chapter 11.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> found = hb.bootstrap(fit, nsim=100, random_seed=1)
    >>> found.to_frame().shape
    (100, 3)
    >>> icc = lambda fit: fit.theta[0] ** 2 / (1 + fit.theta[0] ** 2)
    >>> hb.bootstrap(fit, icc, nsim=100, random_seed=1).to_frame().shape
    (100, 1)
    """
    if not isinstance(fit, LinearFit | GeneralisedFit):
        raise OptionError(
            f"bootstrap needs a REML or ML fit, not {type(fit).__name__}; a posterior has its "
            "intervals from its draws."
        )
    check_option("kind", kind, BootstrapKind)
    if kind != "parametric":
        check_unrelated(fit.design, f"kind={kind!r}")
    nsim, n_jobs = checked_count(nsim), checked_jobs(n_jobs)
    task: _Task | GeneralisedBootstrap
    if isinstance(fit, GeneralisedFit):
        task = generalised_bootstrap(fit, statistic, kind)
    else:
        task = _task(fit, statistic, kind)
    parts = run_parts(
        task.replicates,
        nsim,
        random_seed=random_seed,
        n_rows=fit.nobs,
        n_jobs=n_jobs,
        progress=progress,
        title=f"Bootstrap, {kind}",
    )
    failures = [failure for part in parts for failure in part.failures]
    return BootstrapResult(
        names=task.names,
        estimates=task.estimates,
        replicates=np.concatenate([part.values for part in parts]),
        bounds=task.bounds,
        kind=kind,
        drawn=task.drawn,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        method=fit.method,
        n_failed=int(sum(part.failed.sum() for part in parts)),
        n_boundary=int(sum(part.boundary.sum() for part in parts)),
        failure=failures[0] if failures else "",
        jackknife=task.jackknife,
    )


@record
class _Task:
    """What every replicate needs; ``draws`` and ``refitter``, or ``levels``, are None, by kind."""

    fit: LinearFit
    statistic: Statistic | None
    names: tuple[str, ...]
    estimates: FloatArray
    bounds: FloatArray
    draws: ResponseDraws | None
    refitter: LinearRefitter | None
    levels: LevelSamples | None

    def replicates(self, seed: int, count: int) -> Replicates:
        """Make replicates with the random numbers of one seed."""
        return _replicates(self, seed, count)

    def jackknife(self) -> FloatArray:
        """Estimates without one level of the top factor each, shape (J, m)."""
        return _jackknife(self)

    @property
    def drawn(self) -> str:
        """What is drawn anew."""
        return _drawn(self.fit, self)


def _task(fit: LinearFit, statistic: Statistic | None, kind: BootstrapKind) -> _Task:
    if statistic is None:
        parameters = interval_parameters(fit)
        names = tuple(parameter.name for parameter in parameters)
        theta, sigma = fit.representative[None], np.array([fit.sigma])
        estimates = parameter_values(fit, theta, sigma, beta=fit.beta[None])[0]
        bounds = np.array([_bounds(fit, p) for p in parameters])
    else:
        named = named_numbers(statistic, fit)
        names, estimates = tuple(named), np.array(list(named.values()))
        bounds = np.tile([-np.inf, np.inf], (len(names), 1))
    return _Task(
        fit=fit,
        statistic=statistic,
        names=names,
        estimates=estimates,
        bounds=bounds,
        draws=None if kind == "cases" else ResponseDraws(fit.representing, kind),
        refitter=None if kind == "cases" else LinearRefitter(fit),
        levels=LevelSamples(fit, purpose="kind='cases'") if kind == "cases" else None,
    )


def _bounds(fit: LinearFit, parameter: IntervalParameter) -> tuple[float, float]:
    """Return the ends of the range of a parameter."""
    if parameter.kind == "residual" and parameter.row >= fit.spec.residuals.structure.n_spreads:
        return residual_ends(fit)
    return BOUNDS.get(parameter.kind, (-np.inf, np.inf))


def _replicates(task: _Task, seed: int, count: int) -> Replicates:
    """Make ``count`` replicates with the random numbers of one seed."""
    rng = np.random.default_rng(seed)
    if task.levels is not None:
        J = task.levels.n_levels
        rows = [_of_levels(task, task.levels, rng.integers(J, size=J)) for _ in range(count)]
        return Replicates(
            np.concatenate([row.values for row in rows]),
            np.concatenate([row.failed for row in rows]),
            np.concatenate([row.boundary for row in rows]),
            tuple(failure for row in rows for failure in row.failures),
        )
    assert task.draws is not None
    assert task.refitter is not None
    fit = task.fit
    Y = task.draws.draw(count, rng)
    found, phi = task.refitter.refits(Y)
    failed, failures = ~found.converged, []
    if task.statistic is None:
        values = _parameters(fit, found, phi)
    else:
        values = np.full((count, len(task.names)), np.nan)
        for row in np.flatnonzero(found.converged):
            verdicts = {"converged": True, "is_singular": bool(found.is_singular[row])}
            given: dict[str, Any] = {"response": Y[:, row], "findings": (), **verdicts}
            try:
                if phi is None:
                    again = at_theta(fit.spec, fit.method, found.theta[row], **given)
                else:
                    again = at_theta_and_phi(
                        fit.spec, fit.method, found.theta[row], phi=phi[row], **given
                    )
                values[row] = _row_of(task, again)
            except UNUSUAL as error:
                failed[row] = True
                failures.append(str(error))
    values[failed] = np.nan
    return Replicates(values, failed, found.is_singular & ~failed, tuple(failures))


def _row_of(task: _Task, fit: LinearFit) -> FloatArray:
    assert task.statistic is not None
    found = named_numbers(task.statistic, fit)
    return np.array([found.get(name, np.nan) for name in task.names])


def _of_levels(task: _Task, levels: LevelSamples, drawn: IntArray) -> Replicates:
    """Fit the model to a sample of levels: one replicate."""
    fit = task.fit
    if fit.residual is not None:
        return _of_structured_levels(task, levels.design(drawn))
    try:
        kernel = levels.kernel(drawn)
        found = _fitted(fit, kernel)
        if task.statistic is None:
            anchor = kernel.products.anchor
            beta = anchor.beta0 + found.at.beta @ anchor.x_basis.T
            values = _known(
                fit, parameter_values(fit, found.theta[None], found.at.sigma, beta=beta)
            )
        else:
            design = levels.design(drawn)
            again = at_theta(
                fit.spec.with_design(design, kernel),
                fit.method,
                found.theta,
                response=design.y,
                converged=True,
                is_singular=found.is_singular,
                findings=(),
            )
            values = _row_of(task, again)[None]
    except UNUSUAL as error:
        missing = np.full((1, len(task.names)), np.nan)
        return Replicates(missing, np.array([True]), np.array([False]), (str(error),))
    return Replicates(values, np.array([False]), np.array([found.is_singular]))


def _of_structured_levels(task: _Task, design: Design) -> Replicates:
    """Fit the model to a sample of levels whose residuals have a structure: one replicate."""
    missing = np.full((1, len(task.names)), np.nan)
    failed = Replicates(missing, np.array([True]), np.array([False]), ())
    try:
        found = fit_again(task.fit.spec.with_other_design(design), task.fit.method, quietly=True)
        assert isinstance(found, LinearFit)
        if found.residual_names != task.fit.residual_names or found.kept.size != task.fit.kept.size:
            raise DataError("The levels drawn do not determine all parameters.")
        if not found.converged:
            raise DataError("The search for the optimum did not converge.")
        if task.statistic is None:
            values = _known(task.fit, found.interval_estimates[None])
        else:
            values = _row_of(task, found)[None]
    except UNUSUAL as error:
        return replace(failed, failures=(str(error),))
    return Replicates(values, np.array([False]), np.array([found.is_singular]))


def _fitted(fit: LinearFit, kernel: Kernel) -> LmmFit:
    """Fit the model of a sample of levels; DataError where it can't be fitted."""
    if kernel.products.n_obs <= kernel.products.xy.size:
        raise DataError("The levels drawn have fewer rows than the fixed part has coefficients.")
    if has_lost_directions(kernel.products.xx):
        raise DataError("The levels drawn do not determine all fixed effects.")
    with np.errstate(all="ignore"):
        try:
            found = fit_lmm(fit.design, kernel)
        except (DataError, np.linalg.LinAlgError) as error:
            raise DataError("The levels drawn leave no residuals.") from error
    if not found.converged:
        raise DataError("The search for the optimum did not converge.")
    return found


def _jackknife(task: _Task) -> FloatArray:
    """Estimates without one level of the top factor (or group of levels) each, shape (J, m)."""
    levels = task.levels or LevelSamples(task.fit, purpose="interval='bca'")
    everyone = np.arange(levels.n_levels)
    groups = np.array_split(everyone, min(everyone.size, MOST_JACKKNIFE))
    rows = [_of_levels(task, levels, np.delete(everyone, group)) for group in groups]
    return np.concatenate([row.values for row in rows])


def _parameters(fit: LinearFit, found: Refits, phi: FloatArray | None) -> FloatArray:
    residual = None if phi is None else fit.spec.residuals.values(phi)
    values = parameter_values(fit, found.theta, found.sigma, beta=found.beta, residual=residual)
    return _known(fit, values)


def _known(fit: LinearFit, values: FloatArray) -> FloatArray:
    values[:, without_interval(fit)] = np.nan
    return values


def _drawn(fit: LinearFit, task: _Task) -> str:
    """Say what is drawn anew."""
    if task.levels is not None:
        unit = task.levels.unit
        return unit if unit == "rows" else f"{unit}, with their rows"
    if task.draws is not None and task.draws.is_parametric:
        what = "random effects and residuals" if fit.design.factors else "residuals"
        return f"{what} from the fitted model"
    if fit.residual is not None:
        own = "conditional modes and normalised residuals" if fit.design.factors else (
            "normalised residuals"
        )  # fmt: skip
        return f"{own}, rescaled to the estimated variances"
    return (
        "conditional modes and residuals, rescaled to the estimated variances"
        if fit.design.factors
        else "residuals, rescaled to the estimated variance"
    )
