"""Known covariances between levels as users give them: ``cov={"animal": A}``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from hierbayes.arrays import FloatArray, record
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.values import as_factor, label_array
from hierbayes.errors import DataError, OptionError
from hierbayes.relatedness.relationship import Relationship
from hierbayes.wording import SHOWN_ROWS, listed, shown

SYMMETRIC = 1e-8  # of the largest entry: what rounding of a file may leave
WAYS = (
    "hb.relationship(pedigree), hb.phylogeny(newick), a data frame with the levels' labels as "
    "index and columns, a pair (matrix, labels), or hb.Precision of one of these for its inverse"
)


@record(kw_only=False)
class Precision:
    """The inverse of a covariance between levels, for ``hb.Model(..., cov=)``.

    Attributes
    ----------
    matrix : data frame with the labels as index and columns, or a pair (matrix, labels); the matrix
        dense or sparse, shape (J, J)

    Examples
    --------
    >>> import hierbayes as hb
    >>> import pandas as pd
    >>> A = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
    >>> inverse = pd.DataFrame([[4 / 3, -2 / 3], [-2 / 3, 4 / 3]], A.index, A.columns)
    >>> known = {"animal": hb.Precision(inverse)}  # the same as {"animal": A}
    """

    matrix: Any


def known_covariances(given: Any, groups: Sequence[str]) -> dict[str, LevelCovariance] | None:
    """Read ``cov=``.

    Parameters
    ----------
    given : dict from a grouping factor to its covariance, or None
    groups : names of the grouping factors of the formula

    Raises
    ------
    OptionError
        If it is no such dict, or names no grouping factor.
    DataError
        If a matrix is not symmetric and positive definite, or its labels are missing or repeated.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given:
        raise OptionError(
            f"cov={shown(given)} must be a dict from a grouping factor to the covariance between "
            f'its levels, for example cov={{"animal": A}} with A {WAYS}.'
        )
    for name in given:
        if name not in groups:
            known = listed([repr(group) for group in groups]) or "none"
            raise OptionError(f"cov names {name!r}; the grouping factors of the formula: {known}.")
    return {str(name): level_covariance(value, str(name)) for name, value in given.items()}


def level_covariance(given: Any, name: str) -> LevelCovariance:
    """Read the covariance between the levels of one grouping factor."""
    called = f"cov[{name!r}]"
    if isinstance(given, LevelCovariance):
        return given
    if isinstance(given, Relationship):
        found = LevelCovariance(labels=label_array(given.labels), matrix=given.covariance())
        _ = _root(found, called)
        return found
    is_inverse = isinstance(given, Precision)
    matrix, labels = _parts(given.matrix if is_inverse else given, called)
    _check_matrix(matrix, labels, called)
    found = LevelCovariance(labels=label_array(labels), matrix=(matrix + matrix.T) / 2)
    root = _root(found, called)
    if not is_inverse:
        return found
    half = np.linalg.inv(root)
    return LevelCovariance(labels=found.labels, matrix=half.T @ half)


def _parts(given: Any, called: str) -> tuple[FloatArray, list[str]]:
    """Return a matrix and its labels."""
    labels: Any
    if isinstance(given, pd.DataFrame):
        labels, columns = _texts(given.index), _texts(given.columns)
        if sorted(labels) != sorted(columns):
            raise DataError(
                f"{called} has other labels in its index than in its columns; both name the levels."
            )
        if len(set(labels)) == len(labels) and labels != columns:
            given = given.iloc[:, [columns.index(label) for label in labels]]
        matrix = given.to_numpy()
    elif isinstance(given, tuple) and len(given) == 2:
        matrix, labels = given[0], _texts(pd.Index(list(given[1])))
    elif isinstance(given, np.ndarray) or sp.issparse(given):
        raise OptionError(
            f"{called} is a matrix without labels, so which row is which level is not known; give "
            "a data frame with the labels as index and columns, or a pair (matrix, labels)."
        )
    else:
        raise OptionError(f"{called}={shown(given)} is no covariance between levels; give {WAYS}.")
    if sp.issparse(matrix):
        matrix = matrix.toarray()  # type: ignore[attr-defined]
    try:
        numbers = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{called} holds something that is no number: {error}.") from error
    return numbers, labels


def _texts(index: pd.Index) -> list[str]:
    """Return labels as levels are called: 3.0 is "3"."""
    factor = (
        as_factor(np.asarray(index.to_numpy(), dtype=np.float64))
        if (pd.api.types.is_numeric_dtype(index.dtype))
        else None
    )
    if factor is None:
        return [str(label) for label in index]
    return [str(label) for label in factor.levels[factor.codes]]


def _check_matrix(matrix: FloatArray, labels: list[str], called: str) -> None:
    J = len(labels)
    if matrix.shape != (J, J):
        raise DataError(f"{called} has shape {matrix.shape} for {J} labels; it must be ({J}, {J}).")
    repeated = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if repeated:
        raise DataError(
            f"{called} has the label {listed([repr(one) for one in repeated[:SHOWN_ROWS]])} more "
            "than once; keep one row and column of each level."
        )
    if not np.isfinite(matrix).all():
        row = int(np.argwhere(~np.isfinite(matrix))[0][0])
        raise DataError(f"{called} has a value that is missing or infinite, of {labels[row]!r}.")
    off = np.abs(matrix - matrix.T)
    if off.max(initial=0.0) > SYMMETRIC * np.abs(matrix).max(initial=0.0):
        r, c = (int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        raise DataError(
            f"{called} is not symmetric: {matrix[r, c]:g} between {labels[r]!r} and {labels[c]!r}, "
            f"{matrix[c, r]:g} the other way round."
        )


def _root(found: LevelCovariance, called: str) -> FloatArray:
    """Return the Cholesky factor.

    Raises
    ------
    DataError
        If the matrix is not positive definite.
    """
    try:
        return found.root
    except np.linalg.LinAlgError:
        pass
    sizes, axes = np.linalg.eigh(found.matrix)
    most = found.labels[np.argsort(-np.abs(axes[:, 0]))[:2]].tolist()
    raise DataError(
        f"{called} is not positive definite: its smallest eigenvalue is {sizes[0]:.3g}, which "
        f"concerns {listed([repr(one) for one in most])} most. Two levels that are the same need "
        "one row; a correlation that is rounded or made pair by pair may need a better estimate."
    )
