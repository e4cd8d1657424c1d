"""How R and other packages spell what is asked of marginal means, read as what it means here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.marginal_means.contrast_families import is_family
from hierbayes.options import Adjust, Side, check_option
from hierbayes.wording import did_you_mean, shown

ADJUST_WORDS: dict[str, Adjust] = {
    "bh": "fdr", "dunnett": "mvt", "bonf": "bonferroni", "single-step": "mvt", "benjamini": "fdr",
    "benjamini-hochberg": "fdr", "benjamini-yekutieli": "by", "holm-bonferroni": "holm",
}  # fmt: skip
SIDES: dict[str, Side] = {
    "two-sided": "two-sided", "both": "two-sided", "equivalence": "two-sided", "0": "two-sided",
    "2": "two-sided", "!=": "two-sided", "=": "two-sided", "two.sided": "two-sided",
    "<": "<", "left": "<", "less": "<", "smaller": "<", "lower": "<", "nonsuperiority": "<",
    "inferiority": "<", "-1": "<",
    ">": ">", "right": ">", "greater": ">", "larger": ">", "upper": ">", "noninferiority": ">",
    "superiority": ">", "1": ">", "+1": ">",
}  # fmt: skip
WITH_MARGIN = ("equivalence", "noninferiority", "nonsuperiority")
_TOKEN = re.compile(r"`[^`]+`|[^\s*:+|,~()`]+|\S")


@record
class Specs:
    """What a call asks for: names of predictors, and contrasts where a formula has them."""

    specs: tuple[str, ...]
    by: tuple[str, ...]
    contrasts: str | None


def read_specs(specs: Any, by: Any, contrasts: Any, predictors: tuple[str, ...]) -> Specs:
    """Read ``specs`` and ``by``: names, lists of them, or R's formulas.

    ``"pairwise ~ a | b"`` is specs a, by b and pairwise contrasts; ``"a * b"``, ``"a:b"`` and
    ``"a + b"`` are both; ``"1"`` is nothing. A name of a predictor is always that predictor.

    Raises
    ------
    OptionError
        If a formula cannot be read, or says something else than the arguments beside it.
    """
    groups = () if by is None else names_of("by", by)
    if not isinstance(specs, str) or specs in predictors or not re.search(r"[~|*:+]", specs):
        asked = () if isinstance(specs, str) and specs.strip() == "1" else specs
        return Specs(specs=names_given("specs", asked), by=groups, contrasts=None)
    left, between, right = specs.rpartition("~")
    family = left.strip() or None
    if family is not None:
        if not is_family(family):
            raise OptionError(
                f"specs={shown(specs)}: {family!r} on the left of ~ is no family of contrasts; "
                "for example 'pairwise ~ a | b'."
            )
        if contrasts is not None and contrasts != family:
            raise OptionError(
                f"specs={shown(specs)} has contrasts on its left, and contrasts= is given too; "
                "leave one out."
            )
    inner, bar, outer = right.partition("|")
    if bar and groups:
        raise OptionError(f"specs={shown(specs)} has a bar, and by= is given too; leave one out.")
    asked = _names(specs, inner)
    if bar:
        groups = _names(specs, outer)
        if not groups:
            raise OptionError(f"specs={shown(specs)} names nothing on the right of its bar.")
    if not asked and not between:
        raise OptionError(f"specs={shown(specs)} names no predictor.")
    return Specs(specs=asked, by=groups, contrasts=family)


def _names(whole: str, part: str) -> tuple[str, ...]:
    """Names in one part of a formula, each once."""
    found = []
    for token in _TOKEN.findall(part):
        if token in "*:+,":
            continue
        if token in "~|()":
            raise OptionError(f"specs={shown(whole)} is no list of predictors such as 'a * b | c'.")
        found.append(token.strip("`"))
    return tuple(dict.fromkeys(name for name in found if name != "1"))


def names_of(
    argument: str, given: Any, columns: tuple[str, ...] | None = None, *, none_too: bool = False
) -> tuple[str, ...]:
    """Read an argument that is a name or a list of them, if need be among ``columns``.

    Raises
    ------
    OptionError
    """
    names = names_given(argument, given)
    if not names and not none_too:
        raise OptionError(f"{argument}={shown(given)} names no predictor.")
    for name in names:
        if columns is not None and name not in columns:
            raise OptionError(
                f"{argument}: {shown(name)} is no column of this table{did_you_mean(name, columns)}"
            )
    return names


def names_given(argument: str, given: Any, what: str = "predictor") -> tuple[str, ...]:
    """Return a name or several, each once.

    Raises
    ------
    OptionError
        If they are no names, or one stands twice.
    """
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise OptionError(f"{argument}={shown(given)} must be a {what}'s name or a list of names.")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"{argument}: {shown(name)} is not a {what}'s name.")
    if len(set(names)) < len(names):
        raise OptionError(f"{argument}={shown(given)} names a {what} twice.")
    return names


def adjust_named(given: Any) -> Adjust:
    """Return an adjustment by any of its names.

    Raises
    ------
    OptionError
    """
    word = given.casefold() if isinstance(given, str) else given
    found: Adjust = check_option("adjust", ADJUST_WORDS.get(word, word), Adjust)
    return found


def side_named(given: Any, *, has_margin: bool) -> Side:
    """Return the side of a test by any of its names.

    Raises
    ------
    OptionError
        If there is none, or it is a test with a margin and has none.
    """
    if given is None:
        return "two-sided"
    word = str(given).casefold() if isinstance(given, str | int) else ""
    if word not in SIDES:
        raise OptionError(
            f"side={shown(given)} is not one of 'two-sided', '<', '>', 'equivalence', "
            "'noninferiority', 'nonsuperiority'."
        )
    if word in WITH_MARGIN and not has_margin:
        raise OptionError(f"side={shown(given)} needs a margin: delta=, above zero.")
    return SIDES[word]
