"""Side-by-side speed of `hierbayes` and of those who do the same: `make bench`.

    python benchmarks/run.py [--only NAME ...] [--without PEER ...] [--repeats N] [--out FILE]

Prints Markdown tables; exits with status 1 when a bar is missed. README.md beside this file
says what is measured and how to read it.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from cases import (
    CASES,
    GENERALISED_CASES,
    INTERVAL_CASES,
    OURS,
    POSTERIOR_CASES,
    Case,
    PosteriorCase,
)
from peers import PeerError, available
from posteriors import posterior_command, time_posterior
from simulated import SIMULATED, write_responses, write_simulated
from startup import REPEATS, STARTUPS, Startup, time_startup
from timing import Timings, measure_memory, time_case
from verdicts import (
    Verdict,
    judge,
    judge_posterior,
    judge_startup,
    memory_table,
    posterior_table,
    timing_table,
    verdict_table,
)


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    cases = [*CASES, *GENERALISED_CASES, *INTERVAL_CASES, *POSTERIOR_CASES]
    names = [case.name for case in cases] + [startup.name for startup in STARTUPS]
    peers = list(dict.fromkeys(peer for case in cases for peer in case.peers))
    parser = argparse.ArgumentParser(description="Side-by-side speed benchmarks.")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"cases to run, of {', '.join(names)}",
    )
    parser.add_argument(
        "--without",
        nargs="+",
        choices=peers,
        default=[],
        metavar="PEER",
        help=f"peers to leave out, of {', '.join(peers)}",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        metavar="N",
        help="timed calls of each peer, of a posterior processes (default: set by the case)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the report here")
    return parser.parse_args()


class Report:
    """Prints as it goes, so that a long run can be watched, and keeps what it printed."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def add(self, text: str) -> None:
        """Print a part and keep it."""
        print(text + "\n", flush=True)
        self.parts.append(text)


def machine() -> str:
    """Describe versions and load, without anything that names the machine."""
    cores = os.cpu_count() or 1
    lines = [
        f"- Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}, "
        f"{platform.system()} {platform.machine()}, {cores} cores",
    ]
    threads = {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS")}
    lines.append(f"- threads: {threads or 'as each package chooses'}")
    load = os.getloadavg()[0]
    lines.append(f"- load average at the start: {load:.2f}")
    if load > cores / 2:
        lines.append("- **The machine is busy with other work: take the figures as rough.**")
    return "\n".join(lines)


def roll_call(
    cases: list[Case], posterior_cases: list[PosteriorCase], without: list[str], folder: Path
) -> tuple[list[str], str]:
    """Call the peers; return those that answer, and lines on who they are and who is missing."""
    wanted = tuple(dict.fromkeys(peer for case in cases for peer in case.peers))
    present, absent = available([p for p in wanted if p not in without], folder)
    samplers = tuple(dict.fromkeys(peer for case in posterior_cases for peer in case.peers))
    new = [p for p in samplers if p not in without and p not in wanted]
    for found, more in zip(
        (present, absent), available(new, folder, posterior_command), strict=True
    ):
        found.update(more)
    lines = [f"- {peer}: {version}" for peer, version in present.items()]
    lines += [f"- **{peer} is skipped: {reason}**" for peer, reason in absent.items()]
    lines += [
        f"- **{peer} is left out on request**" for peer in without if peer in wanted + samplers
    ]
    return list(present), "\n".join(lines)


def run_case(
    case: Case, present: list[str], folder: Path, *, repeats: int | None, report: Report
) -> list[Verdict]:
    """Time a case, print its tables, judge its bars."""
    peers = [peer for peer in case.peers if peer in present]
    if not peers:
        report.add(f"## {case.name}: skipped, none of its peers is there")
        return [judge(case, bar, []) for bar in case.bars]
    results = time_case(case, peers, folder, repeats or case.repeats)
    report.add(f"## {case.name}: {case.title}\n\n{models(case)}\n\n{timing_table(results, case)}")
    if case.measure_memory:
        add_memory(case, results, folder, report)
    return [judge(case, bar, results) for bar in case.bars]


def models(case: Case) -> str:
    """Write the formula, or the two that a test compares."""
    return f"`{case.small}` in `{case.formula}`" if case.small else f"`{case.formula}`"


def run_posterior(
    case: PosteriorCase, present: list[str], folder: Path, *, rounds: int | None, report: Report
) -> list[Verdict]:
    """Time a posterior case, print its table, judge its bars."""
    peers = [peer for peer in case.peers if peer in present]
    results = time_posterior(case, peers, folder, rounds or case.rounds) if peers else []
    tables = posterior_table(results) if peers else "skipped, none of its peers is there"
    report.add(f"## {case.name}: {case.title}\n\n`{case.formula}`\n\n{tables}")
    return [judge_posterior(case, bar, results) for bar in case.bars]


def add_memory(case: Case, results: list[Timings], folder: Path, report: Report) -> None:
    """Measure and print the memory of every peer that finished the case."""
    for timings in results:
        try:
            measure_memory(case, timings, folder)
        except PeerError as problem:
            timings.problem = str(problem)
    report.add(memory_table(results))


def run_startup(startup: Startup, folder: Path, *, repeats: int, report: Report) -> Verdict:
    """Time a start-up, print its table, judge its bound."""
    results = time_startup(startup, folder, repeats)
    report.add(f"## {startup.name}: {startup.title}\n\n{timing_table(results)}")
    return judge_startup(startup, results)


def main() -> int:
    """Run the chosen cases; return 1 when a bar is missed."""
    arguments = read_arguments()
    timed = (*CASES, *GENERALISED_CASES, *INTERVAL_CASES)
    chosen = [case for case in timed if case.name in arguments.only]
    posteriors = [case for case in POSTERIOR_CASES if case.name in arguments.only]
    report = Report()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="hierbayes-bench-") as name:
        folder = Path(name)
        for dataset in {case.dataset for case in chosen if case.dataset in SIMULATED}:
            write_simulated(dataset, folder)
        if any(case.task == "refit" for case in chosen):
            write_responses(folder)
        report.add(f"# Benchmarks\n\n{machine()}")
        if chosen or posteriors:
            present, lines = roll_call(chosen, posteriors, arguments.without, folder)
            report.add(lines)
        for case in chosen:
            verdicts += run_case(case, present, folder, repeats=arguments.repeats, report=report)
        for case in posteriors:
            verdicts += run_posterior(
                case, present, folder, rounds=arguments.repeats, report=report
            )
        for startup in STARTUPS:
            if startup.name in arguments.only and OURS not in arguments.without:
                repeats = arguments.repeats or REPEATS
                verdicts.append(run_startup(startup, folder, repeats=repeats, report=report))
    report.add(f"## Bars\n\n{verdict_table(verdicts)}")
    if arguments.out:
        arguments.out.write_text("\n\n".join(report.parts) + "\n")
    return int(any(verdict.cleared is False for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
