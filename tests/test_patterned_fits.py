"""What can be asked of fits whose covariance has a pattern.

``cs(t | sub)`` of two columns is the full covariance of them in other parameters, so that what does
not speak of parameters has the same answer. Kenward and Roger's of other patterns is held against
dense algebra.
"""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.pattern_models import TERMS, covariance, frame, marginal, model

FORMULA = "{y} ~ t + {word}(t | sub) + (1 | h)"


def both(family=None):
    """The fit of a full covariance of two columns and of compound symmetry, the same model."""
    y = "y" if family is None else "count"
    for word in ("", "cs"):
        formula = FORMULA.format(y=y, word=word)
        yield hb.lmer(formula, frame()) if family is None else hb.glmer(formula, frame(), family)


ANSWERS = {
    "kenward-roger": lambda f: f.tidy(ddf="kenward-roger", effects="fixed")[["std_error", "df"]],
    "path": lambda f: hb.shrinkage_path(f, sds=[0, 0.3, 1, np.inf])[["coefficient", "population"]],
    "shrinkage": lambda f: hb.shrinkage(f)[["unpenalised", "coefficient", "coefficient_sd"]],
    "surface": lambda f: hb.likelihood_surface(f, ["sd_(Intercept)|sub", "sd_t|sub"], n=3).ml,
    "r2": lambda f: hb.r2(f, nsim=10, random_seed=1).to_frame().select_dtypes(float),
    "whole bars": lambda f: hb.ranova(f, reduce_terms=False).to_frame()[["loglik", "df"]],
    "prediction": lambda f: f.predict(frame().head(3), interval="prediction"),
}


@pytest.mark.parametrize("question", ANSWERS)
def test_two_columns_of_compound_symmetry_are_a_full_covariance(question):
    full, own = (np.asarray(ANSWERS[question](fit), dtype=float) for fit in both())
    np.testing.assert_allclose(own, full, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")  # a correlation of -1
def test_they_are_in_a_generalised_model_too():
    full, own = both("poisson")
    assert own.criterion == pytest.approx(full.criterion, abs=1e-7)
    np.testing.assert_allclose(own.std_errors, full.std_errors, rtol=1e-5)
    answers = [np.asarray(ANSWERS["shrinkage"](fit), dtype=float) for fit in (full, own)]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-4)


def dense_kenward_roger(fit):
    """Adjusted covariance of beta by dense algebra, derivatives of V by differences."""
    X, theta = fit.design.X, fit.representative
    V = marginal(fit.design, theta)
    step = 1e-5
    G = [
        (marginal(fit.design, theta + s) - marginal(fit.design, theta - s)) / (2 * step)
        for s in step * np.eye(theta.size)
    ]
    G.append(V)  # of sigma^2, in units of it
    inverse = np.linalg.inv(V)
    Phi = np.linalg.inv(X.T @ inverse @ X)
    left = [inverse @ own for own in G]
    P = [-X.T @ own @ inverse @ X for own in left]
    Q = [[X.T @ a @ b @ inverse @ X for b in left] for a in left]
    info = np.array(
        [
            [
                np.vdot(left[i], left[j].T)
                - 2 * np.trace(Phi @ Q[i][j])
                + np.trace(Phi @ P[i] @ Phi @ P[j])
                for j in range(len(G))
            ]
            for i in range(len(G))
        ]
    )
    W = 2 * np.linalg.inv(info)
    total = sum(
        W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in range(len(G)) for j in range(len(G))
    )
    return fit.sigma**2 * (Phi + 2 * Phi @ total @ Phi)


@pytest.mark.parametrize("name", ["ar1", "toep"])
def test_kenward_roger_is_that_of_dense_algebra(name):
    fit = model(name).fit()
    errors = fit.tidy(ddf="kenward-roger", effects="fixed")["std_error"].to_numpy()
    expected = np.sqrt(np.diag(dense_kenward_roger(fit)))
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


def test_a_saved_fit_and_a_changed_formula_keep_the_pattern(tmp_path):
    fit = model("ar1").fit()
    fit.save(tmp_path / "fit.hb")
    again = hb.load(tmp_path / "fit.hb")
    np.testing.assert_array_equal(again.theta, fit.theta)
    assert str(again.varcorr()) == str(fit.varcorr())
    changed = fit.update(". ~ . - ar1(0 + visit | g) + cs(0 + visit | g)")
    assert changed.formula_text == "y ~ t + cs(0 + visit | g)"
    assert changed.criterion == pytest.approx(model("cs").fit().criterion, abs=1e-8)


def test_new_responses_have_given_parameters_of_the_pattern():
    fit = model("ar1").fit()
    given = {"sd(*|g)": 2.0, "cor_rho|g": 0.8, "sigma": 0.5}
    Y = np.asarray(fit.simulate(3000, parameters=given, random_seed=3))
    first = frame()[frame().g == "g00"].index  # 12 rows: 3 visits
    visit = frame().visit[first].astype("category").cat.codes.to_numpy()
    expected = covariance("ar1", np.array([2.0, 0.8]), 3)[np.ix_(visit, visit)] + 0.25 * np.eye(12)
    np.testing.assert_allclose(np.cov(Y[first]), expected, atol=0.5)
    with pytest.raises(hb.OptionError, match="from -1 to 1"):
        fit.simulate(1, parameters={"cor_rho|g": 1.5})


def test_limits_are_of_the_patterns_own_parameters():
    fit = model("homcs").fit("ml")
    limits = hb.confint(fit, method="profile")
    assert limits.index.tolist()[:3] == ["sd_*|g", "cor_rho|g", "sigma"]
    assert (limits["lower"] < limits["estimate"]).all()
    assert (limits["upper"] > limits["estimate"]).all()


NESTED = [("ar1", "toep", True), ("homcs", "cs", True), ("ar1", "homcs", False)]


@pytest.mark.parametrize(("small", "large", "nested"), NESTED)
def test_a_likelihood_ratio_is_of_nested_patterns(small, large, nested):
    from hierbayes.gaussian.patterned import is_special_case

    assert is_special_case(small, large) is nested
    assert is_special_case(small, "us")
    assert not is_special_case("us", large)


def test_words_tables_and_the_equation_speak_of_the_pattern():
    fit = model("ar1").fit()
    assert f"{fit.representative[1]:.2f} (ar1)" in str(fit.summary())
    told = " ".join(str(model("ar1").explain()).split())
    assert "falls with the number of steps" in told
    assert "1 variance of random effects, 1 correlation and the residual variance" in told
    assert "have a correlation of" in fit.sentence()
    assert r"\rho_{\text{g}}^{|i - j|}" in model("ar1").latex()
    rows = fit.varcorr().to_frame()
    assert rows["term1"].tolist()[:2] == ["*", "rho"]
    assert rows["sdcor"].tolist()[:2] == pytest.approx(fit.representative * [fit.sigma, 1])
    assert fit.theta.size == 5  # of lme4's Lambda, 2 q - 1 that differ


WRONG = {
    "cs(1 | g)": "has one column",
    "ar1(0 + t | g)": "t is a number",
    "ar1(visit | g)": "stand in none",
    "ar1(0 + h | g)": "",
    "toep(0 + word | g)": "alphabetical order",
}


@pytest.mark.parametrize("term", WRONG)
def test_terms_that_cannot_have_a_pattern_are_refused(term):
    data = frame().assign(word=frame().visit.map({"v1": "before", "v2": "at", "v3": "after"}))
    if not WRONG[term]:  # labels that count are an order
        hb.Model(f"y ~ {term}", data)
        return
    with pytest.raises(hb.FormulaError, match=WRONG[term]):
        hb.Model(f"y ~ {term}", data)


def test_an_sd_of_one_column_at_zero_is_found_exactly():
    rng = np.random.default_rng(8)
    data = frame().copy()
    g, visit = data.g.astype("category").cat.codes, data.visit.astype("category").cat.codes
    b = rng.normal(size=(24, 1)) * [1.5, 1.0, 0.0]
    data["y"] = b[g, visit] + rng.normal(size=len(data))
    with pytest.warns(hb.BoundaryWarning):
        fits = [hb.lmer(f"y ~ t + {TERMS[name]}", data, reml=False) for name in ("cs", "toep")]
    for fit in fits:
        assert fit.converged
        assert fit.is_singular


def test_where_each_row_has_its_effect_the_residual_sd_may_be_zero(tmp_path):
    rng = np.random.default_rng(0)
    R = np.array([[1, 0.6, 0.2], [0.6, 1, 0.6], [0.2, 0.6, 1]])
    rows = 5 + rng.normal(size=(14, 3)) @ np.linalg.cholesky(R).T * [1, 2, 4]
    data = pd.DataFrame(
        {"y": rows.ravel(), "g": np.repeat(np.arange(14), 3), "t": [1, 2, 3] * 14}
    ).astype({"g": str, "t": str})
    with pytest.warns(hb.BoundaryWarning, match="residual sd is estimated as practically zero"):
        fit = hb.lmer("y ~ 1 + toep(0 + t | g)", data)
    assert fit.converged
    assert fit.sigma < 1e-4
    # the criterion is that of the rows' own covariance, without residuals
    own = fit.varcorr().terms[0]
    S = own.corr * np.outer(own.sd, own.sd)
    inverse, ones = np.linalg.inv(S), np.ones(3)
    weight = 14 * ones @ inverse @ ones
    left = rows - (rows @ inverse @ ones).sum() / weight
    expected = 14 * np.linalg.slogdet(S)[1] + np.log(weight) + 41 * np.log(2 * np.pi)
    expected += np.einsum("ja,ab,jb->", left, inverse, left)
    assert fit.criterion == pytest.approx(expected, abs=1e-7)
    fit.save(tmp_path / "fit.hb")
    assert hb.load(tmp_path / "fit.hb").criterion == pytest.approx(fit.criterion, abs=1e-8)
