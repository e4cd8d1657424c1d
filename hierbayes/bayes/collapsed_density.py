"""The posterior density of the variance parameters with beta and b integrated out.

For y ~ N(X beta + Z b, sigma^2 W^-1), b ~ N(0, sigma^2 Lambda Lambda') and beta ~ N(m, Q^-1) (Q may
be zero in some directions: a flat prior), with V = W^-1 + Z Lambda Lambda'Z' and
G = [X y]'V^-1[X y] from the kernel,

    P = G_xx / sigma^2 + Q,    h = G_xy / sigma^2 + Q m,    mu = P^-1 h,
    -2 log p(y | phi) = n log(2 pi sigma^2) + log|V| + log|P| - log|Q|
                        + G_yy / sigma^2 + m'Q m - h'mu.

With a flat prior this is the REML criterion before sigma is profiled out (up to log 2 pi): REML is
the mode of this very function. Its derivative in Lambda is -D with
D = (Z'WZ Lambda (L L')^-1) - sum over levels of H K U' / sigma^2,
K = [P^-1 0; 0 0] + [-mu; 1][-mu; 1]', in the notation of ``gaussian/marginal.py``.

Under Student-t priors Q and Q m hang on further coordinates (``scale_mixtures.py``); coefficients
with bounds are coordinates themselves, and the formulas hold for the rest of beta given them
(``sampled_coefficients.py``).

The density is in the coordinates of ``coordinates.py``, Jacobians included. Works in the basis of
the products; beta comes out on the user's scale.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.coordinates import Coordinates, coordinates_of
from hierbayes.bayes.sampled_coefficients import (
    SampledCoefficients,
    is_sampled,
    sampled_coefficients,
)
from hierbayes.bayes.scale_mixtures import ScaleMixtures, is_mixture, scale_mixtures
from hierbayes.bayes.structured_residuals import StructuredResiduals
from hierbayes.bayes.variance_priors import variance_log_prior, variance_log_prior_slope
from hierbayes.gaussian.marginal import Kernel, Reduced, reduce, responses_of, traces_of
from hierbayes.gaussian.patterns import Integrated, Patterns, integrate
from hierbayes.gaussian.residual.entries import Factors
from hierbayes.gaussian.residual.kernel import ManyKernel, adjoint_of
from hierbayes.linalg.stacked import (
    cholesky_stack,
    solve_lower_stack,
    solve_upper_stack,
    summed_products,
)
from hierbayes.priors.distributions import Flat, Normal
from hierbayes.priors.model_priors import ModelPriors

COMPLEX_STEP = 1e-30  # derivatives by a complex step have no cancellation, so the step can be tiny
# G_yy / sigma^2 is what is left of yy / sigma^2 after subtractions. Where their rounding may add
# more than this to the log density, sigma is below 1e-6 of the response: taken as impossible.
ROUNDING = 0.1
# Part of the smallest eigenvalue of Lambda'Z'WZ Lambda + I, which is one or more, that rounding may
# take, where columns or factors share rows. Beyond, nearly collinear effects have a density of
# nothing but rounding. One factor with a remainder is factored without squares, so that Lambda may
# be as large as Lambda'Lambda elsewhere.
LOST = 0.1
MARGIN = 2.0  # draws this near to what is lost are at the edge of a posterior that was cut


@record
class Target:
    """What the collapsed density needs: kernel, coordinates, priors in the basis of the products.

    Attributes
    ----------
    precision : array, shape (p, p), Q in the basis; of the coefficients with Gaussian priors
    shift : array, shape (p,), Q m in the basis
    constant : m'Q m - log|Q| + (p - rank Q) log(1 / 2 pi) and the Jacobian of the basis
    mixtures : Student-t priors of coefficients, one coordinate each after those of phi
    sampled : the coefficients that are coordinates themselves, after the mixtures, or None
    residual : unequal or correlated residuals, whose coordinates are the last; or None
    to_basis : per factor, array (q, q), takes a root on the user's scale to the basis
    largest : per factor, the largest trace of a level's Z'WZ in the basis
    is_proper : whether beta has a proper prior, so that p(y) is defined
    """

    kernel: Kernel
    coordinates: Coordinates
    priors: ModelPriors
    precision: FloatArray
    shift: FloatArray
    constant: float
    to_basis: tuple[FloatArray, ...]
    largest: tuple[float, ...]
    is_proper: bool
    mixtures: ScaleMixtures | None = None
    sampled: SampledCoefficients | None = None
    residual: StructuredResiduals | None = None

    @property
    def n_residual(self) -> int:
        """Number of coordinates of residuals with a structure."""
        return 0 if self.residual is None else self.residual.kernel.size

    def of_residuals(self, phi: FloatArray) -> FloatArray:
        """Part (T, R) of the coordinates that belongs to residuals with a structure."""
        return phi[:, phi.shape[1] - self.n_residual :]

    @property
    def size(self) -> int:
        """Number of coordinates, those of the priors of coefficients included."""
        size = self.coordinates.size + (0 if self.sampled is None else self.sampled.origin.size)
        size += self.n_residual
        return size + (0 if self.mixtures is None else self.mixtures.away.size)

    @property
    def tails(self) -> dict[int, float]:
        """Coordinates that may run to minus infinity, and how far down there may be mass."""
        sds = dict.fromkeys(self.coordinates.scales.tolist(), 0.0)
        parts = [part.depth for part in (self.mixtures, self.sampled) if part is not None]
        return sds | dict(enumerate(np.concatenate([[], *parts]).tolist(), self.coordinates.size))

    def variances(self, phi: FloatArray) -> FloatArray:
        """Part (T, d) of the coordinates that belongs to variance parameters."""
        return phi[:, : self.coordinates.size]

    def scales(self, phi: FloatArray) -> FloatArray:
        """Part (T, K) of the coordinates that belongs to scale mixtures."""
        n_mixtures = 0 if self.mixtures is None else self.mixtures.away.size
        return phi[:, self.coordinates.size : self.coordinates.size + n_mixtures]

    def coefficients(self, phi: FloatArray) -> FloatArray:
        """Part (T, S) of the coordinates that belongs to sampled coefficients."""
        end = phi.shape[1] - self.n_residual
        return phi[:, end - (0 if self.sampled is None else self.sampled.origin.size) : end]


def target_of(
    kernel: Kernel,
    priors: ModelPriors,
    *,
    near: "Collapsed | None" = None,
    residual: StructuredResiduals | None = None,
) -> Target:
    """Put kernel and priors together.

    ``near`` is the density of ``stand_in(priors)`` at one point, its mode: it says where sampled
    coefficients lie. Needed where a prior of beta is neither Normal nor Flat.
    """
    anchor = kernel.products.anchor
    M, origin = prior_directions(kernel, priors)
    S = [k for k, law in enumerate(priors.beta) if is_sampled(law)]
    mixed = [k for k, law in enumerate(priors.beta) if is_mixture(law)]
    sampled = mixtures = None
    if S or mixed:
        assert near is not None
        c = origin + M @ near.mean[0]
        sds = np.sqrt((solve_lower_stack(near.root, M.T[None])[0] ** 2).sum(axis=0))
    if S:
        laws = [priors.beta[k] for k in S]
        sampled = sampled_coefficients(laws, M[S], origin[S], near=c[S], sds=sds[S])
    if mixed:
        laws = [priors.beta[k] for k in mixed]
        mixtures = scale_mixtures(laws, M[mixed], origin[mixed], near=c[mixed])
    normal = [k for k, law in enumerate(priors.beta) if isinstance(law, Normal)]
    away = np.array([priors.beta[k].mu for k in normal]) - origin[normal]  # type: ignore[attr-defined]
    D = np.array([priors.beta[k].sigma for k in normal]) ** -2.0  # type: ignore[attr-defined]
    rest = np.setdiff1d(np.arange(origin.size), S)
    free = M[rest] if sampled is None else M[rest] @ sampled.free
    constant = float(D @ away**2) - float(np.log(D).sum()) - 2 * float(np.linalg.slogdet(free)[1])
    constant -= (rest.size - len(normal) - len(mixed)) * np.log(2 * np.pi)
    return Target(
        kernel=kernel,
        coordinates=coordinates_of(kernel.shape, priors, kernel.sigma_known),
        priors=priors,
        precision=M[normal].T @ (D[:, None] * M[normal]),
        shift=M[normal].T @ (D * away),
        constant=constant,
        to_basis=tuple(np.linalg.inv(basis) for basis in anchor.z_bases),
        largest=tuple(float(np.einsum("jaa->j", A).max()) for A in kernel.products.zz),
        is_proper=not any(isinstance(law, Flat) for law in priors.beta)
        and (residual is None or residual.is_proper),
        mixtures=mixtures,
        sampled=sampled,
        residual=residual,
    )


def prior_directions(kernel: Kernel, priors: ModelPriors) -> tuple[FloatArray, FloatArray]:
    """Return M (p, p) and c0 (p,): priors speak of c = c0 + M v, the intercept at the means."""
    anchor = kernel.products.anchor
    M, origin = np.array(anchor.x_basis), np.array(anchor.beta0)
    if priors.intercept is not None:
        M[priors.intercept] += priors.centre @ anchor.x_basis
        origin[priors.intercept] += priors.centre @ anchor.beta0
    return M, origin


@record
class Collapsed:
    """The collapsed density at a batch of phi (T, d), and p(beta | phi, y) in the basis.

    Attributes
    ----------
    log_density : array, shape (T,)
    sigma : array, shape (T,)
    mean : array, shape (T, p); sampled coefficients have their values
    root : array, shape (T, r, r), lower Cholesky factor of the precision P of the r that are free
    Lambdas : per factor, arrays (T, q, q), in the basis
    reduced : the random effects integrated out
    kernel : at the points, with products of its own at each where residuals are correlated
    factors : of the inverse covariance of these, else None
    """

    log_density: FloatArray
    sigma: FloatArray
    mean: FloatArray
    root: FloatArray
    Lambdas: list[FloatArray]
    reduced: Reduced | Integrated
    kernel: Kernel
    factors: Factors | None = None


def collapsed(
    target: Target,
    phi: FloatArray,
    *,
    patterns: Patterns | None = None,
    integral: Integrated | None = None,
) -> Collapsed:
    """Evaluate the density at phi, shape (T, d).

    Given the ``patterns`` of the levels, or the ``integral`` over the random effects itself, this
    takes a fraction of the time, and leaves out the factor that ``slope`` needs.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the covariance of the data is not positive definite at one of them.
    """
    kernel, coordinates = target.kernel, target.coordinates
    n = kernel.products.n_obs
    p = kernel.products.xy.size
    variances = target.variances(phi)
    sigma = coordinates.sigma(variances)
    Lambdas = lambdas_of(target, variances, sigma)
    reduced: Reduced | Integrated
    factors = None
    if target.residual is not None:
        own = target.residual.kernel
        factors = own.products.structure.factors(target.of_residuals(phi))
        kernel = own.many(factors)
    if integral is not None:
        reduced = integral
    elif patterns is None:
        reduced = reduce(kernel, Lambdas, n_batch=phi.shape[0])
    else:
        reduced = integrate(kernel, patterns, Lambdas[0])
    G = reduced.gram_xy / (sigma**2)[:, None, None]
    P, h, constant = _with_priors(target, phi, G)
    lost = np.broadcast_to(_is_lost(target, kernel, sigma, Lambdas), sigma.shape)
    P[lost] = np.eye(p)  # of density zero, whatever rounding has left of them
    mean, root, fit = _integrated(target, phi, P, h)
    log_det_p = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    minus_twice = (
        n * np.log(2 * np.pi * sigma**2)
        + reduced.log_det
        - kernel.products.sum_log_weights
        + log_det_p
        + G[:, p, p]
        - fit
        + constant
    )
    log_density = np.where(lost, -np.inf, -minus_twice / 2 + log_prior(target, phi))
    return Collapsed(
        log_density=log_density,
        sigma=sigma,
        mean=mean,
        root=root,
        Lambdas=Lambdas,
        reduced=reduced,
        kernel=kernel,
        factors=factors,
    )


def _is_lost(
    target: Target, kernel: Kernel, sigma: FloatArray, Lambdas: list[FloatArray]
) -> BoolArray:
    """Whether the density at sigma (T,) and Lambdas is nothing but rounding, (T,) or ()."""
    lost = loses_identity(target, Lambdas)
    if target.kernel.sigma_known:
        return lost
    return lost | (np.finfo(float).eps * _subtracted(kernel) > ROUNDING * sigma**2)


def _with_priors(
    target: Target, phi: FloatArray, G: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray | float]:
    """Return P (T, p, p), h (T, p) and the constant at G / sigma^2 (T, p + 1, p + 1)."""
    P, h = G[:, :-1, :-1] + target.precision, G[:, :-1, -1] + target.shift
    mixtures = target.mixtures
    if mixtures is None:
        return P, h, target.constant
    D = mixtures.precisions(target.scales(phi))
    P += np.einsum("tk,ka,kb->tab", D, mixtures.rows, mixtures.rows)
    h += (D * mixtures.away) @ mixtures.rows
    return P, h, target.constant + (D * mixtures.away**2 - np.log(D)).sum(axis=1)


def _integrated(
    target: Target, phi: FloatArray, P: FloatArray, h: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Integrate v out of exp(-(v'P v - 2 v'h) / 2), as far as it is free.

    Returns
    -------
    its mean (T, p), the Cholesky factor of its precision (T, r, r), and the largest 2 v'h - v'P v
    """
    if target.sampled is None:
        root = cholesky_stack(P)
        half = solve_lower_stack(root, h[..., None])
        return solve_upper_stack(root, half)[..., 0], root, (half[..., 0] ** 2).sum(axis=1)
    fixed = target.sampled.fixed(target.coefficients(phi))
    return integrate_free(P, h, fixed, target.sampled.free)


def integrate_free(
    P: FloatArray, h: FloatArray, fixed: FloatArray, free: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Integrate r out of exp(-(v'P v - 2 v'h) / 2) with v = fixed (..., p) + free (p, r) r.

    Returns
    -------
    as ``_integrated``, with the leading axes of P (..., p, p) and h (..., p)
    """
    left = h - (P @ fixed[..., None])[..., 0]
    root = cholesky_stack(free.T @ P @ free)
    half = solve_lower_stack(root, (left @ free)[..., None])
    mean = fixed + solve_upper_stack(root, half)[..., 0] @ free.T
    fit = (fixed * (h + left)).sum(axis=-1) + (half[..., 0] ** 2).sum(axis=-1)
    return mean, root, fit


def _subtracted(kernel: Kernel) -> FloatArray | float:
    """Size of the numbers whose difference G_yy is, in squared units of the response.

    With a remainder only the response itself is rounded: a product of it with what is left.
    """
    if isinstance(kernel, ManyKernel):
        return kernel.gram_xy[:, -1, -1]
    total = kernel.products.yy
    if kernel.remainder is None:
        return total
    return float(np.sqrt(total * kernel.remainder.rr[0, -1, -1]))


def loses_identity(target: Target, Lambdas: list[FloatArray]) -> BoolArray:
    """Whether rounding takes the smallest eigenvalue of Lambda'Z'WZ Lambda + I, (T,) or ()."""
    if sum(target.kernel.shape.sizes) == 1:  # one number a level: nothing is subtracted
        return np.zeros((), dtype=bool)
    sizes = [
        largest * np.einsum("tab,tab->t", Lambda, Lambda)
        for largest, Lambda in zip(target.largest, Lambdas, strict=True)
    ]
    most = np.max(sizes, axis=0, initial=0.0)
    if target.kernel.remainder is not None and len(sizes) == 1:
        most = np.sqrt(most)
    return np.asarray(np.finfo(float).eps * most > LOST)


def is_near_rounding(target: Target, phi: FloatArray) -> BoolArray:
    """Whether effects ``MARGIN`` times as large would be lost to rounding, (T,) or ()."""
    phi = target.variances(phi)
    Lambdas = lambdas_of(target, phi, target.coordinates.sigma(phi))
    return loses_identity(target, [MARGIN * Lambda for Lambda in Lambdas])


def log_prior(target: Target, phi: FloatArray) -> FloatArray:
    """Log prior density of phi (T, d), Jacobian included, shape (T,)."""
    sampled, coefficients = target.sampled, target.coefficients(phi)
    mixtures, scales = target.mixtures, target.scales(phi)
    total = variance_log_prior(target.coordinates, target.priors, target.variances(phi))
    if mixtures is not None:
        total = total + mixtures.log_prior(scales)
    if target.residual is not None:
        log_sigma = np.log(target.coordinates.sigma(target.variances(phi)))
        total = total + target.residual.log_prior(log_sigma, target.of_residuals(phi))
    return total if sampled is None else total + sampled.log_prior(coefficients)


def slope(target: Target, phi: FloatArray, at: Collapsed) -> FloatArray:
    """Gradient of the log density in phi, shape (T, d)."""
    kernel, variances = at.kernel, target.variances(phi)
    out = variance_log_prior_slope(target.coordinates, target.priors, variances)
    inverse = np.linalg.inv(at.root @ np.swapaxes(at.root, 1, 2))
    if target.sampled is not None:
        inverse = target.sampled.free @ inverse @ target.sampled.free.T
    of_priors = _coefficient_slopes(target, phi, at, inverse)
    w = np.concatenate([-at.mean, np.ones((phi.shape[0], 1))], axis=1)
    K = w[:, :, None] * w[:, None, :]
    K[:, :-1, :-1] += inverse
    K /= (at.sigma**2)[:, None, None]
    if not kernel.sigma_known:
        fit = np.einsum("tab,tab->t", K, at.reduced.gram_xy)
        out[:, -1] += fit - kernel.products.n_obs
    assert isinstance(at.reduced, Reduced)
    factor = at.reduced.factor
    if target.residual is not None:
        assert at.factors is not None
        adjoint = adjoint_of(kernel, at.reduced, K, at.Lambdas)
        inner = target.residual.kernel.products.slopes(at.factors, adjoint)
        own = -(at.factors.log_det_slope + inner) / 2
        prior = target.residual.log_prior_slopes(np.log(at.sigma), target.of_residuals(phi))
        out[:, -1] += prior[:, 0]
        of_priors = [*of_priors, own + prior[:, 1:]]
    if factor is None:
        return np.concatenate([out, *of_priors], axis=1)
    u, h = responses_of(kernel, at.Lambdas, at.reduced)
    maps = _lambda_slopes(target, variances)
    for trace, x, y, dLambda in zip(traces_of(kernel, at.Lambdas, factor), u, h, maps, strict=True):
        T, J, q, c = y.shape
        right = (x.reshape(T, J * q, c) @ K).reshape(T, J, q, c)
        D = trace - summed_products(y, right)
        out -= np.einsum("tab,tdab->td", D, dLambda)
    return np.concatenate([out, *of_priors], axis=1)


def _coefficient_slopes(
    target: Target, phi: FloatArray, at: Collapsed, inverse: FloatArray
) -> list[FloatArray]:
    """Gradients of the log density in the coordinates of scale mixtures, then of coefficients.

    ``inverse`` (T, p, p) is the covariance of v given phi.
    """
    found = []
    if target.mixtures is not None:
        rows, g = target.mixtures.rows, target.scales(phi)
        square = np.einsum("ka,tab,kb->tk", rows, inverse, rows)
        square += (at.mean @ rows.T - target.mixtures.away) ** 2
        of_likelihood = 1 - target.mixtures.precisions(g) * square
        found.append(of_likelihood + target.mixtures.log_prior_slope(g))
    if target.sampled is not None:
        P, h, _ = _with_priors(target, phi, at.reduced.gram_xy / (at.sigma**2)[:, None, None])
        pull = (h - (P @ at.mean[..., None])[..., 0]) @ target.sampled.to_basis
        g = target.coefficients(phi)
        found.append(pull * target.sampled.slopes(g) + target.sampled.log_prior_slope(g))
    return found


def lambdas_of(target: Target, phi: FloatArray, sigma: FloatArray) -> list[FloatArray]:
    """Lambda of each factor in the basis, a square root that need not be triangular."""
    return [
        np.ascontiguousarray(basis @ root) / sigma[:, None, None]
        for basis, root in zip(target.to_basis, target.coordinates.roots(phi), strict=True)
    ]


def _lambda_slopes(target: Target, phi: FloatArray) -> list[FloatArray]:
    """Return the derivative of each Lambda in phi, arrays (T, d, q, q), by complex steps."""
    T, d = phi.shape
    stepped = phi[:, None, :] + 1j * COMPLEX_STEP * np.eye(d)
    flat = stepped.reshape(T * d, d)
    sigma = np.ones(T * d) if target.coordinates.sigma_known else np.exp(flat[:, -1])
    return [
        np.asarray(Lam.imag / COMPLEX_STEP).reshape(T, d, *Lam.shape[1:])
        for Lam in lambdas_of(target, flat, sigma)
    ]
