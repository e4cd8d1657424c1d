"""Formulas of further parameters of a family: which there are, and how one is read and refused.

``sigma="~ x + (x | g)"`` gives a residual sd to each row,

    link(sigma_i) = X_i gamma + Z_i c,   c ~ N(0, its own covariance),

with the link a logarithm for what is positive and a logit for shares. ``PARAMETERS`` are the
arguments of ``hb.Model`` in their order. All but one are parameters of families by their own names;
``zi`` is 1 - psi of a zero-inflated family, the probability of a zero that is no count.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import NotSupportedError, OptionError
from hierbayes.families.family import Family
from hierbayes.formula.parser import parse_one_sided
from hierbayes.formula.terms import Formula
from hierbayes.wording import listed, shown

PARAMETERS = ("sigma", "nu", "alpha", "kappa", "lam", "b", "psi", "zi")
ZERO_INFLATED = "zero_inflated_"


@record
class ParameterLink:
    """How the predictor of a formula gives a parameter of a family.

    Attributes
    ----------
    name : of the argument, which names and coefficients begin with
    parameter : of the family, by its name
    is_share : whether the link is a logit; else it is a logarithm
    is_complement : whether what has the formula is one minus the family's parameter
    """

    name: str
    parameter: str
    is_share: bool
    is_complement: bool = False

    @property
    def scale(self) -> str:
        """The link in words."""
        return "logit" if self.is_share else "log"

    def value(self, eta: Any) -> Any:
        """Return the family's parameter at a predictor, an array or an expression."""
        if not self.is_share:
            return np.exp(eta)
        return special.expit(-eta if self.is_complement else eta)

    def predictor(self, value: Any) -> FloatArray:
        """Return the predictor of a value of the family's parameter."""
        value = np.asarray(value, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.is_share:
                return np.log(value)
            eta = np.log(value) - np.log1p(-value)
        return np.asarray(-eta if self.is_complement else eta)


def parameter_links(family: Family) -> dict[str, ParameterLink]:
    """Return, by argument, the parameters of a family that may have a formula."""
    found = {}
    for parameter in family.parameters:
        is_share = parameter.bounds == (0.0, 1.0)
        if parameter.name in PARAMETERS and (is_share or parameter.bounds == (0.0, math.inf)):
            own = ParameterLink(name=parameter.name, parameter=parameter.name, is_share=is_share)
            found[parameter.name] = own
    if family.is_builtin and family.name.startswith(ZERO_INFLATED):
        found["zi"] = ParameterLink(name="zi", parameter="psi", is_share=True, is_complement=True)
    return found


def links_of(design: Design, family: Family) -> dict[str, ParameterLink]:
    """Return the links of the parameters that have a formula in a model, in its order."""
    known = parameter_links(family)
    return {name: known[name] for name in design.formulas}


def parameter_formulas(
    given: Mapping[str, Any],
    family: Family,
    formula: Formula,
    *,
    columns: Sequence[str],
    has_known_sd: bool,
) -> dict[str, Formula]:
    """Read the formulas of further parameters.

    Parameters
    ----------
    given : by the names of ``PARAMETERS``, one-sided formulas as text; None is none
    family : of the response
    formula : of the mean
    columns : of the data
    has_known_sd : whether residual sds are known

    Raises
    ------
    OptionError
        If the family has no such parameter, or a formula is no text.
    FormulaError
        As ``parse_one_sided``.
    """
    known, found = parameter_links(family), {}
    for name, text in given.items():
        if text is None:
            continue
        if name not in known:
            has = f"it has {listed(list(known), 'and')}" if known else "it has no further parameter"
            raise OptionError(
                f"{name}={shown(text)}: family={family.name!r} has no parameter {name!r} to have a "
                f"formula; {has}."
            )
        if not isinstance(text, str):
            fixed = " Known residual sds are known_sd=." if name == "sigma" else ""
            raise OptionError(
                f"{name}={shown(text)} must be a formula as text with nothing left of '~', for "
                f'example {name}="~ x + (1 | g)".{fixed}'
            )
        if "~" not in text:
            raise OptionError(
                f"{name}={shown(text)} needs a '~' before its predictors, for example "
                f'{name}="~ {text.strip() or "x"}".'
            )
        if name == "sigma" and has_known_sd:
            raise OptionError(
                f"known_sd and sigma={shown(text)} were both given; known residual sds leave "
                "nothing for a formula to say, so give one of them."
            )
        found[name] = parse_one_sided(text, formula, columns)
    if {"psi", "zi"} <= found.keys():
        raise OptionError(
            "psi and zi were both given formulas; zi is 1 - psi, so give one of them."
        )
    return found


def unknown_residuals(what: str) -> NotSupportedError:
    """Return the error of what takes residuals to be independent and of one sd."""
    return not_supported("residual-structure", what=what)


def check_independent(design: Design, what: str) -> None:
    """Refuse what takes residuals to be independent, where ``residual=`` has them correlated."""
    if design.residual is not None:
        raise unknown_residuals(what)


def check_no_formulas(design: Design, what: str) -> None:
    """Refuse what does not know formulas of further parameters, where a model has such.

    Parameters
    ----------
    design : Design
    what : is asked, as a user writes it: "Model.fit"

    Raises
    ------
    NotSupportedError
        With the sentence of the row "parameter-formulas".
    """
    check_independent(design, what)
    if design.formulas:
        raise not_supported(
            "parameter-formulas", what=what, parameters=listed(list(design.formulas))
        )
