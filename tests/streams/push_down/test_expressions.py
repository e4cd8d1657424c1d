"""Expressions in an engine have the values they have in memory."""

import numpy as np
import polars as pl
import pytest

from hierbayes.design.evaluate import Scope, evaluate
from hierbayes.design.table import read_table
from hierbayes.design.values import Matrix, as_numbers
from hierbayes.formula.parser import parse_expression
from hierbayes.streams.push_down.expressions import NotPushed, Writer
from tests.streams.push_down.engines import ENGINES, narwhals_of

ROWS = pl.DataFrame(
    {
        "x": [0.5, 2.0, 3.25, 7.0, 11.5, 1.0],
        "w": [1.0, 0.25, 4.0, 9.0, 2.5, 1.5],
        "i": [1, 2, 3, 4, 5, 6],
        "yes": [True, False, True, True, False, False],
        "a; drop table rows": [1.0, -2.0, 3.0, -4.0, 5.0, -6.0],
        "text": list("aabbcc"),
    }
)
PUSHED = (
    "x", "i", "yes", "-x", "+x", "!yes", "x + 2*w", "x/w", "I(x^2)", "x^0.5", "(x - 3)^3",
    "log(x)", "log(x, 2)", "log(x, base = 3)", "log2(x)", "log10(x)", "exp(-x)", "sqrt(x)",
    "abs(x - 3)", "sin(x)", "cos(x)", "tan(x)", "I(x > 2)", "I(x >= w)", "I(x == 2)",
    "I(x != 2)", "I(x < 2)", "I(x <= 2)", "I(x > 1 & w > 1)", "I(x > 9 | w > 3)", "pmax(x, w)",
    "pmin(x, w, 2)", "scale(x)", "scale(x, center = FALSE)", "center(log(x))", "poly(x, 3)",
    "poly(x, 3, raw = TRUE)", "poly(x, w, degree = 2)", "cbind(x, w)", "`a; drop table rows`*x",
)  # fmt: skip
NOT_PUSHED = (
    ("x %% 2", "x%%2 is nothing the engine has an expression for."),
    ("x %/% 2", "x%/%2 is nothing the engine has an expression for."),
    ("ns(x, df = 3)", "ns(x, df = 3) is nothing the engine has an expression for."),
    ("log1p(x)", "log1p(x) is nothing the engine has an expression for."),
    ("ave(x, text)", "ave(x, text) is nothing the engine has an expression for."),
    ("text + 1", "Column 'text' holds categories where a number is needed."),
)


def written(text: str):
    """An expression, and its writer with what the expression learns from the rows."""
    expression = parse_expression(text)
    scope = Scope(read_table(ROWS), text)
    value = None if "text +" in text else evaluate(expression, scope)
    schema = dict(narwhals_of(ROWS, "polars").collect_schema())
    return expression, Writer(schema, scope.states), value


@pytest.mark.parametrize("engine", ENGINES)
def test_values_in_an_engine_are_those_in_memory(engine):
    asked, expected = [], []
    for text in PUSHED:
        expression, writer, value = written(text)
        columns = writer.columns(expression)
        values = value.values if isinstance(value, Matrix) else as_numbers(value)[:, None]
        assert len(columns) == values.shape[1], text
        asked += [own.alias(f"{text} {k}") for k, own in enumerate(columns)]
        expected += list(values.T)
    found = narwhals_of(ROWS, engine).select(*asked).collect()
    for column, own in zip(found.iter_columns(), expected, strict=True):
        np.testing.assert_allclose(
            column.to_numpy(), own, rtol=1e-14, atol=1e-15, err_msg=column.name
        )


@pytest.mark.parametrize(("text", "sentence"), NOT_PUSHED)
def test_what_no_engine_has_is_said(text, sentence):
    expression, writer, _ = written(text)
    with pytest.raises(NotPushed) as error:
        writer.columns(expression)
    assert str(error.value) == sentence


def test_a_polynomial_of_too_many_words_is_not_pushed():
    expression, writer, _ = written("poly(x, 2)")
    writer.states[expression]["degree"] = 7
    with pytest.raises(NotPushed, match="degree 7"):
        writer.columns(expression)
