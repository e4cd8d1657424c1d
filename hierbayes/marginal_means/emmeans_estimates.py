"""Marginal means as quantities, of a likelihood fit or of draws, and what their numbers are.

A mean on the link scale is l'beta. On the scale of the response it is tested and has its interval
as the linear predictor, and is carried over; the mean number or the probability of an ordered
category is tested as the logit of its place between the ends. Contrasts are differences on the
scale that was asked for.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.families.mean_ends import check_means, eta_ends
from hierbayes.marginal_means.response_scale import ResponseScale
from hierbayes.options import Adjust, ContrastKind, Ddf, IntervalKind
from hierbayes.prediction.posterior_predict import response_of
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.marginal_quantities import (
    EXPONENTIAL,
    Carried,
    DrawQuantities,
    Family,
    FitQuantities,
    Marginals,
    Quantities,
    Question,
)
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
LINK_RATIOS: dict[str, ContrastKind] = {"log": "ratio", "logit": "odds_ratio"}


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
    """How means are to be given: degrees of freedom and scale, what contrasts are, intervals."""

    ddf: Ddf
    on_link: bool
    kind: ContrastKind
    interval: IntervalKind = "eti"


def mean_marginals(
    fit: Fit, rows: MeanRows, request: Request, *, specs: tuple[str, ...], by: tuple[str, ...]
) -> Marginals:
    """Return the means of rows with what they are contrasted by."""
    scale = scale_words(fit, rows, on_link=request.on_link)
    on_response = bool(scale) and not request.on_link
    carried: Carried | None = None
    response: Carried | None = None
    tested: Quantities
    contrasted: Quantities
    if isinstance(fit, PosteriorFit):
        tested, contrasted, response = _draws(fit, rows, request)
    elif isinstance(fit, GeneralisedFit) and on_response:
        tested, carried, contrasted = _on_response(fit, rows, request)
    else:
        tested = contrasted = on_link(fit, rows, ddf=request.ddf)
        if isinstance(fit, GeneralisedFit) and not fit.response_family.is_ordinal:
            response = _carried_over(*response_curve(fit, rows, "difference"))
    exp: ContrastKind | None = None if request.kind == "difference" else request.kind
    if not on_response and scale:
        exp = LINK_RATIOS.get(fit.link)
    return Marginals(
        labels=rows.labels,
        specs=specs,
        by=by,
        groups=rows.groups,
        tested=tested,
        carried=carried,
        response=carried if response is None else response,
        contrasted=contrasted,
        exp_of_difference=exp,
        shows_exp=on_response and exp is not None,
        scale=scale,
        family=Family.of_means(rows.groups),
    )


def scale_words(fit: Fit, rows: MeanRows, *, on_link: bool) -> str:
    """Say where the numbers live; nothing where there is one scale only."""
    if has_one_scale(fit):
        return ""
    if on_link:
        return f"on the scale of the {fit.link} link"
    return "on the response scale" if rows.category is None else "on the probability scale"


def has_one_scale(fit: Fit) -> bool:
    """Whether the linear predictor is the expected response."""
    if isinstance(fit, PosteriorFit):
        return fit.predictor_is_expectation
    return not isinstance(fit, GeneralisedFit)


def on_link(fit: LikelihoodFit, rows: MeanRows, *, ddf: Ddf) -> FitQuantities:
    """Return the linear predictors of rows."""
    eta = np.where(rows.estimable, rows.L @ fit.beta + rows.offset, np.nan)
    return FitQuantities(
        fit=fit, ddf=ddf, values=eta, gradient=rows.L, further=np.empty((eta.size, 0))
    )


def _on_response(
    fit: GeneralisedFit, rows: MeanRows, request: Request
) -> tuple[FitQuantities, Carried, FitQuantities]:
    """Return what means are tested as, how they are shown, and what is contrasted."""
    curve, scale = response_curve(fit, rows, request.kind)
    eta = on_link(fit, rows, ddf=request.ddf)
    check_means(fit.response_family, eta.values)
    of_means, of_contrasts = map(np.nan_to_num, scale.slopes(eta.values, curve.slopes))
    contrasted = _sloped(eta, scale.contrasted(eta.values), of_contrasts)
    if not fit.response_family.is_ordinal:
        return eta, _carried_over(curve, scale), contrasted
    low, high = curve.ends
    mu = scale.means(eta.values)
    place = (mu - low) / (high - low)
    with np.errstate(divide="ignore", invalid="ignore"):  # a probability that is 0 or 1 in doubles
        steepness = 1 / ((high - low) * place * (1 - place))[:, None]
        tested = _sloped(eta, logit(place), np.nan_to_num(steepness) * of_means)
    between = Carried(
        lambda q: low + (high - low) * expit(q),
        lambda q: (high - low) * expit(q) * expit(-q),
    )
    return tested, between, contrasted


def response_curve(
    fit: GeneralisedFit, rows: MeanRows, kind: ContrastKind
) -> tuple["ResponseCurve", ResponseScale]:
    """Return expected responses of rows as functions of eta."""
    curve = ResponseCurve(fit=fit, category=rows.category)
    scale = ResponseScale(
        expected=curve.values,
        family=fit.response_family,
        kind=kind,
        spread=rows.spread(fit.effect_roots),
    )
    return curve, scale


def response_values(fit: GeneralisedFit, rows: MeanRows, *, ddf: Ddf) -> FitQuantities:
    """Return expected responses of rows as quantities of their own."""
    curve, scale = response_curve(fit, rows, "difference")
    eta = on_link(fit, rows, ddf=ddf)
    check_means(fit.response_family, eta.values)
    slopes = np.nan_to_num(scale.slopes(eta.values, curve.slopes)[0])
    return _sloped(eta, scale.means(eta.values), slopes)


def _sloped(eta: FitQuantities, values: FloatArray, slopes: FloatArray) -> FitQuantities:
    """Return functions of eta with derivatives in it and in K thresholds, (r, 1 + K)."""
    return FitQuantities(
        fit=eta.fit,
        ddf=eta.ddf,
        values=values,
        gradient=np.hstack([slopes[:, :1] * eta.gradient, slopes[:, 1:]]),
        further=eta.further,
    )


def _carried_over(curve: "ResponseCurve", scale: ResponseScale) -> Carried:
    ends = eta_ends(scale.family)

    def to(eta: FloatArray) -> FloatArray:
        return scale.means(np.clip(eta, *ends))

    return Carried(to, lambda eta: scale.slopes(eta, curve.slopes)[0][:, 0])


@record
class ResponseCurve:
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


def _expected(
    fit: PosteriorFit, flat: FlatDraws, category: IntArray | None, eta: FloatArray
) -> FloatArray:
    """Return the expected response at eta (S, r) of each draw, or the category's probability."""
    response = response_of(fit, {})
    if category is None:
        return response.mean(eta, flat, slice(None))
    shares = response.category_probabilities(eta, flat, slice(None))
    return np.asarray(np.take_along_axis(shares, category[None, :, None], axis=2)[..., 0])


def _draws(
    fit: PosteriorFit, rows: MeanRows, request: Request
) -> tuple[DrawQuantities, DrawQuantities, Carried | None]:
    """Draws of the means, and of what contrasts are differences of; and the response of these."""
    flat = flat_draws(fit.draws, fit.design)
    eta = flat.beta @ rows.L.T + rows.offset
    eta[:, ~rows.estimable] = np.nan
    values = DrawQuantities(fit=fit, draws=eta, interval=request.interval)
    if fit.predictor_is_expectation:
        return values, values, None
    response = draw_scale(fit, rows, flat, request.kind)
    if request.on_link:
        return values, values, Carried(response.means, np.ones_like)
    means, contrasted = response.means(eta), response.contrasted(eta)
    return (
        DrawQuantities(fit=fit, draws=means, interval=request.interval),
        DrawQuantities(fit=fit, draws=contrasted, interval=request.interval),
        None,
    )


def draw_scale(
    fit: PosteriorFit, rows: MeanRows, flat: FlatDraws, kind: ContrastKind
) -> ResponseScale:
    """Return expected responses of rows, draw by draw, as functions of eta (S, r)."""
    return ResponseScale(
        expected=partial(_expected, fit, flat, rows.category),
        family=fit.response_family,
        kind=kind,
        spread=rows.spread(flat.roots),
    )


def shown_exp(marginals: Marginals) -> Carried | None:
    """How differences are shown."""
    return EXPONENTIAL if marginals.shows_exp else None


def mean_words(marginals: Marginals, question: Question) -> str:
    """Say what the intervals of means are."""
    tested = marginals.tested
    if isinstance(tested, FitQuantities):
        return f"{question.level:.0%} confidence intervals; {_ddf_words(marginals)}."
    scale = f" {marginals.scale}" if marginals.scale else ""
    return (
        f"Posterior means and sds{scale}, {question.level:.0%} {_interval(tested)} "
        f"intervals from {tested.draws.shape[0]} draws."
    )


def _interval(tested: DrawQuantities) -> str:
    kind = "equal-tailed" if tested.interval == "eti" else "highest-density"
    return f"{kind} credible"


def contrast_words(
    marginals: Marginals, question: Question, method: Adjust, columns: Sequence[str]
) -> str:
    """Say what the intervals and tests of quantities are, of those in ``columns``."""
    tested, has_tests = marginals.tested, "p_value" in columns
    has_intervals = "conf_low" in columns
    ratios = marginals.carried is EXPONENTIAL and marginals.exp_of_difference
    kind: ContrastKind = ratios or "difference"
    if isinstance(tested, DrawQuantities):
        ends = f", {question.level:.0%} {_interval(tested)} intervals" if has_intervals else ""
        if has_tests:
            ends += f"; {_probability_words(question)}; nothing is tested"
        return _draw_words(marginals, kind, ends)
    how = _adjusted_words(marginals, method)
    if not has_tests:
        how = how.removeprefix("p ").replace(STEP_NAMES.get(method, "?"), "Bonferroni's")
    elif method in STEP_NAMES and has_intervals:
        how += ", intervals by Bonferroni's"
    lead = f"{question.level:.0%} confidence intervals, {how}"
    if not has_intervals:
        lead = f"p values {how.removeprefix('p ')}"
    family = " within each group" if marginals.by and method != "none" else ""
    asked = _asked_words(marginals, question) if has_tests else _side_words(question)
    return f"{RATIO_WORDS[kind]}{lead}{family}; {_ddf_words(marginals)}.{asked}"


def _adjusted_words(marginals: Marginals, method: Adjust) -> str:
    n_means = _from_to([n for n in marginals.family.n_means if n])
    n_tests = _from_to([g.stop - g.start for g in marginals.groups if g.stop > g.start])
    known = {
        "none": "not adjusted for several tests",
        "tukey": f"adjusted by Tukey's method for comparing {n_means} means",
        "mvt": f"adjusted by the multivariate t distribution of {n_tests} tests",
        "dunnettx": f"adjusted by Dunnett's method (approximately) for {n_tests} tests",
        "scheffe": "adjusted by Scheffe's method for all combinations of these",
        "sidak": f"adjusted by Sidak's method for {n_tests} tests",
        "bonferroni": f"adjusted by Bonferroni's method for {n_tests} tests",
    }
    if method in known:
        return known[method]
    return f"p adjusted by {STEP_NAMES[method]} method for {n_tests} tests"


def _draw_words(marginals: Marginals, kind: ContrastKind, ends: str) -> str:
    what = {"difference": "", "ratio": " of the ratios", "odds_ratio": " of the odds ratios"}[kind]
    scale = f" {marginals.scale}" if marginals.scale else ""
    return f"Posterior means and sds{what}{scale}{ends}."


STEP_NAMES: dict[Adjust, str] = {
    "holm": "Holm's",
    "hochberg": "Hochberg's",
    "hommel": "Hommel's",
    "fdr": "Benjamini and Hochberg's (false discovery rate)",
    "by": "Benjamini and Yekutieli's (false discovery rate)",
}


def _asked_words(marginals: Marginals, question: Question) -> str:
    """Say what is tested where it is not that a quantity is zero."""
    null, delta = question.null, question.delta
    of_tests = " on the scale of the link"
    if marginals.carried is EXPONENTIAL:
        of_tests = " (of logs)"
    where = of_tests if marginals.carried is not None else ""
    around = f"{null:g}{where}" if null else "zero"
    if question.side == "two-sided":
        if delta:
            return f" Tests of equivalence: less than {delta:g} away from {around}."
        return f" Tests against {null:g}{where}." if null else ""
    if delta:
        kind = "noninferiority to" if question.side == ">" else "nonsuperiority to"
        return f" Tests of {kind} {around} with a margin of {delta:g}."
    return f" One-sided tests: {question.side} {null:g}{where}."


def _side_words(question: Question) -> str:
    return {"<": " Upper limits only.", ">": " Lower limits only."}.get(question.side, "")


def _probability_words(question: Question) -> str:
    null, delta = question.null, question.delta
    if question.side == "two-sided" and not delta:
        zero = f"{null:g}" if null else "zero"
        return f"P(direction) is the share of draws on the more frequent side of {zero}"
    if question.side == "two-sided":
        return f"the probability is that of less than {delta:g} away from {null:g}"
    bound = null - delta if question.side == ">" else null + delta
    return f"the probability is that of {question.side} {bound:g}"


def _ddf_words(marginals: Marginals) -> str:
    tested = marginals.tested
    assert isinstance(tested, FitQuantities)
    fit = tested.fit
    exact = fit.is_linear_model and not fit.residual_names
    if exact and tested.ddf in ("satterthwaite", "kenward-roger"):
        return "residual degrees of freedom"
    scale = f", {marginals.scale}" if marginals.scale else ""
    return f"{DDF_WORDS[tested.ddf]}{scale}"


def _from_to(counts: list[int]) -> str:
    """Write how many there are in every group: ``3``, or ``2 to 3`` where groups differ."""
    if not counts:
        return "0"
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
