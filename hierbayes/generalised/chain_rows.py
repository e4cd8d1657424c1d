"""Rows of a generalised model, laid out so that levels of grouping factors can be integrated out.

    y | b ~ family(eta, phi),   eta = X beta + sum_f Z_f Lambda_f u_f + offset,   u ~ N(0, I).

Some factors make a *chain*, finest first: each level of one belongs to one level of the next. Their
effects are integrated out, level by level. Effects of the other factors are *kept*. Rows are sorted
by the chain, so that the rows and levels of each level follow each other and a sum over them adds
contiguous pieces; equal rows of a level are one row with a count.

Arrays of rows are (n, T, M) for T points and M nodes of the chain's effects. Those of factor k of
the chain have nodes for each of those of the factors above it, (J_k, T, q_k, M_k) with
M_k = M_(k+1) N_k, the factor's own N_k last.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, Int64Array, IntArray, record
from hierbayes.families.family import Mean
from hierbayes.families.mean_ends import has_mean
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.kept_pattern import KeptPattern
from hierbayes.generalised.predictor import Predictor, predictor
from hierbayes.generalised.row_sums import Moments, RowSums

AT_ONCE = 2**18  # numbers that are worked on together: what stays in a cache
STREAMED = 2**21  # the same where sums over rows are compiled, which leave few numbers
# Numbers and points of each part that one thread works on, at least.
PARTS, WORTH_A_THREAD, LEAST = 4, 2**16, 16


@record
class Points:
    """Parameters in the basis of the model, T of them.

    Attributes
    ----------
    base : eta without the effects of the chain
    Lambdas : per factor of the model, array (T, q, q), square roots that need not be triangular
    phi : array, shape (T, d), coordinates of the further parameters
    """

    base: Predictor
    Lambdas: tuple[FloatArray, ...]
    phi: FloatArray

    @property
    def size(self) -> int:
        """Number of points T."""
        return int(self.base.beta.shape[1])

    def some(self, at: IntArray | BoolArray | slice) -> "Points":
        """Return some of the points."""
        Lambdas = tuple(Lambda[at] for Lambda in self.Lambdas)
        return Points(base=self.base.some(at), Lambdas=Lambdas, phi=self.phi[at])


@record
class ChainRows:
    """The rows of a model, those of a level together.

    Attributes
    ----------
    model : the rows, sorted, equal ones once
    chain : factors that are integrated out, finest first
    kept : the other factors
    codes : per factor of the chain, array (n,), which of its levels, in the order of the rows
    labels : per factor of the chain, array (J,), the level's place in the factor
    counts : array, shape (n,), how many rows each stands for; None where each is one
    """

    model: Conditional
    chain: tuple[int, ...]
    kept: tuple[int, ...]
    codes: tuple[IntArray, ...]
    labels: tuple[IntArray, ...]
    counts: FloatArray | None

    @property
    def depth(self) -> int:
        """Number of factors of the chain."""
        return len(self.chain)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.model.y.shape[0])

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns q of each factor of the chain."""
        return tuple(self.z(k).shape[0] for k in range(self.depth))

    @cached_property
    def kept_pattern(self) -> KeptPattern:
        """Where kept effects meet each other and the levels of the chain."""
        return KeptPattern(
            levels=self.model.levels,
            kept=self.kept,
            chain=self.chain,
            codes=self.codes,
            counts=self.counts,
        )

    @property
    def n_kept(self) -> int:
        """Number of kept effects d."""
        return self.kept_pattern.size

    def z(self, k: int) -> FloatArray:
        """Columns (q, n) of a factor of the chain."""
        return self.model.levels.z[self.chain[k]]

    @cached_property
    def _is_one(self) -> tuple[tuple[bool, ...], ...]:
        return tuple(tuple(bool((c == 1).all()) for c in self.z(k)) for k in range(self.depth))

    @cached_property
    def row_starts(self) -> tuple[IntArray, ...]:
        """Per factor of the chain, where each of its levels begins among the rows."""
        return tuple(
            np.searchsorted(codes, np.arange(labels.size))
            for codes, labels in zip(self.codes, self.labels, strict=True)
        )

    @cached_property
    def row_ends(self) -> Int64Array:
        """Where each level of the finest factor begins among the rows, and where the last ends."""
        return np.append(self.row_starts[0], self.n).astype(np.int64)

    @cached_property
    def row_counts(self) -> FloatArray:
        """How many rows each stands for, (n,)."""
        return np.ones(self.n) if self.counts is None else self.counts

    @cached_property
    def trials(self) -> FloatArray:
        """Trials of each row, (n,); one where there are none."""
        return np.ones(self.n) if self.model.trials is None else self.model.trials

    @cached_property
    def parents(self) -> dict[tuple[int, int], IntArray]:
        """For factors k < l of the chain, the level of l of each level of k."""
        D = self.depth
        return {
            (k, m): self.codes[m][self.row_starts[k]] for k in range(D) for m in range(k + 1, D)
        }

    @cached_property
    def _level_starts(self) -> dict[tuple[int, int], IntArray]:
        return {
            (k, m): np.searchsorted(up, np.arange(self.labels[m].size))
            for (k, m), up in self.parents.items()
        }

    def summed(self, rows: FloatArray, k: int = 0) -> FloatArray:
        """Add the rows of each level of a factor of the chain up, (J, ...) from (n, ...)."""
        if self.counts is not None:
            rows = rows * self.counts.reshape(-1, *[1] * (rows.ndim - 1))
        return np.add.reduceat(rows, self.row_starts[k], axis=0)

    def gathered(
        self, levels: FloatArray, k: int, m: int, *, axis: int = 0, add: np.ufunc = np.add
    ) -> FloatArray:
        """Add up levels of factor k of the chain within those of factor m."""
        if k == m:
            return levels
        return add.reduceat(levels, self._level_starts[k, m], axis=axis)

    def chunks(self, T: int, a_point: int, at_once: int = AT_ONCE) -> list[slice]:
        """Slices of T points that are worked on together, of so many numbers a point."""
        step = max(1, at_once // max(a_point, 1))
        return [slice(start, start + step) for start in range(0, T, step)]

    def parts(self, T: int, a_point: int) -> list[slice]:
        """Slices for several cores, alike in size and even in number: no core waits for long.

        None holds more than ``chunks`` would; there are no fewer than ``PARTS`` of those that are
        worth a thread.
        """
        at_once = AT_ONCE if self.sums is None else STREAMED
        worth = min(PARTS, T // LEAST, T * a_point // WORTH_A_THREAD)
        n = max(1, worth - worth % 2)
        while T * a_point > n * at_once and n < T:
            n += 2 - n % 2
        edges = [i * T // n for i in range(n + 1)] if T else []
        return [slice(start, end) for start, end in itertools.pairwise(edges)]

    def random_parts(
        self, T: int, a_point: int, rng: np.random.Generator
    ) -> list[tuple[slice, np.random.Generator]]:
        """Return ``parts`` with a generator each, so that their order does not matter."""
        chunks = self.parts(T, a_point)
        seeds = rng.integers(2**63, size=len(chunks)).tolist()
        return [(own, np.random.default_rng(seed)) for own, seed in zip(chunks, seeds, strict=True)]

    def inner(self) -> "ChainRows":
        """Return the rows without the outermost factor of the chain and without kept ones."""
        return replace(
            self, chain=self.chain[:-1], kept=(), codes=self.codes[:-1], labels=self.labels[:-1]
        )

    def without_kept(self) -> "ChainRows":
        """Return the rows without kept effects, which are in the base."""
        return replace(self, kept=()) if self.kept else self

    def base(self, beta: FloatArray) -> Predictor:
        """X beta + offset for coefficients (T, p)."""
        return predictor(self.model.X, self.model.offset, beta)

    def with_kept(self, at: Points, c: FloatArray) -> Points:
        """Put kept effects (T, d) into the base."""
        if not self.kept:
            return at
        pattern = self.kept_pattern
        effects = np.empty((pattern.size, c.shape[0]))
        for f, part, J, q in pattern.slices:
            b = c[:, part].reshape(-1, J, q) @ np.swapaxes(at.Lambdas[f], 1, 2)
            effects[part] = b.reshape(-1, J * q).T
        z, columns = pattern.entries
        return replace(at, base=at.base._replace(z=z, columns=columns, effects=effects))

    def with_outermost(self, at: Points, u: FloatArray) -> Points:
        """Put effects (J, T, q) of the outermost factor of the chain into the base."""
        own = self._rows_of(at, u[..., None], self.depth - 1)[..., 0]
        return replace(at, base=at.base.plus(own))

    @cached_property
    def sums(self) -> RowSums | None:
        """Compiled sums of the log densities, for families that have them."""
        model, family = self.model, self.model.family
        kind = family.name, family.link.name
        is_logit = kind in (("bernoulli", "logit"), ("binomial", "logit"))
        if not family.is_builtin or not (is_logit or kind == ("poisson", "log")):
            return None
        return RowSums(
            is_count=not is_logit,
            y=model.y,
            trials=self.trials,
            counts=self.row_counts,
            ends=self.row_ends,
            z=np.concatenate([self.z(k) for k in range(self.depth)]),
        )

    def columns_of(self, k: int) -> slice:
        """Place of the columns of a factor among those of the chain."""
        start = sum(self.columns[:k])
        return slice(start, start + self.columns[k])

    def _at_finest(self, levels: FloatArray, k: int) -> FloatArray:
        """Values (J_k, ...) of the levels of a factor of the chain at the finest ones."""
        return levels if k == 0 else levels[self.parents[0, k]]

    def _effects(self, at: Points, u: FloatArray, k: int) -> FloatArray:
        """Effects Lambda u (J, T, q, M) of a factor of the chain."""
        Lambda = at.Lambdas[self.chain[k]]
        return np.asarray(Lambda * u if u.shape[2] == 1 else Lambda @ u)

    def _rows_of(self, at: Points, u: FloatArray, k: int) -> FloatArray:
        """Contribution of effects (J, T, q, M) of a factor of the chain, (n, T, M)."""
        b, total = self._effects(at, u, k), None
        for c, (z, is_one) in enumerate(zip(self.z(k), self._is_one[k], strict=True)):
            own = b[self.codes[k], :, c]
            own = own if is_one else z[:, None, None] * own
            total = own if total is None else total + own
        return np.asarray(total)

    def eta(self, at: Points, u: Sequence[FloatArray]) -> FloatArray:
        """Eta at effects of the chain, per factor (J_k, T, q_k, M_k): (n, T, M_0)."""
        total = at.base.eta()[:, :, None]
        for k in reversed(range(self.depth)):
            own = self._rows_of(at, u[k], k)
            n, T, M = own.shape
            above = total.shape[2]
            total = (total[..., None] + own.reshape(n, T, above, M // above)).reshape(n, T, M)
        return total

    def log_density(self, at: Points, u: Sequence[FloatArray]) -> FloatArray:
        """Log density of the rows of each level of the finest factor, (J_0, T, M_0)."""
        if self.sums is not None:
            b = [self._at_finest(self._effects(at, own, k), k) for k, own in enumerate(u)]
            found = self.sums.log_density(at.base, b)
            return np.where(np.isfinite(found), found, -np.inf)
        T, M = u[0].shape[1], u[0].shape[3]
        out = np.empty((self.labels[0].size, T, M))
        for part in self.chunks(T, self.n * M):
            out[:, part] = self._by_rows(at.some(part), [own[:, part] for own in u])
        return out

    def _by_rows(self, at: Points, u: Sequence[FloatArray]) -> FloatArray:
        """Do the same by the density of each row."""
        family, eta = self.model.family, self.eta(at, u)
        with np.errstate(all="ignore"):
            values = family.log_density(  # type: ignore[misc]
                _rows(self.model.y), Mean(eta=eta, link=family.link), self.model.given(at.phi)
            )
        possible = np.isfinite(values) & has_mean(family, eta)
        if not possible.all():
            values = np.where(possible, values, -np.inf)
        return self.summed(values)

    def moments(self, at: Points, u: Sequence[FloatArray]) -> Moments:
        """Add up what a step needs of the rows of each finest level, at effects (J_k, T, q_k).

        Values are up to a constant of the data, curvatures are not less than zero, and what is
        wanted of single rows is what kept effects need.
        """
        wide = [own[..., None] for own in u]
        if self.sums is not None:
            effects = [self._at_finest(self._effects(at, own, k), k) for k, own in enumerate(wide)]
            return self.sums.moments(at.base, effects, with_rows=bool(self.kept))
        value, slope, weight = self.model.second_order(self.eta(at, wide)[..., 0], at.phi)
        z = np.concatenate([self.z(k) for k in range(self.depth)])
        own = self.summed(value)
        curvature = np.empty((*own.shape, z.shape[0], z.shape[0]))
        for a, left in enumerate(z):
            for b, right in enumerate(z[: a + 1]):
                sums = self.summed((left * right)[:, None] * weight)
                curvature[:, :, a, b] = curvature[:, :, b, a] = sums
        return Moments(
            value=own,
            slope=self.sums_of(slope),
            curvature=curvature,
            row_slope=slope,
            row_weight=weight,
        )

    def sums_of(self, slope: FloatArray) -> FloatArray:
        """Add slopes (n, T) times the columns of the chain up by finest level, (J_0, T, Q)."""
        columns = [z for k in range(self.depth) for z in self.z(k)]
        return np.stack([self.summed(z[:, None] * slope) for z in columns], axis=2)

    def third_order(self, at: Points, eta: FloatArray) -> FloatArray:
        """Third derivatives of the rows' log densities at eta (n, T); 0 where there is none."""
        given = {name: value[:, :, 0] for name, value in self.model.given(at.phi).items()}
        with np.errstate(all="ignore"):
            found = self.model.family.derivatives(self.model.y[:, None], eta, given, order=3)
        third = found.derivative(3)
        return np.where(np.isfinite(third), third, 0.0)


def _rows(values: FloatArray) -> FloatArray:
    return values[:, None, None]


def chain_rows(model: Conditional, chain: tuple[int, ...]) -> ChainRows:
    """Sort the rows of a model by the levels of a chain, and make equal ones one."""
    cells = model.cells
    cells = model.cells
    kept = tuple(f for f in range(len(cells.levels.codes)) if f not in chain)
    ordered = cells.of_rows(np.lexsort([cells.levels.codes[f] for f in chain]))
    codes, labels = [], []
    for f in chain:
        own = ordered.levels.codes[f]
        begins = np.append(True, own[1:] != own[:-1])
        codes.append(np.cumsum(begins) - 1)
        labels.append(own[begins])
    return ChainRows(
        model=ordered,
        chain=chain,
        kept=kept,
        codes=tuple(codes),
        labels=tuple(labels),
        counts=ordered.counts,
    )
