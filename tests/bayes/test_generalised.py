"""The posterior of generalised models, effects integrated out: against PyMC, NUTS, brute force."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy import stats
from scipy.special import expit, logsumexp
from scipy.stats import binom, norm, poisson

import hierbayes as hb
from hierbayes.bayes.generalised import sample_generalised
from hierbayes.bayes.generalised_density import generalised_target, start_of
from hierbayes.bayes.generalised_scope import generalised_applies
from hierbayes.bayes.importance import Mode
from hierbayes.generalised.chain_integrals import integrals
from hierbayes.generalised.conditional import conditional
from tests.bayes import reference_models

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
MANY = 39  # nodes a column that leave rounding alone


def target_of(model, *, n_points=MANY):
    target = generalised_target(conditional(model.design, model.spec.family), model.spec.priors)
    return replace(target, n_points=n_points)


def near(target, n, *, spread=0.3):
    rng = np.random.default_rng(4)
    return start_of(target) + spread * rng.standard_normal((n, start_of(target).size))


def around(x):
    return Mode(x, 0.01 * np.eye(x.size))


def cbpp():
    return hb.Model(CBPP, hb.load_dataset("cbpp"), family="binomial")


def test_the_density_is_that_of_to_pymc_integrated():
    """Each herd's effect by a dense rule, all herds at once as they are independent."""
    pytest.importorskip("pymc")
    from pymc.model.transform.conditioning import remove_value_transforms
    from pytensor.compile.mode import Mode

    model = cbpp()
    built = remove_value_transforms(model.to_pymc(parameterization="centered"))
    mode = Mode(linker="py", optimizer="fast_compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logps = built.compile_fn(built.logp(sum=False), inputs=built.value_vars, mode=mode)
    factor, target = model.design.factors[0], target_of(model)
    x = near(target, 20)
    ours = target.log_density(x)
    herds, (t, w) = factor.levels.size, leggauss(120)
    for point, found in zip(x, ours, strict=True):
        sd = np.exp(point[0])
        reach = 8 * sd  # of herds' effects
        parts = np.empty((t.size, herds))
        for k, b in enumerate(reach * t):
            of_sd, of_b, of_beta, rows = logps(
                {
                    "sd_herd": np.array([sd]),
                    "b_herd": np.full((herds, 1), b),
                    "beta": target.beta(point[None])[0],
                }
            )
            of_b = np.asarray(of_b).reshape(herds, -1).sum(axis=1)
            parts[k] = of_b + np.bincount(factor.codes, weights=np.ravel(rows), minlength=herds)
        levels = logsumexp(parts + np.log(reach * w)[:, None], axis=0).sum()
        # of sd to its log, and of beta to the coordinates
        jacobian = point[0] + np.linalg.slogdet(target.model.x_basis)[1]
        expected = np.sum(of_sd) + np.sum(of_beta) + levels + jacobian
        assert found == pytest.approx(expected, abs=1e-6)


RNG = np.random.default_rng(7)
G = np.repeat(np.arange(8), 6)
X = RNG.standard_normal(G.size)
MU = np.exp(0.5 + 0.3 * X + 0.5 * RNG.standard_normal(8)[G])
RESPONSES = {
    "poisson": RNG.poisson(MU),
    "negativebinomial": RNG.negative_binomial(2, 2 / (2 + MU)),
    "gamma": RNG.gamma(3, MU / 3),
    "beta": np.clip(RNG.beta(2, 1 + MU), 1e-3, 1 - 1e-3),
    "bernoulli": 1.0 * (RNG.random(G.size) < 0.4),
    "t": np.log(MU) + RNG.standard_t(4, size=G.size),
    "lognormal": MU * np.exp(0.4 * RNG.standard_normal(G.size)),
    "zero_inflated_poisson": RNG.poisson(MU) * (RNG.random(G.size) < 0.7),
}


def toy(family, formula="y ~ x + (1 | g)", **options):
    link = "log" if family == "gamma" else None
    data = {"y": RESPONSES[family], "x": X, "g": G, "binary": 1.0 * (X > 0)}
    return hb.Model(formula, data, family, link=link, **options)


def test_two_columns_against_brute_force():
    """The integral of each level over a fine grid in the plane."""
    model = toy("bernoulli", "y ~ x + (x | g)")
    target = target_of(model, n_points=19)
    x = near(target, 3, spread=0.2)
    root = target.coordinates.roots(target.variances(x))[0]
    t, w = leggauss(100)
    t, w = 9 * t, 9 * w
    plane = np.stack(np.meshgrid(t, t)).reshape(2, -1)
    log_weights = np.log(np.outer(w, w).ravel()) + norm.logpdf(plane).sum(axis=0)
    y, Z = model.design.y, model.design.factors[0].z
    for k in range(3):
        eta = model.design.X @ target.beta(x[k : k + 1])[0]
        at_nodes = eta[:, None] + Z @ (root[k] @ plane)
        rows = np.log(expit(np.where(y[:, None] == 1, at_nodes, -at_nodes)))
        levels = [logsumexp(rows[g == G].sum(axis=0) + log_weights) for g in range(8)]
        expected = np.sum(levels) + target.log_prior(x[k : k + 1])[0]
        assert target.log_density(x[k : k + 1])[0] == pytest.approx(expected, abs=1e-6)


def test_equal_rows_and_their_order_do_not_matter():
    x = 1.0 * (X > 0)
    data = {"y": RESPONSES["bernoulli"], "x": x, "g": G}
    one = target_of(hb.Model("y ~ x + (1 | g)", data, "bernoulli"))
    assert one.rows.counts is not None and one.rows.counts.sum() == G.size
    order = np.random.default_rng(1).permutation(G.size)
    turned = {name: values[order] for name, values in data.items()}
    other = target_of(hb.Model("y ~ x + (1 | g)", turned, "bernoulli"))
    at = near(one, 4)
    np.testing.assert_allclose(one.log_density(at), other.log_density(at), rtol=1e-11)


def tiny():
    data = {"s": [1, 3, 0, 2, 5, 4], "n": [5, 5, 4, 6, 5, 6], "g": list("aabbcc")}
    return hb.Model(
        "cbind(s, n - s) ~ 1 + (1 | g)",
        data,
        "binomial",
        priors={"(Intercept)": hb.Normal(0, 1.5), "sd": hb.HalfNormal(1)},
    )


def test_the_marginal_likelihood_is_that_of_brute_force():
    model = tiny()
    draws = sample_generalised(model.spec, draws=4000, chains=2, random_seed=3)
    successes = model.design.y[:, 0]
    trials = model.design.y.sum(axis=1)
    t, w = hermegauss(60)
    w = w / w.sum()
    s, v = leggauss(200)
    sds, v = 4 * (s + 1), 4 * v * 2 * norm.pdf(4 * (s + 1))
    eta = 1.5 * t[:, None, None] + sds[:, None] * t  # intercept, sd, u
    rows = binom.pmf(successes, trials, expit(eta)[..., None])
    levels = np.prod(rows.reshape(*eta.shape, 3, 2), axis=-1)
    per_level = np.einsum("isuj,u->isj", levels, w)
    exact = np.log(np.einsum("is,i,s->", per_level.prod(axis=2), w, v))
    error = draws.log_marginal_likelihood_mcse
    assert error < 0.02
    assert abs(draws.log_marginal_likelihood - exact) < 4 * error


# Means, sds, 5 and 95 % quantiles of 40,000 draws of NUTS (10,000 of each of four chains, after
# 2,000 to adapt) with their Monte-Carlo errors: coefficients, the sd, the first three herds.
NUTS = np.array(
    [
        [-1.4048, 0.2614, -1.8430, -0.9904],
        [-0.9915, 0.3071, -1.4990, -0.4927],
        [-1.1336, 0.3344, -1.6933, -0.5982],
        [-1.6110, 0.4381, -2.3708, -0.9272],
        [0.7602, 0.2272, 0.4435, 1.1727],
        [0.5906, 0.4121, -0.0812, 1.2759],
        [-0.3602, 0.4283, -1.0942, 0.3164],
        [0.3894, 0.3684, -0.2087, 0.9958],
    ]
)
NUTS_ERRORS = np.array(
    [
        [0.0022, 0.0017, 0.0048, 0.0040],
        [0.0016, 0.0015, 0.0038, 0.0030],
        [0.0017, 0.0016, 0.0041, 0.0032],
        [0.0025, 0.0022, 0.0064, 0.0046],
        [0.0023, 0.0020, 0.0021, 0.0059],
        [0.0026, 0.0020, 0.0058, 0.0046],
        [0.0025, 0.0020, 0.0058, 0.0041],
        [0.0025, 0.0017, 0.0050, 0.0054],
    ]
)


def summaries(draws):
    """Statistics of each column with their Monte-Carlo errors as independent draws have them."""
    n = draws.shape[0]
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    fourth = ((draws - mean) ** 4).mean(axis=0)
    values, errors = [mean, sd], [sd / np.sqrt(n), np.sqrt(fourth - sd**4) / (2 * sd * np.sqrt(n))]
    for p in (0.05, 0.95):
        spread = np.sqrt(p * (1 - p) / n)
        values.append(np.quantile(draws, p, axis=0))
        ends = np.quantile(draws, [p - spread, p + spread], axis=0)
        errors.append((ends[1] - ends[0]) / 2)
    return np.stack(values, axis=1), np.stack(errors, axis=1)


@pytest.mark.mcmc
def test_cbpp_is_as_nuts_has_it():
    post = cbpp().sample(draws=2500, random_seed=11)
    assert post.sampler == "collapsed" and post.draws.pareto_k <= 0.7 and not post.findings
    beta, sd, b = post.draws.beta, post.draws.sd["herd"], post.draws.b["herd"][:, :, :3, 0]
    ours = np.concatenate([part.reshape(10_000, -1) for part in (beta, sd, b)], axis=1)
    values, errors = summaries(ours)
    ess = post.chain_statistics.ess_bulk
    assert ess.min() > 0.6 * 10_000
    errors = errors / np.sqrt(0.6)
    assert (np.abs(values - NUTS) < 4 * np.hypot(errors, NUTS_ERRORS)).all()


def test_auto_takes_it_and_a_posterior_has_all_its_verbs(tmp_path):
    model = cbpp()
    post = model.sample(draws=150, chains=2, random_seed=1)
    assert post.sampler == "collapsed"
    assert np.array_equal(post.beta, model.sample(draws=150, chains=2, random_seed=1).beta)
    post.save(tmp_path / "cbpp.hb")
    assert hb.load(tmp_path / "cbpp.hb").draws.pareto_k == post.draws.pareto_k
    assert 0 < post.draws.quadrature_error < 5e-3
    assert "effects integrated out, log likelihood within" in post.summary()
    null = hb.Model(
        "cbind(incidence, size - incidence) ~ 1 + (1 | herd)",
        hb.load_dataset("cbpp"),
        family="binomial",
    )
    evidence = hb.bayes_factor(post, null.sample(draws=150, chains=2, random_seed=1))
    assert "bayes factor" in str(evidence).lower()


def test_coefficients_with_bounds_are_refused_in_a_sentence():
    data = {"y": RESPONSES["bernoulli"], "x": X, "g": G}
    model = hb.Model("y ~ x + (1 | g)", data, "bernoulli", priors={"x": hb.HalfNormal(1)})
    with pytest.raises(hb.NotSupportedError, match="unbounded coefficients"):
        model.sample(sampler="collapsed")


def test_many_crossed_levels_are_for_nuts():
    rng = np.random.default_rng(3)
    data = {"y": rng.poisson(2, 900), "g": np.arange(900) % 300, "h": rng.permutation(900) % 250}
    model = hb.Model("y ~ 1 + (1 | g) + (1 | h)", data, "poisson")
    assert not generalised_applies(model.spec)
    with pytest.raises(hb.NotSupportedError, match="200 effects"):
        model.sample(sampler="collapsed")


def crossed():
    data = {"y": RESPONSES["bernoulli"], "x": X, "g": G, "h": np.arange(G.size) % 2}
    return hb.Model("y ~ x + (1 | g) + (1 | h)", data, "bernoulli")


def at_kept(target, x, c, n_points=MANY):
    """Log p(y, x, c) at kept effects c."""
    at = target.points(x)
    found = target.places(x, at)
    there = target.rows.with_kept(at, c)
    levels = integrals(target.rows, there, found, n_points, moved=c - found.effects.c)
    return target.log_prior(x) + levels.log_likelihood + norm.logpdf(c).sum(axis=1)


def test_the_density_of_crossed_factors_is_that_of_to_pymc_integrated():
    """Each effect of the finest factor by a dense rule, those of the other one at random values."""
    pytest.importorskip("pymc")
    from pymc.model.transform.conditioning import remove_value_transforms
    from pytensor.compile.mode import Mode

    model = crossed()
    built = remove_value_transforms(model.to_pymc(parameterization="centered"))
    mode = Mode(linker="py", optimizer="fast_compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logps = built.compile_fn(built.logp(sum=False), inputs=built.value_vars, mode=mode)
    names = [variable.name for variable in built.basic_RVs]
    target = target_of(model)
    x = near(target, 20)
    c = np.random.default_rng(8).standard_normal((20, 2))
    ours = at_kept(target, x, c)
    t, w = leggauss(120)
    for point, kept, found in zip(x, c, ours, strict=True):
        sds = np.exp(point[:2])
        reach = 8 * sds[0]
        parts = np.empty((t.size, 8))
        for k, b in enumerate(reach * t):
            at = {
                "sd_g": sds[:1],
                "sd_h": sds[1:],
                "b_g": np.full((8, 1), b),
                "b_h": sds[1] * kept[:, None],
                "beta": target.beta(point[None])[0],
            }
            values = dict(zip(names, logps(at), strict=True))
            rows = np.ravel(values.pop("y"))
            of_b = np.asarray(values.pop("b_g")).reshape(8, -1).sum(axis=1)
            parts[k] = of_b + np.bincount(G, weights=rows, minlength=8)
        levels = logsumexp(parts + np.log(reach * w)[:, None], axis=0).sum()
        # of the sds to their logs, of beta to the coordinates, of h's effects to spherical ones
        jacobian = point[:2].sum() + np.linalg.slogdet(target.model.x_basis)[1] + 2 * point[1]
        expected = sum(np.sum(value) for value in values.values()) + levels + jacobian
        assert found == pytest.approx(expected, abs=1e-6)


def is_unbiased(target, x, exact):
    """Whether the mean of many estimates of the density at x (d,) is exp(exact)."""
    found = target.estimates(np.repeat(x[None], 4000, axis=0), np.random.default_rng(5))
    ratio = np.exp(found.log_density - exact)
    return abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(ratio.size)


def test_estimates_over_crossed_effects_are_unbiased():
    target = replace(target_of(crossed()), n_points=9)
    x = near(target, 1)
    target = replace(target, guide=target.guided(around(x[0]), np.random.default_rng(6)))
    t, w = hermegauss(40)
    grid = np.stack(np.meshgrid(t, t)).reshape(2, -1).T
    log_weights = np.log(np.outer(w, w).ravel()) + 0.5 * (grid**2).sum(axis=1)
    exact = logsumexp(at_kept(target, np.repeat(x, 1600, axis=0), grid, 9) + log_weights)
    assert is_unbiased(target, x[0], exact)


def test_estimates_by_importance_draws_are_unbiased():
    """Three columns, against a product rule of each level."""
    data = {"y": RESPONSES["poisson"], "x": X, "z": X**2, "g": G}
    target = target_of(hb.Model("y ~ x + (x + z | g)", data, "poisson"))
    x = near(target, 1, spread=0.1)[0]
    exact = target.log_density(x[None], 19)[0]
    assert is_unbiased(replace(target, n_draws=16), x, exact)


def nested():
    data = {"y": RESPONSES["poisson"], "x": X, "g": G, "h": G // 4}
    return hb.Model("y ~ x + (1 | g) + (1 | h)", data, "poisson")


@pytest.mark.parametrize("slope", [100.0, 400.0])
def test_means_too_large_for_a_number_are_no_warning_of_numpy(slope):
    target = target_of(nested(), n_points=3)
    far = start_of(target)
    far[2] = slope
    target.guided(around(far), np.random.default_rng(6))
    assert target.log_density(far[None])[0] == -np.inf


def test_nested_factors_against_brute_force():
    """The integral of each outer level over a fine grid of its effect and of those within."""
    model = nested()
    target = target_of(model, n_points=25)
    assert target.rows.chain == (0, 1)
    x = near(target, 3, spread=0.2)
    t, w = leggauss(80)
    t, log_w = 9 * t, np.log(9 * w) + norm.logpdf(9 * t)
    y = model.design.y
    for point in x:
        sds = np.exp(point[:2])
        eta = model.design.X @ target.beta(point[None])[0]
        at_nodes = eta[:, None, None] + sds[0] * t[:, None] + sds[1] * t  # rows, inner, outer
        rows = poisson.logpmf(y[:, None, None], np.exp(at_nodes))
        inner = [logsumexp(rows[g == G].sum(axis=0) + log_w[:, None], axis=0) for g in range(8)]
        levels = [logsumexp(sum(inner[4 * h : 4 * h + 4]) + log_w) for h in range(2)]
        expected = np.sum(levels) + target.log_prior(point[None])[0]
        assert target.log_density(point[None])[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + (binary | g)"])
@pytest.mark.parametrize("far", [0.0, 60.0])
def test_short_sums_are_those_of_the_densities(family, formula, far):
    """Where exp is shared by rows and where it is not, up to where log(1 + exp(eta)) is eta."""
    model = toy(family, formula)
    target = target_of(model, n_points=5)
    x = near(target, 3)
    x[:, -2] += far * (family == "bernoulli")
    short = target.log_density(x)
    assert target.rows.sums is not None
    vars(target.rows)["sums"] = None
    np.testing.assert_allclose(short, target.log_density(x), rtol=1e-11)


@pytest.mark.mcmc
@pytest.mark.parametrize(
    "name",
    [
        "ratings",
        "contraception",
        "visits",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("contraception_slopes", "districts", "grouseticks", "verbagg")
        ),
    ],
)
def test_posteriors_are_as_nuts_has_them(name):
    """Means, sds, 5 and 95 % quantiles within four Monte-Carlo errors of 40,000 draws of NUTS."""
    pytest.importorskip("arviz_stats")
    post = reference_models.MODELS[name]().sample(random_seed=1)
    assert post.sampler == "collapsed" and not post.findings
    ours = reference_models.summaries(post.draws)
    for parameter, theirs in reference_models.reference(name).items():
        found = ours[parameter]
        error = np.hypot(found["errors"], theirs["errors"])
        away = np.abs(np.subtract(found["values"], theirs["values"]))
        assert (away < 4 * error).all(), parameter


@pytest.mark.filterwarnings("ignore:The grouping factor h has only 2 levels")
@pytest.mark.parametrize("model", [crossed, lambda: toy("bernoulli", "y ~ x + (x | g)")])
def test_auto_takes_several_factors_and_columns(model):
    post = model().sample(draws=100, chains=2, random_seed=4)
    assert post.sampler == "collapsed"
    again = model().sample(draws=100, chains=2, random_seed=4)
    for name, b in post.draws.b.items():
        assert np.array_equal(b, again.draws.b[name])


def test_what_few_nodes_lack_is_made_up_for():
    """At the modes themselves what rules of few nodes a column miss is a smooth function of x."""
    target = replace(target_of(toy("poisson", "y ~ x + (x | g)"), n_points=3), near=1e-12)
    mode = np.concatenate([[0.5, 0.0, 0.0], start_of(target)[3:]])
    rng = np.random.default_rng(6)
    x = mode + 0.3 * rng.standard_normal((120, mode.size))
    finer = target.refined(x[:80], rng)
    assert finer.correction is not None and finer.n_points < finer.n_exact
    exact = replace(target, n_points=19).log_density(x[80:])
    without = replace(finer, correction=None).log_density(x[80:])
    error = np.sqrt(np.mean((finer.log_density(x[80:]) - exact) ** 2))
    assert error < min(5e-3, 0.5 * np.sqrt(np.mean((without - exact) ** 2)))
    assert finer.quadrature_error(x[80:], rng) < 5e-3


@pytest.mark.parametrize("name", ["districts", "verbagg", "grouseticks"])
def test_no_parameters_are_too_far_out(name):
    """Curvatures whose columns cancel are lost in rounding before their trace says so."""
    target = target_of(reference_models.MODELS[name](), n_points=3)
    rng = np.random.default_rng(0)
    x = start_of(target) + 8 * rng.standard_t(2, size=(100, start_of(target).size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isnan(target.log_density(x)).any()
        assert not np.isnan(target.estimates(x, rng).log_density).any()


def test_proposals_are_drawn_until_copies_are_few(monkeypatch):
    from hierbayes.bayes import generalised

    monkeypatch.setattr(generalised, "BATCH", 500)  # so few that most would be copied
    asked = []
    weighed = generalised._weighed
    monkeypatch.setattr(
        generalised, "_weighed", lambda *a, **k: asked.append(a[2]) or weighed(*a, **k)
    )
    post = cbpp().sample(draws=400, chains=4, random_seed=3)
    assert asked[0] < 1600 and len(asked) > 1
    rows = post.draws.beta.reshape(1600, -1)
    _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    assert 1100 < first.size < 1600
    copied = (rows == rows[first[counts > 1][0]]).all(axis=1)
    b = post.draws.b["herd"].reshape(1600, -1)[copied]
    assert np.unique(b, axis=0).shape[0] == b.shape[0]  # effects are drawn anew


def test_more_are_drawn_where_a_coordinate_hangs_on_copies_of_a_few():
    from hierbayes.bayes.importance import copies_of, weigh

    x = np.random.default_rng(0).standard_normal((2000, 2))
    x[0, 1] = 8.0
    weights = np.zeros(2000)
    weights[0] = np.log(6.0)
    drawn = weigh(x, weights, np.zeros(2000))
    part, least = copies_of(drawn, 2000, 2000)
    relative = np.exp(weights) / np.exp(weights).mean()
    away = (x[:, 1] - relative @ x[:, 1] / 2000) ** 2
    assert np.isclose(part, 2000 / (1999 + 36), rtol=0.02) and part > 0.97
    assert np.isclose(least, relative @ away / (relative**2 @ away), rtol=0.02) and least < 0.7
    assert copies_of(drawn, 2000, 12000)[1] > 0.99


def test_effects_are_proposed_from_the_t_distribution_that_is_said():
    from hierbayes.generalised.chain_integrals import SCALE, Proposal

    root = np.array([[0.5, 0.2], [0.0, 2.0]])
    log_det = np.linalg.slogdet(root)[1]
    mean = np.array([1.0, -2.0])
    around = Proposal(
        mean=np.tile(mean, (3, 1))[:, None],
        root=np.tile(root, (3, 1, 1))[:, None],
        log_det=np.full((3, 1), log_det),
    )
    u, log_density = around.draw(3000, np.random.default_rng(0))
    x = np.linalg.solve(SCALE * root, u[:, 0] - mean[:, None])
    assert stats.kstest(x.ravel(), stats.t(4).cdf).pvalue > 0.01
    expected = stats.t(4).logpdf(x).sum(axis=1) - log_det - 2 * np.log(SCALE)
    np.testing.assert_allclose(log_density[:, 0], expected, atol=1e-12)
