"""Linear combinations of fixed effects, from the ways people write them to one matrix."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.naming.addresses import coefficient_addresses


class CoefficientFit(Protocol):
    """What the names of a fit's coefficients follow from."""

    @property
    def design(self) -> Design:
        """The arrays of the model."""

    @property
    def kept(self) -> IntArray:
        """Columns of X that were estimated."""


WAYS = (
    "L must be a coefficient's name or several, a dict of name -> number, a list of these, a data "
    "frame with coefficients as columns, or an array with one column a coefficient"
)
NAMES_SHOWN = 12


@record(kw_only=False)
class ContrastMatrix:
    """Rows L (c, p) over the coefficients that were estimated, and a label of each."""

    labels: tuple[str, ...]
    L: FloatArray


class _Columns:
    """The coefficients that rows are written in."""

    def __init__(self, fit: CoefficientFit) -> None:
        self.addresses = coefficient_addresses(fit.design, fit.kept.tolist())
        self.kept = self.addresses.labels
        self.printed = [given[0] for given in self.addresses.spellings]
        left = sorted(set(range(len(fit.design.coef_names))) - set(fit.kept.tolist()))
        self.dropped = coefficient_addresses(fit.design, left)

    def place(self, name: Any) -> int:
        is_text = isinstance(name, str)
        if is_text and not self.addresses.find(name) and self.dropped.find(name):
            raise OptionError(
                f"L names {name!r}, which was dropped: earlier columns determine it, so it has no "
                "estimate."
            )
        if not self.kept:
            raise OptionError(f"L names {name!r}, but this model has no fixed effects.")
        return self.addresses.place(name, "L names {text}; the coefficients are {listed}")

    def are_all(self, names: Iterable[Any]) -> bool:
        """Whether these are all coefficients in their order, as ``fixef()`` has them."""
        return list(names) == self.printed


def contrast_matrix(L: Any, fit: CoefficientFit) -> ContrastMatrix:
    """Read linear combinations of fixed effects.

    Parameters
    ----------
    L : name, dict, data frame, array or a list of names and dicts
        A name stands for that coefficient alone; coefficients that a dict or a data frame doesn't
        name count 0. A dict of dicts gives each row a label. Names are spelled in any of the ways
        of ``naming/addresses.py``.
    fit : LikelihoodFit or PosteriorFit

    Raises
    ------
    OptionError
        For a name that is no coefficient or could mean two, a number that is not finite, a row of
        zeros.
    """
    columns = _Columns(fit)
    if isinstance(L, str):
        pairs = [_named(L, columns)]
    elif isinstance(L, Mapping):
        pairs = _of_mapping(L, columns)
    elif isinstance(L, pd.DataFrame):
        pairs = _of_frame(L, columns)
    elif isinstance(L, pd.Series):
        pairs = _of_series(L, columns)
    elif isinstance(L, Sequence) and any(isinstance(row, str | Mapping) for row in L):
        pairs = [_one(row, columns) for row in L]
    else:
        pairs = _of_array(L, columns)
    rows = np.array([row for _, row in pairs], dtype=float).reshape(len(pairs), len(columns.kept))
    labels = tuple(label for label, _ in pairs)
    _check_rows(labels, rows)
    return ContrastMatrix(labels=labels, L=rows)


def checked_rhs(rhs: Any, count: int) -> FloatArray:
    """Return the right sides of ``count`` rows; OptionError if they aren't finite numbers."""
    try:
        values = np.asarray(rhs, dtype=float)
        fits = values.ndim == 0 or values.shape == (count,)
    except (TypeError, ValueError):
        fits = False
    if isinstance(rhs, bool) or not fits or not np.isfinite(values).all():
        rows = "row" if count == 1 else "rows"
        raise OptionError(
            f"rhs={rhs!r:.40} must be one number, or one a row of L, which has {count} {rows}."
        )
    return np.broadcast_to(values, (count,)).copy()


def _one(row: Any, columns: _Columns) -> tuple[str, FloatArray]:
    if isinstance(row, str):
        return _named(row, columns)
    if isinstance(row, Mapping):
        return _of_terms(row, columns)
    raise OptionError(f"{WAYS}; the list holds {row!r:.40}.")


def _named(name: str, columns: _Columns) -> tuple[str, FloatArray]:
    row = np.zeros(len(columns.kept))
    row[columns.place(name)] = 1.0
    return name, row


def _of_mapping(given: Mapping[Any, Any], columns: _Columns) -> list[tuple[str, FloatArray]]:
    nested = [isinstance(row, Mapping) for row in given.values()]
    if nested and all(nested):
        return [(str(label), _of_terms(row, columns)[1]) for label, row in given.items()]
    return [_of_terms(given, columns)]


def _of_terms(terms: Mapping[Any, Any], columns: _Columns) -> tuple[str, FloatArray]:
    row = np.zeros(len(columns.kept))
    before: dict[int, Any] = {}
    for name, weight in terms.items():
        place = columns.place(name)
        if place in before:
            raise OptionError(f"L: {before[place]!r} and {name!r} name the same coefficient.")
        before[place] = name
        if not isinstance(weight, Real) or isinstance(weight, bool):
            raise OptionError(f"L gives {name!r} the weight {weight!r}, which is not a number.")
        row[place] = float(weight)
    return _written(row, columns.kept), row


def _of_series(given: "pd.Series[Any]", columns: _Columns) -> list[tuple[str, FloatArray]]:
    if columns.are_all(given.index):
        return _of_array(given.to_numpy(), columns)
    if not given.index.is_unique:
        raise OptionError(f"L names {given.index[given.index.duplicated()][0]!r} twice.")
    return [_of_terms(given.to_dict(), columns)]


def _of_frame(frame: pd.DataFrame, columns: _Columns) -> list[tuple[str, FloatArray]]:
    L = np.zeros((len(frame), len(columns.kept)))
    in_order = columns.are_all(frame.columns)
    places = [j if in_order else columns.place(name) for j, name in enumerate(frame.columns)]
    for j, place in enumerate(places):
        L[:, place] = _numbers(frame.iloc[:, j])
    numbered = isinstance(frame.index, pd.RangeIndex)
    labels = [_written(row, columns.kept) for row in L] if numbered else map(str, frame.index)
    return list(zip(labels, L, strict=True))


def _of_array(given: Any, columns: _Columns) -> list[tuple[str, FloatArray]]:
    L = np.atleast_2d(_numbers(given))
    p = len(columns.kept)
    if L.ndim != 2 or L.shape[1] != p or L.dtype == bool:
        raise OptionError(
            f"L has the shape {np.shape(given)}, but there are {p} coefficients: "
            f"{_shown(columns.kept)}. Give one column for each, in this order."
        )
    return [(_written(row, columns.kept), row) for row in L]


def _numbers(given: Any) -> FloatArray:
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise OptionError(f"{WAYS}; it is {given!r:.60}.") from None


def _check_rows(labels: tuple[str, ...], rows: FloatArray) -> None:
    if not rows.shape[0]:
        raise OptionError(f"{WAYS}; it is empty.")
    for place, (label, row) in enumerate(zip(labels, rows, strict=True), start=1):
        if not np.isfinite(row).all():
            raise OptionError(f"Row {place} of L holds {row[~np.isfinite(row)][0]}.")
        if not row.any():
            raise OptionError(f"Row {place} of L ({label}) is all zeros; there is nothing to test.")


def _written(row: FloatArray, names: Sequence[str]) -> str:
    """Write a combination as a sum, for example ``recipeB - 0.5 recipeC``."""
    text = ""
    parts = [(name, weight) for name, weight in zip(names, row.tolist(), strict=True) if weight]
    for name, weight in sorted(parts, key=lambda part: part[1] < 0):  # those added first
        size = "" if abs(weight) == 1 else f"{abs(weight):.4g} "
        sign = " - " if weight < 0 else " + "
        if not text:
            sign = "-" if weight < 0 else ""
        text += f"{sign}{size}{name}"
    return text or "0"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in names[:NAMES_SHOWN]) + more
