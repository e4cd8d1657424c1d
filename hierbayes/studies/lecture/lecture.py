"""The lecture's analysis: what was fitted, and what its slides print.

The lecture is "Multilevel (mixed-effects) modelling in R" by Matteo Lisi (2019), on the sleepstudy
data. A ``Lecture`` holds our fits of everything it fits; ``analysis.fit_lecture`` makes one.
"""

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.results.anova_table import AnovaTable
from hierbayes.results.comparison import BayesFactor, Comparison, ElpdComparison
from hierbayes.results.f_table import FTable
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.results.likelihood_surface import LikelihoodSurface
from hierbayes.results.pb_test import PbTest
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.studies.advantages import Advantages

CITATION = "Matteo Lisi, Multilevel (mixed-effects) modelling in R, 21 May 2019"

LINEAR = "Reaction ~ Days"
M1 = "Reaction ~ Days + (Days | Subject)"
M2 = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"
CHOICES = "cbind(faster, trials - faster) ~ speed * vibration + (speed | subject)"
LABELS = {"Days": "Days of sleep deprivation", "Reaction": "Reaction time (ms)"}

# The theta at which the lecture's lme4 stopped. The slides don't print it; it is the one at which
# every number of the slides comes out to the last of its printed digits, the seven decimals of
# ranef included, which leave no other choice within 1e-8.
SLIDE_THETA = np.array([0.96658122714, 0.01518653148, 0.23093959289])
SLIDE_THETA.flags.writeable = False


@record
class FormulaRow:
    """One row of the lecture's table of equations and formulas.

    Attributes
    ----------
    equation : the lecture's, subscripts as ``b_{S,0s}``
    formula : ours, with the response named
    """

    equation: str
    formula: str


FORMULA_TABLE = (
    FormulaRow(equation="β_{0} + β_{1}X_{i} + e_{si}", formula="Y ~ X"),
    FormulaRow(
        equation="(β_{0} + b_{S,0s}) + β_{1}X_{i} + e_{si}",
        formula="Y ~ X + (1 | Subject)",
    ),
    FormulaRow(
        equation="(β_{0} + b_{S,0s}) + (β_{1} + b_{S,1s})X_{i} + e_{si}",
        formula="Y ~ X + (1 + X | Subject)",
    ),
    FormulaRow(
        equation="(β_{0} + b_{S,0s} + b_{I,0i}) + (β_{1} + b_{S,1s})X_{i} + e_{si}",
        formula="Y ~ X + (1 + X | Subject) + (1 | Item)",
    ),
    FormulaRow(
        equation="as above, but b_{S,0s}, b_{S,1s} independent",
        formula="Y ~ X + (1 | Subject) + (0 + X | Subject) + (1 | Item)",
    ),
    FormulaRow(
        equation="(β_{0} + b_{S,0s} + b_{I,0i}) + β_{1}X_{i} + e_{si}",
        formula="Y ~ X + (1 | Subject) + (1 | Item)",
    ),
    FormulaRow(
        equation="(β_{0} + b_{I,0i}) + (β_{1} + b_{S,1s})X_{i} + e_{si}",
        formula="Y ~ X + (0 + X | Subject) + (1 | Item)",
    ),
)


@record
class Truth:
    """What the crossed data are simulated from: Y in ms, X a number.

    Attributes
    ----------
    beta : intercept (ms) and slope (ms per unit of X)
    subject_sd : sds of the subjects' intercepts and slopes
    subject_corr : their correlation
    item_sd : sd of the items' intercepts
    sigma : residual sd
    """

    n_subjects: int = 24
    n_items: int = 12
    x_values: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    beta: tuple[float, float] = (300.0, 10.0)
    subject_sd: tuple[float, float] = (30.0, 8.0)
    subject_corr: float = 0.4
    item_sd: float = 15.0
    sigma: float = 20.0


@record
class OneWay:
    """Few subjects with the sds sleepstudy has when only intercepts vary: ms and days."""

    n_subjects: int = 6
    n_days: int = 10
    intercept: float = 251.4
    slope: float = 10.5
    subject_sd: float = 37.0
    sigma: float = 31.0


@record
class BiasTable:
    """Average estimates of known variances.

    Attributes
    ----------
    truth : what the data sets were drawn from
    table : columns ``method variance true mean mcse n``, variances in ms squared, ``mcse`` the
        Monte-Carlo standard error of the mean over ``n`` data sets
    """

    truth: OneWay
    table: pd.DataFrame


@record
class Psychophysics:
    """Responses of yes and no, of which the lecture's references tell.

    Attributes
    ----------
    probit : binomial mixed model of touch_speed with a probit link
    fit, posterior : the psychometric function with lapses, by both estimators
    comparison : these two side by side
    """

    probit: GeneralisedFit
    fit: PsychometricFit
    posterior: PsychometricPosterior
    comparison: Comparison


@record
class Lecture:
    """Everything the lecture fits, fitted.

    Attributes
    ----------
    sleep : the sleepstudy data
    linear : ``Reaction ~ Days`` without groups
    m1, m2 : the lecture's models by REML
    m1_ml : m1 by maximum likelihood
    anova : likelihood-ratio test of m1 against m2
    posterior1, posterior2 : the posteriors of m1 and m2 under the default priors
    comparison : ML, REML and the posterior of m1 side by side
    surface : the likelihood of m1 over the two sds of the subjects
    bootstrap : bootstrap intervals of m1 as on the slide, 500 replicates
    intervals : kind of interval -> table of m1's parameters: Wald, profile, bootstrap, posterior
    satterthwaite : F-table of m1 with Satterthwaite's degrees of freedom
    pb_test : bootstrapped likelihood-ratio test of m2 against m1
    bias : ML, REML and the posterior on known variances
    bayes_factor, elpd : m1 against m2 by marginal likelihood and by leave-one-out prediction
    at_slides : m1 at ``SLIDE_THETA``, not searched
    truth, crossed : the crossed data of the table of formulas, and what they were drawn from
    table_fits : one REML fit a row of ``FORMULA_TABLE``
    psychophysics : the fits of touch_speed
    advantages : the claims of the slide on advantages of multilevel models, tried
    """

    sleep: pd.DataFrame
    linear: LikelihoodFit
    m1: LikelihoodFit
    m2: LikelihoodFit
    m1_ml: LikelihoodFit
    anova: AnovaTable
    posterior1: PosteriorFit
    posterior2: PosteriorFit
    comparison: Comparison
    surface: LikelihoodSurface
    bootstrap: pd.DataFrame
    intervals: dict[str, pd.DataFrame]
    satterthwaite: FTable
    pb_test: PbTest
    bias: BiasTable
    bayes_factor: BayesFactor
    elpd: ElpdComparison
    at_slides: LikelihoodFit
    truth: Truth
    crossed: pd.DataFrame
    table_fits: tuple[LikelihoodFit, ...]
    psychophysics: Psychophysics
    advantages: Advantages
