"""Marginal means of nested factors: over the combinations that exist, as R's emmeans has them."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb

pytestmark = pytest.mark.filterwarnings("ignore::hierbayes.errors.HierBayesWarning")
RTOL = 1e-8  # R's values have ten digits


def clinics():
    """Five clinics, two in arm A and three in arm B, both sexes, four rows a cell."""
    number = np.tile(np.repeat(np.arange(1, 6), 4), 2)
    male = np.repeat([False, True], 20)
    y = np.round(np.sin(np.arange(1, 41) * 1.7) * 10) / 2 + number + male * number**2 / 3
    return pd.DataFrame(
        {
            "y": y,
            "clinic": [f"c{i}" for i in number],
            "trt": np.where(number <= 2, "A", "B"),
            "arm": np.where(number <= 2, 0, 1),
            "region": np.array(["r1", "r2", "r3", "r4", "r4"])[number - 1],
            "sex": np.where(male, "m", "f"),
            "patient": np.tile([f"p{i}" for i in range(8)], 5),
        }
    )


# emmeans 1.8.4 of lm(y ~ trt + clinic + sex): means, then their standard errors.
REFERENCE = {
    "trt": ([1.947916667, 6.736111111], [1.0519832266, 0.8589407078]),
    "clinic": (
        [1.229166667, 2.666666667, 4.500000000, 6.604166667, 9.104166667],
        [1.487728947] * 5,
    ),
    "sex": ([2.821180556, 5.862847222], [0.950673154] * 2),
    "": ([4.342013889], [0.6790522529]),
}
MODELS = ("y ~ trt + clinic + sex", "y ~ clinic + trt + sex", "y ~ trt/clinic + sex",
          "y ~ trt + clinic + sex + (1 | patient)")  # fmt: skip


@pytest.mark.parametrize("formula", MODELS)
@pytest.mark.parametrize("specs", REFERENCE)
def test_means_of_nested_factors_are_rs(formula, specs):
    found = hb.emmeans(hb.lmer(formula, clinics()), [specs] if specs else [])
    estimates, errors = REFERENCE[specs]
    assert found.means["estimate"].tolist() == pytest.approx(estimates, rel=RTOL)
    assert found.means["std_error"].tolist() == pytest.approx(errors, rel=RTOL)
    assert "clinic is nested in trt: averages are over the combinations that exist." in found.notes
    assert not any("interaction" in note or "not determined" in note for note in found.notes)


def test_a_nested_factor_is_shown_with_what_it_is_nested_in():
    found = hb.emmeans(hb.lmer(MODELS[0], clinics()), "clinic", contrasts="pairwise")
    assert found.means[["clinic", "trt"]].values.tolist() == [
        ["c1", "A"], ["c2", "A"], ["c3", "B"], ["c4", "B"], ["c5", "B"],
    ]  # fmt: skip
    assert found.contrasts["contrast"].iloc[1] == "c1 A - c3 B"
    own = hb.emmeans(hb.lmer(MODELS[0], clinics()), "clinic", contrasts=[("c1", "c3")]).contrasts
    assert own["estimate"].iloc[0] == pytest.approx(1.229166667 - 4.5, rel=RTOL)


def test_groups_of_unequal_size_have_their_own_contrasts():
    fit = hb.lmer(MODELS[0], clinics())
    found = hb.emmeans(fit, "clinic", by="trt", contrasts="pairwise")
    table = found.contrasts
    assert table["trt"].tolist() == ["A", "B", "B", "B"]
    assert table["contrast"].tolist() == ["c1 - c2", "c3 - c4", "c3 - c5", "c4 - c5"]
    assert table["estimate"].tolist() == pytest.approx([-1.4375, -2.1041667, -4.6041667, -2.5])
    assert table["p_value"].tolist() == pytest.approx([0.4991, 0.5819, 0.0877, 0.4682], abs=5e-5)
    assert "comparing 2 to 3 means within each group" in found.contrast_words


def test_levels_nested_in_levels_are_averaged_from_the_inside():
    fit = hb.lmer("y ~ trt + region + clinic", clinics())
    means = hb.emmeans(fit, "trt").means["estimate"].tolist()
    assert means == pytest.approx([1.9479167, 6.1770833], abs=1e-7)  # r3 and r4 count alike
    regions = hb.emmeans(fit, "region").means
    assert regions["trt"].tolist() == ["A", "A", "B", "B"]
    assert hb.emmeans(fit, "clinic").means.columns[:3].tolist() == ["clinic", "trt", "region"]


def test_a_dummy_of_the_arm_nests_like_a_factor():
    fit = hb.lmer("y ~ arm + clinic + sex", clinics())
    found = hb.emmeans(fit, "arm").means
    assert found["estimate"].tolist() == pytest.approx(REFERENCE["trt"][0], rel=RTOL)


def test_some_levels_of_a_nested_factor():
    found = hb.emmeans(hb.lmer(MODELS[0], clinics()), "trt", at={"clinic": ["c1", "c3", "c4"]})
    assert found.means["estimate"].tolist() == pytest.approx([1.229166667, 5.552083333], rel=RTOL)


def test_a_posterior_averages_over_the_same_cells():
    data = clinics()
    post = hb.Model(MODELS[0], data).sample(draws=100, chains=2, random_seed=1)
    trt = hb.emmeans(post, "trt").means["estimate"]
    cells = hb.emmeans(post, "clinic").means["estimate"]
    assert trt.tolist() == pytest.approx([cells[:2].mean(), cells[2:].mean()])


def test_the_mean_over_everything():
    fit = hb.lmer("y ~ sex + (1 | clinic)", clinics())
    found = hb.emmeans(fit, [])
    assert found.means["1"].tolist() == ["overall"]
    both = hb.emmeans(fit, "sex").means["estimate"]
    assert found.means["estimate"].iloc[0] == pytest.approx(both.mean())
    by = hb.emmeans(fit, [], by="sex").means
    assert by["estimate"].tolist() == pytest.approx(both.tolist())
    alone = hb.lmer("y ~ 1 + (1 | clinic)", clinics())
    assert hb.emmeans(alone, []).means["estimate"].iloc[0] == pytest.approx(alone.beta[0])
