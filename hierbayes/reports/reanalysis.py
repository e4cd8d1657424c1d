"""A reanalysis in blocks, and as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hierbayes.plots.intervals import intervals
from hierbayes.render import blocks as kinds
from hierbayes.render.document import Document
from hierbayes.render.numbers import format_factor, format_probability
from hierbayes.render.text import table_lines
from hierbayes.reports.code_lines import array_lines, call, data_lines, literal, written
from hierbayes.reports.explain import explain_blocks, explain_text
from hierbayes.reports.fit_report import again, picture_of_figure
from hierbayes.reports.paper_table import paper_table
from hierbayes.results.reanalysis import Reanalysis

MOST_PICTURED = 5


def reanalysis_blocks(found: Reanalysis) -> kinds.Blocks:
    """Show the table, the priors and the paragraph."""
    names = _names(found)
    priors = [str(prior) for prior in found.table["prior"]]
    table = kinds.Table(_columns(found), names)
    lines = [f"prior, {n}: {p}" for n, p in zip(names[1:], priors[1:], strict=True)]
    return (
        kinds.Heading(f"Reanalysis of {found.term}"),
        *kinds.facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        kinds.Printed(["", *table_lines(table), "", *lines], [_with_priors(found)], gap=False),
        kinds.Paragraph(found.paragraph),
        *(kinds.Paragraph(note, soft=True) for note in found.notes),
    )


def reanalysis_report(
    found: Reanalysis, *, labels: Mapping[str, str] | None = None, equation: bool = False
) -> Document:
    """Report the reanalysis on one page: result, picture, all estimates, code."""
    fits = list(found.fits.values())
    shown = [kinds.Mathematics(str(fits[0].model.latex()))] if equation else []
    estimates = paper_table(fits, level=found.level)
    cells = [cells for _, cells in estimates.columns]
    named = replace(estimates, columns=list(zip(_names(found), cells, strict=True)))
    result = _with_priors(found, caption=f"The effect of {found.term}")
    sections = [
        kinds.Section(
            "Result", [*kinds.paragraphs([found.paragraph, *found.notes]), result], "result"
        ),
        *_picture(found),
        kinds.Section("Every parameter", [named], "table"),
        kinds.Section("Model", [*shown, *explain_blocks(explain_text(fits[0].design))], "model"),
        again(reanalysis_code(found)),
    ]
    data = f" ({found.data_name})" if found.data_name else ""
    return Document(f"Bayesian reanalysis of {found.term}{data}", tuple(sections))


def _names(found: Reanalysis) -> list[str]:
    return [str(name) for name in found.table.index]


def _with_priors(found: Reanalysis, caption: str = "") -> kinds.Table:
    prior = ("prior", ["", *(str(p) for p in found.table["prior"].iloc[1:])])
    return kinds.Table([*_columns(found), prior], _names(found), caption)


def reanalysis_code(found: Reanalysis, data: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the lines that make the reanalysis again, with everything it was given.

    Parameters
    ----------
    found : Reanalysis
    data : as of ``fit_code``
    """
    fit, options = found.fits["REML"], dict(found.arguments)
    options.pop("data_name", None)
    seed = options.get("random_seed")
    lines = ["import hierbayes as hb"]
    if data is None:
        data = (*data_lines(fit), *array_lines(options, fit.spec.table.n_rows))
    lines += data
    if not (seed is None or isinstance(seed, (int, np.integer))):
        lines.append("random_seed = ...  # the generator of this report")
    given = [("", literal(found.formula_text)), ("", "data")]
    options.setdefault("term", found.term)
    given += written(options)
    return (*lines, *call("found = hb.reanalyse", given), "print(found)")


def _columns(found: Reanalysis) -> list[kinds.Column]:
    frame, level = found.table, f"{100 * found.level:g} %"
    interval = [
        f"{low:.3g} to {high:.3g}" for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
    columns: list[kinds.Column] = [
        ("median", [f"{value:.3g}" for value in frame["median"]]),
        ("sd", [f"{value:.3g}" for value in frame["sd"]]),
        (level, interval),
        ("P(>0)", ["-", *map(format_probability, frame["prob_positive"].iloc[1:])]),
    ]
    if found.threshold:
        cells = map(format_probability, frame["prob_beyond"].iloc[1:])
        columns.append((f"P({found.beyond})", ["-", *cells]))
    factors = ["-" if np.isnan(value) else format_factor(value) for value in frame["bayes_factor"]]
    return [*columns, ("BF", factors), ("shift (SE)", [f"{v:+.2f}" for v in frame["shift"]])]


def _picture(found: Reanalysis) -> list[kinds.Section]:
    if len(found.table) > MOST_PICTURED:
        return []
    tables = {
        str(name): pd.DataFrame(
            {"estimate": [row["median"]], "lower": [row["low"]], "upper": [row["high"]]},
            index=[found.term],
        )
        for name, row in found.table.iterrows()
    }
    figure, _ = intervals(tables)
    alt = f"Estimate of {found.term} with its interval by REML and under each prior."
    return [kinds.Section("In a picture", [picture_of_figure(figure, alt)], "picture")]
