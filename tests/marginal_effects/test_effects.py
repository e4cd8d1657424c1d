"""Predictions, comparisons and slopes: R's emmeans, algebra by hand, integrals, draws by hand."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm, t

import hierbayes as hb
from tests.ordinal_data import wine
from tests.results.posteriors import known_posterior, posterior_at

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
TARGETS = ("typical group", "observed groups", "new groups")


def quiet(make, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return make(*args, **options)


@pytest.fixture(scope="module")
def sleep():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def cake():
    return hb.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", hb.load_dataset("cake"))


@pytest.fixture(scope="module")
def cbpp():
    return hb.glmer(CBPP, hb.load_dataset("cbpp"))


@pytest.fixture(scope="module")
def logistic():
    """No groups: R's glm(y ~ x * f, binomial) of the same rows is what it is compared with."""
    i = np.arange(1, 61)
    x = np.round(np.sin(i), 6)
    y = (np.sin(7 * i * i) + 0.8 * x > -0.2).astype(int)
    return hb.glmer("y ~ x * f", {"y": y, "x": x, "f": np.array(list("abc"))[i % 3]})


@pytest.fixture(scope="module")
def bitterness():
    return hb.glmer("rating ~ temp + contact + (1 | judge)", wine(), "cumulative")


@pytest.fixture(scope="module")
def counts():
    """Counts with an offset, slopes that vary, and rows that have missing values."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(10), 9), rng.normal(size=90)
    hours = rng.uniform(1, 3, size=90)
    b = rng.normal(size=(10, 2)) * [0.5, 0.3]
    y = rng.poisson(hours * np.exp(0.4 + 0.5 * x + b[g, 0] + b[g, 1] * x))
    data = pd.DataFrame({"y": y, "x": x, "g": g, "hours": hours, "site": np.arange(90) % 2})
    return hb.glmer("y ~ x + offset(log(hours)) + (x | g)", data, "poisson")


def numbers(table, *names):
    frame = table.to_frame()
    return frame[names[0] if len(names) == 1 else list(names)].to_numpy(dtype=float)


# R


def test_slopes_of_a_linear_model_are_those_of_emtrends(cake):
    found = hb.slopes(cake, "temp", "recipe", ddf="kenward-roger").to_frame()
    trends = [0.1537142857, 0.1645714286, 0.1558095238]  # emmeans 1.8.4, lmer.df = "kenward-roger"
    np.testing.assert_allclose(found["estimate"], trends, rtol=1e-9)
    np.testing.assert_allclose(found["std_error"], 0.0282074798, rtol=1e-6)
    np.testing.assert_allclose(found["df"], 222, rtol=1e-6)


def test_balanced_predictions_are_the_means_of_emmeans(cake):
    found = hb.predictions(cake, ["temp", "recipe"], at={"temp": [175, 225]}, over="balanced")
    means = [29.27936508, 27.53015873, 27.70476190, 36.96507937, 35.75873016, 35.49523810]
    np.testing.assert_allclose(numbers(found, "estimate"), means, rtol=1e-9)
    np.testing.assert_allclose(numbers(found, "std_error"), 1.874534491, rtol=1e-4)
    np.testing.assert_allclose(numbers(found, "df"), 56.69737, rtol=1e-3)


def test_averages_of_probabilities_are_those_of_a_regridded_emmeans(logistic):
    found = hb.predictions(logistic, "f", at={"x": [-1, 0, 1]}).to_frame()
    assert found[["f", "x"]].values.tolist()[:4] == [["a", -1], ["a", 0], ["a", 1], ["b", -1]]
    rows = pd.DataFrame({"x": np.tile([-1.0, 0, 1], 3), "f": np.repeat(["a", "b", "c"], 3)})
    means = hb.predictions(logistic, "f", over=rows)
    np.testing.assert_allclose(
        numbers(means, "estimate", "std_error"),
        [
            [0.5013950964, 0.09552907302],
            [0.7143132073, 0.08614139792],
            [0.4842170984, 0.07919693509],
        ],
        rtol=1e-6,
    )
    pairs = hb.comparisons(logistic, "f", over=rows, change="pairwise")
    np.testing.assert_allclose(
        numbers(pairs, "estimate", "std_error"),
        [
            [0.21291811088, 0.1286318165],
            [-0.01717799801, 0.1240885100],
            [-0.23009610889, 0.1170149348],
        ],
        rtol=1e-6,
    )


def test_an_average_slope_of_a_logistic_model(logistic):
    found = numbers(hb.slopes(logistic, "x"), "estimate", "std_error")[0]
    np.testing.assert_allclose(found, [0.302031568, 0.045900567], rtol=1e-7)
    p = np.asarray(logistic.fitted())
    f = logistic.design.X[:, 2:4] @ logistic.beta[4:6]
    assert found[0] == pytest.approx(np.mean(p * (1 - p) * (logistic.beta[1] + f)), rel=1e-10)


# by hand


def test_predictions_of_single_rows_are_those_of_predict(sleep, cbpp):
    for fit in (sleep, cbpp):
        for target, groups in (("typical group", "none"), ("observed groups", "all")):
            found = hb.predictions(fit, False, target=target)
            expected = fit.predict(groups=groups, interval="confidence")
            columns = ("estimate", "std_error", "conf_low", "conf_high")
            np.testing.assert_allclose(numbers(found, *columns), expected, rtol=1e-8)


def test_a_ratio_of_means_has_the_degrees_of_freedom_of_its_gradient(sleep):
    found = hb.comparisons(sleep, "Days", change=(0, 9), kind="ratio").to_frame().iloc[0]
    low, high = sleep.beta[0], sleep.beta @ [1, 9]
    gradient = np.array([1, 9]) / high - np.array([1, 0]) / low
    se = np.sqrt(gradient @ np.asarray(sleep.vcov()) @ gradient)
    df = sleep.contrast(gradient[None])["df"].iloc[0]
    assert found["estimate"] == pytest.approx(high / low, rel=1e-12)
    assert found["std_error"] == pytest.approx(high / low * se, rel=1e-9)
    assert found["df"] == pytest.approx(df, rel=1e-9)
    end = high / low * np.exp(t.ppf(0.975, df) * se)
    assert found["conf_high"] == pytest.approx(end, rel=1e-9)


def test_the_slopes_of_the_observed_groups_are_their_coefficients(sleep):
    found = hb.slopes(sleep, "Days", "Subject", target="observed groups")
    np.testing.assert_allclose(
        numbers(found, "estimate"), sleep.coef()["Subject"]["Days"], rtol=1e-9
    )


def test_the_error_of_an_average_over_observed_groups_by_the_mixed_model_equations():
    """Crossed factors and unbalanced rows; the covariance of (beta, b) as one dense inverse."""
    from hierbayes.prediction.prediction_variance import combination_variance

    data = hb.load_dataset("Penicillin").iloc[:-17]
    fit = quiet(hb.lmer, "diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    factors = fit.design.factors
    Z = np.hstack([np.eye(f.levels.size)[f.codes] for f in factors])
    sds = np.concatenate(
        [np.full(f.levels.size, r[0, 0]) for f, r in zip(factors, fit.effect_roots, strict=True)]
    )
    XZ = np.hstack([fit.design.X, Z])
    M = XZ.T @ XZ / fit.sigma**2 + np.diag(np.concatenate([[0.0], sds**-2]))
    some = fit.design.y > 23
    weights = some / some.sum()
    ell = weights @ XZ
    ends = np.cumsum([1, *(f.levels.size for f in factors)])
    levels = [ell[a:b][None, :, None] for a, b in pairwise(ends)]
    found = combination_variance(fit, ell[None, :1], levels)
    assert found.given_theta[0] == pytest.approx(ell @ np.linalg.solve(M, ell), rel=1e-9)
    table = hb.predictions(fit, over=data[some], target="observed groups").to_frame()
    assert table["std_error"][0] == pytest.approx(found.sd[0], rel=1e-9)
    assert table["estimate"][0] == pytest.approx(fit.fitted()[some].mean(), rel=1e-9)


def test_the_error_of_an_average_over_observed_herds_by_the_joint_curvature(cbpp):
    found = hb.predictions(cbpp, target="observed groups").to_frame().iloc[0]
    (factor,) = cbpp.design.factors
    p, X = np.asarray(cbpp.fitted()), cbpp.design.X
    Z, W = np.eye(factor.levels.size)[factor.codes], cbpp.row_curvature
    C = np.linalg.inv(Z.T * W @ Z + np.eye(factor.levels.size) / cbpp.effect_roots[0][0, 0] ** 2)
    slope = p * (1 - p) / p.size
    ell = slope @ X - (C @ (Z.T * W @ X)).T @ (slope @ Z)
    variance = slope @ Z @ C @ (slope @ Z) + ell @ np.asarray(cbpp.vcov()) @ ell
    assert found["estimate"] == pytest.approx(p.mean(), rel=1e-10)
    assert found["std_error"] == pytest.approx(np.sqrt(variance), rel=1e-7)


def test_averages_over_new_herds_are_integrals_and_know_that_the_sd_was_estimated(cbpp):
    found = hb.comparisons(
        cbpp, "period", change=("1", "4"), kind="risk_ratio", target="new groups"
    ).to_frame()

    def log_ratio(parameters):
        eta, sd = np.array([parameters[0], parameters[0] + parameters[3]]), parameters[4]
        means = [quad(lambda u, e=e: expit(e + sd * u) * norm.pdf(u), -9, 9)[0] for e in eta]
        return np.log(means[1] / means[0])

    at, h = np.append(cbpp.beta, cbpp.effect_roots[0][0, 0]), 1e-4
    steps = h * np.eye(5)
    gradient = [(log_ratio(at + e) - log_ratio(at - e)) / (2 * h) for e in steps]
    se = np.sqrt(gradient @ cbpp.optimum.vcov @ gradient)
    assert np.log(found["estimate"][0]) == pytest.approx(log_ratio(at), rel=1e-8)
    assert found["statistic"][0] == pytest.approx(log_ratio(at) / se, rel=1e-6)


def test_slopes_where_effects_and_offsets_vary(counts):
    x, (root,) = counts.design.X[:, 1], counts.effect_roots
    covariance = root @ root.T
    z = np.column_stack([np.ones(x.size), x])
    variance = np.einsum("ni,ij,nj->n", z, covariance, z)
    mean = np.exp(counts.fixed_part + variance / 2)  # of new groups, log-normal
    slope = mean * (counts.beta[1] + covariance[0, 1] + covariance[1, 1] * x)
    found = hb.slopes(counts, "x", target="new groups")
    assert numbers(found, "estimate")[0] == pytest.approx(slope.mean(), rel=1e-8)
    assert "Offsets are those of the rows." in str(found)


# posteriors


@pytest.mark.parametrize("target", TARGETS)
def test_a_posterior_has_every_result_in_every_draw(target):
    post = known_posterior(hb.Model(CBPP, hb.load_dataset("cbpp"), "binomial"))
    found = hb.comparisons(post, "period", kind="odds_ratio", target=target, change=("1", "2"))
    draws = found.draws()
    assert draws.columns.tolist() == ["draw", "variable", "contrast", "value"]
    beta = post.draws.beta.reshape(-1, 4)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    codes = post.design.factors[0].codes
    for s in (0, 57):
        if target == "typical group":
            b, weight = np.zeros(1), np.ones(1)
        elif target == "observed groups":
            b = post.draws.b["herd"].reshape(-1, 15)[s, codes]
            weight = np.full(b.size, 1 / b.size)
        else:
            b = post.draws.sd["herd"].ravel()[s] * nodes
            weight = weights / weights.sum()
        low, high = (expit(beta[s, 0] + d + b) @ weight for d in (0, beta[s, 1]))
        ratio = high / (1 - high) / (low / (1 - low))
        assert draws["value"][s] == pytest.approx(ratio, rel=1e-8)
    row = found.to_frame().iloc[0]
    assert row["estimate"] == pytest.approx(draws["value"].mean())
    np.testing.assert_allclose(
        row[["conf_low", "conf_high"]].tolist(), np.quantile(draws["value"], [0.025, 0.975])
    )
    assert row["p_direction"] == (draws["value"] < 1).mean()
    median = hb.comparisons(
        post, "period", kind="odds_ratio", target=target, change=("1", "2"), centre="median"
    )
    assert numbers(median, "estimate")[0] == pytest.approx(draws["value"].median())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("type", ["response", "probability"])
def test_categories_by_likelihood_and_posterior_in_one_place(bitterness, type, target):
    fit = bitterness
    options = {"target": target, "type": type}
    found = hb.comparisons(fit, "temp", **options)
    np.testing.assert_allclose(
        numbers(found, "estimate"),
        numbers(hb.comparisons(posterior_at(fit), "temp", **options), "estimate"),
        rtol=1e-9,
    )
    if type == "probability":
        assert numbers(found, "estimate").sum() == pytest.approx(0, abs=1e-12)
        assert found.to_frame()["category"].tolist() == list("12345")
    if target != "new groups":
        groups = "none" if target == "typical group" else "all"
        rows = hb.predictions(fit, False, **options)
        expected = fit.predict(groups=groups, interval="confidence", type=type)
        np.testing.assert_allclose(
            numbers(rows, "estimate", "std_error", "conf_low", "conf_high"), expected, rtol=1e-6
        )


def test_a_mean_that_hangs_on_further_parameters_has_their_uncertainty():
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    y = np.exp(1 + 0.3 * x + rng.normal(size=200))
    fit = hb.glmer("y ~ x", {"y": y, "x": x}, "lognormal", link="identity")
    row = hb.predictions(fit, at={"x": 1}).to_frame().iloc[0]
    sigma, beta = fit.sigma, fit.beta
    mean = np.exp(beta.sum() + sigma**2 / 2)
    gradient = mean * np.array([1, 1, sigma])
    assert row["estimate"] == pytest.approx(mean, rel=1e-10)
    se = np.sqrt(gradient @ fit.optimum.vcov @ gradient)
    assert row["std_error"] == pytest.approx(se, rel=1e-7)
    assert row["conf_high"] == pytest.approx(mean * np.exp(norm.ppf(0.975) * se / mean), rel=1e-7)


def test_new_responses_have_the_intervals_of_predict(sleep, cbpp):
    new = {"Days": [0, 9], "Subject": ["somebody"] * 2}
    groups = {"typical group": "none", "new groups": "all"}
    for target, own in groups.items():
        found = hb.predictions(
            sleep, at={"Days": [0, 9]}, over="mean", target=target, interval="prediction"
        )
        expected = sleep.predict(new, groups=own, new_levels="population", interval="prediction")
        columns = ("estimate", "std_error", "conf_low", "conf_high")
        np.testing.assert_allclose(numbers(found, *columns), expected, rtol=1e-10)
    options = {"target": "new groups", "interval": "prediction", "random_seed": 1}
    found = hb.predictions(cbpp, False, **options).to_frame()
    trials = hb.load_dataset("cbpp")["size"]  # limits are shares of so many
    high = found["conf_high"] * trials
    np.testing.assert_allclose(high, np.round(high), atol=1e-9)
    mean = hb.predictions(cbpp, "period", target="new groups").to_frame()
    assert found["estimate"][0] == pytest.approx(mean["estimate"][0], rel=1e-10)
    with pytest.raises(hb.OptionError, match="averages over rows that differ"):
        hb.predictions(cbpp, interval="prediction")


# what is asked for


def test_rows_and_values_are_as_asked_for(cake, counts):
    by = hb.predictions(cake, "recipe", over="mean").to_frame()
    assert by["recipe"].tolist() == ["A", "B", "C"]
    at = hb.predictions(cake, at={"temp": "minmax"}).to_frame()
    assert at["temp"].tolist() == [175, 225]
    weighted = hb.predictions(counts, weights="hours")
    mean = np.exp(counts.fixed_part)
    hours = counts.spec.table.column("hours")
    assert numbers(weighted, "estimate")[0] == pytest.approx(np.average(mean, weights=hours))
    assert "Rows count by the weights hours" in str(weighted)
    by_site = hb.predictions(counts, "site")  # a column the model does not have
    assert numbers(by_site, "estimate")[1] == pytest.approx(mean[1::2].mean())
    new = pd.DataFrame({"x": [0.0, np.nan, 1.0], "hours": 1.0})
    found = hb.predictions(counts, over=new)
    assert "1 row with missing values left out" in str(found)
    assert numbers(found, "estimate")[0] == pytest.approx(
        np.exp([[1, 0], [1, 1]] @ counts.beta).mean()
    )


@pytest.mark.parametrize(
    ("change", "contrasts"),
    [
        (None, ["B - A", "C - A"]),
        ("pairwise", ["B - A", "C - A", "C - B"]),
        ("sequential", ["B - A", "C - B"]),
        (("C", "A"), ["A - C"]),
        ([("C", "A"), ("A", "B")], ["A - C", "B - A"]),
    ],
)
def test_levels_are_compared_as_asked_for(cake, change, contrasts):
    found = hb.comparisons(cake, "recipe", change=change, at={"temp": 200}).to_frame()
    assert found["contrast"].tolist() == contrasts
    means = hb.predictions(cake, "recipe", over="mean", at={"temp": 200}).to_frame()
    means = means.set_index("recipe")["estimate"]
    for name, value in zip(contrasts, found["estimate"], strict=True):
        assert value == pytest.approx(means[name[0]] - means[name[-1]], abs=1e-9)


def test_contrasts_of_averages_are_comparisons(cbpp):
    columns = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")
    pairs = hb.predictions(cbpp, "period", contrasts=[("1", "2"), ("1", "3")])
    same = hb.comparisons(cbpp, "period", change=[("2", "1"), ("3", "1")])
    np.testing.assert_allclose(numbers(pairs, *columns), numbers(same, *columns), rtol=1e-9)
    holm = hb.comparisons(cbpp, "period", adjust="holm").to_frame()
    alone = hb.comparisons(cbpp, "period").to_frame()
    order = np.argsort(alone["p_value"])
    assert holm["p_value"][order[0]] == pytest.approx(3 * alone["p_value"][order[0]])
    half = norm.ppf(1 - 0.025 / 3) * alone["std_error"]
    np.testing.assert_allclose(holm["conf_high"], alone["estimate"] + half)
    untested = hb.comparisons(cbpp, "period", adjust="holm", ddf="none")
    assert np.isnan(numbers(untested, "p_value")).all()
    herds = hb.predictions(cbpp, over="mean", at={"period": "1"}, target="observed groups")
    mean = expit(cbpp.beta[0] + cbpp.modes[0]).mean()
    assert numbers(herds, "estimate")[0] == pytest.approx(mean, rel=1e-10)


def test_slopes_differ_by_the_interaction(cake, logistic):
    found = hb.slopes(cake, "temp", "recipe", contrasts="pairwise").to_frame()
    assert found["between"].tolist() == ["A - B", "A - C", "B - C"]
    expected = cake.contrast({"recipeB:temp": -1}).iloc[0]
    columns = ["estimate", "std_error", "df", "p_value"]
    np.testing.assert_allclose(found[columns].iloc[0], expected[columns], rtol=1e-6)
    # with the logit link and one row each, a ratio of odds ratios is exp of the interaction
    ratio = hb.comparisons(
        logistic, "x", "f", over="mean", kind="odds_ratio", contrasts=[("b", "a")]
    ).to_frame()
    assert ratio["between"].tolist() == ["b / a"]
    assert ratio["estimate"][0] == pytest.approx(np.exp(logistic.beta[4]), rel=1e-9)
    se = np.sqrt(np.asarray(logistic.vcov())[4, 4])
    assert ratio["statistic"][0] == pytest.approx(logistic.beta[4] / se, rel=1e-7)


def test_numbers_are_changed_as_asked_for(sleep):
    days = hb.load_dataset("sleepstudy")["Days"]
    sizes = {2: 2, (1, 4): 3, "minmax": 9, "iqr": 5, "sd": days.std(), None: 1}
    for change, size in sizes.items():
        found = hb.comparisons(sleep, "Days", change=change)
        assert numbers(found, "estimate")[0] == pytest.approx(size * sleep.beta[1], rel=1e-9)


def test_columns_called_like_those_of_tables_are_told_apart():
    data = hb.load_dataset("sleepstudy").rename(columns={"Days": "df", "Subject": "row"})
    fit = hb.lmer("Reaction ~ df + (1 | row)", data, weights="1 / (1 + df)")
    found = hb.predictions(fit, at={"df": [0, 9]})
    assert found.to_frame()["df_"].tolist() == [0, 9]
    assert "whatever its weight" in str(found)
    rows = hb.predictions(fit, False, target="observed groups").to_frame()
    assert rows.columns.tolist()[:3] == ["row_", "df_", "row"]


def test_an_offset_given_as_an_array_stays_with_its_rows():
    rng = np.random.default_rng(2)
    x, offset = rng.normal(size=50), rng.normal(size=50)
    y = rng.poisson(np.exp(0.5 * x + offset))
    fit = hb.glmer("y ~ x", {"y": y, "x": x}, "poisson", offset=offset)
    found = hb.comparisons(fit, "x")
    mean = np.exp(fit.fixed_part)
    assert "The offset stands at its mean." in str(hb.predictions(fit, over="mean"))
    step = (np.exp(fit.beta[1]) - 1) * mean.mean()
    assert numbers(found, "estimate")[0] == pytest.approx(step, rel=1e-9)


def test_a_combination_without_rows_has_no_number(recwarn):
    data = {"y": [1.0, 2, 3, 4, 5, 7], "a": list("ppqqpp"), "b": list("uvuuvv")}
    fit = quiet(hb.lmer, "y ~ a * b", data)
    found = hb.predictions(fit, ["a", "b"], over="balanced")
    assert np.isnan(numbers(found, "estimate")).tolist() == [False, False, False, True]
    assert "1 of 4 results not determined" in str(found)


def test_replicates_of_a_bootstrap_are_there(cbpp):
    options = {"method": "bootstrap", "nsim": 20, "random_seed": 1}
    found = hb.comparisons(cbpp, "period", kind="odds_ratio", **options)
    again = hb.bootstrap(cbpp, nsim=20, random_seed=1).to_frame()["period2"]
    draws = found.draws().query("contrast == '2 / 1'")["value"]
    np.testing.assert_allclose(draws, np.exp(again), rtol=1e-8)
    np.testing.assert_allclose(
        found.to_frame()[["conf_low", "conf_high"]].iloc[0].tolist(),
        np.quantile(draws, [0.025, 0.975]),
    )


def test_a_table_is_exported_whole_and_draws_itself(sleep):
    found = hb.predictions(sleep, False)
    assert "..." in str(found)
    assert found.to_markdown().count("\n| ") == 180 + 1
    figure, axes = hb.slopes(sleep, "Days", "Subject", target="observed groups").plot()
    assert len(axes[0].get_yticklabels()) == 18
    pyplot.close(figure)


def test_for_whom_stands_above_the_table(sleep, cbpp):
    lines = str(hb.predictions(cbpp, target="new groups")).split("\n")
    assert lines[3] == "For: new groups (averaged over herd as the random effects describe them)"
    assert "the typical group (random effects of Subject zero)" in str(hb.predictions(sleep))
    assert (
        "with the random effects estimated"
        in hb.predictions(sleep, target="observed groups")._repr_html_()
    )


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda f: hb.predictions(f, "Dais"), hb.OptionError, "no column 'Dais'; did you mean"),
        (lambda f: hb.predictions(f, target="typical"), hb.OptionError, "'typical group'"),
        (lambda f: hb.predictions(f, at={"Subjekt": 1}), hb.OptionError, "no predictor that"),
        (lambda f: hb.predictions(f, at={"Days": "average"}), hb.OptionError, "one of 'mean'"),
        (lambda f: hb.predictions(f, at=5), hb.OptionError, "must be a dict"),
        (lambda f: hb.predictions(f, seed=5), hb.OptionError, "random_seed"),
        (lambda f: hb.predictions(5), hb.OptionError, "about a fit or a posterior"),
        (lambda f: hb.predictions(f, type="count"), hb.OptionError, "'count'"),
        (lambda f: hb.comparisons(f, "Subject"), hb.OptionError, "is a grouping factor, not a pre"),
        (lambda f: hb.comparisons(f, "Days", change="ref"), hb.OptionError, "is a number; give by"),
        (
            lambda f: hb.comparisons(f, "Days", kind="odds_ratio"),
            hb.OptionError,
            "can't be negativ",
        ),
        (
            lambda f: hb.comparisons(f, "Days", change=(0, 1), at={"Days": 5}),
            hb.OptionError,
            "leave it out of at",
        ),
        (
            lambda f: hb.predictions(
                f, over={"Days": [1], "Subject": ["new"]}, target="observed groups"
            ),
            hb.NewLevelError,
            "target='new groups' averages over groups like those fitted",
        ),
        (lambda f: hb.predictions(f, over={"Day": [1]}), hb.DataError, "no column 'Days'"),
        (lambda f: hb.predictions(f, weights=[1, 2]), hb.DataError, "2 values"),
        (
            lambda f: hb.slopes(f, target="observed groups", ddf="kenward-roger"),
            hb.NotSupportedError,
            "Use ddf='satterthwaite'",
        ),
        (
            lambda f: hb.slopes(f, target="observed groups", method="bootstrap"),
            hb.NotSupportedError,
            "groups of its own",
        ),
        (lambda f: hb.slopes(f, interval="prediction"), hb.OptionError, "hb.predictions has"),
        (lambda f: hb.predictions(f, contrasts="pairwise"), hb.OptionError, "say which by by="),
        (lambda f: hb.predictions(f, adjust="holm"), hb.OptionError, "predictions have contrasts"),
        (lambda f: hb.slopes(f).draws(), hb.NotSupportedError, "the delta method has none"),
    ],
)
def test_what_does_not_fit_is_one_sentence(sleep, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(sleep)


def test_a_level_that_is_not_there_is_named_with_its_argument(cake):
    with pytest.raises(hb.DataError, match="change: 'recipe' has no level 'D'"):
        hb.comparisons(cake, "recipe", change=("A", "D"))


def test_a_factor_has_no_slope_and_a_posterior_no_bootstrap(cake, sleep):
    with pytest.raises(hb.OptionError, match=r"hb\.comparisons\(fit, 'recipe'\) compares"):
        hb.slopes(cake, "recipe")
    post = known_posterior(sleep.model)
    with pytest.raises(hb.OptionError, match="intervals from its draws"):
        hb.predictions(post, method="bootstrap")
    with pytest.raises(hb.OptionError, match="need no degrees of freedom"):
        hb.predictions(post, ddf="normal")
