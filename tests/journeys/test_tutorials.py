"""Every tutorial runs from start to end as a plain script, and keeps to what tutorials promise."""

import ast
import re
import subprocess
import sys
from functools import cache
from operator import attrgetter
from pathlib import Path

import pandas as pd
import pytest

import hierbayes as hb
from docs.site.notebooks import notebook_page
from docs.site.shown import Pictures
from hierbayes.studies.lecture.analysis import fit_lecture
from tests.journeys import as_script

pytest.importorskip("marimo", reason="the tutorials are marimo notebooks")

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
TYPED_NUMBER = re.compile(r"\d\.\d")  # an estimate always has decimals

every_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def prose(path):
    """Return the text of every ``mo.md`` call in the order of the file, computed parts left out."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "mo.md"
    ]
    calls.sort(key=lambda call: call.lineno)
    return [
        "".join(
            str(part.value)
            for part in ast.walk(call)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        for call in calls
    ]


def test_there_are_tutorials():
    assert TUTORIALS


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Give how the tutorial of a path ran, each once."""
    kept = {"01_the_lecture": ("linear", "m1", "three", "omega_test", "kinds")}

    @cache
    def run(path):
        folder = tmp_path_factory.mktemp(path.stem)
        return as_script.run(path, folder, names=kept.get(path.stem, ()))

    return run


@every_tutorial
def test_a_tutorial_runs_as_a_plain_script(path, ran):
    done = ran(path)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""


def test_a_script_that_warns_does_not_run(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("import warnings\nwarnings.warn('ours')\n")
    done = as_script.run(path, tmp_path)
    assert done.exit_code == 1
    assert "UserWarning: ours" in done.stderr


def test_marimo_finds_nothing_wrong():
    done = subprocess.run(  # without -W error: what marimo's own imports warn of is not ours
        [sys.executable, "-m", "marimo", "check", "--strict", *map(str, TUTORIALS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@every_tutorial
def test_no_estimate_is_typed_into_the_prose(path):
    assert not [text for text in prose(path) if TYPED_NUMBER.search(text)]


@every_tutorial
def test_the_picture_comes_before_the_formula(path):
    source = path.read_text(encoding="utf-8")
    assert 0 < source.index("hb.plot.") < source.index("$$")


@every_tutorial
def test_a_tutorial_asks_a_question_says_what_it_assumes_and_ends_with_what_it_cannot_tell(path):
    first, *between, last = prose(path)
    assert "?" in first
    assert any("**assumes**" in text for text in between)
    assert last.strip().startswith("## What this cannot tell")


@pytest.mark.slow
def test_a_page_has_prose_code_and_results_and_fetches_nothing(tmp_path):
    pictures = Pictures(tmp_path, "_pictures", "two")
    page = notebook_page(ROOT / "tutorials" / "02_what_is_shrinkage.py", pictures)
    assert page.startswith("# What is shrinkage?")
    assert "hb.plot.shrinkage_plane(drivers)" in page
    assert "mo.md" not in page
    assert "http" not in page
    assert page.count("```{image}") >= 5
    assert sorted(p.name for p in tmp_path.glob("*light.png")) == sorted(
        name for name in pictures.written if name.endswith("light.png")
    )


NAMES = re.compile(r"\b(hb|fit|post|model)\.((?:plot\.)?[a-z_0-9]\w*)", re.IGNORECASE)


def test_every_name_in_the_tables_of_lme4_exists():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    post = fit.model.sample(random_seed=1)
    owners = {"hb": hb, "fit": fit, "post": post, "model": fit.model}
    tables = [text for text in prose(ROOT / "tutorials" / "06_from_lme4.py") if "|:--|" in text]
    # of the cell on the right; the R calls on the left have names like fit too
    right = [line.split("|")[2] for text in tables for line in text.splitlines() if "` |" in line]
    named = [found for cell in right for found in NAMES.findall(cell)]
    assert len(named) > 40
    for owner, name in named:
        attrgetter(name)(owners[owner])


@pytest.fixture(scope="module")
def lecture_run(ran):
    """What the cells of the lecture's tutorial showed and defined."""
    return ran(ROOT / "tutorials" / "01_the_lecture.py")


def test_the_lecture_tutorial_fits_what_the_tour_fits(lecture_run):
    names = lecture_run.names
    lecture = fit_lecture()
    assert names["linear"].summary() == lecture.linear.summary()
    assert names["m1"].summary() == lecture.m1.summary()
    pd.testing.assert_frame_equal(names["three"].to_frame(), lecture.comparison.to_frame())
    ours, tours = names["omega_test"].to_frame(), lecture.anova.to_frame()
    assert ours.loc["m.1", "p_value"] == pytest.approx(tours.loc["m.1", "p_value"], rel=1e-9)
    for kind, table in names["kinds"].items():
        pd.testing.assert_frame_equal(table, lecture.intervals[kind])


@pytest.mark.parametrize(
    ("name", "low", "high", "sd"),  # the slides' bootstrap, and the sd of its draws
    [
        ("Days", 7.54, 13.20, 1.5),
        ("sd_Days|Subject", 3.57, 8.32, 1.2),
        ("cor_Days.(Intercept)|Subject", -0.53, 0.81, 0.35),
    ],
)
def test_the_lecture_tutorial_finds_the_bootstrap_intervals_of_the_slides(
    lecture_run, name, low, high, sd
):
    # A 2.5 % quantile of 500 normal draws has a standard error of 0.12 sd; we compare two of them.
    four_errors = 4 * 2**0.5 * 0.12 * sd
    found = lecture_run.names["kinds"]["bootstrap"].loc[name, ["lower", "upper"]]
    assert found.tolist() == pytest.approx([low, high], abs=four_errors)


def test_the_lecture_tutorial_prints_its_answers_from_the_fit(lecture_run):
    text = " ".join(" ".join(lecture_run.texts).split())
    m1 = lecture_run.names["m1"]
    slope, sd = m1.fixef()["Days"], m1.varcorr().terms[0].sd[1]
    assert f"{slope:.1f} ms slower a day" in text
    assert f"standard deviation of {sd:.1f} ms a day between people" in text
