"""Averages over a reference grid as quantities: of linear predictors, of responses, of slopes.

Averages of linear predictors are averages of rows of X. What is no line in beta (expected
responses, their logs) is found at every cell of the grid and averaged with its derivatives, or draw
by draw. A slope is the same at four shifted grids, with the weights of a central difference of
fourth order.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.marginal_means.averaging import Averaging
from hierbayes.marginal_means.emmeans_estimates import (
    MeanRows,
    Request,
    draw_scale,
    on_link,
    response_values,
    scale_words,
)
from hierbayes.marginal_means.transforms import TRANSFORMS, exp_of, regrid_words, transformed
from hierbayes.options import Ddf, GridTransform, IntervalKind
from hierbayes.prediction.reference_grid import ReferenceGrid, is_estimable
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.marginal_quantities import (
    DrawQuantities,
    Family,
    FitQuantities,
    Marginals,
    Quantities,
    joined,
)
from hierbayes.results.posterior_fit import PosteriorFit

AT_ONCE = 2**22  # numbers of one block of draws of the grid: 32 MB


@record(kw_only=False)
class Part:
    """A grid with the weight that its cells have in a quantity."""

    weight: float
    grid: ReferenceGrid


def averaged_rows(fit: Fit, averaging: Averaging, parts: Sequence[Part] = ()) -> MeanRows:
    """Rows L beta + offset of the means wanted, or of a weighted sum of them at several grids."""
    parts = parts or [Part(1.0, averaging.grid)]
    sizes = np.cumsum([0, *(z.shape[1] for z in averaging.grid.z)])
    columns = sum(
        part.weight * np.column_stack([part.grid.X, part.grid.offset, *part.grid.z])
        for part in parts
    )
    means, p = averaging.average(np.asarray(columns)), averaging.grid.X.shape[1]
    X, z = means[:, :p], means[:, p + 1 :]
    return MeanRows(
        labels=averaging.labels,
        groups=averaging.groups,
        L=X[:, fit.kept],
        offset=means[:, p],
        estimable=is_estimable(X, fit.design.X, fit.identified) & averaging.has_weight,
        z=tuple(z[:, a:b] for a, b in pairwise(sizes.tolist())),
    )


def cell_rows(fit: Fit, grid: ReferenceGrid, category: int | None = None) -> MeanRows:
    """Return every cell of a grid as a row."""
    n = grid.X.shape[0]
    return MeanRows(
        labels=pd.DataFrame(index=range(n)),
        groups=(slice(0, n),),
        L=grid.X[:, fit.kept],
        offset=grid.offset,
        estimable=is_estimable(grid.X, fit.design.X, fit.identified),
        z=grid.z,
        category=None if category is None else np.full(n, category),
    )


def averaged_cells(
    fit: Fit,
    averaging: Averaging,
    *,
    ddf: Ddf,
    interval: IntervalKind,
    transform: GridTransform = "response",
    n_categories: int = 0,
    parts: Sequence[Part] = (),
) -> Quantities:
    """Averages of expected responses, or of a transform of these, found cell by cell.

    Parameters
    ----------
    n_categories : of ordered categories, whose probabilities are wanted: those of each group come
        one category after the other; 0 for expected responses
    parts : grids and their weights, in place of the grid of ``averaging``
    """
    parts = parts or [Part(1.0, averaging.grid)]
    found = []
    for category in range(n_categories) if n_categories else [None]:
        cells = [(part.weight, cell_rows(fit, part.grid, category)) for part in parts]
        if isinstance(fit, PosteriorFit):
            found.append(_averaged_draws(fit, averaging, cells, transform, interval))
        else:
            found.append(_averaged_values(fit, averaging, cells, transform, ddf))
    if len(found) == 1:
        return found[0]
    return joined(
        [
            own.taken(np.arange(group.start, group.stop))
            for group in averaging.groups
            for own in found
        ]
    )


def _averaged_values(
    fit: LikelihoodFit,
    averaging: Averaging,
    cells: Sequence[tuple[float, MeanRows]],
    transform: GridTransform,
    ddf: Ddf,
) -> Quantities:
    found = []
    for _, rows in cells:
        own = (
            response_values(fit, rows, ddf=ddf)
            if isinstance(fit, GeneralisedFit)
            else on_link(fit, rows, ddf=ddf)
        )
        found.append(transformed(own, transform))
    weights = [weight for weight, _ in cells]
    values = _sum(weights, [own.values for own in found])
    gradient = _sum(weights, [np.nan_to_num(own.gradient) for own in found])
    return FitQuantities(
        fit=fit,
        ddf=ddf,
        values=_averaged(averaging, values[:, None])[:, 0],
        gradient=averaging.average(gradient),
        further=np.empty((int(averaging.exists.sum()), 0)),
    )


def _sum(weights: Sequence[float], arrays: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(sum(w * array for w, array in zip(weights, arrays, strict=True)))


def _averaged(averaging: Averaging, columns: FloatArray) -> FloatArray:
    """Averages (r, k), NaN where a cell with weight is."""
    lost = averaging.average(np.isnan(columns[:, :1]).astype(np.float64))[:, 0] > 0
    means = averaging.average(np.nan_to_num(columns))
    means[lost | ~averaging.has_weight] = np.nan
    return means


def _averaged_draws(
    fit: PosteriorFit,
    averaging: Averaging,
    cells: Sequence[tuple[float, MeanRows]],
    transform: GridTransform,
    interval: IntervalKind,
) -> Quantities:
    flat = flat_draws(fit.draws, fit.design)
    step = max(1, AT_ONCE // max(averaging.grid.X.shape[0], 1))
    blocks = []
    for start in range(0, flat.n_draws, step):
        part = flat.take(np.arange(start, min(start + step, flat.n_draws)))
        found = []
        for _, rows in cells:
            eta = part.beta @ rows.L.T + rows.offset
            eta[:, ~rows.estimable] = np.nan
            if not fit.predictor_is_expectation:
                eta = draw_scale(fit, rows, part, "difference").means(eta)
            found.append(transformed(DrawQuantities(fit=fit, draws=eta), transform).draws)
        total = _sum([weight for weight, _ in cells], found)
        blocks.append(_averaged(averaging, total.T).T)
    return DrawQuantities(fit=fit, draws=np.concatenate(blocks), interval=interval)


def regridded(
    fit: Fit,
    rows: MeanRows,
    cells: Quantities,
    request: Request,
    *,
    transform: GridTransform,
    specs: tuple[str, ...],
    by: tuple[str, ...],
) -> Marginals:
    """Return averages of cells as marginal means, with what they are contrasted by."""
    contrasted, exp = cells, exp_of(transform)
    if request.kind != "difference":
        exp = request.kind
        log = TRANSFORMS["log" if request.kind == "ratio" else "logit"]
        contrasted = cells.carried(log.to, log.slope)
    return Marginals(
        labels=rows.labels,
        specs=specs,
        by=by,
        groups=rows.groups,
        tested=cells,
        contrasted=contrasted,
        exp_of_difference=exp,
        shows_exp=request.kind != "difference",
        scale=regrid_words(scale_words(fit, rows, on_link=False), transform),
        family=Family.of_means(rows.groups),
    )


def plain_marginals(averaging: Averaging, quantities: Quantities) -> Marginals:
    """Return quantities of the means wanted, shown as they are."""
    return Marginals(
        labels=averaging.labels,
        specs=averaging.specs,
        by=averaging.by,
        groups=averaging.groups,
        tested=quantities,
        contrasted=quantities,
        family=Family.of_means(averaging.groups),
    )
