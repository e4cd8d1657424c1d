"""The response in PyMC where residuals are correlated within series.

With e_i = (y_i - eta_i) / sd_i, the rows of a series in the order of ``Chain``, each e_i given
those before it is normal, and one density of all rows is the product of these:

    ar1, car1   mean f e_p and variance 1 - f^2, with f = r^gap and p the row before in time
    cs          with k rows before it whose sum is S: mean r S / (1 + (k - 1) r), and variance
                (1 - r) (1 + k r) / (1 + (k - 1) r)
    us          L^-1 e of a series is independent, L the Cholesky factor of the correlations of its
                visits: that of the whole matrix with rows and columns of other visits as in I

No row is gone through by a loop: each picks the row before it, or a difference of cumulated sums;
series with the same visits share a factor.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.pymc_variables import correlations
from hierbayes.design.series import Series
from hierbayes.gaussian.residual.correlation import Serial
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.gaussian.residual.root import correlated
from hierbayes.naming.variable_names import visit_correlations_variable, visit_dims

LOG_2PI = float(np.log(2 * np.pi))


@record
class Chain:
    """Rows of series one after the other, in the order of ``rows``.

    Attributes
    ----------
    rows : array, shape (n,), the rows in this order
    begins : array, shape (n,), whether a series begins there
    before : array, shape (n,), how many rows of the series come before
    gap : array, shape (n,), the time since the row before; 1 without times and where one begins
    """

    rows: IntArray
    begins: BoolArray
    before: IntArray
    gap: FloatArray


def chain_of(series: Series) -> Chain:
    """Return the rows of series, in time where they have times."""
    n = series.codes.size
    time = np.zeros(n) if series.time is None else series.time
    rows = np.lexsort((time, series.codes))
    codes = series.codes[rows]
    begins = np.concatenate([[True], codes[1:] != codes[:-1]])
    start = np.maximum.accumulate(np.where(begins, np.arange(n), 0))
    gap = np.ones(n)
    if series.time is not None:
        gap[1:] = np.where(begins[1:], 1.0, np.diff(time[rows]))
    return Chain(rows=rows, begins=begins, before=np.arange(n) - start, gap=gap)


def add_correlated_response(
    name: str,
    eta: Any,
    *,
    residuals: DesignResiduals,
    parameters: Mapping[str, Any],
    observed: Any,
    dims: str,
) -> Any:
    """Add the observed response to the PyMC model in context, with one density of all rows.

    Parameters
    ----------
    name : of the response variable
    eta : tensor, shape (n,)
    residuals : structure of the residuals
    parameters : ``sigma``, shape (n,) or (), the sds of rows, and what else the residuals have:
        tensors by name
    observed : tensor, shape (n,)
    dims : dimension of the rows
    """
    import pymc as pm
    import pytensor.tensor as pt

    assert residuals.series is not None
    sd = pt.as_tensor(parameters["sigma"]) + np.zeros(residuals.series.codes.size)
    if residuals.series.visit is None:
        correlation, whitened = parameters[residuals.names[-1]], _along_series(residuals)
    else:
        correlation = parameters[visit_correlations_variable(residuals.series.term.group)]
        whitened = _by_visits(residuals.series)
        G = residuals.scale.size
        of_visits = [parameters[visit] for visit in residuals.names[G - residuals.visits : G]]
        at_visit = pm.Data("residual_visit", residuals.series.visit.astype(np.int64))
        sd = sd * pt.exp(pt.stack([pt.zeros(()), *of_visits]))[at_visit]

    def log_density(value: Any, eta: Any, sd: Any, correlation: Any) -> Any:
        squares, log_det = whitened((value - eta) / sd, correlation)
        return -0.5 * (squares + log_det + sd.shape[0] * LOG_2PI) - pt.log(sd).sum()

    def random(eta: Any, sd: Any, values: Any, rng: np.random.Generator, size: Any) -> Any:
        del size
        z, values = rng.standard_normal((np.shape(eta)[-1], 1)), np.asarray(values)
        if values.ndim:
            values = values[np.tril_indices(values.shape[0], -1)]
        return eta + sd * correlated(residuals, values.reshape(1, -1), z)[:, 0]

    response = pm.CustomDist(
        name,
        eta,
        sd,
        correlation,
        logp=log_density,
        random=random,
        signature="(n),(n),(v,v)->(n)" if residuals.visits else "(n),(n),()->(n)",
        observed=observed,
        dims=dims,
        class_name="CorrelatedNormal",
    )
    # part of the model's graph that its variables don't show
    response.tag.log_density = log_density(observed, eta, sd, correlation)
    return response


def visit_correlations(name: str, residuals: DesignResiduals, *, eta: float) -> Any:
    """Add the correlation matrix of visits, with an LKJ prior, to the PyMC model in context."""
    import pymc as pm

    assert residuals.series is not None
    size, dims = residuals.visits + 1, visit_dims(name)
    for dim in dims:
        pm.modelcontext(None).add_coord(dim, list(residuals.series.visits))
    return correlations(
        name,
        size=size,
        blocks=[tuple(range(size))],
        etas=[eta],
        patterns=[None],
        laws=[()],
        dims=dims,
    )


def _along_series(residuals: DesignResiduals) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return |L^-1 e|^2 and log|L L'| as functions of e (n,) and the one correlation."""
    import pymc as pm
    import pytensor.tensor as pt

    assert residuals.series is not None
    chain, own = chain_of(residuals.series), residuals.structure.correlation
    rows = pm.Data("series_rows", chain.rows.astype(np.int64))
    begins = pm.Data("series_begins", chain.begins.astype(np.float64))
    before = pm.Data("series_before", chain.before.astype(np.float64))
    gap = pm.Data("series_gap", chain.gap)

    def whitened(e: Any, r: Any) -> tuple[Any, Any]:
        if isinstance(own, Serial):
            given, rest = _after_one(e[rows], r, begins, gap)
        else:
            given, rest = _after_all(e[rows], r, before)
        return ((e[rows] - given) ** 2 / rest).sum(), pt.log(rest).sum()

    return whitened


def _by_visits(series: Series) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return the same as functions of e (n,) and the correlations (V, V) of the visits."""
    import pymc as pm
    import pytensor.tensor as pt

    assert series.visit is not None
    has = np.zeros((series.labels.size, len(series.visits)))
    has[series.codes, series.visit] = 1.0
    patterns, of_series, counts = np.unique(has, axis=0, return_inverse=True, return_counts=True)
    some = pm.Data("visits_of_pattern", patterns)
    own = pm.Data("pattern_of_series", of_series.ravel().astype(np.int64))
    times = pm.Data("series_of_pattern", counts.astype(np.float64))
    code = pm.Data("code_of_series", series.codes.astype(np.int64))
    visit = pm.Data("visit_of_series", series.visit.astype(np.int64))
    J, V = has.shape

    def whitened(e: Any, R: Any) -> tuple[Any, Any]:
        both = some[:, :, None] * some[:, None, :]
        L = pt.linalg.cholesky(both * R + (1 - some)[:, :, None] * np.eye(V))
        wide = pt.zeros((J, V))[code, visit].set(e)
        z = pt.linalg.solve_triangular(L[own], wide[:, :, None], lower=True, b_ndim=2)
        log_det = 2 * (times[:, None] * pt.log(pt.diagonal(L, axis1=1, axis2=2))).sum()
        return (z**2).sum(), log_det

    return whitened


def _after_one(e: Any, r: Any, begins: Any, gap: Any) -> tuple[Any, Any]:
    """Mean and variance of each row given the one before, r^gap of a chain."""
    import pytensor.tensor as pt

    f = (1 - begins) * r**gap
    last = pt.concatenate([e[:1], e[:-1]])
    return f * last, (1 - f) * (1 + f)


def _after_all(e: Any, r: Any, before: Any) -> tuple[Any, Any]:
    """Mean and variance of each row given those before it in its block, one correlation r."""
    import pytensor.tensor as pt

    ends = pt.concatenate([pt.zeros(1), pt.cumsum(e)])
    at = pt.arange(e.shape[0])
    total = ends[at] - ends[at - pt.cast(before, "int64")]
    k = before
    whole = 1 + pt.maximum(k - 1, 0) * r
    rest = pt.switch(k > 0, (1 - r) * (1 + k * r) / whole, 1.0)
    return r * total / whole, rest
