"""Each prior distribution against scipy.stats, finite differences and PyMC."""

import numpy as np
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.priors.distributions import Prior

RTOL = 1e-12  # the same formulas in another order of operations
STEP = 1e-6  # of central differences: their error is about STEP**2 and rounding / STEP

CASES = [
    (hb.Normal(3, 2.5), stats.norm(3, 2.5)),
    (hb.StudentT(4, -1, 2), stats.t(4, -1, 2)),
    (hb.Cauchy(1, 0.5), stats.cauchy(1, 0.5)),
    (hb.HalfNormal(10), stats.halfnorm(0, 10)),
    (hb.HalfCauchy(3), stats.halfcauchy(0, 3)),
    (hb.Exponential(0.25), stats.expon(scale=4)),
    (hb.Gamma(2, 0.1), stats.gamma(2, scale=10)),
    (hb.Gamma(0.5, 2), stats.gamma(0.5, scale=0.5)),
    (hb.InverseGamma(3, 2), stats.invgamma(3, scale=2)),
    (hb.LogNormal(1, 0.5), stats.lognorm(0.5, scale=np.e)),
    (hb.Uniform(1, 5), stats.uniform(1, 4)),
    (hb.Uniform(-2, 3), stats.uniform(-2, 5)),
    (hb.Beta(2, 3), stats.beta(2, 3)),
]
IDS = [str(ours) for ours, _ in CASES]
PROBABILITIES = np.array([0.001, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999])


@pytest.mark.parametrize(("ours", "scipys"), CASES, ids=IDS)
def test_log_density_and_quantiles_are_scipys(ours, scipys):
    x = scipys.ppf(PROBABILITIES)
    np.testing.assert_allclose(ours.quantile(PROBABILITIES), x, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.log_density(x), scipys.logpdf(x), rtol=RTOL, atol=RTOL)


def test_half_t_is_the_t_folded():
    ours, whole = hb.HalfStudentT(4, 140.8), stats.t(4, 0, 140.8)
    x = np.array([0.0, 1.0, 100.0, 1000.0])
    np.testing.assert_allclose(ours.log_density(x), np.log(2) + whole.logpdf(x), rtol=RTOL)
    np.testing.assert_allclose(whole.cdf(ours.quantile([0.05, 0.5, 0.95])), [0.525, 0.75, 0.975])


@pytest.mark.parametrize("ours", [ours for ours, _ in CASES] + [hb.HalfStudentT(3, 2)], ids=str)
def test_derivative_is_that_of_the_log_density(ours):
    x = ours.quantile([0.1, 0.4, 0.5, 0.7, 0.9])
    h = STEP * np.abs(x).clip(min=1)
    slope = (ours.log_density(x + h) - ours.log_density(x - h)) / (2 * h)
    np.testing.assert_allclose(ours.derivative(x), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("prior", "x"),
    [
        (hb.HalfNormal(1), -0.1),
        (hb.HalfStudentT(4, 1), -0.1),
        (hb.HalfFlat(), -0.1),
        (hb.Exponential(1), -1.0),
        (hb.Gamma(2, 1), -1.0),
        (hb.Gamma(2, 1), 0.0),
        (hb.InverseGamma(2, 1), 0.0),
        (hb.LogNormal(0, 1), 0.0),
        (hb.Uniform(0, 2), 2.1),
        (hb.Beta(2, 2), 1.1),
    ],
    ids=str,
)
def test_what_cannot_be_has_density_zero(prior, x):
    assert prior.log_density(x) == -np.inf


def test_flat_is_zero_everywhere_and_has_no_quantiles():
    x = np.array([[-5.0, 0.0], [2.0, 1e9]])
    assert (hb.Flat().log_density(x) == 0).all()
    assert (hb.Flat().derivative(x) == 0).all()
    assert np.isnan(hb.Flat().quantile([0.05, 0.5])).all()
    assert hb.HalfFlat().log_density(3.0) == 0


@pytest.mark.parametrize("ours", [ours for ours, _ in CASES[:-1]], ids=str)
def test_arrays_keep_their_shape(ours):
    assert ours.log_density(np.full((2, 3), 1.5)).shape == (2, 3)
    assert ours.derivative(np.full((2, 3), 1.5)).shape == (2, 3)
    assert ours.quantile(0.5).shape == ()


def test_pymc_variable_has_the_same_density():
    pm = pytest.importorskip("pymc")
    from pytensor.compile.mode import Mode

    priors = [*(ours for ours, _ in CASES), hb.HalfStudentT(4, 2), hb.Flat(), hb.HalfFlat()]
    points = [0.7 if isinstance(prior, hb.Beta) else 1.5 for prior in priors]
    with pm.Model() as model:
        variables = [prior.pymc(f"v{k}", shape=2) for k, prior in enumerate(priors)]
    logps = [pm.logp(v, np.full(2, x)).sum() for v, x in zip(variables, points, strict=True)]
    found = model.compile_fn(
        logps, inputs=[], mode=Mode(linker="py", optimizer="fast_compile"), point_fn=False
    )()
    expected = [2 * prior.log_density(x) for prior, x in zip(priors, points, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (hb.HalfStudentT(4, 140.8219), "HalfStudentT(4, 140.8)"),
        (hb.Normal(0, 10), "Normal(0, 10)"),
        (hb.Normal(mu=-1e6, sigma=2e-7), "Normal(-1e+06, 2e-07)"),
        (hb.Flat(), "Flat()"),
        (hb.LKJ(2), "LKJ(2)"),
    ],
)
def test_text_is_what_a_user_would_write(prior, text):
    assert str(prior) == text


def test_equal_parameters_are_equal_priors():
    assert hb.Normal(0, np.float32(2)) == hb.Normal(mu=0.0, sigma=2)
    assert len({hb.LKJ(2), hb.LKJ(2.0), hb.LKJ(3)}) == 2
    assert hb.HalfFlat() != hb.Flat()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: hb.Normal(0, 0), "Normal: sigma=0 must be positive."),
        (lambda: hb.Normal(0, -1), "Normal: sigma=-1 must be positive."),
        (lambda: hb.Normal("0", 1), "Normal: mu='0' must be one finite number."),
        (lambda: hb.Normal(0, np.inf), "Normal: sigma=inf must be one finite number."),
        (lambda: hb.Normal(np.nan, 1), "Normal: mu=nan must be one finite number."),
        (lambda: hb.HalfNormal(True), "HalfNormal: sigma=True must be one finite number."),
        (lambda: hb.HalfNormal([1, 2]), "HalfNormal: sigma=[1, 2] must be one finite number."),
        (lambda: hb.StudentT(0, 0, 1), "StudentT: nu=0 must be positive."),
        (lambda: hb.Gamma(1, -2), "Gamma: beta=-2 must be positive."),
        (lambda: hb.Uniform(3, 3), "Uniform: upper=3 must be larger than lower=3."),
        (lambda: hb.LKJ(0), "LKJ: eta=0 must be positive."),
        (lambda: hb.LKJ(None), "LKJ: eta=None must be one finite number."),
    ],
)
def test_impossible_parameters_are_one_sentence(make, sentence):
    with pytest.raises(hb.PriorError) as raised:
        make()
    assert str(raised.value) == sentence


def test_priors_do_not_change():
    with pytest.raises(AttributeError):
        hb.Normal(0, 1).mu = 3
    assert isinstance(hb.Normal(0, 1), Prior)
