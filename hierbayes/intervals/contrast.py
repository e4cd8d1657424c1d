"""Estimates, intervals and tests of linear combinations of fixed effects (``fit.contrast``)."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.intervals.kenward_roger import kenward_roger
from hierbayes.intervals.linear_tests import FTest, f_test, row_tests
from hierbayes.intervals.satterthwaite import held_notes
from hierbayes.options import Ddf, check_flag, check_option
from hierbayes.results.contrast_matrix import ContrastMatrix, checked_rhs, contrast_matrix
from hierbayes.results.f_table import F_COLUMNS, FTable
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tidy import check_level

LONGEST_LABEL = 40  # of a row of a printed table
METHODS: dict[str, str] = {
    "satterthwaite": "with Satterthwaite's method",
    "kenward-roger": "with Kenward-Roger's method",
    "normal": "with infinite denominator df",
    "none": "without denominator df",
}


def contrast(
    fit: LikelihoodFit, L: Any, *, ddf: Ddf, level: float, rhs: Any, joint: bool
) -> ResultTable | FTable:
    """Build ``LikelihoodFit.contrast``; see there."""
    check_option("ddf", ddf, Ddf)
    check_level(level)
    check_flag("joint", joint, "True (one F test of all rows) or False (a t test of each)")
    rows = contrast_matrix(L, fit)
    right = checked_rhs(rhs, rows.L.shape[0])
    if joint:
        return _joint(fit, rows, ddf=ddf, rhs=right)
    tests = row_tests(fit, rows.L, ddf=ddf, rhs=right)
    low, high = tests.interval(level)
    known = {"level": level, "ddf": ddf, "rhs": right.tolist(), "interval": "confidence"}
    return result_table(
        {
            "estimate": tests.estimate,
            "std_error": tests.std_error,
            "statistic": tests.statistic,
            "df": tests.df,
            "p_value": tests.p_value,
            "conf_low": low,
            "conf_high": high,
        },
        "contrast",
        index=pd.Index(rows.labels, name="contrast"),
        attrs={**known, "notes": list(tests.notes)},
    )


def _joint(fit: LikelihoodFit, rows: ContrastMatrix, *, ddf: Ddf, rhs: FloatArray) -> FTable:
    test = f_test(fit, rows.L, ddf=ddf, rhs=rhs)
    pairs = zip(rows.labels, rhs.tolist(), strict=True)
    label = ", ".join(f"{name} = {value:g}" for name, value in pairs)
    if len(label) > LONGEST_LABEL:
        label = f"all {len(rows.labels)} rows"
    return f_table(fit, {label: test}, f"F test {method_words(fit, ddf)}", ddf=ddf)


def f_table(
    fit: LikelihoodFit,
    tests: dict[str, FTest],
    title: str,
    *,
    ddf: Ddf,
    type: int = 0,
    notes: tuple[str, ...] = (),
) -> FTable:
    """Lay out tests of one fit, by the labels of rows; further notes come last."""
    return FTable(
        table=_f_frame(tests),
        title=title,
        formula_text=fit.formula_text,
        ddf=ddf,
        type=type,
        notes=(*_test_notes(fit, tests, ddf), *notes),
    )


def _test_notes(fit: LikelihoodFit, tests: dict[str, FTest], ddf: Ddf) -> tuple[str, ...]:
    """Say why tests are missing that were asked for, and which parameters are held."""
    held = held_notes(fit, ddf) if any(test.num_df for test in tests.values()) else ()
    return (*_missing_notes(fit, tests, ddf), *held)


def _missing_notes(fit: LikelihoodFit, tests: dict[str, FTest], ddf: Ddf) -> tuple[str, ...]:
    missing = [label for label, test in tests.items() if test.num_df and np.isnan(test.den_df)]
    empty = [label for label, test in tests.items() if not test.num_df]
    notes: tuple[str, ...] = ()
    if empty:
        notes = (
            f"No test of {', '.join(empty)}: all columns depend on those of the other terms, so "
            "there is nothing to estimate.",
        )
    if not missing or ddf in ("normal", "none"):
        return notes
    assert isinstance(fit, LinearFit)  # others have no degrees of freedom that could be missing
    if ddf == "satterthwaite" or fit.alternatives or kenward_roger(fit).flat.size:
        why = "it hangs on variances of which these data say nothing."
    else:
        why = (
            "the data say so little about the variances that no F distribution has the moments of "
            "Kenward and Roger's statistic. ddf='satterthwaite' has a test."
        )
    return (*notes, f"No test of {', '.join(missing)}: {why}")


def method_words(fit: LikelihoodFit, ddf: Ddf) -> str:
    """Say how denominator degrees of freedom were found, as the end of a title."""
    plain = fit.is_linear_model and not fit.residual_names
    if plain and ddf in ("satterthwaite", "kenward-roger"):
        known = not fit.has_residual_sd
        return "(known residual sds)" if known else "(no random effects: exact F tests)"
    return METHODS[ddf]


def _f_frame(tests: dict[str, FTest]) -> pd.DataFrame:
    """Lay F tests out as the table of an ``FTable``."""
    found = list(tests.values())
    mean = np.array([test.mean_square for test in found], dtype=float)
    q = np.array([test.num_df for test in found], dtype=float)
    columns = (
        mean * q,
        mean,
        np.where(q > 0, q, np.nan),
        [test.den_df for test in found],
        [test.f_value for test in found],
        [test.p_value for test in found],
    )
    table = pd.DataFrame(dict(zip(F_COLUMNS, columns, strict=True)), index=list(tests))
    return table.astype(float)
