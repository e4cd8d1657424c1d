"""The columns whose products are summed: monomials and response, centred and told apart.

    D_m = U_0m + sum over j of U_jm E_j + U_mm E_m,        E_0 = 1,

with U upper triangular, U_0m the mean and U_mm a power of two near the sd. Squares and products of
E hold all digits of a mean of a million with an sd of one. Where a column nearly follows from
earlier ones (a year and its square), U takes them off as well, *in the rows*, before anything is
squared; the response is the last column. What is taken off is put back exactly: a column of the
model is E times numbers that follow from U.
"""

import numpy as np

from hierbayes.arrays import FloatArray, record

# A column of which earlier ones leave less than this part of the square is told apart from them in
# the rows: summed as it is, two of sixteen digits would be lost, and more without a bound.
CLOSE = 0.01


@record(kw_only=False)
class Basis:
    """How columns D are written in the summed columns E.

    Attributes
    ----------
    U : array, shape (m, m), upper triangular: D = E U
    """

    U: FloatArray

    @property
    def size(self) -> int:
        """Number of columns, the response included."""
        return self.U.shape[0]

    def needed(self, column: int) -> frozenset[int]:
        """Return the columns of E that a column of D is written in."""
        return frozenset(np.flatnonzero(self.U[:, column]).tolist())


def centred(means: FloatArray, variances: FloatArray) -> Basis:
    """Return the basis of columns of these means and variances; the first is 1."""
    U = np.diag(_power_of_two(np.sqrt(variances)))
    U[0] = means
    U[0, 0] = 1.0
    return Basis(U + 0.0)


def told_apart(basis: Basis, sums: FloatArray) -> Basis | None:
    """Return the basis in which columns close to earlier ones are what these leave of them.

    Parameters
    ----------
    basis : the one the sums are of
    sums : array, shape (m, m), sums of products of E; 0 for pairs that were not summed

    Returns
    -------
    Basis or None
        None where no column is close to earlier ones.
    """
    T = np.eye(basis.size)  # E = E_new T, found column by column
    U = basis.U.copy()
    found = False
    for m in range(1, basis.size):
        own = sums[m, m]
        to_new = np.linalg.inv(T[:m, :m])
        gram = to_new.T @ sums[:m, :m] @ to_new
        right = to_new.T @ sums[:m, m]
        size = np.sqrt(np.where(gram.diagonal() > 0, gram.diagonal(), 1.0))
        part = np.linalg.lstsq(gram / size / size[:, None], right / size, rcond=CLOSE**2)[0] / size
        if own > 0 and own - part @ right < CLOSE * own:
            T[:m, m] = part
            found = True
    return Basis(np.triu(_exactly_triangular(T, U))) if found else None


def _exactly_triangular(T: FloatArray, U: FloatArray) -> FloatArray:
    new = T @ U
    new[0, 0] = 1.0
    np.fill_diagonal(new, U.diagonal())
    return np.asarray(new)


def _power_of_two(size: FloatArray) -> FloatArray:
    usable = np.isfinite(size) & (size > 0)
    exponents = np.round(np.log2(np.where(usable, size, 1.0)))
    return np.asarray(2.0**exponents)
