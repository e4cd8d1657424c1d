"""Residual sds that go to zero: of rows that the effects reproduce, so that any small sd will do.

There the log sd of a stratum, or of a visit, has no optimum: the criterion falls towards a limit
as its square, and its digits are lost on the way, as rows of a tiny sd weigh ever more. Such an sd
is held at a part of the largest, ``HELD``, where the criterion is within about a thousandth of
the limit and has its digits; all other parameters are searched beside it, and what is said of them
takes it for known.
"""

from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import BoolArray, FloatArray, record
from hierbayes.gaussian.covariance import CovarianceShape
from hierbayes.gaussian.residual.of_design import DesignResiduals
from hierbayes.gaussian.residual.products import ResidualStructure
from hierbayes.results.finding import Finding

HELD = 5.0  # of the log of an sd, below the largest
SD_AT_ZERO = "residual_sd_at_zero"
SAME = 1e-9  # of logs of sds, by rounding


@record(kw_only=False)
class HeldSds:
    """Small sds of a structure that are held at a part of the largest.

    Attributes
    ----------
    places : which of the structure's distinct sds
    gammas : array, shape (G,), with which they are there and all other sds where they were
    log_reference : what that adds to the log of the sd of which all are parts
    basis : array, shape (G, G - c), the ways that gammas may go from there
    """

    places: tuple[int, ...]
    gammas: FloatArray
    log_reference: float
    basis: FloatArray


def held_sds(
    structure: ResidualStructure,
    phi: FloatArray,
    *,
    least: float = HELD - SAME,
    held: float = HELD,
) -> HeldSds | None:
    """Return the sds that are ``least`` or more below the largest, as they are ``held`` below it.

    None where there are none, or where an sd has no parameter of its own.
    """
    D, G = structure.spread.D, structure.n_spreads
    if not G or D.shape[0] != G + 1:
        return None
    log_sds = D @ phi[:G]
    largest = int(np.argmax(log_sds))
    places = np.flatnonzero(log_sds <= log_sds[largest] - least)
    if not places.size:
        return None
    log_sds[places] = log_sds[largest] - held
    columns = np.column_stack([np.ones(G + 1), D])
    log_reference, *gammas = np.linalg.solve(columns, log_sds)
    _, _, ways = np.linalg.svd(D[places] - D[largest])
    return HeldSds(
        tuple(places.tolist()), np.array(gammas), float(log_reference), ways[places.size :].T
    )


def are_scaled(shape: CovarianceShape) -> BoolArray:
    """Which of theta (k,) are in units of the residual sd."""
    found = shape.is_diagonal.copy()
    for at, _, _ in shape.factor_entries:
        found[at] = True
    return found


def fading_findings(residuals: DesignResiduals, places: Sequence[int]) -> tuple[Finding, ...]:
    """Say which sds go to zero."""
    D, findings = residuals.structure.spread.D, []
    for place in places:
        name = next((residuals.names[i] for i in np.flatnonzero(D[place]).tolist()), "")
        rows = f"rows with {name}" if name else "the reference rows (sigma)"
        findings.append(
            Finding(
                SD_AT_ZERO,
                f"The residual sd of {rows} goes to zero; it is held at {np.exp(-HELD):.2%} of "
                "the largest.",
                "The effects reproduce these rows, and smaller sds are as likely: use fewer "
                "effects or fewer strata.",
                {"parameter": name or "sigma", "rows": rows},
            )
        )
    return tuple(findings)
