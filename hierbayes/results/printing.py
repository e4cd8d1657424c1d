"""How results are printed and reported: by what the table of verbs names for their class."""

from typing import TYPE_CHECKING, Any, Literal

from hierbayes.calls import checked_methods
from hierbayes.errors import UnknownNameError
from hierbayes.results import verbs
from hierbayes.wording import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

Form = Literal["text", "html", "markdown", "latex"]
# form -> what writes blocks in it, as module:function
WRITERS: dict[Form, str] = {
    "text": "render.text:text",
    "html": "render.html:fragment",
    "markdown": "render.markdown:markdown",
    "latex": "render.latex:latex",
}


def written(result: "Printable", form: Form) -> str:
    """Return a result as text, as HTML for a notebook, as Markdown or as LaTeX."""
    return str(verbs.load(WRITERS[form])(verbs.ask(result, "blocks")))


def _unknown(result: object, name: str) -> str:
    """Say what a name that isn't there is called: a column of the table, or the nearest."""
    kind = type(result).__name__
    if hasattr(type(result), "to_frame"):
        columns = list(map(str, result.to_frame().columns))  # type: ignore[attr-defined]
        if name in columns:
            return f"{kind} has no {name!r}: it is a column of its table, to_frame()[{name!r}]."
    own = [n for n in dir(result) if not n.startswith("_")]
    return f"{kind} has no {name!r}{did_you_mean(name, own)}"


@checked_methods("result")
class Reportable:
    """A result with a report of its own."""

    __slots__ = ()

    def report(self, path: Any) -> "Path":
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
        written: Path = verbs.ask(verbs.ask(self, "report"), "write", path)
        return written


class Printable:
    """A result that prints as text and shows as HTML in a notebook."""

    __slots__ = ()

    if not TYPE_CHECKING:  # which would take any name for one that is there

        def __getattr__(self, name: str) -> Any:
            """Refuse a name that isn't there; Python asks here when all else has failed."""
            inherited = getattr(super(), "__getattr__", None)
            if inherited is not None:  # a data frame's columns
                return inherited(name)
            if name.startswith("_") or hasattr(type(self), name):
                return object.__getattribute__(self, name)
            raise UnknownNameError(_unknown(self, name))

    def __str__(self) -> str:
        """Return the result as text."""
        return written(self, "text")

    def __repr__(self) -> str:
        """Return the same as ``str``: results are read, not evaluated."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the result as HTML with its own style."""
        return written(self, "html")
