"""A damped Newton search finds minima, and many together are those found one by one."""

import numpy as np
import pytest

from hierbayes.linalg.newton import Goal, Locals, Problem, minimise

GOAL = Goal(decrement=1e-10)

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


class Functions(Problem):
    """Functions given as one of positions (m,) and points (m, k)."""

    def __init__(self, function, rows):
        self.function, self.rows = function, rows

    def take(self, rows):
        return type(self)(self.function, self.rows[rows])

    def at(self, x):
        return self.function(self.rows, x)


def searched(function, start, *, of=Functions, goal=GOAL, **options):
    return minimise(of(function, np.arange(len(start))), start, goal=goal, **options)


def local(value, gradient, curvature):
    """Functions whose derivatives are at hand."""
    return Locals(value, lambda: (gradient, curvature), [None] * value.size)


def one(function, start, **options):
    """The minimum of one function of a point (k,); None where it is undefined."""

    def functions(rows, x):
        found = function(x[0])
        if found is None:
            raise np.linalg.LinAlgError("undefined")
        value, gradient, curvature = found
        return Locals(np.array([value]), lambda: (gradient[None], curvature[None]), [x[0]])

    return searched(functions, np.array([start]), **options)


def alone(centre, start):
    return one(lambda x: double_wells(centre, x), start)


def test_minima_are_those_of_single_searches():
    calls = []

    def functions(rows, x):
        calls.append(rows.size)
        return local(*double_wells(CENTRES[rows], x))

    many = searched(functions, STARTS)
    assert many.converged.all()
    for found, centre, start in zip(many.x, CENTRES, STARTS, strict=True):
        np.testing.assert_allclose(found, alone(centre, start).x[0], atol=1e-5)
    assert calls[-1] < calls[0]  # those that are done leave the batch


@pytest.mark.parametrize("bad", [0, 17, 39])
def test_a_function_that_cannot_be_computed_harms_no_other(bad):
    def functions(rows, x):
        if bad in rows:
            raise np.linalg.LinAlgError("not positive definite")
        return local(*double_wells(CENTRES[rows], x))

    found = searched(functions, STARTS)
    assert np.flatnonzero(~found.converged).tolist() == [bad]
    np.testing.assert_array_equal(found.x[bad], STARTS[bad])


def test_steps_are_shortened_where_a_function_cannot_be_computed():
    """-log x + x: a full Newton step from 5 goes to a negative x, where there is no logarithm."""

    def functions(rows, x):
        if (x <= 0).any():
            raise np.linalg.LinAlgError("no logarithm")
        return local((x - np.log(x))[:, 0], 1 - 1 / x, (1 / x**2)[:, :, None])

    found = searched(functions, np.array([[1.5], [5.0], [0.1]]))
    assert found.converged.all()
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


def quadratic(A, b):
    return lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b, A)


def test_a_quadratic_is_minimised_in_one_step():
    A, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
    found = one(quadratic(A, b), np.zeros(2))
    assert found.converged[0]
    assert found.steps[0] == 1
    np.testing.assert_allclose(found.x[0], np.linalg.solve(A, b), rtol=1e-12)
    np.testing.assert_array_equal(found.states[0], found.x[0])


def test_a_curved_valley_is_followed():
    def rosenbrock(x):
        value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        gradient = np.array(
            [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]
        )
        curvature = np.array(
            [[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]]
        )
        return value, gradient, curvature

    found = one(rosenbrock, np.array([-1.2, 1.0]))
    assert found.converged[0]
    np.testing.assert_allclose(found.x[0], 1.0, atol=1e-4)


def too_flat(x):
    """The value x - log x, with a curvature that is far too small."""
    return None if x[0] <= 0 else (x[0] - np.log(x[0]), 1 - 1 / x, np.array([[1e-3]]))


def test_points_where_the_function_is_undefined_are_stepped_around():
    found = one(too_flat, np.array([1.9]))
    assert found.converged[0]
    assert found.x[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_a_search_that_may_not_step_says_so():
    goal = Goal(decrement=1e-10, max_steps=0)
    found = one(quadratic(np.eye(1), np.array([5.0])), np.zeros(1), goal=goal)
    assert not found.converged[0]
    assert found.decrement[0] == pytest.approx(12.5 - 0.5 * 3**2)  # a longest step of 2 is promised


def test_derivatives_are_asked_for_only_where_a_step_was_taken():
    asked, tried = [], []

    def functions(rows, x):
        tried.append(x.copy())
        value, gradient, curvature = too_flat(np.maximum(x[0], 1e-9))

        def derivatives():
            asked.append(x.copy())
            return gradient[None], curvature[None]

        return Locals(np.array([value]), derivatives, [None])

    found = searched(functions, np.array([[1.9]]))
    assert len(asked) == found.steps[0] + 1 < len(tried)


class Corner(Functions):
    """Both coordinates end at 1."""

    def room(self, x):
        room = np.maximum(x - 1.0, 0.0)
        return room, room <= 1e-6


@pytest.mark.parametrize(
    ("centre", "best"),
    [([2.0, 3.0], [2.0, 3.0]), ([0.0, 3.0], [1.0, 2.5]), ([-3.0, -1.0], [1.0, 1.0])],
)
def test_coordinates_stop_at_their_ends_and_the_others_go_on(centre, best):
    A = np.array(
        [[2.0, 1.0], [1.0, 2.0]]
    )  # along x = 1 the best y is that of the centre minus half
    found = one(quadratic(A, A @ np.array(centre)), np.array([4.0, 4.0]), of=Corner)
    assert found.converged[0]
    np.testing.assert_allclose(found.x[0], best, atol=1e-5)


def test_what_a_wrong_curvature_lacks_is_learnt():
    A = np.array([[2.0, 1.0], [1.0, 2.0]])

    def wrong(x):
        return 0.5 * x @ A @ x, A @ x, np.eye(2)

    start = np.array([0.3, -0.2])
    found = one(wrong, start, correction=np.zeros((1, 2, 2)))
    assert found.steps[0] < one(wrong, start).steps[0]
    np.testing.assert_allclose(np.eye(2) + found.correction[0], A, atol=1e-8)


def test_a_search_that_starts_at_its_minimum_is_found_beside_one_far_from_it():
    centres = np.array([[0.0, 0.0], [50.0, 0.0]])

    def bowls(rows, x):
        move = x - centres[rows]
        return local((move**2).sum(axis=1), 2 * move, np.tile(2 * np.eye(2), (len(x), 1, 1)))

    found = searched(bowls, np.zeros((2, 2)))
    np.testing.assert_allclose(found.x, centres, atol=1e-6)
