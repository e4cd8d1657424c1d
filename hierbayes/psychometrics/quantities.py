"""What is read off a psychometric function: thresholds, distances and slopes, with derivatives.

Along t (the stimulus or its logarithm) the predictor is eta = a + s (t - origin), and

    psi = guess + (1 - guess - lapse) F(eta).

Of the core function F, or of the whole curve psi, where eta_p is the eta at which that is p:

    location of p      t = origin + (eta_p - a) / s
    distance, p to r   |eta_r - eta_p| / |s|, times a factor
    slope              s of the core function; of the whole curve d psi / dt where F is one half

The core function is p at F^-1(p); the whole curve where F is (p - guess) / (1 - guess - lapse).
On a logarithmic scale a location is exp(t), and a distance the ratio exp(distance).
"""

from typing import Literal

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.families.links import Link
from hierbayes.families.series import variable
from hierbayes.options import CurvePart

HALF = 0.5
JND_ENDS = (0.25, 0.75)


@record
class Readings:
    """A quantity on lines, and its derivatives in a, s, guess and lapse; arrays of one shape.

    Attributes
    ----------
    value : the quantity, on the scale of t - origin
    in_a, in_s, in_guess, in_lapse : its derivatives
    """

    value: FloatArray
    in_a: FloatArray
    in_s: FloatArray
    in_guess: FloatArray
    in_lapse: FloatArray


@record
class Quantity:
    """One thing to read off.

    Attributes
    ----------
    name : "pse", "threshold", "jnd", "width" or "slope"
    of : "core" or "curve"
    shares : the probabilities it rests on, one of a location and two of a distance
    factor : of a distance
    """

    name: Literal["pse", "threshold", "jnd", "width", "slope"]
    of: CurvePart
    shares: tuple[float, ...] = ()
    factor: float = 1.0

    @property
    def is_location(self) -> bool:
        """Whether it is a stimulus."""
        return self.name in ("pse", "threshold")

    @property
    def is_distance(self) -> bool:
        """Whether it is a distance of stimuli."""
        return self.name in ("jnd", "width")


def at_share(
    link: Link, of: CurvePart, p: float, guess: FloatArray, lapse: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eta where the core function or the whole curve is p, and its slopes in guess and lapse.

    NaN where the whole curve never is.
    """
    zero = np.zeros(np.broadcast_shapes(np.shape(guess), np.shape(lapse)))
    if of == "core":
        return np.asarray(link.forward(np.full(zero.shape, p))), zero, zero
    span = 1.0 - guess - lapse
    share = zero + (p - guess) / span
    share = np.where((share > 0) & (share < 1), share, np.nan)
    eta = np.asarray(link.forward(share))
    steep = link.inverse(variable(eta, order=1)).derivative(1)
    return eta, (share - 1.0) / span / steep, share / span / steep


def read(
    quantity: Quantity,
    link: Link,
    *,
    a: FloatArray,
    s: FloatArray,
    guess: FloatArray,
    lapse: FloatArray,
) -> Readings:
    """Read a quantity off lines, on the scale of t - origin.

    Parameters
    ----------
    quantity : Quantity
    link : of the core function
    a, s, guess, lapse : arrays that broadcast
    """
    a, s, guess, lapse = np.broadcast_arrays(a, s, guess, lapse)
    if quantity.name == "slope":
        return _slope(quantity, link, s, guess, lapse)
    ends = [at_share(link, quantity.of, p, guess, lapse) for p in quantity.shares]
    with np.errstate(divide="ignore", invalid="ignore"):
        if quantity.is_location:
            eta, by_guess, by_lapse = ends[0]
            value = (eta - a) / s
            return Readings(
                value=value,
                in_a=-1.0 / s,
                in_s=-value / s,
                in_guess=by_guess / s,
                in_lapse=by_lapse / s,
            )
        (low, low_guess, low_lapse), (high, high_guess, high_lapse) = ends
        size = np.abs(s) / quantity.factor
        value = (high - low) / size
        return Readings(
            value=value,
            in_a=np.zeros_like(value),
            in_s=-value / s,
            in_guess=(high_guess - low_guess) / size,
            in_lapse=(high_lapse - low_lapse) / size,
        )


def _slope(
    quantity: Quantity, link: Link, s: FloatArray, guess: FloatArray, lapse: FloatArray
) -> Readings:
    none = np.zeros_like(s)
    if quantity.of == "core":
        return Readings(value=s + 0.0, in_a=none, in_s=none + 1.0, in_guess=none, in_lapse=none)
    middle = np.asarray(link.forward(np.array(HALF)))
    steep = float(link.inverse(variable(middle, order=1)).derivative(1))
    span = 1.0 - guess - lapse
    return Readings(
        value=span * steep * s,
        in_a=none,
        in_s=span * steep,
        in_guess=-steep * s,
        in_lapse=-steep * s,
    )
