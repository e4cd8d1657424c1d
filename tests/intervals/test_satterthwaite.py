"""Satterthwaite's degrees of freedom beside lmerTest's, whose derivatives are numerical."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.intervals.linear_tests import row_tests
from hierbayes.intervals.satterthwaite import satterthwaite_df, variance_uncertainty
from tests.reference_fits import linear_fits, load_fit

LMERTEST = 1e-3  # relative: lmerTest's derivatives are good to about 1e-5, p values to far less
# lmerTest's numerical derivatives lose digits on cubic slopes in raw days: the design is balanced,
# so 17 (REML) and 18 (ML) are exact, and ours
COARSE = {"ss_over_reml": 2e-3, "ss_over_ml": 2e-3}
WITHOUT = {
    "mac_dbar": "lme4 1.1 keeps the columns of a factor correlated under ||",
    "ss_poly_dbar": "lme4 1.1 keeps poly(x, 2) as one block under ||",
}


def cases():
    for case in linear_fits(without=tuple(WITHOUT)):
        name = str(getattr(case, "values", (case,))[0])
        record = load_fit(name).record
        table = record.get("inference", {}).get("satterthwaite", {})
        if "columns" in table and not record["singular"]:
            yield name


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", list(cases()))
def test_degrees_of_freedom_and_p_values_are_lmertests(name):
    case = load_fit(name)
    fit = hb.lmer(case.formula, case.data, reml=case.reml, **case.options)
    table = fit.tidy(effects="fixed").dropna(subset="estimate")
    columns = case.record["inference"]["satterthwaite"]["columns"]
    np.testing.assert_allclose(table["df"], columns["df"], rtol=COARSE.get(name, LMERTEST))
    np.testing.assert_allclose(table["p_value"], columns["Pr(>|t|)"], rtol=2e-2, atol=1e-12)
    np.testing.assert_allclose(table["statistic"], columns["t value"], rtol=1e-4)


def test_a_combination_has_the_degrees_of_freedom_of_the_same_test_coded_otherwise():
    machines = hb.load_dataset("Machines")
    treatment = hb.lmer("score ~ Machine + (1 | Worker)", machines)
    sums = hb.lmer("score ~ Machine + (1 | Worker)", machines, contrasts={"Machine": "sum"})
    b_minus_c = np.array([[0.0, 1.0, -1.0]])  # B - C in treatment coding
    coded = np.array([[0.0, 1.0, 2.0]])  # B - C = s2 - (-s1 - s2) in sum coding
    assert satterthwaite_df(treatment, b_minus_c) == pytest.approx(
        satterthwaite_df(sums, coded), rel=1e-6
    )


def test_without_random_effects_they_are_the_residual_degrees_of_freedom():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    assert fit.tidy(effects="fixed")["df"].tolist() == [178, 178]


def test_intervals_use_the_t_quantile():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    row = fit.tidy(effects="fixed").iloc[1]
    half = (row["conf_high"] - row["conf_low"]) / 2
    assert half == pytest.approx(2.109816 * row["std_error"], rel=1e-5)  # qt(0.975, 17)


def test_a_covariance_on_the_boundary_has_degrees_of_freedom_too():
    """Once a singular covariance of several columns ended in numpy's "Singular matrix"."""
    data = hb.load_dataset("sleepstudy")
    flat = np.random.default_rng(0).normal(250, 25, size=len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = hb.lmer("flat ~ Days + (Days | Subject)", data.assign(flat=flat))
    assert fit.is_singular
    assert np.isfinite(fit.tidy("fixed")[["df", "p_value", "conf_low"]].to_numpy()).all()


RATIOS = (1.0, 10.0, 1e3, 1e5, 1e7)
UNITS = (1e-12, 1e-5, 2000.0, 1e12)
EQUAL = 1e-6  # relative: what the search for the optimum leaves open


def with_gaps(data):
    return data.drop(index=data.index[[3, 17, 40, 41, 42, 43, 44, 100]])


def noise(data, column, seed):
    values = np.random.default_rng(seed).normal(size=len(data))
    return data.assign(**{column: values})


SLEEP, MACHINES = hb.load_dataset("sleepstudy"), hb.load_dataset("Machines")
TWELVE = {
    "one-way": ("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), {}),
    "intercepts": ("Reaction ~ Days + (1 | Subject)", SLEEP, {}),
    "slopes": ("Reaction ~ Days + (Days | Subject)", SLEEP, {}),
    "unbalanced slopes": ("Reaction ~ Days + (Days | Subject)", with_gaps(SLEEP), {}),
    "by ML": ("Reaction ~ Days + (Days | Subject)", with_gaps(SLEEP), {"reml": False}),
    "independent slopes": ("Reaction ~ Days + (Days || Subject)", with_gaps(SLEEP), {}),
    "levels": ("score ~ Machine + (Machine | Worker)", MACHINES, {}),
    "crossed": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        hb.load_dataset("Penicillin"),
        {},
    ),
    "nested": ("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"), {}),
    "split plot": (
        "yield ~ factor(nitro) * Variety + (1 | Block/Variety)",
        hb.load_dataset("Oats"),
        {},
    ),
    "zero variance": ("Reaction ~ Days + (1 | Subject)", noise(SLEEP, "Reaction", 1), {}),
    "singular": ("Reaction ~ Days + (Days | Subject)", noise(SLEEP, "Reaction", 0), {}),
}


def quiet(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)


def numbers_of(fit, unit=1.0):
    """Return df and p of every table there is, and half widths of prediction intervals."""
    fixed = fit.tidy("fixed")[["df", "p_value"]].to_numpy()
    tables = [hb.anova(fit).to_frame(), hb.drop1(fit).to_frame()]
    tests = [table[["den_df", "p_value"]].to_numpy().ravel() for table in tables]
    limits = fit.predict(interval="prediction")
    width = (limits["upper"] - limits["lower"]).to_numpy() / unit
    return np.concatenate([fixed.ravel(), *tests, width])


@pytest.mark.parametrize("name", TWELVE)
def test_degrees_of_freedom_and_p_values_do_not_depend_on_the_unit_of_the_response(name):
    """Once 22.8 and 161 became 178 and 178 in seconds, 9.3e+19 in microseconds."""
    formula, data, options = TWELVE[name]
    expected = numbers_of(quiet(formula, data, **options))
    assert np.isfinite(expected).all()
    y = formula.split(" ~ ")[0]
    for unit in UNITS:
        fit = quiet(formula, data.assign(**{y: unit * data[y]}), **options)
        np.testing.assert_allclose(numbers_of(fit, unit), expected, rtol=EQUAL)


@pytest.mark.parametrize("name", ["unbalanced slopes", "by ML", "independent slopes", "singular"])
def test_degrees_of_freedom_and_p_values_of_a_slope_do_not_depend_on_its_unit(name):
    formula, data, options = TWELVE[name]
    expected = numbers_of(quiet(formula, data, **options))
    for unit in UNITS:
        fit = quiet(formula, data.assign(Days=unit * data.Days), **options)
        np.testing.assert_allclose(numbers_of(fit), expected, rtol=EQUAL)


def between_and_within(ratio):
    """Twenty groups of six, a predictor of groups and one of rows: df 18, 18 and 99."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 6)
    return {
        "y": ratio * rng.normal(size=20)[g] + rng.normal(size=120),
        "between": g % 2,
        "within": np.tile(np.arange(6) - 2.5, 20),
        "g": [f"g{i}" for i in g],
    }


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_large_ratio_of_sds_leaves_balanced_designs_their_exact_degrees_of_freedom(ratio):
    """Once 19.7, 99.0 and 17.3 at a ratio of 1,000 and 0, 30 and 0 at 1e5."""
    fit = quiet("y ~ between + within + (1 | g)", between_and_within(ratio))
    np.testing.assert_allclose(fit.tidy("fixed")["df"], [18, 18, 99], rtol=1e-3)


def test_tables_say_which_parameters_are_held_at_the_boundary():
    fit = quiet(*TWELVE["zero variance"][:2])
    said = "Held at the boundary: the between-Subject sd of (Intercept) (zero)."
    emmeans = hb.emmeans(fit, "Days")
    for text in (
        fit.summary(ddf="satterthwaite"),
        str(hb.anova(fit)),
        str(hb.drop1(fit)),
        str(fit.contrast("Days", joint=True)),
        str(emmeans),
        fit.tidy("fixed").attrs["notes"][0],
        fit.contrast("Days").attrs["notes"][0],
    ):
        assert said in " ".join(text.split())
    assert "Held" not in fit.summary(ddf="normal")
    assert "Held" not in str(hb.anova(quiet(*TWELVE["slopes"][:2])))


def test_a_singular_covariance_has_the_degrees_of_freedom_of_its_rank():
    """With one direction of effects left, Days + (Days | Subject) is (direction | Subject)."""
    formula, data, _ = TWELVE["singular"]
    fit = quiet(formula, data)
    sd = fit.varcorr().to_frame()["sdcor"].to_numpy()
    assert sd[2] == pytest.approx(-1) or sd[2] == pytest.approx(1)
    known = variance_uncertainty(fit)
    assert known.moves.shape[0] == 2  # two entries of a covariance of rank one


def test_a_covariance_that_the_data_say_nothing_of_gives_no_degrees_of_freedom():
    rng = np.random.default_rng(0)
    arm = np.repeat([0.0, 1.0], 40)
    data = {"y": rng.normal(size=80), "arm": arm, "clinic": np.repeat(["A", "B"], 40)}
    data["dose"] = np.tile(np.arange(4.0), 20)
    tests = row_tests(quiet("y ~ arm + dose + (1 | clinic)", data), np.eye(3))
    assert np.isnan([tests.df[:2], tests.p_value[:2], tests.std_error[:2]]).all()
    assert tests.df[2] == pytest.approx(77, rel=1e-3)  # as without clinics: 80 rows, 3 columns


def test_nothing_estimated_is_infinitely_many_degrees_of_freedom():
    """Once 5.7e75 by rounding, another number in another unit: within blocks all is known."""
    data = hb.load_dataset("Oats").assign(known=20.0)
    fit = hb.lmer("yield ~ nitro + (1 | Block)", data, known_sd="known")
    for ddf in ("satterthwaite", "kenward-roger"):
        df = fit.tidy("fixed", ddf=ddf)["df"]
        assert np.isposinf(df[1]) and 5 < df[0] < 10
        assert np.isposinf(hb.anova(fit, ddf=ddf).to_frame().loc["nitro", "den_df"])
