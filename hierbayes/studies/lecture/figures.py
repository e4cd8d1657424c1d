"""The figures of the lecture as PNG files, drawn without a display."""

from io import BytesIO
from typing import Any

from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.intervals import intervals
from hierbayes.plots.likelihood_surface import likelihood_surface
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.psychometric import psychometric
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals
from hierbayes.plots.shrinkage_lines import shrinkage_lines
from hierbayes.plots.shrinkage_plane import shrinkage_plane
from hierbayes.plots.style import PNG_DPI, WIDTH_MM, new_figure
from hierbayes.pooling.within_group import within_group
from hierbayes.render.blocks import Picture
from hierbayes.studies.lecture.advantages import draw_advantages
from hierbayes.studies.lecture.lecture import LABELS, Lecture

PAIR_MM = 75.0  # height of two pictures beside each other


def lecture_figures(lecture: Lecture) -> dict[str, Picture]:
    """Draw the lecture's figures, and those beside them.

    Returns
    -------
    dict
        File name -> picture.
    """
    return {
        "sleepstudy_by_subject.png": _facets(lecture),
        "residuals.png": _residuals(lecture),
        "likelihood.png": _likelihood(lecture),
        "shrinkage_plane.png": _picture(
            shrinkage_plane(lecture.m1)[0],
            "Intercept and slope of each subject: an arrow from the estimate of the subject's own "
            "ten days to the conditional mode, all pulled towards the cross of the population, "
            "with ellipses of the estimated covariance.",
        ),
        "shrinkage_lines.png": _picture(
            shrinkage_lines(lecture.m1, standard_errors=True, labels=LABELS)[0],
            "One panel a subject with its data and three lines: of the subject alone, of all "
            "subjects together, and between them that of the mixed model. In each panel the "
            "standard errors of the subject's own intercept and slope.",
        ),
        "caterpillar.png": _picture(
            caterpillar(lecture.m1, lecture.posterior1)[0],
            "Random intercepts and slopes of the 18 subjects in order, conditional modes beside "
            "posterior means with 95 % intervals; the posterior's intervals are a little wider.",
        ),
        "intervals.png": _picture(
            intervals(lecture.intervals)[0],
            "Wald, profile and bootstrap confidence intervals and the posterior's credible "
            "interval of each parameter, each on its own scale: alike for fixed effects, skewed "
            "upwards for sds.",
        ),
        "advantages.png": _advantages(lecture),
        "psychometric.png": _curves(lecture),
    }


def _picture(figure: Any, alt: str) -> Picture:
    """Return a PNG of a figure, and close it."""
    from matplotlib import pyplot

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI)
    pyplot.close(figure)
    return Picture(png=buffer.getvalue(), alt=alt)


def _facets(lecture: Lecture) -> Picture:
    columns: dict[str, Any] = {"x": "Days", "y": "Reaction", "group": "Subject"}
    slopes = within_group(lecture.sleep, **columns)["slope"]
    return _picture(
        data(lecture.sleep, **columns, labels=LABELS)[0],
        f"{slopes.size} panels, one a subject: reaction time over days of sleep deprivation, "
        "with the subject's own least-squares line and its 95 % confidence band. "
        f"The slopes go from {slopes.min():.1f} ms a day (subject {slopes.idxmin()}) to "
        f"{slopes.max():.1f} ms a day (subject {slopes.idxmax()}).",
    )


def _residuals(lecture: Lecture) -> Picture:
    fit = lecture.m1
    values = fit.residuals()

    figure = new_figure(width_mm=WIDTH_MM, height_mm=PAIR_MM)
    left, right = figure.subplots(1, 2)
    residuals(fit, "Days", ax=left, labels=LABELS)
    qq(fit, ax=right)
    return _picture(
        figure,
        "Left: residuals against days, a level cloud around the dashed zero line, from "
        f"{values.min():.0f} to {values.max():.0f} ms. Right: normal QQ plot; most points "
        "follow the dashed line, a few at both ends lie far from it: the tails are heavier "
        "than normal.",
    )


def _likelihood(lecture: Lecture) -> Picture:
    surface = lecture.surface
    return _picture(
        likelihood_surface(surface)[0],
        "Contours of the likelihood over the sds of the subjects' intercepts and slopes, for "
        f"ML and for REML. The ML estimate ({surface.ml_estimate[0]:.1f}, "
        f"{surface.ml_estimate[1]:.1f}) lies below and left of the REML estimate "
        f"({surface.reml_estimate[0]:.1f}, {surface.reml_estimate[1]:.1f}).",
    )


def _curves(lecture: Lecture) -> Picture:
    fit = lecture.psychophysics.fit
    pse = fit.pse(groups="none").set_index("condition")["estimate"]
    return _picture(
        psychometric(fit)[0],
        "Above, the share of the answer faster over speed with the population's psychometric "
        f"functions: half of it at {pse['none']:.1f} cm/s without vibration and, along a "
        f"shallower curve, at {pse['32 Hz']:.1f} cm/s with it. Below, the same for each of "
        f"{fit.n_groups['subject']} observers.",
    )


def _advantages(lecture: Lecture) -> Picture:
    found = lecture.advantages
    few = found.lines.index[0]
    shares = ", ".join(
        f"{name} {100 * share:.0f} %" for name, share in found.slopes["coverage"].items()
    )
    return _picture(
        draw_advantages(found),
        "Left, the error of a driver's line over the number of days kept: from "
        f"{few} days it is {found.lines.loc[few, 'no pooling']:.0f} ms without pooling, "
        f"{found.lines.loc[few, 'complete pooling']:.0f} with complete pooling, and about "
        f"{found.lines.loc[few, 'REML']:.0f} with REML and posterior. Right, how many 95 % "
        f"intervals hold the true slope: {shares}.",
    )
