"""Integrating out by patterns of levels is the same function as level by level."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.marginal import reduce
from hierbayes.gaussian.patterns import PatternFactor, integrate, patterns_of

SAME_FORMULA = 1e-11  # relative: the same sums in another order


def unbalanced():
    """Levels of two sizes, mixed."""
    rng = np.random.default_rng(3)
    sizes = np.where(rng.random(60) < 0.4, 3, 7)
    g = np.repeat(np.arange(60), sizes)
    return pd.DataFrame({"y": rng.standard_normal(g.size) + g % 5, "g": g})


@pytest.mark.parametrize(
    ("formula", "data", "n_patterns"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", 1),
        ("y ~ 1 + (1 | g)", unbalanced(), 2),
    ],
)
def test_patterns_give_the_same_determinant_gram_matrix_and_solutions(formula, data, n_patterns):
    frame = hb.load_dataset(data) if isinstance(data, str) else data
    kernel = hb.Model(formula, frame).spec.kernel("reml")
    patterns = patterns_of(kernel)
    assert patterns.counts.size == n_patterns
    rng = np.random.default_rng(1)
    q = kernel.shape.sizes[0]
    Lambda = rng.standard_normal((4, q, q))  # any root, not only a triangle
    slow, quick = reduce(kernel, [Lambda], n_batch=4), integrate(kernel, patterns, Lambda)
    np.testing.assert_allclose(quick.log_det, slow.log_det, rtol=SAME_FORMULA)
    np.testing.assert_allclose(
        quick.gram_xy, slow.gram_xy, rtol=1e-9, atol=SAME_FORMULA * np.abs(kernel.gram_xy).max()
    )
    right = [rng.standard_normal((4, *kernel.products.zz[0].shape[:2], 2))]
    factor = PatternFactor(patterns, Lambda)
    half = slow.factor.half_solve(right)
    np.testing.assert_allclose(factor.half_solve(right)[0], half[0], rtol=1e-9, atol=1e-12)
    back = slow.factor.back_solve(half)
    np.testing.assert_allclose(factor.back_solve(half)[0], back[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "data", "options"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"weights": np.arange(1.0, 181.0)}),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    ],
)
def test_levels_that_share_nothing_have_no_patterns(formula, data, options):
    assert (
        patterns_of(hb.Model(formula, hb.load_dataset(data), **options).spec.kernel("reml")) is None
    )
