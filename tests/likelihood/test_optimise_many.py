"""Many minima found together are those found one by one."""

import numpy as np
import pytest

from hierbayes.likelihood.optimise import Local, minimise
from hierbayes.likelihood.optimise_many import Locals, minimise_many

RNG = np.random.default_rng(1)
CENTRES = RNG.normal(size=(40, 2))
STARTS = CENTRES + 4 * RNG.normal(size=(40, 2))


def double_wells(centre, x):
    """Curved valleys with two minima each: a full Newton step often overshoots."""
    a, b = np.moveaxis(x - centre, -1, 0)
    c = b - a**2
    value = 5 * c**2 + (a**2 - 1) ** 2 + 0.3 * a
    gradient = np.stack([-20 * a * c + 4 * a * (a**2 - 1) + 0.3, 10 * c], axis=-1)
    curvature = np.empty((*a.shape, 2, 2))
    curvature[..., 0, 0] = -20 * c + 40 * a**2 + 12 * a**2 - 4
    curvature[..., 0, 1] = curvature[..., 1, 0] = -20 * a
    curvature[..., 1, 1] = 10
    return value, gradient, curvature


def unchanged(x):
    return x


def alone(centre, start):
    def local(x):
        value, gradient, curvature = double_wells(centre, x)
        return Local(float(value), lambda: (gradient, curvature), None)

    return minimise(local, start, local(start), project=unchanged)


def test_minima_are_those_of_single_searches():
    calls = []

    def functions(rows, x):
        calls.append(rows.size)
        return Locals(*double_wells(CENTRES[rows], x))

    x, converged = minimise_many(functions, STARTS, project=unchanged)
    assert converged.all()
    for found, centre, start in zip(x, CENTRES, STARTS, strict=True):
        np.testing.assert_allclose(found, alone(centre, start).x, atol=1e-5)
    assert calls[-1] < calls[0]  # those that are done leave the batch


@pytest.mark.parametrize("bad", [0, 17, 39])
def test_a_function_that_cannot_be_computed_harms_no_other(bad):
    def functions(rows, x):
        if bad in rows:
            raise np.linalg.LinAlgError("not positive definite")
        return Locals(*double_wells(CENTRES[rows], x))

    x, converged = minimise_many(functions, STARTS, project=unchanged)
    assert np.flatnonzero(~converged).tolist() == [bad]
    np.testing.assert_array_equal(x[bad], STARTS[bad])


def test_steps_are_shortened_where_a_function_cannot_be_computed():
    """-log x + x: a full Newton step from 5 goes to a negative x, where there is no logarithm."""

    def functions(rows, x):
        if (x <= 0).any():
            raise np.linalg.LinAlgError("no logarithm")
        return Locals((x - np.log(x))[:, 0], 1 - 1 / x, (1 / x**2)[:, :, None])

    x, converged = minimise_many(functions, np.array([[1.5], [5.0], [0.1]]), project=unchanged)
    assert converged.all()
    np.testing.assert_allclose(x, 1, atol=1e-4)
