"""Balanced designs and plain regression, where REML and ML have textbook formulas."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import hierbayes as hb

EXACT = 1e-6  # of an estimate at its optimum: the criterion is flat to second order


def quiet_lmer(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)
        warnings.simplefilter("ignore", hb.DesignWarning)
        return hb.lmer(formula, data, **options)


def sds(fit):
    return fit.varcorr().to_frame()["sdcor"].to_numpy()


# one way


def one_way_anova(y):
    """Mean squares between and within, for y (levels, rows)."""
    J, n = y.shape
    means = y.mean(axis=1)
    between = n * ((means - y.mean()) ** 2).sum() / (J - 1)
    within = ((y - means[:, None]) ** 2).sum() / (J * (n - 1))
    return between, within


def one_way_criterion(y, sigma2, tau2, *, reml):
    """-2 log-likelihood of the balanced one-way model, from the two eigenvalues of V."""
    J, n = y.shape
    between, within = one_way_anova(y)
    large = sigma2 + n * tau2
    fixed = np.log(J * n / large) if reml else 0.0
    return (
        (J * n - reml) * np.log(2 * np.pi)
        + (J * (n - 1)) * np.log(sigma2)
        + J * np.log(large)
        + fixed
        + (J - 1) * between / large
        + J * (n - 1) * within / sigma2
    )


@pytest.mark.parametrize("name", ["Dyestuff", "Dyestuff2"])
@pytest.mark.parametrize("reml", [True, False])
def test_one_way_is_the_analysis_of_variance(name, reml):
    data = hb.load_dataset(name)
    y = np.stack([group.to_numpy() for _, group in data.groupby("Batch", observed=True)["Yield"]])
    J, n = y.shape
    between, within = one_way_anova(y)
    large = between if reml else between * (J - 1) / J
    sigma2 = within
    if large < within:  # all variation is residual
        large = sigma2 = y.var(ddof=int(reml))
    fit = quiet_lmer("Yield ~ 1 + (1 | Batch)", data, reml=reml)
    np.testing.assert_allclose(sds(fit) ** 2, [(large - sigma2) / n, sigma2], rtol=1e-5)
    assert fit.std_errors[0] == pytest.approx(np.sqrt(large / (J * n)), rel=EXACT)
    expected = one_way_criterion(y, sigma2, (large - sigma2) / n, reml=reml)
    assert fit.criterion == pytest.approx(expected, abs=1e-9)


@given(
    st.integers(0, 10**6),
    st.integers(2, 12),
    st.integers(2, 6),
    st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    st.booleans(),
)
def test_one_way_of_random_data_is_the_analysis_of_variance(seed, J, n, tau, reml):
    rng = np.random.default_rng(seed)
    y = 5 + tau * rng.normal(size=(J, 1)) + rng.normal(size=(J, n))
    between, within = one_way_anova(y)
    large = between if reml else between * (J - 1) / J
    fit = quiet_lmer(
        "y ~ 1 + (1 | g)", {"y": y.ravel(), "g": np.repeat(np.arange(J), n)}, reml=reml
    )
    if large <= within:
        assert fit.theta.tolist() == [0.0]
        assert fit.is_singular
        assert fit.sigma == pytest.approx(y.std(ddof=int(reml)), rel=1e-10)
    else:
        tau2 = (large - within) / n
        assert fit.criterion <= one_way_criterion(y, within, tau2, reml=reml) + 1e-8
        # near the boundary theta is known less well than its criterion, by a square root
        assert fit.theta[0] == pytest.approx(np.sqrt(tau2 / within), rel=1e-4, abs=2e-3)
        assert fit.sigma == pytest.approx(np.sqrt(within), rel=1e-4)


# nested and crossed


def test_nested_factors_are_the_nested_analysis_of_variance():
    data = hb.load_dataset("Pastes")
    y = data.sort_values(["batch", "cask"], kind="stable")["strength"].to_numpy()
    y = y.reshape(10, 3, 2)  # batch, cask, assay
    cask_means, batch_means = y.mean(axis=2), y.mean(axis=(1, 2))
    assay = ((y - cask_means[:, :, None]) ** 2).sum() / 30
    cask = 2 * ((cask_means - batch_means[:, None]) ** 2).sum() / 20
    batch = 6 * ((batch_means - y.mean()) ** 2).sum() / 9
    expected = np.array([(cask - assay) / 2, (batch - cask) / 6, assay])
    assert (expected > 0).all()
    fit = hb.lmer("strength ~ 1 + (1 | batch/cask)", data)
    np.testing.assert_allclose(sds(fit), np.sqrt(expected), rtol=EXACT)
    assert fit.std_errors[0] == pytest.approx(np.sqrt(batch / 60), rel=EXACT)


def test_crossed_factors_are_the_two_way_analysis_of_variance():
    data = hb.load_dataset("Penicillin")
    y = data.pivot(index="plate", columns="sample", values="diameter").to_numpy()
    P, S = y.shape
    rows, columns, grand = y.mean(axis=1), y.mean(axis=0), y.mean()
    plate = S * ((rows - grand) ** 2).sum() / (P - 1)
    sample = P * ((columns - grand) ** 2).sum() / (S - 1)
    rest = y - rows[:, None] - columns + grand
    residual = (rest**2).sum() / ((P - 1) * (S - 1))
    expected = np.sqrt([(plate - residual) / S, (sample - residual) / P, residual])
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    np.testing.assert_allclose(sds(fit), expected, rtol=EXACT)


# random slopes: every subject has the same X, so the subjects' own lines hold everything


def test_balanced_random_slopes_are_the_covariance_of_the_subjects_own_lines(sleepstudy):
    X = np.column_stack([np.ones(10), np.arange(10.0)])
    y = sleepstudy.sort_values(["Subject", "Days"])["Reaction"].to_numpy().reshape(18, 10)
    lines, rss, *_ = np.linalg.lstsq(X, y.T)
    sigma2 = rss.sum() / (180 - 36)
    between = np.cov(lines)
    Sigma = between - sigma2 * np.linalg.inv(X.T @ X)
    assert np.linalg.eigvalsh(Sigma).min() > 0
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    (term,) = fit.varcorr().terms
    np.testing.assert_allclose(term.covariance, Sigma, rtol=1e-5)
    assert fit.sigma == pytest.approx(np.sqrt(sigma2), rel=EXACT)
    np.testing.assert_allclose(fit.beta, lines.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(fit.vcov_beta, between / 18, rtol=EXACT)
    # a subject's effects are its own line's deviation, shrunken by Sigma (Sigma + noise)^-1
    shrunken = Sigma @ np.linalg.solve(between, lines - lines.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(fit.ranef()["Subject"].to_numpy(), shrunken.T, atol=1e-4)


# known residual sds


@pytest.mark.parametrize("reml", [True, False])
def test_equal_known_sds_leave_the_sample_variance_minus_theirs(reml):
    # meta-analysis of J estimates with the same standard error: y_j ~ N(mu, tau^2 + se^2)
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    se = 6.0
    data = {"y": y, "study": [f"s{j}" for j in range(8)]}
    fit = quiet_lmer("y ~ 1 + (1 | study)", data, reml=reml, known_sd=np.full(8, se))
    total = y.var(ddof=int(reml))
    assert fit.sigma == 1.0
    assert fit.varcorr().terms[0].sd[0] == pytest.approx(np.sqrt(total - se**2), rel=EXACT)
    assert fit.std_errors[0] == pytest.approx(np.sqrt(total / 8), rel=EXACT)
    n = 8 - reml
    expected = n * np.log(2 * np.pi * total) + n + (np.log(8) if reml else 0)
    assert fit.criterion == pytest.approx(expected, abs=1e-9)
    assert fit.n_params == 2  # the mean and one sd


def known_sd_criterion(tau2, y, se, *, reml):
    """-2 log-likelihood of y_j ~ N(mu, tau^2 + se_j^2), mu at its best value or integrated out."""
    weights = 1 / (tau2 + se**2)
    mean = weights @ y / weights.sum()
    value = np.log(2 * np.pi / weights).sum() + weights @ (y - mean) ** 2
    return value + (np.log(weights.sum() / (2 * np.pi)) if reml else 0.0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("factor", [1.0, 0.4])  # of the published standard errors
def test_eight_schools_are_at_the_minimum_of_one_variable(reml, factor):
    schools = hb.load_dataset("eight_schools").assign(se=lambda d: factor * d["se"])
    y, se = (schools[name].to_numpy(dtype=float) for name in ("effect", "se"))
    fit = quiet_lmer("effect ~ 1 + (1 | school)", schools, reml=reml, known_sd="se")
    # where the criterion is flat to second order, its derivative's zero is found more exactly
    step = 1e-3

    def slope(tau2):
        up, down = (known_sd_criterion(tau2 + h, y, se, reml=reml) for h in (step, -step))
        return (up - down) / (2 * step)

    tau2 = 0.0 if slope(0.0) > 0 else brentq(slope, 0.0, 1e4, xtol=1e-10)
    assert (tau2 == 0) == (factor == 1.0) == fit.is_singular
    assert fit.varcorr().terms[0].sd[0] == pytest.approx(np.sqrt(tau2), rel=EXACT)
    weights = 1 / (tau2 + se**2)
    assert fit.beta[0] == pytest.approx(weights @ y / weights.sum(), rel=EXACT)
    assert fit.std_errors[0] == pytest.approx(weights.sum() ** -0.5, rel=EXACT)
    assert fit.criterion == pytest.approx(known_sd_criterion(tau2, y, se, reml=reml), abs=1e-8)
    shrunken = tau2 * weights * (y - fit.beta[0])
    np.testing.assert_allclose(fit.ranef()["school"].to_numpy()[:, 0], shrunken, atol=1e-5)


# no random effects: ordinary and weighted least squares


def least_squares(X, y, weights):
    root = np.sqrt(weights)
    beta = np.linalg.lstsq(X * root[:, None], y * root)[0]
    rss = (weights * (y - X @ beta) ** 2).sum()
    return beta, rss, np.linalg.inv(X.T @ (weights[:, None] * X))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_formula_without_bars_is_least_squares(sleepstudy, reml, weighted):
    n, p = 180, 3
    days = sleepstudy["Days"].to_numpy(dtype=float)
    y = sleepstudy["Reaction"].to_numpy()
    X = np.column_stack([np.ones(n), days, days**2])
    w = 1 / (1 + days) if weighted else np.ones(n)
    beta, rss, inverse = least_squares(X, y, w)
    options = {"weights": "1/(1 + Days)"} if weighted else {}
    fit = hb.lmer("Reaction ~ Days + I(Days^2)", sleepstudy, reml=reml, **options)
    df = n - p if reml else n
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-9)
    assert fit.sigma == pytest.approx(np.sqrt(rss / df), rel=1e-10)
    np.testing.assert_allclose(fit.vcov_beta, rss / df * inverse, rtol=1e-8)
    loglik = -0.5 * df * (np.log(2 * np.pi * rss / df) + 1) + 0.5 * np.log(w).sum()
    if reml:
        loglik += 0.5 * np.linalg.slogdet(inverse)[1]
    assert fit.loglik == pytest.approx(loglik, rel=1e-11)
    assert fit.n_params == p + 1
    assert fit.is_linear_model
    assert dict(fit.ranef()) == {}
    np.testing.assert_allclose(fit.fitted(), X @ beta, rtol=1e-10)
    at_ml = n * (np.log(2 * np.pi * rss / n) + 1) - np.log(w).sum()
    assert fit.deviance == pytest.approx(at_ml, rel=1e-11)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("columns", ["1", "Days"])
def test_where_the_moments_are_the_answer_nothing_is_searched(monkeypatch, columns, reml):
    def searched(*_, **__):
        raise AssertionError("a search where the start is the optimum")

    monkeypatch.setattr("hierbayes.likelihood.lmm.minimise", searched)
    frame = hb.load_dataset("sleepstudy")
    formula = f"Reaction ~ Days + ({columns} | Subject)"
    assert hb.lmer(formula, frame, reml).converged
    with pytest.raises(AssertionError):
        hb.lmer(formula, frame[5:], reml)
