"""Families at the end of a parameter where they are a simpler one: equal to it in every digit."""

import numpy as np
import pytest
from scipy.special import gammaln

import hierbayes as hb

Y = np.array([0.0, 1.0, 4.0, 9.0, 30.0])
ETA = np.array([-2.0, 0.0, 0.7, 1.5, 3.0])
TRIALS = np.array([5.0, 12.0, 20.0, 10.0, 40.0])


def density(family, y, eta, **given):
    """Values by arrays and by series, which differentiate."""
    data = {"y": y, "n": TRIALS, "g": np.arange(5) % 2}
    left = "cbind(y, n - y)" if "binomial" in family and "negative" not in family else "y"
    built = hb.Model(f"{left} ~ 1 + (1 | g)", data, family).spec.family
    at = {
        name: np.full(5, value) if np.ndim(value) == 0 else value for name, value in given.items()
    }
    from hierbayes.families.family import Mean

    arrays = built.log_density(y, Mean(eta=eta, link=built.link), at)
    return arrays, built.derivatives(y, eta, at, order=2)


# Per family its parameter, the simpler family, and first order of the difference times it.
def poisson(y, eta):
    return y * eta - np.exp(eta) - gammaln(y + 1), 0.5 * ((y - np.exp(eta)) ** 2 - y)


@pytest.mark.parametrize("alpha", [49.0, 51.0, 1e4, 1e7, 1e10])
def test_negative_binomial_becomes_poisson(alpha):
    arrays, series = density("negativebinomial", Y, ETA, alpha=alpha)
    np.testing.assert_allclose(series.derivative(0), arrays, rtol=1e-13)
    simpler, first = poisson(Y, ETA)
    if alpha > 1e3:
        np.testing.assert_allclose(arrays - simpler, first / alpha, rtol=2e3 / alpha, atol=1e-13)
    slope = (Y - np.exp(ETA)) / (1 + np.exp(ETA) / alpha)
    np.testing.assert_allclose(series.derivative(1), slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "family, name", [("negativebinomial", "alpha"), ("beta_binomial", "kappa"), ("t", "nu")]
)
def test_both_ways_of_writing_it_meet(family, name):
    """A step of the parameter across the bound is as one beside it."""
    from hierbayes.families import densities

    y = np.minimum(Y, TRIALS)
    extra = (
        {"trials": TRIALS} if family == "beta_binomial" else {"sigma": 1.3} if family == "t" else {}
    )
    bound = densities.FROM_STIRLING * (2 if family == "t" else 1)
    below, above = (
        density(family, y, ETA, **{name: bound * (1 + 1e-9 * side)}, **extra)[0] for side in (-1, 1)
    )
    np.testing.assert_allclose(below, above, rtol=1e-9, atol=1e-10)


def test_t_becomes_normal():
    arrays, series = density("t", Y, ETA, nu=1e9, sigma=1.5)
    normal = -0.5 * ((Y - ETA) / 1.5) ** 2 - np.log(1.5) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(arrays, normal, rtol=1e-4, atol=1e-4)
    small = np.abs(Y - ETA) < 5
    np.testing.assert_allclose(arrays[small], normal[small], atol=1e-7)
    np.testing.assert_allclose(series.derivative(0), arrays, rtol=1e-13)


def test_beta_binomial_becomes_binomial():
    y = np.minimum(Y, TRIALS)
    arrays, series = density("beta_binomial", y, ETA, kappa=1e9, trials=TRIALS)
    p = 1 / (1 + np.exp(-ETA))
    choose = gammaln(TRIALS + 1) - gammaln(y + 1) - gammaln(TRIALS - y + 1)
    binomial = choose + y * np.log(p) + (TRIALS - y) * np.log1p(-p)
    np.testing.assert_allclose(arrays, binomial, atol=1e-6)
    np.testing.assert_allclose(series.derivative(0), arrays, rtol=1e-12)
