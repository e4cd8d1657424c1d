"""The figures of the lecture as PNG files, drawn without a display."""

from io import BytesIO
from typing import TYPE_CHECKING

from hierbayes.effects.within_group import within_group
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals
from hierbayes.plots.style import PNG_DPI, WIDTH_MM, drawing, inches, with_margins
from hierbayes.reports.html_page import Picture
from hierbayes.reports.lecture import LABELS, Lecture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACETS_MM, RESIDUALS_MM = 82.0, 75.0  # heights


def lecture_figures(lecture: Lecture) -> dict[str, Picture]:
    """Draw the raw data and the residual pictures.

    Returns
    -------
    dict
        File name -> picture.
    """
    return {
        "sleepstudy_by_subject.png": _facets(lecture),
        "residuals.png": _residuals(lecture),
    }


def _blank(height_mm: float) -> "Figure":
    from matplotlib.figure import Figure

    return with_margins(Figure(figsize=inches(WIDTH_MM, height_mm), layout="constrained"))


def _png(figure: "Figure", alt: str) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI)
    return Picture(png=buffer.getvalue(), alt=alt)


def _facets(lecture: Lecture) -> Picture:
    sleep = lecture.sleep
    with drawing():
        figure = _blank(FACETS_MM)
        data(sleep, x="Days", y="Reaction", group="Subject", labels=LABELS, figure=figure)
        slopes = within_group(sleep, x="Days", y="Reaction", group="Subject")["slope"]
        return _png(
            figure,
            f"{slopes.size} panels, one a subject: reaction time over days of sleep deprivation, "
            "with the subject's own least-squares line and its 95 % confidence band. "
            f"The slopes go from {slopes.min():.1f} ms a day (subject {slopes.idxmin()}) to "
            f"{slopes.max():.1f} ms a day (subject {slopes.idxmax()}).",
        )


def _residuals(lecture: Lecture) -> Picture:
    fit = lecture.m1
    values = fit.residuals()
    with drawing():
        figure = _blank(RESIDUALS_MM)
        left, right = figure.subplots(1, 2)
        residuals(fit, "Days", ax=left, labels=LABELS)
        qq(fit, ax=right)
        return _png(
            figure,
            "Left: residuals against days, a level cloud around the dashed zero line, from "
            f"{values.min():.0f} to {values.max():.0f} ms. Right: normal QQ plot; most points "
            "follow the dashed line, a few at both ends lie far from it: the tails are heavier "
            "than normal.",
        )
