"""Formulas of further parameters: the design they make, and what is said of wrong ones."""

import inspect

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.families.parameter_formulas import PARAMETERS
from hierbayes.specification.build import with_formula
from hierbayes.specification.specification import Arguments

N = 24
FRAME = pd.DataFrame(
    {
        "y": np.linspace(1.0, 3.0, N) + np.tile([0.5, -0.2, 0.1], 8),
        "x": np.tile(np.arange(6.0), 4),
        "z": np.repeat([0.5, 2.0, 1.0], 8),
        "g": np.repeat(list("abcd"), 6),
        "h": np.tile(list("uvw"), 8),
        "k": np.tile([0.0, 3.0, 1.0, 2.0], 6),
    }
)


def test_a_parameter_has_the_predictor_that_its_formula_would_give_the_mean():
    model = hb.Model("y ~ x", FRAME, sigma="~ h*x + (x | g)", contrasts={"h": "sum"})
    other = hb.Model("y ~ h*x + (x | g)", FRAME, contrasts={"h": "sum"})
    own, like = model.design.of("sigma"), other.design
    assert own.coef_names == like.coef_names
    np.testing.assert_array_equal(own.X, like.X)
    np.testing.assert_array_equal(own.factors[0].z, like.factors[0].z)
    assert own.factors[0].name == "g" and own.terms[0].columns == (0, 1)
    assert model.design.predictors["sigma"] is own.mean
    assert model.design.coef_names == ("(Intercept)", "x") and not model.design.factors


def test_rows_without_a_value_of_a_variable_of_any_formula_are_dropped():
    holes = FRAME.assign(z=FRAME.z.where(FRAME.index != 3), x=FRAME.x.where(FRAME.index != 5))
    model = hb.Model("y ~ x", holes, sigma="~ z")
    assert model.design.dropped == {"x": 1, "z": 1}
    assert model.design.predictors["sigma"].X.shape == (N - 2, 2)
    some = model.design.with_rows(np.array([4, 1]))
    np.testing.assert_array_equal(
        some.predictors["sigma"].X, model.design.predictors["sigma"].X[[4, 1]]
    )


def test_offsets_belong_to_the_formula_they_stand_in():
    model = hb.Model("y ~ x", FRAME, sigma="~ 1 + offset(z)", offset="k")
    np.testing.assert_array_equal(model.design.offset, FRAME.k)
    np.testing.assert_array_equal(model.design.predictors["sigma"].offset, FRAME.z)


def test_a_dot_is_every_column_but_the_response():
    design = hb.Model("y ~ x", FRAME[["y", "x", "z"]], sigma="~ .").design
    assert design.of("sigma").coef_names == ("(Intercept)", "x", "z")


def test_explain_says_what_a_formula_became():
    said = hb.Model("y ~ x", FRAME, sigma="~ z + (1 | g)").explain()
    assert "sigma ~ z + (1 | g): how sigma differs between rows" in said
    assert "Each level of g has its own intercept" in said
    assert "residual variance" not in said


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"alpha": "~ x"},
            hb.OptionError,
            r"family='gaussian' has no parameter 'alpha' to have a formula; it has sigma\.",
        ),
        (
            {"sigma": "~ x", "family": "gamma"},
            hb.OptionError,
            r"family='gamma' has no parameter 'sigma' to have a formula; it has alpha\.",
        ),
        (
            {"zi": "~ x", "family": "exponential"},
            hb.OptionError,
            r"no parameter 'zi' to have a formula; it has no further parameter\.",
        ),
        ({"sigma": "y ~ x"}, hb.FormulaError, r"nothing left of '~'"),
        ({"sigma": "x"}, hb.OptionError, r"needs a '~' before .* sigma=\"~ x\""),
        ({"sigma": "~ y"}, hb.FormulaError, r"response 'y' also stands among the predictors"),
        ({"sigma": "~ nowhere"}, hb.DataError, r"nowhere"),
        ({"sigma": "~ exec('1')"}, hb.FormulaError, r"exec"),
        ({"sigma": 2.0}, hb.OptionError, r"must be a formula as text.*Known residual sds"),
        ({"sigma": "~ x", "known_sd": "z"}, hb.OptionError, r"known_sd and sigma='~ x' were both"),
        ({"sigma": "~ x", "stream": True}, hb.NotSupportedError, r"sigma= with data .* streamed"),
    ],
)
def test_a_wrong_formula_gets_a_sentence(options, error, words):
    with pytest.raises(error, match=words):
        hb.Model("y ~ x", FRAME, **options)


def test_psi_and_zi_are_one_parameter():
    counts = FRAME.assign(y=np.arange(N) % 3)
    with pytest.raises(hb.OptionError, match="zi is 1 - psi"):
        hb.Model("y ~ x", counts, "zero_inflated_poisson", zi="~ x", psi="~ x")
    design = hb.Model("y ~ x", counts, "zero_inflated_poisson", zi="~ x").design
    assert list(design.formulas) == ["zi"]


def test_what_takes_rows_to_share_a_parameter_is_refused():
    model = hb.Model("y ~ x + (1 | g)", FRAME, sigma="~ x + (1 | g)")
    with pytest.raises(
        hb.NotSupportedError, match=r"Model\.fit does not know .* sigma .*Model\.sample\(\)"
    ):
        model.fit()


def test_arguments_stand_in_one_order():
    fields = list(Arguments.__dataclass_fields__)
    assert tuple(fields[-len(PARAMETERS) :]) == PARAMETERS
    for function in (hb.Model, hb.lmer, hb.glmer):
        parameters = inspect.signature(function).parameters
        names = [name for name in parameters if name in PARAMETERS]
        assert tuple(names) == PARAMETERS
        assert all(
            parameters[name].default is None and parameters[name].kind.name == "KEYWORD_ONLY"
            for name in names
        )


def test_a_changed_formula_of_the_mean_keeps_those_of_parameters():
    model = hb.Model("y ~ x + z", FRAME, sigma="~ h")
    changed = with_formula(model.spec, ". ~ . - z")
    assert changed.arguments.sigma == "~ h" and "sigma" in changed.design.formulas
