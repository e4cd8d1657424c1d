"""The Bayes factor of a term under priors of standardised effects (``jzs.py``)."""

import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from hierbayes.comparison.dropped_term import without
from hierbayes.comparison.jzs import Evidence, jzs_evidence
from hierbayes.comparison.term_bayes_factor import FACTORS, names_without
from hierbayes.errors import OptionError
from hierbayes.options import EffectSide
from hierbayes.prior_sensitivity.explorer import FINITE_VARIANCE_K
from hierbayes.priors.parameter_names import INTERCEPT
from hierbayes.priors.standardised import JZS
from hierbayes.results.comparison import BayesFactor
from hierbayes.specification.specification import Specification
from hierbayes.wording import shown

HALF = math.log(2)  # what a side of zero has to gain where a prior is symmetric


def of_standardised(
    spec: Specification, drop: str, side: EffectSide | None, priors: JZS, rng: np.random.Generator
) -> BayesFactor:
    """Compare a model with the one without a term under priors of standardised effects."""
    if not isinstance(priors, JZS):
        raise OptionError(
            f"priors={shown(priors)} must be hb.JZS(...); other priors belong to the model, "
            "hb.Model(..., priors=)."
        )
    dropped = without(spec, drop)
    tests_mean = dropped.terms == (INTERCEPT,)
    both = [jzs_evidence(one, priors, rng, tests_mean=tests_mean) for one in (spec, dropped.spec)]
    logs, errors, names = (
        [one.value for one in both],
        [one.mcse for one in both],
        names_without(dropped),
    )
    if side is not None:
        own = len(dropped.parameters) == 1 and dropped.parameters[0].kind == "beta"
        if not own or spec.design.X.shape[1] > (1 if tests_mean else 2):
            raise OptionError(
                f"side={side!r} under JZS priors is for the one coefficient of a model beside its "
                "intercept."
            )
        positive = both[0].prob_positive()
        logs[0] += HALF + math.log(positive if side == "greater" else 1 - positive)
        names = (
            f"the model with {dropped.terms[0]} {'>' if side == 'greater' else '<'} 0",
            names[1],
        )
    return BayesFactor(
        names=names,
        formulas=(spec.formula_text, dropped.spec.formula_text),
        log_marginal_likelihoods=(logs[0], logs[1]),
        mcses=(errors[0], errors[1]),
        log_bf=logs[0] - logs[1],
        log_bf_mcse=math.hypot(*errors),
        prior_differences=((f"effects of {' and '.join(dropped.terms)} ~ {priors}",), ()),
        n_obs=spec.design.y.shape[0],
        data_name=spec.data_name,
        dropped=dropped.terms,
        by_width=None if side else _by_scale(both[0], both[1], dropped.terms, rng),
        side=side,
    )


def _by_scale(
    large: Evidence, small: Evidence, terms: Collection[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Log Bayes factors as the scales of the effects that are dropped narrow and widen."""
    rows = []
    for factor in FACTORS.tolist():
        a, b = (one.wider(terms, factor, rng) for one in (large, small))
        k = a.pareto_k
        known = not k > FINITE_VARIANCE_K
        rows.append(
            {
                "factor": factor,
                "log_bf": a.value - b.value if known else math.nan,
                "log_bf_mcse": math.hypot(a.mcse, b.mcse) if known else math.nan,
                "pareto_k": k,
                "refitted": a.log_g is not large.log_g,
            }
        )
    return pd.DataFrame(rows)
