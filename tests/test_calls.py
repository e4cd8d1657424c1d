"""A call that doesn't fit says what the function takes, and keeps its signature."""

import inspect

import pytest

import hierbayes as hb
from hierbayes.calls import checked_call
from hierbayes.spellings import ARGUMENTS

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
def test_every_public_method_names_itself_and_what_it_takes(kind, fit):
    posterior = fit.model.sample(draws=50, chains=1, random_seed=1)
    (one,) = [one for one in (fit, posterior, fit.model) if isinstance(one, kind)]
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            with pytest.raises(hb.OptionError, match=rf"\.{name}: .* called as \w+\.{name}\("):
                method(one, *[1] * 40, no_such_thing=1)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, REML=False), "reml=False"),
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, method="ML"), "reml=False"),
        (lambda fit, d: hb.lmer("Reaction ~ Days", d, wieghts="Days"), "weights="),
        (lambda fit, d: fit.model.sample(seed=1), "random_seed=1"),
        (lambda fit, d: fit.model.sample(iter=2000), "draws=1000, tune=1000"),
        (lambda fit, d: fit.predict(d, re_form=None), "groups='all'"),
        (lambda fit, d: hb.confint(fit, parm="Days"), "parameters='Days'"),
        (lambda fit, d: hb.confint(fit, conf_level=0.9), "level=0.9"),
        (lambda fit, d: fit.model.fit(REML=False), "method='ml'"),
        (lambda fit, d: fit.predict(d, re_form="NA"), "groups='none'"),
        (lambda fit, d: fit.predict(d, allow_new_levels=True), "new_levels='population'"),
        (lambda fit, d: fit.predict(d, se_fit=True), "interval='confidence'"),
        (lambda fit, d: fit.tidy(alpha=0.1), "level=0.9"),
        (lambda fit, d: fit.model.sample(adapt_delta=0.95), "target_accept=0.95"),
        (lambda fit, d: hb.glmer("y ~ x", d, nAGQ=7), "n_quadrature=7"),
        (lambda fit, d: fit.residuals(type="pearson"), "kind='pearson'"),
        (lambda fit, d: fit.simulate(seed=1), "random_seed=1"),
        (lambda fit, d: fit.simulate(use_u=True), "groups='fitted'"),
        (lambda fit, d: fit.predict(re_form="~ (1 | Subject)"), r"groups='\(1 \| Subject\)'"),
        (lambda fit, d: fit.residuals(na_action="exclude"), "rows="),
        (lambda fit, d: hb.Normal(mean=0, sd=1), "mu=0"),
        (lambda fit, d: hb.HalfNormal(scale=2), "sigma=2"),
        (lambda fit, d: hb.confint(fit, method="bootstrap", cores=2), "n_jobs=2"),
    ],
)
def test_an_unknown_argument_names_the_one_that_is_meant(fit, call, meant):
    with pytest.raises(hb.OptionError, match=rf"Did you mean {meant}\? It is called as"):
        call(fit, hb.load_dataset("sleepstudy"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: hb.lmer("y ~ x", d, control=None), "nothing to set"),
        (lambda d: hb.lmer("y ~ x", d, subset="x > 1"), r"data\[data.x > 2\]"),
        (lambda d: hb.lmer("y ~ x", d, na_action="omit"), "missing value are left out"),
        (lambda d: hb.lmer("y ~ x", d, groups="g"), r"\(1 \| group\)"),
        (lambda d: hb.lmer(d, "y ~ x"), "The formula comes first"),
        (lambda d: hb.Model(d, "y ~ x + (1 | g)"), "The formula comes first"),
    ],
)
def test_what_has_no_argument_here_is_said(call, said):
    with pytest.raises(hb.OptionError, match=said):
        call(hb.load_dataset("sleepstudy"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda fit: hb.confint(fit, "Days"), "write parameters='Days'"),
        (lambda fit: hb.confint(fit, 0.9), "write level=0.9"),
        (lambda fit: hb.anova(fit, type="III"), "did you mean 3"),
        (lambda fit: hb.influence(fit, "rows"), "rows=True looks at each row"),
        (lambda fit: hb.Model("y ~ x", {}, family="binomial(link='probit')"),
         "write family='binomial', link='probit'"),
        (lambda fit: hb.Model("y ~ x", {}, "Gamma"), "did you mean 'gamma'"),
    ],
)  # fmt: skip
def test_a_value_in_the_wrong_place_says_where_it_belongs(fit, call, said):
    with pytest.raises(hb.OptionError, match=said):
        call(fit)


def test_what_other_packages_say_leads_to_arguments_that_are_there():
    takers = [getattr(hb, name) for name in (*FUNCTIONS, *PRIORS)] + [
        method
        for kind in (hb.Model, hb.LikelihoodFit, hb.PosteriorFit)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    ]
    known = {name for taker in takers for name in inspect.signature(taker).parameters}
    assert {name for word in ARGUMENTS.values() for name in word.ours} <= known


def test_a_missing_argument_is_named(fit):
    with pytest.raises(hb.OptionError, match=r"hb\.emmeans: missing a required argument: 'specs'"):
        hb.emmeans(fit)


def test_signatures_are_kept_and_list_the_options_of_a_model():
    names = list(inspect.signature(hb.lmer).parameters)
    assert names[:3] == ["formula", "data", "reml"]
    assert {"weights", "offset", "priors"} < set(names)
    assert "model_options" not in names
    assert inspect.unwrap(hb.lmer).__code__.co_flags & inspect.CO_VARKEYWORDS == 0
    assert set(names) - {"reml"} == set(inspect.signature(hb.Model).parameters)
    assert set(inspect.signature(hb.glmer).parameters) - {"n_quadrature"} == set(names) - {"reml"}
    assert list(inspect.signature(hb.emmeans).parameters)[:2] == ["fit", "specs"]
    assert hb.anova.__doc__
    assert hb.anova.__module__ == "hierbayes.comparison.anova"


def test_a_type_error_from_inside_is_not_taken_for_a_wrong_call():
    @checked_call("f")
    def f(a):
        return len(a)

    with pytest.raises(TypeError, match="has no len"):
        f(3)
