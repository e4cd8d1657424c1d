"""Reports by a guideline and archives of posteriors whose residuals have a structure."""

import numpy as np
import pytest
from scipy.stats import norm, t, uniform

from hierbayes.reports import study_model
from hierbayes.reports.study import Study
from hierbayes.reports.study_sensitivity import log_prior_of
from hierbayes.saving.study_archive import _check_repeatable
from tests.residual_posteriors import drawn


def table(entry) -> dict[str, str]:
    (found, *_) = entry.blocks
    return dict(zip(found.rows, found.columns[0][1], strict=True))


def test_columns_and_parameters_of_residuals_are_said_to_be_such() -> None:
    study = Study(post=drawn("us"), statements={}, rope={})
    roles = table(study_model.variables(study))
    assert roles["Subject"] == "series of residuals"
    assert roles["age"] == "predictor and place in the series"
    meant = table(study_model.parameters(study))
    assert "first" in meant["sigma_age10"] and "two visits" in meant["cor_us|Subject"]
    other = table(study_model.parameters(Study(post=drawn("ar1"), statements={}, rope={})))
    assert other["sigma_Sexb"] == "change of the predictor of sigma per unit"
    assert other["cor_ar1|Subject"] == "correlation of residuals of one series"


def test_priors_that_are_scaled_hold_those_of_the_formula_of_sigma() -> None:
    post = drawn("ar1")
    found = log_prior_of(Study(post=post, statements={}, rope={}), lambda name: True)
    laws = {p.name: post.priors.of(p) for p in post.priors.all_parameters}
    beta, gamma = post.draws.beta, post.draws.formulas["sigma"].beta
    of_sigma = post.priors.formulas["sigma"]
    values = {
        "(Intercept)": beta[..., 0] + beta @ post.priors.centre,
        "age": beta[..., 1],
        "sigma_(Intercept)": gamma[..., 0] + gamma @ of_sigma.centre,
        "sigma_Sexb": gamma[..., 1],
    }
    expected = sum(norm.logpdf(v, laws[n].mu, laws[n].sigma) for n, v in values.items())
    expected += uniform.logpdf(post.draws.family["cor_ar1|Subject"], -1, 2)
    sd, law = post.draws.sd["Subject"][..., 0], laws["sd((Intercept)|Subject)"]
    expected += np.log(2) + t.logpdf(sd, law.nu, 0, law.sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_script_makes_such_posteriors_again() -> None:
    post = drawn("ar1")
    post.settings["random_seed"] = 1
    _check_repeatable(post, post.spec)
    with pytest.raises(Exception, match="formula"):
        _check_repeatable(drawn("bars"), drawn("bars").spec)
