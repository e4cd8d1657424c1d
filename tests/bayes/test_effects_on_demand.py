"""Effects of very many levels, made when looked at: the draws that they stand for, exactly."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes import collapsed_points
from hierbayes.bayes.level_effects import LevelEffects, draw_levels, with_effects_later
from hierbayes.results.effects_on_demand import EffectsOnDemand

J = 150


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, J, 900), rng.normal(2, 1, 900)
    b = rng.normal(size=(J, 2)) @ np.array([[1, 0.3], [0, 0.6]])
    return pd.DataFrame({"y": 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=900), "x": x, "g": g})


@pytest.fixture(scope="module")
def posts(data):
    """A posterior with effects made later, and the same one with all of them made."""
    model = hb.Model("y ~ x + (x | g)", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collapsed_points, "LATER", 10)
        later = model.sample(draws=250, random_seed=1)
    made = {"g": np.asarray(later.draws.b["g"])}
    return later, replace(later, draws=replace(later.draws, b=made))


def test_a_block_has_the_distribution_given_everything_else(data, posts):
    post = posts[0]
    make = post.draws.b["g"].make
    assert isinstance(make, LevelEffects)
    s, j = 7, 3
    rows = data[data.g.astype(str) == post.design.factors[0].levels[j]]
    Z = np.column_stack([np.ones(len(rows)), rows.x])
    sigma = post.draws.sigma.ravel()[s]
    sd, corr = post.draws.sd["g"].reshape(-1, 2)[s], post.draws.corr["g"].reshape(-1, 2, 2)[s]
    V = np.linalg.inv(Z.T @ Z / sigma**2 + np.linalg.inv(sd[:, None] * corr * sd))
    mean = V @ Z.T @ (rows.y - Z @ post.draws.beta.reshape(-1, 2)[s]).to_numpy() / sigma**2

    def of(noise) -> np.ndarray:
        out = np.zeros((make.sigma.size, 1, 2))
        out[s, 0] = noise
        one = slice(j, j + 1)
        draw_levels(
            make.blocks[one], make.right[one], make.weights, make.sigma, make.Lambdas,
            make.basis, out,
        )  # fmt: skip
        return out[s, 0]

    np.testing.assert_allclose(of([0, 0]), mean, rtol=1e-9)
    root = np.column_stack([of([1, 0]), of([0, 1])]) - mean[:, None]
    np.testing.assert_allclose(root @ root.T, V, rtol=1e-9)


def test_they_are_drawn_as_effects_that_are_made_at_once(data, posts):
    whole = hb.Model("y ~ x + (x | g)", data).sample(draws=250, random_seed=1)
    later = posts[1].draws.b["g"]
    np.testing.assert_array_equal(whole.draws.beta, posts[0].draws.beta)
    error = whole.ranef_sd()["g"].to_numpy() / np.sqrt(1000 / 2)
    away = (later.mean(axis=(0, 1)) - whole.ranef()["g"].to_numpy()) / error
    assert np.abs(away).max() < 4.5  # of 300 numbers
    assert np.mean(away**2) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:, :, 5], np.s_[1, 3], np.s_[..., 0], np.s_[:, :, 3:140:7, 1],
        np.s_[:, :, np.array([70, 3, 3])], np.s_[2:, ::3, 10:80], np.s_[:, :, :, 1],
    ],
)  # fmt: skip
def test_indexing_gives_what_the_array_has(posts, key):
    lazy, made = (post.draws.b["g"] for post in posts)
    np.testing.assert_array_equal(lazy[key], made[key])


@pytest.mark.parametrize(
    "key",
    [
        np.s_[np.array([5, 7])], np.s_[:, 7], np.s_[:, np.array([1, 140, 1])], np.s_[3],
        np.s_[np.array([5, 7])[:, None], np.array([3, 100, 3])[None, :], 1],
    ],
)  # fmt: skip
def test_so_does_indexing_with_the_chains_one_after_the_other(posts, key):
    lazy, made = (post.draws.b["g"].reshape(1000, J, 2) for post in posts)
    assert isinstance(lazy, EffectsOnDemand)
    np.testing.assert_array_equal(lazy[key], made[key])


@pytest.mark.parametrize(
    "ask",
    [
        lambda post: post.ranef_sd()["g"],
        lambda post: post.coef_sd()["g"],
        lambda post: post.tidy("ran_vals"),
        lambda post: post.diagnostics("ran_vals"),
        lambda post: hb.shrinkage(post),
        lambda post: post.idata.posterior.b_g.sel(g="7").to_dataframe(),
        lambda post: post.predict(
            pd.DataFrame({"x": [1.0, 2.0], "g": [3, 140]}), interval="confidence"
        ),
    ],
)
def test_a_posterior_answers_the_same(posts, ask):
    lazy, made = (pd.DataFrame(ask(post)).select_dtypes("number").to_numpy() for post in posts)
    np.testing.assert_allclose(lazy, made, rtol=1e-9, atol=1e-12)


def test_a_seed_gives_the_same_effects_again(posts):
    post = posts[0]
    again = with_effects_later(
        post.draws, post.spec.kernel("reml"), seed=post.draws.b["g"].make.seed
    )
    np.testing.assert_array_equal(again.b["g"][:, :, 100], posts[1].draws.b["g"][:, :, 100])
