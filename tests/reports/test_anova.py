"""The likelihood-ratio table is lme4's, and the lecture's under the lecture's names."""

import re

import numpy as np
import pandas as pd
import pytest

from hierbayes.reports.anova import anova_text
from hierbayes.results.anova_table import ANOVA_COLUMNS, AnovaTable
from tests.reference_fits import FOLDER, load_reference
from tests.reports.stand_ins import stripped

R_COLUMNS = ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")
TESTS = sorted(path.stem for path in (FOLDER / "lrt").glob("*.json"))

# Slide of the lecture, printed by lme4 in 2019; blanks lost in the slides are not compared.
SLIDE = """
refitting model(s) with ML (instead of REML)
Data: sleepstudy
Models:
m.2: Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)
m.1: Reaction ~ Days + (Days | Subject)
      Df    AIC    BIC logLik deviance  Chisq Chi Df Pr(>Chisq)
m.2   5 1762.0 1778.0 -876.00   1752.0
m.1   6 1763.9 1783.1 -875.97   1751.9 0.0639      1    0.8004
"""


def anova_of(name, *, refitted=False):
    record = load_reference(f"lrt/{name}")
    columns = record["table"]["columns"]
    rows = record["table"]["rows"]
    table = pd.DataFrame(
        {
            ours: np.array(columns[theirs], dtype=float)
            for ours, theirs in zip(ANOVA_COLUMNS, R_COLUMNS, strict=True)
        },
        index=rows,
    )
    printed = record["printed"]  # the record's own formulas have || spelled out
    formulas = [line.split(": ", 1)[1] for line in printed[2 : 2 + len(rows)]]
    return AnovaTable(
        table=table,
        models=dict(zip(rows, formulas, strict=True)),
        data_name=record["dataset"],
        refitted=refitted,
    )


@pytest.mark.parametrize("name", TESTS)
def test_table_is_lme4s_line_for_line(name):
    printed = stripped(load_reference(f"lrt/{name}")["printed"])
    assert stripped(anova_text(anova_of(name))) == printed


def test_the_lectures_table():
    text = anova_text(anova_of("lrt_ss_uncorr_vs_max", refitted=True), style="lecture")
    ours = [re.sub(r"\s+", " ", line).strip() for line in text.split("\n")]
    assert ours == [re.sub(r"\s+", " ", line).strip() for line in SLIDE.strip().split("\n")]


def test_no_data_name_no_data_line():
    anova = anova_of("lrt_ss_days")
    unnamed = AnovaTable(table=anova.table, models=anova.models)
    assert anova_text(unnamed).startswith("Models:\nm.0: ")


def test_the_frame_is_a_copy():
    anova = anova_of("lrt_ss_days")
    frame = anova.to_frame()
    frame.loc["m.0", "aic"] = 0.0
    assert anova.table.loc["m.0", "aic"] == pytest.approx(1785.4764, abs=1e-3)
