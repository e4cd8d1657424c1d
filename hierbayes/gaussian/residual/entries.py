"""Which entries the inverse of the residuals' covariance has, and the classes of equal ones.

Var(e) = sigma^2 R with R = S C S: S the relative sds exp(D gamma) of the rows, C the correlations
within series. With W the weights of the rows, an entry of R^-1 between the units a and b is

    sqrt(w_a w_b) c_kind / (s_a s_b),

where units are the rows, and for blocks of equal correlation sums over their rows of equal sd.
Entries of the same kind and the same two sds are one class: they have the same factor, whatever the
parameters are. Where the design repeats there are few classes.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.gaussian.residual.correlation import (
    Correlation,
    Exchangeable,
    Independent,
    Kinds,
    Serial,
    Unstructured,
)

MOST_ENTRIES = 30_000_000  # what a few gigabytes hold


@record
class Spread:
    """Relative sds exp(D gamma) of the rows: those of few distinct ones.

    Attributes
    ----------
    index : array, shape (n,), which of the distinct ones a row has
    D : array, shape (S, G), their rows of D
    """

    index: IntArray
    D: FloatArray

    @cached_property
    def counts(self) -> FloatArray:
        """How many rows have each, shape (S,)."""
        return np.bincount(self.index, minlength=self.D.shape[0]).astype(np.float64)


@record
class Entries:
    """The N entries of R^-1 that are not zero, those off the diagonal once.

    Attributes
    ----------
    left, right : arrays, shape (N,), two units; the rows come first
    kind : array, shape (N,), of the correlation's inverse
    block : array, shape (n,), the sum to which a row belongs besides; None without sums
    n_blocks : number of such sums
    block_row : array, shape (n_blocks,), a row of each
    """

    left: IntArray
    right: IntArray
    kind: IntArray
    block: IntArray | None = None
    n_blocks: int = 0
    block_row: IntArray | None = None


@record
class ResidualStructure:
    """R as a function of d = G + (number of correlations) coordinates.

    Attributes
    ----------
    correlation : C within series
    spread : the relative sds
    entries : of R^-1
    """

    correlation: Correlation
    spread: Spread
    entries: Entries

    @property
    def n_spreads(self) -> int:
        """Number of gammas G, the first coordinates."""
        return self.spread.D.shape[1]

    @property
    def size(self) -> int:
        """Number of coordinates d."""
        return self.n_spreads + self.correlation.size

    def factors(self, phi: FloatArray) -> "Factors":
        """Return what entries are made of, at phi (T, d)."""
        gamma, rest = phi[:, : self.n_spreads], phi[:, self.n_spreads :]
        kinds = self.correlation.kinds(rest)
        D, counts = self.spread.D, self.spread.counts
        if not self.n_spreads:
            return Factors(
                kinds=kinds,
                inverse_sd=np.ones((phi.shape[0], 1)),
                log_det=kinds.log_det,
                spread_slope=np.zeros(0),
            )
        log_sd = gamma @ D.T
        return Factors(
            kinds=kinds,
            inverse_sd=np.exp(-log_sd),
            log_det=kinds.log_det + 2 * log_sd @ counts,
            spread_slope=2 * counts @ D,
        )


@record
class Factors:
    """Factors of the entries of R^-1 at T points.

    Attributes
    ----------
    kinds : of C^-1
    inverse_sd : array, shape (T, S)
    log_det : log|R|, array (T,)
    spread_slope : array, shape (G,), its derivatives in the log sds, the same at all points
    """

    kinds: Kinds
    inverse_sd: FloatArray
    log_det: FloatArray
    spread_slope: FloatArray

    @cached_property
    def log_det_slope(self) -> FloatArray:
        """Derivatives (T, d) of log|R| in the coordinates."""
        own = np.broadcast_to(self.spread_slope, (self.log_det.size, self.spread_slope.size))
        return np.concatenate([own, self.kinds.slopes.log_det], axis=1)


def spread_of(D: FloatArray) -> Spread:
    """Return the distinct sds of rows with D (n, G)."""
    if not D.shape[1]:
        return Spread(index=np.zeros(D.shape[0], dtype=np.intp), D=np.zeros((1, 0)))
    distinct, index = np.unique(D, axis=0, return_inverse=True)
    return Spread(index=index.ravel(), D=distinct)


def independent(D: FloatArray) -> ResidualStructure:
    """Return the structure of rows of unequal sd, D (n, G), without correlations."""
    rows = np.arange(D.shape[0])
    entries = Entries(left=rows, right=rows, kind=np.zeros_like(rows))
    return ResidualStructure(correlation=Independent(), spread=spread_of(D), entries=entries)


def serial(
    series: IntArray, time: FloatArray, D: FloatArray, *, continuous: bool
) -> ResidualStructure:
    """Return r^gap within series (n,) at times (n,), no two of a series equal."""
    order = np.lexsort((time, series))
    same = series[order][1:] == series[order][:-1]
    first, second = order[:-1][same], order[1:][same]
    gaps, index = np.unique(time[second] - time[first], return_inverse=True)
    unit = float(np.median(gaps[index])) if continuous else 1.0
    rows, g = np.arange(series.size), gaps.size
    correlation = Serial(
        lower=0.0 if continuous else -1.0,
        upper=1.0,
        gaps=gaps / unit,
        counts=np.bincount(index, minlength=g).astype(np.float64),
        unit=unit,
    )
    entries = Entries(
        left=np.concatenate([rows, first, second, first]),
        right=np.concatenate([rows, first, second, second]),
        kind=np.concatenate([np.zeros_like(rows), 1 + index, 1 + index, 1 + g + index]),
    )
    return ResidualStructure(correlation=correlation, spread=spread_of(D), entries=entries)


def exchangeable(block: IntArray, D: FloatArray) -> ResidualStructure:
    """Return one correlation within blocks (n,), numbered from 0."""
    spread = spread_of(D)
    n, S = block.size, spread.D.shape[0]
    size_of = np.bincount(block)
    sizes, kind_of = np.unique(size_of, return_inverse=True)
    counts = np.bincount(kind_of, minlength=sizes.size).astype(np.float64)
    keys, first, sums = np.unique(block * S + spread.index, return_index=True, return_inverse=True)
    of_block = keys // S
    starts = np.searchsorted(of_block, np.arange(size_of.size))
    left, right = _pairs_within(np.diff(starts, append=keys.size), starts)
    rows = np.arange(n)
    correlation = Exchangeable(
        lower=-1.0 / (sizes.max() - 1), upper=1.0, sizes=sizes.astype(np.float64), counts=counts
    )
    entries = Entries(
        left=np.concatenate([rows, n + left]),
        right=np.concatenate([rows, n + right]),
        kind=np.concatenate([np.zeros_like(rows), 1 + kind_of[of_block[left]]]),
        block=sums.ravel(),
        n_blocks=keys.size,
        block_row=first,
    )
    return ResidualStructure(correlation=correlation, spread=spread, entries=entries)


def unstructured(
    series: IntArray, visit: IntArray, D: FloatArray, *, n_visits: int
) -> ResidualStructure:
    """Return a correlation of each pair of visits (n,) within series (n,), none twice."""
    order = np.lexsort((visit, series))
    counts = np.bincount(series)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    has = np.zeros((counts.size, n_visits), dtype=np.bool_)
    has[series, visit] = True
    some, of_series = np.unique(has, axis=0, return_inverse=True)
    of_series = of_series.ravel()
    patterns = tuple(np.flatnonzero(row) for row in some)
    firsts = np.cumsum([0, *(m.size * (m.size + 1) // 2 for m in patterns)])
    right, left = _pairs_within(counts, starts)  # left is the later of the two
    owner = np.repeat(np.arange(counts.size), counts * (counts + 1) // 2)
    i, j = left - starts[owner], right - starts[owner]
    correlation = Unstructured(
        n_visits=n_visits,
        patterns=patterns,
        counts=np.bincount(of_series, minlength=len(patterns)).astype(np.float64),
    )
    entries = Entries(
        left=order[left],
        right=order[right],
        kind=firsts[of_series[owner]] + i * (i + 1) // 2 + j,
    )
    return ResidualStructure(correlation=correlation, spread=spread_of(D), entries=entries)


def count_of_entries(sizes: IntArray) -> int:
    """Return how many entries series of these sizes have, each row with each."""
    m = sizes.astype(np.float64)
    return int((m * (m + 1) / 2).sum())


def _pairs_within(counts: IntArray, starts: IntArray) -> tuple[IntArray, IntArray]:
    """Places i <= j of all pairs within runs of ``counts`` places from ``starts``, run by run."""
    of_run = counts * (counts + 1) // 2
    owner = np.repeat(np.arange(counts.size), of_run)
    nth = np.arange(owner.size) - np.repeat(np.cumsum(of_run) - of_run, of_run)
    # nth = j (j + 1) / 2 + i
    j = ((np.sqrt(8.0 * nth + 1) - 1) / 2).astype(np.intp)
    j += (j + 1) * (j + 2) // 2 <= nth
    j -= j * (j + 1) // 2 > nth
    i = nth - j * (j + 1) // 2
    return starts[owner] + i, starts[owner] + j
