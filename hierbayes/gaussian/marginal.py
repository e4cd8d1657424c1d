"""REML and ML criterion of a linear mixed model with gradient and curvature, on cross-products.

The model is y = X beta + Z b + e, b = Lambda u, u ~ N(0, sigma^2 I), e ~ N(0, sigma^2 W^-1), so
Var(y) = sigma^2 V with V = W^-1 + Z Lambda Lambda' Z'. Given theta everything has a closed form
in the Cholesky factor L of Lambda'Z'WZ Lambda + I:

    Gram matrix       [X y]'V^-1[X y] = [X y]'W[X y] - (L^-1 Lambda'Z'W[X y])'(same)
    criterion         log|L L'| + log|X'V^-1X| (REML) + df (1 + log(2 pi r^2 / df)) - sum log w
    with r^2 = y'V^-1 y - beta'X'V^-1 y and df = n - p (REML) or n (ML).

Let C be the transposed inverse of the Cholesky factor of the Gram matrix, so that the columns of
[X y] C are orthonormal in V^-1; the last is e = (y - X beta) / r. With
U = (L L')^-1 Lambda'Z'W[X y] and H = Z'V^-1[X y] (so U = Lambda'H), the derivative of the criterion
in Lambda is 2 D with, summed over the levels of a factor,

    D = (Z'WZ Lambda (L L')^-1) - sum_c m_c (H C)_c (U C)_c',

where m counts a column: 1 for those of X under REML, 0 under ML, and df for e. D = G Lambda where
G is the derivative in the covariance Lambda Lambda'. The curvature used by the search is the
average information, df (s_i' Z'V^-1Z s_j) with X and e projected out, where V_i V^-1 e = Z s_i for
the derivative V_i of V in theta_i, plus the exact term 2 G that Lambda enters squared. Where theta
are not entries of Lambda, ``structures.py`` has the same in the derivatives of Lambda.

With a known sigma (``sigma_known``) the weights carry the residual variances,
df (1 + log(2 pi r^2 / df)) becomes df log(2 pi) + r^2, and e counts r^2 instead of df.

Where the levels fit y but for next to nothing these differences lose their digits, and the products
come with a remainder: U, H and the Gram matrix are then those of ``gaussian/remainder.py``, and so
are the products of other vectors with V^-1.

Levels may have a known covariance A: then b = Lambda v with v ~ N(0, sigma^2 A), (L L')^-1 stands
for (Lambda'Z'WZ Lambda + A^-1)^-1 (``factor/related.py``), U = A Lambda'H, and s_i =
(Lambda_i A Lambda' + Lambda A Lambda_i')H.

Everything is batched: theta (T, k), and optionally one response a theta. Knows no formulas, data
frames or optimisers.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sections 3.4 and 3.6;
Gilmour, Thompson & Cullis (1995), Biometrics 51:1440 (average information).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.entry_information import entry_information
from hierbayes.gaussian.products import Products
from hierbayes.gaussian.remainder import Remainder
from hierbayes.gaussian.responses import Responses
from hierbayes.gaussian.undetermined import Undetermined
from hierbayes.linalg.stacked import are_few, cholesky, inverse_of_triangles, summed_products
from hierbayes.options import Method

LARGE = 1.0  # relative sd above which Lambda'X has more digits of X than X itself
# Of a structure's coordinates, for second derivatives of Lambda: wrong by about 1e-10, far less
# than the average information beside them.
STEP = 1e-5
SHORT = 32  # numbers of a level up to which all levels are one product with a wide matrix
# A gradient below this part of the sums it is a difference of is as good as zero: a Newton step on
# it promises about the square of this part of them, far below what a polished search looks for.
ROUNDED = 1e-11
REFINEMENTS = 1  # of U, where differences of large numbers are avoided


class Factor(Protocol):
    """L L' = Lambda'Z'WZ Lambda + I at a batch of thetas."""

    @property
    def log_det(self) -> FloatArray:
        """Log det(L L'), shape (T,)."""

    @property
    def roots(self) -> FloatArray | None:
        """R_j with R_j'R_j = Z_j'WZ_j, (J, q, q), if made of these (one grouping factor)."""

    def half_solve(self, right: Sequence[FloatArray]) -> list[FloatArray]:
        """L^-1 of right sides given per factor as (T, J, q, c)."""

    def back_solve(self, half: Sequence[FloatArray]) -> list[FloatArray]:
        """L'^-1 of the result of ``half_solve``."""

    def covariances(self) -> list[FloatArray]:
        """Diagonal blocks of (L L')^-1 per factor, (T, J, q, q)."""

    def cross_covariances(self) -> dict[tuple[int, int], FloatArray]:
        """Blocks of (L L')^-1 between factors where Z'WZ has blocks, (T, m, q_f, q_g)."""

    def trace_blocks(self) -> list[FloatArray]:
        """Per factor the summed diagonal blocks of Z'WZ Lambda (L L')^-1, (T, q, q)."""


class Pattern(Protocol):
    """Where the factor has entries: what depends on which levels meet, and on nothing else."""

    @property
    def name(self) -> str:
        """Which of nested, crossed or sparse it is."""

    @property
    def n_numbers(self) -> int:
        """How many numbers the factor of one theta holds."""


class Blocks(Protocol):
    """The blocks of Z'WZ laid out for a pattern."""

    @property
    def pattern(self) -> Pattern:
        """The pattern they are laid out for."""

    def times(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Z'WZ times vectors given per factor as (T, J, q, c); the result has the same shapes."""

    def relate(self, vectors: Sequence[FloatArray]) -> list[FloatArray]:
        """Return A times vectors given per factor as (T, J, q, c), A of the levels."""

    def factorise(self, Lambdas: Sequence[FloatArray]) -> Factor:
        """Factorise at one Lambda (T, q, q) a grouping factor."""


@record
class Kernel:
    """The marginal likelihood of one model: products, covariance shape and blocks of Z'WZ.

    ``responses`` replaces the response by one a batch entry. ``undetermined`` says which
    (co)variances no response can determine, if any.
    """

    products: Products
    shape: CovarianceShape
    blocks: Blocks
    method: Method
    sigma_known: bool = False
    responses: Responses | None = None
    undetermined: Undetermined | None = None

    @property
    def pattern(self) -> Pattern:
        """Where the factor has entries."""
        return self.blocks.pattern

    @property
    def df(self) -> int:
        """Divisor of the residual variance: n - p (REML) or n (ML)."""
        p = self.products.xx.shape[0] if self.method == "reml" else 0
        return self.products.n_obs - p

    def in_basis(self, theta: FloatArray) -> FloatArray:
        """Theta (k,) in the basis of the products, from one on the user's scale."""
        inverses = [np.linalg.inv(basis) for basis in self.products.anchor.z_bases]
        found = self.shape.transformed(theta, inverses)
        return found if self.shape.is_plain else self.basis_shape.coordinates(found[None])[0]

    def in_basis_batch(self, theta: FloatArray) -> FloatArray:
        """``in_basis`` of each theta (T, k)."""
        if not self.shape.n_theta:
            return theta
        inverses = [np.linalg.inv(basis) for basis in self.products.anchor.z_bases]
        return self.basis_shape.coordinates(self.shape.transformed_batch(theta, inverses))

    def from_basis(self, theta: FloatArray) -> FloatArray:
        """Undo ``in_basis`` of one theta (k,)."""
        if self.shape.is_plain:
            return self.shape.transformed(theta, self.products.anchor.z_bases)
        return np.asarray(self.from_basis_batch(theta[None])[0])

    def from_basis_batch(self, theta: FloatArray) -> FloatArray:
        """Undo ``in_basis`` of each theta (T, k)."""
        found = self.basis_shape.parameters(theta)
        return self.shape.transformed_batch(found, self.products.anchor.z_bases)

    @cached_property
    def basis_shape(self) -> CovarianceShape:
        """The shape of thetas in the basis of the products; ``shape`` is that on the user's scale.

        They differ where a term has a structure, whose parameters are coordinates of a search here.
        """
        return self.shape.in_basis(self.products.anchor.z_bases)

    @property
    def n_undetermined(self) -> int:
        """Number of independent combinations of variances that no response can determine."""
        return 0 if self.undetermined is None else self.undetermined.flat.shape[1]

    @cached_property
    def gram_xy(self) -> FloatArray:
        """[X y]'W[X y], shape (T or 1, p + 1, p + 1)."""
        products = self.products
        xy, yy = products.xy[None], np.array([products.yy])
        if self.responses is not None:
            xy, yy = self.responses.xy, self.responses.yy
        p = products.xy.size
        out = np.empty((yy.size, p + 1, p + 1))
        out[:, :p, :p] = products.xx
        out[:, :p, p] = out[:, p, :p] = xy
        out[:, p, p] = yy
        return out

    @cached_property
    def zxy(self) -> list[FloatArray]:
        """Z'W[X y] per factor, shape (T or 1, J, q, p + 1)."""
        if self.responses is None:
            return [both[None] for both in self.products.zxy]
        joined = []
        for zx, zy in zip(self.products.zx, self.responses.zy, strict=True):
            J, q, p = zx.shape
            both = np.empty((zy.shape[0], J, q, p + 1))
            both[..., :p], both[..., p] = zx, zy
            joined.append(both)
        return joined

    @property
    def remainder(self) -> Remainder | None:
        """[X y] without the levels' own fits, where the products need it; else None."""
        return self.products.remainder if self.responses is None else self.responses.remainder


@record
class Evaluation:
    """The kernel at a batch of thetas, in the basis of the products.

    Attributes
    ----------
    theta : array, shape (T, k)
    criterion : array, shape (T,), minus twice the profiled (restricted) log-likelihood
    beta : array, shape (T, p)
    pwrss : array, shape (T,), r^2 above
    sigma : array, shape (T,), residual sd; 1 where it is known
    root_xvx : array, shape (T, p, p), lower Cholesky factor of X'V^-1X
    orthonormal : array, shape (T, p + 1, p + 1), C of the module's header
    factor : the Cholesky factor, None for a model without random effects
    half : L^-1 Lambda'Z'W[X y] per factor, for what follows
    solved : U and H of the module's header where there is a remainder, else None
    """

    theta: FloatArray
    criterion: FloatArray
    beta: FloatArray
    pwrss: FloatArray
    sigma: FloatArray
    root_xvx: FloatArray
    orthonormal: FloatArray
    Lambdas: list[FloatArray]
    factor: Factor | None
    half: list[FloatArray]
    solved: "Solved | None" = None


@record(kw_only=False)
class Solved:
    """What follows from columns C at a batch of thetas.

    Attributes
    ----------
    half : L^-1 Lambda'Z'WC, as a factor gives it
    u, h : U = (L L')^-1 Lambda'Z'WC and H = Z'V^-1C, per factor arrays (T, J, q, c)
    gram : array, shape (T, c, c), C'V^-1C
    """

    half: list[FloatArray]
    u: list[FloatArray]
    h: list[FloatArray]
    gram: FloatArray


def gram(left: Sequence[FloatArray], right: Sequence[FloatArray]) -> FloatArray:
    """Sum over factors and levels of left' right, shape (T, c, d)."""
    total: FloatArray | float = 0.0
    for a, b in zip(left, right, strict=True):
        T, J, q, c = a.shape
        flat = a.reshape(T, J * q, c)
        total = total + flat.swapaxes(1, 2) @ b.reshape(b.shape[0], J * q, b.shape[3])
    return np.asarray(total)


@record
class Reduced:
    """The model with the random effects integrated out, at a batch of T covariances.

    Attributes
    ----------
    log_det : array, shape (T,), log det of Lambda'Z'WZ Lambda + I
    gram_xy : array, shape (T, p + 1, p + 1), [X y]'V^-1[X y]
    factor, half, solved : as in ``Evaluation``
    """

    log_det: FloatArray
    gram_xy: FloatArray
    factor: Factor | None
    half: list[FloatArray]
    solved: Solved | None = None


def reduce(kernel: Kernel, Lambdas: Sequence[FloatArray], *, n_batch: int) -> Reduced:
    """Integrate the random effects out at one Lambda (T, q, q) a factor, any square root.

    ``n_batch`` is T; it is what a model without random effects goes by.
    """
    if not Lambdas:
        gram_xy = np.repeat(kernel.gram_xy, n_batch // kernel.gram_xy.shape[0], axis=0)
        return Reduced(log_det=np.zeros(n_batch), gram_xy=gram_xy, factor=None, half=[])
    factor = kernel.blocks.factorise(Lambdas)
    remainder = kernel.remainder
    if remainder is not None:
        solved = solve(kernel.blocks, Lambdas, factor, remainder)
        return Reduced(
            log_det=factor.log_det,
            gram_xy=solved.gram,
            factor=factor,
            half=solved.half,
            solved=solved,
        )
    right = [transpose_times(Lam, z) for Lam, z in zip(Lambdas, kernel.zxy, strict=True)]
    half = factor.half_solve(right)
    return Reduced(
        log_det=factor.log_det,
        gram_xy=kernel.gram_xy - gram(half, half),
        factor=factor,
        half=half,
    )


def solve(
    blocks: Blocks, Lambdas: Sequence[FloatArray], factor: Factor, columns: Remainder
) -> Solved:
    """U, H and C'V^-1C of columns C = Z B + R, without differences of large numbers.

    One step of refinement takes the rounding of the factor out of U.
    """
    h = [z + s for z, s in zip(columns.zr, blocks.times(columns.levels), strict=True)]
    half = factor.half_solve([transpose_times(L, x) for L, x in zip(Lambdas, h, strict=True)])
    u = factor.back_solve(half)
    for step in range(REFINEMENTS + 1):
        D = [B - times(L, v) for B, L, v in zip(columns.levels, Lambdas, u, strict=True)]
        spread = blocks.times(D) if factor.roots is None else [squared(factor.roots, D[0])]
        h = [z + s for z, s in zip(columns.zr, spread, strict=True)]
        if step < REFINEMENTS:
            left = [transpose_times(L, x) - v for L, x, v in zip(Lambdas, h, u, strict=True)]
            more = factor.back_solve(factor.half_solve(left))
            u = [v + x for v, x in zip(u, more, strict=True)]
    h = [from_image(L, v, direct=x) for L, v, x in zip(Lambdas, u, h, strict=True)]
    total = columns.rr + gram(columns.zr, D) + gram(D, h) + gram(u, u)
    return Solved(half, u, h, (total + total.swapaxes(1, 2)) / 2)


def squared(roots: FloatArray, D: FloatArray) -> FloatArray:
    """R'R D of D (T, J, q, c), exactly along what the rows of a level tell of it.

    A level with fewer rows than columns has D as large as the levels' effects, at right angles to
    its rows. There R D is small, with an error of its own rounding; A D of the squares A = R'R
    points out of the rows' directions by the rounding of D, and D'A D gets the square of that size.
    """
    return np.asarray(roots.swapaxes(1, 2) @ (roots @ D))


def from_image(Lambda: FloatArray, image: FloatArray, *, direct: FloatArray) -> FloatArray:
    """X of which Lambda'X (the image) is known, and X itself but for rounding (``direct``).

    Where Lambda (T, q, q) is large X is small, a difference of large numbers, and the image divided
    by Lambda has its digits; where it is small or singular the direct one has. The split is along
    the axes of Lambda Lambda'. Both are stacks (T, J, q, c).
    """
    axes, sizes, turn = np.linalg.svd(Lambda)
    large = (sizes > LARGE)[:, None, :, None]
    if not large.any():
        return direct
    along = turn[:, None] @ image / np.where(large, sizes[:, None, :, None], 1.0)
    return np.asarray(axes[:, None] @ np.where(large, along, axes.swapaxes(1, 2)[:, None] @ direct))


def traces_of(kernel: Kernel, Lambdas: Sequence[FloatArray], factor: Factor) -> list[FloatArray]:
    """Per factor the summed diagonal blocks of Z'WZ Lambda (L L')^-1, (T, q, q).

    Times Lambda' from the left it is I - (L L')^-1 summed over the levels.
    """
    found = factor.trace_blocks()
    if kernel.remainder is None:
        return found
    out = []
    for Lam, direct, cov in zip(Lambdas, found, factor.covariances(), strict=True):
        image = cov.shape[1] * np.eye(Lam.shape[1]) - cov.sum(axis=1)
        out.append(from_image(Lam, image[:, None], direct=direct[:, None])[:, 0])
    return out


def information(
    kernel: Kernel,
    Lambdas: Sequence[FloatArray],
    at: Evaluation | Reduced,
    vectors: Sequence[FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """[X y]'V^-1Z S (T, p + 1, d) and S'Z'V^-1Z S (T, d, d) for S, per factor (T, J, q, d)."""
    assert at.factor is not None
    if at.solved is not None:
        columns = Remainder(
            levels=tuple(vectors),
            zr=tuple(np.zeros_like(v) for v in vectors),
            rr=np.zeros((1, vectors[0].shape[3], vectors[0].shape[3])),
        )
        square = solve(kernel.blocks, Lambdas, at.factor, columns).gram
        return gram(at.solved.h, vectors), square
    spread = kernel.blocks.times(vectors)
    lifted = [transpose_times(L, s) for L, s in zip(Lambdas, spread, strict=True)]
    half = at.factor.half_solve(lifted)
    on_xy = gram(kernel.zxy, vectors) - gram(at.half, half)
    return on_xy, gram(vectors, spread) - gram(half, half)


def evaluate(
    kernel: Kernel, theta: FloatArray, Lambdas: list[FloatArray] | None = None
) -> Evaluation:
    """Criterion and estimates at a batch of thetas (T, k).

    ``Lambdas`` (T, q, q) a factor, any square roots, take the place of those of theta.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V^-1X is not positive definite or r^2 is not positive to machine precision.
    """
    products, df = kernel.products, kernel.df
    p = products.xy.size
    Lambdas = kernel.basis_shape.unpack(theta) if Lambdas is None else Lambdas
    reduced = reduce(kernel, Lambdas, n_batch=theta.shape[0])
    criterion = reduced.log_det - products.sum_log_weights
    root = cholesky(reduced.gram_xy)
    orthonormal = np.swapaxes(inverse_of_triangles(root), 1, 2)
    r = root[:, p, p]
    pwrss = r**2
    if kernel.method == "reml":
        diagonal = root.diagonal(axis1=1, axis2=2)[:, :p]
        basis = np.abs(products.anchor.x_basis.diagonal())
        criterion = criterion + 2 * (np.log(diagonal).sum(axis=1) - np.log(basis).sum())
    if kernel.sigma_known:
        criterion = criterion + df * np.log(2 * np.pi) + pwrss
        sigma = np.ones_like(pwrss)
    else:
        criterion = criterion + df * (1 + np.log(2 * np.pi * pwrss / df))
        sigma = np.sqrt(pwrss / df)
    return Evaluation(
        theta=theta,
        criterion=criterion,
        beta=-orthonormal[:, :p, p] * r[:, None],
        pwrss=pwrss,
        sigma=sigma,
        root_xvx=root[:, :p, :p],
        orthonormal=orthonormal,
        Lambdas=Lambdas,
        factor=reduced.factor,
        half=reduced.half,
        solved=reduced.solved,
    )


def at_sigma(kernel: Kernel, at: Evaluation, sigma: float) -> Evaluation:
    """Return an evaluation at a residual sd that is given, not profiled out.

    Its criterion is minus twice the (restricted) log-likelihood at theta and sigma: df log sigma^2
    + r^2 / sigma^2 in place of what these are at the best sigma.
    """
    own = kernel.df * (1 + 2 * np.log(at.sigma))
    given = kernel.df * 2 * np.log(sigma) + at.pwrss / sigma**2
    return replace(at, sigma=np.full_like(at.sigma, sigma), criterion=at.criterion - own + given)


def transpose_times(Lambda: FloatArray, stack: FloatArray) -> FloatArray:
    """Lambda' times each (q, c) matrix of a stack (T or 1, J, q, c)."""
    return times(Lambda.swapaxes(1, 2), stack)


def times(Lambda: FloatArray, stack: FloatArray) -> FloatArray:
    """Lambda times each (q, c) matrix of a stack (T or 1, J, q, c)."""
    q, (T, J, _, c) = Lambda.shape[1], stack.shape
    if q == 1:
        return Lambda[:, :, :, None] * stack
    if q * c > SHORT or are_few(stack):
        return np.asarray(Lambda[:, None] @ stack)
    columns = np.arange(c)
    wide = np.zeros((Lambda.shape[0], q, c, q, c))  # Lambda' x I
    wide[:, :, columns, :, columns] = Lambda.swapaxes(1, 2)
    found = stack.reshape(T, J, q * c) @ wide.reshape(Lambda.shape[0], q * c, q * c)
    return np.asarray(found.reshape(found.shape[0], J, q, c))


@record(kw_only=False)
class Modes:
    """U C and H C of the module's header, per factor arrays (T, J, q, p + 1)."""

    u: list[FloatArray]
    h: list[FloatArray]


@record
class Derivatives:
    """Derivatives of the criterion at a batch of thetas; the curvature is made when asked for.

    Attributes
    ----------
    kernel, at : of what, and where
    modes : there
    last : array, shape (T,), count of the column of e
    traces : per factor (T, q, q), the first of the two sums whose difference the slopes are
    slopes : per factor D (T, q, q), half the derivative in Lambda
    """

    kernel: Kernel
    at: Evaluation
    modes: Modes
    last: FloatArray
    traces: list[FloatArray]
    slopes: list[FloatArray]

    @cached_property
    def gradient(self) -> FloatArray:
        """Exact gradient in theta, shape (T, k)."""
        return _packed(self.kernel.basis_shape, self.at.theta, self.slopes)

    @cached_property
    def curvature(self) -> FloatArray:
        """Average information plus the exact term of the squares, shape (T, k, k).

        Close to the Hessian at an optimum. No Lambda may be singular.
        """
        T, k = self.at.theta.shape
        if not k:
            return np.zeros((T, 0, 0))
        found = self.last[:, None, None] * _average_information(self.kernel, self.at, self.modes)
        return found + _square_term(self.kernel.basis_shape, self.at, self.slopes)

    @property
    def are_rounding(self) -> BoolArray:
        """Where the gradient is zero but for rounding of the sums behind it, shape (T,)."""
        sizes = np.minimum.reduce([np.abs(trace).max(axis=(1, 2)) for trace in self.traces])
        return np.asarray((np.abs(self.gradient) <= ROUNDED * sizes[:, None]).all(axis=1))


def modes(kernel: Kernel, at: Evaluation) -> Modes:
    """Return U C and H C; r times the last column of U C holds the conditional modes of u."""
    u, h = responses_of(kernel, at.Lambdas, at)
    return Modes([_columns(x, at.orthonormal) for x in u], [_columns(x, at.orthonormal) for x in h])


def responses_of(
    kernel: Kernel, Lambdas: Sequence[FloatArray], at: Evaluation | Reduced
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return U = (L L')^-1 Lambda'Z'W[X y] and H = Z'V^-1[X y], per factor (T, J, q, p + 1)."""
    if at.solved is not None:
        return at.solved.u, at.solved.h
    assert at.factor is not None
    u = at.factor.back_solve(at.half)
    spread = kernel.blocks.times([times(L, x) for L, x in zip(Lambdas, u, strict=True)])
    return u, [z - s for z, s in zip(kernel.zxy, spread, strict=True)]


def _columns(stack: FloatArray, C: FloatArray) -> FloatArray:
    """Stack (T, J, q, c) times C (T, c, c)."""
    T, J, q, c = stack.shape
    return np.asarray((stack.reshape(T, J * q, c) @ C).reshape(T, J, q, c))


def derivatives(kernel: Kernel, at: Evaluation, *, sigma: float | None = None) -> Derivatives:
    """Exact gradient and approximate curvature of the criterion in theta.

    With ``sigma`` it is the criterion before sigma is profiled out, at that sigma; only its
    gradient is meant then.
    """
    last = _weight_of_response(kernel, at, sigma)
    if at.factor is None:
        nothing = Modes([], [])
        return Derivatives(kernel=kernel, at=at, modes=nothing, last=last, traces=[], slopes=[])
    found = modes(kernel, at)
    traces = traces_of(kernel, at.Lambdas, at.factor)
    triples = zip(traces, found.u, found.h, strict=True)
    slopes = [trace - counted(kernel, h, u, last) for trace, u, h in triples]
    return Derivatives(kernel=kernel, at=at, modes=found, last=last, traces=traces, slopes=slopes)


def gradient(kernel: Kernel, at: Evaluation, *, sigma: float | None = None) -> FloatArray:
    """Exact gradient of the criterion in theta, shape (T, k), also where Lambda is singular.

    With ``sigma`` it is the criterion before sigma is profiled out, at that sigma.
    """
    return derivatives(kernel, at, sigma=sigma).gradient


def _weight_of_response(kernel: Kernel, at: Evaluation, sigma: float | None) -> FloatArray:
    """Count of the column of e, m of the module's header: (T,)."""
    if sigma is not None:
        return at.pwrss / sigma**2
    return at.pwrss if kernel.sigma_known else np.full_like(at.pwrss, kernel.df)


def counted(kernel: Kernel, h: FloatArray, u: FloatArray, last: FloatArray) -> FloatArray:
    """Sum of m_c h_c u_c' over levels and columns, the last counting ``last`` (T,): (T, q, q)."""
    counts = np.full((last.size, h.shape[3]), 1.0 if kernel.method == "reml" else 0.0)
    counts[:, -1] = last
    return summed_products(h * counts[:, None, None], u)


def _packed(shape: CovarianceShape, theta: FloatArray, slopes: Sequence[FloatArray]) -> FloatArray:
    """Gradient (T, k) in theta: twice the slopes D at its places, or 2 <D, Lambda_i>."""
    if not shape.is_plain:
        pairs = zip(slopes, shape.slopes(theta), strict=True)
        return 2 * np.sum([np.einsum("tab,tkab->tk", D, dL) for D, dL in pairs], axis=0)
    found = np.empty(theta.shape)
    for slope, (index, r, c) in zip(slopes, shape.factor_entries, strict=True):
        found[:, index] = 2 * slope[:, r, c]
    return found


def _average_information(kernel: Kernel, at: Evaluation, found: Modes) -> FloatArray:
    """s_i' Z'V^-1Z s_j with X (and e, unless sigma is known) projected out, shape (T, k, k).

    s_i = E_i U + Lambda E_i' H in the column of e, where E_i has a one at the place of theta_i.
    """
    k = at.theta.shape[1]
    shape = kernel.basis_shape
    if len(at.Lambdas) == 1 and at.solved is None and kernel.pattern.name != "related":
        projected, square = _along_theta(shape, at.theta, *_of_entries(kernel, at, found))
        return _beside(projected, square, kernel)
    hs = [h[..., 0] for h in kernel.blocks.relate([h[..., -1:] for h in found.h])]
    directions = [] if shape.is_plain else _directions(shape, at, found, hs)
    for f, (index, row, column) in enumerate(shape.factor_entries if shape.is_plain else ()):
        u, h, Lambda = found.u[f][..., -1], hs[f], at.Lambdas[f]
        s = Lambda[:, None, :, column] * h[:, :, None, row]
        s[:, :, row, np.arange(row.size)] += u[:, :, column]
        if row.size < k:
            wide = np.zeros((*u.shape, k))
            wide[..., index] = s
            s = wide
        directions.append(s)
    on_xy, square = information(kernel, at.Lambdas, at, directions)
    return _beside(at.orthonormal.swapaxes(1, 2) @ on_xy, square, kernel)


def _beside(projected: FloatArray, square: FloatArray, kernel: Kernel) -> FloatArray:
    """Squares (T, k, k) without what lies along X and e, whose products are (T, p + 1, k)."""
    if kernel.sigma_known:
        projected = projected[:, :-1]
    return np.asarray(square - projected.swapaxes(1, 2) @ projected)


def _of_entries(kernel: Kernel, at: Evaluation, found: Modes) -> tuple[FloatArray, FloatArray]:
    """([X y] C)'V^-1Z s_i, (T, p + 1, q, q), and s_i'Z'V^-1Z s_j, (T, q, q, q, q), of one factor.

    For every entry i of Lambda.
    """
    assert at.factor is not None
    h, u, Lambda = found.h[0], found.u[0][..., -1], at.Lambdas[0]
    inverse = at.factor.covariances()[0]
    square = entry_information(kernel.products.zz[0], Lambda, inverse, u=u, h=h[..., -1])
    T, J, q, c = h.shape
    beside = np.concatenate([u, h[..., -1]], axis=2)
    sums = np.swapaxes(h.reshape(T, J, q * c), 1, 2) @ beside
    on_u, on_h = sums.reshape(T, q, c, 2, q).transpose(3, 0, 2, 1, 4)
    return on_u + np.swapaxes(Lambda.swapaxes(1, 2)[:, None] @ on_h, 2, 3), square


def _along_theta(
    shape: CovarianceShape, theta: FloatArray, projected: FloatArray, square: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Take what is given for every entry of one Lambda along theta (T, k)."""
    T, c, q = projected.shape[:3]
    if shape.is_plain:
        at = shape.entry_order[0]
        rows = square.reshape(T, q * q, q * q)[:, at]
        return projected.reshape(T, c, q * q)[:, :, at], rows[:, :, at]
    slopes = shape.slopes(theta)[0].reshape(T, -1, q * q)
    along = slopes.swapaxes(1, 2)
    return projected.reshape(T, c, q * q) @ along, slopes @ square.reshape(T, q * q, q * q) @ along


def _directions(
    shape: CovarianceShape, at: Evaluation, found: Modes, hs: Sequence[FloatArray]
) -> list[FloatArray]:
    """Lambda_i U + Lambda Lambda_i'A H in the column of e, per factor (T, J, q, k)."""
    out = []
    for f, (Lambda, slope) in enumerate(zip(at.Lambdas, shape.slopes(at.theta), strict=True)):
        u, h = found.u[f][..., -1], hs[f]
        moved = np.einsum("tkab,tja->tjbk", slope, h)
        out.append(np.einsum("tkab,tjb->tjak", slope, u) + times(Lambda, moved))
    return out


def _square_term(
    shape: CovarianceShape, at: Evaluation, slopes: Sequence[FloatArray]
) -> FloatArray:
    """2 G for entries of the same column of Lambda, from D = G Lambda; shape (T, k, k)."""
    if not shape.is_plain:
        return squares_of(shape, at.theta, at.Lambdas, slopes)
    out = np.zeros((at.theta.shape[0], shape.n_theta, shape.n_theta))
    for Lambda, slope, (i, j, r_i, r_j) in zip(at.Lambdas, slopes, shape.column_pairs, strict=True):
        out[:, i, j] = 2 * covariance_slope(Lambda, slope)[:, r_i, r_j]
    return out


def squares_of(
    shape: CovarianceShape,
    theta: FloatArray,
    Lambdas: Sequence[FloatArray],
    slopes: Sequence[FloatArray],
) -> FloatArray:
    """2 <G, Lambda_i Lambda_j'> + 2 <D, Lambda_ij> in any theta, shape (T, k, k).

    ``Lambdas`` and ``slopes`` D, half the derivative in them, are those of ``shape`` at theta (T,
    k). The second derivatives Lambda_ij of structures are central differences.
    """
    found = np.zeros((*theta.shape, theta.shape[1]))
    for Lambda, D, dL in zip(Lambdas, slopes, shape.slopes(theta), strict=True):
        G = covariance_slope(Lambda, D)
        found += 2 * np.einsum("tiab,tac,tjcb->tij", dL, G, dL)
    for i, own, part in shape.structured:
        factor, (rows, columns) = shape.blocks[i]
        D, x = slopes[factor][:, rows, columns], theta[:, part]
        for j in range(x.shape[1]):
            step = STEP * np.maximum(1.0, np.abs(x[:, j : j + 1])) * np.eye(x.shape[1])[j]
            bend = (own.slope(x + step) - own.slope(x - step)) / (2 * step[:, j, None, None, None])
            found[:, part.start + j, part] += 2 * np.einsum("tab,tkab->tk", D, bend)
    return (found + found.swapaxes(1, 2)) / 2


def covariance_slope(Lambda: FloatArray, slope: FloatArray) -> FloatArray:
    """G with D = G Lambda, symmetric, shape (T, q, q); Lambda must not be singular."""
    G = slope / Lambda if Lambda.shape[1] == 1 else slope @ np.linalg.inv(Lambda)
    return np.asarray(G + G.swapaxes(1, 2)) / 2


def with_responses(kernel: Kernel, responses: Responses) -> Kernel:
    """Return the same kernel with one response a batch entry."""
    return replace(kernel, responses=responses)
