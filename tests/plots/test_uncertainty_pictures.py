"""Caterpillar, intervals, profile, boundary, random-effects QQ and likelihood surface."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def reml(model):
    return model.fit("reml")


@pytest.fixture(scope="module")
def post(model):
    return model.sample(random_seed=1)


@pytest.fixture(scope="module")
def crossed():
    model = hb.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    return model.fit()


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def clipped(figure):
    """Whether anything drawn reaches over the edge of the figure, by more than a pixel."""
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    slack = 1 / figure.dpi
    return box.x0 < -slack or box.y0 < -slack or box.x1 > width + slack or box.y1 > height + slack


def test_a_caterpillar_shows_both_estimators_in_one_order(reml, post):
    figure, axes = hb.plot.caterpillar(reml, post)
    assert [ax.get_xlabel() for ax in axes] == ["(Intercept)", "Days"]
    modes = reml.ranef()["Subject"]["(Intercept)"].sort_values()
    assert [t.get_text() for t in axes[0].get_yticklabels()] == list(modes.index)
    drawn = next(line for line in axes[0].lines if line.get_marker() == "o")
    np.testing.assert_allclose(drawn.get_xdata(), modes.to_numpy())
    diamond = next(line for line in axes[1].lines if line.get_marker() == "D")
    means = post.ranef()["Subject"]["Days"].loc[modes.index]
    np.testing.assert_allclose(diamond.get_xdata(), means.to_numpy())
    assert not clipped(figure)


def test_a_caterpillar_of_a_crossed_model_takes_one_factor(crossed):
    _, axes = hb.plot.caterpillar(crossed, group="sample")
    assert len(axes[0].get_yticks()) == 6
    with pytest.raises(hb.OptionError, match="did you mean 'sample'"):
        hb.plot.caterpillar(crossed, group="samples")
    with pytest.raises(hb.OptionError, match="one to 3 fits"):
        hb.plot.caterpillar()


def test_intervals_have_a_scale_of_their_own_and_show_the_limits(reml, post):
    kinds = {"Wald": hb.confint(reml), "posterior": hb.confint(post)}
    figure, axes = hb.plot.intervals(kinds)
    assert [ax.get_title(loc="left") for ax in axes] == list(kinds["Wald"].index)
    low, high = axes[-1].lines[2].get_xdata()
    assert (low, high) == tuple(kinds["posterior"].loc["Days", ["lower", "upper"]])
    assert axes[0].get_xlim()[0] < 0 < axes[0].get_xlim()[1]  # an sd begins at zero
    assert not clipped(figure)
    with pytest.raises(hb.OptionError, match="dict of one to"):
        hb.plot.intervals({})
    with pytest.raises(hb.OptionError, match="columns estimate, lower and upper"):
        hb.plot.intervals({"mine": pd.DataFrame({"a": [1]})})


@pytest.mark.parametrize("kind", ["zeta", "density"])
def test_profiles_have_a_panel_a_parameter(reml, kind):
    found = hb.profile(reml)
    figure, axes = hb.plot.profile(found, kind)
    assert len(axes) == len(found.names) == 6
    value, height = axes[-1].lines[-1].get_data()
    levels = [text.get_text() for text in axes[-1].texts]
    assert levels == (["50 %", "80 %", "95 %", "99 %"] if kind == "zeta" else [])
    if kind == "zeta":
        assert (np.diff(height) > 0).all()
    else:  # nearly all of a distribution
        assert np.trapezoid(height, value) == pytest.approx(0.99, abs=0.01)
    assert not clipped(figure)
    with pytest.raises(hb.OptionError, match=r"hb.profile\(fit\) returns"):
        hb.plot.profile("reml")


def test_the_boundary_shows_an_estimate_of_zero_and_a_posterior_beside_it():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    with pytest.warns(hb.BoundaryWarning):
        fit = model.fit()
    found = hb.profile(fit)
    post = model.sample(random_seed=1)
    _, ax = hb.plot.boundary(found, post)
    marks = {line.get_label(): float(line.get_xdata()[0]) for line in ax.lines}
    assert marks["ML estimate"] == 0.0
    assert marks["posterior mean"] == pytest.approx(post.draws.sd["Batch"].mean())
    with pytest.raises(hb.OptionError, match="not a profiled sd"):
        hb.plot.boundary(found, post, parameter="sigma")
    with pytest.raises(hb.OptionError, match="takes a posterior"):
        hb.plot.boundary(found, fit)
    with pytest.raises(hb.OptionError, match=r"boundary\(fit\) makes both"):
        hb.plot.boundary(found)
    _, same = hb.plot.boundary(fit, post, parameter="sd((Intercept)|Batch)")  # profiles it itself
    np.testing.assert_array_equal(same.lines[1].get_ydata(), ax.lines[1].get_ydata())


def test_random_effects_follow_their_quantiles(reml, crossed):
    figure, axes = hb.plot.ranef_qq(reml)
    assert [ax.get_title() for ax in axes] == ["Subject: (Intercept)", "Subject: Days"]
    assert (np.diff(axes[0].lines[-1].get_ydata()) >= 0).all()
    assert len(hb.plot.ranef_qq(crossed)[1]) == 2
    assert not clipped(figure)


def test_the_surface_has_ml_beside_reml(crossed):
    surface = hb.likelihood_surface(crossed, n=15)
    figure, axes = hb.plot.likelihood_surface(surface)
    assert [ax.get_title() for ax in axes] == ["ML", "REML"]
    assert not clipped(figure)
    with pytest.raises(hb.OptionError, match="likelihood_surface"):
        hb.plot.likelihood_surface(surface.ml)


def test_intervals_of_fits_are_made(reml, post):
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    fit = model.fit()
    figure, axes = hb.plot.intervals(fit, model.sample(random_seed=1, draws=200))
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["Wald", "profile", "posterior"]
    limits = hb.confint(fit, method="profile").loc["sigma", ["lower", "upper"]]
    assert tuple(axes[1].lines[2].get_xdata()) == tuple(limits)
    _, axes = hb.plot.intervals(hb.confint(reml))
    assert len(axes) == 6
    with pytest.raises(hb.OptionError, match="fits one by one"):
        hb.plot.intervals(reml, "post")


def test_a_caterpillar_says_that_effects_of_an_sd_of_zero_are_zero():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    with pytest.warns(hb.BoundaryWarning):
        fit = model.fit()
    figure, _ = hb.plot.caterpillar(fit)
    assert "estimates the sd of (Intercept) as 0" in figure.get_supxlabel().replace("\n", " ")


def test_a_caterpillar_draws_the_terms_named(reml):
    _, axes = hb.plot.caterpillar(reml, terms=["Days"], order="name", labels={"Days": "slope"})
    assert axes[0].get_xlabel() == "slope"
    assert [t.get_text() for t in axes[0].get_yticklabels()] == sorted(
        reml.ranef()["Subject"].index
    )
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.plot.caterpillar(reml, terms=["days"])


def test_residuals_of_a_posterior_are_drawn(post):
    _, ax = hb.plot.residuals(post, "Days", jitter=False)
    _, y = np.asarray(ax.collections[0].get_offsets()).T
    np.testing.assert_allclose(y, post.residuals())
    _, ax = hb.plot.qq(post)
    assert ax.get_ylabel() == "residual quantile (ms)"
    checked = hb.check(post, nsim=50, random_seed=1)
    titles = [ax.get_title().splitlines()[0] for ax in checked.plot(width="column")[1]]
    assert "Residuals" in titles
