"""Unconstrained coordinates phi of the variance parameters of a model.

phi holds, in this order, the log sds of all columns of all factors, per covariance term the
inverse hyperbolic tangents of its canonical partial correlations (row by row of the triangle), and
log sigma unless sigma is known. The covariance of a term is S R R' S with S the diagonal of its
sds and R the Cholesky factor of its correlation matrix,

    R_ij = z_ij sqrt(1 - sum_{k<j} R_ik^2) for j < i,    R_ii the remainder,

for which Lewandowski, Kurowicka & Joe's density of the correlation matrix makes the z_ij
independent, (z_ij + 1) / 2 ~ Beta(a, a) with a = eta + (q - 1 - j) / 2 for column j = 1, 2, ...

A term with a structure of its own (``gaussian/structures.py``) has the coordinates of the structure
in place of its log sds and partial correlations.

Source: Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100:1989.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.patterned import Patterned
from hierbayes.gaussian.residual.correlation import correlation_root
from hierbayes.gaussian.structures import Covariance, Searched, middle_and_half
from hierbayes.priors.model_priors import ModelPriors

# A correlation is started no nearer to its bounds than this part of the way to them.
INSIDE = 0.99


@record(kw_only=False)
class Coordinates:
    """Layout of phi for one covariance shape.

    Attributes
    ----------
    shape : the covariance shape of the design
    sigma_known : whether phi ends without log sigma
    """

    shape: CovarianceShape
    sigma_known: bool

    @cached_property
    def sd_starts(self) -> IntArray:
        """Where the log sds of each factor begin; the last entry is their number."""
        sizes = [columns.size for columns in self.sd_columns]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)

    @cached_property
    def sd_columns(self) -> tuple[IntArray, ...]:
        """Per factor the columns whose sds are coordinates: those of no structure."""
        own = [np.ones(q, dtype=np.bool_) for q in self.shape.sizes]
        for term, _, _ in self.shape.structured:
            factor, columns = self.shape.terms[term]
            own[factor][list(columns)] = False
        return tuple(np.flatnonzero(some) for some in own)

    def free_sds[T](self, values: Sequence[Sequence[T]]) -> Sequence[Sequence[T]]:
        """Of values for all columns of each factor, those of columns whose sds are coordinates."""
        if self.shape.is_plain:
            return values
        pairs = zip(values, self.sd_columns, strict=True)
        return [[given[c] for c in columns] for given, columns in pairs]

    @cached_property
    def term_starts(self) -> IntArray:
        """Where the partial correlations of each term begin; the last entry is their end."""
        counts = [
            len(columns) * (len(columns) - 1) // 2 if own is None else own.is_scale.size
            for (_, columns), own in zip(self.shape.terms, self.shape.structures, strict=True)
        ]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp) + self.sd_starts[-1]

    @cached_property
    def structured(self) -> tuple[tuple[Covariance, slice, int], ...]:
        """Terms with a structure: it, its part of phi, and the position of the term."""
        found = []
        for term, own, _ in self.shape.structured:
            assert not isinstance(own, Searched)
            part = slice(int(self.term_starts[term]), int(self.term_starts[term + 1]))
            found.append((own, part, term))
        return tuple(found)

    @cached_property
    def scales(self) -> IntArray:
        """Positions in phi of all log sds and log scales of structures."""
        parts = [part.start + np.flatnonzero(own.is_scale) for own, part, _ in self.structured]
        return np.concatenate([np.arange(self.sd_starts[-1]), *parts])

    @property
    def size(self) -> int:
        """Number of coordinates d."""
        return int(self.term_starts[-1]) + (0 if self.sigma_known else 1)

    def sds(self, phi: FloatArray) -> list[FloatArray]:
        """Sds of each factor that are coordinates, arrays (T, q), from phi (T, d)."""
        return [
            np.exp(phi[:, a:b])
            for a, b in zip(self.sd_starts[:-1], self.sd_starts[1:], strict=True)
        ]

    def sigma(self, phi: FloatArray) -> FloatArray:
        """Residual sd, shape (T,); 1 where it is known."""
        return np.ones(phi.shape[0]) if self.sigma_known else np.exp(phi[:, -1])

    def correlation_root(self, phi: FloatArray, term: int) -> FloatArray:
        """Cholesky factor R of the correlation matrix of a term, shape (T, q, q)."""
        a, b = self.term_starts[term], self.term_starts[term + 1]
        return correlation_root(np.tanh(phi[:, a:b]), len(self.shape.terms[term][1]))

    def roots(self, phi: FloatArray) -> list[FloatArray]:
        """Root of Var(b) of each factor, lower triangles (T, q, q), response units."""
        sds = self.sds(phi)
        if not self.shape.is_plain:
            sds = [
                _widened(sd, at, q)
                for sd, at, q in zip(sds, self.sd_columns, self.shape.sizes, strict=True)
            ]
        roots = [np.zeros((*sd.shape, sd.shape[1]), dtype=phi.dtype) for sd in sds]
        for own, part, term in self.structured:
            factor, columns = self.shape.terms[term]
            at = np.array(columns)
            root = own.root(own.from_unconstrained(phi[:, part]))
            roots[factor][:, at[:, None], at[None, :]] = root
        for term, (factor, columns) in enumerate(self.shape.terms):
            if self.shape.structures[term] is not None:
                continue
            at = np.array(columns)
            R = self.correlation_root(phi, term)
            roots[factor][:, at[:, None], at[None, :]] = sds[factor][:, at, None] * R
        return roots

    def phi(
        self, sds: Sequence[FloatArray], roots: Sequence[FloatArray], sigma: float
    ) -> FloatArray:
        """Phi (d,) from sds (q,) of each factor, correlation roots (q, q) of each term, sigma."""
        parts = [np.log(sd[at]) for sd, at in zip(sds, self.sd_columns, strict=True)]
        structures = zip(self.shape.structures, self.shape.terms, strict=True)
        for R, (own, (factor, columns)) in zip(roots, structures, strict=True):
            if own is not None:
                root = sds[factor][list(columns), None] * R
                assert not isinstance(own, Searched)
                par = own.nearest((root @ root.T)[None])
                bounded, middle, half = middle_and_half(own.is_scale, own.bounds)
                away = np.clip(par[:, bounded] - middle, -INSIDE * half, INSIDE * half)
                par[:, bounded] = middle + away
                parts.append(own.to_unconstrained(par)[0])
                continue
            parts.extend(
                np.arctanh(R[i, :i] / np.sqrt(1 - np.append(0, np.cumsum(R[i, :i] ** 2))[:-1]))
                for i in range(1, R.shape[0])
            )
        if not self.sigma_known:
            parts.append(np.array([np.log(sigma)]))
        return np.concatenate(parts)

    def log_lkj(self, phi: FloatArray, etas: Sequence[float | None]) -> FloatArray:
        """Log density of all correlations in these coordinates, Jacobian included, shape (T,)."""
        total = np.zeros(phi.shape[0])
        for part, size, eta in self._with_lkj(etas):
            total += log_lkj(phi[:, part], size, eta)
        return total

    def log_lkj_slope(self, phi: FloatArray, etas: Sequence[float | None]) -> FloatArray:
        """Return the derivative of ``log_lkj`` in phi, shape (T, d)."""
        out = np.zeros_like(phi)
        for part, size, eta in self._with_lkj(etas):
            out[:, part] = log_lkj_slope(phi[:, part], size, eta)
        return out

    def _with_lkj(self, etas: Sequence[float | None]) -> list[tuple[slice, int, float]]:
        """Part of phi, number of columns and eta of each term whose correlations have a prior."""
        return [
            (slice(*self.term_starts[term : term + 2]), len(self.shape.terms[term][1]), eta)
            for term, eta in enumerate(etas)
            if eta is not None and self.shape.structures[term] is None
        ]


def log_lkj(phi: FloatArray, size: int, eta: float) -> FloatArray:
    """Log density of correlations of ``size`` columns in coordinates (T, size (size - 1) / 2)."""
    from scipy.special import betaln

    shapes = beta_shapes(size, eta)
    # dz = (1 - z^2) dphi, and log(1 - tanh^2) = 2 (log 2 - |phi| - log(1 + e^-2|phi|))
    away = np.abs(phi)
    log_rest = 2 * (np.log(2) - away - np.log1p(np.exp(-2 * away)))
    constant = betaln(shapes, shapes) + (2 * shapes - 1) * np.log(2)
    return np.asarray((shapes * log_rest - constant).sum(axis=1))


def log_lkj_slope(phi: FloatArray, size: int, eta: float) -> FloatArray:
    """Return the derivative of ``log_lkj`` in phi, of its shape."""
    return np.asarray(-2 * beta_shapes(size, eta) * np.tanh(phi))


def coordinates_of(shape: CovarianceShape, priors: ModelPriors, sigma_known: bool) -> Coordinates:
    """Return the coordinates of a shape, patterns between the ends that their priors have."""
    covariances = list(shape.structures)
    for term, own, _ in shape.structured:
        laws = priors.patterns[term]
        ends = tuple(law.bounds() for law in laws if law is not None)
        if isinstance(own, Patterned) and not np.array_equal(ends, own.correlation_bounds):
            covariances[term] = replace(own, within=ends)
    if covariances != list(shape.structures):
        shape = replace(shape, covariances=tuple(covariances))
    return Coordinates(shape, sigma_known)


def _widened(sd: FloatArray, columns: IntArray, size: int) -> FloatArray:
    """Sds (T, q) from those of some columns; zero elsewhere."""
    wide = np.zeros((sd.shape[0], size), dtype=sd.dtype)
    wide[:, columns] = sd
    return wide


def beta_shapes(q: int, eta: float) -> FloatArray:
    """Beta parameter of each partial correlation, by rows of the triangle, (q (q - 1) / 2,)."""
    return np.array([eta + (q - 2 - j) / 2 for i in range(1, q) for j in range(i)], dtype=float)
