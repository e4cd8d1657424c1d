"""The collapsed density at many points, in batches, and exact draws of beta and b at them.

    beta | phi ~ N(mu, P^-1),    b | beta, phi = Lambda L'^-1 (L^-1 Lambda'Z'W r + sigma z)

with r = y - X beta, in the notation of ``collapsed_density.py``. A point at which the density
can't be computed has log density minus infinity.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.collapsed_density import Collapsed, Target, collapsed, slope
from hierbayes.bayes.effect_draws import draw_effects
from hierbayes.gaussian.marginal import Kernel, Reduced, reduce, times
from hierbayes.gaussian.patterns import integrate, patterns_of
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack, solve_upper_stack

BATCH_NUMBERS = 2_000_000  # numbers an evaluation of one batch may hold in its largest array
LARGE = 200_000  # numbers an evaluation of one phi holds, above which it is dear
DEAR_EFFECTS = 60  # effects of related levels from which one is
CACHE = 400_000  # numbers of matrices between them that are worked on together
# Draws of all effects beyond this many numbers, 512 MB, are made when they are looked at.
LATER = 2**26


@record
class Points:
    """What is known at N points phi.

    Attributes
    ----------
    log_density : array, shape (N,)
    mean, root : arrays, shapes (N, p) and (N, r, r), of p(beta | phi, y) in the basis; r of the
        directions are free where some coefficients are coordinates of their own
    b : per factor, arrays (N, J, q), with the ``beta`` (N, p) they were drawn with, both on the
        user's scale; None where they are drawn later, at the points that are kept
    """

    log_density: FloatArray
    mean: FloatArray
    root: FloatArray
    beta: FloatArray | None = None
    b: Sequence[FloatArray] | None = None


class PointsOf:
    """Evaluates one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.patterns = None if target.residual is not None else patterns_of(target.kernel)
        size, pattern = numbers_of(target.kernel), target.kernel.pattern
        if target.residual is not None and pattern.name != "related":
            size = max(size, target.residual.kernel.n_numbers)
        self.is_large = size > LARGE and target.size > 0
        self.is_dear = self.is_large
        self.asks_polynomial = self.is_large
        self.slope_batch = max(1, BATCH_NUMBERS // (4 * size))
        self.batch = max(1, BATCH_NUMBERS // size)
        if target.residual is not None and pattern.name == "crossed":  # a matrix a point
            self.batch = max(1, min(self.batch, CACHE // size))
        if pattern.name == "related":  # an evaluation costs the cube of the effects
            effects = sum(A.shape[0] * A.shape[1] for A in target.kernel.products.zz)
            self.is_dear |= effects >= DEAR_EFFECTS and target.size > 0
            self.asks_polynomial |= effects**2 > LARGE and target.size > 0
            self.batch = max(1, min(self.batch, CACHE // effects**2))
            self.slope_batch = max(1, min(self.slope_batch, BATCH_NUMBERS // effects**2))
        if self.patterns is not None:
            self.batch = max(1, BATCH_NUMBERS // self.patterns.sums.size)

    def are_later(self, n: int) -> bool:
        """Whether n draws of the effects are so many that they are made when looked at.

        Levels of one factor can be drawn apart from each other (``level_effects.py``).
        """
        products = self.target.kernel.products
        few = len(products.zz) == 1 and self.target.kernel.pattern.name == "nested"
        return (
            few and self.target.kernel.remainder is None and n * products.zz[0][:, 0].size > LATER
        )

    def log_density(self, phi: FloatArray) -> FloatArray:
        """Log density at phi (N, d), shape (N,)."""
        return self.at(phi).log_density

    def value_and_slope(self, phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log density (N,) and its gradient (N, d) at phi (N, d)."""
        values, slopes = np.full(phi.shape[0], -np.inf), np.zeros_like(phi)
        for start in range(0, phi.shape[0], self.slope_batch):
            at = slice(start, start + self.slope_batch)
            try:
                found = collapsed(self.target, phi[at])
            except np.linalg.LinAlgError:
                continue
            values[at], slopes[at] = found.log_density, slope(self.target, phi[at], found)
        return values, slopes

    def at(self, phi: FloatArray) -> Points:
        """Log density and p(beta | phi, y) at phi (N, d)."""
        return _joined(
            [self._batch(phi[i : i + self.batch]) for i in range(0, phi.shape[0], self.batch)]
        )

    def _batch(self, phi: FloatArray) -> Points:
        try:
            at = collapsed(self.target, phi, patterns=self.patterns)
        except np.linalg.LinAlgError:
            half = phi.shape[0] // 2
            if half:
                return _joined([self._batch(phi[:half]), self._batch(phi[half:])])
            return self._impossible()
        return Points(log_density=at.log_density, mean=at.mean, root=at.root)

    def _impossible(self) -> Points:
        p = self.target.precision.shape[0]
        r = p if self.target.sampled is None else self.target.sampled.free.shape[1]
        return Points(log_density=np.array([-np.inf]), mean=np.zeros((1, p)), root=np.eye(r)[None])

    def with_draws(self, phi: FloatArray, rng: np.random.Generator) -> Points:
        """Points at phi (N, d) with a draw of beta and b at each, while its factor is at hand."""
        kernel, anchor = self.target.kernel, self.target.kernel.products.anchor
        b = [np.zeros((phi.shape[0], *A.shape[:2])) for A in kernel.products.zz]
        beta = np.zeros((phi.shape[0], anchor.kept.size))
        parts = []
        waiting = [
            slice(start, min(start + self.batch, phi.shape[0]))
            for start in reversed(range(0, phi.shape[0], self.batch))
        ]
        while waiting:
            at = waiting.pop()
            try:
                found = collapsed(self.target, phi[at])
            except np.linalg.LinAlgError:
                if at.stop - at.start == 1:
                    parts.append(self._impossible())
                else:  # one by one
                    waiting += [slice(i, i + 1) for i in reversed(range(at.start, at.stop))]
                continue
            parts.append(Points(log_density=found.log_density, mean=found.mean, root=found.root))
            basis_beta = self._basis_beta(found.mean, found.root, rng)
            beta[at] = anchor.beta0 + basis_beta @ anchor.x_basis.T
            for f, effects in enumerate(_effects(found, basis_beta, rng)):
                b[f][at] = effects @ anchor.z_bases[f].T
        joined = _joined(parts)
        return Points(
            log_density=joined.log_density, mean=joined.mean, root=joined.root, beta=beta, b=b
        )

    def draws(
        self, points: Points, phi: FloatArray, index: IntArray, rng: np.random.Generator
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Draws of beta (S, p) and b, per factor (S, J, q), at the points ``index`` of phi.

        Where effects ``are_later`` there are none of them.
        """
        if points.beta is not None and points.b is not None:
            return points.beta[index], [part[index] for part in points.b]
        kernel, anchor = self.target.kernel, self.target.kernel.products.anchor
        basis_beta = self._basis_beta(points.mean[index], points.root[index], rng)
        beta = anchor.beta0 + basis_beta @ anchor.x_basis.T
        if not kernel.products.zz or self.are_later(index.size):
            return beta, []
        if self.target.residual is not None:
            return beta, self._effects_at(phi[index], basis_beta, rng)
        coordinates = self.target.coordinates
        variances = self.target.variances(phi[index])
        sigma = coordinates.sigma(variances)
        roots = coordinates.roots(variances)
        return beta, draw_effects(
            kernel, beta=beta, sigma=sigma, roots=roots, rng=rng, patterns=self.patterns
        )

    def _effects_at(
        self, phi: FloatArray, basis_beta: FloatArray, rng: np.random.Generator
    ) -> list[FloatArray]:
        """Draw b of each factor (S, J, q) where each point has products of its own."""
        bases, parts = self.target.kernel.products.anchor.z_bases, []
        for start in range(0, phi.shape[0], self.batch):
            at = slice(start, start + self.batch)
            parts.append(_effects(collapsed(self.target, phi[at]), basis_beta[at], rng))
        return [
            np.concatenate(own) @ basis.T
            for own, basis in zip(zip(*parts, strict=True), bases, strict=True)
        ]

    def _basis_beta(
        self, mean: FloatArray, root: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        z = rng.standard_normal((*root.shape[:2], 1))
        away = solve_upper_stack(root, z)[..., 0]
        sampled = self.target.sampled
        return np.asarray(mean + (away if sampled is None else away @ sampled.free.T))


@record
class ResidualsOfDraws:
    """A kernel as a function of phi, and phi (S, d) of S draws."""

    kernel: ResidualKernel
    phi: FloatArray

    def kernel_at(self, at: slice) -> Kernel:
        """Return the kernel at some draws, one unless it ``is_stacked``."""
        if not self.kernel.is_stacked:
            return self.kernel.at(self.phi[at][0])
        return self.kernel.many(self.kernel.products.structure.factors(self.phi[at]))


def coefficients_given(
    target: Target,
    roots: Sequence[FloatArray],
    sigma: FloatArray,
    *,
    residuals: ResidualsOfDraws | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return p(beta | phi, y) at draws of phi, under Normal and flat priors of beta.

    Parameters
    ----------
    target : Target
    roots : per factor, array (S, q, q), R with R R' = Var(b), on the user's scale
    sigma : array, shape (S,)
    residuals : of a structure, whose products differ between draws; None of others

    Returns
    -------
    mean (S, p) and lower Cholesky factor (S, p, p) of the precision, in the basis of the products
    """
    kernel = target.kernel
    patterns = patterns_of(kernel) if residuals is None else None
    S, p = sigma.size, target.shift.size
    mean, factor = np.empty((S, p)), np.empty((S, p, p))
    numbers = numbers_of(kernel) if patterns is None else patterns.sums.size
    step = max(1, BATCH_NUMBERS // numbers)
    if residuals is not None:
        step = 1
        if residuals.kernel.is_stacked:
            step = max(1, BATCH_NUMBERS // max(numbers, residuals.kernel.n_numbers))
    for start in range(0, S, step):
        at = slice(start, min(start + step, S))
        Lambdas = [
            np.ascontiguousarray(basis @ root[at]) / sigma[at, None, None]
            for basis, root in zip(target.to_basis, roots, strict=True)
        ]
        if patterns is None:
            here = kernel if residuals is None else residuals.kernel_at(at)
            gram = reduce(here, Lambdas, n_batch=sigma[at].size).gram_xy
        else:
            gram = integrate(kernel, patterns, Lambdas[0]).gram_xy
        G = gram / (sigma[at] ** 2)[:, None, None]
        factor[at] = cholesky_stack(G[:, :-1, :-1] + target.precision)
        half = solve_lower_stack(factor[at], (G[:, :-1, -1] + target.shift)[..., None])
        mean[at] = solve_upper_stack(factor[at], half)[..., 0]
    return mean, factor


def _joined(parts: list[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    return Points(
        log_density=np.concatenate([part.log_density for part in parts]),
        mean=np.concatenate([part.mean for part in parts]),
        root=np.concatenate([part.root for part in parts]),
    )


def _effects(at: Collapsed, beta: FloatArray, rng: np.random.Generator) -> list[FloatArray]:
    """Draw b of each factor (T, J, q) given beta (T, p) and phi, in the basis of the products."""
    assert isinstance(at.reduced, Reduced)
    factor = at.reduced.factor
    if factor is None:
        return []
    weights = np.concatenate([-beta, np.ones((beta.shape[0], 1))], axis=1)
    right = []
    for half in at.reduced.half:
        noise = at.sigma[:, None, None] * rng.standard_normal(half.shape[:3])
        right.append((np.einsum("tjqc,tc->tjq", half, weights) + noise)[..., None])
    spherical = factor.back_solve(right)
    return [times(L, u)[..., 0] for L, u in zip(at.Lambdas, spherical, strict=True)]


def numbers_of(kernel: Kernel) -> int:
    """Numbers that an evaluation of one phi holds."""
    products = kernel.products
    c = products.xy.size + 1
    levels = sum(A.shape[0] * A.shape[1] * (A.shape[1] + c) for A in products.zz)
    rest = sum(A.shape[0] * A.shape[1] for A in products.zz[1:])
    dense = 0 if kernel.pattern.name == "nested" else rest**2
    return levels + dense + c**2
