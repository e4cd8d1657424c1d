"""The density that is compiled for all models: against PyMC, differences and known answers."""

import warnings
from typing import get_args

import numpy as np
import pytest
from scipy.stats import norm

import hierbayes as hb
from hierbayes.bayes.hierarchical_kernel import AT, OF_FACTOR
from hierbayes.bayes.hierarchical_nuts import _parameters, hierarchical_density
from hierbayes.bayes.hierarchical_parameters import SignedScale
from hierbayes.bayes.tape_kernel import BLOCK, CODES, backwards, forwards
from hierbayes.bayes.whitening import whitened
from hierbayes.families import series
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.family import Mean
from hierbayes.families.recorded import Recorder
from hierbayes.naming.variable_names import factor_variables
from hierbayes.options import Family
from tests.bayes import reference_models
from tests.pymc_density import pymc_density

ROWS = 36
QUICK = ("poisson", "negativebinomial", "cumulative", "bernoulli", "gaussian", "beta_binomial")
NAMES = [name for name in get_args(Family) if name != "categorical"]


def response(family, rng):
    """A response that the family may have."""
    if FAMILIES[family].is_ordinal:
        return np.tile([1.0, 2.0, 3.0], ROWS // 3)
    if FAMILIES[family].counts_trials:
        return rng.integers(0, 5, ROWS).astype(float)
    if family == "bernoulli":
        return rng.integers(0, 2, ROWS).astype(float)
    if family == "beta":
        return rng.uniform(0.1, 0.9, ROWS)
    if family.endswith("lognormal"):
        return np.exp(1 + rng.gamma(2.0, size=ROWS))
    if family == "vonmises":
        return rng.uniform(-3, 3, ROWS)
    if FAMILIES[family].is_discrete:
        return rng.poisson(2.0, ROWS).astype(float)
    return rng.gamma(2.0, size=ROWS)


def model_of(family, link=None, formula="y ~ x + (x | g) + (1 | h)", **options):
    rng = np.random.default_rng(7)
    data = {
        "y": response(family, rng),
        "size": np.full(ROWS, 6.0),
        "x": rng.standard_normal(ROWS),
        "g": np.repeat(np.arange(6), 6),
        "h": np.tile(np.arange(4), 9),
    }
    if FAMILIES[family].counts_trials:
        formula = formula.replace("y ~", "cbind(y, size - y) ~")
    return hb.Model(formula, data, family=family, link=link, **options)


def near_start(target, *, spread=0.3, seed=3):
    """A point near the parameters that a search starts from, all sds above zero."""
    from hierbayes.bayes.whitening import _start

    rng = np.random.default_rng(seed)
    w = spread * rng.standard_normal(target.size)
    w[: target.d] += _start(target)
    n = sum(map(len, target.spaces[0].sd_supports))
    w[:n] = np.abs(w[:n])
    return w


def slope_by_differences(function, w, k, step=1e-4):
    e = np.zeros(w.size)
    e[k] = step
    near, far = (function(w + s * e) - function(w - s * e) for s in (1, 2))
    return (8 * near - far) / (12 * step)


def predictors_of(target, model):
    """What names begin with, design, places and rows of each linear predictor."""
    designs = [("", model.design)]
    designs += [(f"{name}_", model.design.of(name)) for name in model.design.formulas]
    return [
        (*pair, places, space.model)
        for pair, places, space in zip(designs, target.placed, target.spaces, strict=True)
    ]


def user_values(target, model, w):
    """What PyMC calls its variables, at a point of coordinates that are not mixed."""
    shared, effects = _parameters(target, w[None])
    found, start = {}, 0
    for before, design, places, rows in predictors_of(target, model):
        if places.beta.size:
            found[f"{before}beta"] = shared[0, places.beta]
        found |= {name: shared[0, at] for name, at in places.family.items()}
        names = factor_variables([factor.name for factor in design.factors])
        for f, factor in enumerate(design.factors):
            at = places.user_roots[f]
            root = np.where(at >= 0, shared[0, at], 0.0)
            sd = np.sqrt((root**2).sum(axis=1))
            name = names[factor.name]
            found[f"{before}sd_{name}"] = sd
            if len(sd) > 1:
                R = root / sd[:, None]
                found[f"{before}corr_{name}"] = R @ R.T
            J = factor.levels.size
            b = effects[0, start : start + J * len(sd)].reshape(J, -1)
            found[f"{before}b_{name}"] = b @ rows.z_bases[f].T
            start += J * len(sd)
    return found


def parameter_vector(target, model, x):
    """Parameters on the user's scale as independent numbers (d,)."""
    w = np.zeros(target.size)
    w[: x.size] = x
    parts = []
    for name, value in user_values(target, model, w).items():
        if "corr_" in name:
            parts.append(value[np.tril_indices(len(value), -1)])
        elif not name.startswith(("b_", "sigma_b_", "alpha_b_", "zi_b_")):
            parts.append(np.ravel(value))
    return np.concatenate(parts)


def expected_log_density(target, model, w, density=None):
    """PyMC's density of the user's parameters, carried over to the coordinates."""
    density = pymc_density(model) if density is None else density
    total = density(user_values(target, model, w))
    x = w[: target.d]
    jacobian = np.stack(
        [
            slope_by_differences(lambda x: parameter_vector(target, model, x), x, k, step=1e-3)
            for k in range(x.size)
        ],
        axis=1,
    )
    total += np.linalg.slogdet(jacobian)[1]
    shared, _ = _parameters(target, w[None])
    for _, design, places, _ in predictors_of(target, model):
        for factor, at in zip(design.factors, places.user_roots, strict=True):
            root = np.where(at >= 0, shared[0, at], 0.0)
            total += factor.levels.size * np.linalg.slogdet(root)[1]
    supports = [s for space in target.spaces for own in space.sd_supports for s in own]
    signed = [s for s in supports if isinstance(s, SignedScale)]
    return total - len(signed) * np.log(2)


@pytest.mark.parametrize(
    "family", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]
)
def test_the_density_is_that_of_to_pymc(family):
    pytest.importorskip("pymc")
    link = "log" if FAMILIES[family].link.may_have_no_mean else None
    model = model_of(family, link)
    target = hierarchical_density(model.spec)
    w = near_start(target)
    found, _ = target.evaluate(w)
    assert found == pytest.approx(expected_log_density(target, model, w), rel=1e-9, abs=1e-8)


WITH_FORMULAS = [
    pytest.param("gaussian", {"sigma": "~ x + (x | g) + (1 | h)", "weights": "exp(x)"}, id="sigma"),
    pytest.param(
        "negativebinomial", {"alpha": "~ 0 + factor(h)"}, id="alpha", marks=pytest.mark.slow
    ),
    pytest.param("zero_inflated_poisson", {"zi": "~ x + (1 | g)"}, id="zi", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("family", "options"), WITH_FORMULAS)
def test_formulas_of_parameters_have_the_density_of_to_pymc(family, options):
    """At several points, with exact slopes there."""
    pytest.importorskip("pymc")
    model = model_of(family, None, "y ~ x + (1 | g)", **options)
    target = hierarchical_density(model.spec)
    density = pymc_density(model)
    for seed in (3, 4, 5):
        w = near_start(target, seed=seed)
        found, gradient = target.evaluate(w)
        expected = expected_log_density(target, model, w, density)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-8)
    for k in range(target.size):
        slope = slope_by_differences(lambda w: target.evaluate(w)[0], w, k)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_other_units_of_the_response_move_the_intercept_of_sigma_alone():
    c = 1000.0
    before = model_of("gaussian", None, "y ~ x + (x | g)", sigma="~ x + (1 | g)")
    after = before.with_response(c * before.design.y)
    one, other = (hierarchical_density(model.spec) for model in (before, after))
    w = near_start(one)
    moved = w.copy()
    moved[one.d - 2 : one.d] += np.linalg.solve(one.model.predictors[0].x_basis, [np.log(c), 0])
    expected = one.evaluate(w)[0] - ROWS * np.log(c)
    assert other.evaluate(moved)[0] == pytest.approx(expected, rel=1e-10)


PAIRS = [(name, link) for name in NAMES for link in FAMILIES[name].link_names]


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_the_gradient_is_that_of_differences(family, link):
    """In coordinates around the start, where all parts of the transforms count."""
    target = hierarchical_density(model_of(family, link).spec)
    # an inverse link is steep near zero, where differences are not slopes
    w = possible(target, near_start(target, spread=0.02 if link == "inverse" else 0.3))
    value, gradient = target.evaluate(w)
    assert np.isfinite(value)
    for k in range(target.size):
        slope = slope_by_differences(lambda w: target.evaluate(w)[0], w, k)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def possible(target, w):
    """The point, or one nearer to the start, whose means are possible."""
    from hierbayes.bayes.whitening import _start

    centre = np.zeros(w.size)
    centre[: target.d] = _start(target)
    for _ in range(20):
        if np.isfinite(target.evaluate(w)[0]):
            return w
        w = centre + (w - centre) / 2
    raise AssertionError("no possible means")


def rayleigh():
    def log_density(y, mean, at):
        r = np.pi * y / (2 * mean.mu)
        return np.log(r / mean.mu) - r * y / (2 * mean.mu)

    family = hb.Family(
        name="rayleigh",
        links=("log",),
        log_density=log_density,
        draw=lambda rng, mu, at: rng.rayleigh(mu * np.sqrt(2 / np.pi)),
        support=hb.Support("positive numbers", lambda y: y > 0),
    )
    data = {"y": 1 + np.arange(24.0) % 7, "x": np.arange(24) % 5, "g": np.arange(24) % 6}
    return hb.Model("y ~ x + (1 | g)", data, family=family)


def touch():
    return hb.psychometric(
        "faster ~ speed + (1 | subject)",
        hb.load_dataset("touch_speed"),
        stimulus="speed",
        guess="estimate",
        lapse="estimate",
        n="trials",
    )


@pytest.mark.parametrize("build", [rayleigh, touch])
def test_families_of_ones_own_and_psychometric_functions_have_their_density(build):
    """Value and slopes against the family's own, at the same place."""
    target = hierarchical_density(build().spec)
    w = near_start(target, spread=0.1)
    room, model = target.room(), target.model
    value, gradient = target.evaluate(w, room)
    at = int(target.ints[AT.w_eta])
    shared, _ = _parameters(target, w[None])
    given = {name: shared[0, k] for name, k in target.placed[0].family.items()}
    if model.trials is not None:
        given["trials"] = model.trials
    eta = room[at : at + model.y.size]
    mean = Mean(eta=eta, link=model.family.link)
    rows = np.asarray(model.family.log_density(model.y, mean, given))
    counts = 1.0 if model.counts is None else model.counts
    u = target.effects_at(0, room, OF_FACTOR.w_u)
    log_prior = shared[0, target.ints[AT.log_prior]] + norm.logpdf(u).sum()
    assert value == pytest.approx((counts * rows).sum() + log_prior, rel=1e-11)
    for k in range(target.size):
        slope = slope_by_differences(lambda w: target.evaluate(w)[0], w, k)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_a_density_in_other_words_is_for_pymc():
    family = hb.Family(
        name="pointed",
        links=("identity",),
        is_smooth=False,
        log_density=lambda y, mean, at: -np.hypot(1.0, y - mean.mu),
        draw=lambda rng, mu, at: rng.normal(mu),
        add_likelihood=lambda name, eta, **given: None,
    )
    data = {"y": np.arange(12.0), "g": np.arange(12) % 4}
    assert hierarchical_density(hb.Model("y ~ 1 + (1 | g)", data, family=family).spec) is None


@pytest.mark.parametrize(
    ("family", "formula"),
    [
        ("poisson", "y ~ x + (x | g) + (1 | h)"),
        ("bernoulli", "y ~ x + (1 | g / h)"),
        ("gaussian", "y ~ x + (x || g)"),
        ("cumulative", "y ~ x + (1 | g) + (0 + x | h)"),
        ("gamma", "y ~ x"),
    ],
)
def test_whitened_coordinates_are_of_the_same_density(family, formula):
    """The change of the density is the volume of the change, and its gradient is right."""
    link = "log" if FAMILIES[family].link.may_have_no_mean else None
    plain = hierarchical_density(model_of(family, link, formula).spec)
    white = whitened(plain)
    w = 0.5 * np.random.default_rng(5).standard_normal(white.size)

    def unmixed(w):
        room, rest = white.room(), int(white.ints[AT.w_rest])
        white.evaluate(w, room)
        found = [room[rest : rest + white.d]]
        J = white.model.levels.n_levels
        effects = [white.effects_at(f, room, OF_FACTOR.w_u).ravel() for f in range(len(J))]
        return np.concatenate([*found, *effects[1:], *effects[:1]])

    columns = [slope_by_differences(unmixed, w, k, step=1e-3) for k in range(w.size)]
    volume = np.linalg.slogdet(np.stack(columns, axis=1))[1]
    value, gradient = white.evaluate(w)
    assert value == pytest.approx(plain.evaluate(unmixed(w))[0] + volume, abs=1e-6)
    for k in range(w.size):
        slope = slope_by_differences(lambda w: white.evaluate(w)[0], w, k)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_effects_of_a_gaussian_response_are_standard_normal_whatever_the_sds_are():
    rng = np.random.default_rng(1)
    data = {"y": rng.standard_normal(40), "x": rng.standard_normal(40), "g": np.arange(40) % 8}
    model = hb.Model("y ~ x + (x | g)", data, known_sd=0.5 + rng.random(40))
    target = whitened(hierarchical_density(model.spec))
    d = target.d
    for _ in range(3):
        w = np.zeros(target.size)
        w[:d] = rng.standard_normal(d)
        at_zero = target.evaluate(w)[0]
        w[d:] = 2 * rng.standard_normal(target.size - d)
        assert target.evaluate(w)[0] - at_zero == pytest.approx(-0.5 * (w[d:] ** 2).sum(), rel=1e-8)


def test_crossed_effects_are_nearly_standard_normal():
    """The mode is near zero and the curvature in every coordinate near one there."""
    rng = np.random.default_rng(2)
    g, h, x = np.repeat(np.arange(40), 12), np.tile(np.arange(12), 40), rng.standard_normal(480)
    eta = 0.5 + x + 1.2 * rng.standard_normal(40)[g] + 1.2 * rng.standard_normal(12)[h]
    data = {"y": rng.random(480) < 1 / (1 + np.exp(-eta)), "x": x, "g": g, "h": h}
    model = hb.Model("y ~ x + (1 | g) + (1 | h)", data, family="bernoulli")
    target = whitened(hierarchical_density(model.spec))
    w = np.zeros(target.size)
    _, at_mode = target.evaluate(w)
    assert np.abs(at_mode).max() < 0.5
    for k in range(target.size):
        e = np.zeros(target.size)
        e[k] = 1e-4
        curvature = -(target.evaluate(e)[1][k] - target.evaluate(-e)[1][k]) / 2e-4
        assert curvature == pytest.approx(1.0, abs=0.15)


def test_levels_that_do_not_vary_are_known_by_their_slopes():
    """Where an sd is near zero the effects say nothing of what the rows want of them."""
    rng = np.random.default_rng(4)
    g, h = np.repeat(np.arange(40), 12), np.tile(np.arange(12), 40)
    eta = 0.5 + 1.2 * rng.standard_normal(40)[g]
    data = {"y": rng.random(480) < 1 / (1 + np.exp(-eta)), "g": g, "h": h}
    spec = hb.Model("y ~ 1 + (1 | g) + (1 | h)", data, family="bernoulli").spec
    target = whitened(hierarchical_density(spec))
    room, model, part = target.room(), target.model, target.part(1)
    target.evaluate(np.zeros(target.size), room)
    assert abs(room[part[OF_FACTOR.w_root]]) < 0.2
    at = int(target.ints[AT.w_eta])
    slope = model.densities(room[at : at + model.y.size], np.empty(0)).slope
    codes, z = model.levels.codes[1], model.levels.z[1][0]
    b = target.effects_at(1, room, OF_FACTOR.w_b)[:, 0]
    H = target.floats[part[OF_FACTOR.c_information] :][:12]
    score = target.floats[part[OF_FACTOR.c_score] :][:12]
    assert score == pytest.approx(H * b + np.bincount(codes, z * slope), abs=0.05)
    assert np.abs(score).max() > 1.0


BOUNDS = {
    "x": hb.HalfNormal(1),
    "(Intercept)": hb.Uniform(-4, 4),
    "sd(x|g)": hb.Uniform(0, 3),
    "sd(h)": hb.Gamma(2, 2),
}


def test_priors_with_ends_have_the_density_of_to_pymc():
    pytest.importorskip("pymc")
    model = model_of("poisson", priors=BOUNDS)
    target = hierarchical_density(model.spec)
    w = near_start(target)
    value, gradient = target.evaluate(w)
    assert value == pytest.approx(expected_log_density(target, model, w), rel=1e-9)
    for k in range(target.size):
        slope = slope_by_differences(lambda w: target.evaluate(w)[0], w, k)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


LAWS = [
    hb.Normal(0.3, 2), hb.StudentT(3, 0.5, 2), hb.Cauchy(0.1, 1), hb.Flat(), hb.HalfFlat(),
    hb.HalfNormal(2), hb.HalfStudentT(4, 1), hb.HalfCauchy(2), hb.Exponential(2), hb.Gamma(2, 3),
    hb.Gamma(1, 3), hb.InverseGamma(3, 2), hb.LogNormal(0, 1), hb.Uniform(0, 2), hb.Beta(2, 3),
]  # fmt: skip


def value_and_slope(function, x):
    """What a function of one number is on a tape, and its derivative."""
    recorder = Recorder(1, CODES)
    (given,) = recorder.inputs(1)
    at = recorder.shared(function(given)).at
    (eta,) = recorder.etas(1)
    tape = recorder.tape(eta)
    values, spare = tape.numbers[:, None].copy(), np.empty((4, BLOCK))
    values[0] = x
    forwards(tape.shared, values, spare, 1)
    slopes = np.zeros_like(values)
    slopes[at] = 1.0
    backwards(tape.shared, values, slopes, spare, 1)
    return values[at, 0], slopes[0, 0]


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_priors_on_a_tape_are_themselves(law):
    for x in (0.4, 0.9, -0.5, 2.5):
        value, slope = value_and_slope(law.log_density, x)
        assert value == pytest.approx(float(law.log_density(x)), rel=1e-12)
        if np.isfinite(value):
            assert slope == pytest.approx(float(law.derivative(x)), rel=1e-12)


def sample_points(low, high):
    inner = np.random.default_rng(0).uniform(max(low, -40), min(high, 40), 60)
    return [*inner, *np.linspace(max(low, -1), min(high, 1), 7)[1:-1]]


FUNCTIONS = {
    "exp": (series.exp, -700, 700),
    "log": (series.log, 0, 1e5),
    "log1p": (series.log1p, -1, 1e5),
    "expm1": (series.expm1, -30, 30),
    "sqrt": (series.sqrt, 0, 1e5),
    "square": (series.square, -9, 9),
    "reciprocal": (series.reciprocal, 0, 50),
    "arctan": (series.arctan, -50, 50),
    "cos": (series.cos, -9, 9),
    "lgamma": (series.lgamma, 0, 300),
    "expit": (series.expit, -50, 50),
    "log_expit": (series.log_expit, -700, 700),
    "ndtr": (series.ndtr, -30, 30),
    "log_ndtr": (series.log_ndtr, -60, 30),
    "log_i0e": (series.log_i0e, 0, 200),
    "power": (lambda x: x**1.7, 0, 20),
    "exponent": (lambda x: 2.0**x, -20, 20),
    "logaddexp": (lambda x: series.log_sum(x, 0.3 - 2.0 * x), -30, 30),
    "maximum": (lambda x: np.maximum(x, 0.4 * x), -3, 3),
    "where": (lambda x: np.where((x > 0.5) | (x < -1), x / 3, 1 - x), -3, 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_a_tape_are_those_of_series(name):
    """To rounding, slopes too; far out and near zero."""
    function, low, high = FUNCTIONS[name]
    for x in sample_points(low, high):
        exact = function(series.variable(np.array(x), order=1))
        value, slope = value_and_slope(function, x)
        assert value == pytest.approx(float(exact.value), rel=1e-13, abs=1e-13)
        assert slope == pytest.approx(float(exact.derivative(1)), rel=1e-11, abs=1e-14)


def as_references_have_them(name):
    """Within four Monte-Carlo errors of 40,000 draws of NUTS on the PyMC model."""
    post = reference_models.MODELS[name]().sample(sampler="nuts", random_seed=1)
    assert post.sampler == "nuts" and not post.findings
    ours = reference_models.summaries(post.draws)
    for parameter, theirs in reference_models.reference(name).items():
        error = np.hypot(ours[parameter]["errors"], theirs["errors"])
        away = np.abs(np.subtract(ours[parameter]["values"], theirs["values"]))
        assert (away < 4 * error).all(), parameter


@pytest.mark.mcmc
@pytest.mark.parametrize(
    "name",
    [
        "visits",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("districts", "grouseticks", "verbagg")),
    ],
)
def test_posteriors_are_those_of_the_pymc_model(name):
    pytest.importorskip("arviz_stats")
    as_references_have_them(name)


@pytest.mark.mcmc
def test_cores_and_runs_do_not_change_the_draws(monkeypatch):
    """Of correlated slopes beside crossed intercepts, with nothing compiled for the model."""
    import nutpie

    from hierbayes.bayes import nuts

    plain = nutpie.sample
    model = model_of("poisson")
    found = []
    for cores in (1, 2, 2):
        monkeypatch.setattr(nutpie, "sample", lambda *a, n=cores, **o: plain(*a, cores=n, **o))
        monkeypatch.setattr(nuts, "compiled_model", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            post = model.sample(sampler="nuts", draws=50, tune=100, chains=2, random_seed=3)
        found.append(post.draws)
    for other in found[1:]:
        assert np.array_equal(other.beta, found[0].beta)
        assert np.array_equal(other.b["g"], found[0].b["g"])
        assert np.array_equal(other.corr["g"], found[0].corr["g"])
    draws = found[0]
    assert draws.b["g"].shape == (2, 50, 6, 2) and draws.sd["h"].shape == (2, 50, 1)
    assert (draws.sd["g"] > 0).all()
    assert np.array_equal(np.diagonal(draws.corr["g"], axis1=2, axis2=3), np.ones((2, 50, 2)))
    assert (np.abs(draws.corr["g"]) <= 1).all()
    assert {"diverging", "tree_depth", "step_size", "lp"} <= set(draws.sample_stats)


@pytest.mark.mcmc
def test_auto_samples_many_crossed_levels_without_a_compiler(monkeypatch):
    from hierbayes.bayes import nuts

    monkeypatch.setattr(nuts, "compiled_model", None)
    rng = np.random.default_rng(3)
    g, h = np.arange(900) % 300, rng.permutation(900) % 250
    eta = 0.5 + 0.6 * rng.standard_normal(300)[g] + 0.4 * rng.standard_normal(250)[h]
    model = hb.Model(
        "y ~ 1 + (1 | g) + (1 | h)", {"y": rng.poisson(np.exp(eta)), "g": g, "h": h}, "poisson"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = model.sample(draws=150, tune=200, chains=2, random_seed=2)
    assert post.sampler == "nuts"
    assert not post.draws.sample_stats["diverging"].any()
    likelihood = model.fit()
    for name, sd in likelihood.varcorr().to_frame()[["group", "sdcor"]].itertuples(index=False):
        assert post.draws.sd[name].mean() == pytest.approx(sd, abs=0.15)
