"""Samplers agree with each other, with rstanarm and with exact integrals.

The comparisons are those of ``benchmarks/agreement.py``, with fewer draws.
"""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import hierbayes as hb
from benchmarks.agreement import (
    CASES,
    disagreements,
    distances,
    on_a_grid,
    rstanarm_sleepstudy,
    summary,
)

pytest.importorskip("pymc")

THRESHOLDS, SLOPE, SD = np.array([-1.0, 0.2, 1.5]), 0.8, 0.7


@pytest.mark.mcmc
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "one-row"])
def test_all_runs_agree_within_4_monte_carlo_standard_errors(name):
    case = CASES[name](4000, 2)
    assert len(case.runs) > 1 and len(case.runs[0].parameters) > 4
    assert disagreements(case) == []


@pytest.mark.mcmc
def test_rstanarms_posterior_of_sleepstudy_follows_from_ours():
    """Weighted by the ratio of the priors, which differ; without the weights we disagree."""
    case = rstanarm_sleepstudy(1000, 2, nuts=False)
    assert disagreements(case) == []
    stored, _, plain = case.runs
    assert distances(stored, plain).max() > 8


@pytest.mark.mcmc
def test_one_row_a_level_is_right_and_told():
    """Only priors tell sd and sigma apart, and sigma may be zero; NUTS does not get there."""
    rows = hb.load_dataset("Dyestuff").assign(row=[f"row {k}" for k in range(30)])
    model = hb.Model("Yield ~ 1 + (1 | row)", rows)
    with pytest.raises(hb.DataError, match=r"priors tell them apart: Model\(...\).sample\(\)"):
        model.fit("reml")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        post = model.sample(sampler="collapsed", draws=20_000, random_seed=4)
    assert "as many random effects as there are rows" in str(told[0].message)
    assert post.findings[0].code == "not_identified"
    exact, ours = on_a_grid(model), summary("ours", post.draws, model)
    at = [ours.parameters.index(name) for name in exact.parameters]
    assert (np.abs(ours.values[:, at] - exact.values) < 4 * ours.errors[:, at]).all()


def ordinal_data():
    """40 groups of 10 answers in four ordered categories."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(40), 10)
    x = rng.normal(size=g.size)
    latent = SLOPE * x + SD * rng.standard_normal(40)[g] + rng.logistic(size=g.size)
    return {"y": 1 + (latent[:, None] > THRESHOLDS).sum(axis=1), "x": x, "g": g}


def ordinal_estimates(data):
    """Maximum-likelihood thresholds, slope and sd, the effects integrated out by quadrature."""
    y, x, g = data["y"], data["x"], data["g"]
    nodes, weights = np.polynomial.hermite_e.hermegauss(25)

    def parts(v):
        return np.cumsum([v[0], *np.exp(v[1:3])]), v[3], np.exp(v[4])

    def minus_log_likelihood(v):
        thresholds, slope, sd = parts(v)
        eta = (slope * x)[:, None] + sd * nodes
        edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
        row = expit(edges[y][:, None] - eta) - expit(edges[y - 1][:, None] - eta)
        group = np.zeros((40, nodes.size))
        np.add.at(group, g, np.log(row))
        return -np.log(np.exp(group) @ weights).sum()

    thresholds, slope, sd = parts(minimize(minus_log_likelihood, [-1, 0, 0, 0.5, 0]).x)
    return np.array([*thresholds, slope, sd])


@pytest.mark.mcmc
@pytest.mark.slow
def test_an_ordinal_model_is_sampled():
    data = ordinal_data()
    model = hb.Model("y ~ x + (1 | g)", data, family="cumulative")
    post = model.sample(random_seed=1, progress=False)
    assert post.sampler == "nuts" and post.converged
    draws = np.concatenate(
        [post.draws.family["threshold"], post.draws.beta, post.draws.sd["g"]], axis=2
    )
    mean, sd = draws.mean(axis=(0, 1)), draws.std(axis=(0, 1))
    # wide priors and 400 rows: the posterior is centred within a third of its sd of the estimate
    assert (np.abs(mean - ordinal_estimates(data)) < sd / 3).all()
    assert (np.abs(mean - [*THRESHOLDS, SLOPE, SD]) < 3 * sd).all()
