"""Blocks as a text to be taken elsewhere: with a caption, other names, perhaps as a file."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from hierbayes.errors import OptionError
from hierbayes.files import checked_path
from hierbayes.render import blocks as kinds
from hierbayes.render.html import fragment, page
from hierbayes.render.latex import PACKAGES, latex
from hierbayes.render.markdown import markdown
from hierbayes.render.output_files import write_files
from hierbayes.wording import shown

LABEL = re.compile(r"[\w:.+/-]*")


def exported(
    blocks: Iterable[kinds.Block],
    form: str,
    path: Any = None,
    *,
    caption: str = "",
    labels: Mapping[str, str] | None = None,
    label: str = "",
) -> str:
    """Return blocks as HTML, Markdown or LaTeX; written to a file as well if one is named.

    Parameters
    ----------
    blocks : of the whole result
    form : "html", "markdown" or "latex"
    path : file to write, or None
    caption : of the first table
    labels : what names of rows and columns are replaced by
    label : of the first table, for LaTeX's references

    Raises
    ------
    OptionError
        If an argument is of another kind, or the file can't be written.
    """
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise OptionError(
            f"label={shown(label)} must be letters, digits and any of : . + / - _, for example "
            '"tab:sleep".'
        )
    chosen = prepared(blocks, caption=caption, labels=labels)
    writers: dict[str, Callable[[], str]] = {
        "html": lambda: fragment(chosen),
        "markdown": lambda: markdown(chosen),
        "latex": lambda: latex(chosen, label=label),
    }
    text = writers[form]()
    if path is not None:
        target = checked_path(path)
        whole = text
        if form == "html":
            whole = page(caption or "Table", [kinds.Section("", chosen)], heading=False)
        elif form == "latex":
            whole = f"{PACKAGES}\n{text}"
        write_files(target.parent, {target.name: f"{whole.rstrip()}\n".encode()})
    return text


def prepared(
    blocks: Iterable[kinds.Block], *, caption: str, labels: Mapping[str, str] | None
) -> list[kinds.Plain]:
    """Return the blocks of a page with a caption for the first table and other names.

    Raises
    ------
    OptionError
        If the caption is no text, or the labels are no mapping of texts to texts.
    """
    if not isinstance(caption, str):
        raise OptionError(f"caption={shown(caption)} must be a text.")
    names = checked_labels(labels)
    found = []
    for block in kinds.page_blocks(blocks):
        if isinstance(block, kinds.Table):
            block = relabelled(replace(block, caption=caption or block.caption), names)
            caption = ""
        found.append(block)
    return found


def checked_labels(labels: Any) -> dict[str, str]:
    """Return the argument ``labels`` as a dict of texts; else OptionError."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping) or not all(
        isinstance(text, str) for pair in labels.items() for text in pair
    ):
        raise OptionError(
            f"labels={shown(labels)} must say what names are called, for example "
            '{"Days": "Days of deprivation"}.'
        )
    return dict(labels)


def renamed(blocks: Iterable[kinds.Block], names: Mapping[str, str]) -> list[kinds.Plain]:
    """Return the blocks of a page with other names in their tables, those of details too."""
    found: list[kinds.Plain] = []
    for block in kinds.page_blocks(blocks):
        if isinstance(block, kinds.Table):
            found.append(relabelled(block, names))
        elif isinstance(block, kinds.Folded):
            found.append(replace(block, blocks=renamed(block.blocks, names)))
        else:
            found.append(block)
    return found


def relabelled(table: kinds.Table, names: Mapping[str, str]) -> kinds.Table:
    """Return a table with other names of its rows and columns, and of what stands in words."""
    if not names:
        return table
    columns = [
        (names.get(name, name), [names.get(cell, cell) for cell in cells] if j < table.labels
         else cells)
        for j, (name, cells) in enumerate(table.columns)
    ]  # fmt: skip
    rows = None if table.rows is None else [names.get(row, row) for row in table.rows]
    return replace(table, columns=columns, rows=rows)
