"""The rules about where code lives: imports point one way, and no code runs a user's text."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import hierbayes

ROOT = Path(__file__).parents[1] / "hierbayes"
LAYERS = (
    "arrays",
    "errors",
    "wording",
    "spellings",
    "contract",
    "capabilities",
    "options",
    "progress",
    "calls",
    "files",
    "linalg",
    "datasets",
    "formula",
    "design",
    "relatedness",
    "families",
    "gaussian",
    "generalised",
    "naming",
    "priors",
    "streams",
    "specification",
    "results",
    "likelihood bayes",
    "intervals",
    "prediction",
    "marginal_means pooling psychometrics",
    "marginal_effects",
    "prior_sensitivity",
    "comparison",
    "checks",
    "planning",
    "plots",
    "render",
    "reports",
    "saving",
    "model",
    "studies",
    "lab",
    "cli",
    "__init__",
    "__main__",
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
# A fit gives its model back, whose class is above it: here a type alone may be named.
GIVES_BACK = {ROOT / "results" / "fit_tables.py"}
SHAPELESS = {"utils", "util", "helpers", "helper", "common", "misc"}
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
RUNS_CODE_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_layers(node: ast.AST) -> list[str]:
    """Layers that one import statement names; a relative import is no layer and so always wrong."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            return ["(relative)"]
        # `from hierbayes import x` is an import of the whole package
        names = [node.module or ""]
    else:
        return []
    paths = [name.split(".") for name in names]
    return [(path[1:] or ["__init__"])[0] for path in paths if path[0] == "hierbayes"]


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


HOLD_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


def nodes_of(tree: ast.AST, *, types: bool = True):
    """All statements of a tree, those that are for type checkers only if asked for."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, HOLD_STATEMENTS) and (types or not is_for_types(child)):
            yield from nodes_of(child, types=types)


def wrong_imports(tree: ast.AST, here: str, *, types: bool = True) -> list[str]:
    """Layers that a file of layer ``here`` must not import but does."""
    nodes = nodes_of(tree, types=types)
    targets = [t for node in nodes for t in imported_layers(node)]
    return [t for t in targets if t != here and RANK.get(t, len(RANK)) >= RANK[here]]


@dataclass(frozen=True)
class Read:
    """What is read off a file: imports it must not have, what it imports, functions of any fit."""

    wrong: list[str]
    imported: set[str]
    untyped: list[str]


@cache
def all_read() -> dict[Path, Read]:
    """Every file of the package, parsed once."""
    found = {}
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        wrong = wrong_imports(tree, layer_of(path), types=path not in GIVES_BACK)
        found[path] = Read(wrong, imported_names(tree), untyped_fits(tree))
    return found


def test_imports_point_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {target}"
        for path, own in all_read().items()
        for target in own.wrong
    ]
    assert not wrong, "\n".join(wrong)


def imported_names(tree: ast.AST) -> set[str]:
    """Modules, and what may be modules, that a file imports, anywhere in its code."""
    names = set()
    for node in nodes_of(tree, types=False):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def first_circle(arrows: dict[Path, set[Path]]) -> list[Path]:
    """Files that import each other in a circle, if there are any: none can be taken first."""
    left = {path: set(targets) for path, targets in arrows.items()}
    while free := [path for path, targets in left.items() if not targets & left.keys()]:
        for path in free:
            del left[path]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle():
    files = {
        ".".join(["hierbayes", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        ): path
        for path in ROOT.rglob("*.py")
    }
    arrows = {
        path: {files[name] for name in own.imported if name in files} - {path}
        for path, own in all_read().items()
    }
    assert not first_circle(arrows)


def test_a_circle_of_files_is_seen():
    a, b, c = Path("a"), Path("b"), Path("c")
    assert first_circle({a: {b}, b: {c}, c: {a}}) == [a, b, c]
    assert not first_circle({a: {b}, b: {c}, c: set()})


def test_no_folder_bears_the_name_of_a_public_function():
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    functions = {name for name in hierbayes.__all__ if callable(getattr(hierbayes, name))}
    assert not names & functions


@pytest.mark.parametrize(
    ("source", "here", "wrong"),
    [
        ("from hierbayes.formula.terms import Term", "design", []),
        ("from hierbayes.design.design import Design", "design", []),
        ("from hierbayes.design.design import Design", "formula", ["design"]),
        ("import hierbayes.design", "formula", ["design"]),
        ("import numpy, hierbayes.cli as cli", "formula", ["cli"]),
        ("def f():\n    from hierbayes.model import Model", "prediction", ["model"]),
        ("from hierbayes.bayes.nuts import sample", "likelihood", ["bayes"]),
        ("from hierbayes import lmer", "reports", ["__init__"]),
        ("import hierbayes", "reports", ["__init__"]),
        ("from .terms import Term", "formula", ["(relative)"]),
        ("from hierbayes.nowhere import x", "model", ["nowhere"]),
    ],
)
def test_each_spelling_of_a_wrong_import_is_seen(source, here, wrong):
    assert wrong_imports(ast.parse(source), here) == wrong


def test_every_file_has_a_layer():
    files = {layer_of(path) for path in ROOT.rglob("*.py")}
    assert files <= RANK.keys()


def test_files_are_named_by_a_concept():
    names = {path.stem for path in ROOT.rglob("*.py")}
    assert not names & SHAPELESS


def code_runners(source: str) -> list[str]:
    """Calls that run text as code, and modules whose loading runs code, in one file."""
    found: list[str] = []
    if not any(word in source for word in (*RUNS_CODE, *RUNS_CODE_MODULES, "allow_pickle")):
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in RUNS_CODE else []
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in RUNS_CODE_MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [m for m in [(node.module or "").split(".")[0]] if m in RUNS_CODE_MODULES]
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found += ["allow_pickle"] if getattr(node.value, "value", True) else []
    return found


def test_no_code_of_ours_runs_text_or_unpickles():
    found = {
        str(path.relative_to(ROOT)): runners
        for path in ROOT.rglob("*.py")
        if (runners := code_runners(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("eval('1')", ["eval"]),
        ("def f(x):\n    exec(x)", ["exec"]),
        ("import pickle", ["pickle"]),
        ("from pickle import loads", ["pickle"]),
        ("np.load(path, allow_pickle=True)", ["allow_pickle"]),
        ("np.load(path, allow_pickle=False)\nevaluate(x)\nre.compile(x)", []),
    ],
)
def test_each_way_to_run_text_is_seen(source, seen):
    assert code_runners(source) == seen


FITS = {"fit", "fits", "post", "posterior", "posteriors", "reml", "model", "models"}
UNTYPED = {"Any", "object", "list[Any]", "Sequence[Any]", "Mapping[str, Any]", "tuple[Any, ...]"}


def untyped_fits(tree: ast.AST) -> list[str]:
    """Functions with a parameter for fits or models that says nothing of what it takes."""
    found = []
    for node in nodes_of(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = node.args
            every = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
            given = [arg for arg in every if arg is not None and arg.arg in FITS]
            said = [ast.unparse(arg.annotation) for arg in given if arg.annotation is not None]
            found += [node.name] if UNTYPED & set(said) else []
    return found


def test_what_takes_a_fit_says_which():
    found = {
        str(path.relative_to(ROOT)): functions
        for path, own in all_read().items()
        if (functions := own.untyped)
    }
    assert not found


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("def f(fit: Any): ...", ["f"]),
        ("def f(*fits: object): ...", ["f"]),
        ("def f(*, posteriors: Sequence[Any]): ...", ["f"]),
        ("def f(fit: Fit, level: Any): ...", []),
        ("def f(given: object): ...", []),
    ],
)
def test_each_way_to_leave_it_open_is_seen(source, seen):
    assert untyped_fits(ast.parse(source)) == seen
