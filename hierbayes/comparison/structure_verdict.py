"""Which structure is preferred by what, and how clearly, in sentences.

Differences of AIC are read as Burnham and Anderson do, of BIC and of log marginal likelihoods as
Kass and Raftery do: a difference of BIC is about twice a log Bayes factor.

Source: Burnham & Anderson (2002), Model Selection and Multimodel Inference, section 2.6; Kass &
Raftery (1995), J. Am. Stat. Assoc. 90:773, section 3.2.
"""

import math
from collections.abc import Sequence

import pandas as pd

from hierbayes.wording import listed

AIC_WORDS = (
    (2.0, "the data hardly tell them apart"),
    (10.0, "it has some support left"),
    (math.inf, "it has hardly any support"),
)
# of twice the log of a Bayes factor
EVIDENCE_WORDS = (
    (2.0, "not worth more than a bare mention"),
    (6.0, "positive evidence"),
    (10.0, "strong evidence"),
    (math.inf, "very strong evidence"),
)
SIGNIFICANT = 0.05
SMALLEST = 0.001  # p value that is written
MOST = 1e6  # larger factors are given as a power of ten
CRITERIA = {
    "aic": "AIC",
    "bic": "BIC",
    "log_marginal_likelihood": "the marginal likelihood",
}


def criteria_sentences(table: pd.DataFrame) -> list[str]:
    """Say what each criterion prefers, and by how much over the next.

    Parameters
    ----------
    table : columns ``aic bic log_marginal_likelihood``, what is not known missing
    """
    costs = {
        "aic": table["aic"],
        "bic": table["bic"],
        "log_marginal_likelihood": -2 * table["log_marginal_likelihood"],
    }
    known = {name: cost.sort_values(kind="stable") for name, cost in costs.items()
             if cost.notna().all()}  # fmt: skip
    if not known:
        return []
    first = _preferred({name: str(cost.index[0]) for name, cost in known.items()})
    return [first, *(_by_how_much(name, cost) for name, cost in known.items())]


def _preferred(best: dict[str, str]) -> str:
    """Say which structure each criterion prefers: one sentence."""
    by = {
        model: [CRITERIA[name] for name, own in best.items() if own == model]
        for model in dict.fromkeys(best.values())
    }
    parts: list[str] = []
    for model, criteria in by.items():
        verb = "" if parts else (" prefer" if len(criteria) > 1 else " prefers")
        parts.append(f"{listed(criteria)}{verb} {model}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _by_how_much(name: str, cost: "pd.Series[float]") -> str:
    gap, second = float(cost.iloc[1] - cost.iloc[0]), cost.index[1]
    if name == "aic":
        return f"By AIC {second} is {gap:.1f} behind {cost.index[0]}: {_word(gap, AIC_WORDS)}."
    word = _word(gap, EVIDENCE_WORDS)
    if gap >= EVIDENCE_WORDS[0][0]:
        word += f" for {cost.index[0]}"
    if name == "bic":
        return f"By BIC {second} is {gap:.1f} behind {cost.index[0]}: {word}."
    log_factor = gap / 2
    is_plain = log_factor < math.log(MOST)
    size = f"{math.exp(log_factor):.3g}" if is_plain else f"10^{log_factor / math.log(10):.0f}"
    return f"The Bayes factor of {cost.index[0]} against {second} is {size}: {word}."


def _word(gap: float, words: Sequence[tuple[float, str]]) -> str:
    return next(word for most, word in words if gap < most)


def tests_sentence(tests: Sequence[tuple[str, str, float]]) -> str:
    """Say which models fit better than the special cases they were tested against.

    Parameters
    ----------
    tests : names of the larger and of the smaller model, and p
    """
    parts: list[str] = []
    for large, small, p in tests:
        if math.isnan(p):
            continue
        shown = "p < 0.001" if p < SMALLEST else f"p = {p:.3f}"
        verb = "fits better" if p < SIGNIFICANT else "does not clearly fit better"
        parts.append(f"{large} {verb} than {small} ({shown})")
    return f"By likelihood ratio {'; '.join(parts)}." if parts else ""
