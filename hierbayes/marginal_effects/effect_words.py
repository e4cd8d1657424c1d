"""What a table of effects is over, for whom, and on which scale, in sentences."""

from collections.abc import Sequence

from hierbayes.marginal_effects.base_rows import BaseRows
from hierbayes.marginal_effects.changes import Change
from hierbayes.marginal_effects.request import EffectRequest
from hierbayes.options import ComparisonKind, Target
from hierbayes.results.effect_table import EffectKind
from hierbayes.results.fit import Fit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.wording import listed

RATIO_WORDS: dict[ComparisonKind, str] = {
    "ratio": "Ratios",
    "odds_ratio": "Odds ratios",
    "risk_ratio": "Risk ratios",
}


def target_words(fit: Fit, target: Target) -> str:
    """Say whose expected response it is."""
    groups = listed(list(fit.n_groups))
    if not groups:
        return "everybody: the model has no groups"
    if target == "typical group":
        return f"the typical group (random effects of {groups} zero)"
    if target == "observed groups":
        return f"the observed groups (with the random effects estimated for {groups})"
    if fit.response_family.predictor_is_expectation:
        return (
            f"new groups of {groups} (their mean is the typical group's: effects average to zero)"
        )
    return f"new groups (averaged over {groups} as the random effects describe them)"


def over_words(base: BaseRows, changes: Sequence[Change], *, averages: bool, is_slope: bool) -> str:
    """Say what is averaged over."""
    words = base.words if averages else f"each row alone: {base.words}"
    if not changes:
        return words
    names = listed(list(dict.fromkeys(change.variable for change in changes)))
    return f"{words}, {'slopes in' if is_slope else 'changing'} {names}, all else as it is"


def scale_words(
    fit: Fit, asked: EffectRequest, what: EffectKind, kind: ComparisonKind
) -> tuple[str, ...]:
    """Say on which scale results are, and what was done with an offset."""
    notes = []
    family = fit.response_family
    if asked.type == "probability":
        notes.append("Probabilities of the categories.")
    elif not family.predictor_is_expectation:
        if asked.type == "link":
            notes.append(f"On the scale of the {fit.link} link.")
        elif family.is_ordinal:
            notes.append("Mean numbers of the category.")
        elif family.counts_trials or family.reads_categories:
            notes.append("Probabilities.")
    if what == "comparisons" and kind != "difference":
        by_delta = isinstance(fit, LikelihoodFit) and asked.method == "delta"
        logs = ", with tests and intervals of their logs" if by_delta else ""
        notes.append(f"{RATIO_WORDS[kind]} of averages{logs}.")
    if fit.design.offset is not None:
        in_grid = isinstance(asked.rows, str) and asked.rows != "rows"
        mean = in_grid and fit.design.mean.offset_layout.is_array
        notes.append("The offset stands at its mean." if mean else "Offsets are those of the rows.")
    return tuple(notes)
