"""Kenward and Roger's covariance and degrees of freedom: pbkrtest's, dense ones, exact cases."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.intervals import kenward_roger as module
from hierbayes.intervals import linear_tests
from hierbayes.intervals.kenward_roger import (
    KenwardRoger,
    f_scaling,
    kenward_roger,
    kenward_roger_df,
)
from tests.gaussian.test_expected_information import MODELS, dense
from tests.model.fits import grouped, lmer
from tests.reference_fits import linear_fits, load_fit

SE_RTOL, DF_RTOL = 1e-5, 1e-3
WITHOUT = {
    "mac_dbar": "lme4 1.1 keeps the columns of a factor correlated under ||",
    "ss_poly_dbar": "lme4 1.1 keeps poly(x, 2) as one block under ||",
    "ss_wt": "pbkrtest leaves out the weights; see test_weights_are_in_the_residual_covariance",
}


def cases():
    for name in linear_fits(without=tuple(WITHOUT)):
        if "columns" in load_fit(name).record.get("inference", {}).get("kenward_roger", {}):
            yield name


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", list(cases()))
def test_standard_errors_and_degrees_of_freedom_are_pbkrtests(name):
    case = load_fit(name)
    fit = hb.lmer(case.formula, case.data, **case.options)
    table = fit.tidy("fixed", ddf="kenward-roger").dropna(subset="estimate")
    columns = case.record["inference"]["kenward_roger"]["columns"]
    np.testing.assert_allclose(table["std_error"], columns["Std. Error"], rtol=SE_RTOL)
    np.testing.assert_allclose(table["df"], columns["df"], rtol=DF_RTOL)
    np.testing.assert_allclose(table["p_value"], columns["Pr(>|t|)"], rtol=2e-2, atol=1e-12)
    expected = np.array(case.record["inference"]["kenward_roger"]["adjusted_vcov"])
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(kenward_roger(fit).vcov / scale, expected / scale, atol=2 * SE_RTOL)


def dense_formulas(fit, *, residual):
    """Phi_A and the degrees of freedom of each coefficient, term by term from the paper.

    ``residual`` (n, n) is the covariance of the residuals over sigma^2.
    """
    X = fit.design.X[:, fit.kept]
    random = dense(fit)[1]
    V = fit.sigma**2 * (np.linalg.inv(dense(fit)[0]) - np.diag(1 / weights_of(fit)) + residual)
    G = [residual, *random] if not fit.kernel.sigma_known else random
    inverse = np.linalg.inv(V)
    Phi = fit.vcov_beta
    P = [-X.T @ inverse @ g @ inverse @ X for g in G]
    Q = [[X.T @ inverse @ g @ inverse @ h @ inverse @ X for h in G] for g in G]
    information = np.array([
        [np.trace(inverse @ G[i] @ inverse @ G[j]) - 2 * np.trace(Phi @ Q[i][j])
         + np.trace(Phi @ P[i] @ Phi @ P[j]) for j in range(len(G))] for i in range(len(G))
    ])  # fmt: skip
    W = 2 * np.linalg.inv(information)
    pairs = [(i, j) for i in range(len(G)) for j in range(len(G))]
    U = sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i, j in pairs)
    slopes = np.array([Phi @ p @ Phi for p in P])
    D = np.diagonal(slopes, axis1=1, axis2=2) / np.diag(Phi)
    return Phi + 2 * Phi @ U @ Phi, 2 / np.einsum("ia,ij,ja->a", D, W, D)


def weights_of(fit):
    return np.ones(fit.nobs) if fit.weights is None else fit.weights


@pytest.mark.parametrize("formula", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("options", [{}, {"weights": "w"}, {"known_sd": "w"}], ids=str)
def test_they_are_the_papers_formulas_on_dense_matrices(formula, options):
    fit = lmer(formula, grouped(), **options)
    vcov, df = dense_formulas(fit, residual=np.diag(1 / weights_of(fit)))
    np.testing.assert_allclose(kenward_roger(fit).vcov, vcov, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(kenward_roger_df(fit), df, rtol=1e-6)


def test_weights_are_in_the_residual_covariance():
    """Of pbkrtest the residual covariance is sigma^2 I, weights or not; ours is sigma^2 / w."""
    case = load_fit("ss_wt")
    fit = lmer(case.formula, case.data, **case.options)
    columns = case.record["inference"]["kenward_roger"]["columns"]
    without = dense_formulas(fit, residual=np.eye(fit.nobs))
    np.testing.assert_allclose(np.sqrt(np.diag(without[0])), columns["Std. Error"], rtol=SE_RTOL)
    np.testing.assert_allclose(without[1], columns["df"], rtol=DF_RTOL)
    vcov, df = dense_formulas(fit, residual=np.diag(1 / fit.weights))
    np.testing.assert_allclose(kenward_roger(fit).vcov, vcov, rtol=1e-7)
    np.testing.assert_allclose(kenward_roger_df(fit), df, rtol=1e-7)
    np.testing.assert_allclose(df, 17, rtol=1e-6)  # every subject has the same days and weights


def test_a_balanced_one_way_design_has_its_exact_degrees_of_freedom():
    fit = lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    assert kenward_roger_df(fit) == pytest.approx([5])
    np.testing.assert_allclose(kenward_roger(fit).vcov, fit.vcov_beta)  # nothing to adjust


def test_a_balanced_split_plot_has_the_f_tests_of_its_strata():
    fit = lmer("yield ~ factor(nitro) * Variety + (1 | Block/Variety)", hb.load_dataset("Oats"))
    table = hb.anova(fit, ddf="kenward-roger").to_frame()
    assert table["den_df"].tolist() == pytest.approx([45, 10, 45])
    assert table["f_value"].tolist() == pytest.approx([37.6856, 1.4853, 0.3028], abs=1e-4)


def test_a_linear_model_has_its_exact_f_tests():
    fit = hb.lmer("y ~ f + x", grouped())
    known = kenward_roger(fit)
    np.testing.assert_allclose(known.vcov, fit.vcov_beta)
    assert kenward_roger_df(fit) == pytest.approx(fit.nobs - 4)
    scaling = f_scaling(known, np.eye(4)[1:3])
    assert (scaling.df, scaling.factor) == pytest.approx((fit.nobs - 4, 1.0))


def test_units_and_origin_of_a_slope_do_not_matter():
    data = grouped()
    fits = [
        lmer("y ~ x + (x | g)", data),
        lmer("y ~ x + (x | g)", data.assign(x=data.x * 1000)),
        lmer("y ~ x + (x | g)", data.assign(x=data.x - 3)),
    ]
    df = [kenward_roger_df(fit)[1] for fit in fits]
    assert df == pytest.approx([df[0]] * 3, rel=1e-5)


def test_known_residual_sds_of_a_model_without_variances_leave_nothing_uncertain():
    fit = hb.lmer("y ~ x", grouped(), known_sd="w")
    assert np.isinf(kenward_roger_df(fit)).all()
    assert np.isinf(fit.tidy("fixed")["df"]).all()
    assert f_scaling(kenward_roger(fit), np.eye(2)).df == np.inf


def test_ml_is_refused_with_the_way_out():
    fit = lmer("y ~ x + (1 | g)", grouped(), reml=False)
    for call in (
        lambda: fit.tidy(ddf="kenward-roger"),
        lambda: fit.summary(ddf="kenward-roger"),
        lambda: fit.contrast("x", ddf="kenward-roger"),
        lambda: hb.drop1(fit, ddf="kenward-roger"),
    ):
        with pytest.raises(hb.NotSupportedError, match="this fit is by ML"):
            call()


def test_too_large_crossed_factors_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_OPERATIONS", 10)
    fit = lmer("y ~ x + (1 | g) + (1 | item)", grouped())
    with pytest.raises(hb.NotSupportedError, match="which takes too long"):
        kenward_roger(fit)


def few_rows():
    """As many random effects as fit the rows almost exactly."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(4), [3, 3, 2, 2])
    f = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    x, u = rng.normal(size=10), rng.normal(size=(4, 2))
    y = 3 * u[g, 0] + 3 * u[g, 1] * x + rng.normal(size=10)
    return {"y": y, "x": x, "g": [f"g{i}" for i in g], "f": [f"f{i}" for i in f]}


def test_random_effects_that_leave_no_residual_are_refused():
    """Once df 24 and p = 2.8e-67 from ten rows on some processors and in some units."""
    for unit in (1, 1000, 1e-6, 1e9):
        data = few_rows()
        fit = lmer("y ~ f + x + (x | g)", {**data, "y": unit * data["y"]})
        assert fit.sigma < 1e-3 * unit
        with pytest.raises(hb.NotSupportedError, match="reproduce the response"):
            kenward_roger(fit)


@pytest.mark.parametrize("ratio", [1.0, 1e3, 1e5, 1e7])
def test_a_large_ratio_of_sds_leaves_balanced_designs_their_exact_degrees_of_freedom(ratio):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 6)
    data = {
        "y": ratio * rng.normal(size=20)[g] + rng.normal(size=120),
        "between": g % 2,
        "within": np.tile(np.arange(6) - 2.5, 20),
        "g": [f"g{i}" for i in g],
    }
    fit = lmer("y ~ between + within + (1 | g)", data)
    np.testing.assert_allclose(kenward_roger_df(fit), [18, 18, 99], rtol=1e-6)


def undetermined():
    """Designs whose fixed part spans columns of a random-effects term."""
    rng = np.random.default_rng(0)
    arm = np.repeat([0.0, 1.0], 40)
    clinics = {"y": rng.normal(size=80), "arm": arm, "clinic": np.repeat(["A", "B"], 40)}
    machines, sleep = hb.load_dataset("Machines"), hb.load_dataset("sleepstudy")
    return {
        "one clinic an arm": ("y ~ arm + (1 | clinic)", clinics),
        "saturated slopes": ("Reaction ~ Days * Subject + (Days | Subject)", sleep),
        "blocks fixed and random": ("score ~ Worker + (Machine | Worker)", machines),
    }


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", undetermined())
def test_variances_that_the_data_say_nothing_of_give_no_numbers_and_no_crash(name):
    """Once numpy's "Eigenvalues did not converge", or untrue words on a small residual sd."""
    formula, data = undetermined()[name]
    fit = lmer(formula, data)
    tidy = fit.tidy("fixed", ddf="kenward-roger")
    assert tidy[["std_error", "df", "p_value", "conf_low"]].isna().all(axis=None)
    for table in [*(hb.anova(fit, type=t, ddf="kenward-roger") for t in (1, 2, 3)),
                  hb.drop1(fit, ddf="kenward-roger")]:  # fmt: skip
        assert table.to_frame()[["den_df", "f_value", "p_value"]].isna().all(axis=None)
        assert "hangs on variances of which these data say nothing" in " ".join(str(table).split())


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_tests_that_do_not_hang_on_an_undetermined_variance_are_given():
    machines = hb.load_dataset("Machines")
    fit = lmer("score ~ Machine + Worker + (1 | Worker)", machines)
    linear = hb.lmer("score ~ Machine + Worker", machines)
    for ddf in ("kenward-roger", "satterthwaite"):
        table = hb.anova(fit, ddf=ddf).to_frame()
        expected = hb.anova(linear).to_frame().loc["Machine", ["den_df", "f_value", "p_value"]]
        found = table.loc["Machine", ["den_df", "f_value", "p_value"]]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert table.loc["Worker", ["den_df", "f_value", "p_value"]].isna().all()


@pytest.mark.parametrize("ddf", ["kenward-roger", "satterthwaite", "normal", "none"])
@pytest.mark.parametrize("formula", ["y ~ 0 + (1 | g)", "y ~ 0 + (x | g)", "y ~ 0 + (1 | g:f)"])
def test_without_fixed_effects_tables_have_no_rows(formula, ddf):
    """Once an IndexError."""
    fit = lmer(formula, grouped())
    assert len(fit.tidy("fixed", ddf=ddf)) == 0
    for table in [*(hb.anova(fit, type=t, ddf=ddf) for t in (1, 2, 3)), hb.drop1(fit, ddf=ddf)]:
        assert len(table.to_frame()) == 0
        assert str(table)
        assert table._repr_html_()
    assert fit.summary(ddf=ddf)


def test_variances_that_are_hardly_known_leave_a_reasoned_gap(monkeypatch):
    fit = lmer("y ~ f + x + (x | g)", grouped())
    plain = fit.vcov_beta
    # one variance, which changes one of the two combinations tested and is hardly known
    slope = np.outer(plain[1], plain[1]) / plain[1, 1]
    known = KenwardRoger(
        vcov=plain,
        plain=plain,
        slopes=slope[None],
        spread=np.array([[20.0]]),
        flat=np.empty((1, 0)),
    )
    assert np.isnan(f_scaling(known, np.eye(4)[1:3]).df)  # the formulas give -0.46
    for place in (module, linear_tests):
        monkeypatch.setattr(place, "kenward_roger", lambda fit: known)
    table = hb.anova(fit, ddf="kenward-roger")
    frame = table.to_frame().loc["f"]
    assert frame[["den_df", "f_value", "p_value"]].isna().all()
    assert frame["num_df"] == 2
    assert "No test of f: the data say so little about the variances" in " ".join(
        str(table).split()
    )
    assert "No test of f" in table._repr_html_()


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_a_covariance_that_no_level_shows_takes_no_number_away(seed, unit):
    """Once all NaN on some processors: rounding counted as information on the covariance."""
    rng = np.random.default_rng(seed)
    g, h = np.repeat(np.arange(16), 5), rng.integers(0, 7, 80)
    side, x = np.array(["a", "b"])[g % 2], rng.normal(size=80)
    y = unit * (rng.normal(size=16)[g] + rng.normal(size=7)[h] + x + rng.normal(size=80))
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "side": side})
    for more in ("", " + (1 | h)"):
        fit = hb.lmer(f"y ~ side + x + (0 + side | g){more}", data)
        apart = hb.lmer(f"y ~ side + x + (0 + side || g){more}", data)
        found = fit.tidy("fixed", ddf="kenward-roger")[["std_error", "df"]]
        expected = apart.tidy("fixed", ddf="kenward-roger")[["std_error", "df"]]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
