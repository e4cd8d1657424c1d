"""One BLAS thread while matrices are small.

numpy and scipy carry a copy of OpenBLAS each, with threads of its own. Both hand matrices of a few
hundred rows to all cores, and the threads of one copy, waiting busily for more, hold up the other:
such work takes two to five times as long as on one thread.
"""

import sys
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
