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


@pytest.mark.parametrize("residual", ["ar1(t | g)", "us(t | g)"])
def test_responses_of_a_series_have_a_drawn_correlation(residual: str) -> None:
    data = {"y": np.arange(30.0) % 7, "t": np.tile([1, 2, 3], 10), "g": np.repeat(range(10), 3)}
    priors = {"(Intercept)": hb.Normal(0, 1e-6)}
    if residual.startswith("ar1"):
        priors["cor_ar1|g"] = hb.Uniform(0.5, 0.9)
    model = hb.Model("y ~ 1", data, residual=residual, priors=priors)
    found = model.prior_predictive(400, random_seed=1)
    y = found["prior_predictive"]["y"].to_numpy()[0].reshape(400, 10, 3)
    own = (y[:, :, 0] * y[:, :, 1]).mean(axis=1)
    own /= np.sqrt((y[:, :, 0] ** 2).mean(axis=1) * (y[:, :, 1] ** 2).mean(axis=1))
    prior = found["prior"]
    if residual.startswith("ar1"):
        r = prior["cor_ar1|g"].to_numpy()[0]
        assert r.min() >= 0.5 and r.max() <= 0.9
    else:
        R = prior["cor_us|g"].to_numpy()[0]
        r = R[:, 1, 0]
        assert np.linalg.eigvalsh(R).min() > 0
        assert r.std() == pytest.approx(np.sqrt(1 / 6), rel=0.1)  # LKJ(2) of three: Beta(2.5, 2.5)
    assert np.corrcoef(own, r)[0, 1] > (0.3 if residual.startswith("ar1") else 0.7)
    assert own.mean() == pytest.approx(r.mean(), abs=0.06)
