"""The bootstrap: lme4's limits, the same numbers for any number of workers, edge cases in words."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.intervals.level_samples import LevelSamples
from hierbayes.intervals.resampling import ResponseDraws, reflated_modes
from hierbayes.likelihood.lmm import fit_lmm
from hierbayes.results.bootstrap_result import BootstrapResult
from tests.reference_fits import load_fit, load_reference

SLEEP = "Reaction ~ Days + (Days | Subject)"
KINDS = ("parametric", "residual", "cases")


@pytest.fixture(autouse=True)
def _no_findings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        yield


@pytest.fixture(scope="module")
def sleep():
    return hb.lmer(SLEEP, hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def replicates(sleep):
    return hb.bootstrap(sleep, nsim=2000, random_seed=20260)


# against lme4


def test_quantiles_are_those_of_lme4(replicates):
    reference = load_reference("boot/boot_ss_max")
    frame = replicates.to_frame()
    assert list(frame) == list(reference["parameters"])
    for name, expected in reference["parameters"].items():
        values = frame[name].dropna().to_numpy()
        mcse = expected["mcse_of_q2.5_and_q97.5"]
        for tail, error in zip((0.025, 0.975), mcse, strict=True):
            at = expected["probs"].index(tail)
            # both are 2,000 replicates: the same error twice
            assert abs(np.quantile(values, tail) - expected["quantiles"][at]) < 3 * 2**0.5 * error
        assert values.std(ddof=1) == pytest.approx(expected["sd"], rel=0.08)


def test_percentile_limits_are_those_of_lme4(replicates):
    reference = load_reference("boot/boot_ss_max")
    limits = replicates.confint()
    for name, (low, high) in zip(
        reference["confint_perc"]["names"], reference["confint_perc"]["values"], strict=True
    ):
        errors = reference["parameters"][name]["mcse_of_q2.5_and_q97.5"]
        assert abs(limits.loc[name, "lower"] - low) < 3 * 2**0.5 * errors[0]
        assert abs(limits.loc[name, "upper"] - high) < 3 * 2**0.5 * errors[1]


# replicates


def test_a_replicate_is_the_refit_of_its_response(sleep):
    seen = []
    hb.bootstrap(sleep, lambda fit: seen.append(fit) or fit.sigma, nsim=3, random_seed=4)
    for fit in seen[1:]:
        alone = sleep.refit(fit.design.y)
        assert fit.criterion == pytest.approx(alone.criterion, abs=1e-8)
        assert fit.sigma == pytest.approx(alone.sigma, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_statistic_sees_the_estimates_of_the_table(sleep, kind):
    def estimates(fit):
        return {**fit.fixef(), "sigma": fit.sigma}

    own = hb.bootstrap(sleep, estimates, nsim=20, random_seed=1, kind=kind).to_frame()
    table = hb.bootstrap(sleep, nsim=20, random_seed=1, kind=kind).to_frame()
    pd.testing.assert_frame_equal(own, table[list(own)], rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_workers_change_nothing(sleep, kind):
    one = hb.bootstrap(sleep, nsim=255, random_seed=3, kind=kind)
    two = hb.bootstrap(sleep, nsim=255, random_seed=3, kind=kind, n_jobs=2)
    np.testing.assert_array_equal(one.replicates, two.replicates)
    assert one.n_boundary == two.n_boundary


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_follow_the_units_of_the_response(kind):
    data = hb.load_dataset("Pastes")
    formula = "strength ~ 1 + (1 | batch/cask)"
    fit = hb.lmer(formula, data)
    other = hb.lmer(formula, data.assign(strength=1000 - 50 * data["strength"]))
    draws = {"nsim": 20, "random_seed": 1, "kind": kind}
    found, changed = (hb.bootstrap(f, **draws).to_frame() for f in (fit, other))
    if kind == "cases":  # the other kinds draw residuals of the other sign
        found.iloc[:, :3] *= 50
        found["(Intercept)"] = 1000 - 50 * found["(Intercept)"]
        pd.testing.assert_frame_equal(changed, found, atol=1e-2)
    else:
        assert changed["sigma"].mean() == pytest.approx(50 * found["sigma"].mean(), rel=0.1)


def test_a_bar_shows_where_asked_for(sleep, monkeypatch, capsys):
    from hierbayes import progress

    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.02)
    monkeypatch.setenv("FORCE_COLOR", "1")  # for rich standard error is a terminal then
    hb.bootstrap(sleep, nsim=1500, random_seed=1, progress=True)
    assert "Bootstrap, parametric" in capsys.readouterr().err
    monkeypatch.delenv("FORCE_COLOR")
    pytest.importorskip("marimo")  # imported is not the same as running in a notebook
    hb.bootstrap(sleep, nsim=20, random_seed=1)
    assert capsys.readouterr().err == ""


def test_a_generator_moves_on(sleep):
    rng = np.random.default_rng(1)
    first = hb.bootstrap(sleep, nsim=3, random_seed=rng)
    second = hb.bootstrap(sleep, nsim=3, random_seed=rng)
    assert not np.array_equal(first.replicates, second.replicates)


def test_a_loaded_fit_gives_the_same_replicates(sleep, tmp_path):
    path = tmp_path / "fit.hb"
    sleep.save(path)
    again = hb.bootstrap(hb.load(path), nsim=5, random_seed=1)
    expected = hb.bootstrap(sleep, nsim=5, random_seed=1)
    np.testing.assert_allclose(again.replicates, expected.replicates, rtol=1e-4)


# draws


@pytest.mark.parametrize("fit_id", ["ss_max_reml", "ss_wt", "pas_reml", "pen_reml", "ss_dbar_reml"])
@pytest.mark.parametrize("kind", ["parametric", "residual"])
def test_draws_have_the_variance_of_the_model(fit_id, kind):
    reference = load_fit(fit_id)
    fit = hb.lmer(reference.formula, reference.data, **reference.options)
    Y = ResponseDraws(fit, kind).draw(4000, np.random.default_rng(1))
    expected = np.full(fit.nobs, fit.sigma**2)
    if fit.weights is not None:
        expected = expected / fit.weights
    for factor, Lambda in zip(
        fit.design.factors, fit.kernel.shape.unpack(fit.theta[None]), strict=True
    ):
        root = fit.sigma * factor.z @ Lambda[0]
        expected = expected + (root**2).sum(axis=1)
    assert np.mean(Y.var(axis=1) / expected) == pytest.approx(1, abs=0.02)
    error = np.abs(Y.mean(axis=1) - fit.fixed_part) / np.sqrt(expected / 4000)
    assert error.max() < 5


def test_reflated_modes_have_the_covariance_asked_for():
    rng = np.random.default_rng(1)
    b = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3))
    root = np.tril(rng.normal(size=(3, 3)))
    v = reflated_modes(b, root)
    np.testing.assert_allclose(v.T @ v / 30, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(v.mean(axis=0), 0, atol=1e-12)


def test_reflated_modes_of_many_columns_that_vary_along_one_raise_no_warning():
    rng = np.random.default_rng(3)
    for _ in range(50):  # rounding leaves variances of zero on either side of it
        b = rng.normal(size=(9, 1)) * rng.normal(size=5)
        v = reflated_modes(b, np.eye(5))
        assert np.linalg.matrix_rank(v, tol=1e-6) == 1 and np.isfinite(v).all()


def test_reflated_modes_keep_directions_without_variance():
    root = np.array([[2.0, 0.0], [1.0, 0.0]])
    b = np.random.default_rng(1).normal(size=(20, 1)) @ root[:, :1].T
    moment = (v := reflated_modes(b, root)).T @ v / 20
    np.testing.assert_allclose(moment, [[1, 0], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(reflated_modes(np.zeros((20, 1)), np.zeros((1, 1))), 0)


# cases


@pytest.mark.parametrize(
    ("formula", "dataset"),
    [
        (SLEEP, "sleepstudy"),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
        ("score ~ Machine + (1 | Worker/Machine)", "Machines"),
        ("Reaction ~ Days", "sleepstudy"),
    ],
)
def test_a_sample_of_levels_is_the_data_of_those_levels(formula, dataset):
    fit = hb.lmer(formula, hb.load_dataset(dataset))
    samples = LevelSamples(fit, purpose="a test")
    drawn = np.random.default_rng(2).integers(samples.n_levels, size=samples.n_levels)
    by_products = fit_lmm(fit.design, samples.kernel(drawn))
    design = samples.design(drawn)
    assert design.y.size == samples.kernel(drawn).products.n_obs
    from hierbayes.gaussian.kernel import kernel_of

    by_rows = fit_lmm(design, kernel_of(design, weights=None, method="reml"))
    assert by_products.at.criterion[0] == pytest.approx(by_rows.at.criterion[0], abs=1e-7)
    np.testing.assert_allclose(by_products.theta, by_rows.theta, atol=1e-4)


def test_all_levels_once_are_the_data(sleep):
    samples = LevelSamples(sleep, purpose="a test")
    found = fit_lmm(sleep.design, samples.kernel(np.arange(18)))
    assert found.at.criterion[0] == pytest.approx(sleep.criterion, abs=1e-9)


def test_crossed_factors_have_no_cases():
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    with pytest.raises(hb.NotSupportedError, match="plate and sample are crossed"):
        hb.bootstrap(fit, nsim=2, kind="cases")
    with pytest.raises(hb.NotSupportedError, match="plate and sample are crossed"):
        hb.bootstrap(fit, nsim=2, random_seed=1).confint(interval="bca")


def test_levels_that_do_not_determine_the_fixed_part_count_as_failed():
    data = pd.DataFrame(
        {
            "y": np.random.default_rng(1).normal(size=24),
            "a": np.repeat(["u", "v"], 12),
            "g": np.repeat(list("pqrs"), 6),
        }
    )
    found = hb.bootstrap(hb.lmer("y ~ a + (1 | g)", data), nsim=60, random_seed=1, kind="cases")
    assert 2 <= found.n_failed < 30
    assert np.isnan(found.replicates).all(axis=1).sum() == found.n_failed
    assert "do not determine all fixed effects" in found.failure
    assert f"{found.n_failed} refits are left out" in str(found)
    assert not found.confint().isna().any(axis=None)
    # rounding once let some of them pass, with coefficients of any size
    assert np.nanmax(np.abs(found.replicates)) < 3


# intervals


def made_up(replicates, estimate, jackknife=None, bounds=(-np.inf, np.inf)):
    return BootstrapResult(
        names=("t",),
        estimates=np.array([estimate]),
        replicates=np.asarray(replicates, dtype=float)[:, None],
        bounds=np.array([bounds]),
        kind="parametric",
        drawn="numbers",
        formula_text="",
        data_name="",
        method="reml",
        n_failed=0,
        n_boundary=0,
        failure="",
        jackknife=lambda: np.asarray(jackknife, dtype=float)[:, None],
    )


def test_percentile_and_basic_limits():
    found = made_up(np.arange(101.0), 40.0)
    assert found.confint(0.9).loc["t"].tolist() == pytest.approx([40, 5, 95])
    assert found.confint(0.9, "basic").loc["t"].tolist() == pytest.approx([40, -15, 75])


def test_basic_limits_stay_where_the_parameter_lives():
    found = made_up(np.arange(101.0), 40.0, bounds=(0, np.inf))
    assert found.confint(0.9, "basic").loc["t", "lower"] == 0


def test_bca_without_bias_and_skewness_is_percentile():
    found = made_up(np.arange(101.0), 50.0, jackknife=[-1.0, 0.0, 1.0])
    np.testing.assert_allclose(found.confint(0.9, "bca"), found.confint(0.9), atol=1e-9)


def test_bca_follows_efron():
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    t, jackknife = rng.gamma(3, size=5000), rng.gamma(2, size=30)
    d = jackknife.mean() - jackknife
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z0 = norm.ppf((t < 3.2).mean())
    z = z0 + norm.ppf([0.025, 0.975])
    expected = np.quantile(t, norm.cdf(z0 + z / (1 - a * z)))
    found = made_up(t, 3.2, jackknife).confint(interval="bca")
    np.testing.assert_allclose(found.loc["t", ["lower", "upper"]], expected, rtol=1e-10)


def test_bca_has_no_limits_at_the_boundary():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    limits = hb.bootstrap(fit, nsim=50, random_seed=1).confint(interval="bca")
    assert limits.loc["sd_(Intercept)|Batch", ["lower", "upper"]].isna().all()
    assert not limits.loc[["sigma", "(Intercept)"]].isna().any(axis=None)


def test_missing_correlations_are_counted_by_column():
    data = hb.load_dataset("sleepstudy")
    fit = hb.lmer(SLEEP, data)
    flat = fit.refit(fit.fixed_part + np.random.default_rng(4).normal(size=180))
    found = hb.bootstrap(flat, nsim=60, random_seed=1)
    name = "cor_Days.(Intercept)|Subject"
    assert found.n_missing[name] > 0
    assert found.n_boundary > 0
    assert f"{name} does not exist in {found.n_missing[name]}" in str(found)
    assert found.n_failed == 0


# options, edges, printing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nsim": 0}, "nsim=0 must be a whole number of at least 1"),
        ({"nsim": 2.5}, "nsim=2.5"),
        ({"nsim": True}, "nsim=True"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"kind": "parametrik"}, "did you mean 'parametric'"),
        ({"random_seed": "x"}, "random_seed='x'"),
        ({"progress": "yes"}, "progress='yes'"),
        ({"statistic": 3}, "must be a function of a fit"),
        ({"statistic": lambda fit: "a"}, "returned str"),
        ({"statistic": lambda fit: fit.fixef().to_numpy()}, "returned ndarray"),
        ({"statistic": lambda fit: {}}, "returned dict"),
    ],
)
def test_wrong_arguments_are_named(sleep, arguments, message):
    with pytest.raises(hb.OptionError, match=message.replace("(", r"\(")):
        hb.bootstrap(sleep, **arguments)


def test_only_fits_are_bootstrapped():
    with pytest.raises(hb.OptionError, match="needs a REML or ML fit, not int"):
        hb.bootstrap(3)


@pytest.mark.parametrize(
    ("arguments", "message"), [((1.0,), "level=1.0"), ((0.9, "bc"), "did you mean 'bca'")]
)
def test_wrong_levels_and_intervals_are_named(replicates, arguments, message):
    with pytest.raises(hb.OptionError, match=message):
        replicates.confint(*arguments)


def test_a_statistic_may_fail_now_and_then(sleep):
    calls = []

    def moody(fit):
        calls.append(fit)
        if len(calls) == 3:
            raise ZeroDivisionError("no number today")
        return fit.sigma

    found = hb.bootstrap(sleep, moody, nsim=10, random_seed=1)
    assert found.n_failed == 1
    assert "no number today" in str(found)
    assert found.names == ("moody",)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("formula", "dataset", "options"),
    [
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", {}),
        ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", "sleepstudy", {}),
        (SLEEP, "sleepstudy", {"weights": "1 / (1 + Days)"}),
        (SLEEP, "sleepstudy", {"known_sd": "20 + Days"}),
        ("Reaction ~ 0 + (1 | Subject)", "sleepstudy", {}),
        ("Reaction ~ 1", "sleepstudy", {}),
        ("Reaction ~ Days", "sleepstudy", {"known_sd": "20 + Days"}),
    ],
)
def test_unusual_models_have_a_bootstrap(kind, formula, dataset, options):
    fit = hb.lmer(formula, hb.load_dataset(dataset), **options)
    found = hb.bootstrap(fit, nsim=30, random_seed=1, kind=kind)
    assert found.n_failed == 0
    frame = found.to_frame()
    assert ("sigma" in frame) == ("known_sd" not in options)
    centre = frame.median()
    assert (np.abs(centre - found.estimates) <= 3 * found.sd + 1e-9).all()
    assert not found.confint().isna().any(axis=None)


def test_one_replicate_is_enough_to_print(sleep):
    text = str(hb.bootstrap(sleep, nsim=1, random_seed=1))
    assert "1 replicate of a fit by REML" in text


def test_the_table_reads_well(replicates):
    lines = str(replicates).splitlines()
    assert lines[0] == "Parametric bootstrap, 2,000 replicates of a fit by REML"
    assert lines[1] == f"Formula: {SLEEP}"
    assert lines[5].split() == ["estimate", "bias", "sd", "2.5", "%", "97.5", "%"]
    assert "-0.0 " not in str(replicates)
    html = replicates._repr_html_()
    assert "<td>24.7</td>" in html
    assert "cor_Days.(Intercept)|Subject" in html


def test_resampled_effects_keep_their_variance_in_any_unit_of_a_slope():
    data = hb.load_dataset("sleepstudy")
    found = []
    for unit in (1.0, 1e15):
        fit = hb.lmer("Reaction ~ Days + (Days | Subject)", data.assign(Days=data.Days * unit))
        drawn = hb.bootstrap(fit, nsim=3, random_seed=1, kind="residual").to_frame()
        found.append(drawn["sd_Days|Subject"].to_numpy() * unit)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_drawn_levels_beside_large_effects_are_those_of_their_rows():
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(20), 6), np.tile(np.arange(6) - 2.5, 20)
    u, drawn = 1e6 * rng.normal(size=(20, 2)), rng.integers(0, 20, 20)
    y = u[g, 0] + u[g, 1] * x + rng.normal(size=120)
    fit = hb.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g})
    samples = LevelSamples(fit, purpose="a test")
    found = fit_lmm(samples.design(drawn), samples.kernel(drawn))
    rows = (drawn[:, None] * 6 + np.arange(6)).ravel()
    alone = hb.lmer("y ~ x + (x | g)", {"y": y[rows], "x": x, "g": g})
    assert found.at.sigma[0] == pytest.approx(alone.sigma, rel=1e-8)
    np.testing.assert_allclose(found.theta, alone.theta, rtol=1e-6)
