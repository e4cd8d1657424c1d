"""Whether the bars are cleared, and the tables that are printed."""

import os
from dataclasses import dataclass

from cases import OURS, Bar, Case, PosteriorCase
from machine import load
from posteriors import Posteriors
from startup import Startup
from timing import Timings, answers_apart, excess, is_right, quartiles

KB_PER_MB = 1024.0
UNMEASURED = "not measured"
# Processes that want a core, from which on a bar in seconds that is missed is not held against us.
BUSY = 1.5
BUSY_WORDS = ", on a busy machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One bar with what was measured; `cleared` is None when it could not be measured."""

    where: str
    claim: str
    measured: str
    cleared: bool | None


def find[T: (Timings, Posteriors)](results: list[T], peer: str) -> T | None:
    """Find the measurements of a peer; None when it took no part."""
    return next((found for found in results if found.peer == peer), None)


def unmeasured(case: Case | PosteriorCase, bar: Bar, ours: Timings | Posteriors | None) -> Verdict:
    """Judge a bar without a measurement: ours that fails misses it, a peer's absence does not."""
    failed = ours is not None and ours.problem is not None
    measured = f"ours {ours.problem}" if failed else UNMEASURED
    return Verdict(
        where=case.name, claim=bar.words, measured=measured, cleared=False if failed else None
    )


def judge(case: Case, bar: Bar, results: list[Timings]) -> Verdict:
    """Compare one bar with the measurements of its case."""
    attribute = "median" if bar.quantity == "time" else "peak_kb"
    ours = getattr(find(results, OURS), attribute, None)
    reference = getattr(find(results, bar.peer), attribute, None) if bar.peer else 1.0
    if ours is None or reference is None:
        return unmeasured(case, bar, find(results, OURS))
    value = ours / reference
    spread = spread_of(find(results, OURS), find(results, bar.peer) if bar.peer else None)
    if bar.quantity == "memory":
        measured = f"{value:.3f} of {bar.peer}'s memory"
    elif bar.peer:
        measured = f"{value:.3f} of {bar.peer}'s time{spread}"
    else:
        measured = duration(value) + spread
    cleared: bool | None = bar.at_least <= value <= bar.at_most
    if bar.peer is None and is_busy():
        measured, cleared = measured + BUSY_WORDS, cleared or None
    if not is_right(case, results, bar.peer):
        why = "not at the optimum" if case.task in ("fit", "refit") else "answers are apart"
        measured, cleared = f"{measured}, but {why}", False
    return Verdict(where=case.name, claim=bar.words, measured=measured, cleared=cleared)


def spread_of(ours: Timings, peer: Timings | None) -> str:
    """Write the quartiles of our calls, in units of the peer's in the same round if there is one.

    With a peer follows the ratio of the processor times, which other work on the machine, and the
    number of threads a package takes, do not make smaller.
    """
    if peer is None:
        text = " ({} to {})".format(*(duration(value) for value in ours.quartiles()))
        used = ours.processor_median
        return text + (f"; processor {duration(used)}" if used else "")
    both = ours.seconds.keys() & peer.seconds.keys()
    ratios = [ours.seconds[call] / peer.seconds[call] for call in both]
    text = " ({:.3f} to {:.3f})".format(*quartiles(ratios)) if ratios else ""
    used, theirs = ours.processor_median, peer.processor_median
    return f"{text}; processor {used / theirs:.3f}" if used and theirs else text


def judge_posterior(case: PosteriorCase, bar: Bar, results: list[Posteriors]) -> Verdict:
    """Compare one bar with the measurements of its posterior case."""
    medians = {posteriors.peer: posteriors.median(bar.quantity) for posteriors in results}
    ours = medians.get(OURS)
    reference = medians.get(bar.peer) if bar.peer else 1.0
    if ours is None or reference is None:
        return unmeasured(case, bar, find(results, OURS))
    value = ours / reference
    if bar.peer:
        measured = f"{value:.4f} of it" if value < 1 else f"{value:.0f} times"
    elif bar.quantity == "memory":
        measured = megabytes(value)
    else:
        measured = f"{value:,.0f}" if bar.quantity == "draws" else duration(value)
    cleared: bool | None = bar.at_least <= value <= bar.at_most
    if bar.peer is None and bar.quantity in ("cold", "warm") and is_busy():
        measured, cleared = measured + BUSY_WORDS, cleared or None
    return Verdict(where=case.name, claim=bar.words, measured=measured, cleared=cleared)


def is_busy() -> bool:
    """Say whether so much else runs that a missed bar in seconds says nothing."""
    return load() > BUSY * (os.cpu_count() or 1)


def judge_startup(startup: Startup, results: list[Timings]) -> Verdict:
    """Compare the bound of a start-up with its measurements."""
    ours, baseline = results[0].median, results[1].median
    if ours is None or baseline is None:
        measured, cleared = "not measured", None
    elif startup.relation == "ratio":
        measured = f"{ours / baseline:.2f} times"
        cleared = ours / baseline <= startup.at_most
    else:
        measured = f"{ours - baseline:+.3f} s"
        cleared = ours - baseline <= startup.at_most
        if is_busy():
            measured, cleared = measured + BUSY_WORDS, cleared or None
    return Verdict(where=startup.name, claim=startup.words, measured=measured, cleared=cleared)


def duration(seconds: float) -> str:
    """Write seconds in the unit a reader expects, three digits."""
    value, unit = (1e3 * seconds, "ms") if seconds < 1.0 else (seconds, "s")
    return f"{value:#.3g}".rstrip(".") + f" {unit}"


def short_duration(seconds: float) -> str:
    """Write a round number of seconds in the unit a reader expects."""
    factors = {"s": 1.0, "ms": 1e3, "us": 1e6}
    unit = next(unit for unit, factor in factors.items() if seconds * factor > 0.99 or unit == "us")
    return f"{seconds * factors[unit]:g} {unit}"


def megabytes(kb: float) -> str:
    """Write an amount of memory."""
    return f"{kb / KB_PER_MB:,.0f} MB"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Write an aligned Markdown table; every column but the first is flushed right."""
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = []
    for row in [header, rule, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def timing_row(timings: Timings, results: list[Timings], case: Case | None) -> list[str]:
    """Write a peer's line: times, n, ours relative to it, and whether it computed the same."""
    if timings.median is None:
        return [timings.peer, *["-"] * 8, timings.problem or "no call finished"]
    ours = find(results, OURS)
    ratio = f"{ours.median / timings.median:.3f}" if ours and ours.median else "-"
    gap = excess(timings, results)
    apart = answers_apart(case, ours, timings) if case and ours and ours is not timings else None
    notes = "fewer repeats: a call takes over 20 s" if timings.is_long else ""
    return [
        timings.peer,
        duration(timings.median),
        duration(min(timings.seconds.values())),
        " to ".join(duration(value) for value in timings.quartiles()),
        str(len(timings.seconds)),
        ratio,
        "-" if timings.processor_median is None else duration(timings.processor_median),
        "-" if gap is None else f"{gap:.1e}",
        "-" if apart is None else f"{apart:.2g}",
        timings.problem or notes,
    ]


def filled_table(header: list[str], rows: list[list[str]]) -> str:
    """Write a table without the columns that have nothing but dashes."""
    filled = [
        i for i, title in enumerate(header) if not title or any(r[i].strip("- ") for r in rows)
    ]
    return table([header[i] for i in filled], [[row[i] for i in filled] for row in rows])


def timing_table(results: list[Timings], case: Case | None = None) -> str:
    """Write the times of all peers of a case, or of a start-up."""
    header = ["", "median", "min", "quartiles", "n", "ours / it", "processor"]
    header += ["above best criterion", "answers apart", "note"]
    return filled_table(header, [timing_row(timings, results, case) for timings in results])


def posterior_row(posteriors: Posteriors, ours: Posteriors | None) -> list[str]:
    """Write a peer's line: medians over its processes, and ours relative to it."""
    row = [posteriors.peer]
    formats = {"cold": duration, "warm": duration, "memory": megabytes}
    for quantity in ("cold", "warm", "draws", "effective", "rate", "memory"):
        value = posteriors.median(quantity)
        row.append("-" if value is None else formats.get(quantity, "{:,.0f}".format)(value))
        if quantity in ("cold", "warm", "rate"):
            base = ours.median(quantity) if ours and ours is not posteriors else None
            row.append("-" if value is None or base is None else f"{base / value:#.3g}".rstrip("."))
    return [*row, str(len(posteriors.runs)), posteriors.problem or ""]


def posterior_table(results: list[Posteriors]) -> str:
    """Write what all peers of a posterior case need, and how many draws they give for it."""
    ours = find(results, OURS)
    header = ["", "cold", "ours / it", "warm", "ours / it", "effective: parameters"]
    header += ["with random effects", "these per warm s", "ours / it", "peak memory", "n", "note"]
    return filled_table(header, [posterior_row(posteriors, ours) for posteriors in results])


def memory_table(results: list[Timings]) -> str:
    """Write the memory of one process that loads the rows and fits once."""
    rows = [
        [
            timings.peer,
            megabytes(timings.rss_kb),
            megabytes(timings.peak_kb),
        ]
        for timings in results
        if timings.rss_kb is not None and timings.peak_kb is not None
    ]
    return table(["memory of the process", "rows loaded", "peak after one fit"], rows)


def open_word(verdict: Verdict) -> str:
    """Say why a bar is neither cleared nor missed."""
    return UNMEASURED if verdict.measured == UNMEASURED else "not judged"


def verdict_table(verdicts: list[Verdict]) -> str:
    """Write all bars of the run."""
    words = {True: "yes", False: "NO"}
    rows = [[v.where, v.claim, v.measured, words.get(v.cleared) or open_word(v)] for v in verdicts]
    return table(["case", "bar", "measured", "cleared"], rows)
