"""Residuals by simulation: where each response lies among responses the model would have given.

The scaled residual of a row is the share of its simulated responses below the observed one, equal
ones broken at random. If the model is right it is uniform between 0 and 1, whatever the family.
Simulated responses have new random effects, so rows of one level share what the level does.

Source: Dunn & Smyth (1996), J. Comput. Graph. Stat. 5:236 (randomised quantile residuals).
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import DataError
from hierbayes.options import check_count, random_generator
from hierbayes.prediction.simulate import simulate_generalised
from hierbayes.prediction.simulate_rows import simulate_rows
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit

FEWEST = 20  # simulated data sets from which a share says something


@record(kw_only=False)
class SimulatedResiduals:
    """Scaled residuals and what they come from.

    Attributes
    ----------
    scaled : array, shape (n,), uniform on (0, 1) under the model
    expected : array, shape (n,), mean simulated response
    simulated : array, shape (n, nsim), responses; NaN where a new group has an impossible mean,
        which the others leave out
    observed : array, shape (n,)
    """

    scaled: FloatArray
    expected: FloatArray
    simulated: FloatArray
    observed: FloatArray

    @property
    def complete(self) -> FloatArray:
        """The simulated data sets in which no mean is impossible, (n, m)."""
        return self.simulated[:, ~np.isnan(self.simulated).any(axis=0)]


def simulated_residuals(fit: Fit, nsim: int = 250, random_seed: Any = None) -> SimulatedResiduals:
    """Compute scaled residuals from simulated responses.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
        A posterior simulates each response with parameters of a draw of its own.
    nsim : int
        Simulated responses a row.
    random_seed : int, Generator or SeedSequence

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> from hierbayes.checks.simulated_residuals import simulated_residuals
    >>> simulated_residuals(fit, random_seed=1).scaled.shape
    (30,)
    """
    check_count("nsim", nsim, least=FEWEST)
    rng = random_generator(random_seed)
    if isinstance(fit, LinearFit):
        frame = fit.representing.simulate(int(nsim), rng)
    elif isinstance(fit, GeneralisedFit):
        frame = simulate_generalised(fit, nsim=int(nsim), random_seed=rng, some_missing=True)
    else:
        assert isinstance(fit, PosteriorFit)
        frame = simulate_rows(fit, nsim=int(nsim), groups="new", random_seed=rng, some_missing=True)
    simulated = frame.to_numpy(dtype=np.float64)
    y = fit.design.y
    observed = np.asarray(y if y.ndim == 1 else y[:, 0], dtype=np.float64)
    drawn = (~np.isnan(simulated)).sum(axis=1)
    if not drawn.all():
        row, family = fit.design.row_labels[int(np.argmin(drawn))], fit.response_family
        raise DataError(
            f"Nothing can be simulated for row {row!r}: with family={family.name!r}, "
            f"link={family.link.name!r} the means of new groups there are impossible."
        )
    below = (simulated < observed[:, None]).sum(axis=1)
    equal = (simulated == observed[:, None]).sum(axis=1)
    scaled = (below + rng.random(observed.size) * (equal + 1)) / (drawn + 1)
    return SimulatedResiduals(scaled, np.nanmean(simulated, axis=1), simulated, observed)
