"""The posterior density of any model with a density in NumPy's words, as buffers for compiled code.

The coordinates of a point are, in this order, those of the parameters
(``hierarchical_parameters.py``), of the mean and of each further parameter that has a formula, and
the spherical effects of all factors but the first, mixed by a matrix, and the effects of the first
factor. Factors of the mean come before those of further parameters. What the levels are known by
at some place (``Frozen``) makes them nearly independent and standard normal; the posterior is the
same whatever it is.

What is evaluated, ``hierarchical_kernel.py``, is compiled once on a machine, for all models.
Imports numba, so import this module only where it is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
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
    """Where on the tape of shared numbers parameters of a predictor stand; -1 is zero.

    Attributes
    ----------
    roots : per factor, array (q, q), Lambda in the basis of the model
    user_roots : the same on the user's scale; the sds are the lengths of its rows
    beta, v : arrays, shape (p,), on the user's scale and in the basis
    family : by name, array () or, of thresholds, (K,), on the user's scale
    """

    roots: tuple[IntArray, ...]
    user_roots: tuple[IntArray, ...]
    beta: IntArray
    v: IntArray
    family: Mapping[str, IntArray]


@record
class FactorRows:
    """The rows of a factor, of the predictor ``predictor``: codes (n,), z (q, n) and J levels."""

    predictor: int
    codes: IntArray
    z: FloatArray
    n_levels: int


@record
class HierarchicalTarget:
    """The density, ready to be evaluated.

    Attributes
    ----------
    model : the rows
    spaces : coordinates of the parameters of each predictor, the mean's first
    placed : where they stand on the tape
    ints, floats : the buffers
    """

    model: Conditional
    spaces: tuple[ParameterSpace, ...]
    placed: tuple[Places, ...]
    ints: Int64Array
    floats: FloatArray

    @property
    def d(self) -> int:
        """Number of coordinates of the parameters, effects apart."""
        return int(self.ints[AT.d])

    @property
    def factors(self) -> tuple[FactorRows, ...]:
        """The factors of all predictors in their order."""
        return _factors(self.spaces)

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
        floats[ints[AT.c_constant]] = _log_normal_at_zero(self.spaces)
        return replace(self, ints=ints, floats=floats)

    def mixed_by(self, mixing: FloatArray) -> "HierarchicalTarget":
        """Return the same density, the rest being an upper triangle (rest, rest) times w."""
        ints, floats = self.ints.copy(), self.floats.copy()
        ints[AT.is_mixed], ints[AT.c_mixing] = 1, floats.size
        volume = float(np.log(np.diagonal(mixing)).sum())
        floats[ints[AT.c_constant]] = _log_normal_at_zero(self.spaces) + volume
        columns = [mixing[: k + 1, k] for k in range(self.n_rest)]
        return replace(self, ints=ints, floats=np.concatenate([floats, *columns]))


def _put(buffer: FloatArray, at: int, values: FloatArray) -> None:
    buffer[at : at + values.size] = values.ravel()


def _factors(spaces: Sequence[ParameterSpace]) -> tuple[FactorRows, ...]:
    return tuple(
        FactorRows(predictor=s, codes=codes, z=z, n_levels=J)
        for s, levels in enumerate(space.model.levels for space in spaces)
        for codes, z, J in zip(levels.codes, levels.z, levels.n_levels, strict=True)
    )


def _log_normal_at_zero(spaces: Sequence[ParameterSpace]) -> float:
    return -0.5 * LOG_2PI * sum(own.n_levels * own.z.shape[0] for own in _factors(spaces))


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
    mean = ParameterSpace(model=model, priors=priors, laws=priors.of_further(model.further))
    spaces = (
        mean,
        *(
            ParameterSpace(model=own, priors=priors.formulas[own.link.name], laws=())
            for own in model.predictors
        ),
    )
    written = _recorded(model, spaces)
    tape, placed, factors, n = written.tape, written.placed, _factors(spaces), model.y.size
    d, sizes = sum(space.size for space in spaces), [own.z.shape[0] for own in factors]
    effects = [own.n_levels * q for own, q in zip(factors, sizes, strict=True)]
    owners = [s for s, space in enumerate(spaces) for _ in range(space.model.X.shape[1])]
    rest = d + sum(effects[1:])
    ints, floats, room = _Buffer(AT.end + len(factors) * OF_FACTOR.end), _Buffer(), _Buffer()
    head = AT._replace(
        n=n, factors=len(factors), p=len(owners), predictors=len(spaces),
        d=d, rest=rest, size=rest + sum(effects[:1]),
        shared=tape.numbers.size, shared_operations=tape.shared.shape[0],
        by_row=tape.n_by_row, row_operations=tape.by_row.shape[0],
        data=tape.data_at.size, spread=tape.spread.shape[0],
        value=tape.value, log_prior=written.log_prior, is_mixed=0,
        i_shared=ints.add(tape.shared), i_rows=ints.add(tape.by_row),
        i_data=ints.add(tape.data_at), i_spread=ints.add(tape.spread), i_etas=ints.add(tape.etas),
        i_coefficients=ints.add(np.concatenate([own.v for own in placed])),
        i_owners=ints.add(owners), i_factors=AT.end,
        c_numbers=floats.add(tape.numbers), c_data=floats.add(tape.data),
        c_x=floats.add(np.concatenate([space.model.X.T for space in spaces])),
        c_offset=floats.add(np.stack([space.model.offset for space in spaces])),
        c_counts=floats.add(np.ones(n) if model.counts is None else model.counts),
        c_centre=floats.add(np.zeros(rest)), c_mixing=0,
        c_constant=floats.add([_log_normal_at_zero(spaces)]),
        w_shared=room.leave(tape.numbers.size), w_shared_slopes=room.leave(tape.numbers.size),
        w_rows=room.leave(tape.n_by_row * BLOCK), w_row_slopes=room.leave(tape.n_by_row * BLOCK),
        w_eta=room.leave(n * len(spaces)), w_eta_slopes=room.leave(n * len(spaces)),
        w_rest=room.leave(rest), w_rest_slopes=room.leave(rest), w_spare=room.leave(4 * BLOCK),
    )  # fmt: skip
    roots = [root for own in placed for root in own.roots]
    parts = []
    for f, (own, q, size) in enumerate(zip(factors, sizes, effects, strict=True)):
        parts.append(
            OF_FACTOR._replace(
                levels=own.n_levels, q=q, predictor=own.predictor,
                start=rest if f == 0 else d + sum(effects[1:f]),
                i_codes=ints.add(own.codes), i_root=ints.add(roots[f]),
                c_z=floats.add(own.z),
                c_information=floats.add(np.zeros(size * q)),
                c_score=floats.add(np.zeros(size)),
                c_weights=floats.add(np.zeros(n)), c_eta=floats.add(np.zeros(n)),
                w_root=room.leave(q**2), w_root_slopes=room.leave(q**2),
                w_chol=room.leave(size * q), w_score=room.leave(size),
                w_half=room.leave(size), w_sum=room.leave(size), w_u=room.leave(size),
                w_b=room.leave(size), w_b_slopes=room.leave(size),
                w_small=room.leave(3 * q + 3 * q**2),
            )[:-1]
        )  # fmt: skip
    head = head._replace(room=room.size)
    header = np.zeros(AT.end + len(factors) * OF_FACTOR.end, dtype=np.int64)
    header[: AT.end] = head[:-1]
    for f, part in enumerate(parts):
        header[AT.end + f * OF_FACTOR.end :][: OF_FACTOR.end] = part
    return HierarchicalTarget(
        model=model,
        spaces=spaces,
        placed=placed,
        ints=np.concatenate([header, *ints.parts]).astype(np.int64),
        floats=np.concatenate(floats.parts).astype(np.float64),
    )


@record
class _Written:
    """A model on tapes: where its parameters stand, and its log prior density."""

    tape: Tape
    placed: tuple[Places, ...]
    log_prior: int


def _recorded(model: Conditional, spaces: Sequence[ParameterSpace]) -> _Written:
    """Write the tapes of a model."""
    tape = Recorder(model.y.size, CODES)
    given = iter(tape.inputs(sum(space.size for space in spaces)))
    parameters = [space.recorded(tape, list(islice(given, space.size))) for space in spaces]
    etas = tape.etas(len(spaces))
    density = model.family.log_density
    assert density is not None
    mean = Mean(eta=etas[0], link=model.family.link)
    family = dict(parameters[0].family)
    for own, eta in zip(model.predictors, etas[1:], strict=True):
        family[own.link.parameter] = own.link.value(eta)
    value = density(model.y, mean, model.with_observed(family, np.asarray))
    ends = mean_ends(model.family)
    if ends is not None:
        possible = (mean.mu > ends[0]) & (mean.mu < ends[1])
        value = np.where(possible, value, -np.inf)
    pairs = zip(spaces, parameters, strict=True)
    placed = tuple(_places(space, tape, own) for space, own in pairs)  # further operations
    log_prior = tape.shared(sum(own.log_prior for own in parameters))
    return _Written(tape=tape.tape(value), placed=placed, log_prior=log_prior.at)


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
    )
