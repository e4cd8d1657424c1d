"""The parts every HTML report is made of: style, tables, and one self-contained page.

No JavaScript and nothing loaded from elsewhere; colours follow the reader's light or dark
setting. Every text that comes from a user passes through ``escape``.
"""

import base64
from collections.abc import Sequence
from html import escape

from hierbayes.arrays import record

__all__ = ["Picture", "Section", "escape", "fragment", "heading", "page", "table"]

STYLE = """
.hb { --ink: #1d2733; --soft: #5b6875; --rule: #c9d1d9; --note: #8a5a00; --note-back: #fff7e6;
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; }
.hb h1 { font-size: 1.7em; line-height: 1.2; margin: 0 0 .8em; }
.hb h2 { font-size: 1.25em; margin: 2em 0 .5em; }
.hb h3 { font-size: 1em; margin: 1.4em 0 .3em; }
.hb p { margin: .4em 0; max-width: 46rem; }
.hb .scroll { overflow-x: auto; }
.hb table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid;
  margin: .3em 0 .8em; font-variant-numeric: tabular-nums; background: none; }
.hb caption { caption-side: top; text-align: left; color: var(--soft); padding: 0 0 .25em; }
.hb th, .hb td { padding: .16em .75em; text-align: right; white-space: pre; border: 0;
  background: none; color: inherit; }
.hb thead th { border-bottom: 1px solid var(--rule); font-weight: 600; }
.hb tbody th { font-weight: 400; text-align: left; }
.hb td.text, .hb th.text { text-align: left; }
.hb td.text { white-space: pre-wrap; }
.hb code, .hb pre { font: .92em/1.4 ui-monospace, Menlo, Consolas, monospace; }
.hb pre { overflow-x: auto; border-left: 3px solid var(--rule); padding: .2em 0 .2em 1em;
  margin: .6em 0; background: none; color: inherit; }
.hb ul.findings { border-left: 3px solid var(--note); background: var(--note-back);
  margin: .5em 0; padding: .5em 1em .5em 2em; max-width: 46rem; }
.hb .soft { color: var(--soft); }
.hb img { max-width: 100%; height: auto; background: #fff; }
@media (prefers-color-scheme: dark) {
  .hb { --ink: #dfe6ee; --soft: #9aa7b4; --rule: #46525e; --note: #e0a93e;
    --note-back: #2b2415; } }
"""
PAGE_STYLE = """
html { color-scheme: light dark; }
body { margin: 0; padding: 2.5rem 1.25rem; background: #fff; }
body .hb { margin: 0 auto; }
@media (prefers-color-scheme: dark) { body { background: #14191f; } }
@media print { body { padding: 0; } .hb .scroll { overflow: visible; } }
"""


@record
class Picture:
    """A PNG to be put into a page.

    Attributes
    ----------
    png : the bytes of the file
    alt : what the picture shows, in words
    """

    png: bytes
    alt: str


@record
class Section:
    """One section of a page; the parts that are given appear in this order.

    Attributes
    ----------
    heading : its title
    text : paragraphs, separated by blank lines
    preformatted : printed output, kept as it is
    html : a table or report made by ``hierbayes.reports.html``
    pictures : embedded PNGs
    """

    heading: str = ""
    text: str = ""
    preformatted: str = ""
    html: str = ""
    pictures: tuple[Picture, ...] = ()


def heading(text: str, level: int) -> str:
    """Escape a text and make it a heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def table(
    columns: Sequence[tuple[str, Sequence[str]]],
    row_names: Sequence[str] | None = None,
    *,
    caption: str = "",
    text_columns: int = 0,
) -> str:
    """Make a table from named columns of texts; everything is escaped here.

    Parameters
    ----------
    columns : name and cells of each column
    row_names : a first column of row headings, or None
    caption : a line above the table
    text_columns : so many first columns are aligned left
    """
    sides = [' class="text"' if j < text_columns else "" for j in range(len(columns))]
    head = "<th></th>" if row_names is not None else ""
    head += "".join(
        f'<th scope="col"{side}>{escape(name)}</th>'
        for (name, _), side in zip(columns, sides, strict=True)
    )
    body = []
    for i in range(len(columns[0][1]) if columns else 0):
        cells = "".join(
            f"<td{side}>{escape(cells[i].strip())}</td>"
            for (_, cells), side in zip(columns, sides, strict=True)
        )
        label = f'<th scope="row">{escape(row_names[i])}</th>' if row_names is not None else ""
        body.append(f"<tr>{label}{cells}</tr>")
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    rows = "\n".join(body)
    return (
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def fragment(*parts: str) -> str:
    """Join parts to a piece of HTML that brings its own style, for a notebook."""
    inner = "\n".join(part for part in parts if part)
    return f'<div class="hb">\n<style>{STYLE}</style>\n{inner}\n</div>'


def page(title: str, sections: Sequence[Section]) -> str:
    """Make one self-contained HTML file.

    Parameters
    ----------
    title : title of the page, also its first heading
    sections : in order

    Examples
    --------
    >>> from hierbayes.render.html_page import Section, page
    >>> page("Sleep", [Section(heading="Data", text="18 subjects.")]).count("<h2>")
    1
    """
    body = "\n".join(_section(section) for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{PAGE_STYLE}</style>\n</head>\n"
        f'<body>\n<main class="hb">\n<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _section(section: Section) -> str:
    parts = [heading(section.heading, 2) if section.heading else ""]
    paragraphs = (p.strip() for p in section.text.split("\n\n"))
    parts += [f"<p>{escape(p)}</p>" for p in paragraphs if p]
    if section.preformatted:
        parts.append(f"<pre>{escape(section.preformatted)}</pre>")
    parts.append(section.html)
    for picture in section.pictures:
        data = base64.b64encode(picture.png).decode("ascii")
        parts.append(f'<p><img alt="{escape(picture.alt)}" src="data:image/png;base64,{data}"></p>')
    inner = "\n".join(part for part in parts if part)
    return f"<section>\n{inner}\n</section>"
