"""Lines along a variable are what predict answers, for both estimators."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.prediction.effect_lines import effect_lines


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def fits(model):
    return {"reml": model.fit(), "posterior": model.sample(random_seed=1)}


@pytest.mark.parametrize("method", ["reml", "posterior"])
def test_lines_are_those_of_predict(fits, method):
    fit = fits[method]
    found = effect_lines(fit)
    assert (found.x_name, found.group_name, found.response) == ("Days", "Subject", "Reaction")
    new = pd.DataFrame({"Days": found.typical["x"]})
    typical = fit.predict(new, groups="none", interval="confidence")
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_allclose(found.typical[name], typical[name])
    line = found.groups[found.groups["group"] == "335"]
    own = fit.predict(pd.DataFrame({"Days": line["x"], "Subject": "335"}))
    np.testing.assert_allclose(line["prediction"], own)
    beta = fit.fixef()
    np.testing.assert_allclose(
        found.typical["prediction"], beta["(Intercept)"] + beta["Days"] * new["Days"]
    )


@pytest.mark.parametrize("method", ["reml", "posterior"])
def test_the_outer_band_is_of_a_new_response_of_a_new_group(fits, method):
    fit = fits[method]
    found = effect_lines(fit)
    new = pd.DataFrame({"Days": found.new["x"], "Subject": "somebody else"})
    expected = fit.predict(new, new_levels="population", interval="prediction", random_seed=1)
    for name in ("lower", "upper"):
        np.testing.assert_allclose(found.new[name], expected[name])
    assert "spread of new levels of Subject" in found.new_words
    assert "random effects left out (the typical group)" in found.typical_words
    assert effect_lines(fit, new_responses=False).new is None


def test_other_predictors_stand_at_mean_and_mode():
    cake = hb.load_dataset("cake").assign(wet=lambda d: d.temp > 180)
    fit = hb.lmer("angle ~ recipe + temp + wet + (1 | recipe:replicate)", cake)
    found = effect_lines(fit, x="recipe")
    assert found.categories == ("A", "B", "C")
    assert found.held == {"temp": "200", "wet": "True"}
    rows = pd.DataFrame({"recipe": ["A", "B", "C"], "temp": 200.0, "wet": True})
    np.testing.assert_allclose(found.typical["prediction"], fit.predict(rows, groups="none"))


def test_a_level_that_has_one_x_is_drawn_there_only():
    fit = hb.lmer("angle ~ recipe + (1 | recipe:replicate)", hb.load_dataset("cake"))
    found = effect_lines(fit, x="recipe")
    lines = found.groups
    assert len(lines) == 45
    places = lines.set_index("group")["x"]
    assert places["A:1"] == 0 and places["C:15"] == 2
    own = fit.predict(pd.DataFrame({"recipe": ["C"], "replicate": ["15"]}))
    assert lines.set_index("group").loc["C:15", "prediction"] == pytest.approx(own.iloc[0])


def test_without_predictors_the_groups_are_along_x():
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    found = effect_lines(fit, group="sample")
    assert found.x_name == "sample" and found.categories == tuple("ABCDEF")
    mean = fit.fixef()["(Intercept)"]
    np.testing.assert_allclose(
        found.groups["prediction"], mean + fit.ranef()["sample"]["(Intercept)"]
    )
    assert (found.groups["lower"] < found.groups["upper"]).all()


def test_transforms_offsets_and_logicals_go_through_the_formula():
    sleep = hb.load_dataset("sleepstudy").assign(late=lambda d: d.Days > 4, base=2.0)
    fit = hb.lmer("log(Reaction) ~ poly(Days, 2) + late + offset(base) + (1 | Subject)", sleep)
    found = effect_lines(fit, x="Days")
    rows = pd.DataFrame({"Days": found.typical["x"], "late": False, "base": 2.0})
    np.testing.assert_allclose(found.typical["prediction"], fit.predict(rows, groups="none"))
    assert set(effect_lines(fit, x="late").typical["x"]) == {0.0, 1.0}


@pytest.mark.parametrize("offset", ["exposure", "log(2 * rate)"])
def test_an_offset_given_as_an_argument_stands_at_the_mean_of_its_column(offset):
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=90), "g": np.arange(90) % 9})
    data["exposure"], data["rate"] = 0.1 * rng.normal(size=90), rng.uniform(1, 1.2, 90)
    data["y"] = rng.poisson(np.exp(0.5 * data.x + 0.4 * rng.normal(size=9)[data.g]))
    fit = hb.glmer("y ~ x + (1 | g)", data, "poisson", offset=offset)
    found = effect_lines(fit, x="x")
    rows = pd.DataFrame({"x": found.typical["x"]})
    rows = rows.assign(exposure=data.exposure.mean(), rate=data.rate.mean())
    np.testing.assert_allclose(found.typical["prediction"], fit.predict(rows, groups="none"))
    assert len(found.held) == 1


def test_known_residual_sds_have_no_band_of_new_responses():
    schools = hb.load_dataset("eight_schools")
    model = hb.Model("effect ~ 1 + (1 | school)", schools, known_sd="se")
    assert effect_lines(model.sample(random_seed=1)).new is None


def test_a_linear_model_has_a_line_and_no_groups():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    found = effect_lines(fit)
    assert found.groups.empty and found.group_name == ""
    assert len(found.points) == 180


def test_wrong_names_are_told(fits):
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        effect_lines(fits["reml"], x="days")
    with pytest.raises(hb.OptionError, match="did you mean 'Subject'"):
        effect_lines(fits["reml"], group="subject")
