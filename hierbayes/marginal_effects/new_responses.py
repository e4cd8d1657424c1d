"""Intervals of a new response of each row: what ``fit.predict(interval="prediction")`` answers.

A new response of the typical group varies as residuals do, one of an observed group besides by what
is not known of its effects, and one of a new group by how groups differ.
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.capabilities import not_supported
from hierbayes.design.values import Factor, as_numbers
from hierbayes.errors import OptionError
from hierbayes.marginal_effects.base_rows import BaseRows
from hierbayes.marginal_effects.estimates import Estimates
from hierbayes.marginal_effects.plan import Plan
from hierbayes.marginal_effects.request import EffectRequest
from hierbayes.prediction.data_rows import DataRows, spread_columns
from hierbayes.results.fit import Fit
from hierbayes.results.prediction_table import heading_lines


def new_response_estimates(
    fit: Fit, base: BaseRows, plan: Plan, asked: EffectRequest, expected: Estimates
) -> Estimates:
    """Return expected responses with intervals of new ones.

    Raises
    ------
    OptionError
        If a result is an average over rows that differ.
    NotSupportedError
        If new groups cannot be told from fitted ones, and as ``fit.predict``.
    """
    if not plan.is_of_one_row:
        raise OptionError(
            "interval='prediction' is about one new response, and these results are averages over "
            "rows that differ. Write by=False, or over='mean' with at= and by=."
        )
    _, first, group = np.unique(base.group, return_index=True, return_inverse=True)
    _check_one_spread(fit, base.rows, first[group])
    rows = base.rows.take(first)
    is_new = asked.target == "new groups" and bool(fit.design.factors)
    found = fit.predict(
        (_without_groups(fit, rows) if is_new else rows).table(),
        groups="none" if asked.target == "typical group" else "all",
        new_levels="population",
        interval="prediction",
        level=asked.level,
        type=asked.type,
        random_seed=asked.random_seed,
    )

    def known(name: str) -> FloatArray:
        return np.where(plan.estimable, found[name].to_numpy(), np.nan)

    return Estimates(
        estimate=expected.estimate,
        std_error=known("se"),
        conf_low=known("lower"),
        conf_high=known("upper"),
        words="; ".join(heading_lines(found)) + ". SE is the sd of a new response.",
    )


def _check_one_spread(fit: Fit, rows: DataRows, first: IntArray) -> None:
    """Refuse one new response of rows that vary differently, whose mean is the same.

    ``first`` (n_rows,) is for each row the first one of its result.
    """
    for name in spread_columns(fit.design):
        column = rows.columns[name]
        values = column.codes if isinstance(column, Factor) else as_numbers(column)
        if (values != values[first]).any():
            raise OptionError(
                f"interval='prediction' is about one new response, whose sd depends on {name!r}, "
                f"and results are over several values of it. Hold it with at={{{name!r}: ...}}, or "
                "name it in by=."
            )


def _without_groups(fit: Fit, rows: DataRows) -> DataRows:
    """Return rows whose groups are not known, so that they are new ones."""
    fixed = fit.design.mean.fixed_columns()
    free = [name for name in fit.design.mean.grouping_columns() if name not in fixed]
    for factor in fit.design.factors:
        if not set(factor.layout.grouping_columns()) & set(free):
            raise not_supported("new-responses-of-fixed-groups", factor=factor.name)
    missing = np.full(rows.n_rows, np.nan)
    return rows.with_columns(dict.fromkeys(free, missing))
