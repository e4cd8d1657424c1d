"""A text that means harm runs nothing, breaks nothing and takes no time.

Each gives a formula or our error within a second; nothing is ever evaluated.
"""

import difflib  # noqa: F401  (what messages import lazily is no code of the formula)
import sys
import time
from contextlib import contextmanager

import pytest

from hierbayes.errors import FormulaError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.expressions import names_in
from hierbayes.formula.grammar import MAX_DEPTH
from hierbayes.formula.parser import (
    columns_in,
    formula_lines,
    formula_text,
    parse_expression,
    parse_formula,
)
from hierbayes.formula.tokenizer import MAX_LENGTH
from hierbayes.formula.update import update_formula

SECONDS = 1.0  # what a user takes for an answer at once

LETTERS = [f"x{number}" for number in range(40)]

HOSTILE = {
    "import": "y ~ __import__('os').system('true')",
    "import in a function": "y ~ I(__import__('os').system('true'))",
    "open": "y ~ open('/etc/passwd')",
    "attribute": "y ~ I(().__class__.__bases__)",
    "attribute of a call": "y ~ log(x).real",
    "subscript": "y ~ x[0]",
    "subscript of a call": "y ~ I(x)[__import__('os')]",
    "lambda": "y ~ (lambda: 1)()",
    "comprehension": "y ~ I([x for x in (1, 2)])",
    "f-string": "y ~ f'{__import__(\"os\")}'",
    "walrus": "y ~ (x := 3)",
    "back-slash": "y ~ x \\\n + z",
    "back-slash in a string": "y ~ I(x == '\\",
    "null byte": "y ~ x\0 + z",
    "null byte in a name": "y ~ `x\0`",
    "escape of a null byte": "y ~ `x\\x00`",
    "lone surrogate": "y ~ \ud800",
    "lone surrogate in a name": "y ~ `\ud800`",
    "right to left override": "y ~ \u202ex",
    "zero width": "y ~ x\u200b",
    "dunder name": "y ~ __class__",
    "eval": "y ~ eval(x)",
    "called twice": "y ~ log(x)(z)",
    "call of a group": "y ~ (x)(z)",
    "decorator": "@x\ny ~ z",
    "semicolons": "y ~ x; import os",
    "SQL": "y ~ x'; drop table g; --",
    "shell": "y ~ $(true) `true`",
    "100,000 parentheses": "y ~ " + "(" * 100_000 + "x" + ")" * 100_000,
    "9,000 parentheses": "y ~ " + "(" * 9_000 + "x" + ")" * 9_000,
    "9,000 open parentheses": "y ~ " + "(" * 9_000,
    "9,000 closing parentheses": "y ~ x" + ")" * 9_000,
    "nested calls": "y ~ " + "log(" * 4_000 + "x" + ")" * 4_000,
    "nested bars": "y ~ " + "(1|" * 4_000 + "g" + ")" * 4_000,
    "signs": "y ~ " + "-" * 19_000 + "x",
    "nots": "y ~ I(" + "!" * 19_000 + "x)",
    "tildes": "y " + "~" * 19_000,
    "a long sum": "y ~ " + "+".join(["x"] * 9_000),
    "a long difference": "y ~ x" + "-x" * 9_000,
    "a long sum of columns": "y ~ " + "+".join(f"x{number}" for number in range(3_000)),
    "a long product": "y ~ " + "*".join(["x"] * 9_000),
    "a long interaction": "y ~ " + ":".join(["x"] * 9_000),
    "a long interaction of columns": "y ~ " + ":".join(f"x{number}" for number in range(3_000)),
    "long nesting": "y ~ " + "/".join(["x"] * 9_000),
    "a long tower of powers": "y ~ " + "^".join(["x"] * 9_000),
    "a long sum in a call": "y ~ I(" + "+".join(["x"] * 9_000) + ")",
    "a long sum as response": "+".join(["y"] * 9_000) + " ~ x",
    "a long sum in a bar": "y ~ (" + "+".join(["x"] * 9_000) + "|g)",
    "a long nesting of groups": "y ~ (1|" + "/".join(["x"] * 9_000) + ")",
    "a long combination of groups": "y ~ (1|" + ":".join(["x"] * 9_000) + ")",
    "a long row of bars": "y ~ (x" + "|g" * 9_000 + ")",
    "a long comparison": "y ~ I(" + "<".join(["x"] * 9_000) + ")",
    "a long vector": "y ~ ns(x, knots = c(" + ",".join(["1"] * 9_000) + "))",
    "a long list of arguments": "y ~ cbind(" + ",".join(["x"] * 9_000) + ")",
    "many bars": "y ~ " + "+".join(f"(1|g{number})" for number in range(2_000)),
    "a product of forty": "y ~ " + "*".join(LETTERS),
    "a product of forty in a bar": "y ~ (" + "*".join(LETTERS) + "|g)",
    "nesting of forty": "y ~ " + "/".join(f"({name} + z)" for name in LETTERS),
    "a power of forty": "y ~ (" + "+".join(LETTERS) + ")^20",
    "a high power": "y ~ (" + "+".join(LETTERS[:12]) + ")^999999999",
    "a power of powers": "y ~ ((" + "+".join(LETTERS[:12]) + ")^12)^12",
    "a square of a long sum": "y ~ (" + "+".join(f"x{number}" for number in range(2_000)) + ")^2",
    "a huge power": "y ~ (a+b)^1e308",
    "a negative power": "y ~ (a+b)^-1",
    "a megabyte": "y ~ " + "x" * 1_000_000,
    "a megabyte of blanks": " " * 1_000_000,
    "a megabyte string": "y ~ I(x == '" + "a" * 1_000_000 + "')",
    "a long name": "y ~ " + "x" * 19_000,
    "a long number": "y ~ I(x + " + "9" * 19_000 + ")",
    "a long small number": "y ~ I(x + 0." + "0" * 19_000 + "1)",
    "an open string": "y ~ '" + "\\'" * 9_000,
    "open back-ticks": "y ~ `" + "\\`" * 9_000,
    "many marks": "y ~ n" + "\u0301" * 19_000,
    "a ligature that grows when normalised": "\ufb2c" * 19_000 + " ~ x",
    "blanks": "y ~ x" + " " * 19_000 + "+ z",
    "many errors": "y ~ " + "x " * 9_000,
    "many dots": "y ~ " + "+".join(["."] * 9_000),
    "an unknown function of 15,000 letters": "y ~ " + "f" * 15_000 + "(x)",
}


RUNNING = frozenset(("compile", "exec", "import", "open", "os.system", "subprocess.Popen"))
seen = None  # the audit events of the formula being read; None while none is read


def audit(event, arguments):
    if seen is not None and event in RUNNING:
        seen.append((event, str(arguments)[:80]))


sys.addaudithook(audit)  # can't be taken away again, so it listens only inside nothing_runs()


@contextmanager
def nothing_runs_within_a_second():
    """Python tells its audit hooks whenever it compiles, runs, imports or opens something."""
    global seen
    seen, start = [], time.process_time()
    try:
        yield
    finally:
        events, seen = seen, None
    assert events == []
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_formula_or_our_error_within_a_second(text):
    for read in (lambda: parse_formula(text, ["y", "x", "z"]), lambda: parse_expression(text)):
        with nothing_runs_within_a_second():
            try:
                read()
            except FormulaError as error:
                assert len(str(error)) < 1_000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_read_can_be_used(text):
    try:
        formula = parse_formula(text, ["y", "x", "z"])
    except FormulaError:
        return
    with nothing_runs_within_a_second():
        hash(formula)
        assert formula_text(formula).split() == "".join(formula_lines(formula)).split()
        assert columns_in(formula)[0] == names_in(formula.response)[0]
        assert deparse(formula.response) == formula.response_label
        try:
            parse_formula(update_formula(formula, ". ~ ."))
        except FormulaError as error:  # written with blanks, a formula may pass the bound
            assert "characters" in str(error)


def test_nesting_to_the_bound_is_read_and_beyond_is_named():
    inner = MAX_DEPTH - 1
    assert parse_formula("y ~ " + "(" * inner + "x" + ")" * inner).fixed.terms[0].label == "x"
    with pytest.raises(FormulaError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_formula("y ~ " + "(" * (inner + 1) + "x" + ")" * (inner + 1))


@pytest.mark.parametrize("count", [150, 1_000])
def test_long_honest_formulas_are_read(count):
    names = " + ".join(f"item{number}" for number in range(count))
    formula = parse_formula(f"y ~ {names} + ({names[:2000].rsplit(' + ', 1)[0]} | g)")
    assert len(formula.source) <= MAX_LENGTH
    assert len(formula.fixed.terms) == count


def test_a_sum_score_of_many_items_is_read():
    names = " + ".join(f"item{number}" for number in range(150))
    assert parse_formula(f"y ~ I({names})").fixed.terms[0].label == f"I({names})"
