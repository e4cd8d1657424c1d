"""Pictures: what they show, how they are labelled, and that they compute nothing themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import hierbayes as hb
from hierbayes.plots.labels import axis_label, bundled_unit
from hierbayes.plots.letters import in_lines
from tests.plots.text_boxes import drawn_texts, overlapping

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "hierbayes" / "plots").glob("*.py"))
MAKES = "needed"  # makes what who asks for a picture of a fit has not made
SAVES = "text_figure"  # is what a figure is saved as
COMPUTES = {"fit", "refit", "update", "sample", "lmer", "glmer", "polyfit", "lstsq", "solve"}
SHOWS = {"show", "savefig"}
ENGINES = {"gaussian", "likelihood", "bayes", "linalg"}  # no picture computes with them


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def m1(sleep):
    return hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def called_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_picture_fits_samples_or_shows(path):
    if path.stem in (MAKES, SAVES):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not set(called_names(tree)) & (COMPUTES | SHOWS)
    modules = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    layers = {module.split(".")[1] for module in modules if module.startswith("hierbayes.")}
    assert not layers & ENGINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_picture_changes_matplotlibs_settings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"rcParams", "rc", "use", "rcdefaults"}


def test_matplotlib_is_imported_by_the_first_picture_only():
    script = "import sys, hierbayes.plots; print('matplotlib' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "False"


def test_settings_are_as_before_after_drawing(sleep, m1):
    before = dict(mpl.rcParams)
    hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    hb.plot.residuals(m1, "Days")
    hb.plot.qq(m1)
    assert dict(mpl.rcParams) == before


def test_data_has_a_panel_a_group_with_points_line_and_band(sleep):
    figure, axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    assert [ax.get_title() for ax in axes] == sleep.Subject.cat.categories.tolist()
    assert len(figure.axes) == 18
    for ax in axes:
        bands = [c for c in ax.collections if c.__class__.__name__.startswith("FillBetween")]
        points = [c for c in ax.collections if c not in bands]
        assert len(bands) == len(points) == len(ax.lines) == 1
        assert len(points[0].get_offsets()) == 10
    columns = {round(ax.get_position().x0, 6) for ax in axes}
    assert len(columns) == 9
    assert figure.get_supxlabel() == "Days (days of sleep deprivation)"
    assert figure.get_supylabel() == "Reaction (ms)"


def test_the_line_drawn_is_the_groups_least_squares_line(sleep):
    _, axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    rows = sleep[sleep.Subject == "330"]
    x, y = axes[3].lines[0].get_data()
    np.testing.assert_allclose(y, np.polyval(np.polyfit(rows.Days, rows.Reaction, 1), x))


def test_empty_panels_are_removed(sleep):
    figure, axes = hb.plot.data(sleep, x="Days", y="Reaction", group="Subject", columns=7)
    assert len(axes) == len(figure.axes) == 18
    below = [ax for ax in axes if ax.xaxis.get_tick_params()["labelbottom"]]
    assert len(below) == 7


def test_data_without_group_is_one_panel(sleep):
    _, axes = hb.plot.data(sleep, x="Days", y="Reaction")
    assert len(axes) == 1
    assert len(axes[0].collections[1].get_offsets()) == 180


def test_a_group_of_one_row_has_a_point_and_no_line(sleep):
    few = sleep[(sleep.Subject != "308") | (sleep.Days == 0)]
    _, axes = hb.plot.data(few, x="Days", y="Reaction", group="Subject")
    assert len(axes[0].collections) == 1
    assert not axes[0].lines


def test_any_frame_is_drawn_and_none_is_changed(sleep):
    before = sleep.copy()
    _, axes = hb.plot.data(pl.from_pandas(sleep), x="Days", y="Reaction", group="Subject")
    assert len(axes) == 18
    hb.plot.data(sleep, x="Days", y="Reaction", group="Subject")
    assert sleep.equals(before)


def test_numbers_at_axes_are_as_many_when_the_picture_is_laid_out_again(m1):
    _, ax = hb.plot.residuals(m1, width=60)
    assert isinstance(ax.yaxis.get_major_locator()._nbins, int)
    _, (ax,) = hb.plot.effects(m1, width=80, theme="lecture")
    assert isinstance(ax.xaxis.get_major_locator()._nbins, int)


def test_some_of_many_groups_are_drawn_and_it_is_said(sleep):
    frame = {"x": np.arange(300.0), "y": np.arange(300.0), "g": np.arange(300)}
    figure, axes = hb.plot.data(frame, x="x", y="y", group="g", width=60)
    assert [axes[0].get_title(), axes[-1].get_title()] == ["0", "299"]
    assert f"{len(axes)} of 300 levels of g." in figure.texts[-1].get_text()
    assert figure.get_size_inches()[1] <= 200.5 / 25.4
    with pytest.raises(hb.OptionError, match="columns=0 must be at least 1"):
        hb.plot.data(sleep, x="Days", y="Reaction", columns=0)


def test_pictures_draw_into_what_is_given(sleep, m1):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert hb.plot.residuals(m1, ax=left) == (figure, left)
    assert hb.plot.qq(m1, ax=right) == (figure, right)
    other = Figure()
    assert hb.plot.data(sleep, x="Days", y="Reaction", ax=other)[0] is other
    assert not pyplot.get_fignums()


def test_residuals_are_jittered_beside_a_dashed_zero_line(m1):
    _, ax = hb.plot.residuals(m1, "Days")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "Days (days of sleep deprivation)",
        "residual (ms)",
    )
    zero = ax.lines[0]
    assert zero.get_ydata() == [0, 0]
    assert zero.is_dashed()
    x, y = np.asarray(ax.collections[0].get_offsets()).T
    days = m1.design.model_frame["Days"].to_numpy()
    assert 0.15 < np.abs(x - days).max() <= 0.2
    np.testing.assert_array_equal(y, m1.residuals())


def test_residuals_against_fitted_values_stay_where_they_are(m1):
    _, ax = hb.plot.residuals(m1)
    assert ax.get_xlabel() == "fitted value (ms)"
    x, _ = np.asarray(ax.collections[0].get_offsets()).T
    np.testing.assert_array_equal(x, m1.fitted())


def test_residuals_against_a_factor_name_its_levels(m1):
    _, ax = hb.plot.residuals(m1, "Subject")
    assert ax.get_xlabel() == "Subject"
    assert [t.get_text() for t in ax.get_xticklabels()] == list(m1.ranef()["Subject"].index)


def test_the_qq_line_goes_through_the_quartiles(m1):
    _, ax = hb.plot.qq(m1)
    assert ax.get_ylabel() == "residual quantile (ms)"
    low, high = np.quantile(m1.residuals(), [0.25, 0.75])
    slope = (high - low) / (2 * 0.6744897501960817)
    assert ax.lines[0].get_slope() == pytest.approx(slope)
    x, y = np.asarray(ax.collections[0].get_offsets()).T
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(y, np.sort(m1.residuals()))


def test_labels_can_be_said(m1):
    _, ax = hb.plot.residuals(m1, "Days", labels={"Days": "night", "residual": "left over"})
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("night", "left over")
    _, ax = hb.plot.qq(m1, labels={"sample": "left over"})
    assert ax.get_ylabel() == "left over"


def test_a_changed_column_loses_its_unit(sleep):
    seconds = sleep.assign(Reaction=sleep.Reaction / 1000)
    assert seconds.attrs["name"] == "sleepstudy"
    figure, _ = hb.plot.data(seconds, x="Days", y="Reaction")
    assert figure.get_supylabel() == "Reaction"


@pytest.mark.parametrize(
    ("column", "values", "data_name", "unit"),
    [
        ("Reaction", [249.56, 258.7047], "sleepstudy", "ms"),
        ("Reaction", [249.56], "my own", ""),
        ("Reaction", [0.24956], "sleepstudy", ""),
        ("log(Reaction)", [5.5], "sleepstudy", ""),
        ("Days", [3.0], "sleepstudy", "days of sleep deprivation"),
    ],
)
def test_units_are_those_of_the_bundled_data(column, values, data_name, unit):
    assert bundled_unit(data_name, column, values) == unit
    label = axis_label(column, values, data_name=data_name)
    assert label == (f"{column} ({unit})" if unit else column)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Subject: (Intercept)", ["Subject:", "(Intercept)"]),
        ("cor((Intercept),Days|Subject)", ["cor((Intercept),", "Days|Subject)"]),
        ("sd(x|participant_number)", ["sd(x|participant_", "number)"]),
        ("cut_0.25_0.75", ["cut_0.25_0.75"]),
        ("anthropomorphisation", ["anthropomorphi", "sation"]),
    ],
)
def test_a_long_name_is_broken_into_lines_and_loses_nothing(name, lines):
    found = in_lines(name, room_mm=24, points=8).split("\n")
    assert found == lines
    assert "".join(found) == name.replace(" ", "")


def test_only_the_end_of_a_very_long_name_is_left_out():
    found = in_lines("x" * 200, room_mm=24, points=8).split("\n")
    assert len(found) == 4
    assert found[-1].endswith("x…")


def test_narrow_pictures_name_their_terms_in_full(m1):
    _, axes = hb.plot.ranef_qq(m1, width=60)
    titles = [ax.get_title().replace("\n", " ") for ax in axes]
    assert titles == ["Subject: (Intercept)", "Subject: Days"]


def test_columns_of_random_effects_with_one_name_have_panels_of_their_own():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 12)
    d = pd.DataFrame(
        {"g": g, "A": rng.choice(["A0", "B1"], 144), "AB": rng.choice(list("01"), 144)}
    )
    b = rng.normal(size=(3, 12))
    d["y"] = b[0][g] + b[1][g] * (d["A"] == "B1") + b[2][g] * (d["AB"] == "1")
    d["y"] += 0.3 * rng.normal(size=144)
    fit = hb.lmer("y ~ A + AB + (A + AB | g)", d)
    labels = ["(Intercept)", "A[B1]", "AB[1]"]
    _, axes = hb.plot.ranef_qq(fit)
    assert [ax.get_title() for ax in axes] == [f"g: {label}" for label in labels]
    _, axes = hb.plot.caterpillar(fit)
    assert [ax.get_xlabel() for ax in axes] == labels
    checks = hb.check(fit, nsim=100, random_seed=1, leave_out=False).to_frame()["check"]
    assert {f"random effects {label} | g look normal" for label in labels} <= set(checks)
    _, axes = hb.plot.compare(hb.compare(fit, fit.with_method("ml")))
    titles = [ax.get_title() for ax in axes]
    assert [f"g: {label}" in titles for label in labels] == [True, True, False]  # two and a plane


@pytest.mark.parametrize("width_mm", [60, 100])
def test_ticks_of_the_data_stand_apart(width_mm):
    cake = hb.load_dataset("cake")
    figure, _ = hb.plot.data(cake, x="temp", y="angle", group="replicate", width=width_mm)
    texts = [text for text in drawn_texts(figure) if text.words.isdigit()]
    assert len(texts) > 10
    assert not overlapping(texts)


def test_a_picture_of_several_panels_takes_the_place_of_axes(sleep, m1):
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 4))
    drawn, axes = hb.plot.ranef_qq(m1, ax=right)
    assert drawn.figure is figure and len(axes) == 2
    assert right not in figure.axes and left in figure.axes
    hb.plot.qq(m1, ax=left, title="One")
    assert left.get_title() == "One"
    with pytest.raises(hb.OptionError, match="a width of its own"):
        hb.plot.qq(m1, ax=left, width="page")


def test_the_data_of_a_fit_are_drawn(m1):
    figure, axes = hb.plot.data(m1)
    assert len(axes) == 18
    assert figure.get_supylabel() == "Reaction (ms)"
    with pytest.raises(hb.OptionError, match="x= and y=, or a model or a fit"):
        hb.plot.data({"a": [1.0]})


def test_a_title_stands_over_the_legend(m1):
    post = m1.model.sample(random_seed=1, draws=100)
    figure, _ = hb.plot.caterpillar(m1, post, title="Twice the same", width="column")
    assert figure.legends[0].get_title().get_text() == "Twice the same"
    assert not overlapping(drawn_texts(figure))
