"""Whatever is asked of a fit of hb.glmer is answered, or refused in a sentence of ours."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hierbayes as hb
from hierbayes.results.generalised_fit import GeneralisedFit
from tests.results.posteriors import known_posterior

FORMULA = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
FUNCTIONS = sorted(
    name
    for name in hb.__all__
    if callable(getattr(hb, name)) and not isinstance(getattr(hb, name), type)
)
OF_ORDINAL_FITS = {"category_probabilities", "category_slopes"}
METHODS = sorted(
    {name for name, _ in inspect.getmembers(GeneralisedFit) if name[0] != "_"} - OF_ORDINAL_FITS
)
# what each needs besides the fit
MORE = {
    "contrast": ("period2",),
    "comparisons": ("period",),
    "emmeans": ("period",),
    "slopes": ("period",),
    "emtrends": ([], "period"),
    "update": (". ~ . - period",),
    "with_method": ("ml",),
    "expected_at": (np.zeros(2),),
    "expected_slope": (np.zeros(2),),
    "shown": (lambda fit: fit.beta,),
    "determined": (lambda fit: fit.beta,),
}
OPTIONS_OF = {"check": {"random_seed": 1}, "bootstrap": {"nsim": 20, "random_seed": 1},
              "pb_test": {"nsim": 20, "random_seed": 1}}  # fmt: skip
# Which refuse, and a word of why; all others answer.
REFUSES = {
    "autocorrelation": "needs a REML or ML fit of a linear model",
    "exact_lrt": "exact test is of a Gaussian",
    "exact_rlrt": "exact test is of a Gaussian",
    "likelihood_surface": "needs two variance parameters",
    "bayes_factor": "takes two posteriors",
    "emtrends": "is a factor of the model",
    "kfold": "needs a posterior",
    "loo": "needs a posterior",
    "sensitivity": "needs a posterior",
    "slopes": "hb.comparisons\\(fit, .period.\\) compares them",
}
DRAWN = ("boundary", "caterpillar", "check", "compare", "data", "effects", "influence",
         "intervals", "ppc", "prior_predictive", "profile", "qq", "ranef_qq", "residuals",
         "shrinkage_lines", "shrinkage_reliability", "shrinkage_slopegraph", "simulations",
         "tau_path")  # fmt: skip
SLOW = {"boundary", "check"}  # which sample, simulate or refit what they draw


@pytest.fixture(scope="module")
def fit() -> GeneralisedFit:
    found = hb.glmer(FORMULA, hb.load_dataset("cbpp"))
    assert isinstance(found, GeneralisedFit)
    return found


@pytest.fixture(scope="module")
def small() -> hb.LikelihoodFit:
    return hb.glmer(FORMULA.replace("period", "1"), hb.load_dataset("cbpp"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name, fit, small):
    options = OPTIONS_OF.get(name, {})
    two = name in ("anova", "bayes_factor", "pb_test")
    given = (small, fit) if two else (fit, fit) if name == "compare" else (fit, *MORE.get(name, ()))
    if name in REFUSES:
        with pytest.raises(hb.HierBayesError, match=REFUSES[name]):
            getattr(hb, name)(*given)
        return
    try:
        found = getattr(hb, name)(*given, **options)
    except hb.OptionError:
        takes = [*inspect.signature(getattr(hb, name)).parameters, ""]
        assert takes[0] not in ("fit", "fits"), "it takes a fit and does not answer"
        return
    except hb.DataError:
        # a fit is no path, and no table of what was published
        assert name in ("load", "read_cells", "read_coefficients", "reanalyse", "relationship")
        return
    assert str(found)


PICTURES = [
    pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW))
    for name in sorted(hb.plot.__all__)
]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture(name, fit):
    again = hb.glmer(FORMULA, hb.load_dataset("cbpp"), n_quadrature=9)
    given = (fit, again) if name == "compare" else (fit,)
    try:
        getattr(hb.plot, name)(*given)
    except hb.HierBayesError as error:
        assert name not in DRAWN and str(error).endswith(".")
    else:
        assert name in DRAWN
    plt.close("all")


@pytest.mark.parametrize("name", METHODS)
def test_every_method(name, fit, tmp_path):
    member = getattr(fit, name)
    if not inspect.ismethod(member):
        return
    more = {"save": (tmp_path / "a.fit",), "report": (tmp_path / "a.html",)}
    given = more.get(name, MORE.get(name, (fit.design.y[:, 0],) if name == "refit" else ()))
    member(*given)


OPTIONS = {
    "degrees of freedom": (lambda fit: fit.tidy(ddf="satterthwaite"), "z tests"),
    "df of a contrast": (lambda fit: fit.contrast("period2", ddf="kenward-roger"), "z tests"),
    "df of a joint test": (
        lambda fit: fit.contrast(["period2", "period3"], ddf="satterthwaite", joint=True),
        "z tests",
    ),
    "df of a summary": (lambda fit: fit.summary(ddf="satterthwaite"), "z tests"),
    "df of an anova": (lambda fit: hb.anova(fit, ddf="satterthwaite"), "z tests"),
    "df of a drop1": (lambda fit: hb.drop1(fit, "F", ddf="satterthwaite"), "z tests"),
    "df of means": (lambda fit: hb.emmeans(fit, "period", ddf="satterthwaite"), "z tests"),
    "REML": (lambda fit: fit.with_method("reml"), "REML is for Gaussian"),
    "bootstrap of cases": (lambda fit: hb.bootstrap(fit, kind="cases"), "draws from the model"),
}


@pytest.mark.parametrize(("ask", "words"), OPTIONS.values(), ids=OPTIONS)
def test_options_it_has_not_are_refused(ask, words, fit):
    with pytest.raises(hb.NotSupportedError, match=words):
        ask(fit)


BAD = {
    "one kind": (dict(formula="all ~ period + (1 | herd)"), hb.DataError, "nothing to model"),
    "shares without trials": (
        dict(formula="incidence/size ~ period + (1 | herd)"), hb.DataError, "trials as weights",
    ),
    "negative counts": (
        dict(formula="I(incidence - 2) ~ 1 + (1 | herd)", family="poisson"), hb.DataError,
        "whole numbers of at least 0",
    ),
    "more successes than trials": (
        dict(formula="cbind(incidence, incidence - size) ~ 1 + (1 | herd)"), hb.DataError,
        "whole numbers",
    ),
    "a family that is none": (dict(family="binomal"), hb.OptionError, "did you mean 'binomial'"),
    "a link it has not": (dict(link="sqrt"), hb.OptionError, "has the links"),
    "R's argument": (dict(nAGQ=3), hb.OptionError, "n_quadrature="),
    "a Gaussian model": (dict(formula="size ~ 1 + (1 | herd)", family="gaussian"), hb.OptionError,
                         r"hb\.lmer fits that"),
    "nodes for four columns": (
        dict(formula="incidence ~ 1 + (poly(size, 3) | period)", family="poisson", n_quadrature=5),
        hb.NotSupportedError, "up to 3 columns",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::hierbayes.DesignWarning")
@pytest.mark.parametrize(("given", "kind", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence(given, kind, words):
    data = hb.load_dataset("cbpp").assign(all=1)
    with pytest.raises(kind, match=words):
        hb.glmer(**({"formula": FORMULA, "data": data} | given))


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_a_separated_fit_answers_too():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 10)
    late = np.tile(np.arange(10), 12) > 4
    data = {"hit": np.where(late, 0, rng.random(120) < 0.5).astype(int), "late": late, "g": g}
    with pytest.warns(hb.HierBayesWarning, match="has no finite estimate"):
        fit = hb.glmer("hit ~ late + (1 | g)", data)
    assert not fit.converged
    for ask in (fit.summary, fit.tidy, fit.predict, lambda: hb.confint(fit), lambda: hb.drop1(fit)):
        assert str(ask())


def test_a_comparison_with_a_posterior_has_a_reason_for_each_difference():
    model = hb.Model("count ~ x + (1 | g)", _counts(), "poisson")
    found = hb.compare(model.fit(), known_posterior(model))
    assert found.to_frame()["why"].str.len().gt(0).all()
    assert "ML's z test" in str(found)


def _counts():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(15), 8)
    x = np.tile(np.linspace(-1, 1, 8), 15)
    return {"x": x, "g": g, "count": rng.poisson(np.exp(0.5 + 0.5 * x + rng.normal(0, 0.5, 15)[g]))}
