"""Designs of other sizes: levels and rows are used again, and predictors stay balanced."""

import itertools

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.planning.replicated_rows import ReplicatedRows, Sizes


def design_of(formula, table):
    y = np.random.default_rng(1).standard_normal(len(table))
    return hb.Model(formula, table.assign(y=y)).spec.design


def sized(design, *names):
    known = [factor.name for factor in design.factors]
    return ReplicatedRows(design, [known.index(name) for name in names])


def factor(design, name):
    return next(f for f in design.factors if f.name == name)


def crossed(subjects, items, conditions=(0.0, 1.0)):
    rows = list(itertools.product(range(subjects), range(items), conditions))
    return pd.DataFrame(rows, columns=["s", "i", "x"])


def test_sizes_are_those_asked_for():
    design = design_of("y ~ x + (1 | s) + (1 | i)", crossed(4, 3))
    large = sized(design, "s", "i").of(Sizes(subjects=7, items=5, trials=2))
    assert large.X.shape[0] == 7 * 5 * 2 * 2
    assert (factor(large, "s").levels.size, factor(large, "i").levels.size) == (7, 5)
    table = pd.DataFrame(
        {"s": factor(large, "s").codes, "i": factor(large, "i").codes, "x": large.X[:, 1]}
    )
    assert (table.value_counts() == 2).all()


def test_as_it_is_the_design_is_the_same():
    sleep = hb.load_dataset("sleepstudy")
    design = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).spec.design
    same = sized(design, "Subject").of(Sizes(subjects=18))
    order = np.lexsort((design.X[:, 1], design.factors[0].codes))
    again = np.lexsort((same.X[:, 1], same.factors[0].codes))
    np.testing.assert_array_equal(design.X[order], same.X[again])
    np.testing.assert_array_equal(design.factors[0].codes[order], same.factors[0].codes[again])


def test_groups_of_subjects_alternate_though_they_are_sorted_and_rows_are_missing():
    table = crossed(6, 3).assign(old=lambda t: np.where(t["s"] < 3, "no", "yes")).drop([4, 9])
    design = design_of("y ~ x * old + (1 | s)", table)
    for n in (2, 4, 12):
        new = sized(design, "s").of(Sizes(subjects=n))
        old = pd.Series(new.X[:, 2]).groupby(new.factors[0].codes).first()
        assert old.sum() == n / 2


def test_lists_of_a_latin_square_alternate():
    table = crossed(4, 2, (0,)).assign(x=lambda t: (t["i"] + (t["s"] > 1)) % 2)
    design = design_of("y ~ x + (1 | s) + (1 | i)", table)
    new = sized(design, "s", "i").of(Sizes(subjects=2, items=6))
    frame = pd.DataFrame({"i": factor(new, "i").codes, "x": new.X[:, 1]})
    assert (frame.groupby("i")["x"].mean() == 0.5).all()


def test_a_nested_factor_is_counted_within_the_other():
    table = pd.DataFrame(
        {
            "school": np.repeat([0, 1, 2], [4, 2, 6]),
            "pupil": np.repeat(range(6), 2),
            "x": [0.0, 1.0] * 6,
        }
    )
    design = design_of("y ~ x + (1 | school) + (1 | pupil)", table)
    new = sized(design, "school", "pupil").of(Sizes(subjects=5, items=3))
    pupils, schools = factor(new, "pupil"), factor(new, "school")
    assert (schools.levels.size, pupils.levels.size) == (5, 15)
    assert pd.Series(pupils.codes).groupby(schools.codes).nunique().eq(3).all()
    assert pd.Series(schools.codes).groupby(pupils.codes).nunique().eq(1).all()


def test_levels_of_other_factors_go_with_theirs_or_stay():
    table = crossed(4, 3).assign(lab=lambda t: t["i"] % 2)
    design = design_of("y ~ x + (1 | s) + (1 | s:i) + (1 | lab)", table)
    new = sized(design, "s").of(Sizes(subjects=8))
    assert factor(new, "s:i").levels.size == 24
    assert factor(new, "lab").levels.size == 2


@pytest.mark.parametrize("n", [1, 3])
def test_trials_are_rows_of_each_combination(n):
    table = pd.concat([crossed(3, 2), crossed(3, 2)])
    design = design_of("y ~ x + (1 | s)", table)
    new = sized(design, "s").of(Sizes(trials=n))
    assert new.X.shape[0] == 3 * 2 * n  # items are no part of the model
