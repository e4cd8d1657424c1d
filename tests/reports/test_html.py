"""HTML shows the numbers of the text, stands alone, and passes no text of a user on as markup."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from hierbayes.render.blocks import Paragraph, Picture, Preformatted, Section, prose
from hierbayes.render.html import fragment, page
from hierbayes.render.text import text as as_text
from hierbayes.reports.anova import anova_blocks
from hierbayes.reports.level_tables import level_tables_blocks
from hierbayes.reports.summary import summary_blocks, summary_text
from hierbayes.reports.varcorr import varcorr_blocks
from hierbayes.results.anova_table import ANOVA_COLUMNS, AnovaTable
from hierbayes.results.finding import Finding
from hierbayes.results.level_tables import LevelTables
from hierbayes.results.varcorr import VarCorr, VarCorrTerm
from tests.reports.stand_ins import least_squares_fit, printed_by_r, reference_fit

EVIL = "<script>alert(1)</script>"
EMPTY_ELEMENTS = {"meta", "br", "img"}
FITS = ["ss_max_reml", "cake_add_ml", "oat_split_reml", "mac_fac_reml", "dye2_ml", "cake_cell"]


def summary_html(fit, **options):
    return fragment(summary_blocks(fit, **options))


def varcorr_html(varcorr):
    return fragment(varcorr_blocks(varcorr))


def level_tables_html(tables):
    return fragment(level_tables_blocks(tables))


def anova_html(table):
    return fragment(anova_blocks(table))


def varcorr_text(varcorr):
    return as_text(varcorr_blocks(varcorr))


class Reader(HTMLParser):
    """Collects elements, attributes and text; complains where elements are not nested."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], set(), [], []
        self.cells = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def words_of_table(text):
    """What a printed table holds, blanks apart."""
    return re.findall(r"-?\d+\.\d+(?:e[-+]\d+)?", text)


@pytest.mark.parametrize("fit_id", FITS)
def test_summary_shows_every_number_of_the_text(fit_id):
    fit = reference_fit(fit_id)
    text = summary_text(fit).partition("Scaled residuals")[2]
    tables, _, _ = text.partition("\nfit warnings")
    shown = Reader(summary_html(fit)).text
    missing = [number for number in words_of_table(tables) if number not in shown]
    assert not missing


def test_the_summary_names_estimator_formula_and_counts():
    text = Reader(summary_html(reference_fit("ss_wt"))).text
    assert "Linear mixed model fit by REML" in text
    assert "Formula: Reaction ~ Days + (Days | Subject)" in text
    assert "Weights: 1/(1 + Days)" in text
    assert "Number of obs: 180, groups: Subject, 18" in text


def test_findings_stand_last():
    fit = reference_fit("dye2_reml")
    fit.findings = (Finding("boundary", "The sd is zero.", "Few batches."),)
    assert Reader(summary_html(fit)).text.endswith("Findings The sd is zero. Few batches.")


def test_arguments_are_those_of_the_text():
    fit = reference_fit("cake_doc_reml")
    assert "Correlation of fixed effects" not in summary_html(fit)
    assert "Correlation of fixed effects" in summary_html(fit, correlation=True)
    assert "6.82456" in summary_html(reference_fit("ss_max_reml"), digits=6)


def test_linear_model_shows_every_number_of_the_text():
    fit = least_squares_fit(printed_by_r()["linear"][0])
    shown = Reader(summary_html(fit)).text
    text = summary_text(fit).partition("Residuals")[2]
    assert not [number for number in words_of_table(text) if number not in shown]


def test_varcorr_shows_every_number_of_the_text():
    varcorr = reference_fit("mac_fac_reml").varcorr()
    shown = Reader(varcorr_html(varcorr)).text
    assert not [n for n in words_of_table(varcorr_text(varcorr)) if n not in shown]


def evil_results():
    frame = pd.DataFrame({EVIL: [1.0, 2.0], "x": [0.5, 0.25]}, index=[EVIL, "b"])
    term = VarCorrTerm(
        name=EVIL, columns=(EVIL, "x"), sd=np.array([1.0, 2.0]), corr=np.array([[1, 0.5], [0.5, 1]])
    )
    varcorr = VarCorr(terms=(term,), sigma=1.0)
    rows = [[3.0, 10.0, 11.0, -2.0, 4.0, np.nan, np.nan, np.nan],
            [4.0, 9.0, 10.0, -1.0, 2.0, 2.0, 1.0, 0.01]]  # fmt: skip
    anova = AnovaTable(
        table=pd.DataFrame(rows, columns=list(ANOVA_COLUMNS), index=[EVIL, "m"]),
        models={EVIL: EVIL, "m": "y ~ x"},
        data_name=EVIL,
    )
    fit = reference_fit("ss_max_reml")
    fit.formula_text = fit.data_name = EVIL
    fit.coef_names = (EVIL, "Days")
    fit.n_groups = {EVIL: 18}
    fit.varcorr = lambda: varcorr
    fit.findings = (Finding("x", EVIL),)
    fit.n_rows_given, fit.rows_dropped = 190, {EVIL: 10}
    linear = least_squares_fit(printed_by_r()["linear"][0])
    series = linear.fixef()
    linear.fixef = lambda: series.set_axis([EVIL, "Days"])
    linear.data_name = EVIL
    return {
        "summary": summary_html(fit),
        "linear": summary_html(linear),
        "varcorr": varcorr_html(varcorr),
        "ranef": level_tables_html(LevelTables({EVIL: frame}, sds={EVIL: frame})),
        "coef": level_tables_html(LevelTables({EVIL: frame}, kind="coef")),
        "anova": anova_html(anova),
        "page": page(
            EVIL,
            [
                Section(
                    EVIL,
                    [
                        Paragraph(EVIL),
                        Preformatted(EVIL),
                        Picture(png=b"\x89PNG", alt=f'{EVIL}" onerror="alert(1)'),
                    ],
                )
            ],
        ),
    }


@pytest.mark.parametrize("name", evil_results())
def test_texts_of_users_are_escaped(name):
    html = evil_results()[name]
    reader = Reader(html)
    assert "script" not in reader.tags
    assert EVIL in reader.text or any(EVIL in (value or "") for _, value in reader.attributes)
    assert EVIL not in html


@pytest.mark.parametrize("name", evil_results())
def test_nothing_is_loaded_or_run(name):
    reader = Reader(evil_results()[name])
    assert not reader.tags & {"script", "link", "iframe", "object"}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    sources = [value for name, value in reader.attributes if name in {"src", "href"}]
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_dark_mode_follows_the_reader():
    html = page("Report", [])
    assert "prefers-color-scheme: dark" in html
    assert "color-scheme: light dark" in html
    assert "@import" not in html
    assert "url(" not in html


def test_a_page_holds_its_sections_in_order():
    picture = Picture(png=b"\x89PNG", alt="Reaction by day")
    sections = [
        Section("Data", [*prose("18 subjects.\n\n10 days."), Preformatted("'data.frame'")]),
        Section("Fit", varcorr_blocks(reference_fit("ss_max_reml").varcorr())),
        Section("", [picture, picture]),
    ]
    html = page("Sleep", sections)
    reader = Reader(html)
    assert html.startswith("<!DOCTYPE html>")
    assert reader.text.startswith("Sleep Sleep Data 18 subjects. 10 days. 'data.frame' Fit")
    assert [value for name, value in reader.attributes if name == "alt"] == [picture.alt] * 2


def test_conditional_sds_stand_beside_the_estimates():
    estimates = pd.DataFrame({"(Intercept)": [2.25, -4.5]}, index=["308", "309"])
    sds = pd.DataFrame({"(Intercept)": [12.5, 12.75]}, index=["308", "309"])
    reader = Reader(level_tables_html(LevelTables({"Subject": estimates}, sds={"Subject": sds})))
    assert reader.cells == ["(Intercept)", "(sd)", "308", "2.2", "12.5", "309", "-4.5", "12.8"]


def test_many_levels_are_cut_and_the_cut_is_said():
    frame = pd.DataFrame({"x": np.arange(1001.0)}, index=np.arange(1001).astype(str))
    reader = Reader(level_tables_html(LevelTables({"g": frame}, kind="coef")))
    assert reader.text.endswith("First 1000 of 1001 levels.")


def test_results_show_themselves_in_a_notebook():
    import hierbayes  # noqa: F401  (registers the renderers)

    varcorr = reference_fit("ss_max_reml").varcorr()
    assert varcorr._repr_html_() == varcorr_html(varcorr)
    assert repr(varcorr) == str(varcorr) == varcorr_text(varcorr)


def test_a_refitted_comparison_says_so():
    table = pd.DataFrame([[1.0] * 8], columns=list(ANOVA_COLUMNS), index=["m"])
    html = anova_html(AnovaTable(table=table, models={"m": "y ~ x"}, refitted=True))
    assert "refitting model(s) with ML (instead of REML)" in Reader(html).text
