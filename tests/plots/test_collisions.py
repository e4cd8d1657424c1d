"""Every picture of every kind of model, at widths from 60 to 240 mm, in all themes.

What is written lies neither on other words nor over the edge, and none is taller than a page.
Themes "grey" and "dark" are "paper" in other colours and lines: at one width they are drawn and
every word stands where it stands on paper, to half a pixel; at the others the words of paper stand
for theirs.

A seeded sample runs with every test run; all of them with ``pytest -m slow``, those of one data set
with ``-k nested``.
"""

import random
import re
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from hierbayes.plots.style import MM_PER_INCH
from tests.ordinal_data import wine
from tests.plots.text_boxes import SLACK, clipped, drawn_texts, overlapping

WIDTHS = (60, 80, 160, 240)
THEMES = ("paper", "lecture", "grey", "dark")
ALL_AT = 80  # mm: here themes with letters of one size are compared
TALLEST_MM = 200.5
SAMPLE, SEED = 8, 12


def factor_slopes():
    """Reaction times of 24 participants in three conditions: long names, a factor as slope."""
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(24), 24)
    condition = np.tile(np.repeat(["congruent", "incongruent", "neutral"], 8), 24)
    b = rng.normal(size=(24, 3)) * [60, 25, 20]
    rt = 500 + b[who, 0] + (condition == "incongruent") * (40 + b[who, 1])
    rt += (condition == "neutral") * (10 + b[who, 2]) + 50 * rng.normal(size=who.size)
    names = [f"participant{i + 1:02d}" for i in who]
    data = pd.DataFrame({"rt": rt, "condition": pd.Categorical(condition), "participant": names})
    return hb.Model("rt ~ condition + (condition | participant)", data)


def many_levels():
    """400 schools of six rows."""
    rng = np.random.default_rng(4)
    school, x = np.repeat(np.arange(400), 6), np.tile(np.arange(6.0), 400)
    slope = 0.5 + 0.3 * rng.normal(size=400)[school]
    y = 2 + rng.normal(size=400)[school] + slope * x + rng.normal(size=x.size)
    data = pd.DataFrame({"y": y, "x": x, "school": [f"s{i:03d}" for i in school]})
    return hb.Model("y ~ x + (x | school)", data)


def binary():
    """Correct answers of 30 participants."""
    rng = np.random.default_rng(5)
    who, load = np.repeat(np.arange(30), 12), rng.normal(size=360)
    eta = rng.normal(size=30)[who] + 0.8 * load
    correct = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    data = pd.DataFrame({"correct": correct, "load": load, "who": [f"p{i}" for i in who]})
    return hb.Model("correct ~ load + (1 | who)", data, "binomial")


def observers():
    """Judgements of speed by 12 subjects with and without vibration, with a lapse rate."""
    return hb.psychometric(
        "faster ~ speed * vibration + (speed | subject)", hb.load_dataset("touch_speed"),
        stimulus="speed", guess="lapse", lapse="estimate", n="trials",
    )  # fmt: skip


MODELS = {
    "sleepstudy": lambda: hb.Model(
        "Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy")
    ),
    "crossed": lambda: hb.Model(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin")
    ),
    "factor slopes": factor_slopes,
    "400 levels": many_levels,
    "singular": lambda: hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2")),
    "binary": binary,
    "nested": lambda: hb.Model(
        "yield ~ nitro * Variety + (1 | Block/Variety)", hb.load_dataset("Oats")
    ),
    "ordinal": lambda: hb.Model("rating ~ temp * contact + (1 | judge)", wine(), "cumulative"),
    "psychometric": observers,
}
SMALLER = {  # the model that is tested against
    "sleepstudy": "Reaction ~ Days + (Days || Subject)",
    "crossed": "diameter ~ 1 + (1 | sample)",
    "factor slopes": "rt ~ condition + (1 | participant)",
    "400 levels": "y ~ x + (1 | school)",
    "binary": "correct ~ 1 + (1 | who)",
    "nested": "yield ~ nitro + (1 | Block/Variety)",
}
FACTOR = {"factor slopes": "condition", "nested": "Variety", "ordinal": "temp",
          "psychometric": "vibration"}  # fmt: skip
FURTHER = {"nested": "nitro", "ordinal": "contact", "psychometric": "speed"}
MIXED = [name for name in MODELS if name not in ("binary", "ordinal", "psychometric")]


def designs():
    """Power of nine designs, as simulations leave it."""
    rows = [(n, m, 1 - np.exp(-n * m / 900)) for m in (8, 24, 48) for n in (10, 40, 160)]
    table = pd.DataFrame(rows, columns=["participants", "items", "power"])
    return table.assign(lower=table["power"] - 0.05, upper=(table["power"] + 0.05).clip(upper=1))


class Source:
    """One model; what pictures are drawn from is made when it is first asked for, and kept."""

    def __init__(self, name):
        self.name, self.made = name, {}

    def __getattr__(self, wanted):
        makes = {
            "model": MODELS[self.name],
            "fit": lambda: self.model.fit("reml" if self.name in MIXED else "ml"),
            "factor": lambda: FACTOR[self.name],
            "further": lambda: FURTHER[self.name],
            "ml": lambda: self.model.fit("ml"),
            "post": lambda: self.model.sample(draws=200, tune=300, chains=2, random_seed=1),
            "profile": lambda: hb.profile(self.fit),
            "surface": lambda: hb.likelihood_surface(self.fit, n=15),
            "check": lambda: hb.check(self.fit, nsim=60, random_seed=1),
            "levels": lambda: hb.influence(self.fit),
            "rows": lambda: hb.influence(self.fit, rows=True),
            "replicates": lambda: hb.bootstrap(self.fit, nsim=20, random_seed=1),
            "priors": lambda: hb.sensitivity(
                self.post, "tempwarm" if self.name == "ordinal" else "(Intercept)", random_seed=1
            ),
            "powers": lambda: hb.sensitivity(self.post),
            "wald": lambda: hb.confint(self.fit),
            "test": lambda: hb.pb_test(
                self.fit.update(SMALLER[self.name]), self.fit, nsim=20, random_seed=1
            ),
            "exact": lambda: hb.exact_rlrt(self.fit, nsim=200, random_seed=1),
            "means": lambda: hb.emmeans(self.fit, self.factor, contrasts="pairwise"),
            "comparisons": lambda: hb.comparisons(self.fit, self.factor),
            "predictions": lambda: hb.predictions(self.fit, by=self.factor),
            "goodness": lambda: self.fit.goodness_of_fit(nsim=50, random_seed=1),
            "thresholds": lambda: self.fit.pse(groups="all"),
            "kinds": lambda: {"Wald": self.wald, "posterior": hb.confint(self.post)},
        }
        if wanted not in self.made:
            self.made[wanted] = makes[wanted]()
        return self.made[wanted]


@cache
def source(name):
    return Source(name)


PLOT = hb.plot
SEEDED = {"random_seed": 1}
OF_FITS = {
    "qq": lambda s, **look: PLOT.qq(s.fit, **look),
    "residuals": lambda s, **look: PLOT.residuals(s.fit, **look),
    "residuals over levels": lambda s, **look: PLOT.residuals(
        s.fit, s.fit.design.factors[0].name, **look
    ),
    "intervals of a table": lambda s, **look: PLOT.intervals(s.wald, **look),
    "caterpillar": lambda s, **look: PLOT.caterpillar(s.fit, s.ml, **look),
    "ranef_qq": lambda s, **look: PLOT.ranef_qq(s.fit, **look),
    "data": lambda s, **look: PLOT.data(s.fit, **look),
    "shrinkage_lines": lambda s, **look: PLOT.shrinkage_lines(s.fit, standard_errors=True, **look),
    "shrinkage_plane": lambda s, **look: PLOT.shrinkage_plane(s.fit, **look),
    "shrinkage_slopegraph": lambda s, **look: PLOT.shrinkage_slopegraph(s.fit, **look),
    "shrinkage_reliability": lambda s, **look: PLOT.shrinkage_reliability(s.fit, **look),
    "tau_path": lambda s, **look: PLOT.tau_path(s.fit, **look),
}
OF_MORE = {
    "profile": lambda s, **look: PLOT.profile(s.profile, **look),
    "density": lambda s, **look: PLOT.profile(s.profile, "density", **look),
    "likelihood_surface": lambda s, **look: PLOT.likelihood_surface(s.surface, **look),
    "boundary": lambda s, **look: PLOT.boundary(s.profile, s.post, **look),
    "chains": lambda s, **look: PLOT.chains(s.post, **look),
    "prior_posterior": lambda s, **look: PLOT.prior_posterior(s.post, **look),
    "loo": lambda s, **look: PLOT.loo(s.post, **look),
    "sensitivity": lambda s, **look: PLOT.sensitivity(s.priors, **look),
    "intervals": lambda s, **look: PLOT.intervals(s.kinds, **look),
    "caterpillar of both": lambda s, **look: PLOT.caterpillar(s.fit, s.post, **look),
    "check": lambda s, **look: PLOT.check(s.check, **look),
    "compare": lambda s, **look: PLOT.compare(s.fit, s.post, **look),
    "shrinkage_lines of draws": lambda s, **look: PLOT.shrinkage_lines(s.post, **look),
    "shrinkage_plane of draws": lambda s, **look: PLOT.shrinkage_plane(s.post, **look),
    "tau_path of both": lambda s, **look: PLOT.tau_path(s.fit, posterior=s.post, **look),
    "effects": lambda s, **look: PLOT.effects(s.fit, **look),
    "effects of both": lambda s, **look: PLOT.effects(s.fit, s.post, points="data", **look),
    "estimates": lambda s, **look: PLOT.estimates(s.wald, **look),
    "ppc": lambda s, **look: PLOT.ppc(s.fit, nsim=8, **SEEDED, **look),
    "ppc of statistics": lambda s, **look: PLOT.ppc(s.fit, "statistic", nsim=20, **SEEDED, **look),
    "ppc of groups": lambda s, **look: PLOT.ppc(s.fit, "group", nsim=20, **SEEDED, **look),
    "ppc of rows": lambda s, **look: PLOT.ppc(s.fit, "intervals", nsim=20, **SEEDED, **look),
    "prior_predictive": lambda s, **look: PLOT.prior_predictive(s.model, draws=8, **SEEDED, **look),
    "simulations": lambda s, **look: PLOT.simulations(s.fit, 5, **SEEDED, **look),
    "influence": lambda s, **look: PLOT.influence(s.levels, **look),
    "influence of rows": lambda s, **look: PLOT.influence(s.rows, **look),
    "bootstrap": lambda s, **look: PLOT.bootstrap(s.replicates, **look),
}
# Pictures of some kinds of models.
OF_SOME = {
    "null_distribution": (
        tuple(SMALLER), lambda s, **look: PLOT.null_distribution(s.test, **look)
    ),
    "null_distribution, exact": (
        ("singular",), lambda s, **look: PLOT.null_distribution(s.exact, **look)
    ),
    "means": (tuple(FACTOR), lambda s, **look: PLOT.estimates(s.means, **look)),
    "comparisons": (tuple(FACTOR), lambda s, **look: PLOT.estimates(s.comparisons, **look)),
    "predictions": (tuple(FACTOR), lambda s, **look: PLOT.estimates(s.predictions, **look)),
    "data together": (
        tuple(FACTOR),
        lambda s, **look: PLOT.data(s.model, x=s.factor, together=True, **look),
    ),
    "effects by": (
        tuple(FURTHER), lambda s, **look: PLOT.effects(s.fit, s.further, s.factor, **look)
    ),
    "sensitivity of all": (
        ("sleepstudy", "factor slopes"), lambda s, **look: PLOT.sensitivity(s.powers, **look)
    ),
    "power": (("sleepstudy",), lambda s, **look: PLOT.power(designs(), **look)),
    "psychometric": (("psychometric",), lambda s, **look: PLOT.psychometric(s.fit, **look)),
    "psychometric of draws": (
        ("psychometric",), lambda s, **look: PLOT.psychometric(s.post, groups="none", **look)
    ),
    "goodness of fit": (
        ("psychometric",), lambda s, **look: PLOT.null_distribution(s.goodness, **look)
    ),
    "autocorrelation": (
        ("sleepstudy",),
        lambda s, **look: PLOT.autocorrelation(s.fit, "Days | Subject", **look),
    ),
    "thresholds": (
        ("psychometric",), lambda s, **look: PLOT.estimates(s.thresholds, **look)
    ),
}  # fmt: skip
# One term has no plane nor a surface, data need a predictor, Y|theta of draws is Gaussian.
ONE_TERM = ("crossed", "singular", "binary", "nested", "ordinal")
NOT_DRAWN = {
    *(("shrinkage_plane", name) for name in ONE_TERM),
    *(("shrinkage_plane of draws", name) for name in ONE_TERM),
    *(("shrinkage_lines of draws", name) for name in ("binary", "ordinal", "psychometric")),
    *(("data", name) for name in ("crossed", "singular")),
    *(("likelihood_surface", name) for name in ("binary", "ordinal")),
    ("influence of rows", "ordinal"),
}
DRAW = OF_FITS | OF_MORE | {picture: draw for picture, (_, draw) in OF_SOME.items()}
ALL = [
    (picture, name)
    for name in MODELS
    for picture in DRAW
    if name in OF_SOME.get(picture, (MODELS,))[0] and (picture, name) not in NOT_DRAWN
]
QUICK = [
    (picture, name, width, theme)
    for picture, name in ALL
    if picture in OF_FITS and name in tuple(MODELS)[:5] and name != "400 levels"
    for width in WIDTHS
    for theme in THEMES
]


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    pyplot.close("all")


def drawn(picture, name, width, theme):
    """Draw a picture; return its figure and its words."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib's layout gives up with one
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        figure, _ = DRAW[picture](source(name), width=width, theme=theme)
        texts = drawn_texts(figure)
    pyplot.close(figure)
    return figure, texts


def faults(figure, texts, width):
    """What is wrong with a picture, in words; empty where nothing is."""
    wide, tall = figure.get_size_inches() * MM_PER_INCH
    found = [f"{a!r} lies on {b!r}" for a, b in overlapping(texts)]
    found += [f"{words!r} is cut off" for words in clipped(texts, figure)]
    if not texts:
        found.append("no word is drawn")
    if tall > TALLEST_MM:
        found.append(f"{tall:.0f} mm tall")
    if abs(wide - width) > 0.1:
        found.append(f"{wide:.0f} mm wide")
    return found


def same_places(texts, others):
    """Whether words are those of the other drawing, and stand where they stand there."""
    return [t.words for t in texts] == [t.words for t in others] and all(
        np.abs(t.box - o.box).max() < SLACK / 2 for t, o in zip(texts, others, strict=True)
    )


@pytest.mark.parametrize(
    ("picture", "name", "width", "theme"), random.Random(SEED).sample(QUICK, SAMPLE)
)
def test_words_of_some_pictures_have_their_place(picture, name, width, theme):
    assert not faults(*drawn(picture, name, width, theme), width)


def test_no_picture_is_left_out():
    named = set(re.findall(r"PLOT\.(\w+)\(", Path(__file__).read_text(encoding="utf-8")))
    assert named == set(PLOT.__all__) - {"alt_text", "theme"}


@pytest.mark.slow
@pytest.mark.parametrize(("picture", "name"), ALL)
def test_words_of_every_picture_have_their_place(picture, name):
    found = []
    for width in WIDTHS:
        words = {}
        for theme in THEMES if width == ALL_AT else THEMES[:2]:
            figure, words[theme] = drawn(picture, name, width, theme)
            wrong = faults(figure, words[theme], width)
            if theme in ("grey", "dark") and not same_places(words[theme], words["paper"]):
                wrong.append("words stand elsewhere than on paper")
            found += [f"{picture} of {name}, {width} mm, {theme}: {fault}" for fault in wrong]
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize(("picture", "name"), sorted(NOT_DRAWN))
def test_what_is_left_out_cannot_be_drawn(picture, name):
    with pytest.raises((hb.OptionError, hb.NotSupportedError)):
        drawn(picture, name, 80, "paper")


@pytest.mark.parametrize(
    ("picture", "width", "theme"),
    [("ranef_qq", 80, "lecture"), ("data", 80, "lecture"), ("shrinkage_lines", 240, "paper")],
)
def test_long_names_leave_room_for_their_panels(picture, width, theme):
    figure, texts = drawn(picture, "factor slopes", width, theme)
    assert not faults(figure, texts, width)
    if picture == "data":  # of conditions, whole words
        assert {"congruent", "incongruent", "neutral"} <= {text.words for text in texts}
