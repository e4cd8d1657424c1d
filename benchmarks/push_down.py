"""What a model costs whose rows stay in DuckDB, beside the same sums written by hand in SQL.

`y ~ x + (x | g)` on rows drawn from a known model and written to Parquet in chunks: the queries of
the model, then its grouped sums and those by hand in turns, REML and posterior after them, resident
memory at the end, and the same model in memory on a slice. Draws of the posterior are of all
levels' effects: 1,000 of 50,000 levels with two effects take 0.8 GB.

    .venv/bin/python benchmarks/push_down.py --rows 100000000 --levels 50000 --folder /tmp/push_down

DuckDB has the threads and the memory it takes by itself. A file that is there is taken; ``--keep``
leaves it for another run.
"""

import argparse
import os
import resource
import statistics
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import hierbayes as hb

FORMULA = "y ~ x + (x | g)"
CHUNK = 2_000_000
BY_HAND = """
select g, count(*), sum(x - {x}), sum((x - {x}) * (x - {x})), sum(y - {y}),
       sum((x - {x}) * (y - {y})), sum((y - {y}) * (y - {y}))
from '{path}' group by g
"""


def write(path: Path, n_rows: int, n_levels: int) -> None:
    """Draw rows in chunks; the levels meet in random order."""
    rng = np.random.default_rng(1)
    b0 = rng.normal(0, 2, n_levels)
    b1 = 0.15 * b0 + rng.normal(0, 0.8, n_levels)
    writer = None
    for start in range(0, n_rows, CHUNK):
        n = min(CHUNK, n_rows - start)
        g = rng.integers(0, n_levels, n).astype(np.int32)
        x = rng.normal(3, 1.5, n)
        y = 10 + b0[g] + (1.5 + b1[g]) * x + rng.normal(0, 3, n)
        table = pa.table({"y": y, "x": x, "g": g})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=CHUNK // 2)
    writer.close()


def timed(call):
    """Return what a call returns, and its seconds: of the clock, and of all threads."""
    clock, cpu = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - clock, time.process_time() - cpu


def resident() -> float:
    """Return the largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--levels", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, default=Path("out"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draws", type=int, default=500, help="of each of four chains")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / f"rows_{given.rows}_{given.levels}.parquet"
    if not path.exists():
        write(path, given.rows, given.levels)
    connection = duckdb.connect()
    threads, memory = connection.sql(
        "select current_setting('threads'), current_setting('memory_limit')"
    ).fetchall()[0]
    print(f"{given.rows:,} rows, {given.levels:,} levels; DuckDB {duckdb.__version__} with")
    print(f"{threads} threads and {memory}; load of the machine {os.getloadavg()[0]:.1f}\n")
    x, y = connection.sql(f"select avg(x), avg(y) from '{path}'").fetchall()[0]
    by_hand = BY_HAND.format(x=x, y=y, path=path)
    relation = connection.sql(f"select * from '{path}'")
    print("| | seconds | of all threads |\n|---|---|---|")
    model, clock, cpu = timed(lambda: hb.Model(FORMULA, relation))
    queries = model.spec.table.passes.queries
    for asked in queries:
        print(f"| {asked.purpose} | {asked.seconds:.2f} | |")
    print(f"| the model, all {len(queries)} queries | {clock:.2f} | {cpu:.2f} |", flush=True)
    taken: dict[str, list[tuple[float, float]]] = {"by hand": [], "of the model": []}
    for _ in range(given.repeats):
        for whose, text in (("by hand", by_hand), ("of the model", queries[-1].text)):
            _, *own = timed(lambda text=text: connection.sql(text).fetchnumpy())
            taken[whose].append(tuple(own))
            print(f"| sums {whose} | {own[0]:.2f} | {own[1]:.2f} |", flush=True)
    fit, clock, _ = timed(lambda: model.fit("reml"))
    print(f"| REML | {clock:.2f} | |", flush=True)
    post, clock, _ = timed(lambda: model.sample(draws=given.draws, random_seed=1))
    print(f"| posterior | {clock:.2f} | |", flush=True)
    for k, what in enumerate(("of the clock", "of all threads")):
        hand, ours = (statistics.median(own[k] for own in taken[whose]) for whose in taken)
        print(f"\nsums of the model / by hand, medians {what}: {ours / hand:.2f}")
    print(f"resident memory: {resident():.2f} GB")
    print(fit.varcorr())
    print(post.varcorr())
    slice_of = f"select * from '{path}' where g < 200"
    pushed = hb.Model(FORMULA, connection.sql(slice_of), stream=True)
    memory = hb.Model(FORMULA, connection.sql(slice_of).df())
    a, b = pushed.fit("reml"), memory.fit("reml")
    print(f"\non a slice of {memory.design.y.size:,} rows, beside rows in memory:")
    print(f"theta differs by at most {np.abs(a.theta - b.theta).max():.1e},")
    print(f"coefficients by {np.abs(a.beta - b.beta).max():.1e}, the criterion by")
    print(f"{abs(a.criterion / b.criterion - 1):.1e} of itself")
    if not given.keep:
        path.unlink()


if __name__ == "__main__":
    main()
