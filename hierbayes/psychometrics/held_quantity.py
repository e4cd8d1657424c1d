"""Profile limits of a quantity in the population: the likelihood with the quantity held.

To hold a location at v is to hold the predictor there at the eta of its share, and to hold a
distance or slope is to hold the slope: r'beta = k, one linear equation. With N (p, p - 1)
orthonormal to r in the basis of the search,

    beta = r k / r'r + N gamma,

so the held model has the columns X N and a further offset X r k / r'r. The limits are where -2
log-likelihood D has risen by the quantile of chi-squared. They are found by Newton's steps in v on
the root of the rise, whose slope is known: dD/dv = mu (dk/dv - beta'dr/dv) with mu = dD/dk. All
limits are looked for at once (``likelihood/held_coefficients.py``), each maximum from where the
last two lead; one that is not clear is found with the care of a fit.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.likelihood.generalised import optimum_of
from hierbayes.likelihood.glmm import curvature_correction
from hierbayes.likelihood.held_coefficients import HeldCoefficients
from hierbayes.psychometrics.lines import Lines
from hierbayes.psychometrics.quantities import Quantity, at_share, read
from hierbayes.psychometrics.refits import climb_from
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit

# Of the root of the rise of -2 log-likelihood at a limit, and so of the limit in standard errors.
# Nearer than the other Newton's step is the last one: it leaves the square.
CLOSE, LAST = 1e-6, 1e-4
MOST_STEPS = 40
WIDEN = 1.6  # of a distance from the estimate, at most, until the limit is inside
MOST_WIDENINGS = 12
WITHIN = 0.05  # part of a bracket that a step leaves on each side, unless Newton's ends inside
FARTHEST = 3.0  # times the last move of v, for which the last two maxima lead to the next
# Newton decrement at which it is seen whether a rise is above a limit by this much: a hundred times
# what the search would still find.
ROUGH, CLEARLY = 0.1, 10.0
SAME = 1e-6  # of -2 log-likelihood, by which a careful search must be lower to be another maximum


@record
class _Equations:
    """r'beta = k at T places: arrays (T, p) on the user's scale, and (T,); and slopes in v."""

    r: FloatArray
    k: FloatArray
    r_slope: FloatArray
    k_slope: FloatArray

    def take(self, at: IntArray) -> "_Equations":
        """Return some of them."""
        parts = (self.r, self.k, self.r_slope, self.k_slope)
        r, k, r_slope, k_slope = (part[at] for part in parts)
        return _Equations(r=r, k=k, r_slope=r_slope, k_slope=k_slope)


@record
class _Held:
    """A fit whose quantity can be held, of T lines."""

    fit: GeneralisedFit
    lines: Lines
    line: IntArray
    quantity: Quantity
    rates: tuple[float, float]

    def take(self, at: IntArray) -> "_Held":
        """Return some of the lines."""
        return replace(self, line=self.line[at])

    def at(self, v: FloatArray) -> _Equations:
        """Return the equations of the quantity at v (T,), on the scale of t - origin."""
        start, step = self.lines.start.fixed[self.line], self.lines.step.fixed[self.line]
        by, off = self.lines.start.offset[self.line], self.lines.step.offset[self.line]
        if self.quantity.is_location:
            k = self._eta(0) - by - v * off
            return _Equations(r=start + v[:, None] * step, k=k, r_slope=step, k_slope=-off)
        unit = self._unit()
        is_slope = self.quantity.name == "slope"
        slope, rate = (v / unit, 1 / unit + 0 * v) if is_slope else (unit / v, -unit / v**2)
        return _Equations(r=step, k=slope - off, r_slope=np.zeros_like(step), k_slope=rate)

    def flat(self) -> _Equations:
        """Return the equations of no slope at all."""
        step, off = self.lines.step.fixed[self.line], self.lines.step.offset[self.line]
        return _Equations(r=step, k=-off, r_slope=np.zeros_like(step), k_slope=np.zeros_like(off))

    def _eta(self, i: int) -> float:
        guess, lapse = (np.array(rate) for rate in self.rates)
        quantity, link = self.quantity, self.fit.response_family.link
        return float(at_share(link, quantity.of, quantity.shares[i], guess, lapse)[0])

    def _unit(self) -> FloatArray:
        """Of a slope, that asked for a unit of s; of a distance, distance times s; (T,)."""
        if self.quantity.name != "slope":
            step = self.lines.step
            slope = step.fixed[self.line] @ self.fit.beta + step.offset[self.line]
            return np.sign(slope) * self.quantity.factor * (self._eta(1) - self._eta(0))
        guess, lapse = (np.array(rate) for rate in self.rates)
        link = self.fit.response_family.link
        one = read(self.quantity, link, a=np.zeros(1), s=np.ones(1), guess=guess, lapse=lapse)
        return np.full(self.line.size, float(one.value[0]))


def profile_limits(
    fit: GeneralisedFit,
    lines: Lines,
    quantity: Quantity,
    *,
    estimate: FloatArray,
    std_error: FloatArray,
    rates: tuple[float, float],
    level: float,
) -> tuple[FloatArray, FloatArray]:
    """Limits (m,) of a quantity of each line in the population, on the scale of t - origin.

    Parameters
    ----------
    fit : GeneralisedFit
    lines : Lines
    quantity : Quantity
    estimate, std_error : arrays (m,), by the delta method, to begin with
    rates : guess and lapse; estimated ones play no part in quantities of the core function
    level : of confidence
    """
    z = float(ndtri((1 + level) / 2))
    lower, upper = np.full(estimate.size, np.nan), np.full(estimate.size, np.nan)
    known = np.flatnonzero(np.isfinite(std_error))
    if not known.size:
        return lower, upper
    held = _Held(fit=fit, lines=lines, line=known, quantity=quantity, rates=rates)
    without_end = np.zeros(known.size, dtype=np.bool_)
    if quantity.name != "slope":
        every = np.arange(known.size)
        without_end = _Profile(held, estimate[known]).is_within(every, held.flat(), z)
    upper[known[without_end]] = np.inf
    if quantity.is_location:
        lower[known[without_end]] = -np.inf
    down = known[~without_end] if quantity.is_location else known
    up = known[~without_end]
    line = np.concatenate([down, up])
    step = z * std_error[line] * np.repeat([-1.0, 1.0], [down.size, up.size])
    profile = _Profile(replace(held, line=line), estimate[line])
    ends = _limits(profile, estimate[line], step, z)
    lower[down], upper[up] = ends[: down.size], ends[down.size :]
    return lower, upper


@record
class _Roots:
    """Roots of rises (T,), infinite where there is no likelihood, and their slopes in v."""

    root: FloatArray
    slope: FloatArray


class _Profile:
    """The likelihood with a quantity held at T places, each maximum from where the last two lead.

    Attributes
    ----------
    v, x : arrays (2, T) and (2, T, m), the last values and the maxima there, latest first
    """

    def __init__(self, held: _Held, estimate: FloatArray) -> None:
        self.held, self.fit, self.optimum = held, held.fit, optimum_of(held.fit)
        T = estimate.size
        self.together = (
            HeldCoefficients(self.optimum, _lacking(self.fit), T) if self.fit.n_quadrature else None
        )
        self.v = np.stack([estimate, np.full(T, np.nan)])
        self.x = np.tile(self.optimum.x, (2, T, 1))

    def is_within(self, at: IntArray, of: _Equations, z: float) -> BoolArray:
        """Return where the roots are no more than z, (T,), looking closely where that may be so."""
        known = _sure_rises(self.fit)
        keys = [(r.tobytes(), float(k)) for r, k in zip(of.r, of.k, strict=True)]
        new = np.flatnonzero([key not in known for key in keys])
        if self.together is not None and new.size:
            r, k = of.r[new] @ self.optimum.model.x_basis, of.k[new]
            start = self.together.projected(r, k)
            rough = self.together.maxima(at[new], r, k, start, decrement=ROUGH)
            rises = np.where(rough.settled, rough.value - self.fit.criterion - CLEARLY, 0.0)
            known.update(zip((keys[i] for i in new), rises.tolist(), strict=True))
        near = np.array([known.get(key, 0.0) <= z**2 for key in keys])
        some = np.flatnonzero(near)
        if some.size:
            near[some] = self.roots(at[some], of.take(some)).root <= z
        return near

    def roots(self, at: IntArray, of: _Equations, v: FloatArray | None = None) -> _Roots:
        """Return the roots where equations hold, at some places and values v of the quantity."""
        if self.together is None:
            pairs = zip(of.r, of.k, strict=True)
            value = np.array([_careful(self.fit, r, k, [self.begin]) for r, k in pairs])
            return _Roots(root=self._root(value), slope=np.full(at.size, np.nan))
        to_user = self.optimum.model.x_basis
        r = of.r @ to_user
        found = self.together.maxima(at, r, of.k, self._start(at, r, of.k, v))
        beta = found.x[:, : r.shape[1]] @ to_user.T
        slope = found.slope * (of.k_slope - (of.r_slope * beta).sum(axis=1))
        value = found.value.copy()
        for t in np.flatnonzero(~found.settled).tolist():
            value[t] = _careful(self.fit, of.r[t], of.k[t], [found.x[t], self.begin])
        slope[~(np.abs(value - found.value) < SAME)] = np.nan
        if v is not None:
            self.v[1, at], self.x[1, at] = self.v[0, at], self.x[0, at]
            self.v[0, at], self.x[0, at] = v, found.x
        root = self._root(value)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _Roots(root=root, slope=slope / (2 * root))

    def _start(
        self, at: IntArray, r: FloatArray, k: FloatArray, v: FloatArray | None
    ) -> FloatArray:
        """Points (T, m) near the maxima; no slope at all is far from all that is known."""
        assert self.together is not None
        if v is None:
            return self.together.projected(r, k)
        (v0, v1), (x0, x1) = self.v[:, at], self.x[:, at]
        if np.isnan(v1).any():
            return self.together.first(r, k)
        same = v0 == v1
        share = np.clip((v - v0) / np.where(same, 1.0, v1 - v0), -FARTHEST, FARTHEST)
        return np.asarray(x0 + np.where(same, 0.0, share)[:, None] * (x1 - x0))

    @property
    def begin(self) -> FloatArray:
        """Where the fit ended, (m,)."""
        mode = self.optimum.at.mode
        return np.concatenate([mode.beta, mode.theta, mode.phi])

    def _root(self, value: FloatArray) -> FloatArray:
        return np.sqrt(np.maximum(value - self.fit.criterion, 0.0))


def _limits(profile: _Profile, estimate: FloatArray, step: FloatArray, z: float) -> FloatArray:
    """Find where the roots are z on the sides of ``step`` (T,), by steps of Newton in a bracket."""
    positive = profile.held.quantity.is_distance

    def moved(by: FloatArray, at: IntArray) -> tuple[FloatArray, FloatArray]:
        """Values ``by`` from the estimates, and their slopes in it."""
        own = estimate[at]
        # a distance stays positive: steps down are those of its reciprocal
        down = positive & (by < 0)
        scale = np.where(down, 1 - by / own, 1.0)
        return np.where(down, own / scale, own + by), np.where(down, scale**-2.0, 1.0)

    T = estimate.size
    inner, inner_rise = np.zeros(T), np.full(T, -z)
    outer, outer_rise = np.full(T, np.nan), np.full(T, np.inf)
    by, widenings = step.copy(), np.zeros(T, dtype=np.intp)
    limits, left = np.full(T, np.nan), np.arange(T)
    for _ in range(MOST_STEPS):
        v, slope = moved(by[left], left)
        found = profile.roots(left, profile.held.take(left).at(v), v)
        rise, slope = found.root - z, found.slope * slope
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = by[left] - rise / slope
        last = (np.abs(rise) < LAST) & np.isfinite(newton)
        limits[left] = moved(np.where(last, newton, by[left]), left)[0]
        going = ~last & (np.abs(rise) >= CLOSE)
        left, rise, newton = left[going], rise[going], newton[going]
        limits[left] = np.nan
        above, here = rise > 0, by[left]
        outer[left[above]], outer_rise[left[above]] = here[above], rise[above]
        inner[left[~above]], inner_rise[left[~above]] = here[~above], rise[~above]
        is_open = np.isnan(outer[left])
        by[left] = np.where(
            is_open,
            _wider(here, newton),
            _between(inner[left], inner_rise[left], outer[left], outer_rise[left], newton),
        )
        widenings[left] += is_open
        gone = widenings[left] > MOST_WIDENINGS
        limits[left[gone]] = np.sign(step[left[gone]]) * np.inf
        left = left[~gone]
        if not left.size:
            break
    return limits


def _wider(here: FloatArray, newton: FloatArray) -> FloatArray:
    """Next steps (T,) where no limit is known to be inside yet: Newton's, or longer ones."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = newton / here
    return here * np.where((times > 1) & (times < WIDEN), times, WIDEN)


def _between(
    inner: FloatArray,
    inner_rise: FloatArray,
    outer: FloatArray,
    outer_rise: FloatArray,
    newton: FloatArray,
) -> FloatArray:
    """Next steps (T,) inside a bracket: Newton's, or the secant's, kept off its ends."""
    width = outer - inner
    with np.errstate(invalid="ignore"):
        share = (newton - inner) / width
    secant = np.clip(-inner_rise / (outer_rise - inner_rise), WITHIN, 1 - WITHIN)
    return inner + width * np.where((share > 0) & (share < 1), share, secant)


def _careful(fit: GeneralisedFit, r: FloatArray, k: float, starts: Sequence[FloatArray]) -> float:
    """-2 log-likelihood where r'beta = k, by the search of a fit; infinite where there is none.

    ``starts`` are points (m,) to begin at, the next one where that fails.
    """
    model = optimum_of(fit).model
    r = model.x_basis.T @ r
    N = np.linalg.qr(r[:, None], mode="complete")[0][:, 1:]
    other = replace(
        model,
        X=np.ascontiguousarray(model.X @ N),
        offset=model.offset + model.X @ (r * (k / float(r @ r))),
        x_basis=model.x_basis @ N,
    )
    p, n_theta, _ = model.sizes
    for x in starts:
        beta, theta, phi = np.split(x, [p, p + n_theta])
        try:
            return climb_from(other, fit.n_quadrature, beta=N.T @ beta, theta=theta, phi=phi).value
        except np.linalg.LinAlgError:
            continue
    return np.inf


@once_a_fit
def _lacking(fit: GeneralisedFit) -> FloatArray:
    return curvature_correction(optimum_of(fit))


@once_a_fit
def _sure_rises(fit: GeneralisedFit) -> dict[tuple[bytes, float], float]:
    """By how much -2 log-likelihood surely rises where equations hold, as far as it was asked."""
    del fit
    return {}
