"""Predictive checks draw what simulate and prior_predictive answer."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from tests.plots.text_boxes import clipped, drawn_texts, overlapping


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def post(model):
    return model.sample(random_seed=1, draws=200)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def test_statistics_are_those_of_the_data_and_of_simulate(post):
    _, (ax,) = hb.plot.ppc(post, "statistic", statistic=np.ptp, nsim=60, random_seed=3)
    assert ax.get_title() == "ptp"
    line = next(line for line in ax.lines)
    assert line.get_xdata()[0] == np.ptp(post.observed)
    simulated = np.ptp(post.simulate(60, 3).to_numpy(), axis=0)
    share = round(100 * float((simulated >= np.ptp(post.observed)).mean()))
    assert ax.get_xlabel() == f"{share} % as large or larger"


@pytest.mark.parametrize("estimator", ["posterior", "reml"])
def test_groups_have_the_intervals_of_their_simulated_means(model, post, estimator):
    fit = post if estimator == "posterior" else model.fit()
    figure, (ax,) = hb.plot.ppc(fit, "group", by="Subject", nsim=50, random_seed=3)
    subject = np.asarray(fit.augment()["Subject"]).astype(str)
    means = pd.Series(fit.observed).groupby(subject).mean().sort_values()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(means.index)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), means)
    groups = "fitted" if estimator == "posterior" else "new"
    drawn = fit.simulate(50, 3, groups=groups).to_numpy()
    lowest = np.quantile(drawn[subject == means.index[0]].mean(axis=0), [0.025, 0.975])
    outer = ax.collections[0].get_segments()[0]
    np.testing.assert_allclose(outer[:, 0], lowest)
    source = "draws of the posterior" if estimator == "posterior" else "from the estimates"
    assert source in figure.get_supxlabel()


def test_rows_are_counted_inside_their_intervals(post):
    figure, _ = hb.plot.ppc(post, "intervals", nsim=80, random_seed=3, by="Days")
    drawn = post.simulate(80, 3).to_numpy()
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    inside = ((post.observed >= low) & (post.observed <= high)).sum()
    assert f"{inside} of 180 rows" in hb.plot.alt_text(figure)


def test_counts_and_categories_have_bars():
    data = hb.load_dataset("VerbAgg").iloc[::40]
    fit = hb.glmer("resp ~ btype + (1 | id)", data, "cumulative")
    _, axes = hb.plot.ppc(fit, by="btype", nsim=40, random_seed=3)
    assert [ax.get_title() for ax in axes] == ["curse", "scold", "shout"]
    shares = pd.crosstab(data["btype"], data["resp"], normalize="index").to_numpy()
    for ax, own in zip(axes, shares, strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], own)
        assert [t.get_text() for t in ax.get_xticklabels()] == ["no", "perhaps", "yes"]


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_yes_and_no_have_bars(family):
    data = hb.load_dataset("VerbAgg").assign(r=lambda d: (d["resp"] != "no").astype(int))
    fit = hb.glmer("r ~ 1 + (1 | item)", data.iloc[::5], family)
    _, (ax,) = hb.plot.ppc(fit, nsim=20, random_seed=3)
    share = data["r"].iloc[::5].mean()
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [1 - share, share])


def test_the_priors_simulate_what_prior_predictive_draws(model):
    figure, (ax,) = hb.plot.prior_predictive(
        model, "statistic", statistic="max", draws=40, random_seed=3
    )
    drawn = model.prior_predictive(40, random_seed=3)["prior_predictive"]["Reaction"].to_numpy()
    share = round(100 * float((drawn[0].max(axis=1) >= model.fit().observed.max()).mean()))
    assert ax.get_xlabel() == f"{share} % as large or larger"
    assert "before the data count" in hb.plot.alt_text(figure)
    with pytest.raises(hb.NotSupportedError, match="flat"):
        flat = hb.Model(model.formula_text, hb.load_dataset("sleepstudy"), priors="flat")
        hb.plot.prior_predictive(flat)


def test_wrong_requests_are_told(post):
    with pytest.raises(hb.OptionError, match="did you mean 'Subject'"):
        hb.plot.ppc(post, "group", by="subject")
    with pytest.raises(hb.OptionError, match="did you mean 'median'"):
        hb.plot.ppc(post, "statistic", statistic="medan")
    with pytest.raises(hb.OptionError, match="kind='densty'"):
        hb.plot.ppc(post, "densty")
    with pytest.raises(hb.OptionError, match="kind='group'"):
        hb.plot.ppc(post, "statistic", by="Days")
    with pytest.raises(hb.OptionError, match="one statistic"):
        hb.plot.ppc(post, "group", statistic=["mean", "sd"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["density", "statistic", "group", "intervals"])
def test_no_letters_collide_in_a_narrow_picture(post, kind):
    figure, _ = hb.plot.ppc(post, kind, nsim=10, random_seed=1, width=60, theme="lecture")
    texts = drawn_texts(figure)
    assert not overlapping(texts) and not clipped(texts, figure)
