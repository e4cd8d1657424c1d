"""Any text gives a formula or our error, and what is read means the same written back."""

from hypothesis import given
from hypothesis import strategies as st

from hierbayes.errors import FormulaError
from hierbayes.formula.parser import formula_text, parse_expression, parse_formula
from hierbayes.formula.update import update_formula
from tests.reference_fits import generalized_fits, linear_fits, load_fit

VALID = (
    *sorted({load_fit(name).formula for name in (*linear_fits(), *generalized_fits())}),
    "y ~ (a + b)^2 / c + d %in% e - a:b + offset(log(w)) + (0 + a * b || g/h:i)",
    "log(`my y`) ~ bs(x, df = 4, knots = c(-1, 2.5)) + factor(größe > 1e-3 & !z) + (1 | factor(g))",
    "cbind(s, n - s) ~ . - g + (poly(x, 2, raw = TRUE) | g) + (1 | h)",
)
PIECES = st.sampled_from(
    [*"+-*/:^()|~,=.!<>&%0123456789xyzgTFLe '\"`\\\n\t", "||", "**", "%in%", "&&", "==", "(1|g)",
     "log(", "I(", "c(", "offset(", "poly(", " 1e", "é", "θ", "变", "😀", "\0", "\u0301", "lambda"]
)  # fmt: skip

KINDS = st.sampled_from(
    ["{} + {}", "{} * {}", "{}:{}", "({} + {})", "({} + {})^2", "({})/({})", "{} %in% {}",
     "{} - {} + a", "0 + {} + {}"]
)  # fmt: skip


def read(text):
    """Read the text; None where it is no formula."""
    try:
        return parse_formula(text, ["y", "x", "g", "my x"])
    except FormulaError as error:
        assert str(error)
        return None


@st.composite
def mutations(draw):
    """Yield a valid formula with a few places cut out, doubled or replaced."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 4)))
        new = draw(st.one_of(PIECES, st.just(""), st.just(2 * text[start:stop]), st.text()))
        text = text[:start] + new + text[stop:]
    return text


@st.composite
def linear_texts(draw, depth=3):
    """Yield right sides made by the grammar of terms."""
    names = st.sampled_from(["a", "b", "c", "d", "log(a)", "I(b^2)", "`my x`", "factor(c > 4)"])
    if depth == 0 or draw(st.booleans()):
        return draw(names)
    left, right = draw(linear_texts(depth - 1)), draw(linear_texts(depth - 1))
    return draw(KINDS).format(left, right)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    read(text)
    read(f"y ~ {text}")
    read(f"y ~ x + ({text} | g)")


@given(st.lists(PIECES, max_size=40))
def test_any_pieces_of_formulas_are_read_or_refused(pieces):
    text = "".join(pieces)
    read(text)
    read(f"y ~ {text}")
    try:
        parse_expression(text)
    except FormulaError as error:
        assert str(error)


@given(mutations())
def test_mutated_formulas_are_read_or_refused(text):
    formula = read(text)
    if formula is None:
        return
    again = parse_formula(formula_text(formula), ["y", "x", "g", "my x"])
    assert formula_text(again) == formula_text(formula)
    assert again.response == formula.response
    assert again.fixed == formula.fixed
    assert [(bar.linear, bar.group, bar.correlated) for bar in again.bars] == [
        (bar.linear, bar.group, bar.correlated) for bar in formula.bars
    ]


@given(linear_texts())
def test_writing_the_terms_out_changes_nothing(right):
    formula = read(f"y ~ {right} + (x | g)")
    if formula is None:
        return
    expanded = parse_formula(update_formula(formula, ". ~ ."))
    same_terms = {frozenset(term.label.split(":")) for term in formula.fixed.terms}
    assert {frozenset(term.label.split(":")) for term in expanded.fixed.terms} == same_terms
    assert expanded.fixed.intercept == formula.fixed.intercept
    assert [bar.group for bar in expanded.bars] == ["g"]


@given(linear_texts(), linear_texts())
def test_removing_what_was_added_leaves_nothing(first, second):
    formula = read(f"y ~ {first} + {second} - ({first}) - ({second})")
    assert formula is None or formula.fixed.terms == ()


@given(linear_texts())
def test_a_double_bar_differs_from_a_bar_only_in_correlation(left):
    single, double = read(f"y ~ ({left} | g)"), read(f"y ~ ({left} || g)")
    if single is None or double is None:
        assert single is double
        return
    assert single.bars[0].linear == double.bars[0].linear
    assert (single.bars[0].correlated, double.bars[0].correlated) == (True, False)
