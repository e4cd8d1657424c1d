"""What is said and written of models whose residuals are correlated or of unequal variance."""

from functools import lru_cache

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.render.mathml import mathml

GIVEN = {
    "car1": {"residual": "car1(age | Subject)", "sigma": "~ Sex"},
    "us": {"residual": "us(age | Subject)"},
}


def model(case: str, formula: str = "distance ~ age * Sex") -> hb.Model:
    return hb.Model(formula, hb.load_dataset("Orthodont"), **GIVEN[case])


@lru_cache
def fitted():
    return model("car1", "distance ~ age * Sex + (1 | Subject)").fit()


def test_shares_of_variance_take_the_mean_residual_variance_of_the_rows() -> None:
    fit = fitted()
    found = hb.r2(fit)
    mean = fit.sigma**2 * (fit.relative_sds**2).mean()
    assert found.variances["residual"] == pytest.approx(mean, rel=1e-12)
    tau = float(fit.varcorr().terms[0].sd[0]) ** 2
    assert hb.icc(fit).adjusted == pytest.approx(tau / (tau + mean), rel=1e-12)
    assert "car1(age | Subject), is not counted" in " ".join(str(found).split())


def test_replicates_have_residual_variances_of_their_own() -> None:
    from hierbayes.checks import variance_shares

    fit = fitted()
    moved = fit.interval_estimates + np.zeros((2, 1))
    moved[1, list(fit.residual_names).index("sigma_SexFemale") + 2] += 0.3
    found = variance_shares._from_parameters(fit, moved)
    share = (fit.design.model_frame["Sex"] == "Female").mean()
    own = fit.sigma**2 * np.exp(2 * fit.residual_values[0]) * share * (np.exp(0.6) - 1)
    assert found.residual[1] - found.residual[0] == pytest.approx(own, rel=1e-9)


def test_without_random_effects_rows_are_alike_by_their_residuals() -> None:
    with pytest.raises(hb.DataError, match="rows of Subject are is the correlation of residuals"):
        hb.icc(model("us").fit())


def test_sentences_have_strata_and_correlations() -> None:
    said = str(fitted().sentence())
    rows = {row.label: row.value for row in fitted().varcorr().residual}
    assert "log(sigma) ~ Sex. Residuals of each Subject were correlated by a continuous" in said
    assert f"it is {rows['SexFemale']:.3f} for SexFemale." in said
    assert f"gap of 1 in age have a correlation of {rows['car1']:.2f}." in said


def test_equations_have_the_correlation_and_its_prior() -> None:
    text = str(model("car1").latex())
    assert r"\rho_{\text{car1} \mid \text{Subject}}^{|\text{age}_i - \text{age}_j|}" in text
    assert r"\rho_{\text{car1} \mid \text{Subject}} &\sim \operatorname{Beta}(2, 1)" in text
    visits = str(model("us").latex())
    assert r"\operatorname{Normal}(\mu_i,\ \sigma_i^2)" in visits
    assert r"\operatorname{log}(\sigma_i) &= \log \sigma + \gamma_{\text{age}_i}" in visits
    assert r"R_{\text{us} \mid \text{Subject}} &\sim \operatorname{LKJ}(2)" in visits
    assert visits.count(r"\gamma_{\text{age1") == 3
    assert "≠" in str(mathml(visits))
