"""Sums over the rows of a level, compiled, for the two families that most models have.

    logit of a probability  sum_i y_i eta_i - n_i log(1 + exp(eta_i)) + constant
    log of Poisson's mean   sum_i y_i eta_i - exp(eta_i) + constant

The first part is linear in the effects, and needs sums of y z over rows once. In the second the
factor exp of an effect is common to all rows of a level with the same columns z, so that it is
taken once for all of them where there are few different z; and a sum of logarithms is the logarithm
of a product.

Imports numba: only samplers import it.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numba import njit
from scipy.special import gammaln

from hierbayes.arrays import FloatArray, Int64Array, IntArray, record
from hierbayes.linalg.exponentials import exponentials, logarithms

LANES = 64  # points worked on at once
SEGMENT = 16  # rows of a level whose exp is taken at once
LOG_2 = math.log(2.0)
LARGEST = 700.0  # log of the largest product whose logarithm is taken
MOST_HALVES = 1000  # factors between one and two whose product is a number
MOST_KINDS = 4  # different z of rows for which exp is taken once a level and not once a row


@record
class Moments:
    """Sums over the rows of each level of the finest factor.

    Attributes
    ----------
    value : array, shape (J, T), of log densities up to a constant
    slope : array, shape (J, T, Q), of slopes in eta times z
    curvature : array, shape (J, T, Q, Q), of curvatures in eta times z z'
    row_slope, row_weight : arrays, shape (T, n), slopes and curvatures of the rows, if wanted
    """

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray
    row_slope: FloatArray
    row_weight: FloatArray


@record
class RowSums:
    """What the sums of one model need; rows are sorted, as those of ``ChainRows``.

    Attributes
    ----------
    is_count : whether the response is a Poisson count
    y, trials, counts : arrays (n,); how often each row counts
    starts : array, shape (J,), where each level of the finest factor begins
    z : array, shape (Q, n), columns of all factors of the chain, finest first
    """

    is_count: bool
    y: FloatArray
    trials: FloatArray
    counts: FloatArray
    starts: IntArray
    z: FloatArray

    @cached_property
    def _ends(self) -> Int64Array:
        return np.append(self.starts, self.y.size).astype(np.int64)

    @cached_property
    def _constant(self) -> FloatArray:
        y, n = self.y, self.trials
        if self.is_count:
            return self._summed(-gammaln(y + 1))
        return self._summed(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))

    @cached_property
    def _slopes(self) -> FloatArray:
        """Sums of y z by level, (J, Q)."""
        return np.ascontiguousarray(self._summed((self.y * self.z).T))

    @cached_property
    def _weights(self) -> FloatArray:
        """How much each row's second part counts."""
        return self.counts if self.is_count else self.counts * self.trials

    @cached_property
    def _is_single(self) -> bool:
        """Whether each second part counts once."""
        return bool((self._weights == 1).all())

    @cached_property
    def _kinds(self) -> tuple[FloatArray, Int64Array]:
        """Different z, (K, Q), and which of them each row has; none where they are many."""
        found, at = np.unique(self.z.T, axis=0, return_inverse=True)
        few = found if found.shape[0] <= MOST_KINDS else np.empty((0, self.z.shape[0]))
        return np.ascontiguousarray(few), at.ravel().astype(np.int64)

    def _summed(self, rows: FloatArray) -> FloatArray:
        weights = self.counts.reshape(-1, *[1] * (rows.ndim - 1))
        return np.add.reduceat(rows * weights, self.starts, axis=0)

    def log_density(self, base: FloatArray, b: Sequence[FloatArray]) -> FloatArray:
        """Log density of the rows of each level of the finest factor, (J, T, M).

        Parameters
        ----------
        base : array, shape (n, T), eta without the effects of the chain
        b : per factor of the chain, finest first, effects at the finest levels (J, T, q_k, M_k)
        """
        effects = _at_every_node(b)
        kinds, kind = self._kinds
        out = np.empty((effects.shape[0], effects.shape[1], effects.shape[3]))
        _log_density(
            self.is_count,
            self._is_single,
            np.ascontiguousarray(base),
            np.ascontiguousarray(effects),
            self.z,
            kinds,
            kind,
            self.counts * self.y,
            self._weights,
            self._ends,
            self._constant,
            self._slopes,
            out,
        )
        return out

    def moments(self, base: FloatArray, b: Sequence[FloatArray], *, with_rows: bool) -> Moments:
        """Add up what a Newton step needs, at one node of effects, b (J, T, q_k, 1)."""
        effects = _at_every_node(b)[..., 0]
        J, T, Q = effects.shape
        rows = (T, base.shape[0]) if with_rows else (T, 0)
        found = Moments(
            value=np.empty((J, T)),
            slope=np.empty((J, T, Q)),
            curvature=np.empty((J, T, Q, Q)),
            row_slope=np.empty(rows),
            row_weight=np.empty(rows),
        )
        _moments(
            self.is_count,
            self._is_single,
            with_rows,
            np.ascontiguousarray(base),
            np.ascontiguousarray(effects),
            self.z,
            self.y,
            self.counts,
            self.trials,
            self._ends,
            found.value,
            found.slope,
            found.curvature,
            found.row_slope,
            found.row_weight,
        )
        return found


def _at_every_node(b: Sequence[FloatArray]) -> FloatArray:
    """Effects (J, T, q_k, M_k) of a chain at all nodes of its finest factor, (J, T, Q, M)."""
    M = b[0].shape[3]
    every = [own if own.shape[3] == M else np.repeat(own, M // own.shape[3], axis=3) for own in b]
    return np.ascontiguousarray(every[0] if len(every) == 1 else np.concatenate(every, axis=2))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log_density(  # type: ignore[no-untyped-def]
    is_count, is_single, base, effects, z, kinds, kind, wy, weights, ends, constant, slopes, out
):
    """Write the sums of ``RowSums.log_density``, for some points (lanes) at a time."""
    J, T, Q, M = effects.shape
    K = kinds.shape[0]
    width = max(SEGMENT, M) * LANES
    own, common = np.empty((Q, M * LANES)), np.empty((max(K, 1), M * LANES))
    total, product = np.empty(M * LANES), np.empty(M * LANES)
    x, e, spare = np.empty(width), np.empty(width), np.empty((2, width))
    linear = np.empty(LANES)
    for j in range(J):
        for t in range(0, T, LANES):
            L = min(LANES, T - t)
            for a in range(Q):
                for m in range(M):
                    for c in range(L):
                        own[a, m * L + c] = effects[j, t + c, a, m]
            _linear(base, own, wy, slopes, constant, ends, j, t, L, M, linear, total)
            highest = -math.inf
            for k in range(K):
                for f in range(M * L):
                    x[f] = 0.0
                for a in range(Q):
                    for f in range(M * L):
                        x[f] += kinds[k, a] * own[a, f]
                for f in range(M * L):
                    highest = max(highest, x[f])
                exponentials(x, common[k], spare, M * L)
            for f in range(M * L):
                product[f] = 1.0
            size = 0.0  # of the log of the product, at most
            for first in range(ends[j], ends[j + 1], SEGMENT):
                last = min(first + SEGMENT, ends[j + 1])
                top = -math.inf
                for i in range(first, last):
                    for c in range(L):
                        x[(i - first) * L + c] = base[i, t + c]
                        top = max(top, base[i, t + c])
                grows = (last - first) * (max(top + highest, 0.0) + LOG_2)
                is_common = K > 0 and grows < LARGEST
                if not is_common:
                    grows = (last - first) * LOG_2
                if is_single and not is_count and size + grows > LARGEST:
                    _take_logarithms(product, total, e, spare, M * L)
                    size = 0.0
                size += grows
                if is_common:
                    exponentials(x, e, spare, (last - first) * L)
                for i in range(first, last):
                    if is_common:
                        odds = e[(i - first) * L : (i - first) * L + L]
                        _add_common(
                            is_count, is_single, odds, common[kind[i]], weights[i], product, total,
                            x, spare, L, M,
                        )  # fmt: skip
                    else:
                        for m in range(M):
                            for c in range(L):
                                x[m * L + c] = base[i, t + c]
                        for a in range(Q):
                            for f in range(M * L):
                                x[f] += z[a, i] * own[a, f]
                        _add_own(
                            is_count, is_single, x, weights[i], product, total, e, spare, M * L
                        )
            if is_single and not is_count:
                _take_logarithms(product, total, e, spare, M * L)
            for c in range(L):
                for m in range(M):
                    out[j, t + c, m] = total[m * L + c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _linear(  # type: ignore[no-untyped-def]
    base, own, wy, slopes, constant, ends, j, t, L, M, linear, total
):
    """Set the totals of L points and M nodes to the part that is linear in eta."""
    for c in range(L):
        linear[c] = constant[j]
    for i in range(ends[j], ends[j + 1]):
        for c in range(L):
            linear[c] += wy[i] * base[i, t + c]
    for m in range(M):
        for c in range(L):
            total[m * L + c] = linear[c]
    for a in range(own.shape[0]):
        for f in range(M * L):
            total[f] += slopes[j, a] * own[a, f]


@njit(cache=True, nogil=True, error_model="numpy")
def _take_logarithms(product, total, logs, spare, m):  # type: ignore[no-untyped-def]
    """Take the logs of products from the totals, and begin the products again."""
    logarithms(product, logs, spare, m)
    for f in range(m):
        total[f] -= logs[f]
        product[f] = 1.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_common(  # type: ignore[no-untyped-def]
    is_count, is_single, odds, common, weight, product, total, x, spare, L, M
):
    """Add a row whose exp(eta) is a product of its own odds (L,) and those of a kind (M, L)."""
    if is_count:
        for m in range(M):
            for c in range(L):
                total[m * L + c] -= weight * odds[c] * common[m * L + c]
    elif is_single:
        for m in range(M):
            for c in range(L):
                product[m * L + c] *= 1.0 + odds[c] * common[m * L + c]
    else:
        for m in range(M):
            for c in range(L):
                x[m * L + c] = 1.0 + odds[c] * common[m * L + c]
        logarithms(x, x, spare, M * L)
        for f in range(M * L):
            total[f] -= weight * x[f]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_own(  # type: ignore[no-untyped-def]
    is_count, is_single, eta, weight, product, total, e, spare, m
):
    """Add a row with its own eta at each of m points and nodes, as large as it may be."""
    if not is_count:
        for f in range(m):
            total[f] -= weight * max(eta[f], 0.0)
            eta[f] = -abs(eta[f])
    exponentials(eta, e, spare, m)
    if is_count:
        for f in range(m):
            total[f] -= weight * e[f]
    elif is_single:
        for f in range(m):
            product[f] *= 1.0 + e[f]
    else:
        for f in range(m):
            e[f] += 1.0
        logarithms(e, e, spare, m)
        for f in range(m):
            total[f] -= weight * e[f]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _moments(  # type: ignore[no-untyped-def]
    is_count,
    is_single,
    with_rows,
    base,
    effects,
    z,
    y,
    counts,
    trials,
    ends,
    value,
    slope,
    curvature,
    row_slope,
    row_weight,
):
    """Write the sums of ``RowSums.moments``, for some points (lanes) at a time."""
    J, T, Q = effects.shape
    own, first = np.empty((Q, LANES)), np.empty((Q, LANES))
    second = np.empty((Q * (Q + 1) // 2, LANES))
    eta, e, spare = np.empty(LANES), np.empty(LANES), np.empty((2, LANES))
    total, product = np.empty(LANES), np.empty(LANES)
    pull, weight = np.empty(LANES), np.empty(LANES)
    for j in range(J):
        for t in range(0, T, LANES):
            L = min(LANES, T - t)
            for a in range(Q):
                for c in range(L):
                    own[a, c] = effects[j, t + c, a]
            first[:], second[:], total[:], product[:] = 0.0, 0.0, 0.0, 1.0
            factors = 0
            for i in range(ends[j], ends[j + 1]):
                for c in range(L):
                    eta[c] = base[i, t + c]
                for a in range(Q):
                    for c in range(L):
                        eta[c] += z[a, i] * own[a, c]
                if is_count:
                    exponentials(eta, weight, spare, L)
                    for c in range(L):
                        pull[c] = y[i] - weight[c]
                        total[c] += counts[i] * (y[i] * eta[c] - weight[c])
                else:
                    for c in range(L):
                        total[c] += counts[i] * (y[i] * eta[c] - trials[i] * max(eta[c], 0.0))
                        pull[c] = -abs(eta[c])
                    exponentials(pull, e, spare, L)
                    for c in range(L):
                        share = 1.0 / (1.0 + e[c])
                        mean = share if eta[c] > 0 else e[c] * share
                        pull[c] = y[i] - trials[i] * mean
                        weight[c] = trials[i] * e[c] * share * share
                    if is_single:
                        for c in range(L):
                            product[c] *= 1.0 + e[c]
                        factors += 1
                        if factors == MOST_HALVES:
                            _take_logarithms(product, total, e, spare, L)
                            factors = 0
                    else:
                        for c in range(L):
                            e[c] += 1.0
                        logarithms(e, e, spare, L)
                        for c in range(L):
                            total[c] -= counts[i] * trials[i] * e[c]
                if with_rows:
                    for c in range(L):
                        row_slope[t + c, i], row_weight[t + c, i] = pull[c], weight[c]
                place = 0
                for a in range(Q):
                    scale = counts[i] * z[a, i]
                    for c in range(L):
                        first[a, c] += scale * pull[c]
                    for b in range(a + 1):
                        both = scale * z[b, i]
                        for c in range(L):
                            second[place, c] += both * weight[c]
                        place += 1
            _take_logarithms(product, total, e, spare, L)
            for c in range(L):
                value[j, t + c] = total[c]
                place = 0
                for a in range(Q):
                    slope[j, t + c, a] = first[a, c]
                    for b in range(a + 1):
                        curvature[j, t + c, a, b] = curvature[j, t + c, b, a] = second[place, c]
                        place += 1
