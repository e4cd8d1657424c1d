"""Sensitivity to priors: against algebra, ArviZ and models sampled under the priors themselves."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.prior_sensitivity.conditional import conditional
from hierbayes.prior_sensitivity.weighted import answer
from hierbayes.priors.prior_widths import width_of, with_width

SLEEP = "Reaction ~ Days + (Days | Subject)"
ERRORS = 4.0  # Monte-Carlo errors that two estimates of one number may differ by


@pytest.fixture(scope="module")
def post():
    return hb.Model(SLEEP, hb.load_dataset("sleepstudy")).sample(random_seed=1)


@pytest.fixture(scope="module")
def of_days(post):
    return hb.sensitivity(post, "Days", widths=[1.5, 3.0, 10.0, np.inf], random_seed=2)


def test_another_prior_of_a_coefficient_is_that_of_dense_algebra(post):
    """Mean, variance and density of the data given the variance parameters, V written out."""
    design, law = post.design, hb.Normal(3.0, 2.0)
    flat = flat_draws(post.draws, design).take(np.array([0, 7]))
    old = post.priors.beta[1]
    both = conditional(post.spec, post.priors, flat, np.eye(2))
    found = both.with_prior(1, old, law)
    centred = design.X - np.array([0.0, design.X[:, 1].mean()])
    assert post.priors.beta[0].mu == pytest.approx(design.y.mean())
    for s in range(2):
        V = flat.sigma[s] ** 2 * np.eye(design.y.size)
        root = flat.roots[0][s]
        same = design.factors[0].codes[:, None] == design.factors[0].codes
        V += same * (design.factors[0].z @ root @ root.T @ design.factors[0].z.T)
        log_density = []
        for slope in (old, law):
            m = np.array([post.priors.beta[0].mu, slope.mu])
            S = np.diag([post.priors.beta[0].sigma ** 2, slope.sigma**2])
            P = centred.T @ np.linalg.solve(V, centred) + np.linalg.inv(S)
            h = centred.T @ np.linalg.solve(V, design.y) + np.linalg.solve(S, m)
            whole = multivariate_normal(centred @ m, V + centred @ S @ centred.T)
            log_density.append(whole.logpdf(design.y))
        assert found.mean[s] == pytest.approx(np.linalg.solve(P, h), rel=1e-9)
        assert found.covariance[s] == pytest.approx(np.linalg.inv(P), rel=1e-8, abs=1e-9)
        assert found.log_weights[s] == pytest.approx(np.diff(log_density)[0], rel=1e-8)


def test_one_normal_distribution_is_summarised_exactly():
    S = 200
    found = answer(np.zeros(S), np.full(S, 2.0), np.full(S, 9.0), 0.9)
    exact = norm(2, 3)
    assert (found.estimate, found.std_error) == pytest.approx((2.0, 3.0))
    assert (found.lower, found.upper) == pytest.approx(exact.interval(0.9))
    assert found.prob_positive == pytest.approx(exact.sf(0))
    assert found.log_density == pytest.approx(exact.logpdf(0))
    assert found.influences == pytest.approx(np.zeros((S, 6)), abs=1e-9)


def test_weighted_values_have_the_quantiles_of_the_distribution_weighted_for():
    x = np.random.default_rng(1).normal(size=40_000)
    found = answer(norm.logpdf(x, 0.5, 0.8) - norm.logpdf(x), x, None, 0.9)
    exact = norm(0.5, 0.8).interval(0.9)
    assert (found.lower, found.upper) == pytest.approx(exact, abs=0.03)
    assert found.log_evidence == pytest.approx(0.0, abs=0.02)
    errors = found.influences.std(axis=0) / np.sqrt(x.size)
    assert ((errors[1:3] > 0.004) & (errors[1:3] < 0.015)).all()


def test_power_scaling_is_that_of_arviz():
    from arviz_stats import psense

    model = hb.Model(SLEEP, hb.load_dataset("sleepstudy"))
    post = model.sample(draws=250, random_seed=1)
    found = hb.sensitivity(post)
    names = ["beta", "sigma", "sd_Subject"]
    for column in ("prior", "likelihood"):
        theirs = psense(post.idata, var_names=names, group=column)
        values = np.concatenate([np.ravel(theirs[name]) for name in names])
        ours = found.table[column].to_numpy()[[0, 1, 5, 2, 3]]
        assert ours == pytest.approx(values, rel=1e-6)
    assert found.by_prior.loc["sigma", "sigma"] > 5 * found.by_prior.loc["sigma", "Days"]
    assert "No parameter hangs on its priors." in str(found)


def test_a_flat_prior_is_the_same_to_any_power():
    model = hb.Model("Reaction ~ Days", hb.load_dataset("sleepstudy"), priors="flat")
    found = hb.sensitivity(model.sample(draws=50, random_seed=1))
    assert (found.by_prior["Days"] == 0).all()


def test_the_prior_of_the_fit_gives_its_posterior(post, of_days):
    row = of_days.table[of_days.table["factor"] == 1].iloc[0]
    assert row["estimate"] == pytest.approx(post.fixef()["Days"], abs=0.1)
    assert row["log_bf_prior"] == 0
    assert not row["refitted"]
    drawn = post.tidy("fixed").iloc[1]
    assert row["lower"] == pytest.approx(drawn["conf_low"], abs=0.2)


def test_the_flat_end_is_remls_answer(of_days):
    flat = of_days.table.iloc[-1]
    assert flat["prior"] == "Flat()"
    assert of_days.reference.method == "REML"
    assert flat["estimate"] == pytest.approx(of_days.reference.estimate, abs=0.01)
    assert flat[["log_bf", "least_prior_odds"]].isna().all()


@pytest.mark.parametrize("width", [1.5, 3.0])
def test_agrees_with_the_model_sampled_under_the_prior(post, of_days, width):
    row = of_days.table.set_index("width").loc[width]
    prior = {"Days": hb.Normal(0, width)}
    other = hb.Model(SLEEP, hb.load_dataset("sleepstudy"), priors=prior).sample(random_seed=9)
    own = hb.sensitivity(other, "Days", widths=[width], refit=False).table.iloc[0]
    for name in ("estimate", "lower", "upper", "prob_positive"):
        error = np.hypot(row[f"{name}_mcse"], own[f"{name}_mcse"])
        assert row[name] == pytest.approx(own[name], abs=ERRORS * error)
    gap = other.log_marginal_likelihood - post.log_marginal_likelihood
    error = np.hypot(row["log_bf_prior_mcse"], 0.03)
    assert row["log_bf_prior"] == pytest.approx(gap, abs=ERRORS * error)


def test_the_bayes_factor_is_that_of_the_model_without_the_term(post, of_days):
    null = post.update(". ~ . - Days", random_seed=3)
    expected = hb.bayes_factor(post, null)
    row = of_days.table[of_days.table["factor"] == 1].iloc[0]
    error = np.hypot(row["log_bf_mcse"], expected.log_bf_mcse)
    assert row["log_bf"] == pytest.approx(expected.log_bf, abs=ERRORS * error)
    assert row["log_bf_mcse"] < 0.05
    assert row["least_prior_odds"] == pytest.approx(19 / np.exp(row["log_bf"]))


def test_the_sceptics_interval_ends_at_zero(of_days):
    found = of_days.reverse
    prior = {"Days": hb.Normal(0, found.width)}
    other = hb.Model(SLEEP, hb.load_dataset("sleepstudy"), priors=prior).sample(random_seed=4)
    row = hb.sensitivity(other, "Days", widths=[found.width], refit=False).table.iloc[0]
    slope = row["lower_mcse"] + found.width_mcse * 3  # the end moves by about 2.5 a unit of width
    assert row["lower"] == pytest.approx(0.0, abs=ERRORS * slope)
    assert f"{found.prior}: these data do not convince" in str(of_days)


def test_nobody_is_convinced_by_an_interval_that_holds_zero_anyway(post):
    frame = hb.load_dataset("sleepstudy").assign(noise=np.tile([0.0, 1.0, -1.0, 2.0, -2.0], 36))
    other = hb.Model("Reaction ~ Days + noise + (1 | Subject)", frame).sample(random_seed=1)
    found = hb.sensitivity(other, "noise", widths=[5, 50])
    assert np.isnan(found.reverse.width)
    assert "there is nobody for the data to convince" in str(found)


@pytest.mark.parametrize("parameter", ["sd(Days|Subject)", "cor(Subject)", "sigma"])
def test_variance_parameters_take_other_widths(post, parameter):
    found = hb.sensitivity(post, parameter, widths=[4.0, 8.0])
    assert found.table["estimate"].notna().all()
    assert found.table["prob_positive"].isna().all() == (parameter != "cor(Subject)")
    assert found.reverse is None


def test_a_model_without_coefficients_has_priors_too():
    model = hb.Model("Reaction ~ 0 + (1 | Subject)", hb.load_dataset("sleepstudy"))
    found = hb.sensitivity(model.sample(draws=50, random_seed=1), "sigma", widths=[500.0])
    assert found.table["estimate"].notna().all()


def test_another_parameter_may_be_asked_about(post):
    found = hb.sensitivity(post, "sd(Days|Subject)", of="Days", widths=[3.0, np.inf])
    assert found.of == "Days"
    assert found.table["std_error"].iloc[0] < found.table["std_error"].iloc[-1]


def test_two_priors_make_a_grid(post):
    widths = {"Days": [5.0, np.inf], "sigma": [30.0]}
    found = hb.sensitivity(post, ["Days", "sigma"], widths=widths, refit=False)
    assert len(found.table) == 6
    alone = hb.sensitivity(post, "Days", widths=[5.0], refit=False)
    same = found.table[(found.table["factor_2"] == 1) & (found.table["width_1"] == 5)]
    assert same["estimate"].iloc[0] == pytest.approx(alone.table["estimate"].iloc[0])


def test_without_refits_nothing_is_said_where_weights_fail(post):
    found = hb.sensitivity(post, "Days", widths=[0.5], refit=False)
    first = found.table.iloc[0]
    assert first[["estimate", "lower", "upper", "log_bf", "least_prior_odds"]].isna().all()
    assert first["pareto_k"] > 0.5 or first["ess"] < 400
    assert [finding.code for finding in found.findings] == ["pareto_k"]


def test_another_family_may_take_the_place_of_the_prior(post):
    found = hb.sensitivity(post, "Days", prior=hb.Cauchy(0, 5), widths=[20.0])
    assert list(found.table["prior"]) == ["Cauchy(0, 5)", "Cauchy(0, 20)"]
    prior = {"Days": hb.Cauchy(0, 5)}
    other = hb.Model(SLEEP, hb.load_dataset("sleepstudy"), priors=prior).sample(random_seed=4)
    assert found.table["estimate"].iloc[0] == pytest.approx(other.fixef()["Days"], abs=0.15)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"parameter": "Day"}, hb.OptionError, "did you mean 'Days'"),
        ({"parameter": ["Days", "Days"]}, hb.OptionError, "one parameter twice"),
        ({"parameter": ["a", "b", "c"]}, hb.OptionError, "one name or two"),
        ({"parameter": "Days", "of": "Slope"}, hb.OptionError, "of='Slope' is not one of"),
        ({"parameter": "Days", "widths": [-1]}, hb.OptionError, "must be positive numbers"),
        ({"parameter": "Days", "widths": "wide"}, hb.OptionError, "must be positive numbers"),
        ({"parameter": "cor(Subject)", "widths": [np.inf]}, hb.OptionError, "leave inf out"),
        ({"parameter": "Days", "prior": hb.LKJ(2)}, hb.PriorError, "prior: LKJ"),
        ({"parameter": "Days", "prior": 3}, hb.OptionError, "prior=3 must be a prior"),
        ({"parameter": "Days", "prior": hb.Flat()}, hb.NotSupportedError, "has no width"),
        ({"parameter": ["Days", "sigma"], "widths": [1]}, hb.OptionError, "is a dict"),
        ({"parameter": "Days", "widths": {"sigma": [1]}}, hb.OptionError, "no parameter whose"),
    ],
)
def test_a_wrong_request_gets_a_sentence(post, options, error, words):
    with pytest.raises(error, match=words):
        hb.sensitivity(post, **options)


TEN = {
    SLEEP: ("sleepstudy", "gaussian", ("(Intercept)", "Days", "sd((Intercept)|Subject)",
            "sd(Days|Subject)", "cor(Subject)", "sigma")),
    "diameter ~ 1 + (1 | plate) + (1 | sample)": (
        "Penicillin", "gaussian", ("sd((Intercept)|sample)", "sigma")),
    "cbind(incidence, size - incidence) ~ period + (1 | herd)": (
        "cbpp", "binomial", ("period2", "sd((Intercept)|herd)")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("formula", TEN)
def test_curves_agree_with_models_sampled_under_nine_priors_each(formula):
    name, family, parameters = TEN[formula]
    data = hb.load_dataset(name)
    post = hb.Model(formula, data, family).sample(random_seed=11)
    away = []
    for parameter in parameters:
        own = next(p for p in post.priors.parameters if p.name == parameter)
        law = post.priors.of(own)
        widths = (
            np.geomspace(1, 32, 9)
            if own.kind == "cor"
            else np.geomspace(0.02, 4, 9) * (width_of(law))
        )
        found = hb.sensitivity(post, parameter, widths=widths, random_seed=5)
        for k, width in enumerate(widths):
            other = hb.Model(
                formula, data, family, priors={parameter: with_width(law, width)}
            ).sample(random_seed=100 + k)
            theirs = hb.sensitivity(other, parameter, widths=[width], refit=False).table.iloc[0]
            row = found.table[np.isclose(found.table["width"], width)].iloc[0]
            for number in ("estimate", "lower", "upper", "prob_positive"):
                if number == "prob_positive" and abs(row[number] - 0.5) > 0.5 - 1e-6:
                    continue  # nothing but rounding
                error = np.hypot(row[f"{number}_mcse"], theirs[f"{number}_mcse"])
                away.append((row[number] - theirs[number]) / error)
            gap = other.log_marginal_likelihood - post.log_marginal_likelihood
            errors = (row["log_bf_prior_mcse"], post.log_marginal_likelihood_mcse,
                      other.log_marginal_likelihood_mcse)  # fmt: skip
            away.append((row["log_bf_prior"] - gap) / np.sqrt(np.sum(np.square(errors))))
    z = np.abs(np.array([value for value in away if np.isfinite(value)]))
    assert z.max() < ERRORS
    assert np.mean(z > 2) < 0.1


@pytest.mark.slow
def test_the_sceptic_is_the_one_that_bisection_by_sampling_finds(of_days):
    data, low, high = hb.load_dataset("sleepstudy"), 1.2, 2.2
    for k in range(7):
        middle = (low + high) / 2
        other = hb.Model(SLEEP, data, priors={"Days": hb.Normal(0, middle)}).sample(
            random_seed=k, draws=4000
        )
        row = hb.sensitivity(other, "Days", widths=[middle], refit=False).table.iloc[0]
        low, high = (middle, high) if row["lower"] < 0 else (low, middle)
    assert (low + high) / 2 == pytest.approx(of_days.reverse.width, abs=0.03)


def test_needs_a_posterior(post):
    with pytest.raises(hb.OptionError, match="REML and ML fits have no priors"):
        hb.sensitivity(post.model.fit())


@pytest.mark.parametrize(
    ("law", "wide"),
    [
        (hb.Normal(1, 2), "Normal(1, 6)"),
        (hb.StudentT(3, 0, 2), "StudentT(3, 0, 6)"),
        (hb.HalfStudentT(4, 2), "HalfStudentT(4, 6)"),
        (hb.Exponential(0.5), "Exponential(0.1667)"),
        (hb.Gamma(2, 0.5), "Gamma(2, 0.1667)"),
        (hb.InverseGamma(3, 2), "InverseGamma(3, 6)"),
        (hb.Uniform(0, 2), "Uniform(0, 6)"),
        (hb.Uniform(-1, 1), "Uniform(-3, 3)"),
        (hb.LKJ(2), "LKJ(6)"),
    ],
    ids=str,
)
def test_a_prior_of_another_width(law, wide):
    assert width_of(law) == 2
    assert str(with_width(law, 6)) == wide
    assert with_width(law, 2) == law


@pytest.mark.parametrize("kind", ["curve", "grid"])
def test_pictures(post, of_days, kind):
    found = {
        "curve": lambda: of_days,
        "grid": lambda: hb.sensitivity(post, ["Days", "sigma"], widths={"Days": [9], "sigma": [9]}),
    }[kind]()
    figure, axes = found.plot()
    assert len(axes) == (3 if kind == "curve" else 1)
    assert "Days" in hb.plot.alt_text(figure)
