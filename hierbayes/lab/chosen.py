"""Shrinkage at sds that were chosen, not estimated: the sliders of the unlocked lab.

    theta = chol(Sigma) / sigma,

with the fixed effects and conditional modes that go with it. What is not chosen is REML's.
"""

from dataclasses import replace

import numpy as np

from hierbayes.arrays import FloatArray
from hierbayes.errors import OptionError
from hierbayes.gaussian.marginal import at_sigma
from hierbayes.lab.state import LabState
from hierbayes.likelihood.fitting import at_theta
from hierbayes.likelihood.lmm import singular_terms
from hierbayes.results.linear_fit import LinearFit

MOST_TERMS = 2  # that are looked at: a plane has two axes


def chosen_fit(reml: LinearFit, state: LabState, position: int) -> LinearFit:
    """Return the model at sds, correlation and sigma that the reader chose.

    What is not chosen is REML's; other factors keep their REML sds. Its fixed effects, modes and
    criterion are those at these variances. No search ended there, so it has not converged.
    """
    known = reml.design.known_sd is not None
    sigma = reml.sigma if known or state.sigma is None else state.sigma
    shape = reml.kernel.shape
    Lambdas = [root[None] / sigma for root in chosen_roots(reml, state, position)]
    theta = shape.pack(Lambdas)[0]
    fit = at_theta(
        reml.spec,
        "reml",
        theta,
        response=reml.design.y,
        converged=False,
        is_singular=bool(singular_terms(shape, shape.unpack(reml.kernel.in_basis(theta)[None]))),
        findings=(),
    )
    at = fit.at if known else at_sigma(fit.kernel, fit.at, sigma)
    return replace(fit, at=at, sigma=sigma, criterion=float(at.criterion[0]))


def chosen_roots(reml: LinearFit, state: LabState, position: int) -> tuple[FloatArray, ...]:
    """Return of each factor a root of Var(b), (q, q) in response units: chosen, or REML's."""
    roots = [reml.sigma * Lambda[0] for Lambda in _estimated(reml)]
    sds, cor = chosen_sds(reml, state, position)
    if len(sds) == 1:
        roots[position] = np.array([[sds[0]]])
    else:
        roots[position] = np.array([[sds[0], 0.0], [cor * sds[1], np.sqrt(1 - cor**2) * sds[1]]])
    return tuple(roots)


def chosen_sds(reml: LinearFit, state: LabState, position: int) -> tuple[tuple[float, ...], float]:
    """Return sds and correlation of the terms looked at: the reader's, REML's where not given."""
    factor = reml.design.factors[position]
    if len(factor.columns) > MOST_TERMS:
        raise OptionError(
            f"{factor.name} has {len(factor.columns)} terms; the lab takes sds of your own for "
            f"factors with at most {MOST_TERMS}. Lock the sds to their REML values again."
        )
    root = reml.sigma * _estimated(reml)[position][0]
    covariance = root @ root.T
    estimated = np.sqrt(np.diag(covariance))
    sds = state.sds if len(state.sds) == estimated.size else tuple(estimated.tolist())
    if estimated.size == 1 or not is_correlated(reml, position):
        return sds, 0.0
    both = float(estimated.prod())
    cor = float(covariance[0, 1] / both) if both > 0 else 0.0
    return sds, float(np.clip(cor if state.cor is None else state.cor, -1.0, 1.0))


def _estimated(reml: LinearFit) -> list[FloatArray]:
    """Lambda of each factor, (1, q, q), at REML's theta."""
    return reml.kernel.shape.unpack(reml.representative[None])


def is_correlated(fit: LinearFit, position: int) -> bool:
    """Whether the model has a correlation between the two terms looked at."""
    return any(term.factor == position and set(term.columns) >= {0, 1} for term in fit.design.terms)
