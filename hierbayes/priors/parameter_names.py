"""The names under which users address the priors of a model.

One parameter is addressed by any of its spellings (``naming/addresses.py``), many by a class:

- coefficients: ``"Days"``, ``"b(Days)"``, class ``"b"`` (all but the intercept)
- the intercept: ``"(Intercept)"``, ``"b((Intercept))"``
- sds: ``"sd(Days|Subject)"``; classes ``"sd(Subject)"``, ``"sd"``
- correlations: ``"cor(Subject)"``, or the two columns where there are no others,
  ``"cor((Intercept),Days|Subject)"``; class ``"cor"``
- of a covariance with a pattern: ``"sd(*|Subject)"``, one sd of all columns, ``"cor(rho|Subject)"``
- ``"sigma"`` and the further parameters of the family (``"alpha"``, ``"nu"``, ...)

- of a further parameter that has a formula the same behind its name: ``"sigma_Days"``,
  ``"sigma_sd(Days|Subject)"``, ``"sigma_cor(Subject)"``, classes ``"sigma_b"``, ``"sigma_sd"``

A second term of a factor may be addressed by its own name, ``"cor(Subject.1)"``. A coefficient
whose name is taken (a column called ``sigma``) is ``"b(sigma)"``, the other ``"sd(Residual)"``; a
class beside a column of its name is ``"sd()"``.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hierbayes.design.design import Design
from hierbayes.families.family import POSITIVE, Bounds
from hierbayes.families.family import Parameter as FamilyParameter
from hierbayes.gaussian.covariance import Structure
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.structures import Searched
from hierbayes.naming import addresses

Kind = Literal["beta", "sd", "cor", "pattern", "sigma", "family", "visits"]
INTERCEPT = "(Intercept)"
RESERVED = ("b", "sd", "cor", "sigma")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that has a prior.

    Attributes
    ----------
    name : as printed; unique in the model
    spellings : texts that address it alone
    classes : texts that address it among others, the most specific first, without blanks
    kind : what it is
    place : its position: (k,) in beta, (factor, column) of an sd, and the other columns that share
        it, (term,) of correlations, (term, number) of what a structure has besides scales; the
        number of visits whose residuals have correlations
    bounds : between which ends an sd, a parameter of a pattern or of the family lives
    is_thresholds, increasing : whether it stands for thresholds of ordered categories, and whether
        these increase
    formula : the further parameter whose formula it is part of; empty of the mean's and of the rest
    """

    name: str
    spellings: tuple[str, ...]
    classes: tuple[str, ...]
    kind: Kind
    place: tuple[int, ...] = ()
    bounds: Bounds = POSITIVE
    is_thresholds: bool = False
    increasing: bool = False
    formula: str = ""

    def of_formula(self, name: str, taken: Collection[str]) -> "Parameter":
        """Return the parameter as part of the formula of a further one, ``sigma_Days``.

        Everything has the name that it would have in the mean's formula behind that of the further
        parameter; ``taken`` are names that parameters of the mean's have.
        """
        ways = addresses.in_formula(name, self.spellings)
        first = f"{name}_{self.name}"
        return replace(
            self,
            name=next((way for way in (first, *ways) if way not in taken), first),
            spellings=tuple(dict.fromkeys((first, *ways))),
            classes=tuple(f"{name}_{key}" for key in self.classes),
            formula=name,
        )


def parameters_of(
    design: Design,
    kept: Sequence[int],
    *,
    has_sigma: bool,
    family: Sequence[FamilyParameter] = (),
) -> tuple[Parameter, ...]:
    """Return the parameters of a model that have priors, in the order they are printed.

    Parameters
    ----------
    design : Design
    kept : columns of X that have a coefficient
    has_sigma : whether the residual sd is to be estimated
    family : the further parameters of the response family
    """
    found = _coefficients(design, kept, taken={*RESERVED, *(p.name for p in family)})
    found += _sds(design)
    for t, (term, own) in enumerate(
        zip(design.terms, covariance_shape(design).structures, strict=True)
    ):
        if own is not None:
            found += _of_pattern(design, t, own)
        elif len(term.columns) > 1:
            found.append(_correlations(design, t))
    if has_sigma:
        found.append(Parameter("sigma", addresses.residual_spellings(design), (), "sigma"))
    found += [
        Parameter(
            p.name,
            (p.name, f"family({p.name})"),
            (),
            "family",
            bounds=p.bounds,
            is_thresholds=p.prior == "cuts",
            increasing=p.increasing,
        )
        for p in family
    ]
    return tuple(found)


def _coefficients(design: Design, kept: Sequence[int], *, taken: set[str]) -> list[Parameter]:
    details = addresses.coefficient_details(design)
    spellings = [
        addresses.coefficient_spellings(design.coef_names[column], details[column], k)
        for k, column in enumerate(kept)
    ]
    found = []
    for k, (ways, label) in enumerate(
        zip(spellings, addresses.Addresses(spellings).labels, strict=True)
    ):
        name = f"b({label})" if label in taken else label
        classes = () if ways[0] == INTERCEPT else _with_empty("b")
        found.append(Parameter(name, ways, classes, "beta", (k,)))
    return found


def _sds(design: Design) -> list[Parameter]:
    found: list[tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]] = []
    for t, (term, own) in enumerate(
        zip(design.terms, covariance_shape(design).structures, strict=True)
    ):
        factor = design.factors[term.factor]
        assert not isinstance(own, Searched)
        if own is not None and own.is_scale.sum() == 1:
            name = own.names[int(np.argmax(own.is_scale))]
            ways = addresses.printed_first(addresses.structure_spellings(design, t, name))
            found.append((ways, _classes("sd", design, t), (term.factor, *term.columns)))
            continue
        for column in term.columns:
            printed = f"sd({factor.columns[column]}|{factor.name})"
            ways = (printed, *addresses.sd_spellings(design, t, column))
            found.append((ways, _classes("sd", design, t), (term.factor, column)))
    labels = addresses.Addresses([ways for ways, *_ in found]).labels
    return [
        Parameter(label, ways, classes, "sd", place)
        for label, (ways, classes, place) in zip(labels, found, strict=True)
    ]


def _of_pattern(design: Design, t: int, own: Structure) -> list[Parameter]:
    """Return what a structure has besides scales, where it has a prior between bounds."""
    assert not isinstance(own, Searched)
    term, found = design.terms[t], []
    names = own.names_of([design.factors[term.factor].columns[c] for c in term.columns])
    places = [k for k, is_scale in enumerate(own.is_scale) if not is_scale]
    for number, k in enumerate(places):
        low, high = own.bounds[k].tolist()
        if math.isfinite(low) and math.isfinite(high):
            ways = addresses.printed_first(addresses.structure_spellings(design, t, names[k]))
            found.append(Parameter(ways[0], ways, (), "pattern", (t, number), bounds=(low, high)))
    return found


def _correlations(design: Design, t: int) -> Parameter:
    term = design.terms[t]
    name = f"cor({term.name})"
    pair = (
        addresses.correlation_spellings(design, t, term.columns[:2])
        if len(term.columns) == 2
        else ()
    )
    return Parameter(name, (name, *pair), _classes("cor", design, t), "cor", (t,))


def _classes(kind: str, design: Design, t: int) -> tuple[str, ...]:
    term = design.terms[t]
    groups = (term.name, design.factors[term.factor].name)
    own = [addresses.squeezed(f"{kind}({group})") for group in groups]
    return tuple(dict.fromkeys([*own, *_with_empty(kind)]))


def _with_empty(kind: str) -> tuple[str, ...]:
    return kind, f"{kind}()"
