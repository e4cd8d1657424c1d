"""Spline columns: B-splines, natural splines, and cubic regression splines.

The first two are the recursion of de Boor (1978), A Practical Guide to Splines, chapter IX; values
outside the boundary knots continue as R's ``bs`` (a polynomial) and ``ns`` (a straight line) do.
The last is Wood (2017), Generalized Additive Models, section 5.3.1, computed by formulaic.
"""

from math import factorial
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.counted import quantiles_of


def spline_knots(
    x: FloatArray, *, n_inner: int, knots: Any, counts: IntArray | None = None
) -> list[float]:
    """Return the inner knots: the given ones, or ``n_inner`` quantiles of x (n,).

    ``counts`` (n,): how many values each of x stands for.
    """
    if knots is not None:
        return sorted(float(knot) for knot in np.atleast_1d(knots))
    shares = np.linspace(0, 1, n_inner + 2)[1:-1]
    return quantiles_of(x, counts, shares).tolist() if n_inner else []


def _basis(x: FloatArray, knots: FloatArray, degree: int) -> FloatArray:
    """Return all B-splines of a degree at x, shape (n, len(knots) - degree - 1)."""
    n_intervals = knots.size - 1
    # The last non-empty interval is closed on the right, so that the largest x has a value.
    last = np.searchsorted(knots, knots[-1], side="left") - 1
    place = np.minimum(np.searchsorted(knots, x, side="right") - 1, last)
    basis = np.zeros((x.size, n_intervals))
    inside = (place >= 0) & (x <= knots[-1])
    basis[np.flatnonzero(inside), place[inside]] = 1.0
    for d in range(1, degree + 1):
        left, right = knots[: -d - 1], knots[d + 1 :]
        rise, fall = knots[d:-1] - left, right - knots[1:-d]
        up = np.divide(x[:, None] - left, rise, out=np.zeros((x.size, left.size)), where=rise > 0)
        down = np.divide(
            right - x[:, None], fall, out=np.zeros((x.size, left.size)), where=fall > 0
        )
        basis = up * basis[:, :-1] + down * basis[:, 1:]
    return basis


def _derivative(x: FloatArray, knots: FloatArray, degree: int, *, order: int = 1) -> FloatArray:
    """Return the ``order``-th derivatives of all B-splines of a degree at x."""
    if order == 0:
        return _basis(x, knots, degree)
    if degree == 0:
        return np.zeros((x.size, knots.size - 1))
    lower = _derivative(x, knots, degree - 1, order=order - 1)
    spread = knots[degree:] - knots[:-degree]
    scaled = np.divide(degree * lower, spread, out=np.zeros_like(lower), where=spread > 0)
    return scaled[:, :-1] - scaled[:, 1:]


def b_spline_columns(
    x: FloatArray, *, knots: FloatArray, boundary: list[float], degree: int
) -> FloatArray:
    """Return R's ``bs(x, intercept = TRUE)``.

    Parameters
    ----------
    x : array, shape (n,), finite
    knots : the inner knots
    boundary : the smallest and largest fitted value; x beyond them continues the polynomial
    degree : 3 for cubic pieces
    """
    unit = power_of_two(np.array(boundary))
    x, knots, (low, high) = x / unit, knots / unit, np.array(boundary) / unit
    every = np.sort(np.concatenate([[low, high] * (degree + 1), knots]))
    basis = _basis(np.clip(x, low, high), every, degree)
    # R expands the polynomial of the outermost piece around a point a quarter inside it.
    pivots = (
        (x < low, 0.75 * low + 0.25 * every[degree + 1]),
        (x > high, 0.75 * high + 0.25 * every[-degree - 2]),
    )
    for outside, pivot in pivots:
        if outside.any():
            basis[outside] = sum(
                np.outer(
                    (x[outside] - pivot) ** k,
                    _derivative(np.array([pivot]), every, degree, order=k)[0] / factorial(k),
                )
                for k in range(degree + 1)
            )
    return basis


def natural_spline_columns(
    x: FloatArray, *, knots: FloatArray, boundary: list[float], intercept: bool
) -> FloatArray:
    """Return R's ``ns(x)``: cubic splines without curvature at and beyond the boundary knots.

    Parameters
    ----------
    x, knots, boundary : as of ``b_spline_columns``; x beyond the boundary continues a straight line
    intercept : keep the column that the constant would add
    """
    unit = power_of_two(np.array(boundary))
    x, knots, (low, high) = x / unit, knots / unit, np.array(boundary) / unit
    every = np.sort(np.concatenate([[low, high] * 4, knots]))
    basis = _basis(np.clip(x, low, high), every, 3)
    for outside, end in ((x < low, low), (x > high, high)):
        if outside.any():
            at_end = np.array([end])
            basis[outside] = _basis(at_end, every, 3) + np.outer(
                x[outside] - end, _derivative(at_end, every, 3)[0]
            )
    curvature = _derivative(np.array([low, high]), every, 3, order=2)
    first = 0 if intercept else 1
    Q, _ = np.linalg.qr(curvature[:, first:].T, mode="complete")
    return basis[:, first:] @ Q[:, 2:]


def regression_spline_state(x: FloatArray, **options: Any) -> dict[str, Any]:
    """Return what formulaic's ``cr`` learns from x, as plain numbers.

    Parameters
    ----------
    x : array, shape (n,), finite
    options : df, knots, lower_bound, upper_bound, constraints, extrapolation, as in formulaic
    """
    from formulaic.transforms.cubic_spline import cubic_spline

    state: dict[str, Any] = {}
    unit = power_of_two(x)
    for name in ("knots", "lower_bound", "upper_bound"):
        if options.get(name) is not None:
            options[name] = (np.asarray(options[name]) / unit).tolist()
    cubic_spline(x / unit, **options, _state=state)
    state |= {"extrapolation": options.get("extrapolation", "extend"), "unit": unit}
    constraints = state.get("constraints")
    return {**state, "constraints": None if constraints is None else constraints.tolist()}


def power_of_two(x: FloatArray) -> float:
    """Return the power of two below the largest size of values: a unit that changes no digit."""
    size = float(np.abs(x).max(initial=0.0))
    return 1.0 if size == 0 else float(2.0 ** np.floor(np.log2(size)))


def regression_spline_columns(x: FloatArray, state: dict[str, Any]) -> FloatArray:
    """Return the columns of a cubic regression spline with a learnt state."""
    from formulaic.transforms.cubic_spline import cubic_spline

    learnt = {n: value for n, value in state.items() if n not in ("extrapolation", "unit")}
    if learnt["constraints"] is not None:
        learnt["constraints"] = np.array(learnt["constraints"])
    columns = cubic_spline(x / state["unit"], extrapolation=state["extrapolation"], _state=learnt)
    return np.column_stack(list(columns.values()))
