"""Laplace's approximation for a batch of responses, with its exact gradient: ``laplace.py`` T-fold.

The formulas, and their symbols, are those of ``laplace.py``; every array has an axis of the batch.
"""

from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.marginal import squares_of, times
from hierbayes.generalised.many_modes import ManyModes
from hierbayes.likelihood.laplace import slopes_in_Lambda


@record(kw_only=False)
class ManyCriteria:
    """-2 log-likelihood of every entry at its mode; derivatives in (beta, theta, phi)."""

    modes: ManyModes

    @cached_property
    def value(self) -> FloatArray:
        """-2 log-likelihoods, (T,)."""
        factor, T = self.modes.factor, self.modes.h.size
        log_det = np.broadcast_to(factor.log_det, (T,))
        return np.asarray(2.0 * self.modes.h + log_det)

    @cached_property
    def variances(self) -> FloatArray:
        """Posterior variance of each row's eta given the parameters, (n, T)."""
        modes = self.modes
        if not modes.Lambdas:
            return np.zeros(modes.eta.shape)
        return modes.rows.weights.row_variances(modes.factor, modes.Lambdas)

    @cached_property
    def _slopes(self) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """Return r and s (n, T), and per factor D (T, q, q)."""
        modes, found = self.modes, self.modes.densities
        assert found.weight_slope is not None
        c = 0.5 * found.weight_slope * self.variances
        v = modes.factor.back_solve(modes.factor.half_solve(modes.spherical(c[:, :, None])))
        s = modes.along_rows(v, 1)[:, :, 0]
        r = c - found.slope - found.weight * s
        right = modes.rows.weights.sums_of(np.stack([r, found.slope], axis=2))
        traces = modes.factor.trace_blocks()
        return r, s, slopes_in_Lambda(right, v, u=modes.u, traces=traces)

    @property
    def covariance_slopes(self) -> list[FloatArray]:
        """Half the derivative in Lambda, per factor (T, q, q)."""
        return self._slopes[2]

    @cached_property
    def gradient(self) -> FloatArray:
        """Derivatives of the values in (beta, theta, phi), (T, m)."""
        modes, model = self.modes, self.modes.rows.model
        r, s, D = self._slopes
        along_theta = np.zeros(modes.theta.shape)
        for slope, dL in zip(D, model.basis_shape.slopes(modes.theta), strict=True):
            along_theta += 2 * np.einsum("tab,tkab->tk", slope, dL)
        along_phi = np.zeros(modes.phi.shape)
        for which in range(modes.phi.shape[1]):
            d = modes.rows.in_parameter(modes.eta, modes.phi, which)
            total = s * d.slope + 0.5 * self.variances * d.weight - d.value
            along_phi[:, which] = 2 * total.sum(axis=0)
        return np.concatenate([2 * r.T @ model.X, along_theta, along_phi], axis=1)

    @cached_property
    def information(self) -> FloatArray:
        """X'WX less what u explains, (T, p, p)."""
        modes, X = self.modes, self.modes.rows.model.X
        weighted = modes.densities.weight[:, :, None] * X[:, None]
        whole = np.tensordot(weighted, X, axes=(0, 0))
        return whole - self._inner(modes.factor.half_solve(modes.spherical(weighted)))

    def _inner(self, half: list[FloatArray]) -> FloatArray | float:
        """Return h'h of vectors (T, J, q, c), summed over factors: (T, c, c)."""
        flat = (h.reshape(h.shape[0], h.shape[1] * h.shape[2], h.shape[3]) for h in half)
        return sum((np.swapaxes(h, 1, 2) @ h for h in flat), start=0.0)

    @cached_property
    def curvature(self) -> FloatArray:
        """Approximate second derivatives, those of the working linear models: (T, m, m)."""
        modes, model = self.modes, self.modes.rows.model
        p, k, d = model.sizes
        out = np.zeros((modes.h.size, p + k + d, p + k + d))
        out[:, :p, :p] = 2 * self.information
        if k:
            out[:, p : p + k, p : p + k] = self._theta_curvature()
        for which in range(d):
            bend = modes.rows.in_parameter(modes.eta, modes.phi, which).bend
            out[:, p + k + which, p + k + which] = 2 * np.abs(bend.sum(axis=0))
        return out

    def _theta_curvature(self) -> FloatArray:
        """Average information of the working models plus the term of the squares, (T, k, k)."""
        modes, shape = self.modes, self.modes.rows.model.basis_shape
        pull = modes.rows.weights.sums_of(modes.densities.slope[:, :, None])
        directions = []
        for Lambda, slope, u, h in zip(
            modes.Lambdas, shape.slopes(modes.theta), modes.u, pull, strict=True
        ):
            moved = np.einsum("tkab,tja->tjbk", slope, h[..., 0])
            own = np.einsum("tkab,tjb->tjak", slope, u[..., 0])
            directions.append(own + times(Lambda, moved))
        rows = modes.rows.weights.rows_of(directions, (modes.h.size, shape.n_theta))
        weighted = modes.densities.weight[:, :, None] * rows
        half = modes.factor.half_solve(modes.spherical(weighted))
        whole = np.moveaxis(rows, 1, 0).swapaxes(1, 2) @ np.moveaxis(weighted, 1, 0)
        squares = squares_of(shape, modes.theta, modes.Lambdas, self.covariance_slopes)
        return np.asarray(whole - self._inner(half) + squares)
