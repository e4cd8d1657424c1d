"""The table of a paper: fits as columns, parameters as rows, counts and R2 below.

Each cell holds the estimate with its interval: a confidence interval of a likelihood fit
(Satterthwaite's degrees of freedom for fixed effects, none for sds), a credible interval of a
posterior.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.checks.r2 import icc, r2
from hierbayes.errors import HierBayesError
from hierbayes.naming.addresses import coefficient_addresses
from hierbayes.render.blocks import Table
from hierbayes.results.fit import Fit
from hierbayes.results.tidy import dropped_positions, estimated_rows

NAMES = {"reml": "REML", "ml": "ML", "posterior": "posterior"}
DIGITS = 3  # significant digits of an interval's width that are shown


def paper_table(fits: Sequence[Fit], *, level: float = 0.95, caption: str = "") -> Table:
    """Lay fits side by side.

    Parameters
    ----------
    fits : of models that share their parameters or not
    level : level of the intervals
    caption : a line above the table
    """
    found = [_cells(fit, level) for fit in fits]
    rows = list(dict.fromkeys(row for cells in found for row in cells))
    order = sorted(rows, key=lambda row: _BLOCKS.index(row[0]))
    columns = [
        (NAMES[fit.method], [cells.get(row, "") for row in order])
        for fit, cells in zip(fits, found, strict=True)
    ]
    return Table(columns, [name for _, name in order], caption)


_BLOCKS = ("fixed", "random", "sigma", "icc", "r2", "n")


def _cells(fit: Fit, level: float) -> dict[tuple[str, str], str]:
    """Cells by the block of the table and the name, which two blocks may share."""
    cells = {}
    columns = np.sort(np.concatenate([fit.kept, dropped_positions(fit)]))  # a row each in tidy()
    labels = iter(coefficient_addresses(fit.design, columns.tolist()).labels)
    for row in estimated_rows(fit, fit.tidy(level=level)).to_dict("records"):
        fixed = row["effect"] == "fixed"
        cells[("fixed", next(labels)) if fixed else _random(row)] = _estimate(row)
    for name, value in _explained(fit).items():
        cells["icc" if name.startswith("ICC") else "r2", name] = f"{value:.3f}"
    for group, count in fit.n_groups.items():
        cells["n", f"N {group}"] = str(count)
    cells["n", "Observations"] = str(fit.nobs)
    return cells


def _random(row: Any) -> tuple[str, str]:
    """Block and name of a variance parameter or one of the response family."""
    term, group = str(row["term"]), row["group"]
    if term == "sd__Observation" and group == "Residual":
        return "sigma", "sigma"
    if term.startswith("sd__"):
        return "random", f"sd({term.removeprefix('sd__')} | {group})"
    if term.startswith("cor__"):
        return "random", f"cor({term.removeprefix('cor__')} | {group})"
    return "fixed", term


def _estimate(row: Any) -> str:
    value, low, high = (float(row[key]) for key in ("estimate", "conf_low", "conf_high"))
    if not np.isfinite(value):
        return "–"
    width = high - low if np.isfinite(high - low) else abs(value)
    decimals = int(np.clip(DIGITS - 1 - np.floor(np.log10(width or 1.0)), 0, 6))
    text = f"{value:.{decimals}f}"
    if np.isfinite(low) and np.isfinite(high):
        text += f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    p = row["p_value"]
    if p is not None and np.isfinite(p):
        text += ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"
    return text


def _explained(fit: Fit) -> dict[str, float]:
    """R2 and ICC where they are defined."""
    try:
        explained, shared = r2(fit).to_frame(), icc(fit).to_frame()
    except HierBayesError:
        return {}
    return {
        "ICC (adjusted)": _first(shared, "adjusted"),
        "R2 marginal": _first(explained, "marginal"),
        "R2 conditional": _first(explained, "conditional"),
    }


def _first(frame: pd.DataFrame, name: str) -> float:
    return float(frame.loc[name, "estimate"])  # type: ignore[arg-type]
