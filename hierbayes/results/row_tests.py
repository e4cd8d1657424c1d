"""Tests of linear combinations of fixed effects, each on its own."""

import numpy as np

from hierbayes.arrays import FloatArray, record


@record
class RowTests:
    """t tests of the c rows of L beta = rhs, arrays of shape (c,).

    ``statistic`` is (estimate - rhs) / std_error; df is infinite for a normal statistic, and df and
    p are missing where none are asked for. ``notes`` are sentences on all of them.
    """

    estimate: FloatArray
    std_error: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    notes: tuple[str, ...] = ()

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Confidence limits; with a normal quantile where there are no degrees of freedom."""
        from scipy.special import ndtri, stdtrit

        upper = (1 + level) / 2
        quantile = np.full(self.df.shape, ndtri(upper))
        finite = np.isfinite(self.df)
        quantile[finite] = stdtrit(self.df[finite], upper)
        half = quantile * self.std_error
        return self.estimate - half, self.estimate + half
