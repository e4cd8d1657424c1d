"""Design studies: the data sets of a cell are analysed as each is alone, and counted right."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import hierbayes as hb
from hierbayes.design.table import read_table
from hierbayes.planning.generalised_cell import generalised_outcome
from hierbayes.planning.posterior_cell import posterior_outcome
from hierbayes.planning.reml_cell import reml_outcome
from hierbayes.planning.replicated_rows import ReplicatedRows, Sizes
from hierbayes.planning.study import Outcome, Study
from hierbayes.planning.summary import cell_numbers
from hierbayes.prediction.simulate_formula import written_model
from hierbayes.prediction.simulate_rows import estimates
from hierbayes.specification.specification import Arguments

BERNOULLI = Arguments(family="bernoulli")
FORMULA = "rt ~ x + (x | who) + (1 | word)"
PLAN = {"x": [-0.5, 0.5] * 4, "who": [1, 1, 1, 1, 2, 2, 2, 2], "word": [1, 1, 2, 2] * 2}
TRUTH = {
    "(Intercept)": 500, "x": 60, "sigma": 100,
    "sd((Intercept)|who)": 60, "sd(x|who)": 30, "cor((Intercept),x|who)": 0.3,
    "sd((Intercept)|word)": 30,
}  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def study():
    return hb.design_study(
        FORMULA, PLAN, TRUTH, subjects=[6, 12], items=[4, 8], nsim=120, random_seed=1,
        goals={"power": 0.8, "width": 100, "type_m": 1.2},
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_each_data_set_has_the_estimate_and_limits_of_its_fit(fit):
    rng = np.random.default_rng(1)
    spec = fit.spec
    one = Study(
        spec=spec, rows=ReplicatedRows(fit.design, [0]), kept=fit.kept, truth=estimates(fit, 1),
        tested=np.array([0, 1]), estimators=("reml",), method="reml", uses_satterthwaite=True,
        level=0.9, priors=None, bf=10.0, nsim=6,
    )  # fmt: skip
    design = one.rows.of(Sizes(subjects=5, trials=2))
    truth = one.truths(rng)
    Y = one.responses(design, truth, rng)
    found = reml_outcome(one, design.with_response(Y[:, 0]), Y, truth)
    days, subject = design.X[:, 1], design.factors[0].codes
    for t in range(6):
        data = pd.DataFrame({"Reaction": Y[:, t], "Days": days, "Subject": subject})
        alone = hb.lmer("Reaction ~ Days + (Days | Subject)", data)
        table = alone.tidy(effects="fixed", level=0.9)
        np.testing.assert_allclose(found.estimate[t], table["estimate"], rtol=1e-4)
        np.testing.assert_allclose(found.low[t], table["conf_low"], rtol=2e-3)
        np.testing.assert_allclose(found.high[t], table["conf_high"], rtol=2e-3)
        assert found.is_singular[t] == alone.is_singular


def test_numbers_of_a_cell_are_shares_and_means():
    estimate = np.array([[2.0], [-3.0], [0.5], [4.0], [np.nan]])
    reach = np.array([[1.0], [1.0], [1.0], [1.0], [np.nan]])
    failed = np.array([False, False, False, False, True])
    log_bf = np.log([[20.0], [30.0], [1.0], [5.0], [np.nan]])
    found = Outcome(
        estimate=estimate, low=estimate - reach, high=estimate + reach, failed=failed, log_bf=log_bf
    )
    (numbers,) = cell_numbers(found, np.array([[2.0]]), bf=10)
    assert (numbers["power"], numbers["width"], numbers["p_bf"]) == (0.75, 2.0, 0.5)
    assert numbers["power_mcse"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert numbers["type_s"] == pytest.approx(1 / 3)
    assert numbers["type_m"] == pytest.approx(3 / 2)
    assert (numbers["failed"], numbers["nsim"]) == (1, 5)
    assert numbers["lower"] == pytest.approx(0.3006, abs=1e-4)  # Wilson
    (null,) = cell_numbers(found, np.array([[0.0]]), bf=10)
    assert null["power"] == 0.75
    assert np.isnan(null["type_s"])


def test_the_table_has_a_row_a_design(study):
    table = study.to_frame()
    assert table["rows"].tolist() == [48, 96, 96, 192]
    assert table["power"].is_monotonic_increasing or table["power"].iloc[-1] > 0.8
    assert (table["failed"] == 0).all()
    assert (table["lower"] < table["power"]).all()
    same = hb.design_study(
        FORMULA, PLAN, TRUTH, subjects=[6, 12], items=[4, 8], nsim=120, random_seed=1
    )
    pd.testing.assert_frame_equal(study.table, same.table)


def test_the_smallest_design_meets_each_goal(study):
    found = study.smallest().set_index("goal")
    assert list(found.index) == ["power", "width", "type_m"]
    rows = study.table[study.table["power"] >= 0.8]["rows"].min()
    assert found.loc["power", "rows"] == rows
    text = " ".join(str(study.sentence()).split())
    assert "The smallest design with power of at least 0.8" in text
    assert "120 data sets each" in text
    assert "MC error" in str(study)
    assert len(study.to_pandas()) == 4


def test_power_of_no_effect_is_the_level_of_the_test(fit):
    found = hb.design_study(
        fit, parameters={"Days": 0}, subjects=8, level=0.8, nsim=400, random_seed=4
    ).table.iloc[0]
    assert found["lower"] < 0.2 < found["upper"]
    assert np.isnan(found["type_s"])


def test_normal_tests_of_few_subjects_reject_more(fit):
    both = [
        hb.design_study(fit, subjects=4, ddf=ddf, nsim=60, random_seed=2).table.iloc[0]
        for ddf in ("satterthwaite", "normal")
    ]
    assert both[0]["power"] < both[1]["power"]
    assert both[0]["width"] > both[1]["width"]


def test_a_design_that_cannot_be_fitted_is_counted_and_said(fit):
    found = hb.design_study(fit, subjects=[1, 6], nsim=10, random_seed=1, goals={"power": 0.5})
    assert found.table["failed"].tolist() == [10, 0]
    assert np.isnan(found.table["power"].iloc[0])
    assert found.notes[0].startswith("1 subject: no REML estimates")
    assert "10 of 20 analyses failed" in str(found)
    nothing = hb.design_study(fit, subjects=1, nsim=2, random_seed=1, goals={"power": 0.5})
    assert "No design studied has power of at least 0.5" in str(nothing)
    with pytest.raises(hb.OptionError, match="has no coefficient to be tested"):
        hb.design_study(
            "y ~ 0 + (1 | g)", {"g": [1, 1, 2, 2]}, {"sd((Intercept)|g)": 1, "sigma": 1}, subjects=3
        )


def test_a_picture_has_curves_or_a_grid(study):
    figure, (ax,) = study.plot()
    assert ax.get_ylabel() == "power"
    assert "0.8 is reached" in hb.plot.alt_text(figure)
    _, (grid,) = hb.plot.power(study, quantity="width", kind="grid")
    shown = {text.get_text() for text in grid.texts}
    assert shown == {f"{value:.3g}" for value in study.table["width"]}
    with pytest.raises(hb.OptionError, match="has no number in this study"):
        hb.plot.power(study, quantity="p_bf")
    pyplot.close("all")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subjects": None}, "needs sizes of designs"),
        ({"subjects": [0]}, "subjects=.* must be a whole number"),
        ({"items": 5}, "items= counts levels of a grouping factor"),
        ({"goals": {"powr": 0.8}}, "did you mean 'power'"),
        ({"goals": {"power": 80}}, "must be a share between 0 and 1"),
        ({"goals": {"assurance": 0.8}}, "give design_study a posterior"),
        ({"goals": {"p_bf": 0.8}}, "add estimator"),
        ({"test": "days"}, "did you mean 'Days'"),
        ({"factors": {"subjects": "Subjct"}}, "is no grouping factor"),
        ({"parameters": {"Day": 1}}, "did you mean"),
        ({"data": 1}, "data goes with a formula"),
        ({"ddf": "kenward-roger"}, "ddf"),
        ({"bf": -1}, "bf=-1 must be a number above 0"),
        ({"priors": {"Days": "Normal(0, 1)"}}, "priors are of posteriors"),
        ({"priors": {"Days": "Normal(0, 1)"}, "estimator": "both"}, "priors goes with a formula"),
    ],
)
def test_wrong_arguments_are_told(fit, change, words):
    with pytest.raises(hb.OptionError, match=words):
        hb.design_study(fit, **({"subjects": 5, "nsim": 2} | change))


def test_a_model_or_another_family_is_told_what_to_do(fit):
    with pytest.raises(hb.OptionError, match=r"give model.fit\(\) or model.sample\(\)"):
        hb.design_study(fit.model, subjects=5)
    with pytest.raises(hb.OptionError, match="needs data"):
        hb.design_study("y ~ x + (1 | g)", subjects=5)


def test_posteriors_of_a_cell_are_those_of_each_data_set(fit):
    rng = np.random.default_rng(5)
    one = Study(
        spec=fit.spec, rows=ReplicatedRows(fit.design, [0]), kept=fit.kept,
        truth=estimates(fit, 1), tested=np.array([1]), estimators=("posterior",), method="reml",
        uses_satterthwaite=True, level=0.9, priors=fit.spec.priors, bf=3.0, nsim=12,
    )  # fmt: skip
    design = one.rows.of(Sizes(subjects=8))
    Y = one.responses(design, one.truths(rng), rng) - 8 * design.X[:, [1]]
    found = posterior_outcome(one, design.with_response(Y[:, 0]), Y, rng)
    laws = {p.name: fit.spec.priors.of(p) for p in fit.spec.priors.parameters}
    null = {name: law for name, law in laws.items() if name != "Days"}
    data = pd.DataFrame({"y": Y[:, 3], "Days": design.X[:, 1], "g": design.factors[0].codes})

    def sampled(formula, priors):
        own = {name.replace("Subject", "g"): law for name, law in priors.items()}
        return hb.Model(formula, data, priors=own).sample(random_seed=1)

    alone = sampled("y ~ Days + (Days | g)", laws)
    row = alone.tidy("fixed", level=0.9).iloc[1]
    sd = row["std_error"]
    for value, name in (
        (found.estimate, "estimate"),
        (found.low, "conf_low"),
        (found.high, "conf_high"),
    ):
        assert value[3, 0] == pytest.approx(row[name], abs=0.12 * sd)
    factor = hb.bayes_factor(alone, sampled("y ~ 1 + (Days | g)", null))
    error = np.hypot(found.bf_error[3, 0], factor.log_bf_mcse)
    assert abs(found.log_bf[3, 0] - factor.log_bf) < 4 * error + 0.02


def test_both_estimators_analyse_the_same_data_sets():
    found = hb.design_study(
        FORMULA, PLAN, TRUTH, subjects=[8], items=[4], nsim=40, random_seed=1, estimator="both",
        priors={"x": hb.Normal(0, 60)}, goals={"p_bf": 0.2}, bf=3,
    )  # fmt: skip
    table = found.to_frame().set_index("estimator")
    assert found.priors == {"x": "Normal(0, 60)"}
    assert table.loc["posterior", "width"] == pytest.approx(table.loc["reml", "width"], rel=0.35)
    assert 0 < table.loc["posterior", "p_bf"] < 1
    assert np.isnan(table.loc["reml", "p_bf"])
    assert "P(BF > 3)" in str(found)
    assert "by posterior" not in str(found.smallest())


def test_parameters_drawn_from_a_posterior_give_assurance():
    model = hb.Model("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    post = model.sample(draws=200, random_seed=1)
    found = hb.design_study(post, subjects=4, nsim=60, random_seed=1, goals={"assurance": 0.3})
    assert found.is_assurance
    assert found.truths["Days"] == pytest.approx(10.4, abs=0.5)
    assert "assurance" in str(found)
    with pytest.raises(hb.OptionError, match='the goal is "assurance"'):
        hb.design_study(post, subjects=4, nsim=2, goals={"power": 0.8})


def test_priors_of_other_forms_and_flat_ones_are_told(fit):
    with pytest.raises(hb.NotSupportedError, match="normal or flat priors"):
        hb.design_study(
            FORMULA, PLAN, TRUTH, subjects=3, nsim=2, estimator="posterior",
            priors={"x": hb.StudentT(3, 0, 10)},
        )  # fmt: skip
    with pytest.raises(hb.OptionError, match="needs a proper prior of 'x'"):
        hb.design_study(
            FORMULA, PLAN, TRUTH, subjects=3, nsim=2, estimator="posterior",
            priors={"x": hb.Flat()}, goals={"p_bf": 0.5},
        )  # fmt: skip


def test_a_singular_fit_is_a_truth_like_any_other(fit):
    none = {"sd((Intercept)|Subject)": 0, "cor((Intercept),Days|Subject)": 0}
    found = hb.design_study(fit, parameters=none, subjects=5, nsim=20, random_seed=1)
    assert found.table["failed"].iloc[0] == 0


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning")
def test_data_sets_of_other_families_are_analysed_by_maximum_likelihood():
    plan = {"x": [0, 1] * 2, "g": [1, 1, 2, 2]}
    truth = {"(Intercept)": -0.5, "x": 0.8, "sd((Intercept)|g)": 0.8}
    rng = np.random.default_rng(1)
    written = written_model("y ~ x + (1 | g)", read_table(plan), truth, BERNOULLI, count=1)
    one = Study(
        spec=written.spec, rows=ReplicatedRows(written.spec.design, [0]), kept=np.arange(2),
        truth=written.flat, tested=np.array([1]), estimators=("reml",), method="ml",
        uses_satterthwaite=True, level=0.95, priors=None, bf=10.0, nsim=6,
    )  # fmt: skip
    design = one.rows.of(Sizes(subjects=6, trials=5))
    Y = one.responses(design, one.truths(rng), rng)
    found = generalised_outcome(one, design, Y)
    data = {"y": Y[:, 2], "x": design.X[:, 1], "g": design.factors[0].codes}
    row = hb.glmer("y ~ x + (1 | g)", data, family="bernoulli").tidy("fixed").iloc[1]
    assert found.estimate[2, 0] == pytest.approx(row["estimate"], rel=1e-4)
    assert found.high[2, 0] == pytest.approx(row["conf_high"], rel=1e-4)
    study = hb.design_study(
        "y ~ x + (1 | g)", plan, truth, family="bernoulli", subjects=6, trials=5, nsim=6
    )
    assert study.table["estimator"].tolist() == ["ml"]
    assert "Wald z tests" in str(study)
    with pytest.raises(hb.OptionError, match="leave estimator= out"):
        hb.design_study(
            "y ~ x + (1 | g)", plan, truth, family="bernoulli", subjects=6, estimator="both"
        )
    with pytest.raises(hb.NotSupportedError, match="has no family='gamma'"):
        hb.design_study(
            "y ~ x + (1 | g)", plan, truth | {"shape": 2}, family="gamma", link="log", subjects=6
        )
