"""Quadrature of the finest of several factors against its definition by fine grids."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.arrays import FloatArray
from hierbayes.generalised.conditional import conditional
from hierbayes.likelihood.glmm import fit_glmm
from hierbayes.likelihood.glmm_search import Search
from tests.likelihood.glmm_cases import specification

STEP = 0.03  # of the differences in the coarser effects, in their sds
# fourth-order central differences
PLACES = np.array([-2, -1, 1, 2])
FIRST = np.array([1, -8, 8, -1]) / 12
GRID = {1: np.linspace(-9, 9, 201), 2: np.linspace(-6, 6, 41)}


class OnGrids:
    """M(w) of the module's header, each level of the finest factor integrated on a grid."""

    def __init__(self, search: Search, x: FloatArray) -> None:
        model, (beta, theta, phi) = search.model, search.parts(x)
        self.model, self.phi = model, phi
        self.Lambdas = [L[0] for L in model.basis_shape.unpack(theta[None])]
        self.base = model.offset + model.X @ beta
        q, axis = self.Lambdas[0].shape[0], GRID[self.Lambdas[0].shape[0]]
        grid = np.stack(np.meshgrid(*[axis] * q, indexing="ij")).reshape(q, -1)
        self.log_prior = -0.5 * (grid**2).sum(axis=0) - 0.5 * q * np.log(2 * np.pi)
        self.log_prior += q * np.log(axis[1] - axis[0])
        self.effects = model.levels.z[0].T @ (self.Lambdas[0] @ grid)
        levels = model.levels
        self.of_level = np.eye(levels.n_levels[0])[levels.codes[0]].T
        self.A = np.hstack(
            [
                (np.eye(J)[codes][:, :, None] * (z.T @ L)[:, None]).reshape(codes.size, -1)
                for codes, z, J, L in zip(
                    levels.codes[1:], levels.z[1:], levels.n_levels[1:], self.Lambdas[1:],
                    strict=True,
                )
            ]
        )  # fmt: skip

    def value(self, w: FloatArray) -> float:
        """M(w)."""
        eta = (self.base + self.A @ w)[:, None] + self.effects
        rows = self.model.densities(eta, self.phi).value
        parts = self.of_level @ rows + self.log_prior
        top = parts.max(axis=1)
        logs = np.log(np.exp(parts - top[:, None]).sum(axis=1)) + top
        return float(0.5 * w @ w - logs.sum())

    def laplace(self) -> float:
        """-2 log-likelihood, w integrated by Laplace around its mode."""
        w = np.zeros(self.A.shape[1])
        S = self.curvature(w)
        for _ in range(30):
            slope = self.slope(w)
            if np.abs(slope).max() < 1e-8:
                break
            w = w - np.linalg.solve(S, slope)
        return 2 * self.value(w) + float(np.linalg.slogdet(self.curvature(w))[1])

    def slope(self, w: FloatArray) -> FloatArray:
        """M'(w)."""
        axes = STEP * np.eye(w.size)
        return np.array([FIRST @ [self.value(w + k * e) for k in PLACES] for e in axes]) / STEP

    def curvature(self, w: FloatArray) -> FloatArray:
        """M''(w)."""
        axes = STEP * np.eye(w.size)
        found = [FIRST @ np.array([self.slope(w + k * e) for k in PLACES]) / STEP for e in axes]
        return (np.array(found) + np.array(found).T) / 2


@pytest.mark.parametrize(
    ("family", "link", "structure", "theta"),
    [
        ("bernoulli", "logit", "nested", [0.9, 0.7]),
        ("poisson", "log", "crossed slope", [0.6, 0.2, 0.4, 0.5]),
    ],
)
def test_it_is_laplace_over_what_a_fine_grid_integrates(family, link, structure, theta):
    spec = specification(family, link, structure, n_levels=4)
    search = Search(conditional(spec.design, spec.family), 17, np.zeros(2))
    x = np.array([0.3, 0.2, *theta])
    exact = OnGrids(search, x).laplace()
    assert search.criterion(x).value == pytest.approx(exact, abs=1e-6)


def test_without_variance_of_the_coarser_factor_it_is_that_of_one():
    crossed = specification("poisson", "log", "crossed")
    alone = specification("poisson", "log", "one")
    both = Search(conditional(crossed.design, crossed.family), 7, np.zeros(2))
    one = Search(conditional(alone.design, alone.family), 7, np.zeros(2))
    found = both.criterion(np.array([0.2, 0.1, 0.8, 0.0])).value
    assert found == pytest.approx(one.criterion(np.array([0.2, 0.1, 0.8])).value, abs=1e-10)


def test_a_gaussian_model_is_exact_with_any_number_of_nodes():
    spec = hb.Model(
        "strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"), family="gaussian"
    ).spec
    laplace = fit_glmm(spec, 1)
    for n in (2, 3, 5):
        found = fit_glmm(spec, n)
        assert found.loglik == pytest.approx(laplace.loglik, abs=1e-8)
        np.testing.assert_allclose(found.theta, laplace.theta, rtol=1e-6)


def test_nodes_move_the_fit_of_nested_factors_towards_the_truth():
    # three binary observations in each of five subjects a site: Laplace is too small
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(100), 3)
    eta = 1.5 * rng.normal(size=100)[subject] + 0.7 * rng.normal(size=20)[subject // 5]
    data = {
        "y": (rng.random(300) < 1 / (1 + np.exp(-eta))).astype(int),
        "site": subject // 5,
        "subject": subject,
    }
    laplace, few, many = (
        hb.glmer("y ~ 1 + (1 | site/subject)", data, n_quadrature=n) for n in (1, 7, 15)
    )
    assert many.loglik == pytest.approx(few.loglik, abs=0.01)
    assert abs(many.loglik - laplace.loglik) > 0.5
    assert many.theta[0] > laplace.theta[0] + 0.1


@pytest.mark.filterwarnings("ignore::hierbayes.DesignWarning")
def test_a_model_whose_only_factor_is_dropped_has_nothing_to_integrate():
    cbpp = hb.load_dataset("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    fit = hb.glmer(formula, cbpp, n_quadrature=5)
    without = hb.ranova(fit).to_frame()["loglik"].iloc[-1]
    alone = hb.glmer(formula.replace(" + (1 | herd)", ""), cbpp, n_quadrature=5)
    assert without == pytest.approx(alone.loglik, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "formula", "n", "sentence"),
    [
        (60, "y ~ 1 + (x + z + w | g) + (1 | h)", 3, "g has 4. Use n_quadrature=1"),
        (3000, "y ~ 1 + (x + z | g)", 20, "3000 rows at 8000 nodes each"),
        (4000, "y ~ 1 + (1 | one) + (1 | two)", 3, "2000 effects of the other factors"),
    ],
)
def test_what_is_too_large_is_one_sentence(rows, formula, n, sentence):
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=rows) for name in "xzw"} | {
        "y": rng.poisson(2, rows), "g": np.arange(rows) % 9, "h": np.arange(rows) % 4,
        "one": np.arange(rows) // 2, "two": np.arange(rows) % 2000,
    }  # fmt: skip
    with pytest.raises(hb.NotSupportedError, match=sentence):
        hb.glmer(formula, data, "poisson", n_quadrature=n)


def test_more_nodes_than_help_are_one_sentence():
    with pytest.raises(hb.OptionError, match="more than 100 nodes a column"):
        hb.glmer(
            "y ~ 1 + (1 | g)", {"y": [1, 2, 3, 4], "g": [1, 1, 2, 2]}, "poisson", n_quadrature=500
        )
