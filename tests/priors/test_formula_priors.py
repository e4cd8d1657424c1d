"""Default priors of formulas of further parameters, and the user's in their places."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

N = 30
FRAME = pd.DataFrame(
    {
        "y": 5.0 + np.arange(N) % 7,
        "k": np.arange(N) % 5,
        "x": np.linspace(2.0, 4.0, N),
        "g": np.arange(N) % 6,
        "f": np.array(list("abc"))[np.arange(N) % 3],
    }
)


def table(*args, **options):
    return hb.Model(*args, **options).priors.to_pandas().set_index("parameter")


def test_the_intercept_says_of_sigma_what_its_prior_says_without_a_formula():
    """Prior predictive check: median and 5 to 95 % range of sigma at centred predictors."""
    plain = table("y ~ x", FRAME).loc["sigma", ["q05", "q50", "q95"]].astype(float)
    own = table("y ~ x", FRAME, sigma="~ x").loc["sigma_(Intercept)", ["q05", "q50", "q95"]]
    found = np.exp(own.astype(float))
    assert found["q50"] == pytest.approx(plain["q50"], rel=1e-10)
    assert found["q95"] / found["q05"] == pytest.approx(plain["q95"] / plain["q05"], rel=1e-10)


def test_a_share_has_its_prior_on_the_scale_of_logits():
    plain = table("k ~ x", FRAME, "zero_inflated_poisson").loc["psi", ["q05", "q50", "q95"]]
    for name, sign in (("psi", 1), ("zi", -1)):
        own = table("k ~ x", FRAME, "zero_inflated_poisson", **{name: "~ x + (1 | g)"})
        middle = sign * np.log(plain["q50"] / (1 - plain["q50"]))
        assert own.loc[f"{name}_(Intercept)", "q50"] == pytest.approx(middle, abs=1e-10)
        assert "psi" not in own.index
        assert own.loc[f"{name}_sd((Intercept)|g)", "prior"] == "HalfStudentT(4, 2.5)"


def test_other_units_move_the_intercept_by_their_logarithm_and_nothing_else():
    options = {"sigma": "~ x + (x | g)"}
    before = hb.Model("y ~ x", FRAME, **options).spec.priors.formulas["sigma"]
    after = hb.Model("y ~ x", FRAME.assign(y=1000 * FRAME.y), **options).spec.priors
    after = after.formulas["sigma"]
    assert after.beta[0].mu == pytest.approx(before.beta[0].mu + np.log(1000), abs=1e-10)
    assert after.beta[0].sigma == pytest.approx(before.beta[0].sigma, rel=1e-12)
    assert after.beta[1:] == before.beta[1:] and after.sd == before.sd
    in_metres = hb.Model("y ~ x", FRAME.assign(x=FRAME.x / 100), **options).spec.priors
    assert in_metres.formulas["sigma"].beta[1].sigma == pytest.approx(
        100 * before.beta[1].sigma, rel=1e-12
    )


def test_a_level_each_has_the_centre_of_the_intercept():
    with_intercept = hb.Model("y ~ x", FRAME, sigma="~ x").spec.priors.formulas["sigma"]
    levels = hb.Model("y ~ x", FRAME, sigma="~ 0 + f").spec.priors.formulas["sigma"]
    assert [law.mu for law in levels.beta] == pytest.approx([with_intercept.beta[0].mu] * 3)
    assert all(law.sigma > with_intercept.beta[0].sigma for law in levels.beta)


def test_the_users_priors_are_found_by_name_and_by_class():
    given = {
        "sigma_b": hb.Normal(0, 0.5),
        "sigma_(Intercept)": hb.Normal(1, 1),
        "sigma_sd": hb.HalfNormal(0.2),
        "sd(sigma_x|g)": hb.HalfNormal(0.3),
        "sigma_cor(g)": hb.LKJ(5),
        "sd": hb.HalfNormal(9),
    }
    found = table("y ~ x + (1 | g)", FRAME, sigma="~ x + (x | g)", priors=given)
    laws = found["prior"].to_dict()
    assert laws["sigma_x"] == "Normal(0, 0.5)" and laws["sigma_(Intercept)"] == "Normal(1, 1)"
    assert laws["sigma_sd((Intercept)|g)"] == "HalfNormal(0.2)"
    assert laws["sigma_sd(x|g)"] == "HalfNormal(0.3)" and laws["sigma_cor(g)"] == "LKJ(5)"
    assert laws["sd((Intercept)|g)"] == "HalfNormal(9)"
    assert (found["source"] == "user").sum() == 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sigma": hb.HalfNormal(1)}, r"'sigma' has a formula.*'sigma_\(Intercept\)', 'sigma_x'"),
        ({"sigma_z": hb.Normal(0, 1)}, r"'sigma_z' is not a parameter.*'sigma_x'"),
        ({"sigma_cor": hb.Normal(0, 1)}, r"use LKJ"),
    ],
)
def test_a_wrong_prior_gets_a_sentence(given, words):
    with pytest.raises(hb.PriorError, match=words):
        hb.Model("y ~ x", FRAME, sigma="~ x + (x | g)", priors=given)


def test_a_coefficient_of_the_mean_keeps_its_name_beside_one_of_a_formula():
    frame = FRAME.assign(sigma_x=FRAME.k)
    names = table("y ~ sigma_x", frame, sigma="~ x").index
    assert "sigma_x" in names and "sigma_b(x)" in names
