"""Tables in text files and workbooks: which character parts columns, and which is the decimal mark.

In half of Europe Excel writes semicolons between columns and commas in numbers. What parts columns
is what the first line has most of; where it is not a comma, a column of numbers with commas says
that the comma is the decimal mark. What was found is said in a warning, for it is a guess.
"""

import csv
import gzip
from pathlib import Path
from typing import IO

import pandas as pd

from hierbayes.arrays import record
from hierbayes.errors import DataError, DesignWarning
from hierbayes.files import shown
from hierbayes.wording import listed, warn

PIECE = 2**20  # bytes read at a time
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# A number with a decimal comma, and one with points between its thousands besides.
COMMA_NUMBER = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
WHOLE_NUMBER = r"[+-]?\d+"
THOUSANDS = r"[+-]?\d{1,3}(?:\.\d{3})+,\d+"


@record
class Dialect:
    """How a text file writes a table.

    Attributes
    ----------
    sep : what stands between columns
    skipped : lines before the names of the columns: Excel's ``sep=;``
    """

    sep: str
    skipped: int = 0


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV file, whatever parts its columns; a warning says what that is.

    Raises
    ------
    DataError
        If it holds NUL characters, or numbers with decimal points beside ones with commas.
    """
    _check_text(path)
    dialect = _dialect(path)
    frame = _read(path, dialect)
    if dialect.sep == "," or ".tsv" in path.name.lower():
        return frame
    decimal, thousands = _marks(path, frame)
    if decimal == ",":
        frame = _read(path, dialect, decimal=decimal, thousands=thousands)
    words = f"{shown(path.name)} was read with {SEPARATORS[dialect.sep]} between columns"
    words += f" and decimal {'commas' if decimal == ',' else 'points'}"
    words += " and points between thousands" if thousands else ""
    warn(f"{words}.", DesignWarning)
    return frame


def read_workbook(path: Path) -> pd.DataFrame:
    """Read the only sheet of an Excel workbook.

    Raises
    ------
    DataError
        If pandas lacks what reads workbooks, or there are several sheets.
    """
    try:
        book = pd.ExcelFile(path)
    except ImportError as error:
        raise DataError(
            f"{shown(path.name)} is an Excel workbook, which needs a package that is not installed "
            "(pip install openpyxl). Or save it as CSV in UTF-8."
        ) from error
    with book:
        names = [str(name) for name in book.sheet_names]
        if len(names) != 1:
            sheets = listed([repr(name) for name in names])
            raise DataError(
                f"{shown(path.name)} has {len(names)} sheets, {sheets}; give one of them: "
                f'pandas.read_excel("{path.name}", sheet_name={names[0]!r}).'
            )
        return book.parse(names[0])


def separator_hint(names: list[str]) -> str:
    """Say of a frame of one column that its file has another separator; else nothing."""
    if len(names) != 1:
        return ""
    sep = next((mark for mark in (";", "\t", "|", ",") if mark in names[0]), None)
    if sep is None:
        return ""
    decimal = " and, where numbers have decimal commas, decimal=','" if sep == ";" else ""
    return (
        f"; its only column is called {names[0]!r:.60}: the file has {SEPARATORS[sep]} between "
        f"columns. Read it with sep={sep!r}{decimal}, or give its path to hierbayes."
    )


def _open(path: Path) -> IO[bytes]:
    packed = path.name.lower().endswith(".gz")
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _check_text(path: Path) -> None:
    """Refuse a CSV file with NUL characters: pandas ends fields there without a word."""
    with _open(path) as stream:
        while piece := stream.read(PIECE):
            if b"\0" in piece:
                raise DataError(
                    f"{shown(path)} can't be read as a table: it holds NUL characters, as text in "
                    "UTF-16 or a file of another kind does. Save it as CSV in UTF-8."
                )


def _dialect(path: Path) -> Dialect:
    """Tell from the first line what parts columns."""
    if ".tsv" in path.name.lower():
        return Dialect(sep="\t")
    with _open(path) as stream:
        first = stream.readline(PIECE).decode("utf-8-sig", errors="replace").strip("\r\n")
    said = first.strip().strip('"').lower()
    if said.startswith("sep=") and len(said) == 5 and said[4] in SEPARATORS:
        return Dialect(sep=said[4], skipped=1)
    counts = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in SEPARATORS}
    return Dialect(sep=max(counts, key=lambda mark: counts[mark]))  # the comma where none is there


def _read(
    path: Path, dialect: Dialect, *, decimal: str = ".", thousands: str | None = None
) -> pd.DataFrame:
    return pd.read_csv(
        path, sep=dialect.sep, skiprows=dialect.skipped, decimal=decimal, thousands=thousands
    )


def _marks(path: Path, frame: pd.DataFrame) -> tuple[str, str | None]:
    """Return the decimal mark, and the mark between thousands, of a frame read with points."""
    commas, thousands = [], False
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column) or not len(column.dropna()):
            continue
        text = column.dropna().astype(str).str.strip()
        whole = text.str.fullmatch(WHOLE_NUMBER)
        grouped = text.str.fullmatch(THOUSANDS)
        with_comma = text.str.fullmatch(COMMA_NUMBER) | grouped
        if (whole | with_comma).all() and with_comma.any():
            commas.append((str(name), text[with_comma].iloc[0]))
            thousands |= bool(grouped.any())
    points = [
        str(name)
        for name, column in frame.items()
        if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 != 0).any()
    ]
    if commas and points and not thousands:
        name, example = commas[0]
        raise DataError(
            f"{shown(path.name)} has numbers with decimal commas ({name!r}: {example}) beside "
            f"ones with points ({points[0]!r}). Read it with pandas, which takes decimal= and "
            "converters=, and give the frame."
        )
    return ("," if commas else "."), ("." if thousands else None)
