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


def residual_rows(
    found: DesignResiduals, values: FloatArray, sigma: FloatArray
) -> tuple[ResidualRow, ...]:
    """Return what the residuals have beside sigma: sds of strata or coefficients, correlations.

    Parameters
    ----------
    found : structure of the residuals
    values : array, shape (S, d), its parameters, an estimate or draws, which are averaged
    sigma : array, shape (S,), the sd of the reference
    """
    G, mean = found.structure.n_spreads, values.mean(axis=0)
    sds = [
        ResidualRow("Residual", label, float((ratio * sigma).mean()), True, f"sd__{label}")
        for label, ratio in strata(found, values)
        if label != REFERENCE
    ]
    if not sds:
        names = [name.removeprefix("sigma_") for name in found.names[:G]]
        sds = [
            ResidualRow("Residual", f"log sd: {name}", float(value), False, f"{SIGMA}__{name}")
            for name, value in zip(names, mean[:G], strict=True)
        ]
    pairs = [
        (name.partition("|"), float(v)) for name, v in zip(found.names[G:], mean[G:], strict=True)
    ]
    correlations = [
        ResidualRow(group, what.removeprefix("cor_"), value, False, what.replace("_", "__", 1))
        for (what, _, group), value in pairs
    ]
    return (*sds, *correlations)


def strata(found: DesignResiduals, values: FloatArray) -> list[tuple[str, FloatArray]]:
    """Return labels of the strata and their sds (S,) over that of the reference, if there are such.

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
    ratios = np.exp(spread.D[order] @ (values[:, :G] * found.scale).T)
    return list(zip(labels, ratios, strict=True))
