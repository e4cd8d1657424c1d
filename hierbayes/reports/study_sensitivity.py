"""Entries of a report by guideline on what the priors do to the answer.

Power-scaling: the prior p becomes p^a, of half (a = 1/2) or twice (a = 2) the weight. The draws at
hand are weighted by p^(a - 1); nothing is sampled again, and what the weights can't carry (Pareto
k above 0.7) is not shown.

Source: Kallioinen, Paananen, Buerkner & Vehtari (2024), Stat. Comput. 34:57.
"""

import warnings
from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.importance import pareto_k
from hierbayes.bayes.predictive import log_prior_variables
from hierbayes.errors import HierBayesError, HierBayesWarning
from hierbayes.render.blocks import Block, Column, Paragraph, Table
from hierbayes.render.numbers import format_plain
from hierbayes.reports.study import ERRORS, Entry, Study, not_done, with_errors
from hierbayes.reports.study_draws import MOST_K
from hierbayes.results.chains import mean_errors
from hierbayes.results.fit import Fit

POWERS = ((0.5, "half the weight"), (2.0, "twice the weight"))
FIXED = "beta"  # the variable of log priors that holds the coefficients'


def sensitivity(study: Study) -> Entry:
    """Scale all priors."""
    return _scaled(study, lambda name: True, "all priors")


def variance_sensitivity(study: Study) -> Entry:
    """Scale the priors of sds, correlations and other parameters that are no coefficients."""
    return _scaled(study, lambda name: name != FIXED, "the priors of sds and correlations")


def _scaled(study: Study, chosen: Callable[[str], bool], words: str) -> Entry:
    log_prior = log_prior_of(study, chosen)
    if log_prior is None:
        return not_done(f"There are none of {words}: nothing to scale.")
    columns: list[Column] = []
    said: list[str] = []
    for power, name in POWERS:
        weights = (power - 1) * log_prior
        k = pareto_k(weights.ravel())
        if k > MOST_K:
            said.append(
                f"With {name} the weights can't be trusted (Pareto k {k:.2f}): the prior matters; "
                "sample again under another one."
            )
            continue
        shift, error = weighted_shift(study.draws, weights)
        columns += with_errors(f"shift, {name}", shift, error)
    sentence = (
        f"By how many posterior standard deviations each posterior mean moves when {words} get "
        "half or twice their weight (a normal prior then has 1.41 or 0.71 times its sd)."
    )
    blocks: list[Block] = [Table(columns, study.names)] if columns else []
    return Entry([*blocks, *map(Paragraph, [sentence, *said]), Paragraph(ERRORS, soft=True)])


def log_prior_of(study: Study, chosen: Callable[[str], bool]) -> FloatArray | None:
    """Log density of the chosen priors at each draw, (C, D); None where there are none."""
    post = study.post
    found = log_prior_variables(post.draws, post.design, post.priors)
    shape = post.draws.beta.shape[:2]
    parts = [
        np.asarray(values).reshape(*shape, -1).sum(axis=2)
        for name, values in found.items()
        if chosen(name)
    ]
    total = np.asarray(sum(parts)) if parts else np.zeros(shape)
    return total if np.ptp(total) > 0 else None


def weighted_shift(draws: FloatArray, log_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shifts of the means of draws (C, D, P) under weights, in sds, and their errors, (P,).

    The error is that of the mean of w (x - m_w) / mean(w) - (x - m), the influence of each draw.
    """
    w = np.exp(log_weights - log_weights.max())
    w = (w / w.mean())[:, :, None]
    mean, weighted = draws.mean(axis=(0, 1)), (w * draws).mean(axis=(0, 1))
    sd = draws.std(axis=(0, 1))
    influence = w * (draws - weighted) - (draws - mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weighted - mean) / sd, mean_errors(influence) / sd


def without_priors(study: Study) -> Entry:
    """Lay the estimates without priors beside the posterior."""
    post = study.post
    try:
        fit = _without(study)
    except HierBayesError as reason:
        return not_done(f"Not possible: {reason}")
    own, other = (
        one.tidy(("fixed", "ran_pars")).set_index(["effect", "group", "term"])
        for one in (post, fit)
    )
    estimates = other["estimate"].reindex(own.index).to_numpy(dtype=float, na_value=np.nan)
    mean, error = study.draws.mean(axis=(0, 1)), mean_errors(study.draws)
    sd = study.draws.std(axis=(0, 1))
    known = own["estimate"].notna().to_numpy()  # of dropped columns there are no draws
    estimates = estimates[known]
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (mean - estimates) / sd
    columns = [
        *with_errors("posterior mean", mean, error),
        (fit.method.upper(), [format_plain(float(value)) for value in estimates]),
        *with_errors("difference (sds)", shift, error / sd),
    ]
    words = (
        f"{fit.method.upper()} has no priors: it is the mode of the same likelihood. A posterior "
        "mean differs from a mode also where the posterior is skewed, as those of sds are."
    )
    said = [str(finding) for finding in fit.findings]
    return Entry([Table(columns, study.names), *map(Paragraph, [words, *said])])


def _without(study: Study) -> Fit:
    if study.reanalysis is not None:
        return study.reanalysis.fits["REML"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HierBayesWarning)  # its findings are shown
        return study.post.model.fit()
