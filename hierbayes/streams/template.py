"""The design of a stream: columns, levels and states as they were learnt, and no rows.

Its arrays are ``NotKept``. Every batch is laid out in its columns: ``design/coding.py`` fills them
as it does for data in memory, ``levels.py`` finds the levels.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.design.checks import check_levels
from hierbayes.design.coding import check_codings, fill_columns, plan_layout
from hierbayes.design.design import MEAN, Design
from hierbayes.design.grouping import factor_columns, random_part
from hierbayes.design.kept_sums import KeptSums
from hierbayes.design.layout import Layout, OffsetLayout
from hierbayes.design.moments import RowMoments
from hierbayes.design.not_kept import not_kept
from hierbayes.design.predictor import Predictor
from hierbayes.design.rows import Rows
from hierbayes.design.values import Column, Factor, Logical, as_numbers, refuse_caution
from hierbayes.errors import DataError, FormulaError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression
from hierbayes.streams.batch_values import BatchValues, Question, values_of
from hierbayes.streams.first_pass import Learnt
from hierbayes.streams.levels import UNKNOWN, GroupCoder
from hierbayes.streams.source import Batch, constant

ROWS_A_COLUMN = 20  # of rows that are made up: enough for every combination of a few levels
FEW = 2  # rows of a made-up column, at least: two different numbers


def template_of(
    question: Question, learnt: Learnt, *, contrasts: Mapping[str, Any] | None = None
) -> Design:
    """Make the design of a stream from what its first pass learnt.

    Parameters
    ----------
    question : formula and arguments
    learnt : levels, states, numbers of rows
    contrasts : coding of factors in the fixed part, as for ``build_design``

    Raises
    ------
    DataError, FormulaError, OptionError
        As ``build_design``: a factor of one level, a grouping factor with one row a level ...
    """
    formula, n = question.formula, learnt.n_used
    size = max([FEW, *(seen.n_levels for seen in learnt.variables.values())])
    values = {name: seen.column(size) for name, seen in learnt.variables.items()}
    _check_response(question, values)
    fixed = plan_layout(formula.fixed, values, check_codings(contrasts, [formula.fixed], values))
    known = {name: levels.combinations() for name, levels in learnt.groups.items()}
    random = random_part(formula, values, size, known=known)
    known_sd = "known_sd" in question.arguments
    check_levels(random.factors, random.terms, formula=formula, n_rows=n, allow_saturated=True)
    factors = tuple(
        replace(
            factor,
            codes=not_kept(f"the levels of {factor.name} of the rows", n, dtype=np.intp),
            z=not_kept(f"the columns of the effects of {factor.name}", n, len(factor.columns)),
        )
        for factor in random.factors
    )
    has_offset = bool(formula.fixed.offsets) or "offset" in question.arguments
    mean = Predictor(
        X=not_kept("the fixed-effects columns of the rows", n, len(fixed.names)),
        layout=fixed,
        factors=factors,
        terms=random.terms,
        offset=not_kept("the offset of the rows", n) if has_offset else None,
        offset_layout=OffsetLayout(
            terms=formula.fixed.offsets, argument=question.arguments.get("offset")
        ),
    )
    weighed = "weights" in question.arguments
    rows = Rows(
        response=not_kept("the response of the rows", n),
        labels=not_kept("the labels of the rows", n, dtype=object),
        positions=not_kept("the places of the rows in the data", n, dtype=np.intp),
        n_given=learnt.n_given,
        dropped=dict(learnt.dropped),
        values={name: _without_rows(value, name, n) for name, value in values.items()},
        weights=not_kept("the weights of the rows", n) if weighed else None,
        known_sd=not_kept("the known residual sds of the rows", n) if known_sd else None,
        precision_source=question.arguments.get("weights", question.arguments.get("known_sd")),
    )
    return Design(formula=formula, rows=rows, predictors={MEAN: mean}, states=learnt.states)


def with_moments(design: Design, moments: RowMoments) -> Design:
    """Return the design of a stream with the moments of its columns."""
    return replace(design, rows=replace(design.rows, moments=moments))


def with_sums(design: Design, sums: KeptSums) -> Design:
    """Return the design of a stream with what is kept of its rows."""
    return replace(design, rows=replace(design.rows, moments=sums.moments, sums=sums))


def made_rows(design: Design, learnt: Learnt) -> tuple[int, dict[Expression, Column]]:
    """Make rows up in which every variable has numbers or levels of its own, and their number."""
    p = len(design.coef_names) + sum(len(factor.columns) for factor in design.factors)
    n = ROWS_A_COLUMN * (p + max((seen.n_levels for seen in learnt.variables.values()), default=1))
    random = np.random.default_rng(0)
    return n, {name: seen.made(n, random) for name, seen in learnt.variables.items()}


def _without_rows(value: Column, name: Expression, n: int) -> Any:
    what = f"the values of {deparse(name)}"
    if isinstance(value, Factor):
        return replace(value, codes=not_kept(what, n, dtype=np.intp))
    if isinstance(value, Logical):
        return Logical(not_kept(what, n))
    return not_kept(what, n)


def _check_response(question: Question, values: Mapping[Expression, Column]) -> None:
    formula = question.formula
    value = values[formula.response]
    if isinstance(value, Factor):
        raise DataError(
            f"The response {formula.response_label!r} holds categories, not numbers. Choose a "
            "column of numbers."
        )
    if not isinstance(value, np.ndarray | Logical):
        raise DataError(
            "cbind(...) as a response is for binomial models; a Gaussian model has one "
            "response column."
        )


@record
class BatchRows:
    """The rows of a batch in the columns of a design.

    Attributes
    ----------
    y : array, shape (n,), the response
    offset : array, shape (n,), or None
    X : array, shape (n, p)
    codes : per grouping factor, array of int, shape (n,)
    z : per grouping factor, array (n, q)
    weights : array, shape (n,), precision weights of the likelihood, or None
    """

    y: FloatArray
    offset: FloatArray | None
    X: FloatArray
    codes: tuple[IntArray, ...]
    z: tuple[FloatArray, ...]
    weights: FloatArray | None

    @property
    def left(self) -> FloatArray:
        """The response without its offset, shape (n,)."""
        return self.y if self.offset is None else self.y - self.offset


class Layer:
    """Lays batches out in the columns of a stream's design; made once, used by all threads."""

    def __init__(self, question: Question, design: Design, learnt: Learnt) -> None:
        self.question = question
        self.design = design
        self.states = learnt.states
        self.sample = learnt.sample
        self._coders = [GroupCoder(learnt.groups[factor.name]) for factor in design.factors]

    def rows(self, found: BatchValues, batch: Batch) -> BatchRows:
        """Lay out what was read of a batch.

        Raises
        ------
        DataError
            If it has a level that was not there before; names the part.
        """
        design, n = self.design, found.n_used
        formula = self.question.formula
        values = found.values
        try:
            X = fill_columns(design.mean.layout, self._of_kinds(design.mean.layout, values), n)
            z = tuple(
                factor_columns(factor.layout, self._of_kinds(factor.layout.bars, values), n)
                for factor in design.factors
            )
        except DataError as error:
            raise DataError(f"In {batch.part} of the stream: {error}") from None
        codes = []
        for factor, coder in zip(design.factors, self._coders, strict=True):
            grouping = factor.layout.grouping
            own = coder.codes([values[expression] for expression in grouping])
            _check_known(own, factor.name, [values[e] for e in grouping], batch, found)
            codes.append(own)
        response = values[formula.response]
        assert isinstance(response, np.ndarray | Logical)
        weights = found.arguments.get("weights")
        if "known_sd" in found.arguments:
            weights = found.arguments["known_sd"] ** -2.0
        return BatchRows(
            y=as_numbers(response),
            offset=self._offset(values, found.arguments),
            X=X,
            codes=tuple(codes),
            z=z,
            weights=weights,
        )

    def _of_kinds(
        self, layouts: Layout | tuple[Layout, ...], values: Mapping[Expression, Column]
    ) -> dict[Expression, Column]:
        several = layouts if isinstance(layouts, tuple) else (layouts,)
        return {v.expression: values[v.expression] for own in several for v in own.variables()}

    def _offset(
        self, values: Mapping[Expression, Column], arguments: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        offsets = self.question.formula.fixed.offsets
        parts: list[FloatArray] = []
        for expression in offsets:
            own = values[expression]
            refuse_caution(own)
            if not isinstance(own, np.ndarray):
                raise FormulaError(
                    f"offset() needs numbers: {deparse(expression)} holds categories."
                )
            parts.append(as_numbers(own))
        if "offset" in arguments:
            parts.append(arguments["offset"])
        return np.sum(parts, axis=0) if parts else None


def _check_known(
    codes: IntArray, name: str, values: list[Any], batch: Batch, found: BatchValues
) -> None:
    """Raise DataError for a level that was not there when levels were learnt."""
    if not codes.size or codes.min() > UNKNOWN:
        return
    from hierbayes.design.values import as_factor

    first = int(np.flatnonzero(codes == UNKNOWN)[0])
    parts = [as_factor(value) for value in values]
    label = ":".join(str(own.levels[own.codes[first]]) for own in parts)
    place = first if found.rows is None else int(found.rows[first])
    raise DataError(
        f"{name} has the level {label!r} in row {batch.row(place)}, which was not there when the "
        "levels were learnt: the stream has changed between two passes, or the levels given "
        "lack it."
    )


def sample_rows(layer: Layer) -> list[BatchRows]:
    """Lay the sample of the first pass out in the columns of the design."""
    return [
        layer.rows(values_of(layer.question, table, layer.states, batch=batch), batch)
        for table in layer.sample
        for batch in [Batch(part="the sample", first=0, read=constant(table))]
    ]
