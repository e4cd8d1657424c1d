"""Simulated data sets, influence, replicates, tests and power are drawn as the tables have them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def test_simulated_data_sets_stand_beside_the_data(fit):
    figure, axes = hb.plot.simulations(fit, 2, random_seed=3)
    assert [ax.get_title() for ax in axes] == ["data", "simulation 1", "simulation 2"]
    drawn = fit.simulate(2, np.random.default_rng(3)).to_numpy()
    for ax, y in zip(axes, (fit.observed, *drawn.T), strict=True):
        np.testing.assert_allclose(ax.collections[-1].get_offsets()[:, 1], y)
    assert "The data are panel 1 of 3" in hb.plot.alt_text(figure)


def test_a_line_up_hides_the_data(fit):
    figure, axes = hb.plot.simulations(fit, 4, hide=True, group=False, random_seed=3)
    assert [ax.get_title() for ax in axes] == list("12345")
    place = int(hb.plot.alt_text(figure).split("panel ")[1].split()[0]) - 1
    np.testing.assert_allclose(axes[place].collections[-1].get_offsets()[:, 1], fit.observed)
    with pytest.raises(hb.OptionError, match="at most 23"):
        hb.plot.simulations(fit, 40)
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.plot.simulations(fit, x="days")


def test_influence_draws_its_table(fit):
    table = hb.influence(fit)
    _, axes = hb.plot.influence(table, parameters=["Days", "sigma"])
    by_size = table.sort_values("cooks_distance", kind="stable")
    assert [t.get_text() for t in axes[0].get_yticklabels()] == list(by_size.index)
    for ax, name in zip(axes, ("cooks_distance", "Days", "sigma"), strict=True):
        np.testing.assert_allclose(ax.lines[-1].get_xdata(), by_size[name])
    assert axes[1].lines[0].get_xdata()[0] == pytest.approx(fit.fixef()["Days"])
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.plot.influence(table, parameters="days")


def test_influence_of_rows_is_residual_over_leverage(fit):
    figure, (ax,) = hb.plot.influence(fit, rows=True)
    table = hb.influence(fit, rows=True)
    expected = table[["leverage", "studentised_external"]]
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), expected)
    assert f"of row {table['cooks_distance'].idxmax()}" in hb.plot.alt_text(figure)


def test_replicates_have_their_estimate_and_interval(fit):
    found = hb.bootstrap(fit, nsim=30, random_seed=1)
    _, (ax,) = hb.plot.bootstrap(found, "Days", level=0.8)
    assert sum(bar.get_height() for bar in ax.patches) == 30
    lines = [line.get_xdata()[0] for line in ax.lines]
    np.testing.assert_allclose(lines, found.confint(0.8).loc["Days"])
    with pytest.raises(hb.OptionError, match="did you mean 'sigma'"):
        hb.plot.bootstrap(found, ["sgma"])


def test_a_statistic_stands_among_its_null_distribution(fit):
    small = fit.update("Reaction ~ Days + (Days || Subject)")
    test = hb.pb_test(small, fit, nsim=20, random_seed=1)
    figure, (ax,) = hb.plot.null_distribution(test)
    assert ax.lines[-1].get_xdata()[0] == test.statistic
    assert ax.get_title().endswith(f"p = {test.p_value:.3g}")
    assert "among 20 simulated ones" in hb.plot.alt_text(figure)


def test_power_is_drawn_over_the_size_of_the_design():
    table = pd.DataFrame(
        {
            "subjects": [40, 10, 20] * 2,
            "items": [8] * 3 + [24] * 3,
            "power": [0.7, 0.2, 0.4, 0.9, 0.3, 0.6],
        }
    )
    table = table.assign(lower=table["power"] - 0.05, upper=table["power"] + 0.05)
    figure, (ax,) = hb.plot.power(table)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["items: 8", "items: 24"]
    np.testing.assert_allclose(ax.lines[1].get_data(), [[10, 20, 40], [0.2, 0.4, 0.7]])
    assert "0.8 is reached from 40 on" in hb.plot.alt_text(ax)
    with pytest.raises(hb.OptionError, match="several rows at the same"):
        hb.plot.power(pd.concat([table, table]))
    with pytest.raises(hb.OptionError, match="lower and upper"):
        hb.plot.power(table.drop(columns="lower"))


def test_results_draw_themselves(fit):
    small = fit.update("Reaction ~ Days + (Days || Subject)")
    for result, words in (
        (hb.profile(fit, parameters=["Days"]), "Days"),
        (hb.bootstrap(fit, nsim=10, random_seed=1), "10 replicates of sd_(Intercept)|Subject"),
        (hb.slopes(fit, "Days"), "Estimates: Days 10.47"),
        (hb.pb_test(small, fit, nsim=5, random_seed=1), "among 5 simulated ones"),
        (
            fit.predict(pd.DataFrame({"Days": [0, 9]}), groups="none", interval="confidence"),
            "0 251",
        ),
        (hb.influence(fit), "the largest Cook's distance is 0.15"),
    ):
        figure, _ = result.plot(width="column")
        assert words in hb.plot.alt_text(figure)
    figure, (ax,) = hb.icc(fit).plot()
    assert ax.get_xlabel() == "intraclass correlation"
    assert "nan" not in hb.plot.alt_text(figure)
    with pytest.raises(hb.NotSupportedError, match=r"hb\.plot\.profile.* of a posterior\.$"):
        fit.varcorr().plot()
