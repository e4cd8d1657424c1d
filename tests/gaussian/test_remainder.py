"""Between-group sds far above the residual's, against the same algebra in exact fractions."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.marginal import derivatives, evaluate
from hierbayes.gaussian.products import residual_response, with_response
from hierbayes.gaussian.responses import ResponseProducts

# formula, number of levels with one row only (no slope of its own can be told from them)
CASES = {
    "intercept": ("y ~ x + (1 | a)", 0),
    "slopes": ("y ~ x + (x | a)", 0),
    "slopes_of_single_rows": ("y ~ x + (x | a)", 3),
    "nested": ("y ~ x + (1 | a / b)", 0),
    "crossed": ("y ~ x + (1 | a) + (1 | c)", 0),
}


def model_of(case, ratio, *, seed=5):
    rng = np.random.default_rng(seed)
    formula, single = CASES[case]
    a = np.concatenate([np.repeat(np.arange(5), 5), 5 + np.arange(single)])
    n = a.size
    b, c = rng.integers(0, 2, n), rng.integers(0, 3, n)
    x = np.round(rng.normal(size=n), 3)
    u = ratio * rng.normal(size=(4, 10))
    y = u[0, a] + rng.normal(size=n)
    y = y + u[1, a] * x * ("x |" in formula) + u[2, c] * ("| c" in formula)
    y = y + ratio * rng.normal(size=(10, 2))[a, b] * ("/ b" in formula)
    frame = {"y": y, "x": x}
    for name, codes in (("a", a), ("b", b), ("c", c)):
        frame[name] = [f"{name}{code}" for code in codes]
    return hb.Model(formula, frame)


def exact(model, theta):
    """REML criterion, beta and r^2 at theta in the basis of the products, by fractions."""
    kernel, design = model.spec.kernel("reml"), model.design
    anchor = kernel.products.anchor
    n = design.y.size
    V = np.array([[Fraction(int(i == j)) for j in range(n)] for i in range(n)])
    for f, factor in enumerate(design.factors):
        Lambda = fractions(kernel.shape.unpack(theta[None])[f][0])
        root = fractions(factor.z @ anchor.z_bases[f]) @ Lambda
        V = V + np.where(factor.codes[:, None] == factor.codes, root @ root.T, Fraction(0))
    columns = np.column_stack(
        [design.X[:, anchor.kept] @ anchor.x_basis, residual_response(design, anchor)]
    )
    C = fractions(columns)
    log_det, solved = eliminated(V, C)
    G = C.T @ solved
    p = G.shape[0] - 1
    log_det_x, beta = eliminated(G[:p, :p], G[:p, p:])
    r2 = G[p, p] - G[p, :p] @ beta[:, 0]
    basis = 2 * np.log(np.abs(np.diag(anchor.x_basis))).sum()
    criterion = log_det + log_det_x - basis
    criterion += (n - p) * (1 + math.log(2 * math.pi / (n - p)) + logarithm(r2))
    return criterion, beta[:, 0].astype(float), float(r2)


def fractions(array):
    return np.array([[Fraction(v) for v in row] for row in np.asarray(array)])


def logarithm(x):
    return math.log(x.numerator) - math.log(x.denominator)


def eliminated(V, right):
    """Log det V and V^-1 times right sides, by Gauss-Jordan elimination."""
    A = np.concatenate([V, right], axis=1)
    log_det = 0.0
    for i in range(V.shape[0]):
        log_det += logarithm(A[i, i])
        A[i, i:] = A[i, i:] / A[i, i]
        others = [k for k in range(V.shape[0]) if k != i and A[k, i] != 0]
        for k in others:
            A[k, i:] = A[k, i:] - A[k, i] * A[i, i:]
    return log_det, A[:, V.shape[0] :]


def theta_of(model, ratio):
    kernel = model.spec.kernel("reml")
    theta = np.where(kernel.shape.is_diagonal, ratio, 0.3 * ratio)
    return theta * (1 + 0.1 * np.arange(theta.size))


@pytest.mark.parametrize(
    ("case", "ratio", "atol"),
    [
        ("intercept", 1e5, 1e-7),
        ("intercept", 1e7, 1e-7),
        ("slopes", 1e5, 1e-7),
        ("slopes", 1e7, 1e-6),
        ("slopes_of_single_rows", 1e7, 1e-6),
        ("nested", 1e4, 1e-5),
        ("crossed", 1e4, 1e-5),
    ],
)
def test_criterion_and_estimates_have_their_digits_at_any_ratio_of_sds(case, ratio, atol):
    model = model_of(case, ratio)
    kernel = model.spec.kernel("reml")
    assert kernel.remainder is not None
    theta = theta_of(model, ratio)
    at = evaluate(kernel, theta[None])
    criterion, beta, r2 = exact(model, theta)
    assert at.criterion[0] == pytest.approx(criterion, abs=atol)
    assert at.pwrss[0] == pytest.approx(r2, rel=atol)
    errors = np.sqrt(r2 * np.diag(np.linalg.inv(at.root_xvx[0] @ at.root_xvx[0].T)))
    np.testing.assert_allclose(at.beta[0] / errors, beta / errors, atol=max(atol, 1e-6))


@pytest.mark.parametrize("case", ["intercept", "slopes", "nested", "crossed"])
def test_both_ways_agree_where_both_have_their_digits(case):
    model = model_of(case, 2e3)
    kernel = model.spec.kernel("reml")
    assert kernel.remainder is not None
    ordinary = replace(kernel, products=replace(kernel.products, remainder=None))
    theta = np.stack([theta_of(model, ratio) for ratio in (0.5, 3.0, 100.0)])
    ours, other = evaluate(kernel, theta), evaluate(ordinary, theta)
    np.testing.assert_allclose(ours.criterion, other.criterion, rtol=1e-9)
    np.testing.assert_allclose(ours.beta, other.beta, rtol=1e-7, atol=1e-7)
    slopes, plain = derivatives(kernel, ours), derivatives(ordinary, other)
    for name in ("gradient", "curvature"):
        found, expected = getattr(slopes, name), getattr(plain, name)
        size = np.abs(expected).max(axis=tuple(range(1, expected.ndim)), keepdims=True)
        np.testing.assert_allclose(found / size, expected / size, atol=1e-7)


@pytest.mark.parametrize("case", ["intercept", "slopes"])
def test_the_gradient_is_the_slope_of_the_criterion(case):
    ratio, step = 1e6, 1e-4
    model = model_of(case, ratio)
    kernel = model.spec.kernel("reml")
    theta = theta_of(model, ratio)
    gradient = derivatives(kernel, evaluate(kernel, theta[None])).gradient[0]
    around = theta + step * ratio * np.concatenate([np.eye(theta.size), -np.eye(theta.size)])
    up, down = np.split(evaluate(kernel, around).criterion, 2)
    np.testing.assert_allclose(gradient * ratio, (up - down) / (2 * step), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("case", ["slopes", "crossed"])
def test_many_responses_are_evaluated_as_one_at_a_time(case):
    model = model_of(case, 1e4)
    kernel, design = model.spec.kernel("reml"), model.design
    ys = np.stack([design.y, model_of(case, 1e4, seed=5).design.y * 1.5 + 3], axis=1)
    responses = ResponseProducts(kernel.products, design, None).of(ys)
    batch = replace(kernel, responses=responses)
    theta = np.repeat(theta_of(model, 1e4)[None], 2, axis=0)
    together = evaluate(batch, theta)
    for t in range(2):
        products = with_response(kernel.products, design, weights=None, y=ys[:, t])
        assert products.remainder is not None
        alone = evaluate(replace(kernel, products=products), theta[:1])
        assert together.criterion[t] == pytest.approx(alone.criterion[0], rel=1e-9)


def test_ordinary_ratios_and_means_far_from_zero_take_no_remainder():
    for case in CASES:
        assert model_of(case, 3.0).spec.kernel("reml").remainder is None
    model = model_of("slopes", 3.0)
    assert model.with_response(model.design.y + 1e9).spec.kernel("reml").remainder is None


@pytest.mark.parametrize("formula", ["y ~ x + (x | a) + (1 | c)", "y ~ x + (1 | a) + (x | c)"])
def test_the_products_of_crossed_factors_settle_what_is_ordinary_and_miss_nothing(
    formula, monkeypatch
):
    rng = np.random.default_rng(3)
    a, c = (codes.ravel() for codes in np.indices((60, 40)))
    x, e = rng.normal(size=a.size), rng.normal(size=a.size)
    effects = rng.normal(size=60)[a] + rng.normal(size=40)[c]
    frame = {"x": x, "a": np.char.mod("a%d", a), "c": np.char.mod("c%d", c)}
    for ratio, is_far in ((1e4, True), (10.0, False)):
        model = hb.Model(formula, frame | {"y": x + ratio * effects + e})
        if not is_far:  # no row is swept
            monkeypatch.delattr("hierbayes.gaussian.products.LevelRows")
        assert (model.spec.kernel("reml").remainder is not None) == is_far


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_way_taken_has_no_unit(unit):
    for ratio in (10.0, 1e5):
        plain = model_of("slopes", ratio)
        scaled = plain.with_response(plain.design.y * unit)
        found = [m.spec.kernel("reml").remainder is None for m in (plain, scaled)]
        assert found == [ratio == 10.0] * 2


@pytest.mark.parametrize("ratio", [1.0, 1e6])
def test_models_without_fixed_effects_have_their_digits_too(ratio):
    rng = np.random.default_rng(0)
    g, e = np.repeat(np.arange(10), 4), rng.normal(size=40)
    fit = hb.lmer("y ~ 0 + (1 | g)", {"y": ratio * rng.normal(size=10)[g] + e, "g": g})
    left = e - e.reshape(10, 4).mean(axis=1)[g]
    assert fit.sigma == pytest.approx(np.sqrt((left**2).sum() / 30), rel=1e-6)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [1e6, 1e7])
@pytest.mark.parametrize("single", [3, 10])
def test_sigma_and_sds_are_right_where_levels_have_fewer_rows_than_columns(ratio, single, reml):
    """Far away sigma is that of the levels' own lines, and all sds grow with the ratio."""
    rng = np.random.default_rng(3)
    g = np.concatenate([np.repeat(np.arange(9), 5), 9 + np.arange(single)])
    x, u = np.round(rng.normal(size=g.size), 3), rng.normal(size=(2, 9 + single))
    e = np.zeros(g.size)
    for level in range(9):
        own = np.column_stack([np.ones(5), x[g == level]])
        noise = rng.normal(size=5)
        e[g == level] = noise - own @ np.linalg.lstsq(own, noise)[0]
    fits = [
        hb.lmer("y ~ x + (x | g)", {"y": r * (u[0, g] + u[1, g] * x) + e, "x": x, "g": g}, reml)
        for r in (3e3, ratio)
    ]
    assert fits[1].sigma == pytest.approx(np.sqrt(e @ e / 27), rel=1e-6)
    near, far = (np.array(fit.theta) * fit.sigma for fit in fits)
    np.testing.assert_allclose(far / ratio, near / 3e3, rtol=1e-5)


def test_a_refit_far_away_keeps_the_digits_of_levels_with_fewer_rows_than_columns():
    far = model_of("slopes_of_single_rows", 1e7)
    model = model_of("slopes_of_single_rows", 3.0).with_response(far.design.y)
    theta = theta_of(model, 1e7)
    criterion, _, r2 = exact(model, theta)
    at = evaluate(model.spec.kernel("reml"), theta[None])
    assert at.criterion[0] == pytest.approx(criterion, abs=1e-6)
    assert at.pwrss[0] == pytest.approx(r2, rel=1e-6)


def short_levels_beside_a_factor(ratio, rows):
    rng = np.random.default_rng(1)
    g = np.concatenate([np.repeat(np.arange(9), 8), np.repeat(9 + np.arange(3), rows)])
    h, x = rng.integers(0, 5, g.size), np.round(rng.normal(size=g.size), 3)
    x[g >= 9] = 0.1 * g[g >= 9]  # one value a level tells no slope, however many rows
    in_g, in_h = (codes[:, None] == np.unique(codes) for codes in (g, h))
    Z = np.column_stack([in_g, in_g * x[:, None], in_h])
    axes, sizes, _ = np.linalg.svd(Z, full_matrices=False)
    fitted, e = axes[:, sizes > 1e-10 * sizes[0]], rng.normal(size=g.size)
    for _ in range(2):
        e = e - fitted @ (fitted.T @ e)
    y = ratio * (Z @ rng.normal(size=Z.shape[1])) + e
    model = hb.Model("y ~ x + (x | g) + (1 | h)", {"y": y, "x": x, "g": g, "h": h})
    return model, np.sqrt(e @ e / (g.size - fitted.shape[1]))


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("rows", [1, 4])
def test_short_levels_beside_a_factor_are_right_below_the_bound_and_refused_above(rows, method):
    (near, _), (far, sigma), (beyond, _) = (
        short_levels_beside_a_factor(ratio, rows) for ratio in (1e3, 2e3, 1e4)
    )
    fits = [model.fit(method) for model in (near, far)]
    assert fits[1].sigma == pytest.approx(sigma, rel=1e-5)
    at_near, at_far = (np.array(fit.theta) * fit.sigma for fit in fits)
    np.testing.assert_allclose(at_far / 2, at_near, rtol=1e-4)
    for estimator in (lambda: beyond.fit(method), beyond.sample):
        with pytest.raises(hb.DataError, match=r"residuals have less than 1/5e\+03 of its sd"):
            estimator()
