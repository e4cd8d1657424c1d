"""Designs of streams on rows that are made up, to compare what their columns and groups span.

A variable has the same numbers or levels in all of them, and a level of ``a:b`` lies in its own
level of ``a``. Nothing here is an estimate: only which columns are combinations of which others,
and which groups are parts of which, are the same as in rows that are gone.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import IntArray
from hierbayes.design.coding import fill_columns
from hierbayes.design.design import Design
from hierbayes.design.grouping import factor_columns
from hierbayes.design.predictor import GroupingFactor
from hierbayes.design.values import Column, Factor, Logical, Matrix
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Expression

ROWS = 1000


def pictured(designs: Sequence[Design]) -> list[Design]:
    """Return designs with made-up rows, all the same; those without sums as they are."""
    kept = [design.rows.sums for design in designs if design.rows.sums is not None]
    if len(kept) < len(designs):
        return list(designs)
    values: dict[Expression, Column] = {}
    for sums in kept:
        for expression, column in sums.made.items():
            values.setdefault(expression, _column(expression, column))
    factors = {f.name: f for design in designs for f in design.factors}
    codes = _codes(sorted(factors.values(), key=lambda f: -len(f.layout.grouping)))
    return [_with_rows(design, values, codes) for design in designs]


def _with_rows(
    design: Design, values: dict[Expression, Column], codes: dict[str, IntArray]
) -> Design:
    mean = design.mean
    factors = tuple(
        replace(f, codes=codes[f.name], z=factor_columns(f.layout, values, ROWS))
        for f in mean.factors
    )
    X = fill_columns(mean.layout, values, ROWS)
    return design.with_mean(replace(mean, X=X, factors=factors))


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _column(expression: Expression, like: Column) -> Column:
    random = _random(deparse(expression))
    if isinstance(like, Factor):
        used = np.unique(like.codes)
        return replace(like, codes=used[random.integers(0, used.size, ROWS)])
    if isinstance(like, Logical):
        return Logical(random.integers(0, 2, ROWS).astype(np.float64))
    if isinstance(like, Matrix):
        return Matrix(random.standard_normal((ROWS, len(like.suffixes))), like.suffixes)
    return random.standard_normal(ROWS)


def _codes(factors: Sequence[GroupingFactor]) -> dict[str, IntArray]:
    """Levels of the rows, those of factors with more parts first, which settle their parts."""
    labels: dict[Expression, list[str]] = {}
    found: dict[str, IntArray] = {}
    for factor in factors:
        own, keys = factor.layout.grouping, factor.layout.keys
        if all(expression in labels for expression in own):
            places = {key: place for place, key in enumerate(keys)}
            rows = list(zip(*(labels[expression] for expression in own), strict=True))
            if all(row in places for row in rows):
                found[factor.name] = np.array([places[row] for row in rows], dtype=np.intp)
                continue
        codes = _random(factor.name).integers(0, len(keys), ROWS).astype(np.intp)
        found[factor.name] = codes
        for k, expression in enumerate(own):
            labels.setdefault(expression, [keys[code][k] for code in codes.tolist()])
    return found
