"""Design studies of models whose residuals are correlated or of unequal variance."""

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.planning.replicated_rows import Sizes
from hierbayes.planning.structured_cell import series_rows

GIVEN = {"residual": "ar1(age | Subject)", "sigma": "~ Sex"}


def fitted(formula: str = "distance ~ age * Sex"):
    return hb.lmer(formula, hb.load_dataset("Orthodont"), **GIVEN)


def test_each_data_set_is_fitted_and_tested_as_one_made_by_hand(monkeypatch) -> None:
    from hierbayes.planning import design_study as module

    fit, kept = fitted(), {}
    own = module.structured_outcome

    def watched(study, fit, design, Y):
        kept.update(Y=Y, outcome=own(study, fit, design, Y), design=design)
        return kept["outcome"]

    monkeypatch.setattr(module, "structured_outcome", watched)
    found = hb.design_study(fit, subjects=8, nsim=3, random_seed=1)
    assert found.counted == {"subjects": "series of Subject"}
    rows = series_rows(fit)
    labels = fit.spec.residuals.series.labels[rows.order[:8]]
    data = hb.load_dataset("Orthodont")
    parts = [data[data["Subject"] == own].assign(Subject=f"s{i}") for i, own in enumerate(labels)]
    frame = pd.concat(parts, ignore_index=True)
    sexes = frame.groupby("Subject")["Sex"].first().value_counts()
    assert sexes.max() == 4  # templates alternate
    frame["distance"] = kept["Y"][:, 1]
    again = hb.lmer(fit.formula_text, frame, **GIVEN)
    table = again.tidy("fixed").iloc[1:]
    outcome = kept["outcome"]
    np.testing.assert_allclose(outcome.estimate[1], table["estimate"], rtol=1e-5)
    np.testing.assert_allclose(outcome.low[1], table["conf_low"], rtol=1e-3)
    np.testing.assert_allclose(outcome.high[1], table["conf_high"], rtol=1e-3)


def test_levels_that_are_used_again_are_others() -> None:
    fit = fitted("distance ~ age + (1 | Subject)")
    design = series_rows(fit).design(Sizes(subjects=40))
    assert design.factors[0].levels.size == 40 and design.X.shape[0] == 160
    found = hb.design_study(fit, subjects=[30], nsim=2, random_seed=1, parameters={"age": 0.0})
    assert found.to_frame()["failed"].sum() == 0 and found.truths["age"] == 0


def test_other_sizes_and_posteriors_are_refused() -> None:
    fit = fitted()
    for more in ({"trials": 2}, {"subjects": 5, "estimator": "posterior"}):
        with pytest.raises(hb.NotSupportedError, match="takes subjects= alone"):
            hb.design_study(fit, nsim=2, **more)
    crossed = hb.lmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        hb.load_dataset("Penicillin").assign(h=np.arange(144) % 2), sigma="~ h",
    )  # fmt: skip
    with pytest.raises(hb.NotSupportedError, match="plate and sample are crossed"):
        hb.design_study(crossed, subjects=5)
    with pytest.raises(hb.NotSupportedError, match="bambi has no correlated residuals"):
        fit.model.to_bambi()
