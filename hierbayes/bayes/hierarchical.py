"""The posterior density of any model with a density in NumPy's words, as buffers for compiled code.

The coordinates of a point are, in this order, those of the parameters
(``hierarchical_parameters.py``) and the spherical effects of all factors but the first, mixed by a
matrix, and the effects of the first factor. What the levels are known by at some place
(``Frozen``) makes them nearly independent and standard normal; the posterior is the same whatever
it is.

What is evaluated, ``hierarchical_kernel.py``, is compiled once on a machine, for all models.
Imports numba, so import this module only where it is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, Int64Array, IntArray, record
from hierbayes.bayes.hierarchical_kernel import AT, OF_FACTOR, log_density
from hierbayes.bayes.hierarchical_parameters import Parameters, ParameterSpace, combined
from hierbayes.bayes.tape_kernel import BLOCK, CODES
from hierbayes.families.family import Mean
from hierbayes.families.mean_ends import mean_ends
from hierbayes.families.recorded import Recorder, Tape
from hierbayes.generalised.conditional import Conditional
from hierbayes.priors.distributions import LOG_2PI
from hierbayes.priors.model_priors import ModelPriors


@record
class Frozen:
    """What the J levels of a factor are known by, at one place, finer factors integrated out.

    Attributes
    ----------
    information : array, shape (J, q, q), of their effects b
    score : array, shape (J, q), information times b and the slope there
    weights : array, shape (n,), information of each row
    eta : array, shape (n,), without the effects of this factor and those before
    """

    information: FloatArray
    score: FloatArray
    weights: FloatArray
    eta: FloatArray


@record
class Places:
    """Where on the tape of shared numbers parameters stand; -1 is zero.

    Attributes
    ----------
    roots : per factor, array (q, q), Lambda in the basis of the model
    user_roots : the same on the user's scale; the sds are the lengths of its rows
    beta, v : arrays, shape (p,), on the user's scale and in the basis
    family : by name, array () or, of thresholds, (K,), on the user's scale
    log_prior : int
    """

    roots: tuple[IntArray, ...]
    user_roots: tuple[IntArray, ...]
    beta: IntArray
    v: IntArray
    family: Mapping[str, IntArray]
    log_prior: int


@record
class HierarchicalTarget:
    """The density, ready to be evaluated.

    Attributes
    ----------
    space : coordinates of the parameters
    places : where they stand on the tape
    ints, floats : the buffers
    """

    space: ParameterSpace
    places: Places
    ints: Int64Array
    floats: FloatArray

    @property
    def size(self) -> int:
        """Number of coordinates of a point, D."""
        return int(self.ints[AT.size])

    @property
    def n_rest(self) -> int:
        """Coordinates before the effects of the first factor."""
        return int(self.ints[AT.rest])

    def room(self) -> FloatArray:
        """Return room to work in, for one evaluation at a time."""
        return np.zeros(int(self.ints[AT.room]))

    def evaluate(self, w: FloatArray, room: FloatArray | None = None) -> tuple[float, FloatArray]:
        """Log density at a point (D,), and its gradient (D,)."""
        gradient = np.zeros(self.size)
        room = self.room() if room is None else room
        return log_density(self.ints, self.floats, room, w, gradient), gradient

    def part(self, f: int) -> Int64Array:
        """Return the part of factor f in the header."""
        at = int(self.ints[AT.i_factors]) + f * OF_FACTOR.end
        return self.ints[at : at + OF_FACTOR.end]

    def effects_at(self, f: int, room: FloatArray, what: int) -> FloatArray:
        """Return the numbers (J, q) of factor f that stand in the room as ``what`` says."""
        J, q, at = (int(self.part(f)[k]) for k in (OF_FACTOR.levels, OF_FACTOR.q, what))
        return room[at : at + J * q].reshape(J, q)

    def frozen_at(self, centre: FloatArray, levels: Sequence[Frozen]) -> "HierarchicalTarget":
        """Return the same density in coordinates around a place.

        Parameters
        ----------
        centre : array, shape (rest,), of the coordinates but those of the first factor's effects
        levels : per factor what its levels are known by
        """
        ints, floats = self.ints.copy(), self.floats.copy()
        _put(floats, ints[AT.c_centre], centre)
        for f, level in enumerate(levels):
            part = self.part(f)
            _put(floats, part[OF_FACTOR.c_information], level.information)
            _put(floats, part[OF_FACTOR.c_score], level.score)
            _put(floats, part[OF_FACTOR.c_weights], level.weights)
            _put(floats, part[OF_FACTOR.c_eta], level.eta)
        ints[AT.is_mixed] = 0
        floats[ints[AT.c_constant]] = _log_normal_at_zero(self.space.model)
        return replace(self, ints=ints, floats=floats)

    def mixed_by(self, mixing: FloatArray) -> "HierarchicalTarget":
        """Return the same density, the rest being an upper triangle (rest, rest) times w."""
        ints, floats = self.ints.copy(), self.floats.copy()
        ints[AT.is_mixed], ints[AT.c_mixing] = 1, floats.size
        volume = float(np.log(np.diagonal(mixing)).sum())
        floats[ints[AT.c_constant]] = _log_normal_at_zero(self.space.model) + volume
        columns = [mixing[: k + 1, k] for k in range(self.n_rest)]
        return replace(self, ints=ints, floats=np.concatenate([floats, *columns]))


def _put(buffer: FloatArray, at: int, values: FloatArray) -> None:
    buffer[at : at + values.size] = values.ravel()


def _log_normal_at_zero(model: Conditional) -> float:
    sizes = zip(model.levels.n_levels, model.shape.sizes, strict=True)
    return -0.5 * LOG_2PI * sum(J * q for J, q in sizes)


class _Buffer:
    """Arrays that will stand behind each other."""

    def __init__(self, start: int = 0) -> None:
        self.parts: list[Any] = []
        self.size = start

    def add(self, values: Any) -> int:
        """Return where an array begins."""
        flat = np.asarray(values).ravel()
        self.parts.append(flat)
        return self.leave(flat.size)

    def leave(self, size: int) -> int:
        """Return where room for so many begins."""
        at = self.size
        self.size += size
        return at


def hierarchical_target(model: Conditional, priors: ModelPriors) -> HierarchicalTarget:
    """Lay a model out, the effects of levels being spherical ones.

    Raises
    ------
    TypeError, AttributeError, IndexError
        If the density of a family of one's own uses what tapes do not know.
    """
    space = ParameterSpace(model=model, priors=priors, laws=priors.of_further(model.further))
    places, tape = _recorded(space)
    n, F, J, q = model.y.size, len(model.shape.sizes), model.levels.n_levels, model.shape.sizes
    effects = [a * b for a, b in zip(J, q, strict=True)]
    rest = space.size + sum(effects[1:])
    ints, floats, room = _Buffer(AT.end + F * OF_FACTOR.end), _Buffer(), _Buffer()
    head = AT._replace(
        n=n, factors=F, p=model.X.shape[1], d=space.size, rest=rest, size=rest + sum(effects[:1]),
        shared=tape.numbers.size, shared_operations=tape.shared.shape[0],
        by_row=tape.n_by_row, row_operations=tape.by_row.shape[0],
        data=tape.data_at.size, spread=tape.spread.shape[0],
        eta=tape.eta, value=tape.value, log_prior=places.log_prior, is_mixed=0,
        i_shared=ints.add(tape.shared), i_rows=ints.add(tape.by_row),
        i_data=ints.add(tape.data_at), i_spread=ints.add(tape.spread),
        i_coefficients=ints.add(places.v), i_factors=AT.end,
        c_numbers=floats.add(tape.numbers), c_data=floats.add(tape.data),
        c_x=floats.add(model.X.T), c_offset=floats.add(model.offset),
        c_counts=floats.add(np.ones(n) if model.counts is None else model.counts),
        c_centre=floats.add(np.zeros(rest)), c_mixing=0,
        c_constant=floats.add([_log_normal_at_zero(model)]),
        w_shared=room.leave(tape.numbers.size), w_shared_slopes=room.leave(tape.numbers.size),
        w_rows=room.leave(tape.n_by_row * BLOCK), w_row_slopes=room.leave(tape.n_by_row * BLOCK),
        w_eta=room.leave(n), w_eta_slopes=room.leave(n),
        w_rest=room.leave(rest), w_rest_slopes=room.leave(rest), w_spare=room.leave(4 * BLOCK),
    )  # fmt: skip
    parts = []
    for f, size in enumerate(effects):
        start = rest if f == 0 else space.size + sum(effects[1:f])
        parts.append(
            OF_FACTOR._replace(
                levels=J[f], q=q[f], start=start,
                i_codes=ints.add(model.levels.codes[f]), i_root=ints.add(places.roots[f]),
                c_z=floats.add(model.levels.z[f]),
                c_information=floats.add(np.zeros(size * q[f])),
                c_score=floats.add(np.zeros(size)),
                c_weights=floats.add(np.zeros(n)), c_eta=floats.add(np.zeros(n)),
                w_root=room.leave(q[f] ** 2), w_root_slopes=room.leave(q[f] ** 2),
                w_chol=room.leave(size * q[f]), w_score=room.leave(size),
                w_half=room.leave(size), w_sum=room.leave(size), w_u=room.leave(size),
                w_b=room.leave(size), w_b_slopes=room.leave(size),
                w_small=room.leave(3 * q[f] + 3 * q[f] ** 2),
            )[:-1]
        )  # fmt: skip
    head = head._replace(room=room.size)
    header = np.zeros(AT.end + F * OF_FACTOR.end, dtype=np.int64)
    header[: AT.end] = head[:-1]
    for f, part in enumerate(parts):
        header[AT.end + f * OF_FACTOR.end :][: OF_FACTOR.end] = part
    return HierarchicalTarget(
        space=space,
        places=places,
        ints=np.concatenate([header, *ints.parts]).astype(np.int64),
        floats=np.concatenate(floats.parts).astype(np.float64),
    )


def _recorded(space: ParameterSpace) -> tuple[Places, Tape]:
    """Write the tapes of a model."""
    model = space.model
    tape = Recorder(model.y.size, CODES)
    parameters = space.recorded(tape, tape.inputs(space.size))
    eta = tape.eta()
    density = model.family.log_density
    assert density is not None
    mean = Mean(eta=eta, link=model.family.link)
    value = density(model.y, mean, model.with_observed(parameters.family, np.asarray))
    ends = mean_ends(model.family)
    if ends is not None:
        possible = (mean.mu > ends[0]) & (mean.mu < ends[1])
        value = np.where(possible, value, -np.inf)
    places = _places(space, tape, parameters)  # may write further operations
    return places, tape.tape(value, eta)


def _places(space: ParameterSpace, tape: Recorder, parameters: Parameters) -> Places:
    def at(values: Any) -> IntArray:
        flat = [values] if not isinstance(values, list | tuple) else values
        found = np.array([tape.shared(value).at for value in flat], dtype=np.intp)
        return found if isinstance(values, list | tuple) else found[0]

    def matrix(rows: list[Any]) -> IntArray:
        found = np.full((len(rows), len(rows)), -1, dtype=np.intp)
        for a, row in enumerate(rows):
            for c, entry in enumerate(row):
                if not isinstance(entry, float) or entry != 0.0:
                    found[a, c] = at(entry)
        return found

    def in_basis(basis: FloatArray, root: list[Any]) -> list[Any]:
        columns = list(zip(*root, strict=True))
        return [[combined(row, column) for column in columns] for row in np.linalg.inv(basis)]

    pairs = zip(space.model.z_bases, parameters.roots, strict=True)
    return Places(
        roots=tuple(matrix(in_basis(basis, root)) for basis, root in pairs),
        user_roots=tuple(matrix(root) for root in parameters.roots),
        beta=at(parameters.beta),
        v=at(parameters.v),
        family={name: at(value) for name, value in parameters.shown.items()},
        log_prior=parameters.log_prior.at,
    )
