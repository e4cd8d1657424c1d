"""Posteriors of linear combinations of coefficients for many responses of one design.

Given the variance parameters phi everything is Gaussian, as in ``collapsed_density.py``:

    L beta | phi, y ~ N(m(phi, y), S(phi)),    p(phi | y) ~ p(y | phi) p(phi)

and S has no y in it. Responses drawn from one model have posteriors of phi near each other, so a
set of points phi is drawn once for all of them, from a mixture that covers them all, and factored
once; each response then weighs the same points by its own density. What is asked of a response
(probabilities, quantiles, a density at zero) is that of its mixture of Gaussians, with no further
noise. The error is that of the weights: an effective number of points is kept for each response,
and one with too few is explored alone (``importance.py``).

Source: Cornuet, Marin, Mira & Robert (2012), Scand. J. Stat. 39:798 (adaptive multiple importance
sampling); Dickey (1971), Ann. Math. Stat. 42:204 (the density ratio of a point hypothesis).
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.bayes.collapsed import NOWHERE, start_phi
from hierbayes.bayes.collapsed_density import (
    Target,
    lambdas_of,
    log_prior,
    loses_identity,
    target_of,
)
from hierbayes.bayes.collapsed_points import PointsOf
from hierbayes.bayes.importance import Round, adapt, find_mode, first_proposal
from hierbayes.bayes.mixture import fitted_mixture, joined
from hierbayes.errors import DataError
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Kernel, transpose_times
from hierbayes.gaussian.responses import Responses
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack, solve_upper_stack
from hierbayes.priors.model_priors import ModelPriors

PILOTS = 8  # responses whose modes the first points are drawn around
FIRST = 1000  # points of the first round
POINTS = 800  # that are weighed, for each coordinate of phi
COMPONENTS = 6  # of the mixture fitted to the posteriors of all responses together
DEFENSIVE = 0.15  # part of the points that stays with the mixture of the first round
# Monte-Carlo errors with which a response is explored alone: of a limit, in posterior sds, and of a
# log density at zero near the one in question. Errors of a tenth, independent of each other, blur
# shares over responses by less than a thousandth.
LIMIT_ERROR, DENSITY_ERROR = 0.1, 0.1
NEAR = 3.0  # errors from the density in question within which it is decided by its error
FEW = 10.0  # effective points that say nothing about an error
ALONE = (Round(800, 2, 0.78), Round(800, 3, 0.78), Round(2000, 5, 0.5))
ALONE_POINTS = 2000
AT_ONCE = 2**21  # numbers that right sides of one batch of points may hold: 16 MB
WEIGHED_NUMBERS = 2**22  # numbers of points times responses that are weighed together: 32 MB
NEWTON_STEPS, SETTLED = 60, 1e-7  # of quantiles; of their probabilities
FURTHEST = 40.0  # sds from the mean between which a quantile lies
TOO_FAR = (
    "the residual sd is so small beside the sds between levels that posteriors of many data sets "
    "lose their digits to rounding."
)


@record(kw_only=False)
class ManyPosteriors:
    """Posteriors of c numbers for T responses.

    Attributes
    ----------
    mean, low, high : arrays, shape (T, c), posterior means and equal-tailed credible limits
    log_density_at_zero : array, shape (T, c)
    sd : array, shape (T, c), posterior sds
    limit_error : array, shape (T, c), Monte-Carlo error of the limits, in those
    density_error : array, shape (T, c), that of the log density at zero
    effective : array, shape (T,), effective number of points phi
    alone : number of responses that were explored on their own
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    log_density_at_zero: FloatArray
    sd: FloatArray
    limit_error: FloatArray
    density_error: FloatArray
    effective: FloatArray
    alone: int


NUMBERS = tuple(field.name for field in fields(ManyPosteriors) if field.name != "alone")


def many_posteriors(
    kernel: Kernel,
    priors: ModelPriors,
    responses: Responses,
    L: FloatArray,
    *,
    level: float,
    log_density: FloatArray,
    rng: np.random.Generator,
) -> ManyPosteriors:
    """Return the posteriors of L beta for many responses.

    Parameters
    ----------
    kernel : Kernel
        Of their design; its own response is not used.
    priors : ModelPriors
        The same for all, in the order of the kernel's grouping factors; those of coefficients are
        normal or flat.
    responses : Responses
        T responses.
    L : array, shape (c, p)
    level : float
        Of the credible limits.
    log_density : array, shape (c,)
        Log densities at zero that those of the posteriors are compared with; NaN for none.
    rng : Generator

    Raises
    ------
    DataError
        If rounding would decide the numbers.
    """
    assert priors.gaussian_beta() is not None
    if kernel.products.remainder is not None:
        raise DataError(TOO_FAR)
    target = target_of(kernel, priors)
    T = responses.yy.size
    x, log_proposal = _points(target, responses, rng)
    size = max(1, WEIGHED_NUMBERS // (x.shape[0] * max(L.shape[0], 1)))
    parts = []
    for i in range(0, T, size):
        some = responses.take(slice(i, i + size))
        weighed = _weighed(target, some, x, log_proposal, L)
        found = weighed.posteriors(level)
        weak = np.flatnonzero(_is_weak(found, log_density))
        for t in weak.tolist():
            own = _alone(target, some, t, L, rng).posteriors(level)
            for name in NUMBERS:
                getattr(found, name)[t] = getattr(own, name)[0]
        parts.append(replace(found, alone=weak.size))
    joined_parts: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS
    }
    return ManyPosteriors(**joined_parts, alone=sum(part.alone for part in parts))


def _is_weak(found: ManyPosteriors, log_density: FloatArray) -> BoolArray:
    """Whether the errors of a response's numbers might show, shape (T,)."""
    away = np.abs(found.log_density_at_zero - log_density)
    undecided = (found.density_error > DENSITY_ERROR) & (away < NEAR * found.density_error)
    weak = (found.limit_error > LIMIT_ERROR) | undecided
    return np.asarray(weak.any(axis=1) | ~(found.effective >= FEW))


def _of_response(target: Target, responses: Responses, t: int) -> Target:
    """Return the target of one of the responses."""
    kernel = with_products(target.kernel, responses.put_in(target.kernel.products, t))
    return replace(target, kernel=kernel)


def _points(
    target: Target, responses: Responses, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return points phi (K, d) for all responses, and their log density under the proposal."""
    if not target.size:  # nothing but beta is unknown
        return np.zeros((1, 0)), np.zeros(1)
    T = responses.yy.size
    modes = []
    for t in np.linspace(0, T - 1, min(T, PILOTS)).astype(int).tolist():
        one = _of_response(target, responses, t)
        points = PointsOf(one)
        modes.append(find_mode(points.log_density, points.value_and_slope, start_phi(one)))
    first = joined([first_proposal(mode, target.tails) for mode in modes], [1.0] * len(modes))
    x = first.draw(FIRST, rng)
    nothing = np.zeros((0, target.precision.shape[0]))
    seen = _weighed(target, responses, x, first.log_density(x), nothing)
    known = seen.weights[:, np.isfinite(seen.weights).all(axis=0)]
    if not known.size:
        raise DataError(NOWHERE)
    pooled = np.log(np.maximum(known.mean(axis=1), np.finfo(float).tiny))
    around = np.mean([mode.covariance for mode in modes], axis=0)
    fitted = fitted_mixture(x, pooled, COMPONENTS, around=around, rng=rng)
    proposal = joined([fitted, first], [1 - DEFENSIVE, DEFENSIVE])
    x = proposal.draw(POINTS * target.size, rng)
    return x, proposal.log_density(x)


def _alone(
    target: Target, responses: Responses, t: int, L: FloatArray, rng: np.random.Generator
) -> "_Weighed":
    """Explore one response with points of its own."""
    one = _of_response(target, responses, t)
    points = PointsOf(one)
    mode = find_mode(points.log_density, points.value_and_slope, start_phi(one))
    adapted = adapt(points.log_density, mode, tails=target.tails, rounds=ALONE, rng=rng)
    x = adapted.proposal.draw(ALONE_POINTS, rng)
    own = responses.take(slice(t, t + 1))
    return _weighed(target, own, x, adapted.proposal.log_density(x), L)


@record(kw_only=False)
class _Weighed:
    """K points phi weighed by T responses.

    Attributes
    ----------
    log_weights : array, shape (K, T)
    mean : array, shape (K, T, c), means of L beta given phi
    sd : array, shape (K, c)
    """

    log_weights: FloatArray
    mean: FloatArray
    sd: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Weights (K, T) that add up to one for each response, NaN where no point has any."""
        highest = self.log_weights.max(axis=0)
        w = np.exp(self.log_weights - np.where(np.isfinite(highest), highest, 0.0))
        total = w.sum(axis=0)
        return np.asarray(w / np.where(total > 0, total, np.nan))

    def posteriors(self, level: float) -> ManyPosteriors:
        """Return what the weighted mixtures of Gaussians say."""
        w = self.weights
        mean = np.einsum("kt,ktc->tc", w, self.mean)
        variance = np.einsum("kt,ktc->tc", w, (self.sd**2)[:, None] + (self.mean - mean) ** 2)
        sd = np.sqrt(variance)
        limits = [self._quantile(w, mean, sd, (1 + s * level) / 2) for s in (-1, 1)]
        with np.errstate(over="ignore", under="ignore"):
            height = np.exp(-((self.mean / self.sd[:, None]) ** 2) / 2) / self.sd[:, None]
            at_zero = np.einsum("kt,ktc->tc", w, height)
            spread = _error(w, height, at_zero)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(at_zero) - np.log(2 * np.pi) / 2
            density_error = np.where(at_zero > 0, spread / at_zero, np.inf)
        return ManyPosteriors(
            mean=mean,
            low=limits[0].x,
            high=limits[1].x,
            log_density_at_zero=logs,
            sd=sd,
            limit_error=np.maximum(limits[0].error, limits[1].error) / sd,
            density_error=density_error,
            effective=1 / (w**2).sum(axis=0),
            alone=0,
        )

    def _quantile(self, w: FloatArray, mean: FloatArray, sd: FloatArray, p: float) -> "_Limit":
        """Quantiles (T, c) of the mixtures, by Newton's method between bounds."""
        x = mean + ndtri(p) * sd
        reach = FURTHEST * (sd + self.sd.max(axis=0, initial=0.0))
        lower, upper = mean - reach, mean + reach
        for _ in range(NEWTON_STEPS):
            z = (x - self.mean) / self.sd[:, None]
            below = ndtr(z)
            miss = np.einsum("kt,ktc->tc", w, below) - p
            height = np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * self.sd[:, None])
            slope = np.maximum(np.einsum("kt,ktc->tc", w, height), np.finfo(float).tiny)
            if (np.abs(miss) < SETTLED).all():
                break
            lower, upper = np.where(miss < 0, x, lower), np.where(miss > 0, x, upper)
            step = x - miss / slope
            x = np.where((step > lower) & (step < upper), step, (lower + upper) / 2)
        return _Limit(x, _error(w, below, np.full_like(x, p)) / slope)


@record(kw_only=False)
class _Limit:
    """Quantiles (T, c) and their Monte-Carlo errors."""

    x: FloatArray
    error: FloatArray


def _error(w: FloatArray, values: FloatArray, mean: FloatArray) -> FloatArray:
    """Monte-Carlo errors (T, c) of means of values (K, T, c) under weights (K, T)."""
    return np.sqrt(np.einsum("kt,ktc->tc", w**2, (values - mean) ** 2))


def _weighed(
    target: Target, responses: Responses, x: FloatArray, log_proposal: FloatArray, L: FloatArray
) -> _Weighed:
    """Weigh points (K, d), drawn from a proposal, by each response."""
    kernel = target.kernel
    wide = [
        np.concatenate([zx, np.moveaxis(zy, 0, 2)], axis=2)[None]
        for zx, zy in zip(kernel.products.zx, responses.zy, strict=True)
    ]
    columns = responses.yy.size + kernel.products.xy.size
    size = max(
        1, AT_ONCE // max(1, columns * sum(A.shape[0] * A.shape[1] for A in kernel.products.zz))
    )
    at = partial(_at, target, responses, wide, L)
    nowhere = _Weighed(
        log_weights=np.full((1, responses.yy.size), -np.inf),
        mean=np.zeros((1, responses.yy.size, L.shape[0])),
        sd=np.ones((1, L.shape[0])),
    )
    parts = [_batch(at, x[i : i + size], nowhere) for i in range(0, x.shape[0], size)]
    found = _joined(parts)
    logs = found.log_weights - log_proposal[:, None]
    return replace(found, log_weights=np.where(np.isnan(logs), -np.inf, logs))


def _joined(parts: Sequence[_Weighed]) -> _Weighed:
    return _Weighed(
        np.concatenate([part.log_weights for part in parts]),
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.sd for part in parts]),
    )


def _batch(at: Callable[[FloatArray], _Weighed], phi: FloatArray, nowhere: _Weighed) -> _Weighed:
    """Return log densities and conditional means at a batch of points, as weights without proposal.

    A batch of which a point can't be computed is taken in halves, down to the point.
    """
    try:
        return at(phi)
    except np.linalg.LinAlgError:
        half = phi.shape[0] // 2
    if not half:
        return nowhere
    return _joined([_batch(at, part, nowhere) for part in (phi[:half], phi[half:])])


def _at(
    target: Target,
    responses: Responses,
    wide: list[FloatArray],
    L: FloatArray,
    phi: FloatArray,
) -> _Weighed:
    kernel, coordinates, anchor = target.kernel, target.coordinates, target.kernel.products.anchor
    p, n = kernel.products.xy.size, kernel.products.n_obs
    sigma = coordinates.sigma(phi) if phi.shape[1] else np.ones(phi.shape[0])
    Lambdas = lambdas_of(target, phi, sigma)
    xx = np.repeat(kernel.products.xx[None], phi.shape[0], axis=0)
    xy = np.repeat(responses.xy.T[None], phi.shape[0], axis=0)
    yy = np.repeat(responses.yy[None], phi.shape[0], axis=0)
    log_det: FloatArray | float = 0.0
    if Lambdas:
        factor = kernel.blocks.factorise(Lambdas)
        log_det = factor.log_det
        half = factor.half_solve(
            [transpose_times(A, z) for A, z in zip(Lambdas, wide, strict=True)]
        )
        for part in half:
            flat = part.reshape(part.shape[0], -1, part.shape[3])
            left, right = flat[:, :, :p], flat[:, :, p:]
            xx -= np.swapaxes(left, 1, 2) @ left
            xy -= np.swapaxes(left, 1, 2) @ right
            yy -= np.einsum("kjt,kjt->kt", right, right)
    precision = (sigma**-2)[:, None]
    root = cholesky_stack(xx * precision[:, None] + target.precision)
    above = solve_lower_stack(root, xy * precision[:, None] + target.shift[:, None])
    fit = np.einsum("kpt,kpt->kt", above, above)
    log_det_p = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    of_phi = (
        n * np.log(2 * np.pi * sigma**2)
        + log_det
        - kernel.products.sum_log_weights
        + log_det_p
        + target.constant
    )
    logs = -(of_phi[:, None] + yy * precision - fit) / 2 + log_prior(target, phi)[:, None]
    logs = np.where(np.reshape(loses_identity(target, Lambdas), (-1, 1)), -np.inf, logs)
    rows = L @ anchor.x_basis
    spread = solve_lower_stack(root, np.repeat(rows.T[None], phi.shape[0], axis=0))
    means = np.swapaxes(rows @ solve_upper_stack(root, above), 1, 2)
    return _Weighed(
        log_weights=logs,
        mean=np.asarray(L @ anchor.beta0 + means),
        sd=np.sqrt((spread**2).sum(axis=1)),
    )
