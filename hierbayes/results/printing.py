"""How results are printed and reported: by what the table of verbs names for their class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from hierbayes.calls import checked_methods
from hierbayes.errors import OptionError, UnknownNameError
from hierbayes.files import checked_report
from hierbayes.options import Guideline, check_flag
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

    def report(
        self,
        path: Any,
        *,
        title: str | None = None,
        sections: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        equation: bool = False,
        guideline: Guideline | None = None,
        statements: Mapping[str, str] | None = None,
        rope: Mapping[str, tuple[float, float]] | None = None,
    ) -> "Path":
        """Write a report to a file; its ending says how.

        What was found comes first, in words; then the table for the paper and pictures of effects,
        levels and checks; summary, model and numbers of every level are folded below.

        Parameters
        ----------
        path : a file ending in ``.html`` (one self-contained page with pictures, nothing is loaded
            from elsewhere), ``.md`` or ``.tex``
        title : str, optional
            Of the page; formula and data unless given.
        sections : sequence of str, optional
            Which sections, in this order; of a fit "result", "table", "effects", "levels",
            "checks", "details" and "code", of a comparison also "picture" and "differences".
        labels : mapping, optional
            What parameters, levels and columns are called.
        equation : bool
            Whether the details show the model as an equation in LaTeX.
        guideline : {"BARG", "WAMBS", "JARS-Bayes"}, optional
            Report a posterior or reanalysis by a guideline instead: a checklist leads from each
            of its items to where it stands, filled from the fit or left to the author. All
            sections are there.
        statements : mapping, optional
            With a guideline: what only the author can say, by slot, for example
            ``{"goals": "..."}``; a slot that is not filled says what belongs there.
        rope : mapping, optional
            With a guideline: the region of practical equivalence of parameters, as
            ``{"Days": (-1, 1)}``; the probabilities of lying below, within and above are counted.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        OptionError
            If the path ends otherwise, or can't be written, or an option doesn't fit; nothing is
            half written.

        Examples
        --------
        >>> import tempfile, pathlib, hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> fit.report(folder / "dyestuff.html").name
        'dyestuff.html'
        >>> post = fit.model.sample(random_seed=1)
        >>> post.report(folder / "barg.md", guideline="BARG", rope={"sigma": (0, 50)}).name
        'barg.md'
        """
        check_flag("equation", equation, "True (show the model in LaTeX) or False")
        if sections is not None and (guideline or getattr(self, "guideline", None)) is not None:
            raise OptionError(
                "sections= leaves out what the checklist of a guideline leads to; give one of the "
                "two."
            )
        checked_report(path)  # said before the work
        document = report_document(
            self,
            guideline=guideline,
            statements=statements,
            rope=rope,
            labels=labels,
            equation=equation,
        )
        written: Path = verbs.ask(
            document, "write", path, title=title, sections=sections, labels=labels
        )
        return written


def report_document(
    result: Reportable,
    *,
    guideline: Guideline | None = None,
    statements: Mapping[str, str] | None = None,
    rope: Mapping[str, tuple[float, float]] | None = None,
    **options: Any,
) -> Any:
    """Return the document of a report; the options are those of ``Reportable.report``."""
    chosen = guideline or getattr(result, "guideline", None)
    if chosen is not None:
        return verbs.ask(result, "by_guideline", chosen, statements=statements, rope=rope)
    if statements is not None or rope is not None:
        raise OptionError(
            'statements= and rope= are of a report by a guideline; give guideline="BARG", '
            '"WAMBS" or "JARS-Bayes" as well.'
        )
    return verbs.ask(result, "report", **options)


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

    def _display_(self) -> "Shown":
        """Return what marimo shows: it looks at types (str, DataFrame) before ``_repr_html_``."""
        return Shown(html=self._repr_html_())


class Shown:
    """A piece of HTML or Markdown as notebooks show it.

    Parameters
    ----------
    html, markdown : one of the two
    """

    def __init__(self, *, html: str | None = None, markdown: str | None = None) -> None:
        self.html, self.markdown = html, markdown

    def _repr_html_(self) -> str | None:
        return self.html

    def _repr_markdown_(self) -> str | None:
        return self.markdown
