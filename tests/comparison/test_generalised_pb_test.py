"""Bootstrap tests of generalised models: simulated statistics are those of refits."""

import numpy as np
import pytest

import hierbayes as hb

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def data():
    found = hb.load_dataset("cbpp")
    return found.assign(obs=[f"o{i:02d}" for i in range(len(found))])


@pytest.fixture(scope="module")
def large(data):
    return hb.glmer(CBPP, data)


@pytest.fixture(scope="module")
def small(data):
    return hb.glmer(CBPP.replace("period", "1"), data)


def test_the_statistic_and_its_samples_are_those_of_both_models(small, large):
    test = hb.pb_test(small, large, nsim=20, random_seed=1)
    assert test.statistic == pytest.approx(small.criterion - large.criterion)
    seed = int(np.random.default_rng(1).integers(2**63, size=1)[0])
    drawn = small.simulate(20, random_seed=seed)
    for t in (0, 11):
        one, two = (fit.refit(drawn.iloc[:, t]) for fit in (small, large))
        assert test.reference[t] == pytest.approx(one.criterion - two.criterion, abs=1e-6)


def test_a_true_hypothesis_is_not_rejected_by_what_it_drew(small, large):
    test = hb.pb_test(small, large, nsim=199, random_seed=2)
    assert test.p_value == pytest.approx(0.005) and test.df == 3
    assert test.reference.mean() == pytest.approx(3.0, abs=0.8)


def test_a_variance_is_tested_against_samples_on_the_boundary(large, data):
    wider = hb.glmer(CBPP + " + (1 | obs)", data)
    test = hb.pb_test(large, wider, nsim=60, random_seed=1)
    assert 0.4 < test.share_at_zero < 0.9 and test.p_value < 0.1
    assert "lies on its boundary" in " ".join(str(test).split())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"link": "probit"}, "different families"),
        ({"n_quadrature": 3}, "n_quadrature=1 and n_quadrature=3"),
        ({"n_quadrature": 0}, "maximises no likelihood"),
    ],
)
def test_likelihoods_that_do_not_compare_are_refused(small, data, change, words):
    with pytest.raises(hb.DataError, match=words):
        hb.pb_test(small, hb.glmer(CBPP, data, **change), nsim=2)
