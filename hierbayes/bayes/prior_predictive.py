"""Parameters and responses drawn from the priors: what a model believes before it sees data."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import IntArray
from hierbayes.bayes.predictive import fitted_predictor, flat_draws, row_blocks
from hierbayes.bayes.prior_draws import prior_draws
from hierbayes.bayes.response import Response
from hierbayes.design.design import Design
from hierbayes.families.observations import checked_observations
from hierbayes.naming.variable_names import OBS
from hierbayes.options import check_count, random_generator
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.idata import dataset, labels_of, parameter_variables
from hierbayes.specification.specification import Specification

if TYPE_CHECKING:
    from xarray import DataTree


def prior_predictive(spec: Specification, *, draws: int, random_seed: Any) -> "DataTree":
    """Return a DataTree with the groups prior, prior_predictive and observed_data.

    Raises
    ------
    NotSupportedError
        If a prior is flat, or responses of the family can't be drawn.
    """
    import xarray as xr

    check_count("draws", draws)
    design, kept, priors, family = spec.design, spec.kept_columns, spec.priors, spec.family
    rng = random_generator(random_seed)
    drawn = prior_draws(design, priors, like=_empty(design, kept, priors, draws), rng=rng)
    flat = flat_draws(drawn, design)
    observed = checked_observations(design, family)
    y, trials, weights = observed, None, design.weights
    if family.counts_trials:
        y, trials, weights = observed[:, 0], observed[:, 1], None
    elif design.known_sd is not None:
        weights = design.known_sd**-2.0
    response = Response(family=family, y=y, trials=trials, weights=weights)
    X = design.X[:, kept]
    values = np.empty((draws, y.size))
    for rows in row_blocks(draws, y.size):
        eta = fitted_predictor(flat, design, X, rows)
        values[:, rows] = response.draw(eta, flat, rows, rng)
    labels = labels_of(design, kept)
    groups = {
        "prior": dataset(parameter_variables(drawn, labels), labels),
        "prior_predictive": xr.Dataset({labels.response: (("chain", "draw", OBS), values[None])}),
        "observed_data": xr.Dataset({labels.response: (OBS, y)}),
    }
    return xr.DataTree.from_dict(groups)


def _empty(design: Design, kept: IntArray, priors: ModelPriors, draws: int) -> PosteriorDraws:
    """Draws of the right shapes, to be filled."""
    one = (1, draws)
    sizes = {f.name: (f.levels.size, f.z.shape[1]) for f in design.factors}
    correlated = {design.factors[t.factor].name for t in design.terms if len(t.columns) > 1}
    return PosteriorDraws(
        beta=np.zeros((*one, kept.size)),
        sigma=None if priors.sigma is None else np.zeros(one),
        sd={name: np.zeros((*one, q)) for name, (_, q) in sizes.items()},
        corr={name: np.zeros((*one, q, q)) for name, (_, q) in sizes.items() if name in correlated},
        b={name: np.zeros((*one, J, q)) for name, (J, q) in sizes.items()},
        family={name: np.zeros(one) for name in priors.family},
        sampler="prior",
    )
