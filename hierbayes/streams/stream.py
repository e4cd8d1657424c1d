"""``hb.Stream``: data that are read in parts, and how."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierbayes.calls import checked_init
from hierbayes.errors import OptionError
from hierbayes.files import checked_path
from hierbayes.wording import shown


@checked_init("hb.Stream")
class Stream:
    """Data to be read in parts, with what can be said of the reading.

    Give it as data: ``hb.Model(formula, hb.Stream(...))``. Nothing is read before.

    Parameters
    ----------
    data : Parquet or CSV file, folder of Parquet files, pyarrow Dataset, Polars LazyFrame, DuckDB \
relation, Dask DataFrame, frames one after the other, or a function that returns these
        With ``connection`` the name of a table or view, or a text of SQL.
    connection : duckdb connection
        Where that table is.
    levels : dict, column -> its levels in their order
        Levels of categories, in this order; another one in the data is an error that names the
        row. Where all categories and grouping factors have theirs, and nothing is learnt by
        scale() and the like (``scale(x, 3, 1.5)`` learns nothing), the stream is read once, if no
        checkpoint is kept. Levels that do not occur are left out. Rows in a database are read.
    checkpoint : path
        A file that keeps what was added up when reading is interrupted or fails; the next call with
        the same model and data goes on from there. It is written about once a minute, from the
        second pass on: a first pass that is interrupted begins anew.
    progress : bool
        Show a progress bar; by default only where somebody watches.

    Raises
    ------
    OptionError
        If an argument is none of these.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> parts = [sleep.iloc[:100], sleep.iloc[100:]]
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.Stream(parts))
    >>> round(fit.criterion, 2)
    1743.63
    """

    def __init__(
        self,
        data: Any,
        *,
        connection: Any = None,
        levels: Mapping[str, Sequence[Any]] | None = None,
        checkpoint: str | Path | None = None,
        progress: bool | None = None,
    ) -> None:
        if connection is not None and not isinstance(data, str):
            raise OptionError(
                f"connection= goes with the name of a table or a text of SQL, not with "
                f"{shown(data)}."
            )
        if levels is not None and not (
            isinstance(levels, Mapping)
            and all(
                isinstance(own, Sequence) and not isinstance(own, str) for own in levels.values()
            )
        ):
            raise OptionError(
                f"levels={shown(levels)} must be a dict from a column to its levels, for example "
                '{"arm": ["a", "b"]}.'
            )
        self.data = data
        self.connection = connection
        self.levels = {} if levels is None else {name: list(own) for name, own in levels.items()}
        self.checkpoint = None if checkpoint is None else checked_path(checkpoint)
        self.progress = progress

    def __repr__(self) -> str:
        return f"hb.Stream({shown(self.data)})"
