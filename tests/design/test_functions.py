"""Functions of the closed list: what they learn meets new data, and no argument is dropped."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.design.build import build_design, new_rows
from hierbayes.errors import FormulaError, FormulaSyntaxError
from hierbayes.formula.parser import formula_text, parse_formula
from hierbayes.marginal_means.effect_means import effect_means

N = 24
RNG = np.random.default_rng(11)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "w": RNG.uniform(1, 2, N),
        "g": np.repeat(list("abcdef"), 4),
        "h": np.tile([1, 2], 12),
    }
)


def build(text, data=DATA):
    return build_design(parse_formula(text), data)


def column(text, data=DATA):
    return build(f"y ~ 0 + {text}", data).X[:, 0]


def test_group_means_are_those_of_the_fitted_data():
    design = build("y ~ I(x - ave(x, g))")
    means = DATA.groupby("g")["x"].mean()
    assert design.X[:, 1] == pytest.approx(DATA["x"] - DATA["g"].map(means), abs=1e-14)
    new = new_rows(design, {"x": [0.0, 1.0, 1.0], "g": ["f", "a", None]})
    assert new.X[:2, 1] == pytest.approx([-means["f"], 1 - means["a"]], abs=1e-14)
    assert np.isnan(new.X[2, 1])
    with pytest.raises(FormulaError, match="no mean for 'z'"):
        new_rows(design, {"x": [0.0], "g": ["z"]})


def test_group_means_leave_missing_values_out():
    data = DATA.copy()
    data.loc[0, "x"] = np.nan
    design = build("y ~ I(x - ave(x, g))", data)
    means = data.groupby("g")["x"].transform("mean")
    assert design.X[:, 1] == pytest.approx((data["x"] - means)[1:], abs=1e-14)
    assert design.dropped == {"x": 1}


def test_group_means_keep_their_digits_far_from_zero():
    far = DATA.assign(x=DATA["x"] + 1e9)
    expected = far["x"] - (far["x"] - 1e9).groupby(far["g"]).transform("mean") - 1e9
    assert column("I(x - ave(x, g))", far) == pytest.approx(expected, abs=1e-6)


def test_means_of_two_factors_take_pairs():
    means = DATA.groupby(["g", "h"])["x"].transform("mean")
    assert column("ave(x, g, h)") == pytest.approx(means, abs=1e-14)


def test_a_fit_with_group_means_is_the_same_after_saving(tmp_path):
    data = hb.load_dataset("sleepstudy")
    data["Days"] = data["Days"] + data["Subject"].astype(int) % 3
    fit = hb.lmer("Reaction ~ I(Days - ave(Days, Subject)) + cut(Days, 3) + (1 | Subject)", data)
    fit.save(tmp_path / "fit.hb")
    new = data.iloc[[0, 50, 100]]
    loaded = hb.load(tmp_path / "fit.hb").predict(new)
    assert loaded.tolist() == pytest.approx(fit.fitted().iloc[[0, 50, 100]].tolist())
    assert hb.emmeans(fit, "Days", at={"Days": [1, 4]}).means["estimate"].notna().all()


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_numbers_that_group_means_stand_as_levels_in_grids_and_lines():
    data = DATA.assign(k=np.repeat([3, 10, 20, 25, 40, 41], 4))
    fit = hb.lmer("y ~ I(x - ave(x, k)) + (1 | g)", data)
    assert hb.emmeans(fit, "x", at={"x": [0.0, 1.0]}).means["estimate"].notna().all()
    assert effect_means(fit, x="x").means["estimate"].notna().all()


def test_pi_is_a_number_in_functions_and_a_column_elsewhere():
    assert column("sin(2 * pi * x)") == pytest.approx(np.sin(2 * np.pi * DATA["x"]))
    data = DATA.assign(pi=DATA["x"] * 2)
    assert column("pi", data).tolist() == data["pi"].tolist()
    assert column("I(`pi` * 2)", data).tolist() == (data["pi"] * 2).tolist()
    with pytest.raises(FormulaError, match="the data have a column 'pi'"):
        build("y ~ sin(pi * x)", data)
    assert formula_text(parse_formula("y ~ I(`pi` * pi)")) == "y ~ I(`pi` * pi)"


def test_values_in_no_interval_leave_their_rows_out():
    data = DATA.assign(x=np.tile([0.0, 1, 2, 3], 6))
    design = build("y ~ cut(x, c(0, 1, 2, 9))", data)
    assert design.coef_names == (
        "(Intercept)", "cut(x, c(0, 1, 2, 9))(1,2]", "cut(x, c(0, 1, 2, 9))(2,9]",
    )  # fmt: skip
    assert design.dropped == {"cut(x, c(0, 1, 2, 9))": 6}
    new = new_rows(design, {"x": [0.5, 1.5, 0.0]})
    assert new.X[:2].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert np.isnan(new.X[2, 1:]).all()


def test_breaks_of_a_number_of_intervals_are_remembered():
    design = build("y ~ cut(x, 3)")
    again = new_rows(design, DATA.iloc[:5])
    assert again.X.tolist() == design.X[:5].tolist()


def test_two_columns_of_poly_fit_both():
    both = build("y ~ poly(x, w, degree = 2)")
    assert both.coef_names[1:] == tuple(
        f"poly(x, w, degree = 2){end}" for end in ("1.0", "2.0", "0.1", "1.1", "0.2")
    )
    raw = build("y ~ x + w + I(x^2) + I(x * w) + I(w^2)")
    projected = both.X @ np.linalg.lstsq(both.X, raw.X, rcond=None)[0]
    assert projected == pytest.approx(raw.X, abs=1e-9)
    new = new_rows(both, DATA.iloc[[3, 9]])
    assert pytest.approx(both.X[[3, 9]], abs=1e-12) == new.X


def test_a_bar_takes_any_function():
    data = DATA.assign(t=np.tile([0.0, 6, 12, 18], 6))
    factor = build("y ~ 1 + (cos(2 * pi * t/24) | cut(w, 2))", data).factors[0]
    assert factor.columns == ("(Intercept)", "cos(2 * pi * t/24)")
    assert factor.levels.size == 2


IGNORED = {
    "y ~ poly(x, w, 2)": "poly() of several columns takes its degree by name",
    "y ~ poly(x, 2, degree = 3)": "given twice, by its place and by its name",
    "y ~ poly(x, 2, TRUE)": "poly() of several columns takes its degree by name",
    "y ~ poly(x, degree = w)": "An option of poly() can't be 'w'",
    "y ~ poly(x, w, coefs = 3)": "poly() has no option 'coefs'",
    "y ~ poly(x, degree = 100000, raw = TRUE)": "degree is at most 1000",
    "y ~ log(x, 2, base = 3)": "given twice",
    "y ~ scale(x, TRUE, center = FALSE)": "given twice",
    "y ~ scale(x, center = NULL)": "'center' of scale() can't be NULL",
    "y ~ bs(x, df = 8, knots = c(0))": "df and knots were both given, and they don't agree",
    "y ~ ns(x, df = 4, knots = c(0))": "df and knots were both given",
    "y ~ ns(x, df = 1000000)": "df is at most 1000",
    "y ~ bs(x, Boundary.knots = 3)": "Boundary.knots are two numbers",
    "y ~ C(g, sum, base = 2)": "base is for treatment contrasts alone",
    'y ~ factor(g, levels = c("a", "a"))': "factor() got a level twice",
    "y ~ factor(g, exclude = NULL)": "'exclude' of factor() can't be NULL",
    "y ~ exp(x, w)": "exp() takes at most one argument without a name",
    "y ~ pmax(x, na.rm = TRUE)": "'=' names an option, and pmax() has none",
    "y ~ ave(x, g, FUN = median)": "'=' names an option, and ave() has none",
    "y ~ ave(g, x)": "ave() needs numbers, but 'g' holds categories",
    "y ~ pmax(x, g)": "pmax() needs numbers, but 'g' holds categories",
    "y ~ cut(x)": "give breaks",
    "y ~ cut(x, 1)": "the number of intervals must be 2 to 10000",
    "y ~ cut(x, c(0, 0, 1))": "a break is there twice",
    'y ~ cut(x, c(0, 1, 2), labels = "a")': "there are 1 labels for 2 intervals",
    "y ~ cut(x, 3, right = 1)": "'right' of cut() must be TRUE or FALSE",
    "y ~ cut(g, 3)": "cut() needs numbers, but 'g' holds categories",
    "y ~ cut(x, quantile(x))": "'quantile' isn't a function",
    "y ~ cut(x, w)": "An option of cut() can't be 'w'",
    'y ~ factor(g, ordered = "no")': "'ordered' of factor() must be TRUE or FALSE",
    'y ~ poly(x, 2, raw = "FALSE")': "'raw' of poly() must be TRUE or FALSE",
    "y ~ ns(x, 3, intercept = 0)": "'intercept' of ns() must be TRUE or FALSE",
    'y ~ scale(x, "a")': "'center' of scale() must be TRUE, FALSE or a number",
    "y ~ scale(x, scale = 0)": "nothing can be divided by scale = 0",
    'y ~ C(g, base = "a")': "'base' of C() must be a number",
    "y ~ C(g, base = 2.5)": "base is the number of a level, 1 to 6",
    "y ~ C(g, contr.treatment(base = 2))": "Write C(f, contr.treatment, base = 2)",
    "y ~ log(x, Inf)": "'base' of log() must be a number",
    "y ~ cut(x, c())": "breaks must be numbers",
    "y ~ bs(x, knots = TRUE)": "'knots' of bs() must be numbers",
    "y ~ bs(x, knots = 20)": "the knot 20 lies outside the boundary knots",
    'y ~ cr(x, 4, constraints = "sum")': "'constraints' of cr() must be \"center\"",
    'y ~ I("a")': "I() needs a column or a number, not a text",
}


@pytest.mark.parametrize(("text", "sentence"), IGNORED.items(), ids=IGNORED)
def test_no_argument_is_dropped_in_silence(text, sentence):
    with pytest.raises((FormulaError, FormulaSyntaxError)) as error:
        build(text)
    assert sentence in str(error.value)


def test_levels_of_logicals_are_named_as_in_r():
    data = DATA.assign(b=DATA["h"] == 1)
    assert build("y ~ factor(b, levels = c(TRUE, FALSE))", data).coef_names[1].endswith(")FALSE")


def test_intervals_without_end_are_labelled_as_in_r():
    """A blank goes before Inf beside -Inf only, whose width it gets."""
    data = DATA.assign(x=DATA["w"])
    assert build("y ~ cut(x, c(0, 1.5, Inf))", data).coef_names[1].endswith("(1.5,Inf]")
    assert build("y ~ cut(x, c(-Inf, 1.5, Inf))", data).coef_names[1].endswith("(1.5, Inf]")


@pytest.mark.parametrize("term", ["cr(x, df = 4)", "ns(x, 3)", "bs(x, df = 5)", "poly(x, 3)"])
@pytest.mark.parametrize("unit", [1e-300, 1e-120, 1e120, 1e290])
def test_splines_and_polynomials_have_no_unit(term, unit):
    x = np.random.default_rng(1).normal(size=40)
    data = {"y": np.arange(40.0), "x": x, "g": np.arange(40) % 8}
    here, there = (
        hb.Model(f"y ~ {term} + (1 | g)", data | {"x": u * x}).design.X for u in (1.0, unit)
    )
    np.testing.assert_allclose(there, here, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-120, 1e120, 1e290])
def test_polynomials_of_several_columns_have_no_unit(unit):
    rng = np.random.default_rng(1)
    data = {"y": np.arange(40.0), "x": rng.normal(size=40), "z": rng.normal(size=40)}
    moved = data | {"x": unit * data["x"]}
    here, there = (hb.Model("y ~ poly(x, z, degree = 2)", d).design.X for d in (data, moved))
    np.testing.assert_allclose(there, here, atol=1e-9)


def test_values_that_only_rounding_tells_apart_are_one_sentence():
    x = np.r_[np.zeros(12), np.ones(10), 1 + 1e-13, 1e-13]
    with pytest.raises(hb.FormulaError, match="a lower degree already tells all values apart"):
        hb.Model("y ~ poly(x, 2)", {"y": np.arange(24.0), "x": x})
