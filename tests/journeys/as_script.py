"""Run files as plain scripts, each in a process of its own, forked where others' imports are done.

Those take as long as half of a tutorial. Nothing of ours is imported before the fork.
"""

import multiprocessing
import os
import runpy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["arviz", "marimo", "matplotlib.pyplot", "numba", "pandas", "scipy.stats", "xarray"]
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a script ended, and what it wrote to the terminal's second stream."""

    exit_code: int | None
    stderr: str


def run(path: Path, folder: Path) -> Done:
    """Run a file with warnings as errors; what it writes is kept in a folder."""
    process = PROCESSES.Process(target=_run, args=(str(path), str(folder)))
    process.start()
    process.join()
    return Done(exit_code=process.exitcode, stderr=(folder / "stderr").read_text("utf-8"))


def _run(path: str, folder: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        with Path(folder, stream.name.strip("<>")).open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), stream.fileno())
    sys.argv = [path]
    warnings.simplefilter("error")
    runpy.run_path(path, run_name="__main__")
