"""The tutorials, which are marimo notebooks, as Markdown pages with their results.

A notebook's page by marimo fetches its front end from elsewhere and is blank without a network. So
its cells are run here, each after those that define what it takes, and written down in the order
of the file: prose as prose, code with what it prints and shows below it. Only Python's own parser
is used: a cell is a function whose arguments are the names it takes, and which returns those it
defines.
"""

import ast
import contextlib
import inspect
import io
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docs.site.shown import Pictures, as_text, shown

ITSELF = "import marimo as mo"  # says nothing on a page


class Prose(str):
    """Markdown that a cell shows."""


@dataclass(frozen=True)
class Cell:
    """One cell: what it takes and defines, its code as shown, and the function that runs it."""

    takes: tuple[str, ...]
    defines: tuple[str, ...]
    source: str
    hidden: bool
    code: Any


def cells_of(path: Path) -> list[Cell]:
    """Read the cells of a notebook in the order of the file."""
    text = path.read_text(encoding="utf-8")
    return [
        _cell(node, text, path)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
        and any("app.cell" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def _cell(node: ast.FunctionDef, text: str, path: Path) -> Cell:
    hidden = "hide_code=True" in " ".join(map(ast.unparse, node.decorator_list))
    body, defines = node.body, ()
    if isinstance(body[-1], ast.Return):
        body, given = body[:-1], body[-1].value
        if given is not None:
            elements = given.elts if isinstance(given, ast.Tuple) else [given]
            defines = tuple(element.id for element in elements if isinstance(element, ast.Name))
    lines = text.splitlines()[body[0].lineno - 1 : body[-1].end_lineno] if body else []
    source = textwrap.dedent("\n".join(line for line in lines if line.strip() != ITSELF))
    value: ast.expr = ast.Constant(None)
    if body and isinstance(body[-1], ast.Expr):
        body, value = body[:-1], body[-1].value
    given_back = ast.Tuple([value, *(ast.Name(n, ast.Load()) for n in defines)], ast.Load())
    node.body, node.decorator_list = [*body, ast.Return(given_back)], []
    module = ast.fix_missing_locations(ast.Module([node], []))
    names: dict[str, Any] = {}
    exec(compile(module, str(path), "exec"), names)
    takes = tuple(argument.arg for argument in node.args.args)
    return Cell(takes, defines, source, hidden, names[node.name])


@dataclass(frozen=True)
class Ran:
    """What a cell printed and showed."""

    printed: str
    value: Any


def run_cells(cells: list[Cell]) -> tuple[list[Ran], dict[str, Any]]:
    """Run each cell once all it takes is there; return what they showed, and all they define."""
    names: dict[str, Any] = {}
    found: dict[int, Ran] = {}
    while len(found) < len(cells):
        ready = [
            i for i, cell in enumerate(cells) if i not in found and set(cell.takes) <= names.keys()
        ]
        if not ready:
            raise AssertionError("the cells of a notebook wait for each other")
        for i in ready:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                value, *defined = cells[i].code(**{name: names[name] for name in cells[i].takes})
            names |= dict(zip(cells[i].defines, defined, strict=True))
            if "mo" in cells[i].defines:
                names["mo"] = SimpleNamespace(md=lambda text: Prose(inspect.cleandoc(text)))
            found[i] = Ran(printed.getvalue(), value)
    return [found[i] for i in range(len(cells))], names


def notebook_page(path: Path, pictures: Pictures) -> str:
    """Run a notebook and write it as Markdown."""
    cells = cells_of(path)
    ran, names = run_cells(cells)
    parts = []
    for cell, result in zip(cells, ran, strict=True):
        if isinstance(result.value, Prose):
            parts.append(result.value)
            if result.printed.strip():
                parts.append(as_text(result.printed))
            continue
        if cell.source and not cell.hidden:
            parts.append(f"```python\n{cell.source}\n```")
        parts.append(shown(result.printed, result.value, pictures, _again(cell, names)))
    return "\n\n".join(parts) + "\n"


def _again(cell: Cell, names: dict[str, Any]) -> Any:
    def value() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return cell.code(**{name: names[name] for name in cell.takes})[0]

    return value
