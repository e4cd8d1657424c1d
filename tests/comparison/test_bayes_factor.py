"""Bayes factors: the difference of two marginal likelihoods, its error, its words."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.render.html import fragment
from hierbayes.render.text import text as as_text
from hierbayes.reports.bayes_factor import bayes_factor_blocks, verdict
from hierbayes.results.comparison import BayesFactor

SLOPES = "Reaction ~ Days + (Days | Subject)"
INDEPENDENT = "Reaction ~ Days + (Days || Subject)"


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def slopes(sleep):
    return hb.Model(SLOPES, sleep).sample(random_seed=1)


@pytest.fixture(scope="module")
def independent(sleep):
    return hb.Model(INDEPENDENT, sleep).sample(random_seed=2)


def test_is_the_difference_of_the_log_marginal_likelihoods(slopes, independent):
    found = hb.bayes_factor(slopes, independent)
    gap = slopes.log_marginal_likelihood - independent.log_marginal_likelihood
    errors = slopes.log_marginal_likelihood_mcse, independent.log_marginal_likelihood_mcse
    assert found.log_bf == gap
    assert found.log_bf_mcse == math.hypot(*errors)
    assert found.bf == pytest.approx(math.exp(gap))
    assert found.bf_mcse == pytest.approx(math.exp(gap) * math.hypot(*errors))


def test_exchanging_the_models_inverts_it(slopes, independent):
    there = hb.bayes_factor(slopes, independent)
    back = hb.bayes_factor(independent, slopes)
    assert back.log_bf == -there.log_bf
    assert back.prior_differences == there.prior_differences[::-1]


def test_agrees_with_savage_and_dickey_for_the_correlation(slopes, independent):
    """BF of (Days | Subject) against (Days || Subject) is prior over posterior density at cor 0.

    Both models have the same priors of all else, and LKJ(2) of a 2 x 2 matrix is the density
    3/4 (1 - r^2), so 3/4 at 0.
    """
    draws = slopes.draws.corr["Subject"][:, :, 1, 0].ravel()
    width = 0.1  # the posterior's sd is 0.28: the density is flat to 1 % over +- 0.1
    share = np.mean(np.abs(draws) < width)
    density = share / (2 * width)
    error = math.sqrt((1 - share) / share / slopes.n_draws * 2)  # draws are half as good as new
    expected = math.log(0.75 / density)
    assert hb.bayes_factor(slopes, independent).log_bf == pytest.approx(expected, abs=4 * error)


def test_names_the_priors_only_one_model_has(slopes, independent):
    found = hb.bayes_factor(slopes, independent)
    assert found.prior_differences == (("cor(Subject) ~ LKJ(2)",), ())
    assert "Priors only a has: cor(Subject) ~ LKJ(2)." in as_text(bayes_factor_blocks(found))


def made(log_bf, mcse=0.01):
    return BayesFactor(
        names=("a", "b"),
        formulas=("y ~ x", "y ~ 1"),
        log_marginal_likelihoods=(log_bf, 0.0),
        mcses=(mcse, 0.0),
        log_bf=log_bf,
        log_bf_mcse=mcse,
        prior_differences=((), ()),
        n_obs=10,
    )


@pytest.mark.parametrize(
    ("log_bf", "mcse", "expected"),
    [
        (math.log(3.1), 0.01, "The data are 3.1 times more likely under a than under b given"),
        (-math.log(3.1), 0.01, "The data are 3.1 times more likely under b than under a given"),
        (0.01, 0.01, "about equally likely under a and b given these priors"),
        (70.0, 0.01, "The data are about 10^30 times more likely under a than under b given"),
        (math.log(12345), 0.001, "The data are 12345 times more likely under a"),
    ],
)
def test_the_sentence_says_direction_and_size(log_bf, mcse, expected):
    assert expected in verdict(made(log_bf, mcse))


def test_a_factor_beyond_all_numbers_is_infinite_and_prints():
    found = made(5000.0)
    assert found.bf == math.inf
    assert "10^2171" in str(found)


def test_prints_log_marginal_likelihoods_and_the_caution(slopes, independent):
    found = hb.bayes_factor(slopes, independent, names=("correlated", "independent"))
    text, html = as_text(bayes_factor_blocks(found)), fragment(bayes_factor_blocks(found))
    for shown in (text, html):
        assert "Bayes factor of correlated against independent" in shown
        assert f"{slopes.log_marginal_likelihood:.2f}"[:-1] in shown
    assert "the lower its marginal likelihood" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_nuts_has_no_marginal_likelihood(slopes, independent):
    draws = replace(independent.draws, sampler="nuts", log_marginal_likelihood=None)
    other = replace(independent, draws=draws)
    with pytest.raises(hb.NotSupportedError, match="b was sampled by NUTS, which gives no marg"):
        hb.bayes_factor(slopes, other)


def test_flat_priors_have_no_marginal_likelihood(sleep, slopes):
    flat = hb.Model(INDEPENDENT, sleep, priors={"Days": hb.Flat()}).sample(draws=50, random_seed=1)
    with pytest.raises(hb.NotSupportedError, match=r"b has flat priors \(Days\)"):
        hb.bayes_factor(slopes, flat)


def test_a_reml_fit_is_sent_to_anova(sleep, slopes):
    with pytest.raises(hb.HierBayesError, match=r"b is a LinearFit.*hb\.anova"):
        hb.bayes_factor(slopes, hb.lmer(SLOPES, sleep))


@pytest.mark.parametrize(
    ("formula", "rows", "message"),
    [
        (SLOPES, 170, r"different rows \(180 and 170\)"),
        ("log(Reaction) ~ Days + (1 | Subject)", 180, r"responses \(Reaction and log\(Reaction\)"),
    ],
)
def test_other_data_are_named(sleep, slopes, formula, rows, message):
    other = hb.Model(formula, sleep.iloc[:rows]).sample(random_seed=1)
    with pytest.raises(hb.HierBayesError, match=message):
        hb.bayes_factor(slopes, other)


def test_names_must_be_two_different_ones(slopes, independent):
    with pytest.raises(hb.HierBayesError, match="two different names"):
        hb.bayes_factor(slopes, independent, names=("a", "a"))


def test_a_noisy_one_says_so(slopes, independent):
    noisy = replace(slopes, draws=replace(slopes.draws, log_marginal_likelihood_mcse=0.8))
    found = hb.bayes_factor(noisy, independent)
    assert [finding.code for finding in found.findings] == ["noisy_bayes_factor"]


def test_a_prior_centred_by_the_data_is_told_where_it_is_tested(sleep):
    options = {"draws": 100, "random_seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        large, small, own, slope = (
            hb.Model(f"Reaction ~ {right} + (1 | Subject)", sleep, priors=priors).sample(**options)
            for right, priors in (
                ("1", None),
                ("0", None),
                ("1", {"(Intercept)": hb.Normal(0, 500)}),
                ("Days", None),
            )
        )
    codes = {
        name: [f.code for f in hb.bayes_factor(a, b).findings]
        for name, a, b in (
            ("tested", large, small),
            ("reversed", small, large),
            ("given", own, small),
            ("both alike", slope, large),
        )
    }
    told = {name for name, found in codes.items() if "data_centred_prior" in found}
    assert told == {"tested", "reversed"}
    words = " ".join(str(hb.bayes_factor(large, small)).split())
    assert "is centred at the mean of the data, and b has another or none" in words
