"""The model frame: the variables of a model as pandas columns, like R's ``model.frame``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.values import Column, Factor, Logical, Matrix


def model_frame(variables: Mapping[str, Column], row_labels: pd.Index) -> pd.DataFrame:
    """Return variables as a data frame.

    Parameters
    ----------
    variables : values by label, in the rows used
    row_labels : index of these rows
    """
    columns: dict[str, Any] = {}
    for label, value in variables.items():
        if isinstance(value, Matrix):
            for place, suffix in enumerate(value.suffixes):
                columns[label + suffix] = value.values[:, place]
        elif isinstance(value, Factor):
            columns[label] = pd.Categorical.from_codes(
                value.codes, value.levels.tolist(), ordered=value.ordered
            )
        elif isinstance(value, Logical):
            columns[label] = value.values.astype(np.bool_)
        else:
            columns[label] = value
    return pd.DataFrame(columns, index=row_labels)
