"""Transforms that learn numbers from the fitted data: scale, center, poly and splines.

``learn`` sees the values that are present (rows dropped for another column included, as in R), and
of how many rows each is where they come from cells, ``counts``; it
returns a state of plain numbers; ``apply`` turns any values into columns by that state, NaN where
the value is missing. Values and signs are those of R's ``scale``, ``poly``, ``bs`` and ``ns``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.counted import mean_of
from hierbayes.design.splines import (
    b_spline_columns,
    natural_spline_columns,
    power_of_two,
    regression_spline_columns,
    regression_spline_state,
    spline_knots,
)
from hierbayes.design.values import Matrix

State = dict[str, Any]

LARGEST_WHOLE = 1000  # degree, df and columns of one expression: more is no model anybody fits


@record(kw_only=False)
class Transform:
    """How a function learns from the data and how it is applied."""

    learn: Callable[..., State]
    apply: Callable[[FloatArray, State], FloatArray | Matrix]


def _learn_scale(
    x: FloatArray,
    *,
    center: bool | float = True,
    scale: bool | float = True,
    counts: IntArray | None = None,
) -> State:
    _need_values(x)
    # A bool is an int in Python: test for it first, scale(x, center = 1) subtracts one.
    middle = (mean_of(x, counts) if center else 0.0) if isinstance(center, bool) else float(center)
    divisor = 1.0
    if not isinstance(scale, bool):
        divisor = float(scale)
    elif scale:
        squares, n = np.square(x - middle), x.size
        if counts is not None:
            squares, n = squares * counts, int(counts.sum())
        divisor = float(np.sqrt(squares.sum() / max(n - 1, 1)))
        if not divisor > 0:
            raise ValueError("the variable has one value, so its standard deviation is zero")
    if not divisor:
        raise ValueError("nothing can be divided by scale = 0")
    return {"center": middle, "scale": divisor}


def _apply_scale(x: FloatArray, state: State) -> FloatArray:
    return (x - state["center"]) / state["scale"]


def _learn_center(x: FloatArray, *, counts: IntArray | None = None) -> State:
    _need_values(x)
    return {"center": mean_of(x, counts), "scale": 1.0}


# A power whose part that lower powers don't give is below this part of it is rounding of them: the
# column made of it would have fewer than seven digits.
TOLD_APART = 1e-9


def _learn_poly(
    x: FloatArray,
    *,
    degree: float = 1,
    raw: bool = False,
    simple: bool = False,
    counts: IntArray | None = None,
) -> State:
    # R's simple only drops attributes of the result; the columns are the same.
    del simple
    degree = _whole("degree", degree, 1)
    if raw:
        return {"degree": degree, "raw": True}
    _need_values(x)
    if degree >= np.unique(x).size:
        raise ValueError("the degree must be less than the number of distinct values")
    unit = power_of_two(x)  # of tiny and huge values powers are neither zero nor infinite
    x = x / unit
    middle = mean_of(x, counts)
    centred = x - middle
    size = float(np.abs(centred).max())  # powers of numbers in [-1, 1] keep their digits
    powers = np.vander(centred / size, degree + 1, increasing=True)
    if counts is not None:
        powers *= np.sqrt(counts)[:, None]
    Q, R = np.linalg.qr(powers)
    if (np.abs(np.diag(R)) < TOLD_APART * np.linalg.norm(R, axis=0)).any():
        raise ValueError("a lower degree already tells all values apart that rounding does")
    orthogonal = Q * np.diag(R) * size ** np.arange(degree + 1)
    squares = np.square(orthogonal)
    norms = squares.sum(axis=0)
    alpha = (centred @ squares / norms + middle)[:degree]
    return {
        "degree": degree,
        "raw": False,
        "unit": unit,
        "alpha": alpha.tolist(),
        "norm2": [1.0, *norms.tolist()],
    }


def _apply_poly(x: FloatArray, state: State) -> Matrix:
    degree = state["degree"]
    suffixes = tuple(str(power) for power in range(1, degree + 1))
    if state["raw"]:
        return Matrix(x[:, None] ** np.arange(1, degree + 1), suffixes)
    x = x / state["unit"]
    alpha, norm2 = state["alpha"], state["norm2"]
    columns = [np.ones_like(x), x - alpha[0]]
    for k in range(1, degree):  # three-term recurrence of orthogonal polynomials
        columns.append((x - alpha[k]) * columns[k] - norm2[k + 1] / norm2[k] * columns[k - 1])
    return Matrix(np.column_stack(columns[1:]) / np.sqrt(norm2[2:]), suffixes)


def learn_polynomials(
    columns: Sequence[FloatArray],
    *,
    degree: float = 1,
    raw: bool = False,
    simple: bool = False,
    counts: IntArray | None = None,
) -> State:
    """Return what ``poly`` of several columns learns: the polynomials of each by itself."""
    degree = _whole("degree", degree, 1)
    exponents = _exponents(len(columns), degree)
    parts = []
    for x in columns:
        known = np.isfinite(x)
        own = None if counts is None else counts[known]
        parts.append(_learn_poly(x[known], degree=degree, raw=raw, simple=simple, counts=own))
    return {"parts": parts, "exponents": exponents}


def _exponents(n_columns: int, degree: int) -> list[tuple[int, ...]]:
    """Return the degrees of each column in every product, in R's order: the first runs fastest."""
    if math.comb(n_columns + degree, degree) > LARGEST_WHOLE:
        raise ValueError(f"{n_columns} columns of degree {degree} make too many products")
    found: list[tuple[int, ...]] = [()]
    for _ in range(n_columns):
        found = [(own, *others) for others in found for own in range(degree - sum(others) + 1)]
    return found[1:]


def polynomial_products(columns: Sequence[FloatArray], state: State) -> Matrix:
    """Return the columns of ``poly(x, w, degree)``, named ``1.0`` for x, ``1.1`` for x times w."""
    powers = []
    for x, own in zip(columns, state["parts"], strict=True):
        values = _apply_poly(np.asarray(x, dtype=np.float64), own).values
        powers.append(np.column_stack([np.ones(values.shape[0]), values]))
    products = [
        np.prod([own[:, d] for own, d in zip(powers, degrees, strict=True)], axis=0)
        for degrees in state["exponents"]
    ]
    suffixes = tuple(".".join(map(str, degrees)) for degrees in state["exponents"])
    return Matrix(np.column_stack(products), suffixes)


def _learn_bs(
    x: FloatArray,
    *,
    df: float | None = None,
    knots: Any = None,
    degree: float = 3,
    intercept: bool = False,
    boundary_knots: Any = None,
    counts: IntArray | None = None,
) -> State:
    degree = _whole("degree", degree, 1)
    n_inner = None if df is None else _whole("df", df, degree + intercept) - degree - intercept
    return {
        "degree": degree,
        "intercept": bool(intercept),
        **_learn_knots(x, n_inner, knots, boundary=boundary_knots, counts=counts),
    }


def _learn_knots(
    x: FloatArray, n_inner: int | None, knots: Any, *, boundary: Any, counts: IntArray | None
) -> State:
    _need_values(x)
    if boundary is None:
        low, high = float(x.min()), float(x.max())
    else:
        if np.size(boundary) != 2:
            raise ValueError("Boundary.knots are two numbers, as in c(0, 10)")
        low, high = sorted(float(knot) for knot in boundary)
    if not low < high:
        raise ValueError("the variable has one value")
    if knots is not None and n_inner is not None and np.size(knots) != n_inner:
        raise ValueError("df and knots were both given, and they don't agree; leave one out")
    beyond = [float(knot) for knot in np.atleast_1d(knots if knots is not None else [])]
    beyond = [knot for knot in beyond if not low <= knot <= high]
    if beyond:
        raise ValueError(
            f"the knot {beyond[0]:g} lies outside the boundary knots, {low:g} to {high:g}"
        )
    inside = (x >= low) & (x <= high)
    inner = spline_knots(
        x[inside],
        n_inner=n_inner or 0,
        knots=knots,
        counts=None if counts is None else counts[inside],
    )
    return {"knots": inner, "boundary": [low, high]}


def _apply_bs(x: FloatArray, state: State) -> Matrix:
    columns = _where_known(
        x,
        lambda known: b_spline_columns(
            known,
            knots=np.array(state["knots"]),
            boundary=state["boundary"],
            degree=state["degree"],
        ),
    )
    return _numbered(columns if state["intercept"] else columns[:, 1:])


def _learn_ns(
    x: FloatArray,
    *,
    df: float | None = None,
    knots: Any = None,
    intercept: bool = False,
    boundary_knots: Any = None,
    counts: IntArray | None = None,
) -> State:
    n_inner = None if df is None else _whole("df", df, 1 + intercept) - 1 - intercept
    return {
        "intercept": bool(intercept),
        **_learn_knots(x, n_inner, knots, boundary=boundary_knots, counts=counts),
    }


def _apply_ns(x: FloatArray, state: State) -> Matrix:
    return _numbered(
        _where_known(
            x,
            lambda known: natural_spline_columns(
                known,
                knots=np.array(state["knots"]),
                boundary=state["boundary"],
                intercept=state["intercept"],
            ),
        )
    )


def _learn_cr(
    x: FloatArray,
    *,
    df: float | None = None,
    knots: Any = None,
    counts: IntArray | None = None,
    **options: Any,
) -> State:
    _need_values(x)
    if counts is not None:
        raise ValueError("its knots and constraints come from rows; use ns(x, df) or bs(x, df)")
    if df is None and knots is None:
        raise ValueError("give the number of columns, for example cr(x, df = 4)")
    return regression_spline_state(
        x,
        df=None if df is None else _whole("df", df, 2),
        knots=None if knots is None else [float(knot) for knot in np.atleast_1d(knots)],
        **options,
    )


def _apply_cr(x: FloatArray, state: State) -> Matrix:
    return _numbered(_where_known(x, lambda known: regression_spline_columns(known, state)))


def _where_known(x: FloatArray, columns_of: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the columns of the values that are finite, NaN in the other rows."""
    known = np.isfinite(x)
    if known.all():
        return columns_of(x)
    columns = columns_of(x[known])
    full = np.full((x.size, columns.shape[1]), np.nan)
    full[known] = columns
    return full


def _numbered(columns: FloatArray) -> Matrix:
    return Matrix(columns, tuple(str(place) for place in range(1, columns.shape[1] + 1)))


def _need_values(x: FloatArray) -> None:
    if not x.size:
        raise ValueError("every value of the variable is missing")


def _whole(name: str, number: float, smallest: int) -> int:
    if number != np.floor(number) or number < smallest:
        raise ValueError(f"{name} must be a whole number of at least {smallest}, not {number:g}")
    if number > LARGEST_WHOLE:
        raise ValueError(f"{name} is at most {LARGEST_WHOLE}, not {number:g}")
    return int(number)


STATEFUL: dict[str, Transform] = {
    "scale": Transform(_learn_scale, _apply_scale),
    "center": Transform(_learn_center, _apply_scale),
    "poly": Transform(_learn_poly, _apply_poly),
    "bs": Transform(_learn_bs, _apply_bs),
    "ns": Transform(_learn_ns, _apply_ns),
    "cr": Transform(_learn_cr, _apply_cr),
}
