"""Leaving rows of generalised models out: against adaptive quadrature and posteriors without."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import binom, norm, poisson

import hierbayes as hb
from hierbayes.comparison.leave_level_out import level_log_densities, levels_apply
from hierbayes.comparison.leave_row_of_level_out import level_row_log_densities

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
PRIORS = dict.fromkeys(["(Intercept)", "period2", "period3", "period4"], hb.Normal(0, 3))
PRIORS |= {"sd((Intercept)|herd)": hb.HalfNormal(1)}
ERROR = 2e-3  # of a term, twice the change by more nodes that is allowed


@pytest.fixture(scope="module")
def cbpp():
    model = hb.Model(CBPP, hb.load_dataset("cbpp"), "binomial", priors=PRIORS)
    return model.sample(draws=300, random_seed=1)


def log_integral(density, sd):
    """Log of the mean of a density over a normal effect; one without rows."""
    found = quad(lambda u: density(sd * u) * norm.pdf(u), -9, 9, epsabs=0, epsrel=1e-10, limit=400)
    return np.log(found[0])


def without_row(log_f, codes, i, sd):
    """Log p(y_i | the other rows of its level) from log densities log_f(rows, b)."""
    own = np.flatnonzero(codes == codes[i])
    rest = own[own != i]
    every = log_integral(lambda b: np.exp(log_f(own, b).sum()), sd)
    return every - (log_integral(lambda b: np.exp(log_f(rest, b).sum()), sd) if rest.size else 0)


def test_terms_of_a_binomial_model_are_ratios_of_integrals(cbpp):
    """Herd 8 has one row, and rows of others carry most of what is known of their herd."""
    few = cbpp.draws
    few = replace(
        few,
        beta=few.beta[:, ::150],
        **{name: {k: v[:, ::150] for k, v in getattr(few, name).items()} for name in ("sd", "b")},
    )
    cbpp = replace(cbpp, draws=few)
    found = level_row_log_densities(cbpp)
    data, X = hb.load_dataset("cbpp"), cbpp.design.X
    s, n = data["incidence"].to_numpy(), data["size"].to_numpy()
    beta, sd = cbpp.draws.beta.reshape(-1, 4), cbpp.draws.sd["herd"].ravel()
    codes = cbpp.design.factors[0].codes
    alone = int(np.flatnonzero(np.bincount(codes)[codes] == 1)[0])
    for draw in (0, 7):
        eta = X @ beta[draw]

        def log_f(rows, b, eta=eta):
            return binom.logpmf(s[rows], n[rows], expit(eta[rows] + b))

        for i in (0, 13, alone, 50):
            expected = without_row(log_f, codes, i, sd[draw])
            assert found[i, draw] == pytest.approx(expected, abs=ERROR)


@pytest.fixture(scope="module")
def crossed():
    """Counts of 8 groups and 6 others, two rows of each pair, the first two of them equal."""
    rng = np.random.default_rng(3)
    g, h = np.repeat(np.arange(8), 12), np.tile(np.repeat(np.arange(6), 2), 8)
    y = rng.poisson(np.exp(1 + rng.normal(size=8)[g] + 0.5 * rng.normal(size=6)[h]))
    y[1] = y[0]
    data = {"y": y, "g": g, "h": h, "half": g // 4}
    model = hb.Model("y ~ 1 + (1 | g) + (1 | h)", data, "poisson")
    return data, model.sample(draws=50, random_seed=1, sampler="collapsed")


def test_effects_of_other_factors_are_as_drawn_and_equal_rows_are_left_out_one_by_one(crossed):
    data, post = crossed
    y, h = data["y"], data["h"]
    found = level_row_log_densities(post)
    b_h, sd = post.draws.b["h"].reshape(-1, 6), post.draws.sd["g"].ravel()
    codes = post.design.factors[0].codes
    for draw in (0, 199):
        eta = post.draws.beta.ravel()[draw] + b_h[draw][h]

        def log_f(rows, b, eta=eta):
            return poisson.logpmf(y[rows], np.exp(eta[rows] + b))

        for i in (0, 1, 20, 47):
            expected = without_row(log_f, codes, i, sd[draw])
            assert found[i, draw] == pytest.approx(expected, abs=ERROR)


@pytest.mark.parametrize("name", ["g", "h"])
def test_levels_of_crossed_factors_are_left_out_given_the_effects_of_the_other(crossed, name):
    data, post = crossed
    factor = [own.name for own in post.design.factors].index(name)
    found = level_log_densities(post, factor)
    other = "h" if name == "g" else "g"
    b, sd = post.draws.b[other][..., 0], post.draws.sd[name].ravel()
    b = b.reshape(200, -1)
    codes = post.design.factors[factor].codes
    for draw, level in ((0, 0), (199, 5)):
        eta = post.draws.beta.ravel()[draw] + b[draw][data[other]]
        own = np.flatnonzero(codes == level)
        expected = log_integral(
            lambda u, own=own, eta=eta: np.exp(
                poisson.logpmf(data["y"][own], np.exp(eta[own] + u)).sum()
            ),
            sd[draw],
        )
        assert found[draw, level] == pytest.approx(expected, abs=ERROR)


def test_blocks_of_whole_levels_are_left_out_and_others_are_refused(crossed):
    halves = hb.loo(crossed[1], by="half")
    assert halves.method == "integrated" and halves.pointwise["n_rows"].tolist() == [48, 48]
    assert "random effects of g are integrated out" in halves.how
    with pytest.raises(hb.NotSupportedError, match=r"hb.kfold\(fit, by=\) refits without them"):
        hb.loo(crossed[1], by=np.arange(96) % 5)


def test_factors_with_others_nested_in_them_are_not_integrated_out(crossed):
    data = crossed[0] | {"pair": crossed[0]["g"] * 6 + crossed[0]["h"]}
    spec = hb.Model("y ~ 1 + (1 | g) + (1 | pair)", data, "poisson").spec
    fit = SimpleNamespace(design=spec.design, response_family=spec.family)
    assert [levels_apply(fit, f) for f in (0, 1)] == [True, False]


def test_weights_over_parameters_alone_can_be_trusted(cbpp):
    found = hb.loo(cbpp)
    assert found.method == "integrated"
    assert "random effects of herd are integrated out by quadrature" in found.how
    assert found.findings == () and found.by_draws.n_untrusted > 0
    assert found.mcse < found.by_draws.mcse / 2


@pytest.mark.slow
def test_rows_agree_with_posteriors_sampled_without_each(cbpp):
    table = hb.loo(cbpp).pointwise
    without = hb.kfold(cbpp, k=56, random_seed=1).pointwise
    away = (table["elpd"] - without["elpd"]) / np.hypot(table["mcse"], without["mcse"])
    assert np.abs(away).max() < 4
