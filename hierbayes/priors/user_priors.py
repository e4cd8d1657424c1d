"""What the user's ``priors=`` means: which parameter each name addresses, and what may stand there.

A more specific name wins over a class in any order, as in
``{"sd": HalfNormal(50), "sd(Days|Subject)": HalfNormal(10)}``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hierbayes.arrays import IntArray
from hierbayes.design.design import Design
from hierbayes.errors import PriorError
from hierbayes.families.family import Bounds
from hierbayes.naming.addresses import Addresses, correlation_spellings, squeezed
from hierbayes.priors.distributions import (
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
from hierbayes.priors.lkj import LKJ
from hierbayes.priors.parameter_names import Parameter
from hierbayes.wording import nearest, shown

MANY = 12  # names listed in a message
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
        raise PriorError(f'priors={shown(user)} must be a dict such as {EXAMPLE}, or "flat".')
    own, classes = _addressed(user, parameters)
    for name in user:
        if squeezed(name) not in classes and name not in own:
            raise PriorError(_unknown(name, parameters, design, kept, family))
    names = {place: name for name, place in own.items()}
    chosen: dict[Parameter, Prior | LKJ] = {}
    for place, parameter in enumerate(parameters):
        found = [names[place]] if place in names else []
        found += [classes[key] for key in parameter.classes if key in classes]
        if found:
            chosen[parameter] = checked_prior(f"priors[{found[0]!r}]", user[found[0]], parameter)
    return chosen


def priors_left(
    user: Mapping[str, Any] | str, before: Sequence[Parameter], after: Sequence[Parameter]
) -> Mapping[str, Any] | str:
    """Return the user's priors without those of parameters that a changed model left out."""
    if isinstance(user, str):
        return user
    gone = _texts(before) - _texts(after)
    return {name: prior for name, prior in user.items() if squeezed(name) not in gone}


def _texts(parameters: Sequence[Parameter]) -> set[str]:
    return {squeezed(text) for p in parameters for text in (*p.spellings, *p.classes)}


def _addressed(
    user: Mapping[str, Any], parameters: Sequence[Parameter]
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the position of the parameter each name means, and the names of classes by class.

    A name that could mean two parameters, or one and a class, is refused, unless all but one of
    them have a prior under a name that is theirs alone.
    """
    addresses = Addresses([parameter.spellings for parameter in parameters])
    known = {key for parameter in parameters for key in parameter.classes}
    own: dict[str, int] = {}
    classes: dict[str, str] = {}
    before: dict[Any, str] = {}
    unclear: list[tuple[str, tuple[int, ...]]] = []
    for name, prior in user.items():
        if not isinstance(name, str):
            raise PriorError(f"priors: {name!r} must be the name of a parameter, as text.")
        if not isinstance(prior, Prior | LKJ):
            raise PriorError(_no_prior(name, prior))
        key, meant = squeezed(name), addresses.find(name)
        if key in known and meant and parameters[meant[0]].kind != "cor":
            raise PriorError(
                f"priors: {name!r} could mean {parameters[meant[0]].name!r} or all that the class "
                f"{name!r} holds; write {_alone(addresses, meant[0], known)!r} or "
                f"{_class_spelling(key)!r}."
            )
        if len(meant) > 1:
            unclear.append((name, meant))
            continue
        place: Any = meant[0] if meant and key not in known else key
        if place in before:
            raise PriorError(f"priors: {before[place]!r} and {name!r} name the same parameter.")
        before[place] = name
        if key in known:
            classes[key] = name
        elif meant:
            own[name] = meant[0]
    for name, meant in unclear:
        left = [place for place in meant if place not in before]
        if len(left) != 1:
            raise PriorError(f"priors: {addresses.ambiguity(name, meant)}")
        own[name] = left[0]
        before[left[0]] = name
    return own, classes


def _alone(addresses: Addresses, place: int, classes: set[str]) -> str:
    """Return a spelling of a parameter that is no class."""
    ways = addresses.spellings[place]
    return next(w for w in ways if squeezed(w) not in classes and addresses.find(w) == (place,))


def _class_spelling(key: str) -> str:
    """Return the spelling of a class that is no coefficient's; a factor's has only its own."""
    return f"{key}()" if "(" not in key else f"sd((Intercept)|{key[3:-1]})"


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


def checked_prior(where: str, prior: Prior | LKJ, parameter: Parameter) -> Prior | LKJ:
    """Return the prior, on the right half for Flat; raise if it can't be the parameter's.

    ``where`` says where it was given, ``priors['Days']``.
    """
    start = f"{where}: {prior}"
    if parameter.kind in ("cor", "visits"):
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
        return prior
    wanted = parameter.bounds
    if isinstance(prior, Flat) and parameter.kind == "pattern":
        return Uniform(*wanted)
    if isinstance(prior, Flat) and wanted == POSITIVE:
        return HalfFlat()
    if parameter.is_thresholds and (low >= 0 or high <= 0):
        raise PriorError(
            f"{start} has one side only, and thresholds lie on both sides of zero. Use for example "
            "hb.Normal(0, 2.5)."
        )
    if low >= wanted[0] and high <= wanted[1]:
        return prior
    where = "between {:g} and {:g}".format(*wanted) if _is_finite(wanted) else "never negative"
    raise PriorError(
        f"{start} allows values that {parameter.name!r} can't have: it is {where}. "
        f"Use for example hb.{_half(prior) if wanted == POSITIVE else _example(parameter)}."
    )


def _example(parameter: Parameter) -> str:
    if parameter.kind == "beta" or parameter.bounds == REAL:
        return "Normal(0, 10)"
    if parameter.bounds == UNIT:
        return "Beta(2, 2)"
    if _is_finite(parameter.bounds):
        return "Uniform({:g}, {:g})".format(*parameter.bounds)
    return "HalfNormal(10)"


def _is_finite(bounds: Bounds) -> bool:
    return math.isfinite(bounds[1])


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
        if key in (column, f"b({column})", f"beta[{column}]"):
            if design.assign[k] == 0 and any(p.is_thresholds for p in parameters):
                return (
                    f"{found} has no prior: family={family!r} has thresholds in the place of an "
                    "intercept. Give theirs, for example priors={'threshold': hb.Normal(0, 2.5)}."
                )
            return (
                f"{found} has no prior: its column was dropped, since earlier columns determine "
                "it. Leave it out."
            )
    if key in design.formulas:
        own = [p.name for p in parameters if p.formula == key]
        return (
            f"{found} has a formula, and what is in it has priors: {_listed(own)}. Give one of "
            "these."
        )
    if key == "sigma" and design.known_sd is not None:
        return f"{found} has no prior: the residual sds are known (known_sd). Leave it out."
    if key == "sigma":
        found += f" is not a parameter of family={family!r}"
    elif key == "cor" or key in {squeezed(f"cor({f.name})") for f in design.factors}:
        found += " is not a parameter: no random effects are correlated there"
    elif cor := _in_larger_block(key, design):
        return (
            f"{found}: the correlations of one term have one prior together. Write {cor!r}, as in "
            f"priors={{{cor!r}: hb.LKJ(2)}}."
        )
    elif key == "sd":
        found += " is not a parameter: there are no random effects"
    else:
        found += " is not a parameter of this model"
    names = tuple(parameter.name for parameter in parameters)
    classes = {key for parameter in parameters for key in parameter.classes}
    wildcards = tuple(word for word in ("b", "sd", "cor") if word in classes)
    groups = tuple(k for p in parameters for k in p.classes if k not in (*wildcards, f"{k[:-2]}()"))
    guess = _nearest(name, (*names, *wildcards, *groups))
    hint = f"; did you mean {guess!r}?" if guess else "."
    listed = f"{found}{hint} Its parameters are {_listed(names)}"
    return f"{listed}; classes {_listed(wildcards)}." if wildcards else f"{listed}."


def _in_larger_block(key: str, design: Design) -> str | None:
    """Return the name of the correlations of a term of three or more columns that has this one."""
    for t, term in enumerate(design.terms):
        for i, first in enumerate(term.columns):
            for second in term.columns[i + 1 :]:
                if key in map(squeezed, correlation_spellings(design, t, (first, second))):
                    return f"cor({term.name})"
    return None


def _nearest(name: str, allowed: tuple[str, ...]) -> str | None:
    return nearest(name, tuple(dict.fromkeys(allowed)))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(repr(name) for name in every[:MANY])
    return f"{shown} and {len(every) - MANY} more" if len(every) > MANY else shown
