"""The user's priors: which name reaches which parameter, and one sentence for each mistake."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


def texts(model: hb.Model) -> dict[str, str]:
    table = model.priors
    return dict(zip(table["parameter"], table["prior"], strict=True))


def given(model: hb.Model) -> dict[str, str]:
    """Priors that came from the user."""
    table = model.priors
    table = table[table["source"] == "user"]
    return dict(zip(table["parameter"], table["prior"], strict=True))


SD_0, SD_1 = "sd((Intercept)|Subject)", "sd(Days|Subject)"


@pytest.mark.parametrize(
    ("priors", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"Days": hb.Normal(0, 10)}, {"Days": "Normal(0, 10)"}),
        ({"(Intercept)": hb.StudentT(3, 250, 50)}, {"(Intercept)": "StudentT(3, 250, 50)"}),
        ({SD_1: hb.HalfNormal(10)}, {SD_1: "HalfNormal(10)"}),
        ({" sd( Days | Subject ) ": hb.HalfNormal(10)}, {SD_1: "HalfNormal(10)"}),
        ({"cor(Subject)": hb.LKJ(4)}, {"cor(Subject)": "LKJ(4)"}),
        ({"sigma": hb.Exponential(0.02)}, {"sigma": "Exponential(0.02)"}),
        ({"b": hb.Cauchy(0, 5)}, {"Days": "Cauchy(0, 5)"}),
        ({"b(Days)": hb.Cauchy(0, 5)}, {"Days": "Cauchy(0, 5)"}),
        ({"sd": hb.HalfCauchy(5)}, {SD_0: "HalfCauchy(5)", SD_1: "HalfCauchy(5)"}),
        ({"sd(Subject)": hb.Gamma(2, 1)}, {SD_0: "Gamma(2, 1)", SD_1: "Gamma(2, 1)"}),
        ({"cor": hb.LKJ(1)}, {"cor(Subject)": "LKJ(1)"}),
        (
            {SD_1: hb.HalfNormal(1), "sd": hb.HalfNormal(3), "sd(Subject)": hb.HalfNormal(2)},
            {SD_0: "HalfNormal(2)", SD_1: "HalfNormal(1)"},
        ),
        (
            {"sd": hb.HalfNormal(3), "sd(Subject)": hb.HalfNormal(2), SD_1: hb.HalfNormal(1)},
            {SD_0: "HalfNormal(2)", SD_1: "HalfNormal(1)"},
        ),
        ("flat", {"(Intercept)": "Flat()", "Days": "Flat()"}),
        ({"Days": hb.Flat()}, {"Days": "Flat()"}),
        ({"sigma": hb.Flat()}, {"sigma": "HalfFlat()"}),
        ({SD_0: hb.Uniform(0, 100)}, {SD_0: "Uniform(0, 100)"}),
    ],
)
def test_a_name_reaches_its_parameters_and_no_others(sleep, priors, expected):
    model = hb.Model(FORMULA, sleep, priors=priors)
    assert given(model) == expected
    untouched = texts(hb.Model(FORMULA, sleep))
    assert texts(model) == untouched | expected


def test_one_factor_of_several_is_reached(sleep):
    pastes = hb.load_dataset("Pastes")
    priors = {"sd(cask:batch)": hb.HalfNormal(2), "sd": hb.HalfNormal(9)}
    model = hb.Model("strength ~ 1 + (1 | batch/cask)", pastes, priors=priors)
    assert given(model) == {
        "sd((Intercept)|cask:batch)": "HalfNormal(2)",
        "sd((Intercept)|batch)": "HalfNormal(9)",
    }


def test_independent_terms_are_reached_by_column_and_by_term(sleep):
    priors = {"sd(Days|Subject)": hb.HalfNormal(2), "sd(Subject)": hb.HalfNormal(9)}
    model = hb.Model("Reaction ~ Days + (Days || Subject)", sleep, priors=priors)
    assert given(model) == {SD_0: "HalfNormal(9)", SD_1: "HalfNormal(2)"}
    assert model.spec.priors.sd[0] == (hb.HalfNormal(9), hb.HalfNormal(2))


def test_a_column_called_sigma_has_a_name_of_its_own(sleep):
    data = sleep.rename(columns={"Days": "sigma"})
    priors = {"sigma": hb.HalfNormal(7), "b(sigma)": hb.Normal(1, 2)}
    model = hb.Model("Reaction ~ sigma + (1 | Subject)", data, priors=priors)
    assert given(model) == {"b(sigma)": "Normal(1, 2)", "sigma": "HalfNormal(7)"}


def test_names_with_blanks_are_the_printed_ones(sleep):
    priors = {"poly(Days, 2)1": hb.Normal(0, 500)}
    model = hb.Model("Reaction ~ poly(Days, 2) + (1 | Subject)", sleep, priors=priors)
    assert given(model) == {"poly(Days, 2)1": "Normal(0, 500)"}


VALID = (
    "Its parameters are '(Intercept)', 'Days', 'sd((Intercept)|Subject)', 'sd(Days|Subject)', "
    "'cor(Subject)', 'sigma'; classes 'b', 'sd', 'cor'."
)
N = hb.Normal(0, 1)


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        (
            {"Dayz": N},
            f"priors: 'Dayz' is not a parameter of this model; did you mean 'Days'? {VALID}",
        ),
        (
            {"sd(Days|Subjekt)": hb.HalfNormal(1)},
            "priors: 'sd(Days|Subjekt)' is not a parameter of this model; did you mean "
            f"'sd(Days|Subject)'? {VALID}",
        ),
        ({"zzzz": N}, f"priors: 'zzzz' is not a parameter of this model. {VALID}"),
        (
            {"sd": hb.Normal(0, 3)},
            "priors['sd']: Normal(0, 3) allows values that 'sd((Intercept)|Subject)' can't have: "
            "it is never negative. Use for example hb.HalfNormal(3).",
        ),
        (
            {"sigma": hb.StudentT(3, 0, 2)},
            "priors['sigma']: StudentT(3, 0, 2) allows values that 'sigma' can't have: it is "
            "never negative. Use for example hb.HalfStudentT(3, 2).",
        ),
        (
            {"sigma": hb.Cauchy(1, 2)},
            "priors['sigma']: Cauchy(1, 2) allows values that 'sigma' can't have: it is never "
            "negative. Use for example hb.HalfCauchy(2).",
        ),
        (
            {"sigma": hb.Uniform(-1, 2)},
            "priors['sigma']: Uniform(-1, 2) allows values that 'sigma' can't have: it is never "
            "negative. Use for example hb.Uniform(0, 2).",
        ),
        (
            {"cor(Subject)": N},
            "priors['cor(Subject)']: Normal(0, 1) can't be a prior of correlations; use LKJ, as "
            "in hb.LKJ(2).",
        ),
        (
            {"Days": hb.LKJ(2)},
            "priors['Days']: LKJ(2) is a prior of correlations, and 'Days' is not one; use for "
            "example hb.Normal(0, 10).",
        ),
        (
            {"sd": hb.LKJ(2)},
            "priors['sd']: LKJ(2) is a prior of correlations, and 'sd((Intercept)|Subject)' is "
            "not one; use for example hb.HalfNormal(10).",
        ),
        (
            {"Days": 3},
            "priors['Days'] is 3, not a prior of hierbayes; write for example hb.Normal(0, 10).",
        ),
        (
            {"Days": hb.Normal},
            "priors['Days']: hb.Normal needs its parameters in parentheses.",
        ),
        ({1: N}, "priors: 1 must be the name of a parameter, as text."),
        (
            {"Days": N, "Days ": N},
            "priors: 'Days' and 'Days ' name the same parameter.",
        ),
        (
            "flatt",
            'priors=\'flatt\' must be a dict such as priors={"Days": hb.Normal(0, 10)}, or "flat".',
        ),
        (
            [N],
            'priors=a list must be a dict such as priors={"Days": hb.Normal(0, 10)}, or "flat".',
        ),
    ],
)
def test_a_mistake_is_one_clear_sentence(sleep, priors, message):
    with pytest.raises(hb.PriorError) as raised:
        hb.Model(FORMULA, sleep, priors=priors)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("formula", "priors", "message"),
    [
        (
            "Reaction ~ Days + (Days || Subject)",
            {"cor(Subject)": hb.LKJ(2)},
            "priors: 'cor(Subject)' is not a parameter: no random effects are correlated there",
        ),
        (
            "Reaction ~ Days + (1 | Subject)",
            {"cor": hb.LKJ(2)},
            "priors: 'cor' is not a parameter: no random effects are correlated there",
        ),
        (
            "Reaction ~ Days",
            {"sd": hb.HalfNormal(2)},
            "priors: 'sd' is not a parameter: there are no random effects",
        ),
        (
            "Reaction ~ 1 + (1 | Subject)",
            {"b": N},
            "priors: 'b' is not a parameter of this model. Its parameters are",
        ),
        (
            "Reaction ~ 0 + Days + (1 | Subject)",
            {"(Intercept)": N},
            "priors: '(Intercept)' is not a parameter of this model",
        ),
    ],
)
def test_what_a_model_lacks_has_no_prior(sleep, formula, priors, message):
    with pytest.raises(hb.PriorError) as raised:
        hb.Model(formula, sleep, priors=priors)
    assert str(raised.value).startswith(message)


def test_a_known_sigma_has_no_prior(sleep):
    data = sleep.assign(se=30.0)
    with pytest.raises(hb.PriorError, match=r"the residual sds are known \(known_sd\)"):
        hb.Model(FORMULA, data, known_sd="se", priors={"sigma": hb.HalfNormal(1)})


@pytest.mark.parametrize("name", ["Hours", "b(Hours)"])
def test_a_dropped_column_has_no_prior(sleep, name):
    data = sleep.assign(Hours=24 * sleep["Days"])
    formula = "Reaction ~ Days + Hours + (1 | Subject)"
    assert "Hours" not in texts(hb.Model(formula, data))
    with pytest.raises(hb.PriorError) as raised:
        hb.Model(formula, data, priors={name: N})
    assert str(raised.value) == (
        f"priors: {name!r} has no prior: its column was dropped, since earlier columns determine "
        "it. Leave it out."
    )


def test_a_long_list_of_names_is_cut():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 21)), columns=["y", *(f"x{k}" for k in range(20))])
    with pytest.raises(hb.PriorError, match="and 10 more; classes 'b'"):
        hb.Model("y ~ .", data, priors={"x99": N})


def test_pymc_objects_are_named_for_what_they_are(sleep):
    pm = pytest.importorskip("pymc")
    with pytest.raises(hb.PriorError, match="not a prior of hierbayes; write for example"):
        hb.Model(FORMULA, sleep, priors={"Days": pm.Normal.dist(0, 1)})


# the model around them


@pytest.mark.parametrize(
    ("priors", "proper"),
    [(None, True), ("flat", False), ({"sigma": hb.Flat()}, False), ({"sd": hb.Flat()}, False)],
)
def test_a_flat_prior_makes_the_model_improper(sleep, priors, proper):
    assert hb.Model(FORMULA, sleep, priors=priors).spec.priors.is_proper == proper


def test_likelihood_fits_do_not_depend_on_priors(sleep):
    with_priors = hb.Model(FORMULA, sleep, priors={"Days": hb.Normal(0, 0.1)}).fit()
    assert with_priors.criterion == hb.Model(FORMULA, sleep).fit().criterion


def test_priors_are_copied(sleep):
    mine = {"Days": hb.Normal(0, 10)}
    model = hb.Model(FORMULA, sleep, priors=mine)
    mine["Days"] = hb.Normal(0, 99)
    assert given(model) == {"Days": "Normal(0, 10)"}


def test_an_updated_formula_keeps_the_priors_of_what_is_left(sleep):
    priors = {"Days": hb.Normal(0, 10), SD_1: hb.HalfNormal(4), "sd": hb.HalfNormal(40)}
    fit = hb.Model(FORMULA, sleep, priors=priors).fit()
    fewer = fit.update(". ~ . - Days - (Days | Subject) + (1 | Subject)")
    assert given(fewer.model) == {"sd((Intercept)|Subject)": "HalfNormal(40)"}
    assert given(fit.update(". ~ .").model) == given(fit.model)


def test_defaults_follow_the_response_of_a_refit(sleep):
    fit = hb.Model(FORMULA, sleep, priors={"Days": hb.Normal(0, 10)}).fit()
    doubled = fit.refit(2 * sleep["Reaction"])
    assert texts(doubled.model)["sigma"] == "HalfStudentT(4, 112.7)"
    assert given(doubled.model) == {"Days": "Normal(0, 10)"}


@pytest.mark.parametrize(
    "priors",
    [None, "flat", {"Days": hb.Normal(0.1, 1 / 3), "cor": hb.LKJ(1.5), "sigma": hb.Flat()}],
)
def test_a_saved_fit_keeps_its_priors(sleep, tmp_path, priors):
    fit = hb.Model(FORMULA, sleep, priors=priors).fit()
    fit.save(tmp_path / "a.fit")
    again = hb.load(tmp_path / "a.fit").model.spec.priors
    before = fit.spec.priors
    assert again.from_user == before.from_user
    for ours, theirs in zip(before.parameters, again.parameters, strict=True):
        if ours.name in before.from_user:
            assert again.of(theirs) == before.of(ours)
