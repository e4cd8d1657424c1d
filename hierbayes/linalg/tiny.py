"""One matrix of a few rows in Python's own numbers, where a call of LAPACK costs ten times as much.

A fit of a small model factorises half a dozen of them, and is done in a millisecond.
"""

import math

import numpy as np

from hierbayes.arrays import FloatArray

TINY = 4  # up to so many rows

NOT_POSITIVE = "a matrix is not positive definite"

Rows = list[list[float]]


def is_tiny(A: FloatArray) -> bool:
    """Whether an array (..., q, q) is one matrix of a few rows."""
    q = A.shape[-1]
    return q <= TINY and A.size == q * q


def cholesky_of_one(A: FloatArray) -> FloatArray:
    """Lower Cholesky factor of one symmetric matrix, in the shape of A (..., q, q).

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite.
    """
    q = A.shape[-1]
    found: Rows = []
    for i, row in enumerate(A.reshape(q, q).tolist()):
        own: list[float] = []
        for j, before in enumerate(found):
            entry = row[j]
            for k in range(j):
                entry -= own[k] * before[k]
            own.append(entry / before[j])
        pivot = row[i]
        for entry in own:
            pivot -= entry * entry
        if not pivot > 0:
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        own.append(math.sqrt(pivot))
        found.append(own)
    return _lower(found, A.shape)


def inverse_of_one(L: FloatArray) -> FloatArray:
    """Inverse of one lower triangle without zeros on its diagonal, in its shape (..., q, q)."""
    q = L.shape[-1]
    found: Rows = []
    for i, row in enumerate(L.reshape(q, q).tolist()):
        own = []
        for j in range(i):
            entry = 0.0
            for k in range(j, i):
                entry -= row[k] * found[k][j]
            own.append(entry / row[i])
        own.append(1.0 / row[i])
        found.append(own)
    return _lower(found, L.shape)


def triangle_of_one(root: Rows, least: list[float]) -> FloatArray:
    """Lower triangle L (q, q) with L L' = root root', by Gram-Schmidt on the rows of a root.

    A row of which no more than ``least`` is left beside those before it has a zero diagonal entry,
    and what is left of it is rotated into the later columns.
    """
    rest, q = list(root), len(root)
    columns: Rows = []
    for j in range(q):
        own = rest[j]
        norm = math.sqrt(sum([x * x for x in own]))
        column = [0.0] * q
        columns.append(column)
        if norm <= least[j]:
            continue
        column[j] = norm
        axis = [x / norm for x in own]
        for i in range(j + 1, q):
            column[i] = along = sum([x * y for x, y in zip(rest[i], axis, strict=True)])
            rest[i] = [x - along * y for x, y in zip(rest[i], axis, strict=True)]
    return np.array(columns).T


def _lower(rows: Rows, shape: tuple[int, ...]) -> FloatArray:
    """Rows of a lower triangle with zeros right of them."""
    q = len(rows)
    return np.array([row + [0.0] * (q - len(row)) for row in rows]).reshape(shape)
