"""Simulated distributions: replicates of a bootstrap, and statistics under the smaller model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.palette import Role, look, now, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.bootstrap_result import BootstrapResult
from hierbayes.results.exact_test import ExactTest
from hierbayes.results.goodness_of_fit import GoodnessOfFit
from hierbayes.results.pb_test import PbTest
from hierbayes.wording import did_you_mean, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PANEL_MM, PANEL_NARROW_MM = 40.0, 32.0
ONE_MM, ONE_NARROW_MM = 65.0, 48.0
LEAST_MM, COLUMNS = 38.0, 4
AROUND_MM = 30.0
TITLE_MM = 14.0  # of the words around a panel
BINS = 30


@picture
def bootstrap(
    found: BootstrapResult,
    parameters: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    **options: Unpack[Options],
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw the replicates of a bootstrap: a histogram a quantity, the estimate, its interval.

    Parameters
    ----------
    found : what ``hb.bootstrap`` returns
    parameters : names of quantities to draw; all unless said
    level : level of the percentile intervals

    Returns
    -------
    figure, axes
        One axes a quantity.

    Examples
    --------
    >>> import hierbayes as hb
    >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, axes = hb.plot.bootstrap(hb.bootstrap(fit, nsim=100, random_seed=1))
    >>> [ax.get_title() for ax in axes]
    ['sd_(Intercept)|Batch', 'sigma', '(Intercept)']
    """
    if not isinstance(found, BootstrapResult):
        raise OptionError(
            f"plot.bootstrap draws what hb.bootstrap(fit) returns; it got {shown(found)}."
        )
    limits = found.confint(level)
    names = list(found.names)
    if parameters is not None:
        chosen = [parameters] if isinstance(parameters, str) else list(parameters)
        for name in chosen:
            if name not in names:
                hint = did_you_mean(str(name), names)
                raise OptionError(f"parameters: {shown(name)} was not bootstrapped{hint}")
        names = chosen
    role: Role = "ml" if found.method == "ml" else "reml"
    with sheet(options, "bootstrap") as page:
        sizes = [float(limits["estimate"][name]) for name in names]
        names = [names[i] for i in page.ordered(names, sizes, usual="data")]
        panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
        columns = max(1, min(COLUMNS, len(names), int(page.width_mm / LEAST_MM)))
        most = columns * page.rows_that_fit(panel + TITLE_MM, AROUND_MM)
        if len(names) > most:
            page.note(f"{most} of {len(names)} quantities, the first in order.")
            names = names[:most]
        axes = page.grid(len(names), columns=columns, panel_mm=panel)
        own, parts = look(role), []
        for ax, name in zip(axes, names, strict=True):
            values = found.replicates[:, found.names.index(name)]
            _histogram(ax, values[np.isfinite(values)], own.band, own.colour)
            estimate, low, high = limits.loc[name].to_numpy(dtype=np.float64)
            ax.axvline(estimate, **own.line(linestyle="-"))
            for limit in (low, high):
                ax.axvline(limit, **reference(zorder=4))
            ax.set_title(page.label(name))
            ax.set_yticks([])
            parts.append(f"{name} {estimate:.4g} ({low:.4g} to {high:.4g})")
        page.note(
            f"{found.nsim} replicates ({found.kind}); line: the estimate; dashed: {100 * level:g} "
            "% percentile interval."
        )
        describe(page.figure, f"{found.nsim} replicates of {'; '.join(parts)}.")
    return page.figure, np.asarray(axes)


@picture
def null_distribution(
    test: PbTest | ExactTest | GoodnessOfFit, **options: Unpack[Options]
) -> "tuple[Figure | SubFigure, np.ndarray[Any, Any]]":
    """Draw a statistic among those simulated under the model that a test supposes.

    Parameters
    ----------
    test : what ``hb.pb_test``, ``hb.exact_lrt`` or ``hb.exact_rlrt`` returns, or the goodness of
        fit of a psychometric function

    Returns
    -------
    figure, axes

    Examples
    --------
    >>> import hierbayes as hb
    >>> large = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    >>> small = large.update("Reaction ~ 1 + (1 | Subject)")
    >>> test = hb.pb_test(small, large, nsim=50, random_seed=1)
    >>> figure, axes = hb.plot.null_distribution(test)
    >>> axes[0].get_xlabel()
    'likelihood-ratio statistic'
    """
    parts = _statistics(test)
    with sheet(options, "null_distribution") as page:
        if len(parts) == 1:
            axes: Any = np.array([page.axes(ONE_NARROW_MM if page.is_narrow else ONE_MM)])
        else:
            panel = PANEL_NARROW_MM if page.is_narrow else PANEL_MM
            axes = page.grid(len(parts), columns=1 if page.is_narrow else 2, panel_mm=panel)
        words = []
        for ax, (name, observed, drawn, p, df) in zip(axes, parts, strict=True):
            _histogram(ax, drawn, now().band, now().soft, density=df is not None)
            if df is not None:
                _chi_squared(ax, df, max(float(drawn.max()), observed))
            ax.axvline(observed, **look("data").line(linewidth=2.2 * now().lines, zorder=4))
            ax.set_xlabel(page.label(name))
            ax.set_yticks([])
            ax.set_title(f"{observed:.4g}, p = {p:.3g}")
            words.append(
                f"{name} {observed:.4g} among {drawn.size} simulated ones (mean "
                f"{drawn.mean():.3g}), p = {p:.3g}"
            )
        curve = "; dashed: chi-squared" if parts[0][4] is not None else ""
        page.note(f"Bars: {parts[0][2].size} simulated statistics; line: the data's{curve}.")
        describe(page.figure, f"{'; '.join(words)}.")
    return page.figure, np.asarray(axes)


Statistic = tuple[str, float, FloatArray, float, float | None]


def _statistics(test: Any) -> list[Statistic]:
    """Return name, observed value, simulated ones, p and df of chi-squared of each statistic."""
    if isinstance(test, PbTest):
        return [
            ("likelihood-ratio statistic", test.statistic, test.reference, test.p_value,
             float(test.df)),
        ]  # fmt: skip
    if isinstance(test, ExactTest):
        kind = "restricted likelihood ratio" if test.method == "reml" else "likelihood ratio"
        return [(kind, test.statistic, test.null, test.p_value, None)]
    if isinstance(test, GoodnessOfFit):
        return [
            ("deviance", test.deviance, test.simulated_deviance, test.p_deviance, None),
            ("dispersion", test.dispersion, test.simulated_dispersion, test.p_dispersion, None),
        ]
    raise OptionError(
        "plot.null_distribution draws what hb.pb_test, hb.exact_lrt or hb.exact_rlrt returns, or a "
        f"goodness of fit; it got {shown(test)}."
    )


def _histogram(
    ax: "Axes", values: FloatArray, face: str, edge: str, *, density: bool = False
) -> None:
    bins = min(BINS, max(np.unique(values).size, 1))
    ax.hist(values, bins=bins, color=face, edgecolor=edge, linewidth=0.5, density=density, zorder=1)


def _chi_squared(ax: "Axes", df: float, high: float) -> None:
    from scipy.stats import chi2

    x = np.linspace(high / 400, 1.02 * high, 400)
    top = ax.get_ylim()[1]
    height = chi2.pdf(x, df)
    ax.plot(x[height <= top], height[height <= top], **reference(zorder=3))
    ax.set_ylim(0.0, top)
