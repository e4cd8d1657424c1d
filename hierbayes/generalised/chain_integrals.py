"""Integrals over the effects of the levels of a chain of factors, at many parameters at once.

Given eta without these effects, the levels of the outermost factor of the chain are independent,
and given its effect those of the factor below, and so on (``chain_rows.py``):

    p(y | base, Lambda, phi) = prod_j I_j,   I_j = int N(u_j; 0, I) prod_i I_i(u_j) du_j,

with the levels i of the next factor in j, or rows' densities in place of I_i. Each integral is
found by adaptive Gauss-Hermite quadrature: nodes of the product rule, moved and stretched by the
factor of the joint curvature of ``joint_modes.py``, so that those of a level move along with the
effect above. A rule of enough points is exact wherever it is put.

With many columns importance draws take the place of nodes, N of them a level. The mean of the ratio
of integrand and density is the integral in expectation, and so is the product over levels. They are
points of a lattice shifted at random, which is as unbiased and has less variance.

Source: Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4:12; Rabe-Hesketh, Skrondal & Pickles
(2005), J. Econometrics 128:301 (several levels); Tran, Scharth, Pitt & Kohn (2013),
arXiv:1309.3339 (unbiased estimates of a likelihood in importance sampling); Sloan & Joe (1994),
Lattice methods for multiple integration.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.generalised.chain_rows import ChainRows, Points
from hierbayes.generalised.joint_modes import Places, shift
from hierbayes.generalised.level_draws import matched
from hierbayes.generalised.level_integrals import NodeIntegrals, log_sum, rule
from hierbayes.generalised.row_sums import LevelIntegrals
from hierbayes.linalg.stacked import inverse_of_triangles, solve_upper_stack

LOG_2PI = float(np.log(2 * np.pi))
# Importance draws are t distributed with four degrees of freedom in each direction: a normal
# integrand then has a coefficient of variation of 0.2, and no tail of one is missed.
LOG_T = float(np.log(3 / 8))
SCALE = 0.9  # of its sds, where that coefficient is smallest
LEAST_P = 1e-15  # where quantiles are taken: they are numbers at both ends
ROUGH_POINTS = 3  # nodes a column for the moments that the draws have
MOST_MATCHED = 3  # columns up to which they are worked out; of more the rule has too many nodes
SQUARES = 2  # nodes a column whose equal parts have mean and variance of a normal distribution
WIDEST = 1e6  # variances so many times the curvature's are none: they are lost in rounding
FLOOR = 0.01  # part of the covariance by curvature that is added


Integrals = NodeIntegrals | LevelIntegrals


def squares(u: FloatArray) -> FloatArray:
    """Squared length of effects (J, T, q, M), (J, T, M)."""
    total = u[:, :, 0] ** 2
    for a in range(1, u.shape[2]):
        total += u[:, :, a] ** 2
    return total


def integrals(
    rows: ChainRows, at: Points, found: Places, n_points: int, *, moved: FloatArray | None = None
) -> Integrals:
    """Integrate by rules of ``n_points`` a column.

    Parameters
    ----------
    at : with kept effects in the base
    found : places of the effects, before kept effects moved
    moved : array, shape (T, d), how far kept effects are from where they were at ``found``
    """
    if rows.depth > 1 or rows.sums is None:
        return _by_nodes(rows, at, found, n_points, moved=moved)
    u, root = found.effects.u[0], found.elimination.roots[0]
    shift = np.broadcast_to(_moved(rows, found, 0, [], moved)[..., 0], u.shape)
    nodes, log_weights = rule(n_points, rows.columns[0])
    levels = rows.sums.integrals(
        at.base, (u, root, shift), at.Lambdas[rows.chain[0]], (nodes, log_weights)
    )
    lost = found.elimination.is_lost(0)
    if lost.any():
        levels = replace(levels, log_levels=np.where(lost, -np.inf, levels.log_levels))
    return levels


def log_densities(
    rows: ChainRows,
    at: Points,
    found: Places,
    n_points: int,
    outermost: FloatArray,
) -> FloatArray:
    """Log density of effects (J, T, q, N) of the outermost factor, what is below integrated out.

    Other arguments are those of ``integrals``. The array is (J, T, N).
    """
    return _by_nodes(rows, at, found, n_points, outermost=outermost).log_parts


def _by_nodes(
    rows: ChainRows,
    at: Points,
    found: Places,
    n_points: int,
    *,
    outermost: FloatArray | None = None,
    moved: FloatArray | None = None,
) -> NodeIntegrals:
    """Do so for as many points at a time as stay in a cache."""
    per_level = n_nodes(rows, n_points)
    if outermost is not None:
        per_level = outermost.shape[3] * per_level // n_points ** rows.columns[-1]
    chunks = rows.chunks(at.size, rows.labels[0].size * per_level)
    if len(chunks) == 1:
        return _integrals(rows, at, found, n_points, outermost, moved)
    parts = [
        _integrals(
            rows,
            at.some(own),
            found.some(own),
            n_points,
            None if outermost is None else outermost[:, own],
            None if moved is None else moved[own],
        )
        for own in chunks
    ]
    return NodeIntegrals(
        log_parts=np.concatenate([part.log_parts for part in parts], axis=1),
        nodes=np.concatenate([part.nodes for part in parts], axis=1),
    )


def _integrals(
    rows: ChainRows,
    at: Points,
    found: Places,
    n_points: int,
    outermost: FloatArray | None,
    moved: FloatArray | None,
) -> NodeIntegrals:
    D, factor = rows.depth, found.elimination
    nodes, log_weights = _nodes(rows, found, n_points, outermost=outermost, moved=moved)
    parts = rows.log_density(at, nodes)
    for k in range(D):
        parts = parts - 0.5 * squares(nodes[k])
        weights = log_weights[k]
        if weights is not None:
            J, T, M = parts.shape
            parts = (parts.reshape(J, T, -1, weights.size) + weights).reshape(J, T, M)
            parts = parts - 0.5 * factor.log_det(k)[..., None]
            lost = factor.is_lost(k)
            if lost.any():
                parts = np.where(lost[..., None], -np.inf, parts)
        if k < D - 1:
            size = n_points ** rows.columns[k]
            J, T, M = parts.shape
            levels = log_sum(parts.reshape(J, T, M // size, size))
            parts = rows.gathered(levels, k, k + 1)
    return NodeIntegrals(log_parts=parts, nodes=nodes[-1])


def _nodes(
    rows: ChainRows,
    found: Places,
    n_points: int,
    *,
    outermost: FloatArray | None = None,
    moved: FloatArray | None = None,
) -> tuple[list[FloatArray], list[FloatArray | None]]:
    """Nodes of each factor of the chain, (J_k, T, q_k, M_k), and their rule's log weights."""
    D, factor = rows.depth, found.elimination
    steps: list[FloatArray] = [np.empty(0)] * D  # (J, T, q, M), from where they were found
    nodes: list[FloatArray] = [np.empty(0)] * D
    log_weights: list[FloatArray | None] = [None] * D
    for k in reversed(range(D)):
        centre = found.effects.u[k][..., None]
        if k == D - 1 and outermost is not None:
            nodes[k], steps[k] = outermost, outermost - centre
            continue
        t, log_weights[k] = rule(n_points, rows.columns[k])
        right = t[:, None, :] - _moved(rows, found, k, steps, moved)[..., None]
        J, T, q = right.shape[:3]
        steps[k] = solve_upper_stack(factor.roots[k], right.reshape(J, T, q, -1))
        nodes[k] = centre + steps[k]
    return nodes, log_weights


def spread(rows: ChainRows, at: Points, found: Places) -> FloatArray:
    """Variance of each row's eta given kept effects, by the curvature of the chain, (n, T)."""
    nodes, log_weights = _nodes(rows, found, SQUARES)
    share = np.ones(1)
    for own in reversed(log_weights):
        assert own is not None
        share = np.outer(share, np.full(own.size, 1 / own.size)).ravel()
    eta = rows.eta(at, nodes)
    return np.asarray(((eta - (eta @ share)[..., None]) ** 2) @ share)


def _moved(
    rows: ChainRows,
    found: Places,
    k: int,
    steps: Sequence[FloatArray],
    moved: FloatArray | None,
) -> FloatArray:
    """E_kl times the steps of the factors above and F_k those of kept ones, (J, T, q, M_(k+1))."""
    factor = found.elimination
    J, T, q = found.effects.u[k].shape
    total = np.zeros((J, T, q, 1))
    for m in range(rows.depth - 1, k, -1):
        up = steps[m][rows.parents[k, m]]
        own = factor.above[k, m] @ up
        M = own.shape[3]
        total = np.repeat(total, M // total.shape[3], axis=3) + own
    if moved is not None and rows.kept:
        own = np.swapaxes((factor.to_kept[k] @ moved[:, None, :, None])[..., 0], 0, 1)
        total = total + own[..., None]
    return total


@record
class Proposal:
    """t distributions that effects of the outermost factor of a chain are drawn from.

    Attributes
    ----------
    mean : array, shape (J, T, q)
    root : array, shape (J, T, q, q)
    log_det : array, shape (J, T), of the root
    """

    mean: FloatArray
    root: FloatArray
    log_det: FloatArray

    def at(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return effects (J, T, q, N) of uniform numbers p, and their log densities (J, T, N)."""
        return self._of(quantile_of_t(np.clip(p, LEAST_P, 1 - LEAST_P)))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw effects (J, T, q, n); their log densities (J, T, n).

        Source: Bailey (1994), Math. Comp. 62:779 (t distributed numbers from two uniform ones).
        """
        p, turn = rng.random((2, *self.mean.shape, n))
        return self._of(2 * np.cos(2 * np.pi * turn) * np.sqrt(1 / np.sqrt(1 - p) - 1))

    def _of(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Do so for numbers x of a t distribution of four degrees of freedom."""
        q, tails = x.shape[2], 1 + 0.25 * x[:, :, 0] ** 2
        for a in range(1, q):
            tails *= 1 + 0.25 * x[:, :, a] ** 2
        log_density = q * LOG_T - 2.5 * np.log(tails)
        log_det = self.log_det + q * np.log(SCALE)
        moved = self.root * x if q == 1 else self.root @ x
        return self.mean[..., None] + SCALE * moved, log_density - log_det[..., None]

    def some(self, at: IntArray | slice) -> "Proposal":
        """Return those at some of the points."""
        return Proposal(mean=self.mean[:, at], root=self.root[:, at], log_det=self.log_det[:, at])

    def put(self, at: slice, there: "Proposal") -> None:
        """Overwrite those at some of the points."""
        self.mean[:, at], self.root[:, at] = there.mean, there.root
        self.log_det[:, at] = there.log_det

    def and_then(self, more: "Proposal") -> "Proposal":
        """Return these and more."""
        return Proposal(
            mean=np.concatenate([self.mean, more.mean], axis=1),
            root=np.concatenate([self.root, more.root], axis=1),
            log_det=np.concatenate([self.log_det, more.log_det], axis=1),
        )


def proposal(
    rows: ChainRows,
    at: Points,
    found: Places,
    moved: FloatArray | None,
    known: Integrals | None = None,
) -> Proposal:
    """Match mean and covariance of the effects, by the curvature or a rule.

    The rule is one of few points, or that by which the integrals ``known`` were found.
    """
    last = rows.depth - 1
    L = found.elimination.roots[last]
    if rows.columns[last] > MOST_MATCHED:
        assert last == 0
        root = np.swapaxes(inverse_of_triangles(L), 2, 3)
        log_det = -0.5 * found.elimination.log_det(last)
        mean = found.effects.u[0] if moved is None else shifted(rows, found, moved)
        return Proposal(mean=mean, root=root, log_det=log_det)
    if known is None:
        known = integrals(rows, at, found, ROUGH_POINTS, moved=moved)
    mean, covariance = known.moments()
    # where one node has nearly all of an integral its moments are none
    centre = found.effects.u[last]
    own = matched(L, centre, mean, covariance, floor=FLOOR, widest=WIDEST)
    return Proposal(mean=own.mean, root=own.root, log_det=own.log_det)


def estimates(
    rows: ChainRows, at: Points, around: Proposal, n: int, rng: np.random.Generator
) -> FloatArray:
    """Log of unbiased estimates of the integrals of a chain of one factor, n draws a level, (J, T).

    Parameters
    ----------
    at : with kept effects in the base
    around : what the draws are from
    """
    q = rows.columns[0]
    shifts = rng.random((*around.mean.shape, 1))
    u, log_density = around.at((lattice(n, q) + shifts) % 1.0)
    log_joint = rows.log_density(at, [u]) - 0.5 * (squares(u) + q * LOG_2PI)
    return log_sum(log_joint - log_density) - np.log(n)


def quantile_of_t(p: FloatArray) -> FloatArray:
    """Quantiles of Student's t with four degrees of freedom, which have a closed form."""
    a = np.sqrt(4 * p * (1 - p))
    size = 2 * np.sqrt(np.maximum(np.cos(np.arccos(a) / 3) / a - 1, 0.0))
    return np.asarray(np.copysign(size, p - 0.5))


@cache
def lattice(n: int, q: int) -> FloatArray:
    """Return n points in the unit cube that leave no large part of it empty, (q, n).

    Multiples of the powers of the root of x^(q + 1) = x + 1, which no ratios of small whole numbers
    come near.
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (q + 1))
    points = np.outer(root ** -np.arange(1.0, q + 1), np.arange(n)) % 1.0
    points.flags.writeable = False
    return points


def n_nodes(rows: ChainRows, n_points: int) -> int:
    """Nodes of the finest factor's levels, those of the levels above included."""
    return int(n_points ** sum(rows.columns))


def shifted(rows: ChainRows, found: Places, moved: FloatArray) -> FloatArray:
    """Where effects (J, T, q) of a chain of one factor go when kept ones have moved."""
    factor = found.elimination
    away = shift(rows, factor, 0, [], moved)
    return found.effects.u[0] - solve_upper_stack(factor.roots[0], away[..., None])[..., 0]
