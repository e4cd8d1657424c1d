"""Posteriors of models with formulas of further parameters: names, rows, new rows, files."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.prediction.posterior_predict import formulas_of_rows
from hierbayes.results.chains import errors_of_means

LEVELS = 6
ROWS = 48


def data():
    rng = np.random.default_rng(5)
    g, z, x = np.arange(ROWS) % LEVELS, rng.random(ROWS), rng.standard_normal(ROWS)
    sd = np.exp(-0.5 + z + 0.3 * rng.standard_normal(LEVELS)[g])
    y = 3 + x + rng.standard_normal(LEVELS)[g] + sd * rng.standard_normal(ROWS)
    return pd.DataFrame({"y": y, "x": x, "z": z, "w": 1 + z, "g": [f"s{k}" for k in g]})


@pytest.fixture(scope="module")
def post():
    model = hb.Model("y ~ x + (1 | g)", data(), sigma="~ z + (z | g)", weights="w")
    with pytest.warns(hb.HierBayesWarning):  # a hundred draws are few
        return model.sample(draws=50, tune=100, chains=2, random_seed=1)


def sigma_of(post, design):
    """The sd of a row of weight one in each draw, (S, n), from what the draws are called."""
    found = post.idata.posterior.dataset.stack(s=("chain", "draw")).transpose("s", ...)
    eta = found["sigma_beta"].to_numpy() @ design.X.T
    b = found["sigma_b_g"].transpose("s", "sigma_g", "sigma_g__term").to_numpy()
    factor = design.factors[0]
    return np.exp(eta + (b[:, factor.codes] * factor.z).sum(axis=2))


def test_what_belongs_to_a_formula_has_the_name_of_its_parameter_before(post):
    names = ["sigma_(Intercept)", "sigma_z"]
    variances = [
        "sigma_sd((Intercept)|g)",
        "sigma_sd(z|g)",
        "sigma_cor((Intercept),z|g)",
    ]
    assert list(post.diagnostics().index[-5:]) == names + variances
    terms = post.tidy()["term"].tolist()[-5:]
    assert terms == [
        *names,
        "sd__sigma_(Intercept)",
        "sd__sigma_z",
        "cor__sigma_(Intercept).sigma_z",
    ]
    assert {"sigma_beta", "sigma_sd_g", "sigma_corr_g", "sigma_b_g"} <= set(post.idata.posterior)
    assert "sigma" not in post.idata.posterior and np.isnan(post.sigma)
    assert set(post.idata.log_prior) == {
        "beta", "sd_g", "sigma_beta", "sigma_sd_g", "sigma_corr_g",
    }  # fmt: skip


def test_the_summary_has_headings_of_its_own(post):
    said = str(post.summary())
    assert "sigma: ~ z + (z | g)" in said
    assert "Multilevel hyper-parameters of log(sigma) of g (6 levels):" in said
    assert "Regression coefficients of log(sigma):" in said


def test_every_way_to_write_a_parameter_means_it(post):
    ways = ["sigma_z", "sigma_b(z)", "b_sigma_z", "sigma_beta[z]"]
    assert len({post.hypothesis(f"{way} > 0.5").probability for way in ways}) == 1
    ways = ["sigma_sd(z|g)", "sd(sigma_z|g)", "sigma_sd_z|g"]
    assert len({post.hypothesis(f"{way} > 0.5").probability for way in ways}) == 1
    post.hypothesis("sigma_g[s1,z] > 0")


def test_log_densities_of_rows_are_those_of_their_own_sd(post):
    design = post.design
    sigma = sigma_of(post, design.of("sigma"))
    flat = flat_draws(post.draws, design)
    mu = flat.beta @ design.X.T + flat.b[0][:, design.factors[0].codes, 0]
    expected = norm.logpdf(design.y, mu, sigma / np.sqrt(design.weights))
    np.testing.assert_allclose(
        post.log_likelihood().reshape(expected.shape), expected, rtol=1e-10, atol=1e-12
    )
    pearson = ((design.y - mu) / sigma * np.sqrt(design.weights)).mean(axis=0)
    np.testing.assert_allclose(post.residuals("pearson"), pearson, rtol=1e-10, atol=1e-12)


def test_new_rows_have_the_sds_of_their_predictors_and_levels(post):
    new = pd.DataFrame({"x": 0.0, "z": [0.2, 0.9, np.nan], "g": ["s2", "s9", "s2"], "w": 1.0})
    flat = flat_draws(post.draws, post.design)
    rng = np.random.default_rng(1)
    options = {"groups": None, "rng": rng}
    laid = formulas_of_rows(post, flat, new, new_levels="population", **options)
    (found,) = (own.values(flat, slice(None)) for own in laid.rows)
    own = post.draws.formulas["sigma"]
    beta, b = own.beta.reshape(-1, 2), own.b["g"].reshape(-1, LEVELS, 2)
    at = [1.0, 0.2]
    np.testing.assert_allclose(found[:, 0], np.exp(beta @ at + b[:, 2] @ at), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], np.exp(beta @ [1.0, 0.9]), rtol=1e-12)
    assert laid.missing.tolist() == [False, False, True]
    table = post.predict(new, interval="prediction", new_levels="sample", random_seed=1)
    assert np.isnan(table["upper"]).tolist() == [False, False, True]
    assert table["se"].iloc[0] > post.predict(new[:1], interval="confidence")["se"].iloc[0]
    assert np.isnan(post.simulate(2, newdata=new, random_seed=1).iloc[2]).all()


def test_a_saved_posterior_is_the_same(post, tmp_path):
    post.save(tmp_path / "post.hb")
    again = hb.load(tmp_path / "post.hb")
    ours, theirs = post.draws.formulas["sigma"], again.draws.formulas["sigma"]
    np.testing.assert_array_equal(ours.b["g"], theirs.b["g"])
    assert again.model.spec.arguments.sigma == "~ z + (z | g)"
    assert str(again.summary()) == str(post.summary())


def test_single_rows_are_left_out_by_the_draws(post):
    found = hb.loo(post)
    assert found.method == "draws"
    with pytest.raises(hb.NotSupportedError, match=r"hb\.loo\(by=\) does not know a formula"):
        hb.loo(post, by="g")


REFUSED = {
    "kfold": lambda post: hb.kfold(post, k=3),
    "r2": hb.r2,
    "icc": hb.icc,
    "sensitivity": hb.sensitivity,
    "shrinkage": hb.shrinkage,
    "bayes_factor": lambda post: hb.bayes_factor(post.model, drop="x"),
    "inclusion": lambda post: hb.inclusion(post.model),
    "design_study": lambda post: hb.design_study(post, subjects=[4], goals={"power": 0.8}),
    "archive": lambda post: hb.archive(post, "never.zip"),
    "guideline": lambda post: post.report("never.html", guideline="BARG"),
    "deviance": lambda post: post.residuals("deviance"),
    "bars": lambda post: post.predict(groups="(1 | g)", interval="prediction"),
    "fit": lambda post: post.model.fit(),
    "collapsed": lambda post: post.model.sample(sampler="collapsed"),
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_what_takes_one_sd_for_all_rows_says_so(post, asked):
    with pytest.raises(hb.NotSupportedError, match="formula of sigma"):
        asked(post)


def test_the_equation_has_the_formula():
    model = hb.Model("y ~ x", data(), sigma="~ z + (1 | g)")
    text = model.latex()
    assert r"\operatorname{Normal}(\mu_i,\ \sigma_i^2)" in text
    assert r"\operatorname{log}(\sigma_i) &= \beta^{\sigma}_{\text{(Intercept)}}" in text


def test_names_that_draws_would_have_twice_are_refused():
    frame = data().rename(columns={"y": "sigma_beta"})
    with pytest.raises(hb.OptionError, match="'sigma_beta', and so is a variable"):
        hb.Model("sigma_beta ~ x", frame, sigma="~ z")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # bambi's own
def test_posteriors_are_those_of_bambi():
    """Means within 4 Monte-Carlo errors, of a location-scale model with effects in both parts."""
    bambi = pytest.importorskip("bambi")
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(15), 12)
    x, z = rng.standard_normal(g.size), rng.standard_normal(g.size)
    x, z = x - x.mean(), z - z.mean()  # bambi's intercepts are at centred predictors as well
    sd = np.exp(-0.3 + 0.4 * z + 0.4 * rng.standard_normal(15)[g])
    y = 2 + 0.7 * x + rng.standard_normal(15)[g] + sd * rng.standard_normal(g.size)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"s{k}" for k in g]})
    laws = {"(Intercept)": (2, 3), "x": (0, 2), "sigma_(Intercept)": (0, 1), "sigma_z": (0, 1)}
    sds = {"sd((Intercept)|g)": 2.0, "sigma_sd((Intercept)|g)": 1.0}
    ours = hb.Model(
        "y ~ x + (1 | g)",
        frame,
        sigma="~ z + (1 | g)",
        priors={name: hb.Normal(*law) for name, law in laws.items()}
        | {name: hb.HalfNormal(scale) for name, scale in sds.items()},
    ).sample(draws=2000, random_seed=1)

    def effects(scale):
        return bambi.Prior("Normal", mu=0, sigma=bambi.Prior("HalfNormal", sigma=scale))

    def normal(mu, sigma):
        return bambi.Prior("Normal", mu=mu, sigma=sigma)

    theirs = bambi.Model(
        bambi.Formula("y ~ x + (1|g)", "sigma ~ z + (1|g)"),
        frame,
        priors={
            "Intercept": normal(2, 3),
            "x": normal(0, 2),
            "1|g": effects(2.0),
            "sigma": {"Intercept": normal(0, 1), "z": normal(0, 1), "1|g": effects(1.0)},
        },
        auto_scale=False,
    ).fit(inference_method="nutpie", draws=2000, tune=1000, chains=4, random_seed=1)
    names = ["Intercept", "x", "1|g_sigma", "sigma_Intercept", "sigma_z", "sigma_1|g_sigma"]
    found = np.stack([theirs.posterior[name].to_numpy() for name in names], axis=2)
    own = np.concatenate([part.draws for part in ours.parameters()], axis=2)
    apart = own.mean(axis=(0, 1)) - found.mean(axis=(0, 1))
    errors = np.hypot(errors_of_means(own), errors_of_means(found))
    assert (np.abs(apart) < 4 * errors).all(), apart / errors
