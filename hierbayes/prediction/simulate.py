"""Responses drawn from a fitted model: new random effects, new residuals."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.options import random_generator, shown
from hierbayes.results.likelihood_fit import LikelihoodFit


def simulate(fit: LikelihoodFit, *, nsim: int = 1, random_seed: Any = None) -> pd.DataFrame:
    """Draw responses on the rows used, with the estimates taken as true.

    Parameters
    ----------
    fit : LikelihoodFit
    nsim : int
        Number of responses.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    pandas.DataFrame
        Shape (n, nsim), columns ``sim_1`` ..., response units. Each column has its own draw of
        every random effect.
    """
    if not isinstance(nsim, (int, np.integer)) or isinstance(nsim, bool) or nsim < 1:
        raise OptionError(f"nsim={shown(nsim)} must be a whole number of at least 1.")
    if np.isnan(fit.deviance):
        raise not_supported("responses-undetermined", note=fit.undetermined_note)
    rng = random_generator(random_seed)
    y = np.repeat(fit.fixed_part[:, None], nsim, axis=1)
    # by theta, not by the factor the search ended with: a loaded fit draws the same numbers
    for factor, Lambda in zip(
        fit.design.factors, fit.kernel.shape.unpack(fit.representative[None]), strict=True
    ):
        root = fit.sigma * Lambda[0]
        b = rng.standard_normal((nsim, factor.levels.size, root.shape[1])) @ root.T
        y += np.einsum("nq,snq->ns", factor.z, b[:, factor.codes])
    sd = fit.sigma if fit.weights is None else (fit.sigma / np.sqrt(fit.weights))[:, None]
    y += sd * rng.standard_normal(y.shape)
    names = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(y, index=fit.design.row_labels, columns=names)
