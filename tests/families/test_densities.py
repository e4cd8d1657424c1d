"""Log densities of all families: their derivatives, and their sums and moments."""

import numpy as np
import pytest

from hierbayes.families.builtin import FAMILIES
from hierbayes.families.family import Mean

VALUES = {
    "sigma": 1.3,
    "nu": 4.2,
    "alpha": 2.1,
    "kappa": 3.3,
    "psi": 0.7,
    "b": 0.8,
    "lam": 2.5,
    "threshold": np.array([-0.9, 0.2, 1.1]),
}
STEP = 1e-3
RTOL = 5e-7  # of differences of fourth order in a step of a thousandth
CASES = [(family, link) for family in FAMILIES.values() for link in family.links]
SMOOTH = [case for case in CASES if case[0].is_smooth]


def rows(family, link):
    """Predictors that have a mean, and responses of the family."""
    rng = np.random.default_rng(1)
    eta = 0.7 * rng.normal(size=12)
    bounded = family.reads_categories or family.name == "beta"
    if link in ("inverse", "inverse_squared") or (link == "identity" and family.is_discrete):
        eta = np.abs(eta) + 0.2
    if link == "identity" and (family.support is not None and not family.is_log_response):
        eta = np.abs(eta) + 0.2
    if link == "identity" and bounded:
        eta = rng.uniform(0.1, 0.9, 12)
    if link == "log" and bounded:
        eta = np.log(rng.uniform(0.1, 0.9, 12))
    if link == "sqrt":
        eta = np.abs(eta) + 0.5
    if family.counts_trials:
        return eta, rng.integers(0, 8, 12).astype(float)
    if family.is_ordinal:
        return eta, rng.integers(0, 4, 12).astype(float)
    if family.name == "bernoulli":
        return eta, rng.integers(0, 2, 12).astype(float)
    if family.name == "beta":
        return eta, rng.uniform(0.05, 0.95, 12)
    if family.is_discrete:
        return eta, rng.integers(0, 6, 12).astype(float)
    if family.support is None or family.name == "vonmises":
        return eta, rng.normal(size=12)
    positive = rng.gamma(2, 1, 12)
    return eta, np.where(rng.random(12) < 0.3, 0, positive) if "hurdle" in family.name else positive


def parameters(family):
    found = {parameter.name: VALUES[parameter.name] for parameter in family.parameters}
    return found | ({"trials": np.full(12, 7.0)} if family.counts_trials else {})


def difference(function, x, step):
    """Derivative of fourth order."""
    up, down = function(x + step), function(x - step)
    return (8 * (up - down) - function(x + 2 * step) + function(x - 2 * step)) / (12 * step)


@pytest.mark.parametrize(("family", "link"), SMOOTH, ids=lambda v: getattr(v, "name", v))
def test_derivatives_in_eta_are_those_of_differences(family, link):
    family = family.with_link(link)
    (eta, y), at = rows(family, link), parameters(family)
    found = family.derivatives(y, eta, at, order=4)
    np.testing.assert_allclose(
        found.value, family.log_density(y, Mean(eta=eta, link=family.link), at), rtol=1e-12
    )
    for i in range(1, 5):

        def below(x, i=i):
            return family.derivatives(y, x, at, order=i - 1).derivative(i - 1)

        np.testing.assert_allclose(
            found.derivative(i), difference(below, eta, STEP), rtol=RTOL, atol=RTOL
        )


@pytest.mark.parametrize(
    ("family", "name"),
    [(f, p.name) for f in FAMILIES.values() for p in f.parameters
     if f.is_smooth and p.prior != "cuts"],
    ids=lambda v: getattr(v, "name", v),
)  # fmt: skip
def test_derivatives_in_a_further_parameter_are_those_of_differences(family, name):
    (eta, y), at = rows(family, family.link.name), parameters(family)
    found = family.derivatives(y, eta, at, order=2, of=name, order_of=2)
    for i in range(3):
        for j in (1, 2):

            def below(value, i=i, j=j):
                other = at | {name: value}
                return family.derivatives(
                    y, eta, other, order=2, of=name, order_of=max(j - 1, 1)
                ).derivative(i, j - 1)

            expected = difference(below, at[name], STEP * at[name])
            np.testing.assert_allclose(found.derivative(i, j), expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES.values() if f.is_discrete],
    ids=lambda f: f.name,
)
def test_probabilities_of_whole_numbers_add_up_to_one(family):
    y = np.arange({"trials": 8, "ordered": 4}.get(family.response, 400), dtype=float)
    y = y[:2] if family.name == "bernoulli" else y
    at = parameters(family) | ({"trials": np.full(y.size, 7.0)} if family.counts_trials else {})
    density = family.log_density(y, Mean(eta=np.full(y.size, 0.3), link=family.link), at)
    assert np.exp(density).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("eta", [-700.0, -40.0, 40.0, 700.0])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_probabilities_far_out_keep_their_logarithms(link, eta):
    family = FAMILIES["binomial"].with_link(link)
    y, at = np.array([0.0, 3.0, 7.0]), {"trials": np.full(3, 7.0)}
    found = family.derivatives(y, np.full(3, eta), at, order=2)
    assert np.isfinite(found.c).all()
    assert (found.derivative(2) <= 0).all()
