"""Effects of generalised fits by the delta method: exact means, and derivatives checked to 1e-9.

The expected response of a row is mu(eta, phi), or over new groups the mean of mu(eta + s u, phi)
over u ~ N(0, 1), s^2 = z'Sigma z summed over the grouping factors, by Gauss-Hermite quadrature. A
result f = K t(A mu) has the gradient

    df = K t'(A mu) A (mu_eta X, mu_theta, mu_phi)

in (beta, theta, phi), whose joint covariance is that of the fit: over new groups the uncertainty of
their sds is in the standard error. For the observed groups eta has z'b besides, b the modes; what
is not known of b given beta counts, with theta taken as known (``generalised_predict.py``).
"""

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.families.mean_ends import check_means
from hierbayes.families.observations import no_responses
from hierbayes.gaussian.products import covariance_shape
from hierbayes.intervals.linear_tests import row_df, two_sided_p
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.finite_steps import PART, derivative, step_of
from hierbayes.marginal_effects.linear import blocks, laid_out, level_weights
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_means.response_scale import ResponseScale
from hierbayes.options import Ddf, PredictionType
from hierbayes.prediction.generalised_predict import level_uncertainty, limits_between
from hierbayes.results.generalised_fit import GeneralisedFit


@record
class Means:
    """Expected responses of the rows of a plan, as functions of a fit's parameters.

    Attributes
    ----------
    fit : GeneralisedFit
    plan : Plan
    type : "response", "link" or "probability"
    """

    fit: GeneralisedFit
    plan: Plan
    type: PredictionType

    @property
    def eta(self) -> FloatArray:
        """Linear predictor of the rows, without the effects that are averaged over, (M,)."""
        eta = self.plan.X @ self.fit.beta + self.plan.offset
        for factor, b in zip(self.plan.factors, self.fit.modes, strict=bool(self.plan.factors)):
            eta = eta + (factor.z * b[factor.codes]).sum(axis=1)
        return np.asarray(eta)

    @property
    def dispersion(self) -> FloatArray:
        """Further parameters of the family, (d,)."""
        return np.array(list(self.fit.dispersion.values()), dtype=np.float64)

    def at(self, eta: FloatArray, theta: FloatArray, dispersion: FloatArray) -> FloatArray:
        """Return expected responses at some parameters, (M, C)."""
        if self.type == "link":
            return eta[:, None]
        scale = ResponseScale(
            expected=lambda eta: self._of_groups(eta, dispersion),
            family=self.fit.response_family,
            kind="difference",
            spread=self._spread(theta),
        )
        return scale.means(eta)

    def _spread(self, theta: FloatArray) -> FloatArray | None:
        """Return the sd of eta between groups, (M,); None of a typical or observed group."""
        if not self.plan.z:
            return None
        roots = covariance_shape(self.fit.design).unpack(theta[None])
        parts = [((z @ r[0]) ** 2).sum(axis=1) for z, r in zip(self.plan.z, roots, strict=True)]
        return np.sqrt(np.sum(parts, axis=0))

    def _of_groups(self, eta: FloatArray, dispersion: FloatArray) -> FloatArray:
        """Return the expected response at eta (M,), or the probabilities of categories: (M, C)."""
        fit, family = self.fit, self.fit.response_family
        if not family.knows_expectation:
            raise no_responses(family)
        parameters = dict(zip(fit.dispersion, dispersion, strict=True))
        known = {name: np.asarray(value) for name, value in parameters.items()}
        if fit.n_thresholds:
            known = {"threshold": dispersion}
        if self.type == "probability":
            return family.category_probabilities(eta, known)
        return np.asarray(fit.first_category + family.expected(eta, known))[:, None]


def generalised_values(fit: GeneralisedFit, plan: Plan, type: PredictionType) -> FloatArray:
    """Return the results (m, C) of a fit, ratios as logs."""
    means = Means(fit=fit, plan=plan, type=type)
    eta = means.eta
    if type != "link":
        check_means(fit.response_family, eta)
    mu = means.at(eta, fit.representative, means.dispersion)
    return plan.combined(plan.transformed(plan.averaged(mu)))


def generalised_estimates(
    fit: GeneralisedFit,
    plan: Plan,
    type: PredictionType,
    *,
    ddf: Ddf | None,
    level: float,
    is_contrast: bool,
) -> Estimates:
    """Return results with their tests and intervals.

    Raises
    ------
    NotSupportedError
        For degrees of freedom, which are those of Gaussian models.
    """
    ddf = "normal" if ddf is None else ddf
    row_df(fit, np.zeros((1, fit.beta.size)), ddf=ddf)  # refuses those of Gaussian models
    means = Means(fit=fit, plan=plan, type=type)
    eta, theta, phi = means.eta, fit.representative, means.dispersion
    if type != "link":
        check_means(fit.response_family, eta)
    averages = plan.averaged(means.at(eta, theta, phi))
    values = plan.combined(plan.transformed(averages))
    values[~plan.estimable] = np.nan
    se = np.sqrt(_variances(fit, means, averages))
    se[~plan.estimable] = np.nan
    half = ndtri((1 + level) / 2) * se
    tested = ddf != "none"
    low, high, scale = plan.shown(values - half), plan.shown(values + half), ""
    if not is_contrast:
        low, high, scale = _limits_of_means(fit, type, values, se, level=level)
    shown = plan.shown(values)
    statistic = (values / se).ravel()
    df = np.where(np.isnan(statistic) | (not tested), np.nan, np.inf)
    return Estimates(
        estimate=shown.ravel(),
        std_error=(se if plan.kind == "difference" else shown * se).ravel(),
        df=df,
        statistic=statistic,
        p_value=two_sided_p(statistic, df) if tested else np.full(df.shape, np.nan),
        conf_low=low.ravel(),
        conf_high=high.ravel(),
        words=(
            f"{level:.0%} confidence intervals by the delta method{scale}; normal quantiles"
            f"{'' if tested else ', no tests'}."
        ),
        notes=_notes(fit, plan),
    )


def _notes(fit: GeneralisedFit, plan: Plan) -> tuple[str, ...]:
    if not plan.z and not plan.factors:
        return ()
    if plan.factors:
        return ("The sds of the random effects are taken as known.",)
    if fit.is_singular:
        return ("A sd or correlation of the random effects on its boundary is taken as known.",)
    return ("The uncertainty of the sds of the random effects is in the standard errors.",)


def _variances(fit: GeneralisedFit, means: Means, averages: FloatArray) -> FloatArray:
    """Return the variances (m, C) of results, of ratios as logs."""
    plan = means.plan
    eta, theta, phi = means.eta, fit.representative, means.dispersion
    root = fit.whole_root
    errors = np.sqrt((root**2).sum(axis=1))
    p, k = fit.beta.size, theta.size
    of_eta = np.sqrt(((plan.X @ root[:p]) ** 2).sum(axis=1))
    along = derivative(lambda move: means.at(eta + move, theta, phi), step_of(eta, of_eta))
    C = along.shape[1]
    gradient = np.zeros((plan.averages.shape[0], C, root.shape[0]))
    for c in range(C):
        gradient[:, c, :p] = plan.averaged(along[:, c, None] * plan.X)
    for j in np.flatnonzero(errors[p:] > 0).tolist():
        if j < k and not plan.z:
            continue
        unit = np.eye(root.shape[0] - p)[j]

        def moved(move: FloatArray, unit: FloatArray = unit) -> FloatArray:
            return means.at(eta, theta + move * unit[:k], phi + move * unit[k:])

        steps = derivative(moved, np.array(PART * errors[p + j]))
        gradient[:, :, p + j] = plan.averaged(steps)
    slope = plan.slope(averages)
    out = np.empty((plan.results.shape[0], C))
    for c in range(C):
        own = plan.combined(slope[:, c, None] * gradient[:, c])
        given = np.zeros(own.shape[0])
        if plan.factors:
            given = _of_effects(fit, plan, slope[:, c], along[:, c], own)
        out[:, c] = given + ((own @ root) ** 2).sum(axis=1)
    return out


def _of_effects(
    fit: GeneralisedFit, plan: Plan, slope: FloatArray, along: FloatArray, gradient: FloatArray
) -> FloatArray:
    """Variance of results given beta (m,); takes what the modes move from their gradient (m, P)."""
    weights = level_weights(plan, slope, along)
    p, P, K = fit.beta.size, gradient.shape[1], fit.n_thresholds
    moved_places = np.r_[:p, P - K : P]
    given = np.empty(gradient.shape[0])
    for rows in blocks(weights):
        given[rows], moved = level_uncertainty(fit, laid_out(weights, plan, rows))
        gradient[rows, moved_places] -= moved
    return given


def _limits_of_means(
    fit: GeneralisedFit, type: PredictionType, means: FloatArray, se: FloatArray, *, level: float
) -> tuple[FloatArray, FloatArray, str]:
    """Limits (m, C) of averages, inside of what they can be, and on which scale they were made."""
    family = fit.response_family
    half = ndtri((1 + level) / 2) * se
    if type == "link":
        return means - half, means + half, f" on the scale of the {fit.link} link"
    if type == "probability":
        ends = limits_between(means, se, low=0.0, high=1.0, level=level)
        return *ends, ", made on the scale of the logit"
    if family.is_ordinal:
        first = fit.first_category
        last = first + fit.n_thresholds
        ends = limits_between(means, se, low=first, high=last, level=level)
        return *ends, ", made on the scale of the logit"
    if family.has_expectation:
        link = family.link
        eta = link.forward(means)
        slope = derivative(lambda move: family.mean(eta + move), step_of(eta, np.zeros_like(eta)))
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.abs(half / slope)
            limits = np.sort([family.mean(eta - width), family.mean(eta + width)], axis=0)
        scale = "" if link.name == "identity" else f", made on the scale of the {link.name} link"
        return limits[0], limits[1], scale
    if family.counts_trials or family.reads_categories:
        ends = limits_between(means, se, low=0.0, high=1.0, level=level)
        return *ends, ", made on the scale of the logit"
    if (means > 0).all() and (family.link.name == "log" or family.is_log_response):
        ratio = np.exp(half / means)
        return means / ratio, means * ratio, ", made on the scale of the log"
    return means - half, means + half, ""
