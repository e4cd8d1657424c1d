"""The covariance of one term of random effects: what a structure has to say of itself.

Var(b) = sigma^2 Lambda Lambda' of the q columns of a term, and Lambda is a function of k parameters
of the structure's own: scales (relative sds, of degree one: twice all scales are twice Lambda) and
others (correlations). With D half the derivative of a criterion in Lambda and G = D Lambda^-1 that
in Lambda Lambda' (``marginal.py``), and Lambda_i, Lambda_ij derivatives in the parameters,

    gradient     2 <D, Lambda_i>
    average information   of s_i = Lambda_i U + Lambda Lambda_i' H, as Z s_i = V_i V^-1 e
    exact term   <G, d2 (Lambda Lambda')> = 2 <G, Lambda_i Lambda_j'> + 2 <D, Lambda_ij>.

So ``root`` and ``slope`` are all that a criterion asks. Full triangles, one entry of Lambda a
parameter, are the special case that ``covariance.py`` keeps fast.

A search needs coordinates x without bounds in which Lambda is smooth (``Searched``). A scale is its
own: minus all scales are the same covariance, and at zero the derivative vanishes. A parameter r
between bounds m - h and m + h is r = m + h sin x: there Lambda, which may have a root of m + h - r,
is smooth at the bound too, and the derivative vanishes at it as at a zero scale. Scales are counted
in the sds that the basis of the products gives them.

A posterior needs phi without bounds in which no density piles up: log of a scale, and the inverse
hyperbolic tangent of (r - m) / h.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.predictor import RandomTerm
from hierbayes.errors import NotSupportedError

UNSTRUCTURED = "us"
# A parameter is kept this far, in x, from its bounds: there Lambda has a singular value of this
# size at most, which enters squared, and its derivative still has half its digits.
NEAREST = 1e-6
RIGHT_ANGLE = np.pi / 2 - NEAREST


class Law(Protocol):
    """The prior of one parameter, density with respect to it."""

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at values of any shape."""

    def derivative(self, x: FloatArray) -> FloatArray:
        """Return the derivative of the log density."""


class Covariance(Protocol):
    """The structure of the covariance of one term with q columns, in k parameters.

    Parameters come as par (T, k), on the scale of the user's columns; scales are multiples of
    sigma where Lambda is asked for, and of the response where Var(b) is. ``root`` takes complex
    parameters too.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the k parameters, before the bar and the name of the factor."""

    def names_of(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names with those of the q columns of the term in them."""

    def entries(self, L: FloatArray) -> FloatArray:
        """Return the entries of the triangle L (q, q) of Lambda Lambda' that can differ."""

    @property
    def bounds(self) -> FloatArray:
        """Lower and upper bound of each parameter that is no scale, shape (k, 2); or infinite."""

    @property
    def is_scale(self) -> BoolArray:
        """Which parameters are scales, shape (k,): root is of degree one in them."""

    def root(self, par: FloatArray) -> FloatArray:
        """Lambda (T, q, q), any square root of the covariance; smooth in scales through zero."""

    def slope(self, par: FloatArray) -> FloatArray:
        """Return the derivative of ``root`` in each parameter, shape (T, k, q, q)."""

    def nearest(self, covariance: FloatArray) -> FloatArray:
        """Parameters (T, k) of a covariance (T, q, q): exact for one of this structure.

        Of another one a good guess: searches start from moments. Of zero any that are finite.
        """

    def to_unconstrained(self, par: FloatArray) -> FloatArray:
        """Return phi (T, k) from parameters inside their bounds."""

    def from_unconstrained(self, phi: FloatArray) -> FloatArray:
        """Return the parameters (T, k); of complex phi too."""

    def log_prior(self, phi: FloatArray, laws: Sequence[Law | None]) -> FloatArray:
        """Log prior density of phi (T, k), Jacobian included, shape (T,).

        ``laws`` are the priors of the k parameters, scales in units of the response; None for one
        that has no bounds.
        """

    def log_prior_slope(self, phi: FloatArray, laws: Sequence[Law | None]) -> FloatArray:
        """Return the derivative of ``log_prior`` in phi, shape (T, k)."""


class Structured:
    """What follows from names, scales and bounds: coordinates and priors of a structure.

    A structure inherits these and adds ``names``, ``is_scale``, ``bounds``, ``root``, ``slope`` and
    ``nearest``. Priors are those of a model: of the i-th scale that of the sd of column i (further
    ones that of the last), of a bounded parameter the uniform one; any other has to say its own.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """See ``Covariance``."""
        raise NotImplementedError

    @property
    def is_scale(self) -> BoolArray:
        """See ``Covariance``."""
        raise NotImplementedError

    @property
    def bounds(self) -> FloatArray:
        """See ``Covariance``."""
        raise NotImplementedError

    def names_of(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names as they are."""
        del columns
        return self.names

    def entries(self, L: FloatArray) -> FloatArray:
        """Return the lower triangle column by column."""
        columns, rows = np.triu_indices(L.shape[0])
        return np.asarray(L[rows, columns])

    @property
    def _middle_half(self) -> tuple[BoolArray, FloatArray, FloatArray]:
        return middle_and_half(self.is_scale, self.bounds)

    def _laws(self, laws: Sequence[Law | None]) -> list[Law]:
        given = [law for law in laws if law is not None]
        if len(given) < len(laws):
            raise TypeError(
                f"{type(self).__name__} has a parameter without bounds: its prior "
                "needs log_prior and log_prior_slope."
            )
        return given

    def to_unconstrained(self, par: FloatArray) -> FloatArray:
        """Return log scales, inverse hyperbolic tangents between bounds, else the parameter."""
        bounded, middle, half = self._middle_half
        out = np.array(par, dtype=float)
        out[:, self.is_scale] = np.log(par[:, self.is_scale])
        out[:, bounded] = np.arctanh((par[:, bounded] - middle) / half)
        return out

    def from_unconstrained(self, phi: FloatArray) -> FloatArray:
        """Undo ``to_unconstrained``."""
        bounded, middle, half = self._middle_half
        out = np.array(phi)
        out[:, self.is_scale] = np.exp(phi[:, self.is_scale])
        out[:, bounded] = middle + half * np.tanh(phi[:, bounded])
        return out

    def _inside(self, phi: FloatArray) -> FloatArray:
        """Parameters (T, k), which rounding may take no further than to a bound."""
        par = self.from_unconstrained(phi)
        bounded, _, _ = self._middle_half
        par[:, bounded] = np.clip(par[:, bounded], *self.bounds[bounded].T)
        return par

    def log_prior(self, phi: FloatArray, laws: Sequence[Law | None]) -> FloatArray:
        """Sum over scales and bounded parameters, see the class."""
        bounded, _, half = self._middle_half
        par = self._inside(phi)
        total = np.zeros(phi.shape[0])
        for i, law in enumerate(self._laws(laws)):
            total += law.log_density(par[:, i])
        # the slope of tanh is 1 - tanh^2, whose log is taken without its cancellation
        size = np.abs(phi[:, bounded])
        rest = 2 * (np.log(2) - size - np.log1p(np.exp(-2 * size))) + np.log(half)
        return np.asarray(total + phi[:, self.is_scale].sum(axis=1) + rest.sum(axis=1))

    def log_prior_slope(self, phi: FloatArray, laws: Sequence[Law | None]) -> FloatArray:
        """Return the derivative of ``log_prior``."""
        bounded, _, half = self._middle_half
        par = self._inside(phi)
        chain = np.where(self.is_scale, par, 1.0)
        chain[:, bounded] = half / np.cosh(phi[:, bounded]) ** 2
        own = [law.derivative(par[:, i]) for i, law in enumerate(self._laws(laws))]
        out = np.stack(own, axis=1) * chain
        out[:, self.is_scale] += 1.0
        out[:, bounded] -= 2 * np.tanh(phi[:, bounded])
        return np.asarray(out)


def middle_and_half(
    is_scale: BoolArray, bounds: FloatArray
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Which parameters lie between two bounds (k,), and m and h of the module's header of these."""
    bounded = np.isfinite(bounds).all(axis=1) & ~is_scale
    if (np.isfinite(bounds).any(axis=1) & ~bounded & ~is_scale).any():
        raise ValueError("A parameter that is no scale needs two finite bounds or none.")
    lower, upper = bounds[bounded].T
    return bounded, (lower + upper) / 2, (upper - lower) / 2


def off_right_angle(x: FloatArray, least: float) -> FloatArray:
    """Angles kept off right ones by ``least``, on the side they are on."""
    short = np.arcsin(np.cos(x))  # what is missing to a right angle, signed
    lacks = np.where(short < 0, -1.0, 1.0) * least - short
    # x grows towards a right angle where its sine is positive
    moved = x - np.where(np.sin(x) > 0, lacks, -lacks)
    return np.where(np.abs(short) < least, moved, x)


@record
class Searched:
    """A structure in the coordinates x of a search and in the basis of the products.

    Attributes
    ----------
    covariance : the structure
    basis : array, shape (q, q), the products are of z @ basis
    """

    covariance: Covariance
    basis: FloatArray

    @cached_property
    def units(self) -> FloatArray:
        """Sizes (k,) of the scales where every column of the basis has an sd of sigma; else one."""
        basis, is_scale = self.basis, self.covariance.is_scale
        found = self.covariance.nearest((basis @ basis.T)[None])[0]
        return np.where(is_scale & (found > 0), found, 1.0)

    @cached_property
    def _bounded(self) -> tuple[BoolArray, FloatArray, FloatArray]:
        return middle_and_half(self.covariance.is_scale, self.covariance.bounds)

    @cached_property
    def to_basis(self) -> FloatArray:
        """Inverse of ``basis``."""
        return np.asarray(np.linalg.inv(self.basis))

    @property
    def is_scale(self) -> BoolArray:
        """Which coordinates are scales, shape (k,)."""
        return self.covariance.is_scale

    @property
    def is_angle(self) -> BoolArray:
        """Which coordinates are angles of bounded parameters, shape (k,)."""
        return self._bounded[0]

    def range_of(self, i: int) -> tuple[float, float]:
        """Middle and half of the range of the i-th parameter, an angle."""
        bounded, middle, half = self._bounded
        place = int(bounded[:i].sum())
        return float(middle[place]), float(half[place])

    def parameters(self, x: FloatArray) -> FloatArray:
        """Parameters (T, k) at x, exactly at a bound where the angle is a right one."""
        bounded, middle, half = self._bounded
        par = x * self.units
        sine = np.sin(x[:, bounded])
        at_end = np.abs(np.cos(x[:, bounded])) <= NEAREST
        par[:, bounded] = np.where(
            at_end,
            np.where(sine > 0, *self.covariance.bounds[bounded].T[::-1]),
            middle + half * sine,
        )
        return par

    def coordinates(self, par: FloatArray) -> FloatArray:
        """Return x (T, k) of parameters."""
        bounded, middle, half = self._bounded
        x = par / self.units
        x[:, bounded] = np.arcsin(np.clip((par[:, bounded] - middle) / half, -1.0, 1.0))
        return x

    def rectified(self, x: FloatArray) -> FloatArray:
        """X of the same Lambda Lambda' with scales that are not negative and angles up to right.

        Where all scales are zero angles say nothing and are zero too.
        """
        out = x.copy()
        negative = (x[:, self.is_scale] < 0).any(axis=1)
        if negative.any():  # of several scales one sign may be that of a correlation
            root = self.root(x[negative])
            out[negative] = self.nearest(root @ np.swapaxes(root, 1, 2))
        turned = np.where(np.abs(out) <= np.pi / 2, out, np.arcsin(np.sin(out)))
        nothing = (x[:, self.is_scale] == 0).all(axis=1, keepdims=True)
        return np.where(self.is_angle, np.where(nothing, 0.0, turned), out)

    def _inside(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Parameters (T, k) kept inside their bounds, and their derivatives in x."""
        bounded, middle, half = self._bounded
        par, chain = x * self.units, np.broadcast_to(self.units, x.shape).copy()
        sine, cosine = np.sin(x[:, bounded]), np.cos(x[:, bounded])
        # as if x were no nearer to a right angle than NEAREST
        near = np.abs(cosine) < NEAREST
        sine = np.where(near, np.copysign(np.sin(RIGHT_ANGLE), sine), sine)
        cosine = np.where(near, np.copysign(np.cos(RIGHT_ANGLE), cosine), cosine)
        par[:, bounded], chain[:, bounded] = middle + half * sine, half * cosine
        return par, chain

    def root(self, x: FloatArray) -> FloatArray:
        """Lambda in the basis, (T, q, q)."""
        return np.asarray(self.to_basis @ self.covariance.root(self._inside(x)[0]))

    def slope(self, x: FloatArray) -> FloatArray:
        """Return the derivative of Lambda in x, (T, k, q, q)."""
        par, chain = self._inside(x)
        return np.asarray(self.to_basis @ self.covariance.slope(par)) * chain[:, :, None, None]

    def nearest(self, covariance: FloatArray) -> FloatArray:
        """Return x (T, k) of a covariance (T, q, q) in the basis."""
        return self.coordinates(self.covariance.nearest(self.basis @ covariance @ self.basis.T))


def check_unstructured(design: Design, what: str) -> None:
    """Raise NotSupportedError from ``what`` if a term has a structure of its own."""
    for term in design.terms:
        if term.covariance != UNSTRUCTURED:
            raise unknown_structure(term, what)


def unknown_structure(term: RandomTerm, what: str) -> NotSupportedError:
    """Return the error of a part that does not know the structure of a term."""
    return not_supported(
        "covariance-structure", what=what, term=term.label, structure=term.covariance
    )


_structures: dict[str, Callable[[int], Covariance]] = {}


def register(name: str, make: Callable[[int], Covariance]) -> None:
    """Give a structure its name; ``make(q)`` makes that of a term with q columns.

    A term of a design asks for it by ``RandomTerm.covariance``.
    """
    if name == UNSTRUCTURED:
        raise ValueError(f"{name!r} is the full triangle.")
    _structures[name] = make
    structure.cache_clear()


@lru_cache(maxsize=256)
def structure(name: str, size: int) -> Covariance | None:
    """Return the structure of that name of a term with ``size`` columns; None: a full triangle."""
    return None if name == UNSTRUCTURED else _structures[name](size)
