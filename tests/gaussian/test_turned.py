"""Turned columns of the random effects: the same model, its covariance diagonal."""

import numpy as np
import pytest

from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import derivatives, evaluate
from hierbayes.gaussian.products import products_of
from hierbayes.gaussian.turned import principal_axes, turned
from tests.gaussian.dense import (
    CASES,
    HELD,
    DenseModel,
    in_basis,
    kernel_for,
    random_design,
    random_thetas,
    random_weights,
)


@pytest.fixture(params=HELD, ids="-".join)
def kernels(request, monkeypatch):
    """A design, its kernel, the kernel in the axes of a theta, and that theta in both."""
    case, structure = request.param
    design = random_design(case)
    kernel = kernel_for(
        design, structure=structure, monkeypatch=monkeypatch, weights=random_weights()
    )
    theta = random_thetas(design, 1)[0]
    axes, turned_theta = principal_axes(kernel.shape, theta)
    there = with_products(kernel, turned(kernel.products, axes))
    return design, kernel, there, theta, turned_theta


def test_the_criterion_and_the_estimates_are_the_same(kernels):
    _, kernel, there, theta, turned_theta = kernels
    here, moved = evaluate(kernel, theta[None]), evaluate(there, turned_theta[None])
    assert moved.criterion[0] == pytest.approx(here.criterion[0], rel=1e-12)
    np.testing.assert_allclose(moved.beta, here.beta, atol=1e-9)


def test_theta_on_the_users_scale_is_the_same(kernels):
    _, kernel, there, theta, turned_theta = kernels
    shape = kernel.shape
    expected = shape.transformed(theta, kernel.products.anchor.z_bases)
    found = shape.transformed(turned_theta, there.products.anchor.z_bases)
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_the_covariance_is_diagonal_with_the_largest_axis_first(kernels):
    _, kernel, _, theta, turned_theta = kernels
    shape = kernel.shape
    np.testing.assert_array_equal(turned_theta[~shape.is_diagonal], 0)
    for (factor, columns), root in zip(
        shape.terms, [shape.unpack(turned_theta[None])[f][0] for f, _ in shape.terms], strict=True
    ):
        own = np.diag(root)[list(columns)]
        assert (np.diff(own) <= 0).all()
        before = shape.unpack(theta[None])[factor][0][np.ix_(columns, columns)]
        sizes = np.linalg.svd(before, compute_uv=False)
        np.testing.assert_allclose(own, sizes, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_turned_products_are_those_of_the_turned_columns(case):
    design = random_design(case)
    weights = random_weights()
    products = products_of(design, weights=weights)
    axes = []
    rng = np.random.default_rng(1)
    for factor in design.factors:
        axes.append(np.linalg.qr(rng.normal(size=(factor.z.shape[1],) * 2))[0])
    found = turned(products, axes)
    expected = products_of(design, weights=weights, anchor=found.anchor)
    for name in ("zz", "zx", "zy"):
        for ours, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(ours, other, atol=1e-9)
    for key, coupling in expected.couplings.items():
        np.testing.assert_allclose(found.couplings[key].blocks, coupling.blocks, atol=1e-10)
    assert found.xx is products.xx


def test_derivatives_in_the_turned_columns_are_exact(kernels):
    design, _, there, _, turned_theta = kernels
    dense = DenseModel(in_basis(design, there), turned_theta, random_weights())
    constant = 2 * np.log(np.abs(np.diag(there.products.anchor.x_basis))).sum()
    at = evaluate(there, turned_theta[None])
    assert at.criterion[0] + constant == pytest.approx(dense.criterion("reml"), rel=1e-10)
    gradient = derivatives(there, at).gradient[0]
    step = 1e-4
    for i in range(turned_theta.size):
        move = step * (np.arange(turned_theta.size) == i)
        values = evaluate(there, np.stack([turned_theta + move, turned_theta - move])).criterion
        slope = (values[0] - values[1]) / (2 * step)
        assert gradient[i] == pytest.approx(slope, abs=1e-5 * max(1, np.abs(gradient).max()))
