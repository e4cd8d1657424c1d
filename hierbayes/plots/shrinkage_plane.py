"""Two coefficients of every level in a plane: arrows from its own data to what is estimated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

import hierbayes.plots.shrinkage_source as shared
from hierbayes.arrays import BoolArray, FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.errors import OptionError
from hierbayes.naming.addresses import effect_labels, fixed_partners
from hierbayes.plots.alt_text import describe
from hierbayes.plots.level_names import place_names
from hierbayes.plots.palette import look, now
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, Sheet, sheet
from hierbayes.plots.style import letter_size
from hierbayes.pooling.ellipses import ellipse, ellipse_band
from hierbayes.pooling.level_covariances import covariance_draws
from hierbayes.results.fit import Fit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.shrinkage_table import ShrinkageTable
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


HEIGHT_MM, NARROW_MM = 100.0, 68.0  # of the panel
MANY = 80  # levels from which arrows have no heads and points no names
DISTANCES = (4.5, 12.0, 20.0)  # between a point and its name, in points
BAND_LEVEL = 0.9  # of the band of an ellipse
CLOUD = 100  # draws of one level
REACH = 0.06  # of the range, around what is drawn
STYLES = ((0, (1, 1.6)), (0, (3, 2)), (0, (7, 3)))  # of the ellipses, inside out


@picture
def shrinkage_plane(
    source: Fit | ShrinkageTable,
    *,
    group: str | None = None,
    terms: Sequence[str] | None = None,
    levels: Sequence[float] = (0.5, 0.8, 0.95),
    draws_of: Sequence[Any] = (),
    names: bool | None = None,
    **options: Unpack[Options],
) -> "tuple[Any, Axes]":
    """Draw how every level is pulled towards the population, in the plane of two terms.

    Hollow points are estimates without shrinkage, full ones conditional modes or posterior means;
    the cross is the population. Arrows don't point at the cross: they follow the correlation, and
    they are long where a level's own data say little.

    Parameters
    ----------
    source : LikelihoodFit, PosteriorFit, or what ``hb.shrinkage`` returned
    group : grouping factor; the first when not given
    terms : two of its terms, for x and y; the first two when not given
    levels : shares of levels that the ellipses of the estimated covariance hold
    draws_of : of a posterior, levels whose draws are shown as a cloud
    names : name the levels; where there are at most 80 when not given

    Returns
    -------
    figure, axes
        An arrow a level, around the population's cross. ``labels`` are those of terms and levels;
        where names have no room beside their points, it is said how many are written.

    Raises
    ------
    OptionError
        If the group has fewer than two terms, or for names that are not there.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    >>> figure, ax = hb.plot.shrinkage_plane(fit)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('(Intercept) (ms)', 'Days (ms per unit)')
    """
    table = shared.table_of(source)
    x, y = _two_terms(table, group, terms)
    own, kept = _points(x, y, "unpenalised"), _points(x, y, "coefficient")
    own = np.where(np.isfinite(own).all(axis=1)[:, None], own, kept)  # there is none
    centre = np.array([x["population"].iloc[0], y["population"].iloc[0]])
    Sigma = _covariance(table, x, y)
    if not (np.isfinite(Sigma).all() and np.isfinite(centre).all()):
        raise not_supported("plane-undetermined", first=x.attrs["term"], second=y.attrs["term"])
    few = len(x) <= MANY
    rings = [ellipse(centre, Sigma, level) for level in sorted(levels)]
    with sheet(options, "shrinkage_plane") as page:
        axes = page.axes(NARROW_MM if page.is_narrow else HEIGHT_MM)
        if isinstance(source, PosteriorFit):
            _posterior_marks(axes, source, x, y=y, levels=levels, draws_of=draws_of)
        for number, ring in enumerate(rings):
            style = STYLES[min(number, len(STYLES) - 1)]
            axes.plot(*ring, color=now().soft, linewidth=1.0, linestyle=style, zorder=2)
        _arrows(axes, own, kept, heads=few)
        _marks(axes, own, kept, unknown=_unknown(x, y), table=table, few=few, page=page)
        cross: dict[str, Any] = {"ms": 10 if page.is_narrow else 15, "mew": 2, "zorder": 6}
        axes.plot(*centre[:, None], "+", color=now().ink, label="population", **cross)
        _frame(axes, np.concatenate([own, kept, centre[None], *(ring.T for ring in rings)]))
        axes.set_xlabel(shared.term_label(source, x.attrs["term"], page))
        axes.set_ylabel(shared.term_label(source, y.attrs["term"], page))
        page.legend()
        page.settle()
        places = np.concatenate([own, kept, (own + kept) / 2])
        shares: list[FloatArray] = []
        for ring, level in zip(rings, sorted(levels), strict=True):
            shares.append(_name_ring(axes, ring, level, points=places, written=shares))
        if few if names is None else names:
            shown = shared.names_beside(page, list(x.index))
            size = shared.NAME * letter_size()
            left_out = place_names(
                axes, own, shown, letter=size, away_from=kept, distances=DISTANCES, written=shares
            )
            if left_out:
                page.note(f"{len(x) - left_out} of {len(x)} levels are named.")
        describe(axes, _words(table, x, y))
    return page.figure, axes


def _two_terms(
    table: ShrinkageTable, group: str | None, terms: Sequence[str] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    first = shared.rows_of(table, group, None)
    assert table.details is not None
    known = table.details.factors[first.attrs["group"]].terms
    if len(known) < 2:
        raise OptionError(
            f"A plane needs two terms; {first.attrs['group']!r} has only {known[0]!r}. "
            "hb.plot.shrinkage_slopegraph draws one."
        )
    chosen = tuple(known[:2] if terms is None else terms)
    if len(chosen) != 2 or isinstance(terms, str) or chosen[0] == chosen[1]:
        raise OptionError(f"terms={shown(terms)} must name two different terms, for x and for y.")
    x, y = (shared.rows_of(table, first.attrs["group"], term) for term in chosen)
    return x, y


def _points(x: pd.DataFrame, y: pd.DataFrame, column: str) -> FloatArray:
    return np.column_stack([x[column], y[column]]).astype(np.float64)


def _unknown(x: pd.DataFrame, y: pd.DataFrame) -> BoolArray:
    """Levels whose own rows do not determine both coefficients."""
    return np.asarray(np.isinf(x["unpenalised_se"]) | np.isinf(y["unpenalised_se"]))


def _covariance(table: ShrinkageTable, x: pd.DataFrame, y: pd.DataFrame) -> FloatArray:
    assert table.details is not None
    factor = table.details.factors[x.attrs["group"]]
    at = [factor.terms.index(rows.attrs["term"]) for rows in (x, y)]
    return factor.covariance[np.ix_(at, at)]


def _posterior_marks(
    ax: "Axes",
    fit: PosteriorFit,
    x: pd.DataFrame,
    *,
    y: pd.DataFrame,
    levels: Sequence[float],
    draws_of: Sequence[Any],
) -> None:
    """Credible band of the innermost ellipse, and draws of the coefficients of some levels."""
    group, terms = x.attrs["group"], (x.attrs["term"], y.attrs["term"])
    position = [f.name for f in fit.design.factors].index(group)
    factor = fit.design.factors[position]
    columns = effect_labels(fit.design, position)
    at = [columns.index(term) for term in terms]
    if len(levels):
        Sigmas = covariance_draws(fit.draws, group)[:, at][:, :, at]
        centre = np.array([x["population"].iloc[0], y["population"].iloc[0]])
        inner, outer = ellipse_band(centre, Sigmas, min(levels), level=BAND_LEVEL)
        label = f"{100 * BAND_LEVEL:g} % band of the {100 * min(levels):g} % ellipse"
        ax.fill(*outer, color=look("posterior").band, linewidth=0, alpha=0.6, zorder=0, label=label)
        ax.fill(*inner, color=ax.get_facecolor(), linewidth=0, zorder=0)
    beta = fit.draws.beta.reshape(fit.n_draws, -1)
    partners = fixed_partners(fit.design, fit.kept.tolist(), position)
    fixed = [partners[column] for column in at]
    nothing = np.zeros(fit.n_draws)
    centres = np.stack([beta[:, i] if i >= 0 else nothing for i in fixed], axis=1)
    b = fit.draws.b[group].reshape(fit.n_draws, -1, len(factor.columns))
    some = np.linspace(0, fit.n_draws - 1, min(CLOUD, fit.n_draws)).astype(int)
    known = [str(level) for level in x.index]
    for level in draws_of:
        if str(level) not in known:
            raise OptionError(f"draws_of: {group!r} has no level {str(level)!r}.")
        cloud = centres[some] + b[some, known.index(str(level))][:, at]
        style = look("posterior").points(5, alpha=0.6, zorder=1)
        ax.scatter(cloud[:, 0], cloud[:, 1], **style)


def _arrows(ax: "Axes", own: FloatArray, kept: FloatArray, *, heads: bool) -> None:
    from matplotlib.collections import LineCollection

    if not heads:
        lines = LineCollection(
            list(np.stack([own, kept], axis=1)), colors=now().soft, linewidths=0.4
        )
        ax.add_collection(lines)
        return
    style = {
        "arrowstyle": "-|>,head_width=0.16,head_length=0.32",
        "color": now().soft,
        "linewidth": 1.0,
    }
    for start, end in zip(own, kept, strict=True):
        ax.annotate(
            "",
            xy=tuple(end),
            xytext=tuple(start),
            arrowprops={**style, "shrinkA": 2.5, "shrinkB": 2.5},
            zorder=3,
        )


def _marks(
    ax: "Axes",
    own: FloatArray,
    kept: FloatArray,
    *,
    unknown: BoolArray,
    table: ShrinkageTable,
    few: bool,
    page: Sheet,
) -> None:
    assert table.details is not None
    size = (14.0 if page.is_narrow else 26.0) if few else 5.0
    hollow: dict[str, Any] = {"facecolors": now().paper, "edgecolors": now().soft, "zorder": 4}
    hollow["linewidths"] = 1.1 if few else 0.5
    known = own[~unknown]
    if known.size:
        ax.scatter(known[:, 0], known[:, 1], s=size, label="without shrinkage", **hollow)
    if unknown.any():
        label = "own rows too few" if table.details.is_linear else "no finite own estimate"
        ax.scatter(own[unknown, 0], own[unknown, 1], s=size, marker="s", label=label, **hollow)
    label = shared.ESTIMATOR[table.details.method]
    style = look(table.details.method).points(size, zorder=5)
    ax.scatter(kept[:, 0], kept[:, 1], label=label, **style)


def _frame(ax: "Axes", points: FloatArray) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    room = REACH * np.where(high > low, high - low, 1.0)
    ax.set_xlim(low[0] - room[0], high[0] + room[0])
    ax.set_ylim(low[1] - room[1], high[1] + room[1])


def _name_ring(
    ax: "Axes",
    ring: FloatArray,
    level: float,
    *,
    points: FloatArray,
    written: Sequence[FloatArray],
) -> FloatArray:
    """Write the share on an ellipse, where it is farthest from all points; return that place.

    Never where another share is written already.
    """
    places = ax.transData.transform(ring.T[::4])
    others = ax.transData.transform(points)
    apart = np.sqrt(((places[:, None] - others) ** 2).sum(axis=2)).min(axis=1)
    size = shared.NAME * letter_size() * ax.figure.dpi / 72
    for other in written:
        beside = np.abs(places - ax.transData.transform(other)) < size * np.array([3.5, 1.6])
        apart = np.where(beside.all(axis=1), -1.0, apart)
    best = ring.T[::4][int(apart.argmax())]
    ax.annotate(
        f"{100 * level:g} %",
        xy=tuple(best),
        ha="center",
        va="center",
        fontsize=shared.NAME * letter_size(),
        color=now().soft,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": now().paper, "edgecolor": "none"},
        zorder=6,
    ).set_in_layout(False)
    return np.asarray(best)


def _words(table: ShrinkageTable, x: pd.DataFrame, y: pd.DataFrame) -> str:
    assert table.details is not None
    Sigma = _covariance(table, x, y)
    sds = np.sqrt(np.diag(Sigma))
    step = _points(x, y, "unpenalised") - _points(x, y, "coefficient")
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.sqrt(((step / sds) ** 2).sum(axis=1))
        corr = Sigma[0, 1] / (sds[0] * sds[1])
    farthest = x.index[int(np.nan_to_num(moved).argmax())]
    correlation = f"correlation {corr:.2f}" if np.isfinite(corr) else "no correlation"
    centre = f"({x['population'].iloc[0]:.4g}, {y['population'].iloc[0]:.4g})"
    return (
        f"{len(x)} levels of {x.attrs['group']} in the plane of {x.attrs['term']} and "
        f"{y.attrs['term']}. An arrow leads from each level's estimate without shrinkage to its "
        f"{shared.ESTIMATOR[table.details.method]} estimate, towards the population at {centre}; "
        f"level "
        f"{farthest} moves farthest. Between-level sds are {sds[0]:.3g} and {sds[1]:.3g}, "
        f"{correlation}."
    )
