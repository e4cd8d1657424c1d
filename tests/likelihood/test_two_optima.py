"""A criterion with a minimum at zero variance and a lower one far from it."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.gaussian.responses import ResponseProducts
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.likelihood.refits import refit_many

# lme4 1.1.31: lmer(y ~ x + (1 | g), d): REMLcrit 92.30991, sd of g 16.28
LME4_CRITERION = 92.30991
LME4_SD = 16.28


@pytest.fixture(scope="module")
def frame():
    """Group means on a line against the slope within groups, as in Simpson's paradox."""
    noise = np.array([0.5, -0.4, 0.1, -0.7, 0.5])
    parts = []
    for j in range(6):
        dx = np.arange(5) * 0.5 - 1
        y = 40 - 4.5 * j + 3 * dx + np.roll(noise, j) * (1 if j % 2 else -1)
        parts.append(pd.DataFrame({"x": 2 + 1.5 * j + dx, "y": y, "g": "ABCDEF"[j]}))
    return pd.concat(parts, ignore_index=True)


def test_the_lower_optimum_is_found(frame):
    fit = hb.lmer("y ~ x + (1 | g)", frame)
    assert fit.criterion == pytest.approx(LME4_CRITERION, abs=1e-4)
    assert fit.varcorr().terms[0].sd[0] == pytest.approx(LME4_SD, abs=0.01)
    assert not fit.is_singular


def test_it_is_found_from_the_other_one_and_in_a_batch(frame):
    model = hb.Model("y ~ x + (1 | g)", frame)
    kernel = model.spec.kernel("reml")
    alone = fit_lmm(model.design, kernel, start=np.array([1e-4]))
    assert alone.at.criterion[0] == pytest.approx(LME4_CRITERION, abs=1e-4)
    rng = np.random.default_rng(1)
    Y = model.design.y[:, None] + 0.05 * rng.standard_normal((len(frame), 4))
    responses = ResponseProducts(kernel.products, model.design, None).of(Y)
    found = refit_many(kernel, responses, design=model.design, start=np.array([1e-4]))
    for t in range(4):
        assert found.criterion[t] == pytest.approx(model.with_response(Y[:, t]).fit().criterion)
    assert (found.theta > 1).all()


def test_a_response_that_is_reproduced_without_a_variance_is_no_traceback():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 2)
    frame = pd.DataFrame({"g": g, "h": np.tile(np.arange(4), 4), "y": 3.0 * (g % 2)})
    frame["y"] += 1e-9 * rng.standard_normal(16)
    try:
        hb.lmer("y ~ h + (1 | g)", frame)
    except hb.HierBayesError:
        pass
    except hb.HierBayesWarning:
        pass
