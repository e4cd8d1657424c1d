"""Between which ends the mean parameter of a family lies, where its link allows others.

A density may be a number there all the same: that of no count is exp(-mu), above one for a
negative mu, and that of a success mu, above one for a mu above one.
"""

import math

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.families.builtin import COUNTS, NOT_NEGATIVE, POSITIVE, SHARES, ZERO_ONE
from hierbayes.families.family import Family


def mean_ends(family: Family) -> tuple[float, float] | None:
    """Return the ends; None where every eta has a mean between them."""
    power = family.link.power
    if not family.is_builtin or math.isnan(power):
        return None
    if family.counts_trials or family.support in (ZERO_ONE, SHARES):
        return 0.0, 1.0
    if power == 0 or family.is_log_response:
        return None
    return (0.0, math.inf) if family.support in (COUNTS, POSITIVE, NOT_NEGATIVE) else None


def has_mean(family: Family, eta: FloatArray) -> BoolArray | bool:
    """Whether each eta has a mean between the ends, in the shape of eta; True where all have."""
    ends = mean_ends(family)
    if ends is None:
        return True
    with np.errstate(all="ignore"):
        mu = family.mean(eta)
    return np.asarray((mu > ends[0]) & (mu < ends[1]))
