"""NUTS: what needs no sampling first, then one posterior whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes.effect_draws import draw_effects
from hierbayes.bayes.nuts import NutsSettings, nuts_findings, sample_nuts, start_point
from hierbayes.bayes.posterior import _start
from hierbayes.bayes.pymc_graph import graph_key
from hierbayes.bayes.pymc_model import build_model
from hierbayes.bayes.starting_points import free_values, inside, start_from_priors

pytest.importorskip("pymc")

N_DRAWS = 4000
MCSE = 4.5  # draws from the right distribution stay inside of this many standard errors


def correlated(seed: int = 1, *, scale: float = 1.0) -> pd.DataFrame:
    """40 groups of 6 rows; sds 1 and 0.8, correlation 0.8, residual sd 0.5."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(40), 6)
    x = rng.uniform(-1, 1, g.size)
    b = rng.standard_normal((40, 2)) @ np.array([[1.0, 0.64], [0.0, 0.48]])
    y = 2 + x + b[g, 0] + b[g, 1] * x + 0.5 * rng.standard_normal(g.size)
    return pd.DataFrame({"y": scale * y, "x": x, "g": g})


PRIORS = {"b": hb.Normal(0, 2), "(Intercept)": hb.Normal(0, 5), "sd": hb.HalfNormal(2)}


def pymc_model(model: hb.Model, **options):
    return build_model(model.spec, **options)


def test_models_of_other_data_and_priors_share_what_is_compiled():
    first = hb.Model("y ~ x + (x | g)", correlated(1))
    other = hb.Model("y ~ x + (x | g)", correlated(2), priors={"x": hb.Normal(0, 3)})
    keys = [graph_key(pymc_model(model, priors_as_data=True)) for model in (first, other)]
    assert keys[0] == keys[1]


def test_models_of_other_structure_do_not_share():
    data = correlated()
    models = [
        pymc_model(hb.Model("y ~ x + (x | g)", data), priors_as_data=True),
        pymc_model(hb.Model("y ~ x + (x || g)", data), priors_as_data=True),
        pymc_model(hb.Model("y ~ x + (1 | g)", data), priors_as_data=True),
        pymc_model(
            hb.Model("y ~ x + (x | g)", data), priors_as_data=True, parameterization="centered"
        ),
        pymc_model(hb.Model("y ~ x + (x | g)", data[data.g < 30]), priors_as_data=True),
        pymc_model(
            hb.Model("y ~ x + (x | g)", data, priors={"sd": hb.HalfNormal(1)}), priors_as_data=True
        ),
        pymc_model(hb.Model("y ~ x + (x | g)", data)),  # priors are constants
        pymc_model(
            hb.Model("y ~ x + (x | g)", data, priors={"cor": hb.LKJ(4)}), priors_as_data=True
        ),
    ]
    assert len({graph_key(model) for model in models}) == len(models)


@pytest.mark.parametrize("parameterization", ["noncentered", "centered", "marginal"])
@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ 0 + x + (x || g)"])
def test_start_is_a_point_of_the_model(formula, parameterization):
    from pytensor.compile.mode import Mode

    model = hb.Model(formula, correlated())
    built = pymc_model(model, parameterization=parameterization)
    start = inside(start_from_priors(model.design, model.spec.priors), model.spec.priors)
    values = free_values(model.design, start)
    assert {rv.name for rv in built.free_RVs} <= set(values)
    point = start_point(built, {name: at.value for name, at in values.items()})
    at = {built.rvs_to_values[rv].name: point[rv.name] for rv in built.free_RVs}
    assert np.isfinite(built.compile_logp(mode=Mode(linker="py", optimizer="fast_compile"))(at))
    assert np.exp(point["sigma"]) == pytest.approx(start.sigma)


def test_divergences_are_a_finding_that_names_the_place():
    settings = NutsSettings(draws=100, chains=2)
    sd = np.linspace(0.1, 2, 200).reshape(2, 100, 1)
    stats = {"diverging": sd[..., 0] < 0.3, "tree_depth": np.full((2, 100), 4)}
    (found,) = nuts_findings(stats, {"Subject": sd}, settings)
    assert found.code == "divergences"
    assert "sd of Subject is small" in found.sentence
    assert found.numbers["divergences"] == int((sd < 0.3).sum())
    assert nuts_findings({"diverging": sd[..., 0] < 0}, {"Subject": sd}, settings) == ()


def test_deep_trees_are_a_finding():
    settings = NutsSettings(draws=100, chains=2)
    (found,) = nuts_findings({"tree_depth": np.full((2, 100), 10)}, {}, settings)
    assert found.code == "tree_depth"


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("y ~ x + (x | g)", "correlated"),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    ],
)
def test_effects_given_the_rest_have_their_moments(formula, data):
    """Against the dense conditional Gaussian: means and sds of 4,000 draws."""
    frame = correlated() if data == "correlated" else hb.load_dataset(data)
    model = hb.Model(formula, frame)
    design = model.design
    rng = np.random.default_rng(2)
    beta, sigma = rng.normal(size=model.spec.kept_columns.size), 0.7
    roots = [np.tril(rng.uniform(0.4, 1, (f.z.shape[1],) * 2)) for f in design.factors]
    drawn = draw_effects(
        model.spec.kernel("reml"),
        beta=np.tile(beta, (N_DRAWS, 1)),
        sigma=np.full(N_DRAWS, sigma),
        roots=[np.tile(root, (N_DRAWS, 1, 1)) for root in roots],
        rng=rng,
    )
    n = len(design.y)
    indicators = [(f.codes[:, None] == np.arange(f.levels.size))[..., None] for f in design.factors]
    blocks = [
        (on * f.z[:, None, :]).reshape(n, -1)
        for on, f in zip(indicators, design.factors, strict=True)
    ]
    Z = np.hstack(blocks)
    precision = np.zeros((Z.shape[1],) * 2)
    start = 0
    for f, root in zip(design.factors, roots, strict=True):
        block = np.kron(np.eye(f.levels.size), np.linalg.inv(root @ root.T))
        precision[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    precision += Z.T @ Z / sigma**2
    covariance = np.linalg.inv(precision)
    residual = design.y - design.X[:, model.spec.kept_columns] @ beta
    mean = covariance @ (Z.T @ residual) / sigma**2
    flat = np.hstack([b.reshape(N_DRAWS, -1) for b in drawn])
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(flat.mean(axis=0) - mean) < MCSE * sd / np.sqrt(N_DRAWS)).all()
    assert flat.std(axis=0) == pytest.approx(sd, rel=MCSE / np.sqrt(2 * N_DRAWS))


@pytest.mark.mcmc
def test_strong_correlation_is_recovered_near_reml():
    """The case that models of independent effects get wrong; seeds are honoured."""
    model = hb.Model("y ~ x + (x | g)", correlated(), priors=PRIORS)
    built = pymc_model(model, priors_as_data=True)
    start = start_from_priors(model.design, model.spec.priors)
    values = free_values(model.design, start)
    settings = NutsSettings(draws=500, tune=500, chains=4, random_seed=3, progress=False)
    draws = sample_nuts(built, model.design, settings, start=values)
    short = replace(settings, draws=10, tune=20)
    once, again = (sample_nuts(built, model.design, short, start=values) for _ in range(2))
    assert np.array_equal(once.beta, again.beta)
    assert draws.beta.shape == (4, 500, 2)
    assert draws.b["g"].shape == (4, 500, 40, 2)
    reml = model.fit()
    corr = draws.corr["g"][..., 0, 1].ravel()
    assert corr.mean() == pytest.approx(reml.varcorr().terms[0].corr[0, 1], abs=0.1)
    assert np.quantile(corr, 0.025) < 0.8 < np.quantile(corr, 0.975)
    assert draws.beta.mean(axis=(0, 1)) == pytest.approx(reml.beta, abs=0.1)
    assert draws.sigma.mean() == pytest.approx(reml.sigma, rel=0.05)
    b = draws.b["g"].mean(axis=(0, 1))
    assert np.corrcoef(b.ravel(), reml.ranef()["g"].to_numpy().ravel())[0, 1] > 0.99
    assert {"diverging", "tree_depth", "acceptance_rate"} <= set(draws.sample_stats)


@pytest.mark.mcmc
@pytest.mark.slow
def test_marginal_and_noncentered_posteriors_agree():
    model = hb.Model("y ~ x + (x | g)", correlated(), priors=PRIORS)
    start = start_from_priors(model.design, model.spec.priors)
    values = free_values(model.design, start)
    settings = NutsSettings(draws=1000, chains=4, random_seed=3, progress=False)
    found = [
        sample_nuts(
            pymc_model(model, parameterization=name),
            model.design,
            settings,
            start=values,
            kernel=model.spec.kernel("reml") if name == "marginal" else None,
        )
        for name in ("noncentered", "marginal")
    ]
    for a, b in zip(*([d.beta, d.sd["g"], d.b["g"][:, :, :3]] for d in found), strict=True):
        sd = a.std(axis=(0, 1))
        # 400 effective draws of 4,000 at least, on both sides
        assert (np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) < 4 * sd * np.sqrt(2 / 400)).all()


ONE_SIDED = {
    "half-normal": {"x": hb.HalfNormal(2)},
    "uniform": {"x": hb.Uniform(0, 3), "(Intercept)": hb.Uniform(-9, 9)},
    "half-flat": {"x": hb.HalfFlat()},
    "all of a kind": {"x": hb.HalfNormal(2), "(Intercept)": hb.HalfNormal(5)},
}


@pytest.mark.parametrize("priors", ONE_SIDED.values(), ids=ONE_SIDED)
def test_nuts_starts_inside_one_sided_priors_of_coefficients(priors):
    from pytensor.compile.mode import Mode

    frame = correlated()
    frame["y"] = -frame["y"]  # estimates lie where these priors have no density
    model = hb.Model("y ~ x + (x | g)", frame, priors=priors)
    built = pymc_model(model)
    values = free_values(model.design, _start(model.spec))
    point = start_point(built, {name: at.value for name, at in values.items()})
    assert all(np.isfinite(value).all() for value in point.values())
    at = {built.rvs_to_values[rv].name: point[rv.name] for rv in built.free_RVs}
    assert np.isfinite(built.compile_logp(mode=Mode(linker="py", optimizer="fast_compile"))(at))


@pytest.mark.mcmc
@pytest.mark.slow
def test_a_one_sided_prior_cuts_the_posterior_of_the_whole_one():
    """HalfNormal is Normal above zero, so its posterior is that of the Normal, cut at zero."""
    rng = np.random.default_rng(8)
    g = np.arange(80) % 8
    data = {"y": rng.normal(size=8)[g] + rng.normal(size=80), "x": rng.normal(size=80), "g": g}
    whole = hb.Model("y ~ x + (1 | g)", data, priors={"x": hb.Normal(0, 2)}).sample(
        draws=10_000, random_seed=1
    )
    post = hb.Model("y ~ x + (1 | g)", data, priors={"x": hb.HalfNormal(2)}).sample(
        draws=2000, sampler="nuts", random_seed=1, progress=False
    )
    cut = whole.draws.beta[..., 1].ravel()
    cut = cut[cut > 0]
    own = post.draws.beta[..., 1].ravel()
    assert own.min() > 0
    # about 2,000 effective draws: four errors of a mean
    assert own.mean() == pytest.approx(cut.mean(), abs=4 * cut.std() / np.sqrt(2000))
