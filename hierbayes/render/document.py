"""A report before it is a file: a title and sections of blocks.

The same document is written as one self-contained HTML page, as Markdown and as LaTeX, so that the
three say the same. HTML carries the pictures inside; the other two leave them out and say so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.files import checked_path, shown
from hierbayes.render import latex, markdown
from hierbayes.render.blocks import Section
from hierbayes.render.html import page
from hierbayes.render.output_files import write_files


@record(kw_only=False)
class Document:
    """Title and sections."""

    title: str
    sections: tuple[Section, ...]

    def html(self) -> str:
        """One self-contained page: nothing is loaded from elsewhere."""
        return page(self.title, self.sections)

    def markdown(self) -> str:
        """Markdown with pipe tables."""
        return markdown.document(self.title, self.sections)

    def latex(self) -> str:
        """Sections for a LaTeX document; the first lines say which packages it needs."""
        return latex.document(self.title, self.sections)


def write_document(document: Document, path: Any) -> Path:
    """Write a document to a file whose ending says how: .html, .md or .tex.

    Raises
    ------
    OptionError
        If the path ends otherwise, or can't be written; nothing is half written.
    """
    writers: dict[str, Callable[[], str]] = {
        ".html": document.html,
        ".htm": document.html,
        ".md": document.markdown,
        ".tex": document.latex,
    }
    target = checked_path(path)
    if target.suffix.lower() not in writers:
        raise OptionError(
            f"A report is written to a file that ends in .html, .md or .tex; {shown(target)} does "
            "not."
        )
    write_files(target.parent, {target.name: writers[target.suffix.lower()]().encode()})
    return target
