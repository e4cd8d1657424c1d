"""A reanalysis says what its fits say, and its reports hold together."""

import numpy as np
import pytest

import hierbayes as hb

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def found(sleep):
    return hb.reanalyse(FORMULA, sleep, expected=5.0, threshold=5, random_seed=1)


def test_rows_are_what_the_fits_say(found, sleep):
    table = found.to_frame()
    reml = hb.lmer(FORMULA, sleep)
    assert table.loc["REML", "median"] == reml.fixef()["Days"]
    draws = found.fits["sceptical"].draws.beta[:, :, 1].ravel()
    row = table.loc["sceptical"]
    assert row["median"] == np.median(draws)
    assert row["prob_positive"] == (draws > 0).mean()
    assert row["prob_beyond"] == (draws > 5).mean()
    # a sceptic gives the expected effect or a larger one 5 %
    law = hb.Normal(0, 5 / 1.6448536269514722)
    assert row["prior"] == str(law)
    assert table.loc["sceptical", "median"] < table.loc["neutral", "median"]


def test_the_bayes_factor_is_that_of_the_model_without_the_term(found, sleep):
    prior = {"Days": hb.Normal(0, 5 / 1.6448536269514722)}
    large = hb.Model(FORMULA, sleep, priors=prior).sample(random_seed=3)
    small = hb.Model("Reaction ~ 1 + (Days | Subject)", sleep).sample(random_seed=4)
    expected = hb.bayes_factor(large, small).bf
    assert found.to_frame().loc["sceptical", "bayes_factor"] == pytest.approx(expected, rel=0.15)


@pytest.mark.filterwarnings("ignore::hierbayes.errors.BoundaryWarning")
def test_published_estimates_and_errors_are_enough():
    found = hb.reanalyse(
        "effect ~ 1 + (1 | school)",
        hb.load_dataset("eight_schools"),
        known_sd="se",
        expected=10.0,
        random_seed=1,
    )
    table = found.to_frame()
    assert found.term == "(Intercept)"
    # the neutral prior is wide, so it favours no effect; the optimist's is not
    assert table.loc["neutral", "bayes_factor"] < 1 < table.loc["optimistic", "bayes_factor"]
    assert "The prior matters here" in found.paragraph


def test_a_column_of_a_factor_has_no_bayes_factor_and_says_why():
    found = hb.reanalyse(
        "score ~ Machine + (1 | Worker)", hb.load_dataset("Machines"), random_seed=1
    )
    assert found.term == "MachineC"
    assert found.to_frame()["bayes_factor"].isna().all()
    assert "no term that can be taken out" in str(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"term": "days"}, "did you mean 'Days'"),
        ({"priors": {}}, "dict of names and priors"),
        ({"expected": 0.0}, "other than zero"),
        ({"threshold": "5"}, "must be a number"),
        ({"level": 2}, "between 0 and 1"),
        ({"random_seed": "one"}, "NumPy Generator"),
        ({"priors": {"REML": None}}, "choose another name"),
    ],
)
def test_bad_input_is_named(sleep, given, words):
    with pytest.raises(hb.OptionError, match=words):
        hb.reanalyse(FORMULA, sleep, **given)
