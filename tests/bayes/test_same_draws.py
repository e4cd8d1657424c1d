"""One seed, one posterior: however many threads BLAS has and workers sample at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import scipy.linalg
import threadpoolctl

import hierbayes as hb
from tests.bayes import reference_models

# of so few draws
pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.ConvergenceWarning")


def cbpp():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return hb.Model(formula, hb.load_dataset("cbpp"), family="binomial")


def counts(formula):
    rng = np.random.default_rng(5)
    g, h = np.arange(60) // 4, rng.permutation(60) % 5
    eta = 0.5 + 0.4 * rng.standard_normal(15)[g] + 0.3 * rng.standard_normal(5)[h]
    y, x = rng.poisson(np.exp(eta)), rng.standard_normal(60)
    return hb.Model(formula, {"y": y, "x": x, "g": g, "h": h, "outer": g // 3}, family="poisson")


MODELS = {
    "one factor": cbpp,
    "nested": lambda: counts("y ~ x + (1 | outer/g)"),
    "crossed": lambda: counts("y ~ x + (1 | g) + (1 | h)"),
    "two columns": lambda: counts("y ~ x + (x | g)"),
    "further parameter": reference_models.visits,
    "ordinal": reference_models.ratings,
    "gaussian": lambda: hb.Model(
        "Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy")
    ),
}


def blas_threads():
    info = threadpoolctl.threadpool_info()
    return {copy["num_threads"] for copy in info if copy["user_api"] == "blas"}


def drawn(model, seed, **options):
    """All draws of a model, by name."""
    draws = model.sample(100, chains=2, random_seed=seed, **options).draws
    effects = {f"b {factor}": b for factor, b in draws.b.items()}
    sds = {f"sd {factor}": sd for factor, sd in draws.sd.items()}
    return {"beta": draws.beta} | sds | draws.corr | effects | draws.family


def assert_same(one, other):
    assert list(one) == list(other)
    for name, x in one.items():
        np.testing.assert_array_equal(x, other[name], err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_threads_of_blas_change_nothing(name):
    assert scipy.linalg and np.linalg
    found = []
    for n in (1, 2):
        with threadpoolctl.threadpool_limits(limits=n, user_api="blas"):
            if blas_threads() != {n}:
                pytest.skip("this BLAS cannot run two threads")
            found.append(drawn(MODELS[name](), 6, sampler="collapsed"))
    assert_same(*found)


@pytest.mark.parametrize("name", ["one factor", "crossed", "gaussian"])
def test_workers_that_share_a_model_change_nothing(name):
    def own(seed):
        return drawn(model, seed, sampler="collapsed")

    found = []
    for workers in (1, 2):
        model = MODELS[name]()
        with ThreadPoolExecutor(workers) as pool:
            found.append(list(pool.map(own, (1, 2))))
    for one, other in zip(*found, strict=True):
        assert_same(one, other)


@pytest.mark.mcmc
@pytest.mark.slow
def test_cores_of_nuts_change_nothing(monkeypatch):
    nutpie = pytest.importorskip("nutpie")
    sample, found = nutpie.sample, []
    for cores in (1, 2):
        monkeypatch.setattr(nutpie, "sample", partial(sample, cores=cores))
        found.append(drawn(cbpp(), 4, sampler="nuts", tune=200))
    assert_same(*found)
