"""The result of a REML or ML fit of a linear model.

Everything is derived from theta, beta, sigma and the kernel's factor at theta, on the user's
scale.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.calls import checked_methods
from hierbayes.gaussian.covariance import term_covariances
from hierbayes.gaussian.flat_moves import flat_moves
from hierbayes.gaussian.marginal import Evaluation, Kernel, evaluate, modes, times
from hierbayes.gaussian.residual.root import whitened
from hierbayes.options import Method
from hierbayes.results.interval_parameters import (
    own_parameters,
    parameter_labels,
    parameter_values,
)
from hierbayes.results.likelihood_fit import LikelihoodFit, read_only
from hierbayes.results.residual_calls import check_knows_fitted_sds, check_knows_residuals
from hierbayes.results.residual_estimate import (
    ResidualEstimate,
    ResidualQuantity,
    reference_sd,
    residual_quantities,
    residual_rows,
)
from hierbayes.results.varcorr import ResidualRow, VarCorr, VarCorrTerm

# Numbers at two covariances that fit equally well are the same up to this part: rounding leaves
# 1e-9, and a dependence on what is undetermined moves them by their own size.
UNCHANGED = 1e-6


@checked_methods("fit")
@record(repr=False)
class LinearFit(LikelihoodFit):
    """A linear (mixed) model fitted by REML or ML.

    Attributes
    ----------
    kernel, at : the kernel and its evaluation at theta, in the basis of the products
    residual : estimates of residuals that are correlated or of unequal variance, at which the
        kernel is; None of independent ones of one sd
    """

    kernel: Kernel
    at: Evaluation
    residual: ResidualEstimate | None = None

    # what the data determine

    @cached_property
    def alternatives(self) -> tuple["LinearFit", ...]:
        """Fits with other covariances that fit equally well; none if the data determine all."""
        found = self.kernel.undetermined
        if found is None:
            return ()
        kernel = replace(self.kernel, undetermined=None)
        fits = []
        for theta in flat_moves(found, self.representative):
            at = evaluate(kernel, kernel.in_basis(theta)[None])
            beta = kernel.products.anchor.beta0 + kernel.products.anchor.x_basis @ at.beta[0]
            fits.append(replace(self, kernel=kernel, at=at, representative=theta, beta=beta))
        return tuple(fits)

    def determined(self, read: Callable[["LinearFit"], FloatArray], scale: Any = None) -> BoolArray:
        """Whether numbers read off a fit are the same for all covariances that fit equally well.

        Parameters
        ----------
        read : callable
            Gives an array of a fit.
        scale : array that broadcasts to it, optional
            What a change is compared with; the number itself when not given.

        Returns
        -------
        array of bool, of the shape of what ``read`` gives
        """
        here = np.asarray(read(self.representing))
        same = np.ones(here.shape, dtype=np.bool_)
        scale = np.abs(here) if scale is None else scale
        for other in self.alternatives:
            with np.errstate(invalid="ignore"):  # infinite beside infinite is no change
                change = np.abs(np.asarray(read(other)) - here)
            same &= ~(change > UNCHANGED * scale)
        return same

    @cached_property
    def representing(self) -> "LinearFit":
        """The same fit, the representative's numbers shown as if they were determined."""
        if self.kernel.undetermined is None:
            return self
        return replace(self, kernel=replace(self.kernel, undetermined=None))

    def shown(self, read: Callable[["LinearFit"], FloatArray], scale: Any = None) -> FloatArray:
        """Return numbers read off this fit, NaN where the data do not determine them."""
        values = np.asarray(read(self.representing))
        if self.kernel.undetermined is None:
            return values
        return np.where(self.determined(read, scale), values, np.nan)

    @property
    def undetermined_parameters(self) -> BoolArray:
        """Which of ``interval_parameters`` the data do not determine, shape (m,)."""
        found, k = self.kernel.undetermined, self.representative.size
        more = (0 if self.kernel.sigma_known else 1) + len(self.residual_names)
        own = np.zeros(k + more, dtype=np.bool_)
        if found is None:
            return np.concatenate([own, np.zeros(self.beta.size, dtype=np.bool_)])
        own[:k] = found.parameters
        own[k:] = found.sigma
        return np.concatenate([own, ~self.determined(lambda fit: fit.beta, self._beta_scale)])

    @property
    def undetermined_note(self) -> str:
        """One sentence on what the data do not determine; empty where they determine all."""
        found = self.kernel.undetermined
        if found is None:
            return ""
        labels = [*parameter_labels(self.design), "sigma"]
        lost = [*found.parameters.tolist(), found.sigma]
        named = ", ".join(label for label, some in zip(labels, lost, strict=True) if some)
        it = "it" if sum(lost) == 1 else "them"
        return (
            f"Not determined by the data: {named}. What depends on {it} is not determined either "
            "and has no number; in the posterior, model.sample(), the prior decides."
        )

    @property
    def _beta_scale(self) -> FloatArray:
        return self.representing.std_errors

    @cached_property
    def theta(self) -> FloatArray:
        """Lme4's relative covariance parameters, shape (k,); NaN where undetermined."""
        found = self.kernel.undetermined
        if found is None:
            return super().theta
        return read_only(np.where(found.theta, np.nan, self.representative))

    # numbers

    @property
    def kept(self) -> IntArray:
        """Positions of the columns of X that were not dropped, shape (p,)."""
        return self.kernel.products.anchor.kept

    @cached_property
    def deviance(self) -> float:
        """Minus twice the (unrestricted) log-likelihood at the estimates of theta."""
        if self.method == "ml":
            return self.criterion
        return float(self.shown(_ml_deviance, 1.0))

    @property
    def n_params(self) -> int:
        """Number of estimated parameters: fixed effects, theta and sigma."""
        own = 0 if self.residual is None else self.residual.phi.size
        sigma = 0 if self.kernel.sigma_known else 1
        return self.beta.size + self.representative.size + sigma + own

    @property
    def n_undetermined(self) -> int:
        """Number of covariance parameters that the data do not determine."""
        return self.kernel.n_undetermined

    def with_method(self, method: Method) -> "LinearFit":
        """Fit the same model by another method; this fit if it was fitted by it."""
        found = super().with_method(method)
        assert isinstance(found, LinearFit)
        return found

    # tables

    @cached_property
    def vcov_beta(self) -> FloatArray:
        """Covariance matrix of ``beta``, shape (p, p)."""
        if self.kernel.undetermined is not None:
            se = self.representing.std_errors
            return read_only(self.shown(lambda fit: fit.vcov_beta, se[:, None] * se))
        return read_only(self.vcov_root @ self.vcov_root.T)

    @cached_property
    def vcov_root(self) -> FloatArray:
        """R (p, p) with R R' the covariance matrix of ``beta``.

        The variance of l'beta is |R'l|^2: of a combination whose parts all but cancel (a mean far
        from a predictor's origin) squares would lose the digits that this keeps.
        """
        half = np.linalg.solve(self.at.root_xvx[0], self.kernel.products.anchor.x_basis.T)
        return read_only(self.sigma * half.T)

    @cached_property
    def modes(self) -> tuple[FloatArray, ...]:
        """Conditional modes of the random effects per factor, (J, q), on the user's scale."""
        if not self.design.factors:
            return ()
        if self.kernel.undetermined is not None:
            reads = [partial(_modes_of, f) for f in range(len(self.design.factors))]
            scales = [self._effect_scale(f) for f in range(len(reads))]
            pairs = zip(reads, scales, strict=True)
            return tuple(read_only(self.shown(read, scale)) for read, scale in pairs)
        found = modes(self.kernel, self.at)
        bases = self.kernel.products.anchor.z_bases
        r = np.sqrt(self.at.pwrss[0])
        return tuple(
            read_only(r * times(Lambda, u[..., -1:])[0, :, :, 0] @ basis.T)
            for Lambda, u, basis in zip(self.at.Lambdas, found.u, bases, strict=True)
        )

    @cached_property
    def mode_covariances(self) -> tuple[FloatArray, ...]:
        """Conditional covariances of the random effects per factor, arrays (J, q, q)."""
        if self.at.factor is None:
            return ()
        if self.kernel.undetermined is not None:
            reads = [partial(_covariances_of, f) for f in range(len(self.design.factors))]
            scales = [self._effect_scale(f) for f in range(len(reads))]
            pairs = zip(reads, scales, strict=True)
            return tuple(read_only(self.shown(read, s[:, None] * s)) for read, s in pairs)
        bases = self.kernel.products.anchor.z_bases
        blocks = self.at.factor.covariances()
        roots = [basis @ Lam[0] for basis, Lam in zip(bases, self.at.Lambdas, strict=True)]
        return tuple(
            read_only(self.sigma**2 * (root @ V[0] @ root.T))
            for root, V in zip(roots, blocks, strict=True)
        )

    def _effect_scale(self, position: int) -> FloatArray:
        """Sd of the response left by X, per unit of each column of a factor, shape (q,)."""
        assert self.kernel.undetermined is not None
        products = self.kernel.products
        return np.asarray(
            np.sqrt(products.yy / products.n_obs) / self.kernel.undetermined.scale[position]
        )

    @cached_property
    def effect_roots(self) -> tuple[FloatArray, ...]:
        """Per factor a root R (q, q) of the covariance R R' of a level's effects.

        By theta, not by the factor the search ended with: a loaded fit draws the same numbers.
        """
        roots = self.kernel.shape.unpack(self.representative[None])
        return tuple(self.sigma * root[0] for root in roots)

    def varcorr(self) -> VarCorr:
        """Return sds and correlations of the random effects, and the residual sd."""
        found = term_covariances(self.kernel.shape, self.representative, self.sigma)
        unknown = self._unknown_covariances()
        terms = tuple(
            VarCorrTerm(
                name=term.name,
                columns=tuple(self.design.factors[term.factor].columns[c] for c in term.columns),
                sd=np.where(np.diag(lost), np.nan, cov.sd),
                corr=np.where(lost, np.nan, cov.corr),
                undetermined=lost,
                structure=term.covariance,
                parameters=own_parameters(self.design, i, cov.own),
            )
            for i, (term, cov, lost) in enumerate(
                zip(self.design.terms, found, unknown, strict=True)
            )
        )
        has_residual = not self.kernel.sigma_known
        rows: tuple[ResidualRow, ...] = ()
        if self.residual is not None:
            values, sigma = self.residual_values[None], np.array([self.sigma])
            rows = residual_rows(self.spec.residuals, values, sigma)
        return VarCorr(terms=terms, sigma=self.sigma, has_residual=has_residual, residual=rows)

    @property
    def residual_quantities(self) -> tuple[ResidualQuantity, ...]:
        """Sds, sigma's first, and correlations of residuals that have a structure; none without."""
        if self.residual is None:
            return ()
        values, sigma = self.residual_values[None], np.array([self.sigma])
        return (reference_sd(sigma), *residual_quantities(self.spec.residuals, values, sigma))

    @cached_property
    def relative_sds(self) -> FloatArray:
        """Residual sds of the rows over ``sigma``, (n,), by weights and a formula of sigma."""
        if self.residual is not None:
            return read_only(self.spec.residuals.relative_sds(self.residual.phi))
        weights = self.spec.weights
        return read_only(np.ones(self.nobs) if weights is None else 1 / np.sqrt(weights))

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the parameters of correlated residuals, or of unequal variance, beside sigma."""
        return () if self.residual is None else self.spec.residuals.names

    @property
    def residual_values(self) -> FloatArray:
        """Estimates of ``residual_names``: coefficients of log sds, and correlations."""
        if self.residual is None:
            return np.empty(0)
        return np.asarray(self.spec.residuals.values(self.residual.phi[None])[0])

    def _standardised(self, residuals: FloatArray, *, whole: bool) -> FloatArray:
        """Residuals (n,) over relative sds, or ``whole``: by a root of their covariance."""
        if self.residual is not None and whole:
            found = whitened(self.spec.residuals, self.residual.phi, residuals[:, None])
            return np.asarray(found[:, 0] / self.sigma)
        return residuals / (self.relative_sds * (self.sigma if whole else 1.0))

    def _refuses(self, called: str) -> None:
        """Refuse a call that takes residuals to be independent and of one sd; see ``calls.py``."""
        if self.spec.has_fitted_sds:
            check_knows_fitted_sds(called)
        if self.residual is not None:
            check_knows_residuals(called)

    def _unknown_covariances(self) -> list[BoolArray]:
        """Per term, which sds (the diagonal) and correlations are undetermined, (q, q)."""
        sizes = [len(term.columns) for term in self.design.terms]
        if self.kernel.undetermined is None:
            return [np.zeros((q, q), dtype=np.bool_) for q in sizes]
        lost, place = self.undetermined_parameters, 0
        matrices = []
        for q in sizes:
            matrix = np.zeros((q, q), dtype=np.bool_)
            rows, columns = np.triu_indices(q)
            matrix[rows, columns] = matrix[columns, rows] = lost[place : place + rows.size]
            matrices.append(matrix)
            place += rows.size
        return matrices

    @property
    def interval_estimates(self) -> FloatArray:
        """Values of ``interval_parameters``, shape (m,)."""
        sigma = np.array([self.sigma])
        return parameter_values(self, self.representative[None], sigma, beta=self.beta[None])[0]

    # rows

    @cached_property
    def fixed_part(self) -> FloatArray:
        """X beta plus offset, shape (n,)."""
        if self.kernel.undetermined is not None:
            return read_only(self.shown(lambda fit: fit.fixed_part, self.row_scale))
        X = self.design.X[:, self.kept]
        offset = 0.0 if self.design.offset is None else self.design.offset
        return read_only(X @ self.beta + offset)

    @cached_property
    def fitted_values(self) -> FloatArray:
        """X beta + Z b plus offset, shape (n,)."""
        if self.kernel.undetermined is not None:  # y - W^-1 P y, which no such value enters
            return self.representing.fitted_values
        total = self.fixed_part.copy()
        for factor, b in zip(self.design.factors, self.modes, strict=True):
            total += (factor.z * b[factor.codes]).sum(axis=1)
        return read_only(total)

    @property
    def row_scale(self) -> float:
        """Sd of the response left by X, response units."""
        return float(np.sqrt(self.kernel.products.yy / self.nobs))


def _ml_deviance(fit: LinearFit) -> FloatArray:
    return np.asarray(evaluate(replace(fit.kernel, method="ml"), fit.at.theta).criterion[0])


def _modes_of(position: int, fit: LinearFit) -> FloatArray:
    return fit.modes[position]


def _covariances_of(position: int, fit: LinearFit) -> FloatArray:
    return fit.mode_covariances[position]
