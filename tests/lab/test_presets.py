"""The data of the lab: each preset teaches what it says, and a file is data or a sentence."""

import numpy as np
import pytest

from hierbayes.errors import DataError
from hierbayes.lab.presets import (
    PRESETS,
    Simulation,
    guessed_formula,
    own_table,
    simpson,
    simulated,
    sparse_sleepstudy,
    titles,
    true_lines,
)
from hierbayes.model.model import lmer


@pytest.mark.filterwarnings("ignore::hierbayes.errors.BoundaryWarning")
@pytest.mark.parametrize("key", PRESETS)
def test_each_preset_is_a_model_with_its_level_and_its_code(key):
    preset = PRESETS[key]
    fit = lmer(preset.formula, preset.load(), known_sd=preset.known_sd)
    assert preset.level in fit.design.factors[0].levels
    assert fit.is_singular == (key in ("dyestuff2", "schools"))
    assert preset.title in titles()


def test_in_simpsons_paradox_pooling_turns_the_slope_around():
    data = simpson()
    ignoring = np.polyfit(data["x"], data["y"], 1)[0]
    assert ignoring < -1
    fit = lmer("y ~ x + (1 | group)", data)
    assert fit.fixef()["x"] > 2
    # lme4 1.1.31: REMLcrit(lmer(y ~ x + (1 | group)))
    assert fit.criterion == pytest.approx(121.040598, abs=1e-5)


def test_the_sparse_subjects_have_one_and_two_observations():
    counts = sparse_sleepstudy()["Subject"].value_counts()
    assert (counts["one"], counts["two"], len(counts)) == (1, 2, 20)


def test_simulated_data_follow_their_truth():
    truth = Simulation(groups=60, rows=30, sigma=1.0, cor=0.8)
    data = simulated(truth)
    assert len(data) == 60 * 30
    lines = true_lines(truth)
    own = np.array([np.polyfit(g["x"], g["y"], 1)[::-1] for _, g in data.groupby("group")])
    assert np.abs(own - lines).max() < 2
    assert np.corrcoef(lines.T)[0, 1] == pytest.approx(0.8, abs=0.15)


def test_a_slider_moves_points_instead_of_drawing_new_ones():
    first, second = (simulated(Simulation(sigma=sigma)) for sigma in (20.0, 40.0))
    assert np.corrcoef(first["y"], second["y"])[0, 1] > 0.9
    more = simulated(Simulation(groups=13))
    assert more[: len(first)].equals(simulated(Simulation()))


@pytest.mark.parametrize(("imbalance", "smallest", "largest"), [(0.0, 6, 6), (1.0, 1, 12)])
def test_imbalance_spreads_the_sizes(imbalance, smallest, largest):
    counts = simulated(Simulation(imbalance=imbalance))["group"].value_counts()
    assert (counts.min(), counts.max()) == (smallest, largest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"\n \n", "The file is empty"),
        (b"\xff\xfe\x00a", "not text in UTF-8"),
        (b"a,b\x00\n1,2", "binary data"),
        (b"a\n1\n2", "2 rows and 1 columns"),
        (b"a,b", "0 rows and 2 columns"),
        (b'a,b\n1,2\n"3', "can't be read as CSV"),
        (b"a,b\n1,2\n1,2,3,4\n", "can't be read as CSV"),
        (b"a,b\n" + b"1,2\n" * 6000, "takes at most 5000"),
    ],
)
def test_a_bad_file_is_one_sentence(content, message):
    with pytest.raises(DataError, match=message) as caught:
        own_table(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("y,x,g\n1,0,a\n2,1,a\n3,0,b\n5,1,b", "y ~ x + (x | g)"),
        ("g;y\na;1\na;2\nb;3\nb;5", "y ~ 1 + (1 | g)"),
        ("y,size,g\n1,3,a\n2,3,a\n3,4,b\n5,4,b", "y ~ size + (1 | g)"),
        ("y,id\n1.5,1\n2,1\n3,2\n4,2", "y ~ 1 + (1 | id)"),
        ("y,id\n1.5,1\n2,1\n3,2\n4,2\n5,", "y ~ 1 + (1 | id)"),
        ("row,x,y,g\n1,0,7,a\n2,1,8,a\n3,0,9,b\n4,1,7,b", "y ~ x + (x | g)"),
        ("my y,g h\n1,a\n2,a\n3,b\n4,b", "`my y` ~ 1 + (1 | `g h`)"),
    ],
)
def test_a_formula_to_begin_with(text, formula):
    assert guessed_formula(own_table(text.encode())) == formula


@pytest.mark.parametrize(
    ("text", "message"),
    [("y,x\n1.5,2.5\n2.5,3.5", "grouping factor"), ("g,h\na,b\na,c\nb,b", "no response")],
)
def test_without_groups_or_numbers_a_sentence_says_so(text, message):
    with pytest.raises(DataError, match=message):
        guessed_formula(own_table(text.encode()))
