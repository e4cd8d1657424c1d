"""Entries of a report by guideline on the posterior: checks, numbers, evidence, decisions."""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.checks.panel import check
from hierbayes.checks.predictive_check import predictive_draws
from hierbayes.errors import HierBayesError
from hierbayes.plots.predictive import ppc
from hierbayes.render.blocks import Block, Column, Paragraph, Table
from hierbayes.render.numbers import format_factor
from hierbayes.reports.fit_report import drawn_picture, level_blocks
from hierbayes.reports.study import (
    ERRORS,
    MCSE,
    SEED,
    Entry,
    Study,
    drawn_table,
    error_cell,
    not_done,
    probabilities,
    with_errors,
)
from hierbayes.reports.study_model import checked_statistics, simulated
from hierbayes.results.chains import chain_statistics, drawn_summary, quantile_errors
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.reanalysis import Reanalysis
from hierbayes.wording import listed

STRONG = 0.5  # size of a correlation from which two parameters are shown together
DECIDED = 0.95  # probability of the example of what a Bayes factor decides
TABLED = "stand under posterior distributions"
NO_FACTORS = "No Bayes factor or probability of a model was computed."
NO_ROPE = (
    "No region of practical equivalence was given. Where a decision is taken by one, "
    'rope={"name of a parameter": (low, high)} has its probabilities counted here.'
)


def posterior_check(study: Study) -> Entry:
    """Compare the response with data the posterior simulates, and check the model."""
    post = study.post
    found = predictive_draws(post, simulated(study), random_seed=SEED)
    picture = drawn_picture(
        lambda: ppc(post, random_seed=SEED)[0],
        "Densities of data sets that the posterior simulates, with the data.",
    )
    return Entry([*checked_statistics(found, study.level), picture, _panel(post, simulated(study))])


def _panel(post: PosteriorFit, nsim: int) -> Block:
    """Return the verdicts of the panel of checks; their numbers have no Monte-Carlo errors."""
    try:
        found = check(post, nsim=nsim, random_seed=SEED, leave_out=False).table
    except HierBayesError as error:
        return Paragraph(f"No panel of checks: {error}")
    columns = [(name, list(map(str, found[name]))) for name in ("good", "verdict")]
    return Table(columns, list(map(str, found["check"])), "Checks of the model", labels=2)


def posterior(study: Study) -> Entry:
    """Show every parameter, and of a reanalysis the coefficient under every prior."""
    percent = f"{100 * study.level:.10g} %"
    blocks: list[Block] = [
        drawn_table(study.names, study.draws, study.level, caption="Every parameter"),
        Paragraph(f"The interval is the equal-tailed {percent} credible interval. {ERRORS}"),
    ]
    if study.reanalysis is not None:
        found = study.reanalysis
        blocks += [_under_each_prior(found), *_beyond(found)]
        if found.table["bayes_factor"].notna().any():
            blocks.append(_factor_table(found))
        blocks += [Paragraph(note, soft=True) for note in found.notes]
    return Entry(blocks)


def posteriors_of(found: Reanalysis) -> dict[str, PosteriorFit]:
    """Name of the prior -> posterior."""
    return {n: fit for n, fit in found.fits.items() if isinstance(fit, PosteriorFit)}


def term_draws(found: Reanalysis) -> FloatArray:
    """Draws of the coefficient under each prior, (C, D, priors)."""
    posts = posteriors_of(found)
    at = [post.fixed_parameters.names.index(found.term) for post in posts.values()]
    return np.stack([p.draws.beta[:, :, k] for p, k in zip(posts.values(), at, strict=True)], 2)


def _under_each_prior(found: Reanalysis) -> Table:
    """Return the coefficient under each prior: median, interval, probability, with errors."""
    draws, names = term_draws(found), list(posteriors_of(found))
    ends = drawn_summary(draws, found.level)
    flat = draws.reshape(-1, draws.shape[2])
    percent = f"{100 * found.level:.10g} %"
    columns: list[Column] = [("prior", [str(p) for p in found.table.loc[names, "prior"]])]
    columns += with_errors("median", np.median(flat, axis=0), quantile_errors(draws, 0.5))
    columns += with_errors(f"{percent} from", ends.low, ends.low_mcse)
    columns += with_errors("to", ends.high, ends.high_mcse)
    return Table(columns, names, f"{found.term} under each prior", labels=1)


def wording(study: Study) -> Entry:
    """Say the result in Bayesian words, Monte-Carlo errors in brackets."""
    if study.reanalysis is not None:
        said = [study.reanalysis.paragraph, f"Monte-Carlo errors of these numbers {TABLED}."]
        return Entry([*map(Paragraph, said)])
    names, draws = study.post.fixed_parameters.names, study.post.draws.beta
    found = drawn_summary(draws, study.level)
    numbers = [
        with_errors("", found.mean, found.mean_mcse),
        with_errors("", found.low, found.low_mcse),
        with_errors("", found.high, found.high_mcse),
        probabilities("", draws > 0),
    ]
    percent, sentences = f"{100 * study.level:.10g} %", []
    for k, name in enumerate(names):
        mean, low, high, sure = (
            f"{c[k]} [{errors[k]}]".removesuffix(" [-]") for (_, c), (_, errors) in numbers
        )
        sentences.append(
            f"Given the data, the model and the priors, {name} is {mean}, with probability "
            f"{percent} between {low} and {high}; it is positive with probability {sure}."
        )
    if not names:
        sentences.append("The model has no coefficients.")
    last = f"In brackets: Monte-Carlo standard errors. All parameters {TABLED}."
    return Entry([*map(Paragraph, sentences), Paragraph(last, soft=True)])


def joint(study: Study) -> Entry:
    """List parameters that the posterior ties together."""
    draws, names = study.draws, study.names
    flat = draws.reshape(-1, draws.shape[2])
    moving = np.flatnonzero(np.ptp(flat, axis=0) > 0)
    corr = np.atleast_2d(np.corrcoef(flat[:, moving], rowvar=False))
    ess = chain_statistics(draws).ess_bulk[moving]
    rows = [
        (f"{names[moving[i]]} and {names[moving[j]]}", corr[i, j], min(ess[i], ess[j]))
        for i in range(len(moving))
        for j in range(i)
        if abs(corr[i, j]) >= STRONG
    ]
    if not rows:
        words = f"No two parameters have a posterior correlation of {STRONG} or stronger."
        return Entry([Paragraph(words)])
    values = np.array([value for _, value, _ in rows])
    errors = (1 - values**2) / np.sqrt([n for _, _, n in rows])
    table = Table(with_errors("correlation", values, errors), [name for name, _, _ in rows])
    words = f"Posterior correlations of {STRONG} or stronger; their errors are those of normal "
    return Entry([table, Paragraph(f"{words}draws.")])


def levels(study: Study) -> Entry:
    """Draw the levels of every grouping factor: effects, and how far they are pulled."""
    blocks = level_blocks(study.post)
    if not blocks:
        return not_done("The model has no grouping factor.")
    return Entry(blocks)


def bayes_factors(study: Study) -> Entry:
    """Show Bayes factors, and the prior probability from which on each decides."""
    if study.reanalysis is None or study.reanalysis.table["bayes_factor"].isna().all():
        reasons = () if study.reanalysis is None else study.reanalysis.notes
        return not_done(" ".join([NO_FACTORS, *reasons]))
    found = study.reanalysis
    odds = DECIDED / (1 - DECIDED)
    table = found.table.dropna(subset=["bayes_factor"])
    needed = [odds / (odds + factor) for factor in table["bayes_factor"]]
    columns = [*_factor_columns(found), ("prior probability", [f"{p:.2g}" for p in needed])]
    return Entry(
        [
            Table(columns, list(map(str, table.index))),
            Paragraph(
                f"Each compares the model with {found.term} to the one without it, which has the "
                "same other priors. Above 1 the data speak for the coefficient. The last column "
                "is the prior probability of the coefficient above which its posterior "
                f"probability exceeds {DECIDED}; its relative error is at most that of the factor."
            ),
            Paragraph(ERRORS, soft=True),
        ]
    )


def _factor_table(found: Reanalysis) -> Table:
    names = found.table["bayes_factor"].dropna().index
    return Table(_factor_columns(found), list(map(str, names)), "Bayes factors", labels=1)


def _factor_columns(found: Reanalysis) -> list[Column]:
    table = found.table.dropna(subset=["bayes_factor"])
    return [
        ("prior", list(map(str, table["prior"]))),
        ("Bayes factor", [format_factor(value) for value in table["bayes_factor"]]),
        (MCSE, [error_cell(float(error)) for error in table["bayes_factor_mcse"]]),
    ]


def factor_sensitivity(study: Study) -> Entry:
    """Show how the Bayes factor moves with the prior."""
    if study.reanalysis is None or len(_factor_columns(study.reanalysis)[0][1]) < 2:
        return not_done(f"{NO_FACTORS} hb.reanalyse lays several priors side by side.")
    found = study.reanalysis
    factors = found.table["bayes_factor"].dropna()
    span = f"from {format_factor(factors.min())} to {format_factor(factors.max())}"
    return Entry(
        [
            _factor_table(found),
            Paragraph(f"Between these priors the Bayes factor goes {span}."),
        ]
    )


def rope(study: Study) -> Entry:
    """Count the probabilities within and beside the regions of practical equivalence."""
    blocks: list[Block] = []
    for name, (low, high) in study.rope.items():
        draws = study.draws_of(name)
        events = np.concatenate([draws < low, (draws >= low) & (draws <= high), draws > high], 2)
        caption = f"{name}, region of practical equivalence {low:g} to {high:g}"
        rows = [f"below {low:g}", "within", f"above {high:g}"]
        blocks.append(Table(probabilities("probability", events), rows, caption))
    if study.reanalysis is not None and study.reanalysis.threshold:
        blocks += _beyond(study.reanalysis)
    if not blocks:
        return Entry([Paragraph(NO_ROPE)], "author")
    return Entry([*blocks, Paragraph(ERRORS, soft=True)])


def _beyond(found: Reanalysis) -> list[Block]:
    draws, names = term_draws(found), list(posteriors_of(found))
    sides = [("positive", draws > 0)]
    if found.threshold:
        is_up = float(found.table["median"].iloc[0]) >= 0
        edge = abs(found.threshold)
        beyond = draws > found.threshold if is_up else draws < -edge
        sides.append((found.beyond, beyond))
    columns = [column for said, events in sides for column in probabilities(f"P({said})", events)]
    return [Table(columns, names, f"Probabilities of {found.term} under each prior")]


def probabilities_under_priors(found: Reanalysis) -> Entry:
    """Show the probabilities that decide under each prior."""
    names = listed(list(posteriors_of(found)))
    last = [Paragraph(f"Priors: {names}."), Paragraph(ERRORS, soft=True)]
    return Entry([*_beyond(found), *last])
