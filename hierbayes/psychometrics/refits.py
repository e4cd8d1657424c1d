"""Simulated responses of a fit with their own maxima, and searches with one quantity held."""

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.weighted import to_effects
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.many_modes import ManyResponses, at_effects, find_modes, no_effects
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.generalised_refits import GeneralisedRefits, Refitter
from hierbayes.likelihood.glmm import GlmmOptimum, climb
from hierbayes.likelihood.glmm_search import BATCH_NUMBERS, Search
from hierbayes.likelihood.laplace import Criterion
from hierbayes.results.generalised_fit import GeneralisedFit

# Logarithms of further parameters that a search starts inside of: farther out the likelihood may be
# flat, and no step would lead back.
NEAR = 4.0
KEPT_NUMBERS = 2**21  # of the responses of refits that are kept for a next question: 16 MB


@record
class Refits:
    """T simulated responses, what made them, and the maxima of their likelihoods.

    Attributes
    ----------
    effects : per factor the random effects that made them, (T, J, q)
    Y : array, shape (n, T), successes
    beta : array, shape (T, p)
    further : by name, arrays (T,)
    modes : per factor the modes of the random effects, (T, J, q)
    eta : array, shape (n, T), the predictor at the modes
    """

    effects: tuple[FloatArray, ...]
    Y: FloatArray
    beta: FloatArray
    further: dict[str, FloatArray]
    modes: tuple[FloatArray, ...]
    eta: FloatArray

    @property
    def size(self) -> int:
        """Number of responses."""
        return self.beta.shape[0]


@record
class _Kept:
    """Refits of a fit, and where the generator stood before and after."""

    nsim: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    refits: Refits


# The last ones of each fit: points of equality, differences and goodness are asked one by one.
_kept: WeakKeyDictionary[GeneralisedFit, _Kept] = WeakKeyDictionary()


def climb_from(
    model: Conditional,
    n_quadrature: int,
    *,
    beta: FloatArray,
    theta: FloatArray,
    phi: FloatArray,
) -> Criterion:
    """Find the maximum of a model like that of a fit, from a point, further parameters off ends.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood cannot be computed.
    """
    phi = model.off_ends(np.clip(phi, -NEAR, NEAR))
    return climb(model, n_quadrature, beta=beta, theta=theta, phi=phi)


def simulated_refits(fit: GeneralisedFit, nsim: int, rng: np.random.Generator) -> Refits:
    """Draw responses of the fitted model with new random effects, and fit each.

    Responses without a maximum that can be found are left out. Asked again from the same state of
    the generator, they are the ones that were found.
    """
    before, kept = rng.bit_generator.state, _kept.get(fit)
    if kept is not None and kept.nsim == nsim and repr(kept.before) == repr(before):
        rng.bit_generator.state = kept.after
        return kept.refits
    refits = _simulated(fit, nsim, rng)
    if refits.Y.size <= KEPT_NUMBERS:
        _kept[fit] = _Kept(nsim=nsim, before=before, after=rng.bit_generator.state, refits=refits)
    return refits


def _simulated(fit: GeneralisedFit, nsim: int, rng: np.random.Generator) -> Refits:
    family, design, near = fit.response_family, fit.design, optimum_of(fit)
    assert family.draw is not None
    eta, effects = np.repeat(fit.fixed_part[None], nsim, axis=0), []
    for factor, root in zip(design.factors, fit.effect_roots, strict=True):
        b = rng.standard_normal((nsim, factor.levels.size, root.shape[1])) @ root.T
        eta += np.einsum("nq,snq->sn", factor.z, b[:, factor.codes])
        effects.append(b)
    Y = np.asarray(family.draw(rng, family.mean(eta), fit.row_parameters), dtype=np.float64).T
    found = Refitter(near).fit(Y)
    good = found.converged & np.isfinite(found.beta).all(axis=1)
    modes, at_modes = _modes(near, Y[:, good], found, good)
    return Refits(
        effects=tuple(b[good] for b in effects),
        Y=Y[:, good],
        beta=found.beta[good],
        further=dict(zip(fit.dispersion, found.further[good].T, strict=True)),
        modes=modes,
        eta=at_modes,
    )


def _modes(
    near: GlmmOptimum, Y: FloatArray, found: GeneralisedRefits, good: BoolArray
) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Modes per factor (T, J, q) and predictors (n, T) of fits that were found."""
    model, T = near.model, Y.shape[1]
    beta = np.linalg.solve(model.x_basis, found.beta[good].T).T
    theta = np.array([model.in_basis(own) for own in found.theta[good]]).reshape(T, -1)
    pairs = zip((c.transform for c in model.coordinates), found.further[good].T, strict=True)
    phi = np.array([t.forward(value) for t, value in pairs]).reshape(-1, T).T
    parts = list(_in_parts(near, Y, beta, theta, phi))
    modes = [np.concatenate(own) for own in zip(*(b for b, _ in parts), strict=True)]
    return tuple(modes), np.concatenate([eta for _, eta in parts], axis=1)


def _in_parts(
    near: GlmmOptimum, Y: FloatArray, beta: FloatArray, theta: FloatArray, phi: FloatArray
) -> Iterator[tuple[list[FloatArray], FloatArray]]:
    """Find modes of some responses after others: effects per factor, and predictors."""
    model, refitter = near.model, Refitter(near)
    if not refitter.weights.is_nested:
        for t in range(beta.shape[0]):
            yield _of_one(model, Y[:, t], beta[t], theta[t], phi[t])
        return
    size = max(1, BATCH_NUMBERS // max(Y.shape[0], 1))
    for first in range(0, beta.shape[0], size):
        at = slice(first, first + size)
        rows = ManyResponses(model=model, weights=refitter.weights, Y=Y[:, at])
        found = find_modes(at_effects(rows, beta[at], theta[at], phi[at], no_effects(rows)))
        effects = to_effects(found.Lambdas, found.u)
        pairs = zip(effects, model.z_bases, strict=True)
        yield [b[..., 0] @ basis.T for b, basis in pairs], found.eta


def _of_one(
    model: Conditional, y: FloatArray, beta: FloatArray, theta: FloatArray, phi: FloatArray
) -> tuple[list[FloatArray], FloatArray]:
    search = Search(model.with_response(y), 1, beta)
    mode, cell = search.mode(search.joined(beta, theta, phi)), search.model.cell
    effects = to_effects(mode.Lambdas, mode.u)
    eta = mode.eta if cell is None else mode.eta[cell]
    pairs = zip(effects, model.z_bases, strict=True)
    return [b[..., 0] @ basis.T for b, basis in pairs], eta[:, None]
