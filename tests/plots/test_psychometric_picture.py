"""The picture of psychometric functions: what its panels, points and bands show."""

import warnings
from functools import cache

import numpy as np
import pytest
from matplotlib import pyplot

import hierbayes as hb
from hierbayes.psychometrics.curves import psychometric_curves
from tests.psychometrics.observers import observers


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


@cache
def fit(levels=5, formula="k ~ x * half + (x | subject)", **options):
    data = observers(levels=levels, trials=60, lapse=0.02)
    data.loc[data["x"] > 1.5, ["k", "n"]] //= 2
    given = {"guess": 0.0, "lapse": "estimate", "n": "n"} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.psychometric(formula, data, stimulus="x", **given).fit()


def test_curves_run_through_the_expected_responses_and_points_are_the_shares():
    one = fit()
    found = psychometric_curves(one)
    level = found.curves[found.curves["level"] == "s2"]
    rows = {"x": [-2.0, 2.0], "half": ["odd", "odd"], "subject": ["s2", "s2"]}
    assert np.allclose(level["estimate"].iloc[[0, -1]], one.predict(rows))
    points = found.points[(found.points["level"] == "s2") & (found.points["x"] == 0)]
    own = one.design.model_frame
    assert points["trials"].item() == 60
    together = found.points[found.points["level"] == "population"]
    assert together["trials"].sum() == one.design.y.sum()
    assert len(own) == (found.points["level"] != "population").sum()


def test_the_band_is_that_of_the_link_where_rates_are_known():
    one = fit(lapse=0.02, formula="k ~ x + (x | subject)")
    found = psychometric_curves(one, groups="none").curves
    rows = {"x": found["x"].tolist()}
    table = one.predict(rows, groups="none", interval="confidence")
    assert np.allclose(found["estimate"], table["prediction"].to_numpy())
    middle = found["x"].abs() < 0.8  # logits and probits are about the same there
    band, other = found["upper"] - found["lower"], (table["upper"] - table["lower"]).to_numpy()
    assert np.allclose(band[middle], other[middle], rtol=0.02)
    assert found["lower"].between(0, 1).all() and found["upper"].between(0, 1).all()


def test_a_panel_for_the_population_and_each_level():
    figure, axes = hb.plot.psychometric(fit())
    assert [ax.get_title() for ax in axes] == ["population", "s1", "s2", "s3", "s4", "s5"]
    sizes = axes[1].collections[-1].get_sizes()
    assert np.isclose(sizes.max() / sizes.min(), 2.0)  # areas of 60 and 30 trials
    assert "panel for each of 5 levels of subject" in hb.plot.alt_text(figure)
    _, alone = hb.plot.psychometric(fit(), groups="none")
    assert len(alone) == 1
    assert alone[0].get_xlabel() == "x"


def test_a_posterior_is_drawn_as_a_fit_is():
    one = fit(formula="k ~ x + (1 | subject)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        post = one.model.sample(draws=100, chains=2, random_seed=1)
    mine, theirs = (psychometric_curves(f).curves for f in (one, post))
    assert (mine[["level", "x"]] == theirs[["level", "x"]]).all(axis=None)
    assert np.abs(mine["estimate"] - theirs["estimate"]).max() < 0.05
    _, axes = hb.plot.psychometric(post)
    assert len(axes) == 6


def test_logarithms_have_a_logarithmic_axis():
    data = observers(levels=4, trials=60).assign(t=lambda d: np.exp(d["x"]))
    model = hb.psychometric("k ~ log(t)", data, stimulus="t", guess=0.0, n="n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        _, axes = hb.plot.psychometric(model.fit())
    assert axes[0].get_xscale() == "log"


def test_what_cannot_be_drawn_is_one_sentence():
    many = fit(levels=26, formula="k ~ x + (1 | subject)")
    _, axes = hb.plot.psychometric(many)
    assert len(axes) == 1
    with pytest.raises(hb.OptionError, match="26 panels"):
        hb.plot.psychometric(many, groups="all")
    with pytest.raises(hb.OptionError, match=r"hb\.psychometric"):
        hb.plot.psychometric(hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")))
    with pytest.raises(hb.OptionError, match="7 conditions"):
        hb.plot.psychometric(fit(levels=7, formula="k ~ subject * x"))
