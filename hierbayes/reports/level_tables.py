"""Random effects and coefficients of every level as text, as lme4 and R print them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hierbayes.formula.deparse import name_text
from hierbayes.render.layout import matrix_lines
from hierbayes.render.numbers import PRINT_DIGITS, format_common
from hierbayes.results.level_tables import LevelTables


def level_tables_text(tables: LevelTables) -> str:
    """Write tables of random effects, their sds, or coefficients, by their kind."""
    return (
        ranef_text(tables, has_sds=tables.has_sds) if tables.kind == "ranef" else coef_text(tables)
    )


def ranef_text(tables: Mapping[str, pd.DataFrame], *, has_sds: bool = False) -> str:
    """Write conditional modes as lme4's ``print(ranef(fit))``.

    Parameters
    ----------
    tables : factor -> conditional modes (levels x columns)
    has_sds : whether their conditional sds are known; only said in the last line, as in lme4
    """
    if not has_sds:
        return coef_text(tables)
    quoted = " ".join(f"\u201c{name}\u201d" for name in tables)
    return "\n".join([*_tables_lines(tables), f"with conditional variances for {quoted} "])


def coef_text(tables: Mapping[str, pd.DataFrame]) -> str:
    """Write coefficients of every level as R's ``print(coef(fit))``, without its class line."""
    return "\n".join(_tables_lines(tables)[:-1])


def _tables_lines(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    lines = []
    for name, table in tables.items():
        lines += [f"${name_text(name)}", *frame_lines(table), ""]
    return lines


def frame_lines(table: pd.DataFrame, digits: int = PRINT_DIGITS) -> list[str]:
    """Lines of a table of numbers as R prints a data frame: each column has its own format."""
    names = [str(name) for name in table.columns]
    labels = [str(label) for label in table.index]
    return matrix_lines(frame_cells(table, digits), labels, names)


def frame_cells(table: pd.DataFrame, digits: int = PRINT_DIGITS) -> list[list[str]]:
    """Cells of a table of numbers, by rows."""
    values = table.to_numpy(dtype=float)
    columns: Sequence[Any] = [format_common(column.tolist(), digits) for column in values.T]
    return [[column[i] for column in columns] for i in range(values.shape[0])]
