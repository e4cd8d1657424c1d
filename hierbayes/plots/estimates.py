"""Tables of estimates as pictures: means along their variables, contrasts below each other."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.formula.parser import parse_formula
from hierbayes.marginal_means.effect_grid import EffectGrid, EffectVariable
from hierbayes.marginal_means.effect_means import EffectMeans
from hierbayes.options import check_flag
from hierbayes.plots.alt_text import describe
from hierbayes.plots.forest import (
    AROUND_MM,
    Rows,
    broken_names,
    draw_forest,
    forest_mm,
    row_mm,
)
from hierbayes.plots.mean_panels import (
    ONE_MM,
    ONE_NARROW_MM,
    Named,
    Shown,
    draw_means,
    mean_axes,
    panel_plan,
    panel_size,
    words_of,
)
from hierbayes.plots.palette import Look, look
from hierbayes.plots.picture import picture
from hierbayes.plots.response_names import counted_name
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.prediction.reference_grid import level_label
from hierbayes.results.effect_table import EffectTable
from hierbayes.results.emmeans_table import EmmeansTable, MarginalTests
from hierbayes.results.hypothesis import Hypothesis
from hierbayes.results.marginal_quantities import EXPONENTIAL
from hierbayes.results.threshold_table import ThresholdTable
from hierbayes.results.variance_explained import R2, Icc
from hierbayes.wording import did_you_mean, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

BESIDE, HALF_BESIDE = 0.42, 0.2  # of the width, for names of rows; where means stand beside them
LIMITS = (("conf_low", "conf_high"), ("lower", "upper"))
AS_NUMBER = 3  # values of a number that lie along an axis
LINK = re.compile(r"on the scale of the (\w+) link")


@picture
def estimates(
    table: EmmeansTable | MarginalTests | EffectTable | Hypothesis | R2 | Icc | pd.DataFrame,
    x: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    contrasts: bool = True,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw a table of estimates with their intervals.

    Means (``hb.emmeans``) and predictions stand along their first variable, the others told apart
    by colour and panels; their contrasts beside or below them. Comparisons, slopes and any other
    table of ours with intervals (``confint``, ``tidy``) have a row each, below each other, unless
    ``x`` is said.

    Parameters
    ----------
    table : what ``hb.emmeans``, ``hb.predictions``, ``hb.comparisons``, ``hb.slopes``, ``hb.r2``,
        ``hb.icc`` or ``posterior.hypothesis`` returns, or a frame with columns ``estimate``,
        ``conf_low`` and ``conf_high`` (``lower``, ``upper``)
    x : a column of the table that lies along the axis
    by : columns whose values are told apart
    contrasts : whether to draw the contrasts of a table of means, where there are any

    Returns
    -------
    figure, axes
        Panels of means first, the contrasts last.

    Raises
    ------
    OptionError
        If the table has no estimates with limits, or no such column.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    >>> figure, axes = hb.plot.estimates(hb.emmeans(fit, "Machine", contrasts="pairwise"))
    >>> [label.get_text() for label in axes[1].get_yticklabels()]
    ['A - B', 'A - C', 'B - C']
    """
    frame, variables = _read(table)
    check_flag("contrasts", contrasts, "True or False")
    x, by = _chosen(frame, variables, x, by, listed=not _is_of_means(table))
    with sheet(options, "estimates") as page:
        if x is None:
            axes, words = _listed(page, table, frame, variables)
        else:
            axes, words = _means(page, table, frame, x, by, contrasts=contrasts)
        describe(page.figure, words)
    return page.figure, axes


def _read(table: Any) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the estimates with limits ``conf_low conf_high``, and the columns that name rows."""
    if isinstance(table, EmmeansTable):
        return pd.DataFrame(table.means), (*table.specs, *table.by)
    if isinstance(table, EffectTable):
        return pd.DataFrame(table.table), table.labels
    if isinstance(table, MarginalTests):
        return _with_both_ends(pd.DataFrame(table.table)), table.labels
    if isinstance(table, Hypothesis | R2 | Icc):
        table = table.to_frame()
    if not isinstance(table, pd.DataFrame):
        raise OptionError(
            "plot.estimates takes what hb.emmeans, hb.predictions, hb.comparisons or hb.slopes "
            f"returns, or a table of estimates with limits; it got {shown(table)}."
        )
    table = table.rename(columns={"prediction": "estimate"})
    limits = next((pair for pair in LIMITS if set(pair) <= set(table.columns)), None)
    if limits is None or "estimate" not in table.columns:
        raise OptionError(
            "plot.estimates draws a table with columns estimate, conf_low and conf_high (or "
            f"lower, upper); this one has {', '.join(map(str, table.columns[:12]))}."
        )
    if not table["estimate"].notna().any():
        raise OptionError("plot.estimates draws estimates, and this table has none.")
    frame = pd.DataFrame(table).rename(columns=dict(zip(limits, LIMITS[0], strict=True)))
    names = [str(name) for name in frame.columns[: list(frame.columns).index("estimate")]]
    if isinstance(frame.index, pd.MultiIndex):
        keys = [str(name or f"row {i + 1}") for i, name in enumerate(frame.index.names)]
        frame, names = frame.set_axis(frame.index.set_names(keys)).reset_index(), [*keys, *names]
    elif not isinstance(frame.index, pd.RangeIndex):
        own = str(frame.index.name or "row")
        frame = frame.rename_axis(index=own).reset_index()
        names = [own, *names]
    if not names:
        frame = frame.rename_axis(index="row").reset_index()
        names = ["row"]
    return frame, tuple(names)


def _with_both_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of marginal means whose intervals can be drawn."""
    if "conf_low" not in frame:
        raise OptionError(
            "plot.estimates draws intervals, and this is a table of tests; take that of "
            ".contrast(), .pairs() or .confint()."
        )
    ends = frame[["conf_low", "conf_high"]].to_numpy(dtype=np.float64)
    if np.isinf(ends).any():
        raise OptionError("plot.estimates draws intervals with two ends; these are one-sided.")
    return frame


def _is_of_means(table: Any) -> bool:
    """Whether the rows of a table are means along variables."""
    return isinstance(table, EmmeansTable) or (
        isinstance(table, EffectTable) and table.kind == "predictions" and bool(table.labels)
    )


def _chosen(
    frame: pd.DataFrame,
    variables: tuple[str, ...],
    x: Any,
    by: Any,
    *,
    listed: bool,
) -> tuple[str | None, tuple[str, ...]]:
    """Return what lies along x, None for rows below each other, and what is told apart."""
    if x is None and by is None and listed:
        return None, ()
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for argument, name in (("x", x), *(("by", name) for name in names)):
        if name is not None and name not in variables:
            hint = did_you_mean(str(name), variables)
            raise OptionError(f"{argument}={shown(name)} is no variable of the table{hint}")
    left = [name for name in variables if name not in names]
    if x is None:
        if not left:
            raise OptionError("by= names every variable of the table: leave one for x.")
        numbers = [name for name in left if _variable(frame, name, along=True).is_number]
        x = next(iter([*numbers, *left]))
    apart = names if by is not None else tuple(name for name in variables if name != x)
    apart = tuple(name for name in apart if frame[name].nunique() > 1)
    if frame.duplicated([x, *apart]).any():
        missing = [name for name in variables if name not in (x, *apart)]
        raise OptionError(
            f"The table has several rows at the same {x}; tell them apart by {missing[0]!r}, too."
        )
    return x, apart


# Means ------------------------------------------------------------------------------------------


def _variable(frame: pd.DataFrame, name: str, *, along: bool) -> EffectVariable:
    column = frame[name]
    values = tuple(dict.fromkeys(column.tolist()))
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    is_number = bool(along and numeric and len(values) >= AS_NUMBER)
    if is_number:
        values = tuple(sorted(values))
    labels = tuple(level_label(value) for value in values)
    return EffectVariable(name=name, values=values, labels=labels, is_number=is_number)


def means_of(frame: pd.DataFrame, x: str, by: tuple[str, ...], **known: Any) -> EffectMeans:
    """Return a table of estimates as means along x.

    Parameters
    ----------
    frame : the table, with ``estimate conf_low conf_high``
    x, by : columns of it
    **known : ``response``, ``level``, ``is_posterior`` and ``notes`` of the means
    """
    along = _variable(frame, x, along=True)
    apart = tuple(_variable(frame, name, along=False) for name in by)
    ranges = [range(len(one.values)) for one in reversed(apart)]
    curves = tuple(tuple(reversed(codes)) for codes in product(*ranges))
    place = {codes: i for i, codes in enumerate(curves)}
    codes = [one.codes(frame[one.name]).tolist() for one in apart]
    rows = zip(*codes, strict=True) if codes else [()] * len(frame)
    numbers = {name: frame[name].to_numpy(float) for name in ("estimate", "conf_low", "conf_high")}
    means = pd.DataFrame(
        {"curve": [place[tuple(row)] for row in rows], "x": along.places(frame[x]), **numbers}
    )
    grid = EffectGrid(x=along, by=apart, at={}, held=(), averaged=(), interacting=())
    return EffectMeans(
        shown=grid,
        curves=curves,
        apart=apart,
        means=means.sort_values(["curve", "x"], kind="stable", ignore_index=True),
        scale="response",
        **known,
    )


def _means(
    page: Sheet, table: Any, frame: pd.DataFrame, x: str, by: tuple[str, ...], *, contrasts: bool
) -> tuple[Any, str]:
    means = means_of(
        frame,
        x,
        by,
        response=_response(table),
        level=getattr(table, "level", np.nan),
        is_posterior=_is_posterior(table),
        notes=getattr(table, "notes", ()),
    )
    one = Shown(means=means, look=_look(table))
    plan = panel_plan(means.apart)
    rows = _contrast_rows(page, table) if contrasts else None
    names: tuple[str, ...] = ()
    if rows is None:
        axes = mean_axes(page, len(plan.panels))
    else:
        is_beside = len(plan.panels) == 1 and not page.is_narrow
        room = (HALF_BESIDE if is_beside else BESIDE) * page.width_mm
        names = broken_names(rows.names, room_mm=room)
        *axes, below = _with_contrasts(page, len(plan.panels), names)
    named = Named(x=x, y=_response(table), reference=_reference(table) if x else None)
    draw_means(page, [one], named, axes, plan)
    words = words_of([one])
    if rows is not None:
        order = page.ordered(rows.names, rows.estimate, usual="data")
        own = look("posterior") if means.is_posterior else _look(table)
        draw_forest(below, rows, own, order, names)
        below.set_xlabel(page.label("contrast", _contrast_label(table)))
        words = f"{words} Contrasts: {_rows_in_words(rows)}"
        axes = [*axes, below]
    page.note(_notes(table))
    return np.asarray(axes), words


def _with_contrasts(page: Sheet, n: int, names: Sequence[str]) -> list[Any]:
    """Return axes for n panels of means, and those of the contrasts beside or below them."""
    tall = forest_mm(names, narrow=page.is_narrow)
    if n == 1 and not page.is_narrow:
        figure = page.canvas(ONE_MM)
        left, right = figure.subplots(1, 2)
        page.stack([(left, max(ONE_MM, tall))])
        return [left, right]
    panel, columns = (ONE_NARROW_MM, 1) if n == 1 else panel_size(page, n)
    rows = -(-n // columns)
    figure = page.canvas(rows * panel + tall)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[panel] * rows + [tall])
    axes: list[Any] = []
    for i in range(n):
        shared = {"sharex": axes[0], "sharey": axes[0]} if axes else {}
        axes.append(figure.add_subplot(grid[i // columns, i % columns], **shared))
        axes[-1].tick_params(labelbottom=i + columns >= n, labelleft=i % columns == 0)
    axes.append(figure.add_subplot(grid[rows, :]))
    page.stack([*((ax, panel) for ax in axes[:-1:columns]), (axes[-1], tall)])
    return axes


# Rows -------------------------------------------------------------------------------------------


def _listed(
    page: Sheet, table: Any, frame: pd.DataFrame, variables: tuple[str, ...]
) -> tuple[Any, str]:
    varying = [name for name in variables if frame[name].nunique() > 1] or list(variables[:1])
    if not varying:
        frame, varying = frame.assign(**{"(all)": "all"}), ["(all)"]
    rows = _rows(page, frame, varying, table)
    order = page.ordered(rows.names, rows.estimate, usual="data")
    names = broken_names(rows.names, room_mm=BESIDE * page.width_mm)
    most = page.rows_that_fit(row_mm(names, narrow=page.is_narrow), AROUND_MM)
    if len(order) > most:
        page.note(f"{most} of {len(order)} rows, the first in this order.")
        order = order[:most]
    ax = page.axes(forest_mm([names[i] for i in order], narrow=page.is_narrow))
    draw_forest(ax, rows, _look(table), order, names)
    ax.set_xlabel(page.label("estimate", _estimate_label(table)))
    page.note(_notes(table))
    return np.asarray([ax]), f"Estimates: {_rows_in_words(rows)}"


def _rows(page: Sheet, frame: pd.DataFrame, names: list[str], table: Any) -> Rows:
    columns = [[page.label(_text(value)) for value in frame[name]] for name in names]
    words = [", ".join(filter(None, row)) for row in zip(*columns, strict=True)]
    is_ratio = _is_ratio(table)
    return Rows(
        names=tuple(words),
        estimate=_numbers(frame, "estimate"),
        low=_numbers(frame, "conf_low"),
        high=_numbers(frame, "conf_high"),
        reference=_reference(table),
        is_ratio=is_ratio,
    )


def _contrast_rows(page: Sheet, table: Any) -> Rows | None:
    found = table.contrasts if isinstance(table, EmmeansTable) else None
    if found is None or found.empty:
        return None
    names = ["contrast", *(name for name in table.by if name in found)]
    columns = [[page.label(_text(value)) for value in found[name]] for name in names]
    is_ratio = "atios" in table.contrast_words.split(".")[0]
    return Rows(
        names=tuple(", ".join(row) for row in zip(*columns, strict=True)),
        estimate=_numbers(found, "estimate"),
        low=_numbers(found, "conf_low"),
        high=_numbers(found, "conf_high"),
        reference=1.0 if is_ratio else 0.0,
        is_ratio=is_ratio,
    )


def _numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    return frame[name].to_numpy(dtype=np.float64)


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA else level_label(value)


def _rows_in_words(rows: Rows) -> str:
    found = [
        f"{name} {estimate:.4g}" + (f" ({low:.4g} to {high:.4g})" if np.isfinite(low) else "")
        for name, estimate, low, high in zip(
            rows.names[:12], rows.estimate, rows.low, rows.high, strict=False
        )
    ]
    more = f"; {len(rows.names) - 12} more" if len(rows.names) > 12 else ""
    return f"{'; '.join(found)}{more}."


# Words ------------------------------------------------------------------------------------------


def _is_posterior(table: Any) -> bool:
    names = ("mean_words", "words", "interval_words")
    words = next((getattr(table, name) for name in names if hasattr(table, name)), "")
    told = getattr(table, "attrs", {})
    kind = told.get("interval", told.get("method", ""))  # of tidy, of confint
    return "credible" in words or isinstance(table, Hypothesis) or kind in ("credible", "posterior")


def _look(table: Any) -> Look:
    own = look("posterior" if _is_posterior(table) else "data")
    return own if _is_posterior(table) else replace(own, name="estimate")


def _is_ratio(table: Any) -> bool:
    if isinstance(table, MarginalTests):
        return table.marginals.carried is EXPONENTIAL
    return isinstance(table, EffectTable) and "ratio" in table.title


def _reference(table: Any) -> float | None:
    """Where nothing is: 0 of differences and slopes, 1 of ratios."""
    if isinstance(table, Hypothesis):
        return 0.0
    if isinstance(table, EffectTable) and table.kind != "predictions":
        return 1.0 if _is_ratio(table) else 0.0
    if isinstance(table, MarginalTests) and table.title in ("Contrasts", "Effect sizes"):
        return 1.0 if _is_ratio(table) else 0.0
    return None


def _response(table: Any) -> str:
    """Name what the means are of."""
    if isinstance(table, EffectTable):
        return _estimate_label(table)
    if not isinstance(table, EmmeansTable):
        return "estimate"
    name = counted_name(parse_formula(table.formula_text))
    link = LINK.search(table.mean_words)
    return f"marginal mean of {name}" + (f" ({link[1]} scale)" if link else "")


def _estimate_label(table: Any) -> str:
    if isinstance(table, MarginalTests):
        exp = table.marginals.exp_of_difference if _is_ratio(table) else None
        names = {"Contrasts": "difference", "Effect sizes": "effect size"}
        return exp.replace("_", " ") if exp else names.get(table.title, "estimate")
    if isinstance(table, Hypothesis):
        return "left minus right side"
    if isinstance(table, R2 | Icc):
        return "R²" if isinstance(table, R2) else "intraclass correlation"
    if isinstance(table, ThresholdTable):
        return str(table.attrs.get("words", "estimate"))
    if not isinstance(table, EffectTable):
        return "estimate"
    what = f"{table.title[0].lower()}{table.title[1:]}"
    singular = what[:-1] if what.endswith("s") else what
    formula = parse_formula(table.formula_text)
    counted = counted_name(formula)
    return f"{singular}, {'share of ' * (counted != formula.response_label)}{counted}"


def _contrast_label(table: EmmeansTable) -> str:
    words = table.contrast_words.split(".")[0].split(",")[0].lower()
    return (
        "odds ratio" if "odds ratios" in words else "ratio" if "ratios" in words else "difference"
    )


def _notes(table: Any) -> str:
    if isinstance(table, EmmeansTable):
        parts = [*table.notes, table.mean_words]
        if table.contrasts is not None:
            parts.append(f"Contrasts: {table.contrast_words}")
        return " ".join(parts)
    if isinstance(table, MarginalTests):
        return " ".join([*table.notes, table.words])
    if isinstance(table, EffectTable):
        over = f" Over: {table.over}." if table.over else ""
        return f"For: {table.target}.{over} {' '.join([*table.notes, table.words])}"
    if isinstance(table, Hypothesis):
        return f"Probability {table.probability:.4g}; {100 * table.level:g} % credible interval."
    if isinstance(table, R2 | Icc):
        return table.interval_words
    return ""
