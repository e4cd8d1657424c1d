"""A refit is a fresh fit of another response; an update is a fresh fit of another formula."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.model.fits import assert_says_the_same, grouped, lmer, quietly

# On the boundary or not is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")

# Two searches over the same surface from their own starts: criterion to 1e-6, sds to 1e-3 of it.
SAME = 1e-6

MODELS = {
    "correlated": ("y ~ x + (x | g)", {}),
    "independent, ML": ("y ~ x + f + (x || g)", {"reml": False}),
    "crossed, weights": ("y ~ x + (1 | g) + (1 | item)", {"weights": "w"}),
    "nested, offset": ("y ~ x + (1 | g/item)", {"offset": "o"}),
    "known sds": ("y ~ x + (x | g)", {"known_sd": "w"}),
    "no bars": ("y ~ x + f", {}),
}


@pytest.mark.parametrize(("formula", "options"), MODELS.values(), ids=MODELS)
def test_a_refit_is_a_fresh_fit(formula, options):
    data = grouped()
    fit = lmer(formula, data, **options)
    for seed in range(15):
        rng = np.random.default_rng(seed)
        y = fit.simulate(1, random_seed=seed)["sim_1"] * rng.choice([1, 1e-3, 1e4])
        y = y + rng.choice([0, 1e5]) + rng.normal(size=len(data))
        again, fresh = quietly(fit.refit, y), lmer(formula, data.assign(y=y), **options)
        size = max(1.0, abs(fresh.criterion))
        assert again.criterion == pytest.approx(fresh.criterion, abs=SAME * size)
        assert again.sigma == pytest.approx(fresh.sigma, rel=1e-3)
        assert again.fitted_values == pytest.approx(fresh.fitted_values, abs=1e-3 * fresh.sigma)
        assert again.is_singular == fresh.is_singular
        assert [f.code for f in again.findings] == [f.code for f in fresh.findings]
        assert again.design.y.tolist() == y.tolist()


KINDS = {
    "array": lambda y: y.to_numpy(),
    "column": lambda y: y.to_numpy()[:, None],
    "list": lambda y: y.to_list(),
    "Series in another order": lambda y: y.iloc[::-1],
    "frame of one column": lambda y: y.to_frame(),
    "nullable": lambda y: y.astype("Float64"),
    "single precision": lambda y: y.to_numpy(dtype=np.float32),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_response_is_taken_by_position_or_label(kind):
    fit = lmer("y ~ x + (1 | g)", grouped())
    y = grouped()["y"].round()
    again = fit.refit(kind(y))
    assert again.sigma == pytest.approx(fit.refit(y.to_numpy()).sigma, rel=1e-6)


def test_a_refit_leaves_the_fit_and_the_response_alone():
    fit = lmer("y ~ x + (x | g)", grouped())
    y = fit.simulate(1, random_seed=3)["sim_1"].to_numpy(copy=True)
    given = y.copy()
    again = fit.refit(y)
    assert_says_the_same(fit, lmer("y ~ x + (x | g)", grouped()))
    y[:] = 0
    assert again.design.y.tolist() == given.tolist()


def test_a_refit_stays_with_its_response():
    """Fitted again by another method, a refit once went back to the response of the data."""
    data = grouped()
    fit = lmer("y ~ x + (x | g)", data)
    y = fit.simulate(1, random_seed=3)["sim_1"]
    again, fresh = fit.refit(y), lmer("y ~ x + (x | g)", data.assign(y=y))
    assert again.with_method("ml").criterion == pytest.approx(fresh.with_method("ml").criterion)
    assert again.update(". ~ . - x").criterion == pytest.approx(fresh.update(". ~ . - x").criterion)
    small = lmer("y ~ x + (1 | g)", data).refit(y)
    table = hb.anova(small, again).to_frame()
    expected = hb.anova(lmer("y ~ x + (1 | g)", data.assign(y=y)), fresh).to_frame()
    assert table["chisq"].iloc[1] == pytest.approx(expected["chisq"].iloc[1], abs=1e-5)
    other = again.update("z ~ .")
    assert other.design.y.tolist() == data["z"].tolist()


def test_an_update_to_other_rows_does_not_take_a_response_given_by_row():
    data = grouped().assign(late=grouped()["z"].where(grouped()["z"] > -1))
    again = lmer("y ~ x + (1 | g)", data).refit(grouped()["y"] + grouped()["o"])
    with pytest.raises(hb.DataError, match="uses other rows than the fit"):
        again.update(". ~ . + late")


UPDATES = {   # as R 4.2 with lme4 1.1-31: formula(update(fit, ...))
    ". ~ . + z": "y ~ x + (x | g) + z",
    ". ~ . - x": "y ~ (x | g)",
    "~ . + z": "y ~ x + (x | g) + z",
    "z ~ .": "z ~ x + (x | g)",
    "log(y + 50) ~ .": "log(y + 50) ~ x + (x | g)",
    ". ~ . - (x | g) + (1 | g)": "y ~ x + (1 | g)",
    ". ~ . - 1": "y ~ x + (x | g) - 1",
    ". ~ f": "y ~ f",
}  # fmt: skip


@pytest.mark.parametrize(("change", "formula"), UPDATES.items())
def test_an_update_is_a_fresh_fit(change, formula):
    data = grouped()
    fit = lmer("y ~ x + (x | g)", data, weights="w", reml=False)
    updated, fresh = fit.update(change), lmer(formula, data, weights="w", reml=False)
    assert updated.formula_text == formula
    assert_says_the_same(fresh, updated, rtol=1e-6)


def test_a_bar_can_not_be_multiplied():
    with pytest.raises(hb.FormulaError):
        lmer("y ~ x + (x | g)", grouped()).update(". ~ . * z")


def test_an_update_keeps_method_arguments_and_data_name():
    data = grouped()
    data.attrs["name"] = "groups"
    fit = lmer("y ~ f + x + (1 | g)", data, weights=data["w"].to_numpy(), offset="o", reml=False,
               contrasts={"f": "sum"})  # fmt: skip
    updated = fit.update(". ~ . + z")
    assert (updated.method, updated.data_name, updated.weighted) == ("ml", "groups", True)
    assert updated.weights.tolist() == data["w"].tolist()
    assert updated.coef_names == ("(Intercept)", "f1", "f2", "x", "z")


def test_an_update_without_the_factor_forgets_its_contrasts():
    fit = lmer("y ~ f + x + (1 | g)", grouped(), contrasts={"f": "sum"})
    assert fit.update(". ~ . - f").coef_names == ("(Intercept)", "x")


def test_an_update_may_use_rows_the_fit_dropped():
    data = grouped()
    data.loc[:4, "x"] = np.nan
    fit = lmer("y ~ x + (1 | g)", data)
    assert fit.nobs == len(data) - 5
    assert fit.update(". ~ . - x").nobs == len(data)


def test_what_happens_to_the_data_later_does_not_reach_the_fit(tmp_path):
    """A frame, a dict of arrays and arrays as arguments, changed after the fit was made."""
    data, weights = grouped(), grouped()["w"].to_numpy(copy=True)
    arrays = {name: data[name].to_numpy().copy() for name in data}
    fits = [lmer("y ~ x + (x | g)", kind, weights=weights) for kind in (data, arrays)]
    expected = lmer("y ~ x + z + (x | g)", grouped(), weights=grouped()["w"].to_numpy())
    data.loc[:, ["y", "x", "z"]] = 1e6
    data["g"] = "other"
    for array in arrays.values():
        array[:] = array[0]
    weights[:] = 77
    for i, fit in enumerate(fits):
        assert_says_the_same(lmer("y ~ x + (x | g)", grouped(), weights=grouped()["w"].to_numpy()),
                             fit, rtol=1e-7)  # fmt: skip
        assert fit.update(". ~ . + z").criterion == pytest.approx(expected.criterion, rel=1e-9)
        fit.save(tmp_path / f"{i}.fit")
        assert_says_the_same(fit, hb.load(tmp_path / f"{i}.fit"))


def test_the_data_are_never_changed():
    data = grouped()
    data.loc[3, "x"] = np.nan
    weights, offset = data["w"].to_numpy(copy=True), data["o"].to_numpy(copy=True)
    before = data.copy(deep=True)
    fit = lmer("y ~ poly(x, 2) + f + (scale(z) | g)", data.dropna(), weights=weights[1:])
    fit = lmer("y ~ x * f + (x | g)", data, weights=weights, offset=offset)
    fit.summary()
    fit.simulate(2, 1)
    frame = fit.augment()[["y", "x"]]
    frame.iloc[:, :] = 0
    fit.update(". ~ . - f")
    newdata = data.head(5)
    fit2 = lmer("y ~ x + (x | g)", data)
    fit2.predict(newdata)
    table = fit2.ranef()["g"]
    table.iloc[:] = 0
    pd.testing.assert_frame_equal(data, before)
    assert weights.tolist() == before["w"].tolist()
    assert offset.tolist() == before["o"].tolist()
    assert fit2.ranef()["g"].to_numpy().any()
