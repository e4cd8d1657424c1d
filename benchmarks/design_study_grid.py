"""How long a grid of 100 designs takes, a thousand data sets each, and a loop of lme4's fits.

    python benchmarks/design_study_grid.py [data sets a design] [fits of lme4 a design]

A crossed model with slopes of subjects and items, up to 40 x 20. Ours is the time on the clock of
two processors, tests included; lme4's is that of its fits alone, on one thread.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import hierbayes as hb

SUBJECTS = [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
ITEMS = [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
FORMULA = "rt ~ x + (x | who) + (x | word)"
PLAN = {"x": [-0.5, 0.5] * 4, "who": [1, 1, 1, 1, 2, 2, 2, 2], "word": [1, 1, 2, 2] * 2}
TRUTH = {
    "(Intercept)": 500, "x": 30, "sigma": 100,
    "sd((Intercept)|who)": 60, "sd(x|who)": 20, "cor((Intercept),x|who)": 0.3,
    "sd((Intercept)|word)": 30, "sd(x|word)": 15, "cor((Intercept),x|word)": 0,
}  # fmt: skip


def lme4_seconds(n: int) -> float:
    """Seconds that one fit in each cell takes lme4."""
    script = Path(__file__).with_suffix(".R")
    vectors = [f"c({','.join(map(str, sizes))})" for sizes in (SUBJECTS, ITEMS)]
    found = subprocess.run(["Rscript", script, str(n), *vectors], capture_output=True, text=True,
                           check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
    return sum(float(line.split()[2]) for line in found.stdout.splitlines()) / 1000


def main() -> None:
    nsim = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    n_lme4 = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    began = time.perf_counter()
    study = hb.design_study(
        FORMULA, PLAN, TRUTH, subjects=SUBJECTS, items=ITEMS, nsim=nsim, goals={"power": 0.8},
        random_seed=1, n_jobs=2,
    )  # fmt: skip
    ours = time.perf_counter() - began
    theirs = lme4_seconds(n_lme4) * nsim
    print(f"{len(study.table)} cells of {nsim} data sets: {ours:.0f} s")
    print(f"lme4, from {n_lme4} fits a cell: {theirs:.0f} s, {theirs / ours:.0f} times as long")
    print(f"failed {study.table['failed'].sum()}, singular {study.table['singular'].sum()}")
    print(study.smallest())


if __name__ == "__main__":
    main()
