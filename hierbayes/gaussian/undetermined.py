"""Which variances and covariances of a model the data cannot determine, whatever the response.

In rows scaled by the root of their weights Var(y) = sum_m psi_m V_m with psi the entries of the
covariances of all terms (V_m = Z_a Z_b' + Z_b Z_a', or Z_a Z_a') and sigma^2 (V = I; absent where
the residual sds are known). What X beta cannot explain has the variance P0 Var(y) P0, with P0 the
projector off span(X), so the data determine psi up to the null space N of

    psi  ->  sum_m psi_m P0 V_m P0.

With one factor, more clear levels than X has columns settle it: for any direction d some c has
X'v = 0 with v_j = c_j Z_j (Z_j'Z_j)^-1 d, and then v'Vv = |c|^2 d'Psi d + sigma^2 |v|^2; and more
rows than columns of X and Z leave a v with v'Vv = sigma^2 |v|^2. Most others are settled by the
Gram matrix tr(P0 V_m P0 V_n), which products hold: far from singular, nothing is undetermined.
Squares hide what is small, so that otherwise N is found from the
rows, on a linear scale: first the directions d of a term with P0 Z d = 0 (its columns lie in
span(X), or depend on each other), then the dependences among P0 V_m P0 of what is left, by products
with random vectors. Products with more vectors than there are unknowns are dependent only if the
matrices are.

A term is held at zero in the search where the rest can do all it does (``removed``): the other
estimates are then those of the model without it. Nothing here looks at the response.

Source: Searle, Casella & McCulloch (1992), Variance Components, section 3.6; Lavine, Bray & Hodges
(2015), Bayesian Anal. 10:857 (a random effect and the span of X).
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, IntArray, record
from hierbayes.design.design import Design
from hierbayes.design.level_covariance import LevelCovariance
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.products import Products, dense_levels
from hierbayes.linalg.rank import RANK_TOLERANCE

# The Gram matrix alone says that all is determined while what is left of each V_m off X, and the
# smallest eigenvalue at a unit diagonal, are above this: rounding makes 1e-12 of it at most.
GRAM_SAFE = 1e-6
# Where there are no rows to ask: a hundred times the rounding, and 1e-5 on the linear scale, where
# 1e-6 is dependent.
GRAM_CLEAR = 1e-10
# Levels looked at for being clear (at least), and what makes them: columns of at least this part of
# their mean square over all levels, with at least this part of their volume if at right angles.
SOME_LEVELS = 64
OWN_SIZE = 0.01
OWN_VOLUME = 1e-3
# Columns whose products are below this part of their squares are orthogonal for the quick look,
# which asks for far more.
ORTHOGONAL = 1e-9
# P0 V_m P0 of unit size are dependent where a combination leaves less than this. Rounding leaves
# 1e-9 at columns that the fixed part explains to 1e-7, where they count as explained; one level of
# a hundred thousand that has both columns of a covariance leaves 1e-5.
DEPENDENT = 1e-6
# Part of a null vector above which an entry takes part in it; rounding leaves 1e-9.
TAKES_PART = 1e-6
UNEQUAL = (0.6, 1.5)  # scales of a structure with several, first and last
GENERIC = 0.3  # an angle, or an entry, at which nothing cancels by chance
PROBES = 3  # random effects drawn to see which directions of a term are in span(X)


@record
class Undetermined:
    """What the data cannot determine, in columns scaled to a mean square of one over the rows.

    Attributes
    ----------
    shape : CovarianceShape of the model
    scale : per factor, array (q,), root mean square of each column
    flat : array, shape (k + 1, d), basis of N: entries of the covariances in the order of theta,
        last sigma^2
    directions : per term, array (q_t, r), d with P0 Z d = 0
    dependences : array, shape (k + 1, c), null vectors that are not of such directions
    removed : per factor, the columns held at zero
    """

    shape: CovarianceShape
    scale: tuple[FloatArray, ...]
    flat: FloatArray
    directions: tuple[FloatArray, ...]
    dependences: FloatArray
    removed: tuple[tuple[int, ...], ...]

    @cached_property
    def entries(self) -> BoolArray:
        """Which entries of the covariances are undetermined, in the order of theta, shape (k,)."""
        return np.asarray(np.abs(self.flat[:-1]).max(axis=1, initial=0.0) > TAKES_PART)

    @property
    def sigma(self) -> bool:
        """Whether sigma is undetermined."""
        return bool(np.abs(self.flat[-1]).max(initial=0.0) > TAKES_PART)

    @cached_property
    def parameters(self) -> BoolArray:
        """Which sds (places on the diagonal) and correlations are undetermined, shape (k,)."""
        factor, row, column = self.shape.entries
        places = zip(factor, row, column, self.entries, strict=True)
        lost = {(f, r) for f, r, c, is_lost in places if is_lost and r == c}
        beside = [
            (f, r) in lost or (f, c) in lost for f, r, c in zip(factor, row, column, strict=True)
        ]
        return self.entries | np.array(beside, dtype=np.bool_)

    @cached_property
    def theta(self) -> BoolArray:
        """Which entries of theta are undetermined, shape (k,).

        Entry (r, c) of a Cholesky factor follows from rows and columns up to c, and row r up to c.
        """
        _, row, column = self.shape.entries
        lost = np.zeros(row.size, dtype=np.bool_)
        for own in self.slices:
            r, c, gone = row[own], column[own], self.entries[own]
            before = (c[gone] <= c[:, None]) & ((r[gone] <= c[:, None]) | (r[gone] == r[:, None]))
            lost[own] = before.any(axis=1)
        return lost

    @cached_property
    def slices(self) -> list[slice]:
        """Places of the entries of each term."""
        sizes = [len(columns) * (len(columns) + 1) // 2 for _, columns in self.shape.terms]
        ends = np.cumsum(sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    @property
    def kept(self) -> list[list[int]]:
        """Per factor the columns that are not held at zero."""
        return [
            [c for c in range(q) if c not in gone]
            for q, gone in zip(self.shape.sizes, self.removed, strict=True)
        ]


def undetermined(
    design: Design, products: Products, shape: CovarianceShape, *, weights: FloatArray | None
) -> Undetermined | None:
    """Return what the data cannot determine; None where they determine everything.

    Parameters
    ----------
    design : Design
    products : of its rows
    shape : of its covariances
    weights : array, shape (n,), precision weights of the likelihood, or None
    """
    sigma_known = design.known_sd is not None
    if any(own.relation is not None for own in design.factors):
        return None  # see told_apart
    if products_determine_all(products, shape, sigma_known=sigma_known):
        return None
    rows = _Rows(design, products.anchor.kept, weights)
    found = [_term_directions(rows, f, columns) for f, columns in shape.terms]
    bases = [T for _, _, T in found]
    terms = [_Term(f, columns, T) for (f, columns), T in zip(shape.terms, bases, strict=True)]
    images = _images(rows, terms, sigma_known=sigma_known)
    null = _null_vectors(images)
    own = _in_columns(terms, shape, null)
    directions = tuple(D for _, D, _ in found)
    flat = np.concatenate([_of_directions(directions, shape), own], axis=1)
    if not flat.shape[1]:
        return None
    left, size, _ = np.linalg.svd(flat / np.linalg.norm(flat, axis=0), full_matrices=False)
    removed: list[list[int]] = [[] for _ in shape.sizes]
    for (f, columns), (dropped, _, _) in zip(shape.terms, found, strict=True):
        removed[f] += [columns[c] for c in dropped]
    if null.shape[1]:
        for t in _spared(images, terms):
            removed[terms[t].factor] += [terms[t].columns[c] for c in terms[t].used]
    return Undetermined(
        shape=shape,
        scale=tuple(rows.scale),
        flat=left[:, size > DEPENDENT * size[0]],
        directions=directions,
        dependences=own,
        removed=tuple(tuple(sorted(gone)) for gone in removed),
    )


# the quick looks


def products_determine_all(
    products: Products, shape: CovarianceShape, *, sigma_known: bool, safe: float = GRAM_SAFE
) -> bool:
    """Whether the products alone say that nothing is undetermined.

    ``safe`` is what has to be left of the Gram matrix; ``GRAM_CLEAR`` where rows can't be asked.
    """
    if not shape.is_plain:  # see told_apart
        return True
    if shape.n_theta == 0 or _levels_are_clear(products, sigma_known=sigma_known):
        return True
    return _clearly_determined(products, shape, sigma_known=sigma_known, safe=safe)


def _levels_are_clear(products: Products, *, sigma_known: bool) -> bool:
    """Whether there is one factor, some of whose levels settle it, and rows left for sigma."""
    if len(products.zz) > 1:
        return False
    A, p = products.zz[0], products.xy.size
    J, q = A.shape[:2]
    if p >= J or not (sigma_known or products.n_obs - J * q > p):
        return False
    some = slice(max(SOME_LEVELS, 4 * p))
    own = A[some].diagonal(axis1=1, axis2=2)
    clear = own.min(axis=1) > OWN_SIZE / J * float(np.einsum("jaa->", A)) / q
    if q == 1:
        return int(clear.sum()) > p
    volume = products.level_roots[0][some].diagonal(axis1=1, axis2=2).prod(axis=1) ** 2
    told_apart = volume > OWN_VOLUME * own.prod(axis=1)
    return int((clear & told_apart).sum()) > p


def _clearly_determined(
    products: Products, shape: CovarianceShape, *, sigma_known: bool, safe: float
) -> bool:
    """Whether the Gram matrix of all P0 V_m P0 is far from singular."""
    M, plain = _gram_matrix(products, shape)
    k = shape.n_theta
    size = M.diagonal()
    if not (size[:k] > safe * plain).all():
        return False
    some = slice(k if sigma_known else k + 1)
    scale = np.sqrt(size[some])
    return bool(np.linalg.eigvalsh(M[some, some] / scale / scale[:, None])[0] > safe)


def told_apart(
    products: Products,
    shape: CovarianceShape,
    relations: Sequence[LevelCovariance | None],
    *,
    sigma_known: bool,
) -> bool:
    """Whether the data tell parameters of structures from each other, other entries and sigma.

    The derivatives of Var(y) in all of them, with X projected out, are independent at a point
    without special values. ``shape`` is in the basis of the products; ``relations`` are the known
    covariances between the levels of each factor.
    """
    entries = CovarianceShape(shape.sizes, shape.terms)
    if all(own is None for own in relations):
        M, _ = _gram_matrix(products, entries)
    else:
        M = _related_gram_matrix(products, entries, relations)
    k = shape.n_theta
    J = np.zeros((entries.n_theta + 1, k + 1))
    J[-1, -1] = 1.0
    x = np.where(shape.is_diagonal, 1.0, GENERIC)[None]
    several = shape.is_positive  # equal scales of one structure are special
    x[:, several] = np.linspace(*UNEQUAL, int(several.sum()))
    Lambdas, slopes = shape.unpack(x), shape.slopes(x)
    for i, ((factor, (_, at)), part) in enumerate(zip(shape.blocks, shape.slices, strict=True)):
        places = entries.slices[i]
        if shape.structures[i] is None:
            J[places, part] = np.eye(part.stop - part.start)
            continue
        half = slopes[factor][0, part] @ Lambdas[factor][0].T
        pairs = [(r, c) for j, c in enumerate(at) for r in at[j:]]
        rows, columns = np.array(pairs, dtype=np.intp).T
        J[places, part] = (half + np.swapaxes(half, 1, 2))[:, rows, columns].T
    some = slice(k if sigma_known else k + 1)
    own = (J.T @ M @ J)[some, some]
    scale = np.sqrt(own.diagonal())
    if not (scale > 0).all():
        return False
    return bool(np.linalg.eigvalsh(own / scale / scale[:, None])[0] > DEPENDENT**2)


def _gram_matrix(products: Products, shape: CovarianceShape) -> tuple[FloatArray, FloatArray]:
    """tr(P0 V_m P0 V_n) of all entries and sigma^2 (k + 1, k + 1); tr(V_m^2) of entries (k,)."""
    T = _in_orthonormal_columns(products)
    k = shape.n_theta
    M = np.zeros((k + 1, k + 1))
    plain = np.zeros(k)
    pairs = shape.entry_pairs
    places = [at for at, _, _ in shape.factor_entries]
    H = [_outer(t) for t in T]
    for f, (S, A, at) in enumerate(zip(pairs, products.zz, places, strict=True)):
        B = T[f] @ T[f].transpose(0, 2, 1)
        M[at, k] = M[k, at] = S @ (A - B).sum(axis=0).ravel()
        whole, without = _squares(A, B)
        M[at[:, None], at] = S @ _as_pairs(without + _low_rank(H[f], H[f])) @ S.T
        plain[at] = ((S @ _as_pairs(whole)) * S).sum(axis=1)
        for g in range(f + 1, len(shape.sizes)):
            coupling = products.couplings[f, g]
            B = T[f][coupling.rows] @ T[g][coupling.columns].transpose(0, 2, 1)
            K = _as_pairs(_squares(coupling.blocks, B)[1] + _low_rank(H[f], H[g]))
            cross = S @ K @ pairs[g].T
            M[at[:, None], places[g]] = cross
            M[places[g][:, None], at] = cross.T
    M[k, k] = products.n_obs - products.xy.size
    return M, plain


def _related_gram_matrix(
    products: Products, shape: CovarianceShape, relations: Sequence[LevelCovariance | None]
) -> FloatArray:
    """As ``_gram_matrix`` where V_m = Z (A x E_m) Z', from Z'P0 Z of all effects."""
    T = np.concatenate([t.reshape(-1, t.shape[2]) for t in _in_orthonormal_columns(products)])
    B = dense_levels(products.zz, products.couplings) - T @ T.T
    starts = np.cumsum([0] + [A.shape[0] * A.shape[1] for A in products.zz])
    k = shape.n_theta
    M = np.zeros((k + 1, k + 1))
    images = []
    for f, r, c in zip(*shape.entries, strict=True):
        J, q = products.zz[f].shape[:2]
        own = relations[f]
        E = np.zeros((q, q))
        E[r, c] = E[c, r] = 1.0
        rows = slice(starts[f], starts[f + 1])
        image = np.zeros_like(B)
        image[rows] = np.kron(np.eye(J) if own is None else own.matrix, E) @ B[rows]
        images.append(image)
    for m, image in enumerate(images):
        M[m, k] = M[k, m] = np.trace(image)
        for n in range(m + 1):
            M[m, n] = M[n, m] = (image * images[n].T).sum()
    M[k, k] = products.n_obs - products.xy.size
    return M


def _outer(T: FloatArray) -> FloatArray:
    """Sum over levels of T_j[b]'T_j[a], shape (q, q, p p), from T (J, q, p)."""
    J, q, p = T.shape
    flat = T.reshape(J, q * p)
    return np.asarray((flat.T @ flat).reshape(q, p, q, p).swapaxes(1, 2).reshape(q, q, p * p))


def _in_orthonormal_columns(products: Products) -> list[FloatArray]:
    """Z'WX per factor for X with orthonormal columns, (J, q, p); the basis has them, but for n."""
    xx = products.xx
    size = xx.diagonal()
    least, most = size.min(initial=np.inf), size.max(initial=0.0)
    if np.abs(xx - np.diag(size)).max(initial=0.0) < ORTHOGONAL * least and most < 2 * least:
        return [zx / np.sqrt(size) for zx in products.zx]
    root = np.linalg.inv(np.linalg.cholesky(xx)).T
    return [zx @ root for zx in products.zx]


def _squares(C: FloatArray, B: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum over pairs of levels, as (b, c, a, d), C[b, c] C[a, d], and what is left of it.

    That is S[b, c] S[a, d] - B[b, c] B[a, d] with S = C - B.
    """
    m, q, r = C.shape
    flat = C.reshape(m, q * r)
    whole = flat.T @ flat
    mixed = flat.T @ B.reshape(m, q * r)
    return whole.reshape(q, r, q, r), (whole - mixed - mixed.T).reshape(q, r, q, r)


def _low_rank(H: FloatArray, G: FloatArray) -> FloatArray:
    """Sum over all pairs of levels of B[b, c] B[a, d], as (b, c, a, d)."""
    q, r = H.shape[0], G.shape[0]
    both = H.reshape(q * q, -1) @ G.reshape(r * r, -1).T
    return np.asarray(both.reshape(q, q, r, r).transpose(0, 2, 1, 3))


def _as_pairs(K: FloatArray) -> FloatArray:
    """K (b, c, a, d) as a matrix of the pairs (a, b) and (c, d), (q q, r r)."""
    q, r = K.shape[:2]
    return np.asarray(K.transpose(2, 0, 1, 3).reshape(q * q, r * r))


# from the rows


class _Rows:
    """Rows scaled by the root of their weights: columns of length one, and P0."""

    def __init__(self, design: Design, kept: IntArray, weights: FloatArray | None) -> None:
        self.root = None if weights is None else np.sqrt(weights)[:, None]
        X = self.scaled(design.X[:, kept])
        length = np.linalg.norm(X, axis=0)
        self.Q = np.linalg.qr(X / np.where(length > 0, length, 1.0))[0]
        self.codes = [factor.codes for factor in design.factors]
        self.n_levels = [factor.levels.size for factor in design.factors]
        columns = [self.scaled(factor.z) for factor in design.factors]
        self.scale = [np.sqrt((z**2).mean(axis=0)) for z in columns]
        self.z = [z / scale for z, scale in zip(columns, self.scale, strict=True)]
        self.random = np.random.default_rng(0)

    @property
    def n(self) -> int:
        return self.Q.shape[0]

    def scaled(self, columns: FloatArray) -> FloatArray:
        return columns if self.root is None else columns * self.root

    def off_x(self, columns: FloatArray) -> FloatArray:
        """P0 times columns (n, s); twice, as one projection leaves its own rounding."""
        once = columns - self.Q @ (self.Q.T @ columns)
        return np.asarray(once - self.Q @ (self.Q.T @ once))


def _term_directions(
    rows: _Rows, f: int, columns: tuple[int, ...]
) -> tuple[list[int], FloatArray, FloatArray]:
    """Places of columns that earlier ones and X explain, the directions d, and a basis T (q, r).

    In the basis the kept columns are orthonormal off X.
    """
    z = rows.z[f][:, columns]
    q = z.shape[1]
    effects = rows.random.standard_normal((rows.n_levels[f], PROBES))[rows.codes[f]]
    drawn = (z[:, :, None] * effects[:, None, :]).reshape(rows.n, q * PROBES)
    length = np.sqrt((drawn**2).sum(axis=0).reshape(q, PROBES).sum(axis=1))
    left = rows.off_x(drawn).reshape(rows.n, q, PROBES).swapaxes(1, 2).reshape(-1, q) / length
    kept: list[int] = []
    basis = np.empty((left.shape[0], 0))
    for c in range(q):
        rest = left[:, c]
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > RANK_TOLERANCE:
            kept.append(c)
            basis = np.column_stack([basis, rest / size])
    dropped = [c for c in range(q) if c not in kept]
    R = basis.T @ left[:, kept]
    D = np.zeros((q, len(dropped)))
    for i, c in enumerate(dropped):
        on_kept = np.linalg.solve(R, basis.T @ left[:, c])
        on_kept = np.where(np.abs(on_kept) > TAKES_PART, on_kept, 0.0)
        D[kept, i] = -on_kept * length[c] / length[kept]
        D[c, i] = 1.0
    T = np.zeros((q, len(kept)))
    T[kept] = np.triu(np.linalg.inv(R)) / length[kept, None] * np.sqrt(rows.n)
    return dropped, D, T


@record(kw_only=False)
class _Term:
    """What is left of one term: its factor and columns, and the basis T (q, r)."""

    factor: int
    columns: tuple[int, ...]
    T: FloatArray

    @property
    def used(self) -> IntArray:
        """Places of the columns that are left."""
        return np.flatnonzero(self.T.any(axis=1))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Row and column of each entry, in the order of theta."""
        r = self.T.shape[1]
        return [(i, c) for c in range(r) for i in range(c, r)]


@record(kw_only=False)
class _Images:
    """P0 V_m P0 times random vectors, (n s, m) as a triangle (m, m); entries as (term, row, col).

    Variances have unit size, covariances the product of the roots; ``unit`` is what they were
    divided by. Sigma^2 is (-1, 0, 0).
    """

    columns: FloatArray
    unit: FloatArray
    labels: tuple[tuple[int, int, int], ...]


def _images(rows: _Rows, terms: list[_Term], *, sigma_known: bool) -> _Images:
    labels = [(t, i, c) for t, term in enumerate(terms) for i, c in term.pairs]
    if not sigma_known:
        labels.append((-1, 0, 0))
    if not labels:
        return _Images(np.empty((0, 0)), np.empty(0), ())
    z = [rows.z[term.factor][:, term.columns] @ term.T for term in terms]
    triangles = []
    for _ in range(len(labels) + 1):  # one random vector at a time, for the memory it takes
        u = rows.off_x(rows.random.standard_normal((rows.n, 1)))
        triangles.append(np.linalg.qr(_times(rows, terms, z, u, labels=labels), mode="r"))
    stacked = np.concatenate(triangles)
    size = dict(zip(labels, np.sqrt((stacked**2).sum(axis=0)).tolist(), strict=True))
    unit = np.array([np.sqrt(size[t, i, i] * size[t, c, c]) for t, i, c in labels])
    return _Images(np.linalg.qr(stacked / unit, mode="r"), unit, tuple(labels))


def _times(
    rows: _Rows,
    terms: list[_Term],
    z: list[FloatArray],
    u: FloatArray,
    *,
    labels: list[tuple[int, int, int]],
) -> FloatArray:
    """P0 V_m P0 times a vector u (n, 1) for each m, as columns (n, m)."""
    spread = []
    for term, own in zip(terms, z, strict=True):
        codes, J = rows.codes[term.factor], rows.n_levels[term.factor]
        spread.append(_sums(codes, own * u, J)[codes] if own.shape[1] else own)
    columns = np.empty((rows.n, len(labels)))
    for m, (t, i, c) in enumerate(labels):
        if t < 0:
            columns[:, m] = u[:, 0]
            continue
        columns[:, m] = z[t][:, i] * spread[t][:, c]
        if i != c:
            columns[:, m] += z[t][:, c] * spread[t][:, i]
    return rows.off_x(columns)


def _sums(codes: IntArray, values: FloatArray, J: int) -> FloatArray:
    """Sum values (n, s) over the rows of each level, (J, s)."""
    return np.column_stack([np.bincount(codes, weights=v, minlength=J) for v in values.T])


def _null_vectors(images: _Images) -> FloatArray:
    """Return combinations (m, d) of the V_m that vanish off X."""
    if not images.labels:
        return np.empty((0, 0))
    _, size, axes = np.linalg.svd(images.columns)
    size = np.append(size, np.zeros(axes.shape[0] - size.size))
    null = axes[size < DEPENDENT].T
    return np.asarray(null / images.unit[:, None])


def _in_columns(terms: list[_Term], shape: CovarianceShape, null: FloatArray) -> FloatArray:
    """Null vectors as entries of the covariances of the columns, and sigma^2: (k + 1, d)."""
    found = np.zeros((shape.n_theta + 1, null.shape[1]))
    for d, vector in enumerate(null.T):
        matrices, place = [], 0
        for term in terms:
            G = np.zeros((term.T.shape[1], term.T.shape[1]))
            for i, c in term.pairs:
                G[i, c] = G[c, i] = vector[place]
                place += 1
            matrices.append(term.T @ G @ term.T.T)
        found[:-1, d] = _packed(matrices)
        if place < vector.size:
            found[-1, d] = vector[place]
    size = np.abs(found).max(axis=0, initial=0.0)
    return np.asarray(found / np.where(size > 0, size, 1.0))


def _packed(matrices: list[FloatArray]) -> FloatArray:
    """Entries of symmetric matrices, one a term, in the order of theta."""
    parts = [G.T[np.triu_indices(G.shape[0])] for G in matrices]
    return np.concatenate(parts) if parts else np.empty(0)


def _of_directions(directions: tuple[FloatArray, ...], shape: CovarianceShape) -> FloatArray:
    """Null vectors d e' + e d' of all directions d and all columns e, as (k + 1, m)."""
    found = []
    for t, D in enumerate(directions):
        for d in D.T:
            for e in (*np.eye(D.shape[0]), d):
                matrices = [np.zeros((len(columns),) * 2) for _, columns in shape.terms]
                matrices[t] = np.outer(d, e) + np.outer(e, d)
                found.append(np.append(_packed(matrices), 0.0))
    return np.array(found).reshape(-1, shape.n_theta + 1).T


def _spared(images: _Images, terms: list[_Term]) -> list[int]:
    """Terms of one column that a sum of other variances can stand for, the last first."""
    from scipy.optimize import nnls

    diagonal = [m for m, (t, i, c) in enumerate(images.labels) if t >= 0 and i == c]
    spared: list[int] = []
    for m in reversed(diagonal):
        t = images.labels[m][0]
        if terms[t].T.shape[1] > 1:
            continue
        others = [o for o in diagonal if o != m and images.labels[o][0] not in spared]
        if others and nnls(images.columns[:, others], images.columns[:, m])[1] < DEPENDENT:
            spared.append(t)
    return spared
