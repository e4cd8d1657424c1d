"""Which columns are dropped, as R's lm drops them, and the basis of those that stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierbayes.linalg.rank import column_basis

RNG = np.random.default_rng(4)
ONE = np.ones(40)
A, B, C = RNG.normal(size=(3, 40))
GROUP = np.arange(40) % 3


def dummies(codes):
    return [(codes == level).astype(float) for level in range(codes.max() + 1)]


# name -> columns, and the positions that lme4 1.1-31 and qr(X, tol = 1e-7) of R 4.2 keep
DEPENDENT = {
    "copy": ([ONE, A, A], [0, 1]),
    "multiple": ([ONE, A, -1e6 * A], [0, 1]),
    "sum": ([A, B, A + B, C], [0, 1, 3]),
    "earlier_copy_stays": ([A, A, B], [0, 2]),
    "constant": ([ONE, 7 * ONE, A], [0, 2]),
    "zero": ([ONE, 0 * A, A], [0, 2]),
    "only_zeros": ([0 * ONE, 0 * A], []),
    "all_dummies_beside_an_intercept": ([ONE, *dummies(GROUP)], [0, 1, 2]),
    "dummies_before_the_intercept": ([*dummies(GROUP), ONE], [0, 1, 2]),
    "two_factors": ([*dummies(GROUP), *dummies(GROUP % 2)], [0, 1, 2]),
    "two_sets": ([ONE, A, A + 1, B, B - 2 * A, C], [0, 1, 3, 5]),
    "three_copies": ([A, A, A, A, B], [0, 4]),
    "sum_of_all": ([ONE, A, B, C, ONE + A - B + 1e-3 * C], [0, 1, 2, 3]),
    "nearly": ([ONE, A, A + 1e-9 * B], [0, 1]),
    "not_quite": ([ONE, A, A + 1e-5 * B], [0, 1, 2]),
    "not_quite_in_large_units": ([ONE, 1e8 * A, 1e-8 * (A + 1e-5 * B)], [0, 1, 2]),
    "tiny_column": ([ONE, 1e-8 * A, B], [0, 1, 2]),
    "large_column": ([ONE, 1e8 * A, B], [0, 1, 2]),
    "years": ([ONE, 1990.0 + GROUP], [0, 1]),
    "years_and_squares": ([ONE, 2000.0 + A, (2000.0 + A) ** 2], [0, 1, 2]),
}


@pytest.mark.parametrize(("columns", "kept"), DEPENDENT.values(), ids=DEPENDENT)
def test_of_a_dependent_set_the_later_column_is_dropped(columns, kept):
    assert column_basis(np.column_stack(columns)).kept.tolist() == kept


@given(
    st.permutations(range(5)),
    st.lists(st.integers(-8, 8), min_size=5, max_size=5),
    st.integers(0, 2),
)
def test_dropping_does_not_depend_on_units(order, exponents, which):
    columns = [ONE, A, B, (A + B, A - 2, A)[which], C]
    plain = np.column_stack([columns[i] for i in order])
    scaled = plain * 10.0 ** np.array(exponents)
    found = column_basis(scaled)
    assert found.kept.tolist() == column_basis(plain).kept.tolist()
    assert found.kept.size == 4


@pytest.mark.parametrize(("columns", "kept"), DEPENDENT.values(), ids=DEPENDENT)
def test_the_basis_is_orthogonal_and_triangular(columns, kept):
    del kept
    X = np.column_stack(columns)
    found = column_basis(X)
    T = found.to_basis
    np.testing.assert_array_equal(np.tril(T, -1), 0)
    Q = X[:, found.kept] @ T
    # columns as close as 1e-5 keep 1e-6 of orthogonality; the kernel needs no more
    np.testing.assert_allclose(Q.T @ Q, len(X) * np.eye(found.kept.size), atol=1e-5 * len(X))


def test_more_columns_than_rows_keep_as_many_as_there_are_rows():
    X = np.random.default_rng(1).normal(size=(4, 7))
    assert column_basis(X).kept.tolist() == [0, 1, 2, 3]
    X[:, 1] = 3 * X[:, 0]
    assert column_basis(X).kept.tolist() == [0, 2, 3, 4]


def test_no_columns():
    found = column_basis(np.empty((5, 0)))
    assert found.kept.size == 0
    assert found.to_basis.shape == (0, 0)
