"""Tables of estimates are drawn as they are: means along their variables, contrasts in rows."""

import numpy as np
import pytest
from matplotlib import pyplot

import hierbayes as hb
from tests.plots.text_boxes import clipped, drawn_texts, overlapping


@pytest.fixture(scope="module")
def cake():
    return hb.lmer("angle ~ recipe * temperature + (1 | replicate)", hb.load_dataset("cake"))


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def marks(ax):
    """Places of all marks of an axes."""
    return np.concatenate([np.column_stack(line.get_data()) for line in ax.lines[::1]])


def test_means_and_contrasts_are_those_of_the_table(cake):
    found = hb.emmeans(cake, "recipe", contrasts="pairwise")
    figure, (means, contrasts) = hb.plot.estimates(found)
    np.testing.assert_allclose(marks(means)[:, 1], found.means["estimate"])
    line = contrasts.lines[-1]
    np.testing.assert_allclose(line.get_xdata(), found.contrasts["estimate"])
    assert [t.get_text() for t in contrasts.get_yticklabels()] == list(found.contrasts["contrast"])
    assert contrasts.lines[0].get_xdata()[0] == 0.0  # where nothing is
    assert "adjusted by Tukey's method" in " ".join(figure.get_supxlabel().split())
    assert "A - B" in hb.plot.alt_text(figure)


def test_variables_of_means_are_told_apart(cake):
    found = hb.emmeans(cake, "temperature", by="recipe")
    figure, axes = hb.plot.estimates(found)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "recipe: A", "recipe: B", "recipe: C",
    ]  # fmt: skip
    first = next(line for line in axes[0].lines if line.get_marker() == "o")
    np.testing.assert_allclose(first.get_ydata(), found.means["estimate"][:6])
    figure, axes = hb.plot.estimates(found, "recipe", by="temperature")
    assert axes[0].get_xlabel() == "recipe"
    with pytest.raises(hb.OptionError, match="tell them apart by 'recipe'"):
        hb.plot.estimates(found, "temperature", by=[])
    with pytest.raises(hb.OptionError, match="did you mean 'recipe'"):
        hb.plot.estimates(found, "recip")


def test_comparisons_slopes_and_intervals_have_a_row_each(cake):
    found = hb.comparisons(cake, "recipe")
    _, (ax,) = hb.plot.estimates(found, order="size")
    table = found.to_frame().sort_values("estimate")
    np.testing.assert_allclose(ax.lines[-1].get_xdata(), table["estimate"])
    assert [t.get_text() for t in ax.get_yticklabels()] == list(table["contrast"])
    limits = hb.confint(cake)
    _, (ax,) = hb.plot.estimates(limits)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(limits.index)
    with pytest.raises(hb.OptionError, match="conf_low and conf_high"):
        hb.plot.estimates(cake.glance())


def test_ratios_stand_on_a_logarithmic_axis():
    fit = hb.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", hb.load_dataset("cbpp")
    )
    found = hb.emmeans(fit, "period", contrasts="pairwise", type="response", kind="odds_ratio")
    figure, axes = hb.plot.estimates(found, width="column", theme="dark")
    assert axes[-1].get_xscale() == "log" and axes[-1].get_xlabel() == "odds ratio"
    assert axes[-1].lines[0].get_xdata()[0] == 1.0
    texts = drawn_texts(figure)
    assert not overlapping(texts) and not clipped(texts, figure)


@pytest.mark.slow
def test_pictures_in_a_figure_describe_it_together(cake):
    figure, axes = pyplot.subplots(1, 2)
    for ax in axes:
        hb.plot.estimates(hb.emmeans(cake, "recipe", contrasts="pairwise"), ax=ax)
    assert hb.plot.alt_text(figure).count("Contrasts: A - B") == 2


def test_contrasts_of_a_table_of_means_are_drawn_in_rows(cake):
    means = hb.emmeans(cake, "recipe")
    figure, axes = means.contrast("eff").plot()
    assert "A effect" in hb.plot.alt_text(figure)
    assert np.ravel(axes)[0].get_xlabel() == "difference"
    with pytest.raises(hb.OptionError, match="this is a table of tests"):
        hb.plot.estimates(means.test())
    with pytest.raises(hb.OptionError, match="these are one-sided"):
        hb.plot.estimates(means.confint(side=">"))


def test_long_names_of_rows_are_broken_beside_the_panel(cake):
    long = {name: f"coefficient_of.{name}.of_the_model" for name in hb.confint(cake).index}
    figure, (ax,) = hb.plot.estimates(hb.confint(cake), width=60, labels=long)
    assert "\n" in ax.get_yticklabels()[0].get_text()
    assert ax.get_window_extent().width > 0.35 * figure.bbox.width
