"""Streams of frames: a list of them, a function that makes them anew, or an iterator, read once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd

from hierbayes.design.table import read_table
from hierbayes.errors import DataError, HierBayesError
from hierbayes.streams.source import BATCH_ROWS, Batch, constant, unreadable


class FrameSource:
    """Frames one after the other; each is a part.

    Parameters
    ----------
    given : an iterable of frames, or a function without arguments that returns one

    Raises
    ------
    DataError
        If there are no frames, or the first one is none.
    """

    n_rows: int | None = None
    name = ""

    def __init__(self, given: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self._given = given
        self.re_readable = not isinstance(given, Iterator)
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise DataError("The stream has no frames: it ended before the first one.")
        self._first: Any = None if self.re_readable else first
        self._rest = frames
        self._spent = False
        self.columns = [str(name) for name in _as_frame(first, "part 1").names]
        self.fingerprint = f"frames {self.columns}"
        kinds = "read once" if isinstance(given, Iterator) else "read again for each pass"
        self.description = f"frames one after the other, {kinds}"

    def _frames(self) -> Iterator[Any]:
        given = self._given() if callable(self._given) else self._given
        try:
            return iter(given)
        except TypeError:
            raise DataError(
                f"The function returned a {type(given).__name__}, not frames one after the other."
            ) from None

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[Batch]:
        """Hand out the batches in order; frames of many rows are cut."""
        if self.re_readable:
            frames = self._frames()
        elif self._spent:
            raise read_once()
        else:
            frames, self._first, self._spent = chain([self._first], self._rest), None, True
        return islice(self._pieces(frames, columns), start, None)

    def _pieces(self, frames: Iterator[Any], columns: Sequence[str]) -> Iterator[Batch]:
        number = 0
        while True:
            number += 1
            part = f"part {number}"
            try:
                frame = next(frames)
            except StopIteration:
                return
            except HierBayesError:
                raise
            except Exception as error:  # of the user's own generator
                raise unreadable(part, error) from error
            yield from pieces(frame, part)


def pieces(frame: Any, part: str) -> Iterator[Batch]:
    """Cut a frame into batches."""
    table = _as_frame(frame, part)
    if table.n_rows <= 2 * BATCH_ROWS:
        yield Batch(part=part, first=0, read=constant(frame))
        return
    for start in range(0, table.n_rows, BATCH_ROWS):
        yield Batch(part=part, first=start, read=partial(rows_of, frame, start, start + BATCH_ROWS))


def rows_of(frame: Any, start: int, stop: int, step: int = 1) -> Any:
    """Return some rows of a frame of any kind, as a frame of that kind."""
    if isinstance(frame, pd.DataFrame):
        return frame.iloc[start:stop:step]
    if isinstance(frame, Mapping):
        return {name: values[start:stop:step] if np.ndim(values) else values
                for name, values in frame.items()}  # fmt: skip
    import narwhals as nw

    return nw.from_native(frame, eager_only=True)[start:stop:step].to_native()


def _as_frame(frame: Any, part: str) -> Any:
    try:
        return read_table(frame)
    except DataError as error:
        raise DataError(f"{part.capitalize()} of the stream is no frame: {error}") from None


def read_once() -> DataError:
    """Return the error of a second pass over what can be read once."""
    return DataError(
        "This stream can be read once, and the model needs two passes: one to learn levels and "
        "what scale() and the like learn, one to add up. Give a function that makes the iterator "
        "anew (hb.Model(formula, lambda: frames())), or a list of frames or files."
    )
