"""Priors of what residuals have, beside their posteriors."""

import numpy as np
from scipy.stats import beta

from hierbayes.comparison.parameter_densities import parameter_densities
from tests.residual_posteriors import drawn


def test_priors_of_residuals_are_drawn_beside_their_posteriors() -> None:
    found = {own.name: own for own in parameter_densities(drawn("us", draws=50), view="prior")}
    own = found["cor_age10.age8|Subject"]  # LKJ(2) of four visits: (r + 1) / 2 ~ Beta(3, 3)
    np.testing.assert_allclose(own.prior, beta.pdf((own.x + 1) / 2, 3, 3) / 2, atol=1e-9)
    assert found["sigma_age10"].prior_text.startswith("Normal(0")
    further = {own.name: own for own in parameter_densities(drawn("ar1", draws=50))}
    assert further["cor_ar1|Subject"].prior_text == "Uniform(-1, 1)"
    assert "at the mean of the predictors" in further["sigma_(Intercept)"].prior_text
