"""The picture of effects: interactions, both estimators, what is drawn is what emmeans says."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from tests.plots.text_boxes import clipped, drawn_texts, overlapping


@pytest.fixture(scope="module")
def words():
    rng = np.random.default_rng(3)
    grid = pd.MultiIndex.from_product(
        [range(10), range(6), ["new", "old"], ["big", "small"]],
        names=["participant", "item", "cond", "size"],
    )
    data = grid.to_frame(index=False)
    data["log freq"] = rng.normal(3, 1, 6)[data["item"]]
    data["rt"] = 500 + 20 * rng.normal(size=10)[data["participant"]]
    data["rt"] += 20 * rng.normal(size=6)[data["item"]] + 40 * rng.normal(size=len(data))
    return data


@pytest.fixture(scope="module")
def fits(words):
    model = hb.Model("rt ~ cond * size + `log freq` + (1 | participant) + (1 | item)", words)
    return model.fit(), model.fit("ml")


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def drawn(ax, marker):
    """Means marked by a marker, and the ends of the bars that stand at their places."""
    line = next(line for line in ax.lines if line.get_marker() == marker)
    x, y = line.get_data()
    ends = [segment for bars in ax.collections for segment in getattr(bars, "get_segments", list)()]
    ends = {float(end[0, 0]): end[:, 1] for end in ends}
    return y, np.array([ends[float(place)] for place in x])


def legend_words(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_two_by_two_is_drawn_as_emmeans_has_it(fits):
    figure, axes = hb.plot.effects(fits[0])
    table = hb.emmeans(fits[0], "cond", by="size").means
    for marker, (_, rows) in zip("os", table.groupby("size"), strict=True):
        means, ends = drawn(axes[0], marker)
        np.testing.assert_allclose(means, rows["estimate"])
        np.testing.assert_allclose(ends, rows[["conf_low", "conf_high"]])
    assert legend_words(figure) == ["size: big", "size: small"]
    note = " ".join(figure.get_supxlabel().split())
    assert note.startswith("Typical participant and item; with log freq at its mean, ")
    assert note.endswith("Bars: 95 % confidence intervals.")
    assert "REML, size big: " in hb.plot.alt_text(figure)


def test_names_are_taken_as_brms_and_ggeffects_write_them(fits):
    fit = fits[0]
    for given in (("cond:size",), ("cond*size",), ("cond", "size")):
        figure, axes = hb.plot.effects(fit, *given)
        assert axes[0].get_xlabel() == "cond" and len(legend_words(figure)) == 2
    _, axes = hb.plot.effects(fit, "log freq", "cond", "size")
    assert [ax.get_title() for ax in axes] == ["size: big", "size: small"]
    with pytest.raises(hb.OptionError, match="both say"):
        hb.plot.effects(fit, "cond", x="cond")


def test_several_fits_share_their_panel(fits):
    figure, axes = hb.plot.effects(*fits, x="log freq")
    assert len(axes) == 1 and legend_words(figure) == ["REML", "ML"]
    figure, axes = hb.plot.effects(*fits, order=["old"], labels={"size": "Size of letters"})
    assert legend_words(figure)[0] == "Size of letters: big" and len(legend_words(figure)) == 4
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["old", "new"]
    with pytest.raises(hb.OptionError, match="draw these apart"):
        hb.plot.effects(fits[0], fits[0].update("~ . - size - cond:size"))


def test_rows_residuals_and_groups_are_drawn_when_asked_for(fits):
    fit, n = fits[0], fits[0].nobs
    _, axes = hb.plot.effects(fit, "cond", points="residuals", group="participant")
    clouds = [c.get_offsets() for c in axes[0].collections if len(c.get_offsets()) == n]
    assert len(clouds) == 1
    lines = next(c for c in axes[0].collections if len(c.get_paths()) == 10)
    own = fit.ranef()["participant"]["(Intercept)"].to_numpy()
    means = hb.emmeans(fit, "cond").means["estimate"].to_numpy()
    np.testing.assert_allclose([s[:, 1] for s in lines.get_segments()], own[:, None] + means)
    with pytest.raises(hb.OptionError, match="points='dat'"):
        hb.plot.effects(fit, points="dat")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(60, "lecture"), (80, "paper"), (240, "dark")])
def test_no_letters_collide_at_any_width(fits, width, theme):
    options = {"width": width, "theme": theme, "points": "data", "title": "Reading times"}
    figure, _ = hb.plot.effects(*fits, x="cond", by=["size", "log freq"], **options)
    texts = drawn_texts(figure)
    assert not overlapping(texts) and not clipped(texts, figure)


def test_a_legend_of_many_entries_has_room(fits):
    at = {"log freq": [2.125 + 0.125 * i for i in range(6)]}
    labels = {"log freq": "logarithm of the frequency"}
    figure, _ = hb.plot.effects(fits[0], "cond", by=["log freq"], at=at, labels=labels)
    assert not clipped(drawn_texts(figure), figure)
