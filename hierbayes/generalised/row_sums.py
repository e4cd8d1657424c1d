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
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.special import gammaln

from hierbayes.arrays import FloatArray, Int64Array, record
from hierbayes.generalised.predictor import LANES, Predictor, points_of, predict
from hierbayes.linalg.exponentials import exponentials, logarithms

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
    row_slope, row_weight : arrays, shape (n, T), slopes and curvatures of the rows, if wanted
    """

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray
    row_slope: FloatArray
    row_weight: FloatArray


@record
class LevelIntegrals:
    """Integrals over the effects of each level of one factor at T points.

    Attributes
    ----------
    log_levels : array, shape (J, T)
    mean : array, shape (J, T, q), of the effects given data and parameters
    covariance : array, shape (J, T, q, q)
    """

    log_levels: FloatArray
    mean: FloatArray
    covariance: FloatArray

    @property
    def log_likelihood(self) -> FloatArray:
        """Log p(y | base, Lambda, phi), shape (T,)."""
        return self.log_levels.sum(axis=0)

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (J, T, q) and covariance (J, T, q, q) of the effects given data and parameters."""
        return self.mean, self.covariance


class _Rows(NamedTuple):
    """What compiled sums need of the rows; ``wy`` and ``weights`` count them."""

    is_count: bool
    is_single: bool
    z: FloatArray
    kinds: FloatArray
    kind: Int64Array
    wy: FloatArray
    weights: FloatArray
    ends: Int64Array
    constant: FloatArray
    slopes: FloatArray


class Room(NamedTuple):
    """Room to work in, of some points (lanes): nodes (M, LANES), rows (SEGMENT, LANES)."""

    common: FloatArray
    product: FloatArray
    x: FloatArray
    e: FloatArray
    spare: FloatArray
    linear: FloatArray
    eta: FloatArray
    odds: FloatArray


@record
class RowSums:
    """What the sums of one model need; rows are sorted, as those of ``ChainRows``.

    Attributes
    ----------
    is_count : whether the response is a Poisson count
    y, trials, counts : arrays (n,); how often each row counts
    ends : array, shape (J + 1,), where each level of the finest factor begins, and the last ends
    z : array, shape (Q, n), columns of all factors of the chain, finest first
    """

    is_count: bool
    y: FloatArray
    trials: FloatArray
    counts: FloatArray
    ends: Int64Array
    z: FloatArray

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
    def is_single(self) -> bool:
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
        return np.add.reduceat(rows * weights, self.ends[:-1], axis=0)

    def log_density(self, base: Predictor, b: Sequence[FloatArray]) -> FloatArray:
        """Log density of the rows of each level of the finest factor, (J, T, M).

        Parameters
        ----------
        base : eta without the effects of the chain
        b : per factor of the chain, finest first, effects at the finest levels (J, T, q_k, M_k)
        """
        effects = _at_every_node(b)
        out = np.empty((effects.shape[0], effects.shape[1], effects.shape[3]))
        _log_density(self.packed, base, effects, out)
        return out

    def integrals(
        self,
        base: Predictor,
        places: tuple[FloatArray, FloatArray, FloatArray],
        Lambda: FloatArray,
        rule: tuple[FloatArray, FloatArray],
    ) -> LevelIntegrals:
        """Integrate the effects of a chain of one factor, for log weights with the normal density.

        Parameters
        ----------
        base : eta without the effects of the chain
        places : centres (J, T, q), curvatures' roots L (J, T, q, q) and shifts s (J, T, q); nodes
            t are put to u = centre + L'^-1 (t - s)
        Lambda : array, shape (T, q, q)
        rule : nodes (q, M) and the logs of their weights (M,)
        """
        J, T, q = places[0].shape
        nodes = np.ascontiguousarray(rule[0]).view()
        nodes.flags.writeable = False  # always: what may be written to is compiled once more
        found = LevelIntegrals(
            log_levels=np.empty((J, T)), mean=np.empty((J, T, q)), covariance=np.empty((J, T, q, q))
        )
        _integrals(
            self.packed,
            base,
            np.ascontiguousarray(places[0]),
            np.ascontiguousarray(places[1]),
            np.ascontiguousarray(places[2]),
            np.ascontiguousarray(Lambda),
            nodes,
            np.ascontiguousarray(rule[1]),
            found.log_levels,
            found.mean,
            found.covariance,
        )
        return found

    @cached_property
    def packed(self) -> "_Rows":
        """What compiled functions take of them."""
        kinds, kind = self._kinds
        return _Rows(
            is_count=self.is_count,
            is_single=self.is_single,
            z=self.z,
            kinds=kinds,
            kind=kind,
            wy=self.counts * self.y,
            weights=self._weights,
            ends=self.ends,
            constant=self._constant,
            slopes=self._slopes,
        )

    def moments(self, base: Predictor, b: Sequence[FloatArray], *, with_rows: bool) -> Moments:
        """Add up what a Newton step needs, at one node of effects, b (J, T, q_k, 1)."""
        effects = _at_every_node(b)[..., 0]
        J, T, Q = effects.shape
        rows = (self.y.size, T) if with_rows else (0, T)
        found = Moments(
            value=np.empty((J, T)),
            slope=np.empty((J, T, Q)),
            curvature=np.empty((J, T, Q, Q)),
            row_slope=np.empty(rows),
            row_weight=np.empty(rows),
        )
        _moments(
            self.is_count,
            self.is_single,
            with_rows,
            base,
            np.ascontiguousarray(effects),
            self.z,
            self.y,
            self.counts,
            self.trials,
            self.ends,
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
def room_of(K, M):  # type: ignore[no-untyped-def]
    """Make room for K kinds of z and M nodes."""
    return Room(
        np.empty((max(K, 1), M, LANES)),
        np.empty((M, LANES)),
        np.empty((M, LANES)),
        np.empty(LANES),
        np.empty((2, LANES)),
        np.empty(LANES),
        np.empty((SEGMENT, LANES)),
        np.empty((SEGMENT, LANES)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _log_density(rows, base, effects, out):  # type: ignore[no-untyped-def]
    """Write the sums of ``RowSums.log_density``, for some points (lanes) at a time."""
    J, T, Q, M = effects.shape
    beta = np.empty((base.beta.shape[0], LANES))
    of_kept = np.empty((base.effects.shape[0], LANES))
    own, total = np.empty((Q, M, LANES)), np.empty((M, LANES))
    room = room_of(rows.kinds.shape[0], M)
    for t in range(0, T, LANES):
        L = min(LANES, T - t)
        points_of(base, t, L, beta, of_kept)
        for j in range(J):
            for a in range(Q):
                for m in range(M):
                    for c in range(L):
                        own[a, m, c] = effects[j, t + c, a, m]
            of_level(rows, base, j, t, L, beta, of_kept, own, room, total)
            for m in range(M):
                for c in range(L):
                    out[j, t + c, m] = total[m, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _integrals(  # type: ignore[no-untyped-def]
    rows, base, centre, root, shift, Lambda, nodes, log_weights, log_levels, mean, covariance
):
    """Write what ``RowSums.integrals`` finds, for some points (lanes) at a time."""
    J, T, q = centre.shape
    M = log_weights.size
    beta = np.empty((base.beta.shape[0], LANES))
    of_kept = np.empty((base.effects.shape[0], LANES))
    u, own, total = np.empty((q, M, LANES)), np.empty((q, M, LANES)), np.empty((M, LANES))
    roots, La = np.empty((q, q, LANES)), np.empty((q, q, LANES))
    at, away, top, log_det = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    moment, whole = np.empty(LANES), np.empty(LANES)
    room = room_of(rows.kinds.shape[0], M)
    for t in range(0, T, LANES):
        L = min(LANES, T - t)
        points_of(base, t, L, beta, of_kept)
        for a in range(q):
            for b in range(q):
                for c in range(L):
                    La[a, b, c] = Lambda[t + c, a, b]
        for j in range(J):
            for c in range(L):
                log_det[c] = 0.0
                for a in range(q):
                    log_det[c] += math.log(root[j, t + c, a, a])
                    for b in range(a + 1):
                        roots[a, b, c] = root[j, t + c, a, b]
            for a in range(q - 1, -1, -1):
                for c in range(L):
                    at[c], away[c] = centre[j, t + c, a], shift[j, t + c, a]
                for m in range(M):
                    node = nodes[a, m]
                    for c in range(L):
                        u[a, m, c] = node - away[c]
                    for b in range(a + 1, q):
                        for c in range(L):
                            u[a, m, c] -= roots[b, a, c] * own[b, m, c]
                    for c in range(L):  # the step, until effects take its place
                        own[a, m, c] = u[a, m, c] / roots[a, a, c]
                    for c in range(L):
                        u[a, m, c] = at[c] + own[a, m, c]
            for a in range(q):
                for m in range(M):
                    for c in range(L):
                        own[a, m, c] = 0.0
                    for b in range(q):
                        for c in range(L):
                            own[a, m, c] += La[a, b, c] * u[b, m, c]
            of_level(rows, base, j, t, L, beta, of_kept, own, room, total)
            for c in range(L):
                top[c], whole[c] = -math.inf, 0.0
            for m in range(M):
                for a in range(q):
                    for c in range(L):
                        total[m, c] -= 0.5 * u[a, m, c] ** 2
                for c in range(L):
                    total[m, c] += log_weights[m]
                    if not math.isfinite(total[m, c]):
                        total[m, c] = -math.inf
                    top[c] = max(top[c], total[m, c])
            for m in range(M):
                for c in range(L):
                    away[c] = total[m, c] - top[c]
                exponentials(away, total[m], room.spare, L)
                for c in range(L):
                    whole[c] += total[m, c]
            for c in range(L):
                log_levels[j, t + c] = top[c] + math.log(whole[c]) - log_det[c]
            for a in range(q):
                for c in range(L):
                    moment[c] = 0.0
                for m in range(M):
                    for c in range(L):
                        moment[c] += total[m, c] * u[a, m, c]
                for c in range(L):
                    mean[j, t + c, a] = at[c] = moment[c] / whole[c]
                for m in range(M):
                    for c in range(L):
                        u[a, m, c] -= at[c]
                for b in range(a + 1):
                    for c in range(L):
                        moment[c] = 0.0
                    for m in range(M):
                        for c in range(L):
                            moment[c] += total[m, c] * u[a, m, c] * u[b, m, c]
                    for c in range(L):
                        covariance[j, t + c, a, b] = moment[c] / whole[c]
                        covariance[j, t + c, b, a] = covariance[j, t + c, a, b]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def of_level(  # type: ignore[no-untyped-def]
    rows, base, j, t, L, beta, of_kept, own, room, total
):
    """Set the totals (M, L) to the log density of the rows of level j, at effects (Q, M, L)."""
    Q, M = own.shape[:2]
    K = rows.kinds.shape[0]
    is_count, is_single = rows.is_count, rows.is_single
    common, product, x, e, spare, linear, eta, odds = room
    for c in range(L):
        linear[c] = rows.constant[j]
    for m in range(M):
        for c in range(L):
            total[m, c], product[m, c] = 0.0, 1.0
        for a in range(Q):
            slope = rows.slopes[j, a]
            for c in range(L):
                total[m, c] += slope * own[a, m, c]
    highest = -math.inf
    for k in range(K):
        _at_nodes(rows.kinds[k], own, x, M, L)
        for m in range(M):
            for c in range(L):
                highest = max(highest, x[m, c])
            exponentials(x[m], common[k, m], spare, L)
    size = 0.0  # of the log of the product, at most
    for first in range(rows.ends[j], rows.ends[j + 1], SEGMENT):
        n = min(SEGMENT, rows.ends[j + 1] - first)
        top = -math.inf
        for r in range(n):
            predict(base, first + r, t, L, beta, of_kept, eta, r)
            y = rows.wy[first + r]
            for c in range(L):
                linear[c] += y * eta[r, c]
            for c in range(L):
                top = max(top, eta[r, c])
        grows = n * (max(top + highest, 0.0) + LOG_2)
        is_common = K > 0 and grows < LARGEST
        if not is_common:
            grows = n * LOG_2
        if is_single and not is_count and size + grows > LARGEST:
            take_logarithms(product, total, e, spare, M, L)
            size = 0.0
        size += grows
        for r in range(n):
            i = first + r
            if is_common:
                exponentials(eta[r], odds[r], spare, L)
                _add_common(
                    is_count, is_single, odds, r, common, rows.kind[i], rows.weights[i], product,
                    total, e, spare, M, L,
                )  # fmt: skip
            else:
                _at_nodes(rows.z[:, i], own, x, M, L)
                for m in range(M):
                    for c in range(L):
                        x[m, c] += eta[r, c]
                _add_own(is_count, is_single, x, rows.weights[i], product, total, e, spare, M, L)
    if is_single and not is_count:
        take_logarithms(product, total, e, spare, M, L)
    for m in range(M):
        for c in range(L):
            total[m, c] += linear[c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _at_nodes(z, own, out, M, L):  # type: ignore[no-untyped-def]
    """Columns z (Q,) times effects (Q, M, L), (M, L)."""
    for m in range(M):
        for c in range(L):
            out[m, c] = 0.0
        for a in range(z.size):
            for c in range(L):
                out[m, c] += z[a] * own[a, m, c]


@njit(cache=True, nogil=True, error_model="numpy")
def take_logarithms(product, total, logs, spare, M, L):  # type: ignore[no-untyped-def]
    """Take the logs of products from the totals, both (M, L), and begin the products again."""
    for m in range(M):
        logarithms(product[m], logs, spare, L)
        for c in range(L):
            total[m, c] -= logs[c]
            product[m, c] = 1.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_common(  # type: ignore[no-untyped-def]
    is_count, is_single, odds, r, common, k, weight, product, total, e, spare, M, L
):
    """Add a row at (M, L) whose exp(eta) is a product of its own odds and those of a kind."""
    if is_count:
        for m in range(M):
            for c in range(L):
                total[m, c] -= weight * odds[r, c] * common[k, m, c]
    elif is_single:
        for m in range(M):
            for c in range(L):
                product[m, c] *= 1.0 + odds[r, c] * common[k, m, c]
    else:
        for m in range(M):
            for c in range(L):
                e[c] = 1.0 + odds[r, c] * common[k, m, c]
            logarithms(e, e, spare, L)
            for c in range(L):
                total[m, c] -= weight * e[c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_own(  # type: ignore[no-untyped-def]
    is_count, is_single, eta, weight, product, total, e, spare, M, L
):
    """Add a row with its own eta at (M, L), as large as it may be."""
    for m in range(M):
        if not is_count:
            for c in range(L):
                total[m, c] -= weight * max(eta[m, c], 0.0)
            for c in range(L):
                eta[m, c] = -abs(eta[m, c])
        exponentials(eta[m], e, spare, L)
        if is_count:
            for c in range(L):
                total[m, c] -= weight * e[c]
        elif is_single:
            for c in range(L):
                product[m, c] *= 1.0 + e[c]
        else:
            for c in range(L):
                e[c] += 1.0
            logarithms(e, e, spare, L)
            for c in range(L):
                total[m, c] -= weight * e[c]


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
    beta = np.empty((base.beta.shape[0], LANES))
    of_kept = np.empty((base.effects.shape[0], LANES))
    own, first = np.empty((Q, LANES)), np.empty((Q, LANES))
    second = np.empty((Q * (Q + 1) // 2, LANES))
    eta, e, spare = np.empty((1, LANES)), np.empty(LANES), np.empty((2, LANES))
    total, product = np.empty((1, LANES)), np.empty((1, LANES))
    pull, weight = np.empty(LANES), np.empty(LANES)
    for t in range(0, T, LANES):
        L = min(LANES, T - t)
        points_of(base, t, L, beta, of_kept)
        for j in range(J):
            for a in range(Q):
                for c in range(L):
                    own[a, c] = effects[j, t + c, a]
            first[:], second[:], total[:], product[:] = 0.0, 0.0, 0.0, 1.0
            factors = 0
            for i in range(ends[j], ends[j + 1]):
                predict(base, i, t, L, beta, of_kept, eta, 0)
                for a in range(Q):
                    for c in range(L):
                        eta[0, c] += z[a, i] * own[a, c]
                if not is_count and is_single:
                    factors = one_more_factor(factors, product, total, e, spare, L)
                add_row(
                    is_count, is_single, eta, y[i], counts[i], trials[i], total, product, pull,
                    weight, e, spare, L,
                )  # fmt: skip
                if with_rows:
                    for c in range(L):
                        row_slope[i, t + c], row_weight[i, t + c] = pull[c], weight[c]
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
            take_logarithms(product, total, e, spare, 1, L)
            for c in range(L):
                value[j, t + c] = total[0, c]
                place = 0
                for a in range(Q):
                    slope[j, t + c, a] = first[a, c]
                    for b in range(a + 1):
                        curvature[j, t + c, a, b] = curvature[j, t + c, b, a] = second[place, c]
                        place += 1


@njit(cache=True, nogil=True, error_model="numpy")
def one_more_factor(factors, product, total, logs, spare, L):  # type: ignore[no-untyped-def]
    """Count a factor that products (1, LANES) are about to get, begun again where too many."""
    if factors + 1 < MOST_HALVES:
        return factors + 1
    take_logarithms(product, total, logs, spare, 1, L)
    return 1


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_row(  # type: ignore[no-untyped-def]
    is_count, is_single, eta, y, count, trials, total, product, pull, weight, e, spare, L
):
    """Set slope and curvature of one row at L points, and add its log density up.

    The part that is a logarithm goes into products where trials are one; eta, total and product
    are (1, LANES), the others (LANES,).
    """
    if is_count:
        exponentials(eta[0], weight, spare, L)
        for c in range(L):
            pull[c] = y - weight[c]
            total[0, c] += count * (y * eta[0, c] - weight[c])
        return
    for c in range(L):
        total[0, c] += count * (y * eta[0, c] - trials * max(eta[0, c], 0.0))
        pull[c] = -abs(eta[0, c])
    exponentials(pull, e, spare, L)
    for c in range(L):
        share = 1.0 / (1.0 + e[c])
        mean = share if eta[0, c] > 0 else e[c] * share
        pull[c] = y - trials * mean
        weight[c] = trials * e[c] * share * share
    if is_single:
        for c in range(L):
            product[0, c] *= 1.0 + e[c]
        return
    for c in range(L):
        e[c] += 1.0
    logarithms(e, e, spare, L)
    for c in range(L):
        total[0, c] -= count * trials * e[c]
