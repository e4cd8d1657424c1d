"""The one-page Bayesian reanalysis of a mixed model: REML next to a grid of priors.

For one coefficient: its estimate and interval by REML; under each prior its posterior median and
interval, the probabilities that it is positive and that it lies beyond a threshold, and the Bayes
factor for the coefficient against none, from the marginal likelihoods of the two models under the
same other priors.

Unless given, the priors are those of the literature on clinical trials: a sceptic believes in no
effect and gives one as large as ``expected`` (or larger) a probability of 5 %; an optimist expects
it and gives an effect of the other sign 5 %; between them stand the weakly informative defaults,
centred at no effect also where the effect is the intercept.

Source: Spiegelhalter, Freedman & Parmar (1994), J. R. Stat. Soc. A 157:357.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from hierbayes.bayes.posterior import sample
from hierbayes.calls import checked_call
from hierbayes.comparison.bayes_factor import bayes_factor
from hierbayes.errors import HierBayesError, OptionError
from hierbayes.model.model import Model
from hierbayes.naming.addresses import coefficient_addresses
from hierbayes.options import Guideline, check_option, random_generator, shown
from hierbayes.priors.distributions import Flat, Normal, Prior
from hierbayes.render.numbers import format_factor, format_percent
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.published_model import PublishedModel
from hierbayes.results.reanalysis import Reanalysis
from hierbayes.results.tidy import check_level, estimated_rows
from hierbayes.specification.build import with_formula
from hierbayes.studies.published import KNOWN_SD, model_of, one_coefficient

ONE_SIDED = 1.6448536269514722  # normal quantile of 95 %
LEVEL = 0.95  # of the intervals unless said
PULLED = 0.5  # standard errors by which medians differ before the prior is said to matter


@checked_call("hb.reanalyse", options_of=Model)
def reanalyse(
    formula: str | PublishedModel,
    data: Any = None,
    priors: Mapping[str, Any] | None = None,
    *,
    term: str | None = None,
    expected: float | None = None,
    threshold: float = 0.0,
    level: float = LEVEL,
    guideline: Guideline | None = None,
    random_seed: Any = None,
    **model_options: Any,
) -> Reanalysis:
    """Analyse a mixed model by REML and under several priors, for one coefficient.

    Parameters
    ----------
    formula, data, **model_options
        As for ``Model``: ``known_sd="se"`` makes it a meta-analysis of published estimates. In
        their place what ``hb.read_summary`` or ``hb.read_coefficients`` returns: of one coefficient
        estimate and standard error are enough. Priors of the others are then flat, and so is the
        neutral prior, for nothing tells what would be wide.
    priors : dict, name -> priors of a model
        For example ``{"sceptical": {"Days": hb.Normal(0, 5)}, "neutral": None}``; sceptical,
        neutral and optimistic as described above unless given.
    term : the coefficient; the last one of the fixed part unless said
    expected : effect that sceptic and optimist disagree about, in units of the coefficient; the
        REML estimate unless said, which uses the data twice
    threshold : effect whose probability of being exceeded is reported, in the direction of the
        estimate: of a negative one, the probability of lying below minus the threshold
    level : of the intervals
    guideline : {"BARG", "WAMBS", "JARS-Bayes"}, optional
        By which ``.report`` reports: every item of it filled from the fits or left to the author.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    Reanalysis
        Prints the table and a paragraph; ``.report("page.html")`` writes the page.

    Raises
    ------
    OptionError
        If there is no such coefficient or these are not priors of a model.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> found = hb.reanalyse("Reaction ~ Days + (Days | Subject)", sleep, random_seed=1)
    >>> found.term, list(found.table.index)
    ('Days', ['REML', 'sceptical', 'neutral', 'optimistic'])
    """
    given = {
        "priors": priors,
        "term": term,
        "expected": expected,
        "threshold": threshold or None,
        "level": None if level == LEVEL else level,
        "guideline": guideline,
        **model_options,
        "random_seed": random_seed,
    }
    rng = random_generator(random_seed)
    flat: dict[str, Any] = {}
    published, notes = "", []
    if isinstance(formula, PublishedModel):
        if data is not None or model_options:
            raise OptionError(
                "A published model stands in place of formula, data and options of a model."
            )
        published = formula.source
        alone = model_of(one_coefficient(formula, term))
        term, flat = None, {"b": Flat()}
        formula, data, model_options = alone.formula_text, alone.spec.table, {"known_sd": KNOWN_SD}
        given = {**given, "term": None, **model_options}
        notes.append(
            f"Known are the estimate and standard error of {alone.design.coef_names[0]} alone, "
            f"from {published}; the rows of {formula} are made of these two numbers."
        )
    check_level(level)
    if guideline is not None:
        check_option("guideline", guideline, Guideline)
    _check_numbers(expected=expected, threshold=threshold)
    model = Model(formula, data, **(model_options | {"priors": flat or None}))
    reml = model.fit("reml")
    at = _checked_term(reml, term)
    chosen = coefficient_addresses(reml.design, reml.kept.tolist()).labels[at]
    estimate, error = float(reml.beta[at]), float(reml.std_errors[at])
    if priors is None:
        if expected is None:
            notes.append(
                "Sceptic and optimist disagree about an effect as large as the REML estimate, "
                "which uses the data twice; give expected= what was expected beforehand."
            )
        own = model.spec.priors.beta[model.spec.kept_columns.tolist().index(at)]
        priors = spectrum(chosen, estimate if expected is None else float(expected), own)
    if not isinstance(priors, Mapping) or not priors:
        raise OptionError(
            "priors must be a dict of names and priors of a model, for example "
            '{"sceptical": {"Days": hb.Normal(0, 5)}, "neutral": None}.'
        )
    if "REML" in map(str, priors):
        raise OptionError(
            "priors: 'REML' is the row of the fit without priors; choose another name."
        )
    if flat:
        priors = {name: flat | dict(prior or {}) for name, prior in priors.items()}
        given |= {"priors": priors, "expected": None}
    rows = {"REML": _of_reml(reml, at, level)}
    fits: dict[str, Fit] = {"REML": reml}
    without: dict[tuple[str, ...], PosteriorFit] = {}
    for name, prior in priors.items():
        again = Model(formula, data, **(model_options | {"priors": prior}))
        post = again.sample(random_seed=rng)
        draws = post.draws.beta[:, :, at].ravel()
        factor, mcse, why = _bayes_factor(post, reml.coef_names[at], rng, without)
        if why:
            notes.append(f"{name}: {why}")
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(draws, tails)
        beyond = draws > threshold if estimate >= 0 else draws < -abs(threshold)
        laws = again.spec.priors.beta
        law = laws[at]
        rows[str(name)] = (
            str(law),
            float(np.median(draws)),
            float(draws.std(ddof=1)),
            float(low),
            float(high),
            float((draws > 0).mean()),
            float(beyond.mean()),
            factor,
            (float(np.median(draws)) - estimate) / error,
            mcse,
        )
        fits[str(name)] = post
    columns = ["prior", "median", "sd", "low", "high", "prob_positive", "prob_beyond"]
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=[*columns, "bayes_factor", "shift", "bayes_factor_mcse"]
    )
    return Reanalysis(
        term=chosen,
        table=table,
        threshold=float(threshold),
        level=level,
        fits=fits,
        paragraph=_paragraph(chosen, table, level, threshold, None if flat else reml),
        notes=tuple(notes),
        formula_text=reml.formula_text,
        data_name=reml.data_name,
        guideline=guideline,
        published=published,
        arguments={name: value for name, value in given.items() if value is not None},
    )


def spectrum(term: str, expected: float, default: Prior) -> dict[str, Any]:
    """Priors of a sceptic, of somebody neutral and of an optimist about one coefficient.

    ``default`` is the model's own. An intercept's is centred at the mean of the data; somebody
    neutral has its width, and its centre at no effect.
    """
    if expected == 0 or not np.isfinite(expected):
        raise OptionError(f"expected={shown(expected)} must be an effect other than zero.")
    spread = abs(expected) / ONE_SIDED
    neutral = None
    if isinstance(default, Normal) and default.mu != 0:
        neutral = {term: Normal(0.0, default.sigma)}
    return {
        "sceptical": {term: Normal(0.0, spread)},
        "neutral": neutral,
        "optimistic": {term: Normal(expected, spread)},
    }


def _check_numbers(**given: Any) -> None:
    for name, value in given.items():
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if value is not None and not (is_number and np.isfinite(value)):
            raise OptionError(f"{name}={shown(value)} must be a number.")


def _checked_term(fit: LikelihoodFit, term: Any) -> int:
    """Return the position of the coefficient to reanalyse; the last one when not named."""
    if not fit.coef_names:
        raise OptionError("The model has no fixed effect to reanalyse.")
    if term is None:
        return len(fit.coef_names) - 1
    addresses = coefficient_addresses(fit.design, fit.kept.tolist())
    return addresses.place(term, "term={text} is not one of {listed}")


def _of_reml(fit: LikelihoodFit, at: int, level: float) -> tuple[Any, ...]:
    row: Any = estimated_rows(fit, fit.tidy("fixed", level=level)).iloc[at]
    estimate, error, df = (float(row[name]) for name in ("estimate", "std_error", "df"))
    positive = float(stdtr(df, estimate / error))
    low, high = float(row["conf_low"]), float(row["conf_high"])
    return ("none", estimate, error, low, high, positive, np.nan, np.nan, 0.0, np.nan)


def _bayes_factor(
    post: PosteriorFit,
    term: str,
    rng: np.random.Generator,
    without: dict[tuple[str, ...], PosteriorFit],
) -> tuple[float, float, str]:
    """Bayes factor for a coefficient against none and its error, or NaN with the reason.

    Models without it are sampled once for all priors that differ in its own; ``without`` has them.
    """
    terms = post.spec.formula.fixed.terms
    labels = [own.label for own in terms]
    larger = [own.label for own in terms if own.label != term and term in own.labels]
    why = f"no Bayes factor, {term} is no term that can be taken out on its own."
    if term != "(Intercept)" and (term not in labels or larger):
        return np.nan, np.nan, why
    change = ". ~ . - 1" if term == "(Intercept)" else f". ~ . - {term}"
    try:
        small = with_formula(post.spec, change)
        laws = tuple(f"{p.name} {small.priors.of(p)}" for p in small.priors.parameters)
        if laws not in without:
            without[laws] = sample(small, random_seed=rng)
        found = bayes_factor(post, without[laws])
    except HierBayesError as error:
        return np.nan, np.nan, f"no Bayes factor ({error})"
    told = [str(own) for own in found.findings if own.code == "data_centred_prior"]
    return float(found.bf), float(found.bf * found.log_bf_mcse), " ".join(told)


def _paragraph(
    term: str, table: pd.DataFrame, level: float, threshold: float, reml: LikelihoodFit | None
) -> str:
    """Say the result in words; without a fit the estimate was published."""
    own: Any = table.loc["REML"]
    others = table.drop(index="REML")
    percent = f"{100 * level:g} %"
    source = f"The published effect of {term} was"
    if reml is not None:
        source = f"We analysed {reml.nobs} observations with the model {reml.formula_text}. By REML"
        source += f" the effect of {term} was"
    first = (
        f"{source} {own['median']:.3g} (standard error {own['sd']:.3g}, {percent} "
        f"confidence interval {own['low']:.3g} to {own['high']:.3g})."
    )
    parts = []
    for name, row in others.iterrows():
        says = (
            f"under the {name} prior, {row['prior']}, the posterior median was "
            f"{row['median']:.3g} ({percent} credible interval {row['low']:.3g} to "
            f"{row['high']:.3g}), with a probability of "
            f"{format_percent(row['prob_positive'])} that the effect is positive"
        )
        if threshold:
            low = own["median"] < 0
            side = f"is below {-abs(threshold):g}" if low else f"exceeds {threshold:g}"
            says += f" and of {format_percent(row['prob_beyond'])} that it {side}"
        if np.isfinite(row["bayes_factor"]):
            says += f"; the Bayes factor for the effect was {format_factor(row['bayes_factor'])}"
        parts.append(says)
    sentences = " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)
    spread = float(others["shift"].max() - others["shift"].min())
    if spread < PULLED:
        last = (
            "The conclusion hardly depends on the prior: the medians differ by "
            f"{spread:.2g} standard errors."
        )
    else:
        last = (
            f"The prior matters here: the medians differ by {spread:.2g} standard errors, so a "
            "reader's own prior decides how much to believe."
        )
    return f"{first} {sentences} {last}"
