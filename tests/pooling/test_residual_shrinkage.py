"""Shrinkage beside residuals that are correlated or of unequal variance, against dense algebra."""

from functools import lru_cache

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.gaussian.residual.root import coloured
from hierbayes.pooling.reliability_curve import reliability_curve
from tests.residual_posteriors import drawn


@lru_cache
def fitted():
    data = hb.load_dataset("Orthodont").drop([2, 9, 40])
    return hb.lmer(
        "distance ~ age + (1 | Subject)", data, residual="ar1(age | Subject)", sigma="~ Sex"
    )


def test_levels_weigh_their_rows_by_the_covariance_of_their_residuals() -> None:
    fit = fitted()
    table = hb.shrinkage(fit)
    root = coloured(fit.spec.residuals, fit.residual.phi, np.eye(fit.nobs))
    P = np.linalg.inv(root @ root.T)
    codes, rest = fit.design.factors[0].codes, fit.design.y - fit.fixed_part
    ratio = float(fit.representing.representative[0]) ** 2
    for j in range(0, 27, 4):
        rows = codes == j
        own, e = P[np.ix_(rows, rows)], rest[rows]
        A = own.sum()
        alone, row = (own @ e).sum() / A, table.iloc[j]
        assert row["within_group"] == pytest.approx(fit.beta[0] + alone, rel=1e-9)
        assert row["unpenalised"] == pytest.approx(fit.beta[0] + alone, rel=1e-9)
        left = e - alone
        error = np.sqrt(left @ own @ left / (rows.sum() - 1) / A)
        assert row["within_group_se"] == pytest.approx(error, rel=1e-9)
        assert row["unpenalised_se"] == pytest.approx(fit.sigma / np.sqrt(A), rel=1e-9)
        share = ratio * A / (1 + ratio * A)
        assert row["reliability"] == pytest.approx(share, rel=1e-9)
        assert row["effect"] == pytest.approx(share * alone, rel=1e-8)
    path = hb.shrinkage_path(fit, sds=[0.0, fit.sigma * np.sqrt(ratio), np.inf])
    assert path["coefficient"].iloc[1] == pytest.approx(table["coefficient"].iloc[0], rel=1e-7)


def test_n_rows_of_a_series_are_no_number() -> None:
    with pytest.raises(hb.NotSupportedError, match="depends on which rows"):
        reliability_curve(fitted())


def test_a_report_has_the_residuals_structure_and_the_code(tmp_path) -> None:
    path = tmp_path / "report.md"
    fitted().report(path)
    text = path.read_text()
    assert 'residual="ar1(age | Subject)"' in text and 'sigma="~ Sex"' in text
    assert "two residuals of one Subject have the correlation r^gap" in text


def test_posteriors_average_what_levels_keep_over_draws() -> None:
    post = drawn("ar1", draws=20)
    table = hb.shrinkage(post)
    design, flat = post.design, flat_draws(post.draws, post.design)
    draws = residual_draws(post.spec, flat)
    codes, tau = design.factors[0].codes, flat.sd[0][:, 0]
    kept = np.zeros((post.n_draws, design.factors[0].levels.size))
    for s in range(post.n_draws):
        root = coloured(post.spec.residuals, draws.phi[s], np.eye(post.nobs)) * draws.sigma[s]
        P = np.linalg.inv(root @ root.T)
        for j in range(kept.shape[1]):
            rows = codes == j
            A = P[np.ix_(rows, rows)].sum()
            kept[s, j] = tau[s] ** 2 * A / (1 + tau[s] ** 2 * A)
    np.testing.assert_allclose(table["reliability"], kept.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(table["effect"], flat.b[0][:, :, 0].mean(axis=0), rtol=1e-9)
    # own estimates at the posterior means of the parameters
    values = np.array([[post.residual_draws[n].mean() for n in post.spec.residuals.names]])
    phi = post.spec.residuals.coordinates(values)[0]
    root = coloured(post.spec.residuals, phi, np.eye(post.nobs))
    P, rest = np.linalg.inv(root @ root.T), design.y - post.fixed_part
    own = np.array([P[np.ix_(codes == j, codes == j)].sum() for j in range(kept.shape[1])])
    alone = [(P[np.ix_(codes == j, codes == j)] @ rest[codes == j]).sum() for j in range(own.size)]
    np.testing.assert_allclose(table["unpenalised"], post.beta[0] + alone / own, rtol=1e-9)
    sigma = draws.sigma.mean()
    np.testing.assert_allclose(table["unpenalised_se"], sigma / np.sqrt(own), rtol=1e-9)
    with pytest.raises(hb.NotSupportedError, match="depends on which rows"):
        reliability_curve(post)
