"""R2 and intraclass correlations: the reference, closed forms, both estimators."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.bayes.predictive import flat_draws
from hierbayes.families.named import family_named
from tests.reference_fits import linear_fits, load_fit

ATOL = 1e-4
OTHER_MODEL = ("mac_dbar", "ss_poly_dbar")  # lme4 1.1 does not split a factor or poly() under ||
# performance 0.10 looks the columns of the random effects up by name among the columns of X, and
# keeps the first covariance term of a factor only; what it does not find counts as no variance.
LEAVES_COLUMNS_OUT = (
    "cake_over",
    "mac_cell",
    "ort_dbar",
    "ort_group",
    "pas_batchslope",
    "ss_dbar_ml",
    "ss_dbar_reml",
    "ss_half_cell",
    "ss_nofix_ml",
    "ss_nofix_reml",
    "ss_off_arg",
    "ss_off_term",
    "ss_sep_ml",
    "ss_sep_reml",
)


def quiet(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return hb.lmer(formula, data, **options)


def fitted(reference):
    return quiet(reference.formula, reference.data, reml=reference.reml, **reference.options)


def references(without=()):
    found = []
    for fit_id in linear_fits(without=OTHER_MODEL + without):
        known = load_fit(fit_id).record.get("inference", {}).get("performance")
        found += [fit_id] if known else []
    return found


@pytest.mark.parametrize("fit_id", references(without=LEAVES_COLUMNS_OUT))
def test_performances_numbers(fit_id):
    reference = load_fit(fit_id)
    fit = fitted(reference)
    expected = reference.record["inference"]["performance"]
    assert hb.r2(fit).to_dict() == pytest.approx(expected["r2_nakagawa_tol0"], abs=ATOL)
    if expected["icc"] is not None:  # null for singular fits
        found = hb.icc(fit)
        assert found.adjusted == pytest.approx(expected["icc"]["adjusted"], abs=ATOL)
        assert found.unadjusted == pytest.approx(expected["icc"]["unadjusted"], abs=ATOL)


def of_family(fit, family, link):
    return replace(fit.spec, family=family_named(family, link))


@pytest.mark.parametrize("fit_id", LEAVES_COLUMNS_OUT)
def test_where_performance_leaves_columns_out_ours_has_them(fit_id):
    reference = load_fit(fit_id)
    fit = fitted(reference)
    expected = reference.record["inference"]["performance"]["r2_nakagawa_tol0"]
    assert hb.r2(fit).conditional > expected["conditional"]
    mean = replace(fit.design.mean, factors=without_columns(fit))
    design = fit.design.with_mean(mean)
    kept = replace(fit, spec=fit.spec.with_design(design, fit.kernel))
    assert hb.r2(kept).to_dict() == pytest.approx(expected, abs=ATOL)


def without_columns(fit):
    """The factors with zeros in the columns that performance does not find."""
    found = []
    for f, factor in enumerate(fit.design.factors):
        first = next(term for term in fit.design.terms if term.factor == f)
        z = factor.z.copy()
        for c, name in enumerate(factor.columns):
            if c not in first.columns or name not in ("(Intercept)", *fit.coef_names):
                z[:, c] = 0.0
        found.append(replace(factor, z=z))
    return tuple(found)


def test_variance_of_the_random_part_is_that_of_simulated_responses():
    fit = quiet("Reaction ~ Days + (Days || Subject)", hb.load_dataset("sleepstudy"))
    y = fit.simulate(4000, random_seed=1).to_numpy()
    found = hb.r2(fit)
    spread = ((y - fit.fixed_part[:, None]) ** 2).mean()
    expected = found.variances["random"] + found.variances["residual"]
    assert spread == pytest.approx(expected, rel=0.03)


def test_the_coding_of_random_columns_does_not_matter():
    machines = hb.load_dataset("Machines")
    a = hb.r2(quiet("score ~ Machine + (Machine | Worker)", machines)).to_dict()
    b = hb.r2(quiet("score ~ Machine + (0 + Machine | Worker)", machines)).to_dict()
    assert a == pytest.approx(b, abs=1e-6)


def test_a_model_without_groups_has_one_r2():
    fit = hb.lmer("Reaction ~ Days", hb.load_dataset("sleepstudy"))
    found = hb.r2(fit)
    X = fit.design.X @ fit.beta
    assert found.marginal == found.conditional
    assert found.marginal == pytest.approx(X.var(ddof=1) / (X.var(ddof=1) + fit.sigma**2))
    with pytest.raises(hb.DataError, match="no random effects"):
        hb.icc(fit)


def test_parts_by_grouping_factor_add_up():
    found = hb.icc(quiet("strength ~ 1 + (1 | batch/cask)", hb.load_dataset("Pastes")))
    assert list(found.by_group) == ["cask:batch", "batch"]
    assert sum(found.by_group.values()) == pytest.approx(found.adjusted)
    assert found.to_dict() == {
        "adjusted": found.adjusted,
        "unadjusted": found.unadjusted,
        **found.by_group,
    }


def test_units_of_the_response_do_not_matter():
    sleep = hb.load_dataset("sleepstudy")
    other = sleep.assign(Reaction=1000 - 3 * sleep.Reaction)
    formula = "Reaction ~ Days + (Days | Subject)"
    a, b = (hb.r2(hb.lmer(formula, data)).to_dict() for data in (sleep, other))
    assert a == pytest.approx(b, abs=1e-6)


def test_bootstrap_intervals_are_percentiles_of_refits():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    found = hb.icc(fit, "bootstrap", 0.9, nsim=200, random_seed=1)
    draws = hb.bootstrap(fit, nsim=200, random_seed=1).replicates
    icc = draws[:, 0] ** 2 / (draws[:, 0] ** 2 + draws[:, 1] ** 2)
    limits = found.table.loc["adjusted", ["conf_low", "conf_high"]]
    np.testing.assert_allclose(limits, np.quantile(icc, [0.05, 0.95]), atol=1e-12)
    assert "bootstrap" in str(found) and "5 %" in str(found) and "95 %" in str(found)


def test_bootstrap_of_correlated_columns_keeps_the_correlation():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    found = hb.r2(fit, "bootstrap", nsim=100, random_seed=1)
    statistic = hb.bootstrap(
        fit, lambda fit: hb.r2(fit).conditional, nsim=100, random_seed=1
    ).confint()
    limits = found.table.loc["conditional", ["conf_low", "conf_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(limits, statistic.iloc[0, 1:].to_numpy(dtype=float), rtol=1e-5)


def test_a_posterior_has_r2_in_every_draw():
    model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    post = model.sample(draws=200, chains=2, random_seed=1)
    found = hb.r2(post)
    flat = flat_draws(post.draws, post.design)
    z, X = post.design.factors[0].z, post.design.X
    conditional = []
    for s in range(flat.n_draws):
        covariance = flat.roots[0][s] @ flat.roots[0][s].T
        fixed = (X @ flat.beta[s]).var(ddof=1)
        random = np.einsum("ia,ab,ib->i", z, covariance, z).mean()
        conditional.append((fixed + random) / (fixed + random + flat.sigma[s] ** 2))
    assert found.conditional == pytest.approx(np.mean(conditional))
    limits = found.table.loc["conditional", ["conf_low", "conf_high"]]
    np.testing.assert_allclose(limits, np.quantile(conditional, [0.025, 0.975]))
    assert "credible" in str(found) and "confidence" not in str(found)
    with pytest.raises(hb.OptionError, match="leave interval out"):
        hb.r2(post, "bootstrap")


@pytest.fixture(scope="module")
def posterior():
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    return model.sample(draws=50, chains=1, random_seed=1)


@pytest.mark.parametrize(
    ("family", "link", "residual"),
    [
        ("bernoulli", "logit", np.pi**2 / 3),
        ("binomial", "probit", 1.0),
        ("binomial", "cloglog", np.pi**2 / 6),
        ("poisson", "log", np.log(1 + 1 / 1527.5)),  # the mean of Yield
        ("negativebinomial", "log", np.log(1 + 1 / 1527.5 + 1 / 4)),
        ("gamma", "log", np.log(1 + 1 / 4)),
    ],
)
def test_other_families_have_the_variance_of_their_link(posterior, family, link, residual):
    # the draws are of another family, which the variances do not depend on
    draws = replace(posterior.draws, family={"alpha": np.full((1, 50), 4.0)})
    post = replace(posterior, spec=of_family(posterior, family, link), draws=draws)
    found = hb.r2(post)
    assert found.variances["residual"] == pytest.approx(residual)
    assert hb.icc(post).variances["residual"] == pytest.approx(residual)


@pytest.mark.parametrize(("family", "link"), [("beta", "logit"), ("gaussian", "log")])
def test_a_family_without_a_standard_variance_is_refused(posterior, family, link):
    post = replace(posterior, spec=of_family(posterior, family, link))
    with pytest.raises(hb.NotSupportedError, match=f"family='{family}'.*no standard definition"):
        hb.r2(post)


def test_known_residual_variances():
    fit = quiet("effect ~ 1 + (1 | school)", hb.load_dataset("eight_schools"), known_sd="se")
    found = hb.r2(fit)
    se = hb.load_dataset("eight_schools")["se"]
    assert found.variances["residual"] == pytest.approx((se**2).mean())
    assert "mean of the known residual variances" in " ".join(str(found).split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"interval": "boostrap"}, "did you mean 'bootstrap'"),
        ({"level": 95}, "level=95"),
        ({"interval": "bootstrap", "nsim": 0}, "nsim=0"),
        ({"interval": "bootstrap", "random_seed": "a"}, "random_seed='a'"),
    ],
)
def test_bad_input(arguments, words):
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    for function in (hb.r2, hb.icc):
        with pytest.raises(hb.OptionError, match=words):
            function(fit, **arguments)


def test_no_fit_at_all():
    with pytest.raises(hb.OptionError, match="r2 is about a fit or a posterior; it got DataFrame"):
        hb.r2(hb.load_dataset("Dyestuff"))


def test_printed_and_shown():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    text, html = str(hb.r2(fit)), hb.r2(fit)._repr_html_()
    for words in ("R2 (Nakagawa)", "marginal", "0.279", "0.799", "residual 654.9"):
        assert words in text and words in html
    assert "2.5 %" not in text
    assert hb.icc(fit).to_frame().index.tolist() == ["adjusted", "unadjusted", "Subject"]
    assert "Intraclass" in hb.icc(fit)._repr_html_()


def test_the_variance_of_cell_means_far_from_zero_keeps_its_digits():
    data = hb.load_dataset("sleepstudy")
    data["late"] = np.where(data["Days"] > 4, "yes", "no")
    near, far = (
        hb.r2(hb.lmer("y ~ 0 + late + (1 | Subject)", data.assign(y=data["Reaction"] + shift)))
        for shift in (0.0, 1e8)
    )
    np.testing.assert_allclose(far.table["estimate"], near.table["estimate"], rtol=1e-7)


@pytest.mark.parametrize("measure", [hb.r2, hb.icc])
def test_without_a_refit_that_succeeds_there_is_no_interval_and_a_word_on_it(measure, monkeypatch):
    """Once "cannot reshape array of size 0"."""
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))

    def all_failed(*args, **options):
        found = hb.bootstrap(*args, **options)
        return replace(found, replicates=np.full_like(found.replicates, np.nan), n_failed=5)

    monkeypatch.setattr("hierbayes.checks.variance_shares.bootstrap", all_failed)
    found = measure(fit, "bootstrap", nsim=5, random_seed=1)
    assert found.table["estimate"].notna().all()
    assert found.table[["conf_low", "conf_high"]].isna().all(axis=None)
    assert "none of the 5 parametric bootstrap refits succeeded" in " ".join(str(found).split())
