"""Models of correlated residuals and of unequal variance: what they give, and what they refuse."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.residual.root import coloured, whitened
from hierbayes.intervals.residual_curvature import residual_curvature
from hierbayes.results.residual_calls import KNOWN, OF_FITTED_SDS

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"


@lru_cache
def orthodont() -> pd.DataFrame:
    data = pd.read_csv(FOLDER / "orthodont.csv")
    return data.assign(week=data["age"] / 3)


@lru_cache
def fitted(residual: str | None = "ar1(occasion | Subject)", sigma: str | None = "~ Sex"):
    return hb.lmer("distance ~ age * Sex", orthodont(), residual=residual, sigma=sigma)


def test_strata_and_correlation_stand_in_tables_and_counts() -> None:
    fit = fitted()
    table = fit.varcorr().to_frame()
    assert table["group"].tolist() == ["Residual", "Residual", "Subject"]
    assert table["term1"].tolist()[1:] == ["SexMale", "ar1"]
    values = fit.spec.residuals.values(fit.residual.phi[None])[0]
    np.testing.assert_allclose(table["sdcor"].iloc[1], fit.sigma * np.exp(values[0]))
    np.testing.assert_allclose(table["sdcor"].iloc[2], values[1])
    assert fit.n_params == 4 + 1 + 2
    assert fit.tidy(effects="ran_pars", ddf="normal")["term"].tolist()[-1] == "cor__ar1"
    text = str(fit.summary())
    assert "ar1(occasion | Subject)" in text and "sigma ~ Sex" in text


def test_visits_without_random_effects_are_the_unstructured_maximum() -> None:
    data = orthodont()
    fit = hb.lmer("distance ~ 0 + factor(age)", data, reml=False, residual="us(age | Subject)")
    wide = data.pivot_table(index="Subject", columns="age", values="distance")
    S = np.cov(wide.T, bias=True)
    expected = 27 * (4 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(S)[1])
    assert fit.criterion == pytest.approx(expected, abs=1e-7)
    assert fit.sigma == pytest.approx(np.sqrt(S[0, 0]), rel=1e-5)


@pytest.mark.parametrize(
    "residual",
    ["ar1(occasion | Subject)", "car1(age | Subject)", "cs(1 | Subject)", "us(age | Subject)"],
)
def test_normalised_residuals_are_those_of_the_whole_covariance(residual: str) -> None:
    fit = fitted(residual, "~ Sex" if "us" not in residual else None)
    e = fit.residuals("normalized").to_numpy()
    # without random effects their squares are those of the criterion
    assert (e**2).sum() == pytest.approx(fit.nobs - fit.beta.size, rel=1e-6)
    pearson = fit.residuals("pearson").to_numpy() / fit.sigma
    raw = fit.residuals().to_numpy()
    np.testing.assert_allclose(pearson, raw / (fit.sigma * fit.relative_sds))


def test_a_refit_is_a_fit_of_the_other_response() -> None:
    fit = fitted()
    other = fit.refit(fit.design.y[::-1].copy())
    data = orthodont().assign(distance=fit.design.y[::-1])
    again = hb.lmer("distance ~ age * Sex", data, residual="ar1(occasion | Subject)", sigma="~ Sex")
    assert other.criterion == pytest.approx(again.criterion, abs=1e-7)


def test_what_takes_rows_to_be_independent_refuses() -> None:
    with pytest.raises(hb.NotSupportedError, match="does not know correlated residuals"):
        hb.inclusion(mixed().model)


def test_known_calls_are_calls() -> None:
    fit = fitted()
    for called in KNOWN:
        first, _, name = called.partition(".")
        owners = {"fit": fit, "model": fit.model, "hb": hb, "result": fit, "plot": hb.plot}
        owner = owners.get(first)
        assert owner is None or callable(getattr(owner, name)), called


WRONG = [
    ("ar1(1 | Subject)", "says where in its series"),
    ("ar1(Sex | Subject)", "two rows at the same 'Sex'"),
    ("ar1(week | Subject)", "ar1 counts steps between whole times"),
    ("ar1(age/3 | Subject)", "~ar1|ar1\\(age/3"),
    ("ma(age | Subject)", "is none of ar1"),
    ("cs(1 | distance:age:Subject)", "has one row"),
    (3, "must be text"),
    ("ar1(age)", r"has no '\|': write ar1\(time"),
    ("ar1(age | nobody)", r"~ar1\(age \| nobody\)"),
    ("ar1(date | Subject)", "holds dates or times; a model needs a number"),
    ("car1(date | Subject)", "holds dates or times; a model needs a number"),
    ("car1(month | Subject)", r"has categories such as 'May'.*they are ar1\(month"),
]


@pytest.mark.parametrize(("residual", "words"), WRONG)
def test_wrong_terms_are_sentences(residual, words: str) -> None:
    data = orthodont()
    data["date"] = pd.Timestamp("2024-03-01") + pd.to_timedelta(data["age"], unit="D")
    data["month"] = data["age"].map({8: "May", 10: "June", 12: "July", 14: "August"})
    data["month"] = pd.Categorical(data["month"], ["May", "June", "July", "August"])
    with pytest.raises(hb.HierBayesError, match=words):
        hb.lmer("distance ~ age * Sex", data, residual=residual)


def test_what_it_can_not_stand_beside() -> None:
    data = orthodont()
    term = "ar1(occasion | Subject)"
    with pytest.raises(hb.NotSupportedError, match="Gaussian response"):
        hb.Model("occasion ~ age", data, "poisson", residual=term)
    with pytest.raises(hb.OptionError, match="known_sd"):
        hb.Model("distance ~ age", data, known_sd="age", residual=term)
    with pytest.raises(hb.DataError, match="belong to several levels"):
        hb.lmer("distance ~ age + (1 | age)", data, residual=term)
    with pytest.raises(hb.DataError, match="say the same"):
        hb.lmer("distance ~ age + (1 | Subject)", data, residual="cs(1 | Subject)")
    with pytest.raises(hb.DataError, match="no intercept"):
        hb.lmer("distance ~ age", data, sigma="~ 0 + Sex")
    with pytest.raises(hb.DataError, match="center"):
        hb.lmer("distance ~ age", data, sigma="~ I(age + 5000)")


@lru_cache
def mixed():
    data = orthodont()
    given = {"residual": "ar1(occasion | Subject)", "sigma": "~ Sex"}
    return hb.lmer("distance ~ age * Sex + (1 | Subject)", data, **given)


def test_degrees_of_freedom_count_the_residuals_parameters_too() -> None:
    # without random effects, visits unstructured: those of mmrm's and SAS's Satterthwaite for a
    # contrast between groups are the subjects' less two
    fit = hb.lmer("distance ~ factor(age) * Sex", orthodont(), residual="us(age | Subject)")
    assert fit.tidy(effects="fixed")["df"].to_numpy()[[0, 4]] == pytest.approx(25, rel=1e-4)


def test_the_curvature_is_that_of_the_criterion() -> None:
    fit = mixed()
    found = residual_curvature(fit)
    own, k = fit.spec.residual_kernel(fit.method), 1

    def deviance(x):
        point = own.evaluated(x[None, :k], x[None, k:3])
        df, sigma = point.own.df, np.exp(x[3])
        profiled = df * (1 + np.log(2 * np.pi * point.at.pwrss / df))
        rest = point.at.criterion - profiled
        return float((rest + df * np.log(2 * np.pi * sigma**2) + point.at.pwrss / sigma**2)[0])

    x = np.concatenate([found.at.theta[0], fit.residual.phi, [np.log(fit.sigma)]])
    moves = np.eye(4)
    moves[:3, :3] = found.moves
    h = 1e-3
    for i in range(4):
        for j in range(4):
            a, b = h * moves[i], h * moves[j]
            corners = (deviance(x + a + b), -deviance(x + a - b), -deviance(x - a + b))
            second = (sum(corners) + deviance(x - a - b)) / (4 * h * h)
            assert found.hessian[i, j] == pytest.approx(second, abs=2e-3)


def test_intervals_and_tests_of_a_correlation() -> None:
    fit = mixed()
    table = hb.confint(fit)
    names = ["sigma", "sigma_SexMale", "cor_ar1|Subject"]
    rows = table.loc[names]
    assert (rows["lower"] < rows["estimate"]).all() and (rows["estimate"] < rows["upper"]).all()
    assert rows.loc["cor_ar1|Subject", "lower"] > -1
    without = hb.lmer("distance ~ age * Sex + (1 | Subject)", orthodont(), sigma="~ Sex")
    tested = hb.anova(without, fit)
    assert tested.to_frame()["df"].iloc[1] == 1
    other = hb.lmer(
        "distance ~ age * Sex + (1 | Subject)", orthodont(), residual="car1(age | Subject)",
        sigma="~ Sex",
    )  # fmt: skip
    plain = hb.lmer("distance ~ age * Sex + (age | Subject)", orthodont(), sigma="~ Sex")
    assert np.isnan(hb.anova(other, plain).to_frame()["p_value"].iloc[1])


@pytest.mark.parametrize(
    "residual",
    ["ar1(occasion | Subject)", "car1(age | Subject)", "cs(1 | Subject)", "us(age | Subject)"],
)
def test_roots_undo_each_other_and_have_the_covariance(residual: str) -> None:
    fit = fitted(residual, "~ Sex" if "us" not in residual else None)
    found, phi = fit.spec.residuals, fit.residual.phi
    root = coloured(found, phi, np.eye(fit.nobs))
    np.testing.assert_allclose(whitened(found, phi, root), np.eye(fit.nobs), atol=1e-10)
    precision = np.linalg.inv(root @ root.T)
    products = fit.kernel.products
    X = fit.design.X @ products.anchor.x_basis
    np.testing.assert_allclose(X.T @ precision @ X, products.xx, rtol=1e-9, atol=1e-8)


def test_draws_have_the_correlation_of_the_residuals() -> None:
    fit = mixed()
    drawn = fit.simulate(4000, random_seed=1).to_numpy()
    again = fit.simulate(4000, random_seed=1, parameters={"sigma": fit.sigma}).to_numpy()
    variance = fit.varcorr().terms[0].sd[0] ** 2
    root = fit.sigma * coloured(fit.spec.residuals, fit.residual.phi, np.eye(fit.nobs))
    first = (fit.design.factors[0].codes == 0).nonzero()[0]
    expected = (root @ root.T)[np.ix_(first, first)] + variance
    for responses in (drawn, again):
        np.testing.assert_allclose(np.cov(responses[first]), expected, rtol=0.12)


def test_means_and_predictions_are_those_of_the_coefficients() -> None:
    fit = mixed()
    means = hb.emmeans(fit, "Sex").contrast("pairwise").to_frame()
    own = fit.contrast({"x": {"SexMale": -1, "age:SexMale": -orthodont()["age"].mean()}})
    for name in ("estimate", "std_error", "df"):
        assert float(means[name].iloc[0]) == pytest.approx(float(own[name].iloc[0]), rel=1e-8)
    typical = fit.predict(groups="none")
    np.testing.assert_allclose(typical, fit.fixed_part)
    np.testing.assert_allclose(fit.predict(), fit.fitted())
    plain = hb.emmeans(fitted(), "Sex")
    assert "Satterthwaite" in str(plain)
    assert (plain.to_frame()["df"] < 60).all()


@pytest.mark.parametrize("sigma", [None, "~ log(fitted)"])
def test_a_saved_fit_is_the_same(tmp_path, sigma) -> None:
    fit = mixed() if sigma is None else fitted(None, sigma)
    fit.save(tmp_path / "fit")
    again = hb.load(tmp_path / "fit")
    assert again.criterion == pytest.approx(fit.criterion, abs=1e-9)
    assert again.spec.has_fitted_sds == (sigma is not None)
    pd.testing.assert_frame_equal(again.varcorr().to_frame(), fit.varcorr().to_frame())
    assert str(again.summary()) == str(fit.summary())


def test_explain_says_whether_rows_are_touched() -> None:
    assert "no evaluation touches a row" in " ".join(mixed().model.explain().split())


def test_rows_that_make_up_for_each_other_end_at_the_bound_without_words_of_numpy() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 6))
    rows -= rows.mean(axis=1, keepdims=True)
    data = {"y": rows.ravel(), "g": np.repeat(np.arange(20), 6)}
    with pytest.warns(hb.DesignWarning, match="end of its range") as told:
        fit = hb.lmer("y ~ 1", data, residual="cs(1 | g)")
    assert [str(one.message)[:3] for one in told] == ["The"]
    assert fit.varcorr().to_frame()["sdcor"].iloc[-1] == pytest.approx(-0.2)


def test_fitted_values_in_the_formula_of_sigma_are_those_of_the_fit() -> None:
    fit = hb.lmer("distance ~ age * Sex", orthodont(), sigma="~ log(fitted)")
    sds = fit.fitted().to_numpy() ** fit.spec.residuals.values(fit.residual.phi[None])[0, 0]
    np.testing.assert_allclose(fit.relative_sds, sds, rtol=1e-7)
    # with these as a covariate it is the same fit
    data = orthodont().assign(mean=fit.fitted().to_numpy())
    again = hb.lmer("distance ~ age * Sex", data, sigma="~ log(mean)")
    assert fit.criterion == pytest.approx(again.criterion, abs=1e-7)
    assert "repeated until they stay" in fit.model.explain()
    other = fit.refit(fit.design.y[::-1].copy())
    backwards = orthodont().assign(distance=fit.design.y[::-1])
    afresh = hb.lmer("distance ~ age * Sex", backwards, sigma="~ log(fitted)")
    assert other.criterion == pytest.approx(afresh.criterion, abs=1e-6)
    assert fit.update(". ~ . - age:Sex").spec.has_fitted_sds
    assert hb.lmer("distance ~ (1 | Subject)", orthodont(), sigma="~ log(fitted)").converged
    # a column of the data is what the formula says
    own = hb.Model("distance ~ age * Sex", data.assign(fitted=1 + data["age"]), sigma="~ fitted")
    assert not own.spec.has_fitted_sds


def test_what_is_known_of_a_covariate_is_known_of_fitted_values() -> None:
    formula = "distance ~ age + (1 | Subject)"
    fit = hb.lmer(formula, orthodont(), sigma="~ log(fitted)")
    data = orthodont().assign(mean=fit.fitted().to_numpy())
    again = hb.lmer(formula, data, sigma="~ log(mean)")
    found, expected = (hb.shrinkage(one).select_dtypes("number") for one in (fit, again))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    # by ML the fitted values are others
    found, expected = (
        hb.compare(one, one.with_method("ml")).to_frame().filter(regex="reml_(est|se|low)")
        for one in (fit, again)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert hb.r2(fit).marginal == pytest.approx(hb.r2(again).marginal, rel=1e-5)
    assert hb.anova(fit).to_frame()["f_value"].iloc[0] == pytest.approx(
        hb.anova(again).to_frame()["f_value"].iloc[0], rel=1e-4
    )


OF_FITTED = {
    "sample": lambda fit: fit.model.sample(),
    "to_pymc": lambda fit: fit.model.to_pymc(),
    "simulate": lambda fit: fit.simulate(1),
    "anova": lambda fit: hb.anova(fit, fit),
    "drop1": lambda fit: hb.drop1(fit, "Chisq"),
    "responses": lambda fit: hb.predictions(fit, interval="prediction"),
    "predict": lambda fit: fit.predict(interval="confidence"),
    "profile": lambda fit: hb.confint(fit, method="profile"),
    "bars": lambda fit: hb.Model("distance ~ age", orthodont(), sigma="~ fitted + (1 | Subject)"),
}


def test_what_takes_sds_for_known_refuses_those_of_fitted_values() -> None:
    fit = hb.lmer("distance ~ age * Sex", orthodont(), sigma="~ fitted")
    for name, asked in OF_FITTED.items():
        with pytest.raises(hb.NotSupportedError, match="follow from fitted values"):
            asked(fit)
            raise AssertionError(name)
    assert fit.predict(orthodont().head(3)).shape == (3,)
    for called in OF_FITTED_SDS:
        assert called in KNOWN
