"""Running replicates of a simulation in parts: seeds, workers and a progress bar.

The parts and their seeds depend on the number of replicates and the random seed only, so one
worker and many give the same numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hierbayes.errors import OptionError
from hierbayes.options import check_flag, is_whole, random_generator
from hierbayes.progress import counted_progress
from hierbayes.wording import shown

PART = 250  # replicates in one part, fewer where a replicate has many rows
PART_NUMBERS = 1_000_000  # rows times replicates

Part = Callable[[int, int], Any]


def checked_count(nsim: Any) -> int:
    """Return ``nsim`` if it is a whole number of at least 1; else raise OptionError."""
    if is_whole(nsim) and nsim >= 1:
        return int(nsim)
    raise OptionError(f"nsim={shown(nsim)} must be a whole number of at least 1, for example 500.")


def checked_jobs(n_jobs: Any) -> int:
    """Return ``n_jobs`` if it is a whole number other than 0; else raise OptionError."""
    if is_whole(n_jobs) and n_jobs != 0:
        return int(n_jobs)
    raise OptionError(
        f"n_jobs={shown(n_jobs)} must be a whole number of workers, for example 1 or 4; -1 takes "
        "all processors."
    )


def run_parts(
    part: Part,
    nsim: int,
    *,
    random_seed: Any,
    n_rows: int,
    n_jobs: int,
    progress: bool | None,
    title: str,
) -> list[Any]:
    """Call ``part(seed, count)`` until ``nsim`` replicates are made; results in order.

    Parameters
    ----------
    part : callable
        A seed and a number of replicates to whatever belongs to them.
    n_rows : int
        Rows of the data; bounds the memory of a part.
    n_jobs : int
        Workers of joblib; 1 stays in this process.
    progress : bool or None
        Show a bar; None where somebody watches.
    title : str
        What the bar says.
    """
    size = max(1, min(PART, PART_NUMBERS // max(n_rows, 1)))
    counts = [min(size, nsim - at) for at in range(0, nsim, size)]
    return seeded(
        part,
        counts,
        random_seed=random_seed,
        n_jobs=n_jobs,
        progress=progress,
        title=title,
        sizes=counts,
    )


def seeded(
    part: Callable[[int, Any], Any],
    given: Sequence[Any],
    *,
    random_seed: Any,
    n_jobs: int,
    progress: bool | None,
    title: str,
    sizes: Sequence[int] | None = None,
) -> list[Any]:
    """Call ``part(seed, one)`` for each of what is given, with seeds of their own; in order.

    ``sizes`` say how far the bar goes with each, one unless said; the rest is as of ``run_parts``.
    """
    if progress is not None:
        check_flag("progress", progress, "True, False or None (where somebody watches)")
    sizes = [1] * len(given) if sizes is None else sizes
    seeds = random_generator(random_seed).integers(2**63, size=len(given)).tolist()
    found = []
    with counted_progress(title, sum(sizes), progress) as advance:
        for size, result in zip(sizes, _results(part, seeds, given, n_jobs), strict=True):
            found.append(result)
            advance(size)
    return found


def _results(
    part: Callable[[int, Any], Any], seeds: list[int], given: Sequence[Any], n_jobs: int
) -> Iterator[Any]:
    pairs = zip(seeds, given, strict=True)
    if n_jobs == 1:
        for seed, one in pairs:
            yield part(seed, one)
        return
    import joblib

    tasks = (joblib.delayed(part)(seed, one) for seed, one in pairs)
    yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
