"""Sparse Cholesky against dense algebra: the factor, solves, and the inverse on the pattern."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from hierbayes.linalg import sparse_cholesky
from hierbayes.linalg.elimination import Pattern, TooManyEntriesError, pattern_of, positions
from hierbayes.linalg.minimum_degree import minimum_degree

RTOL = 1e-10  # other order of operations on well-conditioned matrices: rounding only
PLENTY = 10**9


@dataclass(frozen=True)
class Case:
    """A positive-definite matrix with blocks of columns, and its sparse factor."""

    dense: np.ndarray
    rows: np.ndarray  # entries on the pattern of the matrix
    columns: np.ndarray
    place: np.ndarray  # position of each column in the order of elimination
    pattern: Pattern
    at: np.ndarray
    L: np.ndarray


def graph_of(adjacent) -> tuple[np.ndarray, np.ndarray]:
    """Starts and neighbours of a symmetric 0/1 matrix without its diagonal."""
    found = sparse.csr_array(adjacent)
    found.setdiag(0)
    found.eliminate_zeros()
    return found.indptr.astype(np.int64), found.indices.astype(np.int64)


def random_graph(rng, n: int, density: float) -> np.ndarray:
    lower = np.tril(rng.random((n, n)) < density, -1)
    return lower | lower.T


def case_of(rng, adjacent, weights) -> Case:
    """A random matrix on the graph: node i stands for ``weights[i]`` columns."""
    node = np.repeat(np.arange(weights.size), weights)
    inside = np.concatenate([np.arange(w) for w in weights])
    filled = (adjacent | np.eye(weights.size, dtype=bool))[np.ix_(node, node)]
    dense = rng.normal(size=filled.shape) * filled
    dense = dense + dense.T
    np.fill_diagonal(dense, np.abs(dense).sum(axis=1) + rng.uniform(0.1, 10, node.size))
    pattern = pattern_of(*graph_of(adjacent), weights, largest=PLENTY)
    place = pattern.place[node] + inside
    rows, columns = np.nonzero(filled)
    at = positions(pattern.panels, place[rows], place[columns])
    L = sparse_cholesky.factorise(pattern, at, dense[rows, columns])
    return Case(dense, rows, columns, place, pattern, at, L)


def check_against_dense(case: Case) -> None:
    x = np.random.default_rng(5).normal(size=(case.place.size, 3))
    solved = np.linalg.solve(case.dense, x)
    ordered = np.empty_like(x)
    ordered[case.place] = x
    sparse_cholesky.half_solve(case.pattern, case.L, ordered)
    np.testing.assert_allclose(ordered.T @ ordered, x.T @ solved, rtol=RTOL, atol=1e-12)
    sparse_cholesky.back_solve(case.pattern, case.L, ordered)
    np.testing.assert_allclose(ordered[case.place], solved, rtol=RTOL, atol=1e-12)

    expected = np.linalg.slogdet(case.dense)[1]
    assert sparse_cholesky.log_det(case.pattern, case.L) == pytest.approx(expected, rel=RTOL)

    inverse = np.linalg.inv(case.dense)[case.rows, case.columns]
    found = sparse_cholesky.selected_inverse(case.pattern, case.L)[case.at]
    np.testing.assert_allclose(found, inverse, rtol=RTOL, atol=1e-12)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    density=st.sampled_from([0.0, 0.03, 0.1, 0.4, 1.0]),
    widest=st.integers(1, 3),
)
def test_factor_solves_and_selected_inverse_are_the_dense_ones(seed, n, density, widest):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, widest + 1, n)
    check_against_dense(case_of(rng, random_graph(rng, n, density), weights))


@pytest.mark.parametrize("blocks", [1, 3])
def test_matrices_with_wide_panels_and_long_rows_are_handled_by_blas_alike(blocks):
    rng = np.random.default_rng(8)
    n = 500
    adjacent = random_graph(rng, n, 0.012)
    adjacent[-60:, -60:] = ~np.eye(60, dtype=bool)
    case = case_of(rng, adjacent, np.full(n, blocks))
    widths = np.diff(case.pattern.panels.first)
    assert widths.max() > 50
    assert np.diff(case.pattern.panels.row_start).max() > 100
    check_against_dense(case)


def test_a_crossing_of_two_factors_has_an_exact_inverse_on_its_pattern():
    rng = np.random.default_rng(2)
    meets = rng.random((300, 80)) < 0.03
    adjacent = np.block([[np.zeros((300, 300)), meets], [meets.T, np.zeros((80, 80))]]).astype(bool)
    check_against_dense(case_of(rng, adjacent, np.repeat([2, 1], [300, 80])))


def test_a_column_joined_to_very_many_others_keeps_its_digits():
    # two columns with an entry 0.49 beside each of n pivots 10.8: what is left after eliminating
    # these is (98001 - n c) on the diagonal and -n c beside it, with c = 0.49^2 / 10.8
    n, pivot, beside, own = 200_000, 10.8, 0.49, 98001.0
    adjacent = sparse.block_array([[None, np.ones((n, 2))], [np.ones((2, n)), None]])
    pattern = pattern_of(*graph_of(adjacent), np.ones(n + 2, dtype=np.int64), largest=PLENTY)
    rows = np.concatenate([np.arange(n + 2), np.repeat([n, n + 1], n)])
    columns = np.concatenate([np.arange(n + 2), np.arange(n), np.arange(n)])
    values = np.repeat([pivot, own, beside], [n, 2, 2 * n])
    at = positions(pattern.panels, pattern.place[rows], pattern.place[columns])
    L = sparse_cholesky.factorise(pattern, at, values)
    c = n * beside**2 / pivot
    expected = n * np.log(pivot) + np.log(own - 2 * c) + np.log(own)
    assert sparse_cholesky.log_det(pattern, L) == pytest.approx(expected, rel=1e-14)
    inverse = sparse_cholesky.selected_inverse(pattern, L)[at[n : n + 2]]
    np.testing.assert_allclose(inverse, (own - c) / own / (own - 2 * c), rtol=1e-14)
    x = np.ones((n + 2, 1))
    sparse_cholesky.half_solve(pattern, L, x)
    last = x[np.sort(pattern.place[n:])]
    left = 1 - n * beside / pivot  # of the right side of both columns
    assert last.T @ last == pytest.approx(2 * left**2 / (own - 2 * c), rel=1e-14)


def test_a_matrix_that_is_not_positive_definite_is_refused():
    rng = np.random.default_rng(3)
    case = case_of(rng, random_graph(rng, 20, 0.2), np.ones(20, dtype=np.int64))
    values = case.dense[case.rows, case.columns]
    values[case.rows == case.columns] -= 2 * np.linalg.eigvalsh(case.dense)[0]
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        sparse_cholesky.factorise(case.pattern, case.at, -values)
    values[0] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        sparse_cholesky.factorise(case.pattern, case.at, values)


def test_a_factor_beyond_the_limit_is_refused_before_it_is_made():
    adjacent = ~np.eye(30, dtype=bool)
    graph, weights = graph_of(adjacent), np.ones(30, dtype=np.int64)
    assert pattern_of(*graph, weights, largest=30 * 29 // 2).n_entries <= 30 * 30
    with pytest.raises(TooManyEntriesError):
        pattern_of(*graph, weights, largest=30 * 29 // 2 - 1)


# the order of elimination


def fill(adjacent, order) -> int:
    """Entries that elimination in this order adds below the diagonal."""
    filled = adjacent[np.ix_(order, order)].copy()
    before = filled.sum() // 2
    for k in range(len(order)):
        below = k + 1 + np.flatnonzero(filled[k + 1 :, k])
        filled[np.ix_(below, below)] = True
    np.fill_diagonal(filled, False)
    return np.tril(filled, -1).sum() - before


def order_of(adjacent, weights=None):
    n = len(adjacent)
    weights = np.ones(n, dtype=np.int64) if weights is None else weights
    order = minimum_degree(*graph_of(adjacent), weights)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    return order


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60))
def test_a_tree_is_eliminated_without_fill(seed, n):
    rng = np.random.default_rng(seed)
    adjacent = np.zeros((n, n), dtype=bool)
    label = rng.permutation(n)
    for i in range(1, n):
        j = rng.integers(0, i)
        adjacent[label[i], label[j]] = adjacent[label[j], label[i]] = True
    assert fill(adjacent, order_of(adjacent)) == 0


@given(seed=st.integers(0, 10**6), n=st.integers(2, 60), density=st.sampled_from([0.02, 0.08, 0.3]))
def test_the_order_fills_in_about_as_little_as_exact_minimum_degree(seed, n, density):
    rng = np.random.default_rng(seed)
    adjacent = random_graph(rng, n, density)
    filled, left, exact = adjacent.copy(), list(range(n)), []
    while left:
        pivot = min(left, key=lambda i: filled[i, left].sum())
        left.remove(pivot)
        exact.append(pivot)
        around = [i for i in left if filled[i, pivot]]
        filled[np.ix_(around, around)] = True
        np.fill_diagonal(filled, False)
    total = adjacent.sum() // 2
    found, best = fill(adjacent, order_of(adjacent)), fill(adjacent, exact)
    assert found + total <= 1.3 * (best + total) + 3


def test_the_columns_of_a_node_count():
    # a path a - b - c and a - c through d: both ends of degree two, but b stands for ten columns
    adjacent = np.zeros((4, 4), dtype=bool)
    for i, j in [(0, 1), (1, 2), (2, 3), (3, 0)]:
        adjacent[i, j] = adjacent[j, i] = True
    assert order_of(adjacent, np.array([1, 10, 1, 1]))[0] in (1, 3)


def test_a_node_joined_to_nearly_all_others_comes_last():
    rng = np.random.default_rng(4)
    n = 400
    adjacent = random_graph(rng, n, 0.005)
    adjacent[7, :] = adjacent[:, 7] = True
    adjacent[7, 7] = False
    assert order_of(adjacent)[-1] == 7
