"""The shrinkage table: closed forms, limits, both estimators; the path and the lines."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.families.named import family_named
from hierbayes.gaussian.marginal import evaluate
from hierbayes.pooling.pooling_lines import pooling_lines
from hierbayes.pooling.reliability_curve import reliability_curve

# Dyestuff2 is here because its variance is zero
pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.BoundaryWarning")

EXACT = 1e-8  # the bar: b_j = S_j (beta_j^OLS - beta)
DEVICE = 1e-6  # of the limit of a large theta, which shrinks by 1e-8 of a deviation
SLOPES = "Reaction ~ Days + (Days | Subject)"

ONE_FACTOR = [
    (SLOPES, "sleepstudy"),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    ("Reaction ~ Days + (1 | Subject)", "sleepstudy"),
    ("Yield ~ 1 + (1 | Batch)", "Dyestuff"),
    ("Yield ~ 1 + (1 | Batch)", "Dyestuff2"),
    ("score ~ Machine + (Machine | Worker)", "Machines"),
    ("travel ~ 1 + (1 | Rail)", "Rail"),
    ("distance ~ age * Sex + (age | Subject)", "Orthodont"),
]


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def sparse(sleep):
    """Subject 308 has one row and 309 two."""
    left_out = ((sleep.Subject == "308") & (sleep.Days > 0)) | (
        (sleep.Subject == "309") & (sleep.Days > 1)
    )
    return sleep[~left_out]


@pytest.fixture(scope="module")
def penicillin():
    return hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))


@pytest.fixture(scope="module")
def post(sleep):
    return hb.Model(SLOPES, sleep).sample(random_seed=1)


def by_level(table, group, column):
    rows = table[table["group"] == group]
    q = rows["term"].nunique()
    return rows[column].to_numpy(dtype=float).reshape(-1, q)


def shrunk(table, group, start):
    deviation = by_level(table, group, start) - by_level(table, group, "population")
    return np.einsum("jab,jb->ja", table.matrices[group], deviation)


@pytest.mark.parametrize(("formula", "name"), ONE_FACTOR)
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_effects_are_the_shrinkage_matrix_times_the_own_deviation(formula, name, method):
    fit = hb.Model(formula, hb.load_dataset(name)).fit(method)
    table = hb.shrinkage(fit)
    (group,) = fit.n_groups
    effect = by_level(table, group, "effect")
    scale = max(1.0, np.abs(effect).max())
    np.testing.assert_allclose(shrunk(table, group, "within_group"), effect, atol=EXACT * scale)
    np.testing.assert_allclose(shrunk(table, group, "unpenalised"), effect, atol=EXACT * scale)


def test_the_closed_form_with_a_regression_of_each_level(sleep):
    fit = hb.lmer(SLOPES, sleep)
    table = hb.shrinkage(fit)
    own = np.array(
        [
            np.polyfit(g.Days, g.Reaction, 1)[::-1]
            for _, g in sleep.groupby("Subject", observed=True)
        ]
    )
    np.testing.assert_allclose(by_level(table, "Subject", "within_group"), own, rtol=1e-10)
    Sigma = fit.varcorr().terms[0].covariance
    x = np.column_stack([np.ones(10), np.arange(10.0)])
    S = Sigma @ np.linalg.inv(Sigma + fit.sigma**2 * np.linalg.inv(x.T @ x))
    np.testing.assert_allclose(table.matrices["Subject"], np.tile(S, (18, 1, 1)), atol=1e-10)
    b = (own - fit.fixef().to_numpy()) @ S.T
    np.testing.assert_allclose(fit.ranef()["Subject"].to_numpy(), b, atol=EXACT)


def test_a_sparse_level_has_an_unpenalised_estimate_but_none_of_its_own(sparse):
    fit = hb.lmer(SLOPES, sparse)
    table = hb.shrinkage(fit)
    first = table[table.level == "308"].set_index("term")
    assert first["within_group"].isna().all()
    assert np.isinf(first.loc["Days", "unpenalised_se"])
    row = sparse[sparse.Subject == "308"].iloc[0]
    assert first.loc["(Intercept)", "unpenalised"] == pytest.approx(row.Reaction)
    assert first.loc["(Intercept)", "n"] == 1
    second = table[table.level == "309"]
    assert second["within_group"].notna().all()  # a line through two points
    assert second["within_group_se"].isna().all()  # without anything left over
    np.testing.assert_allclose(
        shrunk(table, "Subject", "unpenalised"), by_level(table, "Subject", "effect"), atol=EXACT
    )


def test_standard_errors_are_those_of_a_regression_of_the_level(sleep):
    table = hb.shrinkage(hb.lmer(SLOPES, sleep))
    row = table[(table.level == "308") & (table.term == "Days")].iloc[0]
    rows = sleep[sleep.Subject == "308"]
    residual = rows.Reaction - np.polyval(np.polyfit(rows.Days, rows.Reaction, 1), rows.Days)
    expected = np.sqrt((residual**2).sum() / 8 / ((rows.Days - 4.5) ** 2).sum())
    assert row.within_group_se == pytest.approx(expected)
    fit = hb.lmer(SLOPES, sleep)
    assert row.unpenalised_se == pytest.approx(fit.sigma / np.sqrt(82.5))


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (SLOPES, "sleepstudy"),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
        ("score ~ Machine + (1 | Worker/Machine)", "Machines"),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2"),
    ],
)
def test_shrinkage_matrices_say_what_is_left_of_the_variance(formula, name):
    fit = hb.lmer(formula, hb.load_dataset(name))
    table = hb.shrinkage(fit)
    for group, factor in table.details.factors.items():
        left = factor.covariance - factor.matrices @ factor.covariance
        np.testing.assert_allclose(left, fit.ranef_cov()[group], atol=1e-7 * fit.sigma**2)
        np.testing.assert_allclose(
            by_level(table, group, "effect_sd"), fit.ranef_sd()[group].to_numpy()
        )


def test_reliability_of_a_random_intercept_is_lambda():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    tau, sigma = fit.varcorr().terms[0].sd[0], fit.sigma
    expected = tau**2 / (tau**2 + sigma**2 / 5)
    np.testing.assert_allclose(hb.shrinkage(fit)["reliability"], expected)


def test_a_zero_variance_has_reliability_zero():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
    table = hb.shrinkage(fit)
    assert (table["reliability"] == 0).all()
    assert (table["coefficient"] == table["population"]).all()
    assert table["unpenalised"].nunique() == 6


def test_unpenalised_levels_of_crossed_factors_are_those_of_dummy_variables(penicillin):
    """One factor's variance unbounded: generalised least squares with its levels as columns."""
    design, theta = penicillin.design, penicillin.theta
    plate, sample = (np.eye(f.levels.size)[f.codes] for f in design.factors)
    table = hb.shrinkage(penicillin)
    for own, other, ratio, group in (
        (plate, sample, theta[1], "plate"),
        (sample, plate, theta[0], "sample"),
    ):
        V = np.eye(design.y.size) + ratio**2 * other @ other.T
        W = np.linalg.inv(V)
        expected = np.linalg.solve(own.T @ W @ own, own.T @ W @ design.y)
        found = by_level(table, group, "unpenalised")[:, 0]
        np.testing.assert_allclose(found, expected, atol=DEVICE)
        se = penicillin.sigma * np.sqrt(np.diag(np.linalg.inv(own.T @ W @ own)))
        np.testing.assert_allclose(by_level(table, group, "unpenalised_se")[:, 0], se, rtol=DEVICE)


def test_units_and_origin_of_a_column_do_not_matter(sparse):
    moved = sparse.assign(Days=2000 + sparse.Days / 365)
    one, other = hb.lmer(SLOPES, sparse), hb.lmer(SLOPES, moved)
    a, b = hb.shrinkage(one), hb.shrinkage(other)
    slopes = [by_level(t, "Subject", "unpenalised")[:, 1] for t in (a, b)]
    np.testing.assert_allclose(slopes[1], 365 * slopes[0], rtol=1e-5)
    shares = [by_level(t, "Subject", "reliability")[:, 1] for t in (a, b)]
    np.testing.assert_allclose(*shares, atol=1e-5)


def test_coefficient_sds_are_those_of_a_prediction(sleep):
    fit = hb.lmer(SLOPES, sleep)
    table = hb.shrinkage(fit)
    rows = table[table.term == "(Intercept)"]
    from hierbayes.prediction.prediction_variance import GroupRows, prediction_variance

    levels = np.arange(18)
    group = GroupRows(
        position=0, codes=levels, z=np.tile([1.0, 0.0], (18, 1)), drawn=np.zeros(18, bool)
    )
    found = prediction_variance(fit, np.tile([1.0, 0.0], (18, 1)), [group])
    np.testing.assert_allclose(rows["coefficient_sd"], np.sqrt(found.given_theta))


def test_a_posterior_has_means_and_sds_of_its_draws(post):
    table = hb.shrinkage(post)
    b = post.draws.b["Subject"].reshape(post.n_draws, 18, 2)
    beta = post.draws.beta.reshape(post.n_draws, 1, 2)
    np.testing.assert_allclose(by_level(table, "Subject", "effect"), b.mean(axis=0))
    np.testing.assert_allclose(by_level(table, "Subject", "effect_sd"), b.std(axis=0, ddof=1))
    total = beta + b
    np.testing.assert_allclose(by_level(table, "Subject", "coefficient"), total.mean(axis=0))
    sds = total.std(axis=0, ddof=1)
    np.testing.assert_allclose(by_level(table, "Subject", "coefficient_sd"), sds)


def test_a_posterior_averages_its_shrinkage_matrices(post):
    """With the draws taken one by one in numpy."""
    some = np.unique(np.linspace(0, post.n_draws - 1, 1000).round().astype(int))
    sd = post.draws.sd["Subject"].reshape(-1, 2)[some]
    corr = post.draws.corr["Subject"].reshape(-1, 2, 2)[some]
    Sigma = sd[:, :, None] * corr * sd[:, None, :]
    x = np.column_stack([np.ones(10), np.arange(10.0)])
    error = post.draws.sigma.ravel()[some, None, None] ** 2 * np.linalg.inv(x.T @ x)
    S = Sigma @ np.linalg.inv(Sigma + error)
    found = hb.shrinkage(post)
    np.testing.assert_allclose(found.matrices["Subject"][3], S.mean(axis=0), atol=1e-10)
    share = np.diagonal(S @ Sigma, axis1=1, axis2=2) / sd**2
    np.testing.assert_allclose(by_level(found, "Subject", "reliability")[3], share.mean(axis=0))


def test_known_sds():
    eight = hb.load_dataset("eight_schools")
    known = hb.Model("effect ~ 1 + (1 | school)", eight, known_sd="se")
    table = hb.shrinkage(known.sample(random_seed=1))
    np.testing.assert_allclose(table["unpenalised"], eight["effect"])
    np.testing.assert_allclose(table["unpenalised_se"], eight["se"])
    assert table["reliability"].between(0, 1).all()
    order = np.argsort(eight["se"].to_numpy())
    assert (np.diff(table["reliability"].to_numpy()[order]) <= 0).all()


def test_weights_and_offset(sleep):
    frame = sleep.assign(w=1 + sleep.Days % 3, o=5.0 * sleep.Days)
    fit = hb.lmer(SLOPES, frame, weights="w", offset="o")
    table = hb.shrinkage(fit)
    effect = by_level(table, "Subject", "effect")
    np.testing.assert_allclose(shrunk(table, "Subject", "within_group"), effect, atol=EXACT)
    rows = frame[frame.Subject == "308"]
    own = np.polyfit(rows.Days, rows.Reaction - rows.o, 1, w=np.sqrt(rows.w))
    found = table[table.level == "308"]["within_group"].to_numpy()
    np.testing.assert_allclose(found, own[::-1])


def test_the_table_is_a_frame_and_prints_what_is_compared(sleep):
    table = hb.shrinkage(hb.lmer(SLOPES, sleep))
    assert isinstance(table, pd.DataFrame)
    text = str(table)
    assert text.startswith("Shrinkage: Reaction ~ Days + (Days | Subject)")
    assert max(map(len, text.splitlines())) <= 100
    assert "<table" in table._repr_html_()
    part = table[["level", "effect"]].head(2)
    assert "Shrinkage" not in str(part)
    assert table[table.level == "308"].matrices["Subject"].shape == (18, 2, 2)


def test_a_response_that_is_not_gaussian_is_refused_in_a_sentence(post):
    with pytest.raises(hb.NotSupportedError, match="family='poisson', link='log'"):
        hb.shrinkage_path(replace(post, spec=replace(post.spec, family=family_named("poisson"))))


def test_what_has_no_shrinkage_is_refused_in_a_sentence(sleep):
    with pytest.raises(hb.NotSupportedError, match="no random effects"):
        hb.shrinkage(hb.lmer("Reaction ~ Days", sleep))
    with pytest.raises(hb.NotSupportedError, match="takes a fit or a posterior, not DataFrame"):
        hb.shrinkage(sleep)
    fit = hb.lmer(SLOPES, sleep)
    with pytest.raises(hb.OptionError, match="did you mean 'Subject'"):
        hb.shrinkage_path(fit, group="subject")
    with pytest.raises(hb.OptionError, match="term='Day' is not one of"):
        hb.shrinkage_path(fit, term="Day")
    with pytest.raises(hb.OptionError, match="at least 0"):
        hb.shrinkage_path(fit, sds=[-1.0])


@pytest.mark.parametrize(
    ("formula", "name", "group", "term"),
    [
        (SLOPES, "sleepstudy", "Subject", "Days"),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff", "Batch", None),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", "Batch", None),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", "sample", None),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch", None),
    ],
)
def test_the_path_goes_from_the_population_over_the_fit_to_no_pooling(formula, name, group, term):
    fit = hb.lmer(formula, hb.load_dataset(name))
    own = hb.shrinkage_path(fit, group=group, term=term).attrs["sd"]
    path = hb.shrinkage_path(fit, group=group, term=term, sds=np.unique([0.0, own, np.inf]))
    table = pd.DataFrame(hb.shrinkage(fit))
    rows = table[(table["group"] == group) & (table["term"] == path["term"].iloc[0])]
    at = {sd: part["coefficient"].to_numpy() for sd, part in path.groupby("sd")}
    assert np.ptp(at[0.0]) < 1e-12 * max(1, abs(at[0.0]).max())
    np.testing.assert_allclose(at[own], rows["coefficient"], rtol=1e-10)
    np.testing.assert_allclose(at[np.inf], rows["unpenalised"], rtol=1e-7)


def test_complete_pooling_is_the_regression_without_levels(sleep):
    fit = hb.lmer(SLOPES, sleep)
    path = hb.shrinkage_path(fit, term="Days", sds=[0.0])
    slope = np.polyfit(sleep.Days, sleep.Reaction, 1)[0]
    np.testing.assert_allclose(path["coefficient"], slope)


def test_the_curve_goes_through_balanced_levels(sleep, post):
    for fit in (hb.lmer(SLOPES, sleep), post):
        for term in ("(Intercept)", "Days"):
            table = hb.shrinkage(fit)
            curve = reliability_curve(fit, term=term, n=np.array([0.0, 10.0]))
            rows = table[table.term == term]
            assert curve["reliability"].tolist() == pytest.approx([0, rows["reliability"].iloc[0]])
            assert curve["se"].iloc[1] == pytest.approx(rows["unpenalised_se"].iloc[0])
    limits = curve[["lower", "reliability", "upper"]].iloc[1]
    assert limits.is_monotonic_increasing


def test_the_three_lines_of_a_level(sleep):
    fit = hb.lmer(SLOPES, sleep)
    found = pooling_lines(fit, levels=["308", "335"])
    table = hb.shrinkage(fit).set_index(["level", "term"])
    assert (found.x, found.group, found.categories) == ("Days", "Subject", None)
    for level, rows in found.lines.groupby("level"):
        for column in ("unpenalised", "population", "coefficient"):
            a, b = table.loc[(level, "(Intercept)"), column], table.loc[(level, "Days"), column]
            np.testing.assert_allclose(rows[column], a + b * rows["x"])
    assert len(found.points) == 20


def test_lines_of_curves_categories_and_rows(sleep, penicillin):
    curved = hb.lmer("Reaction ~ poly(Days, 2) + (1 | Subject)", sleep)
    rows = pooling_lines(curved, levels=["308"]).lines
    expected = curved.predict({"Days": rows["x"], "Subject": ["308"] * len(rows)})
    np.testing.assert_allclose(rows["coefficient"], expected)
    machines = hb.lmer("score ~ Machine + (Machine | Worker)", hb.load_dataset("Machines"))
    found = pooling_lines(machines, levels=["1"])
    assert found.categories == ("A", "B", "C")
    np.testing.assert_allclose(
        found.lines["population"], machines.predict({"Machine": ["A", "B", "C"]}, groups="none")
    )
    rows = pooling_lines(penicillin, group="sample", levels=["A"])
    assert rows.x == "row"
    assert rows.lines["coefficient"].nunique() == 1
    with pytest.raises(hb.OptionError, match="has no level 'Z'"):
        pooling_lines(penicillin, group="sample", levels=["Z"])
    with pytest.raises(hb.OptionError, match="x='Day' is not a predictor"):
        pooling_lines(curved, x="Day")


def test_other_covariates_stand_at_the_means_of_the_level():
    data = hb.load_dataset("Orthodont")
    fit = hb.lmer("distance ~ age * Sex + (1 | Subject)", data)
    rows = pooling_lines(fit, x="age", levels=["F01"]).lines
    expected = fit.predict({"age": rows["x"], "Sex": ["Female"] * len(rows)}, groups="none")
    np.testing.assert_allclose(rows["population"], expected)


def test_a_posterior_has_a_band_around_partial_pooling(post):
    rows = pooling_lines(post, levels=["308"]).lines
    assert ((rows["lower"] < rows["coefficient"]) & (rows["coefficient"] < rows["upper"])).all()
    draws = post.draws.beta[:, :, 0] + post.draws.b["Subject"][:, :, 0, 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert rows["lower"].iloc[0] == pytest.approx(low, abs=2.5)
    assert rows["upper"].iloc[0] == pytest.approx(high, abs=2.5)


@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_levels_that_lack_a_cell_give_no_root_of_rounding():
    """Their own variance is not known; rounding made it negative: "invalid value in sqrt"."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        d = pd.DataFrame({"y": rng.normal(size=40), "s": rng.uniform(0.5, 2, 40)})
        d["f"], d["g"] = rng.choice([*"abc"], 40), rng.choice([*"ABCDEFGH"], 40)
        cells = d.groupby("g").f.nunique()
        table = hb.shrinkage(hb.lmer("y ~ f + (f | g)", d, known_sd="s"))
        lacking = table.level.map(cells) < 3
        assert table.within_group_se[lacking].isna().all()
        assert (table.within_group_se[~lacking] > 0).all()


def test_lines_over_a_number_made_a_factor_stand_at_its_values():
    data = hb.load_dataset("sleepstudy")
    data["third"] = (data["Days"] // 4).astype(int) * 5
    fit = hb.lmer("Reaction ~ factor(third) + (1 | Subject)", data)
    found = pooling_lines(fit, levels=["308", "309"])
    assert found.x == "third" and found.categories == ("0", "5", "10")
    assert found.lines["x"].tolist() == [0, 1, 2] * 2
    new = pd.DataFrame({"third": [0, 5, 10]})
    expected = fit.predict(new, groups="none").tolist() * 2
    np.testing.assert_allclose(found.lines["population"], expected)
    assert set(found.points["x"]) == {0, 1, 2}


def test_a_path_is_nan_only_at_sds_that_leave_fixed_effects_undetermined(monkeypatch):
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    expected = hb.shrinkage_path(fit)

    def singular(kernel, theta):
        if (theta > 3e3).any():
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        return evaluate(kernel, theta)

    monkeypatch.setattr("hierbayes.pooling.shrinkage_path.evaluate", singular)
    found = hb.shrinkage_path(fit)
    np.testing.assert_array_equal(found.coefficient.isna(), np.isinf(found.sd))
    finite = np.isfinite(found.sd)
    np.testing.assert_allclose(found.coefficient[finite], expected.coefficient[finite], rtol=1e-12)
