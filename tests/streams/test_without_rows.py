"""What is asked of a model of a stream after its sums: the answers of the rows in memory."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.design.column_seen import number_seen
from hierbayes.design.moments import moments_of
from hierbayes.errors import NotSupportedError

FORMULA = "y ~ x * f + (x | g) + (1 | h)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g, h = rng.integers(0, 40, 3000), rng.integers(0, 12, 3000)
    x, f = rng.normal(50, 3, 3000), rng.choice(list("cab"), 3000)
    b, u = rng.normal(size=(40, 2)) @ np.array([[2, 0.3], [0, 0.5]]), rng.normal(size=12)
    y = 1e3 + 0.5 * x + 2 * (f == "b") + b[g, 0] + b[g, 1] * (x - 50) + u[h]
    y = y + rng.normal(0, 3, 3000)
    frame = pd.DataFrame({"y": y, "x": x, "g": g, "h": [f"h{i}" for i in h], "f": f})
    frame["arm"] = rng.choice(["u", "v"], 3000)
    return frame


@pytest.fixture(scope="module")
def fits(data):
    parts = [data.iloc[start : start + 700] for start in range(0, 3000, 700)]
    return hb.lmer(FORMULA, data), hb.lmer(FORMULA, parts)


@pytest.fixture(scope="module")
def pushed(data):
    connection = pytest.importorskip("duckdb").connect()
    connection.register("rows", data)
    connection.execute("create table held as select * from rows")
    source = hb.Stream("held", connection=connection)
    return hb.lmer("y ~ x * f + (x | g)", data), hb.lmer("y ~ x * f + (x | g)", source)


def numbers(table) -> np.ndarray:
    frame = table.to_frame() if hasattr(table, "to_frame") else pd.DataFrame(table)
    return frame.select_dtypes("number").to_numpy(dtype=float)


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: hb.anova(fit),
        lambda fit: hb.anova(fit, type=2),
        lambda fit: hb.anova(fit, type=1),
        lambda fit: hb.drop1(fit),
        lambda fit: hb.ranova(fit),
        lambda fit: hb.anova(fit, fit.update(". ~ . - x:f"), fit.update(". ~ . - (1 | h)")),
        lambda fit: hb.emmeans(fit, "f"),
        lambda fit: hb.emmeans(fit, "f", at={"x": [45, 55]}),
        lambda fit: hb.emmeans(fit.update(". ~ x + f * arm + (1 | g)"), "f:arm"),
        lambda fit: hb.emmeans(fit.update(". ~ x + f + arm + (1 | g)"), ["f", "arm"]),
        lambda fit: hb.shrinkage(fit),
        lambda fit: hb.confint(fit),
        lambda fit: fit.tidy(ddf="satterthwaite"),
        lambda fit: fit.update(". ~ . - x:f - f").tidy(ddf="normal"),
        lambda fit: fit.update(". ~ x + (1 | h)").model.priors,
        lambda fit: fit.update(". ~ . - x:f").update(". ~ f + (1 | g)").model.priors,
        lambda fit: hb.shrinkage(fit.update(". ~ x + (0 + x | g)")),
        lambda fit: hb.predictions(fit, by="f", over="balanced"),
        lambda fit: hb.predictions(fit, at={"x": "minmax"}, over="mean"),
        lambda fit: hb.comparisons(fit, over="mean"),
        lambda fit: hb.comparisons(fit, "x", change="sd", by="f", over="balanced"),
        lambda fit: hb.slopes(fit, "x", by="f", over="balanced"),
        lambda fit: fit.predict(
            pd.DataFrame({"x": [45.0, 52.0], "f": ["a", "c"], "g": [3, 999], "h": ["h1", "h2"]}),
            new_levels="population",
            interval="confidence",
        ),
    ],
)
def test_answers_are_those_of_memory(fits, ask):
    whole, streamed = (numbers(ask(fit)) for fit in fits)
    size = np.abs(whole[np.isfinite(whole)]).max()
    np.testing.assert_allclose(streamed, whole, rtol=2e-5, atol=1e-6 * size)


def test_a_smaller_model_reads_no_row_again(fits, monkeypatch):
    stream = fits[1].spec.table.stream
    monkeypatch.setattr(stream, "batches", None)
    assert fits[1].update(". ~ . - x:f").nobs == 3000


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: hb.anova(fit),
        lambda fit: hb.anova(fit, fit.update(". ~ . - x:f")),
        lambda fit: hb.ranova(fit),
        lambda fit: hb.emmeans(fit, "f"),
        lambda fit: hb.slopes(fit, "x", by="f", over="mean"),
    ],
)
def test_answers_of_a_database_are_those_of_memory(pushed, ask):
    whole, inside = (numbers(ask(fit)) for fit in pushed)
    size = np.abs(whole[np.isfinite(whole)]).max()
    np.testing.assert_allclose(inside, whole, rtol=2e-5, atol=1e-6 * size)


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: hb.predictions(fit),
        lambda fit: hb.comparisons(fit, "x"),
        lambda fit: hb.slopes(fit, "x"),
        lambda fit: hb.predictions(fit, at={"x": "quartiles"}, over="mean"),
        lambda fit: hb.check(fit),
        lambda fit: fit.simulate(2),
    ],
)
def test_what_needs_rows_says_so(fits, ask):
    with pytest.raises(NotSupportedError, match="a model of a stream keeps no rows"):
        ask(fits[1])


def test_a_posterior_of_a_stream_has_the_groups_that_need_no_rows(fits):
    post = fits[1].update(". ~ x + (1 | g)").model.sample(draws=200, random_seed=1)
    assert set(post.idata.children) == {"posterior", "sample_stats", "log_prior"}
    with pytest.raises(NotSupportedError, match="keeps no rows"):
        post.predict()


def test_a_number_of_two_values_is_told_by_its_moments():
    two, three = np.array([[0.0], [3.0], [3.0]]), np.array([[0.0], [2.9], [3.0]])
    assert number_seen("x", moments_of(two)).few.tolist() == [0.0, 3.0]
    assert number_seen("x", moments_of(three)).few.size == 3
