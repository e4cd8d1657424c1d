"""Ratios, odds ratios and means over all groups: against links, quadrature and finite steps."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

import hierbayes as hb

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
RESPONSE = {"type": "response", "contrasts": "pairwise", "adjust": "none"}


@pytest.fixture(scope="module")
def cbpp():
    return hb.glmer(CBPP, hb.load_dataset("cbpp"))


@pytest.fixture(scope="module")
def post():
    return hb.Model(CBPP, hb.load_dataset("cbpp"), "binomial").sample(draws=200, random_seed=1)


@pytest.fixture(scope="module")
def slopes():
    """Poisson counts with slopes that vary over twelve groups."""
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(12), 10), np.tile(np.linspace(-1, 1, 10), 12)
    b = rng.normal(size=(12, 2)) * [0.5, 0.6]
    y = rng.poisson(np.exp(1 + 0.5 * x + b[g, 0] + b[g, 1] * x))
    return hb.glmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, "poisson")


def test_odds_ratios_of_a_logit_link_are_those_of_the_link_scale(cbpp):
    link = hb.emmeans(cbpp, "period", contrasts="pairwise").contrasts
    odds = hb.emmeans(
        cbpp, "period", type="response", kind="odds_ratio", contrasts="pairwise"
    ).contrasts
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(odds[column], np.exp(link[column]), rtol=1e-12)
    for column in ("statistic", "p_value"):
        np.testing.assert_allclose(odds[column], link[column], rtol=1e-9)
    assert odds["contrast"].tolist()[0] == "period1 / period2"


def test_risk_ratios_have_the_standard_errors_of_their_logs(cbpp):
    found = hb.emmeans(cbpp, "period", kind="ratio", **RESPONSE)
    p = found.means["estimate"].to_numpy()
    rows = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    slopes = (1 - p)[:, None] * rows  # of log p in beta
    gradient = slopes[0] - slopes[3]
    se = np.sqrt(gradient @ np.asarray(cbpp.vcov()) @ gradient)
    row = found.contrasts.set_index("contrast").loc["period1 / period4"]
    assert row["estimate"] == pytest.approx(p[0] / p[3], rel=1e-12)
    assert row["std_error"] == pytest.approx(p[0] / p[3] * se, rel=1e-9)
    assert row["conf_high"] == pytest.approx(p[0] / p[3] * np.exp(norm.ppf(0.975) * se), rel=1e-9)


def test_means_over_all_groups_are_integrals_over_their_effects(cbpp):
    found = hb.emmeans(cbpp, "period", bias_adjust=True, **RESPONSE).means["estimate"]
    sd = cbpp.varcorr().to_frame()["sdcor"][0]
    eta = cbpp.fixef().to_numpy() + np.array([0, 1, 1, 1]) * cbpp.fixef().iloc[0]
    for value, at in zip(found, eta, strict=True):
        exact = quad(lambda u, at=at: expit(at + sd * u) * norm.pdf(u), -9, 9)[0]
        assert value == pytest.approx(exact, abs=1e-9)


def test_means_over_groups_with_slopes_use_the_variance_where_they_stand(slopes):
    found = hb.emmeans(slopes, "x", at={"x": [-1, 2]}, bias_adjust=True, **RESPONSE).means
    root = slopes.effect_roots[0]
    z = np.array([[1, -1], [1, 2]])
    variance = ((z @ root) ** 2).sum(axis=1)
    exact = np.exp(z @ slopes.fixef().to_numpy() + variance / 2)
    np.testing.assert_allclose(found["estimate"], exact, rtol=1e-8)


def test_the_error_of_a_mean_over_all_groups_is_that_of_a_finite_step(cbpp):
    found = hb.emmeans(cbpp, "period", bias_adjust=True, kind="odds_ratio", **RESPONSE)
    sd = cbpp.varcorr().to_frame()["sdcor"][0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def log_odds(beta):
        eta = np.array([beta[0], beta[0] + beta[1]])
        return logit(expit(eta[:, None] + sd * nodes) @ weights / weights.sum()) @ [1, -1]

    beta, step = cbpp.fixef().to_numpy(), 1e-5
    gradient = [
        (log_odds(beta + step * e) - log_odds(beta - step * e)) / (2 * step) for e in np.eye(4)
    ]
    se = np.sqrt(gradient @ np.asarray(cbpp.vcov()) @ gradient)
    row = found.contrasts.iloc[0]
    assert row["estimate"] == pytest.approx(np.exp(log_odds(beta)), rel=1e-9)
    assert row["statistic"] == pytest.approx(log_odds(beta) / se, rel=1e-6)


def test_a_posterior_has_its_ratios_from_the_draws(post):
    found = hb.emmeans(post, "period", kind="odds_ratio", bias_adjust=False, **RESPONSE).contrasts
    period2 = post.draws.beta[..., 1].ravel()
    assert found["estimate"][0] == pytest.approx(np.exp(-period2).mean(), rel=1e-9)
    assert "odds ratios" in str(hb.emmeans(post, "period", kind="odds_ratio", **RESPONSE))


def test_a_posterior_averages_expected_responses_draw_by_draw(post):
    beta = post.draws.beta.reshape(-1, 4)
    share = expit(beta[:, :1] + np.column_stack([np.zeros(len(beta)), beta[:, 1:]]))
    found = hb.emmeans(post, [], regrid="response").means
    assert found["estimate"].iloc[0] == pytest.approx(share.mean())
    risks = hb.emmeans(post, "period").regrid("log").pairs(type="response").to_frame()
    assert risks["estimate"][0] == pytest.approx((share[:, 0] / share[:, 1]).mean())


def test_what_ratios_and_averages_need_is_said(cbpp, slopes):
    with pytest.raises(hb.OptionError, match="add type='response'"):
        hb.emmeans(cbpp, "period", kind="ratio")
    with pytest.raises(hb.OptionError, match="add type='response'"):
        hb.emmeans(cbpp, "period", bias_adjust=True)
    with pytest.raises(hb.OptionError, match="for probabilities"):
        hb.emmeans(slopes, "x", type="response", kind="odds_ratio")
    linear = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.OptionError, match="can't be negative"):
        hb.emmeans(linear, "Days", type="response", kind="ratio")
    bare = slopes.update("y ~ 1 + (x | g)")
    with pytest.raises(hb.DataError, match="vary with 'x', which is no predictor"):
        hb.emmeans(bare, [], type="response", bias_adjust=True)
