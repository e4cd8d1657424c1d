"""Every message says what was found, shows the place, and says what to do."""

import pytest

from hierbayes.errors import FormulaError, FormulaSyntaxError
from hierbayes.formula.excerpt import point_at
from hierbayes.formula.functions import FUNCTIONS
from hierbayes.formula.parser import parse_expression, parse_formula
from hierbayes.formula.tokenizer import MAX_LENGTH

KNOWN = (
    "The functions are I, log, log2, log10, log1p, exp, expm1, sqrt, abs, sin, cos, tan, pmax, "
    "pmin, ave, scale, center, poly, cut, bs, ns, cr, factor, C, offset, cbind; make any other "
    "column in the data first."
)

SYNTAX = [
    (
        "An operator is missing between 'y' and 'x'.",
        "y x + (1 | g)",
        "  ^",
        "Write an operator such as '+' between two columns.",
    ),
    (
        "A formula needs a '~' between the response and the predictors.",
        "y",
        " ^",
        'Write, for example, "y ~ x + (1 | g)".',
    ),
    (
        "A '=' can't stand here.",
        "y = x",
        "  ^",
        "Write '~' after the response, and '==' to compare.",
    ),
    (
        "A formula has one '~'; this one is too many.",
        "y ~ x ~ z",
        "      ^",
        "Write one '~', between the response and the predictors.",
    ),
    (
        "A '~' stands where a column's name should.",
        "y ~ x + ~ z",
        "        ^",
        "Write one '~', between the response and the predictors.",
    ),
    (
        "A random-effects term needs a grouping factor after '|'.",
        "y ~ x + (1 + x | )",
        "                ^",
        "Write the factor's column name, for example (1 + x | subject).",
    ),
    (
        "A random-effects term needs a grouping factor after '|'.",
        "y ~ x + (1 + x |)",
        "                ^",
        "Write the factor's column name, for example (1 + x | subject).",
    ),
    (
        "A random-effects term needs a grouping factor after '||'.",
        "y ~ (x ||) + z",
        "         ^",
        "Write the factor's column name, for example (1 + x | subject).",
    ),
    (
        "A random-effects term needs something left of '|'.",
        "y ~ (|g)",
        "     ^",
        "Write (1 | g) for an intercept that varies between the levels of g.",
    ),
    (
        "This '(' is never closed.",
        "y ~ (x",
        "    ^",
        "Add a ')'.",
    ),
    (
        "This ')' has no matching '('.",
        "y ~ x)",
        "     ^",
        "Take it away, or add a '('.",
    ),
    (
        "This '(' is never closed.",
        "y ~ log(log(x)",
        "       ^",
        "Add a ')'.",
    ),
    (
        "This '(' is never closed.",
        "y ~ (1|g",
        "    ^",
        "Add a ')'.",
    ),
    (
        "The formula ends after '+', where something should follow.",
        "y ~ x +",
        "       ^",
        "Add a column's name, or take the operator away.",
    ),
    (
        "Nothing stands right of '~'.",
        "y ~",
        "   ^",
        "Write 'y ~ 1' for an intercept alone.",
    ),
    (
        "Nothing stands right of '~'.",
        "~",
        " ^",
        "Write 'y ~ 1' for an intercept alone.",
    ),
    (
        "An operator is missing between 'x' and 'z'.",
        "y ~ x z",
        "      ^",
        "Write an operator such as '+' between two columns.",
    ),
    (
        "An operator is missing between 'x' and 'and'.",
        "y ~ I(x and z)",
        "        ^",
        "Write '&' for a logical and, inside I(...).",
    ),
    (
        "An operator is missing between 'not' and 'z'.",
        "y ~ I(not z)",
        "          ^",
        "Write '!' for a logical not, inside I(...).",
    ),
    (
        "An operator is missing between 'x' and 'or'.",
        "y ~ x or z",
        "      ^",
        "Write '|' for a logical or, inside I(...).",
    ),
    (
        "An operator is missing between 'x' and 'if'.",
        "y ~ x if z",
        "      ^",
        "Conditions can't stand in a formula; make the column in the data first.",
    ),
    (
        "An operator is missing between 'lambda' and 'x'.",
        "y ~ lambda x: x",
        "           ^",
        "Functions can't be defined in a formula; make the column in the data first.",
    ),
    (
        "'=' names an option, and I() has none.",
        "y ~ I(x = 4)",
        "        ^",
        "Write '==' to compare.",
    ),
    (
        "Comparisons can't be chained.",
        "y ~ I(x < 2 < 3)",
        "            ^",
        "Write I(a < b & b < c).",
    ),
    (
        "A ',' can stand only between the arguments of a function.",
        "y ~ x, z",
        "     ^",
        "Write '+' between two terms.",
    ),
    (
        "An operator is missing before this '('.",
        "y ~ x (1 | g)",
        "      ^",
        "Write '+', '*' or ':' between two terms.",
    ),
    (
        "An operator is missing before this '('.",
        "y ~ (1|g)(1|h)",
        "         ^",
        "Write '+', '*' or ':' between two terms.",
    ),
    (
        "Nothing stands between these parentheses.",
        "y ~ ()",
        "     ^",
        "Take them away.",
    ),
    (
        "'*' can't follow '~'.",
        "y ~ * x",
        "    ^",
        "A column's name, a number or '(' should stand here.",
    ),
    (
        "'*' can't follow the start of the formula.",
        "* ~ x",
        "^",
        "A column's name, a number or '(' should stand here.",
    ),
    (
        "')' can't follow ','.",
        "y ~ log(x,)",
        "          ^",
        "A column's name, a number or '(' should stand here.",
    ),
    (
        "An argument without a name follows one with a name.",
        "y ~ poly(x, degree = 2, 3)",
        "                        ^",
        "Put the arguments without a name first.",
    ),
    (
        "An operator is missing between '1' and 'st'.",
        "y ~ 1st",
        "     ^",
        "A name that begins with a digit goes in back-ticks, as in `1st`.",
    ),
    (
        "The number is too large.",
        "y ~ 1e999",
        "    ^",
        "Numbers go up to 1.8e308.",
    ),
    (
        "'NA' is a reserved word of the language.",
        "y ~ NA",
        "    ^",
        "If it is a column, put it in back-ticks: `NA`.",
    ),
    (
        "'if' is a reserved word of the language.",
        "y ~ if",
        "    ^",
        "Conditions can't stand in a formula; make the column in the data first.",
    ),
    (
        "This name in back-ticks is never closed.",
        "y ~ `a",
        "    ^",
        "Add a closing ` .",
    ),
    (
        "This string is never closed.",
        "y ~ 'a",
        "    ^",
        "Add a closing ' .",
    ),
    (
        "A name in back-ticks can't be empty.",
        "y ~ ``",
        "    ^",
        "Write the column's name between them.",
    ),
    (
        "'\\q' isn't an escape inside quotes.",
        "y ~ I('a\\qb')",
        "        ^",
        "Write a backslash as '\\\\'.",
    ),
    (
        "The character '∼' (U+223C) only looks like '~'.",
        "y ∼ x",
        "  ^",
        "Type '~' instead.",
    ),
    (
        "The character '−' (U+2212) only looks like '-'.",
        "y ~ x − 1",
        "      ^",
        "Type '-' instead.",
    ),
    (
        "'😀' has no meaning in a formula.",
        "y ~ 😀 + x",
        "    ^",
        "Put a name with such characters in back-ticks, as in `my name`.",
    ),
    (
        "';' has no meaning in a formula.",
        "y ~ x; z",
        "     ^",
        "Only one formula can be given.",
    ),
    (
        "An operator is missing between 'f' and '{x}'.",
        "y ~ f'{x}'",
        "     ^",
        "Write an operator such as '+' between two columns.",
    ),
    (
        "A '=' stands where a value should.",
        "y ~ (x := 3)",
        "        ^",
        "Write '==' to compare.",
    ),
    (
        "A formula needs a '~' between the response and the predictors.",
        "y <- x",
        "      ^",
        'Write, for example, "y ~ x + (1 | g)".',
    ),
    (
        "'!' can't follow a value.",
        "y ~ x!",
        "     ^",
        "Write '!=' for 'is not equal'.",
    ),
]

MEANING = [
    (
        "A reduced-rank covariance, rr(... | g), isn't available in this version.",
        "y ~ rr(x | g)",
        "    ^",
        "There are (x | g), (x || g), cs(x | g), ar1(0 + f | g) and toep(0 + f | g).",
    ),
    (
        "'hetar1' is written otherwise here.",
        "y ~ hetar1(0 + factor(t) | g)",
        "    ^",
        "Write ar1(x | g, hom = FALSE).",
    ),
    (
        "cs() says how the effects are correlated, and '||' that they aren't.",
        "y ~ cs(x || g)",
        "         ^",
        "Write cs(x | g), or (x || g).",
    ),
    (
        "us() has no options: every column has an sd, every pair a correlation.",
        "y ~ us(x | g, hom = TRUE)",
        "            ^",
        "Write us(x | g).",
    ),
    (
        "cs() takes a random-effects term and the option hom alone.",
        "y ~ cs(x | g, het = TRUE)",
        "              ^",
        "Write cs(x | g, hom = TRUE) for one sd of all columns.",
    ),
    (
        "The option hom is TRUE (one sd of all columns) or FALSE (one each).",
        "y ~ diag(x | g, hom = 2)",
        "                      ^",
        "Write hom = TRUE.",
    ),
    (
        "us() takes a random-effects term.",
        "y ~ us(x)",
        "    ^",
        "Write us(x | g).",
    ),
    (
        "The option 'degree' is given twice, by its place and by its name.",
        "y ~ poly(x, 2, degree = 3)",
        "                        ^",
        "Leave one of them out.",
    ),
    (
        "The formula has no response left of '~'.",
        "~ x",
        "^",
        'Write, for example, "y ~ x + (1 | g)".',
    ),
    (
        "The response names no column.",
        "1 ~ x",
        "^",
        "Write a column's name left of '~'.",
    ),
    (
        "'np.exp' isn't a function of the formula language.",
        "y ~ np.exp(x)",
        "    ^",
        "Did you mean 'exp'? " + KNOWN,
    ),
    (
        "'lag' isn't a function of the formula language.",
        "y ~ lag(x)",
        "    ^",
        "Did you mean 'log'? " + KNOWN,
    ),
    (
        "'interaction' isn't a function of the formula language.",
        "y ~ interaction(a, b)",
        "    ^",
        "Write a:b for the combinations of two factors.",
    ),
    (
        "'Treatment' isn't a function of the formula language.",
        "y ~ C(x, Treatment('a'))",
        "         ^",
        'Choose contrasts by the argument contrasts={"factor": "treatment"}.',
    ),
    (
        "'trials' isn't a function of the formula language.",
        "y | trials(n) ~ x",
        "    ^",
        "Write cbind(successes, failures) ~ ... for binomial counts.",
    ),
    (
        "'s' isn't a function of the formula language.",
        "y ~ s(x)",
        "    ^",
        "Smooth terms aren't available; ns(x, df = 4) gives a natural spline.",
    ),
    (
        "'gr' isn't a function of the formula language.",
        "y ~ x + (1 | gr(g))",
        "             ^",
        "Write the grouping factor alone, as in (1 | g).",
    ),
    (
        "factor() has no option 'x'.",
        "y ~ factor(x = 4)",
        "           ^",
        "Its options are levels, labels, exclude, ordered; write '==' to compare.",
    ),
    (
        "poly() has no option 'dgree'.",
        "y ~ poly(x, dgree = 2)",
        "            ^",
        "Its options are degree, raw, simple; write '==' to compare.",
    ),
    (
        "The option 'degree' is given twice.",
        "y ~ poly(x, degree = 2, degree = 3)",
        "                        ^",
        "Leave one of them out.",
    ),
    (
        "poly() of several columns takes its degree by name.",
        "y ~ poly(x, z, 2, 3)",
        "               ^",
        "Write, for example, poly(x, w, degree = 2).",
    ),
    (
        "An option of bs() can't be 'z'.",
        "y ~ bs(x, df = z)",
        "               ^",
        "Write a number, a string, TRUE, FALSE or a vector such as c(2, 5).",
    ),
    (
        "An option of scale() can't be 'log(2)'.",
        "y ~ scale(x, log(2))",
        "             ^",
        "Write a number, a string, TRUE, FALSE or a vector such as c(2, 5).",
    ),
    (
        "log() needs a column to work on.",
        "y ~ log()",
        "    ^",
        "Write, for example, log(x).",
    ),
    (
        "exp() takes at most one argument without a name.",
        "y ~ exp(x, 2)",
        "           ^",
        "Take it away, or name the option as in 'df = 4'.",
    ),
    (
        "c(...) can only give an option of a function, such as ns(x, knots = c(2, 5)).",
        "y ~ c(a, b)",
        "    ^",
        "Write '+' between columns.",
    ),
    (
        "'.' stands for all columns and can't be part of an expression.",
        "y ~ I(.^2)",
        "      ^",
        "Write the columns' names.",
    ),
    (
        "':' makes interactions of terms and can't stand inside an expression.",
        "y ~ I(a:b)",
        "       ^",
        "Write '*' to multiply two columns.",
    ),
    (
        "'%in%' nests terms and can't stand inside an expression.",
        "y ~ I(a %in% b)",
        "        ^",
        "Write comparisons, as in I(x == 1 | x == 2).",
    ),
    (
        "'&&' compares single values.",
        "y ~ I(a && b)",
        "        ^",
        "Write '&' to compare row by row.",
    ),
    (
        "offset(...) is a term of its own and can't be part of an expression.",
        "y ~ log(offset(x))",
        "        ^",
        "Add it to the formula with '+'.",
    ),
    (
        "'.' stands for all other columns, and no data are given here.",
        "y ~ .",
        "    ^",
        "Write the columns' names.",
    ),
    (
        "'.' can't stand in a random-effects term.",
        "y ~ (.|g)",
        "     ^",
        "Write the columns' names.",
    ),
    (
        "'.' is no grouping factor.",
        "y ~ (x|.)",
        "       ^",
        "Write a factor's column name, a/b for nested or a:b for combined factors.",
    ),
    (
        "A random-effects term can't be part of an interaction (':').",
        "y ~ x:(1|g)",
        "     ^",
        "Add it to the formula with '+'.",
    ),
    (
        "A random-effects term can't be part of an interaction ('*').",
        "y ~ x * (1|g)",
        "      ^",
        "Add it to the formula with '+'.",
    ),
    (
        "A random-effects term can't be part of an interaction ('/').",
        "y ~ (1|g)/x",
        "         ^",
        "Add it to the formula with '+'.",
    ),
    (
        "A random-effects term can't be part of an interaction ('^').",
        "y ~ (x + (1|g))^2",
        "               ^",
        "Add it to the formula with '+'.",
    ),
    (
        "An offset can't be part of an interaction (':').",
        "y ~ x:offset(w)",
        "     ^",
        "Add it to the formula with '+'.",
    ),
    (
        "A random-effects term can't stand inside an expression.",
        "y ~ log((1|g))",
        "          ^",
        "Add it to the formula with '+'; for a logical or, write I(a | b).",
    ),
    (
        "A random-effects term can't stand inside an expression.",
        "y ~ I(1|g)",
        "       ^",
        "Add it to the formula with '+'; for a logical or, write I(a | b).",
    ),
    (
        "A random-effects term can't stand inside another one.",
        "y ~ (x + (z|a)|b)",
        "           ^",
        "Add each to the formula with '+'.",
    ),
    (
        "An offset can't stand in a random-effects term.",
        "y ~ (offset(w)|g)",
        "     ^",
        "Add it to the formula with '+'.",
    ),
    (
        "A random-effects term has one '|'; this one is too many.",
        "y ~ (1|a|b)",
        "        ^",
        "Write two terms: (1 | a) + (1 | b).",
    ),
    (
        "'+' makes no grouping factor.",
        "y ~ (1|a+b)",
        "        ^",
        "Write (... | a) + (... | b).",
    ),
    (
        "'*' makes no grouping factor.",
        "y ~ (1|a*b)",
        "        ^",
        "Write (... | a) + (... | b) + (... | a:b).",
    ),
    (
        "'-' makes no grouping factor.",
        "y ~ (1|a-b)",
        "        ^",
        "Write a factor's column name, a/b for nested or a:b for combined factors.",
    ),
    (
        "'>' makes no grouping factor.",
        "y ~ (1|x > 2)",
        "         ^",
        "Wrap it in factor(...), for example (1 | factor(x > 3)).",
    ),
    (
        "'1' is no grouping factor.",
        "y ~ (1|1)",
        "       ^",
        "Write a factor's column name, a/b for nested or a:b for combined factors.",
    ),
    (
        "'\"g\"' is no grouping factor.",
        "y ~ (1|'g')",
        "       ^",
        "Write a factor's column name, a/b for nested or a:b for combined factors.",
    ),
    (
        "'+' makes no grouping factor.",
        "y ~ (1|a/(b+c))",
        "           ^",
        "Write (... | b) + (... | c).",
    ),
    (
        "Nothing is left to vary: '0' has no column.",
        "y ~ (0|g)",
        "     ^",
        "Write (1 | g) for a varying intercept.",
    ),
    (
        "There is no (1 | g) to remove.",
        "y ~ (x|g) - (1|g)",
        "          ^",
        "It has (x | g).",
    ),
    (
        "There is no offset(w) to remove.",
        "y ~ x - offset(w)",
        "      ^",
        "It has no such term.",
    ),
    (
        "The number 2 is no term; only 1 and 0 (with or without intercept) are.",
        "y ~ x + 2",
        "        ^",
        "Write I(...) for arithmetic.",
    ),
    (
        "No term stands on the right of ':'.",
        "y ~ a:1",
        "     ^",
        "Write a column's name there.",
    ),
    (
        "No term stands on the left of '*'.",
        "y ~ 1*a",
        "     ^",
        "Write a column's name there.",
    ),
    (
        "The power of terms must be a whole number from 1 on.",
        "y ~ (a+b)^1.5",
        "          ^",
        "Write (a + b)^2 for interactions, or I(x^2) for the square of a column.",
    ),
    (
        "The power of terms must be a whole number from 1 on.",
        "y ~ x^z",
        "      ^",
        "Write (a + b)^2 for interactions, or I(x^2) for the square of a column.",
    ),
    (
        "'>' makes no term.",
        "y ~ x > 3",
        "      ^",
        "Wrap it in I(...), for example I(x > 3).",
    ),
    (
        "'!' makes no term.",
        "y ~ !x",
        "    ^",
        "Wrap it in I(...), for example I(x > 3).",
    ),
    (
        "'%%' makes no term.",
        "y ~ x %% 2",
        "      ^",
        "Wrap it in I(...), for example I(x > 3).",
    ),
    (
        '"x" is no column and no term.',
        "y ~ 'x'",
        "    ^",
        "Write a column's name; one with special characters in back-ticks.",
    ),
    (
        "TRUE is no column and no term.",
        "y ~ TRUE",
        "    ^",
        "Write a column's name; one with special characters in back-ticks.",
    ),
    (
        "The response 'y' also stands among the predictors.",
        "y ~ x + y",
        "        ^",
        "Take it away on the right of '~'.",
    ),
    (
        "The response 'log(y)' also stands among the predictors.",
        "log(y) ~ x + log(y)",
        "             ^",
        "Take it away on the right of '~'.",
    ),
    (
        "'$' has no meaning in a formula.",
        "y ~ df$x",
        "      ^",
        "Write the column's name alone; the data are given apart from the formula.",
    ),
    (
        "'[' has no meaning in a formula.",
        "y ~ x[1]",
        "     ^",
        "Subscripts aren't part of the language: make a column of the data first.",
    ),
    (
        "'lag' isn't a function of the formula language.",
        "数据 ~ 变量 + lag(x)",
        "              ^",
        "Did you mean 'log'? " + KNOWN,
    ),
]


def message(sentence, text, caret, advice):
    return f"{sentence}\n    {text}\n    {caret}\n{advice}"


@pytest.mark.parametrize(
    ("sentence", "text", "caret", "advice"), SYNTAX, ids=[c[1] for c in SYNTAX]
)
def test_what_is_no_formula(sentence, text, caret, advice):
    with pytest.raises(FormulaSyntaxError) as error:
        parse_formula(text)
    assert str(error.value) == message(sentence, text, caret, advice)


@pytest.mark.parametrize(
    ("sentence", "text", "caret", "advice"), MEANING, ids=[c[1] for c in MEANING]
)
def test_what_reads_well_but_cannot_be_meant(sentence, text, caret, advice):
    with pytest.raises(FormulaError) as error:
        parse_formula(text)
    assert type(error.value) is FormulaError
    assert str(error.value) == message(sentence, text, caret, advice)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_formula(text):
    with pytest.raises(FormulaSyntaxError, match="The formula is empty"):
        parse_formula(text)


@pytest.mark.parametrize("text", ["y ~ x", "x:z", "(1 | g)", "x +", "c(1, 2)", "offset(x)", "."])
def test_an_expression_for_weights_is_checked_too(text):
    with pytest.raises(FormulaError):
        parse_expression(text)


def test_control_characters_do_not_move_the_caret():
    with pytest.raises(FormulaSyntaxError) as error:
        parse_formula("y ~ x\n\t+ (1 | ) + \0")
    assert str(error.value) == (
        "The character U+0000 has no meaning in a formula.\n"
        "    y ~ x  + (1 | ) +  \n"
        "                      ^\n"
        "Take it away."
    )


def test_a_long_formula_is_shown_round_the_place():
    names = " + ".join(f"column_{number}" for number in range(20))
    with pytest.raises(FormulaError) as error:
        parse_formula(f"y ~ {names} + lag(x) + {names}")
    lines = str(error.value).split("\n")
    assert lines[1] == (
        "    ...olumn_17 + column_18 + column_19 + lag(x) + column_0 + column_1 + colu..."
    )
    assert lines[1][lines[2].index("^") :].startswith("lag(x)")


def test_the_caret_stands_under_wide_and_combining_characters():
    shown = point_at("Here.", source="变量 + नाम + x", at=11).split("\n")
    # two wide letters take four columns, a vowel sign that combines takes its letter's
    assert shown[2].index("^") == 4 + 4 + 3 + 3 + 3


def test_every_function_of_the_list_is_read():
    for function in FUNCTIONS:
        if function != "offset":
            assert parse_formula(f"y ~ {function}(x)").fixed.terms[0].label == f"{function}(x)"


def test_the_length_is_bounded():
    with pytest.raises(FormulaError, match=f"{MAX_LENGTH + 1:,} characters; at most 20,000"):
        parse_formula("y ~ " + "x" * (MAX_LENGTH - 3))


def test_successes_of_trials_written_in_another_way_are_pointed_to_cbind():
    with pytest.raises(FormulaError, match=r"Write cbind\(k, n - k\) ~ \.\.\. for k successes"):
        parse_formula("p(incidence, size) ~ period")
