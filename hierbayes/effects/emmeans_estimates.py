"""Marginal means and contrasts with their uncertainty, from a likelihood fit or from draws.

Both give the same columns. Rows that are not estimable, and contrasts with a weight on one, are
NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.predictive import flat_draws
from hierbayes.bayes.response import Response
from hierbayes.effects.adjustment import adjusted_p, adjusted_quantile
from hierbayes.intervals.linear_tests import row_tests
from hierbayes.options import Adjust, Ddf
from hierbayes.results.chains import credible_interval
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit

FloatArray = npt.NDArray[np.float64]
DDF_WORDS: dict[Ddf, str] = {
    "satterthwaite": "degrees of freedom by Satterthwaite's method",
    "kenward-roger": "standard errors and degrees of freedom by Kenward and Roger's method",
    "normal": "normal quantiles, without degrees of freedom",
    "none": "normal quantiles, no tests",
}
BoolArray = npt.NDArray[np.bool_]
Columns = dict[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEstimates:
    """Means L beta + offset of a likelihood fit; L is (r, p), offset (r,)."""

    fit: LikelihoodFit
    L: FloatArray
    offset: FloatArray
    estimable: BoolArray
    ddf: Ddf
    level: float

    @classmethod
    def of(
        cls,
        fit: Any,
        L: FloatArray,
        offset: FloatArray,
        *,
        estimable: BoolArray,
        ddf: Ddf,
        level: float,
        on_link: bool,
    ) -> "FitEstimates":
        """Take the rows; a Gaussian model has one scale, so ``on_link`` changes nothing."""
        del on_link
        return cls(fit=fit, L=L, offset=offset, estimable=estimable, ddf=ddf, level=level)

    def means(self) -> Columns:
        """Columns of the table of means."""
        found = self._tested(self.L, self.offset, self.estimable)
        quantile = adjusted_quantile(
            found["df"], level=self.level, method="none", n_means=1, n_tests=1
        )
        half = quantile * found["std_error"]
        return {
            "estimate": found["estimate"],
            "std_error": found["std_error"],
            "df": found["df"],
            "conf_low": found["estimate"] - half,
            "conf_high": found["estimate"] + half,
        }

    def contrasts(
        self, weights: FloatArray, rows: slice, *, method: Adjust, n_means: int
    ) -> Columns:
        """Columns of the contrasts ``weights`` (c, k) of the k means at ``rows``, one family."""
        known = ~((weights != 0) & ~self.estimable[rows]).any(axis=1)
        found = self._tested(weights @ self.L[rows], weights @ self.offset[rows], known)
        statistic, df = found["statistic"], found["df"]
        p_value = adjusted_p(found["p_value"], statistic, df, method=method, n_means=n_means)
        half = np.full(known.shape, np.nan)
        half[known] = found["std_error"][known] * adjusted_quantile(
            df[known], level=self.level, method=method, n_means=n_means, n_tests=int(known.sum())
        )
        return {
            "estimate": found["estimate"],
            "std_error": found["std_error"],
            "df": df,
            "statistic": statistic,
            "p_value": p_value,
            "conf_low": found["estimate"] - half,
            "conf_high": found["estimate"] + half,
        }

    def _tested(self, L: FloatArray, offset: FloatArray, known: BoolArray) -> Columns:
        tests = row_tests(self.fit, L[known], ddf=self.ddf, rhs=-offset[known])
        columns = {
            "estimate": tests.estimate + offset[known],
            "std_error": tests.std_error,
            "df": tests.df,
            "statistic": tests.statistic,
            "p_value": tests.p_value,
        }
        found = {name: np.full(known.shape, np.nan) for name in columns}
        for name, values in columns.items():
            found[name][known] = values
        return found

    def mean_words(self) -> str:
        """Say what the intervals of the means are."""
        return f"{self.level:.0%} confidence intervals; {self._ddf_words()}."

    def contrast_words(self, method: Adjust, *, n_means: int, n_tests: int, grouped: bool) -> str:
        """Say what the tests and intervals of the contrasts are."""
        how = {
            "tukey": f"adjusted by Tukey's method for comparing {n_means} means",
            "holm": f"p adjusted by Holm's method for {n_tests} tests, intervals by Bonferroni's",
            "none": "not adjusted for several tests",
        }[method]
        family = " within each group" if grouped and method != "none" else ""
        return f"{self.level:.0%} confidence intervals, {how}{family}; {self._ddf_words()}."

    def _ddf_words(self) -> str:
        if self.fit.is_linear_model and self.ddf in ("satterthwaite", "kenward-roger"):
            return "residual degrees of freedom"
        return DDF_WORDS[self.ddf]


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorEstimates:
    """Draws (S, r) of the means."""

    draws: FloatArray
    level: float
    scale: str

    @classmethod
    def of(
        cls,
        fit: Any,
        L: FloatArray,
        offset: FloatArray,
        *,
        estimable: BoolArray,
        ddf: Ddf,
        level: float,
        on_link: bool,
    ) -> "PosteriorEstimates":
        """Draws of the means; a posterior has no degrees of freedom, so ``ddf`` is not used."""
        del ddf
        posterior: PosteriorFit = fit
        values = flat_draws(posterior.draws, posterior.design).beta @ L.T + offset
        values[:, ~estimable] = np.nan
        scale = ""
        if not posterior.predictor_is_expectation:
            scale = f" on the scale of the {posterior.link} link"
            if not on_link:
                values = Response(family=posterior.family, link=posterior.link, y=None).mean(values)
                scale = " on the response scale"
        return cls(draws=values, level=level, scale=scale)

    def means(self) -> Columns:
        """Columns of the table of means."""
        return self._summaries(self.draws)

    def contrasts(
        self, weights: FloatArray, rows: slice, *, method: Adjust, n_means: int
    ) -> Columns:
        """Columns of contrasts; a posterior needs no adjustment, so ``method`` is not used."""
        del method, n_means
        own = self.draws[:, rows]
        unknown = np.isnan(own[0])
        values = np.nan_to_num(own) @ weights.T
        values[:, ((weights != 0) & unknown).any(axis=1)] = np.nan
        found = self._summaries(values)
        none = np.full(weights.shape[0], np.nan)
        return {
            "estimate": found["estimate"],
            "std_error": found["std_error"],
            "df": none,
            "statistic": none,
            "p_value": none,
            "conf_low": found["conf_low"],
            "conf_high": found["conf_high"],
        }

    def _summaries(self, values: FloatArray) -> Columns:
        interval = credible_interval(values, self.level, "eti")
        return {
            "estimate": values.mean(axis=0),
            "std_error": values.std(axis=0, ddof=1),
            "df": np.full(values.shape[1], np.nan),
            "conf_low": interval.low,
            "conf_high": interval.high,
        }

    def mean_words(self) -> str:
        """Say what the intervals of the means are."""
        return (
            f"Posterior means and sds{self.scale}, {self.level:.0%} equal-tailed credible "
            f"intervals from {self.draws.shape[0]} draws."
        )

    def contrast_words(self, method: Adjust, *, n_means: int, n_tests: int, grouped: bool) -> str:
        """Say what the intervals of the contrasts are."""
        del method, n_means, n_tests, grouped
        return (
            f"Posterior means and sds of the contrasts{self.scale}, {self.level:.0%} equal-tailed "
            "credible intervals; nothing is tested."
        )
