"""The Bayes factor of an inequality: its odds after the data over those before.

Of a model restricted to a statement H against the model itself BF = p(H | y) / p(H), and against
the opposite the ratio of the odds.

Source: Klugkist, Kato & Hoijtink (2005), Statistica Neerlandica 59:57 (encompassing priors).
"""

import math
from dataclasses import replace

import numpy as np

from hierbayes.bayes.prior_draws import prior_draws
from hierbayes.errors import OptionError
from hierbayes.results.comparison import RestrictedFactor
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit

AGAIN = 5  # times as many draws of the prior as of the posterior


def restricted(fit: PosteriorFit, statement: str, rng: np.random.Generator) -> RestrictedFactor:
    """Odds of a statement after the data over those before."""
    after = fit.hypothesis(statement)
    before, n = 0.0, AGAIN * fit.n_draws
    for _ in range(AGAIN):
        drawn = prior_draws(fit.design, fit.priors, like=fit.draws, rng=rng)
        before += replace(fit, draws=drawn).hypothesis(statement).probability / AGAIN
    error = math.sqrt(before * (1 - before) / n)
    if before * n < 1:
        raise OptionError(
            f"{statement!r} holds in none of {n} draws of the prior, so the data can't be compared "
            "with it. State something the prior thinks possible."
        )
    found = after.probability
    missing: tuple[Finding, ...] = ()
    if found in (0.0, 1.0):
        missing = (_certain(statement, found, fit.n_draws, before),)
    return RestrictedFactor(
        statement=statement,
        prior_probability=before,
        prior_mcse=error,
        posterior_probability=found,
        posterior_mcse=after.mcse,
        log_bf=math.log(found / before) if found > 0 else math.nan,
        log_bf_mcse=math.hypot(error / before, after.mcse / found) if found > 0 else math.nan,
        log_bf_complement=_logit(found) - _logit(before),
        log_bf_complement_mcse=math.hypot(
            _logit_error(found, after.mcse), _logit_error(before, error)
        ),
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        findings=missing,
    )


def _logit(p: float) -> float:
    return math.log(p / (1 - p)) if 0 < p < 1 else math.nan


def _logit_error(p: float, error: float) -> float:
    return error / (p * (1 - p)) if 0 < p < 1 else math.nan


def _certain(statement: str, found: float, n: int, before: float) -> Finding:
    """Say what is known where all draws agree."""
    least = (n - 1) * (1 - before) / before if found else (n - 1) * before / (1 - before)
    which = ("all", "for") if found else ("none", "against")
    return Finding(
        "certain",
        f"{statement} holds in {which[0]} of {n} draws, so the Bayes factor {which[1]} it against "
        f"its complement is about {least:.2g} or more, and no number.",
        "More draws, sample(draws=), tell more.",
        {"draws": n},
    )
