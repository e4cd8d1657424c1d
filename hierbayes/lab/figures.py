"""The pictures of the lab as scenes: panels of marks in data coordinates.

A scene is plain data (dicts, lists, numbers, texts), drawn by ``stage.js`` in the browser, so that
a moving slider sends some kilobytes instead of an image, and an observation can be dragged. What a
panel shows is said in words too (``alt``). Nothing is estimated here.

Marks: ``line`` (x, y), ``area`` (x, y down to zero), ``point``, ``arrow``, ``text``, and
``obs`` for observations that can be moved. Each names a style of the stage: "own" (no pooling),
"complete", "reml", "ml", "posterior", "chosen", "soft".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.lab.engine import NAMES, Estimate, View, table_column
from hierbayes.lab.words import in_words, number
from hierbayes.results.posterior_fit import PosteriorFit

FloatArray = npt.NDArray[np.float64]
Mark = dict[str, Any]
Panel = dict[str, Any]

MOST_SHOWN = 30  # levels side by side; more are those around the level looked at
LEVELS_OF_ELLIPSES = (0.5, 0.95)
BINS = 36
PAD = 0.06  # of the range of the data, on both sides of a panel
SHAPES = {"reml": "circle", "ml": "square", "posterior": "diamond", "chosen": "triangle"}


def scene(view: View) -> dict[str, Any]:
    """Return everything the stage draws for a view."""
    panels = [lines_panel(view) if view.case.x else strip_panel(view)]
    panels.append(plane_panel(view) if len(view.terms) > 1 else slopes_panel(view))
    if not hidden(view):
        panels.append(reliability_panel(view))
        panels += [sd_panel(view, term) for term in range(len(view.terms))]
    for panel in panels:
        panel["marks"] = [_rounded(mark) for mark in panel["marks"]]
    return {
        "panels": panels,
        "legend": _legend(view),
        "level": view.state.level,
        "levels": list(view.levels),
        "terms": list(view.terms),
        "guess": list(view.state.guess),
        "words": in_words(view),
        "movable": view.case.response is not None,
        "step": _step(view),
    }


def hidden(view: View) -> bool:
    """Whether estimates are kept back until the guess is revealed."""
    return view.state.guessing and not view.state.revealed


def lines_panel(view: View) -> Panel:
    """Draw the observations of the level looked at, with its lines; the others behind them."""
    x, y = _x_values(view), view.reml.design.y
    codes = view.reml.design.factors[view.position].codes
    mine = codes == view.level
    marks: list[Mark] = [
        {"kind": "point", "x": float(a), "y": float(b), "style": "soft", "r": 1.6,
         "level": view.levels[j]}
        for a, b, j in zip(x[~mine], y[~mine], codes[~mine], strict=True)
    ]  # fmt: skip
    named = _pooling_lines(view)
    marks += [{"kind": "line", "style": style, **line} for style, line in named.items()]
    marks += _observations(view, np.flatnonzero(mine), x)
    lines = ", ".join(_line_words(style) for style in named)
    return {
        "id": "data",
        "title": f"{view.factor} {view.state.level}",
        "alt": f"Observations of {view.factor} {view.state.level} and its lines: {lines}. "
        f"Other levels are drawn behind.",
        "x": {"label": _label(view, view.case.x or ""), "limits": _limits(x)},
        "y": {"label": _label(view, _response(view)), "limits": _limits(y)},
        "marks": marks,
    }


def strip_panel(view: View) -> Panel:
    """Draw the observations of every level side by side, with its estimates."""
    shown = _shown_levels(view)
    codes, y = view.reml.design.factors[view.position].codes, view.reml.design.y
    place = {level: position for position, level in enumerate(shown)}
    rows = np.flatnonzero(np.isin(codes, shown))
    x = np.full(y.size, np.nan)
    for level in shown:
        own = np.flatnonzero(codes == level)
        spread = np.linspace(-0.22, 0.0, own.size) if own.size > 1 else np.array([-0.12])
        x[own] = place[level] + spread
    marks: list[Mark] = [_across("complete", _complete_value(view), len(shown))]
    heights = y[rows]
    if view.reml.design.known_sd is not None:
        sd = view.reml.design.known_sd
        heights = np.concatenate([y[rows] - sd[rows], y[rows] + sd[rows]])
        marks += [
            {"kind": "line", "style": "soft", "x": [x[i], x[i]], "y": [y[i] - sd[i], y[i] + sd[i]]}
            for i in rows
        ]
    marks += _observations(view, rows, x)
    for level in shown:
        name = view.levels[level]
        marks.append(_point("own", place[level] + 0.1, view.unpenalised[level, 0], level=name))
        for k, (style, estimate) in enumerate(_drawn(view)):
            at = place[level] + 0.2 + 0.1 * k
            marks.append(_point(style, at, estimate.coefficient[level, 0], level=name))
    return {
        "id": "data",
        "title": "Observations and estimates",
        "alt": f"Observations of {len(shown)} levels of {view.factor}, each with its own mean "
        f"and {_estimator_words(view)}. The dotted line is complete pooling.",
        "x": {"label": view.factor, "limits": [-0.6, len(shown) - 0.3],
              "ticks": [[i, view.levels[level]] for i, level in enumerate(shown)]},
        "y": {"label": _label(view, _response(view)), "limits": _limits(heights)},
        "marks": marks,
    }  # fmt: skip


def plane_panel(view: View) -> Panel:
    """Draw intercepts against slopes: arrows from own estimates to shrunken ones."""
    own, first = view.unpenalised, view.estimates[view.first]
    marks: list[Mark] = []
    if not hidden(view):
        for share in LEVELS_OF_ELLIPSES:
            outline = _ellipse(first.population, first.covariance, share)
            marks.append({"kind": "line", "style": "soft", **outline})
    for j, name in enumerate(view.levels):
        if not hidden(view):
            marks.append(_arrow(own[j], first.coefficient[j], view.first, strong=j == view.level))
        marks.append(_point("own", own[j, 0], own[j, 1], level=name, strong=j == view.level))
        for style, estimate in _drawn(view):
            at = estimate.coefficient[j]
            marks.append(_point(style, at[0], at[1], level=name, strong=j == view.level))
    at = first.population
    marks.append({"kind": "point", "x": at[0], "y": at[1], "style": "complete", "shape": "cross",
                  "r": 8, "label": "population"})  # fmt: skip
    marks.append(_name_of_level(view, own[view.level]))
    marks += _guess_mark(view)
    points = np.vstack([own, *(e.coefficient for _, e in _drawn(view))])
    return {
        "id": "plane",
        "title": "From no pooling to partial",
        "alt": f"{view.terms[1]} against {view.terms[0]} of {len(view.levels)} levels: hollow "
        f"points without pooling, arrows to {NAMES[view.first]} estimates, ellipses that hold 50 "
        "and 95 % of the levels, a cross at the population.",
        "x": {"label": _term_label(view, 0), "limits": _limits(points[:, 0])},
        "y": {"label": _term_label(view, 1), "limits": _limits(points[:, 1])},
        "marks": marks,
        "pick": view.state.guessing and not view.state.revealed,
    }


def slopes_panel(view: View) -> Panel:
    """Draw each level from its own estimate over the estimators to complete pooling."""
    drawn = _drawn(view)
    columns = [("own", view.unpenalised[:, 0])]
    columns += [(style, estimate.coefficient[:, 0]) for style, estimate in drawn]
    population = view.estimates[view.first].population[0]
    columns.append(("complete", np.full(len(view.levels), population)))
    marks: list[Mark] = []
    order = [j for j in range(len(view.levels)) if j != view.level] + [view.level]
    for j in order:
        marks.append(
            {"kind": "line", "style": "own" if j == view.level else "soft", "solid": True,
             "x": list(range(len(columns))), "y": [values[j] for _, values in columns]}
        )  # fmt: skip
        marks += [
            _point(style, k, values[j], level=view.levels[j], strong=j == view.level)
            for k, (style, values) in enumerate(columns)
        ]
    marks.append(_name_of_level(view, (0.0, view.unpenalised[view.level, 0])))
    marks += _guess_mark(view)
    return {
        "id": "plane",
        "title": "From no pooling to complete",
        "alt": f"{view.terms[0]} of {len(view.levels)} levels of {view.factor}: without pooling "
        f"at the left, then {_estimator_words(view)}, and the population at the right.",
        "x": {"label": "", "limits": [-0.5, len(columns) - 0.5],
              "ticks": [[k, _column_name(style)] for k, (style, _) in enumerate(columns)]},
        "y": {"label": _term_label(view, 0), "limits": _limits(view.unpenalised[:, 0])},
        "marks": marks,
        "pick": view.state.guessing and not view.state.revealed,
    }  # fmt: skip


def reliability_panel(view: View) -> Panel:
    """Draw what share of its own deviation each level keeps, against what it has of data."""
    by_se = view.reml.design.known_sd is not None
    x = view.unpenalised_se[:, 0] if by_se else view.n.astype(np.float64)
    marks: list[Mark] = []
    if not hidden(view):
        marks += _reliability_curve(view, x, by_se=by_se)
        for style, estimate in _drawn(view):
            for term in range(len(view.terms)):
                marks += [
                    {"kind": "point", "x": x[j], "y": value, "style": style,
                     "shape": SHAPES[style], "hollow": term > 0, "level": view.levels[j],
                     "strong": j == view.level,
                     "label": f"{view.levels[j]}, {view.terms[term]}: {value:.2f}"}
                    for j, value in enumerate(estimate.reliability[:, term])
                ]  # fmt: skip
    hollow = f" (hollow: {view.terms[1]})" if len(view.terms) > 1 else ""
    return {
        "id": "reliability",
        "title": f"Reliability{hollow}",
        "alt": "Reliability of every level, 0 for complete and 1 for no pooling, against "
        + ("its standard error. " if by_se else "its number of observations. ")
        + f"{view.state.level}: {_reliability_words(view)}.",
        "x": {"label": "standard error of own estimate" if by_se else "observations of the level",
              "limits": _limits(x, least=1.0, from_zero=True)},
        "y": {"label": "reliability",
              "limits": [-0.04, 1.04]},
        "marks": marks,
    }  # fmt: skip


def sd_panel(view: View, term: int) -> Panel:
    """Draw prior and posterior of one between-sd, with the estimates as lines."""
    marks: list[Mark] = []
    top = max(float(np.sqrt(e.covariance[term, term])) for e in view.estimates.values()) * 2.2
    posterior = view.estimates.get("posterior")
    words = []
    if posterior is not None:
        assert isinstance(posterior.fit, PosteriorFit)
        draws = posterior.fit.draws.sd[view.factor][..., term].ravel()
        top = max(top, float(np.quantile(draws, 0.99)))
        marks += _densities(view, posterior.fit, draws, term=term, top=top)
        words.append(f"posterior median {number(float(np.median(draws)))}")
    height = max((max(mark["y"]) for mark in marks), default=1.0)
    for style, estimate in view.estimates.items():
        if style != "posterior":
            at = float(np.sqrt(estimate.covariance[term, term]))
            marks.append({"kind": "line", "style": style, "x": [at, at], "y": [0, height]})
            marks.append(_point(style, at, height))
            words.append(f"{NAMES[style]} {number(at)}")
    return {
        "id": f"sd{term}",
        "title": f"Between-sd of {view.terms[term]}",
        "alt": f"Between-sd of {view.terms[term]}: " + ", ".join(words) + ".",
        "x": {"label": "between-sd, " + _term_label(view, term), "limits": [0, top or 1.0]},
        "y": {"label": "density", "limits": [0, 1.08 * height], "bare": True},
        "marks": marks,
    }


def _densities(
    view: View, posterior: PosteriorFit, draws: FloatArray, *, term: int, top: float
) -> list[Mark]:
    share, edges = np.histogram(draws, bins=BINS, range=(0, top))
    density = share / draws.size / np.diff(edges)
    marks: list[Mark] = [
        {"kind": "area", "style": "posterior", "x": np.repeat(edges, 2)[1:-1].tolist(),
         "y": np.repeat(density, 2).tolist()}
    ]  # fmt: skip
    prior = posterior.priors.sd[view.position][term]
    at = np.linspace(0, top, 60)[1:]
    values = np.exp(prior.log_density(at))
    marks.append({"kind": "line", "style": "soft", "x": at.tolist(), "y": values.tolist()})
    return marks


def _reliability_curve(view: View, x: FloatArray, *, by_se: bool) -> list[Mark]:
    """tau^2 / (tau^2 + sigma^2 / n): the reliability of an intercept in a model of one factor."""
    simple = len(view.factors) == 1 and view.terms == ("(Intercept)",)
    if not simple:
        return []
    first = view.estimates[view.first]
    low, high = _limits(x, least=1.0, from_zero=True)
    at = np.linspace(max(low, 0.02), high, 60)
    tau2 = first.covariance[0, 0]
    own = at**2 if by_se else first.fit.sigma**2 / at
    return [{"kind": "line", "style": "soft", "x": at.tolist(),
             "y": (tau2 / (tau2 + own)).tolist()}]  # fmt: skip


def _pooling_lines(view: View) -> dict[str, dict[str, list[float]]]:
    """Lines of the level looked at, by style."""
    first = view.estimates[view.first]
    free = _full(first, view, "unpenalised") - _full(first, view, "population")
    lines = {"complete": _line(view, view.complete, None)}
    if view.determined[view.level]:
        lines["own"] = _line(view, first.fit.beta, free[view.level])
    for style, estimate in _drawn(view):
        effect = _full(estimate, view, "effect")
        lines[style] = _line(view, estimate.fit.beta, effect[view.level])
    if view.state.guessing and len(view.state.guess) == len(view.terms):
        guessed = np.zeros(free.shape[1])
        guessed[: len(view.terms)] = np.array(view.state.guess) - first.population
        lines["guess"] = _line(view, first.fit.beta, guessed)
    return lines


def _line(view: View, beta: FloatArray, deviation: FloatArray | None) -> dict[str, list[float]]:
    """Return the line of fixed effects and a deviation (q,) over the x axis.

    Straight over the whole axis where the model knows x alone; else over the level's own rows.
    """
    design, x = view.reml.design, _x_values(view)
    factor = design.factors[view.position]
    names = [design.coef_names[k] for k in view.reml.kept]
    if {*names, *factor.columns} <= {"(Intercept)", view.case.x}:
        at = np.array([x.min(), x.max()])
        columns = {"(Intercept)": np.ones(2), view.case.x: at}
        y = sum((b * columns[c] for b, c in zip(beta, names, strict=True)), np.zeros(2))
        if deviation is not None:
            pairs = zip(deviation, factor.columns, strict=True)
            y = y + sum((b * columns[c] for b, c in pairs), np.zeros(2))
        return {"x": at.tolist(), "y": y.tolist()}
    mine = np.flatnonzero(factor.codes == view.level)
    mine = mine[np.argsort(x[mine], kind="stable")]
    y = design.X[np.ix_(mine, view.reml.kept)] @ beta
    if design.offset is not None:
        y = y + design.offset[mine]
    if deviation is not None:
        y = y + factor.z[mine] @ deviation
    return {"x": x[mine].tolist(), "y": y.tolist()}


def _full(estimate: Estimate, view: View, column: str) -> FloatArray:
    """Return a column of the shrinkage table over all terms of the factor, (J, q)."""
    return table_column(estimate.table, column, estimate.fit, view.position)


def _observations(view: View, rows: npt.NDArray[np.intp], x: FloatArray) -> list[Mark]:
    design = view.reml.design
    factor = design.factors[view.position]
    frame_rows = np.arange(design.y.size) if design.rows is None else design.rows
    moved = dict(view.state.edits)
    found = []
    for i in rows:
        row = int(view.case.rows[frame_rows[i]])
        level = view.levels[factor.codes[i]]
        where = f", {view.case.x} {x[i]:g}" if view.case.x else ""
        found.append(
            {"kind": "obs", "x": float(x[i]), "y": float(design.y[i]), "row": row,
             "level": level, "label": f"{view.factor} {level}{where}", "moved": row in moved}
        )  # fmt: skip
    return found


def _drawn(view: View) -> list[tuple[str, Estimate]]:
    return [] if hidden(view) else list(view.estimates.items())


def _point(
    style: str, x: float, y: float, *, level: str | None = None, strong: bool = False
) -> Mark:
    name = _column_name(style)
    label = f"{level}, {name}: {number(float(y))}" if level else name
    return {"kind": "point", "x": float(x), "y": float(y), "style": style, "level": level,
            "shape": SHAPES.get(style, "circle"), "hollow": style == "own", "strong": strong,
            "label": label}  # fmt: skip


def _arrow(start: FloatArray, end: FloatArray, style: str, *, strong: bool) -> Mark:
    return {"kind": "arrow", "x": [start[0], end[0]], "y": [start[1], end[1]], "style": style,
            "strong": strong}  # fmt: skip


def _across(style: str, value: float, width: int) -> Mark:
    return {"kind": "line", "style": style, "x": [-0.6, width - 0.4], "y": [value, value]}


def _name_of_level(view: View, at: Sequence[float] | FloatArray) -> Mark:
    return {"kind": "text", "x": float(at[0]), "y": float(at[1]), "text": view.state.level}


def _guess_mark(view: View) -> list[Mark]:
    guess = view.state.guess
    if not view.state.guessing or len(guess) != len(view.terms):
        return []
    x, y = (guess[0], guess[1]) if len(guess) > 1 else (0.5, guess[0])
    return [{"kind": "point", "x": x, "y": y, "style": "guess", "shape": "star", "r": 8,
             "label": "your guess"}]  # fmt: skip


def _ellipse(centre: FloatArray, covariance: FloatArray, share: float) -> dict[str, list[float]]:
    """Outline that holds a share of a bivariate normal; a line where a direction has no variance.

    With two dimensions the chi-squared quantile is -2 log(1 - share).
    """
    sizes, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(sizes, 0.0))
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.vstack([np.cos(angle), np.sin(angle)]) * np.sqrt(-2 * np.log1p(-share))
    x, y = centre[:, None] + root @ circle
    return {"x": x.tolist(), "y": y.tolist()}


def _complete_value(view: View) -> float:
    """Complete pooling of the first term; what X does not hold is zero."""
    names = [view.reml.design.coef_names[k] for k in view.reml.kept]
    return float(dict(zip(names, view.complete, strict=True)).get(view.terms[0], 0.0))


def _shown_levels(view: View) -> list[int]:
    J = len(view.levels)
    start = int(np.clip(view.level - MOST_SHOWN // 2, 0, max(J - MOST_SHOWN, 0)))
    return list(range(start, min(start + MOST_SHOWN, J)))


def _x_values(view: View) -> FloatArray:
    return np.asarray(view.reml.design.variables[view.case.x or ""], dtype=np.float64)


def _response(view: View) -> str:
    return view.reml.design.formula.response_label


def _label(view: View, column: str) -> str:
    unit = view.case.units.get(column)
    return f"{column} ({unit})" if unit else column


def _term_label(view: View, term: int) -> str:
    response, x = view.case.units.get(_response(view)), view.terms[term]
    if not response:
        return x
    per = view.case.units.get(x)
    return f"{x} ({response}/{per})" if per else f"{x} ({response})"


def _column_name(style: str) -> str:
    return {"own": "No pooling", "complete": "Complete", "guess": "Your guess"} .get(
        style, NAMES.get(style, style)
    )  # fmt: skip


def _line_words(style: str) -> str:
    return {"own": "no pooling (dashed)", "complete": "complete pooling (dotted)"}.get(
        style, _column_name(style)
    )


def _estimator_words(view: View) -> str:
    return ", ".join(NAMES[style] for style, _ in _drawn(view)) or "hidden estimates"


def _reliability_words(view: View) -> str:
    if hidden(view):
        return "hidden until you reveal it"
    first = view.estimates[view.first].reliability[view.level]
    pairs = zip(view.terms, first, strict=True)
    return ", ".join(f"{term} {value:.2f}" for term, value in pairs)


def _legend(view: View) -> list[dict[str, Any]]:
    styles = ["own", *(style for style, _ in _drawn(view)), "complete"]
    styles += ["guess"] if view.state.guessing else []
    words = {"own": "no pooling", "complete": "complete pooling / population"}
    shapes = {"complete": "cross", "guess": "star", "own": "circle"} | SHAPES
    return [
        {"style": style, "shape": shapes[style], "hollow": style == "own",
         "text": words.get(style, _column_name(style))}
        for style in styles
    ]  # fmt: skip


def _limits(values: FloatArray, *, least: float = 0.0, from_zero: bool = False) -> list[float]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = 0.0 if from_zero else low
    width = max(high - low, least, 1e-9 * max(abs(high), 1e-300))
    return [low if from_zero else low - PAD * width, high + PAD * width]


def _step(view: View) -> float:
    """How far one press of a key moves an observation: a round number near 1 % of the range."""
    y = view.reml.design.y
    width = float(np.ptp(y)) or 1.0
    return float(10.0 ** np.floor(np.log10(width / 30)))


def _rounded(mark: Mark) -> Mark:
    """Return the mark with plain floats; six digits are more than a screen has."""
    for axis in ("x", "y"):
        if axis in mark:
            value = mark[axis]
            mark[axis] = [_six(v) for v in value] if isinstance(value, list) else _six(value)
    return mark


def _six(value: float) -> float:
    return float(f"{float(value):.6g}")
