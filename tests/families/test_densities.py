"""Log densities of all families: their derivatives, and their sums and moments."""

import numpy as np
import pytest

from hierbayes.families.builtin import FAMILIES
from hierbayes.families.densities import binomial_of_logs
from hierbayes.families.family import Mean
from hierbayes.families.series import variable

VALUES = {
    "sigma": 1.3,
    "nu": 4.2,
    "alpha": 2.1,
    "kappa": 3.3,
    "psi": 0.7,
    "b": 0.8,
    "lam": 2.5,
    "threshold": np.array([-0.9, 0.2, 1.1]),
}
STEP = 1e-3
RTOL = 5e-7  # of differences of fourth order in a step of a thousandth
CASES = [(family, link) for family in FAMILIES.values() for link in family.links]
SMOOTH = [case for case in CASES if case[0].is_smooth]


def rows(family, link):
    """Predictors that have a mean, and responses of the family."""
    rng = np.random.default_rng(1)
    eta = 0.7 * rng.normal(size=12)
    bounded = family.reads_categories or family.name == "beta"
    if link in ("inverse", "inverse_squared") or (link == "identity" and family.is_discrete):
        eta = np.abs(eta) + 0.2
    if link == "identity" and (family.support is not None and not family.is_log_response):
        eta = np.abs(eta) + 0.2
    if link == "identity" and bounded:
        eta = rng.uniform(0.1, 0.9, 12)
    if link == "log" and bounded:
        eta = np.log(rng.uniform(0.1, 0.9, 12))
    if link == "sqrt":
        eta = np.abs(eta) + 0.5
    if family.counts_trials:
        return eta, rng.integers(0, 8, 12).astype(float)
    if family.is_ordinal:
        return eta, rng.integers(0, 4, 12).astype(float)
    if family.name == "bernoulli":
        return eta, rng.integers(0, 2, 12).astype(float)
    if family.name == "beta":
        return eta, rng.uniform(0.05, 0.95, 12)
    if family.is_discrete:
        return eta, rng.integers(0, 6, 12).astype(float)
    if family.support is None or family.name == "vonmises":
        return eta, rng.normal(size=12)
    positive = rng.gamma(2, 1, 12)
    return eta, np.where(rng.random(12) < 0.3, 0, positive) if "hurdle" in family.name else positive


def parameters(family):
    found = {parameter.name: VALUES[parameter.name] for parameter in family.parameters}
    return found | ({"trials": np.full(12, 7.0)} if family.counts_trials else {})


def difference(function, x, step):
    """Derivative of fourth order."""
    up, down = function(x + step), function(x - step)
    return (8 * (up - down) - function(x + 2 * step) + function(x - 2 * step)) / (12 * step)


@pytest.mark.parametrize(("family", "link"), SMOOTH, ids=lambda v: getattr(v, "name", v))
def test_derivatives_in_eta_are_those_of_differences(family, link):
    family = family.with_link(link)
    (eta, y), at = rows(family, link), parameters(family)
    found = family.derivatives(y, eta, at, order=4)
    np.testing.assert_allclose(
        found.value, family.log_density(y, Mean(eta=eta, link=family.link), at), rtol=1e-12
    )
    for i in range(1, 5):

        def below(x, i=i):
            return family.derivatives(y, x, at, order=i - 1).derivative(i - 1)

        np.testing.assert_allclose(
            found.derivative(i), difference(below, eta, STEP), rtol=RTOL, atol=RTOL
        )


@pytest.mark.parametrize(
    ("family", "name"),
    [(f, p.name) for f in FAMILIES.values() for p in f.parameters
     if f.is_smooth and p.prior != "cuts"],
    ids=lambda v: getattr(v, "name", v),
)  # fmt: skip
def test_derivatives_in_a_further_parameter_are_those_of_differences(family, name):
    (eta, y), at = rows(family, family.link.name), parameters(family)
    found = family.derivatives(y, eta, at, order=2, of=name, order_of=2)
    for i in range(3):
        for j in (1, 2):

            def below(value, i=i, j=j):
                other = at | {name: value}
                return family.derivatives(
                    y, eta, other, order=2, of=name, order_of=max(j - 1, 1)
                ).derivative(i, j - 1)

            expected = difference(below, at[name], STEP * at[name])
            np.testing.assert_allclose(found.derivative(i, j), expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("family", [f for f in FAMILIES.values() if f.is_ordinal], ids=str)
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("along", [(1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.0, 1.0, 0.0)])
def test_derivatives_in_thresholds_are_those_of_differences(family, link, along):
    family, along = family.with_link(link), np.array(along)
    (eta, y), at = rows(family, link), parameters(family)
    found = family.derivatives(y, eta, at, order=2, of="threshold", order_of=2, along=along)
    for i, j in ((0, 1), (1, 1), (2, 1), (0, 2), (2, 2)):

        def below(step, i=i, j=j):
            other = at | {"threshold": at["threshold"] + step * along}
            return family.derivatives(
                y, eta, other, order=2, of="threshold", order_of=max(j - 1, 1), along=along
            ).derivative(i, j - 1)

        expected = difference(below, 0.0, STEP)
        np.testing.assert_allclose(found.derivative(i, j), expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("family", [f for f in FAMILIES.values() if f.is_ordinal], ids=str)
def test_thresholds_of_each_draw_or_of_points_and_nodes_are_picked(family):
    rng = np.random.default_rng(2)
    y, eta = rng.integers(0, 4, 5).astype(float), rng.normal(size=(3, 5))
    thresholds = np.sort(rng.normal(size=(3, 4)), axis=1)[:, :3]
    one_by_one = np.stack(
        [
            family.log_density(y, Mean(eta=eta[s], link=family.link), {"threshold": thresholds[s]})
            for s in range(3)
        ]
    )
    by_draw = family.log_density(
        y, Mean(eta=eta, link=family.link), {"threshold": thresholds[:, None]}
    )
    by_node = family.log_density(
        y[:, None, None],
        Mean(eta=np.repeat(eta.T[:, :, None], 2, axis=2), link=family.link),
        {"threshold": thresholds[None, :, None]},
    )
    np.testing.assert_allclose(by_draw, one_by_one, rtol=1e-12)
    np.testing.assert_allclose(by_node, np.repeat(one_by_one.T[:, :, None], 2, axis=2), rtol=1e-12)


def grid_of(family):
    """Responses at which a density is summed up, and the weight of each."""
    if family.is_discrete:
        y = np.arange({"trials": 8, "ordered": 4}.get(family.response, 400), dtype=float)
        y = y[:2] if family.name == "bernoulli" else y
        return y, np.ones(y.size)
    inner, w = np.polynomial.legendre.leggauss(20)  # in each of 200 pieces of (-1, 1)
    t = (np.linspace(-0.995, 0.995, 200)[:, None] + inner / 200).ravel()
    w = np.tile(w / 200, 200)
    if family.name == "vonmises":
        return t * np.pi, w * np.pi
    if family.name == "beta":
        return (t + 1) / 2, w / 2
    if family.support is None:  # y = sinh(t), cut where densities without a slope have a corner
        t = np.concatenate([(t - 1) / 2 * 16, (t + 1) / 2 * 16])
        return np.sinh(t) + MU, np.tile(w * 8, 2) * np.cosh(t)
    t = t * 18
    return np.exp(t), w * 18 * np.exp(t)


MU = 0.3


@pytest.mark.parametrize("family", FAMILIES.values(), ids=str)
def test_expectations_variances_and_draws_are_those_of_the_density(family):
    family = family.with_link("inverse") if family.link.may_have_no_mean else family
    at = {name: np.asarray(v) for name, v in parameters(family).items()}
    if family.counts_trials:
        at["trials"] = np.full(1, 7.0)
    y, weight = grid_of(family)
    mean = Mean(eta=np.full(y.size, MU), link=family.link)
    share = weight * np.exp(family.log_density(y, mean, at))
    zero = max(1 - share.sum(), 0) if family.name in ("hurdle_gamma", "hurdle_lognormal") else 0
    assert share.sum() + zero == pytest.approx(1, abs=1e-6)
    first, second = share @ y, share @ y**2
    per = at["trials"][0] if family.counts_trials else 1.0
    eta = np.full(1, MU)
    assert family.knows_expectation
    if family.name != "vonmises":  # its expectation is the mean direction
        assert family.expected(eta, at)[0] * per == pytest.approx(first, rel=1e-5)
    if family.knows_variance:
        assert family.variance_at(eta, at)[0] == pytest.approx(second - first**2, rel=1e-5)
    drawn = family.drawn(np.random.default_rng(3), np.full((40_000, 1), MU), at)
    for of in (np.cos, np.sin, lambda v: v == 0):
        expected = share @ of(y) + zero * of(0.0)
        found = of(drawn)
        assert abs(found.mean() - expected) < 4.5 * found.std() / 200 + 1e-5


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES.values() if f.is_discrete],
    ids=str,
)
def test_probabilities_of_whole_numbers_add_up_to_one(family):
    y = np.arange({"trials": 8, "ordered": 4}.get(family.response, 400), dtype=float)
    y = y[:2] if family.name == "bernoulli" else y
    at = parameters(family) | ({"trials": np.full(y.size, 7.0)} if family.counts_trials else {})
    density = family.log_density(y, Mean(eta=np.full(y.size, 0.3), link=family.link), at)
    assert np.exp(density).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("eta", [-700.0, -40.0, 40.0, 700.0])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_probabilities_far_out_keep_their_logarithms(link, eta):
    family = FAMILIES["binomial"].with_link(link)
    y, at = np.array([0.0, 3.0, 7.0]), {"trials": np.full(3, 7.0)}
    found = family.derivatives(y, np.full(3, eta), at, order=2)
    assert np.isfinite(found.c).all()
    assert (found.derivative(2) <= 0).all()


def test_a_binomial_of_logits_is_that_of_the_two_logarithms():
    family = FAMILIES["binomial"]
    n = np.array([0.0, 5.0, 5.0, 5.0, 9.0, 9.0])
    y, at = np.array([0.0, 0.0, 5.0, 2.0, 3.0, 9.0]), {"trials": n}
    eta = np.array([0.3, -40.0, 40.0, 0.0, 6.0, -6.0])
    x = variable(eta, order=4)
    mean = Mean(eta=x, link=family.link)
    both = binomial_of_logs(y, mean.log, mean.log_complement, at)
    found = family.derivatives(y, eta, at, order=4)
    np.testing.assert_allclose(found.c[:2], both.c[:2], rtol=1e-13)
    np.testing.assert_allclose(found.c[2:], both.c[2:], rtol=1e-12, atol=1e-15)
    # those of p and of 1 - p are alike, and the smaller one has all digits
    mirrored = family.derivatives(n - y, -eta, at, order=4)
    signs = (-1.0) ** np.arange(5)[:, None, None]
    np.testing.assert_allclose(found.c[1:], (signs * mirrored.c)[1:], rtol=1e-15)


def test_a_binomial_of_logits_has_no_product_of_zero_and_infinity():
    family, ends = FAMILIES["binomial"], np.array([-np.inf, np.inf])
    with np.errstate(invalid="ignore"):
        found = family.log_density(
            np.array([0.0, 7.0]), Mean(eta=ends, link=family.link), {"trials": np.full(2, 7.0)}
        )
    np.testing.assert_allclose(found, 0.0, atol=1e-14)
