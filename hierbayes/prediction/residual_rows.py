"""What residuals of new rows are, where these are correlated or of unequal variance."""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.design import NewRows
from hierbayes.design.new_data import new_rows
from hierbayes.design.new_series import new_series
from hierbayes.errors import DataError, OptionError
from hierbayes.gaussian.residual.between import PlacedRows, covariance_between, placed_rows
from hierbayes.gaussian.residual.conditional import Conditional, conditional
from hierbayes.gaussian.residual.of_design import SIGMA
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.linear_fit import LinearFit

AT_ONCE = 2**20  # numbers of the covariances of series at once


@record
class ResidualRows:
    """Residuals of m rows as a function of phi (d,).

    Attributes
    ----------
    fit : whose design has the series
    D : array, shape (m, G), columns of log sds
    known : array, shape (m,), what sds are besides: by weights and an offset
    series : array, shape (m,), series of the design that say something of them; negative without
    place : array, shape (m,), time or visit
    own : array, shape (m,), series among these rows themselves; negative of rows alone
    """

    fit: FitTables
    D: FloatArray
    known: FloatArray
    series: IntArray
    place: FloatArray
    own: IntArray

    def drawn(self, phi: FloatArray, numbers: FloatArray) -> FloatArray:
        """Return draws (m, S) over sigma of independent normal ones, correlated in own series.

        Raises
        ------
        DataError
            If two rows of a series are at one time, or so many rows can't have a correlation.
        """
        found, m = self.fit.spec.residuals, self.own.size
        sd = np.exp(self.D @ phi[: found.structure.n_spreads]) * self.known
        out = sd[:, None] * numbers
        inside = np.flatnonzero((self.own >= 0) & ~np.isnan(sd))
        placed = PlacedRows(number=np.arange(m), series=self.own, place=self.place, sd=sd)
        order = inside[np.lexsort((self.place[inside], self.own[inside]))]
        self._check_once(order)
        counts = np.bincount(self.own[order])
        starts = np.cumsum(counts) - counts
        for size in np.unique(counts[counts > 1]).tolist():
            some = starts[counts == size]
            step = max(1, AT_ONCE // size**2)
            for at in range(0, some.size, step):
                rows = order[some[at : at + step, None] + np.arange(size)]
                there = placed.take(rows)
                try:
                    root = np.linalg.cholesky(covariance_between(found, phi, there, there))
                except np.linalg.LinAlgError:
                    raise DataError(
                        f"{size} rows of one series can't have the correlation that was estimated, "
                        "which is negative. Draw shorter series."
                    ) from None
                out[rows] = root @ numbers[rows]
        return out

    def _check_once(self, order: IntArray) -> None:
        series = self.fit.spec.residuals.series
        if series is None or series.term.inner is None:
            return
        same = (np.diff(self.own[order]) == 0) & (np.diff(self.place[order]) == 0)
        if same.any():
            term = series.term
            raise DataError(
                f"residual={term.call!r}: two new rows of one {term.group} are at the same "
                f"{term.inner_label!r}. One row each, or another {term.group}."
            )

    def given(self, phi: FloatArray) -> Conditional:
        """Return weights (m, n) of the rows fitted, and variances (m,) over sigma^2."""
        found = self.fit.spec.residuals
        sd = np.exp(self.D @ phi[: found.structure.n_spreads]) * self.known
        return conditional(found, phi, self.placed(sd))

    def placed(self, sd: FloatArray) -> PlacedRows:
        """Return the rows in their series, with sds (m,) over sigma."""
        m = self.place.size
        number = self.fit.nobs + np.arange(m)
        return PlacedRows(number=number, series=self.series, place=self.place, sd=sd)


def check_series(fit: FitTables, asked: Any) -> None:
    """Raise OptionError for predictions from observed series where there are none."""
    if asked.series == "new":
        return
    given = "series='observed'"
    if fit.design.residual is None:
        raise OptionError(f"{given} is of models whose residuals are correlated, by residual=.")
    if asked.newdata is None:
        raise OptionError(
            f"{given} is for new rows, newdata=: residuals of the rows used are known."
        )
    if asked.groups != "all":
        raise OptionError(
            f"{given} needs groups='all': residuals of a series are what fixed and random effects "
            "leave of it."
        )


def residual_rows_of(
    fit: FitTables,
    rows: NewRows,
    newdata: Any,
    precisions: FloatArray | None,
    *,
    observed: bool,
    together: bool = False,
) -> ResidualRows:
    """Place the rows of a prediction in their series.

    Parameters
    ----------
    fit : LinearFit or PosteriorFit
        Whose residuals have a structure.
    rows : laid out for the mean
    newdata : that they come from; None for the rows used
    precisions : array, shape (m,), weights of the rows, or None
    observed : whether what was observed of their series counts
    together : whether rows of one series are in one; else each is of a series of its own

    Raises
    ------
    DataError
        If a row is of an observed series and of another level than that, or the columns of the
        structure are not there.
    """
    found, m = fit.spec.residuals, rows.X.shape[0]
    if newdata is None:
        placed = placed_rows(found, np.zeros(found.structure.size))
        D = found.structure.spread.D[found.structure.spread.index]
        none = np.full(m, -1)
        return ResidualRows(
            fit=fit, D=D, known=placed.sd, series=none, place=placed.place, own=none
        )
    known = np.ones(m) if precisions is None else 1 / np.sqrt(precisions)
    D, place, codes, among = np.zeros((m, 0)), np.zeros(m), np.full(m, -1), np.full(m, -1)
    if SIGMA in fit.design.formulas:
        sigma = new_rows(fit.design.of(SIGMA), newdata, need_groups=())
        own = [i for i, name in enumerate(fit.design.predictors[SIGMA].coef_names)
               if name != "(Intercept)"]  # fmt: skip
        D = sigma.X[:, own]
        known = known if sigma.offset is None else known * np.exp(sigma.offset)
    if found.series is not None:
        new = new_series(fit.design, found.series, newdata, observed=observed or together)
        place, among = new.place, new.own
        if found.series.visit is not None:
            D = np.hstack([D, place[:, None] == np.arange(1, len(found.series.visits))])
        if observed:
            _check_levels(fit, rows, new.codes)
            codes = new.codes
    known = np.where(np.isnan(place), np.nan, known)
    return ResidualRows(
        fit=fit, D=D / found.scale, known=known, series=codes, place=place, own=among
    )


def _check_levels(fit: FitTables, rows: NewRows, codes: IntArray) -> None:
    """Raise DataError where a row and its series are of different levels."""
    series = fit.spec.residuals.series
    assert series is not None
    first = np.zeros(series.labels.size, dtype=np.intp)
    first[series.codes[::-1]] = np.arange(series.codes.size)[::-1]
    inside = np.flatnonzero(codes >= 0)
    for factor, fitted in zip(rows.factors, fit.design.factors, strict=True):
        level = fitted.codes[first[codes[inside]]]
        other = inside[factor.codes[inside] != level]
        if other.size:
            label = series.labels[codes[other[0]]]
            raise DataError(
                f"series='observed': rows of {series.term.group} {str(label)!r} were fitted with "
                f"one level of {fitted.name!r}, and row {rows.row_labels[other[0]]} of newdata has "
                "another one, or none."
            )


def moved_by_series(fit: LinearFit, rows: NewRows, given: Conditional) -> NewRows:
    """Return rows less what observed ones say: x - X'w and z - Z'w, columns of beta and of b."""
    factors = tuple(
        replace(own, z=own.z - given.weights @ fitted.z)
        for own, fitted in zip(rows.factors, fit.design.factors, strict=True)
    )
    return replace(rows, X=rows.X - given.weights @ fit.design.X, factors=factors)
