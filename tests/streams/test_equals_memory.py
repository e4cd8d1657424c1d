"""A model of a stream is the model of the same rows in memory."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.errors import DataError, DesignWarning, RankDeficientWarning, RowsNotKeptError

# Other order of additions, other first fit: only rounding differs.
RTOL = 1e-10
FORMULAS = [
    ("y ~ x + (x | g)", {}),
    ("y ~ x * f + (x | g) + (1 | h)", {}),
    ("y ~ scale(x) + factor(k) + offset(v) + (1 | g:h)", {}),
    ("log(y) ~ log(x) + f + (1 | h/g) + (0 + v || k)", {"weights": "w"}),
    ("y ~ 0 + f + x + I(2 * x) + (1 | g) + (0 + x | g)", {"contrasts": {"f": "sum"}}),
    ("y ~ cut(x, 3) + bs(v, knots = 1) + (1 | h)", {}),
    ("y ~ x + (1 | factor(g)) + (1 | factor(k):h)", {}),
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 4000
    g, h = rng.integers(0, 60, n), rng.integers(0, 9, n)
    x, f = rng.normal(5e3, 3, n), rng.choice(list("cab"), n)
    b, u = rng.normal(size=(60, 2)) @ np.array([[2, 0.3], [0, 0.5]]), rng.normal(size=9)
    y = 1e4 + 0.5 * x + 2 * (f == "b") + b[g, 0] + b[g, 1] * (x - 5e3) + u[h]
    frame = pd.DataFrame({"y": y + rng.normal(0, 3, n), "x": x, "g": g, "f": f})
    frame["h"] = [f"h{i}" for i in h]
    frame["k"] = rng.integers(8, 12, n)
    frame["v"], frame["w"] = rng.uniform(0, 2, n), rng.uniform(0.5, 2, n)
    frame.loc[5, "x"], frame.loc[3777, "f"] = np.nan, None
    return frame


def parts_of(data: pd.DataFrame, size: int = 900) -> list[pd.DataFrame]:
    return [data.iloc[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(("formula", "options"), FORMULAS)
@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_criterion_estimates_and_priors_are_those_of_memory(data, formula, options):
    whole = hb.Model(formula, data, **options)
    streamed = hb.Model(formula, parts_of(data), **options)
    a, b = whole.fit(), streamed.fit()
    assert b.coef_names == a.coef_names
    assert b.criterion == pytest.approx(a.criterion, rel=RTOL)
    np.testing.assert_allclose(b.beta, a.beta, rtol=1e-7, atol=1e-7 * np.abs(a.beta).max())
    np.testing.assert_allclose(b.theta, a.theta, rtol=1e-6, atol=1e-6)
    for name, modes in a.ranef().items():
        assert list(b.ranef()[name].index) == list(modes.index)
        np.testing.assert_allclose(b.ranef()[name], modes, rtol=1e-5, atol=1e-5)
    priors, own = whole.priors.to_pandas(), streamed.priors.to_pandas()
    assert list(own.parameter) == list(priors.parameter)
    np.testing.assert_allclose(own.q95, priors.q95, rtol=1e-9)


def test_the_posterior_is_that_of_memory(data):
    with pytest.warns(DesignWarning):
        a = hb.Model("y ~ x + (1 | g)", data).sample(draws=200, random_seed=1)
        b = hb.Model("y ~ x + (1 | g)", parts_of(data)).sample(draws=200, random_seed=1)
    np.testing.assert_allclose(b.fixef(), a.fixef(), rtol=1e-6)
    np.testing.assert_allclose(b.ranef()["g"], a.ranef()["g"], rtol=1e-5, atol=1e-6)


def test_columns_that_depend_on_others_are_dropped_as_in_memory(data):
    with pytest.warns(RankDeficientWarning, match=r"I\(2 \* x\)"):
        fit = hb.lmer("y ~ x + I(2 * x) + (1 | g)", parts_of(data.dropna()))
    assert fit.kept.tolist() == [0, 1]


def test_what_needs_rows_says_so(data):
    fit = hb.lmer("y ~ x + (1 | g)", parts_of(data.dropna()))
    for called, ask in (
        ("fit.residuals", fit.residuals),
        ("hb.check", lambda: hb.check(fit)),
        ("hb.influence", lambda: hb.influence(fit)),
    ):
        with pytest.raises(RowsNotKeptError, match=rf"^{called}\(\) needs .* keeps no rows"):
            ask()


def test_an_iterator_that_can_be_read_once_is_refused_where_two_passes_are_needed(data):
    with pytest.raises(DataError, match=r"can be read once.*Give a function"):
        hb.Model("y ~ x * f + (1 | g)", iter(parts_of(data)))
