"""Reference fits that come with the package: what is shipped, what is printed, what fails."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hierbayes.cli import app
from hierbayes.datasets import list_datasets
from hierbayes.studies.conformance import references as shipped
from hierbayes.studies.conformance.compare import TOLERANCES, compared, farthest
from hierbayes.studies.conformance.references import chosen_references, references
from tests.reference_fits import FOLDER

ALLOWED = {"same", "reference off"}


def run(*arguments):
    return CliRunner().invoke(app, ["conformance", *arguments])


def test_what_is_shipped_is_what_the_references_of_the_tests_say():
    path = FOLDER / "scripts" / "conformance.py"
    spec = importlib.util.spec_from_file_location("make_conformance", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert shipped.FILE.read_text(encoding="utf-8") == script.content()


def test_every_reference_can_be_fitted_and_every_kind_has_a_tolerance():
    names = [one.id for one in references()]
    assert len(set(names)) == len(names)
    assert {one.data for one in references()} <= set(list_datasets().index)
    assert {kind for one in references() for kind in one.numbers} == set(TOLERANCES)
    for one in references():
        assert set(one.off) <= set(one.numbers)


@pytest.mark.parametrize("name", ["cbpp_agq10", "cbpp_cloglog", "schools_posterior", "ort_group"])
def test_our_fits_are_those_of_the_references(name):
    found = list(compared(chosen_references([name])))
    assert {one.verdict for one in found} <= ALLOWED
    assert sum(one.verdict == "same" for one in found) > 5
    assert {one.kind for one in found} == set(chosen_references([name])[0].numbers)
    assert [one.kind for one in farthest(found)] == list(dict.fromkeys(one.kind for one in found))


def test_a_line_says_both_numbers_their_difference_and_what_is_allowed():
    result = run("dye_reml")
    assert result.exit_code == 0
    pattern = r"dye_reml +criterion +319\.6542768 +319\.6542768 +[+-]\d\.\de-\d\d +1\.0e-0[56]\n"
    assert re.search(pattern, result.stdout)
    assert "numbers of 1 fit:" in result.stdout
    assert "0 apart" in result.stdout


def test_where_the_reference_is_off_the_reason_stands_below():
    result = run("ss_wt", "--json")
    rows = json.loads(result.stdout)
    assert result.exit_code == 0
    off = [row for row in rows if row["verdict"] == "reference off"]
    assert {row["quantity"] for row in off} == {
        "df, Kenward-Roger", "std. error, Kenward-Roger"
    }  # fmt: skip
    assert {row["reason"] for row in off} == {"pbkrtest leaves out the weights of the rows"}
    assert "ss_wt: pbkrtest leaves out the weights of the rows (" in run("ss_wt").stdout


@pytest.mark.parametrize("shift", [2e-6, -2e-5])
def test_a_criterion_apart_ends_with_code_1(monkeypatch, shift):
    (one,) = chosen_references(["dye2_ml"])
    best, unit = one.numbers["criterion"][""]
    wrong = replace(one, numbers={"criterion": {"": (best - shift, unit)}})
    monkeypatch.setattr(shipped, "references", lambda: (wrong,))
    result = run()
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].endswith("APART")
    assert "0 where the reference is off, 1 apart" in result.stdout


def test_a_name_that_is_none_is_said():
    result = run("sleepstudi")
    assert result.exit_code == 2
    assert "No reference fit, data set or method has 'sleepstudi' in its name" in result.stderr


def test_the_data_file_is_small():
    assert Path(shipped.FILE).stat().st_size < 400_000
