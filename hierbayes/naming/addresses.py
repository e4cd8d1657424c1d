"""Which parameter a text means: every spelling in use, and a refusal where it could mean two.

One parameter is written in several ways: the sd of the effects of ``Days`` is
``sd_Days|Subject`` in lme4's intervals, ``sd(Days|Subject)`` in priors and posteriors,
``sd(Days | Subject)`` in a report. Each parameter has a list of spellings, the printed one first,
and a text is looked up as it stands, then without blanks and back-ticks. Two parameters found are a
refusal that shows the *label* of each: its first spelling that means nothing else.

Spellings of brms, broom.mixed and of the variables in draws (``b_Days``, ``sd_Subject__Days``,
``sd__Days``) are ``Borrowed``: they count where no spelling of ours is meant, and none is printed.

A label is the printed name wherever that tells parameters apart. Where two print alike a
coefficient has, in this order, ``b(sigma)`` (a coefficient, where another kind of parameter is
called so), ``A[B1]`` (the level B1 of A, beside the level 1 of a factor AB) and ``b(#3)`` (the
third coefficient); the residual sd is ``sd(Residual)``, and columns of random effects are counted
within their factor, ``sd(#2|g)``.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hierbayes.arrays import IntArray, record
from hierbayes.design.design import Design
from hierbayes.errors import OptionError
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.structures import Searched
from hierbayes.naming.variable_names import variable_name
from hierbayes.wording import meant, shown

NAMES_SHOWN = 12


def squeezed(text: str) -> str:
    """Return a text without blanks and back-ticks, in one Unicode form."""
    plain = "".join(text.split()).replace("`", "")
    return plain if plain.isascii() else unicodedata.normalize("NFC", plain)


class Borrowed(str):
    """A spelling of another package: it counts where none of ours is meant."""

    __slots__ = ()


class Addresses:
    """The spellings of m parameters, and the way from a text to a parameter's position.

    Parameters
    ----------
    spellings : per parameter its spellings, the printed name first
    """

    def __init__(self, spellings: Sequence[Sequence[str]]) -> None:
        self.spellings = tuple(tuple(dict.fromkeys(given)) for given in spellings)
        exact: dict[str, list[int]] = {}
        loose: dict[str, list[int]] = {}
        borrowed: dict[str, list[int]] = {}
        for place, given in enumerate(self.spellings):
            own = [text for text in given if not isinstance(text, Borrowed)]
            for text in own:
                exact.setdefault(text, []).append(place)
            for text in dict.fromkeys(map(squeezed, own)):
                loose.setdefault(text, []).append(place)
            for text in dict.fromkeys(squeezed(t) for t in given if isinstance(t, Borrowed)):
                borrowed.setdefault(text, []).append(place)
        self._exact, self._loose = exact, loose
        self._borrowed = {text: at for text, at in borrowed.items() if text not in loose}

    def find(self, text: str) -> tuple[int, ...]:
        """Return the positions of the parameters a text means; none, one, or several."""
        plain = squeezed(text)
        found = self._exact.get(text) or self._loose.get(plain) or self._borrowed.get(plain)
        return tuple(found or ())

    def only(self, text: str) -> tuple[int, ...]:
        """Return the position of the parameter a text means, nothing where it means several."""
        found = self.find(text)
        return found if len(found) == 1 else ()

    def spelled_in(self, text: str) -> list[str]:
        """Return the spellings that stand in a text, blanks and back-ticks apart."""
        plain = squeezed(text)
        places = [at for known in self._lookups for key, at in known.items() if key in plain]
        found = [way for at in places for place in at for way in self.spellings[place]]
        return [way for way in dict.fromkeys(found) if squeezed(way) in plain]

    @property
    def _lookups(self) -> tuple[dict[str, list[int]], ...]:
        return self._loose, self._borrowed

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A name of each parameter that means no other: the printed one where possible."""
        return tuple(self._label(place) for place in range(len(self.spellings)))

    def _label(self, place: int) -> str:
        given = [text for text in self.spellings[place] if not isinstance(text, Borrowed)]
        return next((text for text in given if self.find(text) == (place,)), given[-1])

    def place(self, text: Any, unknown: str = "parameters: {text} is not one of {listed}") -> int:
        """Return the position of the parameter a text means.

        Parameters
        ----------
        text : what was given
        unknown : what to say if it means none

        Raises
        ------
        OptionError
            If the text means none, naming the nearest, or several, naming them.
        """
        found = self.find(text) if isinstance(text, str) else ()
        if len(found) == 1:
            return found[0]
        if found:
            raise OptionError(self.ambiguity(text, found))
        hint = meant(text, self.labels)
        raise OptionError(unknown.format(text=shown(text), listed=self.listed()) + hint)

    def ambiguity(self, text: str, found: Sequence[int]) -> str:
        """Say which parameters a text could mean and how to write each."""
        ways = [repr(self.labels[place]) for place in found]
        return (
            f"{text!r} could mean {len(ways)} parameters; write {', '.join(ways[:-1])} or "
            f"{ways[-1]} for the one you mean."
        )

    def listed(self) -> str:
        """Return the first labels as a list in words."""
        more = len(self.labels) - NAMES_SHOWN
        shown = ", ".join(repr(label) for label in self.labels[:NAMES_SHOWN])
        return f"{shown} and {more} more" if more > 0 else shown


def coefficient_spellings(name: str, detail: str, position: int) -> tuple[str, ...]:
    """Spellings of a coefficient of the fixed part.

    Parameters
    ----------
    name : as lme4 prints it
    detail : the same with the level of a factor in brackets, ``A[B1]``
    position : among the coefficients of the model that were estimated, from 0
    """
    ways = (name, f"b({name})", f"beta[{name}]", detail, f"b({detail})", f"b(#{position + 1})")
    short = Borrowed("Intercept") if name == "(Intercept)" else None
    brms = [Borrowed(f"b_{way}") for way in (name, plain_name(name))]
    return tuple(dict.fromkeys([*ways, *brms, *([] if short is None else [short])]))


def plain_name(name: str) -> str:
    """Return a column's name as brms has it in draws, without parentheses: ``Intercept``."""
    return re.sub(r"[^\w.:]", "", name)


def in_formula(parameter: str, spellings: Sequence[str]) -> tuple[str, ...]:
    """Spellings of what is part of the formula of a further parameter, ``sigma_Days``.

    They are those it would have in the mean's formula behind the parameter's name; brms has that
    name within, ``b_sigma_Days``, ``sd(sigma_Days|Subject)``.
    """
    own: list[str] = []
    for way in spellings:
        kind = Borrowed if isinstance(way, Borrowed) else str
        own.append(kind(f"{parameter}_{way}"))
        for start in ("b_", "sd(", "sd_"):
            if way.startswith(start):
                own.append(Borrowed(f"{start}{parameter}_{way.removeprefix(start)}"))
    return tuple(dict.fromkeys(own))


def coefficient_details(design: Design) -> tuple[str, ...]:
    """Names of all columns of X with the levels of factors in brackets, as in ``A[B1]:x``."""
    return design.mean.layout.details


def effect_details(design: Design, factor: int) -> tuple[str, ...]:
    """Names of a factor's columns of random effects with levels in brackets."""
    return design.factors[factor].layout.details


def effect_labels(design: Design, factor: int) -> tuple[str, ...]:
    """Names of a factor's columns of random effects, each once."""
    return effect_addresses(design, factor).labels


def effect_addresses(design: Design, factor: int) -> Addresses:
    """Addresses of a factor's columns of random effects."""
    names = zip(design.factors[factor].columns, effect_details(design, factor), strict=True)
    return Addresses(
        [(*pair, f"#{c + 1}", Borrowed(plain_name(pair[0]))) for c, pair in enumerate(names)]
    )


def sd_spellings(
    design: Design, term: int, column: int, *, by_group: bool = False
) -> tuple[str, ...]:
    """Spellings of the sd of a column (its position within the factor) of a covariance term.

    With ``by_group`` also that of all of a factor, ``sd(Subject)``, which means one where there is
    only one.
    """
    position, groups = design.terms[term].factor, _groups(design, term)
    names = (design.factors[position].columns[column], effect_details(design, position)[column])
    ways = [f"sd_{name}|{group}" for name in names for group in groups]
    ways += [f"sd({name}|{group})" for name in names for group in groups]
    ways += [f"sd__{name}|{group}" for name in names for group in groups]
    if by_group:
        ways += [f"sd({group})" for group in groups]
    ways += [f"sd(#{column + 1}|{group})" for group in groups]
    ways += [Borrowed(f"sd__{name}") for name in names]  # of any factor
    for group in map(variable_name, groups):
        ways += [Borrowed(f"sd_{group}[{name}]") for name in names]
        ways += [Borrowed(f"sd_{group}__{plain_name(name)}") for name in names]
    return tuple(dict.fromkeys(ways))


def correlation_spellings(
    design: Design, term: int, columns: tuple[int, int], *, by_group: bool = False
) -> tuple[str, ...]:
    """Spellings of a correlation of two columns of a covariance term, in both orders.

    With ``by_group`` also that of all of a factor, ``cor(Subject)``, which means one where there is
    only one.
    """
    position, groups = design.terms[term].factor, _groups(design, term)
    ways, borrowed = [], []
    for known in (design.factors[position].columns, effect_details(design, position)):
        for first, second in (columns, columns[::-1]):
            a, b = known[first], known[second]
            borrowed.append(Borrowed(f"cor__{a}.{b}"))  # of any factor
            for group in map(variable_name, groups):
                borrowed.append(Borrowed(f"corr_{group}[{a},{b}]"))
                borrowed.append(Borrowed(f"cor_{group}__{plain_name(a)}__{plain_name(b)}"))
            for group in groups:
                ways += [f"cor_{a}.{b}|{group}", f"cor({a},{b}|{group})", f"cor__{a}.{b}|{group}"]
    if by_group:
        ways += [f"cor({group})" for group in groups]
    ways += [f"cor(#{columns[0] + 1},#{columns[1] + 1}|{group})" for group in groups]
    return tuple(dict.fromkeys([*ways, *borrowed]))


def structure_spellings(design: Design, term: int, name: str) -> tuple[str, ...]:
    """Spellings of a parameter of the structure of a covariance term, as in ``cor_rho|Subject``."""
    groups = _groups(design, term)
    ways = [way for group in groups for way in (f"{name}|{group}", f"{name}({group})")]
    kind, _, what = name.partition("_")
    return (*ways, *(f"{kind}({what}|{group})" for group in groups if what))


def own_spellings(design: Design, term: int) -> list[tuple[str, ...]]:
    """Spellings of the parameters of the structure of a covariance term, ``cor(rho|g)`` first."""
    own, at = covariance_shape(design).structures[term], design.terms[term]
    assert own is not None and not isinstance(own, Searched)
    factor, found = design.factors[at.factor], []
    for k, name in enumerate(own.names_of([factor.columns[c] for c in at.columns])):
        ways = printed_first(structure_spellings(design, term, name))
        if own.is_scale[k] and own.is_scale.sum() == len(at.columns):
            printed = f"sd({factor.columns[at.columns[k]]}|{factor.name})"
            ways = (printed, *ways, *sd_spellings(design, term, at.columns[k]))
        found.append(tuple(dict.fromkeys(ways)))
    return found


def printed_first(ways: Sequence[str]) -> tuple[str, ...]:
    """Spellings of a structure's parameter with that of priors and draws, ``cor(rho|g)``, first."""
    shown = [way for way in ways if "(" in way and "|" in way]
    return tuple(dict.fromkeys([*shown, *ways]))


def coefficient_addresses(design: Design, kept: Sequence[int]) -> Addresses:
    """Addresses of the columns of X that were estimated."""
    details = coefficient_details(design)
    return Addresses(
        [
            coefficient_spellings(design.coef_names[column], details[column], position)
            for position, column in enumerate(kept)
        ]
    )


def residual_spellings(design: Design) -> tuple[str, ...]:
    """Spellings of the residual sd; a grouping factor called Residual leaves it one less."""
    shared = any(factor.name == "Residual" for factor in design.factors)
    short = () if shared else ("sd(Residual)",)
    own = ("sigma", *short, "sd_Observation|Residual", "sd(Observation|Residual)", "sigma(#1)")
    return (*own, Borrowed("sd__Observation"), Borrowed("Residual"))


def posterior_addresses(
    design: Design,
    kept: Sequence[int],
    *,
    has_sigma: bool,
    family: Sequence[str] = (),
    kept_of: Mapping[str, IntArray] | None = None,
) -> Addresses:
    """Addresses of a posterior's parameters, in the order of ``tidy()`` of a posterior.

    Fixed effects, per covariance term its sds and then its correlations, sigma, and those of the
    response family, with their printed names: ``sd(Days|Subject)``,
    ``cor((Intercept),Days|Subject)``; then the same of the formula of each further parameter whose
    columns ``kept_of`` has, ``sigma_sd(Days|Subject)``.
    """
    details = coefficient_details(design)
    found = [
        coefficient_spellings(design.coef_names[column], details[column], position)
        for position, column in enumerate(kept)
    ]
    structures = covariance_shape(design).structures
    for number, (term, own) in enumerate(zip(design.terms, structures, strict=True)):
        factor, columns = design.factors[term.factor], term.columns
        if own is not None:
            found += own_spellings(design, number)
            continue
        for c in columns:
            printed = f"sd({factor.columns[c]}|{factor.name})"
            found.append((printed, *sd_spellings(design, number, c, by_group=True)))
        for j, c in enumerate(columns):
            for d in columns[j + 1 :]:
                printed = f"cor({factor.columns[c]},{factor.columns[d]}|{factor.name})"
                found.append(
                    (printed, *correlation_spellings(design, number, (c, d), by_group=True))
                )
    found += [residual_spellings(design)] * has_sigma
    found += [(name, f"family({name})") for name in family]
    for parameter, kept_own in (kept_of or {}).items():
        further = posterior_addresses(design.of(parameter), kept_own.tolist(), has_sigma=False)
        found += [in_formula(parameter, ways) for ways in further.spellings]
    return Addresses(found)


def fixed_partners(design: Design, kept: Sequence[int], factor: int) -> tuple[int, ...]:
    """Return for each column of random effects the position of its fixed effect; -1 without one.

    The same variables at the same levels: ``AB1`` of a factor A isn't that of a factor AB.
    """
    details = coefficient_details(design)
    places = {details[column]: position for position, column in enumerate(kept)}
    return tuple(places.get(detail, -1) for detail in effect_details(design, factor))


@record
class LevelColumns:
    """The columns of a table of level coefficients, those without a fixed effect first.

    Attributes
    ----------
    labels : of the m columns
    fixed : per column, the position of its fixed effect, -1 without one
    random : per factor, the column of the table that each of its columns of random effects is in
    """

    labels: tuple[str, ...]
    fixed: tuple[int, ...]
    random: tuple[tuple[int, ...], ...]


def level_columns(design: Design, kept: Sequence[int]) -> LevelColumns:
    """Return the columns of ``coef()``: every factor's tables have the columns of all."""
    factors = range(len(design.factors))
    partners = [fixed_partners(design, kept, factor) for factor in factors]
    details = [effect_details(design, factor) for factor in factors]
    alone: dict[str, str] = {}
    for factor in factors:
        names = zip(design.factors[factor].columns, details[factor], partners[factor], strict=True)
        alone |= {detail: name for name, detail, partner in names if partner < 0}
    places = {detail: place for place, detail in enumerate(alone)}
    own = coefficient_details(design)
    spellings: list[tuple[str, ...]] = [
        (name, detail, f"{detail}#{k}") for k, (detail, name) in enumerate(alone.items())
    ]
    spellings += [
        coefficient_spellings(design.coef_names[column], own[column], position)
        for position, column in enumerate(kept)
    ]
    return LevelColumns(
        labels=Addresses(spellings).labels,
        fixed=(*[-1] * len(alone), *range(len(kept))),
        random=tuple(
            tuple(
                places[detail] if partner < 0 else len(alone) + partner
                for detail, partner in zip(details[factor], partners[factor], strict=True)
            )
            for factor in factors
        ),
    )


def _groups(design: Design, term: int) -> tuple[str, ...]:
    """Names of a covariance term's factor, and lme4's of the term, such as ``Subject.1``."""
    own = design.terms[term]
    names = (design.factors[own.factor].name, own.name)
    return tuple(dict.fromkeys([*names, *map(quoted, names)]))


def quoted(group: str) -> str:
    """Return the name of a grouping factor as a formula writes it, blanks in back-ticks."""
    parts = (part if part == squeezed(part) else f"`{part}`" for part in group.split(":"))
    return ":".join(parts)
