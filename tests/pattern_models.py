"""Models whose covariances have a pattern, and the same by dense algebra that shares no code.

One simulated frame serves all: g with visits of three, sub nested in g, h crossed with both.
"""

from functools import cache

import numpy as np
import pandas as pd

import hierbayes as hb

TERMS = {
    "homdiag": "diag(0 + visit | g, hom = TRUE)",
    "cs": "cs(0 + visit | g)",
    "homcs": "cs(0 + visit | g, hom = TRUE)",
    "ar1": "ar1(0 + visit | g)",
    "hetar1": "ar1(0 + visit | g, hom = FALSE)",
    "toep": "toep(0 + visit | g)",
    "homtoep": "toep(0 + visit | g, hom = TRUE)",
}
HOMOGENEOUS = ("homdiag", "homcs", "ar1", "homtoep")
# What stands beside the term, so that each structure of blocks is met.
BESIDE = {
    "single": "",
    "nested": " + (t | sub)",
    "crossed": " + (1 | h)",
    "sparse": " + (1 | sub) + (1 | h)",
}
TRUTH = {"sd": (1.2, 0.8, 1.6), "pacf": (0.6, 0.3)}


@cache
def frame():
    """288 rows: 24 levels of g, two of sub in each, three visits, two rows a cell; 9 of h."""
    rng = np.random.default_rng(4)
    g, sub, visit = (x.ravel() for x in np.meshgrid(range(24), range(2), range(3), indexing="ij"))
    g, sub, visit = (np.repeat(x, 2) for x in (g, g * 2 + sub, visit))
    n = g.size
    h, t = rng.integers(0, 9, n), rng.normal(size=n)
    L = np.linalg.cholesky(correlation("toep", TRUTH["pacf"], 3))
    b = rng.normal(size=(24, 3)) @ (np.array(TRUTH["sd"])[:, None] * L).T
    y = 2 + 0.5 * t + b[g, visit] + 0.7 * rng.normal(size=48)[sub] + 0.6 * rng.normal(size=9)[h]
    y += 0.4 * rng.normal(size=48)[sub] * t + rng.normal(size=n)
    counts = rng.poisson(np.exp(0.3 * (y - y.mean())))
    return pd.DataFrame(
        {
            "y": y, "t": t, "count": counts, "hit": (y > 2).astype(int), "h": [f"h{i}" for i in h],
            "g": [f"g{i:02d}" for i in g], "sub": [f"s{i:02d}" for i in sub],
            "visit": [f"v{i + 1}" for i in visit],
        }
    )  # fmt: skip


def model(name, beside="single", *, response="y", fixed="t", **options):
    """The model with a term of a pattern."""
    return hb.Model(f"{response} ~ {fixed} + {TERMS[name]}{BESIDE[beside]}", frame(), **options)


def place(design):
    """Position of the term with the pattern among the covariance terms."""
    return next(i for i, term in enumerate(design.terms) if term.covariance != "us")


def correlation(name, r, q):
    """Correlation matrix of a pattern by its definition."""
    lag = np.abs(np.subtract.outer(np.arange(q), np.arange(q)))
    if name.endswith("diag"):
        return np.eye(q)
    if name.endswith("cs"):
        return np.where(lag == 0, 1.0, r[0])
    if name.endswith("ar1"):
        return r[0] ** lag
    rho = [1.0]  # each further one from the determinants: Schur complements, not a recursion
    for k, p in enumerate(r, start=1):
        inner = np.array([[rho[abs(i - j)] for j in range(1, k)] for i in range(1, k)])
        a, b = np.array(rho[1:k]), np.array(rho[1:k])[::-1]
        solved = np.linalg.solve(inner, np.stack([a, b], axis=1)) if k > 1 else np.zeros((0, 2))
        left = 1 - a @ solved[:, 0] if k > 1 else 1.0
        rho.append(float(a @ solved[:, 1] if k > 1 else 0.0) + p * left)
    return np.array(rho)[lag]


def covariance(name, par, q):
    """Var(b) of a level from the parameters of its pattern."""
    n_sds = 1 if name in HOMOGENEOUS else q
    sds = np.broadcast_to(par[:n_sds], q)
    return sds[:, None] * correlation(name, par[n_sds:], q) * sds


def marginal(design, theta):
    """Var(y) / sigma^2 (n, n) at a theta on the user's scale."""
    V, at = np.eye(design.y.shape[0]), 0
    for term in design.terms:
        factor, q = design.factors[term.factor], len(term.columns)
        if term.covariance == "us":
            k = q * (q + 1) // 2
            root = np.zeros((q, q))
            root.T[np.triu_indices(q)] = theta[at : at + k]
            S = root @ root.T
        else:
            sds = 1 if term.covariance in HOMOGENEOUS else q
            kind = term.covariance.removeprefix("hom").removeprefix("het")
            k = sds + {"diag": 0, "toep": q - 1}.get(kind, 1)
            S = covariance(term.covariance, theta[at : at + k], q)
        at += k
        z = factor.z[:, term.columns]
        V += (z @ S @ z.T) * (factor.codes[:, None] == factor.codes)
    return V


def thetas(one, count=2, seed=1):
    """Random parameters, on the user's scale, inside their bounds."""
    shape = one.spec.kernel("reml").shape
    rng = np.random.default_rng(seed)
    theta = 0.3 + 0.7 * rng.random((count, shape.n_theta))
    for _, own, part in shape.structured:
        low, high = own.bounds[~own.is_scale].T
        share = rng.uniform(0.2, 0.9, (count, low.size))
        theta[:, part.start + np.flatnonzero(~own.is_scale)] = low + share * (high - low)
    return theta


def dense_criterion(design, theta, *, reml):
    """REML criterion, or minus twice the log-likelihood, sigma and beta at their best."""
    (n, p), y = design.X.shape, design.y
    V = marginal(design, theta)
    XVX = design.X.T @ np.linalg.solve(V, design.X)
    r = y - design.X @ np.linalg.solve(XVX, design.X.T @ np.linalg.solve(V, y))
    df = n - p if reml else n
    value = np.linalg.slogdet(V)[1]
    value += df * (1 + np.log(2 * np.pi * (r @ np.linalg.solve(V, r)) / df))
    return value + (np.linalg.slogdet(XVX)[1] if reml else 0.0)
