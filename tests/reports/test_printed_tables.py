"""Tables, names and formulas are laid out as R lays them out."""

import numpy as np
import pandas as pd
import pytest

from hierbayes.datasets import load_dataset
from hierbayes.render.abbreviate import abbreviate
from hierbayes.render.blocks import Table
from hierbayes.render.layout import display_width, fill_lines, matrix_lines, named_vector_lines
from hierbayes.render.text import table_lines
from hierbayes.render.text import text as as_text
from hierbayes.reports.frame_structure import str_text
from hierbayes.reports.level_tables import level_tables_blocks
from hierbayes.reports.summary import correlation_cells, fixed_effects_cells
from hierbayes.reports.varcorr import varcorr_blocks, variance_table
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from tests.reference_fits import linear_fits, load_fit
from tests.reports.stand_ins import numbers, printed_by_r, reference_varcorr, stripped

R = printed_by_r()


@pytest.mark.parametrize("case", R["abbreviations"], ids=lambda c: c["names"][0])
@pytest.mark.parametrize("length", ["1", "4", "6", "11"])
def test_names_are_shortened_as_r_shortens_them(case, length):
    assert abbreviate(case["names"], int(length)) == case["by"][length]


@pytest.mark.parametrize("fit_id", linear_fits())
def test_varcorr_prints_as_lme4_prints_it(fit_id):
    record = load_fit(fit_id).record
    text = as_text(varcorr_blocks(reference_varcorr(record)))
    assert stripped(text) == stripped(record["VarCorr"]["printed"])


def varcorr_of(case):
    terms = []
    for term in case["terms"]:
        q = len(term["columns"])
        corr = np.array(numbers(term["corr"])).reshape(q, q)
        terms.append(
            VarCorrTerm(
                name=term["name"],
                columns=tuple(term["columns"]),
                sd=np.array(numbers(term["sd"])),
                corr=corr,
            )
        )
    return VarCorr(terms=tuple(terms), sigma=numbers(case["sigma"])[0])


@pytest.mark.parametrize("case", R["varcorr"], ids=lambda c: c["terms"][0]["name"])
def test_wide_and_undefined_correlations_print_as_in_lme4(case):
    varcorr = varcorr_of(case)
    assert as_text(varcorr_blocks(varcorr)).split("\n") == case["printed"]
    lines = table_lines(variance_table(varcorr, digits=4, with_variances=True))
    assert ["Random effects:", *lines] == case["summary"]


def test_known_sigma_has_no_residual_row():
    term = VarCorrTerm(name="g", columns=("(Intercept)",), sd=np.array([1.5]), corr=np.eye(1))
    text = as_text(varcorr_blocks(VarCorr(terms=(term,), sigma=1.0, has_residual=False)))
    assert stripped(text) == [" Groups Name        Std.Dev.", " g      (Intercept) 1.5"]


def tables_of(case):
    tables = {
        name: pd.DataFrame(
            {c: numbers(table["values"][c]) for c in table["columns"]}, index=table["levels"]
        )
        for name, table in case["tables"].items()
    }
    return LevelTables(tables, kind=case["kind"], sds=tables if case["kind"] == "ranef" else None)


@pytest.mark.parametrize("case", R["level_tables"], ids=lambda c: c["kind"])
def test_level_tables_print_as_in_r(case):
    printed = stripped(case["printed"])
    if case["kind"] == "coef":  # R's line about the class is left out
        printed = printed[: printed.index('attr(,"class")') - 1]
    assert stripped(as_text(level_tables_blocks(tables_of(case)))) == printed


def test_conditional_sds_are_not_announced_when_unknown():
    tables = LevelTables({"g": pd.DataFrame({"x": [1.0]}, index=["a"])})
    assert as_text(level_tables_blocks(tables)) == "$g\n  x\na 1"
    assert tables.sds is None
    assert not tables.has_sds


def test_conditional_sds_are_computed_when_asked_for():
    calls = []
    frames = {"g": pd.DataFrame({"x": [1.0]}, index=["a"])}
    tables = LevelTables(frames, sds=lambda: calls.append(1) or frames)
    assert "with conditional variances for \u201cg\u201d" in as_text(level_tables_blocks(tables))
    assert not calls
    assert tables.sds is tables.sds is frames
    assert calls == [1]


def test_a_wide_correlation_matrix_wraps_as_in_r():
    case = R["correlations"]
    vcov = np.array([numbers(row) for row in case["vcov"]])
    rows, columns, cells = correlation_cells(case["names"], vcov)
    assert stripped(matrix_lines(cells, rows, columns, right=False)) == stripped(case["printed"])


@pytest.mark.parametrize("case", R["coefficients"], ids=lambda c: str(c["estimate"]))
def test_coefficients_of_very_different_sizes_print_as_in_r(case):
    beta, se = np.array(numbers(case["estimate"])), np.array(numbers(case["se"]))
    columns = fixed_effects_cells(beta, np.diag(se**2), 4)
    names = [f"x{i + 1}" for i in range(beta.size)]
    assert table_lines(Table(columns, names)) == case["printed"]


@pytest.mark.parametrize("name", R["str"])
def test_str_of_the_bundled_data(name):
    assert str_text(load_dataset(name)).split("\n") == stripped(R["str"][name])


def test_str_of_other_types():
    long = "averyveryverylongstringindeed"
    frame = pd.DataFrame(
        {
            "num": [1.5, 2, np.nan, 1000.25, 3, 4],
            "logi": pd.array([True, False, None, True, True, False], dtype="boolean"),
            "chr": ["x", "yy", None, "zzz", "w", "v"],
            "f": pd.Categorical(["a", "b", "a", None, "b", "a"]),
            "o": pd.Categorical(["lo", "hi"] * 3, ["lo", "hi"], ordered=True),
            "day": pd.date_range("2020-01-01", periods=6),
            "long": pd.Categorical([long, "b"] * 3, [long, "b"]),
            "big": [123456, 234567.5, 1e6, 3, 4, 5],
            "int": np.arange(1, 7) * 100000,
            "small": np.arange(1, 7) / 1e6,
        }
    )
    # R 4.2: str() of the same data frame
    assert str_text(frame, "d").split("\n") == [
        "d",
        "'data.frame':\t6 obs. of  10 variables:",
        " $ num  : num  1.5 2 NA 1000.2 3 ...",
        " $ logi : logi  TRUE FALSE NA TRUE TRUE FALSE",
        ' $ chr  : chr  "x" "yy" NA "zzz" ...',
        ' $ f    : Factor w/ 2 levels "a","b": 1 2 1 NA 2 1',
        ' $ o    : Ord.factor w/ 2 levels "lo"<"hi": 1 2 1 2 1 2',
        ' $ day  : Date, format: "2020-01-01" "2020-01-02" ...',
        f' $ long : Factor w/ 2 levels "{long}",..: 1 2 1 2 1 2',
        " $ big  : num  123456 234568 1000000 3 4 ...",
        " $ int  : int  100000 200000 300000 400000 500000 600000",
        " $ small: num  1e-06 2e-06 3e-06 4e-06 5e-06 6e-06",
    ]


@pytest.mark.parametrize(
    ("frame", "line"),  # R 4.2
    [
        (pd.DataFrame(), "'data.frame':\t0 obs. of  0 variables"),
        (pd.DataFrame({"a": [1.0]}), " $ a: num 1"),
        (pd.DataFrame({"a": np.array([], dtype=float)}), " $ a: num "),
        (pd.DataFrame({"a": pd.Categorical([None, None])}), " $ a: Factor w/ 0 levels: NA NA"),
        (pd.DataFrame({"a": pd.Categorical(["x"])}), ' $ a: Factor w/ 1 level "x": 1'),
        (pd.DataFrame({"a": ["x" * 150]}), f' $ a: chr "{"x" * 111}"| __truncated__'),
        (
            pd.DataFrame({"a": pd.to_datetime(["2020-01-01 10:00:01"])}),
            ' $ a: POSIXct, format: "2020-01-01 10:00:01"',
        ),
    ],
)
def test_str_of_small_frames(frame, line):
    assert str_text(frame).split("\n")[-1] == line


def test_wide_characters_keep_columns_in_line():
    assert [display_width(text) for text in ("abc", "\u88ab\u8a66", "e\u0301")] == [3, 4, 1]
    lines = matrix_lines([["1"], ["2"]], ["\u88ab\u8a66", "a"], ["x"])
    assert lines == ["     x", "\u88ab\u8a66 1", "a    2"]


def test_named_vectors_wrap():
    # R: print(setNames(rep(12345678, 9), letters[1:9])) puts 8 on a line
    lines = named_vector_lines(["12345678"] * 9, list("abcdefghi"))
    assert [len(line.split()) for line in lines] == [8, 8, 1, 1]


def test_filled_lines_start_anew_before_the_edge():
    # R: cat("Formula:", strrep("x", 70), fill = TRUE) stays on one line, 71 does not
    assert fill_lines(["Formula:", "x" * 70]) == ["Formula: " + "x" * 70]
    assert fill_lines(["Formula:", "x" * 71]) == ["Formula:", "x" * 71]
