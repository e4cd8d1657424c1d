"""Data from what is published: coefficients with standard errors, means and sds of cells.

Cells: of a Gaussian model whose columns are the same within a cell, the likelihood of the rows of a
cell depends on their number, mean and sd alone. So any rows with these have the same likelihood;
those made here lie evenly about the mean.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.calls import checked_call
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import Factor, Logical
from hierbayes.errors import DataError, OptionError
from hierbayes.model.model import Model
from hierbayes.priors.distributions import Flat
from hierbayes.results.published_model import PublishedModel
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.studies.lme4_summary import COLUMNS
from hierbayes.wording import listed, shown

TERMS = ("term", "Term", "coefficient", "parameter", "name", "Effect", "effect", "Predictor")
ESTIMATES = ("estimate", "Estimate", "coef", "Coef", "beta", "b", "B", "mean")
ERRORS = ("std_error", "std.error", "Std. Error", "SE", "se", "std_err", "s.e.")
MOST_DECIMALS = 12  # of a printed number
KNOWN_SD = "known_sd"
CELL_NOTES = (
    "These rows have the numbers, means and sds of the cells, and with them the likelihood of "
    "every Gaussian model whose predictors and groups do not vary within a cell.",
    "They are no data: what lies within a cell is made up, so skewness, outliers, trends and who "
    "gave which response can't be told from them; checks of residuals mean nothing.",
)


@checked_call("hb.read_coefficients")
def read_coefficients(
    table: Any,
    *,
    term: str | None = None,
    estimate: str | None = None,
    std_error: str | None = None,
    correlation: Any = None,
    formula: str = "",
) -> PublishedModel:
    """Read a table of coefficients and standard errors.

    Parameters
    ----------
    table : data frame, dict of columns or path of a CSV file
        One row a coefficient.
    term, estimate, std_error : names of the columns
        Found by their usual names ("term", "Estimate", "Std. Error", ...) unless said.
    correlation : array, shape (p, p), optional
        Correlations of the coefficients, where they were published.
    formula : str, optional
        Of the model, for the record.

    Returns
    -------
    PublishedModel

    Raises
    ------
    OptionError
        If a column is not there, or correlations are not those of p coefficients.
    DataError
        If a number is missing or a standard error is not positive.

    Examples
    --------
    >>> import hierbayes as hb
    >>> table = {"term": ["(Intercept)", "Days"], "estimate": [251.4, 10.5], "se": [6.8, 1.5]}
    >>> hb.read_coefficients(table).fixef()["Days"]
    np.float64(10.5)
    """
    read = read_table(table)
    names = _texts(read, _column(read, "term", term, TERMS))
    values = _numbers(read, _column(read, "estimate", estimate, ESTIMATES))
    errors = _numbers(read, _column(read, "std_error", std_error, ERRORS))
    if len(set(names)) != len(names) or not names:
        raise DataError("A table of coefficients has one row a coefficient, each of its own name.")
    if not np.isfinite(values).all() or not (errors > 0).all():
        raise DataError("Each coefficient needs an estimate and a standard error above zero.")
    rows = [
        ("fixed", None, name, value, error, np.nan, _rounding(value))
        for name, value, error in zip(names, values.tolist(), errors.tolist(), strict=True)
    ]
    return PublishedModel(
        table=pd.DataFrame(rows, columns=COLUMNS),
        correlation=_checked_correlation(correlation, len(names)),
        formula_text=formula,
    )


@checked_call("hb.read_cells")
def read_cells(
    table: Any,
    *,
    mean: str = "mean",
    sd: str | None = None,
    se: str | None = None,
    n: str = "n",
    response: str = "y",
) -> ResultTable:
    """Make rows that have the published number, mean and sd of each cell of a design.

    Any Gaussian model whose predictors and grouping factors are columns of the table has the
    likelihood of the original rows: the same estimates, standard errors, posteriors and Bayes
    factors, as far as the printed digits go.

    Parameters
    ----------
    table : data frame, dict of columns or path of a CSV file
        One row a cell.
    mean, sd, n : names of the columns of each cell's mean, sd (of its rows, divided by n - 1) and
        number of rows; "sd" unless said
    se : name of a column of standard errors of the means, in place of sds
    response : how the column of the rows made is called

    Returns
    -------
    DataFrame
        One row for each row of a cell: the table's other columns, and the response.

    Raises
    ------
    OptionError
        If a column is not there, or the response's name is taken.
    DataError
        If a number is missing, n no whole number, or an sd is negative or missing where n > 1.

    Examples
    --------
    >>> import hierbayes as hb
    >>> cells = {"dose": ["low", "high"], "mean": [4.1, 5.3], "sd": [1.2, 1.4], "n": [20, 22]}
    >>> rows = hb.read_cells(cells)
    >>> hb.lmer("y ~ dose", rows).nobs
    42
    """
    read = read_table(table)
    if sd is not None and se is not None:
        raise OptionError("sd= and se= were both given; one says how the rows of a cell differ.")
    spread = (sd or "sd") if se is None else se
    for name in (mean, spread, n):
        if name not in read.names:
            raise OptionError(f"The table has no column {shown(name)}: {listed(read.names)}.")
    others = [name for name in read.names if name not in (mean, spread, n)]
    if response in others:
        raise OptionError(
            f"response={shown(response)} is a column of the table; give another name."
        )
    means, sds, counts = (_numbers(read, name) for name in (mean, spread, n))
    if not (np.isfinite(counts).all() and (counts >= 1).all() and (counts % 1 == 0).all()):
        raise DataError(f"The column {n!r} must hold whole numbers of rows, at least 1 a cell.")
    if se is not None:
        sds = sds * np.sqrt(counts)
    bad = (counts > 1) & ~(sds >= 0)
    if not np.isfinite(means).all() or bad.any():
        first = int(np.flatnonzero(bad | ~np.isfinite(means))[0])
        raise DataError(
            "Each cell needs a mean, and one of several rows an sd that is not negative; row "
            f"{first + 1} of the table has not."
        )
    each = counts.astype(int)
    y = [_spread_rows(m, s, k) for m, s, k in zip(means, sds, each, strict=True)]
    frame = pd.DataFrame({name: _repeated(read, name, each) for name in others})
    frame[response] = np.concatenate(y)
    return result_table(frame, "read_cells", attrs={"notes": CELL_NOTES})


def model_of(published: PublishedModel, priors: Any = None) -> Model:
    """Return the model of published coefficients; see ``PublishedModel.model``."""
    own = published.coefficients
    if len(own) == 1:
        return _model(
            own.index.tolist(), own["estimate"], 1 / own[["std_error"]].to_numpy(), priors
        )
    root = np.linalg.cholesky(np.linalg.inv(published.vcov().to_numpy())).T
    return _model(own.index.tolist(), own["estimate"], root, priors)


def one_coefficient(published: PublishedModel, term: str | None) -> PublishedModel:
    """Return one coefficient of a published model, the last one unless named.

    Its own likelihood is that of all coefficients with flat priors on the others.
    """
    names = published.coefficients.index.tolist()
    name = names[-1] if term is None else term
    if name not in names:
        raise OptionError(f"term={shown(term)} is not one of {listed(list(map(str, names)))}.")
    rows = published.table[
        (published.table["effect"] == "fixed") & (published.table["term"] == name)
    ]
    return PublishedModel(
        table=rows.reset_index(drop=True),
        correlation=np.eye(1),
        data_name=published.data_name,
        source=published.source,
    )


def _model(names: Sequence[str], estimates: Any, root: FloatArray, priors: Any) -> Model:
    """Rows L b + 1 and L b - 1 with the columns of L and a known sd of sqrt(2)."""
    middle = root @ np.asarray(estimates, dtype=np.float64)
    columns = {name: np.repeat(root[:, k], 2) for k, name in enumerate(names)}
    taken = {"estimate", KNOWN_SD} & set(columns)
    if taken:
        raise DataError(f"A coefficient can't be called {listed(sorted(taken))} here; rename it.")
    data = {
        "estimate": np.repeat(middle, 2) + np.tile([1.0, -1.0], len(middle)),
        KNOWN_SD: np.full(2 * len(middle), np.sqrt(2)),
        **columns,
    }
    right = " + ".join(f"`{name}`" for name in names)
    flat: dict[str, Any] = {"b": Flat()}
    return Model(
        f"estimate ~ 0 + {right}", data, known_sd=KNOWN_SD, priors=flat | dict(priors or {})
    )


def _column(table: Table, what: str, given: str | None, usual: Sequence[str]) -> str:
    """Return the name of a column, as given or by its usual names."""
    if given is not None:
        if given not in table.names:
            raise OptionError(f"The table has no column {shown(given)}: {listed(table.names)}.")
        return given
    found = [name for name in usual if name in table.names]
    if not found:
        raise OptionError(
            f"No column of the table is called as {what}s usually are; name it: {what}="
            f"{listed([repr(name) for name in table.names], 'or')}."
        )
    return found[0]


def _texts(table: Table, name: str) -> list[str]:
    column = table.column(name)
    if not isinstance(column, Factor):
        return [str(value) for value in table.raw(name)]
    return [str(column.levels[code]) for code in column.codes]


def _numbers(table: Table, name: str) -> FloatArray:
    column = table.column(name)
    if isinstance(column, Factor | Logical):
        raise DataError(f"The column {name!r} must hold numbers.")
    return np.asarray(column, dtype=np.float64)


def _rounding(value: float) -> float:
    """Half a unit of the last digit of a number that was typed in."""
    text = np.format_float_positional(value, trim="-")
    decimals = min(len(text.partition(".")[2]), MOST_DECIMALS)
    return float(0.5 * 10.0**-decimals)


def _checked_correlation(given: Any, p: int) -> FloatArray | None:
    if given is None:
        return np.eye(1) if p == 1 else None
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if (
        found.shape != (p, p)
        or not np.allclose(found, found.T)
        or not np.allclose(found.diagonal(), 1)
    ):
        raise OptionError(
            f"correlation= must be a symmetric matrix of {p} rows and columns with ones on its "
            "diagonal."
        )
    return found


def _spread_rows(mean: float, sd: float, n: int) -> FloatArray:
    """N numbers of a given mean and sd, evenly about the mean."""
    if n == 1:
        return np.array([mean])
    steps = np.arange(n) - (n - 1) / 2
    return np.asarray(mean + sd * steps / steps.std(ddof=1))


def _repeated(table: Table, name: str, each: Any) -> Any:
    """Return a column of the cells as one of rows; categories stay categories."""
    column = table.column(name)
    if isinstance(column, Factor):
        dtype = pd.CategoricalDtype([str(level) for level in column.levels], column.ordered)
        return pd.Categorical.from_codes(np.repeat(column.codes, each), dtype=dtype)
    if isinstance(column, Logical):
        truths = [None if np.isnan(value) else bool(value) for value in column.values]
        return pd.array(np.repeat(np.array(truths, dtype=object), each), dtype="boolean")
    return np.repeat(np.asarray(column), each)
