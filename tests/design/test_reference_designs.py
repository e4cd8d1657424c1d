"""Designs of all reference fits: names, rows of X, grouping levels and their order are lme4's."""

import numpy as np
import pytest

from hierbayes.design.build import build_design, new_rows
from hierbayes.formula.parser import parse_formula
from tests.reference_fits import generalized_fits, linear_fits, load_fit

ATOL = 1e-12  # contrasts and polynomials are R's up to rounding
FITS = linear_fits() + generalized_fits()
# (f || g): lme4 1.1 keeps a factor's columns correlated, we make each independent.
DOUBLE_BAR_QUIRKS = {"mac_dbar", "ss_poly_dbar"}


@pytest.fixture(params=FITS)
def fit(request):
    return load_fit(request.param)


def design_of(fit):
    binary = fit.family == "binomial"
    return build_design(
        parse_formula(fit.formula),
        fit.data,
        **fit.options,
        binary_response=binary,
        allow_saturated=fit.family in ("binomial", "poisson"),
    )


def test_design_is_lme4s(fit):
    design = design_of(fit)
    record = fit.record
    dropped = record["fixef"].get("dropped_columns") or []
    kept = [name for name in design.coef_names if name not in dropped]
    assert kept == record["fixef"]["names"]
    positions = [design.coef_names.index(name) for name in kept]
    np.testing.assert_allclose(design.X[:3, positions], record["X_first3_rows"], atol=ATOL)
    assert len(design.y) == record["nobs"]
    assert {f.name: f.levels.size for f in design.factors} == record["ngrps"]
    assert [f.name for f in design.factors] == list(record["ngrps"])


def test_random_terms_are_lme4s(fit):
    if fit.record["id"] in DOUBLE_BAR_QUIRKS:
        return
    design = design_of(fit)
    groups = [group for group in fit.record["VarCorr"]["groups"]]
    assert [term.name for term in design.terms] == [group["term"] for group in groups]
    columns = [
        [design.factors[term.factor].columns[c] for c in term.columns] for term in design.terms
    ]
    assert columns == [group["names"] for group in groups]
    for factor in design.factors:
        expected = fit.record["ranef"][factor.name]
        shown = len(expected["levels"])
        assert factor.levels[:shown].tolist() == expected["levels"]
        if fit.record["id"] not in DOUBLE_BAR_QUIRKS:
            assert list(factor.columns) == expected["columns"]


def test_population_predictions_follow_from_new_rows(fit):
    record = fit.record["predict"]
    design = design_of(fit)
    beta = dict.fromkeys(design.coef_names, 0.0)
    fixef = fit.record["fixef"]
    beta |= dict(zip(fixef["names"], fixef["estimate"], strict=True))
    rows = new_rows(design, fit.new_data(), need_groups=())
    linear = rows.X @ np.array(list(beta.values()))
    if rows.offset is not None:
        linear += rows.offset
    expected = (
        record.get("re_form_NA_with_offset")
        or record.get("re_form_NA_link")
        or record["re_form_NA"]
    )
    np.testing.assert_allclose(linear, expected, rtol=1e-9)
