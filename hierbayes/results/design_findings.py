"""What a design alone says, before any fit: dropped columns and rows, factors with few levels."""

from collections.abc import Sequence

from hierbayes.design.design import Design
from hierbayes.results.finding import Finding
from hierbayes.wording import listed

FEW_LEVELS = 5


def design_findings(design: Design, dropped: Sequence[str]) -> list[Finding]:
    """Return findings that need no fit: dropped columns, dropped rows, factors with few levels."""
    found = []
    if dropped:
        many = len(dropped) > 1
        found.append(
            Finding(
                "rank_deficient",
                f"The fixed-effects column{'s' if many else ''} {listed(dropped)} "
                f"{'are' if many else 'is'} determined by the columns before "
                f"{'them' if many else 'it'} and {'were' if many else 'was'} dropped.",
                "Predictions are not affected; the coefficients of the remaining columns answer "
                "for the dropped ones too.",
                {"dropped": tuple(dropped)},
            )
        )
    if design.dropped:
        counts = listed([f"{name} ({count})" for name, count in design.dropped.items()])
        n_dropped = design.n_rows_given - design.n_rows
        found.append(
            Finding(
                "rows_dropped",
                f"{n_dropped} of {design.n_rows_given} rows were left out because of missing "
                f"values: {counts}.",
                "",
                {"rows": n_dropped, "by_column": dict(design.dropped)},
            )
        )
    for factor in design.factors:
        if factor.levels.size < FEW_LEVELS:
            found.append(
                Finding(
                    "few_levels",
                    f"The grouping factor {factor.name} has only {factor.levels.size} levels.",
                    "So few levels say little about the sd between them: its estimate is rough, "
                    "and its prior matters in the posterior.",
                    {"levels": factor.levels.size},
                )
            )
    return found
