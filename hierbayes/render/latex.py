"""Blocks as LaTeX, tables by booktabs; pictures are in the HTML report only, and said to be."""

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

LETTERS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # after the end of a table's row it would be a length
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "ρ": r"$\rho$",
    "–": "--",
    "²": r"$^2$",
}
VERBATIM_END = "\\end{verbatim}"
HEADINGS = {1: "section*", 2: "section*", 3: "subsection*"}
PACKAGES = (
    "% needs \\usepackage{booktabs,longtable,textcomp} and, for \\textquotedbl, "
    "\\usepackage[T1]{fontenc}"
)
ROWS_OF_A_PAGE = 40  # a longer table is broken over pages


def latex(blocks: Iterable[Block]) -> str:
    r"""Write blocks as LaTeX.

    Examples
    --------
    >>> from hierbayes.render.blocks import Paragraph
    >>> print(latex([Paragraph("95 % of x_1")]))
    95 \% of x\_1
    """
    parts = ("\n".join(_lines(block)) for block in page_blocks(blocks))
    return "\n\n".join(part for part in parts if part)


def document(title: str, sections: Sequence[Section]) -> str:
    """Write sections for a LaTeX document; the first lines say which packages it needs."""
    blocks: list[Block] = []
    for section in sections:
        blocks += [Heading(section.heading, level=2), *section.blocks]
    return f"% {one_line(title)}\n{PACKAGES}\n\n{latex(blocks)}\n"


def _lines(block: Block) -> list[str]:
    match block:
        case Heading():
            return [f"\\{HEADINGS[block.level]}{{{_escaped(block.text)}}}"]
        case Paragraph():
            return [_escaped(block.text)]
        case Fact():
            lines = "; ".join(block.text.splitlines())
            return [f"\\noindent {_escaped(block.label)} \\texttt{{{_escaped(lines)}}}"]
        case Table():
            return _table(block)
        case Preformatted():
            # an end of the environment within is broken up
            inner = block.text.replace(VERBATIM_END, "\\end {verbatim}")
            return ["\\begin{verbatim}", inner, VERBATIM_END]
        case Picture():
            return [f"% picture, in the HTML report: {one_line(block.alt)}"]
        case Findings():
            items = [f"\\item {_escaped(sentence)}" for sentence in block.sentences]
            begin = ["\\subsection*{Findings}", "\\begin{itemize}"]
            return [*begin, *items, "\\end{itemize}"] if items else []
        case Markup():
            return []
        case Printed() | Wide():
            raise AssertionError("blocks within are taken one by one")


def _table(table: Table) -> list[str]:
    header, rows = table.header, table.body
    sides = ["l" if j < table.labels else "r" for j in range(len(header))]
    if table.rows is not None:
        header, sides = ["", *header], ["l", *sides]
        rows = [[name, *row] for name, row in zip(table.rows, rows, strict=True)]
    caption = f"\\caption{{{_escaped(table.caption)}}}" if table.caption else ""
    head = ["\\toprule", _row(header), "\\midrule"]
    body = [*map(_row, rows), "\\bottomrule"]
    if len(rows) > ROWS_OF_A_PAGE:
        above = [f"{caption} \\\\"] if caption else []
        begin = f"\\begin{{longtable}}{{{''.join(sides)}}}"
        lines = [begin, *above, *head, "\\endhead", *body, "\\end{longtable}"]
    else:
        begin = f"\\begin{{tabular}}{{{''.join(sides)}}}"
        above = ["\\begin{table}", "\\centering", *filter(None, [caption])]
        lines = [*above, begin, *head, *body, "\\end{tabular}", "\\end{table}"]
    return [*lines, "", _escaped(LEGEND)] if table.stars is not None else lines


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(text: str) -> str:
    return "".join(LETTERS.get(letter, letter) for letter in one_line(text))
