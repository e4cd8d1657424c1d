"""What a posterior answers, from draws that are known."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from tests.model.damage import rewritten
from tests.results.posteriors import SETTINGS, known_draws, known_posterior

MODELS = {
    "correlated": ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
    "three columns": ("score ~ Machine + (Machine | Worker)", "Machines"),
}


def model_of(name):
    formula, data = MODELS[name]
    return hb.Model(formula, hb.load_dataset(data))


@pytest.fixture(params=list(MODELS))
def posterior(request):
    return known_posterior(model_of(request.param))


@pytest.fixture
def sleep():
    return known_posterior(model_of("correlated"))


@pytest.mark.parametrize("name", list(MODELS))
def test_draws_at_one_point_answer_as_the_fit_they_were_made_from(name):
    model = model_of(name)
    reml, post = model.fit("reml"), known_posterior(model, spread=0.0)
    pd.testing.assert_series_equal(post.fixef(), reml.fixef())
    pd.testing.assert_frame_equal(post.varcorr().to_frame(), reml.varcorr().to_frame())
    for own, theirs in ((post.ranef(), reml.ranef()), (post.coef(), reml.coef())):
        for factor in own:
            pd.testing.assert_frame_equal(own[factor], theirs[factor])
    pd.testing.assert_series_equal(post.fitted(), reml.fitted())
    pd.testing.assert_series_equal(post.residuals("pearson"), reml.residuals("pearson"))
    pd.testing.assert_frame_equal(post.augment(), reml.augment())
    keys = ["effect", "group", "level", "term", "estimate"]
    effects = ("fixed", "ran_pars", "ran_vals")
    pd.testing.assert_frame_equal(
        post.tidy(effects)[keys], reml.tidy(effects, ddf="none")[keys], check_dtype=False
    )


def test_point_estimates_are_means_and_errors_sds(posterior):
    draws = posterior.draws
    flat = draws.beta.reshape(100, -1)
    np.testing.assert_allclose(posterior.beta, flat.mean(axis=0))
    np.testing.assert_allclose(
        posterior.vcov(), np.cov(flat, rowvar=False).reshape(flat.shape[1], -1)
    )
    for name, b in draws.b.items():
        rows = b.reshape(100, *b.shape[2:])
        np.testing.assert_allclose(posterior.ranef()[name], rows.mean(axis=0))
        np.testing.assert_allclose(posterior.ranef_sd()[name], rows.std(axis=0, ddof=1))
        covariance = posterior.ranef_cov()[name]
        np.testing.assert_allclose(
            covariance[1], np.cov(rows[:, 1], rowvar=False).reshape(covariance[1].shape)
        )


def test_sds_of_coefficients_hold_the_covariance_with_the_fixed_effects(sleep):
    total = sleep.draws.b["Subject"][:, :, 2, 1] + sleep.draws.beta[:, :, 1]
    assert sleep.coef().sds["Subject"].loc["310", "Days"] == pytest.approx(total.std(ddof=1))


def test_tidy_tells_level_and_kind_of_its_intervals(sleep):
    table = sleep.tidy(level=0.8, kind="hdi")
    assert table.attrs == {"level": 0.8, "kind": "hdi", "interval": "credible"}
    row = table[table["term"] == "sd__Days"].iloc[0]
    draws = np.sort(sleep.draws.sd["Subject"][:, :, 1].ravel())
    widths = draws[80:] - draws[:20]
    at = int(widths.argmin())
    assert (row["conf_low"], row["conf_high"]) == (draws[at], draws[at + 80])
    assert set(table["method"]) == {"posterior"}


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"kind": "hpd"}, "kind='hpd' is not one of 'eti', 'hdi'; did you mean"),
        ({"level": 95}, "level=95 must be a number between 0 and 1"),
        ({"effects": "random"}, "effects='random' is not one of"),
    ],
)
def test_wrong_options_are_one_sentence(sleep, option, sentence):
    with pytest.raises(hb.OptionError, match=sentence):
        sleep.tidy(**option)


def test_diagnostics_are_those_of_each_parameter(sleep):
    table = sleep.diagnostics(("fixed", "ran_pars", "ran_vals"))
    assert table.index[:6].tolist() == [
        "(Intercept)", "Days", "sd((Intercept)|Subject)", "sd(Days|Subject)",
        "cor((Intercept),Days|Subject)", "sigma",
    ]  # fmt: skip
    assert "Subject[308,Days]" in table.index and len(table) == 6 + 36
    assert table["ess_bulk"].drop("cor((Intercept),Days|Subject)").gt(10).all()
    assert np.isnan(table.loc["cor((Intercept),Days|Subject)", "r_hat"])  # constant here


def test_glance_is_one_row(sleep):
    row = sleep.glance().iloc[0]
    assert (row["nobs"], row["n_draws"], row["n_chains"]) == (180, 100, 2)
    assert row["log_marginal_likelihood"] == -100 and row["sampler"] == "collapsed"


def test_draws_are_read_only(sleep):
    for array in (sleep.beta, sleep.draws.beta, sleep.draws.b["Subject"], sleep.draws.sigma):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_known_residual_sd_is_no_parameter():
    data = pd.DataFrame({"y": [58.0, 8, -33, 7, -41, 51], "s": [15.0, 10, 16, 11, 9, 11]})
    data["school"] = list("abcdef")
    post = known_posterior(hb.Model("y ~ 1 + (1 | school)", data, known_sd="s"))
    assert post.sigma == 1 and not post.varcorr().has_residual
    assert "sigma" not in post.idata.posterior and "sigma" not in str(post.diagnostics().index)


# statements


@pytest.mark.parametrize(
    ("statement", "holds"),
    [
        ("Days > 10", lambda d: d.beta[..., 1] > 10),
        ("(Intercept)>250", lambda d: d.beta[..., 0] > 250),
        ("b(Days) <= 10.5", lambda d: d.beta[..., 1] <= 10.5),
        ("sd( Days | Subject ) < sigma / 4", lambda d: d.sd["Subject"][..., 1] < d.sigma / 4),
        ("cor(Days, (Intercept)|Subject) > 0.05", lambda d: d.corr["Subject"][..., 1, 0] > 0.05),
        ("Subject[308, Days] > Subject[309,Days]",
         lambda d: d.b["Subject"][..., 0, 1] > d.b["Subject"][..., 1, 1]),
        ("!(Days > 10) & sigma < 26", lambda d: ~(d.beta[..., 1] > 10) & (d.sigma < 26)),
        ("exp(-Days / 10) < 2^(-1.5) | `Days` > 12",
         lambda d: (np.exp(-d.beta[..., 1] / 10) < 2**-1.5) | (d.beta[..., 1] > 12)),
        ("(Intercept) + 2 * Days > 272", lambda d: d.beta @ np.array([1, 2]) > 272),
    ],
)  # fmt: skip
def test_the_probability_of_a_statement_is_the_share_of_its_draws(sleep, statement, holds):
    expected = holds(sleep.draws).mean()
    found = sleep.hypothesis(statement)
    assert found.probability == expected
    assert found.evidence_ratio == pytest.approx(
        expected / (1 - expected) if expected < 1 else np.inf
    )


def test_a_comparison_tells_the_difference_of_its_sides(sleep):
    found = sleep.hypothesis("10 < Days", level=0.5)
    difference = 10 - sleep.draws.beta[..., 1].ravel()
    assert found.estimate == pytest.approx(difference.mean())
    assert (found.conf_low, found.conf_high) == pytest.approx(np.quantile(difference, [0.25, 0.75]))
    printed = str(found).replace("\n", " ")
    assert "P(10 < Days) = " in printed and "equal-tailed 50 % credible interval" in printed


def test_coefficients_of_interactions_are_named_as_printed():
    data = hb.load_dataset("sleepstudy").assign(group=lambda d: d["Days"] % 2 > 0)
    post = known_posterior(hb.Model("Reaction ~ Days * group + (1 | Subject)", data))
    draws = post.draws.beta[..., 3]
    assert post.hypothesis("Days:groupTRUE > 0").probability == (draws > 0).mean()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("Dais > 10", "'Dais > 10' names 'Dais', which is no parameter.*did you mean 'Days'"),
        ("Days", "'Days' compares nothing; write for example"),
        ("Days + 2", "compares nothing"),
        ("2 > 1", "'2 > 1' compares no parameter; write for example"),
        ("sd(Days) > 1", "names 'sd\\(Days\\)', which is no parameter of this model"),
        ("Days >", "can't be read as a statement about parameters: The formula ends after '>'"),
        ("scale(Days) > 1", "holds their names, numbers"),
        ("Days > 'a'", "holds their names, numbers"),
        ("__import__('os') > 1", "can't be read as a statement"),
    ],
)
def test_what_is_no_statement_is_refused_in_a_sentence(sleep, statement, sentence):
    with pytest.raises(hb.FormulaError, match=sentence):
        sleep.hypothesis(statement)


def test_a_point_has_no_probability(sleep):
    with pytest.raises(hb.NotSupportedError, match="give a range, for example 'Days > 9"):
        sleep.hypothesis("Days == 10")


# files


def test_a_saved_posterior_is_the_same_posterior(posterior, tmp_path):
    file = tmp_path / "fit.post"
    posterior.save(file)
    read = hb.load(file)
    assert str(read) == str(posterior)
    effects = ("fixed", "ran_pars", "ran_vals")
    pd.testing.assert_frame_equal(read.tidy(effects), posterior.tidy(effects))
    np.testing.assert_array_equal(read.log_likelihood(), posterior.log_likelihood())
    assert read.idata.posterior.equals(posterior.idata.posterior)
    pd.testing.assert_frame_equal(
        read.predict(interval="prediction", random_seed=1),
        posterior.predict(interval="prediction", random_seed=1),
    )


def test_a_saved_posterior_keeps_priors_findings_and_response(tmp_path):
    data = hb.load_dataset("Dyestuff")
    model = hb.Model("Yield ~ 1 + (1 | Batch)", data, priors="flat").with_response(
        data["Yield"] ** 1.01
    )
    post = model.sample(draws=20, chains=2, random_seed=1)
    post.save(tmp_path / "a")
    read = hb.load(tmp_path / "a")
    assert read.findings == post.findings and read.settings == post.settings
    np.testing.assert_array_equal(read.design.y, model.design.y)
    assert "Flat" in str(read) and str(read) == str(post)


def test_the_file_holds_numbers_and_text_only_and_is_small(sleep, tmp_path):
    import zipfile

    sleep.save(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
    stored = sum(a.nbytes for a in (sleep.draws.b["Subject"], sleep.draws.beta))
    assert (tmp_path / "a").stat().st_size < 1.3 * stored + 20_000


def test_draws_of_another_formula_are_refused(sleep, tmp_path):
    sleep.save(tmp_path / "a")
    formula = {"formula": "Reaction ~ Days + (1 | Subject)"}
    rewritten(tmp_path / "a", tmp_path / "b", lambda specification: specification | formula)
    with pytest.raises(hb.DataError, match=r"damaged: (its draws are of|.*has the shape)"):
        hb.load(tmp_path / "b")


def test_a_family_without_a_residual_sd_has_none():
    """It is 1 where it is known, and no number where there is no such parameter."""
    rng = np.random.default_rng(1)
    data = {"y": np.arange(60) % 2, "x": rng.normal(size=60), "g": np.arange(60) // 10}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        like = known_draws(hb.Model("y ~ x + (1 | g)", data).fit("reml"))
    model = hb.Model("y ~ x + (1 | g)", data, family="bernoulli")
    post = posterior_fit(model.spec, replace(like, sigma=None), settings=SETTINGS, findings=())
    assert np.isnan(post.sigma) and np.isnan(post.glance()["sigma"].iloc[0])
    assert not post.varcorr().has_residual and "Residual" not in str(post.varcorr())
    assert "nan" not in str(post).lower()


@pytest.mark.parametrize(
    "statement",
    [
        "log(-Days) > 0",
        "sqrt(Days - 1e6) < 5",
        "Days/0 > 1",
        "Days > 1 & log(-Days) < 0",
    ],
)
def test_a_statement_of_what_is_no_number_has_no_probability(sleep, statement):
    """Draws without a value counted as draws in which it does not hold."""
    with pytest.raises(hb.FormulaError, match=r"no finite number in \d+ of \d+ draws"):
        sleep.hypothesis(statement)


def test_an_empty_statement_is_asked_for_one(sleep):
    with pytest.raises(hb.OptionError, match="must be text, for example 'Days > 10'"):
        sleep.hypothesis(" ")


@pytest.mark.parametrize(
    "parameter",
    [
        "`log freq`",
        "b(`log freq`)",
        "sd(`log freq`|`my group`)",
        "sd(log freq | my group)",
        "cor(`log freq`,(Intercept)|`my group`)",
        "`my group`[2,`log freq`]",
        "my group[2,log freq]",
    ],
)
def test_statements_name_columns_and_groups_with_blanks(parameter):
    rng = np.random.default_rng(1)
    g, x = np.arange(60) % 6, rng.normal(size=60)
    y = x + (rng.normal(size=(6, 2))[g] * np.column_stack([np.ones(60), x])).sum(axis=1)
    data = pd.DataFrame({"y": y + rng.normal(size=60), "log freq": x, "my group": g})
    post = known_posterior(hb.Model("y ~ `log freq` + (`log freq` | `my group`)", data))
    assert 0 <= post.hypothesis(f"{parameter} > 0.1").probability <= 1
