"""What a model expects of each level of a grouping factor, and of a new response of a new group.

Both are what ``predict`` answers at the values a picture holds the predictors at.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.marginal_means.effect_grid import EffectGrid, EffectVariable, held_words, row_values
from hierbayes.marginal_means.effect_means import EffectMeans, is_generalised
from hierbayes.options import PredictionType
from hierbayes.prediction.data_rows import spread_columns
from hierbayes.prediction.reference_grid import Predictor, reference_grid
from hierbayes.prediction.typical_values import typical_value
from hierbayes.results.fit import Fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.prediction_table import heading_lines
from hierbayes.wording import listed

SEED = 1  # of the new responses of a posterior


def is_grouping_factor(fit: Fit, name: str | None) -> bool:
    """Whether a name is a grouping factor's and no predictor's, or stands for the only thing."""
    predictors = fit.design.mean.fixed_columns()
    if name is None:
        return not predictors and bool(fit.design.factors)
    return name in fit.n_groups and name not in predictors


def level_means(
    fit: Fit,
    *,
    group: str | None = None,
    at: Mapping[str, Any] | None = None,
    scale: PredictionType | None = None,
    level: float = 0.95,
) -> EffectMeans:
    """Compute what is expected of each level of a grouping factor, others left out.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    group : the grouping factor; the first unless said
    at : values of predictors; numbers stand at their mean unless said
    scale : "response" unless said, or "link"
    level : level of the intervals

    Raises
    ------
    OptionError
        If a predictor has several values that are not those of the levels.
    """
    factors = {factor.name: factor for factor in fit.design.factors}
    factor = next(iter(factors.values())) if group is None else factors[group]
    own = factor.layout.grouping_columns()
    predictors = reference_grid(fit, at).predictors
    _check_held(predictors, own, factor.name)
    first = np.unique(factor.codes, return_index=True)[1]
    data: dict[str, Any] = {name: row_values(fit, name)[first] for name in own}
    held = []
    for predictor in predictors:
        if predictor.name not in own:
            data[predictor.name] = [predictor.values[0]] * first.size
            held.append(held_words(predictor))
    for name in fit.design.mean.random_columns():
        if name not in data:  # a slope that has no fixed effect
            value = typical_value(fit, name)
            data[name] = [value] * first.size
            held.append(
                f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"
            )
    kind: PredictionType = "link" if scale == "link" else "response"
    table = fit.predict(
        pd.DataFrame(data), groups=[factor.name], interval="confidence", level=level, type=kind
    )
    labels = tuple(map(str, factor.levels))
    x = EffectVariable(name=factor.name, values=labels, labels=labels, is_number=False)
    return EffectMeans(
        shown=EffectGrid(x=x, by=(), at={}, held=tuple(held), averaged=(), interacting=()),
        curves=((),),
        apart=(),
        means=_renamed(table).assign(curve=0, x=np.arange(first.size, dtype=np.float64)),
        response=fit.design.formula.response_label,
        scale=kind if is_generalised(fit) else "response",
        is_posterior=isinstance(fit, PosteriorFit),
        level=level,
        notes=tuple(heading_lines(table)),
        of_levels=True,
    )


def new_response_limits(fit: Fit, found: EffectMeans) -> pd.DataFrame:
    """Return limits of a new response of a new group along each curve, ``curve x lower upper``.

    Raises
    ------
    OptionError
        Where they are not known: predictors are averaged over, the residual sds of new rows or
        the family's new responses are not known, or levels are along x.
    """
    if found.of_levels or found.shown.averaged:
        over = (
            f"; {listed(found.shown.averaged)} must be held with at=" if not found.of_levels else ""
        )
        raise OptionError(f"A new response stands at one value of each predictor{over}.")
    design = fit.design
    if is_generalised(fit) or design.known_sd is not None or design.weights is not None:
        raise OptionError(
            "new_responses=True needs a Gaussian model whose residual sd is the same in all rows."
        )
    variables = (found.shown.x, *found.shown.by)
    every = [one.values for one in variables]
    codes = np.indices([len(values) for values in every]).reshape(len(every), -1)
    data: dict[str, Any] = {
        one.name: [one.values[c] for c in code] for one, code in zip(variables, codes, strict=True)
    }
    for predictor in reference_grid(fit, found.shown.at).predictors:
        if predictor.name not in data:
            data[predictor.name] = [predictor.values[0]] * codes.shape[1]
    missing = [n for n in design.mean.grouping_columns() if n not in data]
    free = [n for n in spread_columns(design) if n not in data]
    if free:
        raise OptionError(
            f"new_responses=True: the sd of a new response depends on {free[0]!r}, which is no "
            "predictor of the mean, so the picture stands at none of its values. hb.predictions "
            f"has them, over='mean', at={{{free[0]!r}: ...}}, interval='prediction'."
        )
    frame = pd.DataFrame(data).assign(**{n: np.full(codes.shape[1], np.nan) for n in missing})
    table = fit.predict(
        frame,
        groups="all",
        new_levels="population",
        interval="prediction",
        level=found.level,
        random_seed=SEED,
    )
    place = {one: i for i, one in enumerate(found.curves)}
    return pd.DataFrame(
        {
            "curve": [place[tuple(code)] for code in codes[1:].T.tolist()],
            "x": found.shown.x.places(frame[found.shown.x.name]),
            "lower": table["lower"].to_numpy(),
            "upper": table["upper"].to_numpy(),
        }
    ).sort_values(["curve", "x"], kind="stable", ignore_index=True)


def _check_held(predictors: tuple[Predictor, ...], own: tuple[str, ...], group: str) -> None:
    several = [p.name for p in predictors if p.name not in own and len(p.values) > 1]
    if several:
        raise OptionError(
            f"x={group!r}: the levels of {group} are drawn at one value of each predictor; hold "
            f"{listed(several)} with at=, for example at={{{several[0]!r}: ...}}."
        )


def _renamed(table: pd.DataFrame) -> pd.DataFrame:
    names = {"prediction": "estimate", "se": "std_error", "lower": "conf_low", "upper": "conf_high"}
    return pd.DataFrame(table).rename(columns=names).reset_index(drop=True)
