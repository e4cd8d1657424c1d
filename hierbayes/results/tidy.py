"""Tidy tables of a REML or ML fit, with broom.mixed's meanings and our column names."""

from collections.abc import Callable, Iterable
from typing import Any, get_args

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.errors import OptionError
from hierbayes.options import Ddf, Effect, check_option
from hierbayes.results.fit_tables import FitTables
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.row_tests import RowTests
from hierbayes.results.varcorr import component_rows
from hierbayes.wording import shown

COLUMNS = (
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
    "method",
)


def check_level(level: float) -> float:
    """Return ``level`` if it lies strictly between 0 and 1; else raise OptionError."""
    if isinstance(level, (int, float)) and not isinstance(level, bool) and 0 < level < 1:
        return float(level)
    raise OptionError(f"level={shown(level)} must be a number between 0 and 1, for example 0.95.")


def checked_effects(effects: Any) -> tuple[Effect, ...]:
    """Return the argument ``effects`` as a tuple in the order of printing; else OptionError."""
    many = not isinstance(effects, str) and isinstance(effects, Iterable)
    chosen = tuple(effects) if many else (effects,)
    if not chosen:
        raise OptionError("effects=() names none of 'fixed', 'ran_pars', 'ran_vals'.")
    for effect in chosen:
        check_option("effects", effect, Effect)
    return tuple(effect for effect in get_args(Effect) if effect in chosen)


def tidy_table(
    fit: FitTables, tests: Callable[[Ddf], RowTests], *, effects: Any, level: float, ddf: Ddf
) -> ResultTable:
    """Build ``LikelihoodFit.tidy``; see there. ``tests`` tests each fixed effect."""
    chosen = checked_effects(effects)
    check_level(level)
    check_option("ddf", ddf, Ddf)
    parts: dict[Effect, Callable[[], pd.DataFrame]] = {
        "fixed": lambda: _fixed(fit, tests(ddf), level),
        "ran_pars": lambda: _random_parameters(fit),
        "ran_vals": lambda: _random_values(fit, level),
    }
    frames = [parts[effect]() for effect in chosen]
    table = pd.concat(frames, ignore_index=True)
    notes = {"notes": frames[0].attrs["notes"]} if "notes" in frames[0].attrs else {}
    known = {"level": float(level), "interval": "confidence", "ddf": ddf}
    return result_table(table, "tidy", attrs={**known, **notes})


def _fixed(fit: FitTables, tests: RowTests, level: float) -> pd.DataFrame:
    low, high = tests.interval(level)
    table = tidy_frame(
        fit,
        effect="fixed",
        term=list(fit.coef_names),
        estimate=tests.estimate,
        std_error=tests.std_error,
        statistic=tests.statistic,
        df=tests.df,
        p_value=tests.p_value,
        conf_low=low,
        conf_high=high,
    )
    table = with_dropped(fit, table)
    if tests.notes:
        table.attrs["notes"] = list(tests.notes)
    return table


def dropped_positions(fit: FitTables) -> IntArray:
    """Positions of the columns of X that earlier ones determine: rows of a table without numbers.

    The intercept that an ordinal model has no place for is none of them.
    """
    columns = np.setdiff1d(np.arange(len(fit.design.coef_names)), fit.kept)
    return columns[fit.design.assign[columns] > 0]


def with_dropped(fit: FitTables, fixed: pd.DataFrame) -> pd.DataFrame:
    """Return the table of fixed effects with a row, without numbers, for each dropped column."""
    dropped = dropped_positions(fit)
    if not dropped.size:
        return fixed
    names = [fit.design.coef_names[column] for column in dropped]
    missing = np.full(dropped.size, np.nan)
    empty = tidy_frame(fit, effect="fixed", term=names, estimate=missing)
    last = np.full(len(fixed) - fit.kept.size, len(fit.design.coef_names))  # of the family
    order = np.argsort(np.concatenate([fit.kept, last, dropped]), kind="stable")
    values = {
        name: np.concatenate([fixed[name].to_numpy(), empty[name].to_numpy()])[order]
        for name in COLUMNS
    }
    return pd.DataFrame(values)


def estimated_rows(fit: FitTables, table: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table that begins with the fixed effects without the dropped columns."""
    columns = np.sort(np.concatenate([fit.kept, dropped_positions(fit)]))
    keep = np.ones(len(table), dtype=bool)
    keep[: columns.size] = np.isin(columns, fit.kept)
    return table[keep].reset_index(drop=True)


def _random_parameters(fit: FitTables) -> pd.DataFrame:
    groups, terms, estimates = [], [], []
    for row in component_rows(fit.varcorr()):
        groups.append(row.group)
        estimates.append(row.sdcor)
        terms.append(row.name)
    errors = [np.nan] * len(terms)
    for name, (estimate, error) in fit.further_parameters.items():
        groups.append("Residual")
        terms.append(name)
        estimates.append(estimate)
        errors.append(error)
    return tidy_frame(
        fit,
        effect="ran_pars",
        group=groups,
        term=terms,
        estimate=np.array(estimates, dtype=float),
        std_error=np.array(errors, dtype=float),
    )


def _random_values(fit: FitTables, level: float) -> pd.DataFrame:
    frames = []
    sds = fit.ranef_sd()
    for group, modes in fit.ranef().items():
        estimate, sd = modes.to_numpy().T.ravel(), sds[group].to_numpy().T.ravel()
        low, high = _wald(estimate, sd, level)
        frames.append(
            tidy_frame(
                fit,
                effect="ran_vals",
                group=group,
                level=np.tile(modes.index.to_numpy(), modes.shape[1]),
                term=np.repeat(modes.columns.to_numpy(), modes.shape[0]),
                estimate=estimate,
                std_error=sd,
                conf_low=low,
                conf_high=high,
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else tidy_frame(fit, estimate=[])


def _wald(estimate: FloatArray, se: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import ndtri

    half = ndtri((1 + level) / 2) * se
    return estimate - half, estimate + half


def tidy_frame(fit: FitTables, **columns: Any) -> pd.DataFrame:
    """Return a table with ``COLUMNS``; those that are not given are missing."""
    size = len(columns["estimate"])
    text = ("effect", "group", "level", "term")
    filled = {
        name: columns.get(name, [None] * size if name in text else np.full(size, np.nan))
        for name in COLUMNS[:-1]
    }
    return pd.DataFrame({**filled, "method": [fit.method] * size}, columns=list(COLUMNS))
