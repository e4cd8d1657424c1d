"""Effects with intervals from refits of simulated responses."""

from functools import partial

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.intervals.bootstrap import bootstrap
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.generalised import generalised_values
from hierbayes.marginal_effects.linear import linear_values
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_effects.request import EffectRequest
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.wording import counted


def likelihood_values(fit: LikelihoodFit, plan: Plan, asked: EffectRequest) -> FloatArray:
    """Return the results of a fit as tables show them, (m C,)."""
    if isinstance(fit, GeneralisedFit):
        return plan.shown(generalised_values(fit, plan, asked.type)).ravel()
    assert isinstance(fit, LinearFit)
    return plan.shown(linear_values(fit, plan)).ravel()


def bootstrap_estimates(fit: LikelihoodFit, plan: Plan, asked: EffectRequest) -> Estimates:
    """Return results with percentile intervals.

    Raises
    ------
    NotSupportedError
        For the observed groups, whose effects are drawn anew in every replicate.
    """
    if plan.factors:
        raise not_supported("bootstrap-of-observed-groups")
    found = bootstrap(
        fit,
        partial(_statistic, plan=plan, asked=asked),
        nsim=asked.nsim,
        random_seed=asked.random_seed,
        n_jobs=asked.n_jobs,
    )
    limits = found.confint(asked.level)
    lost = np.repeat(~plan.estimable, found.estimates.size // plan.estimable.size)
    failed = f", {counted(found.n_failed, 'refit')} failed" if found.n_failed else ""

    def known(values: FloatArray) -> FloatArray:
        return np.where(lost, np.nan, values)

    return Estimates(
        estimate=known(found.estimates),
        std_error=known(found.sd),
        conf_low=known(limits["lower"].to_numpy()),
        conf_high=known(limits["upper"].to_numpy()),
        draws=np.where(lost, np.nan, found.replicates),
        words=(
            f"{asked.level:.0%} bootstrap percentile intervals from {found.nsim} replicates of "
            f"{found.drawn}{failed}; nothing is tested."
        ),
    )


def _statistic(fit: LikelihoodFit, *, plan: Plan, asked: EffectRequest) -> dict[str, float]:
    values = likelihood_values(fit, plan, asked).tolist()
    return {str(place): value for place, value in enumerate(values)}
