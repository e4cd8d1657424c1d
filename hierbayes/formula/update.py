"""Changing a formula: what R's ``update`` does with ``. ~ . + x``."""

from hierbayes.formula.deparse import deparse
from hierbayes.formula.expansion import Dot, Expansion, TermSet, all_but_response
from hierbayes.formula.expressions import Binary, Unary, names_in
from hierbayes.formula.grammar import read_expression, read_formula
from hierbayes.formula.terms import Formula
from hierbayes.formula.tokenizer import prepare, tokenize


def update_formula(old: Formula, text: str) -> str:
    """Return the formula R's ``update`` would make: ``.`` stands for the old formula's side.

    Parameters
    ----------
    old : the formula to change
    text : for example ``". ~ . + x"`` or ``". ~ . - (Days | Subject) + (1 | Subject)"``

    Returns
    -------
    str
        The new formula, terms in R's order; ``parse_formula`` then checks what is new in it.

    Raises
    ------
    FormulaError
        If the text is no formula, or a bar or an offset to be removed isn't there.

    Examples
    --------
    >>> from hierbayes.formula.parser import parse_formula
    >>> update_formula(parse_formula("y ~ x + (x | g)"), ". ~ . - (x | g) + (1 | g)")
    'y ~ x + (1 | g)'
    """
    source = prepare(text)
    tree = read_formula(source)
    left = old.response_label if tree.left is None else _response(old, source)
    expansion = Expansion(source, dot=_right_side(old))
    expansion.expand(tree.right)
    offsets = [
        bits
        for bits in expansion.terms
        if bits & expansion.special and bits.bit_length() - 1 not in expansion.groups
    ]
    terms = [bits for bits in expansion.ordered() if bits not in offsets]
    right = " + ".join(expansion.term(bits).label for bits in (*terms, *offsets))
    if not right:
        right = "1" if expansion.intercept else "0"
    elif not expansion.intercept:
        right += " - 1"
    return f"{left} ~ {right}"


def _right_side(old: Formula) -> Dot:
    """Return what ``.`` stands for on the right: the old right side, in parentheses."""
    variables = [variable for term in old.fixed.terms for variable in term.variables]
    columns = [name for variable in variables for name in names_in(variable)]

    def encode(expansion: Expansion, adding: bool) -> TermSet:
        outer = expansion.dot
        expansion.dot = all_but_response(tuple(dict.fromkeys(columns)), old.response)
        terms = expansion.encode(old.tree.right, adding)
        expansion.dot = outer
        return terms

    return encode


def _response(old: Formula, source: str) -> str:
    """Return the new left side, with the old response in place of ``.``."""
    tokens = tokenize(source)
    stop = next(place for place, token in enumerate(tokens) if token.text == "~")
    compound = isinstance(old.response, Binary | Unary)
    pieces = []
    for place, token in enumerate(tokens[:stop]):
        piece = source[token.at : token.end]
        if piece == ".":
            around = tokens[place - 1].text + tokens[place + 1].text
            alone = stop == 1 or (place > 0 and around == "()")
            piece = f"({old.response_label})" if compound and not alone else old.response_label
        pieces.append(piece)
    return deparse(read_expression(" ".join(pieces)))
