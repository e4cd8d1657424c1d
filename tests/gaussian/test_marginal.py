"""The criterion, its derivatives and conditional moments against dense algebra, at fixed theta."""

from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.factor import crossed as crossed_factor
from hierbayes.gaussian.factor import gram_matrix
from hierbayes.gaussian.marginal import derivatives, evaluate, modes, with_responses
from hierbayes.gaussian.products import with_response
from hierbayes.gaussian.responses import Responses
from tests.gaussian.dense import (
    CASES,
    HELD,
    N_ROWS,
    DenseModel,
    in_basis,
    kernel_for,
    random_design,
    random_thetas,
    random_weights,
    to_basis,
)

RTOL = 1e-10  # dense inverses of V lose a few digits more than the kernel
SAME = 1e-12  # same operations, other order of sums
METHODS = ("reml", "ml")


@pytest.fixture(params=HELD, ids="-".join)
def held(request, monkeypatch):
    """A design, and a function that makes its kernel with one block structure."""
    case, structure = request.param

    def make(design, **options):
        return kernel_for(design, structure=structure, monkeypatch=monkeypatch, **options)

    return random_design(case), make


def known_sd():
    return np.random.default_rng(5).uniform(0.5, 3.0, N_ROWS)


def with_offset(design, offset):
    return design.with_mean(replace(design.mean, offset=offset))


def with_known_sd(design, sd):
    return replace(design, rows=replace(design.rows, known_sd=sd))


VARIANTS = {
    "plain": lambda design: (design, None),
    "weights": lambda design: (design, random_weights()),
    "offset": lambda design: (with_offset(design, np.linspace(-50, 80, N_ROWS)), None),
    "known_sd": lambda design: (with_known_sd(design, known_sd()), known_sd() ** -2.0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_criterion_is_that_of_the_dense_model(held, variant, method):
    design, make = held
    design, weights = VARIANTS[variant](design)
    kernel = make(design, method=method, weights=weights)
    theta = random_thetas(design, 3)
    found = evaluate(kernel, to_basis(kernel, theta))
    for t, one in enumerate(theta):
        dense = DenseModel(design, one, weights)
        assert found.criterion[t] == pytest.approx(dense.criterion(method), rel=RTOL)
        anchor = kernel.products.anchor
        beta = anchor.beta0 + anchor.x_basis @ found.beta[t]
        np.testing.assert_allclose(beta, dense.beta, rtol=1e-8)
        expected = 1.0 if variant == "known_sd" else np.sqrt(dense.pwrss / dense.df(method))
        assert found.sigma[t] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("method", "expected"),  # lme4 1.1.31: lmer(..., devFunOnly = TRUE)(c(1, 0.5, 0.25))
    [("ml", 1775.557985795551), ("reml", 1766.089499450647)],
)
def test_the_criterion_of_sleepstudy_is_lme4s(sleepstudy, method, expected):
    kernel = hb.Model("Reaction ~ Days + (Days | Subject)", sleepstudy).spec.kernel(method)
    theta = to_basis(kernel, np.array([[1.0, 0.5, 0.25]]))
    assert evaluate(kernel, theta).criterion[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gradient_is_exact(held, variant, method):
    design, make = held
    design, weights = VARIANTS[variant](design)
    kernel = make(design, method=method, weights=weights)
    theta = to_basis(kernel, random_thetas(design, 2))
    found = derivatives(kernel, evaluate(kernel, theta)).gradient
    numeric = five_point_slope(lambda x: evaluate(kernel, x).criterion, theta)
    np.testing.assert_allclose(found, numeric, atol=1e-6 * np.abs(numeric).max())


def five_point_slope(function, theta, step=1e-3):
    """Derivatives of a batched function (T, k) -> (T, ...) in each entry of theta, last axis k."""
    slopes = []
    for i in range(theta.shape[1]):
        move = np.zeros(theta.shape[1])
        move[i] = step
        near = function(theta + move) - function(theta - move)
        far = function(theta + 2 * move) - function(theta - 2 * move)
        slopes.append((8 * near - far) / (12 * step))
    return np.stack(slopes, axis=-1)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_factor_solves_and_its_blocks_are_those_of_the_inverse(held, weighted):
    design, make = held
    weights = random_weights() if weighted else None
    kernel = make(design, weights=weights)
    theta = random_thetas(design, 2)
    factor = evaluate(kernel, theta).factor
    right = np.random.default_rng(7).normal(
        size=(sum(f.levels.size * f.z.shape[1] for f in design.factors), 2)
    )
    dense = [DenseModel(in_basis(design, kernel), one, weights) for one in theta]
    sides = [np.stack([part] * 2) for part in dense[0].by_factor(right)]
    solved = factor.back_solve(factor.half_solve(sides))
    blocks, traces = factor.covariances(), factor.trace_blocks()
    for t, model in enumerate(dense):
        inverse = np.linalg.inv(model.inner)
        assert factor.log_det[t] == pytest.approx(np.linalg.slogdet(model.inner)[1], rel=RTOL)
        for found, expected in zip(solved, model.by_factor(inverse @ right), strict=True):
            np.testing.assert_allclose(found[t], expected, atol=1e-9)
        for found, expected in zip(blocks, model.diagonal_blocks(inverse), strict=True):
            np.testing.assert_allclose(found[t], expected, atol=1e-9)
        ZWZ = model.Z.T @ (model.precision[:, None] * model.Z)
        products = model.diagonal_blocks(ZWZ @ model.Lambda @ inverse)
        for found, expected in zip(traces, products, strict=True):
            total = expected.sum(axis=0)
            np.testing.assert_allclose(found[t], total, atol=1e-8 * np.abs(total).max())


@pytest.mark.parametrize("small", [0, 10**6])
def test_both_inverses_of_the_dense_part_are_the_inverse(small, monkeypatch):
    monkeypatch.setattr(crossed_factor, "SMALL_INVERSE", small)
    design = random_design("crossed_slopes")
    kernel = kernel_for(design, structure="dense", monkeypatch=monkeypatch)
    factor = evaluate(kernel, random_thetas(design, 1)).factor
    F = factor.LF[0] @ factor.LF[0].T
    np.testing.assert_allclose(factor.rest_inverse[0] @ F, np.eye(len(F)), atol=1e-11)


@pytest.mark.parametrize("sparse_cost", [0, 10**9])
@pytest.mark.parametrize("count", [1, 3])
def test_the_blocks_multiply_vectors_by_the_gram_matrix(held, count, sparse_cost, monkeypatch):
    design, make = held
    kernel = make(design)
    monkeypatch.setattr(gram_matrix, "SPARSE_COST", sparse_cost)  # sparse, or dense
    model = DenseModel(in_basis(design, kernel), np.zeros(kernel.shape.n_theta), None)
    v = np.random.default_rng(8).normal(size=(count, model.Z.shape[1], 2))
    sides = [np.stack(parts) for parts in zip(*map(model.by_factor, v), strict=True)]
    expected = [model.by_factor(model.Z.T @ (model.Z @ one)) for one in v]
    for found, parts in zip(kernel.blocks.times(sides), zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(found, np.stack(parts), atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_conditional_modes_and_their_dual_are_those_of_the_dense_model(held, weighted):
    design, make = held
    weights = random_weights() if weighted else None
    kernel = make(design, weights=weights)
    theta = random_thetas(design, 2)
    at = evaluate(kernel, theta)
    found = modes(kernel, at)
    for t, one in enumerate(theta):
        dense = DenseModel(in_basis(design, kernel), one, weights)
        r = np.sqrt(at.pwrss[t])
        dual = dense.Z.T @ np.linalg.solve(dense.V, dense.residual)  # Z'V^-1 (y - X beta)
        for u, expected in zip(found.u, dense.by_factor(dense.u), strict=True):
            np.testing.assert_allclose(r * u[t, ..., -1], expected, atol=1e-8)
        for h, expected in zip(found.h, dense.by_factor(dual), strict=True):
            np.testing.assert_allclose(r * h[t, ..., -1], expected, atol=1e-8)
        for u, h, Lambda in zip(found.u, found.h, at.Lambdas, strict=True):  # U = Lambda'H
            np.testing.assert_allclose(
                u[t], np.einsum("ba,jbc->jac", Lambda[t], h[t]), atol=1e-9 * np.abs(u[t]).max()
            )


@pytest.mark.parametrize("case", CASES)
def test_thetas_in_a_batch_are_evaluated_as_one_at_a_time(case, monkeypatch):
    design = random_design(case)
    for structure in [held for name, held in HELD if name == case]:
        kernel = kernel_for(design, structure=structure, monkeypatch=monkeypatch)
        theta = random_thetas(design, 4)
        together = evaluate(kernel, theta)
        slopes = derivatives(kernel, together)
        for t in range(4):
            alone = evaluate(kernel, theta[t : t + 1])
            by_itself = derivatives(kernel, alone)
            assert together.criterion[t] == pytest.approx(alone.criterion[0], rel=SAME)
            np.testing.assert_allclose(together.beta[t], alone.beta[0], rtol=1e-9, atol=1e-12)
            for name in ("gradient", "curvature"):
                one = getattr(by_itself, name)[0]
                np.testing.assert_allclose(
                    getattr(slopes, name)[t], one, atol=1e-9 * np.abs(one).max()
                )


@pytest.mark.parametrize("weighted", [False, True])
def test_responses_in_a_batch_are_evaluated_as_one_at_a_time(held, weighted):
    design, make = held
    weights = random_weights() if weighted else None
    kernel = make(design, weights=weights)
    ys = design.y + np.random.default_rng(11).normal(size=(3, N_ROWS)) * 4
    each = [with_response(kernel.products, design, weights=weights, y=y) for y in ys]
    factors = range(len(design.factors))
    batch = with_responses(
        kernel,
        Responses(
            np.stack([products.xy for products in each]),
            np.array([products.yy for products in each]),
            tuple(np.stack([products.zy[f] for products in each]) for f in factors),
        ),
    )
    one_theta = random_thetas(design, 1)
    for theta in (random_thetas(design, 3), np.repeat(one_theta, 3, axis=0)):
        together = evaluate(batch, theta)
        slopes = derivatives(batch, together)
        for t, y in enumerate(ys):
            alone = replace(kernel, products=each[t])
            expected = evaluate(alone, theta[t : t + 1])
            assert together.criterion[t] == pytest.approx(expected.criterion[0], rel=SAME)
            by_itself = derivatives(alone, expected).gradient[0]
            np.testing.assert_allclose(
                slopes.gradient[t], by_itself, atol=1e-9 * np.abs(by_itself).max()
            )
            own = in_basis(design, kernel).with_response(reduced(y, design, kernel))
            dense = DenseModel(own, theta[t], weights)
            constant = 2 * np.log(np.abs(np.diag(kernel.products.anchor.x_basis))).sum()
            assert together.criterion[t] + constant == pytest.approx(
                dense.criterion("reml"), rel=RTOL
            )


def reduced(y, design, kernel):
    """The response without the first fit of the products."""
    anchor = kernel.products.anchor
    return y - design.X[:, anchor.kept] @ anchor.beta0


def test_one_response_serves_many_thetas_when_batched_as_one(monkeypatch):
    design = random_design("crossed_slopes")
    kernel = kernel_for(design, structure="sparse", monkeypatch=monkeypatch)
    theta = random_thetas(design, 3)
    products = kernel.products
    batch = with_responses(
        kernel,
        Responses(
            products.xy[None], np.array([products.yy]), tuple(zy[None] for zy in products.zy)
        ),
    )
    np.testing.assert_allclose(
        evaluate(batch, theta).criterion, evaluate(kernel, theta).criterion, rtol=SAME
    )


# the curvature: not the Hessian, but what a search and a boundary need of it


def hessian(kernel, theta):
    return five_point_slope(lambda x: derivatives(kernel, evaluate(kernel, x)).gradient, theta)[0]


def asymptotic_fit():
    """Many levels, much data in each, unequal: average and observed information agree there."""
    rng = np.random.default_rng(17)
    codes = np.repeat(np.arange(400), rng.integers(6, 15, 400))
    x = rng.normal(size=codes.size)
    b = rng.normal(size=(400, 2)) @ [[1.0, 0.4], [0.0, 0.5]]
    y = b[codes, 0] + (1 + b[codes, 1]) * x + rng.normal(size=codes.size)
    return hb.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": codes.astype(str)})


def test_the_curvature_at_an_optimum_is_close_to_the_hessian_in_large_data():
    fit = asymptotic_fit()
    curvature = derivatives(fit.kernel, fit.at).curvature[0]
    exact = hessian(fit.kernel, fit.at.theta)
    np.testing.assert_allclose(curvature, curvature.T, rtol=1e-10)
    assert np.linalg.eigvalsh(curvature).min() > 0
    assert np.abs(curvature - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("case", ["slope", "nested_slopes", "crossed_slopes", "three_crossed"])
def test_the_curvature_at_an_optimum_has_no_negative_direction(case, monkeypatch):
    from hierbayes.likelihood.lmm import fit_lmm

    design = random_design(case)
    structure = next(held for name, held in HELD if name == case)
    kernel = kernel_for(design, structure=structure, monkeypatch=monkeypatch)
    found = fit_lmm(design, kernel)
    theta = found.at.theta  # derivatives are not defined at an exact zero
    theta = np.where(kernel.shape.is_diagonal & (np.abs(theta) < 1e-5), 1e-5, theta)
    curvature = derivatives(found.kernel, evaluate(found.kernel, theta)).curvature[0]
    sizes = np.linalg.eigvalsh(curvature)
    assert sizes.min() > -1e-6 * sizes.max()


@pytest.mark.parametrize("method", METHODS)
def test_the_curvature_is_the_hessian_where_a_variance_is_zero(method):
    # Dyestuff2: theta enters squared, so the average information vanishes with theta
    kernel = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2")).spec.kernel(method)
    theta = np.array([[1e-5]])
    found = derivatives(kernel, evaluate(kernel, theta))
    near = evaluate(kernel, np.array([[0.0], [1e-3]])).criterion
    assert found.curvature[0, 0] == pytest.approx(2 * (near[1] - near[0]) / 1e-6, rel=1e-4)
    assert found.curvature[0, 0] > 0


def test_a_response_without_residual_variation_is_refused():
    design = random_design("slope")
    kernel = kernel_for(design.with_response(design.X @ [1.0, 2.0, 3.0]))
    theta = random_thetas(design, 1)
    products = replace(kernel.products, yy=0.0, xy=np.zeros(3))
    products = replace(products, zy=tuple(np.zeros_like(zy) for zy in products.zy))
    with pytest.raises(np.linalg.LinAlgError):
        evaluate(replace(kernel, products=products), theta)
