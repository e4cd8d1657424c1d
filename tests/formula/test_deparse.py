"""Expressions written back as R 4.2.2 writes them: ``deparse(quote(...))``."""

import pytest

from hierbayes.formula.deparse import deparse, number_text
from hierbayes.formula.grammar import read_expression

R_DEPARSE = [
    ("I(Days^2)", "I(Days^2)"),
    ("poly(Days,2)", "poly(Days, 2)"),
    ("poly( Days , degree=2,raw=TRUE )", "poly(Days, degree = 2, raw = TRUE)"),
    ("poly(x, 2, raw=T)", "poly(x, 2, raw = T)"),
    ("log(Days+1)", "log(Days + 1)"),
    ("factor(Days>4)", "factor(Days > 4)"),
    ("bs(x,df=4)", "bs(x, df = 4)"),
    ("ns(x,knots=c(1,2.50))", "ns(x, knots = c(1, 2.5))"),
    ("factor(x,levels=c('a',\"b\"))", 'factor(x, levels = c("a", "b"))'),
    ("I((temp-200)/10)", "I((temp - 200)/10)"),
    ("1/(1+Days)", "1/(1 + Days)"),
    ("-x", "-x"),
    ("- -x", "--x"),
    ("-(-x)", "-(-x)"),
    ("+x", "+x"),
    ("a-b-c", "a - b - c"),
    ("a-(b-c)", "a - (b - c)"),
    ("a*(b+c)", "a * (b + c)"),
    ("a/b/c", "a/b/c"),
    ("a%%b", "a%%b"),
    ("a %/% b", "a%/%b"),
    ("a%in%b", "a %in% b"),
    ("a : b:c", "a:b:c"),
    ("a ** b", "a^b"),
    ("x^2^3", "x^2^3"),
    ("(x^2)^3", "(x^2)^3"),
    ("a^-b", "a^-b"),
    ("-x^2", "-x^2"),
    ("-x:y", "-x:y"),
    ("a+-b", "a + -b"),
    ("a*-b", "a * -b"),
    ("!a&b|c", "!a & b | c"),
    ("!x==y", "!x == y"),
    ("a!=b", "a != b"),
    ("a<=b", "a <= b"),
    ("a||b", "a || b"),
    ("'s'", '"s"'),
    ('"a\'b"', '"a\'b"'),
    (r'"q\"q"', r'"q\"q"'),
    (r"'a\n\t\\b'", r'"a\n\t\\b"'),
    (r"'\u00e9'", '"é"'),
    (r"'\x41'", '"A"'),
    ("'日本 😀'", '"日本 😀"'),
    ("`a b`+1", "`a b` + 1"),
    ("`x`", "x"),
    ("`_x`", "`_x`"),
    ("`é`", "é"),
    ("`if`", "`if`"),
    ("`TRUE`", "`TRUE`"),
    ("`Inf`", "`Inf`"),
    ("`1a`", "`1a`"),
    ("`.2a`", "`.2a`"),
    (r"`a\`b`", r"`a\`b`"),
    (r"`a\\b`", r"`a\\b`"),
    ("`😀`", "`😀`"),
    ("TRUE", "TRUE"),
    ("True", "TRUE"),  # Python's spelling
    ("NULL", "NULL"),
    ("T", "T"),
]

R_NUMBERS = [
    ("1e-3", "0.001"), ("1e5", "1e+05"), ("100000", "1e+05"), ("123456", "123456"),
    ("1e-5", "1e-05"), ("0.0001", "1e-04"), ("0.00012", "0.00012"), ("0.00001234", "1.234e-05"),
    ("1.50", "1.5"), ("2L", "2L"), ("1e3L", "1000L"), ("100000L", "100000L"), ("1e15", "1e+15"),
    ("0.1", "0.1"), (".5", "0.5"), ("5.", "5"), ("1E3", "1000"), ("10000", "10000"),
    ("12e4", "120000"), ("200000", "2e+05"), ("1234567", "1234567"), ("123456.7", "123456.7"),
    ("1e300", "1e+300"), ("1e-300", "1e-300"), ("1e22", "1e+22"), ("0", "0"),
    ("123456789012345678", "123456789012345680"), ("0.1234567890123456", "0.123456789012346"),
    ("3.14159265358979", "3.14159265358979"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), R_DEPARSE + R_NUMBERS)
def test_as_r_writes_it(text, expected):
    assert deparse(read_expression(text)) == expected


@pytest.mark.parametrize("text", [expected for _, expected in R_DEPARSE])
def test_what_is_written_reads_as_the_same_expression(text):
    assert deparse(read_expression(text)) == text


def test_precedence_shows_in_the_tree():
    assert read_expression("-x^2") == read_expression("-(x^2)".replace("(", "").replace(")", ""))
    assert read_expression("a + b * c^2").operator == "+"
    assert read_expression("a:b * c").operator == "*"
    assert read_expression("-a:b").operator == ":"
    assert read_expression("-a^b").operator == "-"
    assert read_expression("a %in% b:c").operator == "%in%"
    assert read_expression("a / b %in% c").operator == "/"
    assert read_expression("!a == b").operator == "!"
    assert read_expression("a | b & c").operator == "|"
    assert read_expression("a + b > c").operator == ">"


def test_places_are_no_part_of_equality():
    assert read_expression("log( x )") == read_expression("log(x)")
    assert hash(read_expression("log( x )")) == hash(read_expression("log(x)"))


def test_a_negative_number_is_written_with_its_sign():
    assert number_text(-0.5) == "-0.5"
