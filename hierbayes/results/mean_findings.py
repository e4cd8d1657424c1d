"""What is said where new levels of a grouping factor may have means that the family does not have.

Under an inverse link eta must be above zero, under the identity link of a probability between 0
and 1; normal random effects know no such ends. Rows that were observed have possible means, new
levels do not always.
"""

import math

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.families.mean_ends import chance_of_no_mean, eta_ends, link_with_means
from hierbayes.results.finding import Finding
from hierbayes.specification.specification import Specification
from hierbayes.wording import listed

# From where on it is worth a word: predictions draw thousands of responses a row.
LEAST = 1e-4


def chance_of_impossible(spec: Specification, eta: FloatArray, variance: FloatArray) -> FloatArray:
    """Probability of each row that new levels in its place have no mean.

    Parameters
    ----------
    spec : Specification
    eta : array, shape (..., n), linear predictors without random effects
    variance : array, shape (..., n), of the random effects of the row
    """
    return chance_of_no_mean(spec.family, eta, np.sqrt(variance))


def impossible_means(spec: Specification, chance: FloatArray) -> tuple[Finding, ...]:
    """Return the finding of rows (n,) whose new levels have no mean with such probabilities."""
    largest = float(np.max(chance, initial=0.0))
    family, other = spec.family, link_with_means(spec.family)
    if not largest >= LEAST or other is None:
        return ()
    low, high = eta_ends(family)
    need = f"above {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
    need = f"below {high:g}" if low == -math.inf else need
    names = listed([factor.name for factor in spec.design.factors])
    return (
        Finding(
            "impossible_means",
            f"link={family.link.name!r} makes impossible means possible: family={family.name!r} "
            f"has one only where the linear predictor is {need}, and for new levels of {names} it "
            f"is not with a probability of up to {100 * largest:.2g} %.",
            "Responses of such levels can't be predicted or drawn, and the normal distribution of "
            f"the random effects is not quite theirs. link={other!r} has a mean everywhere.",
            {"probability": largest, "link": other},
        ),
    )
