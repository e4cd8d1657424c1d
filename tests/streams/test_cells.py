"""Streams of other families: distinct rows with their counts have the likelihood of all rows."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import hierbayes as hb
from hierbayes.bayes.generalised_density import first_sizes, generalised_target, start_of
from hierbayes.bayes.hierarchical_nuts import hierarchical_density
from hierbayes.errors import DataError, DesignWarning, NotSupportedError, RowsNotKeptError
from hierbayes.generalised.conditional import conditional
from hierbayes.streams import cells as counting
from hierbayes.streams.cells import Cells

# The same sums in another order.
ROUNDING = 1e-12
# Central differences of a gradient, as far as rounding lets them agree.
BY_DIFFERENCES = 1e-6
MODELS = [
    ("y ~ scale(x) * c + (1 | s) + (1 | i)", "binomial", {}),
    ("y ~ poly(x, 2) + ave(x, i) + (1 + x | s)", "binomial", {}),
    ("k ~ bs(x, df = 4) + t + (1 | s)", "poisson", {"offset": "o"}),
    ("k ~ x + (1 | s)", "negativebinomial", {}),
    ("lik ~ x + (1 | s)", "cumulative", {}),
    ("share ~ c", "binomial", {"weights": "n"}),
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 900
    d = pd.DataFrame({"s": rng.integers(15, size=n), "x": rng.integers(5, size=n) / 4.0})
    d["i"] = pd.Categorical(rng.choice(list("abcdef"), size=n), list("fedcba"))
    d["c"], d["t"] = rng.choice(["u", "v", "w"], size=n), rng.random(n) < 0.4
    eta = 1.6 * d.x - 1 + 0.5 * (d.c == "v") + 0.3 * d.t + rng.normal(0, 0.7, 15)[d.s]
    eta = eta + np.array([-0.6, 0.4, 0.9, -0.2, 0.1, -0.8])[d.i.cat.codes]
    d["y"] = np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), "yes", "no")
    d["o"] = rng.choice([0.0, 0.5], size=n)
    d["k"] = rng.poisson(np.exp(0.5 * eta + d.o))
    d["lik"] = np.clip(np.round(eta + rng.logistic(size=n) + 2), 0, 4).astype(int)
    d["n"] = rng.integers(1, 4, size=n)
    d["share"] = rng.binomial(d.n, 0.4) / d.n
    d.loc[5:20, "x"], d.loc[30, "c"] = np.nan, None
    return d


def parts(data: pd.DataFrame, *ends: int) -> list[pd.DataFrame]:
    return [data.iloc[a:b] for a, b in pairwise((0, *ends, len(data)))]


@pytest.mark.parametrize(("formula", "family", "options"), MODELS)
@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_a_streamed_model_is_that_of_its_rows(data, formula, family, options):
    rows = hb.Model(formula, data, family=family, **options)
    streamed = hb.Model(formula, parts(data, 500, 502), family=family, **options)
    a, b = rows.fit(), streamed.fit()
    assert streamed.design.cells.y.shape[0] < b.nobs == a.nobs
    assert b.loglik == pytest.approx(a.loglik, rel=ROUNDING)
    assert b.bic == pytest.approx(a.bic, rel=ROUNDING)
    np.testing.assert_allclose(b.beta, a.beta, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(b.theta, a.theta, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(b.std_errors, a.std_errors, rtol=BY_DIFFERENCES)
    assert str(b.summary()) == str(a.summary())
    told = str(rows.explain()).splitlines()
    new = [line for line in str(streamed.explain()).splitlines() if line not in told]
    assert len(new) == 2 and new[0].endswith("distinct rows, each with the number of")
    for column in ("q05", "q50", "q95"):
        np.testing.assert_allclose(streamed.priors[column], rows.priors[column], rtol=1e-9)


@pytest.mark.parametrize(("formula", "family", "options"), [MODELS[0], MODELS[3], MODELS[4]])
@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_both_samplers_have_the_density_of_the_rows(data, formula, family, options):
    specs = [
        hb.Model(formula, given, family=family, **options).spec
        for given in (data, parts(data, 400))
    ]
    targets = [generalised_target(conditional(s.design, s.family), s.priors) for s in specs]
    x = start_of(targets[0])
    points = x + 0.3 * first_sizes(targets[0]) * np.random.default_rng(1).normal(size=(4, x.size))
    values = [target.log_density(points) for target in targets]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-11)
    rows, cells = (hierarchical_density(spec) for spec in specs)
    u = 0.1 * np.random.default_rng(2).normal(size=rows.size)
    assert cells.evaluate(u)[0] == pytest.approx(rows.evaluate(u)[0], rel=1e-10)


def test_cells_given_by_hand_have_the_same_fit(data):
    whole = data.dropna()
    stream = hb.glmer("y ~ c + (1 | s)", parts(whole, 600))
    table = whole.groupby(["c", "s"]).y.agg(ok=lambda y: (y == "yes").sum(), n="size").reset_index()
    hand = hb.glmer("cbind(ok, n - ok) ~ c + (1 | s)", table)
    orders = gammaln(table.n + 1) - gammaln(table.ok + 1) - gammaln(table.n - table.ok + 1)
    assert stream.loglik == pytest.approx(hand.loglik - orders.sum(), rel=ROUNDING)
    np.testing.assert_allclose(stream.beta, hand.beta, rtol=1e-8)
    np.testing.assert_allclose(stream.std_errors, hand.std_errors, rtol=BY_DIFFERENCES)
    assert stream.nobs == len(whole)


QUESTIONS = {
    "predict": lambda fit, new: fit.predict(new, interval="confidence"),
    "profile": lambda fit, new: hb.confint(fit, method="profile", parameters=["x"]),
    "type 2": lambda fit, new: hb.anova(fit, type=2).to_frame(),
    "drop1": lambda fit, new: hb.drop1(fit).to_frame(),
    "ranova": lambda fit, new: hb.ranova(fit).to_frame(),
    "emmeans": lambda fit, new: hb.emmeans(fit, "c", weights="proportional").to_frame(),
    "r2": lambda fit, new: hb.r2(fit).to_frame(),
    "shrinkage": lambda fit, new: hb.shrinkage(fit, type="response"),
    "smaller": lambda fit, new: hb.anova(fit.update(". ~ . - x"), fit).to_frame(),
    "predictions": lambda fit, new: hb.predictions(fit, by="c", at={"x": "quartiles"}).to_frame(),
    "observed groups": lambda fit, new: hb.predictions(fit, target="observed groups").to_frame(),
    "comparisons": lambda fit, new: hb.comparisons(fit, "x", change="sd").to_frame(),
    "slopes": lambda fit, new: hb.slopes(fit, "x", over="mean").to_frame(),
    "simulate": lambda fit, new: fit.simulate(2, newdata=new, random_seed=1),
}


@pytest.fixture(scope="module")
def both(data):
    whole = data.dropna()
    model = ("y ~ c + x + (1 | s)", "binomial")
    return hb.glmer(model[0], whole), hb.Model(model[0], parts(whole, 100), family=model[1]).fit()


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_that_cells_can_answer_have_the_answers_of_the_rows(both, question):
    new = pd.DataFrame({"c": ["u", "w"], "x": [0.1, 0.7], "s": [3, 4]})
    rows, cells = (QUESTIONS[question](fit, new).select_dtypes("number") for fit in both)
    np.testing.assert_allclose(cells, rows, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "question",
    [
        lambda fit: fit.residuals(),
        lambda fit: fit.fitted(),
        lambda fit: fit.simulate(1),
        lambda fit: fit.refit(np.arange(fit.nobs) % 2.0),
        lambda fit: fit.augment(),
        lambda fit: hb.bootstrap(fit, nsim=2),
        lambda fit: hb.check(fit),
        lambda fit: hb.influence(fit),
        lambda fit: hb.predictions(fit, by=False),
    ],
)
def test_questions_about_rows_are_refused_in_one_sentence(both, question):
    with pytest.raises(RowsNotKeptError, match=r"^(fit|hb|model)\.\w+\(\) needs .*keeps no rows"):
        question(both[1])


def test_both_estimators_stand_beside_each_other(both):
    fit = both[1]
    found = hb.compare(fit, fit.model.sample(draws=50, chains=2, random_seed=1))
    assert "x" in found.to_frame().index.get_level_values(-1) or "x" in str(found)


# counting


@pytest.mark.parametrize("dense", [1, counting.DENSE_KEYS])
def test_counts_are_those_of_grouping_whatever_the_batches(data, dense, monkeypatch):
    monkeypatch.setattr(counting, "DENSE_KEYS", dense)
    monkeypatch.setattr(counting, "BLOCK", 97)
    names = ["x", "i", "c", "t", "k", "s"]
    found = []
    for ends in ((), (1, 2, 400), (600,)):
        several = [Cells(names) for _ in range(2)]
        for number, part in enumerate(parts(data, *ends)):
            several[number % 2].add([part[name].array for name in names], f"part {number + 1}")
        several[1].merge(several[0])
        found.append(several[1].frame())
    for other in found[1:]:
        pd.testing.assert_frame_equal(other.frame, found[0].frame)
        assert np.array_equal(other.counts, found[0].counts)
    own = found[0].frame
    assert own.t.dtype == bool and own.k.dtype.kind == "i" and own.c.isna().any()
    assert list(own.i.cat.categories) == list("fedcba")
    want = data.groupby(names, dropna=False, observed=True).size()
    got = own.assign(n=found[0].counts).set_index(names).n
    pd.testing.assert_series_equal(
        got.sort_index(), want.sort_index(), check_names=False, check_index_type=False
    )


def test_a_column_of_two_kinds_is_refused_by_part(data):
    twice = [data[:100], data[100:200].assign(x="much")]
    with pytest.raises(DataError, match="'x' holds text in part 2 of the stream, and numbers in p"):
        hb.Model("y ~ x + (1 | s)", twice, family="binomial")
    with pytest.raises(DataError, match="Part 2 of the stream has no column 'x'"):
        hb.Model("y ~ x + (1 | s)", [data, data.drop(columns="x")], family="binomial")


def test_too_many_cells_are_refused_with_what_to_do(data, monkeypatch):
    monkeypatch.setattr(counting, "DENSE_KEYS", 1)
    cells = Cells(["x", "s"], most=50)
    with pytest.raises(NotSupportedError, match=r"more than 50 distinct .*s \(15\).*intervals"):
        cells.add([data.x.array, data.s.array])


@pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
def test_a_value_no_family_has_is_named_by_its_cell(data):
    wrong = data.assign(k=np.where(data.index == 50, -1, data.k))
    with pytest.raises(DataError, match=r"row \(k=-1, c=\w, s=\d+\), 1 row of the stream holds -1"):
        hb.Model("k ~ c + (1 | s)", [wrong], family="poisson")


def test_rows_left_out_are_counted_as_rows(data):
    with pytest.warns(DesignWarning, match="16 of 900 rows were left out"):
        hb.Model("y ~ x + (1 | s)", [data], family="binomial").fit()
