"""The shrinkage table as text and HTML: columns a reader compares, rounded to their errors."""

import math

import numpy as np
import pandas as pd

from hierbayes.render.html_page import escape, fragment
from hierbayes.results.shrinkage_table import SHRINKAGE_COLUMNS, ShrinkageTable

SHOWN = (  # what is compared, left to right from no pooling to complete pooling
    "group",
    "level",
    "term",
    "n",
    "unpenalised",
    "coefficient",
    "coefficient_sd",
    "population",
    "reliability",
)
SE_DIGITS = 3  # significant digits of the typical standard error of a term
MAX_ROWS = 60


def shrinkage_text(table: ShrinkageTable) -> str:
    """Write the columns that are compared, below a line that says what they are."""
    if not _is_whole(table):
        return repr(pd.DataFrame(table))
    cut = _rounded(table).to_string(max_rows=MAX_ROWS, index=False)
    lines = [*heading_lines(table), cut, *closing_lines(table)]
    return "\n".join(lines)


def shrinkage_html(table: ShrinkageTable) -> str:
    """Show the columns that are compared, below a line that says what they are."""
    if not _is_whole(table):
        return pd.DataFrame(table).to_html(max_rows=MAX_ROWS, show_dimensions=True)
    body = _rounded(table).to_html(max_rows=MAX_ROWS, show_dimensions=True, index=False)
    words = [f"<p>{escape(line)}</p>" for line in heading_lines(table)]
    return fragment(*words, body, *(f"<p>{escape(line)}</p>" for line in closing_lines(table)))


def heading_lines(table: ShrinkageTable) -> list[str]:
    """Say what is shrunk, by what, towards what."""
    known = table.details
    assert known is not None
    what = {
        "reml": "conditional modes of a REML fit",
        "ml": "conditional modes of an ML fit",
        "posterior": "posterior means",
    }[known.method]
    return [
        f"Shrinkage: {known.formula_text}",
        f"coefficient: {what}; it lies between the level's own data (unpenalised) and",
        "the population value, nearer its own data where these are reliable",
    ]


def closing_lines(table: ShrinkageTable) -> list[str]:
    """Name the columns that are not printed."""
    left_out = [name for name in SHRINKAGE_COLUMNS if name not in SHOWN]
    return [f"also in the table: {', '.join(left_out)};", "shrinkage matrices: .matrices"]


def _is_whole(table: ShrinkageTable) -> bool:
    known = getattr(table, "details", None) is not None
    return known and tuple(table.columns) == SHRINKAGE_COLUMNS


def _rounded(table: ShrinkageTable) -> pd.DataFrame:
    """Return the columns shown as text, each term with the digits of its standard errors."""
    shown = pd.DataFrame(table)[list(SHOWN)].astype({"level": object})
    out = shown.copy()
    numbers = ["unpenalised", "coefficient", "coefficient_sd", "population"]
    for name in [*numbers, "reliability"]:
        out[name] = ""
    for _, rows in shown.groupby(["group", "term"], sort=False):
        decimals = _decimals(rows["coefficient_sd"].to_numpy(dtype=np.float64))
        for name in numbers:
            out.loc[rows.index, name] = [_number(v, decimals) for v in rows[name]]
        out.loc[rows.index, "reliability"] = [_number(v, 3) for v in rows["reliability"]]
    return out


def _decimals(errors: np.ndarray) -> int:
    known = errors[np.isfinite(errors) & (errors > 0)]
    if not known.size:
        return 2
    return max(0, SE_DIGITS - 1 - math.floor(math.log10(np.median(known))))


def _number(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
