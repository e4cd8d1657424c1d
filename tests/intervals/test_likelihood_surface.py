"""The likelihood surface against the density of the data written out."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import hierbayes as hb


def dense_deviance(design, sds, corr, sigma, *, reml):
    n = design.y.size
    V = sigma**2 * np.eye(n)
    for factor, sd in zip(design.factors, sds, strict=True):
        Z = np.zeros((n, factor.levels.size, factor.z.shape[1]))
        Z[np.arange(n), factor.codes] = factor.z
        root = np.diag(sd) @ np.linalg.cholesky(corr[: len(sd), : len(sd)])
        part = (Z @ root).reshape(n, -1)
        V += part @ part.T
    X = design.X
    beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, design.y))
    value = -2 * multivariate_normal(X @ beta, V).logpdf(design.y)
    if reml:
        value += np.linalg.slogdet(X.T @ np.linalg.solve(V, X))[1] - X.shape[1] * np.log(2 * np.pi)
    return value


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff"),
    ],
)
def test_the_surface_is_the_deviance_of_the_written_out_model(formula, data):
    fit = hb.lmer(formula, hb.load_dataset(data))
    surface = hb.likelihood_surface(fit, n=5)
    for method, values in (("ml", surface.ml), ("reml", surface.reml)):
        other = fit.with_method(method)
        term = other.varcorr().terms[0]
        for b, a in ((0, 4), (3, 1), (2, 2)):
            sd, sigma = term.sd.copy(), other.sigma
            sd[0] = surface.x[a]
            if sd.size > 1:
                sd[1] = surface.y[b]
            else:
                sigma = surface.y[b]
            expected = dense_deviance(fit.design, [sd], term.corr, sigma, reml=method == "reml")
            assert values[b, a] == pytest.approx(expected - other.criterion, abs=1e-7)


def test_the_surface_is_lowest_at_the_estimates():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    surface = hb.likelihood_surface(fit, n=81)
    for values, estimate in (
        (surface.ml, surface.ml_estimate),
        (surface.reml, surface.reml_estimate),
    ):
        assert values.min() >= 0
        b, a = np.unravel_index(values.argmin(), values.shape)
        assert abs(surface.x[a] - estimate[0]) <= np.diff(surface.x)[0]
        assert abs(surface.y[b] - estimate[1]) <= np.diff(surface.y)[0]
    assert surface.reml_estimate[0] > surface.ml_estimate[0]
    assert len(surface.to_frame()) == 81**2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"parameters": ["sd_(Intercept)|Batch", "sigm"]}, "did you mean 'sigma'"),
        ({"parameters": ["sigma", "sigma"]}, "two different names"),
        ({"n": 1}, "from 2 to"),
    ],
)
def test_bad_input_is_named(given, words):
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    with pytest.raises(hb.OptionError, match=words):
        hb.likelihood_surface(fit, **given)


def test_a_model_without_two_sds_has_no_surface():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.NotSupportedError, match="two variance parameters"):
        hb.likelihood_surface(fit)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("column", ["Days", "Reaction"])
def test_a_surface_does_not_depend_on_units(column, unit):
    """Once numpy's "Matrix is not positive definite" for a slope on a large or small scale."""
    data = hb.load_dataset("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    surfaces = [
        hb.likelihood_surface(hb.lmer(formula, frame), n=5)
        for frame in (data, data.assign(**{column: data[column] * unit}))
    ]
    np.testing.assert_allclose(surfaces[1].reml, surfaces[0].reml, rtol=1e-6, atol=1e-6)
    scale = 1 / unit if column == "Days" else unit
    np.testing.assert_allclose(surfaces[1].y, surfaces[0].y * scale, rtol=1e-5)


@pytest.mark.parametrize("ratio", [1e5, 1e7])
def test_a_surface_is_made_where_effects_are_far_above_the_residuals(ratio):
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(12), 5)
    y = ratio * rng.normal(size=12)[g] + rng.normal(size=60)
    found = hb.likelihood_surface(hb.lmer("y ~ 1 + (1 | g)", {"y": y, "g": g}), n=40)
    assert np.isfinite(found.ml).all()
    assert 0 <= found.ml.min() < 0.5
