"""Lines of a level by no, partial and complete pooling, over the x axis of the pictures."""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.lab.engine import Estimate, View, table_column
from hierbayes.lab.presets import LAST_X

MOST_BEHIND = 60


def pooling_lines(view: View) -> dict[str, dict[str, list[float]]]:
    """Lines of the level looked at, by style."""
    first = view.estimates[view.first]
    free = all_terms(first, view, "unpenalised") - all_terms(first, view, "population")
    lines = {"complete": pooling_line(view, view.complete, None)}
    if view.determined[view.level]:
        lines["own"] = pooling_line(view, first.fit.beta, free[view.level])
    for style, estimate in view.drawn:
        effect = all_terms(estimate, view, "effect")
        lines[style] = pooling_line(view, estimate.fit.beta, effect[view.level])
    if view.state.guessing and len(view.state.guess) == len(view.terms):
        guessed = np.zeros(free.shape[1])
        guessed[: len(view.terms)] = np.array(view.state.guess) - first.population
        lines["guess"] = pooling_line(view, first.fit.beta, guessed)
    if view.truth is not None:
        a, b = view.truth
        lines["truth"] = {"x": [0.0, LAST_X], "y": [a, a + b * LAST_X]}
    return lines


def lines_behind(view: View) -> list[dict[str, Any]]:
    """Draw the partially pooled lines of the other levels, each over its own rows."""
    if view.is_hidden or not _is_straight(view):
        return []
    x, codes = x_values(view), view.reml.design.factors[view.position].codes
    first = view.estimates[view.first]
    effects = all_terms(first, view, "effect")
    found: list[dict[str, Any]] = []
    for j in range(min(len(view.levels), MOST_BEHIND)):
        if j != view.level:
            own = x[codes == j]
            ends = np.array([own.min(), own.max()])
            found.append(
                {
                    "kind": "line",
                    "style": "soft",
                    **_straight(view, first.fit.beta, effects[j], ends),
                }
            )
    return found


def _is_straight(view: View) -> bool:
    """Whether the model knows x alone, so that every line is straight."""
    names = {view.reml.design.coef_names[k] for k in view.reml.kept}
    factor = view.reml.design.factors[view.position]
    return names | set(factor.columns) <= {"(Intercept)", view.case.x}


def _straight(
    view: View, beta: FloatArray, deviation: FloatArray | None, at: FloatArray
) -> dict[str, list[float]]:
    """Return fixed effects and a deviation (q,) as a line at points of the x axis."""
    columns = {"(Intercept)": np.ones(at.size), view.case.x: at}
    names = [view.reml.design.coef_names[k] for k in view.reml.kept]
    y = sum((b * columns[c] for b, c in zip(beta, names, strict=True)), np.zeros(at.size))
    if deviation is not None:
        terms = view.reml.design.factors[view.position].columns
        y = y + sum((b * columns[c] for b, c in zip(deviation, terms, strict=True)), 0.0)
    return {"x": at.tolist(), "y": y.tolist()}


def pooling_line(
    view: View, beta: FloatArray, deviation: FloatArray | None
) -> dict[str, list[float]]:
    """Return the line of fixed effects and a deviation (q,) over the x axis.

    Straight over the whole axis where the model knows x alone; else over the level's own rows.
    """
    design, x = view.reml.design, x_values(view)
    factor = design.factors[view.position]
    if _is_straight(view):
        return _straight(view, beta, deviation, np.array([x.min(), x.max()]))
    mine = np.flatnonzero(factor.codes == view.level)
    mine = mine[np.argsort(x[mine], kind="stable")]
    y = design.X[np.ix_(mine, view.reml.kept)] @ beta
    if design.offset is not None:
        y = y + design.offset[mine]
    if deviation is not None:
        y = y + factor.z[mine] @ deviation
    return {"x": x[mine].tolist(), "y": y.tolist()}


def all_terms(estimate: Estimate, view: View, column: str) -> FloatArray:
    """Return a column of the shrinkage table over all terms of the factor, (J, q)."""
    return table_column(estimate.table, column, estimate.fit, view.position)


def x_values(view: View) -> FloatArray:
    """Return the predictor on the x axis, shape (n,)."""
    return np.asarray(view.reml.design.variables[view.case.x or ""], dtype=np.float64)
