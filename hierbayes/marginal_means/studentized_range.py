"""The studentized range: the largest difference of k means in units of their estimated error.

For k independent standard normals and s^2 ~ chi2_df / df,

    P(range / s < q) = int f_df(s) W(q s) ds,
    W(w) = k int phi(z) [Phi(z) - Phi(z - w)]^(k - 1) dz.

Both integrands are smooth and vanish at the ends (s on a log scale), so the trapezoidal rule is
exact to rounding with few nodes; all quantiles are found at once, a hundred times faster than by
adaptive quadrature.

Source: Copenhaver & Holland (1988), J. Stat. Comput. Simul. 30:1.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr

from hierbayes.arrays import FloatArray

Z = np.linspace(-8.0, 8.0, 129)  # beyond them phi is below 1e-14
N_S = 257  # nodes of log s
# The density of log s is below exp(-36) of its mode outside the range of nodes.
LOG_SMALL = 36.0
# Above it the error counts as known: what that changes, 1 / df, is less than rounding would.
LARGE_DF = 1e8
FIRST = 4.0  # where the search for a quantile begins
CONVERGED = 1e-11  # relative error of a quantile
SMALLEST = 1e-300  # of a tail whose log is taken


def range_sf(q: FloatArray, n_means: float, df: FloatArray) -> FloatArray:
    """P(range / s > q), shape (m,), for q and df of shape (m,); df may be infinite."""
    out = np.empty(q.shape)
    for i, (at, nu) in enumerate(zip(q, df, strict=True)):
        if nu >= LARGE_DF:
            out[i] = 1 - _normal_range(np.array([at]), n_means)[0]
            continue
        s, weight = _error_nodes(float(nu))
        out[i] = weight @ (1 - _normal_range(at * s, n_means))
    return np.clip(out, 0.0, 1.0)


def range_quantile(level: float, n_means: int, df: FloatArray) -> FloatArray:
    """Quantiles q with P(range / s < q) = level, shape (m,), for df of shape (m,)."""
    return np.array([_quantile(level, n_means, float(nu)) for nu in df])


def _quantile(level: float, n_means: int, df: float) -> float:
    """Root of the log of the tail in log q, where it is nearly linear."""
    nu, target = np.array([df]), np.log1p(-level)

    def excess(log_q: float) -> float:
        tail = range_sf(np.exp([log_q]), n_means, nu)[0]
        return float(np.log(max(tail, SMALLEST)) - target)

    low, high = np.log(FIRST), np.log(FIRST)
    while excess(high) > 0:
        low, high = high, high + 1.0
    while excess(low) < 0:
        low -= 1.0
    return float(np.exp(brentq(excess, low, high, xtol=CONVERGED, rtol=CONVERGED)))


def _error_nodes(df: float) -> tuple[FloatArray, FloatArray]:
    """Nodes of s and their probabilities, those of sqrt(chi2_df / df)."""
    half = np.sqrt(LOG_SMALL / df)
    t = np.linspace(-max(half, LOG_SMALL / df) - half, half, N_S)
    log_density = df * t - df / 2 * np.exp(2 * t) + df / 2 * np.log(df / 2) - gammaln(df / 2)
    weight = 2 * np.exp(log_density) * (t[1] - t[0])
    return np.exp(t), weight


def _normal_range(w: FloatArray, n_means: float) -> FloatArray:
    """W: probability that the range of k standard normals is below w, shape of w."""
    density = np.exp(-(Z**2) / 2) * ((Z[1] - Z[0]) / np.sqrt(2 * np.pi))
    inside = ndtr(Z) - ndtr(Z - w[:, None])
    return np.asarray(n_means * (inside ** (n_means - 1)) @ density)
