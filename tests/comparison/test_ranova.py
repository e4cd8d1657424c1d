"""Tests of random effects: lmerTest's table, the mixture at the boundary, what is taken out."""

import warnings

import numpy as np
import pytest
from scipy.stats import chi2

import hierbayes as hb
from hierbayes.comparison.boundary_mixture import mixture_p, mixture_tail
from hierbayes.comparison.deletions import deletions
from tests.reference_fits import linear_fits, load_fit

# lme4 1.1 keeps the columns of a factor or of poly() correlated under ||; ours are independent.
OTHER_MODEL = ("mac_dbar", "ss_poly_dbar")
# lmerTest refuses because lm would use other rows; ours keeps the rows of the fit.
REFUSED = ("ss_na_excl",)
# lmerTest counts the covariance of two columns that no level has together, which no data of the
# design determine, as a parameter: Df 2 for 1, and the p of that.
COUNTS_UNDETERMINED = ("ort_group",)
RTOL = 1e-4

COLUMNS = {
    "npar": "npar",
    "loglik": "logLik",
    "aic": "AIC",
    "chisq": "LRT",
    "df": "Df",
    "p_value": "Pr(>Chisq)",
}


def fitted(reference):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(reference.formula, reference.data, reml=reference.reml, **reference.options)


def quiet(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, hb.load_dataset(data), **options)


def references():
    found = []
    for fit_id in linear_fits(without=OTHER_MODEL + REFUSED):
        table = load_fit(fit_id).record.get("inference", {}).get("ranova")
        found += [fit_id] if table else []
    return found


@pytest.mark.parametrize("fit_id", references())
def test_lmertests_table(fit_id):
    reference = load_fit(fit_id)
    expected = reference.record["inference"]["ranova"]
    table = hb.ranova(fitted(reference), nsim=10, random_seed=1).to_frame()
    assert table.index.tolist() == expected["rows"]
    for ours, theirs in COLUMNS.items():
        if fit_id in COUNTS_UNDETERMINED and ours in ("df", "p_value"):
            continue
        values = np.array(expected["columns"][theirs], dtype=float)
        np.testing.assert_allclose(table[ours], values, rtol=RTOL, atol=1e-6 * (ours != "p_value"))


def test_rows_that_lm_would_not_drop_stay_those_of_the_fit():
    reference = load_fit("ss_na_excl")
    fit = fitted(reference)
    small = hb.lmer("Reaction ~ Days", fit.design.model_frame)
    table = hb.ranova(fit, nsim=10).to_frame()
    assert table["loglik"].iloc[1] == pytest.approx(small.loglik, rel=1e-10)


@pytest.mark.parametrize(
    ("formula", "data", "expected"),
    [
        (
            "Reaction ~ Days + (Days + I(Days^2) | Subject)",
            "sleepstudy",
            {
                "Days in (Days + I(Days^2) | Subject)": ("(Intercept)", "I(Days^2)"),
                "I(Days^2) in (Days + I(Days^2) | Subject)": ("(Intercept)", "Days"),
            },
        ),
        (
            "score ~ 1 + (0 + Machine | Worker)",
            "Machines",
            {"Machine in (0 + Machine | Worker)": ("(Intercept)",)},
        ),
        (
            "score ~ 1 + (Machine || Worker)",
            "Machines",
            {
                "(1 | Worker)": ("MachineB", "MachineC"),
                "Machine in (0 + Machine || Worker)": ("(Intercept)",),
            },
        ),
        (
            "angle ~ temp + (recipe * temp | replicate)",
            "cake",
            {
                "recipe:temp in (recipe * temp | replicate)": (
                    "(Intercept)", "recipeB", "recipeC", "temp",
                )
            },
        ),
    ],
)  # fmt: skip
def test_what_each_deletion_leaves(formula, data, expected):
    model = hb.Model(formula, hb.load_dataset(data))
    found = {d.name: d.design.factors[0].columns for d in deletions(model.design)}
    assert found == expected


def test_taking_out_one_of_two_factors_of_a_nested_bar():
    model = hb.Model("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
    found = {d.name: [f.name for f in d.design.factors] for d in deletions(model.design)}
    assert found == {"(1 | cask:batch)": ["batch"], "(1 | batch)": ["cask:batch"]}


@pytest.mark.parametrize(
    ("bar", "name"), [("(Days | Subject)", "(Days | Subject)"), ("(Days || Subject)",) * 2]
)
def test_whole_bars_are_taken_out_on_request(bar, name):
    data = hb.load_dataset("sleepstudy")
    fit = hb.lmer(f"Reaction ~ Days + {bar}", data)
    table = hb.ranova(fit, reduce_terms=False).to_frame()
    assert table.index.tolist() == ["<none>", name]
    small = hb.lmer("Reaction ~ Days", data)
    assert table.loc[name, "loglik"] == pytest.approx(small.loglik, rel=1e-10)
    assert table.loc[name, "df"] == fit.n_params - small.n_params
    nested = hb.lmer("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes"))
    assert hb.ranova(nested, reduce_terms=False).to_frame().index.tolist()[1:] == [
        "(1 | cask:batch)", "(1 | batch)",
    ]  # fmt: skip


def test_the_mixture_is_half_of_two_chi_squared():
    assert mixture_tail(3.0, (0, 1)) == pytest.approx(chi2.sf(3.0, 1) / 2)
    assert mixture_tail(3.0, (1, 2)) == pytest.approx((chi2.sf(3.0, 1) + chi2.sf(3.0, 2)) / 2)
    assert mixture_tail(0.0, (0, 1)) == 1.0


@pytest.mark.parametrize(
    ("small", "large", "data", "df"),
    [
        ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)", "sleepstudy",
         (1, 2)),
        ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (I(Days - 4) | Subject)",
         "sleepstudy", (1, 2)),
        ("Reaction ~ Days", "Reaction ~ Days + (1 | Subject)", "sleepstudy", (0, 1)),
        ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days || Subject)", "sleepstudy",
         (0, 1)),
        ("strength ~ 1 + (1 | sample)", "strength ~ 1 + (1 | batch/cask)", "Pastes", (0, 1)),
    ],
)  # fmt: skip
def test_one_variance_less_is_found_by_columns_and_levels_not_names(small, large, data, df):
    found = mixture_p(quiet(small, data), quiet(large, data), 2.0)
    assert (found.kind, found.df) == ("mixture", df)
    assert found.p_value == mixture_tail(2.0, df)


@pytest.mark.parametrize("large", ["(Days | Subject)", "(Days || Subject)"])
def test_the_mixture_lies_between_the_plain_chi_squared_and_the_bootstrap(large):
    # with 18 subjects the mixture is still a little too wide, the plain chi-squared far too wide
    small = quiet("Reaction ~ Days + (1 | Subject)", "sleepstudy")
    large = quiet(f"Reaction ~ Days + {large}", "sleepstudy")
    draws = hb.pb_test(small, large, nsim=1000, random_seed=1).reference
    df = large.n_params - small.n_params
    at = chi2.isf(0.1, df)
    tail = mixture_p(small, large, at).p_value
    assert (draws > at).mean() < tail + 0.005 < 0.1
    assert tail == pytest.approx((draws > at).mean(), abs=0.04)


@pytest.mark.parametrize(
    ("small", "large", "kind", "words"),
    [
        ("Reaction ~ Days + (Days || Subject)", "Reaction ~ Days + (Days | Subject)", "interior",
         ""),
        ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)", "interior", ""),
        ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (Days | Subject)", "unknown",
         "fixed parts differ"),
        ("Reaction ~ Days", "Reaction ~ Days + (Days | Subject)", "unknown", "2 variances"),
        ("Reaction ~ Days + (0 + Days | Subject)", "Reaction ~ Days + (1 | Subject)", "unknown",
         "not a special case"),
    ],
)  # fmt: skip
def test_other_differences_have_no_mixture_and_say_why(small, large, kind, words):
    found = mixture_p(quiet(small, "sleepstudy"), quiet(large, "sleepstudy"), 2.0)
    assert found.kind == kind
    assert np.isnan(found.p_value)
    assert words in found.reason


def test_no_mixture_when_the_smaller_model_is_on_the_boundary():
    found = hb.ranova(quiet("distance ~ I(age - 11) * Sex + (I(age - 11) || Subject)", "Orthodont"))
    assert np.isnan(found.table.loc["(1 | Subject)", "p_mixture"])
    assert "boundary" in found.reasons["(1 | Subject)"]
    assert "no mixture p, because the model without it" in " ".join(str(found).split())


def test_no_mixture_where_a_covariance_is_not_in_the_data():
    found = hb.ranova(quiet("distance ~ Sex + age + (0 + Sex | Subject)", "Orthodont"))
    assert "do not determine" in found.reasons["Sex in (0 + Sex | Subject)"]


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_degrees_of_freedom_count_what_the_data_determine():
    """Once two for what is one: without the covariance that no boy and no girl shows."""
    data = hb.load_dataset("Orthodont")
    found = hb.ranova(hb.lmer("distance ~ Sex + age + (0 + Sex | Subject)", data))
    apart = hb.lmer("distance ~ Sex + age + (0 + Sex || Subject)", data)
    alike = hb.lmer("distance ~ Sex + age + (1 | Subject)", data)
    row = found.to_frame().loc["Sex in (0 + Sex | Subject)"]
    ratio = 2 * (apart.loglik - alike.loglik)
    assert apart.n_params - alike.n_params == row["df"] == 1
    assert row["chisq"] == pytest.approx(ratio, rel=1e-4)
    assert row["p_value"] == pytest.approx(chi2.sf(ratio, 1), rel=1e-4)
    assert "Df counts what the data determine of the parameters taken out, 1 of 2" in " ".join(
        str(found).split()
    )


def test_printed_as_lmertest_prints_it():
    expected = load_fit("ss_max_reml").record["inference"]["ranova"]["printed"]
    lines = str(hb.ranova(fitted(load_fit("ss_max_reml")))).splitlines()
    assert [line.rstrip() for line in lines[: len(expected)]] == [
        line.rstrip() for line in expected
    ]
    assert any("1/2 chi2(1) + 1/2 chi2(2)" in line for line in lines)


def test_a_known_residual_sd_and_a_refitted_response():
    fit = quiet("effect ~ 1 + (1 | school)", "eight_schools", known_sd="se")
    table = hb.ranova(fit, nsim=200, random_seed=1).to_frame()
    assert table["npar"].tolist() == [2, 1]
    assert table["p_exact"].iloc[1] > 0.2
    fit = quiet("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    y = fit.design.y[::-1] + np.arange(30.0)
    again = hb.ranova(fit.refit(y), nsim=10).to_frame()
    null = hb.lmer("y ~ 1", {"y": y})
    assert again["loglik"].iloc[1] == pytest.approx(null.loglik, rel=1e-10)


def test_bad_input():
    fit = quiet("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    with pytest.raises(hb.OptionError, match="nsim=0 must be a whole number"):
        hb.ranova(fit, nsim=0)
    with pytest.raises(hb.OptionError, match="random_seed"):
        hb.ranova(fit, random_seed="x")
    with pytest.raises(hb.OptionError, match="it got str"):
        hb.ranova("fit")
    with pytest.raises(hb.DataError, match="no random effects"):
        hb.ranova(hb.lmer("Yield ~ 1", hb.load_dataset("Dyestuff")))


def test_html_has_the_same_numbers():
    found = hb.ranova(quiet("Yield ~ 1 + (1 | Batch)", "Dyestuff"), nsim=99, random_seed=1)
    html = found._repr_html_()
    assert "0.01161" in html and "p exact" in html and "1/2 chi2(0)" in html
