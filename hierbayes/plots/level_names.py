"""Names beside points, where they cover neither each other nor a point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.plots.letters import MM_PER_POINT, width_mm
from hierbayes.plots.palette import now

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]

LETTER = 0.58  # mean width of a letter, part of its size
GAP = 0.4  # between names, in sizes of their letters
LINE_HEIGHT = 1.2
POINT, WORD = 4.0, 28.0  # widths of a point and of a short word, in points
# Directions tried, best first.
TURNS = (0.0, *(side * turn for turn in (0.35, 0.7, 1.05, 1.4, 1.8, 2.2, 2.7) for side in (1, -1)))
LEADER = 12.0  # distance in points from which a line leads to the point


def settle(ax: "Axes") -> None:
    """Give axes the place they will have, so that names can be put where nothing is."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def place_names(
    ax: "Axes",
    points: FloatArray,
    names: Sequence[str],
    *,
    letter: float,
    away_from: FloatArray,
    distances: Sequence[float] = (4.5,),
    written: Sequence[FloatArray] = (),
) -> int:
    """Write names beside points of axes that are settled; return how many found no place.

    Parameters
    ----------
    ax : matplotlib axes, with their final limits
    points : array, shape (m, 2), in units of the data
    names : of the points; may have lines
    letter : size of the letters, in points
    away_from : array, shape (m, 2): a name stands at the side of its point that is away from it
    distances : between point and name, in points; the nearest free place is taken
    written : middles of short words that are there already, in units of the data
    """
    dots = ax.figure.dpi / 72
    at, to = ax.transData.transform(points), ax.transData.transform(away_from)
    taken = [_box(p, POINT * dots, POINT * dots) for p in np.concatenate([at, to])]
    for middle in written:
        taken.append(_box(ax.transData.transform(middle), WORD * dots, LINE_HEIGHT * letter * dots))
    frame = ax.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    gaps = [d * dots for d in distances]
    left_out = 0
    for start, end, name in zip(at, to, names, strict=True):
        lines = name.split("\n")
        size = dots * np.array(
            [width(lines, letter) + GAP * letter, LINE_HEIGHT * letter * len(lines)]
        )
        away = start - end
        angle = np.arctan2(away[1], away[0]) if np.hypot(*away) > 1 else 0.0
        place = _free_place(start, size, angle, distances=gaps, taken=taken, inside=inside)
        if place is None:
            left_out += 1
            continue
        middle, distance = place
        taken.append(_box(middle, *size))
        if distance >= LEADER * dots:
            taken += _along(start, middle, size)
        line = {"arrowstyle": "-", "color": now().soft, "linewidth": 0.5}
        ax.annotate(
            name,
            xy=tuple(ax.transData.inverted().transform(start)),
            xytext=tuple((middle - start) / dots),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=letter,
            color=now().ink,
            arrowprops=line if distance >= LEADER * dots else None,
            zorder=7,
        ).set_in_layout(False)
    return left_out


def width(lines: Sequence[str], points: float) -> float:
    """Width of the longest of some lines in letters of a size, in points as it is."""
    return width_mm("\n".join(lines), points) / MM_PER_POINT


def _free_place(
    start: FloatArray,
    size: FloatArray,
    angle: float,
    *,
    distances: Sequence[float],
    taken: Sequence[Box],
    inside: Box,
) -> tuple[FloatArray, float] | None:
    """Middle of the nearest free place for a name, and its distance from the point."""
    for distance in distances:
        for turn in TURNS:
            direction = np.array([np.cos(angle + turn), np.sin(angle + turn)])
            middle = start + direction * (size / 2 + distance)
            boxes = [_box(middle, *size), *_along(start, middle, size)]
            free = not any(_overlap(box, other) for box in boxes for other in taken)
            if free and _holds(inside, boxes[0]):
                return middle, distance
    return None


def _along(start: FloatArray, middle: FloatArray, size: FloatArray) -> list[Box]:
    """Small boxes on the way from just outside a point to its name."""
    way = middle - start
    length = float(np.hypot(*way))
    near = float(size[1])  # a name's height away from both ends
    if length <= 2 * near:
        return []
    steps = np.arange(near, length - near, near / 2) / length
    return [_box(start + step * way, 1.0, 1.0) for step in steps]


def _box(middle: FloatArray, width: float, height: float) -> Box:
    x, y = float(middle[0]), float(middle[1])
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _holds(frame: Box, box: Box) -> bool:
    return frame[0] < box[0] and box[2] < frame[2] and frame[1] < box[1] and box[3] < frame[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def spread_positions(wanted: FloatArray, distance: float, *, low: float, high: float) -> FloatArray:
    """Positions nearest to those wanted that are a distance apart and inside [low, high].

    Parameters
    ----------
    wanted : array, shape (m,), sorted
    distance : least distance of neighbours
    low, high : ends; if there is no room the distance shrinks
    """
    m = wanted.size
    if m < 2:
        return np.clip(wanted, low, high)
    distance = min(distance, (high - low) / (m - 1))
    steps = distance * np.arange(m)
    # with the steps taken off they only need to be in order: pool neighbours that are not
    blocks: list[list[float]] = []
    for value in wanted - steps:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, count = blocks.pop()
            mean, n = blocks.pop()
            blocks.append([(mean * n + last * count) / (n + count), n + count])
    pooled = np.concatenate([np.full(int(n), value) for value, n in blocks])
    return np.clip(pooled, low, high - steps[-1]) + steps
