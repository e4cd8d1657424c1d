"""The correlation of residuals, written as a bar: ``residual="ar1(time | subject)"``.

    ar1(time | subject)   r^gap of rows at whole times
    car1(time | subject)  r^gap of rows at any times, r not negative
    cs(1 | block)         one correlation of all rows of a block
    us(visit | subject)   a correlation of every pair of visits, and an sd each

The words and sides are read by the grammar of formulas, which runs nothing.
"""

from dataclasses import dataclass, replace

from hierbayes.errors import FormulaError, OptionError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.excerpt import formula_error
from hierbayes.formula.expressions import Expression
from hierbayes.formula.parser import parse_one_sided
from hierbayes.formula.terms import Formula
from hierbayes.wording import shown

WORDS = {
    "ar1": "ar1(time | subject)",
    "car1": "car1(time | subject)",
    "cs": "cs(1 | block)",
    "us": "us(visit | subject)",
}
EXAMPLES = ", ".join(WORDS.values())


@dataclass(frozen=True, slots=True)
class ResidualTerm:
    """What ``residual=`` says.

    Attributes
    ----------
    word : "ar1", "car1", "cs" or "us"
    formula : with one bar, whose variables the term has
    text : as it was given
    """

    word: str
    formula: Formula
    text: str

    @property
    def inner(self) -> Expression | None:
        """Time or visit; None of cs."""
        terms = self.formula.bars[0].linear.terms
        return terms[0].variables[0] if terms else None

    @property
    def group(self) -> str:
        """Name of what makes the series."""
        return self.formula.bars[0].group

    @property
    def inner_label(self) -> str:
        """Label of time or visit; "1" of cs."""
        return "1" if self.inner is None else deparse(self.inner)

    @property
    def call(self) -> str:
        """The term with R's spacing."""
        return f"{self.word}({self.inner_label} | {self.group})"


def parse_residual(text: object, of: Formula) -> ResidualTerm:
    """Read the term of ``residual=``.

    Parameters
    ----------
    text : for example ``"ar1(time | subject)"``
    of : the formula of the mean

    Raises
    ------
    OptionError
        If it is no text, or not one of the four.
    FormulaError
        If its sides can't be read; shows the place.

    Examples
    --------
    >>> from hierbayes.formula.parser import parse_formula
    >>> term = parse_residual("ar1(week|rat)", parse_formula("y ~ x"))
    >>> term.word, term.inner_label, term.group, term.call
    ('ar1', 'week', 'rat', 'ar1(week | rat)')
    """
    if not isinstance(text, str):
        raise OptionError(f"residual={shown(text)} must be text: one of {EXAMPLES}.")
    source = text.strip().removeprefix("~").strip()
    word = source.partition("(")[0].strip()
    if word not in WORDS or not source.endswith(")"):
        raise OptionError(f"residual={shown(text)} is none of {EXAMPLES}.")
    if "|" not in source:
        raise OptionError(
            f"residual={shown(text)} has no '|': write {WORDS[word]}, with what makes a series "
            "right of it."
        )
    # as long as what was written, so that a place that is shown is the same
    known = source.replace(word, "us".rjust(len(word)), 1)
    try:
        formula = parse_one_sided(f"~{known}", of)
    except FormulaError as error:
        raise type(error)(str(error).replace(f"~{known}", f"~{source}")) from None
    formula = replace(formula, source=formula.source.replace(known, source))
    bars, fixed = formula.bars, formula.fixed
    if len(bars) != 1 or fixed.terms or fixed.offsets:
        raise OptionError(
            f"residual={shown(text)} is one term with one grouping: one of {EXAMPLES}."
        )
    linear = bars[0].linear
    if word == "cs":
        right = linear.intercept and not linear.terms
        advice = "Write cs(1 | block): all rows of a block have one correlation."
    else:
        right = len(linear.terms) == 1 and len(linear.terms[0].variables) == 1
        advice = f"Write {WORDS[word]}: one column says where in its series a row is."
    if not right or linear.offsets:
        raise formula_error(
            f"{word}() of residuals can't have '{deparse(bars[0].tree.left)[:40]}' left of '|'.",
            source=source, at=source.index("(") + 1, advice=advice,
        )  # fmt: skip
    return ResidualTerm(word, formula, text)
