"""Where NUTS starts: estimates or prior medians, in the free variables of a PyMC model.

Chains start around one point, far enough apart for R-hat to see chains that disagree and near
enough to need no search: coefficients within their standard errors, sds within a third.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.naming.variable_names import factor_variables
from hierbayes.options import Parameterization
from hierbayes.priors.distributions import REAL
from hierbayes.priors.model_priors import ModelPriors

# An sd estimated as zero starts at this fraction of its prior's median: log(0) is no start.
SMALLEST_SD = 0.05
SHRUNKEN = 0.9  # correlations start at this fraction of their estimates, away from -1 and 1
JITTER = 0.3  # of log sds, unscaled random effects and whatever has no scale of its own


@record
class Start:
    """A point of the parameter space on the user's scale.

    Attributes
    ----------
    beta, beta_sd : arrays, shape (p,); the sd says how far chains may start apart
    sigma : residual sd, None where there is none
    sd : per factor, array (q,), all positive
    corr : per factor, array (q, q), positive definite
    b : per factor, array (J, q)
    family : further parameters of the response, by name
    """

    beta: FloatArray
    beta_sd: FloatArray
    sigma: float | None
    sd: tuple[FloatArray, ...]
    corr: tuple[FloatArray, ...]
    b: tuple[FloatArray, ...]
    family: Mapping[str, FloatArray] = field(default_factory=dict)


def start_from_priors(design: Design, priors: ModelPriors) -> Start:
    """Start at prior medians; a flat prior has none, and counts as centred at 0 (sds: 1)."""
    beta = np.nan_to_num(np.array([float(prior.quantile(0.5)) for prior in priors.beta]))
    upper = np.array([float(prior.quantile(0.6)) for prior in priors.beta])
    beta_sd = np.where(np.isfinite(upper), upper - beta, 0.0)
    if priors.intercept is not None:
        beta[priors.intercept] -= priors.centre @ beta
    beta, beta_sd = _on_support(beta, beta_sd, priors)
    sd = tuple(np.array([_median(prior) for prior in laws]) / 4 for laws in priors.sd)
    return Start(
        beta=beta,
        beta_sd=beta_sd,
        sigma=None if priors.sigma is None else _median(priors.sigma),
        sd=sd,
        corr=tuple(np.eye(values.size) for values in sd),
        b=tuple(np.zeros((f.levels.size, f.z.shape[1])) for f in design.factors),
        family={
            name: _thresholds(design) + priors.centre @ beta
            if name == "threshold"
            else np.asarray(_median(prior))
            for name, prior in priors.family.items()
        },
    )


def _on_support(
    beta: FloatArray, beta_sd: FloatArray, priors: ModelPriors
) -> tuple[FloatArray, FloatArray]:
    """Move coefficients (p,) with one-sided priors inside; what moves there has no unit."""
    beta, beta_sd = beta.copy(), np.array(beta_sd, dtype=np.float64)
    shift = priors.centre @ beta
    for k, law in enumerate(priors.beta):
        if law.bounds() == REAL:
            continue
        low, high = np.nan_to_num(law.quantile([SMALLEST_SD, 1 - SMALLEST_SD]), nan=np.inf)
        low = low if np.isfinite(low) else max(abs(beta_sd[k]), np.finfo(float).tiny)
        own = beta[k] + (shift if k == priors.intercept else 0.0)
        beta[k] += np.clip(own, low, high) - own
        beta_sd[k] = JITTER
    if priors.intercept is not None:  # its prior is at centred predictors, wherever slopes moved
        beta[priors.intercept] += shift - priors.centre @ beta
    return beta, beta_sd


def _thresholds(design: Design) -> FloatArray:
    """Return increasing cut points between the categories of the response."""
    return np.linspace(-1.0, 1.0, max(np.unique(design.y).size - 1, 1))


def inside(start: Start, priors: ModelPriors) -> Start:
    """Move estimates on the boundary into the interior."""
    sds = [
        np.maximum(sd, [SMALLEST_SD * _median(prior) for prior in laws])
        for sd, laws in zip(start.sd, priors.sd, strict=True)
    ]
    corrs = [
        SHRUNKEN * np.nan_to_num(corr) + (1 - SHRUNKEN) * np.eye(len(corr)) for corr in start.corr
    ]
    for corr in corrs:
        np.fill_diagonal(corr, 1.0)
    beta, beta_sd = _on_support(start.beta, start.beta_sd, priors)
    return Start(
        beta=beta,
        beta_sd=beta_sd,
        sigma=start.sigma,
        sd=tuple(sds),
        corr=tuple(corrs),
        b=start.b,
        family=start.family,
    )


def _median(prior: Any) -> float:
    found = float(prior.quantile(0.5))
    return found if np.isfinite(found) and found > 0 else 1.0


@record(kw_only=False)
class FreeValue:
    """Value of a free variable, and how far chains start apart once it is transformed."""

    value: FloatArray
    jitter: FloatArray


def free_values(
    design: Design, start: Start, *, parameterization: Parameterization = "noncentered"
) -> dict[str, FreeValue]:
    """Return the start in every variable that a model of ``build_model`` may have free."""
    found: dict[str, FreeValue] = {}

    def add(name: str, value: Any, jitter: Any) -> None:
        array = np.asarray(value, dtype=np.float64)
        found[name] = FreeValue(array, np.broadcast_to(np.asarray(jitter, float), array.shape))

    if start.beta.size:
        add("beta", start.beta, start.beta_sd)
    if start.sigma is not None:
        add("sigma", start.sigma, JITTER)
    for name, value in start.family.items():
        add(name, value, JITTER)
    names = factor_variables([factor.name for factor in design.factors])
    for f, factor in enumerate(design.factors):
        name, sd = names[factor.name], start.sd[f]
        add(f"sd_{name}", sd, JITTER)
        add(f"corr_{name}", start.corr[f], JITTER)
        add(f"b_{name}", start.b[f], JITTER * (sd if parameterization == "centered" else 1.0))
    return found
