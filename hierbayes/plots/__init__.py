"""Pictures: a table in, figure and axes out. matplotlib is imported when one is drawn."""

from typing import NoReturn

from hierbayes.errors import UnknownNameError
from hierbayes.plots.alt_text import alt_text
from hierbayes.plots.autocorrelation import autocorrelation
from hierbayes.plots.boundary import boundary
from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.chains import chains
from hierbayes.plots.check import check
from hierbayes.plots.compare import compare
from hierbayes.plots.distributions import bootstrap, null_distribution
from hierbayes.plots.effects import effects
from hierbayes.plots.estimates import estimates
from hierbayes.plots.influence import influence
from hierbayes.plots.intervals import intervals
from hierbayes.plots.likelihood_surface import likelihood_surface
from hierbayes.plots.loo import loo
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.palette import theme
from hierbayes.plots.power import power
from hierbayes.plots.predictive import ppc, prior_predictive
from hierbayes.plots.prior_posterior import prior_posterior
from hierbayes.plots.profile import profile
from hierbayes.plots.psychometric import psychometric
from hierbayes.plots.ranef_qq import ranef_qq
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals
from hierbayes.plots.sensitivity import sensitivity
from hierbayes.plots.shrinkage_lines import shrinkage_lines
from hierbayes.plots.shrinkage_plane import shrinkage_plane
from hierbayes.plots.shrinkage_reliability import shrinkage_reliability
from hierbayes.plots.shrinkage_slopegraph import shrinkage_slopegraph
from hierbayes.plots.simulations import simulations
from hierbayes.plots.tau_path import tau_path
from hierbayes.wording import did_you_mean

__all__ = [
    "alt_text",
    "autocorrelation",
    "bootstrap",
    "boundary",
    "caterpillar",
    "chains",
    "check",
    "compare",
    "data",
    "effects",
    "estimates",
    "influence",
    "intervals",
    "likelihood_surface",
    "loo",
    "null_distribution",
    "power",
    "ppc",
    "prior_posterior",
    "prior_predictive",
    "profile",
    "psychometric",
    "qq",
    "ranef_qq",
    "residuals",
    "sensitivity",
    "shrinkage_lines",
    "shrinkage_plane",
    "shrinkage_reliability",
    "shrinkage_slopegraph",
    "simulations",
    "tau_path",
    "theme",
]


def __getattr__(name: str) -> NoReturn:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise UnknownNameError(f"hb.plot has no {name!r}{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
