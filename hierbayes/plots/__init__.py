"""Pictures: a table in, figure and axes out. matplotlib is imported when one is drawn."""

from hierbayes.plots.alt_text import alt_text
from hierbayes.plots.normal_qq import qq
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals

__all__ = ["alt_text", "data", "qq", "residuals"]
