"""Messages that show the place in a formula: a sentence, the text with a caret, the advice."""

import unicodedata

from hierbayes.errors import FormulaError, FormulaSyntaxError

# A long formula is shown by a window of this many characters round the place: one terminal line.
WINDOW = 70


def point_at(sentence: str, *, source: str, at: int, advice: str = "") -> str:
    """Show a sentence, the formula with a caret under offset ``at``, and what to do.

    Parameters
    ----------
    sentence : what was found
    source : the formula's text
    at : offset in ``source`` of the place
    advice : what to do, on a line of its own

    Returns
    -------
    str
        Lines ``sentence``, formula, caret and advice; long formulas show an excerpt.
    """
    at = max(0, min(at, len(source)))
    start = max(0, min(at - WINDOW // 2, len(source) - WINDOW))
    stop = start + WINDOW
    # Line breaks, tabs and invisible characters would move the caret: each shows as a space.
    shown = "".join(char if char.isprintable() else " " for char in source[start:stop])
    before = "..." if start else ""
    after = "..." if stop < len(source) else ""
    margin = len(before) + sum(_cells(char) for char in shown[: at - start])
    lines = [sentence, f"    {before}{shown}{after}", f"    {' ' * margin}^"]
    if advice:
        lines.append(advice)
    return "\n".join(lines)


def syntax_error(sentence: str, *, source: str, at: int, advice: str = "") -> FormulaSyntaxError:
    """Return the error for text that isn't a formula, with the place shown."""
    return FormulaSyntaxError(point_at(sentence, source=source, at=at, advice=advice))


def formula_error(sentence: str, *, source: str, at: int, advice: str = "") -> FormulaError:
    """Return the error for a formula that reads well but can't be meant, with the place shown."""
    return FormulaError(point_at(sentence, source=source, at=at, advice=advice))


def _cells(char: str) -> int:
    """Columns a terminal gives a character: 2 for East Asian wide ones, 0 for marks."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
