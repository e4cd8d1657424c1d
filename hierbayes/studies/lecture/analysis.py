"""Run the lecture's analysis of sleepstudy: every model it names, fitted by our own code."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.comparison.anova import anova
from hierbayes.comparison.bayes_factor import bayes_factor
from hierbayes.comparison.compare import compare
from hierbayes.comparison.pb_test import pb_test
from hierbayes.datasets import load_dataset
from hierbayes.errors import DesignWarning
from hierbayes.intervals.confint import confint
from hierbayes.intervals.likelihood_surface import likelihood_surface
from hierbayes.likelihood.fitting import at_theta
from hierbayes.model.model import Model, glmer, lmer
from hierbayes.model.psychometric import psychometric
from hierbayes.results.anova_table import AnovaTable
from hierbayes.results.comparison import Comparison, ElpdComparison
from hierbayes.results.f_table import FTable
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.studies.advantages import advantages
from hierbayes.studies.estimator_bias import estimator_bias
from hierbayes.studies.lecture.lecture import (
    CHOICES,
    FORMULA_TABLE,
    LINEAR,
    M1,
    M2,
    SLIDE_THETA,
    Lecture,
    OneWay,
    Psychophysics,
    Truth,
)

CROSSED_SEED = 2019
POSTERIOR_SEED = 1
BOOTSTRAP_SEED = 1
BIAS_SEED = 6
N_DATASETS = 2000  # for ML and REML
N_POSTERIORS = 100
N_UNBALANCED, N_UNBALANCED_POSTERIORS = 300, 25  # data sets that try the advantages
UNBALANCED_SEED = 2019
N_CHOICE_DRAWS = 400  # a chain, of the psychometric function


@cache
def fit_lecture() -> Lecture:
    """Fit everything the lecture fits; once a process, as all of it is seeded."""
    sleep = load_dataset("sleepstudy")
    model = Model(M1, sleep)
    m1, m2, m1_ml = model.fit("reml"), lmer(M2, sleep), model.fit("ml")
    posterior1 = model.sample(random_seed=POSTERIOR_SEED)
    posterior2 = Model(M2, sleep).sample(random_seed=POSTERIOR_SEED)
    names = ("m.1", "m.2")
    comparison = compare(m1_ml, m1, posterior1)
    elpd = compare(posterior1, posterior2, names=names)
    f_table, test = anova(m1, type=3), anova(m1, m2, names=names)
    assert isinstance(comparison, Comparison) and isinstance(elpd, ElpdComparison)
    assert isinstance(f_table, FTable) and isinstance(test, AnovaTable)
    bootstrap = confint(m1, method="bootstrap", nsim=500, random_seed=BOOTSTRAP_SEED)
    at_slides = at_theta(
        model.spec,
        "reml",
        SLIDE_THETA.copy(),
        converged=False,
        is_singular=False,
        findings=(),
    )
    truth = Truth()
    crossed = crossed_data(truth, random_seed=CROSSED_SEED)
    return Lecture(
        sleep=sleep,
        linear=lmer(LINEAR, sleep),
        m1=m1,
        m2=m2,
        m1_ml=m1_ml,
        anova=test,
        posterior1=posterior1,
        posterior2=posterior2,
        comparison=comparison,
        surface=likelihood_surface(m1),
        bootstrap=bootstrap,
        intervals={
            "Wald": confint(m1),
            "profile": confint(m1, method="profile"),
            "bootstrap": bootstrap,
            "posterior": confint(posterior1),
        },
        satterthwaite=f_table,
        pb_test=pb_test(m2, m1, nsim=1000, random_seed=BOOTSTRAP_SEED),
        bias=estimator_bias(
            OneWay(), n_datasets=N_DATASETS, n_posteriors=N_POSTERIORS, random_seed=BIAS_SEED
        ),
        bayes_factor=bayes_factor(posterior1, posterior2, names=names),
        elpd=elpd,
        at_slides=at_slides,
        truth=truth,
        crossed=crossed,
        table_fits=tuple(lmer(row.formula, crossed) for row in FORMULA_TABLE),
        psychophysics=fit_choices(),
        advantages=advantages(
            sleep,
            n_datasets=N_UNBALANCED,
            n_posteriors=N_UNBALANCED_POSTERIORS,
            random_seed=UNBALANCED_SEED,
        ),
    )


def fit_choices() -> Psychophysics:
    """Fit what the lecture's references on psychophysics are about."""
    touch = load_dataset("touch_speed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DesignWarning)  # its summary has the finding
        probit = glmer(CHOICES, touch, family="binomial", link="probit")
    curve = psychometric(CHOICES, touch, stimulus="speed", guess="lapse", lapse="estimate")
    fit = curve.fit()
    posterior = curve.sample(draws=N_CHOICE_DRAWS, random_seed=POSTERIOR_SEED)
    side_by_side = compare(fit, posterior)
    assert isinstance(probit, GeneralisedFit) and isinstance(fit, PsychometricFit)
    assert isinstance(posterior, PsychometricPosterior) and isinstance(side_by_side, Comparison)
    return Psychophysics(probit=probit, fit=fit, posterior=posterior, comparison=side_by_side)


def crossed_data(truth: Truth, *, random_seed: Any) -> pd.DataFrame:
    """Simulate subjects crossed with items: each subject meets each item once, at one X.

    Parameters
    ----------
    truth : what to draw from
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    pandas.DataFrame
        Columns ``Y`` (ms), ``X``, ``Subject``, ``Item``; X is balanced over subjects and items.
    """
    rng = np.random.default_rng(random_seed)
    subject = np.repeat(np.arange(truth.n_subjects), truth.n_items)
    item = np.tile(np.arange(truth.n_items), truth.n_subjects)
    x = np.array(truth.x_values)[(subject + item) % len(truth.x_values)]
    r = truth.subject_corr
    root = np.diag(truth.subject_sd) @ np.array([[1.0, 0.0], [r, np.sqrt(1 - r**2)]])
    b_subject = rng.standard_normal((truth.n_subjects, 2)) @ root.T
    b_item = truth.item_sd * rng.standard_normal(truth.n_items)
    intercept = truth.beta[0] + b_subject[subject, 0] + b_item[item]
    slope = truth.beta[1] + b_subject[subject, 1]
    y = intercept + slope * x + truth.sigma * rng.standard_normal(x.size)
    frame = pd.DataFrame(
        {
            "Y": y,
            "X": x,
            "Subject": _labels("s", subject, truth.n_subjects),
            "Item": _labels("i", item, truth.n_items),
        }
    )
    frame.attrs["name"] = "crossed"
    return frame


def _labels(letter: str, codes: "np.typing.NDArray[np.intp]", n: int) -> "pd.Categorical[str]":
    return pd.Categorical.from_codes(codes, pd.Index([f"{letter}{k + 1:02d}" for k in range(n)]))
