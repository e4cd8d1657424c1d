"""Estimated marginal slopes: how steeply the model's predictions rise with a number.

The slope at a cell of the reference grid is d eta / d x, or d mu / d x on the scale of the
response, by a central difference of fourth order in x, as lines through polynomials, splines and
interactions come from the formula. Slopes are averaged over the grid as means are.

Source: Lenth (2016), J. Stat. Softw. 69(1), with the difference of lower order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.marginal_means.emmeans import category_names
from hierbayes.marginal_means.emmeans_contrasts import Asked
from hierbayes.marginal_means.emmeans_estimates import Request, has_one_scale, mean_marginals
from hierbayes.marginal_means.grid_quantities import Part, averaged_cells, averaged_rows, regridded
from hierbayes.marginal_means.marginal_table import (
    Prepared,
    checked_ddf,
    marginal_table,
    prepared,
)
from hierbayes.marginal_means.spellings import adjust_named
from hierbayes.options import Ddf, IntervalKind, MeanWeights, PredictionType
from hierbayes.prediction.reference_grid import Predictor, no_predictor, reference_grid
from hierbayes.results.emmeans_table import EmmeansTable
from hierbayes.results.fit import Fit
from hierbayes.results.marginal_quantities import Marginals, Question
from hierbayes.wording import shown

# Of the range of x. The difference is wrong by the fourth power of it, rounding by 1e-16 over it.
STEP = 1e-3
DIFFERENCE = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))  # steps and their weights


@checked_call("hb.emtrends")
def emtrends(
    fit: Fit,
    specs: str | Iterable[str],
    var: str,
    by: str | Iterable[str] | None = None,
    *,
    contrasts: str | Mapping[str, Any] | Iterable[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    ddf: Ddf | None = None,
    adjust: str | None = None,
    level: float = 0.95,
    type: PredictionType = "link",
    weights: MeanWeights | Iterable[float] = "equal",
    cov_reduce: Any = "mean",
    interval: IntervalKind = "eti",
) -> EmmeansTable:
    """Estimate slopes of a number at the levels of factors, and contrasts between them.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    specs : str or list of str
        Predictors: one slope for each combination of their values, others averaged over as in
        ``emmeans``; an empty list gives the average slope. R's formulas are understood. ``var``
        itself may be among them, with values in ``at``.
    var : str
        The number whose slope is wanted, a column of the data in the fixed part.
    by, contrasts, at, ddf, adjust, level, weights, cov_reduce, interval : as of ``emmeans``
        Where the slope changes with ``var`` itself it is taken at the mean of ``var`` unless ``at``
        says otherwise.
    type : {"link", "response", "probability"}
        Slopes of the linear predictor, of the expected response, or of the probability of each
        ordered category. Slopes of responses are found at every cell of the grid and averaged.

    Returns
    -------
    EmmeansTable
        Slopes in units of the scale per unit of ``var``; offsets that change with ``var`` count.

    Raises
    ------
    OptionError
        If ``var`` is no number of the fixed part, or a name is no predictor.
    DataError
        If the formula has no value near one of ``var``.

    Examples
    --------
    >>> import hierbayes as hb
    >>> oats = hb.load_dataset("Oats")
    >>> fit = hb.lmer("yield ~ nitro * Variety + (1 | Block/Variety)", oats)
    >>> found = hb.emtrends(fit, "Variety", "nitro", contrasts="pairwise")
    >>> found.to_frame()[["Variety", "estimate"]].round(1).values.tolist()
    [['Golden Rain', 75.3], ['Marvellous', 64.6], ['Victory', 81.1]]
    >>> found.contrasts["p_value"].round(2).tolist()
    [0.8, 0.94, 0.59]
    """
    ddf = checked_ddf(fit, "emtrends", ddf, level=level, type=type, interval=interval)
    how = None if adjust is None else adjust_named(adjust)
    made = prepared(fit, specs, by, contrasts, at=at, weights=weights, cov_reduce=cov_reduce)
    parts = _shifted(fit, made, var, at=at, cov_reduce=cov_reduce)
    request = Request(ddf=ddf, on_link=type == "link", kind="difference", interval=interval)
    marginals = _slopes(fit, made, parts, request, of_categories=type == "probability")
    return marginal_table(
        fit,
        made,
        marginals,
        Question(level=level),
        contrasts=Asked(contrasts=made.contrasts),
        adjust=how,
        title=f"Slopes of {var}",
    )


def _shifted(fit: Fit, made: Prepared, var: Any, *, at: Any, cov_reduce: Any) -> tuple[Part, ...]:
    """Grids to either side of the values of ``var``, with the weights of a difference."""
    own = _number_of(fit, made, var)
    assert own.range is not None
    extent = own.range[1] - own.range[0]
    step = STEP * (extent or max(abs(own.range[0]), 1.0))
    return tuple(
        Part(
            weight / step,
            reference_grid(fit, at, reduce=cov_reduce, shift=(own.name, places * step)),
        )
        for places, weight in DIFFERENCE
    )


def _number_of(fit: Fit, made: Prepared, var: Any) -> Predictor:
    grid = made.averaging.grid
    if not isinstance(var, str) or var not in grid.names():
        raise OptionError(f"var: {no_predictor(fit, var, grid.names())}")
    own = next(p for p in grid.predictors if p.name == var)
    if own.range is None or var in fit.design.mean.layout.coded():
        raise OptionError(
            f"var={shown(var)} is a factor of the model, which has no slope; ask hb.emmeans for "
            "its levels."
        )
    return own


def _slopes(
    fit: Fit, made: Prepared, parts: tuple[Part, ...], request: Request, *, of_categories: bool
) -> Marginals:
    rows, by = averaged_rows(fit, made.averaging, parts), made.by
    if request.on_link or has_one_scale(fit):
        found = mean_marginals(
            fit, rows, replace(request, on_link=True), specs=made.specs, by=made.by
        )
        return replace(found, response=None, exp_of_difference=None)
    names, column = category_names(fit, rows.labels.columns) if of_categories else ((), "")
    cells = averaged_cells(
        fit, made.averaging, ddf=request.ddf, interval=request.interval,
        n_categories=len(names), parts=parts,
    )  # fmt: skip
    if of_categories:
        rows, by = rows.of_categories(names, column), (*by, column)
    return regridded(fit, rows, cells, request, transform="response", specs=made.specs, by=by)
