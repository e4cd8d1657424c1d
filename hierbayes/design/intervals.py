"""Numbers cut into intervals, as R's ``cut`` does: the breaks are learnt, the labels are R's.

An interval is open on the left and closed on the right, ``(a,b]``, or the other way round. A value
in no interval is missing.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.values import MISSING_CODE, Factor, merged_levels, number_label

State = dict[str, Any]

MAX_INTERVALS = 10_000
BEYOND = 1 / 1000  # the outer breaks of a number of intervals lie this part of the range outside
MOST_DIGITS = 12  # of a break in a label


def learn_intervals(
    x: FloatArray,
    *,
    breaks: Any = None,
    labels: Any = None,
    include_lowest: Any = False,
    right: Any = True,
    dig_lab: Any = 3,
    ordered_result: Any = False,
) -> State:
    """Return the breaks and labels of ``cut(x, ...)``.

    Parameters
    ----------
    x : array, the finite values
    breaks : the numbers between the intervals, or how many intervals of one width there are
    labels : one text an interval; False for the number of the interval instead of a factor
    include_lowest : whether the outermost open end is closed
    right : closed on the right; False: on the left
    dig_lab : significant digits of the breaks in labels, more where these don't tell them apart
    ordered_result : whether the levels have an order

    Raises
    ------
    ValueError
        For breaks or labels that make no intervals.
    """
    if not 1 <= dig_lab <= 22:
        raise ValueError(f"dig.lab is a number of digits, 1 to 22, not {dig_lab:g}")
    cuts = _breaks(x, breaks)
    if labels is True:
        raise ValueError("labels must be texts, or FALSE")
    if labels is None:
        labels = _interval_labels(cuts, int(dig_lab), right=right, include_lowest=include_lowest)
    elif labels is not False:
        items = labels if isinstance(labels, tuple) else (labels,)
        labels = [item if isinstance(item, str) else number_label(float(item)) for item in items]
        if len(labels) != len(cuts) - 1:
            raise ValueError(f"there are {len(labels)} labels for {len(cuts) - 1} intervals")
    return {
        "breaks": cuts,
        "labels": labels,
        "right": right,
        "include_lowest": include_lowest,
        "ordered": ordered_result,
    }


def _breaks(x: FloatArray, breaks: Any) -> list[float]:
    if breaks is None:
        raise ValueError("give breaks, for example cut(x, 3) or cut(x, c(0, 2, 5))")
    numbers = breaks if isinstance(breaks, tuple) else (breaks,)
    if not numbers or any(isinstance(b, bool) or not isinstance(b, int | float) for b in numbers):
        raise ValueError("breaks must be numbers, as in c(0, 2, 5)")
    if len(numbers) > 1:
        cuts = sorted(float(b) for b in numbers)
        if len(set(cuts)) < len(cuts):
            raise ValueError("a break is there twice")
        return cuts
    count = numbers[0]
    if count != np.floor(count) or not 2 <= count <= MAX_INTERVALS:
        raise ValueError(f"the number of intervals must be 2 to {MAX_INTERVALS}, not {count:g}")
    if not x.size:
        raise ValueError("every value of the variable is missing")
    low, high = float(x.min()), float(x.max())
    width = high - low
    if width == 0:
        margin = (abs(low) or 1.0) * BEYOND
        return np.linspace(low - margin, high + margin, int(count) + 1).tolist()
    inner = np.linspace(low, high, int(count) + 1)[1:-1].tolist()
    return [low - width * BEYOND, *inner, high + width * BEYOND]


def _interval_labels(
    cuts: list[float], digits: int, *, right: bool, include_lowest: bool
) -> list[str]:
    """Return R's labels, with as many digits as tell neighbouring breaks apart."""
    for places in range(digits, max(MOST_DIGITS, digits) + 1):
        texts = [f"{cut + 0.0:.{places}g}" for cut in cuts]
        if all(a != b for a, b in pairwise(texts)):
            break
    else:
        return [f"Range_{place}" for place in range(1, len(cuts))]
    # R gives what is not finite one width: beside -Inf, a blank goes before Inf.
    plus_inf = " Inf" if "-inf" in texts else "Inf"
    texts = [{"inf": plus_inf, "-inf": "-Inf"}.get(text, text) for text in texts]
    left, end = ("(", "]") if right else ("[", ")")
    labels = [f"{left}{a},{b}{end}" for a, b in pairwise(texts)]
    if include_lowest and right:
        labels[0] = "[" + labels[0][1:]
    elif include_lowest:
        labels[-1] = labels[-1][:-1] + "]"
    return labels


def in_intervals(x: FloatArray, state: State) -> Factor | FloatArray:
    """Return the interval of each value as a factor; as its number where ``labels = FALSE``."""
    cuts = np.array(state["breaks"])
    n_intervals = cuts.size - 1
    if state["right"]:
        codes = np.searchsorted(cuts, x, side="left") - 1
        if state["include_lowest"]:
            codes[x == cuts[0]] = 0
    else:
        codes = np.searchsorted(cuts, x, side="right") - 1
        if state["include_lowest"]:
            codes[x == cuts[-1]] = n_intervals - 1
    outside = (codes < 0) | (codes >= n_intervals) | np.isnan(x)
    if state["labels"] is False:
        return np.where(outside, np.nan, codes + 1.0)
    found: IntArray = np.where(outside, MISSING_CODE, codes).astype(np.intp)
    factor = merged_levels(found, state["labels"])
    return Factor(factor.codes, factor.levels, state["ordered"])
