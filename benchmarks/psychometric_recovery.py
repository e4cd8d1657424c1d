"""Do intervals of thresholds hold the truth? Psychometric functions simulated from a known model.

20 observers, 8 stimuli of 40 trials each, probit, lapse rate 2 %, intercepts and slopes that vary
and go together. The lapse rate is estimated with the rest. Each method's 95 % intervals of PSE and
JND, of the population and of each observer, are held against the truth.

    .venv/bin/python benchmarks/psychometric_recovery.py --sets 1000 --methods delta fieller profile
    .venv/bin/python benchmarks/psychometric_recovery.py --sets 1000 --methods bootstrap posterior

Results are appended to a file, a line a data set and quantity, and a set that is there is not made
again. ``--summary`` prints the table of coverage.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

import hierbayes as hb

SUBJECTS, STIMULI, TRIALS, LAPSE = 20, 8, 40, 0.02
BETA = np.array([0.2, 1.2])
SDS, CORRELATION = np.array([0.5, 0.3]), 0.3
COLUMNS = ("set", "method", "level", "quantity", "truth", "estimate", "lower", "upper", "seconds")
METHODS = ("delta", "fieller", "profile", "bootstrap", "posterior")
OUT = Path("out/psychometric_recovery.csv")


def simulated(seed: int) -> tuple[pd.DataFrame, dict[tuple[str, str], float]]:
    """Draw a data set, and return it with its true PSE and JND."""
    rng = np.random.default_rng(seed)
    R = np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    b = rng.standard_normal((SUBJECTS, 2)) @ np.linalg.cholesky(R * np.outer(SDS, SDS)).T
    x = np.linspace(-2, 2, STIMULI)
    lines = BETA + b
    psi = (1 - LAPSE) * ndtr(lines[:, :1] + lines[:, 1:] * x)
    y = rng.binomial(TRIALS, psi)
    names = [f"s{j + 1:02d}" for j in range(SUBJECTS)]
    data = pd.DataFrame({
        "x": np.tile(x, SUBJECTS), "yes": y.ravel(), "trials": TRIALS,
        "subject": np.repeat(names, STIMULI),
    })  # fmt: skip
    truth = {}
    for level, (a, s) in {"population": BETA, **dict(zip(names, lines, strict=True))}.items():
        truth[level, "pse"] = -a / s
        truth[level, "jnd"] = ndtri(0.75) / s
    return data, truth


def recovered(seed: int, methods: list[str]) -> list[tuple]:
    """Fit one data set and return the lines of its results."""
    data, truth = simulated(seed)
    model = hb.psychometric(
        "yes ~ x + (x | subject)", data, stimulus="x", guess=0.0, lapse="estimate", n="trials"
    )
    rows = []
    fit = model.fit() if set(methods) - {"posterior"} else None
    for method in methods:
        started = time.perf_counter()
        one = _sampled(model, seed) if method == "posterior" else fit
        for name in ("pse", "jnd"):
            options = {"nsim": 400, "random_seed": seed} if method == "bootstrap" else {}
            table = getattr(one, name)(method=method, **options).set_index("level")
            for level, quantity in truth:
                if quantity == name and level in table.index:
                    found = table.loc[level, ["estimate", "lower", "upper"]].tolist()
                    took = round(time.perf_counter() - started, 3)
                    rows.append((seed, method, level, name, truth[level, name], *found, took))
    return rows


def _sampled(model, seed: int):
    """Draw from the posterior; the collapsed sampler has no compiling to wait for."""
    return model.sample(draws=250, sampler="collapsed", random_seed=seed)


def summary(path: Path) -> pd.DataFrame:
    """Coverage, and misses on each side, by method, level and quantity."""
    found = pd.read_csv(path)
    found["level"] = np.where(found["level"] == "population", "population", "observer")
    found["below"] = found["truth"] < found["lower"]
    found["above"] = found["truth"] > found["upper"]
    found["error"] = found["estimate"] - found["truth"]
    found["width"] = found["upper"] - found["lower"]
    by = found.groupby(["method", "level", "quantity"])
    table = by.agg(
        sets=("set", "nunique"),
        coverage=("below", "size"),
        truth_below=("below", "mean"),
        truth_above=("above", "mean"),
        bias=("error", "mean"),
        sd_of_estimates=("error", "std"),
        mean_width=("width", "mean"),
    )
    table["coverage"] = 1 - table["truth_below"] - table["truth_above"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--summary", action="store_true")
    given = parser.parse_args()
    if given.summary:
        print(summary(given.out).round(4).to_string())
        return
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done: set[tuple[int, str]] = set()
    if given.out.exists():
        done = set(pd.read_csv(given.out)[["set", "method"]].itertuples(index=False, name=None))
    else:
        given.out.write_text(",".join(COLUMNS) + "\n")
    for seed in range(1, given.sets + 1):
        left = [method for method in given.methods if (seed, method) not in done]
        if not left:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = recovered(seed, left)
        with given.out.open("a", newline="") as stream:
            csv.writer(stream).writerows(rows)


if __name__ == "__main__":
    main()
