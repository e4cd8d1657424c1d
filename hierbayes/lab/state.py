"""What the page is set to, and how that stands in its address.

``LabState`` holds every setting; the address carries those that are not at their defaults, so a
link shows another reader the same picture. What an address holds is checked as any input is: what
can't be read keeps its default and is told in a sentence.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hierbayes.lab.presets import OWN, PRESETS, SIMULATED, Simulation

ESTIMATORS = ("reml", "ml", "posterior")
PRIOR_FAMILIES = ("t", "normal", "cauchy")
SCALES = (0.02, 20.0)  # smallest and largest multiple of the default prior scale
ETAS = (1.0, 20.0)
MOST_EDITS = 200
LONGEST = 4000  # characters of one value of an address


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """Every setting of the page.

    Attributes
    ----------
    data : key of a preset, "simulated" or "own"
    factor : grouping factor looked at; the first when empty
    level : level looked at; the preset's when empty
    show : estimators drawn, of "reml", "ml" and "posterior"
    unlocked : take sds, cor and sigma below in place of the REML values
    sds : between-sds of the terms of the factor, response units per unit of the term
    cor, sigma : correlation of the two terms, residual sd
    prior, scale, eta : family of the sd priors, multiple of their default scale, LKJ's eta
    edits : (row, y) of moved observations, y None for a deleted one; rows counted from 0
    simulation : truth of simulated data
    guessing : hide the estimates until the guess is revealed
    guess : guessed coefficients of the level, () before there is one
    revealed : the guess is compared
    """

    data: str = "sleepstudy"
    factor: str = ""
    level: str = ""
    show: tuple[str, ...] = ESTIMATORS
    unlocked: bool = False
    sds: tuple[float, ...] = ()
    cor: float | None = None
    sigma: float | None = None
    prior: str = "t"
    scale: float = 1.0
    eta: float = 2.0
    edits: tuple[tuple[int, float | None], ...] = ()
    simulation: Simulation = field(default_factory=Simulation)
    guessing: bool = False
    guess: tuple[float, ...] = ()
    revealed: bool = False


def to_query(state: LabState) -> dict[str, str]:
    """Return what differs from the defaults, as texts for the address."""
    default = LabState()
    found = {}
    for name, (write, _) in _FORMS.items():
        value = getattr(state, name)
        if value != getattr(default, name):
            found[name] = write(value)
    for part in fields(Simulation):
        value = getattr(state.simulation, part.name)
        if value != getattr(default.simulation, part.name):
            found[f"sim_{part.name}"] = _number(value)
    return found


def from_query(query: Mapping[str, Any]) -> tuple[LabState, tuple[str, ...]]:
    """Read an address; what can't be read keeps its default.

    Returns
    -------
    state, notes
        The notes are sentences about values that were left out.
    """
    changes: dict[str, Any] = {}
    simulation: dict[str, Any] = {}
    notes = []
    for key, given in query.items():
        text = given[-1] if isinstance(given, list) and given else given
        if not isinstance(text, str):
            continue
        try:
            if key.startswith("sim_"):
                simulation[key[4:]] = _simulation_value(key[4:], text)
            elif key in _FORMS:
                changes[key] = _FORMS[key][1](text[:LONGEST])
        except (ValueError, OverflowError):
            notes.append(f"The address says {key}={text[:60]!r}, which is no value of {key}.")
    try:
        changes["simulation"] = replace(Simulation(), **simulation)
    except TypeError:  # a name that is no part of a simulation
        notes.append("The address names a setting of simulated data that does not exist.")
    return LabState(**changes), tuple(notes)


# one setting of simulated data: its lowest and highest value, and whether it is a whole number
SIMULATION_RANGES: dict[str, tuple[float, float, bool]] = {
    "groups": (2, 60, True),
    "rows": (1, 30, True),
    "imbalance": (0, 1, False),
    "sd_intercept": (0, 100, False),
    "sd_slope": (0, 30, False),
    "cor": (-1, 1, False),
    "sigma": (1, 100, False),
    "seed": (0, 1_000_000, True),
}


def _simulation_value(name: str, text: str) -> float | int:
    low, high, whole = SIMULATION_RANGES.get(name, (0, 0, False))
    value = _between(low, high)(text)
    return int(value) if whole else value


def _number(value: float) -> str:
    return f"{value:.6g}"


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(map(_number, values))


def _read_numbers(text: str) -> tuple[float, ...]:
    return tuple(_finite(part) for part in text.split(",")) if text else ()


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _between(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = _finite(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return read


def _read_show(text: str) -> tuple[str, ...]:
    names = [part for part in text.split(",") if part]
    if not set(names) <= set(ESTIMATORS):
        raise ValueError(text)
    return tuple(name for name in ESTIMATORS if name in names)


def _positive_numbers(text: str) -> tuple[float, ...]:
    values = _read_numbers(text)
    if len(values) > 2 or any(value < 0 for value in values):
        raise ValueError(text)
    return values


def _read_edits(text: str) -> tuple[tuple[int, float | None], ...]:
    """Rows and their values as in ``12:350.5,40:x``; x is a deleted row."""
    found: dict[int, float | None] = {}
    for part in filter(None, text.split(",")):
        row, _, value = part.partition(":")
        if int(row) < 0:
            raise ValueError(text)
        found[int(row)] = None if value == "x" else _finite(value)
    if len(found) > MOST_EDITS:
        raise ValueError(text)
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _write_edits(edits: tuple[tuple[int, float | None], ...]) -> str:
    return ",".join(f"{row}:{'x' if y is None else _number(y)}" for row, y in edits)


def _flag(text: str) -> bool:
    return _one_of("0", "1")(text) == "1"


# setting -> how it is written into an address, and read from it
_FORMS: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "data": (str, _one_of(*PRESETS, SIMULATED, OWN)),
    "factor": (str, str),
    "level": (str, str),
    "show": (",".join, _read_show),
    "unlocked": (lambda value: str(int(value)), _flag),
    "sds": (_numbers, _positive_numbers),
    "cor": (_number, _between(-1, 1)),
    "sigma": (_number, _between(1e-9, 1e9)),
    "prior": (str, _one_of(*PRIOR_FAMILIES)),
    "scale": (_number, _between(*SCALES)),
    "eta": (_number, _between(*ETAS)),
    "edits": (_write_edits, _read_edits),
    "guessing": (lambda value: str(int(value)), _flag),
    "guess": (_numbers, _read_numbers),
    "revealed": (lambda value: str(int(value)), _flag),
}
