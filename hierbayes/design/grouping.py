"""Grouping factors: from the expressions right of the bars to a level index with small rows.

Terms are ordered as lme4 orders them, by decreasing number of levels and in formula order where
these tie; all columns of one factor stand together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierbayes.design.coding import Layout, fill_columns, plan_layout
from hierbayes.design.design import FloatArray, GroupingFactor, RandomTerm
from hierbayes.design.values import Factor, Matrix, as_factor, drop_unused, interaction
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import Bar, Formula


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecipe:
    """How one grouping factor and its columns are computed.

    Attributes
    ----------
    name : of the factor
    grouping : the expressions whose combined values are the levels
    layouts : the columns of each of its bars, in the order of ``GroupingFactor.columns``
    """

    name: str
    grouping: tuple[Expression, ...]
    layouts: tuple[Layout, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomPart:
    """The grouping factors, their covariance terms, and how to compute them again."""

    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    recipes: tuple[FactorRecipe, ...]


def random_part(formula: Formula, values: Mapping[Expression, Any], n_rows: int) -> RandomPart:
    """Lay the bars of a formula over the rows used.

    Parameters
    ----------
    formula : its bars are used
    values : every variable's value in the rows used
    n_rows : number of rows used

    Raises
    ------
    FormulaError
        If a bar has no columns, or a column stands twice in one grouping factor.
    """
    groups: dict[str, Factor] = {}
    for bar in formula.bars:
        if bar.group not in groups:
            groups[bar.group] = group_levels(bar.grouping, values)
    ordered = sorted(formula.bars, key=lambda bar: -groups[bar.group].levels.size)
    layouts = [_bar_layout(bar, formula, values) for bar in ordered]
    names = list(dict.fromkeys(bar.group for bar in ordered))
    factors, recipes = [], []
    for name in names:
        own = [place for place, bar in enumerate(ordered) if bar.group == name]
        _refuse_repeated_columns(formula, [(ordered[place], layouts[place]) for place in own])
        mine = tuple(layouts[place] for place in own)
        factors.append(GroupingFactor(
            name=name, levels=groups[name].levels, codes=groups[name].codes,
            z=factor_columns(mine, values, n_rows),
            columns=tuple(column for layout in mine for column in layout.names),
        ))
        recipes.append(FactorRecipe(name=name, grouping=ordered[own[0]].grouping, layouts=mine))
    terms = _covariance_terms(ordered, layouts, names)
    return RandomPart(factors=tuple(factors), terms=terms, recipes=tuple(recipes))


def group_levels(grouping: tuple[Expression, ...], values: Mapping[Expression, Any]) -> Factor:
    """Return the combined values of grouping expressions as a factor of the levels present."""
    combined = drop_unused(as_factor(values[grouping[0]]))
    for expression in grouping[1:]:
        combined = interaction(combined, drop_unused(as_factor(values[expression])))
    return combined


def factor_columns(layouts: tuple[Layout, ...], values: Mapping[Expression, Any], n_rows: int
                   ) -> FloatArray:
    """Return the columns of all bars of a factor side by side."""
    if len(layouts) == 1:
        return fill_columns(layouts[0], values, n_rows)
    return np.hstack([fill_columns(layout, values, n_rows) for layout in layouts])


def _bar_layout(bar: Bar, formula: Formula, values: Mapping[Expression, Any]) -> Layout:
    # As in lme4, the argument contrasts concerns X alone; C(f, sum) works inside a bar.
    layout = plan_layout(bar.linear, values, {})
    if not layout.names:
        raise formula_error(f"The random-effects term {bar.source} has no columns.",
                            source=formula.source, at=bar.at,
                            advice=f"Write (1 | {bar.group}) for an intercept per level.")
    return layout


def _refuse_repeated_columns(formula: Formula, bars: list[tuple[Bar, Layout]]) -> None:
    seen: dict[str, Bar] = {}
    for bar, layout in bars:
        for column in layout.names:
            if column in seen:
                advice = f"Leave it out of one of them, as in (0 + x | {bar.group})." \
                    if column == "(Intercept)" else "Leave it out of one of them."
                raise formula_error(
                    f"The column {column!r} stands twice for the grouping factor {bar.group!r}, "
                    f"in {seen[column].source} and in {bar.source}; its variance can't be "
                    "divided between the two.", source=formula.source, at=bar.at, advice=advice)
            seen[column] = bar


def _covariance_terms(ordered: list[Bar], layouts: list[Layout], names: list[str]
                      ) -> tuple[RandomTerm, ...]:
    """Return the terms of the covariance: one a bar, or one a column for ``||``."""
    width = dict.fromkeys(names, 0)
    count = dict.fromkeys(names, 0)
    terms = []
    for bar, layout in zip(ordered, layouts, strict=True):
        first = width[bar.group]
        columns = tuple(range(first, first + len(layout.names)))
        width[bar.group] += len(columns)
        for block in [columns] if bar.correlated else [(column,) for column in columns]:
            number = count[bar.group]
            count[bar.group] += 1
            terms.append(RandomTerm(
                factor=names.index(bar.group), columns=block, label=bar.source,
                name=f"{bar.group}.{number}" if number else bar.group,
            ))
    return tuple(terms)


def refuse_matrix(grouping: tuple[Expression, ...], values: Mapping[Expression, Any], bar: Bar,
                  formula: Formula) -> None:
    """Raise FormulaError if a grouping expression has several columns."""
    if any(isinstance(values[expression], Matrix) for expression in grouping):
        raise formula_error(f"The grouping factor {bar.group!r} has several columns; levels need "
                            "one.", source=formula.source, at=bar.at)
