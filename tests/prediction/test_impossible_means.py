"""Links under which new levels may have means the family does not have: said, never crashed on."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.mean_ends import chance_of_no_mean, eta_ends, link_with_means
from tests.prediction.test_other_families import posterior_of

RNG = np.random.default_rng(3)
G, X = np.repeat(np.arange(12), 8), np.tile(np.linspace(-1, 1, 8), 12)
ETA = 0.5 + 0.25 * RNG.normal(size=12)[G] + 0.05 * X
POSITIVE = pd.DataFrame(
    {"y": RNG.gamma(5, 1 / np.maximum(ETA, 0.15) / 5), "x": X, "g": G.astype(str)}
)
TRIALS = POSITIVE.assign(s=RNG.binomial(10, np.clip(0.3 + 0.2 * ETA, 0, 1)), n=10)
COUNTS = POSITIVE.assign(y=RNG.poisson(1 + ETA))
CASES = [  # family, link, data, formula, the link to take
    ("gamma", None, POSITIVE, "y ~ x + (1 | g)", "log"),
    ("wald", None, POSITIVE, "y ~ x + (1 | g)", "log"),
    ("wald", "inverse", POSITIVE, "y ~ x + (1 | g)", "log"),
    ("gamma", "identity", POSITIVE, "y ~ x + (1 | g)", "log"),
    ("poisson", "identity", COUNTS, "y ~ x + (1 | g)", "log"),
    ("binomial", "identity", TRIALS, "cbind(s, n - s) ~ x + (1 | g)", "logit"),
    ("binomial", "log", TRIALS, "cbind(s, n - s) ~ x + (1 | g)", "logit"),
]
ALL = pytest.mark.parametrize(
    ("family", "link", "data", "formula", "other"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES]
)
SHORT = {"draws": 250, "chains": 2, "random_seed": 1, "sampler": "collapsed"}


@ALL
def test_nothing_but_one_sentence_comes_of_impossible_means(family, link, data, formula, other):
    model = hb.Model(formula, data, family=family, link=link)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = model.fit()
        model.prior_predictive(20, random_seed=1)
    posterior = posterior_of(model, sd=2.0, spread=0.01)
    new = data.head(2).assign(g="new")
    wide = {"new_levels": "sample", "interval": "prediction", "random_seed": 1}
    with pytest.raises(hb.DataError, match=f"impossible.*link='{other}' has means") as caught:
        posterior.predict(new, **wide)
    assert str(caught.value).count("\n") == 0
    for one in (fit, posterior):
        for ask in (
            lambda one: one.predict(new, **wide),
            lambda one: one.simulate(20, random_seed=1),
            lambda one: hb.emmeans(one, "x", type="response", bias_adjust=True),
            lambda one: hb.check(one, random_seed=1, leave_out=False),
        ):
            try:
                ask(one)
            except hb.DataError as error:
                assert f"family={family!r}" in str(error)


@pytest.mark.parametrize(("family", "link"), [("gamma", None), ("binomial", "identity")])
def test_a_finding_of_fits_and_posteriors_recommends_a_link(family, link):
    data, formula, other = next(case[2:] for case in CASES if case[:2] == (family, link))
    model = hb.Model(formula, data, family=family, link=link)
    if family == "binomial":  # the sd of these is near zero: one that is not
        data = data.assign(s=np.random.default_rng(1).binomial(10, np.where(G % 2, 0.15, 0.85)))
        model = hb.Model(formula, data, family=family, link=link)
    with pytest.warns(hb.DesignWarning, match=f"impossible means possible.*link='{other}'"):
        fit = model.fit()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        posterior = model.sample(**SHORT)
    assert any(f"link='{other}' has a mean everywhere" in str(one.message) for one in told)
    for one in (fit, posterior):
        (found,) = [f for f in one.findings if f.code == "impossible_means"]
        assert 1e-3 < found.numbers["probability"] < 0.4 and found.numbers["link"] == other
    # as often as new levels are drawn with one
    drawn = fit.fixed_part[:, None] + fit.varcorr().to_frame()["sdcor"][0] * np.random.default_rng(
        2
    ).normal(size=(1, 20_000))
    ends = eta_ends(fit.response_family)
    share = ((drawn < ends[0]) | (drawn > ends[1])).mean(axis=1).max()
    chance = next(f for f in fit.findings if f.code == "impossible_means").numbers["probability"]
    assert chance == pytest.approx(share, abs=0.01)


def test_links_with_a_mean_everywhere_have_no_such_finding():
    for model in (
        hb.Model("y ~ x + (1 | g)", POSITIVE, family="gamma", link="log"),
        hb.Model("cbind(s, n - s) ~ x + (1 | g)", TRIALS, family="binomial"),
        hb.Model("y ~ x + (1 | g)", COUNTS, family="poisson", link="sqrt"),
    ):
        assert "impossible_means" not in {finding.code for finding in model.fit().findings}


def test_the_draws_of_a_posterior_have_means_in_the_rows_observed():
    model = hb.Model("y ~ x + (1 | g)", POSITIVE, family="gamma")
    with pytest.warns(hb.DesignWarning, match="impossible means"):
        posterior = model.sample(draws=1000, random_seed=1, sampler="collapsed")
    beta = posterior.draws.beta.reshape(-1, 2)
    b = posterior.draws.b["g"].reshape(beta.shape[0], -1)
    assert (beta @ model.design.X.T + b[:, G] > 0).all()


def test_checks_leave_impossible_responses_out_and_say_how_many():
    with pytest.warns(hb.DesignWarning, match="impossible means"):
        fit = hb.glmer("y ~ x + (1 | g)", POSITIVE, "gamma")
    found = hb.check(fit, random_seed=1, leave_out=False)
    row = found.to_frame().set_index("check").loc["means of new groups are possible"]
    assert "% of the simulated responses have none" in row["value"] and row["verdict"] == "look"
    assert np.isfinite(found.scaled).all() and (found.scaled < 1).all()


def test_predictions_of_the_fixed_part_alone_are_never_impossible_numbers():
    fit = hb.glmer("y ~ x + (1 | g)", COUNTS, "poisson", link="identity")
    far = pd.DataFrame({"x": [0.0, -100.0 * np.sign(fit.fixef()["x"])]})
    assert fit.predict(far, groups="none", type="link").iloc[1] < 0
    with pytest.raises(hb.DataError, match="1 of 2 rows have no response"):
        fit.predict(far, groups="none")
    near = pd.DataFrame({"x": [-float(fit.fixef().iloc[0] / fit.fixef()["x"]) * 0.98]})
    limits = fit.predict(near, groups="none", interval="confidence").iloc[0]
    assert limits["lower"] == 0 < limits["prediction"]


def test_ends_of_eta_are_those_of_the_mean():
    ends = {
        ("gamma", "inverse"): (0, np.inf),
        ("wald", "inverse_squared"): (0, np.inf),
        ("poisson", "sqrt"): (-np.inf, np.inf),
        ("binomial", "log"): (-np.inf, 0),
        ("bernoulli", "identity"): (0, 1),
        ("gamma", "log"): (-np.inf, np.inf),
    }
    for (name, link), expected in ends.items():
        assert eta_ends(FAMILIES[name].with_link(link)) == expected
    family = FAMILIES["binomial"].with_link("identity")
    chance = chance_of_no_mean(family, np.array([0.0, 0.5, 2.0]), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(chance, [0.5 + 0.15865525393145707, 0, 1])
    assert link_with_means(FAMILIES["hurdle_gamma"]) == "log"
    assert link_with_means(FAMILIES["gaussian"]) is None
