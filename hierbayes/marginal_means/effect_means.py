"""What a model expects along a predictor, others kept apart, averaged over or held.

The means are those of ``hb.emmeans`` on a grid along x, for a likelihood fit and for a posterior
alike: means of the typical group, averaged with equal weights over the factors that are not shown.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.marginal_means.effect_grid import EffectGrid, EffectVariable, effect_grid
from hierbayes.marginal_means.emmeans import CATEGORY, emmeans
from hierbayes.options import PredictionType, check_option
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import listed


@record
class EffectMeans:
    """Means along x, with their intervals.

    Attributes
    ----------
    shown : the variables and the grid
    curves : one for each combination of what is kept apart, the first variable fastest; a tuple
        of positions among the values of each
    apart : what is kept apart; the category of a probability is first
    means : per row ``curve`` (position among ``curves``) ``x`` (place along the axis) ``estimate
        std_error conf_low conf_high``; NaN where the data do not determine a mean
    response : label of the response
    scale : "response", "link" or "probability"
    is_posterior : whether the intervals are credible ones
    level : of the intervals
    notes : sentences on what the means are, as ``hb.emmeans`` prints them
    of_levels : whether x is a grouping factor, whose levels the means are of
    """

    shown: EffectGrid
    curves: tuple[tuple[int, ...], ...]
    apart: tuple[EffectVariable, ...]
    means: pd.DataFrame
    response: str
    scale: PredictionType
    is_posterior: bool
    level: float
    notes: tuple[str, ...]
    of_levels: bool = False

    @property
    def words(self) -> str:
        """What the means are averaged over and where other predictors stand."""
        parts = []
        if self.shown.averaged:
            names = [
                f"{name} (which interacts)" if name in self.shown.interacting else name
                for name in self.shown.averaged
            ]
            parts.append(f"averaged over {listed(names)}, equal weights")
        held = [*self.shown.held]
        held += [f"{one.name} at {one.words}" for one in self.shown.by if one.words]
        if held:
            parts.append(f"with {listed(held)}")
        return "; ".join(parts)


def effect_means(
    fit: Fit,
    *,
    x: str | None = None,
    by: Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    scale: PredictionType | None = None,
    level: float = 0.95,
) -> EffectMeans:
    """Compute the means of a picture of an effect.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    x : the predictor along x
    by : up to two predictors kept apart
    at : values of predictors, in place of their levels, or of the mean of a number
    scale : "response", "link" or, of ordered categories, "probability"; the response unless said,
        of ordered categories the probability
    level : level of the intervals

    Raises
    ------
    OptionError
        If a name is no predictor of the fixed part, or ``scale`` is not one of these.
    """
    if scale is not None:
        check_option("scale", scale, PredictionType)
        if scale == "count":
            raise OptionError("scale='count': a mean has no number of trials; use 'response'.")
    own = scale or ("probability" if fit.response_family.is_ordinal else "response")
    shown = effect_grid(fit, x=x, by=None if by is None else tuple(by), at=at)
    specs = [shown.x.name, *(one.name for one in shown.by)]
    found = emmeans(fit, specs, at=shown.at, type=own, level=level)
    table = found.means
    apart = shown.by
    if own == "probability":
        name = next(name for name in table.columns if str(name).startswith(CATEGORY))
        labels = tuple(dict.fromkeys(table[name]))
        apart = (EffectVariable(name=name, values=labels, labels=labels, is_number=False), *apart)
    curves = tuple(
        tuple(reversed(codes))
        for codes in product(*(range(len(one.values)) for one in reversed(apart)))
    )
    place = {codes: i for i, codes in enumerate(curves)}
    codes = [one.codes(table[one.name]) for one in apart]
    rows = zip(*codes, strict=True) if codes else [()] * len(table)
    means = pd.DataFrame(
        {
            "curve": [place[tuple(int(code) for code in row)] for row in rows],
            "x": shown.x.places(table[shown.x.name]),
            **{
                name: table[name].to_numpy(dtype=np.float64)
                for name in ("estimate", "std_error", "conf_low", "conf_high")
            },
        }
    )
    return EffectMeans(
        shown=shown,
        curves=curves,
        apart=apart,
        means=means.sort_values(["curve", "x"], kind="stable", ignore_index=True),
        response=fit.design.formula.response_label,
        scale=own if is_generalised(fit) else "response",
        is_posterior=isinstance(fit, PosteriorFit),
        level=level,
        notes=(*found.notes, found.mean_words),
    )


def is_generalised(fit: Fit) -> bool:
    """Whether the scale of the link is another one than that of the response."""
    if isinstance(fit, PosteriorFit):
        return not fit.predictor_is_expectation
    return isinstance(fit, GeneralisedFit)
