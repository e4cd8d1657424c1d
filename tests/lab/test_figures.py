"""Scenes: what is drawn is what was estimated, for every preset, in words too."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.lab.engine import view
from hierbayes.lab.figures import scene
from hierbayes.lab.presets import PRESETS, Simulation
from hierbayes.lab.state import LabState
from hierbayes.lab.words import html_table, in_words, level_table, parameter_table
from hierbayes.render.numbers import format_plain

FAST = ("reml", "ml")


def panels(found):
    return {panel["id"]: panel for panel in scene(found)["panels"]}


def marks(panel, kind, style=None):
    return [m for m in panel["marks"] if m["kind"] == kind and style in (None, m.get("style"))]


@pytest.mark.parametrize("key", [*PRESETS, "simulated"])
@pytest.mark.parametrize("guessing", [False, True])
def test_every_preset_is_a_scene_of_plain_numbers(key, guessing):
    found = scene(view(LabState(data=key, show=FAST, guessing=guessing)))
    text = json.dumps(found, allow_nan=False)
    assert len(text) < 100_000
    assert json.loads(text) == found
    for panel in found["panels"]:
        assert panel["alt"].endswith(".")
        low, high = panel["y"]["limits"]
        assert low < high
        assert panel["x"]["limits"][0] < panel["x"]["limits"][1]


def test_arrows_run_from_own_to_shrunken_estimates():
    found = view(LabState(show=FAST))
    drawn = marks(panels(found)["plane"], "arrow")
    starts = np.array([[m["x"][0], m["y"][0]] for m in drawn])
    ends = np.array([[m["x"][1], m["y"][1]] for m in drawn])
    assert starts == pytest.approx(found.unpenalised, rel=1e-5)
    assert ends == pytest.approx(found.estimates["reml"].coefficient, rel=1e-5)
    assert [m["strong"] for m in drawn].count(True) == 1


def test_the_outer_ellipse_holds_95_percent():
    found = view(LabState(show=("reml",)))
    outline = marks(panels(found)["plane"], "line", "soft")[1]
    away = np.array([outline["x"], outline["y"]]).T - found.estimates["reml"].population
    inverse = np.linalg.inv(found.estimates["reml"].covariance)
    distance = np.einsum("ia,ab,ib->i", away, inverse, away)
    assert distance == pytest.approx(5.991, abs=2e-3)  # chi-squared, 2 df


def test_lines_of_a_level():
    found = view(LabState(show=("reml",), level="308"))
    lines = {m["style"]: m for m in marks(panels(found)["data"], "line")}
    j = found.level
    for style, (a, b) in {
        "own": found.unpenalised[j],
        "reml": found.estimates["reml"].coefficient[j],
        "complete": found.complete,
    }.items():
        assert lines[style]["x"] == [0.0, 9.0]
        assert lines[style]["y"] == pytest.approx([a, a + 9 * b], rel=1e-5)


def test_observations_know_their_row():
    found = view(LabState(show=("reml",), level="309", edits=((3, None), (12, 150.0))))
    drawn = {m["row"]: m for m in marks(panels(found)["data"], "obs")}
    assert list(drawn) == list(range(10, 20))
    assert drawn[12]["y"] == 150.0
    assert [row for row, m in drawn.items() if m["moved"]] == [12]


def test_through_one_observation_there_is_no_line_of_its_own():
    found = view(LabState(data="sparse", show=("reml",), level="one"))
    lines = {m["style"]: m for m in marks(panels(found)["data"], "line")}
    assert set(lines) == {"soft", "complete", "reml"}
    assert "leave open" in in_words(found)


def test_reliability_lies_on_its_curve():
    state = LabState(data="schools", show=("reml",), unlocked=True, sds=(8.0,))
    panel = panels(view(state))["reliability"]
    curve = marks(panel, "line")[0]
    for point in marks(panel, "point", "chosen"):
        assert point["y"] == pytest.approx(np.interp(point["x"], curve["x"], curve["y"]), abs=2e-3)


def test_guessing_hides_every_estimate():
    found = scene(view(LabState(show=FAST, guessing=True, guess=(250.0, 5.0))))
    styles = {mark.get("style") for panel in found["panels"] for mark in panel["marks"]}
    assert not styles & {"reml", "ml", "posterior", "chosen"}
    assert "guess" in styles
    assert [panel["id"] for panel in found["panels"]] == ["data", "plane"]
    assert "hidden" in found["words"]


def test_prior_and_posterior_of_an_sd_are_densities():
    panel = panels(view(LabState(data="dyestuff2")))["sd0"]
    (area,) = marks(panel, "area", "posterior")
    assert np.trapezoid(area["y"], area["x"]) == pytest.approx(1.0, abs=0.02)
    (reml,) = marks(panel, "line", "reml")
    assert reml["x"] == [0.0, 0.0]


def test_words_of_a_level():
    text = in_words(view(LabState(show=("reml",), level="308")))
    assert text.startswith("Subject 308 (10 observations). (Intercept): 244.2 on its own, 253.7")
    assert "reliability 0.85" in text


def test_tables_hold_the_numbers_of_the_fits():
    found = view(LabState(show=FAST))
    table = parameter_table(found)
    assert table.loc["sd(Days|Subject)", "REML"] == pytest.approx(5.92213, abs=1e-5)
    assert table.loc["cor((Intercept), Days|Subject)", "ML"] == pytest.approx(0.0813, abs=1e-4)
    assert list(level_table(found).index) == ["No pooling", "REML", "ML", "Population"]


def test_a_coefficient_called_sigma_and_two_of_one_name_keep_their_rows():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"g": np.repeat(np.arange(8), 8), "sigma": rng.normal(size=64)})
    d["A"], d["AB"] = rng.choice(["A0", "B1"], 64), rng.choice(list("01"), 64)
    d["y"] = 3 * d["sigma"] + rng.normal(size=8)[d["g"]] + rng.normal(size=64)
    fit = hb.lmer("y ~ sigma + A + AB + (1 | g)", d)
    table = parameter_table(SimpleNamespace(estimates={"reml": SimpleNamespace(fit=fit)}))
    assert table.loc[["sigma", "A[B1]", "AB[1]"], "REML"].tolist() == fit.beta[1:].tolist()
    assert table.loc["sd(Residual)", "REML"] == fit.sigma


def test_labels_in_tables_are_text():
    found = view(LabState(show=FAST))
    table = level_table(found).rename(index={"REML": "<script>alert('1')</script>"})
    page = html_table(table, "level", "<b>")
    assert "<script>" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (251.40510, "251.4"),
        (0.0, "0"),
        (-5.4496, "-5.450"),
        (0.000123456, "0.0001235"),
        (1e-9, "1.000e-09"),
        (1234567.8, "1234568"),
        (float("nan"), "–"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert format_plain(value) == text


def test_many_levels_are_shown_around_the_one_looked_at():
    state = LabState(data="simulated", show=("reml",), simulation=Simulation(groups=60))
    assert len(panels(view(state))["plane"]["marks"]) > 180
