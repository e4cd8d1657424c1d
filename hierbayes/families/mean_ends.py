"""Between which ends the mean parameter of a family lies, where its link allows others.

A density may be a number there all the same: that of no count is exp(-mu), above one for a
negative mu, and that of a success mu, above one for a mu above one.
"""

import math

import numpy as np
from scipy.special import ndtr

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.errors import DataError
from hierbayes.families.family import Bounds, Family


def mean_ends(family: Family) -> Bounds | None:
    """Return the ends; None where every eta has a mean between them."""
    ends, power = family.mean_ends, family.link.power
    always = math.isnan(power) or (power == 0 and ends == (0.0, math.inf))
    return None if always else ends


def has_mean(family: Family, eta: FloatArray) -> BoolArray | bool:
    """Whether each eta has a mean between the ends, in the shape of eta; True where all have."""
    ends = mean_ends(family)
    if ends is None:
        return True
    mu = family.mean(eta)
    return np.asarray((mu > ends[0]) & (mu < ends[1]))


def eta_ends(family: Family) -> Bounds:
    """Between which ends eta has a mean."""
    ends, power = mean_ends(family), family.link.power
    if ends is None or 0 < power < 1:  # a root: squares have no sign
        return -math.inf, math.inf
    with np.errstate(divide="ignore"):
        low, high = np.sort(family.link.forward(np.array(ends)))
    return float(low), float(high)


def chance_of_no_mean(family: Family, eta: FloatArray, sd: FloatArray) -> FloatArray:
    """Probability that a normal eta of mean ``eta`` and that sd has no mean of the family."""
    low, high = eta_ends(family)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = ndtr((low - eta) / sd) + ndtr((eta - high) / sd)
    return np.where(sd > 0, outside, ~((eta > low) & (eta < high)))


def link_with_means(family: Family) -> str | None:
    """Name the first link of a family under which every eta has a mean; None where it has none."""
    ends = family.mean_ends
    if ends is None:
        return None
    names = family.link_names
    return next((name for name in names if mean_ends(family.with_link(name)) is None), None)


def no_responses_there(family: Family, eta: FloatArray, possible: BoolArray) -> DataError:
    """Return the error of linear predictors, some of which have no possible response.

    Parameters
    ----------
    family : Family
    eta : array, shape (m,) of rows or (S, m) of draws of rows
    possible : array, in the shape of eta
    """
    part = eta[~possible]
    lost = f"{part.size} of {eta.size} rows"
    if eta.ndim > 1:
        lost = f"{100 * (1 - possible.mean()):.2g} % of the draws of these rows"
    is_mean, other = family.is_drawable(family.mean(part)), link_with_means(family)
    advice = (
        f"link={other!r} has means that are possible everywhere; type='link' predicts the linear "
        "predictor."
        if other is not None and not is_mean.all()
        else "Give narrower priors, or scale the predictors."
    )
    return DataError(
        f"{lost} have no response of family={family.name!r}, link={family.link.name!r}: their "
        f"linear predictors, {part.min():.3g} to {part.max():.3g}, have means that are impossible "
        f"or beyond all numbers. {advice}"
    )


def check_means(family: Family, eta: FloatArray) -> None:
    """Raise DataError if an eta has no mean of the family; NaN is a row without one anyway."""
    possible = np.isnan(eta) | has_mean(family, eta)
    if not possible.all():
        raise no_responses_there(family, eta, possible)
