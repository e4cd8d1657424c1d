"""What a model says before data: draws from its priors, and its equation."""

import numpy as np
import pytest

import hierbayes as hb


@pytest.fixture(scope="module")
def model():
    return hb.Model(
        "Reaction ~ Days + (Days | Subject)",
        hb.load_dataset("sleepstudy"),
        priors={"Days": hb.Normal(10, 1), "sd(Days|Subject)": hb.Exponential(0.5)},
    )


def test_draws_follow_the_priors(model):
    pytest.importorskip("xarray")
    tree = model.prior_predictive(4000, random_seed=1)
    prior = tree["prior"]
    beta = prior["beta"].sel(coef="Days").to_numpy()
    assert beta.mean() == pytest.approx(10, abs=4.5 / np.sqrt(4000))
    assert beta.std() == pytest.approx(1, rel=4.5 / np.sqrt(8000))
    sd = prior["sd_Subject"].sel(Subject__term="Days").to_numpy()
    assert sd.mean() == pytest.approx(2, abs=4.5 * 2 / np.sqrt(4000))
    # at the mean of the predictors the linear predictor has the prior of the intercept
    centre = model.spec.priors.centre[1]
    alpha = prior["beta"].sel(coef="(Intercept)").to_numpy() + centre * beta
    law = model.spec.priors.beta[0]
    assert np.median(alpha) == pytest.approx(law.mu, abs=4.5 * 1.26 * law.sigma / np.sqrt(4000))
    responses = tree["prior_predictive"]["Reaction"]
    assert responses.dims == ("chain", "draw", "obs")
    assert responses.shape == (1, 4000, 180)


def test_the_seed_decides(model):
    first, again, other = (
        model.prior_predictive(5, random_seed=seed)["prior_predictive"]["Reaction"].to_numpy()
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_counts_are_whole():
    model = hb.Model("Days ~ 1 + (1 | Subject)", hb.load_dataset("sleepstudy"), family="poisson")
    drawn = model.prior_predictive(20, random_seed=1)["prior_predictive"]["Days"].to_numpy()
    assert (drawn >= 0).all()
    assert (drawn == np.floor(drawn)).all()


def test_nothing_is_drawn_from_flat_priors():
    model = hb.Model(
        "Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"), priors="flat"
    )
    with pytest.raises(hb.NotSupportedError, match="flat priors"):
        model.prior_predictive(5)
    with pytest.raises(hb.OptionError, match="draws=0"):
        model.prior_predictive(0)


def test_the_equation_has_every_part(model):
    text = model.latex()
    assert text.startswith("\\begin{aligned}")
    assert text.count("{") == text.count("}")
    for part in (
        "\\text{Reaction}_i &\\sim \\operatorname{Normal}(\\mu_i,\\ \\sigma^2)",
        "b_{\\text{Days} \\mid \\text{Subject}[i]}\\,\\text{Days}_i",
        "\\beta_{\\text{Days}} &\\sim \\operatorname{Normal}(10, 1)",
        "\\tau_{\\text{Days} \\mid \\text{Subject}} &\\sim \\operatorname{Exponential}(0.5)",
        "R_{\\text{Subject}} &\\sim \\operatorname{LKJ}(2)",
        "\\sigma &\\sim \\operatorname{HalfStudentT}",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("formula", "options", "part"),
    [
        ("Days ~ 1 + (1 | Subject)", {"family": "poisson"}, "\\log(\\mu_i)"),
        ("Reaction ~ Days + (Days || Subject)", {}, "\\operatorname{Normal}(0,\\ \\tau_"),
        ("Reaction ~ Days", {"weights": "Days + 1"}, "\\sigma^2 / w_i"),
        ("Reaction ~ Days", {"known_sd": "Days + 1"}, "s_i^2"),
        ("Reaction ~ I(Days^2)", {}, "\\text{I(Days\\^{}2)}"),
    ],
)
def test_the_equation_says_what_differs(formula, options, part):
    assert part in hb.Model(formula, hb.load_dataset("sleepstudy"), **options).latex()
