"""The lecture's slides, lme4's reference and our own output, side by side.

The lecture's lme4 (2019) stopped a little short of the optimum. So ours is identical to lme4 run to
the optimum (the reference), and to the slides but for the digits listed here; at the theta where
the lecture's lme4 stopped, our code prints the slides digit for digit, and a higher criterion.
"""

import re

import numpy as np
import pytest

from hierbayes.datasets import load_dataset
from hierbayes.likelihood.fitting import at_theta
from hierbayes.render.numbers import format_common
from hierbayes.reports.anova import anova_text
from hierbayes.reports.frame_structure import str_text
from hierbayes.studies.lecture.analysis import fit_lecture
from hierbayes.studies.lecture.slides import SLIDES, comparisons
from tests.reference_fits import load_fit

STR = """\
'data.frame': 180 obs. of 3 variables:
$ Reaction: num 250 259 251 321 357 ...
$ Days : num 0 1 2 3 4 5 6 7 8 9 ...
$ Subject : Factor w/ 18 levels "308","309","310","""
STR_CODES = "1 1 1 1"  # the slide cuts the last line short

SUMMARY = """\
Linear mixed model fit by REML ['lmerMod']
Formula: Reaction ~ Days + (Days | Subject)
Data: sleepstudy

REML criterion at convergence: 1743.6

Scaled residuals:
Min 1Q Median 3Q Max
-3.9536 -0.4634 0.0231 0.4633 5.1793

Random effects:
Groups Name Variance Std.Dev. Corr
Subject (Intercept) 611.90 24.737
Days 35.08 5.923 0.07
Residual 654.94 25.592
Number of obs: 180, groups: Subject, 18

Fixed effects:
Estimate Std. Error t value
(Intercept) 251.405 6.824 36.843
Days 10.467 1.546 6.771

Correlation of Fixed Effects:
(Intr)
Days -0.138"""

RANEF = """\
$Subject
(Intercept) Days
308 2.2575329 9.1992737
309 -40.3942719 -8.6205161
310 -38.9563542 -5.4495796
330 23.6888704 -4.8141448
331 22.2585409 -3.0696766
351 4.5777099 -3.0152825
352 20.8614523 3.5364062
369 3.2750882 0.8722876
370 -25.6110745 4.8222518
371 0.8070591 -0.9881730
372 12.3133491 1.2842380"""

ANOVA = """\
refitting model(s) with ML (instead of REML)
Data: sleepstudy
Models:
m.2: Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)
m.1: Reaction ~ Days + (Days | Subject)
Df AIC BIC logLik deviance Chisq Chi Df Pr(>Chisq)
m.2 5 1762.0 1778.0 -876.00 1752.0
m.1 6 1763.9 1783.1 -875.97 1751.9 0.0639 1 0.8004"""

# slides -> ours, everywhere the summary differs
SUMMARY_DIGITS = {
    "611.90": "612.09",
    "24.737": "24.740",
    "35.08": "35.07",
    "5.923": "5.922",
    "6.824": "6.825",
    "36.843": "36.838",
    "0.4633": "0.4634",
}
# The effects of subjects differ from the slides' by less than this (ms, ms a day), so from the
# third digit behind the point on.
RANEF_DIGITS = 5e-3
RANEF_REFERENCE = 1e-7  # two searches on a flat criterion: they agree to lme4's printed digits


def lines(text):
    """Lines with every run of blanks as one, none at the ends: the slides lost R's alignment."""
    return [re.sub(r"\s+", " ", line).strip() for line in text.strip().splitlines()]


@pytest.fixture(scope="module")
def lecture():
    return fit_lecture()


@pytest.fixture(scope="module")
def reference():
    return load_fit("ss_max_reml").record


def test_str_is_the_slides():
    ours = "\n".join(lines(str_text(load_dataset("sleepstudy"))))
    assert ours.startswith(STR)
    assert ours.removeprefix(STR).lstrip(",. :").startswith(STR_CODES)


def test_summary_is_the_references_line_for_line(lecture, reference):
    ours = [line.rstrip() for line in lecture.m1.summary().splitlines()]
    assert ours == [line.rstrip() for line in reference["printed_summary"]]


def test_summary_is_the_slides_but_for_the_listed_digits(lecture):
    slides, ours = lines(SUMMARY), lines(lecture.m1.summary())
    assert len(slides) == len(ours)
    differing = {}
    for slide_line, our_line in zip(slides, ours, strict=True):
        pairs = zip(slide_line.split(" "), our_line.split(" "), strict=True)
        differing |= {slide: own for slide, own in pairs if slide != own}
    assert differing == SUMMARY_DIGITS


def test_summary_at_the_slides_theta_is_the_slides(lecture):
    assert lines(lecture.at_slides.summary()) == lines(SUMMARY)


def test_ranef_at_the_slides_theta_is_the_slides(lecture):
    printed = lines(str(lecture.at_slides.ranef()))
    assert [line for line in lines(RANEF) if line not in printed] == []
    assert len(printed) == 18 + 2 + 2  # heading, blank line, closing line
    assert printed[-1] == "with conditional variances for \u201cSubject\u201d"


def test_ranef_is_the_slides_up_to_the_third_digit(lecture):
    ours = lecture.m1.ranef()["Subject"]
    rows = {row[0]: row[1:] for row in map(str.split, lines(RANEF)[2:])}
    slides = np.array(list(rows.values()), dtype=float)
    difference = np.abs(ours.loc[list(rows)].to_numpy() - slides)
    assert 1e-3 < difference.max() < RANEF_DIGITS


def test_ranef_and_its_sds_are_the_references(lecture, reference):
    table = reference["ranef"]["Subject"]
    ours = lecture.m1.ranef()["Subject"]
    assert ours.index.tolist() == table["levels"]
    assert ours.columns.tolist() == table["columns"]
    np.testing.assert_allclose(ours, table["values"], atol=RANEF_REFERENCE)
    at_theirs = at_theta(
        lecture.m1.spec,
        "reml",
        np.array(reference["theta"]),
        response=lecture.m1.design.y,
        converged=True,
        is_singular=False,
        findings=(),
    )
    np.testing.assert_allclose(at_theirs.ranef()["Subject"], table["values"], rtol=1e-8)


def test_ranef_prints_the_references_digits(lecture, reference):
    table = reference["ranef"]["Subject"]
    values = np.array(table["values"]).T
    columns = [format_common(column.tolist()) for column in values]
    rows = [" ".join(cells) for cells in zip(table["levels"], *columns, strict=True)]
    assert lines(str(lecture.m1.ranef()))[2:20] == lines("\n".join(rows))


def test_varcorr_prints_the_references_sds(lecture, reference):
    group = reference["VarCorr"]["groups"][0]
    sds = [*group["sd"], reference["VarCorr"]["residual_sd"]]
    printed = lines(str(lecture.m1.varcorr()))
    assert printed[0] == "Groups Name Std.Dev. Corr"
    cells = [line.split(" ") for line in printed[1:]]
    assert [cells[0][2], cells[1][1], cells[2][1]] == [c.strip() for c in format_common(sds, 5)]
    assert cells[1][2] == f"{group['cor'][1][0]:.3f}"


def test_fixed_effects_are_those_of_the_summary(lecture):
    printed = lecture.m1.summary()
    for name, beta, se in zip(
        lecture.m1.coef_names, lecture.m1.beta, lecture.m1.std_errors, strict=True
    ):
        row = f"{name} {beta:.3f} {se:.3f} {beta / se:.3f}"
        assert row in lines(printed)


def test_anova_is_the_slides(lecture):
    assert lines(anova_text(lecture.anova, style="lecture")) == lines(ANOVA)


def test_anova_today_differs_in_the_header_only(lecture):
    ours, slides = lines(str(lecture.anova)), lines(ANOVA)
    assert [line for line in ours if line not in slides] == [
        "npar AIC BIC logLik deviance Chisq Df Pr(>Chisq)"
    ]


def test_our_criterion_is_the_lower_one(lecture, reference):
    ours = lecture.m1.criterion
    assert 5e-7 < lecture.at_slides.criterion - ours < 2e-6
    assert ours <= reference["REML_criterion"] + 1e-9


def test_the_tour_lists_every_digit_that_differs(lecture):
    rows = comparisons(lecture)
    assert [row.slides for row in rows] == [*SLIDES.values(), "1743.6"]
    for row in rows[:-1]:
        assert row.at_slides == row.slides != row.ours
    assert {row.slides: row.ours for row in rows if row.slides in SUMMARY_DIGITS} == SUMMARY_DIGITS
    last = rows[-1]
    assert float(last.at_slides) > float(last.ours)
