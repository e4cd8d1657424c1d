"""The numerical tests under every BLAS kernel that this processor runs: ``make test-kernels``.

OpenBLAS picks its kernels by processor, and each sums in another order: a test or a decision that
hinges on rounding is green on one machine and red on the next. ``OPENBLAS_CORETYPE`` asks for the
kernels of another processor. numpy and scipy carry a copy of OpenBLAS each; what both really run
is read back, since a name that this processor or this build lacks silently gives other kernels.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE_TYPES = (None, "Haswell", "SkylakeX", "Zen", "Prescott", "Nehalem")
THREADS = (1, 2)
# What computes. Neither parsing nor drawing depends on a kernel; NUTS compiles for minutes.
NUMERICAL = (
    "tests/gaussian",
    "tests/linalg",
    "tests/likelihood",
    "tests/intervals",
    "tests/bayes",
    "tests/comparison",
    "tests/checks",
    "tests/prediction",
    "tests/marginal_means",
    "tests/pooling",
    "tests/priors",
    "tests/families",
    "tests/test_toy_covariance.py",
    "tests/properties",
    "tests/studies/test_reanalysis.py",
    "tests/test_linear_fits.py",
    "tests/test_reference_fits.py",
)
MARKS = "not slow and not mcmc"
PROBE = (
    "import json, numpy.linalg, scipy.linalg, threadpoolctl;"
    "print(json.dumps(sorted({copy['architecture'] for copy in threadpoolctl.threadpool_info()"
    " if copy['internal_api'] == 'openblas'})))"
)
# OpenBLAS calls its oldest 64-bit kernels by the first name they ever had.
KNOWN_AS = {"Katmai": "Prescott"}
FAILURES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the tests under one kernel."""

    passed: bool
    summary: str
    failed: tuple[str, ...]
    seconds: float


def environment(core_type, n_threads):
    """Give the environment of a process that asks for these kernels and threads."""
    variables = dict(os.environ, HIERBAYES_TEST_THREADS=str(n_threads))
    variables.pop("OPENBLAS_CORETYPE", None)
    if core_type is not None:
        variables["OPENBLAS_CORETYPE"] = core_type
    return variables


def kernels_run(core_type):
    """Names of the kernels that the copies of OpenBLAS run when asked for a core type."""
    command = [sys.executable, "-c", PROBE]
    told = subprocess.run(
        command, env=environment(core_type, 1), capture_output=True, text=True, check=True
    )
    return tuple(KNOWN_AS.get(name, name) for name in json.loads(told.stdout))


def tested(core_type, n_threads, paths):
    """Run the tests in a process of their own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-m", MARKS, "-p", "no:cacheprovider", *paths]
    told = subprocess.run(
        command, env=environment(core_type, n_threads), cwd=ROOT, capture_output=True, text=True
    )
    lines = told.stdout.strip().splitlines() or [told.stderr.strip()[-300:] or "no output"]
    return Run(
        passed=told.returncode == 0,
        summary=re.sub(r"[= ]*(.*?)( in [\d.]+s.*)?$", r"\1", lines[-1]),
        failed=tuple(line for line in lines if line.startswith(("FAILED", "ERROR"))),
        seconds=time.perf_counter() - start,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=NUMERICAL)
    parser.add_argument("--threads", type=int, nargs="*", default=THREADS)
    given = parser.parse_args()
    seen: dict[tuple[str, ...], str] = {}
    all_passed = True
    for core_type in CORE_TYPES:
        asked, kernels = core_type or "(unset)", kernels_run(core_type)
        running = "+".join(kernels)
        if kernels in seen:
            print(f"{asked:10} skipped: runs the {running} kernels here, as {seen[kernels]} did")
            continue
        seen[kernels] = asked
        for n_threads in given.threads:
            run = tested(core_type, n_threads, given.paths)
            all_passed &= run.passed
            line = f"{asked:10} {running:12} {n_threads} thread{'s' * (n_threads > 1)}"
            print(f"{line}  {run.summary}, {run.seconds:.0f} s", flush=True)
            for failed in run.failed[:FAILURES_SHOWN]:
                print(f"    {failed}", flush=True)
    sys.exit(not all_passed)


if __name__ == "__main__":
    main()
