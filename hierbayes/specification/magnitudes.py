"""What numbers can be computed from: sizes of columns, and what the effects leave to explain.

Everything is computed from squares and products of columns, so a column of size 1e300 or 1e-300
leaves the range of floating-point numbers; and a residual variance needs residuals that are more
than rounding. Each check raises one sentence that names the column.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design, GroupingFactor
from hierbayes.design.moments import Moments, RowMoments
from hierbayes.errors import DataError
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.remainder import RIDGE, rows_left

OFFSET = "The offset"
# Bounds of the length of a column: weight times square has to stay within 1e-308 to 1e308.
LARGEST = 1e100
SMALLEST = 1e-100
# Residuals below this part of the response are the rounding of it (2e-16), not variation.
ROUNDING = 1e-14
# Rms of the response, after the fixed part, over that within levels up to where both estimators
# answer. One factor: the response is stored to 1e-16 of itself, so residuals keep eight digits.
# Several: columns of one factor are sums of another's, and what tells the two apart is of the order
# of one beside the square of the ratio; 3e5 leaves four digits of it.
MOST_RATIO = 1e8
MOST_RATIO_OF_SEVERAL = 3e5
# Several, with levels whose rows don't tell a term's columns apart: along what no row tells,
# effects as large as the response stay in the sums; sds lost 3e-5 at 5e3, 2e-4 at 1e4, 0.1 at 2e5.
MOST_RATIO_OF_SHORT_LEVELS = 5e3


def check_magnitudes(design: Design, weights: FloatArray | None) -> None:
    """Raise DataError for a column whose squares can't be computed, or that is zero in a bar.

    Parameters
    ----------
    design : Design
    weights : array, shape (n,), precision weights of the likelihood, or None
    """
    if design.rows.moments is not None:
        _check_moments(design, design.rows.moments)
        return
    check_sizes(design.y.reshape(design.y.shape[0], -1), lambda _: _response(design))
    lengths = check_sizes(design.X, lambda i: _fixed_column(design, i))
    for factor in design.factors:
        named = partial(_effects_column, factor)
        is_known = factor.z is design.X
        _check_not_zero(lengths if is_known else check_sizes(factor.z, named), named)
    if design.offset is not None:
        check_sizes(design.offset[:, None], lambda _: OFFSET)
    if weights is not None:
        known = design.known_sd is not None
        low, high = float(weights.min()), float(weights.max())
        if low < SMALLEST or high > LARGEST:
            raise DataError(
                f"{'known_sd makes precision weights' if known else 'weights'} of "
                f"{low:.3g} to {high:.3g}, outside of {SMALLEST:g} to {LARGEST:g}. Change the unit"
                f"{' of the response' if known else ''}."
            )


def _response(design: Design) -> str:
    return f"The response {design.formula.response_label!r}"


def _fixed_column(design: Design, place: int) -> str:
    return f"The fixed-effects column {design.coef_names[place]!r}"


def _effects_column(factor: GroupingFactor, place: int) -> str:
    return f"The column {factor.columns[place]!r} of the effects of {factor.name}"


def _check_moments(design: Design, moments: RowMoments) -> None:
    """``check_magnitudes`` of a stream, whose columns are known by their moments."""
    y, label = moments.response, design.formula.response_label
    if float(y.low[0]) == float(y.high[0]):
        raise DataError(
            f"The response {label!r} is {y.low[0]:g} in all {y.n} rows used; there is nothing to "
            "model."
        )
    _check_lengths_of(y, lambda _: _response(design))
    _check_lengths_of(moments.X, lambda i: _fixed_column(design, i))
    for factor, own in zip(design.factors, moments.z, strict=True):
        named = partial(_effects_column, factor)
        _check_not_zero(_check_lengths_of(own, named), named)
    if moments.offset is not None:
        _check_lengths_of(moments.offset, lambda _: OFFSET)


def _check_lengths_of(own: Moments, named: Callable[[int], str]) -> FloatArray:
    largest = np.maximum(np.abs(own.low), np.abs(own.high))
    return _check_lengths(np.sqrt(own.n) * own.rms, largest, named)


def _check_not_zero(sizes: FloatArray, named: Callable[[int], str]) -> None:
    if not sizes.all():
        raise DataError(
            f"{named(int(np.argmin(sizes)))} is zero in every row used, so its variance can't "
            "be estimated. Leave it out of the bar."
        )


def check_sizes(columns: FloatArray, named: Callable[[int], str]) -> FloatArray:
    """Return the lengths of columns (n, m), shape (m,); raise DataError for impossible ones.

    ``named`` of a column begins the message.
    """
    sizes = np.sqrt(np.einsum("ij,ij->j", columns, columns))  # which is silent of overflow
    if all(SMALLEST < size < LARGEST for size in sizes.tolist()):
        return sizes
    bad = np.flatnonzero(~((sizes > SMALLEST) & (sizes < LARGEST)))
    largest = np.zeros(sizes.size)
    largest[bad] = np.abs(columns[:, bad]).max(axis=0)
    return _check_lengths(sizes, largest, named)


def _check_lengths(
    sizes: FloatArray, largest: FloatArray, named: Callable[[int], str]
) -> FloatArray:
    """``check_sizes`` of columns of which lengths (m,) and largest values (m,) are known."""
    if ((sizes > SMALLEST) & (sizes < LARGEST)).all():
        return sizes
    for place in np.flatnonzero(~((sizes > SMALLEST) & (sizes < LARGEST))).tolist():
        most = float(largest[place])
        if most > 0:  # a column of zeros is no matter of units
            change = "divide" if sizes[place] > 1 else "multiply"
            raise DataError(
                f"{named(place)} has values as {'large' if change == 'divide' else 'small'} as "
                f"{most:.3g}, whose squares can't be computed. Change its unit: {change} it by "
                f"{most if change == 'divide' else 1 / max(most, 1e-307):.0e}."
            )
    return sizes


def check_residuals(design: Design, kernel: Kernel, weights: FloatArray | None) -> None:
    """Raise DataError if the fixed part, or that and all levels, leave next to nothing of y.

    Nothing of it but rounding, or too little beside it (``MOST_RATIO``) to be computed. The bound
    is of the data alone, so it is the same for estimates and posteriors. With known residual sds
    they take the place of what is left.
    """
    if not kernel.sigma_known:
        _check_fixed_part(design, kernel, weights)
    _check_ratio(design, kernel)


def _check_fixed_part(design: Design, kernel: Kernel, weights: FloatArray | None) -> None:
    """Raise DataError if the fixed part leaves nothing of y but rounding."""
    total = _squares_of_response(design, kernel.products, weights)
    left = max(kernel.products.yy, 0.0)
    if left > ROUNDING**2 * total:
        return
    what = "The offset equals" if total == 0 else "The fixed part reproduces"
    raise DataError(
        f"{what} the response {design.formula.response_label!r} exactly, so there is no residual "
        "variation to model. Check the response and the formula for a copy of it."
    )


def _squares_of_response(design: Design, products: Products, weights: FloatArray | None) -> float:
    """Weighted sum of squares of y without its offset."""
    if design.rows.moments is None:
        y = design.y if design.offset is None else design.y - design.offset
        return float(y @ y if weights is None else (y * weights) @ y)
    first = np.linalg.solve(products.anchor.x_basis, products.anchor.beta0)
    return float(products.yy + 2 * first @ products.xy + first @ products.xx @ first)


def _check_ratio(design: Design, kernel: Kernel) -> None:
    """Raise DataError if the residuals are too small beside the effects of the levels."""
    products = kernel.products
    if products.remainder is None:
        return
    left = 1.0
    if not kernel.sigma_known:
        df = rows_left(design.factors) - products.xy.size
        left = float(products.remainder.rr[0, -1, -1]) / max(df, 1)
    most = _most_ratio(products.zz)
    total = products.yy / products.n_obs
    if total <= most**2 * left:
        return
    raise DataError(too_little_left(design, f"residuals have less than 1/{most:.0e} of its sd"))


def _most_ratio(zz: Sequence[FloatArray]) -> float:
    """Bound of the response's rms over the residuals', from Z'WZ of each grouping factor."""
    if len(zz) == 1:
        return MOST_RATIO
    sizes = [np.linalg.eigvalsh(A) for A in zz if A.shape[1] > 1]
    short = any(bool((size[:, 0] <= RIDGE * size[:, -1]).any()) for size in sizes)
    return MOST_RATIO_OF_SHORT_LEVELS if short else MOST_RATIO_OF_SEVERAL


def too_little_left(design: Design, found: str) -> str:
    """Say that the effects of the levels leave too little of the response."""
    groups = " and ".join(factor.name for factor in design.factors)
    return (
        f"Fixed effects and the effects of {groups} reproduce the response "
        f"{design.formula.response_label!r} almost exactly ({found}), so there is no residual "
        "variation to model. Check for a response that was computed per level, such as group means."
    )
