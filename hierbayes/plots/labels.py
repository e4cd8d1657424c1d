"""Axis labels that carry variable and unit.

The units of a bundled data set are known; they are used only where the values drawn are still
those of the data set, so that milliseconds turned into seconds are never called milliseconds.
"""

import re
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierbayes.datasets import describe_dataset, list_datasets, load_dataset

MOST_PANELS = 24  # more than anyone reads in one figure
LETTER = 0.55  # mean width of a letter of a name, in sizes of the font
PROSE = 0.49  # the same of words of small letters and blanks
BRACKETS = re.compile(r" \([^()]*\)")
MM_PER_POINT = 25.4 / 72


def shortened(text: str, *, width_mm: float, points: float) -> str:
    """Leave the middle out of a text that is wider than there is room for.

    Parameters
    ----------
    text : one line
    width_mm : the room
    points : size of the letters
    """
    most = max(int(width_mm / (LETTER * points * MM_PER_POINT)), 5)
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def term_title(group: str, term: str, *, width_mm: float, points: float) -> str:
    """Name a term of a grouping factor; where there is little room, the factor is shortened."""
    rest = width_mm - LETTER * points * MM_PER_POINT * (len(term) + 2)
    title = f"{shortened(group, width_mm=max(rest, 0.0), points=points)}: {term}"
    return shortened(title, width_mm=width_mm, points=points)


def wrapped(text: str, *, width_mm: float, points: float) -> str:
    """Break a sentence into lines that fit into the room there is."""
    return "\n".join(textwrap.wrap(text, max(int(width_mm / (PROSE * points * MM_PER_POINT)), 10)))


def axis_label(
    column: str, values: Any, *, data_name: str = "", labels: Mapping[str, str] | None = None
) -> str:
    """Return the label of an axis that shows a column.

    Parameters
    ----------
    column : name of the variable
    values : array, shape (n,), what is drawn
    data_name : what the data are called; a bundled data set brings its units
    labels : labels by column, in place of ours
    """
    if labels is not None and column in labels:
        return labels[column]
    unit = bundled_unit(data_name, column, values)
    return f"{column} ({unit})" if unit else column


def bundled_unit(data_name: str, column: str, values: Any) -> str:
    """Return the unit of a column of a bundled data set; empty if unknown or values differ."""
    if not data_name or data_name not in list_datasets().index:
        return ""
    described = describe_dataset(data_name)
    unit = described["unit"].get(column)
    if not unit or described.loc[column, "levels"] is not None:
        return ""
    known = load_dataset(data_name)[column].to_numpy(dtype=float)
    if not np.isin(np.asarray(values, dtype=float), known).all():
        return ""
    return BRACKETS.sub("", str(unit))  # what stands in brackets explains; it is not the unit
