"""Paths and files: what can be a path, what can be read, and writing as a whole or not at all.

A file is written to a draft beside its target, under a name no other process has, and takes the
target's place when it is complete: a reader sees the old file or the new one. A draft is locked
while it is written, so that the next writer can tell those of killed processes and clear them.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from hierbayes.errors import DataError, HierBayesError, OptionError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open can't be deleted: the same as a lock
    fcntl = None  # type: ignore[assignment]

SPECIAL = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "a device"),
)
REPORT_ENDINGS = (".html", ".htm", ".md", ".tex")
LONGEST_NAME = 200  # bytes of a name that a draft's name repeats; file systems end at 255
MOST_SHOWN = 100  # characters of a path in a message


def checked_path(given: Any, *, error: type[HierBayesError] = OptionError) -> Path:
    """Return what can be a path.

    Raises
    ------
    OptionError, or ``error``
        If it is neither text nor a Path, is empty, or holds what no name of a file can.
    """
    if not isinstance(given, str | os.PathLike):
        raise OptionError(f"path={given!r} must be text or a Path.")
    text = os.fspath(given)
    if not isinstance(text, str):
        raise OptionError(f"path={given!r} must be text or a Path, not bytes.")
    if not text.strip():
        raise error(f"path={text!r} is empty; give the name of a file.")
    if "\0" in text:
        raise error(f"path={shown(text)} holds a NUL character, which no name of a file can.")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise error(
            f"path={text!a} holds characters that this system can't write in a file's name."
        ) from None
    return Path(text)


def checked_report(given: Any) -> Path:
    """Return the path of a report, which may take long to make, where it can be written.

    Raises
    ------
    OptionError
        If the ending says no format, or what is there can't be replaced.
    """
    target = checked_path(given)
    if target.suffix.lower() not in REPORT_ENDINGS:
        raise OptionError(
            f"A report is written to a file that ends in .html, .md or .tex; {shown(target)} does "
            "not."
        )
    try:
        _target(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def cannot_write(where: Path, error: OSError) -> OptionError:
    """Return the error for a file or folder that can't be written."""
    reason = error.strerror or str(error)
    return OptionError(f"Can't write to {shown(where)}: {reason}. Give a folder you may write to.")


def shown(path: Any) -> str:
    """Return a path in quotes, its middle left out where it is long."""
    text = str(path)
    if len(text) > MOST_SHOWN:
        text = f"{text[: MOST_SHOWN // 2]}...{text[-MOST_SHOWN // 2 :]}"
    return repr(text)


def special_kind(file: Path) -> str | None:
    """Say what a path is that is no file: "a folder", "a device" ...; None for a file.

    Raises
    ------
    OSError
        If nothing is there, or it can't be looked at.
    """
    mode = os.stat(file).st_mode
    return next((name for is_it, name in SPECIAL if is_it(mode)), None)


def readable_file(given: Any, what: str) -> Path:
    """Return the path of a file that is there; pipes and devices may never end, so they aren't.

    Parameters
    ----------
    given : the path as the user wrote it
    what : what should be there, for messages ("a fit saved by hierbayes")

    Raises
    ------
    DataError
        If there is no such file.
    """
    file = checked_path(given, error=DataError)
    try:
        kind = special_kind(file)
    except FileNotFoundError:
        raise DataError(f"There is no file {shown(file)}.") from None
    except OSError as error:
        raise DataError(f"{shown(file)} can't be read: {error.strerror}.") from None
    if kind is not None:
        raise DataError(f"{shown(file)} is {kind}, not {what}.")
    return file


class Draft:
    """A file being written beside its target; ``commit`` puts it in the target's place.

    A symbolic link keeps pointing where it did: the file it points to is replaced. As a context
    manager it leaves nothing behind unless it was committed.

    Parameters
    ----------
    path : the target

    Raises
    ------
    OSError
        With the reason as ``strerror``: the target is a folder or a device, or may not be written.
    """

    stream: IO[bytes]

    def __init__(self, path: Path) -> None:
        self.target = _target(path)
        _clear_leftovers(self.target)
        while True:
            self.draft = self.target.with_name(f".{_stem(self.target)}.{_token()}.partial")
            self.stream = self.draft.open("xb")
            if _lock(self.stream) and self.draft.exists():
                return
            self.stream.close()  # another writer took it for a leftover before it was locked
            self.draft.unlink(missing_ok=True)

    def write(self, content: bytes) -> None:
        """Write to the draft, down to the disk."""
        self.stream.write(content)
        self.sync()

    def sync(self) -> None:
        """Bring what was written to the disk: a full one tells now."""
        self.stream.flush()
        os.fsync(self.stream.fileno())

    def commit(self) -> None:
        """Put what was written in the target's place."""
        if self.target.exists():
            shutil.copymode(self.target, self.draft)
        if fcntl is None:
            self.stream.close()  # Windows moves no open file
        self.draft.replace(self.target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # what a full disk still holds back
            self.stream.close()
        self.draft.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """Return the file to replace: behind all links, and nothing but a file."""
    with contextlib.suppress(FileNotFoundError):
        kind = special_kind(path)
        if kind is not None:
            raise OSError(None, f"it is {kind}")
        if not os.access(path, os.W_OK):
            raise OSError(None, "it is write-protected")
    return Path(os.path.realpath(path))


def _token() -> str:
    return f"{os.getpid()}{secrets.token_hex(6)}"


def _stem(target: Path) -> str:
    """Return the target's name, or a digest of a long one: a draft's name must be shorter still."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= LONGEST_NAME else hashlib.sha256(name).hexdigest()


def _lock(stream: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another process has locked it."""
    if fcntl is not None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _clear_leftovers(target: Path) -> None:
    """Delete the drafts of killed writers of this target: those that nobody holds locked."""
    pattern = re.compile(rf"\.{re.escape(_stem(target))}\.[0-9a-f]+\.partial")
    with contextlib.suppress(OSError):  # of an unreadable folder the writing itself will tell
        for name in os.listdir(target.parent):
            if pattern.fullmatch(name):
                _clear(target.with_name(name))


def _clear(draft: Path) -> None:
    with contextlib.suppress(OSError):  # being written, somebody else's, or gone
        if fcntl is None:
            draft.unlink()  # fails while its writer has it open
            return
        with draft.open("r+b") as stream:
            if _lock(stream):
                draft.unlink()
