"""The shrinkage table of posteriors of other families: a fit's at its estimates, then draws."""

from dataclasses import replace

import numpy as np
import pytest

import hierbayes as hb
from tests.likelihood.glmm_cases import STRUCTURES, table
from tests.ordinal_data import wine
from tests.results.posteriors import posterior_at

# Found by a mode that starts elsewhere, at the same parameters up to rounding.
RTOL = 1e-5
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
OF_DRAWS = ("effect_sd", "coefficient_sd")


def assert_same(fit, scales) -> None:
    """The tables of a fit and of a posterior that stands where it ended are one."""
    assert not fit.is_singular
    post = posterior_at(fit)
    for scale in scales:
        expected, found = hb.shrinkage(fit, type=scale), hb.shrinkage(post, type=scale)
        assert found.columns.tolist() == expected.columns.tolist()
        for name in expected.columns:
            if name in OF_DRAWS:
                assert (np.abs(found[name]) < 1e-9).all()
            elif expected[name].dtype.kind == "f":
                np.testing.assert_allclose(found[name], expected[name], rtol=RTOL, atol=1e-7)
            else:
                assert found[name].tolist() == expected[name].tolist()
        name = fit.design.factors[0].name
        np.testing.assert_allclose(
            found.matrices[name], expected.matrices[name], rtol=RTOL, atol=1e-7
        )


@pytest.mark.parametrize(
    ("family", "link", "structure"),
    [
        (family, link, structure)
        for family, link in (
            ("binomial", "logit"), ("negativebinomial", "log"), ("gamma", "log"),
            ("gaussian", "log"),
        )
        for structure in ("one", "slope", "crossed")
        if (family, structure) != ("gamma", "slope")  # on the boundary
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::hierbayes.HierBayesWarning")
def test_at_the_estimates_it_is_that_of_the_fit(family, link, structure):
    data = table(family, link, n_levels=12, each=8)
    data["x"] += 1
    if family in ("binomial", "negativebinomial"):  # levels that differ
        data["y"] += 2 * (data["g"].str[1:].astype(int) % 2)
    if family == "gaussian":
        data["y"] = np.abs(data["y"]) + 1 + data["g"].str[1:].astype(int) % 3
    response = "cbind(y, failures)" if family == "binomial" else "y"
    fit = hb.glmer(f"{response} ~ x + {STRUCTURES[structure]}", data, family, link=link)
    assert_same(fit, ("link", "response"))


def test_at_the_estimates_of_an_ordinal_model_it_is_that_of_the_fit():
    fit = hb.glmer("rating ~ temp + contact + (1 | judge)", wine(), "cumulative")
    assert_same(fit, ("link",))
    with pytest.raises(hb.NotSupportedError, match="expected response depends on more than eta"):
        hb.shrinkage(posterior_at(fit), type="response")


def test_effects_and_coefficients_are_those_of_the_draws():
    post = posterior_at(hb.glmer(CBPP, hb.load_dataset("cbpp")), n=2)
    b = post.draws.b["herd"] + np.array([0.3, -0.1])[None, :, None, None]
    beta = post.draws.beta + np.array([0.1, -0.2])[None, :, None]
    post = replace(post, draws=replace(post.draws, b={"herd": b}, beta=beta))
    table = hb.shrinkage(post)
    both = beta[0, :, [0]].T + b[0, :, :, 0]
    np.testing.assert_allclose(table["coefficient"], both.mean(axis=0))
    np.testing.assert_allclose(table["coefficient_sd"], both.std(axis=0, ddof=1))
    np.testing.assert_allclose(table["effect_sd"], b[0, :, :, 0].std(axis=0, ddof=1))
    table = hb.shrinkage(post, type="response")
    data = hb.load_dataset("cbpp")
    first = (data["herd"].astype(str) == "1").to_numpy()
    size = data["size"].to_numpy()[first]
    shares = post.predict(interval="confidence")["prediction"].to_numpy()[first]
    assert table["coefficient"].iloc[0] == pytest.approx(shares @ size / size.sum())


def test_the_pictures_take_it_and_other_tables_say_what_they_need():
    pytest.importorskip("matplotlib")
    post = posterior_at(hb.glmer(CBPP, hb.load_dataset("cbpp")))
    assert hb.plot.shrinkage_slopegraph(hb.shrinkage(post)) is not None
    with pytest.raises(hb.NotSupportedError, match="needs a Gaussian response"):
        hb.shrinkage_path(post)
    model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"), family="laplace")
    rough = replace(post, spec=model.spec)
    with pytest.raises(hb.NotSupportedError, match=r"ranef\(\) and coef\(\)"):
        hb.shrinkage(rough)
