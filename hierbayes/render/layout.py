"""Laying strings out on lines as R's ``print`` and ``cat(fill = TRUE)`` do.

Knows nothing of models: cells in, lines out. A table wider than the line is printed in blocks of
columns, each with the row names again.
"""

import textwrap
import unicodedata
from collections.abc import Sequence

LINE_WIDTH = 80  # R's getOption("width")
WIDE = 100  # of tables that lay several fits side by side


def display_width(text: str) -> int:
    """Columns a text takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def pad(text: str, width: int, *, right: bool) -> str:
    """Pad with blanks to ``width``; ``right`` puts the text at the right edge."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def matrix_lines(
    cells: Sequence[Sequence[str]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    right: bool = True,
    line_width: int = LINE_WIDTH,
) -> list[str]:
    """Lines of a table of strings, as R prints a character matrix without quotes.

    Parameters
    ----------
    cells : rows of strings
    row_names, column_names : labels; row names stand at the left edge
    right : align the columns right (coefficient tables) or left (correlations)
    line_width : columns that would end at or beyond it start a new block
    """
    label_width = max(map(display_width, row_names), default=0)
    widths = [
        1 + max([display_width(name), *(display_width(row[j]) for row in cells)])
        for j, name in enumerate(column_names)
    ]
    lines: list[str] = []
    start = 0
    while start < len(widths):
        stop, used = start + 1, label_width + widths[start]
        while stop < len(widths) and used + widths[stop] < line_width:
            used += widths[stop]
            stop += 1
        for label, row in [("", column_names), *zip(row_names, cells, strict=True)]:
            line = pad(label, label_width, right=False)
            for j in range(start, stop):
                line += " " + pad(row[j], widths[j] - 1, right=right)
            lines.append(line)
        start = stop
    return lines


def named_vector_lines(
    cells: Sequence[str], names: Sequence[str], *, line_width: int = LINE_WIDTH
) -> list[str]:
    """Lines of a vector with its names above it, all in columns of one width."""
    width = max(map(display_width, [*cells, *names]), default=0)
    per_line = max(1, line_width // (width + 1))
    lines = []
    for start in range(0, len(cells), per_line):
        for row in (names, cells):
            part = row[start : start + per_line]
            lines.append("".join(pad(text, width, right=True) + " " for text in part))
    return lines


def fill_lines(pieces: Sequence[str], *, line_width: int = LINE_WIDTH) -> list[str]:
    """Pieces separated by blanks; a piece that would pass the edge starts a new line."""
    lines, current, used = [], "", 0
    for piece in pieces:
        width = display_width(piece) + 1
        if used and used + width > line_width:
            lines.append(current)
            current, used = "", 0
        current += piece + " "
        used += width
    if used:
        lines.append(current)
    return [line[:-1] for line in lines]


def wrapped(text: str, first: str = "", rest: str = "", *, width: int = LINE_WIDTH) -> list[str]:
    """Break a sentence into lines that begin with ``first``, then ``rest``; none before a "%"."""
    lines = textwrap.wrap(
        text.replace(" %", "\u00a0%"),
        width=width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0%", " %") for line in lines]


def one_line(text: str) -> str:
    """Return a text with every run of blanks and line breaks as one blank."""
    return " ".join(text.split())
