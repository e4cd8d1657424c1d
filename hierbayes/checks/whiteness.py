"""Whether the correlation of residuals in a model leaves nothing of that in the data.

Normalised residuals of a series, u = K^-1 (y - X beta - Z b) with R = K K', are independent but for
what the estimates of beta and b take of them: at the variances of the fit

    Cov(u) / sigma^2 = I - A~ M^-1 A~',    A~ = K^-1 [X Z],

with M the matrix of the mixed model's equations. With few rows of a series beside a random
intercept neighbours are expected at -0.3, say; the autocorrelation at each lag is held against
that, and the lag is told where it is farthest off. A lag that the correlation of the model follows
is nearer than chance would have it, so that the bounds are wide rather than narrow.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3.3 (the bounds).
"""

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.checks.autocorrelation import pairs_at, series_of_rows
from hierbayes.gaussian.residual.root import whitened
from hierbayes.prediction.prediction_variance import row_images
from hierbayes.results.linear_fit import LinearFit

ALPHA = 0.05  # of all lags together
LAGS = 4
FEWEST = 20  # pairs of rows from which a lag says something


@record
class Whiteness:
    """The lag at which an autocorrelation is farthest from that expected where the model holds.

    Attributes
    ----------
    lag, n_pairs : which one, of how many pairs of rows
    found, expected : autocorrelations
    reach : how far from the expected one it may be, the number of lags considered
    """

    lag: int
    n_pairs: int
    found: float
    expected: float
    reach: float


def whiteness(fit: LinearFit) -> Whiteness | None:
    """Hold what is left of autocorrelations against what is expected; None without pairs.

    The fit has correlated residuals whose term says where in its series a row is.
    """
    assert fit.residual is not None
    rows = series_of_rows(fit, None)
    lags = [(lag, *pairs_at(rows, lag)) for lag in range(1, LAGS + 1)]
    lags = [one for one in lags if one[1].size >= FEWEST]
    if not lags:
        return None
    u = fit.residuals("normalized").to_numpy(dtype=np.float64)
    phi = fit.residual.phi
    X = whitened(fit.spec.residuals, phi, fit.design.X[:, fit.kept])
    zs = [whitened(fit.spec.residuals, phi, factor.z) for factor in fit.design.factors]
    taken = row_images(fit, X, zs).relative
    quantile = float(ndtri(1 - ALPHA / 2 / len(lags)))
    tested = []
    for lag, first, second in lags:
        # both are of one level: the square of the sum of two rows says their product
        beside = np.zeros(fit.nobs, dtype=np.intp)
        beside[first] = second
        sums = row_images(fit, X + X[beside], [z + z[beside] for z in zs]).relative[first]
        products = (sums - taken[first] - taken[second]) / 2
        tested.append(
            Whiteness(
                lag=lag,
                n_pairs=first.size,
                found=_ratio(u[first] * u[second], u**2),
                expected=_ratio(-products, 1 - taken),
                reach=quantile / float(np.sqrt(first.size)),
            )
        )
    return max(tested, key=lambda one: abs(one.found - one.expected) / one.reach)


def _ratio(products: FloatArray, squares: FloatArray) -> float:
    return float(products.mean() / squares.mean())
