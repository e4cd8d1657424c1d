"""PyMC works on our draws: predictions, densities and new rows, from a model and its trace."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from tests.results.posteriors import SETTINGS, known_draws, known_posterior

pm = pytest.importorskip("pymc")


def python_mode():
    """PyTensor without a compiler: there is little to compute and much to compile."""
    from pytensor.compile.mode import Mode

    return {"mode": Mode(linker="py", optimizer="fast_compile")}


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    g = np.arange(48) % 6
    data = pd.DataFrame({"g": g, "h": np.arange(48) // 8, "x": 5 + rng.normal(size=48)})
    data["w"] = rng.uniform(0.5, 2, 48)
    noise = rng.normal(size=48) + 2 * rng.normal(size=6)[data.h]
    slopes = 3 + rng.normal(size=6)[g]
    data["y"] = 40 + slopes * data.x + 4 * rng.normal(size=6)[g] * data.w + noise
    data["count"] = rng.poisson(3, 48)
    return data


MODELS = {
    "intercepts": ("y ~ x + (1 | g)", {}),
    "correlated slopes": ("y ~ x + (x | g)", {}),
    "independent slopes": ("y ~ x + (x || g)", {}),
    "nested": ("y ~ x + (1 | h/g)", {}),
    "crossed": ("y ~ x + (x | g) + (1 | h)", {}),
    "two terms of a factor": ("y ~ x + (1 + w | g) + (0 + x | g)", {}),
    "known sds": ("y ~ x + (1 | g)", {"known_sd": "w"}),
    "weights": ("y ~ x + (x | g)", {"weights": "w"}),
    "offset": ("y ~ 1 + (1 | g)", {"offset": "w"}),
    "no fixed effects": ("y ~ 0 + (x | g)", {}),
    "no groups": ("y ~ x", {}),
    "mixed priors": ("y ~ x + w + (x | g)", {"priors": {
        "x": hb.StudentT(4, 0, 9), "sd(x|g)": hb.Exponential(1)}}),
    "poisson": ("count ~ x + (x | g)", {"family": "poisson"}),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(MODELS))
def fitted(request):
    formula, options = MODELS[request.param]
    model = hb.Model(formula, frame(), **options)
    with warnings.catch_warnings():  # an sd of zero is as good a value as any
        warnings.simplefilter("ignore")
        if model.spec.family.is_linear:
            return known_posterior(model)
        # any draws will do: those of a Gaussian model of the same design
        draws = known_draws(hb.Model(formula.replace("count", "y"), frame()).fit("reml"))
    draws = replace(draws, beta=draws.beta / 40, sigma=None, sampler="nuts")
    return posterior_fit(model.spec, draws, settings=SETTINGS, findings=())


def predicted(post, built, names, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "implicitly frozen" would mean that something is missing
        warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS")
        return pm.sample_posterior_predictive(
            post.idata,
            model=built,
            var_names=names,
            random_seed=1,
            progressbar=False,
            compile_kwargs=python_mode(),
            **options,
        )


@pytest.mark.parametrize("parameterization", ["noncentered", "centered"])
def test_pymc_predicts_from_the_posterior_and_not_from_the_prior(fitted, parameterization):
    built = fitted.model.to_pymc(parameterization)
    (response,) = [rv.name for rv in built.observed_RVs]
    assert {rv.name for rv in built.free_RVs} <= set(fitted.idata.posterior.data_vars)
    found = predicted(fitted, built, ["eta", response]).posterior_predictive
    draws, design = fitted.draws, fitted.design
    eta = draws.beta @ design.X[:, fitted.kept].T
    eta = eta + (0.0 if design.offset is None else design.offset)
    for factor in design.factors:
        eta = eta + (draws.b[factor.name][:, :, factor.codes] * factor.z).sum(axis=-1)
    np.testing.assert_allclose(found["eta"], eta, rtol=1e-10, atol=1e-10)
    ours = fitted.to_datatree("posterior_predictive", random_seed=2).posterior_predictive[response]
    spread = np.sqrt(((found[response] - eta) ** 2).mean() / ((ours - eta) ** 2).mean())
    if fitted.family == "gaussian":  # thousands of responses each: 1 % of Monte-Carlo error
        assert float(spread) == pytest.approx(1, abs=0.06)


def test_densities_of_pymc_are_those_of_idata(fitted):
    built = fitted.model.to_pymc()
    tree = fitted.idata.copy()
    for name in ("log_likelihood", "log_prior"):
        del tree[name]
    options = {"model": built, "progressbar": False, "compile_kwargs": python_mode()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS")
        tree = pm.stats.compute_log_likelihood(tree, **options)
        tree = pm.stats.compute_log_prior(tree, **options)
    (response,) = [rv.name for rv in built.observed_RVs]
    np.testing.assert_allclose(
        tree.log_likelihood[response], fitted.log_likelihood(), rtol=1e-8, atol=1e-8
    )
    for name, theirs in tree.log_prior.data_vars.items():
        if name.startswith("b_"):  # no prior but given the sds: idata leaves it out
            continue
        ours = fitted.idata.log_prior[name]
        total = ours.sum(dim=ours.dims[2:]) - theirs.sum(dim=theirs.dims[2:])
        np.testing.assert_allclose(total, 0, atol=1e-7, err_msg=name)


def test_new_rows_are_predicted_after_set_data():
    post = known_posterior(hb.Model("y ~ x + (x | g)", frame()))
    built = post.model.to_pymc()
    X = np.array([[1.0, 4.0], [1.0, 7.0], [1.0, 7.0]])
    codes = np.array([0, 5, 2])
    with built:
        pm.set_data(
            {"X": X, "z_g": X, "code_g": codes, "y_data": np.zeros(3)}, coords={"obs": range(3)}
        )
    found = predicted(post, built, ["eta", "y"], predictions=True).predictions
    b = post.draws.b["g"][:, :, codes]
    expected = post.draws.beta @ X.T + (b * X).sum(axis=-1)
    np.testing.assert_allclose(found["eta"], expected, rtol=1e-10)
    assert found["y"].shape == expected.shape
    away = (found["y"] - expected) / post.draws.sigma[..., None]
    assert float(away.std()) == pytest.approx(1, abs=0.2)


def test_a_trace_serves_every_parameterisation():
    post = known_posterior(hb.Model("y ~ x + (x | g)", frame()))
    free = [
        {rv.name for rv in post.model.to_pymc(name).free_RVs}
        for name in ("noncentered", "centered", "marginal")
    ]
    assert free[0] == free[1] == free[2] | {"b_g"} <= set(post.idata.posterior.data_vars)


def test_a_term_can_be_added_by_hand():
    model = hb.Model("y ~ x + (1 | g)", frame())
    built = model.to_pymc(add=lambda own: pm.Normal("bump", 0, 1) * np.arange(48.0))
    assert "bump" in [rv.name for rv in built.free_RVs]
    plain = model.to_pymc()
    point = {rv.name: np.full(rv.shape.eval(), 0.5) for rv in plain.free_RVs}
    values = [
        m.compile_fn(m["eta"], inputs=m.free_RVs, mode=python_mode()["mode"],
                     on_unused_input="ignore", point_fn=False)
        for m in (plain, built)
    ]  # fmt: skip
    without = values[0](*[point[rv.name] for rv in plain.free_RVs])
    with_it = values[1](*[(point | {"bump": np.asarray(2.0)})[rv.name] for rv in built.free_RVs])
    np.testing.assert_allclose(with_it - without, 2 * np.arange(48))
    with pytest.raises(hb.NotSupportedError, match="can't add= to the linear predictor"):
        model.to_pymc("marginal", add=lambda own: 0.0)


TRANSFORMED = {
    "centred intercept": "y ~ x + w + (x | g)",
    "three columns": "y ~ 0 + x + (x + w | g)",
    "blocks": "y ~ x + (1 + w | g) + (0 + x | g)",
}


@pytest.mark.parametrize("formula", TRANSFORMED.values(), ids=TRANSFORMED)
def test_jacobians_of_the_value_transforms_are_the_derivatives(formula):
    built = hb.Model(formula, frame()).to_pymc()
    rng = np.random.default_rng(3)
    inputs = {rv: np.asarray(rng.uniform(0.5, 1.5, rv.shape.eval())) for rv in built.free_RVs}
    for rv in built.free_RVs:
        if rv.name.startswith("corr_"):
            inputs[rv] = np.full(inputs[rv].shape, 0.2) + 0.8 * np.eye(len(inputs[rv]))
    for rv in built.free_RVs:
        transform = built.rvs_to_transforms[rv]
        if type(transform).__name__ not in ("Coefficients", "Correlations", "Rotated"):
            continue
        value = built.rvs_to_values[rv]
        given = [other for other in built.free_RVs if other is not rv]
        mode = python_mode()["mode"]
        back = built.compile_fn(
            [transform.backward(value, *rv.owner.inputs),
             transform.log_jac_det(value, *rv.owner.inputs)],
            inputs=[value, *given], mode=mode, on_unused_input="ignore", point_fn=False,
        )  # fmt: skip
        rest = [inputs[other] for other in given]
        shape = tuple(
            transform.forward(rv, *rv.owner.inputs).shape.eval(
                {rv: inputs[rv]} | dict(zip(given, rest, strict=True)),
                mode=mode,
                on_unused_input="ignore",
            )
        )
        at = rng.normal(0, 0.4, shape)
        columns = []
        for k in range(at.size):
            step = np.zeros(at.size)
            step[k] = 1e-6
            up, down = (back(at + s * step.reshape(shape), *rest)[0] for s in (1, -1))
            columns.append((up - down).ravel() / 2e-6)
        J = np.stack(columns, axis=1)
        if type(transform).__name__ == "Correlations":
            q = int(np.sqrt(J.shape[0]))
            J = J.reshape(q, q, -1)[np.tril_indices(q, -1)]
            J = J[np.abs(J).max(axis=1) > 0]
        expected = np.linalg.slogdet(J)[1]
        assert np.sum(back(at, *rest)[1]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_prior_draws_of_pymc_are_those_of_the_priors():
    priors = {"x": hb.StudentT(5, 2, 1), "sd(x|g)": hb.Exponential(1), "cor": hb.LKJ(3)}
    model = hb.Model("y ~ x + (1 + x + w | g)", frame(), priors=priors)
    built = model.to_pymc()
    names = ["beta", "sd_g", "corr_g", "b_g"]
    beta, sd, corr, b = pm.draw(
        [built[name] for name in names], draws=600, random_seed=1, **python_mode()
    )
    laws = model.spec.priors
    alpha = beta[:, 0] + beta[:, 1] * laws.centre[1]
    for values, law in (
        (alpha, laws.beta[0]),
        (beta[:, 1], laws.beta[1]),
        (sd[:, 1], laws.sd[0][1]),
    ):
        below = [(values < law.quantile(p)).mean() for p in (0.25, 0.5, 0.75)]
        np.testing.assert_allclose(below, [0.25, 0.5, 0.75], atol=0.09)  # four errors of 600 draws
    at = hb.LKJ(3).quantile(0.75, size=3)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert (corr[:, i, j] < at).mean() == pytest.approx(0.75, abs=0.08)
    root = sd[:, :, None] * np.linalg.cholesky(corr)
    u = np.linalg.solve(root, np.swapaxes(b, 1, 2))
    assert u.std() == pytest.approx(1, abs=0.05)
    assert np.abs(np.corrcoef(np.swapaxes(u, 0, 1).reshape(3, -1)) - np.eye(3)).max() < 0.1


def test_pymc_predicts_new_levels_from_a_marginal_model():
    """Its likelihood once was a potential: no response to predict, and no log likelihood."""
    model = hb.Model("y ~ x + (x | g) + (1 | h)", frame(), weights="w")
    with warnings.catch_warnings():  # an estimate on the boundary is as good a value as any
        warnings.simplefilter("ignore")
        post = known_posterior(model)
    built = model.to_pymc("marginal")
    found = predicted(post, built, None).posterior_predictive["y"]
    assert found.dims == ("chain", "draw", "obs")
    design, draws = model.design, post.draws
    expected = (draws.beta @ design.X.T).reshape(-1, 48)
    variance = draws.sigma.reshape(-1, 1) ** 2 / design.weights
    for factor in design.factors:
        sd = draws.sd[factor.name]
        root = sd[..., None] * draws.corr.get(factor.name, np.eye(sd.shape[-1]))
        covariance = (root * sd[..., None, :]).reshape(-1, *root.shape[-2:])
        variance = variance + np.einsum("na,sab,nb->sn", factor.z, covariance, factor.z)
    z = (found.to_numpy().reshape(-1, 48) - expected) / np.sqrt(variance)
    # rows of a draw share effects: a few independent numbers each
    assert abs(z.mean()) < 4 / np.sqrt(z.shape[0])
    assert (z**2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / z.shape[0]))
    tree = post.idata.copy()
    del tree["log_likelihood"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS")
        tree = pm.stats.compute_log_likelihood(
            tree, model=built, progressbar=False, compile_kwargs=python_mode()
        )
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw")
    from hierbayes.priors.distributions import LOG_2PI

    sigma = draws.sigma[0, 0]
    V = np.diag(sigma**2 / design.weights)
    for factor in design.factors:
        sd = draws.sd[factor.name][0, 0]
        corr = draws.corr[factor.name][0, 0] if factor.name in draws.corr else np.eye(1)
        same = factor.codes[:, None] == factor.codes
        V += same * (factor.z @ (sd[:, None] * corr * sd) @ factor.z.T)
    left = design.y - design.X @ draws.beta[0, 0]
    exact = -(48 * LOG_2PI + np.linalg.slogdet(V)[1] + left @ np.linalg.solve(V, left)) / 2
    assert float(tree["log_likelihood"]["y"][0, 0]) == pytest.approx(exact, rel=1e-9)
