"""Entries of a report by guideline on computation: software, convergence, what is approximate."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.bayes.posterior import sample
from hierbayes.plots.chains import chains
from hierbayes.plots.prior_posterior import prior_posterior
from hierbayes.render.blocks import Block, Column, Findings, Paragraph, Table
from hierbayes.reports.fit_report import drawn_picture
from hierbayes.reports.posterior_summary import SAMPLERS
from hierbayes.reports.study import ERRORS, SEED, Entry, Study, not_done, with_errors
from hierbayes.reports.study_posterior import posteriors_of
from hierbayes.results.chains import chain_statistics, mean_errors
from hierbayes.results.draws import TRUSTED_K
from hierbayes.results.reanalysis import Reanalysis
from hierbayes.wording import counted

PACKAGES = ("hierbayes", "numpy", "scipy", "pandas", "narwhals")
OF_NUTS = ("pymc", "pytensor", "nutpie", "arviz")
LAGS = (1, 5, 10)


def versions(study: Study) -> dict[str, str]:
    """Name -> version of Python and the packages that made the draws."""
    found = {"Python": platform.python_version()}
    for name in (*PACKAGES, *(OF_NUTS if study.post.sampler == "nuts" else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def software(study: Study) -> Entry:
    """List software with versions, and the machine."""
    found = versions(study)
    system = f"Run on {platform.system()} ({platform.machine()})."
    return Entry([Table([("version", list(found.values()))], list(found)), Paragraph(system)])


def seed(study: Study) -> Entry:
    """Name the seed; without one the same draws can't be made again."""
    given = study_seed(study)
    if given is None:
        return Entry(
            [
                Paragraph(
                    "No whole number was given as random_seed: these draws can't be made again. "
                    "Sample with random_seed=1, for example, before publishing."
                )
            ],
            "author",
        )
    return Entry(
        [
            Paragraph(
                f"random_seed={given}. With it and the versions of this report the same draws are "
                "made again, bit for bit on the same kind of processor; elsewhere they may differ "
                "within the Monte-Carlo errors. Checks that this report adds use the seed "
                f"{SEED}."
            )
        ]
    )


def study_seed(study: Study) -> int | None:
    """Return the whole number that was given as seed."""
    given = (
        study.post.settings.get("random_seed")
        if study.reanalysis is None
        else study.reanalysis.arguments.get("random_seed")
    )
    return int(given) if isinstance(given, (int, np.integer)) else None


def convergence(study: Study) -> Entry:
    """Show R-hat and effective sample sizes of every parameter."""
    post = study.post
    found = chain_statistics(study.draws)
    columns: list[Column] = [
        ("R-hat", [f"{v:.3f}" if np.isfinite(v) else "-" for v in found.r_hat]),
        ("bulk ESS", [f"{v:.0f}" if np.isfinite(v) else "-" for v in found.ess_bulk]),
        ("tail ESS", [f"{v:.0f}" if np.isfinite(v) else "-" for v in found.ess_tail]),
    ]
    sentences = [
        f"{counted(post.n_chains, 'chain')} of {post.n_draws // post.n_chains} draws. R-hat "
        "compares chains, and their halves: below 1.01 they agree (Vehtari et al. 2021). ESS is "
        "the number of independent draws that would be as precise, for the centre (bulk) and for "
        "the ends (tail)."
    ]
    if post.design.factors:
        effects = [chain_statistics(own.draws) for own in post.parameters("ran_vals")]
        worst = max(float(np.nanmax(one.r_hat, initial=-np.inf)) for one in effects)
        fewest = min(
            float(np.nanmin(np.fmin(one.ess_bulk, one.ess_tail), initial=np.inf)) for one in effects
        )
        if np.isfinite([worst, fewest]).all():
            sentences.append(
                f"Of the random effects of all levels, the largest R-hat is {worst:.3f} and the "
                f"smallest ESS {fewest:.0f}."
            )
    if study.reanalysis is not None:
        sentences += _of_priors(study.reanalysis)
    picture = drawn_picture(
        lambda: chains(post)[0], "Draws of every parameter in their order, a line a chain."
    )
    blocks: list[Block] = [Table(columns, study.names), *map(Paragraph, sentences), picture]
    return Entry([*blocks, Findings([str(finding) for finding in post.findings])])


def _of_priors(found: Reanalysis) -> list[str]:
    """Say how well the chains agree under each prior."""
    sentences = []
    for name, post in posteriors_of(found).items():
        own = post.chain_statistics
        ess = np.fmin(own.ess_bulk, own.ess_tail)
        if np.isfinite(own.r_hat).any():
            sentences.append(
                f"Under the prior {name} the largest R-hat is {np.nanmax(own.r_hat):.3f} and the "
                f"smallest ESS {np.nanmin(ess):.0f}."
            )
    return sentences


def approximation(study: Study) -> Entry:
    """Say how the draws were made, and what of it is approximate."""
    post = study.post
    by = SAMPLERS.get(post.sampler, post.sampler)
    said = [f"Draws are from {by}; none were thinned out."]
    if post.sampler == "nuts":
        said.append(
            f"{counted(post.settings['tune'], 'draw')} a chain to adapt were left out. NUTS is "
            "MCMC: nothing is approximated but by the number of draws."
        )
    else:
        said.append(
            "It is no MCMC of the whole posterior. Coefficients and random effects are integrated "
            "out; sds and correlations are drawn by importance sampling from a mixture fitted to "
            "their posterior; coefficients and random effects then from their distribution given "
            "these. There is no warm-up to leave out."
        )
        if post.pareto_k is not None:
            verdict = "to be trusted" if post.pareto_k <= TRUSTED_K else "not to be trusted"
            said.append(
                f"Pareto k of the importance weights is {post.pareto_k:.2f}: {verdict} (below "
                f"{TRUSTED_K})."
            )
    error = post.draws.quadrature_error
    if error is not None:
        said.append(
            "The random effects of this family are integrated out by quadrature, or by Laplace's "
            f"approximation; twice the nodes change the log likelihood by {error:.1g}."
        )
    return Entry([*map(Paragraph, said)])


def doubling(study: Study) -> Entry:
    """Sample again with twice the draws and compare."""
    post = study.post
    if post.sampler == "nuts":
        return Entry(
            [
                Paragraph(
                    "Sampling by NUTS takes long, so it was not done again here: "
                    f"model.sample(draws={2 * post.settings['draws']}, random_seed={SEED}) does it."
                )
            ],
            "author",
        )
    more = sample(
        post.spec,
        draws=2 * post.settings["draws"],
        chains=post.n_chains,
        random_seed=SEED,
    )
    other = Study(post=more)
    means = [one.draws.mean(axis=(0, 1)) for one in (study, other)]
    errors = [mean_errors(one.draws) for one in (study, other)]
    sd = study.draws.std(axis=(0, 1))
    shift, error = (means[1] - means[0]) / sd, np.hypot(*errors) / sd
    columns = [
        *with_errors("mean", means[0], errors[0]),
        *with_errors("with twice the draws", means[1], errors[1]),
        *with_errors("difference (sds)", shift, error),
    ]
    return Entry([Table(columns, study.names), Paragraph(ERRORS, soft=True)])


def densities(study: Study) -> Entry:
    """Draw prior and posterior densities."""
    post = study.post
    return Entry(
        [
            drawn_picture(
                lambda: prior_posterior(post)[0],
                "Prior density and posterior density of every parameter.",
            ),
            Paragraph(
                "Prior (dotted) and posterior (filled) of every parameter. Where both look alike, "
                "the answer is the prior's."
            ),
        ]
    )


def autocorrelation(study: Study) -> Entry:
    """Show how neighbouring draws of a chain hang together."""
    draws = study.draws
    if draws.shape[1] <= LAGS[-1]:
        return not_done("There are too few draws a chain to tell.")
    lags = {f"lag {lag}": lagged_correlations(draws, lag) for lag in LAGS}
    error = 1 / np.sqrt(draws.shape[0] * draws.shape[1])
    columns = [(name, [f"{value:.2f}" for value in values]) for name, values in lags.items()]
    return Entry(
        [
            Table(columns, study.names),
            Paragraph(f"Of independent draws these would be zero, give or take {error:.2g}."),
        ]
    )


def lagged_correlations(draws: FloatArray, lag: int) -> FloatArray:
    """Autocorrelations of draws (C, D, P) at a lag, over all chains, shape (P,)."""
    centred = draws - draws.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        product = (centred[:, lag:] * centred[:, :-lag]).sum(axis=(0, 1))
        return np.asarray(product / (centred**2).sum(axis=(0, 1)))
