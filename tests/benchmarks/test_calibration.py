"""The study of calibration: that it runs on every model and sees ranks that are not uniform."""

import contextlib
import math

import numpy as np
import pytest

import hierbayes as hb
from benchmarks import calibration

STUDIES = {study.name: study for study in calibration.studies("collapsed")}


@pytest.mark.parametrize("name", STUDIES)
def test_no_prior_of_a_study_looks_at_the_response(name):
    study, rng = STUDIES[name], np.random.default_rng(3)
    model, found = study.model(), []
    while len(found) < 2:
        _, y = calibration.truth(study, model.design, rng)
        with contextlib.suppress(hb.DataError):  # a category that nobody chose
            found.append(study.model(y).priors[["parameter", "prior"]].to_numpy().tolist())
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
@pytest.mark.parametrize("name", STUDIES)
def test_every_parameter_of_a_study_has_a_rank(name):
    study, rng = STUDIES[name], np.random.default_rng(2)
    ranks, trouble = calibration.ranks_of(study, 1, sampler="collapsed", rng=rng)
    assert trouble.shape == (1,)
    spec = study.model().spec
    several = calibration.CATEGORIES - 2 if study.family == "cumulative" else 0
    several += len(spec.design.of("sigma").coef_names) if study.spread else 0
    if study.residual is not None and study.residual.startswith("us"):
        several += math.comb(spec.residuals.visits + 1, 2) - 1  # of one LKJ prior
    if all(term.covariance == "us" for term in spec.design.terms):  # others share parameters
        assert len(ranks) == len(spec.priors.parameters) + several + len(spec.design.factors)
    assert ranks.keys() == calibration.truth(study, spec.design, rng)[0].keys()
    assert all(0 <= rank <= calibration.RANKS for (rank,) in ranks.values())


def test_ranks_are_judged_by_their_distance_from_uniform_ones():
    rng = np.random.default_rng(1)
    limit = calibration.bound(300, 0.999, 6)
    assert calibration.bound(10**6, 0.999) == pytest.approx(1.949, abs=1e-3)
    assert limit > calibration.bound(300, 0.999)
    uniform, narrow = rng.integers(0, 100, 300), np.clip(rng.integers(-20, 120, 300), 0, 99)
    assert calibration.verdict(uniform)[0] < limit < calibration.verdict(narrow)[0]
