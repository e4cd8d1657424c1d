"""What marginal means are averaged over and where covariates stand, in sentences."""

from typing import Any

from hierbayes.arrays import BoolArray
from hierbayes.formula.expressions import Name
from hierbayes.marginal_means.nesting import Nesting
from hierbayes.prediction.reference_grid import Predictor, ReferenceGrid
from hierbayes.results.fit import Fit
from hierbayes.wording import listed

REDUCED = {
    "mean": "its mean, ", "median": "its median, ", "min": "its smallest value, ",
    "max": "its largest value, ",
}  # fmt: skip
SHOWN = 6  # values of a predictor listed in a sentence


def grid_notes(
    fit: Fit,
    grid: ReferenceGrid,
    wanted: tuple[str, ...],
    *,
    nested: Nesting,
    estimable: BoolArray,
    of_all_groups: bool = False,
    weighing: str = "with equal weights",
) -> tuple[str, ...]:
    """Sentences on a table of means of the predictors ``wanted``."""
    notes = []
    averaged = [p for p in grid.predictors if p.name not in wanted and len(p.values) > 1]
    if averaged:
        notes.append(f"Averaged over {_averaged(averaged)}, {weighing}.")
    fixed = [p for p in grid.predictors if p.name not in wanted and len(p.values) == 1]
    fixed += [p for p in grid.predictors if p.name in wanted and p.kind in REDUCED]
    if fixed:
        parts = [f"{p.name} at {REDUCED.get(p.kind, '')}{_value(p.values[0])}" for p in fixed]
        notes.append(f"{listed(parts)}.")
    if fit.design.y.ndim == 1 and not isinstance(fit.design.formula.response, Name):
        notes.append(f"Means are of {fit.design.formula.response_label}.")
    if fit.n_groups:
        groups = listed(list(fit.n_groups))
        left_out = f"Random effects of {groups} left out (a typical group)."
        averaged_over = f"Averaged over groups of {groups} as the random effects describe them."
        notes.append(averaged_over if of_all_groups else left_out)
    if fit.design.mean.offset_layout.was_given:
        notes.append("The offset stands at its mean.")
    notes += [_outside(p) for p in grid.predictors if _is_outside(p)]
    notes += _interactions(fit, wanted, [p.name for p in averaged], nested=nested)
    if not estimable.all():
        count = int((~estimable).sum())
        notes.append(
            f"{count} of {estimable.size} means {'is' if count == 1 else 'are'} not determined by "
            "the data: a combination of levels it needs has no rows, or columns of X depend on "
            "each other."
        )
    return tuple(notes)


def _averaged(predictors: list[Predictor]) -> str:
    categories = [p.name for p in predictors if p.range is None]
    parts = [f"the levels of {listed(categories)}"] if categories else []
    for predictor in (p for p in predictors if p.range is not None):
        shown = ", ".join(_value(v) for v in predictor.values[:SHOWN])
        more = ", ..." if len(predictor.values) > SHOWN else ""
        parts.append(f"{predictor.name} at {shown}{more}")
    return " and over ".join(parts)


def _is_outside(predictor: Predictor) -> bool:
    if predictor.range is None:
        return False
    low, high = predictor.range
    return any(value < low or value > high for value in predictor.values)


def _outside(predictor: Predictor) -> str:
    assert predictor.range is not None
    low, high = (_value(v) for v in predictor.range)
    outside = [
        _value(v) for v in predictor.values if v < predictor.range[0] or v > predictor.range[1]
    ]
    return (
        f"{predictor.name} at {listed(outside)} lies outside the data ({low} to {high}): an "
        "extrapolation."
    )


def _interactions(
    fit: Fit, wanted: tuple[str, ...], averaged: list[str], *, nested: Nesting
) -> list[str]:
    """Say where a wanted predictor interacts with one that is averaged over, not nested in it."""
    labels = []
    for term in fit.design.mean.layout.terms:
        names = set(term.columns_used())
        inner = {name for name in names if names & set(nested.nests.get(name, ()))}
        over = names & set(averaged) - inner
        if term.is_interaction and names & set(wanted) and over:
            labels.append(term.label)
    if not labels:
        return []
    return [
        f"The model has the interaction {listed(labels)}: these means average over differences "
        "that it lets vary."
    ]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
