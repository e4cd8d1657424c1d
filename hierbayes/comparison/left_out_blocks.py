"""What is left out at once: rows one by one, levels of a factor, or any blocks of rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hierbayes.arrays import IntArray, record
from hierbayes.bayes.predictive import flat_draws
from hierbayes.comparison.collapsed_draws import LeftOut
from hierbayes.design.columns import typed
from hierbayes.design.values import Factor, as_factor
from hierbayes.errors import DataError, OptionError
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import meant, shown


@record
class Blocks:
    """Rows by what they are left out with.

    Attributes
    ----------
    codes : array of int, shape (n,), the block of each row
    labels : of the J blocks
    name : what a block is called; None where each is a row
    factor : position of the grouping factor whose levels the blocks are, or None
    """

    codes: IntArray
    labels: npt.NDArray[Any]
    name: str | None
    factor: int | None = None

    @property
    def index(self) -> pd.Index:
        """The labels as the index of a table."""
        return pd.Index(self.labels, name=self.name or "row")

    @property
    def n_rows(self) -> IntArray:
        """Rows of each block, shape (J,)."""
        return np.bincount(self.codes, minlength=self.labels.size)


def left_out(fit: PosteriorFit, blocks: Blocks) -> LeftOut:
    """Return a Gaussian posterior with the blocks of its rows to leave out."""
    return LeftOut(
        kernel=fit.spec.kernel("reml"),
        priors=fit.priors,
        design=fit.design,
        weights=fit.weights,
        flat=flat_draws(fit.draws, fit.design),
        codes=blocks.codes,
        levels=blocks.labels,
        name=blocks.name or "row",
        factor=blocks.factor,
    )


def blocks_of(fit: PosteriorFit, by: Any) -> Blocks:
    """Read ``by``: None (rows), a grouping factor, a column of the data, or a label for each row.

    Raises
    ------
    OptionError
        If it is none of these.
    DataError
        If a row has no label, or all have one.
    """
    design = fit.design
    if by is None:
        n = fit.nobs
        return Blocks(codes=np.arange(n), labels=design.row_labels.to_numpy(), name=None)
    names = [factor.name for factor in design.factors]
    if isinstance(by, str) and by in names:
        position = names.index(by)
        factor = design.factors[position]
        if factor.relation is not None:  # levels without rows are no blocks
            return _of_labels(Factor(codes=factor.codes, levels=factor.levels), by)
        return _checked(Blocks(codes=factor.codes, labels=factor.levels, name=by, factor=position))
    if isinstance(by, str):
        table = fit.spec.table
        if by not in table.names:
            known = ", ".join(map(repr, names))
            which = f"one of the grouping factors {known} or" if names else "the name of"
            hint = meant(by, [*names, *table.names])
            raise OptionError(f"by={shown(by)} is not {which} a column of the data{hint}")
        return _of_labels(as_factor(design.rows.of(table.column(by))), by)
    if not isinstance(by, (list, tuple, np.ndarray, pd.Series, pd.Index, pd.Categorical)):
        raise OptionError(
            f"by={shown(by)} is no grouping factor, no column of the data and no label for each "
            "row."
        )
    labels = as_factor(typed(pd.Series(by), "by"))
    if labels.codes.size == design.n_rows_given:
        labels = design.rows.of(labels)
    if labels.codes.size != fit.nobs:
        given = f" or {design.n_rows_given} given" if design.n_rows_given != fit.nobs else ""
        raise OptionError(
            f"by has {labels.codes.size} labels for the {fit.nobs} rows used{given}; give one a "
            "row."
        )
    return _of_labels(labels, "block")


def _of_labels(labels: Factor, name: str) -> Blocks:
    missing = int((labels.codes < 0).sum())
    if missing:
        raise DataError(f"{name} is missing in {missing} of the rows used.")
    used, codes = np.unique(labels.codes, return_inverse=True)
    return _checked(Blocks(codes=codes, labels=labels.levels[used], name=name))


def _checked(blocks: Blocks) -> Blocks:
    if blocks.labels.size < 2:
        raise DataError(f"{blocks.name} has one level; without its rows nothing is left to learn.")
    return blocks
