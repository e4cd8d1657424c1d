"""The one progress bar: only where somebody watches, and only when it takes a while."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hierbayes.arrays import record

PATIENCE = 2.0  # seconds without a bar
EVERY = 0.2  # seconds between two looks


@record
class Progress:
    """How far a task is.

    Attributes
    ----------
    stage : what is being done
    done, total : of whatever is counted; a total of 0 is not known yet
    unit : what is counted
    note : a further remark
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""


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


@contextmanager
def progress_bar(look: Callable[[], Progress], *, show: bool | None) -> Iterator[bool]:
    """Show a bar while the block runs, once it has taken ``PATIENCE`` seconds; yields whether.

    Parameters
    ----------
    look : called now and then from another thread; says how far the task is
    show : True, False, or None where somebody watches
    """
    if not (somebody_watches() if show is None else show):
        yield False
        return
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(look, over), daemon=True)
    thread.start()
    try:
        yield True
    finally:
        over.set()
        thread.join()


@contextmanager
def counted_progress(title: str, total: int, show: bool | None) -> Iterator[Callable[[int], None]]:
    """Show a bar of a count; yields what moves it on by so many."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count

    with progress_bar(lambda: Progress(stage=title, done=done, total=total), show=show):
        yield advance


def _show(look: Callable[[], Progress], over: threading.Event) -> None:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        if over.wait(EVERY):
            return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(look().stage, total=None, count="", note="")
        while not over.wait(EVERY):
            now = look()
            bar.update(
                task,
                description=now.stage,
                completed=now.done,
                total=now.total or None,
                count=f"{now.done}/{now.total} {now.unit}".rstrip() if now.total else "",
                note=now.note,
            )
