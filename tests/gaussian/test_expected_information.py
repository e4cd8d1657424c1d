"""Traces of products of V^-1 G beside dense matrices."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.expected_information import covariance_traces, level_places, n_right_sides
from hierbayes.gaussian.relative_frame import Frame
from tests.model.fits import grouped, lmer

RTOL = 1e-9  # the same numbers by another order of operations
MODELS = {
    "one column": "y ~ x + (1 | g)",
    "correlated columns": "y ~ x + (x | g)",
    "independent columns": "y ~ x + (x || g)",
    "three columns": "y ~ f + (f | g)",
    "crossed": "y ~ x + (x | g) + (1 | item)",
    "nested": "y ~ x + (x | g) + (1 | g:item)",
    "nested and crossed": "y ~ x + (1 | g/item) + (1 | days)",
}


def frame_of_products(kernel, at):
    """The frame that is no other than the basis of the products, in residual sds."""
    sizes = kernel.shape.sizes
    return Frame(
        kernel=kernel,
        at=at,
        has_variance=[np.zeros(q, dtype=bool) for q in sizes],
        sizes=[np.ones(q) for q in sizes],
    )


def dense(fit):
    """V^-1 and the derivative of V in each entry of the covariances, (n, n), sigma = 1."""
    design, shape = fit.design, fit.kernel.shape
    n = fit.nobs
    V = np.diag(1 / (np.ones(n) if fit.weights is None else fit.weights))
    slopes = []
    zs = [
        factor.z @ basis
        for factor, basis in zip(design.factors, fit.kernel.products.anchor.z_bases, strict=True)
    ]
    same = [factor.codes[:, None] == factor.codes[None, :] for factor in design.factors]
    for z, Lambda, inside in zip(zs, fit.at.Lambdas, same, strict=True):
        root = z @ Lambda[0]
        V += (root @ root.T) * inside
    for factor, a, b in zip(*shape.entries, strict=True):
        cross = np.outer(zs[factor][:, a], zs[factor][:, b])
        slopes.append((cross if a == b else cross + cross.T) * same[factor])
    return np.linalg.inv(V), slopes


@pytest.mark.parametrize("formula", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("weights", [None, "w"])
def test_traces_are_those_of_dense_matrices(formula, weights):
    fit = lmer(formula, grouped(), weights=weights)
    inverse, slopes = dense(fit)
    products = [inverse @ G for G in slopes]
    found = covariance_traces(frame_of_products(fit.kernel, fit.at))
    expected = [[np.trace(a @ b) for b in products] for a in products]
    np.testing.assert_allclose(found.single, [np.trace(a) for a in products], rtol=RTOL)
    np.testing.assert_allclose(found.double, expected, rtol=RTOL, atol=1e-9 * np.max(expected))


def test_levels_that_no_rows_connect_share_right_sides():
    nested = lmer("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
    places = level_places(nested.kernel.products)
    assert [p.max() for p in places] == [2, 0]  # three casks in each of ten batches
    assert n_right_sides(nested.kernel) == 4
    one = lmer("y ~ x + (x | g)", grouped(200))
    assert n_right_sides(one.kernel) == 2


def test_right_sides_in_several_batches_give_the_same(monkeypatch):
    fit = lmer("y ~ x + (x | g) + (1 | item)", grouped())
    whole = covariance_traces(frame_of_products(fit.kernel, fit.at))
    monkeypatch.setattr("hierbayes.gaussian.expected_information.AT_ONCE", 1)
    parts = covariance_traces(frame_of_products(fit.kernel, fit.at))
    np.testing.assert_allclose(parts.double, whole.double, rtol=RTOL)
    np.testing.assert_allclose(parts.single, whole.single, rtol=RTOL)
