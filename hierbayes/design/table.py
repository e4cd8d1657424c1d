"""Any data frame as a table of typed columns, read one column at a time and never changed.

pandas is read directly. A dict of arrays, a path and every frame narwhals knows (polars, pyarrow,
DuckDB ...) end in the same kinds of values; narwhals is imported only for the last.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.messages import did_you_mean
from hierbayes.design.values import (
    LARGEST_EXACT_INTEGER,
    MISSING_CODE,
    Factor,
    Logical,
    as_factor,
    label_array,
    number_label,
)
from hierbayes.errors import DataError

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")


class MissingColumnError(DataError):
    """A column isn't there; ``advice`` continues the sentence (``"; did you mean ...?"``)."""

    def __init__(self, name: str, advice: str, message: str | None = None) -> None:
        super().__init__(message or f"The data have no column {name!r}{advice}")
        self.column = name
        self.advice = advice


class Table:
    """Columns of a data frame by name, each converted once, when first asked for."""

    def __init__(self, n_rows: int, index: Any) -> None:
        self.n_rows = n_rows
        self.index = index
        self._columns: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """Names of the columns, as text."""
        raise NotImplementedError

    def column(self, name: str) -> Any:
        """Return a column as numbers, Logical or Factor; raise DataError when it can't be."""
        known = self._columns.get(name)
        if known is None:
            known = self._columns[name] = self._read(name)
        return known

    def raw(self, name: str) -> Any:
        """Return a column as the frame holds it."""
        raise NotImplementedError

    def _read(self, name: str) -> Any:
        raw = self.raw(name)
        try:
            value = typed(raw, name)
        except (TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"Column {name!r} can't be read as numbers or categories: {error}"
            ) from error
        return value

    def missing_column(self, name: str) -> MissingColumnError:
        """Return the error for a name that isn't a column."""
        return MissingColumnError(name, did_you_mean(name, self.names))


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

    def _unusual(self, name: str) -> pd.Series:
        for column in self.frame.columns:  # a column named by a number: `1`
            if str(column) == name:
                return self.frame[column]
        if name in self.frame.index.names:
            raise MissingColumnError(
                name, f"; {name!r} is a name of the index: use data.reset_index()."
            )
        raise self.missing_column(name)


class DictTable(Table):
    """A mapping from names to arrays; single values are repeated."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
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
        super().__init__(n_rows, pd.RangeIndex(n_rows))
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


def read_table(data: Any) -> Table:
    """Return any supported kind of data as a Table; raise DataError for anything else."""
    if isinstance(data, Table):
        return data
    if isinstance(data, pd.DataFrame):
        return PandasTable(data)
    if isinstance(data, Mapping):
        return DictTable(data)
    if isinstance(data, str | Path):
        return PandasTable(_read_file(Path(data)))
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


def _read_file(path: Path) -> pd.DataFrame:
    name = path.name.lower()
    if not path.exists():
        raise DataError(f"There is no file {str(path)!r}.")
    try:
        if name.endswith(PARQUET_SUFFIXES):
            return pd.read_parquet(path)
        if name.endswith(CSV_SUFFIXES):
            return pd.read_csv(path, sep="\t" if ".tsv" in name else ",")
    except (OSError, ValueError, ImportError) as error:  # what pandas and pyarrow raise
        reason = str(error).splitlines()[0]
        raise DataError(f"{str(path)!r} can't be read as a table: {reason}") from error
    raise DataError(
        f"{path.name!r} is neither a CSV nor a Parquet file (by its ending); "
        f"known endings: {', '.join(CSV_SUFFIXES + PARQUET_SUFFIXES)}."
    )


def _as_array(values: Any, name: str) -> Any:
    if isinstance(values, pd.Series | pd.Index):
        return values.array
    if isinstance(values, pd.api.extensions.ExtensionArray) or np.isscalar(values):
        return values
    array = np.asarray(values)
    if array.ndim > 1:
        raise DataError(f"Column {name!r} has {array.ndim} dimensions; a column has one.")
    return array


def typed(raw: Any, name: str) -> Any:
    """Return an array of a frame as numbers, Logical or Factor.

    Parameters
    ----------
    raw : a NumPy array or a pandas array
    name : the column, for messages
    """
    if isinstance(raw, pd.arrays.NumpyExtensionArray):
        raw = raw.to_numpy()
    dtype = raw.dtype
    if isinstance(dtype, np.dtype):
        return _typed_numpy(np.asarray(raw), name)
    if isinstance(dtype, pd.CategoricalDtype):
        labels = level_labels(raw.categories)
        return Factor(np.array(raw.codes, dtype=np.intp), labels, bool(raw.ordered))
    if isinstance(dtype, pd.StringDtype):
        return _sorted_labels(raw)
    kind = getattr(dtype, "kind", "O")
    if kind == "b":
        return Logical(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind in "iu":
        return _masked_integers(raw)
    if kind == "f":
        return raw.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(dtype, pd.SparseDtype):
        return typed(np.asarray(raw), name)
    if kind in "mM" or isinstance(dtype, pd.PeriodDtype | pd.DatetimeTZDtype):
        raise _dates(name)
    if isinstance(dtype, pd.ArrowDtype):
        return _typed_arrow(raw, name)
    return _typed_objects(np.asarray(raw, dtype=object), name)


def _typed_numpy(array: Any, name: str) -> Any:
    kind = array.dtype.kind
    # Copies: a design must not change when the user later writes into the frame.
    if kind in "iu":
        return array.copy()
    if kind == "f":
        return array.astype(np.float64)
    if kind == "b":
        return Logical(array.astype(np.float64))
    if kind in "mM":
        raise _dates(name)
    if kind == "c":
        raise DataError(f"Column {name!r} holds complex numbers; a model needs real ones.")
    return _typed_objects(array.astype(object), name)


def _typed_objects(array: Any, name: str) -> Any:
    held = pd.api.types.infer_dtype(array, skipna=True)
    if held in ("string", "empty") and not pd.isna(array).all():
        return _sorted_labels(array)
    if held in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        if held == "integer" and not pd.isna(array).any():
            return _typed_numpy(np.array(array.tolist()), name)
        missing = pd.isna(array)
        return np.where(missing, np.nan, np.where(missing, 0, array)).astype(np.float64)
    if held == "boolean":
        missing = pd.isna(array)
        return Logical(np.where(missing, np.nan, np.where(missing, 0, array)).astype(np.float64))
    if held in ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"):
        raise _dates(name)
    raise DataError(
        f"Column {name!r} mixes kinds of values ({_examples(array)}); make it all numbers or "
        "all text."
    )


def _examples(array: Any) -> str:
    kinds: dict[type, Any] = {}
    for value in array[:100_000]:
        if not (value is None or value is pd.NA or value != value):
            kinds.setdefault(type(value), value)
    return ", ".join(f"{kind.__name__} {value!r:.40}" for kind, value in list(kinds.items())[:3])


def _typed_arrow(raw: Any, name: str) -> Any:
    import pyarrow as pa

    kind = raw.dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        return _arrow_dictionary(raw._pa_array.combine_chunks(), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _sorted_labels(raw)
    if pa.types.is_temporal(kind):
        raise _dates(name)
    if pa.types.is_decimal(kind):
        return raw.to_numpy(dtype=np.float64, na_value=np.nan)
    return _typed_objects(raw.to_numpy(dtype=object, na_value=None), name)


def _arrow_dictionary(array: Any, name: str) -> Factor:
    """Return a dictionary-encoded Arrow array as a factor with the dictionary's order."""
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunks at all
        return Factor(np.empty(0, dtype=np.intp), label_array([]))
    codes = array.indices.fill_null(MISSING_CODE).to_numpy(zero_copy_only=False)
    labels = [str(label) for label in array.dictionary.to_pylist()]
    return Factor(codes.astype(np.intp), label_array(labels), bool(array.type.ordered))


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
            factor = _arrow_dictionary(native.combine_chunks(), name)
            labels = factor.levels.tolist()
            return pd.Categorical.from_codes(factor.codes, labels, ordered=factor.ordered)
        # polars orders these by their text: the order of first appearance means nothing there.
        return series.cast(nw.String).to_numpy()
    if kind.is_integer() and series.null_count():
        return pd.array(series.to_list(), dtype="Int64")
    if kind.is_temporal():
        raise _dates(name)
    if kind.is_numeric():
        numbers = series.to_numpy()
        return numbers if numbers.dtype.kind in "iuf" else numbers.astype(np.float64)
    return np.array(series.to_list(), dtype=object)


def level_labels(categories: pd.Index) -> Any:
    """Return the categories of a pandas categorical as text labels."""
    values = categories.tolist()
    if categories.dtype.kind == "f":
        return label_array([number_label(value) for value in values])
    if isinstance(categories.dtype, np.dtype) and categories.dtype.kind == "b":
        return label_array([str(value).upper() for value in values])
    return label_array([value if type(value) is str else str(value) for value in values])


def _masked_integers(raw: Any) -> Any:
    if not raw.isna().any():
        return raw.to_numpy(dtype=np.int64)
    numbers = raw.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.nanmax(np.abs(numbers), initial=0.0) < LARGEST_EXACT_INTEGER:
        return numbers
    missing = np.asarray(raw.isna())  # ids too long for a float: keep them apart as categories
    present = as_factor(raw[~missing].to_numpy(dtype=np.int64))
    codes = np.full(missing.shape, MISSING_CODE, dtype=np.intp)
    codes[~missing] = present.codes
    return Factor(codes, present.levels)


def _sorted_labels(raw: Any) -> Factor:
    """Return text as a factor with sorted levels."""
    codes, distinct = pd.factorize(raw)
    labels = [str(label) for label in distinct.tolist()]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    lookup = np.empty(len(labels) + 1, dtype=np.intp)
    lookup[order] = np.arange(len(labels))
    lookup[-1] = MISSING_CODE  # where code -1 points
    return Factor(lookup[codes], label_array([labels[place] for place in order]))


def _dates(name: str) -> DataError:
    return DataError(
        f"Column {name!r} holds dates or times; a model needs a number, for example days since "
        "the first one: (data[column] - data[column].min()).dt.days."
    )
