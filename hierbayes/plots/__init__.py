"""Pictures: a table in, figure and axes out. matplotlib is imported when one is drawn."""

from hierbayes.plots.normal_qq import qq
from hierbayes.plots.raw_data import data
from hierbayes.plots.residual_scatter import residuals

__all__ = ["data", "qq", "residuals"]
