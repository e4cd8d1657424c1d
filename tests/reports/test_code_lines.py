"""The code that a report shows makes the same result again, whatever the model was given."""

import re

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.reports.code_lines import comparison_code, data_lines, fit_code

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return hb.load_dataset("sleepstudy")


def shown_code(result, path):
    """The last Python block of a Markdown report."""
    text = result.report(path).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[-1]


def run(code, **names):
    """Run lines; ``names`` stand in place of the lines that could not be written."""
    lines = [line for line in code.splitlines() if "= ...  #" not in line]
    names["print"] = lambda *_: None
    exec("\n".join(lines), names)
    return names


@pytest.mark.filterwarnings("ignore::hierbayes.errors.BoundaryWarning")
def test_the_code_of_a_fit_has_all_the_model_was_given(tmp_path):
    schools = hb.load_dataset("eight_schools")
    fit = hb.Model("effect ~ 1 + (1 | school)", schools, known_sd="se").fit("ml")
    made = run(shown_code(fit, tmp_path / "x.md"))["fit"]
    assert made.criterion == fit.criterion and made.method == "ml"


def test_a_posterior_is_made_again_with_its_priors_and_seed(sleep, tmp_path):
    priors = {"Days": hb.Normal(0, 1 / 3), "cor": hb.LKJ(3), "sd(Days|Subject)": hb.HalfNormal(5)}
    post = hb.Model(FORMULA, sleep, priors=priors).sample(200, 2, random_seed=7)
    made = run(shown_code(post, tmp_path / "x.md"))["fit"]
    np.testing.assert_array_equal(made.draws.beta, post.draws.beta)


def test_two_posteriors_of_different_priors_are_two_models(sleep):
    posts = [
        hb.Model(FORMULA, sleep, priors=priors).sample(200, 2, random_seed=seed)
        for priors, seed in ((None, 1), ({"Days": hb.Normal(0, 1)}, 2), (None, 3))
    ]
    code = "\n".join(comparison_code(posts))
    assert code.count("hb.Model(") == 2
    made = run(code)
    for number, post in enumerate(posts, start=1):
        np.testing.assert_array_equal(made[f"fit{number}"].draws.beta, post.draws.beta)


def test_arrays_and_changed_data_are_named_not_written(sleep):
    weights = np.linspace(1, 2, 180)
    frame = sleep.assign(**{'it\'s "x"': np.arange(180.0)})
    fit = hb.lmer('Reaction ~ `it\'s "x"` + (1 | Subject)', frame, weights=weights)
    code = "\n".join(fit_code(fit))
    assert "weights = ...  # the 180 numbers" in code and "data = ..." in code
    made = run(code, data=frame, weights=weights)["fit"]
    assert made.criterion == fit.criterion
    fewer = hb.lmer(FORMULA, sleep[sleep["Days"] > 2])  # still called sleepstudy
    assert data_lines(fewer) == ("data = ...  # the data frame of this report (sleepstudy)",)
    assert data_lines(hb.lmer(FORMULA, sleep)) == ('data = hb.load_dataset("sleepstudy")',)


def test_data_from_a_file_are_named_by_it(sleep, tmp_path):
    path = tmp_path / "my sleep.csv"
    sleep.to_csv(path, index=False)
    fit = hb.lmer("Reaction ~ Days", path)
    assert data_lines(fit) == (f'data = "{path}"',)
    assert run("\n".join(fit_code(fit)))["fit"].criterion == fit.criterion


def test_another_response_is_said(sleep):
    again = hb.lmer(FORMULA, sleep).refit(sleep["Reaction"] + 1)
    assert any("response was replaced" in line for line in data_lines(again))


@pytest.mark.filterwarnings("ignore::hierbayes.ConvergenceWarning")  # 100 draws of any seed
def test_a_refit_has_draws_of_its_own(sleep):
    post = hb.Model(FORMULA, sleep).sample(50, 2, random_seed=1)
    assert post.settings["random_seed"] == 1
    again = post.refit(sleep["Reaction"])
    assert "random_seed" not in again.settings
    assert not np.array_equal(again.draws.beta, post.draws.beta)


@pytest.mark.parametrize(
    "given",
    [
        {"expected": 5.0, "threshold": 8, "level": 0.9},
        {"priors": {"mine": {"Days": hb.Normal(0, 5)}, "flat": "flat"}, "weights": "w"},
    ],
)
def test_the_code_of_a_reanalysis_makes_it_again(sleep, tmp_path, given):
    frame = sleep.assign(w=np.linspace(1, 2, 180))
    found = hb.reanalyse(FORMULA, frame, random_seed=3, **given)
    made = run(shown_code(found, tmp_path / "x.md"), data=frame)["found"]
    pd.testing.assert_frame_equal(made.to_frame(), found.to_frame())
    assert (made.threshold, made.level) == (found.threshold, found.level)


def test_a_threshold_of_a_negative_effect_lies_below_it(sleep, tmp_path):
    frame = sleep.assign(Days=-sleep["Days"])
    found = hb.reanalyse(FORMULA, frame, threshold=8, random_seed=3)
    draws = found.fits["neutral"].draws.beta[:, :, 1]
    assert found.to_frame().loc["neutral", "prob_beyond"] == (draws < -8).mean()
    text = found.report(tmp_path / "x.html").read_text(encoding="utf-8")
    assert "P(&lt;-8)" in text and "is below -8" in text and "P(&gt;8)" not in text
