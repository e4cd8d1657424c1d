"""Contrast matrices of a factor: how its k levels become k - 1 columns, with R's column names.

Source: Chambers & Hastie (1992), Statistical Models in S, section 2.3.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.options import Coding

POLYNOMIAL_NAMES = (".L", ".Q", ".C")  # then ^4, ^5, ...


@record(kw_only=False)
class Contrasts:
    """The columns of each level.

    Attributes
    ----------
    matrix : array, shape (levels, columns): the row of a level holds its values
    suffixes : what follows the factor's name in the names of the columns
    """

    matrix: FloatArray
    suffixes: tuple[str, ...]


def indicators(levels: Sequence[str]) -> Contrasts:
    """One column per level: 1 in the rows of the level, else 0."""
    return Contrasts(np.eye(len(levels)), tuple(levels))


def contrasts(coding: Coding, levels: Sequence[str], *, base: int = 0) -> Contrasts:
    """Return the contrasts of a coding.

    Parameters
    ----------
    coding : {"treatment", "sum", "helmert", "poly"}
        Differences from level ``base``; deviations from the mean of the levels, the last level
        being minus the others; each level against the mean of those before it; orthogonal
        polynomials in the number of the level.
    levels : labels, at least two
    base : the baseline level of "treatment", counted from 0
    """
    k = len(levels)
    numbers = tuple(str(column) for column in range(1, k))
    if coding == "treatment":
        others = [level for level in range(k) if level != base]
        return Contrasts(np.eye(k)[:, others], tuple(levels[level] for level in others))
    if coding == "sum":
        return Contrasts(np.vstack([np.eye(k - 1), -np.ones((1, k - 1))]), numbers)
    if coding == "helmert":
        matrix = np.triu(np.full((k, k - 1), -1.0))
        matrix[np.arange(1, k), np.arange(k - 1)] = np.arange(1.0, k)
        return Contrasts(matrix, numbers)
    names = [*POLYNOMIAL_NAMES, *(f"^{degree}" for degree in range(4, k))][: k - 1]
    return Contrasts(_orthogonal_polynomials(k), tuple(names))


def _orthogonal_polynomials(k: int) -> FloatArray:
    """Return polynomials of degree 1 to k - 1 at 1, ..., k: orthogonal, of length one."""
    scores = np.linspace(-1, 1, k)  # scale and origin don't matter; this keeps powers small
    Q, R = np.linalg.qr(np.vander(scores, k, increasing=True))
    return (Q * np.sign(np.diag(R)))[:, 1:]
