"""What a user who only wants a linear fit never waits for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "pymc",
    "pytensor",
    "nutpie",
    "numba",
    "arviz",
    "xarray",
    "bambi",
    "matplotlib",
    "formulaic",
    "narwhals",
    "rich",
    "typer",
}
FIT_AND_PRINT = """
fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
print(fit.summary())
"""
REPORT = """
import sys
print("MODULES", *sorted({name.split(".")[0] for name in sys.modules}))
print("SCIPY", *(name for name in sys.modules if name == "scipy.stats"))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import hierbayes as hb\n" + script + REPORT],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,  # `python -c` looks for the package here first
    )


@pytest.mark.parametrize("script", ["", FIT_AND_PRINT], ids=["import", "fit and summary"])
def test_linear_half_imports_nothing_heavy(script):
    lines = run(script).stdout.splitlines()
    modules = set(next(line for line in lines if line.startswith("MODULES")).split()[1:])
    assert not modules & HEAVY
    assert "SCIPY" in lines, "scipy.stats was imported; it takes as long as all the rest"


def test_the_import_alone_loads_no_model():
    loaded = run("import sys; print(*('hierbayes.model' in sys.modules, hb.lmer.__name__))").stdout
    assert loaded.splitlines()[0] == "False lmer"


def test_the_cold_summary_is_printed():
    out = run(FIT_AND_PRINT).stdout
    assert "REML criterion at convergence: 1743.6" in out
    assert "Days          10.467      1.546   6.771" in out
