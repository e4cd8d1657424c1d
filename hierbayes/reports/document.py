"""A report before it is a file: sections of text, tables, code and pictures.

The same document is written as one self-contained HTML page, as Markdown and as LaTeX, so that the
three say the same. HTML carries the pictures inside; the other two leave them out and say so.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.files import checked_path, shown
from hierbayes.render.html_page import Picture, Section, escape, heading, page, table
from hierbayes.render.output_files import write_files

LATEX = {
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
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#&~$])")
VERBATIM_END = "\\end{verbatim}"


@record
class Grid:
    """A table of texts.

    Attributes
    ----------
    columns : name and cells of each column
    rows : row names
    caption : a line above it
    """

    columns: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[str, ...]
    caption: str = ""


@record
class Part:
    """One section; the parts that are given appear in this order.

    Attributes
    ----------
    heading : its title
    text : paragraphs, separated by blank lines
    grids : tables
    printed : output kept as it is
    html : what the page shows in place of ``printed``
    picture : a PNG
    code : Python lines
    """

    heading: str
    text: str = ""
    grids: tuple[Grid, ...] = ()
    printed: str = ""
    html: str = ""
    picture: Picture | None = None
    code: tuple[str, ...] = ()


@record(kw_only=False)
class Document:
    """Title and sections."""

    title: str
    parts: tuple[Part, ...]

    def html(self) -> str:
        """One self-contained page: nothing is loaded from elsewhere."""
        return page(self.title, [_section(part) for part in self.parts])

    def markdown(self) -> str:
        """Markdown with pipe tables."""
        lines = [f"# {_md(self.title)}", ""]
        for part in self.parts:
            lines += [f"## {_md(part.heading)}", ""]
            lines += [f"{_md(p.strip())}\n" for p in part.text.split("\n\n") if p.strip()]
            for grid in part.grids:
                lines += [*_markdown_table(grid), ""]
            if part.printed:
                lines += _fenced(part.printed)
            if part.picture is not None:
                lines += [f"*(Picture, in the HTML report: {_md(part.picture.alt)})*", ""]
            if part.code:
                lines += _fenced("\n".join(part.code), "python")
        return "\n".join(lines)

    def latex(self) -> str:
        """Sections for a LaTeX document; the first lines say which packages it needs."""
        lines = [
            f"% {_one_line(self.title)}",
            "% needs \\usepackage{booktabs,textcomp} and, for \\textquotedbl, "
            "\\usepackage[T1]{fontenc}",
            "",
        ]
        for part in self.parts:
            lines += [f"\\section*{{{_tex(part.heading)}}}", ""]
            lines += [f"{_tex(p.strip())}\n" for p in part.text.split("\n\n") if p.strip()]
            for grid in part.grids:
                lines += [*_latex_table(grid), ""]
            if part.printed:
                lines += _verbatim(part.printed)
            if part.picture is not None:
                lines += [f"% picture, in the HTML report: {_one_line(part.picture.alt)}", ""]
            if part.code:
                lines += _verbatim("\n".join(part.code))
        return "\n".join(lines)


def write_document(document: Document, path: Any) -> Path:
    """Write a document to a file whose ending says how: .html, .md or .tex.

    Raises
    ------
    OptionError
        If the path ends otherwise, or can't be written; nothing is half written.
    """
    writers: dict[str, Callable[[], str]] = {
        ".html": document.html,
        ".htm": document.html,
        ".md": document.markdown,
        ".tex": document.latex,
    }
    target = checked_path(path)
    if target.suffix.lower() not in writers:
        raise OptionError(
            f"A report is written to a file that ends in .html, .md or .tex; {shown(target)} does "
            "not."
        )
    write_files(target.parent, {target.name: writers[target.suffix.lower()]().encode()})
    return target


def picture_of_figure(figure: Any, alt: str) -> Picture:
    """Return a matplotlib figure as a picture, and close it.

    Dollars in names of columns and levels are shown, not read as mathematics.
    """
    import io

    from matplotlib import pyplot, rc_context
    from matplotlib.text import Text

    from hierbayes.plots.style import PNG_DPI

    stream = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with rc_context({"text.parse_math": False}):  # labels of ticks that are made while drawing
        figure.savefig(stream, format="png", dpi=PNG_DPI)
    pyplot.close(figure)
    return Picture(png=stream.getvalue(), alt=alt)


def _section(part: Part) -> Section:
    html = "\n".join(
        table([(n, list(c)) for n, c in grid.columns], list(grid.rows), caption=grid.caption)
        for grid in part.grids
    )
    if part.html:
        html = f"{html}\n{part.html}"
    elif part.printed:
        html = f"{html}\n<pre>{escape(part.printed)}</pre>"
    if part.code:
        html = f"{html}\n{heading('The code', 3)}\n<pre>{escape(chr(10).join(part.code))}</pre>"
    pictures = () if part.picture is None else (part.picture,)
    return Section(heading=part.heading, text=part.text, html=html, pictures=pictures)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _md(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", _one_line(text))


def _tex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in _one_line(text))


def _fenced(text: str, language: str = "") -> list[str]:
    """Markdown code, between fences longer than any run of back-ticks within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence, ""]


def _verbatim(text: str) -> list[str]:
    """LaTeX output as it is; an end of the environment within is broken up."""
    inner = text.replace(VERBATIM_END, "\\end {verbatim}")
    return ["\\begin{verbatim}", inner, VERBATIM_END, ""]


def _markdown_table(grid: Grid) -> list[str]:
    header = ["", *(name for name, _ in grid.columns)]
    rows = [[name, *(cells[i] for _, cells in grid.columns)] for i, name in enumerate(grid.rows)]
    lines = [f"**{_md(grid.caption)}**", ""] if grid.caption else []
    lines.append("| " + " | ".join(_md(cell) for cell in header) + " |")
    lines.append("|:--|" + "--:|" * len(grid.columns))
    return lines + ["| " + " | ".join(_md(cell.strip()) for cell in row) + " |" for row in rows]


def _latex_table(grid: Grid) -> list[str]:
    names: Sequence[str] = [name for name, _ in grid.columns]
    lines = ["\\begin{table}", "\\centering"]
    if grid.caption:
        lines.append(f"\\caption{{{_tex(grid.caption)}}}")
    lines += [f"\\begin{{tabular}}{{l{'r' * len(names)}}}", "\\toprule"]
    lines.append(" & ".join(["", *map(_tex, names)]) + r" \\")
    lines.append("\\midrule")
    for i, row in enumerate(grid.rows):
        cells = [_tex(column[i].strip()) for _, column in grid.columns]
        lines.append(" & ".join([_tex(row), *cells]) + r" \\")
    return [*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]
