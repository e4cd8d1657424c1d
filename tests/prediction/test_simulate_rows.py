"""Responses for new rows, other parameters and fitted effects, and from a formula alone."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

NSIM = 2_000
ERRORS = 4.5  # Monte-Carlo standard errors
NEW = pd.DataFrame(
    {"Days": [0.0, 1.0, 2.0, 3.0, np.nan, 1.0], "Subject": ["308", "308", "x", "x", "308", None]},
    index=list("abcdef"),
)
OTHER = {"sd(Days|Subject)": 2.0, "sd__(Intercept)": 10.0, "cor(Subject)": 0.5, "sigma": 3.0}


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def post(fit):
    return fit.model.sample(draws=200, chains=2, random_seed=1)


@pytest.fixture(scope="module")
def herds():
    return hb.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", hb.load_dataset("cbpp")
    )


def close(draws, mean, V):
    """Whether draws (m, S) have a mean and covariance."""
    sd, S = np.sqrt(np.diag(V)), draws.shape[1]
    assert np.abs((draws.mean(axis=1) - mean) / sd).max() < ERRORS / np.sqrt(S)
    error = np.sqrt((np.outer(sd**2, sd**2) + V**2) / S)
    assert np.abs((np.cov(draws) - V) / error).max() < ERRORS


def test_new_rows_with_other_parameters_have_their_mean_and_covariance(fit):
    found = fit.simulate(NSIM, 1, newdata=NEW, parameters=OTHER)
    assert found.index.tolist() == NEW.index.tolist()
    assert found.loc[["e", "f"]].isna().all(axis=None)
    z = np.column_stack([np.ones(4), NEW["Days"][:4]])
    same = np.kron(np.eye(2), np.ones((2, 2)))
    V = same * (z @ [[100.0, 10.0], [10.0, 4.0]] @ z.T) + 9 * np.eye(4)
    close(found.to_numpy()[:4], z @ fit.fixef().to_numpy(), V)


def test_fitted_effects_are_those_of_predict(fit, herds):
    rows = NEW.loc[["a", "b"]]
    exact = fit.simulate(newdata=rows, groups="fitted", parameters={"sigma": 0})["sim_1"]
    pd.testing.assert_series_equal(exact, fit.predict(rows), check_names=False)
    drawn = fit.simulate(NSIM, 2, groups="fitted").to_numpy()[:5]
    close(drawn, fit.fitted().to_numpy()[:5], fit.sigma**2 * np.eye(5))
    counts = herds.simulate(NSIM, 3, groups="fitted").to_numpy()[:5]
    p, n = herds.fitted().to_numpy()[:5], hb.load_dataset("cbpp")["size"].to_numpy()[:5]
    close(counts, n * p, np.diag(n * p * (1 - p)))


def test_rows_used_as_new_data_have_the_same_distribution(fit):
    rows = hb.load_dataset("sleepstudy").head(3)
    z = np.column_stack([np.ones(3), rows["Days"]])
    terms = fit.varcorr().terms[0].covariance
    V = z @ terms @ z.T + fit.sigma**2 * np.eye(3)
    close(fit.simulate(NSIM, 4, newdata=rows).to_numpy(), z @ fit.fixef().to_numpy(), V)


def test_trials_of_new_rows_are_read_from_them(herds):
    rows = pd.DataFrame({"period": ["1"], "herd": ["1"], "size": [400], "incidence": [0]})
    truth = {"Intercept": 0.0, "sd__(Intercept)": 0.0}
    found = herds.simulate(NSIM, 5, newdata=rows, parameters=truth).to_numpy()
    close(np.vstack([found, found + np.random.default_rng(1).normal(size=NSIM)]),
          [200.0, 200.0], np.array([[100.0, 100.0], [100.0, 101.0]]))  # fmt: skip
    with pytest.raises(hb.DataError, match="need their numbers of trials"):
        herds.simulate(newdata=rows.drop(columns=["size", "incidence"]))


def test_a_posterior_simulates_new_rows_and_given_parameters(post):
    rows = NEW.loc[["a", "b", "c", "d"]]
    fitted = post.simulate(50, 7, newdata=rows, parameters={"sigma": 1e-9})
    assert fitted.loc[["a", "b"]].std(axis=1).max() < fitted.loc[["c", "d"]].std(axis=1).min()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parameters": {"sd(Days|Subject)": -1}}, "must be at least 0"),
        ({"parameters": {"cor(Subject)": 1.5}}, "must be from -1 to 1"),
        ({"parameters": {"Dyas": 1}}, "did you mean 'Days'"),
        ({"parameters": {"Days": "x"}}, "must be a finite number"),
        ({"parameters": {"Days": 1, "b_Days": 2}}, "both mean 'Days'"),
        ({"parameters": [1, 2]}, "must be a dict"),
        ({"groups": "old"}, "groups='old' is not one of"),
        ({"groups": "fitted", "parameters": {"sd__Days": 1}}, "effects are those of the fit"),
        ({"nsim": 0}, "nsim=0"),
    ],
)
def test_what_can_not_be_simulated_is_said(fit, options, said):
    with pytest.raises(hb.OptionError, match=said):
        fit.simulate(**options)


def test_correlations_that_make_no_matrix_are_refused():
    machines = hb.load_dataset("Machines")
    fit = hb.lmer("score ~ 1 + (Machine | Worker)", machines)
    with pytest.raises(hb.OptionError, match="correlations of Worker together make no correlation"):
        fit.simulate(
            parameters={
                "cor((Intercept),MachineB|Worker)": 0.9,
                "cor((Intercept),MachineC|Worker)": 0.9,
                "cor(MachineB,MachineC|Worker)": -0.9,
            }
        )


PLAN = {"x": [0.0, 1.0] * 6, "who": list("aabbccddeeff"), "n": [10] * 12, "f": list("pqr") * 4}
GROUP = {"sd((Intercept)|who)": 1.0}


def test_a_formula_and_parameters_have_the_moments_they_say():
    truth = {"Intercept": 3, "x": 2, "sd_who__Intercept": 1, "sd_who__x": 0.5, "cor(who)": -0.4}
    found = hb.simulate("y ~ x + (x | who)", PLAN, truth | {"sigma": 2}, nsim=NSIM, random_seed=1)
    z = np.column_stack([np.ones(12), PLAN["x"]])
    same = np.kron(np.eye(6), np.ones((2, 2)))
    V = same * (z @ [[1.0, -0.2], [-0.2, 0.25]] @ z.T) + 4 * np.eye(12)
    close(found.to_numpy(), z @ [3.0, 2.0], V)


@pytest.mark.parametrize(
    ("formula", "truth", "options", "mean"),
    [
        ("~ x + (1 | who)", {"Intercept": 3, "x": 1, "sigma": 0.1}, {}, 3.5),
        ("log(y) ~ x + (1 | who)", {"Intercept": 3, "x": 1, "sigma": 0.1}, {}, 3.5),
        ("y ~ 1 + (1 | who)", {"Intercept": 0}, {"family": "bernoulli"}, 0.5),
        ("cbind(k, n - k) ~ 1 + (1 | who)", {"Intercept": 0}, {"family": "binomial"}, 5.0),
        ("k / n ~ 1 + (1 | who)", {"Intercept": 0}, {"family": "binomial", "weights": "n"}, 0.5),
        ("y ~ 1 + (1 | who)", {"Intercept": -0.5}, {"family": "poisson"}, 1.0),
        ("y ~ f + (1 | who)", {"Intercept": 0, "fq": 1, "fr": -1, "sigma": 1}, {}, 0.0),
        ("y ~ 1 + (1 | who)", {"Intercept": 1, "sigma": 1, "nu": 5}, {"family": "t"}, 1.0),
        ("y ~ x + (1 | who)", {"x": 0, "threshold[1]": -1, "threshold[2]": 1},
         {"family": "cumulative"}, 2.0),
    ],
)  # fmt: skip
def test_every_kind_of_response_is_drawn_without_one(formula, truth, options, mean):
    found = hb.simulate(formula, PLAN, truth | GROUP, nsim=600, random_seed=2, **options)
    means = found.mean()
    assert abs(means.mean() - mean) < ERRORS * means.std() / np.sqrt(600)


def test_a_simulated_response_is_fitted_and_rows_stay_in_their_places():
    plan = pd.DataFrame(PLAN).assign(x=[np.nan, *PLAN["x"][1:]])
    truth = {"Intercept": 3, "x": 1, "sigma": 1} | GROUP
    y = hb.simulate("y ~ x + (1 | who)", plan, truth, random_seed=1)["sim_1"]
    assert y.isna().tolist() == plan["x"].isna().tolist()
    with pytest.warns(hb.DesignWarning, match="left out"):
        fit = hb.lmer("y ~ x + (1 | who)", plan.assign(y=y))
    assert fit.nobs == 11


@pytest.mark.parametrize(
    ("truth", "options", "said"),
    [
        ({"Intercept": 1}, {}, r"lacks 'x', 'sd\(\(Intercept\)\|who\)' and 'sigma'"),
        ({"x": 1} | GROUP, {"family": "cumulative"}, r"'threshold\[1\]', 'threshold\[2\]'"),
        ({"x": 1, "threshold[1]": 1, "threshold[2]": 0} | GROUP, {"family": "cumulative"},
         "must increase"),
        ({"Intercept": 1, "x": 1, "alpha": -1} | GROUP, {"family": "gamma"}, "at least 0"),
        ({"nothing": 1}, {}, "'nothing' is not one of"),
        (None, {}, "must be a dict"),
    ],
)  # fmt: skip
def test_what_a_formula_lacks_is_said(truth, options, said):
    with pytest.raises(hb.OptionError, match=said):
        hb.simulate("y ~ x + (1 | who)", PLAN, truth, **options)
