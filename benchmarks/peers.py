"""The packages that take part: each runs in a process of its own and obeys short commands.

A process of its own means that nobody warms up, slows down or fills the memory of another,
and that R is timed like the rest: inside, warm, without its start.
"""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cases import GLMM, LME4, LME4_NO_DERIVATIVES, MIXEDLM, OURS, PBKRTEST, STATSMODELS

HERE = Path(__file__).parent
# Marks the replies of a worker among whatever else a package prints.
REPLY_MARK = "@@"
# Seconds a worker may take to start, load or answer before it counts as not finishing.
TIME_LIMIT = 600.0

OPENBLAS_ADVICE = (
    "R does not use OpenBLAS but {blas}; lme4 would look up to three times slower than it is, "
    "so the comparison is refused. On Debian and Ubuntu install libopenblas0-pthread and choose "
    "it with `update-alternatives --config libblas.so.3-x86_64-linux-gnu` (and `liblapack.so.3-"
    "x86_64-linux-gnu`), or leave lme4 out with `--without lme4`."
)


class PeerError(Exception):
    """A peer is not there, died or did not finish; the sentence says which."""


def memory_kb(field: str) -> float:
    """Read VmRSS (now) or VmHWM (peak) of this process in kB; -1 where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return -1.0
    lines = (line.split() for line in status.read_text().splitlines())
    return next(float(words[1]) for words in lines if words[0] == f"{field}:")


def rscript() -> str:
    """Find the program that runs R."""
    path = shutil.which("Rscript")
    if path is None:
        raise PeerError("there is no Rscript on the PATH")
    return path


def command_of(peer: str, folder: Path) -> list[str]:
    """Return the command line of a peer's worker."""
    kinds = {LME4: "default", LME4_NO_DERIVATIVES: "no derivatives", PBKRTEST: "pbkrtest"}
    if peer in kinds:
        return [rscript(), str(HERE / "lme4_worker.R"), kinds[peer], str(folder)]
    packages = {OURS: "hierbayes", GLMM: "glmm", MIXEDLM: "mixedlm", STATSMODELS: "statsmodels"}
    package = packages[peer]
    return [sys.executable, str(HERE / "python_worker.py"), package, str(folder)]


def environment() -> dict[str, str]:
    """Return our environment, with the source tree importable last."""
    tree = str(HERE.parent)
    paths = [path for path in (os.environ.get("PYTHONPATH"), tree) if path]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


class Worker:
    """A running peer. Use as a context manager: leaving it ends the process."""

    def __init__(self, peer: str, folder: Path, command: list[str] | None = None) -> None:
        self.peer = peer
        command = command or command_of(peer, folder)
        self.log = folder / f"{peer.replace(' ', '_').replace(',', '')}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env=environment(),
            )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, *words: str) -> dict[str, Any]:
        """Send one command and wait for its reply."""
        with contextlib.suppress(BrokenPipeError):  # a dead worker is reported just below
            self.process.stdin.write("\t".join(words) + "\n")
            self.process.stdin.flush()
        while True:
            try:
                line = self.lines.get(timeout=TIME_LIMIT)
            except queue.Empty:
                self.close()
                raise PeerError(f"did not finish '{words[0]}' in {TIME_LIMIT:.0f} s") from None
            if line is None:
                raise PeerError(self._last_words())
            if line.startswith(REPLY_MARK):
                return json.loads(line.removeprefix(REPLY_MARK))

    def _last_words(self) -> str:
        lines = self.log.read_text().splitlines()
        said = [line for line in lines if line.strip() and line != "Execution halted"]
        return f"stopped: {said[-1].strip()}" if said else "stopped without a message"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def available(
    peers: Iterable[str],
    folder: Path,
    command: Callable[[str, Path], list[str]] = command_of,
) -> tuple[dict[str, str], dict[str, str]]:
    """Find which peers answer, with their versions, and why the others do not.

    Raises
    ------
    SystemExit
        If lme4 is there but R works with another BLAS than OpenBLAS.
    """
    present: dict[str, str] = {}
    absent: dict[str, str] = {}
    for peer in peers:
        try:
            with Worker(peer, folder, command(peer, folder)) as worker:
                about = worker.ask("hello")
        except PeerError as problem:
            absent[peer] = str(problem)
            continue
        present[peer] = about["version"]
        if "blas" in about:
            if not about["openblas"]:
                raise SystemExit(OPENBLAS_ADVICE.format(blas=about["blas"]))
            kind = Path(about["blas"]).parent.name  # the folder says which: openblas-pthread
            present[peer] += f" in R {about['r']} with BLAS {kind}"
    return present, absent
