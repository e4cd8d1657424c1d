"""Run files as plain scripts, each in a process of its own, forked where others' imports are done.

Those take as long as half of a tutorial. Nothing of ours is imported before the fork.
"""

import multiprocessing
import os
import pickle
import runpy
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["arviz", "marimo", "matplotlib.pyplot", "numba", "pandas", "scipy.stats", "xarray"]
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a script ended, and what it wrote to the terminal's second stream.

    ``texts`` and ``names`` are what the cells of a notebook showed as HTML, and those of the names
    they defined that were asked for.
    """

    exit_code: int | None
    stderr: str
    texts: tuple[str, ...]
    names: dict[str, Any]


def run(path: Path, folder: Path, *, names: Sequence[str] = ()) -> Done:
    """Run a file with warnings as errors; what it writes is kept in a folder."""
    process = PROCESSES.Process(target=_run, args=(str(path), str(folder), names))
    process.start()
    process.join()
    cells = folder / "cells"
    texts, found = pickle.loads(cells.read_bytes()) if cells.exists() else ((), {})
    return Done(
        exit_code=process.exitcode,
        stderr=(folder / "stderr").read_text("utf-8"),
        texts=texts,
        names=found,
    )


def _run(path: str, folder: str, names: Sequence[str]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with Path(folder, stream.name.strip("<>")).open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), stream.fileno())
    sys.argv = [path]
    warnings.simplefilter("error")
    import marimo

    run_app = marimo.App.run

    def run_and_keep(app: marimo.App) -> Any:
        outputs, defined = run_app(app)
        texts = tuple(output.text for output in outputs if isinstance(output, marimo.Html))
        kept = {name: defined[name] for name in names}
        Path(folder, "cells").write_bytes(pickle.dumps((texts, kept)))
        return outputs, defined

    marimo.App.run = run_and_keep
    runpy.run_path(path, run_name="__main__")
