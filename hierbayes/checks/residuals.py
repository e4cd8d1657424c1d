"""The tables behind the residual pictures: residuals against a variable, and normal quantiles.

Reads a fit; draws and fits nothing.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.errors import DataError, OptionError
from hierbayes.options import ResidualKind
from hierbayes.results.fit import Fit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.wording import did_you_mean, shown

# Values are jittered by up to this share of the smallest distance between two of them, R's jitter.
JITTER_SHARE = 0.2
DISTANCE_DIGITS = 8  # distances smaller than this many digits of the range are rounding
SMALL_SAMPLE = 10  # R's ppoints: other plotting positions up to here


def residual_table(fit: Fit, x: str | None = None) -> pd.DataFrame:
    """Residuals of the rows used beside a variable of the model.

    Parameters
    ----------
    fit : LikelihoodFit, or PosteriorFit: posterior means
    x : str, optional
        A variable or grouping factor of the model; the fitted values when not given.

    Returns
    -------
    pandas.DataFrame
        Columns ``x`` and ``residual``, response units.

    Raises
    ------
    DataError
        If ``x`` is not a variable of the model.
    """
    check_fit(fit)
    residual = fit.residuals()
    if x is None:
        return pd.DataFrame({"x": fit.fitted(), "residual": residual})
    frame = fit.design.model_frame
    names = [str(name) for name in frame.columns]
    if not isinstance(x, str):
        raise DataError(f"The model has no variable {shown(x)}; it has {names}.")
    if x not in names and names.count(f"`{x}`"):
        x = f"`{x}`"  # as it is called in the data
    groups = [factor for factor in fit.design.factors if factor.name not in names]
    for factor in groups:  # a nested one is no column of the data
        if isinstance(x, str) and x == factor.name:
            levels = pd.Categorical.from_codes(factor.codes, pd.Index(factor.levels))
            return pd.DataFrame({"x": levels, "residual": residual})
    if x not in names:
        raise DataError(f"The model has no variable {shown(x)}{did_you_mean(x, names)}")
    return pd.DataFrame({"x": frame[x], "residual": residual})


NORMALISED = "normalised residual"


def residual_word(fit: Fit) -> str:
    """Return what ``standard_residuals`` are."""
    return NORMALISED if isinstance(fit, LinearFit) and fit.residual is not None else "residual"


def standard_residuals(fit: Fit) -> FloatArray:
    """Residuals (n,) that are alike and independent where the model holds.

    Response units; of a fit whose residuals are correlated or of unequal variance normalised ones,
    in units of their sd.
    """
    kind: ResidualKind = "normalized" if residual_word(fit) == NORMALISED else "response"
    return fit.residuals(kind).to_numpy(dtype=np.float64)


def check_fit(fit: Fit) -> None:
    """Raise OptionError for what is no fit."""
    if not isinstance(fit, Fit):
        raise OptionError(
            "Residual pictures take a fit, hb.lmer(...) or Model(...).sample(); this is "
            f"{shown(fit) if isinstance(fit, str) else type(fit).__name__}."
        )


def jittered(values: FloatArray, *, random_seed: Any) -> FloatArray:
    """Values moved at random, so that equal ones don't cover each other; as R's ``jitter``.

    Each is moved by up to a fifth of the smallest distance between two different values.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    scale = high - low or abs(low) or 1.0
    decimals = DISTANCE_DIGITS - int(np.floor(np.log10(scale)))
    distances = np.diff(np.unique(np.round(values[~np.isnan(values)], decimals)))
    amount = JITTER_SHARE * (float(distances.min()) if distances.size else scale / 10)
    rng = np.random.default_rng(random_seed)
    return np.asarray(values + rng.uniform(-amount, amount, values.shape))


@record
class NormalQuantiles:
    """Sorted values beside the quantiles of a standard normal, and the line through quartiles.

    Attributes
    ----------
    theoretical, sample : arrays, shape (n,); sample in units of the values
    intercept, slope : of the line through the first and third quartiles (R's ``qqline``)
    """

    theoretical: FloatArray
    sample: FloatArray
    intercept: float
    slope: float


def normal_quantiles(values: FloatArray) -> NormalQuantiles:
    """Quantiles for a normal QQ plot, as R's ``qqnorm`` and ``qqline``."""
    sample = np.sort(values[~np.isnan(values)])
    n = sample.size
    a = 3 / 8 if n <= SMALL_SAMPLE else 1 / 2
    theoretical = ndtri((np.arange(1, n + 1) - a) / (n + 1 - 2 * a))
    quartiles = np.quantile(sample, [0.25, 0.75])
    slope = float((quartiles[1] - quartiles[0]) / (ndtri(0.75) - ndtri(0.25)))
    return NormalQuantiles(
        theoretical=theoretical,
        sample=sample,
        intercept=float(quartiles[0] - slope * ndtri(0.25)),
        slope=slope,
    )
