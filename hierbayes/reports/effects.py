"""Predictions, comparisons and slopes in blocks: for whom and over what above the numbers."""

import pandas as pd

from hierbayes.render import blocks as kinds
from hierbayes.reports.emmeans import estimate_columns
from hierbayes.reports.frames import DOTS, MAX_ROWS
from hierbayes.results.effect_table import EffectTable
from hierbayes.results.emmeans_table import CONTRAST_COLUMNS


def effect_blocks(found: EffectTable, *, whole: bool = False) -> kinds.Blocks:
    """Show a table of effects; a long one is cut in the middle unless all of it is wanted."""
    names = tuple(n for n in CONTRAST_COLUMNS if n in found.table)
    cut = len(found.table) > MAX_ROWS and not whole
    half = MAX_ROWS // 2
    shown = pd.concat([found.table.head(half), found.table.tail(half)]) if cut else found.table
    columns = estimate_columns(shown, found.labels, names, level=found.level)
    if cut:
        columns = [(name, [*cells[:half], DOTS, *cells[half:]]) for name, cells in columns]
    size = (f"{len(found.table)} rows",) if cut else ()
    return (
        kinds.Heading(found.title),
        *kinds.facts(
            ("Data:", found.data_name),
            ("Model:", found.formula_text),
            ("For:", found.target),
            ("Over:", found.over),
        ),
        kinds.Table(columns, labels=len(found.labels)),
        *kinds.paragraphs([" ".join([*size, *found.notes]), found.words]),
    )
