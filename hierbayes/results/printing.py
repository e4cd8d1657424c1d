"""How results come to be printed and drawn without knowing the layers that do it.

Rendering lives in ``reports/`` and ``render/``, above this layer. A result derives from
``Printable``; the package registers, by class name, the function that writes it. It is loaded on
first use, so a fit that is never printed never imports it; a class of one's own is written as its
ancestor is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from hierbayes.calls import checked_methods

Form = Literal["text", "html", "markdown", "latex"]
Writer = Callable[[Any, Form], str]
_writers: dict[str, Writer] = {}
_reports: dict[str, Callable[[Any, Any], Path]] = {}
_pictures: dict[str, Callable[[], Callable[..., Any]]] = {}


def register_writer(class_name: str, write: Writer) -> None:
    """Say what writes results of a class: ``write(result, form)``."""
    _writers[class_name] = write


def register_picture(class_name: str, load: Callable[[], Callable[..., Any]]) -> None:
    """Say what draws results of a class; ``load()`` loads the function."""
    _pictures[class_name] = load


def picture_of(result: Any, **options: Any) -> Any:
    """Return the figure and axes that the function registered for this class draws."""
    return _registered(_pictures, result)()(result, **options)


def register_report(class_name: str, write: Callable[[Any, Any], Path]) -> None:
    """Say what writes the report of results of a class: ``write(result, path)``."""
    _reports[class_name] = write


def written(result: "Printable", form: Form) -> str:
    """Return a result as text, as HTML for a notebook, as Markdown or as LaTeX."""
    return _registered(_writers, result)(result, form)


def _registered[T](table: dict[str, T], result: object) -> T:
    """Return what a table holds for the class of a result, or for the nearest of its ancestors."""
    names = [cls.__name__ for cls in type(result).__mro__]
    return next(table[name] for name in names if name in table)


@checked_methods("result")
class Reportable:
    """A result with a report of its own."""

    __slots__ = ()

    def report(self, path: Any) -> Path:
        """Write a report to a file; its ending says how.

        Parameters
        ----------
        path : a file ending in ``.html`` (one self-contained page with pictures, nothing is loaded
            from elsewhere), ``.md`` or ``.tex``

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        OptionError
            If the path ends otherwise, or can't be written; nothing is half written.

        Examples
        --------
        >>> import tempfile, pathlib, hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> fit.report(pathlib.Path(tempfile.mkdtemp()) / "dyestuff.html").name
        'dyestuff.html'
        """
        return _registered(_reports, self)(self, path)


class Printable:
    """A result that prints as text and shows as HTML in a notebook."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the result as text."""
        return written(self, "text")

    def __repr__(self) -> str:
        """Return the same as ``str``: results are read, not evaluated."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the result as HTML with its own style."""
        return written(self, "html")
