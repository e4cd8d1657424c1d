"""The inverse R^-1 of the residuals' covariance over sigma^2, times columns and on its diagonal."""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.gaussian.residual.root import inverse_diagonal, inverse_times


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
    def _sds(self) -> FloatArray:
        return self.found.relative_sds(self.phi)

    def times(self, columns: FloatArray) -> FloatArray:
        """Return R^-1 times columns (n, c)."""
        sds = self._sds[:, None]
        return np.asarray(inverse_times(self.found, self.phi[None], (columns / sds)[None])[0] / sds)

    def diagonal(self) -> FloatArray:
        """Return the diagonal of R^-1, (n,)."""
        return np.asarray(inverse_diagonal(self.found, self.phi[None])[0] / self._sds**2)
