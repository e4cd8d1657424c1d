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


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_several_factors_are_one_sentence(sparse):
    fit = hb.glmer("y ~ x + (1 | g) + (1 | h)", sparse | {"h": np.arange(180) % 9})
    with pytest.raises(hb.NotSupportedError, match="one grouping factor with up to 3 columns"):
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
