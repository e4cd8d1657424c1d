"""A dense rest made by compiled sums is the same model as the others, stored differently."""

from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.errors import DataError
from hierbayes.gaussian import kernel as kernels_of_designs
from hierbayes.gaussian.factor.schur import schur_blocks
from hierbayes.gaussian.marginal import derivatives, evaluate, modes
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.pattern.schur import schur_pattern
from hierbayes.gaussian.products import products_of
from hierbayes.linalg.pair_sums import places_of, take_off_squares, times_at_entries
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
CROSSED = [case for case in SEVERAL if case not in NESTED]


def kernel_of(design, **options):
    kernel = kernel_for(design, structure="sparse", **options)
    pattern = schur_pattern(level_graph(kernel.products))
    return replace(kernel, blocks=schur_blocks(pattern, kernel.products)), kernel


@pytest.mark.parametrize("case", CROSSED)
def test_criterion_modes_and_traces_are_those_of_the_dense_model(case, monkeypatch):
    weights = random_weights()
    design = random_design(case)
    kernel, _ = kernel_of(design, weights=weights, monkeypatch=monkeypatch)
    theta = random_thetas(design, 2)
    at = evaluate(kernel, theta)
    traces, covariances = at.factor.trace_blocks(), at.factor.covariances()
    u = modes(kernel, at).u
    for t, one in enumerate(theta):
        dense = DenseModel(in_basis(design, kernel), one, weights)
        constant = 2 * np.log(np.abs(np.diag(kernel.products.anchor.x_basis))).sum()
        assert at.criterion[t] == pytest.approx(dense.criterion("reml") - constant, rel=RTOL)
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


@pytest.mark.parametrize("case", CROSSED)
def test_derivatives_are_those_of_the_other_structure_and_of_differences(case, monkeypatch):
    design = random_design(case)
    kernel, other = kernel_of(design, monkeypatch=monkeypatch)
    theta = random_thetas(design, 2)
    found = derivatives(kernel, evaluate(kernel, theta))
    same = derivatives(other, evaluate(other, theta))
    for name in ("gradient", "curvature"):
        right = getattr(same, name)
        np.testing.assert_allclose(getattr(found, name), right, atol=RTOL * np.abs(right).max())
    step = 1e-5 * np.eye(theta.shape[1])
    up, down = (evaluate(kernel, theta[:1] + s * step).criterion for s in (1, -1))
    np.testing.assert_allclose(
        found.gradient[0], (up - down) / 2e-5, atol=1e-6 * np.abs(found.gradient[0]).max()
    )


def test_a_variance_of_zero_takes_its_levels_out(monkeypatch):
    design = random_design("three_crossed")
    kernel, other = kernel_of(design, monkeypatch=monkeypatch)
    theta = random_thetas(design, 1)
    theta[0, :3] = 0.0  # all of the first factor
    found, expected = evaluate(kernel, theta), evaluate(other, theta)
    np.testing.assert_allclose(found.criterion, expected.criterion, rtol=RTOL)


@pytest.mark.parametrize("q", [1, 3])
def test_sums_over_pairs_are_products_of_the_matrix(q):
    rng = np.random.default_rng(6)
    J, r = 40, 23
    meets = rng.random((J, r)) < 0.3
    levels, columns = np.nonzero(meets)
    values = rng.standard_normal((levels.size, q))
    B = np.zeros((J, r, q))
    B[levels, columns] = values
    places = places_of(levels, columns, J, r)
    out = np.zeros((r, r))
    take_off_squares(places, values, out)
    expected = -np.einsum("jra,jsa->rs", B, B)
    np.testing.assert_allclose(np.tril(out), np.tril(expected), atol=1e-12)
    assert not np.triu(out, 1).any()
    G = rng.standard_normal((r, r))
    G = G + G.T
    found = times_at_entries(places, values, np.triu(G, 1) + 7 * np.tri(r), np.diag(G).copy())
    expected = np.einsum("jra,rs->jsa", B, G)[levels, columns]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_does_not_fit_in_memory_is_refused_with_what_it_would_take():
    graph = level_graph(products_of(random_design("crossed")))
    with pytest.raises(DataError, match=r"factors of 22 and 11 levels .* dense matrices of 11 col"):
        schur_pattern(graph, memory=1000)


def test_a_fit_is_the_same_and_its_memory_is_told_before(monkeypatch):
    formula, data = "diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin")
    expected = hb.lmer(formula, data)
    monkeypatch.setattr(kernels_of_designs, "SMALL_REST", 5)
    model = hb.Model(formula, data)
    said = " ".join(str(model.explain()).split())
    assert "left as one dense matrix of 6 columns, and a fit needs 0.0 MB of memory" in said
    found = model.fit("reml")
    assert found.criterion == pytest.approx(expected.criterion, rel=1e-12)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-6)
    np.testing.assert_allclose(found.vcov(), expected.vcov(), rtol=1e-6)
