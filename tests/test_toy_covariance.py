"""A covariance structure of one's own: defined and plugged in here, with no other file touched.

Compound symmetry (one sd, one correlation of all columns), with a symmetric root, is the code of
``docs/adding/covariance.md``. AR(1) (one sd, correlations r^|i - j|) has a triangular root; a third
structure has w with r = tanh w in its place, a parameter without bounds. What the library says of
them is held against the same model by dense algebra.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import hierbayes as hb
from hierbayes.bayes.collapsed import start_phi
from hierbayes.bayes.collapsed_density import collapsed, slope, target_of
from hierbayes.gaussian.kernel import kernel_of
from hierbayes.gaussian.marginal import derivatives, evaluate
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.gaussian.structures import Structured, register
from hierbayes.intervals.held_deviance import held_deviance
from hierbayes.intervals.held_places import hold
from hierbayes.intervals.kenward_roger import kenward_roger
from hierbayes.intervals.satterthwaite import held_notes, satterthwaite_df
from hierbayes.likelihood.refits import refit_many
from hierbayes.model.model import model_of
from hierbayes.priors.model_priors import model_priors
from hierbayes.results.interval_parameters import interval_parameters


@dataclass(frozen=True)
class Autoregressive(Structured):
    """Sd s and correlation r^|i - j|; the root by rows, u_0 and then r u_{i-1} + sqrt(1 - r^2)."""

    q: int
    names = ("sd", "lag1")
    is_scale = np.array([True, False])
    bounds = np.array([[0.0, np.inf], [-1.0, 1.0]])

    def root(self, par):
        s, r = par[:, 0, None, None], par[:, 1, None, None]
        lag = np.subtract.outer(np.arange(self.q), np.arange(self.q))
        power = np.where(lag >= 0, r ** np.maximum(lag, 0), 0.0)
        return s * power * np.where(np.arange(self.q) == 0, 1.0, np.sqrt(1 - r**2))

    def slope(self, par):
        s, r = par[:, 0, None, None], par[:, 1, None, None]
        lag = np.subtract.outer(np.arange(self.q), np.arange(self.q))
        power = np.where(lag >= 0, r ** np.maximum(lag, 0), 0.0)
        slope = np.where(lag > 0, lag * r ** np.maximum(lag - 1, 0), 0.0)
        first = np.arange(self.q) == 0
        width = np.where(first, 1.0, np.sqrt(1 - r**2))
        thinner = np.where(first, 0.0, -r / np.sqrt(1 - r**2))
        return np.stack([power * width, s * (slope * width + power * thinner)], axis=1)

    def nearest(self, covariance):
        size = np.trace(covariance, axis1=1, axis2=2) / self.q
        next_to = np.diagonal(covariance, offset=1, axis1=1, axis2=2).mean(axis=1)
        r = np.divide(next_to, size, out=np.zeros_like(size), where=size > 0)
        return np.column_stack([np.sqrt(size), r])


class Unbounded(Autoregressive):
    """The same in s and w with r = tanh w."""

    names = ("sd", "w")
    bounds = np.array([[0.0, np.inf], [-np.inf, np.inf]])

    def _bounded(self, par):
        return np.stack([par[:, 0], np.tanh(par[:, 1])], axis=1)

    def root(self, par):
        return super().root(self._bounded(par))

    def slope(self, par):
        inner = self._bounded(par)
        chain = np.stack([np.ones(len(par)), 1 - inner[:, 1] ** 2], axis=1)
        return super().slope(inner) * chain[:, :, None, None]

    def nearest(self, covariance):
        s, r = super().nearest(covariance).T
        return np.column_stack([s, np.arctanh(np.clip(r, -0.99, 0.99))])


@dataclass(frozen=True)
class Pair(Structured):
    """Two sds and their correlation: what a full covariance of two columns is as well."""

    q: int
    names = ("first", "second", "cor")
    is_scale = np.array([True, True, False])
    bounds = np.array([[0.0, np.inf], [0.0, np.inf], [-1.0, 1.0]])

    def root(self, par):
        a, b, r = par.T
        rows = [[a, 0 * a], [b * r, b * np.sqrt(1 - r**2)]]
        return np.moveaxis(np.array(rows), 2, 0)

    def slope(self, par):
        a, b, r = par.T
        zero, rest = 0 * a, np.sqrt(1 - r**2)
        slopes = [
            [[1 + zero, zero], [zero, zero]],
            [[zero, zero], [r, rest]],
            [[zero, zero], [b, -b * r / rest]],
        ]
        return np.moveaxis(np.array(slopes), 3, 0)

    def nearest(self, covariance):
        a, b = np.sqrt(covariance[:, 0, 0]), np.sqrt(covariance[:, 1, 1])
        product = a * b
        r = np.divide(covariance[:, 0, 1], product, out=np.zeros_like(a), where=product > 0)
        return np.column_stack([a, b, r])


PAGE = Path(__file__).parents[1] / "docs" / "adding" / "covariance.md"
DEFINITION, PLUGGED_IN = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
documented = {"__name__": __name__}
exec(compile(DEFINITION, str(PAGE), "exec"), documented)
CompoundSymmetry = documented["CompoundSymmetry"]

register("toy_cs", CompoundSymmetry)
register("toy_ar1", Autoregressive)
register("toy_w", Unbounded)
register("toy_pair", Pair)

TOYS = {"toy_cs": CompoundSymmetry, "toy_ar1": Autoregressive}
STRUCTURES = {**TOYS, "toy_w": Unbounded}
FORMULAS = {
    "alone": "y ~ t + (0 + a + b + c | g)",
    "beside a triangle": "y ~ t + (0 + a + b + c | g) + (t | h)",
    "in one factor": "y ~ t + (0 + a + b + c | g) + (0 + t | g)",
}
CASES = [(name, formula) for name in TOYS for formula in FORMULAS]
TOLD_TWICE = {"told twice": "y ~ t + (0 + a + b + c | g) + (1 | g)"}
TRUTH = {"toy_cs": (1.2, 0.4), "toy_ar1": (1.2, 0.7), "toy_w": (1.2, np.arctanh(0.7))}


def structures():
    return [CompoundSymmetry(3), CompoundSymmetry(4), Autoregressive(3), Unbounded(4)]


@pytest.mark.parametrize("own", structures(), ids=str)
def test_a_structure_keeps_its_promises(own):
    par = np.array([[0.7, -0.2], [1.3, 0.0], [0.2, 0.8]])
    root, slope_of = own.root(par), own.slope(par)
    for i in range(2):
        step = 1e-20j * np.eye(2)[i]
        np.testing.assert_allclose(slope_of[:, i], own.root(par + step).imag / 1e-20, atol=1e-14)
    np.testing.assert_allclose(own.nearest(root @ np.swapaxes(root, 1, 2)), par, atol=1e-14)
    doubled = np.where(own.is_scale, 2 * par, par)
    np.testing.assert_allclose(own.root(doubled), 2 * root, rtol=1e-14)
    np.testing.assert_allclose(own.root(np.where(own.is_scale, -par, par)), -root, rtol=1e-14)


def test_the_code_of_the_page_fits_a_model():
    used = {**documented, "data": pd.DataFrame(data("toy_cs"))}
    exec(compile(PLUGGED_IN, str(PAGE), "exec"), used)
    assert used["fit"].criterion == pytest.approx(toy_model("toy_cs").fit().criterion, abs=1e-9)
    assert used["limits"].index.tolist()[:2] == ["sd|g", "cor|g"]


def test_a_parameter_without_bounds_has_the_limits_of_its_function():
    bounded, free = toy_model("toy_ar1"), toy_model("toy_w")
    expected = hb.confint(bounded.fit(method="ml"), method="profile")
    found = hb.confint(free.fit(method="ml"), method="profile")
    both = ["lower", "upper"]
    np.testing.assert_allclose(
        found.loc["sd|g", both].tolist(), expected.loc["sd|g", both].tolist()
    )
    w = np.array(found.loc["w|g", both].tolist())
    np.testing.assert_allclose(np.tanh(w), expected.loc["lag1|g", both].tolist(), rtol=1e-6)


def test_a_parameter_without_bounds_needs_a_prior_of_its_own():
    with pytest.raises(TypeError, match="its prior needs log_prior"):
        toy_model("toy_w").sample(draws=10, chains=1)


def test_parameters_that_the_data_cannot_tell_apart_are_refused():
    # an effect of the level itself is in the correlation of all columns already
    model = toy_model("toy_cs", "told twice")
    with pytest.raises(hb.DataError, match="do not tell the parameters of the covariance"):
        model.fit()
    with pytest.warns(hb.BoundaryWarning):
        assert toy_model("toy_ar1", "told twice").fit().converged


def data(name, *, par=None, seed=5):
    """120 rows: the effects of a, b, c (indicators of a visit) by level of g; h is crossed."""
    rng = np.random.default_rng(seed)
    par = TRUTH[name] if par is None else par
    g, visit, h = np.repeat(np.arange(20), 6), np.tile(np.arange(3), 40), rng.integers(0, 12, 120)
    root = STRUCTURES[name](3).root(np.array([par]))[0]
    t = rng.normal(size=120)
    y = 3 + 0.5 * t + (rng.normal(size=(20, 3)) @ root.T)[g, visit] + rng.normal(size=120)
    y += (rng.normal(size=(12, 2)) * [0.8, 0.7])[h, 0] + 0.7 * rng.normal(size=12)[h] * t
    y += 0.9 * rng.normal(size=20)[g] * t
    return {
        "y": y, "t": t, "g": [f"g{i:02d}" for i in g], "h": [f"h{i}" for i in h],
        **{column: (visit == i).astype(float) for i, column in enumerate("abc")},
    }  # fmt: skip


def toy_model(name, formula="alone", **options):
    """A model whose terms of a, b, c have the structure ``name``."""
    model = hb.Model((FORMULAS | TOLD_TWICE)[formula], pd.DataFrame(data(name, **options)))
    return with_structure(model, name, columns=3)


def with_structure(model, name, *, columns):
    """The same model with a structure for the terms of so many columns."""
    terms = tuple(
        replace(term, covariance=name) if len(term.columns) == columns else term
        for term in model.design.terms
    )
    design = model.design.with_mean(replace(model.design.mean, terms=terms))
    spec = model.spec.with_design(design, kernel_of(design, weights=None, method="reml"))
    return model_of(spec)


def covariance_of(name, design, theta):
    """ZLambda Lambda'Z' (n, n) relative to sigma^2, from theta on the user's scale."""
    n = design.y.size
    V, at = np.zeros((n, n)), 0
    for term in design.terms:
        factor = design.factors[term.factor]
        q = len(term.columns)
        if term.covariance == name:
            root, k = TOYS[name](q).root(theta[None, at : at + 2])[0], 2
        else:
            root, k = np.zeros((q, q)), q * (q + 1) // 2
            root.T[np.triu_indices(q)] = theta[at : at + k]
        at += k
        z = factor.z[:, term.columns] @ root
        V += (z @ z.T) * (factor.codes[:, None] == factor.codes)
    return V


def dense_criterion(name, design, theta, method="reml"):
    n, p = design.X.shape
    V = np.eye(n) + covariance_of(name, design, theta)
    XVX = design.X.T @ np.linalg.solve(V, design.X)
    beta = np.linalg.solve(XVX, design.X.T @ np.linalg.solve(V, design.y))
    r = design.y - design.X @ beta
    df = n - p if method == "reml" else n
    value = np.linalg.slogdet(V)[1] + df * (
        1 + np.log(2 * np.pi * (r @ np.linalg.solve(V, r)) / df)
    )
    return value + (np.linalg.slogdet(XVX)[1] if method == "reml" else 0.0)


def some_thetas(model, name):
    """Thetas on the user's scale, inside their bounds."""
    rng = np.random.default_rng(1)
    k = model.spec.kernel("reml").shape.n_theta
    theta = np.abs(rng.normal(size=(4, k))) * 0.5 + 0.2
    theta[:, model.spec.kernel("reml").shape.slices[toy_place(model)].start + 1] = [
        -0.3,
        0.0,
        0.5,
        0.9,
    ]
    return theta


def toy_place(model):
    return next(i for i, term in enumerate(model.design.terms) if term.covariance != "us")


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_the_criterion_is_that_of_dense_algebra(name, formula):
    model = toy_model(name, formula)
    for method in ("reml", "ml"):
        kernel = model.spec.kernel(method)
        for theta in some_thetas(model, name):
            found = evaluate(kernel, kernel.in_basis(theta)[None]).criterion[0]
            assert found == pytest.approx(dense_criterion(name, model.design, theta, method))


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_the_gradient_is_that_of_differences(name, formula):
    model = toy_model(name, formula)
    kernel = model.spec.kernel("reml")
    for theta in some_thetas(model, name):
        x = kernel.in_basis(theta)
        np.testing.assert_allclose(kernel.from_basis(x), theta, rtol=1e-12, atol=1e-15)
        steps = 1e-5 * np.eye(x.size)
        values = [evaluate(kernel, np.stack([x + s, x - s])).criterion for s in steps]
        found = derivatives(kernel, evaluate(kernel, x[None])).gradient[0]
        expected = [(up - down) / 2e-5 for up, down in values]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_reml_ends_at_the_lowest_dense_criterion(name, formula):
    model = toy_model(name, formula)
    fit = model.fit()
    assert fit.converged
    k = fit.representative.size

    def dense(theta):
        theta = theta.copy()
        place = model.spec.kernel("reml").shape.slices[toy_place(model)].start + 1
        low, high = TOYS[name](3).bounds[1]
        theta[place] = (low + high) / 2 + (high - low) / 2 * np.sin(theta[place])
        return dense_criterion(name, model.design, theta)

    brute = min(minimize(dense, np.full(k, start), method="BFGS").fun for start in (0.4, 0.8))
    assert dense_criterion(name, model.design, fit.representative) == pytest.approx(fit.criterion)
    assert fit.criterion == pytest.approx(brute, abs=1e-6)


@pytest.mark.parametrize("name", TOYS)
def test_a_correlation_of_one_is_found_exactly_and_said(name):
    model = toy_model(name, par=(1.2, 1.0), seed=3)
    with pytest.warns(hb.BoundaryWarning, match="exactly \\+1"):
        fit = model.fit()
    assert fit.converged
    assert fit.is_singular
    assert fit.representative[1] == 1.0
    sd = fit.representative[0]
    inside = [dense_criterion(name, model.design, np.array([sd, r])) for r in (0.9, 0.99)]
    assert fit.criterion < min(inside)
    at_one = dense_criterion(name, model.design, fit.representative)
    assert fit.criterion == pytest.approx(at_one, abs=1e-8)


@pytest.mark.parametrize("name", TOYS)
def test_an_sd_of_zero_is_found_exactly(name):
    model = toy_model(name, par=(0.0, 0.0), seed=3)
    with pytest.warns(hb.BoundaryWarning, match="exactly zero"):
        fit = model.fit()
    assert fit.representative[0] == 0.0


@pytest.mark.parametrize("name", TOYS)
def test_many_responses_are_fitted_as_one_by_one(name):
    model = toy_model(name, "beside a triangle")
    fit, design = model.fit(), model.design
    kernel = fit.kernel
    Y = np.asarray(fit.fitted()) + np.random.default_rng(2).normal(size=(3, 120))
    together = refit_many(
        kernel,
        ResponseProducts(kernel.products, design, None).of(Y.T),
        design=design,
        start=fit.at.theta[0],
    )
    for y, theta, criterion in zip(Y, together.theta, together.criterion, strict=True):
        other = fit.refit(y)
        np.testing.assert_allclose(theta, other.representative, atol=1e-5)
        assert criterion == pytest.approx(other.criterion, abs=1e-8)


def dense_deviance(name, model):
    """The deviance of (sd, correlation) and sigma by dense algebra."""
    design = model.design
    n = design.y.size

    def deviance(par, sigma):
        V = sigma**2 * (np.eye(n) + covariance_of(name, design, np.array([par[0] / sigma, par[1]])))
        XVX = design.X.T @ np.linalg.solve(V, design.X)
        beta = np.linalg.solve(XVX, design.X.T @ np.linalg.solve(V, design.y))
        r = design.y - design.X @ beta
        return np.linalg.slogdet(V)[1] + n * np.log(2 * np.pi) + r @ np.linalg.solve(V, r)

    return deviance


@pytest.mark.parametrize("name", TOYS)
def test_profile_limits_of_a_structure_are_where_the_dense_deviance_rises_by_the_quantile(name):
    model = toy_model(name)
    fit = model.fit(method="ml")
    limits = hb.confint(fit, method="profile")
    deviance = dense_deviance(name, model)
    assert limits.index.tolist()[:3] == [f"{own}|g" for own in TOYS[name].names] + ["sigma"]
    start = limits["estimate"].to_numpy()[:3]
    least = deviance(start[:2], start[2])
    assert least == pytest.approx(fit.criterion)
    middle, half = TOYS[name](3).bounds[1].mean(), np.ptp(TOYS[name](3).bounds[1]) / 2
    for place in (0, 1):
        for end in ("lower", "upper"):

            def held(rest, place=place, value=limits[end].iloc[place]):
                other = np.exp(rest[0]) if place else middle + half * np.sin(rest[0])
                return deviance(np.insert([other], place, value), np.exp(rest[1])) - least

            rest = np.log(start[0]) if place else np.arcsin((start[1] - middle) / half)
            found = minimize(held, [rest, np.log(start[2])], method="BFGS", options={"gtol": 1e-3})
            assert found.fun == pytest.approx(3.841458820694124, abs=1e-4)


def dense_log_posterior(name, model, priors, phi):
    """Log p(y, phi) by dense algebra; phi: log sd, arctanh of the correlation's place, log sigma.

    With a flat prior of beta (the Gaussian integral over it), the uniform prior of the correlation
    and the prior of the first column's sd for the structure's.
    """
    design = model.design
    n, p = design.X.shape
    middle, half = TOYS[name](3).bounds[1].mean(), np.ptp(TOYS[name](3).bounds[1]) / 2
    s, r, sigma = np.exp(phi[0]), middle + half * np.tanh(phi[1]), np.exp(phi[2])
    V = sigma**2 * np.eye(n) + covariance_of(name, design, np.array([s, r]))
    XVX = design.X.T @ np.linalg.solve(V, design.X)
    beta = np.linalg.solve(XVX, design.X.T @ np.linalg.solve(V, design.y))
    left = design.y - design.X @ beta
    value = (n - p) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1]
    value = -(value + left @ np.linalg.solve(V, left)) / 2
    value += float(priors.sd[0][0].log_density(s)) + phi[0]
    value += np.log(half / np.cosh(phi[1]) ** 2) - np.log(2 * half)
    return value + float(priors.sigma.log_density(sigma)) + phi[2]


@pytest.mark.parametrize("name", TOYS)
def test_the_posterior_density_is_that_of_dense_algebra_and_the_prior(name):
    model = toy_model(name)
    priors = model_priors(model.design, model.spec.kept_columns, user="flat")
    target = target_of(model.spec.kernel("reml"), priors)
    phis = start_phi(target) + 0.5 * np.random.default_rng(4).normal(size=(5, 3))
    expected = [dense_log_posterior(name, model, priors, phi) for phi in phis]
    np.testing.assert_allclose(collapsed(target, phis).log_density, expected, rtol=1e-10)


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_the_slope_of_the_posterior_density_is_that_of_differences(name, formula):
    model = toy_model(name, formula)
    target = target_of(model.spec.kernel("reml"), model.spec.priors)
    phi = start_phi(target) + 0.4 * np.random.default_rng(4).normal(size=(3, target.size))
    exact = slope(target, phi, collapsed(target, phi))
    for i, step in enumerate(1e-5 * np.eye(target.size)):
        up, down = collapsed(target, phi + step), collapsed(target, phi - step)
        numeric = (up.log_density - down.log_density) / 2e-5
        np.testing.assert_allclose(exact[:, i], numeric, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("name", TOYS)
def test_the_posterior_is_sampled_and_its_limits_are_of_the_structures_parameters(name):
    model = toy_model(name)
    post = model.sample(draws=500, chains=2, random_seed=1)
    corr = post.draws.corr["g"]
    same = 0.0 if name == "toy_cs" else corr[..., 0, 1] ** 2 - corr[..., 0, 1]
    np.testing.assert_allclose(corr[..., 0, 2] - corr[..., 0, 1], same, atol=1e-12)
    limits = hb.confint(post)
    fit = hb.confint(model.fit(method="ml"), method="profile")
    for name_of, row in limits.iloc[:3].iterrows():
        assert row["lower"] < fit.loc[name_of, "estimate"] < row["upper"]


def dense_satterthwaite(name, design, psi, L, *, held=()):
    """Degrees of freedom of the rows of L by differences of dense algebra in psi.

    psi holds log sd, the parameters that follow in theta but for those ``held``, and log sigma.
    """
    n = design.y.size

    def both(psi):
        sigma = np.exp(psi[-1])
        theta = np.concatenate([np.exp(psi[:1]), held, psi[1:-1]])
        V = sigma**2 * (np.eye(n) + covariance_of(name, design, theta))
        XVX = design.X.T @ np.linalg.solve(V, design.X)
        vcov = np.linalg.inv(XVX)
        r = design.y - design.X @ vcov @ (design.X.T @ np.linalg.solve(V, design.y))
        deviance = np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1] + r @ np.linalg.solve(V, r)
        return deviance, np.einsum("ci,ij,cj->c", L, vcov, L)

    m, h = psi.size, 1e-3
    steps = h * np.eye(m)
    hessian = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            values = [both(psi + a * steps[i] + b * steps[j])[0] for a, b in corners]
            hessian[i, j] = (values[0] - values[1] - values[2] + values[3]) / (4 * h**2)
    g = np.array([(both(psi + s)[1] - both(psi - s)[1]) / (2 * h) for s in steps])
    return both(psi)[1] ** 2 / np.einsum("ic,ij,jc->c", g, np.linalg.inv(hessian), g)


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("formula", ["alone", "beside a triangle"])
def test_satterthwaites_degrees_of_freedom_are_those_of_dense_algebra(name, formula):
    model = toy_model(name, formula)
    fit = model.fit()
    sd, *rest = fit.representative
    psi = np.array([np.log(sd), *rest, np.log(fit.sigma)])
    expected = dense_satterthwaite(name, model.design, psi, np.eye(2))
    np.testing.assert_allclose(satterthwaite_df(fit), expected, rtol=1e-3)


@pytest.mark.parametrize("name", TOYS)
def test_a_correlation_of_one_is_held_and_the_rest_has_its_uncertainty(name):
    with pytest.warns(hb.BoundaryWarning):
        fit = toy_model(name, par=(1.2, 1.0), seed=3).fit()
    psi = np.log([fit.representative[0], fit.sigma])
    expected = dense_satterthwaite(name, fit.design, psi, np.eye(2), held=[1.0])
    np.testing.assert_allclose(satterthwaite_df(fit), expected, rtol=1e-3)
    assert "Held at the boundary" in held_notes(fit, "satterthwaite")[0]


REFUSED = {
    "NUTS": lambda fit, path: fit.model.sample(sampler="nuts"),
    "PyMC": lambda fit, path: fit.model.to_pymc(),
    "bambi": lambda fit, path: fit.model.to_bambi(),
    "the equation": lambda fit, path: fit.model.latex(),
    "the prior predictive": lambda fit, path: fit.model.prior_predictive(draws=2),
    "the surface": lambda fit, path: hb.likelihood_surface(fit),
    "Kenward-Roger": lambda fit, path: kenward_roger(fit),
    "the shrinkage path": lambda fit, path: hb.shrinkage_path(fit),
    "ranova": lambda fit, path: hb.ranova(fit),
    "a changed formula": lambda fit, path: fit.update(". ~ . - t"),
    "saving": lambda fit, path: fit.save(path / "fit.hb"),
}


@pytest.mark.parametrize("part", REFUSED)
def test_parts_that_know_only_full_covariances_say_so(part, tmp_path):
    fit = toy_model("toy_cs").fit()
    with pytest.raises(hb.NotSupportedError, match=r"has the structure 'toy_cs'"):
        REFUSED[part](fit, tmp_path)


@pytest.mark.parametrize("name", TOYS)
def test_varcorr_effects_and_new_responses_are_those_of_the_structure(name):
    model = toy_model(name)
    fit = model.fit()
    term = fit.varcorr().terms[0]
    root = fit.sigma * TOYS[name](3).root(fit.representative[None])[0]
    np.testing.assert_allclose(term.covariance, root @ root.T, rtol=1e-12)
    V = fit.sigma**2 * (np.eye(120) + covariance_of(name, model.design, fit.representative))
    left = np.linalg.solve(V, model.design.y - model.design.X @ fit.beta)
    factor = model.design.factors[0]
    effects = np.zeros((factor.levels.size, 3))
    np.add.at(effects, factor.codes, factor.z * left[:, None])
    np.testing.assert_allclose(fit.modes[0], effects @ (root @ root.T).T, rtol=1e-8, atol=1e-10)
    Y = np.asarray(fit.simulate(2000, random_seed=3))
    spread = np.cov(Y)
    np.testing.assert_allclose(spread, V, atol=0.35 * fit.sigma**2)


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_derivatives_of_the_profiled_deviance_are_those_of_differences(name, formula):
    fit = toy_model(name, formula).fit(method="ml")
    parameters = interval_parameters(fit)
    held, z = hold(fit.kernel, fit.at, parameters)
    z = z + 0.1 * np.random.default_rng(3).normal(size=z.shape)
    found = held_deviance(fit.kernel, held, z)
    for i, step in enumerate(1e-5 * np.eye(z.shape[1])):
        if i == z.shape[1] - 1:  # of fixed effects that are held, for those alone
            step = step * held.is_beta[:, None]
        up, down = (held_deviance(fit.kernel, held, z + s) for s in (step, -step))
        numeric = (up.value - down.value) / 2e-5
        np.testing.assert_allclose(found.gradient[:, i], numeric, rtol=1e-6, atol=1e-5)
        if i == z.shape[1] - 2:  # the rows of log sigma are exact, unless a held sd moves with it
            across, row = (up.gradient - down.gradient) / 2e-5, found.hessian[:, i]
            apart = ~held.is_sd
            np.testing.assert_allclose(row[apart, :-1], across[apart, :-1], atol=1e-3)


SLEEP = "Reaction ~ Days + (Days | Subject)"


def as_pair(model):
    """The same model with a structure that is a full covariance of two columns."""
    return with_structure(model, "toy_pair", columns=2)


def both_fits(*, method="reml", days=1.0):
    """The fit of a full covariance of two columns, and of the structure that is the same."""
    table = hb.load_dataset("sleepstudy")
    table["Days"] = table["Days"] * days
    model = hb.Model(SLEEP, table)
    return model.fit(method), as_pair(model).fit(method)


def weak_slopes(seed):
    """Levels that hardly differ: many seeds are at a boundary."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(12), 6), rng.normal(size=72) + 1
    y = rng.normal(size=72) + (rng.normal(size=12) * rng.choice([0, 0.3, 1]))[g]
    y += (rng.normal(size=12) * rng.choice([0, 0, 0.3]))[g] * t
    return hb.Model("y ~ t + (t | g)", pd.DataFrame({"y": y, "t": t, "g": g.astype(str)}))


# at zero and at either bound; the search meets negative scales, and both bounds have a minimum
@pytest.mark.parametrize("seed", [3, 18, 58, 85, 94, 132])
def test_a_structure_that_is_a_full_covariance_has_its_boundary(seed):
    model = weak_slopes(seed)
    with pytest.warns(hb.BoundaryWarning):
        full, own = model.fit(), as_pair(model).fit()
    assert own.converged
    assert own.is_singular
    assert own.criterion == pytest.approx(full.criterion, abs=1e-6)
    theirs, found = full.varcorr().terms[0], own.varcorr().terms[0]
    np.testing.assert_allclose(found.sd, theirs.sd, rtol=1e-3)
    np.testing.assert_allclose(found.corr, theirs.corr, atol=1e-6)


@pytest.mark.parametrize("days", [1.0, 1e6, 1e-6])
def test_a_structure_that_is_a_full_covariance_has_its_fit_in_any_unit(days):
    full, own = both_fits(days=days)
    assert own.criterion == pytest.approx(full.criterion, abs=1e-8)
    for a, b in zip(own.varcorr().terms, full.varcorr().terms, strict=True):
        np.testing.assert_allclose(a.sd, b.sd, rtol=1e-6)
        np.testing.assert_allclose(a.corr, b.corr, atol=1e-6)
    np.testing.assert_allclose(own.vcov_beta, full.vcov_beta, rtol=1e-6)
    np.testing.assert_allclose(own.modes[0], full.modes[0], rtol=1e-4, atol=1e-6 / days)
    np.testing.assert_allclose(satterthwaite_df(own), satterthwaite_df(full), rtol=1e-5)


def test_a_structure_that_is_a_full_covariance_has_its_profile_limits():
    full, own = (hb.confint(fit, method="profile") for fit in both_fits(method="ml"))
    names = ["first|Subject", "second|Subject", "cor|Subject", "sigma", "(Intercept)", "Days"]
    theirs = full.iloc[[0, 2, 1, 3, 4, 5]]  # sd, cor, sd in the order of the triangle
    assert own.index.tolist() == names
    np.testing.assert_allclose(own.to_numpy(), theirs.to_numpy(), rtol=2e-6, atol=2e-6)


# from zero, where the correlation says nothing; and where one of two sds at zero allows any
@pytest.mark.parametrize("seed", [3, 62, 94])
@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_a_structure_that_is_a_full_covariance_has_its_limits_at_the_boundary(seed):
    model = weak_slopes(seed)
    full, own = (
        hb.confint(one.fit("ml"), method="profile").to_numpy() for one in (model, as_pair(model))
    )
    np.testing.assert_allclose(own, full[[0, 2, 1, 3, 4, 5]], rtol=1e-4, atol=1e-4)
