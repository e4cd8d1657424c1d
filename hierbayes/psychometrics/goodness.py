"""Goodness of fit of a psychometric function: its deviance among those of simulated responses.

Rows with the same predictors and the same level are one cell. The deviance is that of the cells'
numbers of successes from the probabilities of the fit, the dispersion Pearson's statistic over its
degrees of freedom. What they would be if the model held is simulated: of a fit by maximum
likelihood with new random effects, new responses and a new fit each; of a posterior by new
responses of the levels at some of its draws, where the observed ones are compared with the same
draw (posterior predictive p values, which are cautious).

Source: Wichmann & Hill (2001), Percept. Psychophys. 63:1293, section on Monte-Carlo deviances;
Gelman, Meng & Stern (1996), Stat. Sinica 6:733.
"""

from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import fitted_predictor, flat_draws
from hierbayes.errors import OptionError
from hierbayes.families.observations import checked_observations
from hierbayes.options import random_generator
from hierbayes.psychometrics.refits import simulated_refits
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.goodness_of_fit import GoodnessOfFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior
from hierbayes.wording import shown


@record
class _Cells:
    """Which cell a row is in, and the trials of each."""

    of: IntArray
    trials: FloatArray

    def sums(self, rows: FloatArray) -> FloatArray:
        """Sum rows (n,) to cells."""
        return np.bincount(self.of, rows, minlength=self.trials.size)


def goodness_of_fit(
    fit: PsychometricFit | PsychometricPosterior, nsim: Any, random_seed: Any
) -> GoodnessOfFit:
    """Compare a fit with what it would make; see ``Thresholds.goodness_of_fit``."""
    whole = isinstance(nsim, int | np.integer) and not isinstance(nsim, bool)
    if not whole or nsim < 1:
        raise OptionError(f"nsim={shown(nsim)} must be a whole number of at least 1.")
    rng = random_generator(random_seed)
    y, trials = checked_observations(fit.design, fit.response_family).T
    cells = _cells(fit, trials)
    df = cells.trials.size - fit.n_params
    if df < 1:
        raise OptionError(
            f"There are {cells.trials.size} cells of equal predictors for {fit.n_params} "
            "parameters: no degree of freedom is left to judge the fit by."
        )
    if isinstance(fit, PosteriorFit):
        observed, simulated, how = _of_posterior(fit, y, trials, cells, nsim, rng)
    else:
        observed, simulated, how = _of_fit(fit, y, trials, cells, nsim, rng)
    return GoodnessOfFit(
        deviance=float(np.mean(observed[0])),
        dispersion=float(np.mean(observed[1])) / df,
        simulated_deviance=simulated[0],
        simulated_dispersion=simulated[1] / df,
        observed_deviance=observed[0],
        observed_dispersion=observed[1] / df,
        cells=cells.trials.size,
        df=df,
        how=how,
        formula_text=fit.formula_text,
        data_name=fit.data_name,
    )


def _cells(fit: Fit, trials: FloatArray) -> _Cells:
    design = fit.design
    parts = [design.X, *(factor.codes[:, None] for factor in design.factors)]
    parts += [factor.z for factor in design.factors]
    if design.offset is not None:
        parts.append(design.offset[:, None])
    _, of = np.unique(np.concatenate(parts, axis=1), axis=0, return_inverse=True)
    of = of.ravel()
    return _Cells(of=of, trials=np.bincount(of, trials))


def _statistics(
    cells: _Cells, y: FloatArray, trials: FloatArray, psi: FloatArray, wider: FloatArray | float
) -> tuple[float, float]:
    """Deviance of the cells, and Pearson's statistic."""
    k, n = cells.sums(y), cells.trials
    mu = cells.sums(trials * psi)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(k > 0, k * np.log(k / mu), 0.0)
        parts += np.where(n - k > 0, (n - k) * np.log((n - k) / (n - mu)), 0.0)
        variance = cells.sums(trials * psi * (1 - psi) * wider)
        squares = np.where(k == mu, 0.0, (k - mu) ** 2 / variance)
    return 2.0 * float(parts.sum()), float(squares.sum())


def _wider(fit: Fit, trials: FloatArray, at: Any) -> FloatArray | float:
    """Variance of the rows over that of binomial ones."""
    curve = fit.response_family.curve
    assert curve is not None
    if not curve.is_overdispersed:
        return 1.0
    return np.asarray(1.0 + (trials - 1.0) / (at["kappa"] + 1.0))


def _of_fit(
    fit: GeneralisedFit,
    y: FloatArray,
    trials: FloatArray,
    cells: _Cells,
    nsim: int,
    rng: np.random.Generator,
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray], str]:
    family = fit.response_family
    curve = family.curve
    assert curve is not None

    def measured(y: FloatArray, eta: FloatArray, at: Any) -> tuple[float, float]:
        psi = np.asarray(curve.expectation(family.mean(eta), at))
        return _statistics(cells, y, trials, psi, _wider(fit, trials, at))

    observed = measured(y, fit.linear_predictor, dict(fit.dispersion))
    again = simulated_refits(fit, nsim, rng)
    simulated = [
        measured(y, eta, {name: values[t] for name, values in again.further.items()})
        for t, (y, eta) in enumerate(zip(again.Y.T, again.eta.T, strict=True))
    ]
    deviance, dispersion = np.array(simulated).reshape(-1, 2).T
    ones = np.ones(deviance.size)
    how = f"{deviance.size} responses with new random effects, each fitted again"
    return (observed[0] * ones, observed[1] * ones), (deviance, dispersion), how


def _of_posterior(
    fit: PosteriorFit,
    y: FloatArray,
    trials: FloatArray,
    cells: _Cells,
    nsim: int,
    rng: np.random.Generator,
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray], str]:
    family = fit.response_family
    curve = family.curve
    assert curve is not None and family.draw is not None
    flat = flat_draws(fit.draws, fit.design)
    flat = flat.take(rng.choice(flat.n_draws, size=nsim, replace=nsim > flat.n_draws))
    eta = fitted_predictor(flat, fit.design, fit.design.X[:, fit.kept], slice(None))
    at = {name: value[:, None] for name, value in flat.family.items()}
    mu = family.mean(eta)
    psi = np.broadcast_to(curve.expectation(mu, at), eta.shape)
    drawn = family.draw(rng, mu, {**at, "trials": trials})
    rows = []
    for i in range(nsim):
        wider = _wider(fit, trials, {name: value[i] for name, value in at.items()})
        rows.append(
            (
                *_statistics(cells, y, trials, psi[i], wider),
                *_statistics(cells, np.asarray(drawn[i]), trials, psi[i], wider),
            )
        )
    found = np.array(rows).T
    how = f"{nsim} responses of the same levels, each at a draw of the posterior"
    return (found[0], found[1]), (found[2], found[3]), how
