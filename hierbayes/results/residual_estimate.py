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


@record
class ResidualQuantity:
    """What residuals have beside sigma, for S sets of parameters.

    Attributes
    ----------
    parameter : its name among parameters; of the sd of a stratum ``sd(stratum|Residual)``
    group, label, is_sd, name : as of ``ResidualRow``
    values : array, shape (S,)
    """

    parameter: str
    group: str
    label: str
    is_sd: bool
    name: str
    values: FloatArray


def reference_sd(sigma: FloatArray) -> ResidualQuantity:
    """Return sigma (S,), the sd of the reference."""
    return ResidualQuantity(
        parameter="sigma",
        group="Residual",
        label="",
        is_sd=True,
        name="sd__Observation",
        values=sigma,
    )


def residual_quantities(
    found: DesignResiduals, values: FloatArray, sigma: FloatArray
) -> tuple[ResidualQuantity, ...]:
    """Return sds of strata, or coefficients of log sds, and correlations.

    Parameters
    ----------
    found : structure of the residuals
    values : array, shape (S, d), its parameters, an estimate or draws
    sigma : array, shape (S,), the sd of the reference
    """
    G = found.structure.n_spreads
    sds = [
        ResidualQuantity(
            parameter=f"sd({label}|Residual)",
            group="Residual",
            label=label,
            is_sd=True,
            name=f"sd__{label}",
            values=ratio * sigma,
        )
        for label, ratio in strata(found, values)
        if label != REFERENCE
    ]
    rest = found.names[G:] if sds else found.names
    for parameter, own in zip(rest, values.T[-len(rest) :] if rest else (), strict=True):
        what, _, group = parameter.partition("|")
        column = parameter.removeprefix("sigma_")
        is_coefficient = not group
        sds.append(
            ResidualQuantity(
                parameter=parameter,
                group=group or "Residual",
                label=f"log sd: {column}" if is_coefficient else what.removeprefix("cor_"),
                is_sd=False,
                name=f"{SIGMA}__{column}" if is_coefficient else what.replace("_", "__", 1),
                values=own,
            )
        )
    return tuple(sds)


def residual_rows(
    found: DesignResiduals, values: FloatArray, sigma: FloatArray
) -> tuple[ResidualRow, ...]:
    """Return ``residual_quantities`` as rows of variance components, draws averaged."""
    return tuple(
        ResidualRow(own.group, own.label, float(own.values.mean()), own.is_sd, own.name)
        for own in residual_quantities(found, values, sigma)
    )


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
