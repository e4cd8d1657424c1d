"""The printed summary of a posterior: what was sampled, priors, estimates in blocks, findings.

Reads what was estimated and writes it. Every interval says its level and kind; convergence is one
line unless a parameter has something to say.
"""

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.families.parameter_formulas import links_of
from hierbayes.formula.parser import formula_lines
from hierbayes.gaussian.products import covariance_shape
from hierbayes.options import IntervalKind, check_flag, check_option
from hierbayes.render import blocks as kinds
from hierbayes.reports.model_facts import labelled, specification
from hierbayes.reports.summary import finding_sentences
from hierbayes.results.chains import ChainStatistics, credible_interval
from hierbayes.results.hypothesis import Hypothesis
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.posterior_parameters import Parameters
from hierbayes.results.tidy import check_level

ERROR_DIGITS = 2  # significant digits of the posterior sd, which sets the decimals of its row
MOST_DECIMALS = 6
R_HAT_SHOWN, ESS_SHOWN = 1.01, 400  # columns appear where a parameter is worse
KINDS = {"eti": "equal-tailed", "hdi": "highest-density"}
SAMPLERS = {"collapsed": "the collapsed sampler", "nuts": "NUTS"}
LABEL_WIDTH = 9  # of the lines above the tables


def posterior_blocks(
    fit: PosteriorFit,
    level: float = 0.95,
    kind: IntervalKind = "eti",
    priors: bool = True,
    diagnostics: bool | None = None,
) -> kinds.Blocks:
    """Show the summary of a posterior.

    Parameters
    ----------
    fit : PosteriorFit
    level, kind : of the credible intervals
    priors : whether to list the priors
    diagnostics : columns of R-hat and effective sample sizes; None shows them where they say
        something (R-hat above 1.01, fewer than 400 effective draws)
    """
    tables = _tables(fit, level=level, kind=kind, diagnostics=diagnostics)
    check_flag("priors", priors, "True (list the priors) or False")
    return (
        kinds.Heading(_title(fit)),
        *(labelled(label, pieces, LABEL_WIDTH) for label, pieces in _head(fit)),
        *(_priors(fit) if priors else ()),
        kinds.Wide(tables),
        kinds.Paragraph("\n".join(_closing(fit, level, kind))),
        kinds.Findings(finding_sentences(fit, correlation=False)),
    )


def _title(fit: PosteriorFit) -> str:
    """Say what kind of model the posterior is of."""
    kind = "linear" if fit.link == "identity" else "generalised linear"
    return f"Posterior of a {kind} {'model' if fit.is_linear_model else 'mixed model'}"


def _head(fit: PosteriorFit) -> list[tuple[str, list[str]]]:
    """Labels and texts of the formula, data, family, rows, groups and draws."""
    groups = "; ".join(f"{name}, {levels}" for name, levels in fit.n_groups.items())
    parts = [("Formula:", formula_lines(fit.design.formula)), *specification(fit)]
    parts.append(("Family:", [f"{fit.family}, link {fit.link}"]))
    counted = f"{fit.nobs} used" + (f"; groups: {groups}" if groups else "")
    parts.append(("Rows:", [counted]))
    each = fit.n_draws // fit.n_chains
    tuned = f" after {fit.settings['tune']} to adapt" if fit.sampler == "nuts" else ""
    chains = "1 chain" if fit.n_chains == 1 else f"{fit.n_chains} chains"
    drawn = f"{chains} of {each} draws{tuned} by {SAMPLERS.get(fit.sampler, fit.sampler)}"
    error = fit.draws.quadrature_error
    if error is not None:
        drawn += f"; effects integrated out, log likelihood within {error:.1g}"
    return [*parts, ("Draws:", [drawn])]


def _priors(fit: PosteriorFit) -> kinds.Blocks:
    """Parameters and their priors; the user's are marked, and what the intercept's is about."""
    rows = []
    for parameter in fit.priors.all_parameters:
        law = str(fit.priors.of(parameter))
        formula = parameter.formula
        own = fit.priors.formulas[formula] if formula else fit.priors
        centred = parameter.kind == "beta" and parameter.place[0] == own.intercept
        if centred and np.any(own.centre):
            law += " at the mean of the predictors"
        yours = " (yours)" if parameter.name in fit.priors.from_user else ""
        rows.append((parameter.name, law + yours))
    width = max((len(name) for name, _ in rows), default=0)
    lines = [
        f"{'Priors:' if i == 0 else '':>{LABEL_WIDTH}} {name:<{width}} ~ {law}"
        for i, (name, law) in enumerate(rows)
    ]
    laws = [("prior", [law for _, law in rows])]
    table = kinds.Table(laws, [name for name, _ in rows], "Priors", labels=1)
    return (kinds.Printed(lines, [table], gap=False),)


def _tables(
    fit: PosteriorFit, *, level: float, kind: IntervalKind, diagnostics: bool | None
) -> list[kinds.Table]:
    """Tables of the summary: variance components by grouping factor, coefficients, the rest."""
    check_level(level)
    check_option("kind", kind, IntervalKind)
    if diagnostics is not None:
        check_flag("diagnostics", diagnostics, "True, False or None")
    statistics = fit.chain_statistics
    shown = says_something(statistics) if diagnostics is None else diagnostics
    every = [part.draws for part in fit.parameters()]
    flat = np.concatenate(every, axis=2).reshape(fit.n_draws, -1)
    interval = credible_interval(flat, level, kind)
    columns = _columns(flat, interval.low, interval.high, level)
    columns += _diagnostic_columns(statistics) if shown else []

    def table(title: str, names: list[str], at: list[int]) -> kinds.Table:
        chosen = [(name, [cells[i] for i in at]) for name, cells in columns]
        return kinds.Table(chosen, names, title, head=f"{title}:")

    def of_predictor(
        design: Design, fixed: Parameters, varied: Parameters, first: int, of: str
    ) -> list[kinds.Table]:
        """Tables of one predictor, whose parameters begin at ``first``."""
        found, p = [], len(fixed.names)
        owners = np.repeat(
            [term.factor for term in design.terms],
            [part.stop - part.start for part in covariance_shape(design).slices],
        )
        for number, factor in enumerate(design.factors):
            at = np.flatnonzero(owners == number).tolist()
            names = [varied.names[i].replace(f"|{factor.name})", ")") for i in at]
            heading = f"Multilevel hyper-parameters{of} of {factor.name}"
            heading = f"{heading} ({factor.levels.size} levels)"
            found.append(table(heading, names, [first + p + i for i in at]))
        if p:
            at = list(range(first, first + p))
            found.append(table(f"Regression coefficients{of}", list(fixed.names), at))
        at = list(range(owners.size, len(varied.names)))
        if at:
            names = [varied.names[i] for i in at]
            found.append(table("Further parameters", names, [first + p + i for i in at]))
        return found

    found = of_predictor(fit.design, fit.fixed_parameters, fit.variance_parameters, 0, "")
    first = len(fit.fixed_parameters.names) + len(fit.variance_parameters.names)
    for name, link in links_of(fit.design, fit.response_family).items():
        fixed, varied = fit.formula_parameters[name]
        of = f" of {link.scale}({name})"
        found += of_predictor(fit.design.of(name), fixed, varied, first, of)
        first += len(fixed.names) + len(varied.names)
    return found


def _columns(
    flat: FloatArray, low: FloatArray, high: FloatArray, level: float
) -> list[kinds.Column]:
    """Cells of all parameters; each row has the decimals that its posterior sd asks for."""
    mean = flat.mean(axis=0)
    sd = flat.std(axis=0, ddof=1) if flat.shape[0] > 1 else np.zeros_like(mean)
    percent = f"{100 * level:.10g}%"
    named = [
        ("Estimate", mean),
        ("Est.Error", sd),
        (f"l-{percent} CI", low),
        (f"u-{percent} CI", high),
    ]
    decimals = [_decimals(value) for value in sd]
    return [
        (
            name,
            [f"{v:.{d}f}" if d >= 0 else f"{v:.3g}" for v, d in zip(values, decimals, strict=True)],
        )
        for name, values in named
    ]


def _decimals(sd: float) -> int:
    """Decimals that show ``ERROR_DIGITS`` digits of an sd; -1 where fixed notation is too long."""
    if not np.isfinite(sd) or sd <= 0:
        return -1
    decimals = ERROR_DIGITS - 1 - int(np.floor(np.log10(sd)))
    return -1 if decimals > MOST_DECIMALS else max(0, decimals)


def says_something(statistics: ChainStatistics) -> bool:
    """Whether R-hat or an effective sample size of some parameter is worth a column."""
    ess = np.fmin(statistics.ess_bulk, statistics.ess_tail)
    return bool((statistics.r_hat > R_HAT_SHOWN).any() or (ess < ESS_SHOWN).any())


def _diagnostic_columns(statistics: ChainStatistics) -> list[kinds.Column]:
    sizes = (("Bulk_ESS", statistics.ess_bulk), ("Tail_ESS", statistics.ess_tail))
    return [
        ("Rhat", ["" if np.isnan(r) else f"{r:.3f}" for r in statistics.r_hat]),
        *((name, ["" if np.isnan(v) else f"{v:.0f}" for v in ess]) for name, ess in sizes),
    ]


def _closing(fit: PosteriorFit, level: float, kind: IntervalKind) -> list[str]:
    """Say what estimates and intervals are, how well the chains agree, and the evidence."""
    percent = f"{100 * level:.10g} %"
    sentences = [
        "Estimates are posterior means, Est.Error posterior standard deviations, CI "
        f"{KINDS[kind]} {percent} credible intervals."
    ]
    statistics = fit.chain_statistics
    ess = [np.nanmin(v) for v in (statistics.ess_bulk, statistics.ess_tail) if np.isfinite(v).any()]
    if len(ess) == 2:
        agree = ""
        if np.isfinite(statistics.r_hat).any():
            agree = f"All R-hat <= {np.ceil(1000 * np.nanmax(statistics.r_hat)) / 1000:.3f}, "
        start = "smallest" if agree else "Smallest"
        sentences.append(
            f"{agree}{start} effective sample size {ess[0]:.0f} (bulk) and {ess[1]:.0f} (tail) "
            f"of {fit.n_draws} draws."
        )
    if fit.log_marginal_likelihood is not None:
        error = fit.log_marginal_likelihood_mcse
        plus = "" if error is None else f" (Monte-Carlo error {error:.2g})"
        sentences.append(f"Log marginal likelihood {fit.log_marginal_likelihood:.2f}{plus}.")
    return sentences


def hypothesis_blocks(found: Hypothesis) -> kinds.Blocks:
    """Show the probability of a statement and the interval behind it."""
    return tuple(kinds.Paragraph(sentence, gap=False) for sentence in _hypothesis_sentences(found))


def _hypothesis_sentences(found: Hypothesis) -> list[str]:
    """Say how probable a statement is, by how much, and from how many draws."""
    ratio = "infinite" if np.isinf(found.evidence_ratio) else f"{found.evidence_ratio:.3g}"
    sentences = [
        f"P({found.statement}) = {found.probability:.3f} (Monte-Carlo error {found.mcse:.2g}), "
        f"evidence ratio {ratio}, from {found.n_draws} posterior draws."
    ]
    if not np.isnan(found.estimate):
        decimals = max(0, _decimals(found.std_error))
        mean, sd, low, high = (
            f"{v:.{decimals}f}"
            for v in (found.estimate, found.std_error, found.conf_low, found.conf_high)
        )
        sentences.append(
            f"Left minus right side: {mean} (posterior sd {sd}), {KINDS[found.kind]} "
            f"{100 * found.level:.10g} % credible interval {low} to {high}."
        )
    return sentences
