"""The lecture's table of equations and formulas, with what each formula gave on crossed data."""

import math
import re
import textwrap

from hierbayes.render.blocks import Block, Markup, Printed, Table, columns_of
from hierbayes.render.html import table
from hierbayes.render.layout import wrapped
from hierbayes.reports.explain import bar_sentences
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.studies.lecture.lecture import FORMULA_TABLE, Lecture

SUBSCRIPT = re.compile(r"_\{([^}]*)\}")
# column of the table of estimates: grouping factor and random effect ("corr": its correlation)
ESTIMATES = {
    "Subject: 1": ("Subject", "(Intercept)"),
    "Subject: X": ("Subject", "X"),
    "corr": ("Subject", "corr"),
    "Item: 1": ("Item", "(Intercept)"),
    "Residual": ("Residual", ""),
}
ESTIMATES_CAPTION = "Estimated standard deviations (ms) and correlation; 1 is the intercept"
HEADER = ("REML criterion", *ESTIMATES)
TRUTH = "truth"


def formulas_blocks(lecture: Lecture) -> tuple[Block, ...]:
    """Show equations, formulas, what the bars became, and the estimates."""
    numbers = [str(number) for number in range(1, len(FORMULA_TABLE) + 1)]
    columns = [
        ("equation", [row.equation for row in FORMULA_TABLE]),
        ("formula", [row.formula for row in FORMULA_TABLE]),
    ]
    written = Table(columns, numbers, "Equations and formulas", labels=2)
    pairs = bars(lecture.table_fits)
    columns = [
        ("bar", [bar for bar, _ in pairs]),
        ("what it became", ["\n".join(textwrap.wrap(text, 72)) for _, text in pairs]),
    ]
    became = Table(columns, caption="What each bar became", labels=2)
    names, cells = estimates(lecture)
    return (
        Printed(_lines(pairs), [Markup(with_subscripts(table(written))), became]),
        Table(columns_of(cells, HEADER), names, ESTIMATES_CAPTION, head=ESTIMATES_CAPTION),
    )


def _lines(pairs: list[tuple[str, str]]) -> list[str]:
    """Equations and formulas, and what the bars became, as plain text."""
    lines = []
    for number, row in enumerate(FORMULA_TABLE, start=1):
        lines += [f"{number}  {plain(row.equation)}", f"   {row.formula}"]
    lines += ["", "What each bar became"]
    for bar, sentence in pairs:
        lines += wrapped(f"{bar}  {sentence}", "  ", "      ")
    return lines


def plain(equation: str) -> str:
    """Write subscripts as they can be typed: β0, b_S,0s."""
    return (
        SUBSCRIPT.sub(lambda found: found[1] if found[1].isdigit() else f"_{found[1]}", equation)
        .replace(")β", ") β")
        .replace("β1X", "β1 X")
        .replace(")X", ") X")
    )


def with_subscripts(html: str) -> str:
    """Turn the subscripts of equations in a piece of HTML into real ones."""
    return SUBSCRIPT.sub(r"<sub>\1</sub>", html)


def bars(fits: tuple[LikelihoodFit, ...]) -> list[tuple[str, str]]:
    """Each bar that occurs in the fits, once, with the sentence of what it became."""
    pairs = [("(none)", "Not a mixed-effects model: one error term, least squares.")]
    for fit in fits:
        pairs += [pair for pair in bar_sentences(fit.design) if pair not in pairs]
    return pairs


def estimates(lecture: Lecture) -> tuple[list[str], list[list[str]]]:
    """Row names and cells: criterion and estimates of every fit, and what was simulated."""
    cells = []
    for fit in lecture.table_fits:
        frame = fit.varcorr().to_frame()
        group = frame["group"].str.replace(r"\.\d+$", "", regex=True)  # Subject.1 is Subject
        second = frame["term2"].notna()
        term = frame["term1"].fillna("").where(~second, "corr")
        found = dict(zip(zip(group, term, strict=True), frame["sdcor"], strict=True))
        values = [found.get(key, math.nan) for key in ESTIMATES.values()]
        cells.append([f"{fit.criterion:.1f}", *map(_cell, values, ESTIMATES)])
    truth = lecture.truth
    drawn = (*truth.subject_sd, truth.subject_corr, truth.item_sd, truth.sigma)
    cells.append(["", *map(_cell, drawn, ESTIMATES)])
    return [str(number + 1) for number in range(len(cells) - 1)] + [TRUTH], cells


def _cell(value: float, name: str) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if name == "corr" else f"{value:.1f}"
