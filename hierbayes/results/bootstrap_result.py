"""Replicates of a bootstrap, and the confidence intervals read from them.

With replicates t*_1 ... t*_B of an estimate t and q(a) their quantiles, the limits at level 1 - a
are

    percentile   q(a/2), q(1 - a/2)
    basic        2 t - q(1 - a/2), 2 t - q(a/2)
    bca          q(Phi(z0 + (z0 + z) / (1 - A (z0 + z)))) at z = Phi^-1(a/2), Phi^-1(1 - a/2)

where Phi(z0) is the share of replicates below t (half of those equal to it) and the acceleration
A = sum d^3 / (6 (sum d^2)^1.5), d_j = mean(t_(.)) - t_(j), comes from the jackknife estimates t_(j)
without one level of the top grouping factor each (without one group of levels, where there are
more than a thousand).

Source: Efron (1987), J. Am. Stat. Assoc. 82:171-185; DiCiccio & Efron (1996), Stat. Sci.
11:189-228.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.options import BootstrapInterval, BootstrapKind, check_option
from hierbayes.results.exporting import Exportable
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tidy import check_level


@record(repr=False)
class BootstrapResult(Exportable):
    """What a bootstrap of a fit gave.

    Attributes
    ----------
    names : the m quantities: lme4's names of the parameters, or those of a statistic
    estimates : array, shape (m,), of the fit itself
    replicates : array, shape (nsim, m); NaN where a refit failed, or a quantity is not defined
        (a correlation beside an sd of zero)
    bounds : array, shape (m, 2), the smallest and the largest value a quantity can have
    kind : "parametric", "residual" or "cases"
    drawn : what was drawn anew, in words
    formula_text, data_name, method : of the fit
    n_failed : refits that did not converge, or could not be done
    n_boundary : refits with a covariance on the boundary
    failure : what the first failed refit said, may be empty
    jackknife : call that gives the estimates without one level each, shape (J, m)
    """

    names: tuple[str, ...]
    estimates: FloatArray
    replicates: FloatArray
    bounds: FloatArray
    kind: BootstrapKind
    drawn: str
    formula_text: str
    data_name: str
    method: str
    n_failed: int
    n_boundary: int
    failure: str
    jackknife: Callable[[], FloatArray]

    def __post_init__(self) -> None:
        """Make the arrays read-only: results are safe to share."""
        for array in (self.estimates, self.replicates, self.bounds):
            array.flags.writeable = False

    @property
    def nsim(self) -> int:
        """Number of replicates."""
        return self.replicates.shape[0]

    @property
    def n_missing(self) -> dict[str, int]:
        """Quantities that are not defined in some successful replicates, and in how many."""
        counts = np.isnan(self.replicates).sum(axis=0) - self.n_failed
        return {n: int(c) for n, c in zip(self.names, counts, strict=True) if c > 0}

    def to_frame(self) -> ResultTable:
        """One row a replicate, one column a quantity.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> hb.bootstrap(fit, nsim=100, random_seed=1).to_frame().columns.tolist()
        ['sd_(Intercept)|Batch', 'sigma', '(Intercept)']
        """
        index = pd.RangeIndex(1, self.nsim + 1, name="replicate")
        return result_table(
            self.replicates.copy(), "bootstrap", index=index, columns=list(self.names)
        )

    @property
    def bias(self) -> FloatArray:
        """Mean of the replicates minus the estimate, shape (m,)."""
        return self._over_replicates(np.mean) - self.estimates

    @property
    def sd(self) -> FloatArray:
        """Standard deviations of the replicates: bootstrap standard errors, shape (m,)."""
        return self._over_replicates(lambda t: t.std(ddof=1) if t.size > 1 else np.nan)

    def confint(
        self, level: float = 0.95, interval: BootstrapInterval = "percentile"
    ) -> ResultTable:
        """Confidence intervals from the replicates.

        Parameters
        ----------
        level : float
        interval : {"percentile", "basic", "bca"}
            "bca" corrects for bias and skewness; it fits the model once more for each level of
            the top grouping factor.

        Returns
        -------
        pandas.DataFrame
            Index the quantities, columns ``estimate lower upper``. "bca" is NaN where the
            correction does not exist: for an estimate on its boundary (an sd of zero), and where
            all replicates are on one side of the estimate.

        Raises
        ------
        NotSupportedError
            For "bca" of a fit with crossed factors.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> found = hb.bootstrap(fit, nsim=200, random_seed=1).confint(level=0.9)
        >>> found.columns.tolist()
        ['estimate', 'lower', 'upper']
        """
        check_level(level)
        check_option("interval", interval, BootstrapInterval)
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        limits = np.full((len(self.names), 2), np.nan)
        for j, estimate in enumerate(self.estimates):
            values = self._known(j)
            if not values.size:
                continue
            if interval == "basic":
                found = 2 * estimate - np.quantile(values, tails)[::-1]
                limits[j] = np.clip(found, *self.bounds[j])
            elif interval == "percentile":
                limits[j] = np.quantile(values, tails)
            else:
                shares = self._bca_shares(j, values, tails)
                limits[j] = np.nan if np.isnan(shares).any() else np.quantile(values, shares)
        columns = {"estimate": self.estimates, "lower": limits[:, 0], "upper": limits[:, 1]}
        return result_table(columns, "confint", index=list(self.names))

    @cached_property
    def acceleration(self) -> FloatArray:
        """A of the BCa interval, shape (m,); 0 where the jackknife estimates do not vary."""
        estimates = self.jackknife()
        known = ~np.isnan(estimates)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, estimates, 0.0).sum(axis=0) / count
        d = np.where(known, mean - estimates, 0.0)
        squares = (d**2).sum(axis=0)
        scale = 6 * np.where(squares > 0, squares, 1.0) ** 1.5
        return np.asarray((d**3).sum(axis=0) / scale)

    def _bca_shares(self, j: int, values: FloatArray, tails: FloatArray) -> FloatArray:
        """Shares of the replicates below the BCa limits, NaN where there are none."""
        from scipy.special import ndtr, ndtri

        estimate = self.estimates[j]
        below = ((values < estimate).sum() + 0.5 * (values == estimate).sum()) / values.size
        if estimate in self.bounds[j] or not 0 < below < 1:
            return np.full(2, np.nan)
        z0 = ndtri(below)
        shifted = z0 + ndtri(tails)
        left = 1 - self.acceleration[j] * shifted
        return np.where(left > 0, ndtr(z0 + shifted / np.where(left > 0, left, 1.0)), np.nan)

    def _known(self, j: int) -> FloatArray:
        values = self.replicates[:, j]
        return np.asarray(values[~np.isnan(values)])

    def _over_replicates(self, function: Callable[[FloatArray], float]) -> FloatArray:
        columns = [self._known(j) for j in range(len(self.names))]
        return np.array([function(t) if t.size else np.nan for t in columns], dtype=np.float64)
