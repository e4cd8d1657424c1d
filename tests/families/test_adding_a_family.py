"""The page about adding a family is followed: its lines run, and what it says is so."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.families import named
from hierbayes.families.family import Mean
from hierbayes.families.series import Series
from hierbayes.families.symbolic import Symbolic

PAGE = (Path(__file__).parents[2] / "docs" / "adding" / "family.md").read_text(encoding="utf-8")


@pytest.fixture
def page(monkeypatch, capsys):
    """What the page's lines define."""
    monkeypatch.setattr(named, "_registered", {})
    found = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(block, found)
    found["printed"] = capsys.readouterr().out
    return found


def test_the_lines_of_the_page_run(page):
    assert re.search(r"alpha +HalfNormal\(5\)", page["printed"])
    assert r"\operatorname{Loglogistic}(\mu_i,\ \text{alpha})" in page["printed"]
    assert page["loglog"].inverse(0.0) == pytest.approx(np.exp(-1))


def test_its_density_and_draws_are_the_log_logistic_distributions(page):
    family, y, eta = page["loglogistic"], np.array([0.3, 1.0, 5.0]), np.array([-0.2, 0.4, 1.1])
    found = family.log_density(y, Mean(eta=eta, link=family.link), {"alpha": 2.5})
    law = stats.fisk(2.5, scale=np.exp(eta))
    np.testing.assert_allclose(found, law.logpdf(y), rtol=1e-12)
    drawn = family.draw(np.random.default_rng(1), np.full(4000, 2.0), {"alpha": 2.5})
    assert stats.kstest(drawn, stats.fisk(2.5, scale=2.0).cdf).pvalue > 1e-3


def test_expected_responses_are_refused_where_mu_is_none(page):
    from hierbayes.bayes.response import Response

    with pytest.raises(hb.NotSupportedError, match="family='loglogistic'"):
        Response(family=page["loglogistic"], y=None).mean(np.zeros((2, 3)), None)


def test_its_model_builds_in_pymc_and_draws_from_the_priors(page):
    assert "alpha" in page["model"].to_pymc().named_vars
    drawn = page["model"].prior_predictive(10, random_seed=1)
    assert (np.asarray(drawn["prior_predictive"]["y"]) > 0).all()


def test_the_page_lists_the_functions_that_series_and_tensors_both_have():
    listed = PAGE.split("**The log density is written once**")[1].split("Given arrays")[0]
    words = set(re.findall(r"`(?:np\.)?(\w+)`", listed))
    both = (Series.functions.keys() & Symbolic.functions.keys()) - {"negative"}
    assert words == both | {"where"}
