r"""The equations of models as MathML, which browsers draw by themselves.

What is read is the LaTeX that ``model.latex()`` writes: one ``aligned`` environment or a formula of
letters, numbers, scripts, ``\text``, ``\operatorname``, ``\bar``, ``\sqrt`` and the symbols below.
The LaTeX stands beside it as an annotation, to be copied.
"""

import re
from collections.abc import Callable
from html import escape

SYMBOLS = {
    "sim": "∼", "mid": "∣", "le": "≤", "ge": "≥", "dots": "…", "alpha": "α", "beta": "β",
    "gamma": "γ", "eta": "η", "mu": "μ", "ne": "≠", "otimes": "⊗", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "Phi": "Φ",
}  # fmt: skip
OPERATORS = frozenset({"sim", "mid", "le", "ge", "ne", "otimes", "dots"})
FUNCTIONS = frozenset({"log", "tan"})
SPACES = {",": "0.17em", " ": "0.3em", "quad": "1em"}
SIGNS = {"-": "−", "'": "′"}
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?(?:e[-+]?\d+)?|\s+|.", re.DOTALL)
ALIGNED = re.compile(r"\s*\\begin\{aligned\}(.*)\\end\{aligned\}\s*", re.DOTALL)
# of a text: a letter that LaTeX wants a backslash before, and an accent's empty argument
ESCAPED = re.compile(r"\\([_%&#${}^~])(?:\{\})?")


class Unknown(ValueError):
    """There is LaTeX that this does not read."""


def mathml(latex: str) -> str | None:
    r"""Write a displayed equation as MathML; None where it holds what is not read.

    Examples
    --------
    >>> print(mathml(r"\mu_i").split("<annotation")[0])
    <math displaystyle="true"><semantics><mrow><msub><mi>μ</mi><mi>i</mi></msub></mrow>
    """
    try:
        rows = ALIGNED.fullmatch(latex)
        body = _table(rows[1]) if rows else f"<mrow>{_Reader(latex).expression()}</mrow>"
    except Unknown:
        return None
    note = f'<annotation encoding="application/x-tex">{escape(latex)}</annotation>'
    return f'<math displaystyle="true"><semantics>{body}\n{note}</semantics></math>'


def _table(text: str) -> str:
    lines = [
        "".join(f"<mtd>{_Reader(cell).expression()}</mtd>" for cell in _split(line, "&"))
        for line in _split(text, r"\\")
    ]
    return f"<mtable>{''.join(f'<mtr>{line}</mtr>' for line in lines)}</mtable>"


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that stands outside of braces."""
    parts, depth = [""], 0
    for token in TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        if token == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


class _Reader:
    """Reads one formula token by token."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(text)
        self.at = 0

    def expression(self, end: str = "") -> str:
        """Read to the closing brace, or to the end."""
        parts: list[str] = []
        while self.at < len(self.tokens):
            token = self._next()
            if token == end:
                return "".join(parts)
            if token in ("_", "^"):
                if not parts:
                    raise Unknown(token)
                parts.append(self._scripts(parts.pop(), token))
            elif not token.isspace():
                parts.append(self._atom(token))
        if end:
            raise Unknown(end)
        return "".join(parts)

    def _next(self) -> str:
        if self.at == len(self.tokens):
            raise Unknown("end")
        self.at += 1
        return self.tokens[self.at - 1]

    def _scripts(self, base: str, first: str) -> str:
        """Put one script or two to a base."""
        found = {first: self._atom(self._next())}
        other = {"_": "^", "^": "_"}[first]
        if self.tokens[self.at : self.at + 1] == [other]:
            self.at += 1
            found[other] = self._atom(self._next())
        if len(found) == 2:
            return f"<msubsup>{base}{found['_']}{found['^']}</msubsup>"
        name = "msub" if first == "_" else "msup"
        return f"<{name}>{base}{found[first]}</{name}>"

    def _atom(self, token: str) -> str:
        if token == "{":
            return f"<mrow>{self.expression('}')}</mrow>"
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "}&_^":
            raise Unknown(token)
        sign = escape(SIGNS.get(token, token))
        return _relation(sign) if token == "=" else f"<mo>{sign}</mo>"

    def _command(self, name: str) -> str:
        if name in SYMBOLS:
            return _relation(SYMBOLS[name]) if name in OPERATORS else f"<mi>{SYMBOLS[name]}</mi>"
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"/>'
        if name in FUNCTIONS:
            return f'<mi mathvariant="normal">{name}</mi>'
        readers: dict[str, Callable[[], str]] = {
            "text": lambda: f"<mtext>{escape(self._raw())}</mtext>",
            "operatorname": lambda: f'<mi mathvariant="normal">{escape(self._raw())}</mi>',
            "bar": lambda: f'<mover accent="true">{self._argument()}<mo>¯</mo></mover>',
            "sqrt": lambda: f"<msqrt>{self._argument()}</msqrt>",
        }
        if name not in readers:
            raise Unknown(name)
        return readers[name]()

    def _argument(self) -> str:
        return self._atom(self._next())

    def _raw(self) -> str:
        """Read the braces of a text, whose letters stand for themselves."""
        if self._next() != "{":
            raise Unknown("text")
        found, depth = "", 1
        while True:
            token = self._next()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                break
            found += token
        plain = ESCAPED.sub(r"\1", found)
        if "\\" in ESCAPED.sub("", found):
            raise Unknown(found)
        return plain


def _relation(sign: str) -> str:
    """Return a sign that has its blanks also where it begins a cell."""
    return f'<mo form="infix">{sign}</mo>'
