"""The likelihood surface of generalised fits: each point is the best of the coefficients there."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import minimize

import hierbayes as hb
from hierbayes.likelihood.glmm_search import Search

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")


@pytest.fixture(scope="module")
def ticks():
    return hb.load_dataset("grouseticks")


def lowest(fit, theta, phi=None):
    """-2 log-likelihood at a theta of the user's scale, by another search of the coefficients."""
    found, model = fit.optimum, fit.optimum.model
    search = Search(model, fit.n_quadrature, found.at.mode.beta)
    at = model.in_basis(np.asarray(theta))
    phi = found.at.mode.phi if phi is None else phi

    def value(beta):
        return search.criterion(search.joined(beta, at, phi)).value

    return minimize(value, found.at.mode.beta, method="BFGS", options={"gtol": 1e-6}).fun


@pytest.mark.parametrize("nodes", [1, 3])
def test_each_point_is_the_best_of_the_coefficients(ticks, nodes):
    formula = "TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)"
    fit = hb.glmer(formula, ticks[ticks["YEAR"] != "97"], "poisson", n_quadrature=nodes)
    surface = hb.likelihood_surface(fit, n=3)
    for b, a in ((0, 2), (1, 1)):
        expected = lowest(fit, [surface.x[a], surface.y[b]]) - fit.criterion
        assert surface.ml[b, a] == pytest.approx(expected, abs=1e-4)


def test_correlations_are_kept_and_the_lowest_point_is_the_estimate():
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(25), 8), np.tile(np.arange(8) / 8 - 0.5, 25)
    b = rng.normal(size=(25, 2)) @ [[0.6, 0.5], [0.0, 0.7]]
    y = rng.poisson(np.exp(1 + b[g, 0] + (0.5 + b[g, 1]) * x))
    fit = hb.glmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, "poisson")
    surface = hb.likelihood_surface(fit, n=21)
    assert surface.ml.min() > -1e-6 and surface.ml.min() < 0.3
    row, column = np.unravel_index(surface.ml.argmin(), surface.ml.shape)
    step = np.diff(surface.x)[0], np.diff(surface.y)[0]
    assert abs(surface.x[column] - surface.ml_estimate[0]) <= step[0]
    assert abs(surface.y[row] - surface.ml_estimate[1]) <= step[1]
    corr = fit.varcorr().terms[0].corr[0, 1]
    one, two = surface.x[12], surface.y[4]
    theta = [one, corr * two, np.sqrt(1 - corr**2) * two]
    assert surface.ml[4, 12] == pytest.approx(lowest(fit, theta) - fit.criterion, abs=1e-4)


def test_a_parameter_of_the_family_is_one_of_the_two(ticks):
    fit = hb.glmer("TICKS ~ 1 + (1 | LOCATION)", ticks, "negativebinomial")
    surface = hb.likelihood_surface(fit, n=3)
    assert (surface.x_name, surface.y_name) == ("sd_(Intercept)|LOCATION", "alpha")
    expected = lowest(fit, [surface.x[1]], np.log(surface.y[[2]])) - fit.criterion
    assert surface.ml[2, 1] == pytest.approx(expected, abs=1e-4)
    assert surface.ml[1, 1] >= 0 and surface.y[1] == pytest.approx(fit.dispersion["alpha"])


def test_there_is_no_reml_in_table_and_picture(ticks):
    fit = hb.glmer("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", ticks, "poisson")
    surface = hb.likelihood_surface(fit, n=9)
    assert not surface.has_reml and list(surface.to_frame())[2:] == ["ml"]
    _, axes = hb.plot.likelihood_surface(surface)
    assert [ax.get_title() for ax in axes] == ["ML"]
    plt.close("all")


def test_one_sd_alone_has_no_surface():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    with pytest.raises(hb.NotSupportedError, match="two variance parameters"):
        hb.likelihood_surface(hb.glmer(formula, hb.load_dataset("cbpp")))
