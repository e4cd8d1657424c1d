"""The design of a study of another size, from the rows of one: levels and rows are used again.

A level of the new design has the rows of a level of the old one, its template, so predictors that
vary between levels keep their balance: templates are taken in turn, those with different rows (a
group of subjects, a list of a Latin square) alternating. Of two crossed factors a new pair of
levels has the rows that the pair of their templates has; of a factor nested in the other, levels
are counted within each level of the other. Levels of other grouping factors are copied with the
level they belong to, and stay what they are where they belong to none.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design, GroupingFactor


@record
class Sizes:
    """How large a study is: levels of the first and second factor, rows of a cell; None as is."""

    subjects: int | None = None
    items: int | None = None
    trials: int | None = None


class ReplicatedRows:
    """Lays a design over studies of other sizes.

    Parameters
    ----------
    design : Design
    sized : positions of the one or two grouping factors whose levels are counted; may be empty
    """

    def __init__(self, design: Design, sized: Sequence[int]) -> None:
        self.design, self.sized = design, tuple(sized)
        self._codes = [design.factors[f].codes for f in self.sized]
        while len(self._codes) < 2:
            self._codes.append(np.zeros(design.X.shape[0], dtype=np.intp))
        self._outer = next((o for o in (1, 0) if len(self.sized) == 2 and self._is_nested(o)), None)
        self._distinct, self._cell = _distinct_rows(design)
        first, second = self._codes
        self._order = [levels_in_turn(design, first, second), levels_in_turn(design, second, first)]

    def _is_nested(self, outer: int) -> bool:
        """Whether the other of the two factors is nested in this one."""
        inner, outer_codes = self._codes[1 - outer], self._codes[outer]
        return bool(outer_codes.max() > 0) and _of_one(inner, outer_codes)

    def of(self, sizes: Sizes) -> Design:
        """Return the design of these sizes, with the responses of the rows that are used again."""
        templates, news = self._pairs(sizes)
        n_items = int(self._codes[1].max()) + 1
        rows = self._distinct if sizes.trials is not None else np.arange(self._cell.size)
        pair = (self._codes[0] * n_items + self._codes[1])[rows]
        rows = rows[np.argsort(pair, kind="stable")]
        counts = np.bincount(pair, minlength=(int(self._codes[0].max()) + 1) * n_items)
        starts = np.cumsum(counts) - counts
        wanted = templates[0] * n_items + templates[1]
        many = counts[wanted]
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        chosen = rows[np.repeat(starts[wanted], many) + within]
        codes = [np.repeat(new, many) for new in news]
        if sizes.trials is not None:
            chosen = np.repeat(chosen, sizes.trials)
            codes = [np.repeat(new, sizes.trials) for new in codes]
        part = self.design.with_rows(chosen)
        factors = tuple(
            self._relevelled(f, factor, codes) for f, factor in enumerate(part.mean.factors)
        )
        return _largest_first(part.with_mean(replace(part.mean, factors=factors)))

    def _pairs(self, sizes: Sizes) -> tuple[list[IntArray], list[IntArray]]:
        """Return templates of each pair of new levels, and the new levels, of both factors."""
        wanted = [sizes.subjects, sizes.items]
        first = [
            order[np.arange(order.size if count is None else count) % order.size]
            for order, count in zip(self._order, wanted, strict=True)
        ]
        if self._outer is None:
            grid = np.indices((first[0].size, first[1].size)).reshape(2, -1).astype(np.intp)
            return [own[at] for own, at in zip(first, grid, strict=True)], list(grid)
        o, i = self._outer, 1 - self._outer
        owner = np.zeros(self._order[i].size, dtype=np.intp)
        owner[self._codes[i]] = self._codes[o]
        members = [
            self._order[i][owner[self._order[i]] == level] for level in range(self._order[o].size)
        ]
        taken = []
        for level in first[o].tolist():
            own, count = members[level], wanted[i]
            taken.append(own[np.arange(own.size if count is None else count) % own.size])
        lengths = [own.size for own in taken]
        templates, news = [first[0]] * 2, [first[0]] * 2
        templates[o], templates[i] = np.repeat(first[o], lengths), np.concatenate(taken)
        news[o] = np.repeat(np.arange(first[o].size), lengths)
        news[i] = np.arange(templates[i].size)
        return templates, news

    def _relevelled(
        self, position: int, factor: GroupingFactor, new: Sequence[IntArray]
    ) -> GroupingFactor:
        """Return a factor over the new rows with levels of its own."""
        if position in self.sized:
            key = new[self.sized.index(position)]
        else:
            old = self.design.factors[position]
            key = factor.codes
            for own, codes, f in zip(new, self._codes, self.sized, strict=False):
                parts = old.name.split(":")
                named = self.design.factors[f].name in parts
                if named or (codes.max() > 0 and _of_one(old.codes, codes)):
                    key = key * (int(own.max()) + 1) + own
        found, codes = np.unique(key, return_inverse=True)
        levels: npt.NDArray[np.str_] = np.arange(1, found.size + 1).astype(str)
        return replace(factor, levels=levels, codes=codes.ravel().astype(np.intp))


def levels_in_turn(design: Design, codes: IntArray, other: IntArray) -> IntArray:
    """Levels of a factor (n,), those with different rows alternating; ``other`` is crossed."""
    predictors = np.column_stack([design.X, *(f.z for f in design.factors)])
    kind = np.unique(predictors, axis=0, return_inverse=True)[1].ravel()
    levels = np.arange(int(codes.max()) + 1)
    sets = [_sets_of(codes, kind), _sets_of(codes, kind * (int(other.max()) + 1) + other)]
    place = np.zeros(levels.size, dtype=np.intp)
    # the last decides first, the others among levels that are alike in it
    for pattern in (sets[1], sets[0], _between(design.X, codes)):
        ranked = levels[np.argsort(place, kind="stable")]
        seen: dict[int, int] = {}
        for rank, level in enumerate(ranked.tolist()):
            turn = seen.get(pattern[level], 0)
            seen[pattern[level]] = turn + 1
            place[level] = turn * levels.size + rank
    return np.argsort(place, kind="stable").astype(np.intp)


def _between(X: FloatArray, codes: IntArray) -> IntArray:
    """Return a number a level (J,), by predictors constant in each that take few values."""
    first = np.unique(codes, return_index=True)[1]
    own = X[first]
    constant = (own[codes] == X).all(axis=0)
    few = [np.unique(column).size <= max(1, first.size // 2) for column in own.T]
    return np.unique(own[:, constant & few], axis=0, return_inverse=True)[1].ravel()


def _largest_first(design: Design) -> Design:
    """Return a design with its grouping factors in the order that a kernel is quickest in."""
    factors = design.factors
    order = sorted(range(len(factors)), key=lambda f: -factors[f].levels.size)
    terms = tuple(replace(term, factor=order.index(term.factor)) for term in design.terms)
    mean = replace(design.mean, factors=tuple(factors[f] for f in order), terms=terms)
    return design.with_mean(mean)


def _of_one(inner: IntArray, outer: IntArray) -> bool:
    """Whether each level of one factor is met with one level of another."""
    pairs = np.unique(np.stack([inner, outer]), axis=1)
    return bool(pairs.shape[1] == np.unique(inner).size)


def _sets_of(codes: IntArray, kind: IntArray) -> IntArray:
    """Return a number a level (J,), by which kinds of rows it has."""
    pairs = np.unique(np.stack([codes, kind]), axis=1)
    cuts = np.searchsorted(pairs[0], np.arange(1, int(codes.max()) + 1))
    seen: dict[tuple[int, ...], int] = {}
    sets = [tuple(own.tolist()) for own in np.split(pairs[1], cuts)]
    return np.array([seen.setdefault(own, len(seen)) for own in sets], dtype=np.intp)


def _distinct_rows(design: Design) -> tuple[IntArray, IntArray]:
    """Return the first row of each combination of levels and predictors, and each row's (n,)."""
    rows = design.rows
    extra: list[FloatArray | BoolArray] = [
        own for own in (design.offset, rows.weights, rows.known_sd) if own is not None
    ]
    parts = [design.X, *(f.z for f in design.factors), *(f.codes for f in design.factors), *extra]
    if design.y.ndim == 2:
        parts.append(design.y.sum(axis=1))
    _, first, cell = np.unique(
        np.column_stack(parts), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(np.argsort(first))
    return np.sort(first).astype(np.intp), order[cell.ravel()]
