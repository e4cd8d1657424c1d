"""From a stream to what a model needs of it: a design without rows, and the kernel of its sums.

Two passes, the first to learn (``first_pass.py``), the second to add up (``second_pass.py``), each
by two threads, one batch a thread: one reads while the other sums. What was added up is kept in a
checkpoint, if there is one, when reading ends early.
"""

import operator
import queue
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.design.reading import formula_expressions
from hierbayes.design.transforms import State
from hierbayes.errors import DataError, NotSupportedError
from hierbayes.formula.expressions import Expression
from hierbayes.formula.parser import columns_in
from hierbayes.formula.terms import Formula
from hierbayes.gaussian.kernel import kernel_of_products
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import Products
from hierbayes.linalg.threads import one_blas_thread
from hierbayes.streams.batch_values import Question, question_of, read_values
from hierbayes.streams.checkpoint import EVERY, Kept, key_of, read_checkpoint, write_checkpoint
from hierbayes.streams.first_pass import (
    Learnt,
    is_complete,
    learnt_from,
    looked_at,
    nothing_learnt,
    term_variables,
    with_states,
)
from hierbayes.streams.kept_sums import StreamSums
from hierbayes.streams.one_pass import add_up_once
from hierbayes.streams.partitions import PartitionSource
from hierbayes.streams.push_down.engines import lazy_frame_of
from hierbayes.streams.reading import THREADS, Reading
from hierbayes.streams.second_pass import Provisional, Sums, provisional_basis, shifts
from hierbayes.streams.source import Batch, Source
from hierbayes.streams.table import Passes
from hierbayes.streams.template import (
    Layer,
    made_rows,
    sample_rows,
    template_of,
    with_moments,
    with_sums,
)


@record
class StreamedModel:
    """What a stream was found to be.

    Attributes
    ----------
    design : columns, levels, states and moments; no rows
    products : cross-products of all rows
    learnt : what the first pass learnt
    passes : how the rows were gone through
    question : what was read of each batch
    """

    design: Design
    products: Products
    learnt: Learnt
    passes: Passes
    question: Question

    def kernel(self) -> Kernel:
        """Return the restricted likelihood of the model."""
        return kernel_of_products(self.design, self.products, "reml")


def specify_stream(
    formula: Formula,
    source: Source,
    *,
    arguments: Mapping[str, Any],
    contrasts: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    progress: bool | None = None,
    levels: Mapping[str, Any] | None = None,
) -> StreamedModel:
    """Go through a stream twice, or once, and return what a model needs of it.

    Where an engine holds the rows, it is asked for what both passes find, and no row leaves it.

    Parameters
    ----------
    formula : the formula, with ``.`` expanded
    source : the rows
    arguments : weights, offset and known_sd: column names, expressions or None
    contrasts : coding of factors in the fixed part
    checkpoint : file that keeps what was added up
    progress : show a progress bar; None where somebody watches
    levels : of categories, by column, those that were given

    Raises
    ------
    DataError
        If the stream can't carry the model; the message names the part and the row.
    """
    frame = None if levels else lazy_frame_of(source)
    inside = None if frame is None else _inside(formula, source, frame, arguments, contrasts)
    if isinstance(inside, StreamedModel):
        return inside
    question = question_of(formula, arguments, source, levels)
    passes = Passes(source=source.description, not_pushed=inside or "")
    kept, keep = None, None
    if checkpoint is not None:
        key = key_of(question, source.fingerprint, contrasts)
        kept = read_checkpoint(checkpoint, key, question)
        keep = partial(write_checkpoint, checkpoint, key)
    reading = Reading(source, question, progress=progress)
    with one_blas_thread(True):
        alone = checkpoint is None and not isinstance(source, PartitionSource)
        once = add_up_once(reading, contrasts=contrasts) if alone else None
        if once is not None:
            return StreamedModel(
                design=with_sums(once.design, once.sums),
                products=once.sums.products(once.design),
                learnt=once.learnt,
                question=question,
                passes=passes,
            )
        learnt = learn(reading) if kept is None else kept.learnt
        design = template_of(question, learnt, contrasts=contrasts)
        layer = Layer(question, design, learnt)
        sums = add_up(reading, layer, learnt, kept=kept, keep=keep)
    kept_sums = stream_sums(design, learnt, sums)
    return StreamedModel(
        design=with_sums(design, kept_sums),
        products=kept_sums.products(design),
        learnt=learnt,
        question=question,
        passes=passes,
    )


def _inside(
    formula: Formula,
    source: Source,
    frame: Any,
    arguments: Mapping[str, Any],
    contrasts: Mapping[str, Any] | None,
) -> StreamedModel | str:
    """Return what queries find the model to be, or why an engine can't be asked."""
    from hierbayes.streams.push_down.expressions import NotPushed
    from hierbayes.streams.push_down.specify import push_down

    question = question_of(formula, arguments, source)
    try:
        inside = push_down(question, frame, contrasts=contrasts)
    except NotPushed as reason:
        return str(reason)
    return StreamedModel(
        design=inside.design,
        products=inside.products,
        learnt=inside.learnt,
        question=question,
        passes=Passes(source=source.description, queries=inside.plan),
    )


def smaller_stream(
    question: Question,
    learnt: Learnt,
    design: Design,
    formula: Formula,
    *,
    contrasts: Mapping[str, Any] | None,
    passes: Passes,
) -> StreamedModel | None:
    """Return the model of another formula from the sums of a stream; None where they lack it.

    Parameters
    ----------
    question, learnt, design : of the model that was summed
    formula : the other one
    contrasts : coding of its factors
    passes : how the rows were gone through
    """
    sums = design.rows.sums
    if not isinstance(sums, StreamSums):  # made by queries
        return None
    names = dict.fromkeys([*columns_in(formula), *question.arguments_columns()])
    own = replace(
        question,
        formula=formula,
        expressions=tuple(dict.fromkeys(formula_expressions(formula))),
        columns=tuple(names),
    )
    known = {bar.group for bar in formula.bars} <= set(learnt.groups)
    variables = all(e in learnt.variables for e in term_variables(own))
    left_out = {name for name, count in learnt.dropped.items() if count}
    same_offset = formula.fixed.offsets == question.formula.fixed.offsets
    same = formula.response == question.formula.response and same_offset
    if not (known and variables and same and left_out <= set(names)):
        return None
    groups = {bar.group: learnt.groups[bar.group] for bar in formula.bars}
    used = {e: learnt.variables[e] for e in term_variables(own)}
    some = replace(learnt, groups=groups, variables=used)
    try:
        template = template_of(own, some, contrasts=contrasts)
        moments = sums.moments_of(template)
        products = sums.products(template)
    except NotSupportedError:  # columns that are no combinations of those summed
        return None
    return StreamedModel(
        design=with_moments(with_sums(template, sums), moments),
        products=products,
        learnt=learnt,
        question=question,
        passes=passes,
    )


def stream_sums(design: Design, learnt: Learnt, sums: Sums) -> StreamSums:
    """Return what is kept of a stream for all that is asked later."""
    n_made, made = made_rows(design, learnt)
    ends = np.cumsum([0, *(factor.levels.size for factor in design.factors)])
    at = {factor.name: slice(ends[f], ends[f + 1]) for f, factor in enumerate(design.factors)}
    return StreamSums(
        design=design,
        whole=sums.products(),
        moments=sums.row_moments(design),
        made=made,
        n_made=n_made,
        counts={name: sums.counts[own] for name, own in at.items()},
        grams={name: sums.grams[own] for name, own in at.items()},
    )


def learn(reading: Reading) -> Learnt:
    """Make first passes until all is known; nearly always one."""
    question = reading.question
    learnt = nothing_learnt({})
    while True:
        found = _learnt_of_all(reading, learnt.states)
        if not found.n_given:
            raise DataError("The stream has no rows.")
        if not found.n_used:
            counts = " and ".join(f"{name!r} in {n:,}" for name, n in found.dropped.items())
            raise DataError(
                f"No row is complete: of {found.n_given:,} rows, {counts} are missing. Leave a "
                "column out of the formula or fill it in."
            )
        reading.n_rows = found.n_given
        found = replace(found, dropped={n: found.dropped[n] for n in _in_order(question, found)})
        learnt = looked_at(question, with_states(question, found))
        if is_complete(question, learnt):
            return learnt


def _learnt_of_all(reading: Reading, states: Mapping[Expression, State]) -> Learnt:
    """Make one first pass."""
    question, source = reading.question, reading.source
    if isinstance(source, PartitionSource):
        return source.reduced(question.columns, _PartLearnt(question, states), operator.add)
    found = nothing_learnt(states)
    for own in reading.each(partial(_learnt_from, question, states), stage="Levels"):
        found = found + own
    return found


class _PartLearnt:
    """What is learnt from one partition, on the worker that has it."""

    def __init__(self, question: Question, states: Mapping[Expression, State]) -> None:
        self._question, self._states = question, states

    def __call__(self, batch: Batch) -> Learnt:
        return learnt_from(self._question, batch, self._states)


def _learnt_from(
    question: Question, states: Mapping[Expression, State], number: int, batch: Batch
) -> tuple[int, Learnt]:
    del number
    found = learnt_from(question, batch, states)
    return found.n_given, found


def _in_order(question: Question, found: Learnt) -> list[str]:
    """Columns with missing values, in the order of the formula."""
    return [
        *(n for n in question.columns if n in found.dropped),
        *(n for n in found.dropped if n not in question.columns),
    ]


def add_up(
    reading: Reading,
    layer: Layer,
    learnt: Learnt,
    *,
    kept: Kept | None = None,
    keep: Callable[..., None] | None = None,
) -> Sums:
    """Make the second pass.

    Parameters
    ----------
    reading : of the source
    layer : lays batches out
    learnt : what the first pass learnt
    kept : what a checkpoint holds of this pass
    keep : writes a checkpoint
    """
    design = layer.design
    if kept is None:
        sample = sample_rows(layer)
        at, shift = provisional_basis(sample, design), shifts(sample)
    else:
        at, shift = kept.at, kept.shift
    if isinstance(reading.source, PartitionSource):  # Dask keeps what is done, and does it again
        columns = reading.question.columns
        whole = reading.source.reduced(columns, _PartSums(layer, at, shift), _added)
        _check_count(whole, design)
        return whole
    every = [Sums(design, at, shift) for _ in range(THREADS)]
    done: list[int] = []
    if kept is not None:
        every[0].take(kept.arrays)
        done = kept.done.tolist()
    idle: queue.SimpleQueue[Sums] = queue.SimpleQueue()
    for own in every:
        idle.put(own)

    def add(number: int, batch: Batch) -> tuple[int, None]:
        found = read_values(reading.question, batch, layer.states)
        rows = layer.rows(found, batch)
        own = idle.get()
        try:
            own.add(rows)
            done.append(number)
        finally:
            idle.put(own)
        return found.n_given, None

    def write() -> None:
        if keep is not None:
            held = [idle.get() for _ in every]  # no batch is half added
            try:
                whole = Sums(design, at, shift)
                for own in held:
                    whole.plus(own)
                numbers = np.array(sorted(done), dtype=np.intp)
                keep(layer=layer, learnt=learnt, sums=whole, done=numbers)
            finally:
                for own in held:
                    idle.put(own)

    last = time.monotonic()
    complete = kept is not None and every[0].n_obs == design.X.shape[0]
    try:
        for _ in reading.each(add, stage="Sums", without=done) if not complete else ():
            if keep is not None and time.monotonic() - last > EVERY:
                write()
                last = time.monotonic()
    finally:
        if not complete:
            write()
    first, *others = every
    for own in others:
        first.plus(own)
    _check_count(first, design)
    return first


def _check_count(sums: Sums, design: Design) -> None:
    if sums.n_obs != design.X.shape[0]:
        raise DataError(
            f"The stream had {design.X.shape[0]:,} complete rows in the first pass and "
            f"{sums.n_obs:,} in the second: it has changed in between, or its function returns "
            "an iterator that was used already."
        )


class _PartSums:
    """Sums over the rows of one partition, made on the worker that has it."""

    def __init__(self, layer: Layer, at: Provisional, shift: FloatArray) -> None:
        self._layer, self._at, self._shift = layer, at, shift

    def __call__(self, batch: Batch) -> Sums:
        layer = self._layer
        found = Sums(layer.design, self._at, self._shift)
        found.add(layer.rows(read_values(layer.question, batch, layer.states), batch))
        return found


def _added(first: Sums, second: Sums) -> Sums:
    """Return the sums of both; these stay as they are."""
    found = deepcopy(first)
    found.plus(second)
    return found
