"""Psychometric functions as a family: probabilities between two rates, with exact derivatives."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import betabinom, binom

from hierbayes.errors import OptionError
from hierbayes.families.family import Mean
from hierbayes.families.named import family_named
from hierbayes.families.own import check_family
from hierbayes.families.psychometric import (
    LINKS,
    Curve,
    curve_record,
    psychometric_family,
    read_curve,
)
from hierbayes.families.symbolic import log_density as symbolic_log_density
from tests.families.test_symbolic import evaluated

NAMES = [link if isinstance(link, str) else link.name for link in LINKS]
CURVES = {
    "known": Curve(stimulus="x", guess=0.5, lapse=0.02),
    "none": Curve(stimulus="x", guess=0.0, lapse=0.0),
    "lapse": Curve(stimulus="x", guess=0.25, lapse=None),
    "both": Curve(stimulus="x", guess=None, lapse=None),
    "equal": Curve(stimulus="x", guess=None, lapse=None, is_symmetric=True),
    "spread": Curve(stimulus="x", guess=0.5, lapse=None, is_overdispersed=True),
}
AT = {"guess": 0.1, "lapse": 0.03, "kappa": 20.0}


@pytest.mark.parametrize(("curve", "link"), [*product(CURVES, NAMES)])
def test_links_densities_draws_and_derivatives_agree(curve, link):
    family = psychometric_family(CURVES[curve], link)
    check_family_without_expectation(family)


def check_family_without_expectation(family):
    """The checks of a family of one's own but one: its expectation is a function of mu."""
    from dataclasses import replace

    check_family(replace(family, expectation=None, curve=None))


@pytest.mark.parametrize("curve", CURVES)
def test_the_density_is_the_binomial_one_of_the_whole_curve(curve):
    own = CURVES[curve]
    family = psychometric_family(own, "probit")
    eta, n = np.array([-3.0, -0.4, 0.7, 2.5]), 12.0
    guess, lapse = own.rates(AT)
    psi = guess + (1 - guess - lapse) * ndtr(eta)
    mean = Mean(eta=eta, link=family.link)
    for k in (0.0, 5.0, 12.0):
        found = family.log_density(np.full(4, k), mean, AT | {"trials": np.full(4, n)})
        law = binom(n, psi)
        if own.is_overdispersed:
            law = betabinom(n, psi * AT["kappa"], (1 - psi) * AT["kappa"])
        assert np.allclose(found, law.logpmf(k), rtol=1e-10)
        assert np.allclose(family.expectation(ndtr(eta), AT), psi, rtol=1e-14)
        at = AT | {"trials": np.full(4, n)}
        assert np.allclose(family.variance(ndtr(eta), at), law.var(), rtol=1e-10)


@pytest.mark.parametrize("curve", CURVES)
def test_a_pymc_model_has_the_same_density(curve):
    import pytensor.tensor as pt

    for link in ("probit", "loglog"):
        family = psychometric_family(CURVES[curve], link)
        y, eta = np.array([0.0, 3.0, 9.0, 12.0]), np.array([-2.0, -0.5, 0.6, 1.5])
        at = AT | {"trials": np.full(4, 12.0)}
        given = {pt.vector(): y, pt.vector(): eta}
        found = evaluated(symbolic_log_density(family, *given, at), given)
        expected = family.log_density(y, Mean(eta=eta, link=family.link), at)
        assert np.allclose(found, expected, rtol=1e-10)


def test_far_out_the_rates_are_all_that_is_left():
    curve = Curve(stimulus="x", guess=0.0, lapse=0.01)
    mean = Mean(eta=np.array([-40.0, 40.0]), link=psychometric_family(curve, "probit").link)
    success, failure = curve.logs(mean, {})
    assert success[0] < -700
    assert np.allclose([success[1], failure[1]], np.log([0.99, 0.01]), rtol=1e-12)


def test_a_family_is_pickled_and_stored_by_what_makes_it():
    family = psychometric_family(CURVES["both"], "loglog")
    again = pickle.loads(pickle.dumps(family))
    assert (again.name, again.link.name) == ("psychometric", "loglog")
    assert curve_record(again.curve) == curve_record(family.curve)
    assert curve_record(read_curve(curve_record(family.curve))) == curve_record(family.curve)


@pytest.mark.parametrize(
    "change",
    [
        {"guess": 1.5},
        {"guess": 0.9, "lapse": 0.2},
        {"lapse": "0.1"},
        {"stimulus": 3},
        {"is_symmetric": True},
        {"is_overdispersed": 1},
        {"more": 1},
    ],
)
def test_a_stored_curve_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match="no curve"):
        read_curve(curve_record(CURVES["known"]) | change)


def test_its_name_points_to_what_makes_it():
    with pytest.raises(OptionError, match=r"hb\.psychometric\(formula, data, stimulus"):
        family_named("psychometric")
