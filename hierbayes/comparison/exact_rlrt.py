"""Exact null distribution of the (restricted) likelihood ratio of one variance component.

In y = X beta + Z b + e with b ~ N(0, lambda sigma^2 I) the ratio for lambda = 0 is distributed as

    restricted    sup_l  (n - p) log(1 + N(l) / D(l)) - sum_k log(1 + l mu_k)
    unrestricted  sup_l        n log(1 + N(l) / D(l)) - sum_k log(1 + l xi_k)

    N(l) = sum_k l mu_k / (1 + l mu_k) w_k^2,   D(l) = sum_k w_k^2 / (1 + l mu_k) + S,

with w_k independent standard normal, S ~ chi2_{n - p - K}, mu_k the K eigenvalues of Z'W^1/2 P0
W^1/2 Z (P0 projects X out) and xi_k those of Z'WZ. Nothing asymptotic is in it, however few the
levels. With a known residual sd the first term is N(l). The eigenvalues come from cross-products;
a draw costs as many numbers as there are different eigenvalues.

Source: Crainiceanu & Ruppert (2004), J. R. Stat. Soc. B 66:165, theorems 1 and 2.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.calls import checked_call
from hierbayes.capabilities import not_supported
from hierbayes.errors import DataError, NotSupportedError, OptionError
from hierbayes.gaussian.levels_apart import independent
from hierbayes.gaussian.marginal import Kernel, evaluate
from hierbayes.intervals.replicates import checked_count
from hierbayes.options import Method, random_generator
from hierbayes.results.exact_test import ExactTest
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.linear_fit import LinearFit

# The supremum is sought on a grid of log lambda and refined by a parabola through its three best
# points; in units of the mean eigenvalue, wide enough that the ratio is flat at both ends.
LOG_GRID = np.linspace(np.log(1e-6), np.log(1e8), 320)
SAME = 1e-9  # eigenvalues this close (relative to the largest) are one of higher multiplicity
# Eigenvalues below this part of the largest of Z'WZ are zero: of what X explains rounding leaves
# 1e-15.
ZERO = 1e-10
# A ratio below this is zero: what rounding leaves of the difference of two criteria.
ZERO_RATIO = 1e-8
AT_ONCE = 2**21  # numbers of one block of replicates x grid: 16 MB
MAX_LEVELS = 5000  # the eigenvalues of so many levels take half a minute


@record
class Spectrum:
    """What the null distribution depends on.

    Attributes
    ----------
    mu : array, shape (K,), different positive eigenvalues, with ``count`` (K,) how often each
    xi : array, shape (J,), eigenvalues in the log-determinant: mu's, or without X projected out
    n_rest : n - p - sum(count), the directions the random effects do not touch
    df : n - p (restricted) or n
    sigma_known : the residual sd is known
    """

    mu: FloatArray
    count: IntArray
    xi: FloatArray
    n_rest: int
    df: int
    sigma_known: bool


@checked_call("hb.exact_rlrt")
def exact_rlrt(fit: LikelihoodFit, nsim: int = 10_000, random_seed: Any = None) -> ExactTest:
    """Test the one variance component of a model by its exact restricted likelihood ratio.

    Parameters
    ----------
    fit : LinearFit
        With a single variance component, such as ``(1 | g)`` or ``(0 + x | g)``. An ML fit is
        fitted again by REML.
    nsim : int
        Draws of the null distribution.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    ExactTest
        ``statistic``, ``p_value`` = (1 + draws that reach it) / (1 + nsim), its Monte-Carlo error
        ``mcse``, and ``null``, the draws.

    Raises
    ------
    NotSupportedError
        For a model with several variance components: ``hb.pb_test`` has no such limit.
    DataError
        If the data cannot tell the random effects from the residuals.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> test = hb.exact_rlrt(fit, random_seed=1)
    >>> round(test.statistic, 3), test.p_value < 0.01
    (6.369, True)
    """
    return exact_test(fit, "reml", nsim=nsim, random_seed=random_seed)


@checked_call("hb.exact_lrt")
def exact_lrt(fit: LikelihoodFit, nsim: int = 10_000, random_seed: Any = None) -> ExactTest:
    """Test the one variance component of a model by its exact (unrestricted) likelihood ratio.

    The twin of ``exact_rlrt`` for ML, with its arguments; the restricted test has more power.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), reml=False)
    >>> round(hb.exact_lrt(fit, random_seed=1).statistic, 3)
    5.403
    """
    return exact_test(fit, "ml", nsim=nsim, random_seed=random_seed)


def exact_test(fit: LikelihoodFit, method: Method, *, nsim: int, random_seed: Any) -> ExactTest:
    """Test the one variance component of a model by the likelihood ratio of a method."""
    if isinstance(fit, GeneralisedFit):
        raise not_supported("exact-test-of-family", family=fit.family, link=fit.link)
    if not isinstance(fit, LinearFit):
        raise OptionError(
            f"The exact test is about a fit of hb.lmer; it got {fit.__class__.__name__}."
        )
    count = checked_count(nsim)
    rng = random_generator(random_seed)
    if (refusal := why_not_exact(fit)) is not None:
        raise refusal
    used = fit.with_method(method)
    statistic = ratio_of(used)
    null = null_draws(spectrum_of(independent(used.kernel)), count, rng)
    reached = int((null >= statistic - ZERO_RATIO).sum()) if statistic else count
    p_value = (1 + reached) / (1 + count)
    return ExactTest(
        statistic=statistic,
        p_value=p_value,
        mcse=float(np.sqrt(p_value * (1 - p_value) / count)),
        nsim=count,
        method=method,
        term=fit.design.terms[0].label,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
        refitted=used is not fit,
        zero_share=float((null <= ZERO_RATIO).mean()),
        null=null,
    )


def why_not_exact(fit: LinearFit) -> NotSupportedError | None:
    """Return the error that says why a model has no exact test, or None if it has one."""
    components = sum(len(term.columns) for term in fit.design.terms)
    if components == 0:
        return not_supported("exact-test-without-effects")
    if components > 1:
        return not_supported(
            "exact-test-components", formula=fit.formula_text, components=components
        )
    if fit.residual is not None:
        return not_supported("exact-test-residuals")
    factor = fit.design.factors[0]
    if factor.levels.size > MAX_LEVELS:
        return not_supported(
            "exact-test-size", factor=factor.name, levels=factor.levels.size, most=MAX_LEVELS
        )
    return None


def ratio_of(fit: LinearFit) -> float:
    """Twice the log-likelihood lost by setting the one variance to zero; 0 on the boundary."""
    null = evaluate(fit.kernel, np.zeros((1, 1))).criterion[0]
    ratio = float(null - fit.criterion)
    return ratio if ratio > ZERO_RATIO else 0.0


def spectrum_of(kernel: Kernel) -> Spectrum:
    """Eigenvalues of Z'WZ with and without X projected out, from the cross-products.

    Raises
    ------
    DataError
        If the random effects are not told from the residuals: every direction has one eigenvalue.
    """
    products = kernel.products
    z2, zx = products.zz[0][:, 0, 0], products.zx[0][:, 0, :]
    half = np.linalg.solve(np.linalg.cholesky(products.xx), zx.T)
    mu = np.linalg.eigvalsh(np.diag(z2) - half.T @ half)
    mu = mu[mu > ZERO * z2.max(initial=0.0)]
    order = np.sort(mu)
    first = np.append(True, np.diff(order) > SAME * order.max(initial=0.0))
    starts = np.flatnonzero(first)
    count = np.diff(np.append(starts, order.size))
    p = products.xx.shape[0]
    n_rest = products.n_obs - p - order.size
    if order.size == 0 or (n_rest == 0 and starts.size == 1 and not kernel.sigma_known):
        raise DataError(
            "These data cannot tell this variance from the residual one, so there is nothing to "
            "test: every level has the same share in every row."
        )
    restricted = kernel.method == "reml"
    return Spectrum(
        mu=np.add.reduceat(order, starts) / count,
        count=count,
        xi=order if restricted else z2[z2 > 0],
        n_rest=n_rest,
        df=products.n_obs - p if restricted else products.n_obs,
        sigma_known=kernel.sigma_known,
    )


def null_draws(spectrum: Spectrum, nsim: int, rng: np.random.Generator) -> FloatArray:
    """Draw likelihood ratios under a variance of zero, shape (nsim,), never negative."""
    lam = np.exp(LOG_GRID) / spectrum.mu.mean()
    shrink = 1 / (1 + lam[:, None] * spectrum.mu)
    log_det = np.log1p(lam[:, None] * spectrum.xi).sum(axis=1)
    squares = rng.chisquare(spectrum.count, size=(nsim, spectrum.mu.size))
    rest = rng.chisquare(spectrum.n_rest, size=nsim) if spectrum.n_rest else np.zeros(nsim)
    total = squares.sum(axis=1) + rest
    out = np.empty(nsim)
    for part in _blocks(nsim, lam.size):
        D = squares[part] @ shrink.T + rest[part, None]
        if spectrum.sigma_known:
            value = total[part, None] - D - log_det
        else:
            value = spectrum.df * np.log(total[part, None] / D) - log_det
        out[part] = _refined_maximum(value)
    return np.maximum(out, 0.0)


def _blocks(nsim: int, width: int) -> Iterator[slice]:
    step = max(1, AT_ONCE // width)
    for start in range(0, nsim, step):
        yield slice(start, min(start + step, nsim))


def _refined_maximum(value: FloatArray) -> FloatArray:
    """Maximum of each row, by the parabola through its highest point and the two beside it."""
    rows = np.arange(value.shape[0])
    best = np.argmax(value, axis=1)
    inner = np.clip(best, 1, value.shape[1] - 2)
    left, middle, right = (value[rows, inner + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    is_top = (inner == best) & (bend < 0)
    gain = np.divide((right - left) ** 2, -8 * bend, where=is_top, out=np.zeros_like(bend))
    return np.asarray(value[rows, best] + gain)
