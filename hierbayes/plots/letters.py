"""Room for words: how wide they are, and where their lines may end.

Widths are those of the font's letters, measured; nothing is drawn for it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
MM_PER_POINT = 25.4 / 72
# Where a line of a name may end; the point of a number is no such place.
BREAKS = re.compile(r"(?<=[:,;\s_/*+])(?=\S)|(?<=\.)(?=[^\W\d]|\()|(?=\|)")
MOST_LINES = 4  # of a name


@lru_cache(maxsize=4096)
def width_mm(words: str, points: float) -> float:
    """Width in mm of the longest line of some words in letters of a size in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=points)
    widths = [
        text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
        for line in words.split("\n")
    ]
    return float(max(widths)) * MM_PER_POINT


def in_lines(name: str, *, room_mm: float, points: float, most: int = MOST_LINES) -> str:
    """Break a name into lines that fit into the room: after its signs and before its bars.

    Nothing is left out but the end of a name of more than ``most`` lines.

    Parameters
    ----------
    name : such as ``cor((Intercept),Days|Subject)``
    room_mm : width of a line
    points : size of the letters
    most : lines

    Examples
    --------
    >>> in_lines("Subject: (Intercept)", room_mm=20, points=8).splitlines()
    ['Subject:', '(Intercept)']
    """
    if width_mm(name, points) <= room_mm:
        return name
    lines = [""]
    for part in (part for given in BREAKS.split(name) for part in _parts(given, room_mm, points)):
        if not lines[-1] or width_mm((lines[-1] + part).rstrip(), points) <= room_mm:
            lines[-1] += part
        else:
            lines.append(part)
    if len(lines) > most:
        kept = lines[most - 1]
        while len(kept) > 1 and width_mm(kept + ELLIPSIS, points) > room_mm:
            kept = kept[:-1]
        lines = [*lines[: most - 1], kept + ELLIPSIS]
    return "\n".join(line.rstrip() for line in lines)


def is_cut(lines: str, name: str) -> bool:
    """Whether a name was broken inside of a word, or its end left out."""
    pieces = [piece.strip() for given in name.split("\n") for piece in BREAKS.split(given)]
    whole = {piece for piece in pieces if piece}
    found = [piece.strip() for line in lines.split("\n") for piece in BREAKS.split(line)]
    return not {piece for piece in found if piece} <= whole


def _parts(piece: str, room_mm: float, points: float) -> list[str]:
    """Cut a piece of a name that is longer than a line."""
    parts = []
    while width_mm(piece.rstrip(), points) > room_mm and len(piece) > 1:
        size = max(_fitting(piece, room_mm, points), 1)
        parts.append(piece[:size])
        piece = piece[size:]
    return [*parts, piece]


def _fitting(piece: str, room_mm: float, points: float) -> int:
    """Letters of a piece that fit into the room."""
    low, high = 0, len(piece)
    while low < high:
        middle = (low + high + 1) // 2
        if width_mm(piece[:middle], points) <= room_mm:
            low = middle
        else:
            high = middle - 1
    return low


def sentence_in_lines(text: str, *, room_mm: float, points: float) -> str:
    """Break a sentence at its blanks, and words that are wider than a line anywhere."""
    lines: list[str] = []
    for given in text.split("\n"):
        lines.append("")
        for word in given.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if not lines[-1] or width_mm(longer, points) <= room_mm:
                lines[-1] = longer
            else:
                lines.append(word)
    fitting = [in_lines(line, room_mm=room_mm, points=points, most=99) for line in lines]
    return "\n".join(fitting)


def cut(names: Sequence[str], *, room_mm: float, points: float) -> list[str]:
    """Leave the middle of names out that are wider than the room."""
    return [_cut(name, room_mm, points) for name in names]


def _cut(name: str, room_mm: float, points: float) -> str:
    if width_mm(name, points) <= room_mm:
        return name
    for kept in range(len(name) - 1, 1, -1):
        shorter = f"{name[: (kept + 1) // 2]}{ELLIPSIS}{name[len(name) - kept // 2 :]}"
        if width_mm(shorter, points) <= room_mm:
            return shorter
    return name[:1] + ELLIPSIS
