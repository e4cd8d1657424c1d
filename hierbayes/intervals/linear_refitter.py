"""The model of a linear fit, fitted to many responses, for bootstraps and tests by simulation."""

from dataclasses import replace

from hierbayes.arrays import FloatArray
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.intervals.determined_part import determined_part
from hierbayes.likelihood.refits import Refits, refit_many
from hierbayes.likelihood.residual_refits import refit_residuals
from hierbayes.results.linear_fit import LinearFit


class LinearRefitter:
    """Fits the model of a fit to many responses.

    Attributes
    ----------
    fit : LinearFit
    products : what makes the products of responses; None where residuals have a structure
    """

    def __init__(self, fit: LinearFit) -> None:
        self.fit = fit
        self.products: ResponseProducts | None = None
        if fit.residual is None:
            part = determined_part(fit)
            self.products = ResponseProducts(part.kernel.products, part.design, fit.weights)

    def refits(self, Y: FloatArray) -> tuple[Refits, FloatArray | None]:
        """Fit it to responses Y (n, T): estimates, and coordinates (T, d) of such residuals."""
        if self.products is None:
            own = refit_residuals(self.fit, Y)
            return own.refits, own.phi
        part, responses = determined_part(self.fit), self.products.of(Y)
        found = refit_many(part.kernel, responses, design=part.design, start=part.at.theta[0])
        return replace(found, theta=part.whole(found.theta)), None
