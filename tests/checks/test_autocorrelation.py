"""Autocorrelations of residuals: nlme's, and sums over pairs."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

FOLDER = Path(__file__).parents[1] / "reference" / "residuals"
OPTIONS = {
    "ar1": ("distance ~ age * Sex", {"residual": "ar1(occasion | Subject)"}),
    "intercept": ("distance ~ age * Sex + (1 | Subject)", {}),
}


@lru_cache
def rows() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "orthodont.csv")


@lru_cache
def fitted(name: str):
    formula, options = OPTIONS[name]
    return hb.lmer(formula, rows(), **options)


@pytest.mark.parametrize("kind", ["pearson", "normalized"])
@pytest.mark.parametrize("name", OPTIONS)
def test_they_are_those_of_nlme(name: str, kind: str) -> None:
    expected = json.loads((FOLDER / "acf.json").read_text())[f"{name} {kind}"]
    series = None if name == "ar1" else "age | Subject"
    found = hb.autocorrelation(fitted(name), series, kind=kind)
    np.testing.assert_allclose(found["autocorrelation"], expected["acf"], atol=2e-5)
    assert found["pairs"].tolist() == expected["pairs"]
    assert found.loc[1, "upper"] == pytest.approx(1.959964 / 9, rel=1e-6)


def test_a_missing_row_is_a_longer_lag() -> None:
    data = rows().drop([1, 6]).sample(frac=1, random_state=1)
    fit = hb.lmer("distance ~ age + (1 | Subject)", data)
    found = hb.autocorrelation(fit, "occasion | Subject", kind="response")
    e = pd.Series(
        fit.residuals().to_numpy(), pd.MultiIndex.from_frame(data[["Subject", "occasion"]])
    )
    wide = e.unstack().to_numpy()
    for lag in (1, 2, 3):
        products = wide[:, lag:] * wide[:, :-lag]
        mean = np.nanmean(products)
        assert found.loc[lag, "pairs"] == np.isfinite(products).sum()
        assert found.loc[lag, "autocorrelation"] == pytest.approx(mean / (e**2).mean())


def test_times_between_whole_ones_count_rows() -> None:
    data = rows().assign(time=rows()["age"] + 0.1 * (rows()["occasion"] == 2))
    fit = hb.lmer("distance ~ age + (1 | Subject)", data)
    found = hb.autocorrelation(fit, "time | Subject")
    pd.testing.assert_frame_equal(found, hb.autocorrelation(fit, "age | Subject"))


def test_the_picture_has_a_stem_a_lag() -> None:
    table = hb.autocorrelation(fitted("ar1"), max_lag=2)
    _, ax = table.plot()
    drawn = ax.collections[-1].get_offsets()
    np.testing.assert_allclose(drawn, table["autocorrelation"].iloc[1:].reset_index())
    assert "2 outside of the 95 % bounds" in hb.plot.alt_text(ax)


def test_dates_and_categories_count_in_their_order() -> None:
    data = rows()
    data["date"] = pd.Timestamp("2024-03-01") + pd.to_timedelta(data["age"], unit="D")
    data["when"] = data["age"].map({8: "a", 10: "b", 12: "c", 14: "d"})
    fit = hb.lmer("distance ~ age + (1 | Subject)", data)
    expected = hb.autocorrelation(fit, "age | Subject")
    for name in ("date", "when"):
        pd.testing.assert_frame_equal(hb.autocorrelation(fit, f"{name} | Subject"), expected)


def test_what_it_needs_is_said() -> None:
    fit = fitted("intercept")
    with pytest.raises(hb.OptionError, match="needs the series"):
        hb.autocorrelation(fit)
    with pytest.raises(hb.OptionError, match="must be text"):
        hb.autocorrelation(fit, "Subject")
    with pytest.raises(hb.DataError, match="two rows at the same 'Sex'"):
        hb.autocorrelation(fit, "Sex | Subject")
    with pytest.raises(hb.OptionError, match="max_lag"):
        hb.autocorrelation(fit, "age | Subject", max_lag=0)
    with pytest.raises(hb.OptionError, match="takes a fit or the table"):
        hb.plot.autocorrelation(hb.confint(fit))
