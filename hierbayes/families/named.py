"""Families and links by what a user calls them."""

from typing import Any, get_args

from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.family import Family
from hierbayes.options import Link, check_family_name, check_option
from hierbayes.wording import meant


def family_named(family: Any, link: Any = None) -> Family:
    """Return the family of a name, or the one that is given, with a link of it.

    Parameters
    ----------
    family : name, or a ``Family`` of one's own
    link : name; the family's default where None

    Raises
    ------
    OptionError
        For unknown names, and for a link the family doesn't have.
    NotSupportedError
        For a family that needs more than one linear predictor.
    """
    if not isinstance(family, Family):
        if not (isinstance(family, str) and family in FAMILIES):
            check_family_name(family)
        found = FAMILIES.get(family)
        if found is None:
            raise not_supported("category-predictors", family=family)
        family = found
    if link is None:
        return family.with_link(None)
    if link not in family.link_names:
        check_option("link", link, Link)
        known = [*get_args(Link), *family.link_names]  # in one order for all families
        listed = ", ".join(repr(name) for name in dict.fromkeys(known) if name in family.link_names)
        hint = meant(link, family.link_names)
        raise OptionError(f"link={link!r}: family={family.name!r} has the links {listed}{hint}")
    return family.with_link(link)
