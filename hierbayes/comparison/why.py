"""Why a posterior and a REML (or ML) fit differ in one parameter: rules, and their sentences.

The rules look at numbers of the two fits only. They go from "do not compare" over the boundary,
the prior and the shape of the posterior to plain agreement; several may hold.
"""

import math
from typing import Literal

from hierbayes.arrays import record

Kind = Literal["fixed", "sd", "cor", "sigma", "icc", "family"]

R_HAT = 1.01  # Vehtari et al. (2021)
MONTE_CARLO_ERRORS = 3.0  # of the mean, within which two numbers agree
SMALL_SHIFT = 0.1  # standard errors; no conclusion changes by less
NEARER = 0.25  # posterior sds by which a correlation nearer 0 is worth a word
SKEWED = 0.15  # mean minus mode, in posterior sds: an exponential density has 1, a normal 0
PAST_MEDIAN = 0.04  # mean past the median, in posterior sds: a mode alone is a noisy witness
PRIOR_MATTERS = 0.1  # posterior sds the mean moves when the prior counts twice
WIDER, NARROWER = 1.1, 0.9  # ratios of interval widths worth a word
UNDETERMINED = "not determined by the data"
BIASED = 0.02  # part by which an ML sd lies below REML's that is worth a word


@record
class Evidence:
    """What the fits say about one parameter; NaN where there is nothing.

    Attributes
    ----------
    kind : what the parameter is
    name : of the reference, "REML" or "ML"
    reference, reference_se : estimate and standard error of the reference
    ml, ml_se : of ML, where the reference is REML
    on_boundary : whether the reference has this sd at zero, or this correlation at +-1 or undefined
    model_on_boundary : whether any variance of the reference is on the boundary
    reference_converged : whether the search for the reference ended at an optimum
    undetermined : whether no data of this design determine it, or what the reference says of it
    approximation : standard errors by which the exact likelihood's estimate is above that of the
        reference, whose likelihood is approximate; NaN where exact or not known
    n_levels : levels of the parameter's grouping factor; 0 without one
    has_posterior : whether the numbers that follow are there
    mean, median, mode, sd, low, high, mcse, r_hat : of the posterior
    converged : whether the draws of the posterior are to be trusted
    width_ratio : width of the posterior's interval over the reference's
    prior_pull : posterior sds the posterior mean moves when the prior counts twice
    """

    kind: Kind
    name: str
    reference: float
    reference_se: float = math.nan
    ml: float = math.nan
    ml_se: float = math.nan
    on_boundary: bool = False
    model_on_boundary: bool = False
    reference_converged: bool = True
    undetermined: bool = False
    approximation: float = math.nan
    n_levels: int = 0
    has_posterior: bool = True
    mean: float = math.nan
    median: float = math.nan
    mode: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan
    mcse: float = math.nan
    r_hat: float = math.nan
    converged: bool = True
    width_ratio: float = math.nan
    prior_pull: float = math.nan

    @property
    def unit(self) -> float:
        """What shifts are measured in: the reference's standard error, else the posterior sd."""
        return self.reference_se if self.reference_se > 0 else self.sd

    @property
    def shift(self) -> float:
        """Posterior median minus reference, in units."""
        return (self.median - self.reference) / self.unit if self.unit > 0 else math.nan


def why(found: Evidence) -> str:
    """Say why the numbers of one parameter differ, or that they agree."""
    if not found.has_posterior and found.undetermined:
        return UNDETERMINED
    if not found.has_posterior:
        edge = f"{found.name} on the boundary" if found.on_boundary else ""
        return "; ".join(clause for clause in (_search(found), edge, _of_ml(found)) if clause)
    if not found.converged and not found.r_hat <= R_HAT:
        shown = "" if math.isnan(found.r_hat) else f" (R-hat {found.r_hat:.2f})"
        return f"sampler not converged{shown}: sample longer before comparing"
    if math.isnan(found.mcse) and found.sd > 0:
        return "too few draws to compare"
    if found.undetermined:
        return f"{UNDETERMINED}: its prior decides what the posterior says"
    if not math.isfinite(found.reference) and not found.on_boundary:
        return ""
    clauses = [_search(found), _approximation(found), _boundary(found), _prior(found)]
    if not found.on_boundary:
        clauses += [_correlation(found) or _shape(found), _width(found)]
    if not any(clauses):
        clauses.append(_agreement(found))
    return "; ".join(clause for clause in [*clauses, _of_ml(found)] if clause)


def _search(found: Evidence) -> str:
    if found.reference_converged:
        return ""
    return f"the search of {found.name} did not end at a proven optimum"


def _approximation(found: Evidence) -> str:
    if not abs(found.approximation) > SMALL_SHIFT:
        return ""
    side = "low" if found.approximation > 0 else "high"
    return f"{found.name} is {abs(found.approximation):.2f} SE too {side}: Laplace's approximation"


def _boundary(found: Evidence) -> str:
    if not found.on_boundary:
        return ""
    span = f"from {found.low:.3g} to {found.high:.3g}"
    if found.kind == "cor":
        at = "is undefined beside a zero sd"
        if math.isfinite(found.reference):
            at = f"on the boundary ({'+' if found.reference > 0 else '-'}1)"
        return f"{found.name} {at}, the posterior averages over the correlation ({span})"
    what = "ICC" if found.kind == "icc" else "sd"
    averages = f"the posterior averages over the {what} ({span})"
    return f"{found.name} on the boundary ({what} 0), {averages}"


def _prior(found: Evidence) -> str:
    if not abs(found.prior_pull) > PRIOR_MATTERS:
        return ""
    return (
        f"the prior matters here: counted twice, it moves the mean by {found.prior_pull:+.2f} sds"
    )


def _correlation(found: Evidence) -> str:
    nearer = abs(found.median) < abs(found.reference) and abs(found.shift) > NEARER
    if found.kind != "cor" or not found.n_levels or not nearer:
        return ""
    return (
        f"nearer 0: {found.n_levels} groups say little about a correlation, and the prior favours "
        "small ones"
    )


def _shape(found: Evidence) -> str:
    skew = (found.mean - found.mode) / found.sd
    past_median = (found.mean - found.median) / found.sd * math.copysign(1, skew)
    if not (abs(skew) > SKEWED and past_median > PAST_MEDIAN):
        return ""
    text = f"skewed: mean {'above' if skew > 0 else 'below'} mode"
    near_mode = abs(found.reference - found.mode) < abs(found.reference - found.mean)
    return f"{text}, and {found.name} is a mode" if near_mode else text


def _width(found: Evidence) -> str:
    if found.width_ratio > WIDER:
        reason = "the posterior averages over the variance parameters"
        if found.model_on_boundary:
            reason = (
                f"{found.name} is on the boundary, the posterior averages over what lies inside"
            )
        return f"interval {100 * (found.width_ratio - 1):.0f} % wider: {reason}"
    if found.width_ratio < NARROWER:
        less = 100 * (1 - found.width_ratio)
        return f"interval {less:.0f} % narrower: the prior adds information"
    return ""


def _agreement(found: Evidence) -> str:
    error = MONTE_CARLO_ERRORS * found.mcse
    if min(abs(found.mean - found.reference), abs(found.median - found.reference)) <= error:
        return "agree within Monte-Carlo error"
    unit = "SE" if found.reference_se > 0 else "posterior sd"
    if abs(found.shift) <= SMALL_SHIFT:
        return f"agree to {SMALL_SHIFT} {unit}"
    side = "above" if found.shift > 0 else "below"
    return f"median {abs(found.shift):.2f} {unit} {side} {found.name}"


def _of_ml(found: Evidence) -> str:
    """Say how ML relates to REML, or what is known of ML alone."""
    groups = f"with {found.n_levels} groups"
    if found.name == "ML":
        low = found.kind == "sd" and found.median > (1 + BIASED) * found.reference
        return f"ML biased low {groups}" if low and not found.on_boundary else ""
    if not (math.isfinite(found.ml) and math.isfinite(found.reference)):
        return ""
    if found.kind in ("sd", "sigma", "icc"):
        if found.reference > 0 and found.ml < (1 - BIASED) * found.reference:
            rows = "as it spends no degrees of freedom on the fixed effects"
            return f"ML biased low {groups if found.n_levels else rows}"
        return _same(found)
    if found.kind == "fixed" and found.ml_se < (1 - BIASED) * found.reference_se:
        less = 100 * (1 - found.ml_se / found.reference_se)
        return f"ML's standard error is {less:.0f} % smaller"
    return _same(found)


def _same(found: Evidence) -> str:
    return "" if found.has_posterior or found.on_boundary else "ML and REML agree"
