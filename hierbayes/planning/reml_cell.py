"""A cell by REML or maximum likelihood: every data set is fitted, every coefficient tested.

The fits are those of ``likelihood/refits.py``, the tests those of ``intervals/many_tests.py``: what
``hb.lmer`` and its summary give for each data set alone.
"""

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.predictive import FlatDraws
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.covariance import lower_triangles
from hierbayes.gaussian.kernel import kernel_of, one_thread_for
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.intervals.determined_part import determined_part, determined_rows
from hierbayes.intervals.many_tests import satterthwaite_tests, t_quantile, wald_estimates
from hierbayes.likelihood.refits import refit_many
from hierbayes.planning.study import Outcome, Study, row_weights
from hierbayes.results import verbs
from hierbayes.results.linear_fit import LinearFit

TYPICAL = 50  # draws whose mean covariance searches begin at
PART_NUMBERS = 4_000_000  # numbers of the responses that are fitted together


def cell_kernel(study: Study, design: Design) -> Kernel:
    """Return the kernel of a cell's design.

    Raises
    ------
    DataError
        If the rows of the cell do not determine all coefficients.
    """
    kernel = kernel_of(design, weights=row_weights(design), method=study.method)
    if not np.array_equal(kernel.products.anchor.kept, study.kept):
        raise DataError("its rows do not determine all coefficients of the model.")
    return kernel


@record
class _Part:
    """The part of a cell's kernel that the data determine.

    Attributes
    ----------
    start : array, shape (k,), where searches begin, in the basis of the kernel
    is_tested : array, shape (c,), whether the data determine a coefficient and its variance
    """

    design: Design
    kernel: Kernel
    start: FloatArray
    is_tested: BoolArray


def _determined(
    study: Study, kernel: Kernel, design: Design, truth: FlatDraws, L: FloatArray
) -> _Part:
    """Return what is fitted: all of the kernel, unless its rows leave a variance open."""
    if kernel.undetermined is None:
        everything = np.ones(L.shape[0], dtype=np.bool_)
        start = kernel.in_basis(_typical_theta(kernel, truth))
        return _Part(design=design, kernel=kernel, start=start, is_tested=everything)
    spec = study.spec.with_design(design, kernel)
    fit: LinearFit = verbs.ask(spec, "fit", study.method, quietly=True)
    part, known = determined_part(fit), determined_rows(fit, L)
    return _Part(
        design=part.design,
        kernel=part.kernel,
        start=part.at.theta[0],
        is_tested=known.estimate & known.variance,
    )


def _typical_theta(kernel: Kernel, truth: FlatDraws) -> FloatArray:
    """Lme4's theta (k,) of the mean of the covariances of some draws, in residual sds."""
    Lambdas = []
    for roots in truth.roots:
        some = roots[:TYPICAL] / truth.sigma[:TYPICAL, None, None]
        beside = np.concatenate(some, axis=1) / np.sqrt(some.shape[0])
        Lambdas.append(lower_triangles(beside[None])[:, :, : beside.shape[0]])
    return np.asarray(kernel.shape.pack(Lambdas)[0])


def reml_outcome(study: Study, design: Design, Y: FloatArray, truth: FlatDraws) -> Outcome:
    """Fit and test all responses Y (n, T) of a cell's design.

    Raises
    ------
    DataError
        If the design of the cell can't be fitted.
    """
    T, c = Y.shape[1], study.tested.size
    L = np.eye(study.kept.size)[study.tested]
    with one_thread_for(design):
        part = _determined(study, cell_kernel(study, design), design, truth, L)
        kernel, is_tested = part.kernel, part.is_tested
        make = ResponseProducts(kernel.products, part.design, row_weights(design))
        found = np.full((3, T, c), np.nan)
        failed, singular = np.ones(T, dtype=np.bool_), np.zeros(T, dtype=np.bool_)
        size = max(1, PART_NUMBERS // Y.shape[0])
        for i in range(0, T, size):
            at = slice(i, i + size)
            responses = make.of(Y[:, at])
            fits = refit_many(kernel, responses, design=part.design, start=part.start)
            usable = np.flatnonzero(fits.converged)
            failed[at] = ~fits.converged
            singular[at] = fits.is_singular & fits.converged
            if not usable.size:
                continue
            x = kernel.in_basis_batch(fits.theta[usable])
            test = satterthwaite_tests if study.uses_satterthwaite else wald_estimates
            tests = test(kernel, responses.take(usable), x, L)
            df = tests.df if study.uses_satterthwaite else np.full_like(tests.df, np.inf)
            reach = t_quantile(df, (1 + study.level) / 2) * tests.std_error
            found[:, i + usable] = tests.estimate, tests.estimate - reach, tests.estimate + reach
    found[:, :, ~is_tested] = np.nan
    failed |= np.isnan(found[:, :, is_tested]).any(axis=(0, 2))
    found[:, failed] = np.nan
    return Outcome(
        estimate=found[0], low=found[1], high=found[2], failed=failed, is_singular=singular
    )
