"""Colours with a meaning, and the themes: paper, lecture, grey, dark.

REML, ML, posterior, prior and data have the same colour, mark and line style in every picture. The
two likelihood estimators are blue, what is Bayesian is orange: a pair that every colour-blind
reader tells apart; inside a pair colours differ by lightness, and all of them by mark and line
style, so that a copy without colours can be read.

Knows nothing of figures; colours are asked for while something is drawn and follow its theme.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Literal

from hierbayes.arrays import record
from hierbayes.options import ThemeName, check_option

Role = Literal["reml", "ml", "posterior", "prior", "data"]
Line = str | tuple[float, tuple[float, ...]]
# The mark of each role, whether it is full, its line style and its width.
MARKS: dict[str, tuple[str, bool, Line, float]] = {
    "reml": ("o", True, "-", 1.6),
    "ml": ("s", False, (0, (5, 2)), 1.4),
    "posterior": ("D", True, (0, (7, 1.5, 1.5, 1.5)), 1.6),
    "prior": ("v", False, (0, (1.2, 1.4)), 1.4),
    "data": ("o", True, "-", 1.2),
}
NAMES: dict[str, str] = {
    "reml": "REML", "ml": "ML", "posterior": "posterior", "prior": "prior", "data": "data",
}  # fmt: skip


@record
class Theme:
    """Colours, and how large letters and how thick lines are.

    Attributes
    ----------
    name : "paper", "lecture", "grey" or "dark"
    paper, ink, soft, band, light : the page, letters, what is less important, what is filled, and
        the faintest
    colours, bands : of the roles: of marks and lines, and of what is filled
    letters, lines : factors of the sizes of letters and of the widths of lines and marks
    """

    name: ThemeName
    paper: str
    ink: str
    soft: str
    band: str
    light: str
    colours: dict[str, str]
    bands: dict[str, str]
    letters: float
    lines: float


@record
class Look:
    """How one role is drawn: colour, fill, mark and line."""

    colour: str
    band: str
    marker: str
    is_full: bool
    linestyle: Line
    linewidth: float
    name: str

    def line(self, **further: Any) -> dict[str, Any]:
        """Arguments of ``ax.plot`` for a line; further ones come on top."""
        style = {"color": self.colour, "linestyle": self.linestyle, "linewidth": self.linewidth}
        return style | {"zorder": 3} | further

    def mark(self, size: float = 5.0, **further: Any) -> dict[str, Any]:
        """Arguments of ``ax.plot`` for marks without a line, ``size`` in points."""
        style: dict[str, Any] = {
            "marker": self.marker,
            "linestyle": "none",
            "markersize": size * now().lines,
            "markerfacecolor": self.colour if self.is_full else now().paper,
            "markeredgecolor": self.colour,
            "markeredgewidth": 1.2 * now().lines,
            "zorder": 5,
        }
        return style | further

    def points(self, area: float = 16.0, **further: Any) -> dict[str, Any]:
        """Arguments of ``ax.scatter``, ``area`` in square points."""
        style: dict[str, Any] = {
            "marker": self.marker,
            "s": area * now().lines ** 2,
            "facecolors": self.colour if self.is_full else now().paper,
            "edgecolors": self.colour,
            "linewidths": 0.0 if self.is_full else 1.0 * now().lines,
            "zorder": 4,
        }
        return style | further

    def as_kind(self, marker: str, is_full: bool, linestyle: Line) -> "Look":
        """Return the same colour with another mark and line, of another kind of interval."""
        return replace(self, marker=marker, is_full=is_full, linestyle=linestyle)

    def filled(self, **further: Any) -> dict[str, Any]:
        """Arguments of ``ax.fill_between`` for a band or a density."""
        return {"color": self.band, "linewidth": 0, "zorder": 1} | further


def _by_role(reml: str, ml: str, posterior: str, prior: str, data: str) -> dict[str, str]:
    return {"reml": reml, "ml": ml, "posterior": posterior, "prior": prior, "data": data}


_COLOURS = _by_role("#0a4b8c", "#459bd1", "#b5440a", "#c28a00", "#333333")
_BANDS = _by_role("#bcd3e8", "#d9ebf6", "#f6cfb2", "#f5e6bf", "#d4d4d4")
_GREYS = _by_role("#1a1a1a", "#6b6b6b", "#4a4a4a", "#6b6b6b", "#1a1a1a")
_GREY_BANDS = _by_role("#bdbdbd", "#e6e6e6", "#bdbdbd", "#e6e6e6", "#cccccc")
_LIGHT: dict[str, Any] = {
    "paper": "white", "ink": "#1a1a1a", "soft": "#6b6b6b", "band": "#bdbdbd", "light": "#e6e6e6",
}  # fmt: skip
_PRINT: dict[str, Any] = {"colours": _COLOURS, "bands": _BANDS, **_LIGHT}
THEMES: dict[ThemeName, Theme] = {
    "paper": Theme(name="paper", letters=1.0, lines=1.0, **_PRINT),
    "lecture": Theme(name="lecture", letters=1.25, lines=1.4, **_PRINT),
    "grey": Theme(name="grey", letters=1.0, lines=1.0, colours=_GREYS, bands=_GREY_BANDS, **_LIGHT),
    "dark": Theme(
        name="dark",
        paper="#15181c",
        ink="#ececec",
        soft="#a0a4a8",
        band="#4a4f55",
        light="#2c3035",
        colours=_by_role("#3f8ddd", "#a8d8fb", "#ff8f45", "#ffe08a", "#d8d8d8"),
        bands=_by_role("#1f3f5c", "#2b4252", "#6b3a1c", "#57471f", "#45494e"),
        letters=1.0,
        lines=1.15,
    ),
}

_default: list[Theme] = [THEMES["paper"]]  # what theme() sets, for all threads
_drawn: ContextVar[Theme | None] = ContextVar("theme of the picture being drawn", default=None)


def theme(name: ThemeName) -> AbstractContextManager[None]:
    """Set how the pictures that follow look; as a context manager, those inside of it.

    Parameters
    ----------
    name : {"paper", "lecture", "grey", "dark"}
        "paper": colours on white, the default. "lecture": the same with larger letters and thicker
        lines. "grey": without colours; what is told apart differs by lightness, mark and line.
        "dark": light on a dark page.

    Returns
    -------
    context manager
        When it ends, the theme is the one before.

    Raises
    ------
    OptionError
        If there is no theme of this name.

    Examples
    --------
    >>> import hierbayes as hb
    >>> with hb.plot.theme("dark"):
    ...     figure, axes = hb.plot.data(hb.load_dataset("sleepstudy"), x="Days", y="Reaction")
    >>> _ = hb.plot.theme("paper")
    """
    chosen = THEMES[check_option("theme", name, ThemeName)]
    before, _default[0] = _default[0], chosen
    return _until_left(before)


@contextmanager
def _until_left(before: Theme) -> Iterator[None]:
    try:
        yield
    finally:
        _default[0] = before


@contextmanager
def drawn_in(name: ThemeName | None) -> Iterator[Theme]:
    """Draw in a theme; in the one that is drawn in or set where none is named."""
    chosen = now() if name is None else THEMES[check_option("theme", name, ThemeName)]
    token = _drawn.set(chosen)
    try:
        yield chosen
    finally:
        _drawn.reset(token)


def now() -> Theme:
    """Return the theme that is drawn in."""
    return _drawn.get() or _default[0]


def look(role: str) -> Look:
    """Return colour, mark and line of a role in the theme that is drawn in."""
    marker, is_full, linestyle, linewidth = MARKS[role]
    return Look(
        colour=now().colours[role],
        band=now().bands[role],
        marker=marker,
        is_full=is_full,
        linestyle=linestyle,
        linewidth=linewidth * now().lines,
        name=NAMES[role],
    )


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour between two: so much of the first, the rest of the other."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (
        share * a + (1 - share) * b for a, b in zip(to_rgb(colour), to_rgb(other), strict=True)
    )
    return str(to_hex((red, green, blue)))


def reference(**further: Any) -> dict[str, Any]:
    """Arguments of the line at zero, at a population's value, or where normal points would be."""
    style: dict[str, Any] = {"color": now().soft, "linewidth": 1.2 * now().lines, "zorder": 1}
    return style | {"linestyle": (0, (5, 3))} | further
