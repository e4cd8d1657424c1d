"""The panel of checks says "good" of the model the data come from, and "look" of a wrong one."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from hierbayes.checks.simulated_residuals import simulated_residuals


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


def verdicts(found):
    return dict(zip(found.to_frame()["check"], found.to_frame()["verdict"], strict=True))


def simulated(n_groups=60, n=10, *, noise):
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(n_groups), n)
    x = np.tile(np.arange(n), n_groups)
    y = 3 + 0.5 * x + rng.standard_normal(n_groups)[g] + noise(rng, g.size)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def test_the_right_model_passes():
    frame = simulated(noise=lambda rng, n: rng.standard_normal(n))
    found = hb.check(hb.lmer("y ~ x + (1 | g)", frame), random_seed=1)
    assert set(verdicts(found).values()) == {"good"}


def test_heavy_tails_are_seen():
    frame = simulated(noise=lambda rng, n: 0.6 * rng.standard_t(2.0, n))
    found = verdicts(hb.check(hb.lmer("y ~ x + (1 | g)", frame), random_seed=1))
    assert found["residuals by simulation are uniform"] == "look"
    assert found["residuals look normal"] == "look"


def test_a_singular_fit_and_a_level_that_decides_are_seen():
    with pytest.warns(hb.BoundaryWarning):
        singular = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    assert verdicts(hb.check(singular, random_seed=1))["covariances of random effects"] == "look"
    frame = simulated(6, noise=lambda rng, n: rng.standard_normal(n))
    frame.loc[frame["g"] == 5, "y"] += 40
    found = verdicts(hb.check(hb.lmer("y ~ x + (1 | g)", frame), random_seed=1))
    assert found["no level of g decides the fixed effects"] == "good"  # its effect takes it up


def test_scaled_residuals_are_uniform_under_the_model(fit):
    drawn = fit.simulate(40, random_seed=3)
    means = [
        simulated_residuals(fit.refit(drawn[name]), 100, random_seed=seed).scaled.mean()
        for seed, name in enumerate(drawn)
    ]
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - 0.5) < 4 * error


def test_a_posterior_is_checked_too_and_seeds_are_honoured(fit):
    post = fit.model.sample(random_seed=1)
    first, again = (hb.check(post, random_seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.scaled, again.scaled)
    assert verdicts(first)["sampler has converged"] == "good"
    assert "Model checks of a posterior" in str(first)


def test_the_panel_has_a_subtitle_under_each_title(fit):
    found = hb.check(fit, random_seed=1)
    figure, axes = found.plot()
    assert len(axes) == 6
    assert all(re.fullmatch(r"[^\n]+\n\([^\n]+\)", ax.get_title()) for ax in axes)
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02
    pyplot.close("all")
    assert "<table" in found._repr_html_()


def test_bad_input_is_named(fit):
    with pytest.raises(hb.OptionError, match="takes a fit"):
        hb.check("fit")
    with pytest.raises(hb.OptionError, match="at least 20"):
        hb.check(fit, nsim=1)
    with pytest.raises(hb.OptionError, match=r"takes a fit or what hb\.check"):
        hb.plot.check("fit")


def test_leave_out_is_true_or_false():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    with pytest.raises(hb.OptionError, match="leave_out"):
        hb.check(fit, leave_out="yes")


def test_counts_are_checked_for_zeros_and_for_their_spread():
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(20), 15)
    mu = np.exp(1.2 + 0.4 * rng.normal(size=20)[g])
    plain = rng.poisson(mu)
    inflated = np.where(rng.random(mu.size) < 0.3, 0, plain)
    zeros = "zeros are as many as simulated"
    spread = "spread given the random effects is that of family='poisson'"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.DesignWarning)  # of the spread
        fits = [hb.glmer("y ~ 1 + (1 | g)", {"y": y, "g": g}, "poisson") for y in (plain, inflated)]
    good, bad = (verdicts(hb.check(fit, random_seed=1)) for fit in fits)
    assert good[zeros] == "good" and good[spread] == "good"
    assert bad[zeros] == "look" and bad[spread] == "look"


def test_zeros_and_ones_are_not_checked_for_what_follows_from_their_mean():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(8), 10)
    data = {"y": (rng.random(80) < 0.3 + 0.4 * (g % 2)).astype(int), "g": g}
    found = verdicts(hb.check(hb.glmer("y ~ 1 + (1 | g)", data), random_seed=1))
    assert not [name for name in found if "zeros" in name or "family" in name]
