"""Streams of files: Parquet, CSV and whatever else pyarrow reads as a dataset, by pieces.

A Parquet file is cut at its row groups, which are read by whoever sums them; other files are read
from the beginning, batch by batch. Every file is held to the columns and types of the first.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from hierbayes.errors import DataError
from hierbayes.files import shown
from hierbayes.streams.source import BATCH_ROWS, Batch, constant, unreadable
from hierbayes.wording import counted, did_you_mean

# A row group of more rows is read in steps instead of as a whole.
LARGE_GROUP = 4 * BATCH_ROWS
# What pandas takes for missing in a CSV file.
MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip


class DatasetSource:
    """A pyarrow Dataset; each of its files is a part.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    name : how printed results call the data
    what : what it is, for explanations
    """

    re_readable = True

    def __init__(self, dataset: Any, *, name: str = "", what: str = "a pyarrow dataset") -> None:
        self._dataset = dataset
        self.name = name
        self._what = what
        self.columns = list(dataset.schema.names)

    @cached_property
    def _fragments(self) -> list[Any]:
        return list(self._dataset.get_fragments())

    @property
    def description(self) -> str:
        """What it is and how many files it has."""
        return f"{self._what} ({counted(len(self._fragments), 'file')})"

    @cached_property
    def n_rows(self) -> int | None:
        """How many rows all files have, where their heads say so."""
        if not all(_is_parquet(own) for own in self._fragments):
            return None
        return sum(_head_of(own, self._part(k)).num_rows for k, own in enumerate(self._fragments))

    @cached_property
    def fingerprint(self) -> str:
        """Names, sizes and times of the files."""
        found = []
        for own in self._fragments:
            path = Path(getattr(own, "path", ""))
            seen = path.stat() if path.is_file() else None
            found.append((str(path), seen and (seen.st_size, seen.st_mtime_ns)))
        return repr((self.columns, found))

    def table(self) -> Any:
        """Read all rows at once, as a pandas frame."""
        return self._dataset.to_table().to_pandas()

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the batches in order."""
        return islice(self._all(list(columns)), start, None)

    def _part(self, number: int) -> str:
        own = self._fragments[number]
        name = Path(getattr(own, "path", "")).name
        return f"part {number + 1}" + (f" ({name})" if name else "")

    def _all(self, columns: list[str]) -> Iterator[Batch]:
        for number, fragment in enumerate(self._fragments):
            part = self._part(number)
            self._check_schema(fragment, columns, part)
            if _is_parquet(fragment):
                yield from self._row_groups(fragment, columns, part)
            else:
                yield from self._steps(fragment, columns, part)

    def _check_schema(self, fragment: Any, columns: list[str], part: str) -> None:
        try:
            own = fragment.physical_schema
        except Exception as error:
            raise unreadable(part, error) from error
        given = _partition_names(fragment)
        for name in columns:
            if name in given:
                continue
            if name not in own.names:
                hint = did_you_mean(name, own.names)
                raise DataError(f"{part.capitalize()} of the stream has no column {name!r}{hint}")
            here, first = own.field(name).type, self._dataset.schema.field(name).type
            if _kind(here) != _kind(first):
                raise DataError(
                    f"Column {name!r} is {first} in the first part of the stream and {here} in "
                    f"{part}; make it the same in all parts."
                )

    def _row_groups(self, fragment: Any, columns: list[str], part: str) -> Iterator[Batch]:
        groups = _head_of(fragment, part)
        ids: list[int] = []
        first = size = 0
        for k in range(groups.num_row_groups):
            n = groups.row_group(k).num_rows
            if n > LARGE_GROUP:
                if ids:
                    yield self._groups_batch(fragment, ids, columns, part=part, first=first)
                    first, ids, size = first + size, [], 0
                yield from self._steps(
                    fragment.subset(row_group_ids=[k]), columns, part, first=first
                )
                first += n
                continue
            ids, size = [*ids, k], size + n
            if size >= BATCH_ROWS:
                yield self._groups_batch(fragment, ids, columns, part=part, first=first)
                first, ids, size = first + size, [], 0
        if ids:
            yield self._groups_batch(fragment, ids, columns, part=part, first=first)

    def _groups_batch(
        self, fragment: Any, ids: list[int], columns: list[str], *, part: str, first: int
    ) -> Batch:
        own = fragment.subset(row_group_ids=ids)
        schema = self._dataset.schema
        read = partial(own.to_table, schema=schema, columns=columns, use_threads=False)
        return Batch(part=part, first=first, read=read)

    def _steps(
        self, fragment: Any, columns: list[str], part: str, first: int = 0
    ) -> Iterator[Batch]:
        import pyarrow as pa

        try:
            reader = fragment.to_batches(
                schema=self._dataset.schema, columns=columns, batch_size=BATCH_ROWS,
                batch_readahead=2, fragment_readahead=1,
            )  # fmt: skip
            waiting: list[Any] = []
            size = 0
            for own in reader:
                waiting.append(own)
                size += own.num_rows
                if size >= BATCH_ROWS:
                    table = pa.Table.from_batches(waiting)
                    yield Batch(part=part, first=first, read=constant(table))
                    first, waiting, size = first + size, [], 0
            if size:
                table = pa.Table.from_batches(waiting)
                yield Batch(part=part, first=first, read=constant(table))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(part, error) from error


def dataset_of_path(path: Path, form: str) -> DatasetSource:
    """Return the source of a file, or a folder of files, of a form pyarrow knows.

    Raises
    ------
    DataError
        If nothing is there, or pyarrow finds no such file in it.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    kinds = {"parquet": "Parquet", "csv": "CSV"}
    try:
        partitioning = "hive" if path.is_dir() else None
        dataset = ds.dataset(str(path), format=_format(form), partitioning=partitioning)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{shown(path)} can't be read as {kinds[form]}: {reason}") from error
    if not dataset.schema.names:
        raise DataError(f"{shown(path)} holds no {kinds[form]} file with columns.")
    what = f"{'a folder of ' if path.is_dir() else 'a '}{kinds[form]}"
    what += " files" if path.is_dir() else " file"
    return DatasetSource(dataset, name=path.name.split(".")[0], what=what)


def _format(form: str) -> Any:
    if form != "csv":
        return form
    import pyarrow.csv as pc
    import pyarrow.dataset as ds

    convert = pc.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    return ds.CsvFileFormat(convert_options=convert)


def _is_parquet(fragment: Any) -> bool:
    return hasattr(fragment, "row_groups")


def _head_of(fragment: Any, part: str) -> Any:
    try:
        return fragment.metadata
    except Exception as error:
        raise unreadable(part, error) from error


def _partition_names(fragment: Any) -> frozenset[str]:
    import pyarrow.dataset as ds

    return frozenset(ds.get_partition_keys(fragment.partition_expression))


def _kind(kind: Any) -> str:
    """Say what a type is to a model: numbers, truth values, categories or moments."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "truth values"
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numbers"
    return "moments" if pa.types.is_temporal(kind) else "text"
