"""Fits of correlated residuals and of unequal variance against nlme's gls and lme.

``tests/reference/scripts/residuals.R`` made the numbers, of data sets that come with nlme.
"""

import json
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

FOLDER = Path(__file__).parent / "reference" / "residuals"
RECORDS = json.loads((FOLDER / "residuals.json").read_text("utf-8"))["fits"]
OF_FITTED = json.loads((FOLDER / "fitted_sds.json").read_text("utf-8"))["fits"]
FACTORS = {"Mare", "Subject", "Rat", "Diet", "QB", "Worker"}
NEVER_ABOVE = 1e-6
AT_OPTIMUM = 1e-5  # the reference's criterion, where it got to the optimum


@lru_cache
def data_of(name: str) -> pd.DataFrame:
    data = pd.read_csv(FOLDER / f"{name}.csv")
    own = {column: data[column].astype(str).astype("category") for column in FACTORS & {*data}}
    return data.assign(**own)


def named(record) -> str:
    parts = [record["data"], record["formula"].partition("~")[2], record["residual"]]
    return " ".join(str(part) for part in (*parts, record["sigma"], record["method"]))


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_the_criterion_is_never_above_the_references(record) -> None:
    given = {name: record[name] for name in ("residual", "sigma") if record[name]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # a correlation of nothing is one
        fit = hb.lmer(
            record["formula"], data_of(record["data"]), reml=record["method"] == "reml", **given
        )
    assert fit.converged
    assert fit.criterion <= record["criterion"] + NEVER_ABOVE
    if fit.criterion < record["criterion"] - AT_OPTIMUM:
        return
    beta, se = np.array(record["beta"]), np.array(record["se"])
    if record["method"] == "ml" and "|" not in record["formula"]:  # gls's are REML's
        se *= np.sqrt((fit.nobs - beta.size) / fit.nobs)
    ours = fit.fixef().to_numpy()
    np.testing.assert_allclose(np.sort((ours - beta) / se), 0, atol=2e-3)
    np.testing.assert_allclose(fit.std_errors, se, rtol=3e-3)
    sds = np.sort(fit.sigma * fit.relative_sds)
    np.testing.assert_allclose(sds[[0, len(sds) // 2, -1]], record["row_sds"], rtol=3e-3)
    own = fit.varcorr().residual
    found = [row.value for row in own if row.name.startswith("cor")]
    if record["correlation"] is not None:
        np.testing.assert_allclose(
            np.sort(found), np.sort(np.atleast_1d(record["correlation"])), rtol=1e-2, atol=3e-3
        )


@pytest.mark.parametrize("record", OF_FITTED, ids=named)
def test_sds_that_follow_from_fitted_values_are_nlmes(record) -> None:
    """Nlme's own fit ends early, so its criterion is less near than that where it stays."""
    fit = hb.lmer(
        record["formula"],
        data_of(record["data"]),
        residual=record["residual"],
        sigma=record["sigma"],
        reml=record["method"] == "reml",
    )
    assert fit.converged
    assert fit.criterion == pytest.approx(record["criterion"], abs=1e-6)
    assert fit.criterion == pytest.approx(record["by_nlme"], abs=1e-3)
    values = fit.spec.residuals.values(fit.residual.phi[None])[0]
    assert values[0] == pytest.approx(record["exponent"], rel=1e-3)
    assert fit.sigma == pytest.approx(record["residual_sd"], rel=1e-3)
