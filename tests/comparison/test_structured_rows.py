"""Leaving out rows and blocks beside structured residuals: conditioning of dense Gaussians."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.comparison.left_out_blocks import blocks_of
from hierbayes.comparison.structured_rows import (
    block_densities,
    fold_densities,
    row_densities,
    structured_rows,
)
from tests.residual_posteriors import NEW, covariance, drawn, rows

PRIORS = {
    "default": (),
    "flat": (("(Intercept)", hb.Flat()), ("age", hb.Flat())),
    "student": (("age", hb.StudentT(3, 0, 1)),),
}
KINDS = [(case, "default") for case in ("ar1", "car1", "cs", "us")]
KINDS += [("ar1", "flat"), ("ar1", "student")]


def gaussian(case: str, kind: str, draw: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Mean and covariance of y, and columns whose coefficients have flat priors."""
    post, data = drawn(case, priors=PRIORS[kind]), rows().drop(NEW)
    old = np.setdiff1d(np.arange(len(rows())), NEW)
    V = covariance(case, post, draw)[np.ix_(old, old)]
    for factor in post.design.factors:
        sd = post.draws.sd[factor.name].reshape(-1)[draw]
        same = data[factor.name].to_numpy()[:, None] == data[factor.name].to_numpy()
        V = V + sd**2 * same
    X = np.column_stack([np.ones(len(data)), data["age"]])
    if kind == "flat":
        return np.zeros(len(data)), V, X
    centred = X - [0, X[:, 1].mean()]  # the prior of the intercept is at centred predictors
    laws, slope = post.priors.beta, post.draws.beta.reshape(-1, 2)[draw, 1]
    mean = laws[0].mu * centred[:, 0]
    V = V + laws[0].sigma ** 2 * np.outer(centred[:, 0], centred[:, 0])
    if kind == "student":
        return mean + centred[:, 1] * slope, V, None
    V = V + laws[1].sigma ** 2 * np.outer(centred[:, 1], centred[:, 1])
    return mean + laws[1].mu * centred[:, 1], V, None


def given_others(case: str, kind: str, draw: int, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the rows ``out`` given all others."""
    m, V, X = gaussian(case, kind, draw)
    y = rows().drop(NEW)["distance"].to_numpy()
    rest = np.setdiff1d(np.arange(y.size), out)
    K, c = np.linalg.inv(V[np.ix_(rest, rest)]), V[np.ix_(rest, out)]
    spread = V[np.ix_(out, out)] - c.T @ K @ c
    if X is None:
        return m[out] + c.T @ K @ (y - m)[rest], spread
    Phi = np.linalg.inv(X[rest].T @ K @ X[rest])
    beta, d = Phi @ X[rest].T @ K @ y[rest], X[out] - c.T @ K @ X[rest]
    return X[out] @ beta + c.T @ K @ (y[rest] - X[rest] @ beta), spread + d @ Phi @ d.T


@pytest.mark.parametrize(("case", "kind"), KINDS)
def test_rows_are_left_out_as_of_dense_gaussians(case: str, kind: str) -> None:
    post = drawn(case, priors=PRIORS[kind])
    found, y = row_densities(structured_rows(post)), post.design.y
    for s in (0, 19):
        for i in (0, 5, 30):
            mean, V = given_others(case, kind, s, np.array([i]))
            assert found[i, s] == pytest.approx(
                norm.logpdf(y[i], mean[0], V[0, 0] ** 0.5), abs=1e-8
            )


@pytest.mark.parametrize("by", ["Subject", "age", "Half"])
@pytest.mark.parametrize(("case", "kind"), KINDS)
def test_blocks_are_left_out_as_of_dense_gaussians(case: str, kind: str, by: str) -> None:
    post = drawn(case, priors=PRIORS[kind])
    blocks, y = blocks_of(post, by), post.design.y
    found = block_densities(structured_rows(post), blocks)
    for j in (0, 3):
        out = np.flatnonzero(blocks.codes == j)
        mean, V = given_others(case, kind, 7, out)
        assert found[j, 7] == pytest.approx(multivariate_normal.logpdf(y[out], mean, V), abs=1e-8)


@pytest.mark.parametrize("case", ["ar1", "us"])
def test_folds_are_predicted_from_the_other_rows_alone(case: str) -> None:
    post, y = drawn(case), drawn(case).design.y
    for by, own in ((None, [0, 1, 2, 9, 20]), ("Subject", [0, 2, 5])):
        blocks = blocks_of(post, by)
        found = fold_densities(structured_rows(post), blocks, np.array(own))
        out = np.flatnonzero(np.isin(blocks.codes, own))
        mean, V = given_others(case, "default", 3, out)
        for b, j in enumerate(own):
            at = np.flatnonzero(blocks.codes[out] == j)
            expected = multivariate_normal.logpdf(y[out][at], mean[at], V[np.ix_(at, at)])
            assert found[b, 3] == pytest.approx(expected, abs=1e-8)


def test_loo_and_kfold_say_what_a_row_is_given() -> None:
    post = drawn("cs", draws=50)
    found = hb.loo(post)
    assert found.method == "exact" and "given all other rows of its Subject" in found.what
    by = hb.loo(post, by="Subject")
    assert len(by.to_frame()) == 11 and by.method == "exact"
    other = drawn("ar1", draws=50)
    table = hb.compare(post, other).to_frame()
    assert table["elpd_diff"].iloc[1] < 0
    independent = hb.Model("distance ~ age", rows().drop(NEW), sigma="~ Sex")
    plain = independent.sample(draws=100, random_seed=1)
    assert hb.loo(plain).method == "exact"  # of independent rows of unequal sd, too
    folds = hb.kfold(plain, k=11, by="Subject", random_seed=1)
    refitted = hb.loo(plain, by="Subject", refit=True)
    assert folds.elpd == pytest.approx(refitted.elpd, abs=0.8)


def test_what_the_other_rows_do_not_determine_is_said() -> None:
    flat = (("(Intercept)", hb.Flat()), ("age", hb.Flat()))
    data = rows().drop(NEW).assign(age=lambda d: np.where(d["Subject"] == "M01", 9.0, 8.0))
    model = hb.Model("distance ~ age", data, residual="cs(1 | Subject)", priors=dict(flat))
    post = model.sample(draws=100, random_seed=1)
    with pytest.raises(hb.DataError, match="Without Subject M01"):
        hb.loo(post, by="Subject")
    us = drawn("us", draws=50)
    with pytest.raises(hb.DataError, match="a visit of residual="):
        hb.kfold(us, k=4, by="age", random_seed=1)
