"""A known covariance between the levels of a grouping factor: b ~ N(0, A x Lambda Lambda')."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import FloatArray, record
from hierbayes.linalg.threads import one_blas_thread


@record
class LevelCovariance:
    """A: how the effects of the levels go together, but for the variance to be estimated.

    Attributes
    ----------
    labels : array of str, shape (J,), levels without rows included
    matrix : array, shape (J, J), symmetric and positive definite
    """

    labels: npt.NDArray[np.str_]
    matrix: FloatArray

    @cached_property
    def root(self) -> FloatArray:
        """Lower Cholesky factor of A, shape (J, J)."""
        with one_blas_thread(self.labels.size < 500):
            return np.linalg.cholesky(self.matrix)
