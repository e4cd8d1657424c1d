"""From text to tokens: names, numbers, strings and operators of the formula language.

One compiled pattern reads one token; whatever it doesn't match is an error that shows the place.
Names follow R: letters of any script, digits, dots and underscores; anything else in back-ticks.
"""

import re
import unicodedata
from typing import NamedTuple

from hierbayes.errors import FormulaError, FormulaSyntaxError
from hierbayes.formula.excerpt import formula_error, syntax_error

# Longer texts are no formulas; the bound keeps a hostile text from holding the session up.
MAX_LENGTH = 20_000


class Token(NamedTuple):
    """One token: ``kind`` is name, quoted, number, text, op or end; ``at``, ``end`` are offsets."""

    kind: str
    text: str
    at: int
    end: int


_NAME = r"(?:[^\W\d]|\.(?![0-9]))[\w.]*"
_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?)"
    rf"|(?P<name>{_NAME})"
    r"|(?P<quoted>`(?:[^`\\]|\\.)*`)"
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|(?P<op>\*\*|\|\||&&|==|!=|<=|>=|%%|%/%|%in%|[-+*/^:()~,=!<>|&])"
    r")",
    re.DOTALL,
)
_SYNTACTIC = re.compile(rf"(?!_){_NAME}")  # a leading underscore is read, but R wouldn't
_NAME_REST = re.compile(r"[\w.]*")
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "`": "`"}

# Characters that word processors and web pages put in place of the typed ones.
_LOOKALIKES = {
    "−": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "×": "*", "∗": "*", "·": "*", "÷": "/",
    "∕": "/", "∼": "~", "\u02dc": "~", "\uff5e": "~", "\uff0b": "+", "\u2223": "|", "\uff5c": "|",
    "\uff08": "(", "\uff09": ")", "\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'",
    "≤": "<=", "≥": ">=", "≠": "!=", "´": "`",
}  # fmt: skip
_FOREIGN = {
    "$": "Write the column's name alone; the data are given apart from the formula.",
    "@": "Write the column's name alone; the data are given apart from the formula.",
    "[": "Subscripts aren't part of the language: make a column of the data first.",
    "{": "Only names, numbers and R's formula operators can stand in a formula.",
    ";": "Only one formula can be given.",
    "#": "Comments can't stand in a formula.",
    "%": "The operators with '%' are %in%, %% and %/%.",
}


def prepare(text: object) -> str:
    """NFC-normalise and strip the text, after the checks that need no grammar.

    Raises
    ------
    FormulaError
        If it is no string, is empty or is longer than ``MAX_LENGTH`` characters.
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"A formula is given as text, not as {type(text).__name__}; "
            'for example "y ~ x + (1 | g)".'
        )
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"The formula has {len(text):,} characters; at most {MAX_LENGTH:,} are read. "
            "Write shorter column names, or '.' for all columns."
        )
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.strip()
    if not text:
        raise FormulaSyntaxError(
            'The formula is empty. Write a response and predictors, for example "y ~ x + (1 | g)".'
        )
    return text


def tokenize(source: str) -> list[Token]:
    """Split a prepared text into tokens, the last one of kind ``end``."""
    tokens = []
    position, length, plain = 0, len(source), source.isascii()
    match = _TOKEN.match
    while found := match(source, position):
        kind = str(found.lastgroup)
        text = found[kind]
        at, position = found.start(kind), found.end()
        if kind == "name":
            if not plain:
                position = _name_end(source, position)
                text = source[at:position]
        elif kind == "quoted" or kind == "text":
            text = _unescape(text[1:-1], source=source, at=at + 1)
            if kind == "quoted" and not text:
                raise syntax_error(
                    "A name in back-ticks can't be empty.",
                    source=source, at=at, advice="Write the column's name between them.",
                )  # fmt: skip
        elif text == "**":
            text = "^"
        tokens.append(Token(kind, text, at, position))
    space = _SPACE.match(source, position)
    position = space.end() if space else position
    if position < length:
        raise _strange(source, position)
    tokens.append(Token("end", "", length, length))
    return tokens


def is_syntactic(name: str) -> bool:
    """Whether R reads the name without back-ticks."""
    found = _SYNTACTIC.match(name)
    if found is None or found.end() == len(name):
        return found is not None
    return _name_end(name, found.end()) == len(name)


def _name_end(source: str, position: int) -> int:
    """Where a name ends: scripts such as Devanagari write vowels as combining marks."""
    while (
        position < len(source)
        and source[position] > "\u02ff"
        and unicodedata.category(source[position]) in ("Mn", "Mc")
    ):
        rest = _NAME_REST.match(source, position + 1)
        position = rest.end() if rest else position + 1
    return position


def _unescape(text: str, *, source: str, at: int) -> str:
    if "\\" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        char = chr(int(code, 16)) if code else _ESCAPED.get(found[3], "")
        if not char or char == "\0":
            raise syntax_error(
                f"'{found[0]}' isn't an escape inside quotes.", source=source,
                at=at + found.start(), advice=r"Write a backslash as '\\'.",
            )  # fmt: skip
        return char

    return _ESCAPE.sub(replace, text)


def _strange(source: str, at: int) -> FormulaError:
    """Return the error for a character that begins no token."""
    char = source[at]
    if char in "`\"'":
        what = "name in back-ticks" if char == "`" else "string"
        return syntax_error(
            f"This {what} is never closed.", source=source, at=at, advice=f"Add a closing {char} ."
        )
    code = f"U+{ord(char):04X}"
    if char in _LOOKALIKES:
        return syntax_error(
            f"The character '{char}' ({code}) only looks like '{_LOOKALIKES[char]}'.",
            source=source, at=at, advice=f"Type '{_LOOKALIKES[char]}' instead.",
        )  # fmt: skip
    shown = f"'{char}'" if char.isprintable() else f"The character {code}"
    advice = _FOREIGN.get(char, "Put a name with such characters in back-ticks, as in `my name`.")
    if not char.isprintable():
        advice = "Take it away."
    error = formula_error if char in _FOREIGN and char in "[$@" else syntax_error
    return error(f"{shown} has no meaning in a formula.", source=source, at=at, advice=advice)
