"""Questions about the terms of a model, answered by its layout."""

import numpy as np
import pandas as pd

from hierbayes.design.build import build_design
from hierbayes.formula.parser import parse_formula

N = 24
FORMULA = "y ~ log(x) * f + cut(t, 3) + ave(x, h) + offset(w) + (factor(t) + x | g) + (1 | h/k)"


def data():
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        "y": rng.normal(size=N), "x": rng.uniform(1, 2, N), "w": rng.normal(size=N),
        "f": np.tile(["a", "b"], N // 2), "t": np.tile([1, 2, 4], N // 3),
        "g": np.repeat(["p", "q", "r"], N // 3), "h": np.tile(["u", "v"], N // 2),
        "k": np.repeat(list("abcdef"), N // 6),
    })  # fmt: skip


def mean(formula=FORMULA, **options):
    return build_design(parse_formula(formula), data(), **options).mean


def test_the_columns_a_part_uses_are_listed_once_in_order():
    predictor = mean()
    assert predictor.layout.columns_used() == ("x", "f", "t", "h")
    assert predictor.fixed_columns() == ("x", "f", "t", "h", "w")
    assert predictor.random_columns() == ("t", "x")
    assert set(predictor.grouping_columns()) == {"g", "h", "k"}


def test_an_offset_given_as_an_array_leaves_no_column_to_ask_for():
    assert mean(offset=np.ones(N)).fixed_columns() == ("x", "f", "t", "h")
    assert mean(offset="w").fixed_columns() == ("x", "f", "t", "h", "w")


def test_columns_that_stand_for_categories_are_known():
    predictor = mean()
    assert predictor.layout.coded() == {"f", "h"}  # not t: cut makes categories of a number
    assert predictor.coded() == {"f", "h", "t"}


def test_terms_know_their_label_their_numbers_and_what_they_include():
    layout = mean().layout
    x, f, *_, both = layout.terms
    assert layout.labels == ("log(x)", "f", "cut(t, 3)", "ave(x, h)", "log(x):f")
    assert both.is_interaction and not x.is_interaction
    assert both.numbers() == x.numbers() == {"log(x)"} and not f.numbers()
    assert both.includes(x) and both.includes(f) and not x.includes(both) and not x.includes(x)


def test_the_columns_of_a_factor_know_their_bar_and_term():
    design = build_design(parse_formula("y ~ 1 + (0 + x | g) + (1 + f || g)"), data())
    (factor,) = design.factors
    assert dict(zip(factor.columns, factor.layout.origins(), strict=True)) == {
        "x": (0, 1), "(Intercept)": (1, 0), "fb": (1, 1),
    }  # fmt: skip
    one = factor.with_columns([factor.columns.index("fb")])
    assert one.columns == ("fb",) and one.layout.origins() == ((1, 1),)
    assert one.layout.details == ("f[b]",)


def test_recoding_to_the_contrasts_there_are_changes_nothing():
    layout = mean().layout
    assert layout.recoded({"f": "treatment"}) is layout
    other = layout.recoded({"f": "sum"})
    assert other.names[2] == "f1" and other.terms[4].variables[1] is other.terms[1].variables[0]
