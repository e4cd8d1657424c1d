"""Posteriors of models with correlated residuals: density by dense algebra, and draws."""

from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.bayes import nuts, posterior
from hierbayes.bayes.collapsed import target_and_start
from hierbayes.bayes.collapsed_density import collapsed, slope
from hierbayes.bayes.structured_residuals import structured_residuals
from hierbayes.bayes.variance_priors import variance_log_prior
from hierbayes.gaussian.residual.of_design import residuals_of
from hierbayes.gaussian.residual.root import coloured
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.visit_correlations import as_matrix, matrix_variable, one_by_one
from tests.pymc_density import pymc_density

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
MODELS = {
    "ar1": ("distance ~ age * Sex", "ar1(occasion | Subject)", None),
    "ar1 beside effects": (
        "distance ~ age * Sex + (age | Subject)",
        "ar1(occasion | Subject)",
        None,
    ),
    "cs": ("distance ~ age + (1 | Sex)", "cs(1 | Subject)", None),
    "strata": ("distance ~ age * Sex + (age | Subject)", None, "~ Sex"),
    "strata without effects": ("distance ~ age", None, "~ Sex + occasion"),
    "strata without a reference": ("distance ~ age + (1 | Subject)", None, "~ 0 + age + Sex"),
    "powers beside ar1": (
        "distance ~ age + (1 | Subject)",
        "ar1(occasion | Subject)",
        "~ log(age)",
    ),
    "car1": ("distance ~ age + (1 | Subject)", "car1(age | Subject)", None),
    "us": ("distance ~ age + (1 | Sex)", "us(age | Subject)", None),
    "us beside strata": ("distance ~ age", "us(age | Subject)", "~ Sex"),
    "strata beside cs alone": ("distance ~ age", "cs(1 | Subject)", "~ Sex"),
    "strata beside cs": ("distance ~ age + (1 | Sex)", "cs(1 | Subject)", "~ Sex"),
    "strata of crossed levels": (
        "distance ~ age + (age | Subject) + (1 | occasion) + (1 | half)",
        None,
        "~ Sex",
    ),
    "strata of related levels": ("distance ~ age + (1 | Subject)", None, "~ Sex"),
    "ar1 of related levels": (
        "distance ~ age + (age | Subject) + (1 | Sex)",
        "ar1(occasion | Subject)",
        None,
    ),
}


IN_PYMC = (
    "powers beside ar1",
    "strata beside cs",
    "car1",
    "us beside strata",
    "ar1 of related levels",
)


@lru_cache
def model(name: str) -> hb.Model:
    formula, residual, sigma = MODELS[name]
    data = pd.read_csv(FOLDER / "orthodont.csv").iloc[:60].drop([2, 9, 23])  # gaps
    data["Sex"] = np.where(data["Subject"].str[-1].astype(int) % 2, "a", "b")
    data["half"] = np.arange(len(data)) % 2
    subjects = data["Subject"].unique()
    away = np.abs(np.arange(subjects.size)[:, None] - np.arange(subjects.size))
    A = pd.DataFrame(0.6**away, index=subjects, columns=subjects)
    cov = {"Subject": A} if "related" in name else None
    return hb.Model(formula, data, residual=residual, sigma=sigma, cov=cov)


def covariance_of_levels(factor) -> np.ndarray:
    """Return A of the levels of a grouping factor."""
    return np.eye(factor.levels.size) if factor.relation is None else factor.relation.matrix


@lru_cache
def target(name: str):
    spec = model(name).spec
    start = np.full(residuals_of(spec.design, any_reference=True).structure.size, 0.3)
    residual = structured_residuals(spec, start=start)
    return target_and_start(residual.kernel.at(start), spec.priors, residual)


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_that_of_dense_algebra(name: str) -> None:
    spec, (own, start) = model(name).spec, target(name)
    points = start + 0.3 * np.random.default_rng(1).normal(size=(3, start.size))
    found = collapsed(own, points)
    mean, precision = spec.priors.gaussian_beta()
    X, y, n = spec.design.X, spec.design.y, spec.design.y.size
    for point, value in zip(points, found.log_density, strict=True):
        phi, variances = own.of_residuals(point[None])[0], point[None, : own.coordinates.size]
        sigma = float(own.coordinates.sigma(variances)[0])
        root = sigma * coloured(residuals_of(spec.design, any_reference=True), phi, np.eye(n))
        V = root @ root.T + X @ np.linalg.inv(precision) @ X.T
        for factor, R in zip(spec.design.factors, own.coordinates.roots(variances), strict=True):
            Z = np.zeros((n, factor.levels.size, factor.z.shape[1]))
            Z[np.arange(n), factor.codes] = factor.z @ R[0]
            V += np.einsum("njq,jk,mkq->nm", Z, covariance_of_levels(factor), Z)
        expected = multivariate_normal.logpdf(y, X @ mean, V)
        expected += own.residual.log_prior(np.log([sigma]), phi[None])[0]
        without = own.coordinates, spec.priors, variances
        expected += variance_log_prior(*without)[0]
        assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", IN_PYMC)
def test_the_density_is_that_of_pymc_with_effects_integrated_out(name: str) -> None:
    """p(y, phi) = p(y, beta, b, phi) / p(beta, b | y, phi), at any beta and b."""
    spec, (own, start) = model(name).spec, target(name)
    density, rng = pymc_density(model(name)), np.random.default_rng(2)
    for x in start + 0.3 * rng.normal(size=(2, start.size)):
        values, log_slopes = natural(own, x, spec)
        given, mean, precision = conditional_of_effects(own, x, spec)
        v = mean + np.linalg.solve(np.linalg.cholesky(precision).T, rng.normal(size=mean.size))
        values |= given(v)
        expected = (
            density(values)
            + log_slopes
            - multivariate_normal.logpdf(v, mean, np.linalg.inv(precision))
        )
        assert collapsed(own, x[None]).log_density[0] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_given_the_rest_are_those_of_dense_algebra(name: str) -> None:
    spec, (own, start) = model(name).spec, target(name)
    at, anchor = collapsed(own, start[None]), own.kernel.products.anchor
    _, mean, precision = conditional_of_effects(own, start, spec)
    p, root = anchor.beta0.size, anchor.x_basis @ np.linalg.inv(at.root[0]).T
    np.testing.assert_allclose(anchor.beta0 + anchor.x_basis @ at.mean[0], mean[:p], rtol=1e-9)
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(precision)[:p, :p], rtol=1e-9)


def natural(own, x, spec):
    """Variance parameters by the names of PyMC at coordinates, and the log of their slopes."""
    variances, phi = own.variances(x[None]), own.of_residuals(x[None])
    sigma, G = own.coordinates.sigma(variances), own.residual.n_spreads
    values, slopes = {"sigma": sigma[0]}, float(variances[0, -1])
    coefficients = own.residual.coefficients(np.log(sigma), phi)
    if coefficients is not None:
        values["sigma_beta"], slopes = coefficients[0], 0.0
    for factor, R in zip(spec.design.factors, own.coordinates.roots(variances), strict=True):
        sd = np.sqrt((R[0] ** 2).sum(axis=1))
        values[f"sd_{factor.name}"] = sd
        slopes += float(np.log(sd).sum())
        if sd.size == 2:
            r = R[0, 1] @ R[0, 0] / sd.prod()
            values[f"corr_{factor.name}"] = np.array([[1, r], [r, 1]])
            slopes += float(np.log1p(-(r**2)))
    further = own.residual.further(phi)
    values |= {name: value[0] for name, value in further.items()}
    steps = phi + 1e-30j * np.eye(phi.shape[1])
    slopes -= float(np.log(own.residual.spread.scale).sum())
    correlation = own.residual.kernel.products.structure.correlation
    turn = correlation.correlations(steps[:, G:])[G:].imag / 1e-30
    slopes += np.linalg.slogdet(turn)[1] if turn.size else 0.0
    matrix = as_matrix({n: v[None] for n, v in further.items()}, matrix_variable(spec.design))
    return values | {n: v[0, 0] for n, v in matrix.items() if n.startswith("cor_us")}, slopes


def conditional_of_effects(own, x, spec):
    """Mean and precision of (beta, b) given y by dense algebra; what a vector of them is called."""
    design, phi, variances = spec.design, own.of_residuals(x[None])[0], own.variances(x[None])
    n, p = design.X.shape
    W = (
        coloured(residuals_of(spec.design, any_reference=True), phi, np.eye(n))
        * own.coordinates.sigma(variances)[0]
    )
    mean, precision = spec.priors.gaussian_beta()
    columns, priors, shapes = [design.X], [precision], {}
    for factor, R in zip(design.factors, own.coordinates.roots(variances), strict=True):
        Z = np.zeros((n, factor.levels.size, factor.z.shape[1]))
        Z[np.arange(n), factor.codes] = factor.z
        columns.append(Z.reshape(n, -1))
        A = covariance_of_levels(factor)
        priors.append(np.linalg.inv(np.kron(A, R[0] @ R[0].T)))
        shapes[f"b_{factor.name}"] = Z.shape[1:]
    A = np.linalg.solve(W, np.hstack(columns))
    precision = A.T @ A + block_diag(*priors)
    right = A.T @ np.linalg.solve(W, design.y)
    right[:p] += priors[0] @ mean

    def given(v):
        parts = np.split(v, np.cumsum([p, *(J * q for J, q in shapes.values())])[:-1])
        b = zip(shapes.items(), parts[1:], strict=True)
        return {"beta": parts[0]} | {name: part.reshape(shape) for (name, shape), part in b}

    return given, np.linalg.solve(precision, right), precision


def test_random_effects_in_sigma_stand_beside_correlated_residuals() -> None:
    """Log densities in PyMC differ by that of the rows and the effects, where priors are flat."""
    data = model("ar1").spec.table
    own = hb.Model(
        "distance ~ age + (1 | Subject)",
        data,
        sigma="~ Sex + (1 | Subject)",
        residual="ar1(occasion | Subject)",
    )
    design, rng = own.spec.design, np.random.default_rng(4)
    of_sigma, series = own.spec.design.of("sigma"), own.spec.residuals.series
    codes, J = design.factors[0].codes, design.factors[0].levels.size
    gap = np.abs(series.time[:, None] - series.time)
    density, differences = pymc_density(own), []
    for r in (0.4, -0.3):
        b, s = rng.normal(size=J), rng.normal(scale=0.5, size=J)
        values = {"beta": [17.0, 0.7], "sd_Subject": [1.0], "b_Subject": b[:, None]}
        values |= {"sigma_beta": [0.3, 0.2], "sigma_sd_Subject": [0.5]}
        values |= {"sigma_b_Subject": s[:, None], "cor_ar1|Subject": r}
        found = density({name: np.array(value) for name, value in values.items()})
        sd = np.exp(of_sigma.X @ [0.3, 0.2] + s[codes])
        R = np.where(series.codes[:, None] == series.codes, r**gap, 0.0) * sd[:, None] * sd
        expected = multivariate_normal.logpdf(design.y, design.X @ [17.0, 0.7] + b[codes], R)
        differences.append(found - expected - norm.logpdf(b).sum() - norm.logpdf(s, 0, 0.5).sum())
    assert differences[0] == pytest.approx(differences[1], abs=1e-8)
    # what a row's density given the others is
    one = np.ones((1, 2, 1))
    effects = {"sampler": "nuts", "corr": {}, "sigma": None}
    of_log_sd = PosteriorDraws(
        beta=one * [0.3, 0.2],
        sd={"Subject": 0.5 * one},
        b={"Subject": one[..., None] * s[:, None]},
        **effects,
    )
    draws = PosteriorDraws(
        beta=one * [17.0, 0.7],
        sd={"Subject": one},
        b={"Subject": one[..., None] * b[:, None]},
        family={"cor_ar1|Subject": np.full((1, 2), r)},
        formulas={"sigma": of_log_sd},
        **effects,
    )
    post = posterior.posterior_fit(own.spec, draws, settings={}, findings=())
    K, e = np.linalg.inv(R), design.y - design.X @ [17.0, 0.7] - b[codes]
    expected = norm.logpdf((K @ e) / np.sqrt(np.diag(K))) + np.log(np.diag(K)) / 2
    np.testing.assert_allclose(post.log_likelihood()[0, 1], expected, rtol=1e-9)
    assert "ar1(occasion | Subject)" in own.explain()


def test_draws_of_nuts_hold_the_effects_of_every_predictor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    effects = "distance ~ age + (1 | Subject)", {"sigma": "~ Sex + (1 | Subject)"}
    own = hb.Model(effects[0], model("ar1").spec.table, **effects[1])
    settings = nuts.NutsSettings(draws=3, tune=1, chains=2)
    rng = np.random.default_rng(1)
    J = own.spec.design.factors[0].levels.size
    sizes = {"beta": 2, "sd_Subject": 1, "b_Subject": (J, 1)}
    sizes |= {f"sigma_{name}": size for name, size in sizes.items()}
    made = {name: rng.normal(size=(2, 3, *np.atleast_1d(size))) for name, size in sizes.items()}
    monkeypatch.setattr(nuts, "_sampled", lambda *_, **__: {"posterior": made})
    monkeypatch.setattr(nuts, "stats_of", lambda _: {"diverging": np.zeros((2, 3), dtype=bool)})
    named = SimpleNamespace(named_vars=set(sizes))
    found = nuts.sample_nuts(named, own.spec.design, settings)
    for before, part in (("", found), ("sigma_", found.formulas["sigma"])):
        np.testing.assert_array_equal(part.beta, made[f"{before}beta"])
        np.testing.assert_array_equal(part.sd["Subject"], made[f"{before}sd_Subject"])
        np.testing.assert_array_equal(part.b["Subject"], made[f"{before}b_Subject"])


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_exact(name: str) -> None:
    own, start = target(name)
    x = start[None] + 0.2
    found = slope(own, x, collapsed(own, x))[0]
    step = 1e-5 * np.eye(start.size)
    ends = [collapsed(own, x + way * step).log_density for way in (1, -1)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-6)


def test_coefficients_of_sigma_have_their_own_priors_without_a_reference() -> None:
    name = "strata without a reference"
    spec, (own, start) = model(name).spec, target(name)
    phi, log_sigma = own.of_residuals(start[None] + 0.1), np.array([0.4])
    coefficients = own.residual.coefficients(log_sigma, phi)
    X = spec.design.of("sigma").X
    found = residuals_of(spec.design, any_reference=True).relative_sds(phi[0])
    np.testing.assert_allclose(np.exp(X @ coefficients[0]), np.exp(0.4) * found, rtol=1e-12)
    laws = spec.priors.formulas["sigma"].beta
    expected = sum(law.log_density(c) for law, c in zip(laws, coefficients[0], strict=True))
    expected -= np.log(own.residual.spread.scale).sum()  # of coordinates; those of levels are one
    assert own.residual.log_prior(log_sigma, phi)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["cs", "car1"])
def test_the_prior_of_a_correlation_integrates_to_one(name: str) -> None:
    own, _ = target(name)
    phi = np.linspace(-12, 12, 4001)[:, None]
    log_prior = partial(own.residual.log_prior, np.zeros(1))
    assert np.trapezoid(np.exp(log_prior(phi)), phi[:, 0]) == pytest.approx(1, abs=1e-6)
    step = (log_prior(phi + 1e-6) - log_prior(phi - 1e-6)) / 2e-6
    slopes = own.residual.log_prior_slopes(np.zeros(1), phi)
    np.testing.assert_allclose(slopes[:, 1], step, atol=1e-7)


def test_draws_are_those_of_the_density() -> None:
    name = "ar1"
    own, start = target(name)
    post = model(name).sample(draws=1000, random_seed=1)
    grid = np.stack(
        np.meshgrid(start[0] + np.linspace(-1, 1, 60), np.linspace(-0.5, 2.0, 60)), axis=-1
    ).reshape(-1, 2)
    log_density = collapsed(own, grid).log_density
    weight = np.exp(log_density - log_density.max())
    r = np.tanh(grid[:, 1])
    mean = float(weight @ r / weight.sum())
    sd = float(np.sqrt(weight @ (r - mean) ** 2 / weight.sum()))
    row = post.tidy().set_index("term").loc["cor_ar1|Subject"]
    assert row["estimate"] == pytest.approx(mean, abs=4 * sd / np.sqrt(1500))
    assert row["std_error"] == pytest.approx(sd, rel=0.1)
    assert "cor_ar1|Subject" in post.idata["posterior"]
    assert "Uniform(-1, 1)" in str(model(name).priors)


def test_correlations_of_visits_have_one_prior_and_names_of_their_own() -> None:
    frame = pd.read_csv(FOLDER / "orthodont.csv").query("age < 14").drop([1, 8])
    given = {"cor_us|Subject": hb.LKJ(5), "sigma_age12": hb.Normal(0, 0.3)}
    options = {"residual": "us(age | Subject)", "priors": given}
    us = hb.Model("distance ~ age", frame, **options)
    post = us.sample(draws=25, random_seed=1)
    names = [name for part in post.parameters("ran_pars") for name in part.names]
    correlations = ["cor_age10.age8|Subject", "cor_age12.age8|Subject", "cor_age12.age10|Subject"]
    assert names == ["sigma", "sigma_age10", "sigma_age12", *correlations]
    R = post.idata["posterior"]["cor_us|Subject"]
    at = dict(zip(R.dims[2:], ["12", "10"], strict=True))
    np.testing.assert_array_equal(R.sel(at), post.draws.family["cor_age12.age10|Subject"])
    again = one_by_one({"cor_us|Subject": R.to_numpy()}, "cor_us|Subject", correlations)
    np.testing.assert_array_equal(
        again["cor_age12.age8|Subject"], post.draws.family["cor_age12.age8|Subject"]
    )
    table = us.priors.set_index("parameter")["prior"]
    assert table["cor_us|Subject"] == "LKJ(5)" and table["sigma_age12"] == "Normal(0, 0.3)"
    with pytest.raises(hb.PriorError, match="can't be a prior of correlations"):
        wrong = {"priors": {"cor_us|Subject": hb.Normal(0, 1)}}
        _ = hb.Model("distance ~ age", frame, **options | wrong).priors


def test_the_evidence_for_a_correlation_is_that_of_the_densities() -> None:
    with_it = model("ar1").sample(draws=300, random_seed=1)
    data = with_it.spec.table
    without = hb.Model("distance ~ age * Sex", data).sample(draws=300, random_seed=1)
    found = hb.bayes_factor(with_it, without)
    expected = with_it.log_marginal_likelihood - without.log_marginal_likelihood
    assert found.log_bf == pytest.approx(expected, abs=1e-9)


def test_what_cross_products_cannot_tell_apart_is_sampled_by_nuts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = model("us").spec.table
    beside = hb.Model("distance ~ Sex + (1 | Sex)", data, residual="us(age | Subject)")
    with pytest.raises(hb.NotSupportedError, match="do not determine"):
        beside.sample(sampler="collapsed")

    def reached(*_: object, **__: object) -> None:
        raise LookupError("nuts")

    monkeypatch.setattr(posterior, "_nuts", reached)
    with pytest.raises(LookupError, match="nuts"):
        beside.sample()


def test_what_takes_rows_to_be_independent_refuses_posteriors() -> None:
    post = model("ar1").sample(draws=50, random_seed=1)
    for call in (hb.inclusion, hb.design_study):
        with pytest.raises(hb.NotSupportedError, match="does not know correlated residuals"):
            call(post)
    with pytest.raises(hb.NotSupportedError, match="marginal"):
        model("ar1").to_pymc("marginal")


def test_strata_and_intervals_are_those_of_the_draws() -> None:
    post = model("strata beside cs alone").sample(draws=50, random_seed=1)
    gamma = post.draws.formulas["sigma"].beta.reshape(-1, 2)
    r = post.draws.family["cor_cs|Subject"].ravel()
    found = post.varcorr()
    assert found.sigma == pytest.approx(np.exp(gamma[:, 0]).mean(), rel=1e-12)
    rows = {row.label: row.value for row in found.residual}
    expected = {"Sexb": np.exp(gamma.sum(axis=1)).mean(), "cs": r.mean()}
    assert rows == pytest.approx(expected, rel=1e-12)
    table = hb.confint(post, level=0.8)
    limits = table.loc[["sigma_(Intercept)", "sigma_Sexb", "cor_cs|Subject"], ["lower", "upper"]]
    draws = np.column_stack([gamma, r])
    np.testing.assert_allclose(limits, np.quantile(draws, [0.1, 0.9], axis=0).T, rtol=1e-12)


def test_a_correlation_next_to_its_bounds_is_a_number() -> None:
    own, start = target("car1")
    for far in (-400.0, 40.0):
        x = np.append(start[:-1], far)[None]
        found = collapsed(own, x)
        assert np.isfinite(found.log_density).all()
        assert np.isfinite(slope(own, x, found)).all()
