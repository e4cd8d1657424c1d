"""A density written once: the tensors of a PyMC model compute what arrays do."""

import numpy as np
import pytest
from scipy import special

from hierbayes.families.family import Mean
from hierbayes.families.series import variable
from hierbayes.families.symbolic import Symbolic, log_density
from tests.families.test_densities import CASES, parameters, rows

# these read tables by category, or a Bessel function, which only arrays have
NOT_SYMBOLIC = ("cumulative", "sratio", "vonmises")
RTOL = 1e-12


def evaluated(tensor, given):
    import pytensor
    from pytensor.compile.mode import Mode

    mode = Mode(linker="py", optimizer=None)
    return pytensor.function(list(given), tensor, mode=mode)(*given.values())


@pytest.mark.parametrize(
    ("family", "link"),
    [case for case in CASES if case[0].name not in NOT_SYMBOLIC],
    ids=lambda v: getattr(v, "name", v),
)
def test_a_density_is_the_same_of_tensors_as_of_arrays(family, link):
    import pytensor.tensor as pt

    family = family.with_link(link)
    (eta, y), at = rows(family, link), parameters(family)
    given = {pt.vector(): y, pt.vector(): eta}
    found = evaluated(log_density(family, *given, at), given)
    expected = family.log_density(y, Mean(eta=eta, link=family.link), at)
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL)


FUNCTIONS = {
    "comparisons": lambda x: np.where((x > 0.5) & (x <= 2) | (x == -1), x, 1 - x),
    "from the right": lambda x: 2.0 / (np.ones(5) - x) + 3.0 ** (np.full(5, 1.5) * x),
    "powers": lambda x: (x**2 + 1) ** 0.5 + (x**2 + 1) ** x,
    "largest": lambda x: np.maximum(x, 0.3) - np.minimum(0.2, x) + np.abs(x),
    "logarithms": lambda x: np.log1p(np.exp(x)) + np.logaddexp(x, 1.0) + np.expm1(-x),
    "special": lambda x: special.gammaln(x + 4) + special.expit(x) * special.log_expit(-x),
    "normal": lambda x: special.ndtr(x) + special.log_ndtr(8 * x - 20),
    "roots": lambda x: np.sqrt(np.square(x) + 1) + np.arctan(x) - np.reciprocal(x + 5),
}
POINTS = np.array([-1.0, -0.3, 0.6, 1.2, 2.5])


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_numpys_words_mean_the_same_of_arrays_tensors_and_series(function):
    import pytensor.tensor as pt

    expected = function(POINTS)
    x = pt.vector()
    found = evaluated(function(Symbolic(x)).of, {x: POINTS})
    np.testing.assert_allclose(found, expected, rtol=RTOL)
    x = variable(POINTS, order=2)
    if function is FUNCTIONS["comparisons"]:  # of a series, both sides of & are arrays
        assert function(x).value == pytest.approx(expected, rel=RTOL)
    step = 1e-5
    series = function(x)
    np.testing.assert_allclose(series.value, expected, rtol=RTOL)
    slope = (function(POINTS + step) - function(POINTS - step)) / (2 * step)
    smooth = slice(1, None)  # -1 is where x == -1 jumps
    np.testing.assert_allclose(series.derivative(1)[smooth], slope[smooth], rtol=1e-8)


def test_what_a_density_may_not_do_is_an_error_and_no_wrong_number():
    import pytensor.tensor as pt

    for x in (Symbolic(pt.vector()), variable(POINTS, order=1)):
        with pytest.raises(TypeError, match=r"np\.where"):
            bool(x)
        with pytest.raises(TypeError):
            np.sinh(x)
        with pytest.raises(TypeError):
            np.cumsum(x)
        with pytest.raises(TypeError):
            np.add(x, 1.0, out=np.zeros(5))
