"""A fit of a generalised model is read as a linear one's is, and prints what lme4 prints."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import hierbayes as hb
from hierbayes.likelihood.generalised import generalised_fit
from hierbayes.results.generalised_fit import GeneralisedFit
from hierbayes.results.linear_fit import LinearFit
from tests.reference_fits import ReferenceFit, load_fit

# lme4's criterion there is ours: canonical links, and random effects of one factor or crossed.
PRINTED = ("cbpp_agq0", "cbpp_logit", "cbpp_null", "cbpp_olre", "cbpp_prop", "cbpp_sum", "gt_bern",
           "gt_offset", "gt_slope")  # fmt: skip
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def fitted(reference: ReferenceFit) -> GeneralisedFit:
    fit = hb.glmer(
        reference.formula,
        reference.data,
        reference.family,
        reference.link,
        reference.n_quadrature,
        data_name=reference.dataset,
        **reference.options,
    )
    assert isinstance(fit, GeneralisedFit)
    return fit


@pytest.fixture(scope="module", params=PRINTED)
def pair(request) -> tuple[GeneralisedFit, ReferenceFit]:
    reference = load_fit(request.param)
    return fitted(reference), reference


@pytest.fixture(scope="module")
def cbpp() -> GeneralisedFit:
    return fitted(load_fit("cbpp_logit"))


def numbers(rows: int = 240) -> pd.DataFrame:
    """Rows in 24 groups with a response of every kind."""
    rng = np.random.default_rng(3)
    group, x = np.repeat(np.arange(24), rows // 24), np.tile(np.linspace(-1, 1, rows // 24), 24)
    eta = 0.3 + 0.5 * x + rng.normal(0, 0.6, 24)[group]
    mu, p, trials = np.exp(eta), 1 / (1 + np.exp(-eta)), rng.integers(3, 9, rows)
    own = rng.beta(5 * p, 5 * (1 - p))
    return pd.DataFrame(
        {
            "x": x,
            "g": group.astype(str),
            "zero_one": (rng.random(rows) < p).astype(int),
            "trials": trials,
            "successes": rng.binomial(trials, p),
            "spread": rng.binomial(trials, own),
            "count": rng.poisson(mu),
            "wide": rng.negative_binomial(2, 2 / (2 + mu)),
            "positive": rng.gamma(3, mu / 3),
            "share": np.clip(own, 1e-3, 1 - 1e-3),
            "number": 10 + 3 * eta + rng.normal(0, 0.5, rows),
            "zeros": rng.poisson(mu) * (rng.random(rows) < 0.7),
            "late": rng.wald(mu, 3),
        }
    )


FAMILIES = {
    "bernoulli": ("zero_one ~ x + (1 | g)", {"family": "bernoulli"}),
    "binomial": ("cbind(successes, trials - successes) ~ x + (x | g)", {"family": "binomial"}),
    "probit": ("zero_one ~ x + (1 | g)", {"family": "binomial", "link": "probit"}),
    "poisson": ("count ~ x + (1 | g)", {"family": "poisson"}),
    "negativebinomial": ("wide ~ x + (1 | g)", {"family": "negative.binomial"}),
    "gamma": ("positive ~ x + (1 | g)", {"family": "Gamma", "link": "log"}),
    "wald": ("late ~ x + (1 | g)", {"family": "inverse.gaussian", "link": "log"}),
    "beta": ("share ~ x + (1 | g)", {"family": "beta"}),
    "beta_binomial": ("cbind(spread, trials - spread) ~ x + (1 | g)", {"family": "beta_binomial"}),
    "gaussian": ("number ~ x + (1 | g)", {"family": "gaussian", "link": "log"}),
    "t": ("number ~ x + (1 | g)", {"family": "t"}),
    "zero_inflated_poisson": ("zeros ~ x + (1 | g)", {"family": "zero_inflated_poisson"}),
    "no groups": ("zero_one ~ x", {"family": "binomial"}),
}


@pytest.fixture(scope="module", params=FAMILIES)
def of_family(request) -> GeneralisedFit:
    formula, options = FAMILIES[request.param]
    fit = hb.glmer(formula, numbers(), **options)
    assert isinstance(fit, GeneralisedFit)
    return fit


# numbers


def test_the_summary_is_the_one_lme4_prints(pair):
    fit, reference = pair
    ours = [line.rstrip() for line in fit.summary().splitlines()]
    assert ours == [line.rstrip() for line in reference.record["printed_summary"]]


def test_estimates_are_lme4s(pair):
    fit, reference = pair
    record = reference.record
    np.testing.assert_allclose(fit.fixef(), record["fixef"]["estimate"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.std_errors, record["fixef"]["se"], rtol=1e-4)
    assert fit.criterion == pytest.approx(-2 * record["logLik"], abs=1e-5)
    assert fit.aic == pytest.approx(record["AIC"], abs=1e-5)
    assert fit.bic == pytest.approx(record["BIC"], abs=1e-5)
    assert fit.df_residual == record["df_residual"]
    found = fit.varcorr().to_frame()["sdcor"]
    np.testing.assert_allclose(
        found, record["VarCorr"]["as_data_frame"]["columns"]["sdcor"], rtol=1e-4, atol=1e-6
    )


def test_effects_of_levels_are_lme4s(pair):
    fit, reference = pair
    for group, known in reference.record["ranef"].items():
        order = [str(level) for level in known["levels"]]
        np.testing.assert_allclose(fit.ranef()[group].loc[order], known["values"], atol=1e-5)
        if known.get("condsd") is not None:
            found = fit.ranef_sd()[group].loc[order]
            np.testing.assert_allclose(found, np.reshape(known["condsd"], found.shape), rtol=1e-4)


def test_residuals_of_every_kind_are_lme4s(pair):
    fit, reference = pair
    record, ends = reference.record["residuals"], np.linspace(0, 1, 5)
    for kind, scale in (("response", 1), ("pearson", fit.sigma), ("deviance", 1)):
        name = "pearson_scaled" if kind == "pearson" else kind
        found = np.quantile(fit.residuals(kind) / scale, ends)
        np.testing.assert_allclose(found, record[f"{name}_quantiles"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.fitted().iloc[:10], record["fitted_first10"], rtol=1e-5)


def test_predictions_are_lme4s(pair):
    fit, reference = pair
    known, new = reference.record["predict"], reference.new_data()
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(fit.predict(new, type="link"), known["re_form_NULL"], **close)
    np.testing.assert_allclose(
        fit.predict(new, type="link", groups="none"), known["re_form_NA"], **close
    )
    np.testing.assert_allclose(fit.predict(new), known["response_re_form_NULL"], **close)


def test_z_tests_are_lme4s(pair):
    fit, reference = pair
    table = fit.tidy(effects="fixed")
    known = reference.record["coef_table"]["columns"]
    np.testing.assert_allclose(table["statistic"], known["z value"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["p_value"], known["Pr(>|z|)"], rtol=1e-2)  # far tails
    assert np.isinf(table["df"]).all()


def test_r2_and_icc_of_a_binary_model_are_those_of_performance():
    reference = load_fit("cbpp_logit")
    known = reference.record["inference"]["performance"]
    fit = fitted(reference)
    explained, shared = hb.r2(fit).to_frame()["estimate"], hb.icc(fit).to_frame()["estimate"]
    for name in ("marginal", "conditional"):
        assert explained[name] == pytest.approx(known["r2_nakagawa"][name], rel=1e-4)
    assert shared["adjusted"] == pytest.approx(known["icc"]["adjusted"], rel=1e-4)


# equivalences


def test_ways_of_writing_a_binomial_response_are_one_model(cbpp):
    data = hb.load_dataset("cbpp")
    share = hb.glmer("incidence/size ~ period + (1 | herd)", data, weights="size")
    rows = np.repeat(np.arange(len(data)), data["size"])
    first = np.concatenate([[0], np.cumsum(data["size"])[:-1]])
    long = data.iloc[rows].assign(ill=(np.arange(rows.size) - first[rows]) < data["incidence"].iloc[
        rows
    ].to_numpy())  # fmt: skip
    each = [
        hb.glmer("ill ~ period + (1 | herd)", long.assign(ill=ill))
        for ill in (long["ill"], long["ill"].astype(int), np.where(long["ill"], "yes", "no"))
    ]
    for other in (share, *each):
        np.testing.assert_allclose(other.fixef(), cbpp.fixef(), rtol=1e-6)
        np.testing.assert_allclose(other.vcov(), cbpp.vcov(), rtol=1e-4)
        np.testing.assert_allclose(other.ranef()["herd"], cbpp.ranef()["herd"], atol=1e-6)


def test_an_offset_argument_is_one_in_the_formula():
    data = numbers().assign(log_exposure=lambda d: 0.5 * d.x)
    a = hb.glmer("count ~ x + (1 | g)", data, "poisson", offset="log_exposure")
    b = hb.glmer("count ~ x + offset(log_exposure) + (1 | g)", data, "poisson")
    plain = hb.glmer("count ~ x + (1 | g)", data, "poisson")
    np.testing.assert_allclose(a.fixef(), b.fixef(), rtol=1e-8)
    shift = plain.fixef() - a.fixef()
    np.testing.assert_allclose(shift, [0, 0.5], atol=1e-5)


def test_without_groups_it_is_a_generalised_linear_model():
    data = numbers()
    with pytest.warns(hb.HierBayesWarning, match="count varies 3.5 times as much"):
        fit = hb.glmer("count ~ x", data, "poisson")
    X, y = np.column_stack([np.ones(len(data)), data.x]), data["count"].to_numpy()
    score = X.T @ (y - np.exp(X @ fit.fixef().to_numpy()))
    np.testing.assert_allclose(score, 0, atol=1e-6)
    assert fit.summary().startswith("Generalized linear model fit by maximum likelihood\n")


def test_method_is_chosen_by_the_family():
    data = numbers()
    counts, normal = (
        hb.Model("count ~ x + (1 | g)", data, "poisson"),
        hb.Model("number ~ x + (1 | g)", data),
    )
    assert counts.fit().method == counts.fit("ml").method == "ml"
    assert normal.fit().method == "reml"
    assert isinstance(counts.fit(), hb.LikelihoodFit) and isinstance(normal.fit(), hb.LikelihoodFit)
    assert isinstance(counts.fit(), GeneralisedFit) and isinstance(normal.fit(), LinearFit)
    assert counts.fit().model is counts
    with pytest.raises(hb.NotSupportedError, match="method='reml' with family='poisson'"):
        counts.fit("reml")
    with pytest.raises(hb.OptionError, match="n_quadrature=5 is for families other"):
        normal.fit(n_quadrature=5)
    with pytest.raises(hb.OptionError, match="must be a whole number"):
        counts.fit(n_quadrature=-1)
    with pytest.raises(hb.OptionError, match=r"hb\.lmer fits that"):
        hb.glmer("number ~ x + (1 | g)", data, "gaussian")


# every family


def test_residuals_are_what_their_kind_says(of_family):
    fit = of_family
    response = fit.residuals()
    np.testing.assert_allclose(response, fit.observed - fit.fitted())
    if fit.response_family.variance is not None:
        spread = (fit.residuals("pearson") / fit.sigma).std()
        assert 0.6 < spread < 1.3
    if fit.response_family.has_expectation:
        working = fit.residuals("working").to_numpy()
        assert (np.sign(working) == np.sign(response)).all()


def test_parameters_of_the_family_are_rows_of_tidy(of_family):
    rows = of_family.tidy(effects="ran_pars").set_index("term")
    for name, (value, error) in of_family.further_parameters.items():
        assert rows.loc[name, "estimate"] == pytest.approx(value)
        assert rows.loc[name, "std_error"] == pytest.approx(error) and error > 0
        assert name in of_family.summary()
    assert of_family.n_params == len(of_family.coef_names) + len(rows)


def test_refit_to_simulated_responses_and_to_its_own(of_family):
    drawn = of_family.simulate(2, random_seed=1)
    assert drawn.shape == (of_family.nobs, 2)
    again = of_family.refit(drawn["sim_1"])
    assert isinstance(again, GeneralisedFit) and again.family == of_family.family
    np.testing.assert_allclose(again.fixef(), of_family.fixef(), atol=1.5)
    y = of_family.design.y
    own = of_family.refit(y if y.ndim == 1 else y[:, 0])
    np.testing.assert_allclose(own.fixef(), of_family.fixef(), atol=1e-4)


def test_another_response_of_cbind_is_successes_of_the_same_trials(cbpp):
    """The response was taken for a column of 0 and 1."""
    y = cbpp.design.y
    other = cbpp.model.with_response(np.minimum(y[:, 0] + 1, y.sum(axis=1)))
    assert np.array_equal(other.design.y.sum(axis=1), y.sum(axis=1))
    with pytest.raises(hb.DataError, match="needs whole numbers of at least 0"):
        cbpp.refit(y.sum(axis=1) + 1)


def test_a_saved_fit_comes_back(of_family, tmp_path):
    of_family.save(tmp_path / "a.fit")
    back = hb.load(tmp_path / "a.fit")
    assert isinstance(back, GeneralisedFit)
    assert back.summary() == of_family.summary()
    for a, b in zip(back.modes, of_family.modes, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    np.testing.assert_allclose(back.vcov(), of_family.vcov(), rtol=1e-5)
    frames = back.simulate(1, random_seed=1), of_family.simulate(1, random_seed=1)
    pd.testing.assert_frame_equal(*frames)


def test_a_fit_goes_to_another_process(of_family):
    again = pickle.loads(pickle.dumps(of_family))
    assert again.summary() == of_family.summary()


def test_a_file_with_other_numbers_is_refused(cbpp, tmp_path):
    changed = replace(cbpp, beta=cbpp.beta + 0.01)
    changed.save(tmp_path / "changed.fit")
    with pytest.raises(hb.DataError, match="the criterion of its theta and data is"):
        hb.load(tmp_path / "changed.fit")


# prediction


def test_intervals_are_of_eta_carried_over(cbpp):
    link = cbpp.predict(groups="none", interval="confidence", type="link")
    X = cbpp.design.X
    se = np.sqrt(np.einsum("ni,ij,nj->n", X, cbpp.vcov(), X))
    np.testing.assert_allclose(link["se"], se, rtol=1e-6)
    np.testing.assert_allclose(link["upper"] - link["lower"], 2 * norm.ppf(0.975) * se, rtol=1e-6)
    response = cbpp.predict(groups="none", interval="confidence")
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_allclose(response[name], 1 / (1 + np.exp(-link[name])), rtol=1e-10)


def test_the_interval_at_a_level_is_that_of_the_joint_hessian(cbpp):
    """Var(x'beta + z'b) of beta and b together, theta held."""
    found = cbpp.predict(interval="confidence", type="link")
    factor, X = cbpp.design.factors[0], cbpp.design.X
    Z = np.eye(factor.levels.size)[factor.codes]
    W = cbpp.row_curvature[:, None]
    A = np.hstack([X, Z])
    H = A.T @ (W * A)
    H[X.shape[1] :, X.shape[1] :] += np.eye(Z.shape[1]) / cbpp.theta[0] ** 2
    # the same with beta's covariance the Laplace one: replace the block of beta
    C = np.linalg.inv(H[X.shape[1] :, X.shape[1] :])
    moved = A[:, X.shape[1] :] @ -(C @ H[X.shape[1] :, : X.shape[1]])
    line = X + moved
    expected = (A[:, X.shape[1] :] @ C * A[:, X.shape[1] :]).sum(axis=1)
    expected += np.einsum("ni,ij,nj->n", line, cbpp.vcov(), line)
    np.testing.assert_allclose(found["se"], np.sqrt(expected), rtol=1e-5)


def test_intervals_at_levels_of_several_factors_are_those_of_the_joint_hessian():
    fit = fitted(load_fit("cbpp_olre"))
    found = fit.predict(interval="confidence", type="link")["se"]
    X = fit.design.X
    Z = np.hstack([np.eye(f.levels.size)[f.codes] for f in fit.design.factors])
    sds = [t.sd[0] for t in fit.varcorr().terms]
    variances = np.repeat(np.square(sds), [f.levels.size for f in fit.design.factors])
    W = fit.row_curvature[:, None]
    C = np.linalg.inv(Z.T @ (W * Z) + np.diag(1 / variances))
    line = X - Z @ C @ Z.T @ (W * X)
    expected = (Z @ C * Z).sum(axis=1) + np.einsum("ni,ij,nj->n", line, fit.vcov(), line)
    np.testing.assert_allclose(found, np.sqrt(expected), rtol=1e-5)
    one = fit.predict(groups=["herd"], interval="confidence", type="link")["se"]
    assert (one < found).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hierbayes.prediction.generalised_predict.MOST_EFFECTS", 50)
        with pytest.raises(hb.NotSupportedError, match="this model has 71 random effects"):
            fit.refit(fit.design.y[:, 0]).predict(interval="confidence")


def test_new_levels(cbpp):
    new = {"period": ["1", "1"], "herd": ["1", "a new herd"]}
    with pytest.raises(hb.NewLevelError, match="a new herd"):
        cbpp.predict(new)
    population = cbpp.predict(new, new_levels="population")
    assert population.iloc[1] == pytest.approx(cbpp.predict(new, groups="none").iloc[1])
    assert np.isnan(cbpp.predict(new, new_levels="missing").iloc[1])
    drawn = cbpp.predict(new, new_levels="sample", random_seed=1)
    assert drawn.iloc[1] != population.iloc[1] and drawn.iloc[0] == population.iloc[0]
    wide = cbpp.predict(new, new_levels="sample", interval="confidence", type="link")
    plain = cbpp.predict(new, new_levels="population", interval="confidence", type="link")
    own = wide["se"].iloc[1] ** 2 - plain["se"].iloc[1] ** 2
    assert own == pytest.approx(cbpp.varcorr().terms[0].sd[0] ** 2, rel=1e-6)


def test_simulated_responses_have_the_models_mean_and_range(cbpp):
    drawn = cbpp.simulate(400, random_seed=2).to_numpy()
    assert ((drawn >= 0) & (drawn <= cbpp.design.y.sum(axis=1)[:, None])).all()
    share = drawn.sum(axis=0) / cbpp.design.y.sum()
    observed = cbpp.design.y[:, 0].sum() / cbpp.design.y.sum()
    assert abs(share.mean() - observed) < 4 * share.std() / np.sqrt(400) + 0.03


# tests and tables


def test_anova_is_lme4s_likelihood_ratio(cbpp):
    small = fitted(load_fit("cbpp_null"))
    table = hb.anova(cbpp, small).to_frame()
    known = 2 * (load_fit("cbpp_logit").record["logLik"] - load_fit("cbpp_null").record["logLik"])
    assert table["chisq"].iloc[1] == pytest.approx(known, abs=1e-5)
    assert table["df"].iloc[1] == 3
    dropped = hb.drop1(cbpp).to_frame()
    assert dropped.loc["period", "lrt"] == pytest.approx(known, abs=1e-5)
    assert dropped.loc["period", "aic"] == pytest.approx(small.aic, abs=1e-5)


def test_random_effects_are_taken_out_one_by_one():
    full = fitted(load_fit("gt_slope"))
    table = hb.ranova(full).to_frame()
    for name in table.index[1:]:
        assert table.loc[name, "df"] == 1 and table.loc[name, "chisq"] > 0
        assert table.loc[name, "p_mixture"] == pytest.approx(table.loc[name, "p_value"] / 2)
    small = full.update(". ~ . - (scale(HEIGHT) || LOCATION) + (1 | LOCATION)")
    known = hb.anova(full, small).to_frame()["chisq"].iloc[1]
    assert table.loc["scale(HEIGHT) in (0 + scale(HEIGHT) | LOCATION)", "chisq"] == pytest.approx(
        known, abs=1e-5
    )


def test_fits_whose_likelihoods_do_not_compare_are_refused(cbpp):
    data = hb.load_dataset("cbpp")
    probit = hb.glmer(CBPP, data, link="probit")
    nodes = hb.glmer(CBPP.replace("period", "1"), data, n_quadrature=9)
    with pytest.raises(hb.DataError, match="different families"):
        hb.anova(cbpp, probit)
    with pytest.raises(hb.DataError, match="n_quadrature=1 and n_quadrature=9"):
        hb.anova(cbpp, nodes)
    with pytest.raises(hb.DataError, match="different links"):
        hb.compare(cbpp, probit)


def test_contrasts_and_wald_tests(cbpp):
    table = cbpp.contrast({"3 - 2": {"period3": 1, "period2": -1}})
    V = cbpp.vcov()
    se = np.sqrt(V.loc["period3", "period3"] + V.loc["period2", "period2"]
                 - 2 * V.loc["period2", "period3"])  # fmt: skip
    assert table.loc["3 - 2", "std_error"] == pytest.approx(se)
    b, names = cbpp.fixef()[1:], cbpp.coef_names[1:]
    wald = b @ np.linalg.solve(V.loc[names, names], b) / 3
    assert cbpp.contrast(list(names), joint=True).to_frame()["f_value"].iloc[0] == pytest.approx(
        wald
    )
    assert hb.anova(cbpp).to_frame().loc["period", "f_value"] == pytest.approx(wald)


def test_wald_intervals_are_lme4s(cbpp):
    found = hb.confint(cbpp)
    z = norm.ppf(0.975)
    fixed = found.iloc[1:]
    np.testing.assert_allclose(fixed["upper"] - fixed["estimate"], z * cbpp.std_errors)
    assert list(found.index) == ["sd_(Intercept)|herd", *cbpp.coef_names]
    assert found["estimate"].iloc[0] == pytest.approx(cbpp.theta[0])


def test_marginal_means_on_both_scales(cbpp):
    link = hb.emmeans(cbpp, "period", contrasts="pairwise")
    response = hb.emmeans(cbpp, "period", contrasts="pairwise", type="response")
    eta, mu = link.to_frame(), response.to_frame()
    np.testing.assert_allclose(mu["estimate"], 1 / (1 + np.exp(-eta["estimate"])))
    np.testing.assert_allclose(mu["conf_low"], 1 / (1 + np.exp(-eta["conf_low"])))
    slope = mu["estimate"] * (1 - mu["estimate"])
    np.testing.assert_allclose(mu["std_error"], slope * eta["std_error"])
    first = response.contrasts.iloc[0]
    assert first["estimate"] == pytest.approx(mu["estimate"].iloc[0] - mu["estimate"].iloc[1])
    g = np.array([slope[0] - slope[1], -slope[1], 0, 0])
    assert first["std_error"] == pytest.approx(np.sqrt(g @ cbpp.vcov() @ g))
    assert "on the scale of the logit link" in str(link)
    assert "on the response scale" in str(response)


# what is found


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_findings_in_words():
    data = numbers()
    rng = np.random.default_rng(1)
    apart = data.assign(
        never=np.where(data.x > 0.5, "b", "a"), hit=np.where(data.x > 0.5, 0, data["zero_one"])
    )
    found = {f.code: str(f) for f in hb.glmer("hit ~ never + (1 | g)", apart).findings}
    assert "never" in found["separation"] and "model.sample()" in found["separation"]
    wide = hb.glmer("wide ~ x + (1 | g)", data, "poisson")
    found = {f.code: str(f) for f in wide.findings}
    assert "family='negativebinomial'" in found["overdispersion"]
    few = data.assign(h=np.tile(list("abc"), 80))
    found = {f.code: str(f) for f in hb.glmer("count ~ x + (1 | h)", few, "poisson").findings}
    assert "only 3 levels" in found["few_levels"]
    alike = data.assign(count=rng.poisson(2.0, len(data)), g=np.tile(np.arange(24), 10).astype(str))
    fit = hb.glmer("count ~ 1 + (1 | g)", alike, "poisson")
    if fit.is_singular:
        assert any("exactly zero" in str(f) for f in fit.findings)
    calm = hb.glmer("count ~ x + (1 | g)", data, "poisson")
    assert not [f for f in calm.findings if f.code in ("overdispersion", "separation")]


# a stand-in of the search: what is read needs only where it ended


@dataclass(frozen=True)
class Ended:
    beta: np.ndarray
    theta: np.ndarray
    dispersion: dict
    family_parameters: dict
    loglik: float
    modes: list
    mode_covariances: list
    eta: np.ndarray
    mu: np.ndarray
    vcov: np.ndarray
    converged: bool = True
    is_singular: bool = False


def test_everything_is_read_off_where_the_search_ended(cbpp):
    found = cbpp.optimum
    ended = Ended(**{name: getattr(found, name) for name in Ended.__dataclass_fields__})
    again = generalised_fit(cbpp.spec, ended, n_quadrature=1)
    assert again.summary() == cbpp.summary()


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("bars", ["(1 | g)", "(z | g)", "(1 | g) + (1 | h)", "(z | g) + (1 | h)"])
def test_models_without_fixed_effects_are_fitted_and_compared(bars):
    rng = np.random.default_rng(0)
    data = {"y": rng.poisson(1, size=120), "z": rng.normal(size=120), "f": np.arange(120) % 2}
    data |= {"g": rng.integers(0, 8, 120), "h": rng.integers(0, 5, 120)}
    none = hb.glmer(f"y ~ 0 + {bars}", data, family="poisson")
    assert none.beta.size == 0 and np.isfinite(none.loglik)
    found = hb.drop1(hb.glmer(f"y ~ 0 + factor(f) + {bars}", data, family="poisson"))
    assert len(found.to_frame()) == 2
