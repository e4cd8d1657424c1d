"""Every result is text, HTML, Markdown and LaTeX with the same numbers."""

import re
from functools import cache

import pytest

import hierbayes as hb
from hierbayes.results.printing import Printable, written

NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[-+]\d+)?")
DYESTUFF = "Yield ~ 1 + (1 | Batch)"


@cache
def dyestuff():
    return hb.Model(DYESTUFF, hb.load_dataset("Dyestuff"))


@cache
def cake():
    return hb.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", hb.load_dataset("cake"))


@cache
def posterior():
    return dyestuff().sample(random_seed=1)


@cache
def mean_only():
    return hb.Model("Yield ~ 1", hb.load_dataset("Dyestuff")).sample(random_seed=1)


@cache
def cbpp():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return hb.glmer(formula, hb.load_dataset("cbpp"))


@cache
def touch():
    formula = "cbind(faster, trials - faster) ~ speed * vibration + (speed | subject)"
    data = hb.load_dataset("touch_speed")
    return hb.psychometric(formula, data, stimulus="speed", guess="lapse", lapse="estimate")


@cache
def touch_posterior():
    formula = "cbind(faster, trials - faster) ~ speed + (1 | subject)"
    model = hb.psychometric(formula, hb.load_dataset("touch_speed"), stimulus="speed", guess=0.02)
    return model.sample(draws=100, random_seed=1)


RESULTS = {
    "fit": lambda: dyestuff().fit(),
    "ml": lambda: dyestuff().fit("ml"),
    "linear": lambda: hb.lmer("Yield ~ Batch", hb.load_dataset("Dyestuff")),
    "generalised": cbpp,
    "laplace_error": lambda: cbpp().laplace_error,
    "posterior": posterior,
    "psychometric": lambda: touch().fit(),
    "psychometric_posterior": touch_posterior,
    "thresholds": lambda: touch().fit().pse(),
    "goodness_of_fit": lambda: touch().fit().goodness_of_fit(nsim=20, random_seed=1),
    "varcorr": lambda: cake().varcorr(),
    "ranef": lambda: dyestuff().fit().ranef(),
    "coef": lambda: cake().coef(),
    "predictions": lambda: dyestuff().fit().predict(interval="confidence"),
    "shrinkage": lambda: hb.shrinkage(dyestuff().fit()),
    "anova": lambda: hb.anova(cake(), cake().update(". ~ . - temp")),
    "f_table": lambda: hb.anova(cake()),
    "drop1": lambda: hb.drop1(cake(), "Chisq"),
    "hypothesis": lambda: posterior().hypothesis("(Intercept) > 1500"),
    "bayes_factor": lambda: hb.bayes_factor(posterior(), posterior(), names=("a", "b")),
    "loo": lambda: hb.loo(posterior()),
    "inclusion": lambda: hb.inclusion([posterior(), mean_only()]),
    "term_factor": lambda: hb.bayes_factor(posterior(), drop="(1 | Batch)", random_seed=1),
    "restricted": lambda: hb.bayes_factor(posterior(), hypothesis="sigma > 50", random_seed=1),
    "sensitivity": lambda: hb.sensitivity(posterior(), "sigma", widths=[20, 80]),
    "power_scaling": lambda: hb.sensitivity(posterior()),
    "kfold": lambda: hb.kfold(posterior(), k=2, random_seed=1),
    "elpd": lambda: hb.compare(posterior(), mean_only()),
    "structures": lambda: hb.compare_structures(
        dyestuff(), {"none": "Yield ~ 1", "posterior": posterior()}, random_seed=1
    ),
    "ranova": lambda: hb.ranova(dyestuff().fit()),
    "exact": lambda: hb.exact_rlrt(dyestuff().fit(), nsim=200, random_seed=1),
    "pb_test": lambda: hb.pb_test(cake().update(". ~ . - temp"), cake(), nsim=20, random_seed=1),
    "profile": lambda: hb.profile(dyestuff().fit("ml")),
    "bootstrap": lambda: hb.bootstrap(dyestuff().fit(), nsim=20, random_seed=1),
    "design_study": lambda: hb.design_study(
        cake(), trials=[1, 2], test=["temp"], nsim=10, random_seed=1
    ),
    "r2": lambda: hb.r2(cake()),
    "icc": lambda: hb.icc(dyestuff().fit()),
    "slopes": lambda: hb.slopes(cake(), "temp"),
    "priors": lambda: dyestuff().priors,
    "table": lambda: hb.table(cake(), dyestuff().fit("ml")),
    "summary": lambda: cake().summary(),
    "emmeans": lambda: hb.emmeans(cake(), "recipe", contrasts="pairwise"),
    "effects": lambda: hb.slopes(cake(), "temp"),
    "emmeans_tests": lambda: hb.emmeans(cake(), "recipe").contrast("consec"),
    "check": lambda: hb.check(dyestuff().fit(), random_seed=1),
    "reanalysis": lambda: hb.reanalyse(DYESTUFF, hb.load_dataset("Dyestuff"), random_seed=1),
    "published": lambda: hb.read_summary(str(cake().summary())),
    "comparison": lambda: hb.compare(dyestuff().fit(), dyestuff().fit("ml"), posterior()),
}


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", RESULTS)
def test_all_forms_have_the_same_numbers(name):
    result = RESULTS[name]()
    html = re.sub(r"<style>.*?</style>", "", written(result, "html"), flags=re.DOTALL)
    numbers = NUMBER.findall(html)
    assert numbers
    assert NUMBER.findall(written(result, "markdown")) == numbers
    assert NUMBER.findall(written(result, "latex")) == numbers
    if name not in ("ranef", "coef"):  # R's seven digits, on a page those of their sds
        assert set(NUMBER.findall(written(result, "text"))) & set(numbers)


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_every_kind_of_result_is_among_them():
    made = {type(make()).__name__ for make in RESULTS.values()}
    kinds = {cls.__name__ for cls in leaves(Printable)}
    assert {name for name in kinds if not name.startswith("_")} <= made


def leaves(cls):
    """Classes derived from one, without those that others derive from in the package."""
    below = [sub for sub in cls.__subclasses__() if sub.__module__.startswith("hierbayes.")]
    return {leaf for sub in below for leaf in leaves(sub)} if below else {cls}
