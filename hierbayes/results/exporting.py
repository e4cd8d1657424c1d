"""Results taken elsewhere: HTML, Markdown, LaTeX, Excel, great_tables, pandas, polars.

A result has its blocks (``reports``) and its numbers as frames; pages are written from the blocks,
whatever holds real numbers from the frames. Nothing of it needs jinja2 or tabulate; Excel needs
openpyxl, and ``to_great_table`` the package of that name.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from hierbayes.calls import checked_methods
from hierbayes.results import verbs
from hierbayes.results.plain_frame import plain_frame, polars_frame
from hierbayes.results.printing import Printable
from hierbayes.results.table_pictures import no_picture

if TYPE_CHECKING:
    from pathlib import Path

    import polars


@checked_methods("table")
class Writable(Printable):
    """A result that can be written as a page or a piece of one."""

    __slots__ = ()

    def to_html(
        self,
        path: Any = None,
        *,
        caption: str = "",
        labels: Mapping[str, str] | None = None,
        digits: int | None = None,
    ) -> str:
        """Return the result as HTML, and write it to a file if one is named.

        Parameters
        ----------
        path : str or Path, optional
            A file to write: one self-contained page.
        caption : str
            The line above the (first) table.
        labels : mapping, optional
            What parameters, levels and columns are called, ``{"Days": "Days of deprivation"}``.
        digits : int, optional
            Significant digits of a standard error, which give its row the decimals.

        Returns
        -------
        str
            A piece of HTML with its own style, for a page or a notebook: no JavaScript, readable
            on light and on dark, names of columns and levels escaped.

        Raises
        ------
        OptionError
            If the table's layout has fixed digits, or the file can't be written.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> "<table" in hb.confint(fit).to_html(caption="Sleep")
        True
        """
        shown = {"caption": caption, "labels": labels}
        return str(verbs.export(self, "html", path, digits=digits, **shown))

    def to_markdown(
        self,
        path: Any = None,
        *,
        caption: str = "",
        labels: Mapping[str, str] | None = None,
        digits: int | None = None,
    ) -> str:
        """Return the result as Markdown with pipe tables, and write it to a file if one is named.

        Parameters
        ----------
        path, caption, labels, digits
            As of ``to_html``.

        Returns
        -------
        str

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> table = hb.confint(fit, parameters=["Days"])
        >>> print(table.to_markdown(labels={"Days": "Days awake"}).splitlines()[2])
        | Days awake | 10.467 | 8.891 | 12.044 |
        """
        shown = {"caption": caption, "labels": labels}
        return str(verbs.export(self, "markdown", path, digits=digits, **shown))

    def to_latex(
        self,
        path: Any = None,
        *,
        caption: str = "",
        label: str = "",
        labels: Mapping[str, str] | None = None,
        digits: int | None = None,
    ) -> str:
        r"""Return the result as LaTeX with booktabs, and write it to a file if one is named.

        The document needs ``booktabs``, for tables of more than 40 rows ``longtable``, and for
        quotation marks in names ``textcomp`` and ``\usepackage[T1]{fontenc}``.

        Parameters
        ----------
        path, caption, labels, digits
            As of ``to_html``.
        label : str
            Of the first table, for ``\ref``.

        Returns
        -------
        str

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> lines = hb.confint(fit).to_latex(caption="Sleep", label="tab:sleep").splitlines()
        >>> print(*lines[:3], sep="\n")
        \begin{table}
        \centering
        \caption{Sleep}\label{tab:sleep}
        """
        shown = {"caption": caption, "labels": labels, "label": label}
        return str(verbs.export(self, "latex", path, digits=digits, **shown))


@checked_methods("table")
class Exportable(Writable):
    """A result whose numbers can be taken elsewhere, too."""

    __slots__ = ()

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return the numbers as frames by name; a result of one table has one, without a name."""
        frame: pd.DataFrame = self.to_frame()  # type: ignore[attr-defined]
        return {"": frame}

    def plot(self, *args: Any, **options: Any) -> Any:
        """Draw the picture of this result.

        Parameters
        ----------
        *args, **options
            Of the picture, a function of ``hb.plot``.

        Returns
        -------
        figure, axes

        Raises
        ------
        NotSupportedError
            Where there is none; it says which pictures show what is in it.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
        >>> figure, axes = hb.emmeans(fit, "Machine", contrasts="pairwise").plot()
        >>> len(axes)
        2
        """
        return self._picture()(self, *args, **options)

    def _picture(self) -> verbs.Function:
        try:
            return verbs.function_of(type(self), "picture")
        except LookupError:
            raise no_picture(type(self).__name__) from None

    def to_excel(self, path: Any) -> "Path":
        """Write an Excel workbook: numbers in full precision, and a sheet of notes.

        Parameters
        ----------
        path : str or Path
            A file ending in ``.xlsx``.

        Returns
        -------
        pathlib.Path
            The workbook.

        Raises
        ------
        MissingPackageError
            Without the package openpyxl.
        OptionError
            If the file ends otherwise or can't be written.
        """
        write = verbs.load("render.workbook:write_workbook")
        written: Path = write(self.frames(), verbs.whole_blocks(self), path)
        return written

    def to_great_table(
        self,
        *,
        caption: str = "",
        labels: Mapping[str, str] | None = None,
        digits: int | None = None,
    ) -> Any:
        """Return the (first) table as a ``great_tables.GT``, to be styled further.

        Its cells are the texts of the other formats; notes are source notes.

        Parameters
        ----------
        caption, labels, digits
            As of ``to_html``.

        Returns
        -------
        great_tables.GT

        Raises
        ------
        MissingPackageError
            Without the package great_tables.
        """
        make = verbs.load("render.great_table:great_table")
        return make(verbs.whole_blocks(self, digits), caption=caption, labels=labels)

    def to_pandas(self) -> pd.DataFrame:
        """Return the numbers as a plain ``pandas.DataFrame``; notes stay in its ``attrs``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> type(hb.confint(fit).to_pandas()).__name__
        'DataFrame'
        """
        return plain_frame(self.frames())

    def to_polars(self) -> "polars.DataFrame":
        """Return the numbers as a ``polars.DataFrame``, the names of the rows as first column.

        Raises
        ------
        MissingPackageError
            Without the package polars.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
        >>> hb.confint(fit).to_polars().columns
        ['parameter', 'estimate', 'lower', 'upper']
        """
        return polars_frame(self.to_pandas())
