"""The data beside data sets that a model simulates, as scatter plots that may be told apart.

Source: Buja et al. (2009), Phil. Trans. R. Soc. A 367:4361 (visual inference by a line-up).
"""

from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np

from hierbayes.arrays import FloatArray, IntArray
from hierbayes.checks.predictive_check import (
    PredictiveDraws,
    place_of_rows,
    predictive_draws,
    prior_draws_of_responses,
)
from hierbayes.design.axis import Axis
from hierbayes.errors import OptionError
from hierbayes.options import SimulatedGroups, check_count, check_flag
from hierbayes.plots.alt_text import describe
from hierbayes.plots.curves import draw_lines, draw_points
from hierbayes.plots.labels import bundled_unit
from hierbayes.plots.palette import Look, Role, look
from hierbayes.plots.picture import picture
from hierbayes.plots.response_names import observed_words
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.results.fit import Fit
from hierbayes.specification.specified import Specified
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST = 24  # panels
PANEL_MM, PANEL_NARROW_MM = 40.0, 32.0
LEAST_MM = 33.0  # width of a panel
MARGIN = 0.08  # above and below points, of their range
FEW_VALUES = 12  # of a response that is binned along x
BINS = 10


@picture
def simulations(
    model: Specified,
    n: int = 7,
    *,
    x: str | None = None,
    group: str | bool | None = None,
    groups: SimulatedGroups | None = None,
    hide: bool = False,
    random_seed: Any = None,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the data and data sets simulated from a fit, a panel each.

    Parameters
    ----------
    model : a fit or a posterior; of a Model, which is not fitted, the priors simulate
    n : int
        Simulated data sets.
    x : a column of the data, or a grouping factor, along x; the first number with a random slope,
        else the first predictor, else the first grouping factor unless said
    group : name of a grouping factor whose levels have a line each; True for the first, which is
        also drawn where x is a number and nothing is said; False for none
    groups : {"fitted", "new"}
        Random effects of the simulated data, as of ``hb.plot.ppc``.
    hide : bool
        Put the data at a random place and do not say which: a line-up. The words of the picture
        (``hb.plot.alt_text``) say it.
    random_seed : int, Generator or SeedSequence

    Returns
    -------
    figure, axes
        One axes a data set; the data first unless hidden.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, axes = hb.plot.simulations(fit, 3, random_seed=1)
    >>> [ax.get_title() for ax in axes]
    ['data', 'simulation 1', 'simulation 2', 'simulation 3']
    """
    if not isinstance(model, Specified):
        raise OptionError(
            f"plot.simulations takes a fit, a posterior or a model; it got {shown(model)}."
        )
    check_count("n", n)
    if n + 1 > MOST:
        raise OptionError(f"n={n}: at most {MOST - 1} simulated data sets have room.")
    check_flag("hide", hide, "True (a line-up) or False")
    rng = np.random.default_rng(random_seed)
    with sheet(options, "simulations") as page:
        found = (
            predictive_draws(model, n, groups=groups, random_seed=rng)
            if isinstance(model, Fit)
            else prior_draws_of_responses(model, n, random_seed=rng)
        )
        name = _variable(model, x)
        axis, codes = place_of_rows(model.spec, name), _codes(model, group, name)
        place = int(rng.integers(found.simulated.shape[0] + 1)) if hide else 0
        axes = _draw(page, found, axis, codes, name, place=place, hide=hide)
        where = f"The data are panel {place + 1} of {len(axes)}."
        page.note(found.words)
        describe(page.figure, f"{found.response} over {name}. {found.words} {where}")
    return page.figure, axes


def _draw(
    page: Sheet,
    found: PredictiveDraws,
    axis: Axis,
    codes: IntArray | None,
    name: str,
    *,
    place: int,
    hide: bool,
) -> Any:
    n = found.simulated.shape[0] + 1
    panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
    columns = max(1, min(4, int(page.width_mm / LEAST_MM)))
    columns = -(-n // -(-n // columns))
    axes = page.grid(n, columns=columns, panel_mm=panel, sharex=True, sharey=True)
    own, ink = look(cast(Role, found.role)), look("data")
    simulated = iter(found.simulated)
    for k, ax in enumerate(axes):
        is_data = k == place
        y = found.observed if is_data else next(simulated)
        _panel(ax, axis, y, codes, ink if is_data or hide else own, found)
        number = k if k > place else k + 1
        ax.set_title(str(k + 1) if hide else "data" if is_data else f"simulation {number}")
    if axis.labels is not None:
        names = [page.label(label) for label in axis.labels]
        for ax in axes:
            ax.set_xticks(range(len(names)), names)
            ax.set_xlim(-0.5, len(names) - 0.5)
    unit = "" if axis.labels is not None else bundled_unit(found.model.data_name, name, axis.at)
    page.figure.supxlabel(page.label(name, f"{name} ({unit})" if unit else name))
    page.figure.supylabel(page.label(found.response, observed_words(found.model)))
    return np.asarray(axes)


def _panel(
    ax: "Axes", axis: Axis, y: FloatArray, codes: IntArray | None, own: Look, found: PredictiveDraws
) -> None:
    is_number = axis.labels is None
    ax.margins(y=MARGIN)
    if found.is_discrete and np.unique(found.observed).size <= FEW_VALUES:
        x, means, n = _binned(axis, y)
        draw_points(ax, x, means, n, own, is_number=is_number, most=float(n.max()))
        return
    if codes is not None:
        order = np.lexsort((axis.at, codes))
        ends = np.flatnonzero(np.diff(codes[order])) + 1
        parts = np.split(order, ends)
        draw_lines(ax, [(axis.at[rows], y[rows]) for rows in parts], own)
    draw_points(ax, axis.at, y, np.ones(y.size), own, is_number=is_number, most=1)


def _binned(axis: Axis, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Average a response of a few values over bins along x: places, means, numbers of rows."""
    bins: Any = axis.at
    if axis.labels is None and np.unique(axis.at).size > BINS:
        bins = np.searchsorted(np.unique(np.quantile(axis.at, np.arange(1, BINS) / BINS)), axis.at)
    _, which, n = np.unique(bins, return_inverse=True, return_counts=True)
    return np.bincount(which, axis.at) / n, np.bincount(which, y) / n, n.astype(np.float64)


def _variable(model: Specified, x: str | None) -> str:
    if x is not None:
        return x
    mean = model.design.mean
    sloped = [name for name in mean.random_columns() if name not in mean.coded()]
    factors = [factor.name for factor in model.design.factors]
    found = next(iter([*sloped, *mean.fixed_columns(), *factors]), None)
    if found is None:
        raise OptionError("The model has neither predictors nor groups: say what lies along x.")
    return found


def _codes(model: Specified, group: str | bool | None, x: str) -> IntArray | None:
    """Return the level of each row whose lines are drawn; None for no lines."""
    factors = {factor.name: factor.codes for factor in model.design.factors}
    if group is False or not factors:
        return None
    if group is None:
        is_number = x not in factors and place_of_rows(model.spec, x).labels is None
        return next(iter(factors.values())) if is_number else None
    name = next(iter(factors)) if group is True else group
    if not isinstance(name, str) or name not in factors:
        raise OptionError(
            f"group={shown(group)} is not a grouping factor of the model; there "
            f"{'is' if len(factors) == 1 else 'are'} {', '.join(map(repr, factors))}."
        )
    return factors[name]
