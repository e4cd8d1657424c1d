"""Average information of one factor by sums over levels, beside dense matrices."""

import numpy as np

from hierbayes.gaussian.entry_information import entry_information


def test_sums_over_levels_are_the_dense_products():
    rng = np.random.default_rng(3)
    T, J, q, n_rows = 2, 4, 3, 5
    Z = rng.normal(size=(J, n_rows, q))
    Lambda = np.tril(rng.normal(size=(T, q, q)))
    u, h = rng.normal(size=(2, T, J, q))
    A = np.swapaxes(Z, 1, 2) @ Z
    M = np.swapaxes(Lambda, 1, 2)[:, None] @ A @ Lambda[:, None] + np.eye(q)
    found = entry_information(A, Lambda, np.linalg.inv(M), u=u, h=h)
    for t in range(T):
        root = Lambda[t] @ Lambda[t].T
        expected = np.zeros((q * q, q * q))
        for j in range(J):
            P = Z[j].T @ np.linalg.solve(np.eye(n_rows) + Z[j] @ root @ Z[j].T, Z[j])
            s = [
                np.eye(q)[r] * u[t, j, c] + Lambda[t][:, c] * h[t, j, r]
                for r, c in np.ndindex(q, q)
            ]
            expected += np.array(s) @ P @ np.array(s).T
        np.testing.assert_allclose(found[t].reshape(q * q, q * q), expected, rtol=1e-12)
