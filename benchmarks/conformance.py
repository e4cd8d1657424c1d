"""`hierbayes conformance` as a part: the reference fits, held to their tolerances."""

import json
import subprocess
import sys
import time

from kept import Part
from peers import environment
from verdicts import Verdict, duration, table

CONFORMANCE = "conformance"
CLAIM = "every number of the reference fits within its tolerance"
PROGRAM = "from hierbayes.cli import main; main()"


def measure_conformance() -> Part:
    """Run the command in a fresh process."""
    part = Part(name=CONFORMANCE, title="ours beside the reference fits", kind=CONFORMANCE)
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "conformance", "--json"],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    rows = json.loads(run.stdout) if run.returncode in (0, 1) else []
    apart = [row for row in rows if row["verdict"] == "APART"]
    measured = f"{len(rows):,} numbers of {len({row['model'] for row in rows})} fits, "
    measured += f"{len(apart)} apart, in {duration(seconds)}"
    if not rows:
        measured = f"stopped: {run.stderr.strip().splitlines()[-1]}"
    part.verdicts.append(
        Verdict(where=CONFORMANCE, claim=CLAIM, measured=measured, cleared=bool(rows) and not apart)
    )
    part.text = kinds_table(rows)
    return part


def kinds_table(rows: list[dict]) -> str:
    """Write how close we come, by kind of quantity; numbers whose reference is off left out."""
    found = []
    for kind in dict.fromkeys(row["quantity"] for row in rows):
        own = [row for row in rows if row["quantity"] == kind]
        held = [row for row in own if row["verdict"] != "reference off"]
        off = len(own) - len(held)
        if not held:
            found.append([kind, "0", str(off), "-", "-"])
            continue
        worst = max(held, key=lambda row: abs(row["difference"]) / row["allowed"])
        share = abs(worst["difference"]) / worst["allowed"]
        found.append([kind, str(len(held)), str(off), f"{share:.2g}", worst["model"]])
    header = ["quantity", "numbers", "reference off", "largest difference / allowed", "of"]
    return table(header, found)
