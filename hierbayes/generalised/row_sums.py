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

SEGMENT = 16  # factors of a product, whose logarithm is taken then
# Largest eta for which exp is taken: 16 times 40 is less than 709; beyond, log(1 + exp(eta)) is eta
# in every digit.
LARGEST = 40.0
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


@njit(cache=True, nogil=True, error_model="numpy")
def _log_density(  # type: ignore[no-untyped-def]
    is_count, is_single, base, effects, z, kinds, kind, wy, weights, ends, constant, slopes, out
):
    J, T, Q, M = effects.shape
    K = kinds.shape[0]
    common, product = np.empty((max(K, 1), M)), np.empty(M)
    odds = np.empty(np.diff(ends).max())
    for j in range(J):
        first, last = ends[j], ends[j + 1]
        for t in range(T):
            linear, top = constant[j], -np.inf
            for i in range(first, last):
                linear += wy[i] * base[i, t]
                top = max(top, base[i, t])
            highest = -np.inf
            for m in range(M):
                total = linear
                for a in range(Q):
                    total += slopes[j, a] * effects[j, t, a, m]
                out[j, t, m] = total
                product[m] = 1.0
            for k in range(K):
                for m in range(M):
                    own = 0.0
                    for a in range(Q):
                        own += kinds[k, a] * effects[j, t, a, m]
                    highest = max(highest, own)
                    common[k, m] = math.exp(own)
            if K > 0 and top + highest < LARGEST:
                for i in range(first, last):
                    odds[i - first] = math.exp(base[i, t])
                for m in range(M):
                    out[j, t, m] -= _second_part(
                        is_count, is_single, odds, common[:, m], kind, weights, first, last
                    )
                continue
            factors = 0
            for i in range(first, last):
                factors += 1
                for m in range(M):
                    eta = base[i, t]
                    for a in range(Q):
                        eta += z[a, i] * effects[j, t, a, m]
                    if is_count:
                        out[j, t, m] -= weights[i] * math.exp(eta)
                    elif eta > LARGEST:
                        out[j, t, m] -= weights[i] * eta
                    elif is_single:
                        product[m] *= 1.0 + math.exp(eta)
                    else:
                        out[j, t, m] -= weights[i] * math.log(1.0 + math.exp(eta))
                if is_single and (factors == SEGMENT or i == last - 1):
                    for m in range(M):
                        out[j, t, m] -= math.log(product[m])
                        product[m] = 1.0
                    factors = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _second_part(  # type: ignore[no-untyped-def]
    is_count, is_single, odds, common, kind, weights, first, last
):
    """Sum of n log(1 + exp(eta)) or exp(eta) where exp(eta) is a product."""
    total = 0.0
    if is_count:
        for i in range(first, last):
            total += weights[i] * odds[i - first] * common[kind[i]]
    elif not is_single:
        for i in range(first, last):
            total += weights[i] * math.log(1.0 + odds[i - first] * common[kind[i]])
    else:
        for start in range(first, last, SEGMENT):
            product = 1.0
            for i in range(start, min(start + SEGMENT, last)):
                product *= 1.0 + odds[i - first] * common[kind[i]]
            total += math.log(product)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
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
    J, T, Q = effects.shape
    for j in range(J):
        for t in range(T):
            total, product, factors = 0.0, 1.0, 0
            for a in range(Q):
                slope[j, t, a] = 0.0
                for b in range(Q):
                    curvature[j, t, a, b] = 0.0
            for i in range(ends[j], ends[j + 1]):
                eta = base[i, t]
                for a in range(Q):
                    eta += z[a, i] * effects[j, t, a]
                if is_count:
                    weight = math.exp(eta)
                    pull = y[i] - weight
                    total += counts[i] * (y[i] * eta - weight)
                else:
                    small = math.exp(-abs(eta))
                    share = 1.0 / (1.0 + small)
                    mean = share if eta > 0 else small * share
                    pull, weight = y[i] - trials[i] * mean, trials[i] * small * share * share
                    total += counts[i] * (y[i] * eta - trials[i] * max(eta, 0.0))
                    if is_single:
                        product *= 1.0 + small
                        factors += 1
                        if factors == SEGMENT:
                            total -= math.log(product)
                            product, factors = 1.0, 0
                    else:
                        total -= counts[i] * trials[i] * math.log(1.0 + small)
                if with_rows:
                    row_slope[t, i], row_weight[t, i] = pull, weight
                for a in range(Q):
                    own = counts[i] * z[a, i]
                    slope[j, t, a] += own * pull
                    for b in range(a + 1):
                        curvature[j, t, a, b] += own * z[b, i] * weight
            value[j, t] = total - math.log(product)
            for a in range(Q):
                for b in range(a):
                    curvature[j, t, b, a] = curvature[j, t, a, b]
