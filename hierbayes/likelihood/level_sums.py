"""Adaptive Gauss-Hermite quadrature of the finest grouping factor, and how its parts move.

Given all other parts of eta the levels of one factor are independent. With the mode v_j of the
effects of level j and H_j = L L' of ``laplace.py`` the nodes t of the product rule of K points a
column (up to three columns) lie at v_jt = v_j + R_j t with R_j = L^-T, and

    log I_j = log sum_t exp(l_jt) - log det H_j / 2,    l_jt = log w_t + t't / 2 - h_j(v_jt),

where the weights w_t are those of the standard normal density. The shares p_jt of the nodes in the
sum weigh the slopes g_it and curvatures W_it of the rows at the nodes.

``pulled_back`` goes the way backwards: from derivatives of anything in log I_j, p_jt, g_it and W_it
to those in eta without the levels' effects, Lambda and phi. Nodes move with their mode, which
moves by implicit differentiation of h_j'(v_j) = 0, and with their scale, d R = -R Phi(R' dH R),
where Phi keeps the upper triangle and half the diagonal.

Source: Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4:12; Liu & Pierce (1994), Biometrika
81:624; Griewank & Walther (2008), Evaluating Derivatives, SIAM, chapter 3 (the reverse mode).
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.weighted import to_effects
from hierbayes.generalised.conditional import Densities
from hierbayes.generalised.level_integrals import rule
from hierbayes.generalised.pirls import Mode
from hierbayes.linalg.stacked import inverse_of_triangles

MOST_COLUMNS = 3
MOST_POINTS = 100  # where an integrand of any use has long settled
MOST_EVALUATIONS = 2 * 10**7  # rows times nodes, 8 bytes each in every array of theirs


@record
class Nodes:
    """The nodes at every level.

    Attributes
    ----------
    places : array, shape (J, q, N), spherical effects
    standard : array, shape (q, N)
    scale : R, array (J, q, q)
    eta : array, shape (n, N)
    log_parts : l, array (J, N)
    densities : of each row and node
    """

    places: FloatArray
    standard: FloatArray
    scale: FloatArray
    eta: FloatArray
    log_parts: FloatArray
    densities: Densities


@record
class Pulled:
    """Derivatives in eta without the levels' effects (n,), Lambda (q, q) and phi (d,)."""

    base: FloatArray
    Lambda: FloatArray
    phi: FloatArray


@record(kw_only=False)
class LevelSums:
    """The integrals of all levels of the finest factor.

    Attributes
    ----------
    mode : of the effects of a model with that factor alone
    n_points : K
    """

    mode: Mode
    n_points: int

    @cached_property
    def nodes(self) -> Nodes:
        """Where the likelihood of each level is evaluated."""
        mode, model = self.mode, self.mode.model
        levels = model.levels
        t, log_weights = rule(self.n_points, levels.z[0].shape[0])
        scale = np.swapaxes(inverse_of_triangles(_level_roots(mode)), 1, 2)
        places = mode.u[0][0] + scale @ t
        base = model.offset + model.X @ mode.beta
        eta = base[:, None] + levels.rows_of(to_effects(mode.Lambdas, [places[None]]))
        densities = model.densities(eta, mode.phi)
        return Nodes(
            places=places,
            standard=t,
            scale=scale,
            eta=eta,
            log_parts=self.summed(densities.value) - 0.5 * (places**2).sum(axis=1) + log_weights,
            densities=densities,
        )

    def summed(self, rows: FloatArray) -> FloatArray:
        """Add rows (n, N) of each level up, (J, N)."""
        levels = self.mode.model.levels
        J, codes = levels.n_levels[0], levels.codes[0]
        return np.column_stack([np.bincount(codes, weights=x, minlength=J) for x in rows.T])

    @cached_property
    def _log_sums(self) -> FloatArray:
        parts = self.nodes.log_parts
        top = parts.max(axis=1)
        return np.asarray(top + np.log(np.exp(parts - top[:, None]).sum(axis=1)))

    @cached_property
    def total(self) -> float:
        """Sum of log I_j."""
        return float(self._log_sums.sum()) - 0.5 * float(self.mode.factor.log_det[0])

    @cached_property
    def shares(self) -> FloatArray:
        """Part p of each node in its level's sum, (J, N)."""
        return np.asarray(np.exp(self.nodes.log_parts - self._log_sums[:, None]))

    @cached_property
    def row_shares(self) -> FloatArray:
        """Shares beside the rows, (n, N)."""
        return np.asarray(self.shares[self.mode.model.levels.codes[0]])

    @cached_property
    def mean_slope(self) -> FloatArray:
        """Slopes of the rows, averaged over the nodes, (n,)."""
        return np.asarray((self.row_shares * self.nodes.densities.slope).sum(axis=1))

    @cached_property
    def mean_weight(self) -> FloatArray:
        """Curvatures of the rows, averaged over the nodes, (n,)."""
        return np.asarray((self.row_shares * self.nodes.densities.weight).sum(axis=1))

    @cached_property
    def _weight_slope(self) -> FloatArray:
        found = self.mode.model.densities(self.nodes.eta, self.mode.phi, order=3)
        assert found.weight_slope is not None
        return found.weight_slope

    def pulled_back(
        self,
        *,
        sums: float = 0.0,
        slope: FloatArray | None = None,
        weight: FloatArray | None = None,
        shares: FloatArray | None = None,
    ) -> Pulled:
        """Carry derivatives in the integrals and what goes with them back.

        Parameters
        ----------
        sums : derivative in each log I_j
        slope, weight : arrays, shape (n, N), derivatives in g and W at the nodes
        shares : array, shape (J, N), derivatives in p, times p
        """
        mode, nodes, levels = self.mode, self.nodes, self.mode.model.levels
        Lambda, found = mode.Lambdas[0][0], nodes.densities
        part = sums * self.shares
        if shares is not None:
            part = part + shares - self.shares * shares.sum(axis=1, keepdims=True)
        per_row = part[levels.codes[0]]
        rows = per_row * found.slope
        if slope is not None:
            rows = rows - slope * found.weight
        if weight is not None:
            rows = rows + weight * self._weight_slope
        pulled = levels.sums_of(rows)[0][0]
        toward = Lambda.T @ pulled - part[:, None] * nodes.places
        pull = self._into_curvature(toward, sums)

        own = mode.densities
        assert own.weight_slope is not None
        forms = levels.row_forms([Lambda @ pull @ Lambda.T], {})
        c = forms * own.weight_slope
        right = mode.spherical(c[:, None])[0] + toward.sum(axis=2)[None, :, :, None]
        v, _ = mode.solve([right], np.zeros((mode.beta.size, 1)))
        s = mode.rows(v)[:, 0]
        base = c - own.weight * s
        moved = levels.sums_of(np.column_stack([base, own.slope]))[0][0]
        D = np.einsum("jac,jbc->ab", moved, np.concatenate([mode.u[0][0], v[0][0]], axis=2))
        D = D + np.einsum("jan,jbn->ab", pulled, nodes.places)
        D = D + 2 * np.einsum("jab,bc,jcd->ad", levels.level_blocks(own.weight), Lambda, pull)
        phi = np.zeros(mode.phi.size)
        for i in range(phi.size):
            d = mode.model.in_parameter(mode.eta, mode.phi, i)
            phi[i] = (s * d.slope + forms * d.weight).sum()
            phi[i] += self._along_parameter(i, per_row, slope, weight)
        return Pulled(base=base + rows.sum(axis=1), Lambda=D, phi=phi)

    def _along_parameter(
        self, which: int, value: FloatArray, slope: FloatArray | None, weight: FloatArray | None
    ) -> float:
        """Add what derivatives in the fields of the densities at the nodes say of a parameter."""
        mode = self.mode
        at = mode.model.in_parameter(self.nodes.eta, mode.phi, which)
        total = float((value * at.value).sum())
        if slope is not None:
            total += float((slope * at.slope).sum())
        if weight is not None:
            total += float((weight * at.weight).sum())
        return total

    def _into_curvature(self, toward: FloatArray, sums: float) -> FloatArray:
        """Return derivatives in H (J, q, q) from those in the places of nodes (J, q, N)."""
        R = self.nodes.scale
        M = np.swapaxes(R, 1, 2) @ (toward @ self.nodes.standard.T)
        kept = np.triu(M)
        eye = np.eye(M.shape[1])
        symmetric = (kept + np.swapaxes(kept, 1, 2)) / 2 - 0.5 * M * eye
        return np.asarray(R @ (-0.5 * sums * eye - symmetric) @ np.swapaxes(R, 1, 2))


def _level_roots(mode: Mode) -> FloatArray:
    """Cholesky factors of H_j, (J, q, q)."""
    from hierbayes.gaussian.factor.nested import NestedFactor

    factor = mode.factor
    assert isinstance(factor, NestedFactor)
    return np.asarray(factor.L[0][0])
