"""How results come to be printed and drawn without knowing the layers that do it.

Rendering lives in ``reports/``, above this layer. A result derives from ``Printable``; the package
registers, by class name, the functions that render it as text and as HTML. They are loaded on
first use, so a fit that is never printed never imports them.
"""

from collections.abc import Callable
from typing import Any

from hierbayes.calls import checked_methods

Renderer = Callable[[Any], str]
_text: dict[str, Callable[[], Renderer]] = {}
_html: dict[str, Callable[[], Renderer]] = {}
_reports: dict[str, Callable[[Any, Any], Any]] = {}
_pictures: dict[str, Callable[[], Callable[..., Any]]] = {}


def register_renderers(
    class_name: str, *, text: Callable[[], Renderer], html: Callable[[], Renderer]
) -> None:
    """Say how results of a class are rendered; ``text()`` and ``html()`` load the renderers."""
    _text[class_name] = text
    _html[class_name] = html


def register_picture(class_name: str, load: Callable[[], Callable[..., Any]]) -> None:
    """Say what draws results of a class; ``load()`` loads the function."""
    _pictures[class_name] = load


def picture_of(result: Any, **options: Any) -> Any:
    """Return the figure and axes that the function registered for this class draws."""
    return _pictures[type(result).__name__]()(result, **options)


def register_report(class_name: str, write: Callable[[Any, Any], Any]) -> None:
    """Say what writes the report of results of a class: ``write(result, path)``."""
    _reports[class_name] = write


@checked_methods("result")
class Reportable:
    """A result with a report of its own."""

    __slots__ = ()

    def report(self, path: Any) -> Any:
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
        return _reports[type(self).__name__](self, path)


class Printable:
    """A result that prints as text and shows as HTML in a notebook."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the text rendering registered for this class."""
        return _text[type(self).__name__]()(self)

    def __repr__(self) -> str:
        """Return the same as ``str``: results are read, not evaluated."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the HTML rendering registered for this class."""
        return _html[type(self).__name__]()(self)
