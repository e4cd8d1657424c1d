"""Responses drawn from a fitted model: new random effects, new residuals."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.capabilities import not_supported
from hierbayes.intervals.resampling import drawn_responses
from hierbayes.options import check_count, random_generator
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit


def simulate(fit: LinearFit, *, nsim: int = 1, random_seed: Any = None) -> pd.DataFrame:
    """Draw responses on the rows used, with the estimates taken as true.

    Parameters
    ----------
    fit : LinearFit
    nsim : int
        Number of responses.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    pandas.DataFrame
        Shape (n, nsim), columns ``sim_1`` ..., response units. Each column has its own draw of
        every random effect.
    """
    check_count("nsim", nsim)
    if np.isnan(fit.deviance):
        raise not_supported("responses-undetermined", note=fit.undetermined_note)
    rng = random_generator(random_seed)
    y = np.repeat(fit.fixed_part[:, None], nsim, axis=1)
    for factor, root in zip(fit.design.factors, fit.effect_roots, strict=True):
        b = rng.standard_normal((nsim, factor.levels.size, root.shape[1])) @ root.T
        y += np.einsum("nq,snq->ns", factor.z, b[:, factor.codes])
    sd = fit.sigma if fit.weights is None else (fit.sigma / np.sqrt(fit.weights))[:, None]
    y += sd * rng.standard_normal(y.shape)
    names = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(y, index=fit.design.row_labels, columns=names)


def simulate_generalised(
    fit: GeneralisedFit, *, nsim: int = 1, random_seed: Any = None, some_missing: bool = False
) -> pd.DataFrame:
    """Draw responses of a generalised fit; the arguments are those of ``simulate``.

    Of ``cbind(successes, failures)`` the successes, of proportions proportions: what ``refit``
    takes. With ``some_missing`` responses of impossible means are NaN.

    Raises
    ------
    DataError
        If some means are impossible.
    """
    check_count("nsim", nsim)
    rng = random_generator(random_seed)
    y = drawn_responses(fit, nsim, rng, some_missing=some_missing) + fit.first_category
    if fit.response_family.counts_trials and fit.design.y.ndim == 1:
        y = y / fit.row_parameters["trials"][:, None]
    names = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(y, index=fit.design.row_labels, columns=names)
