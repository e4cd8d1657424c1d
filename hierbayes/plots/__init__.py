"""Pictures: a table in, figure and axes out. matplotlib is imported when one is drawn."""

from hierbayes.plots.alt_text import alt_text
from hierbayes.plots.boundary import boundary
from hierbayes.plots.caterpillar import caterpillar
from hierbayes.plots.intervals import intervals
from hierbayes.plots.likelihood_surface import likelihood_surface
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.profile import profile
from hierbayes.plots.ranef_qq import ranef_qq
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals

__all__ = [
    "alt_text",
    "boundary",
    "caterpillar",
    "data",
    "intervals",
    "likelihood_surface",
    "profile",
    "qq",
    "ranef_qq",
    "residuals",
]
