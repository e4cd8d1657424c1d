"""Tests of many fits at once are those of each fit alone."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.intervals.many_tests import satterthwaite_tests, t_quantile
from hierbayes.intervals.resampling import ResponseDraws
from hierbayes.intervals.satterthwaite import satterthwaite_df
from hierbayes.likelihood.refits import refit_many

MODELS = {
    "slopes": "Reaction ~ Days + (Days | Subject)",
    "without correlation": "Reaction ~ Days + (Days || Subject)",
    "no effects": "Reaction ~ Days",
    "crossed": "Reaction ~ Days + (Days | Subject) + (1 | day)",
}


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("name", MODELS)
def test_standard_errors_and_df_are_those_of_each_fit(name):
    formula = MODELS[name]
    sleep = hb.load_dataset("sleepstudy").assign(day=lambda t: t["Days"] % 5)
    # few subjects with little variance: some of the fits are on the boundary
    fit = hb.lmer(formula, sleep[sleep["Subject"].isin(sleep["Subject"].unique()[:6])])
    Y = ResponseDraws(fit, "parametric").draw(8, np.random.default_rng(2))
    Y[:, 4:] = Y[:, 4:] * 0.2 + 40 * np.random.default_rng(3).standard_normal((Y.shape[0], 4))
    responses = ResponseProducts(fit.kernel.products, fit.design, None).of(Y)
    start = fit.at.theta[0]
    found = refit_many(fit.kernel, responses, design=fit.design, start=start)
    if "Subject" in formula:
        assert found.is_singular[4:].any()
    x = fit.kernel.in_basis_batch(found.theta)
    L = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
    tests = satterthwaite_tests(fit.kernel, responses, x, L)
    for t in range(8):
        alone = fit.refit(Y[:, t])
        np.testing.assert_allclose(tests.estimate[t], L @ alone.beta, rtol=1e-5)
        np.testing.assert_allclose(tests.std_error[t][:2], alone.std_errors, rtol=1e-4)
        np.testing.assert_allclose(tests.df[t], satterthwaite_df(alone, L), rtol=2e-3)


def test_quantiles_of_infinite_and_unknown_df():
    found = t_quantile(np.array([10.0, np.inf, np.nan]), 0.975)
    np.testing.assert_allclose(found[:2], [2.2281389, 1.9599640], atol=1e-6)
    assert np.isnan(found[2])
