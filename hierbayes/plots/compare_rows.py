"""One parameter of a comparison as a row: half-eye of the posterior over REML's interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.comparison.comparison_table import row_addresses
from hierbayes.comparison.parameter_densities import ParameterDensity, compared_densities
from hierbayes.errors import OptionError
from hierbayes.plots.palette import look, reference
from hierbayes.results.comparison import ComparedFit, Comparison, posterior_fits
from hierbayes.results.fit import Fit
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.posterior_fit import PosteriorFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIDDLE = (0.25, 0.75)  # quantiles of the thick bar
LANE = 0.42  # between two fits below the density, whose height is 1
LOWEST = 0.01  # height below which a density is not drawn, as part of its top
ROOM = 0.04  # free at both ends, as part of the range
TICKS = 5
MINUS = "\N{MINUS SIGN}"


@record
class Mark:
    """Where one fit has a parameter: estimate, ends of its interval (NaN without one).

    ``middle`` are the quartiles of a posterior, NaN of others.
    """

    fit: ComparedFit[Fit]
    estimate: float
    low: float
    high: float
    middle: tuple[float, float]


@record
class Row:
    """One parameter by all fits.

    Attributes
    ----------
    name : the parameter as the table of the comparison has it
    kind : "fixed", "sd", "cor", "sigma", "icc" or "family"
    density : prior and posterior of the first posterior, or None
    marks : of the fits in the comparison's order: ML, REML, posteriors
    shift : as text with its unit; empty without a shift
    shift_size : as a number; NaN without one
    """

    name: str
    kind: str
    density: ParameterDensity | None
    marks: tuple[Mark, ...]
    shift: str
    shift_size: float


def rows_of(found: Comparison, names: Sequence[str], confint: pd.DataFrame | None) -> list[Row]:
    """Return the rows of the parameters named.

    Parameters
    ----------
    found : Comparison
    names : names in its table
    confint : intervals of the likelihood fit ``found.shift_of``, by lme4's names, or None
    """
    posterior = next(iter(posterior_fits(found.fits)), None)
    densities: dict[str, ParameterDensity] = {}
    if posterior is not None:
        known = [name for name in names if found.table.loc[name, "effect"] != "icc"]
        densities = {d.name: d for d in compared_densities(posterior.fit, known)}
    given = _given_intervals(found, confint)
    rows = []
    for name in names:
        values: Any = found.table.loc[name]
        shift, unit = np.nan, ""
        if posterior is not None and found.shift_of:
            shift = float(values[f"{posterior.prefix}_shift"])
            unit = str(values[f"{posterior.prefix}_shift_unit"])
        rows.append(
            Row(
                name=name,
                kind=str(values["effect"]),
                density=densities.get(name),
                marks=tuple(_mark(fit, name, values, given) for fit in found.fits),
                shift=_signed(shift, unit),
                shift_size=shift,
            )
        )
    return rows


def _signed(shift: float, unit: str) -> str:
    if not np.isfinite(shift):
        return ""
    text = f"{shift:+.2f}"
    return f"{text[1:] if float(text) == 0 else text.replace('-', MINUS)} {unit}"


def _given_intervals(
    found: Comparison, confint: pd.DataFrame | None
) -> dict[tuple[str, str], tuple[float, float]]:
    """Intervals of ``confint`` by the fit they belong to and the comparison's name."""
    fit = next((fit for fit in found.fits if fit.name == found.shift_of), None)
    if confint is None or fit is None:
        return {}
    if not isinstance(confint, pd.DataFrame) or not {"lower", "upper"} <= set(confint):
        raise OptionError(
            "confint must be a table of hb.confint, with columns estimate, lower and upper."
        )
    known = row_addresses(fit.fit)
    intervals = {}
    for parameter in interval_parameters(fit.fit):
        if parameter.name in confint.index:
            row: Any = confint.loc[parameter.name]
            for place in [p for way in parameter.spellings for p in known.only(way)][:1]:
                label = known.labels[place]  # a log of a ratio of sds is no row
                intervals[fit.prefix, label] = (float(row["lower"]), float(row["upper"]))
    return intervals


def _mark(fit: ComparedFit[Fit], name: str, values: Any, given: Any) -> Mark:
    low, high = (float(values[f"{fit.prefix}_{end}"]) for end in ("low", "high"))
    middle = (np.nan, np.nan)
    if isinstance(fit.fit, PosteriorFit):
        estimate = float(values[f"{fit.prefix}_median"])
        middle = _quartiles(fit.fit, name)
    else:
        estimate = float(values[f"{fit.prefix}_estimate"])
        low, high = given.get((fit.prefix, name), (low, high))
    return Mark(fit=fit, estimate=estimate, low=low, high=high, middle=middle)


def _quartiles(fit: PosteriorFit, name: str) -> tuple[float, float]:
    for own in fit.residual_quantities:
        if name == own.parameter:
            low, high = np.quantile(own.values, MIDDLE)
            return float(low), float(high)
    for part in fit.parameters():
        if name in part.names:
            draws = part.draws[:, :, part.names.index(name)]
            low, high = np.quantile(draws, MIDDLE)
            return float(low), float(high)
    return np.nan, np.nan


def draw_row(ax: "Axes", row: Row) -> None:
    """Draw one parameter; the names of what is drawn are the labels of its legend."""
    from matplotlib.ticker import MaxNLocator

    density = row.density
    if density is not None:
        top = float(density.posterior.max())
        shown = density.posterior > LOWEST * top
        ax.fill_between(
            density.x, density.posterior / top, where=list(shown), **look("posterior").filled()
        )
        height = np.minimum(density.prior / top, 1.15)
        ax.plot(density.x, height, label="prior", **look("prior").line())
    posteriors = [mark for mark in row.marks if mark.fit.is_posterior]
    others = [mark for mark in row.marks if not mark.fit.is_posterior]
    lane = 0.0 if density is not None else -LANE
    for mark in posteriors:
        _draw_posterior(ax, mark, lane)
        lane -= LANE
    for mark in others[::-1]:  # REML with its interval, ML as a mark on the same line
        _draw_estimate(ax, mark, lane, has_line=len(others) == 1 or mark is others[-1])
    _scale(ax, row)
    ax.set_ylim(lane - LANE, 1.2 if density is not None else 0.1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="x", labelsize="small", pad=1, length=2)
    ax.xaxis.set_major_locator(MaxNLocator(TICKS))


def _draw_posterior(ax: "Axes", mark: Mark, y: float) -> None:
    after = look("posterior")
    line: dict[str, Any] = {"color": after.colour, "zorder": 5}
    ax.plot([mark.low, mark.high], [y, y], linewidth=1.0, **line)
    ax.plot(mark.middle, [y, y], linewidth=3.2, solid_capstyle="butt", **line)
    ax.plot([mark.estimate], [y], label=mark.fit.name, **after.mark(4.5, zorder=6))


def _draw_estimate(ax: "Axes", mark: Mark, y: float, *, has_line: bool) -> None:
    style = look(mark.fit.fit.method)
    if has_line:
        ax.plot([mark.low, mark.high], [y, y], **style.line(linestyle="-", linewidth=1.4))
    size = 4.5 if has_line else 6.0
    ax.plot(
        [mark.estimate], [y], label=mark.fit.name, clip_on=False,
        **style.mark(size, zorder=7 if has_line else 6),
    )  # fmt: skip


def _scale(ax: "Axes", row: Row) -> None:
    """Show all that is drawn; draw the boundary of an sd or a correlation."""
    ends = [v for m in row.marks for v in (m.low, m.high, m.estimate) if np.isfinite(v)]
    if row.density is not None:
        seen = row.density.x[row.density.posterior > LOWEST * row.density.posterior.max()]
        ends += [float(seen[0]), float(seen[-1])]
    if row.kind == "sd":
        ends.append(0.0)
    low, high = min(ends), max(ends)
    room = ROOM * ((high - low) or abs(high) or 1.0)
    ax.set_xlim(low - room, high + room)
    bounds = {"sd": (0.0,), "icc": (0.0, 1.0), "cor": (-1.0, 1.0)}.get(row.kind, ())
    for bound in bounds:
        if low - room <= bound <= high + room:
            ax.axvline(bound, **reference(linestyle="-", linewidth=1.0))
