"""What a formula became is told exactly, in words a newcomer understands."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.datasets import load_dataset
from hierbayes.design.build import build_design
from hierbayes.design.table import read_table
from hierbayes.formula.parser import parse_formula
from hierbayes.reports.explain import explain_text
from hierbayes.wording import counted, listed


def explained(formula, data, *, structure="", **arguments):
    frame = load_dataset(data) if isinstance(data, str) else data
    design = build_design(parse_formula(formula), read_table(frame), **arguments)
    return explain_text(design, structure=structure)


def said(*args, **kwargs):
    """The text with line breaks taken out."""
    return " ".join(explained(*args, **kwargs).split())


def test_sleepstudy_from_top_to_bottom():
    text = explained(
        "Reaction ~ Days + (Days | Subject)", "sleepstudy", structure="One block a level."
    )
    assert (
        text
        == """\
Formula: Reaction ~ Days + (Days | Subject)

Response: what is modelled
  Reaction, from 194.3 to 466.4, mean 298.5.

Rows
  All 180 rows of the data are used.

Fixed part: what holds for everybody
  2 coefficients: (Intercept), Days

Random part: how the levels of a grouping factor differ
  (Days | Subject)
    Each level of Subject has its own intercept and effect of Days. They may be
    correlated: 2 variances and 1 covariance.

Grouping factors: number of levels, and rows in a level
          levels fewest median most
  Subject     18     10     10   10

Parameters
  2 coefficients, 2 variances of random effects, 1 covariance and the residual
  variance.

How it is solved
  One block a level."""
    )


def test_independent_effects_are_called_so():
    text = said("Reaction ~ Days + (Days || Subject)", "sleepstudy")
    assert (
        "Each level of Subject has its own intercept and effect of Days. They are independent: "
        "2 variances, no covariance."
    ) in text


def test_nesting_shows_both_factors():
    text = said("strength ~ 1 + (1 | batch/cask)", "Pastes")
    assert "Each level of cask:batch has its own intercept: 1 variance." in text
    assert "Each level of batch has its own intercept: 1 variance." in text
    assert "cask:batch 30 2 2 2" in text
    assert "batch 10 6 6 6" in text


def test_many_columns_count_their_covariances():
    text = said("score ~ Machine + (Machine | Worker)", "Machines")
    assert "its own intercept, effect of MachineB and effect of MachineC." in text
    assert "3 variances and 3 covariances" in text
    assert "Machine: baseline A; a coefficient is a level's difference from it." in text


@pytest.mark.parametrize(
    ("contrasts", "words"),
    [
        ({"recipe": "sum"}, "recipe: sum contrasts: each coefficient is a level's distance"),
        ({"recipe": "helmert"}, "recipe: helmert contrasts: each coefficient compares a level"),
        (None, "temperature: polynomial trend over the levels in their order"),
    ],
)
def test_codings_are_explained(contrasts, words):
    formula = "angle ~ recipe + temperature + (1 | replicate)"
    assert words in said(formula, "cake", contrasts=contrasts)


def test_without_intercept_every_level_has_a_coefficient():
    text = said("score ~ 0 + Machine + (1 | Worker)", "Machines")
    assert "Machine: one coefficient for every level (there is no baseline)." in text


def test_rows_dropped_are_counted_by_column():
    text = said("Reaction ~ Days + (Days | Subject)", "sleepstudy_na")
    assert (
        "174 of 180 rows are used; 6 dropped for missing values (4 in Reaction, 1 in Days and 1 "
        "in Subject)."
    ) in text
    assert "Subject 18 9 10 10" in text


def test_unbalanced_levels_show_fewest_and_most():
    frame = pd.DataFrame(
        {"y": np.arange(7.0) ** 2, "g": ["a", "a", "a", "a", "b", "c", "c"], "x": np.arange(7.0)}
    )
    assert "g 3 1 2 4" in said("y ~ x + (1 | g)", frame)


def test_weights_and_offset_are_told():
    text = said(
        "Reaction ~ Days + (1 | Subject)", "sleepstudy", weights="1/(1 + Days)", offset="Days"
    )
    assert "Weights from 0.1 to 1: a row of weight 4 counts as the mean of 4" in text
    assert "Offset from 0 to 9: added to the prediction as it is" in text


def test_a_known_residual_sd_is_not_a_parameter():
    text = said("Reaction ~ 1 + (1 | Subject)", "sleepstudy", known_sd=np.full(180, 30.0))
    assert "sigma is not estimated" in text
    assert text.endswith("1 coefficient and 1 variance of random effects.")


def test_a_linear_model_has_no_random_part():
    text = explained("Reaction ~ Days", "sleepstudy")
    assert "Random part" not in text
    assert "Grouping factors" not in text
    assert text.endswith("2 coefficients and the residual variance.")


def test_lines_fit_a_terminal():
    formula = "yield ~ factor(nitro) * Variety + (factor(nitro) | Block) + (1 | Block:Variety)"
    assert max(map(len, explained(formula, "Oats").split("\n"))) <= 80


def test_counting_words():
    assert counted(1, "row") == "1 row"
    assert counted(2, "entry", "entries") == "2 entries"
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"


FAMILIES = {
    "bernoulli": ("late", "logit", "2 coefficients and 1 variance of random effects."),
    "t": ("Reaction", "identity", "the residual variance and nu of the family t."),
    "gamma": ("Reaction", "inverse", "1 variance of random effects and alpha of the family gamma."),
    "cumulative": ("band", "logit", "random effects and the thresholds between the categories."),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_are_named_with_their_link_and_their_own_parameters(family):
    response, link, parameters = FAMILIES[family]
    data = load_dataset("sleepstudy")
    data["late"] = data["Reaction"] > 300
    data["band"] = 1 + (data["Reaction"] > 270) + (data["Reaction"] > 330)
    text = hb.Model(f"{response} ~ Days + (1 | Subject)", data, family=family).explain()
    words = " ".join(text.split())
    assert f"Family {family}, link {link}: " in words
    assert parameters in words
    assert ("the residual variance" in words) == (family == "t")
    coefficients = "1 coefficient: Days" if family == "cumulative" else "2 coefficients: (Interc"
    assert coefficients in words
