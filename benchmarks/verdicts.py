"""Whether the bars are cleared, and the tables that are printed."""

from dataclasses import dataclass

from cases import OURS, Bar, Case
from startup import Startup
from timing import Timings, excess, is_at_optimum

KB_PER_MB = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One bar with what was measured; `cleared` is None when it could not be measured."""

    where: str
    claim: str
    measured: str
    cleared: bool | None


def find(results: list[Timings], peer: str) -> Timings | None:
    """Find the timings of a peer; None when it took no part."""
    return next((timings for timings in results if timings.peer == peer), None)


def judge(case: Case, bar: Bar, results: list[Timings]) -> Verdict:
    """Compare one bar with the measurements of its case."""
    attribute = "median" if bar.quantity == "time" else "peak_kb"
    ours = getattr(find(results, OURS), attribute, None)
    reference = getattr(find(results, bar.peer), attribute, None) if bar.peer else 1.0
    if ours is None or reference is None:
        return Verdict(where=case.name, claim=bar.words, measured="not measured", cleared=None)
    value = ours / reference
    measured = f"{value:.3f} of {bar.peer}'s {bar.quantity}" if bar.peer else duration(value)
    cleared = value <= bar.at_most
    if not is_at_optimum(results):
        measured, cleared = f"{measured}, but not at the optimum", False
    return Verdict(where=case.name, claim=bar.words, measured=measured, cleared=cleared)


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
    return Verdict(where=startup.name, claim=startup.words, measured=measured, cleared=cleared)


def duration(seconds: float) -> str:
    """Write seconds in the unit a reader expects, three digits."""
    value, unit = (1e3 * seconds, "ms") if seconds < 1.0 else (seconds, "s")
    return f"{value:#.3g}".rstrip(".") + f" {unit}"


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


def timing_row(timings: Timings, results: list[Timings]) -> list[str]:
    """Write a peer's line: median, min, quartiles, n, ours relative to it, distance to optimum."""
    if timings.median is None:
        return [timings.peer, *["-"] * 6, timings.problem or "no call finished"]
    ours = find(results, OURS)
    ratio = f"{ours.median / timings.median:.3f}" if ours and ours.median else "-"
    gap = excess(timings, results)
    notes = "fewer repeats: a call takes over 20 s" if timings.is_long else ""
    return [
        timings.peer,
        duration(timings.median),
        duration(min(timings.seconds.values())),
        " to ".join(duration(value) for value in timings.quartiles()),
        str(len(timings.seconds)),
        ratio,
        "-" if gap is None else f"{gap:.1e}",
        timings.problem or notes,
    ]


def timing_table(results: list[Timings]) -> str:
    """Write the times of all peers of a case."""
    header = ["", "median", "min", "quartiles", "n", "ours / it", "above best criterion", "note"]
    rows = [timing_row(timings, results) for timings in results]
    filled = [
        i for i, title in enumerate(header) if not title or any(r[i].strip("- ") for r in rows)
    ]
    return table([header[i] for i in filled], [[row[i] for i in filled] for row in rows])


def memory_table(results: list[Timings]) -> str:
    """Write the memory of one process that loads the rows and fits once."""
    rows = [
        [
            timings.peer,
            f"{timings.rss_kb / KB_PER_MB:.0f} MB",
            f"{timings.peak_kb / KB_PER_MB:.0f} MB",
        ]
        for timings in results
        if timings.rss_kb is not None and timings.peak_kb is not None
    ]
    return table(["memory of the process", "rows loaded", "peak after one fit"], rows)


def verdict_table(verdicts: list[Verdict]) -> str:
    """Write all bars of the run."""
    words = {True: "yes", False: "NO", None: "not measured"}
    rows = [[v.where, v.claim, v.measured, words[v.cleared]] for v in verdicts]
    return table(["case", "bar", "measured", "cleared"], rows)
