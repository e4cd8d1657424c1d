"""What goes wrong with a stream is one sentence, and what was added up stays in its checkpoint."""

import errno
import os

import numpy as np
import pandas as pd
import pytest

import hierbayes as hb
from hierbayes.errors import DataError, NotSupportedError, OptionError
from hierbayes.streams import checkpoint as checkpoints
from hierbayes.streams import specify

FORMULA = "y ~ x + (x | g)"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = rng.integers(0, 12, 900)
    x = rng.normal(size=900)
    y = rng.normal(size=12)[g] + x * (1 + 0.3 * rng.normal(size=12)[g]) + rng.normal(size=900)
    return pd.DataFrame({"y": y, "x": x, "g": g, "arm": rng.choice(["a", "b"], 900)})


def parts_of(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[start : start + 100] for start in range(0, 900, 100)]


def changed(frame: pd.DataFrame, part: int, **columns) -> list[pd.DataFrame]:
    parts = parts_of(frame)
    parts[part - 1] = parts[part - 1].assign(**columns)
    return parts


def twice(first, second):
    """A function that makes some frames at first and others in the second pass."""
    made = iter([iter(first), iter(first), iter(second)])  # a look at the columns comes first
    return lambda: next(made)


def broken(parts, at):
    """Frames of which one can't be made."""

    def frames():
        for number, part in enumerate(parts, 1):
            if number == at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            yield part

    return frames


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda d: broken(parts_of(d), 7),
            "Part 7 of the stream can't be read: Input/output error",
        ),
        (
            lambda d: [*parts_of(d)[:6], parts_of(d)[6].drop(columns="x"), *parts_of(d)[7:]],
            "Part 7 of the stream has no column 'x'",
        ),
        (
            lambda d: changed(d, 4, x="much"),
            "Column 'x' holds numbers in part 1 of the stream and categories in part 4",
        ),
        (
            lambda d: changed(d, 5, x=np.where(np.arange(100) == 41, np.inf, 0.0)),
            "Column 'x' has an infinite value in row 42 of part 5",
        ),
        (
            lambda d: twice(parts_of(d), changed(d, 3, g=99)),
            "g has the level '99' in row 1 of part 3, which was not there",
        ),
        (
            lambda d: twice(parts_of(d), parts_of(d)[:-1]),
            "900 complete rows in the first pass and 800 in the second",
        ),
        (lambda d: iter(parts_of(d)), "can be read once"),
        (lambda d: [], "no frames"),
        (lambda d: [d.iloc[:0]], "The stream has no rows"),
        (lambda d: [d.assign(x=np.nan)], "No row is complete: of 900 rows, 'x' in 900"),
        (lambda d: [d, 3], "Part 2 of the stream is no frame"),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_part(frame, make, words):
    with pytest.raises(DataError) as caught:
        hb.Model(FORMULA, make(frame))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_no_stream_can_do_is_said(frame):
    parts = parts_of(frame)
    with pytest.raises(NotSupportedError, match=r"poly\(x, 2\) needs all values at once"):
        hb.Model("y ~ poly(x, 2) + (1 | g)", parts)
    with pytest.raises(DataError, match=r"weights was given as ndarray.*weights='column'"):
        hb.Model(FORMULA, parts, weights=np.ones(900))
    with pytest.raises(OptionError, match="connection="):
        hb.Stream(parts, connection=object())


def test_a_residual_lost_in_squares_is_refused(frame):
    tiny = frame.assign(y=1e3 * frame.g + 1e-6 * frame.y)
    with pytest.raises(NotSupportedError, match="leave next to nothing of the response"):
        hb.Model(FORMULA, parts_of(tiny))


def test_an_interrupted_stream_goes_on_from_its_checkpoint(frame, tmp_path):
    file, parts = tmp_path / "sums.npz", parts_of(frame)
    whole = hb.lmer(FORMULA, frame)
    reads = []

    def frames(stop):
        def make():
            reads.append(0)
            for number, part in enumerate(parts, 1):
                if len(reads) == 3 and number == stop:
                    raise KeyboardInterrupt
                reads[-1] += 1
                yield part

        return make

    with pytest.raises(KeyboardInterrupt):
        hb.Model(FORMULA, hb.Stream(frames(6), checkpoint=file))
    with np.load(file) as kept:
        done = set(kept["done"].tolist())
    assert {0, 1, 2} <= done <= {0, 1, 2, 3, 4}  # the last two may not have begun
    fit = hb.lmer(FORMULA, hb.Stream(frames(None), checkpoint=file))
    assert fit.criterion == pytest.approx(whole.criterion, rel=1e-12)
    np.testing.assert_allclose(fit.beta, whole.beta, rtol=1e-9)
    assert list(fit.ranef()["g"].index) == list(whole.ranef()["g"].index)
    with pytest.raises(DataError, match=r"of another model \(other formula\)"):
        hb.Model("y ~ x + (1 | g)", hb.Stream(parts, checkpoint=file))
    file.write_bytes(b"no archive")
    with pytest.raises(DataError, match="is no checkpoint of a stream"):
        hb.Model(FORMULA, hb.Stream(parts, checkpoint=file))


def test_a_full_disk_leaves_the_last_checkpoint_as_it_is(frame, tmp_path, monkeypatch):
    file, parts = tmp_path / "sums.npz", parts_of(frame)
    with pytest.raises(DataError, match="Part 8"):
        hb.Model(FORMULA, hb.Stream(late(parts, 8), checkpoint=file))
    before = file.read_bytes()

    def full(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints.Draft, "sync", full)
    monkeypatch.setattr(specify, "EVERY", 0.0)
    with pytest.raises(DataError, match=r"can't be written to .*: No space left on device"):
        hb.Model(FORMULA, hb.Stream(late(parts, 0), checkpoint=file))
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def late(parts, at):
    """Frames of which one can't be made in the second pass."""
    passes = []

    def frames():
        passes.append(1)
        return iter(parts) if len(passes) < 3 else broken(parts, at)()

    return frames
