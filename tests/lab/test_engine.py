"""What the lab computes is what the library computes, for every state a reader can reach."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hierbayes as hb
from hierbayes.errors import DataError, HierBayesError, OptionError
from hierbayes.lab.cases import Own, case_of
from hierbayes.lab.chosen import chosen_fit
from hierbayes.lab.engine import CHAINS, DRAWS, SEED, complete_pooling, priors_of, view
from hierbayes.lab.figures import scene
from hierbayes.lab.presets import PRESETS, Simulation
from hierbayes.lab.state import LabState

M1 = "Reaction ~ Days + (Days | Subject)"
FAST = ("reml",)
SLEEP = LabState(show=FAST)


def test_reml_ml_and_posterior_are_the_librarys(sleepstudy):
    found = view(LabState())
    model = hb.Model(M1, sleepstudy)
    assert np.array_equal(found.estimates["reml"].fit.theta, model.fit("reml").theta)
    assert np.array_equal(found.estimates["ml"].fit.theta, model.fit("ml").theta)
    post = model.sample(DRAWS, CHAINS, random_seed=SEED)
    assert np.array_equal(found.estimates["posterior"].fit.beta, post.beta)
    table = hb.shrinkage(post)
    rows = table[table["level"] == "308"]
    j = found.levels.index("308")
    assert found.estimates["posterior"].coefficient[j] == pytest.approx(rows["coefficient"])
    assert found.estimates["posterior"].reliability[j] == pytest.approx(rows["reliability"])


def test_complete_pooling_is_least_squares(sleepstudy):
    fit = view(replace(SLEEP, edits=((0, 400.0),))).reml
    data = sleepstudy.copy()
    data.loc[0, "Reaction"] = 400.0
    slope, intercept = np.polyfit(data["Days"], data["Reaction"], 1)
    assert complete_pooling(fit) == pytest.approx([intercept, slope])


def test_a_moved_and_a_deleted_observation(sleepstudy):
    found = view(replace(SLEEP, edits=((0, 400.0), (5, None), (10**6, 1.0))))
    data = sleepstudy.copy()
    data.loc[0, "Reaction"] = 400.0
    fit = hb.lmer(M1, data.drop(index=5))
    assert found.reml.criterion == pytest.approx(fit.criterion, abs=1e-8)
    assert found.n[found.levels.index("308")] == 9
    assert 5 not in found.case.rows
    assert sleepstudy["Reaction"].iloc[0] == hb.load_dataset("sleepstudy")["Reaction"].iloc[0]


def test_unlocked_at_the_reml_values_nothing_moves():
    found = view(replace(SLEEP, unlocked=True))
    mine, reml = found.estimates["chosen"], found.estimates["reml"]
    assert found.first == "chosen"
    assert mine.coefficient == pytest.approx(reml.coefficient)
    assert mine.coefficient_sd == pytest.approx(reml.coefficient_sd)
    assert mine.reliability == pytest.approx(reml.reliability)


@pytest.mark.parametrize("sds", [(40.0, 2.0), (0.0, 5.0), (30.0, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("cor", [-1.0, 0.0, 0.6])
def test_chosen_sds_give_the_closed_form(sds, cor):
    """b_j = Sigma (Sigma + sigma^2 (Z_j'Z_j)^-1)^-1 (own - beta), beta by least squares."""
    found = view(replace(SLEEP, unlocked=True, sds=sds, cor=cor, sigma=20.0))
    mine = found.estimates["chosen"]
    Sigma = np.diag(sds) @ np.array([[1, cor], [cor, 1]]) @ np.diag(sds)
    assert mine.covariance == pytest.approx(Sigma, abs=1e-8)
    Z = np.column_stack([np.ones(10), np.arange(10.0)])
    own = Sigma + 20.0**2 * np.linalg.inv(Z.T @ Z)
    S = np.linalg.solve(own, Sigma).T
    away = found.unpenalised - mine.population
    assert mine.effect == pytest.approx(away @ S.T, abs=1e-7)
    assert mine.population == pytest.approx(found.unpenalised.mean(axis=0))  # balanced


def test_other_factors_keep_their_sds():
    found = view(LabState(data="penicillin", show=FAST, unlocked=True, sds=(3.0,), sigma=1.0))
    sds = found.estimates["chosen"].fit.varcorr().to_frame().set_index("group")["sdcor"]
    reml = found.reml.varcorr().to_frame().set_index("group")["sdcor"]
    assert sds["plate"] == pytest.approx(3.0)
    assert sds["sample"] == pytest.approx(reml["sample"])
    assert sds["Residual"] == pytest.approx(1.0)


def test_known_residual_sds_stay_known():
    state = LabState(data="schools", show=FAST, unlocked=True, sds=(10.0,), sigma=5.0)
    found = view(state)
    se = hb.load_dataset("eight_schools")["se"].to_numpy()
    assert found.estimates["chosen"].reliability[:, 0] == pytest.approx(100 / (100 + se**2))


def test_a_second_factor_can_be_looked_at():
    found = view(LabState(data="penicillin", show=FAST, factor="sample", level="B"))
    assert (found.factor, found.position, found.levels[found.level]) == ("sample", 1, "B")
    rows = hb.shrinkage(found.reml).query("group == 'sample'")
    assert found.estimates["reml"].coefficient[:, 0] == pytest.approx(rows["coefficient"])
    assert found.unpenalised[:, 0] == pytest.approx(rows["unpenalised"])


def test_an_unknown_level_or_factor_is_the_first():
    found = view(replace(SLEEP, level="nobody", factor="nothing"))
    assert (found.factor, found.state.level) == ("Subject", PRESETS["sleepstudy"].level)


def test_priors_that_differ_from_the_defaults(sleepstudy):
    model = hb.Model(M1, sleepstudy)
    assert priors_of(model, "t") == {}
    priors = priors_of(model, "normal", scale=0.1, eta=4.0)
    assert [str(prior) for prior in priors.values()] == [
        "HalfNormal(14.08)",
        "HalfNormal(4.889)",
        "LKJ(4)",
    ]
    assert str(priors_of(model, "t", scale=2.0)["sd(Days|Subject)"]) == "HalfStudentT(4, 97.78)"
    assert str(priors_of(model, "cauchy")["sd(Days|Subject)"]) == "HalfCauchy(48.89)"


def test_a_tight_prior_pulls_harder():
    wide, tight = (
        view(LabState(show=("posterior",), prior="normal", scale=s)) for s in (1.0, 0.02)
    )
    away = [np.abs(v.estimates["posterior"].effect).mean() for v in (wide, tight)]
    assert away[1] < 0.7 * away[0]


def test_the_same_state_is_not_computed_twice():
    assert case_of(SLEEP) is case_of(replace(SLEEP, level="309"))
    assert view(SLEEP).reml is view(replace(SLEEP, unlocked=True)).reml


def own_csv(formula, text="y,x,g\n1,0,a\n2,1,a\n3,0,b\n5,1,b\n2,0,c\n2.5,1,c\n"):
    return view(LabState(data="own", show=FAST), Own(content=text.encode(), formula=formula))


def test_ones_own_file():
    found = own_csv("y ~ x + (1 | g)")
    assert found.levels == ("a", "b", "c")
    assert (found.case.x, found.case.response) == ("x", "y")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x", "no random effects"),
        ("y ~ x + (1 | h)", "no column 'h'"),
        ("y ~ ", "y ~"),
        ("g ~ x + (1 | g)", "g"),
    ],
)
def test_a_formula_that_cannot_be_is_a_sentence(formula, message):
    with pytest.raises(HierBayesError, match=message):
        own_csv(formula)


def test_without_a_file_a_sentence_asks_for_one():
    with pytest.raises(DataError, match="No file yet"):
        view(LabState(data="own"), None)


def test_three_terms_cannot_be_unlocked(sleepstudy):
    text = "y,x,w,g\n" + "".join(
        f"{(7 * i) % 11 + i / 3},{i % 5},{(i * i) % 7},g{i % 6}\n" for i in range(60)
    )
    own = Own(content=text.encode(), formula="y ~ x + w + (x + w | g)")
    state = LabState(data="own", show=FAST)
    assert len(view(state, own).terms) == 2
    with pytest.raises(OptionError, match="at most 2"):
        view(replace(state, unlocked=True), own)


def test_many_levels_are_refused():
    text = "y,g\n" + "".join(f"{i % 7},{i // 2}\n" for i in range(1000))
    with pytest.raises(DataError, match="500 levels"):
        view(LabState(data="own"), Own(content=text.encode(), formula="y ~ 1 + (1 | factor(g))"))


@settings(max_examples=25)
@given(
    edits=st.dictionaries(
        st.integers(0, 12), st.sampled_from([None, None, 0.0, 5.0, 1e6]), max_size=13
    ),
    truth=st.builds(
        Simulation,
        groups=st.integers(2, 4),
        rows=st.integers(1, 3),
        imbalance=st.sampled_from([0.0, 1.0]),
        sigma=st.sampled_from([1.0, 30.0]),
        sd_intercept=st.sampled_from([0.0, 50.0]),
    ),
)
def test_whatever_is_deleted_there_is_a_view_or_a_sentence(edits, truth):
    state = LabState(data="simulated", simulation=truth, edits=tuple(sorted(edits.items())))
    for unlocked in (False, True):
        try:
            found = view(replace(state, unlocked=unlocked))
        except HierBayesError as error:
            assert str(error)
        else:
            known = np.isfinite(found.estimates[found.first].coefficient).all()
            codes = {finding.code for finding in found.reml.findings}
            assert known or "not_identified" in codes
            json.dumps(scene(found), allow_nan=False)


def test_a_chosen_fit_has_the_likelihood_of_its_own_residual_sd(sleepstudy):
    """Restricted log-likelihood by dense algebra; the profiled one at the same theta is -886.7."""
    reml = hb.lmer(M1, sleepstudy)
    fit = chosen_fit(reml, LabState(sds=(20.0, 5.0), cor=0.0, sigma=50.0), 0)
    X, y, (factor,) = fit.design.X, fit.design.y, fit.design.factors
    same = factor.codes[:, None] == factor.codes
    V = same * (factor.z @ np.diag([400.0, 25.0]) @ factor.z.T) + 2500.0 * np.eye(y.size)
    xvx = X.T @ np.linalg.solve(V, X)
    rest = y - X @ np.linalg.solve(xvx, X.T @ np.linalg.solve(V, y))
    log_dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(xvx)[1]
    constant = (y.size - 2) * np.log(2 * np.pi)
    loglik = -0.5 * (constant + log_dets + rest @ np.linalg.solve(V, rest))
    assert fit.loglik == pytest.approx(loglik, rel=1e-12)
    assert (fit.sigma, fit.at.sigma[0]) == (50.0, 50.0)
    assert not fit.converged


def test_chosen_fit_takes_what_is_not_given_from_reml(sleepstudy):
    reml = hb.lmer(M1, sleepstudy)
    assert chosen_fit(reml, LabState(), 0).beta == pytest.approx(reml.beta)
    wide = chosen_fit(reml, LabState(sds=(1e5, 1e5), cor=0.0), 0)
    own = hb.shrinkage(reml)
    assert hb.shrinkage(wide)["coefficient"].to_numpy() == pytest.approx(
        own["unpenalised"].to_numpy(), rel=1e-4
    )
