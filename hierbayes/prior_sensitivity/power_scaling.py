"""Power-scaling: how the posterior moves as priors or likelihood are raised to a power.

Draws get weights p(theta)^(alpha - 1), of one prior, of all, or of the likelihood, for alpha just
below and above 1, and the sensitivity of a parameter is the slope of the cumulative Jensen-Shannon
distance between its weighted and unweighted distribution functions in log2 alpha. The computation
is ArviZ's.

Source: Kallioinen, Paananen, Buerkner & Vehtari (2024), Statistics and Computing 34:57.
"""

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import flat_draws
from hierbayes.gaussian.patterned import check_patterned
from hierbayes.prediction.posterior_predict import joint_log_likelihood
from hierbayes.prior_sensitivity.explorer import log_prior_of
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.sensitivity import PowerScaling
from hierbayes.results.unconverged import unconverged

ALPHAS = (0.99, 1.01)
THRESHOLD = 0.05  # Kallioinen et al. (2024)
CONFLICT = "prior and data may disagree"
WEAK = "strong prior or weak data"
FINE = "-"


def power_scaling(fit: PosteriorFit) -> PowerScaling:
    """Sensitivity of every parameter to every prior and to the likelihood."""
    check_patterned(fit.design, "Power-scaling of priors")
    flat, priors = flat_draws(fit.draws, fit.design), fit.priors
    own = {
        p.name: log_prior_of(p, priors.of(p), flat, fit.design, priors)
        for p in priors.all_parameters
    }
    every = np.sum(list(own.values()), axis=0)
    parts = fit.parameters()
    draws = np.concatenate([part.draws for part in parts], axis=2)
    names = [name for part in parts for name in part.names]
    likelihood = joint_log_likelihood(fit)
    by_prior = pd.DataFrame(
        {name: _sensitivities(draws, values) for name, values in own.items()}, index=names
    )
    table = pd.DataFrame(
        {
            "prior": _sensitivities(draws, every),
            "likelihood": _sensitivities(draws, likelihood),
            "strongest": by_prior.fillna(0.0).idxmax(axis=1),
        },
        index=names,
    )
    pairs = zip(table["prior"], table["likelihood"], strict=True)
    table["diagnosis"] = [_diagnosis(prior, data) for prior, data in pairs]
    return PowerScaling(
        table=table,
        by_prior=by_prior,
        threshold=THRESHOLD,
        alphas=ALPHAS,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        findings=unconverged(fit, "what is said of priors"),
    )


def _sensitivities(draws: FloatArray, log_part: FloatArray) -> FloatArray:
    """Sensitivity of parameters (C, D, P) to a part of the log density, (C, D) or flat; (P,)."""
    from arviz_stats.base import array_stats

    shape = draws.shape[:2]
    if np.ptp(log_part) == 0:  # a flat prior is the same to any power
        return np.zeros(draws.shape[2])
    scaled = [
        np.exp(array_stats.power_scale_lw(log_part.reshape(shape), alpha=alpha, axis=(0, 1)))
        for alpha in ALPHAS
    ]
    lower, upper = (w / w.sum() for w in scaled)
    return np.array(
        [
            array_stats.power_scale_sense(
                draws[:, :, i], lower, upper, *ALPHAS, chain_axis=0, draw_axis=1
            )
            for i in range(draws.shape[2])
        ],
        dtype=np.float64,
    )


def _diagnosis(prior: float, data: float) -> str:
    if prior < THRESHOLD:
        return FINE
    return CONFLICT if data >= THRESHOLD else WEAK
