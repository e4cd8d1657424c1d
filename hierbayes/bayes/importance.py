"""Adaptive importance sampling and independence Metropolis for a density in a few dimensions.

From the mode and its curvature a t distribution is drawn from; a mixture of t distributions is
fitted to the weighted points and drawn from again, for a few rounds. The last mixture proposes for
chains of independence Metropolis, whose acceptance depends on the weights alone, or its draws are
resampled by weight, which takes fewer; and they give log of the integral of the density, with a
Monte-Carlo error, and the Pareto k of the weights. Knows no models: the density comes as a function
of points (N, d).

Source: Cappe, Douc, Guillin, Marin & Robert (2008), Statistics and Computing 18:447 (adaptive
mixtures).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.mixture import TMixture, fitted_mixture, joined, log_sum_exp, single
from hierbayes.bayes.pareto_smoothing import pareto_k
from hierbayes.bayes.thinned import Thinned, thinned
from hierbayes.linalg.newton import Goal, Locals, Problem, minimise

WIDEST_SD = 3.0  # of a coordinate (a log sd) at the mode, where the curvature says "anything"
# The first proposal: scales over the curvature's, and their parts.
SCALES = (1.2, 3.0)
PARTS = (0.6, 0.2)
# The log of an sd that may be zero has a left tail falling like e^x, which the curvature at the
# mode does not see: a component moved down it and stretched along it, for each.
TAIL_DEPTH = 4.0  # how far it is looked for at least, by a component of half of that as mean and sd
TAIL_PART = 0.2
TAIL_FROM = 0.1  # sd of a log sd at the mode below which zero is ten sds away and more
DEFENSIVE = 0.15  # part of each mixture that stays with the first proposal
# A component for each such tail, fitted to the part of the points that is lowest: there the others
# have settled, and the tail goes on from it by about one with a standard deviation of one, fallen
# like e^x.
LOWEST, ONWARDS, WIDTH = 0.15, 1.0, 1.5
TAIL_SHRINK = 0.3  # part of the covariance of all points in that of the lowest
STEP = 1e-4  # of the finite differences of the gradient that give the curvature
# Step of differences of values, in sds: a fraction of them, whose square is far above the rounding
# of log f.
VALUE_STEP = 0.03
LONGEST_CLIMB = 3.0  # of a coordinate at a time: a factor of 20 of an sd
SHORT_CLIMB = 1.0  # the same where steps that have to be taken back cost much
# Rise of log f that one more step promises, where a climb ends. What is drawn from there is
# weighted, so that near the mode is near enough; but 1e-7 of it is 5e-4 sds, and draws of one seed
# show no more than that of the start or the unit from which the mode was reached.
NEAR_MODE = Goal(decrement=1e-7, max_steps=50)


@record(kw_only=False)
class Mode:
    """Mode (d,) of a density and the covariance (d, d) its curvature implies."""

    x: FloatArray
    covariance: FloatArray


@record
class ImportanceSample:
    """Independent draws of the last proposal.

    Attributes
    ----------
    x : array, shape (N, d)
    log_density : array, shape (N,)
    log_weights : array, shape (N,), log density minus log proposal
    efficiency : effective part of the draws, 1 / (N sum w^2) for normalised w
    pareto_k : shape of the tail of the weights
    log_integral, log_integral_mcse : log mean weight and its Monte-Carlo error
    """

    x: FloatArray
    log_density: FloatArray
    log_weights: FloatArray
    efficiency: float
    pareto_k: float
    log_integral: float
    log_integral_mcse: float


class _Climb(Problem[None]):
    """Minus log f as a function to be minimised; its curvature is that of differences of slopes."""

    longest = LONGEST_CLIMB
    least_curvature = WIDEST_SD**-2.0

    def __init__(
        self,
        log_density: Callable[[FloatArray], FloatArray],
        value_and_slope: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    ) -> None:
        self.log_density, self.value_and_slope = log_density, value_and_slope

    def at(self, x: FloatArray) -> Locals[None]:
        """Return minus log f at one point (1, d)."""
        return Locals(-self.log_density(x), lambda: self._around(x)[1:], [None])

    def start(self, x: FloatArray) -> Locals[None]:
        """Return ``at`` where derivatives are wanted in any case: they bring the value along."""
        value, gradient, curvature = self._around(x)
        return Locals(value, lambda: (gradient, curvature), [None])

    def _around(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = x.shape[1]
        steps = STEP * np.eye(d)
        values, slopes = self.value_and_slope(np.concatenate([x, x + steps, x - steps]))
        curvature = (slopes[1 + d :] - slopes[1 : 1 + d]) / (2 * STEP)
        return -values[:1], -slopes[:1], (curvature + curvature.T)[None] / 2


class _ClimbByValues(_Climb):
    """The same where there are no slopes: gradient and curvature by differences of values."""

    longest = SHORT_CLIMB

    def __init__(self, log_density: Callable[[FloatArray], FloatArray], sizes: FloatArray) -> None:
        self.log_density, self.steps = log_density, VALUE_STEP * sizes

    def _around(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = x.shape[1]
        i, j = np.triu_indices(d, 1)
        h = self.steps * np.eye(d)
        both = h[i] + h[j]
        values = -self.log_density(np.concatenate([x, x + h, x - h, x + both, x - both]))
        if not np.isfinite(values).all():
            raise np.linalg.LinAlgError("the density cannot be computed all around a point")
        here, up, down = values[0], values[1 : 1 + d], values[1 + d : 1 + 2 * d]
        pairs = values[1 + 2 * d :].reshape(2, -1).sum(axis=0)
        gradient = (up - down) / (2 * self.steps)
        own = up + down - 2 * here
        curvature = np.diag(own / self.steps**2)
        curvature[i, j] = (pairs - 2 * here - own[i] - own[j]) / (2 * self.steps[i] * self.steps[j])
        curvature[j, i] = curvature[i, j]
        sds = 1 / np.sqrt(np.maximum(np.diag(curvature), self.least_curvature))
        self.steps = np.clip(VALUE_STEP * sds, self.steps / 100, VALUE_STEP)
        return values[:1], gradient[None], curvature[None]


def find_mode(
    log_density: Callable[[FloatArray], FloatArray],
    value_and_slope: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    start: FloatArray,
) -> Mode:
    """Climb to the mode of log f from ``start`` (d,) and take the curvature there.

    Parameters
    ----------
    log_density : callable, points (N, d) -> log f (N,)
    value_and_slope : callable, points (N, d) -> log f (N,) and its gradient (N, d)
    start : array, shape (d,)
    """
    return _climbed(_Climb(log_density, value_and_slope), start)


def find_mode_by_values(
    log_density: Callable[[FloatArray], FloatArray], start: FloatArray, sizes: FloatArray
) -> Mode:
    """Climb to the mode of log f as ``find_mode`` does, where f has no slopes at hand.

    Parameters
    ----------
    log_density : callable, points (N, d) -> log f (N,)
    start : array, shape (d,)
    sizes : array, shape (d,), by how much each coordinate is known, roughly
    """
    return _climbed(_ClimbByValues(log_density, sizes), start)


def _climbed(climb: _Climb, start: FloatArray) -> Mode:
    found = minimise(climb, start[None], goal=NEAR_MODE, there=climb.start(start[None]))
    size, axes = np.linalg.eigh(found.curvature[0])
    size = np.maximum(size, WIDEST_SD**-2.0)
    return Mode(found.x[0], (axes / size) @ axes.T)


@record(kw_only=False)
class Round:
    """A round of adapting: n draws, and K components fitted unless they are efficient enough."""

    n: int
    components: int
    enough: float


@record(kw_only=False)
class Adapted:
    """A proposal, the efficiency of the last one whose draws were weighed, and all that was drawn.

    Points x (N, d), their log density (N,), and log weights (N,): that density minus the one of all
    proposals together.
    """

    proposal: Thinned
    efficiency: float
    x: FloatArray
    log_density: FloatArray
    log_weights: FloatArray


def adapt(
    log_density: Callable[[FloatArray], FloatArray],
    mode: Mode,
    *,
    tails: Mapping[int, float],
    rounds: Sequence[Round],
    rng: np.random.Generator,
    thin: bool = False,
) -> Adapted:
    """Return a proposal adapted to the density in a few rounds of draws.

    ``tails`` are the coordinates that may run to minus infinity (logs of sds that may be zero), and
    how far below the mode there may be mass that it does not see. With ``thin`` draws that would
    carry little weight are left out (``thinned.py``), which pays where the density costs more than
    proposals do.
    """
    first = first_proposal(mode, tails)
    proposal, efficiency = Thinned(_compiled(first) if thin else first), 0.0
    every, logs, all_weights = np.empty((0, mode.x.size)), np.empty(0), np.empty(0)
    proposals: list[Thinned] = []
    sizes: list[int] = []
    under: list[FloatArray] = []  # log density of each proposal at every point, worked out once
    for now in rounds:
        x = proposal.draw(now.n, rng)
        reached, own = log_density(x), proposal.log_density(x)
        efficiency = _efficiency(reached - own)
        if not np.isfinite(reached).any():
            break  # nothing to fit a proposal to
        before = zip(under, proposals, strict=True)
        under = [np.append(known, q.log_density(x)) for known, q in before]
        under.append(np.append(proposal.log_density(every), own))
        every, logs = np.concatenate([every, x]), np.append(logs, reached)
        proposals.append(proposal)
        sizes.append(now.n)
        parts = np.log(np.array(sizes) / sum(sizes))[:, None]
        all_weights = logs - log_sum_exp(np.stack(under) + parts, axis=0)
        if efficiency > now.enough:
            break
        if thin:
            proposal = refitted(every, logs, all_weights, mode, tails, now.components, rng)
        else:
            around = mode.covariance
            fitted = fitted_mixture(every, all_weights, now.components, around=around, rng=rng)
            proposal = Thinned(joined([fitted, first], [1 - DEFENSIVE, DEFENSIVE]))
    return Adapted(proposal, efficiency, every, logs, all_weights)


def refitted(
    x: FloatArray,
    log_density: FloatArray,
    log_weights: FloatArray,
    mode: Mode,
    tails: Mapping[int, float],
    components: int,
    rng: np.random.Generator,
) -> Thinned:
    """Return a thinned proposal fitted to weighted points (N, d)."""
    from hierbayes.bayes.proposal_kernel import CompiledMixture

    around = mode.covariance
    fitted = fitted_mixture(
        x, log_weights, components, around=around, rng=rng, kind=CompiledMixture
    )
    open_ended = _tail_components(x, log_weights, _open_ended(mode, tails))
    wide = [first_proposal(mode, tails), *open_ended]
    bulk = 1 - DEFENSIVE * len(wide)
    mixture = joined([fitted, *wide], [bulk, *[DEFENSIVE] * len(wide)])
    return thinned(_compiled(mixture), x, log_density, log_weights, tails, rng)


def _compiled(mixture: TMixture) -> TMixture:
    from hierbayes.bayes.proposal_kernel import compiled

    return compiled(mixture)


def first_proposal(mode: Mode, tails: Mapping[int, float]) -> TMixture:
    """Return what is drawn from around a mode before anything else is known; see ``adapt``."""
    parts = [single(mode.x, scale**2 * mode.covariance) for scale in SCALES]
    open_ended = _open_ended(mode, tails)
    for i in open_ended:
        half = max(tails[i], TAIL_DEPTH) / 2
        direction = mode.covariance[:, i] / mode.covariance[i, i]
        stretch = half**2 * np.outer(direction, direction)
        parts.append(single(mode.x - half * direction, mode.covariance + stretch))
    return joined(parts, [*PARTS, *[TAIL_PART / max(len(open_ended), 1)] * len(open_ended)])


def _open_ended(mode: Mode, tails: Mapping[int, float]) -> list[int]:
    """Coordinates whose tail is in reach of the mode."""
    return [i for i in tails if mode.covariance[i, i] > TAIL_FROM**2]


def _tail_components(
    x: FloatArray, log_weights: FloatArray, open_ended: Sequence[int]
) -> list[TMixture]:
    """Components that go on down each open coordinate from the lowest weighted points (N, d)."""
    w = np.exp(log_weights - log_weights.max())
    w = np.where(np.isfinite(w), w, 0.0)
    w /= w.sum()
    x = np.where(w[:, None] > 0, x, 0.0)
    away = x - w @ x
    every = away.T @ (away * w[:, None])
    found = []
    for i in open_ended:
        order = np.argsort(x[:, i])
        order = order[w[order] > 0]
        last = min(int(np.searchsorted(np.cumsum(w[order]), LOWEST)), order.size - 1)
        low = order[: last + 1]
        own = w[low] / w[low].sum()
        mean = own @ x[low]
        away = x[low] - mean
        covariance = (1 - TAIL_SHRINK) * (away.T @ (away * own[:, None])) + TAIL_SHRINK * every
        covariance[i], covariance[:, i] = 0.0, 0.0
        covariance[i, i] = WIDTH**2
        mean[i] = x[order[last], i] - ONWARDS
        found.append(single(mean, covariance))
    return found


def weigh(x: FloatArray, log_density: FloatArray, log_proposal: FloatArray) -> ImportanceSample:
    """Weigh independent draws x (N, d) of a proposal, given log f and its log density there."""
    n = x.shape[0]
    log_weights = log_density - log_proposal
    log_weights = np.where(np.isnan(log_weights), -np.inf, log_weights)
    log_mean = float(log_sum_exp(log_weights) - np.log(n))
    relative = np.exp(log_weights - log_mean)
    return ImportanceSample(
        x=x,
        log_density=log_density,
        log_weights=log_weights,
        efficiency=_efficiency(log_weights),
        pareto_k=pareto_k(log_weights),
        log_integral=log_mean,
        log_integral_mcse=float(relative.std(ddof=1) / np.sqrt(n)),
    )


def weigh_thinned(
    x: FloatArray,
    log_density: FloatArray,
    proposals: Sequence[tuple[Thinned, int]],
    rng: np.random.Generator,
) -> ImportanceSample:
    """Weigh draws x (N, d) of thinned mixtures, so many of each, given log f there.

    Each is weighed by the density of all together. Where weights are even their largest ones say
    nothing of a tail. It is then judged as if nothing had been left out: no weight that is used is
    larger than those by more than a constant.
    """
    parts = [np.log(n / x.shape[0]) for _, n in proposals]
    mixtures = [proposal.mixture.log_density(x) for proposal, _ in proposals]
    pairs = list(zip(proposals, mixtures, parts, strict=True))
    whole = log_sum_exp(np.stack([own + part for _, own, part in pairs]), axis=0)
    thin = [p.log_kept(x, own) + own - p.log_part + part for (p, _), own, part in pairs]
    under = log_sum_exp(np.stack(thin), axis=0)
    found = weigh(x, log_density, under)
    if all(proposal.surrogate is None for proposal, _ in proposals):
        return found
    log_kept = under - whole - (under - whole).max()
    copies = np.floor(np.exp(-log_kept) + rng.random(x.shape[0])).astype(np.intp)
    k_of_whole = pareto_k(np.repeat(found.log_weights + log_kept, copies))
    errors = [proposal.log_part_mcse for proposal, _ in proposals]
    return replace(
        found,
        pareto_k=min(found.pareto_k, k_of_whole),
        log_integral_mcse=float(np.hypot(found.log_integral_mcse, max(errors))),
    )


def metropolis(
    drawn: ImportanceSample, *, chains: int, draws: int, rng: np.random.Generator
) -> IntArray:
    """Chains of independence Metropolis over independent proposals, thinned evenly.

    Each chain starts from one of its proposals picked by weight, so that it begins in the target.

    Returns
    -------
    array of int, shape (chains, draws)
        Positions in ``drawn.x``.
    """
    per_chain = drawn.x.shape[0] // chains
    log_w = drawn.log_weights[: chains * per_chain].reshape(chains, per_chain)
    log_u = np.log(rng.random((chains, per_chain)))
    normalised = np.exp(log_w - log_sum_exp(log_w, axis=1)[:, None])
    first = [int(rng.choice(per_chain, p=one / one.sum())) for one in normalised]
    path = np.array([_walk(*each) for each in zip(log_w, log_u, first, strict=True)])
    kept = np.linspace(per_chain / draws - 1, per_chain - 1, draws).round().astype(np.intp)
    return np.asarray(path[:, kept] + per_chain * np.arange(chains)[:, None])


def resampled(
    drawn: ImportanceSample, *, chains: int, draws: int, rng: np.random.Generator
) -> IntArray:
    """Chains of draws from independent proposals, each as often as its weight says.

    Every chain has proposals of its own, picked at random and taken by systematic resampling:
    copies of one follow each other, so that effective sizes count them, and where weights are even
    there are next to none.

    Returns
    -------
    array of int, shape (chains, draws)
        Positions in ``drawn.x``.

    Notes
    -----
    Source: Douc, Cappe & Moulines (2005), ISPA 2005, 64-69 (comparison of resampling schemes).
    """
    per_chain = drawn.x.shape[0] // chains
    order = rng.permutation(drawn.x.shape[0])[: chains * per_chain].reshape(chains, per_chain)
    log_w = drawn.log_weights[order]
    ends = np.cumsum(np.exp(log_w - log_w.max(axis=1, keepdims=True)), axis=1)
    at = (rng.random((chains, 1)) + np.arange(draws)) / draws
    pairs = zip(ends / ends[:, -1:], at, strict=True)
    path = np.stack([np.minimum(np.searchsorted(*pair), per_chain - 1) for pair in pairs])
    return np.asarray(np.take_along_axis(order, path, axis=1))


def copies_of(drawn: ImportanceSample, n: int, proposals: int) -> tuple[float, float]:
    """Effective part of n resampled draws, and of those for the mean of a coordinate, at least.

    The part is n over the sum of squared copies, and for the mean of a coordinate that with draws
    counted by their squared distance from it.

    Parameters
    ----------
    proposals : how many there will be, of weights like those of ``drawn``
    """
    relative = np.exp(drawn.log_weights - drawn.log_integral) * n / proposals
    whole = np.floor(relative)
    squares = whole**2 + (2 * whole + 1) * (relative - whole)
    away = (drawn.x - relative @ drawn.x / relative.sum()) ** 2
    away = np.column_stack([np.ones(relative.size), away[:, away.any(axis=0)]])
    parts = relative @ away / (squares @ away)
    return float(parts[0]), float(parts.min())


def _walk(log_w: FloatArray, log_u: FloatArray, now: int) -> list[int]:
    """Where a chain is after each proposal; plain numbers, as array operations cost more here."""
    path = []
    needed = log_w.tolist()
    height = needed[now]
    for i, (w, u) in enumerate(zip(needed, log_u.tolist(), strict=True)):
        if u < w - height:
            now, height = i, w
        path.append(now)
    return path


def _efficiency(log_weights: FloatArray) -> float:
    finite = log_weights[np.isfinite(log_weights)]
    if not finite.size:
        return 0.0
    return float(np.exp(2 * log_sum_exp(finite) - log_sum_exp(2 * finite)) / log_weights.size)
