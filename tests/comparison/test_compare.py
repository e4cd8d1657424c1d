"""Fits side by side: the numbers are those of the fits, the reasons follow from the numbers."""

import math
from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.comparison.why import Evidence, why
from hierbayes.errors import DataError
from hierbayes.render.html import fragment
from hierbayes.render.text import text as as_text
from hierbayes.reports.comparison import comparison_blocks
from hierbayes.results.density import density_mode
from hierbayes.results.finding import Finding

SLEEP = "Reaction ~ Days + (Days | Subject)"
FIXED = ["(Intercept)", "Days"]


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def model(sleep):
    return hb.Model(SLEEP, sleep)


@pytest.fixture(scope="module")
def reml(model):
    return model.fit("reml")


@pytest.fixture(scope="module")
def ml(model):
    return model.fit("ml")


@pytest.fixture(scope="module")
def post(model):
    return model.sample(random_seed=1)


@pytest.fixture(scope="module")
def table(reml, ml, post):
    return hb.compare(reml, ml, post).to_frame()


@pytest.fixture(scope="module")
def on_boundary():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    with pytest.warns(hb.BoundaryWarning):
        fit = model.fit()
    return hb.compare(fit, model.sample(random_seed=1))


# numbers


def test_likelihood_columns_are_those_of_the_fits(table, reml, ml):
    for prefix, fit in (("reml", reml), ("ml", ml)):
        tidy = fit.tidy()
        for column, name in (
            ("estimate", "estimate"),
            ("se", "std_error"),
            ("low", "conf_low"),
            ("high", "conf_high"),
            ("p_value", "p_value"),
        ):
            np.testing.assert_array_equal(table[f"{prefix}_{column}"], tidy[name])


def test_posterior_columns_are_those_of_the_fit(table, post):
    tidy = post.tidy()
    for column, name in (
        ("mean", "estimate"),
        ("sd", "std_error"),
        ("low", "conf_low"),
        ("high", "conf_high"),
    ):
        np.testing.assert_allclose(table[f"posterior_{column}"], tidy[name], rtol=1e-12)
    days = post.draws.beta[..., 1]
    assert table.loc["Days", "posterior_median"] == np.median(days)
    assert table.loc["Days", "posterior_prob_positive"] == (days > 0).mean()
    assert math.isnan(table.loc["sigma", "posterior_prob_positive"])


def test_shifts_are_in_standard_errors_or_posterior_sds(table):
    gap = table["posterior_median"] - table["reml_estimate"]
    unit = table["reml_se"].where(table["reml_se"] > 0, table["posterior_sd"])
    np.testing.assert_allclose(table["posterior_shift"], gap / unit)
    units = table["posterior_shift_unit"]
    assert units[FIXED].tolist() == ["SE", "SE"]
    assert set(units.drop(FIXED)) == {"sd"}


def test_widths_compare_intervals_where_both_exist(table):
    wide = table["posterior_high"] - table["posterior_low"]
    narrow = table["reml_high"] - table["reml_low"]
    np.testing.assert_allclose(table["posterior_width_ratio"], wide / narrow)
    assert table["posterior_width_ratio"].notna().tolist() == [True, True] + [False] * 4


def test_rows_are_named_as_the_posterior_names_them(table, post):
    names = [name for part in post.parameters() for name in part.names]
    assert table.index.tolist() == names


def test_level_and_kind_reach_the_intervals(reml, post):
    found = hb.compare(reml, post, level=0.5, kind="hdi").to_frame()
    tidy = post.tidy(level=0.5, kind="hdi")
    np.testing.assert_array_equal(found["posterior_low"], tidy["conf_low"])
    np.testing.assert_array_equal(found["reml_low"], reml.tidy(level=0.5)["conf_low"])


def test_one_random_intercept_has_its_icc_in_the_table(on_boundary):
    row = on_boundary.to_frame().loc["ICC(Batch)"]
    assert row["reml_estimate"] == 0
    assert 0 < row["posterior_mean"] < 0.3
    assert row["posterior_mode"] < row["posterior_median"] < row["posterior_mean"]


def test_prior_pull_of_a_normal_mean_is_the_closed_form():
    """For y_i ~ N(mu, se_i^2), mu ~ N(m, s^2): d mean / d power = (m - mean) / s^2 / precision."""
    schools = hb.load_dataset("eight_schools")
    laws = {"(Intercept)": hb.Normal(20, 2)}
    model = hb.Model("effect ~ 1", schools, known_sd="se", priors=laws)
    table = hb.compare(model.fit(), model.sample(random_seed=1)).to_frame()
    data, prior = (schools["se"] ** -2.0).to_numpy(), 2**-2.0
    precision = data.sum() + prior
    mean = (data @ schools["effect"] + prior * 20) / precision
    expected = math.log(2) * prior * (20 - mean) / precision / precision**-0.5
    assert expected > 0.3
    pull = table["posterior_prior_pull"]["(Intercept)"]
    # Cov(x, log prior) of 4000 draws: its error is about 1 / sqrt(4000) of the sds' product
    assert pull == pytest.approx(expected, rel=4 / math.sqrt(4000) * 1.5)


@pytest.mark.parametrize(
    ("draws", "bounds", "expected", "tolerance"),
    [
        (np.random.default_rng(1).normal(3, 1, 20_000), (-np.inf, np.inf), 3.0, 0.1),
        (np.random.default_rng(1).exponential(2.0, 20_000), (0.0, np.inf), 0.0, 0.1),
        (np.random.default_rng(1).gamma(3.0, 1.0, 20_000), (0.0, np.inf), 2.0, 0.15),
        (np.random.default_rng(1).beta(2.0, 1.0, 20_000), (0.0, 1.0), 1.0, 0.05),
        (np.full(100, 7.0), (0.0, np.inf), 7.0, 0.0),
    ],
)
def test_modes_of_known_densities(draws, bounds, expected, tolerance):
    found = density_mode(draws, lower=bounds[0], upper=bounds[1])
    assert found == pytest.approx(expected, abs=tolerance)


# reasons

AGREEING = Evidence(
    kind="fixed",
    name="REML",
    reference=10.0,
    reference_se=1.0,
    mean=10.01,
    median=10.01,
    mode=10.0,
    sd=1.0,
    low=8.0,
    high=12.0,
    mcse=0.02,
    r_hat=1.0,
    width_ratio=1.02,
    prior_pull=0.0,
)
SD = replace(AGREEING, kind="sd", reference_se=math.nan, width_ratio=math.nan, n_levels=6)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (AGREEING, "agree within Monte-Carlo error"),
        (replace(AGREEING, mean=10.09, median=10.09), "agree to 0.1 SE"),
        (replace(AGREEING, mean=10.5, median=10.5, mode=10.5), "median 0.50 SE above REML"),
        (
            replace(SD, mean=11.0, median=10.7, mode=10.2),
            "skewed: mean above mode, and REML is a mode",
        ),
        (replace(SD, mean=9.0, median=9.4, mode=9.8, reference=9.2), "skewed: mean below mode"),
        (
            replace(SD, reference=0.0, on_boundary=True, low=0.1, high=3.0),
            "REML on the boundary (sd 0), the posterior averages over the sd (from 0.1 to 3)",
        ),
        (
            replace(SD, kind="cor", reference=-1.0, on_boundary=True, low=-0.9, high=0.2),
            "REML on the boundary (-1), the posterior averages over the correlation "
            "(from -0.9 to 0.2)",
        ),
        (
            replace(SD, kind="cor", reference=math.nan, on_boundary=True, low=-0.9, high=0.2),
            "REML is undefined beside a zero sd, the posterior averages over the correlation "
            "(from -0.9 to 0.2)",
        ),
        (
            replace(AGREEING, prior_pull=-0.3),
            "the prior matters here: counted twice, it moves the mean by -0.30 sds",
        ),
        (
            replace(AGREEING, width_ratio=1.4),
            "interval 40 % wider: the posterior averages over the variance parameters",
        ),
        (
            replace(AGREEING, width_ratio=1.4, model_on_boundary=True),
            "interval 40 % wider: REML is on the boundary, the posterior averages over what lies "
            "inside",
        ),
        (
            replace(AGREEING, width_ratio=0.8),
            "interval 20 % narrower: the prior adds information",
        ),
        (
            replace(AGREEING, converged=False, r_hat=1.2),
            "sampler not converged (R-hat 1.20): sample longer before comparing",
        ),
        (
            replace(AGREEING, reference_converged=False),
            "the search of REML did not end at a proven optimum",
        ),
        (replace(AGREEING, mcse=math.nan), "too few draws to compare"),
        # the mode alone, a noisy witness, does not make a posterior skewed
        (replace(AGREEING, mode=10.3), "agree within Monte-Carlo error"),
        (replace(SD, ml=8.0), "agree within Monte-Carlo error; ML biased low with 6 groups"),
        (
            replace(SD, kind="cor", reference=0.6, mean=0.3, median=0.3, mode=0.3, sd=0.3),
            "nearer 0: 6 groups say little about a correlation, and the prior favours small ones",
        ),
        (replace(AGREEING, ml=10.0, ml_se=0.9, has_posterior=False), "ML's standard error is 10 %"),
        (replace(SD, ml=8.0, has_posterior=False), "ML biased low with 6 groups"),
        (replace(SD, ml=10.0, has_posterior=False), "ML and REML agree"),
        (replace(SD, reference=0.0, on_boundary=True, has_posterior=False), "REML on the boundary"),
    ],
)
def test_reasons(evidence, expected):
    assert why(evidence).startswith(expected)
    if evidence.has_posterior:
        assert why(evidence) == expected


def test_a_converged_parameter_of_a_fit_that_is_not_keeps_its_reason():
    assert why(replace(AGREEING, converged=False)) == "agree within Monte-Carlo error"


def test_reasons_of_sleepstudy(table):
    reasons = table["why"]
    assert reasons["sd((Intercept)|Subject)"] == (
        "skewed: mean above mode, and REML is a mode; ML biased low with 18 groups"
    )
    assert reasons["cor((Intercept),Days|Subject)"] == "agree within Monte-Carlo error"
    assert "ML's standard error is 3 % smaller" in reasons["Days"]


def test_reasons_on_the_boundary(on_boundary):
    reasons = on_boundary.to_frame()["why"]
    assert reasons["sd((Intercept)|Batch)"].startswith("REML on the boundary (sd 0)")
    assert "REML is on the boundary" in reasons["(Intercept)"]


# text


def test_header_names_model_data_intervals_priors_and_draws(reml, ml, post):
    text = as_text(comparison_blocks(hb.compare(reml, ml, post)))
    joined = " ".join(text.split())
    for part in (
        "Comparison of ML, REML and posterior",
        "Reaction ~ Days + (Days | Subject)",
        "180 used; groups: Subject, 18",
        "95 % Wald confidence intervals and p of the fixed effects, with Satterthwaite's degrees",
        "posterior: 95 % equal-tailed credible intervals",
        "posterior: 4 x 1000 draws by the collapsed sampler",
        "cor(Subject) ~ LKJ(2)",
        "(Intercept) ~ Normal(298.5, 140.8) at the mean of the predictors",
    ):
        assert part in joined


def test_text_and_html_show_the_fits_numbers_within_100_columns(reml, ml, post):
    found = hb.compare(reml, ml, post)
    text, html = as_text(comparison_blocks(found)), fragment(comparison_blocks(found))
    row = next(line for line in text.splitlines() if line.startswith("sd(Days|Subject)"))
    assert row.split()[1:3] == ["5.72", "5.92"]  # ML, REML
    for number in ("24.74", "[237.01, 265.80]", "251.41"):
        assert number in text
        assert number in html
    assert max(map(len, text.splitlines())) <= 100
    assert found._repr_html_() == html
    assert str(found) == text


def test_findings_are_told_once_with_their_fits(on_boundary):
    text = as_text(comparison_blocks(on_boundary))
    assert "- REML: The between-Batch sd is estimated as exactly zero." in text


def test_labels_are_escaped(sleep):
    odd = sleep.rename(columns={"Days": "<b>"})
    model = hb.Model("Reaction ~ `<b>` + (1 | Subject)", odd)
    html = fragment(comparison_blocks(hb.compare(model.fit("reml"), model.fit("ml"))))
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


# several posteriors, and posteriors of different models


def test_posteriors_of_one_model_under_two_priors(sleep, reml, post):
    tight = hb.Model(SLEEP, sleep, priors={"sd(Days|Subject)": hb.HalfNormal(1)})
    found = hb.compare(post, tight.sample(random_seed=2), reml, names=("wide", "tight", "REML"))
    table = found.to_frame()
    name = "sd(Days|Subject)"
    assert table.loc[name, "tight_mean"] < table.loc[name, "wide_mean"]
    assert f"{name} ~ HalfNormal(1) (tight)" in found.priors
    assert sum(line.startswith("sigma ~") for line in found.priors) == 1
    gap = hb.compare(post, tight.sample(random_seed=2)).to_frame()["why"][name]
    assert gap.startswith("the second posterior's mean is")


@pytest.mark.parametrize("by", [None, "Subject"])
def test_posteriors_of_different_formulas_are_compared_by_elpd(sleep, post, by):
    other = hb.Model("Reaction ~ Days + (1 | Subject)", sleep).sample(random_seed=1)
    found = hb.compare(other, post, names=("intercepts", "slopes"), by=by)
    table = found.to_frame()
    results = hb.loo(post, by=by), hb.loo(other, by=by)
    assert table.index.tolist() == ["slopes", "intercepts"]
    assert table["elpd"].tolist() == [result.elpd for result in results]
    gaps = results[1].pointwise["elpd"] - results[0].pointwise["elpd"]
    assert table["elpd_diff"].tolist() == pytest.approx([0, gaps.sum()])
    assert table["se_diff"].iloc[1] == pytest.approx(np.sqrt(len(gaps) * gaps.var()))
    text = " ".join(str(found).split())
    assert "slopes predicts best; intercepts is" in text
    assert found.formulas["slopes"] == SLEEP
    assert f"{results[0].elpd:.1f}" in text
    assert f"{results[0].elpd:.1f}" in found._repr_html_()


# refusals


def test_lists_numbers_and_single_fits_are_refused(reml):
    with pytest.raises(hb.HierBayesError, match="one by one"):
        hb.compare([reml, reml])
    with pytest.raises(hb.HierBayesError, match="it got int 3"):
        hb.compare(reml, 3)
    with pytest.raises(hb.HierBayesError, match="two or more fits; it got 1"):
        hb.compare(reml)


def test_different_formulas_are_named(sleep, reml, post):
    small = hb.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(hb.DataError, match=r"\(1 \| Subject\)\)\. hb\.anova compares"):
        hb.compare(reml, small)
    with pytest.raises(hb.DataError, match="fit one formula both ways"):
        hb.compare(small, post)


def test_different_data_are_named(sleep, reml, model):
    short = hb.lmer(SLEEP, sleep.iloc[:150])
    with pytest.raises(hb.DataError, match=r"different rows \(180 and 150\)"):
        hb.compare(reml, short)
    with pytest.raises(hb.DataError, match="different values of Reaction"):
        hb.compare(reml, hb.lmer(SLEEP, sleep.assign(Reaction=sleep["Reaction"] * 2)))
    with pytest.raises(hb.DataError, match="different values of their predictors"):
        hb.compare(reml, hb.lmer(SLEEP, sleep.assign(Days=sleep["Days"] + 1)))
    with pytest.raises(hb.DataError, match="different weights"):
        hb.compare(reml, hb.lmer(SLEEP, sleep, weights="1 + Days"))


def test_other_contrasts_are_named():
    cake = hb.load_dataset("cake")
    formula = "angle ~ recipe + (1 | recipe:replicate)"
    plain = hb.lmer(formula, cake)
    with pytest.raises(hb.DataError, match="code their factors differently"):
        hb.compare(plain, hb.lmer(formula, cake, contrasts={"recipe": "sum"}))


def test_a_posterior_that_has_not_converged_says_so_in_its_rows(reml, post):
    bad = replace(post, findings=(Finding("r_hat", "The chains do not agree."),))
    vars(bad)["chain_statistics"] = post.chain_statistics
    draws = replace(post.draws, beta=post.draws.beta + 20 * np.arange(4)[:, None, None])
    bad = replace(bad, draws=draws)
    reasons = hb.compare(reml, bad).to_frame()["why"]
    assert reasons["Days"].startswith("sampler not converged (R-hat ")
    assert not reasons["sigma"].startswith("sampler not converged")


def test_names_must_fit(reml, ml):
    with pytest.raises(hb.HierBayesError, match="must be 2 different names"):
        hb.compare(reml, ml, names=("one",))


def test_why_names_the_error_of_laplace_where_it_is_large():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(40), 4)
    eta = 0.3 + 2.0 * rng.normal(size=40)[g]
    data = {"y": (rng.random(160) < 1 / (1 + np.exp(-eta))).astype(int), "g": g}
    model = hb.Model("y ~ 1 + (1 | g)", data, "binomial")
    post = model.sample(draws=500, random_seed=1)
    laplace, exact = model.fit(), model.fit(n_quadrature=15)
    shift = laplace.laplace_error.shifts["sd_(Intercept)|g"]
    assert shift > 0.1 and exact.theta[0] > laplace.theta[0]
    told = hb.compare(laplace, post).to_frame()["why"]["sd((Intercept)|g)"]
    assert f"ML is {shift:.2f} SE too low: Laplace's approximation" in told
    assert "Laplace" not in hb.compare(exact, post).to_frame()["why"]["sd((Intercept)|g)"]


def test_models_that_differ_in_their_residuals_alone_are_compared_by_their_predictions():
    data = hb.load_dataset("Orthodont")
    formula = "distance ~ age + (1 | Subject)"
    one, two = (
        hb.Model(formula, data, sigma=sigma).sample(draws=100, random_seed=1)
        for sigma in (None, "~ Sex")
    )
    found = hb.compare(one, two, names=("one sd", "an sd for each sex"))
    assert found.formulas == {"one sd": formula, "an sd for each sex": f"{formula}, sigma ~ Sex"}
    assert found.to_frame().index[0] == "an sd for each sex"
    assert hb.bayes_factor(one, two).formulas[1] == f"{formula}, sigma ~ Sex"
    with pytest.raises(DataError, match="sigma ~ Sex"):
        hb.compare(one.model.fit(), two)
