"""Criterion and exact gradient where the residuals have a structure, on cross-products.

With V = R + Z Lambda Lambda'Z' and R = R(phi) all of ``gaussian/marginal.py`` holds, of products
with R^-1 in place of W, and log|R| in place of -sum log w. In the symbols of that module, with
M = Lambda (L L')^-1 Lambda' and c - Z Lambda U c what the modes leave of a column c of [X y] C, a
change of R^-1 changes the criterion by

    -tr(R dR^-1) + tr(M Z'dR^-1 Z) + sum_c m_c (c - Z Lambda U c)' dR^-1 (c - Z Lambda U c),

the first of which is that of log|R|. So the derivative in each product is known (``adjoint``), and
that in phi follows from those of the few factors that products are made of.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.kernel import blocks_of, check_rows_left, pattern_of_design
from hierbayes.gaussian.marginal import (
    Derivatives,
    Evaluation,
    Kernel,
    Pattern,
    Reduced,
    derivatives,
    evaluate,
    gradient,
    responses_of,
    times,
)
from hierbayes.gaussian.pattern.nested import NestedPattern
from hierbayes.gaussian.pattern.related import is_related
from hierbayes.gaussian.products import (
    Products,
    covariance_shape,
    needs_remainder,
)
from hierbayes.gaussian.residual.entries import Factors
from hierbayes.gaussian.residual.products import ResidualProducts, Stacked
from hierbayes.gaussian.undetermined import GRAM_CLEAR, products_determine_all
from hierbayes.gaussian.weighted import NoLevels
from hierbayes.options import Method

MOST_RELATED = 1000  # effects with a known covariance: an evaluation costs their cube


@record
class ManyKernel(Kernel):
    """A kernel with products of its own at each of T points; ``products`` holds them stacked."""

    stacked: Stacked

    @cached_property
    def gram_xy(self) -> FloatArray:
        """[X y]'R^-1[X y], (T, p + 1, p + 1)."""
        return self.stacked.squares

    @cached_property
    def zxy(self) -> list[FloatArray]:
        """Z'R^-1[X y] per factor, (T, J, q, p + 1)."""
        return list(self.stacked.zxy)


@record
class ResidualKernel:
    """The marginal likelihood as a function of theta and phi.

    Attributes
    ----------
    products : of phi
    shape : of the covariances of the random effects
    pattern : where the factor of the levels has entries; None without random effects
    method : {"reml", "ml"}
    """

    products: ResidualProducts
    shape: CovarianceShape
    pattern: Pattern | None
    method: Method

    @property
    def size(self) -> int:
        """Number of coordinates d of phi."""
        return self.products.structure.size

    def at(self, phi: FloatArray) -> Kernel:
        """Return the kernel at one phi (d,)."""
        return self._kernel(self.products.products(phi))

    def _kernel(self, products: Products) -> Kernel:
        pattern = self.pattern
        blocks = NoLevels() if pattern is None else blocks_of(pattern, products)
        return Kernel(products=products, shape=self.shape, blocks=blocks, method=self.method)

    def many(self, factors: Factors) -> ManyKernel:
        """Return the kernel at T points, ``is_stacked``."""
        found = self.products.stacked(factors)
        products = self.products.laid_out(found, found.squares[0], factors.log_det)
        blocks = NoLevels() if self.pattern is None else blocks_of(self.pattern, products)
        return ManyKernel(
            products=products, shape=self.shape, blocks=blocks, method=self.method, stacked=found
        )

    @property
    def are_many(self) -> bool:
        """Whether a search evaluates points at once: levels that are crossed one at a time."""
        return self.pattern is None or isinstance(self.pattern, NestedPattern)

    @property
    def is_stacked(self) -> bool:
        """Whether the factor of levels has a form for many products at once."""
        if self.pattern is None or self.pattern.name == "nested":
            return True
        if self.pattern.name == "related":
            return self.n_effects <= MOST_RELATED
        from hierbayes.gaussian.pattern.crossed import CrossedPattern

        return isinstance(self.pattern, CrossedPattern) and self.pattern.is_dense

    @property
    def n_effects(self) -> int:
        """Random effects of all factors."""
        sizes, counts = self.shape.sizes, self.products.units.n_levels
        return int(np.dot(sizes, counts))

    @property
    def n_numbers(self) -> int:
        """Numbers that a point holds besides the products of levels."""
        between = 0
        if self.pattern is not None and self.pattern.name != "nested":
            between = (
                self.n_effects**2 if self.pattern.name == "related" else self.pattern.n_numbers
            )
        return max(between, self.products.numbers_of_rows)

    def points(self, theta: FloatArray, phi: FloatArray) -> list["Point"]:
        """Evaluate at theta (T, k) and phi (T, d), all at once or one by one."""
        if self.are_many:
            return [self.evaluated(theta, phi)]
        return [self.evaluated(theta[t : t + 1], phi[t : t + 1]) for t in range(theta.shape[0])]

    def evaluated(self, theta: FloatArray, phi: FloatArray) -> "Point":
        """Evaluate at theta (T, k), in the basis of the products, and phi (T, d).

        Raises
        ------
        numpy.linalg.LinAlgError
            If the criterion can't be computed at one of them.
        """
        factors = self.products.structure.factors(phi)
        kernel = self.many(factors) if self.are_many else self.at(phi[0])
        return Point(self, factors, kernel, evaluate(kernel, theta))


def residual_kernel(design: Design, products: ResidualProducts) -> ResidualKernel:
    """Return the restricted likelihood of a design; ``products`` are of its rows.

    Where levels have a known covariance it is not asked whether the data determine every variance.

    Raises
    ------
    DataError
        If the fixed effects leave no residual variation to model.
    NotSupportedError
        If the levels leave next to nothing of the response, or the data do not determine every
        variance.
    """
    first = products.products(np.zeros(products.structure.size))
    check_rows_left(first)
    shape = covariance_shape(design)
    pattern = pattern_of_design(design, first)
    if design.factors:
        if needs_remainder(first, sigma_known=False):
            raise not_supported("residual-remainder")
        told = is_related(design) or products_determine_all(
            first, shape, sigma_known=False, safe=GRAM_CLEAR
        )
        if not told:
            raise not_supported("residual-undetermined")
    return ResidualKernel(products=products, shape=shape, pattern=pattern, method="reml")


def centred(kernel: ResidualKernel) -> ResidualKernel:
    """Return the kernel whose reference has the middle of the rows' log sds.

    With few rows near the reference, or none, its sd follows from all other parameters, which then
    can't be searched one by one. The criterion at phi is the same where theta is relative to the
    sd in the middle.
    """
    products = kernel.products
    spread = products.structure.spread
    D = spread.D - spread.counts @ spread.D / spread.counts.sum()
    structure = replace(products.structure, spread=replace(spread, D=D))
    return replace(kernel, products=replace(products, structure=structure))


@record(kw_only=False)
class Point:
    """The criterion at T points, and what its derivatives follow from."""

    kernel: ResidualKernel
    factors: Factors
    own: Kernel
    at: Evaluation

    def derivatives(self) -> Derivatives:
        """Return gradient and curvature in theta."""
        return derivatives(self.own, self.at)

    def gradient(self, *, sigma: float | None = None) -> FloatArray:
        """Exact gradient (T, k + d) in theta and phi."""
        slopes = self.slopes(sigma=sigma)
        if self.at.factor is None:
            return slopes
        return np.concatenate([gradient(self.own, self.at, sigma=sigma), slopes], axis=1)

    def slopes(self, *, sigma: float | None = None) -> FloatArray:
        """Exact derivatives (T, d) of the criterion in phi.

        With ``sigma`` of the criterion before sigma is profiled out, at that sigma.
        """
        counts = np.full(self.at.orthonormal.shape[:2], 1.0 if self.own.method == "reml" else 0.0)
        counts[:, -1] = self.own.df if sigma is None else self.at.pwrss / sigma**2
        found = adjoint(self.own, self.at, counts)
        return self.factors.log_det_slope + self.kernel.products.slopes(self.factors, found)


def adjoint(kernel: Kernel, at: Evaluation, counts: FloatArray) -> Stacked:
    """Return the derivatives of the criterion but for log|R| in the products; see the header.

    Parameters
    ----------
    kernel : Kernel
    at : its evaluation at T points
    counts : array, shape (T, p + 1), m of the columns of [X y] C
    """
    C = at.orthonormal
    K = C * counts[:, None] @ np.swapaxes(C, 1, 2)
    return adjoint_of(kernel, at, K, at.Lambdas)


def adjoint_of(
    kernel: Kernel, at: Evaluation | Reduced, K: FloatArray, Lambdas: Sequence[FloatArray]
) -> Stacked:
    """Return the derivatives in the products of log|L L'| + tr(K G), G the Gram matrix.

    Parameters
    ----------
    kernel : Kernel
    at : its evaluation at T points
    K : array, shape (T, p + 1, p + 1), symmetric; held
    Lambdas : per factor, array (T, q, q), of these points
    """
    if at.factor is None:
        return Stacked(squares=K, zz=(), zxy=(), couplings={})
    us, _ = responses_of(kernel, Lambdas, at)
    b = [times(L, u) for L, u in zip(Lambdas, us, strict=True)]
    kb = [x @ K[:, None] for x in b]
    zz = [
        _sandwiched(cov, L, L) + m @ np.swapaxes(x, 2, 3)
        for cov, L, x, m in zip(at.factor.covariances(), Lambdas, b, kb, strict=True)
    ]
    couplings = {}
    for (f, g), cov in at.factor.cross_covariances().items():
        met = kernel.products.couplings[f, g]
        beside = kb[f][:, met.rows] @ np.swapaxes(b[g][:, met.columns], 2, 3)
        couplings[f, g] = 2 * (_sandwiched(cov, Lambdas[f], Lambdas[g]) + beside)
    return Stacked(squares=K, zz=tuple(zz), zxy=tuple(-2 * m for m in kb), couplings=couplings)


def _sandwiched(V: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Left V right' of a stack V (T, J, a, b), with matrices (T, a, a) and (T, b, b)."""
    return np.asarray(left[:, None] @ V @ np.swapaxes(right, 1, 2)[:, None])
