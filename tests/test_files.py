"""Paths and files: what can't be a path, what is no file, and writing as a whole or not at all."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hierbayes as hb
from hierbayes.files import Draft, checked_path, readable_file, shown

NO_PATHS = {
    "nothing": (None, "must be text or a Path"),
    "a number": (3, "must be text or a Path"),
    "bytes": (b"a.html", "must be text or a Path"),
    "empty": ("", "is empty"),
    "blank": ("  ", "is empty"),
    "NUL": ("a\0b.html", "holds a NUL character"),
    "half a character": ("\ud800.html", "characters that this system can't write"),
    "too long": ("a" * 300 + ".html", "File name too long"),
}


@pytest.fixture(scope="module")
def fit():
    return hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))


@pytest.mark.parametrize(("path", "words"), NO_PATHS.values(), ids=NO_PATHS)
def test_what_cannot_be_a_path_says_so_wherever_one_is_asked_for(fit, path, words):
    for call in (fit.save, fit.report, hb.load):
        with pytest.raises((hb.OptionError, hb.DataError)) as caught:
            call(path)
        assert words in str(caught.value)
        assert len(str(caught.value)) < 300
    if isinstance(path, str):
        with pytest.raises(hb.DataError) as caught:
            hb.Model("y ~ x", path)
        assert words in str(caught.value)


@pytest.fixture
def special(tmp_path, monkeypatch):
    """What is there and is no file."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    door = socket.socket(socket.AF_UNIX)
    door.bind("s.csv")
    yield {"a pipe": tmp_path / "pipe.csv", "a folder": tmp_path / "folder.csv",
           "a socket": tmp_path / "s.csv", "a device": Path("/dev/zero")}  # fmt: skip
    door.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these")
def test_pipes_devices_and_folders_are_not_read_and_not_replaced(fit, special, tmp_path):
    for kind, path in special.items():
        with pytest.raises(hb.DataError, match=f"is {kind}, not a fit saved by hierbayes"):
            hb.load(path)
        with pytest.raises(hb.DataError, match=f"is {kind}, not a CSV or Parquet file"):
            hb.Model("y ~ x", str(path))
        before = os.stat(path)
        with pytest.raises(hb.DataError, match=f"can't be written to .*: it is {kind}"):
            fit.save(path)
        (tmp_path / "link.html").unlink(missing_ok=True)
        (tmp_path / "link.html").symlink_to(path)
        with pytest.raises(hb.OptionError, match=f"Can't write to .*: it is {kind}"):
            fit.report(tmp_path / "link.html")
        assert stat.S_IFMT(os.stat(path).st_mode) == stat.S_IFMT(before.st_mode)


@pytest.mark.parametrize("name", ["a.fit", "none yet.fit"])
def test_a_link_keeps_pointing_where_it_did(fit, tmp_path, name):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.fit").write_text("old")
    (tmp_path / "link").symlink_to(Path("there") / name)
    (tmp_path / "link to the link").symlink_to("link")
    fit.save(tmp_path / "link to the link")
    assert os.readlink(tmp_path / "link") == f"there/{name}"
    assert hb.load(tmp_path / "there" / name).criterion == pytest.approx(fit.criterion)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(hb.DataError, match="Too many levels of symbolic links"):
        fit.save(tmp_path / "loop")
    with pytest.raises(hb.DataError, match="can't be read: Too many levels"):
        hb.load(tmp_path / "loop")


def test_permissions_of_a_replaced_file_stay(fit, tmp_path):
    file = tmp_path / "a.fit"
    file.write_text("old")
    file.chmod(0o640)
    fit.save(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_write_protected_file_is_kept(fit, tmp_path, monkeypatch):
    file = tmp_path / "a.fit"
    file.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(hb.DataError, match="it is write-protected"):
        fit.save(file)
    assert file.read_text() == "old"


def test_a_folder_that_cannot_be_written_is_a_sentence(fit, tmp_path, monkeypatch):
    own = Path.open

    def refused(path, mode="r", *args, **kwargs):  # as read-only folders do; root may write all
        if "x" in mode or "w" in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return own(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(hb.DataError, match="Permission denied"):
        fit.save(tmp_path / "a.fit")
    assert not os.listdir(tmp_path)


KILLED = """
import os, sys
from pathlib import Path
from hierbayes.files import Draft
draft = Draft(Path(sys.argv[1]))
draft.write(b"half")
print("writing", flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
    draft.commit()
os._exit(9)
"""


def writer(path, how):
    """Another process in the middle of writing ``path``."""
    found = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), how], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert found.stdout.readline() == "writing\n"
    return found


def test_what_a_killed_writer_left_is_cleared_by_the_next_and_no_draft_of_a_live_one(fit, tmp_path):
    file = tmp_path / "a.fit"
    for _ in range(2):
        with writer(file, "die") as dead:
            dead.wait(30)
            dead.communicate()
    (tmp_path / ".a.fit.4711.partial").write_text("of hierbayes 0.1.0")
    (tmp_path / ".b.fit.4711.partial").write_text("of another file")
    assert len(os.listdir(tmp_path)) == 4 - 1  # the second has cleared what the first left
    live = writer(file, "wait")
    fit.save(file)
    left = sorted(os.listdir(tmp_path))
    assert left[1:] == [".b.fit.4711.partial", "a.fit"]
    assert left[0].startswith(".a.fit.")
    live.communicate("")
    assert file.read_bytes() == b"half"  # the later of two writers
    assert sorted(os.listdir(tmp_path)) == [".b.fit.4711.partial", "a.fit"]


def test_many_writers_at_once_never_collide(tmp_path):
    file = tmp_path / "a"
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    failures = []

    def write(content):
        try:
            for _ in range(20):
                with Draft(file) as draft:
                    draft.write(content)
                    draft.commit()
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert file.read_bytes() in contents
    assert os.listdir(tmp_path) == ["a"]


def test_a_name_of_the_longest_length_can_be_written(fit, tmp_path):
    for name in ("a" * 251 + ".fit", "ö" * 125 + ".fit"):
        fit.save(tmp_path / name)
        assert hb.load(tmp_path / name).nobs == fit.nobs


def test_a_full_disk_leaves_the_old_file(fit, tmp_path, monkeypatch):
    file = tmp_path / "report.html"
    file.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(hb.OptionError, match="No space left on device"):
        fit.report(file)
    with pytest.raises(hb.DataError, match="No space left on device"):
        fit.save(file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_long_path_is_shown_short():
    assert len(shown("a" * 5000)) < 120
    assert checked_path(Path("a")) == Path("a")
    with pytest.raises(hb.DataError, match="There is no file 'aaa"):
        readable_file("a" * 250, "a table")
