"""Models of rows that stay where they are: rows a second, and memory, of fresh processes.

    streamed.py measure NAME [--rows N]   writes the rows, measures one part, prints its bars

Parts: rows in Parquet files, the same rows summed inside of DuckDB, binary rows counted as cells,
and a Dask cluster of two workers. Rows are written before, with a fixed seed, a chunk to a file.
What is measured runs in a process of its own, ``streamed.py TASK FOLDER``, that prints one JSON
object. A stream is read twice: to learn levels and means, and to add up the cross-products.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kept import Part
from peers import REPLY_MARK, environment, memory_kb
from simulated import BETA, GROUP_COVARIANCE, SEED, SIGMA
from timing import progress
from verdicts import Verdict, duration, megabytes, table, verdict_table

FORMULA = "y ~ x + (x | g)"
CELLS_FORMULA = "k ~ a * b + (1 | g)"
ROWS, CHUNK, LEVELS = 100_000_000, 1_000_000, 50_000
FEW_ROWS = 1_000_000  # whose posterior costs what that of all rows does
CELL_ROWS, CELL_LEVELS = 50_000_000, 200
DASK_ROWS = 4_000_000
SLICE = 200  # levels whose rows are fitted in memory too
LEAST_ROWS = 3e6  # a second
STANDARD_ERRORS = 4.0
SAME = 1e-6  # relative: sums in another order
REPEATS = 3  # of grouped sums, by hand and ours in turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """One part: its name and bars, how many rows it has, and what judges it."""

    name: str
    title: str
    claims: tuple[str, ...]
    rows: int
    judge: Callable[[Path, int], tuple[list[tuple[str, bool | None]], str]]


def write_parquet(folder: Path, n_rows: int) -> None:
    """Write rows of ``FORMULA``, a million to a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(SEED + 9)
    b = rng.multivariate_normal((0.0, 0.0), GROUP_COVARIANCE, size=LEVELS)
    for part, n in enumerate(chunks(n_rows)):
        g = rng.integers(0, LEVELS, n, dtype=np.int32)
        x = rng.standard_normal(n)
        y = BETA[0] + b[g, 0] + (BETA[1] + b[g, 1]) * x + SIGMA * rng.standard_normal(n)
        pq.write_table(pa.table({"y": y, "x": x, "g": g}), folder / f"{part:03d}.parquet")


def write_binary(folder: Path, n_rows: int) -> None:
    """Write binary rows of two factors and a grouping factor."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(SEED + 10)
    u = 0.5 * rng.standard_normal(CELL_LEVELS)
    for part, n in enumerate(chunks(n_rows)):
        g = rng.integers(0, CELL_LEVELS, n, dtype=np.int32)
        a, b = rng.integers(0, 3, n), rng.integers(0, 4, n)
        eta = -0.5 + 0.3 * a - 0.2 * b + 0.1 * a * b + u[g]
        k = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.int8)
        frame = {"k": k, "a": np.array(list("xyz"))[a], "b": np.array(list("klmn"))[b], "g": g}
        pq.write_table(pa.table(frame), folder / f"{part:03d}.parquet")


def chunks(n_rows: int) -> list[int]:
    """Sizes of the files."""
    return [min(CHUNK, n_rows - start) for start in range(0, n_rows, CHUNK)]


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns, its seconds on the clock and those of all threads."""
    start, used = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - start, time.process_time() - used


def in_process(task: str, folder: Path) -> dict[str, Any]:
    """Run a task in a fresh process.

    Raises
    ------
    RuntimeError
        With its last words, if it fails.
    """
    run = subprocess.run(
        [sys.executable, __file__, task, str(folder)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if line.startswith(REPLY_MARK)]
    if not lines:
        raise RuntimeError((run.stderr.strip().splitlines() or ["stopped without a message"])[-1])
    return json.loads(lines[0].removeprefix(REPLY_MARK))


# what runs in processes of their own


def fit_stream(folder: str) -> dict[str, Any]:
    """Fit the files of a folder and sample the posterior."""
    import hierbayes as hb

    model, passes, processor = timed(lambda: hb.Model(FORMULA, folder, stream=True))
    fit, seconds, fit_processor = timed(lambda: model.fit("reml"))
    post, sampling, post_processor = timed(lambda: model.sample(random_seed=1))
    _, effects, effects_processor = timed(post.ranef_sd)
    away = np.abs((fit.beta - np.array(BETA)) / fit.std_errors).max()
    return {
        "passes": passes, "processor": processor, "fit": seconds, "fit_processor": fit_processor,
        "posterior": sampling, "posterior_processor": post_processor, "effects": effects,
        "effects_processor": effects_processor, "peak_kb": memory_kb("VmHWM"), "away": float(away),
    }  # fmt: skip


def slice_apart(folder: str) -> dict[str, Any]:
    """Fit the rows of some levels as a stream and in memory; how far both are apart."""
    import pyarrow.dataset as ds

    import hierbayes as hb

    rows = ds.dataset(folder).to_table(filter=ds.field("g") < SLICE).to_pandas()
    parts = [rows.iloc[start : start + 50_000] for start in range(0, len(rows), 50_000)]
    streamed, memory = hb.lmer(FORMULA, parts), hb.lmer(FORMULA, rows)
    theta = np.abs(streamed.theta / memory.theta - 1).max()
    return {"apart": float(max(theta, np.abs(streamed.beta / memory.beta - 1).max()))}


def fit_inside(folder: str) -> dict[str, Any]:
    """Sum the files inside of DuckDB, by the model's query and by one written by hand, in turns."""
    import duckdb

    import hierbayes as hb

    connection = duckdb.connect()
    rows = f"'{folder}/*.parquet'"
    relation = connection.sql(f"select * from {rows}")
    model, clock, _ = timed(lambda: hb.Model(FORMULA, hb.Stream(relation)))
    queries = model.spec.table.passes.queries
    x, y = connection.sql(f"select avg(x), avg(y) from {rows}").fetchall()[0]
    by_hand = (
        f"select g, count(*), sum(x - {x}), sum((x - {x}) * (x - {x})), sum(y - {y}), "
        f"sum((x - {x}) * (y - {y})), sum((y - {y}) * (y - {y})) from {rows} group by g"
    )
    taken: dict[str, list[float]] = {"hand": [], "ours": []}
    for _ in range(REPEATS):
        for whose, text in (("hand", by_hand), ("ours", queries[-1].text)):
            taken[whose].append(timed(lambda text=text: connection.sql(text).fetchnumpy())[1])
    fit = model.fit("reml")
    return {
        "hand": statistics.median(taken["hand"]), "ours": statistics.median(taken["ours"]),
        "all": clock, "beta": fit.beta.tolist(), "theta": fit.theta.tolist(),
        "peak_kb": memory_kb("VmHWM"),
    }  # fmt: skip


def fit_cells(folder: str) -> dict[str, Any]:
    """Count binary rows as cells and fit them."""
    import hierbayes as hb

    model, clock, cpu = timed(lambda: hb.Model(CELLS_FORMULA, folder, "binomial", stream=True))
    fit, seconds, _ = timed(model.fit)
    return {
        "pass": clock, "processor": cpu, "fit": seconds, "beta": fit.beta.tolist(),
        "loglik": fit.loglik, "sd": float(fit.theta[0]), "peak_kb": memory_kb("VmHWM"),
    }  # fmt: skip


def fit_given_cells(folder: str) -> dict[str, Any]:
    """Fit the cells that DuckDB counts, as successes and failures."""
    import duckdb

    import hierbayes as hb

    cells = duckdb.sql(
        "select a, b, g, sum(k)::double as yes, sum(1 - k)::double as no "
        f"from '{folder}/*.parquet' group by a, b, g order by a, b, g"
    ).df()
    fit = hb.glmer(CELLS_FORMULA.replace("k ~", "cbind(yes, no) ~"), cells, "binomial")
    return {"beta": fit.beta.tolist(), "sd": float(fit.theta[0])}


def fit_on_cluster(folder: str) -> dict[str, Any]:
    """Fit by two workers, then once more with one of them killed half-way."""
    import threading

    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    import hierbayes as hb

    frame = dd.read_parquet(folder)
    alone = hb.lmer(FORMULA, folder, stream=True)
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**workers) as cluster, Client(cluster):
        both, clock, _ = timed(lambda: hb.lmer(FORMULA, frame))
        worker = next(iter(cluster.workers.values()))
        threading.Timer(clock / 2, lambda: worker.process.kill()).start()
        lost, again, _ = timed(lambda: hb.lmer(FORMULA, frame))
    apart = np.abs(np.concatenate([both.beta / alone.beta, both.theta / alone.theta]) - 1).max()
    same = np.array_equal(both.theta, lost.theta) and np.array_equal(both.beta, lost.beta)
    return {"clock": clock, "again": again, "apart": float(apart), "same": bool(same)}


# what judges them


def judge_stream(folder: Path, rows: int) -> tuple[list[tuple[str, bool | None]], str]:
    """Rows in Parquet files: speed, memory, the posterior, and a slice in memory."""
    write_parquet(folder / "all", rows)
    write_parquet(folder / "few", FEW_ROWS)
    found, few = in_process("stream", folder / "all"), in_process("stream", folder / "few")
    apart = in_process("slice", folder / "all")["apart"]
    rate, used = (2 * rows / found[name] for name in ("passes", "processor"))
    ratio = found["posterior_processor"] / few["posterior_processor"]
    judged = [
        (f"{rate:,.0f}; {used:,.0f} a processor second", bool(rate >= LEAST_ROWS)),
        (megabytes(found["peak_kb"]), found["peak_kb"] <= 3e6),
        (f"{ratio:.2f} times, in processor time", ratio <= 1.25),
        (f"{apart:.1e}", apart <= SAME),
        (f"{found['away']:.1f} at most", found["away"] <= STANDARD_ERRORS),
    ]
    stages = (
        ("passes", "processor", "both passes"), ("fit", "fit_processor", "REML after them"),
        ("posterior", "posterior_processor", "posterior, 4,000 draws"),
        ("effects", "effects_processor", "means and sds of all effects"),
    )  # fmt: skip
    lines = [
        [what, *(duration(own[name]) for own in (found, few) for name in (clock, cpu))]
        for clock, cpu, what in stages
    ]
    head = ["", "clock", "processor", f"{FEW_ROWS:,} rows: clock", "processor"]
    return judged, f"`{FORMULA}`\n\n{table(head, lines)}"


def judge_inside(folder: Path, rows: int) -> tuple[list[tuple[str, bool | None]], str]:
    """Grouped sums inside of DuckDB: the model's beside those by hand, and the stream's fit."""
    write_parquet(folder / "all", rows)
    found = in_process("inside", folder / "all")
    ratio = found["ours"] / found["hand"]
    judged = [
        (f"{ratio:.2f} times", ratio <= 1.5),
        (megabytes(found["peak_kb"]), found["peak_kb"] <= 3e6),
    ]
    stages = (("sums by hand", "hand"), ("sums of the model", "ours"), ("all queries", "all"))
    lines = [[what, duration(found[name])] for what, name in stages]
    return judged, f"`{FORMULA}` in DuckDB\n\n{table(['', 'clock'], lines)}"


def judge_cells(folder: Path, rows: int) -> tuple[list[tuple[str, bool | None]], str]:
    """Binary rows as cells: the fit of the cells given by hand, and memory."""
    write_binary(folder / "all", rows)
    found, given = in_process("cells", folder / "all"), in_process("given-cells", folder / "all")
    own, other = (np.array([*fit["beta"], fit["sd"]]) for fit in (found, given))
    apart = float(np.abs(own / other - 1).max())
    judged = [
        (f"{apart:.1e} apart", apart <= 1e-4),
        (megabytes(found["peak_kb"]), found["peak_kb"] <= 1e6),
    ]
    lines = [
        ["the pass", duration(found["pass"]), duration(found["processor"])],
        ["the fit", duration(found["fit"]), ""],
    ]
    return judged, f"`{CELLS_FORMULA}`\n\n{table(['', 'clock', 'processor'], lines)}"


def judge_cluster(folder: Path, rows: int) -> tuple[list[tuple[str, bool | None]], str]:
    """Two workers of Dask, and one of them killed."""
    write_parquet(folder / "all", rows)
    found = in_process("cluster", folder / "all")
    judged = [
        (f"{found['apart']:.1e} apart", found["apart"] <= SAME),
        ("the same to the bit" if found["same"] else "another fit", found["same"]),
    ]
    lines = [
        ["two workers", duration(found["clock"])],
        ["one of them killed half-way", duration(found["again"])],
    ]
    return judged, f"`{FORMULA}` on Dask\n\n{table(['', 'clock'], lines)}"


STREAMS = (
    Streamed(
        name="stream",
        title=f"{ROWS:,} rows x {LEVELS:,} levels from Parquet, REML and posterior",
        claims=(
            "at least 3,000,000 rows a second, of each of two passes",
            "REML and posterior under 3 GB",
            f"the posterior costs what it costs for {FEW_ROWS:,} rows",
            "the numbers of rows in memory on a slice",
            "the coefficients the rows were drawn with, within 4 standard errors",
        ),
        rows=ROWS,
        judge=judge_stream,
    ),
    Streamed(
        name="stream-inside",
        title=f"the same rows summed inside of DuckDB, {ROWS:,} rows",
        claims=("at most 1.5 times the sums written by hand", "under 3 GB"),
        rows=ROWS,
        judge=judge_inside,
    ),
    Streamed(
        name="stream-cells",
        title=f"{CELL_ROWS:,} binary rows by cells",
        claims=("the fit of the cells given by hand", "under 1 GB"),
        rows=CELL_ROWS,
        judge=judge_cells,
    ),
    Streamed(
        name="stream-cluster",
        title=f"{DASK_ROWS:,} rows by a Dask cluster of two workers",
        claims=("the fit of one process", "the same fit with one worker killed half-way"),
        rows=DASK_ROWS,
        judge=judge_cluster,
    ),
)


def measure_stream(name: str, folder: Path, rows: int | None = None) -> Part:
    """Write the rows of a part, measure it in fresh processes, judge its bars."""
    own = next(stream for stream in STREAMS if stream.name == name)
    part = Part(name=name, title=own.title, kind="stream")
    n = own.rows if rows is None else rows
    progress(f"  {name}: {n:,} rows")
    judged: list[tuple[str, bool | None]]
    try:
        judged, part.text = own.judge(folder, n)
    except RuntimeError as error:
        cleared = None if "ModuleNotFoundError" in str(error) else False
        judged = [(str(error), cleared) for _ in own.claims]
    part.verdicts = [
        Verdict(where=name, claim=claim, measured=measured, cleared=cleared)
        for claim, (measured, cleared) in zip(own.claims, judged, strict=True)
    ]
    return part


TASKS: dict[str, Callable[[str], dict[str, Any]]] = {
    "stream": fit_stream, "slice": slice_apart, "inside": fit_inside, "cells": fit_cells,
    "given-cells": fit_given_cells, "cluster": fit_on_cluster,
}  # fmt: skip


def main() -> None:
    """Measure a part with another number of rows, or run one of its tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["measure", *TASKS])
    parser.add_argument("what", help="a part, or the folder of a task")
    parser.add_argument("--rows", type=int)
    given = parser.parse_args()
    if given.task != "measure":
        print(REPLY_MARK + json.dumps(TASKS[given.task](given.what)), flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="hierbayes-bench-") as folder:
        part = measure_stream(given.what, Path(folder), given.rows)
    print(f"{part.text}\n\n{verdict_table(part.verdicts)}", flush=True)


if __name__ == "__main__":
    main()
