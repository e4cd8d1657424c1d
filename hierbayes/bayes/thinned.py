"""Proposals of which those that would carry little weight are left out before they are weighed.

A draw of a mixture q is kept with probability a(x) = min(1, exp(s(x) - log q(x) - c)), never less
than a floor, where s is roughly the log density that is wanted: kept draws have the density
q(x) a(x) / Z, nearer to the one that is wanted than q is, so that weights are even and few
evaluations are lost. The floor bounds the price of a wrong s: no weight is larger than that under
q by more than its inverse. Z is the part that is kept, found from many draws that cost nothing.

Source: Liu, Chen & Wong (1998), J. Amer. Statist. Assoc. 93:1022 (rejection control).
"""

from collections.abc import Collection

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.mixture import TMixture
from hierbayes.bayes.surrogate import Surrogate, fitted_surrogate

FLOOR = 0.1
PARTS = (0.5, 0.33, 0.25)  # of the draws that are kept, those tried
TRIAL = 20_000  # draws that say how many are kept
WORTH = 1.05  # by how much the efficiency must rise
BISECTIONS = 40


@record(kw_only=False)
class Thinned:
    """A mixture, thinned.

    Attributes
    ----------
    mixture : what is drawn from
    surrogate : of the density that is wanted; None where every draw is kept
    threshold : c
    log_part : log Z
    log_part_mcse : its Monte-Carlo error
    """

    mixture: TMixture
    surrogate: Surrogate | None = None
    threshold: float = 0.0
    log_part: float = 0.0
    log_part_mcse: float = 0.0

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent points, shape (n, d)."""
        if self.surrogate is None:
            return self.mixture.draw(n, rng)
        kept: list[FloatArray] = []
        missing = n
        while missing > 0:
            x = self.mixture.draw(int(1.1 * missing * np.exp(-self.log_part)) + 20, rng)
            took = x[np.log(rng.random(x.shape[0])) < self.log_kept(x)]
            kept.append(took[:missing])
            missing -= kept[-1].shape[0]
        return np.concatenate(kept)

    def log_kept(self, x: FloatArray, log_mixture: FloatArray | None = None) -> FloatArray:
        """Log probability that draws x (N, d) of the mixture are kept, (N,)."""
        if self.surrogate is None:
            return np.zeros(x.shape[0])
        under = self.mixture.log_density(x) if log_mixture is None else log_mixture
        return log_kept(self.surrogate.log_density(x) - under, self.threshold)

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at points (N, d), shape (N,)."""
        under = self.mixture.log_density(x)
        return under + self.log_kept(x, under) - self.log_part


def log_kept(log_ratio: FloatArray, threshold: float) -> FloatArray:
    """Log of the probability by which a draw with this log ratio of densities is kept."""
    return np.clip(log_ratio - threshold, np.log(FLOOR), 0.0)


def thinned(
    mixture: TMixture,
    x: FloatArray,
    log_density: FloatArray,
    log_weights: FloatArray,
    tails: Collection[int],
    rng: np.random.Generator,
) -> Thinned:
    """Thin a mixture by what is known of the density at points (N, d), if that helps.

    Parameters
    ----------
    x, log_density : points and the log density that is wanted there
    log_weights : log of that over the density that the points were drawn from
    tails : coordinates that are logs of what may be zero
    """
    fitted = fitted_surrogate(x, log_density, log_weights, tails)
    if fitted is None:
        return Thinned(mixture)
    usable = np.isfinite(log_weights) & np.isfinite(fitted.left_out)
    under = mixture.log_density(x[usable])
    log_ratio = fitted.left_out[usable] - under
    weights, wanted = log_weights[usable], log_density[usable]
    # log of q over the density the points come from: sums over them are then means under q
    share = under - (wanted - weights)
    best, most = None, WORTH * _efficiency(wanted - under, np.zeros(under.size), share)
    for part in PARTS:
        threshold = _threshold(log_ratio, share, part)
        found = _efficiency(wanted - under, log_kept(log_ratio, threshold), share)
        if found > most:
            best, most = part, found
    if best is None:
        return Thinned(mixture)
    trial = mixture.draw(TRIAL, rng)
    ratio = fitted.surrogate.log_density(trial) - mixture.log_density(trial)
    threshold = _threshold(ratio, np.zeros(TRIAL), best)
    kept = np.exp(log_kept(ratio, threshold))
    part = float(kept.mean())
    mcse = float(kept.std() / part / np.sqrt(TRIAL))
    return Thinned(mixture, fitted.surrogate, threshold, float(np.log(part)), mcse)


def _efficiency(log_ratio: FloatArray, log_a: FloatArray, share: FloatArray) -> float:
    """Effective part of draws of q a / Z, log_ratio that of the wanted density and q.

    With f the density that is wanted it is (int f)^2 / (int f^2 / (q a) int q a).
    """
    share = np.exp(share - share.max())
    ratio = np.exp(log_ratio - log_ratio.max())
    a = np.exp(log_a)
    return float((share @ ratio) ** 2 / ((share @ (ratio**2 / a)) * (share @ a)))


def _threshold(log_ratio: FloatArray, share: FloatArray, part: float) -> float:
    """Find the threshold c at which this part of draws is kept."""
    weights = np.exp(share - share.max())
    weights /= weights.sum()
    top = float(log_ratio.max())
    ratio = np.exp(log_ratio - top)
    low, high = float(log_ratio.min()) - 1.0, top - np.log(FLOOR) + 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if weights @ np.clip(ratio * np.exp(min(top - middle, 700.0)), FLOOR, 1.0) > part:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
