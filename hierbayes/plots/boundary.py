"""One sd near zero: its profile likelihood, its prior and its posterior in one panel."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hierbayes.errors import OptionError
from hierbayes.plots.alt_text import describe
from hierbayes.plots.needed import kind_of, posterior_for, profile_for
from hierbayes.plots.palette import look, reference
from hierbayes.plots.picture import picture
from hierbayes.plots.sheet import Options, sheet
from hierbayes.results.density import density
from hierbayes.results.fit import Fit
from hierbayes.results.interval_parameters import interval_parameters
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.profile_result import ProfileResult
from hierbayes.wording import meant, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_MM = 62.0
GRID = 400
TOP = 1.15  # of the axis, where every curve has height 1 at most
REACH = 1.6  # the axis ends here, in upper quantiles of the posterior
UPPER = 0.98


@picture
def boundary(
    profile: ProfileResult | Fit,
    posterior: PosteriorFit | None = None,
    *,
    parameter: str | None = None,
    **options: Unpack[Options],
) -> "tuple[Any, Axes]":
    """Draw what likelihood, prior and posterior say about one sd, zero included.

    Where the likelihood is highest at zero, that is the estimate of ML; the posterior averages
    over all sds that the data do not rule out. Likelihood and posterior have height 1 where they
    are highest; the prior is drawn on the posterior's scale.

    Parameters
    ----------
    profile : ProfileResult of ``hb.profile(fit)``, or a fit, which is then profiled
    posterior : PosteriorFit
        Of the same model; that of the fit, which is then sampled, unless given.
    parameter : name of an sd, for example ``"sd_(Intercept)|Batch"``; the first unless said

    Returns
    -------
    figure, axes
        Profile likelihood, posterior and prior of the sd, from zero on. ``labels`` is that of the
        sd.

    Raises
    ------
    OptionError
        If the profile has no such sd, or the posterior not that of the same model.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> figure, ax = hb.plot.boundary(model.fit(), model.sample(random_seed=1))
    >>> ax.get_xlabel()
    'sd_(Intercept)|Batch'
    """
    posterior = _posterior(profile, posterior)
    found = profile_for(profile, "boundary")
    name = _sd(found, posterior, parameter)
    draws, prior = _of_posterior(posterior, name)
    smooth = density(draws, lower=0.0)
    top = REACH * float(np.quantile(draws, UPPER))
    grid = np.linspace(0.0, top, GRID)
    rows = found.to_frame()
    rows = rows.loc[rows["parameter"] == name]
    value, zeta = rows["value"].to_numpy(), rows["zeta"].to_numpy()
    inside = (grid >= value[0]) & (grid <= value[-1])
    likelihood = np.exp(-0.5 * np.interp(grid[inside], value, zeta) ** 2)
    with np.errstate(divide="ignore"):
        law = np.exp(np.asarray(prior.log_density(grid), dtype=float)) / smooth.height.max()
    estimate = float(found.estimates[found.names.index(name)])
    with sheet(options, "boundary") as page:
        axes = page.axes(HEIGHT_MM)
        height = smooth.height / smooth.height.max()
        after, likely = look("posterior"), look("ml")
        axes.fill_between(smooth.x, height, **after.filled(label="posterior"))
        axes.plot(smooth.x, height, **after.line(linestyle="-", linewidth=0.9))
        axes.plot(grid[inside], likelihood, label="profile likelihood", **likely.line())
        axes.plot(grid, law, label="prior", **look("prior").line())
        axes.plot([draws.mean()], [0.03], label="posterior mean", **after.mark(5))
        axes.plot([estimate], [0.03], label="ML estimate", clip_on=False, **likely.mark(6))
        axes.axvline(0.0, **reference(linestyle="-"))
        axes.set_xlim(-0.02 * top, top)
        axes.set_ylim(0.0, TOP)
        axes.set_yticks([])
        axes.set_xlabel(page.label(name))
        axes.set_ylabel("relative height")
        page.legend()
        near_zero = 100 * float((draws < 0.1 * draws.mean()).mean())
        describe(
            axes,
            f"Profile likelihood, prior and posterior of {name}: ML estimate {estimate:.4g}, "
            f"posterior mean {draws.mean():.4g}; {near_zero:.2g} % of the posterior lie "
            "below a tenth of its mean.",
        )
    return page.figure, axes


def _posterior(profile: ProfileResult | Fit, posterior: PosteriorFit | None) -> PosteriorFit:
    """Return the posterior given, or that of the fit given."""
    if isinstance(posterior, PosteriorFit):
        return posterior
    if posterior is None and isinstance(profile, Fit):
        return posterior_for(profile)
    if posterior is None and isinstance(profile, ProfileResult):
        raise OptionError(
            "boundary(profile) needs the posterior, Model.sample(), second; boundary(fit) makes "
            "both."
        )
    if posterior is None:
        raise OptionError(
            f"boundary takes a fit, or hb.profile(fit) and a posterior; it got {kind_of(profile)}."
        )
    raise OptionError(
        f"boundary takes a posterior (Model.sample()) second; it got {kind_of(posterior)}."
    )


def _sd(profile: ProfileResult, posterior: PosteriorFit, parameter: str | None) -> str:
    """Return lme4's name of an sd that was named in any spelling."""
    sds = [name for name in profile.names if name.startswith("sd_")]
    if parameter is None and sds:
        return sds[0]
    for known in interval_parameters(posterior):
        if known.name in sds and parameter in (known.name, *known.spellings):
            return known.name
    there = ", ".join(map(repr, sds)) or "none"
    raise OptionError(
        f"parameter={shown(parameter)} is not a profiled sd; there is {there}"
        f"{meant(parameter, tuple(sds))}"
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
