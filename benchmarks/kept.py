"""What was measured, kept in a file of a JSON object a line, so that a run can be resumed.

A part is a case, a start-up, a posterior, a curve of the scaling or the conformance: its tables as
Markdown, its bars judged, its points, and when, where and with what it was measured. A later
line of the same name takes the place of an earlier one.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import load, machine, versions
from verdicts import Verdict

FILE = Path(__file__).with_name("results.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of one peer in a curve: median seconds on the clock and of the processors."""

    peer: str
    size: float
    seconds: float | None
    processor: float | None
    calls: int
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class Part:
    """One measured part.

    Attributes
    ----------
    name, title : of the case
    kind : "fit", "generalised", "after fit", "posterior", "startup", "stream", "scaling" or
        "conformance"
    text : its tables
    verdicts : its bars
    points : of a curve
    peers : versions of those who took part
    machine, versions, when, load : where, with what, and among how much other work, at the
        beginning and the end
    """

    name: str
    title: str
    kind: str
    text: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)
    when: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    load: list[float] = field(default_factory=lambda: [load()])


def keep(part: Part, path: Path = FILE) -> None:
    """Add a finished part to the file."""
    part.load.append(load())
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(part)) + "\n")


def kept(path: Path = FILE) -> dict[str, Part]:
    """Read the newest part of each name; of other machines than the newest, none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    parts = [read(json.loads(line)) for line in lines]
    newest = parts[-1].machine if parts else {}
    return {part.name: part for part in parts if part.machine == newest}


def read(entry: dict[str, Any]) -> Part:
    """Make a part of its JSON."""
    verdicts = [Verdict(**verdict) for verdict in entry.pop("verdicts")]
    points = [Point(**point) for point in entry.pop("points")]
    return Part(**entry, verdicts=verdicts, points=points)


def is_done(name: str, parts: dict[str, Part]) -> bool:
    """Say whether a part was measured here, with this commit."""
    part = parts.get(name)
    return part is not None and part.machine == machine() and part.versions == versions()


def tidy(path: Path = FILE, names: Iterable[str] | None = None) -> None:
    """Leave one line a part, those of other machines and of cases that are gone left out."""
    parts = kept(path)
    known = set(parts) if names is None else set(names)
    lines = [json.dumps(asdict(part)) for part in parts.values() if part.name in known]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
