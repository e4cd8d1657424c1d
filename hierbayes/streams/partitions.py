"""Streams of partitions: a Dask DataFrame, each partition worked on where it is.

What partitions give is added up in pairs, then pairs of pairs, in the order of the partitions: the
sums are the same to the last digit whichever worker ends first, whoever is lost in between, and no
worker holds more of them than the tree is deep. Dask does the rest: where partitions are, which
worker takes which, and what to do again when one is lost.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hierbayes.errors import DataError, HierBayesError
from hierbayes.linalg.threads import one_blas_thread
from hierbayes.streams.source import Batch, constant, unreadable

RETRIES = 3  # of a partition that fails, on a cluster


class PartitionSource:
    """A Dask DataFrame; each of its partitions is a part."""

    name = ""
    re_readable = True
    n_rows: int | None = None

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.columns = [str(name) for name in frame.columns]
        self.description = f"a Dask DataFrame of {frame.npartitions} partitions"
        self.fingerprint = repr((self.columns, frame.npartitions))

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the partitions in order; each is computed by whoever sums it."""
        wanted = self.frame[list(columns)]
        for number in range(start, self.frame.npartitions):
            own = wanted.partitions[number]
            yield Batch(part=f"partition {number + 1}", first=0, read=own.compute)

    def reduced[Found](
        self,
        columns: Sequence[str],
        work: Callable[[Batch], Found],
        add: Callable[[Found, Found], Found],
    ) -> Found:
        """Work on every partition where it is and add up what is found, in a fixed order.

        Parameters
        ----------
        columns : the columns that are used
        work : what to do with a partition; goes to other processes
        add : what two parts make together; changes neither, as a lost worker's are added again

        Raises
        ------
        DataError
            What ``work`` raises, or that a partition can't be computed.
        """
        import dask

        parts = self.frame[list(columns)].to_delayed()
        task, plus = (dask.delayed(one, pure=False, traverse=False) for one in (_Work(work), add))
        level = [task(part, number) for number, part in enumerate(parts)]
        if not level:
            raise DataError("The Dask DataFrame has no partitions.")
        while len(level) > 1:
            pairs = [plus(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
            level = pairs + level[2 * len(pairs) :]
        try:
            found: Found = level[0].compute(retries=RETRIES)
        except (HierBayesError, MemoryError):
            raise
        except Exception as error:  # whatever readers and clusters raise
            raise unreadable("a partition", error) from error
        return found


class _Work:
    """What is done with a partition, on the worker that has it."""

    def __init__(self, work: Callable[[Batch], Any]) -> None:
        self._work = work

    def __call__(self, frame: Any, number: int) -> Any:
        with one_blas_thread(True):
            return self._work(Batch(part=f"partition {number + 1}", first=0, read=constant(frame)))
