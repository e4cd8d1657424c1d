"""Bootstrap and bootstrap test beside lme4 and pbkrtest, in one run.

Each time is of a whole call on a fitted model: 500 parametric bootstrap refits with percentile
limits, or a likelihood-ratio test with 1,000 samples. hierbayes and R take turns, each on one
processor and one BLAS thread. The limits of both are printed, to show that the same was computed.

    .venv/bin/python benchmarks/bootstrap.py [--repeats 3] [--only penicillin]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass

OURS = """
import json, time, warnings
import hierbayes as hb
warnings.simplefilter("ignore")
sleep, penicillin = hb.load_dataset("sleepstudy"), hb.load_dataset("Penicillin")
def fit(formula, data=sleep):
    return hb.lmer(formula, data)
{setup}
def call(seed):
    {call}
call(0)
times = []
for seed in range(1, 6):
    began = time.perf_counter()
    found = call(seed)
    times.append(time.perf_counter() - began)
print("RESULT", json.dumps({{"times": times, "shown": {shown}}}))
"""
R = """
suppressPackageStartupMessages({{library(lme4); library(pbkrtest)}})
sleep <- sleepstudy; penicillin <- Penicillin
{setup}
began <- proc.time()[[3]]
found <- suppressMessages(suppressWarnings({call}))
seconds <- proc.time()[[3]] - began
cat("RESULT", sprintf('{{"times": [%f], "shown": "%s"}}', seconds, {shown}), "\\n")
"""
LIMITS = "', '.join(f'{low:.3g} to {high:.3g}' for low, high in found.to_numpy()[:, 1:])"
LIMITS_R = 'paste(sprintf("%.3g to %.3g", found[, 1], found[, 2]), collapse = ", ")'
P = "f'p = {found.p_value:.3g}'"
P_R = 'sprintf("p = %.3g", found$test["PBtest", "p.value"])'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call, in both languages; ``at_most`` is the largest ratio of our time to R's."""

    name: str
    title: str
    ours: tuple[str, str, str]  # set-up, call, what is shown
    r: tuple[str, str, str]
    at_most: float


def bootstrap_case(name: str, formula: str, data: str, at_most: float) -> Case:
    """Make a case of 500 refits."""
    return Case(
        name=name,
        title=f"500 parametric bootstrap refits, {formula}",
        ours=(
            f"model = fit({formula!r}, {data})",
            "return hb.bootstrap(model, nsim=500, random_seed=seed).confint()",
            LIMITS,
        ),
        r=(
            f"model <- lmer({formula}, {data})",
            'confint(model, method = "boot", nsim = 500, oldNames = FALSE)',
            LIMITS_R,
        ),
        at_most=at_most,
    )


def test_case(name: str, small: str, large: str, at_most: float) -> Case:
    """Make a case of a test with 1,000 samples."""
    return Case(
        name=name,
        title=f"bootstrap test, 1,000 samples, {small} in {large}",
        ours=(
            f"small, large = fit({small!r}), fit({large!r})",
            "return hb.pb_test(small, large, nsim=1000, random_seed=seed)",
            P,
        ),
        r=(
            f"small <- lmer({small}, sleep); large <- lmer({large}, sleep)",
            "PBmodcomp(large, small, nsim = 1000)",
            P_R,
        ),
        at_most=at_most,
    )


MAXIMAL = "Reaction ~ Days + (Days | Subject)"
CASES = (
    bootstrap_case("sleepstudy", MAXIMAL, "sleep", 1 / 20),
    bootstrap_case("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", 1 / 10),
    test_case("fixed", "Reaction ~ 1 + (Days | Subject)", MAXIMAL, 1 / 20),
    test_case("correlation", "Reaction ~ Days + (Days || Subject)", MAXIMAL, 1 / 20),
    test_case("slope", "Reaction ~ Days + (1 | Subject)", MAXIMAL, 1 / 20),
)


def run(command: list[str]) -> dict | None:
    """Run one process and return its RESULT."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | threads
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        print(done.stderr[-800:], file=sys.stderr)
        return None
    return json.loads(lines[-1].removeprefix("RESULT "))


def run_case(case: Case, repeats: int) -> bool | None:
    """Print one case; returns whether its bar is cleared, None where R is missing."""
    program = dict(zip(("setup", "call", "shown"), case.ours, strict=True))
    r_program = dict(zip(("setup", "call", "shown"), case.r, strict=True))
    ours, theirs, shown = [], [], {}
    for _ in range(repeats):
        found = run([sys.executable, "-c", OURS.format(**program)])
        if found:
            ours += found["times"]
            shown["hierbayes"] = found["shown"]
        found = run(["Rscript", "-e", R.format(**r_program)]) if shutil.which("Rscript") else None
        if found:
            theirs += found["times"]
            shown["R"] = found["shown"]
    print(f"\n{case.title}")
    for name, times in (("hierbayes", ours), ("R", theirs)):
        if times:
            print(
                f"  {name:<10}{statistics.median(times):>8.3f} s  n {len(times):<3} {shown[name]}"
            )
    if not (ours and theirs):
        return None
    ratio = statistics.median(ours) / statistics.median(theirs)
    cleared = ratio <= case.at_most
    verdict = "cleared" if cleared else "NOT CLEARED"
    print(f"  ratio 1/{1 / ratio:.0f}, bar 1/{1 / case.at_most:.0f}: {verdict}")
    return cleared


def main() -> int:
    """Run the cases; the exit status says whether a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[case.name for case in CASES])
    given = parser.parse_args()
    chosen = [case for case in CASES if not given.only or case.name in given.only]
    return int(any(run_case(case, given.repeats) is False for case in chosen))


if __name__ == "__main__":
    sys.exit(main())
