"""Entries of a report by guideline on what the priors do to the answer.

Power-scaling: the prior p becomes p^a, of half (a = 1/2) or twice (a = 2) the weight. The draws at
hand are weighted by p^(a - 1); nothing is sampled again, and what the weights can't carry (Pareto
k above 0.7) is not shown.

Source: Kallioinen, Paananen, Buerkner & Vehtari (2024), Stat. Comput. 34:57.
"""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.bayes.pareto_smoothing import pareto_k
from hierbayes.bayes.predictive import log_prior_variables
from hierbayes.errors import HierBayesWarning, OptionError
from hierbayes.plots.sensitivity import sensitivity as draw_sensitivity
from hierbayes.prior_sensitivity.sensitivity import sensitivity as along_widths
from hierbayes.priors.prior_widths import can_be_flat, width_of
from hierbayes.render.blocks import Block, Column, Paragraph, Table
from hierbayes.render.numbers import format_plain
from hierbayes.reports.fit_report import drawn_picture
from hierbayes.reports.study import (
    ERRORS,
    MCSE,
    SEED,
    Entry,
    Study,
    error_cell,
    not_done,
    with_errors,
)
from hierbayes.reports.study_posterior import probabilities_under_priors
from hierbayes.results.chains import mean_errors
from hierbayes.results.draws import TRUSTED_K
from hierbayes.results.fit import Fit
from hierbayes.results.sensitivity import Sensitivity

POWERS = ((0.5, "half the weight"), (2.0, "twice the weight"))
STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)  # widths of a prior, in those of the fit's
NUMBERS = {
    "estimate": "mean",
    "lower": "from",
    "upper": "to",
    "prob_positive": "P(positive)",
    "log_bf": "log Bayes factor against zero",
}
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
        if k > TRUSTED_K:
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
    for parameter, own in post.draws.formulas.items():
        further = post.design.of(parameter), post.priors.formulas[parameter]
        parts_of = log_prior_variables(own, *further)
        found |= {f"{parameter}_{name}": values for name, values in parts_of.items()}
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


def prior_width(study: Study) -> Entry:
    """Narrow and widen the prior of one coefficient."""
    found, table = _along(study)
    columns: list[Column] = []
    for name, title in NUMBERS.items():
        if table[name].notna().any():
            numbers = (table[own].to_numpy(float) for own in (name, f"{name}_mcse"))
            columns += with_errors(title, *numbers)
    said = [
        f"{found.of} under priors of {STEPS[0]:g} to {STEPS[-1]:g} times the width of the fit's, "
        f"and under a flat one if it can be; the {100 * found.level:g} % interval is equal-tailed."
    ]
    if len(table) < len(found.table):
        said.append("Priors too far from the fit's to be told from its draws are left out.")
    reverse = found.reverse
    if reverse is not None and np.isfinite(reverse.width):
        error = error_cell(reverse.width_mcse)
        said.append(f"{reverse.sentence} The {MCSE} of this width is {error}.")
    picture = drawn_picture(
        lambda: draw_sensitivity(found)[0], f"{found.of} along the width of its prior."
    )
    lines = [*map(Paragraph, said), Paragraph(ERRORS, soft=True)]
    return Entry([Table(columns, list(map(str, table["prior"]))), *lines, picture])


def decision_sensitivity(study: Study) -> Entry:
    """Show the probabilities that decide under other priors."""
    if study.reanalysis is not None:
        return probabilities_under_priors(study.reanalysis)
    _, table = _along(study)
    numbers = (table[own].to_numpy(float) for own in ("prob_positive", "prob_positive_mcse"))
    columns = with_errors("P(positive)", *numbers)
    return Entry([Table(columns, list(map(str, table["prior"]))), Paragraph(ERRORS, soft=True)])


def _along(study: Study) -> tuple[Sensitivity, pd.DataFrame]:
    """Return the curve of one coefficient over the width of its prior, and the rows it has."""
    post = study.post
    names = post.fixed_parameters.names
    if not names:
        raise OptionError("the model has no coefficient.")
    name = names[-1] if study.reanalysis is None else study.reanalysis.term
    law = post.priors.beta[names.index(name)]
    width = width_of(law)
    if width is None:
        raise OptionError(f"the prior of {name}, {law}, has no width.")
    widths = [step * width for step in STEPS] + [np.inf] * can_be_flat(law)
    found = along_widths(
        post, name, widths=widths, level=study.level, refit=False, random_seed=SEED
    )
    return found, found.table[found.table["estimate"].notna()]


def without_priors(study: Study) -> Entry:
    """Lay the estimates without priors beside the posterior."""
    post = study.post
    fit = _without(study)
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
