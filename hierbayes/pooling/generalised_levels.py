"""What the levels of a generalised fit say by themselves, on the scale of eta.

The unpenalised effects are the modes of the random effects when the variance of one factor grows
without bound while the other factors, the fixed effects and the family's parameters keep theirs:
its device is a large sd, whose pull is next to nothing beside any data. With one factor they are
the maximum-likelihood estimates of each level from its own rows.

A level all of whose responses are of one kind (all successes, no counts) has no finite own
estimate: its likelihood rises for ever. The device stops far out, where the expected response is
0 or 1 to many digits, and nothing is known there (standard error above ``VANISHED``), though the
level has rows that would tell. A single term is infinite then, of the sign of where it stopped; of
several terms, such as intercept and slope, each alone may be anything.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape, lower_triangles, shape_of
from hierbayes.gaussian.marginal import times
from hierbayes.gaussian.weighted import WeightedLevels
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.pirls import Mode, at_effects, find_mode, no_effects
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.glmm import VANISHED, GlmmOptimum
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit

# The sd that stands for an unbounded one, in eta of a column of unit length: an estimate known to
# a standard error s moves by s^2 1e-8 of itself, and a level without failures stops where its
# expected share of them is below 1e-6.
LARGE = 1e4
TOLD = 1e-8  # size of a column's values in a level, as a part of one, below which it tells nothing
INVOLVED = 1e-6  # part of a direction from which a term counts as concerned
FARTHER = 10.0  # times as far again stands for the end: exp(-150) is nothing


@record
class OwnEffects:
    """Effects of J levels without shrinkage, on the user's scale.

    Attributes
    ----------
    effect : array, shape (J, q); where there is no finite one, where the search stopped
    covariance : array, shape (J, q, q), infinite and NaN where rows say nothing
    endless : array, shape (J, q), terms that go to infinity
    unknown : array, shape (J, q), terms that the rows of a level do not tell
    undetermined : array, shape (J, q), terms that may be anything beside endless ones
    eta : array, shape (n,), the linear predictor there, in the limit
    """

    effect: FloatArray
    covariance: FloatArray
    endless: BoolArray
    unknown: BoolArray
    undetermined: BoolArray
    eta: FloatArray

    @property
    def shown(self) -> FloatArray:
        """The effects (J, q), infinite where there is no finite one."""
        found = np.where(self.endless, np.copysign(np.inf, self.effect), self.effect)
        return np.where(self.undetermined, np.nan, found)

    @property
    def is_finite(self) -> BoolArray:
        """Whether all effects of a level are finite, (J,)."""
        return ~(self.endless | self.undetermined).any(axis=1)


@once_a_fit
def own_effects(fit: GeneralisedFit) -> tuple[OwnEffects, ...]:
    """Effects of the levels of each factor without shrinkage, other factors' kept."""
    found = optimum_of(fit)
    return tuple(_read(found, f, _wide_mode) for f in range(len(fit.design.factors)))


@once_a_fit
def effects_alone(fit: GeneralisedFit) -> tuple[OwnEffects, ...]:
    """Effects of the levels of each factor from their rows and the fixed part alone."""
    found = optimum_of(fit)
    if len(fit.design.factors) == 1:
        return own_effects(fit)
    return tuple(_read(found, f, _mode_alone) for f in range(len(fit.design.factors)))


def _read(
    found: GlmmOptimum, position: int, mode_of: Callable[[GlmmOptimum, int], Mode]
) -> OwnEffects:
    """Read one factor's effects off a mode; nothing is known where there is none.

    There may be none where the link has ends that the device goes beyond.
    """
    try:
        return _of_mode(found, mode_of(found, position), position)
    except np.linalg.LinAlgError:
        J, q = found.modes[position].shape
        none = np.zeros((J, q), dtype=np.bool_)
        return OwnEffects(
            effect=np.full((J, q), np.nan),
            covariance=np.full((J, q, q), np.nan),
            endless=none,
            unknown=none,
            undetermined=~none,
            eta=np.full(found.model.y.size, np.nan),
        )


def _mode_alone(found: GlmmOptimum, position: int) -> Mode:
    """Return the mode of the effects of one factor alone, of a large sd."""
    model, at = _of_one_factor(found.model, position), found.at.mode
    theta = model.shape.pack([LARGE * np.eye(model.shape.sizes[0])[None]])[0]
    start = at_effects(model, theta, at.beta, at.phi, no_effects(model), profiled=False)
    return find_mode(start)


def _of_one_factor(model: Conditional, position: int) -> Conditional:
    """Return the model with one of its factors, all of whose columns are one term."""
    levels = model.levels
    q = levels.z[position].shape[0]
    return replace(
        model,
        z_bases=(model.z_bases[position],),
        levels=WeightedLevels(
            n_rows=levels.n_rows,
            codes=(levels.codes[position],),
            z=(levels.z[position],),
            n_levels=(levels.n_levels[position],),
        ),
        shape=shape_of((q,), ((0, tuple(range(q))),)),
    )


def in_triangles(at: Mode) -> tuple[list[FloatArray], list[FloatArray]]:
    """Lower triangles (1, q, q) of the same covariances, and u (1, J, q, 1) of the same effects.

    The root of a structure need not be a triangle.
    """
    if at.model.shape.is_plain:
        return [Lambda.copy() for Lambda in at.Lambdas], [v.copy() for v in at.u]
    triangles = [lower_triangles(Lambda) for Lambda in at.Lambdas]
    u = [
        np.linalg.pinv(T)[:, None] @ times(Lambda, v)
        for T, Lambda, v in zip(triangles, at.Lambdas, at.u, strict=True)
    ]
    return triangles, u


def _wide_mode(found: GlmmOptimum, position: int) -> Mode:
    """Return the mode of all effects when those of one factor have a large sd."""
    model, at = found.model, found.at.mode
    q = model.shape.sizes[position]
    others = tuple(term for term in model.shape.terms if term[0] != position)
    terms = (*others, (position, tuple(range(q))))
    wide = replace(model, shape=CovarianceShape(sizes=model.shape.sizes, terms=terms))
    Lambdas, u = in_triangles(at)
    Lambdas[position] = LARGE * np.eye(q)[None]
    u[position] = times(at.Lambdas[position], at.u[position]) / LARGE
    theta = wide.shape.pack(Lambdas)[0]
    return find_mode(at_effects(wide, theta, at.beta, at.phi, u, profiled=False))


def _of_mode(found: GlmmOptimum, mode: Mode, position: int) -> OwnEffects:
    """Read one factor's effects off a mode, and tell endless ones from finite ones."""
    basis = found.model.z_bases[position]
    place = position if len(mode.u) > 1 else 0
    effect = LARGE * mode.u[place][0, :, :, 0]
    sizes, axes = np.linalg.eigh(LARGE**2 * mode.factor.covariances()[place][0])
    lost = sizes > VANISHED**2
    told = _told(found.model, position, axes)
    reach = np.abs(basis @ axes)  # of each direction in each term, (J, q, q)
    involved = reach > INVOLVED * np.linalg.norm(basis, axis=1)[:, None]
    free = (involved & (lost & told)[:, None]).any(axis=2)
    unknown = (involved & (lost & ~told)[:, None]).any(axis=2)
    along = np.swapaxes(axes, 1, 2) @ effect[:, :, None]
    along[lost & ~told] = 0.0  # what nothing is said of stays at the population's value
    effect = (axes @ along)[:, :, 0]
    away = (axes @ np.where((lost & told)[:, :, None], along, 0.0))[:, :, 0] @ basis.T
    alone = basis.shape[0] == 1  # of several terms one may go either way beside the others
    endless = free & alone
    known = np.where(lost, 0.0, sizes)
    covariance = basis @ (axes * known[:, None]) @ np.swapaxes(axes, 1, 2) @ basis.T
    missing = free | unknown
    both = missing[:, :, None] | missing[:, None, :]
    covariance = np.where(both, np.nan, covariance)
    level, term = np.nonzero(missing)
    covariance[level, term, term] = np.inf
    return OwnEffects(
        effect=effect @ basis.T,
        covariance=covariance,
        endless=endless,
        unknown=unknown & ~free,
        undetermined=free & ~endless,
        eta=mode.eta + FARTHER * _rows(found.model, position, away @ np.linalg.inv(basis).T),
    )


def _rows(model: Conditional, position: int, effects: FloatArray) -> FloatArray:
    """Rows of Z b for effects (J, q) of one factor in the basis of the search, (n,)."""
    z, codes = model.levels.z[position], model.levels.codes[position]
    return np.asarray(np.einsum("qn,nq->n", z, effects[codes]))


def _told(model: Conditional, position: int, axes: FloatArray) -> BoolArray:
    """Which directions (J, q, q), as columns, the rows of each level have values along, (J, q)."""
    z, codes = model.levels.z[position], model.levels.codes[position]
    J = axes.shape[0]
    values = np.abs(np.einsum("qn,nqd->nd", z, axes[codes]))
    largest = np.zeros((J, axes.shape[2]))
    np.maximum.at(largest, codes, values)
    return largest > TOLD * float(np.abs(z).max(initial=1e-300))


def moved_by_fixed(fit: GeneralisedFit) -> list[FloatArray]:
    """Minus the derivative of each factor's modes in the fixed effects, (J, q, p), user's scale."""
    found = optimum_of(fit)
    mode, model = found.at.mode, found.at.mode.model
    weighted = mode.densities.weight[:, None] * model.X
    solved = mode.factor.back_solve(mode.factor.half_solve(mode.spherical(weighted)))
    back = np.linalg.inv(model.x_basis)
    return [
        basis @ times(Lambda, u)[0] @ back
        for basis, Lambda, u in zip(model.z_bases, mode.Lambdas, solved, strict=True)
    ]
