"""Letters that would lie on each other are broken into lines, turned or thinned out, as measured.

A figure is laid out, its words are measured, and what is too long for its place is mended: labels
and titles get lines, numbers at an axis become fewer, names at an axis are turned upright and,
where even then there is no room, only every so many are written.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.plots.letters import in_lines, is_cut, sentence_in_lines
from hierbayes.plots.style import MM_PER_INCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text

GAP = 0.35  # between words beside each other, in sizes of their letters
LEADING = 0.05  # between lines of different words, in sizes of their letters
ROUNDS = 6
MOST_NUMBERS = 9  # at an axis, as matplotlib has it
FEW = 3  # numbers at an axis, of which the outer ones are kept
MM_OF_EDGE = 3.0  # of a figure, without words
MARGIN_MM = 1.5  # between words of panels beside each other
SMALLER = (1.0, 0.9, 0.8, 0.7)  # sizes of letters that are tried, in those given
SMALLEST = 5.5  # points of names at an axis, before they are thinned out
LEAST_ROOM_MM = 8.0  # of a line
MM_PER_POINT = MM_PER_INCH / 72

_sizes: "WeakKeyDictionary[Any, float]" = WeakKeyDictionary()  # of letters as they were given
_given: "WeakKeyDictionary[Any, str]" = WeakKeyDictionary()  # words before they were broken


def lay_out(figure: "Figure | SubFigure") -> None:
    """Give axes the place they will have."""
    whole: Any = figure.get_figure(root=True)
    engine = whole.get_layout_engine()
    if engine is not None:
        engine.execute(whole)


def mend(figure: "Figure | SubFigure", *, whole: bool, own: "Sequence[Axes]") -> bool:
    """Break, turn and thin out what collides; return whether anything changed.

    Parameters
    ----------
    figure : laid out
    whole : whether all of it is ours, so that labels of the whole figure are looked at
    own : the axes that are ours
    """
    changed = any([_break_words(ax, own) for ax in own if ax.get_visible()])
    if whole:
        changed |= _break_around(figure)
    if changed:
        lay_out(figure)
    return thin_out(own) or changed


def thin_out(own: "Sequence[Axes]") -> bool:
    """Make labels at axes that are laid out fewer until none touch; return whether any were.

    Panels hardly move when their numbers become fewer, so that nothing is laid out in between.
    """
    for done in range(ROUNDS):
        if not _thin_out(own):
            return done > 0
    return True


def keep_numbers(own: "Sequence[Axes]") -> None:
    """Keep as many numbers at axes as there are, when the picture is laid out once more.

    How many matplotlib chooses follows from the length of the axis, and that from the room that
    the numbers take: one at the end could come and go, and be cut off when it comes last.
    """
    from matplotlib.ticker import AutoLocator

    for ax in own:
        for axis in (ax.xaxis, ax.yaxis):
            locator = axis.get_major_locator()
            if isinstance(locator, AutoLocator) and axis.get_scale() == "linear":
                locator.set_params(nbins=min(max(axis.get_tick_space(), 1), MOST_NUMBERS))


def _mm(figure: Any, pixels: float) -> float:
    return pixels / figure.dpi * MM_PER_INCH


def _fit(text: "Text", room_mm: float) -> bool:
    """Break words to the room, from how they were given; return whether lines changed."""
    before = text.get_text()
    given = _given.get(text, "")
    if before.replace("\n", " ") != given.replace("\n", " "):
        given = _given[text] = before
    points = _sizes.setdefault(text, float(text.get_fontsize()))
    breaker = sentence_in_lines if " " in given else in_lines
    for share in SMALLER:  # letters become smaller before a word is cut
        room = max(room_mm, LEAST_ROOM_MM)
        fitting = breaker(given, room_mm=room, points=share * points)
        if not is_cut(fitting, given):
            break
    text.set_text(fitting)
    text.set_fontsize(share * points)
    return fitting != before


def _break_words(ax: "Axes", own: "Sequence[Axes]") -> bool:
    """Break the labels and titles of axes that are longer than their place."""
    box, edge = ax.get_window_extent(), ax.figure.bbox
    beside_left = getattr(ax.figure, "_supylabel", None)  # that of the whole figure
    start = edge.x0 if beside_left is None else beside_left.get_window_extent().x1
    beside = [other.get_window_extent() for other in own]
    starts = [abs(b.x0 - box.x0) for b in beside if b.y0 < box.y1 and box.y0 < b.y1]
    pitch = min([start for start in starts if start > 1.0], default=edge.width)
    middle = box.x0 + box.width / 2
    around = 2 * min(middle - start, edge.x1 - middle)
    room = _mm(ax.figure, min(pitch, around)) - MARGIN_MM
    from_left = _mm(ax.figure, min(pitch, edge.x1 - box.x0)) - 2 * MARGIN_MM
    left: Any = ax
    return any(
        [
            _fit(ax.title, room),
            _fit(left._left_title, from_left),
            _fit(ax.xaxis.label, room),
            _fit(ax.yaxis.label, _mm(ax.figure, box.height) + MARGIN_MM),
        ]
    )


def _break_around(figure: Any) -> bool:
    """Break the labels and the title of a figure."""
    return any(
        [
            _fit(label, _mm(figure, size) * _share_of_room(label) - MM_OF_EDGE)
            for label, size in (
                (figure._supxlabel, figure.bbox.width),
                (figure._suptitle, figure.bbox.width),
                (figure._supylabel, figure.bbox.height),
            )
            if label is not None
        ]
    )


def _share_of_room(label: "Text") -> float:
    """Share of the width that words have: those from the left end as far from the right one."""
    is_left = label.get_horizontalalignment() == "left"
    return 1 - 2 * float(label.get_position()[0]) if is_left else 1.0


def _labels_of(ax: "Axes", which: str) -> "list[Text]":
    """Labels of the ticks that are drawn, in their order."""
    axis = getattr(ax, f"{which}axis")
    if not axis.get_visible() or not ax.axison:
        return []
    low, high = sorted(axis.get_view_interval())
    room = 1e-6 * ((high - low) or 1.0)
    found = []
    for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False):
        if low - room <= place <= high + room and label.get_visible() and label.get_text().strip():
            found.append(label)
    return found


def _box(label: "Text") -> FloatArray:
    b = label.get_window_extent()
    return np.array([b.x0, b.y0, b.x1, b.y1])


def _touching(labels: "Sequence[Text]", which: str) -> bool:
    """Whether labels of one axis come closer than words may."""
    at = 0 if which == "x" else 1
    boxes = sorted((_box(label) for label in labels), key=lambda box: float(box[at]))
    if len(boxes) < 2:
        return False
    size = float(labels[0].get_fontsize()) * labels[0].figure.dpi / 72
    upright = which == "x" and labels[0].get_rotation() == 90
    gap = (GAP if which == "x" and not upright else LEADING) * size
    return any(b[at] - a[at + 2] < gap for a, b in pairwise(boxes))


def _thin_out(own: "Sequence[Axes]") -> bool:
    """Make the labels of axes fewer where they touch; return whether anything was changed."""
    changed = False
    drawn: list[tuple[Any, Any]] = []
    for ax in own:
        for which in ("x", "y"):
            labels = _labels_of(ax, which)
            if which == "x" and labels:
                drawn.append((ax, labels))
            if _touching(labels, which):
                changed |= _fewer(ax, which, labels)
    if changed:
        return True
    return _apart(drawn)


def _apart(drawn: "Sequence[tuple[Axes, list[Text]]]") -> bool:
    """Thin the numbers of panels beside each other whose outermost ones touch."""
    changed = False
    for i, (ax, labels) in enumerate(drawn):
        for other, theirs in drawn[i + 1 :]:
            last, first = _box(labels[-1]), _box(theirs[0])
            if last[0] > first[0]:
                last, first = _box(theirs[-1]), _box(labels[0])
            size = float(labels[0].get_fontsize()) * ax.figure.dpi / 72
            level = last[1] < first[3] and first[1] < last[3]
            if level and last[2] + GAP * size > first[0] and last[0] < first[2]:
                changed |= _fewer(ax, "x", labels) | _fewer(other, "x", theirs)
    return changed


def _fewer(ax: "Axes", which: str, labels: "list[Text]") -> bool:
    """Write fewer labels at an axis, or turn its names; return whether that was possible."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    axis = getattr(ax, f"{which}axis")
    locator = axis.get_major_locator()
    if _is_named(axis) or axis.get_scale() != "linear":
        return _fewer_names(ax, which, labels)
    if len(labels) <= 1:
        return False
    if not isinstance(locator, FixedLocator) and len(labels) > FEW:
        whole = bool(getattr(locator, "_integer", False))
        intervals = max(len(labels) - 2, 1)
        axis.set_major_locator(MaxNLocator(intervals, integer=whole, min_n_ticks=1))
        if 1 <= len(_labels_of(ax, which)) < len(labels):
            return True
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_majorticklocs() if low <= place <= high]
    axis.set_major_locator(FixedLocator(places[::2] if len(places) > 2 else places[-1:]))
    return len(places) > 1


def _in_room(
    names: "Sequence[str]", room_mm: float, given: float
) -> "Iterator[tuple[float, list[str]]]":
    """Yield sizes of letters, the largest first, and lines in which all names are whole."""
    for points in (share * given for share in SMALLER):
        broken = [in_lines(name, room_mm=room_mm, points=points, most=3) for name in names]
        if room_mm > 3 * points * MM_PER_POINT and not any(map(is_cut, broken, names)):
            yield points, broken


def turn_names(own: "Sequence[Axes]") -> None:
    """Turn names below panels upright that have no room, however the panels will be laid out.

    Names that reach far over their panels would leave no room for the panels themselves.
    """
    for ax in own:
        place, n = ax.get_subplotspec(), len(_labels_of(ax, "x"))
        if place is None or n < 2 or not _is_named(ax.xaxis):
            continue
        labels = ax.xaxis.get_majorticklabels()
        words = [label.get_text() for label in labels]
        share = len(place.colspan) / place.get_gridspec().ncols / n
        room = share * _mm(ax.figure, ax.figure.bbox.width)
        if not any(_in_room(words, room, float(labels[0].get_fontsize()))):
            ax.xaxis.set_ticks(ax.xaxis.get_majorticklocs(), words, rotation=90)


def _is_named(axis: Any) -> bool:
    """Whether names stand at the ticks of an axis."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

    return isinstance(axis.get_major_locator(), FixedLocator) and isinstance(
        axis.get_major_formatter(), FixedFormatter | FuncFormatter
    )


def _fewer_names(ax: "Axes", which: str, labels: "list[Text]") -> bool:
    """Break names into lines, turn them upright, then write every second of them."""
    axis = getattr(ax, f"{which}axis")
    places, words = (
        list(axis.get_majorticklocs()),
        [t.get_text() for t in axis.get_majorticklabels()],
    )
    if which == "x" and labels[0].get_rotation() == 0 and len(labels) > 1:
        centres = sorted((_box(t)[0] + _box(t)[2]) / 2 for t in labels)
        room = _mm(ax.figure, float(np.diff(centres).min())) - 1.0
        given = float(labels[0].get_fontsize())
        joined = [word.replace("\n", " ") for word in words]
        for points, broken in _in_room(joined, room, given):
            if (broken, points) != (words, given):
                axis.set_ticks(places, broken)
                axis.set_tick_params(labelsize=points)
                return True
        axis.set_ticks(places, joined, rotation=90)
        return True
    if len(places) < 3:
        return False
    points = float(labels[0].get_fontsize())
    if points > SMALLEST:
        axis.set_tick_params(labelsize=max(0.85 * points, SMALLEST))
        return True
    axis.set_ticks(places[::2], words[::2], rotation=labels[0].get_rotation())
    return True
