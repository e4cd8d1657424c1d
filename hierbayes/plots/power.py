"""Power, or another number of designs, over their size: from ``hb.design_study`` or a table."""

from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.options import check_option
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import Curve, draw_curve, key
from hierbayes.plots.palette import Look, look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.series import MOST, series
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.prediction.reference_grid import level_label
from hierbayes.results.design_study import GOALS, DesignStudy
from hierbayes.wording import did_you_mean, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ONE_MM, ONE_NARROW_MM = 75.0, 54.0
PANEL_MM, PANEL_WIDE_MM = 52.0, 70.0
MOST_PANELS = 6
LIMITS = (("lower", "upper"), ("conf_low", "conf_high"))
REACH = 1.96  # Monte-Carlo errors to both sides
QUANTITIES = {
    "power": "power", "width": "width of the interval", "type_s": "type S error",
    "type_m": "type M error", "p_bf": "P(BF > {bf:g})",
}  # fmt: skip
Quantity = Literal["power", "width", "type_s", "type_m", "p_bf"]
Kind = Literal["curves", "grid"]


@picture
def power(
    table: "pd.DataFrame | DesignStudy",
    x: str | None = None,
    by: str | None = None,
    *,
    quantity: Quantity = "power",
    kind: Kind | None = None,
    target: float | str | None = "goal",
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the power of a design over its size.

    Parameters
    ----------
    table : what ``hb.design_study`` returned, or one row a design: columns of its sizes, ``power``,
        and ``lower`` and ``upper`` (or ``conf_low``, ``conf_high``), the limits of what simulations
        leave open
    x : the size along the axis, the first column unless said
    by : a further column whose values have a curve each; the second size unless said
    quantity : of a design study, what is drawn: {"power", "width", "type_s", "type_m", "p_bf"}
    kind : "curves" with a band of Monte-Carlo error each, or a "grid" of numbers over x and by;
        curves where there are few unless said
    target : what is wanted, a dashed line: "goal", that of the design study, or 0.8 of power; a
        number, or None for none

    Returns
    -------
    figure, axes

    Raises
    ------
    OptionError
        If the table has no such columns, or several rows at one size.

    Examples
    --------
    >>> import pandas as pd, hierbayes as hb
    >>> table = pd.DataFrame({"subjects": [10, 20, 40], "power": [0.3, 0.55, 0.85],
    ...     "lower": [0.25, 0.5, 0.8], "upper": [0.35, 0.6, 0.9]})
    >>> figure, axes = hb.plot.power(table)
    >>> axes[0].get_xlabel()
    'subjects'
    """
    check_option("quantity", quantity, Quantity)
    if kind is not None:
        check_option("kind", kind, Kind)
    given = _given(table, quantity)
    sizes = given.sizes
    x = _known(sizes, "x", x) or next((s for s in sizes if given.table[s].nunique() > 1), sizes[0])
    left = [name for name in sizes if name != x and given.table[name].nunique() > 1]
    by = _known(sizes, "by", by) or next(iter(left), None)
    panels = _panels(given, [name for name in left if name != by])
    for rows in panels.values():
        if rows.duplicated([x, *([by] if by else [])]).any():
            raise OptionError(
                f"The table has several rows at the same {x}; take those of one design."
            )
    wanted = _target(target, given, quantity)
    n_by = 1 if by is None else given.table[by].nunique()
    if kind == "grid" and by is None:
        raise OptionError("kind='grid' needs two sizes that vary; here only one does.")
    if kind is None:
        kind = "curves" if n_by <= MOST else "grid"
    if kind == "curves" and n_by > MOST:
        raise OptionError(f"by={by!r} has {n_by} values; draw at most {MOST}, or kind='grid'.")
    with sheet(options, "power") as page:
        axes = _axes(page, len(panels))
        drawn = _Drawn(page=page, given=given, x=x, by=by, target=wanted)
        for ax, (title, rows) in zip(axes, panels.items(), strict=True):
            (drawn.grid if kind == "grid" else drawn.curves)(ax, rows)
            if title:
                ax.set_title(title)
            describe(ax, drawn.words(rows, title))
        drawn.legend(kind)
    return page.figure, axes


@record
class _Given:
    """A table with the columns that are drawn.

    Attributes
    ----------
    table : with ``value``, ``low`` and ``high`` beside the sizes, and ``panel`` its words
    sizes : names of its columns of sizes
    label : of the value
    goals : what is wanted, by quantity
    """

    table: pd.DataFrame
    sizes: list[str]
    label: str
    goals: dict[str, float]


def _given(table: Any, quantity: str) -> _Given:
    """Read a design study, or a table of power."""
    if not isinstance(table, DesignStudy):
        if quantity != "power":
            raise OptionError(f"quantity={quantity!r} is of a design study; a table has power.")
        sizes, limits = _columns(table)
        names = dict(zip(("power", *limits), ("value", "low", "high"), strict=True))
        rows = table.rename(columns=names).assign(panel="")
        return _Given(table=rows, sizes=sizes, label="power", goals={"power": 0.8})
    study, frame = table, table.table
    if quantity not in frame or frame[quantity].isna().all():
        raise OptionError(
            f"quantity={quantity!r} has no number in this study: Bayes factors are of "
            'estimator="posterior", errors of sign and magnitude of effects other than zero.'
        )
    value = frame[quantity].astype(float)
    if quantity == "power":
        low, high = frame["lower"], frame["upper"]
    else:
        reach = REACH * frame[f"{quantity}_mcse"].astype(float)
        low, high = value - reach, value + reach
    several = [name for name in ("parameter", "estimator") if frame[name].nunique() > 1]
    words = frame[several].astype(str).agg(", ".join, axis=1) if several else ""
    label = QUANTITIES[quantity].format(bf=study.bf)
    if quantity == "power" and study.is_assurance:
        label = "assurance"
    goals = {GOALS[goal][0]: wanted for goal, wanted in study.goals.items()}
    rows = frame.assign(value=value, low=low, high=high, panel=words)
    default = {"power": 0.8} if quantity == "power" else {}
    return _Given(
        table=rows[rows["value"].notna()],
        sizes=list(study.sizes),
        label=label,
        goals=default | goals,
    )


def _panels(given: _Given, left: list[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of each panel by its title: what varies beside the sizes that are drawn."""
    table = given.table
    keys = [name for name in ("panel", *left) if table[name].nunique() > 1]
    if not keys:
        return {"": table}
    found = {}
    for values, rows in table.groupby(keys, sort=False):
        known = dict(zip(keys, values, strict=True))
        words = [str(known.pop("panel"))] if "panel" in known else []
        found[", ".join([*words, *(f"{value} {name}" for name, value in known.items())])] = rows
    if len(found) > MOST_PANELS:
        raise OptionError(
            f"The designs differ in more than two sizes or coefficients: {len(found)} panels, at "
            f"most {MOST_PANELS} are drawn. Study fewer, or draw a table of some of the rows."
        )
    return found


def _target(target: Any, given: _Given, quantity: str) -> float | None:
    if target is None or target == "goal":
        return None if target is None else given.goals.get(quantity)
    is_share = quantity in ("power", "type_s", "p_bf")
    number = np.asarray(target)
    if (
        number.ndim
        or number.dtype.kind not in "iuf"
        or not 0 < number < (1 if is_share else np.inf)
    ):
        what = "a probability between 0 and 1" if is_share else "a number above 0"
        raise OptionError(f"target={shown(target)} must be {what}.")
    return float(number)


def _axes(page: Sheet, n: int) -> "np.ndarray[Any, Any]":
    if n == 1:
        return np.asarray([page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)])
    columns = page.columns(PANEL_WIDE_MM, n)
    return page.grid(n, columns=columns, panel_mm=PANEL_MM, sharex=True, sharey=True)


@record
class _Drawn:
    """What all panels share."""

    page: Sheet
    given: _Given
    x: str
    by: str | None
    target: float | None

    @property
    def looks(self) -> list[Look]:
        """The look of each curve."""
        if self.by is None:
            return [look("data")]
        values = dict.fromkeys(self.given.table[self.by])
        return series([self.page.label(level_label(value)) for value in values])

    @property
    def is_share(self) -> bool:
        """Whether what is drawn lies between 0 and 1."""
        return self.given.label not in (QUANTITIES["width"], QUANTITIES["type_m"])

    def curves(self, ax: "Axes", rows: pd.DataFrame) -> None:
        """Draw a curve of each value of ``by``."""
        if self.target is not None:
            ax.axhline(self.target, **reference())
        values = [None] if self.by is None else list(dict.fromkeys(self.given.table[self.by]))
        for value, own in zip(values, self.looks, strict=True):
            part = rows if self.by is None else rows[rows[self.by] == value]
            part = part.sort_values(self.x)
            place, middle, low, high = (
                part[name].to_numpy(dtype=np.float64) for name in (self.x, "value", "low", "high")
            )
            draw_curve(ax, Curve(x=place, y=middle, low=low, high=high, look=own), is_number=True)
            ax.plot(place, middle, **own.mark(5.0, zorder=6))
        if self.is_share:
            ax.set_ylim(0.0, 1.02)
        else:
            ax.set_ylim(bottom=0.0)
        ax.set_xlabel(self.page.label(self.x))
        ax.set_ylabel(self.page.label(self.given.label))

    def grid(self, ax: "Axes", rows: pd.DataFrame) -> None:
        """Draw numbers over both sizes, those that meet the goal on a darker ground."""
        assert self.by is not None
        table = rows.pivot_table(index=self.by, columns=self.x, values="value")
        values = table.to_numpy(dtype=np.float64)
        good = np.zeros(values.shape)
        if self.target is not None:
            above = values >= self.target if self.is_more_better else values <= self.target
            good = np.where(np.isnan(values), 0.0, above)
        for (i, j), value in np.ndenumerate(values):
            fill = now().band if good[i, j] else now().paper
            ax.fill([j - 0.5, j + 0.5, j + 0.5, j - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5],
                    facecolor=fill, edgecolor=now().light, linewidth=0.6 * now().lines)  # fmt: skip
            if np.isfinite(value):
                ax.text(j, i, f"{value:.2f}" if self.is_share else f"{value:.3g}", ha="center",
                        va="center", color=now().ink)  # fmt: skip
        ax.set_xticks(range(values.shape[1]), [level_label(v) for v in table.columns])
        ax.set_yticks(range(values.shape[0]), [level_label(v) for v in table.index])
        ax.set_xlim(-0.5, values.shape[1] - 0.5)
        ax.set_ylim(-0.5, values.shape[0] - 0.5)
        ax.set_xlabel(self.page.label(self.x))
        ax.set_ylabel(self.page.label(self.by))

    @property
    def is_more_better(self) -> bool:
        """Whether a goal is a lower end."""
        return self.is_share and self.given.label != QUANTITIES["type_s"]

    def legend(self, kind: str) -> None:
        """Say what the curves are, or what the grid shows."""
        if kind == "grid":
            met = "" if self.target is None else f" Shaded: {self._bound} {self.target:g}."
            self.page.note(f"Numbers are {self.given.label}.{met}")
        elif self.by is not None:
            words = [f"{self.page.label(self.by)}: {own.name}" for own in self.looks]
            self.page.legend([key(own, is_number=False) for own in self.looks], words)

    @property
    def _bound(self) -> str:
        return "at least" if self.is_more_better else "at most"

    def words(self, table: pd.DataFrame, title: str) -> str:
        """Say what a panel shows."""
        rows = table.sort_values(self.x)
        first, last = rows.iloc[0], rows.iloc[-1]
        name = self.given.label
        text = (
            f"{name[0].upper()}{name[1:]} over {self.x}{f' ({title})' if title else ''}: "
            f"{first['value']:.2f} at {first[self.x]:g}, {last['value']:.2f} at {last[self.x]:g}."
        )
        if self.target is None:
            return text
        met = rows["value"] >= self.target if self.is_more_better else rows["value"] <= self.target
        enough = rows[met]
        if enough.empty:
            return f"{text} {self.target:g} is reached nowhere."
        return f"{text} {self.target:g} is reached from {enough.iloc[0][self.x]:g} on."


def _columns(table: Any) -> tuple[list[str], tuple[str, str]]:
    """Return the columns of sizes, and those of limits."""
    if isinstance(table, pd.DataFrame) and "power" in table:
        for limits in LIMITS:
            if set(limits) <= set(table.columns):
                others = [str(name) for name in table.columns if name not in ("power", *limits)]
                sizes = [name for name in others if pd.api.types.is_numeric_dtype(table[name])]
                if sizes:
                    return sizes, limits
    raise OptionError(
        "plot.power draws a table with the sizes of designs, power, and lower and upper; it got "
        f"{shown(table)}."
    )


def _known(sizes: list[str], argument: str, name: str | None) -> str | None:
    if name is not None and name not in sizes:
        hint = did_you_mean(str(name), sizes)
        raise OptionError(f"{argument}={shown(name)} is no size of the table{hint}")
    return name
