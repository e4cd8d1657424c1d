"""What the package costs a cold interpreter: its import, and the way to a printed summary.

Whole processes are timed from outside, ours and the baseline taking turns, after one unmeasured
run of each that leaves the byte code and the disk cache warm.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cases import OURS
from peers import environment
from timing import Timings, progress

REPEATS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Two programs for a cold interpreter, and how much longer ours may take.

    Attributes
    ----------
    relation : how the medians are compared: "ratio" is ours / baseline, "extra" is ours -
        baseline in seconds
    at_most : the largest allowed ratio, or extra seconds
    """

    name: str
    title: str
    ours: str
    baseline: str
    words: str
    relation: Literal["ratio", "extra"]
    at_most: float


STARTUPS = (
    Startup(
        name="import",
        title="cold interpreter, import only",
        ours="import hierbayes",
        baseline="import numpy, pandas",
        words="at most 0.2 s above the baseline",
        relation="extra",
        at_most=0.2,
    ),
    Startup(
        name="summary",
        title="cold interpreter to the printed summary of the sleepstudy fit",
        ours=(
            "import hierbayes as hb; "
            "sleep = hb.load_dataset('sleepstudy'); "
            "print(hb.lmer('Reaction ~ Days + (Days | Subject)', sleep).summary())"
        ),
        baseline="import numpy, scipy.optimize, scipy.sparse, pandas",
        words="at most 1.6 times the baseline",
        relation="ratio",
        at_most=1.6,
    ),
)


def time_startup(startup: Startup, folder: Path, repeats: int) -> list[Timings]:
    """Time whole processes, ours first in the result, the baseline second."""
    results = [Timings(peer=OURS), Timings(peer=startup.baseline)]
    programs = (startup.ours, startup.baseline)
    for round_number in range(-1, repeats):  # round -1 is the unmeasured one
        progress(f"  {startup.name}: round {round_number + 1} of {repeats}")
        for timings, program in zip(results, programs, strict=True):
            if timings.problem is not None:
                continue
            start = time.perf_counter()
            run = subprocess.run(
                [sys.executable, "-c", program],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - start
            if run.returncode != 0:
                timings.problem = f"stopped: {run.stderr.strip().splitlines()[-1]}"
            elif round_number >= 0:
                timings.seconds[round_number] = seconds
    return results
