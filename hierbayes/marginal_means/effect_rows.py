"""The data behind a picture of an effect: rows, shares of rows, partial residuals, group lines.

A partial residual is the mean of the picture at the row's own x, with everything else as in the
picture, plus the residual of the row: what is left of the data when the other predictors and the
groups are taken as they are in the picture. On the scale of a link it is the working residual.

Responses of a few categories have no cloud: rows are binned along a number, into about as many rows
each, and a point is the share (or mean category) of a bin.

Source of partial residuals: Larsen & McCleary (1972), Technometrics 14:781; Fox & Weisberg (2018),
J. Stat. Softw. 87(9).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.errors import OptionError
from hierbayes.families.observations import checked_observations, first_category
from hierbayes.marginal_means.averaging import Averaging
from hierbayes.marginal_means.effect_grid import EffectVariable, row_values
from hierbayes.marginal_means.effect_means import EffectMeans, is_generalised
from hierbayes.marginal_means.emmeans_estimates import MeanRows
from hierbayes.marginal_means.grid_quantities import averaged_rows
from hierbayes.marginal_means.nesting import nesting
from hierbayes.options import PredictionType, ResidualKind
from hierbayes.prediction.posterior_predict import response_of
from hierbayes.prediction.reference_grid import reference_grid
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import did_you_mean, shown

BINS = 10  # along a number, of responses of a few categories
MOST_PLACES = 12  # of a number whose own values are the bins
AT_ONCE = 2**22  # numbers of a block of draws


@record
class EffectPoints:
    """Points of a picture.

    Attributes
    ----------
    table : ``curve x y n``: rows, or bins of ``n`` rows; ``n`` trials of a row of shares
    words : what they are
    are_binned : whether a point is a bin of rows
    """

    table: pd.DataFrame
    words: str
    are_binned: bool


def data_points(fit: Fit, found: EffectMeans) -> EffectPoints:
    """Return the rows used where the picture shows them, binned where they have few categories.

    Raises
    ------
    OptionError
        On the scale of a link, which responses are not on.
    """
    if found.scale == "link":
        raise OptionError(
            "Responses are not on the scale of the link: draw them with scale='response', or "
            "points='residuals' in their place."
        )
    rows = _rows(fit, found)
    family, observed = fit.response_family, np.asarray(fit.observed, dtype=np.float64)
    if found.scale == "probability":
        return _category_shares(fit, found, rows, observed)
    if family.is_ordinal or set(np.unique(observed)) <= {0.0, 1.0}:
        what = "mean categories" if family.is_ordinal else "shares"
        table, words = _binned(found, rows.assign(y=observed))
        return EffectPoints(table=table, words=f"{what} of {words}", are_binned=True)
    n = np.ones(observed.size)
    words = "rows of the data"
    if family.counts_trials and fit.design.y.ndim == 2:
        n = np.asarray(checked_observations(fit.design, family)[:, 1], dtype=np.float64)
        words = "shares of rows, their area by the number of trials"
    table = rows.assign(y=observed, n=n)
    return EffectPoints(table=table[rows["curve"] >= 0], words=words, are_binned=False)


def partial_residuals(fit: Fit, found: EffectMeans) -> EffectPoints:
    """Return partial residuals of the rows used, on the scale of the picture.

    Raises
    ------
    OptionError
        On the scale of a response whose expectation is a curve of the linear predictor.
    """
    generalised = is_generalised(fit)
    if generalised and found.scale != "link":
        raise OptionError(
            f"Partial residuals of family={fit.family!r} stand on the scale of the link: add "
            "scale='link', or draw points='data'."
        )
    rows = _rows(fit, found)
    used = (rows["curve"] >= 0).to_numpy()
    values, place = np.unique(rows["x"].to_numpy()[used], return_inverse=True)
    raw = values.tolist() if found.shown.x.is_number else list(found.shown.x.values)
    chosen = raw if found.shown.x.is_number else [raw[int(v)] for v in values]
    grid_rows, curve, x = _mean_rows_at(fit, found, chosen)
    eta = grid_rows.L @ fit.beta + grid_rows.offset
    eta[~grid_rows.estimable] = np.nan
    mean = np.full((len(found.curves), values.size), np.nan)
    mean[curve, x] = eta
    kind: ResidualKind = "working" if generalised else "response"
    residual = fit.residuals(kind=kind).to_numpy(dtype=np.float64)[used]
    table = rows[used]
    y = mean[table["curve"].to_numpy(), place] + residual
    return EffectPoints(
        table=table.assign(y=y, n=1.0), words="partial residuals of the rows", are_binned=False
    )


def group_lines(fit: Fit, found: EffectMeans, group: str | bool) -> pd.DataFrame:
    """Return a line for each level of a grouping factor, where its rows lie.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    found : EffectMeans
    group : name of the grouping factor; True for the first

    Returns
    -------
    pandas.DataFrame
        ``group curve x estimate``: the mean of the picture with the effects of the level in place
        of none; along a number from its smallest to its largest x, of categories those it has.

    Raises
    ------
    OptionError
        If the model has no such factor, or ``scale`` is "probability".
    """
    names = [factor.name for factor in fit.design.factors]
    if group is True and names:
        group = names[0]
    if not isinstance(group, str) or group not in names:
        hint = did_you_mean(str(group), names) if names else "; it has no groups."
        raise OptionError(f"group={shown(group)} is not a grouping factor of the model{hint}")
    if found.scale == "probability":
        raise OptionError("Group lines of every category are too many: add scale='response'.")
    position = names.index(group)
    factor = fit.design.factors[position]
    data = _rows(fit, found)
    values = list(found.shown.x.values)
    if found.shown.x.is_number:  # a line ends where the rows of its level do
        ends = data.groupby(factor.codes)["x"].agg(["min", "max"]).to_numpy().ravel()
        values = np.unique([*values, *ends]).tolist()
    rows, curve, x = _mean_rows_at(fit, found, values, effects=True)
    places = replace(found.shown.x, values=tuple(values)).places(values)[x]
    parts = []
    for j, own in _level_curves(factor.codes, data):
        lies = _lies_in(own, curve, places, is_number=found.shown.x.is_number)
        if lies.any():
            estimate = _level_means(fit, _some(rows, lies), position, j, scale=found.scale)
            parts.append(
                pd.DataFrame(
                    {
                        "group": str(factor.levels[j]),
                        "curve": curve[lies],
                        "x": places[lies],
                        "estimate": estimate,
                    }
                )
            )
    empty = pd.DataFrame({"group": [], "curve": [], "x": [], "estimate": []})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _rows(fit: Fit, found: EffectMeans) -> pd.DataFrame:
    """Return ``curve x`` of the rows used; curve -1 where the picture doesn't show them."""
    along = found.shown.x
    if found.of_levels:
        levels = next(f.codes for f in fit.design.factors if f.name == along.name)
        return pd.DataFrame({"curve": np.zeros(levels.size, dtype=np.intp), "x": 1.0 * levels})
    x = along.places(row_values(fit, along.name))
    codes = [nearest_codes(one, row_values(fit, one.name)) for one in found.shown.by]
    if len(codes) < len(found.apart):  # of the first category
        codes.insert(0, np.zeros(x.size, dtype=np.intp))
    curve = _curves(found, codes, n=x.size)
    return pd.DataFrame({"curve": np.where(along.is_number | (x >= 0), curve, -1), "x": x})


def _curves(found: EffectMeans, codes: list[IntArray], *, n: int) -> IntArray:
    """Return the curve of n rows by their positions among the values kept apart; -1 of none."""
    place = {one: i for i, one in enumerate(found.curves)}
    rows = zip(*(code.tolist() for code in codes), strict=True) if codes else [()] * n
    return np.array([place.get(tuple(row), -1) for row in rows], dtype=np.intp)


def nearest_codes(one: EffectVariable, values: Any) -> IntArray:
    """Return the value of the picture that each row has, or, of a number, is nearest to."""
    if not one.is_number:
        return one.codes(values)
    distance = np.abs(np.asarray(values, dtype=np.float64)[:, None] - np.array(one.values))
    return np.asarray(distance.argmin(axis=1), dtype=np.intp)


def _binned(found: EffectMeans, rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Average rows over bins along x, and say what a bin is."""
    used = rows[rows["curve"] >= 0]
    x = used["x"].to_numpy()
    own = np.unique(x)
    if not found.shown.x.is_number:
        bins, words = x, "the rows of each category"
    elif own.size <= MOST_PLACES:
        bins, words = x, f"the rows at each {found.shown.x.name}"
    else:
        inner = np.quantile(x, np.arange(1, BINS) / BINS)
        bins = np.searchsorted(np.unique(inner), x).astype(np.float64)
        words = f"{BINS} bins of {found.shown.x.name}"
    grouped = used.groupby([used["curve"].to_numpy(), bins], sort=True)
    table = grouped.agg(curve=("curve", "first"), x=("x", "mean"), y=("y", "mean"), n=("y", "size"))
    return table.reset_index(drop=True), f"{words}, their area by the number of rows"


def _category_shares(
    fit: Fit, found: EffectMeans, rows: pd.DataFrame, observed: FloatArray
) -> EffectPoints:
    """Return the share of each category among the rows of each bin."""
    category = found.apart[0]
    place = {one: i for i, one in enumerate(found.curves)}
    first = first_category(fit.design)
    parts, words = [], ""
    for k in range(len(category.values)):
        table, words = _binned(found, rows.assign(y=(observed - first == k).astype(float)))
        curves = [place[(k, *found.curves[curve][1:])] for curve in table["curve"]]
        parts.append(table.assign(curve=curves))
    whole = pd.concat(parts, ignore_index=True)
    return EffectPoints(table=whole, words=f"shares of {words}", are_binned=True)


def _mean_rows_at(
    fit: Fit, found: EffectMeans, values: list[Any], *, effects: bool = False
) -> tuple[MeanRows, IntArray, IntArray]:
    """Return rows L of the means at values of x, with the curve and the position of each."""
    one = replace(found.shown.x, values=tuple(values))
    grid = reference_grid(fit, {**found.shown.at, one.name: values}, effects=effects)
    nested = nesting(fit, grid)
    specs = (one.name, *(other.name for other in found.shown.by))
    averaging = Averaging.of(fit, grid, nested, specs=specs, by=(), weights="equal")
    rows = averaged_rows(fit, averaging)
    codes = [other.codes(rows.labels[other.name]) for other in found.shown.by]
    curve = _curves(found, codes, n=len(rows.labels))
    return rows, curve, one.codes(rows.labels[one.name])


def _level_curves(
    codes: IntArray, data: pd.DataFrame
) -> Iterator[tuple[int, dict[int, FloatArray]]]:
    """Yield each level with the x of its rows on each curve."""
    for j, own in data.groupby(codes):
        curves = own[own["curve"] >= 0].groupby("curve")["x"]
        yield int(str(j)), {int(str(curve)): x.to_numpy() for curve, x in curves}


def _lies_in(
    own: dict[int, FloatArray], curve: IntArray, x: FloatArray, *, is_number: bool
) -> BoolArray:
    """Return which places of the means lie among the rows of a level, (r,)."""
    lies = np.zeros(curve.size, dtype=bool)
    for which, values in own.items():
        inside = (x >= values.min()) & (x <= values.max()) if is_number else np.isin(x, values)
        lies |= (curve == which) & inside
    return lies


def _some(rows: MeanRows, kept: BoolArray) -> MeanRows:
    return replace(
        rows,
        L=rows.L[kept],
        offset=rows.offset[kept],
        estimable=rows.estimable[kept],
        z=tuple(z[kept] for z in rows.z),
    )


def _level_means(
    fit: Fit, rows: MeanRows, position: int, level: int, *, scale: PredictionType
) -> FloatArray:
    """Return what is expected of a level at rows of the means, (r,)."""
    z = rows.z[position]
    is_linear = scale == "link" or not is_generalised(fit)
    if isinstance(fit, PosteriorFit) and not is_linear:
        flat = flat_draws(fit.draws, fit.design)
        eta = flat.beta @ rows.L.T + rows.offset + flat.b[position][:, level] @ z.T
        values = response_of(fit, {}).mean(eta, flat).mean(axis=0)
    else:
        values = rows.L @ fit.beta + rows.offset + z @ fit.modes[position][level]
        if not is_linear:
            assert isinstance(fit, GeneralisedFit)
            values = fit.expected_at(values)
    return np.where(rows.estimable, values, np.nan)
