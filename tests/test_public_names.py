"""What users copy imports public names only: ``import hierbayes as hb`` and what hangs on it.

Tutorials, the README, the pages of docs and the scripts of the lab are text that becomes other
people's code; docs/adding is for those who work inside of the package.
"""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import hierbayes as hb
from hierbayes.lab.code_export import script
from hierbayes.lab.engine import view
from hierbayes.lab.presets import PRESETS
from hierbayes.lab.state import LabState

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "adding"),
]
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
IMPORTS = {"import_module", "__import__"}
LAB = {
    **{key: LabState(data=key, show=("reml",)) for key in PRESETS},
    "simulated": LabState(data="simulated", show=("reml",)),
    "every estimate": LabState(unlocked=True, sds=(30.0, 2.0), cor=0.5, sigma=20.0, scale=2.0),
    "one sd": LabState(data="schools", show=("ml",), unlocked=True, sds=(8.0,)),
}


def modules_of(node):
    """Modules and names that a statement or call imports, dotted from the top."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        return [str(node.args[0].value)] if called in IMPORTS else []
    return []


def aliases_of(tree):
    """Names by which the code calls the package, and ``hb.plot``."""
    found = {"hierbayes": "hierbayes"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.asname: a.name for a in node.names if a.asname and a.name == "hierbayes"}
        if isinstance(node, ast.ImportFrom) and node.module == "hierbayes":
            found |= {a.asname or a.name: "hb.plot" for a in node.names if a.name == "plot"}
    return found


def owner_of(node, aliases):
    """The module that has an attribute, of those with a list of public names; else None."""
    owner = ast.unparse(node.value)
    package, _, rest = owner.partition(".")
    if aliases.get(owner) == "hb.plot" or (package in aliases and rest == "plot"):
        return hb.plot
    return hb if aliases.get(owner) == "hierbayes" else None


def private_names(code):
    """Return what code takes from hierbayes that is not public, in the order it stands there."""
    tree = ast.parse(code)
    aliases = aliases_of(tree)
    found = []
    for node in ast.walk(tree):
        for name in modules_of(node):
            package, _, rest = name.partition(".")
            if package == "hierbayes" and rest and rest not in hb.__all__:
                found.append(name)
        if isinstance(node, ast.Attribute):
            owner = owner_of(node, aliases)
            public = () if owner is None else (*owner.__all__, "__version__")
            if owner is not None and node.attr not in public:
                found.append(ast.unparse(node))
    return found


def blocks_of(page):
    return [textwrap.dedent(found[0] + found[1]) for found in BLOCK.findall(page)]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_take_public_names_only(path):
    assert private_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pages_take_public_names_only(path):
    for block in blocks_of(path.read_text(encoding="utf-8")):
        assert private_names(block) == []


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
@pytest.mark.parametrize("name", LAB)
def test_scripts_of_the_lab_take_public_names_only(name):
    assert private_names(script(view(LAB[name]))) == []


def test_there_is_something_to_look_at():
    assert len(TUTORIALS) >= 6
    assert len(blocks_of(PAGES[0].read_text(encoding="utf-8"))) >= 2


@pytest.mark.parametrize(
    "code",
    [
        "import hierbayes.pooling",
        "import hierbayes.pooling.within_group as w",
        "import numpy, hierbayes.lab",
        "from hierbayes.pooling.within_group import within_group",
        "from hierbayes.pooling import *",
        "from hierbayes import pooling",
        "from hierbayes import Model, pooling as p",
        "from hierbayes import *",
        "from hierbayes import _LAZY",
        "from hierbayes.plots import caterpillar",
        "from hierbayes.plot import caterpillar",
        "import hierbayes.plots",
        "from hierbayes.plots.style import drawing",
        "def late():\n    from hierbayes.lab import page",
        "if True:\n    import hierbayes.cli",
        "import importlib\nimportlib.import_module('hierbayes.lab.page')",
        "from importlib import import_module\nimport_module('hierbayes.lab')",
        "__import__('hierbayes.lab')",
        "import hierbayes as hb\nhb.lab.page",
        "import hierbayes\nhierbayes.pooling.within_group",
        "import hierbayes as own\nown._LAZY",
        "import hierbayes as hb\nhb.plot.style.INK",
        "from hierbayes import plot\nplot.style",
        "from hierbayes import plot as p\np.picture",
    ],
)
def test_each_spelling_of_a_wrong_import_is_seen(code):
    assert private_names(code)


@pytest.mark.parametrize(
    "code",
    [
        "import hierbayes",
        "import hierbayes as hb\nhb.plot.qq(hb.lmer(f, d)); hb.__version__",
        "from hierbayes import Model, plot\nplot.caterpillar(Model(f, d).fit())",
        "import hierbayes_extras.lab, numpy.lab",
        "page = 'hierbayes.lab'\nprint('hierbayes.lab')",
        "fit.model.lab",
    ],
)
def test_what_is_public_passes(code):
    assert private_names(code) == []


def test_a_block_inside_of_a_list_is_read():
    page = "1. Text\n\n   ```python\n   import hierbayes.lab\n   ```\n\n```console\n$ x\n```\n"
    assert [private_names(block) for block in blocks_of(page)] == [["hierbayes.lab"]]


@pytest.mark.parametrize("owner", [hb, hb.plot], ids=["hierbayes", "hb.plot"])
def test_every_public_name_says_what_it_is(owner):
    """In its own words: a class without a docstring would show those of its base."""
    own = {name: getattr(owner, name) for name in owner.__all__}
    assert [name for name, item in own.items() if not own_words(item)] == []


def own_words(item):
    words = vars(item).get("__doc__") if inspect.isclass(item) else item.__doc__
    return (words or "").strip()


def test_editors_and_type_checkers_see_every_name_that_is_imported_late():
    tree = ast.parse((ROOT / "hierbayes" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: node.module
        for node in typed.body
        for alias in node.names
        if alias.name != "plots"
    }
    assert seen == {name: place for name, place in hb._LAZY.items() if name != "plot"}
