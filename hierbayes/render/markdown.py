"""Blocks as Markdown with pipe tables; pictures are in the HTML report only, and said to be."""

import re
from collections.abc import Iterable, Sequence

from hierbayes.render import blocks as kinds
from hierbayes.render.layout import one_line
from hierbayes.render.numbers import LEGEND

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~$])")


def markdown(blocks: Iterable[kinds.Block]) -> str:
    """Write blocks as Markdown.

    Examples
    --------
    >>> from hierbayes.render.blocks import Table
    >>> print(markdown([Table([("x", ["1"])], ["a"])]))
    |  | x |
    |:--|--:|
    | a | 1 |
    """
    parts = ("\n".join(_lines(block)) for block in kinds.page_blocks(blocks))
    return "\n\n".join(part for part in parts if part)


def document(title: str, sections: Sequence[kinds.Section]) -> str:
    """Write a document with its title and sections."""
    blocks: list[kinds.Block] = [kinds.Heading(title, level=1)]
    for section in sections:
        blocks += [kinds.Heading(section.heading, level=2), *section.blocks]
    return markdown(blocks) + "\n"


def _lines(block: kinds.Plain) -> list[str]:
    match block:
        case kinds.Heading():
            mark = [f'<a id="{block.anchor}"></a>', ""] if block.anchor else []
            return [*mark, f"{'#' * block.level} {_escaped(block.text)}"]
        case kinds.Paragraph():
            return [_escaped(block.text)]
        case kinds.Fact():
            return [_escaped(f"{block.label} {'; '.join(block.text.splitlines())}")]
        case kinds.Table():
            return _table(block)
        case kinds.Preformatted():
            return _fenced(block)
        case kinds.Picture():
            return [f"*(Picture, in the HTML report: {_escaped(block.alt)})*"]
        case kinds.Findings():
            items = [f"- {_escaped(sentence)}" for sentence in block.sentences]
            return ["### Findings", "", *items] if items else []
        case kinds.Folded():
            return [f"### {_escaped(block.summary)}", "", markdown(block.blocks)]
        case kinds.Mathematics():
            return ["$$", block.latex, "$$"]
        case kinds.Markup():
            return []


def _table(table: kinds.Table) -> list[str]:
    lines = [f"**{_escaped(table.caption)}**", ""] if table.caption else []
    header, *rows = table.lines
    sides = [":--" if j < table.n_left else "--:" for j in range(len(header))]
    body = [list(map(_escaped, row)) for row in rows]
    for row, anchor in zip(body, table.links, strict=False):
        row[-1] = f"[{row[-1]}](#{anchor})"
    lines += [_row(map(_escaped, header)), f"|{'|'.join(sides)}|", *map(_row, body)]
    said = [*([LEGEND] if table.stars is not None else []), *table.notes]
    return [*lines, *(line for one in said for line in ("", _escaped(one)))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(block: kinds.Preformatted) -> list[str]:
    """Output between fences longer than any run of back-ticks within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
    return [f"{fence}{block.language}", block.text, fence]


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", one_line(text))
