"""Values as they stand on a page: text, tables, and pictures on light and on dark ground."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

DPI = 130
SENTENCE = re.compile(r"<td>([^<]{40,})</td>")  # a cell that may go over several lines
STYLE = re.compile(r"<style.*?</style>\s*", re.DOTALL)


@dataclass
class Pictures:
    """The folder that pictures of a page go to, and how the page reaches it."""

    folder: Path
    address: str
    stem: str
    written: list[str] = field(default_factory=list)

    def write(self, figure: Any, ground: str) -> str:
        """Write a figure and return its address."""
        count = len(self.written) // 2 + 1
        name = f"{self.stem}-{count}-{ground}.png"
        self.folder.mkdir(parents=True, exist_ok=True)
        # one pixel size on either ground, so that the page does not move when it is switched
        figure.savefig(self.folder / name, dpi=DPI, metadata={"Software": None})
        self.written.append(name)
        return f"{self.address}/{name}"


def shown(
    printed: str, value: Any, pictures: Pictures, again: Callable[[], Any] | None = None
) -> str:
    """Write what a block printed and the value of its last line as Markdown.

    Parameters
    ----------
    printed : text of the standard output
    value : of the last line; None shows nothing
    pictures : where pictures go
    again : draws the picture once more, for dark pages
    """
    parts = [as_text(printed)] if printed.strip() else []
    figure = figure_of(value)
    if figure is not None:
        parts.append(as_picture(figure, pictures, again))
    elif value is not None:
        parts.append(as_value(value))
    return "".join(f"\n{part}\n" for part in parts)


def as_text(text: str) -> str:
    """Write text as it was printed."""
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```{{code-block}} text\n:class: output\n\n{lines}\n```"


def as_warnings(sentences: Sequence[str]) -> str:
    """Write warnings as sentences that fit any screen."""
    return "".join(
        f'\n````{{raw}} html\n<p class="output warned">{escape(sentence)}</p>\n````\n'
        for sentence in sentences
    )


def as_value(value: Any) -> str:
    """Write a value as a notebook shows it: a table where it has one, else its text."""
    written = getattr(value, "_repr_html_", None)
    with pd.option_context("display.max_colwidth", None, "display.max_columns", None):
        page = written() if written is not None else None
    if not page:
        return as_text(value if isinstance(value, str) else repr(value))
    return as_html(SENTENCE.sub(r'<td class="text">\1</td>', STYLE.sub("", page)))


def as_html(page: str) -> str:
    """Write a piece of HTML; wide tables are moved sideways inside of it."""
    lines = "\n".join(line for line in page.splitlines() if line.strip())
    return f'````{{raw}} html\n<div class="output table">{lines}</div>\n````'


def figure_of(value: Any) -> Any:
    """Return the figure that a picture's function returned, else None."""
    from matplotlib.figure import Figure

    if isinstance(value, tuple) and value and isinstance(value[0], Figure):
        return value[0]
    return value if isinstance(value, Figure) else None


def as_picture(
    figure: Any, pictures: Pictures, again: Callable[[], Any] | None = None, words: str = ""
) -> str:
    """Write a figure, and the same on dark ground where it can be drawn again."""
    from matplotlib import pyplot

    import hierbayes as hb

    words = " ".join((words or hb.plot.alt_text(figure)).split())
    light = image(pictures.write(figure, "light"), words, figure, "only-light")
    dark = ""
    theme = getattr(hb.plot, "theme", None)
    if again is not None and theme is not None:
        with theme("dark"):
            other = figure_of(again())
        if other is not figure:  # a name that holds a picture shows it as it was drawn
            dark = image(pictures.write(other, "dark"), words, other, "only-dark")
    if not dark:
        light = light.replace("only-light", "on-paper")
        pictures.written.append("")
    pyplot.close("all")
    return f"::::{{container}} frame\n{light}{dark}::::"


def image(address: str, words: str, figure: Any, ground: str) -> str:
    """Write the lines that place an image, at the size it was drawn."""
    width = round(figure.get_size_inches()[0] * 96)
    words = words.replace("\\", "").replace("`", "'")
    return (
        f"```{{image}} {address}\n:alt: {words}\n:class: picture {ground}\n:width: {width}px\n```\n"
    )
