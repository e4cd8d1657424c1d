"""What a REML or ML fit answers: each table follows from the others, and none can be changed."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.results.likelihood_fit import LikelihoodFit


def cake():
    return hb.load_dataset("cake")


def sleep():
    return hb.load_dataset("sleepstudy")


def schools():
    return pd.DataFrame(
        {
            "effect": [28.0, 8, -3, 7, -1, 1, 18, 12],
            "se": [15.0, 10, 16, 11, 9, 11, 10, 18],
            "school": list("ABCDEFGH"),
        }
    )


# name -> data, formula, options
MODELS = {
    "slope": (sleep, "Reaction ~ Days + (Days | Subject)", {}),
    "ml": (sleep, "Reaction ~ Days + (Days | Subject)", {"reml": False}),
    "weights": (sleep, "Reaction ~ Days + (Days | Subject)", {"weights": "1/(1 + Days)"}),
    "offset": (sleep, "Reaction ~ Days + (Days | Subject)", {"offset": "10 * Days"}),
    "no_fixed_slope": (sleep, "Reaction ~ 1 + (Days | Subject)", {}),
    "two_terms": (sleep, "Reaction ~ Days + (0 + Days | Subject) + (1 | Subject)", {}),
    "rank_deficient": (sleep, "Reaction ~ I(2 * Days) + Days + I(Days^2) + (1 | Subject)", {}),
    "nested": (cake, "angle ~ recipe + (temp | replicate) + (1 | recipe:replicate)", {}),
    "crossed": (
        lambda: hb.load_dataset("Penicillin"),
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        {},
    ),
    "missing": (lambda: hb.load_dataset("sleepstudy_na"), "Reaction ~ Days + (1 | Subject)", {}),
    "singular": (lambda: hb.load_dataset("Dyestuff2"), "Yield ~ 1 + (1 | Batch)", {}),
    "known_sd": (schools, "effect ~ 1 + (1 | school)", {"known_sd": "se"}),
    "linear": (sleep, "Reaction ~ Days", {}),
}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fit(name):
    return fitted(name)


def fitted(name):
    data, formula, options = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data(), **options)


# numbers


def test_numbers_follow_from_the_criterion(fit):
    k = fit.beta.size + fit.theta.size + (0 if fit.design.known_sd is not None else 1)
    assert fit.n_params == k
    assert fit.loglik == -fit.criterion / 2
    assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * k)
    assert fit.bic == pytest.approx(-2 * fit.loglik + np.log(fit.nobs) * k)
    assert fit.df_residual == fit.nobs - k
    assert fit.method in ("reml", "ml")
    assert isinstance(fit, LikelihoodFit)
    if fit.method == "ml":
        assert fit.deviance == fit.criterion


def test_counts_are_those_of_the_rows_used(fit):
    assert fit.nobs == len(fit.design.y) == len(fit.fitted()) == len(fit.residuals())
    assert fit.n_rows_given == fit.nobs + (6 if fit.rows_dropped else 0)
    assert fit.n_groups == {group: len(table) for group, table in fit.ranef().items()}


# fixed effects


def test_fixef_holds_every_column_and_nan_for_dropped_ones(fit):
    fixef = fit.fixef()
    assert fixef.index.tolist() == list(fit.design.coef_names)
    assert fixef.name == "estimate"
    assert fixef.dropna().index.tolist() == list(fit.coef_names)
    np.testing.assert_array_equal(fixef.dropna(), fit.beta)
    assert fixef.index[fixef.isna()].tolist() == list(fit.dropped_columns)


def test_of_dependent_columns_the_later_is_nan():
    fixef = fitted("rank_deficient").fixef()
    smaller = hb.lmer("Reaction ~ Days + I(Days^2) + (1 | Subject)", sleep()).fixef()
    assert fixef.index[fixef.isna()].tolist() == ["Days"]
    assert fixef["I(2 * Days)"] == pytest.approx(smaller["Days"] / 2, rel=1e-8)
    assert fixef["I(Days^2)"] == pytest.approx(smaller["I(Days^2)"], rel=1e-8)


def test_vcov_is_labelled_symmetric_and_squares_the_standard_errors(fit):
    vcov = fit.vcov()
    assert vcov.index.tolist() == vcov.columns.tolist() == list(fit.coef_names)
    np.testing.assert_allclose(vcov, vcov.T, rtol=1e-10)
    assert np.linalg.eigvalsh(vcov).min() > 0
    np.testing.assert_allclose(np.sqrt(np.diag(vcov)), fit.std_errors, rtol=1e-12)


# random effects


def test_tables_of_levels_have_one_shape_and_lme4s_labels(fit):
    ranef, sds, covariances = fit.ranef(), fit.ranef_sd(), fit.ranef_cov()
    names = [factor.name for factor in fit.design.factors]
    assert list(ranef) == list(sds) == list(covariances) == names
    for factor in fit.design.factors:
        table = ranef[factor.name]
        assert table.columns.tolist() == list(factor.columns)
        assert table.index.tolist() == factor.levels.tolist()
        pd.testing.assert_index_equal(sds[factor.name].index, table.index)
        pd.testing.assert_index_equal(sds[factor.name].columns, table.columns)
        q = len(factor.columns)
        assert covariances[factor.name].shape == (len(table), q, q)


def test_columns_of_ranef_are_in_the_order_of_the_terms():
    assert fitted("two_terms").ranef()["Subject"].columns.tolist() == ["Days", "(Intercept)"]
    assert list(fitted("nested").ranef()) == ["recipe:replicate", "replicate"]


def test_ranef_sd_is_the_root_of_the_diagonal_of_ranef_cov(fit):
    for group, covariance in fit.ranef_cov().items():
        diagonal = np.diagonal(covariance, axis1=1, axis2=2)
        np.testing.assert_allclose(fit.ranef_sd()[group] ** 2, diagonal, rtol=1e-12)
        np.testing.assert_allclose(covariance, np.swapaxes(covariance, 1, 2), atol=1e-9)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_conditional_moments_are_those_of_the_joint_normal(fit):
    """The mean is S Z'V^-1(y - X beta), the covariance S - S Z'V^-1 Z S, with V = ZSZ' + R."""
    if not fit.design.factors:
        return
    rows = np.arange(fit.nobs)
    S_blocks, Z_blocks, shapes = [], [], []
    for factor in fit.design.factors:
        J, q = factor.levels.size, len(factor.columns)
        S = np.zeros((q, q))
        for term, found in zip(fit.design.terms, fit.varcorr().terms, strict=True):
            if fit.design.factors[term.factor] is factor:
                S[np.ix_(term.columns, term.columns)] = found.covariance
        Z = np.zeros((fit.nobs, J, q))
        Z[rows, factor.codes] = factor.z
        S_blocks.append(np.kron(np.eye(J), S))
        Z_blocks.append(Z.reshape(fit.nobs, J * q))
        shapes.append((J, q))
    R = fit.sigma**2 / (np.ones(fit.nobs) if fit.weights is None else fit.weights)
    V = np.diag(R) + sum(Z @ S @ Z.T for Z, S in zip(Z_blocks, S_blocks, strict=True))
    residual = fit.design.y - fit.fixed_part
    for factor, Z, S, (J, q) in zip(fit.design.factors, Z_blocks, S_blocks, shapes, strict=True):
        gain = S @ Z.T @ np.linalg.inv(V)
        scale = np.sqrt(np.diag(S)).max() + 1e-8
        mean = (gain @ residual).reshape(J, q)
        np.testing.assert_allclose(fit.ranef()[factor.name], mean, atol=1e-6 * scale)
        covariance = (S - gain @ Z @ S).reshape(J, q, J, q)
        blocks = covariance[np.arange(J), :, np.arange(J)]
        np.testing.assert_allclose(fit.ranef_cov()[factor.name], blocks, atol=1e-6 * scale**2)


def test_coef_is_fixef_plus_ranef_and_zero_where_neither_is(fit):
    fixef = fit.fixef().dropna()
    everything = {column for table in fit.ranef().values() for column in table.columns}
    for group, table in fit.coef().items():
        modes = fit.ranef()[group]
        # as in lme4: columns without a fixed effect come first, in every table
        assert table.columns.tolist()[-len(fixef) :] == fixef.index.tolist()
        assert set(table.columns) == everything | set(fixef.index)
        for column in table:
            expected = fixef.get(column, 0.0) + modes.get(column, 0.0)
            np.testing.assert_allclose(table[column], expected, rtol=1e-12)


def test_coef_has_the_columns_of_lme4_for_every_factor():
    # lme4 1.1-31: names(coef(m)$`recipe:replicate`) has temp too, as zero
    coef = fitted("nested").coef()
    for table in coef.values():
        assert table.columns.tolist() == ["temp", "(Intercept)", "recipeB", "recipeC"]
    assert (coef["recipe:replicate"]["temp"] == 0).all()


# rows


def test_rows_add_up(fit):
    total = fit.fixed_part.copy()
    for factor in fit.design.factors:
        modes = fit.ranef()[factor.name].to_numpy()
        total += (factor.z * modes[factor.codes]).sum(axis=1)
    np.testing.assert_allclose(fit.fitted(), total, rtol=1e-10)
    np.testing.assert_allclose(fit.fitted() + fit.residuals(), fit.design.y, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(), fit.fitted(), rtol=1e-10)
    np.testing.assert_allclose(fit.predict(groups="none"), fit.fixed_part, rtol=1e-10)


def test_rows_keep_the_users_labels():
    data = sleep().iloc[::-1]
    data.index = [f"row{i}" for i in range(180)]
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", data)
    for series in (fit.fitted(), fit.residuals(), fit.predict()):
        assert series.index.tolist() == data.index.tolist()
    assert fit.augment().index.tolist() == data.index.tolist()


def test_rows_left_out_leave_a_gap_in_the_labels():
    fit = fitted("missing")
    data = hb.load_dataset("sleepstudy_na")
    used = data.index[data[["Reaction", "Days", "Subject"]].notna().all(axis=1)]
    assert fit.fitted().index.tolist() == used.tolist()


def test_kinds_of_residuals(fit):
    response = fit.residuals()
    np.testing.assert_array_equal(fit.residuals("response"), response)
    np.testing.assert_array_equal(fit.residuals("working"), response)
    weights = 1.0 if fit.weights is None else fit.weights
    for kind in ("pearson", "deviance"):
        np.testing.assert_allclose(fit.residuals(kind), response * np.sqrt(weights), rtol=1e-12)
    assert fit.residuals("pearson").name == "residual"


def test_weighted_residuals_are_lme4s():
    # lme4 1.1-31: residuals(m, type)[1:2], and residuals(m, "pearson", scaled = TRUE)[1:2]
    fit = fitted("weights")
    np.testing.assert_allclose(fit.residuals("response")[:2], [1.424959, -9.550220], atol=2e-3)
    np.testing.assert_allclose(fit.residuals("pearson")[:2], [1.424959, -6.753025], atol=2e-3)
    scaled = fit.residuals("pearson")[:2] / fit.sigma
    np.testing.assert_allclose(scaled, [0.1235765, -0.5856416], atol=2e-4)


def test_with_known_sds_pearson_residuals_are_in_their_units():
    fit = fitted("known_sd")
    np.testing.assert_allclose(
        fit.residuals("pearson"), fit.residuals() / schools()["se"], rtol=1e-12
    )


def test_an_unknown_kind_of_residual_names_the_nearest():
    with pytest.raises(hb.OptionError, match=r"kind='pearsn'.*did you mean 'pearson'"):
        fitted("slope").residuals("pearsn")


# tidy tables


def test_glance_is_one_row_about_the_fit(fit):
    glance = fit.glance()
    assert glance.shape[0] == 1
    (row,) = glance.to_dict("records")
    for name in ("nobs", "sigma", "loglik", "aic", "bic", "criterion", "df_residual", "method"):
        assert row[name] == getattr(fit, name)


def test_augment_is_the_model_frame_with_fitted_values_and_residuals(fit):
    augmented = fit.augment()
    assert augmented.columns.tolist()[-3:] == ["fitted", "fixed", "residual"]
    np.testing.assert_array_equal(augmented["fitted"], fit.fitted())
    np.testing.assert_array_equal(augmented["residual"], fit.residuals())
    np.testing.assert_array_equal(augmented["fixed"], fit.fixed_part)
    np.testing.assert_allclose(augmented.iloc[:, 0], fit.design.y)
    augmented.iloc[:, 0] = 0.0  # a copy: the fit is not touched
    assert (fit.augment().iloc[:, 0] != 0).any()


# nothing can be changed


ARRAYS = ("theta", "beta", "vcov_beta", "fixed_part", "fitted_values")


def test_arrays_are_read_only(fit):
    arrays = [getattr(fit, array) for array in ARRAYS] + [*fit.modes, *fit.mode_covariances]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_attributes_cannot_be_set(fit):
    with pytest.raises(AttributeError):
        fit.sigma = 1.0
    with pytest.raises(AttributeError):
        fit.findings = ()


def test_changing_a_table_does_not_change_the_fit(name):
    fit = fitted(name)
    tables = ("ranef", "ranef_sd", "coef", "ranef_cov")
    before = {table: getattr(fit, table)() for table in tables}
    series = fit.fixef(), fit.vcov(), fit.fitted(), fit.residuals()
    for answer in series:
        answer.iloc[:] = -1.0
    for table in tables:
        for values in getattr(fit, table)().values():
            values[:] = -1.0
    for table in tables:
        for group, values in getattr(fit, table)().items():
            np.testing.assert_array_equal(values, before[table][group])
            assert (np.asarray(values) != -1.0).any()
    assert (fit.fixef().dropna() != -1.0).all()
    assert (fit.fitted() != -1.0).any()


def test_changing_the_data_afterwards_does_not_change_the_fit():
    data = sleep()
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", data)
    before = fit.augment(), fit.predict(sleep())
    data.loc[:, "Reaction"] = 0.0
    data.loc[:, "Days"] = 1.0
    pd.testing.assert_frame_equal(fit.augment(), before[0])
    pd.testing.assert_series_equal(fit.predict(sleep()), before[1])


def test_the_data_are_not_changed_by_the_fit(name):
    data, formula, options = MODELS[name]
    frame, original = data(), data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.lmer(formula, frame, **options)
    fit.augment(), fit.predict(frame), fit.simulate(2, random_seed=1)
    pd.testing.assert_frame_equal(frame, original)


# what this version doesn't do


NOT_SUPPORTED = {
    "kenward-roger": (
        lambda fit: fit.with_method("ml").tidy(ddf="kenward-roger"),
        "ddf='kenward-roger' is defined for REML fits",
    ),
    "family": (
        lambda fit: hb.Model("Days ~ 1 + (1 | Subject)", sleep(), family="poisson").fit("reml"),
        "method='reml' with family='poisson'",
    ),
    "link": (
        lambda fit: hb.Model("Reaction ~ 1 + (1 | Subject)", sleep(), link="log").fit("reml"),
        "link='log'",
    ),
}


@pytest.mark.parametrize(("ask", "named"), NOT_SUPPORTED.values(), ids=NOT_SUPPORTED)
def test_what_is_not_supported_raises_an_error_that_names_it(ask, named):
    with pytest.raises(hb.NotSupportedError, match=named) as caught:
        ask(fitted("slope"))
    assert isinstance(caught.value, NotImplementedError)
    assert isinstance(caught.value, hb.HierBayesError)


def test_rows_that_were_left_out_have_their_places_on_request():
    data = pd.DataFrame(
        {"y": [1.0, np.nan, 3.0, 4.5, 5.0], "x": [1.0, 2.0, np.nan, 4.0, 6.0], "f": list("aabbb")},
        index=list("vwxyz"),
    )
    with pytest.warns(hb.DesignWarning, match="left out"):
        fit = hb.lmer("y ~ x", data)
    for short, whole in (
        (fit.fitted(), fit.fitted(rows="all")),
        (fit.residuals(), fit.residuals(rows="all")),
        (fit.residuals("pearson"), fit.residuals("pearson", "all")),
        (fit.augment(), fit.augment(rows="all")),
    ):
        assert whole.index.tolist() == data.index.tolist()
        assert short.index.tolist() == ["v", "y", "z"]
        assert np.array_equal(whole.loc[short.index], short)
        assert whole.loc[["w", "x"]].isna().to_numpy().all()
    with pytest.raises(hb.OptionError, match="rows='every' is not one of 'used', 'all'"):
        fit.fitted("every")
