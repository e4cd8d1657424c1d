"""Tests of random effects as text and HTML: lmerTest's table, then p values that know the bound."""

import math
from collections.abc import Sequence

from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import format_number, format_p_values
from hierbayes.reports.coefficients import (
    LEGEND,
    TABLE_DIGITS,
    p_value_cells,
    plain_cells,
    statistic_cells,
    table_lines,
)
from hierbayes.reports.summary import wrapped
from hierbayes.results.exact_test import ExactTest
from hierbayes.results.ranova_table import RanovaTable

HEADERS = ("npar", "logLik", "AIC", "LRT", "Df", "Pr(>Chisq)")
P_DIGITS = 4
BOUND = (
    "A variance cannot be negative, which the chi-squared of the table above ignores: its p is too "
    "large. These know it:"
)
NAMES = {"reml": "restricted likelihood ratio", "ml": "likelihood ratio"}


def ranova_text(found: RanovaTable) -> str:
    """Write single-term deletions of random effects as lmerTest prints them."""
    columns, stars = _deletion_cells(found)
    rows = [str(name) for name in found.table.index]
    lines = [_title(found), "", "Model:", found.formula_text]
    lines += table_lines(columns, rows, stars=stars)
    names, tests = _bound_cells(found)
    if names:
        lines += ["", *wrapped(BOUND, "", "")]
        cells = [[column[i] for _, column in tests] for i in range(len(names))]
        lines += matrix_lines(cells, names, [name for name, _ in tests])
    for sentence in _sentences(found):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def ranova_html(found: RanovaTable) -> str:
    """Show single-term deletions of random effects; same numbers and sentences as the text."""
    columns, stars = _deletion_cells(found)
    rows = [str(name) for name in found.table.index]
    named = columns if stars is None else [*columns, ("", stars)]
    parts = [heading(_title(found), 3), f"<p><code>{escape(found.formula_text)}</code></p>"]
    parts.append(table(named, rows))
    if stars is not None:
        parts.append(f'<p class="soft">{escape(LEGEND)}</p>')
    names, tests = _bound_cells(found)
    if names:
        parts += [f"<p>{escape(BOUND)}</p>", table(tests, names)]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _sentences(found)]
    return fragment(*parts)


def _title(found: RanovaTable) -> str:
    kind = "" if found.method == "reml" else " (maximum likelihood)"
    return f"ANOVA-like table for random-effects: Single term deletions{kind}"


def _deletion_cells(
    found: RanovaTable,
) -> tuple[list[tuple[str, list[str]]], list[str] | None]:
    def numbers(name: str) -> list[float]:
        return [float(v) for v in found.table[name]]

    columns = [plain_cells(numbers("npar"), TABLE_DIGITS)]
    columns += [plain_cells(numbers(c), TABLE_DIGITS, zap=True) for c in ("loglik", "aic")]
    columns.append(statistic_cells(numbers("chisq"), TABLE_DIGITS, missing=""))
    columns.append(plain_cells(numbers("df"), TABLE_DIGITS, missing=""))
    cells, stars = p_value_cells(numbers("p_value"), TABLE_DIGITS, missing="")
    return list(zip(HEADERS, [*columns, cells], strict=True)), stars


def _bound_cells(found: RanovaTable) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Rows whose mixture is known, with the mixture and the p values that go with it."""
    names = [name for name in found.table.index if name in found.mixtures]
    rows = found.table.loc[names]
    width = max((len(found.mixtures[name]) for name in names), default=0)
    columns = [
        ("mixture", [found.mixtures[name].ljust(width) for name in names]),
        ("p mixture", _p_cells(list(rows["p_mixture"]))),
    ]
    if found.nsim:
        columns.append(("p exact", _p_cells(list(rows["p_exact"]), least=1 / found.nsim)))
    return names, columns


def _p_cells(values: Sequence[float], *, least: float = 0.0) -> list[str]:
    """P values, those of a simulation no smaller than ``least``, what its draws can show."""
    cells = [cell.strip() for cell in format_p_values(values, P_DIGITS)]
    return [
        "" if math.isnan(v) else f"< {format_number(least, 2)}" if v < least * 1.5 else cell
        for v, cell in zip(values, cells, strict=True)
    ]


def _sentences(found: RanovaTable) -> list[str]:
    rows: dict[str, list[str]] = {}
    for name, why in found.reasons.items():
        rows.setdefault(why, []).append(name)
    out = [f"{'; '.join(names)}: no mixture p, because {why}." for why, names in rows.items()]
    determined = {str(name): int(df) for name, df in found.table["df"].dropna().items()}
    for name, count in found.undetermined.items():
        of = count + determined[name]
        what = f"what the data determine of the parameters taken out, {determined[name]} of {of}"
        out.append(f"{name}: Df counts {what}.")
    if found.nsim:
        out.append(
            f"p exact: {found.nsim} draws of the exact null distribution, which is right for any "
            "number of levels."
        )
    return out


def exact_test_text(found: ExactTest) -> str:
    """Write the exact test of a variance component."""
    lines = [_exact_title(found), *_exact_model(found), ""]
    names, columns = _exact_cells(found)
    lines += matrix_lines([[c[0] for _, c in columns]], names, [name for name, _ in columns])
    for sentence in _exact_sentences(found):
        lines += ["", *wrapped(sentence, "", "")]
    return "\n".join(lines)


def exact_test_html(found: ExactTest) -> str:
    """Show the exact test of a variance component; same numbers and sentences as the text."""
    names, columns = _exact_cells(found)
    parts = [heading(_exact_title(found), 3)]
    parts += [f"<p><code>{escape(line)}</code></p>" for line in _exact_model(found)]
    parts.append(table(columns, names))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in _exact_sentences(found)]
    return fragment(*parts)


def _exact_title(found: ExactTest) -> str:
    return f"Exact {NAMES[found.method]} test: is the variance of {found.term} zero?"


def _exact_model(found: ExactTest) -> list[str]:
    data = [f"Data: {found.data_name}"] if found.data_name else []
    return [*data, f"Model: {found.formula_text}"]


def _exact_cells(found: ExactTest) -> tuple[list[str], list[tuple[str, list[str]]]]:
    p_cell = _p_cells([found.p_value], least=1 / found.nsim)[0]
    columns = [
        ("statistic", [format_number(round(found.statistic, 4), TABLE_DIGITS)]),
        ("p", [p_cell]),
        ("MC error", [f"{found.mcse:.1g}"]),
    ]
    return [found.term], columns


def _exact_sentences(found: ExactTest) -> list[str]:
    by = "REML" if found.method == "reml" else "ML"
    again = f" The model was fitted again by {by}." if found.refitted else ""
    return [
        f"{found.nsim} draws of the statistic's exact distribution under a variance of zero; "
        f"{found.zero_share:.0%} of it lies at zero.{again}"
    ]
