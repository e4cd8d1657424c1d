"""theta <-> Lambda <-> sds and correlations: one covariance whatever triangle holds it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierbayes.gaussian.covariance import CovarianceShape, lower_triangle, term_covariances

# two factors; (0 + x | f) + (1 | f) with its columns apart, then three correlated columns of g
SHAPE = CovarianceShape(sizes=(2, 3), terms=((0, (1,)), (0, (0,)), (1, (0, 1, 2))))
SPLIT = CovarianceShape(sizes=(3,), terms=((0, (0, 2)), (0, (1,))))
SINGLE = CovarianceShape(sizes=(3,), terms=((0, (0, 1, 2)),))
SHAPES = (SHAPE, SPLIT, SINGLE)

# multiples of 1/8 with many zeros: exact zeros, repeated and proportional rows turn up often
ENTRY = st.integers(-24, 24).map(lambda i: i / 8) | st.just(0.0)
SQUARE = st.integers(1, 5).flatmap(lambda q: arrays(float, (q, q), elements=ENTRY))


def covariances(shape, theta):
    return [L[0] @ L[0].T for L in shape.unpack(np.asarray(theta)[None])]


def thetas(shape):
    return arrays(float, shape.n_theta, elements=ENTRY)


def shape_and_theta():
    return st.sampled_from(SHAPES).flatmap(lambda s: st.tuples(st.just(s), thetas(s)))


def test_theta_holds_the_triangles_column_by_column_term_by_term():
    f, g = SHAPE.unpack(np.arange(1.0, 9.0)[None])
    np.testing.assert_array_equal(f[0], [[2, 0], [0, 1]])
    np.testing.assert_array_equal(g[0], [[3, 0, 0], [4, 6, 0], [5, 7, 8]])
    assert SHAPE.is_diagonal.tolist() == [True, True, True, False, False, True, False, True]
    (h,) = SPLIT.unpack(np.arange(1.0, 5.0)[None])
    np.testing.assert_array_equal(h[0], [[1, 0, 0], [0, 4, 0], [2, 0, 3]])


@given(shape_and_theta())
def test_pack_undoes_unpack(drawn):
    shape, theta = drawn
    np.testing.assert_array_equal(shape.pack(shape.unpack(theta[None])), theta[None])


def test_a_model_without_random_effects_has_an_empty_theta():
    shape = CovarianceShape(sizes=(), terms=())
    assert shape.n_theta == 0
    assert shape.unpack(np.empty((2, 0))) == []
    assert shape.pack([]).shape == (1, 0)


@given(SQUARE)
def test_lower_triangle_is_a_root_of_the_same_covariance(root):
    L = lower_triangle(root)
    scale = max(np.abs(root).max(), 1.0) ** 2
    np.testing.assert_allclose(L @ L.T, root @ root.T, atol=1e-13 * scale)
    assert (np.diag(L) >= 0).all()
    np.testing.assert_array_equal(np.triu(L, 1), 0)


@given(SQUARE)
def test_lower_triangle_of_a_lower_triangle_is_itself(root):
    L = lower_triangle(root)
    np.testing.assert_allclose(lower_triangle(L), L, atol=1e-12 * max(1, np.abs(root).max()))


@given(SQUARE)
def test_a_singular_covariance_has_exact_zeros_on_the_diagonal(root):
    L = lower_triangle(root)
    rank = np.linalg.matrix_rank(root, tol=1e-10)
    assert np.count_nonzero(np.diag(L)) == rank
    # beside a zero on the diagonal the whole column is zero
    np.testing.assert_array_equal(L[:, np.diag(L) == 0], 0)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("units", [(1, 1, 1, 1), (1e-6, 1, 1e6, 1e3)])
def test_rounding_does_not_hide_that_a_covariance_is_singular(rank, units):
    rng = np.random.default_rng(rank)
    for _ in range(20):
        root = np.diag(units) @ rng.normal(size=(4, rank)) @ rng.normal(size=(rank, 4))
        assert (np.diag(lower_triangle(root)) > 0).tolist() == [True] * rank + [False] * (4 - rank)


def test_an_undefined_root_is_rotated_to_the_later_columns():
    # sd of the second column only, carried by the first column of the root
    np.testing.assert_array_equal(lower_triangle(np.array([[0, 0], [2.0, 0]])), [[0, 0], [0, 2]])
    # correlation -1: the second column is minus three times the first
    np.testing.assert_allclose(
        lower_triangle(np.array([[1.0, 2.0], [-3.0, -6.0]])),
        np.sqrt(5) * np.array([[1, 0], [-3, 0]]),
        rtol=1e-14,
    )


@pytest.mark.parametrize("sizes", [(1e-6, 1.0, 1e6), (1e8, 1e-8, 1.0)])
def test_rows_of_very_different_size_keep_their_digits(sizes):
    root = np.diag(sizes) @ np.array([[1.0, 0, 0], [0.9, 0.2, 0], [-0.4, 0.3, 0.5]])
    turned = root @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    L = lower_triangle(turned)
    np.testing.assert_allclose(
        L / np.array(sizes)[:, None], root / np.array(sizes)[:, None], atol=1e-13
    )


@given(shape_and_theta())
def test_rectified_is_the_same_covariance_with_a_non_negative_diagonal(drawn):
    shape, theta = drawn
    found = shape.rectified(theta)
    for ours, given_ in zip(covariances(shape, found), covariances(shape, theta), strict=True):
        np.testing.assert_allclose(ours, given_, atol=1e-11)
    assert (found[shape.is_diagonal] >= 0).all()
    np.testing.assert_allclose(shape.rectified(found), found, atol=1e-12)


@given(shape_and_theta(), st.integers(0, 10**6))
def test_transformed_is_the_covariance_of_transformed_columns(drawn, seed):
    shape, theta = drawn
    rng = np.random.default_rng(seed)
    bases = [np.zeros((q, q)) for q in shape.sizes]
    for factor, columns in shape.terms:  # upper triangular with a clear diagonal, as in products
        q = len(columns)
        mix = np.triu(rng.normal(size=(q, q)), 1) + np.diag(rng.uniform(0.5, 2.0, q))
        bases[factor][np.ix_(columns, columns)] = mix
    found = shape.transformed(theta, bases)
    before, after = covariances(shape, theta), covariances(shape, found)
    for basis, was, is_ in zip(bases, before, after, strict=True):
        np.testing.assert_allclose(is_, basis @ was @ basis.T, atol=1e-10)
    back = shape.transformed(found, [np.linalg.inv(basis) for basis in bases])
    for was, is_ in zip(before, covariances(shape, back), strict=True):
        np.testing.assert_allclose(is_, was, atol=1e-9)


@pytest.mark.parametrize("theta", [[0.0, 0, 0], [1.0, 2.0, 0.0], [0.0, 1.5, 0.0], [0.0, 0.0, 2.0]])
def test_transforming_keeps_a_singular_covariance_exactly_singular(theta):
    shape = CovarianceShape(sizes=(2,), terms=((0, (0, 1)),))
    there = shape.transformed(np.array(theta), [np.array([[0.3, -7.1], [0.0, 2.9]])])
    zeros = np.count_nonzero(there[shape.is_diagonal] == 0)
    assert zeros == 2 - np.linalg.matrix_rank(shape.unpack(np.array([theta]))[0][0])


@given(shape_and_theta(), st.floats(0.1, 100))
def test_sds_and_correlations_are_those_of_sigma_squared_lambda_lambda(drawn, sigma):
    shape, theta = drawn
    Sigma = covariances(shape, theta)
    for (factor, columns), term in zip(
        shape.terms, term_covariances(shape, theta, sigma), strict=True
    ):
        expected = sigma**2 * Sigma[factor][np.ix_(columns, columns)]
        np.testing.assert_allclose(term.sd, np.sqrt(np.diag(expected)), rtol=1e-12)
        undefined = (term.sd[:, None] == 0) | (term.sd == 0)
        np.testing.assert_array_equal(np.isnan(term.corr), undefined)
        product = term.sd[:, None] * np.where(undefined, 0, term.corr) * term.sd
        np.testing.assert_allclose(product, expected, atol=1e-10 * sigma**2)
        assert (np.abs(term.corr[~undefined]) <= 1).all()
        np.testing.assert_array_equal(np.diag(term.corr)[term.sd > 0], 1)


def test_a_perfect_correlation_is_exactly_one():
    shape = CovarianceShape(sizes=(2,), terms=((0, (0, 1)),))
    for slope in (0.3, -1e-7, 1e5):
        (term,) = term_covariances(shape, np.array([0.7, slope, 0.0]), 1.3)
        assert term.corr[0, 1] == pytest.approx(np.sign(slope), abs=1e-15)
        assert abs(term.corr[0, 1]) <= 1
