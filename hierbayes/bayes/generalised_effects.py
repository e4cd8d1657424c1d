"""Random effects of a generalised model drawn given its other parameters.

The levels of the outermost factor of the chain (``chain_rows.py``) are drawn by independence
Metropolis from their own density, the effects below integrated out; with these in eta those of the
factor below, and so on. Proposals are t distributed with mean and covariance that quadrature found,
so that a few are enough.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.generalised.chain_integrals import (
    SCALE,
    Proposal,
    log_densities,
    proposal,
    squares,
)
from hierbayes.generalised.chain_rows import ChainRows, Points
from hierbayes.generalised.joint_modes import Effects, Places, places
from hierbayes.generalised.level_draws import LevelDraws, drawn_levels

# Proposals a level of its effects: the first is a start near the target already, and each further
# one leaves less than a seventh of what is left of the difference.
CANDIDATES = 4
# Rounds of them until one has a density, where a link leaves many effects without a mean.
ROUNDS = 20


@record(kw_only=False)
class ChainDraws:
    """Spherical effects of each factor of a chain, (J, T, q), where the data have a density.

    ``possible`` (T,) are the points at which one was found for every level.
    """

    u: list[FloatArray]
    possible: BoolArray


def draw_chain(
    rows: ChainRows,
    at: Points,
    found: Places | None,
    around: Proposal,
    n_points: int,
    rng: np.random.Generator,
) -> ChainDraws:
    """Draw the effects of a chain given all other parameters.

    Parameters
    ----------
    rows : without kept effects, which are in the base
    found : places of the effects; None for a chain of one factor
    around : what the outermost factor's are proposed from
    n_points : nodes a column of what is below
    """
    u, possible = np.zeros(around.mean.shape), np.zeros(around.mean.shape[:2], dtype=np.bool_)
    for _ in range(ROUNDS):
        drawn = _drawn(rows, at, found, around, n_points, rng)
        u = np.where(possible[..., None], u, drawn.u)
        possible |= drawn.possible
        if possible.all():
            break
    all_possible = possible.all(axis=0)
    if found is None:
        return ChainDraws([u], all_possible)
    inner, there = rows.inner(), rows.with_outermost(at, u)
    start = Effects(u=found.effects.u[:-1], c=np.empty((at.size, 0)))
    own = places(inner, there, start)
    below = draw_chain(
        inner,
        there,
        own if inner.depth > 1 else None,
        proposal(inner, there, own, None),
        n_points,
        rng,
    )
    return ChainDraws([*below.u, u], all_possible & below.possible)


def _drawn(
    rows: ChainRows,
    at: Points,
    found: Places | None,
    around: Proposal,
    n_points: int,
    rng: np.random.Generator,
) -> LevelDraws:
    """Go through one round of proposals for the effects of the outermost factor."""
    if found is None and rows.sums is not None:
        Lambda = at.Lambdas[rows.chain[0]]
        root = SCALE * around.root
        return drawn_levels(rows.sums, at.base, Lambda, around.mean, root, CANDIDATES, rng)
    candidates, log_proposal = around.draw(CANDIDATES, rng)
    if found is None:
        density = rows.log_density(at, [candidates]) - 0.5 * squares(candidates)
    else:
        density = log_densities(rows, at, found, n_points, candidates)
    chosen, height = _chosen(density - log_proposal, rng)
    u = np.take_along_axis(candidates, chosen[:, :, None, None], axis=3)[..., 0]
    return LevelDraws(u, np.isfinite(height))


def _chosen(log_weight: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return where independence Metropolis through candidates (..., C) ends, and the weight there.

    A first candidate without a density is left for any that has one.
    """
    log_uniform = np.log(rng.random(log_weight.shape))
    log_weight = np.nan_to_num(log_weight, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    now = np.zeros(log_weight.shape[:-1], dtype=np.intp)
    height = log_weight[..., 0].copy()
    for c in range(1, log_weight.shape[-1]):
        accepted = log_uniform[..., c] < log_weight[..., c] - height
        now[accepted] = c
        height = np.where(accepted, log_weight[..., c], height)
    return now, height
