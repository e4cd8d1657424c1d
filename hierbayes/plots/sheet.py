"""What a picture is drawn on: its width, height, title, theme, labels and order, in one place.

A picture says how tall its panels are in mm; how tall the figure becomes follows from what stands
around them, measured once everything is written. Letters that would lie on each other are broken
into lines, turned, or thinned out (``collisions.py``). Figures given are left as tall as they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

import hierbayes.plots.collisions as collisions
import hierbayes.plots.style as style
from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.options import ThemeName, WidthName
from hierbayes.plots.labels import unquoted
from hierbayes.plots.letters import sentence_in_lines
from hierbayes.plots.palette import drawn_in, now
from hierbayes.wording import meant, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTHS_MM: dict[WidthName, float] = {"page": 160.0, "column": 80.0}
LEAST_MM, LARGEST_MM = 40.0, 500.0  # widths that can be asked for
MOST_MM = 200.0  # height of a picture: that of a page with its caption
WORDS_MM = 12.0  # room for the words around each panel before they are measured
AROUND_MM = 70.0  # room for words before they are measured
ROUNDS, CLOSE_MM = 4, 0.5  # of fitting the height to the panels
SHARES = (1.0, 0.8, 0.66)  # of the size of panels, where there are many
LEGEND_MARGIN_MM = 5.0

OrderWord = Literal["size", "name", "data"]
Order = OrderWord | Sequence[Any]
Width = WidthName | float


class Options(TypedDict, total=False):
    """What every picture takes."""

    ax: "Axes | Figure | SubFigure | None"
    width: Width | None
    labels: Mapping[str, str] | None
    title: str | None
    order: Order | None
    theme: ThemeName | None


def options(
    *,
    ax: "Axes | Figure | SubFigure | None" = None,
    width: Width | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
    order: Order | None = None,
    theme: ThemeName | None = None,
) -> None:
    """Stand for the options of every picture, whose signature shows them."""


# What docstrings of pictures say of them.
DESCRIBED = """\
ax : matplotlib axes, a figure or a subfigure to draw into; a picture of several panels takes
    the place of the axes. A new figure unless given
width : {"page", "column"} or mm
    160, 80 or so many mm wide, 160 unless said; the height follows from what is shown
labels : what to write in place of our names of variables, terms, parameters and levels
title : above the picture; none unless said
order : {"size", "name", "data"} or names
    What is listed goes by its size, by name, as in the data or model, or as named; each
    picture has its own order unless said
theme : {"paper", "lecture", "grey", "dark"}
    of this picture; that of ``hb.plot.theme`` unless said
"""


@contextmanager
def sheet(given: Options, picture: str) -> Iterator["Sheet"]:
    """Open the sheet a picture is drawn on; when left, it is laid out and titled.

    Parameters
    ----------
    given : the options of the picture's call
    picture : its name, for messages
    """
    import matplotlib as mpl

    with drawn_in(given.get("theme")):
        page = Sheet(given, picture)
        with mpl.rc_context(style.settings(style.share_of(page.width_mm))):
            yield page
            page.finish()


@record
class Room:
    """What there is room for: n panels, so many in a row, each so tall."""

    n: int
    columns: int
    tall_mm: float


class Sheet:
    """One picture: what it is drawn into, and what was asked for it.

    Attributes
    ----------
    picture : name of the function that draws
    width_mm : of the whole picture
    figure : what is drawn into, once there are axes
    """

    def __init__(self, given: Options, picture: str) -> None:
        self.picture = picture
        self._into = _checked_target(given.get("ax"))
        self.width_mm = _width(given.get("width"), self._into)
        self._labels = _checked_labels(given.get("labels"))
        self._asked: set[str] = set()
        self._order = given.get("order")
        self._is_ordered = False
        self._title = _checked_title(given.get("title"))
        self._notes: list[str] = []
        self._is_ours = self._into is None
        self._is_one = False
        self._towers: list[list[tuple[Axes, float]]] = []
        self.figure: Any = None

    @property
    def is_narrow(self) -> bool:
        """Whether it is as narrow as the column of a journal."""
        return self.width_mm < style.NARROW_MM

    # Panels -------------------------------------------------------------------------------------

    def axes(self, height_mm: float) -> "Axes":
        """Return the axes of a picture of one panel, so many mm tall where we choose."""
        self._is_one = True
        if self._into is not None and not hasattr(self._into, "add_subplot"):
            self.figure = self._into.figure
            return self._into
        ax: Axes = self.canvas(height_mm).add_subplot()
        self.stack([(ax, height_mm)])
        return ax

    def grid(
        self, n_panels: int, *, columns: int, panel_mm: float, **shared: Any
    ) -> "np.ndarray[Any, Any]":
        """Return the axes of panels in rows of so many columns, each so many mm tall.

        Parameters
        ----------
        n_panels : axes wanted
        columns : of a row, at most
        panel_mm : height of each
        **shared : as ``Figure.subplots`` takes it, such as ``sharex=True``
        """
        n_columns = min(columns, n_panels)
        n_rows = -(-n_panels // n_columns)
        figure = self.canvas(n_rows * (panel_mm + WORDS_MM))
        grid = figure.subplots(n_rows, n_columns, squeeze=False, **shared)
        for ax in grid.ravel()[n_panels:]:
            ax.remove()
        if shared.get("sharex"):
            for ax in grid.ravel()[max(n_panels - n_columns, 0) : n_panels]:  # nothing below
                ax.xaxis.set_tick_params(labelbottom=True)
        self.stack([(ax, panel_mm) for ax in grid[:, 0]])
        return np.asarray(grid.ravel()[:n_panels])

    def canvas(self, height_mm: float) -> "Figure | SubFigure":
        """Return the figure to lay out freely; ``stack`` says how tall its axes shall be."""
        if self._into is None:
            self.figure = style.new_figure(width_mm=self.width_mm, height_mm=height_mm + AROUND_MM)
        elif hasattr(self._into, "add_subplot"):
            self.figure = style.with_layout(self._into)
        else:
            self.figure = _in_place_of(self._into, self.picture)
        return self.figure

    def stack(self, tower: Sequence[tuple["Axes", float]]) -> None:
        """Say how tall axes shall be that stand below each other, in mm."""
        self._towers.append(list(tower))

    def columns(self, least_mm: float, most: int) -> int:
        """Panels in a row that are at least so wide, one at least."""
        return max(1, min(most, int(self.width_mm / least_mm)))

    def room_for(
        self,
        n: int,
        *,
        wide_mm: float,
        tall_mm: float,
        most_columns: int,
        around_mm: float = 30.0,
        words_mm: float = 11.0,
    ) -> "Room":
        """Return how many of n panels have room and how they stand, in full size or smaller ones.

        Parameters
        ----------
        n : panels wanted
        wide_mm, tall_mm : of a panel; where that is too much for a page, down to two thirds of both
        most_columns : of a row where there are few panels
        around_mm, words_mm : height of what stands around all of them, and around each
        """
        for share in SHARES:
            columns = self.columns(share * wide_mm, most_columns if share == 1 else n)
            columns = -(-n // -(-n // columns))  # rows of equal length
            rows = self.rows_that_fit(share * tall_mm + words_mm, around_mm)
            if columns * rows >= n:
                return Room(n=n, columns=columns, tall_mm=share * tall_mm)
        columns = self.columns(SHARES[-1] * wide_mm, n)
        return Room(n=columns * rows, columns=columns, tall_mm=SHARES[-1] * tall_mm)

    def rows_that_fit(self, panel_mm: float, around_mm: float) -> int:
        """Rows of panels that there is room for: at most 200 mm, or the height of what is given."""
        most = MOST_MM if self._is_ours else style.height_of(self._into)
        return max(int((most - around_mm) / panel_mm), 1)

    # Words --------------------------------------------------------------------------------------

    def label(self, name: str, ours: str | None = None) -> str:
        """Return what is written for a name: what was asked for, or ours, or the name."""
        self._asked.add(unquoted(name))
        return self._labels.get(unquoted(name), unquoted(name if ours is None else ours))

    def ordered(self, names: Sequence[Any], sizes: Any = None, *, usual: OrderWord) -> list[int]:
        """Return the places of what is listed, in the order asked for.

        Parameters
        ----------
        names : of levels, terms or parameters, in the order of data or model
        sizes : array, shape (m,), what "size" goes by, from small to large
        usual : the picture's own order
        """
        self._is_ordered = True
        shown = [unquoted(str(name)) for name in names]
        return _order(shown, sizes, usual if self._order is None else self._order)

    def note(self, words: str) -> None:
        """Say below the picture what it leaves out."""
        self._notes.append(words)

    def legend(self, handles: Sequence[Any] | None = None, words: Sequence[str] = ()) -> None:
        """Write the legend above the panels, in as many columns as fit; the title stands over it.

        Parameters
        ----------
        handles, words : as of ``Figure.legend``; what the axes have labels for unless given
        """
        if handles is None:
            known: dict[str, Any] = {}
            for ax in self.figure.axes if not self._is_given_axes else [self._into]:
                for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
                    known.setdefault(label, handle)
            handles, words = list(known.values()), list(known)
        if not handles:
            return
        owner = self.figure
        place: dict[str, Any] = {"loc": "outside upper center"}
        room = self.width_mm - LEGEND_MARGIN_MM
        if self._is_given_axes:
            owner = self._into
            place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
            room = owner.get_window_extent().width / owner.figure.dpi * style.MM_PER_INCH
        title, self._title = self._title, None
        style.fitted_legend(owner, handles, words, room_mm=room, title=title, **place)

    @property
    def _is_given_axes(self) -> bool:
        return self._is_one and self._into is not None and not hasattr(self._into, "add_subplot")

    # The end ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Lay the picture out: after it, places of axes are final, up to rounding."""
        self._write_around()
        whole, own = not self._is_given_axes, self._own_axes()
        for ax in own if whole else ():
            style.keep_letters(ax, self.width_mm)
        collisions.turn_names(own)
        for _ in range(ROUNDS):
            collisions.lay_out(self.figure)
            changed = collisions.mend(self.figure, whole=whole, own=own)
            if not (self._is_ours and self._fit_height()) and not changed:
                collisions.keep_numbers(own)
                return
        collisions.lay_out(self.figure)
        if collisions.thin_out(own):
            collisions.lay_out(self.figure)
        collisions.keep_numbers(own)

    def _own_axes(self) -> "list[Axes]":
        return [self._into] if self._is_given_axes else list(self.figure.axes)

    def _fit_height(self) -> bool:
        """Make the figure as tall as its panels want, where that is another height."""
        size = self.figure.get_size_inches() * style.MM_PER_INCH
        missing = max(
            (
                sum(mm - ax.get_window_extent().height / self.figure.dpi * style.MM_PER_INCH
                    for ax, mm in tower)
                for tower in self._towers
            ),
            default=0.0,
        )  # fmt: skip
        height = min(size[1] + missing, MOST_MM)
        if abs(height - size[1]) <= CLOSE_MM:
            return False
        self.figure.set_size_inches(size[0] / style.MM_PER_INCH, height / style.MM_PER_INCH)
        return True

    def _write_around(self) -> None:
        """Write title and notes, once."""
        points = style.letter_size()
        if self._title is not None:
            room = self.width_mm - LEGEND_MARGIN_MM
            title = sentence_in_lines(self._title, room_mm=room, points=style.TITLE * points)
            write = self._into.set_title if self._is_given_axes else self.figure.suptitle
            write(title, fontsize=style.TITLE * points)
            self._title = None
        if self._notes:
            notes, self._notes = " ".join(self._notes), []
            if self._is_given_axes:
                label = self._into.get_xlabel()
                self._into.set_xlabel(f"{label}\n{notes}" if label else notes)
            elif self.figure.get_supxlabel():
                self._write_under_label(notes)
            else:
                self.figure.supxlabel(
                    notes, x=style.MARGIN_OF_NOTE, ha="left", fontsize=style.letter_size("small"),
                    color=now().soft,
                )  # fmt: skip

    def _write_under_label(self, notes: str) -> None:
        """Write notes under the label of the whole figure, which keeps lines free for them."""
        from matplotlib.transforms import ScaledTranslation

        figure, points = self.figure, style.letter_size("small")
        room = (1 - 2 * style.MARGIN_OF_NOTE) * self.width_mm / style.HINTED
        words = sentence_in_lines(notes, room_mm=room, points=points)
        figure.supxlabel(figure.get_supxlabel() + "\n" * len(words.splitlines()))
        margin = ScaledTranslation(0, style.MARGIN, figure.dpi_scale_trans)
        figure.text(
            style.MARGIN_OF_NOTE, 0.0, words, fontsize=points, color=now().soft, va="bottom",
            transform=figure.transSubfigure + margin,
        )  # fmt: skip

    def finish(self) -> None:
        """Check what was asked for and lay the picture out."""
        if self._order is not None and not self._is_ordered:
            raise OptionError(
                f"plot.{self.picture} lists nothing that has an order; leave order= out."
            )
        if self._labels and not self._asked & set(self._labels):  # one dict may serve many pictures
            name, known = next(iter(self._labels)), tuple(sorted(self._asked))
            end = meant(name, known, f"; it shows {', '.join(map(repr, known[:12]))}.")
            raise OptionError(
                f"labels= names {name!r}, which plot.{self.picture} does not show{end}"
            )
        self.settle()


def _checked_target(ax: Any) -> Any:
    if ax is None or hasattr(ax, "get_subplotspec") or hasattr(ax, "add_subplot"):
        return ax
    raise OptionError(
        f"ax={shown(ax)} must be matplotlib axes, a figure or a subfigure, such as "
        "pyplot.subplots()[1]."
    )


def _width(width: Any, into: Any) -> float:
    """Return the width in mm asked for, or of what is drawn into."""
    if into is not None:
        if width is not None:
            raise OptionError("ax= has a width of its own; leave width= out, or leave out ax=.")
        return style.width_of(into)
    if width is None or (isinstance(width, str) and width in WIDTHS_MM):
        return WIDTHS_MM["page" if width is None else width]
    is_number = isinstance(width, int | float | np.number) and not isinstance(width, bool)
    if is_number and LEAST_MM <= width <= LARGEST_MM:
        return float(width)
    raise OptionError(
        f"width={shown(width)} must be 'page' (160 mm), 'column' (80 mm), or a number of mm from "
        f"{LEAST_MM:g} to {LARGEST_MM:g}."
    )


def _checked_labels(labels: Any) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise OptionError(
            f"labels={shown(labels)} must be a dict of names and what to write for them, such as "
            '{"Days": "days of sleep deprivation"}.'
        )
    return {unquoted(str(name)): str(words) for name, words in labels.items()}


def _checked_title(title: Any) -> str | None:
    if title is None or isinstance(title, str):
        return title
    raise OptionError(f"title={shown(title)} must be text.")


def _in_place_of(ax: Any, picture: str) -> "SubFigure":
    """Return a subfigure where axes are, for a picture of several panels."""
    place = ax.get_subplotspec()
    if place is None:
        raise OptionError(
            f"plot.{picture} has several panels; give ax= a figure, a subfigure, or axes of a "
            "grid (pyplot.subplots)."
        )
    figure = ax.figure
    ax.remove()
    style.with_layout(figure)
    subfigure: SubFigure = figure.add_subfigure(place)
    return subfigure


def _order(names: list[str], sizes: Any, order: Any) -> list[int]:
    places = list(range(len(names)))
    if isinstance(order, str):
        if order == "data" or (order == "size" and sizes is None):
            return places
        if order == "size":
            return [int(i) for i in np.argsort(np.asarray(sizes, dtype=float), kind="stable")]
        if order == "name":
            return sorted(places, key=lambda i: _natural(names[i]))
        raise OptionError(
            f"order={shown(order)} must be 'size', 'name', 'data' or the names in their order."
        )
    try:
        wanted = [unquoted(str(name)) for name in order]
    except TypeError:
        raise OptionError(
            f"order={shown(order)} must be 'size', 'name', 'data' or the names in their order."
        ) from None
    for name in wanted:
        if name not in names:
            raise OptionError(
                f"order= names {name!r}, which is not shown{meant(name, tuple(names))}"
            )
    first = [names.index(name) for name in dict.fromkeys(wanted)]
    return [*first, *(i for i in places if i not in set(first))]


def _natural(name: str) -> tuple[Any, ...]:
    """Sort key in which level 2 comes before level 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
