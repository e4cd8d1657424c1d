"""Responses drawn for the rows used or for new ones, with the parameters of a fit or with others.

Every simulated response has parameters and random effects of its own:

============= ======================================= =========================================
``groups``    a level of the fit                      a level that was not fitted
============= ======================================= =========================================
"fitted"      its effects (of a posterior a draw)     drawn from the distribution of the effects
"new"         drawn from that distribution            drawn from that distribution
============= ======================================= =========================================

Rows of one level share its effects. A row whose level or predictor is missing has no response.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.bayes.predictive import FlatDraws, flat_draws, linear_predictor, row_blocks
from hierbayes.bayes.residual_draws import residual_draws
from hierbayes.bayes.response import Response, observed_response
from hierbayes.capabilities import not_supported
from hierbayes.design.design import NewRows
from hierbayes.design.new_data import new_rows, new_trials
from hierbayes.design.predictor import Predictor
from hierbayes.errors import DataError, OptionError
from hierbayes.families.observations import first_category, no_responses
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.gaussian.residual.root import coloured
from hierbayes.options import SimulatedGroups, check_count, check_option, random_generator
from hierbayes.prediction.given_parameters import (
    correlations,
    given_values,
    slots_of,
    with_parameters,
)
from hierbayes.prediction.posterior_predict import effects_of_levels, formulas_of_rows
from hierbayes.prediction.posterior_residuals import drawn_together
from hierbayes.prediction.predict import row_precisions, rows_used
from hierbayes.prediction.residual_rows import residual_rows_of
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.posterior_fit import PosteriorFit


def simulate_rows(
    fit: Fit,
    *,
    nsim: int = 1,
    newdata: Any = None,
    parameters: Any = None,
    groups: SimulatedGroups = "new",
    random_seed: Any = None,
    some_missing: bool = False,
) -> pd.DataFrame:
    """Draw responses; the arguments are those of ``simulate`` of a fit.

    With ``some_missing`` responses of impossible means are NaN.

    Returns
    -------
    pandas.DataFrame
        Shape (m, nsim), columns ``sim_1`` ...
    """
    check_count("nsim", nsim)
    check_option("groups", groups, SimulatedGroups)
    if fit.response_family.draw is None and not fit.response_family.is_ordinal:
        raise no_responses(fit.response_family)
    is_correlated = fit.design.residual is not None
    of_fit = isinstance(fit, LinearFit) and fit.residual is not None
    rng = random_generator(random_seed)
    flat = _parameters(fit, nsim, rng)
    if parameters is not None:
        flat = changed_parameters(fit, flat, parameters, groups)
    if groups == "new":
        flat = flat.with_new_groups(rng)
    rows = rows_used(fit) if newdata is None else new_rows(fit.design, newdata)
    names = tuple(factor.name for factor in fit.design.factors)
    effects = effects_of_levels(flat, rows, chosen=names, new_levels="sample", rng=rng)
    response, missing = _response(fit, newdata, rows)
    own, random = None, is_correlated and any(p.factors for p in _of_sigma(fit))
    has_formulas = isinstance(fit, PosteriorFit) and bool(fit.design.formulas)
    if has_formulas and (random or not is_correlated):
        assert isinstance(fit, PosteriorFit)
        own = formulas_of_rows(fit, flat, newdata, groups=None, new_levels="sample", rng=rng)
        missing = missing | own.missing
        response = response if is_correlated else replace(response, formulas=own.rows)
    X, out = rows.X[:, fit.kept], np.empty((nsim, rows.X.shape[0]))
    for block in row_blocks(nsim, X.shape[0]):
        eta = linear_predictor(effects.flat, X, effects.factors, offset=rows.offset, rows=block)
        if is_correlated or of_fit:
            out[:, block] = eta  # residuals are drawn by series, below
            continue
        out[:, block] = response.draw(eta, effects.flat, block, rng, some_missing=some_missing)
    if isinstance(fit, LinearFit) and fit.residual is not None:
        numbers = rng.normal(size=(out.shape[1], nsim)) * np.ravel(effects.flat.sigma)
        if newdata is None:
            out += coloured(fit.spec.residuals, fit.residual.phi, numbers).T
        else:
            residuals = residual_rows_of(
                fit, rows, newdata, response.weights, observed=False, together=True
            )
            out += residuals.drawn(fit.residual.phi, numbers).T
    elif is_correlated:
        draws = residual_draws(fit.spec, effects.flat)
        if newdata is None:
            out += draws.drawn(rng)
        else:
            of_rows = residual_rows_of(
                fit, rows, newdata, response.weights, observed=False, together=True
            )
            formula = None if own is None else own.rows[0]
            out += drawn_together(of_rows, draws, formula, rng)
    out[:, effects.missing | missing] = np.nan
    if fit.response_family.counts_trials and fit.design.y.ndim == 1:  # proportions, as given
        assert response.trials is not None
        out /= response.trials
    sims = [f"sim_{i + 1}" for i in range(nsim)]
    return pd.DataFrame(out.T, index=rows.row_labels, columns=sims)


def _of_sigma(fit: Fit) -> list[Predictor]:
    return [own for name, own in fit.design.predictors.items() if name == SIGMA]


def estimates(fit: LikelihoodFit, count: int) -> FlatDraws:
    """Return the estimates of a fit as so many draws, all the same.

    Raises
    ------
    NotSupportedError
        If the data do not determine them.
    """
    check_determined(fit)
    found, design = fit.varcorr(), fit.design
    sd = [np.zeros(len(factor.columns)) for factor in design.factors]
    for term, own in zip(design.terms, found.terms, strict=True):
        sd[term.factor][list(term.columns)] = own.sd
    corr = correlations([term.corr for term in found.terms], design)
    family = {}
    if isinstance(fit, GeneralisedFit):
        family = dict(fit.optimum.family_parameters)
        if fit.response_family.weighs_sigma:
            family.pop("sigma", None)

    def repeated(value: Any) -> FloatArray:
        return np.repeat(np.asarray(value, dtype=np.float64)[None], count, axis=0)

    return FlatDraws(
        beta=repeated(fit.beta),
        sigma=repeated(fit.sigma if fit.has_residual_sd else 1.0),
        sd=tuple(map(repeated, sd)),
        corr=tuple(None if part is None else repeated(part) for part in corr),
        b=tuple(map(repeated, fit.modes)),
        family={name: repeated(value) for name, value in family.items()},
        relations=tuple(factor.relation for factor in design.factors),
    )


def check_determined(fit: LikelihoodFit) -> None:
    """Raise NotSupportedError of a fit that the data do not determine."""
    if np.isnan(fit.deviance):
        raise not_supported("responses-undetermined", note=fit.undetermined_note)


def _parameters(fit: Fit, nsim: int, rng: np.random.Generator) -> FlatDraws:
    """Return one set of parameters and effects for each response."""
    if isinstance(fit, PosteriorFit):
        flat = flat_draws(fit.draws, fit.design)
        return flat.take(rng.choice(flat.n_draws, size=nsim, replace=nsim > flat.n_draws))
    return estimates(fit, nsim)


def changed_parameters(
    fit: Fit, flat: FlatDraws, parameters: Any, groups: SimulatedGroups = "new"
) -> FlatDraws:
    """Return draws of a fit with the parameters given in each.

    Raises
    ------
    OptionError
        If a name or a value can't be of a parameter, or with ``groups="fitted"`` effects were
        fitted under other sds.
    """
    slots = slots_of(fit.design, fit.kept.tolist(), flat, has_sigma=fit.has_residual_sd)
    given = given_values(parameters, slots)
    moved = [slots.labels[p] for p in given if slots.slots[p].kind in ("sd", "cor")]
    if moved and groups == "fitted":
        raise OptionError(
            f"parameters gives {moved[0]!r}, of which the fitted effects know nothing: with "
            "groups='fitted' the effects are those of the fit. Write groups='new' to draw others."
        )
    return with_parameters(flat, given, slots, design=fit.design, family=fit.response_family)


def _response(fit: Fit, newdata: Any, rows: NewRows) -> tuple[Response, Any]:
    """Return the distribution of the responses of rows, and which rows (m,) have none."""
    family, design, m = fit.response_family, fit.design, rows.X.shape[0]
    missing = np.zeros(m, dtype=np.bool_)
    if newdata is None:
        return observed_response(fit.spec), missing
    trials, precisions = None, None
    if family.counts_trials:
        trials = new_trials(design, newdata)
        if trials is None and (design.y.ndim == 2 or design.weights is not None):
            raise DataError(
                f"Responses of new rows need their numbers of trials, which "
                f"{design.formula.response_label} and weights do not give here: add the columns."
            )
        trials = np.ones(m) if trials is None else trials
        missing = np.isnan(trials)
        trials = np.where(missing, 1.0, trials)
    elif family.weighs_sigma:
        precisions = row_precisions(fit, newdata)
        if precisions is None and fit.weights is not None:
            raise DataError(
                "The weights of the new rows are not known. Put them in a column of the data and "
                "fit with weights='column'."
            )
        if precisions is not None:
            missing = np.isnan(precisions)
            precisions = np.where(missing, 1.0, precisions)
    first = first_category(design) if family.is_ordinal else 0.0
    found = Response(family=family, y=None, trials=trials, weights=precisions, first=first)
    return found, missing
