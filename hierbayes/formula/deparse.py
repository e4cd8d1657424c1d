"""From an expression back to text, exactly as R's ``deparse`` writes it.

Labels of terms and names of coefficients are such texts, so they must agree with R's character
by character: spaces round ``+ - * ~ | &`` and comparisons, none round ``/ ^ : %%``.
"""

import math

from hierbayes.formula import expressions as nodes
from hierbayes.formula.functions import pattern_call
from hierbayes.formula.tokenizer import is_syntactic

RESERVED = frozenset((
    "if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE",
    "NULL", "Inf", "NaN", "NA", "NA_integer_", "NA_real_", "NA_character_",
))  # fmt: skip
PI = "pi"  # among the arguments of a function the constant; a column of this name is in back-ticks
# deparse() ends a line at the first chance after this many characters (its width.cutoff).
LINE_WIDTH = 60

_TIGHT = frozenset(("/", "^", ":", "%%", "%/%"))
_SPECIAL = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_DOUBLE_DIGITS = 15  # R writes doubles with at most this many significant digits


def deparse(expression: nodes.Expression) -> str:
    """Write the expression as R would, on one line.

    Examples
    --------
    >>> from hierbayes.formula.parser import parse_expression
    >>> deparse(parse_expression("poly(Days,2)*(a+b)^2"))
    'poly(Days, 2) * (a + b)^2'
    """
    if isinstance(expression, nodes.Name):
        return name_text(expression.name)
    writer = _Writer(math.inf)
    writer.expression(expression)
    return "".join(writer.line)


def deparse_lines(expression: nodes.Expression, width: int = LINE_WIDTH) -> list[str]:
    """Write the expression as R would, broken into lines where R breaks them."""
    writer = _Writer(width)
    writer.expression(expression)
    return [*writer.lines, "".join(writer.line)]


def name_text(name: str) -> str:
    """Write a name, in back-ticks unless R could read it without."""
    if name not in RESERVED and is_syntactic(name):
        return name
    return _quoted(name, "`")


def number_text(value: float) -> str:
    """Write a number as R deparses it: 15 significant digits, scientific where that is shorter."""
    scientific = f"{value:.{_DOUBLE_DIGITS - 1}e}"
    mantissa, exponent_text = scientific.split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    exponent = int(exponent_text)
    digits = len(mantissa.lstrip("-").replace(".", ""))
    sign = "-" if exponent < 0 else "+"
    scientific = f"{mantissa}e{sign}{abs(exponent):02d}"
    fixed = f"{value:.{max(0, digits - exponent - 1)}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


class _Writer:
    """Collects pieces into lines; breaks and indents where R's deparse does."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.lines: list[str] = []
        self.line: list[str] = []
        self.used = 0
        self.indent = 0
        self.calls = 0

    def put(self, piece: str) -> None:
        if not self.line and self.indent:
            # R indents by four blanks up to the fourth level and by two beyond.
            tab = "    " * min(self.indent, 4) + "  " * max(0, self.indent - 4)
            self.line.append(tab)
            self.used += len(tab)
        self.line.append(piece)
        self.used += len(piece)

    def chance_to_break(self, *, broken: bool) -> bool:
        """End the line if it is full; the first break of an expression indents."""
        if self.used <= self.width:
            return broken
        if not broken:
            self.indent += 1
        self.lines.append("".join(self.line))
        self.line, self.used = [], 0
        return True

    def expression(self, node: nodes.Expression) -> None:
        # a + b + c leans left, as deep as it is long: its spine is walked, not recursed into.
        spine: list[nodes.Binary] = []
        while isinstance(node, nodes.Binary):
            spine.append(node)
            node = node.left
        match node:
            case nodes.Name(name):
                self.put(_quoted(name, "`") if name == PI and self.calls else name_text(name))
            case nodes.Number(_, text):
                self.put(text)
            case nodes.Text(value):
                self.put(_quoted(value, '"'))
            case nodes.Constant(value, text):
                self.put(text or {True: "TRUE", False: "FALSE", None: "NULL"}[value])
            case nodes.Unary(operator, operand):
                self.put(operator)
                self.expression(operand)
            case nodes.Group(inner):
                word, option = "", ""
                if node.structure:
                    word, option = pattern_call(node.structure, "\0").split("(\0")
                    option = option[:-1]
                self.put(f"{word}(")
                self.expression(inner)
                self.put(f"{option})")
            case nodes.Call():
                self.call(node)
        for binary in reversed(spine):
            self.operation(binary)

    def operation(self, node: nodes.Binary) -> None:
        """Write an operator and its right side; the left one is written already."""
        operator = node.operator
        if operator in _TIGHT:
            self.put(operator)
            self.expression(node.right)
            return
        self.put(f" {operator} ")
        broken = self.chance_to_break(broken=False)
        self.expression(node.right)
        self.indent -= broken

    def call(self, node: nodes.Call) -> None:
        self.put(name_text(node.function))
        self.put("(")
        self.calls += 1
        broken = False
        named: list[tuple[str, nodes.Expression]] = [("", value) for value in node.arguments]
        for position, (name, value) in enumerate([*named, *node.keywords]):
            if position:
                self.put(", ")
                broken = self.chance_to_break(broken=broken)
            if name:
                self.put(f"{name_text(name)} = ")
            self.expression(value)
        self.put(")")
        self.calls -= 1
        self.indent -= broken


def _quoted(text: str, quote: str) -> str:
    escaped = "".join(_SPECIAL.get(char, char) for char in text)
    return quote + escaped.replace(quote, "\\" + quote) + quote
