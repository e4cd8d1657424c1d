"""Derivatives from values on both sides.

    f'(x) = (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / 12h

has an error of the order of h^4: it is exact for what is of fourth degree in x. Of a parameter h is
a hundredth of its standard error, over which anything the delta method is good for is nearly a
line: the error is then below 1e-9, and rounding counts for less.

Source: Abramowitz & Stegun (1964), Handbook of Mathematical Functions, table 25.2.
"""

from collections.abc import Callable

import numpy as np

from hierbayes.arrays import FloatArray

STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
PART = 1e-2  # of a standard error
LEAST = 1e-7  # of the size of what is moved: below it rounding would count


def step_of(x: FloatArray, error: FloatArray) -> FloatArray:
    """Return how far to move x (n,), whose standard errors are (n,)."""
    return np.maximum(PART * error, LEAST * (1 + np.abs(x)))


def derivative(f: Callable[[FloatArray], FloatArray], step: FloatArray) -> FloatArray:
    """Return the derivative of f at 0, f taking moves in the shape of ``step``.

    The values of f have the shape of the step, or that and further axes.
    """
    total = sum(weight * f(k * step) for k, weight in STENCIL)
    values = np.asarray(total)
    return values / step.reshape(step.shape + (1,) * (values.ndim - step.ndim))
