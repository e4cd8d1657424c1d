"""Autocorrelation of residuals within series, by lag.

With e_i the residuals, n_k the pairs of rows of one series that are k apart,

    r_k = (sum of e_i e_j over these pairs / n_k) / (sum of e_i^2 / n).

Where the residuals are independent of variance one, r_k is about normal with sd 1 / sqrt(n_k).

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3.3; nlme's ACF.
"""

from typing import Any, Literal

import numpy as np

from hierbayes.arrays import IntArray
from hierbayes.calls import checked_call
from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.series import WHOLE, Series, series_of
from hierbayes.design.values import column_of
from hierbayes.errors import OptionError
from hierbayes.formula.residual_term import ResidualTerm, parse_residual
from hierbayes.options import check_option, is_whole
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.tidy import check_level
from hierbayes.wording import shown

Standardised = Literal["normalized", "pearson", "response"]
MOST_LAGS = 10.0  # times the decimal logarithm of the longest series, as in nlme


@checked_call("hb.autocorrelation")
def autocorrelation(
    fit: LikelihoodFit,
    series: str | None = None,
    *,
    kind: Standardised = "normalized",
    max_lag: int | None = None,
    level: float = 0.95,
) -> ResultTable:
    """Autocorrelations of the residuals within series, by lag, with bounds of independent ones.

    Parameters
    ----------
    fit : LikelihoodFit
        By REML or ML of a linear model.
    series : str, optional
        ``"time | subject"``: where a row is, and in which series. That of ``residual=`` when not
        given.
    kind : {"normalized", "pearson", "response"}
        Which residuals. "normalized" are independent where the model holds, with its correlation
        of residuals; "pearson" show what correlation there is beside the random effects.
    max_lag : int, optional
        Largest lag. As in nlme 10 log10 of the rows of the longest series when not given, fewer
        where no series is so long.
    level : float
        Of the bounds.

    Returns
    -------
    pandas.DataFrame
        Index ``lag``; columns ``autocorrelation lower upper pairs``, the bounds those of
        independent residuals. Of times that are whole numbers a lag counts steps, the largest that
        all gaps are multiples of, so that a missing row is one; of others it counts rows in their
        order, as nlme does of all.

    Raises
    ------
    OptionError
        If there is no series, or an option is none of those above.
    DataError
        If two rows of a series are at one time.

    Notes
    -----
    Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3.3.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> table = hb.autocorrelation(fit, "Days | Subject", max_lag=2)
    >>> table.round(2)["autocorrelation"].tolist()
    [1.0, 0.38, 0.09]
    """
    if not isinstance(fit, LinearFit):
        raise OptionError(
            f"hb.autocorrelation needs a REML or ML fit of a linear model, not "
            f"{type(fit).__name__}."
        )
    check_option("kind", kind, Standardised)
    check_level(level)
    if max_lag is not None and not (is_whole(max_lag) and max_lag >= 1):
        raise OptionError(f"max_lag={shown(max_lag)} must be a whole number of at least 1.")
    rows = series_of_rows(fit, series)
    residuals = fit.residuals(kind).to_numpy(dtype=np.float64)
    first, second, lag = _pairs(rows, max_lag)
    longest = int(lag.max(initial=0))
    products = residuals[first] * residuals[second]
    pairs = np.bincount(lag, minlength=longest + 1)
    pairs[0] = residuals.size
    sums = np.bincount(lag, weights=products, minlength=longest + 1)
    sums[0] = residuals @ residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        found = sums / pairs / (sums[0] / pairs[0])
        reach = _reach(level) / np.sqrt(pairs)
    reach[0] = np.nan
    missing = pairs == 0
    columns = {
        "autocorrelation": found,
        "lower": np.where(missing, np.nan, -reach),
        "upper": np.where(missing, np.nan, reach),
        "pairs": pairs,
    }
    known = {
        "level": float(level),
        "kind": kind,
        "details": "bounds are those of independent residuals, normal quantiles over the root of "
        "the number of pairs",
    }
    table = result_table(columns, "autocorrelation", attrs=known)
    table.index.name = "lag"
    return table


def _reach(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def pairs_at(rows: Series, lag: int) -> tuple[IntArray, IntArray]:
    """Return the pairs of rows of one series at a lag, the earlier ones first."""
    first, second, lags = _pairs(rows, lag)
    return first[lags == lag], second[lags == lag]


def series_of_rows(fit: LinearFit, given: Any) -> Series:
    """Return the series of the rows: ``"time | subject"``, or None for those of ``residual=``."""
    if given is None:
        term = fit.design.residual
        if term is None or term.inner is None:
            raise OptionError(
                'hb.autocorrelation needs the series of the rows: series="time | subject", with '
                "the columns that say where a row is and what makes a series."
            )
        return _of_term(fit, parse_residual(f"car1{term.call[len(term.word) :]}", fit.spec.formula))
    if not isinstance(given, str) or "|" not in given:
        raise OptionError(f'series={shown(given)} must be text, for example "time | subject".')
    return _of_term(fit, parse_residual(f"car1({given})", fit.spec.formula))


def _of_term(fit: LinearFit, term: ResidualTerm) -> Series:
    """Read a term off the data; its columns need not be in the model."""
    design, table = fit.design, fit.spec.table
    assert term.inner is not None
    scope = Scope(table, term.text, states=dict(design.states), learning=False)
    values = {
        expression: design.rows.of(column_of(evaluate(expression, scope), table.n_rows))
        for expression in (*term.formula.bars[0].grouping, term.inner)
    }
    return series_of(term, values, design.row_labels, by_order=True)


def _pairs(rows: Series, max_lag: int | None) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs of rows of one series, (m,) and (m,), and how far they are apart, at least 1."""
    assert rows.time is not None
    order = np.lexsort((rows.time, rows.codes))
    codes, time = rows.codes[order], rows.time[order]
    counts = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(codes.size) - starts[codes]
    whole = bool((np.abs(time - np.round(time)) <= WHOLE).all())
    if whole:
        place = np.round(time).astype(np.intp)
    step = int(np.gcd.reduce(np.diff(place)[np.diff(codes) == 0])) if whole else 1
    usual = int(MOST_LAGS * np.log10(counts.max()))
    most = max(usual, 1) if max_lag is None else int(max_lag)
    lefts, rights, lags = [], [], []
    for apart in range(1, int(counts.max())):  # in the order of the rows, not in time
        same = np.flatnonzero(codes[apart:] == codes[:-apart])
        lag = (place[same + apart] - place[same]) // max(step, 1)
        near = lag <= most
        if not near.any():
            break
        lefts.append(order[same[near]])
        rights.append(order[same[near] + apart])
        lags.append(lag[near])
    none = np.empty(0, dtype=np.intp)
    return (
        np.concatenate([*lefts, none]),
        np.concatenate([*rights, none]),
        np.concatenate([*lags, none]),
    )
