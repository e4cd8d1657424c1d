"""Truncated Taylor series: a density written once has its derivatives exactly.

A ``Series`` holds f, f', f''/2, ... at every point of an array, in one variable x (eta) up to an
order m and in a second one z (a further parameter of a family, such as a dispersion) up to an
order n:

    f(x + h, z + k) = sum_ij c_ij h^i k^j,    0 <= i <= m, 0 <= j <= n.

Sums, products and quotients of series are series, and so is g(f) for a smooth g with known
derivatives: with d = f - c_00, g(f) = sum_r g^(r)(c_00) / r! d^r, where powers above m + n vanish.
The functions of this module, and NumPy's and SciPy's of the same names, take arrays and series
alike, so that an expression evaluates as fast as NumPy does when no derivative is asked for.

Source: Griewank & Walther (2008), Evaluating Derivatives, SIAM, chapter 13.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.families.expression import Expression

Value = Any  # an array, a number or a Series


class _Special:
    """scipy.special, imported when one of its functions is first needed: it takes a while."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from scipy import special

        found: Callable[..., Any] = getattr(special, name)
        setattr(self, name, found)
        return found


special: Any = _Special()


class Series(Expression):
    """Taylor coefficients ``c`` of shape (m + 1, n + 1, ...), as in the module's header.

    Compared with something, a series is its value.
    """

    __slots__ = ("c", "slope")

    def __init__(self, c: FloatArray, slope: float | FloatArray | None = None) -> None:
        self.c: FloatArray = c
        # of what is linear in x alone, such as x itself or -x; else None
        self.slope: float | FloatArray | None = slope

    @property
    def value(self) -> FloatArray:
        """The function itself, without derivatives."""
        return np.asarray(self.c[0, 0])

    def derivative(self, i: int, j: int = 0) -> FloatArray:
        """Return the i-th derivative in x and j-th in z at every point."""
        return np.asarray(self.c[i, j] * (math.factorial(i) * math.factorial(j)))

    def beside(self, other: Value) -> FloatArray:
        """Return the coefficients in the shape that the points have beside those of an array."""
        own, shape = self.c.shape, np.shape(other)
        if shape == own[2:] or not shape:
            return self.c
        return np.broadcast_to(self.c, (*own[:2], *np.broadcast_shapes(own[2:], shape)))

    def __add__(self, other: Value) -> "Series":
        if isinstance(other, Series):
            return Series(self.c + other.c)
        c = self.beside(other).copy()
        c[0, 0] += other
        return Series(c, self.slope)

    def __mul__(self, other: Value) -> "Series":
        if not isinstance(other, Series):
            return Series(self.c * other, None if self.slope is None else self.slope * other)
        m, n = self.c.shape[:2]
        shape = np.broadcast_shapes(self.c.shape[2:], other.c.shape[2:])
        c = np.empty((m, n, *shape))
        np.multiply(self.c[0, 0], other.c, out=c)
        for i, j in _orders(m, n, 1):
            if self.c[i, j].any():
                c[i:, j:] += self.c[i, j] * other.c[: m - i, : n - j]
        return Series(c)

    def __neg__(self) -> "Series":
        return Series(-self.c, None if self.slope is None else -self.slope)

    def __pow__(self, other: Value) -> "Series":
        if not isinstance(other, Expression) and np.ndim(other) == 0:
            orders = sum(self.c.shape[:2]) - 2
            return composed(self, power_derivatives(self.value, orders, exponent=float(other)))
        return exp(log(self) * other)

    def __rpow__(self, other: Value) -> "Series":
        return exp(self * np.log(other))

    def __abs__(self) -> "Series":
        return where(self.value < 0, -self, self)

    def __lt__(self, other: Value) -> Any:
        return self.value < value_of(other)

    def __le__(self, other: Value) -> Any:
        return self.value <= value_of(other)

    def __gt__(self, other: Value) -> Any:
        return self.value > value_of(other)

    def __ge__(self, other: Value) -> Any:
        return self.value >= value_of(other)

    def __eq__(self, other: object) -> Any:
        return self.value == value_of(other)

    def __ne__(self, other: object) -> Any:
        return self.value != value_of(other)

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __sub__(self, other: Value) -> "Series":
        return self + (-other)

    def __rsub__(self, other: Value) -> "Series":
        return -self + other

    def __truediv__(self, other: Value) -> "Series":
        return self * (reciprocal(other) if isinstance(other, Series) else 1.0 / other)

    def __rtruediv__(self, other: Value) -> "Series":
        return reciprocal(self) * other

    __radd__ = __add__
    __rmul__ = __mul__


def variable(values: FloatArray, *, order: int, second: int = 0, of: str = "x") -> Series:
    """Return the variable x (or z, by ``of``) as a series at ``values``, orders m and n."""
    values = np.asarray(values, dtype=np.float64)
    c = np.zeros((order + 1, second + 1, *values.shape))
    c[0, 0] = values
    if of == "x" and order:
        c[1, 0] = 1.0
    if of == "z" and second:
        c[0, 1] = 1.0
    return Series(c, 1.0 if of == "x" and order else None)


def composed(x: Series, derivatives: Sequence[FloatArray]) -> Series:
    """Return g(x) from g, g', ..., g^(m + n) at the value of x."""
    m, n = x.c.shape[:2]
    if x.slope is not None:
        c = np.zeros_like(x.c)
        for r in range(m):
            c[r, 0] = derivatives[r] * (x.slope**r / math.factorial(r))
        return Series(c)
    c = x.c * derivatives[1] if m + n > 2 else np.empty_like(x.c)
    c[0, 0] = derivatives[0]
    own = [(i, j) for i, j in _orders(m, n, 1) if x.c[i, j].any()]
    power = {at: x.c[at] for at in own}  # of f - c_00: of order r and more only
    for r in range(2, m + n - 1):
        raised: dict[tuple[int, int], FloatArray] = {}
        for left, right in itertools.product(own, power):
            at = left[0] + right[0], left[1] + right[1]
            if at[0] < m and at[1] < n:
                term = x.c[left] * power[right]
                raised[at] = raised[at] + term if at in raised else term
        factor = derivatives[r] / math.factorial(r)
        for at, value in raised.items():
            c[at] += value * factor
        power = raised
    return Series(c)


@cache
def _orders(m: int, n: int, least: int) -> tuple[tuple[int, int], ...]:
    """Orders (i, j) below m and n that add up to at least so much."""
    return tuple((i, j) for i in range(m) for j in range(n) if i + j >= least)


def _function(
    plain: Callable[..., Any], derivatives: Callable[[FloatArray, int], list[FloatArray]]
) -> Callable[[Value], Any]:
    """Make a function of arrays and series; ``derivatives(x, r)`` gives g, ..., g^(r)."""

    def apply(x: Value) -> Any:
        if not isinstance(x, Series):
            return plain(x)
        orders = sum(x.c.shape[:2]) - 2
        return composed(x, derivatives(x.value, orders))

    return apply


def _log_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    found = [np.log(x)]
    for r in range(1, orders + 1):
        found.append((-1.0) ** (r - 1) * math.factorial(r - 1) / x**r)
    return found


def power_derivatives(x: FloatArray, orders: int, *, exponent: float) -> list[FloatArray]:
    """Return x^exponent and its derivatives."""
    found, factor = [], 1.0
    for r in range(orders + 1):
        found.append(factor * x ** (exponent - r) if factor else np.zeros_like(x))
        factor *= exponent - r
    return found


def _lgamma_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    return [special.gammaln(x), *(special.polygamma(r, x) for r in range(orders))]


def _expit(x: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)) in NumPy's vectorised words, a fraction of SciPy's time."""
    small = np.exp(-np.abs(x))
    return np.where(np.asarray(x) >= 0, 1.0, small) / (1.0 + small)


def _log_expit(x: FloatArray) -> FloatArray:
    """Log of it, to the last digits on both sides."""
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _log_sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """log(exp(a) + exp(b)), where both may be minus infinity."""
    larger = np.maximum(a, b)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    return np.where(np.isnan(gap), larger, larger + np.log1p(np.exp(-gap)))


def _expit_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """P and its derivatives: those of a polynomial in p, since p' = p (1 - p)."""
    p = _expit(x)
    return [p, *(_polynomial(p, _expit_polynomial(r)) for r in range(1, orders + 1))]


@cache
def _expit_polynomial(order: int) -> tuple[float, ...]:
    """Coefficients of the derivative of that order as a polynomial in p, the lowest first."""
    polynomial = np.array([0.0, 1.0])
    for _ in range(order):
        slope = np.polynomial.polynomial.polyder(polynomial)
        polynomial = np.polynomial.polynomial.polymul(slope, [0.0, 1.0, -1.0])
    return tuple(polynomial.tolist())


def _polynomial(x: FloatArray, coefficients: Sequence[float]) -> FloatArray:
    """Evaluate by Horner's rule."""
    total = coefficients[-1] * x
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


def _log_expit_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """Log p, then 1 - p = expit(-x) and minus the derivatives of p."""
    found = [_log_expit(x)]
    if orders:
        found.append(_expit(-x))
        found += [-d for d in _expit_derivatives(x, orders - 1)[1:]]
    return found


def log_expits(yes: FloatArray, no: FloatArray, x: Value) -> Any:
    """Yes log p + no log(1 - p) of p = expit(x), both at once; 0 log 0 is 0.

    Derivatives of p are those of its smaller side, which has more digits, but for their signs.
    """
    at = x.value if isinstance(x, Series) else x
    below, odds = at < 0, np.exp(-np.abs(at))
    far = np.where(below, yes, -no)
    value = np.where(far == 0, 0.0, far * at) - (yes + no) * np.log1p(odds)
    if not isinstance(x, Series):
        return value
    larger = 1.0 / (1.0 + odds)
    smaller = odds * larger
    p, q = np.where(below, smaller, larger), np.where(below, larger, smaller)
    derivatives, total = [value, yes * q - no * p], -(yes + no)
    for r in range(1, sum(x.c.shape[:2]) - 2):
        slope = total * _polynomial(smaller, _expit_polynomial(r))
        derivatives.append(slope if r % 2 else np.where(below, slope, -slope))
    return composed(Series(x.beside(value), x.slope), derivatives)


def _ndtr_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """Return Phi; its r-th derivative is a Hermite polynomial x density."""
    density = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    found = [special.ndtr(x)]
    polynomial = np.array([1.0])  # times the density
    for _ in range(orders):
        found.append(np.polynomial.polynomial.polyval(x, polynomial) * density)
        slope = np.polynomial.polynomial.polyder(polynomial)
        polynomial = np.polynomial.polynomial.polysub(
            slope, np.polynomial.polynomial.polymul([0.0, 1.0], polynomial)
        )
    return found


def _log_ndtr_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """Log Phi; its slope is w = phi / Phi, and w' = -w (x + w) gives the rest by Leibniz."""
    value = special.log_ndtr(x)
    w = np.exp(-0.5 * x**2 - 0.5 * math.log(2 * math.pi) - value)
    excess = x + w
    far = x < LEFT_TAIL
    if far.any():
        excess = np.where(far, _mills_excess(np.minimum(x, LEFT_TAIL)), excess)
        w = np.where(far, excess - x, w)
    slopes, sums = [w], [excess]  # derivatives of w and of x + w
    for n in range(1, orders):
        parts = (math.comb(n - 1, k) * slopes[k] * sums[n - 1 - k] for k in range(n))
        slopes.append(-sum(parts, np.zeros_like(x)))
        sums.append(slopes[n] + 1.0 if n == 1 else slopes[n])
    return [value, *slopes][: orders + 1]


LEFT_TAIL = -30.0  # below, phi / Phi by its continued fraction: both underflow


def _mills_excess(x: FloatArray) -> FloatArray:
    """Return x + phi / Phi far in the left tail, by the continued fraction of Mills' ratio."""
    z = -x
    fraction = z
    for k in range(20, 1, -1):
        fraction = z + k / fraction
    return np.asarray(1.0 / fraction)


exp = _function(np.exp, lambda x, orders: [np.exp(x)] * (orders + 1))
log = _function(np.log, _log_derivatives)
log1p = _function(np.log1p, lambda x, r: [np.log1p(x), *_log_derivatives(1 + x, r)[1:]])
expm1 = _function(np.expm1, lambda x, r: [np.expm1(x), *[np.exp(x)] * r])
lgamma = _function(lambda x: special.gammaln(x), _lgamma_derivatives)
expit = _function(
    lambda x: special.expit(x) if isinstance(x, Expression) else _expit(x), _expit_derivatives
)
log_expit = _function(
    lambda x: special.log_expit(x) if isinstance(x, Expression) else _log_expit(x),
    _log_expit_derivatives,
)
ndtr = _function(lambda x: special.ndtr(x), _ndtr_derivatives)
log_ndtr = _function(lambda x: special.log_ndtr(x), _log_ndtr_derivatives)
reciprocal = _function(
    lambda x: 1.0 / x, lambda x, orders: power_derivatives(x, orders, exponent=-1.0)
)
sqrt = _function(np.sqrt, lambda x, orders: power_derivatives(x, orders, exponent=0.5))
square = _function(np.square, lambda x, orders: power_derivatives(x, orders, exponent=2.0))


def _arctan_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """Arctan x; its slope 1 / (1 + x^2) is the imaginary part of 1 / (x - i) over one."""
    z = 1.0 / (x - 1j)
    found = [np.arctan(x)]
    for r in range(1, orders + 1):
        found.append((-1.0) ** (r - 1) * math.factorial(r - 1) * (z**r).imag)
    return found


arctan = _function(np.arctan, _arctan_derivatives)


def _cos_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    turns = [np.cos(x), -np.sin(x), -np.cos(x), np.sin(x)]
    return [turns[r % 4] for r in range(orders + 1)]


def _log_i0e_derivatives(x: FloatArray, orders: int) -> list[FloatArray]:
    """Log I0(x) - x; of A = I1 / I0, its slope but for one, A' = 1 - A / x - A^2 at x > 0."""
    ratio = special.ive(1, x) / special.ive(0, x)
    terms = {(1, 0): 1.0}  # A^a x^-b, by (a, b)
    found = [log_i0e(x), ratio - 1]
    for _ in range(1, orders):
        slope: dict[tuple[int, int], float] = {}
        for (a, b), c in terms.items():
            parts = [((a - 1, b), a), ((a, b + 1), -a - b), ((a + 1, b), -a)]
            for power, factor in parts:
                if factor:
                    slope[power] = slope.get(power, 0.0) + c * factor
        terms = slope
        found.append(np.asarray(sum(c * ratio**a / x**b for (a, b), c in terms.items())))
    return found[: orders + 1]


cos = _function(np.cos, _cos_derivatives)
log_i0e = _function(lambda x: np.log(special.ive(0, x)), _log_i0e_derivatives)


def where(condition: Any, yes: Value, no: Value) -> Any:
    """Choose point by point between two values, at least one of them a series or an array."""
    if not isinstance(yes, Series) and not isinstance(no, Series):
        return np.where(value_of(condition), yes, no)
    like = yes if isinstance(yes, Series) else no
    a, b = (v if isinstance(v, Series) else constant(v, like) for v in (yes, no))
    if np.all(condition) and a.c.shape == np.broadcast_shapes(a.c.shape, b.c.shape):
        return a
    return Series(np.where(condition, a.c, b.c))


def constant(value: Any, like: Series) -> Series:
    """Return a number or array as a series of the same orders as another."""
    c = np.zeros(like.c.shape[:2] + (1,) * (like.c.ndim - 2 - np.ndim(value)) + np.shape(value))
    c[0, 0] = value
    return Series(c)


def times(weight: FloatArray, x: Value) -> Any:
    """Weight * x with 0 where the weight is 0, whatever x is there (0 log 0)."""
    nothing = weight == 0
    if isinstance(x, Series):
        product = x * weight
        return Series(np.where(nothing, 0.0, product.c)) if np.any(nothing) else product
    return where(nothing, 0.0, weight * x)


def log_sum(a: Value, b: Value) -> Any:
    """log(exp(a) + exp(b))."""
    if not isinstance(a, Series) and not isinstance(b, Series):
        symbolic = isinstance(a, Expression) or isinstance(b, Expression)
        return np.logaddexp(a, b) if symbolic else _log_sum(np.asarray(a), np.asarray(b))
    return a + log1p_exp(b - a)


log1p_exp = _function(
    lambda x: -log_expit(-x),
    lambda x, r: [-_log_expit(-x), *_expit_derivatives(x, r)[: r + 1]][: r + 1],
)


def value_of(x: Value) -> Any:
    """Return the value of a series; anything else, as an array, is its own."""
    if isinstance(x, Series):
        return x.value
    return x if isinstance(x, Expression) else np.asarray(x)


def _larger(a: Value, b: Value) -> Any:
    return where(value_of(a) >= value_of(b), a, b)


Series.where = where
Series.functions = {
    "negative": lambda x: -x, "absolute": abs, "exp": exp, "log": log, "log1p": log1p,
    "expm1": expm1, "sqrt": sqrt, "square": square, "reciprocal": reciprocal, "arctan": arctan,
    "logaddexp": log_sum, "maximum": _larger, "minimum": lambda a, b: -_larger(-a, -b),
    "gammaln": lgamma, "expit": expit, "log_expit": log_expit, "ndtr": ndtr, "log_ndtr": log_ndtr,
}  # fmt: skip
