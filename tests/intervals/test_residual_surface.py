"""The likelihood surface beside correlated residuals, against the density in full."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.residual.root import coloured
from hierbayes.saving.study_archive import _script


def test_the_surface_is_the_deviance_at_the_residuals_estimates() -> None:
    data = hb.load_dataset("Orthodont")
    given = {"residual": "ar1(age | Subject)", "sigma": "~ Sex"}
    fit = hb.lmer("distance ~ age + (1 | Subject)", data, reml=False, **given)
    found = hb.likelihood_surface(fit, n=3)
    root = coloured(fit.spec.residuals, fit.residual.phi, np.eye(fit.nobs))
    codes, X, y = fit.design.factors[0].codes, fit.design.X, fit.design.y
    same = codes[:, None] == codes
    sd, sigma = found.x[2], found.y[0]
    V = sigma**2 * root @ root.T + sd**2 * same
    K = np.linalg.inv(V)
    e = y - X @ np.linalg.solve(X.T @ K @ X, X.T @ K @ y)
    deviance = fit.nobs * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + e @ K @ e
    assert found.ml[0, 2] == pytest.approx(deviance - fit.criterion, rel=1e-8)
    # the script of an archive has what makes the residuals
    code = _script(fit, fit.spec, include_data=True)
    assert 'residual="ar1(age | Subject)"' in code and 'sigma="~ Sex"' in code
