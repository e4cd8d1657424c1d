"""Posterior of sleepstudy from a cold process: hierbayes, bambi with nutpie, rstanarm, in one run.

Cold: from starting the interpreter to the labelled draws. Warm: the same call again in that
process (rstanarm: its first call after loading, R has nothing more to warm). Peers take turns.
Effective draws are the smallest bulk effective sample size over fixed effects, sds, sigma and
random effects of 4 chains. bambi and rstanarm fit the models they fit by default: bambi has
independent random effects only (||), which is the easier problem.

    .venv/bin/python benchmarks/posterior.py [--repeats 3] [--insteval]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time

OURS = """
import time
started = time.perf_counter()
import hierbayes as hb
sleep = hb.load_dataset("sleepstudy")
def call(seed):
    return hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=seed).idata
tree = call(1)
cold = time.perf_counter() - started
times = []
for seed in range(2, 7):
    again = time.perf_counter()
    tree = call(seed)
    times.append(time.perf_counter() - again)
"""
BAMBI = """
import time
started = time.perf_counter()
import bambi, hierbayes
sleep = hierbayes.load_dataset("sleepstudy")
def call(seed):
    model = bambi.Model("Reaction ~ Days + (Days | Subject)", sleep)
    return model.fit(inference_method="nutpie", random_seed=seed, progressbar=False)
tree = call(1)
cold = time.perf_counter() - started
again = time.perf_counter()
tree = call(2)
times = [time.perf_counter() - again]
"""
REPORT = """
import json, statistics, resource
import arviz as az
posterior = tree["posterior"].dataset
smallest = min(
    float(ess.min())
    for name, ess in az.ess(tree).data_vars.items()
    if not name.startswith("corr")
)
print("RESULT", json.dumps({
    "cold": cold, "warm": statistics.median(times), "effective": smallest,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
}))
"""
RSTANARM = r"""
started <- proc.time()[[3]]
suppressPackageStartupMessages(library(rstanarm))
data("sleepstudy", package = "lme4")
loaded <- proc.time()[[3]]
fit <- stan_lmer(Reaction ~ Days + (Days | Subject), sleepstudy, seed = 1, refresh = 0, cores = 2)
cold <- proc.time()[[3]] - started
n <- as.data.frame(summary(fit))$n_eff
cat("RESULT", sprintf('{"cold": %f, "warm": %f, "effective": %f, "memory": 0}\n', cold,
    proc.time()[[3]] - loaded, min(n, na.rm = TRUE)))
"""
INSTEVAL = """
import time
import hierbayes as hb
data = hb.load_dataset("InstEval")
started = time.perf_counter()
fit = hb.Model("y ~ service + (1|s) + (1|d) + (1|dept:service)", data).sample(
    draws=350, random_seed=1)
cold = time.perf_counter() - started
times = [cold]
tree = fit.idata
"""


def run(name, command):
    """Run one process and return its RESULT, with the wall time of the whole process."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        print(f"{name}: no result\n{done.stderr[-800:]}", file=sys.stderr)
        return None
    return {**json.loads(lines[-1].removeprefix("RESULT ")), "wall": wall}


def main():
    """Run all peers in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--insteval", action="store_true", help="time InstEval instead")
    given = parser.parse_args()
    python = [sys.executable, "-W", "ignore", "-c"]
    if given.insteval:
        print(run("InstEval", [*python, INSTEVAL + REPORT]))
        return
    peers = {"hierbayes": [*python, OURS + REPORT], "bambi": [*python, BAMBI + REPORT]}
    if shutil.which("Rscript"):
        peers["rstanarm"] = ["Rscript", "-e", RSTANARM]
    found = {name: [] for name in peers}
    for _ in range(given.repeats):
        for name, command in peers.items():
            result = run(name, command)
            if result:
                found[name].append(result)
    print(f"{'':<10}{'cold s':>9}{'warm s':>9}{'effective':>11}{'per s':>9}   n")
    medians = {}
    for name, results in found.items():
        if not results:
            print(f"{name:<10} not measured")
            continue
        m = {k: statistics.median(r[k] for r in results) for k in ("cold", "warm", "effective")}
        medians[name] = m
        rate = m["effective"] / m["warm"]
        print(
            f"{name:<10}{m['cold']:>9.2f}{m['warm']:>9.3f}{m['effective']:>11.0f}{rate:>9.0f}"
            f"{len(results):>4}"
        )
    ours = medians.get("hierbayes")
    for name, m in medians.items():
        if ours and name != "hierbayes":
            rate = (ours["effective"] / ours["warm"]) / (m["effective"] / m["warm"])
            print(
                f"hierbayes / {name}: cold {ours['cold'] / m['cold']:.3f}, "
                f"warm {ours['warm'] / m['warm']:.4f}, effective draws per second x {rate:.0f}"
            )


if __name__ == "__main__":
    main()
