"""Random effects of a generalised model drawn given its other parameters.

The levels of the outermost factor of the chain (``chain_rows.py``) are drawn by independence
Metropolis from their own density, the effects below integrated out; with these in eta those of the
factor below, and so on. Proposals are t distributed with mean and covariance that quadrature found,
so that a few are enough.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.bayes.collapsed import nowhere
from hierbayes.bayes.generalised_density import GeneralisedTarget
from hierbayes.generalised.chain_integrals import integrals, proposal
from hierbayes.generalised.chain_rows import ChainRows, Points
from hierbayes.generalised.joint_modes import Effects, Places, places
from hierbayes.linalg.threads import in_threads

# Proposals a level of its effects: the first is a start near the target already, and each further
# one leaves less than a seventh of what is left of the difference.
CANDIDATES = 4
# Rounds of them until one has a density, where a link leaves many effects without a mean.
ROUNDS = 20


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def effects(
    target: GeneralisedTarget, x: FloatArray, kept: FloatArray, rng: np.random.Generator
) -> list[FloatArray]:
    """Draw the effects of all factors at points x (T, d), given kept ones: (T, J, q) each.

    On the user's scale, in the order of the model's factors.
    """
    rows = target.rows
    roots = target.coordinates.roots(target.variances(x))
    sizes = zip(rows.model.levels.n_levels, rows.model.shape.sizes, strict=True)
    out = [np.empty((x.shape[0], J, q)) for J, q in sizes]

    def work(part: tuple[slice, np.random.Generator]) -> None:
        chunk, rng = part
        at = target.points(x[chunk])
        found = target.places(x[chunk], at)
        moved = kept[chunk] - found.effects.c
        at = rows.with_kept(at, kept[chunk])
        drawn = _drawn(rows, at, found, target.n_points, moved if rows.kept else None, rng)
        for k, u in enumerate(drawn):
            b = np.einsum("tab,jtb->tja", roots[rows.chain[k]][chunk], u)
            out[rows.chain[k]][chunk][:, rows.labels[k]] = b

    in_threads(work, rows.random_parts(x.shape[0], target.chunk_size, rng))
    for f, part, J, q in rows.kept_pattern.slices:
        out[f] = np.einsum("tab,tjb->tja", roots[f], kept[:, part].reshape(-1, J, q))
    return out


def _drawn(
    rows: ChainRows,
    at: Points,
    found: Places,
    n_points: int,
    moved: FloatArray | None,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Draw the spherical effects of the chain, (J, T, q) each, the outermost factor's first."""
    last = rows.depth - 1
    around = proposal(rows, at, found, moved)
    u, possible = np.zeros(around.mean.shape), np.zeros(around.mean.shape[:2], dtype=np.bool_)
    for _ in range(ROUNDS):
        uniform = rng.random((*around.mean.shape, CANDIDATES))
        candidates, log_proposal = around.at(uniform)
        density = integrals(rows, at, found, n_points, outermost=candidates, moved=moved)
        log_weight = density.log_parts - log_proposal
        chosen, height = _chosen(log_weight, rng)
        drawn = np.take_along_axis(candidates, chosen[:, :, None, None], axis=3)[..., 0]
        u = np.where(possible[..., None], u, drawn)
        possible |= np.isfinite(height)
        if possible.all():
            break
    if not possible.all():
        raise nowhere(
            rows.model.family,
            "The collapsed sampler found no effects of some levels at which the density of the "
            "data can be computed.",
        )
    if not last:
        return [u]
    inner, there = rows.inner(), rows.with_outermost(at, u)
    start = Effects(u=found.effects.u[:-1], c=np.empty((at.size, 0)))
    below = _drawn(inner, there, places(inner, there, start), n_points, None, rng)
    return [*below, u]


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
