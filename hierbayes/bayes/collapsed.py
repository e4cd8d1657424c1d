"""The collapsed sampler: the posterior of a Gaussian model in a fraction of a second.

beta and b are integrated out on the kernel REML uses, so only the variance parameters phi are
sampled (``collapsed_density.py``), by adaptive importance sampling and independence Metropolis
(``importance.py``). Given phi, beta and b are drawn exactly from their Gaussian distribution:

    beta ~ N(mu, P^-1),    b = Lambda L'^-1 (L^-1 Lambda'Z'W(y - X beta) + sigma z).

The mean weight is the marginal likelihood p(y).
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from hierbayes.bayes.collapsed_density import Conditional, Target, collapsed, slope, target_of
from hierbayes.bayes.importance import ImportanceSample, adapt, find_mode, metropolis, weigh
from hierbayes.bayes.mixture import TMixture
from hierbayes.bayes.priors import ModelPriors
from hierbayes.design.design import Design
from hierbayes.gaussian.marginal import Kernel, times
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.finding import Finding

FloatArray = npt.NDArray[np.float64]

BATCH_NUMBERS = 2_000_000  # numbers an evaluation of one batch may hold in its largest array
LARGE = 200_000  # numbers an evaluation of one phi holds, above which proposals are not thinned
ADAPT = (800, (2, 3, 4))  # draws of a round of adapting, and components of each round's mixture
ADAPT_LARGE = (150, (1,))  # many levels make the posterior of their sds nearly normal
THIN = 3  # proposals a draw for small models; they cost nothing and chains mix better
TRUSTED_K = 0.7
BOUNDED = 10.0  # weights this close to their mean have no tail whose shape could matter
START_SD = 0.05  # smallest sd the climb to the mode starts from, in residual sds


def sample_collapsed(
    kernel: Kernel,
    priors: ModelPriors,
    design: Design,
    *,
    draws: int = 1000,
    chains: int = 4,
    random_seed: int | np.random.Generator | np.random.SeedSequence | None = None,
) -> PosteriorDraws:
    """Sample the posterior of a Gaussian model with a Gaussian (or flat) prior on beta.

    Parameters
    ----------
    kernel : Kernel
        Of either method.
    priors : ModelPriors
    design : Design
    draws, chains : int
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    PosteriorDraws
        With a finding "pareto_k" where the weights say that the draws can't be trusted.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(random_seed)
    target = target_of(kernel, priors)
    large = _numbers(kernel) > LARGE
    n = draws * chains * (1 if large else THIN)
    if target.coordinates.size:
        proposal = _proposal(target, rng, large=large)
        x = proposal.draw(n, rng)
        if large:  # an evaluation is dear: draw beta and b of every proposal while it is at hand
            log_density, beta, b = _joint_draws(target, x, rng)
        else:
            log_density = _log_density(target)(x)
        drawn = weigh(proposal, x, log_density)
    else:  # nothing but beta is unknown
        large = False
        drawn = _nothing_to_explore(target, n)
    index = metropolis(drawn, chains=chains, draws=draws, rng=rng).ravel()
    phi = drawn.x[index]
    if large:
        beta, b = beta[index], [part[index] for part in b]
    else:
        _, beta, b = _joint_draws(target, phi, rng)
    shape = (chains, draws)
    marginal = (drawn.log_integral, drawn.log_integral_mcse) if target.is_proper else (None, None)
    sigma = target.coordinates.sigma(phi).reshape(shape)
    return PosteriorDraws(
        beta=beta.reshape(*shape, -1),
        sigma=None if kernel.sigma_known else sigma,
        sd=_sds(target, phi, design, shape),
        corr=_correlations(target, phi, design, shape),
        b={
            factor.name: part.reshape(*shape, *part.shape[1:])
            for factor, part in zip(design.factors, b, strict=True)
        },
        sample_stats={
            "lp": drawn.log_density[index].reshape(shape),
            "log_weight": drawn.log_weights[index].reshape(shape),
        },
        sampler="collapsed",
        log_marginal_likelihood=marginal[0],
        log_marginal_likelihood_mcse=marginal[1],
        pareto_k=drawn.pareto_k,
        findings=_findings(drawn),
        seconds=time.perf_counter() - started,
    )


def _proposal(target: Target, rng: np.random.Generator, *, large: bool) -> TMixture:
    """Climb to the mode and adapt a proposal around it."""

    def value_and_slope(phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, slopes = np.full(phi.shape[0], -np.inf), np.zeros_like(phi)
        for a, b in _batches(phi.shape[0], 4 * _numbers(target.kernel)):
            try:
                at = collapsed(target, phi[a:b])
            except np.linalg.LinAlgError:
                continue
            values[a:b], slopes[a:b] = at.log_density, slope(target, phi[a:b], at)
        return values, slopes

    mode = find_mode(value_and_slope, start_phi(target))
    tails = range(int(target.coordinates.sd_starts[-1]))
    n, components = ADAPT_LARGE if large else ADAPT
    return adapt(_log_density(target), mode, tails=tails, n=n, components=components, rng=rng)


def _nothing_to_explore(target: Target, n: int) -> ImportanceSample:
    value = float(collapsed(target, np.empty((1, 0))).log_density[0])
    return ImportanceSample(
        x=np.empty((n, 0)),
        log_density=np.full(n, value),
        log_weights=np.zeros(n),
        efficiency=1.0,
        pareto_k=-np.inf,
        log_integral=value,
        log_integral_mcse=0.0,
    )


def _log_density(target: Target) -> Callable[[FloatArray], FloatArray]:
    def log_density(phi: FloatArray) -> FloatArray:
        out = np.full(phi.shape[0], -np.inf)
        for a, b in _batches(phi.shape[0], _numbers(target.kernel)):
            out[a:b] = _values(target, phi[a:b])
        return out

    return log_density


def _values(target: Target, phi: FloatArray) -> FloatArray:
    """Log density of a batch; points where it can't be computed get minus infinity."""
    try:
        return collapsed(target, phi).log_density
    except np.linalg.LinAlgError:
        if phi.shape[0] == 1:
            return np.array([-np.inf])
        half = phi.shape[0] // 2
        return np.concatenate([_values(target, phi[:half]), _values(target, phi[half:])])


def start_phi(target: Target) -> FloatArray:
    """Phi (d,) to climb to the mode from: moments of the data, kept off zero."""
    kernel, coordinates = target.kernel, target.coordinates
    products = kernel.products
    sigma = 1.0 if kernel.sigma_known else np.sqrt(products.yy / products.n_obs / 2)
    sds = []
    for A, c, basis in zip(products.zz, products.zy, products.anchor.z_bases, strict=True):
        diagonal = np.diagonal(A, axis1=1, axis2=2)
        excess = (c.T @ c / sigma**2 - A.sum(axis=0)) / (diagonal.T @ diagonal).clip(min=1e-300)
        size, axes = np.linalg.eigh(np.where(np.isfinite(excess), excess, 0.0))
        root = basis @ (axes * np.sqrt(np.clip(size, START_SD**2, 100.0)))
        sds.append(sigma * np.sqrt((root**2).sum(axis=1)))
    roots = [np.eye(len(columns)) for _, columns in kernel.shape.terms]
    return coordinates.phi(sds, roots, float(sigma))


def _joint_draws(
    target: Target, phi: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Log density (N,) and exact draws of beta (N, p) and b, per factor (N, J, q), given phi."""
    kernel, anchor = target.kernel, target.kernel.products.anchor
    p = kernel.products.xy.size
    log_density = np.full(phi.shape[0], -np.inf)
    beta = np.zeros((phi.shape[0], p))
    b = [np.zeros((phi.shape[0], *A.shape[:2])) for A in kernel.products.zz]
    for start, stop in _batches(phi.shape[0], _numbers(kernel)):
        try:
            at = collapsed(target, phi[start:stop])
        except np.linalg.LinAlgError:
            if stop - start > 1:
                raise
            continue  # one proposal at which the density is zero to machine precision
        log_density[start:stop] = at.log_density
        z = rng.standard_normal((stop - start, p, 1))
        basis_beta = at.mean + np.linalg.solve(np.swapaxes(at.root, 1, 2), z)[..., 0]
        beta[start:stop] = anchor.beta0 + basis_beta @ anchor.x_basis.T
        for f, part in enumerate(_effects(at, basis_beta, rng)):
            b[f][start:stop] = part @ anchor.z_bases[f].T
    return log_density, beta, b


def _effects(at: Conditional, beta: FloatArray, rng: np.random.Generator) -> list[FloatArray]:
    """Draw b of each factor (T, J, q) given beta (T, p) and phi, in the basis of the products."""
    factor = at.reduced.factor
    if factor is None:
        return []
    weights = np.concatenate([-beta, np.ones((beta.shape[0], 1))], axis=1)
    right = []
    for half in at.reduced.half:
        noise = at.sigma[:, None, None] * rng.standard_normal(half.shape[:3])
        right.append((np.einsum("tjqc,tc->tjq", half, weights) + noise)[..., None])
    spherical = factor.back_solve(right)
    return [times(L, u)[..., 0] for L, u in zip(at.Lambdas, spherical, strict=True)]


def _sds(
    target: Target, phi: FloatArray, design: Design, shape: tuple[int, int]
) -> dict[str, FloatArray]:
    sds = target.coordinates.sds(phi)
    return {
        factor.name: sd.reshape(*shape, -1) for factor, sd in zip(design.factors, sds, strict=True)
    }


def _correlations(
    target: Target, phi: FloatArray, design: Design, shape: tuple[int, int]
) -> dict[str, FloatArray]:
    """Correlation matrices of the factors that have correlated columns."""
    out: dict[str, FloatArray] = {}
    for term, (f, columns) in enumerate(target.kernel.shape.terms):
        if len(columns) == 1:
            continue
        name, q = design.factors[f].name, target.kernel.shape.sizes[f]
        full = out.setdefault(name, np.tile(np.eye(q), (*shape, 1, 1)))
        R = target.coordinates.correlation_root(phi, term)
        at = np.array(columns)
        block = (R @ np.swapaxes(R, 1, 2)).reshape(*shape, at.size, at.size)
        full[..., at[:, None], at[None, :]] = block
    return out


def _findings(drawn: ImportanceSample) -> tuple[Finding, ...]:
    largest = float(np.exp(drawn.log_weights.max() - drawn.log_integral))
    if drawn.pareto_k <= TRUSTED_K or largest < BOUNDED:
        return ()
    return (
        Finding(
            "pareto_k",
            f"The proposal of the collapsed sampler misses part of the posterior "
            f"(Pareto k {drawn.pareto_k:.2f}, trusted up to {TRUSTED_K}).",
            'Its draws may be too narrow; sampler="nuts" does not depend on a proposal.',
            {"pareto_k": drawn.pareto_k, "efficiency": drawn.efficiency},
        ),
    )


def _numbers(kernel: Kernel) -> int:
    """Numbers that an evaluation of one phi holds."""
    products = kernel.products
    c = products.xy.size + 1
    levels = sum(A.shape[0] * A.shape[1] * (A.shape[1] + c) for A in products.zz)
    rest = sum(A.shape[0] * A.shape[1] for A in products.zz[1:])
    dense = 0 if kernel.structure.name == "nested" else rest**2
    return levels + dense + c**2


def _batches(n: int, numbers: int) -> Iterator[tuple[int, int]]:
    size = max(1, BATCH_NUMBERS // max(numbers, 1))
    for start in range(0, n, size):
        yield start, min(start + size, n)
