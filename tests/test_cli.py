"""The command line: what it prints, and how a mistake ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hierbayes as hb
from hierbayes.cli import app
from hierbayes.render.output_files import write_files

ROOT = Path(__file__).parents[1]
M1 = "Reaction ~ Days + (Days | Subject)"


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def fails(*arguments):
    """Message of a command that ends with code 2, says nothing on standard output, no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
    return result.stderr


@pytest.fixture
def csv(tmp_path, sleepstudy):
    path = tmp_path / "my.sleep.csv"
    sleepstudy.to_csv(path, index=False)
    return path


def test_fit_prints_the_summary():
    result = run("fit", M1, "sleepstudy")
    assert result.exit_code == 0
    assert result.stdout == hb.lmer(M1, hb.load_dataset("sleepstudy")).summary() + "\n"
    assert result.stderr == ""


def test_fit_by_ml():
    printed = run("fit", M1, "sleepstudy", "--ml").stdout
    assert "fit by maximum likelihood" in printed
    assert "1751.9" in printed


def test_fit_reads_a_file_and_calls_the_data_by_its_name(csv):
    printed = run("fit", "Reaction ~ Days + (Days | factor(Subject))", str(csv)).stdout
    assert "   Data: my\n" in printed
    assert "REML criterion at convergence: 1743.6" in printed


def test_weights_and_contrasts():
    printed = run("fit", "Reaction ~ Days + (1 | Subject)", "sleepstudy", "--weights", "1 + Days")
    assert "Weights: 1 + Days" in printed.stdout
    arguments = ("fit", "angle ~ recipe + temperature + (1 | recipe:replicate)", "cake")
    printed = run(*arguments, "--contrasts", "recipe=sum", "--contrasts", "temperature=helmert")
    expected = hb.lmer(
        arguments[1],
        hb.load_dataset("cake"),
        contrasts={"recipe": "sum", "temperature": "helmert"},
    )
    assert printed.stdout == expected.summary() + "\n"


@pytest.mark.filterwarnings("error")
def test_findings_are_told_once_and_not_warned_about():
    result = run("fit", "Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    assert result.exit_code == 0
    assert result.stdout.count("sd is estimated as exactly zero") == 1
    assert result.stderr == ""


def test_report_is_a_page_of_its_own(tmp_path):
    path = tmp_path / "new" / "report.html"
    result = run("fit", "Yield ~ 1 + (1 | Batch)", "Dyestuff2", "--report", str(path))
    assert str(path) in result.stdout
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    for part in (
        "Yield ~ 1 + (1 | Batch) on Dyestuff2",
        "Response: what is modelled",
        "REML criterion at convergence: 161.8",
        "Random effects of Batch",
        "estimated as exactly zero",
    ):
        assert part in page
    assert os.listdir(path.parent) == ["report.html"]


def test_report_of_a_linear_model_has_no_random_effects(tmp_path):
    path = tmp_path / "report.html"
    assert run("fit", "Reaction ~ Days", "sleepstudy", "--report", str(path)).exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert "Residual standard error: 47.71" in page
    assert "Random effects" not in page


def test_degrees_of_freedom_are_an_option():
    printed = run("fit", M1, "sleepstudy", "--ddf", "satterthwaite").stdout
    expected = hb.lmer(M1, hb.load_dataset("sleepstudy")).summary(ddf="satterthwaite")
    assert printed == expected + "\n"


def test_other_families_are_fitted():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    printed = run("fit", formula, "cbpp", "--family", "binomial", "--n-quadrature", "5").stdout
    expected = hb.glmer(formula, hb.load_dataset("cbpp"), n_quadrature=5)
    assert printed == expected.summary() + "\n"


def test_json_holds_the_numbers_of_the_tables():
    found = json.loads(run("fit", M1, "sleepstudy", "--json").stdout)
    fit = hb.lmer(M1, hb.load_dataset("sleepstudy"))
    assert found["criterion"] == fit.criterion
    assert found["formula"] == M1
    by_term = {row["term"]: row for row in found["parameters"]}
    assert by_term["Days"]["estimate"] == fit.fixef()["Days"]
    assert by_term["Days"]["level"] is None
    singular = json.loads(run("fit", "Yield ~ 1 + (1 | Batch)", "Dyestuff2", "--json").stdout)
    assert singular["findings"][0]["code"] == "boundary"


def test_a_posterior_is_given_as_json():
    options = ("--draws", "100", "--chains", "2", "--seed", "1")
    post = hb.Model(M1, hb.load_dataset("sleepstudy"), data_name="sleepstudy").sample(
        draws=100, chains=2, random_seed=1
    )
    found = json.loads(run("sample", M1, "sleepstudy", *options, "--json").stdout)
    assert found["parameters"][1]["estimate"] == post.fixef()["Days"]


def test_formulas_are_compared():
    smaller = "Reaction ~ Days + (1 | Subject)"
    printed = run("compare", M1, "sleepstudy", "--other", smaller).stdout
    assert "42.139" in printed


@pytest.mark.slow
def test_estimators_are_laid_side_by_side():
    both = run("compare", "Yield ~ 1 + (1 | Batch)", "Dyestuff", "--seed", "1").stdout
    assert both.startswith("Comparison of ML, REML and posterior")


def test_intervals_of_parameters_in_any_spelling():
    arguments = ("confint", M1, "sleepstudy", "--parameters", "sd__Days", "--json")
    (row,) = json.loads(run(*arguments).stdout)
    assert row["lower"] == pytest.approx(3.8011, abs=1e-3)  # lme4's profile, of ML limits


def test_means_and_their_differences():
    arguments = ("emmeans", "score ~ Machine + (1 | Worker)", "Machines", "Machine", "--pairwise")
    fit = hb.lmer(arguments[1], hb.load_dataset("Machines"), data_name="Machines")
    expected = hb.emmeans(fit, "Machine", contrasts="pairwise")
    found = json.loads(run(*arguments, "--json").stdout)
    assert [row["contrast"] for row in found["contrasts"]] == ["A - B", "A - C", "B - C"]
    assert found["means"][0]["estimate"] == expected.to_frame()["estimate"].iloc[0]


def test_how_a_file_was_read_is_said_beside_the_result(tmp_path, sleepstudy):
    path = tmp_path / "sleep.csv"
    sleepstudy.assign(Reaction=sleepstudy["Reaction"].round(2)).to_csv(
        path, index=False, sep=";", decimal=","
    )
    result = run("fit", M1, str(path))
    assert result.stderr == (
        "'sleep.csv' was read with semicolons between columns and decimal commas.\n"
    )
    assert "REML criterion at convergence: 1743.6" in result.stdout


def test_explain_says_what_the_model_says():
    formula = "strength ~ 1 + (1 | batch/cask)"
    result = run("explain", formula, "Pastes")
    assert result.stdout == hb.Model(formula, hb.load_dataset("Pastes")).explain() + "\n"


def test_the_caret_stands_under_the_place():
    message = fails("fit", "Reaction ~ Days + (Dayz | Subject)", "sleepstudy")
    lines = message.splitlines()
    formula = next(line for line in lines if "~" in line)
    caret = next(line for line in lines if line.strip().startswith("^"))
    assert caret.index("^") == formula.index("Dayz")
    assert "did you mean 'Days'" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "y ~ x", "sleepstdy"), "neither a file nor a bundled data set; did you mean"),
        (("fit", "y ~ x", "."), "DATA='.' is a folder"),
        (("fit", "y ~ x", "pyproject.toml"), "neither a CSV nor a Parquet file"),
        (("explain", "y ~", "sleepstudy"), "y ~"),
        (("fit", "nope ~ Days", "sleepstudy"), "no column 'nope'"),
        (("fit", M1, "sleepstudy", "--contrasts", "recipe"), "--contrasts recipe=sum"),
        (("fit", M1, "sleepstudy", "--contrasts", "Subject=sum"), "'Subject' is not a factor"),
        (("fit", M1, "sleepstudy", "--weights", "Wait"), "no column 'Wait'"),
    ],
)
def test_a_mistake_is_one_message(monkeypatch, arguments, message):
    monkeypatch.chdir(ROOT)
    assert message in fails(*arguments)


@pytest.mark.parametrize(
    ("name", "content"),
    [("bytes.csv", b"\xff\xfe\x00bad"), ("empty.csv", b""), ("bad.parquet", b"nothing of it")],
)
def test_a_broken_file_is_one_message(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    message = fails("fit", "y ~ x", str(path))
    assert f"{name}' can't be read as a table: " in message
    assert message.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("here")
    message = fails("tour", "--out", str(tmp_path / "file" / "out"))
    assert message.startswith("Can't write to ")
    assert message.endswith("Give a folder you may write to.\n")
    message = fails("fit", M1, "sleepstudy", "--report", str(tmp_path / "file" / "r.html"))
    assert message.startswith("Can't write to ")


def test_files_are_written_completely_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    written = []

    def full_disk(descriptor):
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(hb.OptionError, match="No space left on device"):
        write_files(tmp_path, {"a": b"new", "b": b"long"})
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_lab_serves_the_page(monkeypatch):
    from hierbayes.lab import launch

    asked = []
    monkeypatch.setattr(launch, "launch", lambda **options: asked.append(options) or 0)
    assert run("lab", "--port", "1234", "--no-browser").exit_code == 0
    assert asked == [{"port": 1234, "browser": False}]


def test_lab_without_its_packages_is_one_sentence(monkeypatch):
    from hierbayes.lab import launch

    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    assert fails("lab") == ("The lab needs marimo and anywidget: pip install 'hierbayes[lab]'.\n")


def test_version():
    assert run("--version").stdout == f"hierbayes {hb.__version__}\n"


def test_help_names_the_commands():
    printed = run("--help").stdout
    for command in ("tour", "fit", "sample", "compare", "confint", "emmeans", "explain", "lab"):
        assert f"  {command} " in printed


def test_from_a_shell_with_a_terminal_that_knows_ascii_only():
    result = subprocess.run(
        [sys.executable, "-m", "hierbayes", "fit", "Reaction ~ Days", "sleepstudy"],
        cwd=ROOT,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=120,
    )
    assert result.returncode == 0
    assert result.stderr == b""
    assert b"Residual standard error: 47.71 on 178 degrees of freedom" in result.stdout
