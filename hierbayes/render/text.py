"""Blocks on a terminal, laid out as R lays them out."""

from collections.abc import Iterable, Iterator, Sequence

from hierbayes.render import blocks as kinds
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

Written = kinds.Plain | kinds.Printed


def text(blocks: Iterable[kinds.Block]) -> str:
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


def _with_width(blocks: Iterable[kinds.Block], width: int) -> Iterator[tuple[Written, int]]:
    for block in blocks:
        if isinstance(block, kinds.Wide):
            yield from _with_width(block.blocks, WIDE)
        else:
            yield block, width


def _has_gap(block: Written) -> bool:
    match block:
        case kinds.Heading() | kinds.Fact():
            return False
        case kinds.Paragraph() | kinds.Table() | kinds.Printed():
            return block.gap
        case _:
            return True


def _lines(block: Written, width: int) -> list[str]:
    match block:
        case kinds.Heading():
            return wrapped(block.text, width=width)
        case kinds.Paragraph():
            return [line for part in block.text.split("\n") for line in wrapped(part, width=width)]
        case kinds.Fact():
            return _fact_lines(block)
        case kinds.Table():
            return [*table_lines(block, line_width=width), *note_lines(block.notes, width)]
        case kinds.Preformatted():
            return block.text.strip("\n").split("\n") if block.text else []
        case kinds.Findings():
            return finding_lines(block, width)
        case kinds.Printed():
            return list(block.lines() if callable(block.lines) else block.lines)
        case kinds.Folded():
            return [block.summary, "", *text(block.blocks).split("\n")]
        case kinds.Mathematics():
            return block.latex.split("\n")
        case kinds.Picture() | kinds.Markup():
            return []


def _fact_lines(fact: kinds.Fact) -> list[str]:
    if not fact.width:
        return [f"{fact.label} {fact.text}".strip()]
    return fill_lines([f"{fact.label:>{fact.width}}", *(fact.pieces or (fact.text,))])


def note_lines(notes: Sequence[str], width: int = LINE_WIDTH) -> list[str]:
    """Lines of the notes below a table."""
    return [line for note in notes for line in wrapped(note, width=width)]


def finding_lines(findings: kinds.Findings, width: int = LINE_WIDTH) -> list[str]:
    """Lines of what was found: a paragraph a sentence."""
    said = [line for one in findings.sentences for line in wrapped(one, "- ", "  ", width=width)]
    return ["Findings:", *said] if said else []


def table_lines(table: kinds.Table, *, line_width: int = LINE_WIDTH) -> list[str]:
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


def _labelled_lines(table: kinds.Table, line_width: int) -> list[str]:
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
