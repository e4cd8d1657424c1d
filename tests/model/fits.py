"""What the tests of this folder share: fits without warnings, and everything a fit says."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

import hierbayes as hb


def quietly(call, *args, **options):
    """Call without our warnings, for tests that are about something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hb.HierBayesWarning)
        return call(*args, **options)


def lmer(formula, data, **options):
    """Fit without warnings."""
    return quietly(hb.lmer, formula, data, **options)


def grouped(n_groups=12, *, seed=3):
    """Unbalanced groups whose intercepts and slopes are strongly correlated, and crossed items."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), rng.integers(4, 12, n_groups))
    n = g.size
    x = rng.uniform(0, 10, n)
    item = rng.integers(0, 6, n)
    effects = rng.normal(size=(n_groups, 2)) @ np.array([[4.0, 0.9], [0.0, 0.9]])
    y = 20 + 2 * x + effects[g, 0] + effects[g, 1] * x + rng.normal(0, 1.5, 6)[item]
    return pd.DataFrame(
        {
            "y": y + rng.normal(0, 2, n),
            "x": x,
            "z": rng.normal(size=n),
            "days": rng.integers(0, 5, n),
            "g": np.array([f"g{i:02d}" for i in range(n_groups)])[g],
            "item": np.array(list("abcdef"))[item],
            "f": pd.Categorical(np.array(["low", "mid", "high"])[rng.integers(0, 3, n)],
                                ["low", "mid", "high"]),
            "w": rng.uniform(0.5, 3, n),
            "o": rng.normal(size=n),
        }
    )  # fmt: skip


def said(fit) -> dict[str, Any]:
    """Everything a fit says, as numbers and text by the accessor's name."""
    tables = {
        "fixef": fit.fixef(),
        "vcov": fit.vcov(),
        "varcorr": fit.varcorr().to_frame(),
        "fitted": fit.fitted(),
        "residuals": fit.residuals(),
        "pearson": fit.residuals("pearson"),
        "tidy": fit.tidy(effects=("fixed", "ran_pars", "ran_vals"), ddf="normal"),
        "glance": fit.glance(),
        "augment": fit.augment(),
        "predict": fit.predict(),
        "simulate": fit.simulate(2, random_seed=1),
    }
    for accessor in ("ranef", "ranef_sd", "coef"):
        for group, table in getattr(fit, accessor)().items():
            tables[f"{accessor} {group}"] = table
    numbers = ("theta", "beta", "sigma", "criterion", "loglik", "deviance", "aic", "bic", "nobs",
               "n_params", "df_residual")  # fmt: skip
    words = ("method", "formula_text", "data_name", "converged", "is_singular", "findings",
             "coef_names", "dropped_columns", "n_groups", "rows_dropped", "n_rows_given",
             "weighted", "is_linear_model")  # fmt: skip
    return {
        "tables": tables,
        "numbers": {name: np.asarray(getattr(fit, name), dtype=float) for name in numbers},
        "words": {name: getattr(fit, name) for name in words} | {"summary": fit.summary()},
    }


def assert_says_the_same(fit, other, *, rtol=1e-9, check_words=True):
    first, second = said(fit), said(other)
    assert first["tables"].keys() == second["tables"].keys()
    for name, table in first["tables"].items():
        one, other = (
            t.to_frame() if isinstance(t, pd.Series) else t for t in (table, second["tables"][name])
        )
        pd.testing.assert_frame_equal(
            one, other, rtol=rtol, atol=rtol, obj=name, check_dtype=False, check_index_type=False,
            check_column_type=False, check_categorical=False,
        )  # fmt: skip
    for name, value in first["numbers"].items():
        np.testing.assert_allclose(second["numbers"][name], value, rtol=rtol, atol=rtol,
                                   err_msg=name)  # fmt: skip
    if check_words:
        assert second["words"] == first["words"]
