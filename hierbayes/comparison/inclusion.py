"""Inclusion Bayes factors: the evidence for a term, averaged over the models of a set.

With posterior probabilities p(M | y) ~ p(M) p(y | M) a term has

    BF = [sum p(M | y) with it / sum p(M | y) without it] / [the same of p(M)].

Matched models are those that have the term and none of higher order, and the same ones without it,
so that the factor is of the term alone; over all models it is of the term or of whatever holds it.

Source: Hinne, Gronau, van den Bergh & Wagenmakers (2020), Adv. Methods Pract. Psychol. Sci. 3:200;
Mathot (2017), Bayes like a Baws (matched models).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.bayes.posterior import sample
from hierbayes.calls import checked_call
from hierbayes.comparison.jzs import jzs_evidence
from hierbayes.comparison.marginal_ratio import check_marginal, untrusted
from hierbayes.comparison.model_terms import (
    Element,
    Key,
    Keys,
    elements_of,
    keys_without,
    submodels,
)
from hierbayes.comparison.same_data import check_same_data
from hierbayes.comparison.term_bayes_factor import evidence_by_width
from hierbayes.errors import DataError, OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.options import check_flag, random_generator
from hierbayes.priors.standardised import JZS
from hierbayes.results.comparison import Inclusion
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Specification
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the widths of the priors of a term
DIFFERENT = "models of them can't be averaged"


@checked_call("hb.inclusion")
def inclusion(
    models: Specified | Iterable[Specified],
    *,
    random: Sequence[str] | None = None,
    matched: bool = True,
    prior: Mapping[str, float] | Sequence[float] | None = None,
    priors: JZS | None = None,
    random_seed: Any = None,
) -> Inclusion:
    """Average over models: how much the data speak for each of their terms.

    Parameters
    ----------
    models : models or posteriors, or one model
        One model stands for all models within its fixed part that respect marginality: no
        interaction without its main effects.
    random : random parts, optional
        Of one model: each of its fixed parts is taken with each, such as ``["(1 | Subject)",
        "(Days | Subject)"]``; ``""`` is none.
    matched : bool
        Compare models that have a term, and none of higher order, with the same ones without it;
        with False, all that have it with all that do not.
    prior : probabilities of the models before the data, in their order or by formula; equal unless
        given
    priors : JZS, optional
        Priors of standardised effects in place of the models' own.
    random_seed : int, Generator or SeedSequence
        For models that are not sampled yet.

    Returns
    -------
    Inclusion
        Inclusion Bayes factors of the terms and probabilities of the models.

    Raises
    ------
    OptionError, DataError, NotSupportedError
        If these are not different models of the same data with marginal likelihoods.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cake = hb.Model("angle ~ recipe * temp + (1 | replicate)", hb.load_dataset("cake"))
    >>> found = hb.inclusion(cake, random_seed=1)
    >>> len(found.models), list(found.table.index)
    (5, ['recipe', 'temp', 'recipe:temp'])
    """
    check_flag("matched", matched, "True (the same models without a term) or False (all)")
    rng = random_generator(random_seed)
    given = _given(models, random)
    specs = [one.spec for one in given]
    sets = [elements_of(spec) for spec in specs]
    keys = [frozenset(elements) for elements in sets]
    if len(specs) < 2 or len(set(keys)) < len(keys):
        raise OptionError(
            f"inclusion averages over two or more different models; it got {len(specs)} with "
            f"{len(set(keys))} different sets of terms."
        )
    if priors is None:
        fits = [one if isinstance(one, PosteriorFit) else sample(one.spec, random_seed=rng)
                for one in given]  # fmt: skip
        check_same_data(fits, purpose=DIFFERENT)
        for fit in fits:
            check_marginal(fit.formula_text, fit)
        evidence: _Evidence = _OwnPriors(fits, rng)
        findings = untrusted([fit.formula_text for fit in fits], fits)
    else:
        evidence, findings = _Standardised(specs, priors, rng), ()
    before = _prior(prior, specs)
    names = {key: element for elements in sets for key, element in elements.items()}
    rows, widths = {}, {}
    for key, element in names.items():
        if all(key in own for own in keys):
            continue
        has = np.array([key in own for own in keys])
        pairs = _matched(key, element, names, keys)
        sides = (has, ~has)
        if matched:
            sides = np.zeros_like(has), np.zeros_like(has)
            for own, smaller in pairs:
                sides[0][own] = sides[1][smaller] = True
        rows[element.label] = _term(has, sides, before, evidence)
        if matched and pairs:
            widths[element.label] = _over_widths(pairs, sides, before, evidence)
    return Inclusion(
        table=pd.DataFrame.from_dict(rows, orient="index"),
        models=_models(specs, before, evidence),
        by_width=pd.DataFrame.from_dict(widths, orient="index", columns=list(FACTORS)),
        matched=matched,
        priors_text="" if priors is None else str(priors),
        data_name=specs[0].data_name,
        n_obs=specs[0].design.y.shape[0],
        findings=findings,
    )


class _Evidence(ABC):
    """Log marginal likelihoods of the models, (m,), and their Monte-Carlo errors."""

    logs: FloatArray
    mcses: FloatArray

    @abstractmethod
    def gains(self, larger: int, smaller: int) -> FloatArray:
        """Change of the log marginal likelihood of a model as what it has alone gets other widths.

        At each of ``FACTORS``; NaN where it is not known.
        """


class _OwnPriors(_Evidence):
    """Of posteriors."""

    def __init__(self, fits: Sequence[PosteriorFit], rng: np.random.Generator) -> None:
        self.fits, self.rng = fits, rng
        self.logs = np.array([fit.log_marginal_likelihood for fit in fits], dtype=np.float64)
        self.mcses = np.array([fit.log_marginal_likelihood_mcse or 0.0 for fit in fits])

    def gains(self, larger: int, smaller: int) -> FloatArray:
        """Reweigh the draws of the larger model."""
        left = {p.name for p in self.fits[smaller].priors.parameters}
        fit = self.fits[larger]
        gone = [p for p in fit.priors.parameters if p.name not in left]
        found = evidence_by_width(fit, gone, FACTORS, self.rng)
        return np.full(len(FACTORS), np.nan) if found is None else found["log_bf"].to_numpy()


class _Standardised(_Evidence):
    """Under priors of standardised effects."""

    def __init__(
        self, specs: Sequence[Specification], priors: JZS, rng: np.random.Generator
    ) -> None:
        first = specs[0].design
        for spec in specs[1:]:
            if not np.array_equal(spec.design.y, first.y):
                raise DataError(
                    f"{specs[0].formula_text} and {spec.formula_text} have different rows or "
                    f"responses, so {DIFFERENT}."
                )
        self.rng, self.found = rng, [jzs_evidence(spec, priors, rng) for spec in specs]
        self.logs = np.array([one.value for one in self.found])
        self.mcses = np.array([one.mcse for one in self.found])

    def gains(self, larger: int, smaller: int) -> FloatArray:
        """Reweigh the scales of the larger model."""
        one, left = self.found[larger], self.found[smaller].density.blocks
        known = {term for block in left for term in block.terms}
        changed = [b for b in one.density.blocks if not known.issuperset(b.terms)]
        if any(not known.isdisjoint(block.terms) for block in changed):
            return np.full(len(FACTORS), np.nan)  # numbers share a scale with what is left
        gone = [term for block in changed for term in block.terms]
        wider = [one.wider(gone, factor, self.rng).value for factor in FACTORS]
        return np.array(wider) - one.value


def _given(
    models: Specified | Iterable[Specified], random: Sequence[str] | None
) -> list[Specified]:
    """Return the models of a set: those given, or those within one."""
    if isinstance(models, Specified):
        check_no_formulas(models.spec.design, "hb.inclusion")
        return [
            _Within(with_formula(models.spec, change))
            for change in submodels(models.spec, None if random is None else list(random))
        ]
    if random is not None:
        raise OptionError("random= is for one model; a list of models has its own random parts.")
    found = list(models) if isinstance(models, Iterable) else []
    for one in found:
        if not isinstance(one, Specified):
            raise OptionError(f"inclusion takes models or their posteriors; it got {shown(one)}.")
        check_no_formulas(one.spec.design, "hb.inclusion")
    return found


class _Within(Specified):
    """A model within another one."""

    def __init__(self, spec: Specification) -> None:
        self.spec = spec


def _prior(given: Any, specs: Sequence[Specification]) -> FloatArray:
    """Probabilities of the models before the data."""
    if given is None:
        return np.full(len(specs), 1 / len(specs))
    formulas = [spec.formula_text for spec in specs]
    if isinstance(given, Mapping):
        if set(given) != set(formulas):
            raise OptionError(f"prior= has to name each model by its formula: {formulas}.")
        given = [given[formula] for formula in formulas]
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (len(specs),) or not (found > 0).all() or not np.isfinite(found).all():
        raise OptionError(f"prior={shown(given)} must be {len(specs)} positive numbers.")
    return np.asarray(found / found.sum())


def _models(
    specs: Sequence[Specification], before: FloatArray, evidence: _Evidence
) -> pd.DataFrame:
    """One row a model: its probabilities, and its Bayes factor against the best one."""
    logs, mcses = evidence.logs, evidence.mcses
    weights = np.log(before) + logs
    best = int(np.argmax(logs))
    return pd.DataFrame(
        {
            "prior": before,
            "posterior": np.exp(weights - log_sum_exp(weights)),
            "log_bf": logs - logs[best],
            "log_bf_mcse": np.hypot(mcses, mcses[best]) * (np.arange(logs.size) != best),
        },
        index=pd.Index([spec.formula_text for spec in specs], name="model"),
    )


def _term(
    has: BoolArray, sides: tuple[BoolArray, BoolArray], before: FloatArray, evidence: _Evidence
) -> dict[str, float]:
    """Inclusion Bayes factor of one term, which some models have."""
    after = np.log(before) + evidence.logs
    row = {
        "prior": float(before[has].sum()),
        "posterior": float(np.exp(log_sum_exp(after[has]) - log_sum_exp(after))),
        "log_bf": math.nan,
        "log_bf_mcse": math.nan,
        "n_with": int(sides[0].sum()),
        "n_without": int(sides[1].sum()),
    }
    if all(some.any() for some in sides):
        shares = [
            np.exp(after[some] - log_sum_exp(after[some])) * evidence.mcses[some] for some in sides
        ]
        row["log_bf"] = _log_factor(sides, before, evidence.logs)
        row["log_bf_mcse"] = float(np.sqrt(sum((share**2).sum() for share in shares)))
    return row


def _log_factor(sides: tuple[BoolArray, BoolArray], before: FloatArray, logs: FloatArray) -> float:
    """Log of the odds after the data over those before."""
    first, second = sides
    log_before = np.log(before)
    after = log_before + logs
    odds = [log_sum_exp(p[first]) - log_sum_exp(p[second]) for p in (after, log_before)]
    return float(odds[0] - odds[1])


def _over_widths(
    pairs: Sequence[tuple[int, int]],
    sides: tuple[BoolArray, BoolArray],
    before: FloatArray,
    evidence: _Evidence,
) -> list[float]:
    """Log inclusion Bayes factors of a term as its priors narrow and widen in all models."""
    logs = np.tile(evidence.logs, (len(FACTORS), 1))
    for larger, smaller in pairs:
        logs[:, larger] += evidence.gains(larger, smaller)
    return [_log_factor(sides, before, row) for row in logs]


def _matched(
    key: Key, element: Element, names: Mapping[Key, Element], keys: Sequence[Keys]
) -> list[tuple[int, int]]:
    """Models with a term and none of higher order, each with the same one without it."""
    higher = {other for other, named in names.items() if named.contains(element)}
    places = {own: i for i, own in enumerate(keys)}
    smaller = [places.get(keys_without(own, key)) for own in keys]
    return [
        (i, other)
        for i, (own, other) in enumerate(zip(keys, smaller, strict=True))
        if key in own and not own & higher and other is not None
    ]
