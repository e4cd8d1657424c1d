"""The integral over the random effects as a polynomial of the relative covariances.

What an evaluation of the collapsed density costs is log det(Lambda'Z'WZ Lambda + I) and the Gram
matrix G = [X y]'V^-1[X y]: both depend on the covariances relative to sigma^2 alone, and both are
analytic. Where levels are many, the posterior of these few numbers is narrow, and a polynomial
through a hundred or two of evaluations gives log det and G on all of it, with an error far below
that of any sample (``sparse_grid.py``). sigma, beta and the priors enter exactly, after it.

A relative sd lambda of a column whose levels have a sum of squares a on average is taken as
t = log(1 + a lambda^2): for levels of equal sizes log det is linear in it, and a variance of zero
is an end of the axis like any other. Partial correlations stay what they are in ``coordinates.py``.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.collapsed_density import Target, lambdas_of
from hierbayes.gaussian.marginal import reduce
from hierbayes.gaussian.patterns import Integrated
from hierbayes.linalg.sparse_grid import GridPolynomial, grown
from hierbayes.linalg.threads import in_threads, one_blas_thread

SMALLEST = 1e-11  # t of a variance that is zero to all digits of log det
# Evaluations after which the function is taken to be no polynomial: a sample needs more of them.
MOST_POINTS = 600
AT_ONCE = 2  # terms gone on from together: a few evaluations each, whatever the number of cores


@record
class Box:
    """Ends of t (m,) between which the polynomial holds."""

    low: FloatArray
    high: FloatArray

    def inside(self, t: FloatArray) -> BoolArray:
        """Whether points t (N, m) lie between the ends, (N,)."""
        return np.asarray(((t >= self.low) & (t <= self.high)).all(axis=1))

    def unit(self, t: FloatArray) -> FloatArray:
        """Points t (N, m) on the scale of [-1, 1], those beyond the box moved to its edge."""
        x = (2 * t - self.low - self.high) / (self.high - self.low)
        return np.asarray(np.clip(x, -1.0, 1.0))

    def of_unit(self, x: FloatArray) -> FloatArray:
        """Undo ``unit``."""
        return np.asarray((self.low + self.high + x * (self.high - self.low)) / 2)


@record
class RelativeCoordinates:
    """Which t belong to variance parameters phi (N, d) of a target.

    Attributes
    ----------
    target : Target
    places : positions in phi of logs of sds and scales
    information : array, shape (len(places),), a of the module's header
    """

    target: Target
    places: IntArray
    information: FloatArray

    @property
    def size(self) -> int:
        """Number of coordinates t."""
        return self.target.coordinates.size - (not self.target.coordinates.sigma_known)

    def t(self, phi: FloatArray) -> FloatArray:
        """Return t (N, m) of phi (N, d)."""
        variances = self.target.variances(phi)
        out = variances[:, : self.size].copy()
        log_sigma = np.log(self.target.coordinates.sigma(variances))
        relative = out[:, self.places] - log_sigma[:, None]
        out[:, self.places] = np.logaddexp(0.0, 2 * relative + np.log(self.information))
        return out

    def phi(self, t: FloatArray) -> FloatArray:
        """Return the variance parameters (N, d) at t (N, m) and a sigma of one."""
        sigma_known = self.target.coordinates.sigma_known
        out = np.zeros((t.shape[0], self.size + (not sigma_known)))
        out[:, : self.size] = t
        out[:, self.places] = np.log(np.expm1(t[:, self.places]) / self.information) / 2
        return out


def relative_coordinates(target: Target) -> RelativeCoordinates:
    """Return the coordinates of a target with random effects."""
    coordinates, kernel = target.coordinates, target.kernel
    squares = []  # on the user's scale, per factor (q,)
    for A, basis in zip(kernel.products.zz, kernel.products.anchor.z_bases, strict=True):
        inverse = np.linalg.inv(basis)
        squares.append(np.einsum("ba,bc,ca->a", inverse, A.mean(axis=0), inverse))
    parts = [own[at] for own, at in zip(squares, coordinates.sd_columns, strict=True)]
    for own, _, term in coordinates.structured:
        factor, columns = coordinates.shape.terms[term]
        parts.append(np.full(int(own.is_scale.sum()), squares[factor][list(columns)].mean()))
    return RelativeCoordinates(
        target=target, places=coordinates.scales, information=np.concatenate(parts)
    )


@record
class IntegralPolynomial:
    """Log det and Gram matrix on a box.

    Attributes
    ----------
    coordinates : RelativeCoordinates
    box : Box
    polynomial : of log det, then of the lower triangle of C'G C
    whiten : array, shape (p + 1, p + 1), C, with which that is the identity in the box's middle
    n_points : how many evaluations it was made of
    """

    coordinates: RelativeCoordinates
    box: Box
    polynomial: GridPolynomial
    whiten: FloatArray
    n_points: int

    def inside(self, phi: FloatArray) -> BoolArray:
        """Whether phi (N, d) lie in the box, (N,)."""
        return self.box.inside(self.coordinates.t(phi))

    def at(self, phi: FloatArray) -> Integrated:
        """Log det (N,) and Gram matrix at phi (N, d); beyond the box those of its edge."""
        found = self.polynomial.at(self.box.unit(self.coordinates.t(phi)))
        c = self.whiten.shape[0]
        rows, columns = np.tril_indices(c)
        gram = np.empty((phi.shape[0], c, c))
        gram[:, rows, columns] = gram[:, columns, rows] = found[:, 1:]
        back = np.linalg.inv(self.whiten)
        return Integrated(log_det=found[:, 0], gram_xy=back.T @ gram @ back)


def integral_polynomial(
    coordinates: RelativeCoordinates, box: Box, *, enough: float, most: int = MOST_POINTS
) -> IntegralPolynomial:
    """Grow the polynomial on a box until it changes the log density by less than ``enough``.

    It ends with a larger ``error`` where that takes more than ``most`` evaluations.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an evaluation is impossible.
    """
    evaluate = _evaluations(coordinates)
    middle = evaluate(box.of_unit(np.zeros((1, coordinates.size))))[1][0]
    whiten = np.linalg.inv(np.linalg.cholesky(middle)).T
    c = whiten.shape[0]
    rows, columns = np.tril_indices(c)
    # how far the log density moves with log det, and with each entry of C'G C (y comes last)
    df = coordinates.target.kernel.df
    roots = np.where(np.arange(c) == c - 1, np.sqrt(df), 1.0)
    counts = np.append(1.0, (roots[rows] * roots[columns])) / 2
    n_points = 1

    def values(x: FloatArray) -> FloatArray:
        nonlocal n_points
        n_points += x.shape[0]
        log_det, gram = evaluate(box.of_unit(x))
        white = whiten.T @ gram @ whiten
        return np.column_stack([log_det, white[:, rows, columns]])

    polynomial = grown(
        values,
        coordinates.size,
        size=lambda coefficients: np.abs(coefficients) @ counts,
        enough=enough,
        most=most,
        at_once=AT_ONCE,
    )
    return IntegralPolynomial(
        coordinates=coordinates,
        box=box,
        polynomial=polynomial,
        whiten=whiten,
        n_points=n_points,
    )


def _evaluations(
    coordinates: RelativeCoordinates,
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Return the function of t (N, m) that gives log det (N,) and G, a point on each core."""
    target = coordinates.target
    c = target.kernel.gram_xy.shape[1]

    def evaluate(t: FloatArray) -> tuple[FloatArray, FloatArray]:
        phi = coordinates.phi(t)
        log_det, gram = np.empty(t.shape[0]), np.empty((t.shape[0], c, c))

        def work(i: int) -> None:
            Lambdas = lambdas_of(target, phi[i : i + 1], np.ones(1))
            found = reduce(target.kernel, Lambdas, n_batch=1)
            log_det[i], gram[i] = found.log_det[0], found.gram_xy[0]

        with one_blas_thread(t.shape[0] > 1):
            in_threads(work, range(t.shape[0]))
        return log_det, gram

    return evaluate
