"""Pieces of messages about data: the nearest valid name, and which rows are meant."""

from collections.abc import Sequence
from difflib import get_close_matches

LISTED = 10  # so many choices fit a line
SHOWN_ROWS = 3


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """Return ``"; did you mean 'Days'?"``, or the choices when none is close."""
    folded = {choice.casefold(): choice for choice in reversed(choices)}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    if not choices:
        return "."
    shown = ", ".join(repr(choice) for choice in choices[:LISTED])
    more = ", ..." if len(choices) > LISTED else ""
    return f"; there {'is' if len(choices) == 1 else 'are'} {shown}{more}."


def counted_rows(labels: Sequence[object], total: int) -> str:
    """Return ``"row 3"`` or ``"rows 3, 7, 9 and 12 more"`` from the first row labels."""
    shown = [str(label) for label in labels[:SHOWN_ROWS]]
    if total == 1:
        return f"row {shown[0]}"
    if total > len(shown):
        return f"rows {', '.join(shown)} and {total - len(shown)} more"
    return f"rows {', '.join(shown[:-1])} and {shown[-1]}"
