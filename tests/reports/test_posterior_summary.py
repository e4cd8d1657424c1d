"""The printed posterior: every number where it belongs, level and kind of intervals always said."""

import dataclasses
import re

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from hierbayes.results.finding import Finding
from tests.results.posteriors import SETTINGS, known_draws, known_posterior

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def model():
    return hb.Model(FORMULA, hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def post(model):
    return known_posterior(model, draws=500)


def row(text, name):
    """Cells of the row that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(name + " "))
    return line[len(name) :].split()


def test_blocks_stand_in_order(post):
    text = str(post)
    titles = [
        "Posterior of a linear mixed model",
        f"Formula: {FORMULA}",
        "Data: sleepstudy",
        "Family: gaussian, link identity",
        "Rows: 180 used; groups: Subject, 18",
        "Draws: 2 chains of 500 draws by the collapsed sampler",
        "Priors: (Intercept)             ~ Normal(298.5, 140.8) at the mean of the predictors",
        "Multilevel hyper-parameters of Subject (18 levels):",
        "Regression coefficients:",
        "Further parameters:",
        "equal-tailed 95 % credible intervals",
        "smallest effective sample size",
        "Log marginal likelihood -100.00 (Monte-Carlo error 0.01).",
    ]
    places = [text.find(title) for title in titles]
    assert -1 not in places and places == sorted(places), dict(zip(titles, places, strict=True))


def test_numbers_are_those_of_tidy(post):
    text, tidy = str(post), post.tidy()
    names = ["(Intercept)", "Days", "sd((Intercept))", "sd(Days)", None, "sigma"]
    for name, (_, expected) in zip(names, tidy.iterrows(), strict=True):
        if name is not None:
            cells = [float(cell) for cell in row(text, name)[:4]]
            numbers = expected[["estimate", "std_error", "conf_low", "conf_high"]]
            np.testing.assert_allclose(cells, numbers.astype(float), atol=0.06)


def test_decimals_follow_the_posterior_sd(post):
    cells = row(str(post), "Days")
    assert post.std_errors[1] < 10 and all(re.fullmatch(r"-?\d+\.\d", cell) for cell in cells[:4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 0.9}, ["l-90% CI", "equal-tailed 90 % credible intervals"]),
        ({"kind": "hdi"}, ["u-95% CI", "highest-density 95 % credible intervals"]),
        ({"level": 0.995}, ["l-99.5% CI"]),
        ({"diagnostics": True}, ["Rhat", "Bulk_ESS", "Tail_ESS"]),
    ],
)
def test_options_show(post, options, words):
    text = post.summary(**options).replace("\n", " ")
    assert all(word in text for word in words)


def test_columns_of_convergence_come_where_they_say_something(model):
    good, bad = known_draws(model.fit(), draws=2000), known_draws(model.fit(), draws=2000)
    bad.beta[0, :, 1] += 3  # one chain elsewhere
    texts = [str(posterior_fit(model.spec, d, settings=SETTINGS)) for d in (good, bad)]
    assert ["Rhat" in text for text in texts] == [False, True]
    assert "The chains do not agree: R-hat of Days is" in texts[1].replace("\n  ", " ")


def test_priors_can_be_left_out_and_the_users_are_marked():
    model = hb.Model(FORMULA, hb.load_dataset("sleepstudy"), priors={"Days": hb.Normal(0, 10)})
    post = known_posterior(model)
    assert re.search(r"Days +~ Normal\(0, 10\) \(yours\)", str(post))
    assert "Priors" not in post.summary(priors=False)


def test_findings_stand_last(model):
    finding = Finding("pareto_k", "The proposal misses a part.", "Use NUTS.")
    post = posterior_fit(
        model.spec, known_draws(model.fit()), settings=SETTINGS, findings=(finding,)
    )
    assert str(post).endswith("Findings:\n- The proposal misses a part. Use NUTS.")
    assert not post.converged


def test_every_grouping_factor_has_a_block():
    data = hb.load_dataset("Pastes")
    text = str(known_posterior(hb.Model("strength ~ 1 + (1 | batch/cask)", data)))
    assert "hyper-parameters of cask:batch (30 levels)" in text
    assert "hyper-parameters of batch (10 levels)" in text


def test_html_has_the_same_numbers_and_escapes_names(post):
    html = post._repr_html_()
    for name in ("Days", "sigma"):
        cells = row(str(post), name)
        assert all(f"<td>{cell}</td>" in html for cell in cells)
    assert "equal-tailed 95 % credible intervals" in html and "<script" not in html
    data = hb.load_dataset("sleepstudy").rename(columns={"Days": "<script>"})
    odd = known_posterior(hb.Model("Reaction ~ `<script>` + (1 | Subject)", data))
    assert "<script" not in odd._repr_html_() and "&lt;script&gt;" in odd._repr_html_()


def test_a_statement_prints_and_shows(post):
    found = post.hypothesis("Days < 5")
    assert "P(Days < 5) = " in str(found) and "P(Days &lt; 5) = " in found._repr_html_()


def test_wrong_options_are_one_sentence(post):
    with pytest.raises(hb.OptionError, match="level=95 must be a number between 0 and 1"):
        post.summary(level=95)
    with pytest.raises(hb.OptionError, match="diagnostics='yes'"):
        post.summary(diagnostics="yes")


def test_a_constant_parameter_has_a_row(model):
    draws = known_draws(model.fit())
    fixed = dataclasses.replace(draws, sigma=np.full_like(draws.sigma, 25.0))
    post = posterior_fit(model.spec, fixed, settings=SETTINGS, findings=())
    assert row(str(post), "sigma")[:2] == ["25", "0"]
