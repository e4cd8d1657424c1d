"""What a profile needs where residuals are correlated or of unequal variance: optimum and deviance.

The coordinates are those of ``held_parameter.py`` with the d coordinates phi of the residuals
before the fixed effect: coefficients of log sds in units of their columns, and correlations where
they have no bounds. Of an unstructured matrix a correlation is no coordinate but where its two
visits come first, so each held one has an order of visits of its own: z holds phi of the visits in
that order, with the held one in its usual place. All derivatives are exact but the curvatures that
concern phi, which are differences of the gradient.

Source: Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.marginal import Evaluation, Kernel
from hierbayes.gaussian.residual.correlation import Bounded, Unstructured
from hierbayes.gaussian.residual.kernel import ResidualKernel, adjoint_of
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.intervals.held_deviance import (
    BATCH_NUMBERS,
    InEntries,
    Local,
    deviance_in_entries,
    joined,
)
from hierbayes.intervals.held_parameter import Held
from hierbayes.intervals.held_places import FARTHEST, ResidualPlaces, hold
from hierbayes.likelihood.residual_search import AT_END, STEP
from hierbayes.results.interval_parameters import (
    IntervalParameter,
    parameter_names,
    parameter_values,
    values_of_roots,
)
from hierbayes.results.linear_fit import LinearFit


@record
class ResidualDeviance:
    """ML deviance of a linear model whose residuals have a structure, before sigma is profiled out.

    Attributes
    ----------
    kernel : by maximum likelihood
    orders : of the correlations of visits
    """

    kernel: ResidualKernel
    orders: "VisitOrders"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.kernel.products.n_obs

    def at(self, held: Held, z: FloatArray) -> Local:
        """Deviance, gradient and curvature at points z (T, k + d + 2)."""
        units = self.kernel.products.units
        c = units.xy.shape[0]
        sizes = zip(units.n_levels, (own.shape[0] for own in units.z), strict=True)
        numbers = c * c + sum(J * q * (q + c) for J, q in sizes)
        pattern = self.kernel.pattern
        numbers += 0 if pattern is None else pattern.n_numbers
        most = max(1, BATCH_NUMBERS // (numbers * (1 + self.kernel.size)))
        T = z.shape[0]
        parts = [np.arange(first, min(first + most, T)) for first in range(0, T, most)]
        return joined([self._computed(held.take(part), z[part]) for part in parts])

    def _computed(self, held: Held, z: FloatArray) -> Local:
        """Return the deviance; where a batch fails, entry by entry."""
        try:
            return self._local(held, z)
        except np.linalg.LinAlgError:
            T, n = z.shape
            if T > 1:
                entries = [np.array([t]) for t in range(T)]
                return joined([self._computed(held.take(t), z[t]) for t in entries])
            beta = np.zeros((1, self.kernel.products.units.xy.shape[0] - 1))
            return Local(z, np.full(1, np.inf), np.zeros((1, n)), np.zeros((1, n, n)), beta)

    def _local(self, held: Held, z: FloatArray) -> Local:
        (T, n), k, d = z.shape, held.n_theta, self.kernel.size
        own = np.concatenate([np.arange(k + 1), [n - 1]])
        rest = np.arange(k + 1, k + 1 + d)
        here = self._evaluated(held, z, curved=True)
        moves = STEP * np.eye(n)[rest]
        there = (z[:, None] + moves).reshape(T * d, n)
        moved = self._evaluated(held.take(np.repeat(np.arange(T), d)), there, curved=False)
        hessian = np.zeros((T, n, n))
        hessian[:, own[:, None], own] = here.hessian
        rows = (moved.gradient.reshape(T, d, n) - here.gradient[:, None]) / STEP
        hessian[:, rest] = rows
        hessian[:, :, rest] = np.swapaxes(rows, 1, 2)
        block = rows[:, :, rest]
        hessian[:, rest[:, None], rest] = (block + np.swapaxes(block, 1, 2)) / 2
        gradient, hessian = held.chained(z, here.gradient, hessian)
        return Local(z, here.value, gradient, hessian, here.beta)

    def _evaluated(self, held: Held, z: FloatArray, *, curved: bool) -> Local:
        """Return value and gradient (T, n), in entries of triangles; curvature as there."""
        if not z.shape[0]:
            beta = np.zeros((0, self.kernel.products.units.xy.shape[0] - 1))
            return Local(z, np.empty(0), np.zeros_like(z), np.zeros((0, 0, 0)), beta)
        phi, slopes = self.orders.phi(held, z)
        if self.kernel.are_many:
            return self._gradient(held, z, phi, slopes, curved=curved)
        rows = [np.array([t]) for t in range(z.shape[0])]
        return joined(
            [self._gradient(held.take(t), z[t], phi[t], slopes[t], curved=curved) for t in rows]
        )

    def _gradient(
        self, held: Held, z: FloatArray, phi: FloatArray, slopes: FloatArray, *, curved: bool
    ) -> Local:
        products, k = self.kernel.products, held.n_theta
        factors = products.structure.factors(phi)
        own = self.kernel.many(factors) if self.kernel.are_many else self.kernel.at(phi[0])
        found: InEntries = deviance_in_entries(own, held, z, curved=curved)
        K = found.last[:, None, None] * found.e[:, :, None] * found.e[:, None]
        adjoint = adjoint_of(own, found.reduced, K, found.Lambdas)
        of_phi = factors.log_det_slope + products.slopes(factors, adjoint)
        local = found.local
        gradient = np.concatenate(
            [
                local.gradient[:, : k + 1],
                (of_phi[:, None] @ slopes)[:, 0],
                local.gradient[:, -1:],
            ],
            axis=1,
        )
        return Local(z, local.value, gradient, local.hessian, local.beta)


@record
class VisitOrders:
    """Coordinates in which a correlation of two visits is one: those of an order they begin.

    Attributes
    ----------
    residuals : of the design
    """

    residuals: DesignResiduals

    @property
    def _visits(self) -> Unstructured | None:
        own = self.residuals.structure.correlation
        return own if isinstance(own, Unstructured) else None

    def _pairs(self, held: Held) -> IntArray:
        """Place (T,) of the held correlation among those of the visits; 0 in the usual order."""
        first = held.n_theta + 1 + self.residuals.structure.n_spreads
        place = held.own - first
        size = self.residuals.structure.correlation.size
        return np.where((place > 0) & (place < size), place, 0)

    def _order(self, pair: int) -> IntArray:
        """Visits with those of a pair in front."""
        visits = self._visits
        assert visits is not None
        rows, columns = np.tril_indices(visits.n_visits, -1)
        two = [int(columns[pair]), int(rows[pair])]
        return np.array([*two, *(v for v in range(visits.n_visits) if v not in two)])

    def phi(self, held: Held, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates phi (T, d) at points z (T, n), and their derivatives (T, d, d) in z."""
        G, d = self.residuals.structure.n_spreads, self.residuals.structure.size
        first = held.n_theta + 1
        phi = z[:, first : first + d].copy()
        slopes = np.tile(np.eye(d), (z.shape[0], 1, 1))
        if self._visits is None:
            return phi, slopes
        pairs = self._pairs(held)
        for pair in np.unique(pairs[pairs > 0]).tolist():
            at = np.flatnonzero(pairs == pair)
            phi[at, G:], slopes[at, G:, G:] = self._usual(pair, phi[at, G:])
        return phi, slopes

    def _usual(self, pair: int, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates (T, c) in the usual order, and their derivatives (T, c, c) in ``own``."""
        visits = self._visits
        assert visits is not None
        rows, columns = np.tril_indices(visits.n_visits, -1)
        swap = _swapped(own.shape[1], pair)
        back = np.argsort(self._order(pair))
        C = visits.matrices(own[:, swap])[:, back[:, None], back]
        usual = visits.coordinates(C[:, rows, columns])
        turned = visits.slopes(own[:, swap])[:, :, back[:, None], back][:, :, rows, columns]
        inverse = np.linalg.inv(visits.slopes(usual)[:, :, rows, columns])
        slopes = np.swapaxes(turned @ inverse, 1, 2)
        return usual, slopes[:, :, swap]

    def turned(self, phi: FloatArray, pair: int) -> FloatArray:
        """Coordinates (c,) in the order that a pair begins, of those phi (c,) in the usual one."""
        visits = self._visits
        assert visits is not None
        rows, columns = np.tril_indices(visits.n_visits, -1)
        order = self._order(pair)
        C = visits.matrices(phi[None])[:, order[:, None], order]
        return np.asarray(visits.coordinates(C[:, rows, columns])[0][_swapped(phi.size, pair)])


def _swapped(size: int, pair: int) -> IntArray:
    """Places with the first and that of a pair exchanged."""
    swap = np.arange(size)
    swap[[0, pair]] = pair, 0
    return swap


@record
class ResidualOptimum:
    """Where the likelihood of a model whose residuals have a structure is highest.

    Attributes
    ----------
    fit : whose parameters are profiled
    best : the fit by maximum likelihood
    """

    fit: LinearFit
    best: LinearFit

    @property
    def kernel(self) -> Kernel:
        """The kernel at phi of the optimum."""
        return self.best.kernel

    @property
    def at(self) -> Evaluation:
        """Its evaluation."""
        return self.best.at

    @property
    def residuals(self) -> DesignResiduals:
        """The structure."""
        return self.best.spec.residuals

    @property
    def phi(self) -> FloatArray:
        """Coordinates (d,) of the structure."""
        assert self.best.residual is not None
        return self.best.residual.phi

    @property
    def orders(self) -> VisitOrders:
        """Of the correlations of visits."""
        return VisitOrders(residuals=self.residuals)

    @property
    def deviance(self) -> ResidualDeviance:
        """The deviance in coordinates of held parameters."""
        return ResidualDeviance(kernel=self.best.spec.residual_kernel("ml"), orders=self.orders)

    @property
    def shape(self) -> CovarianceShape:
        """In the basis of the search."""
        return self.kernel.basis_shape

    @property
    def lowest(self) -> float:
        """Minus twice the log-likelihood at the optimum."""
        return self.best.criterion

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all M parameters."""
        return parameter_names(self.fit)

    @property
    def values(self) -> FloatArray:
        """All M parameters at the optimum."""
        best = self.best
        sigma = np.array([best.sigma])
        return parameter_values(best, best.representative[None], sigma, beta=best.beta[None])[0]

    @property
    def is_correlation(self) -> BoolArray:
        """Which coordinates of residuals are correlations, (d,); the others are of log sds."""
        return np.arange(self.phi.size) >= self.residuals.structure.n_spreads

    def hold(self, parameters: Sequence[IntervalParameter]) -> tuple[Held, FloatArray, None]:
        """Return coordinates for each parameter, and the optimum in them."""
        phi, correlated = self.phi, self.is_correlation
        G, k = self.residuals.structure.n_spreads, self.shape.n_theta
        ends = np.where(
            correlated[:, None],
            AT_END * np.array([-1.0, 1.0]),
            phi[:, None] + FARTHEST * np.array([-1.0, 1.0]),
        )
        alone = isinstance(self.residuals.structure.correlation, Bounded)
        places = ResidualPlaces(phi=phi, ends=ends, is_wide=correlated & alone)
        held, z = hold(self.kernel, self.at, parameters, residual=places)
        if alone:
            return held, z, None
        for i, parameter in enumerate(parameters):
            if parameter.kind == "residual" and parameter.row > G:
                turned = self.orders.turned(phi[G:], parameter.row - G)
                z[i, k + 1 + G : k + 1 + phi.size] = turned
        return held, z, None

    def values_at(
        self, held: Held, Lambdas: Sequence[FloatArray], z: FloatArray, beta: FloatArray
    ) -> FloatArray:
        """All parameters (N, M) at roots, points z (N, n) and fixed effects (N, p)."""
        anchor = self.kernel.products.anchor
        sigma = np.exp(z[:, held.n_theta])
        beta = anchor.beta0 + beta @ anchor.x_basis.T
        own, bases = self.residuals.values(self.orders.phi(held, z)[0]), anchor.z_bases
        return values_of_roots(self.fit, Lambdas, sigma, beta=beta, residual=own, bases=bases)

    def not_profiled(self, parameter: IntervalParameter) -> str:
        """Say why a parameter has no profile; empty where it has one."""
        del parameter
        return ""

    def never_ends(self, parameter: IntervalParameter) -> bool:
        """Whether the range of a parameter has no end."""
        if parameter.kind == "residual":
            return not self.is_correlation[parameter.row]
        return parameter.kind == "sigma"

    def reported(self, parameter: IntervalParameter, held: Held, z: FloatArray) -> FloatArray:
        """Values (N,) of the held parameter at points z (N, n) on the scale it is reported on."""
        if parameter.kind != "residual":
            return held.values(z)
        own = z[np.arange(z.shape[0]), held.own]
        values = self.residuals.values(self.orders.phi(held, z)[0])[:, parameter.row]
        if not self.is_correlation[parameter.row]:
            return np.asarray(values)
        low, high = residual_ends(self.fit)
        return np.where(own <= held.lower, low, np.where(own >= held.upper, high, values))


def residual_optimum(fit: LinearFit) -> ResidualOptimum:
    """Return where the likelihood is highest: that of a REML fit is searched."""
    return ResidualOptimum(fit=fit, best=fit.with_method("ml"))


def residual_ends(fit: LinearFit) -> tuple[float, float]:
    """Return the ends of the range of correlations of residuals."""
    own = fit.spec.residuals.structure.correlation
    return (own.lower, own.upper) if isinstance(own, Bounded) else (-1.0, 1.0)
