"""Blocks as Markdown with pipe tables; pictures are in the HTML report only, and said to be."""

import re
from collections.abc import Iterable, Sequence

from hierbayes.render.blocks import (
    Block,
    Fact,
    Findings,
    Heading,
    Markup,
    Paragraph,
    Picture,
    Preformatted,
    Printed,
    Section,
    Table,
    Wide,
    page_blocks,
)
from hierbayes.render.layout import one_line
from hierbayes.render.numbers import LEGEND

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~$])")


def markdown(blocks: Iterable[Block]) -> str:
    """Write blocks as Markdown.

    Examples
    --------
    >>> from hierbayes.render.blocks import Table
    >>> print(markdown([Table([("x", ["1"])], ["a"])]))
    |  | x |
    |:--|--:|
    | a | 1 |
    """
    parts = ("\n".join(_lines(block)) for block in page_blocks(blocks))
    return "\n\n".join(part for part in parts if part)


def document(title: str, sections: Sequence[Section]) -> str:
    """Write a document with its title and sections."""
    blocks: list[Block] = [Heading(title, level=1)]
    for section in sections:
        blocks += [Heading(section.heading, level=2), *section.blocks]
    return markdown(blocks) + "\n"


def _lines(block: Block) -> list[str]:
    match block:
        case Heading():
            return [f"{'#' * block.level} {_escaped(block.text)}"]
        case Paragraph():
            return [_escaped(block.text)]
        case Fact():
            return [_escaped(f"{block.label} {'; '.join(block.text.splitlines())}")]
        case Table():
            return _table(block)
        case Preformatted():
            return _fenced(block)
        case Picture():
            return [f"*(Picture, in the HTML report: {_escaped(block.alt)})*"]
        case Findings():
            items = [f"- {_escaped(sentence)}" for sentence in block.sentences]
            return ["### Findings", "", *items] if items else []
        case Markup():
            return []
        case Printed() | Wide():
            raise AssertionError("blocks within are taken one by one")


def _table(table: Table) -> list[str]:
    lines = [f"**{_escaped(table.caption)}**", ""] if table.caption else []
    sides = [":--" if j < table.labels else "--:" for j in range(len(table.header))]
    header, rows = table.header, table.body
    if table.rows is not None:
        header, sides = ["", *header], [":--", *sides]
        rows = [[name, *row] for name, row in zip(table.rows, rows, strict=True)]
    lines += [_row(header), f"|{'|'.join(sides)}|", *map(_row, rows)]
    return [*lines, "", _escaped(LEGEND)] if table.stars is not None else lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _fenced(block: Preformatted) -> list[str]:
    """Output between fences longer than any run of back-ticks within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
    return [f"{fence}{block.language}", block.text, fence]


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", one_line(text))
