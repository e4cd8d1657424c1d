"""The response of a design as a family takes it, and what a family's model can't hold."""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
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
    """Return the error of a family without a formula for its expectation, density or draws."""
    known = ", ".join(other.name for other in FAMILIES.values() if other.draw is not None)
    return not_supported("responses-of-family", family=family.name, families=known)


def checked_observations(design: Design, family: Family) -> FloatArray:
    """Return the response as the family's likelihood takes it.

    Returns
    -------
    array
        Shape (n,); for binomial families (n, 2), successes and trials; for ordinal families the
        number of the category, from 0.

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
        categories = np.unique(y)
        if categories.size > y.size // 2:
            raise DataError(
                f"The response {label!r} has {categories.size} categories in {y.size} rows; "
                f"family={family.name!r} is for few, repeated categories."
            )
        return np.searchsorted(categories, y).astype(np.float64)
    return y


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
    row = design.row_labels[first]
    value = f"{y[first]:g}" if y.ndim == 1 else " and ".join(f"{part:g}" for part in y[first])
    more = f" and {bad.size - 1} more rows" if bad.size > 1 else ""
    raise DataError(f"The response {label!r}: {need}; row {row!r} holds {value}{more}.")
