"""A cell of a generalised model: data sets fitted by Laplace's approximation, tested by Wald's z.

The fits are those of ``likelihood/generalised_refits.py``, what ``hb.glmer`` gives for each data
set alone; a data set without finite estimates (a separated response) counts as failed.
"""

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.families.observations import checked_observations
from hierbayes.likelihood.generalised import fit_at, optimum_of
from hierbayes.likelihood.generalised_refits import Refitter
from hierbayes.planning.study import Outcome, Study
from hierbayes.results import verbs
from hierbayes.results.generalised_fit import GeneralisedFit

TRIED = 5  # responses of which one has to have a fit that the others are searched from


def generalised_outcome(study: Study, design: Design, Y: FloatArray) -> Outcome:
    """Fit and test all responses Y (n, T) of a cell's design.

    Raises
    ------
    DataError
        If the design of the cell can't be fitted.
    """
    first = _first_fit(study, design, Y)
    if not np.array_equal(first.kept, study.kept):
        raise DataError("its rows do not determine all coefficients of the model.")
    found = Refitter(optimum_of(first)).fit(Y)
    T, c = Y.shape[1], study.tested.size
    numbers = np.full((3, T, c), np.nan)
    z = ndtri((1 + study.level) / 2)
    for t in np.flatnonzero(found.converged).tolist():
        one = fit_at(first, Y[:, t], found, t)
        estimate, reach = one.beta[study.tested], z * one.std_errors[study.tested]
        numbers[:, t] = estimate, estimate - reach, estimate + reach
    failed = ~np.isfinite(numbers).all(axis=(0, 2))
    numbers[:, failed] = np.nan
    return Outcome(
        estimate=numbers[0],
        low=numbers[1],
        high=numbers[2],
        failed=failed,
        is_singular=found.is_singular & ~failed,
    )


def _first_fit(study: Study, design: Design, Y: FloatArray) -> GeneralisedFit:
    """Return the fit of the first response that has one."""
    for t in range(min(TRIED, Y.shape[1])):
        response = Y[:, t]
        if study.spec.family.counts_trials:
            trials = checked_observations(design, study.spec.family)[:, 1]
            both = np.column_stack([response, trials - response])
            response = both if design.y.ndim == 2 else response / trials
        spec = study.spec.with_other_design(design.with_response(response))
        try:
            fit: GeneralisedFit = verbs.ask(spec, "fit", quietly=True)
        except DataError as error:
            failure = error
            continue
        if fit.converged:
            return fit
        failure = DataError("the search for the optimum did not settle.")
    raise failure
