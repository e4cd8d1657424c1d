"""Polynomials grown on a box: exact where the function is one, and honest about their error."""

import numpy as np

from hierbayes.linalg.sparse_grid import basis, grown, leja_points


def largest(coefficients):
    return np.abs(coefficients).max(axis=1)


def test_basis_functions_are_one_at_their_own_point_and_zero_at_those_before():
    degrees = np.array([[0, 0], [3, 0], [2, 1], [3, 2]])
    at_own = basis(leja_points()[degrees], degrees)
    np.testing.assert_allclose(np.diag(at_own), 1.0)
    np.testing.assert_allclose(at_own[np.triu_indices(4, 1)], 0.0, atol=1e-14)


def test_a_polynomial_is_found_again():
    def values(x):
        return np.column_stack([(1 + 0.3 * x[:, 0]) ** 3 * (2 - x[:, 1]), x[:, 1] ** 2 - x[:, 0]])

    found = grown(values, 2, size=largest, enough=1e-10, most=200)
    x = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(found.at(x), values(x), atol=1e-9)
    assert found.error <= 1e-10


def test_the_error_is_about_what_it_says_and_costs_little_along_what_hardly_bends():
    asked = []

    def values(x):
        asked.append(x.shape[0])
        return (np.exp(0.3 * x[:, 0] + 0.1 * x[:, 1]) / (2.2 + x[:, 2]))[:, None]

    found = grown(values, 3, size=largest, enough=1e-6, most=1000, at_once=2)
    x = np.random.default_rng(2).uniform(-1, 1, (500, 3))
    assert np.abs(found.at(x) - values(x)).max() < 1e-5
    assert sum(asked) - 500 < 250
    assert found.degrees[:, 1].max() < found.degrees[:, 2].max()


def test_a_function_with_a_corner_is_given_up_after_the_points_allowed():
    found = grown(lambda x: np.abs(x - 0.3), 1, size=largest, enough=1e-9, most=20)
    assert found.error > 1e-3
    assert found.degrees.shape[0] < 25
