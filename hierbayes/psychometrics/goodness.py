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

from dataclasses import replace
from typing import Any

import numpy as np

from hierbayes.arrays import FloatArray, IntArray, record
from hierbayes.bayes.predictive import fitted_predictor, flat_draws
from hierbayes.errors import OptionError
from hierbayes.families.observations import checked_observations
from hierbayes.options import check_count, random_generator
from hierbayes.psychometrics.refits import simulated_refits
from hierbayes.results.fit import Fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.goodness_of_fit import GoodnessOfFit
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.results.psychometric_fits import PsychometricFit, PsychometricPosterior


@record
class _Cells:
    """Which cell a row is in, and the trials of each."""

    of: IntArray
    trials: FloatArray

    def sums(self, rows: FloatArray) -> FloatArray:
        """Sum rows (n,) to cells."""
        return np.bincount(self.of, rows, minlength=self.trials.size)


@record
class _Rows:
    """Successes and trials (n,), and the cells they fall into."""

    y: FloatArray
    trials: FloatArray
    cells: _Cells


@record
class _Compared:
    """Deviance and Pearson's statistic of S responses, observed and simulated, arrays (2, S)."""

    observed: FloatArray
    simulated: FloatArray
    how: str


def goodness_of_fit(
    fit: PsychometricFit | PsychometricPosterior, nsim: Any, random_seed: Any
) -> GoodnessOfFit:
    """Compare a fit with what it would make; see ``Thresholds.goodness_of_fit``."""
    nsim = check_count("nsim", nsim)
    rng = random_generator(random_seed)
    y, trials = checked_observations(fit.design, fit.response_family).T
    cells = _cells(fit, trials)
    df = cells.trials.size - fit.n_params
    if df < 1:
        raise OptionError(
            f"There are {cells.trials.size} cells of equal predictors for {fit.n_params} "
            "parameters: no degree of freedom is left to judge the fit by."
        )
    rows = _Rows(y=y, trials=trials, cells=cells)
    if isinstance(fit, PosteriorFit):
        found = _of_posterior(fit, rows, nsim, rng)
    else:
        found = _of_fit(fit, rows, nsim, rng)
    return GoodnessOfFit(
        deviance=float(np.mean(found.observed[0])),
        dispersion=float(np.mean(found.observed[1])) / df,
        simulated_deviance=found.simulated[0],
        simulated_dispersion=found.simulated[1] / df,
        observed_deviance=found.observed[0],
        observed_dispersion=found.observed[1] / df,
        cells=cells.trials.size,
        df=df,
        how=found.how,
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


def _statistics(rows: _Rows, psi: FloatArray, wider: FloatArray | float) -> tuple[float, float]:
    """Deviance of the cells, and Pearson's statistic."""
    cells, trials = rows.cells, rows.trials
    k, n = cells.sums(rows.y), cells.trials
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


def _of_fit(fit: GeneralisedFit, rows: _Rows, nsim: int, rng: np.random.Generator) -> _Compared:
    family = fit.response_family
    curve = family.curve
    assert curve is not None

    def measured(y: FloatArray, eta: FloatArray, at: Any) -> tuple[float, float]:
        psi = np.asarray(curve.expectation(family.mean(eta), at))
        return _statistics(replace(rows, y=y), psi, _wider(fit, rows.trials, at))

    observed = measured(rows.y, fit.linear_predictor, dict(fit.dispersion))
    again = simulated_refits(fit, nsim, rng)
    simulated = [
        measured(y, eta, {name: values[t] for name, values in again.further.items()})
        for t, (y, eta) in enumerate(zip(again.Y.T, again.eta.T, strict=True))
    ]
    return _Compared(
        observed=np.repeat(np.array([observed]).T, len(simulated), axis=1),
        simulated=np.array(simulated).reshape(-1, 2).T,
        how=f"{len(simulated)} responses with new random effects, each fitted again",
    )


def _of_posterior(fit: PosteriorFit, rows: _Rows, nsim: int, rng: np.random.Generator) -> _Compared:
    family = fit.response_family
    curve = family.curve
    assert curve is not None and family.draw is not None
    flat = flat_draws(fit.draws, fit.design)
    flat = flat.take(rng.choice(flat.n_draws, size=nsim, replace=nsim > flat.n_draws))
    eta = fitted_predictor(flat, fit.design, fit.design.X[:, fit.kept], slice(None))
    at = {name: value[:, None] for name, value in flat.family.items()}
    mu = family.mean(eta)
    psi = np.broadcast_to(curve.expectation(mu, at), eta.shape)
    drawn = family.draw(rng, mu, {**at, "trials": rows.trials})
    both = []
    for i in range(nsim):
        wider = _wider(fit, rows.trials, {name: value[i] for name, value in at.items()})
        new = replace(rows, y=np.asarray(drawn[i]))
        both.append((_statistics(rows, psi[i], wider), _statistics(new, psi[i], wider)))
    observed, simulated = np.moveaxis(np.array(both), 0, -1)
    how = f"{nsim} responses of the same levels, each at a draw of the posterior"
    return _Compared(observed=observed, simulated=simulated, how=how)
