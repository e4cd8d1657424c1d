"""What the browser sends, as parts of a state: checked, whatever it is."""

import math
from collections.abc import Mapping, Sequence


def edits_of(given: Mapping[str, object]) -> tuple[tuple[int, float | None], ...]:
    """Return moved and deleted observations; what is no row or no number is left out."""
    found: dict[int, float | None] = {}
    for row, y in given.items():
        if not (str(row).isascii() and str(row).isdigit()):
            continue
        if y is None:
            found[int(row)] = None
        elif isinstance(y, int | float) and math.isfinite(y):
            found[int(row)] = float(y)
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def guess_of(given: Sequence[object]) -> tuple[float, ...]:
    """Return guessed coefficients, none unless all are numbers."""
    numbers = [float(v) for v in given if isinstance(v, int | float) and math.isfinite(v)]
    return tuple(numbers) if len(numbers) == len(given) else ()
