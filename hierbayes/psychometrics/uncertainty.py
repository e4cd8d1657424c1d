"""Covariances of what is read off a fit by maximum likelihood, by the delta method.

A quantity g(beta, phi, b_j) with gradients G_beta, G_phi and G_b has, with b_j the modes at the
estimates and C_j their covariance given the parameters,

    Var g = G_b C_j G_b' + L V L',   L = [G_beta + G_b db/dbeta,  G_phi + G_b db/dphi],

where V is the covariance of (beta, phi), H_j = C_j^-1, db/dbeta = -C_j Z_j'W X_j and db/dphi = C_j
times the sum of z_i d^2 log f / d eta d phi. Covariance parameters are taken as known, and so is a
rate whose estimate is zero. Without random effects (or for the population) only V counts.

Source: Moscatelli, Mezzetti & Lacquaniti (2012), J. Vision 12(11):26 (delta method of thresholds);
Booth & Hobert (1998), J. Am. Stat. Assoc. 93:262 (modes).
"""

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.families.observations import checked_observations
from hierbayes.families.psychometric import GUESS, LAPSE, Curve
from hierbayes.psychometrics.lines import Lines
from hierbayes.psychometrics.quantities import Readings
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.once_a_fit import once_a_fit


@record
class Gradients:
    """Gradients of m quantities, one a line (or differences of two of one level).

    Attributes
    ----------
    beta : array, shape (m, p)
    phi : array, shape (m, d), in the order of the fit's further parameters
    b : array, shape (m, q)
    codes : array, shape (m,), level of each, -1 for the population
    """

    beta: FloatArray
    phi: FloatArray
    b: FloatArray
    codes: IntArray

    def times(self, factor: FloatArray) -> "Gradients":
        """Return those of the quantities times numbers (m,)."""
        f = factor[:, None]
        return Gradients(beta=self.beta * f, phi=self.phi * f, b=self.b * f, codes=self.codes)

    def differences(self, second: IntArray, first: IntArray) -> "Gradients":
        """Return those of one quantity minus another, by their places."""
        return Gradients(
            beta=self.beta[second] - self.beta[first],
            phi=self.phi[second] - self.phi[first],
            b=self.b[second] - self.b[first],
            codes=self.codes[second],
        )


def gradients(fit: GeneralisedFit, lines: Lines, found: Readings) -> Gradients:
    """Carry the derivatives in a, s and the rates over to the parameters."""
    curve = curve_of(fit)
    names = list(fit.dispersion)
    phi = np.zeros((found.value.size, len(names)))
    if curve.lapse is None:
        shared = found.in_guess if curve.is_symmetric else 0.0
        phi[:, names.index(LAPSE)] = found.in_lapse + shared
    if curve.guess is None and not curve.is_symmetric:
        phi[:, names.index(GUESS)] = found.in_guess
    a, s = found.in_a[:, None], found.in_s[:, None]
    return Gradients(
        beta=a * lines.start.fixed + s * lines.step.fixed,
        phi=phi,
        b=a * lines.start.random + s * lines.step.random,
        codes=lines.codes,
    )


def curve_of(fit: GeneralisedFit) -> Curve:
    """Return the asymptotes and the stimulus of a psychometric fit."""
    curve = fit.response_family.curve
    assert curve is not None
    return curve


def covariances(fit: GeneralisedFit, one: Gradients, other: Gradients) -> FloatArray:
    """Covariance of each quantity of ``one`` with that of ``other`` in its place, (m,)."""
    V = _parameter_covariance(fit)
    at_one, at_other = _whole(fit, one), _whole(fit, other)
    found = np.einsum("mi,ij,mj->m", at_one, V, at_other)
    known = one.codes >= 0
    if known.any():
        C = fit.mode_covariances[0][one.codes[known]]
        found[known] += np.einsum("mi,mij,mj->m", one.b[known], C, other.b[known])
    return np.asarray(found)


def _whole(fit: GeneralisedFit, of: Gradients) -> FloatArray:
    """L of the module's header, (m, p + d)."""
    whole = np.concatenate([of.beta, of.phi], axis=1)
    known = of.codes >= 0
    if known.any():
        moved = _mode_slopes(fit)[of.codes[known]]
        whole[known] += np.einsum("mq,mqk->mk", of.b[known], moved)
    return whole


def _parameter_covariance(fit: GeneralisedFit) -> FloatArray:
    """Covariance of (beta, phi); zero for what has no standard error because it is at its end."""
    p, d = fit.beta.size, len(fit.dispersion)
    vcov = np.asarray(fit.optimum.vcov)
    at = np.concatenate([np.arange(p), np.arange(vcov.shape[0] - d, vcov.shape[0])])
    V = vcov[np.ix_(at, at)].copy()
    if np.isfinite(V[:p, :p]).all():
        flat = p + np.flatnonzero(np.isnan(np.diagonal(V)[p:]))
        V[flat], V[:, flat] = 0.0, 0.0
    return V


@once_a_fit
def _mode_slopes(fit: GeneralisedFit) -> FloatArray:
    """How the modes move with (beta, phi): (J, q, p + d), of the only grouping factor."""
    (factor,) = fit.design.factors
    X, family = fit.design.X[:, fit.kept], fit.response_family
    y = checked_observations(fit.design, family)[:, 0]
    rows = [-fit.row_curvature[:, None] * X]
    for name in fit.dispersion:
        found = family.derivatives(y, fit.linear_predictor, fit.row_parameters, order=1, of=name)
        slope = found.derivative(1, 1)[:, None]
        rows.append(np.where(np.isfinite(slope), slope, 0.0))
    sums = factor.sums_with(np.concatenate(rows, axis=1))
    return np.asarray(fit.mode_covariances[0] @ sums)
