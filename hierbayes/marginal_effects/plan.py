"""Averages of expected responses over rows, and what is made of them: the numbers of any estimator.

With mu_i the expected response of row i there are k averages, A mu, and m results

    f = K t(A mu),

t the identity, the log (ratios) or the log odds (odds ratios). A prediction has K = I, a difference
two entries 1 and -1 in each row of K, a slope the weights of its stencil in A. Rows that are equal
in all that is looked at are worked on once.

Knows rows in the columns of the design; no names, and no estimates.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, kron

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import MISSING_LEVEL, NEW_LEVEL, GroupingFactor
from hierbayes.design.new_data import effect_columns, new_rows
from hierbayes.design.values import as_numbers
from hierbayes.errors import DataError, NewLevelError
from hierbayes.generalised.cells import equal_rows, first_of_each
from hierbayes.marginal_effects.base_rows import BaseRows
from hierbayes.marginal_effects.changes import Change
from hierbayes.marginal_means.response_scale import to_contrast
from hierbayes.options import ComparisonKind, Target
from hierbayes.prediction.data_rows import GIVEN_OFFSET, DataRows, stacked
from hierbayes.prediction.reference_grid import is_estimable
from hierbayes.results.fit import Fit
from hierbayes.wording import listed

SHOWN = 5  # new levels named in a message


@record
class Plan:
    """What is to be computed.

    Attributes
    ----------
    X : array, shape (M, p), the kept columns
    offset : array, shape (M,)
    factors : with the effects estimated for the groups of each row; none for other targets
    z : per factor the columns (M, q) of the effects to average over; none for other targets
    averages : A, shape (k, M)
    results : K, shape (m, k)
    kind : "difference" where t is the identity
    estimable : array, shape (m,), whether the data determine a result
    """

    X: FloatArray
    offset: FloatArray
    factors: tuple[GroupingFactor, ...]
    z: tuple[FloatArray, ...]
    averages: csr_array
    results: csr_array
    kind: ComparisonKind
    estimable: BoolArray

    @property
    def is_of_one_row(self) -> bool:
        """Whether every average is of a single row."""
        return bool((np.diff(self.averages.indptr) <= 1).all())

    def transformed(self, means: FloatArray) -> FloatArray:
        """Return t of averages, in their shape (..., k, C).

        Raises
        ------
        OptionError
            If one has no log.
        """
        return to_contrast(means, self.kind, "averages")

    def slope(self, means: FloatArray) -> FloatArray:
        """Return the derivative of t at averages, in their shape."""
        if self.kind == "difference":
            return np.ones_like(means)
        return 1 / (means * (1 - means) if self.kind == "odds_ratio" else means)

    def combined(self, values: FloatArray) -> FloatArray:
        """Return K times values (..., k, C), (..., m, C)."""
        return _times(self.results, values)

    def averaged(self, values: FloatArray) -> FloatArray:
        """Return A times values (..., M, C), (..., k, C)."""
        return _times(self.averages, values)

    def shown(self, values: FloatArray) -> FloatArray:
        """Return results on the scale of tables."""
        return values if self.kind == "difference" else np.exp(values)


def _times(matrix: csr_array, values: FloatArray) -> FloatArray:
    """Multiply values (..., n, C) along n from the left by a matrix (r, n)."""
    moved = np.moveaxis(values, -2, 0)
    found = matrix @ moved.reshape(moved.shape[0], -1)
    return np.moveaxis(np.asarray(found).reshape(-1, *moved.shape[1:]), 0, -2)


def plan_of(
    fit: Fit,
    base: BaseRows,
    changes: Sequence[Change],
    *,
    target: Target,
    kind: ComparisonKind,
    linear: bool,
    between: FloatArray | None = None,
) -> Plan:
    """Lay out the averages of base rows, or of their changes, group by group.

    Parameters
    ----------
    fit : LikelihoodFit or PosteriorFit
    base : the rows and their groups
    changes : the results stand change by change, groups within; none for predictions
    target : whose effects count
    kind : of the comparison
    linear : whether results are linear in eta, and so may be determined where its parts are not
    between : weights (c, groups) of contrasts that take the place of the groups
    """
    group, n_groups = base.group, len(base.labels)
    total = np.bincount(group, base.weights, minlength=n_groups)
    if not (total > 0).all():
        raise DataError("The weights of the rows that one average is over are all zero.")
    share = base.weights / total[group]
    sides = [side for change in changes for side in change.sides]
    parts = [side.rows(base.rows) for side in sides] or [base.rows]
    shares = [s.weight(base.rows) * share if s.weight else share for s in sides] or [share]
    places = np.arange(len(parts))[:, None]
    at = (places * n_groups + group).ravel(), np.arange(len(parts) * group.size)
    shape = (len(parts) * n_groups, len(parts) * group.size)
    averages = csr_array(coo_array((np.concatenate(shares), at), shape=shape))
    results = _results(changes, n_groups=n_groups)
    if between is not None:
        results = csr_array(kron(eye_array(max(len(changes), 1)), between) @ results)
    laid = _laid_out(fit, stacked(parts), target)
    return _once(fit, laid, averages, results, kind=kind, linear=linear)


def _results(changes: Sequence[Change], *, n_groups: int) -> csr_array:
    """K: the sides of a change added up with their signs, group by group."""
    if not changes:
        return csr_array(eye_array(n_groups))
    signs = [[side.sign for side in change.sides] for change in changes]
    places = np.repeat(np.arange(len(changes)), [len(own) for own in signs])
    flat = np.concatenate(signs)
    sides = coo_array((flat, (places, np.arange(flat.size))))
    return csr_array(kron(sides, eye_array(n_groups)))


@record(kw_only=False)
class _Laid:
    """Rows in all columns of the design, their offset, their groups or the columns of effects."""

    X: FloatArray
    offset: FloatArray
    factors: tuple[GroupingFactor, ...]
    z: tuple[FloatArray, ...]


def _laid_out(fit: Fit, rows: DataRows, target: Target) -> _Laid:
    """Lay rows out in the columns of the design.

    Raises
    ------
    DataError
        If a column is no number there.
    NewLevelError
        If a row has a group without estimated effects, which are asked for.
    """
    design = fit.design
    groups = target == "observed groups" and bool(design.factors)
    own, extra = design, np.zeros(rows.n_rows)
    if design.mean.offset_layout.is_array and GIVEN_OFFSET in rows.columns:
        own = design.with_mean(design.mean.without_offset())
        given = rows.columns[GIVEN_OFFSET]
        assert isinstance(given, np.ndarray)
        extra = as_numbers(given)
    data = rows.table()
    laid = new_rows(own, data, need_groups=None if groups else ())
    z: tuple[FloatArray, ...] = ()
    if groups:
        for factor in laid.factors:
            _check_known(factor, laid.new_labels.get(factor.name))
        z = tuple(factor.z for factor in laid.factors)
    elif target == "new groups" and design.factors:
        z = effect_columns(own, data)
    offset = extra if laid.offset is None else laid.offset + extra
    if any(np.isnan(part).any() for part in (laid.X, offset, *z)):
        raise DataError(
            "A predictor is not a number in some of these rows: give values that the formula's "
            "functions are defined for."
        )
    return _Laid(laid.X, offset, laid.factors if groups else (), () if groups else z)


def _check_known(factor: GroupingFactor, labels: object) -> None:
    if (factor.codes == MISSING_LEVEL).any():
        raise DataError(
            f"target='observed groups': the level of {factor.name} is missing in some rows."
        )
    new = factor.codes == NEW_LEVEL
    if new.any():
        assert isinstance(labels, np.ndarray)
        found = list(dict.fromkeys(map(str, labels[new])))
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise NewLevelError(
            f"target='observed groups': the rows hold levels of {factor.name} that the model was "
            f"not fitted to: {listed(found[:SHOWN]) if not more else ', '.join(found[:SHOWN])}"
            f"{more}. target='new groups' averages over groups like those fitted."
        )


def _once(
    fit: Fit,
    laid: _Laid,
    averages: csr_array,
    results: csr_array,
    *,
    kind: ComparisonKind,
    linear: bool,
) -> Plan:
    """Join equal rows, and say which results the data determine."""
    codes = [factor.codes for factor in laid.factors]
    z = [factor.z for factor in laid.factors] if laid.factors else list(laid.z)
    columns = [*codes, *(own[:, j] for own in (laid.X, *z) for j in range(own.shape[1]))]
    cell = equal_rows([*columns, laid.offset])
    X, offset, factors, effects = laid.X, laid.offset, laid.factors, laid.z
    if cell is not None:
        first, _ = first_of_each(cell)
        n = cell.size
        join = csr_array((np.ones(n), (np.arange(n), cell)), shape=(n, first.size))
        averages = csr_array(averages @ join)
        X, offset = X[first], offset[first]
        factors = tuple(factor.with_rows(first) for factor in factors)
        effects = tuple(own[first] for own in effects)
    return Plan(
        X=X[:, fit.kept],
        offset=offset,
        factors=factors,
        z=effects,
        averages=averages,
        results=results,
        kind=kind,
        estimable=_estimable(fit, X, averages, results, linear=linear),
    )


def _estimable(
    fit: Fit, X: FloatArray, averages: csr_array, results: csr_array, *, linear: bool
) -> BoolArray:
    """Which results the data determine, (m,): those of rows that they determine, if not linear."""
    if fit.identified.size == X.shape[1]:
        return np.ones(results.shape[0], dtype=np.bool_)
    if linear:
        return is_estimable(results @ (averages @ X), fit.design.X, fit.identified)
    lost = ~is_estimable(X, fit.design.X, fit.identified)
    touched: IntArray = (abs(results) @ (abs(averages) @ lost.astype(float))) > 0
    return ~np.asarray(touched, dtype=np.bool_)
