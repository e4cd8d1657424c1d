"""The models the gallery's pictures are drawn from: one factor, crossed, crossed with slopes."""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.checks.influence import influence
from hierbayes.checks.panel import check
from hierbayes.comparison.pb_test import pb_test
from hierbayes.datasets import load_dataset
from hierbayes.intervals.bootstrap import bootstrap
from hierbayes.intervals.confint import confint
from hierbayes.intervals.likelihood_surface import likelihood_surface
from hierbayes.intervals.profile import profile
from hierbayes.marginal_means.emmeans import emmeans
from hierbayes.model.model import Model
from hierbayes.model.psychometric import psychometric
from hierbayes.planning.design_study import design_study
from hierbayes.prior_sensitivity.sensitivity import sensitivity
from hierbayes.relatedness.pedigree import relationship
from hierbayes.results.psychometric_fits import PsychometricFit
from hierbayes.studies.gallery_page import (
    ANIMALS,
    CAKE,
    LECTURERS,
    MACHINES,
    PENICILLIN,
    SIMULATED,
    SLEEP,
    TOUCH,
    GallerySource,
)

FITS = """\
reml, ml, post = model.fit(), model.fit("ml"), model.sample(random_seed=1)
profile = hb.profile(reml)
limits = hb.confint(reml, method="profile")
kinds = {"Wald": hb.confint(reml), "profile": limits, "posterior": hb.confint(post)}
surface = hb.likelihood_surface(reml)
checked = hb.check(reml, random_seed=1)
levels = hb.influence(reml)"""
WIDTHS = '\nwidths = hb.sensitivity(post, "Days", random_seed=1)'
POWERS = "\npowers = hb.sensitivity(post)"
SLEEP_MODEL = """\
sleep = hb.load_dataset("sleepstudy")
model = hb.Model("Reaction ~ Days + (Days | Subject)", sleep)
"""
PENICILLIN_MODEL = """\
penicillin = hb.load_dataset("Penicillin")
model = hb.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
"""
DEPARTMENT = "2"  # the one of the fewest lecturers
LECTURERS_MODEL = f"""\
ratings = hb.load_dataset("InstEval").query("dept == '{DEPARTMENT}'")
reml = hb.lmer("y ~ service + (service | d) + (1 | s)", ratings)"""

CAKE_FORMULA = "angle ~ recipe * temp + (1 | replicate) + (1 | recipe:replicate)"
CAKE_MODEL = f"""\
cake = hb.load_dataset("cake")
reml = hb.lmer("{CAKE_FORMULA}", cake)
means = hb.emmeans(reml, "recipe", contrasts="pairwise")"""


SIMULATED_MODEL = """\
sleep = hb.load_dataset("sleepstudy")
reml = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
small = reml.update("Reaction ~ Days + (Days || Subject)")
test = hb.pb_test(small, reml, nsim=200, random_seed=1)
replicates = hb.bootstrap(reml, nsim=200, random_seed=1)
designs = hb.design_study(reml, parameters={"Days": 5}, subjects=[9, 18, 36], trials=[1, 2],
                          nsim=200, random_seed=1)"""

TOUCH_FORMULA = "faster ~ speed * vibration + (speed | subject)"
TOUCH_MODEL = f"""\
touch = hb.load_dataset("touch_speed")
fit = hb.psychometric("{TOUCH_FORMULA}", touch, stimulus="speed",
                      guess="lapse", lapse="estimate", n="trials").fit()"""


MACHINES_FORMULA = "score ~ Machine + cs(0 + Machine | Worker, hom = TRUE)"
MACHINES_MODEL = f"""\
model = hb.Model("{MACHINES_FORMULA}", hb.load_dataset("Machines"))
reml, post = model.fit(), model.sample(random_seed=1)
profile = hb.profile(reml)"""

ANIMALS_MODEL = """\
import numpy as np
import pandas as pd

rng = np.random.default_rng(1)
labels = [f"a{i:02d}" for i in range(30)]
parents = [(None, None)] * 8 + [tuple(rng.choice(labels[:i], 2)) for i in range(8, 30)]
pedigree = pd.DataFrame({"id": labels, "sire": [a for a, _ in parents],
                         "dam": [b for _, b in parents]})
A = hb.relationship(pedigree)
values = np.linalg.cholesky(A.covariance()) @ rng.normal(0, 2, 30)
weights = pd.DataFrame({"animal": np.repeat(labels[4:], 2)})
weights["weight"] = 50 + np.repeat(values[4:], 2) + rng.normal(0, 1.5, 52)
model = hb.Model("weight ~ 1 + (1 | animal)", weights, cov={"animal": A})
reml, post = model.fit(), model.sample(random_seed=1)"""


def fit_gallery() -> tuple[GallerySource, ...]:
    """Fit, profile and sample all that the pictures show."""
    sleep = load_dataset("sleepstudy")
    penicillin = load_dataset("Penicillin")
    every = load_dataset("InstEval")
    ratings = every[every["dept"] == DEPARTMENT]
    cake = load_dataset("cake")
    return (
        GallerySource(
            name=SLEEP,
            heading="one grouping factor with correlated slopes",
            setup=SLEEP_MODEL + FITS + WIDTHS,
            values={
                "sleep": sleep,
                **(slopes := fits_of(Model("Reaction ~ Days + (Days | Subject)", sleep))),
                "widths": sensitivity(slopes["post"], "Days", random_seed=1),
            },
        ),
        GallerySource(
            name=PENICILLIN,
            heading="two crossed grouping factors",
            setup=PENICILLIN_MODEL + FITS + POWERS,
            values={
                **(crossed := fits_of(_crossed(penicillin))),
                "powers": sensitivity(crossed["post"]),
            },
        ),
        GallerySource(
            name=LECTURERS,
            heading="crossed, unbalanced, with slopes",
            setup=LECTURERS_MODEL,
            values={"reml": Model("y ~ service + (service | d) + (1 | s)", ratings).fit()},
        ),
        GallerySource(
            name=CAKE,
            heading="replicates crossed with recipes",
            setup=CAKE_MODEL,
            values={
                "cake": cake,
                "reml": (mixed := Model(CAKE_FORMULA, cake).fit()),
                "means": emmeans(mixed, "recipe", contrasts="pairwise"),
            },
        ),
        GallerySource(
            name=SIMULATED,
            heading="tests, replicates and designs by simulation",
            setup=SIMULATED_MODEL,
            values=_simulated(Model("Reaction ~ Days + (Days | Subject)", sleep)),
        ),
        GallerySource(
            name=TOUCH,
            heading="choices of observers, a psychometric function",
            setup=TOUCH_MODEL,
            values={"fit": _psychometric_fit()},
        ),
        GallerySource(
            name=MACHINES,
            heading="a covariance of few parameters, compound symmetry",
            setup=MACHINES_MODEL,
            values=_patterned(),
        ),
        GallerySource(
            name=ANIMALS,
            heading="related levels, of which some have no rows",
            setup=ANIMALS_MODEL,
            values=_related(),
        ),
    )


def _crossed(penicillin: pd.DataFrame) -> Model:
    return Model("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)


def _simulated(model: Model) -> dict[str, object]:
    reml, small = (
        model.fit(),
        Model("Reaction ~ Days + (Days || Subject)", load_dataset("sleepstudy")),
    )
    return {
        "reml": reml,
        "test": pb_test(small.fit(), reml, nsim=200, random_seed=1),
        "replicates": bootstrap(reml, nsim=200, random_seed=1),
        "designs": design_study(
            reml,
            parameters={"Days": 5},
            subjects=[9, 18, 36],
            trials=[1, 2],
            nsim=200,
            random_seed=1,
        ),
    }


def _patterned() -> dict[str, object]:
    model = Model(MACHINES_FORMULA, load_dataset("Machines"))
    reml = model.fit()
    return {"reml": reml, "profile": profile(reml), "post": model.sample(random_seed=1)}


def _related() -> dict[str, object]:
    rng = np.random.default_rng(1)
    labels = [f"a{i:02d}" for i in range(30)]
    parents = [(None, None)] * 8 + [tuple(rng.choice(labels[:i], 2)) for i in range(8, 30)]
    sires, dams = zip(*parents, strict=True)
    A = relationship(pd.DataFrame({"id": labels, "sire": sires, "dam": dams}))
    values = np.linalg.cholesky(A.covariance()) @ rng.normal(0, 2, 30)
    weights = pd.DataFrame({"animal": np.repeat(labels[4:], 2)})
    weights["weight"] = 50 + np.repeat(values[4:], 2) + rng.normal(0, 1.5, 52)
    model = Model("weight ~ 1 + (1 | animal)", weights, cov={"animal": A})
    return {"reml": model.fit(), "post": model.sample(random_seed=1)}


def _psychometric_fit() -> PsychometricFit:
    model = psychometric(
        TOUCH_FORMULA,
        load_dataset("touch_speed"),
        stimulus="speed",
        guess="lapse",
        lapse="estimate",
        n="trials",
    )
    found = model.fit()
    assert isinstance(found, PsychometricFit)
    return found


def fits_of(model: Model) -> dict[str, Any]:
    """Return what the pictures of a model take, by its name in their code."""
    reml, ml, post = model.fit(), model.fit("ml"), model.sample(random_seed=1)
    limits = confint(reml, method="profile")
    return {
        "model": model,
        "levels": influence(reml),
        "reml": reml,
        "ml": ml,
        "post": post,
        "profile": profile(reml),
        "limits": limits,
        "kinds": {"Wald": confint(reml), "profile": limits, "posterior": confint(post)},
        "surface": likelihood_surface(reml),
        "checked": check(reml, random_seed=1),
    }
