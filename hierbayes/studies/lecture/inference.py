"""The lecture on uncertainty, as steps of the tour: tests, intervals, and what REML is for."""

import numpy as np
import pandas as pd

from hierbayes.render.blocks import Preformatted, Printed, Table, columns_of
from hierbayes.studies.lecture.lecture import Lecture
from hierbayes.studies.lecture.step import Step


def satterthwaite_block(lecture: Lecture) -> Step:
    """Show the approximation the lecture names: Satterthwaite's degrees of freedom."""
    return Step(
        heading="Degrees of freedom after all: Satterthwaite",
        text="The lecture names Satterthwaite's approximation (lmerTest): choose the degrees of "
        "freedom so that the estimated variance of an estimate behaves like a chi-squared. Here "
        'the design is balanced and the answer exact: 17, one less than subjects. ddf="'
        'kenward-roger" gives the other one in use.',
        code=(
            'print(m1.summary(ddf="satterthwaite"))',
            "print()",
            "print(hb.anova(m1, type=3))",
        ),
        shown=(
            Preformatted(f"{lecture.m1.summary(ddf='satterthwaite')}\n\n{lecture.satterthwaite}"),
        ),
    )


def bootstrap_block(lecture: Lecture) -> Step:
    """Print the bootstrap intervals as the slide does."""
    found = lecture.bootstrap.round(2)
    columns = [(str(name), [f"{value:.2f}" for value in found[name]]) for name in found]
    return Step(
        heading="Bootstrap confidence intervals",
        text="Simulate 500 data sets from the fitted model, fit each again, take the middle 95 % "
        "of every estimate. The 500 fits are one batch on the same cross-products. The limits of "
        "the slide come from other random numbers: they agree within what 500 replicates can say.",
        code=(
            'ci = hb.confint(m1, method="bootstrap", nsim=500, random_seed=1)',
            "print(ci.round(2))",
        ),
        shown=(Printed(str(found).split("\n"), [Table(columns, list(lecture.bootstrap.index))]),),
    )


def intervals_block(lecture: Lecture) -> Step:
    """Lay the three kinds of intervals beside the posterior's."""
    kinds, names = list(lecture.intervals), list(lecture.bootstrap.index)
    columns = [
        (kind, [_limits(lecture.intervals[kind].loc[name]) for name in names]) for kind in kinds
    ]
    return Step(
        heading="Three kinds of confidence intervals beside the posterior's",
        text="95 % limits of every parameter. Wald intervals are symmetric and for fixed effects "
        "only. A profile interval holds the values at which the likelihood, the others fitted "
        "again, is not too far below its top; a bootstrap interval the middle of simulated "
        "estimates; the posterior's holds 95 % of the probability, given the prior. For the fixed "
        "effects they hardly differ. Sds of few subjects have skewed uncertainty: profile and "
        "posterior reach further up than the bootstrap, whose refits inherit the bias of small "
        "samples.",
        code=(
            'kinds = {"Wald": hb.confint(m1), "profile": hb.confint(m1, method="profile"),',
            '         "bootstrap": ci, "posterior": hb.confint(post)}',
            "hb.plot.intervals(kinds)",
        ),
        shown=(Table(columns, names),),
        pictures=("intervals.png",),
    )


def _limits(row: pd.Series) -> str:
    """Write an interval with as many decimals as its width asks for."""
    low, high = row["lower"], row["upper"]
    if np.isnan(low):
        return "-"
    width = high - low
    decimals = 2 if width < 5 else 1 if width < 20 else 0
    return f"{low:.{decimals}f}, {high:.{decimals}f}"


def pb_test_block(lecture: Lecture) -> Step:
    """Bootstrap the likelihood-ratio test."""
    return Step(
        heading="The golden standard: a bootstrapped likelihood-ratio test",
        text="The chi-squared distribution of the test above is an approximation. Simulating from "
        "m.2 and fitting both models to every simulated data set shows how large the statistic "
        "gets when there is no covariance.",
        code=("print(hb.pb_test(m2, m1, nsim=1000, random_seed=1))",),
        shown=(Preformatted(str(lecture.pb_test)),),
    )


def bias_block(lecture: Lecture) -> Step:
    """Show the bias of variance estimates by simulation."""
    truth, frame = lecture.bias.truth, lecture.bias.table
    header = ["true", "mean", "mean / true", "error", "data sets"]
    ratio, error = frame["mean"] / frame["true"], frame["mcse"] / frame["true"]
    cells = [
        [
            f"{frame['true'][i]:.0f}",
            f"{frame['mean'][i]:.0f}",
            f"{ratio[i]:.2f}",
            f"{error[i]:.3f}",
            f"{frame['n'][i]:,}",
        ]
        for i in frame.index
    ]
    names = [f"{frame['variance'][i]}, {frame['method'][i]}" for i in frame.index]
    expected = (truth.n_subjects - 1) / truth.n_subjects
    return Step(
        heading="ML against REML against the posterior, on variances that are known",
        text=f"The slides say that REML is less biased. Simulated here: {truth.n_subjects} "
        f"subjects on {truth.n_days} days with known variances, estimated again and again (in "
        "ms squared, model Reaction ~ Days + (1 | Subject); the error is the Monte-Carlo error "
        f"of mean / true). ML finds about {expected:.2f} = {truth.n_subjects - 1}/"
        f"{truth.n_subjects} of the variance between subjects, REML all of it on average. The "
        "posterior is no estimator of that kind: its median depends on the prior, which allows "
        "sds well above those of this simulation, and with six subjects it counts.",
        shown=(Table(columns_of(cells, header), names),),
    )
