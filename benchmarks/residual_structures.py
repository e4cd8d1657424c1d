"""Fits of correlated residuals and of unequal variance beside nlme's gls and lme, in one run.

    .venv/bin/python benchmarks/residual_structures.py

Ovary and Orthodont as the tests have them; calls of both take turns, and medians over the rounds
are compared by processor time, which other work on the machine disturbs least.
"""

import argparse
import json
import statistics
import subprocess
import time
import warnings
from pathlib import Path

import pandas as pd

import hierbayes as hb

HERE = Path(__file__).parent
DATA = HERE.parent / "tests" / "reference" / "residuals"
GOAL = 0.1  # of nlme's time
APART = 1e-4  # of the criteria: nlme stops where its own tolerances let it
CYCLE = "follicles ~ sin(2*pi*Time) + cos(2*pi*Time)"
GROWTH = "distance ~ age * Sex"
AR1, CS = "ar1(occasion | Mare)", "cs(1 | Subject)"
CASES = {
    "ovary-gls": (CYCLE, {"residual": AR1}),
    "ovary-lme": (f"{CYCLE} + (1 | Mare)", {"residual": AR1}),
    "orthodont-gls-cs": (GROWTH, {"residual": CS}),
    "orthodont-gls-sex": (GROWTH, {"sigma": "~ Sex"}),
    "orthodont-gls-both": (GROWTH, {"residual": CS, "sigma": "~ Sex"}),
    "orthodont-lme": (f"{GROWTH} + (1 | Subject)", {"sigma": "~ Sex"}),
    "orthodont-lme-slopes": (f"{GROWTH} + (age | Subject)", {"sigma": "~ Sex"}),
}


def data_of(name: str) -> pd.DataFrame:
    """Rows of a case, its factors as such."""
    data = pd.read_csv(DATA / f"{name.partition('-')[0]}.csv")
    own = [column for column in ("Mare", "Subject", "Sex") if column in data]
    return data.assign(**{column: data[column].astype(str).astype("category") for column in own})


def ours(name: str, data: pd.DataFrame, calls: int) -> tuple[float, float]:
    """Processor seconds of a call, and the criterion."""
    formula, given = CASES[name]
    before = time.process_time()
    for _ in range(calls):
        fit = hb.lmer(formula, data, **given)
    return (time.process_time() - before) / calls, fit.criterion


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=5, help="calls of each a round")
    given = parser.parse_args()
    warnings.simplefilter("ignore", hb.HierBayesWarning)
    command = ["Rscript", str(HERE / "residual_structures.R"), str(DATA)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as R:
        assert R.stdin is not None and R.stdout is not None
        print("| case | ours, ms | nlme, ms | ratio | within 1/10 |\n|---|---|---|---|---|")
        for name in CASES:
            data, mine, theirs = data_of(name), [], []
            ours(name, data, given.calls)
            for _ in range(given.rounds):
                seconds, criterion = ours(name, data, given.calls)
                mine.append(seconds)
                R.stdin.write(f"fit\t{name}\t{given.calls}\n")
                R.stdin.flush()
                answer = json.loads(R.stdout.readline().removeprefix("@@"))
                theirs.append(answer["processor"])
                if criterion > answer["criterion"] + APART:
                    raise SystemExit(f"{name}: {criterion} is above nlme's {answer['criterion']}")
            a, b = statistics.median(mine), statistics.median(theirs)
            verdict = "yes" if a / b <= GOAL else "no"
            print(f"| {name} | {1e3 * a:.1f} | {1e3 * b:.1f} | {a / b:.2f} | {verdict} |")
        R.stdin.close()


if __name__ == "__main__":
    main()
