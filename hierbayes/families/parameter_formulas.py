"""Formulas of further parameters of a family: which there are, and how one is read and refused.

``sigma="~ x + (x | g)"`` gives a residual sd to each row,

    link(sigma_i) = X_i gamma + Z_i c,   c ~ N(0, its own covariance),

with the link a logarithm for what is positive and a logit for shares. ``PARAMETERS`` are the
arguments of ``hb.Model`` in their order. All but one are parameters of families by their own names;
``zi`` is 1 - psi of a zero-inflated family, the probability of a zero that is no count.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.errors import NotSupportedError, OptionError
from hierbayes.families.family import Family
from hierbayes.formula.parser import parse_one_sided
from hierbayes.formula.terms import Formula
from hierbayes.wording import listed, shown

PARAMETERS = ("sigma", "nu", "alpha", "kappa", "lam", "b", "psi", "zi")
ZERO_INFLATED = "zero_inflated_"


def with_formulas(family: Family) -> dict[str, str]:
    """Return the parameter of a family that each argument it may have is about."""
    known = {p.name: p.name for p in family.parameters if p.name in PARAMETERS}
    known = {name: own for name, own in known.items() if _has_link(family, own)}
    if family.is_builtin and family.name.startswith(ZERO_INFLATED):
        known["zi"] = "psi"
    return known


def _has_link(family: Family, name: str) -> bool:
    """Whether a parameter is positive or a share."""
    bounds = next(p.bounds for p in family.parameters if p.name == name)
    return bounds in ((0.0, float("inf")), (0.0, 1.0))


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
    known, found = with_formulas(family), {}
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
    if design.residual is not None:
        raise unknown_residuals(what)
    if design.formulas:
        raise not_supported(
            "parameter-formulas", what=what, parameters=listed(list(design.formulas))
        )
