"""A reanalysis as text, as HTML and as a page."""

import numpy as np
import pandas as pd

from hierbayes.plots.intervals import intervals
from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import format_factor, format_probability
from hierbayes.reports.code_lines import array_lines, call, data_lines, literal, written
from hierbayes.reports.document import Document, Grid, Part, picture_of_figure
from hierbayes.reports.explain import explain_text
from hierbayes.reports.paper_table import paper_grid
from hierbayes.reports.summary import wrapped
from hierbayes.results.reanalysis import Reanalysis

MOST_PICTURED = 5


def reanalysis_text(found: Reanalysis) -> str:
    """Write the table, the priors and the paragraph."""
    names, columns = [str(name) for name in found.table.index], _columns(found)
    cells = [[column[i] for _, column in columns] for i in range(len(names))]
    lines = [f"Reanalysis of {found.term}", f"Formula: {found.formula_text}"]
    if found.data_name:
        lines.append(f"Data: {found.data_name}")
    lines += ["", *matrix_lines(cells, names, [name for name, _ in columns]), ""]
    priors = [str(prior) for prior in found.table["prior"]]
    lines += [f"prior, {n}: {p}" for n, p in zip(names[1:], priors[1:], strict=True)]
    lines += ["", *wrapped(found.paragraph, "", "")]
    for note in found.notes:
        lines += ["", *wrapped(note, "", "")]
    return "\n".join(lines)


def reanalysis_html(found: Reanalysis) -> str:
    """Show the same as HTML."""
    names = [str(name) for name in found.table.index]
    prior = ("prior", ["", *(str(p) for p in found.table["prior"].iloc[1:])])
    return fragment(
        heading(f"Reanalysis of {found.term}", 3),
        f"<p><code>{escape(found.formula_text)}</code></p>",
        table([*_columns(found), prior], names),
        f"<p>{escape(found.paragraph)}</p>",
        *(f'<p class="soft">{escape(note)}</p>' for note in found.notes),
    )


def reanalysis_report(found: Reanalysis) -> Document:
    """Report the reanalysis on one page: result, picture, all estimates, code."""
    names = tuple(str(name) for name in found.table.index)
    columns = tuple((name, tuple(cells)) for name, cells in _columns(found))
    prior = ("prior", ("", *(str(p) for p in found.table["prior"].iloc[1:])))
    grid = Grid(columns=(*columns, prior), rows=names, caption=f"The effect of {found.term}")
    fits = list(found.fits.values())
    estimates = paper_grid(fits, level=found.level)
    named = Grid(
        columns=tuple((n, c) for n, (_, c) in zip(names, estimates.columns, strict=True)),
        rows=estimates.rows,
    )
    parts = [
        Part(heading="Result", text="\n\n".join([found.paragraph, *found.notes]), grids=(grid,)),
        *_picture(found),
        Part(heading="Every parameter", grids=(named,)),
        Part(heading="Model", printed=explain_text(fits[0].design)),
        Part(
            heading="How to make it again",
            code=_code(found),
        ),
    ]
    data = f" ({found.data_name})" if found.data_name else ""
    return Document(f"Bayesian reanalysis of {found.term}{data}", tuple(parts))


def _code(found: Reanalysis) -> tuple[str, ...]:
    """Return the lines that make the reanalysis again, with everything it was given."""
    fit, options = found.fits["REML"], dict(found.arguments)
    options.pop("data_name", None)
    seed = options.get("random_seed")
    lines = ["import hierbayes as hb", *data_lines(fit)]
    lines += array_lines(options, fit.model.table.n_rows)
    if not (seed is None or isinstance(seed, (int, np.integer))):
        lines.append("random_seed = ...  # the generator of this report")
    given = [("", literal(found.formula_text)), ("", "data")]
    options.setdefault("term", found.term)
    given += written(options)
    return (*lines, *call("found = hb.reanalyse", given), "print(found)")


def _columns(found: Reanalysis) -> list[tuple[str, list[str]]]:
    frame, level = found.table, f"{100 * found.level:g} %"
    interval = [
        f"{low:.3g} to {high:.3g}" for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
    columns = [
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


def _picture(found: Reanalysis) -> list[Part]:
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
    return [Part(heading="In a picture", picture=picture_of_figure(figure, alt))]
