"""The posterior of generalised models, effects integrated out: against PyMC, NUTS, brute force."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy.special import expit, logsumexp
from scipy.stats import binom, norm

import hierbayes as hb
from hierbayes.bayes.generalised import sample_generalised
from hierbayes.bayes.generalised_density import generalised_target, start_of
from hierbayes.bayes.generalised_scope import generalised_applies, is_quick
from hierbayes.generalised.conditional import conditional

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
MANY = 39  # nodes a column that leave rounding alone


def target_of(model, *, n_points=MANY):
    target = generalised_target(conditional(model.design, model.spec.family), model.spec.priors)
    return replace(target, n_points=n_points)


def near(target, n, *, spread=0.3):
    rng = np.random.default_rng(4)
    return start_of(target) + spread * rng.standard_normal((n, start_of(target).size))


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
    return hb.Model(formula, {"y": RESPONSES[family], "x": X, "g": G}, family, link=link, **options)


@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + (x || g)"])
def test_the_slope_is_that_of_differences(family, formula):
    target = target_of(toy(family, formula), n_points=MANY if "(1" in formula else 19)
    x = near(target, 2, spread=0.1)
    _, slope = target.value_and_slope(x)
    step = 1e-4
    for i, move in enumerate(step * np.eye(x.shape[1])):
        higher, lower = target.log_density(x + move), target.log_density(x - move)
        np.testing.assert_allclose(slope[:, i], (higher - lower) / (2 * step), rtol=1e-4, atol=1e-4)


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
    assert 0 < post.draws.quadrature_error < 1e-3
    assert "effects integrated out, log likelihood within" in post.summary()
    null = hb.Model(
        "cbind(incidence, size - incidence) ~ 1 + (1 | herd)",
        hb.load_dataset("cbpp"),
        family="binomial",
    )
    evidence = hb.bayes_factor(post, null.sample(draws=150, chains=2, random_seed=1))
    assert "bayes factor" in str(evidence).lower()


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + (1 | g) + (1 | h)", {}),
        ("y ~ x + (1 | g)", {"priors": {"x": hb.HalfNormal(1)}}),
    ],
)
def test_what_it_is_not_for_is_refused_in_a_sentence(formula, options):
    data = {"y": RESPONSES["bernoulli"], "x": X, "g": G, "h": np.arange(G.size) % 5}
    model = hb.Model(formula, data, "bernoulli", **options)
    with pytest.raises(hb.NotSupportedError, match="one grouping factor of at most two columns"):
        model.sample(sampler="collapsed")


def replicates(n, *, formula, family):
    """Ranks of true parameters among the draws of data sets simulated from the priors."""
    rng = np.random.default_rng(12)
    g = np.repeat(np.arange(8), 8)
    x = np.tile(np.linspace(-1, 1, 8), 8)
    q = 2 if "(x" in formula else 1
    priors = {"(Intercept)": hb.Normal(0, 1), "x": hb.Normal(0, 1), "sd": hb.HalfNormal(0.7)}
    ranks = []
    for _ in range(n):
        beta, sd = rng.standard_normal(2), 0.7 * np.abs(rng.standard_normal(q))
        b = sd * rng.standard_normal((8, q))
        Z = np.column_stack([np.ones(g.size), x])[:, :q]
        eta = beta[0] + beta[1] * x + (Z * b[g]).sum(axis=1)
        y = rng.poisson(np.exp(eta)) if family == "poisson" else rng.random(g.size) < expit(eta)
        if np.ptp(1.0 * y) == 0:  # refused; ranks are uniform given any y, so also without these
            continue
        model = hb.Model(formula, {"y": 1.0 * y, "x": x, "g": g}, family, priors=priors)
        draws = sample_generalised(model.spec, draws=250, chains=2, random_seed=rng)
        found = np.concatenate([draws.beta, draws.sd["g"], draws.b["g"][:, :, 0]], axis=2).reshape(
            500, -1
        )[::5]
        ranks.append((found < np.concatenate([beta, sd, b[0]])).sum(axis=0))
    return np.array(ranks)


@pytest.mark.slow
@pytest.mark.mcmc
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x || g)"])
def test_ranks_of_the_truth_are_uniform(formula, family):
    """Simulation-based calibration: the ranks' distribution function against its 99.9 % band."""
    ranks = replicates(300, formula=formula, family=family)
    n = ranks.shape[0]
    grid = np.arange(0, 101)
    ecdf = (ranks[:, :, None] <= grid).mean(axis=0)
    # that of Kolmogorov's statistic, sqrt(n) D < 1.95 at 99.9 %
    assert np.abs(ecdf - (grid + 1) / 101).max() < 1.95 / np.sqrt(n)


def test_auto_leaves_two_columns_to_nuts():
    data = {"y": np.arange(40) % 3, "x": np.arange(40) % 7, "g": np.arange(40) % 8}
    quick, slow = (
        hb.Model(f"y ~ x + {bar}", data, family="poisson").spec for bar in ("(1 | g)", "(x || g)")
    )
    assert is_quick(quick) and not is_quick(slow)
    assert generalised_applies(slow)
