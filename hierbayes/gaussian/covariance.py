"""theta <-> Lambda <-> sds and correlations: the only place that knows the packing.

The random effects of one level of factor f are b = Lambda_f u with u ~ N(0, sigma^2 I), so
Var(b) = sigma^2 Lambda_f Lambda_f'. Lambda_f (q, q) is lower triangular and, within it, each
covariance term has a full triangle over its own columns; entries between terms are zero by design.
theta holds the triangles column by column, terms in lme4's order. A term with a structure of its
own (``structures.py``) has the parameters of the structure in theta and a root that need not be
triangular.

Any lower triangle with the same Lambda Lambda' is the same model; ``rectified`` picks lme4's, the
one with a non-negative diagonal.

Source: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sections 2.2 and 3.3.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.structures import Covariance, Searched, off_right_angle
from hierbayes.linalg.tiny import is_tiny, triangle_of_one

type Structure = Covariance | Searched

# A diagonal entry of a triangle this small against the rest of its row is a rounding remainder
# of an exact zero: |t| enters the criterion squared, so 1e-9 moves it by less than 1e-16.
ZERO = 1e-9
# Part of the numbers added up to a row of a triangle that is their rounding, not a variance.
ROUNDED = 1e-15
AT_END = 1e-6  # part of the least that a scale may have above which it counts as off it


@record(kw_only=False)
class CovarianceShape:
    """Which entries of which Lambda are free.

    Attributes
    ----------
    sizes : number of columns q of each grouping factor
    terms : per covariance term, in lme4's order, its factor and the columns of that factor
    covariances : per covariance term its structure, None for a full triangle; empty where all are
    """

    sizes: tuple[int, ...]
    terms: tuple[tuple[int, tuple[int, ...]], ...]
    covariances: tuple[Structure | None, ...] = ()

    @cached_property
    def is_plain(self) -> bool:
        """Whether every term has a full triangle, so that entries of Lambda are parameters."""
        return all(covariance is None for covariance in self.covariances)

    @cached_property
    def structures(self) -> tuple[Structure | None, ...]:
        """Per covariance term its structure, or None."""
        return self.covariances or (None,) * len(self.terms)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Per covariance term its part of theta."""
        sizes = [
            len(columns) * (len(columns) + 1) // 2 if own is None else own.is_scale.size
            for (_, columns), own in zip(self.terms, self.structures, strict=True)
        ]
        ends = np.cumsum([0, *sizes]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @cached_property
    def structured(self) -> tuple[tuple[int, Structure, slice], ...]:
        """Terms with a structure of their own: position, structure and part of theta."""
        return tuple(
            (i, own, part)
            for i, (own, part) in enumerate(zip(self.structures, self.slices, strict=True))
            if own is not None
        )

    @cached_property
    def entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """Factor, row and column of each entry of theta, three arrays of shape (k,).

        Of a shape all of whose terms have full triangles.
        """
        assert self.is_plain
        table = np.empty((3, self.n_theta), dtype=np.intp)
        for factor, (at, row, column) in enumerate(self.factor_entries):
            table[:, at] = np.stack([np.full_like(at, factor), row, column])
        return table[0], table[1], table[2]

    @cached_property
    def factor_entries(self) -> tuple[tuple[IntArray, IntArray, IntArray], ...]:
        """Per factor the entries of its full triangles: positions in theta, rows, columns."""
        found: list[list[tuple[int, int, int]]] = [[] for _ in self.sizes]
        for (factor, columns), own, part in zip(
            self.terms, self.structures, self.slices, strict=True
        ):
            if own is None:
                places = [(r, c) for i, c in enumerate(columns) for r in columns[i:]]
                found[factor] += [(part.start + i, r, c) for i, (r, c) in enumerate(places)]
        tables = [np.array(triples, dtype=np.intp).reshape(-1, 3).T for triples in found]
        return tuple((table[0], table[1], table[2]) for table in tables)

    @cached_property
    def blocks(self) -> tuple[tuple[int, tuple[IntArray, IntArray]], ...]:
        """Per covariance term its factor, and the places of its block in Lambda of that factor."""
        found = []
        for factor, columns in self.terms:
            at = np.array(columns, dtype=np.intp)
            found.append((factor, (at[:, None], at)))
        return tuple(found)

    @cached_property
    def triangles(self) -> tuple[tuple[int, tuple[IntArray, IntArray]], ...]:
        """``blocks`` of the terms with a full triangle."""
        pairs = zip(self.blocks, self.structures, strict=True)
        return tuple(block for block, own in pairs if own is None)

    @cached_property
    def entry_pairs(self) -> tuple[FloatArray, ...]:
        """Per factor (k_f, q q): the places of Var(b) that an entry of the covariance stands in."""
        found = []
        for q, (at, row, column) in zip(self.sizes, self.factor_entries, strict=True):
            S = np.zeros((at.size, q * q))
            S[np.arange(at.size), row * q + column] = 1.0
            S[np.arange(at.size), column * q + row] = 1.0
            found.append(S)
        return tuple(found)

    @cached_property
    def column_pairs(self) -> tuple[tuple[IntArray, IntArray, IntArray, IntArray], ...]:
        """Per factor the pairs of entries in one column: two places in theta, and their rows."""
        found = []
        for at, row, column in self.factor_entries:
            first, second = np.nonzero(column[:, None] == column)
            found.append((at[first], at[second], row[first], row[second]))
        return tuple(found)

    @cached_property
    def entry_order(self) -> tuple[IntArray, ...]:
        """Per factor the places of its entries in Lambda.ravel(), in the order of theta."""
        triples = zip(self.sizes, self.factor_entries, strict=True)
        return tuple((row * q + column)[np.argsort(at)] for q, (at, row, column) in triples)

    @cached_property
    def n_theta(self) -> int:
        """Number of parameters k."""
        return self.slices[-1].stop if self.slices else 0

    @cached_property
    def is_diagonal(self) -> BoolArray:
        """Which parameters are scales, shape (k,): entries on a diagonal, and those of structures.

        Their sign does not matter, and the derivative of a criterion vanishes where they are zero.
        """
        found = np.zeros(self.n_theta, dtype=np.bool_)
        for at, row, column in self.factor_entries:
            found[at] = row == column
        for _, own, part in self.structured:
            found[part] = own.is_scale
        return found

    @cached_property
    def has_angles(self) -> bool:
        """Whether a parameter of a structure lies between bounds."""
        return bool(self.is_angle.any())

    @cached_property
    def is_angle(self) -> BoolArray:
        """Which are angles of a parameter between bounds, shape (k,); see ``structures.py``."""
        found = np.zeros(self.n_theta, dtype=np.bool_)
        for _, own, part in self.structured:
            if isinstance(own, Searched):
                found[part] = own.is_angle
        return found

    @cached_property
    def is_positive(self) -> BoolArray:
        """Which scales must not be negative, shape (k,): one of several in a structure.

        With a negative one the covariance may be none of the structure, and where it is zero the
        derivative need not vanish.
        """
        found = np.zeros(self.n_theta, dtype=np.bool_)
        for _, own, part in self.structured:
            found[part] = own.is_scale & (own.is_scale.sum() > 1)
        return found

    @cached_property
    def has_positive(self) -> bool:
        """Whether some scales must not be negative."""
        return bool(self.is_positive.any())

    def room(self, x: FloatArray, least: float) -> tuple[FloatArray, BoolArray] | None:
        """How far x (T, k) are above ``least`` where they must be, and which are there, or None."""
        if not self.has_positive:
            return None
        room = np.where(self.is_positive, x - least, np.inf)
        at_end = room <= AT_END * least  # a step cut short at an end is there but for rounding
        return np.where(at_end, 0.0, room), at_end

    def unpack(self, theta: FloatArray) -> list[FloatArray]:
        """Lambda of each factor, shape (T, q, q), from theta of shape (T, k)."""
        found = []
        for q, (at, row, column) in zip(self.sizes, self.factor_entries, strict=True):
            Lambda = np.zeros((theta.shape[0], q, q))
            Lambda[:, row, column] = theta[:, at]
            found.append(Lambda)
        for i, own, part in self.structured:
            factor, (rows, columns) = self.blocks[i]
            found[factor][:, rows, columns] = own.root(theta[:, part])
        return found

    def slopes(self, theta: FloatArray) -> list[FloatArray]:
        """Return the derivative of the Lambda of each factor in theta (T, k), (T, k, q, q)."""
        found = []
        for q, (at, row, column) in zip(self.sizes, self.factor_entries, strict=True):
            slope = np.zeros((*theta.shape, q, q))
            slope[:, at, row, column] = 1.0
            found.append(slope)
        for i, own, part in self.structured:
            factor, (rows, columns) = self.blocks[i]
            found[factor][:, part, rows, columns] = own.slope(theta[:, part])
        return found

    def triangle_of_term(self, Lambdas: Sequence[FloatArray], term: int) -> FloatArray:
        """Lower triangle (q, q) of one term from the Lambda of each factor at one theta."""
        factor, at = self.blocks[term]
        root = Lambdas[factor][0][at]
        return root if self.structures[term] is None else lower_triangle(root)

    def lambda_entries(self, theta: FloatArray) -> FloatArray:
        """Entries of the triangles of Lambda, lme4's theta, from parameters (k,).

        Of a structure those that can differ; of full triangles the parameters themselves.
        """
        if self.is_plain:
            return theta
        Lambdas, parts = self.unpack(theta[None]), []
        for i, (own, part) in enumerate(zip(self.structures, self.slices, strict=True)):
            if own is None:
                parts.append(theta[part])
                continue
            assert not isinstance(own, Searched)
            parts.append(own.entries(self.triangle_of_term(Lambdas, i)))
        return np.concatenate(parts)

    def pack(self, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Theta (T, k) from the Lambda of each factor (T, q, q); other entries are ignored.

        A structure takes its parameters nearest to the covariance Lambda Lambda' of its term.
        """
        theta = self.packed_triangles(Lambdas)
        for i, own, part in self.structured:
            factor, (rows, columns) = self.blocks[i]
            root = Lambdas[factor][:, rows, columns]
            theta[:, part] = own.nearest(root @ np.swapaxes(root, 1, 2))
        return theta

    def packed_triangles(self, Lambdas: Sequence[FloatArray]) -> FloatArray:
        """Theta (T, k) from the Lambda of each factor (T, q, q), zero for structures."""
        theta = np.zeros((Lambdas[0].shape[0] if Lambdas else 1, self.n_theta))
        for Lambda, (at, row, column) in zip(Lambdas, self.factor_entries, strict=True):
            theta[:, at] = Lambda[:, row, column]
        return theta

    def in_basis(self, bases: Sequence[FloatArray]) -> "CovarianceShape":
        """Return the shape whose structures are in the basis z @ basis, in a search's coordinates.

        Triangles are triangles in every basis.
        """
        if self.is_plain:
            return self
        covariances: list[Structure | None] = []
        for (factor, at), own in zip(self.blocks, self.structures, strict=True):
            assert not isinstance(own, Searched)
            covariances.append(
                None if own is None else Searched(covariance=own, basis=bases[factor][at])
            )
        return CovarianceShape(self.sizes, self.terms, tuple(covariances))

    def parameters(self, x: FloatArray) -> FloatArray:
        """Theta (T, k) with parameters of structures in place of a search's coordinates."""
        return self._converted(x, Searched.parameters)

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Undo ``parameters``."""
        return self._converted(theta, Searched.coordinates)

    def _converted(
        self, theta: FloatArray, convert: Callable[[Searched, FloatArray], FloatArray]
    ) -> FloatArray:
        if self.is_plain:
            return theta
        out = theta.copy()
        for _, own, part in self.structured:
            assert isinstance(own, Searched)
            out[:, part] = convert(own, theta[:, part])
        return out

    def above_bound(self, x: FloatArray) -> FloatArray:
        """How far scales are above zero and angles from a right one, (T, k) or (k,); else inf."""
        found = np.where(self.is_diagonal, np.abs(x), np.inf)
        return np.where(self.is_angle, np.abs(np.cos(x)), found) if self.has_angles else found

    def on_bound(self, x: FloatArray) -> FloatArray:
        """Zero for scales and the nearest right angle for angles, (T, k) or (k,)."""
        found = np.where(self.is_diagonal, 0.0, x)
        if not self.has_angles:
            return found
        return np.where(self.is_angle, np.copysign(np.pi / 2, np.sin(x)), found)

    def kept_off_bounds(self, x: FloatArray, least: float) -> FloatArray:
        """X (T, k) or (k,) with scales kept off zero and angles off a right one by ``least``."""
        near = self.is_diagonal & (np.abs(x) < least)
        out = np.where(near, np.where(x < 0, -least, least), x) if near.any() else x
        if self.has_positive:
            out = np.where(self.is_positive, np.maximum(out, least), out)
        if not self.has_angles:
            return out
        return np.where(self.is_angle, off_right_angle(x, least), out)

    def rectified(self, theta: FloatArray) -> FloatArray:
        """Return the theta (k,) of lme4's triangle for the same Lambda Lambda'."""
        if (theta[self.is_diagonal] > ZERO).all():
            return theta
        return self.transformed(theta, [np.eye(q) for q in self.sizes])

    def rectified_batch(self, theta: FloatArray) -> FloatArray:
        """Return ``rectified`` of each row of theta (T, k)."""
        if all(q == 1 for q in self.sizes) and self.is_plain:
            return np.abs(theta)
        if (theta[:, self.is_diagonal] > ZERO).all():
            return theta
        return self.transformed_batch(theta, [np.eye(q) for q in self.sizes])

    def transformed(self, theta: FloatArray, bases: Sequence[FloatArray]) -> FloatArray:
        """Theta (k,) of the covariance B Lambda Lambda' B' for one matrix B (q, q) a factor.

        B mixes columns within a covariance term only. The triangle comes from a QR factorisation
        of (B Lambda)', so a singular covariance stays exactly as singular as it was. Parameters of
        structures know no basis; only their signs are put right.
        """
        if not self.is_plain:
            return np.asarray(self.transformed_batch(theta[None], bases)[0])
        Lambdas = self.unpack(theta[None])
        out = [np.zeros_like(Lambda) for Lambda in Lambdas]
        for factor, at in self.blocks:
            basis, Lambda = bases[factor][at], Lambdas[factor][0][at]
            size = (np.abs(basis) @ np.abs(Lambda)).sum(axis=1)
            out[factor][0][at] = lower_triangle(basis @ Lambda, size=size)
        return np.asarray(self.pack(out)[0])

    def transformed_batch(self, theta: FloatArray, bases: Sequence[FloatArray]) -> FloatArray:
        """Return ``transformed`` of each row of theta (T, k), with the same bases for all."""
        Lambdas = self.unpack(theta)
        out = [np.zeros_like(Lambda) for Lambda in Lambdas]
        for (factor, at), own in zip(self.blocks, self.structures, strict=True):
            if own is None:
                basis, roots = bases[factor][at], Lambdas[factor][:, at[0], at[1]]
                size = (np.abs(basis) @ np.abs(roots)).sum(axis=2)
                out[factor][:, at[0], at[1]] = lower_triangles(basis @ roots, size=size)
        packed = self.packed_triangles(out)
        for _, own, part in self.structured:
            packed[:, part] = _rectified(own, theta[:, part])
        return packed


def _rectified(own: Structure, par: FloatArray) -> FloatArray:
    if isinstance(own, Searched):
        return own.rectified(par)
    negative = (par[:, own.is_scale] < 0).any(axis=1)
    if not negative.any():
        return par
    out, root = par.copy(), own.root(par[negative])
    out[negative] = own.nearest(root @ np.swapaxes(root, 1, 2))
    return out


@lru_cache(maxsize=256)
def shape_of(
    sizes: tuple[int, ...], terms: tuple[tuple[int, tuple[int, ...]], ...]
) -> CovarianceShape:
    """Return the shape of some sizes and terms: one object, whose index arrays are made once."""
    return CovarianceShape(sizes=sizes, terms=terms)


def lower_triangles(roots: FloatArray, *, size: FloatArray | float = 0.0) -> FloatArray:
    """Return ``lower_triangle`` of each matrix of a stack (T, q, q); ``size`` is (T, q)."""
    q = roots.shape[1]
    floor = np.broadcast_to(ROUNDED * np.asarray(size), roots.shape[:2])
    row_norm = np.sqrt((roots**2).sum(axis=2))
    L = np.zeros_like(roots)
    remaining = roots
    for j in range(q):
        norm = np.sqrt((remaining[:, j] ** 2).sum(axis=1))
        kept = (norm > ZERO * row_norm[:, j]) & (norm > floor[:, j])
        direction = np.where(kept, 1.0 / np.where(kept, norm, 1.0), 0.0)[:, None] * remaining[:, j]
        along = (remaining @ direction[:, :, None])[:, :, 0]
        L[:, j:, j] = along[:, j:]
        remaining = remaining - along[:, :, None] * direction[:, None, :]
    return L


def lower_triangle(root: FloatArray, *, size: FloatArray | float = 0.0) -> FloatArray:
    """Lower triangle L with non-negative diagonal and L L' = root root', shape (q, q).

    ``size`` (q,) is that of the numbers that were added up to each row: what is left of them by
    rounding counts as zero.

    Where a diagonal entry is zero the rest of its column is free; it is rotated into the later
    columns, so that a zero variance shows as a zero row and a perfect correlation as a zero
    diagonal entry.
    """
    if not is_tiny(root):
        return np.asarray(lower_triangles(root[None], size=size)[0])
    rows, sizes = root.tolist(), (np.zeros(root.shape[0]) + size).tolist()
    lengths = [math.hypot(*row) for row in rows]
    least = [max(ZERO * a, ROUNDED * b) for a, b in zip(lengths, sizes, strict=True)]
    return triangle_of_one(rows, least)


@record(kw_only=False)
class TermCovariance:
    """Sds (q,) and correlations (q, q) of one covariance term; NaN beside a zero sd.

    ``own`` are the parameters of its structure, scales times sigma; none of a full triangle.
    """

    sd: FloatArray
    corr: FloatArray
    own: tuple[float, ...] = ()


def term_covariances(
    shape: CovarianceShape, theta: FloatArray, sigma: float
) -> tuple[TermCovariance, ...]:
    """Sds and correlations of every covariance term, in lme4's order.

    Parameters
    ----------
    shape : CovarianceShape
    theta : array, shape (k,)
    sigma : float
        Residual sd, response units.
    """
    Lambdas = shape.unpack(theta[None])
    found = []
    for i, (factor, at) in enumerate(shape.blocks):
        root = Lambdas[factor][0][at]
        length = np.sqrt((root**2).sum(axis=1))
        unit = np.divide(
            root, length[:, None], out=np.full_like(root, np.nan), where=length[:, None] > 0
        )
        corr = np.clip(unit @ unit.T, -1.0, 1.0)
        np.fill_diagonal(corr, np.where(length > 0, 1.0, np.nan))
        own, part = shape.structures[i], theta[shape.slices[i]]
        given = () if own is None else np.where(own.is_scale, sigma * part, part).tolist()
        found.append(TermCovariance(sigma * length, corr, tuple(given)))
    return tuple(found)
