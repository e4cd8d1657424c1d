"""Ordered categories by maximum likelihood: published fits, dense quadrature, equivalent models."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr

import hierbayes as hb
from hierbayes.results.generalised_fit import GeneralisedFit
from tests.ordinal_data import wine
from tests.reference_fits import FOLDER

FORMULA = "rating ~ temp + contact + (1 | judge)"


@cache
def wine_fit(n_quadrature: int = 1) -> GeneralisedFit:
    return hb.glmer(FORMULA, wine(), family="cumulative", n_quadrature=n_quadrature)


def labelled(n: int = 240, seed: int = 3) -> pd.DataFrame:
    """Four categories, a predictor far from zero, a dozen groups."""
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % 12, rng.normal(size=n)
    eta = 0.9 * x + 0.8 * rng.normal(size=12)[g]
    y = np.digitize(eta + rng.logistic(size=n), [-1.0, 0.3, 1.6])
    names = ["never", "rarely", "often", "always"]
    return pd.DataFrame({
        "y": pd.Categorical.from_codes(y, names, ordered=True),
        "x": x + 40, "g": [f"g{i:02d}" for i in g],
    })  # fmt: skip


def test_wine_is_that_of_clmm() -> None:
    # As the tutorial of R's ordinal prints it (Christensen, clmm2_tutorial); ordinal 2022.11-16
    # prints the same, and tests/reference/documented.json has its optimum to all digits.
    fit = wine_fit()
    assert fit.loglik == pytest.approx(-81.57, abs=5e-3)
    assert fit.varcorr().terms[0].sd[0] == pytest.approx(1.131, abs=5e-4)
    assert fit.fixef().round(3).tolist() == [3.063, 1.835]
    np.testing.assert_allclose(fit.std_errors, [0.5954, 0.5125], atol=1e-4)
    found = np.array(list(fit.further_parameters.values()))
    printed = [[-1.6237, 0.6824], [1.5134, 0.6038], [4.2285, 0.8090], [6.0888, 0.9725]]
    np.testing.assert_allclose(found, printed, atol=1.5e-4)
    assert wine_fit(10).loglik == pytest.approx(-81.53, abs=5e-3)


def test_wine_is_that_of_the_package() -> None:
    theirs = pd.read_csv(FOLDER / "documented" / "wine.csv")
    columns = ["rating", "temp", "contact"]
    ours = wine()
    assert (ours[columns].astype(str) == theirs[columns].astype(str)).all(axis=None)
    assert (ours["judge"] + 1 == theirs["judge"]).all()


def test_wine_without_judges_is_that_of_clm() -> None:
    # clm(rating ~ temp + contact, data = wine) of R's ordinal 2022.11-16, gradTol = 1e-10
    fit = hb.glmer("rating ~ temp + contact", wine(), family="cumulative")
    assert fit.loglik == pytest.approx(-86.491923365649, abs=1e-9)
    np.testing.assert_allclose(fit.fixef(), [2.50310200790, 1.52779765810], rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, [0.528680100825, 0.476622629648], rtol=1e-6)
    np.testing.assert_allclose(
        list(fit.further_parameters.values()),
        [
            [-1.34438341126, 0.517102045324],
            [1.25080879842, 0.437880202962],
            [3.46688692647, 0.597760424608],
            [5.00640420427, 0.730906343667],
        ],
        rtol=1e-6,
    )


def test_summary_has_the_blocks_of_clmm() -> None:
    lines = wine_fit().summary().splitlines()
    assert lines[0] == "Cumulative link mixed model fit by maximum likelihood (Laplace"
    at = lines.index("Threshold coefficients:")
    assert lines[at + 1 : at + 3] == [
        "    Estimate Std. Error z value",
        "1|2  -1.6237     0.6824  -2.379",
    ]
    assert "rank deficient" not in wine_fit().summary()
    assert "Intercept" not in "".join(lines[lines.index("Fixed effects:") :])


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "pandas arrow"])
@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_categories_declared_in_an_order_are_a_response_of_any_frame(kind, family, tmp_path):
    data = labelled()
    names = list(data["y"].cat.categories)
    if kind == "polars":
        pl = pytest.importorskip("polars")
        frame = pl.DataFrame({"y": data["y"].astype(str).tolist(), "x": data["x"], "g": data["g"]})
        frame = frame.with_columns(pl.col("y").cast(pl.Enum(names)))
    else:
        pa = pytest.importorskip("pyarrow")
        codes = pa.array(data["y"].cat.codes.to_numpy(dtype=np.int8))
        y = pa.DictionaryArray.from_arrays(codes, pa.array(names), ordered=True)
        frame = pa.table({"y": y, "x": data["x"], "g": data["g"].tolist()})
        frame = frame.to_pandas(types_mapper=pd.ArrowDtype) if kind == "pandas arrow" else frame
    fit = hb.glmer("y ~ x + (1 | g)", frame, family=family)
    expected = hb.glmer("y ~ x + (1 | g)", data, family=family)
    assert fit.loglik == pytest.approx(expected.loglik, abs=1e-9)
    assert fit.summary().count("never|rarely") == 1
    fit.save(tmp_path / "fit.hbfit")
    again = hb.load(tmp_path / "fit.hbfit").update(". ~ . - x")
    assert again.loglik == pytest.approx(expected.update(". ~ . - x").loglik, abs=1e-9)
    shares = fit.predict(frame, type="probability")
    assert list(shares.columns) == names


def test_an_enum_of_polars_is_coded_as_a_predictor_without_order():
    pl = pytest.importorskip("polars")
    data = labelled()
    frame = pl.DataFrame({"u": data["x"], "v": data["y"].astype(str).tolist(), "g": data["g"]})
    frame = frame.with_columns(pl.col("v").cast(pl.Enum(list(data["y"].cat.categories))))
    fit = hb.lmer("u ~ v + (1 | g)", frame)
    assert fit.fixef().index.tolist() == ["(Intercept)", "vrarely", "voften", "valways"]


def dense_log_likelihood(parameters, data, family, link, *, n_nodes=80):
    """Log-likelihood by Gauss-Hermite quadrature on a grid that knows no mode."""
    F = {"logit": expit, "probit": ndtr}[link]
    beta, log_sd, thresholds = parameters[0], parameters[1], parameters[2:]
    t, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    y, total = data["y"].cat.codes.to_numpy(), 0.0
    for _, rows in data.groupby("g").groups.items():
        at = data.index.get_indexer(rows)
        eta = beta * data["x"].to_numpy()[at, None] + np.exp(log_sd) * t
        if family == "cumulative":
            below = np.concatenate(
                [[np.zeros_like(eta)], F(thresholds[:, None, None] - eta), [np.ones_like(eta)]]
            )
            p = np.diff(below, axis=0)
        else:
            stop = np.concatenate([F(thresholds[:, None, None] - eta), [np.ones_like(eta)]])
            goes_on = np.cumprod(1 - stop, axis=0)
            p = stop * np.concatenate([[np.ones_like(eta)], goes_on[:-1]])
        own = np.prod(p[y[at], np.arange(at.size)], axis=0)
        total += np.log(w @ own / w.sum())
    return total


@pytest.mark.parametrize(
    ("family", "link"),
    [("cumulative", "logit"), ("cumulative", "probit"), ("sratio", "logit")],
)
def test_estimates_and_errors_are_those_of_dense_quadrature(family: str, link: str) -> None:
    data = labelled()
    fit = hb.glmer("y ~ x + (1 | g)", data, family=family, link=link, n_quadrature=25)
    thresholds = [value for value, _ in fit.further_parameters.values()]
    point = np.array([fit.beta[0], np.log(fit.theta[0]), *thresholds])

    def value(x):
        return dense_log_likelihood(x, data, family, link)

    assert value(point) == pytest.approx(fit.loglik, abs=1e-7)
    # the thresholds at the centre of x, where the likelihood is not a ridge
    ridge = np.eye(5)
    ridge[0, 2:] = data["x"].mean()
    step = 1e-3
    axes = step * ridge
    slope = [(value(point + e) - value(point - e)) / (2 * step) for e in axes]
    np.testing.assert_allclose(slope, 0, atol=2e-4)
    bends = np.empty((5, 5))
    for i in range(5):
        for j in range(i + 1):
            corners = [
                value(point + a * axes[i] + b * axes[j]) * a * b for a in (1, -1) for b in (1, -1)
            ]
            bends[i, j] = bends[j, i] = np.sum(corners) / (4 * step**2)
    covariance = ridge.T @ np.linalg.inv(-bends) @ ridge
    errors = [fit.std_errors[0], *(error for _, error in fit.further_parameters.values())]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance))[[0, 2, 3, 4]], rtol=1e-3)


def test_categories_in_the_opposite_order_mirror_everything() -> None:
    data = labelled()
    turned = data.assign(y=data["y"].cat.reorder_categories(data["y"].cat.categories[::-1]))
    fit, other = (hb.glmer("y ~ x + (1 | g)", d, family="cumulative") for d in (data, turned))
    assert other.loglik == pytest.approx(fit.loglik, abs=1e-8)
    np.testing.assert_allclose(other.beta, -fit.beta, rtol=1e-6)
    own, theirs = ([value for value, _ in f.further_parameters.values()] for f in (fit, other))
    np.testing.assert_allclose(np.negative(theirs[::-1]), own, rtol=1e-6)


def test_cumulative_and_sequential_models_with_the_log_log_link_are_one_model() -> None:
    # P(y > k) = exp(-exp(.)) multiplies, so that both spend thresholds on the same probabilities
    data = labelled()
    fits = [
        hb.glmer("y ~ x + (1 | g)", data, family=f, link="cloglog")
        for f in ("cumulative", "sratio")
    ]
    assert fits[0].loglik == pytest.approx(fits[1].loglik, abs=1e-7)


def test_two_categories_are_a_binary_response() -> None:
    data = labelled()
    binary = data.assign(y=pd.Categorical(data["y"] >= "often", ordered=True))
    ordinal = hb.glmer("y ~ x + (1 | g)", binary, family="cumulative")
    usual = hb.glmer("often ~ x + (1 | g)", data.assign(often=data["y"] >= "often"))
    assert ordinal.loglik == pytest.approx(usual.loglik, abs=1e-7)
    assert ordinal.dispersion["threshold[1]"] == pytest.approx(-usual.beta[0], rel=1e-5)


def test_numbers_and_labels_are_the_same_model() -> None:
    data = labelled()
    fits = [
        hb.glmer("y ~ x + (1 | g)", data.assign(y=y), family="cumulative")
        for y in (data["y"], data["y"].cat.codes + 1, data["y"].cat.codes)
    ]
    assert len({round(fit.loglik, 9) for fit in fits}) == 1
    assert [fit.fitted().iloc[0] for fit in fits[:2]] == pytest.approx(
        [fits[2].fitted().iloc[0] + 1] * 2
    )


def test_probabilities_and_mean_categories() -> None:
    fit, data = wine_fit(), wine()
    shares = fit.predict(type="probability")
    assert shares.columns.tolist() == list("12345")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(fit.predict(), shares @ [1, 2, 3, 4, 5])
    new = data.head(2).assign(judge="another")
    assert fit.predict(new, type="probability", new_levels="population").shape == (2, 5)
    limits = fit.predict(new, type="probability", groups="none", interval="confidence")
    assert limits.index.names == ["row", "category"] and len(limits) == 10
    assert ((limits["lower"] > 0) & (limits["upper"] < 1)).all()
    assert (limits["lower"] < limits["prediction"]).all()
    residuals = fit.residuals("deviance").to_numpy()
    observed = shares.to_numpy()[np.arange(72), data["rating"].astype(int) - 1]
    np.testing.assert_allclose(residuals**2, -2 * np.log(observed))


def test_errors_of_probabilities_are_those_of_the_delta_method() -> None:
    fit = hb.glmer("rating ~ temp + contact", wine(), family="cumulative")
    new = pd.DataFrame({"temp": ["warm"], "contact": ["no"]})
    point = np.array([*fit.beta, *fit.dispersion.values()])

    def shares(x):
        return np.diff(np.concatenate([[0], expit(x[2:] - x[0]), [1]]))

    J = np.stack([(shares(point + e) - shares(point - e)) / 2e-5 for e in 1e-5 * np.eye(6)], axis=1)
    found = fit.predict(new, type="probability", interval="confidence")
    np.testing.assert_allclose(found["se"], np.sqrt(np.diag(J @ fit.optimum.vcov @ J.T)), rtol=1e-4)
    mean = fit.predict(new, interval="confidence")["se"].iloc[0]
    k = np.arange(1, 6)
    assert mean == pytest.approx(np.sqrt(k @ J @ fit.optimum.vcov @ J.T @ k), rel=1e-4)


@pytest.mark.parametrize("random", ["(1 | g)", "(1 | g) + (1 | h)"])
def test_intervals_do_not_depend_on_where_a_predictor_has_its_zero(random: str) -> None:
    data = labelled()
    data["h"] = np.arange(240) // 2 % 20 // data["y"].cat.codes.clip(lower=1)  # groups that differ
    fits = [
        hb.glmer(f"y ~ x + {random}", d, family="cumulative")
        for d in (data, data.assign(x=data["x"] - 40))
    ]
    one, other = (fit.predict(type="probability", interval="confidence") for fit in fits)
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-7)


def test_simulated_categories_are_fitted_again(tmp_path) -> None:
    fit = wine_fit()
    drawn = fit.simulate(2, random_seed=4)
    assert set(np.unique(drawn)) <= {1, 2, 3, 4, 5}
    again = fit.refit(drawn["sim_1"])
    assert again.design.y.tolist() == drawn["sim_1"].tolist()
    assert fit.refit(wine()["rating"]).loglik == pytest.approx(fit.loglik)
    with pytest.raises(hb.DataError, match="no row in category 5"):
        fit.refit(np.minimum(fit.design.y, 4))
    again.save(tmp_path / "fit.hb")
    assert hb.load(tmp_path / "fit.hb").summary() == again.summary()


def test_marginal_means_are_on_the_latent_scale() -> None:
    means = hb.emmeans(wine_fit(), "temp", contrasts="pairwise")
    assert np.isfinite(means.to_frame()["estimate"]).all()
    np.testing.assert_allclose(
        hb.emmeans(wine_fit(), "temp").to_frame()["estimate"].diff().iloc[1], wine_fit().beta[0]
    )
    assert hb.icc(wine_fit()).to_frame()["estimate"].iloc[0] == pytest.approx(
        1.131140**2 / (1.131140**2 + np.pi**2 / 3), rel=1e-5
    )


BAD = {
    "an empty category": (
        lambda d: d["y"].cat.add_categories("ever"), "no row in category 'ever' of 'never'"
    ),
    "a gap in numbers": (lambda d: d["y"].cat.codes.replace(1, 2), "no row in category '1'"),
    "no order": (lambda d: d["y"].astype(str), "categories without an order .*ordered=True"),
    "an unordered categorical": (lambda d: d["y"].cat.as_unordered(), "without an order"),
    "broken numbers": (lambda d: d["y"].cat.codes / 2, "in their order; row 0 holds"),
    "one category": (lambda d: pd.Categorical(["a"] * 240, ordered=True), "'a' in every row"),
    "a number for each row": (lambda d: np.arange(240), "few, repeated categories"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_a_response_that_is_no_scale_is_one_sentence(change, words) -> None:
    data = labelled()
    with pytest.raises(hb.DataError, match=words) as caught:
        hb.glmer("y ~ x + (1 | g)", data.assign(y=change(data)), family="cumulative")
    assert len(str(caught.value).splitlines()) == 1


def test_thresholds_out_of_order_are_one_sentence() -> None:
    model = wine_fit().optimum.model
    with pytest.raises(hb.DataError, match=r"thresholds 0, 2, 1, 3 are out of order"):
        model.phi_of({"threshold": [0.0, 2.0, 1.0, 3.0]})


def test_a_factor_without_intercept_has_the_thresholds_for_it() -> None:
    with pytest.warns(hb.RankDeficientWarning, match="tempwarm is determined"):
        fit = hb.glmer("rating ~ 0 + temp + (1 | judge)", wine(), family="cumulative")
    usual = hb.glmer("rating ~ temp + (1 | judge)", wine(), family="cumulative")
    assert fit.loglik == pytest.approx(usual.loglik, abs=1e-8)
    assert fit.n_params == usual.n_params


def test_a_probability_is_asked_of_ordered_categories_only() -> None:
    fit = hb.glmer("often ~ x + (1 | g)", labelled().assign(often=labelled()["y"] >= "often"))
    with pytest.raises(hb.OptionError, match="type='probability' is for ordered categories"):
        fit.predict(type="probability")
