"""A report before it is a file: a title and sections of blocks.

The same document is written as one self-contained HTML page, as Markdown and as LaTeX, so that the
three say the same. HTML carries the pictures inside; the other two leave them out and say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.files import REPORT_ENDINGS, checked_report
from hierbayes.render import latex, markdown
from hierbayes.render.blocks import Section
from hierbayes.render.exports import checked_labels, renamed
from hierbayes.render.html import page
from hierbayes.render.output_files import write_files
from hierbayes.wording import listed
from hierbayes.wording import shown as given


@record(kw_only=False)
class Document:
    """Title and sections."""

    title: str
    sections: tuple[Section, ...]

    def chosen(
        self, title: str | None, names: Sequence[str] | None, labels: Mapping[str, str] | None
    ) -> "Document":
        """Return the document with another title, with some of its sections, with other names.

        Raises
        ------
        OptionError
            If a section is none of the document's, or an argument is of another kind.
        """
        if title is not None and not isinstance(title, str):
            raise OptionError(f"title={given(title)} must be a text.")
        known = {section.name: section for section in self.sections}
        sections = self.sections
        if names is not None:
            if isinstance(names, str) or not isinstance(names, Sequence):
                raise OptionError(
                    f"sections={given(names)} must be a list of {listed(list(known))}."
                )
            for name in names:
                if name not in known:
                    raise OptionError(f"sections: {given(name)} is none of {listed(list(known))}.")
            sections = tuple(known[name] for name in names)
        called = checked_labels(labels)
        if called:
            sections = tuple(
                replace(section, blocks=renamed(section.blocks, called)) for section in sections
            )
        return Document(self.title if title is None else title, sections)

    def html(self) -> str:
        """One self-contained page: nothing is loaded from elsewhere."""
        return page(self.title, self.sections)

    def markdown(self) -> str:
        """Markdown with pipe tables."""
        return markdown.document(self.title, self.sections)

    def latex(self) -> str:
        """Sections for a LaTeX document; the first lines say which packages it needs."""
        return latex.document(self.title, self.sections)


def write_document(
    document: Document,
    path: Any,
    *,
    title: str | None = None,
    sections: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Path:
    """Write a document to a file whose ending says how: .html, .md or .tex.

    Parameters
    ----------
    document : Document
    path : the file
    title, sections, labels : as of ``Document.chosen``

    Raises
    ------
    OptionError
        If the path ends otherwise, or can't be written; nothing is half written.
    """
    document = document.chosen(title, sections, labels)
    writers = (document.html, document.html, document.markdown, document.latex)
    target = checked_report(path)
    write = dict(zip(REPORT_ENDINGS, writers, strict=True))[target.suffix.lower()]
    write_files(target.parent, {target.name: write().encode()})
    return target
