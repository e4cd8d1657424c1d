"""Posteriors from a cold process: fresh processes of every peer, which take turns.

Cold is timed from outside, from the start of the interpreter to the labelled draws: start,
imports, reading, compiling and sampling. Warm is the same call again in that process, by its own
clock. Before the first round of a case that times both, each peer runs once unmeasured, which
leaves byte code, compiled models and the disk cache as they are on the second day of use.
"""

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cases import OURS, RSTANARM, PosteriorCase, Quantity
from peers import HERE, PeerError, Worker, rscript
from simulated import rows_of
from timing import progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process measured.

    Attributes
    ----------
    cold, warm : seconds; warm is the median of the calls after the first, None without any
    processor : processor seconds of a warm call, all threads and chains; None where not told
    parameters, effective : smallest bulk effective sample size of the parameters, and of these
        and the random effects, in the last call
    peak_kb : memory after the first call
    """

    cold: float
    warm: float | None
    processor: float | None
    parameters: float
    effective: float
    peak_kb: float


@dataclass(slots=True, kw_only=True)
class Posteriors:
    """The processes of one peer; problem says why there are no (or no more)."""

    peer: str
    runs: list[Run] = field(default_factory=list)
    problem: str | None = None

    def median(self, quantity: Quantity) -> float | None:
        """Median of a quantity that a bar is about; None when not measured."""
        values = {
            "cold": [run.cold for run in self.runs],
            "warm": [run.warm for run in self.runs if run.warm],
            "draws": [run.parameters for run in self.runs],
            "effective": [run.effective for run in self.runs],
            "rate": [run.effective / run.warm for run in self.runs if run.warm],
            "memory": [run.peak_kb for run in self.runs if run.peak_kb > 0],
        }[quantity]
        return statistics.median(values) if values else None


def posterior_command(peer: str, folder: Path) -> list[str]:
    """Return the command line of a peer's worker."""
    if peer == RSTANARM:
        return [rscript(), str(HERE / "rstanarm_worker.R"), str(folder)]
    return [sys.executable, str(HERE / "posterior_worker.py"), peer, str(folder)]


def write_rows(case: PosteriorCase, folder: Path) -> None:
    """Write the rows that every peer reads."""
    rows_of(case.dataset).to_csv(folder / f"{case.dataset}.csv", index=False)


def start(
    case: PosteriorCase, peer: str, folder: Path, *, seed: int
) -> tuple[Worker, float, float]:
    """Start a process and let it draw; return it with its cold seconds and peak memory (kB)."""
    formula = case.formula if peer == OURS else case.formula_of_bambi or case.formula
    numbers = (str(case.chains), str(case.draws))
    words = (case.dataset, ",".join(case.factors), formula, *numbers, case.family)
    began = time.perf_counter()
    worker = Worker(peer, folder, posterior_command(peer, folder))
    try:
        peak_kb = worker.ask("first", str(seed), *words)["peak_kb"]
    except PeerError:
        worker.close()
        raise
    return worker, time.perf_counter() - began, peak_kb


def measure(case: PosteriorCase, peer: str, folder: Path, *, first: int) -> Run:
    """Measure one process; its calls have the seeds first, first + 1, ..."""
    worker, cold, peak_kb = start(case, peer, folder, seed=first)
    count = case.warm_calls if peer == OURS else min(case.warm_calls, 1)
    with worker:
        reply = worker.ask("turn", str(first + 1), str(count))
        seconds, processor = reply["seconds"], reply.get("processor")
        sizes = worker.ask("effective")
    return Run(
        cold=cold,
        warm=statistics.median(seconds) if seconds else None,
        processor=statistics.median(processor) if processor else None,
        parameters=sizes["parameters"],
        effective=sizes["all"],
        peak_kb=peak_kb,
    )


def time_posterior(
    case: PosteriorCase, peers: list[str], folder: Path, rounds: int
) -> list[Posteriors]:
    """Make all processes of a case, peers taking turns.

    A peer that fails or exceeds the time limit keeps its place in the result, with the problem.
    """
    write_rows(case, folder)
    results = [Posteriors(peer=peer) for peer in peers]
    first_round = -1 if case.warm_calls else 0  # round -1 is the unmeasured one
    for round_number in range(first_round, rounds):
        progress(f"  {case.name}: round {round_number + 1} of {rounds}")
        turn = round_number % len(results)
        for posteriors in results[turn:] + results[:turn]:
            if posteriors.problem is not None:
                continue
            try:
                if round_number < 0:
                    start(case, posteriors.peer, folder, seed=0)[0].close()
                    continue
                first = 1 + round_number * (1 + case.warm_calls)
                posteriors.runs.append(measure(case, posteriors.peer, folder, first=first))
            except PeerError as problem:
                posteriors.problem = str(problem)
    return results
