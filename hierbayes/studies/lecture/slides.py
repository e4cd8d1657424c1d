"""Digits of the slides beside ours, where lme4 in 2019 stopped a little short of the optimum.

Evaluating our own criterion at the slides' theta gives the slides' digits and a higher criterion,
so the slides differ from us by where the search ended and by nothing else.
"""

from hierbayes.arrays import record
from hierbayes.render.blocks import Table, columns_of
from hierbayes.render.numbers import FIVE_NUMBERS, format_common, zap_small
from hierbayes.reports.level_tables import frame_cells
from hierbayes.reports.summary import estimated, fixed_effects_cells, scaled_residuals
from hierbayes.reports.varcorr import varcorr_cells
from hierbayes.results.likelihood_fit import LikelihoodFit
from hierbayes.studies.lecture.lecture import Lecture

DIGITS = 4  # of the summary
CRITERION_DECIMALS = 7

# what the slides print, by our name of the quantity; only where our last digit is another one
SLIDES = {
    "Variance of (Intercept)": "611.90",
    "Variance of Days": "35.08",
    "Std.Dev. of (Intercept)": "24.737",
    "Std.Dev. of Days": "5.923",
    "Std. Error of (Intercept)": "6.824",
    "t value of (Intercept)": "36.843",
    "3Q of scaled residuals": "0.4633",
    "ranef of 308, (Intercept)": "2.2575329",
    "ranef of 308, Days": "9.1992737",
}
COLUMNS = ("slides", "ours at the slides' theta", "ours")


@record
class Comparison:
    """A quantity as the slides print it, as we do at their theta, and at our optimum."""

    quantity: str
    slides: str
    at_slides: str
    ours: str


def comparisons(lecture: Lecture) -> list[Comparison]:
    """Every quantity whose last printed digit differs, and the criterion to more digits."""
    at_slides, ours = printed(lecture.at_slides), printed(lecture.m1)
    rows = [
        Comparison(quantity=name, slides=text, at_slides=at_slides[name], ours=ours[name])
        for name, text in SLIDES.items()
    ]
    criteria = [
        f"{fit.criterion:.{CRITERION_DECIMALS}f}" for fit in (lecture.at_slides, lecture.m1)
    ]
    last = Comparison(
        quantity="REML criterion", slides="1743.6", at_slides=criteria[0], ours=criteria[1]
    )
    return [*rows, last]


def printed(fit: LikelihoodFit) -> dict[str, str]:
    """Return the quantities of ``SLIDES`` as a fit prints them."""
    _, variance_rows = varcorr_cells(fit.varcorr(), digits=DIGITS, with_variances=True)
    found = {}
    for row in variance_rows[:-1]:
        name = row[1].strip()
        found[f"Variance of {name}"] = row[2].strip()
        found[f"Std.Dev. of {name}"] = row[3].strip()
    names, beta, vcov = estimated(fit)
    for label, cells in fixed_effects_cells(beta, vcov, DIGITS):
        found |= {
            f"{label} of {name}": cell.strip() for name, cell in zip(names, cells, strict=True)
        }
    residuals = format_common(zap_small(scaled_residuals(fit), DIGITS + 1), DIGITS)
    quantiles = dict(zip(FIVE_NUMBERS, residuals, strict=True))
    found["3Q of scaled residuals"] = quantiles["3Q"].strip()
    modes = fit.ranef()["Subject"]
    mode_cells = frame_cells(modes)
    at = list(modes.index).index("308")
    for j, column in enumerate(modes.columns):
        found[f"ranef of 308, {column}"] = mode_cells[at][j].strip()
    return found


def slides_table(lecture: Lecture) -> Table:
    """Show the comparison."""
    rows = comparisons(lecture)
    cells = [[row.slides, row.at_slides, row.ours] for row in rows]
    return Table(columns_of(cells, COLUMNS), [row.quantity for row in rows])
