"""Axis labels that carry variable and unit.

The units of a bundled data set are known; they are used only where the values drawn are still
those of the data set, so that milliseconds turned into seconds are never called milliseconds.
"""

import re
from typing import Any

import numpy as np

from hierbayes.datasets import describe_dataset, list_datasets, load_dataset

MOST_PANELS = 24  # more than anyone reads in one figure
LETTER = 0.55  # mean width of a letter of a name, in sizes of the font
BRACKETS = re.compile(r" \([^()]*\)")
QUOTED = re.compile(r"`([^`]+)`")


def unquoted(name: str) -> str:
    """Return a name as it is read: without the back-ticks that it has in a formula.

    >>> unquoted("sd_`log freq`|word")
    'sd_log freq|word'
    """
    return QUOTED.sub(r"\1", name)


def axis_label(column: str, values: Any, *, data_name: str = "") -> str:
    """Return the label of an axis that shows a column.

    Parameters
    ----------
    column : name of the variable
    values : array, shape (n,), what is drawn
    data_name : what the data are called; a bundled data set brings its units
    """
    unit = bundled_unit(data_name, column, values)
    return f"{column} ({unit})" if unit else unquoted(column)


def bundled_unit(data_name: str, column: str, values: Any) -> str:
    """Return the unit of a column of a bundled data set; empty if unknown or values differ."""
    if not data_name or data_name not in list_datasets().index:
        return ""
    described = describe_dataset(data_name)
    unit = described["unit"].get(column)
    if not unit or unit == "dimensionless" or described.loc[column, "levels"] is not None:
        return ""
    known = load_dataset(data_name)[column].to_numpy(dtype=float)
    if not np.isin(np.asarray(values, dtype=float), known).all():
        return ""
    return BRACKETS.sub("", str(unit))  # what stands in brackets explains; it is not the unit
