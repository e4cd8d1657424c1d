"""Eta of rows without the effects that are integrated out, worked out where it is needed.

Rows times points are far more numbers than a cache holds, what they are made of is not: each sum
over rows makes its eta anew, for some points at a time. Imports numba: only samplers import it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hierbayes.arrays import BoolArray, FloatArray, Int64Array, IntArray

LANES = 64  # points worked on at once


class Predictor(NamedTuple):
    """Eta of n rows at T points: offset + X beta + Z_c b_c + more.

    Attributes
    ----------
    X : array, shape (n, p)
    offset : array, shape (n,)
    beta : array, shape (p, T)
    z, columns : arrays, shape (S, n), entries of Z_c and their columns
    effects : array, shape (d, T), b_c
    more : array, shape (n, T), or without columns where there is no more
    """

    X: FloatArray
    offset: FloatArray
    beta: FloatArray
    z: FloatArray
    columns: Int64Array
    effects: FloatArray
    more: FloatArray

    def some(self, at: IntArray | BoolArray | slice) -> "Predictor":
        """Return that at some of the points."""
        return self._replace(
            beta=np.ascontiguousarray(self.beta[:, at]),
            effects=np.ascontiguousarray(self.effects[:, at]),
            more=np.ascontiguousarray(self.more[:, at]) if self.more.size else self.more,
        )

    def plus(self, more: FloatArray) -> "Predictor":
        """Return that with more (n, T) added."""
        return self._replace(more=self.more + more if self.more.size else more)

    def eta(self) -> FloatArray:
        """Eta of the rows, (n, T)."""
        out = np.empty((self.offset.size, self.beta.shape[1]))
        _eta(self, out)
        return out


def predictor(X: FloatArray, offset: FloatArray, beta: FloatArray) -> Predictor:
    """Return that of coefficients (T, p) alone."""
    n, T = X.shape[0], beta.shape[0]
    return Predictor(
        X=np.ascontiguousarray(X),
        offset=np.ascontiguousarray(offset),
        beta=np.ascontiguousarray(beta.T),
        z=np.empty((0, n)),
        columns=np.empty((0, n), dtype=np.int64),
        effects=np.empty((0, T)),
        more=np.empty((n, 0)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def points_of(given: Predictor, t: int, L: int, beta: FloatArray, effects: FloatArray) -> None:
    """Copy the coefficients and effects of L points from t on, (p, LANES) and (d, LANES)."""
    for k in range(beta.shape[0]):
        for c in range(L):
            beta[k, c] = given.beta[k, t + c]
    for k in range(effects.shape[0]):
        for c in range(L):
            effects[k, c] = given.effects[k, t + c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def predict(  # type: ignore[no-untyped-def]
    given, i, t, L, beta, effects, eta, r
):
    """Set the first L of ``eta[r]`` to eta of row i at the points from t on.

    Their coefficients and effects are those of ``points_of``: loops over the points at a place of
    their own become vectors.
    """
    for c in range(L):
        eta[r, c] = given.offset[i]
    for k in range(beta.shape[0]):
        x = given.X[i, k]
        for c in range(L):
            eta[r, c] += x * beta[k, c]
    for s in range(given.z.shape[0]):
        z, column = given.z[s, i], given.columns[s, i]
        for c in range(L):
            eta[r, c] += z * effects[column, c]
    if given.more.shape[1] > 0:
        for c in range(L):
            eta[r, c] += given.more[i, t + c]


@njit(cache=True, nogil=True, error_model="numpy")
def _eta(given: Predictor, out: FloatArray) -> None:
    beta = np.empty((given.beta.shape[0], LANES))
    effects, own = np.empty((given.effects.shape[0], LANES)), np.empty((1, LANES))
    for t in range(0, out.shape[1], LANES):
        L = min(LANES, out.shape[1] - t)
        points_of(given, t, L, beta, effects)
        for i in range(out.shape[0]):
            predict(given, i, t, L, beta, effects, own, 0)
            for c in range(L):
                out[i, t + c] = own[0, c]
