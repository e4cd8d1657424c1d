"""The marginal likelihood of a Gaussian model under Jeffreys-Zellner-Siow priors.

y = W mu + sum over terms Z_k (sigma theta_k) + e, theta_k | g_k ~ N(0, g_k I), W ones or nothing.
With all of mu, sigma^2 and theta integrated out, tildes what is left after W, and q its columns,

    log p(y | g) = -log|I + D Z~'Z~ D| / 2 - (n - q) / 2 log(y~'y~ - h'(I + D Z~'Z~ D)^-1 h) + c,

h = D Z~'y~ and D^2 the g of each column, so that everything needed of the data is a cross-product.
c is the same for all models of the same W. The scales g are integrated out over their logarithms:
of one or two terms by the trapezoidal rule, which converges exponentially for an integrand that
falls off smoothly on both sides, of more by adaptive importance sampling.

A term of factors has the products of orthonormal contrasts of its factors, one g a term; numeric
predictors are centred, orthogonalised and scaled to unit variance, one g together; a grouping
factor has the indicators of its levels.

Source: Rouder, Morey, Speckman & Province (2012), J. Math. Psychol. 56:356; Rouder & Morey (2012),
Multivar. Behav. Res. 47:877; Trefethen & Weideman (2014), SIAM Review 56:385.
"""

import math
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace
from itertools import product

import numpy as np
from scipy.special import gammaln, stdtr

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.importance import Round, adapt, find_mode_by_values
from hierbayes.bayes.mixture import log_sum_exp
from hierbayes.bayes.pareto_smoothing import pareto_k
from hierbayes.capabilities import not_supported
from hierbayes.design.design import Design
from hierbayes.design.values import Factor
from hierbayes.errors import DataError
from hierbayes.linalg.rank import column_basis
from hierbayes.linalg.stacked import cholesky_stack, solve_lower_stack
from hierbayes.prior_sensitivity.explorer import FINITE_VARIANCE_K
from hierbayes.priors.parameter_names import INTERCEPT
from hierbayes.priors.standardised import JZS
from hierbayes.specification.specification import Specification

LOWEST, HIGHEST, STEP = -16.0, 26.0, 0.4  # of the grid of log g
GRID_UP_TO = 2  # terms
ROUNDS = tuple(Round(1000, components, 0.9) for components in (1, 2, 3, 4))
DRAWS = 10_000
NUMBERS = 4_000_000  # of one batch
BOUNDED = 10.0  # times their mean: weights below have no tail
NOTHING = -25.0  # log of a part of the whole that does not count
EXPLAINED = 1e-12  # part of the sum of squares left below which a model explains everything


@record
class Block:
    """The columns Z (n, m) of the effects of terms that share a scale g, and the Cauchy scale r."""

    terms: tuple[str, ...]
    Z: FloatArray
    scale: float


@record
class Evidence:
    """The marginal likelihood of a model up to a constant of the data and W.

    Attributes
    ----------
    density : of the data and the log g of each block
    log_g : array, shape (N, K)
    log_parts : array, shape (N,), whose exponentials sum up to it
    is_random : whether they are draws with weights, not a rule of integration
    """

    density: "Density"
    log_g: FloatArray
    log_parts: FloatArray
    is_random: bool

    @property
    def value(self) -> float:
        """Log of the marginal likelihood."""
        return float(log_sum_exp(self.log_parts))

    @property
    def shares(self) -> FloatArray:
        """Parts of the whole, shape (N,)."""
        return np.asarray(np.exp(self.log_parts - self.value))

    @property
    def mcse(self) -> float:
        """Monte-Carlo standard error of ``value``."""
        n = self.log_parts.size
        return float(np.std(n * self.shares, ddof=1) / math.sqrt(n)) if self.is_random else 0.0

    @property
    def pareto_k(self) -> float:
        """Pareto k of the weights; minus infinity of a rule, and of weights near their mean."""
        if not self.is_random or self.shares.max() * self.log_parts.size < BOUNDED:
            return -math.inf
        return pareto_k(self.log_parts)

    def wider(self, terms: Collection[str], factor: float, rng: np.random.Generator) -> "Evidence":
        """Return the same where scales of terms are multiplied; numeric ones share theirs.

        By weights, and integrated again where these can't be trusted.
        """
        found = self._reweighed(terms, factor)
        if found.pareto_k <= FINITE_VARIANCE_K:
            return found
        blocks = [
            replace(block, scale=factor * block.scale) if set(block.terms) & set(terms) else block
            for block in self.density.blocks
        ]
        return _integrated(self.density.of_blocks(blocks), rng)

    def _reweighed(self, terms: Collection[str], factor: float) -> "Evidence":
        blocks = self.density.blocks
        own = [k for k, block in enumerate(blocks) if set(block.terms) & set(terms)]
        change = sum(
            (
                _log_prior(self.log_g[:, k], factor * blocks[k].scale)
                - _log_prior(self.log_g[:, k], blocks[k].scale)
                for k in own
            ),
            np.zeros(self.log_parts.size),
        )
        return replace(self, log_parts=self.log_parts + change)

    def prob_positive(self) -> float:
        """Posterior probability of the first effect being positive."""
        used = self.log_parts > self.log_parts.max() + NOTHING
        shares = self.shares[used]
        return float(shares @ self.density.prob_positive(self.log_g[used]) / shares.sum())


def jzs_evidence(
    spec: Specification,
    priors: JZS,
    rng: np.random.Generator,
    *,
    tests_mean: bool = False,
) -> Evidence:
    """Marginal likelihood of a model; comparable over models of the same data and ``tests_mean``.

    Parameters
    ----------
    spec : of a Gaussian model with independent random intercepts
    priors : JZS
    rng : for more than two terms
    tests_mean : whether the intercept has a prior of its own, and models without one compare

    Raises
    ------
    NotSupportedError
        For models the priors do not define: other families, random slopes, known sds, products of
        factors and numbers.
    """
    _check(spec)
    design = spec.design
    root = np.ones(design.y.size) if spec.weights is None else np.sqrt(spec.weights)
    y = (design.y - (0.0 if design.offset is None else design.offset)) * root
    unit = root / np.linalg.norm(root)
    keep = 0.0 if tests_mean else 1.0  # whether the mean is taken out
    y = y - keep * unit * (unit @ y)
    blocks = []
    for block in _blocks(design, priors, tests_mean):
        Z = block.Z * root[:, None]
        blocks.append(replace(block, Z=Z - keep * np.outer(unit, unit @ Z)))
    return _integrated(Density(y, blocks, y.size - (not tests_mean)), rng)


def _check(spec: Specification) -> None:
    design = spec.design
    reason = ""
    if not spec.family.is_linear:
        reason = "is not Gaussian"
    elif design.known_sd is not None:
        reason = "has known residual sds"
    elif any(factor.columns != ("(Intercept)",) for factor in design.factors):
        reason = "has random slopes"
    elif any(_is_mixed(design, k) for k in range(len(design.mean.layout.terms))):
        reason = "has a product of a factor and a number"
    if reason:
        raise not_supported("jzs-model", formula=spec.formula_text, reason=reason)


def _values(design: Design, k: int) -> list[object]:
    """Values of the variables of the k-th term."""
    variables = design.mean.layout.terms[k].variables
    return [design.rows.values[variable.expression] for variable in variables]


def _is_mixed(design: Design, k: int) -> bool:
    return len({isinstance(value, Factor) for value in _values(design, k)}) > 1


def _blocks(design: Design, priors: JZS, tests_mean: bool) -> list[Block]:
    n = design.y.size
    found = []
    if tests_mean and design.mean.layout.intercept:
        found.append(Block(terms=(INTERCEPT,), Z=np.ones((n, 1)), scale=priors.mean))
    numbers: list[str] = []
    numeric = [np.empty((n, 0))]
    for k, label in enumerate(design.mean.layout.labels):
        values = _values(design, k)
        if not any(isinstance(value, Factor) for value in values):
            numbers.append(label)
            numeric.append(design.X[:, design.assign == k + 1])
            continue
        Z = np.ones((n, 1))
        for value in values:
            assert isinstance(value, Factor)
            own = _contrasts(len(value.levels))[value.codes]
            Z = (Z[:, :, None] * own[:, None, :]).reshape(n, -1)
        found.append(Block(terms=(label,), Z=Z, scale=priors.fixed))
    X = np.concatenate(numeric, axis=1)
    if X.shape[1]:
        X = X - X.mean(axis=0)
        Q, R = np.linalg.qr(X[:, column_basis(X).kept])
        Z = math.sqrt(n) * Q * np.sign(np.diag(R))
        found.append(Block(terms=tuple(numbers), Z=Z, scale=priors.continuous))
    for factor in design.factors:
        Z = np.eye(factor.levels.size)[factor.codes]
        found.append(Block(terms=(f"(1 | {factor.name})",), Z=Z, scale=priors.random))
    return found


def _contrasts(a: int) -> FloatArray:
    """Orthonormal contrasts of a levels, (a, a - 1): Q Q' = I - 1 1' / a."""
    Q = np.linalg.svd(np.eye(a) - 1 / a)[0][:, : a - 1]
    return np.asarray(Q * np.sign(Q[-1]))  # of two levels: the second against the first


class Density:
    """Log density of y and of log g, at points (N, K)."""

    def __init__(self, y: FloatArray, blocks: Sequence[Block], df: int) -> None:
        self.df, self.yy = df, float(y @ y)
        self.blocks = tuple(blocks)
        Z = np.concatenate([np.empty((y.size, 0)), *(block.Z for block in blocks)], axis=1)
        self.of = np.repeat(np.arange(len(blocks)), [block.Z.shape[1] for block in blocks])
        self.ZZ, self.Zy = Z.T @ Z, Z.T @ y
        if self.yy <= 0:
            raise DataError("The response does not vary, so no standardised effect can be told.")

    def of_blocks(self, blocks: Sequence[Block]) -> "Density":
        """Return the same of blocks that differ in their scales."""
        other = copy(self)
        other.blocks = tuple(blocks)
        return other

    def __call__(self, log_g: FloatArray) -> FloatArray:
        """Log density at points (N, K), shape (N,)."""
        step = max(1, NUMBERS // max(self.ZZ.size, 1))
        parts = [self._batch(log_g[i : i + step]) for i in range(0, log_g.shape[0], step)]
        return np.concatenate(parts)

    def _factored(self, log_g: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the Cholesky factor of I + D Z'Z D, and its solution of D Z'y."""
        D = np.exp(log_g / 2)[:, self.of]
        root = cholesky_stack(np.eye(self.of.size) + D[:, :, None] * self.ZZ * D[:, None, :])
        return root, solve_lower_stack(root, (D * self.Zy)[:, :, None])[:, :, 0]

    def _left(self, half: FloatArray) -> FloatArray:
        return np.maximum(self.yy - (half**2).sum(axis=1), EXPLAINED * self.yy)

    def prob_positive(self, log_g: FloatArray) -> FloatArray:
        """Probability that the first effect is positive given g: it is t distributed, (N,)."""
        root, half = self._factored(log_g)
        first = np.zeros((log_g.shape[0], self.of.size, 1))
        first[:, 0] = 1.0
        along = solve_lower_stack(root, first)[:, :, 0]
        scale = np.sqrt(self._left(half) / self.df) * np.sqrt((along**2).sum(axis=1))
        return np.asarray(stdtr(self.df, (along * half).sum(axis=1) / scale))

    def _batch(self, log_g: FloatArray) -> FloatArray:
        root, half = self._factored(log_g)
        left = self._left(half)
        log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        laws = [_log_prior(g, block.scale) for g, block in zip(log_g.T, self.blocks, strict=True)]
        prior = np.sum(laws, axis=0) if laws else 0.0
        return np.asarray(prior - (log_det + self.df * np.log(left)) / 2)


def _log_prior(log_g: FloatArray, scale: float) -> FloatArray:
    """Log density of log g, of which g is inverse gamma with shape 1/2 and scale r^2 / 2."""
    b = scale**2 / 2
    return np.asarray((math.log(b) - log_g) / 2 - gammaln(0.5) - b * np.exp(-log_g))


def _integrated(density: Density, rng: np.random.Generator) -> Evidence:
    K = len(density.blocks)
    if K <= GRID_UP_TO:
        axis = np.arange(LOWEST, HIGHEST, STEP)
        x = np.array(list(product(axis, repeat=K))).reshape(axis.size**K, K)
        log_parts = density(x) + K * math.log(STEP)
        return Evidence(density=density, log_g=x, log_parts=log_parts, is_random=False)
    start = 2 * np.log([block.scale for block in density.blocks])
    mode = find_mode_by_values(density, start, np.ones(K))
    tails = dict.fromkeys(range(K), 0.0)
    proposal = adapt(density, mode, tails=tails, rounds=ROUNDS, rng=rng).proposal
    x = proposal.draw(DRAWS, rng)
    log_parts = density(x) - proposal.log_density(x) - math.log(DRAWS)
    return Evidence(density=density, log_g=x, log_parts=log_parts, is_random=True)
