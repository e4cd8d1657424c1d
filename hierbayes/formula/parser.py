"""Reading formulas: text in, the records of ``terms.py`` out.

Source: the operators are those of R's ``terms.formula`` (Wilkinson & Rogers, 1973, Appl. Stat.
22, 392-399); the bars are those of Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1).
"""

from collections.abc import Sequence
from functools import lru_cache
from unicodedata import normalize

from hierbayes.formula.bars import expand_bar
from hierbayes.formula.deparse import LINE_WIDTH, deparse, deparse_lines
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expansion import Expansion, all_but_response
from hierbayes.formula.expressions import Binary, Expression, names_in
from hierbayes.formula.grammar import Tree, read_expression, read_formula
from hierbayes.formula.terms import Bar, Formula
from hierbayes.formula.tokenizer import prepare
from hierbayes.formula.update import update_formula
from hierbayes.formula.values import check_value

__all__ = (
    "columns_in",
    "formula_lines",
    "formula_text",
    "parse_expression",
    "parse_formula",
    "parse_one_sided",
    "update_formula",
)

_CACHED = 256  # formulas kept read; records are frozen, so they can be shared


def parse_formula(text: str, columns: Sequence[str] | None = None) -> Formula:
    """Read a model formula in lme4's language.

    Parameters
    ----------
    text : for example ``"Reaction ~ Days + (Days | Subject)"``
    columns : names of the data's columns; only used for ``.``, which stands for all of them
        except those in the response

    Returns
    -------
    Formula
        Response, fixed terms in R's order, offsets, and bars with nesting written out.

    Raises
    ------
    FormulaError
        The text isn't a formula (``FormulaSyntaxError``) or can't be meant; shows the place.

    Examples
    --------
    >>> formula = parse_formula("y ~ a*b + (1 | g/h)")
    >>> [term.label for term in formula.fixed.terms], [bar.group for bar in formula.bars]
    (['a', 'b', 'a:b'], ['h:g', 'g'])
    """
    if columns is None or not isinstance(text, str) or "." not in text:
        return _formula(prepare(text), None)
    return _formula(prepare(text), tuple(normalize("NFC", str(name)) for name in columns))


def parse_one_sided(text: str, of: Formula, columns: Sequence[str] | None = None) -> Formula:
    """Read the formula of a further parameter of a model, ``"~ x + (x | g)"``.

    Parameters
    ----------
    text : with nothing left of ``~``
    of : the model's formula, whose response it has
    columns : as of ``parse_formula``

    Raises
    ------
    FormulaError
        As ``parse_formula``, and where something stands left of ``~``.

    Examples
    --------
    >>> mean = parse_formula("y ~ a")
    >>> formula = parse_one_sided("~ x + (x | g)", mean)
    >>> [term.label for term in formula.fixed.terms], formula.response_label
    (['x'], 'y')
    """
    names = None if columns is None or "." not in str(text) else columns
    known = None if names is None else tuple(normalize("NFC", str(name)) for name in names)
    return _one_sided(prepare(text), of.response, known)


def parse_expression(text: str) -> Expression:
    """Read an expression of columns, such as weights ``"1/(1 + Days)"``.

    Raises
    ------
    FormulaError
        If it computes no value row by row; shows the place.
    """
    return _expression(prepare(text))


def formula_text(formula: Formula) -> str:
    """Write the formula with R's spacing on one line: ``y~x+(1|g)`` gives ``y ~ x + (1 | g)``."""
    return deparse(formula.tree)


def formula_lines(formula: Formula, width: int = LINE_WIDTH) -> list[str]:
    """Write the formula with R's spacing and line breaks, as lme4 prints it after ``Formula:``."""
    return deparse_lines(formula.tree, width)


def columns_in(formula: Formula) -> tuple[str, ...]:
    """List the columns a formula uses: response, fixed part, offsets, bars; each once."""
    found = dict.fromkeys(names_in(formula.response))
    parts = [formula.fixed, *(bar.linear for bar in formula.bars)]
    groupings: list[tuple[Expression, ...]] = [(), *(bar.grouping for bar in formula.bars)]
    for part, grouping in zip(parts, groupings, strict=True):
        variables = [variable for term in part.terms for variable in term.variables]
        for expression in (*variables, *part.offsets, *grouping):
            found.update(dict.fromkeys(names_in(expression)))
    return tuple(found)


@lru_cache(maxsize=_CACHED)
def _formula(source: str, columns: tuple[str, ...] | None) -> Formula:
    tree = read_formula(source)
    return _laid_out(source, tree, _response(tree), columns)


@lru_cache(maxsize=_CACHED)
def _one_sided(source: str, response: Expression, columns: tuple[str, ...] | None) -> Formula:
    tree = read_formula(source)
    if tree.left is not None:
        raise formula_error(
            "The formula of a further parameter has nothing left of '~'.",
            source=source, at=tree.left.at, advice='Write, for example, "~ x + (1 | g)".',
        )  # fmt: skip
    return _laid_out(source, tree, response, columns)


def _laid_out(
    source: str, tree: Tree, response: Expression, columns: tuple[str, ...] | None
) -> Formula:
    response_label = deparse(response)
    expansion = Expansion(source, dot=all_but_response(columns, response))
    expansion.expand(tree.right)
    fixed = expansion.linear_part()
    twice = expansion.find(response_label)
    if twice is not None:
        raise formula_error(
            f"The response '{response_label[:40]}' also stands among the predictors.",
            source=source, at=twice.at, advice="Take it away on the right of '~'.",
        )  # fmt: skip
    bars: list[Bar] = []
    for group in expansion.bars():
        bars += expand_bar(group, tree)
    whole = Binary("~", response, tree.right)
    return Formula(source, response, response_label, fixed, tuple(bars), whole)


@lru_cache(maxsize=_CACHED)
def _expression(source: str) -> Expression:
    expression = read_expression(source)
    check_value(expression, source=source)
    return expression


def _response(tree: Tree) -> Expression:
    """Return the left side, which must compute something from columns."""
    if tree.left is None:
        raise formula_error(
            "The formula has no response left of '~'.",
            source=tree.source, at=0, advice='Write, for example, "y ~ x + (1 | g)".',
        )  # fmt: skip
    check_value(tree.left, source=tree.source)
    if not names_in(tree.left):
        raise formula_error(
            "The response names no column.",
            source=tree.source, at=tree.left.at, advice="Write a column's name left of '~'.",
        )  # fmt: skip
    return tree.left
