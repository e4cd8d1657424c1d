"""Marginal means of ordered categories: those predictions have, with the errors of finite steps."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

import hierbayes as hb
from hierbayes.results.generalised_fit import GeneralisedFit
from tests.ordinal_data import wine

FORMULA = "rating ~ temp + contact + (1 | judge)"
CELLS = pd.DataFrame({"temp": ["cold", "warm"] * 2, "contact": ["no"] * 2 + ["yes"] * 2})
LIMITS = ("estimate", "std_error", "conf_low", "conf_high")
BOTH = pytest.mark.parametrize("family", ["cumulative", "sratio"])


@cache
def wine_fit(family: str = "cumulative") -> GeneralisedFit:
    return hb.glmer(FORMULA, wine(), family)


@BOTH
def test_means_of_cells_are_the_predictions_for_a_typical_group(family):
    fit, options = wine_fit(family), {"groups": "none", "interval": "confidence"}
    found = hb.emmeans(fit, "temp", by="contact", type="response").to_frame()
    expected = fit.predict(CELLS, **options)
    np.testing.assert_allclose(found[list(LIMITS)], expected, rtol=1e-9)
    found = hb.emmeans(fit, "temp", by="contact", type="probability").to_frame()
    assert found.columns[:3].tolist() == ["temp", "contact", "category"]
    found = found.set_index(["contact", "temp", "category"]).sort_index()
    expected = fit.predict(CELLS, type="probability", **options)
    np.testing.assert_allclose(found[list(LIMITS)], expected, rtol=1e-9)


@BOTH
def test_contrasts_have_the_errors_of_finite_steps(family):
    fit = wine_fit(family)
    cuts = np.array([value for value, _ in fit.further_parameters.values()])
    K, at = cuts.size, fit.response_family

    def of(x, category):
        eta = np.array([0.0, x[0]]) + x[1] / 2
        shares = at.category_probabilities(eta, {"threshold": x[2:]})
        if category is None:
            return np.subtract(*(shares @ np.arange(K + 1.0)))
        return np.subtract(*np.log(shares[:, category]))

    x = np.concatenate([fit.beta, cuts])
    rows = np.r_[:2, fit.optimum.vcov.shape[0] - K : fit.optimum.vcov.shape[0]]
    vcov, steps = fit.optimum.vcov[np.ix_(rows, rows)], 1e-6 * np.eye(x.size)
    mean = hb.emmeans(fit, "temp", type="response", contrasts="pairwise").contrasts
    ratios = hb.emmeans(
        fit, "temp", type="probability", kind="ratio", contrasts="pairwise", adjust="none"
    ).contrasts
    assert ratios["category"].tolist() == ["1", "2", "3", "4", "5"]
    for category in (None, *range(K + 1)):
        slopes = [(of(x + h, category) - of(x - h, category)) / 2e-6 for h in steps]
        value, se = of(x, category), np.sqrt(slopes @ vcov @ slopes)
        row = mean.iloc[0] if category is None else ratios.iloc[category]
        assert row["statistic"] == pytest.approx(value / se, rel=1e-6)
        shown = value if category is None else np.exp(value)
        assert row["estimate"] == pytest.approx(shown, rel=1e-9)


def test_probabilities_of_all_groups_are_integrals_over_their_effects():
    fit = wine_fit()
    found = hb.emmeans(fit, "temp", by="contact", type="probability", bias_adjust=True).to_frame()
    assert found.groupby(["temp", "contact"])["estimate"].sum().to_numpy() == pytest.approx(1)
    sd, cuts = float(fit.effect_roots[0][0, 0]), list(fit.further_parameters.values())
    first = found.set_index(["temp", "contact", "category"]).loc[("warm", "no", "1"), "estimate"]
    exact = quad(
        lambda u: expit(cuts[0][0] - fit.fixef()["tempwarm"] - sd * u) * norm.pdf(u), -9, 9
    )[0]
    assert first == pytest.approx(exact, abs=1e-9)


def test_a_posterior_averages_over_its_draws():
    post = hb.Model(FORMULA, wine(), "cumulative").sample(random_seed=1)
    found = hb.emmeans(post, "temp", by="contact", type="probability").to_frame()
    found = found.set_index(["contact", "temp", "category"]).sort_index()
    options = {"groups": "none", "interval": "confidence"}
    expected = post.predict(CELLS, type="probability", **options)
    np.testing.assert_allclose(found[list(LIMITS)], expected, rtol=1e-9)
    found = hb.emmeans(post, "temp", by="contact", type="response").to_frame()
    np.testing.assert_allclose(found[list(LIMITS)], post.predict(CELLS, **options), rtol=1e-9)
    odds = hb.emmeans(
        post, "temp", type="probability", kind="odds_ratio", contrasts="pairwise"
    ).contrasts
    log_odds = post.draws.beta[..., 0]  # of the highest category, in a proportional-odds model
    assert odds["estimate"].iloc[-1] == pytest.approx(np.exp(-log_odds).mean(), rel=1e-6)


def test_scales_that_means_have_not_are_one_sentence():
    cbpp = hb.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", hb.load_dataset("cbpp")
    )
    with pytest.raises(hb.OptionError, match="is for ordered categories"):
        hb.emmeans(cbpp, "period", type="probability")
    with pytest.raises(hb.OptionError, match="a marginal mean has no number of trials"):
        hb.emmeans(cbpp, "period", type="count")
    with pytest.raises(hb.OptionError, match="type='probability' has them"):
        hb.emmeans(wine_fit(), "temp", type="response", kind="ratio")
    assert "probability scale" in str(hb.emmeans(wine_fit(), "temp", type="probability"))
