"""Rows of posteriors whose residuals are correlated or of unequal variance, by dense Gaussians."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.design.new_data import new_rows
from hierbayes.gaussian.residual.root import through_root
from hierbayes.prediction.posterior_predict import joint_log_likelihood
from hierbayes.prediction.residual_rows import residual_rows_of
from tests.residual_posteriors import CASES, NEW, covariance, drawn, rows

SHOWN = [0, 7, 19]  # draws


def predictors(post, draw: int) -> np.ndarray:
    """Linear predictor of all rows in a draw; effects of levels without rows are zero."""
    data = rows()
    found = (
        np.column_stack([np.ones(len(data)), data["age"]]) @ post.draws.beta.reshape(-1, 2)[draw]
    )
    for factor in post.design.factors:
        b = post.draws.b[factor.name].reshape(-1, factor.levels.size)[draw]
        found = found + data[factor.name].map(dict(zip(factor.levels, b, strict=True))).fillna(0)
    return np.asarray(found)


def split() -> tuple[np.ndarray, np.ndarray]:
    new = np.isin(np.arange(len(rows())), NEW)
    return np.flatnonzero(~new), np.flatnonzero(new)


@pytest.mark.parametrize("case", CASES)
def test_rows_given_all_others_have_their_conditional_density(case: str) -> None:
    post, (old, _) = drawn(case), split()
    found = post.log_likelihood().reshape(-1, old.size)
    for s in SHOWN:
        K = np.linalg.inv(covariance(case, post, s)[np.ix_(old, old)])
        e = (rows()["distance"].to_numpy() - predictors(post, s))[old]
        for i in (0, 3, 11):
            rest = np.delete(np.arange(old.size), i)
            mean = -K[i, rest] @ e[rest] / K[i, i]
            expected = -(np.log(2 * np.pi / K[i, i]) + (e[i] - mean) ** 2 * K[i, i]) / 2
            assert found[s, i] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_residuals_drawn_have_the_covariance_of_each_draw(case: str) -> None:
    post, (old, _) = drawn(case), split()
    own = residual_draws(post.spec, flat_draws(post.draws, post.design))
    eye = np.tile(np.eye(old.size), (post.n_draws, 1, 1))
    root = through_root(own.found, own.phi, eye) * own.sds()[:, :, None]
    for s in SHOWN:
        R = covariance(case, post, s)[np.ix_(old, old)]
        np.testing.assert_allclose(root[s] @ root[s].T, R, atol=1e-10)
        np.testing.assert_allclose(
            own.precision_times(R[None], slice(s, s + 1))[0], eye[s], atol=1e-8
        )
    a, b = (np.random.default_rng(3) for _ in range(2))
    expected = (root @ a.standard_normal((post.n_draws, old.size, 1)))[:, :, 0]
    np.testing.assert_allclose(own.drawn(b), expected, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_rows_of_observed_series_are_predicted_given_these(case: str) -> None:
    post, (old, new) = drawn(case), split()
    options = {"series": "observed", "new_levels": "population"}
    found = post.predict(rows().iloc[NEW], interval="confidence", **options)
    means, variances = [], []
    for s in range(post.n_draws):
        V, eta = covariance(case, post, s), predictors(post, s)
        c = np.linalg.solve(V[np.ix_(old, old)], V[np.ix_(old, new)])
        means.append(eta[new] + c.T @ (rows()["distance"].to_numpy() - eta)[old])
        variances.append(np.diag(V[np.ix_(new, new)] - c.T @ V[np.ix_(old, new)]))
    np.testing.assert_allclose(found["prediction"], np.mean(means, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["se"], np.std(means, axis=0, ddof=1), rtol=1e-7)
    single = post.predict(rows().iloc[NEW], **options)
    np.testing.assert_allclose(single, found["prediction"], rtol=1e-12)
    if post.design.factors:
        return
    table = post.predict(rows().iloc[NEW], interval="prediction", random_seed=1, **options)
    assert "observed rows" in table.attrs["includes"]
    apart = post.predict(rows().iloc[NEW], interval="prediction", random_seed=1)
    own = [np.sqrt(np.diag(covariance(case, post, s))[new]) for s in range(post.n_draws)]
    eta = np.array([predictors(post, s)[new] for s in range(post.n_draws)])
    z = np.random.default_rng(1).standard_normal(eta.shape)
    for given, values in (
        (table, np.array(means) + np.sqrt(variances) * z),
        (apart, eta + own * z),
    ):
        np.testing.assert_allclose(given["se"], values.std(axis=0, ddof=1), rtol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_posteriors_are_read_back_as_they_were(case: str, tmp_path: Path) -> None:
    post = drawn(case)
    post.save(tmp_path / "a.fit")
    again = hb.load(tmp_path / "a.fit")
    for name, value in post.residual_draws.items():
        np.testing.assert_array_equal(again.residual_draws[name], value)
    pd.testing.assert_frame_equal(again.simulate(2, 1), post.simulate(2, 1))


def test_simulated_responses_are_correlated_within_series() -> None:
    post = drawn("car1")
    y = post.simulate(40, 1, groups="new").to_numpy() - post.fitted().to_numpy()[:, None]
    after = np.flatnonzero(
        post.design.rows.values and np.diff(pd.factorize(rows().drop(NEW)["Subject"])[0]) == 0
    )
    r = np.corrcoef(y[after].ravel(), y[after + 1].ravel())[0, 1]
    assert r > 0.4  # of independent residuals 0.1


def test_groups_of_draws_know_correlated_residuals() -> None:
    post = drawn("us")
    tree = post.to_datatree("posterior_predictive", "prior", random_seed=1)
    R = tree["prior"]["cor_us|Subject"].to_numpy()
    assert (np.linalg.eigvalsh(R) > 0).all() and (np.abs(R[..., 0, 1]) < 1).all()
    assert tree["prior_predictive"]["distance"].shape == (2, 10, 38)
    assert tree["posterior_predictive"]["distance"].shape == (2, 10, 38)
    np.testing.assert_array_equal(tree["log_likelihood"]["distance"], post.log_likelihood())
    prior = tree["log_prior"]
    R = tree["posterior"]["cor_us|Subject"].to_numpy()
    density = np.log(np.linalg.det(R[0, 0]))  # of LKJ(2), up to its constant
    own = prior["cor_us|Subject"].to_numpy()
    assert own[0, 0] - own[0, 1] == pytest.approx(density - np.log(np.linalg.det(R[0, 1])))
    assert {"sigma_age10", "sigma_age14", "beta"} <= set(prior)


@pytest.mark.parametrize("case", CASES)
def test_residuals_are_means_of_those_of_each_draw(case: str) -> None:
    post, (old, _) = drawn(case), split()
    normalized, pearson = np.zeros(old.size), np.zeros(old.size)
    order = np.lexsort((rows()["age"].to_numpy()[old], rows()["Subject"].to_numpy()[old]))
    for s in range(post.n_draws):
        V = covariance(case, post, s)[np.ix_(old, old)][np.ix_(order, order)]
        e = (rows()["distance"].to_numpy() - predictors(post, s))[old][order]
        sigma = 1.0 if post.draws.sigma is None else post.draws.sigma.ravel()[s]
        normalized[order] += np.linalg.solve(np.linalg.cholesky(V), e) / post.n_draws
        pearson[order] += e / np.sqrt(np.diag(V)) * sigma / post.n_draws
    np.testing.assert_allclose(post.residuals("pearson"), pearson, rtol=1e-9)
    if case != "cs":  # whose root is the symmetric one
        np.testing.assert_allclose(post.residuals("normalized"), normalized, rtol=1e-9)


def test_refits_and_updates_keep_the_structure() -> None:
    post = drawn("ar1")
    options = {"draws": 100, "random_seed": 1, "sampler": "collapsed"}
    other = post.refit(post.design.y[::-1].copy(), **options)
    assert other.residual_names == post.residual_names
    assert post.update(". ~ . - age", **options).spec.design.residual is not None
    with pytest.raises(hb.OptionError, match="normalized"):
        hb.Model("distance ~ age", rows()).sample(draws=100, random_seed=1).residuals("normalized")


@pytest.mark.parametrize("case", CASES)
def test_all_rows_together_have_their_joint_density(case: str) -> None:
    post, (old, _) = drawn(case), split()
    found = joint_log_likelihood(post).ravel()
    for s in SHOWN:
        V = covariance(case, post, s)[np.ix_(old, old)]
        e = (rows()["distance"].to_numpy() - predictors(post, s))[old]
        expected = multivariate_normal.logpdf(e, np.zeros(old.size), V)
        assert found[s] == pytest.approx(expected, abs=1e-8)


def test_shares_of_variance_are_of_the_mean_residual_variance() -> None:
    for case in ("ar1", "us"):
        post, (old, _) = drawn(case), split()
        draws = [np.diag(covariance(case, post, s))[old] for s in range(post.n_draws)]
        weights = rows()["w"].to_numpy()[old]
        residual = np.array([(v * weights).mean() for v in draws])
        X = post.design.X - post.design.X.mean(axis=0)
        beta = post.draws.beta.reshape(-1, 2)
        fixed = ((beta @ X.T) ** 2).sum(axis=1) / (old.size - 1)
        random = 0.0
        for sd in post.draws.sd.values():
            random = random + sd.ravel() ** 2
        share = fixed / (fixed + random + residual)
        assert hb.r2(post).marginal == pytest.approx(share.mean(), rel=1e-9)


def test_what_is_said_in_words_knows_the_residuals() -> None:
    post = drawn("ar1", draws=60)
    said = post.sentence()
    assert "The residual standard deviation is" in said and "at neighbouring times" in said
    frame = hb.table(post, statistics=()).to_frame().reset_index()
    block = frame.set_index("row")["block"]
    assert block["cor(ar1 | Subject)"] == block["sd(Sexb | Residual)"] != block["age"]
    scaled = hb.sensitivity(post).to_frame()
    assert {"cor_ar1|Subject", "sigma_Sexb"} <= set(scaled.index)
    curve = hb.sensitivity(post, "sigma_Sexb", widths=[0.5], refit=False).to_frame()
    assert len(curve) == 2


@pytest.mark.parametrize("case", CASES)
def test_new_rows_of_one_series_are_drawn_together(case: str) -> None:
    post, (_, new) = drawn(case), split()
    flat = flat_draws(post.draws, post.design)
    fresh = rows().iloc[NEW]
    placed = new_rows(post.design, fresh)
    precisions = fresh["w"].to_numpy()
    of_rows = residual_rows_of(post, placed, fresh, precisions, observed=False, together=True)
    draws, eye = residual_draws(post.spec, flat), np.eye(len(NEW))
    for s in SHOWN:
        V = covariance(case, post, s)[np.ix_(new, new)]
        root = of_rows.drawn(draws.phi[s], eye) * draws.sigma[s]
        if case == "bars":
            own = post.design.of("sigma").factors[0]
            c = post.draws.formulas["sigma"].b["Half"].reshape(-1, own.levels.size)[s]
            root *= np.exp(c[np.searchsorted(own.levels, fresh["Half"])])[:, None]
        np.testing.assert_allclose(root @ root.T, V, atol=1e-10)
    found = post.simulate(3, 1, newdata=fresh)
    assert found.shape == (len(NEW), 3) and np.isfinite(found.to_numpy()).all()
    if case != "car1":
        return
    rng = np.random.default_rng(1)  # the numbers that were drawn: which draws, then residuals
    some = rng.choice(post.n_draws, size=3, replace=False)
    z = rng.standard_normal((3, len(NEW)))
    for k, s in enumerate(some):
        e = of_rows.drawn(draws.phi[s], z[k][:, None])[:, 0] * draws.sigma[s]
        np.testing.assert_allclose(found[f"sim_{k + 1}"], predictors(post, s)[new] + e)
