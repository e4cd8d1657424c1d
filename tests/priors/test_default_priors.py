"""Default priors: the table by hand, units, and the joint prior of beta on the user's scale."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierbayes as hb
from hierbayes.design.build import build_design
from hierbayes.design.table import read_table
from hierbayes.families.builtin import FAMILIES
from hierbayes.families.named import family_named
from hierbayes.formula.parser import parse_formula
from hierbayes.linalg.rank import column_basis
from hierbayes.priors.default_priors import response_scale, spread_of
from hierbayes.priors.model_priors import model_priors, priors_table

# R: mean and sd of sleepstudy's Reaction, sd of its Days
MEAN_Y, SD_Y, SD_DAYS = 298.50789166666664, 56.32875712523514, 2.88029328115643


def priors_of(formula, data, *, family="gaussian", link=None, user=None, **arguments):
    design = build_design(parse_formula(formula, None), read_table(data), **arguments)
    kept = column_basis(design.X).kept
    return model_priors(design, kept, family=family_named(family, link), user=user)


def by_name(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("parameter")


@pytest.fixture
def sleep():
    return hb.load_dataset("sleepstudy")


def test_sleepstudy_table_by_hand(sleep):
    table = by_name(hb.Model("Reaction ~ Days + (Days | Subject)", sleep).priors)
    assert table["prior"].to_dict() == {
        "(Intercept)": "Normal(298.5, 140.8)",
        "Days": "Normal(0, 48.89)",
        "sd((Intercept)|Subject)": "HalfStudentT(4, 140.8)",
        "sd(Days|Subject)": "HalfStudentT(4, 48.89)",
        "cor(Subject)": "LKJ(2)",
        "sigma": "HalfStudentT(4, 56.33)",
    }
    assert (table["source"] == "default").all()
    quantiles = ["q05", "q50", "q95"]
    expected = MEAN_Y + 2.5 * SD_Y * stats.norm.ppf([0.05, 0.5, 0.95])
    np.testing.assert_allclose(table.loc["(Intercept)", quantiles].astype(float), expected)
    expected = 2.5 * SD_Y / SD_DAYS * stats.t.ppf([0.525, 0.75, 0.975], 4)
    np.testing.assert_allclose(table.loc["sd(Days|Subject)", quantiles].astype(float), expected)


def test_table_is_a_frame_that_prints_whole(sleep):
    table = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).priors
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["parameter", "prior", "q05", "q50", "q95", "source"]
    assert len(str(table).splitlines()) == 7
    assert "..." not in str(table)
    assert ">Normal(298.5, 140.8)</td>" in table._repr_html_()
    assert "nan" in str(hb.Model("Reaction ~ Days", sleep, priors="flat").priors)
    assert str(table[table["parameter"] == "nothing"]) != ""


@pytest.mark.parametrize("factor", [10.0, 1e-3])
def test_priors_scale_with_the_response(sleep, factor):
    formula = "Reaction ~ Days + (Days | Subject)"
    before = hb.Model(formula, sleep).spec.priors
    after = hb.Model(formula, sleep.assign(Reaction=factor * sleep["Reaction"])).spec.priors
    for a, b in zip(before.parameters, after.parameters, strict=True):
        if a.kind != "cor":
            np.testing.assert_allclose(
                after.of(b).quantile([0.1, 0.9]), factor * before.of(a).quantile([0.1, 0.9])
            )


def test_priors_scale_with_the_predictor_and_ignore_its_zero(sleep):
    formula = "Reaction ~ Days + (Days | Subject)"
    before = hb.Model(formula, sleep).spec.priors
    hours = sleep.assign(Days=24.0 * sleep["Days"] + 1e5)
    after = hb.Model(formula, hours).spec.priors
    assert after.beta[0] == before.beta[0]
    assert after.beta[1].sigma == pytest.approx(before.beta[1].sigma / 24)
    assert after.sd[0][1].sigma == pytest.approx(before.sd[0][1].sigma / 24)
    # the prior of the fitted line is the same line, in whatever units and from whatever zero
    for priors, days in ((before, sleep["Days"]), (after, hours["Days"])):
        mean, precision = priors.gaussian_beta()
        row = np.array([1.0, days.max()])
        variance = row @ np.linalg.solve(precision, row)
        expected = (2.5 * SD_Y) ** 2 * (1 + ((9 - 4.5) / SD_DAYS) ** 2)
        assert row @ mean == pytest.approx(MEAN_Y)
        assert variance == pytest.approx(expected, rel=1e-6)


def test_offset_is_taken_off_the_response(sleep):
    priors = priors_of("Reaction ~ Days", sleep, offset="10 * Days")
    left = sleep["Reaction"] - 10 * sleep["Days"]
    assert priors.beta[0].mu == pytest.approx(left.mean())
    assert priors.sigma.sigma == pytest.approx(left.std())


def test_weights_do_not_enter(sleep):
    plain = priors_of("Reaction ~ Days + (1 | Subject)", sleep)
    weighted = priors_of("Reaction ~ Days + (1 | Subject)", sleep, weights="1 + Days")
    assert plain.beta == weighted.beta
    assert plain.sd == weighted.sd


def test_known_residual_sds_have_no_prior(sleep):
    model = hb.Model("Reaction ~ 1 + (1 | Subject)", sleep.assign(se=30.0), known_sd="se")
    assert model.spec.priors.sigma is None
    assert "sigma" not in set(model.priors["parameter"])


def test_without_an_intercept_the_coefficients_reach_the_mean(sleep):
    # groups' means are coefficients here; the prior about 0 must reach y = 1e6 with ease
    far = sleep.assign(Reaction=1e6 + sleep["Reaction"], g=np.arange(180) % 3 + 0.0)
    priors = priors_of("Reaction ~ 0 + factor(g)", far)
    assert priors.intercept is None
    assert (priors.centre == 0).all()
    assert all(prior.sigma > 2e6 for prior in priors.beta)


def test_a_constant_column_counts_by_its_size(sleep):
    priors = priors_of("Reaction ~ 0 + I(4 + 0 * Days)", sleep)
    size = np.sqrt(np.mean(sleep["Reaction"] ** 2))
    assert priors.beta[0].sigma == pytest.approx(2.5 * size / 4)


def test_indicator_columns_are_columns_like_others():
    cake = hb.load_dataset("cake")
    priors = priors_of("angle ~ recipe + (0 + recipe | replicate)", cake)
    sd_y, sd_x = cake["angle"].std(), (cake["recipe"] == "B").std()
    assert priors.beta[1].sigma == pytest.approx(2.5 * sd_y / sd_x)
    assert priors.sd[0][1].sigma == pytest.approx(2.5 * sd_y / sd_x)


@pytest.mark.parametrize(
    ("formula", "lkj", "names"),
    [
        ("Reaction ~ Days + (Days | Subject)", (2.0,), ["cor(Subject)"]),
        ("Reaction ~ Days + (Days || Subject)", (None, None), []),
        ("Reaction ~ Days + (1 | Subject)", (None,), []),
        ("Reaction ~ Days", (), []),
    ],
)
def test_correlations_have_a_prior_where_there_are_any(sleep, formula, lkj, names):
    priors = priors_of(formula, sleep)
    assert priors.lkj == lkj
    assert [p.name for p in priors.parameters if p.kind == "cor"] == names


def test_order_of_factors_and_terms_is_the_designs():
    pastes = hb.load_dataset("Pastes")
    priors = priors_of("strength ~ 1 + (1 | batch/cask)", pastes)
    names = [parameter.name for parameter in priors.parameters]
    assert names == [
        "(Intercept)",
        "sd((Intercept)|cask:batch)",
        "sd((Intercept)|batch)",
        "sigma",
    ]


# joint prior of beta


def test_joint_gaussian_is_the_product_of_the_priors_at_centred_predictors(sleep):
    user = {"Days": hb.Normal(10, 5)}
    priors = priors_of("Reaction ~ Days + I(Days^2)", sleep, user=user)
    mean, precision = priors.gaussian_beta()
    beta = np.array([[200.0, 5.0, 2.0], [mean[0] + 1, -4.0, 0.3]])
    days = sleep["Days"].to_numpy()
    alpha = beta @ [1, days.mean(), (days**2).mean()]
    by_hand = (
        stats.norm.logpdf(alpha, priors.beta[0].mu, priors.beta[0].sigma)
        + stats.norm.logpdf(beta[:, 1], 10, 5)
        + stats.norm.logpdf(beta[:, 2], 0, priors.beta[2].sigma)
    )
    away = beta - mean
    quadratic = -0.5 * np.einsum("ni,ij,nj->n", away, precision, away)
    np.testing.assert_allclose(priors.log_density(beta=beta), by_hand)
    constant = stats.norm.logpdf(0, 0, [prior.sigma for prior in priors.beta]).sum()
    np.testing.assert_allclose(quadratic + constant, by_hand)


def test_flat_adds_nothing_to_the_precision(sleep):
    mean, precision = priors_of("Reaction ~ Days", sleep, user="flat").gaussian_beta()
    assert (precision == 0).all()
    assert np.isfinite(mean).all()
    _, precision = priors_of("Reaction ~ Days", sleep, user={"Days": hb.Flat()}).gaussian_beta()
    assert np.linalg.matrix_rank(precision) == 1


def test_no_joint_gaussian_when_a_prior_is_not(sleep):
    user = {"Days": hb.StudentT(4, 0, 10)}
    assert priors_of("Reaction ~ Days", sleep, user=user).gaussian_beta() is None


def test_log_density_is_the_sum_of_all_parts(sleep):
    priors = priors_of("Reaction ~ Days + (Days | Subject)", sleep)
    R = np.array([[1, 0.3], [0.3, 1]])
    found = priors.log_density(
        beta=np.array([250.0, 10.0]), sds=[np.array([20.0, 6.0])], corrs=[R], sigma=25.0
    )
    expected = (
        stats.norm.logpdf(250 + 45, MEAN_Y, 2.5 * SD_Y)
        + stats.norm.logpdf(10, 0, 2.5 * SD_Y / SD_DAYS)
        + np.log(2)
        + stats.t.logpdf(20, 4, 0, 2.5 * SD_Y)
        + np.log(2)
        + stats.t.logpdf(6, 4, 0, 2.5 * SD_Y / SD_DAYS)
        + np.log(0.75 * (1 - 0.3**2))
        + np.log(2)
        + stats.t.logpdf(25, 4, 0, SD_Y)
    )
    assert found == pytest.approx(expected, rel=1e-12)


# other families


@pytest.fixture
def counts():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    y = rng.poisson(40, 60) + 1.0
    frame = {"y": y, "x": x, "g": np.arange(60) % 6, "hit": y > 40, "n": y + 5}
    return pd.DataFrame(frame)


@pytest.mark.parametrize(
    ("formula", "family", "link", "expected"),
    [
        ("hit ~ x + (x | g)", "bernoulli", None, (0.0, 1.0)),
        ("hit ~ x + (x | g)", "bernoulli", "probit", (0.0, 1.0)),
        ("cbind(y, n - y) ~ x", "binomial", None, (0.0, 1.0)),
        ("y ~ x", "poisson", None, ("log", 0.2)),  # in units of 2.5, as the others
        ("y ~ x", "gamma", "log", ("log", 0.2)),
        ("y ~ x", "t", None, ("mean", "sd")),
        ("y ~ x", "gamma", None, ("inverse", "slope")),
    ],
)
def test_link_scale_of_other_families(counts, formula, family, link, expected):
    priors = priors_of(formula, counts, family=family, link=link)
    y = counts["y"]
    words = {
        "log": np.log(y.mean()),
        "mean": y.mean(),
        "sd": y.std(),
        "inverse": 1 / y.mean(),
        "slope": y.std() / y.mean() ** 2,
    }
    centre, spread = (words.get(value, value) for value in expected)
    assert priors.beta[0].mu == pytest.approx(centre)
    assert priors.beta[0].sigma == pytest.approx(2.5 * spread)
    assert priors.beta[1].sigma == pytest.approx(2.5 * spread / counts["x"].std())
    assert (priors.sigma is None) == (family != "t")


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("gaussian", []),
        ("poisson", []),
        ("negativebinomial", ["alpha"]),
        ("t", ["nu"]),
        ("hurdle_gamma", ["alpha", "psi"]),
        ("asymmetriclaplace", ["b", "kappa"]),
    ],
)
def test_further_parameters_of_a_family_are_in_the_table(counts, family, parameters):
    design = build_design(parse_formula("y ~ x", None), read_table(counts))
    priors = model_priors(design, np.arange(2), family=family_named(family))
    assert list(priors.family) == parameters
    table = priors_table(priors, design)
    assert list(table["parameter"])[-len(parameters) or None :][: len(parameters)] == parameters


def test_every_bambi_family_has_priors_for_all_its_parameters(counts):
    families = pytest.importorskip("bambi.defaults.families").BUILTIN_FAMILIES
    for name, settings in families.items():
        if name in FAMILIES:
            likelihood = settings["likelihood"]
            wanted = set(likelihood["params"]) - {likelihood["parent"]}
            assert {parameter.name for parameter in FAMILIES[name].parameters} == wanted, name


def test_link_defaults_are_bambis():
    families = pytest.importorskip("bambi.defaults.families").BUILTIN_FAMILIES
    for name, settings in families.items():
        if name in FAMILIES:
            link = settings["link"].get(settings["likelihood"]["parent"])
            assert FAMILIES[name].link.name == link, name


def test_a_log_link_follows_the_spread_of_logarithms(counts):
    rng = np.random.default_rng(2)
    wide = counts.assign(y=np.round(40 * np.exp(rng.normal(size=60))) + 1)
    y, priors = wide["y"], priors_of("y ~ x + (x | g)", wide, family="poisson")
    spread = np.sqrt(np.log1p(y.var(ddof=0) / y.mean() ** 2))
    assert priors.beta[0].sigma == pytest.approx(spread)
    assert priors.beta[1].sigma == pytest.approx(spread / counts["x"].std())
    assert priors.sd[0][0].sigma == pytest.approx(spread)
    # twice the exposure and twice the counts are the same rates
    n = 1.0 + np.arange(60) % 3
    scaled = wide.assign(y=wide["y"] * n, n=n)
    again = priors_of("y ~ x + offset(log(n))", scaled, family="poisson")
    assert again.beta[0].sigma == pytest.approx(spread)


def test_a_residual_sd_is_in_units_of_the_response_under_any_link(counts):
    priors = priors_of("y ~ x", counts, family="gaussian", link="log")
    assert priors.sigma.sigma == pytest.approx(counts["y"].std())


def test_a_log_link_follows_the_exposure(counts):
    design = build_design(parse_formula("y ~ x + offset(log(n))", None), read_table(counts))
    scale = response_scale(design, family_named("poisson"))
    assert scale.centre == pytest.approx(np.log(counts["y"].mean() / counts["n"].mean()))


@pytest.mark.parametrize(
    ("column", "expected"),
    [([1.0, 3.0], np.sqrt(2)), ([4.0, 4.0], 4.0), ([0.0, 0.0], 1.0), ([-3.0], 3.0), ([], 1.0)],
)
def test_spread_of_a_column(column, expected):
    assert spread_of(np.array(column)) == pytest.approx(expected)
