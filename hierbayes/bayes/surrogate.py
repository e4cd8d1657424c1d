"""A polynomial that is like a log density where that has its mass, fitted to points of it.

In coordinates z with mean zero and identity covariance the density is near a normal one, and a
polynomial of degree three is near its logarithm. Beyond a radius there is nothing to fit: along a
ray from the centre the log density goes on from its value there, falling by the radius a unit, as
that of a normal distribution does there. Coordinates that are logs of what may be zero have another
tail: far down nothing else depends on them any more, and the density falls like e^x. There the
polynomial is one of t = log(e^x + e^f), which ends at f, and e^x is a factor of its own.

Arrays only: points x (N, d), log densities and log importance weights (N,). Knows no models. Values
are compiled (``proposal_kernel.py``).
"""

from collections.abc import Collection

import numpy as np

from hierbayes.arrays import FloatArray, record

DEGREES = (3, 2)  # tried in turn
ENOUGH = 1.5  # points a coefficient
BEYOND = 1.0  # radius beyond the typical one, sqrt(d)
MOST_WEIGHT = 10.0  # of a point, in units of their mean: a few never decide alone
RIDGE = 1e-3
FLOOR = 0.5  # sds of an open coordinate that f is below its mean
ENDLESS = 1e300  # a radius
NEGLIGIBLE = 80.0  # below the largest log weight: such a point says nothing


@record(kw_only=False)
class Polynomial:
    """Coefficients (m,) of the ``monomials`` of z = (x - centre) @ whiten up to a degree."""

    centre: FloatArray
    whiten: FloatArray
    coefficients: FloatArray

    def at(self, x: FloatArray) -> FloatArray:
        """Values at points x (N, d), (N,)."""
        return _values(x, self, np.full(x.shape[1], -np.inf), ENDLESS)


@record(kw_only=False)
class Surrogate:
    """A polynomial of t, with the radius of z up to which it is that.

    ``floors`` (d,) are f of open coordinates, minus infinity of others.
    """

    polynomial: Polynomial
    radius: float
    floors: FloatArray

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points (N, d), roughly, (N,)."""
        return _values(x, self.polynomial, self.floors, self.radius)


def _values(x: FloatArray, of: Polynomial, floors: FloatArray, radius: float) -> FloatArray:
    from hierbayes.bayes.proposal_kernel import surrogate_values

    return surrogate_values(x, floors, of.centre, of.whiten, radius, of.coefficients)


@record(kw_only=False)
class Fitted:
    """A surrogate, and what it says of each point (N,) when fitted without that point."""

    surrogate: Surrogate
    left_out: FloatArray


def fitted_surrogate(
    x: FloatArray, log_density: FloatArray, log_weights: FloatArray, tails: Collection[int] = ()
) -> Fitted | None:
    """Fit a polynomial to weighted points (N, d); None where they are too few for one.

    Points without a finite log density are left out. ``tails`` are the open coordinates.
    """
    top = log_weights.max(initial=-np.inf)
    if not np.isfinite(top):
        return None
    known = np.isfinite(log_density) & (log_weights > top - NEGLIGIBLE)
    w = np.where(known, np.exp(np.where(known, log_weights - top, 0.0)), 0.0)
    w /= w.sum()
    d = x.shape[1]
    x = np.where(known[:, None], x, x[np.argmax(w)])
    spread = np.sqrt(np.maximum(w @ x**2 - (w @ x) ** 2, 0.0))
    floors = np.full(d, -np.inf)
    floors[[*tails]] = (w @ x - FLOOR * spread)[[*tails]]
    t = np.logaddexp(x, floors)
    log_density = log_density + (t - x).sum(axis=1)
    centre = w @ t
    away = t - centre
    try:
        root = np.linalg.cholesky(away.T @ (away * w[:, None]))
    except np.linalg.LinAlgError:
        return None
    whiten = np.linalg.inv(root).T
    radius = float(np.sqrt(d) + BEYOND)
    near = known & (((away @ whiten) ** 2).sum(axis=1) < radius**2)
    z = away[near] @ whiten
    for degree in DEGREES:
        M = monomials(z, degree)
        if M.shape[0] >= ENOUGH * M.shape[1]:
            break
    else:
        return None
    roots = np.sqrt(np.minimum(w[near] * w.size, MOST_WEIGHT))
    coefficients, wrong = least_squares(M, log_density[near], roots)
    surrogate = Surrogate(Polynomial(centre, whiten, coefficients), radius, floors)
    left_out = surrogate.log_density(x)
    left_out[near] = (log_density[near] - wrong) - (t - x)[near].sum(axis=1)
    return Fitted(surrogate, left_out)


def least_squares(M: FloatArray, y: FloatArray, roots: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares with a small ridge: coefficients, and errors of points left out."""
    height = float(y.max())
    weighted = M * roots[:, None]
    square = weighted.T @ weighted
    square[np.diag_indices(M.shape[1])] += RIDGE**2
    inverse = np.linalg.inv(np.linalg.cholesky(square))
    coefficients = inverse.T @ (inverse @ (weighted.T @ ((y - height) * roots)))
    coefficients[0] += height  # of the constant
    leverage = np.minimum(((weighted @ inverse.T) ** 2).sum(axis=1), 1 - 1e-6)
    return coefficients, (y - M @ coefficients) / (1 - leverage)


def monomials(z: FloatArray, degree: int) -> FloatArray:
    """Monomials of the columns of z (N, d) up to a degree, 1 first, (N, m)."""
    d = z.shape[1]
    one = z.T
    parts, last, first_of = [np.ones((1, z.shape[0])), one], one, np.arange(d)
    for _ in range(degree - 1):
        # every monomial of the degree before times the columns from its last factor on
        rows = [np.flatnonzero(first_of <= k) for k in range(d)]
        last = np.concatenate([last[own] * one[k] for k, own in enumerate(rows)])
        first_of = np.repeat(np.arange(d), [own.size for own in rows])
        parts.append(last)
    return np.concatenate(parts[: degree + 1]).T
