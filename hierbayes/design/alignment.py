"""Values given beside the data, one a row: by their labels if they have them, else by position.

Two vectors with the same labels in the same order, repeated labels included, need no matching. The
same set of labels, each once, is matched. Anything else is refused: which value belongs to which
row would be a guess.
"""

from typing import Any

import pandas as pd

from hierbayes.errors import DataError
from hierbayes.wording import counted_rows


def is_labelled(given: Any) -> bool:
    """Whether values have row labels of their own: a pandas Series or frame."""
    return isinstance(given, pd.Series | pd.DataFrame)


def aligned(name: str, given: Any, index: pd.Index) -> Any:
    """Return values in the order of the rows ``index`` labels; those without labels as they are.

    Parameters
    ----------
    name : the argument, for messages
    given : a pandas Series or frame, or anything else
    index : of the data

    Raises
    ------
    DataError
        If the values have other labels than the data, or labels that repeat in another order.
    """
    if not is_labelled(given) or given.index.equals(index) or len(given) != len(index):
        return given  # a wrong length is reported where values are counted
    if not (given.index.is_unique and index.is_unique):
        raise DataError(
            f"{name} has row labels in another order than the data, and some are there twice, so "
            f"the rows can't be matched. Give {name} as a column of the data."
        )
    places = given.index.get_indexer(index)
    if (places < 0).any():
        absent = index[places < 0]
        where = counted_rows(list(absent[:3]), len(absent))
        raise DataError(
            f"{name} has other row labels than the data: it has no value for {where}. Give it the "
            f"index of the data, or give an array, {name}.to_numpy(), in the order of the rows."
        )
    return given.iloc[places]
