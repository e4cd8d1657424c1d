"""``Model.sample``: which sampler samples what, and what is said about it."""

import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes import collapsed, posterior
from hierbayes.results.finding import Finding
from tests.results.posteriors import known_draws

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def model():
    return hb.Model(FORMULA, hb.load_dataset("sleepstudy"))


def test_a_gaussian_model_takes_the_collapsed_sampler(model):
    post = model.sample(draws=250, chains=3, random_seed=1)
    assert (post.sampler, post.n_chains, post.n_draws) == ("collapsed", 3, 750)
    assert post.converged and post.findings == ()
    assert post.log_marginal_likelihood == pytest.approx(-891.8, abs=0.2)
    reml = model.fit("reml")
    assert abs(post.fixef() - reml.fixef()).max() < 0.3 * reml.std_errors.max()


def test_the_same_seed_gives_the_same_draws(model):
    first, second = (model.sample(draws=50, random_seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.draws.b["Subject"], second.draws.b["Subject"])
    assert not np.array_equal(first.beta, model.sample(draws=50, random_seed=8).beta)


def test_the_collapsed_sampler_refuses_what_it_cannot_do():
    rng = np.random.default_rng(1)
    n = 900
    data = {"y": rng.integers(0, 2, n), "x": rng.standard_normal(n), "g": np.arange(n) % 300}
    data["h"] = rng.permutation(np.arange(n) % 250)
    model = hb.Model("y ~ x + (1 | g) + (1 | h)", data, family="bernoulli")
    sentence = "at most 200 effects .* family='bernoulli', link='logit' and 250 such effects"
    with pytest.raises(hb.NotSupportedError, match=sentence) as error:
        model.sample(sampler="collapsed")
    assert 'sampler="nuts"' in str(error.value)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"draws": 0}, "draws=0 must be a whole number of at least 1"),
        ({"chains": 1.5}, "chains=1.5 must be a whole number"),
        ({"tune": -1}, "tune=-1 must be a whole number of at least 0"),
        ({"sampler": "NUTS"}, "sampler='NUTS' is not one of .*did you mean 'nuts'"),
        ({"random_seed": "one"}, "random_seed='one' must be a whole number"),
    ],
)
def test_wrong_options_are_one_sentence(model, option, sentence):
    with pytest.raises(hb.OptionError, match=sentence):
        model.sample(**option)


def test_untrusted_weights_lead_to_nuts_and_are_told(model, monkeypatch):
    finding = Finding("pareto_k", "The proposal misses a part.", "", {"pareto_k": 0.9})
    sampled = model.sample(draws=500, random_seed=1).draws
    bad = type(sampled)(**{**fields(sampled), "findings": (finding,)})
    nuts = type(sampled)(**{**fields(sampled), "sampler": "nuts", "pareto_k": None})
    monkeypatch.setattr(posterior, "_collapsed", lambda *args, **options: bad)
    monkeypatch.setattr(posterior, "_nuts", lambda *args, **options: nuts)
    with pytest.warns(hb.HierBayesWarning, match="The proposal misses a part. So the posterior"):
        post = model.sample(draws=500, random_seed=1)
    assert post.sampler == "nuts" and post.converged
    assert [f.code for f in post.findings] == ["fallback_to_nuts"]
    with pytest.warns(hb.HierBayesWarning, match="The proposal misses a part"):
        kept = model.sample(draws=500, sampler="collapsed", random_seed=1)
    assert kept.sampler == "collapsed" and not kept.converged


def fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_refits_and_updates_sample_as_before(model):
    post = model.sample(draws=60, chains=2, random_seed=1)
    shifted = post.refit(post.design.y + 5, random_seed=1)
    np.testing.assert_allclose(shifted.fixef() - post.fixef(), [5, 0], atol=1e-8)
    small = post.update(". ~ . - Days", random_seed=1)
    assert small.fixef().index.tolist() == ["(Intercept)"] and small.n_draws == 120


def test_a_dropped_column_is_told_and_has_no_draws():
    data = hb.load_dataset("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    model = hb.Model("Reaction ~ Days + twice + (1 | Subject)", data)
    with pytest.warns(hb.RankDeficientWarning):
        post = model.sample(draws=50, random_seed=1)
    assert np.isnan(post.fixef()["twice"]) and post.draws.beta.shape[2] == 2


def test_sampling_leaves_global_random_state_and_the_frame_alone():
    data = hb.load_dataset("Dyestuff")
    before, state = data.copy(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    hb.Model("Yield ~ 1 + (1 | Batch)", data).sample(draws=50, random_seed=1)
    assert data.equals(before) and pickle.dumps(np.random.get_state()) == state  # noqa: NPY002


def test_a_linear_model_without_groups_is_sampled():
    data = hb.load_dataset("sleepstudy")
    model = hb.Model("Reaction ~ Days", data, priors="flat")
    post = model.sample(draws=1000, random_seed=1)
    reml = model.fit("reml")
    np.testing.assert_allclose(post.fixef(), reml.fixef(), atol=0.1 * reml.std_errors.max())
    assert post.log_marginal_likelihood is None and "linear model" in str(post)
    assert "b_" not in str(list(post.idata.posterior.data_vars))


def test_the_collapsed_sampler_is_the_one_of_the_bayes_layer(model):
    draws = collapsed.sample_collapsed(
        model.spec.kernel("reml"), model.spec.priors, model.design, draws=40, random_seed=3
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = model.sample(draws=40, random_seed=3)
    np.testing.assert_array_equal(draws.beta, post.draws.beta)


@pytest.fixture(scope="module")
def nuts(model):
    # the correlation's effective draws are 0.2 to 0.3 of all: 1400 at least, warned of below 400
    return model.sample(sampler="nuts", draws=4000, chains=2, tune=1000, random_seed=1)


@pytest.mark.mcmc
def test_nuts_agrees_with_the_collapsed_sampler(model, nuts):
    exact = model.sample(draws=2000, random_seed=1)
    assert nuts.sampler == "nuts" and nuts.n_draws == 8000
    ours, theirs = exact.tidy(), nuts.tidy()
    errors = np.hypot(exact.diagnostics()["mcse_mean"], nuts.diagnostics()["mcse_mean"])
    assert (abs(ours["estimate"] - theirs["estimate"]).to_numpy() < 4 * errors.to_numpy()).all()


@pytest.mark.mcmc
def test_arviz_reads_what_nuts_sampled(nuts):
    """As it reads the collapsed sampler's draws; see tests/results/test_idata.py."""
    import arviz as az
    import matplotlib.pyplot as plt

    tree = nuts.to_datatree("posterior_predictive", "prior", random_seed=1)
    with warnings.catch_warnings():  # the diagonal of a correlation matrix; a heavy row in LOO
        warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        table = az.summary(tree, ci_prob=0.95, round_to="none")
        assert az.loo(tree).elpd == pytest.approx(-860.5, abs=4)
        sensitivity = az.psense_summary(tree)
    assert table.loc["beta[Days]", "mean"] == pytest.approx(nuts.fixef()["Days"])
    assert sensitivity.loc["beta[Days]", "prior"] < 0.05
    assert {"diverging", "energy", "lp"} <= set(tree.sample_stats.data_vars)
    for picture in ("forest", "trace", "ppc_dist", "prior_posterior", "energy"):
        many = picture in ("trace", "prior_posterior")  # a panel for each of 45 numbers
        chosen = {"var_names": ["beta", "sd_Subject", "sigma"]} if many else {}
        assert getattr(az, f"plot_{picture}")(tree, **chosen) is not None
        plt.close("all")


@pytest.mark.parametrize("seed", [0, 12, 33])
def test_a_k_above_the_bound_is_never_without_a_finding(seed):
    """Nested factors with few levels: weights are bounded, and their k jumps about by seed."""
    model = hb.Model("score ~ Machine + (1 | Worker/Machine)", hb.load_dataset("Machines"))
    draws = collapsed.sample_collapsed(
        model.spec.kernel("reml"), model.spec.priors, model.design, random_seed=seed
    )
    assert draws.pareto_k <= 0.7 or draws.findings


def test_a_heavy_tail_is_a_finding_with_its_k(model, monkeypatch):
    monkeypatch.setattr(collapsed, "TRUSTED_K", -9.0)
    monkeypatch.setattr(collapsed, "TRIES", 0)
    with pytest.warns(hb.ConvergenceWarning, match=r"heavy tail \(Pareto k"):
        post = model.sample(draws=300, sampler="collapsed", random_seed=1)
    (finding,) = post.findings
    assert finding.numbers["pareto_k"] == post.pareto_k and f"{post.pareto_k:.2f}" in str(finding)


def test_numbers_that_break_down_are_one_sentence_or_nuts(model, monkeypatch):
    def broken(*args, **options):
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    monkeypatch.setattr(collapsed, "sample_collapsed", broken)
    with pytest.raises(hb.SamplingError, match="no values of the variance parameters"):
        model.sample(sampler="collapsed")
    monkeypatch.setattr(posterior, "_nuts", lambda spec, **options: known_draws(model.fit("reml")))
    with pytest.warns(hb.ConvergenceWarning, match="was sampled by NUTS instead"):
        model.sample()


@pytest.mark.parametrize("has_density", [True, False])
def test_nuts_without_a_start_or_a_compiler_is_one_of_our_errors(model, monkeypatch, has_density):
    """By the density of all models, and by PyMC's."""
    from hierbayes.bayes import hierarchical_nuts, nuts

    tried = []

    def failing(compiled, settings, **options):
        name = "_make_initial_points" if has_density else "initial_point_func"
        tried.append(getattr(compiled, name)(1))
        raise RuntimeError("All initialization points failed")

    if not has_density:
        monkeypatch.setattr(hierarchical_nuts, "hierarchical_density", lambda spec: None)
    monkeypatch.setattr(nuts, "compiled_model", lambda model, wanted: Compiled())
    monkeypatch.setattr(nuts, "_run", failing)
    with pytest.raises(hb.SamplingError, match="no values of the parameters with a finite density"):
        model.sample(sampler="nuts", draws=10, random_seed=1, progress=False)
    assert len(tried) == 3 and not np.allclose(tried[0], tried[1])

    def crash(compiled, settings, **options):
        raise TypeError("cannot unbox\nmore")

    monkeypatch.setattr(nuts, "_run", crash)
    with pytest.raises(hb.SamplingError, match="NUTS could not sample this model: cannot unbox"):
        model.sample(sampler="nuts", draws=10, random_seed=1, progress=False)


@dataclass
class Compiled:
    initial_point_func: Any = None


def test_nuts_is_told_which_acceptance_to_aim_at(model, monkeypatch):
    given = []

    def record(spec, **options):
        given.append(options["target_accept"])
        return known_draws(model.fit("reml"))

    monkeypatch.setattr(posterior, "_nuts", record)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.sample(sampler="nuts")
        post = model.sample(sampler="nuts", target_accept=0.99)
        post.refit(post.design.y)
    assert given == [0.9, 0.99, 0.99]
    with pytest.raises(hb.OptionError, match="target_accept=2 must be a number between 0 and 1"):
        model.sample(target_accept=2)
