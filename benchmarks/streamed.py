"""A model of rows that stay in Parquet files: rows a second, and memory, of a fresh process.

    streamed.py FOLDER      fits y ~ x + (x | g) to the files of a folder, prints one JSON object

The files are written before, with a fixed seed, a chunk of rows each. A stream is read twice: to
learn levels and means, and to add up the cross-products.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from kept import Part
from peers import REPLY_MARK, environment, memory_kb
from simulated import BETA, GROUP_COVARIANCE, SEED, SIGMA
from timing import progress
from verdicts import Verdict, duration, megabytes, table

STREAM = "stream"
TITLE = "20,000,000 rows x 50,000 levels from Parquet, REML"
CLAIMS = (
    "at least 3,000,000 rows a second, of each of two passes",
    "under 3 GB",
    "the coefficients the rows were drawn with, within 4 standard errors",
)
FORMULA = "y ~ x + (x | g)"
ROWS, CHUNK, LEVELS = 20_000_000, 1_000_000, 50_000
LEAST_ROWS = 3e6  # a second
MOST_KB = 3e6
STANDARD_ERRORS = 4.0


def write_parquet(folder: Path) -> None:
    """Write the rows, a million to a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(SEED + 9)
    b = rng.multivariate_normal((0.0, 0.0), GROUP_COVARIANCE, size=LEVELS)
    for part in range(ROWS // CHUNK):
        g = rng.integers(0, LEVELS, CHUNK, dtype=np.int32)
        x = rng.standard_normal(CHUNK)
        y = BETA[0] + b[g, 0] + (BETA[1] + b[g, 1]) * x + SIGMA * rng.standard_normal(CHUNK)
        pq.write_table(pa.table({"y": y, "x": x, "g": g}), folder / f"{part:03d}.parquet")


def measure_stream(folder: Path) -> Part:
    """Write the rows, fit them in a fresh process, judge the bars."""
    part = Part(name=STREAM, title=TITLE, kind=STREAM)
    progress(f"  {STREAM}: writing {ROWS:,} rows")
    write_parquet(folder)
    run = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if line.startswith(REPLY_MARK)]
    if not lines:
        said = (run.stderr.strip().splitlines() or ["stopped without a message"])[-1]
        part.verdicts = [judged(claim, said, False) for claim in CLAIMS]
        return part
    found = json.loads(lines[0].removeprefix(REPLY_MARK))
    rate, used = (2 * ROWS / found[name] for name in ("passes", "processor"))
    part.verdicts = [
        judged(CLAIMS[0], f"{rate:,.0f}; {used:,.0f} a processor second", rate >= LEAST_ROWS),
        judged(CLAIMS[1], megabytes(found["peak_kb"]), found["peak_kb"] <= MOST_KB),
        judged(CLAIMS[2], f"{found['away']:.1f} at most", found["away"] <= STANDARD_ERRORS),
    ]
    rows = [
        ["both passes", duration(found["passes"]), duration(found["processor"])],
        ["REML after them", duration(found["fit"]), duration(found["fit_processor"])],
    ]
    part.text = f"`{FORMULA}`\n\n{table(['', 'clock', 'processor'], rows)}"
    return part


def judged(claim: str, measured: str, cleared: bool) -> Verdict:
    """Judge one bar."""
    return Verdict(where=STREAM, claim=claim, measured=measured, cleared=cleared)


def fit_stream(folder: str) -> dict[str, float]:
    """Fit the files of a folder; return seconds, memory and how far the estimates are away."""
    import hierbayes as hb

    start, used = time.perf_counter(), time.process_time()
    model = hb.Model(FORMULA, folder)
    passes, processor = time.perf_counter() - start, time.process_time() - used
    start, used = time.perf_counter(), time.process_time()
    fit = model.fit("reml")
    seconds, fit_processor = time.perf_counter() - start, time.process_time() - used
    away = np.abs((fit.beta - np.array(BETA)) / fit.std_errors).max()
    return {
        "passes": passes, "processor": processor, "fit": seconds, "fit_processor": fit_processor,
        "peak_kb": memory_kb("VmHWM"), "away": float(away),
    }  # fmt: skip


if __name__ == "__main__":
    print(REPLY_MARK + json.dumps(fit_stream(sys.argv[1])), flush=True)
