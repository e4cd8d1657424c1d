"""Breaking a long formula over lines where R's ``deparse`` breaks it.

R writes on until a line holds more than 60 characters, then breaks after the next operator that
has blanks around it, or after the next comma; what follows is indented by four blanks for each
right operand (or argument list) that was opened by a break.
"""

import re
from dataclasses import dataclass

CUTOFF = 60  # deparse's width.cutoff
INDENT = "    "
TOKEN = re.compile(
    r"`[^`]*`|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|,\s|\s(?:%[^%]*%|[^\s\w]+)\s|[()\[\]]|\s+|."
)
# how tightly the operators with blanks around them bind
PRECEDENCE = {
    "~": 0,
    "||": 1,
    "|": 1,
    "&&": 2,
    "&": 2,
    "==": 4,
    "!=": 4,
    "<": 4,
    ">": 4,
    "<=": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
}
UNBROKEN = {"%in%"}


@dataclass(frozen=True, slots=True)
class _Break:
    """A place where R may break: after token ``at``; its right operand ends before ``end``."""

    at: int
    end: int


def formula_lines(text: str) -> list[str]:
    """Lines of a formula given on one line; later lines start with their indent."""
    if len(text) <= CUTOFF:
        return [text]
    tokens = TOKEN.findall(text)
    ends = {place.at: place.end for place in _breaks(tokens)}
    lines, line = [], ""
    length = 0
    open_until: list[int] = []
    for i, token in enumerate(tokens):
        open_until = [end for end in open_until if end > i]
        if not line:
            line = INDENT * len(open_until)
        line += token
        length += len(token)
        if i in ends and length > CUTOFF:
            if ends[i] not in open_until or token.strip() != ",":
                open_until.append(ends[i])
            lines.append(line)
            line, length = "", 0
    return [*lines, line]


def _breaks(tokens: list[str]) -> list[_Break]:
    """Find the operators and commas after which R may break, with the ends of their operands."""
    found = []
    for i, token in enumerate(tokens):
        if not (token[0].isspace() or token.startswith(",")):
            continue
        word = token.strip()
        if word in PRECEDENCE or word == ",":
            found.append(_Break(at=i, end=_operand_end(tokens, i, PRECEDENCE.get(word, -1))))
    return found


def _operand_end(tokens: list[str], start: int, precedence: int) -> int:
    """Position of the token that ends the right operand of the operator at ``start``."""
    depth = 0
    for i in range(start + 1, len(tokens)):
        token = tokens[i]
        if token in "([":
            depth += 1
        elif token in ")]":
            depth -= 1
            if depth < 0:
                return i
        elif depth == 0 and 0 <= PRECEDENCE.get(token.strip(), -1) <= precedence:
            return i
    return len(tokens)
