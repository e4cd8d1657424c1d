"""The inverse R^-1 of the residuals' covariance over sigma^2, times columns and on its diagonal.

With H = diag(1 / s) of the relative sds, weights included, and the entries E of ``entries.py``
between units, R^-1 = H U'E U H: the units U are the rows, and of blocks of equal correlation the
sums over their rows of equal sd.
"""

from functools import cached_property
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.residual.of_design import DesignResiduals


@record
class Precision:
    """R^-1 at one phi.

    Attributes
    ----------
    found : structure of n rows
    phi : array, shape (d,)
    """

    found: DesignResiduals
    phi: FloatArray

    @cached_property
    def _half(self) -> FloatArray:
        return 1 / self.found.relative_sds(self.phi)

    @cached_property
    def _between(self) -> Any:
        """E (u, u), sparse."""
        from scipy.sparse import csr_array

        structure = self.found.structure
        entries, n = structure.entries, self._half.size
        kinds = structure.correlation.kinds(self.phi[None, structure.n_spreads :])
        value = kinds.value[0, entries.kind]
        off = entries.left != entries.right
        left = np.concatenate([entries.left, entries.right[off]])
        right = np.concatenate([entries.right, entries.left[off]])
        size = n + entries.n_blocks
        places = (left, right)
        return csr_array((np.concatenate([value, value[off]]), places), shape=(size, size))

    def times(self, columns: FloatArray) -> FloatArray:
        """Return R^-1 times columns (n, c)."""
        entries, n = self.found.structure.entries, self._half.size
        units = self._half[:, None] * columns
        if entries.block is None:
            return np.asarray(self._half[:, None] * (self._between @ units))
        sums = np.zeros((entries.n_blocks, columns.shape[1]))
        np.add.at(sums, entries.block, units)
        out = self._between @ np.concatenate([units, sums])
        return np.asarray(self._half[:, None] * (out[:n] + out[n + entries.block]))

    def diagonal(self) -> FloatArray:
        """Return the diagonal of R^-1, (n,)."""
        entries, n = self.found.structure.entries, self._half.size
        own = self._between.diagonal()
        found = own[:n] if entries.block is None else own[:n] + own[n + entries.block]
        return np.asarray(self._half**2 * found)
