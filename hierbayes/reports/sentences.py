"""A methods and a results paragraph of a fit or a comparison, with the numbers of its summary.

Estimates and limits of a parameter are written to three digits of the interval's width, as the
table of a paper writes them. What the data
do not determine is said to be so; nothing is written that is not known.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.checks.r2 import icc, r2
from hierbayes.errors import HierBayesError
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.formula.functions import PATTERNS
from hierbayes.formula.parser import formula_text
from hierbayes.naming.addresses import coefficient_addresses
from hierbayes.options import SentencePart, check_option
from hierbayes.render.blocks import Heading, paragraphs
from hierbayes.render.exports import checked_labels
from hierbayes.render.numbers import format_percent, format_plain
from hierbayes.reports.coefficients import decimals_of, fixed_cell
from hierbayes.reports.posterior_summary import SAMPLERS
from hierbayes.reports.residual_structure import correlation_words, residual_sentences
from hierbayes.results.comparison import ComparedFit, Comparison
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.rich_text import RichText
from hierbayes.results.tidy import check_level, dropped_positions, estimated_rows
from hierbayes.results.varcorr import VarCorrTerm
from hierbayes.wording import counted, listed

PLAIN_DIGITS = 3  # of an estimate without an interval
WIDTH_DIGITS = 3  # significant digits of an interval's width
ERRORS_WIDE = 4  # an interval is about so many standard errors wide
SMALL_SHIFT = 0.1  # standard errors or posterior sds: no conclusion changes by less
NOT_ESTIMATED = ("not_identified",)
TITLES = {"methods": "Methods", "results": "Results"}


def fit_sentence(
    fit: Fit,
    *,
    part: SentencePart = "both",
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
) -> RichText:
    """Write the paragraphs of a fit; see ``fit.sentence``."""
    check_option("part", part, SentencePart)
    check_level(level)
    names = checked_labels(labels)
    return _written(part, methods=_methods(fit, level), results=_results(fit, level, names))


def comparison_sentence(
    found: Comparison, *, part: SentencePart = "both", labels: Mapping[str, str] | None = None
) -> RichText:
    """Write the paragraphs of a comparison; see ``comparison.sentence``."""
    check_option("part", part, SentencePart)
    names = checked_labels(labels)
    return _written(part, methods=_compared(found), results=" ".join(_differences(found, names)))


def _written(part: SentencePart, *, methods: str, results: str) -> RichText:
    """Return the paragraphs asked for."""
    said = {"methods": methods, "results": results}
    chosen = {name: text for name, text in said.items() if part in ("both", name)}
    blocks: list[Any] = []
    for name, text in chosen.items():
        blocks += [Heading(TITLES[name])] if part == "both" else []
        blocks += paragraphs([text])
    return RichText("\n\n".join(chosen.values()), blocks)


# methods


def _methods(fit: Fit, level: float) -> str:
    sentences = [f"{_model_words(fit)} was fitted to {_rows_words(fit)} {_estimator_words(fit)}."]
    further = [_formula_words(fit, link) for link in links_of(fit.design, fit.spec.family).values()]
    sentences.append(f"The formula was {listed([fit.formula_text, *further])}.")
    sentences += [said] if (said := correlation_words(fit.design.residual)) else []
    dropped = fit.n_rows_given - fit.nobs
    if dropped > 0:
        were = "was" if dropped == 1 else "were"
        sentences.append(
            f"{dropped} of {counted(fit.n_rows_given, 'row')} {were} left out for missing values."
        )
    percent = f"{100 * level:.10g} %"
    if isinstance(fit, PosteriorFit):
        sentences.append(f"Priors were {_prior_words(fit)}.")
        sentences.append(
            f"Estimates are posterior means, intervals {percent} equal-tailed credible intervals."
        )
    elif fit.response_family.is_linear:
        sentences.append(
            f"Confidence intervals ({percent}) and tests of the fixed effects use t distributions "
            "with Satterthwaite's degrees of freedom."
        )
    else:
        sentences.append(
            f"Confidence intervals ({percent}) and tests of the fixed effects use the normal "
            "distribution."
        )
    return " ".join(sentences)


def _formula_words(fit: Fit, link: ParameterLink) -> str:
    """Write the formula of a further parameter."""
    _, _, right = formula_text(fit.design.formulas[link.name]).partition(" ~ ")
    return f"{link.scale}({link.name}) ~ {right}"


def _model_words(fit: Fit) -> str:
    """Name the kind of model."""
    mixed = "" if fit.is_linear_model else "mixed "
    if fit.response_family.is_linear:
        return f"A linear {mixed}model"
    if fit.response_family.is_ordinal:
        return f"An ordinal {mixed}model ({fit.family} family, {fit.link} link)"
    return f"A generalised linear {mixed}model ({fit.family} family, {fit.link} link)"


def _rows_words(fit: Fit) -> str:
    groups = [f"{n} levels of {name}" for name, n in fit.n_groups.items()]
    rows = counted(fit.nobs, "observation")
    return f"{rows} of {listed(groups)}" if groups else rows


def _estimator_words(fit: Fit) -> str:
    if isinstance(fit, PosteriorFit):
        chains = "1 chain" if fit.n_chains == 1 else f"{fit.n_chains} chains"
        how = SAMPLERS.get(fit.sampler, fit.sampler)
        return f"as a Bayesian model ({chains} of {fit.n_draws // fit.n_chains} draws by {how})"
    if isinstance(fit, GeneralisedFit) and not fit.is_linear_model:
        how = "Laplace approximation" if fit.n_quadrature == 1 else (
            f"adaptive quadrature with {fit.n_quadrature} nodes"
            if fit.n_quadrature else "Laplace approximation with profiled coefficients"
        )  # fmt: skip
        return f"by maximum likelihood ({how})"
    return (
        "by restricted maximum likelihood (REML)" if fit.method == "reml" else
        "by maximum likelihood"
    )  # fmt: skip


def _prior_words(fit: PosteriorFit) -> str:
    laws = []
    for parameter in fit.priors.all_parameters:
        formula = parameter.formula
        own = fit.priors.formulas[formula] if formula else fit.priors
        centred = parameter.kind == "beta" and parameter.place[0] == own.intercept
        at = " at the mean of the predictors" if centred and np.any(own.centre) else ""
        laws.append(f"{parameter.name} ~ {fit.priors.of(parameter)}{at}")
    return listed(laws)


# results


def _results(fit: Fit, level: float, labels: Mapping[str, str]) -> str:
    sentences = [*_fixed(fit, level, labels), *_random(fit, labels), *_explained(fit)]
    lost = [str(finding.sentence) for finding in fit.findings if finding.code in NOT_ESTIMATED]
    if lost:
        sentences += lost
    elif fit.undetermined_note:
        sentences.append(fit.undetermined_note)
    if isinstance(fit, LikelihoodFit):
        if not fit.converged:
            sentences.append("The search did not end at an optimum: the numbers are no estimates.")
        if fit.is_singular:
            sentences.append(
                "A variance or correlation is estimated on its boundary (a singular fit)."
            )
    else:
        sentences += _agreement(fit)
    return " ".join(sentences)


def _fixed(fit: Fit, level: float, labels: Mapping[str, str]) -> list[str]:
    """Return a sentence about each fixed effect, the intercept first."""
    tidy = fit.tidy(effects="fixed", level=level)
    columns = np.sort(np.concatenate([fit.kept, dropped_positions(fit)]))
    names = coefficient_addresses(fit.design, columns.tolist()).labels
    rows = estimated_rows(fit, tidy).to_dict("records")
    said = []
    for name, row in zip(names, rows, strict=False):
        label = labels.get(name, name)
        subject = "The intercept" if name == "(Intercept)" else f"The effect of {label}"
        value = float(row["estimate"])
        if math.isnan(value):
            said.append(f"{subject} is not determined by the data.")
            continue
        said.append(f"{subject} is {_with_interval(fit, row, level)}.")
    return said


def _with_interval(fit: Fit, row: Any, level: float) -> str:
    """Write an estimate with its interval and test."""
    low, high = float(row["conf_low"]), float(row["conf_high"])
    places = _places(float(row["std_error"]), low, high)
    text = _number(float(row["estimate"]), places)
    inside = []
    if math.isfinite(low) and math.isfinite(high):
        percent = f"{100 * level:.10g} %"
        kind = "CI" if isinstance(fit, LikelihoodFit) else "credible interval"
        inside.append(f"{percent} {kind} [{_number(low, places)}, {_number(high, places)}]")
    if isinstance(fit, LikelihoodFit):
        inside += _test(row)
    else:
        inside.append(_direction(fit, str(row["term"])))
    inside = [part for part in inside if part]
    return f"{text} ({', '.join(inside)})" if inside else text


def _test(row: Any) -> list[str]:
    statistic, df, p = (float(row[name]) for name in ("statistic", "df", "p_value"))
    if not math.isfinite(statistic) or not math.isfinite(p):
        return []
    of = f"t({df:.1f})" if math.isfinite(df) else "z"
    chance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return [f"{of} = {fixed_cell(statistic, 2)}", chance]


def _direction(fit: PosteriorFit, term: str) -> str:
    """Say how probable the sign of a coefficient is."""
    if term not in fit.coef_names:
        return ""
    draws = fit.draws.beta[:, :, fit.coef_names.index(term)]
    above = float((draws > 0).mean())
    side, share = ("positive", above) if above >= 0.5 else ("negative", 1 - above)
    return f"{side} with probability {format_percent(share)}"


def _random(fit: Fit, labels: Mapping[str, str]) -> list[str]:
    """Return a sentence about each grouping factor's sds and correlations, and the residual."""
    found = fit.varcorr()
    intervals = _sd_intervals(fit)
    said = []
    for term in found.terms:
        group = labels.get(term.name, term.name)
        if term.structure in PATTERNS:
            said += _pattern_sentences(term, group, intervals, labels)
            continue
        parts = [
            f"{_sd_text(float(sd), intervals.get((term.name, column)))} for "
            f"{'the intercept' if column == '(Intercept)' else labels.get(column, column)}"
            for column, sd in zip(term.columns, term.sd, strict=True)
        ]
        said.append(f"The standard deviation between levels of {group} is {listed(parts)}.")
        pairs = [
            f"{fixed_cell(float(term.corr[i, j]), 2)} (of {_called(term.columns[j], labels)} and "
            f"{_called(term.columns[i], labels)})"
            for j in range(len(term.columns))
            for i in range(j + 1, len(term.columns))
            if math.isfinite(term.corr[i, j]) and term.corr[i, j] != 0
        ]
        if pairs:
            are = "correlation is" if len(pairs) == 1 else "correlations are"
            said.append(f"The {are} {listed(pairs)}.")
    if found.has_residual and (fit.has_residual_sd or found.residual):
        text = _sd_text(float(found.sigma), intervals.get(("Residual", "sigma")))
        said.append(f"The residual standard deviation is {text}.")
    said += residual_sentences(found.residual, fit.design.residual)
    return said


def _pattern_sentences(
    term: VarCorrTerm,
    group: str,
    intervals: Mapping[tuple[str, str], tuple[float, float, float]],
    labels: Mapping[str, str],
) -> list[str]:
    """Return sentences about a covariance with a pattern: its own sds and correlations."""
    sds = [(name[3:], value) for name, value in term.parameters if name.startswith("sd_")]
    parts = [
        f"{_sd_text(float(sd), intervals.get((term.name, column)))} for "
        f"{f'each of {len(term.columns)} effects' if column == '*' else _called(column, labels)}"
        for column, sd in sds
    ]
    said = [f"The standard deviation between levels of {group} is {listed(parts)}."]
    word, _ = PATTERNS[term.structure]
    rho = [fixed_cell(value, 2) for name, value in term.parameters if not name.startswith("sd_")]
    if word == "toep":
        rho = [fixed_cell(float(r), 2) for r in term.corr[1:, 0]]
        said.append(f"Effects 1, 2, ... steps apart have correlations of {listed(rho)}.")
    elif rho:
        which = "Any two of them have" if word == "cs" else "Effects one step apart have"
        said.append(f"{which} a correlation of {rho[0]}.")
    return said


def _called(column: str, labels: Mapping[str, str]) -> str:
    return "the intercept" if column == "(Intercept)" else labels.get(column, column)


def _sd_intervals(fit: Fit) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Posterior sd and limits of each sd, by term and column; nothing of a likelihood fit."""
    if isinstance(fit, LikelihoodFit):
        return {}
    found = {}
    for row in fit.tidy(effects="ran_pars").to_dict("records"):
        term, group = str(row["term"]), str(row["group"])
        numbers = tuple(float(row[name]) for name in ("std_error", "conf_low", "conf_high"))
        if term == "sd__Observation":
            found["Residual", "sigma"] = numbers
        elif term.startswith("sd__"):
            found[group, term.removeprefix("sd__")] = numbers
    return found  # type: ignore[return-value]


def _sd_text(sd: float, known: tuple[float, float, float] | None) -> str:
    if math.isnan(sd):
        return "not determined by the data"
    if sd == 0:
        return "estimated as zero"
    if known is None:
        return format_plain(sd, PLAIN_DIGITS)
    error, low, high = known
    places = _places(error, low, high)
    return f"{_number(sd, places)} [{_number(low, places)}, {_number(high, places)}]"


def _explained(fit: Fit) -> list[str]:
    """Return R2 and the intraclass correlation, where they are defined."""
    said = []
    try:
        shares = r2(fit)
    except HierBayesError:
        return []
    marginal, conditional = shares.marginal, shares.conditional
    if not any(name != "(Intercept)" for name in fit.coef_names):
        return _shared(fit)
    if math.isfinite(marginal) and fit.design.factors and math.isfinite(conditional):
        said.append(
            f"Fixed effects explain {100 * marginal:.0f} % of the variance (marginal R2 = "
            f"{marginal:.2f}), fixed and random effects together {100 * conditional:.0f} % "
            f"(conditional R2 = {conditional:.2f})."
        )
        said += _shared(fit)
    elif math.isfinite(marginal):
        said.append(
            f"The model explains {100 * marginal:.0f} % of the variance (R2 = {marginal:.2f})."
        )
    return said


def _shared(fit: Fit) -> list[str]:
    """Return the intraclass correlation, where there are groups."""
    try:
        return [f"The intraclass correlation is {icc(fit).adjusted:.2f}."]
    except HierBayesError:
        return []


def _agreement(fit: PosteriorFit) -> list[str]:
    """Say how well the chains agree, and what speaks against the draws."""
    statistics = fit.chain_statistics
    r_hat = statistics.r_hat[np.isfinite(statistics.r_hat)]
    ess = statistics.ess_bulk[np.isfinite(statistics.ess_bulk)]
    said = []
    if r_hat.size and ess.size:
        worst = math.ceil(1000 * float(r_hat.max())) / 1000
        said.append(
            f"R-hat is at most {worst:.3f} and the smallest effective sample size {ess.min():.0f}."
        )
    if not fit.converged:
        said.append("The draws are not to be trusted yet: the chains disagree.")
    return said


def _places(error: float, low: float, high: float) -> int:
    width = high - low if math.isfinite(high - low) else ERRORS_WIDE * error
    return decimals_of(width, digits=WIDTH_DIGITS, most=8, least=0)


def _number(value: float, places: int) -> str:
    return fixed_cell(value, places)


# comparisons


def _compared(found: Comparison) -> str:
    fits = [f"{one.name} ({_estimator_words(one.fit)})" for one in found.fits]
    first = found.fits[0].fit
    words = _model_words(first)
    said = [
        f"{words} ({found.formula_text}) was fitted to the same {_rows_words(first)} by "
        f"{listed(fits)}.".replace("by REML (by restricted maximum likelihood (REML))",
                                   "by REML")
    ]  # fmt: skip
    posterior = next((one.fit for one in found.fits if isinstance(one.fit, PosteriorFit)), None)
    if posterior is not None:
        said.append(f"Priors were {_prior_words(posterior)}.")
    said.append(f"Intervals are at {100 * found.level:.10g} %.")
    return " ".join(said)


def _differences(found: Comparison, labels: Mapping[str, str]) -> list[str]:
    """Say by how much the posteriors are shifted and wider, and why."""
    said = []
    posteriors = [one for one in found.fits if one.is_posterior]
    for one in posteriors if found.shift_of else []:
        said += _against(found, one, labels)
    if not posteriors:
        said += _likelihoods(found, labels)
    elif not found.shift_of:
        said.append("There is no likelihood fit to measure shifts from.")
    return said or ["Nothing can be compared: no parameter is determined by all fits."]


def _against(found: Comparison, one: ComparedFit[Any], labels: Mapping[str, str]) -> list[str]:
    """Compare a posterior with the reference."""
    frame, reference = found.table, found.shift_of
    shifts = frame[f"{one.prefix}_shift"].to_numpy(dtype=float)
    units = [str(unit) for unit in frame[f"{one.prefix}_shift_unit"]]
    known = np.flatnonzero(np.isfinite(shifts))
    if not known.size:
        return [f"No parameter of {reference} can be compared with the {one.name}."]
    named = [labels.get(str(name), str(name)) for name in frame.index]
    large = [i for i in known if abs(shifts[i]) >= SMALL_SHIFT]
    said = []
    if not large:
        most = int(known[np.argmax(np.abs(shifts[known]))])
        said.append(
            f"{_sentence_case(one.name)} and {reference} agree: posterior medians differ from "
            f"{reference} by at most {abs(shifts[most]):.2f} {_unit(units[most])} ({named[most]})."
        )
    else:
        if len(large) < known.size:
            said.append(
                f"Of {counted(int(known.size), 'parameter')}, {known.size - len(large)} differ "
                f"between {reference} and {one.name} by less than {SMALL_SHIFT:g} standard errors "
                "or posterior sds."
            )
        for i in large:
            side = "above" if shifts[i] > 0 else "below"
            why = str(frame["why"].iloc[i])
            known_already = why.startswith("median ") and ";" not in why
            reason = f" ({why})" if why and not known_already else ""
            said.append(
                f"The posterior median of {named[i]} lies {abs(shifts[i]):.2f} {_unit(units[i])} "
                f"{side} {reference}{reason}."
            )
    widths = frame[f"{one.prefix}_width_ratio"].to_numpy(dtype=float)
    finite = widths[np.isfinite(widths)]
    if finite.size:
        low, high = f"{finite.min():.2f}", f"{finite.max():.2f}"
        span = low if low == high else f"{low} to {high}"
        said.append(f"Its credible intervals are {span} times as wide as those of {reference}.")
    return said


def _likelihoods(found: Comparison, labels: Mapping[str, str]) -> list[str]:
    """Compare REML and ML: their largest difference in standard errors of the fixed effects."""
    frame = found.table
    first, second = sorted(found.fits[:2], key=lambda one: one.fit.method != "reml")
    a, b, se = (
        frame[name].to_numpy(dtype=float)
        for name in (f"{first.prefix}_estimate", f"{second.prefix}_estimate", f"{first.prefix}_se")
    )
    shifts = (b - a) / se
    known = np.flatnonzero(np.isfinite(shifts))
    if not known.size:
        return []
    i = int(known[np.argmax(np.abs(shifts[known]))])
    name = labels.get(str(frame.index[i]), str(frame.index[i]))
    return [
        f"Fixed effects of {second.name} differ from {first.name} by at most "
        f"{abs(shifts[i]):.2f} standard errors ({name})."
    ]


def _unit(unit: str) -> str:
    return "standard errors" if unit == "SE" else "posterior sds"


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
