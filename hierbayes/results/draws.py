"""Posterior draws as plain arrays, the same from every sampler; labels come from the design."""

from collections.abc import Mapping
from dataclasses import field

from hierbayes.arrays import FloatArray, record
from hierbayes.results.effects_on_demand import EffectsOnDemand
from hierbayes.results.finding import Finding

TRUSTED_K = 0.7  # a Pareto k above it: the error of a mean under the weights is unknown


@record
class PosteriorDraws:
    """Draws of one model: C chains of D draws.

    Attributes
    ----------
    beta : array, shape (C, D, p), fixed effects of the columns that were kept, user's scale
    sigma : array, shape (C, D), residual sd; None where the family has none or it is known
    sd : factor name -> array (C, D, q), sds over the columns of all terms of the factor
    corr : factor name -> array (C, D, q, q); absent where no two columns may be correlated
    b : factor name -> array (C, D, J, q), random effects in response (link) units per column unit;
        of very many levels made when they are looked at (``effects_on_demand.py``)
    family : name -> array (C, D), further parameters of the response family; (C, D, K) where
        one has several values, such as the thresholds of an ordinal model
    formulas : name -> the draws ``beta sd corr b`` of the predictor of a further parameter that has
        a formula, which is then none of sigma and family
    sample_stats : name -> array (C, D), what the sampler reports for each draw
    sampler : "collapsed" or "nuts"
    log_marginal_likelihood, log_marginal_likelihood_mcse : from the collapsed sampler, or None
    pareto_k : shape parameter of the importance weights, or None
    quadrature_error : by how much twice the nodes change the log likelihood where the effects of
        a generalised model were integrated out by quadrature, or None
    findings : conditions met while sampling
    seconds : wall time of sampling, compiling included
    """

    beta: FloatArray
    sigma: FloatArray | None
    sd: Mapping[str, FloatArray]
    corr: Mapping[str, FloatArray]
    b: Mapping[str, FloatArray | EffectsOnDemand]
    family: Mapping[str, FloatArray] = field(default_factory=dict)
    formulas: Mapping[str, "PosteriorDraws"] = field(default_factory=dict)
    sample_stats: Mapping[str, FloatArray] = field(default_factory=dict)
    sampler: str
    log_marginal_likelihood: float | None = None
    log_marginal_likelihood_mcse: float | None = None
    pareto_k: float | None = None
    quadrature_error: float | None = None
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
