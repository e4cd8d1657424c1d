"""The error of the Laplace approximation, against adaptive quadrature with enough nodes.

With one grouping factor the likelihood is a product over levels of integrals over few dimensions,
which adaptive Gauss-Hermite quadrature gives to any accuracy: nodes are doubled until the
log-likelihood at the fit's estimates settles. The estimates of that likelihood are those of a
fit with these nodes; how far they lie is told in standard errors of the fit's own. Nothing is
random.

Source: Joe (2008), Comput. Stat. Data Anal. 52:5066, on where Laplace is wrong (few binary
observations a level).
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray
from hierbayes.capabilities import not_supported
from hierbayes.generalised.pirls import Mode, at_effects, find_mode
from hierbayes.likelihood.glmm import GlmmOptimum, fit_glmm
from hierbayes.likelihood.laplace import Criterion
from hierbayes.likelihood.level_sums import MOST_COLUMNS
from hierbayes.likelihood.quadrature import Quadrature
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import interval_parameters, parameter_values
from hierbayes.results.laplace_error import LaplaceError

LADDER = (3, 5, 9, 15, 25, 41)  # nodes a column
SETTLED = 1e-3  # of the log-likelihood, from one step of the ladder to the next
# An error matters that moves an estimate by a twentieth of its standard error, or the
# log-likelihood by as much as moves a 95 % limit of a likelihood-ratio test (1.92) visibly.
SHIFT = 0.05
LOGLIK = 0.05
FURTHER = ("sigma", "further")  # kinds of parameters that are those of the family
STEP = 1e-6  # of theta, relative, for the derivative of sds and correlations


def laplace_error(fit: GeneralisedFit) -> LaplaceError:
    """Work out the error of a fit; see ``GeneralisedFit.laplace_error``.

    Raises
    ------
    NotSupportedError
        For several grouping factors, or more than three columns of random effects.
    """
    factors = fit.design.factors
    if len(factors) > 1 or (factors and factors[0].z.shape[1] > MOST_COLUMNS):
        raise not_supported(
            "laplace-error-of-factors",
            factors=len(factors),
            columns=factors[0].z.shape[1],
            most=MOST_COLUMNS,
        )
    own = fit.optimum
    assert isinstance(own, GlmmOptimum)
    if not factors:  # nothing is integrated
        return _told(fit, 0.0, np.zeros(_names(fit).size), fit.n_quadrature, fit.n_quadrature)
    mode = _joint_mode(own)
    values = {n: -_value(mode, n) / 2 for n in LADDER[:1]}
    for before, n in pairwise(LADDER):
        values[n] = -_value(mode, n) / 2
        if abs(values[n] - values[before]) < SETTLED:
            break
    nodes = max(values)
    best = fit_glmm(fit.spec, nodes)
    shifts = _estimates(fit, best) - _estimates(fit, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifts = np.where(shifts == 0, 0.0, shifts / _errors(fit, own))
    error = own.loglik - values[nodes]
    if abs(error) < LOGLIK and not (np.abs(shifts) > SHIFT).any():
        return _told(fit, error, shifts, fit.n_quadrature, nodes)
    enough = min(n for n in values if abs(values[n] - values[nodes]) < LOGLIK / 10)
    return _told(fit, error, shifts, enough, nodes)


def _told(
    fit: GeneralisedFit, error: float, shifts: FloatArray, recommended: int, nodes: int
) -> LaplaceError:
    return LaplaceError(
        loglik=float(error),
        shifts=pd.Series(shifts, index=_names(fit), name="shift"),
        n_quadrature=recommended,
        nodes=nodes,
        own_nodes=fit.n_quadrature,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def _joint_mode(found: GlmmOptimum) -> Mode:
    """Return the mode of the effects at the estimates, beta held."""
    at = found.at.mode
    start = at_effects(
        at.model, at.theta, at.beta, at.phi, [u.copy() for u in at.u], profiled=False, order=3
    )
    return find_mode(start)


def _value(mode: Mode, n_points: int) -> float:
    found: Criterion = Quadrature(mode, n_points=n_points)
    return found.value


def _names(fit: GeneralisedFit) -> pd.Index:
    parameters = [p.name for p in interval_parameters(fit) if p.kind not in FURTHER]
    return pd.Index([*parameters, *fit.dispersion])


def _estimates(fit: GeneralisedFit, found: GlmmOptimum) -> FloatArray:
    """Sds and correlations, fixed effects, further parameters of an optimum."""
    return np.concatenate([_values(fit, found.theta, found.beta), [*found.dispersion.values()]])


def _values(fit: GeneralisedFit, theta: FloatArray, beta: FloatArray) -> FloatArray:
    kept = [parameter.kind not in FURTHER for parameter in interval_parameters(fit)]
    values = parameter_values(fit, theta[None], np.ones(1), beta=beta[None])[0]
    return np.asarray(values[kept])


def _errors(fit: GeneralisedFit, found: GlmmOptimum) -> FloatArray:
    """Return standard errors of the estimates, those of theta carried over by the delta method."""
    p, k = found.beta.size, found.theta.size
    of_theta = slice(p, p + k)
    here = _values(fit, found.theta, found.beta)
    J = np.zeros((here.size - p, k))
    for column in range(k):
        moved = found.theta.copy()
        step = STEP * max(abs(moved[column]), STEP)
        moved[column] += step
        J[:, column] = (_values(fit, moved, found.beta) - here)[: -p or None] / step
    J = np.nan_to_num(J)
    known = np.nan_to_num(found.vcov)
    variances = np.diagonal(known)
    of_sds = np.einsum("ia,ab,ib->i", J, known[of_theta, of_theta], J)
    every = np.concatenate([of_sds, variances[:p], variances[p + k :]])
    return np.sqrt(np.where(every > 0, every, np.nan))
