"""Findings: which condition, said how, and issued as a warning of its class."""

import warnings

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.covariance import TermCovariance
from hierbayes.likelihood.convergence import boundary_finding


def fit_and_warnings(formula, data, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = hb.lmer(formula, data, **options)
    return fit, caught


def zero_slope_data():
    """Slopes that differ less between groups than sampling would have them: their sd is zero."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 6)
    x = np.tile([-5.0, -3, -1, 1, 3, 5], 12)
    noise = rng.normal(size=(12, 6))
    noise -= (noise @ x[:6])[:, None] * x[:6] / (x[:6] @ x[:6])
    return {"y": (noise + 2 * rng.normal(size=(12, 1))).ravel() + x, "x": x, "g": g}


CAKE = "angle ~ recipe * temp + "
BOUNDARY = {
    # name: data, formula, sentence, beginning of the advice's remedy
    "one_zero_sd": (
        "Dyestuff2",
        "Yield ~ 1 + (1 | Batch)",
        "The between-Batch sd is estimated as exactly zero.",
        "You can drop it from (1 | Batch), or keep it: the other estimates are the same.",
    ),
    "zero_slope": (
        zero_slope_data,
        "y ~ x + (x || g)",
        "The between-g sd of x is estimated as exactly zero.",
        "You can drop it from (x || g), or keep it: the other estimates are the same.",
    ),
    "correlation_plus_one": (
        "cake",
        CAKE + "(temp | recipe:replicate)",
        "The correlation of (Intercept) and temp between levels of recipe:replicate is estimated "
        "as exactly +1.",
        "You can give the columns independent sds, (temp || recipe:replicate), or drop a column.",
    ),
    "correlation_minus_one": (
        "cake",
        CAKE + "(I(-temp) | recipe:replicate)",
        "The correlation of (Intercept) and I(-temp) between levels of recipe:replicate is "
        "estimated as exactly -1.",
        "You can give the columns independent sds, (I(-temp) || recipe:replicate), or drop a "
        "column.",
    ),
}


@pytest.mark.parametrize("case", BOUNDARY.values(), ids=BOUNDARY)
def test_a_boundary_is_named_by_term_and_direction(case):
    data, formula, sentence, remedy = case
    frame = hb.load_dataset(data) if isinstance(data, str) else data()
    fit, caught = fit_and_warnings(formula, frame)
    (finding,) = fit.findings
    assert finding.code == "boundary"
    assert finding.sentence == sentence
    assert remedy in finding.advice
    assert "not an error" in finding.advice
    assert "model.sample()" in finding.advice
    (warning,) = caught
    assert warning.category is hb.BoundaryWarning
    assert str(warning.message) == f"{sentence} {finding.advice}"
    assert warning.filename == __file__  # the line of the user's call


def test_a_combination_that_does_not_vary_is_named_with_its_weights():
    formula = "angle ~ recipe + temp + (recipe + I((temp - 200)/10) | replicate)"
    fit, _ = fit_and_warnings(formula, hb.load_dataset("cake"))
    (finding,) = fit.findings
    assert finding.sentence == (
        "One combination of the effects of replicate is estimated not to vary at all (in units "
        "of their sds: - 0.21 (Intercept) - 0.62 recipeB + 0.69 recipeC + 0.32 "
        "I((temp - 200)/10))."
    )
    # the sentence is true: that combination of the modes is constant, here zero
    (term,) = fit.varcorr().terms
    weights = np.array([-0.21, -0.62, 0.69, 0.32])
    modes = fit.ranef()["replicate"].to_numpy() / term.sd
    assert np.abs(modes @ weights).max() < 0.02 * np.abs(modes).max()
    assert finding.numbers == {"sd": dict(zip(term.columns, term.sd.tolist(), strict=True))}


def design_with(columns):
    data = {"y": np.random.default_rng(0).normal(size=24), "g": np.repeat(np.arange(6), 4)}
    data |= {name: np.random.default_rng(k).normal(size=24) for k, name in enumerate(columns)}
    return hb.Model(f"y ~ ({' + '.join(columns)} | g)", data).design


@pytest.mark.parametrize(
    ("sds", "sentence"),
    [
        ([1.0, 0.0, 2.0], "The between-g sd of a is estimated as exactly zero."),
        ([0.0, 0.0, 2.0], "The between-g sd of (Intercept) and of a is estimated as exactly zero."),
        (
            [0.0, 0.0, 0.0],
            "The between-g sd of (Intercept), of a and of b is estimated as exactly zero.",
        ),
    ],
)
def test_zero_sds_of_a_correlated_term_are_listed(sds, sentence):
    sd = np.array(sds)
    corr = np.where((sd[:, None] == 0) | (sd == 0), np.nan, np.eye(3))
    found = boundary_finding(design_with(["a", "b"]), 0, TermCovariance(sd, corr))
    assert found.sentence == sentence


def test_a_boundary_of_counts_speaks_of_their_family_and_not_of_a_residual():
    data = {"y": [1, 2, 3, 1, 2, 3] * 5, "g": np.repeat(np.arange(10), 3)}
    with pytest.warns(hb.BoundaryWarning, match="than chance in responses of family='poisson'"):
        fit = hb.glmer("y ~ 1 + (1 | g)", data, "poisson")
    assert "residual" not in str(fit.findings[0])


def test_a_fit_inside_has_no_finding(sleepstudy):
    fit, caught = fit_and_warnings("Reaction ~ Days + (Days | Subject)", sleepstudy)
    assert fit.findings == ()
    assert not caught
    assert not fit.is_singular
    assert fit.converged


def test_each_singular_term_has_its_finding():
    data = zero_slope_data()
    data["h"] = np.tile(np.arange(6), 12)
    fit, caught = fit_and_warnings("y ~ x + (0 + x | g) + (1 | h) + (1 | g)", data)
    assert [f.sentence for f in fit.findings if f.code == "boundary"] == [
        "The between-g sd of x is estimated as exactly zero.",
        "The between-h sd is estimated as exactly zero.",
    ]
    assert [w.category for w in caught] == [hb.BoundaryWarning] * 2


def test_a_correlation_the_data_do_not_hold_is_named():
    # no subject is both male and female
    formula = "distance ~ Sex + age + (0 + Sex | Subject)"
    fit, caught = fit_and_warnings(formula, hb.load_dataset("Orthodont"))
    (finding,) = fit.findings
    assert finding.code == "not_identified"
    assert finding.sentence == "cor(SexMale, SexFemale|Subject) is not determined by the data."
    assert finding.numbers == {"parameters": ("cor(SexMale, SexFemale|Subject)",)}
    assert [w.category for w in caught] == [hb.DesignWarning]


def test_dropped_columns_are_a_finding(sleepstudy):
    fit, caught = fit_and_warnings(
        "Reaction ~ Days + I(2 * Days) + I(Days - 1) + (1 | Subject)", sleepstudy
    )
    (finding,) = fit.findings
    assert finding.code == "rank_deficient"
    assert finding.sentence == (
        "The fixed-effects columns I(2 * Days) and I(Days - 1) are determined by the columns "
        "before them and were dropped."
    )
    assert finding.numbers == {"dropped": ("I(2 * Days)", "I(Days - 1)")}
    assert [w.category for w in caught] == [hb.RankDeficientWarning]


def test_dropped_rows_are_a_finding():
    data = hb.load_dataset("sleepstudy_na")
    fit, caught = fit_and_warnings("Reaction ~ Days + (Days | Subject)", data)
    (finding,) = fit.findings
    assert finding.code == "rows_dropped"
    assert finding.sentence == (
        "6 of 180 rows were left out because of missing values: Reaction (4), Days (1) and "
        "Subject (1)."
    )
    assert finding.numbers == {
        "rows": 6,
        "by_column": {"Reaction": 4, "Days": 1, "Subject": 1},
    }
    assert [w.category for w in caught] == [hb.DesignWarning]


@pytest.mark.parametrize(("levels", "said"), [(4, True), (5, False)])
def test_fewer_than_five_levels_are_a_finding(levels, said):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(levels), 10)
    y = 3 * rng.normal(size=levels)[g] + rng.normal(size=g.size)
    fit, caught = fit_and_warnings("y ~ 1 + (1 | g)", {"y": y, "g": g})
    assert [f.code for f in fit.findings] == ["few_levels"] * said
    assert [w.category for w in caught] == [hb.DesignWarning] * said
    if said:
        assert fit.findings[0].sentence == "The grouping factor g has only 4 levels."
        assert fit.findings[0].numbers == {"levels": 4}


def test_warnings_can_be_errors(sleepstudy):
    with warnings.catch_warnings():
        warnings.simplefilter("error", hb.BoundaryWarning)
        with pytest.raises(hb.BoundaryWarning, match="between-Batch"):
            hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff2"))
