"""The regression table of a paper: models in columns, by any estimators."""

import math

import numpy as np
import pytest

import hierbayes as hb


@pytest.fixture(scope="module")
def fits():
    model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    return model.fit("reml"), model.fit("ml"), model.sample(draws=250, random_seed=1)


@pytest.fixture(scope="module")
def cbpp():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return hb.glmer(formula, hb.load_dataset("cbpp"))


def cells(found):
    """Rows of the printed table by name, a text a model."""
    block = found.to_markdown().splitlines()
    rows = [line.strip("| ").split(" | ") for line in block if line.startswith("| ")]
    return {row[0].replace("\\", ""): [cell.replace("\\", "") for cell in row[1:]] for row in rows}


def test_models_of_all_estimators_stand_side_by_side(fits, cbpp):
    found = hb.table(*fits, cbpp, statistics=())
    rows = cells(found)
    assert found.models == ("Model 1", "Model 2", "Model 3", "Model 4")
    assert rows["Days"][0] == "10.47 [7.21, 13.73]"
    assert rows["period2"][-1] == "-0.99 [-1.59, -0.39]"
    assert rows["Observations"] == ["180", "180", "180", "56"]
    assert "Model 4: cbind(incidence, size - incidence)" in " ".join(found.notes)
    order = list(rows)
    assert order.index("sd((Intercept) | herd)") < order.index("sigma") < order.index("N Subject")


def test_estimators_of_one_formula_name_the_columns(fits):
    assert hb.table(*fits).models == ("REML", "ML", "posterior")
    assert hb.table(*fits[:2], names=["A", "B"]).models == ("A", "B")


def test_numbers_are_those_of_the_fits(fits):
    frame = hb.table(*fits).to_frame()
    row = frame[(frame["row"] == "Days") & (frame["model"] == "ML")].iloc[0]
    tidy = fits[1].tidy("fixed").iloc[1]
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert row[name] == tidy[name]
    aic = frame[(frame["row"] == "AIC") & (frame["model"] == "ML")]["estimate"].iloc[0]
    assert aic == fits[1].aic
    elpd = frame[frame["row"].str.startswith("ELPD")]["estimate"].tolist()
    assert elpd == [pytest.approx(hb.loo(fits[2]).elpd)]


def test_standard_errors_stars_p_values_and_labels_are_to_be_had(fits):
    rows = cells(hb.table(fits[0], show="std_error", stars=True, labels={"Days": "Days awake"}))
    assert rows["Days awake"] == ["10.47*** (1.55)"]
    assert cells(hb.table(fits[0], p_values=True))["Days"] == ["10.47 [7.21, 13.73], p < 0.001"]
    plain = cells(hb.table(fits[0], show="none", digits=2, statistics=["aic"]))
    assert plain["Days"] == ["10.5"]
    assert "R2 marginal" not in plain
    assert "*" not in str(hb.table(fits[0]))


def test_ratios_are_exponentials_of_coefficients_and_limits(cbpp, fits):
    found = hb.table(cbpp, exponentiate=True)
    row = found.to_frame().set_index("row").loc["period2"]
    tidy = cbpp.tidy("fixed").set_index("term").loc["period2"]
    assert row["estimate"] == pytest.approx(math.exp(tidy["estimate"]))
    assert row["conf_low"] == pytest.approx(math.exp(tidy["conf_low"]))
    assert row["std_error"] == pytest.approx(math.exp(tidy["estimate"]) * tidy["std_error"])
    assert "odds ratios" in str(found)
    with pytest.raises(hb.OptionError, match="the link identity"):
        hb.table(fits[0], exponentiate=True)


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_what_the_data_do_not_determine_is_said():
    machines = hb.load_dataset("Machines")
    found = hb.table(hb.lmer("score ~ Machine + Worker + (1 | Worker)", machines))
    assert cells(found)["sd((Intercept) | Worker)"] == ["undetermined"]
    assert "the data do not determine it" in str(found)


def test_wrong_arguments_are_told(fits):
    for call, said in (
        (lambda: hb.table(), "takes fits one by one"),
        (lambda: hb.table(list(fits)), "it got a list"),
        (lambda: hb.table(*fits, names=["a"]), "3 different texts"),
        (lambda: hb.table(*fits, statistics="aic"), "must be a list"),
        (lambda: hb.table(*fits, statistics=["mse"]), "'mse' is none of"),
        (lambda: hb.table(*fits, digits=0), "digits=0"),
        (lambda: hb.table(*fits, show="sd"), "show='sd'"),
        (lambda: hb.table(*fits, title=3), "title=3"),
    ):
        with pytest.raises(hb.OptionError, match=said):
            call()


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (
            {"residual": "car1(age | Subject)", "sigma": "~ Sex"},
            ["sd(SexFemale | Residual)", "cor(car1 | Subject)", "sigma"],
        ),
        ({"sigma": "~ age"}, ["sigma", "sigma: log sd by age"]),
    ],
)
def test_what_residuals_have_stands_in_one_row_for_both_estimators(given, rows):
    data = hb.load_dataset("Orthodont")
    model = hb.Model("distance ~ age + (1 | Subject)", data, **given)
    post = model.sample(draws=200, chains=2, random_seed=1)
    found = hb.table(model.fit(), post, statistics=()).to_frame()
    random = found[found.block == "random"]
    names = ["sd((Intercept) | Subject)", *rows, "ICC"]
    assert list(dict.fromkeys(random.row)) == names
    assert (random.row.value_counts() == 2).all()
    own = random[random.model == "posterior"].set_index("row")
    values = {quantity.parameter: quantity.values for quantity in post.residual_quantities}
    np.testing.assert_allclose(own.estimate["sigma"], values["sigma"].mean(), rtol=1e-12)
    np.testing.assert_allclose(own.conf_low["sigma"], np.quantile(values["sigma"], 0.025))
