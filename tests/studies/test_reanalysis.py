"""A reanalysis says what its fits say, and its reports hold together."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.render.numbers import format_percent, format_probability

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


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_a_neutral_prior_of_an_intercept_is_centred_at_no_effect():
    """A meta-analysis: the default prior is centred at the mean of the data, which it tests."""
    rng = np.random.default_rng(5)
    se = rng.uniform(0.1, 0.4, 13)
    effect = -0.7 + 0.5 * rng.standard_normal(13) + se * rng.standard_normal(13)
    data = {"effect": effect, "se": se, "trial": [f"t{k}" for k in range(13)]}
    options = {"known_sd": "se", "random_seed": 1}
    found = hb.reanalyse("effect ~ 1 + (1 | trial)", data, **options)
    law = hb.Normal(0, 2.5 * effect.std(ddof=1))
    assert found.to_frame().loc["neutral", "prior"] == str(law)
    assert "mean of the data" not in " ".join(found.notes)
    asked = hb.reanalyse("effect ~ 1 + (1 | trial)", data, {"default": None}, **options)
    assert "default: The default prior of the intercept" in " ".join(asked.notes)
    assert "centred at the mean of the data" in " ".join(asked.notes)


def test_a_probability_is_rounded_once(found):
    for value in (0.0025, 0.00249, 0.9975, 0.12345, 0.0005, 0.9996, 0.5):
        table, prose = format_probability(value), format_percent(value)
        assert float(table.strip("<>")) == pytest.approx(float(prose.split()[-2]) / 100)
    table = found.to_frame()
    assert format_percent(table.loc["sceptical", "prob_beyond"]) in found.paragraph
    assert format_probability(table.loc["sceptical", "prob_beyond"]) in str(found)
