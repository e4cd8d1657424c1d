"""What a fit says of residuals that are correlated or of unequal variance."""

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.gaussian.residual.of_design import SIGMA, DesignResiduals
from hierbayes.results.varcorr import ResidualRow

REFERENCE = "reference"


@record
class ResidualEstimate:
    """Where the search ended.

    Attributes
    ----------
    phi : array, shape (d,), coordinates of ``DesignResiduals``
    """

    phi: FloatArray


def residual_rows(found: DesignResiduals, phi: FloatArray, sigma: float) -> tuple[ResidualRow, ...]:
    """Return what the residuals have beside sigma: sds of strata or coefficients, correlations."""
    values, G = found.values(phi[None])[0], found.structure.n_spreads
    sds = [
        ResidualRow("Residual", label, ratio * sigma, True, f"sd__{label}")
        for label, ratio in strata(found, phi)
        if label != REFERENCE
    ]
    if not sds:
        names = [name.removeprefix("sigma_") for name in found.names[:G]]
        sds = [
            ResidualRow("Residual", f"log sd: {name}", float(value), False, f"{SIGMA}__{name}")
            for name, value in zip(names, values[:G], strict=True)
        ]
    pairs = [
        (name.partition("|"), float(v)) for name, v in zip(found.names[G:], values[G:], strict=True)
    ]
    correlations = [
        ResidualRow(group, what.removeprefix("cor_"), value, False, what.replace("_", "__", 1))
        for (what, _, group), value in pairs
    ]
    return (*sds, *correlations)


def strata(found: DesignResiduals, phi: FloatArray) -> list[tuple[str, float]]:
    """Return labels of the strata and their sds over that of the reference, where there are such.

    A stratum is a combination of levels of the factors in the formula of sigma, and a visit.
    """
    spread, G = found.structure.spread, found.structure.n_spreads
    if not G or not ((spread.D == 0) | (spread.D == 1)).all():
        return []
    names = [name.removeprefix("sigma_") for name in found.names[:G]]
    order = np.lexsort(spread.D.T)
    labels = [
        " ".join(name for name, on in zip(names, row, strict=True) if on) or REFERENCE
        for row in spread.D[order]
    ]
    ratios = np.exp(spread.D[order] @ phi[:G])
    return list(zip(labels, ratios.tolist(), strict=True))
