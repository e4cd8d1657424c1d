"""Whether fits belong beside each other: the same rows and the same response."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierbayes.errors import DataError


def check_same_data(fits: Sequence[Any], *, purpose: str) -> None:
    """Raise DataError naming the difference if the fits have other rows or other responses.

    ``purpose`` ends the sentence: what can't be done then.
    """
    first = fits[0]
    label = first.design.formula.response_label
    for fit in fits[1:]:
        if fit.nobs != first.nobs:
            raise DataError(
                f"The fits used different rows ({first.nobs} and {fit.nobs}), so {purpose}. Fit "
                "all to the rows that are complete for all."
            )
        if np.array_equal(fit.design.y, first.design.y):
            continue
        other = fit.design.formula.response_label
        if other != label:
            raise DataError(
                f"The fits have different responses ({label} and {other}), so {purpose}."
            )
        raise DataError(f"The fits have different values of {label}, so {purpose}.")
