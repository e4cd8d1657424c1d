"""The bootstrap likelihood-ratio test: pbkrtest's numbers, and what can't be tested."""

import warnings

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.comparison.pb_test import pb_table
from tests.reference_fits import load_reference

LARGE = "Reaction ~ Days + (Days | Subject)"
SMALL = {
    "pb_ss_days": "Reaction ~ 1 + (Days | Subject)",
    "pb_ss_uncorr_vs_max": "Reaction ~ Days + (Days || Subject)",
}


@pytest.fixture(autouse=True)
def _no_findings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        yield


def sleep(formula, **options):
    return hb.lmer(formula, hb.load_dataset("sleepstudy"), **options)


@pytest.mark.parametrize("name", SMALL)
def test_p_is_pbkrtests_within_monte_carlo_error(name):
    reference = load_reference(f"boot/{name}")
    found = hb.pb_test(sleep(SMALL[name]), sleep(LARGE), nsim=1000, random_seed=20261)
    expected = reference["summary_table"]["columns"]
    assert found.statistic == pytest.approx(expected["stat"][0], abs=1e-5)
    assert found.p_asymptotic == pytest.approx(expected["p.value"][0], rel=1e-4)
    p = expected["p.value"][1]
    error = np.sqrt(2 * p * (1 - p) / 1000)  # both p-values have it
    assert abs(found.p_value - p) < 3 * error
    error = np.sqrt((reference["reference_var"] + found.reference.var()) / 1000)
    assert abs(found.reference.mean() - reference["reference_mean"]) < 3 * error
    assert found.used == 1000


@pytest.mark.parametrize("name", SMALL)
def test_approximations_are_pbkrtests(name):
    """From samples of the reference's mean and variance come the reference's numbers."""
    reference = load_reference(f"boot/{name}")
    expected = reference["summary_table"]["columns"]
    mean, spread = reference["reference_mean"], np.sqrt(reference["reference_var"] / 2)
    table = pb_table(expected["stat"][0], np.array([mean - spread, mean + spread]), 1)
    assert table.loc["Bartlett", "statistic"] == pytest.approx(expected["stat"][3])
    assert table.loc["F", "ddf"] == pytest.approx(expected["ddf"][4])
    for row, p in ((2, "Gamma"), (3, "Bartlett"), (4, "F")):
        assert table.loc[p, "p_value"] == pytest.approx(expected["p.value"][row], rel=1e-6)


def test_p_counts_the_observed_sample():
    table = pb_table(3.0, np.array([0.0, 1.0, 3.0, 5.0]), 2)
    assert table.loc["PBtest", "p_value"] == pytest.approx(3 / 5)
    assert table.loc["LRT", "p_value"] == pytest.approx(stats.chi2.sf(3, 2))
    assert np.isnan(table.loc["F", "p_value"]) == (9 / 4 <= 2)


def test_p_values_are_uniform_under_the_small_model():
    small, large = sleep("Reaction ~ 1 + (1 | Subject)"), sleep("Reaction ~ Days + (1 | Subject)")
    Y = small.simulate(60, random_seed=1).to_numpy()
    p = [
        hb.pb_test(small.refit(y), large.refit(y), nsim=99, random_seed=i).p_value
        for i, y in enumerate(Y.T)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_variance_of_zero_has_half_of_its_samples_there():
    data = hb.load_dataset("Dyestuff")
    small, large = hb.lmer("Yield ~ 1", data), hb.lmer("Yield ~ 1 + (1 | Batch)", data)
    found = hb.pb_test(small, large, nsim=1000, random_seed=1)
    assert found.share_at_zero == pytest.approx(0.66, abs=0.05)
    assert found.p_value < found.p_asymptotic / 2
    assert "where the approximations do not hold" in " ".join(str(found).split())


def test_a_slope_variance_of_zero_is_noticed():
    found = hb.pb_test(
        sleep("Reaction ~ Days + (1 | Subject)"), sleep(LARGE), nsim=300, random_seed=1
    )
    assert found.reference.mean() < 2
    assert "less than df = 2: the smaller one lies on its boundary" in " ".join(str(found).split())
    assert np.isnan(found.table.loc["F", "p_value"])


def test_no_evidence_at_all_has_p_one():
    data = hb.load_dataset("Dyestuff2")
    small, large = hb.lmer("Yield ~ 1", data), hb.lmer("Yield ~ 1 + (1 | Batch)", data)
    found = hb.pb_test(small, large, nsim=50, random_seed=1)
    assert (found.statistic, found.p_value, found.extremes) == (0.0, 1.0, 50)


def test_fits_by_ml_give_the_same_test():
    by_ml = hb.pb_test(
        sleep(SMALL["pb_ss_days"], reml=False), sleep(LARGE, reml=False), nsim=20, random_seed=1
    )
    by_reml = hb.pb_test(sleep(SMALL["pb_ss_days"]), sleep(LARGE), nsim=20, random_seed=1)
    np.testing.assert_array_equal(by_ml.reference, by_reml.reference)
    assert by_reml.refitted
    assert not by_ml.refitted
    assert "fitted again by ML" in str(by_reml)
    assert "fitted again by ML" not in str(by_ml)


def test_workers_change_nothing():
    small, large = sleep(SMALL["pb_ss_days"]), sleep(LARGE)
    one = hb.pb_test(small, large, nsim=260, random_seed=2)
    two = hb.pb_test(small, large, nsim=260, random_seed=2, n_jobs=2)
    np.testing.assert_array_equal(one.reference, two.reference)


@pytest.mark.parametrize("options", [{"weights": "1 / (1 + Days)"}, {"known_sd": "20 + Days"}])
def test_weights_and_known_sds_are_kept(options):
    small, large = sleep("Reaction ~ 1 + (1 | Subject)", **options), sleep(LARGE, **options)
    found = hb.pb_test(small, large, nsim=20, random_seed=1)
    assert found.df == 3
    assert found.p_value == pytest.approx(1 / 21)


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [
        (LARGE, "Reaction ~ Days + (1 | Subject)", "Give the smaller one first"),
        (LARGE, LARGE, "Both models have 6 parameters"),
        ("log(Reaction) ~ 1 + (1 | Subject)", LARGE, "different responses"),
        ("Reaction ~ I(Days^2) + (1 | Subject)", LARGE, "so the models are not nested"),
        (
            "Reaction ~ Days + (0 + Days | Subject)",
            "Reaction ~ Days + I(Days^2) + (1 | Subject)",
            "lower likelihood than the small one",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(small, large, message):
    with pytest.raises(hb.DataError, match=message):
        hb.pb_test(sleep(small), sleep(large), nsim=5)


def test_other_rows_and_weights_are_refused():
    data = hb.load_dataset("sleepstudy")
    small = hb.lmer("Reaction ~ Days + (1 | Subject)", data[5:])
    with pytest.raises(hb.DataError, match="different rows"):
        hb.pb_test(small, sleep(LARGE), nsim=5)
    small = sleep("Reaction ~ Days + (1 | Subject)", weights="1 + Days")
    with pytest.raises(hb.DataError, match="different weights"):
        hb.pb_test(small, sleep(LARGE), nsim=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nsim": 0}, "nsim=0"),
        ({"n_jobs": 1.5}, "n_jobs=1.5"),
        ({"random_seed": -1}, "random_seed"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(hb.OptionError, match=message):
        hb.pb_test(sleep(SMALL["pb_ss_days"]), sleep(LARGE), **arguments)


def test_only_fits_are_tested():
    with pytest.raises(hb.OptionError, match="small must be a REML or ML fit, not str"):
        hb.pb_test("Reaction ~ 1", sleep(LARGE))


def test_the_table_reads_as_pbkrtests():
    text = str(hb.pb_test(sleep(SMALL["pb_ss_days"]), sleep(LARGE), nsim=100, random_seed=1))
    lines = text.splitlines()
    assert lines[0] == "Parametric-bootstrap likelihood-ratio test, 100 samples, 0 extreme"
    assert lines[2] == f"small: {SMALL['pb_ss_days']}"
    assert lines[5].split() == ["stat", "df", "ddf", "p.value"]
    assert [line.split()[0] for line in lines[6:11]] == ["LRT", "PBtest", "Gamma", "Bartlett", "F"]
    assert lines[6].split() == ["LRT", "23.537", "1", "1.226e-06", "***"]


def test_html_has_the_same_rows():
    html = hb.pb_test(sleep(SMALL["pb_ss_days"]), sleep(LARGE), nsim=20, random_seed=1)
    shown = html._repr_html_()
    assert shown.count('<th scope="row">') == 5
    assert "20 samples, 0 extreme." in shown
