"""The first table of blocks as a ``great_tables.GT``; the package is imported when asked for."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hierbayes.errors import OptionError
from hierbayes.render import blocks as kinds
from hierbayes.render.exports import prepared

STUB = "row"  # the column of the names of the rows, shown without a name


def great_table(
    blocks: Iterable[kinds.Block], *, caption: str = "", labels: Mapping[str, str] | None = None
) -> Any:
    """Return the first table: names of rows as stub, caption as title, notes as source notes.

    Raises
    ------
    ModuleNotFoundError
        Without great_tables.
    OptionError
        If nothing among the blocks is a table.
    """
    from great_tables import GT

    chosen = prepared(blocks, caption=caption, labels=labels)
    table = next((block for block in chosen if isinstance(block, kinds.Table)), None)
    if table is None:
        raise OptionError("This result has no table; its text is in to_html() and to_markdown().")
    cells: dict[str, list[str]] = {}
    if table.rows is not None:
        cells[STUB] = list(table.rows)
    keys = []
    for j, (_, column) in enumerate(table.named):
        keys.append(f"c{j}")  # names of columns may stand twice
        cells[keys[-1]] = [cell.strip() for cell in column]
    made = GT(pd.DataFrame(cells), rowname_col=STUB if table.rows is not None else None)
    made = made.cols_label({key: name for key, (name, _) in zip(keys, table.named, strict=True)})
    left = keys[: table.labels]
    made = made.cols_align("right", [key for key in keys if key not in left])
    made = made.cols_align("left", left) if left else made
    made = made.tab_header(table.caption) if table.caption else made
    for note in table.notes:
        made = made.tab_source_note(note)
    return made
