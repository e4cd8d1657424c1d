"""How levels are related: a covariance known but for one factor, and its sparse inverse.

In a pedigree as in a tree each individual is a weighted sum of its parents and something of its
own, a = P a + m with independent m of variances D. With parents before children I - P is lower
triangular, so the covariance of all is A = (I - P)^-1 D (I - P)^-T and its inverse, (I - P)' D^-1
(I - P), has entries for parents, children and mates only.

Source: Henderson (1976), Biometrics 32:69.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve_triangular

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.errors import DataError
from hierbayes.wording import SHOWN_ROWS, counted, listed

if TYPE_CHECKING:
    from scipy.sparse import csc_array

MOST_DENSE = 20_000  # individuals of a dense matrix: 3.2 GB
AT_ONCE = 500  # individuals whose ancestors are weighed side by side


@record(repr=False)
class Relationship:
    """Known covariances between individuals, of a pedigree or of the tips of a tree.

    Attributes
    ----------
    labels : tuple of str, of the N individuals the matrix speaks of, parents before children
    parents : sparse array, shape (M, M), P: row i holds the weights of the parents of i; beside
        the individuals the inner nodes of a tree, all parents before their children
    own_variances : array, shape (M,), D: of what an individual has not from its parents
    places : array of int, shape (N,), of the individuals among the M
    kind : what it is made from, "pedigree" or "tree"
    """

    labels: tuple[str, ...]
    parents: "csc_array"
    own_variances: FloatArray
    places: IntArray
    kind: str

    def __len__(self) -> int:
        """Return the number of individuals."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Say what it holds."""
        few = ", ".join(self.labels[:3]) + (" ..." if len(self.labels) > 3 else "")
        return f"<Relationship of {counted(len(self), 'individual')} of a {self.kind}: {few}>"

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Per label its place among the labels."""
        return {label: place for place, label in enumerate(self.labels)}

    @property
    def inbreeding(self) -> pd.Series:
        """Coefficient of inbreeding of each individual of a pedigree, the diagonal less one."""
        return pd.Series(self.diagonal() - 1.0, index=pd.Index(self.labels), name="inbreeding")

    def diagonal(self) -> FloatArray:
        """Variance of each individual, shape (N,)."""
        found = [
            self.own_variances @ origins(self.parents, part) ** 2
            for part in np.array_split(self.places, len(self) // AT_ONCE + 1)
        ]
        return np.concatenate(found)

    def covariance(self, labels: Iterable[str] | None = None) -> FloatArray:
        """Return the covariances between some individuals, in the order given.

        Parameters
        ----------
        labels : of L individuals; None takes all in the order of ``labels``

        Returns
        -------
        array, shape (L, L)

        Raises
        ------
        DataError
            For labels that are no individual, or more than fit in memory.
        """
        wanted = self.places if labels is None else self._places(labels)
        if wanted.size > MOST_DENSE:
            raise DataError(
                f"The covariances between {wanted.size} individuals take "
                f"{8 * wanted.size**2 / 1e9:.0f} GB; ask for at most {MOST_DENSE}, or use "
                ".inverse, which is sparse."
            )
        half = origins(self.parents, wanted) * np.sqrt(self.own_variances)[:, None]
        return np.asarray(half.T @ half)

    @cached_property
    def inverse(self) -> "csc_array":
        """Inverse of the covariance of all M, sparse, shape (M, M), inner nodes of trees included.

        Raises
        ------
        DataError
            If someone has nothing of its own: then the matrix is singular.
        """
        zero = np.flatnonzero(self.own_variances <= 0)
        if zero.size:
            raise DataError(
                f"The covariance of this {self.kind} is singular: {counted(zero.size, 'node')} "
                "of it have no variance of their own, as a branch of length zero; leave one of "
                "two equal individuals out."
            )
        triangle = sp.eye_array(self.own_variances.size) - self.parents
        return sp.csc_array(triangle.T @ sp.diags_array(1.0 / self.own_variances) @ triangle)

    def to_frame(self) -> pd.DataFrame:
        """Return the covariances of all individuals with their labels, N rows and columns."""
        index = pd.Index(self.labels)
        return pd.DataFrame(self.covariance(), index=index, columns=index)

    def _places(self, labels: Iterable[str]) -> npt.NDArray[np.intp]:
        given = list(labels)
        unknown = [label for label in given if label not in self.place_of]
        if unknown:
            names = listed([repr(label) for label in unknown[:SHOWN_ROWS]])
            more = f" and {len(unknown) - SHOWN_ROWS} more" if len(unknown) > SHOWN_ROWS else ""
            raise DataError(f"The {self.kind} has no {names}{more}.")
        at = np.array([self.place_of[label] for label in given], dtype=np.intp)
        return np.asarray(self.places[at])


def origins(parents: "csc_array", places: IntArray) -> FloatArray:
    """Return what individuals have of each ancestor and of themselves, (M, L): (I - P)^-T.

    Parameters
    ----------
    parents : P (M, M), parents before children
    places : array of int, shape (L,)
    """
    M = parents.shape[0]
    rights = np.zeros((M, places.size))
    rights[places, np.arange(places.size)] = 1.0
    upper = sp.csr_array((sp.eye_array(M) - parents).T)
    return np.asarray(spsolve_triangular(upper, rights, lower=False, unit_diagonal=True))
