"""Covariances with a pattern against their definition, dense algebra and finite differences."""

import numpy as np
import pytest

from hierbayes.gaussian.marginal import derivatives, evaluate
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.structures import structure
from tests.pattern_models import BESIDE, TERMS, covariance, dense_criterion, model, place, thetas

# every pattern beside every structure of blocks; one sd and several differ by a factor alone
CASES = [(name, beside) for name in ("homdiag", "homcs", "hetar1", "toep") for beside in BESIDE]
CASES += [(name, "single") for name in ("cs", "ar1", "homtoep")]


def parameters(own, count=4):
    rng = np.random.default_rng(3)
    low, high = own.bounds[~own.is_scale].T
    r = low + rng.uniform(0.1, 0.95, (count, low.size)) * (high - low)
    return np.concatenate([rng.uniform(0.3, 2.0, (count, int(own.is_scale.sum()))), r], axis=1)


@pytest.mark.parametrize("q", [2, 3, 5])
@pytest.mark.parametrize("name", TERMS)
def test_a_pattern_is_what_it_is_defined_as(name, q):
    own = structure(name, q)
    par = parameters(own)
    root = own.root(par)
    S = root @ np.swapaxes(root, 1, 2)
    np.testing.assert_allclose(S, [covariance(name, p, q) for p in par], atol=1e-13)
    np.testing.assert_allclose(own.nearest(S), par, atol=1e-12)
    slope = own.slope(par)
    for i, step in enumerate(1e-20j * np.eye(par.shape[1])):
        np.testing.assert_allclose(slope[:, i], own.root(par + step).imag / 1e-20, atol=1e-13)
    np.testing.assert_allclose(own.root(np.where(own.is_scale, -par, par)), -root)


@pytest.mark.parametrize("name", TERMS)
def test_a_guess_of_another_covariance_is_inside_the_bounds(name):
    own = structure(name, 3)
    S = np.array([[2.0, -1.9, 1.9], [-1.9, 2.0, 1.9], [1.9, 1.9, 2.0]])  # no covariance at all
    found = own.nearest(np.stack([S, -S + 4 * np.eye(3), 0 * S]))
    assert np.isfinite(found).all()
    inside = np.abs(own.to_unconstrained(np.where(own.is_scale, 1.0, found)))
    assert np.isfinite(inside).all()


# lme4 2.0: getTheta() of these Covariance objects, written out from its vignette's formulas
@pytest.mark.parametrize(
    ("name", "par", "expected"),
    [
        ("homdiag", [2.0], [2.0]),
        ("homcs", [2.0, 0.5], [2.0, 1.0, 3**0.5, 3**-0.5, (8 / 3) ** 0.5]),
        ("ar1", [2.0, 0.5], [2.0, 1.0, 0.5, 3**0.5, 3**0.5 / 2]),
        ("hetar1", [1.0, 2.0, 4.0, 0.5], [1.0, 1.0, 1.0, 3**0.5, 3**0.5, 2 * 3**0.5]),
    ],
)
def test_theta_holds_the_entries_of_lambda_that_lme4_keeps(name, par, expected):
    own = structure(name, 3)
    L = np.linalg.cholesky(covariance(name, np.array(par), 3))
    np.testing.assert_allclose(own.entries(L), expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "beside"), CASES)
def test_the_criterion_is_that_of_dense_algebra(name, beside):
    one = model(name, beside)
    for method in ("reml", "ml"):
        kernel = one.spec.kernel(method)
        for theta in thetas(one, 1):
            found = evaluate(kernel, kernel.in_basis(theta)[None]).criterion[0]
            expected = dense_criterion(one.design, theta, reml=method == "reml")
            assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("name", "beside"), CASES)
def test_the_gradient_is_that_of_differences(name, beside):
    one = model(name, beside)
    kernel = one.spec.kernel("reml")
    x = kernel.in_basis(thetas(one, 1)[0])
    steps = 1e-5 * np.eye(x.size)
    value = evaluate(kernel, np.concatenate([x + steps, x - steps])).criterion
    numeric = (value[: x.size] - value[x.size :]) / 2e-5
    found = derivatives(kernel, evaluate(kernel, x[None])).gradient[0]
    np.testing.assert_allclose(found, numeric, rtol=1e-6, atol=1e-6 * np.abs(numeric).max())


@pytest.mark.parametrize("beside", BESIDE)
def test_every_structure_of_blocks_is_met(beside):
    one = model("cs", beside)
    assert covariance_shape(one.design).structures[place(one.design)] is not None
    nested = beside in ("single", "nested")
    assert (one.spec.kernel("reml").pattern.name == "nested") == nested


def test_a_scale_at_its_least_is_there_but_for_rounding():
    """A search that ended a hair above it went no further: cs of cbpp."""
    shape = model("cs").fit().kernel.basis_shape
    x = np.array([0.5, 1e-5 * (1 + 1e-12), 2e-5, 0.3])
    room, at_end = shape.room(x, 1e-5)
    assert at_end.tolist() == [False, True, False, False]
    np.testing.assert_allclose(room[1:3], [0.0, 1e-5], rtol=1e-9)
