"""The criterion where residuals are correlated or of unequal variance, against dense algebra."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from hierbayes.arrays import FloatArray
from hierbayes.design.build import build_design
from hierbayes.design.design import Design
from hierbayes.formula.parser import parse_formula
from hierbayes.gaussian.kernel import pattern_of
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.products import covariance_shape
from hierbayes.gaussian.residual import entries
from hierbayes.gaussian.residual.entries import ResidualStructure
from hierbayes.gaussian.residual.kernel import ResidualKernel
from hierbayes.gaussian.residual.one_factor import OneFactor
from hierbayes.gaussian.residual.products import residual_products

FORMULAS = ("y ~ x", "y ~ x + (1 | s)", "y ~ x + (x | s)", "y ~ x + (x | s) + (1 | c)")
STRUCTURES = ("strata", "exponential", "ar1", "car1", "cs", "cs strata", "us", "ar1 strata")
STEP = 1e-5


@lru_cache
def rows() -> pd.DataFrame:
    """Series of one to five rows in any order, in classes."""
    rng = np.random.default_rng(1)
    found = [(f"s{j}", v, "ab"[v % 2], f"c{j // 3}") for j in range(9) for v in range(5)]
    data = pd.DataFrame(found, columns=["s", "v", "f", "c"]).sample(n=36, random_state=1)
    data["x"] = rng.normal(size=36)
    data["y"] = 3 + data["x"] + rng.normal(size=36)
    data["w"] = rng.uniform(0.5, 2, 36)
    return data.reset_index(drop=True)


def structure_of(name: str) -> tuple[ResidualStructure, FloatArray]:
    """The structure, and times or visits, of the rows."""
    data = rows()
    series, visit = pd.factorize(data["s"])[0], data["v"].to_numpy()
    strata = (data["f"] == "b").to_numpy(float)[:, None]
    D = strata if "strata" in name else np.zeros((36, 0))
    if name == "strata":
        return entries.independent(strata), visit
    if name == "exponential":
        return entries.independent(data[["x"]].to_numpy()), visit
    if name == "car1":
        return entries.serial(series, 0.7 * visit, D, continuous=True), 0.7 * visit
    if name.startswith("ar1"):
        return entries.serial(series, visit.astype(float), D, continuous=False), visit
    if name.startswith("cs"):
        return entries.exchangeable(series, D), visit
    visits = (visit[:, None] == np.arange(1, 5)).astype(float)
    return entries.unstructured(series, visit, visits, n_visits=5), visit


def correlations(name: str, structure: ResidualStructure, phi: FloatArray, at: FloatArray):
    """C of the rows, as it is defined."""
    series = pd.factorize(rows()["s"])[0]
    same = series[:, None] == series
    r = structure.correlation.correlations(phi[None])[0]
    if name.startswith(("ar1", "car1")):
        C = r[0] ** np.abs(at[:, None] - at)
    elif name.startswith("cs"):
        C = np.full((36, 36), r[0])
    elif name == "us":
        V = np.eye(5)
        V[np.tril_indices(5, -1)] = r
        C = (V + V.T - np.eye(5))[at[:, None], at]
    else:
        return np.eye(36)
    C = np.where(same, C, 0.0)
    np.fill_diagonal(C, 1.0)
    return C


def dense(design: Design, kernel: ResidualKernel, name: str, theta, phi, *, weighted: bool):
    """Minus twice the profiled (restricted) log-likelihood, V in full."""
    structure, at = structure_of(name)
    G = structure.n_spreads
    sd = np.exp(structure.spread.D @ phi[:G])[structure.spread.index]
    sd = sd / np.sqrt(design.weights) if weighted else sd
    V = correlations(name, structure, phi[G:], at) * sd[:, None] * sd
    bases = kernel.products.anchor.z_bases
    for L, factor, basis in zip(
        kernel.shape.unpack(theta[None]), design.factors, bases, strict=True
    ):
        Z = np.zeros((36, factor.levels.size, factor.z.shape[1]))
        Z[np.arange(36), factor.codes] = factor.z @ basis @ L[0]
        V += Z.reshape(36, -1) @ Z.reshape(36, -1).T
    X, y = design.X, design.y
    inverse = np.linalg.inv(V)
    A = X.T @ inverse @ X
    rest = y - X @ np.linalg.solve(A, X.T @ inverse @ y)
    reml = kernel.method == "reml"
    df = 36 - (X.shape[1] if reml else 0)
    log_det = np.linalg.slogdet(V)[1] + (np.linalg.slogdet(A)[1] if reml else 0.0)
    return log_det + df * (1 + np.log(2 * np.pi * (rest @ inverse @ rest) / df))


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("formula", FORMULAS)
def test_criterion_and_gradient_are_those_of_dense_algebra(formula: str, name: str) -> None:
    place = STRUCTURES.index(name) + 10 * FORMULAS.index(formula)
    weighted, method = place % 2 == 1, ("reml", "ml")[place // 10 % 2]
    design = build_design(parse_formula(formula), rows(), weights="w" if weighted else None)
    structure, _ = structure_of(name)
    products = residual_products(design, structure, weights=design.weights)
    plain = products.products(np.zeros(structure.size))
    kernel = ResidualKernel(
        products=products,
        shape=covariance_shape(design),
        pattern=pattern_of(level_graph(plain)) if design.factors else None,
        method=method,
    )
    rng = np.random.default_rng(place)
    theta = rng.normal(size=(2, kernel.shape.n_theta))
    phi = 0.4 * rng.normal(size=(2, kernel.size))
    point = kernel.evaluated(theta, phi)
    expected = [
        dense(design, kernel, name, t, f, weighted=weighted)
        for t, f in zip(theta, phi, strict=True)
    ]
    np.testing.assert_allclose(point.at.criterion, expected, rtol=0, atol=1e-10)

    by_entries = replace(kernel, products=replace(products, kept=None)).evaluated(theta, phi)
    np.testing.assert_allclose(by_entries.at.criterion, expected, rtol=0, atol=1e-10)
    slopes = point.slopes()
    np.testing.assert_allclose(by_entries.slopes(), slopes, rtol=0, atol=1e-9)
    gradient = np.concatenate([point.derivatives().gradient, slopes], axis=1)
    x, k = np.concatenate([theta, phi], axis=1), theta.shape[1]
    moves = STEP * np.concatenate([np.eye(x.shape[1]), -np.eye(x.shape[1])])
    there = (x + moves[:, None]).reshape(-1, x.shape[1])
    values = kernel.evaluated(there[:, :k], there[:, k:]).at.criterion.reshape(2, -1, 2)
    difference = (values[0] - values[1]).T / (2 * STEP)
    np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-6)
    if kernel.products.kept is not None and len(design.factors) < 2:
        shape = kernel.at(phi[0]).basis_shape
        in_few_calls = OneFactor(kernel=kernel, shape=shape).at(x)
        np.testing.assert_allclose(in_few_calls.criterion, expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(in_few_calls.gradient, gradient, rtol=0, atol=1e-9)


def test_correlations_and_coordinates_are_inverses() -> None:
    for name in ("ar1", "car1", "cs", "us"):
        own = structure_of(name)[0].correlation
        phi = np.linspace(-0.6, 0.7, 2 * own.size).reshape(2, own.size)
        np.testing.assert_allclose(own.coordinates(own.correlations(phi)), phi, atol=1e-12)
