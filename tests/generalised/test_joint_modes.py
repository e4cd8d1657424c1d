"""Steps and integrals level by level are those of the whole system and of every node."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes.generalised_density import generalised_target, start_of
from hierbayes.generalised.chain_integrals import integrals
from hierbayes.generalised.conditional import conditional
from hierbayes.generalised.joint_modes import Effects, _Search, no_effects, places
from hierbayes.generalised.row_sums import LevelIntegrals

RNG = np.random.default_rng(2)
G, H = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8)
X = RNG.standard_normal(40)
RESPONSES = {
    "bernoulli": RNG.integers(0, 2, 40),
    "poisson": RNG.poisson(2.0, 40),
    "negativebinomial": RNG.poisson(2.0, 40),
}


def target_and_points(family, formula, T):
    data = {"y": RESPONSES[family], "x": X, "g": G, "h": H}
    model = hb.Model(formula, data, family)
    target = generalised_target(conditional(model.design, model.spec.family), model.spec.priors)
    x = start_of(target) + 0.2 * RNG.standard_normal((T, start_of(target).size))
    return target, target.points(x)


FORMULAS = ["y ~ x + (x | g)", "y ~ x + (x | g) + (x | h)"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_integrals_and_moments_are_those_of_the_nodes(family, formula):
    target, at = target_and_points(family, formula, 70)  # more than are worked on at once
    rows = target.rows
    found = places(rows, at, no_effects(rows, at.size))
    moved = 0.3 * RNG.standard_normal((at.size, rows.n_kept))
    there = rows.with_kept(at, found.effects.c + moved)
    own = integrals(rows, there, found, 4, moved=moved)
    assert isinstance(own, LevelIntegrals)
    vars(rows)["sums"] = None
    nodes = integrals(rows, there, found, 4, moved=moved)
    np.testing.assert_allclose(own.log_levels, nodes.log_levels, rtol=1e-11)
    for one, other in zip(own.moments(), nodes.moments(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("family", RESPONSES)
def test_steps_solve_the_whole_system(family, formula):
    target, at = target_and_points(family, formula, 3)
    rows, T = target.rows, at.size
    u = 0.5 * RNG.standard_normal((8, T, 2))
    c = 0.5 * RNG.standard_normal((T, rows.n_kept))
    found = _Search(rows, at).around(Effects(u=(u,), c=c))

    levels, chain = rows.model.levels, rows.chain[0]
    for t in range(T):
        M = np.zeros((40, 16 + rows.n_kept))  # columns of all spherical effects
        for i in range(40):
            first = 2 * rows.codes[0][i]
            M[i, first : first + 2] = levels.z[chain][:, i] @ at.Lambdas[chain][t]
            for f, part, _, q in rows.kept_pattern.slices:
                first = 16 + part.start + q * levels.codes[f][i]
                M[i, first : first + q] = levels.z[f][:, i] @ at.Lambdas[f][t]
        every = np.concatenate([u[:, t].ravel(), c[t]])
        eta = at.base.eta()[:, [t]] + (M @ every)[:, None]
        _, slope, weight = rows.model.second_order(eta, at.phi[[t]])
        counts = rows.row_counts
        A = np.eye(every.size) + M.T @ (M * (counts * weight[:, 0])[:, None])
        fall = M.T @ (counts * slope[:, 0]) - every
        step = np.concatenate([found.step.u[0][:, t].ravel(), found.step.c[t]])
        np.testing.assert_allclose(step, np.linalg.solve(A, fall), rtol=1e-9, atol=1e-11)
