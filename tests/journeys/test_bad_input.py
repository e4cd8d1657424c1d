"""Every unusable input a user can give ends in one of our errors: what, where, what to do.

Each line of a table is an input and the words its message must hold; a message is compared with
its line breaks and indents made single spaces. Nothing of NumPy, pandas or SciPy may come through
as an error, and no case may give numbers without a word.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

N = 24


def small(**columns):
    """24 rows: 6 groups of 4 that differ, factors of 3 and 2 levels, numbers."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=N) + np.repeat(rng.normal(size=6), 4)
    frame = pd.DataFrame(
        {
            "y": y,
            "x": np.tile([0.0, 1.0, 2.5, 4.0], 6),
            "z": rng.normal(size=N),
            "g": np.repeat(list("abcdef"), 4),
            "f": np.tile(["p", "q", "r"], 8),
            "days": np.tile([0, 1, 2, 3], 6),
        }
    )
    return frame.assign(**columns)


def raised(error, call):
    """Message of the error a call raises, on one line; every warning is an error of the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            call()
    assert isinstance(caught.value, hb.HierBayesError)
    return " ".join(str(caught.value).split())


def first_where(first, size):
    return np.r_[first, np.ones(size - 1)]


FIT = "y ~ x + (1 | g)"

BAD_DATA = {
    "missing column": ("y ~ Days + (1 | g)", small(), "no column 'Days'; did you mean 'days'?"),
    "missing group": ("y ~ x + (1 | gg)", small(), "no column 'gg'; did you mean 'g'?"),
    "missing response": ("Y ~ x + (1 | g)", small(), "no column 'Y'; did you mean 'y'?"),
    "all missing": (
        FIT,
        small(x=np.nan),
        "Column 'x' has no values: it is missing in all 24 rows.",
    ),
    "no complete row": (
        "y ~ x + z + (1 | g)",
        small(x=[np.nan, 1.0] * 12, z=[1.0, np.nan] * 12),
        "No row is complete: of 24 rows, 'x' in 12 and 'z' in 12 are missing. Leave a column out",
    ),
    "one complete row": (FIT, small(x=[1.0] + [np.nan] * 23), "there is nothing to model"),
    "empty frame": (FIT, small().iloc[:0], "The data have no rows."),
    "empty dict": (FIT, {}, "The data have no rows."),
    "text response": (
        "g ~ x + (1 | f)",
        small(),
        "The response 'g' holds categories ('a', 'b', 'c', ...), not numbers. Choose a column",
    ),
    "constant response": (FIT, small(y=3.0), "'y' is 3 in all 24 rows used; there is nothing to"),
    "infinite predictor": (
        FIT,
        small(x=first_where(np.inf, N)),
        "Column 'x' has an infinite value in row 0; correct it, or make it missing",
    ),
    "infinite response": (
        FIT,
        small(y=first_where(-np.inf, N)),
        "'y' has an infinite value in row",
    ),
    "one level": (
        "y ~ x + (1 | c)",
        small(c="only"),
        "'c' has one level, 'only', in the rows used; a variance between levels needs at least two",
    ),
    "grouping by a number that is constant": (
        "y ~ x + (1 | g) + (1 | c)",
        small(c=1),
        "The grouping factor 'c' has one level, '1'",
    ),
    "levels = rows": (
        "y ~ x + (1 | i)",
        small(i=np.arange(N)),
        "'i' has 24 levels in 24 rows: with one row a level its variance can't be told from",
    ),
    "more random effects than rows": (
        "y ~ x + (x + z + f | g)",
        small(),
        "(x + z + f | g) has 30 random effects (5 columns for each of 6 levels of 'g') for 24 rows",
    ),
    "bars swapped": ("y ~ x + (g | x)", small(), "Did you mean (x | g)?"),
    "bars swapped, unique numbers": ("y ~ x + (g | z)", small(), "Did you mean (z | g)?"),
    "duplicated column": (
        FIT,
        pd.concat([small(), small()[["x"]]], axis=1),
        "The data have 2 columns named 'x'; rename all but one",
    ),
    "response on the right": ("y ~ y + (1 | g)", small(), "'y' also stands among the predictors"),
    "columns = rows": (
        "y ~ factor(i) + (1 | g)",
        small(i=np.arange(N)),
        "The fixed part has 24 independent columns for 24 rows; nothing is left to estimate",
    ),
    "columns = rows, no bars": ("y ~ factor(i)", small(i=np.arange(N)), "24 independent columns"),
    "a list": (
        FIT,
        [1, 2],
        "give a pandas, polars or pyarrow frame, a dict of arrays, or the path",
    ),
    "a number": (FIT, 3, "give a pandas, polars or pyarrow frame"),
    "None": (FIT, None, "give a pandas, polars or pyarrow frame"),
    "a Series": (FIT, small()["y"], "give a pandas, polars or pyarrow frame"),
    "an array": (FIT, np.ones((3, 3)), "give a pandas, polars or pyarrow frame"),
    "no such file": (FIT, "nowhere.csv", "There is no file 'nowhere.csv'."),
}


@pytest.mark.parametrize(("formula", "data", "words"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_that_carry_no_model(formula, data, words):
    assert words in raised((hb.DataError, hb.FormulaError), lambda: hb.lmer(formula, data))


# Numbers that can't be computed with, and responses without any residual variation.
LEVEL_MEANS = np.repeat(np.arange(6.0), 4)
BAD_NUMBERS = {
    "huge response": (FIT, small(y=small().y * 1e300), {}, "The response 'y' has values as large"),
    "one huge response": (FIT, small(y=first_where(1e300, N)), {}, "divide it by 1e+300."),
    "huge predictor": (
        FIT,
        small(x=small().x * 1e300),
        {},
        "'x' has values as large as 4e+300, whose squares can't be computed. Change its unit: "
        "divide it by 4e+300.",
    ),
    "huge slope": ("y ~ 1 + (0 + x | g)", small(x=small().x * 1e300), {}, "the effects of g has"),
    "tiny response": (FIT, small(y=small().y * 1e-300), {}, "as small as 2.88e-300"),
    "tiny predictor": (FIT, small(x=small().x * 1e-300), {}, "multiply it by"),
    "huge offset": (FIT, small(), {"offset": np.full(N, 1e300)}, "The offset has values as large"),
    "slope of zeros": ("y ~ 1 + (0 + k | g)", small(k=0.0), {}, "'k' of the effects of g is zero"),
    "y = X beta": (FIT, small(y=1 + 2 * small().x), {}, "The fixed part reproduces the response"),
    "y = X beta, no bars": ("y ~ x", small(y=1 + 2 * small().x), {}, "The fixed part reproduces"),
    "y = a factor": (
        "y ~ f + (1 | g)",
        small(y=small().f.map({"p": 1.0, "q": 2.0, "r": 5.0})),
        {},
        "The fixed part reproduces the response 'y' exactly",
    ),
    "constant but for rounding": (
        FIT,
        small(y=5 + 1e-15 * small().z),
        {},
        "reproduces the response 'y' exactly",
    ),
    "y = offset": (FIT, small(), {"offset": "y"}, "The offset equals the response 'y' exactly"),
    "y = level": ("y ~ 1 + (1 | g)", small(y=LEVEL_MEANS), {}, "no residual variation to model"),
    "y = X beta + Z b": (FIT, small(y=2 * small().x + LEVEL_MEANS), {}, "no residual variation"),
    "y = a line a level": (
        "y ~ x + (x | g)",
        small(y=LEVEL_MEANS**2 + (1 + LEVEL_MEANS) * small().x),
        {},
        "no residual variation to model",
    ),
    "y = level but for 1e-9": (
        "y ~ 1 + (1 | g)",
        small(y=LEVEL_MEANS + 1e-9 * small().z),
        {},
        "no residual variation to model",
    ),
    "tiny known_sd": (FIT, small(), {"known_sd": 1e-160}, "known_sd makes precision weights"),
    "huge known_sd": (FIT, small(), {"known_sd": 1e200}, "known_sd makes precision weights"),
}


@pytest.mark.parametrize(("formula", "data", "options", "words"), BAD_NUMBERS.values(),
                         ids=BAD_NUMBERS)  # fmt: skip
def test_numbers_that_cannot_be_computed_with(formula, data, options, words):
    assert words in raised(hb.DataError, lambda: hb.lmer(formula, data, **options))


BAD_FORMULAS = {
    "a number": (3, "A formula is given as text, not as int"),
    "None": (None, "A formula is given as text, not as NoneType"),
    "a list": (["y ~ x"], "A formula is given as text, not as list"),
    "empty": ("", "The formula is empty. Write a response and predictors"),
    "no tilde": ("y", "A formula needs a '~' between the response and the predictors."),
    "no response": ("~ x", "The formula has no response left of '~'."),
    "nothing right": ("y ~", "Write 'y ~ 1' for an intercept alone."),
    "open parenthesis": ("y ~ x + (1 | g", "This '(' is never closed."),
}


@pytest.mark.parametrize(("formula", "words"), BAD_FORMULAS.values(), ids=BAD_FORMULAS)
def test_formulas_that_are_none(formula, words):
    assert words in raised(hb.FormulaError, lambda: hb.lmer(formula, small()))


def test_the_caret_stands_under_the_unknown_column():
    with pytest.raises(hb.DataError) as caught:
        hb.lmer("y ~ x + Days + (1 | g)", small())
    sentence, formula, caret = str(caught.value).splitlines()
    assert sentence == "The data have no column 'Days'; did you mean 'days'?"
    assert formula.index("Days") == caret.index("^")


BAD_ARGUMENTS = {
    "short weights": ({"weights": [1.0, 2.0]}, "weights has 2 values; the data have 24 rows"),
    "weights of two columns": ({"weights": np.ones((N, 2))}, "weights has 24 x 2 values"),
    "negative weights": (
        {"weights": first_where(-1.0, N)},
        "weights: 1 of 24 are negative (row 0). A precision weight is a positive number.",
    ),
    "zero weights": (
        {"weights": first_where(0.0, N)},
        "weights: 1 of 24 are zero (row 0). A row of weight zero says nothing: leave these rows",
    ),
    "infinite weights": ({"weights": first_where(np.inf, N)}, "'weights' has an infinite value"),
    "text weights": ({"weights": ["a"] * N}, "weights must be numbers"),
    "weights by a factor": ({"weights": "g"}, "weights='g' holds categories"),
    "weights by no column": ({"weights": "zz"}, "no column 'zz'; did you mean 'z'?"),
    "zero known_sd": ({"known_sd": np.zeros(N)}, "known_sd: 24 of 24 are not positive"),
    "weights and known_sd": (
        {"weights": np.ones(N), "known_sd": np.ones(N)},
        "known_sd and weights were both given",
    ),
    "contrasts by one word": ({"contrasts": "sum"}, "must be a dict from a factor to its coding"),
    "contrasts of a number": ({"contrasts": {"x": "sum"}}, "'x' is not a factor of the fixed part"),
    "priors of another kind": ({"priors": {"x": 1}}, "priors['x'] is 1, not a prior"),
    "reml=2": ({"reml": 2}, "reml=2 must be True (REML) or False (maximum likelihood)."),
    "reml='ml'": ({"reml": "ml"}, "reml='ml' must be True (REML) or False"),
    "short offset": ({"offset": [1.0]}, "offset has 1 values; the data have 24 rows"),
}


@pytest.mark.parametrize(("options", "words"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_arguments_that_are_wrong(options, words):
    message = raised(hb.HierBayesError, lambda: hb.lmer("y ~ x + f + (1 | g)", small(), **options))
    assert words in message


@pytest.fixture(scope="module")
def fit():
    return hb.lmer(FIT, small())


@pytest.fixture(scope="module")
def model():
    return hb.Model(FIT, small())


# Every Literal argument with a slip of the pen: the allowed words are listed, the nearest named.
WRONG_WORDS = {
    "method": (lambda m, f: m.fit("rml"), "method='rml' is not one of 'reml', 'ml'", "reml"),
    "method in capitals": (lambda m, f: m.fit("ML"), "method='ML' is not one of", "ml"),
    "new_levels": (
        lambda m, f: f.predict(new_levels="popluation"),
        "new_levels='popluation' is not one of 'error', 'population', 'sample', 'missing'",
        "population",
    ),
    "interval": (
        lambda m, f: f.predict(interval="confidance"),
        "interval='confidance' is not one of 'confidence', 'prediction'",
        "confidence",
    ),
    "type": (
        lambda m, f: f.predict(type="respons"),
        "type='respons' is not one of 'response', 'link'",
        "response",
    ),
    "groups": (lambda m, f: f.predict(groups="nnone"), "groups='nnone' is not a", "none"),
    "kind": (
        lambda m, f: f.residuals("pearsn"),
        "kind='pearsn' is not one of 'response', 'pearson', 'deviance', 'working'",
        "pearson",
    ),
    "effects": (
        lambda m, f: f.tidy(effects="fixd", ddf="none"),
        "effects='fixd' is not one of 'fixed', 'ran_pars', 'ran_vals'",
        "fixed",
    ),
    "ddf": (
        lambda m, f: f.tidy(ddf="kenwardroger"),
        "ddf='kenwardroger' is not one of 'satterthwaite', 'kenward-roger', 'normal', 'none'",
        "kenward-roger",
    ),
    "contrasts": (
        lambda m, f: hb.lmer("y ~ f + (1 | g)", small(), contrasts={"f": "sums"}),
        "contrasts['f']='sums' is not one of 'treatment', 'sum', 'helmert', 'poly'",
        "sum",
    ),
    "family": (
        lambda m, f: hb.Model(FIT, small(), family="gausian"),
        "family='gausian' is not one of 'gaussian', ",
        "gaussian",
    ),
    "link": (lambda m, f: hb.Model(FIT, small(), link="identiy"), "link='identiy'", "identity"),
    "ddf of anova": (lambda m, f: hb.anova(f, ddf="satterthwait"), "ddf=", "satterthwaite"),
}


@pytest.mark.parametrize(("call", "words", "nearest"), WRONG_WORDS.values(), ids=WRONG_WORDS)
def test_a_misspelt_option_names_the_nearest(model, fit, call, words, nearest):
    message = raised(hb.OptionError, lambda: call(model, fit))
    assert words in message
    assert message.endswith(f"; did you mean {nearest!r}?")


# What a fit is asked.
BAD_REQUESTS = {
    "method of no text": (lambda m, f: m.fit(7), "method=7 is not one of 'reml', 'ml'."),
    "groups unknown": (
        lambda m, f: f.predict(groups=["h"]),
        "groups='h' is not a grouping factor of this model (it has 'g') nor 'all' or 'none'.",
    ),
    "groups None": (lambda m, f: f.predict(groups=None), "groups=None must be 'all', 'none' or a"),
    "level": (lambda m, f: f.predict(level=95), "level=95 must be a number between 0 and 1"),
    "level of tidy": (lambda m, f: f.tidy(level=0, ddf="none"), "level=0 must be a number between"),
    "effects of none": (lambda m, f: f.tidy(effects=(), ddf="none"), "effects=() names none of"),
    "effects a number": (lambda m, f: f.tidy(effects=3, ddf="none"), "effects=3 is not one of"),
    "nsim=0": (lambda m, f: f.simulate(0), "nsim=0 must be a whole number of at least 1."),
    "nsim=1.5": (lambda m, f: f.simulate(1.5), "nsim=1.5 must be a whole number"),
    "nsim=True": (lambda m, f: f.simulate(True), "nsim=True must be a whole number"),
    "text seed": (lambda m, f: f.simulate(1, random_seed="a"), "random_seed='a' must be a whole"),
    "negative seed": (lambda m, f: f.simulate(1, -1), "random_seed=-1 must be a whole number of"),
    "fraction as seed": (lambda m, f: f.simulate(1, 1.5), "random_seed=1.5 must be a whole number"),
    "seed=True": (lambda m, f: f.simulate(1, True), "random_seed=True must be a whole number"),
    "seed of predict": (lambda m, f: f.predict(random_seed="a"), "random_seed='a' must be a whole"),
    "refit, short": (
        lambda m, f: f.refit(np.ones(3)),
        "refit got 3 values; the model was fitted to 24 rows, so give one number for each",
    ),
    "refit, two columns": (lambda m, f: f.refit(np.ones((N, 2))), "refit got 24 x 2 values"),
    "refit, one number": (lambda m, f: f.refit(3.0), "refit got a single value"),
    "refit, a name": (lambda m, f: f.refit("y"), "refit got a single value"),
    "refit, None": (lambda m, f: f.refit(None), "refit got a single value"),
    "refit, ragged": (lambda m, f: f.refit([[1.0], [1.0, 2.0]]), "one number for each row"),
    "refit, missing": (
        lambda m, f: f.refit(first_where(np.nan, N)),
        "refit got a response with 1 missing or infinite value; fit a new model to leave rows out.",
    ),
    "refit, NA": (
        lambda m, f: f.refit(pd.Series([1, 2, None] * 8, dtype="Int64")),
        "8 missing or infinite values",
    ),
    "refit, text": (lambda m, f: f.refit(["a"] * N), "a response of categories, not numbers"),
    "refit, complex": (lambda m, f: f.refit(np.ones(N) * 1j), "complex numbers"),
    "refit, constant": (lambda m, f: f.refit(np.ones(N)), "is 1 in all 24 rows; there is nothing"),
    "refit, X beta": (lambda m, f: f.refit(small().x), "The fixed part reproduces the response"),
    "refit, huge": (
        lambda m, f: f.refit(small().y * 1e300),
        "The response given to refit has values as large",
    ),
    "refit, level means": (lambda m, f: f.refit(LEVEL_MEANS), "no residual variation to model"),
    "update, no column": (lambda m, f: f.update(". ~ . + nope"), "no column 'nope'"),
    "update, no bar": (
        lambda m, f: f.update(". ~ . - (1 | f)"),
        "There is no (1 | f) to remove.",
    ),
    "update, a number": (lambda m, f: f.update(3), "A formula is given as text, not as int"),
}


@pytest.mark.parametrize(("call", "words"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_requests_a_fit_refuses(model, fit, call, words):
    assert words in raised(hb.HierBayesError, lambda: call(model, fit))


def new(**columns):
    return pd.DataFrame({"x": [1.0, 2.0], "g": ["a", "b"], "f": ["p", "q"]}).assign(**columns)


BAD_NEW_DATA = {
    "new level": (
        new(g=["a", "new"]),
        "The new data hold 1 level of g that the model was not fitted to: 'new'. Say what to "
        'predict for them: new_levels="population"',
    ),
    "many new levels": (new(g=["u", "v"]), "hold 2 levels of g that the model was not fitted to"),
    "fixed level": (
        new(f=["p", "nope"]),
        "'f' has the level 'nope', which was not in the data the model was fitted to; there are",
    ),
    "no predictor": (new().drop(columns="x"), "The data have no column 'x'"),
    "no group": (new().drop(columns="g"), "The data have no column 'g'"),
    "text predictor": (new(x=["1", "b"]), "'x' was a number in the data the model was fitted to"),
    "infinite predictor": (new(x=[np.inf, 1.0]), "'x' has an infinite value in row 0"),
    "a list": ([1, 2], "give a pandas, polars or pyarrow frame"),
    "a number": (3, "give a pandas, polars or pyarrow frame"),
    "no such file": ("nowhere.csv", "There is no file 'nowhere.csv'."),
}


@pytest.fixture(scope="module")
def factor_fit():
    return hb.lmer("y ~ x + f + (1 | g)", small())


@pytest.mark.parametrize(("newdata", "words"), BAD_NEW_DATA.values(), ids=BAD_NEW_DATA)
def test_new_data_without_predictions(factor_fit, newdata, words):
    assert words in raised(hb.DataError, lambda: factor_fit.predict(newdata))


def test_at_most_five_new_levels_are_listed(fit):
    newdata = pd.DataFrame({"x": 1.0, "g": [f"new{i}" for i in range(8)]})
    message = raised(hb.NewLevelError, lambda: fit.predict(newdata))
    assert "hold 8 levels of g" in message
    assert "'new4' and 3 more." in message
    assert "new5" not in message


UNSUPPORTED = {
    "a density without derivatives": lambda m, f: hb.Model(FIT, small(), family="laplace").fit(),
    "glmer": lambda m, f: hb.glmer("x ~ 1 + (1 | g)", small(), "laplace"),
}


@pytest.mark.parametrize("call", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_this_version_lacks_says_so(model, fit, call):
    message = raised(hb.NotSupportedError, lambda: call(model, fit))
    assert "this version" in message


# Unusual, and fine: each with what it must equal.


def test_a_duplicated_index_is_fine(fit):
    data = small().set_index(pd.Index([7] * N))
    again = hb.lmer(FIT, data)
    assert again.beta == pytest.approx(fit.beta, rel=1e-12)
    assert again.fitted().index.tolist() == [7] * N


def test_equal_weights_change_the_unit_of_sigma_alone(fit):
    weighted = hb.lmer(FIT, small(), weights=np.full(N, 4.0))
    assert weighted.sigma == pytest.approx(2 * fit.sigma, rel=1e-6)
    assert weighted.criterion == pytest.approx(fit.criterion, rel=1e-9)


def test_a_missing_weight_leaves_its_row_out_and_says_so():
    with pytest.warns(hb.DesignWarning, match=r"1 of 24 rows were left out .*: weights \(1\)"):
        weighted = hb.lmer(FIT, small(), weights=first_where(np.nan, N))
    assert weighted.nobs == N - 1


def test_two_names_of_one_factor_are_a_finding():
    data = small(h=small().g.map(dict(zip("abcdef", "uvwxyz", strict=True))))
    with pytest.warns(hb.DesignWarning, match="not determined by the data one by one"):
        twice = hb.lmer("y ~ x + (1 | g) + (1 | h)", data)
    once = hb.lmer(FIT, data)
    assert twice.criterion == pytest.approx(once.criterion, abs=1e-6)
    assert twice.varcorr().to_frame()["vcov"].iloc[:2].isna().all()
    assert twice.sigma == pytest.approx(once.sigma, rel=1e-6)
    assert twice.beta == pytest.approx(once.beta, rel=1e-6)


def test_a_constant_slope_is_a_finding():
    with pytest.warns(hb.DesignWarning, match="not determined by the data"):
        hb.lmer("y ~ 1 + (k | g)", small(k=3.0))


def test_a_constant_predictor_is_dropped_and_named():
    with pytest.warns(hb.RankDeficientWarning, match="column k is determined by the columns"):
        dropped = hb.lmer("y ~ k + (1 | g)", small(k=3.0))
    assert np.isnan(dropped.fixef()["k"])


def test_known_sds_allow_a_perfect_fixed_part():
    with pytest.warns(hb.BoundaryWarning):
        known = hb.lmer(FIT, small(y=1 + 2 * small().x), known_sd=1.0)
    assert known.fixef().to_list() == pytest.approx([1, 2])


def test_a_factor_of_many_levels_in_the_fixed_part_is_warned_of_before_the_wait():
    rng = np.random.default_rng(1)
    n = 2_200
    data = pd.DataFrame({"y": rng.normal(size=n), "f": np.repeat(np.arange(n // 2), 2).astype(str)})
    with pytest.warns(hb.DesignWarning, match="has 1100 columns, so this fit takes long"):
        fit = hb.lmer("y ~ f", data)
    assert fit.beta.size == 1_100


def test_no_missing_value_reaches_a_result_of_a_good_fit(fit):
    assert np.isfinite(fit.fitted()).all()
    assert np.isfinite(fit.vcov().to_numpy()).all()
    assert not fit.findings
