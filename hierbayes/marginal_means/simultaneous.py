"""The largest of several correlated t statistics: multivariate t adjustment, exactly.

Let T_i = Z_i / s with Z ~ N(0, R), R = A A' of rank r (rows of A of length one) and df s^2 ~
chi2_df. In polar coordinates Z = rho A omega, omega uniform on the sphere of r dimensions, and
rho^2 / (r s^2) ~ F(r, df), so

    P(max |T_i| > c) = E_omega P(F(r, df) > c^2 / (r h^2)),   h = max_i |a_i omega|,

and the same with h = max_i a_i omega for one-sided tests. The radius is integrated in closed form
for any df, and dependent contrasts (R singular) are no special case. What is left is a mean over
directions: two points of a line, equally spaced angles of a circle, and a lattice on a sphere.

Source: Genz & Bretz (2009), Computation of Multivariate Normal and t Probabilities, section 4.1
(spherical-radial transformation); Roberts (2018) and Niederreiter (1992) (the lattice).
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, chdtr, chdtrc, fdtr, fdtrc, ndtr, stdtr

from hierbayes.arrays import FloatArray, record

# Directions smaller than this part of the largest are dependent contrasts' rounding.
DEPENDENT = 1e-7
N_ANGLES = 2**13  # of a half circle: their error, by kinks of the integrand, is below 1e-7
LOG2_DIRECTIONS = 14  # of half a sphere, in each scrambling
N_HEIGHTS = 4097  # at which the tail of the radius is tabulated; linear between them: 1e-8
N_SCRAMBLES = (
    8  # whose means are averaged; by seeds 0, 1 ..., so the directions are always the same
)
CONVERGED = 1e-8  # relative error of a quantile
FARTHEST = 1e6  # a quantile beyond it is none that a test would have


@record
class LargestStatistic:
    """The distribution of the largest of correlated statistics.

    Attributes
    ----------
    count : number of statistics c
    rank : dimensions r of them
    two_sided : whether it is the largest size, or the largest value
    highest : array, shape (N,), h of the header, of each direction
    surplus : array, shape (N_HEIGHTS,), mean number of statistics but the largest at each height
    """

    count: int
    rank: int
    two_sided: bool
    highest: FloatArray
    surplus: FloatArray

    @classmethod
    def of(cls, root: FloatArray, *, two_sided: bool) -> "LargestStatistic":
        """Make it of statistics (c,) whose covariance is ``root root'``, root (c, k)."""
        unit = root / np.sqrt((root**2).sum(axis=1))[:, None]
        left, size, _ = np.linalg.svd(unit, full_matrices=False)
        rank = int((size > DEPENDENT * size[0]).sum())
        highest, surplus = [], []
        for omega in _directions(rank):
            heights = omega @ (left[:, :rank] * size[:rank]).T
            heights = np.abs(heights) if two_sided else heights
            highest.append(heights.max(axis=1))
            surplus.append(_spread(heights.ravel()) - _spread(highest[-1]))
        largest = np.concatenate(highest)
        return cls(
            count=root.shape[0],
            rank=rank,
            two_sided=two_sided,
            highest=largest,
            surplus=np.sum(surplus, axis=0) / largest.size,
        )

    def tail(self, c: float, df: float) -> float:
        """P(largest > c).

        Good to 1e-8 of two independent statistics, to 1e-5 of three, and to 1e-4 in families of
        thirty (c above 2.5). The sum of all c single tails is exact, so only what that counts twice
        is a mean over directions, and it vanishes far out.
        """
        if c <= 0:
            return 1.0 if self.two_sided else self._lower_tail(c, df)
        h = np.linspace(0.0, 1.0, N_HEIGHTS)
        ratio = c**2 / np.maximum(h, h[1] / 2) ** 2
        r = self.rank
        over = chdtrc(r, ratio) if np.isinf(df) else fdtrc(r, df, ratio / r)
        over[0] = 0.0
        single = ndtr(-c) if np.isinf(df) else stdtr(df, -c)
        exact = self.count * single * (2 if self.two_sided else 1)
        return float(np.clip(exact - self.surplus @ over, 0.0, 1.0))

    def _lower_tail(self, c: float, df: float) -> float:
        h, r = self.highest, self.rank
        ratio = c**2 / np.where(h == 0, np.inf, h**2)
        under = chdtr(r, ratio) if np.isinf(df) else fdtr(r, df, ratio / r)
        return float(np.where(h < 0, under, 1.0).mean())

    def quantile(self, level: float, df: float) -> float:
        """Return c with P(largest > c) = 1 - level, for a level above a half."""
        high = 4.0
        while self.tail(high, df) > 1 - level and high < FARTHEST:
            high *= 2
        low = 1e-3 if self.two_sided else 0.0
        return float(brentq(lambda c: self.tail(c, df) - (1 - level), low, high, rtol=CONVERGED))


def _spread(heights: FloatArray) -> FloatArray:
    """Spread heights linearly over the places of the table; those below 0 to the first."""
    place = np.clip(heights, 0.0, 1.0) * (N_HEIGHTS - 1)
    below = np.minimum(place.astype(np.intp), N_HEIGHTS - 2)
    part = place - below
    found = np.bincount(below, 1 - part, N_HEIGHTS)
    return np.asarray(found + np.bincount(below + 1, part, N_HEIGHTS))


def _directions(rank: int) -> Iterator[FloatArray]:
    """Points that fill a sphere evenly, in parts (N, rank), with each its opposite."""
    if rank == 1:
        yield np.array([[1.0], [-1.0]])
        return
    if rank == 2:
        angle = (np.arange(2 * N_ANGLES) + 0.5) * (np.pi / N_ANGLES)
        yield np.column_stack([np.cos(angle), np.sin(angle)])
        return
    from scipy.stats.qmc import Sobol  # scipy.stats takes long to import

    for seed in range(N_SCRAMBLES):
        points = Sobol(rank - 1, rng=seed).random_base2(LOG2_DIRECTIONS)
        half = _on_sphere(points)
        yield np.concatenate([half, -half])


def _on_sphere(points: FloatArray) -> FloatArray:
    """Points of a sphere (N, r), evenly, from points of a unit cube (N, r - 1)."""
    rank = points.shape[1] + 1
    out, left = np.empty((points.shape[0], rank)), np.ones(points.shape[0])
    for j in range(rank - 2):  # a coordinate of a point on a sphere is a beta variable
        half = (rank - j - 1) / 2
        along = 2 * betaincinv(half, half, points[:, j]) - 1
        out[:, j] = along * left
        left = left * np.sqrt(np.maximum(1 - along**2, 0.0))
    turn = 2 * np.pi * points[:, -1]
    out[:, -2], out[:, -1] = left * np.cos(turn), left * np.sin(turn)
    return out
