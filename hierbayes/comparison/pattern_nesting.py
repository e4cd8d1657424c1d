"""Whether the covariance of some terms is a special case of one that follows a pattern.

Terms of the same levels with columns Z W_t of the pattern's Z add up to the covariance
C = sum_t W_t Var(b_t) W_t' of its columns. They are a special case if any C they can make is of the
pattern, so a few C are made, at parameters drawn once and for all, and each is held against the
covariance of the pattern that is nearest to it: exact for one that is of the pattern.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.patterned import Diagonal
from hierbayes.gaussian.structures import Covariance, middle_and_half, structure

DRAWS = 4
SEED = 1
SCALES = (0.5, 2.0)  # sds at which covariances are made
SPREAD = 0.7  # of the half range of a correlation
# What a covariance and the nearest one of a pattern, or Z W and the columns themselves, differ by
# where they are the same: rounding, and that of a square root at a bound.
SAME = 1e-6
# Nearer to a bound than this part of its range a parameter is on it.
AT_BOUND = 1e-6

# Columns with an sd each, which a formula writes as terms of their own.
DIAGONAL = "diag"

Place = Literal["outside", "boundary", "interior"]


@record(kw_only=False)
class Columns:
    """A term: its columns over the rows, (n, q), and the name of its structure."""

    z: FloatArray
    structure: str


def place_in_pattern(terms: Sequence[Columns], pattern: Columns) -> Place:
    """Say where the covariances that terms of the same levels can make lie among a pattern's.

    Parameters
    ----------
    terms : at least one
    pattern : a term whose structure is not "us"

    Returns
    -------
    {"outside", "boundary", "interior"}
        "outside" where some are not of the pattern; else whether they have a bound of it.
    """
    q = pattern.z.shape[1]
    diagonal = pattern.structure == DIAGONAL
    own = Diagonal(q, False) if diagonal else structure(pattern.structure, q)
    assert own is not None
    weights = [_weights(term.z, pattern.z) for term in terms]
    if any(weight is None for weight in weights):
        return "outside"
    rng = np.random.default_rng(SEED)
    C = np.zeros((DRAWS, q, q))
    for term, weight in zip(terms, weights, strict=True):
        assert weight is not None
        half = weight @ _roots(term, rng)
        C += half @ np.swapaxes(half, 1, 2)
    par = own.nearest(C)
    root = own.root(par)
    size = np.abs(C).max(axis=(1, 2))
    gap = np.abs(root @ np.swapaxes(root, 1, 2) - C).max(axis=(1, 2))
    if (gap > SAME * size).any():
        return "outside"
    return "interior" if _is_inside(own, par) else "boundary"


def _weights(z: FloatArray, of: FloatArray) -> FloatArray | None:
    """W with z = of W, (q, q_t); None where z is not in the span."""
    W = np.linalg.lstsq(of, z, rcond=None)[0]
    gap = np.sqrt(((z - of @ W) ** 2).sum(axis=0))
    return np.asarray(W) if (gap <= SAME * np.sqrt((z**2).sum(axis=0))).all() else None


def _roots(term: Columns, rng: np.random.Generator) -> FloatArray:
    """Roots (DRAWS, q_t, q_t) of covariances of a term."""
    q = term.z.shape[1]
    own = structure(term.structure, q)
    if own is None:
        return np.asarray(rng.normal(size=(DRAWS, q, q)))
    par = rng.uniform(*SCALES, size=(DRAWS, own.is_scale.size))
    bounded, middle, half = middle_and_half(own.is_scale, own.bounds)
    par[:, bounded] = middle + half * rng.uniform(-SPREAD, SPREAD, (DRAWS, middle.size))
    return own.root(par)


def _is_inside(own: Covariance, par: FloatArray) -> bool:
    """Whether no parameter is on a bound."""
    bounded, middle, half = middle_and_half(own.is_scale, own.bounds)
    angles = np.abs(par[:, bounded] - middle) < (1 - AT_BOUND) * half
    return bool(angles.all() and (par[:, own.is_scale] > 0).all())
