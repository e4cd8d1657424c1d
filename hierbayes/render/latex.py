"""Blocks as LaTeX, tables by booktabs; pictures are in the HTML report only, and said to be."""

from collections.abc import Iterable, Sequence

from hierbayes.render import blocks as kinds
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
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "−": r"$-$",
}
VERBATIM_END = "\\end{verbatim}"
HEADINGS = {1: "section*", 2: "section*", 3: "subsection*"}
PACKAGES = (
    "% needs \\usepackage{amsmath,booktabs,longtable,textcomp} and, for \\textquotedbl, "
    "\\usepackage[T1]{fontenc}"
)
LINKS = "% and, for links, \\usepackage{hyperref}"
ROWS_OF_A_PAGE = 40  # a longer table is broken over pages


def latex(blocks: Iterable[kinds.Block], *, label: str = "") -> str:
    r"""Write blocks as LaTeX; a label is that of the first table.

    Examples
    --------
    >>> from hierbayes.render.blocks import Paragraph
    >>> print(latex([Paragraph("95 % of x_1")]))
    95 \% of x\_1
    """
    parts = []
    for block in kinds.page_blocks(blocks):
        if isinstance(block, kinds.Table):
            parts.append("\n".join(_table(block, label)))
            label = ""
        else:
            parts.append("\n".join(_lines(block)))
    return "\n\n".join(part for part in parts if part)


def document(title: str, sections: Sequence[kinds.Section]) -> str:
    """Write sections for a LaTeX document; the first lines say which packages it needs."""
    blocks: list[kinds.Block] = []
    for section in sections:
        blocks += [kinds.Heading(section.heading, level=2), *section.blocks]
    is_linked = any(isinstance(block, kinds.Table) and block.links for block in blocks)
    packages = f"{PACKAGES}\n{LINKS}" if is_linked else PACKAGES
    return f"% {one_line(title)}\n{packages}\n\n{latex(blocks)}\n"


def _lines(block: kinds.Plain) -> list[str]:
    match block:
        case kinds.Heading():
            mark = [f"\\hypertarget{{{block.anchor}}}{{}}"] if block.anchor else []
            return [f"\\{HEADINGS[block.level]}{{{_escaped(block.text)}}}", *mark]
        case kinds.Paragraph():
            return [_escaped(block.text)]
        case kinds.Fact():
            lines = "; ".join(block.text.splitlines())
            return [f"\\noindent {_escaped(block.label)} \\texttt{{{_escaped(lines)}}}"]
        case kinds.Table():
            return _table(block)
        case kinds.Preformatted():
            # an end of the environment within is broken up
            inner = block.text.replace(VERBATIM_END, "\\end {verbatim}")
            return ["\\begin{verbatim}", inner, VERBATIM_END]
        case kinds.Picture():
            return [f"% picture, in the HTML report: {one_line(block.alt)}"]
        case kinds.Findings():
            items = [f"\\item {_escaped(sentence)}" for sentence in block.sentences]
            begin = ["\\subsection*{Findings}", "\\begin{itemize}"]
            return [*begin, *items, "\\end{itemize}"] if items else []
        case kinds.Folded():
            return [f"\\subsection*{{{_escaped(block.summary)}}}", "", latex(block.blocks)]
        case kinds.Mathematics():
            return ["\\[", block.latex, "\\]"]
        case kinds.Markup():
            return []


def _table(table: kinds.Table, label: str = "") -> list[str]:
    header, *rows = table.lines
    sides = "".join("l" if j < table.n_left else "r" for j in range(len(header)))
    caption = f"\\caption{{{_escaped(table.caption)}}}" if table.caption else ""
    caption += f"\\label{{{label}}}" if label else ""
    notes = [f"\\par\\smallskip{{\\footnotesize {_escaped(note)}}}" for note in table.notes]
    head = ["\\toprule", _row(map(_escaped, header)), "\\midrule"]
    texts = [list(map(_escaped, row)) for row in rows]
    for row, anchor in zip(texts, table.links, strict=False):
        row[-1] = f"\\hyperlink{{{anchor}}}{{{row[-1]}}}"
    body = [*map(_row, texts), "\\bottomrule"]
    if len(rows) > ROWS_OF_A_PAGE:
        above = [f"{caption} \\\\"] if caption else []
        begin = f"\\begin{{longtable}}{{{sides}}}"
        lines = [begin, *above, *head, "\\endhead", *body, "\\end{longtable}", *notes]
    else:
        begin = f"\\begin{{tabular}}{{{sides}}}"
        above = ["\\begin{table}", "\\centering", *filter(None, [caption])]
        lines = [*above, begin, *head, *body, "\\end{tabular}", *notes, "\\end{table}"]
    return [*lines, "", _escaped(LEGEND)] if table.stars is not None else lines


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(LETTERS.get(letter, letter) for letter in one_line(text))
