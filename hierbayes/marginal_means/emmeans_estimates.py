"""Marginal means and contrasts with their uncertainty, from a likelihood fit or from draws.

Both give the same columns. Rows that are not estimable, and contrasts with a weight on one, are
NaN.
"""

from collections.abc import Sequence
from functools import partial
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.families.mean_ends import check_means, eta_ends
from hierbayes.intervals.linear_tests import row_tests
from hierbayes.marginal_means.adjustment import adjusted_p, adjusted_quantile
from hierbayes.marginal_means.response_scale import ResponseScale
from hierbayes.options import Adjust, ContrastKind, Ddf
from hierbayes.prediction.generalised_predict import limits_between
from hierbayes.prediction.posterior_predict import response_of
from hierbayes.results.chains import credible_interval
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit

DDF_WORDS: dict[Ddf, str] = {
    "satterthwaite": "degrees of freedom by Satterthwaite's method",
    "kenward-roger": "standard errors and degrees of freedom by Kenward and Roger's method",
    "normal": "normal quantiles, without degrees of freedom",
    "none": "normal quantiles, no tests",
}
RATIO_WORDS: dict[ContrastKind, str] = {
    "difference": "",
    "ratio": "Ratios, with tests and intervals of their logs. ",
    "odds_ratio": "Odds ratios, with tests and intervals of their logs. ",
}
Columns = dict[str, FloatArray]


@record
class MeanRows:
    """The means asked for as rows L beta + offset, the means of one group together.

    Attributes
    ----------
    labels : their values, one row a mean; the first predictor varies fastest
    groups : the rows of each group
    L : array, shape (r, p), kept columns
    offset : array, shape (r,)
    estimable : array, shape (r,)
    z : per grouping factor, array (r, q), columns of the effects to average over; none for means
        of the typical group
    category : array, shape (r,), the ordered category, from 0, whose probability a mean is; None
        where means are expected responses
    """

    labels: pd.DataFrame
    groups: tuple[slice, ...]
    L: FloatArray
    offset: FloatArray
    estimable: BoolArray
    z: tuple[FloatArray, ...] = ()
    category: IntArray | None = None

    def of_categories(self, names: Sequence[str], column: str) -> "MeanRows":
        """Return the rows of each group once for each category, which ``column`` of labels names.

        The categories of a group stand one after the other, each a group of its own.
        """
        places: list[IntArray] = []
        categories: list[IntArray] = []
        groups: list[slice] = []
        for group in self.groups:
            size = group.stop - group.start
            for k in range(len(names)):
                start = sum(part.size for part in places)
                groups.append(slice(start, start + size))
                places.append(np.arange(group.start, group.stop))
                categories.append(np.full(size, k))
        at, category = np.concatenate(places), np.concatenate(categories)
        labels = self.labels.iloc[at].reset_index(drop=True)
        return MeanRows(
            labels=labels.assign(**{column: [names[k] for k in category]}),
            groups=tuple(groups),
            L=self.L[at],
            offset=self.offset[at],
            estimable=self.estimable[at],
            z=tuple(z[at] for z in self.z),
            category=category,
        )

    def spread(self, roots: Sequence[FloatArray]) -> FloatArray | None:
        """Return the sd of eta between groups, from roots (..., q, q) of the covariances."""
        if not self.z:
            return None
        parts = [((z @ root) ** 2).sum(axis=-1) for z, root in zip(self.z, roots, strict=True)]
        return np.sqrt(np.sum(parts, axis=0))


@record
class Request:
    """How means are to be given: degrees of freedom, level and scale, and what contrasts are."""

    ddf: Ddf
    level: float
    on_link: bool
    kind: ContrastKind


def _with_contrasts(
    rows: MeanRows, weights: tuple[FloatArray, ...]
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Rows of the means and below them of the contrasts of every group."""
    pairs = list(zip(rows.groups, weights, strict=True))
    L = np.vstack([rows.L, *(own @ rows.L[group] for group, own in pairs)])
    offset = np.concatenate([rows.offset, *(own @ rows.offset[group] for group, own in pairs)])
    known = [~((own != 0) & ~rows.estimable[group]).any(axis=1) for group, own in pairs]
    return L, offset, np.concatenate([rows.estimable, *known])


def _columns(found: Columns, names: tuple[str, ...], *, half: FloatArray) -> Columns:
    """Columns of a table, the limits of intervals of a half width last."""
    columns = {name: found[name] for name in names}
    limits = {"conf_low": found["estimate"] - half, "conf_high": found["estimate"] + half}
    return columns | limits


@record
class FitEstimates:
    """Tests of all means, then of all contrasts group by group, made in one go.

    The degrees of freedom of all rows share what costs most, the Hessian of the deviance.
    ``limits`` are those of means on the scale of the response: those of eta, carried over.
    """

    fit: LikelihoodFit
    tests: Columns
    rows: MeanRows
    weights: tuple[FloatArray, ...] | None
    ddf: Ddf
    level: float
    limits: tuple[FloatArray, FloatArray] | None = None
    scale: ResponseScale | None = None

    @classmethod
    def of(
        cls,
        fit: LikelihoodFit,
        rows: MeanRows,
        *,
        weights: tuple[FloatArray, ...] | None,
        request: Request,
    ) -> Self:
        """Test the means, and contrasts ``weights`` (c, k) between those of each group of k."""
        L, offset, known = rows.L, rows.offset, rows.estimable
        if weights is not None:
            L, offset, known = _with_contrasts(rows, weights)
        if not request.on_link and isinstance(fit, GeneralisedFit):
            return cls._on_response(fit, rows, weights=weights, request=request)
        found = row_tests(fit, L[known], ddf=request.ddf, rhs=-offset[known])
        columns = {
            "estimate": found.estimate + offset[known],
            "std_error": found.std_error,
            "df": found.df,
            "statistic": found.statistic,
            "p_value": found.p_value,
        }
        tests = {name: np.full(known.shape, np.nan) for name in columns}
        for name, values in columns.items():
            tests[name][known] = values
        return cls(
            fit=fit, tests=tests, rows=rows, weights=weights, ddf=request.ddf, level=request.level
        )

    @classmethod
    def _on_response(
        cls,
        fit: GeneralisedFit,
        rows: MeanRows,
        *,
        weights: tuple[FloatArray, ...] | None,
        request: Request,
    ) -> Self:
        """Give expected responses of the means and their differences, by the delta method."""
        curve = _Curve(fit=fit, category=rows.category)
        scale = ResponseScale(
            expected=curve.values,
            family=fit.response_family,
            kind=request.kind,
            spread=rows.spread(fit.effect_roots),
        )
        eta = np.where(rows.estimable, rows.L @ fit.beta + rows.offset, np.nan)
        check_means(fit.response_family, eta)
        mu, contrasted = scale.means(eta), np.nan_to_num(scale.contrasted(eta))
        slopes = scale.slopes(eta, curve.slopes)
        G, H = (  # in beta and thresholds
            np.hstack([slope[:, :1] * rows.L, slope[:, 1:]]) for slope in map(np.nan_to_num, slopes)
        )
        estimate, gradient = [mu], [G]
        for group, own in zip(rows.groups, weights or (), strict=weights is not None):
            lost = ((own != 0) & ~rows.estimable[group]).any(axis=1)
            estimate.append(np.where(lost, np.nan, own @ contrasted[group]))
            gradient.append(own @ H[group])
        values = np.concatenate(estimate)
        se = np.sqrt(((np.vstack(gradient) @ fit.fixed_root) ** 2).sum(axis=1))
        se = np.where(np.isnan(values), np.nan, se)
        tested = request.ddf != "none"
        tests = {
            "estimate": values,
            "std_error": se,
            "df": np.where(np.isnan(values) | (not tested), np.nan, np.inf),
            "statistic": values / se,
            "p_value": 2 * ndtr(-np.abs(values / se)) if tested else np.full(se.shape, np.nan),
        }
        if fit.response_family.is_ordinal:
            low, high = curve.ends
            sd = se[: mu.size]
            ends = limits_between(mu, sd, low=low, high=high, level=request.level)
        else:
            sd = np.sqrt(((rows.L @ fit.vcov_root) ** 2).sum(axis=1))
            half = ndtri((1 + request.level) / 2) * sd
            limits = np.clip([eta - half, eta + half], *eta_ends(fit.response_family))
            below, above = np.sort([scale.means(limit) for limit in limits], axis=0)
            ends = below, above
        return cls(
            fit=fit,
            tests=tests,
            rows=rows,
            weights=weights,
            ddf=request.ddf,
            level=request.level,
            limits=ends,
            scale=scale,
        )

    def means(self) -> Columns:
        """Columns of the table of means."""
        found = {name: values[: len(self.rows.labels)] for name, values in self.tests.items()}
        if self.limits is not None:
            columns = {name: found[name] for name in ("estimate", "std_error", "df")}
            return columns | dict(zip(("conf_low", "conf_high"), self.limits, strict=True))
        quantile = adjusted_quantile(
            found["df"], level=self.level, method="none", n_means=1, n_tests=1
        )
        return _columns(found, ("estimate", "std_error", "df"), half=quantile * found["std_error"])

    def contrasts(self, group: int, *, method: Adjust) -> Columns:
        """Columns of the contrasts of a group of means, one family."""
        assert self.weights is not None
        count, n_means = self.weights[group].shape
        start = len(self.rows.labels) + sum(own.shape[0] for own in self.weights[:group])
        found = {name: values[start : start + count] for name, values in self.tests.items()}
        known = ~np.isnan(found["estimate"])
        p_value = adjusted_p(
            found["p_value"], found["statistic"], found["df"], method=method, n_means=n_means
        )
        half = np.full(count, np.nan)
        half[known] = found["std_error"][known] * adjusted_quantile(
            found["df"][known],
            level=self.level,
            method=method,
            n_means=n_means,
            n_tests=int(known.sum()),
        )
        names = ("estimate", "std_error", "df", "statistic", "p_value")
        columns = _columns(found | {"p_value": p_value}, names, half=half)
        if self.scale is None:
            return columns
        ends = ("estimate", "conf_low", "conf_high")
        shown = {name: self.scale.shown(columns[name]) for name in ends}
        if self.scale.kind != "difference":
            shown["std_error"] = shown["estimate"] * columns["std_error"]
        return columns | shown

    def mean_words(self) -> str:
        """Say what the intervals of the means are."""
        return f"{self.level:.0%} confidence intervals; {self._ddf_words()}."

    def contrast_words(self, method: Adjust, *, n_means: str, n_tests: str, grouped: bool) -> str:
        """Say what the tests and intervals of the contrasts are."""
        how = {
            "tukey": f"adjusted by Tukey's method for comparing {n_means} means",
            "holm": f"p adjusted by Holm's method for {n_tests} tests, intervals by Bonferroni's",
            "none": "not adjusted for several tests",
        }[method]
        family = " within each group" if grouped and method != "none" else ""
        kind: ContrastKind = "difference" if self.scale is None else self.scale.kind
        return (
            f"{RATIO_WORDS[kind]}{self.level:.0%} confidence intervals, {how}{family}; "
            f"{self._ddf_words()}."
        )

    def _ddf_words(self) -> str:
        if self.fit.is_linear_model and self.ddf in ("satterthwaite", "kenward-roger"):
            return "residual degrees of freedom"
        scale = ""
        if isinstance(self.fit, GeneralisedFit):
            scale = f", on the scale of the {self.fit.link} link"
            scale = scale if self.limits is None else f", {_scale_words(self.rows)}"
        return f"{DDF_WORDS[self.ddf]}{scale}"


@record
class _Curve:
    """The expected response at eta, or the probability of a row's category, with derivatives."""

    fit: GeneralisedFit
    category: IntArray | None

    @property
    def ends(self) -> tuple[float, float]:
        """Between which ends values of an ordinal model lie."""
        if self.category is not None:
            return 0.0, 1.0
        first = self.fit.first_category
        return first, first + self.fit.n_thresholds

    def values(self, eta: FloatArray) -> FloatArray:
        """Values at eta (r,)."""
        if self.category is None:
            return self.fit.expected_at(eta)
        shares = self.fit.category_probabilities(eta)
        return np.asarray(np.take_along_axis(shares, self.category[:, None], axis=1)[:, 0])

    def slopes(self, eta: FloatArray) -> FloatArray:
        """Return derivatives in eta and in K thresholds, (r, 1 + K)."""
        if not self.fit.response_family.is_ordinal:
            return self.fit.expected_slope(eta)[:, None]
        slopes = self.fit.category_slopes(eta)
        if self.category is None:
            return np.einsum("rcj,c->rj", slopes, np.arange(slopes.shape[1], dtype=np.float64))
        return np.asarray(np.take_along_axis(slopes, self.category[:, None, None], axis=1)[:, 0])


def _scale_words(rows: MeanRows) -> str:
    scale = "response" if rows.category is None else "probability"
    return f"on the {scale} scale"


def _expected(
    fit: PosteriorFit, flat: FlatDraws, category: IntArray | None, eta: FloatArray
) -> FloatArray:
    """Return the expected response at eta (S, r) of each draw, or the category's probability."""
    response = response_of(fit, {})
    if category is None:
        return response.mean(eta, flat, slice(None))
    shares = response.category_probabilities(eta, flat, slice(None))
    return np.asarray(np.take_along_axis(shares, category[None, :, None], axis=2)[..., 0])


@record
class PosteriorEstimates:
    """Draws (S, r) of the means, and the weights of contrasts between those of a group.

    ``contrasted`` (S, r) is what contrasts are differences of, on the scale of ``response``.
    """

    draws: FloatArray
    contrasted: FloatArray
    groups: tuple[slice, ...]
    weights: tuple[FloatArray, ...] | None
    level: float
    scale: str
    response: ResponseScale | None

    @classmethod
    def of(
        cls,
        fit: PosteriorFit,
        rows: MeanRows,
        *,
        weights: tuple[FloatArray, ...] | None,
        request: Request,
    ) -> Self:
        """Draw the means; there are no degrees of freedom, and contrasts come from the draws."""
        flat = flat_draws(fit.draws, fit.design)
        values = flat.beta @ rows.L.T + rows.offset
        values[:, ~rows.estimable] = np.nan
        scale, response, contrasted = "", None, values
        if not fit.predictor_is_expectation:
            scale = f" on the scale of the {fit.link} link"
            if not request.on_link:
                scale = f" {_scale_words(rows)}"
                response = ResponseScale(
                    expected=partial(_expected, fit, flat, rows.category),
                    family=fit.response_family,
                    kind=request.kind,
                    spread=rows.spread(flat.roots),
                )
                contrasted, values = response.contrasted(values), response.means(values)
        return cls(
            draws=values,
            contrasted=contrasted,
            groups=rows.groups,
            weights=weights,
            level=request.level,
            scale=scale,
            response=response,
        )

    def means(self) -> Columns:
        """Columns of the table of means."""
        return self._summaries(self.draws)

    def contrasts(self, group: int, *, method: Adjust) -> Columns:
        """Columns of the contrasts of a group of means; nothing is adjusted."""
        del method
        assert self.weights is not None
        own, weights = self.contrasted[:, self.groups[group]], self.weights[group]
        values = np.nan_to_num(own) @ weights.T
        if self.response is not None:
            values = self.response.shown(values)
        values[:, ((weights != 0) & np.isnan(own[0])).any(axis=1)] = np.nan
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

    def contrast_words(self, method: Adjust, *, n_means: str, n_tests: str, grouped: bool) -> str:
        """Say what the intervals of the contrasts are."""
        del method, n_means, n_tests, grouped
        kind: ContrastKind = "difference" if self.response is None else self.response.kind
        what = {"difference": "contrasts", "ratio": "ratios", "odds_ratio": "odds ratios"}[kind]
        return (
            f"Posterior means and sds of the {what}{self.scale}, {self.level:.0%} equal-tailed "
            "credible intervals; nothing is tested."
        )
