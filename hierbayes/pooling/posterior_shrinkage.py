"""The shrinkage table of the posterior of another family, with the columns of a fit's.

Effects and coefficients are means and sds of the draws, on the scale of the response too: there a
draw's expected responses of the rows of a level, averaged. What they are compared with, a level's
own estimate, its reliability and its shrinkage matrix, are those of the likelihood with all other
parameters at their posterior means.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import AT_ONCE, FlatDraws, flat_draws, linear_predictor
from hierbayes.errors import DataError
from hierbayes.gaussian.products import covariance_shape
from hierbayes.likelihood.generalised import generalised_fit
from hierbayes.likelihood.glmm import glmm_at
from hierbayes.naming.addresses import level_columns
from hierbayes.options import ShrinkageType
from hierbayes.pooling.generalised_shrinkage import factor_tables
from hierbayes.pooling.level_covariances import covariance_draws
from hierbayes.prediction.posterior_predict import response_of
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import ShrinkageTable, gathered_table


def posterior_shrinkage(fit: PosteriorFit, scale: ShrinkageType) -> ShrinkageTable:
    """Return the table of a posterior; see ``hb.shrinkage``."""
    found = factor_tables(at_means(fit), scale)
    for position, columns in enumerate(found.columns):
        own = _on_link(fit, position) if scale == "link" else _on_response(fit, position)
        columns.update(own)
    return gathered_table(fit, found.factors, found.columns, scale=scale)


@once_a_fit
def at_means(fit: PosteriorFit) -> GeneralisedFit:
    """Return the likelihood with its parameters at their posterior means, as a fit.

    Raises
    ------
    DataError
        If the density of the data can't be computed there.
    """
    design, draws = fit.design, fit.draws
    roots = []
    for factor in design.factors:
        covariance = covariance_draws(draws, factor.name).mean(axis=0)
        roots.append(np.linalg.cholesky(covariance)[None])
    dispersion: dict[str, float] = {}
    for parameter in fit.response_family.parameters:
        name = parameter.name
        values = draws.family.get(name, draws.sigma)
        if values is None:  # known residual sds
            continue
        mean = values.mean(axis=(0, 1))
        labelled = {f"{name}[{k + 1}]": float(value) for k, value in enumerate(np.ravel(mean))}
        dispersion |= labelled if mean.ndim else {name: float(mean)}
    try:
        at = glmm_at(
            fit.spec,
            1,
            beta=draws.beta.mean(axis=(0, 1)),
            theta=covariance_shape(design).pack(roots)[0],
            dispersion=dispersion,
        )
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"The density of {design.formula.response_label!r} can't be computed at the posterior "
            "means of the parameters, so there is nothing to compare the levels with. "
            "model.fit() has a table of its own."
        ) from error
    return generalised_fit(fit.spec, at, n_quadrature=1, converged=True, is_singular=False)


def _on_link(fit: PosteriorFit, position: int) -> dict[str, Any]:
    """Columns of one factor that are of the draws, arrays (J, q)."""
    factor, effect = fit.design.factors[position], fit.modes[position]
    own = list(level_columns(fit.design, fit.kept.tolist()).random[position])
    coefficient = fit.coef()[factor.name].to_numpy()[:, own]
    return {
        "effect": effect,
        "effect_sd": np.sqrt(np.diagonal(fit.mode_covariances[position], axis1=1, axis2=2)),
        "coefficient": coefficient,
        "coefficient_sd": fit.coef_sd()[factor.name].to_numpy()[:, own],
    }


def _on_response(fit: PosteriorFit, position: int) -> dict[str, Any]:
    """Columns of one factor that are of the draws, arrays (J,)."""
    flat = flat_draws(fit.draws, fit.design)
    step = max(1, AT_ONCE // fit.nobs)
    parts = [
        _level_means(fit, flat.take(np.arange(start, min(start + step, flat.n_draws))), position)
        for start in range(0, flat.n_draws, step)
    ]
    kept, none = (np.concatenate(part) for part in zip(*parts, strict=True))
    effect = kept - none
    return {
        "population": none.mean(axis=0),
        "effect": effect.mean(axis=0),
        "effect_sd": effect.std(axis=0, ddof=1),
        "coefficient": kept.mean(axis=0),
        "coefficient_sd": kept.std(axis=0, ddof=1),
    }


def _level_means(
    fit: PosteriorFit, flat: FlatDraws, position: int
) -> tuple[FloatArray, FloatArray]:
    """Return mean expected responses of the levels (S, J) with the effects and without a factor's.

    Over the rows of a level, of binomial responses over its trials.
    """
    design, X, response = fit.design, fit.design.X[:, fit.kept], response_of(fit)
    factor, J = design.factors[position], design.factors[position].levels.size
    weights = np.ones(fit.nobs) if response.trials is None else response.trials
    weights = weights / np.bincount(factor.codes, weights=weights, minlength=J)[factor.codes]
    shares = csr_array((weights, (factor.codes, np.arange(fit.nobs))), shape=(J, fit.nobs))
    without = [None if f is factor else f for f in design.factors]
    every = slice(None)
    etas = (
        linear_predictor(flat, X, factors, offset=design.offset, rows=every)
        for factors in (design.factors, without)
    )
    kept, none = (np.asarray(shares @ response.mean(eta, flat, every).T).T for eta in etas)
    return kept, none
