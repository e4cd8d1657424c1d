"""Likelihood profiles of the parameters of a linear mixed model."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.results.exporting import Exportable
from hierbayes.results.finding import Finding
from hierbayes.results.result_table import ResultTable, result_table


@record(repr=False)
class ProfileResult(Exportable):
    """Profiles of m of a model's parameters, each over a grid of its values.

    Where a parameter is held at a value and all others are at their best, the deviance is higher
    than at the estimate; zeta is the root of that difference, negative below the estimate. A
    straight line of zeta over the value means that the likelihood is quadratic there, and Wald
    intervals are right; a curved one, that they are not.

    Attributes
    ----------
    names : lme4's names of the m profiled parameters
    estimates : array, shape (m,), by maximum likelihood
    level : confidence level the profiles reach to, and of ``limits``
    limits : array, shape (m, 2); NaN where there is none, see ``reasons``
    owner : array of int, shape (N,), the profiled parameter of each grid point, in order
    zeta : array, shape (N,), signed root of the deviance change
    all_names : names of all M parameters of the model
    points : array, shape (N, M), values of all parameters at the grid points
    deviance : minus twice the log-likelihood at the estimate
    reasons : parameter -> why it lacks a limit
    findings : how the numbers came about, and what to know of them
    formula_text, data_name : of the fit
    """

    names: tuple[str, ...]
    estimates: FloatArray
    level: float
    limits: FloatArray
    owner: IntArray
    zeta: FloatArray
    all_names: tuple[str, ...]
    points: FloatArray
    deviance: float
    reasons: Mapping[str, str]
    findings: tuple[Finding, ...]
    formula_text: str
    data_name: str

    def __post_init__(self) -> None:
        """Make the arrays read-only: results are safe to share."""
        for array in (self.estimates, self.limits, self.owner, self.zeta, self.points):
            array.flags.writeable = False

    def to_frame(self, others: bool = False) -> ResultTable:
        """One row a grid point, by parameter and value.

        Parameters
        ----------
        others : bool
            Add a column for each parameter of the model, with its best value at that point.

        Returns
        -------
        pandas.DataFrame
            Columns ``parameter value zeta``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> hb.profile(fit, "sigma").to_frame()["zeta"].is_monotonic_increasing
        True
        """
        place = [self.all_names.index(name) for name in self.names]
        frame = pd.DataFrame(
            {
                "parameter": [self.names[i] for i in self.owner],
                "value": self.points[np.arange(self.zeta.size), np.array(place)[self.owner]],
                "zeta": self.zeta,
            }
        )
        if others:
            values = pd.DataFrame(self.points.copy(), columns=list(self.all_names))
            frame = pd.concat([frame, values], axis=1)
        return result_table(frame, "profile")

    def confint(self) -> ResultTable:
        """Profile confidence intervals at the level of the profiles.

        Returns
        -------
        pandas.DataFrame
            Index lme4's names, columns ``estimate lower upper``; estimates by maximum likelihood.
        """
        columns = {
            "estimate": self.estimates,
            "lower": self.limits[:, 0],
            "upper": self.limits[:, 1],
        }
        return result_table(columns, "confint", index=list(self.names))
