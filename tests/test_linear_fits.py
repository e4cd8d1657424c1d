"""Every linear reference fit, quantity by quantity: our optimum is lme4's, or below it."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.reference_fits import linear_fits, load_fit

# Not the same model as lme4's, so not in the tests below.
OTHER_MODEL = {
    "mac_dbar": "lme4 1.1 keeps a factor's columns correlated under ||; ours are independent",
    "ss_poly_dbar": "lme4 1.1 keeps poly()'s columns correlated under ||; ours are independent",
}
# The data don't determine these; everything else of the fit is compared.
NOT_IDENTIFIED = {
    "ort_group": "no subject is both male and female: their correlation, and what a boy's effect "
    "as a girl would be, are not in the data",
}
LARGE = linear_fits("InstEval")  # the reference holds their first 200 levels only

FIXEF_TOLERANCE = 1e-4  # in standard errors
SE_TOLERANCE = 1e-4  # relative
SD_TOLERANCE = 1e-3  # relative for sds, absolute for correlations: the surface is flat there
THETA_TOLERANCE = 1e-3
MODE_TOLERANCE = 1e-3  # in conditional or, for sums over rows, residual sds

QUANTILES = (0, 0.25, 0.5, 0.75, 1)


# One fit at a time is made and kept while all tests about it run.
@pytest.fixture(scope="module", params=linear_fits(without=tuple(OTHER_MODEL)))
def reference(request):
    return load_fit(request.param)


@pytest.fixture(scope="module")
def fit(reference):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = hb.lmer(reference.formula, reference.data, reml=reference.reml, **reference.options)
    assert [str(warning.message) for warning in caught] == [str(f) for f in found.findings]
    return found


@pytest.fixture
def record(reference):
    return reference.record


def is_identified(record):
    return record["id"] not in NOT_IDENTIFIED


def as_frame(record):
    columns = record["VarCorr"]["as_data_frame"]["columns"]
    names = {"grp": "group", "var1": "term1", "var2": "term2", "vcov": "vcov", "sdcor": "sdcor"}
    return pd.DataFrame({ours: columns[theirs] for theirs, ours in names.items()})


def test_the_criterion_is_never_above_the_reference(fit, record):
    best = record["optimisation"]["objective"]
    assert fit.criterion <= best + max(1e-6, 1e-9 * abs(best))


def test_the_criterion_is_the_same_function(fit, record):
    # the reference was polished: a criterion clearly below it would be another criterion
    assert fit.criterion == pytest.approx(record["optimisation"]["objective"], abs=1e-5, rel=1e-9)


def test_fixed_effects(fit, record):
    expected = record["fixef"]
    assert list(fit.coef_names) == expected["names"]
    off = (fit.beta - expected["estimate"]) / expected["se"]
    assert np.abs(off).max() < FIXEF_TOLERANCE
    assert fit.fixef().dropna().tolist() == fit.beta.tolist()


def test_dropped_columns(fit, record):
    expected = record["fixef"]["dropped_columns"] or []
    assert list(fit.dropped_columns) == expected
    fixef = fit.fixef()
    assert fixef.index[fixef.isna()].tolist() == expected
    assert ("rank_deficient" in [f.code for f in fit.findings]) == bool(expected)


def test_standard_errors_and_their_covariances(fit, record):
    se = np.array(record["fixef"]["se"])
    np.testing.assert_allclose(fit.std_errors, se, rtol=SE_TOLERANCE)
    vcov = fit.vcov()
    assert vcov.index.tolist() == vcov.columns.tolist() == record["fixef"]["names"]
    off = (vcov.to_numpy() - np.reshape(record["vcov"], vcov.shape)) / np.outer(se, se)
    assert np.abs(off).max() < 2 * SE_TOLERANCE


def test_theta(fit, record):
    if not is_identified(record):
        return
    np.testing.assert_allclose(fit.theta, record["theta"], atol=THETA_TOLERANCE)


def test_sigma(fit, record):
    assert fit.sigma == pytest.approx(record["sigma"], rel=SE_TOLERANCE)


def test_variance_components_in_lme4s_rows(fit, record):
    found, expected = fit.varcorr().to_frame(), as_frame(record)
    for name in ("group", "term1", "term2"):
        assert found[name].fillna("").tolist() == expected[name].fillna("").tolist()
    compared = expected["term2"].isna() | is_identified(record)
    is_sd = expected["term2"].isna()
    scale = np.where(is_sd, expected["sdcor"], 1.0)
    if record["singular"]:  # near a zero sd nothing has a relative size, nor a correlation
        compared &= expected["vcov"].abs() > 1e-6 * record["sigma"] ** 2
    off = ((found["sdcor"] - expected["sdcor"]) / scale)[compared]
    assert off.abs().max() < SD_TOLERANCE
    off = ((found["vcov"] - expected["vcov"]) / expected["vcov"].where(is_sd, 1.0))[compared]
    assert off[is_sd].abs().max() < 2 * SD_TOLERANCE


def test_the_singular_flag(fit, record):
    assert fit.is_singular == record["singular"]
    assert ("boundary" in [f.code for f in fit.findings]) == record["singular"]


def test_the_search_converged(fit):
    assert fit.converged


def test_counts(fit, record):
    assert fit.n_params == record["npar"]
    assert fit.nobs == record["nobs"]
    assert fit.n_groups == record["ngrps"]
    assert list(fit.n_groups) == list(record["ngrps"])
    assert fit.df_residual == record["df_residual"]


def test_likelihood_and_information_criteria(fit, record):
    assert fit.loglik == pytest.approx(record["logLik"], abs=1e-5, rel=1e-9)
    assert fit.aic == pytest.approx(record["AIC"], abs=1e-5, rel=1e-9)
    assert fit.bic == pytest.approx(record["BIC"], abs=1e-5, rel=1e-9)
    if not record["REML"]:
        assert fit.deviance == pytest.approx(record["deviance"], abs=1e-5, rel=1e-9)


def test_conditional_modes(fit, record):
    tables, sds = fit.ranef(), fit.ranef_sd()
    assert list(tables) == list(record["ranef"])
    for group, expected in record["ranef"].items():
        table = tables[group]
        assert table.columns.tolist() == expected["columns"]
        shown = table.head(len(expected["levels"]))
        assert shown.index.tolist() == expected["levels"]
        off = (shown - np.array(expected["values"])) / sds[group].clip(lower=1e-6).head(len(shown))
        own = carried_columns(fit, record, group)[: len(shown)]
        assert off.abs().to_numpy()[own].max() < MODE_TOLERANCE
        if record["id"] in LARGE:
            assert len(table) == expected["n_levels"]
            sums = (table**2).sum()
            np.testing.assert_allclose(sums, expected["sum_of_squares"], rtol=SD_TOLERANCE)


def test_conditional_sds(fit, record):
    if record["id"] in LARGE:
        return
    for group, expected in record["ranef"].items():
        own = carried_columns(fit, record, group)
        found = fit.ranef_sd()[group]
        assert found.index.tolist() == expected["levels"]
        assert found.columns.tolist() == expected["columns"]
        np.testing.assert_allclose(
            found.to_numpy()[own],
            np.array(expected["condsd"])[own],
            rtol=SD_TOLERANCE,
            atol=1e-5 * record["sigma"],
        )


def carried_columns(fit, record, group):
    """Which effects are compared: of a model not identified, those its level's rows hold."""
    factor = next(factor for factor in fit.design.factors if factor.name == group)
    shape = (factor.levels.size, factor.z.shape[1])
    if is_identified(record):
        return np.ones(shape, dtype=bool)
    carried = np.zeros(shape, dtype=bool)
    np.logical_or.at(carried, factor.codes, factor.z != 0)
    return carried


def test_residuals(fit, record):
    expected = record["residuals"]
    atol = MODE_TOLERANCE * record["sigma"]
    scaled = fit.residuals("pearson") / fit.sigma
    response = fit.residuals("response")
    np.testing.assert_allclose(
        np.quantile(scaled, QUANTILES), expected["pearson_scaled_quantiles"], atol=MODE_TOLERANCE
    )
    np.testing.assert_allclose(
        np.quantile(response, QUANTILES), expected["response_quantiles"], atol=atol
    )
    np.testing.assert_allclose(
        np.quantile(fit.fitted(), QUANTILES), expected["fitted_quantiles"], atol=atol
    )
    assert (response**2).sum() == pytest.approx(expected["response_sum_of_squares"], rel=1e-4)


def test_fitted_values_in_the_order_of_the_rows(fit, record):
    first = [value for value in record["residuals"]["fitted_first10"] if value is not None]
    atol = MODE_TOLERANCE * record["sigma"]
    np.testing.assert_allclose(fit.fitted().head(len(first)), first, atol=atol)


def test_predictions_with_and_without_groups(fit, reference):
    # lme4 leaves an offset given as an argument out of predict(newdata=); ours does not
    expected = reference.record["predict"]
    new = reference.new_data()
    for groups, name in (("all", "re_form_NULL"), ("none", "re_form_NA")):
        values = expected.get(f"{name}_with_offset", expected[name])
        atol = MODE_TOLERANCE * reference.record["sigma"]
        np.testing.assert_allclose(fit.predict(new, groups=groups), values, atol=atol)


def test_prediction_for_a_new_level(fit, reference):
    expected = reference.record["predict"]
    rows = pd.DataFrame(expected["new_level"]["newdata"])
    with pytest.raises(hb.NewLevelError, match="NEW_LEVEL"):
        fit.predict(rows)
    offset = expected.get("offset_values", [0.0])[: len(rows)]
    np.testing.assert_allclose(
        fit.predict(rows, new_levels="population"),
        np.add(expected["new_level"]["prediction"], offset),
        atol=MODE_TOLERANCE * reference.record["sigma"],
    )


def test_the_fits_left_out_are_those_lme4_specifies_otherwise():
    # ours has fewer parameters or an equal number and lies above lme4's larger model
    for fit_id in OTHER_MODEL:
        other = load_fit(fit_id)
        ours = hb.lmer(other.formula, other.data, reml=other.reml)
        assert ours.theta.size < len(other.record["theta"])
        assert ours.criterion > other.record["optimisation"]["objective"]
        np.testing.assert_allclose(
            ours.beta, other.record["fixef"]["estimate"], atol=0.1 * min(ours.std_errors)
        )
