"""A progress bar for NUTS: only where somebody watches, and only when it takes a while."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 2.0  # seconds without a bar
EVERY = 0.2  # seconds between two looks


def somebody_watches() -> bool:
    """Whether standard error is a terminal, or this is a notebook."""
    return _in_notebook() or bool(sys.stderr and sys.stderr.isatty())


def _in_notebook() -> bool:
    """Whether this runs in a notebook; that its package is imported does not say so."""
    marimo, ipython = sys.modules.get("marimo"), sys.modules.get("IPython")
    if marimo is not None and marimo.running_in_notebook():
        return True
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Watch:
    """What the sampler tells about its progress; does nothing by itself."""

    def __init__(self) -> None:
        self.stage = "Compiling the model"
        self.done, self.total, self.divergences = 0, 0, 0
        self.callback: Any = None

    def compiled(self) -> None:
        """Note that compiling is over."""
        self.stage = "Sampling by NUTS"

    def look(self, chains: list[Any]) -> None:
        """Take over what nutpie reports about its chains."""
        self.done = sum(chain.finished_draws for chain in chains)
        self.total = sum(chain.total_draws for chain in chains)
        self.divergences = sum(chain.divergences for chain in chains)


@contextmanager
def watched(settings: Any) -> Iterator[Watch]:
    """Show a bar while the block runs, if the settings or the place ask for one."""
    watch = Watch()
    show = somebody_watches() if settings.progress is None else settings.progress
    if not show:
        yield watch
        return
    watch.callback = watch.look
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(watch, over), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _show(watch: Watch, over: threading.Event) -> None:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        if over.wait(EVERY):
            return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[draws]}"),
        TextColumn("{task.fields[divergences]} divergences"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(watch.stage, total=None, draws="", divergences=0)
        while not over.wait(EVERY):
            bar.update(
                task,
                description=watch.stage,
                completed=watch.done,
                total=watch.total or None,
                draws=f"{watch.done}/{watch.total} draws" if watch.total else "",
                divergences=watch.divergences,
            )
