"""Between which ends the mean parameter of a family lies, where its link allows others.

A density may be a number there all the same: that of no count is exp(-mu), above one for a
negative mu, and that of a success mu, above one for a mu above one.
"""

import math

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.families.family import Family


def mean_ends(family: Family) -> tuple[float, float] | None:
    """Return the ends; None where every eta has a mean between them."""
    ends, power = family.mean_ends, family.link.power
    always = math.isnan(power) or (power == 0 and ends == (0.0, math.inf))
    return None if always else ends


def has_mean(family: Family, eta: FloatArray) -> BoolArray | bool:
    """Whether each eta has a mean between the ends, in the shape of eta; True where all have."""
    ends = mean_ends(family)
    if ends is None:
        return True
    with np.errstate(all="ignore"):
        mu = family.mean(eta)
    return np.asarray((mu > ends[0]) & (mu < ends[1]))
