"""The printed summary is lme4's, line for line; what follows it are our own findings."""

from types import SimpleNamespace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.render.html import fragment
from hierbayes.reports import summary
from hierbayes.reports.summary import summary_blocks, summary_text
from hierbayes.results.finding import Finding
from tests.model.fits import lmer
from tests.reference_fits import linear_fits, load_fit
from tests.reports.stand_ins import least_squares_fit, printed_by_r, reference_fit, stripped

# Fits whose summary can't be printed as lme4 prints it, with the reason. None.
OTHERWISE: dict[str, str] = {}
FIRST_OF_THE_OPTIMIZER = "optimizer ("


def printed_by_lme4(fit_id):
    """The summary without what our fits don't know: the optimizer's lines and a subset."""
    lines = stripped(load_fit(fit_id).record["printed_summary"])
    own = [i for i, line in enumerate(lines) if line.startswith(FIRST_OF_THE_OPTIMIZER)]
    lines = lines[: own[0]] if own else lines
    return [line for line in lines if not line.startswith(" Subset:")]


def lme4_part(text):
    return stripped(text.split("\n\nFindings:")[0])


def findings_part(text):
    _, _, findings = text.partition("\n\nFindings:\n")
    return findings


@pytest.mark.parametrize("fit_id", linear_fits(without=tuple(OTHERWISE)))
def test_summary_is_lme4s_line_for_line(fit_id):
    assert lme4_part(summary_text(reference_fit(fit_id))) == printed_by_lme4(fit_id)


def with_tests():
    """Ids of fits for which lmerTest printed a summary."""
    for fit_id in linear_fits():
        if "printed_satterthwaite" in load_fit(fit_id).record.get("inference", {}):
            yield fit_id


def lmertest_of(fit_id):
    """The tests of the coefficients that lmerTest printed."""
    columns = load_fit(fit_id).record["inference"]["satterthwaite"]["columns"]
    names = ("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)")
    fields = ("estimate", "std_error", "df", "statistic", "p_value")
    values = {f: np.array(columns[n], dtype=float) for f, n in zip(fields, names, strict=True)}
    return SimpleNamespace(**values, notes=())


@pytest.mark.parametrize("fit_id", list(with_tests()))
def test_the_table_with_degrees_of_freedom_is_lmertests(fit_id, monkeypatch):
    tests = lmertest_of(fit_id)
    monkeypatch.setattr(summary, "coefficient_tests", lambda fit, ddf: tests)
    printed = stripped(load_fit(fit_id).record["inference"]["printed_satterthwaite"])
    text = stripped(summary_text(reference_fit(fit_id), ddf="satterthwaite"))
    start = printed.index("Fixed effects:")
    own = [i for i, line in enumerate(printed) if line.startswith(FIRST_OF_THE_OPTIMIZER)]
    end = own[0] if own else len(printed)
    first = text.index("Fixed effects:")
    assert text[first : first + end - start] == printed[start:end]
    by = "REML" if load_fit(fit_id).reml else "maximum likelihood"
    assert text[0] == f"Linear mixed model fit by {by}. t-tests use Satterthwaite's method"


def test_p_values_are_shown_only_when_asked_for():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    assert fit.summary() == fit.summary(ddf="none") == str(fit)
    assert "Pr(>" not in fit.summary()
    for ddf, row in (
        ("satterthwaite", "Days 10.467 1.546 17.000 6.771 3.26e-06 ***"),
        ("kenward-roger", "Days 10.467 1.546 17.000 6.771 3.26e-06 ***"),
        ("normal", "Days 10.467 1.546 6.771 1.27e-11 ***"),
    ):
        lines = [" ".join(line.split()) for line in fit.summary(ddf=ddf).splitlines()]
        assert row in lines
        html = fragment(summary_blocks(fit, ddf=ddf))
        for cell in row.split()[1:]:
            assert f">{cell}<" in html
    with pytest.raises(hb.OptionError, match="ddf='kr' is not one of"):
        fit.summary(ddf="kr")


def test_kenward_roger_shows_its_own_standard_errors():
    case = load_fit("ss_na")
    fit = lmer(case.formula, case.data)
    columns = case.record["inference"]["kenward_roger"]["columns"]
    line = next(x for x in fit.summary(ddf="kenward-roger").splitlines() if x.startswith("Days"))
    assert float(line.split()[2]) == pytest.approx(columns["Std. Error"][1], abs=6e-4)
    assert float(line.split()[3]) == pytest.approx(columns["df"][1], abs=6e-4)


def test_the_optimizer_is_not_mentioned():
    assert "optimizer" not in summary_text(reference_fit("dye2_reml"))


@pytest.mark.parametrize("case", printed_by_r()["linear"], ids=lambda c: c["call"])
def test_summary_without_random_effects_is_lms(case):
    text = summary_text(least_squares_fit(case))
    printed = stripped(case["printed"])
    assert lme4_part(text) == printed[:-1]  # R ends with a blank line


def test_findings_come_last_wrapped_to_the_line():
    fit = reference_fit("dye2_reml")
    fit.findings = (
        Finding(
            "boundary",
            "The between-Batch sd is estimated as zero.",
            "The batches differ no more than chance alone would make them differ; this is an "
            "estimate on the boundary, not a failed fit.",
        ),
    )
    lines = summary_text(fit).split("\n")
    block = lines[lines.index("Findings:") :]
    assert lines[lines.index("Findings:") - 1] == ""
    assert block[1].startswith("- The between-Batch sd is estimated as zero. The batches")
    assert len(block) == 4
    assert all(line.startswith("  ") for line in block[2:])
    assert max(map(len, block)) <= 80


def test_rows_dropped_are_counted_by_column():
    fit = reference_fit("ss_na")
    fit.n_rows_given, fit.rows_dropped = 180, {"Reaction": 4, "Days": 1, "Subject": 1}
    said = " ".join(findings_part(summary_text(fit)).split())
    assert said == (
        "- 6 of 180 rows were dropped for missing values (missing by column: Reaction 4, Days 1, "
        "Subject 1)."
    )


def test_one_row_dropped_reads_as_one():
    fit = reference_fit("ss_max_reml")
    fit.n_rows_given, fit.rows_dropped = 181, {"Reaction": 1, "Days": 0}
    assert "1 of 181 rows was dropped for missing values" in summary_text(fit)


def test_a_finding_about_dropped_rows_is_not_repeated():
    fit = reference_fit("ss_na")
    fit.n_rows_given, fit.rows_dropped = 180, {"Reaction": 6}
    fit.findings = (Finding("rows_dropped", "Six rows have missing values."),)
    assert findings_part(summary_text(fit)) == "- Six rows have missing values."


def test_many_coefficients_hide_their_correlations_and_say_so():
    fit = reference_fit("cake_doc_reml")
    text = summary_text(fit)
    assert "Correlation of Fixed Effects:" not in text
    assert "p = 18 > 12" in findings_part(text)
    shown = summary_text(fit, correlation=True)
    assert "Correlation of Fixed Effects:" in shown
    assert "Findings:" not in shown


def test_correlations_can_be_left_out():
    text = summary_text(reference_fit("ss_max_reml"), correlation=False)
    assert text.endswith("Days          10.467      1.546   6.771")


def test_digits_are_those_asked_for():
    # lme4: print(summary(fit), digits = 6)
    text = summary_text(reference_fit("ss_max_reml"), digits=6)
    assert "(Intercept) 251.40510    6.82456 36.83831" in text


def test_no_data_name_no_data_line():
    fit = reference_fit("ss_max_reml")
    fit.data_name = ""
    assert "Data:" not in summary_text(fit)


def test_weights_given_as_an_array_are_named_so():
    fit = reference_fit("ss_wt")
    fit.spec.arguments = SimpleNamespace(weights=[1.0, 2.0], offset=None)
    assert "Weights: (given as an array)" in summary_text(fit)


def test_ml_without_random_effects_says_what_its_standard_errors_are():
    fit = least_squares_fit(printed_by_r()["linear"][0])
    fit.method = "ml"
    assert "divided by the number of rows" in " ".join(findings_part(summary_text(fit)).split())


def test_several_columns_dropped():
    fit = reference_fit("ss_rankdef")
    fit.dropped_columns = ("a", "b")
    assert "so dropping 2 columns / coefficients" in summary_text(fit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"digits": 0}, "digits=0 must be a whole number from 1 to 17"),
        ({"digits": "4"}, "digits='4' must be a whole number"),
        ({"digits": True}, "digits=True must be a whole number"),
        ({"correlation": "no"}, "correlation='no' must be True"),
    ],
)
def test_options_that_are_none_get_one_sentence(options, words):
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.OptionError, match=words):
        fit.summary(**options)


def test_known_residual_sds_are_named():
    data = hb.load_dataset("eight_schools")
    for given, words in (("se", "se"), (data["se"].to_numpy(), "(given as an array)")):
        fit = lmer("effect ~ 1 + (1 | school)", data, known_sd=given)
        assert f"Known sd: {words}" in fit.summary()
