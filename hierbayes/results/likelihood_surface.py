"""The marginal likelihood over two variance parameters of a model."""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.results import verbs
from hierbayes.results.result_table import ResultTable, result_table


@record
class LikelihoodSurface:
    """Rises of the deviance above its minimum over a grid of two parameters.

    Attributes
    ----------
    x_name, y_name : lme4's names of the two parameters
    x, y : arrays, shapes (A,) and (B,), the grid, response units
    ml, reml : arrays, shape (B, A), rise of the deviance and of the REML criterion above their
        lowest values, the other variance parameters at their estimates; of a generalised fit, which
        has no REML criterion, the second is NaN
    ml_estimate, reml_estimate : (x, y) at the estimates
    """

    x_name: str
    y_name: str
    x: FloatArray
    y: FloatArray
    ml: FloatArray
    reml: FloatArray
    ml_estimate: tuple[float, float]
    reml_estimate: tuple[float, float]

    @property
    def has_reml(self) -> bool:
        """Whether there is a REML criterion."""
        return bool(np.isfinite(self.reml_estimate).all() or np.isfinite(self.reml).any())

    def plot(self, **options: Any) -> Any:
        """Draw the surface; the options are those of ``hb.plot.likelihood_surface``.

        Examples
        --------
        >>> import hierbayes as hb
        >>> fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
        >>> figure, axes = hb.likelihood_surface(fit, n=5).plot()
        """
        return verbs.ask(self, "picture", **options)

    def to_frame(self) -> ResultTable:
        """One row a grid point: columns of the two parameters, ``ml`` and ``reml``."""
        X, Y = np.meshgrid(self.x, self.y)
        columns = {self.x_name: X, self.y_name: Y, "ml": self.ml}
        columns |= {"reml": self.reml} if self.has_reml else {}
        raveled = {name: values.ravel() for name, values in columns.items()}
        return result_table(raveled, "likelihood_surface")
