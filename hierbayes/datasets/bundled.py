"""Read the bundled data sets: a CSV file each, beside a JSON file that says what it holds.

The JSON gives the type of every column, the levels of a factor in R's order, units, number of
missing values, and where the data come from. The CSV writes a missing value as NA. Numbers are
read correctly rounded, so that they are the very numbers R has.
"""

import csv
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.wording import nearest

FOLDER = Path(__file__).with_name("data")
MISSING = "NA"


@checked_call("hb.load_dataset")
def load_dataset(name: str) -> pd.DataFrame:
    """Return a bundled data set as a fresh data frame.

    Parameters
    ----------
    name : str
        A name listed by ``list_datasets()``.

    Returns
    -------
    pandas.DataFrame
        Factors are categoricals with R's level order (ordered where R's are), integers int64,
        other numbers float64; a missing value is NaN. ``attrs["name"]`` is what printed
        results call the data.

    Raises
    ------
    OptionError
        If there is no data set of that name.

    Examples
    --------
    >>> import hierbayes as hb
    >>> hb.load_dataset("sleepstudy").head(2)
       Reaction  Days Subject
    0  249.5600   0.0     308
    1  258.7047   1.0     308
    """
    about = _about(name)
    path = FOLDER / about["file"]
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    _, *rows = csv.reader(text.splitlines())
    frame = pd.DataFrame(
        {
            column["name"]: _values(texts, column)
            for column, texts in zip(about["columns"], zip(*rows, strict=True), strict=True)
        }
    )
    frame.attrs["name"] = about["name"]
    return frame


@checked_call("hb.list_datasets")
def list_datasets() -> pd.DataFrame:
    """Return the bundled data sets, a row each: size, what they are and where they come from.

    Returns
    -------
    pandas.DataFrame
        Indexed by name; columns ``rows``, ``columns`` (numbers), ``description``, ``origin``
        (where the file was taken from), ``citation``, ``notes`` (missing where there is none).

    Examples
    --------
    >>> import hierbayes as hb
    >>> hb.list_datasets().loc["sleepstudy", ["rows", "columns"]].tolist()
    [180, 3]
    """
    table = pd.DataFrame([_about(name) for name in _names()]).set_index("name")
    table["columns"] = table["columns"].map(len)
    return table[["rows", "columns", "description", "origin", "citation", "notes"]]


@checked_call("hb.describe_dataset")
def describe_dataset(name: str) -> pd.DataFrame:
    """Return what each column of a bundled data set holds.

    Parameters
    ----------
    name : str
        As for ``hb.load_dataset``.

    Returns
    -------
    pandas.DataFrame
        Indexed by column; columns ``type`` (numeric, integer, factor, ordered), ``unit`` (None
        where it has none), ``missing`` (number of missing values), ``levels`` (a tuple in R's
        order; None for numbers).

    Raises
    ------
    OptionError
        As ``hb.load_dataset``, if the name is not known.

    Examples
    --------
    >>> import hierbayes as hb
    >>> hb.describe_dataset("sleepstudy").loc["Reaction", "unit"]
    'ms'
    """
    columns = _about(name)["columns"]
    rows = [column | {"levels": column["levels"] and tuple(column["levels"])} for column in columns]
    table = pd.DataFrame(rows, dtype=object).set_index("name").rename_axis("column")
    return table.astype({"missing": "int64"})[["type", "unit", "missing", "levels"]]


def _values(texts: tuple[str, ...], column: dict[str, Any]) -> np.ndarray | pd.Categorical:
    """Turn one column's texts into the type its description gives."""
    if column["levels"] is not None:
        codes = {level: code for code, level in enumerate(column["levels"])} | {MISSING: -1}
        return pd.Categorical.from_codes(
            [codes[text] for text in texts],
            categories=column["levels"],
            ordered=column["type"] == "ordered",
        )
    if column["type"] == "integer":
        return np.array(texts, dtype=np.int64)
    if column["missing"]:
        return np.array([np.nan if text == MISSING else float(text) for text in texts])
    return np.array(texts, dtype=np.float64)


@cache
def _names() -> tuple[str, ...]:
    """Names of the bundled data sets, sorted without regard to case."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.json")), key=str.casefold))


def _about(name: str) -> dict[str, Any]:
    """Return the description of one data set, or say which data sets there are."""
    if isinstance(name, str) and name in _names():
        return _read_about(name)
    guess = nearest(name, _names()) if isinstance(name, str) else None
    hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(_names())}."
    raise OptionError(f"name={name!r} is not a bundled data set; {hint}")


@cache
def _read_about(name: str) -> dict[str, Any]:
    """Read the description of one data set; it's shared between calls, so never changed."""
    about: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return about
