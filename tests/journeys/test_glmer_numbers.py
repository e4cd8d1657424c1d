"""What is worked out from a fit of hb.glmer is the same however the data or the fit came."""

import numpy as np
import pytest

import hierbayes as hb

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
ASKED = {
    "profile": lambda fit: hb.confint(fit, method="profile"),
    "bootstrap": lambda fit: hb.bootstrap(fit, nsim=10, random_seed=1).to_frame(),
    "influence": lambda fit: hb.influence(fit).drop(columns="n"),
    "shrinkage": lambda fit: hb.shrinkage(fit).iloc[:, 4:],
    "shares": lambda fit: hb.shrinkage(fit, type="response").iloc[:, 4:],
    "path": lambda fit: hb.shrinkage_path(fit, sds=[0, 0.5, np.inf])[["coefficient"]],
    "new responses": lambda fit: fit.predict(interval="prediction", random_seed=1),
}


@pytest.fixture(scope="module")
def cbpp():
    return hb.load_dataset("cbpp")


@pytest.fixture(scope="module")
def fit(cbpp):
    return hb.glmer(CBPP, cbpp)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_fit_that_was_saved_says_the_same(ask, fit, tmp_path):
    fit.save(tmp_path / "a.fit")
    again = ask(hb.load(tmp_path / "a.fit"))
    np.testing.assert_allclose(again.to_numpy(float), ask(fit).to_numpy(float), atol=1e-8)


@pytest.mark.parametrize("name", ["profile", "influence", "shrinkage", "path"])
def test_single_trials_say_what_their_sums_do(name, fit, cbpp):
    rows = cbpp.loc[cbpp.index.repeat(cbpp["size"].astype(int))].copy()
    rows["hit"] = rows.groupby(level=0).cumcount() < rows["incidence"]
    trials = hb.glmer("hit ~ period + (1 | herd)", rows.reset_index(drop=True))
    one, two = (ASKED[name](found).to_numpy(float) for found in (trials, fit))
    np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("name", ["profile", "influence", "shrinkage"])
def test_the_order_of_rows_does_not_matter(name, fit, cbpp):
    other = hb.glmer(CBPP, cbpp.sample(frac=1.0, random_state=1))
    one, two = (ASKED[name](found).to_numpy(float) for found in (other, fit))
    np.testing.assert_allclose(one, two, atol=1e-5)
