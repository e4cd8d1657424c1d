"""Leave-one-out: single rows against ArviZ, whole groups against dense algebra and refits."""

import time
import warnings
from dataclasses import replace
from functools import cache

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import hierbayes as hb
from hierbayes.comparison.leave_group_out import (
    _by_products,
    group_log_densities,
    refit_without,
    sample_without,
)
from hierbayes.comparison.leave_row_out import predicted_log_densities, row_log_densities
from hierbayes.comparison.left_out_blocks import blocks_of, left_out
from hierbayes.comparison.loo import psis
from hierbayes.render.html import fragment
from hierbayes.render.text import text as as_text
from hierbayes.reports.loo import loo_blocks

SLEEP = "Reaction ~ Days + (Days | Subject)"
SAME_FORMULA = 1e-9  # absolute, on logs of about 50: other order of operations only
CASES = {
    "one factor": (SLEEP, "sleepstudy", {}, 0),
    "weights": (SLEEP, "sleepstudy", {"weights": "1/(1 + Days)"}, 0),
    "offset": ("Reaction ~ 1 + (1 | Subject)", "sleepstudy", {"offset": "10 * Days"}, 0),
    "nested, outer": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}, 1),
    "nested, inner": ("strength ~ 1 + (1 | batch/cask)", "Pastes", {}, 0),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}, 1),
    "known sds": ("effect ~ 1 + (1 | school)", "eight_schools", {"known_sd": "se"}, 0),
}


def problem_of(fit, factor=0):
    by = None if factor is None else fit.design.factors[factor].name
    return left_out(fit, blocks_of(fit, by))


@cache
def sampled(formula, data, **options):
    return sampled_anew(formula, data, **options)


def sampled_anew(formula, data, **options):
    sampling = {name: options.pop(name) for name in ("draws", "chains") if name in options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)  # few draws do not converge
        frame = options.pop("frame", None)
        model = hb.Model(formula, hb.load_dataset(data) if frame is None else frame, **options)
        return model.sample(random_seed=1, **sampling)


def covariance_given_phi(problem, draw):
    """Prior mean (n,) and covariance (n, n) of y given phi, beta and b integrated out."""
    design, flat = problem.design, problem.flat
    mean, precision = problem.priors.gaussian_beta()
    weights = np.ones(design.y.size) if problem.weights is None else problem.weights
    V = np.diag(flat.sigma[draw] ** 2 / weights)
    V += design.X @ np.linalg.solve(precision, design.X.T)
    for factor, root in zip(design.factors, flat.roots, strict=True):
        rows = factor.z @ root[draw]
        V += (rows @ rows.T) * (factor.codes[:, None] == factor.codes)
    offset = 0.0 if design.offset is None else design.offset
    return design.X @ mean + offset, V


@pytest.mark.parametrize("name", CASES)
def test_densities_without_rows_and_groups_are_those_of_dense_algebra(name):
    formula, data, options, factor = CASES[name]
    fit = sampled(formula, data, draws=4, chains=1, **options)
    problem = problem_of(fit, factor)
    found, rows = group_log_densities(problem), row_log_densities(problem_of(fit, None))
    one_by_one = predicted_log_densities(problem, 1)
    y = problem.design.y
    for draw in range(4):
        mean, V = covariance_given_phi(problem, draw)
        every = multivariate_normal(mean, V).logpdf(y)
        for j in range(problem.levels.size):
            rest = problem.codes != j
            others = multivariate_normal(mean[rest], V[np.ix_(rest, rest)]).logpdf(y[rest])
            assert found[draw, j] == pytest.approx(every - others, abs=SAME_FORMULA)
        precision = np.diag(np.linalg.inv(V))
        away = np.linalg.solve(V, y - mean) / precision
        expected = norm.logpdf(away, scale=precision**-0.5)
        np.testing.assert_allclose(rows[:, draw], expected, rtol=0, atol=SAME_FORMULA)
        out = problem.codes == 1
        K = np.linalg.solve(V[np.ix_(~out, ~out)], V[np.ix_(~out, out)])
        variance = np.diag(V[np.ix_(out, out)] - K.T @ V[np.ix_(~out, out)])
        expected = norm.logpdf(y[out], mean[out] + K.T @ (y - mean)[~out], variance**0.5)
        np.testing.assert_allclose(one_by_one[:, draw], expected, rtol=0, atol=SAME_FORMULA)


def test_subtracting_parts_equals_forming_the_products_of_the_other_rows():
    problem = problem_of(sampled(SLEEP, "sleepstudy", draws=5, chains=1))
    slow = _by_products(problem)
    np.testing.assert_allclose(group_log_densities(problem), slow, atol=SAME_FORMULA)


def test_priors_that_are_not_normal_take_beta_from_the_draws():
    fit = sampled(SLEEP, "sleepstudy", draws=3, chains=1)
    laws = tuple(hb.StudentT(3, prior.mu, prior.sigma) for prior in fit.priors.beta)
    problem = replace(problem_of(fit), priors=replace(fit.priors, beta=laws))
    found = group_log_densities(problem)
    design, flat = problem.design, problem.flat
    factor = design.factors[0]
    for draw in range(3):
        for j in (0, 11):
            at = factor.codes == j
            rows = factor.z[at] @ flat.roots[0][draw]
            V = rows @ rows.T + flat.sigma[draw] ** 2 * np.eye(at.sum())
            expected = multivariate_normal(design.X[at] @ flat.beta[draw], V).logpdf(design.y[at])
            assert found[draw, j] == pytest.approx(expected, abs=SAME_FORMULA)


def test_a_slope_with_a_cauchy_prior_is_taken_from_the_draws_and_the_intercept_integrated_out():
    fit = sampled_anew(SLEEP, "sleepstudy", draws=3, chains=1, priors={"Days": hb.Cauchy(8, 1)})
    problem = problem_of(fit, None)
    found = row_log_densities(problem)
    design, flat, intercept = problem.design, problem.flat, fit.priors.beta[0]
    for draw in range(3):
        days = design.X[:, 1] - design.X[:, 1].mean()  # the prior's intercept is there
        mean = intercept.mu + days * flat.beta[draw, 1]
        rows = design.factors[0].z @ flat.roots[0][draw]
        V = (rows @ rows.T) * (problem_of(fit).codes[:, None] == problem_of(fit).codes)
        V += flat.sigma[draw] ** 2 * np.eye(days.size) + intercept.sigma**2
        precision = np.diag(np.linalg.inv(V))
        away = np.linalg.solve(V, design.y - mean) / precision
        expected = norm.logpdf(away, scale=precision**-0.5)
        np.testing.assert_allclose(found[:, draw], expected, rtol=0, atol=SAME_FORMULA)


def test_groups_agree_with_refits_without_them():
    """Each batch dropped, the posterior of the others sampled, the batch's rows predicted."""
    fit = sampled("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    found = hb.loo(fit, by="Batch").to_frame()
    problem = problem_of(fit)
    y = problem.design.y
    for j, row in enumerate(found.itertuples()):
        at = problem.codes == j
        refit = sample_without(problem, j, random_seed=100 + j)
        beta, sigma = refit.beta[..., 0].ravel(), refit.sigma.ravel()
        sd = refit.sd["Batch"][..., 0].ravel()
        # y_j ~ N(beta, sigma^2 I + sd^2 11'), by its mean and the deviations from it
        n = at.sum()
        variance = sigma**2 / n + sd**2
        square = ((y[at] - y[at].mean()) ** 2).sum()
        log_density = -0.5 * (
            n * np.log(2 * np.pi)
            + (n - 1) * np.log(sigma**2)
            + square / sigma**2
            + np.log(n * variance)
            + (y[at].mean() - beta) ** 2 / variance
        )
        expected = logsumexp(log_density) - np.log(log_density.size)
        relative = np.exp(log_density - expected)
        error = np.hypot(relative.std() / np.sqrt(relative.size / 2), row.mcse)
        assert row.elpd == pytest.approx(expected, abs=4 * error), row.Index


def test_rows_agree_with_arviz():
    fit = sampled(SLEEP, "sleepstudy", draws=250)
    found = hb.loo(fit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = az.loo(fit.idata, pointwise=True)
    # they take another effective size, so their smoothed tail has some more or fewer weights
    beside = found.by_draws
    assert beside.elpd == pytest.approx(theirs.elpd, abs=0.5 * beside.mcse)
    assert beside.se == pytest.approx(theirs.se, rel=1e-2)
    assert beside.p_loo == pytest.approx(theirs.p, abs=0.5 * beside.mcse)
    assert beside.n_untrusted == (theirs.pareto_k > 0.7).sum()


def crossed_data():
    rng = np.random.default_rng(11)
    g, h = np.repeat(np.arange(20), 12), np.tile(np.arange(12), 20)
    x = rng.normal(size=240)
    y = rng.normal(size=20)[g] + 0.7 * rng.normal(size=12)[h] + rng.standard_t(4, size=240)
    return {"y": y + x * (1 + 0.5 * rng.normal(size=20)[g]), "x": x, "g": g, "h": h}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sleepstudy", "crossed"])
def test_rows_agree_with_posteriors_sampled_without_each(name):
    """Each of 180 and of 200 rows dropped, the posterior of the others sampled, it predicted."""
    if name == "sleepstudy":
        fit = sampled(SLEEP, "sleepstudy")
    else:
        fit = hb.Model("y ~ x + (x | g) + (1 | h)", crossed_data()).sample(random_seed=1)
    table, problem = hb.loo(fit).pointwise, problem_of(fit, None)
    assert table["pareto_k"].max() < 0.7
    away = []
    for i in range(min(200, len(table))):
        refit = refit_without(problem, i, random_seed=1000 + i)
        away.append(
            (table["elpd"].iloc[i] - refit.elpd) / np.hypot(table["mcse"].iloc[i], refit.mcse)
        )
    assert np.abs(away).max() < 4
    assert np.std(away) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("by", ["Subject", "g"])
def test_groups_agree_with_posteriors_sampled_without_each(by):
    if by == "Subject":
        fit = sampled(SLEEP, "sleepstudy")
    else:
        fit = hb.Model("y ~ x + (x | g) + (1 | h)", crossed_data()).sample(random_seed=1)
    table, problem = hb.loo(fit, by=by).pointwise, left_out(fit, blocks_of(fit, by))
    away = []
    for j in range(len(table)):
        refit = refit_without(problem, j, random_seed=2000 + j)
        error = np.hypot(table["mcse"].iloc[j], refit.mcse)
        away.append((table["elpd"].iloc[j] - refit.elpd) / error)
    assert np.abs(away).max() < 4
    assert np.std(away) < 1.6


@pytest.mark.slow
def test_rows_of_sleepstudy_cost_less_than_a_fifth_of_a_second():
    """Of processor time: 4,000 draws, 180 rows, and the answer of az.loo beside."""
    fit = sampled(SLEEP, "sleepstudy")
    assert fit.n_draws == 4000
    times = []
    for _ in range(6):  # the first imports scipy.sparse
        started = time.process_time()
        hb.loo(fit)
        times.append(time.process_time() - started)
    assert min(times) < 0.2


def test_rows_of_sleepstudy_are_exact_and_trusted():
    """Four terms of az.loo have k above 0.7 here, which makes its elpd too high."""
    found = hb.loo(sampled(SLEEP, "sleepstudy"))
    assert found.method == "exact" and found.findings == ()
    assert found.pointwise["pareto_k"].max() < 0.7
    assert found.mcse < 0.15 < found.by_draws.mcse
    assert found.by_draws.n_untrusted == 4
    # 4,000 draws of each of 180 posteriors without the row: -862.17, with an error of 0.10
    assert found.elpd == pytest.approx(-862.17, abs=4 * np.hypot(found.mcse, 0.10))


def test_smoothed_terms_are_exact_for_a_known_posterior():
    """y_i ~ N(mu, 1), flat mu: y_i given the others is N(mean of them, 1 + 1 / (n - 1))."""
    rng = np.random.default_rng(5)
    y = rng.standard_normal(12)
    mu = y.mean() + rng.standard_normal(20_000) / np.sqrt(y.size)
    log_density = -0.5 * (np.log(2 * np.pi) + (y - mu[:, None]) ** 2)
    terms = psis(log_density.T)
    others = (y.sum() - y) / (y.size - 1)
    variance = 1 + 1 / (y.size - 1)
    expected = -0.5 * (np.log(2 * np.pi * variance) + (y - others) ** 2 / variance)
    assert (np.abs(terms.elpd - expected) < 4 * terms.mcse).all()
    assert (terms.pareto_k < 0.7).all()


def test_totals_are_those_of_the_terms():
    found = hb.loo(sampled(SLEEP, "sleepstudy", draws=250), by="Subject")
    terms = found.pointwise["elpd"]
    assert found.elpd == pytest.approx(terms.sum())
    assert found.se == pytest.approx(np.sqrt(18 * terms.var()))
    assert np.isnan(found.p_loo)
    assert terms.index.tolist()[:2] == ["308", "309"]


def test_the_header_says_what_is_left_out():
    fit = sampled(SLEEP, "sleepstudy", draws=250)
    rows, groups = hb.loo(fit), hb.loo(fit, by="Subject")
    assert "prediction of new rows of the same groups" in rows.what
    assert rows.how.endswith("the draws of these are reweighed.")
    assert groups.what.startswith("All rows of each Subject (10 rows) are left out at once")
    assert "fixed and random effects integrated out" in groups.how
    crossed = sampled(CASES["crossed"][0], "Penicillin", draws=30)
    assert "share levels of plate" in hb.loo(crossed, by="sample").what


@pytest.mark.parametrize("by", [None, "Subject"])
def test_text_and_html_hold_the_same_numbers(by):
    found = hb.loo(sampled(SLEEP, "sleepstudy", draws=250), by=by)
    text, html = as_text(loo_blocks(found)), fragment(loo_blocks(found))
    for shown in (text, html):
        assert f"{found.elpd:.1f}" in shown
        assert f"Leave-one-{by or 'row'}-out prediction" in shown
    assert max(map(len, text.splitlines())) <= 80


def test_variance_parameters_are_drawn_anew_for_an_outlying_group():
    """Log p(y) - log p(y without 332) by six runs of 20,000 draws each: -69.606, error 0.001."""
    found = hb.loo(sampled(SLEEP, "sleepstudy"), by="Subject")
    table = found.to_frame()
    assert table.index[table["anew"]].tolist() == ["332"]
    assert found.findings == () and table["pareto_k"].max() < 0.7
    row = table.loc["332"]
    assert row["mcse"] < 0.1
    assert row["elpd"] == pytest.approx(-69.606, abs=4 * row["mcse"])
    assert "For 1 of them variance parameters were drawn anew" in " ".join(str(found).split())
    again = hb.loo(sampled(SLEEP, "sleepstudy"), by="Subject").to_frame()
    pd.testing.assert_frame_equal(table, again)


def test_an_outlying_group_is_named_with_advice():
    fit = sampled_anew(SLEEP, "sleepstudy", priors={"Days": hb.Cauchy(0, 10)})
    found = hb.loo(fit, by="Subject")
    bad = found.pointwise.index[found.pointwise["pareto_k"] > 0.7].tolist()
    assert bad == ["332"] and not found.pointwise["anew"].any()
    (finding,) = found.findings
    assert finding.code == "pareto_k"
    assert "1 of 18 terms is not to be trusted: leaving out Subject 332" in finding.sentence
    assert finding.advice.startswith('hb.loo(fit, by="Subject", refit=True)')
    again = hb.loo(fit, by="Subject", refit=True, random_seed=3)
    table = again.to_frame()
    assert table.index[table["refitted"]].tolist() == ["332"]
    assert again.findings == ()
    same = ~table["refitted"]
    assert (table["elpd"][same] == found.pointwise["elpd"][same]).all()
    assert "1 sampled anew without the level" in " ".join(str(again).split())


@pytest.mark.mcmc
@pytest.mark.parametrize("law", [hb.Cauchy(8, 1), hb.HalfNormal(10), hb.Uniform(9, 12)])
def test_groups_are_sampled_anew_without_under_any_prior_of_a_coefficient(law):
    """Once refused for other than Normal and Flat priors. p(y_j | y_-j) is p(y) over p(y_-j)."""
    formula = "Reaction ~ Days + (1 | Subject)"
    fit = sampled_anew(formula, "sleepstudy", priors={"Days": law}, draws=2000)
    problem, j = problem_of(fit), 5
    others = sample_without(problem, j, random_seed=2)
    expected = fit.log_marginal_likelihood - others.log_marginal_likelihood
    found = refit_without(problem, j, random_seed=3)
    assert found.mcse < 0.05
    assert others.log_marginal_likelihood_mcse < 0.02
    error = np.hypot(found.mcse, others.log_marginal_likelihood_mcse)
    assert found.elpd == pytest.approx(expected, abs=4 * error + 0.02)


def test_a_bounded_coefficient_that_one_group_alone_determines_is_not_sampled_without_it():
    sleep = hb.load_dataset("sleepstudy")
    sleep["first"] = (sleep["Subject"] == "308").astype(float)
    priors = {"first": hb.HalfNormal(100)}
    fit = hb.Model("Reaction ~ first + (1 | Subject)", sleep, priors=priors).sample(random_seed=1)
    with pytest.raises(hb.DataError, match="Without Subject 308 the other rows do not determine"):
        refit_without(problem_of(fit), 0, random_seed=1)


def test_blocks_are_columns_or_labels_of_the_rows():
    fit = sampled(SLEEP, "sleepstudy", draws=100)
    days = hb.loo(fit, by="Days")
    assert days.pointwise.index.tolist() == [str(day) for day in range(10)]
    assert "whose rows share levels of Subject with the others" in days.what
    labels = fit.design.X[:, 1]
    np.testing.assert_array_equal(hb.loo(fit, by=labels).pointwise["elpd"], days.pointwise["elpd"])
    single = hb.loo(fit, by=np.arange(180)).pointwise["elpd"].to_numpy()
    np.testing.assert_allclose(single, hb.loo(fit).pointwise["elpd"], rtol=0, atol=SAME_FORMULA)


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        ("subject", "is not one of the grouping factors 'Subject' or a column"),
        (3, "by=3 is no grouping factor, no column of the data and no label"),
        ([1, 2], "by has 2 labels for the 180 rows used; give one a row"),
        ([1.0, np.nan] * 90, "block is missing in 90 of the rows used"),
        ([1] * 180, "block has one level"),
    ],
)
def test_wrong_blocks_are_said(by, sentence):
    with pytest.raises(hb.HierBayesError, match=sentence):
        hb.loo(sampled(SLEEP, "sleepstudy", draws=50), by=by)


def test_reml_fits_and_few_draws_are_refused():
    fit = hb.lmer(SLEEP, hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.HierBayesError, match="loo needs a posterior"):
        hb.loo(fit)
    with pytest.raises(hb.DataError, match="than the 20 there are"):
        hb.loo(sampled(SLEEP, "sleepstudy", draws=5))


def test_a_flat_coefficient_that_one_group_alone_determines_is_refused():
    sleep = hb.load_dataset("sleepstudy")
    sleep["first"] = (sleep["Subject"] == "308").astype(float)
    model = hb.Model("Reaction ~ first + (1 | Subject)", sleep, priors="flat")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        fit = model.sample(draws=50, random_seed=1)
    with pytest.raises(hb.DataError, match="Without Subject 308 the other rows do not determine"):
        hb.loo(fit, by="Subject")


def test_a_flat_coefficient_that_one_row_alone_determines_is_refused():
    sleep = hb.load_dataset("sleepstudy")
    sleep["first"] = (sleep.index == sleep.index[7]).astype(float)
    fit = sampled_anew("Reaction ~ first + (1 | Subject)", "", draws=50, frame=sleep, priors="flat")
    with pytest.raises(hb.DataError, match="Without row 7 the other rows do not determine"):
        hb.loo(fit)


def test_densities_hundreds_of_logs_apart_have_finite_errors():
    """Their ratio is beyond a double; the share of a draw in the mean is not."""
    log_density = np.random.default_rng(1).normal(size=(400, 2))
    log_density[0] = 900.0
    assert np.isfinite(psis(log_density.T).mcse).all()
