"""Inclusion Bayes factors by hand-sum over the posterior probabilities of models."""

import math

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.comparison.model_terms import submodels

FORMULAS = ("y ~ 1", "y ~ a", "y ~ b", "y ~ a + b", "y ~ a * b")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    a, b = np.tile([0, 1], 20), np.repeat([0, 1], 20)
    y = 0.9 * a + 0.2 * b + rng.normal(size=40)
    groups = np.arange(40) % 8
    columns = {"a": a.astype(str), "b": b.astype(str), "g": groups.astype(str)}
    y = y + rng.normal(size=8)[groups]
    return pd.DataFrame(columns | {"y": y, "x": rng.normal(size=40)})


@pytest.fixture(scope="module")
def posts(data):
    return [hb.Model(formula, data).sample(draws=250, random_seed=1) for formula in FORMULAS]


def test_is_the_sum_over_matched_models(posts):
    found = hb.inclusion(posts)
    logs = np.array([post.log_marginal_likelihood for post in posts])
    p = np.exp(logs - logs.max())
    mean, a, b, both, product = p / p.sum()
    expected = {"a": (a + both) / (mean + b), "b": (b + both) / (mean + a), "a:b": product / both}
    assert np.exp(found.table["log_bf"]).to_dict() == pytest.approx(expected)
    assert found.table["posterior"]["a"] == pytest.approx(a + both + product)
    assert found.table["prior"]["a:b"] == pytest.approx(0.2)
    assert found.models["posterior"].to_numpy() == pytest.approx(p / p.sum())
    error = math.hypot(*(posts[i].log_marginal_likelihood_mcse for i in (3, 4)))
    assert found.table["log_bf_mcse"]["a:b"] == pytest.approx(error)


def test_wider_priors_of_a_term_change_all_models_that_have_it(posts):
    found = hb.inclusion(posts, random_seed=1)
    assert found.by_width[1.0].to_dict() == pytest.approx(found.table["log_bf"].to_dict())
    alone = hb.bayes_factor(posts[4], drop="a:b", random_seed=2)
    shift = alone.by_width.set_index("factor")["log_bf"].sub(alone.log_bf)
    gained = found.by_width.loc["a:b"] - found.table["log_bf"]["a:b"]
    assert gained[4.0] == pytest.approx(shift[4.0], abs=1e-9)
    assert "x 0.25" in str(found)


def test_over_all_models_the_prior_odds_count(posts):
    found = hb.inclusion(posts, matched=False, prior=[4, 1, 1, 1, 1])
    logs = np.array([post.log_marginal_likelihood for post in posts])
    before = np.array([4, 1, 1, 1, 1]) / 8
    after = before * np.exp(logs - logs.max())
    has = np.array([False, True, False, True, True])
    odds = after[has].sum() / after[~has].sum() / (before[has].sum() / before[~has].sum())
    assert math.exp(found.table["log_bf"]["a"]) == pytest.approx(odds)
    assert "All models with a term are compared" in str(found)


def test_models_within_one_respect_marginality(data):
    spec = hb.Model("y ~ a * b + x + (1 | g)", data).spec
    changes = submodels(spec, None)
    assert len(changes) == 10
    assert ". ~ . - b - a:b" in changes
    assert not any("- b" in change and "a:b" not in change for change in changes)
    assert submodels(spec, ["(1 | g)", ""])[0].endswith("- (1 | g) + (1 | g)")
    wide = hb.Model("y ~ (a + b + x + I(x^2)) ^ 4", data).spec
    with pytest.raises(hb.OptionError, match="give a list of those to compare"):
        submodels(wide, [f"({k} | g)" for k in range(9)])


@pytest.mark.slow
def test_one_model_stands_for_those_within_it(data):
    found = hb.inclusion(hb.Model("y ~ a * b + (1 | g)", data), priors=hb.JZS(), random_seed=1)
    assert len(found.models) == 5
    assert not any("a:b" in name and "b +" not in name for name in found.models.index[:2])
    alone = hb.bayes_factor(
        hb.Model("y ~ a + b + (1 | g)", data), drop="b", priors=hb.JZS(), random_seed=2
    )
    models = found.models["log_bf"]
    gap = models["y ~ a + b + (1 | g)"] - models["y ~ a + (1 | g)"]
    assert gap == pytest.approx(alone.log_bf, abs=0.05)


def test_random_effects_and_their_correlation_are_terms(data):
    parts = ["(1 | g)", "(x || g)", "(x | g)"]
    models = [hb.Model(f"y ~ {fixed} + {part}", data) for part in parts for fixed in ("1", "x")]
    found = hb.inclusion([model.sample(draws=50, random_seed=1) for model in models])
    assert list(found.table.index) == ["x", "x | g", "cor(g)"]
    assert found.table["n_with"].tolist() == [3, 4, 2]
    assert found.table["n_without"].tolist() == [3, 2, 2]
    figure = found.plot()[0]
    assert "x | g" in hb.plot.alt_text(figure)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (lambda posts: posts[:1], {}, "two or more different models"),
        (lambda posts: [posts[0], posts[0]], {}, "1 different sets of terms"),
        (lambda posts: [1, 2], {}, "takes models or their posteriors"),
        (lambda posts: posts, {"random": ["(1 | g)"]}, "random= is for one model"),
        (lambda posts: posts, {"prior": [1, 2]}, "must be 5 positive numbers"),
        (lambda posts: posts, {"prior": {"y ~ 1": 1}}, "name each model by its formula"),
    ],
)
def test_a_wrong_request_gets_a_sentence(posts, given, options, words):
    with pytest.raises(hb.OptionError, match=words):
        hb.inclusion(given(posts), **options)
