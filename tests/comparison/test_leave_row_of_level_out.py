"""Leaving rows of generalised models out: against adaptive quadrature and posteriors without."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import binom, norm, poisson

import hierbayes as hb
from hierbayes.comparison.leave_row_of_level_out import level_row_log_densities

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
PRIORS = dict.fromkeys(["(Intercept)", "period2", "period3", "period4"], hb.Normal(0, 3))
PRIORS |= {"sd((Intercept)|herd)": hb.HalfNormal(1)}
ERROR = 2e-3  # of a term, twice the change by more nodes that is allowed


@pytest.fixture(scope="module")
def cbpp():
    return hb.Model(CBPP, hb.load_dataset("cbpp"), "binomial", priors=PRIORS).sample(random_seed=1)


def log_integral(density, sd):
    """Log of the mean of a density over a normal effect; one without rows."""
    found = quad(lambda u: density(sd * u) * norm.pdf(u), -9, 9, epsabs=0, epsrel=1e-10, limit=400)
    return np.log(found[0])


def without_row(log_f, codes, i, sd):
    """Log p(y_i | the other rows of its level) from log densities log_f(rows, b)."""
    own = np.flatnonzero(codes == codes[i])
    rest = own[own != i]
    every = log_integral(lambda b: np.exp(log_f(own, b).sum()), sd)
    return every - (log_integral(lambda b: np.exp(log_f(rest, b).sum()), sd) if rest.size else 0)


def test_terms_of_a_binomial_model_are_ratios_of_integrals(cbpp):
    """Herd 8 has one row, and rows of others carry most of what is known of their herd."""
    few = cbpp.draws
    few = replace(
        few,
        beta=few.beta[:, ::500],
        **{name: {k: v[:, ::500] for k, v in getattr(few, name).items()} for name in ("sd", "b")},
    )
    cbpp = replace(cbpp, draws=few)
    found = level_row_log_densities(cbpp)
    data, X = hb.load_dataset("cbpp"), cbpp.design.X
    s, n = data["incidence"].to_numpy(), data["size"].to_numpy()
    beta, sd = cbpp.draws.beta.reshape(-1, 4), cbpp.draws.sd["herd"].ravel()
    codes = cbpp.design.factors[0].codes
    alone = int(np.flatnonzero(np.bincount(codes)[codes] == 1)[0])
    for draw in (0, 7):
        eta = X @ beta[draw]

        def log_f(rows, b, eta=eta):
            return binom.logpmf(s[rows], n[rows], expit(eta[rows] + b))

        for i in (0, 13, alone, 50):
            expected = without_row(log_f, codes, i, sd[draw])
            assert found[i, draw] == pytest.approx(expected, abs=ERROR)


def test_effects_of_other_factors_are_as_drawn_and_equal_rows_are_left_out_one_by_one():
    rng = np.random.default_rng(3)
    g, h = np.repeat(np.arange(8), 12), np.tile(np.repeat(np.arange(6), 2), 8)
    y = rng.poisson(np.exp(1 + rng.normal(size=8)[g] + 0.5 * rng.normal(size=6)[h]))
    y[1] = y[0]  # which are equal rows then
    post = hb.Model("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h}, "poisson").sample(
        draws=50, random_seed=1, sampler="collapsed"
    )
    found = level_row_log_densities(post)
    b_h, sd = post.draws.b["h"].reshape(-1, 6), post.draws.sd["g"].ravel()
    codes = post.design.factors[0].codes
    for draw in (0, 199):
        eta = post.draws.beta.ravel()[draw] + b_h[draw][h]

        def log_f(rows, b, eta=eta):
            return poisson.logpmf(y[rows], np.exp(eta[rows] + b))

        for i in (0, 1, 20, 47):
            expected = without_row(log_f, codes, i, sd[draw])
            assert found[i, draw] == pytest.approx(expected, abs=ERROR)


def test_weights_over_parameters_alone_can_be_trusted(cbpp):
    found = hb.loo(cbpp)
    assert found.method == "integrated"
    assert "random effects of herd are integrated out by quadrature" in found.what
    assert found.findings == () and found.by_draws.n_untrusted > 0
    assert found.mcse < 0.1 < found.by_draws.mcse


@pytest.mark.slow
def test_rows_agree_with_posteriors_sampled_without_each(cbpp):
    table = hb.loo(cbpp).pointwise
    without = hb.kfold(cbpp, k=56, random_seed=1).pointwise
    away = (table["elpd"] - without["elpd"]) / np.hypot(table["mcse"], without["mcse"])
    assert np.abs(away).max() < 4
