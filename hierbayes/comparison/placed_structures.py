"""Models with something else in the place of a model's own structure, as they are asked for.

What is put in place is a word for the covariance of the term whose effects can have one; a
correlation of residuals, as ``residual=`` has it; a dict from grouping factors to words, and from
arguments of ``hb.Model`` to values; a whole formula, with ``.`` for the model's own; or a model or
a fit. Words are those of formulas, and glmmTMB's for those with one sd for all columns, or not:
``homcs``, ``hetar1``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from hierbayes.arrays import record
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.errors import OptionError
from hierbayes.formula.deparse import deparse
from hierbayes.formula.functions import (
    BARS,
    HOM,
    PATTERN_WORDS,
    PATTERNS,
    pattern_call,
    pattern_named,
)
from hierbayes.formula.residual_term import WORDS as RESIDUAL_WORDS
from hierbayes.formula.terms import Bar, LinearPart
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Arguments, Specification
from hierbayes.specification.specified import Specified
from hierbayes.wording import listed, meant, shown

FULL, NONE = "us", "none"
WORDS = tuple(dict.fromkeys((FULL, *BARS, *PATTERN_WORDS, *PATTERNS, NONE)))
ARGUMENTS = tuple(field.name for field in fields(Arguments))
OWN = "model"  # the name of the model itself
RESIDUAL_TERM = re.compile(rf"\s*(?:{'|'.join(RESIDUAL_WORDS)})\s*\(.*\|.*\)\s*")
WORD = re.compile(rf"\s*(\w+)\s*(?:\(\s*{HOM}\s*=\s*(TRUE|FALSE|True|False)\s*\)\s*)?")


@record(kw_only=False)
class Placed:
    """A model of a comparison.

    Attributes
    ----------
    name : what it is called
    spec : the model
    fit, posterior : what it was given as, or None
    """

    name: str
    spec: Specification
    fit: LikelihoodFit | None = None
    posterior: PosteriorFit | None = None


def placed_structures(model: Specified, structures: Any) -> list[Placed]:
    """Return the models that are asked for, the model itself first unless it is one of them.

    Raises
    ------
    OptionError, FormulaError, DataError
        If one of them can't be put in place, naming it.
    """
    asked = _named(structures)
    found = [_placed(model, name, given) for name, given in asked]
    names = [own.name for own in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(
            f"structures= has {twice!r} twice; a dict {{name: structure}} gives each a name of its "
            "own."
        )
    if any(_is_same(model.spec, own.spec) for own in found):
        return found
    own_name = OWN if OWN not in names else "the model"
    return [_given(own_name, model), *found]


def _named(structures: Any) -> list[tuple[str, Any]]:
    """Names, empty where none was given, and what is to be put in place."""
    if isinstance(structures, Mapping):
        found = [(str(name), given) for name, given in structures.items()]
    elif isinstance(structures, Iterable) and not isinstance(structures, str | Specified):
        found = [("", given) for given in structures]
    else:
        found = []
    if not found:
        raise OptionError(
            f"structures={shown(structures)} must be a list of what is to be put in place, for "
            f'example ["us", "cs"], or a dict from names to it; words are {listed(WORDS, "or")}.'
        )
    return found


def _given(name: str, given: Specified) -> Placed:
    fit = given if isinstance(given, LikelihoodFit) else None
    posterior = given if isinstance(given, PosteriorFit) else None
    return Placed(name, given.spec, fit, posterior)


def _placed(model: Specified, name: str, given: Any) -> Placed:
    spec = model.spec
    if isinstance(given, Specified):
        return _given(name or given.formula_text, given)
    if isinstance(given, str) and "~" in given:
        other = with_formula(spec, given)
        return Placed(name or other.formula_text, other)
    if isinstance(given, str) and RESIDUAL_TERM.fullmatch(given):
        return Placed(
            name or given.strip(), with_formula(spec, spec.formula.source, residual=given)
        )
    if isinstance(given, str):
        return Placed(name or given.strip(), with_formula(spec, _change(spec, {None: given})))
    if isinstance(given, Mapping) and given and all(isinstance(key, str) for key in given):
        return Placed(name or _name_of(given), _with_arguments(spec, given))
    raise OptionError(
        f"{shown(given)} can't be put in place: structures= takes words ({listed(WORDS, 'or')}), "
        'correlations of residuals such as "ar1(time | subject)", formulas, dicts such as '
        '{"subject": "cs"}, models and fits.'
    )


def _name_of(given: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} = {value}" if isinstance(value, str | int | float) else key
        for key, value in given.items()
    )


def _with_arguments(spec: Specification, given: Mapping[str, Any]) -> Specification:
    """Return the model with other covariances of grouping factors, and other arguments."""
    groups = [bar.group for bar in spec.formula.bars]
    words = {key: word for key, word in given.items() if key in groups and key not in ARGUMENTS}
    options = {key: value for key, value in given.items() if key not in words}
    formula = options.pop("formula", None)
    for key in options:
        if key not in ARGUMENTS:
            known = (*groups, "formula", *ARGUMENTS)
            raise OptionError(
                f"{key!r} is no grouping factor of {spec.formula_text} and no argument of hb.Model"
                f"{meant(key, known)}"
            )
    if formula is not None:
        spec = with_formula(spec, formula)
    change = _change(spec, words) if words else spec.formula.source
    return with_formula(spec, change, **options)


def _change(spec: Specification, words: Mapping[Any, Any]) -> str:
    """Return the change of the formula that puts other covariances in place of terms."""
    structures = {_term_of(spec, group): _structure_of(word) for group, word in words.items()}
    text = ". ~ ."
    done: set[str] = set()
    for bar in spec.formula.bars:
        # (x | a/b) is one text and two terms: it goes, and both are written out
        written = bar.written(deparse(bar.tree.left), deparse(bar.tree.right))
        same = [own for own in spec.formula.bars if own.tree is bar.tree]
        if written in done or not any(id(own) in structures for own in same):
            continue
        done.add(written)
        text += f" - {written}"
        for own in same:
            left = deparse(own.tree.left)
            structure = structures.get(id(own))
            new = own.written(left, own.group) if structure is None else _bar(own, structure)
            text += f" + {new}" if new else ""
    return text


def _bar(bar: Bar, structure: str) -> str:
    """Write a term with another structure of its covariance; empty for none."""
    if structure == NONE:
        return ""
    left = deparse(bar.tree.left)
    if structure in BARS:
        return f"({left} {BARS[structure]} {bar.group})"
    return pattern_call(structure, f"{left} | {bar.group}")


def _structure_of(word: Any) -> str:
    """Return a structure by its word: "us", "diag", "none" or one of ``PATTERNS``."""
    found = WORD.fullmatch(word) if isinstance(word, str) else None
    name, option = found.groups() if found else (None, None)
    if name not in WORDS or (option and name not in PATTERN_WORDS):
        raise OptionError(
            f"{shown(word)} is no covariance of random effects{meant(word, WORDS, '')}; there are "
            f"{listed(WORDS)}, and those with sds also as {PATTERN_WORDS[-1]}({HOM} = TRUE)."
        )
    if name not in PATTERN_WORDS:
        return str(name)
    pattern = pattern_named(name, None if option is None else option.upper() == "TRUE")
    return pattern or "diag"


def _term_of(spec: Specification, group: str | None) -> int:
    """Return the identity of the bar whose effects a structure is for."""
    bars = spec.formula.bars
    own = [bar for bar in bars if group is None or bar.group == group]
    if len(own) > 1:
        own = [bar for bar in own if _has_columns(bar.linear)]
    if len(own) == 1:
        return id(own[0])
    if not bars:
        raise OptionError(
            f"{spec.formula_text} has no random effects, so there is no covariance to put in "
            "place. Correlations of residuals are written as residual= has them, "
            '"ar1(time | subject)".'
        )
    groups = list(dict.fromkeys(bar.group for bar in bars))
    which = "" if group is None else f" of {group}"
    advice = (
        f'Say which, as in {{"{groups[0]}": "cs"}}'
        if group is None and len(groups) > 1
        else "Give whole formulas"
    )
    raise OptionError(
        f"{spec.formula_text} has {len(bars)} terms of random effects{which}, and "
        f"{'none' if not own else 'several'} of them with more than an intercept. {advice}."
    )


def _has_columns(linear: LinearPart) -> bool:
    """Whether a term has more than an intercept."""
    return bool(linear.terms)


def _is_same(a: Specification, b: Specification) -> bool:
    """Whether two models are one, whatever the order their terms are written in."""
    if a is b:
        return True
    one, other = (
        (
            spec.formula.response_label,
            spec.formula.fixed,
            frozenset(
                (bar.linear, bar.group, bar.correlated, bar.structure) for bar in spec.formula.bars
            ),
        )
        for spec in (a, b)
    )
    return one == other and differing_arguments(a, b) == []


def differing_arguments(a: Specification, b: Specification) -> list[str]:
    """Names of the arguments in which two models differ, priors left out."""
    known = ("priors", "cov")
    names = [name for name in ARGUMENTS if name not in known]
    found = [name for name in names if not _equal(*(getattr(s.arguments, name) for s in (a, b)))]
    relations = [{own.name: own.relation for own in s.design.factors} for s in (a, b)]
    shared = relations[0].keys() & relations[1].keys()
    if not all(_is_same_relation(relations[0][name], relations[1][name]) for name in shared):
        found.append("cov")
    return found


def _is_same_relation(a: LevelCovariance | None, b: LevelCovariance | None) -> bool:
    if a is None or b is None:
        return a is b
    return a is b or (np.array_equal(a.labels, b.labels) and np.array_equal(a.matrix, b.matrix))


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, Sequence | Mapping | str | int | float) and type(a) is type(b):
        return bool(a == b)
    return False
