"""Type I error and power of hb.design_study against refits one by one, in five designs.

    python benchmarks/design_study_calibration.py [data sets a design]

The data sets of the refits are drawn here, row by row from the formulas of the models; each is
fitted on its own and tested by its summary. An effect added to the response along its column of X
moves the estimate by as much and nothing else, so one fit tells both errors.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd

import hierbayes as hb
from hierbayes.intervals.satterthwaite import satterthwaite_df

LEVEL = 0.95


def crossed(subjects: int, items: int) -> pd.DataFrame:
    """Two conditions within subjects and items."""
    rows = [(s, i, c) for s in range(subjects) for i in range(items) for c in (-0.5, 0.5)]
    return pd.DataFrame(rows, columns=["s", "i", "x"])


def days(subjects: int) -> pd.DataFrame:
    """Ten days of each subject."""
    return pd.DataFrame(
        [(s, float(d)) for s in range(subjects) for d in range(10)], columns=["s", "x"]
    )


def groups(subjects: int) -> pd.DataFrame:
    """Two groups of subjects, five trials each."""
    return pd.DataFrame(
        [(s, s % 2 - 0.5) for s in range(subjects) for _ in range(5)], columns=["s", "x"]
    )


def classes(n: int) -> pd.DataFrame:
    """Two kinds of classes with five pupils each, three tests a pupil."""
    rows = [(k, 5 * k + p, k % 2 - 0.5) for k in range(n) for p in range(5) for _ in range(3)]
    return pd.DataFrame(rows, columns=["s", "i", "x"])


# formula, rows, sizes, sds of (intercept, x) of s and of i, correlation, sigma, effect of power
DESIGNS = {
    "slopes of 12 subjects": ("y ~ x + (x | s)", days(12), {"subjects": 12},
                              (25, 6), None, 0.1, 25, 5),
    "16 x 8 crossed intercepts": ("y ~ x + (1 | s) + (1 | i)", crossed(16, 8),
                                  {"subjects": 16, "items": 8}, (60,), (30,), 0, 100, 35),
    "20 x 10 crossed slopes": ("y ~ x + (x | s) + (x | i)", crossed(20, 10),
                               {"subjects": 20, "items": 10}, (60, 40), (40, 30), 0.3, 100, 45),
    "24 subjects in two groups": ("y ~ x + (1 | s)", groups(24), {"subjects": 24},
                                  (60,), None, 0, 100, 80),
    "12 classes of pupils": ("y ~ x + (1 | s) + (1 | i)", classes(12), {"subjects": 12, "items": 5},
                             (30,), (40,), 0, 50, 60),
}  # fmt: skip


def parameters(sds, more, cor, sigma, effect) -> dict[str, float]:
    """Write the truth down by name."""
    truth = {"(Intercept)": 500.0, "x": effect, "sigma": sigma}
    for group, own in (("s", sds), ("i", more)):
        for name, sd in zip(("(Intercept)", "x"), own or (), strict=False):
            truth[f"sd({name}|{group})"] = sd
        if own and len(own) > 1:
            truth[f"cor((Intercept),x|{group})"] = cor
    return truth


def drawn(rows, sds, more, cor, sigma, rng) -> np.ndarray:
    """One response without an effect of x."""
    y = 500 + sigma * rng.standard_normal(len(rows))
    for group, own in (("s", sds), ("i", more)):
        if own is None:
            continue
        codes = rows[group].to_numpy()
        z = rng.standard_normal((codes.max() + 1, 2))
        y += own[0] * z[codes, 0]
        if len(own) > 1:
            slope = own[1] * (cor * z[:, 0] + np.sqrt(1 - cor**2) * z[:, 1])
            y += slope[codes] * rows["x"].to_numpy()
    return y


def refits(formula, rows, sds, more, cor, sigma, effect, n, rng) -> tuple[float, float, float]:
    """Return shares of significant tests without and with the effect, and the mean width."""
    from hierbayes.intervals.many_tests import t_quantile

    fit, L = None, np.array([[0.0, 1.0]])
    counts, width, used = np.zeros(2), 0.0, 0
    for _ in range(n):
        y = drawn(rows, sds, more, cor, sigma, rng)
        fit = hb.lmer(formula, rows.assign(y=y)) if fit is None else fit.refit(y)
        reach = float(t_quantile(satterthwaite_df(fit, L), (1 + LEVEL) / 2)[0] * fit.std_errors[1])
        if not np.isfinite(reach):
            continue
        used += 1
        width += 2 * reach
        counts += np.abs(fit.beta[1] + np.array([0.0, effect])) > reach
    return *(counts / used), width / used


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    warnings.simplefilter("ignore")
    for seed, (name, (formula, rows, sizes, *truth)) in enumerate(DESIGNS.items()):
        sds, more, cor, sigma, effect = truth
        began = time.process_time()
        found = []
        for value in (0.0, effect):
            study = hb.design_study(
                formula, rows, parameters(sds, more, cor, sigma, value), **sizes,
                level=LEVEL, nsim=n, random_seed=seed + 10,
            )  # fmt: skip
            found.append(study.table.iloc[0])
        ours = time.process_time() - began
        began = time.process_time()
        alone = refits(formula, rows, sds, more, cor, sigma, effect, n,
                       np.random.default_rng(seed))  # fmt: skip
        theirs = time.process_time() - began
        print(f"{name}: {n} data sets; study {ours / 2:.0f} s, one by one {theirs:.0f} s")
        for what, own, one in zip(("type I", "power"), found, alone[:2], strict=True):
            error = float(np.hypot(own["power_mcse"], np.sqrt(one * (1 - one) / n)))
            z = (own["power"] - one) / error
            print(f"  {what}: study {own['power']:.4f}, one by one {one:.4f}, z {z:+.2f}")
        w = found[1]
        print(f"  width {w['width']:.3f} ({w['width_mcse']:.3f}) and {alone[2]:.3f}; failed "
              f"{w['failed']}, singular {w['singular'] / n:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
