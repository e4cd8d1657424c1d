"""The pictures of the lab as scenes: panels of marks in data coordinates.

A scene is plain data (dicts, lists, numbers, texts), drawn by ``stage.js`` in the browser, so that
a moving slider sends some kilobytes instead of an image, and an observation can be dragged. What a
panel shows is said in words too (``alt``). Nothing is estimated here.

Marks: ``line`` (x, y), ``area`` (x, y down to zero), ``point``, ``arrow``, ``text``, and
``obs`` for observations that can be moved. Each names a style of the stage: "own" (no pooling),
"complete", "reml", "ml", "posterior", "chosen", "soft".
"""

import math
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.lab.engine import NAMES, View
from hierbayes.lab.marks import (
    SHAPES,
    Mark,
    across,
    arrow,
    axis_label,
    column_name,
    ellipse,
    guess_marks,
    is_placed,
    limits,
    name_of_level,
    point,
    response_name,
    rounded,
    term_label,
)
from hierbayes.lab.pooling_lines import lines_behind, pooling_lines, x_values
from hierbayes.lab.words import in_words
from hierbayes.render.numbers import format_plain
from hierbayes.results.posterior_fit import PosteriorFit

Panel = dict[str, Any]

MOST_SHOWN = 30  # levels side by side; more are those around the level looked at
LEVELS_OF_ELLIPSES = (0.5, 0.95)
BINS = 36


def scene(view: View) -> dict[str, Any]:
    """Return everything the stage draws for a view."""
    panels = [lines_panel(view) if view.case.x else strip_panel(view)]
    panels.append(plane_panel(view) if len(view.terms) > 1 else slopes_panel(view))
    if not view.is_hidden:
        panels.append(reliability_panel(view))
        panels += [sd_panel(view, term) for term in range(len(view.terms))]
    for panel in panels:
        # what the data do not determine has no number and so no place
        panel["marks"] = [rounded(mark) for mark in panel["marks"] if is_placed(mark)]
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


def lines_panel(view: View) -> Panel:
    """Draw the observations of the level looked at, with its lines; the others behind them."""
    x, y = x_values(view), view.reml.design.y
    codes = view.reml.design.factors[view.position].codes
    mine = codes == view.level
    marks: list[Mark] = [
        {"kind": "point", "x": float(a), "y": float(b), "style": "soft", "r": 1.6,
         "level": view.levels[j]}
        for a, b, j in zip(x[~mine], y[~mine], codes[~mine], strict=True)
    ]  # fmt: skip
    marks += lines_behind(view)
    named = pooling_lines(view)
    marks += [{"kind": "line", "style": style, **line} for style, line in named.items()]
    marks += _observations(view, np.flatnonzero(mine), x)
    lines = ", ".join(_line_words(style) for style in named)
    return {
        "id": "data",
        "title": f"{view.factor} {view.state.level}",
        "alt": f"Observations of {view.factor} {view.state.level} and its lines: {lines}. "
        f"Other levels are drawn behind.",
        "x": {"label": axis_label(view, view.case.x or ""), "limits": limits(x)},
        "y": {"label": axis_label(view, response_name(view)), "limits": limits(y)},
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
    marks: list[Mark] = [across("complete", _complete_value(view), len(shown))]
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
        marks.append(point("own", place[level] + 0.1, view.unpenalised[level, 0], level=name))
        for k, (style, estimate) in enumerate(view.drawn):
            at = place[level] + 0.2 + 0.1 * k
            marks.append(point(style, at, estimate.coefficient[level, 0], level=name))
    return {
        "id": "data",
        "title": "Observations and estimates",
        "alt": f"Observations of {len(shown)} levels of {view.factor}, each with its own mean "
        f"and {_estimator_words(view)}. The dotted line is complete pooling.",
        "x": {"label": view.factor, "limits": [-0.6, len(shown) - 0.3],
              "ticks": [[i, view.levels[level]] for i, level in enumerate(shown)]},
        "y": {"label": axis_label(view, response_name(view)), "limits": limits(heights)},
        "marks": marks,
    }  # fmt: skip


def plane_panel(view: View) -> Panel:
    """Draw intercepts against slopes: arrows from own estimates to shrunken ones."""
    own, first = view.unpenalised, view.estimates[view.first]
    marks: list[Mark] = []
    if not view.is_hidden and np.isfinite(first.covariance).all():
        for share in LEVELS_OF_ELLIPSES:
            outline = ellipse(first.population, first.covariance, share)
            marks.append({"kind": "line", "style": "soft", **outline})
    for j, name in enumerate(view.levels):
        if not view.is_hidden:
            marks.append(arrow(own[j], first.coefficient[j], view.first, strong=j == view.level))
        marks.append(point("own", own[j, 0], own[j, 1], level=name, strong=j == view.level))
        for style, estimate in view.drawn:
            at = estimate.coefficient[j]
            marks.append(point(style, at[0], at[1], level=name, strong=j == view.level))
    at = first.population
    marks.append({"kind": "point", "x": at[0], "y": at[1], "style": "complete", "shape": "cross",
                  "r": 8, "label": "population"})  # fmt: skip
    marks.append(name_of_level(view, own[view.level]))
    marks += guess_marks(view)
    points = np.vstack([own, *(e.coefficient for _, e in view.drawn)])
    return {
        "id": "plane",
        "title": "From no pooling to partial",
        "alt": f"{view.terms[1]} against {view.terms[0]} of {len(view.levels)} levels: hollow "
        f"points without pooling, arrows to {NAMES[view.first]} estimates, ellipses that hold 50 "
        "and 95 % of the levels, a cross at the population.",
        "x": {"label": term_label(view, 0), "limits": limits(points[:, 0])},
        "y": {"label": term_label(view, 1), "limits": limits(points[:, 1])},
        "marks": marks,
        "pick": view.state.guessing and not view.state.revealed,
    }


def slopes_panel(view: View) -> Panel:
    """Draw each level from its own estimate over the estimators to complete pooling."""
    drawn = view.drawn
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
            point(style, k, values[j], level=view.levels[j], strong=j == view.level)
            for k, (style, values) in enumerate(columns)
        ]
    marks.append(name_of_level(view, (0.0, view.unpenalised[view.level, 0])))
    marks += guess_marks(view)
    return {
        "id": "plane",
        "title": "From no pooling to complete",
        "alt": f"{view.terms[0]} of {len(view.levels)} levels of {view.factor}: without pooling "
        f"at the left, then {_estimator_words(view)}, and the population at the right.",
        "x": {"label": "", "limits": [-0.5, len(columns) - 0.5],
              "ticks": [[k, column_name(style)] for k, (style, _) in enumerate(columns)]},
        "y": {"label": term_label(view, 0), "limits": limits(view.unpenalised[:, 0])},
        "marks": marks,
        "pick": view.state.guessing and not view.state.revealed,
    }  # fmt: skip


def reliability_panel(view: View) -> Panel:
    """Draw what share of its own deviation each level keeps, against what it has of data."""
    by_se = view.reml.design.known_sd is not None
    x = view.unpenalised_se[:, 0] if by_se else view.n.astype(np.float64)
    marks: list[Mark] = []
    if not view.is_hidden:
        marks += _reliability_curve(view, x, by_se=by_se)
        for style, estimate in view.drawn:
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
              "limits": limits(x, least=1.0, from_zero=True)},
        "y": {"label": "reliability",
              "limits": [-0.04, 1.04]},
        "marks": marks,
    }  # fmt: skip


def sd_panel(view: View, term: int) -> Panel:
    """Draw prior and posterior of one between-sd, with the estimates as lines."""
    marks: list[Mark] = []
    sds = {
        name: float(np.sqrt(estimate.covariance[term, term]))
        for name, estimate in view.estimates.items()
    }
    top = max((sd for sd in sds.values() if math.isfinite(sd)), default=0.0) * 2.2
    posterior = view.estimates.get("posterior")
    words = []
    if posterior is not None:
        assert isinstance(posterior.fit, PosteriorFit)
        draws = posterior.fit.draws.sd[view.factor][..., term].ravel()
        top = max(top, float(np.quantile(draws, 0.99)))
        marks += _densities(view, posterior.fit, draws, term=term, top=top)
        words.append(f"posterior median {format_plain(float(np.median(draws)))}")
    height = max((max(mark["y"]) for mark in marks if mark["kind"] != "text"), default=1.0)
    for style, at in sds.items():
        if style != "posterior":
            marks.append({"kind": "line", "style": style, "x": [at, at], "y": [0, height]})
            marks.append(point(style, at, height))
            words.append(f"{NAMES[style]} {format_plain(at)}")
    return {
        "id": f"sd{term}",
        "title": f"Between-sd of {view.terms[term]}",
        "alt": f"Between-sd of {view.terms[term]}: " + ", ".join(words) + ".",
        "x": {"label": "between-sd, " + term_label(view, term), "limits": [0, top or 1.0]},
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
    marks.append({"kind": "text", "style": "soft", "x": at[40], "y": values[40], "text": "prior"})
    return marks


def _reliability_curve(view: View, x: FloatArray, *, by_se: bool) -> list[Mark]:
    """tau^2 / (tau^2 + sigma^2 / n): the reliability of an intercept in a model of one factor."""
    simple = len(view.factors) == 1 and view.terms == ("(Intercept)",)
    if not simple:
        return []
    first = view.estimates[view.first]
    low, high = limits(x, least=1.0, from_zero=True)
    at = np.linspace(max(low, 0.02), high, 60)
    tau2 = first.covariance[0, 0]
    own = at**2 if by_se else first.fit.sigma**2 / at
    return [{"kind": "line", "style": "soft", "x": at.tolist(),
             "y": (tau2 / (tau2 + own)).tolist()}]  # fmt: skip


def _observations(view: View, rows: IntArray, x: FloatArray) -> list[Mark]:
    design = view.reml.design
    factor = design.factors[view.position]
    moved = dict(view.state.edits)
    found = []
    for i in rows:
        row = int(view.case.rows[design.rows.positions[i]])
        level = view.levels[factor.codes[i]]
        where = f", {view.case.x} {x[i]:g}" if view.case.x else ""
        found.append(
            {"kind": "obs", "x": float(x[i]), "y": float(design.y[i]), "row": row,
             "level": level, "label": f"{view.factor} {level}{where}", "moved": row in moved}
        )  # fmt: skip
    return found


def _complete_value(view: View) -> float:
    """Complete pooling of the first term; what X does not hold is zero."""
    names = [view.reml.design.coef_names[k] for k in view.reml.kept]
    return float(dict(zip(names, view.complete, strict=True)).get(view.terms[0], 0.0))


def _shown_levels(view: View) -> list[int]:
    J = len(view.levels)
    start = int(np.clip(view.level - MOST_SHOWN // 2, 0, max(J - MOST_SHOWN, 0)))
    return list(range(start, min(start + MOST_SHOWN, J)))


def _line_words(style: str) -> str:
    return {"own": "no pooling (dashed)", "complete": "complete pooling (dotted)"}.get(
        style, column_name(style)
    )


def _estimator_words(view: View) -> str:
    return ", ".join(NAMES[style] for style, _ in view.drawn) or "hidden estimates"


def _reliability_words(view: View) -> str:
    if view.is_hidden:
        return "hidden until you reveal it"
    first = view.estimates[view.first].reliability[view.level]
    pairs = zip(view.terms, first, strict=True)
    return ", ".join(f"{term} {value:.2f}" for term, value in pairs)


def _legend(view: View) -> list[dict[str, Any]]:
    styles = ["own", *(style for style, _ in view.drawn), "complete"]
    styles += ["guess"] if view.state.guessing else []
    styles += ["truth"] if view.truth is not None else []
    words = {"own": "no pooling", "complete": "complete / population"}
    shapes = {"complete": "cross", "guess": "star", "truth": "star", "own": "circle"} | SHAPES
    return [
        {"style": style, "shape": shapes[style], "hollow": style == "own",
         "text": words.get(style, column_name(style))}
        for style in styles
    ]  # fmt: skip


def _step(view: View) -> float:
    """How far one press of a key moves an observation: a round number near 1 % of the range."""
    y = view.reml.design.y
    width = float(np.ptp(y)) or 1.0
    return float(10.0 ** np.floor(np.log10(width / 30)))
