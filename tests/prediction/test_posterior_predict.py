"""Predictions of a posterior mean what those of a REML fit mean, with the uncertainty in them."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.results.posteriors import known_posterior

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    return hb.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def model(data):
    return hb.Model(FORMULA, data)


@pytest.fixture(scope="module")
def post(model):
    return known_posterior(model, draws=400)


@pytest.fixture(scope="module")
def point(model):
    return known_posterior(model, spread=0.0)


def new_rows():
    return pd.DataFrame(
        {"Days": [1.0, 2, np.nan, 4, 5], "Subject": ["308", "new", "309", None, "other"]}
    )


@pytest.mark.parametrize("new_levels", ["population", "missing"])
@pytest.mark.parametrize("groups", ["all", "none", ["Subject"]])
@pytest.mark.parametrize("rows", ["used", "new"])
def test_draws_at_one_point_predict_as_the_fit(model, point, rows, groups, new_levels):
    newdata = None if rows == "used" else new_rows()
    options = {"groups": groups, "new_levels": new_levels}
    expected = model.fit("reml").predict(newdata, **options)
    pd.testing.assert_series_equal(point.predict(newdata, **options), expected)
    interval = point.predict(newdata, interval="confidence", **options)
    for column in ("prediction", "lower", "upper"):
        pd.testing.assert_series_equal(interval[column], expected, check_names=False)


def test_crossed_factors_and_offsets_predict_as_the_fit():
    data = hb.load_dataset("Penicillin").assign(shift=np.arange(144) % 7)
    model = hb.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", data, offset="shift")
    point = known_posterior(model, spread=0.0)
    newdata = data.iloc[[3, 77]].assign(plate=["a", "zz"])
    options = {"groups": ["sample"]}
    expected = model.fit("reml").predict(newdata, **options)
    pd.testing.assert_series_equal(point.predict(newdata, **options), expected)


def test_intervals_are_quantiles_of_the_draws(post, data):
    X, z = post.design.X, post.design.factors[0].z
    flat = post.draws.beta.reshape(-1, 2) @ X.T
    b = post.draws.b["Subject"].reshape(-1, 18, 2)[:, post.design.factors[0].codes]
    eta = flat + (b * z).sum(axis=2)
    found = post.predict(interval="confidence", level=0.8)
    np.testing.assert_allclose(found["prediction"], eta.mean(axis=0))
    np.testing.assert_allclose(found["lower"], np.quantile(eta, 0.1, axis=0))
    np.testing.assert_allclose(found["upper"], np.quantile(eta, 0.9, axis=0))
    assert found.attrs["level"] == 0.8 and found.attrs["kind"] == "eti"
    np.testing.assert_allclose(found["se"], eta.std(axis=0, ddof=1))
    assert found.attrs["includes"] == "fixed effects, effects of Subject, covariance parameters"


def test_a_prediction_interval_has_the_residual_variation_in_it(post):
    mean = post.predict(interval="confidence")
    new = post.predict(interval="prediction", random_seed=1)
    assert "residual variation" in new.attrs["includes"]
    widths = (new["upper"] - new["lower"]) / 3.92
    expected = np.hypot((mean["upper"] - mean["lower"]) / 3.92, post.sigma)
    np.testing.assert_allclose(widths.mean(), expected.mean(), rtol=0.02)
    np.testing.assert_allclose(new["prediction"], mean["prediction"])


def test_rows_of_one_new_level_share_its_draws(post):
    rows = pd.DataFrame({"Days": [0.0, 0.0, 0.0], "Subject": ["new", "new", "other"]})
    options = {"new_levels": "sample", "interval": "confidence", "random_seed": 4}
    found = post.predict(rows, **options)
    assert found.iloc[0].equals(found.iloc[1]) and not found.iloc[0].equals(found.iloc[2])
    assert "the spread of new levels of Subject" in found.attrs["includes"]
    reordered = post.predict(rows.iloc[::-1], **options)
    pd.testing.assert_frame_equal(reordered.iloc[::-1], found)


def test_effects_of_new_levels_have_the_drawn_covariance(post):
    rows = pd.DataFrame({"Days": [0.0, 9.0], "Subject": ["new", "new"]})
    options = {"interval": "confidence", "level": 0.6826895, "random_seed": 4}
    new = post.predict(rows, new_levels="sample", **options)
    typical = post.predict(rows, new_levels="population", **options)
    half = ((new["upper"] - new["lower"]) / 2).to_numpy()
    base = ((typical["upper"] - typical["lower"]) / 2).to_numpy()
    sd, corr = post.draws.sd["Subject"], post.draws.corr["Subject"]
    cov = sd[..., :, None] * corr * sd[..., None, :]
    z = np.array([[1.0, 0.0], [1.0, 9.0]])
    expected = np.sqrt(base**2 + np.einsum("ra,cdab,rb->cdr", z, cov, z).mean(axis=(0, 1)))
    np.testing.assert_allclose(half, expected, rtol=0.12)  # 800 draws


def test_new_responses_of_unknown_groups_vary_as_groups_do(post):
    rows = pd.DataFrame({"Days": [9.0, 9.0], "Subject": ["new", None]})
    options = {"interval": "prediction", "random_seed": 4}
    found = post.predict(rows, new_levels="population", **options)
    drawn = post.predict(rows, new_levels="sample", **options)
    np.testing.assert_allclose(found["se"], drawn["se"].iloc[0], rtol=0.1)  # 800 draws
    typical = post.predict(rows, new_levels="population")
    np.testing.assert_allclose(found["prediction"], typical, rtol=1e-12)
    assert "the spread of new levels of Subject" in found.attrs["includes"]


def test_new_levels_are_refused_unless_said(post):
    with pytest.raises(hb.NewLevelError, match=r"2 levels of Subject .*'new', 'other'"):
        post.predict(new_rows())


def test_missing_values_and_levels_give_missing_intervals(post):
    found = post.predict(new_rows(), new_levels="sample", interval="prediction", random_seed=1)
    assert found.isna().all(axis=1).tolist() == [False, False, True, True, False]


def test_the_size_of_blocks_changes_no_prediction(post, monkeypatch):
    whole = post.predict(interval="confidence", kind="hdi")
    monkeypatch.setattr("hierbayes.bayes.predictive.AT_ONCE", 800 * 7)
    pd.testing.assert_frame_equal(post.predict(interval="confidence", kind="hdi"), whole)


def test_the_same_seed_gives_the_same_prediction(post):
    first, second = (post.predict(interval="prediction", random_seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(post.predict(interval="prediction", random_seed=4))


def test_new_responses_of_weighted_rows_have_their_own_precision():
    data = hb.load_dataset("sleepstudy").assign(w=lambda d: np.where(d["Days"] < 5, 4.0, 1.0))
    post = known_posterior(hb.Model(FORMULA, data, weights="w"), spread=0.0, draws=2000)
    found = post.predict(interval="prediction", random_seed=1)
    sd = ((found["upper"] - found["lower"]) / 3.92).groupby(data["w"]).mean()
    np.testing.assert_allclose(sd.to_numpy(), [post.sigma, post.sigma / 2], rtol=0.02)


def test_new_rows_with_known_residual_sds_have_no_prediction_interval():
    data = pd.DataFrame({"y": [58.0, 8, -33, 7, -41, 51], "s": [15.0, 10, 16, 11, 9, 11]})
    data["school"] = list("abcdef")
    post = known_posterior(hb.Model("y ~ 1 + (1 | school)", data, known_sd="s"))
    assert len(post.predict(interval="prediction", random_seed=1)) == 6
    with pytest.raises(hb.NotSupportedError, match="known_sd has no values for them"):
        post.predict(data.drop(columns="s"), interval="prediction")
    found = post.predict(data.assign(s=1e-3), interval="prediction", random_seed=1)
    mean = post.predict(data, interval="confidence")
    np.testing.assert_allclose(found["se"], mean["se"], rtol=1e-3)


# simulation


def test_simulated_responses_of_the_fitted_groups_scatter_around_their_fits(post):
    y = post.simulate(600, random_seed=1)
    assert y.shape == (180, 600) and y.columns[0] == "sim_1"
    error = y.mean(axis=1) - post.fitted()
    assert abs(error / (post.sigma / np.sqrt(600))).max() < 5
    assert post.simulate(2, random_seed=1).equals(post.simulate(2, random_seed=1))


def test_simulated_responses_of_new_groups_scatter_as_those_of_the_fit(model, point):
    ours = point.simulate(3000, random_seed=1, groups="new")
    theirs = model.fit("reml").simulate(3000, random_seed=2)
    np.testing.assert_allclose(ours.std(axis=1), theirs.std(axis=1), rtol=0.1)
    np.testing.assert_allclose(np.cov(ours.iloc[:10]), np.cov(theirs.iloc[:10]), rtol=0.3)


def test_simulated_proportions_are_proportions_as_the_response_is():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"trials": rng.integers(3, 9, 60), "g": np.arange(60) % 6})
    data["share"] = rng.binomial(data.trials, 0.5) / data.trials
    model = hb.Model("share ~ 1 + (1 | g)", data, family="binomial", weights="trials")
    found = model.sample(random_seed=1, draws=100, chains=2).simulate(3, random_seed=1)
    counts = found.mul(data.trials, axis=0)
    assert found.to_numpy().max() <= 1
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)


@pytest.mark.parametrize("nsim", [0, 1.5, True])
def test_nsim_is_a_count(post, nsim):
    with pytest.raises(hb.OptionError, match="must be a whole number of at least 1"):
        post.simulate(nsim)
