"""How every number moves when the data are written in another way: units by name, one comparison.

``assert_equivariant`` reads each result of ``tests.properties.equivariant_results`` off two fits,
one of them of the same data written differently, takes the change back, and compares.

The unit of a parameter follows from its name: a coefficient of ``x`` is in units of y over units
of x, an sd or a standard error likewise, and a correlation has none. Only what is a *place* of the
response (a fitted value, a mean, the intercept) moves with its origin. Where the origin of x moves,
whatever belongs to the intercept is another quantity, and is left out.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import hierbayes as hb

INTERCEPT = "(Intercept)"


@dataclass(frozen=True, kw_only=True)
class Names:
    """The columns that have each role in a model."""

    x: str = "x"
    f: str = "f"
    g: str = "g"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model and its data."""

    formula: str
    data: Any = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    def model(self):
        return hb.Model(self.formula, self.data, **self.options)

    @property
    def knows_sigma(self):
        return "known_sd" in self.options


@dataclass(frozen=True, kw_only=True)
class Move:
    """The same data written in another way.

    Attributes
    ----------
    case : the model of the data so written
    y_shift, y_scale, x_shift, x_scale : y became y_shift + y_scale y, and x likewise
    rows : array or None, rows[i] is where row i of the first data is now
    level : the label of a level now -> what it is called in the first data
    keeps_draws : whether seeded draws belong to the same rows and levels as before
    """

    case: Case
    y_shift: float = 0.0
    y_scale: float = 1.0
    x_shift: float = 0.0
    x_scale: float = 1.0
    rows: Any = None
    level: Callable[[Any], str] = str
    keeps_draws: bool = True


@dataclass(frozen=True)
class Result:
    """A result as a frame, and what its cells are.

    Attributes
    ----------
    read : (fit, names) -> data frame
    names : where the parameters' names are: "index", "columns", "both" for a matrix, or a column
    cells : meanings of columns of this result, where they aren't the usual ones of ``CELLS``; one
        text for all columns that have no usual one
    order : "rows" where each line is a row of the data, "levels" where the index ends with a level,
        or the column that holds the level
    draws : whether seeded draws are behind it
    squares_origin : whether it is made of (co)variances of coefficients as they are printed: those
        of the intercept grow with the square of the origin of x, and cancel where it is far away
    """

    read: Callable[[Any, Names], Any]
    _: KW_ONLY
    names: str | None = None
    cells: Mapping[str, str] | str = field(default_factory=dict)
    order: str | None = None
    draws: bool = False
    squares_origin: bool = False


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A cell is in (unit of y)^y (unit of x)^x; a place moves with the origin of y as well.

    ``intercept`` says that it belongs to where x is 0, ``log`` that it is the log of what is in
    the unit of y.
    """

    y: int = 0
    x: int = 0
    place: bool = False
    intercept: bool = False
    log: bool = False


def parameter_unit(name, *, knows_sigma):
    """Give the unit of a parameter by the name that tables print, or of a product of two."""
    if " & " in name:
        one, two = (parameter_unit(part, knows_sigma=knows_sigma) for part in name.split(" & "))
        intercept = one.intercept or two.intercept
        return Unit(y=one.y + two.y, x=one.x + two.x, intercept=intercept)
    has_intercept = INTERCEPT in name
    if name.startswith("cor_"):
        return Unit(intercept=has_intercept)
    if name in ("sigma", "sd__Observation"):
        return Unit(y=int(not knows_sigma))
    if name == "sigma_(Intercept)":
        return Unit(log=True, intercept=True)
    if name.startswith("sigma_"):  # a coefficient of the log of the residual sd
        return Unit(x=-name.removeprefix("sigma_").lstrip("_").split(":").count("x"))
    coefficient = re.sub(r"^sd_+|\|.*$", "", name)
    return Unit(
        y=1,
        x=-coefficient.split(":").count("x"),
        place=name == INTERCEPT,
        intercept=has_intercept,
    )


def unit_of(meaning, name, *, knows_sigma):
    """Give the unit of a cell by its column's meaning and its parameter's name."""
    fixed = {
        "1": Unit(intercept=INTERCEPT in name),
        "y": Unit(y=1),
        "place": Unit(y=1, place=True),
        "slope": Unit(y=1, x=-1),
        "sigma": Unit(y=int(not knows_sigma)),
        "sigma^2": Unit(y=2 * int(not knows_sigma)),
    }
    if meaning in fixed:
        return fixed[meaning]
    unit = parameter_unit(name, knows_sigma=knows_sigma)
    if meaning == "spread":
        return Unit(y=unit.y, x=unit.x, intercept=unit.intercept)
    if meaning == "test":  # of a parameter against zero: of a place, it hangs on the origin
        return Unit(place=unit.place, intercept=unit.intercept)
    assert meaning == "value", f"no such meaning: {meaning}"
    return unit


def assert_equivariant(fit, moved, move, results, *, rtol):
    """Every result of ``moved`` is that of ``fit``, moved as its units say."""
    assert [found.code for found in moved.findings] == [found.code for found in fit.findings]
    wrong = {}
    for label, result in results.items():
        if result.draws and not move.keeps_draws:
            continue
        before = outcome(result, fit, Names())
        after = outcome(result, moved, move.case.names)
        lost = (
            np.finfo(float).eps * (move.x_shift / move.x_scale) ** 2
            if result.squares_origin
            else 0.0
        )
        found = differences(result, before, after, move, fit, rtol=rtol + lost)
        if found:
            wrong[label] = found
    assert not wrong, "\n".join(f"{label}: {found}" for label, found in wrong.items())


def outcome(result, fit, names):
    """Give the result as a frame, or the name of our error that it ended with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        try:
            return pd.DataFrame(result.read(fit, names))
        except hb.HierBayesError as error:
            return type(error).__name__


def differences(result, before, after, move, fit, *, rtol):
    """Say where two outcomes differ more than they may; empty where they don't."""
    if isinstance(before, str) or isinstance(after, str):
        same = isinstance(before, str) and isinstance(after, str) and before == after
        return "" if same else f"{_brief(before)}, but {_brief(after)} after"
    after = aligned(result, before, after, move)
    if before.shape != after.shape:
        return f"shape {before.shape}, but {after.shape} after"
    found = []
    for position, column in enumerate(before.columns if len(before) else ()):
        if not pd.api.types.is_numeric_dtype(before.dtypes.iloc[position]):
            continue
        expected = before.iloc[:, position].to_numpy(float)
        given = after.iloc[:, position].to_numpy(float, na_value=np.nan)
        back, kept, slack = taken_back(result, before, column, given, move, fit)
        with np.errstate(invalid="ignore"):  # inf against inf
            error = np.abs(back - expected)
        close = error <= rtol * (np.abs(expected) + slack)
        equal = close | (back == expected) | (np.isnan(back) & np.isnan(expected))
        if (kept & ~equal).any():
            at = np.flatnonzero(kept & ~equal)[0]
            found.append(
                f"{column} at {before.index[at]}: {expected[at]:.10g}, {back[at]:.10g} after"
            )
    return "; ".join(found)


def taken_back(result, before, column, values, move, fit):
    """Give moved values in the first units, which of them compare, and their absolute slack.

    The data are of order one in their first units, so that is the size of an absolute error: a
    value that cancels to nearly zero is known no better than what it came from. What has no unit
    (a p-value, degrees of freedom) is known relative to itself.
    """
    meaning = meaning_of(result, column)
    back, kept, slack = values.copy(), np.ones(values.size, bool), np.ones(values.size)
    if meaning.startswith("log"):
        return values - log_moved(meaning, str(column), move, fit), kept, slack
    for line, name in enumerate(names_of(result, before, column)):
        unit = unit_of(meaning, name, knows_sigma=move.case.knows_sigma)
        if unit.place:
            back[line] -= move.y_shift
        if unit.log and meaning == "value":
            back[line] -= np.log(move.y_scale)
        back[line] /= move.y_scale**unit.y * move.x_scale**unit.x
        if meaning == "test":
            kept[line] = not (unit.place and move.y_shift)
            slack[line] = 0.0 if column == "p_value" else 1.0
        kept[line] &= not (unit.intercept and move.x_shift)
    return back, kept, slack


def meaning_of(result, column):
    """Give what a column is: the result's own word, the usual one, the result's general one."""
    own = {} if isinstance(result.cells, str) else result.cells
    if str(column) in own:
        return own[str(column)]
    if str(column) in CELLS and not (
        isinstance(result.cells, str) and result.names == "columns" and str(column) == "sigma"
    ):
        return CELLS[str(column)]
    assert isinstance(result.cells, str), f"say what {column!r} is, in equivariant_results"
    return result.cells


def names_of(result, before, column):
    """Give the parameter's name of each line of a column."""
    if result.names == "index":
        return [str(name) for name in before.index]
    if result.names == "columns":
        return [str(column)] * len(before)
    if result.names == "both":
        return [f"{name} & {column}" for name in before.index]
    if result.names is None:
        return [""] * len(before)
    return [str(name) for name in before[result.names]]


def log_moved(meaning, column, move, fit):
    """Give what a log-likelihood, or what is made of it, moves by.

    The density of c y is that of y over c^n. REML integrates the coefficients out, which gives p
    of the n back, and the coefficient of c x is that of x over c.
    """
    if meaning in ("log of a row", "log of all rows"):  # with priors that scale with the data
        return -np.log(move.y_scale) * (1 if meaning == "log of a row" else fit.nobs)
    restricted = fit.method == "reml" and meaning == "log"
    n_y = fit.nobs - (len(fit.coef_names) if restricted else 0)
    n_x = sum("x" in name.split(":") for name in fit.coef_names) if restricted else 0
    criterion = 2 * (n_y * np.log(move.y_scale) + n_x * np.log(move.x_scale))
    return criterion * (-0.5 if column == "loglik" else 1.0)


def aligned(result, before, after, move):
    """Give the lines of the second result in the order of the first."""
    if result.order == "rows" and move.rows is not None:
        return after.iloc[move.rows[: len(after)]] if len(after) == len(move.rows) else after
    if result.order == "levels":
        return after.iloc[_order(_labels_of(before), _labels_of(after, move.level))]
    if result.order is not None and result.order != "rows":
        own = [*zip(before["group"], before[result.order].map(_text), strict=True)]
        other = zip(after["group"], after[result.order].map(move.level), strict=True)
        return after.iloc[_order(own, [(group, label) for group, label in other])]
    return after


def _labels_of(table, back=None):
    labels = [label[-1] if isinstance(label, tuple) else label for label in table.index]
    groups = [label[0] if isinstance(label, tuple) else "" for label in table.index]
    return [(group, (back or _text)(label)) for group, label in zip(groups, labels, strict=True)]


def _text(label):
    return str(label)


def _order(wanted, given):
    """Where each wanted label is among the given ones, those that occur twice in their order."""
    places: dict[Any, list[int]] = {}
    groups = {name: number for number, name in enumerate(dict.fromkeys(g for g, _ in given))}
    for place, (group, label) in enumerate(given):
        places.setdefault((groups[group], label), []).append(place)
    own = {name: number for number, name in enumerate(dict.fromkeys(g for g, _ in wanted))}
    return [places[own[group], label].pop(0) for group, label in wanted]


def _brief(value):
    return value if isinstance(value, str) else "a table"


# What the columns of the tables are, by their names. "value" is in the unit of the line's parameter
# and has its place; "spread" is in its unit and has none; "test" asks whether the parameter is 0.
CELLS = {
    **dict.fromkeys(("estimate", "lower", "upper", "conf_low", "conf_high"), "value"),
    **dict.fromkeys(("std_error", "se"), "spread"),
    **dict.fromkeys(("statistic", "p_value"), "test"),
    **dict.fromkeys(("df", "num_df", "den_df", "npar", "n", "nobs", "df_residual"), "1"),
    **dict.fromkeys(("f_value", "chisq", "lrt", "p_mixture", "p_exact", "cooks_distance"), "1"),
    **dict.fromkeys(("sum_sq", "mean_sq"), "sigma^2"),
    **dict.fromkeys(("loglik", "aic", "bic", "criterion", "deviance"), "log"),
    **dict.fromkeys(("fitted", "prediction", "fixed"), "place"),
    "residual": "y",
    "sigma": "sigma",
}
