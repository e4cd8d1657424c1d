"""Profile limits of a quantity in the population: the likelihood with the quantity held.

To hold a location at v is to hold the predictor there at the eta of its share, and to hold a
distance or slope is to hold the slope: r'beta = k, one linear equation. With N (p, p - 1)
orthonormal to r in the basis of the search,

    beta = r k / r'r + N gamma,

so the held model has the columns X N and a further offset X r k / r'r, and its maximum is found as
any other. The limits are where -2 log-likelihood has risen by the quantile of chi-squared.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import FloatArray, record
from hierbayes.generalised.conditional import Conditional
from hierbayes.psychometrics.lines import Lines
from hierbayes.psychometrics.quantities import Quantity, at_share, read
from hierbayes.psychometrics.refits import optimum_of, search_near
from hierbayes.results.generalised_fit import GeneralisedFit

# Of the root of the rise of -2 log-likelihood at a limit: a hundredth of what changes a level of
# 95 % by 0.001.
CLOSE = 1e-4
MOST_STEPS = 30
WIDEN = 1.6  # of a distance from the estimate, until the limit is inside
MOST_WIDENINGS = 12


@record
class _Equation:
    """r'beta = k: array (p,) on the user's scale, and a number."""

    r: FloatArray
    k: float


@record
class _Held:
    """A fit whose quantity can be held."""

    fit: GeneralisedFit
    lines: Lines
    line: int
    quantity: Quantity
    rates: tuple[float, float]

    def at(self, v: float) -> _Equation:
        """Return the equation of the quantity at v, on the scale of t - origin."""
        start, step = self.lines.start.fixed[self.line], self.lines.step.fixed[self.line]
        by, off = self.lines.start.offset[self.line], self.lines.step.offset[self.line]
        if self.quantity.is_location:
            eta = self._eta(0)
            return _Equation(r=start + v * step, k=eta - by - v * off)
        slope = v / self._unit() if self.quantity.name == "slope" else self._unit() / v
        return _Equation(r=step, k=slope - off)

    def flat(self) -> _Equation:
        """Return the equation of no slope at all."""
        step = self.lines.step
        return _Equation(r=step.fixed[self.line], k=-float(step.offset[self.line]))

    def _eta(self, i: int) -> float:
        guess, lapse = (np.array(rate) for rate in self.rates)
        quantity, link = self.quantity, self.fit.response_family.link
        return float(at_share(link, quantity.of, quantity.shares[i], guess, lapse)[0])

    def _unit(self) -> float:
        """Of a slope, that asked for a unit of s; of a distance, distance times s."""
        if self.quantity.name != "slope":
            step = self.lines.step
            slope = step.fixed[self.line] @ self.fit.beta + step.offset[self.line]
            sign = float(np.sign(slope))
            return sign * self.quantity.factor * (self._eta(1) - self._eta(0))
        guess, lapse = (np.array(rate) for rate in self.rates)
        link = self.fit.response_family.link
        one = read(self.quantity, link, a=np.zeros(1), s=np.ones(1), guess=guess, lapse=lapse)
        return float(one.value[0])


def profile_limits(
    fit: GeneralisedFit,
    lines: Lines,
    line: int,
    quantity: Quantity,
    *,
    estimate: float,
    std_error: float,
    rates: tuple[float, float],
    level: float,
) -> tuple[float, float]:
    """Limits of a quantity of the population, on the scale of t - origin.

    Parameters
    ----------
    fit : GeneralisedFit
    lines, line : the lines, and which of them
    quantity : Quantity
    estimate, std_error : by the delta method, to begin with
    rates : guess and lapse; estimated ones play no part in quantities of the core function
    level : of confidence
    """
    held = _Held(fit=fit, lines=lines, line=line, quantity=quantity, rates=rates)
    z = float(ndtri((1 + level) / 2))
    if not np.isfinite(std_error):
        return np.nan, np.nan
    without_end = quantity.name != "slope" and _root(held, held.flat()) <= z
    if without_end and quantity.is_location:
        return -np.inf, np.inf

    def limit(step: float) -> float:
        def rise(v: float) -> float:
            return _root(held, held.at(v)) - z

        return _limit(rise, estimate, step, z, positive=quantity.is_distance)

    lower = limit(-z * std_error)
    return lower, np.inf if without_end else limit(z * std_error)


def _limit(
    rise: Callable[[float], float], estimate: float, step: float, z: float, *, positive: bool
) -> float:
    """Find where ``rise`` is zero on the side of ``step``, by secants inside a bracket."""

    def moved(by: float) -> float:
        # a distance stays positive: steps down are those of its reciprocal
        return estimate / (1 - by / estimate) if positive and by < 0 else estimate + by

    inner, inner_rise = 0.0, -z
    outer, outer_rise = step, rise(moved(step))
    for _ in range(MOST_WIDENINGS):
        if outer_rise > 0:
            break
        inner, inner_rise = outer, outer_rise
        outer *= WIDEN
        outer_rise = rise(moved(outer))
    else:
        return float(np.sign(step) * np.inf)
    for _ in range(MOST_STEPS):
        share = -inner_rise / (outer_rise - inner_rise)
        middle = inner + float(np.clip(share, 0.05, 0.95)) * (outer - inner)
        found = rise(moved(middle))
        if abs(found) < CLOSE:
            return moved(middle)
        if found > 0:
            outer, outer_rise = middle, found
        else:
            inner, inner_rise = middle, found
    return np.nan


def _root(held: _Held, equation: _Equation) -> float:
    """Root of the rise of -2 log-likelihood where an equation holds; infinite where none is."""
    fit = held.fit
    found = optimum_of(fit)
    model = found.model
    r = model.x_basis.T @ equation.r
    size = float(r @ r)
    beta = found.at.mode.beta
    Q, _ = np.linalg.qr(r[:, None], mode="complete")
    N = Q[:, 1:]
    other = _with_columns(model, N, model.X @ (r * (equation.k / size)))
    try:
        at = search_near(fit, other, N.T @ beta)
    except np.linalg.LinAlgError:
        return np.inf
    return float(np.sqrt(max(at.value - fit.criterion, 0.0)))


def _with_columns(model: Conditional, N: FloatArray, offset: FloatArray) -> Conditional:
    return replace(
        model,
        X=np.ascontiguousarray(model.X @ N),
        offset=model.offset + offset,
        x_basis=model.x_basis @ N,
    )
