"""Timed repeats of a case, taking turns, and what is kept of them.

The peers take turns within every round and the order rotates from round to round, so that
whatever else the machine is doing hits all of them alike.
"""

import contextlib
import math
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cases import ANSWERS_APART, OURS, Case
from peers import PeerError, Worker

# Untimed turns before the first timed one: R compiles a function at its second call.
WARM_UP_TURNS = 2
# A peer whose single call takes longer than this many seconds gets fewer repeats ...
LONG_CALL = 20.0
# ... namely this many, spread over the rounds.
LONG_REPEATS = 5


@dataclass(slots=True, kw_only=True)
class Timings:
    """The calls of one peer in one case.

    Attributes
    ----------
    seconds, processor, criteria, answers : by number of the call; time on the clock and on the
        processors, all threads; the criterion shows whether it is the
        optimum, the answer (limits, or a p value) whether two packages computed the same
    rss_kb, peak_kb : of a fresh process that loads the rows and fits once: the memory it holds
        when the rows are loaded, and its peak after the fit; None when not measured
    problem : why there are no (or no more) timings
    """

    peer: str
    seconds: dict[int, float] = field(default_factory=dict)
    processor: dict[int, float] = field(default_factory=dict)
    criteria: dict[int, float] = field(default_factory=dict)
    answers: dict[int, list[float]] = field(default_factory=dict)
    rss_kb: float | None = None
    peak_kb: float | None = None
    is_long: bool = False
    problem: str | None = None

    @property
    def median(self) -> float | None:
        """Median seconds of a call; None without a call."""
        return statistics.median(self.seconds.values()) if self.seconds else None

    @property
    def processor_median(self) -> float | None:
        """Median processor seconds of a call; None without a call."""
        return statistics.median(self.processor.values()) if self.processor else None

    def quartiles(self) -> tuple[float, float]:
        """Compute the first and third quartile of the seconds."""
        return quartiles(list(self.seconds.values()))


def quartiles(values: list[float]) -> tuple[float, float]:
    """Compute the first and third quartile of numbers; of one, itself."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def progress(message: str) -> None:
    """Tell a person at the terminal what is running; silent otherwise."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)


def prepare(worker: Worker, case: Case) -> float:
    """Have the rows loaded; return the memory the process holds then, in kB."""
    words = (case.task, case.dataset, case.formula, case.family, case.small or "-")
    return worker.ask("prepare", *words)["rss_kb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """From how many seconds on a call counts as long, and how many of these are then timed."""

    long_call: float = LONG_CALL
    repeats: int = LONG_REPEATS


def warm_up(worker: Worker, case: Case, timings: Timings, patience: Patience) -> None:
    """Load the rows and make the untimed calls; note whether a call is long."""
    prepare(worker, case)
    for turn in range(WARM_UP_TURNS):
        first = turn * case.calls_per_turn
        reply = worker.ask("turn", str(first), str(case.calls_per_turn))
        timings.is_long = min(reply["seconds"]) > patience.long_call
        if timings.is_long:
            return


def is_due(timings: Timings, round_number: int, rounds: int, patience: Patience) -> bool:
    """Say whether a peer has a turn in this round; one with long calls sits out most rounds."""
    if timings.problem is not None:
        return False
    return not timings.is_long or round_number % max(1, rounds // patience.repeats) == 0


def take_turn(worker: Worker, case: Case, timings: Timings, *, turn: int) -> None:
    """Make the timed calls of one turn and keep their results."""
    first = turn * case.calls_per_turn
    reply = worker.ask("turn", str(first), str(case.calls_per_turn))
    numbers = range(first, first + case.calls_per_turn)
    timings.seconds.update(zip(numbers, reply["seconds"], strict=True))
    timings.processor.update(zip(numbers, reply["processor"], strict=True))
    timings.criteria.update(zip(numbers, reply["criteria"], strict=False))
    if reply["answers"]:
        size = len(reply["answers"]) // case.calls_per_turn
        parts = (reply["answers"][i * size : (i + 1) * size] for i in range(case.calls_per_turn))
        timings.answers.update(zip(numbers, parts, strict=True))


def time_case(
    case: Case, peers: list[str], folder: Path, repeats: int, patience: Patience = Patience()
) -> list[Timings]:
    """Make all timed calls of a case, peers taking turns.

    A peer that fails or exceeds the time limit keeps its place in the result, with the problem.
    """
    results = [Timings(peer=peer) for peer in peers]
    with contextlib.ExitStack() as stack:
        workers = {}
        for timings in results:
            progress(f"  {case.name}: warming up {timings.peer}")
            try:
                workers[timings.peer] = stack.enter_context(Worker(timings.peer, folder))
                warm_up(workers[timings.peer], case, timings, patience)
            except PeerError as problem:
                timings.problem = str(problem)
        rounds = math.ceil(repeats / case.calls_per_turn)
        for round_number in range(rounds):
            progress(f"  {case.name}: round {round_number + 1} of {rounds}")
            first = round_number % len(results)
            for timings in results[first:] + results[:first]:
                if not is_due(timings, round_number, rounds, patience):
                    continue
                try:
                    # Turns go on after those of the warm-up: no formula text comes twice.
                    turn = WARM_UP_TURNS + round_number
                    take_turn(workers[timings.peer], case, timings, turn=turn)
                except PeerError as problem:
                    timings.problem = str(problem)
    return results


def measure_memory(case: Case, timings: Timings, folder: Path) -> None:
    """Load the rows and fit once in a fresh process; note memory before, and the peak."""
    if timings.problem is not None:
        return
    progress(f"  {case.name}: memory of {timings.peer}")
    with Worker(timings.peer, folder) as worker:
        before = prepare(worker, case)
        peak = worker.ask("first")["peak_kb"]
    if before > 0:
        timings.rss_kb, timings.peak_kb = before, peak


def excess(timings: Timings, results: list[Timings]) -> float | None:
    """Measure how far a peer's criterion lies above the lowest one found, at worst."""
    gaps = []
    for number, value in timings.criteria.items():
        others = (other.criteria.get(number, value) for other in results)
        lowest = min((other for other in others if math.isfinite(other)), default=value)
        gaps.append(value - lowest)
    return max(gaps) if gaps else None


def is_at_optimum(results: list[Timings]) -> bool:
    """Say whether our criterion is never above the best of the peers by more than rounding.

    The bound is the larger of 1e-6 and 1e-9 of the criterion's size: what separates two
    careful optimisers. A fast fit that misses the optimum clears no bar.
    """
    ours = next(timings for timings in results if timings.peer == OURS)
    gap = excess(ours, results)
    size = max(abs(value) for value in ours.criteria.values())
    return gap is not None and gap <= max(1e-6, 1e-9 * size)


def answers_apart(case: Case, ours: Timings, peer: Timings) -> float | None:
    """Measure how far our answers lie from a peer's, at worst; None where neither has one.

    Answers are the medians over the calls. Limits of intervals are compared in widths of the
    peer's interval, p values as they are. A limit that a peer does not give is left out.
    """
    if not (ours.answers and peer.answers):
        return None
    a, b = (
        [statistics.median(values) for values in zip(*timings.answers.values(), strict=True)]
        for timings in (ours, peer)
    )
    scales = [1.0] * len(b)
    if case.task != "pb_test":
        scales = [upper - lower for lower, upper in zip(b[::2], b[1::2], strict=True)]
        scales = [scale for scale in scales for _ in range(2)]
    known = [place for place, scale in enumerate(scales) if math.isfinite(scale)]
    gaps = [abs(a[place] - b[place]) / scales[place] for place in known]
    return max((gap if math.isfinite(gap) else math.inf for gap in gaps), default=None)


def is_right(case: Case, results: list[Timings], peer: str | None) -> bool:
    """Say whether what was computed in the time allows it to clear a bar."""
    if case.task in ("fit", "refit"):
        return is_at_optimum(results)
    if peer is None:
        return True
    by_name = {timings.peer: timings for timings in results}
    gap = answers_apart(case, by_name[OURS], by_name[peer]) if peer in by_name else None
    return gap is not None and gap <= ANSWERS_APART[case.task]
