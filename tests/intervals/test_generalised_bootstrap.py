"""The bootstrap of generalised fits: what simulate and refit give, read as intervals."""

import joblib
import numpy as np
import pytest

import hierbayes as hb

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")


@pytest.fixture(scope="module")
def fit():
    return hb.glmer(CBPP, hb.load_dataset("cbpp"))


@pytest.fixture(scope="module")
def found(fit):
    return hb.bootstrap(fit, nsim=200, random_seed=1)


def test_replicates_are_refits_of_simulated_responses(fit, found):
    # a part of fewer than 250 replicates has one seed, drawn first
    seed = int(np.random.default_rng(1).integers(2**63, size=1)[0])
    drawn = fit.simulate(200, random_seed=seed)
    for t in (0, 7, 150):
        again = fit.refit(drawn.iloc[:, t])
        np.testing.assert_allclose(
            found.replicates[t], again.interval_estimates, atol=1e-4, rtol=1e-4
        )


def test_workers_do_not_change_the_numbers(fit):
    one = hb.bootstrap(fit, nsim=260, random_seed=1)
    with joblib.parallel_config(backend="threading"):
        two = hb.bootstrap(fit, nsim=260, random_seed=1, n_jobs=2)
    np.testing.assert_array_equal(one.replicates, two.replicates)


def test_limits_agree_with_lme4s_bootmer(fit):
    # bootMer(fit, nsim = 2000, seed = 1) of lme4 1.1-31: 2.5 and 97.5 % quantiles
    reference = {
        "sd_(Intercept)|herd": (0.130614, 0.976641),
        "(Intercept)": (-1.891646, -0.967527),
        "period2": (-1.640991, -0.480571),
        "period3": (-1.803315, -0.567636),
        "period4": (-2.585150, -0.900610),
    }  # 0.35 sd is four Monte-Carlo errors of both
    limits = hb.bootstrap(fit, nsim=2000, random_seed=2).confint()
    for name, (low, high) in reference.items():
        sd = (high - low) / 4
        assert limits.loc[name, "lower"] == pytest.approx(low, abs=0.35 * sd)
        assert limits.loc[name, "upper"] == pytest.approx(high, abs=0.35 * sd)


def test_every_interval_exists_and_the_table_says_what_it_is(fit):
    for interval in ("percentile", "basic", "bca"):
        table = hb.confint(fit, method="bootstrap", nsim=100, random_seed=1, interval=interval)
        assert (table["lower"] < table["estimate"]).all()
        assert (table["upper"] > table["estimate"]).all()
        assert table.attrs["details"].startswith(f"{interval} limits of 100 parametric")


def test_a_statistic_sees_the_fit_of_each_replicate(fit, found):
    first = hb.bootstrap(fit, lambda fit: fit.fixef().iloc[0], nsim=5, random_seed=3)
    all_of_them = hb.bootstrap(fit, nsim=5, random_seed=3)
    np.testing.assert_allclose(first.replicates[:, 0], all_of_them.replicates[:, 1])
    with pytest.raises(hb.NotSupportedError, match="percentile"):
        first.confint(interval="bca")


def test_parameters_of_the_family_have_intervals_too():
    ticks = hb.load_dataset("grouseticks")
    fit = hb.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, "negativebinomial")
    assert hb.confint(fit).index.tolist()[:2] == ["sd_(Intercept)|BROOD", "alpha"]
    found = hb.bootstrap(fit, nsim=20, random_seed=1)
    low, high = found.confint().loc["alpha", ["lower", "upper"]]
    assert 0 < low < fit.dispersion["alpha"] < high


def test_other_kinds_say_what_there_is(fit):
    with pytest.raises(hb.NotSupportedError, match="kind='parametric' draws from the model"):
        hb.bootstrap(fit, kind="cases")


def test_r2_has_an_interval(fit):
    table = hb.r2(fit, interval="bootstrap", nsim=50, random_seed=1)
    assert "percentiles of" in str(table)


def test_the_text_says_what_was_drawn_and_left_out(found):
    text = " ".join(str(found).split())
    assert "Drawn anew: random effects and responses from the fitted model" in text
    assert found.kind == "parametric" and "on the boundary" in text


def test_thresholds_of_ordered_categories_have_intervals():
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 8), rng.normal(size=120)
    latent = 0.8 * x + rng.normal(size=15)[g] + rng.logistic(size=120)
    data = {"y": np.digitize(latent, [-1, 0.5]), "x": x, "g": g}
    fit = hb.glmer("y ~ x + (1 | g)", data, "cumulative")
    found = hb.bootstrap(fit, nsim=6, random_seed=1)
    assert found.names[1:3] == ("threshold[1]", "threshold[2]")
    seed = int(np.random.default_rng(1).integers(2**63, size=1)[0])
    again = fit.refit(fit.simulate(6, random_seed=seed).iloc[:, 2])
    np.testing.assert_allclose(found.replicates[2], again.interval_estimates, atol=1e-5)
    small = hb.glmer("y ~ 1 + (1 | g)", data, "cumulative")
    assert hb.pb_test(small, fit, nsim=20, random_seed=1).p_value < 0.1
    with pytest.raises(hb.NotSupportedError, match="type='response'"):
        hb.shrinkage(fit, type="response")
