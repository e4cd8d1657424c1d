"""Findings are warnings at the caller's line; fits and models are shared: none ever changes."""

import dataclasses
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.model.fits import assert_says_the_same, grouped, lmer


def unlucky():
    """Data that meet four findings at once."""
    data = grouped()
    data.loc[2, "x"] = np.nan
    data = data.assign(twice=2 * data["x"], three=np.arange(len(data)) % 3)
    noise = pd.Series(np.random.default_rng(0).normal(size=len(data)))
    return data.assign(y=noise - noise.groupby(data["three"]).transform("mean"))


FORMULA = "y ~ x + twice + (1 | three)"
EXPECTED = {
    "rank_deficient": hb.RankDeficientWarning,
    "rows_dropped": hb.DesignWarning,
    "few_levels": hb.DesignWarning,
    "boundary": hb.BoundaryWarning,
}

CALLS = {
    "lmer": lambda: hb.lmer(FORMULA, unlucky()),
    "Model.fit": lambda: hb.Model(FORMULA, unlucky()).fit("ml"),
    "update": lambda: lmer("y ~ x + (1 | three)", unlucky()).update(". ~ . + twice"),
    "with_method": lambda: lmer(FORMULA, unlucky()).with_method("ml"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_each_finding_is_a_warning_of_its_class_at_the_users_line(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = call()
    assert {f.code for f in fit.findings} == set(EXPECTED)
    assert [(str(w.message), w.category) for w in caught] == [
        (str(f), EXPECTED[f.code]) for f in fit.findings
    ]
    assert {w.filename for w in caught} == {__file__}


def test_the_warning_of_a_refit_is_about_its_search_alone():
    fit = lmer("y ~ x + (1 | three)", unlucky())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = fit.refit(fit.design.y + 1)
    assert [w.category for w in caught] == [hb.BoundaryWarning]
    assert caught[0].filename == __file__
    assert {f.code for f in again.findings} == set(EXPECTED) - {"rank_deficient"}


def test_the_wait_of_many_columns_is_announced_at_the_users_line():
    data = pd.DataFrame({"y": np.random.default_rng(0).normal(size=2100),
                         "f": np.repeat(np.arange(1050), 2).astype(str)})  # fmt: skip
    with pytest.warns(hb.DesignWarning, match="1050 columns") as caught:
        hb.lmer("y ~ f", data)
    assert caught[0].filename == __file__


def test_no_finding_no_warning():
    assert hb.lmer("y ~ x + (x | g)", grouped()).findings == ()


def test_reading_a_fit_never_warns():
    fit = lmer(FORMULA, unlucky())
    fit.summary(), fit.fixef(), fit.varcorr(), fit.ranef(), fit.predict(), str(fit)


def test_a_fit_does_not_change():
    fit = hb.lmer("y ~ x + (x | g)", grouped())
    for name in ("sigma", "beta", "criterion", "anything"):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
            setattr(fit, name, 1.0)
    for array in (fit.beta, fit.theta):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_a_model_does_not_change():
    model = hb.Model("y ~ x + (x | g)", grouped())
    for name in ("formula", "design", "weights", "anything"):
        with pytest.raises(AttributeError, match=f"A Model does not change; '{name}' can't be set"):
            setattr(model, name, 1.0)


def test_one_model_in_many_threads_gives_one_answer():
    model = hb.Model("y ~ x + (x | g) + (1 | item)", grouped())
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(model.fit, ["reml", "ml"] * 6))
    for fit in fits[2:]:
        assert fit.theta.tolist() == fits[["reml", "ml"].index(fit.method)].theta.tolist()
    with ThreadPoolExecutor(4) as pool:
        draws = list(pool.map(lambda seed: fits[0].simulate(3, seed).to_numpy(), [5] * 8))
    assert all(np.array_equal(draw, draws[0]) for draw in draws)


def test_fits_of_one_model_share_it():
    model = hb.Model("y ~ x + (x | g)", grouped())
    reml, ml = model.fit("reml"), model.fit("ml")
    assert reml.model is ml.model is model
    assert_says_the_same(reml.with_method("ml"), ml)
    assert reml.with_method("reml") is reml


def test_the_names_of_data_in_results(tmp_path):
    sleep = hb.load_dataset("sleepstudy")
    formula = "Reaction ~ Days + (1 | Subject)"
    sleep.to_csv(tmp_path / "my sleep.csv.gz", index=False)
    names = {
        "sleepstudy": hb.lmer(formula, sleep),
        "mine": hb.lmer(formula, sleep, data_name="mine"),
        "my sleep": hb.lmer(formula, tmp_path / "my sleep.csv.gz"),
        "": hb.lmer(formula, {name: sleep[name] for name in sleep}),
    }
    for name, fit in names.items():
        assert fit.data_name == name
    assert hb.lmer(formula, str(tmp_path / "my sleep.csv.gz")).data_name == "my sleep"
    assert "Data: sleepstudy" in names["sleepstudy"].summary()
