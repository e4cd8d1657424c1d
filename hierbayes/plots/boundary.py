"""One sd near zero: its profile likelihood, its prior and its posterior in one panel."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.picture import picture
from hierbayes.plots.style import BAND, INK, LINE, REFERENCE, SOFT, drawing, figure_of, is_narrow
from hierbayes.results.density import density
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.profile_result import ProfileResult
from hierbayes.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_MM, HEIGHT_MM = 120.0, 85.0
GRID = 400
TOP = 1.15  # of the axis, where every curve has height 1 at most
REACH = 1.6  # the axis ends here, in upper quantiles of the posterior
UPPER = 0.98


@picture
def boundary(
    profile: ProfileResult,
    posterior: PosteriorFit,
    *,
    parameter: str | None = None,
    ax: "Axes | None" = None,
) -> "tuple[Any, Axes]":
    """Draw what likelihood, prior and posterior say about one sd, zero included.

    Where the likelihood is highest at zero, that is the estimate of ML; the posterior averages
    over all sds that the data do not rule out. Likelihood and posterior have height 1 where they
    are highest; the prior is drawn on the posterior's scale.

    Parameters
    ----------
    profile : ProfileResult
        ``hb.profile(fit)`` of the same model.
    posterior : PosteriorFit
    parameter : lme4's name of an sd, for example ``"sd_(Intercept)|Batch"``; the first unless said
    ax : matplotlib axes to draw into

    Returns
    -------
    figure, axes
        Profile likelihood, posterior and prior of the sd, from zero on.

    Raises
    ------
    OptionError
        If the profile has no such sd, or the posterior not that of the same model.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> fit, post = model.fit(), model.sample(random_seed=1)
    >>> figure, ax = hb.plot.boundary(hb.profile(fit), post)
    >>> ax.get_xlabel()
    'sd_(Intercept)|Batch'
    """
    _check(profile, posterior)
    sds = [name for name in profile.names if name.startswith("sd_")]
    name = parameter or (sds[0] if sds else "")
    if name not in sds:
        known = ", ".join(map(repr, sds)) or "none"
        raise OptionError(f"parameter={shown(parameter)} is not a profiled sd; there is {known}.")
    draws, prior = _of_posterior(posterior, name)
    smooth = density(draws, lower=0.0)
    top = REACH * float(np.quantile(draws, UPPER))
    grid = np.linspace(0.0, top, GRID)
    rows = profile.to_frame()
    rows = rows.loc[rows["parameter"] == name]
    value, zeta = rows["value"].to_numpy(), rows["zeta"].to_numpy()
    inside = (grid >= value[0]) & (grid <= value[-1])
    likelihood = np.exp(-0.5 * np.interp(grid[inside], value, zeta) ** 2)
    with np.errstate(divide="ignore"):
        law = np.exp(np.asarray(prior.log_density(grid), dtype=float)) / smooth.height.max()
    estimate = float(profile.estimates[profile.names.index(name)])
    with drawing(ax):
        figure, axes = figure_of(ax, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        height = smooth.height / smooth.height.max()
        axes.fill_between(smooth.x, height, color=BAND, linewidth=0, label="posterior")
        axes.plot(grid[inside], likelihood, **LINE, label="profile likelihood")
        axes.plot(grid, law, color=SOFT, linewidth=1.4, linestyle=(0, (1.5, 1.2)), label="prior")
        axes.plot([draws.mean()], [0.03], "s", color=INK, markersize=5, label="posterior mean")
        axes.plot(
            [estimate],
            [0.03],
            "o",
            markerfacecolor="white",
            markeredgecolor=INK,
            markersize=6,
            label="ML estimate",
            clip_on=False,
            zorder=5,
        )
        axes.axvline(0.0, **(REFERENCE | {"linestyle": "-"}))
        axes.set_xlim(-0.02 * top, top)
        axes.set_ylim(0.0, TOP)
        axes.set_yticks([])
        axes.set_xlabel(name)
        axes.set_ylabel("relative height")
        axes.legend(
            frameon=False,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2 if is_narrow(axes) else 3,
            fontsize="small",
        )
        near_zero = 100 * float((draws < 0.1 * draws.mean()).mean())
        describe(
            axes,
            f"Profile likelihood, prior and posterior of {name}: ML estimate {estimate:.4g}, "
            f"posterior mean {draws.mean():.4g}; {near_zero:.2g} % of the posterior lie "
            "below a tenth of its mean.",
        )
    return figure, axes


def _check(profile: ProfileResult, posterior: PosteriorFit) -> None:
    if not isinstance(profile, ProfileResult):
        raise OptionError(f"boundary takes hb.profile(fit) first; it got {type(profile).__name__}.")
    if not isinstance(posterior, PosteriorFit):
        raise OptionError(
            f"boundary takes a posterior (Model.sample()) second; it got "
            f"{type(posterior).__name__}."
        )


def _of_posterior(posterior: PosteriorFit, name: str) -> tuple[Any, Any]:
    """Draws (S,) and prior of an sd by lme4's name."""
    for parameter in interval_parameters(posterior):
        if parameter.kind == "sd" and parameter.name == name:
            term = posterior.design.terms[parameter.term]
            at = term.columns[parameter.row]
            group = posterior.design.factors[term.factor].name
            draws = posterior.draws.sd[group][:, :, at].ravel()
            return draws, posterior.priors.sd[term.factor][at]
    raise OptionError(f"The posterior has no {name}; take both from the same model.")
