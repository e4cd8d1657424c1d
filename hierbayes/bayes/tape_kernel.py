"""Going through a tape of operations forwards and backwards, for a block of rows at a time.

One compiled function each for all tapes (``families/recorded.py``): of shared numbers a block is
one number, of rows it is as many as a cache holds, so that finding out which operation is next
costs little. Backwards, a zero is not multiplied by a slope that may be infinite.

Source: Griewank & Walther (2008), Evaluating Derivatives, SIAM, chapter 3. Imports numba, so import
this module only where it is used.
"""

import math

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray, Int64Array
from hierbayes.families.recorded import BINARY, UNARY
from hierbayes.linalg.exponentials import exponentials

CODES = {name: code for code, name in enumerate((*UNARY, *BINARY, "where"))}
BLOCK = 64  # rows worked on at once: what stays in the nearest cache

NEGATIVE, ABSOLUTE, EXP, LOG = (CODES[n] for n in ("negative", "absolute", "exp", "log"))
LOG1P, EXPM1, SQRT, SQUARE = (CODES[n] for n in ("log1p", "expm1", "sqrt", "square"))
RECIPROCAL, ARCTAN, COS = (CODES[n] for n in ("reciprocal", "arctan", "cos"))
GAMMALN, EXPIT, LOG_EXPIT = (CODES[n] for n in ("gammaln", "expit", "log_expit"))
NDTR, LOG_NDTR, LOG_I0E = (CODES[n] for n in ("ndtr", "log_ndtr", "log_i0e"))
ISFINITE, ISNAN, NOT, FLOOR = (CODES[n] for n in ("isfinite", "isnan", "logical_not", "floor"))
ADD, SUBTRACT, MULTIPLY = (CODES[n] for n in ("add", "subtract", "multiply"))
DIVIDE, POWER, LOGADDEXP = (CODES[n] for n in ("divide", "power", "logaddexp"))
MAXIMUM, MINIMUM, EQUAL = (CODES[n] for n in ("maximum", "minimum", "equal"))
NOT_EQUAL, LESS, LESS_EQUAL = (CODES[n] for n in ("not_equal", "less", "less_equal"))
GREATER, GREATER_EQUAL = (CODES[n] for n in ("greater", "greater_equal"))
AND, OR, WHERE = (CODES[n] for n in ("logical_and", "logical_or", "where"))

ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
LEFT_TAIL = -30.0  # below, Phi by the continued fraction of Mills' ratio: it underflows
LARGE = 10.0  # arguments from which the asymptotic series of digamma is exact
LARGE_BESSEL = 30.0  # arguments from which the asymptotic series of I0 and I1 is exact


@njit(cache=True, nogil=True, error_model="numpy")
def digamma(x: float) -> float:
    """Slope of log Gamma at x > 0."""
    total = 0.0
    while x < LARGE:
        total -= 1.0 / x
        x += 1.0
    s = 1.0 / (x * x)
    series = s * (
        1 / 12
        - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * (691 / 32760 - s / 12)))))
    )
    return total + math.log(x) - 0.5 / x - series


@njit(cache=True, nogil=True, error_model="numpy")
def _mills(x: float) -> float:
    """Return phi / Phi far in the left tail."""
    fraction = -x
    for k in range(20, 0, -1):
        fraction = -x + k / fraction
    return fraction


@njit(cache=True, nogil=True, error_model="numpy")
def log_ndtr(x: float) -> float:
    """Log Phi."""
    if x > 0:
        return math.log1p(-0.5 * math.erfc(x * ROOT_HALF))
    if x > LEFT_TAIL:
        return math.log(0.5 * math.erfc(-x * ROOT_HALF))
    return -0.5 * x * x - LOG_ROOT_2PI - math.log(_mills(x))


@njit(cache=True, nogil=True, error_model="numpy")
def _log_ndtr_slope(x: float) -> float:
    if x > LEFT_TAIL:
        density = math.exp(-0.5 * x * x - LOG_ROOT_2PI)
        return density / (0.5 * math.erfc(-x * ROOT_HALF))
    return _mills(x)


@njit(cache=True, nogil=True, error_model="numpy")
def _scaled_bessel(order: int, x: float) -> float:
    """I0 or I1 times exp(-x), x > 0."""
    if x < LARGE_BESSEL:
        term = 1.0 if order == 0 else 0.5 * x
        total, k = term, 1
        while term > 1e-17 * total:
            term *= 0.25 * x * x / (k * (k + order))
            total += term
            k += 1
        return total * math.exp(-x)
    term, total = 1.0, 1.0
    for k in range(1, 25):
        term *= ((2 * k - 1) ** 2 - 4.0 * order**2) / (8.0 * k * x)
        total += term
    return total / math.sqrt(2 * math.pi * x)


@njit(cache=True, nogil=True, error_model="numpy")
def _log_expits(x: FloatArray, out: FloatArray, spare: FloatArray, m: int) -> None:
    """Set the first m of ``out`` to log expit(x) = min(x, 0) - log(1 + exp(-|x|))."""
    e = spare[2]
    for i in range(m):
        out[i] = -abs(x[i])
    exponentials(out, e, spare, m)
    for i in range(m):
        s = e[i] / (2.0 + e[i])  # log(1 + e) = 2 artanh(s)
        q = s * s
        p = (((q / 33 + 1 / 31) * q + 1 / 29) * q + 1 / 27) * q + 1 / 25
        p = ((((p * q + 1 / 23) * q + 1 / 21) * q + 1 / 19) * q + 1 / 17) * q + 1 / 15
        p = ((((p * q + 1 / 13) * q + 1 / 11) * q + 1 / 9) * q + 1 / 7) * q + 1 / 5
        out[i] = min(x[i], 0.0) - 2.0 * s * ((p * q + 1 / 3) * q + 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _expit(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@njit(cache=True, nogil=True, error_model="numpy")
def _logaddexp(a: float, b: float) -> float:
    larger = max(a, b)
    if a == b or math.isinf(larger):
        return larger + math.log(2.0)
    return larger + math.log1p(math.exp(-abs(a - b)))


@njit(cache=True, nogil=True, error_model="numpy")
def forwards(operations: Int64Array, values: FloatArray, spare: FloatArray, m: int) -> None:
    """Work out a tape for the first m columns of ``values`` (places, columns).

    ``spare`` (4, m or more) is room to work in.
    """
    for step in range(operations.shape[0]):
        code = operations[step, 0]
        a, b = values[operations[step, 1]], values[operations[step, 2]]
        out = values[operations[step, 4]]
        if code == ADD:
            for i in range(m):
                out[i] = a[i] + b[i]
        elif code == SUBTRACT:
            for i in range(m):
                out[i] = a[i] - b[i]
        elif code == MULTIPLY:
            for i in range(m):
                out[i] = a[i] * b[i]
        elif code == DIVIDE:
            for i in range(m):
                out[i] = a[i] / b[i]
        elif code == NEGATIVE:
            for i in range(m):
                out[i] = -a[i]
        elif code == SQUARE:
            for i in range(m):
                out[i] = a[i] * a[i]
        elif code == EXP:
            exponentials(a, out, spare, m)
        elif code == LOG_EXPIT:
            _log_expits(a, out, spare, m)
        elif code == WHERE:
            c = values[operations[step, 3]]
            for i in range(m):
                out[i] = b[i] if a[i] != 0.0 else c[i]
        elif code < ADD:
            for i in range(m):
                out[i] = _unary(code, a[i])
        else:
            for i in range(m):
                out[i] = _binary(code, a[i], b[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _unary(code: int, x: float) -> float:
    if code == LOG:
        return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)
    if code == LOG1P:
        return math.log1p(x) if x > -1 else (-math.inf if x == -1 else math.nan)
    if code == EXPM1:
        return math.expm1(x)
    if code == RECIPROCAL:
        return 1.0 / x
    if code == SQRT:
        return math.sqrt(x) if x >= 0 else math.nan
    if code == GAMMALN:
        return math.lgamma(x)
    if code == EXPIT:
        return _expit(x)
    if code == LOG_NDTR:
        return log_ndtr(x)
    if code == NDTR:
        return 0.5 * math.erfc(-x * ROOT_HALF)
    if code == ARCTAN:
        return math.atan(x)
    if code == COS:
        return math.cos(x)
    if code == LOG_I0E:
        return math.log(_scaled_bessel(0, x))
    if code == ABSOLUTE:
        return abs(x)
    if code == ISFINITE:
        return 1.0 if math.isfinite(x) else 0.0
    if code == ISNAN:
        return 1.0 if math.isnan(x) else 0.0
    if code == NOT:
        return 1.0 if x == 0.0 else 0.0
    if code == FLOOR:
        return float(np.floor(x))
    return math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _binary(code: int, x: float, y: float) -> float:
    if code == LOGADDEXP:
        return _logaddexp(x, y)
    if code == POWER:
        return x**y
    if code == MAXIMUM:
        return max(x, y)
    if code == MINIMUM:
        return min(x, y)
    if code == EQUAL:
        return 1.0 if x == y else 0.0
    if code == NOT_EQUAL:
        return 1.0 if x != y else 0.0
    if code == LESS:
        return 1.0 if x < y else 0.0
    if code == LESS_EQUAL:
        return 1.0 if x <= y else 0.0
    if code == GREATER:
        return 1.0 if x > y else 0.0
    if code == GREATER_EQUAL:
        return 1.0 if x >= y else 0.0
    if code == AND:
        return 1.0 if x != 0.0 and y != 0.0 else 0.0
    if code == OR:
        return 1.0 if x != 0.0 or y != 0.0 else 0.0
    return math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def backwards(
    operations: Int64Array, values: FloatArray, slopes: FloatArray, spare: FloatArray, m: int
) -> None:
    """Add to ``slopes`` (places, columns) what each operand has from the results of a tape."""
    for step in range(operations.shape[0] - 1, -1, -1):
        code = operations[step, 0]
        a, b = values[operations[step, 1]], values[operations[step, 2]]
        to_a, to_b = slopes[operations[step, 1]], slopes[operations[step, 2]]
        out, of = values[operations[step, 4]], slopes[operations[step, 4]]
        if code == ADD:
            for i in range(m):
                to_a[i] += of[i]
                to_b[i] += of[i]
        elif code == SUBTRACT:
            for i in range(m):
                to_a[i] += of[i]
                to_b[i] -= of[i]
        elif code == MULTIPLY:
            for i in range(m):
                if of[i] != 0.0:
                    to_a[i] += of[i] * b[i]
                    to_b[i] += of[i] * a[i]
        elif code == DIVIDE:
            for i in range(m):
                if of[i] != 0.0:
                    part = of[i] / b[i]
                    to_a[i] += part
                    to_b[i] -= part * out[i]
        elif code == NEGATIVE:
            for i in range(m):
                to_a[i] -= of[i]
        elif code == SQUARE:
            for i in range(m):
                to_a[i] += 2.0 * of[i] * a[i]
        elif code == EXP:
            for i in range(m):
                if of[i] != 0.0:
                    to_a[i] += of[i] * out[i]
        elif code == LOG_EXPIT:
            rest, e = spare[3], spare[2]
            for i in range(m):
                rest[i] = -abs(a[i])
            exponentials(rest, e, spare, m)
            for i in range(m):  # expit(-x)
                to_a[i] += of[i] * (e[i] if a[i] >= 0.0 else 1.0) / (1.0 + e[i])
        elif code == WHERE:
            to_c = slopes[operations[step, 3]]
            for i in range(m):
                if a[i] != 0.0:
                    to_b[i] += of[i]
                else:
                    to_c[i] += of[i]
        elif code < ADD:
            for i in range(m):
                if of[i] != 0.0:
                    to_a[i] += of[i] * _unary_slope(code, a[i], out[i])
        elif code == LOGADDEXP:
            for i in range(m):
                if of[i] != 0.0:
                    share = _expit(a[i] - b[i])
                    to_a[i] += of[i] * share
                    to_b[i] += of[i] * (1.0 - share)
        elif code == POWER:
            for i in range(m):
                if of[i] != 0.0:
                    to_a[i] += of[i] * b[i] * a[i] ** (b[i] - 1.0)
                    if a[i] > 0.0:
                        to_b[i] += of[i] * out[i] * math.log(a[i])
        elif code in (MAXIMUM, MINIMUM):
            for i in range(m):
                if (a[i] >= b[i]) == (code == MAXIMUM):
                    to_a[i] += of[i]
                else:
                    to_b[i] += of[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _unary_slope(code: int, x: float, value: float) -> float:
    if code == LOG:
        return 1.0 / x
    if code == LOG1P:
        return 1.0 / (1.0 + x)
    if code == EXPM1:
        return value + 1.0
    if code == RECIPROCAL:
        return -value * value
    if code == SQRT:
        return 0.5 / value
    if code == GAMMALN:
        return digamma(x)
    if code == EXPIT:
        return value * _expit(-x)
    if code == LOG_NDTR:
        return _log_ndtr_slope(x)
    if code == NDTR:
        return math.exp(-0.5 * x * x - LOG_ROOT_2PI)
    if code == ARCTAN:
        return 1.0 / (1.0 + x * x)
    if code == COS:
        return -math.sin(x)
    if code == LOG_I0E:
        return _scaled_bessel(1, x) / _scaled_bessel(0, x) - 1.0
    if code == ABSOLUTE:
        return 1.0 if x >= 0 else -1.0
    return 0.0
