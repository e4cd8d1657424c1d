"""A panel a level: how many have room, in rows of how many, and how tall; others are counted."""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.plots.letters import MM_PER_POINT
from hierbayes.plots.level_names import LETTER
from hierbayes.plots.sheet import Sheet
from hierbayes.plots.shrinkage_source import short_names
from hierbayes.plots.style import letter_size
from hierbayes.wording import shown

COLUMNS, LEAST_MM = 9, 15.5  # panels in a row at most, and how wide they are at least
TALL_MM, LEAST_TALL_MM = 24.0, 14.0  # of a panel: usual, and where they are many
TITLE_MM, AROUND_MM = 6.0, 24.0  # height of a title; of what stands around all panels
BESIDE_MM = 14.0  # width of what stands at the left of all panels
ALONE_MM = 70.0  # height of a single panel


@record
class LevelPanels:
    """Panels that have room.

    Attributes
    ----------
    places : of the levels drawn, in their order
    columns : panels in a row
    tall_mm, wide_mm : of a panel; the width is about that of its axes
    """

    places: tuple[int, ...]
    columns: int
    tall_mm: float
    wide_mm: float


def level_panels(
    page: Sheet, order: Sequence[int], columns: int | None, *, around_mm: float = AROUND_MM
) -> LevelPanels:
    """Lay panels out; of more levels than have room, those at equal distances are drawn.

    Parameters
    ----------
    page : the sheet
    order : places of the levels, in the order in which they are drawn
    columns : panels in a row; as many as have room if None
    around_mm : height of what stands around all panels
    """
    if columns is not None and columns < 1:
        raise OptionError(f"columns={shown(columns)} must be at least 1.")
    n = len(order)
    if n == 1:
        return LevelPanels(
            places=tuple(order), columns=1, tall_mm=ALONE_MM, wide_mm=0.8 * page.width_mm
        )
    least = LEAST_MM * letter_size() / 10.0 if not page.is_narrow else LEAST_MM
    most = page.columns(least, COLUMNS) if columns is None else columns
    n_rows = -(-n // most)
    if columns is None:
        most = _even(n, -(-n // n_rows))
        n_rows = -(-n // most)
    most = min(most, n)
    title = max(TITLE_MM, 2.2 * letter_size() * MM_PER_POINT)
    have = page.rows_that_fit(title + LEAST_TALL_MM, around_mm)
    wide = (page.width_mm - BESIDE_MM) / most - 3.0
    if n_rows > have:
        at = np.linspace(0, n - 1, have * most).round().astype(int)
        places = tuple(order[i] for i in at)
        return LevelPanels(places=places, columns=most, tall_mm=LEAST_TALL_MM, wide_mm=wide)
    fits = page.rows_that_fit(title + TALL_MM, around_mm)
    tall = TALL_MM if n_rows <= fits else max(fits * TALL_MM / n_rows, LEAST_TALL_MM)
    return LevelPanels(places=tuple(order), columns=most, tall_mm=tall, wide_mm=wide)


def panel_names(page: Sheet, levels: Sequence[str], panels: LevelPanels) -> list[str]:
    """Names of levels that fit over their panels."""
    most = int(panels.wide_mm / (LETTER * letter_size() * MM_PER_POINT))
    return short_names([page.label(level) for level in levels], most=most)


def _even(n: int, most: int) -> int:
    """Return panels in a row, a few less than the most where the last row is then full."""
    return next((c for c in range(most, int(0.7 * most), -1) if n % c == 0), most)
