"""What a model formula says, before any data: response, fixed terms, offsets, bars.

``formula/parser.py`` makes these records from text; ``design`` lays them over data.
"""

from dataclasses import dataclass, field

from hierbayes.formula.expressions import Binary, Expression
from hierbayes.formula.functions import pattern_call


@dataclass(frozen=True, slots=True)
class Term:
    """One term ``a:b:c`` of a linear predictor: the product of its variables.

    Attributes
    ----------
    variables : expressions in R's order (the order of the formula's variable list)
    label : R's term label, for example ``"recipe:temperature"`` or ``"I(Days^2)"``
    labels : those of the variables
    """

    variables: tuple[Expression, ...]
    label: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinearPart:
    """A linear predictor: intercept or not, terms in R's order (by degree), offsets.

    ``offsets`` holds what stands inside each ``offset(...)``.
    """

    intercept: bool
    terms: tuple[Term, ...]
    offsets: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One random-effects term ``(linear | grouping)`` with nesting already expanded.

    ``(x | a/b)`` gives two bars, grouped by ``a`` and by ``b:a``.

    Attributes
    ----------
    linear : the columns of the term
    grouping : expressions whose combined values are the levels; one, or several for ``a:b``
    group : lme4's name of the grouping factor, for example ``"cask:batch"``
    correlated : False for ``||``: a diagonal covariance over the columns of the term
    structure : of the covariance, "us" unless it has a pattern (``functions.PATTERNS``)
    source : the bar as the user wrote it, with parentheses
    tree : the bar as it was read, nesting and parentheses left as they are
    at : offset of the bar in the formula's text
    """

    linear: LinearPart
    grouping: tuple[Expression, ...]
    group: str
    correlated: bool
    source: str
    tree: Binary = field(compare=False, repr=False)
    at: int = 0
    structure: str = "us"

    def written(self, left: str, right: str) -> str:
        """Return a bar of this covariance with other sides, as in ``cs(left | right)``."""
        bar = f"{left} {'|' if self.correlated else '||'} {right}"
        return f"({bar})" if self.structure == "us" else pattern_call(self.structure, bar)


@dataclass(frozen=True, slots=True)
class Formula:
    """A whole model formula.

    Attributes
    ----------
    source : the text as given (NFC-normalised, outer white space removed)
    response : the left side as an expression, ``cbind(a, b)`` included
    response_label : R's deparse of it, for example ``"log(Reaction)"``
    fixed : the fixed-effects part
    bars : the random-effects terms in the order of the formula; empty for a plain linear model
    tree : the whole formula as it was read
    """

    source: str
    response: Expression
    response_label: str
    fixed: LinearPart
    bars: tuple[Bar, ...]
    tree: Binary = field(compare=False, repr=False)
