"""The priors of a model in blocks: names and laws left, their quantiles right."""

import pandas as pd

from hierbayes.render.blocks import Blocks, Column, Printed, Table
from hierbayes.results.prior_table import PriorTable

DIGITS = 4


def prior_blocks(table: PriorTable) -> Blocks:
    """Show parameters, priors and their quantiles to four digits."""
    columns: list[Column] = [(str(name), _cells(values)) for name, values in table.items()]
    n_words = next(
        (i for i, (_, values) in enumerate(table.items()) if values.dtype.kind == "f"), len(columns)
    )
    lines = [
        _aligned([name, *cells], right=values.dtype.kind == "f")
        for (name, cells), (_, values) in zip(columns, table.items(), strict=True)
    ]
    shown = ["  ".join(row).rstrip() for row in zip(*lines, strict=True)]
    return (Printed(shown, [Table(columns, labels=n_words)]),)


def _cells(values: "pd.Series[float]") -> list[str]:
    is_number = values.dtype.kind == "f"
    return [f"{value:.{DIGITS}g}" if is_number else str(value) for value in values]


def _aligned(cells: list[str], *, right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]
