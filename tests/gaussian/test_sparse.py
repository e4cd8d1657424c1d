"""The sparse structure is the same model as the others, stored and ordered differently."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.errors import DataError
from hierbayes.gaussian import kernel as kernels_of_designs
from hierbayes.gaussian.factor.sparse import sparse_blocks
from hierbayes.gaussian.kernel import pattern_of
from hierbayes.gaussian.marginal import derivatives, evaluate, modes
from hierbayes.gaussian.pattern import sparse
from hierbayes.gaussian.pattern.crossed import CrossedPattern
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.pattern.schur import SchurPattern
from hierbayes.gaussian.pattern.sparse import (
    SparsePattern,
    elimination_of,
    memory_bytes,
    sparse_pattern,
)
from hierbayes.gaussian.products import products_of
from tests.gaussian.dense import (
    NESTED,
    SEVERAL,
    DenseModel,
    in_basis,
    kernel_for,
    random_design,
    random_thetas,
    random_weights,
)

RTOL = 1e-10  # same numbers in another order: only rounding differs
METHODS = ("reml", "ml")


def kernels(case, monkeypatch, **options):
    """One design's kernel with the sparse structure, and with the one it would get today."""
    design = random_design(case)
    structure = "nested" if case in NESTED else "sparse"  # "sparse": crossed, by pairs
    other = kernel_for(design, structure=structure, monkeypatch=monkeypatch, **options)
    pattern = sparse_pattern(level_graph(other.products))
    return design, replace(other, blocks=sparse_blocks(pattern, other.products)), other


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", SEVERAL)
def test_criterion_and_gradient_are_those_of_the_other_structures(
    case, method, weighted, monkeypatch
):
    weights = random_weights() if weighted else None
    design, kernel, other = kernels(case, monkeypatch, method=method, weights=weights)
    theta = random_thetas(design, 3)
    found, expected = evaluate(kernel, theta), evaluate(other, theta)
    np.testing.assert_allclose(found.criterion, expected.criterion, rtol=RTOL)
    np.testing.assert_allclose(found.factor.log_det, expected.factor.log_det, rtol=RTOL)
    np.testing.assert_allclose(found.beta, expected.beta, rtol=1e-9, atol=1e-12)
    slopes, same = derivatives(kernel, found), derivatives(other, expected)
    for name in ("gradient", "curvature"):
        right = getattr(same, name)
        np.testing.assert_allclose(
            getattr(slopes, name), right, rtol=RTOL, atol=RTOL * np.abs(right).max()
        )


@pytest.mark.parametrize("case", SEVERAL)
def test_modes_and_covariances_are_those_of_the_other_structures(case, monkeypatch):
    design, kernel, other = kernels(case, monkeypatch)
    theta = random_thetas(design, 2)
    found, expected = evaluate(kernel, theta), evaluate(other, theta)
    pairs = [(found.factor.covariances(), expected.factor.covariances())]
    mine, same = modes(kernel, found), modes(other, expected)
    pairs += [(mine.u, same.u), (mine.h, same.h)]
    for left, right in pairs:
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=RTOL * np.abs(b).max())


@pytest.mark.parametrize("case", SEVERAL)
def test_criterion_modes_and_traces_are_those_of_the_dense_model(case, monkeypatch):
    weights = random_weights()
    design, kernel, _ = kernels(case, monkeypatch, weights=weights)
    theta = random_thetas(design, 2)
    at = evaluate(kernel, theta)
    traces, covariances = at.factor.trace_blocks(), at.factor.covariances()
    u = modes(kernel, at).u
    for t, one in enumerate(theta):
        dense = DenseModel(in_basis(design, kernel), one, weights)
        constant = 2 * np.log(np.abs(np.diag(kernel.products.anchor.x_basis))).sum()
        expected = dense.criterion("reml") - constant
        assert at.criterion[t] == pytest.approx(expected, rel=RTOL)
        inverse = np.linalg.inv(dense.inner)
        ZWZ = dense.Z.T @ (dense.precision[:, None] * dense.Z)
        products = dense.diagonal_blocks(ZWZ @ dense.Lambda @ inverse)
        for found, blocks in zip(traces, products, strict=True):
            total = blocks.sum(axis=0)
            np.testing.assert_allclose(found[t], total, atol=RTOL * np.abs(total).max())
        for found, blocks in zip(covariances, dense.diagonal_blocks(inverse), strict=True):
            np.testing.assert_allclose(found[t], blocks, atol=RTOL)
        for found, modes_ in zip(u, dense.by_factor(dense.u), strict=True):
            np.testing.assert_allclose(np.sqrt(at.pwrss[t]) * found[t, ..., -1], modes_, atol=1e-8)


def test_a_variance_of_zero_takes_its_levels_out(monkeypatch):
    design, kernel, other = kernels("three_crossed", monkeypatch)
    theta = random_thetas(design, 1)
    theta[0, :3] = 0.0  # all of the first factor
    found, expected = evaluate(kernel, theta), evaluate(other, theta)
    np.testing.assert_allclose(found.criterion, expected.criterion, rtol=RTOL)
    np.testing.assert_array_equal(found.factor.covariances()[0][0], [np.eye(2)] * 22)


# where it is used


@pytest.mark.parametrize("limit", ["SMALL_REST", "SMALL_COUPLING"])
def test_large_crossings_are_sparse_and_small_ones_are_not(limit, monkeypatch):
    graph = level_graph(products_of(random_design("crossed_slopes")))
    assert isinstance(pattern_of(graph), CrossedPattern)
    monkeypatch.setattr(kernels_of_designs, limit, 10)
    assert isinstance(pattern_of(graph), SchurPattern)  # nearly all levels meet
    monkeypatch.setattr(kernels_of_designs, "FILLED", 100.0)
    assert isinstance(pattern_of(graph), SparsePattern)
    nested = level_graph(products_of(random_design("nested")))
    assert pattern_of(nested).name == "nested"


def test_a_small_crossed_fit_needs_no_compiler():
    script = (
        "import hierbayes as hb, sys\n"
        "hb.lmer('diameter ~ 1 + (1 | plate) + (1 | sample)', hb.load_dataset('Penicillin'))\n"
        "sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_what_does_not_fit_in_memory_is_refused_with_its_size(monkeypatch):
    graph = level_graph(products_of(random_design("crossed")))
    with pytest.raises(DataError, match=r"factors of 22 and 11 levels meet in so many places") as e:
        elimination_of(graph, memory=1000)
    assert "more than 29 numbers" in str(e.value)
    monkeypatch.setattr(sparse, "memory_bytes", lambda: 1000.0)
    monkeypatch.setattr(kernels_of_designs, "SMALL_REST", 1)
    with pytest.raises(DataError, match="Fit a sample of the levels"):
        pattern_of(graph)


def test_the_memory_of_this_computer_is_known():
    assert memory_bytes() > 1e8


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(sparse, "MEMORY_LIMIT", limit)
    limit.write_text("123456789\n")
    assert memory_bytes() == 123456789
    limit.write_text("max\n")
    assert memory_bytes() > 123456789


# a fit


def mobility(*, workers=6000, firms=3000, years=4):
    """Wages of workers who now and then move to a firm nearby, seldom to one far away."""
    rng = np.random.default_rng(12)
    worker = np.repeat(np.arange(workers), years)
    home = worker * firms // workers
    step = np.where(rng.random(worker.size) < 0.4, rng.integers(-3, 4, worker.size), 0)
    far = rng.random(worker.size) < 0.01
    firm = np.where(far, rng.integers(0, firms, worker.size), home + step) % firms
    firm = np.unique(firm, return_inverse=True)[1]
    year = np.tile(np.arange(years) - 1.5, workers)
    intercept, slope = rng.normal(size=workers) * 0.8, rng.normal(size=workers) * 0.4
    slope = 0.5 * slope + np.sqrt(0.75) * 0.4 * intercept / 0.8
    wage = 10 + 0.3 * year + intercept[worker] + slope[worker] * year
    wage += 0.6 * rng.normal(size=firm.max() + 1)[firm] + 0.5 * rng.normal(size=worker.size)
    return pd.DataFrame(
        {"wage": wage, "year": year, "worker": worker.astype(str), "firm": firm.astype(str)}
    )


def test_a_large_crossed_fit_recovers_what_the_data_were_made_of():
    model = hb.Model("wage ~ year + (year | worker) + (1 | firm)", mobility())
    fit = model.fit()
    assert fit.kernel.pattern.name == "sparse"
    assert "its Cholesky factor holds" in model.explain()
    found = fit.varcorr().to_frame()["sdcor"].to_numpy()  # sds, correlation, firm, residual
    np.testing.assert_allclose(found, [0.8, 0.4, np.sqrt(0.75), 0.6, 0.5], rtol=0.06)
    np.testing.assert_allclose(fit.fixef(), [10, 0.3], atol=0.06)
    sd = fit.ranef_sd()["firm"].to_numpy()
    assert ((sd > 0) & (sd < 0.62)).all()
