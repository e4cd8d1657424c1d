"""Effects of posteriors: every result in every draw, its mean or median and credible interval.

Over new groups the expected response of a draw is its mean over groups with the sds and
correlations of that draw, by quadrature: no groups are drawn, so there is no further noise.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import FlatDraws, flat_draws, linear_predictor, row_blocks
from hierbayes.capabilities import not_supported
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_effects.request import EffectRequest
from hierbayes.marginal_means.response_scale import ResponseScale
from hierbayes.prediction.posterior_predict import response_of
from hierbayes.results.chains import credible_interval
from hierbayes.results.posterior_fit import PosteriorFit

MOST_NUMBERS = 2**25  # draws times results: 256 MB


def posterior_estimates(fit: PosteriorFit, plan: Plan, asked: EffectRequest) -> Estimates:
    """Return results with their credible intervals.

    Raises
    ------
    NotSupportedError
        For more draws of results than fit in memory.
    """
    flat = flat_draws(fit.draws, fit.design)
    k = plan.averages.shape[0]
    if flat.n_draws * k > MOST_NUMBERS:
        raise not_supported("effect-draws", draws=flat.n_draws, results=k)
    values = plan.combined(plan.transformed(_averages(fit, flat, plan, asked)))
    values[:, ~plan.estimable] = np.nan
    values = values.reshape(flat.n_draws, -1)
    flat_values = plan.shown(values)
    sign = np.maximum((values > 0).mean(axis=0), (values < 0).mean(axis=0))
    interval = credible_interval(flat_values, asked.level, asked.credible)
    middle = flat_values.mean(axis=0) if asked.centre == "mean" else np.median(flat_values, axis=0)
    how = {"eti": "equal-tailed", "hdi": "highest density"}[asked.credible]
    return Estimates(
        estimate=middle,
        std_error=flat_values.std(axis=0, ddof=1),
        conf_low=interval.low,
        conf_high=interval.high,
        p_direction=np.where(np.isnan(values[0]), np.nan, sign),
        draws=flat_values,
        words=(
            f"Posterior {asked.centre}s and sds, {asked.level:.0%} {how} credible intervals from "
            f"{flat.n_draws} draws."
        ),
    )


def _averages(fit: PosteriorFit, flat: FlatDraws, plan: Plan, asked: EffectRequest) -> FloatArray:
    """Return the averages of every draw, (S, k, C)."""
    M, k = plan.averages.shape[1], plan.averages.shape[0]
    total: FloatArray | None = None
    for rows in row_blocks(flat.n_draws, M):
        values = _expected(fit, flat, plan, rows, asked)
        S, m, C = values.shape
        part = plan.averages[:, rows] @ values.transpose(1, 0, 2).reshape(m, -1)
        total = part if total is None else total + part
        shape = (k, S, C)
    assert total is not None
    return np.asarray(total).reshape(shape).transpose(1, 0, 2)


def _expected(
    fit: PosteriorFit, flat: FlatDraws, plan: Plan, rows: slice, asked: EffectRequest
) -> FloatArray:
    """Return the expected responses of a block of rows in every draw, (S, rows, C)."""
    factors = plan.factors or (None,) * len(flat.b)
    eta = linear_predictor(flat, plan.X, factors, offset=plan.offset, rows=rows)
    if asked.type == "link" or fit.predictor_is_expectation:
        return eta[..., None]
    response = response_of(fit, {})

    def expected(eta: FloatArray) -> FloatArray:
        if asked.type == "probability":
            return response.category_probabilities(eta, flat, slice(None))
        return response.mean(eta, flat, slice(None))[..., None]

    spread = None
    if plan.z:
        parts = [((z[rows] @ r) ** 2).sum(axis=-1) for z, r in zip(plan.z, flat.roots, strict=True)]
        spread = np.sqrt(np.sum(parts, axis=0))
    scale = ResponseScale(
        expected=expected, family=fit.response_family, kind="difference", spread=spread
    )
    return scale.means(eta)
