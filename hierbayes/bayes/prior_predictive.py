"""Parameters and responses drawn from the priors: what a model believes before it sees data."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, fitted_predictor, flat_draws, row_blocks
from hierbayes.bayes.prior_draws import prior_draws
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.bayes.response import observed_response
from hierbayes.design.design import Design
from hierbayes.errors import DesignWarning
from hierbayes.families.mean_ends import link_with_means, mean_ends
from hierbayes.families.observations import checked_observations
from hierbayes.naming.variable_names import OBS
from hierbayes.options import check_count, random_generator
from hierbayes.priors.model_priors import priors_table
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.idata import dataset, labels_of, parameter_variables
from hierbayes.specification.specification import Specification
from hierbayes.wording import warn

if TYPE_CHECKING:
    from xarray import DataTree


LOOKED_AT = 1000  # impossible responses from which a prior is blamed
HALF = 0.5  # of them with an impossible mean, from which it is a prior of the predictor


def prior_predictive(spec: Specification, *, draws: int, random_seed: Any) -> "DataTree":
    """Return a DataTree with the groups prior, prior_predictive and observed_data.

    Responses that can't be, of means that are impossible or beyond all numbers, are missing; a
    warning says how many, and which prior has most of the blame.

    Raises
    ------
    NotSupportedError
        If a prior is flat.
    """
    import xarray as xr

    found = prior_responses(spec, draws=draws, random_seed=random_seed)
    labels = labels_of(spec.design, spec.kept_columns, spec.kept_of, spec.visits)
    groups = {
        "prior": dataset(parameter_variables(found.parameters, labels), labels),
        "prior_predictive": xr.Dataset(
            {labels.response: (("chain", "draw", OBS), found.responses[None])}
        ),
        "observed_data": xr.Dataset({labels.response: (OBS, found.observed)}),
    }
    return xr.DataTree.from_dict(groups)


@record
class PriorResponses:
    """Draws of the priors: parameters, responses (S, n), and the observed response (n,)."""

    parameters: PosteriorDraws
    responses: FloatArray
    observed: FloatArray


def prior_responses(spec: Specification, *, draws: int, random_seed: Any) -> PriorResponses:
    """Return what ``prior_predictive`` does, as arrays."""
    check_count("draws", draws)
    design, kept, priors = spec.design, spec.kept_columns, spec.priors
    rng = random_generator(random_seed)
    drawn = prior_draws(design, priors, like=_empty(spec, draws), rng=rng)
    flat = flat_draws(drawn, design)
    response, is_correlated = observed_response(spec), design.residual is not None
    X, n = design.X[:, kept], design.X.shape[0]
    values = np.empty((draws, n))
    for rows in row_blocks(draws, n):
        values[:, rows] = eta = fitted_predictor(flat, design, X, rows)
        if not is_correlated:
            values[:, rows] = response.draw(eta, flat, rows, rng, some_missing=True)
    if is_correlated:
        values += residual_draws(spec, flat).drawn(rng)
    warn_of_impossible(spec, flat, np.isnan(values))
    y = response.y
    assert y is not None
    return PriorResponses(parameters=drawn, responses=values, observed=y + response.first)


def warn_of_impossible(spec: Specification, flat: FlatDraws, missing: BoolArray) -> None:
    """Warn of draws of the prior that have no response, ``missing`` (S, n)."""
    if not missing.any():
        return
    family = spec.family
    draws, rows = np.nonzero(missing)
    few = np.linspace(0, draws.size - 1, min(draws.size, LOOKED_AT)).astype(np.intp)
    names = _blamed(spec, flat, draws[few], rows[few])
    prior = ""
    if names:
        table = priors_table(spec.priors, spec.design).set_index("parameter")["prior"]
        prior = f", mostly by the prior of {names}: {table[names]}"
    other = link_with_means(family)
    link = f" link={other!r} has a mean everywhere." if mean_ends(family) and other else ""
    warn(
        f"{100 * missing.mean():.2g} % of the responses drawn from the prior are missing: "
        f"family={family.name!r}, link={family.link.name!r} has no response there, as its mean is "
        f"impossible or it is beyond all numbers{prior}. Give a narrower prior, for example "
        f'priors={{"{names or "b"}": ...}}.{link}',
        DesignWarning,
    )


def _blamed(spec: Specification, flat: FlatDraws, draws: IntArray, rows: IntArray) -> str:
    """Name the parameter whose part of eta is largest there; a further one where eta is none."""
    design, priors, kept = spec.design, spec.priors, spec.kept_columns
    sizes: dict[str, float] = {}
    X, beta = design.X[rows][:, kept], flat.beta[draws]
    eta = (beta * X).sum(axis=1) + (0.0 if design.offset is None else design.offset[rows])
    parts = beta * (X - priors.centre)
    if priors.intercept is not None:
        parts[:, priors.intercept] = beta[:, priors.intercept] + beta @ priors.centre
    for parameter in priors.parameters:
        at = parameter.place
        if parameter.kind == "beta":
            sizes[parameter.name] = float(np.abs(parts[:, at[0]]).mean())
        elif parameter.kind == "sd":
            factor = design.factors[at[0]]
            b = flat.b[at[0]][draws, factor.codes[rows], at[1]] * factor.z[rows, at[1]]
            eta = eta + b
            sizes[parameter.name] = float(np.abs(b).mean())
    is_mean = ~spec.family.is_drawable(spec.family.mean(eta))
    if priors.family and is_mean.mean() < HALF:
        return next(iter(priors.family))
    return max(sizes, key=lambda name: sizes[name]) if sizes else ""


def _empty(spec: Specification, draws: int) -> PosteriorDraws:
    """Draws of the right shapes, to be filled."""
    priors, one = spec.priors, (1, draws)
    n_cuts = 0
    if spec.family.is_ordinal:
        n_cuts = int(checked_observations(spec.design, spec.family).max())
    own = _empty_predictor(spec.design, spec.kept_columns, draws)
    return replace(
        own,
        sigma=None if priors.sigma is None else np.zeros(one),
        family={
            name: np.zeros((*one, n_cuts) if name == "threshold" and n_cuts else one)
            for name in (*priors.family, *_visit_names(spec))
        },
        formulas={
            name: _empty_predictor(spec.design.of(name), kept, draws)
            for name, kept in spec.kept_of.items()
        },
    )


def _visit_names(spec: Specification) -> list[str]:
    """Name the correlations of the residuals of visits, which have one prior together."""
    if spec.priors.visits is None:
        return []
    return [name for name in spec.residuals.names if name not in spec.priors.family]


def _empty_predictor(design: Design, kept: IntArray, draws: int) -> PosteriorDraws:
    one = (1, draws)
    sizes = {f.name: (f.levels.size, f.z.shape[1]) for f in design.factors}
    correlated = {design.factors[t.factor].name for t in design.terms if len(t.columns) > 1}
    return PosteriorDraws(
        beta=np.zeros((*one, kept.size)),
        sigma=None,
        sd={name: np.zeros((*one, q)) for name, (_, q) in sizes.items()},
        corr={name: np.zeros((*one, q, q)) for name, (_, q) in sizes.items() if name in correlated},
        b={name: np.zeros((*one, J, q)) for name, (J, q) in sizes.items()},
        sampler="prior",
    )
