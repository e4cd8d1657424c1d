"""The PyMC model without sampling: names, shapes, and one density in three parameterisations.

The reference is written out with dense matrices: the prior from ``ModelPriors``, the likelihood and
the random effects from scipy, and p(y | beta, sds, correlations, sigma) from the covariance of y.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.bayes.pymc_model import build_model
from hierbayes.errors import NotSupportedError
from hierbayes.naming.variable_names import factor_variables
from hierbayes.specification.build import specify
from hierbayes.specification.specification import Arguments

pm = pytest.importorskip("pymc")

# Only the order of operations differs; log densities are sums of hundreds of terms of size 1-10.
ATOL = 1e-8
N_POINTS = 20


def slow_python() -> Any:
    """PyTensor without a compiler: nothing to wait for, and 20 points are few."""
    from pytensor.compile.mode import Mode

    return Mode(linker="py", optimizer="fast_compile")


def three_columns() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 60
    frame = pd.DataFrame({"x": rng.normal(size=n), "t": rng.normal(size=n), "g": np.arange(n) % 8})
    frame["y"] = 3 + frame.x - frame.t + rng.normal(size=8)[frame.g] + rng.normal(size=n)
    frame["w"] = rng.uniform(0.3, 3, size=n)
    return frame


CASES = {
    "one factor": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "three columns": ("y ~ x + t + (x + t | g)", "three", {}),
    "weights": ("y ~ x + (x | g)", "three", {"weights": "w"}),
    "two terms of a factor": ("y ~ x + (1 + t | g) + (0 + x | g)", "three", {"offset": "t"}),
    "known sds": ("y ~ x + (1 | g)", "three", {"known_sd": "w"}),
    "no intercept": ("y ~ 0 + x + (x | g)", "three", {}),
    "crossed slopes": ("y ~ x + (x | g) + (1 + t | h)", "three", {}),
}


@dataclass(frozen=True)
class Case:
    spec: Any

    @property
    def design(self) -> Any:
        return self.spec.design

    @property
    def kept(self) -> Any:
        return self.spec.kept_columns

    @property
    def priors(self) -> Any:
        return self.spec.priors


def make_case(name: str) -> Case:
    formula, data, arguments = CASES[name]
    frame = three_columns() if data == "three" else hb.load_dataset(data)
    if "| h)" in formula:
        frame["h"] = np.arange(len(frame)) % 5
    user = {"sd": hb.HalfNormal(2.0)} if name == "three columns" else None
    if name == "weights":  # mixed families: no single vector distribution
        user = {"sd(x|g)": hb.Exponential(0.7), "x": hb.StudentT(4, 0.0, 1.7)}
    return Case(specify(formula, frame, Arguments(priors=user, **arguments)))


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    return make_case(request.param)


@dataclass(frozen=True)
class Point:
    """Parameters on the user's scale, with one Cholesky factor (q, q) a factor."""

    beta: Any
    sigma: float
    roots: list
    b: list


def random_point(case: Case, rng: np.random.Generator) -> Point:
    scale = case.design.y.std()
    roots, effects = [], []
    for f, factor in enumerate(case.design.factors):
        root = np.zeros((len(factor.columns),) * 2)
        for term in case.design.terms:
            if term.factor == f:
                at = np.ix_(term.columns, term.columns)
                k = len(term.columns)
                root[at] = np.tril(rng.normal(size=(k, k)), -1) + np.diag(rng.uniform(0.3, 2, k))
        roots.append(root * scale / 2)
        effects.append(rng.normal(size=(factor.levels.size, root.shape[0])) @ roots[-1].T)
    beta = rng.normal(size=case.kept.size) * scale
    return Point(beta, float(rng.uniform(0.2, 2) * scale), roots, effects)


def residual_sd(case: Case, point: Point) -> Any:
    design = case.design
    if design.known_sd is not None:
        return design.known_sd
    weights = 1.0 if design.weights is None else design.weights
    return np.full(len(design.y), point.sigma) / np.sqrt(weights)


def mean_of(case: Case, point: Point, *, effects: bool) -> Any:
    design = case.design
    mean = design.X[:, case.kept] @ point.beta
    mean = mean if design.offset is None else mean + design.offset
    if effects:
        for factor, b in zip(design.factors, point.b, strict=True):
            mean = mean + (b[factor.codes] * factor.z).sum(axis=1)
    return mean


def sds_and_correlations(root: Any) -> tuple[Any, Any]:
    sd = np.sqrt((root**2).sum(axis=1))
    return sd, root @ root.T / sd / sd[:, None]


def log_prior(case: Case, point: Point) -> float:
    """Density of (beta, sds, correlations, sigma)."""
    found = [sds_and_correlations(root) for root in point.roots]
    corrs = [
        None if len(t.columns) == 1 else found[t.factor][1][np.ix_(t.columns, t.columns)]
        for t in case.design.terms
    ]
    sds = [sd for sd, _ in found]
    return float(case.priors.log_density(beta=point.beta, sds=sds, corrs=corrs, sigma=point.sigma))


def log_effects(point: Point) -> float:
    return sum(
        multivariate_normal(np.zeros(len(root)), root @ root.T).logpdf(b).sum()
        for root, b in zip(point.roots, point.b, strict=True)
    )


def log_marginal(case: Case, point: Point) -> float:
    V = np.diag(residual_sd(case, point) ** 2)
    for factor, root in zip(case.design.factors, point.roots, strict=True):
        z = factor.z @ root
        V += (z @ z.T) * (factor.codes[:, None] == factor.codes)
    return float(multivariate_normal(mean_of(case, point, effects=False), V).logpdf(case.design.y))


def model_point(case: Case, point: Point, model: Any) -> dict:
    """The point in the free variables of a model."""
    found = {"sigma": point.sigma, "beta": point.beta}
    names = factor_variables([factor.name for factor in case.design.factors])
    for factor, root, b in zip(case.design.factors, point.roots, point.b, strict=True):
        name = names[factor.name]
        found[f"sd_{name}"], found[f"corr_{name}"] = sds_and_correlations(root)
        found[f"b_{name}"] = b
    return {rv.name: np.asarray(found[rv.name]) for rv in model.free_RVs}


def log_density(model: Any) -> Any:
    """Log density of a model in its own variables, not transformed: no Jacobians."""
    from pymc.model.transform.conditioning import remove_value_transforms

    plain = remove_value_transforms(model)
    return plain.compile_logp(mode=slow_python())


@pytest.mark.parametrize("parameterization", ["noncentered", "centered", "marginal"])
def test_log_density_is_the_one_written_out(case, parameterization):
    model = build_model(case.spec, parameterization=parameterization)
    density = log_density(model)
    rng = np.random.default_rng(7)
    for _ in range(N_POINTS):
        point = random_point(case, rng)
        expected = log_prior(case, point)
        if parameterization == "marginal":
            expected += log_marginal(case, point)
        else:
            sd = residual_sd(case, point)
            expected += norm(mean_of(case, point, effects=True), sd).logpdf(case.design.y).sum()
            expected += log_effects(point)
        found = float(density(model_point(case, point, model)))
        assert found == pytest.approx(expected, abs=ATOL, rel=1e-11)


@pytest.mark.parametrize("parameterization", ["noncentered", "centered", "marginal"])
def test_variables_are_those_of_the_contract(case, parameterization):
    model = build_model(case.spec, parameterization=parameterization)
    shapes = {name: var.shape.eval(mode=slow_python()) for name, var in model.named_vars.items()}
    dims = model.named_vars_to_dims
    assert dims["beta"] == ("coef",)
    assert list(model.coords["coef"]) == list(case.design.coef_names)
    assert ("sigma" in shapes) == (case.design.known_sd is None)
    names = factor_variables([factor.name for factor in case.design.factors])
    for f, factor in enumerate(case.design.factors):
        name = names[factor.name]
        q, J = len(factor.columns), factor.levels.size
        assert dims[f"sd_{name}"] == (f"{name}__term",)
        assert tuple(shapes[f"sd_{name}"]) == (q,)
        assert tuple(model.coords[f"{name}__term"]) == factor.columns
        correlated = any(t.factor == f and len(t.columns) > 1 for t in case.design.terms)
        assert (f"corr_{name}" in shapes) == correlated
        if correlated:
            assert dims[f"corr_{name}"] == (f"{name}__term", f"{name}__term_bis")
        if parameterization != "marginal":
            assert dims[f"b_{name}"] == (name, f"{name}__term")
            assert tuple(shapes[f"b_{name}"]) == (J, q)
    assert not [name for name in model.named_vars if set("|/:") & set(name)]
    assert not [name for name in model.coords if set("|/:") & set(name)]


def test_data_can_be_swapped():
    case = make_case("one factor")
    model = build_model(case.spec)
    density = log_density(model)
    point = random_point(case, np.random.default_rng(1))
    before = density(model_point(case, point, model))
    with model:
        pm.set_data({"Reaction_data": case.design.y + 10.0})
    changed = log_density(model)(model_point(case, point, model))
    sd, mean = residual_sd(case, point), mean_of(case, point, effects=True)
    expected = norm(mean, sd).logpdf(case.design.y + 10) - norm(mean, sd).logpdf(case.design.y)
    assert changed - before == pytest.approx(expected.sum(), abs=1e-7)


def test_priors_as_data_leave_the_density_alone():
    case = make_case("weights")
    point = random_point(case, np.random.default_rng(2))
    densities = []
    for as_data in (False, True):
        model = build_model(case.spec, priors_as_data=as_data)
        densities.append(float(log_density(model)(model_point(case, point, model))))
    assert densities[0] == pytest.approx(densities[1], rel=1e-13)


def test_large_crossed_factors_are_not_marginalised_densely():
    rng = np.random.default_rng(0)
    n = 6000
    frame = pd.DataFrame(
        {"y": rng.normal(size=n), "a": rng.integers(0, 1500, n), "b": rng.integers(0, 1200, n)}
    )
    spec = specify("y ~ 1 + (1 | a) + (1 | b)", frame)
    with pytest.raises(NotSupportedError, match="up to 1000"):
        build_model(spec, parameterization="marginal")


# The models whose densities are compared with each other and with the collapsed one.
SIX = ("one factor", "nested", "crossed", "independent", "three columns", "weights")


def dense_effects(case: Case) -> Any:
    """Z (n, all random effects), the effects of a level side by side."""
    blocks = []
    for factor in case.design.factors:
        Z = np.zeros((len(case.design.y), factor.levels.size, factor.z.shape[1]))
        Z[np.arange(len(case.design.y)), factor.codes] = factor.z
        blocks.append(Z.reshape(len(Z), -1))
    return np.hstack(blocks)


def log_conditional_effects(case: Case, point: Point) -> float:
    """Log p(b | y, beta, variances): Gaussian, by Bayes' rule on dense matrices."""
    Z, noise = dense_effects(case), residual_sd(case, point) ** 2
    prior = np.zeros((Z.shape[1],) * 2)
    at = 0
    for factor, root in zip(case.design.factors, point.roots, strict=True):
        block = np.kron(np.eye(factor.levels.size), np.linalg.inv(root @ root.T))
        prior[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    precision = prior + Z.T @ (Z / noise[:, None])
    right = Z.T @ ((case.design.y - mean_of(case, point, effects=False)) / noise)
    return log_normal(np.concatenate([b.ravel() for b in point.b]), precision, right)


def log_conditional_beta(case: Case, point: Point) -> float:
    """Log p(beta | y, variances), the random effects integrated out."""
    V, X = np.diag(residual_sd(case, point) ** 2), case.design.X[:, case.kept]
    for factor, root in zip(case.design.factors, point.roots, strict=True):
        z = factor.z @ root
        V += (z @ z.T) * (factor.codes[:, None] == factor.codes)
    mean, prior = case.priors.gaussian_beta()
    offset = 0.0 if case.design.offset is None else case.design.offset
    precision = prior + X.T @ np.linalg.solve(V, X)
    right = prior @ mean + X.T @ np.linalg.solve(V, case.design.y - offset)
    return log_normal(point.beta, precision, right)


def log_normal(x: Any, precision: Any, right: Any) -> float:
    """Log density of the Gaussian with this precision Q and mean Q^-1 right."""
    away = x - np.linalg.solve(precision, right)
    log_det = np.linalg.slogdet(precision)[1]
    return float(log_det - away @ precision @ away - x.size * np.log(2 * np.pi)) / 2


def collapsed_point(case: Case, point: Point, coordinates: Any) -> tuple[Any, float]:
    """The point in the collapsed sampler's phi, and log |d (sds, correlations, sigma) / d phi|."""
    sds = [np.sqrt((root**2).sum(axis=1)) for root in point.roots]
    roots = []
    for term in case.design.terms:
        at = list(term.columns)
        roots.append(point.roots[term.factor][np.ix_(at, at)] / sds[term.factor][at][:, None])
    phi = coordinates.phi(sds, roots, point.sigma)
    h = 1e-30  # a complex step: no cancellation
    stepped = coordinates.roots(phi + 1j * h * np.eye(phi.size))
    rows = []
    for term in case.design.terms:
        i, j = np.tril_indices(len(term.columns), -1)
        at = np.array(term.columns)
        root = stepped[term.factor][:, at[:, None], at]
        covariance = root @ np.swapaxes(root, 1, 2)
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        rows += [sd.imag / h, (covariance[:, i, j] / sd[:, i] / sd[:, j]).imag / h]
    jacobian = np.hstack([*rows, point.sigma * np.eye(phi.size)[:, -1:]])
    return phi, float(np.linalg.slogdet(jacobian)[1])


@pytest.mark.parametrize("name", SIX)
def test_all_samplers_have_one_density(name):
    """Three PyMC models and the collapsed density, with b and beta integrated out exactly."""
    from hierbayes.bayes.collapsed_density import collapsed, target_of
    from hierbayes.gaussian.kernel import kernel_of

    case = make_case(name)
    if name == "weights":  # the collapsed sampler needs Gaussian priors of the coefficients
        user = {"sd(x|g)": hb.Exponential(0.7)}
        case = Case(replace(case.spec, arguments=replace(case.spec.arguments, priors=user)))
    kernel = kernel_of(case.design, weights=case.design.weights, method="reml")
    target = target_of(kernel, case.priors)
    models = {
        key: build_model(case.spec, parameterization=key)
        for key in ("noncentered", "centered", "marginal")
    }
    densities = {key: log_density(model) for key, model in models.items()}
    rng = np.random.default_rng(17)
    for _ in range(N_POINTS):
        point = random_point(case, rng)
        found = {
            key: float(densities[key](model_point(case, point, model)))
            for key, model in models.items()
        }
        effects = log_conditional_effects(case, point)
        found["centered"] -= effects
        found["noncentered"] -= effects
        phi, jacobian = collapsed_point(case, point, target.coordinates)
        value = float(collapsed(target, phi[None]).log_density[0])
        found["collapsed"] = value + log_conditional_beta(case, point) - jacobian
        expected = log_prior(case, point) + log_marginal(case, point)
        for key, density in found.items():
            assert abs(density - expected) < ATOL, key


def test_priors_of_factors_whose_names_end_alike_are_data_of_their_own():
    frame = three_columns().assign(g_HalfNormal=np.arange(60) % 5)
    priors = {
        "sd((Intercept)|g)": hb.HalfNormal(1),
        "sd(x|g)": hb.Exponential(2),
        "sd((Intercept)|g_HalfNormal)": hb.HalfNormal(3),
    }
    model = hb.Model("y ~ x + (x || g) + (1 | g_HalfNormal)", frame, priors=priors)
    built = build_model(model.spec, priors_as_data=True)
    data = {v.name: v.get_value() for v in built.data_vars if v.name.startswith("prior_HalfNormal")}
    assert data["prior_HalfNormal_sigma_sd_g"] == pytest.approx(1)
    assert data["prior_HalfNormal_sigma_sd_g_HalfNormal"] == pytest.approx(3)
