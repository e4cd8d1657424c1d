"""The structure of the residuals of a design: sds by a formula, correlations by a term."""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.predictor import Predictor
from hierbayes.design.series import Series, check_constant, series_of
from hierbayes.errors import DataError
from hierbayes.gaussian.residual.correlation import Unstructured
from hierbayes.gaussian.residual.entries import (
    MOST_ENTRIES,
    ResidualStructure,
    count_of_entries,
    exchangeable,
    independent,
    serial,
    unstructured,
)
from hierbayes.linalg.rank import column_basis

SIGMA = "sigma"
# Largest value of a column of the formula of sigma beside its spread: the sd of the reference, at
# zero, is the exponential of it away from the data.
FARTHEST = 50.0
ONE = 1e-9  # rounding of combinations of columns that are one in every row
SERIES = {"ar1": False, "car1": True}  # whether times are continuous


@record
class DesignResiduals:
    """Structure of the residuals of a design, and what its coordinates are called.

    Attributes
    ----------
    structure : R of coordinates phi
    series : of the correlation, None without
    names : of the d parameters: ``sigma_x`` of log sds, ``cor_ar1|subject``
    scale : array, shape (G,), a coefficient of the formula is its coordinate over this
    visits : how many of the coefficients are of visits, the last
    formula : array, shape (p, p): the coefficients of the formula of sigma from log sigma and the
        G - visits log ratios, before they are scaled; none without a formula
    weights : array, shape (n,), precision weights, an offset of log sigma included; or None
    """

    structure: ResidualStructure
    series: Series | None
    names: tuple[str, ...]
    scale: FloatArray
    visits: int
    formula: FloatArray
    weights: FloatArray | None

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the parameters that are no coefficients of a formula of sigma."""
        return self.names[self.scale.size - self.visits :]

    def values(self, phi: FloatArray) -> FloatArray:
        """Parameters (T, d) that are reported, from coordinates: log ratios and correlations."""
        G = self.structure.n_spreads
        rest = self.structure.correlation.correlations(phi[:, G:])
        return np.concatenate([phi[:, :G] / self.scale, rest], axis=1)

    def coordinates(self, values: FloatArray) -> FloatArray:
        """Undo ``values``."""
        G = self.structure.n_spreads
        rest = self.structure.correlation.coordinates(values[:, G:])
        return np.concatenate([values[:, :G] * self.scale, rest], axis=1)

    def relative_sds(self, phi: FloatArray) -> FloatArray:
        """Sds (n,) of the rows over that of the reference, at phi (d,), weights included."""
        spread, G = self.structure.spread, self.structure.n_spreads
        found = np.exp(spread.D @ phi[:G])[spread.index]
        return np.asarray(found if self.weights is None else found / np.sqrt(self.weights))


def is_structured(design: Design) -> bool:
    """Whether residuals have a structure that cross-products know."""
    if design.residual is None and set(design.formulas) != {SIGMA}:
        return False
    sigma = design.predictors.get(SIGMA)
    return set(design.formulas) <= {SIGMA} and (sigma is None or not sigma.factors)


def residuals_of(design: Design, *, any_reference: bool = False) -> DesignResiduals:
    """Return the structure of the residuals of a design, ``is_structured``.

    With ``any_reference`` a formula of sigma may do without an intercept where its columns add up
    to one, ``~ 0 + group``. Sigma is then the sd of a level, and what is called by a coefficient
    the log ratio to it.

    Raises
    ------
    DataError
        If the rows can't carry it.
    """
    sigma = design.predictors.get(SIGMA)
    weights = design.weights
    names, D, formula = _log_sds(design, sigma, any_reference=any_reference)
    if sigma is not None and sigma.offset is not None:
        known = np.exp(-2 * sigma.offset)
        weights = known if weights is None else weights * known
    series, n_visits = None, 0
    if design.residual is None:
        scaled, scale = _scaled(D, names)
        structure = independent(scaled)
    else:
        series = series_of(design.residual, design.rows.values, design.row_labels)
        check_constant(series, design.factors)
        if series.visit is not None:
            label = series.term.inner_label
            n_visits = len(series.visits) - 1
            D = np.hstack([D, series.visit[:, None] == np.arange(1, n_visits + 1)])
            names += [f"sigma_{label}{level}" for level in series.visits[1:]]
        scaled, scale = _scaled(D, names)
        structure = _correlated(series, scaled)
        names += _correlation_names(series, structure)
    return DesignResiduals(
        structure=structure,
        series=series,
        names=tuple(names),
        scale=scale,
        visits=n_visits,
        formula=formula,
        weights=weights,
    )


def _log_sds(
    design: Design, sigma: Predictor | None, *, any_reference: bool
) -> tuple[list[str], FloatArray, FloatArray]:
    """Names and columns D (n, G) of log sd, less the one of the reference, and ``formula``."""
    n = design.y.shape[0]
    if sigma is None:
        return [], np.zeros((n, 0)), np.zeros((0, 0))
    text = design.formulas[SIGMA].source
    p, one = sigma.X.shape[1], None
    if "(Intercept)" in sigma.coef_names:
        one = np.zeros(p)
        one[sigma.coef_names.index("(Intercept)")] = 1.0
    elif any_reference:
        one = _that_are_one(sigma.X)
    if one is None:
        raise DataError(
            f"sigma={text!r} has no intercept, and sigma is the sd where all else is zero. Leave "
            "'0 +' out."
        )
    basis = column_basis(sigma.X)
    if basis.kept.size < sigma.X.shape[1]:
        lost = [
            name for i, name in enumerate(sigma.coef_names) if i not in set(basis.kept.tolist())
        ]
        raise DataError(
            f"sigma={text!r}: the column {lost[0]!r} follows from the others; leave it out."
        )
    own = np.delete(np.arange(p), np.argmax(np.abs(one)))
    formula = np.zeros((p, p))
    formula[:, 0], formula[own, 1 + np.arange(own.size)] = one, 1.0
    return [f"sigma_{sigma.coef_names[i]}" for i in own], sigma.X[:, own], formula


def _that_are_one(X: FloatArray) -> FloatArray | None:
    """Return c (p,) with X c = 1, or None."""
    c = np.linalg.lstsq(X, np.ones(X.shape[0]), rcond=None)[0]
    return c if np.abs(X @ c - 1).max() < ONE else None


def _scaled(D: FloatArray, names: list[str]) -> tuple[FloatArray, FloatArray]:
    """Columns in units of their spread, and these."""
    if not D.shape[1]:
        return D, np.ones(0)
    scale = D.std(axis=0)
    far = np.abs(D).max(axis=0) > FARTHEST * scale
    if far.any():
        name = names[int(np.argmax(far))].removeprefix("sigma_")
        raise DataError(
            f"sigma: the values of {name!r} are far from zero beside their spread, and sigma is "
            f"the sd at zero. Write center({name})."
        )
    is_indicator = ((D == 0) | (D == 1)).all(axis=0)
    scale = np.where(is_indicator, 1.0, scale)
    return D / scale, scale


def _correlated(series: Series, D: FloatArray) -> ResidualStructure:
    """Return R of series; refuse what would be too large."""
    word = series.term.word
    if word in SERIES:
        assert series.time is not None
        return serial(series.codes, series.time, D, continuous=SERIES[word])
    if word == "us":
        assert series.visit is not None
        _check_size(series, np.bincount(series.codes))
        _check_pairs(series)
        return unstructured(series.codes, series.visit, D, n_visits=len(series.visits))
    if D.shape[1]:
        distinct = np.unique(np.column_stack([series.codes, D]), axis=0)
        _check_size(series, np.bincount(distinct[:, 0].astype(np.intp)))
    return exchangeable(series.codes, D)


def _check_size(series: Series, sizes: IntArray) -> None:
    found = count_of_entries(sizes)
    if found > MOST_ENTRIES:
        raise not_supported("residual-size", term=series.term.call, pairs=f"{found:.0e}")


def _check_pairs(series: Series) -> None:
    """Raise DataError if two visits never meet in a series."""
    V = len(series.visits)
    has = np.zeros((series.labels.size, V))
    assert series.visit is not None
    has[series.codes, series.visit] = 1.0
    i, j = np.nonzero(np.tril(has.T @ has == 0, -1))
    if i.size:
        raise DataError(
            f"residual={series.term.call!r}: no {series.term.group} has both visits "
            f"{series.visits[j[0]]!r} and {series.visits[i[0]]!r}, so their correlation is not "
            "determined. ar1, car1 or cs need no such pair."
        )


def _correlation_names(series: Series, structure: ResidualStructure) -> list[str]:
    group, word, label = series.term.group, series.term.word, series.term.inner_label
    if isinstance(structure.correlation, Unstructured):
        rows, columns = np.tril_indices(len(series.visits), -1)
        return [
            f"cor_{label}{series.visits[i]}.{label}{series.visits[j]}|{group}"
            for i, j in zip(rows, columns, strict=True)
        ]
    return [f"cor_{word}|{group}"]
