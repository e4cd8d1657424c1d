"""Updating a formula gives what R 4.2.2's ``update.formula`` gives."""

import pytest

from hierbayes.errors import FormulaError
from hierbayes.formula.parser import parse_formula
from hierbayes.formula.update import update_formula

SLEEP = "Reaction ~ Days + (Days | Subject)"
OFFSET = "y ~ 0 + a*b + offset(log(w)) + (1|g)"

R_UPDATES = [
    (SLEEP, ". ~ . + x", "Reaction ~ Days + (Days | Subject) + x"),
    (SLEEP, ". ~ . - (Days | Subject) + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"),
    (SLEEP, ". ~ . - Days", "Reaction ~ (Days | Subject)"),
    (SLEEP, "log(.) ~ .", "log(Reaction) ~ Days + (Days | Subject)"),
    (SLEEP, ". ~ . - 1", "Reaction ~ Days + (Days | Subject) - 1"),
    (SLEEP, ". ~ . + 0", "Reaction ~ Days + (Days | Subject) - 1"),
    (SLEEP, ". ~ x", "Reaction ~ x"),
    (SLEEP, ". ~ 1", "Reaction ~ 1"),
    (SLEEP, ". ~ . + (1|g/h)", "Reaction ~ Days + (Days | Subject) + (1 | g/h)"),
    (SLEEP, "y ~ .", "y ~ Days + (Days | Subject)"),
    (SLEEP, ". ~ . + offset(w)", "Reaction ~ Days + (Days | Subject) + offset(w)"),
    (SLEEP, "~ . + x", "Reaction ~ Days + (Days | Subject) + x"),
    (SLEEP, ". ~ z + .", "Reaction ~ z + Days + (Days | Subject)"),
    (SLEEP, ". ~ . + (0 + x || g)", "Reaction ~ Days + (Days | Subject) + (0 + x || g)"),
    (SLEEP, ". ~ . + I(Days^2)", "Reaction ~ Days + (Days | Subject) + I(Days^2)"),
    (SLEEP, ". ~ . + x:z + q", "Reaction ~ Days + (Days | Subject) + q + x:z"),
    (SLEEP, ". ~ . + (Days|Subject)", "Reaction ~ Days + (Days | Subject)"),
    (SLEEP, ". ~ . - z", "Reaction ~ Days + (Days | Subject)"),
    (OFFSET, ". ~ .", "y ~ a + b + (1 | g) + a:b + offset(log(w)) - 1"),
    (OFFSET, ". ~ . + 1", "y ~ a + b + (1 | g) + a:b + offset(log(w))"),
    (OFFSET, ". ~ . - a:b", "y ~ a + b + (1 | g) + offset(log(w)) - 1"),
    (OFFSET, ". ~ . + offset(v)", "y ~ a + b + (1 | g) + a:b + offset(log(w)) + offset(v) - 1"),
    (OFFSET, ". ~ c + .", "y ~ c + a + b + (1 | g) + a:b + offset(log(w)) - 1"),
    (OFFSET, ". ~ . - (1|g)", "y ~ a + b + a:b + offset(log(w)) - 1"),
    (OFFSET, ".+1 ~ .", "y + 1 ~ a + b + (1 | g) + a:b + offset(log(w)) - 1"),
    ("y ~ (1|g) + x", ". ~ . + z", "y ~ (1 | g) + x + z"),
    ("y ~ x:z + (1|g)", ". ~ . + w", "y ~ (1 | g) + w + x:z"),
    ("y ~ 1 + (1|g)", ". ~ .", "y ~ (1 | g)"),
    ("y ~ (1|g)", ". ~ . - (1|g)", "y ~ 1"),
    ("y ~ a - 1", ". ~ . + b", "y ~ a + b - 1"),
    ("y ~ x", ". ~ . * z", "y ~ x + z + x:z"),
]

# R keeps a removed offset and writes "1 - 1" where nothing is left.
OURS = [
    (OFFSET, ". ~ . - offset(log(w))", "y ~ a + b + (1 | g) + a:b - 1"),
    ("y ~ 1", ". ~ . - 1", "y ~ 0"),
    ("a/b ~ x", ".^2 ~ .", "(a/b)^2 ~ x"),
    # A || is the sum of its parts, as lme4 writes it out; a bar is what it means, not its text.
    ("y ~ x + (x || g)", ". ~ . - (0 + x | g)", "y ~ x + (1 | g)"),
    ("y ~ x + (x || g)", ". ~ . - (x - 1 | g)", "y ~ x + (1 | g)"),
    ("y ~ x + (x || g)", ". ~ . - (1 | g)", "y ~ x + (0 + x || g)"),
    ("y ~ x + (x || g)", ". ~ . - (1 | g) - (0 + x | g)", "y ~ x"),
    ("y ~ x + (x || g)", ". ~ . - (1 + x || g)", "y ~ x"),
    ("y ~ x + diag(x | g)", ". ~ . - (0 + x | g)", "y ~ x + (1 | g)"),
    ("y ~ (a + b || g) + z", ". ~ . - (0 + a | g)", "y ~ (1 + b || g) + z"),
    ("y ~ (a + b || g)", ". ~ . - (0 + a + b || g)", "y ~ (1 | g)"),
    ("y ~ (a * b || g)", ". ~ . - (0 + a | g)", "y ~ (1 + b + a:b || g)"),
    ("y ~ (0 + x | g)", ". ~ . - (x - 1 | g)", "y ~ 1"),
    ("y ~ (1 + x | g)", ". ~ . - (x | g)", "y ~ 1"),
]


@pytest.mark.parametrize(("old", "text", "expected"), R_UPDATES + OURS)
def test_update(old, text, expected):
    updated = update_formula(parse_formula(old), text)
    assert updated == expected
    parse_formula(updated)


def test_a_dot_of_the_old_formula_keeps_its_columns():
    old = parse_formula("y ~ . - g + (1 | g)", ["y", "x", "z", "g"])
    assert update_formula(old, ". ~ . - z") == "y ~ x + (1 | g)"


def test_removing_a_bar_that_is_not_there_names_those_that_are():
    with pytest.raises(FormulaError) as error:
        update_formula(parse_formula(SLEEP), ". ~ . - (1 | Subject)")
    assert str(error.value) == (
        "There is no (1 | Subject) to remove.\n"
        "    . ~ . - (1 | Subject)\n"
        "          ^\n"
        "It has (Days | Subject)."
    )


@pytest.mark.parametrize("text", ["", ". ~", "x", ". ~ .:x"])
def test_a_bad_update_is_our_error(text):
    with pytest.raises(FormulaError):
        update_formula(parse_formula(SLEEP), text)
