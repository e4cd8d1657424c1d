"""Yes and no instead of milliseconds, as steps of the tour: what the lecture's references fit."""

import pandas as pd

from hierbayes.render.blocks import Preformatted, Printed, Table, columns_of
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.studies.lecture.lecture import CHOICES, Lecture
from hierbayes.studies.lecture.step import Step

KEYS, LIMITS = ["level", "condition"], ["estimate", "lower", "upper"]


def probit_block(lecture: Lecture) -> Step:
    """Fit the binomial mixed model with a probit link."""
    probit = lecture.psychophysics.probit
    return Step(
        heading="Yes and no instead of milliseconds: a binomial mixed model",
        text="Two of the lecture's references are about psychophysics (Knoblauch & Maloney, 2012; "
        "Moscatelli, Mezzetti & Lacquaniti, 2012), where a response is yes or no. In touch_speed "
        f"{probit.n_groups['subject']} observers feel two surfaces move and say whether the "
        "second was faster than the first; in half of the blocks a vibration of 32 Hz masks the "
        "motion (the design is that of the second reference, the responses are simulated). The "
        "probability of that answer is the normal distribution function of a line in speed, and "
        "as with sleepstudy every observer has a line of their own. glmer maximises the likelihood "
        "with the observers' effects integrated out, here by Laplace's approximation.\n\n"
        "The finding below the summary says that the responses vary more than binomial ones "
        "should. The next step tells why.",
        code=(
            'touch = hb.load_dataset("touch_speed")',
            f'choices = "{CHOICES}"',
            'probit = hb.glmer(choices, touch, family="binomial", link="probit")',
            "print(probit.summary())",
        ),
        shown=(Preformatted(probit.summary()),),
    )


def thresholds_block(lecture: Lecture) -> Step:
    """Read thresholds of the population off the psychometric function."""
    fit = lecture.psychophysics.fit
    higher = fit.loglik - lecture.psychophysics.probit.loglik
    tables = (
        fit.pse(groups="none"),
        fit.jnd(groups="none"),
        fit.jnd(groups="none", differences=True),
    )
    return Step(
        heading="Psychometric functions: thresholds and just noticeable differences",
        text="Observers press a wrong key now and then, also where the difference is plain to "
        "feel, and a curve that must reach 0 and 1 takes that for a lack of sensitivity. "
        "hb.psychometric is the model above between asymptotes: lapses are in it at both ends, "
        f"{100 * fit.dispersion['lapse']:.1f} % of the trials, and its log-likelihood is "
        f"{higher:.1f} higher for that one parameter. The finding of the last step is gone.\n\n"
        "The point of subjective equality (PSE) is the speed at which both answers are equally "
        "likely; the just noticeable difference (JND) is half the way from a quarter to three "
        "quarters. Under vibration surfaces must move faster to feel as fast, and the difference "
        "that can be felt is larger. Their limits here come by the delta method; "
        'method="fieller", "profile" and "bootstrap" are the others.',
        code=(
            'curve = hb.psychometric(choices, touch, stimulus="speed", guess="lapse", '
            'lapse="estimate")',
            "curve_fit = curve.fit()",
            'print(curve_fit.pse(groups="none"))',
            "print()",
            'print(curve_fit.jnd(groups="none"))',
            "print()",
            'print(curve_fit.jnd(groups="none", differences=True))',
        ),
        shown=(Preformatted("\n\n".join(map(str, tables))),),
    )


CURVES = Step(
    heading="The curves and the responses",
    text="Above, the population with its band, and the share of the answer over all observers; "
    "below, every observer. Points are as large as they have trials. The curve of the typical "
    "observer is steeper than the points above suggest, as these average over observers with "
    "thresholds of their own.",
    code=("hb.plot.psychometric(curve_fit)",),
    pictures=("psychometric.png",),
)


def choices_posterior_block(lecture: Lecture) -> Step:
    """Lay likelihood and posterior of the psychometric function side by side."""
    choices = lecture.psychophysics
    return Step(
        heading="The psychometric function, by likelihood and as posterior",
        text="The same model with priors. Fixed effects and lapses agree; with "
        f"{choices.fit.n_groups['subject']} observers the standard deviations between them are "
        "uncertain and skewed, and their correlation is known least: there the prior counts, and "
        "the comparison says so.",
        code=(
            f"curve_post = curve.sample(draws={choices.posterior.settings['draws']}, "
            "random_seed=1)",
            "print(hb.compare(curve_fit, curve_post))",
        ),
        shown=(Preformatted(str(choices.comparison)),),
    )


def observers_block(lecture: Lecture) -> Step:
    """Lay thresholds of the population and of every observer side by side."""
    choices = lecture.psychophysics
    tables = [_both(choices.fit, choices.posterior, name) for name in ("pse", "jnd")]
    pse = tables[0]["posterior"].loc["population"].iloc[0]
    ml = tables[0]["ML"].loc["population"].iloc[0]
    wider = (pse["upper"] - pse["lower"]) / (ml["upper"] - ml["lower"])
    return Step(
        heading="Thresholds of population and observers, side by side",
        text="PSE and JND of the typical observer and of each, by likelihood and by posterior, "
        "with 95 % limits; the posterior reads them off every draw. Of the observers both say "
        "the same. The limits of the typical observer's PSE are "
        f"{wider:.1f} times as wide in the posterior: they rest on how much the observers' "
        "thresholds differ, which maximum likelihood takes at its best value and the posterior "
        "averages over.",
        code=(
            "import pandas as pd",
            f"keys, limits = {_listed(KEYS)}, {_listed(LIMITS)}",
            'fits = {"ML": curve_fit, "posterior": curve_post}',
            "pse = {name: fit.pse().set_index(keys)[limits] for name, fit in fits.items()}",
            "print(pd.concat(pse, axis=1).round(2))",
            "print()",
            "jnd = {name: fit.jnd().set_index(keys)[limits] for name, fit in fits.items()}",
            "print(pd.concat(jnd, axis=1).round(2))",
        ),
        shown=(
            Printed(
                "\n\n".join(map(str, tables)).split("\n"),
                [
                    _on_page(table, caption)
                    for table, caption in zip(tables, ("PSE", "JND"), strict=True)
                ],
            ),
        ),
    )


def _both(fit: PsychometricFit, posterior: PsychometricPosterior, name: str) -> pd.DataFrame:
    """Return a quantity by both estimators as the step's code does: rows level and condition."""
    parts = {"ML": fit, "posterior": posterior}
    tables = {key: getattr(own, name)().set_index(KEYS)[LIMITS] for key, own in parts.items()}
    return pd.concat(tables, axis=1).round(2)


def _on_page(table: pd.DataFrame, caption: str) -> Table:
    names = [" ".join(name) for name in table.columns.tolist()]
    cells = [[f"{value:.2f}" for value in row] for row in table.to_numpy()]
    return Table(columns_of(cells, names), [", ".join(row) for row in table.index], caption=caption)


def _listed(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
