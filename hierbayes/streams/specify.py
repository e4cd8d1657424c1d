"""From a stream to what a model needs of it: a design without rows, and the kernel of its sums.

Two passes, the first to learn (``first_pass.py``), the second to add up (``second_pass.py``), each
by two threads, one batch a thread: one reads while the other sums.
"""

import operator
import queue
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from hierbayes.arrays import FloatArray, record
from hierbayes.design.design import Design
from hierbayes.design.transforms import State
from hierbayes.errors import DataError
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import Formula
from hierbayes.gaussian.kernel import kernel_of_products
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.products import Products
from hierbayes.linalg.threads import one_blas_thread
from hierbayes.streams.batch_values import Question, question_of, read_values, values_of
from hierbayes.streams.first_pass import (
    Learnt,
    is_complete,
    learnt_from,
    looked_at,
    nothing_learnt,
    with_states,
)
from hierbayes.streams.partitions import PartitionSource
from hierbayes.streams.push_down.engines import lazy_frame_of
from hierbayes.streams.second_pass import Provisional, Sums, provisional_basis, settled, shifts
from hierbayes.streams.source import Batch, Source, constant
from hierbayes.streams.table import Passes
from hierbayes.streams.template import BatchRows, Layer, template_of, with_moments

THREADS = 2


@record
class StreamedModel:
    """What a stream was found to be.

    Attributes
    ----------
    design : columns, levels, states and moments; no rows
    products : cross-products of all rows
    learnt : what the first pass learnt
    passes : how the rows were gone through
    """

    design: Design
    products: Products
    learnt: Learnt
    passes: Passes

    def kernel(self) -> Kernel:
        """Return the restricted likelihood of the model."""
        return kernel_of_products(self.design, self.products, "reml")


def specify_stream(
    formula: Formula,
    source: Source,
    *,
    arguments: Mapping[str, Any],
    contrasts: Mapping[str, Any] | None = None,
) -> StreamedModel:
    """Go through a stream twice and return what a model needs of it.

    Where an engine holds the rows, it is asked for what both passes find, and no row leaves it.

    Parameters
    ----------
    formula : the formula, with ``.`` expanded
    source : the rows
    arguments : weights, offset and known_sd: column names, expressions or None
    contrasts : coding of factors in the fixed part

    Raises
    ------
    DataError
        If the stream can't carry the model; the message names the part and the row.
    """
    frame = lazy_frame_of(source)
    inside = None if frame is None else _inside(formula, source, frame, arguments, contrasts)
    if isinstance(inside, StreamedModel):
        return inside
    question = question_of(formula, arguments, source)
    with one_blas_thread(True):
        learnt = learn(question, source)
        design = template_of(question, learnt, contrasts=contrasts)
        layer = Layer(question, design, learnt)
        sums = add_up(layer, source)
    moments = sums.row_moments(design)
    products = settled(sums.products(), sums.at, design)
    return StreamedModel(
        design=with_moments(design, moments),
        products=products,
        learnt=learnt,
        passes=Passes(source=source.description, not_pushed=inside or ""),
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
        passes=Passes(source=source.description, queries=inside.plan),
    )


def learn(question: Question, source: Source) -> Learnt:
    """Make first passes until all is known; nearly always one."""
    learnt = nothing_learnt({})
    while True:
        states = learnt.states
        found = _learnt_of_all(question, source, states)
        if not found.n_given:
            raise DataError("The stream has no rows.")
        if not found.n_used:
            counts = " and ".join(f"{name!r} in {n:,}" for name, n in found.dropped.items())
            raise DataError(
                f"No row is complete: of {found.n_given:,} rows, {counts} are missing. Leave a "
                "column out of the formula or fill it in."
            )
        found = replace(found, dropped={n: found.dropped[n] for n in _in_order(question, found)})
        learnt = looked_at(question, with_states(question, found))
        if is_complete(question, learnt):
            return learnt


def _learnt_of_all(
    question: Question, source: Source, states: Mapping[Expression, State]
) -> Learnt:
    """Make one first pass."""
    work = partial(_learnt_from, question, states)
    if isinstance(source, PartitionSource):
        return source.reduced(question.columns, work, operator.add)
    found = nothing_learnt(states)
    for own in in_order(source.batches(question.columns), work):
        found = found + own
    return found


def _learnt_from(question: Question, states: Mapping[Expression, State], batch: Batch) -> Learnt:
    return learnt_from(question, batch, states)


def _in_order(question: Question, found: Learnt) -> list[str]:
    """Columns with missing values, in the order of the formula."""
    return [*(n for n in question.columns if n in found.dropped),
            *(n for n in found.dropped if n not in question.columns)]  # fmt: skip


def add_up(layer: Layer, source: Source) -> Sums:
    """Make the second pass."""
    question, design = layer.question, layer.design
    sample = sample_rows(layer)
    at, shift = provisional_basis(sample, design), shifts(sample)
    if isinstance(source, PartitionSource):
        whole = source.reduced(question.columns, _PartSums(layer, at, shift), _added)
        _check_count(whole, design)
        return whole
    idle: queue.SimpleQueue[Sums] = queue.SimpleQueue()
    every = [Sums(design, at, shift) for _ in range(THREADS)]
    for own in every:
        idle.put(own)

    def add(batch: Batch) -> int:
        rows = layer.rows(read_values(question, batch, layer.states), batch)
        own = idle.get()
        try:
            own.add(rows)
        finally:
            idle.put(own)
        return rows.y.size

    for _ in in_order(source.batches(question.columns), add):
        pass
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


def sample_rows(layer: Layer) -> list[BatchRows]:
    """Lay the sample of the first pass out in the columns of the design."""
    return [
        layer.rows(values_of(layer.question, table, layer.states, batch=batch), batch)
        for table in layer.sample
        for batch in [Batch(part="the sample", first=0, read=constant(table))]
    ]


def in_order[Found](batches: Iterator[Batch], work: Callable[[Batch], Found]) -> Iterator[Found]:
    """Do some work with every batch, two at a time, and return what it gives in their order."""
    waiting: deque[Future[Found]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hierbayes-stream")
    try:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            while len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for own in waiting:
            own.cancel()
        pool.shutdown(wait=True)
