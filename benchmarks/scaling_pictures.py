"""The curves of `scaling.py` as pictures: processor time against size, both logarithmic."""

import math
from pathlib import Path
from typing import Any

from cases import OURS
from kept import Part
from scaling import ONE_FACTOR, Curve, exponent
from verdicts import short_duration

from hierbayes.plots.palette import now
from hierbayes.plots.series import in_colour, series
from hierbayes.plots.sheet import sheet

FOLDER = Path(__file__).with_name("scaling")
WIDTH_MM, TALL_MM = 140.0, 66.0
DPI = 150
APART = 0.095  # of the axis' height, between the names at the ends of lines
BESIDE = 1.02  # of the axis' width, where the names begin
MARGIN = 1.4  # factor between the smallest and largest time and the ends of the axis
BOLD = 1.5  # our line beside the others


def draw_curve(curve: Curve, part: Part, folder: Path = FOLDER) -> Path:
    """Draw a curve that was measured; return the picture's path."""
    with sheet({"width": WIDTH_MM}, "scaling") as page:
        ax = page.axes(TALL_MM)
        ax.set_xscale("log")
        ax.set_yscale("log")
        draw_lines(ax, curve, part)
        ax.set_xlabel(curve.size)
        ax.set_ylabel("processor time of a call")
    path = folder / f"{curve.name.removeprefix('scaling-')}.png"
    folder.mkdir(exist_ok=True)
    page.figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


def draw_lines(ax: Any, curve: Curve, part: Part) -> None:
    """Draw a line a peer, its name and exponent at its end."""
    every = curve.peers if curve.rows is None else ONE_FACTOR  # the same look in each picture
    looks = dict(zip(every, series(list(every)), strict=True))
    looks[OURS] = in_colour(looks[OURS], now().colours["reml"])
    measured = {point.peer for point in part.points if point.processor}
    ends, times = [], []
    for peer in [peer for peer in curve.peers if peer in measured]:
        look = looks[peer]
        found = [(p.size, p.processor) for p in part.points if p.peer == peer and p.processor]
        x, y = zip(*found, strict=True)
        width = look.linewidth * (BOLD if peer == OURS else 1.0)
        ax.plot(x, y, **look.line(linewidth=width, marker=look.marker, markersize=4.5))
        fitted = exponent(part.points, peer)
        power = f", power {fitted[0]:.2f}" if fitted else ""
        ends.append((y[-1], f"{peer}{power}", look.colour))
        times += y
    set_ticks(ax, curve, min(times) / MARGIN, max(times) * MARGIN)
    write_names(ax, ends)


def set_ticks(ax: Any, curve: Curve, low: float, high: float) -> None:
    """Write the sizes that were measured, and powers of ten of the time, as plain text."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.xaxis.set_major_locator(FixedLocator(list(curve.sizes)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    ax.set_ylim(low, high)
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ax.yaxis.set_major_locator(FixedLocator([10.0**power for power in powers]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: short_duration(seconds)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.grid(axis="y", color=now().light, linewidth=0.6)


def write_names(ax: Any, ends: list[tuple[float, str, str]]) -> None:
    """Write names right of the axes, at the height of the ends of their lines but apart."""
    low, high = (math.log(limit) for limit in ax.get_ylim())
    places: list[float] = []
    for value, _, _ in sorted(ends):
        wanted = (math.log(value) - low) / (high - low)
        places.append(max(wanted, places[-1] + APART) if places else wanted)
    limit = 1.0
    for k in reversed(range(len(places))):  # those pushed beyond the top push the others down
        places[k] = min(places[k], limit)
        limit = places[k] - APART
    for place, (_, name, colour) in zip(places, sorted(ends), strict=True):
        ax.annotate(
            name, (BESIDE, place), xycoords="axes fraction", color=colour,
            va="center", ha="left", fontsize="small",
        )  # fmt: skip
