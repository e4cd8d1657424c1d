"""The data a model uses, as one table of text, and their digest.

Everybody who has the columns can make the digest again: SHA-256 of the table as CSV in UTF-8, with
a line of names, lines ended by a line feed, numbers with the fewest digits that give them back (as
Python writes them; a column of whole numbers without a point), truth values as 1 and 0, categories
by their labels, and nothing where a value is missing.
"""

import hashlib

import numpy as np
import pandas as pd

from hierbayes.design.values import LARGEST_EXACT_INTEGER, Factor, Logical
from hierbayes.formula.expressions import names_in
from hierbayes.formula.parser import columns_in, parse_expression
from hierbayes.specification.specification import Specification

ARRAY_ARGUMENTS = ("weights", "offset", "known_sd")
GIVEN = "given_"  # begins the names of columns that were given as arrays


def used_columns(spec: Specification) -> list[str]:
    """Columns of formula and arguments, in the order of the data."""
    residual = spec.design.residual
    formulas = (spec.formula, *spec.design.formulas.values())
    formulas += () if residual is None else (residual.formula,)
    names = dict.fromkeys(name for formula in formulas for name in columns_in(formula))
    for argument in ARRAY_ARGUMENTS:
        given = getattr(spec.arguments, argument)
        if isinstance(given, str):
            known = given in spec.table.names
            names.update(dict.fromkeys([given] if known else names_in(parse_expression(given))))
    place = {name: i for i, name in enumerate(spec.table.names)}
    # Of two-level names the first level alone names a column too, though it isn't in the list.
    return sorted(names, key=lambda name: place.get(name, len(place)))


def used_frame(spec: Specification) -> pd.DataFrame:
    """Return the columns a model uses, all rows; categories are texts, arrays stand by names."""
    spec.design.need_rows("the data")
    columns = {name: _values(spec, name) for name in used_columns(spec)}
    for argument in ARRAY_ARGUMENTS:
        given = getattr(spec.arguments, argument)
        if given is not None and not isinstance(given, str):
            columns[GIVEN + argument] = np.broadcast_to(
                np.asarray(given, dtype=np.float64), spec.table.n_rows
            )
    return pd.DataFrame(columns)


def used_text(spec: Specification) -> bytes:
    """Return the data a model uses, as CSV."""
    return used_frame(spec).to_csv(index=False, lineterminator="\n").encode()


def data_digest(spec: Specification) -> str:
    """SHA-256 of the data a model uses, in hexadecimal digits."""
    return hashlib.sha256(used_text(spec)).hexdigest()


def _values(spec: Specification, name: str) -> "np.typing.NDArray[np.generic] | list[str | None]":
    column = spec.table.column(name)
    if isinstance(column, Factor):
        labels = [str(level) for level in column.levels]
        return [labels[code] if code >= 0 else None for code in column.codes]
    values = column.values if isinstance(column, Logical) else np.asarray(column)
    whole = values.dtype.kind == "f" and np.isfinite(values).all()
    if (
        whole
        and (values == np.trunc(values)).all()
        and (np.abs(values) <= LARGEST_EXACT_INTEGER).all()
    ):
        return values.astype(np.int64)  # 9, not 9.0: however the data were read
    return values
