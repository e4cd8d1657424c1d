"""The reference is whole, and its R arguments are read as hierbayes takes them."""

import re

import pytest

from tests.reference_fits import (
    FOLDER,
    SUBSETS,
    generalized_fits,
    linear_fits,
    load_fit,
    load_reference,
)

EVERY_FIT = linear_fits() + generalized_fits()


def test_the_index_names_exactly_the_files_there_are():
    assert set(EVERY_FIT) == {path.stem for path in (FOLDER / "fits").glob("*.json")}
    assert (len(linear_fits()), len(generalized_fits())) == (98, 28)


def test_every_row_condition_is_in_the_table():
    conditions = {load_fit(fit_id).record["subset"] for fit_id in EVERY_FIT}
    assert conditions - {None} == set(SUBSETS)


def test_every_contrast_is_read():
    for fit_id in EVERY_FIT:
        fit = load_fit(fit_id)
        asked = re.findall(r"contr\.(\w+)", fit.record["contrasts"] or "")
        assert list(fit.options.get("contrasts", {}).values()) == asked


@pytest.mark.parametrize(
    ("fit_id", "options"),
    [
        ("ss_max_reml", {}),
        ("ss_wt", {"weights": "1/(1 + Days)"}),
        ("ss_off_arg", {"offset": "10 * Days"}),
        ("cake_sum", {"contrasts": {"recipe": "sum", "temperature": "helmert"}}),
        ("oat_sum", {"contrasts": {"Variety": "sum", "factor(nitro)": "sum"}}),
    ],
)
def test_arguments_are_those_of_hierbayes(fit_id, options):
    assert load_fit(fit_id).options == options


@pytest.mark.parametrize(("fit_id", "rows"), [("ss_subset", 144), ("cake_cell", 255)])
def test_row_conditions_leave_the_rows_lme4_used(fit_id, rows):
    fit = load_fit(fit_id)
    assert len(fit.data) == rows == fit.record["nobs"]


@pytest.mark.parametrize("fit_id", EVERY_FIT)
def test_new_data_have_the_data_sets_levels(fit_id):
    fit = load_fit(fit_id)
    new = fit.new_data()
    assert not new.empty
    assert not new.isna().any(axis=None)
    shared = new.columns.intersection(fit.data.columns)
    assert (
        new[shared].select_dtypes("category").dtypes
        == fit.data[shared].select_dtypes("category").dtypes
    ).all()


@pytest.mark.parametrize("folder", ["lrt", "ci", "boot", "emmeans", "bayes"])
def test_the_other_references_name_fits_or_data_that_are_there(folder):
    for path in (FOLDER / folder).glob("*.json"):
        record = load_reference(f"{folder}/{path.stem}")
        named = {record[key] for key in ("fit", "small", "large") if key in record}
        assert named <= set(EVERY_FIT)
