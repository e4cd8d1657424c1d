"""Estimated marginal means: what the fixed part predicts, averaged over a balanced grid.

A mean is l'beta with l the average, with equal weights, of the grid's rows that share the values of
``specs`` and ``by``. Random effects are left out: it is a mean for the typical group. A likelihood
fit has t intervals with degrees of freedom of their own for every l; a posterior has l'beta in
every draw.

Source: Searle, Speed & Milliken (1980), Am. Stat. 34:216; Lenth (2016), J. Stat. Softw. 69(1).
"""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.effects.emmeans_contrasts import ContrastRows, contrast_rows
from hierbayes.effects.emmeans_estimates import (
    FitEstimates,
    MeanRows,
    PosteriorEstimates,
    Request,
)
from hierbayes.effects.emmeans_notes import grid_notes
from hierbayes.effects.reference_grid import (
    ReferenceGrid,
    is_estimable,
    no_predictor,
    reference_grid,
)
from hierbayes.errors import OptionError
from hierbayes.intervals.satterthwaite import held_notes
from hierbayes.options import Adjust, Ddf, PredictionType, check_option
from hierbayes.results.emmeans_table import EmmeansTable
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.tidy import check_level

FloatArray = npt.NDArray[np.float64]


def emmeans(
    fit: Any,
    specs: str | Iterable[str],
    by: str | Iterable[str] | None = None,
    *,
    contrasts: Literal["pairwise"] | Mapping[str, Any] | Iterable[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    ddf: Ddf = "satterthwaite",
    adjust: Adjust | None = None,
    level: float = 0.95,
    type: PredictionType = "link",
) -> EmmeansTable:
    """Estimate marginal means of predictors, and contrasts between them.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    specs : str or list of str
        Columns of the data in the fixed part: one mean for each combination of their values. All
        other factors are averaged over with equal weights; numbers stand at their mean (both
        values of a number that has two).
    by : str or list of str, optional
        Predictors whose values are kept apart: contrasts are made, and adjusted, within each.
    contrasts : "pairwise", dict or list, optional
        "pairwise" for all differences; a dict from a name to weights, one for each mean of a
        group or as a dict from its label; a list of pairs ``("A", "B")`` for A - B.
    at : dict, optional
        Values of predictors: ``{"Days": [0, 9]}``, or some of the levels of a factor.
    ddf : {"satterthwaite", "kenward-roger", "normal", "none"}
        Degrees of freedom of a likelihood fit.
    adjust : {"tukey", "holm", "none"}
        For several tests: Tukey for pairwise differences and none for others unless said.
    level : float
    type : {"link", "response"}
        Scale; contrasts on the response scale are differences of means there. The same for a
        Gaussian model.

    Returns
    -------
    EmmeansTable
        ``.to_frame()`` for the means, ``.contrasts`` for the contrasts; NaN where the data do not
        determine a mean (a combination of levels without rows in a model with interactions).

    Raises
    ------
    OptionError
        If a name is no predictor of the fixed part.
    DataError
        If ``at`` has a level that is not in the data.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> found = hb.emmeans(fit, "Machine", contrasts="pairwise")
    >>> found.contrasts[["contrast", "p_value"]].round(4).values.tolist()
    [['A - B', 0.0111], ['A - C', 0.0002], ['B - C', 0.0507]]
    """
    _check_options(fit, ddf=ddf, adjust=adjust, level=level, type=type)
    asked, groups = _names("specs", specs), () if by is None else _names("by", by)
    _check_apart(asked, groups)
    grid = reference_grid(fit, at)
    for argument, names in (("specs", asked), ("by", groups)):
        for name in names:
            if name not in grid.names():
                raise OptionError(f"{argument}: {no_predictor(fit, name, grid.names())}")
    rows = _mean_rows(fit, grid, asked + groups)
    per_group = int(np.prod([len(_values(grid, name)) for name in asked]))
    wanted, method = None, None
    if contrasts is not None:
        wanted = contrast_rows(contrasts, rows.labels[list(asked)].head(per_group))
        method = wanted.adjustment(adjust)
    kind = PosteriorEstimates if isinstance(fit, PosteriorFit) else FitEstimates
    request = Request(ddf=ddf, level=level, on_link=type == "link")
    weights = None if wanted is None else wanted.weights
    estimates = kind.of(fit, rows, weights=weights, request=request)
    table, words = None, ""
    if wanted is not None and method is not None:
        table = _contrast_table(rows, wanted, estimates, by=groups, method=method)
        words = estimates.contrast_words(
            method, n_means=per_group, n_tests=len(wanted.names), grouped=bool(groups)
        )
    return EmmeansTable(
        means=rows.labels.assign(**estimates.means()),
        contrasts=table,
        specs=asked,
        by=groups,
        notes=grid_notes(fit, grid, asked + groups, estimable=rows.estimable)
        + (held_notes(fit, ddf) if isinstance(fit, LikelihoodFit) else ()),
        mean_words=estimates.mean_words(),
        contrast_words=words,
        level=level,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def _check_options(fit: Any, *, ddf: Any, adjust: Any, level: float, type: Any) -> None:
    if not isinstance(fit, LikelihoodFit | PosteriorFit):
        found = fit.__class__.__name__
        raise OptionError(f"emmeans is about a fit or a posterior; it got {found}.")
    check_option("ddf", ddf, Ddf)
    check_option("type", type, PredictionType)
    if adjust is not None:
        check_option("adjust", adjust, Adjust)
    check_level(level)


def _names(argument: str, given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise OptionError(f"{argument}={given!r} must be a predictor's name or a list of names.")
    names = tuple(names)
    if not names:
        raise OptionError(f"{argument}={given!r} names no predictor.")
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"{argument}: {name!r} is not a predictor's name.")
    if len(set(names)) < len(names):
        raise OptionError(f"{argument}={given!r} names a predictor twice.")
    return names


def _check_apart(specs: tuple[str, ...], by: tuple[str, ...]) -> None:
    both = [name for name in specs if name in by]
    if both:
        raise OptionError(f"{both[0]!r} stands in specs and in by; leave it out of one.")


def _values(grid: ReferenceGrid, name: str) -> tuple[Any, ...]:
    return next(p.values for p in grid.predictors if p.name == name)


def _mean_rows(fit: Any, grid: ReferenceGrid, wanted: tuple[str, ...]) -> MeanRows:
    """Average the grid over every predictor that is not wanted."""
    axes = grid.names()[::-1]  # of the grid as an array
    over = tuple(i for i, name in enumerate(axes) if name not in wanted)
    left = [name for name in axes if name in wanted]
    order = [left.index(name) for name in reversed(wanted)]
    p = grid.X.shape[1]
    X = grid.X.reshape(*grid.shape, p).mean(axis=over).transpose(*order, len(order)).reshape(-1, p)
    offset = grid.offset.reshape(grid.shape).mean(axis=over).transpose(order).ravel()
    combinations = product(*(_values(grid, name) for name in reversed(wanted)))
    labels = pd.DataFrame([values[::-1] for values in combinations], columns=list(wanted))
    return MeanRows(
        labels=labels,
        L=X[:, fit.kept],
        offset=offset,
        estimable=is_estimable(X, fit.design.X, fit.kept),
    )


def _contrast_table(
    rows: MeanRows,
    wanted: ContrastRows,
    estimates: FitEstimates | PosteriorEstimates,
    *,
    by: tuple[str, ...],
    method: Adjust,
) -> pd.DataFrame:
    """Contrasts within each combination of ``by``, one family each."""
    count, n_means = wanted.weights.shape
    parts = []
    for group in range(len(rows.labels) // n_means):
        found = estimates.contrasts(group, count, method=method, n_means=n_means)
        part = pd.DataFrame({"contrast": list(wanted.names), **found})
        for place, name in enumerate(by):
            part.insert(place, name, rows.labels[name].iloc[group * n_means])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
