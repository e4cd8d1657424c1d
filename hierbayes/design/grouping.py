"""Grouping factors: from the expressions right of the bars to a level index with small rows.

Terms stand in lme4's order (``lme4_order``); all columns of one factor stand together.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.design import values as kinds
from hierbayes.design.coding import fill_columns, plan_layout
from hierbayes.design.layout import FactorLayout, Layout
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.design.pattern_columns import check_pattern
from hierbayes.design.predictor import GroupingFactor, RandomTerm
from hierbayes.errors import DataError
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import Bar, Formula, LinearPart
from hierbayes.wording import SHOWN_ROWS, counted, listed


@record
class RandomPart:
    """The grouping factors and their covariance terms."""

    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]


@record
class Laid:
    """Columns that are there already: those of a linear part with the default codings."""

    part: LinearPart
    layout: Layout
    columns: FloatArray


@record
class _Block:
    """Columns with one covariance matrix: those of a bar, or one column of ``(x || g)``.

    ``columns`` are positions among the columns of all bars of the same factor.
    """

    bar: Bar
    columns: tuple[int, ...]


def random_part(
    formula: Formula,
    values: Mapping[Expression, kinds.Column],
    n_rows: int,
    *,
    relations: Mapping[str, LevelCovariance] | None = None,
    known: Mapping[str, kinds.Combinations] | None = None,
    fixed: Laid | None = None,
) -> RandomPart:
    """Lay the bars of a formula over the rows used.

    Parameters
    ----------
    formula : its bars are used
    values : every variable's value in the rows used
    n_rows : number of rows used
    relations : the known covariances between levels, by the name of the grouping factor
    known : the levels of each grouping factor, where they are not to be found in the rows
    fixed : columns of the fixed part, which a bar of the same terms has too

    Raises
    ------
    FormulaError
        If a bar has no columns, or a column stands twice in one grouping factor.
    DataError
        If a level of the data is none of those whose covariance is known.
    """
    relations = relations or {}
    groups: dict[str, kinds.Combinations] = {}
    layouts: dict[str, list[Layout]] = {}
    blocks: list[_Block] = []
    for bar in formula.bars:
        if bar.group not in groups:
            if known is not None:
                groups[bar.group] = known[bar.group]
            else:
                _refuse_matrix(bar, values, formula)
                found, relation = group_levels(bar.grouping, values), relations.get(bar.group)
                groups[bar.group] = (
                    found if relation is None else _among(found, relation, bar.group)
                )
        layout = _bar_layout(bar, formula, values, fixed)
        before = layouts.setdefault(bar.group, [])
        _refuse_repeated_columns(bar, layout, before, formula=formula)
        blocks += _bar_blocks(bar, len(layout.names), start=sum(len(x.names) for x in before))
        before.append(layout)
    blocks = _in_lme4_order(blocks, [groups[block.bar.group].parts[0].size for block in blocks])
    factors = []
    for name in dict.fromkeys(block.bar.group for block in blocks):
        own = [block for block in blocks if block.bar.group == name]
        how = FactorLayout(
            grouping=own[0].bar.grouping,
            bars=tuple(layouts[name]),
            order=tuple(column for block in own for column in block.columns),
            keys=tuple(groups[name].pairs()),
        )
        names = [column for bar in how.bars for column in bar.names]
        factors.append(
            GroupingFactor(
                name=name,
                levels=groups[name].labels(),
                codes=groups[name].codes,
                z=factor_columns(how, values, n_rows, fixed),
                columns=tuple(names[column] for column in how.order),
                layout=how,
                relation=relations.get(name),
            )
        )
    terms = _covariance_terms(blocks, [factor.name for factor in factors])
    return RandomPart(factors=tuple(factors), terms=terms)


def group_levels(
    grouping: tuple[Expression, ...], values: Mapping[Expression, Any]
) -> kinds.Combinations:
    """Return the combined values of grouping expressions: the levels present, and their rows."""
    return kinds.combinations(
        [kinds.drop_unused(kinds.as_factor(values[expression])) for expression in grouping]
    )


def _among(found: kinds.Combinations, known: LevelCovariance, name: str) -> kinds.Combinations:
    """Return the levels of the data as levels of a known covariance, which may have more."""
    place = {label: i for i, label in enumerate(known.labels.tolist())}
    labels = found.labels().tolist()
    unknown = [label for label in labels if label not in place]
    if unknown:
        raise DataError(
            f"cov[{name!r}] has no row for {counted(len(unknown), 'level')} of {name!r} in the "
            f"data: {listed([repr(label) for label in unknown[:SHOWN_ROWS]])}"
            f"{' ...' if len(unknown) > SHOWN_ROWS else ''}. Its labels must hold every level."
        )
    new = np.array([place[label] for label in labels], dtype=np.intp)
    return kinds.Combinations(new[found.codes], (known.labels,))


def factor_columns(
    layout: FactorLayout,
    values: Mapping[Expression, kinds.Column],
    n_rows: int,
    fixed: Laid | None = None,
) -> FloatArray:
    """Return the columns of all bars of a factor side by side, shape (n_rows, q)."""
    parts = [
        fixed.columns
        if fixed is not None and bar is fixed.layout
        else fill_columns(bar, values, n_rows)
        for bar in layout.bars
    ]
    columns = parts[0] if len(parts) == 1 else np.hstack(parts)
    in_place = layout.order == tuple(range(columns.shape[1]))
    return columns if in_place else columns[:, layout.order]


def _bar_layout(
    bar: Bar, formula: Formula, values: Mapping[Expression, kinds.Column], fixed: Laid | None
) -> Layout:
    # As in lme4, the argument contrasts concerns X alone; C(f, sum) works inside a bar.
    if fixed is not None and bar.linear == fixed.part:
        layout = fixed.layout
    else:
        layout = plan_layout(bar.linear, values, {})
    if not layout.names:
        raise formula_error(
            f"The random-effects term {bar.source} has no columns.",
            source=formula.source,
            at=bar.at,
            advice=f"Write (1 | {bar.group}) for an intercept per level.",
        )
    if bar.structure != "us":
        check_pattern(bar, layout, values, source=formula.source)
    return layout


def _bar_blocks(bar: Bar, width: int, *, start: int) -> list[_Block]:
    columns = tuple(range(start, start + width))
    if bar.correlated:
        return [_Block(bar=bar, columns=columns)]
    return [_Block(bar=bar, columns=(column,)) for column in columns]


def _in_lme4_order(blocks: list[_Block], n_levels: list[int]) -> list[_Block]:
    """Return the blocks by decreasing number of levels.

    lme4 leaves an order that is right as it is and otherwise reverses an increasing one, which
    also reverses blocks that tie; theta has to stand in the same order.
    """
    if all(first >= second for first, second in pairwise(n_levels)):
        return blocks
    increasing = sorted(range(len(blocks)), key=n_levels.__getitem__)
    return [blocks[place] for place in reversed(increasing)]


def _covariance_terms(blocks: list[_Block], names: list[str]) -> tuple[RandomTerm, ...]:
    """Return a covariance term per block, its columns counted as in its factor."""
    width = dict.fromkeys(names, 0)
    count = dict.fromkeys(names, 0)
    terms = []
    for block in blocks:
        name = block.bar.group
        first, number = width[name], count[name]
        width[name] += len(block.columns)
        count[name] += 1
        terms.append(
            RandomTerm(
                factor=names.index(name),
                columns=tuple(range(first, width[name])),
                name=f"{name}.{number}" if number else name,
                label=block.bar.source,
                covariance=block.bar.structure,
            )
        )
    return tuple(terms)


def _refuse_repeated_columns(
    bar: Bar, layout: Layout, before: list[Layout], *, formula: Formula
) -> None:
    taken = {column for earlier in before for column in earlier.names}
    for column in layout.names:
        if column in taken:
            raise formula_error(
                f"The column {column!r} stands twice among the effects of {bar.group!r}; its "
                "variance can't be divided between the two.",
                source=formula.source,
                at=bar.at,
                advice=f"Leave it out of one of the terms, as in (0 + x | {bar.group}).",
            )


def _refuse_matrix(bar: Bar, values: Mapping[Expression, kinds.Column], formula: Formula) -> None:
    if any(isinstance(values[expression], kinds.Matrix) for expression in bar.grouping):
        raise formula_error(
            f"The grouping factor {bar.group!r} has several columns; levels need one.",
            source=formula.source,
            at=bar.at,
        )
