"""Blocks as HTML: style, tables, and one self-contained page.

No JavaScript and nothing loaded from elsewhere; a page follows the reader's light or dark setting,
a piece of one the colours around it. Every text that comes from a user passes through ``escape``.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from hierbayes.render import blocks as kinds
from hierbayes.render.mathml import mathml
from hierbayes.render.numbers import LEGEND

__all__ = ["escape", "fragment", "html", "page", "table"]

STYLE = """
.hb { --soft: color-mix(in srgb, currentColor 68%, transparent);
  --rule: color-mix(in srgb, currentColor 28%, transparent);
  color: inherit; font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; }
.hb h1 { font-size: 1.7em; line-height: 1.2; margin: 0 0 .8em; overflow-wrap: anywhere; }
.hb h2 { font-size: 1.25em; margin: 2em 0 .5em; }
.hb h3 { font-size: 1em; margin: 1.4em 0 .3em; }
.hb p { margin: .4em 0; max-width: 46rem; overflow-wrap: break-word; }
.hb .scroll { overflow-x: auto; }
.hb table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid;
  margin: .3em 0 .8em; font-variant-numeric: tabular-nums; background: none; }
.hb caption { caption-side: top; text-align: left; color: var(--soft); padding: 0 0 .25em; }
.hb th, .hb td { padding: .16em .75em; text-align: right; white-space: pre; border: 0;
  background: none; color: inherit; }
.hb thead th { border-bottom: 1px solid var(--rule); font-weight: 600; }
.hb tbody th { font-weight: 400; text-align: left; }
.hb tbody tr.head th { font-weight: 600; padding-top: .7em; }
.hb td.text, .hb th.text { text-align: left; }
.hb td.text { white-space: pre-wrap; }
.hb a { color: inherit; }
.hb math { font-size: 1.05em; margin: .6em 0; }
.hb mtd { text-align: left; padding: .2em .1em; }
.hb code, .hb pre { font: .92em/1.4 ui-monospace, Menlo, Consolas, monospace; color: inherit; }
.hb code { background: none; overflow-wrap: anywhere; }
.hb pre { overflow-x: auto; border-left: 3px solid var(--rule); padding: .2em 0 .2em 1em;
  margin: .6em 0; background: none; }
.hb ul.findings { border-left: 3px solid #c98a1b; margin: .5em 0; padding: .5em 1em .5em 2em;
  background: color-mix(in srgb, #e0a93e 14%, transparent); max-width: 46rem; }
.hb .soft, .hb .note { color: var(--soft); }
.hb .note { font-size: .9em; }
.hb img { max-width: 100%; height: auto; background: #fff; }
.hb details { border-top: 1px solid var(--rule); padding: .4em 0; }
.hb summary { cursor: pointer; font-weight: 600; }
@media (max-width: 600px) {
  .hb th, .hb td { padding: .16em .35em; font-size: .88em; }
  .hb tbody th { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 5.5em;
    max-width: 9em; }
  .hb td { white-space: pre-wrap; min-width: 3em; }
  .hb h1 { font-size: 1.3em; } }
@media (prefers-color-scheme: dark) {
  .hb img.light { filter: invert(.92) hue-rotate(180deg); } }
"""
PAGE_STYLE = """
html { color-scheme: light dark; }
body { margin: 0; padding: 2.5rem 1.25rem; background: #fff; color: #1d2733; }
body .hb { margin: 0 auto; }
@media (prefers-color-scheme: dark) { body { background: #14191f; color: #dfe6ee; } }
@media (max-width: 600px) { body { padding: 1rem .8rem; } }
@media print { body { padding: 0; } .hb .scroll { overflow: visible; } }
"""


def html(blocks: Iterable[kinds.Block]) -> str:
    """Write blocks as a piece of HTML, to stand in a page with the style of this module."""
    return "\n".join(filter(None, map(_block, kinds.page_blocks(blocks))))


def fragment(blocks: Iterable[kinds.Block]) -> str:
    """Write blocks as a piece of HTML that brings its own style, for a notebook."""
    return f'<div class="hb">\n<style>{STYLE}</style>\n{html(blocks)}\n</div>'


def page(title: str, sections: Sequence[kinds.Section], *, heading: bool = True) -> str:
    """Make one self-contained HTML file.

    Parameters
    ----------
    title : title of the page, also its first heading
    sections : in order
    heading : whether the title stands on the page

    Examples
    --------
    >>> from hierbayes.render.blocks import Paragraph, Section
    >>> page("Sleep", [Section("Data", [Paragraph("18 subjects.")])]).count("<h2>")
    1
    """
    body = "\n".join(_section(section) for section in sections)
    first = f"<h1>{escape(title)}</h1>\n" if heading else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{PAGE_STYLE}</style>\n</head>\n"
        f'<body>\n<main class="hb">\n{first}{body}\n</main>\n</body>\n</html>\n'
    )


def _section(section: kinds.Section) -> str:
    title = [kinds.Heading(section.heading, level=2)] if section.heading else []
    return f"<section>\n{html([*title, *section.blocks])}\n</section>"


def _block(block: kinds.Plain) -> str:
    match block:
        case kinds.Heading():
            name = f' id="{escape(block.anchor)}"' if block.anchor else ""
            return f"<h{block.level}{name}>{escape(block.text)}</h{block.level}>"
        case kinds.Paragraph():
            soft = ' class="soft"' if block.soft else ""
            return f"<p{soft}>{escape(block.text)}</p>"
        case kinds.Fact():
            return _fact(block)
        case kinds.Table():
            legend = "" if block.stars is None else f'\n<p class="soft">{escape(LEGEND)}</p>'
            return table(block) + legend
        case kinds.Preformatted():
            return f"<pre>{escape(block.text)}</pre>"
        case kinds.Picture():
            png = block.content
            if not png:
                return ""
            data = base64.b64encode(png).decode("ascii")
            source = f'src="data:image/png;base64,{data}"'
            turned = "" if block.is_dark else ' class="light"'
            return f'<p><img alt="{escape(block.alt)}" {source}{turned}></p>'
        case kinds.Findings():
            return _findings(block)
        case kinds.Folded():
            inner = html(block.blocks)
            return f"<details>\n<summary>{escape(block.summary)}</summary>\n{inner}\n</details>"
        case kinds.Mathematics():
            drawn = mathml(block.latex)
            if drawn is None:
                return f"<pre>{escape(block.latex)}</pre>"
            return f'<div class="scroll" tabindex="0">{drawn}</div>'
        case kinds.Markup():
            return block.html


def _fact(fact: kinds.Fact) -> str:
    label = f'<span class="soft">{escape(fact.label)}</span>' if fact.label else ""
    lines = "<br>".join(f"<code>{escape(line)}</code>" for line in fact.text.splitlines())
    return f"<p>{' '.join(filter(None, (label, lines)))}</p>"


def _findings(findings: kinds.Findings) -> str:
    if not findings.sentences:
        return ""
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in findings.sentences)
    return f'<h3>Findings</h3>\n<ul class="findings">\n{items}\n</ul>'


def table(block: kinds.Table) -> str:
    """Write a table; the cells of a named one say their row and column."""
    names = block.header
    sides = [' class="text"' if j < block.labels else "" for j in range(len(names))]
    head = "<th></th>" if block.rows is not None else ""
    for name, side in zip(names, sides, strict=True):
        head += f'<th scope="col"{side}>{escape(name)}</th>'
    body = []
    for i, row in enumerate(block.body):
        texts = [escape(cell.strip()) for cell in row]
        if block.links:
            texts[-1] = f'<a href="#{escape(block.links[i])}">{texts[-1]}</a>'
        cells = "".join(
            f"<td{side}{_told('column', name, block)}>{text}</td>"
            for name, side, text in zip(names, sides, texts, strict=True)
        )
        label = "" if block.rows is None else block.rows[i]
        first = "" if block.rows is None else f'<th scope="row">{escape(label)}</th>'
        is_head = block.rows is not None and len(row) > 0 and not any(row)
        kind = ' class="head"' if is_head else ""  # a line above the rows of a block
        body.append(f"<tr{kind}{_told('row', label, block)}>{first}{cells}</tr>")
    title = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
    rows = "\n".join(body)
    notes = "".join(f'\n<p class="note">{escape(note)}</p>' for note in block.notes)
    reached = ' tabindex="0"' if block.name else ""  # a page of several is scrolled by keys
    return (
        f'<div class="scroll"{reached}><table{_told("table", block.name, block)}>{title}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{notes}"
    )


def _told(what: str, value: str, block: kinds.Table) -> str:
    return f' data-{what}="{escape(value)}"' if block.name else ""
