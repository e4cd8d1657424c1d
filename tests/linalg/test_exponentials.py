"""Exponentials, logarithms and cosines of many numbers at once are those of numpy."""

import numpy as np

from hierbayes.linalg.exponentials import cosines_of_turns, exponentials, logarithms

RNG = np.random.default_rng(3)


def test_exponentials_are_numpys():
    x = np.concatenate([RNG.uniform(-707, 708, 5000), RNG.normal(size=1000), [-1e3, 0.0, 1e3]])
    found = np.empty(x.size)
    exponentials(x, found, np.empty((2, x.size)), x.size)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found, np.exp(x), rtol=5e-16, atol=1e-305)


def test_logarithms_are_numpys():
    x = np.concatenate([np.exp(RNG.uniform(-700, 700, 5000)), 1 + RNG.normal(0, 1e-3, 1000), [1.0]])
    found = np.empty(x.size)
    logarithms(x, found, np.empty((2, x.size)), x.size)
    np.testing.assert_allclose(found, np.log(x), rtol=5e-16, atol=2e-18)


def test_cosines_of_turns_are_numpys():
    x = np.concatenate([RNG.random(5000), [0.0, 0.25, 0.5, 0.75, 1 - 2.0**-53]])
    found = np.empty(x.size)
    cosines_of_turns(x, found, x.size)
    # 2 pi x itself is rounded, by half of 9e-16
    np.testing.assert_allclose(found, np.cos(2 * np.pi * x), rtol=0, atol=1e-15)
