"""Text that prints as it is and shows as a page, or as mathematics, in a notebook.

``fit.summary()``, ``model.explain()`` and ``model.latex()`` return these: they are ``str`` in all
but how Jupyter, VS Code and marimo show them, and are exported as every result.
"""

from collections.abc import Sequence
from typing import Any

from hierbayes.results import verbs
from hierbayes.results.exporting import Writable
from hierbayes.results.printing import WRITERS, Shown


class RichText(Writable, str):
    """Lines of a result, with the blocks they were made of.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> text = fit.summary()
    >>> isinstance(text, str), "<table" in text.to_html()
    (True, True)
    """

    blocks: Sequence[Any]

    def __new__(cls, text: str, blocks: Sequence[Any] = ()) -> "RichText":
        """Make the text; the blocks are what a page shows for it."""
        made = super().__new__(cls, text)
        made.blocks = tuple(blocks)
        return made

    def __str__(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return str.__str__(self)

    def __getnewargs__(self) -> tuple[str, Sequence[Any]]:  # type: ignore[override]
        return str(self), tuple(verbs.load("render.blocks:page_blocks")(self.blocks))

    def __reduce__(self) -> Any:
        return type(self), self.__getnewargs__()


def rich_text(blocks: Sequence[Any]) -> RichText:
    """Return blocks as the text of a terminal that shows as a page in a notebook."""
    return RichText(verbs.load(WRITERS["text"])(blocks), blocks)


def blocks_of(text: RichText) -> Sequence[Any]:
    """Return the blocks that a page shows for a text."""
    return text.blocks


class Equation(str):
    r"""LaTeX of an equation, shown as mathematics in a notebook.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> print(model.latex().splitlines()[0])
    \begin{aligned}
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)

    def _repr_latex_(self) -> str:
        return f"$$\n{self}\n$$"

    def _display_(self) -> Shown:
        """Return what marimo shows, which looks at the type ``str`` before the methods above."""
        return Shown(markdown=self._repr_latex_())
