"""What the options of a formula's functions may be: a number, TRUE or FALSE, texts.

An option of the wrong kind is refused where it stands, before a function sees it. Which values of
the right kind make sense (a degree of 0, knots beyond the data) is for the function to say.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """Which values an option takes, and the words for them."""

    takes: Callable[[Any], bool]
    words: str


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _all_of(value: Any, takes: Callable[[Any], bool]) -> bool:
    items = value if isinstance(value, tuple) else (value,)
    return bool(items) and all(takes(item) for item in items)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


NUMBER = Kind(_is_number, "a number")
NUMBERS = Kind(lambda value: _all_of(value, _is_number), "numbers, as in c(2, 5)")
FLAG = Kind(_is_flag, "TRUE or FALSE")
FLAG_OR_NUMBER = Kind(lambda value: _is_flag(value) or _is_number(value), "TRUE, FALSE or a number")
LABELS = Kind(lambda value: _all_of(value, _is_label), 'levels, as in c("low", "high")')
CENTRE = Kind(lambda value: value == "center", '"center"')
_BEYOND = ("extend", "raise", "na", "clip", "zero")
EXTRAPOLATION = Kind(
    lambda value: isinstance(value, str) and value in _BEYOND,
    ", ".join(f'"{word}"' for word in _BEYOND[:-1]) + f' or "{_BEYOND[-1]}"',
)

# By name: an option means the same in every function that has it. The options of cut() that aren't
# here, and the coding of C(), are read by these functions themselves.
KINDS: dict[str, Kind] = {
    "base": NUMBER, "degree": NUMBER, "df": NUMBER, "dig.lab": NUMBER,
    "lower_bound": NUMBER, "upper_bound": NUMBER,
    "knots": NUMBERS, "Boundary.knots": NUMBERS,
    "raw": FLAG, "simple": FLAG, "intercept": FLAG, "ordered": FLAG,
    "include.lowest": FLAG, "right": FLAG, "ordered_result": FLAG,
    "center": FLAG_OR_NUMBER, "scale": FLAG_OR_NUMBER,
    "levels": LABELS, "exclude": LABELS,
    "constraints": CENTRE, "extrapolation": EXTRAPOLATION,
}  # fmt: skip
