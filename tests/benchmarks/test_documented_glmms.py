"""Generalised mixed models that R packages document, held against the packages' own numbers.

``benchmarks/documented_glmms.R`` made them, R 4.2.2; ``documented_glmms.py --keep`` chose those
whose data are small enough to stand here. ``benchmarks/documented_glmms.md`` has all of them.
"""

import json
import warnings
from typing import Any

import pytest

import hierbayes as hb
from benchmarks.documented_glmms import differences, fitted, read_data
from tests.reference_fits import FOLDER

RECORDS: dict[str, Any] = json.loads((FOLDER / "documented.json").read_text(encoding="utf-8"))


def fit_of(record: dict[str, Any]) -> hb.LikelihoodFit:
    if record["data"] == "cbpp":
        data = hb.load_dataset("cbpp")
    else:
        data = read_data(FOLDER / "documented" / f"{record['data']}.csv", record["factors"])
    assert len(data) == record["n"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return fitted(record, data)


@pytest.mark.parametrize("name", RECORDS)
def test_documented_models_are_at_the_optimum_of_their_package(name: str) -> None:
    record = RECORDS[name]
    found = differences(fit_of(record), record["reference"])
    size = abs(record["reference"]["minus2loglik"])
    assert found["deviance"] <= max(1e-4, 1e-8 * size)
    assert found["separated"] == 0
    for what in ("beta", "se", "sd", "corr"):
        assert found[what] <= 1e-3, what


def test_there_are_several_families_and_packages() -> None:
    assert {(r["family"], r["zi"]) for r in RECORDS.values()} == {
        ("binomial", False), ("poisson", False), ("nbinom2", False), ("cumulative", False),
        ("betabinomial", False), ("poisson", True), ("nbinom2", True),
    }  # fmt: skip
    packages = {r["source"].split()[0] for r in RECORDS.values()}
    assert packages == {"lme4", "glmmTMB", "ordinal", "MASS", "mlmRev", "geepack", "HSAUR3"}
