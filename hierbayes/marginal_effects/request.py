"""What predictions, comparisons and slopes are asked for, checked once."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.intervals.replicates import checked_count, checked_jobs
from hierbayes.options import (
    Ddf,
    DrawsCentre,
    EffectAdjust,
    EffectMethod,
    Interval,
    IntervalKind,
    PredictionType,
    Target,
    check_option,
)
from hierbayes.prediction.predict import check_type
from hierbayes.results.fit import Fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

By = str | Iterable[str] | bool | None
Over = Literal["rows", "mean", "balanced"]


class EffectOptions(TypedDict, total=False):
    """Options that predictions, comparisons and slopes share, for type checkers."""

    at: Mapping[str, Any] | Over | None
    over: Any
    target: Target
    type: PredictionType
    weights: Any
    contrasts: Any
    adjust: EffectAdjust
    ddf: Ddf | None
    level: float
    interval: Interval
    centre: DrawsCentre
    credible: IntervalKind
    method: EffectMethod
    nsim: int
    random_seed: Any
    n_jobs: int


@record
class EffectRequest:
    """What is averaged over, for which groups, and how sure it is.

    Attributes
    ----------
    at : values that predictors are set to, by name, in every row: a value, a list of values, or of
        a number one of the words "mean", "median", "min", "max", "minmax", "quartiles", of a
        factor "levels"; ``at="mean"`` is short for ``over="mean"``
    over : the rows that predictions are made for: those used ("rows"), one with every number at
        its mean and every factor at its most frequent level ("mean"), all combinations of levels
        with numbers at their mean ("balanced"), or a frame of rows
    target : whose expected response it is: a "typical group", whose random effects are zero; the
        "observed groups", with the effects estimated for them; "new groups", the mean over groups
        as the random effects describe them
    type : "response", "link" or of ordered categories "probability"
    weights : of the rows in averages: a column's name or an array of a number for each row
    contrasts : between the groups of ``by`` and ``at``: a family of ``hb.emmeans``, a dict of
        weights or a list of pairs; None for the groups themselves
    adjust : for the several tests of a table
    ddf : degrees of freedom of a Gaussian fit's tests and intervals
    level : of the intervals
    interval : of expected responses, "confidence", or of new responses, "prediction"
    centre : "mean" or "median" of the draws of a posterior
    credible : "eti" (equal-tailed) or "hdi" (shortest) credible intervals
    method : "delta", or "bootstrap": percentiles of ``nsim`` refits of simulated responses
    nsim, random_seed, n_jobs : of the bootstrap
    """

    at: Mapping[str, Any] | Over | None = None
    over: Any = "rows"
    target: Target = "typical group"
    type: PredictionType = "response"
    weights: Any = None
    contrasts: Any = None
    adjust: EffectAdjust = "none"
    ddf: Ddf | None = None
    level: float = 0.95
    interval: Interval = "confidence"
    centre: DrawsCentre = "mean"
    credible: IntervalKind = "eti"
    method: EffectMethod = "delta"
    nsim: int = 500
    random_seed: Any = None
    n_jobs: int = 1

    def __post_init__(self) -> None:
        """Check every option that can be checked without a fit."""
        check_option("target", self.target, Target)
        check_option("type", self.type, PredictionType)
        check_option("adjust", self.adjust, EffectAdjust)
        check_option("method", self.method, EffectMethod)
        check_option("centre", self.centre, DrawsCentre)
        check_option("interval", self.interval, Interval)
        check_option("credible", self.credible, IntervalKind)
        if self.ddf is not None:
            check_option("ddf", self.ddf, Ddf)
        check_level(self.level)
        checked_count(self.nsim)
        checked_jobs(self.n_jobs)
        if isinstance(self.at, str):
            check_option("at", self.at, Over)
        elif not isinstance(self.at, Mapping | None):
            raise OptionError(
                f"at={shown(self.at)} must be a dict from a predictor to its values, for example "
                "at={'Days': [0, 5]}, or 'mean' or 'balanced'."
            )
        if isinstance(self.over, str):
            check_option("over", self.over, Over)
            if isinstance(self.at, str) and self.over not in ("rows", self.at):
                raise OptionError(f"at={self.at!r} and over={self.over!r} contradict each other.")

    @property
    def values(self) -> dict[str, Any]:
        """What ``at`` sets, by name."""
        return dict(self.at) if isinstance(self.at, Mapping) else {}

    @property
    def rows(self) -> Any:
        """The rows predicted for: a word, or a frame."""
        return self.at if isinstance(self.at, str) else self.over


def check_request(fit: Fit, asked: EffectRequest) -> None:
    """Raise OptionError where a fit has not what is asked for."""
    if not isinstance(fit, Fit):
        raise OptionError(f"This is about a fit or a posterior; it got {shown(fit)}.")
    check_type(asked.type, fit.response_family)
    if asked.type == "count":
        raise OptionError(
            "type='count': an average has no number of trials. type='response' is the share of "
            "successes."
        )
    if isinstance(fit, PosteriorFit):
        if asked.method == "bootstrap":
            raise OptionError(
                "method='bootstrap' is for fits by REML or ML; a posterior has its intervals from "
                "its draws. Leave method out."
            )
        if asked.ddf is not None:
            raise OptionError(
                f"ddf={asked.ddf!r} is for fits by REML or ML; the draws of a posterior need no "
                "degrees of freedom. Leave ddf out."
            )
