"""Likelihood-ratio tables: lme4's numbers and print, and comparisons that are refused."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from tests.model.fits import grouped, lmer, quietly
from tests.reference_fits import FOLDER, load_fit, load_reference

# The cbpp tables are of generalized models, which this version does not fit.
TESTS = sorted(
    path.stem for path in (FOLDER / "lrt").glob("*.json") if not path.stem.startswith("lrt_cbpp")
)
COLUMNS = {
    "npar": "npar", "aic": "AIC", "bic": "BIC", "loglik": "logLik", "deviance": "deviance",
    "chisq": "Chisq", "df": "Df", "p_value": "Pr(>Chisq)",
}  # fmt: skip
# Both sides stop near their optimum: criteria agree to 1e-6, chi-squared to twice that, and the
# p-value of a chi-squared of 400 has a relative error of half the error of the chi-squared.
ATOL = 1e-5
P_RTOL = 1e-4


def reference_pair(record, *, reml=False):
    """Fit the two models of a reference test, which may be written in terms of ``||``."""
    reference = load_fit(record["small"])
    formulas = [
        record["small_formula"].replace(
            "((1 | Subject) + (0 + Days | Subject))", "(Days || Subject)"
        ),
        record["large_formula"],
    ]
    return [lmer(formula, reference.data, reml=reml) for formula in formulas]  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("reml", [False, True])
def test_tables_are_those_of_lme4(name, reml):
    record = load_reference(f"lrt/{name}")
    small, large = reference_pair(record, reml=reml)
    expected = record["table"]
    table = quietly(hb.anova, small, large, names=tuple(expected["rows"]))
    assert table.refitted == reml
    frame = table.to_frame()
    assert frame.index.tolist() == expected["rows"]
    for column, r_name in COLUMNS.items():
        values = [np.nan if v is None else v for v in expected["columns"][r_name]]
        assert frame[column].to_numpy() == pytest.approx(
            np.array(values, dtype=float), abs=0 if column == "p_value" else ATOL,
            rel=P_RTOL if column == "p_value" else 0, nan_ok=True,
        )  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_the_print_is_that_of_lme4(name):
    record = load_reference(f"lrt/{name}")
    small, large = reference_pair(record)
    table = hb.anova(small, large, names=tuple(record["table"]["rows"]))
    printed = [line.rstrip() for line in str(table).splitlines()]
    expected = [line.rstrip() for line in record["printed"]]
    assert printed[: len(expected)] == expected
    # below it a sentence, where one variance is dropped, on the p that lme4 leaves too large
    assert (len(printed) > len(expected)) == bool(table.mixtures)


def test_the_order_given_does_not_matter():
    small, large = lmer("y ~ 1 + (1 | g)", grouped()), lmer("y ~ x + (x | g)", grouped())
    middle = lmer("y ~ x + (1 | g)", grouped())
    table = quietly(hb.anova, large, small, middle)
    assert table.to_frame().index.tolist() == ["m.2", "m.3", "m.1"]
    assert table.to_frame()["df"].tolist()[1:] == [1, 2]
    assert list(table.models.values()) == ["y ~ 1 + (1 | g)", "y ~ x + (1 | g)", "y ~ x + (x | g)"]


def test_fits_without_bars_take_part():
    flat, bars = lmer("y ~ x", grouped()), lmer("y ~ x + (1 | g)", grouped())
    frame = quietly(hb.anova, flat, bars).to_frame()
    assert frame["df"].iloc[1] == 1
    assert frame["chisq"].iloc[1] == pytest.approx(
        flat.with_method("ml").criterion - bars.with_method("ml").criterion
    )


def test_ml_fits_are_taken_as_they_are():
    small, large = (lmer(f"y ~ {x} + (1 | g)", grouped(), reml=False) for x in ("1", "x"))
    table = hb.anova(small, large)
    assert not table.refitted
    assert "refitting" not in str(table)
    assert table.to_frame()["loglik"].tolist() == [small.loglik, large.loglik]


def test_reml_fits_of_one_fixed_part_compare_without_refitting():
    small, large = (lmer(f"y ~ x + {bar}", grouped()) for bar in ("(1 | g)", "(x | g)"))
    table = hb.anova(small, large, refit=False)
    assert not table.refitted
    assert table.to_frame()["chisq"].iloc[1] == pytest.approx(small.criterion - large.criterion)


def test_the_name_of_the_data_is_printed(sleepstudy):
    fits = [lmer(f"Reaction ~ {x} + (1 | Subject)", sleepstudy, reml=False) for x in ("1", "Days")]
    assert "Data: sleepstudy" in str(hb.anova(*fits))


REFUSED = {
    "none": (lambda a, b: hb.anova(), hb.OptionError, "anova needs a fit, for F tests of its"),
    "a list": (
        lambda a, b: hb.anova([a, b]),
        hb.OptionError,
        "anova takes the fits one by one, anova(small, large), not as a list.",
    ),
    "a number": (lambda a, b: hb.anova(a, 3), hb.OptionError, "fits of hb.lmer; it got int."),
    "None": (lambda a, b: hb.anova(None), hb.OptionError, "fits of hb.lmer; it got NoneType."),
    "unknown type": (lambda a, b: hb.anova(a, type=7), hb.OptionError, "type=7 is not one of 1, 2"),
    "type of text": (lambda a, b: hb.anova(a, type="III"), hb.OptionError, "type='III' is not one"),
    "unknown ddf": (lambda a, b: hb.anova(a, ddf="kr"), hb.OptionError, "ddf='kr' is not one of"),
    "type of several": (lambda a, b: hb.anova(a, b, type=3), hb.OptionError, "F tests of the term"),
    "ddf of several": (
        lambda a, b: hb.anova(a, b, ddf="satterthwaite"),
        hb.OptionError,
        "2 fits are compared by likelihood-ratio tests. Leave them out, or give one fit.",
    ),
    "names of one": (lambda a, b: hb.anova(a, names=("a",)), hb.OptionError, "this is one fit."),
    "Kenward-Roger by ML": (
        lambda a, b: hb.anova(b.with_method("ml"), ddf="kenward-roger"),
        hb.NotSupportedError,
        "ddf='kenward-roger' is defined for REML fits and this fit is by ML.",
    ),
    "short names": (
        lambda a, b: hb.anova(a, b, names=("a",)),
        hb.OptionError,
        "names=('a',) must be 2 different names, one a fit.",
    ),
    "one text for names": (lambda a, b: hb.anova(a, b, names="ab"), hb.OptionError, "names='ab'"),
    "same names": (lambda a, b: hb.anova(a, b, names=["a", "a"]), hb.OptionError, "2 different"),
    "numbers for names": (lambda a, b: hb.anova(a, b, names=(1, 2)), hb.OptionError, "names=(1, 2"),
    "a number for names": (lambda a, b: hb.anova(a, b, names=3), hb.OptionError, "names=3 must be"),
    "refit of text": (
        lambda a, b: hb.anova(a, b, refit="no"),
        hb.OptionError,
        "refit='no' must be True (fit REML fits again with ML) or False.",
    ),
    "rows": (
        lambda a, b: hb.anova(a, lmer("y ~ 1 + (1 | g)", grouped().iloc[3:])),
        hb.DataError,
        "The fits used different rows (",
    ),
    "response": (
        lambda a, b: hb.anova(a, lmer("z ~ 1 + (1 | g)", grouped())),
        hb.DataError,
        "The fits have different responses (y and z), so their likelihoods do not compare.",
    ),
    "transformed response": (
        lambda a, b: hb.anova(a, lmer("log(y + 99) ~ 1 + (1 | g)", grouped())),
        hb.DataError,
        "(y and log(y + 99))",
    ),
    "response of a refit": (
        lambda a, b: hb.anova(a, b.refit(grouped()["y"] + grouped()["o"])),
        hb.DataError,
        "different responses",
    ),
    "REML of other fixed parts": (
        lambda a, b: hb.anova(a, b, refit=False),
        hb.DataError,
        "The REML criteria of models with different fixed parts do not compare",
    ),
    "REML and ML as they are": (
        lambda a, b: hb.anova(a, b.with_method("ml"), refit=False),
        hb.DataError,
        "Some fits are by REML, others by ML, which do not compare. Leave refit=True",
    ),
}


@pytest.mark.parametrize(("call", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_compare_is_refused(call, error, words):
    small, large = (lmer(f"y ~ {x} + (1 | g)", grouped()) for x in ("1", "x"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            call(small, large)
    assert words in str(caught.value)


def test_same_size_has_no_p_value():
    one, other = (lmer(f"y ~ {x} + (1 | g)", grouped(), reml=False) for x in ("x", "z"))
    frame = hb.anova(one, other).to_frame()
    assert frame["df"].iloc[1] == 0
    assert np.isnan(frame["p_value"].iloc[1])


def test_the_mixture_stands_beside_the_plain_p_where_one_variance_is_dropped(sleepstudy):
    fits = [
        hb.lmer(f"Reaction ~ Days + {random}", sleepstudy)
        for random in ("(1 | Subject)", "(Days || Subject)", "(Days | Subject)")
    ]
    table = hb.anova(*fits)
    frame = table.to_frame()
    assert frame["p_mixture"].iloc[1] == pytest.approx(frame["p_value"].iloc[1] / 2)
    assert frame["p_mixture"].isna().tolist() == [True, False, True]  # a correlation is no variance
    assert table.mixtures == {"m.2": "1/2 chi2(0) + 1/2 chi2(1)"}
    text = " ".join(str(table).split())
    assert "m.1 sets one variance of m.2 to zero" in text
    assert "under 1/2 chi2(0) + 1/2 chi2(1) it is 4.391e-11" in text
    assert "m.1 sets one variance" in table._repr_html_()


def test_nothing_is_said_of_a_mixture_where_no_variance_is_dropped(sleepstudy):
    small = hb.lmer("Reaction ~ Days + (Days || Subject)", sleepstudy)
    large = hb.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    table = hb.anova(small, large)
    assert table.mixtures == {}
    assert "variance" not in str(table)


@pytest.mark.parametrize(
    ("small", "large", "options", "why"),
    [
        ("Days + (1 | Subject)", "odd + (Days | Subject)", {}, "fixed part"),
        ("Days + (1 | Subject)", "Days + (0 + Days + I(Days^2) | Subject)", {}, "random effects"),
        ("Days + (1 | Subject)", "Days + (Days | Subject)", {"weights": "w"}, "different weights"),
    ],
)
def test_models_that_are_not_nested_have_no_p_and_a_sentence(
    sleepstudy, small, large, options, why
):
    data = sleepstudy.assign(w=np.linspace(0.5, 2, len(sleepstudy)), odd=sleepstudy.Days % 2)
    a = hb.lmer(f"Reaction ~ {small}", data)
    b = quietly(hb.lmer, f"Reaction ~ {large}", data, **options)
    table = hb.anova(a, b)
    assert np.isnan(table.to_frame()["p_value"].iloc[1])
    assert "m.1 is not a special case of m.2" in " ".join(str(table).split())
    assert why in table.notes[0]


def test_weights_of_one_and_offsets_of_zero_are_none(sleepstudy):
    data = sleepstudy.assign(one=1.0, zero=0.0)
    small = hb.lmer("Reaction ~ 1 + (1 | Subject)", data, weights="one")
    large = hb.lmer("Reaction ~ Days + offset(zero) + (1 | Subject)", data)
    assert not hb.anova(small, large).notes


def test_nested_models_are_not_taken_for_others(sleepstudy):
    data = sleepstudy.assign(half=sleepstudy.Days.gt(4).astype(str))
    small = "0 + (1 | Subject)", "1 + (1 | Subject)", "Days + (Days || Subject)"
    large = "0 + Days + (1 | Subject)", "1 + (0 + half | Subject)", "Days * half + (Days | Subject)"
    for a, b in zip(small, large, strict=True):
        table = hb.anova(*(quietly(hb.lmer, f"Reaction ~ {text}", data) for text in (a, b)))
        assert not table.notes
        assert table.to_frame()["p_value"].notna().iloc[1]
