"""The DataTree of a posterior: labels that belong to their values, and ArviZ's functions on it."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

import hierbayes as hb
from hierbayes.bayes.posterior import posterior_fit
from hierbayes.naming.variable_names import factor_variables
from hierbayes.results.draws import PosteriorDraws
from hierbayes.results.idata import labels_of
from tests.results.posteriors import SETTINGS, known_posterior

# what ArviZ says of the diagonal of a correlation matrix
CONSTANT = "invalid value encountered in scalar divide"
DIAGONAL = "Your data appears to have a single value"


@pytest.fixture(scope="module")
def post():
    model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    return model.sample(draws=300, random_seed=1)


def test_variables_and_dimensions_are_those_of_the_contract(post):
    tree = post.idata
    assert isinstance(tree, xr.DataTree)
    assert set(tree.children) == {
        "posterior", "sample_stats", "log_likelihood", "log_prior", "observed_data",
        "constant_data",
    }  # fmt: skip
    dims = {name: variable.dims[2:] for name, variable in tree.posterior.data_vars.items()}
    assert dims == {
        "beta": ("coef",),
        "sigma": (),
        "sd_Subject": ("Subject__term",),
        "corr_Subject": ("Subject__term", "Subject__term_bis"),
        "b_Subject": ("Subject", "Subject__term"),
    }
    b = tree.posterior["b_Subject"].sel(Subject="308", Subject__term="Days")
    assert float(b.mean()) == pytest.approx(post.ranef()["Subject"].loc["308", "Days"])
    assert tree.log_likelihood["Reaction"].dims == ("chain", "draw", "obs")
    np.testing.assert_array_equal(tree.observed_data["Reaction"], post.design.y)
    assert tree.attrs["sampler"] == "collapsed" and tree.attrs["formula"] == post.formula_text
    assert post.idata is tree


def test_draws_are_not_copied(post):
    assert np.shares_memory(post.idata.posterior["b_Subject"].values, post.draws.b["Subject"])


def test_independent_columns_have_no_correlations():
    data = hb.load_dataset("sleepstudy")
    post = known_posterior(hb.Model("Reaction ~ Days + (Days || Subject)", data))
    assert "corr_Subject" not in post.idata.posterior
    assert post.idata.posterior["sd_Subject"].sizes["Subject__term"] == 2


def test_thresholds_of_an_ordinal_model_have_a_dimension():
    rng = np.random.default_rng(1)
    data = {"y": np.arange(60) % 4, "x": rng.normal(size=60), "g": np.arange(60) // 10}
    model = hb.Model("y ~ x + (1 | g)", data, family="cumulative")
    shape = (2, 50)
    draws = PosteriorDraws(
        beta=rng.normal(size=(*shape, 1)),
        sigma=None,
        sd={"g": rng.uniform(0.5, 1, (*shape, 1))},
        corr={},
        b={"g": rng.normal(size=(*shape, 6, 1))},
        family={"threshold": np.sort(rng.normal(size=(*shape, 3)))},
        sampler="nuts",
    )
    tree = posterior_fit(model.spec, draws, settings=SETTINGS, findings=()).idata
    assert tree.posterior["threshold"].dims[2:] == ("threshold_dim",)
    assert tree.log_prior["threshold"].dims[2:] == ("threshold_dim",)
    eta = draws.beta * model.design.X[:, 1] + draws.b["g"][:, :, model.design.factors[0].codes, 0]
    below = expit(draws.family["threshold"][:, :, None] - eta[..., None])
    shares = np.diff(below, axis=-1, prepend=0, append=1)
    own = np.take_along_axis(shares, np.broadcast_to(data["y"][:, None], (2, 50, 60, 1)), axis=-1)
    np.testing.assert_allclose(tree.log_likelihood["y"], np.log(own[..., 0]), rtol=1e-9)


def test_names_have_no_characters_arviz_refuses():
    data = hb.load_dataset("Pastes").rename(columns={"strength": "s/t"})
    post = known_posterior(hb.Model("log(`s/t`) ~ 1 + (1 | batch/cask)", data))
    names = {name for group in post.idata.children.values() for name in group.variables}
    assert not any(set(name) & set("|/:() ") for name in names)
    assert {"sd_cask_batch", "b_batch", "log_s_t"} <= names


def test_factor_variables_are_unique_and_leave_arviz_its_own():
    names = ["a:b", "a_b", "chain", "a/b", "obs"]
    found = factor_variables(names)
    assert len(set(found.values())) == 5 and not {"chain", "obs"} & set(found.values())


def test_a_factor_b_nested_in_a_is_not_called_like_the_effects_of_a():
    data = hb.load_dataset("Pastes").rename(columns={"batch": "a", "cask": "b"})
    model = hb.Model("strength ~ 1 + (1 | a/b)", data)
    assert set(factor_variables(["b:a", "a"]).values()) == {"b_a_2", "a"}
    assert known_posterior(model).idata.posterior["b_a"].dims[2:] == ("a", "a__term")
    assert {"b_a", "b_b_a_2"} <= set(model.to_pymc().named_vars)


@pytest.mark.parametrize(
    ("response", "factor"), [("z_g", "g"), ("g__term", "g"), ("slopes", "slopes2"), ("y", "slopes")]
)
def test_no_response_or_factor_is_called_like_a_variable_of_ours(response, factor):
    rng = np.random.default_rng(1)
    x, codes, b = rng.normal(size=40), np.arange(40) % 8, 3 * rng.normal(size=(2, 8))
    data = {response: b[0, codes] + b[1, codes] * x + rng.normal(size=40), "x": x, factor: codes}
    model = hb.Model(f"{response} ~ x + (x | {factor})", data)
    (named,) = [rv.name for rv in model.to_pymc().observed_RVs]
    assert named.rstrip("_") == response
    tree = known_posterior(model).to_datatree("posterior_predictive", random_seed=1)
    assert list(tree.posterior_predictive.data_vars) == [named]
    assert list(model.prior_predictive(5, random_seed=1).prior_predictive.data_vars) == [named]


def test_rows_keep_the_users_labels_where_they_tell_rows_apart():
    data = hb.load_dataset("Dyestuff")
    for index, expected in (
        ([f"r{i}" for i in range(30)], "r3"),
        (["same"] * 30, 3),
        (pd.MultiIndex.from_product([range(6), range(5)]), 3),
        (pd.RangeIndex(100, 130), 103),
    ):
        model = hb.Model("Yield ~ 1 + (1 | Batch)", data.set_axis(index))
        assert labels_of(model.design, np.array([0])).rows["obs"][3] == expected


def test_labels_of_az_summary_belong_to_their_values(post):
    import arviz as az

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", CONSTANT, RuntimeWarning)
        table = az.summary(post.idata, ci_prob=0.95, round_to="none")
    tidy = post.tidy(("fixed", "ran_pars", "ran_vals"))
    b = tidy[tidy["effect"] == "ran_vals"]
    for level, term, mean, low in zip(
        b["level"], b["term"], b["estimate"], b["conf_low"], strict=True
    ):
        row = table.loc[f"b_Subject[{level}, {term}]"]
        assert (row["mean"], row["eti95_lb"]) == pytest.approx((mean, low), abs=0.02)
    assert table.loc["beta[Days]", "mean"] == pytest.approx(post.fixef()["Days"])
    row = post.diagnostics().loc["sd(Days|Subject)"]
    assert table.loc["sd_Subject[Days]", "r_hat"] == pytest.approx(row["r_hat"])
    assert table.loc["sd_Subject[Days]", "ess_bulk"] == pytest.approx(row["ess_bulk"])


def test_az_loo_and_psense_run(post):
    import arviz as az

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        loo = az.loo(post.idata)
    assert loo.elpd == pytest.approx(-860.5, abs=4) and 20 < loo.p < 50
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", CONSTANT, RuntimeWarning)
        table = az.psense_summary(post.idata)
    assert table.loc["beta[Days]", "prior"] < 0.05 < table.loc["sigma", "likelihood"]


def test_a_strong_prior_shows_in_psense():
    import arviz as az

    model = hb.Model(
        "Yield ~ 1 + (1 | Batch)",
        hb.load_dataset("Dyestuff"),
        priors={"(Intercept)": hb.Normal(1700, 10)},
    )
    table = az.psense_summary(model.sample(random_seed=1).idata)
    # Kallioinen et al. (2024) call a sensitivity above 0.05 one to look at
    assert table.loc["beta[(Intercept)]", "prior"] > 0.05
    assert "strong prior" in table.loc["beta[(Intercept)]", "diagnosis"]


@pytest.mark.parametrize("picture", ["forest", "trace", "ppc_dist", "prior_posterior"])
def test_arviz_draws_its_pictures(picture):
    import arviz as az
    import matplotlib.pyplot as plt

    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    tree = model.sample(draws=300, random_seed=1).to_datatree(
        "posterior_predictive", "prior", random_seed=1
    )
    assert getattr(az, f"plot_{picture}")(tree) is not None
    plt.close("all")


@pytest.mark.parametrize("picture", ["trace", "prior_posterior"])
def test_arviz_has_a_panel_for_each_of_many_effects_on_request(post, picture):
    """45 panels for sleepstudy: ArviZ draws up to 40 unless told what to leave out."""
    import arviz as az
    import matplotlib.pyplot as plt

    tree = post.to_datatree("prior", random_seed=1)
    draw = getattr(az, f"plot_{picture}")
    with pytest.raises(ValueError, match="max_subplots"):
        draw(tree)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DIAGONAL, UserWarning)
        assert draw(tree, var_names="~b_Subject") is not None
    plt.close("all")


def test_groups_are_added_to_a_copy(post):
    tree = post.to_datatree("posterior_predictive", "prior", random_seed=1)
    added = {"posterior_predictive", "prior", "prior_predictive"}
    assert set(tree.children) - set(post.idata.children) == added
    assert not set(post.idata.children) & added
    y = tree.posterior_predictive["Reaction"]
    assert y.dims == ("chain", "draw", "obs")
    assert abs(y.mean(("chain", "draw")).values - post.fitted()).max() < 5
    again = post.to_datatree("posterior_predictive", "prior", random_seed=1)
    xr.testing.assert_equal(tree.prior.dataset, again.prior.dataset)
    assert set(tree.prior.data_vars) == set(post.idata.posterior.data_vars)


def test_an_unknown_group_is_refused(post):
    with pytest.raises(
        hb.OptionError, match=r"groups='priors' is not one of .*did you mean 'prior'"
    ):
        post.to_datatree("priors")


def test_too_many_numbers_are_left_out_and_refused_in_a_sentence(post, monkeypatch):
    monkeypatch.setattr("hierbayes.prediction.posterior_tree.LARGEST", 1000)
    other = post.refit(post.design.y, draws=300, random_seed=1)
    assert "log_likelihood" not in other.idata.children
    assert "too many" in other.idata.attrs["no_log_likelihood"]
    with pytest.raises(hb.NotSupportedError, match=r"1200 draws and 180 rows would take 0\.0 GB"):
        other.log_likelihood()


def test_everything_is_written_as_netcdf_and_read_again(post, tmp_path):
    post.idata.to_netcdf(tmp_path / "post.nc")
    with xr.open_datatree(tmp_path / "post.nc") as again:
        assert set(again.children) == set(post.idata.children)
        for name, group in post.idata.children.items():
            xr.testing.assert_equal(again[name].to_dataset().load(), group.to_dataset())
