"""The posterior density of a generalised model, its random effects integrated out.

The coordinates x are, in this order, the log sds and partial correlations of ``coordinates.py``,
the further parameters of the family (a dispersion) on the scale of their search, and v, beta in
the basis of the model. The effects of the finest factor, and of factors that nest it, are
integrated out by ``chain_integrals.py``: with its integrals I_j and the effects c of the others

    p(y, x) = p(x) |dbeta dsd ... / dx| int N(c; 0, I) prod_j I_j(x, c) dc.

The integral over c is estimated without bias: one draw of a proposal near the mode, with the
curvature there, and its ratio of densities. Laplace's approximation of it says where x is likely.

Further parameters whose far end is a simpler family (a Poisson distribution, no extra zeros) are
taken with the opposite sign, so that all coordinates that may run away do so downwards.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.collapsed import nowhere
from hierbayes.bayes.coordinates import Coordinates, coordinates_of
from hierbayes.bayes.generalised_effects import draw_chain
from hierbayes.bayes.importance import Mode
from hierbayes.bayes.surrogate import Polynomial, least_squares, monomials
from hierbayes.bayes.variance_priors import variance_log_prior
from hierbayes.generalised.chain import chain_of
from hierbayes.generalised.chain_integrals import (
    Proposal,
    estimates,
    integrals,
    n_nodes,
    proposal,
    spread,
)
from hierbayes.generalised.chain_rows import ChainRows, Points, chain_rows
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.first_estimates import first_estimates
from hierbayes.generalised.joint_modes import (
    NEAR,
    Effects,
    Places,
    from_joint_mode,
    no_effects,
    places,
)
from hierbayes.linalg.threads import in_threads
from hierbayes.priors.distributions import Prior
from hierbayes.priors.model_priors import ModelPriors

FIRST_SD = 0.5  # of the random effects, in units of eta
UPWARDS = ("shape", "df", "share")  # parameters whose upper end is a simpler family
# Nodes a column that are tried in turn, each held against about twice as many, by the columns of
# the chain; importance draws take over where they are not enough, or too many from the start.
LADDERS = {1: (3, 5, 7, 9, 13, 19, 27, 39, 55), 2: (3, 4, 5, 7, 9, 13), 3: (3, 4, 5, 7, 9)}
MANY_NODES = 49  # of one factor's rule: as many as importance draws and the moments they need
ROUGH_POINTS = 3  # nodes a column while the proposal adapts: what it misses the weights make good
DRAWS = (16, 32, 64, 128, 256)  # importance draws a level that are tried in turn
JUDGED = 16  # points at which rules of enough nodes are held against finer ones
NOISY = 64  # points at which the noise of importance draws is measured
FEWER = 1.5  # times as many nodes a rule has that is worth a correction
CORRECTED_BY = 2  # points for each number of a correction, and more
POINTS = 64, 256  # of a correction: at least, at most
# Variance of the log of estimated densities that is allowed: it costs this part of the draws.
MOST_NOISE = 0.1
# Error of log p(y | parameters) by quadrature that is allowed, as root mean square over the
# posterior. A mean moves by no more of its sd than this, a third of the Monte-Carlo error of
# thousands of draws; and the change by more nodes at which a rule is taken as exact.
MOST_ERROR = 5e-3
EXACT = 1e-3
AT_MODE = 1e-12  # squared distance, in sds, of modes whose differences are taken
# Points for each number of the polynomials that say where modes are; of more than so many points
# these are linear. How far from the mode of x, in its sds, and how near to the modes, squared.
GUIDED_BY, MOST_GUIDES, GUIDE_SPREAD, GUIDE_NEAR = 2, 256, 1.2, 1e-4
CANDIDATE_ARRAYS = 100  # numbers at hand for each effect that is drawn
FARTHEST = 6.0  # spherical effects beyond which no mode is guessed
# Kept effects are drawn from a normal distribution and, for tails that it misses, a t of its scale.
TAIL_PART, TAIL_DEGREES = 0.1, 5.0


@record
class Guide:
    """Where modes are, roughly: polynomials of x, fitted to those at points around its mode.

    Beyond a radius, which none of those points were, they are as on its edge.

    Attributes
    ----------
    centre, root : arrays (d,) and (d, d), x = centre + root z
    radius : largest length of z
    degree : of the polynomials
    u : per factor of the chain, coefficients (m, J, q)
    c, onward : coefficients (m, d_c), of kept effects at the joint mode, and of their step from
        there to the mode with the others integrated out
    """

    centre: FloatArray
    root: FloatArray
    radius: float
    degree: int
    u: tuple[FloatArray, ...]
    c: FloatArray
    onward: FloatArray

    def within(self, x: FloatArray) -> FloatArray:
        """Points x (T, d), those beyond the radius moved to its edge."""
        z = np.linalg.solve(self.root, (x - self.centre).T)
        away = np.sqrt((z**2).sum(axis=0))
        part = self.radius / np.maximum(away, self.radius)
        return self.centre + (x - self.centre) * part[:, None]

    def at(self, x: FloatArray) -> tuple[Effects, FloatArray]:
        """Return effects at points x (T, d) within, and steps of kept ones (T, d_c)."""
        M = monomials(np.linalg.solve(self.root, (x - self.centre).T).T, self.degree)

        def guess(coefficients: FloatArray) -> FloatArray:
            shape = coefficients.shape[1:]
            values = M @ coefficients.reshape(M.shape[1], math.prod(shape))
            return np.clip(values.reshape(M.shape[0], *shape), -FARTHEST, FARTHEST)

        u = tuple(np.ascontiguousarray(np.swapaxes(guess(own), 0, 1)) for own in self.u)
        return Effects(u=u, c=guess(self.c)), M @ self.onward


@record(kw_only=False)
class Correction:
    """What a rule of few nodes lacks, a polynomial of x between the smallest and largest seen."""

    polynomial: Polynomial
    ends: tuple[float, float]

    def at(self, x: FloatArray) -> FloatArray:
        """Values at points x (T, d)."""
        return np.clip(self.polynomial.at(x), *self.ends)


@record
class Estimates:
    """Unbiased estimates of the density at T points, and what effects are proposed from at each.

    Attributes
    ----------
    log_density : array, shape (T,)
    kept : array, shape (T, d), drawn
    around : of the outermost factor of the chain; numbers of half the length will do
    """

    log_density: FloatArray
    kept: FloatArray
    around: Proposal

    def some(self, at: IntArray | slice) -> "Estimates":
        """Return those at some of the points."""
        return Estimates(
            log_density=self.log_density[at], kept=self.kept[at], around=self.around.some(at)
        )

    def and_then(self, more: "Estimates") -> "Estimates":
        """Return these and more."""
        return Estimates(
            log_density=np.append(self.log_density, more.log_density),
            kept=np.concatenate([self.kept, more.kept]),
            around=self.around.and_then(more.around),
        )


@record
class _Drawn:
    """Where modes are at T points, with drawn kept effects (T, d) in the base.

    ``log_ratio`` is their own log density minus that of the proposal, (T,).
    """

    at: Points
    found: Places
    moved: FloatArray | None = None
    kept: FloatArray | None = None
    log_ratio: FloatArray | float = 0.0


@record
class GeneralisedTarget:
    """The density, ready to be evaluated.

    Attributes
    ----------
    rows : the rows of the model by level
    coordinates : of the variance parameters
    priors : ModelPriors
    laws : priors of the further parameters, in the model's order
    n_points : nodes a column of quadrature
    n_exact : nodes a column that are enough
    correction : what fewer lack, if that is known
    n_draws : importance draws a level; 0 where quadrature is exact
    near : how near modes are to be found, a squared distance in sds
    guide : where the modes are, roughly, if known
    """

    rows: ChainRows
    coordinates: Coordinates
    priors: ModelPriors
    laws: tuple[Prior, ...]
    n_points: int = 3
    n_exact: int = 3
    correction: Correction | None = None
    n_draws: int = 0
    near: float = NEAR
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
    def _to_bases(self) -> list[FloatArray]:
        return [np.linalg.inv(basis) for basis in self.model.z_bases]

    def points(self, x: FloatArray) -> Points:
        """Parameters in the basis of the model."""
        return Points(
            base=self.rows.base(x[:, self.ends[1] :]), Lambdas=self._roots(x), phi=self.phi(x)
        )

    def _roots(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """Lambda of each factor at points x (T, d), (T, q, q)."""
        roots = self.coordinates.roots(self.variances(x))
        pairs = zip(self._to_bases, roots, strict=True)
        return tuple(np.asarray(to_basis @ root) for to_basis, root in pairs)

    def _as_large(
        self, at: Effects, own: tuple[FloatArray, ...], Lambdas: tuple[FloatArray, ...]
    ) -> Effects:
        """Make spherical effects smaller where other roots would make them larger than their own.

        Far out a guess would be thousands of logits else, and a search from there long.
        """
        sizes = [
            np.minimum(1.0, np.sqrt((a**2).sum(axis=(1, 2)) / (b**2).sum(axis=(1, 2))))
            for a, b in zip(own, Lambdas, strict=True)
        ]
        u = tuple(u * sizes[f][:, None] for u, f in zip(at.u, self.rows.chain, strict=True))
        c = at.c.copy()
        for f, part, _, _ in self.rows.kept_pattern.slices:
            c[:, part] *= sizes[f][:, None]
        return Effects(u=u, c=c)

    @property
    def chunk_size(self) -> int:
        """Numbers a point of a search for modes."""
        J, q, d = self.rows.labels[0].size, self.rows.columns[0], self.rows.n_kept
        return max(self.rows.n, J * q * d, d**2)

    def n_nodes(self, n_points: int) -> int:
        """Nodes a row of rules of ``n_points`` a column."""
        return n_nodes(self.rows, n_points)

    def places(self, x: FloatArray, at: Points) -> Places:
        """Find the modes at points x (T, d)."""
        return self._places(x, at)[0]

    def _places(
        self, x: FloatArray, at: Points, start: Effects | None = None
    ) -> tuple[Places, FloatArray | None]:
        """Find them, and steps of kept effects, if there are any, from there to their own mode."""
        if start is None:
            start, onward = self._start(x, at)
        else:
            start, onward = start.repeated(at.size), np.zeros((at.size, self.rows.n_kept))
        found = places(self.rows, at, start, near=self.near)
        return found, onward if self.rows.kept else None

    def _start(self, x: FloatArray, at: Points) -> tuple[Effects, FloatArray]:
        """Effects near the modes at points x (T, d), and steps of kept ones to their own mode."""
        if self.guide is None:  # points are near each other, and so are their modes
            first = at.some(slice(0, 1))
            start = places(self.rows, first, no_effects(self.rows, 1), near=NEAR).effects
            return start.repeated(at.size), np.zeros((at.size, self.rows.n_kept))
        within = self.guide.within(x)
        start, onward = self.guide.at(within)
        return self._as_large(start, self._roots(within), at.Lambdas), onward

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def log_density(
        self, x: FloatArray, n_points: int | None = None, *, start: Effects | None = None
    ) -> FloatArray:
        """Log p(y, x) by quadrature, and by Laplace over kept effects; -inf where it is no number.

        Parameters
        ----------
        x : array, shape (T, d)
        n_points : nodes a column
        start : effects of one point, from which modes are searched in place of a guess
        """
        n = self.n_points if n_points is None else n_points
        total = self._first(x) if n_points is None else self.log_prior(x)

        def work(chunk: slice) -> None:
            at = self.points(x[chunk])
            found, moved = self._places(x[chunk], at, start)
            c = found.effects.c if moved is None else found.effects.c + moved
            there = self.rows.with_kept(at, c)
            total[chunk] += integrals(self.rows, there, found, n, moved=moved).log_likelihood
            if self.rows.kept:
                total[chunk] -= 0.5 * ((c**2).sum(axis=1) + found.elimination.log_det_kept)

        in_threads(work, self.rows.parts(x.shape[0], self.chunk_size))
        return np.where(np.isfinite(total), total, -np.inf)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def estimates(self, x: FloatArray, rng: np.random.Generator) -> Estimates:
        """Estimate p(y, x) at points x (T, d) without bias, but for the error of quadrature."""
        rows, T = self.rows, x.shape[0]
        J, q = rows.labels[-1].size, rows.columns[-1]
        found = Estimates(
            log_density=self._first(x),
            kept=np.empty((T, rows.n_kept)),
            around=Proposal(
                mean=np.empty((J, T, q), dtype=np.float32),
                root=np.empty((J, T, q, q), dtype=np.float32),
                log_det=np.empty((J, T), dtype=np.float32),
            ),
        )

        def work(part: tuple[slice, np.random.Generator]) -> None:
            chunk, rng = part
            one = self._drawn(x[chunk], rng)
            at, places, moved = one.at, one.found, one.moved
            if self.n_draws:
                around = proposal(rows, at, places, moved)
                own = estimates(rows, at, around, self.n_draws, rng).sum(axis=0)
            else:
                levels = integrals(rows, at, places, self.n_points, moved=moved)
                around = proposal(rows, at, places, moved, levels)
                own = levels.log_likelihood
            if one.kept is not None:
                found.kept[chunk] = one.kept
            own = own + found.log_density[chunk] + one.log_ratio
            found.log_density[chunk] = np.where(np.isfinite(own), own, -np.inf)
            found.around.put(chunk, around)

        in_threads(work, rows.random_parts(T, self.chunk_size, rng))
        return found

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def effects(
        self, x: FloatArray, given: Estimates, rng: np.random.Generator
    ) -> list[FloatArray]:
        """Draw effects of all factors at points x (T, d), given estimates there: (T, J, q) each.

        On the user's scale, in the order of the model's factors.

        Raises
        ------
        SamplingError
            If there are none at which the data have a density.
        """
        rows, alone = self.rows, self.rows.without_kept()
        chain = [
            np.empty((labels.size, x.shape[0], q))
            for labels, q in zip(rows.labels, rows.columns, strict=True)
        ]
        possible = np.empty(x.shape[0], dtype=np.bool_)

        def work(part: tuple[slice, np.random.Generator]) -> None:
            chunk, rng = part
            at = rows.with_kept(self.points(x[chunk]), given.kept[chunk])
            found = None
            if rows.depth > 1:
                start = Effects(u=self._start(x[chunk], at)[0].u, c=np.empty((at.size, 0)))
                found = places(alone, at, start)
            around = given.around.some(chunk)
            drawn = draw_chain(alone, at, found, around, self.n_points, rng)
            possible[chunk] = drawn.possible
            for every, u in zip(chain, drawn.u, strict=True):
                every[:, chunk] = u

        numbers = CANDIDATE_ARRAYS * max(u[:, 0].size for u in chain)
        in_threads(work, rows.random_parts(x.shape[0], max(self.chunk_size, numbers), rng))
        if not possible.all():
            raise nowhere(
                rows.model.family,
                "The collapsed sampler found no effects of some levels at which the density of "
                "the data can be computed.",
            )
        roots = self.coordinates.roots(self.variances(x))
        sizes = zip(rows.model.levels.n_levels, rows.model.shape.sizes, strict=True)
        out = [np.empty((x.shape[0], J, q)) for J, q in sizes]
        for k, u in enumerate(chain):
            b = (roots[rows.chain[k]] @ u[..., None])[..., 0]
            out[rows.chain[k]][:, rows.labels[k]] = np.swapaxes(b, 0, 1)
        for f, part, J, q in rows.kept_pattern.slices:
            out[f] = np.einsum("tab,tjb->tja", roots[f], given.kept[:, part].reshape(-1, J, q))
        return out

    def _drawn(self, x: FloatArray, rng: np.random.Generator) -> "_Drawn":
        """Find the modes at points x (T, d) and draw the kept effects, if there are any."""
        at = self.points(x)
        found, moved = self._places(x, at)
        if moved is None:
            return _Drawn(at=at, found=found)
        steps, log_ratio = _kept_steps(found, rng)
        moved = moved + steps
        kept = found.effects.c + moved
        return _Drawn(
            at=self.rows.with_kept(at, kept),
            found=found,
            moved=moved,
            kept=kept,
            log_ratio=log_ratio - 0.5 * (kept**2).sum(axis=1),
        )

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

    def _first(self, x: FloatArray) -> FloatArray:
        """Log prior density, and the correction of the integrals."""
        return self.log_prior(x) + (0.0 if self.correction is None else self.correction.at(x))

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def guided(self, mode: Mode, rng: np.random.Generator) -> Guide:
        """Find the modes of the effects around the mode of x, and polynomials that give them."""
        d = mode.x.size
        sizes = {degree: math.comb(d + degree, degree) for degree in (2, 1)}
        degree = 2 if GUIDED_BY * sizes[2] <= MOST_GUIDES else 1
        root = np.linalg.cholesky(mode.covariance)
        z = GUIDE_SPREAD * rng.standard_normal((GUIDED_BY * sizes[degree], d))
        x = mode.x + z @ root.T
        at = self.points(x)
        first = self.points(mode.x[None])
        start = places(self.rows, first, no_effects(self.rows, 1)).effects
        found = no_effects(self.rows, at.size)
        onward = np.zeros((at.size, self.rows.n_kept))

        def work(chunk: slice) -> None:
            own = at.some(chunk)
            there = places(self.rows, own, start.repeated(own.size), near=GUIDE_NEAR)
            for every, u in zip(found.u, there.effects.u, strict=True):
                every[:, chunk] = u
            found.c[chunk] = there.effects.c
            if self.rows.kept:
                wide = spread(self.rows, self.rows.with_kept(own, there.effects.c), there)
                onward[chunk] = from_joint_mode(self.rows, own, there, wide)

        in_threads(work, self.rows.parts(at.size, self.chunk_size))
        M = monomials(z, degree)

        def fitted(values: FloatArray) -> FloatArray:
            shape = values.shape[1:]
            flat = np.where(np.isfinite(values), values, 0.0).reshape(at.size, math.prod(shape))
            return np.asarray(np.linalg.lstsq(M, flat)[0].reshape(M.shape[1], *shape))

        return Guide(
            centre=mode.x,
            root=root,
            radius=float(GUIDE_SPREAD * np.sqrt(d) + 1),
            degree=degree,
            u=tuple(fitted(np.swapaxes(u, 0, 1)) for u in found.u),
            c=fitted(found.c),
            onward=fitted(onward),
        )

    @property
    def ladder(self) -> tuple[int, ...]:
        """Nodes a column to be tried."""
        return LADDERS.get(sum(self.rows.columns), ())

    def finer(self, n_points: int) -> int:
        """Nodes a column that others are held against."""
        return 2 * n_points + 1 if sum(self.rows.columns) == 1 else n_points + 2

    def refined(
        self, x: FloatArray, rng: np.random.Generator, *, again: bool = False
    ) -> "GeneralisedTarget":
        """Return the target with the fewest nodes, or draws a level, that are exact enough at x.

        Again, where those of this one were not: by more nodes, or without the polynomial, which may
        miss in the tails, and judged at all points.
        """
        may_draw = self.rows.depth == 1 and self.rows.columns[0] > 1
        failed = self.n_exact if again and self.correction is None else 0
        for n in [n for n in self.ladder if n > failed] or self.ladder[-1:]:
            exact = replace(self, n_points=n, n_exact=n, correction=None, n_draws=0)
            if exact.quadrature_error(x if again else x[:JUDGED], rng) <= EXACT:
                break
        else:
            if may_draw:
                return self._drawing(x, rng)
        corrected = None if again else exact._corrected(x, rng)
        if corrected is None and may_draw and self.n_nodes(exact.n_points) > MANY_NODES:
            return self._drawing(x, rng)
        return exact if corrected is None else corrected

    def _corrected(self, x: FloatArray, rng: np.random.Generator) -> "GeneralisedTarget | None":
        """Take fewer nodes and what they lack as a polynomial of x, if it is one."""
        most = self.n_nodes(self.n_exact) / FEWER
        fewer = tuple(n for n in self.ladder if self.n_nodes(n) <= most)
        if not fewer:
            return None
        exact, *rough = self._by_rules(x, (self.n_exact, *fewer), rng)
        for n, values in zip(fewer, rough, strict=True):
            correction = _correction(x, exact - values)
            if correction is not None:
                return replace(self, n_points=n, correction=correction)
        return None

    def _drawing(self, x: FloatArray, rng: np.random.Generator) -> "GeneralisedTarget":
        points = rough_points(self)
        for n_draws in DRAWS:
            finer = replace(self, n_draws=n_draws, n_points=points, correction=None)
            if finer.noise(x[:NOISY], rng) <= MOST_NOISE:
                break
        return finer

    def quadrature_error(self, x: FloatArray, rng: np.random.Generator) -> float:
        """Change of the log density at points x by more nodes than are held exact (rms)."""
        now, exact = self._by_rules(x, (self.n_points, self.finer(self.n_exact)), rng)
        if self.correction is not None:
            now = now + self.correction.at(x)
        both = np.isfinite(now) & np.isfinite(exact)
        return float(np.sqrt(np.mean((now - exact)[both] ** 2))) if both.any() else 0.0

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def _by_rules(
        self, x: FloatArray, rules: tuple[int, ...], rng: np.random.Generator
    ) -> FloatArray:
        """Log p(y | x, kept effects drawn given x) at points x (T, d) by several rules."""
        out = np.empty((len(rules), x.shape[0]))

        def work(part: tuple[slice, np.random.Generator]) -> None:
            chunk, rng = part
            one = self._drawn(x[chunk], rng)
            for i, n in enumerate(rules):
                levels = integrals(self.rows, one.at, one.found, n, moved=one.moved)
                out[i, chunk] = levels.log_likelihood

        in_threads(work, self.rows.random_parts(x.shape[0], self.chunk_size, rng))
        return out

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def noise(self, x: FloatArray, rng: np.random.Generator) -> float:
        """Variance of the log of the estimates of the levels' integrals at points x."""
        at = self.points(x)
        found, moved = self._places(x, at)
        there = at if moved is None else self.rows.with_kept(at, found.effects.c + moved)
        around = proposal(self.rows, there, found, moved)
        one, other = (
            estimates(self.rows, there, around, self.n_draws, rng).sum(axis=0) for _ in range(2)
        )
        return float(np.mean((one - other) ** 2) / 2)


def _correction(x: FloatArray, lack: FloatArray) -> Correction | None:
    """Find the polynomial that the lack (T,) of a rule at points x (T, d) is, if it is one."""
    try:
        whiten = np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False, ddof=0))).T
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(lack).all():
        return None
    centre = x.mean(axis=0)
    z, ends = (x - centre) @ whiten, (float(lack.min()), float(lack.max()))
    best, least = None, MOST_ERROR / 1.5
    for degree in (1, 2):
        M = monomials(z, degree)
        if M.shape[0] < CORRECTED_BY * M.shape[1]:
            break
        coefficients, left_out = least_squares(M, lack, np.ones(lack.size))
        error = float(np.sqrt(np.mean(left_out**2)))
        if error < least:
            polynomial = Polynomial(centre, whiten, coefficients)
            best, least = Correction(polynomial, ends), error
    return best


def _kept_steps(found: Places, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw steps of kept effects (T, d) from their mode, with minus their log density (T,).

    The constant is that of a standard normal density, which cancels that of the effects' own.
    """
    inverse = found.elimination.kept_inverse
    T, d = inverse.shape[:2]
    z = rng.standard_normal((T, d))
    wide = rng.random(T) < TAIL_PART
    stretch = np.sqrt(TAIL_DEGREES / rng.chisquare(TAIL_DEGREES, size=T))
    z *= np.where(wide, stretch, 1.0)[:, None]
    squares = (z**2).sum(axis=1)
    half = 0.5 * (TAIL_DEGREES + d)
    constant = gammaln(half) - gammaln(TAIL_DEGREES / 2) - 0.5 * d * np.log(TAIL_DEGREES / 2)
    log_tail = constant - half * np.log1p(squares / TAIL_DEGREES)
    log_q = np.logaddexp(np.log(1 - TAIL_PART) - 0.5 * squares, np.log(TAIL_PART) + log_tail)
    moved = (np.swapaxes(inverse, 1, 2) @ z[..., None])[..., 0]
    return moved, -log_q - 0.5 * found.elimination.log_det_kept


def generalised_target(model: Conditional, priors: ModelPriors) -> GeneralisedTarget:
    """Put rows and priors together."""
    levels = model.levels
    chain = chain_of(levels.codes, levels.n_levels, [z.shape[0] for z in levels.z])
    return GeneralisedTarget(
        rows=chain_rows(model, chain),
        coordinates=coordinates_of(model.shape, priors, True),
        priors=priors,
        laws=priors.of_further(model.further),
    )


def nearby(target: GeneralisedTarget) -> Callable[[FloatArray], FloatArray]:
    """Return the log density for points (N, d) near each other, and near those asked for before."""
    last = no_effects(target.rows, 1)

    def log_density(x: FloatArray) -> FloatArray:
        nonlocal last
        last = places(target.rows, target.points(x[:1]), last, near=NEAR).effects
        return target.log_density(x, start=last)

    return log_density


def start_of(target: GeneralisedTarget) -> FloatArray:
    """Return a point (d,) to climb to the mode from: estimates without random effects."""
    beta, phi = first_estimates(target.model)
    sds = [FIRST_SD * np.sqrt((basis**2).sum(axis=1)) for basis in target.model.z_bases]
    roots = [np.eye(len(columns)) for _, columns in target.model.shape.terms]
    return np.concatenate([target.coordinates.phi(sds, roots, 1.0), phi * target.signs, beta])


def points_of_correction(target: GeneralisedTarget) -> int:
    """How many points a polynomial of degree two in all coordinates wants."""
    d = target.ends[2]
    return int(np.clip(2 * CORRECTED_BY * (d + 1) * (d + 2) / 2, *POINTS))


def rough_points(target: GeneralisedTarget) -> int:
    """Nodes a column where x is likely, roughly: one, Laplace's, where more are too many."""
    return min(target.n_points, ROUGH_POINTS) if target.ladder else 1


def first_sizes(target: GeneralisedTarget) -> FloatArray:
    """By how much each coordinate is known, roughly, (d,): v by all rows, whose X'X is theirs."""
    sizes = np.ones(target.ends[2])
    sizes[target.ends[1] :] = 1 / np.sqrt(target.rows.n)
    return sizes
