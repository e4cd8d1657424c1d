"""One BLAS thread while matrices are small, and threads of our own for what falls into parts.

numpy and scipy carry a copy of OpenBLAS each, with threads of its own. Both hand matrices of a few
hundred rows to all cores, and the threads of one copy, waiting busily for more, hold up the other:
such work takes two to five times as long as on one thread.
"""

import contextvars
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any


def one_blas_thread(wanted: bool = True) -> AbstractContextManager[Any]:
    """Keep BLAS to one thread in a ``with`` block; nothing happens unless ``wanted``.

    The number of threads belongs to the process: of several threads of the program in such blocks
    at once, the first sets it and puts it back.
    """
    if not wanted:
        return nullcontext()
    return _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")


@cache
def _controller(with_scipy: bool) -> Any:
    """Find the loaded copies of BLAS, once; and once more when scipy has brought its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def in_threads[Part](work: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """Do the work on every part, on all cores that this process may use.

    Array operations let other threads run meanwhile. What parts write must not overlap, and nothing
    may depend on their order: results are then the same on any number of cores.
    """
    n = min(n_cores(), len(parts))
    if n < 2:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(n) as pool:
        # a copy of the context for each: numpy's handling of floating-point errors belongs to it
        tasks = [pool.submit(contextvars.copy_context().run, work, part) for part in parts]
    for task in tasks:
        task.result()


def n_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
