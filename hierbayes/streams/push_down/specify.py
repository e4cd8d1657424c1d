"""From a lazy frame to what a model needs of it, by queries alone: no row leaves the engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np

from hierbayes.arrays import record
from hierbayes.design.design import Design
from hierbayes.gaussian.products import Products
from hierbayes.streams.batch_values import Question
from hierbayes.streams.first_pass import Learnt
from hierbayes.streams.kept_sums import StreamSums
from hierbayes.streams.push_down.cross_products import Summed, products_inside
from hierbayes.streams.push_down.learning import learn_inside
from hierbayes.streams.push_down.rows import Plan, UsedRows
from hierbayes.streams.source import unreadable
from hierbayes.streams.table import Asked
from hierbayes.streams.template import made_rows, template_of, with_moments, with_sums

# Whose errors are about the data or the query, not about code of ours.
ENGINES = frozenset(("duckdb", "_duckdb", "polars", "narwhals"))


@record
class Pushed:
    """What queries found a model to be.

    Attributes
    ----------
    design : columns, levels, states and moments; no rows
    products : cross-products of all rows
    learnt : what was learnt of the rows
    plan : the queries, in the order they were asked
    """

    design: Design
    products: Products
    learnt: Learnt
    plan: tuple[Asked, ...]


def push_down(
    question: Question,
    frame: nw.LazyFrame[Any],
    *,
    contrasts: Mapping[str, Any] | None = None,
) -> Pushed:
    """Compute all that a Gaussian model needs of its rows inside of an engine.

    Parameters
    ----------
    question : formula and arguments
    frame : the data
    contrasts : coding of factors in the fixed part

    Raises
    ------
    NotPushed
        With the sentence that says why the rows have to be streamed instead.
    DataError
        If the data can't carry the model, as for data in memory.
    """
    try:
        return _inside(question, frame, contrasts)
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in ENGINES:
            raise
        raise unreadable("the data", error) from error


def _inside(
    question: Question, frame: nw.LazyFrame[Any], contrasts: Mapping[str, Any] | None
) -> Pushed:
    rows, plan = UsedRows(frame, question.columns), Plan()
    learnt = learn_inside(question, rows, plan)
    design = template_of(question, learnt, contrasts=contrasts)
    found = products_inside(
        rows, design, arguments=question.arguments, n_used=learnt.n_used, plan=plan
    )
    learnt = replace(learnt, columns={**found.numbers, **learnt.columns})
    return Pushed(
        design=_with_what_is_kept(design, learnt, found),
        products=found.products,
        learnt=learnt,
        plan=tuple(plan.asked),
    )


def _with_what_is_kept(design: Design, learnt: Learnt, found: Summed) -> Design:
    """Return the design with its sums, where these are of all columns and rows are not weighted."""
    if found.counts is None or found.products.anchor.kept.size < len(design.coef_names):
        return with_moments(design, found.moments)
    n_made, made = made_rows(design, learnt)
    sums = StreamSums(
        design=design,
        whole=found.products,
        moments=found.moments,
        made=made,
        n_made=n_made,
        counts=found.counts,
        grams={factor.name: np.empty((factor.levels.size, 0)) for factor in design.factors},
    )
    return with_sums(design, sums)
