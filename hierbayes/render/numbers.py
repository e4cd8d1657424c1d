"""Numbers as R writes them, so that a printed table lies digit for digit beside lme4's.

R formats the numbers of a column together: each is rounded to ``digits`` significant digits, the
column then shows as many decimals as its most demanding number needs, and switches to scientific
notation when that is narrower. Every function here takes numbers and returns strings.

Source: R 4.2, help pages ``format``, ``formatC``, ``format.pval``, ``zapsmall``, ``quantile``.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from hierbayes.arrays import FloatArray

PRINT_DIGITS = 7  # R's getOption("digits")
MACHINE_EPSILON = 2.220446049250313e-16  # smaller p-values print as "< 2.2e-16"
FIXED_BELOW_EXPONENT = -3  # p-values from 0.001 up are formatted together in fixed notation


def round_half_even(value: float, decimals: int) -> float:
    """Round to ``decimals`` places as R >= 4 does (to the nearest decimal number); keeps NaN."""
    return round(value, decimals) if math.isfinite(value) else value


def round_significant(value: float, digits: int) -> float:
    """Round to ``digits`` significant digits, R's ``signif``."""
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value


def zap_small(values: Sequence[float], digits: int) -> list[float]:
    """Round all values to the decimals that matter for the largest one, R's ``zapsmall``."""
    largest = max((abs(v) for v in values if not math.isnan(v)), default=0.0)
    if not math.isfinite(largest):
        return [float(v) for v in values]
    decimals = digits
    if largest > 0:
        decimals = max(0, math.floor(digits - math.log10(largest) + 0.5))
    return [round_half_even(float(v), decimals) for v in values]


def _scientific(value: float, digits: int) -> tuple[int, int, bool]:
    """Exponent and number of significant digits of ``value`` rounded to ``digits`` digits.

    The flag says that only the rounding to ``digits`` reached the next power of ten: 9996 to
    three digits is 1e+04, but in fixed notation it stays 9996, one place shorter.
    """
    if value == 0:
        return 0, 1, False
    mantissa, exponent = f"{abs(value):.{digits - 1}e}".split("e")
    power = int(exponent)
    n_significant = max(1, len(mantissa.replace(".", "").rstrip("0")))
    half_of_last_place = 0.5 / 10.0 ** max(0, digits - power)
    return power, n_significant, power > 0 and abs(value) < 10.0**power - half_of_last_place


def format_common(
    values: Iterable[float],
    digits: int = PRINT_DIGITS,
    *,
    min_decimals: int = 0,
    drop_trailing_zeros: bool = False,
    pad: bool = True,
    missing: str = "NA",
) -> list[str]:
    """Format numbers together, R's ``format(x, digits, nsmall)``.

    Parameters
    ----------
    values : numbers of one column; NaN prints as ``missing``
    digits : significant digits the most demanding number may show
    min_decimals : at least so many decimals in fixed notation (``nsmall``)
    drop_trailing_zeros : remove zeros at the end of each number on its own
    pad : pad on the left to a common width
    missing : text of NaN

    Returns
    -------
    list of str
    """
    numbers = [float(v) for v in values]
    finite = [v for v in numbers if math.isfinite(v)]
    spec = ".0f"
    if finite:
        forms = [_scientific(v, digits) for v in finite]
        decimals = max(max(0, n - power - 1) for power, n, _ in forms)
        whole = max(
            (v < 0) + max(1, power + 1 - widened)
            for v, (power, _, widened) in zip(finite, forms, strict=True)
        )
        fixed_width = whole + decimals + (decimals > 0)
        mantissa = max(n for _, n, _ in forms) - 1
        powers = [power for power, _, _ in forms]
        exponent_width = 2 if max(powers) >= 100 or min(powers) <= -99 else 1
        sign = any(v < 0 for v in finite)
        scientific_width = sign + (mantissa > 0) + mantissa + 4 + exponent_width
        if fixed_width <= scientific_width:
            spec = f".{max(decimals, min_decimals)}f"
        else:
            spec = f".{mantissa}e"
    cells = [_format_one(v, spec, missing) for v in numbers]
    if drop_trailing_zeros:
        cells = [_drop_zeros(cell) for cell in cells]
    width = max(map(len, cells), default=0) if pad else 0
    return [cell.rjust(width) for cell in cells]


def _format_one(value: float, spec: str, missing: str) -> str:
    if math.isnan(value):
        return missing
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return format(value + 0.0, spec)  # + 0.0: no minus sign before a zero


def _drop_zeros(text: str) -> str:
    mantissa, mark, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def format_number(value: float, digits: int = PRINT_DIGITS) -> str:
    """Format one number on its own, as R's ``cat`` does."""
    return format_common([value], digits)[0]


def format_general(value: float, digits: int) -> str:
    """Format with ``digits`` significant digits as C's ``%g``, R's ``formatC(x, digits)``."""
    return "NA" if math.isnan(value) else f"{value:.{digits}g}"


def format_p_values(p_values: Sequence[float], digits: int) -> list[str]:
    """Format p-values as R's ``format.pval``: none smaller than ``< 2.2e-16`` is shown.

    Values from 0.001 up (0.0001 up, when two digits or more are shown) are formatted together,
    smaller ones together too, so that one tiny value does not cost the others their decimals.
    """
    cells = ["NA"] * len(p_values)
    together: dict[bool, list[int]] = {True: [], False: []}
    tiny = []
    for i, p in enumerate(p_values):
        if math.isnan(p):
            continue
        if p < MACHINE_EPSILON:
            tiny.append(i)
            continue
        exponent = math.floor(math.log10(p))
        lowest = FIXED_BELOW_EXPONENT - (digits > 1)
        together[exponent >= lowest].append(i)
    for places in together.values():
        for i, cell in zip(
            places, format_common([p_values[i] for i in places], digits), strict=True
        ):
            cells[i] = cell
    if tiny:
        others = [len(cells[i]) for places in together.values() for i in places]
        bound = _smallest_p_value(max(1, digits - 2), max(others, default=None))
        for i in tiny:
            cells[i] = bound
    return cells


def _smallest_p_value(digits: int, width: int | None) -> str:
    """Write the bound for p-values that are zero to machine precision, fitting the others."""
    gap = "" if digits == 1 else " "
    if width is not None:
        if digits > 1 and digits + 6 > width:
            digits = max(1, width - 7)
        gap = "" if digits == 1 and width <= 6 else " "
    return f"<{gap}{format_number(MACHINE_EPSILON, digits)}"


def quantiles(values: FloatArray, probabilities: Sequence[float]) -> list[float]:
    """Sample quantiles by linear interpolation of the order statistics (R's type 7)."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return [math.nan] * len(probabilities)
    return [float(q) for q in np.quantile(known, probabilities)]


FIVE_NUMBERS = ("Min", "1Q", "Median", "3Q", "Max")


def five_numbers(values: FloatArray) -> list[float]:
    """Minimum, quartiles and maximum."""
    return quantiles(values, (0.0, 0.25, 0.5, 0.75, 1.0))


LEGEND = (
    "Signif. codes:  0 \u2018***\u2019 0.001 \u2018**\u2019 0.01 \u2018*\u2019 0.05 "
    "\u2018.\u2019 0.1 \u2018 \u2019 1"
)
SIGNIFICANCE_CUTS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))


def significance_mark(p_value: float) -> str:
    """Stars of a p-value: ``***`` to 0.001, ``**`` to 0.01, ``*`` to 0.05, ``.`` to 0.1."""
    if math.isnan(p_value):
        return ""
    return next((mark for cut, mark in SIGNIFICANCE_CUTS if p_value <= cut), " ")


def format_plain(value: float, digits: int = 4) -> str:
    """Format with so many digits, never in powers of ten where a person would not."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 7:
        return f"{value:.{max(digits - 1 - size, 0)}f}"
    return f"{value:.{digits - 1}e}"


def format_factor(factor: float) -> str:
    """Format a Bayes factor: three digits, no powers of ten below a million."""
    return f"{factor:,.0f}" if 1000 <= factor < 1e6 else f"{factor:.3g}"


def format_probability(probability: float) -> str:
    """Format a posterior probability with three decimals, never as 0 or 1."""
    if probability < 0.001:
        return "<0.001"
    return ">0.999" if probability > 0.999 else f"{probability:.3f}"


def format_percent(probability: float) -> str:
    """Format a probability in prose, rounded as ``format_probability`` rounds it."""
    if probability < 0.001:
        return "less than 0.1 %"
    if probability > 0.999:
        return "more than 99.9 %"
    return f"{100 * float(format_probability(probability)):.1f} %"
