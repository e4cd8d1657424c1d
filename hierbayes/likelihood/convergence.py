"""Verdicts on a search, in words: on the boundary, not settled.

A fit on the boundary is a finding, not an alarm: the sentence names the term and the direction in
which the random effects do not vary, and the advice gives the remedies. Directions come from the
eigenvectors of the estimated covariance of each term.
"""

import math
from collections.abc import Sequence

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.design.design import Design
from hierbayes.gaussian.covariance import TermCovariance
from hierbayes.gaussian.structures import UNSTRUCTURED
from hierbayes.results.finding import Finding
from hierbayes.wording import listed

# lme4 calls a fit singular when a diagonal entry of its triangle is below 1e-4 residual sds. We
# ask it of the smallest sd over directions of a term whose columns are scaled to unit length, so
# that the answer does not depend on the units of a slope.
SINGULAR = 1e-4
CLEARLY = 2.0  # times what a quick look at a covariance asks: no verdict hangs on its rounding
NEAR_ONE = 1 - 1e-6  # a correlation above this is printed, and meant, as exactly one

POSTERIOR = (
    "The posterior of the same formula, model.sample(), averages over the values the data allow "
    "instead of picking zero."
)


def has_all_directions(root: FloatArray, *, least: float) -> bool:
    """Whether no singular value of a triangle is below ``least``, or that part of the largest.

    A quick look, which may miss it: the smallest is at least |det| over the largest to the q - 1.
    """
    rows = root.tolist()
    size = math.hypot(*(x for row in rows for x in row))
    product = abs(math.prod([row[i] for i, row in enumerate(rows)]))
    return product > CLEARLY * least * max(size, 1.0) ** len(rows)


def is_term_singular(root: FloatArray) -> bool:
    """Whether a relative covariance root (q, q), in columns of unit length, lacks a direction."""
    if root.shape[0] == 1:
        return bool(abs(root[0, 0]) < SINGULAR)
    if has_all_directions(root, least=SINGULAR):
        return False
    return bool(np.linalg.svd(root, compute_uv=False)[-1] < SINGULAR)


def boundary_finding(
    design: Design, position: int, covariance: TermCovariance, *, spread: str = "the residual"
) -> Finding:
    """Return the finding for one covariance term whose estimate is on the boundary.

    ``spread`` is what lets levels differ without any sd between them.
    """
    term = design.terms[position]
    factor = design.factors[term.factor]
    names = [factor.columns[c] for c in term.columns]
    group = factor.name
    zero = [name for name, sd in zip(names, covariance.sd, strict=True) if sd == 0]
    if not zero and len(names) == 1:
        sentence = f"The between-{group} sd is estimated as zero, but for rounding."
        meaning = (
            f"The data show no more variation between levels of {group} than {spread} alone would "
            "give; this is an estimate on the boundary, not an error. "
        )
        remedy = (
            f"You can drop it from {term.label}, or keep it: the other estimates are the same. "
        )
    elif zero:
        which = listed([f"of {name}" for name in zero])
        sentence = f"The between-{group} sd {which} is estimated as exactly zero."
        if zero == ["(Intercept)"]:
            sentence = f"The between-{group} sd is estimated as exactly zero."
        meaning = (
            f"The data show no more variation between levels of {group} than {spread} alone would "
            "give; this is an estimate on the boundary, not an error. "
        )
        remedy = f"You can drop {'it' if len(zero) == 1 else 'them'} from {term.label}, or keep "
        remedy += f"{'it' if len(zero) == 1 else 'them'}: the other estimates are the same. "
    else:
        sentence = _direction_sentence(names, covariance, group)
        meaning, remedy = "This is an estimate on the boundary, not an error. ", ""
        if term.covariance == UNSTRUCTURED:
            meaning = (
                f"{len(names)} sds and their correlation{'s' if len(names) > 2 else ''} are more "
                f"than the {factor.levels.size} levels of {group} can tell apart; this is an "
                "estimate on the boundary, not an error. "
            )
            remedy = (
                f"You can give the columns independent sds, "
                f"({term.label.strip('()').split('|')[0]}|| {group}), or drop a column. "
            )
    sds = {name: float(sd) for name, sd in zip(names, covariance.sd, strict=True)}
    return Finding("boundary", sentence, meaning + remedy + POSTERIOR, {"sd": sds})


def _direction_sentence(names: Sequence[str], covariance: TermCovariance, group: str) -> str:
    """Say which correlation is one, or which combination of effects does not vary."""
    corr = covariance.corr
    for i in range(len(names)):
        for j in range(i):
            if abs(corr[i, j]) > NEAR_ONE:
                sign = "+1" if corr[i, j] > 0 else "-1"
                return (
                    f"The correlation of {names[j]} and {names[i]} between levels of {group} is "
                    f"estimated as exactly {sign}."
                )
    weights = np.linalg.eigh(corr)[1][:, 0]
    weights = weights * np.sign(weights[np.argmax(np.abs(weights))])
    parts = [
        f"{'-' if w < 0 else '+'} {abs(w):.2f} {name}"
        for w, name in zip(weights, names, strict=True)
        if abs(w) >= 0.05
    ]
    return (
        f"One combination of the effects of {group} is estimated not to vary at all "
        f"(in units of their sds: {' '.join(parts).removeprefix('+ ')})."
    )


def no_residual_finding(design: Design, sigma: float) -> Finding:
    """Return the finding for a fit whose residual sd runs to zero beside a structure's own sds."""
    terms = [term for term in design.terms if term.covariance != UNSTRUCTURED]
    labels = listed([term.label for term in terms])
    return Finding(
        "boundary",
        f"The residual sd is estimated as practically zero ({sigma:.1g}).",
        f"Each row has an effect of its own in {labels}, whose variances explain all that the "
        "residuals would, so the likelihood is the higher the smaller these are; all other "
        f"estimates are those without them. {POSTERIOR}",
        {"sigma": sigma},
    )


def suspect_finding(decrement: float, moved: float, restarts: int) -> Finding:
    """Return the finding for a search that did not prove its optimum."""
    return Finding(
        "suspect",
        f"The search for the optimum did not settle: after {restarts} restarts the estimates "
        f"still moved by {moved:.2g} standard errors.",
        "Treat the estimates as approximate; check for a predictor that is nearly constant or "
        "nearly a copy of another, or simplify the random effects.",
        {"decrement": decrement, "moved_in_standard_errors": moved, "restarts": restarts},
    )
