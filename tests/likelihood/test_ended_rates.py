"""A rate whose maximum is zero is found as exactly zero, in a search as short as any other."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.families.family import Parameter
from hierbayes.generalised.conditional import OF_RARE, OF_SHARE, transform_of
from tests.psychometrics.observers import observers

ZERO_SEED = 2  # of responses that lapse less than any rate says


def fitted(**options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.DesignWarning)
        data = observers(seed=ZERO_SEED)
        given = {"stimulus": "x", "guess": 0.0, "n": "n"} | options
        return hb.psychometric("k ~ x + (x | subject)", data, **given).fit()


def test_it_is_exactly_zero_and_the_rest_is_the_fit_without_it():
    fit, known = fitted(lapse="estimate"), fitted(lapse=0.0)
    assert fit.dispersion["lapse"] == 0.0
    assert np.isclose(fit.loglik, known.loglik, rtol=0, atol=1e-8)
    assert np.allclose(fit.vcov(), known.vcov(), rtol=1e-5)
    assert np.isnan(fit.further_parameters["lapse"][1])
    assert fit.optimum.n_evaluations < 2 * known.optimum.n_evaluations


def test_a_rate_inside_has_the_same_maximum_as_a_grid_of_given_ones():
    data = observers(seed=3, lapse=0.03)
    given = {"stimulus": "x", "guess": 0.0, "n": "n"}
    fit = hb.psychometric("k ~ x + (x | subject)", data, lapse="estimate", **given).fit()
    best, error = fit.dispersion["lapse"], fit.further_parameters["lapse"][1]
    at = [best + side * 0.1 * error for side in (-1, 0, 1)]
    found = [hb.psychometric("k ~ x + (x | subject)", data, lapse=v, **given).fit().loglik
             for v in at]  # fmt: skip
    assert np.isclose(found[1], fit.loglik, rtol=0, atol=1e-7)
    # a parabola a tenth of a standard error to each side
    assert np.allclose(fit.loglik - np.array(found)[[0, 2]], 0.005, rtol=0.1)


@pytest.mark.parametrize("x", [-1.2, -0.3, 0.0, 0.4, 2.0])
def test_the_derivatives_of_its_coordinate_hold_on_both_sides_of_its_end(x):
    transform, h = OF_RARE, 1e-4
    at = [transform.inverse(x + k * h) for k in (-1, 0, 1)]
    assert np.isclose(transform.slope(x), (at[2] - at[0]) / (2 * h), atol=1e-7)
    assert np.isclose(transform.bend(x), (at[2] - 2 * at[1] + at[0]) / h**2, atol=1e-6)


def test_densities_are_carried_over_by_coordinates_with_an_inverse():
    rare = Parameter("lapse", prior="rare")
    assert transform_of(rare, reaches_ends=False) is OF_SHARE
    assert transform_of(rare, reaches_ends=True) is OF_RARE
