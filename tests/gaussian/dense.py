"""Small random designs, and the same Gaussian model by dense algebra, without any cleverness.

y ~ N(X beta, sigma^2 V) with V = W^-1 + sum over factors of Z (I x Lambda Lambda') Z'; V is built
and inverted as a full matrix, so that nothing is shared with the kernel under test.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from hierbayes.design.design import MEAN, Design, GroupingFactor, Predictor, RandomTerm, Rows
from hierbayes.design.layout import FactorLayout, Layout, TermLayout, Variable
from hierbayes.formula.expressions import Name
from hierbayes.formula.parser import parse_formula
from hierbayes.gaussian.factor.crossed import crossed_blocks
from hierbayes.gaussian.factor.nested import nested_blocks
from hierbayes.gaussian.marginal import Kernel
from hierbayes.gaussian.pattern import crossed
from hierbayes.gaussian.pattern.level_graph import level_graph
from hierbayes.gaussian.pattern.nested import nested_pattern
from hierbayes.gaussian.products import covariance_shape, products_of

# name -> per factor (name, number of columns), and per covariance term (factor, columns).
# Factors a > b > c are nested, g and h are crossed with them and with each other.
CASES = {
    "intercept": ([("a", 1)], [(0, (0,))]),
    "slope": ([("a", 2)], [(0, (0, 1))]),
    "three_columns": ([("a", 3)], [(0, (0, 1, 2))]),
    "four_columns": ([("b", 4)], [(0, (0, 1, 2, 3))]),
    "independent": ([("a", 2)], [(0, (0,)), (0, (1,))]),
    "partly_independent": ([("a", 3)], [(0, (1,)), (0, (0, 2))]),
    "nested": ([("a", 2), ("b", 1)], [(0, (0, 1)), (1, (0,))]),
    "nested_slopes": ([("a", 2), ("b", 3)], [(0, (0, 1)), (1, (0, 1, 2))]),
    "three_nested": (
        [("a", 1), ("b", 2), ("c", 2)],
        [(0, (0,)), (1, (0, 1)), (2, (0,)), (2, (1,))],
    ),
    "crossed": ([("a", 1), ("g", 1)], [(0, (0,)), (1, (0,))]),
    "crossed_slopes": ([("a", 2), ("g", 3)], [(0, (0, 1)), (1, (0, 1, 2))]),
    "crossed_independent": ([("g", 2), ("h", 2)], [(0, (0,)), (0, (1,)), (1, (0, 1))]),
    "three_crossed": ([("a", 2), ("g", 1), ("h", 2)], [(0, (0, 1)), (1, (0,)), (2, (0, 1))]),
    "nested_and_crossed": ([("a", 1), ("g", 2), ("b", 1)], [(0, (0,)), (1, (0, 1)), (2, (0,))]),
    "four_columns_crossed": ([("g", 4), ("h", 1)], [(0, (0, 1, 2, 3)), (1, (0,))]),
}
NESTED = tuple(name for name, (factors, _) in CASES.items() if {f for f, _ in factors} <= {*"abc"})
SEVERAL = tuple(name for name, (factors, _) in CASES.items() if len(factors) > 1)
STRUCTURES = ("nested", "sparse", "dense")
# every case with every structure that can hold it
HELD = tuple(
    (case, structure)
    for case in CASES
    for structure in STRUCTURES
    if case in (NESTED if structure == "nested" else SEVERAL)
)

N_ROWS = 90


def random_design(case: str, *, seed: int = 1) -> Design:
    """A design of the case: unbalanced, columns correlated, far from zero and of unequal size."""
    rng = np.random.default_rng([seed, sorted(CASES).index(case)])
    codes = _codes(rng)
    factors, terms = CASES[case]
    x = 3 + rng.normal(size=(N_ROWS, 3)) @ [[1, 0.8, 0], [0, 0.6, 0.5], [0, 0, 40]]
    records = []
    y = 500 + 2 * x[:, 0] + rng.normal(size=N_ROWS)
    for name, q in factors:
        z = np.column_stack([np.ones(N_ROWS), x])[:, :q]
        J = codes[name].max() + 1
        effects = rng.normal(size=(J, q)) / np.maximum(1, z.std(axis=0))
        y += (effects[codes[name]] * z).sum(axis=1)
        columns = ("(Intercept)", "x", "t", "v")[:q]
        layout = FactorLayout(
            grouping=(Name(name),),
            bars=(numeric_layout(columns[1:]),),
            order=tuple(range(q)),
            keys=tuple((str(j),) for j in range(J)),
        )
        records.append(
            GroupingFactor(
                name=name,
                levels=np.arange(J).astype(str),
                codes=codes[name],
                z=z,
                columns=columns,
                layout=layout,
            )
        )
    mean = Predictor(
        X=np.column_stack([np.ones(N_ROWS), x[:, :2]]),
        layout=numeric_layout(("x", "t")),
        factors=tuple(records),
        terms=tuple(
            RandomTerm(factor=f, columns=columns, name=factors[f][0], label="")
            for f, columns in terms
        ),
    )
    rows = Rows(
        response=y,
        labels=pd.RangeIndex(N_ROWS),
        positions=np.arange(N_ROWS),
        n_given=N_ROWS,
        dropped={},
        values={},
    )
    formula = parse_formula("y ~ x + t")
    return Design(formula=formula, rows=rows, predictors={MEAN: mean}, states={})


def numeric_layout(names: tuple[str, ...]) -> Layout:
    """The layout of an intercept and numbers."""
    variables = [Variable(expression=Name(name), label=name, kind="numeric") for name in names]
    terms = [TermLayout(label=v.label, variables=(v,), full=(False,)) for v in variables]
    return Layout(
        intercept=True,
        terms=tuple(terms),
        names=("(Intercept)", *names),
        assign=np.arange(1 + len(names)),
    )


def _codes(rng) -> dict[str, np.ndarray]:
    def spread(J):
        return np.concatenate([np.arange(J), rng.integers(0, J, N_ROWS - J) ** 2 % J])

    a = rng.permutation(spread(22))
    b = rng.permutation(np.arange(22) % 7)
    c = np.arange(7) % 3
    return {
        "a": a,
        "b": b[a],
        "c": c[b[a]],
        "g": rng.permutation(spread(11)),
        "h": rng.permutation(spread(5)),
    }


def random_weights(seed: int = 2) -> np.ndarray:
    """Precision weights of the rows of a random design."""
    return np.random.default_rng(seed).uniform(0.2, 5.0, N_ROWS)


def random_thetas(design: Design, count: int, *, seed: int = 3) -> np.ndarray:
    """Thetas (count, k) with strong correlations; not rectified."""
    shape = covariance_shape(design)
    theta = np.random.default_rng(seed).normal(size=(count, shape.n_theta))
    return np.where(shape.is_diagonal, 0.3 + theta, theta) * 0.7


def kernel_for(design, *, method="reml", weights=None, structure=None, monkeypatch=None) -> Kernel:
    """The kernel of a design with the block structure asked for, in either way of coupling."""
    products = products_of(design, weights=weights)
    graph = level_graph(products)
    if structure in (None, "nested"):
        made = nested_blocks(nested_pattern(graph), products)
    else:
        cost = 10**9 if structure == "dense" else 0
        monkeypatch.setattr(crossed, "PAIR_COST", cost)
        monkeypatch.setattr(crossed, "SURELY_DENSE", 0)
        pattern = crossed.crossed_pattern(graph)
        assert pattern.is_dense == (structure == "dense")
        made = crossed_blocks(pattern, products)
    return Kernel(
        products=products,
        shape=covariance_shape(design),
        blocks=made,
        method=method,
        sigma_known=design.known_sd is not None,
    )


def in_basis(design: Design, kernel: Kernel) -> Design:
    """The same model with X and the columns of the factors in the basis of the products."""
    anchor = kernel.products.anchor
    factors = tuple(
        replace(factor, z=factor.z @ basis)
        for factor, basis in zip(design.factors, anchor.z_bases, strict=True)
    )
    X = design.X[:, anchor.kept]
    y = design.y - X @ anchor.beta0
    mean = replace(design.mean, X=X @ anchor.x_basis, factors=factors)
    return design.with_response(y).with_mean(mean)


def to_basis(kernel: Kernel, theta: np.ndarray) -> np.ndarray:
    """Thetas (T, k) of the user's columns as thetas of the basis."""
    inverses = [np.linalg.inv(basis) for basis in kernel.products.anchor.z_bases]
    return np.array([kernel.shape.transformed(one, inverses) for one in theta])


@dataclass(frozen=True)
class DenseModel:
    """The model at one theta (k,) in the columns of the design, by full matrices."""

    design: Design
    theta: np.ndarray
    weights: np.ndarray | None = None

    @cached_property
    def precision(self):
        if self.design.known_sd is not None:
            return self.design.known_sd**-2.0
        return np.ones(self.design.y.size) if self.weights is None else self.weights

    @cached_property
    def Z(self):
        blocks = []
        for factor in self.design.factors:
            J, q = factor.levels.size, factor.z.shape[1]
            block = np.zeros((factor.z.shape[0], J, q))
            block[np.arange(factor.z.shape[0]), factor.codes] = factor.z
            blocks.append(block.reshape(-1, J * q))
        return np.concatenate(blocks, axis=1)

    @cached_property
    def Lambda(self):
        triangles = [np.zeros((f.z.shape[1],) * 2) for f in self.design.factors]
        entries = iter(self.theta)
        for term in self.design.terms:
            for j, column in enumerate(term.columns):
                for row in term.columns[j:]:
                    triangles[term.factor][row, column] = next(entries)
        blocks = [
            np.kron(np.eye(factor.levels.size), triangle)
            for factor, triangle in zip(self.design.factors, triangles, strict=True)
        ]
        size = sum(len(block) for block in blocks)
        out, start = np.zeros((size, size)), 0
        for block in blocks:
            out[start : start + len(block), start : start + len(block)] = block
            start += len(block)
        return out

    @cached_property
    def V(self):
        half = self.Z @ self.Lambda
        return np.diag(1 / self.precision) + half @ half.T

    @cached_property
    def y(self):
        offset = 0.0 if self.design.offset is None else self.design.offset
        return self.design.y - offset

    @cached_property
    def XVX(self):
        return self.design.X.T @ np.linalg.solve(self.V, self.design.X)

    @cached_property
    def beta(self):
        return np.linalg.solve(self.XVX, self.design.X.T @ np.linalg.solve(self.V, self.y))

    @cached_property
    def residual(self):
        return self.y - self.design.X @ self.beta

    @cached_property
    def pwrss(self):
        return self.residual @ np.linalg.solve(self.V, self.residual)

    def df(self, method):
        n, p = self.design.X.shape
        return n - p if method == "reml" else n

    def criterion(self, method):
        df = self.df(method)
        log_det = np.linalg.slogdet(self.V)[1]
        if method == "reml":
            log_det += np.linalg.slogdet(self.XVX)[1]
        if self.design.known_sd is not None:
            return log_det + df * np.log(2 * np.pi) + self.pwrss
        return log_det + df * (1 + np.log(2 * np.pi * self.pwrss / df))

    @cached_property
    def inner(self):
        """Lambda'Z'WZ Lambda + I."""
        half = self.Z @ self.Lambda
        return half.T @ (self.precision[:, None] * half) + np.eye(half.shape[1])

    @cached_property
    def u(self):
        """Conditional modes of the spherical effects, all factors joined."""
        return self.Lambda.T @ self.Z.T @ np.linalg.solve(self.V, self.residual)

    def by_factor(self, joined):
        """Split rows of all factors into one array (J, q, ...) a factor."""
        found, start = [], 0
        for factor in self.design.factors:
            J, q = factor.levels.size, factor.z.shape[1]
            found.append(joined[start : start + J * q].reshape(J, q, *joined.shape[1:]))
            start += J * q
        return found

    def diagonal_blocks(self, matrix):
        """The blocks (J, q, q) on the diagonal of a matrix over all effects, per factor."""
        found, start = [], 0
        for factor in self.design.factors:
            J, q = factor.levels.size, factor.z.shape[1]
            blocks = [matrix[at : at + q, at : at + q] for at in range(start, start + J * q, q)]
            found.append(np.array(blocks))
            start += J * q
        return found
