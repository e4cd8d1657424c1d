"""A text means one parameter or is refused: all spellings in use, and names that collide."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.results.interval_parameters import interval_addresses, interval_parameters
from tests.results.posteriors import known_posterior

SHARED = "Reaction ~ sigma + (sigma | Subject)"
ALIKE = "y ~ A + AB + `log freq` + `a-b` + a + b + (A + `log freq` | g)"


@pytest.fixture(scope="module")
def sleep_fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def sleep_post(sleep_fit):
    return sleep_fit.model.sample(draws=100, chains=2, random_seed=1)


@pytest.fixture(scope="module")
def shared():
    return hb.lmer(SHARED, _sigma())


@pytest.fixture(scope="module")
def alike():
    return hb.Model(ALIKE, _alike())


def _sigma() -> pd.DataFrame:
    return hb.load_dataset("sleepstudy").rename(columns={"Days": "sigma"})


def _alike() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 240
    data = pd.DataFrame(rng.normal(size=(n, 4)), columns=["log freq", "a-b", "a", "b"])
    data["A"] = rng.choice(["A0", "B1", "C"], n)
    data["AB"] = rng.integers(0, 2, n).astype(str)
    g = rng.integers(0, 20, n)
    effects = rng.normal(size=(20, 3))
    data["g"] = g.astype(str)
    data["y"] = effects[g, 0] + (2 + effects[g, 1]) * (data["A"] == "B1") + rng.normal(size=n)
    data["y"] += effects[g, 2] * data["log freq"] + effects[g, 0] * (data["A"] == "C")
    return data


SPELLINGS = {
    "sd_Days|Subject": [
        "sd(Days|Subject)", "sd(Days | Subject)", "sd( `Days` |Subject)", "sd__Days|Subject",
        "sd__Days", "sd_Subject__Days", "sd_Subject[Days]",
    ],
    "cor_Days.(Intercept)|Subject": [
        "cor((Intercept),Days|Subject)", "cor(Days, (Intercept) | Subject)",
        "cor_(Intercept).Days|Subject", "cor__(Intercept).Days|Subject",
        "cor(Subject)", "cor( Subject )", "cor__(Intercept).Days", "cor__Days.(Intercept)",
        "cor_Subject__Intercept__Days", "cor_Subject__Days__Intercept",
        "corr_Subject[(Intercept), Days]",
    ],
    "sigma": ["sd(Residual)", "sd_Observation|Residual", "sd__Observation", "Residual"],
    "Days": ["b(Days)", "`Days`", " Days ", "beta[Days]", "b_Days"],
    "(Intercept)": ["Intercept", "b_Intercept", "b((Intercept))", "beta[(Intercept)]"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spelling"), [(name, way) for name, ways in SPELLINGS.items() for way in ways]
)
def test_every_spelling_of_a_parameter_is_read(sleep_fit, sleep_post, name, spelling):
    assert hb.confint(sleep_fit, parameters=spelling).index.tolist() == [name]
    assert hb.confint(sleep_post, parameters=spelling).index.tolist() == [name]
    same = sleep_post.hypothesis(f"{spelling} > 0.1 & {name} > 0.1")
    assert same.probability == sleep_post.hypothesis(f"{spelling} > 0.1").probability


SLOPE_SD = ["sd_Days|Subject", "sd(Days|Subject)", "sd(Days | Subject)", "sd__Days",
            "sd_Subject__Days"]  # fmt: skip


@pytest.mark.parametrize("spelling", SLOPE_SD)
def test_every_function_that_takes_a_parameter_takes_every_spelling(sleep_post, spelling):
    assert hb.Model(
        "Reaction ~ Days + (Days | Subject)",
        hb.load_dataset("sleepstudy"),
        priors={spelling: hb.HalfNormal(7), "b_Days": hb.Normal(0, 3)},
    ).priors.query("source == 'user'")["parameter"].tolist() == ["Days", "sd(Days|Subject)"]
    assert interval_addresses(interval_parameters(sleep_post)).place(spelling) == 2
    assert sleep_post.addresses.labels[sleep_post.addresses.place(spelling)] == SLOPE_SD[1]


def test_a_coefficient_called_like_a_borrowed_spelling_keeps_its_name():
    data = _sigma().rename(columns={"sigma": "Intercept"})
    fit = hb.lmer("Reaction ~ Intercept + (1 | Subject)", data.assign(b_Intercept=1.0))
    assert hb.confint(fit, parameters="Intercept").index.tolist() == ["Intercept"]
    with pytest.raises(hb.OptionError, match=r"'b_Intercept' could mean 2 parameters"):
        hb.confint(fit, parameters="b_Intercept")


def test_a_spelling_without_its_factor_is_refused_where_two_have_it():
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    with pytest.raises(hb.OptionError, match=r"write 'sd_\(Intercept\)\|plate' or 'sd_"):
        hb.confint(fit, parameters="sd__(Intercept)")
    assert hb.confint(fit, parameters="sd_plate__Intercept").shape[0] == 1


def test_the_slope_of_a_column_called_sigma_has_its_own_estimate(shared):
    table = hb.confint(shared)
    assert table["estimate"].to_dict() == pytest.approx(
        {
            "sd_(Intercept)|Subject": 24.7404, "cor_sigma.(Intercept)|Subject": 0.06555,
            "sd_sigma|Subject": 5.9221, "sd(Residual)": 25.5918, "(Intercept)": 251.4051,
            "b(sigma)": 10.4673,
        },
        rel=1e-4,
    )  # fmt: skip
    assert shared.fixef().index.tolist() == ["(Intercept)", "sigma"]
    limits = hb.confint(shared, method="profile", parameters="b(sigma)").to_numpy()
    days = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    assert limits == pytest.approx(
        hb.confint(days, method="profile", parameters="Days").to_numpy(), rel=1e-6
    )


def test_a_bootstrap_of_a_column_called_sigma_does_not_die(shared):
    found = hb.bootstrap(shared, nsim=4, random_seed=1)
    assert found.to_frame().columns.is_unique
    assert found.to_frame()["b(sigma)"].mean() < 15 < found.to_frame()["sd(Residual)"].mean()


def test_a_statistic_with_two_names_alike_has_a_column_for_each(alike):
    found = hb.bootstrap(alike.fit("reml"), lambda fit: fit.fixef(), nsim=2, random_seed=1)
    assert found.to_frame().columns[1:4].tolist() == ["AB1", "AC", "AB1 (2)"]


def test_all_of_a_factor_means_the_one_there_is_and_else_names_them():
    data = hb.load_dataset("sleepstudy").assign(x=lambda d: np.sin(d["Days"]))
    data["the subject"] = data["Subject"]
    post = known_posterior(hb.Model("Reaction ~ Days + (Days | Subject)", data))
    found = post.draws.corr["Subject"][..., 0, 1]
    assert post.hypothesis("cor(Subject) > 0.05").probability == (found > 0.05).mean()
    with pytest.raises(hb.FormulaError, match=r"2 parameters.*'sd\(Days\|Subject\)'"):
        post.hypothesis("sd(Subject) > 1")
    post = known_posterior(hb.Model("Reaction ~ Days + (Days | `the subject`)", data))
    for way in ("cor(`the subject`) > -2", "cor(the subject) > -2"):
        assert post.hypothesis(way).probability == 1
    with pytest.warns(hb.BoundaryWarning):
        post = known_posterior(hb.Model("Reaction ~ Days + (Days + x | Subject)", data))
    with pytest.raises(hb.FormulaError, match=r"3 parameters.*'cor\(Days,x\|Subject\)'"):
        post.hypothesis("cor(Subject) > 0")
    post = known_posterior(hb.Model("Reaction ~ Days + (1 | Subject)", data))
    assert post.hypothesis("sd(Subject) > 0").probability == 1
    with pytest.raises(hb.FormulaError, match=r"no parameter"):
        post.hypothesis("cor(Subject) > 0")


@pytest.mark.parametrize("function", [hb.confint, hb.profile])
def test_a_name_that_could_mean_two_is_refused_with_both_spellings(shared, function):
    with pytest.raises(hb.OptionError, match=r"'sd\(Residual\)' or 'b\(sigma\)'"):
        function(shared, parameters="sigma")


def test_a_statement_about_sigma_says_which_is_meant():
    post = known_posterior(hb.Model(SHARED, _sigma()))
    with pytest.raises(hb.FormulaError, match=r"write 'b\(sigma\)' or 'sd\(Residual\)'"):
        post.hypothesis("sigma > 0")
    slope, residual = post.draws.beta[..., 1], post.draws.sigma
    assert post.hypothesis("b(sigma) > 10").probability == (slope > 10).mean()
    assert post.hypothesis("sd(Residual) > 25").probability == (residual > 25).mean()
    assert post.diagnostics().index.is_unique


def test_a_prior_that_could_be_of_two_says_which_is_meant():
    with pytest.raises(hb.PriorError, match=r"'b\(sigma\)' or 'sd\(Residual\)'"):
        hb.Model(SHARED, _sigma(), priors={"sigma": hb.HalfNormal(3)})
    priors = {"b(sigma)": hb.Normal(0, 3), "sd(Residual)": hb.HalfNormal(9)}
    table = hb.Model(SHARED, _sigma(), priors=priors).priors.set_index("parameter")["prior"]
    assert (table["b(sigma)"], table["sigma"]) == ("Normal(0, 3)", "HalfNormal(9)")


def test_a_factor_called_residual_is_not_the_residual():
    data = hb.load_dataset("sleepstudy").rename(columns={"Subject": "Residual"})
    fit = hb.lmer("Reaction ~ Days + (Days | Residual)", data)
    assert fit.tidy("ran_pars")["term"].tolist() == [
        "sd__(Intercept)", "sd__Days", "cor__(Intercept).Days", "sd__Observation",
    ]  # fmt: skip
    post = known_posterior(hb.Model("Reaction ~ Days + (Days | Residual)", data))
    assert post.summary().count("sd((Intercept))") == 1
    assert "sd((Intercept)|Residual) " not in post.summary().partition("Further parameters")[2]


def test_two_coefficients_of_one_name_are_told_apart_by_their_factor(alike):
    fit = alike.fit("reml")
    assert fit.fixef().index.tolist()[1:4] == ["AB1", "AC", "AB1"]
    with pytest.raises(hb.OptionError, match=r"write 'A\[B1\]' or 'AB\[1\]'"):
        fit.contrast({"AB1": 1})
    found = fit.contrast(["A[B1]", "AB[1]", "b(#2)"])["estimate"].tolist()
    assert found == [fit.beta[1], fit.beta[3], fit.beta[1]]
    by_position = fit.contrast(fit.fixef() * 0 + 1)["estimate"].iloc[0]
    assert by_position == pytest.approx(fit.beta.sum())
    assert hb.confint(fit).index.is_unique


def test_level_coefficients_add_the_effect_to_its_own_coefficient(alike):
    fit = alike.fit("reml")
    coef, ranef = fit.coef()["g"], fit.ranef()["g"]
    assert coef["A[B1]"].to_numpy() == pytest.approx(fit.beta[1] + ranef["AB1"].to_numpy())
    assert coef["AB[1]"].to_numpy() == pytest.approx(fit.beta[3])
    table = hb.shrinkage(fit)
    population = table[table["term"] == "AB1"]["population"]
    assert population.to_numpy() == pytest.approx(fit.beta[1])


STATEMENTS = {
    "`log freq` > 0": 4, "log freq > 0": 4, "b(log freq) > 0": 4, "b(`log freq`) > 0": 4,
    "`a-b` > 0": 5, "b(a-b) > 0": 5, "A[B1] > 0": 1, "AB[1] > 0": 3, "`AB[1]` > 0": 3,
}  # fmt: skip


@pytest.mark.parametrize(("statement", "place"), STATEMENTS.items())
def test_names_with_blanks_and_operators_are_read_as_printed(alike, statement, place):
    post = known_posterior(alike)
    holds = post.draws.beta[..., place] > 0
    assert post.hypothesis(statement).probability == holds.mean()


def test_blanks_in_a_name_are_read_in_sds_correlations_and_levels(alike):
    post = known_posterior(alike)
    sd, corr, b = post.draws.sd["g"], post.draws.corr["g"], post.draws.b["g"]
    for way in ("sd(`log freq`|g)", "sd(log freq | g)", "sd_`log freq`|g"):
        assert post.hypothesis(f"{way} > 1").probability == (sd[..., 3] > 1).mean()
    for way in ("cor(`log freq`,(Intercept)|g)", "cor((Intercept), log freq | g)"):
        assert post.hypothesis(f"{way} > 0").probability == (corr[..., 3, 0] > 0).mean()
    for way in ("g[0,`log freq`]", "g[0, log freq]"):
        assert post.hypothesis(f"{way} > 0").probability == (b[..., 0, 3] > 0).mean()


def test_a_difference_of_two_columns_is_not_the_column_called_so(alike):
    post = known_posterior(alike)
    difference = post.draws.beta[..., 6] - post.draws.beta[..., 7]
    assert post.hypothesis("a - b > 0").probability == (difference > 0).mean()
    assert post.hypothesis("a-b > 0").probability == (difference > 0).mean()


def test_no_message_shows_a_name_that_nobody_wrote(alike):
    post = known_posterior(alike)
    for statement in ("`log freq` `log freq` > 0", "a b > 0", "a > b >", "p0 > 1"):
        with pytest.raises(hb.FormulaError) as raised:
            post.hypothesis(statement)
        assert "p0" not in str(raised.value).replace(statement, "").replace("'p0'", "")


@pytest.mark.parametrize("statement", ["Days = 0", "Days == 0", "Days = 0 & sigma > 1"])
def test_a_point_hypothesis_gets_told_what_to_write(statement):
    model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.NotSupportedError, match=r"give a range.*hb\.bayes_factor"):
        known_posterior(model).hypothesis(statement)


def test_between_gets_told_what_to_write():
    model = hb.Model("Reaction ~ Days + (1 | Subject)", hb.load_dataset("sleepstudy"))
    with pytest.raises(hb.FormulaError, match="two comparisons, for example 'Days > 9 & Days"):
        known_posterior(model).hypothesis("Days between 9 and 11")


def test_labels_of_the_posterior_are_unique(alike):
    post = known_posterior(alike)
    tree = post.idata
    assert tree["posterior"]["coef"].to_index().is_unique
    assert "A[B1]" in tree["posterior"]["coef"].values
    X = tree["constant_data"]["X"].sel(coef="AB[1]").to_numpy()
    assert np.array_equal(X, (_alike()["AB"] == "1").to_numpy(dtype=float))


def test_a_correlation_by_its_columns_takes_a_prior():
    data = hb.load_dataset("sleepstudy")
    for way in ("cor(Days,(Intercept)|Subject)", "cor((Intercept), Days | Subject)"):
        model = hb.Model("Reaction ~ Days + (Days | Subject)", data, priors={way: hb.LKJ(3)})
        assert model.spec.priors.lkj == (3.0,)
    with pytest.raises(hb.PriorError, match=r"have one prior together\. Write 'cor\(g\)'"):
        hb.Model(ALIKE, _alike(), priors={"cor(AB1,AC|g)": hb.LKJ(2)})


def test_a_column_called_as_a_class_of_priors_is_not_the_class():
    data = hb.load_dataset("sleepstudy").rename(columns={"Days": "sd"})
    formula = "Reaction ~ sd + (1 | Subject)"
    with pytest.raises(hb.PriorError, match=r"write 'b\(sd\)' or 'sd\(\)'"):
        hb.Model(formula, data, priors={"sd": hb.HalfNormal(2)})
    model = hb.Model(formula, data, priors={"sd()": hb.HalfNormal(2), "b(sd)": hb.Normal(0, 1)})
    assert model.spec.priors.sd == ((hb.HalfNormal(2),),)
