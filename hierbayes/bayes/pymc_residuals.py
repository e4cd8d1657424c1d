"""The response in PyMC where residuals are correlated within series.

With e_i = (y_i - eta_i) / sd_i, the rows of a series in the order of ``Chain``, each e_i given
those before it is normal, and one density of all rows is the product of these:

    ar1, car1   mean f e_p and variance 1 - f^2, with f = r^gap and p the row before in time
    cs          with k rows before it whose sum is S: mean r S / (1 + (k - 1) r), and variance
                (1 - r) (1 + k r) / (1 + (k - 1) r)

No row is gone through by a loop: each picks the row before it, or a difference of cumulated sums.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.series import Series
from hierbayes.gaussian.residual.correlation import Serial
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.gaussian.residual.root import correlated

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
    sd: Any,
    correlation: Any,
    observed: Any,
    dims: str,
) -> Any:
    """Add the observed response to the PyMC model in context, with one density of all rows.

    Parameters
    ----------
    name : of the response variable
    eta : tensor, shape (n,)
    residuals : structure of the residuals
    sd : tensor, shape (n,) or (), of each row
    correlation : tensor, the correlation of ar1, car1 or cs
    observed : array, shape (n,)
    dims : dimension of the rows
    """
    import pymc as pm
    import pytensor.tensor as pt

    assert residuals.series is not None
    chain, own = chain_of(residuals.series), residuals.structure.correlation
    rows = pm.Data("series_rows", chain.rows.astype(np.int64))
    begins = pm.Data("series_begins", chain.begins.astype(np.float64))
    before = pm.Data("series_before", chain.before.astype(np.float64))
    gap = pm.Data("series_gap", chain.gap)
    sd = pt.as_tensor(sd) + np.zeros(chain.rows.size)

    def log_density(value: Any, eta: Any, sd: Any, r: Any) -> Any:
        e = ((value - eta) / sd)[rows]
        if isinstance(own, Serial):
            given, rest = _after_one(e, r, begins, gap)
        else:
            given, rest = _after_all(e, r, before)
        z = (e - given) ** 2 / rest
        return -0.5 * (z + pt.log(rest) + LOG_2PI).sum() - pt.log(sd).sum()

    def random(eta: Any, sd: Any, r: Any, rng: np.random.Generator, size: Any) -> Any:
        del size
        z = rng.standard_normal((np.shape(eta)[-1], 1))
        return eta + sd * correlated(residuals, np.asarray(r).reshape(1, -1), z)[:, 0]

    response = pm.CustomDist(
        name,
        eta,
        sd,
        correlation,
        logp=log_density,
        random=random,
        signature="(n),(n),()->(n)",
        observed=observed,
        dims=dims,
        class_name="CorrelatedNormal",
    )
    # part of the model's graph that its variables don't show
    response.tag.log_density = log_density(observed, eta, sd, correlation)
    return response


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
