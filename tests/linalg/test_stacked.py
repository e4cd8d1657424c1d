"""Stacks of small matrices against numpy's one at a time, below and above the unrolled sizes."""

import tracemalloc

import numpy as np
import pytest

from hierbayes.linalg.stacked import (
    FEW,
    UNROLLED,
    Triangles,
    cholesky_stack,
    inverse_and_log_det,
    inverse_of_triangles,
    inverse_stack,
    log_det_stack,
    sandwich,
    solve_lower_stack,
    solve_upper_stack,
    transposed_product,
)

SIZES = range(1, UNROLLED + 3)
ATOL = 1e-11


@pytest.fixture(params=[(q, J) for q in SIZES for J in (6, FEW)])
def stack(request):
    """Positive-definite matrices (2, J, q, q), their factors and right sides (2, J, q, 3)."""
    q, J = request.param
    rng = np.random.default_rng(q)
    root = rng.normal(size=(2, J, q, q + 2))
    A = root @ np.swapaxes(root, -1, -2)
    return A, np.linalg.cholesky(A), rng.normal(size=(2, J, q, 3))


def test_cholesky(stack):
    A, L, _ = stack
    np.testing.assert_allclose(cholesky_stack(A), L, atol=ATOL)
    np.testing.assert_allclose(cholesky_stack(A[0]), L[0], atol=ATOL)


@pytest.mark.parametrize("entry", [-1.0, np.nan])
@pytest.mark.parametrize("J", [1, FEW])
@pytest.mark.parametrize("q", SIZES)
def test_a_stack_with_one_indefinite_matrix_has_no_factor(q, J, entry):
    A = np.stack([np.eye(q)] * J + [np.diag([*np.ones(q - 1), entry])])
    with pytest.raises(np.linalg.LinAlgError):
        cholesky_stack(A)


@pytest.mark.parametrize("J", [1, FEW + 1])
def test_inverses_of_triangles_keep_the_unit_of_each_row(J):
    L = np.array([[1e-8, 0.0, 0.0], [3.0, 1e5, 0.0], [1e12, -1e3, 1e-3]])
    expected = [[1e8, 0.0, 0.0], [-3e3, 1e-5, 0.0], [-(1e20 + 3e6) * 1e3, 10.0, 1e3]]
    np.testing.assert_allclose(inverse_of_triangles(np.stack([L] * J))[-1], expected, rtol=1e-14)


def test_triangular_solves(stack):
    _, L, B = stack
    np.testing.assert_allclose(solve_lower_stack(L, B), np.linalg.solve(L, B), atol=ATOL)
    upper = np.swapaxes(L, -1, -2)
    np.testing.assert_allclose(solve_upper_stack(L, B), np.linalg.solve(upper, B), atol=ATOL)


def test_right_sides_without_a_batch_axis_serve_every_batch_entry(stack):
    _, L, B = stack
    for solve in (solve_lower_stack, solve_upper_stack):
        np.testing.assert_allclose(solve(L, B[0])[1], solve(L[1], B[0]), atol=ATOL)
        np.testing.assert_allclose(solve(L, B[:1])[1], solve(L[1], B[0]), atol=ATOL)


def test_right_sides_are_not_changed(stack):
    A, L, B = stack
    before = A.copy(), L.copy(), B.copy()
    cholesky_stack(A), solve_lower_stack(L, B), solve_upper_stack(L, B), inverse_stack(L)
    for now, was in zip((A, L, B), before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_inverse_and_log_det(stack):
    A, L, _ = stack
    np.testing.assert_allclose(
        inverse_stack(L) @ A, np.broadcast_to(np.eye(len(A[0, 0])), A.shape), atol=1e-9
    )
    np.testing.assert_allclose(log_det_stack(L), np.linalg.slogdet(A)[1].sum(axis=-1), rtol=1e-12)


@pytest.mark.parametrize("q", [1, 2, 4])
@pytest.mark.parametrize("T", [3, 3 * FEW])
def test_inverses_and_log_dets_of_few_and_of_many_matrices(q, T):
    half = np.random.default_rng(q).normal(size=(T, q, q + 2))
    A = half @ half.swapaxes(1, 2)
    inverse, log_det = inverse_and_log_det(A)
    np.testing.assert_allclose(inverse, np.linalg.inv(A), rtol=1e-9, atol=ATOL)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(A)[1], rtol=1e-12, atol=ATOL)
    if T > FEW:
        A[-1] = -A[-1]
        with pytest.raises(np.linalg.LinAlgError):
            inverse_and_log_det(A)


def test_transposed_product(stack):
    A, _, B = stack
    np.testing.assert_allclose(transposed_product(A, B), np.swapaxes(A, -1, -2) @ B, atol=ATOL)


@pytest.mark.parametrize("a", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_sandwich(a, b):
    rng = np.random.default_rng(1)
    A, left, right = (
        rng.normal(size=(6, a, b)),
        rng.normal(size=(2, a, a)),
        rng.normal(size=(2, b, b)),
    )
    expected = [[left[t].T @ A[j] @ right[t] for j in range(6)] for t in range(2)]
    np.testing.assert_allclose(sandwich(A, left, right), expected, atol=ATOL)


def test_matrices_without_rows_have_solutions_without_rows():
    nothing = np.empty((3, 0, 0))
    assert solve_lower_stack(nothing, np.empty((3, 0, 2))).shape == (3, 0, 2)
    assert solve_upper_stack(nothing, np.empty((3, 0, 2))).shape == (3, 0, 2)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_inverses_of_triangles_keep_their_digits_beside_a_row_in_another_unit(unit):
    """A general inverse loses four of them, and searches on it never settled."""
    L = np.array([[1e-4, 0, 0, 0], [3e-5, 2e-3, 0, 0], [0.7, -0.2, 1.1, 0], [4e5, 2e6, -3e3, 2.0]])
    rows = np.array([1.0, 1.0, 1.0, unit])
    found = inverse_of_triangles(rows[:, None] * L) * rows
    np.testing.assert_allclose(found, inverse_of_triangles(L), rtol=1e-13)
    assert (np.abs(L @ found - np.eye(4)) < 1e-14 * (np.abs(L) @ np.abs(found)))[
        np.tril_indices(4)
    ].all()


@pytest.mark.parametrize("q", SIZES)
def test_sandwich_of_diagonal_roots(q):
    rng = np.random.default_rng(q)
    A = rng.normal(size=(5, q, q))
    left, right = (np.eye(q) * rng.normal(size=(2, 1, q)) for _ in range(2))
    expected = np.einsum("tac,jab,tbd->tjcd", left, A, right)
    np.testing.assert_allclose(sandwich(A, left, right), expected, atol=ATOL)


@pytest.mark.parametrize("correlated", [False, True])
def test_many_variance_parameters_take_no_more_room_than_their_blocks(correlated):
    q, T = 40, 20  # q^4 numbers a batch entry were 0.4 GB, and most of the time of sampling
    rng = np.random.default_rng(1)
    A = rng.normal(size=(3, q, q))
    roots = rng.normal(size=(T, q, q)) if correlated else np.eye(q) * rng.normal(size=(T, 1, q))
    tracemalloc.start()
    try:
        size = sandwich(A, roots, roots).nbytes
        assert tracemalloc.get_traced_memory()[1] < 6 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("inverted", [True, False])
def test_triangles_solve_as_substitution_does(stack, inverted):
    _, L, B = stack
    triangles = Triangles(L, inverted=inverted)
    np.testing.assert_allclose(triangles.solve(B), solve_lower_stack(L, B), atol=ATOL)
    np.testing.assert_allclose(triangles.solve_transposed(B), solve_upper_stack(L, B), atol=ATOL)
