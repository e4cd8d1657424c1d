"""Coordinates of a linear mixed model in which one parameter is a coordinate of its own.

A likelihood profile holds one parameter (an sd, a correlation, sigma or a fixed effect) and lets
all others follow. For each parameter the columns of its random-effects term are turned so that
its value stands in one place of the triangle Lambda of Var(b) = sigma^2 Lambda Lambda':

    sd s of b_1:            Lambda_11 = s / (n sigma), with b_1 = n y_1 for a unit direction y_1
    correlation sin(phi):   b_1 = n y_1, b_2 = c y_1 + d y_2 and Lambda_11 = a,
                            Lambda_21 = t sin(phi) - (c / d) a, Lambda_22 = t cos(phi)

Beside an sd the second row is polar too (with c = 0): where s is near zero, Lambda_21 and Lambda_22
run along a circle on which the deviance hardly changes, and a circle is straight in phi.

The other columns of the term follow in the principal axes of what the estimate leaves to them,
so that directions without variance come last and none of the valleys of a singular triangle is
met. A term with a structure of its own (``gaussian/structures.py``) keeps the coordinates of its
search; a held scale is s = n sigma x with its unit n. A point is z = (k entries or what stands for
them, log sigma, value of the held fixed effect), the same length for all parameters, so that a
batch may hold different ones; the coordinates of residuals that have a structure stand before the
last (``residual_profile.py``). Of a generalised model, whose fixed effects are not profiled out, it
is (k entries, log sigma = 0, further parameters, all fixed effects with the held one last).
``held_places.py`` makes these coordinates at an estimate.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 5.1 (profiles).
"""

from dataclasses import fields, replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.structures import off_right_angle

# Diagonal entries stay this far from zero, so that the curvature there is defined; the deviance
# moves by the square of it.
FLOOR = 1e-6
# The held parameter comes this close to the end of its range: an sd in residual sds, phi of a
# correlation to a right angle. Closer than FLOOR, so that nothing is left of what it multiplies.
END = 1e-9
RIGHT_ANGLE = np.pi / 2 - END


@record
class Held:
    """What is held in each entry of a batch; arrays with a leading axis T, like the points.

    Attributes
    ----------
    own : array of int, shape (T,), the place in z of the parameter that is held
    cut : array of int, shape (T,), the threshold of ordered categories that is held, from 0; -1 for
        others. It takes the place of a coordinate that it is the sum of with others
    n_theta : k
    free : array, shape (T, k + 2), the places of z that follow
    turns : per factor, array (T, q, q), rows are the directions Lambda's rows stand for
    is_sd, is_cor, is_beta : arrays, shape (T,)
    is_polar : array, shape (T,), whether the second row of the term is in t and phi
    size : array, shape (T,), n above, or the length of the fixed effect's row of ``x_basis``
    middle, half : arrays, shape (T,), of the range of a held correlation: 0 and 1, or a structure's
    corner : array of int, shape (T, 3), places of Lambda_11, Lambda_21, Lambda_22 where polar
    ratio : array, shape (T,), c / d above
    rotation : array, shape (T, p, p), rotates the columns of X so that the held one is last
    shift : array, shape (T,), what to add to the coordinate of the held fixed effect: it is kept
        small, so that a mean of a million does not take its digits
    diagonal, positive : arrays, shape (T, k + 2), places that must not be zero, not be negative
    angle : array, shape (T, k + 2), places of a structure that must not be right angles
    wide : array, shape (T, k + 2), places of correlations of residuals with more than one optimum
    below : array, shape (T, k + 2), places under the diagonal entry that is zero at a bound; there
        the rest of its column is the same as later columns and would be searched in vain
    lower, upper : arrays, shape (T,), bounds of the held coordinate
    """

    own: IntArray
    cut: IntArray
    n_theta: int
    free: BoolArray
    turns: tuple[FloatArray, ...]
    is_sd: BoolArray
    is_cor: BoolArray
    is_beta: BoolArray
    is_polar: BoolArray
    size: FloatArray
    middle: FloatArray
    half: FloatArray
    corner: IntArray
    ratio: FloatArray
    rotation: FloatArray
    shift: FloatArray
    diagonal: BoolArray
    positive: BoolArray
    angle: BoolArray
    wide: BoolArray
    below: BoolArray
    lower: FloatArray
    upper: FloatArray

    @cached_property
    def sds(self) -> IntArray:
        """Entries that hold an sd."""
        return self.is_sd.nonzero()[0]

    @cached_property
    def polar(self) -> IntArray:
        """Entries whose second row is in t and phi."""
        return self.is_polar.nonzero()[0]

    @cached_property
    def angled(self) -> IntArray:
        """Those of them whose phi is not what is held."""
        return (self.is_polar & ~self.is_cor).nonzero()[0]

    def take(self, index: IntArray) -> "Held":
        """Return the batch of these entries."""
        chosen = {
            part.name: getattr(self, part.name)[index]
            for part in fields(self)
            if part.name not in ("turns", "n_theta")
        }
        turns = tuple(turn[index] for turn in self.turns)
        return Held(turns=turns, n_theta=self.n_theta, **chosen)

    def projected(self, z: FloatArray, limit: float = FLOOR) -> FloatArray:
        """Points kept off the places where an entry on the diagonal of Lambda is zero."""
        sign = np.where((z < 0) & ~self.positive, -1.0, 1.0)
        size = np.where(self.positive, z, np.abs(z))
        found = np.where(self.diagonal & (size < limit), sign * limit, z)
        at = self.angled
        if at.size:
            phi = found[at, self.corner[at, 1]]
            found[at, self.corner[at, 1]] = off_right_angle(phi, limit)
        if self.angle.any():
            found = np.where(self.angle, off_right_angle(found, limit), found)
        return found

    def at_bound(self, value: FloatArray) -> BoolArray:
        """Which held coordinates (T,) are at a bound."""
        return np.asarray((value <= self.lower) | (value >= self.upper))

    def without_redundant(self, value: FloatArray) -> "Held":
        """Return the batch with places that say nothing at these values (T,) not free."""
        redundant = self.below & self.at_bound(value)[:, None]
        return replace(self, free=self.free & ~redundant) if redundant.any() else self

    def entries(self, z: FloatArray) -> FloatArray:
        """Entries of Lambda in the turned columns, shape (T, k)."""
        k = self.n_theta
        found = z[:, :k].copy()
        at = self.sds
        found[at, self.own[at]] *= np.exp(-z[at, k]) / self.size[at]
        at = self.polar
        if at.size:
            one, two, three = self.corner[at].T
            a, phi, t = z[at, one], z[at, two], z[at, three]
            found[at, two] = t * np.sin(phi) - self.ratio[at] * a
            found[at, three] = t * np.cos(phi)
        return found

    def chained(
        self, z: FloatArray, gradient: FloatArray, hessian: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient (T, k + 2) and Hessian in z from those in (entries, log sigma, fixed effect)."""
        T, size = z.shape
        J = np.zeros((T, size, size))
        J[:, np.arange(size), np.arange(size)] = 1.0
        extra = np.zeros_like(hessian)
        at = self.sds
        own = self.own[at]
        k = self.n_theta
        slope = np.exp(-z[at, k]) / self.size[at]
        entry = slope * z[at, own]
        J[at, own, own], J[at, own, k] = slope, -entry
        extra[at, own, k] = extra[at, k, own] = -gradient[at, own] * slope
        extra[at, k, k] = gradient[at, own] * entry
        at = self.polar
        if at.size:
            one, two, three = self.corner[at].T
            sine, cosine, t = np.sin(z[at, two]), np.cos(z[at, two]), z[at, three]
            J[at, two, one] = -self.ratio[at]
            J[at, two, two], J[at, two, three] = t * cosine, sine
            J[at, three, two], J[at, three, three] = -t * sine, cosine
            g, h = gradient[at, two], gradient[at, three]
            extra[at, two, two] = -t * (g * sine + h * cosine)
            extra[at, two, three] = extra[at, three, two] = g * cosine - h * sine
        transposed = np.swapaxes(J, 1, 2)
        return (transposed @ gradient[:, :, None])[:, :, 0], transposed @ hessian @ J + extra

    def values(self, z: FloatArray) -> FloatArray:
        """Values of the held parameters on the scale they are reported on, shape (T,)."""
        own = z[np.arange(z.shape[0]), self.own]
        is_sigma = self.own == self.n_theta
        bounded = np.where(self.is_sd & (own <= self.lower), 0.0, own + self.shift)
        angle = np.clip(own, -RIGHT_ANGLE, RIGHT_ANGLE)
        at_end = np.abs(angle) >= RIGHT_ANGLE
        sine = np.where(at_end, np.sign(angle), np.sin(angle))
        correlation = self.middle + self.half * sine
        return np.where(
            self.is_cor, correlation, np.where(is_sigma, np.exp(own * is_sigma), bounded)
        )
