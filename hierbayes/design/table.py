"""Any data frame as a table of typed columns, read one column at a time and never changed.

pandas is read directly. A dict of arrays, a path and every frame narwhals knows (polars, pyarrow,
DuckDB ...) end in the same kinds of values; narwhals is imported only for the last.
"""

import zlib
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.design.alignment import aligned
from hierbayes.design.columns import arrow_dictionary, typed
from hierbayes.design.text_file import read_text_table, read_workbook, separator_hint
from hierbayes.design.values import LARGEST_EXACT_INTEGER, Factor, Vector
from hierbayes.errors import DataError
from hierbayes.files import readable_file, shown
from hierbayes.wording import did_you_mean

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
BOOK_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")


class MissingColumnError(DataError):
    """A column isn't there; ``advice`` continues the sentence (``"; did you mean ...?"``)."""

    def __init__(self, name: str, advice: str, message: str | None = None) -> None:
        super().__init__(message or f"The data have no column {name!r}{advice}")
        self.column = name
        self.advice = advice


class Table:
    """Columns of a data frame by name, each converted once, when first asked for.

    Attributes
    ----------
    n_rows : number of rows
    index : their labels
    counts : array of int, shape (n_rows,): how many equal rows of the data each row is, in a table
        of cells; None where each is one
    """

    counts: IntArray | None = None
    made: frozenset[str] = frozenset()  # columns that are not of the data

    def __init__(self, n_rows: int, index: pd.Index) -> None:
        self.n_rows = n_rows
        self.index = index
        self._columns: dict[str, Vector] = {}
        self.source: str | None = None  # the file it was read from, as it was given

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        raise NotImplementedError

    def column(self, name: str) -> Vector:
        """Return a column as numbers, Logical or Factor; raise DataError when it can't be."""
        known = self._columns.get(name)
        if known is None:
            known = self._columns[name] = self._read(name)
        return known

    def with_made(self, name: str, values: FloatArray) -> Self:
        """Return a table with one column more, which is not of the data, (n_rows,)."""
        other = copy(self)
        other._columns = self._columns | {name: values}
        other.made = self.made | {name}
        return other

    def of_data(self) -> Self:
        """Return the table without columns that are not of the data."""
        other = copy(self)
        other._columns = {k: v for k, v in self._columns.items() if k not in self.made}
        other.made = frozenset()
        return other

    def caution(self, name: str, sentence: str) -> None:
        """Say of a column of categories why it is no predictor as it stands."""
        column = self.column(name)
        if not isinstance(column, Factor):
            raise ValueError(f"column {name!r} has no categories")
        self._columns[name] = replace(column, caution=sentence)

    def rank(self, name: str) -> None:
        """Say of a column of categories that they were declared in their order."""
        column = self.column(name)
        if not isinstance(column, Factor):
            raise ValueError(f"column {name!r} has no categories")
        self._columns[name] = replace(column, ranked=True)

    def raw(self, name: str) -> Any:
        """Return a column as the frame holds it."""
        raise NotImplementedError

    def _read(self, name: str) -> Vector:
        raw = self.raw(name)
        try:
            value = typed(raw, name)
        except (TypeError, ValueError, ArithmeticError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"Column {name!r} can't be read as numbers or categories: {error}"
            ) from error
        return value

    def missing_column(self, name: str) -> MissingColumnError:
        """Return the error for a name that isn't a column."""
        advice = separator_hint(self.names) or did_you_mean(name, self.names)
        return MissingColumnError(name, advice)


class PandasTable(Table):
    """A pandas data frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__(len(frame), frame.index)
        self.frame = frame

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        return [str(name) for name in self.frame.columns]

    def raw(self, name: str) -> Any:
        """Return the array behind the column."""
        array = self._array(name)
        if array is not None:
            return array
        try:
            series = self.frame[name]
        except KeyError:
            series = self._unusual(name)
        if isinstance(series, pd.DataFrame):
            raise DataError(
                f"The data have {series.shape[1]} columns named {name!r}; rename all but one, "
                "so that the formula says which is meant."
            )
        return series.array

    def _array(self, name: str) -> Any:
        """Return the array of a column of this one name without the Series that pandas makes.

        That takes ten times as long, which counts in fits of a millisecond. None where pandas does
        not offer it, or the name is not that of one column.
        """
        columns = self.frame.columns
        array_at = getattr(self.frame, "_get_column_array", None)
        if array_at is None or not columns.is_unique or name not in columns:
            return None
        place = columns.get_loc(name)
        return array_at(place) if isinstance(place, int) else None  # names of several levels

    def _unusual(self, name: str) -> pd.Series:
        for column in self.frame.columns:  # a column named by a number: `1`
            if str(column) == name:
                return self.frame[column]
        if name in self.frame.index.names:
            raise MissingColumnError(
                name, f"; {name!r} is a name of the index: use data.reset_index()."
            )
        raise self.missing_column(name)


class ColumnsTable(Table):
    """Columns whose values are read already."""

    def __init__(self, columns: Mapping[str, Any], n_rows: int) -> None:
        super().__init__(n_rows, pd.RangeIndex(n_rows))
        self._columns = dict(columns)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    def raw(self, name: str) -> Any:
        """Refuse a column that is not there."""
        raise self.missing_column(name)


class DictTable(Table):
    """A mapping from names to arrays; single values are repeated.

    pandas Series are matched by their labels, which are those of the rows.
    """

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        series = [values for values in mapping.values() if isinstance(values, pd.Series)]
        index = series[0].index if series else None
        if index is not None:
            mapping = {
                name: aligned(f"column {str(name)!r}", values, index)
                for name, values in mapping.items()
            }
        arrays = {str(name): _as_array(values, str(name)) for name, values in mapping.items()}
        lengths = {name: len(array) for name, array in arrays.items() if np.ndim(array)}
        n_rows = next(iter(lengths.values()), 1 if arrays else 0)
        for name, length in lengths.items():
            if length != n_rows:
                first = next(iter(lengths))
                raise DataError(
                    f"The columns of the data differ in length: {first!r} has {n_rows} values, "
                    f"{name!r} has {length}."
                )
        super().__init__(n_rows, pd.RangeIndex(n_rows) if index is None else index)
        self.arrays = arrays

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        return list(self.arrays)

    def raw(self, name: str) -> Any:
        """Return the array of the column."""
        if name not in self.arrays:
            raise self.missing_column(name)
        array = self.arrays[name]
        return array if np.ndim(array) else np.full(self.n_rows, array)


class NarwhalsTable(Table):
    """Any other frame, read through narwhals."""

    def __init__(self, frame: Any) -> None:
        super().__init__(len(frame), pd.RangeIndex(len(frame)))
        self.frame = frame

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        return list(self.frame.columns)

    def raw(self, name: str) -> Any:
        """Return the column as a NumPy array or a pandas categorical."""
        if name not in self.names:
            raise self.missing_column(name)
        return _from_narwhals(self.frame[name], name)

    def _read(self, name: str) -> Vector:
        import narwhals as nw

        value = super()._read(name)
        if isinstance(value, Factor) and self.frame[name].dtype == nw.Enum:
            return replace(value, ranked=True)
        return value


def read_table(data: Any) -> Table:
    """Return any supported kind of data as a Table; raise DataError for anything else."""
    if isinstance(data, Table):
        return data
    if isinstance(data, pd.DataFrame):
        return PandasTable(data)
    if isinstance(data, Mapping):
        return DictTable(data)
    if isinstance(data, str | Path):
        table = PandasTable(_read_file(data))
        table.source = str(data)
        return table
    import narwhals as nw

    try:
        frame = nw.from_native(data)
    except TypeError:
        raise DataError(
            f"The data are a {type(data).__name__}; give a pandas, polars or pyarrow frame, "
            "a dict of arrays, or the path of a CSV or Parquet file."
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return NarwhalsTable(frame)


def _read_file(given: str | Path) -> pd.DataFrame:
    path = readable_file(given, "a CSV or Parquet file")
    name = path.name.lower()
    known = CSV_SUFFIXES + PARQUET_SUFFIXES + BOOK_SUFFIXES
    if not name.endswith(known):
        raise DataError(
            f"{shown(path.name)} is neither a CSV nor a Parquet file (by its ending); "
            f"known endings: {', '.join(known)}."
        )
    try:
        if name.endswith(PARQUET_SUFFIXES):
            return pd.read_parquet(path)
        return read_workbook(path) if name.endswith(BOOK_SUFFIXES) else read_text_table(path)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(
            f"{shown(path)} can't be read as a table: it is not text in UTF-8. Save it as CSV in "
            'UTF-8, or read it with pandas and its encoding: pd.read_csv(path, encoding="latin-1").'
        ) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{shown(path)} can't be read as a table: it is empty.") from error
    except MemoryError as error:
        raise DataError(f"{shown(path)} needs more memory than there is.") from error
    # What pandas, pyarrow and the decompressors raise on bytes that are no table.
    except (OSError, ValueError, ImportError, EOFError, zlib.error, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise DataError(f"{shown(path)} can't be read as a table: {reason}") from error


def _as_array(values: Any, name: str) -> Any:
    if isinstance(values, pd.Series | pd.Index):
        return values.array
    if isinstance(values, pd.api.extensions.ExtensionArray) or np.isscalar(values):
        return values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of different lengths
        raise DataError(f"Column {name!r} holds lists of different lengths.") from None
    if array.dtype.kind == "f" and isinstance(values, list | tuple):
        array = _without_rounding(array, values)
    if array.ndim > 1:
        raise DataError(f"Column {name!r} has {array.ndim} dimensions; a column has one.")
    return array


def _without_rounding(array: Any, values: Any) -> Any:
    """Return a list as objects where NumPy made floats of whole numbers no float can hold."""
    if array.ndim > 1 or not (np.abs(array) >= LARGEST_EXACT_INTEGER).any():
        return array
    if any(isinstance(value, int | np.integer) for value in values):
        return np.fromiter(values, dtype=object, count=len(values))
    return array


def _from_narwhals(series: Any, name: str) -> Any:
    """Return a narwhals Series as an array ``typed`` understands."""
    import narwhals as nw

    kind = series.dtype
    native = series.to_native()
    if isinstance(native, pd.Series):
        return native.array
    if kind == nw.Enum:
        categories = list(kind.categories)
        return pd.Categorical(series.cast(nw.String).to_list(), categories, ordered=False)
    if kind == nw.Categorical:
        if hasattr(native, "combine_chunks"):  # pyarrow keeps the order of its dictionary
            factor = arrow_dictionary(native.combine_chunks(), name)
            labels = factor.levels.tolist()
            return pd.Categorical.from_codes(factor.codes, labels, ordered=factor.ordered)
        # polars orders these by their text: the order of first appearance means nothing there.
        return series.cast(nw.String).to_numpy()
    if kind.is_integer() and (series.null_count() or kind in (nw.Int128, nw.UInt128)):
        return np.array(series.to_list(), dtype=object)
    if isinstance(kind, nw.Datetime) and kind.time_zone is not None:
        utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        return pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(kind.time_zone).array
    if isinstance(kind, nw.Datetime | nw.Duration):  # Python's own lack nanoseconds
        return series.to_numpy()
    if kind.is_temporal() or kind.is_decimal():
        return np.array(series.to_list(), dtype=object)
    if kind.is_numeric():
        numbers = series.to_numpy()
        return numbers if numbers.dtype.kind in "iuf" else numbers.astype(np.float64)
    return np.array(series.to_list(), dtype=object)
