"""Going through a source: two batches at a time, one read while the other is summed, in order."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from hierbayes.progress import Progress, progress_bar
from hierbayes.streams.batch_values import Question
from hierbayes.streams.source import Batch, Source

THREADS = 2


class Reading:
    """Passes over a source: two batches at a time, in order, with a progress bar."""

    def __init__(self, source: Source, question: Question, *, progress: bool | None) -> None:
        self.source = source
        self.question = question
        self.progress = progress
        self.n_rows = 0  # known after the first pass

    def each[Found](
        self,
        work: Callable[[int, Batch], tuple[int, Found]],
        *,
        stage: str,
        without: Any = (),
        batches: Iterator[Batch] | None = None,
    ) -> Iterator[Found]:
        """Do some work with every batch and return what it gives, in the order of the batches.

        Parameters
        ----------
        work : of the number of a batch and the batch; returns how many rows it had besides
        stage : what is done, for the bar
        without : numbers of batches to leave out
        batches : where they were begun to be read already
        """
        began, done = time.monotonic(), 0
        total = self.n_rows or 0

        def look() -> Progress:
            speed = done / max(time.monotonic() - began, 1e-9)
            note = f"{speed / 1e6:.1f} million rows/s"
            return Progress(stage=stage, done=done, total=total, unit="rows", note=note)

        with progress_bar(look, show=self.progress):
            for n, found in self._in_order(work, without, batches):
                done += n
                yield found

    def _in_order[Found](
        self,
        work: Callable[[int, Batch], tuple[int, Found]],
        without: Any,
        given: Iterator[Batch] | None,
    ) -> Iterator[tuple[int, Found]]:
        left_out = set(np.asarray(without, dtype=np.int64).tolist())
        start = next(k for k in range(len(left_out) + 1) if k not in left_out)
        if given is None:
            given = self.source.batches(self.question.columns, start)
        batches = enumerate(given, start)
        wanted = ((k, batch) for k, batch in batches if k not in left_out)
        return in_order(wanted, lambda pair: work(*pair))


def in_order[Given, Found](
    given: Iterator[Given], work: Callable[[Given], Found]
) -> Iterator[Found]:
    """Do some work with every batch, two at a time, and return what it gives in their order."""
    waiting: deque[Future[Found]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hierbayes-stream")
    try:
        for own in given:
            waiting.append(pool.submit(work, own))
            while len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)
