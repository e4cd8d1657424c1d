"""How well each row or group is predicted by the others, and whether the weights can be trusted."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from pandas.api.types import is_numeric_dtype

from hierbayes.arrays import FloatArray
from hierbayes.plots.alt_text import describe
from hierbayes.plots.needed import loo_for
from hierbayes.plots.palette import look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.comparison import KFold, Loo
from hierbayes.results.draws import TRUSTED_K
from hierbayes.results.posterior_fit import PosteriorFit

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

PANEL_MM = 42.0
ROW_MM, FRAME_MM, AROUND_MM = 4.4, 6.0, 30.0
NAMED = 3
TICKS = 5
WRITTEN = 0.92  # of the axis of rows: at its end half of a number would be off the page
ERRORS = 2.0  # Monte-Carlo errors on either side of a term
ELPD, K = "log predictive density", "Pareto k"


@picture
def loo(
    found: Loo | KFold | PosteriorFit, by: Any = None, **options: Unpack[Options]
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw how well each row or group is predicted by the others.

    The log predictive density of each, with two Monte-Carlo errors on either side; of
    leave-one-out also the Pareto k of its weights against 0.7, up to where they are trusted, and
    with open marks those of ``az.loo``, which reweighs draws of the random effects as well. Rows
    stand in their order, groups from the worst predicted to the best.

    Parameters
    ----------
    found : what ``hb.loo`` or ``hb.kfold`` returns, or a posterior, of which ``hb.loo`` is taken
    by : of a posterior, what is left out at once, as of ``hb.loo``

    Returns
    -------
    figure, axes
        One axes, or two with Pareto k.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> post = model.sample(random_seed=1)
    >>> figure, axes = hb.plot.loo(hb.loo(post))
    >>> [ax.get_ylabel() for ax in axes]
    ['log predictive density', 'Pareto k']
    """
    made = loo_for(found, by)
    with sheet(options, "loo") as page:
        axes = _of_rows(page, made) if made.by is None else _of_groups(page, made)
        describe(page.figure, _words(made))
    return page.figure, axes


def _of_rows(page: Sheet, found: Loo | KFold) -> Any:
    from matplotlib.ticker import MaxNLocator

    n_panels = 2 if isinstance(found, Loo) else 1
    axes = page.grid(n_panels, columns=1, panel_mm=PANEL_MM, sharex=True)
    elpd, mcse = _terms(found)
    labels = found.pointwise.index
    x = labels.to_numpy() if is_numeric_dtype(labels) else np.arange(1, elpd.size + 1)
    mark = look("posterior").mark(3.0)
    axes[0].vlines(x, elpd - ERRORS * mcse, elpd + ERRORS * mcse, **_whisker())
    axes[0].plot(x, elpd, **mark)
    axes[0].set_ylabel(page.label("elpd", ELPD))
    worst = np.argsort(elpd, kind="stable")[:NAMED]
    names = ", ".join(f"{labels[i]} ({elpd[i]:.1f})" for i in worst)
    page.note(f"The least well predicted rows: {names}.")
    if isinstance(found, Loo):
        axes[1].axhline(TRUSTED_K, **reference())
        if found.by_draws is not None and found.method != "draws":
            theirs = found.by_draws.pareto_k_of_rows
            empty = look("data").mark(3.0, markerfacecolor=now().paper)
            axes[1].plot(x, theirs, label="az.loo", **empty)
        label = "hb.loo" if found.method != "draws" else None
        axes[1].plot(x, _k(found), label=label, **mark)
        axes[1].set_ylabel(page.label("pareto_k", K))
        if label:
            page.legend()
    low, high = float(x.min()), float(x.max())
    ticks = np.asarray(MaxNLocator(TICKS, integer=True).tick_values(low, high))
    axes[-1].set_xticks(ticks[(ticks >= low) & (ticks <= low + WRITTEN * (high - low))])
    axes[-1].set_xlabel(page.label("row", "row"))
    return np.asarray(axes)


def _of_groups(page: Sheet, found: Loo | KFold) -> Any:
    elpd, mcse = _terms(found)
    names = [str(name) for name in found.pointwise.index]
    order = page.ordered(names, elpd, usual="size")
    most = page.rows_that_fit(ROW_MM, AROUND_MM)
    if len(order) > most:
        page.note(f"The {most} of {len(order)} that are predicted least well.")
        least = set(np.argsort(elpd, kind="stable")[:most].tolist())
        order = [i for i in order if i in least]
    panels = 2 if isinstance(found, Loo) else 1
    panel_mm = FRAME_MM + ROW_MM * len(order)
    axes = page.grid(panels, columns=panels, panel_mm=panel_mm, sharey=True)
    y, at = np.arange(len(order)), np.array(order)
    mark = look("posterior").mark(4.5)
    low, high = elpd - ERRORS * mcse, elpd + ERRORS * mcse
    axes[0].hlines(y, low[at], high[at], **_whisker())
    axes[0].plot(elpd[at], y, **mark)
    axes[0].set_xlabel(page.label("elpd", ELPD))
    axes[0].set_yticks(y, [page.label(names[i]) for i in order])
    axes[0].set_ylim(-0.7, len(order) - 0.3)
    axes[0].set_ylabel(page.label(str(found.by)))
    if isinstance(found, Loo):
        axes[1].axvline(TRUSTED_K, **reference())
        axes[1].plot(_k(found)[at], y, **mark)
        axes[1].set_xlabel(page.label("pareto_k", K))
    return np.asarray(axes)


def _whisker() -> dict[str, Any]:
    return {"color": now().soft, "linewidth": 1.2 * now().lines, "zorder": 2}


def _terms(found: Loo | KFold) -> tuple[FloatArray, FloatArray]:
    table = found.pointwise
    return table["elpd"].to_numpy(dtype=np.float64), table["mcse"].to_numpy(dtype=np.float64)


def _k(found: Loo) -> FloatArray:
    """Pareto k of the terms that are not of a posterior sampled without them; NaN of those."""
    table = found.pointwise
    k = table["pareto_k"].to_numpy(dtype=np.float64)
    return np.where(table["refitted"].to_numpy() | ~np.isfinite(k), np.nan, k)


def _words(found: Loo | KFold) -> str:
    elpd, _ = _terms(found)
    worst = int(np.argmin(elpd))
    unit = found.by or "row"
    text = (
        f"Log predictive densities of {elpd.size} {'rows' if found.by is None else 'groups'}, "
        f"{elpd.sum():.1f} in all; the least, {elpd[worst]:.1f}, is that of {unit} "
        f"{found.pointwise.index[worst]}."
    )
    if isinstance(found, KFold):
        return text
    k = _k(found)
    high = int((k > TRUSTED_K).sum())
    if np.isnan(k).all():
        return text
    text += f" Pareto k up to {np.nanmax(k):.2f}, above {TRUSTED_K} for {high} of them"
    beside = found.by_draws
    if beside is None or found.method == "draws":
        return f"{text}."
    return f"{text}; by az.loo up to {beside.pareto_k:.2f}, above it for {beside.n_untrusted}."
