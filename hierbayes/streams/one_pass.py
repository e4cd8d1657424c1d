"""One pass over a stream whose levels were given: learning and adding up at the same time.

Where every category has its levels from ``hb.Stream(..., levels=)`` and the formula says all that
transforms would learn, the columns of the design are known before the rows. What is left to learn,
numbers of rows and which levels occur, is noted while batches are summed. The basis of the sums is
chosen from the first batch alone; how many digits that costs is seen afterwards, as of any sample.
"""

import queue
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from itertools import chain, product
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, record
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.formula.expressions import Expression, Name
from hierbayes.gaussian.products import Coupling, Products
from hierbayes.streams.batch_values import Question, read_values
from hierbayes.streams.first_pass import (
    Learnt,
    base_of,
    is_complete,
    learnt_from,
    noted,
    nothing_learnt,
    term_variables,
)
from hierbayes.streams.kept_sums import StreamSums
from hierbayes.streams.learnt_states import states_without_data
from hierbayes.streams.levels import GivenLevels, GroupLevels
from hierbayes.streams.reading import THREADS, Reading
from hierbayes.streams.second_pass import Sums, provisional_basis, shifts
from hierbayes.streams.source import Batch
from hierbayes.streams.template import Layer, made_rows, sample_rows, template_of

MOST_COMBINATIONS = 2_000_000  # of levels of a:b that may occur, for which sums are made
MANY_ROWS = 2**53  # before rows are counted: levels are held against them afterwards


@record
class Once:
    """What one pass found: the design with levels that occur, what was learnt, the sums."""

    design: Design
    learnt: Learnt
    sums: StreamSums


def add_up_once(reading: Reading, *, contrasts: Mapping[str, Any] | None) -> Once | None:
    """Learn and add up in one pass; None where that takes two.

    Parameters
    ----------
    reading : of the source
    contrasts : coding of factors in the fixed part

    Raises
    ------
    DataError
        If the stream can't carry the model; the message names the part and the row.
    """
    question = reading.question
    states = states_without_data(question.expressions, question.formula.source)
    if not question.levels or states is None:
        return None
    batches = reading.source.batches(question.columns)
    taken, first = [], nothing_learnt(states)
    for batch in batches:
        taken.append(batch)
        first = first + learnt_from(question, batch, states)
        if first.n_used:
            break
    known = _with_given_levels(question, first) if first.n_used else None
    if known is None:
        return None
    layer = Layer(question, template_of(question, known, contrasts=contrasts), known)
    learnt, sums = _added_up(reading, layer, chain(taken, batches))
    learnt = replace(learnt, states=states)
    lacking = [own for own in learnt.variables.values() if own.levels is not None]
    if not all(own.levels.present.all() for own in lacking if own.levels is not None):
        if reading.source.re_readable:  # two passes leave these levels out
            return None
        raise DataError(
            "The levels given have some that no row has, and this stream can be read once; leave "
            "them out of levels=."
        )
    return _finished(question, layer.design, learnt, known, sums, contrasts=contrasts)


def _with_given_levels(question: Question, first: Learnt) -> Learnt | None:
    """Return what is known with all levels given; None where some are to be learnt."""

    def given(expression: Expression) -> GivenLevels | None:
        base = base_of(expression)
        return question.levels.get(base.name) if isinstance(base, Name) else None

    variables = dict(first.variables)
    for expression, seen in first.variables.items():
        if seen.kind == "categories":
            own = given(expression)
            if own is None:
                return None
            variables[expression] = replace(seen, levels=own.all_of_them())
    groups = {}
    for bar in question.formula.bars:
        parts = [given(expression) for expression in bar.grouping]
        levels = [part.all_of_them() for part in parts if part is not None]
        sizes = [own.values.size for own in levels]
        if len(levels) < len(parts) or int(np.prod(sizes, dtype=object)) > MOST_COMBINATIONS:
            return None
        met = None if len(levels) == 1 else np.array(list(product(*map(range, sizes))))
        groups[bar.group] = GroupLevels(tuple(levels), met)
    known = replace(first, variables=variables, groups=groups, n_used=MANY_ROWS, n_given=MANY_ROWS)
    every = all(expression in variables for expression in term_variables(question))
    return known if every and is_complete(question, known) else None


def _added_up(reading: Reading, layer: Layer, batches: Iterator[Batch]) -> tuple[Learnt, Sums]:
    question, design = reading.question, layer.design
    sample = sample_rows(layer)
    at, shift = provisional_basis(sample, design), shifts(sample)
    every = [Sums(design, at, shift) for _ in range(THREADS)]
    idle: queue.SimpleQueue[Sums] = queue.SimpleQueue()
    for own in every:
        idle.put(own)

    def add(number: int, batch: Batch) -> tuple[int, Learnt]:
        found = read_values(question, batch, layer.states)
        rows = layer.rows(found, batch)
        own = idle.get()
        try:
            own.add(rows)
        finally:
            idle.put(own)
        return found.n_given, noted(question, batch, layer.states, found)

    learnt = reduce(
        lambda before, own: before + own,
        reading.each(add, stage="Sums", batches=batches),
        nothing_learnt(layer.states),
    )
    whole, *others = every
    for own in others:
        whole.plus(own)
    return learnt, whole


def _finished(
    question: Question,
    design: Design,
    learnt: Learnt,
    known: Learnt,
    sums: Sums,
    *,
    contrasts: Mapping[str, Any] | None,
) -> Once:
    """Leave out levels of grouping factors that no row has."""
    ends = np.cumsum([0, *(factor.levels.size for factor in design.factors)])
    at = {factor.name: slice(ends[f], ends[f + 1]) for f, factor in enumerate(design.factors)}
    occur = {name: sums.counts[own] > 0 for name, own in at.items()}
    groups = {name: _occurring(own, occur[name]) for name, own in known.groups.items()}
    variables = {name: replace(own, levels=learnt.variables[name].levels)
                 for name, own in known.variables.items()}  # fmt: skip
    learnt = replace(learnt, groups=groups, variables=variables)
    final = template_of(question, learnt, contrasts=contrasts)
    n_made, made = made_rows(final, learnt)
    return Once(
        design=final,
        learnt=learnt,
        sums=StreamSums(
            design=final,
            whole=_of_levels(sums.products(), [occur[factor.name] for factor in design.factors]),
            moments=sums.row_moments(final),
            made=made,
            n_made=n_made,
            counts={name: sums.counts[own][occur[name]] for name, own in at.items()},
            grams={name: sums.grams[own][occur[name]] for name, own in at.items()},
        ),
    )


def _occurring(levels: GroupLevels, occur: BoolArray) -> GroupLevels:
    if levels.met is not None:
        return replace(levels, met=levels.met[occur])
    return GroupLevels((replace(levels.parts[0], present=occur),))


def _of_levels(products: Products, occur: list[BoolArray]) -> Products:
    """Return the products without levels that do not occur."""
    if all(own.all() for own in occur):
        return products
    places = [np.cumsum(own) - 1 for own in occur]
    couplings = {
        (f, g): Coupling(
            rows=places[f][own.rows], columns=places[g][own.columns], blocks=own.blocks
        )
        for (f, g), own in products.couplings.items()
    }
    return replace(
        products,
        zz=tuple(own[at] for own, at in zip(products.zz, occur, strict=True)),
        zx=tuple(own[at] for own, at in zip(products.zx, occur, strict=True)),
        zy=tuple(own[at] for own, at in zip(products.zy, occur, strict=True)),
        couplings=couplings,
    )
