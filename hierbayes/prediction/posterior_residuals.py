"""Residuals of rows to be predicted, in the draws of a posterior whose residuals are correlated.

A row of a series of its own has a residual of mean zero and the sd of its stratum. Of an observed
series the residuals e = y - eta of each draw say what is expected of its own, w'e, and what
variance is left (``gaussian/residual/conditional.py``).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, record
from hierbayes.bayes.predictive import FlatDraws, fitted_predictor, flat_draws
from hierbayes.bayes.residual_draws import ResidualDraws, draw_blocks, residual_draws
from hierbayes.bayes.response import FormulaRows
from hierbayes.design.design import NewRows
from hierbayes.gaussian.residual.conditional import given_observed
from hierbayes.gaussian.residual.root import through_root
from hierbayes.options import ResidualKind
from hierbayes.prediction.residual_rows import ResidualRows, residual_rows_of
from hierbayes.results.posterior_fit import PosteriorFit


@record(kw_only=False)
class Moments:
    """Mean and sd of residuals, arrays (S, rows); the mean None where it is zero."""

    mean: FloatArray | None
    sd: FloatArray


@record
class NewResiduals:
    """Residuals of m rows in S draws.

    Attributes
    ----------
    rows : where the rows are
    draws : of the parameters
    observed : array, shape (S, n), residuals of the rows fitted in units of their sds; None where
        series are new
    random : the random effects of log sigma in the rows; None without
    """

    rows: ResidualRows
    draws: ResidualDraws
    observed: FloatArray | None
    random: FormulaRows | None

    def moments(self, block: slice) -> Moments:
        """Return mean and sd of a block of the rows."""
        phi, G = self.draws.phi, self.draws.found.structure.n_spreads
        sd = np.exp(phi[:, :G] @ self.rows.D[block].T) * self.rows.known[block]
        sd *= self.draws.sigma[:, None]
        if self.random is not None:
            assert self.random.flat is not None
            sd *= self.random.values(self.random.flat, block)
        if self.observed is None:
            return Moments(None, sd)
        mean, placed = np.zeros_like(sd), self.rows.placed(self.rows.known)
        some = placed.take(np.arange(placed.sd.size)[block])
        for part in given_observed(self.draws.found, phi, some):
            own = sd[:, part.rows]
            mean[:, part.rows] = own * (part.weights * self.observed[:, part.beside]).sum(axis=2)
            sd[:, part.rows] = own * np.sqrt(part.variance)
        return Moments(mean, sd)


def structured_mean_residuals(fit: PosteriorFit, kind: ResidualKind) -> FloatArray:
    """Posterior mean of a kind of residuals of every row, (n,), of those with a structure.

    In the units of a REML fit's: "normalized" of sd one, others over relative sds; where sigma has
    a formula, over the sds themselves, as of other posteriors.
    """
    flat = flat_draws(fit.draws, fit.design)
    own, total = residual_draws(fit.spec, flat), np.zeros(fit.nobs)
    for at in draw_blocks(flat.n_draws, fit.nobs):
        eta = fitted_predictor(flat.take(at), fit.design, fit.design.X[:, fit.kept], slice(None))
        e, sd = fit.design.y - eta, own.sds(at)
        if kind == "normalized":
            e = through_root(own.found, own.phi[at], (e / sd)[:, :, None], inverse=True)[:, :, 0]
        elif kind != "working":
            e = e / sd if fit.design.formulas else e / sd * own.sigma[at, None]
        total += e.sum(axis=0)
    return np.asarray(total / flat.n_draws)


def new_residuals(
    fit: PosteriorFit,
    flat: FlatDraws,
    rows: NewRows,
    newdata: Any,
    precisions: FloatArray | None,
    *,
    observed: bool,
    formula: FormulaRows | None,
) -> NewResiduals:
    """Return the residuals of the rows of a prediction; the arguments of ``residual_rows_of``.

    ``formula`` are the rows of a formula of sigma that has random effects.
    """
    own, draws = None, residual_draws(fit.spec, flat)
    placed = residual_rows_of(fit, rows, newdata, precisions, observed=observed)
    if observed:
        eta = fitted_predictor(flat, fit.design, fit.design.X[:, fit.kept], slice(None))
        own = (fit.design.y - eta) / draws.sds()
    return NewResiduals(rows=placed, draws=draws, observed=own, random=_random_only(formula))


def _random_only(formula: FormulaRows | None) -> FormulaRows | None:
    """Return the random effects of a formula of sigma alone; its rest is in ``ResidualRows``."""
    if formula is None or formula.flat is None:
        return None
    none = replace(formula.flat, beta=formula.flat.beta[:, :0])
    return replace(formula, X=formula.X[:, :0], offset=None, flat=none)


def drawn_together(
    rows: ResidualRows, draws: ResidualDraws, formula: FormulaRows | None, rng: np.random.Generator
) -> FloatArray:
    """Draw residuals of new rows with each draw, (S, m), correlated in series of their own."""
    S, m = draws.sigma.size, rows.own.size
    numbers = rng.standard_normal((S, m))
    out = np.array(
        [rows.drawn(phi, z[:, None])[:, 0] for phi, z in zip(draws.phi, numbers, strict=True)]
    )
    out *= draws.sigma[:, None]
    random = _random_only(formula)
    if random is not None and random.flat is not None:
        out *= random.values(random.flat, slice(0, m))
    return out
