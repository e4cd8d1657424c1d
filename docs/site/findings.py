"""The codes of findings in the source, and the pages that explain them."""

import ast
from functools import cache
from pathlib import Path

import hierbayes
from hierbayes.results.finding import WARNING_OF

PACKAGE = Path(hierbayes.__file__).parent
NAMED = {"CODE"}  # constants of modules that hold a code


@cache
def codes_in_source() -> dict[str, list[str]]:
    """Return each code that the package gives a finding, and the modules that do."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "Finding(" not in text:
            continue
        tree = ast.parse(text)
        constants = _constants(tree)
        place = str(path.relative_to(PACKAGE))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding"):
                continue
            given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "code")]
            for code in [code for part in given for code in _codes(part, constants)]:
                places = found.setdefault(code, [])
                places += [place] if place not in places else []
    return found


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


def _codes(node: ast.expr, constants: dict[str, str]) -> list[str]:
    """Return the codes that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return [*_codes(node.body, constants), *_codes(node.orelse, constants)]
    if isinstance(node, ast.Name) and node.id in constants:
        return [constants[node.id]]
    return []


def warning_of(code: str) -> str:
    """Name the class of the warning that a finding is issued as."""
    return WARNING_OF.get(code, hierbayes.DesignWarning).__name__


def findings_index(folder: Path) -> str:
    """Write the table of all pages of findings: code, first sentence, class of the warning."""
    rows = []
    codes = codes_in_source()
    for path in sorted(folder.glob("*.md")):
        if path.stem == "index":
            continue
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        shown = f"`{warning_of(path.stem)}`" if path.stem in codes else ""
        rows.append(f"| [`{path.stem}`]({path.name}) | {title} | {shown} |")
    return "\n".join(["| Code | In a sentence | Warning |", "|---|---|---|", *rows])
