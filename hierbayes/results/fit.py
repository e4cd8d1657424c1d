"""A fit by either estimator, and what is asked of both in the same words."""

import numpy as np
import pandas as pd

from hierbayes.design.column_seen import ColumnSeen
from hierbayes.design.values import Vector
from hierbayes.naming.addresses import effect_labels
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.streams.table import StreamedTable

Fit = LikelihoodFit | PosteriorFit


def used_column(fit: Fit, name: str) -> Vector:
    """Return a column of the user's data in the rows used: numbers, Factor or Logical."""
    if is_streamed(fit):
        return seen_column(fit, name).vector()
    return fit.design.rows.of(fit.spec.table.column(name))


def column_of_summands(fit: Fit, name: str) -> Vector:
    """Return a column in the rows used, or in the cells that stand for these."""
    return fit.design.summands.rows.of(fit.spec.table.column(name))


def is_streamed(fit: Fit) -> bool:
    """Whether the rows were a stream of which sums were kept."""
    return isinstance(fit.spec.table, StreamedTable)


def seen_column(fit: Fit, name: str) -> ColumnSeen:
    """Return levels, or mean and range, of a column of the fixed part of a streamed model."""
    table = fit.spec.table
    assert isinstance(table, StreamedTable)
    return table.seen(name)


def labelled_effects(fit: Fit, level: float = 0.95) -> pd.DataFrame:
    """Return ``fit.tidy("ran_vals")`` with the labels of the columns as terms, each once."""
    table = fit.tidy(effects="ran_vals", level=level)
    labels = [
        np.repeat(np.array(effect_labels(fit.design, f), dtype=object), factor.levels.size)
        for f, factor in enumerate(fit.design.factors)
    ]
    if not labels:
        return table.iloc[:0]
    named = np.concatenate(labels)  # of the mean: those of further parameters come behind
    return table.iloc[: named.size].assign(term=named)
