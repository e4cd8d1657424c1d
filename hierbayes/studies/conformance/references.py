"""The reference fits: what another program said of a bundled data set, number by number.

``references.json`` holds them, a line each. Where a number of the reference is known to be off,
the record says so and why: such numbers are shown, and nobody is held to them.

``tests/reference/scripts/conformance.py`` makes the file of the references of the tests.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hierbayes.arrays import record
from hierbayes.errors import OptionError
from hierbayes.wording import did_you_mean

FILE = Path(__file__).with_name("references.json")


@record
class Reference:
    """One fit by another program.

    Attributes
    ----------
    id : its name, "ss_max_reml" for example
    formula, data, family, link, n_quadrature : as hierbayes takes them; data is a bundled set
    method : "REML", "ML", "Laplace", "nAGQ = 0", "quadrature (10)" or "posterior"
    options : weights, offset, contrasts and known_sd, where there are any
    priors : of a posterior, by name of the parameter: the distribution and its numbers
    call : what the other program was asked
    program : which one, with its version
    numbers : by kind of quantity and name: the number, and the unit its tolerance is of
    off : by kind of quantity, why the reference's numbers are not to be met
    """

    id: str
    formula: str
    data: str
    method: str
    program: str
    numbers: Mapping[str, Mapping[str, tuple[float, float]]]
    family: str = "gaussian"
    link: str = "identity"
    n_quadrature: int = 1
    options: Mapping[str, Any]
    priors: Mapping[str, Sequence[Any]]
    call: str = ""
    off: Mapping[str, str]


@cache
def references() -> tuple[Reference, ...]:
    """Return all references, in the order of the file."""
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    empty: dict[str, Any] = {"options": {}, "priors": {}, "off": {}}
    return tuple(Reference(**(empty | entry)) for entry in entries)


def chosen_references(names: Sequence[str]) -> tuple[Reference, ...]:
    """Return the references whose id, data set or method one of the names is part of.

    Parameters
    ----------
    names : texts, upper or lower case; none means all

    Raises
    ------
    OptionError
        If a name is part of none.
    """
    chosen: set[str] = set()
    for name in names:
        found = {one.id for one in references() if _is_named(one, name.lower())}
        if not found:
            known = [one.id for one in references()]
            raise OptionError(
                f"No reference fit, data set or method has {name!r} in its name"
                f"{did_you_mean(name, known)}"
            )
        chosen |= found
    return tuple(one for one in references() if one.id in chosen or not names)


def _is_named(reference: Reference, name: str) -> bool:
    words = (reference.id, reference.data, reference.method)
    return any(name in word.lower() for word in words)
