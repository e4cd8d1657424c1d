"""Generalised fits against lme4 and glmmTMB, their gradients, and what must not change them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.arrays import FloatArray
from hierbayes.generalised import pirls
from hierbayes.generalised.conditional import conditional
from hierbayes.likelihood.glmm import GlmmOptimum, first_estimates, fit_glmm
from hierbayes.likelihood.glmm_search import Search
from tests.likelihood.glmm_cases import FAMILY_LINKS, STRUCTURES, specification
from tests.reference_fits import ReferenceFit, load_fit

LAPLACE = (
    "cbpp_logit", "cbpp_null", "cbpp_prop", "cbpp_olre", "cbpp_sum", "gt_full", "gt_brood",
    "gt_offset", "gt_bern", "gt_slope", "va_main", "va_person",
)  # fmt: skip
PROFILED = ("cbpp_agq0", "gt_agq0", "va_main_agq0", "va_doc_agq0", "va_slope_agq0")
QUADRATURE = ("cbpp_agq9", "cbpp_agq10", "cbpp_agq25", "gt_brood_agq10", "va_person_agq10")
# lme4 takes expected curvatures here, or another dispersion; glmmTMB maximises what we do.
OBSERVED = ("cbpp_probit", "cbpp_cloglog", "gt_bern_cll", "ss_gamma", "ss_gamma_slope")


@cache
def fitted(fit_id: str) -> GlmmOptimum:
    reference = load_fit(fit_id)
    assert reference.n_quadrature is not None
    return fit_glmm(spec_of(reference), reference.n_quadrature)


def spec_of(fit: ReferenceFit) -> hb.Model:
    model = hb.Model(fit.formula, fit.data, family=fit.family, link=fit.link, **fit.options)
    return model.spec


def optimum_of(fit: ReferenceFit) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The reference's coefficients, their standard errors and theta."""
    polish = fit.record["optimisation"]["polish"]
    beta = polish.get("fixef_exact") or fit.record["fixef"]["estimate"]
    vcov = polish.get("vcov_exact_hessian") or fit.record["vcov"]
    theta = polish.get("theta_exact") or fit.record["theta"]
    return np.array(beta), np.sqrt(np.diag(vcov)), np.atleast_1d(theta)


def standard_errors(found: GlmmOptimum) -> FloatArray:
    return np.sqrt(np.diag(found.vcov))


@pytest.mark.parametrize("fit_id", (*LAPLACE, *PROFILED, *QUADRATURE))
def test_estimates_are_those_of_glmer(fit_id: str) -> None:
    found = fitted(fit_id)
    beta, se, theta = optimum_of(load_fit(fit_id))
    assert found.converged and not found.is_singular
    np.testing.assert_allclose((found.beta - beta) / se, 0, atol=1e-5)
    np.testing.assert_allclose(standard_errors(found)[: beta.size], se, rtol=1e-4)
    np.testing.assert_allclose(found.theta, theta, rtol=1e-6)


@pytest.mark.parametrize("fit_id", (*LAPLACE, *PROFILED))
def test_log_likelihood_is_never_below_that_of_glmer(fit_id: str) -> None:
    found, optimisation = fitted(fit_id), load_fit(fit_id).record["optimisation"]
    exact = optimisation["polish"].get("objective_exact") or optimisation["objective"]
    assert -2 * found.loglik == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("fit_id", LAPLACE)
def test_criterion_at_the_estimates_of_glmer_is_glmers(fit_id: str) -> None:
    reference = load_fit(fit_id)
    spec = spec_of(reference)
    model = conditional(spec.design, spec.family)
    beta, _, theta = optimum_of(reference)
    search = Search(model, 1, np.zeros(beta.size))
    x = search.joined(np.linalg.solve(model.x_basis, beta), model.in_basis(theta), np.empty(0))
    exact = reference.record["optimisation"]["polish"]["objective_exact"]
    assert search.criterion(x).value == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("fit_id", OBSERVED)
def test_observed_curvature_gives_the_likelihood_of_glmmtmb(fit_id: str) -> None:
    found, other = fitted(fit_id), load_fit(fit_id).record["cross_check"]
    assert -2 * found.loglik == pytest.approx(other["minus_2_logLik"], abs=1e-6)
    np.testing.assert_allclose((found.beta - other["fixef"]) / other["se"], 0, atol=1e-3)
    np.testing.assert_allclose(standard_errors(found)[: found.beta.size], other["se"], rtol=1e-3)


def test_quadrature_with_constants_differs_from_glmers_by_the_saturated_likelihood() -> None:
    # lme4 leaves a constant of the data out, the same for every number of points
    gaps = [
        -2 * fitted(f"cbpp_agq{n}").loglik
        - load_fit(f"cbpp_agq{n}").record["optimisation"]["objective"]
        for n in (9, 10, 25)
    ]
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-7)


def slope_error(search: Search, x: FloatArray, step: float = 1e-4) -> float:
    """Largest difference of the gradient from five-point differences, against its size."""
    exact, found = search.gradient(search.criterion(x)), []
    for axis in step * np.eye(x.size):
        up, down, far_up, far_down = (search.criterion(x + k * axis).value for k in (1, -1, 2, -2))
        found.append((8 * (up - down) - (far_up - far_down)) / (12 * step))
    return float(np.abs(found - exact).max() / max(np.abs(exact).max(), 1.0))


def somewhere(
    family: str, link: str, structure: str, n_quadrature: int, sd: float = 0.3
) -> tuple[Search, FloatArray]:
    spec = specification(family, link, structure)
    model = conditional(spec.design, spec.family)
    beta, phi = first_estimates(model)
    theta = model.basis_shape.pack([sd * np.eye(q)[None] for q in model.shape.sizes])[0] + sd / 15
    search = Search(model, n_quadrature, beta)
    return search, search.joined(beta, theta, phi)


@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
def test_gradient_of_every_family_and_link(family: str, link: str) -> None:
    for n_quadrature in (0, 1, 3):
        assert slope_error(*somewhere(family, link, "one", n_quadrature)) < 1e-6


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("family", ["poisson", "negativebinomial"])
def test_gradient_on_every_structure(family: str, structure: str) -> None:
    for n_quadrature in (0, 1, 3):
        assert slope_error(*somewhere(family, "log", structure, n_quadrature)) < 1e-6


def test_gradient_of_crossed_factors_on_the_sparse_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierbayes.gaussian.kernel.SMALL_REST", 0)
    monkeypatch.setattr("hierbayes.gaussian.kernel.FILLED", np.inf)
    search, x = somewhere("poisson", "log", "crossed slope", 1)
    assert search.model.levels.pattern.name == "sparse"
    assert slope_error(search, x) < 1e-6
    value = search.criterion(x).value
    monkeypatch.undo()
    assert search.criterion(x).value == value
    dense, x = somewhere("poisson", "log", "crossed slope", 1)
    assert dense.criterion(x).value == pytest.approx(value, rel=1e-12)


def test_gradient_of_crossed_factors_on_the_list_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierbayes.gaussian.pattern.crossed.SURELY_DENSE", 0)
    monkeypatch.setattr("hierbayes.gaussian.pattern.crossed.PAIR_COST", 0)
    monkeypatch.setattr("hierbayes.gaussian.factor.crossed.AT_ONCE", 20)  # two levels at a time
    assert slope_error(*somewhere("poisson", "log", "crossed slope", 1)) < 1e-6


@pytest.mark.parametrize("fit_id", ["cbpp_logit", "gt_brood_agq10", "ss_gamma_slope"])
def test_hessian_is_that_of_the_likelihood_on_the_users_scale(fit_id: str) -> None:
    # against differences in other coordinates, with other steps
    found = fitted(fit_id)
    model = found.model
    search = Search(model, found.n_quadrature, found.beta)
    p, k, _ = model.sizes
    names = list(found.dispersion)
    point = np.concatenate([found.beta, found.theta, list(found.dispersion.values())])
    se = standard_errors(found)

    def value(x: FloatArray) -> float:
        beta = np.linalg.solve(model.x_basis, x[:p])
        phi = model.phi_of(dict(zip(names, x[p + k :], strict=True)))
        return search.criterion(search.joined(beta, model.in_basis(x[p : p + k]), phi)).value

    for i, width in enumerate(0.03 * se):
        e = width * np.eye(point.size)[i]
        steps = [value(point + m * e) for m in (-2, -1, 0, 1, 2)]
        second = np.dot([-1, 16, -30, 16, -1], steps) / (12 * width**2)
        assert found.hessian[i, i] == pytest.approx(second, rel=1e-5)


def brute_force(found: GlmmOptimum, n: int = 61) -> float:
    """-2 log-likelihood by a fine grid of the effects of each level, with no mode nor Hessian."""
    model = found.model
    mode = found.at.mode
    q = mode.Lambdas[0].shape[1]
    axis = np.linspace(-9, 9, n)
    grid = np.stack(np.meshgrid(*[axis] * q, indexing="ij")).reshape(q, -1)
    log_prior = -0.5 * (grid**2).sum(axis=0) - 0.5 * q * np.log(2 * np.pi)
    effects = mode.Lambdas[0][0] @ grid
    eta = model.offset + model.X @ mode.beta
    total = 0.0
    for j in range(model.levels.n_levels[0]):
        rows = model.levels.codes[0] == j
        at = eta[rows, None] + model.levels.z[0][:, rows].T @ effects
        given = {"trials": model.trials[rows, None]} if model.trials is not None else {}
        density = model.family.derivatives(model.y[rows, None], at, given, order=0).value
        parts = density.sum(axis=0) + log_prior + q * np.log(axis[1] - axis[0])
        total += np.log(np.exp(parts - parts.max()).sum()) + parts.max()
    return -2 * total


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_quadrature_of_a_vector_is_that_of_a_fine_grid(family: str) -> None:
    link = "logit" if family == "bernoulli" else "log"
    found = fit_glmm(specification(family, link, "slope", n_levels=5, each=10), 15)
    search = Search(found.model, 15, found.beta)
    x = np.concatenate([found.at.mode.beta, [0.8, 0.3, 0.6]])
    at = search.criterion(x)
    assert at.value == pytest.approx(brute_force(replace(found, at=at), 201), abs=1e-6)


def data(seed: int = 3, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = rng.integers(0, 12, n)
    x = rng.integers(0, 4, n).astype(float)
    eta = -0.3 + 0.4 * x + rng.normal(size=12)[g]
    return pd.DataFrame({
        "y": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
        "count": rng.poisson(np.exp(eta / 2)).astype(float),
        "x": x, "g": [f"g{i:02d}" for i in g], "exposure": rng.uniform(1, 3, n),
    })  # fmt: skip


def fit(
    formula: str, frame: pd.DataFrame, family: str, n_quadrature: int = 1, **options: object
) -> GlmmOptimum:
    return fit_glmm(hb.Model(formula, frame, family=family, **options).spec, n_quadrature)


LINEAR = ("ss_max_ml", "ss_over_ml", "cake_over", "dye2_ml", "pas_ml", "pen_ml", "mac_fac_ml")


@pytest.mark.parametrize("fit_id", LINEAR)
@pytest.mark.filterwarnings("ignore")
def test_a_gaussian_model_has_its_linear_fit(fit_id: str) -> None:
    reference = load_fit(fit_id)
    model = hb.Model(reference.formula, reference.data, **reference.options)
    linear, found = model.fit(method="ml"), fit_glmm(model.spec)
    assert found.loglik == pytest.approx(-linear.criterion / 2, abs=1e-8)
    assert found.converged and found.is_singular == linear.is_singular
    np.testing.assert_allclose(found.beta, linear.beta, rtol=1e-7)
    np.testing.assert_allclose(found.dispersion["sigma"], linear.sigma, rtol=1e-6)
    # sds of the random effects are theirs alone, not relative to the residual's
    np.testing.assert_allclose(found.theta, linear.theta * linear.sigma, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"weights": "w"}, {"known_sd": "sd"}])
def test_weights_and_known_sds_are_those_of_the_linear_fit(options: dict[str, str]) -> None:
    frame = load_fit("ss_max_ml").data.assign(
        w=lambda d: 1 / (1 + d.Days), sd=lambda d: 30.0 + d.Days
    )
    model = hb.Model("Reaction ~ Days + (Days | Subject)", frame, **options)
    linear, found = model.fit(method="ml"), fit_glmm(model.spec)
    assert found.loglik == pytest.approx(-linear.criterion / 2, abs=1e-8)
    assert found.dispersion.keys() == ({"sigma"} if "weights" in options else set())
    assert slope_error(Search(found.model, 1, found.beta), found.x + 0.01) < 1e-6


def test_a_model_without_random_effects_is_that_of_glm() -> None:
    # Dobson's counts: R's glm(counts ~ outcome + treatment, family = poisson)
    counts = [18.0, 17.0, 15.0, 20.0, 10.0, 20.0, 25.0, 13.0, 12.0]
    frame = pd.DataFrame(
        {"counts": counts, "outcome": list("123") * 3, "treatment": list("111222333")}
    )
    found = fit("counts ~ outcome + treatment", frame, "poisson")
    expected = [3.044522e00, -4.542553e-01, -2.929871e-01, 0.0, 0.0]
    np.testing.assert_allclose(found.beta, expected, atol=1e-6)
    errors = [0.1708987, 0.2021708, 0.1927423, 0.2, 0.2]
    np.testing.assert_allclose(standard_errors(found), errors, rtol=1e-5)


def test_gradient_of_quadrature_of_three_columns() -> None:
    frame = data()
    spec = hb.Model("count ~ x + (x + exposure | g)", frame, family="poisson").spec
    search = Search(conditional(spec.design, spec.family), 4, np.zeros(2))
    x = np.array([0.3, 0.1, 0.5, 0.1, -0.1, 0.4, 0.2, 0.3])
    assert slope_error(search, x) < 1e-6


def test_bernoulli_is_binomial_of_one_trial_and_its_cells() -> None:
    frame = data()
    rows = fit("y ~ x + (1 | g)", frame, "bernoulli")
    one = fit("y ~ x + (1 | g)", frame, "binomial")
    cells = frame.groupby(["g", "x"]).y.agg(["sum", "count"]).reset_index()
    cells["failures"] = cells["count"] - cells["sum"]
    both = fit("cbind(sum, failures) ~ x + (1 | g)", cells, "binomial")
    assert one.loglik == pytest.approx(rows.loglik, abs=1e-9)
    for other in (one, both):
        np.testing.assert_allclose(other.beta, rows.beta, rtol=1e-6)
        np.testing.assert_allclose(other.theta, rows.theta, rtol=1e-6)
        np.testing.assert_allclose(other.vcov, rows.vcov, rtol=1e-4, atol=1e-9)


def test_exposure_as_offset_moves_with_the_intercept() -> None:
    frame = data()
    first = fit("count ~ x + offset(log(exposure)) + (1 | g)", frame, "poisson")
    frame["exposure"] *= 10
    ten = fit("count ~ x + offset(log(exposure)) + (1 | g)", frame, "poisson")
    np.testing.assert_allclose(ten.beta, first.beta - [np.log(10), 0], atol=1e-7)
    assert ten.loglik == pytest.approx(first.loglik, abs=1e-8)


def test_units_and_names_change_nothing() -> None:
    frame = data()
    first = fit("count ~ x + (x | g)", frame, "poisson")
    frame["x"] *= 1e5
    large = fit("count ~ x + (x | g)", frame, "poisson")
    np.testing.assert_allclose(large.beta, first.beta / [1, 1e5], rtol=1e-5)
    np.testing.assert_allclose(large.theta, first.theta / [1, 1e5, 1e5], rtol=1e-4, atol=1e-12)
    assert large.loglik == pytest.approx(first.loglik, abs=1e-7)
    frame["x"] /= 1e5
    frame = frame.iloc[::-1].assign(g=["z" + g[::-1] for g in frame.g[::-1]])
    other = fit("count ~ x + (x | g)", frame.reset_index(drop=True), "poisson")
    np.testing.assert_allclose(other.beta, first.beta, rtol=1e-6)
    assert other.loglik == pytest.approx(first.loglik, abs=1e-8)


def test_units_of_a_gamma_response_change_nothing() -> None:
    found = []
    for unit in (1.0, 1000.0):
        frame = load_fit("ss_gamma").data
        frame["Reaction"] = frame["Reaction"] * unit
        found.append(fit("Reaction ~ Days + (1 | Subject)", frame, "gamma", link="inverse"))
    np.testing.assert_allclose(found[1].beta * 1000, found[0].beta, rtol=1e-6)
    np.testing.assert_allclose(found[1].theta * 1000, found[0].theta, rtol=1e-6)
    assert found[1].loglik + 180 * np.log(1000) == pytest.approx(found[0].loglik, abs=1e-6)


def test_a_variance_of_zero_is_exactly_zero() -> None:
    frame = data()  # the same counts in every level
    frame = frame.sort_values(["x", "count"]).reset_index(drop=True)
    frame["g"] = [f"g{i % 12:02d}" for i in range(len(frame))]
    found = fit("count ~ x + (1 | g)", frame, "poisson")
    assert found.is_singular and found.theta[0] == 0 and found.converged
    assert np.isfinite(found.vcov[:2, :2]).all() and np.isnan(found.vcov[2, 2])


def test_a_column_that_separates_the_response_is_named() -> None:
    frame = data()
    frame["z"] = (frame.y * (frame.x > 1)).astype(float)  # z = 1 only where y = 1
    found = fit("y ~ x + z + (1 | g)", frame, "bernoulli")
    assert found.runaway_columns == (2,) and not found.converged
    assert fit("y ~ x + (1 | g)", frame, "bernoulli").runaway_columns == ()


def test_a_level_without_any_count_is_named() -> None:
    frame = data()
    frame["w"] = np.where(np.arange(len(frame)) % 4 == 0, "none", "some")
    frame.loc[frame.w == "none", "count"] = 0.0
    found = fit("count ~ x + w + (1 | g)", frame, "poisson")
    assert (
        0 in found.runaway_columns and 2 in found.runaway_columns and 1 not in found.runaway_columns
    )


def test_counts_without_overdispersion_are_poisson() -> None:
    frame = data().assign(count=lambda d: 2.0 + d.x % 2)
    poisson = fit("count ~ x + (1 | g)", frame, "poisson")
    found = fit("count ~ x + (1 | g)", frame, "negativebinomial")
    assert found.flat_parameters == ("alpha",) and found.converged
    # what is left falls as 1 / alpha, to first order by half the sum of y - (y - mu)^2
    y = frame["count"].to_numpy()
    left = 0.5 * (y - (y - np.exp(poisson.eta)) ** 2).sum() / found.dispersion["alpha"]
    assert 0 < left < 1e-4
    assert poisson.loglik - found.loglik == pytest.approx(left, rel=0.15)
    np.testing.assert_allclose(standard_errors(found)[:2], standard_errors(poisson)[:2], rtol=1e-4)


def test_a_link_that_allows_no_mean_is_told_in_a_sentence() -> None:
    frame = data().assign(wait=lambda d: d["count"] + 0.5)
    frame.loc[0, "x"] = -1e4
    with pytest.raises(hb.DataError, match="link='inverse'"):
        fit("wait ~ 0 + x + (1 | g)", frame, "gamma", link="inverse")


@pytest.mark.parametrize("family", ["poisson", "zero_inflated_poisson", "bernoulli"])
def test_no_mean_is_negative_under_the_identity_link(family: str) -> None:
    spec = specification(family, "identity", "slope", seed=323036)
    model = conditional(spec.design, spec.family)
    density = model.densities(np.full(model.y.size, -3.0), np.zeros(model.sizes[2]))
    assert np.isneginf(density.value).all() and not density.slope.any()


@pytest.mark.parametrize("fit_id", ["cbpp_logit", "cbpp_agq10", "gt_full", "gt_slope"])
def test_modes_and_their_sds_are_those_of_glmer(fit_id: str) -> None:
    found, reference = fitted(fit_id), load_fit(fit_id)
    factors = spec_of(reference).design.factors
    for factor, modes, covariances in zip(
        factors, found.modes, found.mode_covariances, strict=True
    ):
        theirs = reference.record["ranef"][factor.name]
        assert list(factor.levels) == theirs["levels"]
        assert list(factor.columns) == theirs["columns"]
        np.testing.assert_allclose(modes, theirs["values"], atol=1e-6)
        sds = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        np.testing.assert_allclose(sds, theirs["condsd"], atol=1e-6)
    first = reference.record["residuals"]["fitted_first10"]
    np.testing.assert_allclose(found.mu[:10], first, atol=1e-6)


def test_a_search_at_the_end_of_the_means_tries_few_parts_of_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A level has successes alone: the mode lies where a mean is one, and steps get shorter."""
    rows = pd.DataFrame({"y": np.tile([0, 1, 1], 40), "g": np.repeat(list("abcdefghij"), 12)})
    rows.loc[:11, "y"] = 1
    spec = hb.Model("y ~ 1 + (1 | g)", rows, "bernoulli", link="identity").spec
    model = conditional(spec.design, spec.family)
    tried, steps = [], []
    has_mean, newton = pirls.has_mean, pirls._newton
    monkeypatch.setattr(pirls, "has_mean", lambda *a: tried.append(a) or has_mean(*a))
    monkeypatch.setattr(pirls, "_newton", lambda at: steps.append(at) or newton(at))
    beta = np.array([0.5 / model.x_basis[0, 0]])
    start = pirls.at_effects(
        model, np.ones(1), beta, np.empty(0), pirls.no_effects(model), profiled=False
    )
    with pytest.raises(np.linalg.LinAlgError, match="no step"):
        pirls.find_mode(start)
    assert len(steps) > 8 and len(tried) < 7 * len(steps)
