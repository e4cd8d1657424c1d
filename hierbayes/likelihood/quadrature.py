"""Adaptive Gauss-Hermite quadrature of one grouping factor, with its exact gradient.

The levels of one factor are independent given the parameters. With the mode u_j and H_j = L L' of
``laplace.py`` the nodes t of the product rule of K points a column (up to three columns) lie at
u_jt = u_j + R_j t with R_j = L^-T, and

    -2 log L = sum_j  log det H_j - 2 log sum_t w_t exp(t't / 2 - h_j(u_jt)),

where the weights w_t are those of the standard normal density. One point is Laplace. With p_jt the
parts of the sum, g_jt the gradients of h_j at the nodes, half the derivative of this goes through

    the nodes' place    e_j = sum_t p_jt g_jt,   which moves with u_j,
    their scale         M_j = R_j' sum_t p_jt g_jt t',  with d R = -R Phi(R' dH R),

where Phi keeps the upper triangle and half the diagonal. So half the derivative in H_j is
H_j^-1 / 2 - R_j sym(Phi(M_j)) R_j', which takes the place of H^-1 / 2 in ``laplace.py``, and the
pull of u_j gets e_j besides.

Source: Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4:12; Liu & Pierce (1994), Biometrika
81:624.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.weighted import to_effects
from hierbayes.generalised.conditional import Densities
from hierbayes.generalised.level_integrals import rule
from hierbayes.likelihood.laplace import Criterion, slopes_in_theta
from hierbayes.linalg.stacked import inverse_of_triangles

MOST_COLUMNS = 3


@record
class Nodes:
    """The nodes at every level.

    Attributes
    ----------
    places : array, shape (J, q, N), spherical effects
    standard : array, shape (q, N)
    log_weights : array, shape (N,), with t't / 2 added
    scale : R, array (J, q, q)
    eta : array, shape (n, N)
    densities : of each row and node
    log_parts : array, shape (J, N), logs of the parts of each level's sum
    """

    places: FloatArray
    standard: FloatArray
    log_weights: FloatArray
    scale: FloatArray
    eta: FloatArray
    densities: Densities
    log_parts: FloatArray


@record(kw_only=False)
class Quadrature(Criterion):
    """-2 log-likelihood by ``n_points`` a column."""

    n_points: int

    @cached_property
    def nodes(self) -> Nodes:
        """Where the likelihood of each level is evaluated."""
        mode, model = self.mode, self.mode.model
        levels = model.levels
        J, q = levels.n_levels[0], levels.z[0].shape[0]
        t, log_weights = rule(self.n_points, q)
        scale = np.swapaxes(inverse_of_triangles(_level_roots(self)), 1, 2)
        places = mode.u[0][0] + scale @ t
        base = model.offset + model.X @ mode.beta
        eta = base[:, None] + levels.rows_of(to_effects(mode.Lambdas, [places[None]]))
        densities = model.densities(eta, mode.phi)
        log_density = np.column_stack(
            [
                np.bincount(levels.codes[0], weights=column, minlength=J)
                for column in densities.value.T
            ]
        )
        log_parts = log_density - 0.5 * (places**2).sum(axis=1) + log_weights
        return Nodes(
            places=places,
            standard=t,
            log_weights=log_weights,
            scale=scale,
            eta=eta,
            densities=densities,
            log_parts=log_parts,
        )

    @cached_property
    def _log_sums(self) -> FloatArray:
        parts = self.nodes.log_parts
        top = parts.max(axis=1)
        return np.asarray(top + np.log(np.exp(parts - top[:, None]).sum(axis=1)))

    @cached_property
    def value(self) -> float:
        """-2 log-likelihood, with all constants."""
        return float(self.mode.factor.log_det[0]) - 2.0 * float(self._log_sums.sum())

    @cached_property
    def shares(self) -> FloatArray:
        """Part of each node in its level's sum, (J, N)."""
        return np.asarray(np.exp(self.nodes.log_parts - self._log_sums[:, None]))

    @cached_property
    def _pulls(self) -> tuple[FloatArray, FloatArray]:
        """Return e (J, q) of the module's header, and half the derivative in H, (J, q, q)."""
        mode, nodes = self.mode, self.nodes
        pulled = mode.model.levels.sums_of(nodes.densities.slope)
        Lambda = mode.Lambdas[0][0]
        slope = nodes.places - np.swapaxes(Lambda, 0, 1) @ pulled[0][0]
        weighted = slope * self.shares[:, None]
        e = weighted.sum(axis=2)
        M = np.swapaxes(nodes.scale, 1, 2) @ (weighted @ nodes.standard.T)
        kept = np.triu(M)
        symmetric = (kept + np.swapaxes(kept, 1, 2)) / 2
        symmetric -= 0.5 * M * np.eye(M.shape[1])
        R = nodes.scale
        inner = 0.5 * np.eye(M.shape[1]) - symmetric
        return e, R @ inner @ np.swapaxes(R, 1, 2)

    @cached_property
    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray, list[FloatArray]]:
        """Mean slopes of the rows (n,), s (n,), variances' twins (n,), and D (1, q, q)."""
        mode, model, nodes = self.mode, self.mode.model, self.nodes
        levels, codes = model.levels, model.levels.codes[0]
        found = mode.densities
        assert found.weight_slope is not None
        Lambda, (e, pull) = mode.Lambdas[0][0], self._pulls
        twice = levels.row_forms([Lambda @ pull @ Lambda.T], {})
        c = twice * found.weight_slope
        right = [mode.spherical(c[:, None])[0] + e[None, :, :, None]]
        v, _ = mode.solve(right, np.zeros((mode.beta.size, 1)))
        s = mode.rows(v)[:, 0]
        shares = self.shares[codes]
        mean_slope = (shares * nodes.densities.slope).sum(axis=1)
        moved = levels.sums_of(np.column_stack([c - found.weight * s, found.slope]))[0][0]
        D = np.einsum("jac,jbc->ab", moved, np.concatenate([mode.u[0][0], v[0][0]], axis=2))
        weighted = levels.sums_of(nodes.densities.slope * shares)[0][0]
        D = D - np.einsum("jan,jbn->ab", weighted, nodes.places)
        blocks = levels.level_blocks(found.weight)
        D = D + 2 * np.einsum("jab,bc,jcd->ad", blocks, Lambda, pull)
        return mean_slope, s, twice, [D[None]]

    @property
    def covariance_slopes(self) -> list[FloatArray]:
        """Half the derivative in Lambda, per factor (1, q, q)."""
        return self._parts[3]

    @cached_property
    def gradient(self) -> FloatArray:
        """Derivative of the value in (beta, theta, phi)."""
        mode, model, nodes = self.mode, self.mode.model, self.nodes
        mean_slope, s, twice, D = self._parts
        found = mode.densities
        assert found.weight_slope is not None
        r = twice * found.weight_slope - found.weight * s - mean_slope
        along_phi = []
        shares = self.shares[model.levels.codes[0]]
        for which in range(mode.phi.size):
            d = model.in_parameter(mode.eta, mode.phi, which)
            at_nodes = model.in_parameter(nodes.eta, mode.phi, which).value
            total = s * d.slope + twice * d.weight - (shares * at_nodes).sum(axis=1)
            along_phi.append(2 * float(total.sum()))
        along_theta = slopes_in_theta(model.basis_shape, mode.theta, D)
        return np.concatenate([2 * model.X.T @ r, along_theta, along_phi])


def _level_roots(at: Criterion) -> FloatArray:
    """Cholesky factors of H_j, (J, q, q)."""
    from hierbayes.gaussian.factor.nested import NestedFactor

    factor = at.mode.factor
    assert isinstance(factor, NestedFactor)
    return np.asarray(factor.L[0][0])
