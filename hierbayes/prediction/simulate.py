"""Responses drawn from a fitted model: new random effects, new residuals."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.gaussian.residual.root import coloured
from hierbayes.intervals.resampling import drawn_responses
from hierbayes.options import SimulatedGroups, check_count, check_option, random_generator
from hierbayes.prediction.simulate_rows import check_determined, simulate_rows
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit


def changes_something(
    newdata: Any = None, parameters: Any = None, groups: SimulatedGroups = "new"
) -> bool:
    """Whether other rows, parameters or effects are asked for than a plain simulation has."""
    check_option("groups", groups, SimulatedGroups)
    return newdata is not None or parameters is not None or groups != "new"


def simulate(
    fit: LinearFit, *, nsim: int = 1, random_seed: Any = None, **changes: Any
) -> pd.DataFrame:
    """Draw responses with the estimates taken as true; other rows or parameters by ``changes``.

    Parameters
    ----------
    fit : LinearFit
    nsim : int
        Number of responses.
    random_seed : int, Generator or SeedSequence
    **changes
        ``newdata``, ``parameters`` and ``groups`` as of ``simulate_rows``.

    Returns
    -------
    pandas.DataFrame
        Shape (n, nsim), columns ``sim_1`` ..., response units. Each column has its own draw of
        every random effect.
    """
    if changes_something(**changes):
        return simulate_rows(fit, nsim=nsim, random_seed=random_seed, **changes)
    check_count("nsim", nsim)
    check_determined(fit)
    rng = random_generator(random_seed)
    y = np.repeat(fit.fixed_part[:, None], nsim, axis=1)
    for factor, root in zip(fit.design.factors, fit.effect_roots, strict=True):
        b = factor.spread(rng.standard_normal((nsim, factor.levels.size, root.shape[1]))) @ root.T
        y += np.einsum("nq,snq->ns", factor.z, b[:, factor.codes])
    numbers = rng.standard_normal(y.shape)
    if fit.residual is not None:
        y += fit.sigma * coloured(fit.spec.residuals, fit.residual.phi, numbers)
    else:
        sd = fit.sigma if fit.weights is None else (fit.sigma / np.sqrt(fit.weights))[:, None]
        y += sd * numbers
    names = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(y, index=fit.design.row_labels, columns=names)


def simulate_generalised(
    fit: GeneralisedFit,
    *,
    nsim: int = 1,
    random_seed: Any = None,
    some_missing: bool = False,
    **changes: Any,
) -> pd.DataFrame:
    """Draw responses of a generalised fit; the arguments are those of ``simulate``.

    Of ``cbind(successes, failures)`` the successes, of proportions proportions: what ``refit``
    takes. With ``some_missing`` responses of impossible means are NaN.

    Raises
    ------
    DataError
        If some means are impossible.
    """
    if changes_something(**changes):
        return simulate_rows(fit, nsim=nsim, random_seed=random_seed, **changes)
    check_count("nsim", nsim)
    rng = random_generator(random_seed)
    y = drawn_responses(fit, nsim, rng, some_missing=some_missing) + fit.first_category
    if fit.response_family.counts_trials and fit.design.y.ndim == 1:
        y = y / fit.row_parameters["trials"][:, None]
    names = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(y, index=fit.design.row_labels, columns=names)
