"""A picture of the wrong thing is refused in a sentence, never by an attribute it lacks."""

import numpy as np
import pytest
from matplotlib import pyplot

import hierbayes as hb

PICTURES = tuple(name for name in hb.plot.__all__ if name not in ("alt_text", "theme"))


OF_MODELS = {"data", "prior_predictive", "simulations"}


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.mark.parametrize("picture", [*PICTURES, "alt_text", "theme"])
def test_a_picture_of_what_it_does_not_take_is_refused(fit, picture):
    data = hb.load_dataset("sleepstudy")
    model = hb.Model("Reaction ~ Days + (1 | Subject)", data)
    wrong_ones = ["Days", data.head(), None, 3, [fit, fit], hb.LikelihoodFit, np.zeros(3)]
    for wrong in wrong_ones if picture in OF_MODELS else [*wrong_ones, model]:
        with pytest.raises(hb.HierBayesError) as raised:
            getattr(hb.plot, picture)(wrong)
        assert len(str(raised.value)) < 500


@pytest.mark.parametrize("picture", PICTURES)
def test_a_second_argument_a_picture_does_not_take_is_refused(fit, picture):
    optional = picture in ("residuals", "boundary", "influence")  # the second argument may be None
    counted = picture == "simulations"  # the second argument is a number
    wrong_ones = [hb.load_dataset("sleepstudy").head(), ["Days"]]
    for wrong in (*wrong_ones, *[3] * (not counted), *[None] * (not optional)):
        with pytest.raises(hb.HierBayesError):
            getattr(hb.plot, picture)(fit, wrong)


def test_an_unknown_argument_of_a_picture_names_the_nearest(fit):
    with pytest.raises(hb.OptionError, match=r"'grup'\. Did you mean group=\? It is called"):
        hb.plot.caterpillar(fit, grup="Subject")


def test_effects_takes_its_variable_after_the_fit():
    cake = hb.load_dataset("cake")
    fit = hb.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", cake)
    _, axes = hb.plot.effects(fit, "temp")
    assert axes[0].get_xlabel().startswith("temp")
    _, axes = hb.plot.effects(fit)
    assert axes[0].get_xlabel() == "recipe"  # the first predictor, as documented
    with pytest.raises(hb.OptionError, match="did you mean 'temp'"):
        hb.plot.effects(fit, "tempp")


def test_caterpillar_takes_its_group_after_the_fit():
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    _, axes = hb.plot.caterpillar(fit, "sample")
    assert axes[0].get_ylabel() == "sample"


def test_caterpillar_refuses_fits_with_other_levels(fit):
    data = hb.load_dataset("sleepstudy")
    fewer = hb.lmer("Reaction ~ Days + (Days | Subject)", data[data["Subject"] != "308"])
    with pytest.raises(hb.OptionError, match="other levels"):
        hb.plot.caterpillar(fit, fewer)


@pytest.mark.parametrize("given", ["fit", ["fit"]])
def test_no_message_prints_a_whole_fit(fit, given):
    value = fit if given == "fit" else [fit]
    for call in (
        lambda: hb.confint(fit, value),
        lambda: hb.emmeans(fit, value),
        lambda: hb.confint(fit, parameters=value),
        lambda: hb.confint(fit, level=value),
        lambda: hb.influence(fit, value),
        lambda: hb.bootstrap(fit, nsim=value),
        lambda: hb.bootstrap(fit, nsim=2, random_seed=value),
        lambda: fit.contrast(value),
    ):
        with pytest.raises(hb.HierBayesError) as raised:
            call()
        assert "Random effects:" not in str(raised.value)


def test_loo_of_two_posteriors_does_not_print_one_of_them():
    model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    post = model.sample(random_seed=1, draws=50)
    with pytest.raises(hb.OptionError, match="by=a PosteriorFit is no grouping factor"):
        hb.loo(post, post)
