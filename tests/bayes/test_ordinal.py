"""The posterior of ordered categories: its density, and all that follows from draws."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.special import logsumexp

import hierbayes as hb
from hierbayes.bayes.generalised_density import generalised_target, start_of
from hierbayes.generalised.conditional import conditional

NAMES = ["never", "rarely", "often", "always"]


def frame(n: int = 96) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, x = np.arange(n) % 8, rng.normal(size=n)
    y = np.digitize(0.9 * x + 0.8 * rng.normal(size=8)[g] + rng.logistic(size=n), [-1, 0.3, 1.6])
    y = pd.Categorical.from_codes(y, NAMES, ordered=True)
    return pd.DataFrame({"y": y, "x": x + 10, "g": g})


def model_of(family: str = "cumulative") -> hb.Model:
    return hb.Model("y ~ x + (1 | g)", frame(), family=family)


@pytest.fixture(scope="module")
def post() -> hb.PosteriorFit:
    return model_of().sample(draws=700, chains=2, random_seed=1)


def target_of(model: hb.Model):
    target = generalised_target(conditional(model.design, model.spec.family), model.spec.priors)
    return replace(target, n_points=39)


def near(target, n: int, *, spread: float) -> np.ndarray:
    start = start_of(target)
    return start + spread * np.random.default_rng(4).standard_normal((n, start.size))


@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_the_density_is_that_of_to_pymc_integrated(family: str) -> None:
    pytest.importorskip("pymc")
    from pymc.model.transform.conditioning import remove_value_transforms
    from pytensor.compile.mode import Mode

    model = model_of(family)
    built = model.to_pymc(parameterization="centered")
    built.rvs_to_initial_values = dict.fromkeys(built.rvs_to_initial_values)
    built = remove_value_transforms(built)
    mode = Mode(linker="py", optimizer="fast_compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logps = built.compile_fn(
            [part.sum() if i < 2 else part for i, part in enumerate(
                built.logp(vars=[built[v] for v in ("beta", "sd_g", "threshold", "b_g", "y")],
                           sum=False))],
            inputs=built.value_vars, mode=mode,
        )  # fmt: skip
    target, factor = target_of(model), model.design.factors[0]
    x = start_of(target) + 0.3 * np.random.default_rng(4).standard_normal(
        (3, start_of(target).size)
    )
    (t, w), levels = leggauss(80), factor.levels.size
    for point, found in zip(x, target.log_density(x), strict=True):
        sd = np.exp(point[0])
        given = {
            "sd_g": np.array([sd]),
            "beta": target.beta(point[None])[0],
            "threshold": target.further(point[None])["threshold"][0],
        }
        parts = np.empty((t.size, levels))
        for k, b in enumerate(8 * sd * t):
            of_beta, of_sd, of_cuts, of_b, rows = logps(given | {"b_g": np.full((levels, 1), b)})
            parts[k] = np.ravel(of_b) + np.bincount(factor.codes, weights=np.ravel(rows))
        integrated = logsumexp(parts + np.log(8 * sd * w)[:, None], axis=0).sum()
        jacobian = point[0] + np.linalg.slogdet(target.model.x_basis)[1]
        if family == "cumulative":  # of the steps to their logs
            jacobian += target.phi(point[None])[0, 1:].sum()
        expected = of_beta + of_sd + np.sum(of_cuts) + integrated + jacobian
        assert found == pytest.approx(expected, abs=1e-6)


def test_it_needs_no_compiler_and_agrees_with_the_likelihood(post) -> None:
    assert post.sampler == "collapsed" and np.isfinite(post.log_marginal_likelihood)
    fit = post.model.fit()
    assert abs(post.beta[0] - fit.beta[0]) < 0.5 * fit.std_errors[0]
    found = post.draws.family["threshold"].mean(axis=(0, 1))
    cuts = np.array(list(fit.further_parameters.values()))
    assert (np.abs(found - cuts[:, 0]) < 0.5 * cuts[:, 1]).all()
    assert (np.diff(post.draws.family["threshold"], axis=-1) > 0).all()


def test_probabilities_of_categories(post) -> None:
    shares = post.predict(type="probability")
    assert shares.columns.tolist() == NAMES
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(post.predict(), shares @ [1, 2, 3, 4])
    np.testing.assert_allclose(post.fitted(), post.predict())
    np.testing.assert_allclose(shares, post.model.fit().predict(type="probability"), atol=0.12)
    new = frame(3).assign(g=[100, 100, 1])
    limits = post.predict(
        new, type="probability", new_levels="sample", interval="confidence", random_seed=1
    )
    assert limits.index.names == ["row", "category"] and len(limits) == 12
    with pytest.raises(hb.OptionError, match="one category each"):
        post.predict(type="probability", interval="prediction")


def test_new_categories_have_the_predicted_shares(post) -> None:
    drawn = post.to_datatree("posterior_predictive", random_seed=1)["posterior_predictive"]["y"]
    flat = drawn.to_numpy().reshape(1400, 96)
    found = np.stack([(flat == k).mean(axis=0) for k in (1, 2, 3, 4)], axis=1)
    shares = post.predict(type="probability").to_numpy()
    error = np.sqrt(shares * (1 - shares) / 1400)
    assert (np.abs(found - shares) < 4.5 * error + 1e-3).all()
    assert set(np.unique(post.simulate(3, random_seed=1))) <= {1, 2, 3, 4}


def test_pointwise_densities_leave_one_out_and_checks(post) -> None:
    shares = post.draws.family["threshold"]
    assert shares.shape == (2, 700, 3)
    log_likelihood = post.log_likelihood()
    assert log_likelihood.shape == (2, 700, 96) and (log_likelihood < 0).all()
    assert np.isfinite(hb.loo(post).elpd)
    assert "uniform" in str(hb.check(post, random_seed=1))
    table = post.tidy()
    assert {"threshold[1]", "threshold[2]", "threshold[3]"} <= set(table["term"])


def test_pymc_predicts_the_same_categories(post) -> None:
    pm = pytest.importorskip("pymc")
    from pytensor.compile.mode import Mode

    quick = {"mode": Mode(linker="py", optimizer="fast_compile")}
    with post.model.to_pymc():
        found = pm.sample_posterior_predictive(
            post.idata.isel(draw=slice(0, 100)),
            random_seed=1, progressbar=False, compile_kwargs=quick,
        )  # fmt: skip
    drawn = np.asarray(found["posterior_predictive"]["y"]).reshape(200, 96)
    shares = post.predict(type="probability").to_numpy()
    found = np.stack([(drawn == k).mean(axis=0) for k in range(4)], axis=1)
    assert np.abs(found - shares).mean() < 0.04


def test_a_saved_posterior_predicts_as_before(post, tmp_path) -> None:
    post.save(tmp_path / "post.hb")
    again = hb.load(tmp_path / "post.hb")
    pd.testing.assert_frame_equal(
        again.predict(type="probability"), post.predict(type="probability")
    )


def test_thresholds_have_their_prior_at_the_middle_of_predictors() -> None:
    model = model_of()
    drawn = model.prior_predictive(4000, random_seed=1)
    cuts = drawn["prior"]["threshold"].to_numpy()[0]
    assert (np.diff(cuts, axis=1) > 0).all()
    moved = drawn["prior"]["beta"].to_numpy()[0] @ model.spec.priors.centre
    at_means = cuts - moved[:, None]
    assert at_means.mean() == pytest.approx(0, abs=0.1)
    assert at_means.std() == pytest.approx(model.spec.priors.family["threshold"].sigma, rel=0.05)
    y = drawn["prior_predictive"]["y"].to_numpy()
    assert set(np.unique(y)) == {1, 2, 3, 4}
    assert r"\alpha_k - \bar{x}'\beta &\sim" in model.latex()
