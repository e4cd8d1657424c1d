"""Blocks of residuals that are correlated or of unequal variance, in a summary."""

from hierbayes.render.blocks import Blocks
from hierbayes.reports.varcorr import residual_blocks
from hierbayes.results.linear_fit import LinearFit


def residual_words(fit: LinearFit) -> str:
    """Say what the residuals of a fit are, ``correlated residuals of unequal variance``."""
    found = fit.spec.residuals
    words = "residuals" if found.series is None else "correlated residuals"
    return f"{words} of unequal variance" if found.structure.n_spreads else words


def residual_structure_blocks(fit: LinearFit, digits: int) -> Blocks:
    """Show strata, coefficients and correlations; nothing of independent residuals of one sd."""
    if fit.residual is None:
        return ()
    given = fit.spec.arguments
    said = [f"sigma {given.sigma.strip()}"] if given.sigma is not None else []
    said += [] if fit.design.residual is None else [fit.design.residual.call]
    head = f"Structure of the residuals: {', '.join(said)}"
    return residual_blocks(fit.varcorr(), digits=digits, head=head)
