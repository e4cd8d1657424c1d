"""Responses that can't come from a family, and links that can't be: one sentence for all paths."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

RNG = np.random.default_rng(1)
N = 80
G, X = np.repeat([f"g{i}" for i in range(10)], 8), np.tile(np.linspace(-1, 1, 8), 10)
COUNTS, BINARY, THREE = RNG.poisson(3, N), RNG.integers(0, 2, N), RNG.integers(0, 3, N)
SHARES, POSITIVE = RNG.random(N), RNG.gamma(2, 1, N)
FIRST = np.arange(N) == 3


def ordered(codes, names: str, is_ordered: bool = True) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, list(names), ordered=is_ordered)


def case(sentence: str, y, family: str, response: str = "y", **options):
    columns = y if isinstance(y, dict) else {"y": y}
    shown = f"{family}, {sentence[:40]}"
    return pytest.param(sentence, columns, family, response, options, id=shown)


NEGATIVE = "needs whole numbers of at least 0; row 3 holds -1"
CASES = [
    *(
        case(NEGATIVE, np.where(FIRST, -1, COUNTS), family)
        for family in (
            "poisson", "negativebinomial", "zero_inflated_poisson", "hurdle_poisson",
            "zero_inflated_negativebinomial", "hurdle_negativebinomial",
        )
    ),
    case("needs whole numbers", COUNTS + 0.5, "poisson"),
    case("infinite value in row 3", np.where(FIRST, np.inf, COUNTS), "poisson"),
    case("is 0 in all 80 rows", np.zeros(N), "zero_inflated_poisson"),
    case("is 3 in all 80 rows", np.full(N, 3), "negativebinomial"),
    case("is missing in all 80 rows", np.full(N, np.nan), "poisson"),
    case("dates or times", pd.date_range("2020", periods=N), "poisson"),
    case("without weights a binomial response is 0 or 1", SHARES, "binomial"),
    case("without weights a binomial response is 0 or 1", SHARES, "beta_binomial"),
    case("needs 0 or 1; row 0 holds", SHARES, "bernoulli"),
    case("is 0 or 1 .or write cbind", {"s": COUNTS, "n": 20}, "binomial", "s/n"),
    case("is 0 or 1 .or write cbind", BINARY + 1, "binomial"),
    case("needs 0 or 1; row", 2 * BINARY - 1, "bernoulli"),
    case("whole numbers of trials", {"y": SHARES, "n": SHARES * 9}, "binomial", weights="n"),
    case("times its weight", {"y": SHARES, "n": 3}, "binomial", weights="n"),
    case("are zero", {"y": BINARY, "n": np.where(FIRST, 0, 4)}, "binomial", weights="n"),
    case("are negative", {"y": BINARY, "n": np.where(FIRST, -4, 4)}, "binomial", weights="n"),
    case("a proportion from 0 to 1", {"y": 1 + SHARES, "n": 4}, "binomial", weights="n"),
    case("row . holds .* and -", {"s": COUNTS, "n": 2}, "binomial", "cbind(s, n - s)"),
    case("holds 2.5 and 2", {"s": 2.5, "f": 2}, "binomial", "cbind(s, f)"),
    case("no trial in any of the 80 rows", {"s": 0, "f": 0}, "binomial", "cbind(s, f)"),
    case("has 3 columns", {"s": 1, "f": 2, "h": 3}, "binomial", "cbind(s, f, h)"),
    case("for binomial models", {"s": COUNTS, "f": 2}, "poisson", "cbind(s, f)"),
    case("cbind already says", {"s": COUNTS, "f": 2}, "binomial", "cbind(s, f)", weights="f"),
    case("Write cbind.k, n - k.", {"s": COUNTS, "f": 2}, "binomial", "p(s, f)"),
    case("Write cbind.successes", {"s": COUNTS, "f": 2}, "binomial", "s | trials(f)"),
    case("is 0 in all 80 rows", np.zeros(N), "bernoulli"),
    case("is 'yes' in every row", ["yes"] * N, "binomial"),
    case("is 'a' in every row", ordered(np.zeros(N, int), "ab"), "bernoulli"),
    case("A binomial response has two", list("abcd" * 20), "binomial"),
    case("For a yes/no response write", list("ab" * 40), "poisson"),
    case('response of family="cumulative"', ordered(THREE, "abc"), "binomial"),
    case('response of family="cumulative"', ordered(THREE, "abc"), "gaussian"),
    case("no row in category 'b'", ordered(np.where(THREE == 1, 3, THREE), "abcd"), "cumulative"),
    case("no row in category 'd'", ordered(THREE, "abcd"), "sratio"),
    case("no row in category '1'", np.where(THREE == 1, 4, THREE), "cumulative"),
    case("categories without an order", ordered(THREE, "abc", is_ordered=False), "cumulative"),
    case("categories without an order", ["abc"[k] for k in THREE], "sratio"),
    case("needs categories 1, 2, 3", SHARES, "cumulative"),
    case("is 'a' in every row", ordered(np.zeros(N, int), "a"), "cumulative"),
    case("few, repeated categories", np.arange(N), "cumulative"),
    case(
        "thresholds in the place of an intercept", THREE + 1, "cumulative",
        priors={"(Intercept)": hb.Normal(0, 2)},
    ),
    case("one side only", THREE + 1, "cumulative", priors={"threshold": hb.HalfNormal(2)}),
    *(
        case(f"needs positive numbers; row 3 holds {low}", np.where(FIRST, low, POSITIVE), family)
        for family in ("gamma", "wald", "lognormal", "weibull", "exponential")
        for low in (0, -2)
    ),
    *(
        case(f"neither 0 nor 1; row 3 holds {end:g}", np.where(FIRST, end, SHARES), "beta")
        for end in (0.0, 1.0, 1.7)
    ),
    case("angles between -pi and pi", 360 * SHARES, "vonmises"),
    case("numbers of at least 0", -SHARES, "hurdle_gamma"),
    *(
        case(f"family='{family}' has the links", BINARY, family, link=link)
        for family, link in (
            ("poisson", "logit"), ("binomial", "inverse"), ("gamma", "probit"), ("beta", "log"),
            ("gaussian", "logit"), ("cumulative", "log"), ("negativebinomial", "inverse"),
        )
    ),
    *(
        case(f"did you mean '{meant}'", BINARY, family)
        for family, meant in (
            ("nbinom", "negativebinomial"), ("ordinal", "cumulative"), ("student", "t"),
            ("zip", "zero_inflated_poisson"), ("zinb", "zero_inflated_negativebinomial"),
            ("Gamma", "gamma"), ("inverse.gaussian", "wald"), ("quasipoisson", "poisson"),
        )
    ),
    case("one linear predictor a category", THREE, "categorical"),
    case("did you mean 'logit'", BINARY, "binomial", link="Logit"),
    case("link=3 is not one of", BINARY, "binomial", link=3),
    case("weights with family='poisson'", {"y": COUNTS, "w": 1.0}, "poisson", weights="w"),
    case("only gaussian and t responses", {"y": COUNTS, "w": 1.0}, "poisson", known_sd="w"),
    case(
        "infinite value in row 3", {"y": COUNTS, "e": np.where(FIRST, 0, 1)}, "poisson",
        offset="log(e)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "columns", "family", "response", "options"), CASES)
def test_it_is_one_sentence_for_every_path(sentence, columns, family, response, options):
    data = pd.DataFrame({"g": G, "x": X} | columns)
    with pytest.raises(hb.HierBayesError, match=sentence):
        hb.Model(f"{response} ~ x + (1 | g)", data, family=family, **options)


IMPOSSIBLE = [
    ("binomial", "identity", (X > 0).astype(int), "logit"),
    ("binomial", "log", np.where(X > 0, 1, BINARY), "logit"),
    ("poisson", "identity", np.where(X > 0, 0, COUNTS), "log"),
]


@pytest.mark.parametrize(("family", "link", "y", "other"), IMPOSSIBLE)
def test_links_that_leave_no_likelihood_name_one_that_does(family, link, y, other):
    model = hb.Model("y ~ x + (1 | g)", {"g": G, "x": X, "y": y}, family=family, link=link)
    with pytest.raises(hb.DataError, match=f"cannot be computed.*link='{other}' has no such range"):
        model.fit()
    if link == "log":  # has a posterior, off its maximum
        return
    says = (hb.SamplingError, hb.ConvergenceWarning)  # it finds no posterior, or can't be trusted
    with pytest.raises(says, match=f"take link='{other}', which has one everywhere"):
        model.sample(draws=50, chains=2, random_seed=1, sampler="collapsed")


def test_rows_without_trials_say_nothing():
    s, f = np.where(FIRST, 0, COUNTS), np.where(FIRST, 0, 9 - np.minimum(COUNTS, 9))
    data = pd.DataFrame({"g": G, "x": X, "s": s, "f": f})
    fit = hb.glmer("cbind(s, f) ~ x + (1 | g)", data)
    without = hb.glmer("cbind(s, f) ~ x + (1 | g)", data[~FIRST])
    assert fit.loglik == pytest.approx(without.loglik, abs=1e-9)
    assert np.isnan(fit.residuals("pearson").iloc[3])
    assert fit.residuals("pearson").drop(3).to_numpy() == pytest.approx(
        without.residuals("pearson").to_numpy(), abs=1e-6
    )
