"""The numerator relationship matrix of a pedigree: who shares how many genes by descent.

An individual is half its sire and half its dam, and Mendelian sampling, whose variance is
1/2 - (F_s + F_d)/4 for parents with inbreeding F, 3/4 - F/4 where one is known, 1 for founders. The
inbreeding is half the relationship between the parents, so generations go one after the other.

Source: Henderson (1976), Biometrics 32:69; Quaas (1976), Biometrics 32:949.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.calls import checked_call
from hierbayes.design.table import Table, read_table
from hierbayes.design.values import as_factor
from hierbayes.errors import DataError
from hierbayes.relatedness.relationship import AT_ONCE, Relationship, origins
from hierbayes.wording import SHOWN_ROWS, counted, listed

# Words for the columns, and for a parent that is not known, in any case.
INDIVIDUAL = ("id", "animal", "individual", "calf", "offspring", "child")
SIRE = ("sire", "father", "pollen", "male", "parent1")
DAM = ("dam", "mother", "seed", "female", "parent2")
UNKNOWN = frozenset({"", "0", ".", "*", "na", "nan", "none", "unknown"})
NOBODY = -1


@record
class _Pedigree:
    """Labels of all, and places of their parents among them, -1 where not known."""

    labels: list[str]
    sire: IntArray
    dam: IntArray


@checked_call("hb.relationship")
def relationship(
    pedigree: Any, *, individual: str | None = None, sire: str | None = None, dam: str | None = None
) -> Relationship:
    """Relationship between the individuals of a pedigree, for ``hb.Model(..., cov=)``.

    Parameters
    ----------
    pedigree : table (pandas, polars, dict of arrays, path of a CSV file ...), one row an
        individual, in any order: its label and those of its parents. A parent that is not known is
        missing, or "0", "." or "NA". Parents without a row of their own are founders.
    individual, sire, dam : names of the columns. When not given: columns called so (also
        ``id animal``, ``father``, ``mother``, in any case), else the first three.

    Returns
    -------
    Relationship
        with ``covariance(labels)``, ``to_frame()``, ``inbreeding`` and the sparse ``inverse``;
        variances are 1 plus inbreeding.

    Raises
    ------
    DataError
        If an individual has two rows, is its own ancestor, or a column is missing.

    Notes
    -----
    Source: Henderson (1976), Biometrics 32:69.

    Examples
    --------
    >>> import hierbayes as hb
    >>> family = {"id": ["c", "d", "e"], "sire": ["a", "a", "c"], "dam": ["b", "b", "d"]}
    >>> A = hb.relationship(family)
    >>> A.covariance(["c", "d", "e"])  # a child of brother and sister
    array([[1.  , 0.5 , 0.75],
           [0.5 , 1.  , 0.75],
           [0.75, 0.75, 1.25]])
    """
    table = read_table(pedigree)
    found = _read(table, _columns(table.names, individual=individual, sire=sire, dam=dam))
    order, generation = _parents_first(found)
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    sires, dams = (_moved(of[order], place) for of in (found.sire, found.dam))
    parents = _half_each(sires, dams)
    return Relationship(
        labels=tuple(found.labels[i] for i in order),
        parents=parents,
        own_variances=_mendelian(parents, sires, dams, generation[order]),
        places=np.arange(order.size),
        kind="pedigree",
    )


def _columns(
    names: list[str], *, individual: str | None, sire: str | None, dam: str | None
) -> tuple[str, str, str]:
    """Return the columns of individual, sire and dam."""
    by_word = {name.lower(): name for name in names}
    given = {"individual": individual, "sire": sire, "dam": dam}
    words = {"individual": INDIVIDUAL, "sire": SIRE, "dam": DAM}
    found = {
        role: given[role] or next((by_word[word] for word in words[role] if word in by_word), None)
        for role in given
    }
    if all(value is None for value in found.values()) and len(names) >= len(found):
        return (names[0], names[1], names[2])
    missing = [role for role, name in found.items() if name is None]
    if missing:
        raise DataError(
            f"The pedigree has columns {listed([repr(name) for name in names])}, and none is "
            f"called {listed(missing, 'or')}; name them, for example {missing[0]}={names[0]!r}."
        )
    return (str(found["individual"]), str(found["sire"]), str(found["dam"]))


def _read(table: Table, columns: tuple[str, str, str]) -> _Pedigree:
    """Read labels and parents, and add parents that have no row."""
    if not table.n_rows:
        raise DataError("The pedigree has no rows.")
    own, sires, dams = ([*_labels(table, column)] for column in columns)
    nameless = [i for i, label in enumerate(own) if label is None]
    if nameless:
        raise DataError(
            f"Column {columns[0]!r} of the pedigree has no label in row {nameless[0]}; every row "
            "is an individual with a name."
        )
    place = {str(label): i for i, label in reversed([*enumerate(own)])}
    if len(place) < len(own):
        twice = [str(label) for i, label in enumerate(own) if place[str(label)] != i]
        raise DataError(
            f"The pedigree has {counted(len(set(twice)), 'individual')} with more than one row: "
            f"{listed([repr(label) for label in dict.fromkeys(twice)][:SHOWN_ROWS])}. "
            "Keep one row of each."
        )
    labels = [str(label) for label in own]
    for label in [*sires, *dams]:
        if label is not None and label not in place:
            place[label] = len(labels)
            labels.append(label)
    founders = [NOBODY] * (len(labels) - len(own))

    def places(of: list[str | None]) -> IntArray:
        found = [NOBODY if label is None else place[label] for label in of]
        return np.array([*found, *founders], dtype=np.intp)

    return _Pedigree(labels=labels, sire=places(sires), dam=places(dams))


def _labels(table: Table, column: str) -> list[str | None]:
    """Return the labels of a column, None where unknown."""
    factor = as_factor(table.column(column))
    levels = [None if level.strip().lower() in UNKNOWN else level for level in factor.levels]
    return [None if code < 0 else levels[code] for code in factor.codes.tolist()]


def _parents_first(found: _Pedigree) -> tuple[IntArray, IntArray]:
    """Return an order with parents before children, and each one's generation.

    A founder is of generation 0, others of one more than their later parent.
    """
    N = len(found.labels)
    generation = np.zeros(N, dtype=np.intp)
    for _ in range(N + 1):
        last = np.append(generation, NOBODY)  # of nobody: a founder then is of generation 0
        new = 1 + np.maximum(last[found.sire], last[found.dam])
        if np.array_equal(new, generation):
            return np.argsort(generation, kind="stable"), generation
        generation = new
    raise DataError(_loop(found, int(np.argmax(generation))))


def _loop(found: _Pedigree, start: int) -> str:
    """Say who is their own ancestor, going up from a late individual."""
    _, generation_free = _in_loops(found)
    at = start
    path: list[int] = []
    while at not in path:
        path.append(at)
        at = next(int(p) for p in (found.sire[at], found.dam[at]) if p >= 0 and generation_free[p])
    circle = [found.labels[i] for i in [*path[path.index(at) :], at]]
    return (
        f"The pedigree goes in a circle: {' has the parent '.join(circle)}. "
        "Nobody is their own ancestor; correct one of these rows."
    )


def _in_loops(found: _Pedigree) -> tuple[int, BoolArray]:
    """Return who has an ancestor in a circle: those left when all with settled parents are gone."""
    left = np.ones(len(found.labels) + 1, dtype=bool)
    left[NOBODY] = False
    while True:
        stays = left[:-1] & (left[found.sire] | left[found.dam])
        if np.array_equal(stays, left[:-1]):
            return int(stays.sum()), stays
        left[:-1] = stays


def _moved(places: IntArray, new: IntArray) -> IntArray:
    return np.where(places < 0, NOBODY, new[places])


def _half_each(sire: IntArray, dam: IntArray) -> "sp.csc_array":
    """Return P: half of each known parent, both halves of a parent that is both."""
    known_sire, known_dam = np.flatnonzero(sire >= 0), np.flatnonzero(dam >= 0)
    rows = np.concatenate([known_sire, known_dam])
    columns = np.concatenate([sire[known_sire], dam[known_dam]])
    halves = np.full(rows.size, 0.5)
    return sp.csc_array(sp.coo_array((halves, (rows, columns)), shape=(sire.size, sire.size)))


def _mendelian(
    parents: "sp.csc_array", sire: IntArray, dam: IntArray, generation: IntArray
) -> FloatArray:
    """Variances of Mendelian sampling, (N,); rows stand by generation."""
    N = sire.size
    inbreeding = np.append(np.zeros(N), -1.0)  # of nobody: 1/2 - (-1 - 1)/4 = 1
    own = np.empty(N)
    for first in np.searchsorted(generation, np.arange(generation[-1] + 1)):
        last = np.searchsorted(generation, generation[first], side="right")
        members = np.arange(first, last)
        own[members] = 0.5 - (inbreeding[sire[members]] + inbreeding[dam[members]]) / 4
        both = members[(sire[members] >= 0) & (dam[members] >= 0)]
        for part in np.array_split(both, both.size // AT_ONCE + 1):
            fathers = origins(parents[:first, :first], sire[part]) if part.size else None
            if fathers is not None:
                mothers = origins(parents[:first, :first], dam[part])
                inbreeding[part] = own[:first] @ (fathers * mothers) / 2
    return own
