"""A family of one's own is one file: this one, which samples, predicts, reports, saves and loads.

It is the negative binomial whose variance is a multiple of its mean, mu (1 + phi), of regressions
of counts (Hilbe 2011, chapter 10); the built-in one has mu + mu^2 / alpha.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import hierbayes as hb
from hierbayes.families import named
from hierbayes.families import own as own_module
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.family import Mean
from hierbayes.families.own import TAKEN, check_family
from hierbayes.naming.variable_names import PREFIXES, RESERVED
from hierbayes.specification.build import with_formula

pytest.importorskip("pymc")


def log_density(y, mean, at):
    size = mean.mu / at["phi"]
    counts = special.gammaln(y + size) - special.gammaln(size) - special.gammaln(y + 1)
    return counts + y * np.log(at["phi"]) - (y + size) * np.log1p(at["phi"])


NB1 = hb.Family(
    name="nb1",
    links=("log", "identity"),
    log_density=log_density,
    draw=lambda rng, mu, at: rng.negative_binomial(mu / at["phi"], 1 / (1 + at["phi"])),
    support=hb.Support("whole numbers of at least 0", lambda y: (y >= 0) & (y == np.floor(y))),
    parameters=(hb.Parameter("phi", prior=hb.HalfNormal(3)),),
    variance=lambda mu, at: mu * (1 + at["phi"]),
    relative_variance="(1 + phi) / mean(y)",
    is_discrete=True,
    title="NB1",
)
BETA, SD, PHI = np.array([1.2, 0.5]), 0.6, 1.5


def counts():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(12), 12)
    x = rng.normal(size=g.size)
    mu = np.exp(BETA[0] + BETA[1] * x + SD * rng.normal(size=12)[g])
    y = rng.negative_binomial(mu / PHI, 1 / (1 + PHI))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{k}" for k in g]})


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(named, "_registered", {})


@pytest.fixture(scope="module")
def post():
    model = hb.Model("y ~ x + (1 | g)", counts(), family=NB1)
    return model.sample(draws=1000, chains=4, tune=500, random_seed=1)


# its posterior


def test_a_posterior_of_ones_own_family_holds_the_parameters_it_was_simulated_from(post):
    table = post.tidy()
    assert table["term"].tolist() == ["(Intercept)", "x", "sd__(Intercept)", "phi"]
    distance = (table["estimate"] - [*BETA, SD, PHI]) / table["std_error"]
    assert (distance.abs() < 3).all()
    assert (post.draws.family["phi"] > 0).all()


def predictors(post):
    levels = list(post.design.factors[0].levels)
    codes = [levels.index(name) for name in counts()["g"]]
    fixed = post.draws.beta @ np.stack([np.ones(144), counts()["x"]])
    return fixed + post.draws.b["g"][..., 0][:, :, codes]


def test_its_log_likelihood_is_the_distributions(post):
    y, phi = counts()["y"].to_numpy(), post.draws.family["phi"][..., None]
    expected = stats.nbinom.logpmf(y, np.exp(predictors(post)) / phi, 1 / (1 + phi))
    np.testing.assert_allclose(post.log_likelihood(), expected, rtol=1e-9)
    assert hb.loo(post).elpd == pytest.approx(expected.mean(axis=(0, 1)).sum(), rel=0.1)


def test_it_predicts_and_its_residuals_are_from_the_expectation(post):
    data = counts()
    fitted = post.predict()
    np.testing.assert_allclose(post.residuals(), data["y"] - fitted, rtol=1e-12)
    new = pd.DataFrame({"x": [0.0, 2.0], "g": ["g1", "g1"]})
    mean = post.predict(new)
    assert mean[1] / mean[0] == pytest.approx(np.exp(2 * post.fixef()["x"]), rel=0.1)
    found = post.predict(new, interval="prediction", random_seed=1)
    assert (found["lower"] < mean).all() and (mean < found["upper"]).all()
    assert ((post.predict(new, type="link") > 0) == (mean > 1)).all()


def test_what_it_simulates_has_the_variance_of_the_family(post):
    sims = post.simulate(400, random_seed=1).to_numpy()
    assert (sims == np.floor(sims)).all() and sims.min() >= 0
    mu = np.exp(predictors(post)).reshape(-1, 144)
    expected = (mu * (1 + post.draws.family["phi"].reshape(-1, 1))).mean(axis=0) + mu.var(axis=0)
    assert sims.var(axis=1).sum() == pytest.approx(expected.sum(), rel=0.1)
    tree = post.to_datatree("posterior_predictive", random_seed=1)
    assert tree["posterior_predictive"]["y"].shape == (4, 1000, 144)


def test_it_draws_from_its_priors_or_says_that_they_are_too_wide():
    narrow = {"(Intercept)": hb.Normal(1, 1), "b": hb.Normal(0, 1), "sd": hb.HalfNormal(1)}
    model = hb.Model("y ~ x + (1 | g)", counts(), family=NB1, priors=narrow)
    assert model.prior_predictive(20, random_seed=1)["prior_predictive"]["y"].shape[-1] == 144
    wide = hb.Model("y ~ x + (1 | g)", counts(), family=NB1, priors={"b": hb.Normal(0, 60)})
    with pytest.warns(hb.DesignWarning, match="family='nb1'.* mostly by the prior of x: Normal"):
        drawn = wide.prior_predictive(20, random_seed=1)["prior_predictive"]["y"].to_numpy()
    assert 0 < np.isnan(drawn).mean() < 0.5


def test_pymc_predicts_from_its_draws(post):
    import pymc as pm
    from pytensor.compile.mode import Mode

    # interpreted: compiling takes longer than all the rest
    quick = {"mode": Mode(linker="py", optimizer="fast_compile")}
    few = post.idata.isel(draw=slice(0, 10))
    with post.model.to_pymc():
        found = pm.sample_posterior_predictive(
            few, random_seed=1, progressbar=False, compile_kwargs=quick
        )
    drawn = np.asarray(found["posterior_predictive"]["y"])
    assert drawn.shape == (4, 10, 144)
    mu = np.exp(predictors(post))[:, :10]
    assert drawn.mean() == pytest.approx(mu.mean(), rel=0.1)


def test_its_density_in_pymc_is_that_of_the_arrays(post):
    draws = post.draws
    point = {"beta": draws.beta[0, 0], "b_g": draws.b["g"][0, 0]}
    point["beta"] = point["beta"] + np.array([post.priors.centre @ point["beta"], 0])
    point["phi"] = np.log(draws.family["phi"][0, 0])
    expected = post.log_likelihood()[0, 0].sum()
    assert likelihood(post.model, point) == pytest.approx(expected, rel=1e-9)


def test_its_reports_and_equation_name_it(post, tmp_path):
    assert "nb1, link log" in post.summary()
    assert "phi" in post.summary()
    assert r"y}_i &\sim \operatorname{NB1}(\mu_i,\ \text{phi})" in post.model.latex()
    assert r"\text{phi} &\sim \operatorname{HalfNormal}(3)" in post.model.latex()
    post.report(tmp_path / "report.md")
    code = (tmp_path / "report.md").read_text()
    assert "hb.register_family(...)  # the family nb1 of this report" in code
    assert 'family="nb1"' in code
    assert "nb1" in post.model.explain()


def test_r2_reads_its_variance(post):
    assert 0 < hb.r2(post).conditional < 1


def test_a_saved_posterior_names_its_family_which_is_registered_before_it_is_read(
    post, registry, tmp_path
):
    post.save(tmp_path / "a.fit")
    with pytest.raises(hb.DataError, match=r"family 'nb1', which is not registered") as caught:
        hb.load(tmp_path / "a.fit")
    assert len(str(caught.value).splitlines()) == 1
    hb.register_family(NB1)
    again = hb.load(tmp_path / "a.fit")
    pd.testing.assert_frame_equal(again.tidy(), post.tidy())
    np.testing.assert_array_equal(again.predict(), post.predict())
    again.save(tmp_path / "b.fit")
    assert hb.load(tmp_path / "b.fit").family == "nb1"


def test_another_family_of_its_name_does_not_read_its_posterior(post, registry, tmp_path):
    post.save(tmp_path / "a.fit")
    other = replace(NB1, log_density=lambda y, mean, at: log_density(y, mean, at) - 0.1)
    hb.register_family(other)
    with pytest.raises(hb.DataError, match="the family registered as 'nb1' is another"):
        hb.load(tmp_path / "a.fit")
    with pytest.raises(hb.OptionError, match=r"registered as 'nb1'; hb\.register_family"):
        hb.register_family(NB1)
    with pytest.raises(hb.OptionError, match="registered as 'nb1'"):
        post.update(". ~ . - x")
    hb.register_family(NB1, replace=True)
    assert hb.load(tmp_path / "a.fit").link == "log"


# models of it


def test_a_registered_family_is_known_by_its_name_and_links(registry):
    hb.register_family(NB1)
    hb.register_family(NB1)  # a cell that runs again
    model = hb.Model("y ~ x + (1 | g)", counts(), family="nb1", link="identity")
    assert (model.family, model.link) == ("nb1", "identity")
    given = hb.Model("y ~ x + (1 | g)", counts(), family=NB1.with_link("identity"))
    assert given.link == "identity"
    assert with_formula(given.spec, ". ~ . - x").family.link.name == "identity"
    with pytest.raises(
        hb.OptionError, match=r"has the links 'identity', 'log'; did you mean 'log'"
    ):
        hb.Model("y ~ x + (1 | g)", counts(), family="nb1", link="logg")
    with pytest.raises(hb.OptionError, match="did you mean 'nb1'"):
        hb.Model("y ~ x + (1 | g)", counts(), family="nb1 ")


def test_its_range_its_priors_and_what_bambi_lacks_are_said():
    data = counts()
    with pytest.raises(hb.DataError, match=r"needs whole numbers of at least 0; row \d+ holds -1"):
        hb.Model("y ~ x + (1 | g)", data.assign(y=data["y"] - 1.0), family=NB1)
    model = hb.Model("y ~ x + (1 | g)", data, family=NB1, priors={"phi": hb.Exponential(1)})
    assert model.priors.set_index("parameter")["prior"]["phi"] == "Exponential(1)"
    with pytest.raises(hb.PriorError, match="'phi' can't have: it is never negative"):
        hb.Model("y ~ x + (1 | g)", data, family=NB1, priors={"phi": hb.Normal(0, 1)})
    with pytest.raises(hb.NotSupportedError, match="bambi has only the families it is built with"):
        model.to_bambi()
    with pytest.raises(hb.NotSupportedError, match="family='nb1'"):
        model.fit("reml")
    with pytest.raises(hb.OptionError, match="a parameter 'phi', and the data a variable 'phi'"):
        hb.Model("y ~ x + (1 | phi)", data.rename(columns={"g": "phi"}), family=NB1)
    assert "b(phi)" in list(
        hb.Model("y ~ phi + (1 | g)", data.rename(columns={"x": "phi"}), family=NB1).priors[
            "parameter"
        ]
    )


def test_glmer_names_it(registry):
    hb.register_family(NB1)
    for family in (NB1, "nb1"):
        fit = hb.glmer("y ~ x + (1 | g)", counts(), family=family)
        assert fit.family == "nb1" and list(fit.further_parameters) == ["phi"]
        assert "Family: nb1" in fit.summary()


def test_a_factor_called_like_a_parameter_of_a_built_in_family_is_one_sentence():
    """PyMC said that a variable conflicts with a dimension."""
    data = counts().rename(columns={"g": "b"})
    with pytest.raises(hb.OptionError, match="'laplace' has a parameter 'b', and the data a var"):
        hb.Model("y ~ x + (1 | b)", data, family="laplace")


def test_a_share_of_ones_own_takes_priors_between_0_and_1():
    inflated = replace(NB1, name="share", parameters=(hb.Parameter("phi", prior=hb.Beta(1, 3)),))
    with pytest.raises(hb.PriorError, match="it is between 0 and 1"):
        hb.Model("y ~ x + (1 | g)", counts(), inflated, priors={"phi": hb.HalfNormal(1)})


LOGLOG = hb.Link(
    name="loglog",
    forward=lambda mu: -np.log(-np.log(mu)),
    inverse=lambda eta: np.exp(-np.exp(-eta)),
    exact_log=lambda eta: -np.exp(-eta),
)


def test_a_link_of_ones_own_mirrors_the_one_it_should():
    """Successes under the log-log link are the failures under the complementary one at -eta."""

    def successes(y, mean, at):
        n = at["trials"]
        choose = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
        return choose + y * mean.log + (n - y) * mean.log_complement

    binomial = hb.Family(
        name="successes",
        links=(LOGLOG, "logit"),
        log_density=successes,
        draw=lambda rng, mu, at: rng.binomial(at["trials"].astype(int), mu),
        response="trials",
        is_discrete=True,
    )
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"k": rng.integers(0, 8, 20), "x": rng.normal(size=20), "g": [*"abcd"] * 5})
    data["f"] = 7 - data["k"]
    ours = hb.Model("cbind(k, f) ~ x + (1 | g)", data, family=binomial)
    theirs = hb.Model("cbind(f, k) ~ x + (1 | g)", data, "binomial", "cloglog")
    assert ours.link == "loglog"
    assert r"\operatorname{loglog}(\mu_i)" in ours.latex()
    point = {"beta": np.array([0.3, -0.4]), "b_g": np.array([[0.1], [0.2], [-0.3], [0.4]])}
    mirrored = {name: -value for name, value in point.items()}
    assert likelihood(ours, point) == pytest.approx(likelihood(theirs, mirrored), rel=1e-12)


def likelihood(model, point):
    from pytensor import function
    from pytensor.compile.mode import Mode

    built = model.to_pymc("centered")
    mode = Mode(linker="py", optimizer="fast_compile")
    values = {built.rvs_to_values[built[name]]: value for name, value in point.items()}
    logp = built.logp(vars=built.observed_RVs)
    return float(
        function(list(values), logp, mode=mode, on_unused_input="ignore")(*values.values())
    )


def test_two_families_of_one_name_do_not_share_what_is_compiled():
    from hierbayes.bayes.pymc_graph import graph_key

    def key(family):
        return graph_key(hb.Model("y ~ x + (1 | g)", counts(), family=family).to_pymc())

    assert key(NB1) == key(replace(NB1))
    double = replace(NB1, log_density=lambda y, mean, at: 2 * log_density(y, mean, at))
    assert key(NB1) != key(double)


BUILT_IN = [
    family
    for family in FAMILIES.values()
    if family.draw and family.has_expectation and not family.is_ordinal and family.name != "laplace"
]  # laplace's parameter is called b, which is a class of priors


@pytest.mark.parametrize("family", BUILT_IN, ids=lambda family: family.name)
def test_built_in_families_pass_the_checks_of_ones_own(family):
    check_family(replace(family, name=f"own_{family.name}", is_builtin=False))


# what is not one


def own(**changes):
    return replace(NB1, **changes)


def forgetful(y, mean, at):
    """A density whose slope forgets a term: the series is made of what is not all of eta."""
    from hierbayes.families.series import value_of

    return log_density(y, Mean(eta=mean.eta, link=mean.link), at) + 0.1 * value_of(mean.mu)


BAD = {
    "no density": (own(log_density=None), r"needs log_density, a function of \(y, mean, at\)"),
    "no draws": (own(draw=None), r"needs draw, a function of \(rng, mu, at\)"),
    "a built-in name": (own(name="poisson"), "'poisson' is the name of a built-in family"),
    "a name of no model": (own(name="categorical"), "'categorical' is the name of a built-in"),
    "two words": (own(name="my counts"), "'my counts' of a family must be one word"),
    "no name": (own(name=None), "None of a family must be one word"),
    "no links": (own(links=()), r"links=\(\) must be like"),
    "one link as text": (own(links="log"), "links='log' must be like"),
    "an unknown link": (own(links=("logg",)), "'logg' is none of the links .* did you mean 'log'"),
    "a built-in link's name": (own(links=(replace(LOGLOG, name="log"),)), "a built-in link"),
    "another link's inverse": (
        own(links=(replace(LOGLOG, inverse=lambda eta: np.exp(-np.exp(eta)), exact_log=None),)),
        "inverse is not the inverse of forward",
    ),
    "another link's logarithm": (
        own(links=(replace(LOGLOG, exact_log=lambda eta: np.exp(-eta)),)),
        "exact_log is 3.6693 at eta=-1.3",
    ),
    "a support in words": (own(support="counts"), "support='counts' must be like hb.Support"),
    "an ordered response": (own(response="ordered"), "families of ordered categories are built in"),
    "another expectation": (own(expectation=lambda mu, at: 2 * mu), "expectation= may be left out"),
    "a parameter as text": (own(parameters=("phi",)), "'phi' among its parameters must be like"),
    "a parameter's name": (own(parameters=(hb.Parameter("eta", "shape"),)), "'eta' .* is taken"),
    "a factor's name": (own(parameters=(hb.Parameter("sd_g", "shape"),)), "'sd_g' .* is taken"),
    "one name twice": (own(parameters=NB1.parameters * 2), "'phi' of a parameter is taken"),
    "no prior": (own(parameters=(hb.Parameter("phi", 2.0),)), "prior=2.0 of 'phi' must be a prior"),
    "a prior of thresholds": (own(parameters=(hb.Parameter("phi", "cuts"),)), "prior='cuts'"),
    "sigma alone": (own(weighs_sigma=True), "needs a parameter called 'sigma'"),
    "draws of another shape": (own(draw=lambda rng, mu, at: np.ones(3)), r"of shape \(3,\) for mu"),
    "draws out of range": (
        own(draw=lambda rng, mu, at: mu), "draw gives 3.00417 at mu=3.00417, not whole numbers"
    ),
    "draws that fail": (
        own(draw=lambda rng, mu, at: mu / at["psi"]), "draw fails at mu=0.272532: KeyError 'psi'"
    ),
    "impossible draws": (
        own(log_density=lambda y, mean, at: np.log(y - 1e6) + mean.mu * at["phi"]),
        "log_density is nan at y=0, which draw drew at eta=-1.3",
    ),
    "one number": (own(log_density=lambda y, mean, at: 1.0), r"log_density gives \(\) numbers"),
    "a missing parameter": (own(parameters=()), "draw fails at mu=.* 'phi'"),
    "a function without derivatives": (
        own(log_density=lambda y, mean, at: log_density(y, mean, at) + np.sinh(mean.mu)),
        r"can't be written in a series, to be differentiated .*sinh.* It may use \+ - \* /",
    ),
    "a slope that forgets a term": (own(log_density=forgetful), "derivative in eta of log_density"),
}  # fmt: skip


@pytest.mark.parametrize(("family", "words"), BAD.values(), ids=BAD)
def test_what_is_no_family_is_one_sentence(family, words, registry):
    for use in (hb.register_family, lambda given: hb.Model("y ~ x", counts(), family=given)):
        with pytest.raises(hb.OptionError, match=words) as caught:
            use(family)
        assert len(str(caught.value).splitlines()) == 1


def test_what_tensors_do_not_have_is_one_sentence():
    def table(y, mean, at):
        logs = np.log(np.arange(1, 1000))
        plain = y.astype(int) if hasattr(y, "astype") else y.as_index()
        return log_density(y, mean, at) + 0 * logs[plain]

    model = hb.Model("y ~ x + (1 | g)", counts(), family=own(log_density=table))
    with pytest.raises(hb.OptionError, match="can't be written in tensors, for a PyMC model"):
        model.to_pymc()


def test_a_family_that_is_none_is_one_sentence():
    with pytest.raises(hb.OptionError, match=r"takes a family made by hb\.Family"):
        hb.register_family("poisson")
    with pytest.raises(hb.OptionError, match=re.escape("Did you mean log_density=?")):
        hb.Family(name="a", links=("log",), density=log_density)
    with pytest.raises(hb.OptionError, match="'poisson' is the name of a built-in family"):
        hb.register_family(FAMILIES["poisson"], replace=True)


def test_names_of_our_variables_are_taken_unless_a_built_in_family_has_them():
    ours = {parameter.name for family in FAMILIES.values() for parameter in family.parameters}
    assert TAKEN | ours >= RESERVED
    assert PREFIXES == own_module.PREFIXES
