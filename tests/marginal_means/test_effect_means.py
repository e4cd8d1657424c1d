"""What a picture of an effect shows: emmeans along x, rows, partial residuals and group lines."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.marginal_means.effect_levels import level_means, new_response_limits
from hierbayes.marginal_means.effect_means import effect_means
from hierbayes.marginal_means.effect_rows import data_points, group_lines, partial_residuals

SEED = 7


@pytest.fixture(scope="module")
def words():
    """A 2 x 2 reaction-time experiment of participants and items."""
    rng = np.random.default_rng(SEED)
    grid = pd.MultiIndex.from_product(
        [range(12), range(8), ["new", "old"], ["big", "small"]],
        names=["participant", "item", "cond", "size"],
    )
    data = grid.to_frame(index=False)
    data["log freq"] = rng.normal(3, 1, 8)[data["item"]]
    slow = 30.0 * (data["cond"] == "new") * (1 + (data["size"] == "small"))
    data["rt"] = 500 + slow + 20 * rng.normal(size=12)[data["participant"]]
    data["rt"] += 40 * rng.normal(size=len(data))
    return data


@pytest.fixture(scope="module")
def fits(words):
    formula = "rt ~ cond * size + `log freq` + (cond | participant)"
    model = hb.Model(formula, words.iloc[:-30])
    return {"reml": model.fit(), "posterior": model.sample(random_seed=1, draws=100)}


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(SEED)
    data = pd.DataFrame({"x": rng.normal(size=400), "g": np.arange(400) % 20})
    data["arm"] = np.where(data["g"] < 10, "a", "b")
    eta = data["x"] + 0.5 * rng.normal(size=20)[data["g"]]
    data["hit"] = (rng.random(400) < 1 / (1 + np.exp(-eta))).astype(int)
    return hb.glmer("hit ~ x * arm + (1 | g)", data, "bernoulli")


@pytest.mark.parametrize("estimator", ["reml", "posterior"])
def test_the_means_are_those_of_emmeans(fits, estimator):
    fit = fits[estimator]
    found = effect_means(fit)
    assert (found.shown.x.name, [one.name for one in found.apart]) == ("cond", ["size"])
    table = hb.emmeans(fit, ["cond", "size"]).means  # cond fastest, as within a curve
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_array_equal(found.means[name], table[name])
    assert found.means["curve"].tolist() == [0, 0, 1, 1]
    assert found.words.startswith("with log freq at its mean, ")


def test_what_is_averaged_over_and_held_is_said(fits):
    fit = fits["reml"]
    found = effect_means(fit, x="cond")
    np.testing.assert_array_equal(found.means["estimate"], hb.emmeans(fit, "cond").means.estimate)
    assert "averaged over size (which interacts), equal weights" in found.words
    held = effect_means(fit, x="cond", at={"size": "small", "log freq": 2})
    assert held.words == "with size = small and log freq = 2"
    apart = effect_means(fit, x="log freq", by=["size", "cond"], at={"log freq": [2, 4]})
    assert apart.curves == ((0, 0), (1, 0), (0, 1), (1, 1))
    assert apart.means["x"].tolist() == [2.0, 4.0] * 4
    sds = effect_means(fit, x="cond", by=["log freq"])
    used = fit.spec.table.column("log freq")
    assert sds.apart[0].values[1] == pytest.approx(np.mean(used))
    assert "log freq at its mean and one sd below and above" in sds.words


@pytest.mark.parametrize("estimator", ["reml", "posterior"])
def test_partial_residuals_are_the_mean_plus_the_residual(fits, estimator):
    fit = fits[estimator]
    found = effect_means(fit, x="log freq", by=["size"])
    points = partial_residuals(fit, found).table
    beta = fit.fixef()
    x = np.asarray(fit.spec.table.column("log freq"))
    small = points["curve"].to_numpy() == 1
    expected = beta["(Intercept)"] + beta["`log freq`"] * x + beta["condold"] / 2
    expected = expected + small * (beta["sizesmall"] + beta["condold:sizesmall"] / 2)
    np.testing.assert_allclose(points["y"], expected + fit.residuals().to_numpy())


@pytest.mark.parametrize("estimator", ["reml", "posterior"])
def test_group_lines_are_those_of_predict(fits, estimator):
    fit = fits[estimator]
    found = effect_means(fit)
    lines = group_lines(fit, found, "participant")
    own = lines[lines["group"] == "3"]
    freq = float(np.mean(fit.spec.table.column("log freq")))
    new = pd.DataFrame(
        {
            "cond": ["new", "old"] * 2,
            "size": ["big", "big", "small", "small"],
            "log freq": freq,
            "participant": 3,
        }
    )
    np.testing.assert_allclose(own["estimate"], fit.predict(new, groups=["participant"]))


def test_a_line_ends_where_the_rows_of_its_group_do(binary):
    found = effect_means(binary, x="x", by=["arm"])
    lines = group_lines(binary, found, True)
    rows = pd.DataFrame({n: binary.spec.table.column(n) for n in ("x", "g")})
    ends = lines.groupby("group")["x"].agg(["min", "max"])
    expected = rows.groupby(rows["g"].astype(str))["x"].agg(["min", "max"])
    np.testing.assert_array_equal(ends, expected.loc[ends.index])
    assert (lines.groupby("group")["curve"].nunique() == 1).all()  # arms lie between groups
    one = lines.iloc[[5]]
    new = pd.DataFrame({"x": one["x"], "arm": "a", "g": int(one["group"].iloc[0])})
    assert binary.predict(new).iloc[0] == pytest.approx(one["estimate"].iloc[0])


def test_binary_responses_are_binned_shares(binary):
    found = effect_means(binary, x="x", by=["arm"])
    points = data_points(binary, found)
    table = points.table
    assert points.are_binned and table["n"].sum() == 400 and len(table) == 20
    hits = binary.observed.sum()
    assert (table["y"] * table["n"]).sum() == pytest.approx(hits)
    assert "bins of x" in points.words
    with pytest.raises(hb.OptionError, match="add scale='link'"):
        partial_residuals(binary, found)
    on_link = effect_means(binary, x="x", by=["arm"], scale="link")
    with pytest.raises(hb.OptionError, match="points='residuals'"):
        data_points(binary, on_link)
    y = partial_residuals(binary, on_link).table["y"]
    eta = binary.fixed_part + binary.residuals(kind="working")
    np.testing.assert_allclose(y, eta)


def test_ordered_categories_have_a_curve_each():
    data = hb.load_dataset("VerbAgg").iloc[::40]
    fit = hb.glmer("resp ~ btype + (1 | id)", data, "cumulative")
    found = effect_means(fit)
    assert found.scale == "probability" and len(found.curves) == 3
    means = found.means.pivot(index="x", columns="curve", values="estimate")
    np.testing.assert_allclose(means.sum(axis=1), 1.0)
    shares = data_points(fit, found).table.pivot(index="x", columns="curve", values="y")
    counts = pd.crosstab(data["btype"], data["resp"], normalize="index")
    np.testing.assert_allclose(shares, counts)


def test_without_predictors_the_levels_are_along_x():
    fit = hb.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hb.load_dataset("Penicillin"))
    found = level_means(fit, group="sample")
    assert found.shown.x.labels == tuple("ABCDEF")
    expected = fit.fixef()["(Intercept)"] + fit.ranef()["sample"]["(Intercept)"]
    np.testing.assert_allclose(found.means["estimate"], expected)
    assert data_points(fit, found).table["x"].nunique() == 6
    with pytest.raises(hb.OptionError, match="has no predictor"):
        effect_means(fit)


def test_a_slope_without_a_fixed_effect_stands_at_its_mean():
    sleep = hb.load_dataset("sleepstudy")
    fit = hb.lmer("Reaction ~ 1 + (Days | Subject)", sleep)
    found = level_means(fit)
    new = pd.DataFrame({"Subject": sleep["Subject"].cat.categories, "Days": 4.5})
    np.testing.assert_allclose(found.means["estimate"], fit.predict(new))
    assert found.words == "with Days = 4.5"


def test_limits_of_new_responses_are_those_of_predict():
    sleep = hb.load_dataset("sleepstudy")
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    found = effect_means(fit)
    limits = new_response_limits(fit, found)
    new = pd.DataFrame({"Days": limits["x"], "Subject": "somebody else"})
    expected = fit.predict(new, new_levels="population", interval="prediction")
    np.testing.assert_allclose(limits[["lower", "upper"]], expected[["lower", "upper"]])


def test_wrong_requests_are_told(fits, binary):
    fit = fits["reml"]
    with pytest.raises(hb.OptionError, match="did you mean 'cond'"):
        effect_means(fit, x="conds")
    with pytest.raises(hb.OptionError, match="stands twice"):
        effect_means(fit, x="cond", by=["cond"])
    with pytest.raises(hb.OptionError, match="at most 2"):
        effect_means(fit, by=["cond", "size", "log freq"])
    with pytest.raises(hb.OptionError, match="did you mean 'size'"):
        effect_means(fit, x="cond", by=["size", "log freq", "size2"])
    with pytest.raises(hb.OptionError, match="not a grouping factor"):
        group_lines(fit, effect_means(fit), "participants")
    with pytest.raises(hb.OptionError, match="no number of trials"):
        effect_means(binary, scale="count")
    with pytest.raises(hb.OptionError, match="must be held with at="):
        new_response_limits(fit, effect_means(fit, x="cond"))
