"""From tokens to an expression tree, with R's precedence of operators.

From loose to tight: ``~``, ``|``, ``&``, ``!``, comparisons, ``+ -``, ``* /``, ``%in% %% %/%``,
``:``, sign, ``^``; all lean left except ``^``. Nothing is evaluated: a call is a node with the
name of a function from the closed list, or an error.
"""

import math
from typing import NamedTuple

from hierbayes.errors import FormulaError, FormulaSyntaxError
from hierbayes.formula import expressions as nodes
from hierbayes.formula.deparse import PI, RESERVED, number_text
from hierbayes.formula.excerpt import formula_error, syntax_error
from hierbayes.formula.functions import (
    BARS,
    FUNCTIONS,
    HOM,
    PATTERN_WORDS,
    PATTERNS,
    STRUCTURES,
    VECTOR,
    advice_for,
    pattern_call,
    pattern_named,
)
from hierbayes.formula.tokenizer import Token, tokenize

# Deeper nesting is no formula anybody wrote; the bound keeps every walk of a tree shallow.
MAX_DEPTH = 60

_BINDING = {
    "|": 10, "||": 10, "&": 20, "&&": 20,
    "==": 40, "!=": 40, "<": 40, "<=": 40, ">": 40, ">=": 40,
    "+": 50, "-": 50, "*": 60, "/": 60, "%in%": 70, "%%": 70, "%/%": 70, ":": 80, "^": 100,
}  # fmt: skip
_PREFIX = {"!": 30, "-": 90, "+": 90}
_COMPARISON = 40
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None, "True": True, "False": False}
# Numbers by their name; pi only among the arguments of a function: outside it is a column.
_NUMBERS = {"Inf": math.inf, PI: math.pi}
_SHORT = {"T": True, "F": False}
_WORDS = {
    "and": "Write '&' for a logical and, inside I(...).",
    "or": "Write '|' for a logical or, inside I(...).",
    "not": "Write '!' for a logical not, inside I(...).",
    "in": "Write '%in%' for nesting.",
    "is": "Write '==' to compare, inside I(...).",
    "if": "Conditions can't stand in a formula; make the column in the data first.",
    "lambda": "Functions can't be defined in a formula; make the column in the data first.",
}
# An operator that can't continue what was read: what is wrong, and what to write.
_LEFTOVER = {
    ")": ("This ')' has no matching '('.", "Take it away, or add a '('."),
    "~": (
        "A formula has one '~'; this one is too many.",
        "Write one '~', between the response and the predictors.",
    ),
    "=": ("A '=' can't stand here.", "Write '~' after the response, and '==' to compare."),
    ",": (
        "A ',' can stand only between the arguments of a function.",
        "Write '+' between two terms.",
    ),
    "(": ("An operator is missing before this '('.", "Write '+', '*' or ':' between two terms."),
    "!": ("'!' can't follow a value.", "Write '!=' for 'is not equal'."),
}


class Tree(NamedTuple):
    """A formula as read: both sides, and where each parenthesis that opens at an offset ends.

    ``bare``: the right side is one bar without parentheses, ``y ~ x | g``, as lme4 takes it.
    """

    source: str
    left: nodes.Expression | None
    right: nodes.Expression
    ends: dict[int, int]
    bare: bool = False


def read_formula(source: str) -> Tree:
    """Read the two sides of a prepared text; ``left`` is None for ``~ x``."""
    reader = _Reader(source)
    left = None if reader.token.text == "~" else reader.expression()
    if reader.token.kind == "end":
        raise syntax_error(
            "A formula needs a '~' between the response and the predictors.",
            source=source, at=reader.token.at, advice='Write, for example, "y ~ x + (1 | g)".',
        )  # fmt: skip
    if not reader.is_operator("~"):
        raise reader.leftover()
    reader.advance()
    if reader.token.kind == "end":
        raise syntax_error(
            "Nothing stands right of '~'.",
            source=source, at=len(source), advice="Write 'y ~ 1' for an intercept alone.",
        )  # fmt: skip
    start = reader.token.at
    right = reader.expression()
    if reader.token.kind != "end":
        raise reader.leftover()
    bare = isinstance(right, nodes.Binary) and right.operator in BARS.values()
    if bare:
        right = nodes.Group(right, at=start)
        reader.ends[start] = len(source)
    return Tree(source, left, right, reader.ends, bare)


def read_expression(source: str) -> nodes.Expression:
    """Read a prepared text as one expression, without ``~``."""
    reader = _Reader(source)
    expression = reader.expression()
    if reader.token.kind != "end":
        raise reader.leftover()
    return expression


class _Reader:
    """A precedence-climbing reader: one token of look-ahead, one frame per operator's operand."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.position = 0
        self.token = self.tokens[0]
        self.depth = 0
        self.calls = 0  # functions whose arguments are being read
        self.ends: dict[int, int] = {}

    def advance(self) -> Token:
        token = self.token
        self.position += 1
        self.token = self.tokens[self.position]
        return token

    def is_operator(self, text: str) -> bool:
        return self.token.text == text and self.token.kind == "op"

    def expression(self, loosest: int = 0) -> nodes.Expression:
        """Read what follows, as far as operators bind at least as tightly as ``loosest``."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise formula_error(
                f"The formula is nested deeper than {MAX_DEPTH} levels.",
                source=self.source, at=self.token.at,
                advice="Make a column of the data for the inner part.",
            )  # fmt: skip
        left = self.operand()
        while self.token.kind == "op":
            binding = _BINDING.get(self.token.text, -1)
            if binding < 0 or binding < loosest:
                break
            operator = self.advance()
            right = self.expression(binding if operator.text == "^" else binding + 1)
            left = nodes.Binary(operator.text, left, right, at=operator.at)
            if binding == _COMPARISON and _BINDING.get(self.token.text) == _COMPARISON:
                raise syntax_error(
                    "Comparisons can't be chained.", source=self.source, at=self.token.at,
                    advice="Write I(a < b & b < c).",
                )  # fmt: skip
        self.depth -= 1
        return left

    def operand(self) -> nodes.Expression:
        token = self.token
        kind, text, at = token.kind, token.text, token.at
        if kind == "name" or kind == "quoted":
            return self.name()
        if kind == "number":
            return self.number()
        if kind == "text":
            self.advance()
            return nodes.Text(text, at=at)
        if kind == "op" and text == "(":
            self.advance()
            inner = self.expression()
            self.close(at)
            return nodes.Group(inner, at=at)
        if kind == "op" and text in _PREFIX:
            self.advance()
            return nodes.Unary(text, self.expression(_PREFIX[text]), at=at)
        raise self.missing_operand()

    def name(self) -> nodes.Expression:
        token = self.advance()
        text, at = token.text, token.at
        if self.is_operator("("):
            return self.call(text, at)
        if token.kind == "name":
            if text in _CONSTANTS:
                return nodes.Constant(_CONSTANTS[text], at=at)
            if text in _NUMBERS and (self.calls or text != PI):
                return nodes.Number(_NUMBERS[text], text, at=at)
            if text in RESERVED or text == "...":
                raise syntax_error(
                    f"'{text}' is a reserved word of the language.", source=self.source, at=at,
                    advice=_WORDS.get(text, f"If it is a column, put it in back-ticks: `{text}`."),
                )  # fmt: skip
        return nodes.Name(text, at=at)

    def number(self) -> nodes.Expression:
        token = self.advance()
        digits = token.text.removesuffix("L")
        value = float(digits)
        if value == float("inf"):
            raise syntax_error(
                "The number is too large.", source=self.source, at=token.at,
                advice="Numbers go up to 1.8e308.",
            )  # fmt: skip
        if digits is not token.text and digits != token.text and value.is_integer():
            return nodes.Number(value, f"{int(value)}L", at=token.at)
        shown = digits if digits in "0123456789" else number_text(value)
        return nodes.Number(value, shown, at=token.at)

    def call(self, function: str, at: int) -> nodes.Expression:
        if function in BARS:
            return self.bar(function, at)
        if function in PATTERN_WORDS and self.has_bar():
            return self.bar(function, at)
        if function not in FUNCTIONS and function != VECTOR:
            if self.tokens[self.position - 1].end < self.token.at:  # x (1 | g)
                raise self.leftover()
            if function in PATTERNS and self.has_bar():
                raise formula_error(
                    f"'{function}' is written otherwise here.", source=self.source, at=at,
                    advice=f"Write {pattern_call(function, 'x | g')}.",
                )  # fmt: skip
            if function in STRUCTURES and self.has_bar():
                kind = STRUCTURES[function]
                article = "An" if kind[0] in "aO" else "A"
                raise formula_error(
                    f"{article} {kind} covariance, {function}(... | g), isn't available in this "
                    "version.",
                    source=self.source, at=at,
                    advice="There are (x | g), (x || g), cs(x | g), ar1(0 + f | g) and "
                    "toep(0 + f | g).",
                )  # fmt: skip
            raise formula_error(
                f"'{_short(function)}' isn't a function of the formula language.",
                source=self.source, at=at, advice=advice_for(function),
            )  # fmt: skip
        opened = self.advance().at
        self.calls += 1
        arguments: list[nodes.Expression] = []
        keywords: list[tuple[str, nodes.Expression]] = []
        while not self.is_operator(")"):
            following = self.tokens[self.position + 1] if self.token.kind != "end" else self.token
            if self.token.kind in ("name", "quoted") and following.text == "=":
                keywords.append(self.option(function, keywords))
            elif keywords:
                raise syntax_error(
                    "An argument without a name follows one with a name.",
                    source=self.source, at=self.token.at,
                    advice="Put the arguments without a name first.",
                )  # fmt: skip
            else:
                arguments.append(self.expression())
            if not self.is_operator(","):
                break
            self.advance()
            if self.is_operator(")"):
                raise self.missing_operand()
        self.close(opened)
        self.calls -= 1
        columns = FUNCTIONS[function].columns if function in FUNCTIONS else 0
        options = map(_truth, arguments[columns:])
        given = (*arguments[:columns], *options)
        return nodes.Call(function, given, tuple(keywords), at=at)

    def has_bar(self) -> bool:
        """Whether a ``|`` follows within the parenthesis that opens here."""
        depth = 0
        for token in self.tokens[self.position :]:
            depth += (token.text == "(") - (token.text == ")") if token.kind == "op" else 0
            if not depth:
                break
            if depth == 1 and token.kind == "op" and token.text in ("|", "||"):
                return True
        return False

    def bar(self, function: str, at: int) -> nodes.Expression:
        """``us(x | g)`` is ``(x | g)``, ``diag(x | g)`` is ``(x || g)``; others have a pattern."""
        opened = self.advance().at
        inner = self.expression()
        hom = self.homogeneous(function) if self.is_operator(",") else None
        self.close(opened)
        if isinstance(inner, nodes.Binary) and inner.operator == "||":
            raise formula_error(
                f"{function}() says how the effects are correlated, and '||' that they aren't.",
                source=self.source, at=inner.at, advice=f"Write {function}(x | g), or (x || g).",
            )  # fmt: skip
        if not (isinstance(inner, nodes.Binary) and inner.operator == "|"):
            raise formula_error(
                f"{function}() takes a random-effects term.",
                source=self.source, at=at, advice=f"Write {function}(x | g).",
            )  # fmt: skip
        self.ends[at] = self.ends[opened]
        structure = "" if function == "us" else pattern_named(function, hom)
        operator = "|" if structure else BARS[function]
        bar = nodes.Binary(operator, inner.left, inner.right, at=inner.at)
        return nodes.Group(bar, structure=structure, at=at)

    def homogeneous(self, function: str) -> bool:
        """Read ``, hom = TRUE`` after the bar of a covariance."""
        comma = self.advance()
        token = self.token
        named = self.tokens[self.position + 1].text == "=" if token.kind != "end" else False
        if function == "us":
            raise formula_error(
                "us() has no options: every column has an sd, every pair a correlation.",
                source=self.source, at=comma.at, advice="Write us(x | g).",
            )  # fmt: skip
        if not (named and token.text == HOM):
            raise formula_error(
                f"{function}() takes a random-effects term and the option {HOM} alone.",
                source=self.source, at=token.at,
                advice=f"Write {function}(x | g, {HOM} = TRUE) for one sd of all columns.",
            )  # fmt: skip
        self.advance()
        self.advance()
        at, value = self.token.at, _truth(self.expression())
        if not (isinstance(value, nodes.Constant) and isinstance(value.value, bool)):
            raise formula_error(
                f"The option {HOM} is TRUE (one sd of all columns) or FALSE (one each).",
                source=self.source, at=at, advice=f"Write {HOM} = TRUE.",
            )  # fmt: skip
        return value.value

    def option(
        self, function: str, given: list[tuple[str, nodes.Expression]]
    ) -> tuple[str, nodes.Expression]:
        """``name = value`` among the arguments of a function."""
        token = self.advance()
        equals = self.advance()
        options = FUNCTIONS[function].options if function in FUNCTIONS else ()
        if not options:
            raise syntax_error(
                f"'=' names an option, and {function}() has none.",
                source=self.source, at=equals.at, advice="Write '==' to compare.",
            )  # fmt: skip
        if token.text not in options:
            raise formula_error(
                f"{function}() has no option '{_short(token.text)}'.",
                source=self.source, at=token.at,
                advice=f"Its options are {', '.join(options)}; write '==' to compare.",
            )  # fmt: skip
        if any(name == token.text for name, _ in given):
            raise formula_error(
                f"The option '{token.text}' is given twice.",
                source=self.source, at=token.at, advice="Leave one of them out.",
            )  # fmt: skip
        return token.text, _truth(self.expression())

    def close(self, opened: int) -> None:
        """Read the ``)`` that belongs to the parenthesis at ``opened``."""
        if self.is_operator(")"):
            self.ends[opened] = self.advance().end
            return
        if self.token.kind == "end":
            raise syntax_error(
                "This '(' is never closed.", source=self.source, at=opened, advice="Add a ')'."
            )
        raise self.leftover()

    def missing_operand(self) -> FormulaSyntaxError:
        """Return the error for a place where a name, a number or a parenthesis should begin."""
        previous = self.tokens[self.position - 1] if self.position else None
        before = previous.text if previous and previous.kind == "op" else ""
        token = self.token
        at, advice = token.at, ""
        if before in ("|", "||") and (token.text in (")", "+") or token.kind == "end"):
            sentence = f"A random-effects term needs a grouping factor after '{before}'."
            advice = "Write the factor's column name, for example (1 + x | subject)."
            at = previous.end if previous else at
        elif token.text in ("|", "||") and token.kind == "op":
            sentence = f"A random-effects term needs something left of '{token.text}'."
            advice = "Write (1 | g) for an intercept that varies between the levels of g."
        elif token.kind == "end":
            sentence = f"The formula ends after '{before}', where something should follow."
            advice = "Add a column's name, or take the operator away."
        elif token.text == ")" and before == "(":
            sentence, advice = "Nothing stands between these parentheses.", "Take them away."
        elif token.text == ")" and not before:
            sentence, advice = "This ')' has no matching '('.", "Take it away, or add a '('."
        elif token.text == "~":
            sentence = "A '~' stands where a column's name should."
            advice = "Write one '~', between the response and the predictors."
        elif token.text == "=":
            sentence, advice = "A '=' stands where a value should.", "Write '==' to compare."
        else:
            sentence = f"'{token.text}' can't follow {_after(before)}."
            advice = "A column's name, a number or '(' should stand here."
        return syntax_error(sentence, source=self.source, at=at, advice=advice)

    def leftover(self) -> FormulaError:
        """Return the error for a token that can't continue what was read."""
        token = self.token
        previous = self.tokens[self.position - 1]
        sentence = f"'{_short(token.text)}' can't stand here."
        advice = "Write an operator such as '+' between two columns."
        word = _WORDS.get(previous.text if previous.kind == "name" else "")
        if token.kind == "op":
            sentence, advice = _LEFTOVER.get(token.text, (sentence, advice))
        else:
            word = word or (_WORDS.get(token.text) if token.kind == "name" else None)
            left, right = _short(previous.text), _short(token.text)
            sentence = f"An operator is missing between '{left}' and '{right}'."
            advice = word or advice
            if previous.kind == "number" and previous.end == token.at:
                advice = "A name that begins with a digit goes in back-ticks, as in `1st`."
        return syntax_error(sentence, source=self.source, at=token.at, advice=advice)


def _truth(value: nodes.Expression) -> nodes.Expression:
    """Take T and F as TRUE and FALSE in an option; elsewhere they may be columns."""
    if isinstance(value, nodes.Name) and value.name in _SHORT:
        return nodes.Constant(_SHORT[value.name], value.name, at=value.at)
    return value


def _short(text: str) -> str:
    """Cut a text from the user for a message: one line, not too long."""
    shown = "".join(char if char.isprintable() else " " for char in text[:40])
    return shown + "..." if len(text) > 40 else shown


def _after(operator: str) -> str:
    return f"'{operator}'" if operator else "the start of the formula"
