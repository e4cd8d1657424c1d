"""Factorial data are drawn as they are: rows, means of groups, means over groups."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy import stats

import hierbayes as hb
from hierbayes.plots.labels import axis_label
from hierbayes.pooling.within_category import category_rows

RNG = np.random.default_rng(5)
DATA = pd.DataFrame(
    [
        (person, cond, size)
        for person in "abcd"
        for cond in ("new", "old")
        for size in ("big", "small")
        for _ in range(3 if person != "d" else 5)
    ],
    columns=["person", "cond", "size"],
)
DATA["rt"] = RNG.normal(500, 40, len(DATA))


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def test_means_are_those_of_the_rows_and_of_the_groups():
    found = category_rows(DATA, x="cond", y="rt", group="person", by="size", level=0.9)
    own = DATA.groupby(["person", "cond", "size"])["rt"]
    np.testing.assert_allclose(found.means["mean"], own.mean())
    one = own.get_group(("d", "old", "small"))
    limits = stats.t.interval(0.9, 4, one.mean(), stats.sem(one))
    np.testing.assert_allclose(found.means[["conf_low", "conf_high"]].iloc[-1], limits)
    over = own.mean().groupby(["cond", "size"])  # each person counts as one
    np.testing.assert_allclose(found.overall["mean"], over.mean())
    first = over.get_group(("new", "big"))
    limits = stats.t.interval(0.9, 3, first.mean(), stats.sem(first))
    np.testing.assert_allclose(found.overall[["conf_low", "conf_high"]].iloc[0], limits)


def test_every_group_has_a_panel_of_its_rows_and_means():
    figure, axes = hb.plot.data(DATA, x="cond", y="rt", group="person", by="size")
    assert [ax.get_title() for ax in axes] == list("abcd")
    words = [t.get_text() for t in figure.legends[0].get_texts()]
    assert words == ["size: big", "size: small"]
    rows = DATA[DATA["person"] == "d"]
    y = np.concatenate([c.get_offsets()[:, 1] for c in axes[3].collections if len(c.get_offsets())])
    assert set(rows["rt"]) <= set(y)
    marks = next(line for line in axes[3].lines if line.get_marker() == "s")
    means = rows[rows["size"] == "small"].groupby("cond")["rt"].mean()
    np.testing.assert_allclose(marks.get_ydata(), means)


def test_groups_together_have_a_line_each():
    figure, (ax,) = hb.plot.data(DATA, x="cond", y="rt", group="person", together=True)
    lines = next(c for c in ax.collections if len(c.get_paths()) == 4)
    means = DATA.groupby(["person", "cond"])["rt"].mean().unstack()
    np.testing.assert_allclose([s[:, 1] for s in lines.get_segments()], means)
    assert f"new {means['new'].mean():.4g}" in hb.plot.alt_text(figure)


def test_a_model_is_looked_at_before_it_is_fitted():
    model = hb.Model("rt ~ cond * size + (1 | person)", DATA)
    figure, axes = hb.plot.data(model)
    assert len(axes) == 4 and figure.get_supxlabel().startswith("cond")
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["size: big", "size: small"]
    with pytest.raises(hb.OptionError, match="x='rt' is a number"):
        hb.plot.data(DATA, x="rt", y="rt", by="size")
    with pytest.raises(hb.DataError, match="holds categories"):
        hb.plot.data(DATA, x="cond", y="size")


def test_the_predictor_of_trials_is_no_part_of_the_response():
    data = hb.load_dataset("touch_speed")
    model = hb.Model("cbind(faster, trials - faster) ~ speed + (1 | subject)", data, "binomial")
    figure, _ = hb.plot.data(model)
    assert figure.get_supxlabel().startswith("speed")
    assert figure.get_supylabel() == "share of faster"


def test_back_ticks_of_a_name_are_not_drawn():
    assert axis_label("`log freq`", [1.0, 2.0]) == "log freq"
    own = {"Days": "log freq", "Reaction": "reading time", "Subject": "the reader"}
    data = hb.load_dataset("sleepstudy").rename(columns=own).iloc[:50]
    fit = hb.lmer("`reading time` ~ `log freq` + (`log freq` | `the reader`)", data)
    figure, axes = hb.plot.data(fit)
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("log freq", "reading time")
    assert len(axes) == 5
    assert hb.plot.data(fit, x="log freq", labels={"`log freq`": "log"})[0].get_supxlabel() == "log"
    assert hb.plot.data(fit, x="`log freq`", labels={"log freq": "l"})[0].get_supxlabel() == "l"
    _, (ax,) = hb.plot.effects(fit)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("log freq", "reading time")
    figure, axes = hb.plot.caterpillar(fit, order="name", width=80)
    assert axes[1].get_xlabel() == "log freq"
    assert "`" not in hb.plot.alt_text(figure)
