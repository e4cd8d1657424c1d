"""Other covariances that no data of a design can tell from given ones.

Along the null space of ``gaussian/undetermined.py`` what X beta cannot explain keeps its variance,
so the criterion, sigma and everything that the data determine stay as they are. What changes
between the covariances given here depends on what is undetermined.

For directions d of a term with P0 Z d = 0 any G becomes (I + D H')G(I + D H')' + D C D', which is a
covariance for every H and C; along other null vectors a part of the way to where a covariance
would lose a direction.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.covariance import lower_triangle
from hierbayes.gaussian.undetermined import Undetermined

SIZES = (0.7, 20.0)  # sds along directions, in residual sds: far from zero and from each other
LONGEST = 10.0  # residual variances
SHORTEST = 1e-6  # a way shorter than this, in units of the largest variance, is none
PART_OF_WAY = 0.8
HALVINGS = 40


def flat_moves(found: Undetermined, theta: FloatArray) -> list[FloatArray]:
    """Return thetas (k,) that are as good as a given one, all on the user's scale."""
    given = _covariances(found, theta)
    moved = [given]
    if any(D.size for D in found.directions):
        rng = np.random.default_rng(0)
        moved = [_along_directions(found, given, size, rng) for size in SIZES]
    thetas = [_theta(found, G) for G in moved] if moved[0] is not given else []
    for vector in found.dependences[:-1].T:
        for sign in (1.0, -1.0):
            G = _along(found, moved[0], sign * vector)
            if G is not None:
                thetas.append(_theta(found, G))
    return thetas


def _covariances(found: Undetermined, theta: FloatArray) -> list[FloatArray]:
    """Covariances of the terms over sigma^2, in the scaled columns."""
    Lambdas = found.shape.unpack(theta[None])
    roots = [
        found.scale[f][list(columns), None] * Lambdas[f][0][np.ix_(columns, columns)]
        for f, columns in found.shape.terms
    ]
    return [root @ root.T for root in roots]


def _theta(found: Undetermined, covariances: list[FloatArray]) -> FloatArray:
    Lambdas = [np.zeros((1, q, q)) for q in found.shape.sizes]
    for (f, columns), G in zip(found.shape.terms, covariances, strict=True):
        size, axes = np.linalg.eigh(G)
        root = axes * np.sqrt(np.maximum(size, 0.0)) / found.scale[f][list(columns), None]
        Lambdas[f][0][np.ix_(columns, columns)] = lower_triangle(root)
    return np.asarray(found.shape.pack(Lambdas)[0])


def _along_directions(
    found: Undetermined, covariances: list[FloatArray], size: float, rng: np.random.Generator
) -> list[FloatArray]:
    moved = []
    for G, D in zip(covariances, found.directions, strict=True):
        unit = D / np.sqrt((D**2).sum(axis=0))
        turn = np.eye(G.shape[0]) + unit @ rng.standard_normal(unit.T.shape)
        root = (
            size * unit @ (np.eye(unit.shape[1]) + 0.3 * rng.standard_normal((unit.shape[1],) * 2))
        )
        moved.append(turn @ G @ turn.T + root @ root.T)
    return moved


def _along(
    found: Undetermined, covariances: list[FloatArray], vector: FloatArray
) -> list[FloatArray] | None:
    """Covariances moved along a null vector (k,), None where that leaves the covariances."""
    steps, place = [], 0
    for G in covariances:
        q = G.shape[0]
        step = np.zeros((q, q))
        rows, columns = np.triu_indices(q)
        count = rows.size
        step[rows, columns] = step[columns, rows] = vector[place : place + count]
        steps.append(step)
        place += count
    largest = max(float(np.trace(G)) for G in covariances)
    t = LONGEST
    for _ in range(HALVINGS):
        ends = [G + t * step for G, step in zip(covariances, steps, strict=True)]
        if all(_is_covariance(end, step) for end, step in zip(ends, steps, strict=True)):
            break
        t /= 2
    if t * float(np.abs(vector).max()) < SHORTEST * largest or t <= LONGEST / 2 ** (HALVINGS - 1):
        return None
    part = PART_OF_WAY * t
    return [G + part * step for G, step in zip(covariances, steps, strict=True)]


def _is_covariance(G: FloatArray, step: FloatArray) -> bool:
    return not step.any() or bool(np.linalg.eigvalsh(G)[0] >= 0)
