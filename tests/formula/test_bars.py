"""Random-effects terms: groups as lme4 names them, columns of the left side, places."""

import pytest

from hierbayes.formula.deparse import deparse
from hierbayes.formula.parser import formula_text, parse_formula

# Bar; its groups (names(cnms) of lme4 1.1-31, in lme4's order); intercept; labels; correlated.
BARS = [
    ("(1|g)", ["g"], True, "", True),
    ("(x|g)", ["g"], True, "x", True),
    ("(1+x|g)", ["g"], True, "x", True),
    ("(0+x|g)", ["g"], False, "x", True),
    ("(-1+x|g)", ["g"], False, "x", True),
    ("(x-1|g)", ["g"], False, "x", True),
    ("(x||g)", ["g"], True, "x", False),
    ("(f||g)", ["g"], True, "f", False),
    ("(1||g)", ["g"], True, "", False),
    ("(x*z|g)", ["g"], True, "x z x:z", True),
    ("(x*z-x||g)", ["g"], True, "z x:z", False),
    ("(x+x|g)", ["g"], True, "x", True),
    ("((x)|g)", ["g"], True, "x", True),
    ("(poly(x,2)|g)", ["g"], True, "poly(x, 2)", True),
    ("(I(x^2)||g)", ["g"], True, "I(x^2)", False),
    ("((x|g))", ["g"], True, "x", True),
    ("(1|a/b)", ["b:a", "a"], True, "", True),
    ("(x|a/b)", ["b:a", "a"], True, "x", True),
    ("(x||a/b)", ["b:a", "a"], True, "x", False),
    ("(1|a:b)", ["a:b"], True, "", True),
    ("(1|b:a)", ["b:a"], True, "", True),
    ("(1|a:b:c)", ["a:b:c"], True, "", True),
    ("(1|a/b/c)", ["c:(b:a)", "b:a", "a"], True, "", True),
    ("(1|a/b/c/d)", ["d:(c:(b:a))", "c:(b:a)", "b:a", "a"], True, "", True),
    ("(1|a/b:c)", ["b:c:a", "a"], True, "", True),
    ("(1|a/(b:c))", ["(b:c):a", "a"], True, "", True),
    ("(1|factor(g))", ["factor(g)"], True, "", True),
    ("(1|factor(g):b)", ["factor(g):b"], True, "", True),
    ("(1|`my g`)", ["my g"], True, "", True),
    # lme4 1.1-31 can't read these; nesting in a combination is named after the same pattern
    ("(1|(a/b))", ["b:a", "a"], True, "", True),
    ("(1|a:b/c)", ["c:(a:b)", "a:b"], True, "", True),
    ("(1|(a:b)/c)", ["c:(a:b)", "a:b"], True, "", True),
    # lme4 keeps the parentheses in the name of the group
    ("(1|(g))", ["g"], True, "", True),
]


@pytest.mark.parametrize(("text", "groups", "intercept", "columns", "correlated"), BARS)
def test_what_a_bar_stands_for(text, groups, intercept, columns, correlated):
    bars = parse_formula(f"y ~ {text}").bars
    assert [bar.group for bar in bars] == groups
    for bar in bars:
        assert bar.linear.intercept is intercept
        assert " ".join(term.label for term in bar.linear.terms) == columns
        assert bar.correlated is correlated


@pytest.mark.parametrize(("text", "groups"), [(case[0], case[1]) for case in BARS])
def test_the_grouping_expressions_are_those_of_the_name(text, groups):
    for bar in parse_formula(f"y ~ {text}").bars:
        names = [deparse(factor) for factor in bar.grouping]
        if len(names) == 1:  # a name alone goes without its back-ticks
            names = [names[0].strip("`")]
        assert names == bar.group.replace("(b", "b").replace("(c", "c").replace("(a", "a").replace(
            "a)", "a"
        ).replace("b)", "b").replace("c)", "c").replace("a)", "a").split(":")


def test_bars_come_in_the_order_of_the_formula():
    formula = parse_formula("y ~ (1 | b) + x + (0 + x | a) + (1 | a)")
    assert [bar.source for bar in formula.bars] == ["(1 | b)", "(0 + x | a)", "(1 | a)"]
    assert [bar.at for bar in formula.bars] == [4, 18, 32]


def test_the_source_of_a_bar_is_as_the_user_wrote_it():
    bars = parse_formula("y~x+( log( x+1 )|a/b)").bars
    assert {bar.source for bar in bars} == {"( log( x+1 )|a/b)"}
    assert {bar.at for bar in bars} == {4}


def test_a_bar_given_twice_counts_once():
    assert len(parse_formula("y ~ (1 | g) + (1|g)").bars) == 1


def test_a_bar_can_be_removed():
    formula = parse_formula("y ~ x + (x | g) + (1 | h) - (x|g)")
    assert [bar.group for bar in formula.bars] == ["h"]


def test_a_formula_without_bars_is_a_linear_model():
    assert parse_formula("y ~ x").bars == ()


def test_two_terms_of_one_factor_are_two_bars():
    bars = parse_formula("y ~ (1 | g) + (0 + x | g)").bars
    assert [(bar.group, bar.linear.intercept) for bar in bars] == [("g", True), ("g", False)]


BARE = {
    "y ~ 1 | g": "(1 | g)",
    "y ~ x | factor(g)": "(x | factor(g))",
    "y ~ (x) || g": "((x) || g)",
    "y ~ 0 + x | g/h": "(0 + x | g/h)",
}


@pytest.mark.parametrize(("text", "source"), BARE.items(), ids=BARE)
def test_one_bar_needs_no_parentheses(text, source):
    formula, same = parse_formula(text), parse_formula(f"y ~ {source}")
    assert [bar.source for bar in formula.bars] == [bar.source for bar in same.bars]
    assert [bar.group for bar in formula.bars] == [bar.group for bar in same.bars]
    assert [bar.linear for bar in formula.bars] == [bar.linear for bar in same.bars]
    assert formula.fixed == same.fixed


def test_us_and_diag_are_one_and_two_bars():
    formula = parse_formula("y ~ x + us(1 + x | g) + diag(x | h)")
    same = parse_formula("y ~ x + (1 + x | g) + (x || h)")
    for bar, plain in zip(formula.bars, same.bars, strict=True):
        assert (bar.linear, bar.group, bar.correlated) == (
            plain.linear, plain.group, plain.correlated,
        )  # fmt: skip
    assert [bar.source for bar in formula.bars] == ["us(1 + x | g)", "diag(x | h)"]
    assert formula_text(formula) == formula_text(same)
