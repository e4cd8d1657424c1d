"""The mode of all random effects given the other parameters, at many points at once.

With slopes g and curvatures W of the rows' log densities, negative ones counted as zero, a Newton
step from spherical effects u solves

    (Lambda'Z'WZ Lambda + I) du = Lambda'Z'g - u.

The levels of the chain of ``chain_rows.py`` are eliminated from the finest factor up, each a small
Cholesky factor L_k, which leaves one dense matrix of the kept effects, with Cholesky factor K:

    L_k L_k' = A_k,   E_kl = L_k^-1 B_kl,   F_k = L_k^-1 C_k

with the blocks A_k of the levels of factor k, B_kl of them and the level of l above, C_k of them
and the kept effects, all less what the finer factors took. Given the effects above, those of a
level have the curvature L_k L_k' and move with them by -L_k'^-1 (E_kl du_l + F_k dc).

Modes are found roughly: they say where nodes go and proposals lie, which may be anywhere near.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.generalised.chain_rows import ChainRows, Points
from hierbayes.generalised.level_steps import LOST, level_steps
from hierbayes.generalised.row_sums import Moments
from hierbayes.linalg.stacked import (
    cholesky_stack,
    product_stack,
    solve_lower_stack,
    solve_upper_stack,
    transposed_product,
)

# Squared distance of a level's effects from their mode, in sds, that the last step may begin with:
# it ends far nearer, where nodes are as good as at the mode itself.
NEAR = 0.1
MAX_STEPS = 40
SLACK = 1e-9  # rise of minus a log density, as a part of it, that is rounding


@record
class Effects:
    """Spherical random effects, or steps of them.

    Attributes
    ----------
    u : per factor of the chain, array (J_k, T, q_k)
    c : array, shape (T, d), of the kept factors
    """

    u: tuple[FloatArray, ...]
    c: FloatArray

    def some(self, at: IntArray | BoolArray | slice) -> "Effects":
        """Return those at some of the points."""
        return Effects(u=tuple(u[:, at] for u in self.u), c=self.c[at])

    def repeated(self, T: int) -> "Effects":
        """Return those of one point for T points."""
        return Effects(
            u=tuple(np.repeat(u, T, axis=1) for u in self.u), c=np.repeat(self.c, T, axis=0)
        )


@record
class Elimination:
    """Cholesky factor of the joint curvature of all effects, finest factor first.

    Attributes
    ----------
    roots : per factor of the chain, L_k (J_k, T, q_k, q_k)
    above : for k < l, E_kl (J_k, T, q_k, q_l)
    to_kept : per factor of the chain, F_k (T, J_k, q_k, d)
    kept_inverse : K^-1, array (T, d, d)
    """

    roots: tuple[FloatArray, ...]
    above: dict[tuple[int, int], FloatArray]
    to_kept: tuple[FloatArray, ...]
    kept_inverse: FloatArray

    def some(self, at: IntArray | BoolArray | slice) -> "Elimination":
        """Return that at some of the points."""
        return Elimination(
            roots=tuple(L[:, at] for L in self.roots),
            above={key: E[:, at] for key, E in self.above.items()},
            to_kept=tuple(F[at] for F in self.to_kept),
            kept_inverse=self.kept_inverse[at],
        )

    def log_det(self, k: int) -> FloatArray:
        """Log determinant of the curvature of each level of a factor of the chain, (J_k, T)."""
        diagonal = np.diagonal(self.roots[k], axis1=2, axis2=3)
        return np.asarray(2 * np.log(diagonal).sum(axis=2))

    @property
    def log_det_kept(self) -> FloatArray:
        """Log determinant of the kept effects' curvature, the chain's integrated out, (T,)."""
        diagonal = np.diagonal(self.kept_inverse, axis1=1, axis2=2)
        return np.asarray(-2 * np.log(diagonal).sum(axis=1))

    def is_lost(self, k: int) -> BoolArray:
        """Whether rounding takes the smallest eigenvalue, one or more, of a level, (J_k, T)."""
        return _is_lost((self.roots[k] ** 2).sum(axis=(2, 3)))


@record
class Places:
    """Where the integrands have their mass, roughly: effects, and the curvature there."""

    effects: Effects
    elimination: Elimination

    def some(self, at: IntArray | BoolArray | slice) -> "Places":
        """Return those at some of the points."""
        return Places(effects=self.effects.some(at), elimination=self.elimination.some(at))

    def put(self, at: IntArray, there: "Places") -> None:
        """Overwrite those at some of the points."""
        own, new = self.effects, there.effects
        factor, other = self.elimination, there.elimination
        levels = [*zip(own.u, new.u, strict=True), *zip(factor.roots, other.roots, strict=True)]
        for key, E in factor.above.items():
            levels.append((E, other.above[key]))
        for values, some in levels:
            values[:, at] = some
        kept = zip(factor.to_kept, other.to_kept, strict=True)
        pairs = [(own.c, new.c), (factor.kept_inverse, other.kept_inverse), *kept]
        for values, some in pairs:
            values[at] = some


def no_effects(rows: ChainRows, T: int) -> Effects:
    """Effects of zero."""
    return Effects(
        u=tuple(
            np.zeros((labels.size, T, q))
            for labels, q in zip(rows.labels, rows.columns, strict=True)
        ),
        c=np.zeros((T, rows.n_kept)),
    )


def places(rows: ChainRows, at: Points, start: Effects, *, near: float = NEAR) -> Places:
    """Go to the modes by damped Newton steps, until one promises less than ``near``."""
    search = _Search(rows, at)
    now = search.around(start)
    part, left = np.ones(now.h.shape), np.arange(at.size)
    found: Places | None = None
    for tries in range(MAX_STEPS + 1):
        go = ((part < 1) | (now.farthest > near)).any(axis=0) & (tries < MAX_STEPS)
        if not go.all():
            last = np.where((part < 1) | ~np.isfinite(now.farthest), 0.0, 1.0)
            there = Places(effects=search.moved(now, last), elimination=now.elimination)
            if found is None:
                found = there
            else:
                found.put(left, there)
            if not go.any():
                break
            search, now = _Search(rows, search.at.some(go)), now.some(go)
            part, left = part[:, go], left[go]
        state = search.around(search.moved(now, part))
        better = state.h <= now.h + SLACK * (1 + np.abs(now.h))
        now = state if better.all() else search.merged(better, state, now)
        part = np.where(better, 1.0, part / 2)
    assert found is not None
    return found


def from_joint_mode(rows: ChainRows, at: Points, found: Places, spread: FloatArray) -> FloatArray:
    """How far the mode of kept effects is from the joint one, the chain integrated out, (T, d).

    A Newton step for the slope of -log det A / 2, A the curvature of the chain: with the variance
    v_i of a row's eta given the kept effects and the third derivative -w_i' of its log density, the
    slope along eta is -w_i' v_i / 2.

    Parameters
    ----------
    spread : array, shape (n, T), v
    """
    there = rows.with_kept(at, found.effects.c)
    eta = rows.eta(there, [u[..., None] for u in found.effects.u])[..., 0]
    slope = 0.5 * rows.third_order(at, eta) * spread
    none = no_effects(rows, at.size)
    pull = _along(rows, at, none, rows.sums_of(slope), slope.T)
    return _solved(rows, found.elimination, pull).c


@record(kw_only=False)
class _State:
    """Effects, what they cost in each unit, the step from them, and its largest part."""

    effects: Effects
    h: FloatArray
    elimination: Elimination
    step: Effects
    farthest: FloatArray

    def some(self, at: BoolArray) -> "_State":
        """Return that at some of the points."""
        return _State(
            effects=self.effects.some(at),
            h=self.h[:, at],
            elimination=self.elimination.some(at),
            step=self.step.some(at),
            farthest=self.farthest[:, at],
        )


class _Search:
    """Evaluations of the rows at effects; what depends on each other is one unit, and moves so.

    Units are the levels of the outermost factor of the chain, or everything where effects are kept.
    """

    def __init__(self, rows: ChainRows, at: Points) -> None:
        self.rows, self.at = rows, at

    def around(self, effects: Effects) -> _State:
        """Evaluate the rows and find the Newton step."""
        rows, at = self.rows, self.at
        if rows.depth == 1:
            return self._around_levels(effects)
        sums = rows.moments(rows.with_kept(at, effects.c), effects.u)
        value = np.where(np.isfinite(sums.value), sums.value, -np.inf)
        h = -self._in_units(value, 0)
        for k, u in enumerate(effects.u):
            h = h + self._in_units(0.5 * (u**2).sum(axis=2), k)
        h = h + 0.5 * (effects.c**2).sum(axis=1)
        fall = _along(rows, at, effects, sums.slope, sums.row_slope.T)
        elimination = Blocks(rows, at, sums).eliminated()
        step = _solved(rows, elimination, fall)
        farthest = (fall.c * step.c).sum(axis=1) / max(rows.n_kept, 1)
        for k in range(rows.depth):
            farthest = np.maximum(farthest, self._most((fall.u[k] * step.u[k]).sum(axis=2), k))
        return _State(effects=effects, h=h, elimination=elimination, step=step, farthest=farthest)

    def _around_levels(self, effects: Effects) -> _State:
        """Do that for a chain of one factor."""
        rows, T, u, c = self.rows, self.at.size, effects.u[0], effects.c
        found = level_steps(rows, self.at, u, c)
        h = 0.5 * (u**2).sum(axis=2) - found.value
        h = np.where(np.isfinite(h), h, np.inf)
        if not rows.kept:
            elimination = Elimination(
                roots=(found.root,),
                above={},
                to_kept=(found.to_kept,),
                kept_inverse=np.empty((T, 0, 0)),
            )
            step = Effects(u=(found.step,), c=c)
            return _State(effects, h, elimination, step, (found.half**2).sum(axis=2))
        fall_c = np.where(np.isfinite(found.kept_slope), found.kept_slope, 0.0).T - c
        F = found.to_kept.reshape(T, -1, rows.n_kept)
        F_turned = np.swapaxes(F, 1, 2)
        among = np.moveaxis(found.among_kept, 2, 0)
        curvature = among + np.eye(rows.n_kept) - F_turned @ F
        curvature = _certain(curvature, np.trace(among, axis1=1, axis2=2))
        inverse = np.linalg.inv(np.linalg.cholesky(curvature))
        half = np.swapaxes(found.half, 0, 1).reshape(T, -1, 1)
        right = fall_c[..., None] - F_turned @ half
        step_c = np.swapaxes(inverse, 1, 2) @ (inverse @ right)
        rest = np.swapaxes((half - F @ step_c).reshape(T, *u.shape[::2]), 0, 1)
        step_u = solve_upper_stack(found.root, rest[..., None])[..., 0]
        step_c = step_c[..., 0]
        farthest = np.maximum(
            (fall_c * step_c).sum(axis=1) / rows.n_kept,
            (found.fall * step_u).sum(axis=2).max(axis=0),
        )
        return _State(
            effects=effects,
            h=(h.sum(axis=0) + 0.5 * (c**2).sum(axis=1))[None],
            elimination=Elimination(
                roots=(found.root,), above={}, to_kept=(found.to_kept,), kept_inverse=inverse
            ),
            step=Effects(u=(step_u,), c=step_c),
            farthest=farthest[None],
        )

    def _most(self, levels: FloatArray, k: int) -> FloatArray:
        """Largest value of the levels (J_k, T) of a factor of the chain in each unit."""
        if self.rows.kept:
            return levels.max(axis=0, keepdims=True)
        return self.rows.gathered(levels, k, self.rows.depth - 1, add=np.maximum)

    def _in_units(self, levels: FloatArray, k: int) -> FloatArray:
        """Sum levels (J_k, T) of a factor of the chain within the units."""
        if self.rows.kept:
            return levels.sum(axis=0, keepdims=True)
        return self.rows.gathered(levels, k, self.rows.depth - 1)

    def _of_levels[Value: (FloatArray, BoolArray)](self, units: Value, k: int) -> Value:
        """Values of units (U, T) at the levels of a factor of the chain, (J_k, T)."""
        last = self.rows.depth - 1
        return units if self.rows.kept or k == last else units[self.rows.parents[k, last]]

    def moved(self, now: _State, part: FloatArray) -> Effects:
        """Effects after parts (U, T) of the steps."""
        pairs = enumerate(zip(now.effects.u, now.step.u, strict=True))
        u = tuple(own + self._of_levels(part, k)[..., None] * step for k, (own, step) in pairs)
        return Effects(u=u, c=now.effects.c + part[0][:, None] * now.step.c)

    def merged(self, better: BoolArray, there: _State, now: _State) -> _State:
        """Take units from ``there`` where they are better."""

        def chosen(k: int) -> Callable[[FloatArray, FloatArray], FloatArray]:
            own = self._of_levels(better, k)

            def take(a: FloatArray, b: FloatArray) -> FloatArray:
                return np.where(own.reshape(*own.shape, *[1] * (a.ndim - 2)), a, b)

            return take

        def kept(a: FloatArray, b: FloatArray) -> FloatArray:
            return np.where(better[0].reshape(-1, *[1] * (a.ndim - 1)), a, b)

        def both(a: Effects, b: Effects) -> Effects:
            pairs = enumerate(zip(a.u, b.u, strict=True))
            return Effects(u=tuple(chosen(k)(x, y) for k, (x, y) in pairs), c=kept(a.c, b.c))

        new, old = there.elimination, now.elimination
        pairs = enumerate(zip(new.roots, old.roots, strict=True))
        elimination = Elimination(
            roots=tuple(chosen(k)(x, y) for k, (x, y) in pairs),
            above={at: chosen(at[0])(new.above[at], old.above[at]) for at in new.above},
            to_kept=tuple(kept(x, y) for x, y in zip(new.to_kept, old.to_kept, strict=True)),
            kept_inverse=kept(new.kept_inverse, old.kept_inverse),
        )
        return _State(
            effects=both(there.effects, now.effects),
            h=np.where(better, there.h, now.h),
            elimination=elimination,
            step=both(there.step, now.step),
            farthest=np.where(better, there.farthest, now.farthest),
        )


def _along(
    rows: ChainRows, at: Points, effects: Effects, sums: FloatArray, slope: FloatArray
) -> Effects:
    """Lambda'Z'g - u of slopes g (T, n) of the rows, with their sums, and spherical effects u."""
    u = []
    for k, own in enumerate(effects.u):
        pulls = rows.gathered(sums[:, :, rows.columns_of(k)], 0, k)
        with np.errstate(all="ignore"):
            pull = np.einsum("tcd,jtc->jtd", at.Lambdas[rows.chain[k]], pulls) - own
        u.append(np.where(np.isfinite(pull), pull, -own))
    c = -effects.c
    for f, part, J, q in rows.kept_pattern.slices:
        pulls = rows.kept_pattern.sums_of(slope, f)
        own = product_stack(pulls, at.Lambdas[f]).reshape(-1, J * q)
        c[:, part] += np.where(np.isfinite(own), own, 0.0)
    return Effects(u=tuple(u), c=c)


class Blocks:
    """Blocks of Lambda'Z'WZ Lambda + I for curvatures W of the rows."""

    def __init__(self, rows: ChainRows, at: Points, sums: Moments) -> None:
        self.rows, self.at, self.sums = rows, at, sums

    def eliminated(self) -> Elimination:
        """Eliminate the chain, finest factor first, then the kept effects."""
        rows, D = self.rows, self.rows.depth
        diagonal = [self._between(k, k) for k in range(D)]
        above = {(k, m): self._between(k, m) for k in range(D) for m in range(k + 1, D)}
        to_kept = [self._with_kept(k) for k in range(D)]
        kept = self._kept()
        sizes = [self._size(k) for k in range(D)]
        roots = []
        for k in range(D):
            A = diagonal[k] + np.eye(diagonal[k].shape[2])
            L = cholesky_stack(_certain(A, sizes[k]))
            for m in range(k + 1, D):
                above[k, m] = solve_lower_stack(L, above[k, m])
            if rows.kept:
                to_kept[k] = solve_lower_stack(np.swapaxes(L, 0, 1), to_kept[k])
            for m in range(k + 1, D):
                E = above[k, m]
                diagonal[m] = diagonal[m] - rows.gathered(transposed_product(E, E), k, m)
                for o in range(m + 1, D):
                    taken = rows.gathered(transposed_product(E, above[k, o]), k, m)
                    above[m, o] = above[m, o] - taken
                if rows.kept:
                    taken = transposed_product(np.swapaxes(E, 0, 1), to_kept[k])
                    to_kept[m] = to_kept[m] - rows.gathered(taken, k, m, axis=1)
            if rows.kept:
                F = to_kept[k].reshape(to_kept[k].shape[0], -1, rows.n_kept)
                kept = kept - np.swapaxes(F, 1, 2) @ F
            roots.append(L)
        inverse = (
            np.linalg.inv(np.linalg.cholesky(_certain(kept, self._size_of_kept())))
            if rows.kept
            else kept
        )
        return Elimination(
            roots=tuple(roots), above=above, to_kept=tuple(to_kept), kept_inverse=inverse
        )

    def _lambda(self, f: int) -> FloatArray:
        return self.at.Lambdas[f]

    def _size(self, k: int) -> FloatArray:
        """Size of what is added up in the curvature of a factor of the chain, (J_k, T).

        Where columns cancel it is far above the curvature, and so is what rounding takes.
        """
        rows, own = self.rows, self.rows.columns_of(k)
        W = rows.gathered(self.sums.curvature[:, :, own, own], 0, k)
        Lambda = self._lambda(rows.chain[k])
        return np.asarray(np.trace(W, axis1=2, axis2=3) * (Lambda**2).sum(axis=(1, 2)))

    def _size_of_kept(self) -> FloatArray:
        """Size of what is added up in the curvature of the kept effects, (T,)."""
        total = np.zeros(self.at.size)
        every = self.rows.kept_pattern.squares(self.sums.row_weight.T)
        for (f, *_), own in zip(self.rows.kept_pattern.slices, every, strict=True):
            total += own * (self._lambda(f) ** 2).sum(axis=(1, 2))
        return total

    def _between(self, k: int, m: int) -> FloatArray:
        """Lambda_k'Z_k'WZ_m Lambda_m, (J_k, T, q_k, q_m)."""
        rows = self.rows
        W = self.sums.curvature[:, :, rows.columns_of(k), rows.columns_of(m)]
        W = rows.gathered(W, 0, k)
        with np.errstate(all="ignore"):
            La, Lb = self._lambda(rows.chain[k]), self._lambda(rows.chain[m])
            if W.shape[2:] == (1, 1):
                return np.asarray(W * (La * Lb))
            return np.asarray(np.swapaxes(La, 1, 2) @ W @ Lb)

    def _with_kept(self, k: int) -> FloatArray:
        """Lambda_k'Z_k'WZ_c Lambda_c for the kept effects, (T, J_k, q_k, d)."""
        rows = self.rows
        if not rows.kept:
            return np.empty((self.at.size, rows.labels[k].size, rows.columns[k], 0))
        M = rows.kept_pattern.with_chain(self.sums.row_weight.T, k)
        M = self._times_kept(M)
        La = self._lambda(rows.chain[k])[:, None]
        return np.asarray(M * La if La.shape[-1] == 1 else np.swapaxes(La, 2, 3) @ M)

    def _times_kept(self, M: FloatArray) -> FloatArray:
        """M (T, ..., d) times the block-diagonal Lambda of the kept factors."""
        T = max(M.shape[0], self.at.size)
        out = np.empty((T, *M.shape[1:]))
        for f, part, J, q in self.rows.kept_pattern.slices:
            Lambda = self._lambda(f).reshape(-1, *[1] * (M.ndim - 2), q, q)
            blocks = M[..., part].reshape(*M.shape[:-1], J, q)
            product = blocks * Lambda if q == 1 else blocks @ Lambda
            out[..., part] = product.reshape(T, *M.shape[1:-1], J * q)
        return out

    def _kept(self) -> FloatArray:
        """I + Lambda_c'Z_c'WZ_c Lambda_c, (T, d, d)."""
        d = self.rows.n_kept
        if not d:
            return np.empty((self.at.size, 0, 0))
        M = self._times_kept(self.rows.kept_pattern.among_kept(self.sums.row_weight.T))
        return np.asarray(self._times_kept(np.swapaxes(M, 1, 2)) + np.eye(d))


def _certain(A: FloatArray, size: FloatArray) -> FloatArray:
    """Curvatures that can be factorised: what columns share is left out where rounding takes it.

    ``size`` is the trace of each before finer factors took their part. What is left is never less
    than the identity, the curvature of the effects' own density.
    """
    q = A.shape[-1]
    if q == 1:
        return np.where(A > 1, A, 1.0)
    lost = _is_lost(size) | ~np.isfinite(A).all(axis=(-2, -1))
    if not lost.any():
        return A
    own = np.diagonal(A, axis1=-2, axis2=-1)
    own = np.where(np.isfinite(own) & (own > 1), own, 1.0)
    return np.where(lost[..., None, None], own[..., None] * np.eye(q), A)


def _is_lost(trace: FloatArray) -> BoolArray:
    """Whether rounding takes the smallest eigenvalue, one or more, of matrices of this trace."""
    return ~np.asarray(np.finfo(float).eps * trace <= LOST)


def _solved(rows: ChainRows, factor: Elimination, right: Effects) -> Effects:
    """Solve with the joint curvature."""
    D, half = rows.depth, [u[..., None] for u in right.u]
    c = right.c
    for k in range(D):
        half[k] = solve_lower_stack(factor.roots[k], half[k])
        for m in range(k + 1, D):
            taken = transposed_product(factor.above[k, m], half[k])
            half[m] = half[m] - rows.gathered(taken, k, m)
        if rows.kept:
            F = factor.to_kept[k].reshape(c.shape[0], -1, c.shape[1])
            flat = np.swapaxes(half[k][..., 0], 0, 1).reshape(c.shape[0], -1, 1)
            c = c - (np.swapaxes(F, 1, 2) @ flat)[..., 0]
    if rows.kept:
        half_c = factor.kept_inverse @ c[..., None]
        c = (np.swapaxes(factor.kept_inverse, 1, 2) @ half_c)[..., 0]
    solved: list[FloatArray] = [np.empty(0)] * D
    for k in reversed(range(D)):
        rest = half[k] - shift(rows, factor, k, solved, c)[..., None]
        solved[k] = solve_upper_stack(factor.roots[k], rest)[..., 0]
    return Effects(u=tuple(solved), c=c)


def shift(
    rows: ChainRows, factor: Elimination, k: int, above: list[FloatArray], c: FloatArray | None
) -> FloatArray:
    """E_kl u_l summed over the factors l above, and F_k c: (J_k, T, q_k)."""
    total = np.zeros(factor.roots[k].shape[:3])
    for m in range(k + 1, rows.depth):
        up = above[m][rows.parents[k, m]]
        total += np.einsum("jtab,jtb->jta", factor.above[k, m], up)
    if rows.kept and c is not None:
        moved = factor.to_kept[k] @ c[:, None, :, None]
        total += np.swapaxes(moved[..., 0], 0, 1)
    return total
