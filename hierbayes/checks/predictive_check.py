"""Responses a model would give beside those observed, and statistics of both.

Of a posterior each simulated data set has the parameters of a draw of its own, of a likelihood fit
those estimated; before the data are looked at, those drawn from the priors. Binomial counts are
shares of their trials.

Source: Gelman, Meng & Stern (1996), Stat. Sinica 6:733; Gabry et al. (2019), J. R. Stat. Soc. A
182:389.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.prior_predictive import prior_responses
from hierbayes.design.axis import Axis, axis_of
from hierbayes.errors import DataError, OptionError
from hierbayes.families.observations import checked_observations
from hierbayes.options import SimulatedGroups, check_count
from hierbayes.results.fit import Fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.specification import Specification
from hierbayes.specification.specified import Specified
from hierbayes.wording import did_you_mean, shown

Statistic = Callable[[FloatArray], float]
STATISTICS: Mapping[str, Statistic] = {
    "mean": lambda y: float(y.mean()),
    "sd": lambda y: float(y.std(ddof=1)) if y.size > 1 else float("nan"),
    "min": lambda y: float(y.min()),
    "max": lambda y: float(y.max()),
    "median": lambda y: float(np.median(y)),
    "iqr": lambda y: float(np.subtract(*np.quantile(y, [0.75, 0.25]))),
    "skewness": lambda y: float(((y - y.mean()) ** 3).mean() / y.std() ** 3),
    "zeros": lambda y: float((y == 0).mean()),
}


@record
class PredictiveDraws:
    """Observed and simulated responses of the rows used.

    Attributes
    ----------
    observed : array, shape (n,); binomial counts as shares
    simulated : array, shape (S, n)
    role : "reml", "ml", "posterior" or "prior": where the simulated ones come from
    is_discrete : whether responses are whole numbers or categories
    response : label of the response
    words : what was simulated, in a sentence
    ends : between which responses lie
    model : the model or fit
    """

    observed: FloatArray
    simulated: FloatArray
    role: str
    is_discrete: bool
    response: str
    words: str
    ends: tuple[float, float]
    model: Specified


@record
class RowGroups:
    """Rows grouped by a column or a grouping factor: labels, and the group of each row (n,)."""

    name: str
    labels: tuple[str, ...]
    codes: IntArray


def predictive_draws(
    fit: Fit, nsim: int, *, groups: SimulatedGroups | None = None, random_seed: Any = None
) -> PredictiveDraws:
    """Simulate data sets from a fit.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    nsim : number of data sets S
    groups : "fitted" or "new" effects; of a posterior the fitted ones unless said, of a likelihood
        fit new ones
    random_seed : int, Generator or SeedSequence
    """
    check_count("nsim", nsim)
    is_posterior = isinstance(fit, PosteriorFit)
    own = groups or ("fitted" if is_posterior else "new")
    frame = fit.simulate(int(nsim), random_seed, groups=own)
    simulated = frame.to_numpy(dtype=np.float64).T
    observed, simulated = _scaled(fit.spec, simulated)
    source = "with draws of the posterior" if is_posterior else "from the estimates"
    which = {"fitted": "groups as fitted", "new": "new groups"}[own]
    which = f" and {which}" if fit.design.factors else ""
    return PredictiveDraws(
        observed=observed,
        simulated=_complete(simulated),
        role="posterior" if is_posterior else fit.method,
        is_discrete=_is_discrete(fit.spec),
        response=fit.design.formula.response_label,
        words=f"{nsim} data sets simulated {source}{which}.",
        ends=_ends(fit.spec),
        model=fit,
    )


def prior_draws_of_responses(
    model: Specified, draws: int, *, random_seed: Any = None
) -> PredictiveDraws:
    """Simulate data sets with parameters drawn from the priors.

    Parameters
    ----------
    model : Model, or a fit of it
    draws : number of data sets S
    random_seed : int, Generator or SeedSequence

    Raises
    ------
    NotSupportedError
        If a prior is flat.
    """
    spec = model.spec
    simulated = prior_responses(spec, draws=draws, random_seed=random_seed).responses
    observed, simulated = _scaled(spec, np.asarray(simulated, dtype=np.float64), counts=True)
    return PredictiveDraws(
        observed=observed,
        simulated=_complete(simulated),
        role="prior",
        is_discrete=_is_discrete(spec),
        response=spec.design.formula.response_label,
        words=f"{draws} data sets simulated with draws of the priors, before the data count.",
        ends=_ends(spec),
        model=model,
    )


def _scaled(
    spec: Specification, simulated: FloatArray, *, counts: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return observed and simulated responses (n,) and (S, n) on one scale."""
    design, family = spec.design, spec.family
    if not family.counts_trials:
        return np.asarray(design.y, dtype=np.float64), simulated
    known = checked_observations(design, family)
    shares = known[:, 0] / known[:, 1]
    if counts or design.y.ndim == 2:
        simulated = simulated / known[:, 1]
    return shares, simulated


def _ends(spec: Specification) -> tuple[float, float]:
    """Return the ends of what responses can be; of trials of their shares."""
    low, high = spec.family.mean_ends or (-np.inf, np.inf)
    return float(low), float(high)


def _is_discrete(spec: Specification) -> bool:
    """Whether responses are categories or whole numbers: successes are where a row is one trial."""
    family = spec.family
    if family.counts_trials:
        return bool((checked_observations(spec.design, family)[:, 1] == 1).all())
    return bool(family.is_ordinal or family.is_discrete or family.name == "bernoulli")


def _complete(simulated: FloatArray) -> FloatArray:
    """Leave out data sets with an impossible response."""
    kept = simulated[np.isfinite(simulated).all(axis=1)]
    if not kept.size:
        raise DataError(
            "Every simulated data set has a row whose mean is impossible under this link; there "
            "is nothing to draw."
        )
    return kept


def row_groups(spec: Specification, name: str) -> RowGroups:
    """Group the rows used by a grouping factor or a column of the data.

    Raises
    ------
    OptionError
        If there is neither of this name.
    """
    for factor in spec.design.factors:
        if factor.name == name:
            labels = tuple(map(str, factor.levels))
            return RowGroups(name=name, labels=labels, codes=factor.codes)
    columns = list(spec.table.names)
    if not isinstance(name, str) or name not in columns:
        known = [*(factor.name for factor in spec.design.factors), *columns]
        raise OptionError(
            f"by={shown(name)} is no column of the data{did_you_mean(str(name), known)}"
        )
    axis = axis_of(spec.design.rows.of(spec.table.column(name)), coded=True)
    assert axis.labels is not None
    return RowGroups(name=name, labels=axis.labels, codes=axis.at.astype(np.intp))


def place_of_rows(spec: Specification, name: str) -> Axis:
    """Return a column of the data, or a grouping factor, as an axis along which rows lie.

    Raises
    ------
    OptionError
        If there is neither of this name.
    """
    grouped = row_groups(spec, name)
    if name in [factor.name for factor in spec.design.factors]:
        return Axis(at=grouped.codes.astype(np.float64), labels=grouped.labels)
    return axis_of(spec.design.rows.of(spec.table.column(name)), coded=False)


def statistic_named(given: str | Statistic) -> tuple[str, Statistic]:
    """Return a statistic and its name; OptionError for an unknown one."""
    if callable(given):
        return getattr(given, "__name__", "statistic"), given
    if isinstance(given, str) and given in STATISTICS:
        return given, STATISTICS[given]
    hint = did_you_mean(str(given), list(STATISTICS))
    raise OptionError(f"statistic={shown(given)} is neither a function nor a known name{hint}")


def statistics_of(found: PredictiveDraws, statistic: Statistic) -> tuple[float, FloatArray]:
    """Return a statistic of the observed data and of each simulated data set, (S,)."""
    simulated = np.array([statistic(one) for one in found.simulated], dtype=np.float64)
    return float(statistic(found.observed)), simulated
