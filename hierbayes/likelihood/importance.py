"""The exact likelihood of several grouping factors, and its slope, by importance sampling.

The levels of the finest factor are integrated by quadrature given the effects w of the others
(``quadrature.py``), which leaves

    L = int exp(-M(w)) dw,    M(w) = w'w / 2 - sum_j log I_j(w) + const.

With R R' = S^-1 of ``quadrature.py`` the draws w_t = w + R z_t have independent t-distributed
coordinates z_t, heavier in the tails than M allows, and weigh exp(-M(w_t)) over their density: the
mean weight is L. The slope of log L in any parameter is the weighted mean of that of log I
(Fisher's identity). Draws come in blocks, each a Sobol sequence scrambled anew from a fixed seed;
what blocks differ by is the error that is told. The same fit gets the same numbers.

The slopes are nearly linear and quadratic in w, and M'(w) and (w - w*) M'(w)' have the known means
0 and I (Stein's identity), so their parts in the slopes are taken away: control variates.

Source: Robert & Casella (2004), Monte Carlo Statistical Methods, section 3.3; Owen (1997), SIAM J.
Numer. Anal. 34:1884, on scrambled sequences; Mira, Solgi & Imparato (2013), Stat. Comput. 23:653,
on such control variates.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.generalised.level_integrals import LevelRows, Points, level_rows
from hierbayes.likelihood.laplace import slopes_in_theta
from hierbayes.likelihood.quadrature import Coarser, Quadrature

SEED = 20_061
BLOCK = 128  # draws
FEWEST, MOST = 8, 96  # blocks
MOST_WORK = 10**9  # evaluations of a row at a node, half a minute's
# Degrees of freedom of each coordinate's t distribution: at least these, and more of many
# coordinates, whose tails together would take away all weights.
LEAST_DF = 30.0
DF_PER_ROOT = 2.0


@record
class _Block:
    """Draws with what is known at each.

    Attributes
    ----------
    log_weights : array, shape (T,)
    slopes : array, shape (T, m), of log I in the parameters
    z : array, shape (T, r)
    pull : array, shape (T, r), R'M'(w), about z
    squares : array, shape (T, c), sums of squares and products of pulls whose mean is zero
    """

    log_weights: FloatArray
    slopes: FloatArray
    z: FloatArray
    pull: FloatArray
    squares: FloatArray


@record
class ExactLikelihood:
    """The likelihood at the parameters of a quadrature.

    Attributes
    ----------
    loglik : log-likelihood with all constants
    error : its standard error
    effective : number of independent draws that the weighted ones are worth
    score : array, shape (m,), slope in (beta, theta, phi), in the basis of the search
    spread : array, shape (blocks, m), whose spread'spread / (blocks - 1) is the covariance of the
        error of the slope
    """

    loglik: float
    error: float
    effective: float
    score: FloatArray
    spread: FloatArray


def exact_likelihood(
    found: Quadrature, is_enough: Callable[[ExactLikelihood], bool]
) -> ExactLikelihood:
    """Draw until what is known is enough, or for long enough.

    Parameters
    ----------
    found : of several factors, with so many nodes that more change nothing
    is_enough : asked after each block of draws
    """
    coarse = found.coarser
    assert coarse is not None
    draws = _Draws(found, coarse)
    blocks = [draws.block() for _ in range(FEWEST)]
    known = _known(blocks)
    most = min(MOST, MOST_WORK // (BLOCK * found.sums.nodes.eta.size))
    while len(blocks) < most and not is_enough(known):
        blocks.append(draws.block())
        known = _known(blocks)
    return known


def _known(blocks: list[_Block]) -> ExactLikelihood:
    log_weights = np.array([block.log_weights for block in blocks])
    top = log_weights.max()
    weights = np.exp(log_weights - top)
    means, mean = weights.mean(axis=1), weights.mean()
    slopes = _controlled(blocks, weights)
    score = np.einsum("bt,btm->m", weights, slopes) / weights.sum()
    # what each block adds to the ratio of two means, by the delta method
    away = np.einsum("bt,btm->bm", weights, slopes - score) / (BLOCK * mean)
    root = np.sqrt(len(blocks))
    return ExactLikelihood(
        loglik=float(top + np.log(mean)),
        error=float(means.std(ddof=1) / mean / root),
        effective=float(weights.sum() ** 2 / (weights**2).sum()),
        score=score,
        spread=away / root,
    )


def _controlled(blocks: list[_Block], weights: FloatArray) -> FloatArray:
    """Slopes (blocks, T, m) without most of what has the mean zero in them."""
    slopes, z, pull = (
        np.array([getattr(block, name) for block in blocks]) for name in ("slopes", "z", "pull")
    )
    linear = np.einsum("btm,btr->mr", slopes, z) / (z**2).sum(axis=(0, 1))
    slopes = slopes - pull @ linear.T
    squares = np.array([block.squares for block in blocks])
    root = np.sqrt(weights)[..., None]
    design = np.concatenate([np.ones_like(root), squares], axis=2) * root
    flat = design.reshape(-1, design.shape[2])
    found = np.linalg.lstsq(flat, (slopes * root).reshape(flat.shape[0], -1))[0]
    return np.asarray(slopes - squares @ found[1:])


class _Draws:
    """Weights and slopes at draws of the coarser effects."""

    def __init__(self, found: Quadrature, coarse: Coarser) -> None:
        self.found, self.coarse = found, coarse
        self.rng = np.random.default_rng(SEED)
        self.df = max(LEAST_DF, DF_PER_ROOT * np.sqrt(coarse.w.size))
        self.rows = _joined_rows(found, coarse)
        self.half = np.linalg.inv(coarse.root)  # R'

    def block(self) -> _Block:
        """Weigh the next draws."""
        from scipy.special import gammaln, stdtrit
        from scipy.stats.qmc import Sobol

        df, coarse = self.df, self.coarse
        z = stdtrit(df, Sobol(coarse.w.size, rng=self.rng).random(BLOCK))
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)
        log_density = (constant - 0.5 * (df + 1) * np.log1p(z**2 / df)).sum(axis=1)
        moved = z @ self.half
        w = coarse.w + moved
        value, slopes, along = self._at(w)
        prior = -0.5 * (w**2).sum(axis=1) - 0.5 * w.shape[1] * np.log(2 * np.pi)
        pull = w - coarse.scaled(along)
        return _Block(
            log_weights=value + prior - log_density - 0.5 * coarse.log_det,
            slopes=slopes,
            z=z,
            pull=pull @ self.half.T,
            squares=coarse.products(moved, pull),
        )

    def _at(self, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log density of y given w (T, r), its slopes in parameters (T, m) and effects (T, r)."""
        mode, coarse, p = self.found.mode, self.coarse, self.found.mode.beta.size
        at, start = self._points(w), self._modes(w - coarse.w)
        values, slopes, along = np.empty(w.shape[0]), [], np.empty_like(w)
        for part in self.rows.chunks(w.shape[0], self.found.n_points):
            places = self.rows.places(at[part], start[:, part])
            integrals = self.rows.integrals(at[part], places, self.found.n_points)
            found = self.rows.slopes(at[part], integrals)
            values[part], along[part] = found.value, found.beta[:, p:]
            for t, own in enumerate(w[part]):
                others = coarse.slopes_in_lambdas(found.beta[t, p:], own)
                halves = [0.5 * D[None] for D in (found.Lambda[t], *others)]
                along_theta = slopes_in_theta(mode.model.basis_shape, mode.theta, halves)
                slopes.append(np.concatenate([found.beta[t, :p], along_theta, found.phi[t]]))
        return values, np.array(slopes), along

    def _points(self, w: FloatArray) -> Points:
        """Return the parameters of the model of the finest factor: beta and the others' effects."""
        mode, T = self.found.mode, w.shape[0]
        return Points(
            beta=np.column_stack([np.tile(mode.beta, (T, 1)), self.coarse.effects(w)]),
            Lambda=np.tile(mode.Lambdas[0], (T, 1, 1)),
            phi=np.tile(mode.phi, (T, 1)),
        )

    def _modes(self, dw: FloatArray) -> FloatArray:
        """Return the effects of the finest factor's levels near their modes, (J, T, q)."""
        here = self.coarse.sums.mode
        moved = self.coarse.rows(dw.T)
        right = here.spherical(-here.densities.weight[:, None] * moved)
        step, _ = here.solve(right, np.zeros((0, dw.shape[0])))
        return np.asarray(np.swapaxes(here.u[0][0] + step[0][0], 1, 2))


def _joined_rows(found: Quadrature, coarse: Coarser) -> LevelRows:
    """Return the rows of the finest factor, the others' effects being coefficients besides beta."""
    model = found.mode.model
    return level_rows(replace(model.finest, X=np.hstack([model.X, coarse.levels.columns()])))
