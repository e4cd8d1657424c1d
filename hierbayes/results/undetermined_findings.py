"""What the data cannot determine, in words: which parameters, why, and what to do.

One sentence a cause: the fixed part already gives every level of a factor what a term is to
give it; the columns of a term depend on each other; or only combinations of variances show in the
data (two equal grouping factors, no level with rows in both columns).
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design, RandomTerm
from hierbayes.gaussian.undetermined import TAKES_PART, Undetermined
from hierbayes.results.finding import Finding
from hierbayes.results.interval_parameters import parameter_labels
from hierbayes.wording import listed

CODE = "not_identified"
NOT_SHOWN = (
    "Any value fits equally well, so none is shown for {it}, nor for what depends on {it}; the "
    "rest is as it is without {it}. "
)
PRIOR = "The posterior, model.sample(), has an answer, but its prior decides."
POSTERIOR = (
    "What is printed for {it} is what the priors say within what the data leave open: its prior "
    "decides, here and in all that depends on {it}."
)


def undetermined_findings(
    design: Design, found: Undetermined | None, *, posterior: bool = False
) -> tuple[Finding, ...]:
    """Return a finding for each cause; ``posterior`` says for which estimator."""
    if found is None:
        return ()
    labels = parameter_labels(design)
    unknown, place = found.parameters, 0
    findings = []
    rest = np.abs(found.dependences[:-1]).max(axis=1, initial=0.0) > TAKES_PART
    for term, D in zip(design.terms, found.directions, strict=True):
        size = len(term.columns) * (len(term.columns) + 1) // 2
        own = np.arange(place, place + size)
        place += size
        if D.shape[1]:
            named = [labels[i] for i in own if unknown[i]]
            rest[own] = False
            findings.append(_of_term(design, term, D / _scale(found, term), named, posterior))
    named = [label for label, some in zip(labels, rest, strict=True) if some]
    if found.sigma:
        named.append("sigma")
    if named:
        findings.append(_one_by_one(named, posterior))
    return tuple(findings)


def _scale(found: Undetermined, term: RandomTerm) -> FloatArray:
    return found.scale[term.factor][list(term.columns), None]


def _of_term(
    design: Design, term: RandomTerm, D: FloatArray, named: list[str], posterior: bool
) -> Finding:
    """Return the finding of a term whose directions D (q, r) X or its own columns explain."""
    factor = design.factors[term.factor]
    names = [factor.columns[c] for c in term.columns]
    size = np.abs(D) * np.sqrt((factor.z[:, list(term.columns)] ** 2).mean(axis=0))[:, None]
    taking = [n for n, row in zip(names, size, strict=True) if row.max() > TAKES_PART * size.max()]
    fixed = _fixed_terms(design, term, D)
    what = listed(named)
    if not fixed:
        cause = f"the columns {listed(taking)} of {term.label} depend on each other"
        remedy = f"Leave one of {listed(taking)} out of {term.label}. "
    else:
        own = listed(["intercept" if n == "(Intercept)" else f"effect of {n}" for n in taking])
        cause = (
            f"the fixed effects of {listed(fixed)} already give each level of {factor.name} its "
            f"own {own}"
        )
        remedy = f"Leave {listed(fixed)} out of the fixed part, or {listed(taking)} out of "
        remedy += f"{term.label}. "
    sentence = f"{what} {_is(named)} not determined by the data: {cause}."
    return Finding(
        CODE,
        sentence,
        _advice(named, remedy, posterior),
        {"parameters": tuple(named), "fixed": tuple(fixed), "group": factor.name},
    )


def _one_by_one(named: list[str], posterior: bool) -> Finding:
    each = "" if len(named) == 1 else " one by one"
    remedy = (
        "This happens when no level has rows in both columns, or when two terms give the rows the "
        "same covariance, as equal grouping factors do: leave one of them out, or write || where "
        "only a correlation is unknown. "
    )
    return Finding(
        CODE,
        f"{listed(named)} {_is(named)} not determined by the data{each}.",
        _advice(named, remedy, posterior),
        {"parameters": tuple(named)},
    )


def _advice(named: list[str], remedy: str, posterior: bool) -> str:
    it = "it" if len(named) == 1 else "them"
    if posterior:
        return POSTERIOR.format(it=it)
    return NOT_SHOWN.format(it=it) + remedy + PRIOR


def _fixed_terms(design: Design, term: RandomTerm, D: FloatArray) -> list[str]:
    """Labels of the fixed terms whose columns make up Z d for effects drawn at random."""
    factor = design.factors[term.factor]
    effects = np.random.default_rng(0).standard_normal((factor.levels.size, D.shape[1]))
    made = (factor.z[:, list(term.columns)] @ D) * effects[factor.codes]
    length = np.sqrt((design.X**2).sum(axis=0))
    X = design.X / np.where(length > 0, length, 1.0)
    size = np.abs(np.linalg.lstsq(X, made, rcond=None)[0]).max(axis=1)
    reach = np.sqrt((factor.z[:, list(term.columns)] ** 2).sum(axis=0)) @ np.abs(D)
    used = np.unique(design.assign[size > TAKES_PART * reach.max()])
    labels = design.mean.layout.labels
    return [labels[k - 1] for k in used if k > 0]


def _is(named: Sequence[str]) -> str:
    return "is" if len(named) == 1 else "are"
