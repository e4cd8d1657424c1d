"""Pictures of REML beside the posterior: compare, prior_posterior."""

import numpy as np
import pytest
from matplotlib import pyplot

import hierbayes as hb


@pytest.fixture(scope="module")
def model():
    return hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def fits(model):
    return model.fit(), model.fit("ml"), model.sample(random_seed=1)


@pytest.fixture(scope="module")
def crossed():
    model = hb.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    return model.fit(), model.sample(random_seed=1)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def marks(ax, name):
    """Where the marker of a fit stands."""
    return next(float(line.get_xdata()[0]) for line in ax.lines if line.get_label() == name)


def test_a_comparison_draws_itself(fits):
    found = hb.compare(*fits)
    _, axes = found.plot()
    table = found.to_frame()
    assert [ax.get_title(loc="left") for ax in axes[:6]] == list(table.index)
    for ax, (_, row) in zip(axes, table.iterrows(), strict=False):
        assert marks(ax, "REML") == row["reml_estimate"]
        assert marks(ax, "ML") == row["ml_estimate"]
        assert marks(ax, "posterior") == row["posterior_median"]
    shifts = [ax.texts[0].get_text() for ax in axes[:6]]
    assert shifts[3] == f"+{table.loc['sd(Days|Subject)', 'posterior_shift']:.2f} sd"


def test_level_effects_are_drawn_against_each_other(fits):
    reml, _, post = fits
    _, axes = hb.plot.compare(reml, post)
    points = np.asarray(axes[7].collections[-1].get_offsets())
    np.testing.assert_allclose(points[:, 0], reml.ranef()["Subject"]["Days"])
    np.testing.assert_allclose(points[:, 1], post.ranef()["Subject"]["Days"])
    plane = axes[8]
    own = next(line for line in plane.lines if line.get_marker() == "D")
    np.testing.assert_allclose(own.get_xdata(), post.coef()["Subject"]["(Intercept)"])
    np.testing.assert_allclose(own.get_ydata(), post.coef()["Subject"]["Days"])


def test_intervals_given_are_drawn_in_place_of_walds(fits):
    reml, _, post = fits
    profile = hb.confint(reml, method="profile")
    _, axes = hb.plot.compare(reml, post, confint=profile)
    ends = [tuple(line.get_xdata()) for ax in axes[:6] for line in ax.lines]
    for name in profile.index:
        assert tuple(profile.loc[name, ["lower", "upper"]]) in ends
    with pytest.raises(hb.OptionError, match=r"table of hb\.confint"):
        hb.plot.compare(reml, post, confint=3)


def test_crossed_factors_have_a_panel_each_and_no_plane(crossed):
    _, axes = hb.plot.compare(*crossed)
    assert [ax.get_title() for ax in axes[4:]] == ["plate: (Intercept)", "sample: (Intercept)"]
    _, axes = hb.plot.compare(*crossed, group="sample")
    assert [ax.get_title() for ax in axes[4:]] == ["sample: (Intercept)"]


def test_two_fits_of_one_kind_are_compared_too(fits, model):
    reml, ml, post = fits
    _, axes = hb.plot.compare(reml, ml)
    assert len(axes) == 9 and not axes[0].texts
    tight = hb.Model(
        "Reaction ~ Days + (Days | Subject)",
        hb.load_dataset("sleepstudy"),
        priors={"Days": hb.Normal(0, 1)},
    )
    _, axes = hb.plot.compare(post, tight.sample(random_seed=1), parameters=["Days"])
    assert axes[0].get_title(loc="left") == "Days"


def test_a_boundary_is_drawn_where_the_posterior_leaves_it():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    with pytest.warns(hb.BoundaryWarning):
        fit = model.fit()
    _, axes = hb.plot.compare(fit, model.sample(random_seed=1))
    sd = axes[1]
    assert sd.get_title(loc="left") == "sd((Intercept)|Batch)"
    assert marks(sd, "REML") == 0.0 < marks(sd, "posterior")
    assert sd.get_xlim()[0] < 0


def test_wrong_requests_are_told(fits):
    reml, _, post = fits
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.plot.compare(reml, post, parameters=["days"])
    with pytest.raises(hb.OptionError, match="two or more fits"):
        hb.plot.compare(reml)
    with pytest.raises(hb.OptionError, match="this model has 'Subject'"):
        hb.plot.compare(reml, post, group="Item")
    with pytest.raises(hb.OptionError, match="names no parameter"):
        hb.plot.compare(reml, post, parameters=[])
    with pytest.raises(hb.OptionError, match="one to 3 fits"):
        hb.plot.effects()
    with pytest.raises(hb.OptionError, match="names no parameter"):
        hb.plot.prior_posterior(post, [])


def test_prior_and_posterior_share_one_scale(fits):
    _, axes = hb.plot.prior_posterior(fits[2], ["Days", "cor((Intercept),Days|Subject)"])
    assert axes[1].get_xticks().tolist() == [-1, 0, 1]
    prior = next(line for line in axes[0].lines if line.get_label() == "prior")
    expected = np.exp(fits[2].priors.beta[1].log_density(prior.get_xdata()))
    times = float(axes[0].get_title().rpartition("\N{MULTIPLICATION SIGN}")[2])
    assert times > 1  # it would lie on the floor
    np.testing.assert_allclose(prior.get_ydata(), times * expected)
    assert "prior" not in axes[1].get_title()


def test_what_is_drawn_is_said_in_words(fits, crossed):
    figure, _ = hb.plot.compare(*fits)
    assert "largest shift from REML is that of sd(Days|Subject)" in hb.plot.alt_text(figure)
    figure, _ = hb.plot.effects(crossed[0])
    assert "diameter over plate" in hb.plot.alt_text(figure)


def test_the_chains_are_drawn_in_their_order_with_how_well_they_agree(fits):
    post = fits[2]
    figure, axes = hb.plot.chains(post, "Days")
    assert len(axes) == 1 and len(axes[0].lines) == post.n_chains
    line = axes[0].lines[1]
    assert line.get_label() == "chain 2"
    np.testing.assert_array_equal(line.get_ydata(), post.draws.beta[1, :, 1])
    found = post.diagnostics().loc["Days"]
    assert axes[0].get_title() == f"Days\nR-hat {found['r_hat']:.3f}, ESS {found['ess_bulk']:.0f}"
    assert f"{found['r_hat']:.3f}" in hb.plot.alt_text(figure)
    with pytest.raises(hb.OptionError, match="takes a posterior"):
        hb.plot.chains(fits[0])
    with pytest.raises(hb.OptionError, match="'days' is not one of"):
        hb.plot.chains(post, ["days"])
