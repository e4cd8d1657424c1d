"""Correlations of the residuals of visits, ``us(visit | subject)``: one by one, and as a matrix.

Draws hold each of them by its name, ``cor_age10.age8|Subject``; ``idata`` and PyMC models the
matrix ``cor_us|Subject``, which is one variable with one prior.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.gaussian.residual.correlation import correlation_matrices
from hierbayes.naming.variable_names import visit_correlations_variable


def matrix_variable(design: Design) -> str | None:
    """Return the name of the matrix; None where residuals have none."""
    if design.residual is None or design.residual.word != "us":
        return None
    return visit_correlations_variable(design.residual.group)


def one_by_one(
    family: Mapping[str, FloatArray], variable: str | None, names: Sequence[str]
) -> dict[str, FloatArray]:
    """Replace draws of the matrix (C, D, V, V) by those below its diagonal, row by row."""
    found = dict(family)
    if variable is None:
        return found
    R = found.pop(variable)
    rows, columns = np.tril_indices(R.shape[2], -1)
    return found | {name: R[..., i, j] for name, i, j in zip(names, rows, columns, strict=True)}


def visits_of_correlations(count: int) -> int:
    """Return of how many visits so many correlations are."""
    return (1 + int(np.sqrt(1 + 8 * count))) // 2


def as_matrix(family: Mapping[str, FloatArray], variable: str | None) -> dict[str, FloatArray]:
    """Undo ``one_by_one``: correlations are those whose names begin with cor."""
    if variable is None:
        return dict(family)
    own = [value for name, value in family.items() if name.startswith("cor_")]
    size = visits_of_correlations(len(own))
    R = correlation_matrices(np.stack(own, axis=-1), size)
    rest = {name: value for name, value in family.items() if not name.startswith("cor_")}
    return rest | {variable: R}
