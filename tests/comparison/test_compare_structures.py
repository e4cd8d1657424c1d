"""Structures beside each other: what is put in place, which are nested, what is preferred."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.comparison import structure_verdict
from hierbayes.comparison.pattern_nesting import Columns, place_in_pattern
from hierbayes.comparison.structure_verdict import criteria_sentences
from tests.pattern_models import frame

FORMULA = "y ~ t + (0 + visit | g)"


@pytest.fixture(scope="module")
def model():
    return hb.Model(FORMULA, frame())


@pytest.fixture(scope="module")
def found(model):
    words = ["us", "diag", "cs", "homcs", "ar1", "toep", "none", "homdiag"]
    return hb.compare_structures(model, words, posterior=False)


def test_fits_are_those_of_the_formulas(found):
    written = {
        "us": "(0 + visit | g)", "diag": "(0 + visit || g)", "cs": "cs(0 + visit | g)",
        "homcs": "cs(0 + visit | g, hom = TRUE)", "ar1": "ar1(0 + visit | g)",
        "toep": "toep(0 + visit | g)", "homdiag": "diag(0 + visit | g, hom = TRUE)",
    }  # fmt: skip
    assert found.models["none"] == "y ~ t"
    assert set(found.table.index) == {*written, "none"}
    for name in ("us", "homcs", "diag"):
        own = hb.lmer(f"y ~ t + {written[name]}", frame())
        row = found.table.loc[name]
        assert found.models[name] == own.formula_text
        assert row["criterion"] == pytest.approx(own.criterion, abs=1e-8)
        assert [row["npar"], row["aic"]] == pytest.approx([own.n_params, own.aic])


def test_every_pair_of_nested_models_is_tested_and_no_other(found):
    pairs = set(found.tests[["small", "large"]].itertuples(index=False, name=None))
    below = {
        "homdiag": {"none"},
        "homcs": {"none", "homdiag"},
        "ar1": {"none", "homdiag"},
        "diag": {"none", "homdiag"},
        "cs": {"none", "homdiag", "homcs", "diag"},
        "toep": {"none", "homdiag", "homcs", "ar1", "diag", "cs"},
        "us": {"none", "homdiag", "homcs", "ar1", "diag", "cs", "toep"},
    }
    assert pairs == {(small, large) for large, some in below.items() for small in some}
    assert found.table["against"]["us"] == "toep"
    row = found.table.loc["us"]
    fall = found.table["criterion"]["toep"] - row["criterion"]
    assert row["chisq"] == pytest.approx(max(fall, 0.0), abs=1e-7)


def test_a_variance_at_its_bound_has_no_plain_p(found):
    tests = found.tests.set_index(["small", "large"])
    assert np.isnan(tests["p_mixture"]["diag", "cs"])
    one = tests.loc[[("none", "homdiag")]].iloc[0]
    assert one["p_mixture"] == pytest.approx(one["p_value"] / 2)
    assert np.isnan(tests["p_mixture"]["none", "homcs"])
    notes = " ".join(found.notes)
    assert "of cs against" not in notes and "of us against" not in notes


@pytest.mark.parametrize(
    ("small", "large", "place"),
    [
        ([("one", "us")], "cs", "boundary"),
        ([("one", "us")], "homcs", "boundary"),
        ([("slope", "us")], "homcs", "outside"),
        ([("slope", "us")], "cs", "boundary"),
        ([("all", "us")], "toep", "outside"),
        ([("all", "homdiag")], "homtoep", "interior"),
        ([("one", "us"), ("all", "homdiag")], "homcs", "interior"),
        ([("one", "us"), ("all", "homdiag")], "ar1", "outside"),
        ([("a", "us"), ("b", "us"), ("c", "us")], "hetar1", "interior"),
        ([("a", "us"), ("b", "us"), ("c", "us")], "homcs", "outside"),
        ([("all", "homdiag")], "diag", "interior"),
        ([("all", "cs")], "diag", "outside"),
        ([("a", "us")], "diag", "boundary"),
        ([("turned", "cs")], "cs", "outside"),
        ([("other", "us")], "cs", "outside"),
    ],
)
def test_where_covariances_lie_in_a_pattern(small, large, place):
    Z = np.kron(np.ones((4, 1)), np.eye(3))
    rng = np.random.default_rng(2)
    columns = {
        "one": Z.sum(axis=1, keepdims=True), "slope": Z @ np.array([[1.0], [2.0], [5.0]]),
        "all": Z, "a": Z[:, :1], "b": Z[:, 1:2], "c": Z[:, 2:], "other": rng.normal(size=(12, 1)),
        "turned": Z @ np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]]),
    }  # fmt: skip
    terms = [Columns(columns[name], structure) for name, structure in small]
    assert place_in_pattern(terms, Columns(Z, large)) == place


def test_posteriors_are_compared_where_they_are_cheap():
    sleep = hb.load_dataset("sleepstudy")
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    own = fit.model.sample(draws=100, random_seed=1)
    found = hb.compare_structures(
        fit, {"full": own, "intercepts": ". ~ . - (Days | Subject) + (1 | Subject)"}, random_seed=2
    )
    row = found.table.loc["full"]
    assert row["log_marginal_likelihood"] == own.log_marginal_likelihood
    assert row["elpd"] == pytest.approx(hb.loo(own).elpd)
    assert found.table["elpd_diff"]["full"] == 0
    assert row["p_mixture"] == hb.anova(fit, fit.update(found.models["intercepts"]),
                                        refit=False).table["p_mixture"].iloc[1]  # fmt: skip
    assert found.verdict[0] == "AIC, BIC and the marginal likelihood prefer full."
    assert "full predicts best" in found.verdict[-1]


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")  # two levels
def test_terms_are_named_by_their_factor_and_arguments_by_theirs():
    sleep = hb.load_dataset("sleepstudy")
    sleep["half"] = (sleep.Days > 4).astype(str)
    sleep["w"] = np.where(sleep.Days > 4, 0.5, 1.0)
    model = hb.Model("Reaction ~ Days + (1 | half) + (1 | Subject/half)", sleep)
    found = hb.compare_structures(
        model,
        [{"half:Subject": "none"}, {"weights": "w"}, {"Subject": "none", "weights": "w"}],
        method="ml",
        posterior=False,
    )
    assert found.models["half:Subject = none"] == "Reaction ~ Days + (1 | half) + (1 | Subject)"
    weighted = hb.lmer(model.formula_text, sleep, reml=False, weights="w")
    assert found.table["criterion"]["weights = w"] == pytest.approx(weighted.criterion, abs=1e-7)
    assert found.models["weights = w"].endswith(", weights = w")
    small = found.tests.set_index("large")["small"]
    assert "weights = w" not in small["model"]
    assert small["weights = w"] == "Subject = none, weights = w"


def test_structures_of_the_residuals_hold_plain_ones():
    model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    residual = {"residual": "ar1(Days | Subject)"}
    found = hb.compare_structures(
        model,
        {"ar1": residual, "both": residual | {"sigma": "~ Days"}, "other": {"sigma": "~ Days"}},
        posterior=False,
    )
    own = hb.lmer(model.formula_text, hb.load_dataset("sleepstudy"), **residual)
    assert found.table["criterion"]["ar1"] == pytest.approx(own.criterion, abs=1e-8)
    pairs = set(found.tests[["small", "large"]].itertuples(index=False, name=None))
    assert ("model", "ar1") in pairs and ("other", "both") in pairs
    assert ("ar1", "other") not in pairs and ("other", "ar1") not in pairs


def test_other_fixed_parts_are_compared_by_ml():
    dye = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    dye_half = hb.load_dataset("Dyestuff").assign(x=np.arange(30) % 2)
    model = hb.Model("Yield ~ 1 + (1 | Batch)", dye_half)
    found = hb.compare_structures(model, [". ~ . + x"], posterior=False)
    assert found.refitted
    assert "all are fitted by ML" in str(found)
    assert found.table["criterion"]["model"] == pytest.approx(dye.with_method("ml").criterion)


def test_words_say_how_clear_it_is():
    import pandas as pd

    table = pd.DataFrame(
        {"aic": [10.0, 11.0], "bic": [10.0, 30.0], "log_marginal_likelihood": [-30.0, -12.0]},
        index=["cs", "us"],
    )
    assert criteria_sentences(table) == [
        "AIC and BIC prefer cs, the marginal likelihood us.",
        "By AIC us is 1.0 behind cs: the data hardly tell them apart.",
        "By BIC us is 20.0 behind cs: very strong evidence for cs.",
        "The Bayes factor of us against cs is 10^8: very strong evidence for us.",
    ]
    assert structure_verdict.tests_sentence(
        [("us", "cs", 0.0001), ("cs", "diag", 0.2), ("ar1", "x", np.nan)]
    ) == (
        "By likelihood ratio us fits better than cs (p < 0.001); cs does not clearly fit better "
        "than diag (p = 0.200)."
    )


@pytest.mark.parametrize(
    ("formula", "structures", "error", "words"),
    [
        (FORMULA, "cs", hb.OptionError, "must be a list"),
        (FORMULA, [], hb.OptionError, "must be a list"),
        (FORMULA, ["csh"], hb.OptionError, "'csh' is no covariance of random effects"),
        (FORMULA, ["us(hom = TRUE)"], hb.OptionError, "is no covariance"),
        (FORMULA, [3], hb.OptionError, "3 can't be put in place"),
        (FORMULA, ["cs", "cs"], hb.OptionError, "has 'cs' twice"),
        (FORMULA, ["us"], hb.OptionError, "other than the model's own"),
        (FORMULA, [{"gg": "cs"}], hb.OptionError, "'gg' is no grouping factor"),
        (FORMULA, [{"g": 2}], hb.OptionError, "2 is no covariance"),
        ("y ~ t", ["cs"], hb.OptionError, "has no random effects"),
        ("y ~ (t | g) + (t | h)", ["cs"], hb.OptionError, "Say which, as in"),
        ("y ~ t + (1 | g)", ["y ~ t + (1 | nobody)"], hb.DataError, "nobody"),
    ],
)
def test_a_wrong_request_gets_a_sentence(formula, structures, error, words):
    with pytest.raises(error, match=words):
        hb.compare_structures(hb.Model(formula, frame()), structures, posterior=False)


def test_correlations_of_residuals_are_put_in_place_by_their_text():
    model = hb.Model("distance ~ age * Sex", hb.load_dataset("Orthodont"))
    terms = ["us(age | Subject)", "cs(1|Subject)", "car1(age | Subject)"]
    found = hb.compare_structures(model, terms, posterior=False)
    assert set(found.table.index) == {"model", *terms}
    assert found.table.against[terms].tolist() == ["cs(1|Subject)", "model", "model"]
    pairs = set(found.tests[["small", "large"]].itertuples(index=False, name=None))
    assert ("car1(age | Subject)", "us(age | Subject)") in pairs
    assert not {("cs(1|Subject)", "car1(age | Subject)")} & pairs
    own = hb.lmer(model.formula_text, hb.load_dataset("Orthodont"), residual="cs(1 | Subject)")
    assert found.table.aic["cs(1|Subject)"] == pytest.approx(own.aic, abs=1e-7)
    with pytest.raises(hb.OptionError, match="as residual= has them, "):
        hb.compare_structures(model, ["cs"])
