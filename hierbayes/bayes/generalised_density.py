"""The posterior density of a generalised model of one grouping factor, its effects integrated out.

The coordinates x are, in this order, the log sds and partial correlations of ``coordinates.py``,
the further parameters of the family (a dispersion) on the scale of their search, and v, beta in
the basis of the model. With the integrals of ``level_integrals.py``

    log p(y, x) = sum_j log I_j(beta, Lambda, dispersion) + log prior + log |dbeta dsd ... / dx|.

Further parameters whose far end is a simpler family (a Poisson distribution, no extra zeros) are
taken with the opposite sign, so that all coordinates that may run away do so downwards.
"""

import math
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.coordinates import Coordinates
from hierbayes.bayes.variance_priors import variance_log_prior, variance_log_prior_slope
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.first_estimates import first_estimates
from hierbayes.generalised.level_integrals import Integrals, LevelRows, Points, level_rows
from hierbayes.priors.distributions import Prior
from hierbayes.priors.model_priors import ModelPriors

COMPLEX_STEP = 1e-30  # derivatives by a complex step have no cancellation, so the step can be tiny
FIRST_SD = 0.5  # of the random effects, in units of eta
UPWARDS = ("shape", "df", "share")  # parameters whose upper end is a simpler family
FIRST_POINTS = 7  # nodes a column for the way to the mode
# Nodes a column that are tried in turn, each held against about twice as many; for one column, and
# for two.
LADDERS = {1: (3, 5, 7, 9, 13, 19, 27, 39, 55), 2: (3, 5, 7, 9, 13, 19, 27)}
# Error of log p(y | parameters) by quadrature that is allowed anywhere the posterior has mass. It
# changes weights by this part of themselves and so moves no mean by more of its sd, a tenth and
# less of the Monte-Carlo error of thousands of draws.
MOST_ERROR = 1e-3
GUIDE_STEP = 1e-3  # of the differences that say how the modes move with the parameters
FARTHEST = 6.0  # coordinates of u beyond which no mode is guessed


@record
class Guide:
    """How the modes move: u = u0 + sum_i (x_i - x0_i) du_i, arrays (J, q) and (d, J, q)."""

    x: FloatArray
    u: FloatArray
    slopes: FloatArray


@record
class GeneralisedTarget:
    """The density, ready to be evaluated.

    Attributes
    ----------
    rows : the rows of the model by level
    coordinates : of the variance parameters
    priors : ModelPriors
    laws : priors of the further parameters, in the model's order
    n_points : nodes a column
    guide : where the modes are, roughly, if known
    """

    rows: LevelRows
    coordinates: Coordinates
    priors: ModelPriors
    laws: tuple[Prior, ...]
    n_points: int = FIRST_POINTS
    guide: Guide | None = None

    @property
    def model(self) -> Conditional:
        """The rows."""
        return self.rows.model

    @cached_property
    def ends(self) -> tuple[int, int, int]:
        """Where the coordinates of variances, of further parameters and of v end."""
        first = self.coordinates.size
        second = first + len(self.model.coordinates)
        return first, second, second + self.model.X.shape[1]

    @cached_property
    def signs(self) -> FloatArray:
        """Of the further parameters' coordinates, (d,)."""
        coordinates = self.model.coordinates
        return np.array([-1.0 if c.parameter.prior in UPWARDS else 1.0 for c in coordinates])

    @property
    def tails(self) -> dict[int, float]:
        """Coordinates that may run to minus infinity."""
        rare = np.array([p.prior == "rare" for p in self.model.further], dtype=np.bool_)
        downwards = self.coordinates.size + np.flatnonzero((self.signs < 0) | rare)
        return dict.fromkeys([*self.coordinates.scales.tolist(), *downwards.tolist()], 0.0)

    def variances(self, x: FloatArray) -> FloatArray:
        """Return the coordinates of variance parameters."""
        return x[:, : self.ends[0]]

    def phi(self, x: FloatArray) -> FloatArray:
        """Further parameters on the scale of their search, (T, d)."""
        return x[:, self.ends[0] : self.ends[1]] * self.signs

    def further(self, x: FloatArray) -> dict[str, FloatArray]:
        """Further parameters as the user knows them, each (T,), thresholds (T, K)."""
        return self.model.on_user_scale(self.phi(x), x[:, self.ends[1] :])

    def beta(self, x: FloatArray) -> FloatArray:
        """Coefficients on the user's scale, (T, p)."""
        return np.asarray(x[:, self.ends[1] :] @ self.model.x_basis.T)

    @cached_property
    def _to_basis(self) -> FloatArray:
        return np.linalg.inv(self.model.z_bases[0])

    def _lambda(self, variances: FloatArray) -> FloatArray:
        return np.asarray(self._to_basis @ self.coordinates.roots(variances)[0])

    def points(self, x: FloatArray) -> Points:
        """Parameters in the basis of the model."""
        return Points(
            beta=x[:, self.ends[1] :], Lambda=self._lambda(self.variances(x)), phi=self.phi(x)
        )

    def integrals(self, x: FloatArray, n_points: int | None = None) -> Integrals:
        """Integrate the effects of each level out at points x (T, d)."""
        at = self.points(x)
        found = self.rows.places(at, self._start(x))
        return self.rows.integrals(at, found, self.n_points if n_points is None else n_points)

    def n_nodes(self, n_points: int) -> int:
        """Nodes a level of the rule of ``n_points`` a column."""
        return int(n_points ** self.rows.size[2])

    def _start(self, x: FloatArray) -> FloatArray:
        """Guess the modes, (J, T, q)."""
        _, J, q = self.rows.size
        if self.guide is None:
            return np.zeros((J, x.shape[0], q))
        moved = np.tensordot(x - self.guide.x, self.guide.slopes, axes=1)  # (T, J, q)
        guess = np.swapaxes(moved, 0, 1) + self.guide.u[:, None]
        return np.clip(guess, -FARTHEST, FARTHEST)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def log_density(self, x: FloatArray, n_points: int | None = None) -> FloatArray:
        """Log p(y, x) at points x (T, d), shape (T,); minus infinity where it is no number."""
        n = self.n_points if n_points is None else n_points
        total = self.log_prior(x)
        for at in self.rows.chunks(x.shape[0], self.n_nodes(n)):
            total[at] += self.integrals(x[at], n).log_likelihood
        return np.where(np.isfinite(total), total, -np.inf)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def value_and_slope(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log density and its gradient at points x (T, d)."""
        values, slopes = self.log_prior(x), self._log_prior_slope(x)
        first, second, _ = self.ends
        for at in self.rows.chunks(x.shape[0], self.n_nodes(self.n_points)):
            found = self.rows.slopes(self.points(x[at]), self.integrals(x[at]))
            values[at] += found.value
            moved = self._lambda_slopes(self.variances(x[at]))
            slopes[at, :first] += np.einsum("tab,tdab->td", found.Lambda, moved)
            slopes[at, first:second] += found.phi * self.signs
            slopes[at, second:] += found.beta
        return values, slopes

    def _lambda_slopes(self, variances: FloatArray) -> FloatArray:
        """Return the derivative of Lambda in the variance coordinates, (T, k, q, q)."""
        T, k = variances.shape
        stepped = variances[:, None, :] + 1j * COMPLEX_STEP * np.eye(k)
        Lambda = self._lambda(stepped.reshape(T * k, k))
        return np.asarray(Lambda.imag / COMPLEX_STEP).reshape(T, k, *Lambda.shape[1:])

    @cached_property
    def _log_jacobian(self) -> float:
        """Log of the volume of beta a unit of v."""
        return float(np.linalg.slogdet(self.model.x_basis)[1]) if self.model.X.shape[1] else 0.0

    def log_prior(self, x: FloatArray) -> FloatArray:
        """Log prior density of x, Jacobians included, (T,)."""
        total = variance_log_prior(self.coordinates, self.priors, self.variances(x))
        total = total + self.priors.log_density(beta=self.beta(x)) + self._log_jacobian
        return np.asarray(total + self._further_log_prior(x))

    def _further_log_prior(self, x: FloatArray) -> FloatArray:
        """Log prior density of the further parameters, (T,); K thresholds at centred predictors."""
        model = self.model
        total = np.zeros(x.shape[0])
        named = model.parameters(self.phi(x))
        for law, parameter in zip(self.laws, model.further, strict=True):
            density = law.log_density(named[parameter.name])
            if parameter.prior == "cuts":
                density = density.sum(axis=1)
                if parameter.increasing:  # the order of K independent draws
                    density = density + math.lgamma(model.n_cuts + 1)
            total += density
        for coordinate, at in zip(model.coordinates, self.phi(x).T, strict=True):
            total += np.log(np.abs(coordinate.transform.slope(at)))
        return total

    def _log_prior_slope(self, x: FloatArray) -> FloatArray:
        first, second, _ = self.ends
        out = np.zeros_like(x)
        out[:, :first] = variance_log_prior_slope(self.coordinates, self.priors, self.variances(x))
        model, laws = self.model, dict(zip(self.model.further, self.laws, strict=True))
        phi = self.phi(x)
        named = model.parameters(phi)
        for i, (coordinate, at) in enumerate(zip(model.coordinates, phi.T, strict=True)):
            parameter, transform = coordinate.parameter, coordinate.transform
            of_law = laws[parameter].derivative(named[parameter.name])
            if coordinate.along is not None:
                of_law = of_law @ coordinate.along
            slope = transform.slope(at)
            of_value = of_law * slope + transform.bend(at) / slope
            out[:, first + i] = of_value * self.signs[i]
        out[:, second:] = self._beta_slope(self.beta(x)) @ self.model.x_basis
        return out

    def _beta_slope(self, beta: FloatArray) -> FloatArray:
        priors, values = self.priors, beta.copy()
        if priors.intercept is not None:
            values[:, priors.intercept] += beta @ priors.centre
        pairs = zip(priors.beta, values.T, strict=True)
        out = np.zeros_like(beta)
        for k, (law, value) in enumerate(pairs):
            out[:, k] = law.derivative(value)
        if priors.intercept is not None:
            out = out + out[:, [priors.intercept]] * priors.centre
        return out

    def guided(self, x: FloatArray) -> Guide:
        """Find the modes at one point (d,) and how they move from there."""
        steps = GUIDE_STEP * np.eye(x.size)
        around = np.concatenate([x[None], x + steps, x - steps])
        at = self.points(around)
        u = self.rows.places(at, self._start(around)).u
        for _ in range(2):  # modes found roughly, to digits that differences need
            u = self.rows.places(at, u).u
        moved = (u[:, 1 : 1 + x.size] - u[:, 1 + x.size :]) / (2 * GUIDE_STEP)
        return Guide(x=x, u=u[:, 0], slopes=np.swapaxes(moved, 0, 1))

    @property
    def ladder(self) -> tuple[int, ...]:
        """Nodes a column to be tried."""
        return LADDERS[self.rows.size[2]]

    def quadrature_error(self, x: FloatArray) -> float:
        """Largest change of the log density at points x by about twice the nodes."""
        now = self.log_density(x)
        more = self.log_density(x, 2 * self.n_points + 1)
        both = np.isfinite(now) & np.isfinite(more)
        return float(np.abs(now - more)[both].max(initial=0.0))


def generalised_target(model: Conditional, priors: ModelPriors) -> GeneralisedTarget:
    """Put rows and priors together."""
    laws = tuple(
        priors.sigma if p.name == "sigma" and priors.sigma is not None else priors.family[p.name]
        for p in model.further
    )
    return GeneralisedTarget(
        rows=level_rows(model),
        coordinates=Coordinates(model.shape, True),
        priors=priors,
        laws=laws,
    )


def start_of(target: GeneralisedTarget) -> FloatArray:
    """Return a point (d,) to climb to the mode from: estimates without random effects."""
    beta, phi = first_estimates(target.model)
    basis = target.model.z_bases[0]
    sds = FIRST_SD * np.sqrt((basis**2).sum(axis=1))
    roots = [np.eye(len(columns)) for _, columns in target.model.shape.terms]
    return np.concatenate([target.coordinates.phi([sds], roots, 1.0), phi * target.signs, beta])
