"""Effects of the levels of a grouping factor by two estimators: against each other, in a plane."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hierbayes.arrays import record
from hierbayes.naming.addresses import effect_labels, level_columns
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.sheet import Sheet
from hierbayes.results.comparison import ComparedFit, Comparison
from hierbayes.results.fit import Fit, labelled_effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 60  # levels up to which each has bars
SMALLEST, LARGEST = 8.0, 30.0  # areas of points, of the smallest and the largest level


@record
class LevelTerm:
    """One term of a grouping factor by two fits.

    Attributes
    ----------
    group, term : names
    x_fit, y_fit : the likelihood fit and the posterior, where there are both
    x, y : tables by level with columns ``estimate conf_low conf_high coefficient``
    n : array, shape (J,), rows of each level
    population : the fixed effect in both fits; NaN without one
    """

    group: str
    term: str
    x_fit: ComparedFit[Fit]
    y_fit: ComparedFit[Fit]
    x: pd.DataFrame
    y: pd.DataFrame
    n: Any
    population: tuple[float, float]


def level_terms(found: Comparison, group: str | None) -> list[LevelTerm]:
    """Return the terms to draw: those of the group, or the first of every group.

    Where no group is named, a first grouping factor of several terms is drawn; else the first
    terms of all grouping factors.
    """
    x_fit, y_fit = _pair(found)
    design = x_fit.fit.design
    factors = list(design.factors)
    if not factors:
        return []
    first = next((f for f in factors if f.name == group), factors[0])
    chosen = [(first, column) for column in range(len(first.columns))]
    if group is None and len(chosen) == 1:
        chosen = [(factor, 0) for factor in factors]
    effects = [labelled_effects(fit.fit, found.level) for fit in (x_fit, y_fit)]
    columns = level_columns(design, x_fit.fit.kept.tolist())
    terms = []
    for factor, column in chosen:
        position = next(f for f, own in enumerate(factors) if own is factor)
        term = effect_labels(design, position)[column]
        place = columns.random[position][column]
        fixed = columns.fixed[place]
        tables, population = [], []
        for fit, table in zip((x_fit, y_fit), effects, strict=True):
            beta = fit.fit.shown_beta
            population.append(float(beta[fixed]) if fixed >= 0 else float("nan"))
            rows = table[(table["group"] == factor.name) & (table["term"] == term)]
            coefficients = fit.fit.coef()[factor.name].iloc[:, place].to_numpy()
            tables.append(rows.set_index("level").assign(coefficient=coefficients))
        terms.append(
            LevelTerm(
                group=factor.name,
                term=term,
                x_fit=x_fit,
                y_fit=y_fit,
                x=tables[0],
                y=tables[1],
                n=np.bincount(factor.codes, minlength=factor.levels.size),
                population=(population[0], population[1]),
            )
        )
    return terms


def _pair(found: Comparison) -> tuple[ComparedFit[Fit], ComparedFit[Fit]]:
    """Return the fit the shifts are from and the first posterior, else the last and the first."""
    likelihood = [fit for fit in found.fits if not fit.is_posterior]
    posteriors = [fit for fit in found.fits if fit.is_posterior]
    if likelihood and posteriors:
        return likelihood[-1], posteriors[0]
    both = likelihood or posteriors
    return (both[-1], both[0]) if likelihood else (both[0], both[1])


def draw_effects(ax: "Axes", term: LevelTerm, page: Sheet) -> None:
    """Draw the effects of one fit over those of the other, with intervals and the identity."""
    x, y = (table["estimate"].to_numpy(dtype=float) for table in (term.x, term.y))
    x_look, y_look = look(term.x_fit.fit.method), look(term.y_fit.fit.method)
    if len(x) <= FEW:
        ax.hlines(y, term.x["conf_low"], term.x["conf_high"], color=x_look.colour, linewidth=0.5)
        ax.vlines(x, term.y["conf_low"], term.y["conf_high"], color=y_look.colour, linewidth=0.5)
    ax.scatter(x, y, s=_areas(term.n), color=now().ink, linewidths=0, zorder=3)
    ax.axline((0.0, 0.0), slope=1.0, **reference())
    ax.set_xlabel(term.x_fit.name, labelpad=2)
    ax.set_ylabel(term.y_fit.name)
    ax.set_title(page.label(f"{term.group}: {term.term}"), fontsize="small")


def _areas(n: Any) -> Any:
    """Areas of points that grow with the rows of a level."""
    few = 1.0 if n.size <= FEW else 0.3
    spread = n.max() - n.min()
    if spread == 0:
        return np.full(n.size, few * (SMALLEST + LARGEST) / 2)
    return few * (SMALLEST + (LARGEST - SMALLEST) * (n - n.min()) / spread)


def draw_plane(ax: "Axes", first: LevelTerm, second: LevelTerm, page: Sheet) -> None:
    """Draw the coefficients of the levels by both fits, joined, and both populations."""
    tables = ((first.x, second.x), (first.y, second.y))
    values = [(a["coefficient"].to_numpy(), b["coefficient"].to_numpy()) for a, b in tables]
    few = len(first.x) <= FEW
    ax.plot(
        np.stack([values[0][0], values[1][0]]),
        np.stack([values[0][1], values[1][1]]),
        color=now().soft,
        linewidth=0.8 if few else 0.4,
        zorder=1,
    )
    for (x, y), fit, at in zip(values, (first.x_fit, first.y_fit), (0, 1), strict=True):
        style = look(fit.fit.method)
        ax.plot(x, y, **style.mark(3.5 if few else 1.5, zorder=3 + at))
        ax.plot(
            [first.population[at]],
            [second.population[at]],
            "+" if at == 0 else "x",
            color=style.colour,
            markersize=10,
            markeredgewidth=1.8,
            zorder=6,
        )
    ax.set_xlabel(page.label(first.term), labelpad=2)
    ax.set_ylabel(page.label(second.term))
    ax.set_title(page.label(f"{first.group}: coefficients"), fontsize="small")
