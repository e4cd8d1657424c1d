"""Families and links by what a user calls them, and the families a user registered.

A family of one's own may be given as it is. Registered, it has a name: ``family="rayleigh"`` means
it, and a file that names it can be read.
"""

import copyreg
from dataclasses import fields
from typing import Any, get_args

from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.family import Family
from hierbayes.families.own import check_family
from hierbayes.families.psychometric import NAME as PSYCHOMETRIC
from hierbayes.families.psychometric import psychometric_family
from hierbayes.options import Family as FamilyName
from hierbayes.options import Link, check_family_name, check_option
from hierbayes.wording import meant, shown

_registered: dict[str, Family] = {}


@checked_call("hb.register_family")
def register_family(family: Family, *, replace: bool = False) -> Family:
    """Give a family of one's own its name, for ``family=`` and for files that name it.

    Parameters
    ----------
    family : Family
    replace : whether it takes the place of another one that was registered under its name

    Returns
    -------
    Family
        The same.

    Raises
    ------
    OptionError
        If its name is taken, or it contradicts itself: a link that is not its inverse's, a density
        that is infinite where it draws, derivatives that differences do not have.

    Examples
    --------
    >>> import numpy as np, hierbayes as hb
    >>> triangle = hb.register_family(hb.Family(
    ...     name="triangle", links=("identity",), is_smooth=False,
    ...     log_density=lambda y, mean, at: np.log1p(-np.abs(y - mean.mu) / 10) - np.log(10),
    ...     draw=lambda rng, mu, at: mu + rng.triangular(-10, 0, 10, mu.shape)), replace=True)
    >>> hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), "triangle").family
    'triangle'
    """
    if not isinstance(family, Family):
        raise OptionError(
            f"register_family takes a family made by hb.Family(name=..., links=...), not "
            f"{shown(family)}."
        )
    if not replace:
        _check_free(family)
    elif family.name in get_args(FamilyName):
        raise _taken(family.name)
    check_family(family)
    _registered[family.name] = family
    return family


def is_known_family(name: str) -> bool:
    """Whether a family of that name is built in or registered."""
    return name in get_args(FamilyName) or name in _registered


def family_named(family: Any, link: Any = None) -> Family:
    """Return the family of a name, or the one that is given, with a link of it.

    Parameters
    ----------
    family : name, or a ``Family`` of one's own
    link : name; where None the family's default, or the link of the given one

    Raises
    ------
    OptionError
        For unknown names, for a link the family doesn't have, and for a family of one's own that
        contradicts itself.
    NotSupportedError
        For a family that needs more than one linear predictor.
    """
    if isinstance(family, Family):
        if family.curve is None and not _is_same(family, FAMILIES.get(family.name)):
            _check_free(family)
            check_family(family)
    else:
        family = _by_name(family)
    if link is None:
        return family
    if link not in family.link_names:
        if family.is_builtin:
            check_option("link", link, Link)
        known = [*get_args(Link), *family.link_names]  # in one order for all families
        names = [name for name in dict.fromkeys(known) if name in family.link_names]
        hint = meant(link, family.link_names)
        raise OptionError(
            f"link={shown(link)}: family={family.name!r} has the links "
            f"{', '.join(map(repr, names))}{hint}"
        )
    return family.with_link(link)


def _by_name(name: Any) -> Family:
    known = FAMILIES | _registered
    if name == PSYCHOMETRIC:
        raise OptionError(
            f"family={name!r} is made by hb.psychometric(formula, data, stimulus=...), which says "
            "along which column the function runs and between which rates."
        )
    if not (isinstance(name, str) and name in known):
        check_family_name(name, registered=tuple(_registered))
        raise not_supported("category-predictors", family=name)
    return known[name]


def _check_free(family: Family) -> None:
    """Refuse a name that another family has."""
    name = family.name
    other = _registered.get(name) if isinstance(name, str) else None
    if isinstance(name, str) and name in get_args(FamilyName):
        raise _taken(name)
    if other is not None and not _is_same(family, other):
        raise OptionError(
            f"Another family is registered as {name!r}; hb.register_family(family, replace=True) "
            "puts this one in its place, or give it another name."
        )


def _taken(name: str) -> OptionError:
    return OptionError(f"{name!r} is the name of a built-in family; give yours another.")


def _is_same(family: Family, other: Family | None) -> bool:
    """Whether two records are one family, perhaps with different links in use."""
    names = [field.name for field in fields(Family) if field.name != "link_name"]
    return other is not None and all(
        getattr(family, name) is getattr(other, name) for name in names
    )


def _pickled(family: Family) -> Any:
    """Pickle a family of ours by what makes it: its functions have no names of their own."""
    if family.is_builtin:
        return family_named, (family.name, family.link.name)
    if family.curve is not None:
        return psychometric_family, (family.curve, family.link.name)
    return object.__reduce_ex__(family, 2)


copyreg.pickle(Family, _pickled)
