"""The response of a design as a family takes it, and what a family's model can't hold."""

from itertools import pairwise
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.values import Factor, number_label
from hierbayes.errors import DataError, NotSupportedError
from hierbayes.families.builtin import COUNTS, FAMILIES
from hierbayes.families.family import Family

# Successes computed as proportion x trials are whole up to the rounding of the proportion, which
# is often printed with few digits.
WHOLE = 1e-4


def check_supported(design: Design, family: Family) -> None:
    """Raise NotSupportedError for what a family's model can't hold."""
    scaled = " and ".join(known.name for known in FAMILIES.values() if known.weighs_sigma)
    if design.weights is not None and not (family.weighs_sigma or family.counts_trials):
        raise not_supported("weights-of-family", family=family.name, families=scaled)
    if design.known_sd is not None and not family.weighs_sigma:
        raise not_supported("known-sd-of-family", family=family.name, families=scaled)


def no_responses(family: Family) -> NotSupportedError:
    """Return the error of a family of one's own without a formula for its expectation."""
    return not_supported("responses-of-family", family=family.name)


def checked_observations(design: Design, family: Family) -> FloatArray:
    """Return the response as the family's likelihood takes it.

    Returns
    -------
    array
        Shape (n,); for binomial families (n, 2), successes and trials; for ordinal families the
        place of the category, from 0.

    Raises
    ------
    DataError
        If the response can't come from the family; the message names rows and remedy.
    """
    label = design.formula.response_label
    y = design.y
    if y.ndim == 2 and not family.counts_trials:
        raise DataError(
            f"The response {label} is for binomial models; family={family.name!r} has one response "
            "column."
        )
    if family.counts_trials:
        return _successes_and_trials(design)
    if family.support is not None:
        allowed = family.support
        _check_rows(allowed.holds(y), design, f"family={family.name!r} needs {allowed.words}")
    if family.is_ordinal:
        return _categories(design, family)
    return y


def first_category(design: Design) -> float:
    """Return the number of the first category of an ordered response."""
    return 1.0 if isinstance(_response_value(design), Factor) else float(design.summands.y.min())


def category_labels(design: Design, n_categories: int) -> list[str]:
    """Labels of the categories of an ordered response, or their numbers."""
    value = _response_value(design)
    if isinstance(value, Factor):
        return [str(level) for level in value.levels]
    first = first_category(design)
    return [number_label(first + k) for k in range(n_categories)]


def threshold_names(design: Design, n_thresholds: int) -> list[str]:
    """Name each threshold by the categories below and above it, ``low|high``."""
    labels = category_labels(design, n_thresholds + 1)
    return [f"{low}|{high}" for low, high in pairwise(labels)]


def _response_value(design: Design) -> Any:
    return design.rows.values.get(design.formula.response)


def _categories(design: Design, family: Family) -> FloatArray:
    """Return the place of each row's category, from 0; every category has rows."""
    y, label = design.y, design.formula.response_label
    first = first_category(design)
    found = np.unique(y)
    if found.size > design.n_rows // 2:
        raise DataError(
            f"The response {label!r} has {found.size} categories in {design.n_rows} rows; "
            f"family={family.name!r} is for few, repeated categories."
        )
    value = _response_value(design)
    count = value.levels.size if isinstance(value, Factor) else int(found[-1] - first) + 1
    if found.size < count:
        missing = np.setdiff1d(first + np.arange(count), found)[0]
        names = category_labels(design, count)
        raise DataError(
            f"The response {label!r} has no row in category {names[int(missing - first)]!r} of "
            f"{names[0]!r} to {names[-1]!r}, so the thresholds beside it can't be told apart. "
            "Leave the category out: pandas.Categorical(column, ordered=True).remove_unused_"
            "categories() has those that occur, in their order."
        )
    return np.asarray(y - first)


def _successes_and_trials(design: Design) -> FloatArray:
    y, label = design.y, design.formula.response_label
    if y.ndim == 2:
        if design.weights is not None:
            raise DataError(
                f"weights and {label} were both given; cbind already says how many trials a row "
                "has. Leave weights out."
            )
        both = COUNTS.holds(y).all(axis=1)
        _check_rows(both, design, f"{label} needs {COUNTS.words}")
        if not y.any():
            raise DataError(
                f"The response {label!r} has no trial in any of the {len(y)} rows used; there is "
                "nothing to model."
            )
        return np.column_stack([y[:, 0], y.sum(axis=1)])
    inside = (y >= 0) & (y <= 1)
    if design.weights is None:
        advice = "without weights a binomial response is 0 or 1 (or write cbind(successes, "
        _check_rows((y == 0) | (y == 1), design, f"{advice}failures), or give trials as weights)")
        return np.column_stack([y, np.ones_like(y)])
    _check_rows(inside, design, "with weights a binomial response is a proportion from 0 to 1")
    trials = design.weights
    _check_rows(trials == np.floor(trials), design, "weights need whole numbers of trials")
    successes = np.round(y * trials)
    whole = np.abs(y * trials - successes) <= WHOLE * trials
    _check_rows(whole, design, "the proportion times its weight needs to be a whole number")
    return np.column_stack([successes, trials])


def _check_rows(good: BoolArray, design: Design, need: str) -> None:
    bad = np.flatnonzero(~good)
    if not bad.size:
        return
    y, label = design.y, design.formula.response_label
    first = int(bad[0])
    label_of_row = design.row_labels[first]
    row = label_of_row if design.counts is not None else repr(label_of_row)
    value = f"{y[first]:g}" if y.ndim == 1 else " and ".join(f"{part:g}" for part in y[first])
    more = f" and {bad.size - 1} more rows" if bad.size > 1 else ""
    raise DataError(f"The response {label!r}: {need}; row {row} holds {value}{more}.")
