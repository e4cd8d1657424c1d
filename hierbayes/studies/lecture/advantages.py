"""The slide "Advantages of multilevel models" as a step of the tour, and its picture."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.sheet import sheet
from hierbayes.render.blocks import Block, Table, columns_of
from hierbayes.studies.advantages import (
    AVERAGED,
    AVERAGED_ALL,
    LEVEL,
    OWN,
    SAME_SETS,
    Advantages,
)
from hierbayes.studies.lecture.lecture import Lecture
from hierbayes.studies.lecture.step import Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_MM = 58.0
SLOPES = {
    "error": "error (ms a day)",
    "coverage": "95 % intervals that hold the truth",
    "width": "their width",
    "n": "data sets",
}


def advantages_block(lecture: Lecture) -> Step:
    """Show each claim of the slide with numbers."""
    found = lecture.advantages
    few, many = found.lines.index[[0, -1]]
    n_sets, n_posteriors = int(found.slopes["n"].max()), int(found.slopes["n"].min())
    coverage, error = found.slopes["coverage"], found.slopes["error"]
    spread, weights = found.spread, found.weights
    least = weights.sort_values("std_error").iloc[-1]
    days, drivers = (
        found.left_out[found.left_out["left_out"] == word].set_index("way")
        for word in ("days", "drivers")
    )
    off, held = days["error"], drivers["coverage"]
    return Step(
        heading="The advantages of multilevel models, in numbers",
        text=f"The lecture lists them; here they are tried. Of sleepstudy {len(found.rows)} rows "
        f"are kept, {few} to {many} days of a driver, and on the same days {n_sets} data sets are "
        "simulated from the estimates above, so that the truth is known (posteriors of the first "
        f"{n_posteriors}).\n\n"
        "Better estimates, most of all of groups with few rows. The error of a driver's line "
        f"over ten days is {found.lines.loc[few, 'no pooling']:.0f} ms with a line of one's own "
        f"from {few} days, {found.lines.loc[few, 'complete pooling']:.0f} with one line for all, "
        f"{found.lines.loc[few, 'REML']:.0f} with REML and "
        f"{found.lines.loc[few, 'posterior']:.0f} with the posterior. From {many} days all but the "
        "one line for all are close.\n\n"
        "Averaging makes false confidence. A line through the average of each day has forgotten "
        f"that drivers differ: with no day left out {100 * coverage[AVERAGED_ALL]:.0f} % of its "
        f"95 % intervals hold the true slope, on the unbalanced days "
        f"{100 * coverage[AVERAGED]:.0f} %. REML's hold it in {100 * coverage['REML']:.0f} %, the "
        f"posterior's in {100 * coverage['posterior']:.0f} %.\n\n"
        "Every driver's own standard error counts. Averaging the drivers' own slopes is honest "
        f"({100 * coverage[OWN]:.0f} %), but takes the slope with a standard error of "
        f"{least['std_error']:.1f} ms a day for as good as one with "
        f"{weights['std_error'].min():.1f}; in the model's the first counts "
        f"{100 * least['share']:.1f} %, the best known {100 * weights['share'].max():.1f} %. "
        f"The error is {error[OWN]:.2f} against {error['REML']:.2f}; the posterior's is "
        f"{error['posterior']:.2f}, on data sets where REML's is {error[SAME_SETS]:.2f}.\n\n"
        "Variation is an estimate of its own. The sd of the drivers' own slopes holds their "
        f"errors, too: {spread['median']['own lines']:.1f} where the truth is "
        f"{spread['true']['own lines']:.1f}; REML's is {spread['median']['REML']:.1f} and "
        f"the posterior's {spread['median']['posterior']:.1f} (medians over data sets).\n\n"
        f"Prediction, on sleepstudy itself. The {int(days['n'].iloc[0])} days left out are missed "
        f"by {off['no pooling']:.0f} ms with own lines, "
        f"{off['complete pooling']:.0f} with one line, "
        f"{off['REML']:.0f} with REML and {off['posterior']:.0f} with "
        "the posterior. A driver who was left out has no line of their own, and nobody predicts "
        f"better than the average line; but its 95 % intervals hold "
        f"{100 * held['complete pooling']:.0f} % of the reactions, REML's "
        f"{100 * held['REML']:.0f} % and the posterior's "
        f"{100 * held['posterior']:.0f} %, as they know that drivers differ. "
        "(Of the days left out all ways hold fewer than they should: some reactions of sleepstudy "
        "lie far outside of a normal distribution.)",
        shown=_tables(found),
        pictures=("advantages.png",),
    )


def _tables(found: Advantages) -> tuple[Block, ...]:
    """Tabulate what the sentences say."""
    errors = found.lines.map("{:.1f}".format)
    slopes = pd.DataFrame(
        {
            "error": found.slopes["error"].map("{:.2f}".format),
            "coverage": [
                f"{100 * share:.0f} ± {200 * error:.0f} %"
                for share, error in found.slopes[["coverage", "mcse"]].to_numpy()
            ],
            "width": found.slopes["width"].map("{:.1f}".format),
            "n": found.slopes["n"].map("{:.0f}".format),
        }
    )
    left_out = [
        [f"{error:.1f}", f"{100 * coverage:.0f} %", f"{n:.0f}"]
        for error, coverage, n in found.left_out[["error", "coverage", "n"]].to_numpy()
    ]
    names = [", ".join(words) for words in found.left_out[["left_out", "way"]].to_numpy()]
    return (
        Table(
            columns_of(errors.to_numpy().tolist(), [str(name) for name in errors.columns]),
            [f"{n} days" for n in errors.index],
            caption="Error of a driver's line (root mean square, ms), simulated",
        ),
        Table(
            columns_of(slopes.to_numpy().tolist(), list(SLOPES.values())),
            list(slopes.index),
            caption="Slope of all drivers, simulated (± two Monte-Carlo errors)",
        ),
        Table(
            columns_of(left_out, ["error (ms)", "in 95 % intervals", "rows"]),
            names,
            caption="Days and drivers of sleepstudy that were left out",
        ),
    )


def draw_advantages(found: Advantages) -> Any:
    """Draw the errors of the drivers' lines and the coverage of intervals of the slope."""
    with sheet({}, "advantages") as page:
        left, right = page.grid(2, columns=2, panel_mm=PANEL_MM)
        _draw_errors(left, found)
        _draw_coverage(right, found)
        page.legend()
        describe(left, "Error of a driver's line over ten days by the number of days kept.")
    return page.figure


def _looks() -> dict[str, dict[str, Any]]:
    """Return how each way is drawn: the estimators as in every picture, the others in ink."""
    plain = {"color": now().soft, "markersize": 5.0, "markerfacecolor": now().paper}
    ours = {"REML": look("reml"), "posterior": look("posterior")}
    return {
        "no pooling": plain | {"marker": "^", "linestyle": ":"},
        "complete pooling": plain | {"marker": "v", "linestyle": "--"},
        **{name: one.line() | {**one.mark(), **one.line()} for name, one in ours.items()},
    }


def _draw_errors(ax: "Axes", found: Advantages) -> None:
    for name, style in _looks().items():
        ax.plot(found.lines.index, found.lines[name], label=name, **style)
    ax.set_xticks(list(found.lines.index))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("days kept of a driver")
    ax.set_ylabel("error of the line (ms)")


def _draw_coverage(ax: "Axes", found: Advantages) -> None:
    table = found.slopes.drop(index=SAME_SETS)
    styles = {name: style | {"linestyle": "none"} for name, style in _looks().items()}
    other = {"color": now().ink, "marker": "o", "markersize": 5.0, "linestyle": "none"}
    ax.axvline(100 * LEVEL, **reference())
    for y, name in enumerate(table.index):
        share, error = table.loc[name, ["coverage", "mcse"]]
        ax.errorbar(100 * share, y, xerr=200 * error, **styles.get(name, other))
    ax.set_yticks(range(len(table)), list(table.index))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel("intervals that hold the truth (%)")
