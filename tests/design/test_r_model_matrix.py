"""Names and values of columns are those of R's model.matrix (R 4.2.2, see r_model_matrix.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierbayes.design.build import build_design, new_rows
from hierbayes.formula.parser import parse_formula

R = json.loads(Path(__file__).with_name("r_model_matrix.json").read_text(encoding="utf-8"))
# 15 digits are stored, and R's QR sums in another order.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-12}
# Twenty is far beyond the fitted range: cubic polynomials there multiply rounding.
NEW_TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


def frame_of(columns):
    frame = pd.DataFrame(columns)
    frame["o"] = pd.Categorical(frame["o"], R["levels_o"], ordered=True)
    return frame


DATA = frame_of(R["data"])
DATA["y"] = np.arange(len(DATA)) ** 1.5


def case_id(case):
    contrasts = ",".join(f"{name}={how}" for name, how in dict(case["contrasts"] or {}).items())
    return f"{case['formula']} {contrasts}".strip()


@pytest.fixture(params=R["cases"], ids=case_id)
def case(request):
    return request.param


def design_of(case):
    formula = parse_formula("y " + case["formula"])
    return build_design(formula, DATA, contrasts=dict(case["contrasts"] or {}))


def test_columns_are_rs(case):
    design = design_of(case)
    assert list(design.coef_names) == case["names"]
    assert design.assign.tolist() == case["assign"]
    expected = np.reshape(case["columns"], design.X.shape)
    np.testing.assert_allclose(design.X, expected, **TOLERANCE)


def test_new_rows_use_what_the_fitted_data_taught(case):
    design = design_of(case)
    rows = new_rows(design, frame_of(R["new"]))
    if case["new"] is not None:
        expected = np.reshape(np.array(case["new"], dtype=object), rows.X.shape).astype(float)
        np.testing.assert_allclose(rows.X, expected, **NEW_TOLERANCE)


def test_fitted_rows_laid_out_again_are_the_same(case):
    design = design_of(case)
    again = new_rows(design, DATA.iloc[[7, 2, 2]])
    np.testing.assert_allclose(again.X, design.X[[7, 2, 2]], **TOLERANCE)
