"""Marks of the lab's pictures, and what stands at their axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.lab.engine import NAMES, View
from hierbayes.render.numbers import format_plain

Mark = dict[str, Any]

PAD = 0.06  # of the range of the data, on both sides of a panel
SHAPES = {"reml": "circle", "ml": "square", "posterior": "diamond", "chosen": "triangle"}


def point(
    style: str, x: float, y: float, *, level: str | None = None, strong: bool = False
) -> Mark:
    """Return a point with the symbol of its style; a click on it looks at its level."""
    name = column_name(style)
    label = f"{level}, {name}: {format_plain(float(y))}" if level else name
    return {"kind": "point", "x": float(x), "y": float(y), "style": style, "level": level,
            "shape": SHAPES.get(style, "circle"), "hollow": style == "own", "strong": strong,
            "label": label}  # fmt: skip


def arrow(start: FloatArray, end: FloatArray, style: str, *, strong: bool) -> Mark:
    """Return an arrow between two points (2,)."""
    return {"kind": "arrow", "x": [start[0], end[0]], "y": [start[1], end[1]], "style": style,
            "strong": strong}  # fmt: skip


def across(style: str, value: float, width: int) -> Mark:
    """Return a level line across a panel of ``width`` named places."""
    return {"kind": "line", "style": style, "x": [-0.6, width - 0.4], "y": [value, value]}


def name_of_level(view: View, at: Sequence[float] | FloatArray) -> Mark:
    """Return the name of the level looked at, beside a point."""
    return {"kind": "text", "x": float(at[0]), "y": float(at[1]), "text": view.state.level}


def guess_marks(view: View) -> list[Mark]:
    """Mark the guess, and the truth where it is known and revealed."""
    found = []
    if view.truth is not None:
        a, b = view.truth
        found.append(
            {"kind": "point", "x": a, "y": b, "style": "truth", "shape": "star", "r": 8,
             "label": "truth"}
        )  # fmt: skip
    guess = view.state.guess
    if not view.state.guessing or len(guess) != len(view.terms):
        return found
    x, y = (guess[0], guess[1]) if len(guess) > 1 else (0.5, guess[0])
    return [*found, {"kind": "point", "x": x, "y": y, "style": "guess", "shape": "star", "r": 8,
             "label": "your guess"}]  # fmt: skip


def ellipse(centre: FloatArray, covariance: FloatArray, share: float) -> dict[str, list[float]]:
    """Outline that holds a share of a bivariate normal; a line where a direction has no variance.

    With two dimensions the chi-squared quantile is -2 log(1 - share).
    """
    sizes, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(sizes, 0.0))
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.vstack([np.cos(angle), np.sin(angle)]) * np.sqrt(-2 * np.log1p(-share))
    x, y = centre[:, None] + root @ circle
    return {"x": x.tolist(), "y": y.tolist()}


def limits(values: FloatArray, *, least: float = 0.0, from_zero: bool = False) -> list[float]:
    """Return the ends of an axis that holds values with some room; at least ``least`` wide."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = 0.0 if from_zero else low
    width = max(high - low, least, 1e-9 * max(abs(high), 1e-300))
    return [low if from_zero else low - PAD * width, high + PAD * width]


def is_placed(mark: Mark) -> bool:
    """Whether all coordinates of a mark are numbers."""
    return bool(np.isfinite(np.concatenate([np.ravel(mark.get(axis, 0.0)) for axis in "xy"])).all())


def rounded(mark: Mark) -> Mark:
    """Return the mark with plain floats; six digits are more than a screen has."""
    for axis in ("x", "y"):
        if axis in mark:
            value = mark[axis]
            mark[axis] = [_six(v) for v in value] if isinstance(value, list) else _six(value)
    return mark


def _six(value: float) -> float:
    return float(f"{float(value):.6g}")


def response_name(view: View) -> str:
    """Return how the response is called in the formula."""
    return view.reml.design.formula.response_label


def axis_label(view: View, column: str) -> str:
    """Return a column with its unit, where it is known."""
    unit = view.case.units.get(column)
    return f"{column} ({unit})" if unit else column


def term_label(view: View, term: int) -> str:
    """Return a term with its unit: the response's per unit of the term's column."""
    response, x = view.case.units.get(response_name(view)), view.terms[term]
    if not response:
        return x
    per = view.case.units.get(x)
    return f"{x} ({response}/{per})" if per else f"{x} ({response})"


def column_name(style: str) -> str:
    """Return what a style stands for, in words."""
    others = {
        "own": "No pooling",
        "complete": "Complete",
        "guess": "Your guess",
        "truth": "Truth",
    }
    return others.get(style, NAMES.get(style, style))
