"""Random effects taken out beside residual structures, against fits of their own."""

import numpy as np
import pytest

import hierbayes as hb


def test_each_deletion_is_the_smaller_fit_with_residuals_of_the_same_structure() -> None:
    data = hb.load_dataset("Orthodont")
    given = {"residual": "car1(age | Subject)", "sigma": "~ Sex"}
    fit = hb.lmer("distance ~ age * Sex + (1 | Subject)", data, **given)
    row = hb.ranova(fit).to_frame().loc["(1 | Subject)"]
    alone = hb.lmer("distance ~ age * Sex", data, **given)
    assert row["loglik"] == pytest.approx(alone.loglik, abs=1e-6)
    # nlme 3.1: anova(lme(..., corCAR1, varIdent), gls(the same))
    assert row["chisq"] == pytest.approx(2 * (216.502349043 - 207.51218669), abs=1e-5)
    assert row["npar"] == alone.n_params
    assert row["df"] == 1 and row["p_mixture"] == pytest.approx(row["p_value"] / 2, rel=1e-6)
    assert np.isnan(row["p_exact"])
    with pytest.raises(hb.NotSupportedError, match="of one sd, up to known weights"):
        hb.exact_rlrt(fit)


def test_columns_are_taken_out_one_by_one() -> None:
    data = hb.load_dataset("Orthodont")
    fit = hb.lmer("distance ~ age * Sex + (age | Subject)", data, sigma="~ Sex", reml=False)
    row = hb.ranova(fit).to_frame().loc["age in (age | Subject)"]
    smaller = fit.update(". ~ age * Sex + (1 | Subject)")
    assert row["chisq"] == pytest.approx(2 * (fit.loglik - smaller.loglik), abs=1e-5)
    assert row["df"] == 2
