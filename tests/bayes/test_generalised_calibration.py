"""Simulation-based calibration of the sampler without a compiler: ranks of the truth are uniform.

Source: Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788.
"""

import numpy as np
import pytest
from scipy.special import expit

import hierbayes as hb
from hierbayes.bayes.generalised import sample_generalised

G = np.repeat(np.arange(8), 8)
X = np.tile(np.linspace(-1, 1, 8), 8)
PRIORS = {"(Intercept)": hb.Normal(0, 1), "x": hb.Normal(0, 1), "sd": hb.HalfNormal(0.7)}
NEAR_ZERO = 0.05  # of sds that data of this size cannot tell from none


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(12)


def one_factor(rng):
    sd = 0.7 * abs(rng.standard_normal())
    b = sd * rng.standard_normal(8)
    return "(1 | g)", {"g": G}, b[G], {"sd": sd, "b": b[0]}, {}


def near_zero(rng):
    sd = NEAR_ZERO * abs(rng.standard_normal())
    b = sd * rng.standard_normal(8)
    return "(1 | g)", {"g": G}, b[G], {"sd": sd, "b": b[0]}, {"sd": hb.HalfNormal(NEAR_ZERO)}


def sparse(rng):
    """Pairs of rows: most levels are all 0 or all 1."""
    sd = 1.5 * abs(rng.standard_normal())
    b = sd * rng.standard_normal(32)
    pairs = np.arange(64) // 2
    return "(1 | g)", {"g": pairs}, b[pairs], {"sd": sd, "b": b[0]}, {"sd": hb.HalfNormal(1.5)}


def correlated(rng):
    sd = 0.7 * np.abs(rng.standard_normal(2))
    r = 2 * rng.beta(2, 2) - 1  # LKJ(2) of two columns
    z = rng.standard_normal((8, 2))
    b = np.column_stack([sd[0] * z[:, 0], sd[1] * (r * z[:, 0] + np.sqrt(1 - r * r) * z[:, 1])])
    truth = {"sd": sd[0], "sd2": sd[1], "cor": r, "b": b[0, 0]}
    return "(x | g)", {"g": G}, b[G, 0] + b[G, 1] * X, truth, {"cor": hb.LKJ(2)}


def nested(rng):
    sd = 0.7 * np.abs(rng.standard_normal(2))
    inner = np.arange(64) // 4
    b, c = sd[0] * rng.standard_normal(16), sd[1] * rng.standard_normal(4)
    data = {"g": inner, "h": inner // 4}
    truth = {"sd": sd[0], "sd2": sd[1], "b": b[0], "c": c[0]}
    return "(1 | g) + (1 | h)", data, b[inner] + c[inner // 4], truth, {}


def crossed(rng):
    sd = 0.7 * np.abs(rng.standard_normal(2))
    h = np.arange(64) % 5
    b, c = sd[0] * rng.standard_normal(8), sd[1] * rng.standard_normal(5)
    truth = {"sd": sd[0], "sd2": sd[1], "b": b[0], "c": c[0]}
    return "(1 | g) + (1 | h)", {"g": G, "h": h}, b[G] + c[h], truth, {}


CASES = (one_factor, near_zero, sparse, correlated, nested, crossed)


def draws_of(draws):
    """Draws of what ``truth`` has, by its names, (chains, draws) each."""
    sds = [sd[..., k] for sd in draws.sd.values() for k in range(sd.shape[2])]
    effects = [b[..., 0, 0] for b in draws.b.values()]
    found = dict(zip(("sd", "sd2"), sds, strict=False))
    found |= dict(zip(("b", "c"), effects, strict=False))
    found |= dict(zip(("cor",), (corr[..., 1, 0] for corr in draws.corr.values()), strict=False))
    return found | {"beta0": draws.beta[..., 0], "beta1": draws.beta[..., 1]}


def ranks(case, family, n, rng):
    """Ranks of true parameters among 100 draws for n data sets simulated from the priors."""
    found, trusted = [], []
    for _ in range(n):
        bars, data, effects, truth, priors = case(rng)
        beta = rng.standard_normal(2)
        eta = beta[0] + beta[1] * X + effects
        y = rng.poisson(np.exp(eta)) if family == "poisson" else rng.random(64) < expit(eta)
        if np.ptp(1.0 * y) == 0:  # refused; ranks are uniform given any y, so also without these
            continue
        model = hb.Model(
            f"y ~ x + {bars}", {"y": 1.0 * y, "x": X} | data, family, priors=PRIORS | priors
        )
        draws = sample_generalised(model.spec, draws=250, chains=2, random_seed=rng)
        truth = truth | {"beta0": beta[0], "beta1": beta[1]}
        values = draws_of(draws)
        found.append([(values[name].ravel()[::5] < at).sum() for name, at in truth.items()])
        trusted.append(draws.pareto_k <= 0.7)
    return np.array(found), np.array(trusted)


def furthest(found):
    """Kolmogorov's statistic of ranks among 100, times the root of their number."""
    grid = np.arange(101)
    ecdf = (found[:, :, None] <= grid).mean(axis=0)
    return np.abs(ecdf - (grid + 1) / 101).max(axis=1) * np.sqrt(found.shape[0])


@pytest.mark.slow
@pytest.mark.mcmc
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
@pytest.mark.parametrize("case", CASES)
def test_ranks_of_the_truth_are_uniform(case, family, rng):
    found, trusted = ranks(case, family, 40, rng)
    assert trusted.all()
    # sqrt(n) D < 1.95 at 99.9 % for one parameter; there are up to six
    assert furthest(found).max() < 2.2
