"""Draws of a Gaussian model with beta and b integrated out: what leaving rows out works on.

y are the rows of the model and phi the sds, correlations and sigma. With V = W^-1 + Z Lambda
Lambda'Z', beta = beta0 + T v in the basis of the products and G = [X y]'V^-1[X y],

    p(v | y, phi) = N(P^-1 h, P^-1),    P = G_xx / sigma^2 + Q,    h = G_xy / sigma^2 + Q m,

for a prior N(m, Q^-1) of v. Coefficients c = c0 + M v whose prior is neither Normal nor Flat are
not integrated out but taken from the draws: with M' = Q_1 R (QR; Q_2 completes Q_1) they say what
Q_1'v is, and v = Q_1 Q_1'v + Q_2 r with r integrated out.

Rows that are left out keep their place, with weight zero: the levels and pairs of levels of the
other rows are then those of all, and what is known of the rows left out is at hand.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.bayes.collapsed_density import integrate_free, prior_directions, target_of
from hierbayes.bayes.collapsed_points import numbers_of
from hierbayes.bayes.predictive import FlatDraws, flat_draws
from hierbayes.bayes.sampled_coefficients import is_sampled, stand_in
from hierbayes.bayes.scale_mixtures import is_mixture
from hierbayes.design.design import Design
from hierbayes.errors import DataError
from hierbayes.gaussian.kernel import with_products
from hierbayes.gaussian.marginal import Kernel, Reduced, reduce
from hierbayes.gaussian.products import products_of
from hierbayes.linalg.stacked import log_det_stack
from hierbayes.priors.distributions import Flat
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.results.draws import PosteriorDraws

# Smallest eigenvalue of X'X without some rows, against its largest, at which the other rows still
# tell all coefficients; X is in an orthogonal basis, so only a missing direction comes near 0.
DETERMINED = 1e-9
AT_ONCE = 2**18  # numbers of one batch of draws: what stays in a processor's cache


@record
class Coefficients:
    """What is known of v beside the data.

    Attributes
    ----------
    precision, shift : arrays (p, p) and (p,), Q and Q m
    fixed : array, shape (S, p), Q_1 Q_1'v of each draw
    free : array, shape (p, r), Q_2
    """

    precision: FloatArray
    shift: FloatArray
    fixed: FloatArray
    free: FloatArray


@record(kw_only=False)
class Integrated:
    """v given phi and what is fixed of it, at T draws.

    Attributes
    ----------
    mean : array, shape (T, p)
    root : array, shape (T, r, r), Cholesky factor of the precision of r
    fit : array, shape (T,), log|P| of r less the largest 2 v'h - v'P v
    """

    mean: FloatArray
    root: FloatArray
    fit: FloatArray


@record
class LeftOut:
    """A Gaussian model, draws of its parameters, and blocks of rows to leave out.

    Attributes
    ----------
    kernel, priors, design, weights : the model
    flat : S draws
    codes : array of int, shape (n,), the block of each row
    levels : labels of the J blocks
    name : what a block is called
    factor : position of the grouping factor whose levels the blocks are, or None
    """

    kernel: Kernel
    priors: ModelPriors
    design: Design
    weights: FloatArray | None
    flat: FlatDraws
    codes: IntArray
    levels: npt.NDArray[np.str_]
    name: str
    factor: int | None = None

    @cached_property
    def row_weights(self) -> FloatArray:
        """Precision weights of the rows, shape (n,)."""
        return np.ones(self.codes.size) if self.weights is None else self.weights

    def with_draws(self, drawn: PosteriorDraws) -> "LeftOut":
        """Return the same problem with other draws."""
        return self.with_flat(flat_draws(drawn, self.design))

    def with_flat(self, flat: FlatDraws) -> "LeftOut":
        """Return the same problem with other draws, chains one after the other."""
        return replace(self, flat=flat)

    @cached_property
    def coefficients(self) -> Coefficients:
        """What is known of the coefficients beside the data."""
        anchor = self.kernel.products.anchor
        target = target_of(self.kernel, stand_in(self.priors))
        fixed = [k for k, law in enumerate(self.priors.beta) if is_sampled(law) or is_mixture(law)]
        M = prior_directions(self.kernel, self.priors)[0][fixed]
        Q = np.linalg.qr(M.T, mode="complete")[0]
        v = np.linalg.solve(anchor.x_basis, (self.flat.beta - anchor.beta0).T).T
        own = Q[:, : len(fixed)]
        return Coefficients(
            precision=target.precision,
            shift=target.shift,
            fixed=v @ own @ own.T,
            free=Q[:, len(fixed) :],
        )

    def integrated(self, gram: FloatArray, at: slice) -> Integrated:
        """Integrate v out at matrices G / sigma^2 (T, p + 1, p + 1) of some of the draws.

        With several of them a draw, (T, J, p + 1, p + 1), all arrays have the further axis.
        """
        known, p = self.coefficients, gram.shape[-1] - 1
        fixed = known.fixed[at].reshape(-1, *[1] * (gram.ndim - 3), p)
        P, h = gram[..., :p, :p] + known.precision, gram[..., :p, p] + known.shift
        mean, root, fit = integrate_free(P, h, fixed, known.free)
        return Integrated(mean, root, log_det_stack(root[..., None, :, :]) - fit)

    def batches(
        self, kernel: Kernel, row_numbers: int = 0
    ) -> Iterator[tuple[slice, FloatArray, list[FloatArray], Reduced]]:
        """Integrate the effects out at a part of the draws after the other.

        ``row_numbers`` is how many numbers a draw takes in what is done with it then.

        Yields
        ------
        which draws, sigma (T,), Lambda per factor (T, q, q) in the basis, and what is left
        """
        S = self.flat.n_draws
        bases = [np.linalg.inv(basis) for basis in kernel.products.anchor.z_bases]
        step = max(1, AT_ONCE // max(numbers_of(kernel), row_numbers))
        for start in range(0, S, step):
            at = slice(start, min(start + step, S))
            sigma = self.flat.sigma[at]
            Lambdas = [
                np.ascontiguousarray(basis @ root[at]) / sigma[:, None, None]
                for basis, root in zip(bases, self.flat.roots, strict=True)
            ]
            yield at, sigma, Lambdas, reduce(kernel, Lambdas, n_batch=sigma.size)

    def kernel_without(self, rows: BoolArray) -> Kernel:
        """Return the kernel of the other rows, in the basis of all."""
        weights = np.where(rows, 0.0, self.row_weights)
        anchor = self.kernel.products.anchor
        products = products_of(self.design, weights=weights, anchor=anchor)
        return with_products(self.kernel, products)

    @property
    def has_flat(self) -> bool:
        """Whether a coefficient has a flat prior, so that the other rows have to determine it."""
        return any(type(law) is Flat for law in self.priors.beta)

    def check_determined(self, xx: FloatArray, first: int = 0) -> None:
        """Raise DataError if X'X (J, p, p) of the rows without a block is singular.

        ``first`` is the block of the first of them.
        """
        if not xx.shape[-1]:
            return
        sizes = np.linalg.eigvalsh(xx)
        alone = np.flatnonzero(sizes[:, 0] <= DETERMINED * sizes[:, -1])
        if alone.size:
            raise self.undetermined(first + int(alone[0]))

    def undetermined(self, block: int) -> DataError:
        """Return the error of a block without which coefficients are not determined."""
        return DataError(
            f"Without {self.name} {self.levels[block]} the other rows do not determine all "
            "coefficients. Give all coefficients Normal priors to leave it out."
        )
