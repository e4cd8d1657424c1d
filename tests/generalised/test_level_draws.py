"""Effects drawn level by level, and proposals matched to moments, are those of numpy."""

import numpy as np
import pytest

from hierbayes.bayes.generalised_effects import draw_chain
from hierbayes.generalised.chain_integrals import proposal
from hierbayes.generalised.joint_modes import no_effects, places
from hierbayes.generalised.level_draws import matched
from tests.generalised.test_joint_modes import FORMULAS, target_and_points


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_draws_of_the_same_numbers_are_the_same(family, formula):
    target, at = target_and_points(family, formula, 70)  # more than are worked on at once
    rows = target.rows
    found = places(rows, at, no_effects(rows, at.size))
    there, alone = rows.with_kept(at, found.effects.c), rows.without_kept()
    around = proposal(rows, there, found, np.zeros((at.size, rows.n_kept)))
    compiled = draw_chain(alone, there, None, around, 3, np.random.default_rng(1))
    vars(alone)["sums"] = None
    plain = draw_chain(alone, there, None, around, 3, np.random.default_rng(1))
    assert compiled.possible.all()
    np.testing.assert_allclose(compiled.u[0], plain.u[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("q", [1, 3])
def test_matched_roots_have_the_covariance_and_a_little_of_the_curvatures(q):
    rng = np.random.default_rng(q)
    J, T = 4, 5
    L, C = np.tril(rng.uniform(0.5, 2, (2, J, T, q, q)))
    covariance = C @ np.swapaxes(C, 2, 3)
    covariance[0, 0] = np.nan
    covariance[1, 1] = 1e12 * np.eye(q)
    centre, mean = rng.standard_normal((2, J, T, q))
    found = matched(L, centre, mean, covariance, floor=0.01, widest=1e6)
    inverse = np.linalg.inv(L @ np.swapaxes(L, 2, 3))
    none = np.zeros((J, T), dtype=bool)
    none[0, 0] = none[1, 1] = True
    wanted = np.where(none[..., None, None], inverse, covariance + 0.01 * inverse)
    np.testing.assert_allclose(found.root @ np.swapaxes(found.root, 2, 3), wanted, rtol=1e-9)
    np.testing.assert_allclose(found.log_det, 0.5 * np.linalg.slogdet(wanted)[1], atol=1e-10)
    assert np.array_equal(found.mean, np.where(none[..., None], centre, mean))
