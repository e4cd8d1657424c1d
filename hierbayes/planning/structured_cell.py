"""A cell of a study whose residuals are correlated or of unequal variance, by REML or ML.

Its levels are those of the top grouping factor of the fit, or its series, with all their rows, used
again in turn (``replicated_rows.py``): a level that is used again is another one, and its residuals
are another series. Responses have new effects and new series; each is searched and tested alone.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import FlatDraws, linear_predictor, new_effects
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.gaussian.residual.root import coloured
from hierbayes.intervals.level_samples import LevelSamples
from hierbayes.intervals.linear_tests import row_tests
from hierbayes.likelihood.fitting import at_theta_and_phi
from hierbayes.likelihood.residual_refits import refit_residuals
from hierbayes.options import Ddf
from hierbayes.planning.replicated_rows import Sizes, levels_in_turn
from hierbayes.planning.study import Outcome, Study
from hierbayes.results.linear_fit import LinearFit
from hierbayes.wording import listed


@record
class SeriesRows:
    """What lays the rows of a fit over other numbers of levels.

    Attributes
    ----------
    fit : LinearFit
    samples : of its top levels
    order : array, shape (J,), these in turn
    """

    fit: LinearFit
    samples: LevelSamples
    order: IntArray

    def design(self, sizes: Sizes) -> Design:
        """Return the design of so many levels."""
        count = self.order.size if sizes.subjects is None else sizes.subjects
        return self.samples.design(self.order[np.arange(count) % self.order.size])


def series_rows(fit: LinearFit) -> SeriesRows:
    """Return the rows of a fit by its top levels.

    Raises
    ------
    NotSupportedError
        For crossed factors.
    """
    if not level_graph(fit.kernel.products).is_nested:
        names = [factor.name for factor in fit.design.factors]
        raise not_supported("design-study-crossed-residuals", factors=listed(names, "and"))
    samples = LevelSamples(fit, purpose="hb.design_study")
    none = np.zeros(fit.nobs, dtype=np.intp)
    order = levels_in_turn(fit.design, samples.rows_top, none)
    return SeriesRows(fit=fit, samples=samples, order=order)


def structured_outcome(study: Study, fit: LinearFit, design: Design, Y: FloatArray) -> Outcome:
    """Fit and test all responses Y (n, T) of a cell's design.

    Raises
    ------
    DataError
        If the design of the cell can't be fitted.
    """
    T, c = Y.shape[1], study.tested.size
    L = np.eye(study.kept.size)[study.tested]
    given: dict[str, Any] = {"converged": True, "is_singular": False, "findings": ()}
    first = at_theta_and_phi(
        fit.spec.with_other_design(design.with_response(Y[:, 0])),
        study.method,
        fit.representative,
        phi=_phi(fit, design),
        **given,
    )
    if not np.array_equal(first.kept, study.kept):
        raise DataError("its rows do not determine all coefficients of the model.")
    found = refit_residuals(first, Y)
    refits, failed = found.refits, ~found.refits.converged
    out = np.full((3, T, c), np.nan)
    ddf: Ddf = "satterthwaite" if study.uses_satterthwaite else "normal"
    for t in np.flatnonzero(~failed).tolist():
        at = at_theta_and_phi(
            first.spec, study.method, refits.theta[t], phi=found.phi[t], response=Y[:, t], **given
        )
        tests = row_tests(at, L, ddf=ddf)
        out[0, t], (out[1, t], out[2, t]) = tests.estimate, tests.interval(study.level)
    failed |= np.isnan(out).any(axis=(0, 2))
    out[:, failed] = np.nan
    return Outcome(
        estimate=out[0],
        low=out[1],
        high=out[2],
        failed=failed,
        is_singular=refits.is_singular & ~failed,
    )


def structured_responses(
    study: Study, fit: LinearFit, design: Design, truth: FlatDraws, rng: np.random.Generator
) -> FloatArray:
    """Draw a response of a design with each of the parameters, shape (n, T).

    Raises
    ------
    DataError
        If its rows do not have all that the residuals' parameters are of.
    """
    spec = fit.spec.with_other_design(design)
    b = tuple(
        new_effects(root, factor.levels.size, rng)
        for root, factor in zip(truth.roots, design.factors, strict=True)
    )
    n = design.X.shape[0]
    eta = linear_predictor(
        replace(truth, b=b),
        design.X[:, study.kept],
        design.factors,
        offset=design.offset,
        rows=slice(0, n),
    )
    numbers = rng.standard_normal((n, eta.shape[0])) * truth.sigma
    return np.ascontiguousarray(eta.T + coloured(spec.residuals, _phi(fit, design), numbers))


def _phi(fit: LinearFit, design: Design) -> FloatArray:
    """Return the coordinates (d,) of a fit's residuals in those of another design."""
    found = residuals_of(design)
    if found.names != fit.residual_names:
        raise DataError("its rows do not have all strata or visits of the model.")
    return np.asarray(found.coordinates(fit.residual_values[None])[0])
