"""A data frame in blocks: its first and last rows, as pandas shows them, and its size."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from hierbayes.render.blocks import Block, Column, Paragraph, Table
from hierbayes.render.numbers import format_common

MAX_ROWS = 60  # as pandas shows at the most
DOTS = "..."


def frame_table(
    frame: pd.DataFrame,
    write: Callable[[list[Any]], list[str]] | None = None,
    *,
    with_index: bool = True,
    whole: bool = False,
) -> list[Block]:
    """Return a frame as a table, cut in the middle if it is long, and its size.

    Parameters
    ----------
    frame : DataFrame
    write : makes the cells of a column; by default numbers get seven digits
    with_index : whether its index names the rows
    whole : every row, and no line about the size
    """
    n, half = len(frame), MAX_ROWS // 2
    cut = n > MAX_ROWS and not whole
    shown = pd.concat([frame.head(half), frame.tail(half)]) if cut else frame

    def dotted(cells: Sequence[str]) -> list[str]:
        return [*cells[:half], DOTS, *cells[half:]] if cut else list(cells)

    columns: list[Column] = []
    for j, name in enumerate(shown):
        values = shown.iloc[:, j]
        own = format_common if pd.api.types.is_float_dtype(values.dtype) else _texts
        columns.append((str(name), dotted((write or own)(values.tolist()))))
    index = dotted(_texts(shown.index.tolist())) if with_index else None
    size = f"{n} rows × {frame.shape[1]} columns"
    table = Table(columns, index)
    return [table] if whole else [table, Paragraph(size, soft=True)]


def _texts(values: list[Any]) -> list[str]:
    return [str(value) for value in values]
