"""The panel of model checks: numbers with what a good one looks like, for both estimators."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtrc, kolmogorov

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.checks.influence import MOST_LEVELS, influence
from hierbayes.checks.residuals import normal_quantiles, residual_word, standard_residuals
from hierbayes.checks.simulated_residuals import FEWEST, SimulatedResiduals, simulated_residuals
from hierbayes.checks.whiteness import whiteness
from hierbayes.errors import NotSupportedError, OptionError
from hierbayes.families.mean_ends import link_with_means
from hierbayes.likelihood.generalised_findings import pearson_spread
from hierbayes.options import check_flag
from hierbayes.results.fit import Fit, labelled_effects
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.model_check import ModelCheck

MOST_GENERALISED = 100  # levels left out of a generalised fit, whose refits take longer
KEPT = 30  # simulated responses that the picture shows
ALPHA = 0.05
FEW = "hardly a simulated data set without an impossible mean"
LARGE_COOK = 1.0
STRAIGHT = 0.97  # correlation with normal quantiles from which values look normal


@checked_call("hb.check")
def check(
    fit: Fit, nsim: int = 250, random_seed: Any = None, *, leave_out: bool = True
) -> ModelCheck:
    """Check a model against its data.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    nsim : int
        Simulated responses behind the residuals by simulation.
    random_seed : int, Generator or SeedSequence
    leave_out : bool
        Also refit without each level of the factor with the fewest levels (likelihood fits of at
        most 500 levels).

    Returns
    -------
    ModelCheck
        Prints its table; ``.plot()`` draws the panel.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> hb.check(fit, random_seed=1).to_frame()["check"].tolist()[0]
    'residuals by simulation are uniform'
    """
    if not isinstance(fit, Fit):
        raise OptionError(f"check takes a fit; it got {type(fit).__name__}.")
    check_flag("leave_out", leave_out, "True (refit without each level) or False")
    found = simulated_residuals(fit, nsim, random_seed)
    effects = labelled_effects(fit)
    levels = _influence(fit) if leave_out else pd.DataFrame()
    fitted, residuals = _fitted_and_residuals(fit, found)
    rows = [
        _uniform(found),
        _dispersion(found),
        _outliers(found),
        *_means(found, fit),
        *_zeros(found, fit),
        *_spread_of_family(fit),
        *_normal_residuals(fit),
        *_white_residuals(fit),
        *_normal_effects(effects),
        *_of_estimates(fit),
        *_of_levels(levels),
    ]
    return ModelCheck(
        table=pd.DataFrame(rows, columns=["check", "value", "good", "verdict"]),
        scaled=found.scaled,
        expected=found.expected,
        fixed_part=np.asarray(fit.fixed_part, dtype=np.float64),
        observed=found.observed,
        simulated=found.simulated[:, :KEPT].copy(),
        fitted=fitted,
        residuals=residuals,
        residual_word=residual_word(fit),
        effects=effects,
        influence=levels,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        method=fit.method,
    )


Row = tuple[str, str, str, str]


def _fitted_and_residuals(fit: Fit, found: SimulatedResiduals) -> tuple[FloatArray, FloatArray]:
    """Fitted values and residuals; none of a posterior whose family has no expected response."""
    try:
        fitted, residuals = fit.fitted(), standard_residuals(fit)
    except NotSupportedError:
        if isinstance(fit, LikelihoodFit):
            raise
        return found.expected, np.empty(0)
    return np.asarray(fitted, dtype=np.float64), np.asarray(residuals, dtype=np.float64)


def _verdict(good: bool) -> str:
    return "good" if good else "look"


def _uniform(found: SimulatedResiduals) -> Row:
    """Kolmogorov-Smirnov distance of the scaled residuals from the uniform distribution."""
    n = found.scaled.size
    ordered = np.sort(found.scaled)
    grid = np.arange(n + 1) / n
    distance = float(max((grid[1:] - ordered).max(), (ordered - grid[:-1]).max()))
    p = float(kolmogorov(np.sqrt(n) * distance))
    value = f"largest distance {distance:.3f}, p = {p:.2g}"
    good = f"p above {ALPHA} (rows of one level hang together, so p is only a guide)"
    return "residuals by simulation are uniform", value, good, _verdict(p > ALPHA)


def _dispersion(found: SimulatedResiduals) -> Row:
    """Sd of observed minus expected beside that of simulated responses."""
    name, own = "spread is as simulated", float((found.observed - found.expected).std())
    if found.complete.shape[1] < FEWEST:
        return name, FEW, "near 1", "-"
    drawn = (found.complete - found.expected[:, None]).std(axis=0)
    ratio = own / max(float(drawn.mean()), np.finfo(float).tiny)
    below = float((drawn < own).mean())
    p = min(1.0, 2 * min(below, 1 - below) + 2 / drawn.size)
    value = f"observed / simulated {ratio:.2f}, p = {p:.2g}"
    return name, value, "near 1", _verdict(p > ALPHA)


def _outliers(found: SimulatedResiduals) -> Row:
    """Rows outside of all their simulated responses, more than chance would give."""
    nsim, n = found.simulated.shape[1], found.scaled.size
    low = (found.observed < np.nanmin(found.simulated, axis=1)).sum()
    high = (found.observed > np.nanmax(found.simulated, axis=1)).sum()
    count = int(low + high)
    rate = 2 / (nsim + 1)
    p = float(bdtrc(count - 1, n, rate)) if count else 1.0
    value = f"{count} of {n} rows, {n * rate:.1f} expected, p = {p:.2g}"
    return "rows outside all simulations", value, "about as many as expected", _verdict(p > ALPHA)


def _means(found: SimulatedResiduals, fit: Fit) -> list[Row]:
    """Say which share of the new groups' responses has an impossible mean."""
    missing = np.isnan(found.simulated).mean()
    if not missing:
        return []
    value = f"{100 * missing:.2g} % of the simulated responses have none and are left out"
    other = link_with_means(fit.response_family)
    good = "all are" if other is None else f"all are; of link={other!r} all are"
    return [("means of new groups are possible", value, good, "look")]


def _zeros(found: SimulatedResiduals, fit: Fit) -> list[Row]:
    """Zeros among counts, and among the simulated ones."""
    if not fit.response_family.is_discrete or found.observed.max() <= 1:
        return []
    if found.complete.shape[1] < FEWEST:
        return []
    own, drawn = int((found.observed == 0).sum()), (found.complete == 0).sum(axis=0)
    if not own and not drawn.any():
        return []
    nsim = drawn.size
    tails = [1 + int((drawn >= own).sum()), 1 + int((drawn <= own).sum())]
    p = min(1.0, 2 * min(tails) / (nsim + 1))
    value = f"{own} of {found.observed.size}, {drawn.mean():.1f} expected, p = {p:.2g}"
    return [("zeros are as many as simulated", value, f"p above {ALPHA}", _verdict(p > ALPHA))]


def _spread_of_family(fit: Fit) -> list[Row]:
    """Spread given the random effects, where the family leaves none of its own."""
    found = pearson_spread(fit) if isinstance(fit, GeneralisedFit) else None
    if found is None:
        return []
    value = f"Pearson's statistic {found.statistic:.4g} on {found.df} df, ratio {found.ratio:.2f}"
    good = "near 1; above, standard errors are too small"
    name = f"spread given the random effects is that of family={fit.family!r}"
    return [(name, value, good, _verdict(not found.is_wide))]


def _normal_effects(effects: pd.DataFrame) -> list[Row]:
    rows = []
    for (group, term), part in effects.groupby(["group", "term"], sort=False):
        values = part["estimate"].to_numpy(dtype=np.float64)
        lost = np.isnan(part[["estimate", "std_error"]].to_numpy(dtype=np.float64)).any()
        if lost or values.size < 5 or values.std() == 0:  # lost: not determined by the data
            continue
        r = _straightness(values)
        rows.append(
            (
                f"random effects {term} | {group} look normal",
                f"correlation with normal quantiles {r:.3f}",
                f"above {STRAIGHT}",
                _verdict(r > STRAIGHT),
            )
        )
    return rows


def _normal_residuals(fit: Fit) -> list[Row]:
    if not isinstance(fit, LinearFit):
        return []
    is_structured = fit.residual is not None
    values = fit.residuals(kind="normalized" if is_structured else "pearson")
    r = _straightness(values.to_numpy(dtype=np.float64))
    value = f"correlation with normal quantiles {r:.3f}"
    name = "normalised residuals look normal" if is_structured else "residuals look normal"
    return [(name, value, f"above {STRAIGHT}", _verdict(r > STRAIGHT))]


def _white_residuals(fit: Fit) -> list[Row]:
    """Autocorrelation that is left of the residuals of series, neighbours in time."""
    if not isinstance(fit, LinearFit) or fit.design.residual is None:
        return []
    if fit.design.residual.inner is None:
        return []
    found = whiteness(fit)
    if found is None:
        return []
    value = f"autocorrelation at lag {found.lag} {found.found:.2f} of {found.n_pairs} pairs"
    is_within = abs(found.found - found.expected) <= found.reach
    good = f"within {found.reach:.2f} of {found.expected:.2f}, as estimates leave it"
    name = f"nothing is left of the correlation in series of {fit.design.residual.group}"
    return [(name, value, good, _verdict(is_within))]


def _straightness(values: FloatArray) -> float:
    """Correlation of ordered values with normal quantiles."""
    quantiles = np.sort(normal_quantiles(values).theoretical)
    return float(np.corrcoef(quantiles, np.sort(values))[0, 1])


def _of_estimates(fit: Fit) -> list[Row]:
    """Say whether the search or the sampler did its work, and whether the fit is singular."""
    done = (
        "search ended at an optimum" if isinstance(fit, LikelihoodFit) else "sampler has converged"
    )
    rows: list[Row] = [(done, "yes" if fit.converged else "no", "yes", _verdict(fit.converged))]
    if isinstance(fit, LikelihoodFit):
        known = not fit.undetermined_note
        found = "on the boundary" if fit.is_singular else "inside"
        if not known:
            found = "not determined by the data; simulations are of the model without what is not"
        good = known and not fit.is_singular
        rows.append(("covariances of random effects", found, "inside", _verdict(good)))
    return rows


def _influence(fit: Fit) -> pd.DataFrame:
    if not isinstance(fit, LikelihoodFit) or not fit.design.factors:
        return pd.DataFrame()
    smallest = min(factor.levels.size for factor in fit.design.factors)
    most = MOST_LEVELS if isinstance(fit, LinearFit) else MOST_GENERALISED
    return influence(fit) if 1 < smallest <= most else pd.DataFrame()


def _of_levels(levels: pd.DataFrame) -> list[Row]:
    if levels.empty or levels["cooks_distance"].isna().all():
        return []
    worst = str(levels["cooks_distance"].idxmax())
    largest = float(levels["cooks_distance"].max())
    return [
        (
            f"no level of {levels.index.name} decides the fixed effects",
            f"largest Cook's distance {largest:.2f} (level {worst})",
            f"below {LARGE_COOK:g}",
            _verdict(largest < LARGE_COOK),
        )
    ]
