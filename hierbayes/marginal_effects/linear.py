"""Effects of linear models: combinations l'beta of fixed effects, and of fitted groups w'b besides.

A difference, a slope or an average prediction is linear in beta, so its standard error and degrees
of freedom are those of a contrast. A ratio has the gradient of its log at the estimates in the
place of l. The mean over new groups is that of the typical group: effects have mean zero. For the
observed groups what is not known of their effects counts too (``prediction_variance.py``).
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array, diags_array

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.design.design import GroupingFactor
from hierbayes.intervals.linear_tests import row_tests, two_sided_p
from hierbayes.intervals.satterthwaite import held_notes
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_means.emmeans_estimates import DDF_WORDS
from hierbayes.options import Ddf
from hierbayes.prediction.prediction_variance import PredictionVariance
from hierbayes.prediction.residual_variance import effects_variance
from hierbayes.results.fit_tables import own_ddf
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.row_tests import RowTests
from hierbayes.specification.fitted_values import unknown_fitted_sds

AT_ONCE = 2**21  # weights of effects laid out at once


def linear_values(fit: LinearFit, plan: Plan) -> FloatArray:
    """Return the results (m, 1) of a fit, ratios as logs."""
    return plan.combined(plan.transformed(_means(fit, plan)))


def linear_estimates(fit: LinearFit, plan: Plan, *, ddf: Ddf | None, level: float) -> Estimates:
    """Return results with their tests and intervals."""
    ddf = own_ddf(fit) if ddf is None else ddf
    whole = fit.representing
    means = _means(whole, plan)
    slope = plan.slope(means)
    estimate = plan.combined(plan.transformed(means))[:, 0]
    L = plan.combined(slope * plan.averaged(plan.X))
    per_level = level_weights(plan, slope[:, 0], np.ones(plan.X.shape[0]))
    if any(abs(w).sum() for w in per_level):
        tests = _with_effects(fit, plan, estimate, L, per_level, ddf=ddf)
    else:
        tests = _of_rows(fit, plan, estimate, L, ddf=ddf)
    low, high = tests.interval(level)
    error = tests.std_error
    if plan.kind != "difference":
        error = np.exp(tests.estimate) * error
    how = DDF_WORDS[ddf]
    exact = fit.is_linear_model and not fit.residual_names
    if exact and ddf in ("satterthwaite", "kenward-roger"):
        how = "residual degrees of freedom"
    return Estimates(
        estimate=plan.shown(tests.estimate),
        std_error=error,
        df=tests.df,
        statistic=tests.statistic,
        p_value=tests.p_value,
        conf_low=plan.shown(low),
        conf_high=plan.shown(high),
        words=f"{level:.0%} confidence intervals; {how}.",
        notes=held_notes(fit, ddf),
    )


def level_weights(plan: Plan, slope: FloatArray, row_slope: FloatArray) -> list[csr_array]:
    """Per factor what each effect of each level counts in the results, sparse (m, J q).

    Parameters
    ----------
    plan : Plan
    slope : array, shape (k,), derivatives of results' parts in the averages
    row_slope : array, shape (M,), those of expected responses in eta
    """
    outer = plan.results @ diags_array(slope) @ plan.averages @ diags_array(row_slope)
    return [csr_array(outer @ _effects_of_rows(factor)) for factor in plan.factors]


def laid_out(weights: Sequence[csr_array], plan: Plan, rows: slice) -> list[FloatArray]:
    """Weights of some results as arrays (rows, J, q)."""
    return [
        w[rows].toarray().reshape(-1, factor.levels.size, factor.z.shape[1])
        for w, factor in zip(weights, plan.factors, strict=True)
    ]


def blocks(weights: Sequence[csr_array]) -> list[slice]:
    """Cut the results into blocks whose weights of effects fit in memory."""
    m, size = weights[0].shape[0], sum(w.shape[1] for w in weights)
    step = max(1, AT_ONCE // max(size, 1))
    return [slice(start, min(start + step, m)) for start in range(0, m, step)]


def _effects_of_rows(factor: GroupingFactor) -> csr_array:
    """Z of one factor, (M, J q)."""
    M, q = factor.z.shape
    columns = factor.codes[:, None] * q + np.arange(q)
    at = (np.repeat(np.arange(M), q), columns.ravel())
    return csr_array((factor.z.ravel(), at), shape=(M, factor.levels.size * q))


def _means(fit: LinearFit, plan: Plan) -> FloatArray:
    """Return the averages (k, 1)."""
    eta = plan.X @ fit.beta + plan.offset
    for factor, b in zip(plan.factors, fit.modes, strict=bool(plan.factors)):
        eta = eta + (factor.z * b[factor.codes]).sum(axis=1)
    return plan.averaged(eta[:, None])


def _of_rows(
    fit: LinearFit, plan: Plan, estimate: FloatArray, L: FloatArray, *, ddf: Ddf
) -> RowTests:
    """Test results that hang on beta alone, (m,)."""
    known = plan.estimable
    found = row_tests(
        fit, L[known], ddf=ddf, rhs=L[known] @ fit.representing.beta - estimate[known]
    )

    def whole(values: FloatArray) -> FloatArray:
        out = np.full(known.shape, np.nan)
        out[known] = values
        return out

    return RowTests(
        estimate=whole(np.where(np.isnan(found.estimate), np.nan, estimate[known])),
        std_error=whole(found.std_error),
        statistic=whole(found.statistic),
        df=whole(found.df),
        p_value=whole(found.p_value),
    )


def _with_effects(
    fit: LinearFit,
    plan: Plan,
    estimate: FloatArray,
    L: FloatArray,
    weights: Sequence[csr_array],
    *,
    ddf: Ddf,
) -> RowTests:
    """Test results that hang on the effects of fitted groups, (m,)."""
    if ddf == "kenward-roger":
        raise not_supported("kenward-roger-of-effects")
    if fit.spec.has_fitted_sds:
        raise unknown_fitted_sds("target='observed groups'")
    found = [
        effects_variance(fit.representing, L[rows], laid_out(weights, plan, rows))
        for rows in blocks(weights)
    ]
    sd = np.concatenate([part.sd for part in found])
    df = np.concatenate([part.df for part in found])
    if ddf != "satterthwaite":
        df = np.full(df.shape, np.inf if ddf == "normal" else np.nan)
    sd = np.where(plan.estimable, sd, np.nan)
    if fit.alternatives:
        estimate = fit.shown(lambda one: linear_values(one, plan)[:, 0], fit.row_scale)
        sd[~fit.determined(lambda one: _given_theta(one, plan, L, weights))] = np.nan
    statistic = estimate / sd
    missing = np.full(df.shape, np.nan)
    return RowTests(
        estimate=np.where(plan.estimable, estimate, np.nan),
        std_error=sd,
        statistic=statistic,
        df=np.where(plan.estimable, df, np.nan),
        p_value=missing if ddf == "none" else two_sided_p(statistic, df),
    )


def _given_theta(
    fit: LinearFit, plan: Plan, L: FloatArray, weights: Sequence[csr_array]
) -> FloatArray:
    parts: list[PredictionVariance] = [
        effects_variance(fit, L[rows], laid_out(weights, plan, rows)) for rows in blocks(weights)
    ]
    return np.concatenate([part.given_theta for part in parts])
