"""Data on which careless arithmetic loses its digits."""

import time

import numpy as np
import pytest

import hierbayes as hb

FORMULA = "y ~ x + (x | g)"


def simulated(*, seed=5, levels=25, rows=8, sigma=1.0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), rows)
    x = rng.normal(size=g.size)
    b = rng.normal(size=(levels, 2)) @ [[1.5, 0.5], [0.0, 0.8]]
    y = 1 + 0.7 * x + b[g, 0] + b[g, 1] * x + sigma * rng.normal(size=g.size)
    return {"y": y, "x": x, "g": g}


@pytest.fixture(scope="module")
def plain():
    return hb.lmer(FORMULA, simulated())


@pytest.mark.parametrize("mean", [1e6, 1e9, -1e9])
def test_a_mean_far_from_zero_moves_the_intercept_only(plain, mean):
    data = simulated()
    fit = hb.lmer(FORMULA, data | {"y": data["y"] + mean})
    rounding = abs(mean) * 2.0**-53  # of the response itself
    np.testing.assert_allclose(fit.theta, plain.theta, atol=1e-4)
    assert fit.sigma == pytest.approx(plain.sigma, rel=1e-5)
    assert fit.criterion == pytest.approx(plain.criterion, abs=1e-4)
    moved = plain.beta + np.array([mean, 0])
    np.testing.assert_allclose(fit.beta, moved, atol=1e-4 + 4 * rounding)
    np.testing.assert_allclose(fit.std_errors, plain.std_errors, rtol=1e-4)
    np.testing.assert_allclose(fit.ranef()["g"], plain.ranef()["g"], atol=1e-4)


@pytest.mark.parametrize("unit", [1e-8, 1e-6, 1e6, 1e8])
def test_the_unit_of_a_slope_scales_its_estimates_only(plain, unit):
    data = simulated()
    fit = hb.lmer(FORMULA, data | {"x": data["x"] / unit})
    units = np.array([1, unit])
    # REML integrates over beta in its units
    assert fit.criterion == pytest.approx(plain.criterion - 2 * np.log(unit), abs=1e-7)
    np.testing.assert_allclose(fit.beta, plain.beta * units, rtol=1e-6)
    np.testing.assert_allclose(fit.std_errors, plain.std_errors * units, rtol=1e-5)
    (term,), (expected,) = fit.varcorr().terms, plain.varcorr().terms
    np.testing.assert_allclose(term.sd, expected.sd * units, rtol=1e-5)
    np.testing.assert_allclose(term.corr, expected.corr, atol=1e-5)
    np.testing.assert_allclose(fit.ranef()["g"] / units, plain.ranef()["g"], atol=1e-4)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_the_response_scales_everything(plain, unit):
    data = simulated()
    fit = hb.lmer(FORMULA, data | {"y": data["y"] / unit})
    np.testing.assert_allclose(fit.theta, plain.theta, atol=1e-5)
    np.testing.assert_allclose(fit.beta * unit, plain.beta, rtol=1e-6)


def test_slopes_on_calendar_years_are_those_on_years_since(plain):
    data = simulated()
    year = 2000 + np.round(5 * data["x"])
    since = hb.lmer(FORMULA, data | {"x": year - 2000})
    calendar = hb.lmer(FORMULA, data | {"x": year})
    assert calendar.criterion == pytest.approx(since.criterion, abs=1e-6)
    assert calendar.beta[1] == pytest.approx(since.beta[1], rel=1e-6)
    assert calendar.std_errors[1] == pytest.approx(since.std_errors[1], rel=1e-6)
    assert calendar.sigma == pytest.approx(since.sigma, rel=1e-6)
    (ours,), (expected,) = calendar.varcorr().terms, since.varcorr().terms
    to_calendar = np.array([[1, -2000], [0, 1]])
    covariance = to_calendar @ expected.covariance @ to_calendar.T
    np.testing.assert_allclose(ours.covariance, covariance, rtol=1e-4)
    np.testing.assert_allclose(calendar.fitted(), since.fitted(), atol=1e-4)
    assert not calendar.is_singular


def test_powers_of_calendar_years_in_the_fixed_part():
    data = simulated()
    year = 2000 + np.round(5 * data["x"])
    centred = hb.lmer("y ~ I(x - 2000) + I((x - 2000)^2) + (1 | g)", data | {"x": year})
    calendar = hb.lmer("y ~ x + I(x^2) + (1 | g)", data | {"x": year})
    assert calendar.dropped_columns == ()
    assert calendar.criterion == pytest.approx(centred.criterion, abs=1e-4)
    assert calendar.beta[2] == pytest.approx(centred.beta[2], rel=1e-4)
    np.testing.assert_allclose(calendar.fitted(), centred.fitted(), atol=1e-3)


def test_a_hundred_thousand_levels_of_two_rows_take_seconds():
    rng = np.random.default_rng(2)
    J = 100_000
    g = np.repeat(np.arange(J), 2)
    x = rng.normal(size=2 * J)
    y = 2 + 3 * x + 0.8 * rng.normal(size=J)[g] + rng.normal(size=2 * J)
    start = time.perf_counter()
    fit = hb.lmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": g})
    taken = time.perf_counter() - start
    assert taken < 10  # a second or less on an idle machine
    np.testing.assert_allclose(fit.beta, [2, 3], atol=0.02)
    assert fit.theta[0] == pytest.approx(0.8, abs=0.02)
    (table,) = fit.ranef().values()
    assert table.shape == (J, 1)


def test_slopes_of_levels_with_fewer_rows_than_columns():
    # two rows, three columns: no level alone says anything about the residual
    rng = np.random.default_rng(1)
    data = simulated(levels=600, rows=2) | {"z": rng.normal(size=1200)}
    data["y"] = data["y"] + 0.7 * rng.normal(size=600)[data["g"]] * data["z"]
    fit = hb.lmer("y ~ x + (x || g) + (0 + z || g)", data)
    assert fit.converged
    np.testing.assert_allclose(fit.varcorr().to_frame()["sdcor"][:3], [1.5, 0.94, 0.7], atol=0.3)
    assert 0.5 < fit.sigma < 1.5


def test_weights_spanning_a_million_are_one_over_known_variances():
    data = simulated(levels=40, rows=10)
    rng = np.random.default_rng(4)
    w = 10.0 ** rng.uniform(-3, 3, data["y"].size)
    noisy = data | {"y": data["y"] + rng.normal(size=w.size) / np.sqrt(w)}
    fit = hb.lmer(FORMULA, noisy, weights=w)
    assert fit.converged
    again = hb.lmer(FORMULA, noisy, weights=1e6 * w)  # only ratios of weights matter
    assert again.criterion == pytest.approx(fit.criterion, abs=1e-5)
    np.testing.assert_allclose(again.beta, fit.beta, rtol=1e-5)
    assert again.sigma == pytest.approx(1e3 * fit.sigma, rel=1e-6)
    (ours,), (expected,) = again.varcorr().terms, fit.varcorr().terms
    np.testing.assert_allclose(ours.sd, expected.sd, rtol=1e-4)
    np.testing.assert_allclose(ours.corr, expected.corr, atol=1e-4)


def test_a_nearly_saturated_fixed_part_leaves_the_rest_to_estimate():
    # 30 rows, 26 columns: the remaining four directions hold all that is known of variances
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(10), 3)
    columns = {f"x{k}": rng.normal(size=30) for k in range(25)}
    data = {"y": rng.normal(size=30) + rng.normal(size=10)[g], "g": g} | columns
    fit = hb.lmer(f"y ~ {' + '.join(columns)} + (1 | g)", data)
    assert fit.converged
    assert not fit.is_singular
    X = np.column_stack([np.ones(30), *columns.values()])
    theta = fit.theta[0]
    V = np.eye(30) + theta**2 * (g[:, None] == g)
    XVX = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(XVX, X.T @ np.linalg.solve(V, data["y"]))
    r = data["y"] - X @ beta
    pwrss = r @ np.linalg.solve(V, r)
    expected = np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1]
    expected += 4 * (1 + np.log(2 * np.pi * pwrss / 4))
    assert fit.criterion == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sigma", [1e-3, 1e-5])
def test_a_tiny_residual_beside_large_effects_is_found(sigma):
    # theta is a thousand or a hundred thousand: far from where a search usually ends
    large = hb.lmer(FORMULA, simulated(sigma=1e-2))
    fit = hb.lmer(FORMULA, simulated(sigma=sigma))
    assert fit.converged
    assert fit.sigma == pytest.approx(large.sigma / 1e-2 * sigma, rel=0.01)
    (ours,), (expected,) = fit.varcorr().terms, large.varcorr().terms
    np.testing.assert_allclose(ours.sd, expected.sd, rtol=0.01)


def test_columns_of_one_term_that_depend_on_each_other_are_fitted():
    # the two indicators and the intercept: three columns, two directions in the data
    data = simulated()
    data["a"] = (data["x"] > 0).astype(float)
    data["b"] = 1 - data["a"]
    smaller = hb.lmer("y ~ a + (a | g)", data)
    with pytest.warns(
        hb.DesignWarning,
        match="are not determined by the data: the columns .* depend on each other",
    ):
        fit = hb.lmer("y ~ a + (a + b | g)", data)
    assert fit.criterion == pytest.approx(smaller.criterion, abs=1e-5)
    np.testing.assert_allclose(fit.fitted(), smaller.fitted(), atol=1e-2)


# between-group sds far above the residual's: balanced designs, where REML is analysis of variance

RATIOS = [1.0, 1e3, 1e5, 1e7]


def balanced(*, intercept, slope=0.0, unit=1.0):
    """20 groups of 6 rows: group effects of these sds, residual sd 1, in any unit."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20), 6)
    x = np.tile(np.arange(6) - 2.5, 20)
    u, e = rng.normal(size=(20, 2)), rng.normal(size=120)
    y = intercept * u[g, 0] + slope * (u[g, 1] + 0.3 * u[g, 0]) * x + e
    return {"y": unit * y, "x": x, "g": g, "arm": (g % 2).astype(float)}


def level_fits(y, Z):
    """Coefficients (20, q) of each group's own fit and its residuals (20, 6), digits kept."""
    Y = y.reshape(20, -1)
    first = Y @ np.linalg.pinv(Z).T
    second = (Y - first @ Z.T) @ np.linalg.pinv(Z).T
    return first + second, (Y - first @ Z.T) - second @ Z.T


@pytest.mark.parametrize("ratio", RATIOS)
def test_one_way_estimates_are_those_of_the_analysis_of_variance_at_any_ratio_of_sds(ratio):
    data = balanced(intercept=ratio)
    fit = hb.lmer("y ~ arm + (1 | g)", data)
    means, left = level_fits(data["y"], np.ones((6, 1)))
    within = (left**2).sum() / 100
    arms = data["arm"].reshape(20, 6)[:, 0] == 1
    between = 6 * sum(((means[arm] - means[arm].mean()) ** 2).sum() for arm in (arms, ~arms)) / 18
    assert fit.converged
    assert fit.sigma == pytest.approx(np.sqrt(within), rel=1e-6)
    (term,) = fit.varcorr().terms
    assert term.sd[0] == pytest.approx(np.sqrt((between - within) / 6), rel=1e-5)
    assert fit.std_errors[1] == pytest.approx(np.sqrt(between / 6 * 0.2), rel=1e-5)
    table = fit.tidy("fixed")
    np.testing.assert_allclose(table.df, [18, 18], rtol=1e-3)


@pytest.mark.parametrize("slope", RATIOS)
@pytest.mark.parametrize("intercept", [1.0, 1e7])
def test_slopes_have_their_closed_form_at_any_ratio_of_sds(intercept, slope):
    data = balanced(intercept=intercept, slope=slope)
    fit = hb.lmer("y ~ x + (x | g)", data)
    Z = np.column_stack([np.ones(6), data["x"][:6]])
    coefficients, left = level_fits(data["y"], Z)
    within = (left**2).sum() / 80
    spread = np.cov(coefficients.T)
    Sigma = spread - within * np.linalg.inv(Z.T @ Z)
    assert fit.converged
    assert fit.findings == ()
    assert fit.sigma == pytest.approx(np.sqrt(within), rel=1e-6)
    (term,) = fit.varcorr().terms
    np.testing.assert_allclose(term.sd, np.sqrt(np.diag(Sigma)), rtol=1e-5)
    assert term.corr[0, 1] == pytest.approx(Sigma[0, 1] / np.sqrt(np.diag(Sigma).prod()), abs=1e-5)
    np.testing.assert_allclose(fit.std_errors, np.sqrt(np.diag(spread) / 20), rtol=1e-5)
    np.testing.assert_allclose(fit.tidy("fixed").df, [19, 19], rtol=1e-3)


@pytest.mark.parametrize("ratio", [1e4, 1e5])
def test_crossed_effects_have_their_closed_form_at_large_ratios_of_sds(ratio):
    rng = np.random.default_rng(1)
    a, c = np.repeat(np.arange(12), 24), np.tile(np.repeat(np.arange(8), 3), 12)
    y = ratio * (rng.normal(size=12)[a] + rng.normal(size=8)[c]) + rng.normal(size=288)
    fit = hb.lmer("y ~ 1 + (1 | a) + (1 | c)", {"y": y, "a": a, "c": c})
    left = y.reshape(12, 8, 3)
    for _ in range(2):
        left = left - left.mean(axis=(1, 2), keepdims=True)
        left = left - left.mean(axis=(0, 2), keepdims=True)
    assert fit.sigma == pytest.approx(np.sqrt((left**2).sum() / (288 - 19)), rel=1e-5)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e9, 1e12, 1e13, 1e15, 3e17])
def test_a_large_ratio_of_sds_has_no_unit(unit):
    """Once a search that did not settle, from 1e12 on and on some processors only."""
    plain = hb.lmer("y ~ x + (x | g)", balanced(intercept=1e5, slope=10.0))
    fit = hb.lmer("y ~ x + (x | g)", balanced(intercept=1e5, slope=10.0, unit=unit))
    np.testing.assert_allclose(fit.theta, plain.theta, rtol=1e-6)
    assert fit.sigma == pytest.approx(unit * plain.sigma, rel=1e-8)


def test_many_refits_beside_large_effects_are_those_made_one_by_one():
    data = balanced(intercept=1e6, slope=1e5)
    fit = hb.lmer("y ~ x + (x | g)", data)
    found = hb.confint(fit, method="bootstrap", nsim=25, random_seed=2)
    assert found.loc["sigma", "lower"] < fit.sigma < found.loc["sigma", "upper"]
    again = fit.refit(data["y"])
    assert again.sigma == pytest.approx(fit.sigma, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_residuals_too_small_to_compute_are_refused_by_both_estimators(unit):
    model = hb.Model("y ~ x + (1 | g)", balanced(intercept=1e9, unit=unit))
    for estimate in (model.fit, lambda: model.sample(random_seed=1)):
        with pytest.raises(hb.DataError, match="reproduce the response 'y' almost exactly"):
            estimate()


@pytest.mark.parametrize(("unit", "origin"), [(1, 1e6), (1e12, 1e18), (1e-12, 1e-6)])
def test_slopes_on_a_predictor_a_million_sds_from_zero_are_those_of_the_centred_one(
    plain, unit, origin
):
    """Once not converged from 1e6 sds on, or a correlation of exactly -1 in large units."""
    data = simulated()
    fit = hb.lmer(FORMULA, data | {"x": origin + unit * data["x"]})
    assert fit.converged
    assert not fit.is_singular
    assert fit.dropped_columns == ()
    expected = plain.criterion + 2 * np.log(unit)  # REML integrates over beta in its units
    assert fit.criterion == pytest.approx(expected, abs=1e-5)
    assert fit.beta[1] * unit == pytest.approx(plain.beta[1], rel=1e-5)
    assert fit.std_errors[1] * unit == pytest.approx(plain.std_errors[1], rel=1e-5)
    (term,), (centred,) = fit.varcorr().terms, plain.varcorr().terms
    assert term.sd[1] * unit == pytest.approx(centred.sd[1], rel=1e-5)
    assert fit.theta[2] > 0


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x || g)"])
def test_a_small_slope_beside_large_intercepts_is_estimated_to_the_same_digits(formula):
    """The first fit left intercepts in the slope, in whose squares four digits were left."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 5)
    x, u, e = rng.normal(size=30), rng.normal(size=(6, 2)), rng.normal(size=30)
    fits = [
        hb.lmer(formula, {"y": ratio * u[g, 0] + u[g, 1] * x + e, "x": x, "g": g})
        for ratio in (1e5, 1e7)
    ]
    near, far = fits
    assert far.sigma == pytest.approx(near.sigma, rel=1e-5)
    assert far.fixef()["x"] == pytest.approx(near.fixef()["x"], rel=1e-5)
    # once 656416: the part of the intercepts along x
    assert abs(far.model.spec.kernel("reml").products.anchor.beta0[1]) < 10
