"""Making psychometric models: what is taken, what is refused; their fits are fits like others."""

import warnings
from functools import cache

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.errors import DataError, FormulaError, NotSupportedError, OptionError
from hierbayes.families.psychometric import curve_record
from hierbayes.reports.code_lines import fit_code
from tests.psychometrics.observers import SPEED, observers


def model(formula=SPEED, data=None, **options):
    given = {"stimulus": "speed", "guess": "lapse", "lapse": "estimate", "n": "trials"} | options
    return hb.psychometric(
        formula, hb.load_dataset("touch_speed") if data is None else data, **given
    )


@cache
def fit():
    return model().fit()


@cache
def posterior():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        data = observers(levels=6, lapse=0.03)
        options = {"stimulus": "x", "guess": 0.0, "lapse": "estimate", "n": "n"}
        made = hb.psychometric("k ~ x + (1 | subject)", data, **options)
        return made.sample(draws=200, chains=2, random_seed=1)


BAD = {
    "a stimulus that is not there": ({"stimulus": "sped"}, DataError, "did you mean 'speed'"),
    "a stimulus of categories": ({"stimulus": "vibration"}, DataError, "is a category"),
    "no name": ({"stimulus": 3}, OptionError, "name of a column"),
    "a bend": ({"formula": "faster ~ poly(speed, 2)"}, FormulaError, "bends along"),
    "a bend in a condition": (
        {"formula": "faster ~ speed + vibration:I(speed^2)"},
        FormulaError,
        "bends along",
    ),
    "an impossible rate": ({"guess": -0.1}, OptionError, "a rate from 0 to below 1"),
    "a word that is no rate": ({"lapse": "subjects"}, OptionError, "or 'estimate'"),
    "a rate for each observer": ({"lapse": "subject"}, NotSupportedError, "one rate that all"),
    "no room between": ({"guess": 0.6, "lapse": 0.4}, OptionError, "no curve between them"),
    "an unknown shape": ({"link": "probitt"}, OptionError, "did you mean 'probit'"),
    "weibull in x": ({"link": "weibull"}, OptionError, r"write log\(speed\)"),
    "gumbel in log x": (
        {"formula": "faster ~ log(speed)", "link": "gumbel"},
        OptionError,
        "write speed in the formula",
    ),
    "trials twice": (
        {"formula": "cbind(faster, trials - faster) ~ speed"},
        OptionError,
        "give one of them",
    ),
    "trials that are none": ({"n": [3, 4]}, OptionError, "guess: 1/4 of four"),
    "more successes than trials": ({"n": 10}, DataError, "at least 0; row"),
    "counts without trials": ({"n": None}, DataError, "cbind"),
    "another family": ({"family": "poisson"}, OptionError, "has no place"),
    "weights": ({"weights": "trials"}, OptionError, "has no place"),
    "overdispersion of what": ({"overdispersed": 2}, OptionError, "overdispersed"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_model_that_cannot_be_is_one_sentence(case):
    options, error, said = BAD[case]
    with pytest.raises(error, match=said):
        model(**options)


def test_a_number_of_alternatives_is_not_taken_for_one_of_trials():
    data = {"correct": [0, 1, 1, 1] * 5, "x": [1.0, 2.0, 3.0, 4.0] * 5}
    with pytest.raises(OptionError, match="guess=1/2"):
        hb.psychometric("correct ~ x", data, stimulus="x", n=2)


def test_one_stimulus_and_a_flat_condition_are_refused():
    data = hb.load_dataset("touch_speed")
    with pytest.raises(DataError, match="at least two stimuli"):
        model("faster ~ speed", data.assign(speed=3.0))
    with pytest.raises(DataError, match="no slope along"):
        model("faster ~ I(0 * speed) + vibration", data)


def test_responses_below_the_guess_rate_are_pointed_out():
    with pytest.warns(hb.DesignWarning, match="guess=0 is for answers of yes or no"):
        model(guess=0.5, lapse=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = observers(guess=0.5, lapse=0.02)
        hb.psychometric("k ~ x + (x | subject)", data, stimulus="x", guess=0.5, n="n")


def test_a_fit_says_which_function_it_is():
    text = fit().summary()
    assert "Curve: along speed, lapse estimated, at both ends" in text
    assert "Parameters of the family psychometric" in text
    assert "guess 0.5, lapse 0.02" in model(guess=0.5, lapse=0.02, formula="faster ~ speed",
        data=observers(guess=0.5).rename(columns={"x": "speed", "k": "faster", "n": "trials"}),
    ).explain()  # fmt: skip


def test_what_other_fits_answer_is_answered():
    one = fit()
    again = one.refit(one.simulate(1, random_seed=1)["sim_1"])
    assert type(again) is type(one)
    smaller = one.update(". ~ . - speed:vibration")
    assert curve_record(smaller.response_family.curve) == curve_record(one.response_family.curve)
    assert hb.anova(one, smaller).to_frame()["df"].iloc[-1] == 1


def test_the_expected_response_runs_between_the_rates():
    from scipy.special import ndtr

    one = fit()
    lapse = one.dispersion["lapse"]
    eta = one.predict(type="link").to_numpy()
    assert np.allclose(one.fitted(), lapse + (1 - 2 * lapse) * ndtr(eta), rtol=1e-10)
    assert np.allclose(one.predict(), one.fitted(), rtol=1e-10)
    k, n = one.design.y[:, 0], one.design.y.sum(axis=1)
    psi = one.fitted().to_numpy()
    assert np.allclose(one.residuals("pearson"), (k / n - psi) / np.sqrt(psi * (1 - psi) / n))
    with pytest.raises(hb.NotSupportedError, match=r"hb\.plot\.psychometric"):
        one.predict(interval="confidence")
    known = model(lapse=0.02).fit()
    table = known.predict(interval="confidence")
    assert (table["lower"] < table["prediction"]).all()
    assert table["upper"].max() < 0.98


def test_fits_and_posteriors_come_back_from_a_file(tmp_path):
    for one in (fit(), posterior()):
        one.save(tmp_path / "one")
        again = hb.load(tmp_path / "one")
        assert type(again) is type(one)
        assert curve_record(again.response_family.curve) == curve_record(one.response_family.curve)
        assert np.allclose(again.pse()["estimate"], one.pse()["estimate"], rtol=1e-8)


def test_a_report_shows_the_call_that_makes_it():
    lines = "\n".join(fit_code(fit()))
    assert 'hb.psychometric(\n    "cbind(faster, trials - faster) ~ speed * vibration' in lines
    assert '    stimulus="speed",\n    guess="lapse",\n    lapse="estimate",' in lines
    assert "register_family" not in lines


def test_a_posterior_has_thresholds_of_its_draws():
    post = posterior()
    assert post.sampler == "collapsed"
    table = post.pse(groups="none")
    beta = post.draws.beta.reshape(-1, 2)
    draws = -beta[:, 0] / beta[:, 1]
    assert table["method"].tolist() == ["posterior"]
    row = table.iloc[0]
    assert np.isclose(row["estimate"], np.median(draws))
    assert np.isclose(row["std_error"], draws.std(ddof=1))
    assert np.allclose(row[["lower", "upper"]].tolist(), np.quantile(draws, [0.025, 0.975]))
    b = post.draws.b["subject"].reshape(-1, 6, 1)[:, 2, 0]
    own = post.pse().set_index("level").loc["s3", "estimate"]
    assert np.isclose(own, np.median(-(beta[:, 0] + b) / beta[:, 1]))
    lapse = post.draws.family["lapse"].ravel()
    assert 0 < lapse.mean() < 0.1
    assert post.threshold(0.75, groups="none")["estimate"].notna().all()
    assert np.isfinite(post.goodness_of_fit(50, random_seed=1).p_deviance)


def test_the_posterior_is_about_where_the_maximum_is():
    post = posterior()
    ml = post.model.fit()
    one, two = post.pse(), ml.pse()
    assert (abs(one["estimate"] - two["estimate"]) < two["std_error"]).all()


def test_pymc_has_the_model_with_its_rates_and_correlations():
    free = {variable.name for variable in model().to_pymc().free_RVs}
    assert free == {"beta", "sd_subject", "corr_subject", "b_subject", "lapse"}
