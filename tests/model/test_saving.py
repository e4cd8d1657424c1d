"""A saved fit says tomorrow what it says today; a file from a stranger does nothing."""

import io
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hierbayes as hb
from hierbayes.saving.archive import SPECIFICATION
from tests.model.damage import array_file, rewritten
from tests.model.fits import assert_says_the_same, grouped, lmer, quietly


def with_gaps():
    data = grouped()
    data.loc[[0, 5, 17], "x"] = np.nan
    data.loc[[5, 9], "g"] = None
    return data


def with_text_index():
    data = grouped()
    return data.set_index(pd.Index([f"row {i}" for i in range(len(data))], name="id"))


CASES = {
    "correlated": ("y ~ x + (x | g)", grouped(), {}),
    "maximum likelihood": ("y ~ x + (x | g)", grouped(), {"reml": False}),
    "crossed": ("y ~ x + (1 | g) + (1 | item)", grouped(), {}),
    "nested": ("y ~ x + (1 | g/item)", grouped(), {}),
    "no bars": ("y ~ x + f", grouped(), {}),
    "learnt transforms": (
        "log(y + 60) ~ poly(x, 2) + scale(z) + ns(x, 3) + bs(z, df = 4) + (scale(x) || g)",
        grouped(),
        {},
    ),
    "rows dropped": ("y ~ x + f + (x | g)", with_gaps(), {}),
    "rows dropped, weights array": (
        "y ~ x + (1 | g)",
        with_gaps(),
        {"weights": with_gaps()["w"].to_numpy()},
    ),
    "weights by expression": ("y ~ x + (1 | g)", grouped(), {"weights": "1 / (1 + days)"}),
    "offset column": ("y ~ x + (1 | g)", grouped(), {"offset": "o"}),
    "offset array": ("y ~ x + (1 | g)", grouped(), {"offset": grouped()["o"].to_numpy()}),
    "known sds": ("y ~ x + (1 | g)", grouped(), {"known_sd": "w"}),
    "one known sd": ("y ~ x + (1 | g)", grouped(), {"known_sd": 2.0}),
    "contrasts": ("y ~ f * x + (f | g)", grouped(40), {"contrasts": {"f": "sum"}}),
    "ordered factor": (
        "y ~ f + (1 | g)",
        grouped().assign(f=grouped()["f"].cat.as_ordered()),
        {},
    ),
    "integer groups": ("y ~ x + (1 | days)", grouped(), {}),
    "logical": ("y ~ late * x + (1 | g)", grouped().assign(late=grouped()["days"] > 2), {}),
    "made factor": ("y ~ factor(days) + I(x > 5) + (1 | g)", grouped(), {}),
    "strange names": (
        "`the y` ~ `größe 1` + (1 | `C`)",
        grouped().rename(columns={"y": "the y", "x": "größe 1", "g": "C"}),
        {},
    ),
    "every column": ("y ~ I(x^2) + . - g + (1 | g)", grouped()[["z", "y", "x", "g"]], {}),
    "polars": ("y ~ x + f + (x | g)", pl.from_pandas(grouped()), {}),
    "text index": ("y ~ x + (1 | g)", with_text_index(), {}),
    "shuffled index": ("y ~ x + (1 | g)", grouped().sample(frac=1, random_state=1), {}),
    "dropped column": ("y ~ x + twice + (1 | g)", grouped().assign(twice=2 * grouped()["x"]), {}),
    "on the boundary": ("y ~ x + (1 | noise)", grouped().assign(noise=np.arange(
        len(grouped())) % 7), {}),
}  # fmt: skip


@pytest.mark.parametrize(("formula", "data", "options"), CASES.values(), ids=CASES)
def test_a_loaded_fit_says_the_same(tmp_path, formula, data, options):
    fit = lmer(formula, data, **options)
    fit.save(tmp_path / "a.fit")
    assert_says_the_same(fit, hb.load(tmp_path / "a.fit"))


# Those whose offset is an array have no predictions for new rows.
PREDICTING = {name: case for name, case in CASES.items() if name != "offset array"}


@pytest.mark.parametrize(("formula", "data", "options"), PREDICTING.values(), ids=PREDICTING)
def test_a_loaded_fit_predicts_the_same_for_new_rows(tmp_path, formula, data, options):
    """New rows of another range, so that a spline or scale learnt again would show."""
    fit = lmer(formula, data, **options)
    fit.save(tmp_path / "a.fit")
    frame = data.to_pandas() if isinstance(data, pl.DataFrame) else data
    newdata = frame.dropna().iloc[3:12]
    for old in ("g", "C"):
        if old in newdata:
            newdata = newdata.assign(**{old: ["new", *newdata[old].iloc[1:]]})
    expected = fit.predict(newdata, new_levels="population")
    found = hb.load(tmp_path / "a.fit").predict(newdata, new_levels="population")
    pd.testing.assert_series_equal(found, expected, rtol=1e-9)
    drawn = [f.predict(newdata, new_levels="sample", random_seed=4)
             for f in (fit, hb.load(tmp_path / "a.fit"))]  # fmt: skip
    pd.testing.assert_series_equal(*drawn, rtol=1e-9)


def test_findings_come_back_with_their_numbers(tmp_path):
    fit = lmer(*CASES["dropped column"][:2])
    fit.save(tmp_path / "a.fit")
    loaded = hb.load(tmp_path / "a.fit").findings
    assert [f.code for f in loaded] == ["rank_deficient"]
    assert loaded[0].numbers == {"dropped": ("twice",)}
    assert loaded == fit.findings


def test_loading_repeats_no_warning(tmp_path):
    lmer(*CASES["rows dropped"][:2]).save(tmp_path / "a.fit")
    assert hb.load(tmp_path / "a.fit").findings  # a warning would be an error here


def test_a_refit_is_saved_with_its_response(tmp_path):
    fit = lmer("y ~ x + (x | g)", grouped())
    again = fit.refit(fit.simulate(1, random_seed=8))
    again.save(tmp_path / "a.fit")
    loaded = hb.load(tmp_path / "a.fit")
    assert_says_the_same(again, loaded)
    assert loaded.with_method("ml").criterion == pytest.approx(again.with_method("ml").criterion)


def test_a_loaded_fit_goes_on(tmp_path):
    fit = lmer("y ~ x + (x | g)", grouped())
    fit.save(tmp_path / "a.fit")
    loaded = hb.load(str(tmp_path / "a.fit"))
    y = fit.simulate(1, random_seed=2)
    again, expected = quietly(loaded.refit, y), quietly(fit.refit, y)
    assert again.criterion == pytest.approx(expected.criterion, rel=1e-9)
    smaller = loaded.update(". ~ . - (x | g) + (1 | g)")
    assert hb.anova(smaller, loaded).to_frame()["df"].iloc[1] == 2
    loaded.save(tmp_path / "b.fit")
    assert_says_the_same(hb.load(tmp_path / "b.fit"), fit)


def test_the_file_is_small_and_holds_no_pickle(tmp_path):
    data = pd.concat([grouped(seed=i) for i in range(20)]).assign(unused="x" * 1000)
    fit = lmer("y ~ x + (x | g)", data)
    fit.save(tmp_path / "a.fit")
    used = len(data) * 3 * 8
    assert (tmp_path / "a.fit").stat().st_size < 1.1 * used
    with zipfile.ZipFile(tmp_path / "a.fit") as archive:
        assert "unused" not in archive.read(SPECIFICATION).decode()
        for name in archive.namelist():
            content = archive.read(name)
            with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, EOFError)):
                pickle.loads(content)
            if name.endswith(".npy"):
                np.load(io.BytesIO(content), allow_pickle=False)


def test_an_existing_file_is_replaced(tmp_path):
    file = tmp_path / "a.fit"
    file.write_text("something else")
    lmer("y ~ x + (1 | g)", grouped()).save(file)
    assert hb.load(file).nobs == len(grouped())
    assert os.listdir(tmp_path) == ["a.fit"]


# Files that are no fit.


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    file = tmp_path_factory.mktemp("saved") / "a.fit"
    lmer("y ~ x + (x | g)", grouped()).save(file)
    return file


def message_of(file):
    with pytest.raises(hb.DataError) as caught:
        hb.load(file)
    return str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 10, 500, -500, -30, -1])
def test_a_truncated_file_is_not_a_fit(tmp_path, saved, length):
    (tmp_path / "b.fit").write_bytes(saved.read_bytes()[:length])
    assert "b.fit' is not a fit saved by hierbayes, or damaged." in message_of(tmp_path / "b.fit")


def test_any_flipped_byte_gives_a_fit_or_one_sentence(tmp_path, saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    file = tmp_path / "b.fit"
    for place in rng.integers(0, len(content), 150):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        file.write_bytes(changed)
        try:
            hb.load(file)
        except hb.DataError as error:
            assert "b.fit'" in str(error)


FOREIGN = {
    "text": b"hello",
    "csv": b"y,x\n1,2\n",
    "pickle": pickle.dumps({"format": 1}),
    "numpy": b"\x93NUMPY\x01\x00",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_not_a_fit(tmp_path, content):
    (tmp_path / "b").write_bytes(content)
    assert "is not a fit saved by hierbayes" in message_of(tmp_path / "b")


def test_another_zip_is_not_a_fit(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert "is not a fit saved by hierbayes" in message_of(tmp_path / "b.zip")


def test_no_file_and_a_folder_say_so(tmp_path):
    assert message_of(tmp_path / "none") == f"There is no file '{tmp_path / 'none'}'."
    assert "is a folder" in message_of(tmp_path)


@pytest.mark.parametrize("path", [None, 3, ["a"]])
def test_a_path_is_text(path):
    with pytest.raises(hb.OptionError, match="must be text or a Path"):
        hb.load(path)
    with pytest.raises(hb.OptionError, match="must be text or a Path"):
        lmer("y ~ x", grouped()).save(path)


def test_a_format_of_the_future_says_what_to_do(tmp_path, saved):
    file = rewritten(saved, tmp_path / "b.fit", lambda s: s | {"format": 2})
    assert "has format 2; this version reads format 1. Update hierbayes" in message_of(file)


WRONG = {
    "a list": lambda s: [1],
    "nothing but a format": lambda s: {"format": 1},
    "unknown method": lambda s: s | {"method": "x"},
    "code for a formula": lambda s: s | {"formula": "__import__('os').system('true')"},
    "a formula of other columns": lambda s: s | {"formula": "a ~ b + (1 | c)"},
    "a path for weights": lambda s: s | {"arguments": s["arguments"] | {"weights": "/etc/passwd"}},
    "other arguments": lambda s: s | {"arguments": {"data": 1}},
    "no such array": lambda s: s | {"index": {"array": "none", "name": None}},
    "findings of another kind": lambda s: s | {"findings": [{"x": 1}]},
    "columns of another kind": lambda s: s | {"columns": [3]},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_specification_that_does_not_fit_is_one_sentence(tmp_path, saved, change):
    message = message_of(rewritten(saved, tmp_path / "b.fit", change))
    assert "b.fit' is" in message
    assert "damaged" in message


class Evil:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_hostile_file_runs_nothing(tmp_path, saved):
    evil = array_file(np.array([Evil(str(tmp_path / "ran"))], dtype=object), allow_pickle=True)
    for name in ("theta.npy", "response.npy", "another.npy"):
        rewritten(saved, tmp_path / "b.fit", arrays={name: evil})
        assert "b.fit' is damaged: " in message_of(tmp_path / "b.fit")
    file = rewritten(saved, tmp_path / "c.fit", arrays={"theta.npy": pickle.dumps(Evil("ran"))})
    assert "c.fit' is damaged: " in message_of(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arrays",
    [
        {"theta.npy": None},
        {"theta.npy": array_file(np.zeros(7))},
        {"theta.npy": array_file(np.full(3, np.nan))},
        {"theta.npy": array_file(np.array(["a", "b", "c"]))},
        {"response.npy": array_file(np.zeros(7))},
        {"theta.npy": b"abc"},
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(tmp_path, saved, arrays):
    assert "damaged" in message_of(rewritten(saved, tmp_path / "b.fit", arrays=arrays))


# Paths that can't be written.


def test_a_path_that_cannot_be_written_leaves_nothing(tmp_path):
    fit = lmer("y ~ x + (1 | g)", grouped())
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path / "no folder" / "a.fit", "No such file or directory"),
        (tmp_path, "it is a folder"),
        (tmp_path / "file" / "a.fit", "Not a directory"),
        (tmp_path / ("a" * 300), "File name too long"),
    ):
        with pytest.raises(hb.DataError, match="The fit can't be written to ") as caught:
            fit.save(path)
        assert words in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]
    assert not any(name.endswith(".partial") for name in os.listdir(tmp_path.parent))


def test_a_failure_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.fit"
    fit = lmer("y ~ x + (1 | g)", grouped())
    fit.save(file)
    before = file.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(hb.DataError, match="No space left on device"):
        fit.save(file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.fit"]


@pytest.mark.parametrize("formula", ["y ~ x + (1 | day)", "y ~ x + factor(day) + (1 | g)"])
def test_a_loaded_date_is_no_predictor_as_it_was_none(formula, tmp_path):
    data = grouped()
    data["day"] = pd.to_datetime("2024-02-27") + pd.to_timedelta(np.arange(len(data)) % 7, "D")
    fit = quietly(lambda: hb.lmer(formula, data))
    fit.save(tmp_path / "a.fit")
    loaded = quietly(lambda: hb.load(tmp_path / "a.fit"))
    for one in (fit, loaded):
        with pytest.raises(hb.DataError, match="'day' holds dates or times; a model needs"):
            one.update(". ~ . + day")
    assert loaded.criterion == pytest.approx(fit.criterion)
    np.testing.assert_allclose(loaded.predict(data.head(9)), fit.predict(data.head(9)))
    loaded.save(tmp_path / "b.fit")
    with pytest.raises(hb.DataError, match="holds dates"):
        quietly(lambda: hb.load(tmp_path / "b.fit")).update(". ~ . + day")
