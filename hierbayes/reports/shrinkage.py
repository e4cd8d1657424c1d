"""The shrinkage table in blocks: columns a reader compares, rounded to their errors."""

from functools import partial

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.render.blocks import Blocks, Fact, Paragraph, Printed
from hierbayes.reports.coefficients import MOST_DECIMALS, decimals_of, fixed_cell
from hierbayes.reports.frames import MAX_ROWS, frame_table
from hierbayes.reports.result_table import result_table_blocks
from hierbayes.results.shrinkage_table import SHRINKAGE_COLUMNS, ShrinkageDetails, ShrinkageTable

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


def shrinkage_blocks(table: ShrinkageTable, whole: bool = False) -> Blocks:
    """Show the columns that are compared, below a line that says what they are."""
    if not _is_whole(table):
        return result_table_blocks(table, whole=whole)
    rounded = _rounded(table)
    said, closing = heading_lines(table), closing_lines(table)
    cut = partial(_cut, rounded)
    return (
        Printed(
            said, [Fact("Shrinkage:", _details(table).formula_text), Paragraph(" ".join(said[1:]))]
        ),
        Printed(cut, frame_table(rounded, with_index=False, whole=whole), gap=False),
        Printed(closing, [Paragraph(" ".join(closing), soft=True)], gap=False),
    )


def _cut(rounded: pd.DataFrame) -> list[str]:
    return rounded.to_string(max_rows=MAX_ROWS, index=False).split("\n")


def _details(table: ShrinkageTable) -> ShrinkageDetails:
    assert table.details is not None
    return table.details


def heading_lines(table: ShrinkageTable) -> list[str]:
    """Say what is shrunk, by what, towards what."""
    known = _details(table)
    what = {
        "reml": "conditional modes of a REML fit",
        "ml": "conditional modes of an ML fit",
        "posterior": "posterior means",
    }[known.method]
    return [
        f"Shrinkage: {known.formula_text}",
        *_scale_lines(known),
        f"coefficient: {what}; it lies between the level's own data (unpenalised) and",
        "the population value, nearer its own data where these are reliable",
    ]


def _scale_lines(known: ShrinkageDetails) -> list[str]:
    """Say what the numbers of a generalised fit are."""
    if known.scale == "response":
        return [
            f"expected {known.response}, the mean over the rows of each level: with its own",
            "effects, with those estimated, and without any",
        ]
    if known.is_linear:
        return []
    return [f"coefficients are on the scale of the {known.link} link"]


def closing_lines(table: ShrinkageTable) -> list[str]:
    """Name the columns that are not printed."""
    left_out = [name for name in SHRINKAGE_COLUMNS if name not in SHOWN]
    own = table["unpenalised"].to_numpy(dtype=np.float64)
    endless = [
        "inf or empty: all responses of the level are of one kind (or separated, or beyond the",
        "reach of the link), so that its own estimate is not finite; type='response' shows what",
        "that means",
    ]
    return [
        *(endless if not _details(table).is_linear and not np.isfinite(own).all() else []),
        f"also in the table: {', '.join(left_out)};",
        "shrinkage matrices: .matrices",
    ]


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
            out.loc[rows.index, name] = [fixed_cell(v, decimals, missing="") for v in rows[name]]
        shares = [fixed_cell(v, 3, missing="") for v in rows["reliability"]]
        out.loc[rows.index, "reliability"] = shares
    return out


def _decimals(errors: FloatArray) -> int:
    known = errors[np.isfinite(errors) & (errors > 0)]
    typical = float(np.median(known)) if known.size else 1.0
    return decimals_of(typical, digits=SE_DIGITS, most=MOST_DECIMALS, least=0)
