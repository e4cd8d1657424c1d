"""Bayes factors of terms and inequalities: quadrature, Savage and Dickey, published JZS values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import hierbayes as hb

ERRORS = 4.0
RULE = np.linspace(-7, 4, 70)  # of log sds in units of the response's sd
SLEEP = "Reaction ~ Days + (Days | Subject)"


def small(seed=3, effect=0.6):
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(6), 4), np.tile([-1.0, 0.0, 1.0, 2.0], 6)
    y = effect * x + rng.normal(size=6)[g] + rng.normal(size=24)
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "se": 1.0})


def marginal(model):
    """Log p(y) by a product rule over log sds, with dense covariance matrices."""
    spec, priors = model.spec, model.spec.priors
    X, y = spec.design.X, spec.design.y
    M = np.eye(X.shape[1])
    if priors.intercept is not None:
        M[priors.intercept] += priors.centre
    A = X @ np.linalg.inv(M)
    mean = A @ [law.mu for law in priors.beta]
    fixed = (A * [law.sigma**2 for law in priors.beta]) @ A.T
    axis = RULE + math.log(y.std())
    axes, shapes = [], []
    for factor, laws in zip(spec.design.factors, priors.sd, strict=True):
        axes.append(laws[0])
        shapes.append((factor.codes[:, None] == factor.codes).astype(float))
    if priors.sigma is not None:
        axes.append(priors.sigma)
        shapes.append(np.eye(y.size))
    else:
        fixed = fixed + np.diag(spec.design.known_sd**2)
    logs = []
    for at in np.stack(np.meshgrid(*[axis] * len(axes)), axis=-1).reshape(-1, len(axes)):
        V = fixed + sum(math.exp(2 * a) * shape for a, shape in zip(at, shapes, strict=True))
        prior = sum(
            float(law.log_density(math.exp(a))) + a for a, law in zip(at, axes, strict=True)
        )
        square = (y - mean) @ np.linalg.solve(V, y - mean)
        log_det = np.linalg.slogdet(2 * np.pi * V)[1]
        logs.append(prior - (log_det + square) / 2)
    logs = np.array(logs)
    top = logs.max()
    return top + math.log(np.exp(logs - top).sum()) + len(axes) * math.log(axis[1] - axis[0])


@pytest.mark.parametrize(
    ("formula", "drop", "options"),
    [
        ("y ~ x", "x", {}),
        ("y ~ x + (1 | g)", "x", {"known_sd": "se"}),
        pytest.param("y ~ x + (1 | g)", "(1 | g)", {}, marks=pytest.mark.slow),
    ],
)
def test_is_the_ratio_of_integrals(formula, drop, options):
    model = hb.Model(formula, small(), **options)
    found = hb.bayes_factor(model, drop=drop, random_seed=1)
    smaller = hb.Model(found.formulas[1], small(), **options)
    expected = marginal(model) - marginal(smaller)
    assert found.log_bf == pytest.approx(expected, abs=ERRORS * found.log_bf_mcse + 1e-4)


@pytest.fixture(scope="module")
def cake():
    data = hb.load_dataset("cake")
    model = hb.Model("angle ~ recipe * temp + (1 | replicate)", data)
    return model.sample(draws=250, random_seed=1)


def test_an_interaction_goes_alone_and_a_factor_with_it(cake):
    found = hb.bayes_factor(cake, drop="temp:recipe", random_seed=2)
    assert found.dropped == ("recipe:temp",)
    check = found.savage_dickey
    error = math.hypot(check.mcse, found.log_bf_mcse)
    assert check.log_bf == pytest.approx(found.log_bf, abs=ERRORS * error)
    assert found.findings == ()
    both = hb.bayes_factor(cake, drop="recipe", random_seed=2)
    assert both.dropped == ("recipe", "recipe:temp")
    assert both.formulas[1] == "angle ~ temp + (1 | replicate)"


def test_wider_priors_are_those_of_a_model_that_has_them(cake):
    found = hb.bayes_factor(cake, drop="recipe:temp", random_seed=2)
    row = found.by_width.set_index("factor").loc[2.0]
    laws = {p.name: cake.priors.of(p) for p in cake.priors.parameters if "recipe" in p.name}
    wide = {name: hb.Normal(0, 2 * law.sigma) for name, law in laws.items() if ":temp" in name}
    other = hb.Model(cake.formula_text, hb.load_dataset("cake"), priors=wide)
    again = hb.bayes_factor(
        other.sample(draws=250, random_seed=4), drop="recipe:temp", random_seed=3
    )
    error = math.hypot(row["log_bf_mcse"], again.log_bf_mcse)
    assert row["log_bf"] == pytest.approx(again.log_bf, abs=ERRORS * error)
    figure = found.plot()[0]
    assert "Log Bayes factor" in hb.plot.alt_text(figure)
    assert "all speak against the term" in str(found)


def test_random_effects_are_dropped_as_ranova_names_them():
    post = hb.Model(SLEEP, hb.load_dataset("sleepstudy")).sample(draws=250, random_seed=1)
    found = hb.bayes_factor(post, drop="Days in (Days | Subject)", random_seed=2)
    other = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    expected = hb.bayes_factor(post, other.sample(random_seed=5))
    error = math.hypot(found.log_bf_mcse, expected.log_bf_mcse)
    assert found.log_bf == pytest.approx(expected.log_bf, abs=ERRORS * error)
    assert found.savage_dickey is None
    pastes = hb.Model("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
    pastes = pastes.sample(draws=100, random_seed=1)
    inner = hb.bayes_factor(pastes, drop="(1 | cask:batch)", random_seed=1)
    assert inner.formulas[1] == "strength ~ (1 | batch)"
    with pytest.raises(hb.OptionError, match="did you mean 'Days'"):
        hb.bayes_factor(post, drop="Dayz")
    with pytest.raises(hb.OptionError, match="for a single coefficient"):
        hb.bayes_factor(post, drop="(Days | Subject)", side="less")


def test_both_sides_average_to_the_whole():
    model = hb.Model("y ~ x", small(effect=0.1)).sample(random_seed=1)
    whole, more, less = (
        hb.bayes_factor(model, drop="x", side=side, random_seed=2).log_bf
        for side in (None, "greater", "less")
    )
    assert np.mean(np.exp([more, less])) == pytest.approx(math.exp(whole), rel=0.02)
    stated = hb.bayes_factor(model, hypothesis="x > 0", random_seed=2)
    error = math.hypot(stated.log_bf_mcse, 0.01)
    assert stated.log_bf == pytest.approx(more - whole, abs=ERRORS * error)


def test_an_interval_that_the_prior_excludes_is_refused():
    model = hb.Model("y ~ x", small())
    with pytest.raises(hb.OptionError, match="none of 20000 draws of the prior"):
        hb.bayes_factor(model, hypothesis="x > 1e6", random_seed=1)
    certain = hb.bayes_factor(model, hypothesis="x > -50", random_seed=1)
    assert math.isnan(certain.log_bf_complement)
    assert "is about" in str(certain)


@pytest.mark.parametrize(
    "options", [{}, {"drop": "x", "hypothesis": "x > 0"}, {"hypothesis": "x > 0", "side": "less"}]
)
def test_one_question_at_a_time(options):
    with pytest.raises(hb.OptionError, match=r"compares a posterior|are for a term"):
        hb.bayes_factor(hb.Model("y ~ x", small()), **options)


# R's sleep: extra hours of ten people under two drugs
FIRST = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def t_test(t, n, df, r):
    """Rouder et al. (2009), equation 1, with scale r."""

    def integrand(g):
        rest = (1 + n * g * r**2) ** -0.5 * (1 + t**2 / ((1 + n * g * r**2) * df)) ** (
            -(df + 1) / 2
        )
        return rest * (2 * math.pi) ** -0.5 * g**-1.5 * math.exp(-1 / (2 * g))

    return quad(integrand, 0, np.inf, epsrel=1e-10, limit=500)[0] / (1 + t**2 / df) ** (
        -(df + 1) / 2
    )


def test_the_published_t_tests():
    """One sample of differences: 17.259, one-sided 34.417 and 0.1008; two samples: 1.266."""
    gap = FIRST - SECOND
    model = hb.Model("d ~ 1", {"d": gap})
    sides = [
        hb.bayes_factor(model, drop="(Intercept)", priors=hb.JZS(), side=side).bf
        for side in (None, "less", "greater")
    ]
    t = gap.mean() / (gap.std(ddof=1) / math.sqrt(10))
    assert sides[0] == pytest.approx(t_test(t, 10, 9, math.sqrt(0.5)), rel=1e-8)
    assert sides == pytest.approx([17.25888, 34.41694, 0.1008246], rel=1e-5)
    both = {"y": np.concatenate([FIRST, SECOND]), "g": ["a"] * 10 + ["b"] * 10}
    found = hb.bayes_factor(hb.Model("y ~ g", both), drop="g", priors=hb.JZS())
    assert found.bf == pytest.approx(1.265925, rel=1e-5)
    assert "effects of g ~ JZS(fixed=0.5" in str(found)
    assert found.by_width["log_bf"].notna().all()


def test_a_regression_is_the_integral_over_one_scale():
    """Liang et al. (2008): the Bayes factor is an integral in R squared alone."""
    frame = small().assign(z=np.cos(np.arange(24.0)))
    found = hb.bayes_factor(hb.Model("y ~ x + z", frame), drop="x", priors=hb.JZS())
    r = math.sqrt(2) / 4

    def against_mean(columns):
        X = np.column_stack([np.ones(24), *(frame[c] for c in columns)])
        y = frame["y"].to_numpy()
        left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        share = left @ left / np.sum((y - y.mean()) ** 2)
        n, p, b = 24, len(columns), 24 * r**2 / 2

        def integrand(g):
            log = (n - p - 1) / 2 * math.log1p(g) - (n - 1) / 2 * math.log1p(share * g)
            return math.exp(log + math.log(b) / 2 - math.lgamma(0.5) - 1.5 * math.log(g) - b / g)

        return quad(integrand, 0, np.inf, epsrel=1e-10, limit=500)[0]

    assert found.bf == pytest.approx(against_mean(["x", "z"]) / against_mean(["z"]), rel=1e-7)


@pytest.mark.slow
def test_an_analysis_of_variance_is_the_integral_over_two_scales():
    data = {
        "y": np.concatenate([FIRST, SECOND]),
        "g": ["a"] * 10 + ["b"] * 10,
        "id": list("abcdefghij") * 2,
    }
    found = hb.bayes_factor(hb.Model("y ~ g + (1 | id)", data), drop="g", priors=hb.JZS())
    y = data["y"]
    one = np.repeat([-1.0, 1.0], 10)[:, None] / math.sqrt(2)
    people = np.tile(np.eye(10), (2, 1))

    def integral(blocks):
        axis = np.arange(-12, 14, 0.25)
        total = 0.0
        for at in np.stack(np.meshgrid(*[axis] * len(blocks)), axis=-1).reshape(-1, len(blocks)):
            V = np.eye(20) + sum(
                math.exp(a) * Z @ Z.T for a, (Z, _) in zip(at, blocks, strict=True)
            )
            ones = np.linalg.solve(V, np.ones(20))
            left = y @ np.linalg.solve(V, y) - (ones @ y) ** 2 / ones.sum()
            log = -np.linalg.slogdet(V)[1] / 2 - math.log(ones.sum()) / 2 - 19 / 2 * math.log(left)
            for a, (_, r) in zip(at, blocks, strict=True):
                log += math.log(r**2 / 2) / 2 - math.lgamma(0.5) - a / 2 - r**2 / 2 * math.exp(-a)
            total += math.exp(log) * 0.25
        return total if len(blocks) == 1 else total * 0.25

    expected = integral([(one, 0.5), (people, 1.0)]) / integral([(people, 1.0)])
    assert found.bf == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("y ~ x + (x | g)", "has random slopes"),
        ("y ~ x * g", "product of a factor and a number"),
    ],
)
def test_models_that_standardised_effects_do_not_cover(formula, reason):
    with pytest.raises(hb.NotSupportedError, match=reason):
        hb.bayes_factor(hb.Model(formula, small()), drop="x", priors=hb.JZS())


def test_a_scale_is_a_positive_number():
    with pytest.raises(hb.PriorError, match="must be positive"):
        hb.JZS(fixed=-1)
