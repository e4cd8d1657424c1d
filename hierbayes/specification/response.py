"""A new response for a fitted model: one finite number for each row used."""

import math
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.design.alignment import aligned, is_labelled
from hierbayes.design.design import Design
from hierbayes.design.table import DictTable
from hierbayes.design.values import Factor, Logical, as_numbers
from hierbayes.errors import DataError


def checked_response(y: Any, design: Design, *, index: pd.Index) -> FloatArray:
    """Return a response for ``refit`` as an array (n,) of its own.

    Parameters
    ----------
    y : array, Series, list or frame of one column
        One number for each row used, or for each row of the data.
    design : of the model
    index : labels of all rows of the data

    Raises
    ------
    DataError
        If these aren't as many numbers as rows used, all finite and not all the same, or have
        labels that are not those of the rows.
    """
    nobs = design.y.shape[0]
    y = _one_column(y)
    try:
        shape = np.shape(y)
    except ValueError:  # rows of different lengths
        raise DataError("refit needs one number for each row, not lists of them.") from None
    if shape == (design.n_rows_given,) and len(index) == design.n_rows_given:
        y = aligned("the response given to refit", y, index)
        y, shape = (y.iloc if is_labelled(y) else np.asarray(y))[design.rows.positions], (nobs,)
    else:
        y = aligned("the response given to refit", y, design.row_labels)
    if shape != (nobs,):
        size = " x ".join(str(length) for length in shape) if shape else "a single value"
        dropped = design.n_rows_given - nobs
        counted = f" ({dropped} of the data's rows were left out)" if dropped else ""
        raise DataError(
            f"refit got {size if not shape else f'{size} values'}; the model was fitted to {nobs} "
            f"rows{counted}, so give one number for each of them."
        )
    if isinstance(y, np.ndarray) and y.dtype == np.float64:
        response = y.copy()
    else:
        value = DictTable({"refit": y}).column("refit")
        own = design.rows.values.get(design.formula.response)
        if isinstance(value, Factor) and isinstance(own, Factor) and own.ordered:
            value = _numbers_of_categories(value, own)
        if not isinstance(value, np.ndarray | Logical):
            raise DataError("refit got a response of categories, not numbers.")
        response = np.array(as_numbers(value), dtype=np.float64)
    low, high = float(response.min()), float(response.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int(np.count_nonzero(~np.isfinite(response)))
        raise DataError(
            f"refit got a response with {bad} missing or infinite value{'s' if bad > 1 else ''}; "
            "fit a new model to leave rows out."
        )
    if low == high:
        raise DataError(
            f"refit got a response that is {response[0]:g} in all {nobs} rows; there is nothing "
            "to model."
        )
    return response


def check_categories(response: FloatArray, design: Design) -> None:
    """Raise DataError if an ordered response has other categories than the model's."""
    found, known = np.unique(response), np.unique(design.y)
    missing, new = np.setdiff1d(known, found), np.setdiff1d(found, known)
    if missing.size or new.size:
        what = f"no row in category {missing[0]:g}" if missing.size else f"a category {new[0]:g}"
        raise DataError(
            f"refit got a response with {what}; the model's categories are {known[0]:g} to "
            f"{known[-1]:g}, each with a threshold to the next."
        )


def _numbers_of_categories(value: Factor, own: Factor) -> FloatArray:
    """Return the numbers 1, 2, ... of labels that are those of the model's response."""
    places = {label: k + 1.0 for k, label in enumerate(own.levels.tolist())}
    unknown = [label for label in value.levels.tolist() if label not in places]
    if unknown:
        raise DataError(f"refit got a category {unknown[0]!r} that the model's response has not.")
    lookup = np.array([*(places[label] for label in value.levels.tolist()), np.nan])
    return np.asarray(lookup[value.codes])


def _one_column(y: Any) -> Any:
    """Return the column of a frame or matrix that has one."""
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        return y.iloc[:, 0]
    return y[:, 0] if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1 else y
