"""Equal rows are worked on once, and nothing tells so but the time."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.families.builtin import FAMILIES
from hierbayes.generalised.cells import equal_rows
from hierbayes.generalised.conditional import conditional
from hierbayes.generalised.first_estimates import first_estimates
from hierbayes.likelihood.glmm import fit_glmm
from hierbayes.likelihood.glmm_search import Search
from tests.likelihood.glmm_cases import FAMILY_LINKS, STRUCTURES, table


def both(family, link, structure, n_quadrature=1):
    """A model of rows that come up to three times, in cells and as they are, at one point."""
    frame = table(family, link)
    frame = pd.concat([frame, frame, frame.iloc[::2]]).sample(frac=1.0, random_state=1)
    response = "cbind(y, failures)" if FAMILIES[family].counts_trials else "y"
    formula = f"{response} ~ x + {STRUCTURES[structure]}"
    spec = hb.Model(formula, frame.reset_index(drop=True), family=family, link=link).spec
    model = conditional(spec.design, spec.family)
    rows = replace(model, design_cell=None)
    assert model.cells.y.size < rows.cells.y.size == len(frame)
    beta, phi = first_estimates(rows)
    theta = model.basis_shape.pack([0.3 * np.eye(q)[None] for q in model.shape.sizes])[0] + 0.02
    searches = [Search(m, n_quadrature, beta) for m in (model, rows)]
    x = searches[0].joined(beta, theta, phi)
    return [(search, search.criterion(x)) for search in searches]


@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
def test_the_likelihood_and_its_slopes_are_those_of_the_rows(family, link):
    for n_quadrature in (1, 3):
        (search, cells), (_, rows) = both(family, link, "one", n_quadrature)
        size = max(1.0, np.abs(search.gradient(rows)).max())
        assert cells.value == pytest.approx(rows.value, rel=1e-12)
        np.testing.assert_allclose(
            search.gradient(cells) / size, search.gradient(rows) / size, atol=1e-10
        )


@pytest.mark.parametrize("structure", ["nested", "crossed slope"])
def test_they_are_with_several_factors(structure):
    for n_quadrature in (0, 1, 3):
        (search, cells), (_, rows) = both("poisson", "log", structure, n_quadrature)
        assert cells.value == pytest.approx(rows.value, rel=1e-12)
        np.testing.assert_allclose(search.gradient(cells), search.gradient(rows), atol=1e-8)


def test_a_fit_has_an_answer_for_every_row():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.integers(0, 2, 400), "g": rng.integers(0, 10, 400)})
    eta = frame.x - 0.5 + rng.normal(size=10)[frame.g]
    frame["y"] = (rng.random(400) < 1 / (1 + np.exp(-eta))).astype(int)
    fit = hb.glmer("y ~ x + (1 | g)", frame)
    assert fit.optimum.at.mode.eta.size <= 40
    assert fit.fitted().size == fit.residuals("deviance").size == 400
    expected = fit.beta[0] + fit.beta[1] * frame.x + fit.ranef()["g"].to_numpy()[frame.g, 0]
    np.testing.assert_allclose(fit.predict(type="link"), expected, atol=1e-12)
    again = fit.refit(frame.y.to_numpy()[::-1])
    alone = fit_glmm(
        hb.Model("y ~ x + (1 | g)", frame.assign(y=frame.y.to_numpy()[::-1]), "bernoulli").spec
    )
    np.testing.assert_allclose(again.beta, alone.beta, atol=1e-8)


def test_weights_and_offsets_tell_rows_apart():
    frame = table("poisson", "log")
    frame = pd.concat([frame, frame]).reset_index(drop=True)
    frame["o"] = np.repeat([0.0, 0.5], len(frame) // 2)
    with_offset = hb.Model("y ~ x + offset(o) + (1 | g)", frame, family="poisson").spec
    assert conditional(with_offset.design, with_offset.family).cells.counts is None
    sd = hb.Model("x ~ 1 + (1 | g)", frame, family="t", weights=1 + frame.o).spec
    assert conditional(sd.design, sd.family).cells.counts is None


def test_numbers_of_equal_rows_are_in_the_order_of_the_first_column():
    first, second = np.array([2, 1, 2, 1, 2, 2]), np.array([0.5, 1.0, 0.5, 1.0, 0.0, 0.5])
    assert equal_rows([first, second]).tolist() == [2, 0, 2, 0, 1, 2]
    assert equal_rows([first, np.arange(6.0)]) is None
