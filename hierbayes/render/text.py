"""Blocks on a terminal, laid out as R lays them out."""

from collections.abc import Iterable, Iterator

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
    Table,
    Wide,
)
from hierbayes.render.layout import (
    LINE_WIDTH,
    WIDE,
    display_width,
    fill_lines,
    matrix_lines,
    named_vector_lines,
    pad,
    wrapped,
)
from hierbayes.render.numbers import LEGEND


def text(blocks: Iterable[Block]) -> str:
    """Write blocks for a terminal.

    Examples
    --------
    >>> from hierbayes.render.blocks import Heading, Table
    >>> print(text([Heading("Two"), Table([("x", ["1", "10"])], ["a", "b"])]))
    Two
    <BLANKLINE>
       x
    a  1
    b 10
    """
    lines: list[str] = []
    for block, width in _with_width(blocks, LINE_WIDTH):
        own = _lines(block, width)
        if lines and own and _has_gap(block):
            lines.append("")
        lines += own
    return "\n".join(lines)


def _with_width(blocks: Iterable[Block], width: int) -> Iterator[tuple[Block, int]]:
    for block in blocks:
        if isinstance(block, Wide):
            yield from _with_width(block.blocks, WIDE)
        else:
            yield block, width


def _has_gap(block: Block) -> bool:
    match block:
        case Heading() | Fact():
            return False
        case Paragraph() | Table() | Printed():
            return block.gap
        case _:
            return True


def _lines(block: Block, width: int) -> list[str]:
    match block:
        case Heading():
            return wrapped(block.text, width=width)
        case Paragraph():
            return [line for part in block.text.split("\n") for line in wrapped(part, width=width)]
        case Fact():
            return _fact_lines(block)
        case Table():
            return table_lines(block, line_width=width)
        case Preformatted():
            return block.text.strip("\n").split("\n") if block.text else []
        case Findings():
            return finding_lines(block, width)
        case Printed():
            return list(block.lines() if callable(block.lines) else block.lines)
        case Picture() | Markup():
            return []
        case Wide():
            raise AssertionError("blocks within are taken one by one")


def _fact_lines(fact: Fact) -> list[str]:
    if not fact.width:
        return [f"{fact.label} {fact.text}".strip()]
    return fill_lines([f"{fact.label:>{fact.width}}", *(fact.pieces or (fact.text,))])


def finding_lines(findings: Findings, width: int = LINE_WIDTH) -> list[str]:
    """Lines of what was found: a paragraph a sentence."""
    said = [line for one in findings.sentences for line in wrapped(one, "- ", "  ", width=width)]
    return ["Findings:", *said] if said else []


def table_lines(table: Table, *, line_width: int = LINE_WIDTH) -> list[str]:
    """Lines of a table, with the line above it and the legend of its stars."""
    lines = [table.head] if table.head else []
    if table.layout == "vector":
        return lines + named_vector_lines(table.body[0], table.header)
    if table.layout == "right" and table.labels:
        return lines + _labelled_lines(table, line_width)
    rows = table.rows if table.rows is not None else [""] * len(table.body)
    right = table.layout == "right"
    lines += matrix_lines(table.body, rows, table.header, right=right, line_width=line_width)
    return [*lines, "---", LEGEND] if table.stars is not None else lines


def _labelled_lines(table: Table, line_width: int) -> list[str]:
    """Lines of a table whose first columns label its rows, and keep their names at the head."""
    padded = []
    for name, cells in table.columns[: table.labels]:
        width = max(map(display_width, [name, *cells]))
        padded.append([pad(text, width, right=False) for text in [name, *cells]])
    head, *labels = (" ".join(parts) for parts in zip(*padded, strict=True))
    numbers = [row[table.labels :] for row in table.body]
    lines = matrix_lines(numbers, labels, table.header[table.labels :], line_width=line_width)
    # the head of a block of columns begins with blanks where the rows have their labels
    return [line if line[: len(head)].strip() else head + line[len(head) :] for line in lines]
