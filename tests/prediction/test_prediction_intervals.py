"""Intervals of predictions: mixed-model equations, closed forms, what is in them, coverage."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.design.new_data import new_rows
from hierbayes.likelihood.fitting import at_theta
from hierbayes.prediction import prediction_variance as module
from hierbayes.prediction.prediction_variance import GroupRows, prediction_variance
from tests.model.fits import grouped, lmer

MME = 1e-8  # relative, against an explicit inverse of the mixed-model equations
SLEEP = "Reaction ~ Days + (Days | Subject)"
MODELS = {
    "correlated slopes": (SLEEP, "sleepstudy", {}),
    "independent slopes": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "weights": (SLEEP, "sleepstudy", {"weights": "1 / (1 + Days)"}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}),
    "unbalanced crossed": ("y ~ x + f + (x | g) + (1 | item)", None, {}),
    "dropped column": ("y ~ x + I(2 * x) + (x | g)", None, {}),
}


@pytest.fixture(scope="module")
def sleep():
    return lmer(SLEEP, hb.load_dataset("sleepstudy"))


def fitted(name):
    formula, data, options = MODELS[name]
    return lmer(formula, grouped() if data is None else hb.load_dataset(data), **options)


def any_rows(fit, m=40, seed=1):
    """Rows with levels that need not have met in the data: X (m, p), factors' codes and z."""
    rng = np.random.default_rng(seed)
    design = fit.design
    some = rng.integers(0, fit.nobs, m)
    groups = [
        GroupRows(
            position=i,
            codes=rng.integers(0, factor.levels.size, m),
            z=factor.z[some],
            drawn=np.zeros(m, dtype=bool),
        )
        for i, factor in enumerate(design.factors)
    ]
    return design.X[some][:, fit.kept], groups


def wide_z(rows, n_levels):
    m, q = rows.z.shape
    Z = np.zeros((m, n_levels, q))
    Z[np.arange(m), rows.codes] = rows.z
    return Z.reshape(m, n_levels * q)


def mixed_model_equations(fit):
    """Covariance of (beta-hat, b-hat - b) as the inverse of Henderson's matrix, in full."""
    design, sizes = fit.design, [f.levels.size for f in fit.design.factors]
    fitted_rows = [
        GroupRows(position=i, codes=f.codes, z=f.z, drawn=np.zeros(fit.nobs, dtype=bool))
        for i, f in enumerate(design.factors)
    ]
    Z = np.hstack([wide_z(rows, J) for rows, J in zip(fitted_rows, sizes, strict=True)])
    W = np.ones(fit.nobs) if fit.weights is None else fit.weights
    XZ = np.hstack([design.X[:, fit.kept], Z])
    C = XZ.T @ (W[:, None] * XZ) / fit.sigma**2
    start = fit.kept.size
    for J, Lambda in zip(sizes, fit.kernel.shape.unpack(fit.theta[None]), strict=True):
        inverse = np.linalg.inv(fit.sigma**2 * Lambda[0] @ Lambda[0].T)
        end = start + J * inverse.shape[0]
        C[start:end, start:end] += np.kron(np.eye(J), inverse)
        start = end
    return np.linalg.inv(C)


@pytest.mark.parametrize("name", MODELS)
def test_variances_at_known_theta_are_those_of_the_mixed_model_equations(name):
    fit = fitted(name)
    X, groups = any_rows(fit)
    sizes = [factor.levels.size for factor in fit.design.factors]
    covariance = mixed_model_equations(fit)
    wide = [wide_z(rows, J) for rows, J in zip(groups, sizes, strict=True)]
    for chosen in ([], [0], list(range(len(groups)))):
        parts = [w if i in chosen else np.zeros_like(w) for i, w in enumerate(wide)]
        row = np.hstack([X, *parts])
        expected = ((row @ covariance) * row).sum(axis=1)
        found = prediction_variance(fit, X, [groups[i] for i in chosen])
        np.testing.assert_allclose(found.given_theta, expected, rtol=MME)


@pytest.mark.parametrize("name", ["correlated slopes", "unbalanced crossed"])
def test_the_spread_of_theta_moves_the_prediction_by_its_derivatives(name):
    """The derivative of a prediction in theta beside fits moved to another theta."""
    fit = fitted(name)
    k = fit.theta.size
    step = 1e-4
    moves, sizes = [], [f.levels.size for f in fit.design.factors]
    for i in range(k):
        ends = []
        for sign in (1, -1):
            theta = fit.theta + sign * step * np.eye(k)[i]
            verdicts = {"converged": True, "is_singular": False, "findings": ()}
            moved = at_theta(fit.spec, fit.method, theta, response=fit.design.y, **verdicts)
            ends.append(moved.fitted_values)
        moves.append((ends[0] - ends[1]) / (2 * step))
    hessian = numerical_hessian(fit)
    A = 2 * np.linalg.inv(hessian)
    expected = np.einsum("in,ij,jn->n", moves, A, np.array(moves))
    groups = [
        GroupRows(position=i, codes=f.codes, z=f.z, drawn=np.zeros(fit.nobs, dtype=bool))
        for i, f in enumerate(fit.design.factors)
    ]
    found = prediction_variance(fit, fit.design.X, groups)
    assert len(sizes) == len(groups)
    np.testing.assert_allclose(found.delta, expected, rtol=1e-2, atol=1e-6 * found.delta.max())


def numerical_hessian(fit, step=2e-3):
    """Second derivatives of the criterion, profiled over sigma, in lme4's theta."""
    k = fit.theta.size

    def criterion(theta):
        verdicts = {"converged": True, "is_singular": False, "findings": ()}
        return at_theta(fit.spec, fit.method, theta, response=fit.design.y, **verdicts).criterion

    hessian = np.empty((k, k))
    units = step * np.eye(k)
    for i in range(k):
        for j in range(k):
            hessian[i, j] = sum(
                a * b * criterion(fit.theta + a * units[i] + b * units[j])
                for a in (1, -1)
                for b in (1, -1)
            ) / (4 * step**2)
    return hessian


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
def test_a_model_without_random_effects_has_the_intervals_of_least_squares(interval):
    data = hb.load_dataset("sleepstudy")
    fit = lmer("Reaction ~ Days", data)
    found = fit.predict({"Days": [0.0, 12.0]}, interval=interval, level=0.9)
    x, n = data["Days"].to_numpy(), len(data)
    centred = np.array([0.0, 12.0]) - x.mean()
    leverage = 1 / n + centred**2 / ((x - x.mean()) ** 2).sum()
    se = fit.sigma * np.sqrt(leverage + (interval == "prediction"))
    assert found.attrs["includes"].startswith("fixed effects, the estimate of sigma")
    assert "left out" not in found.attrs["includes"]
    half = stats.t.ppf(0.95, n - 2) * se
    np.testing.assert_allclose(found["se"], se, rtol=1e-10)
    np.testing.assert_allclose(found["upper"] - found["prediction"], half, rtol=1e-10)
    np.testing.assert_allclose(found["prediction"] - found["lower"], half, rtol=1e-10)


def test_a_new_batch_of_a_balanced_layout_has_the_textbook_interval():
    """One-way REML: a new group's mean varies by the mean square between over n, J - 1 df."""
    data = hb.load_dataset("Dyestuff")
    fit = lmer("Yield ~ 1 + (1 | Batch)", data)
    means = data.groupby("Batch", observed=True)["Yield"].mean()
    between = 5 * means.var()  # mean square of 6 batches of 5
    found = fit.predict({"Batch": ["new"]}, new_levels="population", interval="confidence")
    half = stats.t.ppf(0.975, 5) * np.sqrt(between / 30)
    np.testing.assert_allclose(found["upper"] - found["prediction"], half, rtol=1e-4)
    new = fit.predict({"Batch": ["new"]}, new_levels="sample", interval="confidence")
    variance = fit.varcorr().to_frame()["vcov"].iloc[0]
    np.testing.assert_allclose(new["se"] ** 2 - found["se"] ** 2, variance, rtol=1e-9)


NEW = {"Days": [9.0, 9.0, 9.0], "Subject": ["308", "new", None]}
# interval, new_levels: what is in the interval besides beta (and the modes), row by row
TABLE = {
    ("confidence", "population"): ("", "", ""),
    ("confidence", "sample"): ("", "group", None),
    ("confidence", "missing"): ("", None, None),
    ("prediction", "population"): ("residual", "group residual", "group residual"),
    ("prediction", "sample"): ("residual", "group residual", None),
    ("prediction", "missing"): ("residual", None, None),
}


@pytest.mark.parametrize(("options", "parts"), TABLE.items(), ids=map(" ".join, TABLE))
def test_what_is_in_an_interval_is_the_table_of_the_module(sleep, options, parts):
    interval, new_levels = options
    found = sleep.predict(NEW, interval=interval, new_levels=new_levels)
    known = sleep.predict({"Days": [9.0], "Subject": ["308"]}, interval="confidence")["se"][0]
    typical = sleep.predict({"Days": [9.0]}, groups="none", interval="confidence")["se"][0]
    z = np.array([1.0, 9.0])
    sd = sleep.sigma * sleep.kernel.shape.unpack(sleep.theta[None])[0][0].T @ z
    for base, part, se in zip((known, typical, typical), parts, found["se"], strict=True):
        if part is None:
            assert np.isnan(se)
            continue
        expected = base**2
        expected += sd @ sd if "group" in part else 0.0
        expected += sleep.sigma**2 if "residual" in part else 0.0
        assert se**2 == pytest.approx(expected, rel=1e-8)
    drawn = any(part is not None and "group" in part for part in parts)
    assert ("the spread of new levels of Subject" in found.attrs["includes"]) == drawn
    assert ("residual variation" in found.attrs["includes"]) == (interval == "prediction")


def test_with_an_interval_nothing_is_drawn(sleep):
    rows = {"Days": [9.0], "Subject": ["new"]}
    found = sleep.predict(rows, new_levels="sample", interval="confidence", random_seed=1)
    centre = sleep.predict(rows, new_levels="population")
    pd.testing.assert_series_equal(found["prediction"], centre, check_names=False)


def test_new_levels_are_refused_unless_said(sleep):
    with pytest.raises(hb.NewLevelError, match="'new'"):
        sleep.predict(NEW, interval="prediction")


def test_a_group_left_out_is_the_typical_one(sleep):
    found = sleep.predict({"Days": [3.0]}, groups="none", interval="prediction")
    mean = sleep.predict({"Days": [3.0]}, groups="none", interval="confidence")
    assert found["se"][0] ** 2 == pytest.approx(mean["se"][0] ** 2 + sleep.sigma**2, rel=1e-10)
    assert "random effects left out (the typical group)" in found.attrs["includes"]


def test_the_typical_groups_interval_is_satterthwaites_of_its_fixed_effects(sleep):
    """Balanced data: beta-hat does not depend on theta, so nothing is added."""
    table = sleep.tidy("fixed", level=0.9)
    found = sleep.predict({"Days": [0.0]}, groups="none", interval="confidence", level=0.9)
    expected = table.loc[0, ["std_error", "conf_low", "conf_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(found[["se", "lower", "upper"]].iloc[0], expected, rtol=1e-6)


# Residuals of rows that are not alike.


def test_new_responses_have_their_rows_weights():
    data = hb.load_dataset("sleepstudy").assign(w=lambda d: np.where(d["Days"] < 5, 4.0, 1.0))
    fit = lmer(SLEEP, data, weights="w")
    used = fit.predict(interval="prediction")
    mean = fit.predict(interval="confidence")
    residual = used["se"] ** 2 - mean["se"] ** 2
    np.testing.assert_allclose(residual, fit.sigma**2 / data["w"], rtol=1e-8)
    pd.testing.assert_frame_equal(fit.predict(data, interval="prediction"), used, rtol=1e-8)
    without = fit.predict(data.drop(columns="w"), interval="prediction")
    np.testing.assert_allclose(without["se"] ** 2 - mean["se"] ** 2, fit.sigma**2, rtol=1e-8)
    assert without.attrs["includes"].endswith("residual variation of weight 1")
    assert used.attrs["includes"].endswith("residual variation")


def test_a_missing_weight_leaves_the_interval_out_and_a_negative_one_is_refused():
    data = hb.load_dataset("sleepstudy").assign(w=1.0)
    fit = lmer(SLEEP, data, weights="w")
    rows = data.head(2).assign(w=[np.nan, 2.0])
    found = fit.predict(rows, interval="prediction")
    assert found["se"].isna().tolist() == [True, False]
    assert found["prediction"].notna().all()
    with pytest.raises(hb.DataError, match="weights: 1 of 1 are negative"):
        fit.predict(data.head(1).assign(w=-1.0), interval="prediction")


def test_known_residual_sds_are_those_of_the_new_rows_or_it_says_so():
    data = pd.DataFrame({"y": [28.0, 8, -3, 7, -1, 1, 18, 12]})
    data["s"], data["school"] = [15.0, 10, 16, 11, 9, 11, 10, 18], list("ABCDEFGH")
    fit = lmer("y ~ 1 + (1 | school)", data, known_sd="s")
    mean = fit.predict(data, interval="confidence")
    found = fit.predict(data.assign(s=3.0), interval="prediction")
    np.testing.assert_allclose(found["se"] ** 2 - mean["se"] ** 2, 9.0, rtol=1e-8)
    with pytest.raises(hb.NotSupportedError, match="known_sd has no values for them"):
        fit.predict(data.drop(columns="s"), interval="prediction")
    with pytest.raises(hb.DataError, match="known_sd: 1 of 1 are not positive"):
        fit.predict(data.head(1).assign(s=0.0), interval="prediction")


# Edges.


def test_with_nothing_but_fixed_effects_unknown_the_quantiles_are_normal():
    data = pd.DataFrame({"y": [28.0, 8, -3, 7], "s": [15.0, 10, 16, 11]})
    found = lmer("y ~ 1", data, known_sd="s").predict(interval="confidence")
    se = (data["s"] ** -2.0).sum() ** -0.5
    half = stats.norm.ppf(0.975) * se
    np.testing.assert_allclose(found[["se", "lower"]].iloc[0], [se, found.iloc[0, 0] - half])
    assert found.attrs["includes"] == "fixed effects"


def test_on_the_boundary_the_interval_says_what_it_takes_as_known():
    data = hb.load_dataset("Dyestuff2")
    fit = lmer("Yield ~ 1 + (1 | Batch)", data)
    found = fit.predict(interval="confidence")
    np.testing.assert_allclose(found["se"], fit.sigma / np.sqrt(len(data)), rtol=1e-6)
    assert "on its boundary is taken as known" in found.attrs["includes"]


def test_a_singular_covariance_of_two_columns_has_intervals():
    data = hb.load_dataset("sleepstudy")
    flat = np.random.default_rng(0).normal(250, 25, size=len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.lmer("flat ~ Days + (Days | Subject)", data.assign(flat=flat))
    assert fit.is_singular
    rows = {"Days": [9.0, 9.0], "Subject": ["308", "new"]}
    found = fit.predict(rows, interval="prediction", new_levels="population")
    assert np.isfinite(found.to_numpy()).all()
    assert (found["upper"] - found["prediction"] < 15 * found["se"]).all()


def test_a_variance_nothing_is_known_of_does_not_give_endless_limits():
    """Near the boundary formal degrees of freedom fall below one, and quantiles run off."""
    data = hb.load_dataset("sleepstudy")
    data = data[data["Subject"].isin(data["Subject"].unique()[:4])]
    y = np.random.default_rng(11).normal(250, 25, size=(40, len(data)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        model = hb.Model("Reaction ~ 1 + (Days | Subject)", data.astype({"Subject": str}))
        fits = [model.with_response(response).fit() for response in y]
    rows = {"Days": [9.0], "Subject": ["new"]}
    found = [f.predict(rows, interval="confidence", new_levels="sample") for f in fits]
    widest = max(float((t["upper"] - t["prediction"]).iloc[0] / t["se"].iloc[0]) for t in found)
    assert widest == pytest.approx(stats.t.ppf(0.975, 2))


def test_two_groups_leave_one_degree_of_freedom():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": list("ab") * 10, "y": rng.normal(size=20) + [0.0, 9.0] * 10})
    fit = lmer("y ~ 1 + (1 | g)", data)
    found = fit.predict({"g": ["new"]}, interval="confidence", new_levels="sample")
    reach = (found["upper"] - found["prediction"]) / found["se"]
    assert reach.iloc[0] == pytest.approx(stats.t.ppf(0.975, 1), rel=0.02)


def test_missing_values_give_missing_intervals(sleep):
    rows = {"Days": [np.nan, 1.0], "Subject": ["308", "308"]}
    for interval in ("confidence", "prediction"):
        found = sleep.predict(rows, interval=interval)
        assert found.isna().all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("at_once", [1, 5_000])
def test_the_size_of_blocks_changes_no_interval(monkeypatch, at_once):
    fit = fitted("unbalanced crossed")
    whole = fit.predict(interval="prediction")
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    pd.testing.assert_frame_equal(fit.predict(interval="prediction"), whole, rtol=1e-9)


def test_levels_of_three_factors_that_never_met_have_a_joint_variance():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({name: rng.integers(0, k, 90).astype(str) for name, k in
                         (("a", 9), ("b", 7), ("c", 4))})  # fmt: skip
    effects = {name: rng.normal(0, 2, 9) for name in data}
    data["y"] = sum(effects[n][data[n].astype(int)] for n in effects) + rng.normal(size=90)
    fit = lmer("y ~ 1 + (1 | a) + (1 | b) + (1 | c)", data)
    X, groups = any_rows(fit, m=60)
    wide = [wide_z(r, f.levels.size) for r, f in zip(groups, fit.design.factors, strict=True)]
    row = np.hstack([X, *wide])
    expected = ((row @ mixed_model_equations(fit)) * row).sum(axis=1)
    found = prediction_variance(fit, X, groups)
    np.testing.assert_allclose(found.given_theta, expected, rtol=MME)


def test_recoding_and_units_leave_the_intervals_alone(sleep):
    data = hb.load_dataset("sleepstudy")
    moved = data.assign(Days=lambda d: 24 * d["Days"] - 7, Reaction=lambda d: d["Reaction"] / 1e3)
    other = lmer(SLEEP, moved)
    for interval in ("confidence", "prediction"):
        ours = sleep.predict(interval=interval)
        theirs = other.predict(interval=interval) * 1e3
        np.testing.assert_allclose(theirs.to_numpy(), ours.to_numpy(), rtol=1e-5)


def test_a_wrong_interval_is_named(sleep):
    with pytest.raises(hb.OptionError, match="did you mean 'prediction'"):
        sleep.predict(interval="predict")
    with pytest.raises(hb.OptionError, match="level=95 must be"):
        sleep.predict(interval="prediction", level=95)


# What it says.


def test_a_table_of_intervals_says_what_is_in_it_when_printed(sleep):
    rows = {"Days": [10, 10], "Subject": ["308", "somebody else"]}
    found = sleep.predict(rows, interval="prediction", new_levels="population", level=0.9)
    lines = str(found).splitlines()
    assert lines[0].startswith("90 % prediction interval of a new response")
    assert lines[1] == (
        "in it: fixed effects, effects of Subject, the spread of new levels of Subject, "
        "covariance parameters, residual variation"
    )
    assert lines[2].split() == ["prediction", "se", "lower", "upper"]
    assert lines[3].split()[1:3] == ["450.3", "30.8"]  # digits follow the standard error
    assert "in it: fixed effects" in found._repr_html_()
    assert str(found.head(1)).startswith("90 % prediction interval")
    assert "in it" not in str(found[["lower", "upper"]])
    assert str(sleep.predict(interval="confidence", groups="none")).startswith("95 % confidence")


def test_without_an_interval_a_series_is_returned(sleep):
    assert isinstance(sleep.predict(), pd.Series)
    assert sleep.predict(interval="confidence").columns.tolist() == [
        "prediction",
        "se",
        "lower",
        "upper",
    ]


def test_a_loaded_fit_has_the_same_intervals(sleep, tmp_path):
    sleep.save(tmp_path / "fit.hb")
    loaded = hb.load(tmp_path / "fit.hb")
    options = {"interval": "prediction", "new_levels": "population"}
    pd.testing.assert_frame_equal(
        loaded.predict(NEW, **options), sleep.predict(NEW, **options), rtol=1e-6
    )


# Do they cover?


def test_intervals_cover_what_they_say():
    """Twelve subjects, 150 data sets; bounds are 3.5 Monte-Carlo standard errors of 95 %."""
    data = hb.load_dataset("sleepstudy")
    data = data[data["Subject"].isin(data["Subject"].unique()[:12])].astype({"Subject": str})
    truth = hb.lmer(SLEEP, hb.load_dataset("sleepstudy"))
    root = truth.sigma * truth.kernel.shape.unpack(truth.theta[None])[0][0]
    rng, hits = np.random.default_rng(3), []
    model = hb.Model(SLEEP, data)
    new = data.assign(Subject=[f"new {s}" for s in data["Subject"]])
    design = model.design
    z, codes = design.factors[0].z, design.factors[0].codes
    for _ in range(150):
        b, other = rng.standard_normal((2, 12, 2)) @ root.T
        expected = design.X @ truth.beta + (z * b[codes]).sum(axis=1)
        elsewhere = design.X @ truth.beta + (z * other[codes]).sum(axis=1)
        e = truth.sigma * rng.standard_normal((3, len(data)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hb.HierBayesWarning)
            fit = model.with_response(expected + e[0]).fit()
        cases = (
            (fit.predict(interval="confidence"), expected),
            (fit.predict(interval="prediction"), expected + e[1]),
            (fit.predict(new, interval="prediction", new_levels="population"), elsewhere + e[2]),
        )
        hits.append([((t["lower"] < y) & (y < t["upper"])).mean() for t, y in cases])
    coverage, error = np.mean(hits, axis=0), np.std(hits, axis=0) / np.sqrt(150)
    assert (np.abs(coverage - 0.95) < 3.5 * error + 0.01).all(), (coverage, error)


@pytest.mark.mcmc
def test_the_posterior_has_the_same_intervals_but_for_what_it_knows_besides(sleep):
    post = sleep.model.sample(random_seed=1)
    rows = {"Days": [0.0, 9.0, 9.0], "Subject": ["308", "335", "new"]}
    options = {"new_levels": "population", "interval": "prediction"}
    ours, theirs = sleep.predict(rows, **options), post.predict(rows, random_seed=1, **options)
    assert ours.columns.equals(theirs.columns)
    assert ours.attrs["includes"] == theirs.attrs["includes"]
    width = (ours["upper"] - ours["lower"]) / (theirs["upper"] - theirs["lower"])
    np.testing.assert_allclose(width, 1.0, atol=0.12)
    assert "credible interval" in str(theirs) and "confidence" not in str(theirs)


def test_new_rows_of_the_fitted_levels_are_the_rows_used(sleep):
    data = hb.load_dataset("sleepstudy").iloc[::-7]
    assert (new_rows(sleep.design, data).factors[0].codes >= 0).all()
    used = sleep.predict(interval="confidence").loc[data.index]
    pd.testing.assert_frame_equal(sleep.predict(data, interval="confidence"), used, rtol=1e-9)
