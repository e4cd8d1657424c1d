"""A result that is a DataFrame: it prints whole, is exported, and knows its picture."""

import sys
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from typing import Any, ClassVar

import pandas as pd

from hierbayes.calls import checked_methods
from hierbayes.results import verbs
from hierbayes.results.exporting import Exportable
from hierbayes.results.table_pictures import picture_of

LONGEST_TEXT = 50  # letters of a cell on a terminal, as pandas shows; limits are numbers


@checked_methods("table")
class ResultTable(Exportable, pd.DataFrame):  # type: ignore[misc]
    """A table of numbers; a DataFrame in all but how it prints, is exported and drawn.

    On a terminal every column is there, in blocks where the line is too short, never "..." in its
    place. Tables taken out of it, merged or computed are tables of this kind again.

    Attributes
    ----------
    origin : the call that made it, "confint" or "tidy" for example, which says what its columns
        mean; empty where that is not known any more
    attrs : notes on the numbers: ``"reasons"`` for what is missing by name of the row, ``"notes"``
        sentences; ``"level"``, ``"method"`` and ``"details"`` say what the limits are

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> table = hb.confint(fit, parameters=["Days"])
    >>> print(table.round(1))
          estimate  lower  upper
    Days      10.5    8.9   12.0
    """

    _metadata: ClassVar[list[str]] = ["origin"]
    origin: str = ""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return type(self)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return this table."""
        return {"": self}

    def _picture(self) -> verbs.Function:
        return picture_of(self.origin)


def result_table(
    data: Any,
    origin: str,
    *,
    index: Any = None,
    columns: Sequence[str] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> ResultTable:
    """Make a table of a frame or of its columns.

    Parameters
    ----------
    data, index, columns : as of ``pandas.DataFrame``; the ``attrs`` of a frame are kept
    origin : the call that makes it
    attrs : what is to be known of its numbers
    """
    given = data.copy() if isinstance(data, pd.DataFrame) else data
    table = ResultTable(given, index=index, columns=None if columns is None else list(columns))
    table.origin = origin
    known = getattr(data, "attrs", {}) if attrs is None else attrs
    table.attrs.update(known)
    return table


def frame_lines(frame: pd.DataFrame, **options: Any) -> list[str]:
    """Lines of a frame on a terminal: its first and last rows as pandas shows, every column.

    Parameters
    ----------
    frame : DataFrame
    options : of ``pandas.DataFrame.to_string``
    """
    most = pd.get_option("display.max_rows")
    cut = most is not None and 0 < most < len(frame)
    written = pd.DataFrame.to_string(
        frame,
        max_rows=most,
        min_rows=pd.get_option("display.min_rows"),
        max_colwidth=pd.get_option("display.max_colwidth") or LONGEST_TEXT,
        line_width=line_width(),
        show_dimensions=cut,
        **options,
    )
    return str(written).split("\n")


def line_width() -> int:
    """Columns of a line: pandas' option, or fewer on a narrower terminal."""
    wanted = int(pd.get_option("display.width") or get_terminal_size().columns)
    return min(wanted, get_terminal_size().columns) if sys.stdout.isatty() else wanted
