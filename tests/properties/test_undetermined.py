"""What the data cannot determine has no number anywhere, and the rest is as without it.

One table of designs, one of results: a new result is covered by adding a line. Numbers that the
data do not determine differ between covariances that fit equally well (``fit.alternatives``), and
there the result has to be NaN; what is shown has to be that of the model without the undetermined
term, where there is one.
"""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

NEAR = 1e-6  # two searches end this near to each other, relative
MOVED = 1e-4  # numbers that differ by more, relative, depend on what is undetermined
NOTHING = 1e-8  # of the response's sd: the rounding of an effect that is zero


@cache
def frame(name):
    rng = np.random.default_rng(11)
    if name == "arms":  # one clinic an arm
        data = pd.DataFrame({"arm": np.repeat([0.0, 1.0], 20), "clinic": np.repeat(["A", "B"], 20)})
        data["pat"] = [f"p{i // 4}" for i in range(40)]
        effect = np.repeat(rng.normal(size=10), 4)
        return data.assign(y=data.arm * 0.8 + effect + rng.normal(size=40))
    if name in ("clinics", "quiet"):  # four clinics a treatment; in "quiet" without differences
        trt, clinic = np.repeat(["a", "b"], 48), np.repeat(np.arange(8), 12)
        spread = 1.0 if name == "clinics" else 0.0
        noise = rng.normal(size=(8, 12))
        noise -= noise.mean(axis=1, keepdims=True) * (1 - spread)
        y = noise.ravel() + spread * rng.normal(size=8)[clinic] + (trt == "b")
        return pd.DataFrame(
            {"y": y, "trt": trt, "clinic": [f"c{i}" for i in clinic], "x": rng.normal(size=96)}
        )
    if name == "groups":
        g = np.repeat(np.arange(12), 6)
        x = rng.normal(size=72)
        y = rng.normal(size=12)[g] + (1 + rng.normal(size=12)[g]) * x + rng.normal(size=72)
        return pd.DataFrame(
            {
                "y": y,
                "x": x,
                "twice": 2 * x,
                "a": [f"a{i:02}" for i in g],
                "b": [f"b{(5 * i) % 12:02}" for i in g],
                "h": [f"h{i}" for i in np.tile(np.arange(6), 12)],
                "arm": (g % 2).astype(float),
                "half": np.where(g % 2 == 0, "p", "q"),
            }
        )
    return hb.load_dataset(name)


# name: data, formula, the same model without what is undetermined, parameters, words of the cause
CASES = {
    "one_cluster_an_arm": (
        "arms",
        "y ~ arm + (1 | clinic)",
        "y ~ arm",
        ("sd((Intercept)|clinic)",),
        "the fixed effects of arm already give each level of clinic its own intercept",
    ),
    "and_patients": (
        "arms",
        "y ~ arm + (1 | clinic) + (1 | pat)",
        "y ~ arm + (1 | pat)",
        ("sd((Intercept)|clinic)",),
        "the fixed effects of arm already give each level of clinic",
    ),
    "fixed_and_random": (
        "Machines",
        "score ~ Machine + Worker + (1 | Worker)",
        "score ~ Machine + Worker",
        ("sd((Intercept)|Worker)",),
        "the fixed effects of Worker already give each level of Worker its own intercept",
    ),
    "fixed_and_random_beside_another": (
        "Machines",
        "score ~ Machine + (1 | Machine) + (1 | Worker)",
        "score ~ Machine + (1 | Worker)",
        ("sd((Intercept)|Machine)",),
        "the fixed effects of Machine already give each level of Machine",
    ),
    "saturated_slopes": (
        "sleepstudy",
        "Reaction ~ Days * Subject + (Days | Subject)",
        "Reaction ~ Days * Subject",
        ("sd((Intercept)|Subject)", "cor((Intercept), Days|Subject)", "sd(Days|Subject)"),
        "already give each level of Subject its own intercept and effect of Days",
    ),
    "saturated_intercepts": (
        "sleepstudy",
        "Reaction ~ Days + Subject + (Days | Subject)",
        "Reaction ~ Days + Subject + (0 + Days | Subject)",
        ("sd((Intercept)|Subject)", "cor((Intercept), Days|Subject)"),
        "the fixed effects of Subject already give each level of Subject its own intercept",
    ),
    "nested_in_treatment": (
        "clinics",
        "y ~ trt + (1 | trt/clinic)",
        "y ~ trt + (1 | trt:clinic)",
        ("sd((Intercept)|trt)",),
        "the fixed effects of trt already give each level of trt its own intercept",
    ),
    "nested_and_zero": (
        "quiet",
        "y ~ trt + (1 | trt/clinic)",
        "y ~ trt + (1 | trt:clinic)",
        ("sd((Intercept)|trt)",),
        "the fixed effects of trt already give each level of trt its own intercept",
    ),
    "equal_factors": (
        "groups",
        "y ~ x + (1 | a) + (1 | b)",
        "y ~ x + (1 | a)",
        ("sd((Intercept)|a)", "sd((Intercept)|b)"),
        "one by one",
    ),
    "never_together": (
        "groups",
        "y ~ arm + x + (0 + half | a)",
        "y ~ arm + x + (0 + half || a)",
        ("cor(halfp, halfq|a)",),
        "cor(halfp, halfq|a) is not determined by the data.",
    ),
    "collinear_columns": (
        "groups",
        "y ~ x + (0 + x + twice | a)",
        "y ~ x + (0 + x | a)",
        ("sd(x|a)", "cor(x, twice|a)", "sd(twice|a)"),
        "the columns x and twice of (0 + x + twice | a) depend on each other",
    ),
    "slope_constant_in_levels": (
        "groups",
        "y ~ x + (arm | a)",
        None,
        ("cor((Intercept), arm|a)", "sd(arm|a)"),
        "one by one",
    ),
    "a_sum_of_others": (
        "Machines",
        "score ~ Machine + (0 + Machine || Worker) + (1 | Worker:Machine)",
        "score ~ Machine + (0 + Machine || Worker)",
        ("sd(MachineA|Worker)", "sd(MachineB|Worker)", "sd(MachineC|Worker)"),
        "one by one",
    ),
}
DETERMINED = {
    "arms_of_patients": ("arms", "y ~ arm + (1 | pat)"),
    "workers": ("Machines", "score ~ Machine + (1 | Worker)"),
    "machines_of_workers": ("Machines", "score ~ Machine + (1 | Worker/Machine)"),
    "correlated_machines": ("Machines", "score ~ Machine + (0 + Machine | Worker)"),
    "slopes": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "slopes_beside_fixed_intercepts": (
        "sleepstudy",
        "Reaction ~ Days + Subject + (0 + Days | Subject)",
    ),
    "clinics_of_treatments": ("clinics", "y ~ trt + (1 | trt:clinic)"),
    "clinics_that_are_alike": ("quiet", "y ~ trt + (1 | clinic)"),
    "crossed": ("groups", "y ~ x + (1 | a) + (1 | h)"),
    "independent_halves": ("groups", "y ~ arm + x + (0 + half || a)"),
    "nested": ("Pastes", "strength ~ 1 + (1 | batch/cask)"),
    "quadratic": ("groups", "y ~ x + (x + I(x^2) || a)"),
}


@cache
def fitted(data, formula, method="reml"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, frame(data), reml=method == "reml")


def tables(found):
    return pd.concat([table.reset_index() for table in found.values()])


def a_factor(fit):
    return next(name for name in ("Machine", "trt", "x", "Days", "arm") if name in fit.formula_text)


# each gives a frame or an array, NaN for what has no number
RESULTS = {
    "theta": lambda fit: fit.theta,
    "fixef": lambda fit: fit.fixef(),
    "vcov": lambda fit: fit.vcov(),
    "varcorr": lambda fit: fit.varcorr().to_frame(),
    "tidy": lambda fit: fit.tidy(("fixed", "ran_pars"), ddf="normal"),
    "ran_vals": lambda fit: fit.tidy("ran_vals"),
    "ranef": lambda fit: tables(fit.ranef()),
    "ranef_sd": lambda fit: tables(fit.ranef_sd()),
    "ranef_cov": lambda fit: np.concatenate([np.ravel(v) for v in fit.ranef_cov().values()]),
    "coef": lambda fit: tables(fit.coef()),
    "fitted": lambda fit: fit.fitted(),
    "residuals": lambda fit: fit.residuals(),
    "augment": lambda fit: fit.augment(),
    "glance": lambda fit: fit.glance(),
    "deviance": lambda fit: np.array([fit.deviance]),
    "anova": lambda fit: hb.anova(fit, ddf="normal").to_frame(),
    "drop1": lambda fit: hb.drop1(fit, ddf="normal").to_frame(),
    "contrast": lambda fit: fit.contrast(np.eye(fit.beta.size)[:1] * 2, ddf="normal"),
    "emmeans": lambda fit: hb.emmeans(fit, a_factor(fit), ddf="normal").to_frame(),
    "wald": lambda fit: hb.confint(fit),
    "r2": lambda fit: hb.r2(fit).to_frame(),
    "icc": lambda fit: hb.icc(fit).to_frame(),
    "predict": lambda fit: fit.predict(),
    "typical": lambda fit: fit.predict(groups="none"),
    "prediction_se": lambda fit: fit.predict(interval="confidence")[["prediction"]],
    "shrinkage": lambda fit: pd.DataFrame(hb.shrinkage(fit)),
}


def numbers(found):
    """Numbers of a result in one row, text left out."""
    if not isinstance(found, pd.DataFrame | pd.Series):
        return np.ravel(np.asarray(found, dtype=float))
    columns = pd.DataFrame(found).reset_index(drop=True)
    parts = [pd.to_numeric(column, errors="coerce") for _, column in columns.items()]
    values = np.concatenate([part.to_numpy(dtype=float) for part in parts])
    return np.where(np.isinf(values), 0.0, values)  # infinite degrees of freedom


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_found_and_named(case, method):
    data, formula, _, parameters, cause = case
    found = [f for f in fitted(data, formula, method).findings if f.code == "not_identified"]
    named = {name for finding in found for name in finding.numbers["parameters"]}
    assert set(parameters) <= named
    assert any(cause in finding.sentence for finding in found)
    assert all("its prior decides" in finding.advice for finding in found)
    texts = fitted(data, formula, method).varcorr()
    assert "undetermined" in str(texts)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_number_hangs_on_it(case, result):
    fit, read = fitted(*case[:2]), RESULTS[result]
    here, shown = numbers(read(fit.representing)), numbers(read(fit))
    assert fit.alternatives
    for other in fit.alternatives:
        there = numbers(read(other))
        moved = np.abs(there - here) > MOVED * np.abs(here) + NOTHING * fit.design.y.std()
        assert np.isnan(shown[moved]).all()
    kept = ~np.isnan(shown)
    np.testing.assert_allclose(shown[kept], here[kept], rtol=1e-8, atol=1e-10)


WITH_SMALLER = {name: case for name, case in CASES.items() if case[2]}
COMPARED = {
    "tests": lambda fit: fit.tidy("fixed").set_index("term").select_dtypes("number"),
    "kenward_roger": lambda fit: (
        fit.tidy("fixed", ddf="kenward-roger").set_index("term").select_dtypes("number")
    ),
    "anova": lambda fit: hb.anova(fit).to_frame(),
    "profile": lambda fit: hb.confint(fit, method="profile"),
    "fitted": lambda fit: fit.fitted().to_frame(),
    "criteria": lambda fit: fit.glance()[["loglik", "criterion", "sigma"]],
    "predictions": lambda fit: pd.DataFrame(fit.predict(interval="prediction")),
}


@pytest.mark.parametrize("result", COMPARED)
@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c[2]], ids=[k for k in CASES if CASES[k][2]]
)
def test_the_rest_is_that_of_the_model_without_it(case, result):
    data, formula, smaller, *_ = case
    ours, theirs = (COMPARED[result](fitted(data, text)) for text in (formula, smaller))
    rows = [row for row in ours.index if row in theirs.index]
    ours, theirs = ours.loc[rows], theirs.loc[rows]
    shown = ours.notna().to_numpy()
    np.testing.assert_allclose(
        ours.to_numpy()[shown], theirs.to_numpy()[shown], rtol=1e-4, atol=1e-7
    )
    if result in ("fitted", "criteria"):
        assert shown.all()


@pytest.mark.parametrize("case", DETERMINED.values(), ids=DETERMINED)
def test_a_determined_design_keeps_all_its_numbers(case):
    fit = fitted(*case)
    assert not [f for f in fit.findings if f.code == "not_identified"]
    assert not fit.undetermined_parameters.any()
    assert fit.alternatives == ()
    assert np.isfinite(fit.tidy("fixed")["p_value"]).all()
    assert "undetermined" not in str(fit.varcorr())


def test_eight_schools_are_determined():
    effects = [28, 8, -3, 7, -1, 1, 18, 12]
    sds = [15, 10, 16, 11, 9, 11, 10, 18]
    schools = pd.DataFrame({"y": effects, "se": sds, "school": list("ABCDEFGH")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.BoundaryWarning)
        fit = hb.lmer("y ~ 1 + (1 | school)", schools, known_sd="se")
    assert [f.code for f in fit.findings] == ["boundary"]


def test_one_row_a_level_is_refused_and_so_are_its_disguises():
    data = pd.DataFrame({"pair": np.repeat(list("abcdef"), 2), "c": np.tile([-0.5, 0.5], 6)})
    data["y"] = np.random.default_rng(1).normal(size=12)
    with pytest.raises(hb.DataError, match=r"sd\(\(Intercept\)\|pair\) and sigma are not determ"):
        hb.lmer("y ~ 1 + c:pair + (1 | pair)", data)


@pytest.mark.parametrize("name", ["fixed_and_random", "saturated_intercepts", "equal_factors"])
def test_a_saved_fit_knows_it_still(name, tmp_path):
    fit = fitted(*CASES[name][:2])
    fit.save(tmp_path / "it.fit")
    loaded = hb.load(tmp_path / "it.fit")
    assert loaded.findings == fit.findings
    np.testing.assert_allclose(loaded.theta, fit.theta, rtol=1e-9)
    np.testing.assert_allclose(loaded.vcov(), fit.vcov(), rtol=1e-6)


def test_the_bootstrap_gives_no_interval_of_nothing():
    fit = fitted(*CASES["fixed_and_random"][:2])
    found = hb.confint(fit, method="bootstrap", nsim=20, random_seed=1)
    lost = found["lower"].isna()
    assert lost[["sd_(Intercept)|Worker", "Worker.L"]].all()
    assert not lost[["sigma", "MachineB"]].any()
    assert "not determined by the data" in found.attrs["reasons"]["Worker.L"]


def test_simulating_says_what_is_missing():
    with pytest.raises(hb.NotSupportedError, match="Not determined by the data: sd"):
        fitted(*CASES["one_cluster_an_arm"][:2]).simulate()


def test_checks_and_comparisons_say_it():
    fit = fitted(*CASES["fixed_and_random"][:2])
    table = hb.check(fit, nsim=20, random_seed=1).to_frame().set_index("check")
    row = table.loc["covariances of random effects"]
    assert row["value"].startswith("not determined by the data")
    assert row["verdict"] == "look"
    ml = fitted(*CASES["fixed_and_random"][:2], "ml")
    why = hb.compare(fit, ml).to_frame()["why"]
    assert why["sd((Intercept)|Worker)"] == "not determined by the data"
    assert why["MachineB"] != "not determined by the data"


def test_tables_say_why_a_row_is_empty():
    fit = fitted(*CASES["fixed_and_random"][:2])
    assert "Not determined by the data: sd((Intercept)|Worker)" in str(hb.anova(fit))
    assert "Not determined by the data" in str(hb.emmeans(fit, "Machine"))


def test_likelihood_ratios_test_nothing_the_data_do_not_determine():
    fit = fitted(*CASES["and_patients"][:2], "ml")
    table = hb.ranova(fit, random_seed=1).to_frame()
    tests = table[["p_value", "p_mixture", "p_exact"]]
    assert tests.loc["(1 | clinic)"].isna().all()
    assert table.loc["(1 | pat)", "p_value"] < 1
    without = fitted("arms", "y ~ 1 + (1 | clinic) + (1 | pat)", "ml")
    compared = hb.anova(without, fit)
    assert compared.to_frame()["p_value"].isna().all()
    assert "Not determined by the data" in " ".join(compared.notes)
    assert np.isnan(hb.drop1(fit, test="Chisq").to_frame().loc["arm", "p_value"])


def test_what_is_explained_and_drawn_says_it():
    fit = fitted(*CASES["saturated_intercepts"][:2])
    text = " ".join(fit.model.explain().split())
    assert "already give each level of Subject its own intercept" in text
    with pytest.raises(hb.NotSupportedError, match="do not determine the covariance of"):
        hb.plot.shrinkage_plane(fit)
    with pytest.warns(hb.DesignWarning, match="not determined"):  # fits again by ML
        surface = hb.likelihood_surface(fit)
    assert np.isnan(surface.reml_estimate[0])
    assert surface.reml_estimate[1] == pytest.approx(5.922, abs=1e-3)


@pytest.mark.mcmc
def test_the_posterior_says_that_its_prior_decides():
    fit = fitted(*CASES["fixed_and_random"][:2])
    with pytest.warns(hb.DesignWarning, match="its prior decides"):
        post = fit.model.sample(draws=200, random_seed=1)
    assert post.findings[0].sentence == fit.findings[0].sentence
    why = hb.compare(fit, post).to_frame()["why"]
    assert "its prior decides" in why["sd((Intercept)|Worker)"]
    assert "its prior decides" in why["Worker.L"]
    assert "prior decides" not in why["MachineB"]
