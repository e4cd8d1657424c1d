"""What is printed is read to its last digit, and its likelihood is the published one."""

import json

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from tests.reference_fits import FOLDER

ROOM = 1 + 1e-6  # half a unit of a digit, and rounding
RELATIVE = 2e-3  # of standard errors and sds, printed to three digits at least
FITS = sorted((FOLDER / "fits").glob("*.json"))

# a slide whose blanks were lost on the way
PASTED = """
Linear mixed model fit by REML ['lmerMod']
Formula: Reaction ~ Days + (Days | Subject)
Data: sleepstudy

REML criterion at convergence: 1743.6

Random effects:
 Groups   Name                Variance Std.Dev. Corr
 Subject (Intercept)    611.90   24.737
           Days              35.08    5.923   0.07
 Residual                654.94   25.592
Number of obs: 180, groups: Subject, 18

Fixed effects:
              Estimate Std. Error t value
(Intercept)  251.405     6.824   36.843
Days         10.467     1.546    6.771

Correlation of Fixed Effects:
(Intr)
Days -0.138
"""


def check_read(fit, lines):
    """Compare what is read with the numbers that were printed, all their digits known."""
    found = hb.read_summary("\n".join(lines))
    own = found.coefficients
    assert own.index.tolist() == fit["fixef"]["names"]
    off = np.abs(own["estimate"] - np.asarray(fit["fixef"]["estimate"], dtype=float))
    assert (off <= own["rounding"] * ROOM).all()
    np.testing.assert_allclose(own["std_error"], fit["fixef"]["se"], rtol=RELATIVE)
    if found.correlation is not None and fit.get("cor_fixef"):
        np.testing.assert_allclose(found.correlation, fit["cor_fixef"], atol=5e-4 * ROOM)
    else:
        assert len(own) == 1 or len(own) > 12  # lme4 leaves out what is too large
    assert found.nobs == fit["nobs"] and found.n_groups == fit["ngrps"]
    assert found.formula_text.replace(" ", "") == fit["formula"].replace(" ", "")
    printed = pd.DataFrame(fit["VarCorr"]["as_data_frame"]["columns"])["sdcor"].astype(float)
    frame = found.varcorr().to_frame()
    known = printed.notna().to_numpy()
    np.testing.assert_allclose(
        frame["sdcor"].to_numpy()[known], printed[known], rtol=RELATIVE, atol=5e-3 * ROOM
    )
    assert found.method == ("reml" if fit["REML"] else "ml")
    if fit["REML"]:
        off = abs(found.criterion - fit["REML_criterion"])
        assert off <= found.criterion_rounding * ROOM


def texts_of(fit):
    yield fit["printed_summary"]
    inference = fit.get("inference") or {}
    if inference.get("printed_satterthwaite"):
        yield inference["printed_satterthwaite"]


@pytest.mark.parametrize(
    "paths", [FITS[::12], pytest.param(FITS, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_summary_that_lme4_printed_is_read(paths):
    for path in paths:
        fit = json.loads(path.read_text(encoding="utf-8"))
        for lines in texts_of(fit):
            check_read(fit, lines)


def test_a_text_that_lost_its_blanks_is_read_and_a_refit_laid_beside_it():
    found = hb.read_summary(PASTED)
    assert list(found.parameters) == [
        "(Intercept)",
        "Days",
        "sd((Intercept)|Subject)",
        "sd(Days|Subject)",
        "cor((Intercept),Days|Subject)",
        "sigma",
    ]
    fit = hb.lmer(found.formula_text, hb.load_dataset(found.data_name))
    beside = found.beside(fit)
    # lme4 of that year stopped short of the optimum of the sds
    assert beside.index[~beside["same"].astype(bool)].tolist() == [
        "sd__(Intercept)|Subject",
        "sd__Days|Subject",
    ]
    assert beside.loc["criterion", "same"]
    other = found.beside(fit.model.fit("ml"))
    assert "criterion" not in other.index and not other["same"].all()
    shown = str(found)
    assert "1743.6" in shown and "no effects of single levels" in shown


def test_the_model_of_published_coefficients_has_their_likelihood():
    found = hb.read_summary(PASTED)
    fit = found.model().fit()
    np.testing.assert_allclose(fit.fixef(), found.fixef(), rtol=1e-12)
    np.testing.assert_allclose(fit.vcov(), found.vcov(), rtol=1e-10)
    # a normal prior of one coefficient: conjugate, by the covariance matrix
    law = hb.Normal(0, 3)
    post = found.model({"Days": law}).sample(draws=2000, random_seed=1)
    V, b = found.vcov().to_numpy(), found.fixef().to_numpy()
    gain = V[:, 1] / (V[1, 1] + 9)
    expected = b - gain * b[1]
    error = post.diagnostics()["mcse_mean"].to_numpy()
    assert (np.abs(post.fixef() - expected) < 4 * error).all()
    sd = np.sqrt(np.diag(V - np.outer(gain, V[1])))
    np.testing.assert_allclose(post.draws.beta.std(axis=(0, 1)), sd, rtol=0.04)


def test_one_published_coefficient_is_reanalysed_by_its_estimate_and_error_alone():
    table = {"term": ["(Intercept)", "dose"], "Estimate": [4.0, 1.2], "Std. Error": [1.0, 0.5]}
    published = hb.read_coefficients(table)
    found = hb.reanalyse(published, term="dose", expected=1.0, random_seed=1)
    row = found.table.loc["sceptical"]
    prior = 1.0 / 1.6448536269514722
    shrunk = 1.2 * prior**2 / (prior**2 + 0.25)
    error = row["sd"] / np.sqrt(3500)
    assert abs(row["median"] - shrunk) < 4 * 1.25 * error
    # N(1.2 | 0, 0.25 + prior^2) / N(1.2 | 0, 0.25)
    both = np.array([0.25 + prior**2, 0.25])
    logs = -0.5 * (np.log(both) + 1.2**2 / both)
    assert row["bayes_factor"] == pytest.approx(np.exp(logs[0] - logs[1]), rel=1e-6)
    assert found.paragraph.startswith("The published effect of dose was 1.2 (standard error 0.5")
    assert "neutral: no Bayes factor" in " ".join(found.notes)
    with pytest.raises(hb.DataError, match="correlations of the coefficients were not published"):
        published.model()
    assert "correlations" in str(published)
    known = hb.read_coefficients(table, correlation=[[1, -0.5], [-0.5, 1]])
    assert known.vcov().loc["(Intercept)", "dose"] == -0.25


def test_a_published_coefficient_is_reported_and_made_again(tmp_path):
    published = hb.read_coefficients({"term": ["dose"], "b": [1.2], "se": [0.5]})
    found = hb.reanalyse(published, expected=1.0, guideline="BARG", random_seed=1)
    text = found.report(tmp_path / "x.md").read_text(encoding="utf-8")
    assert text.count("as published; there are no rows to check") == 2
    assert "from a table of coefficients; the rows of estimate" in text
    # the lines of the report make the same numbers from the rows that stand for the coefficient
    lines = [line for line in text.splitlines() if not line.startswith("data = ...")]
    start = lines.index("import hierbayes as hb")
    code = "\n".join(lines[start : lines.index("```", start)])
    names = {"data": pd.DataFrame(found.fits["REML"].spec.table.arrays)}
    exec(code, names)
    pd.testing.assert_frame_equal(names["found"].table, found.table)


def test_rows_of_cells_have_the_likelihood_of_the_rows_they_stand_for():
    data = hb.load_dataset("Machines")
    formula = "score ~ Machine + (1 | Worker)"
    cells = data.groupby(["Worker", "Machine"], observed=True)["score"].agg(["mean", "std", "size"])
    table = cells.reset_index()
    rows = hb.read_cells(table, sd="std", n="size", response="score")
    own, other = hb.lmer(formula, data), hb.lmer(formula, rows)
    assert other.criterion == pytest.approx(own.criterion, abs=1e-8)
    np.testing.assert_allclose(other.fixef(), own.fixef(), rtol=1e-10)
    np.testing.assert_allclose(other.vcov(), own.vcov(), rtol=1e-5)
    table["error"] = table["std"] / np.sqrt(table["size"])
    again = hb.read_cells(table.drop(columns="std"), se="error", n="size", response="score")
    np.testing.assert_allclose(again["score"], rows["score"], rtol=1e-12)
    assert "They are no data" in str(rows)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hb.read_summary(3), "takes the text lme4 prints"),
        (lambda: hb.read_summary("nothing"), "no table of fixed effects"),
        (
            lambda: hb.read_summary(PASTED.replace("10.467     1.546", "10.467")),
            "not understood as a row of the fixed effects",
        ),
        (
            lambda: hb.read_summary(PASTED.replace("35.08    5.923   0.07", "")),
            "not understood as a row of the random effects",
        ),
        (
            lambda: hb.read_summary(PASTED.replace("Days -0.138", "Days")),
            "correlations of the fixed effects are not understood",
        ),
        (lambda: hb.read_coefficients({"x": ["a"], "estimate": [1.0]}), "name it: term="),
        (
            lambda: hb.read_coefficients({"term": ["a"], "b": [1.0], "se": [0.0]}),
            "standard error above zero",
        ),
        (lambda: hb.read_cells({"mean": [1.0], "sd": [1.0]}), "no column 'n'"),
        (lambda: hb.read_cells({"mean": [1.0], "sd": [1.0], "n": [2.5]}), "whole numbers"),
        (lambda: hb.read_cells({"mean": [1.0], "sd": [-1.0], "n": [2]}), "row 1 of the table"),
        (
            lambda: hb.reanalyse(hb.read_summary(PASTED), hb.load_dataset("sleepstudy")),
            "in place of formula, data",
        ),
        (lambda: hb.reanalyse(hb.read_summary(PASTED), term="days"), "term='days' is not one of"),
    ],
)
def test_what_can_not_be_read_is_said(call, words):
    with pytest.raises(hb.HierBayesError, match=words):
        call()
