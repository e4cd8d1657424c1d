"""Samplers agree with each other, with rstanarm and with exact integrals.

The comparisons are those of ``benchmarks/agreement.py``, with fewer draws.
"""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from benchmarks.agreement import (
    CASES,
    disagreements,
    distances,
    on_a_grid,
    rstanarm_sleepstudy,
    summary,
)

pytest.importorskip("pymc")


@pytest.mark.mcmc
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "one-row"])
def test_all_runs_agree_within_4_monte_carlo_standard_errors(name):
    case = CASES[name](4000, 2)
    assert len(case.runs) > 1 and len(case.runs[0].parameters) > 4
    assert disagreements(case) == []


@pytest.mark.mcmc
def test_rstanarms_posterior_of_sleepstudy_follows_from_ours():
    """Weighted by the ratio of the priors, which differ; without the weights we disagree."""
    case = rstanarm_sleepstudy(1000, 2, nuts=False)
    assert disagreements(case) == []
    stored, _, plain = case.runs
    assert distances(stored, plain).max() > 8


@pytest.mark.mcmc
def test_one_row_a_level_is_right_and_told():
    """Only priors tell sd and sigma apart, and sigma may be zero; NUTS does not get there."""
    rows = hb.load_dataset("Dyestuff").assign(row=[f"row {k}" for k in range(30)])
    model = hb.Model("Yield ~ 1 + (1 | row)", rows)
    with pytest.raises(hb.DataError, match=r"priors tell them apart: Model\(...\).sample\(\)"):
        model.fit("reml")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        post = model.sample(sampler="collapsed", draws=20_000, random_seed=4)
    assert "as many random effects as there are rows" in str(told[0].message)
    assert post.findings[0].code == "not_identified"
    exact, ours = on_a_grid(model), summary("ours", post.draws, model)
    at = [ours.parameters.index(name) for name in exact.parameters]
    assert (np.abs(ours.values[:, at] - exact.values) < 4 * ours.errors[:, at]).all()
