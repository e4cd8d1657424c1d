"""Families and links: the tables agree with bambi, and impossible responses are one sentence."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes.nuts import start_point
from hierbayes.bayes.starting_points import free_values, start_from_priors
from hierbayes.families.builtin import FAMILIES
from hierbayes.options import Family

pytest.importorskip("pymc")


def test_families_are_bambis_univariate_ones():
    from bambi.defaults.families import BUILTIN_FAMILIES

    univariate = {n for n, s in BUILTIN_FAMILIES.items() if s["family"].KIND == "Univariate"}
    assert set(get_args(Family)) == univariate == {*FAMILIES, "categorical"}


@pytest.mark.parametrize("family", FAMILIES)
def test_links_and_parameters_are_bambis(family):
    from bambi.defaults import get_builtin_family

    ours, found = FAMILIES[family], get_builtin_family(family)
    parent = found.likelihood.parent
    assert ours.link.name == found.link[parent].name == ours.links[0]
    assert {p.name for p in ours.parameters} == set(found.likelihood.params) - {parent}
    assert set(ours.links) - {"cauchit", "log", "sqrt"} <= set(found.SUPPORTED_LINKS[parent])
    assert set(found.SUPPORTED_LINKS[parent]) <= set(ours.links)


def rows(**columns) -> pd.DataFrame:
    n = 12
    base = {"y": np.tile([0.0, 1.0, 2.0], 4), "g": np.arange(n) % 4, "x": np.arange(n)}
    return pd.DataFrame(base | columns)


FRACTION = np.tile([0.25, 0.5, 0.75], 4)
IMPOSSIBLE = {
    "negative counts": ("y ~ 1 + (1 | g)", {"y": np.arange(12) - 1.0}, "poisson", "at least 0"),
    "broken counts": ("y ~ 1 + (1 | g)", {"y": FRACTION}, "negativebinomial", "whole numbers"),
    "a proportion of 1": ("y ~ 1 + (1 | g)", {}, "beta", "neither 0 nor 1"),
    "a zero duration": ("y ~ 1 + (1 | g)", {}, "gamma", "positive"),
    "two as a binary answer": ("y ~ 1 + (1 | g)", {}, "bernoulli", "0 or 1"),
    "counts without trials": ("y ~ 1 + (1 | g)", {}, "binomial", "trials as weights"),
    "negative failures": (
        "cbind(y, f) ~ 1 + (1 | g)",
        {"f": np.arange(12) - 1.0},
        "binomial",
        "at least 0",
    ),
    "cbind of counts": ("cbind(y, x) ~ 1 + (1 | g)", {}, "poisson", "one response column"),
    "categories": ("y ~ 1 + (1 | g)", {"y": list("abc") * 4}, "poisson", "categories"),
    "many categories": ("x ~ 1 + (1 | g)", {}, "cumulative", "few, repeated"),
    "three categories for two": (
        "y ~ 1 + (1 | g)",
        {"y": list("abc") * 4},
        "bernoulli",
        "'a', 'b'",
    ),
    "a proportion above 1": ("y ~ 1 + (1 | g)", {"y": 1.5 * FRACTION}, "beta", "row 2 holds 1.125"),
    "angles in degrees": ("y ~ 1 + (1 | g)", {"y": FRACTION * 100}, "vonmises", "-pi and pi"),
}


@pytest.mark.parametrize(
    ("formula", "columns", "family", "words"), IMPOSSIBLE.values(), ids=IMPOSSIBLE
)
def test_a_response_the_family_cannot_have_is_one_sentence(formula, columns, family, words):
    with pytest.raises(hb.HierBayesError, match=words) as caught:
        hb.Model(formula, rows(**columns), family=family)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("proportions", "words"),
    [
        (FRACTION * 2, r"a proportion from 0 to 1; row 2 holds 1.5 and 3 more rows"),
        (FRACTION - 0.5, r"a proportion from 0 to 1; row 0 holds -0.25 and 3 more rows"),
        (FRACTION + 0.01, r"times its weight needs to be a whole number; row 0 holds 0.26"),
    ],
)
def test_a_proportion_that_no_trials_give_is_one_sentence(proportions, words):
    data = rows(p=proportions, n=np.full(12, 8.0))
    with pytest.raises(hb.DataError, match=words) as caught:
        hb.Model("p ~ 1 + (1 | g)", data, family="binomial", weights="n")
    assert len(str(caught.value).splitlines()) == 1


def test_proportions_with_trials_are_successes():
    data = rows(p=FRACTION, n=np.full(12, 8.0), s=FRACTION * 8, f=8 - FRACTION * 8)
    as_weights = hb.Model("p ~ 1 + (1 | g)", data, family="binomial", weights="n").to_pymc()
    as_columns = hb.Model("cbind(s, f) ~ 1 + (1 | g)", data, family="binomial").to_pymc()
    assert np.array_equal(
        as_weights["p_data"].get_value(), as_columns["cbind_s_f_data"].get_value()
    )


def test_two_categories_are_failure_and_success():
    data = rows(y=["no", "yes", "yes"] * 4)
    model = hb.Model("y ~ 1 + (1 | g)", data, family="bernoulli")
    assert model.to_pymc()["y_data"].get_value().tolist() == [0, 1, 1] * 4


@pytest.mark.parametrize("family", ["poisson", "gamma", "bernoulli"])
def test_correlated_effects_in_other_families(family):
    data = rows(y=np.tile([1.0, 0.0], 6) if family == "bernoulli" else np.arange(12) + 1.0)
    model = hb.Model("y ~ x + (x | g)", data, family=family).to_pymc()
    assert "corr_g" in model.named_vars
    assert "sigma" not in model.named_vars


VALUES = {
    "beta": FRACTION,
    **dict.fromkeys(
        ("bernoulli", "binomial", "beta_binomial", "zero_inflated_binomial"),
        np.tile([0.0, 1.0], 6),
    ),
}
QUICK = ("cumulative", "sratio", "hurdle_gamma", "t", "wald", "beta_binomial")


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family in QUICK else pytest.mark.slow)
        for family in get_args(Family)
        if family != "categorical"
    ],
)
def test_every_family_has_a_finite_density_at_its_start(family):
    from pytensor.compile.mode import Mode

    link = "log" if FAMILIES[family].link.may_have_no_mean else None
    data = rows(y=VALUES.get(family, np.tile([1.0, 2.0, 3.0], 4)))
    model = hb.Model("y ~ x + (1 | g)", data, family=family, link=link)
    pymc_model = model.to_pymc()
    start = free_values(model.design, start_from_priors(model.design, model.spec.priors))
    point = start_point(pymc_model, {name: at.value for name, at in start.items()})
    logp = pymc_model.compile_logp(mode=Mode(linker="py", optimizer="fast_compile"))
    named = {pymc_model.rvs_to_values[rv].name: point[rv.name] for rv in pymc_model.free_RVs}
    assert np.isfinite(logp(named))


def test_what_a_family_does_not_have():
    with pytest.raises(hb.OptionError, match="'identity', 'log', 'inverse'"):
        hb.Model("y ~ 1 + (1 | g)", rows(), family="gamma", link="logit")
    with pytest.raises(hb.NotSupportedError, match="cumulative"):
        hb.Model("y ~ 1 + (1 | g)", rows(), family="categorical")
    with pytest.raises(hb.NotSupportedError, match="weights"):
        hb.Model("y ~ 1 + (1 | g)", rows(), family="poisson", weights="x + 1")
    with pytest.raises(hb.NotSupportedError, match="known_sd"):
        hb.Model("y ~ 1 + (1 | g)", rows(), family="poisson", known_sd="x + 1")
    model = hb.Model("y ~ x + (1 | g)", rows(), family="poisson")
    with pytest.raises(hb.NotSupportedError, match="marginal"):
        model.to_pymc("marginal")
    with pytest.raises(hb.OptionError, match="did you mean 'centered'"):
        model.to_pymc("centred")


def test_a_model_of_another_family_explains_itself_and_takes_another_response():
    data = rows(f=np.tile([2.0, 1.0, 3.0], 4))
    binomial = hb.Model("cbind(y, f) ~ x + (1 | g)", data, family="binomial")
    assert "g" in binomial.explain()
    counts = hb.Model("y ~ x + (1 | g)", data, family="poisson")
    other = counts.with_response(np.arange(12) + 1.0)
    assert other.to_pymc()["y_data"].get_value().tolist() == list(range(1, 13))
    with pytest.raises(hb.DataError, match="whole numbers"):
        counts.with_response(np.arange(12) + 0.5)


@pytest.mark.parametrize(
    ("word", "family"),
    {
        "nbinom": "negativebinomial", "ordinal": "cumulative", "student": "t", "Student-t": "t",
        "zip": "zero_inflated_poisson", "logistic": "bernoulli", "inverse.gaussian": "wald",
    }.items(),
)  # fmt: skip
def test_another_packages_word_for_a_family_points_to_ours(word, family):
    with pytest.raises(hb.OptionError, match=rf"did you mean '{family}'\?"):
        hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"), family=word)
