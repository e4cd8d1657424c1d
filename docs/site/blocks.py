"""The Python blocks of a Markdown page: found, run from top to bottom, shown with their results.

The blocks of one page share a namespace, as the cells of a notebook do. What a block prints, the
warnings of the library, and the value of its last line stand below it. Knows no Sphinx: a page goes
in as Markdown and comes out as Markdown with its results, and the tests run pages the same way.
"""

import ast
import contextlib
import io
import os
import re
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.site.shown import Pictures, as_warnings, shown

BLOCK = re.compile(r"^(?P<indent> *)```python\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block: its code without indent, and where it stands in the text of its page."""

    code: str
    indent: str
    start: int
    end: int


def blocks_of(text: str) -> list[Block]:
    """Return the Python blocks of a page in order."""
    return [
        Block(textwrap.dedent(found["code"]), found["indent"], found.start(), found.end())
        for found in BLOCK.finditer(text)
    ]


@dataclass(frozen=True)
class Outcome:
    """What a block printed, the warnings of the library, and the value of its last line."""

    printed: str
    warned: tuple[str, ...]
    value: Any
    last: Any  # the code of that line, to draw its picture once more


def run(code: str, names: dict[str, Any], label: str = "<page>") -> Outcome:
    """Run one block in a namespace; a last line that is an expression gives the value."""
    tree = ast.parse(code)
    last, value = None, None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), label, "eval")
    printed, warned = io.StringIO(), []
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", _our_warning())
        warnings.showwarning = lambda message, category, *_: warned.append(
            f"{category.__name__}: {message}"
        )
        exec(compile(tree, label, "exec"), names)
        if last is not None:
            value = eval(last, names)
    return Outcome(printed.getvalue(), tuple(warned), value, last)


def _our_warning() -> type[Warning]:
    from hierbayes import HierBayesWarning

    return HierBayesWarning


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Work in an empty folder: pages write files as their readers would."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def run_page(text: str, label: str = "<page>") -> list[Outcome]:
    """Run all blocks of a page in one fresh namespace."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with scratch_folder():
        return [run(block.code, names, label) for block in blocks_of(text)]


def with_results(text: str, pictures: Pictures, label: str = "<page>") -> str:
    """Return the page with what each of its blocks gives below it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    parts, at = [], 0
    with scratch_folder():
        for block in blocks_of(text):
            outcome = run(block.code, names, label)
            again = None if outcome.last is None else _again(outcome.last, names)
            below = as_warnings(outcome.warned)
            below += shown(outcome.printed, outcome.value, pictures, again)
            parts += [text[at : block.end], "\n", textwrap.indent(below, block.indent)]
            at = block.end
    return "".join([*parts, text[at:]])


def _again(last: Any, names: dict[str, Any]) -> Any:
    def value() -> Any:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return eval(last, names)

    return value


def cells_of_tables(text: str) -> list[str]:
    """Return the code in the last column of the tables of a page that holds more than a name."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    found = []
    for row in rows:
        last = re.split(r"(?<!\\)\|", row)[-2].replace(r"\|", "|")
        found += [code for code in re.findall(r"`([^`]+)`", last) if re.search(r"[.(]", code)]
    return found
