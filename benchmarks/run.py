"""Side by side with those who do the same: speed, agreement, and how time grows: `make bench`.

    python benchmarks/run.py [--only NAME ...] [--without PEER ...] [--repeats N] [--again]

Measures what `results.jsonl` does not have of this commit, machine and versions yet (or what is
named), adds it there part by part, and writes `RESULTS.md` of all that is there. Exits with status
1 when a bar is missed. README.md beside this file says what is measured and how to read it.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cases import (
    CASES,
    GENERALISED_CASES,
    INTERVAL_CASES,
    POSTERIOR_CASES,
    Case,
    PosteriorCase,
)
from conformance import measure_conformance
from kept import FILE, Part, is_done, keep, kept, tidy
from peers import PeerError, available
from posteriors import posterior_command, time_posterior
from results_page import expected, write_page
from scaling import CURVES, Curve, measure_curve
from simulated import SIMULATED, write_responses, write_simulated
from startup import REPEATS, STARTUPS, Startup, time_startup
from streamed import STREAMS, measure_stream
from timing import Timings, measure_memory, time_case
from verdicts import (
    judge,
    judge_posterior,
    judge_startup,
    memory_table,
    posterior_table,
    timing_table,
    verdict_table,
)

TIMED = (*CASES, *GENERALISED_CASES, *INTERVAL_CASES)
KINDS = {name: kind for name, _, kind, _ in expected()}


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    peers = list(dict.fromkeys(p for c in (*TIMED, *POSTERIOR_CASES, *CURVES) for p in c.peers))
    parser = argparse.ArgumentParser(description="Side-by-side benchmarks.")
    names = list(KINDS)
    parser.add_argument(
        "--only", nargs="+", choices=names, default=[], metavar="NAME",
        help=f"measure these (again): {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument(
        "--without", nargs="+", choices=peers, default=[], metavar="PEER",
        help=f"peers to leave out, of {', '.join(peers)}",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=int, metavar="N",
        help="timed calls of each peer, of a posterior processes (default: set by the case)",
    )  # fmt: skip
    parser.add_argument("--again", action="store_true", help="measure what is there already too")
    parser.add_argument("--page", action="store_true", help="measure nothing, write RESULTS.md")
    return parser.parse_args()


class Peers:
    """Who is there: asked when a part first wants them, with their versions or what is missing."""

    def __init__(self, without: list[str], folder: Path) -> None:
        self.without = without
        self.folder = folder
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def of(self, part: Part, wanted: tuple[str, ...], command: Callable | None = None) -> list[str]:
        """Return those of the wanted peers that are there; note all in the part."""
        new = [p for p in wanted if p not in self.versions | self.missing and p not in self.without]
        options = {} if command is None else {"command": command}
        present, missing = available(new, self.folder, **options)
        self.versions |= present
        self.missing |= missing
        for peer in wanted:
            if peer in self.without:
                part.peers[peer] = "left out on request"
            elif peer in self.missing:
                part.peers[peer] = f"skipped: {self.missing[peer]}"
            else:
                part.peers[peer] = self.versions[peer]
        return [peer for peer in wanted if peer in self.versions and peer not in self.without]


def run_case(case: Case, peers: Peers, folder: Path, *, repeats: int | None) -> Part:
    """Time a case, write its tables, judge its bars."""
    part = Part(name=case.name, title=case.title, kind=KINDS[case.name])
    present = peers.of(part, case.peers)
    if case.dataset in SIMULATED:
        write_simulated(case.dataset, folder)
    if case.task == "refit":
        write_responses(folder)
    results = time_case(case, present, folder, repeats or case.repeats)
    blocks = [models(case), timing_table(results, case)]
    if case.measure_memory:
        blocks.append(memory_of(case, results, folder))
    part.text = "\n\n".join(blocks)
    part.verdicts = [judge(case, bar, results) for bar in case.bars]
    return part


def models(case: Case) -> str:
    """Write the formula, or the two that a test compares."""
    return f"`{case.small}` in `{case.formula}`" if case.small else f"`{case.formula}`"


def memory_of(case: Case, results: list[Timings], folder: Path) -> str:
    """Measure and write the memory of every peer that finished the case."""
    for timings in results:
        try:
            measure_memory(case, timings, folder)
        except PeerError as problem:
            timings.problem = str(problem)
    return memory_table(results)


def run_posterior(case: PosteriorCase, peers: Peers, folder: Path, *, rounds: int | None) -> Part:
    """Time a posterior case, write its table, judge its bars."""
    part = Part(name=case.name, title=case.title, kind=KINDS[case.name])
    present = peers.of(part, case.peers, posterior_command)
    results = time_posterior(case, present, folder, rounds or case.rounds) if present else []
    tables = posterior_table(results) if present else "skipped, none of its peers is there"
    part.text = f"`{case.formula}`\n\n{tables}"
    part.verdicts = [judge_posterior(case, bar, results) for bar in case.bars]
    return part


def run_startup(startup: Startup, folder: Path, *, repeats: int | None) -> Part:
    """Time a start-up, write its table, judge its bound."""
    part = Part(name=startup.name, title=startup.title, kind=KINDS[startup.name])
    results = time_startup(startup, folder, repeats or REPEATS)
    part.text = timing_table(results)
    part.verdicts = [judge_startup(startup, results)]
    return part


def run_curve(curve: Curve, peers: Peers, folder: Path) -> Part:
    """Measure a curve; its tables are written with the page."""
    part = Part(name=curve.name, title=curve.title, kind=KINDS[curve.name])
    command = posterior_command if curve.rows is None else None
    part.points = measure_curve(curve, peers.of(part, curve.peers, command), folder)
    return part


def measure(name: str, peers: Peers, folder: Path, repeats: int | None) -> Part:
    """Measure the part of a name."""
    for case in TIMED:
        if case.name == name:
            return run_case(case, peers, folder, repeats=repeats)
    for posterior in POSTERIOR_CASES:
        if posterior.name == name:
            return run_posterior(posterior, peers, folder, rounds=repeats)
    for startup in STARTUPS:
        if startup.name == name:
            return run_startup(startup, folder, repeats=repeats)
    for curve in CURVES:
        if curve.name == name:
            return run_curve(curve, peers, folder)
    if name in {stream.name for stream in STREAMS}:
        return measure_stream(name, folder)
    return measure_conformance()


def main() -> int:
    """Measure the chosen parts; return 1 when a bar of them is missed."""
    arguments = read_arguments()
    before = kept()
    chosen = arguments.only or [
        name for name in KINDS if arguments.again or not is_done(name, before)
    ]
    missed = False
    for name in [] if arguments.page else chosen:
        # Simulated data of a case, up to some 20 MB, go with it.
        with tempfile.TemporaryDirectory(prefix="hierbayes-bench-") as folder:
            peers = Peers(arguments.without, Path(folder))
            part = measure(name, peers, Path(folder), arguments.repeats)
        keep(part)
        missed |= any(verdict.cleared is False for verdict in part.verdicts)
        print(f"## {name}: {part.title}\n\n{part.text}\n", flush=True)
        if part.verdicts:
            print(verdict_table(part.verdicts) + "\n", flush=True)
        write_page(kept())
    tidy(FILE, KINDS)
    write_page(kept())
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
