"""Cross-products: a basis that changes nothing, parts that add up, responses exchanged."""

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.kernel import kernel_of, of_other_levels, with_products
from hierbayes.gaussian.marginal import reduce
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.products import anchor_of, multiply, products_of, with_response
from hierbayes.likelihood.lmm import fit_lmm
from tests.gaussian.dense import (
    CASES,
    N_ROWS,
    NESTED,
    DenseModel,
    in_basis,
    kernel_for,
    random_design,
    random_thetas,
    random_weights,
)

SAME = 1e-12


@pytest.fixture(params=CASES)
def design(request):
    return random_design(request.param)


@pytest.fixture(params=[None, "weighted"])
def weights(request):
    return None if request.param is None else random_weights()


def assert_same_products(found, expected):
    scale = {"yy": expected.yy, "xy": np.sqrt(expected.yy * N_ROWS)}
    for field in fields(expected):
        ours, other = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "couplings":
            assert ours.keys() == other.keys()
            for key in other:
                np.testing.assert_array_equal(ours[key].rows, other[key].rows)
                np.testing.assert_array_equal(ours[key].columns, other[key].columns)
                np.testing.assert_allclose(ours[key].blocks, other[key].blocks, atol=1e-11)
        elif isinstance(other, tuple):
            for a, b in zip(ours, other, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-10)
        elif field.name not in ("anchor", "remainder"):
            atol = 1e-12 * scale.get(field.name, N_ROWS)
            np.testing.assert_allclose(ours, other, atol=atol)


def test_products_are_those_of_the_columns_in_the_basis(design, weights):
    products = products_of(design, weights=weights)
    kernel = kernel_of(design, weights=weights, method="reml")
    dense = DenseModel(in_basis(design, kernel), np.zeros(0), weights)
    W = np.ones(N_ROWS) if weights is None else weights
    X, y = dense.design.X, dense.design.y
    np.testing.assert_allclose(products.xx, X.T @ (W[:, None] * X), atol=1e-10)
    np.testing.assert_allclose(products.xy, X.T @ (W * y), atol=1e-8)
    assert products.yy == pytest.approx(y @ (W * y), rel=1e-10)
    assert products.sum_log_weights == pytest.approx(np.log(W).sum(), abs=1e-12)
    ZWZ = dense.Z.T @ (W[:, None] * dense.Z)
    for found, expected in zip(products.zz, dense.diagonal_blocks(ZWZ), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-10)
    for found, expected in zip(
        products.zx, dense.by_factor(dense.Z.T @ (W[:, None] * X)), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-10)
    for found, expected in zip(products.zy, dense.by_factor(dense.Z.T @ (W * y)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-8)
    v = np.random.default_rng(5).normal(size=(len(ZWZ), 2))
    vectors = [np.stack([part, 2 * part]) for part in dense.by_factor(v)]
    for found, expected in zip(multiply(products, vectors), dense.by_factor(ZWZ @ v), strict=True):
        np.testing.assert_allclose(found, np.stack([expected, 2 * expected]), atol=1e-9)


def test_columns_are_orthogonal_in_the_basis(design, weights):
    products = products_of(design, weights=weights)
    np.testing.assert_allclose(products.xx, N_ROWS * np.eye(3), atol=1e-8)
    np.testing.assert_allclose(products.xy, 0, atol=1e-7)  # the first fit is taken off
    for term in design.terms:
        block = products.zz[term.factor].sum(axis=0)[np.ix_(term.columns, term.columns)]
        np.testing.assert_allclose(block, N_ROWS * np.eye(len(term.columns)), atol=1e-8)


def test_products_of_parts_add_to_those_of_the_whole(design, weights):
    anchor = anchor_of(design, weights)
    whole = products_of(design, weights=weights, anchor=anchor)
    rng = np.random.default_rng(3)
    part = rng.integers(0, 3, N_ROWS)
    parts = [
        products_of(
            design.with_rows(part == k),
            weights=None if weights is None else weights[part == k],
            anchor=anchor,
        )
        for k in range(3)
    ]
    assert_same_products((parts[0] + parts[1]) + parts[2], whole)
    assert_same_products(parts[2] + (parts[0] + parts[1]), whole)


def test_no_rows_are_the_neutral_element(design):
    anchor = anchor_of(design, None)
    whole = products_of(design, anchor=anchor)
    nothing = products_of(design.with_rows(np.zeros(N_ROWS, dtype=bool)), anchor=anchor)
    assert_same_products(nothing + whole, whole)
    assert_same_products(whole + nothing, whole)


def test_the_fit_of_added_halves_is_that_of_the_whole(design, weights):
    kernel = kernel_of(design, weights=weights, method="reml")
    anchor = kernel.products.anchor
    first = np.arange(N_ROWS) % 2 == 0
    halves = [
        products_of(
            design.with_rows(rows),
            weights=None if weights is None else weights[rows],
            anchor=anchor,
        )
        for rows in (first, ~first)
    ]
    added = halves[0] + halves[1]
    again = fit_lmm(design, with_products(kernel, added))
    whole = fit_lmm(design, kernel)
    assert again.at.criterion[0] == pytest.approx(whole.at.criterion[0], rel=SAME, abs=1e-8)
    np.testing.assert_allclose(again.at.beta, whole.at.beta, atol=1e-5)


def test_parts_in_another_basis_are_not_added():
    design = random_design("slope")
    with pytest.raises(ValueError, match="same anchor"):
        products_of(design) + products_of(design.with_rows(np.arange(N_ROWS) % 2 == 0))
    first = products_of(design)
    travelled = pickle.loads(pickle.dumps(products_of(design)))
    assert (first + travelled).n_obs == 2 * N_ROWS


def test_another_response_gives_the_products_of_the_design_with_it(design, weights):
    products = products_of(design, weights=weights)
    y = np.random.default_rng(9).normal(size=N_ROWS) * 1e3 + 50
    found = with_response(products, design, weights=weights, y=y)
    expected = products_of(design.with_response(y), weights=weights, anchor=products.anchor)
    np.testing.assert_allclose(found.xy, expected.xy, rtol=1e-10, atol=1e-6)
    assert found.yy == pytest.approx(expected.yy, rel=SAME)
    for ours, other in zip(found.zy, expected.zy, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-8)
    assert found.zz is products.zz


def test_another_response_keeps_the_offset():
    design = random_design("slope")
    design = design.with_mean(replace(design.mean, offset=np.linspace(0, 90, N_ROWS)))
    products = products_of(design)
    found = with_response(products, design, weights=None, y=design.y)
    assert found.yy == pytest.approx(products.yy, rel=1e-10)
    np.testing.assert_allclose(found.zy[0], products.zy[0], atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_nested_factors_are_seen_as_nested(case):
    assert level_graph(products_of(random_design(case))).is_nested == (case in NESTED)


@pytest.mark.parametrize("kept", [0, 1])
def test_levels_without_rows_are_not_part_of_a_nesting(kept):
    # four levels of g in both of h's, two of a third in one: what is left may look nested
    rng = np.random.default_rng(5)
    g, h = np.repeat(np.arange(6), 4), np.tile([0, 0, 1, 1], 6)
    h[g >= 4] = 1 - kept
    x = rng.normal(size=g.size)
    model = hb.Model(
        "y ~ x + (1 | g) + (1 | h)", {"y": rng.normal(size=24), "x": x, "g": g, "h": h}
    )
    design, whole = model.design, model.spec.kernel("reml")
    names = [factor.name for factor in design.factors]
    for rows in (h == 0, h == 1, g != 0, g < 4, (g != 0) & (h == 1 - kept)):
        part = design.with_rows(rows)
        kernel = of_other_levels(whole, products_of(part, anchor=whole.products.anchor))
        sd = {"g": 1.3, "h": 0.7}
        theta = np.array([sd[name] for name in names])
        roots = [np.full((1, 1, 1), value) for value in kernel.in_basis(theta)]
        Z = np.column_stack([np.eye(f.levels.size)[f.codes] * sd[f.name] for f in part.factors])
        expected = np.linalg.slogdet(np.eye(Z.shape[1]) + Z.T @ Z)[1]
        found = reduce(kernel, roots, n_batch=1)
        np.testing.assert_allclose(found.log_det, [expected], rtol=1e-10)


def test_several_factors_without_fixed_effects_have_products():
    fit = hb.lmer("diameter ~ 0 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    assert fit.sigma > 0


def test_dependent_columns_of_a_term_leave_the_criterion_alone():
    # z with a copy of a column: no orthogonal basis, so the columns are only scaled
    design = random_design("three_columns")
    factor = design.factors[0]
    z = np.column_stack([factor.z[:, 0], 1e5 * factor.z[:, 1], 2 * factor.z[:, 1]])
    design = design.with_mean(replace(design.mean, factors=(replace(factor, z=z),)))
    from hierbayes.gaussian.marginal import evaluate

    kernel = kernel_for(design)
    theta = random_thetas(design, 1)
    dense = DenseModel(in_basis(design, kernel), theta[0])
    constant = 2 * np.log(np.abs(np.diag(kernel.products.anchor.x_basis))).sum()
    found = evaluate(kernel, theta).criterion[0] + constant
    assert found == pytest.approx(dense.criterion("reml"), rel=1e-10)
