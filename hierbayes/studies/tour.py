"""The tour: the lecture's analysis in the lecture's order, for the terminal and as a page.

Each ``Step`` is a sentence, the code that does it, what it prints, its figures. The same steps are
written as text and as HTML, so both tell the same numbers.
"""

import io
import json
from collections.abc import Mapping, Sequence

import pandas as pd

from hierbayes.datasets import load_dataset
from hierbayes.render import blocks as kinds
from hierbayes.render.html import page
from hierbayes.render.text import text
from hierbayes.reports.anova import anova_text
from hierbayes.reports.frame_structure import str_text
from hierbayes.reports.summary import fixed_effects_blocks
from hierbayes.studies.lecture.advantages import advantages_block
from hierbayes.studies.lecture.formulas import formulas_blocks
from hierbayes.studies.lecture.inference import (
    bias_block,
    bootstrap_block,
    intervals_block,
    pb_test_block,
    satterthwaite_block,
)
from hierbayes.studies.lecture.lecture import (
    CITATION,
    FORMULA_TABLE,
    LABELS,
    LINEAR,
    M1,
    M2,
    Lecture,
)
from hierbayes.studies.lecture.posterior import (
    bayesian_test_block,
    comparison_block,
    posterior_block,
    posterior_effects_block,
    tables_on_page,
)
from hierbayes.studies.lecture.psychophysics import (
    CURVES,
    choices_posterior_block,
    observers_block,
    probit_block,
    thresholds_block,
)
from hierbayes.studies.lecture.shrinkage import CATERPILLAR, LIKELIHOOD, shrinkage_block
from hierbayes.studies.lecture.slides import slides_table
from hierbayes.studies.lecture.step import Step

TITLE = "The lecture on sleepstudy, from our own code"
INTRODUCTION = (
    f"The analysis of the lecture ({CITATION}) in its order. Every number and figure below was "
    "computed by hierbayes a moment ago; the lines after >>> are what you type to get it."
)
SUMMARY_DIGITS = 4
FACETS = Step(
    heading="One panel a subject",
    text="The lecture looks at each subject alone before modelling them together. Points are "
    "the data, a line is the least-squares line of that subject's own ten points, the grey "
    "band its 95 % confidence band.",
    code=(
        f"labels = {json.dumps(LABELS)}",
        'hb.plot.data(sleep, x="Days", y="Reaction", group="Subject", labels=labels)',
    ),
    pictures=("sleepstudy_by_subject.png",),
)
RESIDUALS = Step(
    heading="Are the residuals well behaved?",
    text="The lecture ends with the residuals of m.1: against days, moved sideways a little so "
    "that they don't cover each other, and against normal quantiles. On the left the cloud "
    "should be level around the dashed line, on the right the points should follow it; a few "
    "here are far out at both ends.",
    code=('hb.plot.residuals(m1, "Days", labels=labels)', "hb.plot.qq(m1)"),
    pictures=("residuals.png",),
)


def tour_steps(lecture: Lecture) -> list[Step]:
    """Build the steps of the tour from the lecture's fits and figures.

    Parameters
    ----------
    lecture : Lecture
    """
    return [
        _linear_model(lecture),
        _data(lecture),
        FACETS,
        _formulas(lecture),
        _summary(lecture),
        posterior_block(lecture),
        _variance_components(lecture),
        _random_effects(lecture),
        posterior_effects_block(lecture),
        CATERPILLAR,
        _fixed_effects(lecture),
        satterthwaite_block(lecture),
        LIKELIHOOD,
        _reml_and_ml(lecture),
        bias_block(lecture),
        comparison_block(lecture),
        _likelihood_ratio(lecture),
        pb_test_block(lecture),
        bayesian_test_block(lecture),
        bootstrap_block(lecture),
        intervals_block(lecture),
        shrinkage_block(lecture),
        advantages_block(lecture),
        RESIDUALS,
        probit_block(lecture),
        thresholds_block(lecture),
        CURVES,
        choices_posterior_block(lecture),
        observers_block(lecture),
        _slides(lecture),
    ]


def tour_text(steps: Sequence[Step], *, folder: str) -> str:
    """Write the tour for a terminal; ``folder`` is where the figures are."""
    parts = [TITLE, "=" * len(TITLE), "", text(kinds.prose(INTRODUCTION))]
    for number, step in enumerate(steps, start=1):
        heading = f"{number}. {step.heading}"
        parts += ["", "", heading, "-" * len(heading), text(kinds.prose(step.text))]
        if step.code:
            parts += ["", *_prompted(step.code)]
        if step.shown:
            parts += ["", step.output]
        parts += [f"\nFigure: {folder}/{name}" for name in step.pictures]
    return "\n".join(parts)


def tour_page(steps: Sequence[Step], pictures: Mapping[str, kinds.Picture]) -> str:
    """Write the tour as one self-contained HTML file; ``pictures`` are the lecture's figures."""
    sections = [kinds.Section("", kinds.prose(INTRODUCTION))]
    for number, step in enumerate(steps, start=1):
        drawn = [pictures[name] for name in step.pictures]
        blocks = [*kinds.prose(step.text), *_session(step), *drawn]
        sections.append(kinds.Section(f"{number}. {step.heading}", blocks))
    return page(TITLE, sections)


def _session(step: Step) -> list[kinds.Block]:
    """Return code and output, as one piece where the output is plain text."""
    typed, shown = "\n".join(_prompted(step.code)), step.shown
    match shown:
        case (kinds.Preformatted() as first, *others):
            typed = "\n\n".join(filter(None, [typed, first.text.strip("\n")]))
            return [kinds.Preformatted(typed), *others]
        case _:
            return [*([kinds.Preformatted(typed)] if typed else []), *shown]


def _prompted(code: Sequence[str]) -> list[str]:
    return [f"... {line}" if line.startswith(" ") else f">>> {line}" for line in code]


def _linear_model(lecture: Lecture) -> Step:
    return Step(
        heading="A linear model",
        text="The lecture begins with the ordinary linear model: one error term, all observations "
        "independent. A formula without bars is that model, fitted by least squares. It takes "
        "the ten days of one subject for the days of ten subjects, which is what the rest of the "
        "lecture puts right.",
        code=(
            "import hierbayes as hb",
            'sleep = hb.load_dataset("sleepstudy")',
            f'print(hb.lmer("{LINEAR}", sleep).summary())',
        ),
        shown=(kinds.Preformatted(lecture.linear.summary()),),
    )


def _data(lecture: Lecture) -> Step:
    n_subjects = lecture.m1.n_groups["Subject"]
    sleep = load_dataset("sleepstudy")  # afresh: a frame that was worked with takes more memory
    return Step(
        heading="The data",
        text="The lecture asks how reaction times change with each night of short sleep, and "
        "whether people who differ at the start also differ in how much they suffer. The data: "
        f"{len(lecture.sleep)} reaction times of {n_subjects} subjects.",
        code=("sleep.info()", "print()", "print(sleep.head())"),
        shown=(kinds.Preformatted(f"{_info(sleep)}\n{sleep.head()}"),),
    )


def _info(frame: pd.DataFrame) -> str:
    buffer = io.StringIO()
    frame.info(buf=buffer)
    return buffer.getvalue()


def _formulas(lecture: Lecture) -> Step:
    truth = lecture.truth
    return Step(
        heading="From equations to formulas",
        text=f"The lecture lists {len(FORMULA_TABLE)} equations with their formulas; here each is "
        "fitted. Some need items crossed with subjects, which sleepstudy does not have, so the "
        f"data of this table are simulated: {truth.n_subjects} subjects (S) meet "
        f"{truth.n_items} items (I), each once, at one of {len(truth.x_values)} values of X. "
        "The last row of the estimates is what they were simulated from.\n\n"
        "Leaving out a source of variation does not make it vanish: it turns up in the others, "
        "most of all in the residual. All fits have the same fixed part, so their REML criteria "
        "may be compared; a lower one fits more closely.",
        shown=formulas_blocks(lecture),
    )


def _summary(lecture: Lecture) -> Step:
    return Step(
        heading="Fitting the model: summary(m.1)",
        text="The lecture's model m.1 gives every subject an intercept and a slope of their own, "
        "which may be correlated. Its summary, in the layout of the slides: criterion, scaled "
        "residuals, random effects, fixed effects.",
        code=(f'm1 = hb.lmer("{M1}", sleep)', "print(m1.summary())"),
        shown=(kinds.Preformatted(lecture.m1.summary()),),
    )


def _variance_components(lecture: Lecture) -> Step:
    return Step(
        heading="Random-effects parameters: VarCorr(m.1)",
        text="The matrix Omega of the lecture, as standard deviations and correlation: how much "
        "subjects differ in their intercepts (ms) and slopes (ms a day), and whether the two go "
        "together.",
        code=("print(m1.varcorr())",),
        shown=(kinds.Preformatted(str(lecture.m1.varcorr())),),
    )


def _random_effects(lecture: Lecture) -> Step:
    modes = lecture.m1.ranef()
    spread = lecture.m1.ranef_sd()["Subject"].agg(["min", "max"])
    n = len(modes["Subject"])
    return Step(
        heading="Subject-specific effects: ranef(m.1)",
        text=f"How far each subject is from the average line; the slides show some of the {n} "
        "subjects, here they all are. Conditional standard deviations say how well an effect is "
        "known. Every subject has the same ten days, so the smallest and the largest are equal.",
        code=(
            "print(m1.ranef())",
            "print()",
            'print(m1.ranef_sd()["Subject"].agg(["min", "max"]))',
        ),
        shown=(kinds.Preformatted(f"{modes}\n\n{spread}"), tables_on_page(modes)),
    )


def _fixed_effects(lecture: Lecture) -> Step:
    fixef = lecture.m1.fixef()
    return Step(
        heading="Fixed effects: no p values!",
        text=f"The average subject starts at {fixef['(Intercept)']:.0f} ms and slows down by "
        f"{fixef['Days']:.1f} ms with each day. As in the lecture there are no p values: outside "
        "balanced designs it is not clear which degrees of freedom a t value should have. A "
        "likelihood-ratio test follows below. This is the part of the summary on fixed effects; "
        "m1.fixef() gives the estimates alone.",
        shown=(kinds.Preformatted(text(fixed_effects_blocks(lecture.m1, SUMMARY_DIGITS))),),
    )


def _reml_and_ml(lecture: Lecture) -> Step:
    names, header, cells = _estimates_by_method(lecture)
    return Step(
        heading="REML or ML",
        text="The lecture says that ML underestimates variance components and that REML is less "
        "biased. The same model fitted both ways: ML measures the subjects' spread around fixed "
        "effects that were fitted to these very subjects, as though they were known, and so "
        "finds too little of it; standard errors shrink along. REML allows for their "
        "estimation, as n - 1 instead of n does in a sample variance. The residual sd sigma, "
        "which comes from the days within subjects, is the same.",
        code=(f'm1_ml = hb.lmer("{M1}", sleep, reml=False)',),
        shown=(kinds.Table(kinds.columns_of(cells, header), names),),
    )


def _estimates_by_method(lecture: Lecture) -> tuple[list[str], list[str], list[list[str]]]:
    """Row names, column names and cells of sds, correlation, fixed effects and their errors."""
    columns = []
    names: list[str] = []
    for fit in (lecture.m1, lecture.m1_ml):
        estimate: dict[str, float] = {}
        for term in fit.varcorr().terms:
            estimate |= {
                f"sd {column} | {term.name}": sd
                for column, sd in zip(term.columns, term.sd, strict=True)
            }
            estimate[f"cor {', '.join(term.columns)} | {term.name}"] = term.corr[1, 0]
        estimate["sigma"] = fit.sigma
        for name, beta, se in zip(fit.coef_names, fit.beta, fit.std_errors, strict=True):
            estimate |= {name: beta, f"SE of {name}": se}
        names, values = list(estimate), list(estimate.values())
        columns.append([float(value) for value in values])
    cells = [
        [f"{value:.3f}" for value in (reml, ml, ml / reml)]
        for reml, ml in zip(*columns, strict=True)
    ]
    return names, ["REML", "ML", "ML / REML"], cells


def _likelihood_ratio(lecture: Lecture) -> Step:
    test = lecture.anova.to_frame().iloc[1]
    return Step(
        heading="Likelihood-ratio test: anova(m.1, m.2)",
        text="The lecture asks whether the covariance of intercept and slope differs from zero: "
        "are people who are fast at the start less affected by lack of sleep? m.2 is m.1 "
        "without it. REML fits are fitted again by ML first. "
        f"Chi-squared is {test['chisq']:.4f} on {test['df']:.0f} degree of freedom, p = "
        f"{test['p_value']:.2f}: these data give no sign of it.",
        code=(
            f'm2 = hb.lmer("{M2}", sleep)',
            'test = hb.anova(m1, m2, names=("m.1", "m.2"))',
            "print(test)",
        ),
        shown=(kinds.Preformatted(str(lecture.anova)),),
    )


def _slides(lecture: Lecture) -> Step:
    excess = lecture.at_slides.criterion - lecture.m1.criterion
    return Step(
        heading="The slides beside ours",
        text="A few last digits differ from the slides: lme4 in 2019 stopped a little short of the "
        "optimum. In the middle is our code, not searching but standing where lme4 stopped: it "
        "prints the slides' digits. The REML criterion is what the search makes small; there it "
        f"is {excess:.1e} higher than at our estimates.\n\n"
        "Below the table are the two outputs of the slides that have another layout above: the "
        "data as R's str shows them, and the likelihood-ratio test with the column names that "
        "lme4 had in 2019.",
        shown=(
            slides_table(lecture),
            kinds.Preformatted(str_text(lecture.sleep)),
            kinds.Preformatted(anova_text(lecture.anova, style="lecture")),
        ),
    )
