"""The fixed part: R's terms, in R's order, under R's labels.

The expected labels are those of ``attr(terms(y ~ ...), "term.labels")`` in R 4.2.2, joined by
blanks; before them stands ``attr(terms(...), "intercept")``.
"""

import pytest

from hierbayes.errors import FormulaError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import Name, names_in
from hierbayes.formula.parser import (
    columns_in,
    formula_lines,
    formula_text,
    parse_expression,
    parse_formula,
)
from tests.reference_fits import generalized_fits, linear_fits, load_fit

R_TERMS = [
    ("a*b", 1, "a b a:b"),
    ("a/b", 1, "a a:b"),
    ("(a+b)/c", 1, "a b a:b:c"),
    ("a %in% b", 1, "a:b"),
    ("(a+b+c)^2", 1, "a b c a:b a:c b:c"),
    ("(a+b+c)**2", 1, "a b c a:b a:c b:c"),
    ("a*b*c - a:b:c", 1, "a b c a:b a:c b:c"),
    ("b+a:b+a", 1, "b a b:a"),
    ("b:a + a", 1, "a b:a"),
    ("a+b+b:a", 1, "a b a:b"),
    ("a+b:a+a:b", 1, "a a:b"),
    ("x-1", 0, "x"),
    ("x+0", 0, "x"),
    ("0+x", 0, "x"),
    ("-1+x", 0, "x"),
    ("x-1+1", 1, "x"),
    ("x+1-1", 0, "x"),
    ("1", 1, ""),
    ("0", 0, ""),
    ("-1", 0, ""),
    ("(x-1)+z", 0, "x z"),
    ("z+(x-1)", 0, "z x"),
    ("z-(x-1)", 1, "z"),
    ("z-(x+1)", 0, "z"),
    ("a*b-a", 1, "b a:b"),
    ("a*b-b", 1, "a a:b"),
    ("a*(b+c)", 1, "a b c a:b a:c"),
    ("(a+b):(c+d)", 1, "a:c a:d b:c b:d"),
    ("a/(b+c)", 1, "a a:b a:c"),
    ("a/b/c", 1, "a a:b a:b:c"),
    ("a:a", 1, "a"),
    ("a^2", 1, "a"),
    ("(a+b)^3", 1, "a b a:b"),
    ("a*b^2", 1, "a b a:b"),
    ("log(x)+log(x):a", 1, "log(x) log(x):a"),
    ("a:log(x)", 1, "a:log(x)"),
    ("c:b:a+b+a", 1, "b a c:b:a"),
    ("b:a+c:b+a", 1, "a b:a b:c"),
    ("a-a", 1, ""),
    ("(0+a)/b", 0, "a a:b"),
    ("(1+a)/b", 1, "a a:b"),
    ("(1+a+b)^2", 1, "a b a:b"),
    ("(a-1)^2", 0, "a"),
    ("offset(w)+x", 1, "x"),
    ("a %in% b %in% c", 1, "a:b:c"),
    ("a %in% (b+c)", 1, "a:b:c"),
    ("(a+b) %in% c", 1, "a:c b:c"),
    ("a:b %in% c", 1, "a:b:c"),
    ("a+b %in% a", 1, "a a:b"),
    ("a*b %in% c", 1, "a b:c a:b:c"),
    ("a/b:c", 1, "a a:b:c"),
    ("a:b/c", 1, "a:b a:b:c"),
    ("(a:b)/c", 1, "a:b a:b:c"),
    ("a+b/c", 1, "a b b:c"),
    ("(a*b)/c", 1, "a b a:b a:b:c"),
    ("(a+b+a:b)/c", 1, "a b a:b a:b:c"),
    ("a:b + a:c + b:c", 1, "a:b a:c b:c"),
    ("I(x^2)+x", 1, "I(x^2) x"),
    ("-x", 1, ""),
    ("-x+z", 1, "z"),
    ("+x", 1, "x"),
    ("- -x", 1, ""),
    ("(a+b)-(b)", 1, "a"),
    ("((a))", 1, "a"),
    ("(a)+a", 1, "a"),
    ("-a+b", 1, "b"),
    ("a+-b", 1, "a"),
    ("a+ +b", 1, "a b"),
    ("T", 1, "T"),
    ("log(x)^2", 1, "log(x)"),
    ("a:b^2", 1, "a:b"),
    ("-a^2", 1, ""),
    ("a-b:c", 1, "a"),
    ("a*b - b:a", 1, "a b"),
    ("x + 0 + 1", 1, "x"),
    ("1+0", 0, ""),
    ("x+-1", 0, "x"),
    ("x+(-1)", 0, "x"),
    ("x - 0", 1, "x"),
    ("0-1", 0, ""),
    ("a+1.0", 1, "a"),
    ("a+1L", 1, "a"),
    ("a-1L", 0, "a"),
    ("a + 0.0", 0, "a"),
    ("b + a %in% b", 1, "b b:a"),
    ("a/b - a", 1, "a:b"),
    ("d+c+b+a+a:b+c:d+a:c", 1, "d c b a b:a d:c c:a"),
    ("a:b:c+c:b+d:a", 1, "b:c a:d a:b:c"),
    ("c:b + a:c", 1, "c:b c:a"),
    ("offset(a)+b+a:c", 1, "b a:c"),
    ("c:b+offset(a)+a:b", 1, "c:b b:a"),
    ("z+ x*w - z:x - w:x", 1, "z x w"),
    ("(a+b+1)^2 - 1", 0, "a b a:b"),
    ("a*(1+b)", 1, "a b a:b"),
    ("(a+1)*(b+1)", 1, "a b a:b"),
    ("(a+1):b", 1, "a:b"),
    ("(a-1)*b", 0, "a b a:b"),
    ("(a-1):b", 0, "a:b"),
    ("a:(b-1)", 0, "a:b"),
    ("a*(b-1)", 0, "a b a:b"),
    ("a/(b-1)", 0, "a a:b"),
    ("(a-1)/b", 0, "a a:b"),
    ("(a+0)*b", 0, "a b a:b"),
    ("a+(0+b)", 0, "a b"),
    ("(0+a)+b", 0, "a b"),
    ("a-(0+b)", 1, "a"),
    ("a - (b-1)", 1, "a"),
    ("b+a:b:b", 1, "b b:a"),
    ("(a+b):(a+b)", 1, "a b a:b"),
    ("(a+b)*(a+c)", 1, "a b c a:c a:b b:c"),
    ("(a*b)^2", 1, "a b a:b"),
    ("(a+b)^2 - a:b", 1, "a b"),
    ("(a+b+c)^2 - (a+b):c", 1, "a b c a:b"),
    ("(a + b + c + d)^3", 1, "a b c d a:b a:c a:d b:c b:d c:d a:b:c a:b:d a:c:d b:c:d"),
    ("(a:b + c + d)^2", 1, "c d a:b c:d a:b:c a:b:d"),
    ("(b + a)^3", 1, "b a b:a"),
    ("(a * b + c)^2", 1, "a b c a:b a:c b:c a:b:c"),
    ("(a + b + c + d)^2 - a", 1, "b c d a:b a:c a:d b:c b:d c:d"),
    ("(d + c + b)^2 + a", 1, "d c b a d:c d:b c:b"),
    ("((a + b)^2 + c)^2", 1, "a b c a:b a:c b:c a:b:c"),
    ("(a + b):(a + b + c)", 1, "a b a:b a:c b:c"),
    ("(a/b + c)^3", 1, "a c a:b a:c a:b:c"),
    ("(c:a + b:d + a:b)^2", 1, "c:a b:d a:b c:a:b a:b:d c:a:b:d"),
    ("(a + b) * (c + d) * e", 1,
     "a b c d e a:c a:d b:c b:d a:e b:e c:e d:e a:c:e a:d:e b:c:e b:d:e"),
    ("(a + b)/(c + d)/e", 1, "a b a:b:c a:b:d a:b:c:d:e"),
    ("(a + b)^2/c", 1, "a b a:b a:b:c"),
    ("a:b:c:d + d:c + b * a", 1, "b a c:d a:b a:b:c:d"),
    ("(a + b) %in% (c + d)", 1, "a:c:d b:c:d"),
    ("a * b/c", 1, "a b a:b a:b:c"),
    ("a/b * c", 1, "a c a:b a:c a:b:c"),
    ("a * (b/c)", 1, "a b b:c a:b a:b:c"),
    ("(a + b + c + d)^4 - a:b:c:d", 1,
     "a b c d a:b a:c a:d b:c b:d c:d a:b:c a:b:d a:c:d b:c:d"),
    ("a %in% b/c", 1, "a:b a:b:c"),
    ("a/b %in% c", 1, "a a:b:c"),
    ("(a + b)^2:c", 1, "a:c b:c a:b:c"),
    ("-1 + a:b + a * c", 0, "a c a:b a:c"),
    ("factor(a > 4) * b", 1, "factor(a > 4) b factor(a > 4):b"),
    ("`a b`*c", 1, "`a b` c `a b`:c"),
]  # fmt: skip

R_DOTS = [   # terms(..., data = data.frame(y, x, z, g))
    ("y ~ .", "x z g"),
    ("log(y) ~ .", "x z g"),
    ("I(y + x) ~ .", "z g"),
    ("x/y ~ .", "z g"),
    ("y ~ . - x", "z g"),
    ("y ~ .^2", "x z g x:z x:g z:g"),
    ("y ~ .:x", "x x:z x:g"),
    ("y ~ z + .", "z x g"),
    ("y ~ . * x", "x z g x:z x:g"),
    ("y ~ x * .", "x z g x:z x:g"),
    ("y ~ log(x) + .", "log(x) x z g"),
    ("y ~ . + w", "x z g w"),
]  # fmt: skip

R_LINES = [   # deparse(y ~ ...) of R, whose lines lme4 prints after "Formula:"
    ["Reaction ~ Days + I(Days^2) + I(Days^3) + (Days + I(Days^2) + ",
     "    I(Days^3) | Subject)"],
    ["y ~ bs(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, df = 4, knots = c(1, 2, ",
     "    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), degree = 3, ",
     "    intercept = FALSE, Boundary.knots = c(0, 1e+05)) + zzzzzzzzzzzz"],
    ["cbind(incidence_in_the_first_period, size_of_the_herd - incidence_in_the_first_period) ~ ",
     "    period + (1 | herd)"],
]  # fmt: skip

REFERENCE = sorted({load_fit(name).formula for name in (*linear_fits(), *generalized_fits())})


def labels(formula):
    return " ".join(term.label for term in formula.fixed.terms)


@pytest.mark.parametrize(("right", "intercept", "expected"), R_TERMS)
def test_terms_are_those_of_r(right, intercept, expected):
    formula = parse_formula(f"y ~ {right}")
    assert (labels(formula), formula.fixed.intercept) == (expected, bool(intercept))


@pytest.mark.parametrize(("right", "intercept", "expected"), R_TERMS)
def test_bars_leave_the_fixed_terms_alone(right, intercept, expected):
    formula = parse_formula(f"y ~ (1 + w | g) + {right} + (1 | h)")
    # In front of the bar, "- x" takes a term away; after it, there is none left to start from.
    assert formula.fixed.intercept == bool(intercept)
    assert labels(formula) == expected
    assert [bar.group for bar in formula.bars] == ["g", "h"]


@pytest.mark.parametrize(
    ("right", "intercept", "expected"),
    # a bar has no offset, and without intercept and terms it is an error
    [case for case in R_TERMS if "offset" not in case[0] and (case[1] or case[2])],
)
def test_the_left_side_of_a_bar_expands_like_the_fixed_part(right, intercept, expected):
    linear = parse_formula(f"w ~ ({right} | group)").bars[0].linear
    found = " ".join(term.label for term in linear.terms)
    assert (found, linear.intercept) == (expected, bool(intercept))


@pytest.mark.parametrize(("text", "expected"), R_DOTS)
def test_dot_is_every_column_outside_the_response(text, expected):
    assert labels(parse_formula(text, ["y", "x", "z", "g"])) == expected


def test_columns_matter_only_for_the_dot():
    assert parse_formula("y ~ x.1", ["y", "z"]) == parse_formula("y ~ x.1")


def test_a_dot_with_a_strange_name_gets_back_ticks():
    assert labels(parse_formula("y ~ .", ["y", "my x"])) == "`my x`"


def test_the_variables_of_a_term_are_expressions_in_label_order():
    term = parse_formula("y ~ b + log(a):b").fixed.terms[1]
    assert term.label == "b:log(a)"
    assert [deparse(variable) for variable in term.variables] == ["b", "log(a)"]


def test_offsets_are_kept_apart_from_terms():
    fixed = parse_formula("y ~ x + offset(log(w)) + offset(10 * v)").fixed
    assert [deparse(offset) for offset in fixed.offsets] == ["log(w)", "10 * v"]
    assert [term.label for term in fixed.terms] == ["x"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("log(Reaction) ~ x", "log(Reaction)"),
        ("incidence/size ~ x", "incidence/size"),
        ("a*b ~ x", "a * b"),
        ("(a-b)^2~x", "(a - b)^2"),
        ("I(TICKS>0) ~ x", "I(TICKS > 0)"),
        ("cbind(incidence, size-incidence) ~ x", "cbind(incidence, size - incidence)"),
        ("y > 3 ~ x", "y > 3"),
        ("`my y` ~ x", "`my y`"),
    ],
)
def test_a_response_may_be_an_expression(text, label):
    formula = parse_formula(text)
    assert formula.response_label == label == deparse(formula.response)


@pytest.mark.parametrize(
    "name", ["größe", "возраст", "年龄", "नाम", "θ", "x.1", ".x", "x_1", "..x"]
)
def test_names_of_any_script_need_no_back_ticks(name):
    formula = parse_formula(f"y ~ {name} + (1 | {name})")
    assert formula.fixed.terms[0].variables == (Name(name),)
    assert formula.fixed.terms[0].label == formula.bars[0].group == name


@pytest.mark.parametrize("name", ["my x", "1st", "a-b", "😀", "if", "TRUE", "a`b", "a\\b", "_x"])
def test_any_other_name_stands_in_back_ticks(name):
    quoted = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    term = parse_formula(f"y ~ {quoted}").fixed.terms[0]
    assert term.variables == (Name(name),)
    assert term.label == quoted


def test_a_letter_and_its_accent_are_one_name():
    assert parse_formula("y ~ cafe\u0301") == parse_formula("y ~ café")


def test_white_space_and_line_breaks_do_not_matter():
    spaced = parse_formula("  y~\n\tx+( 1|g )\n")
    assert spaced.source == "y~\n\tx+( 1|g )"
    assert formula_text(spaced) == "y ~ x + (1 | g)"


@pytest.mark.parametrize("lines", R_LINES, ids=lambda lines: lines[0][:20])
def test_long_formulas_break_where_r_breaks_them(lines):
    assert formula_lines(parse_formula("".join(line.strip() + " " for line in lines))) == lines


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1/(1 + Days)", ("Days",)),
        ("b * a + log(b)", ("b", "a")),
        ("w", ("w",)),
        ("I(x > 3 & g == 'a')", ("x", "g")),
        ("C(f, contr.sum)", ("f",)),
        ("bs(x, df = 4, knots = c(1, 2))", ("x",)),
        ("2", ()),
    ],
)
def test_the_columns_of_an_expression(text, names):
    assert names_in(parse_expression(text)) == names


def test_the_columns_of_a_formula_in_order():
    formula = parse_formula("log(y/n) ~ a * I(b^2) + offset(w) + (1 + z | g/h) + (1 | a)")
    assert columns_in(formula) == ("y", "n", "a", "b", "w", "z", "h", "g")


@pytest.mark.parametrize("text", REFERENCE)
def test_every_formula_of_the_reference_is_read_and_written_back(text):
    assert formula_text(parse_formula(text)) == text


@pytest.mark.parametrize("bad", [None, 3, ["y ~ x"], b"y ~ x", object()])
def test_what_is_no_text_is_our_error(bad):
    with pytest.raises(FormulaError, match="given as text, not as"):
        parse_formula(bad)
    with pytest.raises(FormulaError, match="given as text, not as"):
        parse_formula(bad, ["x"])


def test_the_labels_of_variables_stand_on_their_term():
    formula = parse_formula("y ~ a:log(x) + `my col` + (poly(t, 2):a || g)")
    first, second = formula.fixed.terms
    assert first.labels == ("`my col`",)
    assert second.labels == ("a", "log(x)")
    (term,) = formula.bars[0].linear.terms
    assert term.labels == tuple(map(deparse, term.variables)) == ("poly(t, 2)", "a")


def test_a_formula_keeps_the_tree_it_was_read_from():
    formula = parse_formula("log(y)~a*b+(x|g/h)")
    assert deparse(formula.tree) == "log(y) ~ a * b + (x | g/h)"
    assert [deparse(bar.tree) for bar in formula.bars] == ["x | g/h", "x | g/h"]
