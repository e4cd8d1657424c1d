"""The same blocks as text, HTML, Markdown and LaTeX."""

import pytest

from hierbayes.render.blocks import (
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
from hierbayes.render.html import html
from hierbayes.render.latex import ROWS_OF_A_PAGE, latex
from hierbayes.render.markdown import markdown
from hierbayes.render.numbers import LEGEND
from hierbayes.render.text import text

BLOCKS = [
    Heading("Title <1>"),
    Fact("Formula:", "y ~ x_1 | g"),
    Paragraph("First & last."),
    Table([("a_b", ["1.5", "-2"])], ["r1", "r2"], caption="Cap_tion", stars=["*", " "]),
    Preformatted("print(1)", language="python"),
    Picture(png=b"\x89PNG", alt="A & B"),
    Findings(["One was found.", "And another."]),
    Printed(["only on the terminal"], [Paragraph("only on pages")]),
    Wide([Paragraph("wide " * 18 + "end")]),
    Markup("<hr>"),
]


def test_text():
    assert text(BLOCKS).split("\n") == [
        "Title <1>",
        "Formula: y ~ x_1 | g",
        "",
        "First & last.",
        "",
        "   a_b  ",
        "r1 1.5 *",
        "r2  -2  ",
        "---",
        LEGEND,
        "",
        "print(1)",
        "",
        "Findings:",
        "- One was found.",
        "- And another.",
        "",
        "only on the terminal",
        "",
        "wide " * 18 + "end",
    ]


def test_html():
    shown = html(BLOCKS)
    for part in (
        "<h3>Title &lt;1&gt;</h3>",
        '<p><span class="soft">Formula:</span> <code>y ~ x_1 | g</code></p>',
        "<p>First &amp; last.</p>",
        '<tr><th scope="row">r2</th><td>-2</td><td></td></tr>',
        "<caption>Cap_tion</caption>",
        "<pre>print(1)</pre>",
        '<img alt="A &amp; B" src="data:image/png;base64,',
        "<li>And another.</li>",
        "<p>only on pages</p>",
        "<hr>",
    ):
        assert part in shown
    assert "terminal" not in shown


def test_markdown():
    assert markdown(BLOCKS[:8]).split("\n") == [
        r"### Title \<1\>",
        "",
        r"Formula: y \~ x\_1 \| g",
        "",
        r"First \& last.",
        "",
        r"**Cap\_tion**",
        "",
        r"|  | a\_b |  |",
        "|:--|--:|--:|",
        r"| r1 | 1.5 | \* |",
        "| r2 | -2 |  |",
        "",
        LEGEND.replace("*", r"\*").replace("  ", " "),
        "",
        "```python",
        "print(1)",
        "```",
        "",
        r"*(Picture, in the HTML report: A \& B)*",
        "",
        "### Findings",
        "",
        "- One was found.",
        "- And another.",
        "",
        "only on pages",
    ]


def test_latex():
    shown = latex(BLOCKS)
    for part in (
        r"\subsection*{Title \textless{}1\textgreater{}}",
        r"Formula: \texttt{y \textasciitilde{} x\_1 \textbar{} g}",
        r"First \& last.",
        r"\caption{Cap\_tion}",
        r"\begin{tabular}{lrr}",
        r"r2 & -2 &  \\",
        "\\begin{verbatim}\nprint(1)\n\\end{verbatim}",
        r"\item And another.",
        "only on pages",
    ):
        assert part in shown
    assert "<hr>" not in shown and "terminal" not in shown


def test_a_long_table_breaks_over_pages_in_latex():
    rows = [str(i) for i in range(ROWS_OF_A_PAGE + 1)]
    shown = latex([Table([("x", rows)], rows, caption="Long")])
    assert shown.startswith("\\begin{longtable}{lr}\n\\caption{Long} \\\\\n\\toprule")
    assert "\\begin{table}" not in shown
    assert "longtable" not in latex([Table([("x", rows[1:])], rows[1:])])


def test_tables_whose_first_columns_are_words():
    table = Table([("g", ["a", "bb"]), ("h", ["c", "d"]), ("n", ["1", "10"])], labels=2)
    assert text([table]).split("\n") == ["g  h  n", "a  c  1", "bb d 10"]
    assert markdown([table]).split("\n")[1] == "|:--|:--|--:|"
    assert r"\begin{tabular}{llr}" in latex([table])
    assert html([table]).count('class="text"') == 6


def test_tables_in_other_layouts():
    left = Table([("x", ["1", "10"])], ["a", "b"], layout="left", head="Head:")
    assert text([left]).split("\n") == ["Head:", "  x ", "a 1 ", "b 10"]
    vector = Table([("low", ["1"]), ("high", ["2"])], layout="vector")
    assert [line.split() for line in text([vector]).split("\n")] == [["low", "high"], ["1", "2"]]


def test_cells_of_a_named_table_say_their_row_and_column():
    shown = html([Table([('x"', ["1"])], ["<a>"], name="level")])
    assert 'data-table="level"' in shown and 'data-row="&lt;a&gt;"' in shown
    assert 'data-column="x&quot;"' in shown


def test_what_is_not_shown_is_not_made():
    def never():
        raise AssertionError

    assert text([Printed(["here"], never)]) == "here"
    assert html([Printed(never, [Paragraph("here")])]) == "<p>here</p>"


@pytest.mark.parametrize("write", [text, html, markdown, latex])
def test_nothing_found_shows_nothing(write):
    assert write([Findings([])]) == write([]) == ""


def test_a_percent_sign_stays_with_its_number():
    lines = text([Paragraph("x" * 76 + " 95 % of it")]).split("\n")
    assert lines == ["x" * 76, "95 % of it"]
