"""Pieces of sentences: lists, counts, what was given, the nearest of what is there; warnings."""

import os
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_SHOWN = 120  # letters of a value in a message
LISTED = 10  # so many choices fit a line
SHOWN_ROWS = 3
PACKAGE = f"{Path(__file__).parent}{os.sep}"


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that points at the caller's line: the first outside of this package."""
    warnings.warn(message, category, skip_file_prefixes=(PACKAGE,))


def listed(words: Sequence[str], last: str = "and") -> str:
    """Join words to an English list: ``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def counted(n: int, noun: str, plural: str = "") -> str:
    """Write number and noun: ``1 row``, ``2 rows``."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def counted_rows(labels: Sequence[object], total: int) -> str:
    """Return ``"row 3"`` or ``"rows 3, 7, 9 and 12 more"`` from the first row labels."""
    shown_labels = [str(label) for label in labels[:SHOWN_ROWS]]
    if total == 1:
        return f"row {shown_labels[0]}"
    if total > len(shown_labels):
        return f"rows {', '.join(shown_labels)} and {total - len(shown_labels)} more"
    return f"rows {listed(shown_labels)}"


def nearest(given: Any, allowed: Sequence[str]) -> str | None:
    """Return the allowed word closest to ``given``, or None when nothing is close."""
    if not isinstance(given, str):
        return None
    folded = {word.casefold(): word for word in allowed}
    close = get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def meant(given: Any, allowed: Sequence[str], otherwise: str = ".") -> str:
    """End a sentence by the nearest allowed word: ``"; did you mean 'Days'?"``."""
    guess = nearest(given, allowed)
    return f"; did you mean {guess!r}?" if guess else otherwise


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """Return ``"; did you mean 'Days'?"``, or the choices when none is close."""
    folded = {choice.casefold(): choice for choice in reversed(choices)}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    if not choices:
        return "."
    first = ", ".join(repr(choice) for choice in choices[:LISTED])
    more = ", ..." if len(choices) > LISTED else ""
    return f"; there {'is' if len(choices) == 1 else 'are'} {first}{more}."


def shown(given: Any) -> str:
    """Write what was given for an argument: a value as it is, anything larger as what it is.

    A fit or a frame in the place of a word would print all its tables into the sentence.
    """
    if isinstance(given, str | int | float | complex | bytes | np.generic | None):
        text = repr(given.item() if isinstance(given, np.generic) else given)
    elif isinstance(given, type):
        return f"the class {given.__name__}"
    elif isinstance(given, list | tuple | set | frozenset | dict | range) and len(given) <= 20:
        parts = [*given, *given.values()] if isinstance(given, dict) else given
        plain = all(not shown(part).startswith(("a ", "the class ")) for part in parts)
        text = repr(given) if plain else f"a {type(given).__name__}"
    else:
        return f"a {type(given).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
