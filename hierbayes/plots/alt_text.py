"""What a picture shows, in words, for those who cannot see it and for pages that embed it.

A picture describes the axes it drew (or its whole figure); a page asks for the words of a figure.
"""

from typing import Any
from weakref import WeakKeyDictionary

from hierbayes.calls import checked_call
from hierbayes.errors import OptionError
from hierbayes.plots.labels import unquoted
from hierbayes.wording import shown

_words: "WeakKeyDictionary[Any, str]" = WeakKeyDictionary()


def describe(drawn: Any, text: str) -> None:
    """Say in words what matplotlib axes, or a whole figure, show; earlier words are replaced."""
    _words[drawn] = unquoted(text)


@checked_call("plot.alt_text")
def alt_text(drawn: Any) -> str:
    """Return the words of axes or of a figure; empty where nothing was said.

    Parameters
    ----------
    drawn : matplotlib axes, or a figure: its own words, or else those of its axes and of the
        pictures in it in turn

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> describe(figure.add_subplot(), "An empty panel.")
    >>> alt_text(figure)
    'An empty panel.'
    """
    if not hasattr(drawn, "get_figure"):
        raise OptionError(
            f"alt_text takes matplotlib axes or a figure, as a picture returns them; it got "
            f"{shown(drawn)}."
        )
    if drawn in _words:
        return _words[drawn]
    if not hasattr(drawn, "add_subplot"):
        return ""
    own = [ax for ax in drawn.axes if ax.figure is drawn]
    return " ".join(
        filter(None, [*(_words.get(ax, "") for ax in own), *map(alt_text, drawn.subfigs)])
    )
