"""The file of a saved fit: a zip of one specification in JSON and arrays, each with its digest.

``fit.json`` is the specification, every other member one array as ``.npy``; ``digests.json`` holds
the SHA-256 of each of them. A file is opened without being believed: the headers of its arrays are
read before any array is expanded, no array is expanded that nobody asks for, and none beyond what
its file could hold. The digests tell of damage; they are no signature, so what is read must still
be checked against the model.
"""

import ast
import hashlib
import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

SPECIFICATION = "fit.json"
DIGESTS = "digests.json"
MEMBER = re.compile(r"[a-z_0-9]+\.npy")
LEVEL = 1  # of compression: random digits don't get smaller by trying harder
LARGE = 2**24  # bytes of an array, from where three percent saved are not worth the seconds
# A file expands to at most ALWAYS_EXPANDED bytes, or MOST_EXPANDED for each of its own. Columns of
# a design compress up to 1000 times, but responses and draws hardly; what is written here and
# expands to more than half of the first is not compressed at all. Zeros in disguise are above.
MOST_EXPANDED = 200
ALWAYS_EXPANDED = 2**26
# The same for the specification, of which Python makes objects many times its size: names of
# levels compress up to fifteen times.
MOST_EXPANDED_TEXT = 50
ALWAYS_EXPANDED_TEXT = 2**21
MOST_MEMBERS = 100_000  # columns, and draws by factor
TOO_LARGE = "it says that it expands to more than a fit of its size can hold"
LONGEST_HEADER = 2**12  # bytes of an array's header: a type and at most five numbers
HEADER_VERSIONS = {(1, 0): ("<H", 2), (2, 0): ("<I", 4), (3, 0): ("<I", 4)}
KINDS = "biufU"  # logical, integer, unsigned, float, text


class Damaged(Exception):
    """The file is not what was written; the message continues "it is damaged: "."""


class Header:
    """What an array will be: its type, its shape (bounded by the size of its member)."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype, self.shape = dtype, shape


class Archive:
    """A saved fit opened for reading.

    Attributes
    ----------
    specification : the content of ``fit.json``
    has_digests : whether the file carries digests; those of hierbayes 0.1.0 don't
    """

    def __init__(self, file: Path) -> None:
        self._zip = zipfile.ZipFile(file)
        try:
            self._check_members(file.stat().st_size)
            self.has_digests = DIGESTS in self._members
            self._digests = self._json(DIGESTS) if self.has_digests else {}
            if self.has_digests and set(self._digests) != set(self._members) - {DIGESTS}:
                raise Damaged("its members are not those that were written")
            self.specification = self._json(SPECIFICATION)
            if not isinstance(self.specification, dict) or "format" not in self.specification:
                raise Damaged("it has no format")
            if bool(self.specification.get("digests")) != self.has_digests:
                raise Damaged("its digests are missing")
        except BaseException:
            self._zip.close()
            raise
        self._read: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def has(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return f"{name}.npy" in self._members

    def header(self, name: str) -> Header:
        """Return type and shape of an array; nothing is expanded."""
        info = self._member(f"{name}.npy")
        (head,) = self._unpacked(info, LONGEST_HEADER)
        return _header(head, info.file_size)

    def array(
        self, name: str, *, kinds: str = KINDS, shape: tuple[int | None, ...] | None = None
    ) -> Any:
        """Return an array, whose digest is right.

        Parameters
        ----------
        name : of the array
        kinds : the kinds of type it may have, as in ``numpy.dtype.kind``
        shape : what it must be, None where any length is right
        """
        header = self.header(name)
        if header.dtype.kind not in kinds:
            raise Damaged(f"the array {name} holds values of another kind")
        if shape is not None and not _fits(header.shape, shape):
            raise Damaged(f"the array {name} has the shape {header.shape}, not {shape}")
        content = self._content(f"{name}.npy")
        self._read.add(f"{name}.npy")
        return np.load(io.BytesIO(content), allow_pickle=False, max_header_size=LONGEST_HEADER)

    def check_all_read(self) -> None:
        """Refuse a file with an array that nobody asked for."""
        left = set(self._members) - self._read - {SPECIFICATION, DIGESTS}
        if left:
            raise Damaged(f"it holds an array that its specification does not name, {min(left)}")

    def _check_members(self, size: int) -> None:
        infos = self._zip.infolist()
        self._members = {info.filename: info for info in infos}
        if len(self._members) != len(infos) or len(infos) > MOST_MEMBERS:
            raise Damaged("two of its members have one name, or there are too many")
        for info in infos:
            if info.filename not in (SPECIFICATION, DIGESTS) and not MEMBER.fullmatch(
                info.filename
            ):
                raise Damaged("it holds a member that no fit has")
            packed = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if not packed or info.flag_bits & 1:  # bit 1: encrypted
                raise Damaged("its members are packed in another way")
        if sum(info.file_size for info in infos) > max(ALWAYS_EXPANDED, MOST_EXPANDED * size):
            raise Damaged(TOO_LARGE)

    def _member(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._members[name]
        except KeyError:
            raise Damaged(f"{name} is missing") from None

    def _unpacked(self, info: zipfile.ZipInfo, *lengths: int) -> list[bytes]:
        """Return consecutive pieces of a member, each of at most so many bytes."""
        try:
            with self._zip.open(info) as stream:
                return [stream.read(length) for length in lengths]
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise Damaged(f"{info.filename} can't be unpacked") from error

    def _content(self, name: str) -> bytes:
        """Return a member's bytes, no more than it says it has, with the digest it should have."""
        info = self._member(name)
        content, more = self._unpacked(info, info.file_size, 1)
        if more or len(content) != info.file_size:
            raise Damaged(f"{name} is longer or shorter than it says")
        if self.has_digests and name != DIGESTS and _digest(content) != self._digests[name]:
            raise Damaged(f"{name} is not what was written (its digest differs)")
        return content

    def _json(self, name: str) -> Any:
        info = self._member(name)
        most = max(ALWAYS_EXPANDED_TEXT, MOST_EXPANDED_TEXT * info.compress_size)
        if info.file_size > most:
            raise Damaged(TOO_LARGE)
        found = json.loads(self._content(name), object_pairs_hook=_once)
        if name == DIGESTS and not isinstance(found, dict):
            raise Damaged("its digests are none")
        return found


def write_archive(stream: Any, specification: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a specification, its arrays and the digests of both."""
    digests = {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:

        def add(name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> None:
            digests[name] = _digest(content)
            archive.writestr(name, content, compress_type=how)

        total = sum(array.nbytes for array in arrays.values())
        add(SPECIFICATION, _json_of(dict(specification) | {"digests": True}))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            stored = array.nbytes > LARGE or total > ALWAYS_EXPANDED // 2
            how = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            add(f"{name}.npy", buffer.getvalue(), how)
        archive.writestr(DIGESTS, _json_of(digests))


def _json_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """Turn a NumPy number or array into what JSON knows."""
    return value.tolist()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of an object in JSON; of two with one name neither can be believed."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Damaged("its specification names something twice")
    return found


def _header(head: bytes, size: int) -> Header:
    """Return the header of an ``.npy`` member of ``size`` bytes from its first bytes."""
    magic, version = head[:6], tuple(head[6:8])
    if magic != b"\x93NUMPY" or version not in HEADER_VERSIONS:
        raise Damaged("one of its arrays is none")
    form, width = HEADER_VERSIONS[version]
    (length,) = struct.unpack(form, head[8 : 8 + width])
    text = head[8 + width : 8 + width + length]
    if len(text) != length:
        raise Damaged("an array has too long a header")
    try:
        found = ast.literal_eval(text.decode("latin1").strip())
        dtype, shape = np.dtype(str(found["descr"])), tuple(found["shape"])
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise Damaged("the header of an array can't be read") from error
    whole = all(type(n) is int and n >= 0 for n in shape)
    if not whole or dtype.kind not in KINDS or dtype.hasobject:
        raise Damaged("an array holds values of another kind")
    if math.prod(shape) * dtype.itemsize != size - 8 - width - length:
        raise Damaged("an array is longer or shorter than its shape says")
    return Header(dtype, shape)


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        n is None or n == m for m, n in zip(found, wanted, strict=True)
    )
