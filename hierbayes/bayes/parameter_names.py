"""The names under which users address the priors of a model.

Each parameter has a list of keys, the most specific first:

- coefficients: ``"Days"``, ``"b(Days)"``, class ``"b"`` (all but the intercept)
- the intercept: ``"(Intercept)"``, ``"b((Intercept))"``
- sds: ``"sd(Days|Subject)"``, ``"sd(Subject)"``, class ``"sd"``
- correlations: ``"cor(Subject)"``, class ``"cor"``
- ``"sigma"`` and the further parameters of the family (``"alpha"``, ``"nu"``, ...)

A second term of a factor may be addressed by its own name, ``"cor(Subject.1)"``. Blanks in names
don't count. A coefficient whose name is taken (a column called ``sigma``) is ``"b(sigma)"``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hierbayes.design.design import Design

Kind = Literal["beta", "sd", "cor", "sigma", "family"]
INTERCEPT = "(Intercept)"
RESERVED = ("b", "sd", "cor", "sigma")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that has a prior.

    Attributes
    ----------
    name : as printed; unique in the model
    keys : what addresses it, the most specific first, without blanks
    kind : what it is
    place : its position: (k,) in beta, (factor, column) of an sd, (term,) of correlations
    """

    name: str
    keys: tuple[str, ...]
    kind: Kind
    place: tuple[int, ...] = ()


def squeezed(name: str) -> str:
    """Return a name without its blanks."""
    return "".join(name.split())


def parameters_of(
    design: Design,
    coef_names: Sequence[str],
    *,
    has_sigma: bool,
    family: Sequence[str] = (),
) -> tuple[Parameter, ...]:
    """Return the parameters of a model that have priors, in the order they are printed.

    Parameters
    ----------
    design : Design
    coef_names : names of the coefficients that were kept
    has_sigma : whether the residual sd is to be estimated
    family : names of the further parameters of the response family
    """
    taken = {*RESERVED, *family}
    found = [_coefficient(name, k, taken) for k, name in enumerate(coef_names)]
    found += _sds(design)
    found += [
        Parameter(f"cor({term.name})", _keys("cor", design, t), "cor", (t,))
        for t, term in enumerate(design.terms)
        if len(term.columns) > 1
    ]
    if has_sigma:
        found.append(Parameter("sigma", ("sigma",), "sigma"))
    found += [Parameter(name, (name,), "family") for name in family]
    return tuple(found)


def _coefficient(name: str, position: int, taken: set[str]) -> Parameter:
    key = squeezed(name)
    keys = [f"b({key})"] if name in taken else [key, f"b({key})"]
    keys += [] if name == INTERCEPT else ["b"]
    return Parameter(f"b({name})" if name in taken else name, tuple(keys), "beta", (position,))


def _sds(design: Design) -> list[Parameter]:
    found = []
    for t, term in enumerate(design.terms):
        factor = design.factors[term.factor]
        for column in term.columns:
            name = factor.columns[column]
            own = [squeezed(f"sd({name}|{group})") for group in (factor.name, term.name)]
            keys = tuple(dict.fromkeys([*own, *_keys("sd", design, t)]))
            place = (term.factor, column)
            found.append(Parameter(f"sd({name}|{factor.name})", keys, "sd", place))
    return found


def _keys(kind: str, design: Design, t: int) -> tuple[str, ...]:
    term = design.terms[t]
    groups = (term.name, design.factors[term.factor].name)
    return tuple(dict.fromkeys([*(squeezed(f"{kind}({group})") for group in groups), kind]))
