"""RESULTS.md: the machine, every bar with its ratio and spread, how time grows, all tables.

Written of the parts that were kept; what is not among them is said to be not measured.
"""

from collections.abc import Sequence
from pathlib import Path

from cases import CASES, GENERALISED_CASES, INTERVAL_CASES, OURS, POSTERIOR_CASES
from conformance import CLAIM, CONFORMANCE
from kept import Part, Point
from scaling import CURVES, Curve, exponent
from scaling_pictures import draw_curve
from startup import STARTUPS
from streamed import STREAMS
from verdicts import BUSY, UNMEASURED, Verdict, duration, filled_table, table, verdict_table

FILE = Path(__file__).with_name("RESULTS.md")
CLAIMS_ELSEWHERE = (
    ("95 % intervals hold the truth in 93 to 97 % of data sets, by method", "interval_coverage.md",
     "interval_coverage.py"),
    ("Ranks of the truth among draws are uniform", "calibration.md", "calibration.py"),
    ("Samplers agree with each other and with rstanarm within 4 Monte-Carlo errors", "README.md",
     "agreement.py"),
    ("Documented generalised models of R packages: never above the optimum", "documented_glmms.md",
     "documented_glmms.py"),
    ("Thresholds of psychometric functions: coverage of 93 to 97 %", "README.md",
     "psychometric_recovery.py"),
    ("Design studies: error rates those of fits one by one; at most 1/30 of an lme4 loop's time",
     "design_study.md", "design_study_calibration.py, design_study_grid.py"),
)  # fmt: skip


def expected() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Name, title and kind of every part there can be, with the claims of its bars."""
    fits = [(case, "fit") for case in CASES]
    fits += [(case, "generalised") for case in GENERALISED_CASES]
    fits += [(case, "after fit") for case in INTERVAL_CASES]
    fits += [(case, "posterior") for case in POSTERIOR_CASES]
    found = [(c.name, c.title, kind, tuple(bar.words for bar in c.bars)) for c, kind in fits]
    found += [(one.name, one.title, "startup", (one.words,)) for one in STARTUPS]
    found += [(own.name, own.title, "stream", own.claims) for own in STREAMS]
    found.append((CONFORMANCE, "conformance", "conformance", (CLAIM,)))
    return found + [(curve.name, curve.title, "scaling", ()) for curve in CURVES]


def write_page(parts: dict[str, Part], path: Path = FILE) -> None:
    """Write the page and the pictures beside it."""
    blocks = ["# Benchmarks: results", INTRODUCTION, *machine_lines(list(parts.values()))]
    blocks += ["## Bars", bars_text(parts)]
    rows = [[claim, f"[{page}]({page})", f"`{by}`"] for claim, page, by in CLAIMS_ELSEWHERE]
    blocks += ["Held by programs of their own:", table(["claim", "found", "by"], rows)]
    blocks += ["## How time grows", scaling_introduction()]
    for curve in CURVES:
        blocks += curve_blocks(curve, parts.get(curve.name), path.parent)
    blocks += ["## Every case"]
    for name, title, kind, _ in expected():
        if kind != "scaling" and name in parts:
            part = parts[name]
            blocks += [f"### {name}: {title}", when_text(part), part.text]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


INTRODUCTION = """\
What `make bench` measured, last. [README.md](README.md) says what is timed and how to read it; the
parts are kept in `results.jsonl`, and a run goes on where the last one stopped. Ratios are of peers
that took turns in the same minutes; compare ratios, not times, between machines."""


def machine_lines(parts: Sequence[Part]) -> list[str]:
    """Describe the machine, versions and the other work on it."""
    if not parts:
        return ["Nothing has been measured yet."]
    about = parts[-1].machine
    lines = [
        f"- Machine: {about['processor']}, {about['cores']} cores, {about['memory']}",
        f"- BLAS: {about['BLAS']}; threads: {about['threads']}",
    ]
    seen = dict.fromkeys(tuple(part.versions.items()) for part in parts)
    fixed = {name: text for name, text in next(iter(seen)) if name != "commit"}
    lines.append("- " + ", ".join(f"{name} {text}" for name, text in fixed.items()))
    commits = dict.fromkeys(part.versions["commit"] for part in parts)
    lines.append(f"- hierbayes at {', '.join(commits)} (+: with changes that were not committed)")
    said = [(p, text) for part in parts for p, text in part.peers.items() if p != OURS]
    absent = ("skipped", "left out")  # in one part; it may be there in another
    said.sort(key=lambda one: not one[1].startswith(absent))
    peers = dict(said)
    lines += [f"- {peer}: {text}" for peer, text in peers.items()]
    loads = [load for part in parts for load in part.load]
    days = sorted({part.when.split(" ")[0] for part in parts})
    lines.append(
        f"- Measured {' to '.join(dict.fromkeys([days[0], days[-1]]))}; load average "
        f"{min(loads):.1f} to {max(loads):.1f}"
    )
    if max(loads) > BUSY * about["cores"]:
        lines.append(
            "- **The machine was busy with other work**: times on the clock are longer than on a "
            "quiet one and vary, and a bar in seconds that was missed is not judged; the ratio of "
            "processor times beside a ratio is less touched by it"
        )
    return ["\n".join(lines)]


def bars_text(parts: dict[str, Part]) -> str:
    """Write every bar, measured or not."""
    verdicts: list[Verdict] = []
    for name, _, _, claims in expected():
        part = parts.get(name)
        known = {verdict.claim: verdict for verdict in part.verdicts} if part else {}
        missing = {"measured": UNMEASURED, "cleared": None}
        verdicts += [
            known.get(claim) or Verdict(where=name, claim=claim, **missing) for claim in claims
        ]
    counts = [sum(v.cleared is word for v in verdicts) for word in (True, False)]
    absent = sum(verdict.measured == UNMEASURED for verdict in verdicts)
    counts += [len(verdicts) - sum(counts) - absent, absent]
    summary = "{} bars are cleared, {} missed, {} not judged, {} not measured.".format(*counts)
    return (
        f"{summary} In brackets the quartiles: of our calls, or of ours over the peer's in the "
        f"same turns; `processor` is the ratio of processor times, all threads.\n\n"
        f"{verdict_table(verdicts)}"
    )


def scaling_introduction() -> str:
    """Say what the pictures show."""
    return (
        "Processor time (all threads) of a whole call against one size, both axes logarithmic: "
        "of a single thread it is the time on the clock of a quiet machine. The exponents are "
        "fitted by least squares to the last three sizes of each line. A package whose calls take "
        "seconds leaves a curve early."
    )


def curve_blocks(curve: Curve, part: Part | None, folder: Path) -> list[str]:
    """Picture, exponents and table of a curve."""
    heading = f"### {curve.title[0].upper()}{curve.title[1:]}"
    if part is None:
        return [heading, f"{curve.about}: {UNMEASURED}."]
    picture = draw_curve(curve, part, folder / "scaling")
    words = []
    for peer in curve.peers:
        fitted = exponent(part.points, peer)
        if fitted:
            words.append(f"{peer} {fitted[0]:.2f} ({fitted[1]} sizes)")
    absent = [peer for peer in curve.peers if not any(p.peer == peer for p in part.points)]
    more = f" {UNMEASURED[0].upper()}{UNMEASURED[1:]}: {', '.join(absent)}." if absent else ""
    return [
        heading,
        f"![Processor time against {curve.size}](scaling/{picture.name})",
        f"{curve.about}. Exponents: {', '.join(words)}.{more}",
        when_text(part),
        points_table(curve, part.points),
    ]


def points_table(curve: Curve, points: list[Point]) -> str:
    """Write clock and processor times of a curve."""
    peers = [peer for peer in curve.peers if any(p.peer == peer for p in points)]
    found = {(point.peer, point.size): point for point in points}
    rows = []
    for size in curve.sizes:
        row = [f"{size:,}"]
        for peer in peers:
            one = found.get((peer, size))
            if one is None:
                row.append("")
            elif one.seconds is None or one.processor is None:
                row.append("stopped" if one.problem else UNMEASURED)
            else:
                row.append(f"{duration(one.processor)} ({duration(one.seconds)})")
        rows.append(row)
    stopped = [f"\n\n{p.peer} at {p.size:,.0f}: {p.problem}." for p in points if p.problem]
    return filled_table([f"{curve.size}: processor (clock)", *peers], rows) + "".join(stopped)


def when_text(part: Part) -> str:
    """Say when and among how much other work a part was measured."""
    return (
        f"{part.when}, commit {part.versions['commit']}, load average {part.load[0]:.1f} to "
        f"{part.load[-1]:.1f}."
    )
