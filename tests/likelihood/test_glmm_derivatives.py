"""Gradients and Hessians of generalised likelihoods: every family, link and structure."""

import numpy as np
import pytest

from hierbayes.arrays import FloatArray
from hierbayes.likelihood.glmm_search import Search, hessian
from tests.likelihood.glmm_cases import FAMILY_LINKS, STRUCTURES
from tests.likelihood.test_glmm import slope_error, somewhere

SEVERAL = ("slope", "nested", "crossed")
STEP = 0.004  # of the second differences, where a step changes the value by its square
# What such a step leaves where the likelihood bends most, as a part of the largest curvature.
RTOL = 1e-4


def bend_error(search: Search, x: FloatArray) -> float:
    """Difference of the Hessian along a direction from that of values, against its size."""
    at = search.criterion(x)
    H = hessian(search, x, at, np.ones(x.size, dtype=np.bool_))
    along = np.random.default_rng(1).normal(size=x.size)
    along /= np.sqrt(np.abs(along @ H @ along))  # so that a step changes the value by its square
    steps = [search.criterion(x + k * STEP * along).value for k in (-2, -1, 0, 1, 2)]
    second = np.dot([-1, 16, -30, 16, -1], steps) / (12 * STEP**2)
    return float(abs(along @ H @ along - second))


# Links with means that are impossible, and an sd that leaves the means of all levels possible.
BOUNDED, SMALL = {"identity", "inverse", "inverse_squared", "sqrt", "log"}, 0.01


@pytest.mark.slow
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
def test_every_family_with_every_link_and_structure(family: str, link: str, structure: str) -> None:
    sd = SMALL if link in BOUNDED else 0.3
    for n_quadrature in (1, 3) if structure != "crossed slope" else (1,):
        assert slope_error(*somewhere(family, link, structure, n_quadrature, sd), sd * 2e-3) < 1e-6
    # near the ends of an identity link the fourth derivative is large: half of this of an SE
    assert bend_error(*somewhere(family, link, structure, 1, sd)) < 5 * RTOL


# one structure each, in turn
@pytest.mark.parametrize(
    ("family", "link", "structure"),
    [(*case, SEVERAL[i % len(SEVERAL)]) for i, case in enumerate(FAMILY_LINKS)],
)
def test_gradient_with_slopes_and_several_factors(family: str, link: str, structure: str) -> None:
    assert slope_error(*somewhere(family, link, structure, 1)) < 1e-6


@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
def test_hessian_of_every_family_and_link(family: str, link: str) -> None:
    assert bend_error(*somewhere(family, link, "one", 1)) < RTOL


@pytest.mark.parametrize("n_quadrature", [0, 1, 4])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_hessian_on_every_structure(structure: str, n_quadrature: int) -> None:
    assert bend_error(*somewhere("negativebinomial", "log", structure, n_quadrature)) < RTOL
