"""``hierbayes tour``: what a newcomer sees first, on the terminal and as a page."""

import base64
import contextlib
import io
import re
import warnings
from html import unescape

import pytest
from matplotlib import pyplot
from typer.testing import CliRunner

from hierbayes.cli import app
from hierbayes.errors import DesignWarning
from hierbayes.render.blocks import Preformatted
from hierbayes.render.html import html
from hierbayes.studies.lecture.analysis import CROSSED_SEED, crossed_data, fit_lecture
from hierbayes.studies.lecture.formulas import bars, estimates, plain
from hierbayes.studies.lecture.lecture import FORMULA_TABLE
from hierbayes.studies.tour import tour_steps

PNG = b"\x89PNG\r\n\x1a\n"
FIGURES = (
    "sleepstudy_by_subject.png",
    "residuals.png",
    "likelihood.png",
    "shrinkage_plane.png",
    "shrinkage_lines.png",
    "caterpillar.png",
    "intervals.png",
    "advantages.png",
    "psychometric.png",
)
WIDTH_PX = 160 / 25.4 * 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tour") / "new" / "out"


@pytest.fixture(scope="module")
def printed(folder):
    result = CliRunner().invoke(app, ["tour", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


@pytest.fixture(scope="module")
def page(folder, printed):
    return (folder / "tour.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lecture():
    return fit_lecture()


@pytest.fixture(scope="module")
def steps(lecture):
    return tour_steps(lecture)


def test_it_writes_the_page_and_its_figures_and_nothing_else(folder, printed):
    assert {path.name for path in folder.iterdir()} == {"tour.html", *FIGURES}
    assert str(folder / "tour.html") in printed


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_160_mm_wide_and_embedded_in_the_page(folder, page, name):
    png = (folder / name).read_bytes()
    assert png.startswith(PNG)
    assert int.from_bytes(png[16:20]) == pytest.approx(WIDTH_PX, abs=1)
    assert base64.b64encode(png).decode() in page


def test_every_picture_says_what_it_shows(page):
    alts = re.findall(r'<img alt="([^"]*)" src="data:image/png', page)
    assert len(alts) == len(FIGURES) == page.count("<img")
    assert all(len(alt) > 80 for alt in alts)
    assert "from -2.9 ms a day (subject 335) to 21.8 ms a day (subject 308)" in alts[0].replace(
        "go ", ""
    )


def test_the_page_needs_nothing_from_elsewhere(page):
    assert "<script" not in page
    assert "<link" not in page
    assert set(re.findall(r'(?:src|href)="(\w+):', page)) == {"data"}
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_terminal_and_page_tell_the_same(printed, page, steps):
    read = unescape(page)
    for number, step in enumerate(steps, start=1):
        heading = f"{number}. {step.heading}"
        assert heading in printed
        assert heading in read
        assert step.output.strip("\n") in printed
        tables = [shown for shown in step.shown if not isinstance(shown, Preformatted)]
        assert html(tables) in page
        for shown in step.shown:
            if isinstance(shown, Preformatted):
                assert shown.text.strip("\n") in read


def test_steps_stand_in_the_lectures_order(printed):
    landmarks = [
        "lm(formula = Reaction ~ Days, data = sleepstudy)",
        "RangeIndex: 180 entries",
        "sleepstudy_by_subject.png",
        "Y ~ X + (0 + X | Subject) + (1 | Item)",
        "REML criterion at convergence: 1743.6",
        "Residual             25.5918",
        "with conditional variances for",
        "no p values",
        "ML / REML",
        "refitting model(s) with ML (instead of REML)",
        "residuals.png",
        "Family: binomial  ( probit )",
        "speed where the core function is 0.5",
        "psychometric.png",
        "Comparison of ML and posterior",
        "S12        none",
        "1743.6282720",
        "'data.frame':\t180 obs.",
    ]
    places = [printed.index(text) for text in landmarks]
    assert places == sorted(places)


WIDEST = 100  # the comparison of three fits needs more than the 80 columns of the rest


def test_no_line_is_wider_than_a_terminal(printed, folder):
    wide = [
        line for line in printed.splitlines() if len(line) > WIDEST and not line.startswith(">>> ")
    ]
    assert [line for line in wide if str(folder) not in line] == []


def test_the_code_shown_prints_what_is_shown(steps):
    namespace = {}
    for step in steps:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("ignore", DesignWarning)  # of the probit model: it is shown
            exec("\n".join(step.code), namespace)
        if any(line.startswith("print") for line in step.code):
            assert out.getvalue().strip("\n") == step.output.strip("\n")
    pyplot.close("all")
    assert namespace["m1_ml"].method == "ml"


def test_the_code_shown_needs_public_names_only(steps):
    lines = [line for step in steps for line in step.code]
    imports = {line for line in lines if "import" in line}
    assert imports == {"import hierbayes as hb", "import pandas as pd"}
    assert not re.search(r"\bhb\.(\w+\.)*_|hierbayes\.", "\n".join(lines))


def test_the_psychophysics_says_what_its_numbers_say(lecture):
    found = lecture.psychophysics
    assert [finding.code for finding in found.probit.findings] == ["overdispersion"]
    assert found.fit.findings == ()
    assert found.fit.loglik > found.probit.loglik + 10
    jnd = found.fit.jnd(groups="none", differences=True).iloc[0]
    assert jnd["lower"] > 0


def test_every_formula_of_the_lecture_is_fitted(lecture):
    assert [fit.formula_text for fit in lecture.table_fits] == [r.formula for r in FORMULA_TABLE]
    assert len(FORMULA_TABLE) == 7
    assert all(fit.converged for fit in lecture.table_fits)
    assert lecture.table_fits[0].is_linear_model


def test_the_table_of_formulas_holds_the_fits_numbers(lecture):
    names, cells = estimates(lecture)
    assert names == ["1", "2", "3", "4", "5", "6", "7", "truth"]
    for fit, row in zip(lecture.table_fits, cells, strict=False):
        assert row[0] == f"{fit.criterion:.1f}"
        assert row[-1] == f"{fit.sigma:.1f}"
    subject, item = lecture.table_fits[3].varcorr().terms
    assert cells[3][1:5] == [
        f"{subject.sd[0]:.1f}",
        f"{subject.sd[1]:.1f}",
        f"{subject.corr[1, 0]:.2f}",
        f"{item.sd[0]:.1f}",
    ]
    intercept, slope, _ = lecture.table_fits[4].varcorr().terms  # independent: two terms
    assert cells[4][1:4] == [f"{intercept.sd[0]:.1f}", f"{slope.sd[0]:.1f}", "-"]


def test_each_bar_is_explained_once(lecture):
    assert [bar for bar, _ in bars(lecture.table_fits)] == [
        "(none)",
        "(1 | Subject)",
        "(1 + X | Subject)",
        "(1 | Item)",
        "(0 + X | Subject)",
    ]


def test_equations_can_be_read_without_subscripts():
    assert plain(FORMULA_TABLE[3].equation) == ("(β0 + b_S,0s + b_I,0i) + (β1 + b_S,1s) X_i + e_si")


def test_crossed_data_are_what_the_text_says(lecture):
    data = lecture.crossed
    assert data.shape == (288, 4)
    assert (data.groupby(["Subject", "Item"], observed=True).size() == 1).all()
    assert (data.groupby(["Subject", "X"], observed=True).size() == 3).all()
    assert crossed_data(lecture.truth, random_seed=CROSSED_SEED).equals(data)


def test_ml_is_smaller_where_the_text_says_so(lecture):
    reml, ml = lecture.m1, lecture.m1_ml
    assert (ml.varcorr().terms[0].sd < reml.varcorr().terms[0].sd).all()
    assert (ml.std_errors < reml.std_errors).all()
    assert ml.sigma == pytest.approx(reml.sigma, rel=1e-6)
    assert reml.ranef_sd()["Subject"].std().max() < 1e-10
