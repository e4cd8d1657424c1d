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
MOST_LINES = 4  # of a name
# Where a line of a name may end; the point of a number is no such place.
BREAKS = re.compile(r"(?<=[:,;\s_/*+])(?=\S)|(?<=\.)(?=[^\W\d]|\()|(?=\|)")
BRACKETS = re.compile(r" \([^()]*\)")
MM_PER_POINT = 25.4 / 72


def broken(text: str, *, width_mm: float, points: float) -> str:
    """Break a name into lines that fit into the room: after its signs and before its bars.

    Nothing is left out but the end of a name of more than ``MOST_LINES`` lines.

    Parameters
    ----------
    text : a name, such as ``cor((Intercept),Days|Subject)``
    width_mm : the room
    points : size of the letters

    Examples
    --------
    >>> broken("Subject: (Intercept)", width_mm=25, points=8).splitlines()
    ['Subject:', '(Intercept)']
    """
    most = max(int(width_mm / (LETTER * points * MM_PER_POINT)), 5)
    lines = [""]
    for piece in BREAKS.split(text):
        for start in range(0, max(len(piece), 1), most):  # most pieces are shorter than a line
            part = piece[start : start + most]
            if len(lines[-1] + part.rstrip()) <= most:
                lines[-1] += part
            else:
                lines.append(part)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][: most - 1]}…"]
    return "\n".join(line.rstrip() for line in lines)


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
