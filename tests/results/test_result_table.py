"""A table of results is a DataFrame that prints whole and keeps what is said of its numbers."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.results import verbs
from hierbayes.results.result_table import ResultTable, result_table
from hierbayes.results.table_pictures import ANY, INSTEAD


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def table(fit):
    return hb.confint(fit)


def tables_of(fit):
    effects = fit.ranef()
    return {
        "confint": hb.confint(fit),
        "tidy": fit.tidy(),
        "glance": fit.glance(),
        "augment": fit.augment(),
        "vcov": fit.vcov(),
        "ranef": effects["Subject"],
        "ranef_sd": fit.ranef_sd()["Subject"],
        "coef": fit.coef()["Subject"],
        "varcorr": fit.varcorr().to_frame(),
        "contrast": fit.contrast("Days"),
        "f_tests": hb.anova(fit).to_frame(),
        "variance_explained": hb.r2(fit).to_frame(),
    }


def test_every_table_of_a_fit_is_one_and_knows_where_it_is_from(fit):
    for origin, found in tables_of(fit).items():
        assert isinstance(found, pd.DataFrame)
        assert isinstance(found, ResultTable)
        assert found.origin == origin


@pytest.mark.parametrize("form", ["to_html", "to_markdown", "to_latex"])
def test_every_table_of_a_fit_is_written_without_other_packages(fit, form):
    for found in (*tables_of(fit).values(), fit.ranef(), fit.varcorr(), hb.anova(fit)):
        assert len(getattr(found, form)()) > 20


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 240])
def test_limits_are_printed_at_any_width_of_the_terminal(fit, width):
    with pd.option_context("display.width", width, "display.max_columns", 0):
        for found in (hb.confint(fit), fit.tidy()):
            text = repr(found)
            assert "..." not in text
            for name in found.columns:
                assert name in text


def test_reasons_for_missing_limits_are_said_in_every_format(table):
    for text in (str(table), table.to_html(), table.to_markdown(), table.to_latex()):
        assert "symmetric, unbounded estimate" in " ".join(text.split())


def test_a_reason_is_said_for_rows_that_are_there_only(table):
    assert "Wald interval assumes" not in str(table.loc[["Days"]])
    assert "sigma: a" in str(table.loc[["sigma", "Days"]])


def test_what_is_taken_merged_copied_or_pickled_is_a_table_again(table):
    taken = table.loc[["Days"], ["estimate", "lower"]]
    merged = table.merge(pd.DataFrame({"known": [10.0]}, index=["Days"]), left_index=True,
                         right_index=True)  # fmt: skip
    for found in (taken, table.round(2), table.sort_values("estimate"), copy.deepcopy(table),
                  pickle.loads(pickle.dumps(table))):  # fmt: skip
        assert type(found) is ResultTable
        assert (found.origin, found.attrs) == ("confint", table.attrs)
    assert type(merged) is ResultTable
    assert merged.columns.tolist() == ["estimate", "lower", "upper", "known"]
    assert isinstance(table["estimate"], pd.Series)
    assert type(table.to_pandas()) is pd.DataFrame
    pd.testing.assert_frame_equal(table.to_pandas(), pd.DataFrame(table))


def test_numbers_have_the_decimals_of_their_standard_error():
    columns = {"estimate": [251.405105, 0.0123456, 3.14159], "std_error": [6.8245, 0.00234, np.nan]}
    found = result_table(columns, "tidy", index=["a", "b", "c"])
    rows = found.to_markdown().splitlines()[2:]
    assert rows == ["| a | 251.41 | 6.82 |", "| b | 0.01235 | 0.00234 |", "| c | 3.142 | NA |"]
    assert found.to_markdown(digits=1).splitlines()[2] == "| a | 251 | 7 |"


def test_what_was_rounded_stays_as_it_was_rounded(table):
    row = table.loc[["Days"]].round(1).to_markdown().splitlines()[2]
    assert row == "| Days | 10.5 | 7.4 | 13.5 |"


def test_small_p_values_are_bounded_and_columns_without_a_value_left_out(fit):
    text = fit.tidy("fixed").to_markdown()
    assert "| \\<0.001 |" in text
    assert "group" not in text


def test_a_long_table_is_cut_in_a_notebook_and_whole_where_it_is_written(fit):
    found = fit.augment()
    assert "180 rows" in found._repr_html_()
    assert found._repr_html_().count("<tr") < 70
    assert found.to_html().count("<tr") == 181


def test_names_are_replaced_by_labels_and_escaped(fit):
    found = fit.tidy("fixed")
    found["term"] = ["<script>alert(1)</script>", "a_b & 5 %"]
    html, latex = found.to_html(labels={"estimate": "Estimate (ms)"}), found.to_latex()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "Estimate (ms)" in html
    assert r"a\_b \& 5 \%" in latex


def test_a_table_without_a_picture_says_which_one_shows_it(fit):
    for found, called in ((fit.ranef()["Subject"], "caterpillar"), (fit.ranef(), "caterpillar"),
                          (fit.augment(), "residuals")):  # fmt: skip
        with pytest.raises(hb.NotSupportedError, match=rf"hb\.plot\.{called}\(fit\)"):
            found.plot()


def test_what_has_no_picture_names_one_that_exists():
    drawn_by_origin = {
        "EmmeansTable", "LevelTables", "MarginalTests", "PredictionTable", "PriorTable",
        "ResultTable", "ShrinkageTable", "ThresholdTable",
    }  # fmt: skip
    fits_and_text = {"LinearFit", "GeneralisedFit", "PosteriorFit", "RichText"}
    alone = {
        name
        for name, answers in verbs.TABLE.items()
        if "blocks" in answers and "picture" not in answers
    }
    assert alone - drawn_by_origin - fits_and_text <= set(INSTEAD)
    for words in (*INSTEAD.values(), ANY):
        assert set(re.findall(r"hb\.plot\.(\w+)", words)) <= set(hb.plot.__all__), words


def test_arguments_of_pandas_get_a_sentence_of_ours(table):
    with pytest.raises(hb.OptionError, match=r"table\.to_latex: .*'index'.*caption="):
        table.to_latex(index=False)
    with pytest.raises(hb.OptionError, match="digits=0 must be"):
        table.to_html(digits=0)
    with pytest.raises(hb.OptionError, match="labels="):
        table.to_html(labels=["a"])
    with pytest.raises(hb.OptionError, match="label="):
        table.to_latex(label="a}b")


def test_files_are_written_whole(table, tmp_path):
    table.to_html(tmp_path / "a.html", caption="Sleep")
    table.to_latex(tmp_path / "a.tex", label="tab:sleep")
    table.to_markdown(tmp_path / "a.md")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "\\label{tab:sleep}" in (tmp_path / "a.tex").read_text(encoding="utf-8")
    assert (tmp_path / "a.md").read_text(encoding="utf-8").endswith("\n")


def test_polars_has_the_names_of_the_rows_as_a_column(fit, table):
    polars = pytest.importorskip("polars")
    found = table.to_polars()
    assert found.columns == ["parameter", "estimate", "lower", "upper"]
    assert found["estimate"].to_list() == table["estimate"].tolist()
    effects = fit.ranef().to_polars()
    assert effects.columns[:2] == ["level", "(Intercept)"]
    assert fit.tidy().to_polars()["group"].dtype == polars.String


def test_a_missing_package_is_named(table, monkeypatch, tmp_path):
    for package, call in (("polars", table.to_polars), ("great_tables", table.to_great_table),
                          ("openpyxl", lambda: table.to_excel(tmp_path / "a.xlsx"))):  # fmt: skip
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(hb.MissingPackageError, match=f"pip install {package}. to_html"):
            call()


def test_a_graph_without_graphviz_names_it(fit, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "graphviz", None)
    with pytest.raises(hb.MissingPackageError, match=r"pip install graphviz\. latex\(\) shows"):
        fit.model.graph()


def test_excel_holds_numbers_in_full_precision_and_the_notes(fit, table, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    found = table.rename(index={"Days": "=1+1"})
    book = openpyxl.load_workbook(found.to_excel(tmp_path / "a.xlsx"))
    sheet, notes = book["table"], book["notes"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("parameter", "estimate", "lower", "upper")
    assert rows[-1][0] == "=1+1"
    assert rows[-1][1:] == pytest.approx(table.loc["Days"].tolist(), rel=1e-15)
    assert sheet.cell(len(rows), 1).data_type == "s"
    assert rows[1][2] is None
    assert "unbounded estimate" in notes.cell(2, 1).value
    book = openpyxl.load_workbook(fit.ranef().to_excel(tmp_path / "b.xlsx"))
    assert book.sheetnames == ["Subject", "notes"]
    with pytest.raises(hb.OptionError, match=r"ends in \.xlsx"):
        table.to_excel(tmp_path / "a.csv")


def test_great_tables_take_cells_and_notes(table):
    pytest.importorskip("great_tables")
    html = table.to_great_table(caption="Sleep").as_raw_html()
    for text in ("Sleep", "251.41", "unbounded estimate"):
        assert text in html
