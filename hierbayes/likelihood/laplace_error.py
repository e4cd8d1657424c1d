"""The error of the Laplace approximation, against the exact likelihood.

With one grouping factor the likelihood is a product over levels of integrals over few dimensions,
which adaptive Gauss-Hermite quadrature gives to any accuracy: nodes are doubled until the
log-likelihood at the fit's estimates settles. The estimates of that likelihood are those of a
fit with these nodes; how far they lie is told in standard errors of the fit's own. Nothing is
random.

With several factors such a fit integrates the effects of the finest by quadrature and those of
the others by Laplace. What is left is found at its estimates x by importance sampling
(``importance.py``): the log-likelihood there, and its slope s, which a step vcov s takes to the
estimates of the exact likelihood. At the fit's own estimates what is left is that at x plus s
times the way from x, to second order in a way of a few hundredths of a standard error.

Source: Joe (2008), Comput. Stat. Data Anal. 52:5066, on where Laplace is wrong (few binary
observations a level).
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from hierbayes.arrays import FloatArray, record
from hierbayes.capabilities import not_supported
from hierbayes.generalised.pirls import Mode, at_effects, find_mode
from hierbayes.likelihood.glmm import GlmmOptimum, check_quadrature, fit_glmm, user_jacobian
from hierbayes.likelihood.importance import ExactLikelihood, exact_likelihood
from hierbayes.likelihood.laplace import Criterion
from hierbayes.likelihood.quadrature import Quadrature, is_within_reach
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.interval_parameters import interval_parameters, parameter_values
from hierbayes.results.laplace_error import LaplaceError
from hierbayes.wording import listed

LADDER = (3, 5, 9, 15, 25, 41)  # nodes a column
SETTLED = 1e-3  # of the log-likelihood, from one step of the ladder to the next
# An error matters that moves an estimate by a twentieth of its standard error, or the
# log-likelihood by as much as moves a 95 % limit of a likelihood-ratio test (1.92) visibly.
SHIFT = 0.05
LOGLIK = 0.05
FURTHER = ("sigma", "further")  # kinds of parameters that are those of the family
STEP = 1e-6  # of theta, relative, for the derivative of sds and correlations
# Draws go on until both errors are known this well, and are worth nothing below so many effective
# ones: a standard error of their mean is then itself a guess.
KNOWN = 0.25
FEWEST_EFFECTIVE = 100.0


@record
class _Rest:
    """What quadrature of the finest factor leaves: of one factor nothing.

    Attributes
    ----------
    loglik : log-likelihood by quadrature minus the exact one, at the fit's estimates
    shifts : exact estimates minus those by quadrature
    error, shift_error : standard errors of the first, and the largest of the others in units of
        the estimates' standard errors
    left : the largest of ``shifts`` in those units
    """

    loglik: float
    shifts: FloatArray
    error: float = 0.0
    shift_error: float = 0.0
    left: float = 0.0


def laplace_error(fit: GeneralisedFit) -> LaplaceError:
    """Work out the error of a fit; see ``GeneralisedFit.laplace_error``.

    Raises
    ------
    NotSupportedError
        For more than three columns of random effects of the finest factor, for very many of
        several factors, and where too few draws have all the weight.
    """
    own = fit.optimum
    assert isinstance(own, GlmmOptimum)
    if not fit.design.factors:  # nothing is integrated
        still = np.zeros(_names(fit).size)
        return _told(fit, 0.0, still, fit.n_quadrature, nodes=fit.n_quadrature)
    check_quadrature(fit.spec, LADDER[0])
    values = _ladder(fit, own)
    nodes = max(values)
    best = fit_glmm(fit.spec, nodes)
    errors = _errors(fit, own)
    rest = _rest(fit, best, own, errors)
    shifts = _in_errors(_estimates(fit, best) + rest.shifts - _estimates(fit, own), errors)
    error = own.loglik - values[nodes] + rest.loglik
    if _is_small(error, shifts):
        return _told(fit, error, shifts, fit.n_quadrature, nodes=nodes, rest=rest)
    enough = min(n for n in values if abs(values[n] - values[nodes]) < LOGLIK / 10)
    gain = _in_errors(_estimates(fit, best) - _estimates(fit, own), errors)
    better = enough if not _is_small(own.loglik - values[nodes], gain) else fit.n_quadrature
    return _told(fit, error, shifts, better, nodes=nodes, rest=rest, matters=True)


def _is_small(error: float, shifts: FloatArray) -> bool:
    return abs(error) < LOGLIK and not (np.abs(shifts) > SHIFT).any()


def _ladder(fit: GeneralisedFit, own: GlmmOptimum) -> dict[int, float]:
    """Log-likelihoods at the fit's estimates by numbers of nodes, until they settle."""
    mode, sizes = _joint_mode(own), _sizes(fit)
    values = {n: -_value(mode, n) / 2 for n in LADDER[:1]}
    for before, n in pairwise(LADDER):
        if not is_within_reach(*sizes, n):
            break
        values[n] = -_value(mode, n) / 2
        if abs(values[n] - values[before]) < SETTLED:
            break
    return values


def _sizes(fit: GeneralisedFit) -> tuple[list[int], list[int]]:
    factors = fit.design.factors
    return [f.levels.size for f in factors], [f.z.shape[1] for f in factors]


def _rest(fit: GeneralisedFit, best: GlmmOptimum, own: GlmmOptimum, errors: FloatArray) -> _Rest:
    """Find what quadrature leaves at its own estimates, by importance sampling."""
    at = best.at
    assert isinstance(at, Quadrature)
    if at.coarser is None:
        return _Rest(loglik=0.0, shifts=np.zeros(errors.size))
    known = np.nan_to_num(best.vcov)
    held = np.diagonal(known) == 0
    to_user = np.linalg.inv(user_jacobian(best.at.mode, held))
    here = _estimates(fit, best)

    def moved(score: FloatArray) -> FloatArray:
        """Return the step of the estimates to the maximum that a slope promises."""
        step = known @ (to_user.T @ score)
        p, k, _ = best.model.sizes
        dispersion = np.array([*best.dispersion.values()]) + step[p + k :]
        values = _values(fit, best.theta + step[p : p + k], best.beta + step[:p])
        return np.concatenate([values, dispersion]) - here

    def shift_error(found: ExactLikelihood) -> float:
        each = np.array([_in_errors(moved(spread), errors) for spread in found.spread])
        variances = (each**2).sum(axis=0) / (len(each) - 1)
        return float(np.sqrt(np.nan_to_num(variances).max()))

    def is_enough(found: ExactLikelihood) -> bool:
        return found.error < KNOWN * LOGLIK and shift_error(found) < KNOWN * SHIFT

    found = exact_likelihood(at, is_enough)
    if found.effective < FEWEST_EFFECTIVE:
        raise not_supported(
            "laplace-error-draws", factors=listed([f.name for f in fit.design.factors[1:]])
        )
    way = np.concatenate([own.beta - best.beta, own.theta - best.theta, _phi_way(own, best)])
    way = np.where(held, 0.0, way)
    gap = best.loglik - found.loglik - float((to_user.T @ found.score) @ way)
    shifts = moved(found.score)
    return _Rest(
        loglik=gap,
        shifts=shifts,
        error=found.error,
        shift_error=shift_error(found),
        left=float(np.nan_to_num(np.abs(_in_errors(shifts, errors))).max()),
    )


def _phi_way(own: GlmmOptimum, best: GlmmOptimum) -> FloatArray:
    return np.array([own.dispersion[name] - best.dispersion[name] for name in best.dispersion])


def _in_errors(shifts: FloatArray, errors: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(shifts == 0, 0.0, shifts / errors))


def _told(
    fit: GeneralisedFit,
    error: float,
    shifts: FloatArray,
    recommended: int,
    *,
    nodes: int,
    rest: _Rest | None = None,
    matters: bool = False,
) -> LaplaceError:
    rest = _Rest(loglik=0.0, shifts=np.zeros(0)) if rest is None else rest
    return LaplaceError(
        loglik=float(error),
        loglik_error=rest.error,
        shifts=pd.Series(shifts, index=_names(fit), name="shift"),
        shift_error=rest.shift_error,
        matters=matters,
        n_quadrature=recommended,
        left=float(rest.loglik),
        left_shift=rest.left,
        nodes=nodes,
        own_nodes=fit.n_quadrature,
        coarser=tuple(factor.name for factor in fit.design.factors[1:]),
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
