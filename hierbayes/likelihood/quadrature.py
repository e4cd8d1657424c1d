"""The likelihood by adaptive quadrature of the finest grouping factor, with its exact gradient.

The finest factor is that with the most levels. Given the spherical effects w of all other factors
its levels are independent, and ``level_sums.py`` integrates their effects v_j by K points a column:

    L = int N(w; 0, I) prod_j I_j(w) dw,   M(w) = w'w / 2 - sum_j log I_j(w).

With one factor there is no w, and -2 log L = 2 M. With several, w is integrated by Laplace, around
where its score is zero, and with the curvature of M, both as moments over the nodes (Louis 1982):

    -2 log L = 2 M(w) + log det S,    G(w) = w - A'E[g] = 0,
    S = I + A'diag(E[W]) A - sum_j Cov_j(A'g),

where A = Z_w Lambda_w holds the rows of w, and E and Cov_j weigh the slopes g and curvatures W of
the rows at the nodes by the shares of the nodes. With many nodes this is Laplace's approximation
of the integral over w of the exact integrals over v; what is left is small where each level of
the coarser factors has many levels of the finest, or many rows.

The gradient carries derivatives of 2 M + log det S back through the sums, and those in w on to
the parameters with the adjoint mu of G'(w)'mu = d(2 M + log det S) / dw, found in a few steps
as S is nearly G'(w).

Source: Louis (1982), J. R. Stat. Soc. B 44:226; Tierney & Kadane (1986), J. Am. Stat. Assoc. 81:82.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.weighted import WeightedLevels, to_effects, to_spherical
from hierbayes.generalised.conditional import Conditional
from hierbayes.generalised.pirls import Mode, at_effects, find_mode
from hierbayes.likelihood.laplace import Criterion, slopes_in_theta
from hierbayes.likelihood.level_sums import LevelSums, Pulled

# Effects of the coarser factors whose dense curvature is kept, and numbers in the list of what
# each node of each level pulls at them: a step costs the third power of the first, and eight bytes
# each of the second.
MOST_COARSE = 1500
MOST_PULLS = 2 * 10**7
# The last step of w, in its prior sds, leaves rounding, also for differences of gradients; so does
# one below the second that is no shorter than half of that before.
LAST_STEP = 1e-13
NO_SHORTER = 1e-10
SLOW = 1e-2  # steps longer than this are worth a curvature of their own
MAX_STEPS = 60
ADJOINT = 1e-12  # what is left of the adjoint equation, as a part of its right side


def is_within_reach(n_levels: Sequence[int], n_columns: Sequence[int], n_points: int) -> bool:
    """Whether the coarser factors of a model are few enough."""
    coarse = sum(J * q for J, q in zip(n_levels[1:], n_columns[1:], strict=True))
    return coarse <= MOST_COARSE and n_levels[0] * n_points ** n_columns[0] * coarse <= MOST_PULLS


@record(kw_only=False)
class Quadrature(Criterion):
    """-2 log-likelihood by ``n_points`` a column; ``beside`` is where w is from its joint mode."""

    n_points: int
    beside: FloatArray | None = None

    @cached_property
    def coarser(self) -> "Coarser | None":
        """The other factors' effects and what the levels' sums make of them; None of one factor."""
        if len(self.mode.u) == 1:
            return None
        start = _flat(self.mode.u[1:])
        if self.beside is not None:
            try:
                return _found(self.mode, self.n_points, start + self.beside)
            except np.linalg.LinAlgError:
                pass  # from the joint mode then
        return _found(self.mode, self.n_points, start)

    @property
    def away(self) -> FloatArray | None:
        """Where w is from its joint mode with the other effects."""
        return None if self.coarser is None else self.coarser.w - _flat(self.mode.u[1:])

    @cached_property
    def sums(self) -> LevelSums:
        """The sums of the finest factor's levels."""
        if self.coarser is None:
            return LevelSums(self.mode, self.n_points)
        return self.coarser.sums

    @cached_property
    def value(self) -> float:
        """-2 log-likelihood, with all constants."""
        value = -2.0 * self.sums.total
        if self.coarser is not None:
            value += float(self.coarser.w @ self.coarser.w) + self.coarser.log_det
        return value

    @cached_property
    def _pulled(self) -> tuple[Pulled, list[FloatArray]]:
        """Derivatives in the base of eta, phi and the finest factor's Lambda, and the others'."""
        if self.coarser is None:
            return self.sums.pulled_back(sums=-2.0), []
        return self.coarser.pulled_back()

    @property
    def covariance_slopes(self) -> list[FloatArray]:
        """Half the derivative in Lambda, per factor (1, q, q)."""
        pulled, others = self._pulled
        return [0.5 * D[None] for D in (pulled.Lambda, *others)]

    @cached_property
    def gradient(self) -> FloatArray:
        """Derivative of the value in (beta, theta, phi)."""
        mode, model = self.mode, self.mode.model
        pulled, _ = self._pulled
        along_theta = slopes_in_theta(model.basis_shape, mode.theta, self.covariance_slopes)
        return np.concatenate([model.X.T @ pulled.base, along_theta, pulled.phi])


@record(kw_only=False)
class Coarser:
    """The effects w of all factors but the finest, and the sums of the finest's levels there.

    Attributes
    ----------
    levels : the rows of these factors
    Lambdas : per factor, array (1, q, q)
    w : array, shape (r,), factor by factor, level by level
    sums : of the finest factor
    """

    levels: WeightedLevels
    Lambdas: list[FloatArray]
    w: FloatArray
    sums: LevelSums

    @property
    def score(self) -> FloatArray:
        """G of the module's header, (r,)."""
        return self.w - self._along(self.sums.mean_slope)

    def rows(self, w: FloatArray) -> FloatArray:
        """Return A w for vectors w (r, c), (n, c)."""
        return self.levels.rows_of(to_effects(self.Lambdas, self._parts(w)))

    def effects(self, w: FloatArray) -> FloatArray:
        """Return Lambda w for row vectors w (m, r)."""
        return self.scaled(w, transposed=True)

    def products(self, w: FloatArray, pull: FloatArray) -> FloatArray:
        """Add w_a pull_b - [a = b] over the levels, (m, c) for row vectors (m, r)."""
        found = []
        for x, g in zip(self._parts(w.T), self._parts(pull.T), strict=True):
            J, q = x.shape[1:3]
            sums = np.einsum("jac,jbc->cab", x[0], g[0]) - J * np.eye(q)
            found.append(sums.reshape(-1, q * q))
        return np.concatenate(found, axis=1)

    def slopes_in_lambdas(self, slopes: FloatArray, w: FloatArray) -> list[FloatArray]:
        """Slopes in the Lambdas (q, q) per factor, from those in the effects Lambda w (r,)."""
        pairs = zip(self._parts(slopes), self._parts(w), strict=True)
        return [np.einsum("jac,jbc->ab", s[0], x[0]) for s, x in pairs]

    def _along(self, rows: FloatArray) -> FloatArray:
        """A'rows, (r,)."""
        return _flat(to_spherical(self.Lambdas, self.levels.sums_of(rows[:, None])))

    def _parts(self, w: FloatArray) -> list[FloatArray]:
        """Vectors (r,) or (r, c) as lists per factor (1, J, q, c)."""
        c = 1 if w.ndim == 1 else w.shape[1]
        parts = np.split(w, self._starts[1:])
        shapes = zip(parts, self.levels.n_levels, self._columns, strict=True)
        return [part.reshape(1, J, q, c) for part, J, q in shapes]

    def scaled(self, rows: FloatArray, *, transposed: bool = False) -> FloatArray:
        """Matrices (m, r) times the block diagonal of all Lambdas, or of their transposes."""
        out, start = np.empty_like(rows), 0
        for L, J in zip(self.Lambdas, self.levels.n_levels, strict=True):
            Lambda = L[0].T if transposed else L[0]
            part = slice(start, start + J * Lambda.shape[0])
            out[:, part] = (rows[:, part].reshape(-1, Lambda.shape[0]) @ Lambda).reshape(
                rows.shape[0], -1
            )
            start = part.stop
        return out

    @cached_property
    def pulls(self) -> FloatArray:
        """Z_w'(g - E[g]) of each level and node, times the root of its share, (J, N, r)."""
        sums, levels = self.sums, self.levels
        finest = sums.mode.model.levels
        J, N = sums.shares.shape
        away = sums.nodes.densities.slope - sums.mean_slope[:, None]
        away = away * np.sqrt(sums.row_shares)
        out, start = np.empty((J, N, self.w.size)), 0
        for codes, z, J_w in zip(levels.codes, levels.z, levels.n_levels, strict=True):
            keys = finest.codes[0].astype(np.int64) * J_w + codes
            for b, column in enumerate(z):
                at = slice(start + b, start + J_w * z.shape[0], z.shape[0])
                for t in range(N):
                    values = column * away[:, t]
                    found = np.bincount(keys, weights=values, minlength=J * J_w)
                    out[:, t, at] = found.reshape(J, J_w)
            start += J_w * z.shape[0]
        return out

    @cached_property
    def _raw_curvature(self) -> FloatArray:
        """Z_w'diag(E[W])Z_w less the covariances of what nodes pull, (r, r)."""
        pulls = self.pulls.reshape(-1, self.w.size)
        return self.levels.dense(self.sums.mean_weight) - pulls.T @ pulls

    @cached_property
    def root(self) -> FloatArray:
        """Cholesky factor of S.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where S is not positive definite.
        """
        half = self.scaled(self._raw_curvature)
        return np.linalg.cholesky(self.scaled(half.T) + np.eye(self.w.size))

    @property
    def log_det(self) -> float:
        """Log det S."""
        return 2.0 * float(np.log(np.diag(self.root)).sum())

    def solve(self, right: FloatArray) -> FloatArray:
        """S^-1 right."""
        return np.asarray(np.linalg.solve(self.root.T, np.linalg.solve(self.root, right)))

    def pulled_back(self) -> tuple[Pulled, list[FloatArray]]:
        """Carry 2 M + log det S back, derivatives in w on to the parameters.

        Returns
        -------
        Pulled, and per coarser factor the derivative in its Lambda (q, q)
        """
        inverse = self.solve(np.eye(self.w.size))
        of_rows = self.scaled(inverse, transposed=True)  # Q Lambda'
        first = self._from_determinant(self.scaled(of_rows.T, transposed=True))
        mu, second = self._adjoint(2 * self.w + self._along(first.base))
        both = Pulled(
            base=first.base + second.base,
            Lambda=first.Lambda + second.Lambda,
            phi=first.phi + second.phi,
        )
        through_S = 2 * self._raw_curvature @ of_rows.T
        return both, self._into_lambdas(both.base, mu, through_S)

    def _from_determinant(self, Q: FloatArray) -> Pulled:
        """Carry 2 M + log det S back; Q is Lambda S^-1 Lambda', (r, r)."""
        sums = self.sums
        forms = self._row_forms(Q)
        along = (self.pulls.reshape(-1, self.w.size) @ Q).reshape(self.pulls.shape)
        weighted = sums.summed(forms[:, None] * sums.nodes.densities.weight)
        shares = sums.shares * weighted - (along * self.pulls).sum(axis=2)
        return sums.pulled_back(
            sums=-2.0,
            slope=-2 * np.sqrt(sums.row_shares) * self._beside_rows(along),
            weight=sums.row_shares * forms[:, None],
            shares=shares,
        )

    def _row_forms(self, Q: FloatArray) -> FloatArray:
        """Z_w Q Z_w' of each row, (n,)."""
        levels, starts = self.levels, self._starts
        diagonal = [
            np.stack([Q[at : at + q, at : at + q] for at in range(start, start + J * q, q)])
            for start, J, q in zip(starts, levels.n_levels, self._columns, strict=True)
        ]
        cross = {}
        for (f, g), (rows, columns, _) in levels.row_meetings.items():
            at_f = starts[f] + rows[:, None] * self._columns[f] + np.arange(self._columns[f])
            at_g = starts[g] + columns[:, None] * self._columns[g] + np.arange(self._columns[g])
            cross[f, g] = Q[at_f[:, :, None], at_g[:, None, :]]
        return levels.row_forms(diagonal, cross)

    def _beside_rows(self, along: FloatArray) -> FloatArray:
        """Z_w of each row times what belongs to its level and node, (n, N) from (J, N, r)."""
        finest = self.sums.mode.model.levels.codes[0]
        total = np.zeros((finest.size, along.shape[1]))
        for start, codes, z in zip(self._starts, self.levels.codes, self.levels.z, strict=True):
            for b, column in enumerate(z):
                at = start + codes * z.shape[0] + b
                total += column[:, None] * along[finest, :, at]
        return total

    def _adjoint(self, right: FloatArray) -> tuple[FloatArray, Pulled]:
        """Solve G'(w)'mu = right; and the derivatives of mu'A'E[g].

        By generalised conjugate residuals, S going before.
        """
        mu, rest = np.zeros_like(right), right
        steps: list[tuple[FloatArray, FloatArray]] = []
        for _ in range(MAX_STEPS):
            if np.abs(rest).max() <= ADJOINT * max(np.abs(right).max(), 1.0):
                return mu, self._through_score(mu)
            step = self.solve(rest)
            image = step - self._along(self._through_score(step).base)
            for _ in range(2):  # once more takes away what rounding left
                for other, of_other in steps:
                    part = image @ of_other
                    step, image = step - part * other, image - part * of_other
            size = np.linalg.norm(image)
            if not size > 0:
                break
            steps.append((step / size, image / size))
            part = rest @ steps[-1][1]
            mu, rest = mu + part * steps[-1][0], rest - part * steps[-1][1]
        raise np.linalg.LinAlgError("the coarser effects do not follow the parameters")

    def _through_score(self, mu: FloatArray) -> Pulled:
        """Carry mu'A'E[g] back."""
        a, sums = self.rows(mu)[:, 0], self.sums
        moved = sums.summed(a[:, None] * sums.nodes.densities.slope)
        return sums.pulled_back(slope=sums.row_shares * a[:, None], shares=sums.shares * moved)

    def _into_lambdas(
        self, base: FloatArray, mu: FloatArray, through_S: FloatArray
    ) -> list[FloatArray]:
        found = []
        right = self.levels.sums_of(np.column_stack([base, self.sums.mean_slope]))
        parts = zip(
            right, self._parts(self.w), self._parts(mu), self._starts, self._columns, strict=True
        )
        for pulled, w, m, start, q in parts:
            D = np.einsum("jac,jbc->ab", pulled[0], np.concatenate([w[0], m[0]], axis=2))
            for at in range(start, start + w[0].shape[0] * q, q):
                D = D + through_S[at : at + q, at : at + q]
            found.append(D)
        return found

    @cached_property
    def _columns(self) -> list[int]:
        return [z.shape[0] for z in self.levels.z]

    @cached_property
    def _starts(self) -> list[int]:
        sizes = [J * q for J, q in zip(self.levels.n_levels, self._columns, strict=True)]
        return np.cumsum([0, *sizes])[:-1].tolist()


def _found(mode: Mode, n_points: int, w: FloatArray) -> Coarser:
    """Go to where the score of w is zero.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is no such place to be found from here.
    """
    model = mode.model
    Lambdas, base = mode.Lambdas[1:], model.offset + model.X @ mode.beta
    near, last = None, np.inf
    at = _flat(mode.u[1:])
    here = _at(model.finest, mode, mode.u[0], base + _coarse_rows(model, Lambdas, at))
    for _ in range(MAX_STEPS):
        moved = _coarse_rows(model, Lambdas, w - at)
        right = here.spherical(-(here.densities.weight * moved)[:, None])
        step, _ = here.solve(right, np.zeros((0, 1)))
        here = _at(model.finest, mode, here.u[0] + step[0], here.model.offset + moved)
        at = w
        found = Coarser(model.coarser, Lambdas, w, LevelSums(here, n_points))
        if near is None or last > SLOW:
            near = found
        dw = -near.solve(found.score)
        before, last = last, float(np.abs(dw).max())
        if not np.isfinite(last):
            break
        if last < LAST_STEP or before / 2 <= last < NO_SHORTER:
            return found
        w = w + dw
    raise np.linalg.LinAlgError("the mode of the coarser effects was not found")


def _at(finest: Conditional, mode: Mode, v: FloatArray, base: FloatArray) -> Mode:
    """Return the mode of the finest factor's effects given the rest of eta."""
    theta = mode.theta[mode.model.of_finest]
    rest = replace(finest, offset=base)
    return find_mode(at_effects(rest, theta, np.empty(0), mode.phi, [v], profiled=False, order=3))


def _coarse_rows(model: Conditional, Lambdas: Sequence[FloatArray], w: FloatArray) -> FloatArray:
    levels = model.coarser
    sizes = [J * z.shape[0] for J, z in zip(levels.n_levels, levels.z, strict=True)]
    parts = np.split(w, np.cumsum(sizes)[:-1])
    u = [part.reshape(1, J, -1, 1) for part, J in zip(parts, levels.n_levels, strict=True)]
    return levels.rows_of(to_effects(Lambdas, u))[:, 0]


def _flat(vectors: Sequence[FloatArray]) -> FloatArray:
    """Join lists per factor (1, J, q, 1) to one vector (r,)."""
    return np.concatenate([x.ravel() for x in vectors])
