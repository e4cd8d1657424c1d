"""A call that doesn't fit says what the function takes, and keeps its signature."""

import inspect

import pytest

import hierbayes as hb
from hierbayes.calls import checked_call

FUNCTIONS = [
    name
    for name in hb.__all__
    if callable(getattr(hb, name)) and not isinstance(getattr(hb, name), type)
]
PRIORS = ["Normal", "StudentT", "HalfNormal", "Exponential", "Gamma", "LKJ", "Uniform", "Beta"]


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))


@pytest.mark.parametrize("name", [*FUNCTIONS, *PRIORS, "Model"])
def test_every_public_function_names_itself_and_what_it_takes(name):
    function = getattr(hb, name)
    for given, named in (([], {"no_such_thing": 1}), ([1] * 40, {"no_such_thing": 1})):
        with pytest.raises(hb.OptionError, match=rf"^hb\.{name}: .* called as hb\.{name}\("):
            function(*given, **named)


@pytest.mark.parametrize("kind", [hb.LikelihoodFit, hb.PosteriorFit, hb.Model])
def test_every_public_method_names_itself_and_what_it_takes(kind):
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            with pytest.raises(hb.OptionError, match=rf"\.{name}: .* called as \w+\.{name}\("):
                method(object.__new__(kind), *[1] * 40, no_such_thing=1)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, REML=False), "reml"),
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, method="ML"), "reml"),
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, wieghts="Days"), "weights"),
        (lambda fit, d: fit.model.sample(seed=1), "random_seed"),
        (lambda fit, d: fit.model.sample(iter=2000), "draws"),
        (lambda fit, d: fit.predict(d, re_form=None), "groups"),
        (lambda fit, d: hb.confint(fit, parm="Days"), "parameters"),
        (lambda fit, d: hb.confint(fit, conf_level=0.9), "level"),
    ],
)
def test_an_unknown_argument_names_the_one_that_is_meant(fit, call, meant):
    with pytest.raises(hb.OptionError, match=rf"Did you mean {meant}=\? It is called as"):
        call(fit, hb.load_dataset("sleepstudy"))


def test_a_missing_argument_is_named(fit):
    with pytest.raises(hb.OptionError, match=r"hb\.emmeans: missing a required argument: 'specs'"):
        hb.emmeans(fit)


def test_signatures_are_kept_and_list_the_options_of_a_model():
    names = list(inspect.signature(hb.lmer).parameters)
    assert names[:3] == ["formula", "data", "reml"]
    assert {"weights", "offset", "priors"} < set(names)
    assert "model_options" not in names
    assert list(inspect.signature(hb.emmeans).parameters)[:2] == ["fit", "specs"]
    assert hb.anova.__doc__
    assert hb.anova.__module__ == "hierbayes.comparison.anova"


def test_a_type_error_from_inside_is_not_taken_for_a_wrong_call():
    @checked_call("f")
    def f(a):
        return len(a)

    with pytest.raises(TypeError, match="has no len"):
        f(3)
