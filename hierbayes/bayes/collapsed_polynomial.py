"""The collapsed density where an evaluation is dear: a polynomial holds what is dear of it.

``integral_polynomial.py`` has the polynomial; here are the box it is grown on and the points at
which it is used. From a start that need not be near, a rough polynomial on a wide box is climbed,
and grown anew around its top until that lies inside; then a fine one is grown on what the curvature
says holds the posterior. Beyond its box the density is evaluated itself. Draws of b come from
conjugate gradients where factors are crossed (``conjugate_effects.py``).
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.collapsed_density import Target, collapsed, lambdas_of
from hierbayes.bayes.collapsed_points import Points, PointsOf
from hierbayes.bayes.conjugate_effects import draw_conjugate
from hierbayes.bayes.importance import Mode, find_mode_by_values
from hierbayes.bayes.integral_polynomial import (
    SMALLEST,
    Box,
    IntegralPolynomial,
    RelativeCoordinates,
    integral_polynomial,
    relative_coordinates,
)
from hierbayes.linalg.threads import in_threads, one_blas_thread

# Half a box around a start: a factor of e of a variance either way.
HALF_WIDTH = 1.0
ROUGH = 0.05  # error of the log density while the mode is looked for, ...
ROUGH_POINTS = 150
BOXES = 8  # ... in so many boxes
EDGE = 0.95  # of a box: a top beyond may be one of the edge
# Changes of weights by this part of them are a tenth of the error of a million draws.
FINE = 1e-4
WIDTH = 5.5  # sds on either side of the mode: beyond are a few of a hundred million draws
SOME = 1000  # draws around a mode that say how wide a box is
SMALL_SD = 0.1  # of the coordinates of phi, to start a climb with
TAKEN = 0.1  # part of the proposals beyond a box that are evaluated
MOST_ERROR = 1e-3  # of the log density at draws: more, and the polynomial is not used
CHECKED = 12  # draws at which that is found


class PolynomialPoints(PointsOf):
    """Evaluates one target through the polynomial."""

    def __init__(self, target: Target, polynomial: IntegralPolynomial) -> None:
        super().__init__(target)
        self.polynomial = polynomial

    def inside(self, phi: FloatArray) -> FloatArray:
        """Log density at phi (N, d) in the box, minus infinity beyond: what a proposal is for."""
        found = self._near(phi).log_density
        return np.where(self.polynomial.inside(phi), found, -np.inf)

    def near(self, phi: FloatArray) -> FloatArray:
        """Log density at phi (N, d), beyond the box with the integral of its edge."""
        return self._near(phi).log_density

    def at(self, phi: FloatArray) -> Points:
        """Log density and p(beta | phi, y) at phi (N, d), beyond the box evaluated itself."""
        return self._with(self._near(phi), phi, np.flatnonzero(~self.polynomial.inside(phi)))

    def at_some(self, phi: FloatArray, rng: np.random.Generator) -> tuple[Points, FloatArray]:
        """Points at proposals phi (N, d), and what is added to their log weights (N,).

        Beyond the box, where next to nothing of the posterior is, one in a few is evaluated and
        counts for all of them; the others get no weight.
        """
        beyond = np.flatnonzero(~self.polynomial.inside(phi))
        taken = rng.random(beyond.size) < TAKEN
        added = np.zeros(phi.shape[0])
        added[beyond] = np.where(taken, -np.log(TAKEN), -np.inf)
        return self._with(self._near(phi), phi, beyond[taken]), added

    def _with(self, found: Points, phi: FloatArray, beyond: IntArray) -> Points:
        """Return the points with those at some phi evaluated themselves."""
        if not beyond.size:
            return found
        log_density, mean, root = found.log_density.copy(), found.mean.copy(), found.root.copy()
        evaluate = super()._batch

        def work(i: int) -> None:
            exact = evaluate(phi[i : i + 1])
            log_density[i], mean[i], root[i] = exact.log_density[0], exact.mean[0], exact.root[0]

        with one_blas_thread(beyond.size > 1):
            in_threads(work, beyond.tolist())
        return Points(log_density=log_density, mean=mean, root=root)

    def _near(self, phi: FloatArray) -> Points:
        at = collapsed(self.target, phi, integral=self.polynomial.at(phi))
        return Points(log_density=at.log_density, mean=at.mean, root=at.root)

    def draws(
        self, points: Points, phi: FloatArray, index: IntArray, rng: np.random.Generator
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Draws of beta (S, p) and b, per factor (S, J, q), at the points ``index`` of phi."""
        # of nested factors a factorisation costs what a step does; related levels need their own
        if self.target.kernel.pattern.name in ("nested", "related"):
            return super().draws(points, phi, index, rng)
        anchor = self.target.kernel.products.anchor
        beta = self._basis_beta(points.mean[index], points.root[index], rng)
        variances = self.target.variances(phi[index])
        sigma = self.target.coordinates.sigma(variances)
        b = draw_conjugate(
            self.target.kernel,
            weights=np.concatenate([-beta, np.ones((beta.shape[0], 1))], axis=1),
            sigma=sigma,
            Lambdas=lambdas_of(self.target, variances, sigma),
            rng=rng,
        )
        pairs = zip(b, anchor.z_bases, strict=True)
        return anchor.beta0 + beta @ anchor.x_basis.T, [part @ basis.T for part, basis in pairs]

    def error(self, phi: FloatArray) -> float:
        """Largest error of the log density at phi (N, d), found by evaluating it."""
        return float(np.abs(super().at(phi).log_density - self._near(phi).log_density).max())


def polynomial_points(
    target: Target, start: FloatArray, rng: np.random.Generator
) -> tuple[PolynomialPoints, Mode] | None:
    """Return points through a polynomial, and the mode; None where no polynomial will do.

    Parameters
    ----------
    target : Target
    start : array, shape (d,), where the mode is looked for first
    rng : Generator
    """
    if target.kernel.remainder is not None:
        return None
    coordinates = relative_coordinates(target)
    try:
        mode = _mode(coordinates, start)
        if mode is None:
            return None
        box = _box_around(coordinates, mode, rng)
        fine = integral_polynomial(coordinates, box, enough=FINE)
        if fine.polynomial.error > FINE:
            return None
        points = PolynomialPoints(target, fine)
        return points, find_mode_by_values(points.near, mode.x, _sds(mode))
    except np.linalg.LinAlgError:
        return None


def _mode(coordinates: RelativeCoordinates, start: FloatArray) -> Mode | None:
    """Climb polynomials of wide boxes until the top lies in one of them."""
    sds = np.full(start.size, SMALL_SD)
    for _ in range(BOXES):
        middle = coordinates.t(start[None])[0]
        low = middle - HALF_WIDTH
        low[coordinates.places] = np.maximum(low[coordinates.places], SMALLEST)
        box = Box(low=low, high=low + 2 * HALF_WIDTH)
        rough = integral_polynomial(coordinates, box, enough=ROUGH, most=ROUGH_POINTS)
        points = PolynomialPoints(coordinates.target, rough)
        mode = find_mode_by_values(points.near, start, sds)
        unit = (2 * coordinates.t(mode.x[None]) - box.low - box.high) / (2 * HALF_WIDTH)
        if (np.abs(unit) < EDGE).all():
            return mode
        start, sds = mode.x, _sds(mode)
    return None


def _sds(mode: Mode) -> FloatArray:
    return np.sqrt(np.diag(mode.covariance))


def _box_around(coordinates: RelativeCoordinates, mode: Mode, rng: np.random.Generator) -> Box:
    """Return the box that holds nearly all of the normal distribution around a mode."""
    root = np.linalg.cholesky(mode.covariance)
    t = coordinates.t(mode.x + rng.standard_normal((SOME, mode.x.size)) @ root.T)
    mean, sd = t.mean(axis=0), t.std(axis=0)
    low, high = mean - WIDTH * sd, mean + WIDTH * sd
    low[coordinates.places] = np.maximum(low[coordinates.places], SMALLEST)
    return Box(low=low, high=high)
