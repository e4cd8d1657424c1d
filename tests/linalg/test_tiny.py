"""One small matrix in Python's own numbers, held against LAPACK."""

import numpy as np
import pytest

from hierbayes.linalg.tiny import TINY, cholesky_of_one, inverse_of_one, is_tiny, triangle_of_one


@pytest.mark.parametrize("q", range(1, TINY + 1))
def test_factor_inverse_and_triangle_are_those_of_lapack(q: int) -> None:
    rng = np.random.default_rng(q)
    root = rng.standard_normal((q, q + 2)) * np.geomspace(1e-4, 1e3, q)[:, None]
    A = root @ root.T
    L = cholesky_of_one(A[None])
    assert L.shape == (1, q, q)
    np.testing.assert_allclose(L[0], np.linalg.cholesky(A), rtol=1e-12)
    np.testing.assert_allclose(inverse_of_one(L)[0] @ L[0], np.eye(q), atol=1e-10)
    np.testing.assert_array_equal(np.triu(inverse_of_one(L[0]), 1), 0.0)
    np.testing.assert_allclose(triangle_of_one(L[0].tolist(), [0.0] * q), L[0], rtol=1e-12)


@pytest.mark.parametrize("wrong", [[[0.0]], [[1.0, 2.0], [2.0, 1.0]], [[np.nan]]])
def test_what_is_not_positive_definite_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        cholesky_of_one(np.array(wrong))


def test_a_row_of_which_nothing_is_left_is_turned_into_later_columns() -> None:
    root = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 1.0, 2.0]])
    L = triangle_of_one(root.tolist(), [1e-12] * 3)
    np.testing.assert_allclose(L @ L.T, root @ root.T, atol=1e-12)
    assert L[1, 1] == 0.0
    np.testing.assert_array_equal(np.triu(L, 1), 0.0)


def test_only_one_matrix_of_a_few_rows_is_tiny() -> None:
    assert is_tiny(np.eye(TINY)[None])
    assert not is_tiny(np.eye(TINY + 1))
    assert not is_tiny(np.zeros((2, 2, 2)))
