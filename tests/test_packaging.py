"""The lists of what is needed agree, and the wheel carries the data."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import hierbayes as hb
from hierbayes.datasets import list_datasets

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED_EXTRAS = (
    "dask",
    "duckdb",
    "lab",
    "tables",
    "dev",
)  # `bench` and `docs` come with their targets
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRA = [Requirement(text) for name in LOCKED_EXTRAS for text in EXTRAS[name]]
LOCK_LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
# conda-forge names that differ from PyPI's
CONDA_NAMES = {"matplotlib": "matplotlib-base", "duckdb": "python-duckdb"}


def environment() -> dict[str, SpecifierSet]:
    """Packages and bounds of environment.yml (a flat list; no YAML reader needed)."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    entries = re.findall(r"^  - ([\w.-]+) *([<>=!~][^#\n]*)?", text, flags=re.MULTILINE)
    return {name: SpecifierSet(bound.strip()) for name, bound in entries}


def locked() -> dict[str, str]:
    pairs = [line.split("==") for line in LOCK_LINES if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("needed", CORE + EXTRA, ids=str)
def test_the_lock_holds_a_version_that_the_project_allows(needed):
    assert needed.specifier.contains(locked()[canonicalize_name(needed.name)])


@pytest.mark.parametrize("needed", CORE + EXTRA, ids=str)
def test_the_conda_environment_has_the_same_bound(needed):
    assert environment()[CONDA_NAMES.get(needed.name, needed.name)] == needed.specifier


def test_make_installs_what_the_site_needs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^DOCS_PACKAGES = .*requirements\.lock (.*)$", makefile, re.MULTILINE)
    assert line.split() == [Requirement(text).name for text in EXTRAS["docs"]]


def test_the_conda_recipe_runs_with_the_core():
    text = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    run = text.partition("  run:\n")[2].partition("\ntests:")[0]
    entries = re.findall(r"^    - ([\w.-]+) *([<>=!~]\S*)?", run, flags=re.MULTILINE)
    wanted = {CONDA_NAMES.get(needed.name, needed.name): needed.specifier for needed in CORE}
    wanted["python"] = SpecifierSet(PROJECT["requires-python"])
    assert {name: SpecifierSet(bound) for name, bound in entries} == wanted


def test_the_version_stands_in_four_places_alike():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert hb.__version__ == PROJECT["version"]
    assert f'version: "{hb.__version__}"' in recipe
    assert re.search(rf"^version: \"?{re.escape(hb.__version__)}\"?$", citation, re.MULTILINE)


def test_the_conda_environment_holds_nothing_else():
    wanted = {CONDA_NAMES.get(needed.name, needed.name) for needed in CORE + EXTRA}
    assert environment().keys() - wanted == {"python", "conda-forge", "pip"}


def test_every_locked_line_is_one_pinned_version():
    for line in LOCK_LINES:
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml", "pyproject.toml"])
def test_no_list_names_a_registry(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links", text)


def test_the_supported_python_is_said_once():
    assert PROJECT["requires-python"] == ">=3.12"
    assert environment()["python"] == SpecifierSet(PROJECT["requires-python"])
    assert (ROOT / ".python-version").read_text(encoding="utf-8").split() == ["3.13"]
    assert "3.13" in SpecifierSet(PROJECT["requires-python"])


def test_without_a_new_python_one_sentence_says_so(tmp_path):
    found = subprocess.run(
        ["bash", ROOT / ".ci" / "find-python"],
        capture_output=True,
        text=True,
        env={"PATH": "/nowhere", "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)},
        executable="/bin/bash",
    )
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith("hierbayes needs Python 3.12 or newer")
    assert found.stderr.count("\n") == 1


def test_a_python_that_is_named_is_the_one_taken():
    found = subprocess.run(
        ["/bin/bash", ROOT / ".ci" / "find-python"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/nowhere", "PYTHON": sys.executable},
    )
    assert found.stdout.strip() == sys.executable


def test_the_wheel_carries_every_data_set(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "hierbayes/py.typed" in names
    assert {"hierbayes/lab/app.py", "hierbayes/lab/stage.js", "hierbayes/lab/stage.css"} <= names
    for dataset in list_datasets().index:
        stem = f"hierbayes/datasets/data/{dataset}"
        assert f"{stem}.json" in names
        assert {f"{stem}.csv", f"{stem}.csv.gz"} & names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tutorials/"))]
