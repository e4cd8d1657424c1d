"""What the user's ``priors=`` means: which parameter each name addresses, and what may stand there.

A more specific name wins over a class in any order, as in
``{"sd": HalfNormal(50), "sd(Days|Subject)": HalfNormal(10)}``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.distributions import (
    POSITIVE,
    REAL,
    UNIT,
    Cauchy,
    Flat,
    HalfCauchy,
    HalfFlat,
    HalfNormal,
    HalfStudentT,
    Normal,
    Prior,
    StudentT,
    Uniform,
)
from hierbayes.bayes.lkj import LKJ
from hierbayes.bayes.parameter_names import Parameter, squeezed
from hierbayes.design.design import Design
from hierbayes.errors import PriorError
from hierbayes.options import nearest

IntArray = npt.NDArray[np.intp]

MANY = 12  # names listed in a message
FAMILY_BOUNDS = {"psi": UNIT, "threshold": REAL}  # all others are positive
EXAMPLE = 'priors={"Days": hb.Normal(0, 10)}'


def chosen_priors(
    user: Mapping[str, Any] | str,
    parameters: Sequence[Parameter],
    *,
    design: Design,
    kept: IntArray,
    family: str,
) -> dict[Parameter, Prior | LKJ]:
    """Return the user's prior of each parameter that has one.

    Raises
    ------
    PriorError
        If a name is unknown or a prior can't be one of what it names.
    """
    if isinstance(user, str) and user == "flat":
        return {parameter: Flat() for parameter in parameters if parameter.kind == "beta"}
    if not isinstance(user, Mapping):
        raise PriorError(f'priors={user!r} must be a dict such as {EXAMPLE}, or "flat".')
    given = _by_key(user)
    known = {key for parameter in parameters for key in parameter.keys}
    for key, (name, _) in given.items():
        if key not in known:
            raise PriorError(_unknown(name, parameters, design, kept, family))
    chosen: dict[Parameter, Prior | LKJ] = {}
    for parameter in parameters:
        keys = [key for key in parameter.keys if key in given]
        if keys:
            chosen[parameter] = _checked(*given[keys[0]], parameter)
    return chosen


def priors_left(
    user: Mapping[str, Any] | str, before: Sequence[Parameter], after: Sequence[Parameter]
) -> Mapping[str, Any] | str:
    """Return the user's priors without those of parameters that a changed model left out."""
    if isinstance(user, str):
        return user
    known = {key for parameter in after for key in parameter.keys}
    gone = {key for parameter in before for key in parameter.keys} - known
    return {name: prior for name, prior in user.items() if squeezed(name) not in gone}


def _by_key(user: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    given: dict[str, tuple[str, Any]] = {}
    for name, prior in user.items():
        if not isinstance(name, str):
            raise PriorError(f"priors: {name!r} must be the name of a parameter, as text.")
        key = squeezed(name)
        if key in given:
            raise PriorError(f"priors: {given[key][0]!r} and {name!r} name the same parameter.")
        if not isinstance(prior, Prior | LKJ):
            raise PriorError(_no_prior(name, prior))
        given[key] = (name, prior)
    return given


def _no_prior(name: str, given: Any) -> str:
    if isinstance(given, type) and issubclass(given, Prior | LKJ):
        return f"priors[{name!r}]: hb.{given.__name__} needs its parameters in parentheses."
    return (
        f"priors[{name!r}] is {_short(given)}, not a prior of hierbayes; write for example "
        "hb.Normal(0, 10)."
    )


def _short(given: Any) -> str:
    if isinstance(given, str | int | float):
        return repr(given)
    return f"a {type(given).__module__.split('.')[0]} {type(given).__name__}"


def _checked(name: str, prior: Prior | LKJ, parameter: Parameter) -> Prior | LKJ:
    """Return the prior, on the right half for Flat; raise if it can't be the parameter's."""
    start = f"priors[{name!r}]: {prior}"
    if parameter.kind == "cor":
        if isinstance(prior, LKJ):
            return prior
        raise PriorError(f"{start} can't be a prior of correlations; use LKJ, as in hb.LKJ(2).")
    if isinstance(prior, LKJ):
        raise PriorError(
            f"{start} is a prior of correlations, and {parameter.name!r} is not one; "
            f"use for example hb.{_example(parameter)}."
        )
    low, high = prior.bounds()
    if parameter.kind == "beta":
        if (low, high) != REAL:
            raise PriorError(
                f"{start} does not cover the whole line, and {parameter.name!r} is a coefficient "
                "of either sign; use Normal, StudentT, Cauchy or Flat."
            )
        return prior
    wanted = FAMILY_BOUNDS.get(parameter.name, POSITIVE) if parameter.kind == "family" else POSITIVE
    if isinstance(prior, Flat) and wanted == POSITIVE:
        return HalfFlat()
    if low >= wanted[0] and high <= wanted[1]:
        return prior
    where = "between 0 and 1" if wanted == UNIT else "never negative"
    raise PriorError(
        f"{start} allows values that {parameter.name!r} can't have: it is {where}. "
        f"Use for example hb.{_half(prior) if wanted == POSITIVE else _example(parameter)}."
    )


def _example(parameter: Parameter) -> str:
    if parameter.kind == "beta" or parameter.name == "threshold":
        return "Normal(0, 10)"
    return "Beta(2, 2)" if parameter.name == "psi" else "HalfNormal(10)"


def _half(prior: Prior) -> Prior | str:
    if isinstance(prior, Normal):
        return HalfNormal(prior.sigma)
    if isinstance(prior, StudentT):
        return HalfStudentT(prior.nu, prior.sigma)
    if isinstance(prior, Uniform) and prior.upper > 0:
        return Uniform(0, prior.upper)
    return HalfCauchy(prior.sigma) if isinstance(prior, Cauchy) else "HalfNormal(10)"


def _unknown(
    name: str,
    parameters: Sequence[Parameter],
    design: Design,
    kept: IntArray,
    family: str,
) -> str:
    """Say why a name addresses nothing, and which names do."""
    key = squeezed(name)
    found = f"priors: {name!r}"
    dropped = set(range(len(design.coef_names))) - set(kept.tolist())
    for k in dropped:
        column = squeezed(design.coef_names[k])
        if key in (column, f"b({column})"):
            return (
                f"{found} has no prior: its column was dropped, since earlier columns determine "
                "it. Leave it out."
            )
    if key == "sigma" and design.known_sd is not None:
        return f"{found} has no prior: the residual sds are known (known_sd). Leave it out."
    if key == "sigma":
        found += f" is not a parameter of family={family!r}"
    elif key == "cor" or key in {squeezed(f"cor({f.name})") for f in design.factors}:
        found += " is not a parameter: no random effects are correlated there"
    elif key == "sd":
        found += " is not a parameter: there are no random effects"
    else:
        found += " is not a parameter of this model"
    names = tuple(parameter.name for parameter in parameters)
    classes = tuple(dict.fromkeys(parameter.keys[-1] for parameter in parameters))
    wildcards = tuple(word for word in ("b", "sd", "cor") if word in classes)
    groups = tuple(k for p in parameters if p.kind in ("sd", "cor") for k in p.keys[1:-1])
    guess = _nearest(name, (*names, *wildcards, *groups))
    hint = f"; did you mean {guess!r}?" if guess else "."
    listed = f"{found}{hint} Its parameters are {_listed(names)}"
    return f"{listed}; classes {_listed(wildcards)}." if wildcards else f"{listed}."


def _nearest(name: str, allowed: tuple[str, ...]) -> str | None:
    return nearest(name, tuple(dict.fromkeys(allowed)))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(repr(name) for name in every[:MANY])
    return f"{shown} and {len(every) - MANY} more" if len(every) > MANY else shown
