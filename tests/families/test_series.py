"""Truncated series: functions of them have the derivatives of the functions."""

import math

import numpy as np
import pytest
from scipy import special

from hierbayes.families import series

FUNCTIONS = ["exp", "log", "log1p", "expm1", "lgamma", "expit", "log_expit", "ndtr", "log_ndtr",
             "reciprocal", "sqrt", "square", "arctan", "log1p_exp"]  # fmt: skip
AT = np.array([0.3, 0.9, 2.5])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_a_series_has_its_taylor_coefficients(name):
    function, h = getattr(series, name), 3e-3
    found = function(series.variable(AT, order=6))
    total = sum(found.c[k, 0] * h**k for k in range(7))
    np.testing.assert_allclose(total, function(AT + h), rtol=1e-11)
    np.testing.assert_allclose(found.value, function(AT), rtol=1e-15)


def test_products_and_quotients_of_two_variables():
    x = series.variable(AT, order=3, second=2)
    z = series.variable(AT + 1, order=3, second=2, of="z")
    found = x * x / z + series.exp(x * z)
    h, k = 1e-3, 1e-3
    total = sum(found.c[i, j] * h**i * k**j for i in range(4) for j in range(3))
    expected = (AT + h) ** 2 / (AT + 1 + k) + np.exp((AT + h) * (AT + 1 + k))
    np.testing.assert_allclose(total, expected, rtol=1e-8)
    assert found.derivative(1, 1) == pytest.approx(
        -2 * AT / (AT + 1) ** 2 + np.exp(AT * (AT + 1)) * (1 + AT * (AT + 1))
    )


def test_the_slope_of_log_phi_far_in_the_tail():
    x = series.variable(np.array([-40.0]), order=1)
    slope = series.log_ndtr(x).derivative(1)
    assert slope[0] == pytest.approx(40 + 1 / 40 - 2 / 40**3, rel=1e-6)  # Mills' ratio
    assert math.isfinite(slope[0])


@pytest.mark.parametrize("z", [40.0, 300.0, 1e6])
def test_curvature_and_bends_of_log_phi_far_in_the_tail_do_not_cancel(z):
    found = series.log_ndtr(series.variable(np.array([-z]), order=3))
    # x + w = 1/z - 2/z^3 + 10/z^5 - ..., by Mills' ratio
    assert found.derivative(2)[0] == pytest.approx(-1 + 1 / z**2 - 6 / z**4, rel=1e-7)
    assert found.derivative(3)[0] == pytest.approx(2 / z**3 - 24 / z**5, rel=2e-4, abs=1e-9)


def test_logits_in_vectorised_words_are_scipys():
    x = np.concatenate([np.linspace(-700, 700, 4001), [-1e-300, 0.0, np.inf, -np.inf]])
    np.testing.assert_allclose(series.expit(x), special.expit(x), rtol=1e-15)
    np.testing.assert_allclose(series.log_expit(x), special.log_expit(x), rtol=1e-15)
    np.testing.assert_allclose(series.log_sum(x, 0.5 * x), np.logaddexp(x, 0.5 * x), rtol=1e-15)
    assert series.log_sum(np.array([-np.inf]), np.array([-np.inf]))[0] == -np.inf
