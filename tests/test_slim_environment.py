"""Without PyMC, nutpie, ArviZ and bambi: the wheel fits, samples, and says what it lacks."""

import importlib.metadata as metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"pymc", "nutpie", "arviz", "bambi"}

WORKS = """
import hierbayes as hb
sleep = hb.load_dataset("sleepstudy")
model = hb.Model("Reaction ~ Days + (Days | Subject)", sleep)
fit, ml = model.fit(), model.fit("ml")
post = model.sample(draws=200, chains=2, random_seed=1)
print(fit.summary())
print(hb.compare(fit, ml, post))
print(post.summary(), post.diagnostics(), hb.loo(post), hb.confint(fit, method="profile"))
figure, _ = hb.plot.caterpillar(fit)
figure.savefig("caterpillar.png")
fit.report("fit.html")
post.save("post.nc")
print(hb.load("post.nc"))
binomial = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
print(hb.glmer(binomial, hb.load_dataset("cbpp"), family="binomial"))
calls = {
    "pymc": [model.to_pymc, model.graph],
    "nutpie": [lambda: model.sample(sampler="nuts")],
    "arviz": [lambda: post.idata, model.prior_predictive],
    "bambi": [model.to_bambi],
}
for package, ways in calls.items():
    for way in ways:
        try:
            way()
        except hb.MissingPackageError as error:
            print("SAID", package, str(error))
"""


def needed_without(left_out: set[str]) -> set[str]:
    """Names of the distributions that the core needs, and what these need."""
    asked = [line for line in metadata.requires("hierbayes") or [] if "extra ==" not in line]
    found: set[str] = set()
    while asked:
        needed = Requirement(asked.pop())
        name = canonicalize_name(needed.name)
        if name in found | left_out or (
            needed.marker and not needed.marker.evaluate({"extra": ""})
        ):
            continue
        found.add(name)
        asked += metadata.requires(name) or []
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Folder with the wheel and what it needs of this environment, the left-out packages absent."""
    folder = tmp_path_factory.mktemp("site")
    wheel = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheel)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (found,) = wheel.glob("*.whl")
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([sys.executable, *install, str(found)], check=True, capture_output=True)
    for name in needed_without(LEFT_OUT):
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or [] if path.parts[0] != ".."}:
            source = Path(str(distribution.locate_file(top)))
            if source.exists() and not (folder / top).exists() and top != "__pycache__":
                (folder / top).symlink_to(source)
    return folder


def test_the_wheel_works_without_the_bayesian_packages(site, tmp_path):
    script = f"import sys; sys.path.insert(0, {str(site)!r})\n{WORKS}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(tmp_path), "MPLBACKEND": "agg", "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "REML criterion at convergence: 1743.6" in done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("SAID")]
    assert len(said) == 6, said
    for line in said:
        assert re.search(r"SAID (\w+) [\w.]+ needs the package (\w+), which isn't installed", line)
    assert (tmp_path / "fit.html").stat().st_size > 10_000
