"""The Laplace approximation of a generalised model's likelihood, with its exact gradient.

With the mode u of ``pirls.py``, H = Lambda'Z'WZ Lambda + I there and W the observed curvature,

    -2 log L = 2 h(u) + log det H.

Both u and H move with the parameters. With c = W' q / 2 for the slopes W' of W in eta and the
variances q = diag(Z Lambda H^-1 Lambda'Z'), v = H^-1 Lambda'Z'c and s = Z Lambda v (and, where beta
is profiled, the same of u and beta together), half the derivative of -2 log L is

    beta    X'r,   r = c - g - W s
    Lambda  sum over levels of  Z_j'r u_j' + (Z'WZ Lambda H^-1)_j + Z_j'g v_j'
    phi     sum over rows of  s g_phi + q W_phi / 2 - l_phi

since du/dbeta = -H^-1 Lambda'Z'WX, and so on (implicit differentiation of h'(u) = 0).

Source: Skaug & Fournier (2006), Comput. Stat. Data Anal. 51:699; Kristensen et al. (2016), J. Stat.
Softw. 70(5).
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.marginal import squares_of, times
from hierbayes.generalised.pirls import Mode, inner
from hierbayes.linalg.stacked import summed_products


@record(kw_only=False)
class Criterion:
    """-2 log-likelihood by Laplace at a mode, and its derivatives.

    Gradients are ordered beta, theta, phi, in the basis of the search.
    """

    mode: Mode

    @cached_property
    def value(self) -> float:
        """-2 log-likelihood, with all constants."""
        return 2.0 * self.mode.h + float(self.mode.factor.log_det[0])

    @cached_property
    def variances(self) -> FloatArray:
        """Posterior variance of each row's eta given the parameters, (n,)."""
        mode = self.mode
        return mode.model.levels.row_variances(mode.factor, mode.Lambdas)

    @cached_property
    def _slopes(self) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """Return r and s (n,) of the module's header, and per factor D (1, q, q)."""
        mode, model = self.mode, self.mode.model
        found = mode.densities
        assert found.weight_slope is not None
        c = 0.5 * found.weight_slope * self.variances
        v, along = mode.solve(mode.spherical(c[:, None]), (model.X.T @ c)[:, None])
        s = mode.rows(v)[:, 0] + (model.X @ along)[:, 0]
        r = c - found.slope - found.weight * s
        right = model.levels.sums_of(np.column_stack([r, found.slope]))
        return r, s, slopes_in_Lambda(right, v, u=mode.u, traces=mode.factor.trace_blocks())

    @property
    def covariance_slopes(self) -> list[FloatArray]:
        """Half the derivative in Lambda, per factor (1, q, q)."""
        return self._slopes[2]

    @cached_property
    def gradient(self) -> FloatArray:
        """Derivative of the value in (beta, theta, phi); that in beta is 0 where profiled."""
        mode, model = self.mode, self.mode.model
        r, s, D = self._slopes
        along_beta = np.zeros_like(mode.beta) if mode.profiled else 2 * model.X.T @ r
        along_theta = slopes_in_theta(model.basis_shape, mode.theta, D)
        along_phi = []
        for which in range(mode.phi.size):
            d = model.in_parameter(mode.eta, mode.phi, which)
            along_phi.append(
                2 * float((s * d.slope + 0.5 * self.variances * d.weight - d.value).sum())
            )
        return np.concatenate([along_beta, along_theta, along_phi])

    @cached_property
    def curvature(self) -> FloatArray:
        """Approximate second derivative: that of the working linear model, at fixed weights."""
        mode, shape = self.mode, self.mode.model.basis_shape
        slopes = [dL[0] for dL in shape.slopes(mode.theta[None])]
        out = self.curvature_along(slopes)
        p, k, _ = mode.model.sizes
        if k:
            squares = squares_of(shape, mode.theta[None], mode.Lambdas, self.covariance_slopes)
            out[p : p + k, p : p + k] += squares[0]
        return out

    def curvature_along(self, slopes: Sequence[FloatArray]) -> FloatArray:
        """Approximate second derivative in (beta, k coordinates of Lambda, phi).

        Parameters
        ----------
        slopes : per factor, array (k, q, q), the derivative of Lambda in these coordinates

        Returns
        -------
        array, shape (p + k + d, p + k + d)
            Without the term of the squares, which is that of the covariance's curvature.
        """
        mode, model = self.mode, self.mode.model
        p, k, d = model.sizes
        out = np.zeros((p + k + d, p + k + d))
        out[:p, :p] = 2 * mode.information
        if k:
            out[p : p + k, p : p + k] = self._average_information(slopes)
        for which in range(d):
            bend = model.in_parameter(mode.eta, mode.phi, which).bend
            out[p + k + which, p + k + which] = 2 * abs(float(bend.sum()))
        return out

    def _average_information(self, slopes: Sequence[FloatArray]) -> FloatArray:
        """Average information of the working model, (k, k)."""
        mode, model = self.mode, self.mode.model
        pull = model.levels.sums_of(mode.densities.slope[:, None])
        directions = []
        for Lambda, slope, u, h in zip(mode.Lambdas, slopes, mode.u, pull, strict=True):
            moved = np.einsum("kab,ja->jbk", slope, h[0, :, :, 0])
            own = np.einsum("kab,jb->jak", slope, u[0, :, :, 0])
            directions.append(own[None] + times(Lambda, moved[None]))
        rows = model.levels.rows_of(directions)
        weighted = mode.densities.weight[:, None] * rows
        half = mode.factor.half_solve(mode.spherical(weighted))
        return np.asarray(rows.T @ weighted - inner(half, half))


def slopes_in_Lambda(
    right: Sequence[FloatArray],
    v: Sequence[FloatArray],
    *,
    u: Sequence[FloatArray],
    traces: Sequence[FloatArray],
) -> list[FloatArray]:
    """Return the sums over levels of the module's header, right = Z'[r g], per factor (T, q, q)."""
    return [
        summed_products(z[..., :1], b) + trace + summed_products(z[..., 1:], x)
        for z, b, trace, x in zip(right, u, traces, v, strict=True)
    ]


def slopes_in_theta(
    shape: CovarianceShape, theta: FloatArray, slopes: Sequence[FloatArray]
) -> FloatArray:
    """Return the derivative in theta (k,) from half that in Lambda, per factor (1, q, q)."""
    found = np.zeros(theta.size)
    for D, dL in zip(slopes, shape.slopes(theta[None]), strict=True):
        found += 2 * np.einsum("ab,kab->k", D[0], dL[0])
    return found
