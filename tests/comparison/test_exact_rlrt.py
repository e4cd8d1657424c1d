"""The exact null distribution of the likelihood ratio of one variance component."""

import warnings

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.comparison.exact_rlrt import null_draws, spectrum_of
from hierbayes.gaussian.kernel import method_kernel
from hierbayes.gaussian.marginal import evaluate, with_responses
from hierbayes.gaussian.products import products_of
from hierbayes.gaussian.responses import Responses

GRID = np.exp(np.linspace(np.log(1e-3), np.log(1e2), 400))  # of theta


def quiet(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)


def brute_force(fit, nsim, seed):
    """Likelihood ratios of responses simulated without the variance, each by a grid of thetas."""
    rng = np.random.default_rng(seed)
    design, kernel = fit.design, fit.kernel
    scale = 1.0 if fit.weights is None else 1 / np.sqrt(fit.weights)
    found = np.empty(nsim)
    for i in range(nsim):
        y = rng.standard_normal(design.y.size) * scale
        own = design.with_response(y)
        products = products_of(own, weights=fit.weights, anchor=kernel.products.anchor)
        one = with_responses(
            kernel,
            Responses(
                np.broadcast_to(products.xy, (GRID.size + 1, products.xy.size)),
                np.full(GRID.size + 1, products.yy),
                tuple(np.broadcast_to(zy, (GRID.size + 1, *zy.shape)) for zy in products.zy),
            ),
        )
        values = evaluate(one, np.append(0.0, GRID)[:, None]).criterion
        found[i] = max(values[0] - values[1:].min(), 0.0)
    return found


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(
    ("formula", "data", "options"),
    [
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff", {}),
        ("distance ~ age * Sex + (0 + age | Subject)", "Orthodont", {}),
        ("Reaction ~ Days + (1 | Subject)", "sleepstudy_na", {"weights": "1/(1 + Days)"}),
        ("effect ~ 1 + (1 | school)", "eight_schools", {"known_sd": "se"}),
    ],
)
def test_draws_are_those_of_a_brute_bootstrap(formula, data, options, method):
    fit = quiet(formula, hb.load_dataset(data), reml=method == "reml", **options)
    brute = brute_force(fit, 800, seed=1)
    exact = null_draws(spectrum_of(fit.kernel), 20_000, np.random.default_rng(2))
    zero, tiny = (exact < 1e-4).mean(), (brute < 1e-4).mean()
    assert tiny == pytest.approx(zero, abs=4 * np.sqrt(zero * (1 - zero) / 800))
    positive = stats.ks_2samp(brute[brute > 1e-4], exact[exact > 1e-4])
    assert positive.pvalue > 1e-3


def test_balanced_one_way_in_closed_form():
    # zero exactly when the F ratio is at most 1 (REML) or J / (J - 1) (ML)
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    for method, bound in (("reml", 1.0), ("ml", 6 / 5)):
        kernel = method_kernel(fit.kernel, method)
        draws = null_draws(spectrum_of(kernel), 40_000, np.random.default_rng(3))
        expected = stats.f.cdf(bound, 5, 24)
        assert (draws < 1e-6).mean() == pytest.approx(expected, abs=0.01)


def test_the_half_half_mixture_is_its_limit():
    rng = np.random.default_rng(4)
    data = {"y": rng.normal(size=1200), "g": np.repeat(np.arange(400), 3)}
    draws = hb.exact_rlrt(hb.lmer("y ~ 1 + (1 | g)", data), nsim=20_000, random_seed=5).null
    assert (draws < 1e-6).mean() == pytest.approx(0.5, abs=0.03)
    assert np.quantile(draws, 0.95) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=0.15)


def test_the_test_of_a_fit():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    found = hb.exact_rlrt(fit, random_seed=1)
    assert found.statistic == pytest.approx(6.36895531362114, rel=1e-6)  # lmerTest::ranova
    assert found.p_value == (1 + (found.null >= found.statistic).sum()) / 10_001
    assert found.to_frame().loc[0, "p_value"] == found.p_value
    again = hb.exact_rlrt(fit, random_seed=1)
    assert np.array_equal(again.null, found.null)
    assert not found.null.flags.writeable


def test_an_ml_fit_is_fitted_again_and_says_so():
    ml = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), reml=False)
    found = hb.exact_rlrt(ml, nsim=100, random_seed=1)
    assert found.refitted and found.method == "reml"
    assert "fitted again by REML" in str(found) and "fitted again by REML" in found._repr_html_()
    sibling = hb.exact_lrt(ml, nsim=100, random_seed=1)
    assert sibling.statistic == pytest.approx(5.40282609364596, rel=1e-6)
    assert "Exact likelihood ratio test" in str(sibling)


def test_a_variance_estimated_as_zero_has_p_one():
    with pytest.warns(hb.BoundaryWarning):
        fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    found = hb.exact_rlrt(fit, nsim=200, random_seed=1)
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_bad_input():
    sleep = hb.load_dataset("sleepstudy")
    with pytest.raises(hb.NotSupportedError, match=r"has 2.*pb_test"):
        hb.exact_rlrt(hb.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    with pytest.raises(hb.NotSupportedError, match="no random effects"):
        hb.exact_rlrt(hb.lmer("Reaction ~ Days", sleep))
    fit = hb.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(hb.OptionError, match="nsim='many'"):
        hb.exact_rlrt(fit, nsim="many")
    with pytest.raises(hb.OptionError, match="it got int"):
        hb.exact_rlrt(3)


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
@pytest.mark.parametrize("test", [hb.exact_rlrt, hb.exact_lrt])
def test_a_variance_that_the_fixed_part_explains_is_not_tested(test):
    """Once a ValueError of numpy: eigenvalues of rounding were compared with each other."""
    data = {"g": list("dbacbaba"), "f": list("21031010")}
    data["y"] = [2.2, 1.4, 1.9, 3.2, 1.5, 1.4, 0.8, 1.1]
    for formula in ("y ~ f + (1 | g)", "y ~ f + g + (1 | g)"):
        with pytest.raises(hb.DataError, match="nothing to test"):
            test(hb.lmer(formula, data), nsim=20, random_seed=1)
