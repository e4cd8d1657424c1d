"""What is printed of a comparison: a table, the reasons where a reference is off, the count."""

from collections import Counter
from collections.abc import Sequence

from hierbayes.studies.conformance.compare import Comparison
from hierbayes.studies.conformance.references import Reference

HEADER = ("model", "quantity", "ours", "reference", "difference", "allowed", "")
DIGITS = 10
MARKS = {"same": "", "reference off": "reference off", "APART": "APART"}


def table_lines(found: Sequence[Comparison]) -> list[str]:
    """Write the numbers, a line each."""
    rows = [HEADER, *(_cells(one) for one in found)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADER))]
    return [
        "  ".join(
            cell.ljust(width) if k in (0, 1, len(HEADER) - 1) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def reason_lines(found: Sequence[Comparison]) -> list[str]:
    """Say where a reference is off, and why."""
    off = [one for one in found if one.verdict == "reference off"]
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in off:
        kinds = reasons.setdefault((one.model, one.reason), [])
        if one.kind not in kinds:
            kinds.append(one.kind)
    return [
        f"  {model}: {reason} ({'; '.join(kinds)})" for (model, reason), kinds in reasons.items()
    ]


def count_line(found: Sequence[Comparison], chosen: Sequence[Reference]) -> str:
    """Count the verdicts."""
    counts = Counter(one.verdict for one in found)
    programs = dict.fromkeys(one.program for one in chosen)
    fits = f"{len(chosen)} fits" if len(chosen) != 1 else "1 fit"
    return (
        f"{len(found):,} numbers of {fits}: {counts['same']:,} within what is allowed, "
        f"{counts['reference off']} where the reference is off, {counts['APART']} apart.\n"
        f"References: {'; '.join(programs)}."
    )


def _cells(one: Comparison) -> tuple[str, ...]:
    quantity = f"{one.kind}: {one.name}" if one.name else one.kind
    numbers = (one.ours, one.reference)
    return (
        one.model,
        quantity,
        *(f"{value:.{DIGITS}g}" for value in numbers),
        f"{one.difference:+.1e}",
        f"{one.allowed:.1e}",
        MARKS[one.verdict],
    )
