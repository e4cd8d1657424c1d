"""The collapsed posterior: its density against dense algebra, its draws against quadrature."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierbayes as hb
from hierbayes.bayes import collapsed_density
from hierbayes.bayes.collapsed import sample_collapsed, start_phi, target_and_start
from hierbayes.bayes.collapsed_density import collapsed, slope, target_of
from hierbayes.bayes.mixture import fitted_mixture
from hierbayes.bayes.pareto_smoothing import pareto_k
from hierbayes.priors.model_priors import model_priors

SLEEP = "Reaction ~ Days + (Days | Subject)"
MODELS = {
    "one factor": (SLEEP, "sleepstudy", {}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "three columns": ("score ~ Machine + (Machine | Worker)", "Machines", {}),
    "weights": (SLEEP, "sleepstudy", {"weights": "1/(1 + Days)"}),
    "known sds": ("effect ~ 1 + (1 | school)", "eight_schools", {"known_sd": "se"}),
}
SAME_FORMULA = 1e-9  # relative: the same density by two routes, rounding only


def built(formula, data, *, priors=None, **options):
    frame = hb.load_dataset(data) if isinstance(data, str) else data
    model = hb.Model(formula, frame, **options)
    kernel = model.spec.kernel("reml")
    laws = model_priors(model.design, kernel.products.anchor.kept, user=priors)
    return model.design, kernel, laws


def points(target, n=5):
    rng = np.random.default_rng(11)
    centre = start_phi(target)
    return centre + 0.4 * rng.standard_normal((n, centre.size))


def dense_log_density(design, target, phi):
    """Log p(y, phi) from the covariance matrix of y written out."""
    coordinates, priors = target.coordinates, target.priors
    n = design.y.size
    if design.known_sd is not None:
        noise = design.known_sd**2
    else:
        weights = np.ones(n) if design.weights is None else design.weights
        noise = coordinates.sigma(phi[None])[0] ** 2 / weights
    mean, precision = priors.gaussian_beta()
    covariance = np.diag(noise) + design.X @ np.linalg.solve(precision, design.X.T)
    for factor, root in zip(design.factors, coordinates.roots(phi[None]), strict=True):
        Z = np.zeros((n, factor.levels.size, factor.z.shape[1]))
        Z[np.arange(n), factor.codes] = factor.z
        part = np.einsum("njq,qr->njr", Z, root[0]).reshape(n, -1)
        covariance += part @ part.T
    value = multivariate_normal(design.X @ mean, covariance).logpdf(design.y)
    for sds, laws in zip(coordinates.sds(phi[None]), priors.sd, strict=True):
        for sd, law in zip(sds[0], laws, strict=True):
            value += float(law.log_density(sd)) + np.log(sd)
    if not coordinates.sigma_known:
        value += float(priors.sigma.log_density(np.exp(phi[-1]))) + phi[-1]
    return value + float(coordinates.log_lkj(phi[None], priors.lkj)[0])


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_that_of_the_written_out_model(name):
    formula, data, options = MODELS[name]
    design, kernel, priors = built(formula, data, **options)
    target = target_of(kernel, priors)
    phis = points(target)
    expected = [dense_log_density(design, target, phi) for phi in phis]
    np.testing.assert_allclose(collapsed(target, phis).log_density, expected, rtol=SAME_FORMULA)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_the_density(name):
    formula, data, options = MODELS[name]
    _, kernel, priors = built(formula, data, **options)
    target = target_of(kernel, priors)
    phis = points(target)
    exact = slope(target, phis, collapsed(target, phis))
    h = 1e-5
    for i in range(phis.shape[1]):
        step = h * np.eye(phis.shape[1])[i]
        up, down = collapsed(target, phis + step), collapsed(target, phis - step)
        numeric = (up.log_density - down.log_density) / (2 * h)
        np.testing.assert_allclose(exact[:, i], numeric, atol=1e-6 * np.abs(exact).max())


def test_with_a_flat_prior_on_beta_the_density_is_the_reml_criterion():
    design, kernel, priors = built(SLEEP, "sleepstudy", priors="flat")
    target = target_of(kernel, priors)
    fit = hb.lmer(SLEEP, hb.load_dataset("sleepstudy"))
    term = fit.varcorr().terms[0]
    root = np.linalg.cholesky(term.corr)
    phi = target.coordinates.phi([term.sd], [root], fit.sigma)[None]
    from hierbayes.bayes.collapsed_density import log_prior

    likelihood = collapsed(target, phi).log_density - log_prior(target, phi)
    assert -2 * likelihood[0] == pytest.approx(fit.criterion, rel=1e-10)
    assert design.y.size == 180


def test_a_model_without_unknown_variances_has_a_closed_marginal_likelihood():
    design, kernel, priors = built("effect ~ 1", "eight_schools", known_sd="se")
    draws = sample_collapsed(kernel, priors, design, draws=50, random_seed=1)
    mean, precision = priors.gaussian_beta()
    covariance = np.diag(design.known_sd**2) + design.X @ np.linalg.solve(precision, design.X.T)
    exact = multivariate_normal(design.X @ mean, covariance).logpdf(design.y)
    assert draws.log_marginal_likelihood == pytest.approx(exact, abs=1e-9)


def quadrature(target, grids):
    """Integral of the density and its nodes and weights on a tensor grid of phi."""
    mesh = np.stack([g.ravel() for g in np.meshgrid(*grids, indexing="ij")], axis=1)
    logs = collapsed(target, mesh).log_density
    cell = np.prod([grid[1] - grid[0] for grid in grids])
    top = logs.max()
    weights = np.exp(logs - top)
    return top + np.log(weights.sum() * cell), mesh, weights / weights.sum()


@pytest.mark.mcmc
@pytest.mark.parametrize(("data", "seed"), [("Dyestuff", 1), ("Dyestuff2", 2)])
def test_one_way_layouts_agree_with_quadrature(data, seed):
    design, kernel, priors = built("Yield ~ 1 + (1 | Batch)", data)
    target = target_of(kernel, priors)
    centre = start_phi(target)
    grids = [
        np.linspace(centre[0] - 14, centre[0] + 5, 900),
        np.linspace(centre[1] - 2, centre[1] + 2.5, 300),
    ]
    log_integral, mesh, weights = quadrature(target, grids)
    draws = sample_collapsed(kernel, priors, design, draws=20_000, random_seed=seed)
    error = draws.log_marginal_likelihood_mcse
    assert error < 2e-3
    assert abs(draws.log_marginal_likelihood - log_integral) < 4 * error
    drawn = (np.log(draws.sd["Batch"][..., 0]), np.log(draws.sigma))
    for values, nodes in zip(drawn, mesh.T, strict=True):
        for function in (np.exp, np.asarray, lambda x: np.exp(-np.abs(x))):
            exact, found = function(nodes), function(values)
            mean = weights @ exact
            sd = np.sqrt(weights @ (exact - mean) ** 2)
            # at least half of the draws are independent
            assert abs(found.mean() - mean) < 4 * sd / np.sqrt(values.size / 2)


@pytest.mark.mcmc
def test_the_marginal_likelihood_of_dyestuff_is_right_to_a_thousandth():
    design, kernel, priors = built("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    target = target_of(kernel, priors)
    centre = start_phi(target)
    grids = [
        np.linspace(centre[0] - 20, centre[0] + 6, 1500),
        np.linspace(centre[1] - 2, centre[1] + 3, 400),
    ]
    log_integral, _, _ = quadrature(target, grids)
    draws = sample_collapsed(kernel, priors, design, draws=100_000, random_seed=1)
    assert draws.log_marginal_likelihood_mcse < 3e-4
    assert abs(draws.log_marginal_likelihood - log_integral) < 1e-3


def test_a_sigma_whose_residuals_are_rounding_is_impossible():
    """As many effects as rows: without the bound, rounding made densities of e^50000."""
    rows = hb.load_dataset("Dyestuff").assign(row=np.arange(30))
    _, kernel, priors = built("Yield ~ 1 + (1 | row)", rows)
    target = target_of(kernel, priors)
    sigma = np.linspace(-60, 4, 200)
    logs = collapsed(target, np.column_stack([np.full(200, 4.0), sigma])).log_density
    assert np.isneginf(logs[0]) and np.isfinite(logs[-1]) and logs.max() < -100


@pytest.mark.mcmc
@pytest.mark.parametrize("ratio", [1e5, 1e6, 1e7])
def test_the_residual_sd_beside_effects_ten_million_times_as_large_is_that_of_the_rows(ratio):
    """Once 2.0, 19.4 and 194 at 1e7, 1e8 and 1e9, without a word."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 4)
    u, e = rng.normal(size=6), rng.normal(size=24)
    post = hb.Model("y ~ 1 + (1 | g)", {"y": ratio * u[g] + e, "g": g}).sample(random_seed=1)
    left = e - e.reshape(6, 4).mean(axis=1)[g]
    # the priors are as wide as the response: what is left over sigma^2 is chi square of 24 - 6 - 1
    draws = post.idata.posterior["sigma"].to_numpy().ravel()
    square = (left**2).sum() / draws**2
    assert post.sampler == "collapsed"
    assert post.findings == ()
    assert square.mean() == pytest.approx(18 - 1, rel=0.03)
    means = ratio * u + e.reshape(6, 4).mean(axis=1)
    beta = post.idata.posterior["beta"].to_numpy().ravel()
    assert beta.mean() == pytest.approx(means.mean(), abs=0.1 * means.std())
    assert 0.3 < beta.std() / means.std() < 0.8


@pytest.mark.mcmc
@pytest.mark.parametrize("formula", ["y ~ 0 + (x | g)", "y ~ x + (x | g)", "y ~ x + (x || g)"])
def test_slopes_of_any_size_have_one_posterior_of_the_residual_sd(formula):
    """Once 1.51 for 1.14 at 1e7, without a finding, or NUTS without end."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 5)
    x, u, e = rng.normal(size=30), rng.normal(size=(6, 2)), rng.normal(size=30)

    def sigma(ratio):
        y = ratio * (u[g, 0] + u[g, 1] * x) + e
        post = hb.Model(formula, {"y": y, "x": x, "g": g}).sample(random_seed=1)
        assert post.sampler == "collapsed" and post.findings == ()
        return post.idata.posterior["sigma"].to_numpy().mean()

    assert sigma(1e7) == pytest.approx(sigma(1e3), rel=1e-3)


@pytest.mark.mcmc
@pytest.mark.parametrize(("first", "slope"), [(1, None), (5, 1.0)])
def test_levels_of_one_row_and_small_slopes_beside_large_intercepts_have_their_posterior(
    first, slope
):
    """Once a residual sd of 2.54 for 1.25 at 1e7, then refused; the fit had it all along."""
    g = np.repeat(np.arange(7), [first, 5, 5, 5, 5, 5, 5])
    rng = np.random.default_rng(0)
    x, u, e = rng.normal(size=g.size), rng.normal(size=(7, 2)), rng.normal(size=g.size)

    def sigma(ratio):
        y = ratio * u[g, 0] + (slope or ratio) * u[g, 1] * x + e
        model = hb.Model("y ~ x + (x | g)", {"y": y, "x": x, "g": g})
        post = model.sample(draws=2000, random_seed=1)
        assert post.sampler == "collapsed" and post.findings == ()
        return post.idata.posterior["sigma"].to_numpy().mean()

    # an sd of 0.15 and at least 2,000 independent draws on both sides: six errors
    assert sigma(1e7) == pytest.approx(sigma(1e4), abs=6 * 0.15 * np.sqrt(2 / 2000))


@pytest.mark.mcmc
def test_a_posterior_that_rounding_cuts_is_refused(monkeypatch):
    """As with thousands of rows a level at 1e5; here the bound is where the posterior lies."""
    monkeypatch.setattr(collapsed_density, "LOST", 3e-5)
    rng = np.random.default_rng(0)
    g, h = np.arange(60) % 6, np.arange(60) // 6
    y = 1e5 * (rng.normal(size=6)[g] + rng.normal(size=10)[h]) + rng.normal(size=60)
    with pytest.raises(hb.DataError, match="rounding cuts their posterior"):
        hb.Model("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h}).sample(random_seed=1)


def test_one_weight_above_all_others_is_the_worst_tail():
    weights = np.zeros(1000)
    assert pareto_k(weights) == -np.inf
    weights[7] = 5000.0
    assert pareto_k(weights) == np.inf


@pytest.mark.mcmc
def test_eight_schools_agree_with_exact_quadrature():
    design, kernel, priors = built("effect ~ 1 + (1 | school)", "eight_schools", known_sd="se")
    target = target_of(kernel, priors)
    log_tau = np.linspace(-12, 6, 4001)
    _, mesh, weights = quadrature(target, [log_tau])
    at = collapsed(target, mesh)
    anchor = kernel.products.anchor
    beta = anchor.beta0 + at.mean @ anchor.x_basis.T
    tau2, se2 = np.exp(2 * mesh[:, 0]), design.known_sd**2
    shrink = tau2[:, None] / (tau2[:, None] + se2)  # E(b | y, mu, tau) = shrink (y - mu)
    effects = weights @ (shrink * (design.y - beta))
    precision = priors.gaussian_beta()[1][0, 0] + (1 / (tau2[:, None] + se2)).sum(axis=1)
    second = shrink**2 * ((design.y - beta) ** 2 + 1 / precision[:, None]) + shrink * se2
    draws = sample_collapsed(kernel, priors, design, draws=5000, random_seed=3)
    b = draws.b["school"].reshape(-1, 8)
    for values, exact in ((b, effects), (b**2, weights @ second)):
        error = values.std(axis=0) / np.sqrt(b.shape[0] / 2)
        assert (np.abs(values.mean(axis=0) - exact) < 4 * error).all()
    tau = draws.sd["school"].ravel()
    for power in (1, 2):
        exact = weights @ np.exp(power * mesh[:, 0])
        error = (tau**power).std() / np.sqrt(tau.size / 2)
        assert abs((tau**power).mean() - exact) < 4 * error


@pytest.mark.mcmc
def test_a_strong_correlation_is_recovered():
    rng = np.random.default_rng(5)
    n_groups, n_each, true = 40, 6, 0.8
    group = np.repeat(np.arange(n_groups), n_each)
    x = np.tile(np.linspace(-1, 1, n_each), n_groups)
    root = np.linalg.cholesky(np.array([[4.0, true * 2 * 1.5], [true * 2 * 1.5, 2.25]]))
    b = rng.standard_normal((n_groups, 2)) @ root.T
    y = 10 + 2 * x + b[group, 0] + b[group, 1] * x + 0.8 * rng.standard_normal(group.size)
    frame = pd.DataFrame({"y": y, "x": x, "g": group})
    design, kernel, priors = built("y ~ x + (x | g)", frame)
    draws = sample_collapsed(kernel, priors, design, random_seed=4)
    correlation = draws.corr["g"][..., 0, 1].ravel()
    assert abs(correlation.mean() - true) < 2 * correlation.std()
    assert np.quantile(correlation, 0.025) > 0.4
    fixed = draws.beta.reshape(-1, 2)
    assert (np.abs(fixed.mean(axis=0) - [10, 2]) < 3 * fixed.std(axis=0)).all()


@pytest.mark.mcmc
def test_the_same_seed_gives_the_same_draws_and_chains_mix():
    design, kernel, priors = built(SLEEP, "sleepstudy")
    first = sample_collapsed(kernel, priors, design, random_seed=9)
    again = sample_collapsed(kernel, priors, design, random_seed=9)
    np.testing.assert_array_equal(first.b["Subject"], again.b["Subject"])
    assert first.beta.shape == (4, 1000, 2)
    assert first.corr["Subject"].shape == (4, 1000, 2, 2)
    assert first.pareto_k < 0.7
    assert not first.findings
    means = first.sd["Subject"].mean(axis=1)
    between = means.std(axis=0) / first.sd["Subject"].std(axis=(0, 1))
    assert (between < 0.1).all()


def two_levels(ratio: float, seed: int) -> dict:
    """Two groups of eight rows whose means differ by about ``ratio`` residual sds."""
    rng, g = np.random.default_rng(seed), np.repeat([0, 1], 8)
    y = rng.normal(size=2)[g] * ratio + rng.normal(size=16)
    return {"y": y, "x": rng.normal(size=16), "g": g.astype(str)}


# seeds at which the proposals once ran to where rounding makes the density, and Cholesky failed
@pytest.mark.parametrize(("ratio", "seed"), [(30, 3), (30, 17), (100, 2), (100, 9), (1e4, 3)])
def test_two_levels_far_apart_with_a_slope_have_a_posterior(ratio, seed):
    data = two_levels(ratio, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = hb.Model("y ~ x + (x | g)", data)
        post = model.sample(sampler="collapsed", random_seed=0)
    assert post.pareto_k < 0.7 and "pareto_k" not in {f.code for f in post.findings}
    assert post.log_marginal_likelihood_mcse < 0.05
    # the groups as fixed effects: the same residuals, as nothing shrinks so far apart
    X = np.column_stack([np.ones(16), data["x"], data["g"] == "1", (data["g"] == "1") * data["x"]])
    rest = data["y"] - X @ np.linalg.lstsq(X, data["y"])[0]
    assert post.sigma == pytest.approx(np.sqrt(rest @ rest / 12), rel=0.25)


def test_weights_of_one_point_give_a_proposal_as_wide_as_the_first_looked():
    rng = np.random.default_rng(1)
    around = np.diag([4.0, 1e-8])
    x = rng.standard_normal((500, 2)) * np.sqrt(np.diag(around))
    log_weights = np.where(np.arange(500) == 7, 0.0, -800.0)
    found = fitted_mixture(x, log_weights, 3, around=around, rng=rng)
    sds = np.sqrt((found.roots**2).sum(axis=2)) / np.sqrt(np.diag(around))
    assert ((sds > 0.01) & (sds < 1)).all() and np.isfinite(found.log_density(x)).all()


OTHER_PRIORS = {
    "half-normal": {"x": hb.HalfNormal(2)},
    "cut on both sides": {"x": hb.Uniform(0, 0.3), "(Intercept)": hb.Uniform(-3, 2)},
    "below zero": {"x": hb.Uniform(-3, 0)},
    "half-flat": {"x": hb.HalfFlat()},
    "t and Cauchy": {"x": hb.Cauchy(0, 0.01), "(Intercept)": hb.StudentT(3, 0, 2)},
    "one of each": {"x": hb.HalfCauchy(0.3), "(Intercept)": hb.StudentT(3, 0, 2)},
    "log-normal": {"b": hb.LogNormal(0, 1)},
}


def small(sign: float = 1.0) -> dict:
    """Eight groups of ten rows, and a slope of about an eighth of the residual sd."""
    rng, g = np.random.default_rng(8), np.arange(80) % 8
    x = rng.normal(size=80)
    y = rng.normal(size=8)[g] + 0.15 * x + rng.normal(size=80)
    return {"y": sign * y, "x": x, "g": g}


@pytest.mark.parametrize("priors", OTHER_PRIORS.values(), ids=OTHER_PRIORS)
def test_the_gradient_is_that_of_the_density_with_other_priors_of_coefficients(priors):
    _, kernel, laws = built("y ~ x + (1 | g)", small(), priors=priors)
    target, start = target_and_start(kernel, laws)
    phis = start + 0.4 * np.random.default_rng(11).standard_normal((5, start.size))
    exact = slope(target, phis, collapsed(target, phis))
    h = 1e-5
    for i in range(start.size):
        step = h * np.eye(start.size)[i]
        up, down = collapsed(target, phis + step), collapsed(target, phis - step)
        numeric = (up.log_density - down.log_density) / (2 * h)
        np.testing.assert_allclose(exact[:, i], numeric, atol=1e-6 * np.abs(exact).max())


LAWS = {
    "half-normal": hb.HalfNormal(1),
    "far from zero": hb.HalfNormal(0.01),
    "uniform": hb.Uniform(0, 0.5),
    "below zero": hb.Uniform(-5, 0),
    "exponential": hb.Exponential(3),
    "gamma": hb.Gamma(2, 3),
    "beta": hb.Beta(2, 2),
    "t": hb.StudentT(3, 0, 0.2),
    "cauchy": hb.Cauchy(0, 0.7),
    "half-cauchy": hb.HalfCauchy(0.2),
    # the peak of the prior and that of the likelihood are 4 sds of the data and 40000 of the
    # prior apart, and each has half of the posterior
    "cauchy in conflict": hb.Cauchy(0, 1e-5),
}


@pytest.mark.mcmc
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_any_prior_of_a_coefficient_gives_the_marginal_likelihood_of_quadrature(law):
    rng = np.random.default_rng(4)
    x, se = rng.normal(size=30), np.full(30, 0.5)
    x -= x.mean()
    x *= 1 / np.sqrt((x**2 / se**2).sum()) / 0.1  # the data give the slope an sd of 0.1
    y = 0.4 * x + 0.5 * rng.normal(size=30)
    y += (0.4 - x @ y / (x @ x)) * x  # and an estimate of 0.4
    intercept = hb.Normal(0, 2)
    data, priors = {"y": y, "x": x, "se": se}, {"x": law, "(Intercept)": intercept}
    post = hb.Model("y ~ x", data, known_sd="se", priors=priors).sample(draws=4000, random_seed=1)
    assert post.sampler == "collapsed" and post.findings == ()
    near = law.quantile(np.linspace(1e-9, 1 - 1e-9, 40_001))
    c = np.unique(np.concatenate([near, np.linspace(-1, 1.5, 40_001)]))
    c = c[(c > -1) & (c < 1.5)]
    covariance = np.diag(se**2) + intercept.sigma**2
    at_zero = multivariate_normal(np.zeros(30), covariance).logpdf(y)
    solved = np.linalg.solve(covariance, np.column_stack([x, y]))
    logs = at_zero + c * (x @ solved[:, 1]) - c**2 / 2 * (x @ solved[:, 0]) + law.log_density(c)
    weights = np.exp(logs - logs.max())
    total = np.trapezoid(weights, c)
    mean, square = (np.trapezoid(weights * c**k, c) / total for k in (1, 2))
    error = post.log_marginal_likelihood_mcse
    assert error < 0.02
    assert abs(post.log_marginal_likelihood - logs.max() - np.log(total)) < 4 * error
    drawn = post.draws.beta[..., 1]
    assert (drawn >= law.bounds()[0]).all() and (drawn <= law.bounds()[1]).all()
    # at least an eighth of the draws are independent
    assert abs(drawn.mean() - mean) < 4 * np.sqrt((square - mean**2) / 2000)


@pytest.mark.mcmc
@pytest.mark.parametrize("sign", [1, -1])
def test_a_half_normal_has_the_marginal_likelihood_of_the_normal_cut_at_zero(sign):
    whole, half = (
        hb.Model("y ~ x + (1 | g)", small(sign), priors={"x": law}).sample(
            draws=10_000, random_seed=1
        )
        for law in (hb.Normal(0, 2), hb.HalfNormal(2))
    )
    drawn = whole.draws.beta[..., 1].ravel()
    above = (drawn > 0).mean()
    cut = drawn[drawn > 0]
    expected = whole.log_marginal_likelihood + np.log(2 * above)
    errors = (whole.log_marginal_likelihood_mcse, half.log_marginal_likelihood_mcse)
    error = np.sqrt(sum(e**2 for e in errors) + 2 * (1 - above) / above / drawn.size)
    assert abs(half.log_marginal_likelihood - expected) < 4 * error
    own = half.draws.beta[..., 1].ravel()
    assert abs(own.mean() - cut.mean()) < 4 * cut.std() * np.sqrt(2 / own.size + 2 / cut.size)
    assert half.sampler == "collapsed" and hb.bayes_factor(half, whole).log_bf_mcse < 0.01
