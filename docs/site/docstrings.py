"""Docstrings of the package as reStructuredText.

Sections are numpydoc's; an item is ``name : words``, where the words are a type, a sentence or a
sentence that goes on in the next lines. Each becomes a definition, its words one paragraph.
"""

import re
from collections.abc import Collection

ITEMS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "See Also")
CODE = re.compile(r"(``[^`]+``)(\w?)")  # and a letter after it, which reStructuredText refuses
Section = tuple[str, list[str]]


def sections_of(lines: list[str]) -> list[Section]:
    """Part a docstring at underlined headings; the first part has none."""
    parts: list[Section] = [("", [])]
    skip = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if skip:
            skip = False
        elif line.strip() and re.fullmatch(r"-{3,}", below.strip()) and len(line) == len(below):
            parts.append((line.strip(), []))
            skip = True
        else:
            parts[-1][1].append(line)
    return parts


def items_of(lines: list[str]) -> list[tuple[str, str]]:
    """Return name and words of each item of a section."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if not line.strip():
            continue
        if not line.startswith(" "):
            name, _, words = line.partition(" : ")
            found.append((name.strip(), [words.strip()] if words else []))
        elif found:
            found[-1][1].append(line.strip())
    return [(name, _one_paragraph(words)) for name, words in found]


def _one_paragraph(words: list[str]) -> str:
    """Join a type and the sentence below it by a stop, a sentence and its end by a space."""
    if len(words) < 2:
        return " ".join(words)
    first, second = words[0], words[1]
    open_literal = first.count("``") % 2 == 1
    is_type = second[:1].isupper() and not open_literal and not first.endswith((",", ";"))
    stop = ". " if is_type and not first.endswith(".") else " "
    return first + stop + " ".join(words[1:])


def _parted(code: re.Match[str]) -> str:
    return code[1] + (rf"\ {code[2]}" if code[2] else "")


def readable(lines: list[str], shown: Collection[str] | None = None) -> list[str]:
    """Return the lines of a docstring as reStructuredText, of ``shown`` attributes only."""
    written: list[str] = []
    for heading, body in sections_of(lines):
        if heading:
            written += ["", f".. rubric:: {heading}", ""]
        if heading in ITEMS:
            for name, words in items_of(body):
                if heading == "Attributes" and shown is not None and name not in shown:
                    continue
                written += [f"``{name}``", f"    {words or '…'}"]
        else:
            written += body
    return [CODE.sub(_parted, line) for line in written]
