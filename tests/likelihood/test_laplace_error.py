"""The error of Laplace is that against the exact likelihood, and is told when it matters."""

import numpy as np
import pytest

import hierbayes as hb

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def sparse():
    """Three binary observations a level, which differ a lot: Laplace is known to be wrong."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(60), 3)
    b = 2 * rng.normal(size=60)
    y = (rng.random(180) < 1 / (1 + np.exp(-b[g]))).astype(int)
    return {"y": y, "g": g, "x": rng.normal(size=180)}


def test_the_error_is_that_beside_many_nodes():
    data = hb.load_dataset("cbpp")
    fit, exact = hb.glmer(CBPP, data), hb.glmer(CBPP, data, n_quadrature=25)
    found = fit.laplace_error
    assert fit.loglik - found.loglik == pytest.approx(
        hb.glmer(CBPP, data, n_quadrature=41).loglik, abs=0.01
    )
    shifts = (exact.beta - fit.beta) / fit.std_errors
    np.testing.assert_allclose(found.shifts[list(fit.coef_names)], shifts, atol=1e-3)
    assert found.n_quadrature == 1 and not found.matters
    assert "The approximation is good enough for these data." in str(found)


def test_sparse_binary_data_want_more_nodes(sparse):
    found = hb.glmer("y ~ x + (1 | g)", sparse).laplace_error
    assert found.matters and found.n_quadrature > 1 and found.loglik < -1
    assert found.shifts["sd_(Intercept)|g"] > 0.3
    assert f"Fit again with n_quadrature={found.n_quadrature}." in str(found)
    again = hb.glmer("y ~ x + (1 | g)", sparse, n_quadrature=found.n_quadrature)
    assert not again.laplace_error.matters


def test_it_is_the_same_each_time_and_worked_out_once(sparse):
    fits = [hb.glmer("y ~ x + (1 | g)", sparse) for _ in range(2)]
    first, second = (fit.laplace_error for fit in fits)
    assert first.loglik == second.loglik and first.shifts.equals(second.shifts)
    assert fits[0].laplace_error is first


def test_models_without_random_effects_have_none(sparse):
    found = hb.glmer("y ~ x", sparse).laplace_error
    assert found.loglik == 0 and not found.matters


@pytest.fixture(scope="module")
def nested():
    """Three binary observations in each of five subjects a site."""
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(100), 3)
    eta = 1.5 * rng.normal(size=100)[subject] + 0.7 * rng.normal(size=20)[subject // 5]
    y = (rng.random(300) < 1 / (1 + np.exp(-eta))).astype(int)
    return {"y": y, "site": subject // 5, "subject": subject}


def nested_loglik(data, beta, sd_subject, sd_site):
    """Log-likelihood of ``nested`` by grids of both effects."""
    z = np.linspace(-7, 7, 71)
    log_prior = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + np.log(z[1] - z[0])
    ones = data["y"].reshape(20, 5, 3).sum(axis=2)
    eta = beta + sd_site * z[:, None] + sd_subject * z
    p, q = (np.exp(-np.logaddexp(0, sign * eta)) for sign in (-1, 1))
    parts = [np.log((p**k * q ** (3 - k)) @ np.exp(log_prior)) for k in range(4)]
    sites = np.array(parts)[ones].sum(axis=1)
    return float(np.log(np.exp(sites + log_prior).sum(axis=1)).sum())


@pytest.fixture(scope="module")
def nested_fit(nested):
    return hb.glmer("y ~ 1 + (1 | site/subject)", nested)


def test_the_error_with_several_factors_is_that_of_grids_of_all_effects(nested, nested_fit):
    fit, found = nested_fit, nested_fit.laplace_error
    estimates = np.array([*fit.beta, *fit.theta])
    exact = nested_loglik(nested, *estimates)
    assert found.loglik_error < 0.0125 and found.shift_error < 0.0125
    assert fit.loglik - found.loglik == pytest.approx(exact, abs=4 * found.loglik_error + 2e-3)
    assert found.matters and found.n_quadrature > 1 and abs(found.left) < abs(found.loglik)
    # the exact likelihood is at its top where the shifts lead
    errors = np.sqrt(np.diag(fit.optimum.vcov))
    names = ["(Intercept)", "sd_(Intercept)|subject:site", "sd_(Intercept)|site"]
    top = estimates + found.shifts[names].to_numpy() * errors
    for axis in 0.05 * np.diag(errors):
        up, down = nested_loglik(nested, *top + axis), nested_loglik(nested, *top - axis)
        here = nested_loglik(nested, *top)
        off = 0.5 * 0.05 * (up - down) / (2 * here - up - down)
        assert abs(off) < 0.05


def test_several_factors_have_the_same_error_each_time_and_say_where_it_is(nested):
    first, second = (hb.glmer("y ~ 1 + (1 | site/subject)", nested).laplace_error for _ in range(2))
    assert first.loglik == second.loglik and first.shifts.equals(second.shifts)
    assert "draws of the effects of site" in str(first)
    assert "Nodes leave" in str(first) and "model.sample()" in str(first)


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_a_factor_without_variance_adds_no_error(sparse):
    data = sparse | {"h": np.arange(180) % 9}
    alone = hb.glmer("y ~ x + (1 | g)", data).laplace_error
    both = hb.glmer("y ~ x + (1 | g) + (1 | h)", data)
    assert both.theta[1] == 0
    assert both.laplace_error.loglik == pytest.approx(alone.loglik, abs=0.01)


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_more_than_three_columns_are_one_sentence():
    rng = np.random.default_rng(1)
    data = {name: rng.normal(size=300) for name in "abc"} | {
        "g": np.arange(300) % 30, "y": rng.poisson(3, 300)
    }  # fmt: skip
    fit = hb.glmer("y ~ a + (a + b + c | g)", data, "poisson")
    with pytest.raises(hb.NotSupportedError, match="takes up to 3 columns"):
        _ = fit.laplace_error


def test_a_fit_read_from_a_file_has_the_same_error(sparse, tmp_path):
    fit = hb.glmer("y ~ x + (1 | g)", sparse)
    fit.save(tmp_path / "sparse.fit")
    again = hb.load(tmp_path / "sparse.fit").laplace_error
    assert again.loglik == pytest.approx(fit.laplace_error.loglik, abs=1e-6)
    np.testing.assert_allclose(again.shifts, fit.laplace_error.shifts, atol=1e-3)


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_what_has_no_standard_error_has_no_infinite_shift():
    data = {"y": np.tile([0, 1, 1], 30), "x": np.arange(90.0) % 7, "g": np.repeat(np.arange(30), 3)}
    found = hb.glmer("y ~ x + (1 | g)", data).laplace_error
    assert not np.isinf(found.shifts).any()
