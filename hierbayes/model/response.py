"""A new response for a fitted model: one finite number for each row used."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.design.design import Design
from hierbayes.design.table import DictTable
from hierbayes.design.values import Logical, as_numbers
from hierbayes.errors import DataError

FloatArray = npt.NDArray[np.float64]


def checked_response(y: Any, design: Design) -> FloatArray:
    """Return a response for ``refit`` as an array (n,) of its own.

    Parameters
    ----------
    y : array, Series, list or frame of one column
        By position, in the order of the rows used.
    design : of the model

    Raises
    ------
    DataError
        If these aren't as many numbers as rows used, all finite and not all the same.
    """
    nobs = design.y.shape[0]
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    try:
        shape = np.shape(y)
    except ValueError:  # rows of different lengths
        raise DataError("refit needs one number for each row, not lists of them.") from None
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
        if not isinstance(value, np.ndarray | Logical):
            raise DataError("refit got a response of categories, not numbers.")
        response = np.array(as_numbers(value), dtype=np.float64)
    bad = int(np.count_nonzero(~np.isfinite(response)))
    if bad:
        raise DataError(
            f"refit got a response with {bad} missing or infinite value{'s' if bad > 1 else ''}; "
            "fit a new model to leave rows out."
        )
    if response.min() == response.max():
        raise DataError(
            f"refit got a response that is {response[0]:g} in all {nobs} rows; there is nothing "
            "to model."
        )
    return response
