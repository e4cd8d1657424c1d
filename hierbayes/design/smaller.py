"""Designs without one of their terms, over the same rows: nothing is read again."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from hierbayes.design.cell_design import design_of_cells
from hierbayes.design.coding import fill_columns, plan_layout
from hierbayes.design.design import Design
from hierbayes.design.grouping import random_part
from hierbayes.design.not_kept import not_kept
from hierbayes.design.predictor import GroupingFactor
from hierbayes.design.values import Column, Combinations, label_array
from hierbayes.formula.expressions import Expression
from hierbayes.formula.terms import Bar


def without_fixed_term(design: Design, k: int) -> Design:
    """Return the design without the k-th term of its fixed part, counted from 0."""
    if design.cells is not None:
        return design_of_cells(without_fixed_term(design.cells, k))
    fixed, layout = design.formula.fixed, design.mean.layout
    part = replace(fixed, terms=fixed.terms[:k] + fixed.terms[k + 1 :])
    codings = {variable.label: variable.coding for variable in layout.variables()}
    values, n = _rows_of(design)
    smaller = plan_layout(part, values, codings)
    if design.keeps_rows:
        X = fill_columns(smaller, values, n)
    else:
        X = not_kept("the fixed-effects columns of the rows", len(design.X), len(smaller.names))
    return replace(
        design.with_mean(replace(design.mean, X=X, layout=smaller)),
        formula=replace(design.formula, fixed=part),
    )


def with_bars(design: Design, bars: tuple[Bar, ...]) -> Design:
    """Return the design with other bars, whose variables are all in it already."""
    if design.cells is not None:
        return design_of_cells(with_bars(design.cells, bars))
    formula = replace(design.formula, bars=bars)
    relations = {own.name: own.relation for own in design.factors if own.relation is not None}
    values, n = _rows_of(design)
    known = None if design.keeps_rows else {f.name: _levels_of(f) for f in design.factors}
    random = random_part(formula, values, n, known=known, relations=relations)
    if not design.keeps_rows:
        factors = tuple(_without_rows(factor, len(design.X)) for factor in random.factors)
        random = replace(random, factors=factors)
    return replace(
        design.with_mean(replace(design.mean, factors=random.factors, terms=random.terms)),
        formula=formula,
    )


def _rows_of(design: Design) -> tuple[Mapping[Expression, Column], int]:
    """Values of the variables and how many rows; made-up ones where none are kept."""
    sums = design.rows.sums
    if sums is None and not design.keeps_rows:
        _ = design.X[:]  # says that rows were not kept
    return (design.rows.values, len(design.X)) if sums is None else (sums.made, sums.n_made)


def _levels_of(factor: GroupingFactor) -> Combinations:
    parts = tuple(label_array(list(part)) for part in zip(*factor.layout.keys, strict=True))
    return Combinations(np.arange(factor.levels.size), parts)


def _without_rows(factor: GroupingFactor, n: int) -> GroupingFactor:
    return replace(
        factor,
        codes=not_kept(f"the levels of {factor.name} of the rows", n, dtype=np.intp),
        z=not_kept(f"the columns of the effects of {factor.name}", n, len(factor.columns)),
    )


def without_effects(design: Design, f: int, gone: Collection[int]) -> Design:
    """Return the design without some columns of random effects.

    Parameters
    ----------
    design : its bars stay in its formula
    f : position of the grouping factor
    gone : positions among its columns; of a covariance term all or none
    """
    if design.cells is not None:
        return design_of_cells(without_effects(design.cells, f, gone))
    factor = design.factors[f]
    left = [c for c in range(len(factor.columns)) if c not in gone]
    terms = [t for t in design.terms if t.factor != f or not set(t.columns) <= set(gone)]
    factors = list(design.factors)
    if left:
        factors[f] = factor.with_columns(left)
        moved = {c: place for place, c in enumerate(left)}
        terms = [
            replace(t, columns=tuple(moved[c] for c in t.columns)) if t.factor == f else t
            for t in terms
        ]
    else:
        del factors[f]
        terms = [replace(t, factor=t.factor - (t.factor > f)) for t in terms]
    return design.with_mean(replace(design.mean, factors=tuple(factors), terms=tuple(terms)))
