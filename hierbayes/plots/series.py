"""How levels beside each other are told apart: a colour, a mark and a line style each.

Colours go from dark to light along one path (viridis), so that they differ in lightness for every
reader and in a copy without colours; none of them is that of an estimator, whose colours have a
meaning of their own.

Source of the path: Smith & van der Walt (2015), matplotlib's viridis.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from hierbayes.plots.palette import Line, Look, now

MOST = 6  # levels that are told apart by colour, mark and line
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES: tuple[Line, ...] = (
    "-", (0, (6, 2)), (0, (6, 1.5, 1.5, 1.5)), (0, (2, 1.2)), (0, (9, 2, 2, 2)), (0, (1, 1.5)),
)  # fmt: skip
PATH = {"paper": (0.12, 0.72), "lecture": (0.12, 0.72), "dark": (0.45, 0.98)}  # of viridis
GREYS = (0.1, 0.62)  # lightness, of the theme without colours


@lru_cache(maxsize=64)
def _colours(n: int, theme: str) -> tuple[str, ...]:
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    if theme == "grey":
        return tuple(to_hex((grey, grey, grey)) for grey in np.linspace(*GREYS, n))
    path = mpl.colormaps["viridis"]
    return tuple(to_hex(path(place)) for place in np.linspace(*PATH[theme], n))


def series(names: list[str]) -> list[Look]:
    """Return the looks of levels, at most ``MOST`` of which differ in more than colour.

    Parameters
    ----------
    names : what the levels are called
    """
    colours = _colours(max(len(names), 2), now().name)
    return [
        Look(
            colour=colour,
            band=colour,
            marker=MARKERS[i % len(MARKERS)],
            is_full=True,
            linestyle=LINES[i % len(LINES)],
            linewidth=1.6 * now().lines,
            name=name,
        )
        for i, (name, colour) in enumerate(zip(names, colours, strict=False))
    ]


def in_colour(own: Look, colour: str) -> Look:
    """Return a look in another colour, with its mark and line."""
    return replace(own, colour=colour, band=colour)
